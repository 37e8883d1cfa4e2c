#include "policy/addressset_ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PORTS = 65536 };
#define NO_RULE UINT32_MAX

void sg_ports_store_done(struct sg_ports_store *store)
{
	free(store->segments);
	free(store->pairs);
	*store = (struct sg_ports_store){0};
}

static int reserve(void **array, size_t *capacity, size_t needed, size_t item)
{
	size_t grown = *capacity < 64 ? 64 : *capacity, size;
	void *moved;

	if (needed <= *capacity) {
		return 0;
	}
	while (grown < needed) {
		if (__builtin_mul_overflow(grown, (size_t)2, &grown)) {
			return -ENOMEM;
		}
	}
	if (__builtin_mul_overflow(grown, item, &size)) {
		return -ENOMEM;
	}
	moved = realloc(*array, size);
	if (!moved) {
		return -ENOMEM;
	}
	*array = moved;
	*capacity = grown;
	return 0;
}

static int compare_numbers(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int compare_rules(const void *a, const void *b)
{
	const struct sg_ports_item *x = a, *y = b;

	return x->rule < y->rule ? -1 : x->rule > y->rule;
}

/* Index of the segment that begins at `low`, which is one of the `count` sorted starts. */
static size_t start_index(const uint32_t *starts, size_t count, uint32_t low)
{
	const uint32_t *found = bsearch(&low, starts, count, sizeof(*starts), compare_numbers);

	return found ? (size_t)(found - starts) : count;
}

/* ICMP has no ports: its one segment is that of port 0. */
static size_t item_ranges(const struct sg_ports_item *item, unsigned int protocol_index)
{
	return protocol_index == SG_PORTS_ICMP ? 1 : item->pattern->port_count;
}

static struct sg_portrange item_range(const struct sg_ports_item *item, unsigned int protocol_index, size_t i)
{
	return protocol_index == SG_PORTS_ICMP ? (struct sg_portrange){0, 65535} : item->pattern->ports[i];
}

struct sweep {
	const struct sg_ports_item *items; /* sorted by rule */
	size_t count;
	unsigned int protocol_index;
	uint32_t *starts; /* sorted starts of segments */
	size_t start_count;
	uint32_t *rules; /* lowest rule of each segment, for one class */
	uint32_t *next;  /* the next segment that has no rule yet, with path compression */
};

static bool speaks(const struct sweep *sweep, const struct sg_ports_item *item)
{
	return item->pattern->protocols & 1U << sweep->protocol_index;
}

static size_t next_free(uint32_t *next, size_t at)
{
	size_t root = at;

	while (next[root] != root) {
		root = next[root];
	}
	while (next[at] != root) {
		size_t step = next[at];

		next[at] = (uint32_t)root;
		at = step;
	}
	return root;
}

/* Rules come lowest first, so a segment keeps the first one that covers it. */
static void paint(struct sweep *sweep, unsigned int class_index)
{
	for (size_t i = 0; i <= sweep->start_count; i++) {
		sweep->rules[i] = NO_RULE;
		sweep->next[i] = (uint32_t)i;
	}
	for (size_t i = 0; i < sweep->count; i++) {
		const struct sg_ports_item *item = &sweep->items[i];

		if (!speaks(sweep, item) || !(item->classes & 1U << class_index)) {
			continue;
		}
		for (size_t j = 0; j < item_ranges(item, sweep->protocol_index); j++) {
			struct sg_portrange range = item_range(item, sweep->protocol_index, j);
			size_t end = start_index(sweep->starts, sweep->start_count, (uint32_t)range.high + 1);
			size_t at = next_free(sweep->next, start_index(sweep->starts, sweep->start_count, range.low));

			for (; at < end; at = next_free(sweep->next, at)) {
				sweep->rules[at] = item->rule;
				sweep->next[at] = (uint32_t)at + 1;
			}
		}
	}
}

/* Collects where segments begin. Returns 0 (perhaps with none) or -ENOMEM. */
static int collect_starts(struct sweep *sweep)
{
	size_t room = 1, kept = 0, count = 0;

	for (size_t i = 0; i < sweep->count; i++) {
		room += speaks(sweep, &sweep->items[i]) ? 2 * item_ranges(&sweep->items[i], sweep->protocol_index) : 0;
	}
	if (room == 1) {
		return 0;
	}
	sweep->starts = calloc(room, sizeof(*sweep->starts));
	sweep->rules = calloc(room + 1, sizeof(*sweep->rules));
	sweep->next = calloc(room + 1, sizeof(*sweep->next));
	if (!sweep->starts || !sweep->rules || !sweep->next) {
		return -ENOMEM;
	}
	count = 1; /* the first segment begins at 0 */
	for (size_t i = 0; i < sweep->count; i++) {
		for (size_t j = 0;
		     speaks(sweep, &sweep->items[i]) && j < item_ranges(&sweep->items[i], sweep->protocol_index); j++) {
			struct sg_portrange range = item_range(&sweep->items[i], sweep->protocol_index, j);

			sweep->starts[count++] = range.low;
			sweep->starts[count++] = (uint32_t)range.high + 1;
		}
	}
	qsort(sweep->starts, count, sizeof(*sweep->starts), compare_numbers);
	for (size_t i = 1; i < count; i++) {
		if (sweep->starts[i] != sweep->starts[kept]) {
			sweep->starts[++kept] = sweep->starts[i];
		}
	}
	sweep->start_count = kept + 1;
	return 0;
}

/*
 * Class by class, the pairs of all segments are appended, then put in order of segments: the pairs of one
 * segment must lie together. `cells` is class-major: the painted rules of all classes.
 */
static int store_segments(struct sg_ports_store *store, const struct sweep *sweep, const uint32_t *cells,
			  const unsigned int *class_of, size_t class_count, struct sg_ports_table *table)
{
	if (reserve((void **)&store->segments, &store->segment_capacity, store->segment_count + sweep->start_count,
		    sizeof(*store->segments)) != 0 ||
	    reserve((void **)&store->pairs, &store->pair_capacity, store->pair_count + sweep->start_count * class_count,
		    sizeof(*store->pairs)) != 0) {
		return -ENOMEM;
	}
	table->protocols[sweep->protocol_index].first = (uint32_t)store->segment_count;
	table->protocols[sweep->protocol_index].count = (uint32_t)sweep->start_count;
	for (size_t i = 0; i < sweep->start_count; i++) {
		struct sg_ports_segment *segment = &store->segments[store->segment_count++];

		*segment =
			(struct sg_ports_segment){.low = sweep->starts[i], .first_pair = (uint32_t)store->pair_count};
		for (size_t c = 0; c < class_count; c++) {
			uint32_t rule = cells[c * sweep->start_count + i];

			if (rule != NO_RULE) {
				store->pairs[store->pair_count++] = (struct sg_ports_pair){class_of[c], rule};
				segment->classes |= 1U << class_of[c];
				segment->pair_count++;
			}
		}
	}
	return 0;
}

static int compile_protocol(struct sg_ports_store *store, struct sweep *sweep, struct sg_ports_table *table)
{
	unsigned int class_of[SG_ADDRESSSET_CLASSES_MAX];
	size_t class_count = 0, size;
	int result = collect_starts(sweep);

	if (result != 0 || sweep->start_count == 0) {
		return result;
	}
	for (unsigned int c = 0; c < SG_ADDRESSSET_CLASSES_MAX; c++) {
		if (table->classes & 1U << c) {
			class_of[class_count++] = c;
		}
	}
	if (__builtin_mul_overflow(sweep->start_count, class_count * sizeof(uint32_t), &size)) {
		return -ENOMEM;
	}
	SG_AUTO_FREE uint32_t *cells = malloc(size);
	if (!cells) {
		return -ENOMEM;
	}
	for (size_t c = 0; c < class_count; c++) {
		paint(sweep, class_of[c]);
		memcpy(cells + c * sweep->start_count, sweep->rules, sweep->start_count * sizeof(*cells));
	}
	return store_segments(store, sweep, cells, class_of, class_count, table);
}

int sg_ports_compile(struct sg_ports_store *store, const struct sg_ports_item *items, size_t count,
		     struct sg_ports_table *ret)
{
	struct sg_ports_table table = {0};
	SG_AUTO_FREE struct sg_ports_item *sorted = calloc(count > 0 ? count : 1, sizeof(*sorted));

	if (!sorted) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		sorted[i] = items[i];
		table.classes |= items[i].classes;
	}
	qsort(sorted, count, sizeof(*sorted), compare_rules);
	for (unsigned int p = 0; p < SG_PORTS_PROTOCOLS; p++) {
		struct sweep sweep = {.items = sorted, .count = count, .protocol_index = p};
		int result = compile_protocol(store, &sweep, &table);

		free(sweep.starts);
		free(sweep.rules);
		free(sweep.next);
		if (result != 0) {
			return result;
		}
	}
	*ret = table;
	return 0;
}

