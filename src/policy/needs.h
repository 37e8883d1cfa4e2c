/* What a refused system call would take: from the tables of calls and values, and the definitions of the
 * flags. */
#pragma once

#include <stdint.h>

#include "policy/policy.h"
#include "tables/syscalls.h"

enum sg_need_kind {
	SG_NEED_NEVER,   /* no flag gives it: `reason` says why */
	SG_NEED_DENIED,  /* `rule` refuses it, whatever gives it */
	SG_NEED_FLAG,    /* `flag` would give it */
	SG_NEED_UNKNOWN, /* given, and refused with these arguments for a reason that the tables do not hold
			  */
};

struct sg_need {
	enum sg_need_kind kind;
	const char *flag;   /* FLAG: the smallest one that gives it; the tables' or the policy's */
	const char *detail; /* what of the call it is about ("TIOCSTI", "AF_NETLINK SOCK_RAW"), static, or NULL */
	const char *reason; /* NEVER: why, static */
	const struct sg_rule *rule; /* DENIED */
};

/*
 * Works out why a call with these arguments is refused under the policy and what would give it. Reads no
 * memory of the caller. Allocates nothing; the time is in proportion to the number of definitions.
 */
void sg_need_find(const struct sg_policy *policy, const struct sg_syscall *call, const uint64_t arguments[6],
		  struct sg_need *ret);

/*
 * The same for a call whatever its arguments are: UNKNOWN if it is given. DENIED with a rule even where no flag gives it.
 */
void sg_need_of_call(const struct sg_policy *policy, const struct sg_syscall *call, struct sg_need *ret);

/* The smallest flag that gives the capability of that name (with CAP_), or NULL. Owned by the policy. */
const char *sg_need_flag_of_capability(const struct sg_policy *policy, const char *name);

/*
 * The flag with the fewest system calls that gives the call of that name, by itself or through the flags in
 * it; NULL if none does. Those named after OpenBSD's pledge come last. Owned by the policy.
 */
const char *sg_need_flag_of_call(const struct sg_policy *policy, const char *name);

/* The section that a flag belongs in: "Runtime"; "Misc" for those that may stand anywhere. Static. */
const char *sg_need_section_of_flag(const char *flag);

/* True if the flag `name` gives the call `call`, by itself or through the flags in it. */
bool sg_need_flag_gives(const struct sg_policy *policy, const char *name, const char *call);

/* The Description of a flag, owned by the policy; "" if it has none. */
const char *sg_need_describe_flag(const struct sg_policy *policy, const char *name);

/* The first statement of [Define.name], or NULL; owned by the policy. */
const struct sg_statement *sg_need_definition(const struct sg_policy *policy, const char *name);
