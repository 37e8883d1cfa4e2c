/* Making a matcher, and asking which rules it was. */
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "policy/glob_match.h"

_Static_assert(SG_MATCHER_MEMORY_MAX / 32 < 1 << 24, "a state's number and a symbol are one key of 32 bits");

enum { MATCHER_PAIRS = 256 }; /* the most pairs that a question about what lies below may visit */

static size_t power_of_two(size_t least)
{
	size_t power = 16;

	while (power < least)
		power *= 2;
	return power;
}

/* Divides the cache's memory: a quarter for lists of nodes, a quarter for states, half for transitions; an eighth more for strides. */
static int allocate_cache(struct sg_matcher *matcher, size_t memory)
{
	size_t strides, cells, states, table;

	matcher->pool_max = memory / 4 / sizeof(*matcher->pool);
	matcher->state_max = memory / 4 / (sizeof(*matcher->states) + 4 * sizeof(*matcher->table));
	matcher->table_size = power_of_two(2 * matcher->state_max);
	while (sizeof(*matcher->cells) << (matcher->cell_bits + 1) <= memory / 2)
		matcher->cell_bits++;
	matcher->cell_max = ((size_t)1 << matcher->cell_bits) / 4 * 3;
	while (sizeof(*matcher->strides) << (matcher->stride_bits + 1) <= memory / 8)
		matcher->stride_bits++;
	strides = sizeof(*matcher->strides) << matcher->stride_bits;
	cells = sizeof(*matcher->cells) << matcher->cell_bits;
	states = matcher->state_max * sizeof(*matcher->states);
	table = matcher->table_size * sizeof(*matcher->table);
	matcher->cache_size = strides + states + cells + table + matcher->pool_max * sizeof(*matcher->pool);
	matcher->cache = sg_memory_lazy_new(matcher->cache_size);
	if (matcher->cache == NULL)
		return -ENOMEM;
	/* The widest first, so that each is aligned. */
	matcher->strides = matcher->cache;
	matcher->states = (struct sg_state *)((char *)matcher->strides + strides);
	matcher->cells = (struct sg_cell *)((char *)matcher->states + states);
	matcher->table = (uint32_t *)((char *)matcher->cells + cells);
	matcher->pool = (uint32_t *)((char *)matcher->table + table);
	matcher->state_count = 1;
	matcher->epoch = 1;
	return 0;
}

static int allocate_scratch(struct sg_matcher *matcher, size_t pairs)
{
	size_t nodes = matcher->set->node_count;

	matcher->closure = calloc(nodes, sizeof(*matcher->closure));
	matcher->mark = calloc(nodes, sizeof(*matcher->mark));
	matcher->found = calloc(nodes, sizeof(*matcher->found));
	matcher->stack = calloc(nodes, sizeof(*matcher->stack));
	matcher->plain = calloc(nodes, sizeof(*matcher->plain));
	matcher->pair_max = pairs;
	matcher->pairs = calloc(pairs, 2 * sizeof(*matcher->pairs));
	matcher->queue = calloc(pairs, sizeof(*matcher->queue));
	if (matcher->closure == NULL || matcher->mark == NULL || matcher->found == NULL || matcher->stack == NULL ||
	    matcher->plain == NULL || matcher->pairs == NULL || matcher->queue == NULL)
		return -ENOMEM;
	return 0;
}

int sg_matcher_new_sized(const struct sg_globset *set, size_t memory, size_t pairs, struct sg_matcher **ret_matcher)
{
	SG_AUTO_MATCHER struct sg_matcher *matcher = NULL;
	int r;

	if (set->builder != NULL || memory < SG_MATCHER_MEMORY_MIN || memory > SG_MATCHER_MEMORY_MAX)
		return -EINVAL;
	matcher = calloc(1, sizeof(*matcher));
	if (matcher == NULL)
		return -ENOMEM;
	matcher->set = set;
	matcher->last = SG_POSITION_DEAD;
	r = allocate_cache(matcher, memory);
	if (r == 0)
		r = allocate_scratch(matcher, pairs);
	if (r < 0)
		return r;
	*ret_matcher = sg_take_pointer(matcher);
	return 0;
}

int sg_matcher_new(const struct sg_globset *set, size_t memory, struct sg_matcher **ret_matcher)
{
	return sg_matcher_new_sized(set, memory, MATCHER_PAIRS, ret_matcher);
}

void sg_matcher_free(struct sg_matcher *matcher)
{
	if (matcher == NULL)
		return;
	sg_memory_lazy_free(matcher->cache, matcher->cache_size);
	free(matcher->closure);
	free(matcher->mark);
	free(matcher->found);
	free(matcher->stack);
	free(matcher->plain);
	free(matcher->pairs);
	free(matcher->queue);
	free(matcher);
}

/* Puts a rule in its place among the lowest `capacity`. */
static size_t place(uint32_t *rules, size_t count, size_t capacity, uint32_t rule)
{
	size_t at = count;

	while (at > 0 && rules[at - 1] > rule)
		at--;
	if (at > 0 && rules[at - 1] == rule)
		return count;
	if (at == capacity)
		return count;
	if (count == capacity)
		count--;
	memmove(&rules[at + 1], &rules[at], (count - at) * sizeof(*rules));
	rules[at] = rule;
	return count + 1;
}

size_t sg_matcher_rules(const struct sg_matcher *matcher, uint64_t mask, uint32_t *rules, size_t capacity)
{
	const struct sg_globset *set = matcher->set;
	uint32_t single, node_count;
	const uint32_t *nodes = sg_matcher_nodes(matcher, matcher->last, &single, &node_count);
	size_t count = 0;

	for (uint32_t i = 0; i < node_count; i++)
		for (uint32_t a = set->nodes[nodes[i]].accept; a < set->nodes[nodes[i] + 1].accept; a++)
			if (set->rules[a].mask & mask)
				count = place(rules, count, capacity, set->rules[a].rule);
	return count;
}

void sg_matcher_statistics(const struct sg_matcher *matcher, struct sg_matcher_statistics *ret_statistics)
{
	*ret_statistics = matcher->statistics;
}