const struct sg_ports_segment *sg_ports_find(const struct sg_ports_store *store, const struct sg_ports_table *table,
					     unsigned int protocol_index, uint32_t port)
{
	const struct sg_ports_segment *segments = store->segments + table->protocols[protocol_index].first;
	size_t begin = 0, end = table->protocols[protocol_index].count;

	if (end == 0) {
		return NULL;
	}
	while (end - begin > 1) {
		size_t middle = begin + (end - begin) / 2;

		if (segments[middle].low <= port) {
			begin = middle;
		} else {
			end = middle;
		}
	}
	return &segments[begin];
}

void sg_ports_match(const struct sg_ports_store *store, const struct sg_ports_table *table, unsigned int protocol_index,
		    uint32_t port, uint32_t mask, struct sg_address_match *match)
{
	const struct sg_ports_segment *segment = NULL;

	if (table->classes & mask) {
		segment = sg_ports_find(store, table, protocol_index, port);
	}
	if (!segment || !(segment->classes & mask)) {
		return;
	}
	for (size_t i = 0; i < segment->pair_count; i++) {
		const struct sg_ports_pair *pair = &store->pairs[segment->first_pair + i];
		uint32_t bit = 1U << pair->class_index;

		if (!(mask & bit)) {
			continue;
		}
		if (!(match->classes & bit) || pair->rule < match->rules[pair->class_index]) {
			match->rules[pair->class_index] = pair->rule;
		}
		match->classes |= bit;
	}
}
