/* What only shows when rules are held against each other, or a profile against the tables. */
#include <string.h>

#include "policy/explain.h"
#include "policy/needs.h"
#include "policy/words.h"
#include "tables/values.h"

enum {
	LINES_MAX = 200,
	FOLDERS_MAX = 64,
	PAIRS_MAX = 1 << 24,   /* of rules, looked at */
	COMPARED_MAX = 1 << 13 /* of globs, whose sets of names are compared */
};

#define KIND(name) (UINT64_C(1) << SG_RULE_##name)

static bool is_kind(const struct sg_rule *rule, uint64_t kinds)
{
	return (kinds >> rule->kind & 1) != 0;
}

static void append_both(const struct sg_rule *a, const char *between, const struct sg_rule *b, struct sg_buffer *out)
{
	sg_buffer_append_text(out, "  ");
	sg_words_rule(a, out);
	sg_buffer_append_text(out, " (");
	sg_words_place(a, false, out);
	sg_buffer_printf(out, ") %s ", between);
	sg_words_rule(b, out);
	sg_buffer_append_text(out, " (");
	sg_words_place(b, false, out);
	sg_buffer_append_text(out, ").\n");
}

/* What a pair of kinds means where both match. */
static const struct {
	uint64_t left, right;
	const char *words;
} meetings[] = {
	{KIND(DENY) | KIND(HIDE), KIND(READ) | KIND(WRITE) | KIND(EXECUTE) | KIND(MAP) | KIND(PRIVATE),
	 "takes away from"},
	{KIND(DENY_READ), KIND(READ) | KIND(WRITE) | KIND(EXECUTE) | KIND(MAP), "takes away from"},
	{KIND(DENY_WRITE), KIND(WRITE), "takes away from"},
	{KIND(DENY_EXECUTE), KIND(EXECUTE), "takes away from"},
	{KIND(READ), KIND(WRITE), "meets a rule that lets the same be written, and there it may be written:"},
};

/* What was done so far: a policy of very many rules is told in part, and says so. */
struct telling {
	size_t told, pairs, compared;
};

static bool is_over(const struct telling *telling)
{
	return telling->told >= LINES_MAX || telling->pairs >= PAIRS_MAX || telling->compared >= COMPARED_MAX;
}

/* Two rules of flags that meet are the business of those who wrote the flags. */
static bool is_worth_telling(const struct sg_rule *a, const struct sg_rule *b)
{
	return a->glob != NULL && b->glob != NULL && (a->flag == NULL || b->flag == NULL);
}

/* Whether the rules speak of a name in common. Most pairs have beginnings that differ, which costs next to nothing. */
static bool do_meet(const struct sg_rule *a, const struct sg_rule *b, struct telling *telling)
{
	size_t first, second;
	const char *one = sg_glob_prefix(a->glob, &first), *other = sg_glob_prefix(b->glob, &second);

	telling->pairs++;
	if (memcmp(one, other, first < second ? first : second) != 0)
		return false;
	telling->compared++;
	return sg_glob_overlaps(a->glob, b->glob) == SG_GLOB_YES;
}

/* One rule against those of a kind, which stand together. */
static void append_met(const struct sg_policy *policy, const struct sg_rule *a, size_t kind, const char *words,
		       struct telling *telling, struct sg_buffer *out)
{
	for (size_t j = policy->first[kind]; j < policy->first[kind + 1] && !is_over(telling); j++) {
		const struct sg_rule *b = &policy->rules[j];

		if (!is_worth_telling(a, b) || !do_meet(a, b, telling))
			continue;
		append_both(a, words, b, out);
		telling->told++;
	}
}

static void append_meetings(const struct sg_policy *policy, size_t row, struct telling *telling, struct sg_buffer *out)
{
	for (size_t i = 0; i < policy->rule_count && !is_over(telling); i++)
		for (size_t kind = 0; kind < SG_RULE_KINDS && is_kind(&policy->rules[i], meetings[row].left); kind++)
			if ((meetings[row].right >> kind & 1) != 0)
				append_met(policy, &policy->rules[i], kind, meetings[row].words, telling, out);
}

static void append_flag_meetings(const struct sg_policy *policy, struct telling *telling, struct sg_buffer *out)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_DENY_FLAG, &count);

	for (size_t i = 0; i < count && telling->told < LINES_MAX; i++) {
		const struct sg_rule *granted = sg_policy_find(policy, SG_RULE_FLAG, rules[i].text);

		if (granted == NULL)
			continue;
		append_both(&rules[i], "refuses what is granted by", granted, out);
		telling->told++;
	}
}

void sg_explain_overlaps(const struct sg_policy *policy, struct sg_buffer *out)
{
	SG_AUTO_BUFFER struct sg_buffer lines = SG_BUFFER_INIT;
	struct telling telling = {.told = 0};
	bool over;

	for (size_t row = 0; row < SG_ARRAY_SIZE(meetings); row++)
		append_meetings(policy, row, &telling, &lines);
	over = is_over(&telling);
	append_flag_meetings(policy, &telling, &lines);
	if (telling.told == 0 && !over)
		return;
	sg_buffer_append_text(out, "\nWhere rules meet (what denies wins)\n");
	sg_buffer_append(out, lines.data, lines.size);
	if (over || telling.told >= LINES_MAX)
		sg_buffer_append_text(out, "  ... and more: not every pair of so many rules was compared.\n");
}

