/*
 * A policy on a screen or two: what it may, what is refused, what is recorded, in names that are grouped by what they are for.
 *
 * It leaves out and never smooths over: each row that grants something names it, or says how many more there are, and the first lines
 * say what shows all of them. Only what grants nothing (defaults, what meets what) is not spoken of.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/explain.h"
#include "policy/needs.h"
#include "tables/flags.h"

enum { FLAGS_MAX = SG_POLICY_FLAGS_MAX, OF_FLAG = 3, FOLDERS_SHOWN = 8 };

/* The rules of one kind, in a row: at most `most` names of those that stand in the profiles themselves. */
struct row {
	enum sg_rule_kind kind;
	const char *title;
	size_t most;
	const char *after; /* what is said behind the names, or NULL */
};

static const struct row may[] = {
	{SG_RULE_READ, "read", 6},
	{SG_RULE_WRITE, "read and write", 24},
	{SG_RULE_EXECUTE, "execute", 16},
	{SG_RULE_MAP, "load as libraries", 8},
	{SG_RULE_PRIVATE, "have of its own", 16, ": empty at the start, gone at the end"},
	{SG_RULE_ALLOW, "connect to", 24},
	{SG_RULE_LISTEN, "listen on", 24},
	{SG_RULE_PRIVILEGED, "have done, by a privileged helper", 24},
};

static const struct row labels[] = {
	{SG_RULE_LABEL, "classes of data and of reach", 24},
	{SG_RULE_WALL, "never held together", 24},
};

static const struct row refused[] = {
	{SG_RULE_DENY, "opening, changing", 8},
	{SG_RULE_DENY_READ, "reading", 8},
	{SG_RULE_DENY_WRITE, "changing", 8},
	{SG_RULE_DENY_EXECUTE, "executing", 8},
	{SG_RULE_HIDE, "looking", 8, ": hidden, as if they did not exist"},
	{SG_RULE_DENY_ADDRESS, "addresses", 16},
	{SG_RULE_DENY_FLAG, "purposes", 24, " (DenyFlags)"},
	{SG_RULE_DENY_SYSCALL, "system calls", 24},
	{SG_RULE_DENY_CAPABILITY, "capabilities", 24},
};

static const struct row recorded[] = {
	{SG_RULE_LOG_READ, "opening", 8},
	{SG_RULE_LOG_WRITE, "opening for writing, and changes", 8},
};

static const struct row process[] = {
	{SG_RULE_ENVIRONMENT, "further variables", 16},
	{SG_RULE_DIRECTORY, "starts in", 1},
	{SG_RULE_USER, "runs as", 1},
	{SG_RULE_BOUND, "further bounds", 8},
	{SG_RULE_ACCEPT, "runs even without", 16},
};

static void append_escaped(struct sg_buffer *out, const char *text)
{
	sg_buffer_append_escaped(out, text, strlen(text));
}

/* A name as a person knows it: ~ stays, other variables have their values. Of a variable that is set, its name. */
static void append_name(const struct sg_rule *rule, struct sg_buffer *out)
{
	const char *text = rule->written[0] == '~' ? rule->written : rule->text;

	sg_buffer_append_escaped(out, text, rule->kind == SG_RULE_ENVIRONMENT ? strcspn(text, "=") : strlen(text));
}

static bool is_of_flag(const struct sg_rule *rule, const char *flag)
{
	return flag == NULL ? rule->flag == NULL : rule->flag != NULL && strcmp(rule->flag, flag) == 0;
}

static bool is_tree(const struct sg_rule *rule)
{
	return sg_rule_infos[rule->kind].what == SG_WHAT_GLOB && rule->glob != NULL && sg_glob_is_tree(rule->glob);
}

/*
 * The names of the rules that came with the flag (NULL: with none), `most` of them and the number of the others. Whole trees are
 * first: what gives most does not go under in a number.
 */
static void append_names(const struct sg_rule *rules, size_t count, const char *flag, size_t most, const char *before,
			 struct sg_buffer *out)
{
	size_t found = 0;

	for (int tree = 1; tree >= 0; tree--)
		for (size_t i = 0; i < count; i++) {
			if (is_tree(&rules[i]) != (tree == 1) || !is_of_flag(&rules[i], flag) || found++ >= most)
				continue;
			sg_buffer_append_text(out, found > 1 ? ", " : before);
			append_name(&rules[i], out);
		}
	if (found > most)
		sg_buffer_printf(out, " and %zu more", found - most);
	if (found == 0 || flag == NULL)
		return;
	sg_buffer_append_text(out, " (flag \"");
	append_escaped(out, flag);
	sg_buffer_append_text(out, "\")");
}

