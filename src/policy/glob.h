/*
 * File globs: AppArmor's language, parsed and judged by its text alone.
 *
 * A glob stands for a set of canonical names. A canonical name begins with '/', has no NUL byte, no empty
 * component
 * ("//") and no component "." or ".."; a directory's name ends in '/', everything else's does not.
 *
 *   ?          one byte other than '/'
 *   *          any number of bytes other than '/'
 *   **         any number of bytes
 *   [abc] [a-z] [^a-z]   one byte of (or, with ^, not of) the class; never '/'
 *   {a,b,}     either alternative; braces nest, at most one alternative is empty
 *   \x         the punctuation character or space x by itself
 *   //         the same as /
 *
 * A run of stars that fills a whole component, that is one with '/' before it and '/' or the end after it,
 * matches at least one byte, the first of which is no '/'. Braces mean what writing each alternative out
 * would mean, so in
 * "/{a,}*" the star fills a component where the alternative is empty. Everything is in bytes: '?' and a class
 * match one byte of a UTF-8 sequence.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buffer.h"

enum {
	SG_GLOB_LENGTH_MAX = 8192, /* bytes of one glob's text */
	SG_GLOB_DEPTH_MAX = 16,    /* braces within braces */
	SG_GLOB_NAMES_MAX = 1024,  /* the most names that expanding one glob may give */
};

/* What is wrong with a glob's text. The texts may hold bytes of the glob as they are: escape them before
 * printing. */
struct sg_glob_error {
	size_t offset;        /* of the offending bytes within the text */
	size_t length;        /* their number; 0 only for an empty text */
	char message[128];    /* one line without a full stop, never empty */
	char suggestion[192]; /* what to write instead, or "" */
};

struct sg_glob; /* immutable after sg_glob_parse */

/*
 * Parses `length` bytes of `text`. On success *ret_glob is the caller's (sg_glob_free). Returns 0; -EINVAL
 * when the text is no glob, or is one that no name can ever match, with *error filled in (untouched
 * otherwise; NULL drops it); or -ENOMEM. Linear in `length`, no recursion.
 */
SG_MUST_USE int sg_glob_parse(const char *text, size_t length, struct sg_glob_error *error, struct sg_glob **ret_glob);
void sg_glob_free(struct sg_glob *glob);
SG_DEFINE_AUTO(struct sg_glob, glob, sg_glob_free)
#define SG_AUTO_GLOB SG_CLEANUP(sg_auto_glob)

/* Appends `text` so that it stands for itself within a glob (the value of a variable, say). */
void sg_glob_quote(struct sg_buffer *buffer, const char *text, size_t length);

/* The text as it was given (not terminated by NUL), for as long as the glob lives. */
const char *sg_glob_text(const struct sg_glob *glob, size_t *ret_length);

/*
 * The literal prefix: the bytes that every matching name begins with as far as the text shows them, escapes
 * removed, up to the first wildcard or brace. Never empty. Ends in NUL (not counted); lives as long as the
 * glob.
 */
const char *sg_glob_prefix(const struct sg_glob *glob, size_t *ret_length);

/* True if the glob is one name, sg_glob_prefix(): no wildcard, no brace. */
bool sg_glob_is_literal(const struct sg_glob *glob);

/* True for "FOLDER/" followed by "**" where FOLDER is literal: everything below sg_glob_prefix(), which ends
 * in '/'. */
bool sg_glob_is_tree(const struct sg_glob *glob);

/* True if directories (names ending in '/') can match; if other names can. At least one of them is true. */
bool sg_glob_may_match_directory(const struct sg_glob *glob);
bool sg_glob_may_match_file(const struct sg_glob *glob);

/*
 * Appends one name that the glob matches, always the same: of every brace the first alternative, for every star one byte. Returns
 * true; false, with nothing appended, where those together are no canonical name ("/{.,a}{.,b}"), or without memory (sg_buffer_status).
 */
bool sg_glob_example(const struct sg_glob *glob, struct sg_buffer *out);

/* Names, each ending in NUL, in the order in which the text gives them, none twice. Zero is the empty list.
 */
struct sg_glob_names {
	char **names;
	size_t count;
};

