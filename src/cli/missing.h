/* What this kernel lacks of what a policy uses: refused by name, or accepted, said and recorded. */
#pragma once

#include "policy/policy.h"
#include "tables/features.h"
#include "world/cgroup.h"
#include "world/identity.h"
#include "world/plan.h"

struct sg_missing {
	enum sg_feature features[SG_FEATURES_]; /* missing and accepted */
	size_t count;
	bool landlock; /* Filesystem.Bounds asks for Landlock's part for files, and it is there */
};

/*
 * Makes the control group of the session, as far as there is one, and finds out what is missing of what the
 * rules of the policy need. What the policy accepts is said on standard error and kept in *ret; mounts of the
 * plan that would need it are changed. Returns 0, or SG_EXIT_FAILED after a message with the rule, the
 * feature, and what helps.
 */
int sg_missing_find(const struct sg_policy *policy, struct sg_plan *plan, const struct sg_identity *identity,
		    const char *session, struct sg_cgroup *group, struct sg_missing *ret);

/* After a session could not be started: says which needed features are missing, if any. */
void sg_missing_explain(const char *folder);

/*
 * Before anything else is tried: within a ShellGuard world (as the environment says) that cannot make another one, says so and
 * returns SG_EXIT_FAILED, else 0. Tries nothing elsewhere.
 */
int sg_missing_inside(const char *folder);
