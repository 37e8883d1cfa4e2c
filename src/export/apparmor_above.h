/*
 * The folders above refused names that a policy lets be renamed.
 *
 * Whoever may write to the name of a folder may rename it, and with it what lies below: AppArmor decides on the new name then. A
 * session refuses such a move; a profile refuses writing to the folder's name.
 */
#pragma once

#include "policy/policy.h"

struct sg_above;

/* `policy` must outlive it. *ret is the caller's (sg_above_free). Returns 0 or -ENOMEM. */
SG_MUST_USE int sg_above_new(const struct sg_policy *policy, struct sg_above **ret);
void sg_above_free(struct sg_above *above);
SG_DEFINE_AUTO(struct sg_above, above, sg_above_free)
#define SG_AUTO_ABOVE SG_CLEANUP(sg_auto_above)

/*
 * The folders above what `refused` matches that may be written, as globs (*ret_folders, the caller's: sg_glob_names_done). Left out,
 * with *ret_whole false, are those whose last component has a wildcard: to refuse them would refuse every folder made beside
 * them. *ret_whole is false as well where braces or ** hide which folders these are. Returns 0 or -ENOMEM.
 */
SG_MUST_USE int sg_above_find(struct sg_above *above, const struct sg_glob *refused, struct sg_glob_names *ret_folders,
			      bool *ret_whole);