/* Frees the names. The list is empty afterwards. */
void sg_glob_names_done(struct sg_glob_names *names);
#define SG_AUTO_GLOB_NAMES SG_CLEANUP(sg_glob_names_done)

enum {
	SG_GLOB_NOT_LITERAL = 1, /* some alternative has a wildcard */
	SG_GLOB_TOO_MANY = 2,    /* more than `limit` names (or folders), or an expansion longer than allowed */
};

/*
 * Writes out the braces of a glob whose alternatives are all literal: *ret_names (the caller's) is exactly
 * the set of names that match. `limit` is at most SG_GLOB_NAMES_MAX. Returns 0; SG_GLOB_NOT_LITERAL or
 * SG_GLOB_TOO_MANY with *ret_names untouched; or -ENOMEM.
 */
SG_MUST_USE int sg_glob_expand(const struct sg_glob *glob, size_t limit, struct sg_glob_names *ret_names);

/*
 * The literal folders that the glob's wildcards range over, each ending in '/': for every way to choose the
 * literal alternatives, the folder that holds the first wildcard's component. "/home/?" and "/home/?/x" give
 * "/home/", "/srv/{a,b}/x*" gives "/srv/a/" and "/srv/b/"; a literal glob or alternative gives none, nor does one
 * whose folder has a component "." or "..".
 * `limit` is at most SG_GLOB_NAMES_MAX. Returns 0; SG_GLOB_TOO_MANY with *ret_names set all the same, to the
 * one folder of sg_glob_prefix(), above all of them; or -ENOMEM with *ret_names untouched.
 */
SG_MUST_USE int sg_glob_folders(const struct sg_glob *glob, size_t limit, struct sg_glob_names *ret_names);

/* False only if no name that the glob matches begins with these bytes, of a canonical name. By its tokens, and cheap. */
bool sg_glob_may_begin(const struct sg_glob *glob, const char *text, size_t length);

/*
 * What the glob matches below the folder `from`, by the name `to` of that folder (neither ends in '/'): calls `add`, which owns `moved`
 * then, for globs that together match `to` + X wherever the glob matches `from` + X, X beginning with '/'. Those of a glob that begins with "/" and two
 * stars leave out what it matches itself. Returns 0, SG_GLOB_TOO_MANY if it is not known what they would be, -ENOMEM, or what `add`
 * returned if that was not 0.
 */
SG_MUST_USE int sg_glob_move(const struct sg_glob *glob, const char *from, const char *to,
			     int (*add)(void *data, struct sg_glob *moved), void *data);

/*
 * Appends the glob as the path of an AppArmor rule (apparmor.d(5), version 3.0) that accepts the same
 * canonical names; in quotes where needed. Control characters, quotes and bytes that are no UTF-8 become
 * octal escapes, so that no text can end the rule or begin another. Negated classes get '/' and NUL added
 * (AppArmor's own match them). A glob in which a brace stands next to a star that fills a component, or which
 * has an empty component through braces, is written as one alternation of its expansions. Returns 0;
 * SG_GLOB_TOO_MANY when that takes more than SG_GLOB_NAMES_MAX of them or more than 1 MiB (nothing was
 * appended); or -ENOMEM.
 */
SG_MUST_USE int sg_glob_to_apparmor(const struct sg_glob *glob, struct sg_buffer *buffer);

/*
 * Relations between two globs, as sets of canonical names. The work is bounded (SG_GLOB_RELATE_PAIRS pairs of
 * automaton states); SG_GLOB_UNKNOWN is the answer beyond it.
 */
enum sg_glob_relation {
	SG_GLOB_NO = 0,
	SG_GLOB_YES = 1,
	SG_GLOB_UNKNOWN = 2,
};
enum { SG_GLOB_RELATE_PAIRS = 4096 };

/* Whether every name that `inner` matches is matched by `outer` too. Returns an sg_glob_relation, or -ENOMEM.
 */
SG_MUST_USE int sg_glob_covers(const struct sg_glob *outer, const struct sg_glob *inner);

/* Whether some name is matched by both. Returns an sg_glob_relation, or -ENOMEM. */
SG_MUST_USE int sg_glob_overlaps(const struct sg_glob *a, const struct sg_glob *b);
