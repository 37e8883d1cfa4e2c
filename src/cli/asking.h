/* Questions about profiles (policy/ask.h) for the commands: what they need of the caller and the host, and answers in words. */
#pragma once

#include "cli/options.h"
#include "policy/ask.h"

/* A policy with what is needed to ask about it. Zero is none. */
struct sg_asking {
	struct sg_policy *policy;
	struct sg_hostaddrs *host; /* NULL: this host's addresses could not be read */
	struct sg_asker *asker;
};
/* Frees all of it. */
void sg_asking_done(struct sg_asking *asking);
#define SG_AUTO_ASKING SG_CLEANUP(sg_asking_done)

/*
 * Loads the profiles for the caller and makes ready to ask. Complains on standard error. Returns 0, or the exit status of the
 * command: SG_EXIT_USAGE for profiles with errors, or that there are not, since SG_EXIT_NO is an answer.
 */
int sg_asking_load(const char *const *names, size_t count, struct sg_asking *ret);

/* Appends where the answer's rule stands and what it says: `ReadOnly "/etc/ **" (file:line:column) of the flag "x"`. */
void sg_asking_rule(const struct sg_rule *rule, struct sg_buffer *out);

/* Appends the rule as a JSON object, or null. */
void sg_asking_rule_json(const struct sg_rule *rule, struct sg_buffer *out);
