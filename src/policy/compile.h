/* From profiles to a policy: Extends, flags, variables, globs, checks, order. */
#pragma once

#include "policy/policy.h"

/* The profiles are not a policy: the diagnostics say why. */
enum { SG_POLICY_REFUSED = 1 };

/* About how many bytes of memory one of text can take, the automata of its globs included (base/memory.h). */
enum { SG_POLICY_MEMORY_OF_TEXT = 128 };

enum { SG_POLICY_EXTENDS_MAX = 64, SG_POLICY_OPENED_MAX = 256, SG_POLICY_RULES_MAX = 1 << 16 };

/*
 * Finds the text of a profile that Extends names. `from` is the source that names it. Returns 0 with *ret (owned by the
 * caller), or a negative errno value with context. `data` is the caller's.
 */
typedef int (*sg_profile_opener)(void *data, const char *name, const struct sg_source *from, struct sg_source **ret,
				 struct sg_error *error);

/*
 * Compiles `count` texts (taken over in every case), with what they extend and the built-in flags that they name. Errors are added to
 * `diagnostics`, all of them at once; they point into texts that *ret keeps alive (freed by
 * sg_policy_free after rendering). Returns 0 with *ret, SG_POLICY_REFUSED with
 * *ret holding just the texts, or a negative errno value.
 */
SG_MUST_USE int sg_policy_compile(struct sg_source **sources, size_t count, const struct sg_variables *variables,
				  sg_profile_opener opener, void *opener_data, struct sg_diagnostics *diagnostics,
				  struct sg_policy **ret, struct sg_error *error);

/*
 * Reads the built-in flags that the policy does not name too, for who looks for one that would help (policy/needs.h) or lists them.
 * Rules stay where they are. A second call does nothing. Returns 0 or a negative errno value.
 */
SG_MUST_USE int sg_policy_read_flags(struct sg_policy *policy);
