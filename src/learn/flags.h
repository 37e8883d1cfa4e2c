/* Which flags a run took: from the calls that it made and the files that it opened. */
#pragma once

#include "learn/observed.h"
#include "policy/policy.h"

enum { SG_LEARN_FLAGS_MAX = 64 };

/* Names of built-in flags, "start" first; the others in the order of the alphabet. Static texts. */
struct sg_learn_flags {
	const char *names[SG_LEARN_FLAGS_MAX];
	size_t count;
};

/* True if the flag of that name is one of them. */
bool sg_learn_flags_have(const struct sg_learn_flags *flags, const char *name);

/*
 * Finds a smallest set of flags with which the world's filter lets every call pass that was seen, and that serve, rather than names
 * of files do, for what was opened: the purposes of ordinary programs first. No flag of it can be left out. Pure but for memory.
 * Returns 0, -ENOMEM, or another negative errno value, with context.
 */
int sg_learn_flags_find(const struct sg_observed *observed, const struct sg_variables *variables,
			struct sg_learn_flags *ret, struct sg_error *error);

/*
 * The policy of these flags and nothing else, all definitions read. Returns 0 with *ret (sg_policy_free), or a negative errno value
 * with context.
 */
int sg_learn_flags_compile(const struct sg_learn_flags *flags, const struct sg_variables *variables,
			   struct sg_policy **ret, struct sg_error *error);
