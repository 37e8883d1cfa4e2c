#include "policy/explain.h"

#include <string.h>

#include "policy/addresspattern.h"
#include "policy/needs.h"
#include "policy/words.h"

static void append_escaped(struct sg_buffer *out, const char *text)
{
	sg_buffer_append_escaped(out, text, strlen(text));
}

static void heading(struct sg_buffer *out, const char *text)
{
	sg_buffer_printf(out, "\n%s\n", text);
}

/* --- title --- */

void sg_explain_title(const struct sg_policy *policy, bool whole, struct sg_buffer *out)
{
	char hash[2 * SG_POLICY_HASH_SIZE + 1];

	append_escaped(out, policy->name);
	sg_buffer_append_byte(out, '\n');
	for (size_t i = 0; i < policy->profile_count; i++) {
		const struct sg_profile *profile = policy->profiles[i];

		if (sg_policy_is_builtin(profile))
			continue;
		sg_buffer_append_text(out, "  ");
		append_escaped(out, whole ? profile->source->name : sg_words_base(profile->source->name));
		for (size_t j = 0; j < profile->count; j++)
			if (profile->statements[j].kind == SG_RULE_DESCRIPTION &&
			    profile->statements[j].section == SG_SECTION_ROOT) {
				sg_buffer_append_byte(out, '\t');
				append_escaped(out, profile->statements[j].text);
			}
		sg_buffer_append_byte(out, '\n');
	}
	sg_policy_hash_text(policy, hash);
	sg_buffer_printf(out, "\nNothing is allowed but what stands here. The policy's hash is %.16s.\n", hash);
}

/* --- lists of rules --- */

/* "(developer.toml:6:24)", and how it is written where that differs from what it means here. */
static void append_origin(const struct sg_rule *rule, struct sg_buffer *out)
{
	sg_buffer_append_text(out, " (");
	if (!sg_policy_means_together(rule->kind) && strcmp(rule->text, rule->written) != 0) {
		sg_buffer_append_text(out, "written ");
		append_escaped(out, rule->written);
		sg_buffer_append_text(out, ", ");
	}
	sg_words_place(rule, false, out);
	sg_buffer_append_byte(out, ')');
}

static void append_rule(const struct sg_rule *rule, const char *words, struct sg_buffer *out)
{
	sg_buffer_append_text(out, "    ");
	append_escaped(out, rule->text);
	sg_buffer_append_byte(out, '\t');
	append_escaped(out, words);
	append_origin(rule, out);
	sg_buffer_append_byte(out, '\n');
}

/* The rules that came with flags, those of one flag in one line. */
static void append_flag_rules(const struct sg_rule *rules, size_t count, struct sg_buffer *out)
{
	for (size_t i = 0; i < count; i++) {
		bool told = rules[i].flag == NULL;
		const char *between = "";

		for (size_t j = 0; j < i && !told; j++)
			told = rules[j].flag != NULL && strcmp(rules[j].flag, rules[i].flag) == 0;
		if (told)
			continue;
		sg_buffer_append_text(out, "    by the flag \"");
		append_escaped(out, rules[i].flag);
		sg_buffer_append_text(out, "\"\t");
		for (size_t j = i; j < count; j++) {
			if (rules[j].flag == NULL || strcmp(rules[j].flag, rules[i].flag) != 0)
				continue;
			sg_buffer_append_text(out, between);
			append_escaped(out, rules[j].text);
			between = ", ";
		}
		sg_buffer_append_byte(out, '\n');
	}
}

static const char *words_of_rule(const struct sg_rule *rule)
{
	return rule->glob != NULL && rule->kind != SG_RULE_PRIVATE ? sg_words_glob(rule->glob) : "";
}

/*
 * The rules of one kind, each with what `words_of` says of it. Returns false if there is none of that kind: then nothing is
 * written.
 */
