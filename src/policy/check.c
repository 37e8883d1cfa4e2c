/* Checks that look at several rules of a policy at once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "policy/compile_internal.h"
#include "tables/capabilities.h"
#include "tables/features.h"
#include "tables/syscalls.h"

#define complain_rule(compiler, rule, hint, ...)                                                                       \
	sg_compile_complain(compiler, &(struct sg_statement){.source = (rule)->source, .span = (rule)->span}, hint,    \
			    __VA_ARGS__)

/* What there can be one of: the user, the working directory. */
static void check_single(struct sg_compiler *compiler, enum sg_rule_kind kind, const char *what)
{
	const struct sg_rule *first = NULL;

	for (size_t i = 0; i < compiler->policy->rule_count; i++) {
		const struct sg_rule *rule = &compiler->policy->rules[i];

		if (rule->kind != kind)
			continue;
		if (first != NULL && strcmp(first->text, rule->text) != 0)
			complain_rule(compiler, rule, NULL, "two different %s: \"%s\" is named elsewhere", what,
				      first->text);
		first = rule;
	}
}

static int compare_rule_texts(const void *left, const void *right)
{
	return strcmp((*(const struct sg_rule *const *)left)->text, (*(const struct sg_rule *const *)right)->text);
}

/* Two values of one environment variable: which would hold? */
static void check_values(struct sg_compiler *compiler)
{
	const struct sg_policy *policy = compiler->policy;
	SG_AUTO_FREE const struct sg_rule **values = calloc(policy->rule_count + 1, sizeof(const struct sg_rule *));
	size_t count = 0;

	if (values == NULL) {
		compiler->status = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < policy->rule_count; i++)
		if (policy->rules[i].kind == SG_RULE_ENVIRONMENT && strchr(policy->rules[i].text, '=') != NULL)
			values[count++] = &policy->rules[i];
	qsort(values, count, sizeof(*values), compare_rule_texts);
	for (size_t i = 1; i < count; i++) {
		const size_t name = strcspn(values[i]->text, "=") + 1;

		if (strncmp(values[i - 1]->text, values[i]->text, name) == 0 &&
		    strcmp(values[i - 1]->text, values[i]->text) != 0)
			complain_rule(compiler, values[i], NULL, "two different values: \"%s\" is named elsewhere",
				      values[i - 1]->text);
	}
}

static void check_private(struct sg_compiler *compiler)
{
	for (size_t i = 0; i < compiler->policy->rule_count; i++) {
		const struct sg_rule *rule = &compiler->policy->rules[i];
		size_t length;

		if (rule->kind != SG_RULE_PRIVATE || rule->glob == NULL)
			continue;
		(void)sg_glob_prefix(rule->glob, &length);
		if (!sg_glob_is_literal(rule->glob) || !sg_glob_may_match_directory(rule->glob))
			complain_rule(compiler, rule, "name one folder, ending in /",
				      "Private takes a folder, not \"%s\"", rule->written);
	}
}

static void check_syscall(struct sg_compiler *compiler, const struct sg_rule *rule)
{
	const struct sg_syscall *call = sg_syscall_by_name(rule->text, strlen(rule->text));

	if (call == NULL) {
		SG_AUTO_BUFFER struct sg_buffer hint = SG_BUFFER_INIT;
		const char *names[SG_SYSCALL_LIMIT];
		size_t count = 0;

		for (unsigned int i = 0; i < SG_SYSCALL_LIMIT && !sg_diagnostics_are_full(compiler->diagnostics); i++)
			if (sg_syscall_by_number(i) != NULL)
				names[count++] = sg_syscall_by_number(i)->name;
		complain_rule(compiler, rule,
			      sg_text_suggest(&hint, rule->text, names, count, "\"shellguard syscalls\" lists them"),
			      "there is no system call \"%s\"", rule->text);
	} else if (rule->kind == SG_RULE_SYSCALL && call->class == SG_CLASS_NEVER) {
		complain_rule(compiler, rule, NULL, "no flag may give \"%s\": %s", rule->text, sg_syscall_reason(call));
	}
}

