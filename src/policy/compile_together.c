/*
 * What means something only together: the lists of [Walls], the values of a label, the parts of a privileged action.
 *
 * The policy is a set of rules, each a kind and a text: sorted, equal ones merged, hashed. A rule for each single value would lose
 * which values stood together: walls between a and b, and c and d, would hash like walls between a and c, and b and d, and who signed
 * the one would have signed the other. So one rule's text says all that belongs together, quoted, so that no name can look like two.
 * A wall is a set of labels: their order and repetition say nothing. The command of an action is a list: there they do.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compile_internal.h"
#include "profile/quote.h"

static int by_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void add(struct sg_compiler *compiler, const struct sg_statement *statement, struct sg_buffer *text)
{
	struct sg_rule *rule = sg_compile_add(compiler, statement->kind, statement, NULL);
	char *whole = rule != NULL ? sg_buffer_take(text) : NULL;

	if (rule == NULL)
		return;
	if (whole == NULL)
		compiler->status = -ENOMEM;
	else
		rule->text = rule->owned_text = whole;
}

/* `["a", "b"]`: each label once, sorted. */
static void append_set(struct sg_compiler *compiler, const struct sg_statement *statements, size_t count,
		       struct sg_buffer *out)
{
	SG_AUTO_FREE const char **names = calloc(count + 1, sizeof(*names));
	const char *between = "";

	if (names == NULL) {
		compiler->status = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < count; i++)
		names[i] = statements[i].text;
	qsort(names, count, sizeof(*names), by_text);
	sg_buffer_append_byte(out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && strcmp(names[i - 1], names[i]) == 0)
			continue;
		sg_buffer_append_text(out, between);
		sg_toml_quote(out, names[i]);
		between = ", ";
	}
	sg_buffer_append_byte(out, ']');
}

/* `Name "a" Command "b" "c" Ask "d"`: keys in this order, whatever the table's; values as they stand. */
static void append_action(const struct sg_statement *statements, size_t count, struct sg_buffer *out)
{
	static const char *const keys[] = {"Name", "Command", "Ask"};

	sg_buffer_append_text(out, "Action");
	for (size_t i = 0; i < SG_ARRAY_SIZE(keys); i++) {
		bool named = false;

		for (size_t j = 0; j < count; j++) {
			if (strcmp(statements[j].key, keys[i]) != 0)
				continue;
			sg_buffer_printf(out, "%s%s ", named ? "" : " ", named ? "" : keys[i]);
			sg_toml_quote(out, statements[j].text);
			named = true;
		}
	}
}

/* `"customers" Files "/srv/customers/ **"` without the blank; a label's name alone that there is one. */
static void append_value(const struct sg_statement *statement, struct sg_buffer *out)
{
	if (statement->group != NULL)
		sg_toml_quote(out, statement->group);
	if (statement->key == NULL)
		return;
	sg_buffer_printf(out, "%s%s ", statement->group != NULL ? " " : "", statement->key);
	sg_toml_quote(out, statement->text);
}

size_t sg_compile_together(struct sg_compiler *compiler, const struct sg_statement *statements, size_t count)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	size_t together = 1;

	while (statements->part != 0 && together < count && statements[together].part == statements->part &&
	       statements[together].kind == statements->kind)
		together++;
	if (statements->kind == SG_RULE_WALL)
		append_set(compiler, statements, together, &text);
	else if (statements->part != 0)
		append_action(statements, together, &text);
	else
		append_value(statements, &text);
	add(compiler, statements, &text);
	return together;
}

/* The names of all labels, sorted; *ret is to be freed. Returns how many, or -ENOMEM. */
static ssize_t find_labels(const struct sg_compiler *compiler, const char ***ret)
{
	SG_AUTO_FREE const char **names = calloc(compiler->policy->rule_count + 1, sizeof(*names));
	size_t count = 0;

	if (names == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < compiler->own_count; i++) {
		const struct sg_profile *profile = compiler->policy->profiles[i];

		for (size_t j = 0; j < profile->count && count < compiler->policy->rule_count; j++)
			if (profile->statements[j].kind == SG_RULE_LABEL && profile->statements[j].key == NULL)
				names[count++] = profile->statements[j].text;
	}
	qsort(names, count, sizeof(*names), by_text);
	*ret = sg_take_pointer(names);
	return (ssize_t)count;
}

void sg_compile_check_walls(struct sg_compiler *compiler)
{
	SG_AUTO_FREE const char **labels = NULL;
	const ssize_t count = find_labels(compiler, &labels);

	if (count < 0) {
		compiler->status = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < compiler->own_count; i++) {
		const struct sg_profile *profile = compiler->policy->profiles[i];

		for (size_t j = 0; j < profile->count; j++) {
			const struct sg_statement *statement = &profile->statements[j];

			if (statement->kind == SG_RULE_WALL &&
			    bsearch(&statement->text, labels, (size_t)count, sizeof(*labels), by_text) == NULL)
				sg_compile_complain(compiler, statement, "define it: [Label.NAME]",
						    "there is no label \"%s\"", statement->text);
		}
	}
}
