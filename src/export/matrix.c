/*
 * The matrix of rules and back ends, as text. Verdicts stand first, in columns; names, which may be long, last. Of one back end the
 * verdicts are words; those of several are signs in narrow columns, under a heading that says whose they are and what they mean.
 */
#include <stdio.h>
#include <string.h>

#include "export/export.h"
#include "policy/words.h"

enum { COLUMN = 18, SIGNS = 4, NOTES_MAX = 64, RUN_MIN = 4 };

static const char signs[] = {
	[SG_HOLDS_NOT] = '-',
	[SG_HOLDS_PARTLY] = '<',
	[SG_HOLDS_STRICTER] = '>',
	[SG_HOLDS] = '+',
};

const char *sg_export_rest_words(enum sg_export_rest rest)
{
	static const char *const words[SG_RESTS_] = {
#define SG_EXPORT_REST(id, words) [SG_REST_##id] = words,
#include "export/rest.def"
#undef SG_EXPORT_REST
	};

	return words[rest];
}

const char *sg_holding_words(enum sg_holding holding)
{
	static const char *const words[] = {
		[SG_HOLDS_NOT] = "not enforced",
		[SG_HOLDS_PARTLY] = "approximated",
		[SG_HOLDS_STRICTER] = "approximated",
		[SG_HOLDS] = "enforced",
	};

	return words[holding];
}

/* The notes are few and static: those of back ends, none twice. */
struct notes {
	struct {
		const char *exporter, *how;
		enum sg_holding holding;
	} notes[NOTES_MAX];
	size_t count;
};

static size_t number_of_note(struct notes *notes, const struct sg_exporter *exporter, const struct sg_hold *hold)
{
	for (size_t i = 0; i < notes->count; i++)
		if (notes->notes[i].exporter == exporter->name && notes->notes[i].holding == hold->holding &&
		    strcmp(notes->notes[i].how, hold->how) == 0)
			return i + 1;
	if (notes->count == NOTES_MAX)
		return 0;
	notes->notes[notes->count].exporter = exporter->name;
	notes->notes[notes->count].holding = hold->holding;
	notes->notes[notes->count++].how = hold->how;
	return notes->count;
}

/* How a matrix is written. */
struct form {
	const struct sg_export *exports;
	size_t count;
	bool weak_only;
	const char *prefix; /* "": the text is laid out behind (cli/layout.h): a tab stands before what may be long */
	struct notes notes;
};

static bool is_laid_out(const struct form *form)
{
	return form->prefix[0] == '\0';
}

static void append_verdict(struct form *form, size_t index, const struct sg_hold *hold, struct sg_buffer *out)
{
	const size_t number = hold->how != NULL && hold->holding != SG_HOLDS
				      ? number_of_note(&form->notes, form->exports[index].exporter, hold)
				      : 0;
	const bool last = index + 1 == form->count, laid = is_laid_out(form);
	char text[64];

	if (form->count == 1)
		(void)snprintf(text, sizeof(text), number > 0 ? "%s [%zu]" : "%s", sg_holding_words(hold->holding),
			       number);
	else
		(void)snprintf(text, sizeof(text), number > 0 ? "%c%zu" : "%c", signs[hold->holding], number);
	sg_buffer_printf(out, "%-*s", last && laid ? 0 : form->count == 1 ? COLUMN : SIGNS, text);
	if (last && laid)
		sg_buffer_append_byte(out, '\t');
}

/* Several back ends: each has a line that leads to its column. */
static void append_titles(const struct form *form, struct sg_buffer *out)
{
	const char *gap = is_laid_out(form) ? "\t" : "";

	if (form->count == 1) {
		sg_buffer_printf(out, "%s%-*s%srule\n", form->prefix, gap[0] == '\0' ? COLUMN : 0,
				 form->exports[0].exporter->name, gap);
		return;
	}
	for (size_t i = 0; i < form->count; i++) {
		sg_buffer_append_text(out, form->prefix);
		for (size_t j = 0; j < i; j++)
			sg_buffer_printf(out, "%-*s", SIGNS, "|");
		sg_buffer_printf(out, "%s\n", form->exports[i].exporter->name);
	}
	sg_buffer_append_text(out, form->prefix);
	for (size_t i = 0; i < form->count; i++)
		sg_buffer_printf(out, "%-*s", i + 1 == form->count && gap[0] != '\0' ? 0 : SIGNS, "|");
	sg_buffer_printf(out, "%srule\n", gap);
}

