#include "policy/words.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *operation, *access, *verb, *folder; /* access "": any; folder: the verb for a folder, or NULL */
} verbs[] = {
	{"open", "read", "read", "list"},     {"open", "write", "write", "write to"}, {"open", "change", "make", NULL},
	{"open", "execute", "execute", NULL}, {"exec", "", "execute", NULL},          {"call", "", "call", NULL},
	{"look", "", "look at", NULL},
};

const char *sg_words_verb(const char *operation, const char *access, const char *object)
{
	const size_t length = object != NULL ? strlen(object) : 0;
	const bool folder = length > 0 && object[length - 1] == '/';

	for (size_t i = 0; i < SG_ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].operation, operation) == 0 &&
		    (verbs[i].access[0] == '\0' || strcmp(verbs[i].access, access) == 0))
			return folder && verbs[i].folder != NULL ? verbs[i].folder : verbs[i].verb;
	return operation;
}

const char *sg_words_access(enum sg_access access)
{
	switch (access) {
	case SG_ACCESS_READ:
		return "read";
	case SG_ACCESS_WRITE:
		return "write";
	case SG_ACCESS_CHANGE:
		return "change";
	case SG_ACCESS_EXECUTE:
		return "execute";
	}
	return "";
}

void sg_words_accesses(unsigned int accesses, char text[static SG_WORDS_ACCESSES_SIZE])
{
	size_t length = 0;

	text[0] = '\0';
	for (unsigned int bit = SG_ACCESS_READ; bit <= SG_ACCESS_EXECUTE; bit <<= 1)
		if ((accesses & bit) != 0)
			length += (size_t)snprintf(text + length, SG_WORDS_ACCESSES_SIZE - length, "%s%s",
						   length > 0 ? "+" : "", sg_words_access((enum sg_access)bit));
}

const char *sg_words_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL || slash[1] == '\0' ? path : slash + 1;
}

void sg_words_place(const struct sg_rule *rule, bool whole, struct sg_buffer *out)
{
	const struct sg_position position = sg_source_locate(rule->source, rule->span.offset);
	const char *name = whole ? rule->source->name : sg_words_base(rule->source->name);

	sg_buffer_append_escaped(out, name, strlen(name));
	sg_buffer_printf(out, ":%zu:%zu", position.line, position.column);
}

void sg_words_rule(const struct sg_rule *rule, struct sg_buffer *out)
{
	const bool together = sg_policy_means_together(rule->kind); /* quoted as it is */
	const char *text = together ? rule->text : rule->written;

	sg_buffer_printf(out, "%s %s", sg_rule_infos[rule->kind].name, together ? "" : "\"");
	sg_buffer_append_escaped(out, text, strlen(text));
	sg_buffer_append_text(out, together ? "" : "\"");
}

/* What may follow a literal folder, and what it means then. */
static const struct {
	const char *rest, *words;
} rests[] = {
	{"**", "everything in this folder, however deep"},
	{"**/", "all folders in this one, however deep: their lists"},
	{"**[^/]", "all files in this folder, however deep"},
	{"*", "the files in this folder, not those in folders of it"},
	{"*/", "the folders in this one: their lists"},
};

const char *sg_words_glob(const struct sg_glob *glob)
{
	size_t prefix, length;
	const char *name = sg_glob_prefix(glob, &prefix), *text = sg_glob_text(glob, &length);

	if (sg_glob_is_literal(glob))
		return name[prefix - 1] == '/' ? "the folder itself: its list" : "";
	if (name[prefix - 1] != '/')
		return "";
	for (size_t i = 0; i < SG_ARRAY_SIZE(rests); i++) {
		size_t rest = strlen(rests[i].rest);

		/* The text before must be the folder alone: a prefix without escapes or repeated slashes. */
		if (length == prefix + rest && memcmp(text + prefix, rests[i].rest, rest) == 0)
			return rests[i].words;
	}
	return "";
}

void sg_words_need(const struct sg_need *need, char *out, size_t size)
{
	switch (need->kind) {
	case SG_NEED_NEVER:
		(void)snprintf(out, size, "no flag gives it: %s", need->reason);
		return;
	case SG_NEED_DENIED:
		if (need->rule->flag != NULL || need->rule->kind == SG_RULE_DENY_FLAG)
			(void)snprintf(out, size, "DenyFlags refuses the flag \"%s\", which gives it",
				       need->rule->kind == SG_RULE_DENY_FLAG ? need->rule->text : need->rule->flag);
		else
			(void)snprintf(out, size, "%s names it", sg_rule_infos[need->rule->kind].name);
		return;
	case SG_NEED_FLAG:
		(void)snprintf(out, size, "the flag \"%s\" gives it", need->flag);
		return;
	case SG_NEED_UNKNOWN:
		break;
	}
	(void)snprintf(out, size, "not with these arguments");
}
