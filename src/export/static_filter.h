/*
 * The system call filter of a policy where no supervisor stands behind it.
 *
 * The tables are those of the session's filter (world/filter.h). What the session asks of its supervisor is answered for good
 * here: executions, and calls with addresses, are allowed where they are given, and what they name is for other back ends to hold;
 * openat2, whose flags no filter can see, answers ENOSYS, upon which programs take openat.
 */
#pragma once

#include "policy/policy.h"
#include "world/filter.h"

/* Fills *ret with actions ALLOW and ERRNO only. Returns 0 or -E2BIG (sg_filter_spec_fill). */
SG_MUST_USE int sg_static_filter(const struct sg_policy *policy, struct sg_filter_spec *ret);

/* True if the filter lets some socket be made that leads out of the process's own network or to a name of the host. */
bool sg_static_filter_has_sockets(const struct sg_policy *policy);

/*
 * Whoever loads the filter executes the program under it, so the filter has execve and execveat whatever the profile says. `rule`: one
 * that refuses; NULL: system calls that no flag gives. Returns why that is not held, in words for the matrix, or NULL where it is.
 */
const char *sg_static_filter_leaves_open(const struct sg_policy *policy, const struct sg_rule *rule);