/* What the signs of several back ends mean. */
static void append_legend(const struct form *form, struct sg_buffer *out)
{
	static const struct {
		enum sg_holding holding;
		const char *words;
	} rows[] = {
		{SG_HOLDS, "enforced"},
		{SG_HOLDS_NOT, "not enforced"},
		{SG_HOLDS_PARTLY, "approximated, weaker than the profile"},
		{SG_HOLDS_STRICTER, "approximated, stricter than the profile"},
	};

	for (size_t i = 0; i < SG_ARRAY_SIZE(rows) && form->count > 1; i++)
		sg_buffer_printf(out, "%s%c  %s\n", form->prefix, signs[rows[i].holding], rows[i].words);
	if (form->count > 1)
		sg_buffer_printf(out, "%s1  a note, below\n%s\n", form->prefix, form->prefix);
}

/* What rows name by its number. */
static void append_notes(const struct form *form, struct sg_buffer *out)
{
	for (size_t i = 0; i < form->notes.count; i++)
		sg_buffer_printf(out, "%s[%zu]%s%s%s: %s\n", form->prefix, i + 1, is_laid_out(form) ? "\t" : " ",
				 form->notes.notes[i].exporter,
				 form->notes.notes[i].holding == SG_HOLDS_PARTLY     ? ", weaker than the profile"
				 : form->notes.notes[i].holding == SG_HOLDS_STRICTER ? ", stricter than the profile"
										     : "",
				 form->notes.notes[i].how);
}

/*
 * True if one row tells of both rules: they are of one kind, every back end holds them alike, and they came with one flag, or
 * (`short_form`) it does not matter whence they came.
 */
static bool is_alike(const struct sg_export *exports, size_t count, bool short_form, size_t a, size_t b)
{
	const struct sg_rule *x = &exports[0].policy->rules[a], *y = &exports[0].policy->rules[b];

	if (!sg_export_is_judged(y))
		return false;
	if (!short_form && (x->flag == NULL || y->flag == NULL || strcmp(x->flag, y->flag) != 0))
		return false;
	for (size_t i = 0; i < count; i++)
		if (exports[i].rules[a].holding != exports[i].rules[b].holding ||
		    exports[i].rules[a].how != exports[i].rules[b].how)
			return false;
	return true;
}

/*
 * Rules that the row of `first` tells of; 0 if the row of one before it tells of it. Rules of one kind stand together; kinds of
 * which there are thousands are told one by one.
 */
static size_t count_alike(const struct sg_export *exports, size_t count, bool short_form, size_t first)
{
	const struct sg_policy *policy = exports[0].policy;
	const enum sg_rule_kind kind = policy->rules[first].kind;
	size_t alike = 0;

	if (!short_form && policy->rules[first].flag == NULL)
		return 1;
	for (size_t i = policy->first[kind]; i < policy->first[kind + 1]; i++) {
		if (i != first && !is_alike(exports, count, short_form, first, i))
			continue;
		if (i < first)
			return 0;
		alike++;
	}
	return alike;
}

/*
 * The rules from `first` on that stand in one profile's text, are of one kind and fare alike: for a person they are one row, where
 * they are some. What is written into an artefact has a row for each.
 */
static size_t count_run(const struct form *form, size_t first)
{
	const struct sg_policy *policy = form->exports[0].policy;
	const struct sg_rule *rule = &policy->rules[first];
	size_t count = 1;

	if (!is_laid_out(form) || form->weak_only || rule->flag != NULL)
		return 1;
	while (first + count < policy->first[rule->kind + 1] && policy->rules[first + count].flag == NULL &&
	       policy->rules[first + count].source == rule->source &&
	       is_alike(form->exports, form->count, true, first, first + count))
		count++;
	return count < RUN_MIN ? 1 : count;
}

static void append_run(const struct sg_rule *rules, size_t count, struct sg_buffer *out)
{
	sg_buffer_printf(out, "%s, %zu rules from \"", sg_rule_infos[rules->kind].name, count);
	sg_buffer_append_escaped(out, rules->written, strlen(rules->written));
	sg_buffer_append_text(out, "\" to \"");
	sg_buffer_append_escaped(out, rules[count - 1].written, strlen(rules[count - 1].written));
	sg_buffer_append_text(out, "\" (");
	sg_buffer_append_escaped(out, sg_words_base(rules->source->name), strlen(sg_words_base(rules->source->name)));
	sg_buffer_append_text(out, ")\n");
}