/* The flags that the rules came with, each once. Returns how many. */
static size_t find_flags(const struct sg_rule *rules, size_t count, const char *flags[static FLAGS_MAX])
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		bool known = rules[i].flag == NULL;

		for (size_t j = 0; j < found && !known; j++)
			known = strcmp(flags[j], rules[i].flag) == 0;
		if (!known && found < FLAGS_MAX)
			flags[found++] = rules[i].flag;
	}
	return found;
}

static bool append_row(const struct sg_policy *policy, const struct row *row, const char *heading,
		       struct sg_buffer *out)
{
	const char *flags[FLAGS_MAX];
	size_t count, flag_count;
	const struct sg_rule *rules = sg_policy_rules(policy, row->kind, &count);
	size_t start;

	if (count == 0)
		return false;
	sg_buffer_printf(out, "%s  %s\t", heading, row->title);
	start = out->size;
	append_names(rules, count, NULL, row->most, "", out);
	flag_count = find_flags(rules, count, flags);
	for (size_t i = 0; i < flag_count; i++)
		append_names(rules, count, flags[i], OF_FLAG, out->size > start ? "; " : "", out);
	sg_buffer_append_text(out, row->after != NULL ? row->after : "");
	sg_buffer_append_byte(out, '\n');
	return true;
}

/* The rows that there are, under a heading. Returns true if there was one. */
static bool append_rows(const struct sg_policy *policy, const struct row *rows, size_t count, const char *heading,
			struct sg_buffer *out)
{
	bool any = false;

	for (size_t i = 0; i < count; i++)
		any |= append_row(policy, &rows[i], any ? "" : heading, out);
	return any;
}

/* A flag of the profile's own with what it is for, which nobody else knows; and one of the command line, which is what is asked about. */
static void append_flag(const struct sg_policy *policy, const struct sg_rule *rule, struct sg_buffer *out)
{
	const char *words = sg_need_describe_flag(policy, rule->text);

	append_escaped(out, rule->text);
	if (sg_policy_find(policy, SG_RULE_DENY_FLAG, rule->text) != NULL)
		sg_buffer_append_text(out, " (refused by DenyFlags)");
	else if (words[0] != '\0' &&
		 (sg_flag_find(rule->text, strlen(rule->text)) == SG_FLAG_NONE_ ||
		  (rule->flag == NULL && strcmp(rule->source->name, SG_POLICY_COMMAND_LINE) == 0))) {
		sg_buffer_append_text(out, " (");
		append_escaped(out, words);
		sg_buffer_append_byte(out, ')');
	}
}

static void append_flags(const struct sg_policy *policy, struct sg_buffer *out)
{
	size_t count, told = 0, others = 0;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_FLAG, &count);

	sg_buffer_append_text(out, "  do\t");
	for (int own = 1; own >= 0; own--)
		for (size_t i = 0; i < count; i++) {
			if ((rules[i].flag == NULL) != (own == 1))
				continue;
			sg_buffer_append_text(out, own == 0 && others++ == 0 ? "; with them come "
						   : told > 0                ? ", "
									     : "");
			append_flag(policy, &rules[i], out);
			told++;
		}
	sg_buffer_append_text(out, told > 0 ? "\n" : "nothing: no program can start\n");
}

/* What the flags and names of calls and capabilities come to. */
static void append_calls(const struct sg_policy *policy, struct sg_buffer *out)
{
	size_t count, named = 0;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_SYSCALL, &count);

	if (count > 0)
		sg_buffer_printf(out, "  call\t%zu system calls", count);
	for (size_t i = 0; i < count; i++)
		if (rules[i].flag == NULL) {
			sg_buffer_append_text(out, named++ == 0 ? ", these by their names: " : ", ");
			append_escaped(out, rules[i].text);
		}
	sg_buffer_append_text(out, count > 0 ? "\n" : "");
	rules = sg_policy_rules(policy, SG_RULE_CAPABILITY, &count);
	for (size_t i = 0; i < count; i++) {
		sg_buffer_append_text(out, i == 0 ? "  hold, over its own namespace\t" : ", ");
		append_escaped(out, rules[i].text);
	}
	sg_buffer_append_text(out, count > 0 ? "\n" : "");
}

