/*
 * In one file, a ReadOnly glob wholly inside a ReadWrite one forbids nothing, though it looks as if it did.
 *
 * Holding each against each would cost the product of both. All ReadWrite globs are one automaton instead, and of each ReadOnly
 * glob one name is matched against it: only what matches that name can hold the glob. For a literal glob the name is the answer,
 * and for a tree (/dir/ and two stars, by far the most) the folder is; the others are compared. Comparisons are bounded in all,
 * so that no text makes them long: beyond that a glob goes uncomplained of, which grants what it would have granted anyway.
 */
#include <errno.h>

#include "policy/compile_internal.h"
#include "policy/glob_set.h"

enum {
	COMPARISONS_MAX = 4096, /* of two globs, in one policy */
	CANDIDATES_MAX = 64,    /* for one glob */
};

struct inside {
	struct sg_compiler *compiler;
	struct sg_globset *writes;
	struct sg_matcher *matcher;
	size_t comparisons;
};

/* The class of a file's globs. Files that share one are told apart by the rule. */
static uint64_t bit_of(const struct sg_compiler *compiler, const struct sg_rule *rule)
{
	size_t i = 0;

	while (i < compiler->policy->profile_count && compiler->policy->profiles[i]->source != rule->source)
		i++;
	return UINT64_C(1) << i % 64;
}

static bool is_own(const struct sg_rule *rule, enum sg_rule_kind kind)
{
	return rule->kind == kind && rule->flag == NULL && rule->glob != NULL;
}

static int gather(struct inside *inside)
{
	const struct sg_policy *policy = inside->compiler->policy;
	int status = sg_globset_new(&inside->writes);

	for (size_t i = 0; i < policy->rule_count && status == 0; i++)
		if (is_own(&policy->rules[i], SG_RULE_WRITE))
			status = sg_globset_add(inside->writes, policy->rules[i].glob, (uint32_t)i,
						bit_of(inside->compiler, &policy->rules[i]));
	if (status == 0)
		status = sg_globset_compile(inside->writes);
	return status < 0 ? status : sg_matcher_new(inside->writes, SG_MATCHER_MEMORY_MIN, &inside->matcher);
}

/* Whether `write`, which matches one name of `read`, matches all of them. */
static bool holds(struct inside *inside, const struct sg_glob *write, const struct sg_glob *read)
{
	size_t folder, prefix;

	(void)sg_glob_prefix(write, &folder);
	(void)sg_glob_prefix(read, &prefix);
	/* It matched, so the one begins with the other; what is longer than the folder is below it. */
	if (sg_glob_is_literal(read) || (sg_glob_is_tree(write) && prefix > folder))
		return true;
	return inside->comparisons++ < COMPARISONS_MAX && sg_glob_covers(write, read) == SG_GLOB_YES;
}

static void complain(struct inside *inside, const struct sg_rule *read, const struct sg_rule *write)
{
	const struct sg_statement place = {.source = read->source, .span = read->span};

	sg_compile_complain(inside->compiler, &place, "to forbid writing there, name it under DenyWrite",
			    "this ReadOnly glob lies wholly inside ReadWrite \"%s\", which allows writing all the same",
			    write->written);
}

/* A glob without a simple name ("/{.,a}{.,b}") is left alone. */
static void check_one(struct inside *inside, const struct sg_rule *read, struct sg_buffer *name)
{
	const struct sg_rule *rules = inside->compiler->policy->rules;
	const uint64_t bit = bit_of(inside->compiler, read);
	uint32_t found[CANDIDATES_MAX];
	struct sg_match match;
	size_t count = 0;

	sg_buffer_clear(name);
	if (sg_glob_example(read->glob, name) &&
	    sg_matcher_match(inside->matcher, name->data, name->size, &match) == 0 && (match.mask & bit) != 0)
		count = sg_matcher_rules(inside->matcher, bit, found, CANDIDATES_MAX);
	for (size_t i = 0; i < count; i++) {
		const struct sg_rule *write = &rules[found[i]];

		if (write->source == read->source && holds(inside, write->glob, read->glob)) {
			complain(inside, read, write);
			return;
		}
	}
}

void sg_compile_check_inside(struct sg_compiler *compiler)
{
	struct inside inside = {.compiler = compiler};
	SG_AUTO_BUFFER struct sg_buffer name = SG_BUFFER_INIT;
	const int status = gather(&inside);

	if (status < 0 && compiler->status == 0)
		compiler->status = status;
	for (size_t i = 0; status == 0 && i < compiler->policy->rule_count; i++)
		if (is_own(&compiler->policy->rules[i], SG_RULE_READ))
			check_one(&inside, &compiler->policy->rules[i], &name);
	sg_matcher_free(inside.matcher);
	sg_globset_free(inside.writes);
}
