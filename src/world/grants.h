/* From a policy to what the filter is made of: the calls and flags that are given, and what is asked of the supervisor. */
#pragma once

#include "world/filter.h"
#include "world/plan.h"

/* Calls and built-in flags that the policy gives, less what it denies. Pure. */
void sg_grants_find(const struct sg_policy *policy, struct sg_filter_grants *ret);

/* Which calls are notified under that plan. Pure. */
void sg_grants_plan(const struct sg_plan *plan, struct sg_filter_plan *ret);

/* The capabilities over the world's own user namespace, as a bit mask. */
uint64_t sg_grants_capabilities(const struct sg_policy *policy);
