/* The text of a proposal. */
#include "learn/propose.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "learn/bounds.h"
#include "learn/files.h"
#include "learn/flags.h"
#include "learn/names.h"
#include "learn/net.h"
#include "policy/needs.h"
#include "profile/format.h"
#include "profile/quote.h"

enum { SHORT_LINE = 100, LOOKED_MAX = 20 };

/* The sections with the keys that lines stand under, in the order in which both are written. */
static const struct {
	const char *section, *name;
	int key; /* enum sg_learn_key; -1: the flags */
} keys[] = {
	{"Networking", "Flags", -1},
	{"Networking", "Allow", SG_LEARN_ALLOW},
	{"Networking", "Deny", SG_LEARN_DENY_ADDRESS},
	{"Networking", "Listen", SG_LEARN_LISTEN},
	{"Filesystem", "Flags", -1},
	{"Filesystem", "ReadOnly", SG_LEARN_READ},
	{"Filesystem", "ReadWrite", SG_LEARN_WRITE},
	{"Filesystem", "Exec", SG_LEARN_EXECUTE},
	{"Filesystem", "Map", SG_LEARN_MAP},
	{"Filesystem", "Deny", SG_LEARN_DENY},
	{"Filesystem", "DenyRead", SG_LEARN_DENY_READ},
	{"Filesystem", "DenyWrite", SG_LEARN_DENY_WRITE},
	{"Filesystem", "DenyExec", SG_LEARN_DENY_EXECUTE},
	{"Filesystem", "Hide", SG_LEARN_HIDE},
	{"Runtime", "Flags", -1},
	{"User", "Flags", -1},
	{"Misc", "Flags", -1},
};

/* --- what the run was refused --- */

/* The line that would have given it, as far as one can be told. */
static enum sg_learn_key line_of_refused(const struct sg_used *used, const struct sg_variables *variables,
					 struct sg_buffer *value)
{
	if (used->access != 0) {
		sg_learn_append_name(used->name, strlen(used->name), variables, value);
		return (used->access & SG_ACCESS_EXECUTE) != 0                      ? SG_LEARN_EXECUTE
		       : (used->access & (SG_ACCESS_WRITE | SG_ACCESS_CHANGE)) != 0 ? SG_LEARN_WRITE
										    : SG_LEARN_READ;
	}
	if ((used->how & SG_USED_ASKED) != 0) {
		sg_buffer_printf(value, "tcp:%s:443", used->name);
	} else if (used->name[0] == '/') { /* a socket */
		sg_buffer_append_text(value, "unix:");
		sg_learn_append_name(used->name, strlen(used->name), variables, value);
	} else {
		sg_buffer_append_text(value, used->name);
	}
	return (used->how & SG_USED_LISTENED) != 0 ? SG_LEARN_LISTEN : SG_LEARN_ALLOW;
}

static void add_refused(const struct sg_observed *observed, const struct sg_learn_context *context,
			struct sg_learn_lines *lines)
{
	for (size_t i = 0; i < observed->refused.count; i++) {
		const struct sg_used *used = &observed->refused.items[i];
		SG_AUTO_BUFFER struct sg_buffer value = SG_BUFFER_INIT;
		const enum sg_learn_key key = line_of_refused(used, context->variables, &value);
		const char *why =
			(used->how & SG_USED_REFUSED) != 0 ? "refused in the run: a secret, or what a profile denies"
			: key == SG_LEARN_WRITE ? "refused in the run, where only some folders may be written (--rw)"
						: "refused in the run";

		if (sg_buffer_status(&value) < 0)
			lines->failed = true;
		else
			sg_learn_add(lines, key, true, value.data, "%s", why);
	}
}

/* --- what the named profiles deny --- */

static const struct {
	enum sg_rule_kind kind;
	enum sg_learn_key key;
} denials[] = {
	{SG_RULE_DENY, SG_LEARN_DENY},
	{SG_RULE_DENY_READ, SG_LEARN_DENY_READ},
	{SG_RULE_DENY_WRITE, SG_LEARN_DENY_WRITE},
	{SG_RULE_DENY_EXECUTE, SG_LEARN_DENY_EXECUTE},
	{SG_RULE_HIDE, SG_LEARN_HIDE},
	{SG_RULE_DENY_ADDRESS, SG_LEARN_DENY_ADDRESS},
};

static void add_denials(const struct sg_policy *policy, struct sg_learn_lines *lines)
{
	for (size_t i = 0; policy != NULL && i < SG_ARRAY_SIZE(denials); i++) {
		size_t count;
		const struct sg_rule *rules = sg_policy_rules(policy, denials[i].kind, &count);

		for (size_t j = 0; j < count; j++)
			if (rules[j].flag == NULL)
				sg_learn_add(lines, denials[i].key, false, rules[j].written, "%s",
					     rules[j].source->name);
	}
}

/* --- text --- */

/* What stands behind '#' is one line. */
static void append_comment(struct sg_buffer *out, const char *text)
{
	sg_buffer_append_escaped(out, text, strlen(text));
}

static bool is_of(const struct sg_learn_line *line, int key)
{
	return (int)line->key == key;
}

