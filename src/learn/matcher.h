/* Whether the rules of a policy give a file, by its name alone. */
#pragma once

#include "policy/glob_set.h"
#include "policy/policy.h"

struct sg_learn_matcher {
	struct sg_globset *set;
	struct sg_matcher *matcher;
};

/* Takes the rules of the policy, which may go afterwards. Zero it before; sg_learn_matcher_done() in every case. Returns 0 or -errno. */
int sg_learn_matcher_init(struct sg_learn_matcher *matcher, const struct sg_policy *policy);
void sg_learn_matcher_done(struct sg_learn_matcher *matcher);
#define SG_AUTO_LEARN_MATCHER SG_CLEANUP(sg_learn_matcher_done)

/* True if `access` (enum sg_access) to the name is given by the rules that allow, whatever refuses. */
bool sg_learn_matcher_gives(struct sg_learn_matcher *matcher, const char *name, unsigned int access);

/* True if a rule refuses (Deny and its like, Hide) that access, or hides the name. */
bool sg_learn_matcher_refuses(struct sg_learn_matcher *matcher, const char *name, unsigned int access);
