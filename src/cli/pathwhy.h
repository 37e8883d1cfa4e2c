/* why PATH: what a world under some profiles could do with a name. */
#pragma once

#include "cli/options.h"
#include "world/plan.h"

/* Answers on standard output for the profiles of `options` (none: developer). Returns the exit status of the
 * command. */
int sg_why_path(const struct sg_options *options, const char *path);

/*
 * Plans a policy for the caller, as `run` here and now would. Returns what sg_plan_make does, with its context.
 */
int sg_plan_of_caller(const struct sg_policy *policy, const struct sg_variables *variables, struct sg_plan **ret,
		      struct sg_error *error);

/* Says that `run` would refuse the policy, and why. Returns SG_EXIT_UNHELD. */
int sg_complain_unheld(const struct sg_error *error);

/*
 * Loads, compiles and plans the profiles of `options` (none: developer) with its lines, for the caller.
 * Complains on standard error. Returns 0 with both owned by the caller; SG_EXIT_UNHELD with the policy alone, where it
 * cannot be held here; or the exit status of the command.
 */
int sg_load_plan(const struct sg_options *options, struct sg_policy **ret_policy, struct sg_plan **ret_plan);
