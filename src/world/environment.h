/* The environment of the command: nothing of the caller's but a named list, and what the profile names. */
#pragma once

#include "policy/policy.h"

/*
 * Makes the environment: what passes always (the terminal, the language, the user's names), what Runtime.Env names, and
 * SHELLGUARD_SESSION. `outer` is the caller's environment, NULL-terminated. *ret (NULL-terminated) is the caller's: one
 * free() for the array with all that it points to. Returns 0 or -ENOMEM.
 */
int sg_environment_make(const struct sg_policy *policy, char *const *outer, const char *session, const char *home,
			const char *user, char ***ret);

/* The names that pass always; a trailing * stands for any rest. Ends with NULL. */
extern const char *const sg_environment_passed[];

/* The names that every world is given a value of its own for. Ends with NULL. */
extern const char *const sg_environment_set[];