static size_t count_lines(const struct sg_learn_lines *lines, int key, bool *ret_plain)
{
	size_t count = 0;

	*ret_plain = true;
	for (size_t i = 0; i < lines->count; i++) {
		count += is_of(&lines->items[i], key);
		*ret_plain &=
			!is_of(&lines->items[i], key) || (!lines->items[i].off && lines->items[i].comment[0] == '\0');
	}
	return count;
}

/* On one line if it is short and has no comments. Returns false, with nothing written, if it is not. */
static bool write_short(const struct sg_learn_lines *lines, int key, const char *name, struct sg_buffer *out)
{
	const size_t begin = out->size;
	const char *separator = "";

	sg_buffer_printf(out, "%s = [", name);
	for (size_t i = 0; i < lines->count; i++) {
		if (!is_of(&lines->items[i], key))
			continue;
		sg_buffer_append_text(out, separator);
		sg_toml_quote(out, lines->items[i].value);
		separator = ", ";
	}
	sg_buffer_append_text(out, "]\n");
	if (out->failed || out->size - begin <= SHORT_LINE)
		return true;
	out->size = begin;
	out->data[begin] = '\0';
	return false;
}

static void write_long(const struct sg_learn_lines *lines, int key, const char *name, struct sg_buffer *out)
{
	sg_buffer_printf(out, "%s = [\n", name);
	for (size_t i = 0; i < lines->count; i++) {
		const struct sg_learn_line *line = &lines->items[i];

		if (!is_of(line, key))
			continue;
		sg_buffer_append_text(out, line->off ? "    # " : "    ");
		sg_toml_quote(out, line->value);
		sg_buffer_append_byte(out, ',');
		if (line->comment[0] != '\0') {
			sg_buffer_append_text(out, "  # ");
			append_comment(out, line->comment);
		}
		sg_buffer_append_byte(out, '\n');
	}
	sg_buffer_append_text(out, "]\n");
}

static void write_flags(const struct sg_learn_flags *flags, const char *section, struct sg_buffer *out)
{
	const char *separator = "";

	for (size_t i = 0; i < flags->count; i++) {
		if (strcmp(sg_need_section_of_flag(flags->names[i]), section) != 0)
			continue;
		sg_buffer_printf(out, "%s\"%s\"", separator[0] != '\0' ? separator : "Flags = [", flags->names[i]);
		separator = ", ";
	}
	if (separator[0] != '\0')
		sg_buffer_append_text(out, "]\n");
}

/* --- settings --- */

static void write_texts(const struct sg_policy *policy, enum sg_rule_kind kind, const char *name, struct sg_buffer *out)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, kind, &count);

	for (size_t i = 0; i < count; i++) {
		sg_buffer_printf(out, "%s%s", i > 0 ? ", " : name, i > 0 ? "" : " = [");
		sg_toml_quote(out, rules[i].written);
	}
	if (count > 0)
		sg_buffer_append_text(out, "]\n");
}

static void write_text(const struct sg_policy *policy, enum sg_rule_kind kind, const char *name, struct sg_buffer *out)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, kind, &count);

	if (count == 0)
		return;
	sg_buffer_printf(out, "%s = ", name);
	sg_toml_quote(out, rules[0].written);
	sg_buffer_append_byte(out, '\n');
}

static void write_limits(const struct sg_policy *policy, struct sg_buffer *out)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_LIMIT, &count);

	for (size_t i = 0; i < count; i++)
		sg_buffer_printf(out, "%s%s = %llu", i > 0 ? ", " : "Limits = { ", rules[i].text,
				 (unsigned long long)rules[i].number);
	if (count > 0)
		sg_buffer_append_text(out, " }\n");
}

/* What no run shows, and the person said when it was started. */
static void write_settings(const struct sg_policy *policy, const char *section, struct sg_buffer *out)
{
	if (policy == NULL)
		return;
	if (strcmp(section, "User") == 0)
		write_text(policy, SG_RULE_USER, "As", out);
	if (strcmp(section, "Runtime") != 0)
		return;
	write_texts(policy, SG_RULE_ENVIRONMENT, "Env", out);
	write_text(policy, SG_RULE_DIRECTORY, "Cwd", out);
	write_limits(policy, out);
}

static void write_tables(const struct sg_learn_flags *flags, const struct sg_learn_lines *lines,
			 const struct sg_policy *kept, struct sg_buffer *out)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(keys); i++) {
		SG_AUTO_BUFFER struct sg_buffer table = SG_BUFFER_INIT;
		const char *section = keys[i].section;
		bool plain;

		for (; i < SG_ARRAY_SIZE(keys) && strcmp(keys[i].section, section) == 0; i++) {
			if (keys[i].key < 0)
				write_flags(flags, section, &table);
			else if (count_lines(lines, keys[i].key, &plain) > 0 &&
				 (!plain || !write_short(lines, keys[i].key, keys[i].name, &table)))
				write_long(lines, keys[i].key, keys[i].name, &table);
		}
		i--;
		write_settings(kept, section, &table);
		if (table.size > 0)
			sg_buffer_printf(out, "\n[%s]\n%s", section, table.data);
		out->failed |= table.failed;
	}
}

