#include "world/environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What tells a program about the person's screen and language, and nothing else about the host. */
const char *const sg_environment_passed[] = {"TERM",   "COLORTERM", "LANG",    "LANGUAGE", "LC_*",
					     "TZ",     "NO_COLOR",  "COLUMNS", "LINES",    "EDITOR",
					     "VISUAL", "PAGER",     "SSH_TTY", "SHELL",    NULL};

/* What sg_environment_make sets itself. */
const char *const sg_environment_set[] = {"PATH", "HOME",           "USER", "LOGNAME", "SHELLGUARD_SESSION",
					  "PS1",  "PROMPT_COMMAND", NULL};

/*
 * The mark of the prompt. PS1 is what shells without settings of their own show (dash, ksh, bash, zsh); bash puts the mark
 * before whatever prompt the user's settings made, each time, by PROMPT_COMMAND. A profile's Env can replace both. Beside
 * it, a prompt that shows the host's name shows the world's.
 */
static const char *const prompt[] = {
	"PS1=(guarded) $ ",
	"PROMPT_COMMAND=PS1=\"(guarded) ${PS1#\"(guarded) \"}\"",
};

/* "NAME=value" each, in the order in which they were set. */
struct list {
	const char **items; /* owned */
	size_t count, capacity;
	bool failed;
};

static void list_done(struct list *list)
{
	free(list->items);
}

static bool name_passes(const char *entry)
{
	size_t length = strcspn(entry, "=");

	for (size_t i = 0; sg_environment_passed[i] != NULL; i++) {
		const char *name = sg_environment_passed[i];
		size_t wanted = strlen(name);

		if (name[wanted - 1] == '*' ? strncmp(entry, name, wanted - 1) == 0
					    : wanted == length && strncmp(entry, name, length) == 0)
			return true;
	}
	return false;
}

static void set(struct list *list, const char *entry)
{
	const size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
	const char **grown =
		list->count < list->capacity ? list->items : reallocarray(list->items, capacity, sizeof(*list->items));

	if (grown == NULL) {
		list->failed = true;
		return;
	}
	list->capacity = list->count < list->capacity ? list->capacity : capacity;
	list->items = grown;
	list->items[list->count++] = entry;
}

/* Entries of one name stand together after it, in the order in which they were set: the array of pointers knows that order. */
static int compare_names(const void *left, const void *right)
{
	const char *a = **(const char *const *const *)left, *b = **(const char *const *const *)right;
	const size_t first = strcspn(a, "="), second = strcspn(b, "=");
	const int order = memcmp(a, b, first < second ? first : second);

	if (order != 0 || first != second)
		return order != 0 ? order : first < second ? -1 : 1;
	return *(const char *const *const *)left < *(const char *const *const *)right ? -1 : 1;
}

/* Of entries of one name the last stays; those that stay keep their order. */
static int unite(struct list *list)
{
	SG_AUTO_FREE const char ***sorted = calloc(list->count + 1, sizeof(*sorted));
	size_t kept = 0;

	if (sorted == NULL || list->failed)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++)
		sorted[i] = &list->items[i];
	qsort(sorted, list->count, sizeof(*sorted), compare_names);
	for (size_t i = 0; i + 1 < list->count; i++) {
		const size_t length = strcspn(*sorted[i], "=");

		if (strncmp(*sorted[i], *sorted[i + 1], length) == 0 && strcspn(*sorted[i + 1], "=") == length)
			*sorted[i] = NULL;
	}
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i] != NULL)
			list->items[kept++] = list->items[i];
	list->count = kept;
	return 0;
}

static const char *find(char *const *outer, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; outer[i] != NULL; i++)
		if (strncmp(outer[i], name, length) == 0 && outer[i][length] == '=')
			return outer[i];
	return NULL;
}

static int pack(const struct list *list, char ***ret)
{
	size_t size = (list->count + 1) * sizeof(char *);
	char **array, *text;

	for (size_t i = 0; i < list->count; i++)
		size += strlen(list->items[i]) + 1;
	array = malloc(size);
	if (array == NULL)
		return -ENOMEM;
	text = (char *)(array + list->count + 1);
	for (size_t i = 0; i < list->count; i++) {
		size_t length = strlen(list->items[i]) + 1;

		array[i] = memcpy(text, list->items[i], length);
		text += length;
	}
	array[list->count] = NULL;
	*ret = array;
	return 0;
}

int sg_environment_make(const struct sg_policy *policy, char *const *outer, const char *session, const char *home,
			const char *user, char ***ret)
{
	SG_CLEANUP(list_done) struct list list = {.count = 0};
	char texts[5][4200];
	const struct sg_rule *rules;
	size_t count;

	(void)snprintf(texts[0], sizeof(texts[0]), "PATH=%s",
		       "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin");
	(void)snprintf(texts[1], sizeof(texts[1]), "HOME=%s", home);
	(void)snprintf(texts[2], sizeof(texts[2]), "USER=%s", user);
	(void)snprintf(texts[3], sizeof(texts[3]), "LOGNAME=%s", user);
	(void)snprintf(texts[4], sizeof(texts[4]), "SHELLGUARD_SESSION=%s", session);
	for (size_t i = 0; i < 4; i++)
		set(&list, texts[i]);
	for (size_t i = 0; outer[i] != NULL; i++)
		if (name_passes(outer[i]))
			set(&list, outer[i]);
	for (size_t i = 0; i < SG_ARRAY_SIZE(prompt); i++)
		set(&list, prompt[i]);
	rules = sg_policy_rules(policy, SG_RULE_ENVIRONMENT, &count);
	for (size_t i = 0; i < count; i++) {
		const char *entry = strchr(rules[i].text, '=') != NULL ? rules[i].text : find(outer, rules[i].text);

		if (entry != NULL)
			set(&list, entry);
	}
	set(&list, texts[4]);
	return unite(&list) < 0 ? -ENOMEM : pack(&list, ret);
}