static void append_flag(const char *before, const struct sg_rule *rule, const char *after, struct sg_buffer *out)
{
	sg_buffer_printf(out, "%s\"", before);
	sg_buffer_append_escaped(out, rule->flag, strlen(rule->flag));
	sg_buffer_printf(out, "\"%s", after);
}

static void append_name(const struct sg_rule *rule, size_t alike, bool short_form, struct sg_buffer *out)
{
	if (alike > 1) {
		sg_buffer_printf(out, "%s, %zu rules", sg_rule_infos[rule->kind].name, alike);
		if (!short_form)
			append_flag(" of the flag ", rule, "", out);
		sg_buffer_append_byte(out, '\n');
		return;
	}
	sg_words_rule(rule, out);
	sg_buffer_append_text(out, " (");
	if (rule->flag != NULL)
		append_flag("flag ", rule, ", ", out);
	sg_words_place(rule, false, out);
	sg_buffer_append_text(out, ")\n");
}

static void append_rules(struct form *form, struct sg_buffer *out)
{
	const struct sg_export *exports = form->exports;
	const struct sg_policy *policy = exports[0].policy;

	for (size_t i = 0, run = 1; i < policy->rule_count; i += run) {
		const struct sg_rule *rule = &policy->rules[i];
		size_t alike;

		run = 1;
		if (!sg_export_is_judged(rule) ||
		    (form->weak_only && sg_export_rule_together(exports, form->count, i) >= SG_HOLDS_STRICTER))
			continue;
		alike = count_alike(exports, form->count, form->weak_only, i);
		if (alike == 0)
			continue;
		sg_buffer_append_text(out, form->prefix);
		for (size_t j = 0; j < form->count; j++)
			append_verdict(form, j, &exports[j].rules[i], out);
		run = count_run(form, i);
		if (run > 1)
			append_run(rule, run, out);
		else
			append_name(rule, alike, form->weak_only, out);
	}
}

static void append_rests(struct form *form, struct sg_buffer *out)
{
	for (int rest = 0; rest < SG_RESTS_; rest++) {
		if (form->weak_only &&
		    sg_export_rest_together(form->exports, form->count, (enum sg_export_rest)rest) >= SG_HOLDS_STRICTER)
			continue;
		sg_buffer_append_text(out, form->prefix);
		for (size_t j = 0; j < form->count; j++)
			append_verdict(form, j, &form->exports[j].rests[rest], out);
		sg_buffer_printf(out, "%s\n", sg_export_rest_words((enum sg_export_rest)rest));
	}
}

void sg_export_matrix(const struct sg_export *exports, size_t count, bool weak_only, const char *prefix,
		      struct sg_buffer *out)
{
	struct form form = {.exports = exports, .count = count, .weak_only = weak_only, .prefix = prefix};

	append_legend(&form, out);
	append_titles(&form, out);
	append_rules(&form, out);
	append_rests(&form, out);
	if (form.notes.count > 0 && is_laid_out(&form))
		sg_buffer_append_byte(out, '\n');
	append_notes(&form, out);
}

void sg_export_header(const struct sg_export *with, const char *prefix, struct sg_buffer *out)
{
	char hash[2 * SG_POLICY_HASH_SIZE + 1];

	sg_policy_hash_text(with->policy, hash);
	sg_buffer_printf(out, "%s" SG_EXPORT_ORIGIN, prefix);
	sg_buffer_append_escaped(out, with->policy->name, strlen(with->policy->name));
	sg_buffer_append_text(out, " (");
	sg_buffer_append_escaped(out, with->policy->files, strlen(with->policy->files));
	sg_buffer_printf(out, ") for %s" SG_EXPORT_ORIGIN_END "\n%s%s.\n", with->exporter->name, prefix, hash);
	sg_buffer_printf(out,
			 "%sVariables of the profile (the folder, the home, the user) have the values of whoever "
			 "compiled it.\n%s\n",
			 prefix, prefix);
	sg_export_matrix(with, 1, false, prefix, out);
}