static bool append_rules(const struct sg_policy *policy, enum sg_rule_kind kind, const char *title,
			 const char *(*words_of)(const struct sg_rule *rule), struct sg_buffer *out)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, kind, &count);

	if (count == 0)
		return false;
	sg_buffer_printf(out, "  %s\n", title);
	for (size_t i = 0; i < count; i++)
		if (rules[i].flag == NULL)
			append_rule(&rules[i], words_of(&rules[i]), out);
	append_flag_rules(rules, count, out);
	return true;
}

/* --- files --- */

static const struct {
	enum sg_rule_kind kind;
	const char *title;
} file_kinds[] = {
	{SG_RULE_READ, "It may read:"},
	{SG_RULE_WRITE, "It may read and write:"},
	{SG_RULE_EXECUTE, "It may read and execute:"},
	{SG_RULE_MAP, "It may load as libraries, not execute:"},
	{SG_RULE_PRIVATE, "Folders of its own, empty at the start and gone at the end:"},
	{SG_RULE_DENY, "Refused, whatever allows it (the names stay visible):"},
	{SG_RULE_DENY_READ, "Refused to be read, whatever allows it:"},
	{SG_RULE_DENY_WRITE, "Refused to be written, made, removed and renamed, whatever allows it:"},
	{SG_RULE_DENY_EXECUTE, "Refused to be executed, whatever allows it:"},
	{SG_RULE_HIDE, "Hidden, as if it did not exist:"},
	{SG_RULE_LOG_READ, "Each opening is recorded, refused ones too:"},
	{SG_RULE_LOG_WRITE, "Each opening for writing and each change of a name is recorded, refused ones too:"},
};

void sg_explain_files(const struct sg_policy *policy, struct sg_buffer *out)
{
	bool any = false;

	heading(out, "Files");
	for (size_t i = 0; i < SG_ARRAY_SIZE(file_kinds); i++)
		any |= append_rules(policy, file_kinds[i].kind, file_kinds[i].title, words_of_rule, out);
	sg_buffer_append_text(out,
			      any ? "  All other files of this host do not exist for it.\n" : "  No file at all.\n");
}

/* --- network --- */

static const char *const host_words[SG_HOST_KINDS_] = {
	[SG_HOST_PREFIX] = "by address",
	[SG_HOST_NAME] = ("the addresses that the session's resolver answers for the name: whatever else lives at them "
			  "is open too"),
	[SG_HOST_SUBDOMAINS] =
		"names below it, by the addresses answered for them: whatever else lives at them is open too",
	[SG_HOST_INTERNET] = "every address outside: not this host's own, loopback, link-local or metadata ones",
	[SG_HOST_OWN] = "this host's own addresses",
	[SG_HOST_LOOPBACK] = "the host's loopback",
	[SG_HOST_ANY] = "every address",
	[SG_HOST_UNIX_PATH] = "sockets of these names",
	[SG_HOST_UNIX_ABSTRACT] = "abstract sockets of these names",
};

static const char *words_of_address(const struct sg_rule *rule)
{
	struct sg_addresspattern pattern;
	struct sg_addresspattern_problem problem;
	const char *words = "";

	if (sg_addresspattern_parse(rule->text, strlen(rule->text),
				    rule->kind == SG_RULE_LISTEN         ? SG_ADDRESSPATTERN_LISTEN
				    : rule->kind == SG_RULE_DENY_ADDRESS ? SG_ADDRESSPATTERN_DENY
									 : SG_ADDRESSPATTERN_ALLOW,
				    &pattern, &problem) == 0) {
		words = host_words[pattern.kind];
		sg_addresspattern_done(&pattern);
	}
	return words;
}

void sg_explain_network(const struct sg_policy *policy, struct sg_buffer *out)
{
	bool any;

	heading(out, "Network");
	any = append_rules(policy, SG_RULE_ALLOW, "It may connect to:", words_of_address, out);
	any |= append_rules(policy, SG_RULE_LISTEN, "It may listen on:", words_of_address, out);
	if (sg_policy_has_flag(policy, "incoming")) {
		sg_buffer_append_text(
			out, "  By the flag \"incoming\" it may listen on free ports of the host from 1024 up.\n");
		any = true;
	}
	(void)append_rules(policy, SG_RULE_DENY_ADDRESS, "Refused, whatever allows it:", words_of_address, out);
	sg_buffer_append_text(out,
			      any ? "  All other addresses are refused. The world's loopback is its own.\n"
				  : "  It has a network of its own that leads nowhere: no address can be reached.\n");
}

