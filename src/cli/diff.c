/* shellguard diff: what authority a change of a profile gives or takes, by meaning. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/asking.h"
#include "cli/help.h"
#include "cli/layout.h"
#include "policy/difference.h"

static const char *const headings[SG_DIRECTIONS_] = {
	[SG_DIRECTION_GIVES] = "It gives:",
	[SG_DIRECTION_TAKES] = "It takes away:",
	[SG_DIRECTION_CHANGES] = "It changes:",
};

static void append_text(struct sg_buffer *out, const char *text)
{
	sg_buffer_append_escaped(out, text, strlen(text));
}

static void write_rule(const char *words, const struct sg_rule *rule, struct sg_buffer *out)
{
	if (rule == NULL)
		return;
	sg_buffer_printf(out, "    %s\t", words);
	sg_asking_rule(rule, out);
	sg_buffer_append_byte(out, '\n');
}

static void write_difference(const struct sg_difference *difference, struct sg_buffer *out)
{
	sg_buffer_printf(out, "  %s ", difference->what);
	append_text(out, difference->example);
	if (difference->before != NULL || difference->after != NULL) {
		sg_buffer_append_text(out, ": ");
		append_text(out, difference->before != NULL ? difference->before : "nothing");
		sg_buffer_append_text(out, " before, ");
		append_text(out, difference->after != NULL ? difference->after : "nothing");
		sg_buffer_append_text(out, " now");
	}
	sg_buffer_append_byte(out, '\n');
	write_rule("before", difference->was, out);
	write_rule("now", difference->becomes, out);
}

static void write_all(const struct sg_differences *list, struct sg_buffer *out)
{
	if (list->count == 0)
		sg_buffer_append_text(out, "No difference.\n");
	for (int direction = 0; direction < SG_DIRECTIONS_; direction++) {
		if (list->found[direction] == 0)
			continue;
		sg_buffer_printf(out, "%s%s\n", out->size > 0 ? "\n" : "", headings[direction]);
		for (size_t i = 0; i < list->count; i++)
			if (list->items[i].direction == (enum sg_direction)direction)
				write_difference(&list->items[i], out);
	}
}

static void append_json(const char *key, const char *text, struct sg_buffer *out)
{
	sg_buffer_printf(out, ",\"%s\":", key);
	if (text == NULL)
		sg_buffer_append_text(out, "null");
	else
		sg_buffer_append_json(out, text, strlen(text));
}

static void write_json(const struct sg_differences *list, struct sg_buffer *out)
{
	sg_buffer_append_text(out, "{\"differences\":[");
	for (size_t i = 0; i < list->count; i++) {
		const struct sg_difference *difference = &list->items[i];

		sg_buffer_printf(out, "%s{\"direction\":\"%s\"", i == 0 ? "" : ",",
				 sg_direction_names[difference->direction]);
		append_json("what", difference->what, out);
		append_json("example", difference->example, out);
		append_json("before", difference->before, out);
		append_json("after", difference->after, out);
		sg_buffer_append_text(out, ",\"was\":");
		sg_asking_rule_json(difference->was, out);
		sg_buffer_append_text(out, ",\"becomes\":");
		sg_asking_rule_json(difference->becomes, out);
		sg_buffer_append_byte(out, '}');
	}
	sg_buffer_append_byte(out, ']');
	for (int direction = 0; direction < SG_DIRECTIONS_; direction++)
		sg_buffer_printf(out, ",\"%s\":%zu", sg_direction_names[direction], list->found[direction]);
	sg_buffer_append_text(out, "}\n");
}

static int print_differences(const struct sg_differences *list, bool json)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

	(json ? write_json : write_all)(list, &text);
	if (sg_layout_print(STDOUT_FILENO, &text, json) != SG_EXIT_OK)
		return SG_EXIT_FAILED;
	return list->count > 0 ? SG_EXIT_NO : SG_EXIT_OK;
}

static int load(const char *name, struct sg_policy **ret)
{
	const struct sg_variables *variables = sg_variables_of_caller();
	int status;

	if (variables == NULL) {
		sg_complain("the working directory is gone, or lies outside of what we see");
		return SG_EXIT_FAILED;
	}
	status = sg_load_policy(&name, 1, NULL, variables, ret);
	return status == SG_EXIT_NO ? SG_EXIT_USAGE : status;
}

static int compare(const char *before, const char *after, bool json)
{
	SG_AUTO_POLICY struct sg_policy *old = NULL, *new = NULL;
	SG_AUTO_DIFFERENCES struct sg_differences list = {0};
	int status = load(before, &old);

	if (status == 0)
		status = load(after, &new);
	if (status != 0)
		return status;
	status = sg_policy_compare(old, new, &list);
	if (status == 0)
		return print_differences(&list, json);
	sg_complain("%s", status == SG_DIFFERENCE_TOO_LARGE
				  ? "the profiles have too many rules to tell every difference between them"
				  : "out of memory");
	return SG_EXIT_FAILED;
}

int sg_command_diff(int argc, char **argv)
{
	struct sg_options options = {0};
	int status = SG_EXIT_USAGE;

	if (sg_options_read(argc, argv, &options) == 0) {
		if (options.help)
			status = sg_command_help("diff", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
		else if (options.command[0] == NULL || options.command[1] == NULL || options.command[2] != NULL)
			status = sg_command_usage("diff");
		else
			status = compare(options.command[0], options.command[1], options.json);
	}
	sg_options_done(&options);
	return status;
}
