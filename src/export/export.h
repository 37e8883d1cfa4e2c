/*
 * Artefacts: what a policy is in the words of another program that holds programs (a back end), and how much of it that one can hold.
 *
 * Every back end judges every rule of the policy, and what no rule names (enum sg_export_rest), before a byte is written: enforced,
 * approximated or not enforced. Back ends that are compiled together bind together (each refuses for itself), so a rule is held
 * where one of them holds it. What is held by none makes the artefacts weaker than the profile: whoever writes them has to say
 * that this is meant (sg_export_is_weaker).
 *
 * Judging and writing are pure: the same policy gives the same bytes. This host's files and kernel are looked at only where an artefact is
 * loaded (probe, load, unload).
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "policy/policy.h"

/* Worst first. */
enum sg_holding {
	SG_HOLDS_NOT,      /* the back end does not look at it */
	SG_HOLDS_PARTLY,   /* approximated: it refuses less than the profile does */
	SG_HOLDS_STRICTER, /* approximated: it refuses more than the profile does */
	SG_HOLDS,          /* enforced */
};

struct sg_hold {
	enum sg_holding holding;
	const char *how; /* PARTLY, STRICTER: in what it differs; NOT: why, or NULL; static, no full stop */
};

/* What no rule names is refused: of that, what a back end can hold. */
enum sg_export_rest {
#define SG_EXPORT_REST(id, words) SG_REST_##id,
#include "export/rest.def"
#undef SG_EXPORT_REST
	SG_RESTS_
};

struct sg_exporter;
struct sg_places;

/* One policy for one back end. */
struct sg_export {
	const struct sg_policy *policy;     /* borrowed */
	const struct sg_exporter *exporter; /* static */
	struct sg_hold *rules;              /* owned; by index into policy->rules */
	struct sg_hold rests[SG_RESTS_];
	struct sg_places *places; /* owned; of back ends that mount, else NULL */
	void *state;              /* the back end's own, of its open() */
};

/* A back end. A new one: a file with one of these, and a row in exporters.def (docs/HOWTO-add-a-back-end.md). */
struct sg_exporter {
	const char *name;    /* of --to */
	const char *summary; /* what it writes, for help; no full stop */
	const char *suffix;  /* of a file of it, with the dot */
	bool mounts;         /* it makes a file system of what the rules name (export/places.h) */
	/* Before all else, where a back end has to see the whole policy to judge a rule; or NULL. 0 or a negative errno value; close() follows in every case. */
	int (*open)(struct sg_export *with);
	void (*close)(struct sg_export *with); /* frees with->state; NULL where open is */
	/* How a rule is held. Called for the kinds of rules that sg_export_is_judged() says. */
	struct sg_hold (*judge)(const struct sg_export *with, const struct sg_rule *rule);
	/* How what no rule names is held. */
	struct sg_hold (*judge_rest)(const struct sg_export *with, enum sg_export_rest rest);
	/* Appends the artefact, with the matrix in its header where the format has room for one. 0 or a negative errno value with context. */
	int (*write)(const struct sg_export *with, struct sg_buffer *out, struct sg_error *error);
	/* True if something on this host takes the artefact. Appends what does, or why nothing does (export/host.h). */
	bool (*probe)(struct sg_buffer *out);
	/* Whether load() can do it here and for this user, before anything is made. 0, or a negative errno value with context. NULL where load is. */
	int (*may_load)(struct sg_error *error);
	/*
	 * Loads it for good: until unload(), over restarts of the host too. What is loaded by that name already is replaced. NULL where nothing
	 * is loaded but handed over. 0, or a negative errno value with context: then all is as before.
	 */
	int (*load)(const struct sg_export *with, const struct sg_buffer *artefact, struct sg_error *error);
	/*
	 * Takes away what was loaded of the profile of that name. 0; 1: nothing was; or a negative errno value with context, -ENOSYS if
	 * this host cannot load it.
	 */
	int (*unload)(const char *name, struct sg_error *error);
};

/* The back ends, in the order of exporters.def. */
extern const struct sg_exporter *const sg_exporters[];
extern const size_t sg_exporter_count;

/* The back end of that name, or NULL. */
const struct sg_exporter *sg_exporter_find(const char *name, size_t length);

/*
 * Judges every rule. `policy` must outlive *ret, which is to be given to sg_export_done in every case. Returns 0, -ENOMEM, or -E2BIG
 * (more rules by file name than one automaton holds, more names than SG_PLACES_MAX).
 */
SG_MUST_USE int sg_export_prepare(const struct sg_policy *policy, const struct sg_exporter *exporter,
				  struct sg_export *ret);
void sg_export_done(struct sg_export *with);

/*
 * True for a rule that is a row of the matrix: one that a person wrote, or that a flag brought, and that gives, refuses or records
 * something. A flag stands for its system calls and capabilities.
 */
bool sg_export_is_judged(const struct sg_rule *rule);

/* What `count` back ends hold of a rule (or of a rest) together: the best of them. */
enum sg_holding sg_export_rule_together(const struct sg_export *exports, size_t count, size_t rule);
enum sg_holding sg_export_rest_together(const struct sg_export *exports, size_t count, enum sg_export_rest rest);

/* True if something is held by none of the back ends, or by none as it is meant: together they are weaker than the profile. */
bool sg_export_is_weaker(const struct sg_export *exports, size_t count);

/* The name of what no rule names: "files that no rule names". Static. */
const char *sg_export_rest_words(enum sg_export_rest rest);

/* "enforced", "approximated", "not enforced". Static. */
const char *sg_holding_words(enum sg_holding holding);

/*
 * Appends the matrix as text for a person: a row for each rule, a column for each back end, and the notes below; with `weak_only`
 * just what no back end holds, rules that fare alike in one row. Every line begins with `prefix`. Nothing in it can end the line: names are escaped.
 * Of several back ends the columns are narrow: signs, with their meaning below. With the prefix "" it is for cli/layout.h: a tab
 * before a row's rule, of which the lines are wrapped.
 */
void sg_export_matrix(const struct sg_export *exports, size_t count, bool weak_only, const char *prefix,
		      struct sg_buffer *out);

/* What stands before and behind the words of which profile and files an artefact with a header was made from. */
#define SG_EXPORT_ORIGIN "Compiled by shellguard from "
#define SG_EXPORT_ORIGIN_END ". The policy's hash is"

/*
 * Appends the header of an artefact whose comments begin with `prefix` ("# "): where it comes from, the policy's hash, the
 * values of the variables, and the matrix of this back end.
 */
void sg_export_header(const struct sg_export *with, const char *prefix, struct sg_buffer *out);