/* --- flags --- */

static void append_flag(const struct sg_policy *policy, const struct sg_rule *rule, struct sg_buffer *out)
{
	sg_buffer_append_text(out, "    ");
	append_escaped(out, rule->text);
	sg_buffer_append_byte(out, '\t');
	append_escaped(out, sg_need_describe_flag(policy, rule->text));
	if (sg_policy_find(policy, SG_RULE_DENY_FLAG, rule->text) != NULL && rule->kind == SG_RULE_FLAG)
		sg_buffer_append_text(out, " - refused by DenyFlags");
	append_origin(rule, out);
	sg_buffer_append_byte(out, '\n');
}

static void append_names(const struct sg_policy *policy, enum sg_rule_kind kind, bool own, const char *title,
			 struct sg_buffer *out)
{
	size_t count, told = 0;
	const struct sg_rule *rules = sg_policy_rules(policy, kind, &count);

	for (size_t i = 0; i < count; i++) {
		if ((rules[i].flag == NULL) != own)
			continue;
		if (told++ == 0)
			sg_buffer_printf(out, "  %s ", title);
		sg_buffer_append_text(out, told > 1 ? ", " : "");
		append_escaped(out, rules[i].text);
	}
	sg_buffer_append_text(out, told > 0 ? ".\n" : "");
}

void sg_explain_flags(const struct sg_policy *policy, struct sg_buffer *out)
{
	size_t count, calls;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_FLAG, &count);

	(void)sg_policy_rules(policy, SG_RULE_SYSCALL, &calls);
	heading(out, "What its programs may do");
	sg_buffer_append_text(out, count > 0 ? "  Purposes (flags) that are granted:\n"
					     : "  No purpose is granted: no program can start.\n");
	for (size_t i = 0; i < count; i++)
		if (rules[i].flag == NULL)
			append_flag(policy, &rules[i], out);
	append_names(policy, SG_RULE_FLAG, false, "Flags that come with them:", out);
	rules = sg_policy_rules(policy, SG_RULE_DENY_FLAG, &count);
	if (count > 0)
		sg_buffer_append_text(out, "  Purposes that are refused, whatever grants them:\n");
	for (size_t i = 0; i < count; i++)
		append_flag(policy, &rules[i], out);
	append_names(policy, SG_RULE_SYSCALL, true, "System calls that are named themselves:", out);
	append_names(policy, SG_RULE_DENY_SYSCALL, true, "System calls that are refused:", out);
	append_names(policy, SG_RULE_CAPABILITY, true, "Capabilities over its own namespace:", out);
	append_names(policy, SG_RULE_CAPABILITY, false,
		     "Capabilities over its own namespace that come with flags:", out);
	append_names(policy, SG_RULE_DENY_CAPABILITY, true, "Capabilities that are refused:", out);
	append_names(policy, SG_RULE_BOUND, true, "Further bounds, beside and behind the mount tree:", out);
	append_names(policy, SG_RULE_ACCEPT, true, "It runs even where the kernel lacks:", out);
	if (calls > 0)
		sg_buffer_printf(
			out,
			"  That makes %zu system calls; all others are refused (shellguard syscalls has them all).\n",
			calls);
}

/* --- labels, walls and what the broker may do --- */

void sg_explain_labels(const struct sg_policy *policy, struct sg_buffer *out)
{
	SG_AUTO_BUFFER struct sg_buffer rows = SG_BUFFER_INIT;
	bool any = append_rules(policy, SG_RULE_LABEL, "Classes of data and of reach:", words_of_rule, &rows);

	any |= append_rules(policy, SG_RULE_WALL, "One world never holds all of:", words_of_rule, &rows);
	any |= append_rules(policy, SG_RULE_PRIVILEGED, "Done for it by a privileged helper:", words_of_rule, &rows);
	if (!any)
		return;
	heading(out, "Labels, walls and privileged actions (checked by this version, which cannot hold them)");
	sg_buffer_append(out, rows.data, rows.size);
	out->failed |= rows.failed;
}

