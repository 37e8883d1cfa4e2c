/* What the globs can match below a directory. */
#include <errno.h>
#include <string.h>

#include "policy/glob_match.h"

uint32_t sg_name_step(uint32_t shape, unsigned char byte)
{
	if (byte == '\0')
		return SG_SHAPE_NONE;
	if (byte == '/') /* a repeated one is none of a canonical name's */
		return shape == SG_SHAPE_START || shape == SG_SHAPE_INSIDE ? SG_SHAPE_SLASH : SG_SHAPE_NONE;
	if (shape == SG_SHAPE_START)
		return SG_SHAPE_NONE;
	if (byte == '.' && shape == SG_SHAPE_SLASH)
		return SG_SHAPE_DOT;
	if (byte == '.' && shape == SG_SHAPE_DOT)
		return SG_SHAPE_DOT_DOT;
	return SG_SHAPE_INSIDE;
}

/* Puts a pair on the queue unless it was there before. Returns false if there is no room. */
static bool push_pair(struct sg_matcher *matcher, size_t *count, struct sg_pair pair)
{
	size_t mask = 2 * matcher->pair_max - 1;
	uint64_t key = ((uint64_t)pair.a << 32 | pair.b) * UINT64_C(0x9e3779b97f4a7c15) + pair.shape;
	size_t slot = (size_t)(key >> 29 ^ key) & mask;

	for (; matcher->pairs[slot].shape != SG_SHAPE_NONE; slot = (slot + 1) & mask)
		if (memcmp(&matcher->pairs[slot], &pair, sizeof(pair)) == 0)
			return true;
	if (*count == matcher->pair_max)
		return false;
	matcher->pairs[slot] = pair;
	matcher->queue[(*count)++] = (uint32_t)slot;
	return true;
}

/* Visits and queues what every symbol leads to from `pair`. Returns as sg_matcher_explore. */
static int expand_pair(struct sg_matcher *matcher, struct sg_exploration *exploration, struct sg_pair pair,
		       size_t *count)
{
	for (size_t symbol = 0; symbol < matcher->set->symbol_count; symbol++) {
		unsigned char byte = matcher->set->byte_of[symbol];
		struct sg_pair next = {.shape = sg_name_step(pair.shape, byte)};

		if (next.shape == SG_SHAPE_NONE)
			continue;
		next.a = sg_matcher_step(matcher, pair.a, byte);
		next.b = pair.a == pair.b ? next.a : sg_matcher_step(matcher, pair.b, byte);
		if (next.a == SG_POSITION_UNKNOWN || next.b == SG_POSITION_UNKNOWN)
			return -1;
		if ((next.shape == SG_SHAPE_SLASH || next.shape == SG_SHAPE_INSIDE) &&
		    !exploration->visit(exploration, sg_matcher_accepts(matcher, next.a),
					sg_matcher_accepts(matcher, next.b)))
			return 0;
		if (exploration->wanted(exploration, sg_matcher_may(matcher, next.a),
					sg_matcher_may(matcher, next.b)) &&
		    !push_pair(matcher, count, next))
			return -1;
	}
	return 1;
}

int sg_matcher_explore(struct sg_matcher *matcher, struct sg_exploration *exploration, uint32_t a, uint32_t b)
{
	struct sg_pair first = {.a = a, .b = b, .shape = exploration->from_start ? SG_SHAPE_START : SG_SHAPE_SLASH};
	size_t count = 0;
	int r = 1;

	if (a == SG_POSITION_PLAIN || b == SG_POSITION_PLAIN)
		return -1;
	memset(matcher->pairs, 0, 2 * matcher->pair_max * sizeof(*matcher->pairs));
	matcher->exploring = true;
	(void)push_pair(matcher, &count, first);
	for (size_t i = 0; i < count && r == 1; i++)
		r = expand_pair(matcher, exploration, matcher->pairs[matcher->queue[i]], &count);
	matcher->exploring = false;
	return r;
}

static bool is_directory(const char *name, size_t length)
{
	return sg_name_is_canonical(name, length) && name[length - 1] == '/';
}

/* The classes that, by one node alone, match whatever follows the '/' that led to the position. */
static uint64_t sinks_ahead(const struct sg_matcher *matcher, uint32_t position)
{
	const struct sg_globset *set = matcher->set;
	const struct sg_glob_class not_slash = sg_glob_class_all(false);
	uint32_t single, count;
	const uint32_t *nodes = sg_matcher_nodes(matcher, position, &single, &count);
	uint64_t mask = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct sg_node *node = &set->nodes[nodes[i]];

		if (node->sink)
			mask |= set->accepts[nodes[i]];
		for (uint32_t e = node->wide; e < node[1].wide; e++)
			if (set->nodes[set->wides[e].to].sink &&
			    memcmp(&set->classes[set->wides[e].class], &not_slash, sizeof(not_slash)) == 0)
				mask |= set->accepts[set->wides[e].to];
	}
	return mask;
}

static bool keep_common(struct sg_exploration *exploration, uint64_t accepts_a, uint64_t accepts_b)
{
	exploration->mask &= accepts_a;
	return exploration->mask != 0;
}

static bool want_all(const struct sg_exploration *exploration, uint64_t may_a, uint64_t may_b)
{
	return true;
}

int sg_matcher_below(struct sg_matcher *matcher, const char *directory, size_t length, struct sg_match_below *ret_below)
{
	struct sg_exploration exploration = {.visit = keep_common, .wanted = want_all};
	uint32_t position;

	matcher->last = SG_POSITION_DEAD;
	if (!is_directory(directory, length)) {
		*ret_below = (struct sg_match_below){.may = UINT64_MAX};
		return -EINVAL;
	}
	sg_matcher_make_room(matcher);
	position = sg_matcher_run(matcher, directory, length);
	ret_below->may = sg_matcher_may(matcher, position);
	ret_below->all = sinks_ahead(matcher, position) & ret_below->may;
	if (ret_below->all == ret_below->may)
		return 0;
	exploration.mask = ret_below->may & ~ret_below->all;
	if (sg_matcher_explore(matcher, &exploration, position, position) == 1)
		ret_below->all |= exploration.mask;
	return 0;
}

static bool compare_classes(struct sg_exploration *exploration, uint64_t accepts_a, uint64_t accepts_b)
{
	return ((accepts_a ^ accepts_b) & exploration->mask) == 0;
}

static bool want_either(const struct sg_exploration *exploration, uint64_t may_a, uint64_t may_b)
{
	return ((may_a | may_b) & exploration->mask) != 0;
}

bool sg_matcher_same_below(struct sg_matcher *matcher, const char *directory_a, size_t length_a,
			   const char *directory_b, size_t length_b, uint64_t mask)
{
	struct sg_exploration exploration = {.visit = compare_classes, .wanted = want_either, .mask = mask};
	uint32_t a, b, epoch;

	matcher->last = SG_POSITION_DEAD;
	if (!is_directory(directory_a, length_a) || !is_directory(directory_b, length_b))
		return false;
	sg_matcher_make_room(matcher);
	a = sg_matcher_run(matcher, directory_a, length_a);
	epoch = matcher->epoch;
	b = sg_matcher_run(matcher, directory_b, length_b);
	/* After a flush, and beside a set outside of the cache, the first position is not to be trusted. */
	if (epoch != matcher->epoch || a == SG_POSITION_PLAIN || b == SG_POSITION_PLAIN)
		return false;
	if (a == b || ((sg_matcher_may(matcher, a) | sg_matcher_may(matcher, b)) & mask) == 0)
		return true;
	return sg_matcher_explore(matcher, &exploration, a, b) == 1;
}
