/*
 * One profile text, read and checked key by key: a flat list of what it states, each with its place.
 *
 * Nothing is resolved here: flags are names, globs and addresses are text, Extends are names. The policy compiler
 * (policy/compile.h) puts the profiles of a session together.
 */
#pragma once

#include "profile/diagnostic.h"
#include "profile/toml.h"
#include "tables/actions.h"
#include "tables/profile_tables.h"

/* One statement. Text and place belong to the profile. */
struct sg_statement {
	enum sg_rule_kind kind;
	enum sg_section section; /* where it stands */
	const struct sg_source *source;
	struct sg_span span; /* of the value */
	const char *text;    /* the value; for a limit its name; NUL after `size` bytes and none inside */
	size_t size;
	uint64_t number;   /* LIMIT: the value in its unit */
	const char *group; /* the x of [Define.x] or [Label.x], or NULL */
	struct sg_span group_span;
	const char *key; /* that it is a value of; NULL: it states the group itself */
	unsigned int
		part; /* the values of one inner list, or of one table of an array, have a number of their own in the profile; else 0 */
};

/* One [[Test]]: an assertion about the profile. Text and places belong to the profile. */
struct sg_test {
	const struct sg_source *source;
	struct sg_span place; /* its header */
	struct sg_span span;  /* of the action's value */
	enum sg_action action;
	const char *object; /* what the action is about, as it is written */
	enum sg_outcome expected;
	const char *name;        /* of the test, or NULL */
	const char *description; /* or NULL */
};

struct sg_profile {
	struct sg_source *source;          /* owned */
	struct sg_toml_document *document; /* owned */
	struct sg_statement *statements;   /* owned; in the order of the text */
	size_t count;
	struct sg_test *tests; /* owned; in the order of the text */
	size_t test_count;
};

/* A text that is not a profile: the diagnostics say why. Nothing may be granted by it. */
enum { SG_PROFILE_REFUSED = 1 };

/*
 * Reads `source` (taken over in every case). Every error is added to `diagnostics`, which point into the source: on
 * SG_PROFILE_REFUSED *ret is set all the same (to be freed after the diagnostics were rendered), with those statements that
 * could be read, so that whoever goes on finds the other errors in the same go.
 * Returns 0, SG_PROFILE_REFUSED, or a negative errno value with *ret untouched and the source freed.
 */
SG_MUST_USE int sg_profile_read(struct sg_source *source, struct sg_diagnostics *diagnostics, struct sg_profile **ret);

/*
 * Reads one table of [[Test]], whose keys and types were checked already, with its header at `place`. Returns 0 with *ret, or
 * SG_PROFILE_REFUSED with the reasons added to `diagnostics`.
 */
SG_MUST_USE int sg_test_read(const struct sg_toml_table *table, struct sg_span place, const struct sg_source *source,
			     struct sg_diagnostics *diagnostics, struct sg_test *ret);

/* Complains of all that stands in the text beside [[Test]]: for a file that holds tests of another profile. */
void sg_test_check_alone(const struct sg_profile *profile, struct sg_diagnostics *diagnostics);

/* Frees the profile with its source. */
void sg_profile_free(struct sg_profile *profile);
SG_DEFINE_AUTO(struct sg_profile, profile, sg_profile_free)
#define SG_AUTO_PROFILE SG_CLEANUP(sg_auto_profile)

/*
 * Reads a limit's value as a person writes it: a whole number, or a string with a unit ("2GiB", "500MB", "1h", "30s").
 * Returns 0 with the value in bytes, seconds or pieces, or -EINVAL (not a value of that unit), -ERANGE.
 */
int sg_profile_parse_limit(enum sg_limit_unit unit, const char *text, uint64_t *ret);

/* The unit that a limit of this kind may be written with, by its place in a list; "" is none at all. NULL behind the last one. */
const char *sg_profile_unit(enum sg_limit_unit unit, size_t index);
