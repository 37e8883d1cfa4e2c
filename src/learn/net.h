/* From the addresses that a run used to the lines of a profile. */
#pragma once

#include "learn/lines.h"
#include "learn/observed.h"
#include "policy/policy.h"

/* Adds the lines under Allow and Listen. The same use gives the same lines. Returns 0 or -ENOMEM. */
int sg_learn_net_find(const struct sg_observed *observed, const struct sg_variables *variables,
		      struct sg_learn_lines *lines);
