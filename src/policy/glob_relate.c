/* Two globs as one small automaton with a class for each: what one state accepts answers for both. */
#include <errno.h>
#include <string.h>

#include "policy/glob_match.h"

enum {
	CLASS_A = 1,
	CLASS_B = 2,
	RELATE_MEMORY = 4 * 1024 * 1024,
	RELATE_PAIRS_SMALL = 128, /* most pairs of globs need no more, and little memory is cheap to make */
};

/* Names begin with both prefixes, so where these disagree no name is common. */
static bool prefixes_agree(const struct sg_glob *a, const struct sg_glob *b)
{
	size_t common = a->prefix_length < b->prefix_length ? a->prefix_length : b->prefix_length;

	return memcmp(a->prefix, b->prefix, common) == 0;
}

/* Returns SG_GLOB_YES when every pair was visited, _NO when the visit was ended, _UNKNOWN, or -ENOMEM. */
static int explore_sized(const struct sg_globset *set, struct sg_exploration *exploration, size_t memory, size_t pairs)
{
	SG_AUTO_MATCHER struct sg_matcher *matcher = NULL;
	uint32_t start;
	int r = sg_matcher_new_sized(set, memory, pairs, &matcher);

	if (r < 0)
		return r;
	start = sg_matcher_run(matcher, "", 0);
	r = sg_matcher_explore(matcher, exploration, start, start);
	return r < 0 ? SG_GLOB_UNKNOWN : r == 1 ? SG_GLOB_YES : SG_GLOB_NO;
}

static int explore_two(const struct sg_glob *a, const struct sg_glob *b, struct sg_exploration *exploration)
{
	SG_AUTO_GLOBSET struct sg_globset *set = NULL;
	int r = sg_globset_new(&set);

	if (r == 0)
		r = sg_globset_add(set, a, 0, CLASS_A);
	if (r == 0)
		r = sg_globset_add(set, b, 1, CLASS_B);
	if (r == 0)
		r = sg_globset_compile(set);
	if (r < 0)
		return r;
	exploration->from_start = true;
	r = explore_sized(set, exploration, SG_MATCHER_MEMORY_MIN, RELATE_PAIRS_SMALL);
	return r == SG_GLOB_UNKNOWN ? explore_sized(set, exploration, RELATE_MEMORY, SG_GLOB_RELATE_PAIRS) : r;
}

static bool visit_covered(struct sg_exploration *exploration, uint64_t accepts_a, uint64_t accepts_b)
{
	return (accepts_b & CLASS_B) == 0 || (accepts_a & CLASS_A) != 0;
}

static bool want_inner(const struct sg_exploration *exploration, uint64_t may_a, uint64_t may_b)
{
	return (may_b & CLASS_B) != 0;
}

int sg_glob_covers(const struct sg_glob *outer, const struct sg_glob *inner)
{
	struct sg_exploration exploration = {.visit = visit_covered, .wanted = want_inner};

	return prefixes_agree(outer, inner) ? explore_two(outer, inner, &exploration) : SG_GLOB_NO;
}

static bool visit_common(struct sg_exploration *exploration, uint64_t accepts_a, uint64_t accepts_b)
{
	return (accepts_a & (CLASS_A | CLASS_B)) != (CLASS_A | CLASS_B);
}

static bool want_both(const struct sg_exploration *exploration, uint64_t may_a, uint64_t may_b)
{
	return (may_a & (CLASS_A | CLASS_B)) == (CLASS_A | CLASS_B);
}

int sg_glob_overlaps(const struct sg_glob *a, const struct sg_glob *b)
{
	struct sg_exploration exploration = {.visit = visit_common, .wanted = want_both};
	int r;

	/* Of the one with the longer prefix all names begin so; whether the other's can is seen without an automaton. */
	if (!prefixes_agree(a, b) ||
	    (a->prefix_length < b->prefix_length && !sg_glob_may_begin(a, b->prefix, b->prefix_length)) ||
	    (b->prefix_length < a->prefix_length && !sg_glob_may_begin(b, a->prefix, a->prefix_length)))
		return SG_GLOB_NO;
	r = explore_two(a, b, &exploration);
	if (r == SG_GLOB_YES)
		return SG_GLOB_NO;
	return r == SG_GLOB_NO ? SG_GLOB_YES : r;
}