/* --- folders --- */

int sg_explain_each_folder(const struct sg_policy *policy,
			   int (*each)(void *context, const char *folder, const struct sg_rule *rule), void *context)
{
	int status = 0;

	for (size_t i = 0; i < policy->rule_count && status == 0; i++) {
		SG_CLEANUP(sg_glob_names_done) struct sg_glob_names names = {0};
		const struct sg_rule *rule = &policy->rules[i];

		if (!is_kind(rule, KIND(READ) | KIND(WRITE) | KIND(EXECUTE) | KIND(MAP)) || rule->glob == NULL ||
		    sg_glob_is_tree(rule->glob) || sg_glob_folders(rule->glob, FOLDERS_MAX, &names) < 0)
			continue;
		for (size_t j = 0; j < names.count && status == 0; j++)
			status = each(context, names.names[j], rule);
	}
	return status;
}

struct folders {
	struct sg_buffer *out;
	size_t told;
};

static int append_folder(void *context, const char *folder, const struct sg_rule *rule)
{
	struct folders *folders = context;
	struct sg_buffer *out = folders->out;

	if (folders->told == LINES_MAX) {
		sg_buffer_append_text(out, "    ... and more\n");
		return 1;
	}
	if (folders->told++ == 0)
		sg_buffer_append_text(out, "\nFolders whose names its programs see (names, sizes and times, "
					   "not the contents), since a rule "
					   "picks files there by name\n");
	sg_buffer_append_text(out, "    ");
	sg_buffer_append_escaped(out, folder, strlen(folder));
	sg_buffer_append_text(out, "\tfor ");
	sg_words_rule(rule, out);
	sg_buffer_append_byte(out, '\n');
	return 0;
}

void sg_explain_folders(const struct sg_policy *policy, struct sg_buffer *out)
{
	struct folders folders = {.out = out};

	(void)sg_explain_each_folder(policy, append_folder, &folders);
}

/* --- OpenBSD --- */

/* Calls that a comment names, each once. */
struct calls {
	const struct sg_openbsd_call *items[LINES_MAX];
	size_t count;
};

static bool is_name_byte(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '_';
}

static void find_calls(const char *text, size_t length, struct calls *calls)
{
	for (size_t i = 0; i < length;) {
		const struct sg_openbsd_call *call;
		size_t size = 0;
		bool known = false;

		while (i + size < length && is_name_byte(text[i + size]))
			size++;
		call = size > 0 ? sg_openbsd_find(text + i, size) : NULL;
		for (size_t j = 0; call != NULL && j < calls->count; j++)
			known |= calls->items[j] == call;
		if (call != NULL && !known && calls->count < LINES_MAX)
			calls->items[calls->count++] = call;
		i += size > 0 ? size : 1;
	}
}

/* A line's text without its newline. */
static const char *line_of(const struct sg_source *source, size_t line, size_t *ret_length)
{
	const char *start = source->text + source->lines[line];

	*ret_length = strcspn(start, "\n");
	return start;
}

/* The comment of the line that holds the offset, and the lines of nothing but comment above it. */
static void find_in_comments(const struct sg_source *source, size_t offset, struct calls *calls)
{
	size_t line = sg_source_line(source, offset) - 1 - source->line_before, length;
	const char *text = line_of(source, line, &length), *comment = memchr(text, '#', length);

	if (comment != NULL)
		find_calls(comment, length - (size_t)(comment - text), calls);
	while (line-- > 0) {
		text = line_of(source, line, &length);
		if (text[strspn(text, " \t")] != '#')
			return;
		find_calls(text, length, calls);
	}
}

void sg_explain_openbsd(const struct sg_policy *policy, bool whole, struct sg_buffer *out)
{
	struct calls calls = {.count = 0};
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_FLAG, &count);

	for (size_t i = 0; i < count; i++) {
		const struct sg_statement *definition = sg_need_definition(policy, rules[i].text);

		if (rules[i].flag != NULL)
			continue;
		find_in_comments(rules[i].source, rules[i].span.offset, &calls);
		if (whole && definition != NULL)
			find_in_comments(definition->source, definition->group_span.offset, &calls);
	}
	if (calls.count == 0)
		return;
	sg_buffer_append_text(out, "\nNames of OpenBSD that the comments of its flags speak of\n");
	for (size_t i = 0; i < calls.count; i++) {
		const struct sg_openbsd_call *call = calls.items[i];

		sg_buffer_printf(out, "    %s\t", call->name);
		if (call->linux_name != NULL)
			sg_buffer_printf(out, "%s%s%s\n", call->linux_name, call->note[0] != '\0' ? ": " : "",
					 call->note);
		else
			sg_buffer_printf(out, "none in Linux: %s\n", call->note);
	}
}
