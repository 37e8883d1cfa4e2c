/* What this kernel lacks of what a policy uses: refused by name, or accepted, said and recorded. */
#pragma once

#include "export/apparmor_world.h"
#include "policy/policy.h"
#include "tables/features.h"
#include "world/cgroup.h"
#include "world/identity.h"
#include "world/plan.h"

enum { SG_MISSING_REASON_SIZE = 512 };

struct sg_missing {
	enum sg_feature features[SG_FEATURES_]; /* missing and accepted */
	size_t count;
	bool landlock; /* Filesystem.Bounds asks for Landlock's part for files, and it is there */
	bool apparmor; /* a profile of AppArmor is to stand around the world */
	char no_apparmor[SG_MISSING_REASON_SIZE]; /* else why not */
};

/*
 * Makes the control group of the session, as far as there is one, and finds out what is missing of what the
 * rules of the policy need. What the policy accepts is said on standard error and kept in *ret; mounts of the
 * plan that would need it are changed. Returns 0, or SG_EXIT_FAILED after a message with the rule, the
 * feature, and what helps. `watched`: what programs ask for is to be learned (supervisor/learn.h).
 */
int sg_missing_find(const struct sg_policy *policy, struct sg_plan *plan, const struct sg_identity *identity,
		    const char *session, bool watched, struct sg_cgroup *group, struct sg_missing *ret);

/* The profile of AppArmor that a world runs in, and the lock that keeps it loaded; -1: none. */
struct sg_missing_profile {
	char name[SG_APPARMOR_WORLD_NAME_SIZE];
	int lock;
};

/*
 * Withholds the locks and the compiled copies of such profiles, where there can be any, from the world: it could keep others from starting, or
 * choose the bound of the next.
 * Returns 0 or a negative errno value with context.
 */
int sg_missing_withhold_apparmor(struct sg_plan *plan, struct sg_error *error);

/*
 * Makes and loads it, if sg_missing_find said that there is to be one: of the plan as it will be carried out. Once the host has it, whatever
 * fails refuses the start, unless the policy lets it be missing; then it is said and kept in *missing. Blocks for as long as compiling
 * takes. Returns 0 or SG_EXIT_FAILED after a message.
 */
int sg_missing_take_apparmor(const struct sg_plan *plan, struct sg_missing *missing, struct sg_missing_profile *ret);

/* After the session's supervisor is gone. */
void sg_missing_release_apparmor(const struct sg_missing_profile *profile);

/* Appends what a session that the caller starts here has of AppArmor, in words; not `whole`: in a line. */
void sg_missing_explain_apparmor(bool whole, struct sg_buffer *out);

/* After a session could not be started: says which needed features are missing, if any. */
void sg_missing_explain(const char *folder);

/*
 * Before anything else is tried: within a ShellGuard world (as the environment says) that cannot make another one, says so and
 * returns SG_EXIT_FAILED, else 0. Tries nothing elsewhere.
 */
int sg_missing_inside(const char *folder);
