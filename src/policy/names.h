/*
 * The names that a policy speaks of, as one automaton: its globs, and what these show beside what they match. Of the policy
 * alone, whatever this host's files are: a plan (world/plan.h) adds what symbolic links of the host make of them.
 */
#pragma once

#include "policy/glob_set.h"
#include "policy/policy.h"

/* Adds the glob of a rule and the folders that it shows: of a tree its folder, of wildcards those they range over. */
SG_MUST_USE int sg_names_add_glob(struct sg_globset *set, const struct sg_glob *glob, uint32_t rule, uint64_t mask);

/* How far the classes of a second policy are moved up. */
enum { SG_NAMES_SHIFT = 15 };

/* Adds just those folders, for the classes in `mask`. */
SG_MUST_USE int sg_names_add_shown(struct sg_globset *set, const struct sg_glob *glob, uint32_t rule, uint64_t mask);

/*
 * Adds all that the glob of a rule stands for: the above, the folder that a Hide of all in it takes away, and for what refuses by
 * a link of /proc that means its reader each process's own. `shift` moves the bits of the classes (policy/decide.h) up: 0, or
 * SG_NAMES_SHIFT for a second policy in the same set. Returns 0, or a negative errno value as sg_globset_add.
 */
SG_MUST_USE int sg_names_add_rule(struct sg_globset *set, const struct sg_rule *rule, uint32_t index,
				  unsigned int shift);

/* Adds every rule of the policy that has a glob, but Private ones; rule numbers are `base` plus the rule's index. */
SG_MUST_USE int sg_names_add_policy(struct sg_globset *set, const struct sg_policy *policy, uint32_t base,
				    unsigned int shift);

/*
 * True if what lies under that name (canonical) is the world's own where no rule names it: a folder under Private, /proc, the
 * terminals, shared memory. *ret_rule is the Private rule, or NULL.
 */
bool sg_names_is_own(const struct sg_policy *policy, const char *name, const struct sg_rule **ret_rule);

/*
 * The folder part of a glob's literal prefix, up to and with its last '/': its length in the prefix (sg_glob_prefix) in *ret_folder.
 * Returns where in the text of the glob (sg_glob_text) what follows it begins.
 */
size_t sg_names_folder(const struct sg_glob *glob, size_t *ret_folder);