static void append_limits(const struct sg_policy *policy, struct sg_buffer *out)
{
	size_t told = 0;

	sg_buffer_append_text(out, "  limits\t");
	for (size_t i = 0; i < sg_limit_count; i++) {
		bool explicit;
		const uint64_t value = sg_policy_limit(policy, sg_limit_infos[i].name, &explicit);

		if (!explicit)
			continue;
		sg_buffer_printf(out, "%s%s ", told++ > 0 ? ", " : "", sg_limit_infos[i].name);
		sg_explain_limit_value(sg_limit_infos[i].unit, value, out);
	}
	sg_buffer_append_text(out, told > 0 ? "; else the defaults\n" : "the defaults\n");
}

/* --- the folders whose names are seen --- */

struct folders {
	char **names; /* owned, each owned */
	size_t count, capacity;
};

static void folders_done(struct folders *folders)
{
	while (folders->count > 0)
		free(folders->names[--folders->count]);
	free(folders->names);
}

static int add_folder(void *context, const char *folder, const struct sg_rule *rule)
{
	struct folders *folders = context;
	const size_t capacity = folders->capacity == 0 ? 64 : folders->capacity * 2;

	(void)rule;
	if (folders->count == folders->capacity) {
		char **grown = reallocarray(folders->names, capacity, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		folders->names = grown;
		folders->capacity = capacity;
	}
	folders->names[folders->count] = strdup(folder);
	return folders->names[folders->count] == NULL ? -ENOMEM : (folders->count++, 0);
}

static int by_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void append_folders(const struct sg_policy *policy, struct sg_buffer *out)
{
	SG_CLEANUP(folders_done) struct folders folders = {.count = 0};
	size_t told = 0;

	if (sg_explain_each_folder(policy, add_folder, &folders) < 0) {
		out->failed = true;
		return;
	}
	if (folders.count == 0)
		return;
	qsort(folders.names, folders.count, sizeof(*folders.names), by_text);
	sg_buffer_append_text(out, "  see the names in\t");
	for (size_t i = 0; i < folders.count; i++) {
		if ((i > 0 && strcmp(folders.names[i - 1], folders.names[i]) == 0) || told++ >= FOLDERS_SHOWN)
			continue;
		sg_buffer_append_text(out, told > 1 ? ", " : "");
		append_escaped(out, folders.names[i]);
	}
	if (told > FOLDERS_SHOWN)
		sg_buffer_printf(out, " and %zu more", told - FOLDERS_SHOWN);
	sg_buffer_append_byte(out, '\n');
}

/* --- all of it --- */

static size_t count_of(const struct sg_policy *policy, enum sg_rule_kind kind)
{
	size_t count;

	(void)sg_policy_rules(policy, kind, &count);
	return count;
}

static void append_may(const struct sg_policy *policy, struct sg_buffer *out)
{
	sg_buffer_append_text(out, "\nIt may\n");
	(void)append_rows(policy, may, SG_ARRAY_SIZE(may), "", out);
	if (sg_policy_has_flag(policy, "incoming"))
		sg_buffer_append_text(out, "  listen on\tfree ports of the host from 1024 up (flag \"incoming\")\n");
	if (count_of(policy, SG_RULE_ALLOW) == 0)
		sg_buffer_append_text(out, "  connect to\tnothing outside: its network is its own\n");
	append_folders(policy, out);
	append_flags(policy, out);
	append_calls(policy, out);
	sg_buffer_append_text(
		out, "  nothing else\tother files do not exist for it, other addresses and calls are refused\n");
}

void sg_explain_short(const struct sg_policy *policy, struct sg_buffer *out)
{
	append_may(policy, out);
	(void)append_rows(policy, refused, SG_ARRAY_SIZE(refused), "\nRefused, whatever allows it\n", out);
	(void)append_rows(policy, labels, SG_ARRAY_SIZE(labels), "\nLabels and walls\n", out);
	(void)append_rows(policy, recorded, SG_ARRAY_SIZE(recorded), "\nRecorded, refused ones too\n", out);
	sg_buffer_append_text(out, "\nIts processes\n");
	append_limits(policy, out);
	(void)append_rows(policy, process, SG_ARRAY_SIZE(process), "", out);
}
