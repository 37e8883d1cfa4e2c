/*
 * From what a watched run used to a profile: the text that a person reads, changes and keeps.
 *
 * Pure: the same record and the same context give the same bytes.
 */
#pragma once

#include "learn/observed.h"
#include "policy/policy.h"

struct sg_learn_context {
	const char *name;     /* of the profile */
	char *const *command; /* NULL-terminated */
	const struct sg_variables *variables;
	/* What the run was started with: its refusals and settings are the proposal's too; or NULL. */
	const struct sg_policy *kept;
	const struct sg_policy *watched; /* of the watched run: what it refuses the proposal does not give; or NULL */
	bool looks;                      /* propose for reading what was merely looked at */
	bool secrets;                    /* the run was given the secrets of the built-in list */
};

/*
 * Appends the profile. `observed` is settled. Returns 0; -ENOMEM; or another negative errno value, with context: the flags could not
 * be compiled.
 */
int sg_learn_propose(const struct sg_observed *observed, const struct sg_learn_context *context, struct sg_buffer *out,
		     struct sg_error *error);
