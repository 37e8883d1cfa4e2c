/*
 * The filter of a learning session (supervisor/learn.h): which calls run unseen there, and which calls are alike.
 */
#pragma once

#include "world/filter.h"

/*
 * Builds the filter under which a run is watched. What `base` allows whatever is watched stays native; every other call that
 * the table knows is notified, whether or not the session's policy gives it: whoever is notified decides by running the
 * session's own filter (sg_filter_build with its whole grants, then sg_filter_simulate) on the number and the registers of the
 * notification. `base` must give nothing that those grants do not: then what is native here is native there too. `plan` is the
 * session's. Pure but for the memory that it takes for a moment. Returns 0, -ENOMEM, -E2BIG or -EINVAL with context.
 */
int sg_filter_build_watching(const struct sg_filter_grants *base, const struct sg_filter_plan *plan,
			     struct sg_filter_program *ret_program, struct sg_error *error);

/* Every check of the arguments of every call, whatever is granted. Some 110 KiB; owned by the caller (free). NULL: no memory. */
struct sg_filter_spec *sg_filter_checks_new(void);

/*
 * A number that two calls share if they have the same number and every check of `checks` gives the same of both: then no filter
 * that this module makes, for any grants, tells them apart. (That two others share it too has a chance of 2 to the -64.)
 */
uint64_t sg_filter_signature(const struct sg_filter_spec *checks, const struct seccomp_data *data);
