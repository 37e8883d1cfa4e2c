/*
 * The decision about a name: pure, no system call, no allocation, so that it can be fuzzed and replayed.
 *
 * The name is canonical and belongs to an object that is pinned already (supervisor/resolve.h). What the policy cannot
 * place is refused.
 */
#pragma once

#include "policy/glob_set.h"
#include "policy/policy.h"

/* What is asked of a name; bits. */
enum sg_access {
	SG_ACCESS_READ = 1U << 0,    /* contents, or the listing of a folder */
	SG_ACCESS_WRITE = 1U << 1,   /* contents */
	SG_ACCESS_CHANGE = 1U << 2,  /* the name itself or its attributes: making, removing, renaming, chmod ... */
	SG_ACCESS_EXECUTE = 1U << 3, /* as a program, script or interpreter */
};

enum sg_verdict { SG_VERDICT_ALLOW, SG_VERDICT_DENY, SG_VERDICT_HIDE };

struct sg_decision {
	enum sg_verdict verdict;
	int error; /* DENY, HIDE: the errno value (positive) that the caller gets */
	const struct sg_rule
		*rule; /* the one that allowed or denied, or that allows less than was asked; NULL: none names it */
	const char *reason; /* in words, static */
	bool record;        /* LogOnRead or LogOnWrite ask for a record of the attempt */
	enum sg_access
		access; /* DENY, HIDE: what of it was refused; ALLOW: what was asked, as bits; 0: not about a name */
	bool silent;    /* DENY: recorded, and no line at the terminal: the answer is that there is nothing to be had */
	const char *needs; /* DENY of a system call: the flag that would give it, or NULL; borrowed */
};

/* Bits of the set of names beside the kinds of rules (bit 1 << enum sg_rule_kind). */
#define SG_NAME_BIT(kind) (UINT64_C(1) << (kind))
#define SG_NAME_LIST                                                                                                   \
	(UINT64_C(1) << 48) /* the folder of an allowed tree, or one that wildcards range over: may be listed */
#define SG_NAMES_ALLOW                                                                                                 \
	(SG_NAME_BIT(SG_RULE_READ) | SG_NAME_BIT(SG_RULE_WRITE) | SG_NAME_BIT(SG_RULE_EXECUTE) |                       \
	 SG_NAME_BIT(SG_RULE_MAP))
#define SG_NAMES_REFUSE                                                                                                \
	(SG_NAME_BIT(SG_RULE_DENY) | SG_NAME_BIT(SG_RULE_DENY_READ) | SG_NAME_BIT(SG_RULE_DENY_WRITE) |                \
	 SG_NAME_BIT(SG_RULE_DENY_EXECUTE) | SG_NAME_BIT(SG_RULE_HIDE))

/*
 * Decides. `names` is a matcher over the set of names of the policy in force (world/plan.h), whose rule numbers are indices
 * into policy->rules. `own`: the object lies on a file system of the world's own, where all is allowed that nothing denies.
 */
void sg_decide(const struct sg_policy *policy, struct sg_matcher *names, const char *name, size_t length,
	       unsigned int access, bool own, struct sg_decision *ret);

/*
 * The accesses (bits of enum sg_access) that sg_decide allows for a name that rules of those classes match, each asked by itself: for
 * who looks at sets of names instead of one.
 */
unsigned int sg_decide_accesses(uint64_t mask, bool own);

/*
 * Whether a Hide rule takes the name away: it names it, or a folder above it (what lies in a folder that does not exist cannot
 * be looked up). Returns true with the rule's index in policy->rules in *ret_rule (UINT32_MAX: not known).
 */
bool sg_decide_hides(struct sg_matcher *names, const char *name, size_t length, uint32_t *ret_rule);

/*
 * Decides whether the directory `from` may become `to` (both ending in '/'), or a file below it be linked: refused where a
 * rule could match below the old name what it would not match below the new one.
 */
void sg_decide_move(const struct sg_policy *policy, struct sg_matcher *names, const char *from, size_t from_length,
		    const char *to, size_t to_length, struct sg_decision *ret);
