/*
 * The policy: what the profiles of a session mean together. Immutable once compiled, the same bytes for the same text and
 * the same variables, whatever the order; independent of this host's files and kernel.
 */
#pragma once

#include <stdint.h>

#include "policy/glob.h"
#include "profile/profile.h"

enum { SG_POLICY_HASH_SIZE = 32, SG_POLICY_FLAGS_MAX = 256, SG_POLICY_SYSCALLS_MAX = 1024 };

/* The name of the profile that the options of a command line are. */
#define SG_POLICY_COMMAND_LINE "command line"

struct sg_addresspattern;

/* One rule. Rules of a policy are sorted by kind, then text; equal ones are merged into the first by place. */
struct sg_rule {
	enum sg_rule_kind kind;
	const char *text;    /* with the variables filled in; for a limit its name */
	const char *written; /* as it stands in the profile */
	uint64_t number;     /* LIMIT: the value */
	const struct sg_source *source;
	struct sg_span span;
	const char *flag;                  /* the flag through which it came, or NULL: it stands in a profile itself */
	struct sg_glob *glob;              /* of GLOB rules, and of unix:PATH; owned */
	struct sg_addresspattern *address; /* of ADDRESS rules (policy/addresspattern.h); owned */
	char *owned_text;                  /* storage of `text`, or NULL when it is the profile's */
};

/* The values of the variables; all literal text. */
struct sg_variables {
	const char *cwd, *home, *user, *uid, *runtime;
	const char *config, *state; /* where the user's settings and state lie; NULL: nowhere */
	const char *home_place;     /* where the home lies, behind symbolic links; NULL: where its name says */
};

struct sg_policy {
	char *name;  /* of the profiles that were given, sorted, with "+" between */
	char *files; /* theirs, without folders, sorted, with ", " between */
	struct sg_rule *rules;
	size_t rule_count;
	size_t first[SG_RULE_KINDS + 1];         /* rules of kind k are rules[first[k]] .. rules[first[k + 1] - 1] */
	unsigned char hash[SG_POLICY_HASH_SIZE]; /* SHA-256 of the canonical form */
	struct sg_profile **profiles; /* owned: the texts that the rules point into, built-in flags included */
	size_t profile_count;
};

/* Frees what a rule owns. */
void sg_rule_done(struct sg_rule *rule);

/* Frees the policy with its texts: what points into them (rules, diagnostics) is invalid afterwards. */
void sg_policy_free(struct sg_policy *policy);
SG_DEFINE_AUTO(struct sg_policy, policy, sg_policy_free)
#define SG_AUTO_POLICY SG_CLEANUP(sg_auto_policy)

/*
 * True for rules of [Label], [Walls] and [Privileged], whose text says what stands together (`["a", "b"]`) and is no value of the
 * profile; `written` is the first of these.
 */
bool sg_policy_means_together(enum sg_rule_kind kind);

/* The rules of one kind: *ret_count of them (0 is fine). */
const struct sg_rule *sg_policy_rules(const struct sg_policy *policy, enum sg_rule_kind kind, size_t *ret_count);

/* The rule of that kind and text, or NULL. */
const struct sg_rule *sg_policy_find(const struct sg_policy *policy, enum sg_rule_kind kind, const char *text);

/* True if the policy grants the flag: named, directly or through another, and not denied. */
bool sg_policy_has_flag(const struct sg_policy *policy, const char *name);

/* The value of a limit, or its documented default (0: the caller's own). */
uint64_t sg_policy_limit(const struct sg_policy *policy, const char *name, bool *ret_explicit);

/* True for a text of built-in flags; a policy's other profiles are those that a person named, and what they extend. */
bool sg_policy_is_builtin(const struct sg_profile *profile);

/* The hash in hexadecimal. `out` has room for 2 * SG_POLICY_HASH_SIZE + 1 bytes. */
void sg_policy_hash_text(const struct sg_policy *policy, char *out);
