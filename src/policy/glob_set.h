/*
 * Many globs as one automaton, and the matching of names against it.
 *
 * A set is filled, compiled once, and immutable from then on: any number of matchers in any number of threads
 * may share it. A matcher is the scratch memory of one thread. Everything a matcher needs is allocated when
 * it is made: matching allocates nothing, makes no system call, and takes time linear in the name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "policy/glob.h"

struct sg_globset;
struct sg_matcher;

enum {
	SG_GLOBSET_RULES_MAX = 1 << 20,      /* globs in one set */
	SG_GLOBSET_NODES_MAX = 1 << 24,      /* nodes of its automaton */
	SG_MATCHER_MEMORY_MIN = 64 * 1024,   /* bytes for a matcher's cache of states */
	SG_MATCHER_MEMORY = 8 * 1024 * 1024, /* a good size: pages are touched as they are needed */
	SG_MATCHER_MEMORY_MAX = 64 * 1024 * 1024,
};

/* Makes an empty set, the caller's (sg_globset_free). Returns 0 or -ENOMEM. */
SG_MUST_USE int sg_globset_new(struct sg_globset **ret_set);
void sg_globset_free(struct sg_globset *set); /* after every matcher of it */
SG_DEFINE_AUTO(struct sg_globset, globset, sg_globset_free)
#define SG_AUTO_GLOBSET SG_CLEANUP(sg_auto_globset)

/*
 * Adds a glob under the caller's `rule` number, for the classes in `mask` (bits of the caller's meaning, not
 * 0). One rule may have several globs, and one glob several rules. The glob is not needed afterwards. Returns
 * 0; -EBUSY once the set is compiled; -EINVAL for a mask of 0; -E2BIG beyond the limits above; or -ENOMEM.
 * After the last two the set can only be freed (compiling it returns the same error).
 */
SG_MUST_USE int sg_globset_add(struct sg_globset *set, const struct sg_glob *glob, uint32_t rule, uint64_t mask);

/* Compiles the set. Returns 0, -EBUSY if it is compiled already, -ENOMEM, or the error of an sg_globset_add.
 */
SG_MUST_USE int sg_globset_compile(struct sg_globset *set);

/* Nodes of the compiled automaton, for tests and statistics. */
size_t sg_globset_nodes(const struct sg_globset *set);

/*
 * Makes a matcher for a compiled set, which must outlive it. `memory` is the size of its cache of states in
 * bytes (SG_MATCHER_MEMORY_MIN to _MAX; SG_MATCHER_MEMORY is a good one); scratch memory in proportion to the
 * set's nodes comes on top. The matcher is the caller's (sg_matcher_free). Returns 0, -EINVAL (not compiled,
 * bad size) or -ENOMEM.
 */
SG_MUST_USE int sg_matcher_new(const struct sg_globset *set, size_t memory, struct sg_matcher **ret_matcher);
void sg_matcher_free(struct sg_matcher *matcher);
SG_DEFINE_AUTO(struct sg_matcher, matcher, sg_matcher_free)
#define SG_AUTO_MATCHER SG_CLEANUP(sg_auto_matcher)

struct sg_match {
	uint64_t mask; /* the classes of all globs that match */
};

/*
 * Matches `name` of `length` bytes: canonical (policy/glob.h), as the world sees it, a directory with '/' at
 * its end. A repeated '/' counts as one. Returns 0 with *ret_match set (a mask of 0: no glob matches), or
 * -EINVAL with *ret_match set to a mask of 0 when the name is not canonical: relative, with a NUL byte, or
 * with a component "." or "..".
 */
int sg_matcher_match(struct sg_matcher *matcher, const char *name, size_t length, struct sg_match *ret_match);

/*
 * The rules of the last sg_matcher_match() of this matcher that have a class in `mask` and whose glob
 * matched: the lowest `capacity` of them, ascending, none twice, go to `rules`. Returns how many it wrote.
 * For explanations: the time is in proportion to the rules that match, times `capacity` at worst.
 */
size_t sg_matcher_rules(const struct sg_matcher *matcher, uint64_t mask, uint32_t *rules, size_t capacity);

struct sg_match_below {
	uint64_t may; /* classes with a glob that matches some name strictly below: may be too large, never
			 too small */
	uint64_t all; /* classes whose globs together match every name strictly below: may be too small, never
			 too large */
};

/*
 * What the globs can match strictly below `directory` (canonical, ending in '/'). A class in `all` is in
 * `may` too. Returns 0, or -EINVAL with *ret_below = all of `may`, none of `all`, when the name is no
 * canonical directory name. The result of the last match is lost.
 */
int sg_matcher_below(struct sg_matcher *matcher, const char *directory, size_t length,
		     struct sg_match_below *ret_below);

/*
 * True only if, for every class in `mask`, exactly the same relative names match below `directory_a` as below
 * `directory_b` (both canonical and ending in '/'); false where they differ, where a name is not such a name,
 * and where telling would take too long. The directories themselves do not count. The result of the last
 * match is lost.
 */
bool sg_matcher_same_below(struct sg_matcher *matcher, const char *directory_a, size_t length_a,
			   const char *directory_b, size_t length_b, uint64_t mask);

/* What a matcher did so far, for tests of its bounds: counts, not times. */
struct sg_matcher_statistics {
	uint64_t bytes;   /* of names, repeated slashes included */
	uint64_t built;   /* transitions computed from node sets; the others were one look-up in the cache */
	uint64_t visited; /* nodes and edges looked at for that */
	uint64_t flushes; /* the cache was full and was emptied */
	uint64_t plain;   /* bytes matched by node sets alone, without the cache */
};
/* Copies the counts since the matcher was made. Always sets *ret_statistics. */
void sg_matcher_statistics(const struct sg_matcher *matcher, struct sg_matcher_statistics *ret_statistics);