/* Only what a world can do without may be accepted as missing; the others have no rule of their own that would be lost. */
static void check_feature(struct sg_compiler *compiler, const struct sg_rule *rule)
{
	const enum sg_feature feature = sg_feature_find(rule->text);
	SG_AUTO_BUFFER struct sg_buffer hint = SG_BUFFER_INIT;
	const char *names[SG_FEATURES_];
	size_t count = 0;

	for (int i = 1; i < SG_FEATURES_ && !sg_diagnostics_are_full(compiler->diagnostics); i++)
		if (sg_feature_infos[i].effect != SG_EFFECT_NEEDED)
			names[count++] = sg_feature_infos[i].name;
	if (feature != SG_FEATURE_NONE && sg_feature_infos[feature].effect == SG_EFFECT_NEEDED) {
		complain_rule(compiler, rule, NULL, "\"%s\" cannot be done without: %s", rule->text,
			      sg_feature_infos[feature].without);
	} else if (feature == SG_FEATURE_NONE) {
		complain_rule(compiler, rule,
			      sg_text_suggest(&hint, rule->text, names, count, "\"shellguard doctor\" lists them"),
			      "there is no feature \"%s\"", rule->text);
	}
}

/* What Filesystem.Bounds takes. */
static void check_bound(struct sg_compiler *compiler, const struct sg_rule *rule)
{
	static const char *const names[] = {"apparmor", "landlock", "overlay"};

	for (size_t i = 0; i < SG_ARRAY_SIZE(names); i++)
		if (strcmp(rule->text, names[i]) == 0)
			return;
	complain_rule(compiler, rule, "the bounds are: apparmor, landlock, overlay", "there is no bound \"%s\"",
		      rule->text);
}

static void check_capability(struct sg_compiler *compiler, const struct sg_rule *rule)
{
	SG_AUTO_BUFFER struct sg_buffer hint = SG_BUFFER_INIT;

	if (sg_capability_find(rule->text) < 0)
		complain_rule(compiler, rule,
			      sg_text_suggest(&hint, rule->text, sg_capability_names,
					      sg_diagnostics_are_full(compiler->diagnostics) ? 0 : sg_capability_count,
					      "capabilities(7) lists them"),
			      "there is no capability \"%s\"", rule->text);
}

/* A variable's name is what stands before the first =; one with a blank or a control character is a slip of the hand. */
static void check_variable(struct sg_compiler *compiler, const struct sg_rule *rule)
{
	const size_t length = strcspn(rule->text, "=");
	bool odd = length == 0;

	for (size_t i = 0; i < length; i++)
		odd |= (unsigned char)rule->text[i] <= ' ' || rule->text[i] == 0x7f;
	if (odd)
		complain_rule(compiler, rule, "write NAME, or NAME=value", "\"%s\" names no environment variable",
			      rule->text);
}

static void check_directory(struct sg_compiler *compiler, const struct sg_rule *rule)
{
	if (rule->text[0] != '/')
		complain_rule(compiler, rule, "begin it with / or ~/ or ${CWD}/",
			      "the working directory \"%s\" is not an absolute name", rule->text);
}

static void check_tables(struct sg_compiler *compiler)
{
	for (size_t i = 0; i < compiler->policy->rule_count; i++) {
		const struct sg_rule *rule = &compiler->policy->rules[i];

		if (sg_rule_infos[rule->kind].what == SG_WHAT_SYSCALL)
			check_syscall(compiler, rule);
		else if (sg_rule_infos[rule->kind].what == SG_WHAT_CAPABILITY)
			check_capability(compiler, rule);
		else if (rule->kind == SG_RULE_ENVIRONMENT)
			check_variable(compiler, rule);
		else if (rule->kind == SG_RULE_DIRECTORY)
			check_directory(compiler, rule);
		else if (sg_rule_infos[rule->kind].what == SG_WHAT_FEATURE)
			check_feature(compiler, rule);
		else if (rule->kind == SG_RULE_BOUND)
			check_bound(compiler, rule);
	}
}

void sg_compile_check(struct sg_compiler *compiler)
{
	sg_compile_check_inside(compiler);
	check_single(compiler, SG_RULE_USER, "users");
	check_single(compiler, SG_RULE_DIRECTORY, "working directories");
	check_values(compiler);
	sg_compile_check_walls(compiler);
	check_private(compiler);
	check_tables(compiler);
}