/* --- the process --- */

void sg_explain_limit_value(enum sg_limit_unit unit, uint64_t value, struct sg_buffer *out)
{
	static const struct {
		enum sg_limit_unit unit;
		uint64_t size;
		const char *name;
	} units[] = {
		{SG_LIMIT_BYTES, UINT64_C(1) << 40, "TiB"},
		{SG_LIMIT_BYTES, 1U << 30, "GiB"},
		{SG_LIMIT_BYTES, 1U << 20, "MiB"},
		{SG_LIMIT_BYTES, 1U << 10, "KiB"},
		{SG_LIMIT_BYTES, 1, " bytes"},
		{SG_LIMIT_SECONDS, 86400, "d"},
		{SG_LIMIT_SECONDS, 3600, "h"},
		{SG_LIMIT_SECONDS, 60, "min"},
		{SG_LIMIT_SECONDS, 1, "s"},
	};

	for (size_t i = 0; i < SG_ARRAY_SIZE(units); i++) {
		if (units[i].unit != unit || value % units[i].size != 0 || value < units[i].size)
			continue;
		sg_buffer_printf(out, "%llu%s", (unsigned long long)(value / units[i].size),
				 unit == SG_LIMIT_BYTES && value == 1 ? " byte" : units[i].name);
		return;
	}
	sg_buffer_printf(out, "%llu", (unsigned long long)value);
}

static void append_limits(const struct sg_policy *policy, struct sg_buffer *out)
{
	sg_buffer_append_text(out, "  Limits:\n");
	for (size_t i = 0; i < sg_limit_count; i++) {
		const struct sg_limit_info *limit = &sg_limit_infos[i];
		bool explicit;
		const uint64_t value = sg_policy_limit(policy, limit->name, &explicit);

		sg_buffer_printf(out, "    %s\t", limit->name);
		if (value == 0 && !explicit)
			sg_buffer_append_text(out, "as the caller's");
		else
			sg_explain_limit_value(limit->unit, value, out);
		sg_buffer_printf(out, ": %s", limit->description);
		if (explicit)
			append_origin(sg_policy_find(policy, SG_RULE_LIMIT, limit->name), out);
		sg_buffer_append_byte(out, '\n');
	}
}

void sg_explain_process(const struct sg_policy *policy, const char *const *passed, struct sg_buffer *out)
{
	size_t count;
	const struct sg_rule *rules;

	heading(out, "Its processes");
	append_limits(policy, out);
	sg_buffer_append_text(out, "  Environment: PATH, HOME, USER, LOGNAME and SHELLGUARD_SESSION are set; these "
				   "pass where the caller has "
				   "them:");
	for (size_t i = 0; passed[i] != NULL; i++)
		sg_buffer_printf(out, "%s %s", i == 0 ? "" : ",", passed[i]);
	sg_buffer_append_text(out, ".\n");
	(void)append_rules(policy, SG_RULE_ENVIRONMENT, "Beside them (NAME passes, NAME=value is set):", words_of_rule,
			   out);
	rules = sg_policy_rules(policy, SG_RULE_DIRECTORY, &count);
	if (count > 0) {
		sg_buffer_append_text(out, "  It starts in ");
		append_escaped(out, rules[0].text);
		sg_buffer_append_text(out, ".\n");
	} else {
		sg_buffer_append_text(out, "  It starts in the caller's folder where the world has it, else in /.\n");
	}
	rules = sg_policy_rules(policy, SG_RULE_USER, &count);
	sg_buffer_append_text(out, "  It runs as ");
	append_escaped(out, count > 0 ? rules[0].text : "the caller");
	sg_buffer_append_text(
		out, ", holds no capability over this host, sees no process but its own, and ends as a whole.\n");
}