static void write_head(const struct sg_observed *observed, const struct sg_learn_context *context,
		       struct sg_buffer *out)
{
	SG_AUTO_BUFFER struct sg_buffer command = SG_BUFFER_INIT, words = SG_BUFFER_INIT;

	for (size_t i = 0; context->command[i] != NULL && command.size < 160; i++) {
		sg_buffer_append_text(&command, i > 0 ? " " : "");
		sg_buffer_append_escaped(&command, context->command[i], strnlen(context->command[i], 120));
	}
	sg_buffer_printf(&words, "What one run used of: %s", command.data != NULL ? command.data : "");
	sg_buffer_append_text(out, "Name        = ");
	sg_toml_quote(out, context->name);
	sg_buffer_append_text(out, "\nDescription = ");
	sg_toml_quote(out, words.data != NULL ? words.data : "");
	sg_buffer_append_text(
		out,
		"\n\n# Proposed by \"shellguard learn\" from one run: what it did, not what it may do. Another run may "
		"need\n"
		"# more; what a comment calls a guess is one. Lines that begin with # and a quote give nothing.\n");
	if (!context->secrets)
		sg_buffer_append_text(
			out,
			"# Secrets of the built-in list (keys, tokens, password files) were refused in the run.\n");
	if (observed->incomplete)
		sg_buffer_append_text(out, "# The run used more than could be remembered: this is not all.\n");
	out->failed |= command.failed || words.failed;
}

/* Names that nothing above gives, and that were only looked at: stat tells that they are there, and in the world they are not. */
static void write_looked(const struct sg_observed *observed, struct sg_learn_matcher *given, struct sg_buffer *out)
{
	size_t count = 0;

	for (size_t i = 0; i < observed->files.count; i++) {
		const struct sg_used *used = &observed->files.items[i];

		if ((used->how & SG_USED_LOOKED) == 0 || used->target != NULL ||
		    used->name[strlen(used->name) - 1] == '/' ||
		    sg_learn_matcher_gives(given, used->name, SG_ACCESS_READ))
			continue;
		if (count++ >= LOOKED_MAX)
			continue;
		sg_buffer_append_text(out, count == 1 ? "\n# Only looked at, and not there under this profile:\n#   "
						      : "#   ");
		append_comment(out, used->name);
		sg_buffer_append_byte(out, '\n');
	}
	if (count > LOOKED_MAX)
		sg_buffer_printf(out, "#   and %zu more\n", count - LOOKED_MAX);
}

static void write_refused_calls(const struct sg_observed *observed, struct sg_buffer *out)
{
	for (size_t i = 0; i < observed->refused_calls.count; i++) {
		sg_buffer_append_text(out, i == 0 ? "\n# System calls that were refused in the run:\n#   " : "#   ");
		append_comment(out, observed->refused_calls.items[i].name);
		sg_buffer_append_byte(out, '\n');
	}
}

/* In the layout of all profiles. */
static int lay_out(const struct sg_buffer *text, struct sg_buffer *out, struct sg_error *error)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	struct sg_source *source = NULL;
	int status = sg_buffer_status(text);

	if (status == 0)
		status = sg_source_new("the proposal", text->data, text->size, &source);
	if (status == 0)
		status = sg_format(source, &diagnostics, out);
	sg_source_free(source);
	if (status != 0)
		return sg_error_set_errno(error, status < 0 ? status : -EBADMSG, "cannot write the proposal");
	return 0;
}

int sg_learn_propose(const struct sg_observed *observed, const struct sg_learn_context *context, struct sg_buffer *out,
		     struct sg_error *error)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	SG_AUTO_LEARN_LINES struct sg_learn_lines lines = {0};
	SG_AUTO_LEARN_MATCHER struct sg_learn_matcher given = {0};
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	struct sg_learn_flags flags;
	int status = sg_learn_flags_find(observed, context->variables, &flags, error);

	if (status == 0)
		status = sg_learn_flags_compile(&flags, context->variables, &policy, error);
	if (status == 0)
		status = sg_learn_matcher_init(&given, policy);
	if (status == 0) {
		const struct sg_learn_files files = {.observed = observed,
						     .variables = context->variables,
						     .given = &given,
						     .temporary = sg_learn_flags_have(&flags, "tmp"),
						     .looks = context->looks};

		status = sg_learn_files_find(&files, &lines);
	}
	if (status == 0)
		status = sg_learn_net_find(observed, context->variables, &lines);
	if (status < 0)
		return sg_error_set_errno(error, status, "cannot make a proposal of what was used");
	add_refused(observed, context, &lines);
	add_denials(context->kept, &lines);
	if (context->watched != NULL)
		sg_learn_bounds_keep(context->watched, context->variables, &lines);
	if (sg_learn_lines_settle(&lines) < 0)
		return sg_error_set_errno(error, -ENOMEM, "cannot make a proposal of what was used");
	write_head(observed, context, &text);
	write_tables(&flags, &lines, context->kept, &text);
	write_looked(observed, &given, &text);
	write_refused_calls(observed, &text);
	return lay_out(&text, out, error);
}
