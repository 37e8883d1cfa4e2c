/*
 * Names against the automaton of a set.
 *
 * One active node is followed directly, along its run of literal bytes where it has one. Several at once are
 * a state of a deterministic automaton that is made as it is needed, in memory of a fixed size. When that is
 * full it is emptied, unless it was filled by so few bytes that this would not pay: then the sets are
 * simulated without it for a while. So the worst case for a byte is one visit to each edge of the active
 * nodes, whatever the globs.
 */
#include "policy/glob_match.h"

#include <errno.h>
#include <string.h>

enum { BYTES_FOR_EACH_STATE = 16 }; /* a state should have served so many bytes before the cache is emptied */

bool sg_name_is_canonical(const char *name, size_t length)
{
	if (length == 0 || name[0] != '/')
		return false;
	for (size_t i = 0; i < length; i++) {
		if (name[i] > '/' || name[i] < '\0')
			continue;
		if (name[i] == '\0')
			return false;
		if (name[i] != '/' || i + 1 == length || name[i + 1] != '.')
			continue;
		if (i + 2 == length || name[i + 2] == '/')
			return false;
		if (name[i + 2] == '.' && (i + 3 == length || name[i + 3] == '/'))
			return false;
	}
	return true;
}

static uint32_t mix_node(uint32_t node)
{
	node *= 0x9e3779b1u;
	node ^= node >> 15;
	return node * 0x85ebca77u;
}

static void begin_set(struct sg_matcher *matcher)
{
	if (++matcher->generation == 0) {
		memset(matcher->mark, 0, matcher->set->node_count * sizeof(*matcher->mark));
		matcher->generation = 1;
	}
	matcher->found_count = 0;
	matcher->found_hash = 0;
}

/* Adds a node and all that its epsilon edges lead to. */
static void add_closure(struct sg_matcher *matcher, uint32_t node)
{
	const struct sg_globset *set = matcher->set;
	size_t depth = 0;

	if (matcher->mark[node] == matcher->generation)
		return;
	matcher->mark[node] = matcher->generation;
	matcher->stack[depth++] = node;
	while (depth > 0) {
		uint32_t top = matcher->stack[--depth];

		matcher->statistics.visited++;
		if (set->nodes[top].useful) {
			matcher->found[matcher->found_count++] = top;
			matcher->found_hash += mix_node(top);
		}
		for (uint32_t e = set->nodes[top].epsilon; e < set->nodes[top + 1].epsilon; e++) {
			uint32_t to = set->epsilons[e];

			if (matcher->mark[to] == matcher->generation)
				continue;
			matcher->mark[to] = matcher->generation;
			matcher->stack[depth++] = to;
		}
	}
}

/* The target of the node's edge on `byte`, or SG_NODE_NONE. */
static uint32_t find_literal(const struct sg_globset *set, uint32_t node, unsigned char byte)
{
	uint32_t low = set->nodes[node].literal, high = low + set->nodes[node].literal_count;

	while (high - low > 8) {
		uint32_t middle = low + (high - low) / 2;

		if (set->literals[middle].byte <= byte)
			low = middle;
		else
			high = middle;
	}
	for (; low < high; low++)
		if (set->literals[low].byte == byte)
			return set->literals[low].to;
	return SG_NODE_NONE;
}

static bool loops_on(const struct sg_node *node, unsigned char byte)
{
	return node->loop == SG_LOOP_TREE || (node->loop == SG_LOOP_STAR && byte != '/');
}

/* Adds to the set under way what `byte` leads to from one node. */
static void add_successors(struct sg_matcher *matcher, uint32_t index, unsigned char byte)
{
	const struct sg_globset *set = matcher->set;
	const struct sg_node *node = &set->nodes[index];
	uint32_t to = find_literal(set, index, byte);

	matcher->statistics.visited++;
	if (loops_on(node, byte))
		add_closure(matcher, index);
	if (to != SG_NODE_NONE)
		add_closure(matcher, to);
	for (uint32_t e = node->wide; node->has_wide && e < node[1].wide; e++) {
		matcher->statistics.visited++;
		if (sg_glob_class_has(&set->classes[set->wides[e].class], byte))
			add_closure(matcher, set->wides[e].to);
	}
}

static void flush(struct sg_matcher *matcher)
{
	memset(matcher->table, 0, matcher->table_size * sizeof(*matcher->table));
	memset(matcher->cells, 0, sizeof(*matcher->cells) << matcher->cell_bits);
	memset(matcher->strides, 0, sizeof(*matcher->strides) << matcher->stride_bits);
	matcher->cell_count = 0;
	matcher->state_count = 1;
	matcher->pool_count = 0;
	if (++matcher->epoch == 0) {
		memset(matcher->closure, 0, matcher->set->node_count * sizeof(*matcher->closure));
		matcher->epoch = 1;
	}
	matcher->flushed_at = matcher->statistics.bytes;
	matcher->statistics.flushes++;
}

void sg_matcher_make_room(struct sg_matcher *matcher)
{
	if (matcher->state_count > matcher->state_max / 2 || matcher->pool_count > matcher->pool_max / 2 ||
	    matcher->cell_count > matcher->cell_max / 2)
		flush(matcher);
}

/* Makes room for one more state of `count` nodes. False if it is not to be had, or would not pay. */
static bool reserve(struct sg_matcher *matcher, uint32_t count)
{
	if (matcher->state_count < matcher->state_max && matcher->cell_count < matcher->cell_max &&
	    count <= matcher->pool_max - matcher->pool_count)
		return true;
	if (matcher->exploring || count > matcher->pool_max)
		return false;
	if (matcher->statistics.bytes - matcher->flushed_at < BYTES_FOR_EACH_STATE * matcher->state_count)
		return false;
	flush(matcher);
	return true;
}

static bool is_found(const struct sg_matcher *matcher, const struct sg_state *state)
{
	if (state->hash != matcher->found_hash || state->count != matcher->found_count)
		return false;
	for (uint32_t i = 0; i < state->count; i++)
		if (matcher->mark[matcher->pool[state->first + i]] != matcher->generation)
			return false;
	return true;
}

/* Makes a state of the set under way in the free slot of the hash table that is its own. */
static uint32_t add_state(struct sg_matcher *matcher)
{
	uint32_t index = (uint32_t)matcher->state_count++;
	struct sg_state *state = &matcher->states[index];
	size_t slot = matcher->found_hash & (matcher->table_size - 1);

	while (matcher->table[slot] != 0)
		slot = (slot + 1) & (matcher->table_size - 1);
	matcher->table[slot] = index;
	*state = (struct sg_state){
		.first = (uint32_t)matcher->pool_count,
		.count = matcher->found_count,
		.hash = matcher->found_hash,
	};
	memcpy(&matcher->pool[state->first], matcher->found, state->count * sizeof(*matcher->pool));
	matcher->pool_count += state->count;
	for (uint32_t i = 0; i < state->count; i++) {
		state->accepts |= matcher->set->accepts[matcher->found[i]];
		state->may |= matcher->set->may[matcher->found[i]];
	}
	return SG_POSITION_STATE | index;
}

/* The position of the set under way; UNKNOWN if it has no state and there is no room for one. */
static uint32_t intern(struct sg_matcher *matcher)
{
	size_t slot = matcher->found_hash & (matcher->table_size - 1);

	if (matcher->found_count == 0)
		return SG_POSITION_DEAD;
	if (matcher->found_count == 1 && !matcher->set->nodes[matcher->found[0]].multiple)
		return matcher->found[0];
	for (; matcher->table[slot] != 0; slot = (slot + 1) & (matcher->table_size - 1))
		if (is_found(matcher, &matcher->states[matcher->table[slot]]))
			return SG_POSITION_STATE | matcher->table[slot];
	return reserve(matcher, matcher->found_count) ? add_state(matcher) : SG_POSITION_UNKNOWN;
}

/* The position of one node's closure. */
static uint32_t enter(struct sg_matcher *matcher, uint32_t node)
{
	struct sg_state_of *known = &matcher->closure[node];
	uint32_t position;

	if (!matcher->set->nodes[node].multiple)
		return node;
	if (known->epoch == matcher->epoch)
		return known->position;
	begin_set(matcher);
	add_closure(matcher, node);
	position = intern(matcher);
	if (position != SG_POSITION_UNKNOWN)
		*known = (struct sg_state_of){.epoch = matcher->epoch, .position = position};
	return position;
}

/* From one node that is its own closure. The set under way is the result's only if UNKNOWN is returned. */
static uint32_t step_node(struct sg_matcher *matcher, uint32_t index, unsigned char byte)
{
	const struct sg_globset *set = matcher->set;
	const struct sg_node *node = &set->nodes[index];
	uint32_t only = find_literal(set, index, byte);
	unsigned int ways = only != SG_NODE_NONE;

	matcher->statistics.visited++;
	if (loops_on(node, byte)) {
		ways++;
		only = index;
	}
	for (uint32_t e = node->wide; node->has_wide && e < node[1].wide; e++) {
		matcher->statistics.visited++;
		if (sg_glob_class_has(&set->classes[set->wides[e].class], byte)) {
			ways++;
			only = set->wides[e].to;
		}
	}
	if (ways == 0)
		return SG_POSITION_DEAD;
	if (ways == 1)
		return enter(matcher, only);
	begin_set(matcher);
	add_successors(matcher, index, byte);
	return intern(matcher);
}

/* The slot of a state's transition on `byte`: its own, or the empty one where it belongs. */
static inline struct sg_cell *find_cell(const struct sg_matcher *matcher, uint32_t state, unsigned char byte,
					uint32_t *ret_key)
{
	uint32_t key = (state & ~(uint32_t)SG_POSITION_STATE) << 8 | matcher->set->symbol_of[byte];
	uint32_t slot = (key * 0x9e3779b1u) >> (32 - matcher->cell_bits);

	while (matcher->cells[slot].key != key && matcher->cells[slot].key != 0)
		slot = (slot + 1) & ((1u << matcher->cell_bits) - 1);
	*ret_key = key;
	return &matcher->cells[slot];
}

uint32_t sg_matcher_step(struct sg_matcher *matcher, uint32_t position, unsigned char byte)
{
	size_t index = position & ~(uint32_t)SG_POSITION_STATE;
	uint32_t key, next, epoch = matcher->epoch;
	struct sg_cell *cell;

	if (position == SG_POSITION_DEAD)
		return SG_POSITION_DEAD;
	if ((position & SG_POSITION_STATE) == 0)
		return step_node(matcher, position, byte);
	cell = find_cell(matcher, position, byte, &key);
	if (cell->key == key)
		return cell->to;
	matcher->statistics.built++;
	begin_set(matcher);
	for (uint32_t i = 0; i < matcher->states[index].count; i++)
		add_successors(matcher, matcher->pool[matcher->states[index].first + i], byte);
	next = intern(matcher);
	/* After a flush the state is no more. */
	if (next != SG_POSITION_UNKNOWN && epoch == matcher->epoch && matcher->cell_count < matcher->cell_max) {
		*cell = (struct sg_cell){.key = key, .to = next};
		matcher->cell_count++;
	}
	return next;
}

/* From the set in `plain`; the cache is tried again at every byte. */
static uint32_t step_plain(struct sg_matcher *matcher, unsigned char byte)
{
	matcher->statistics.plain++;
	begin_set(matcher);
	for (uint32_t i = 0; i < matcher->plain_count; i++)
		add_successors(matcher, matcher->plain[i], byte);
	return intern(matcher);
}

/* Keeps the set under way outside of the cache. */
static uint32_t keep_plain(struct sg_matcher *matcher)
{
	uint32_t *found = matcher->found;

	matcher->found = matcher->plain;
	matcher->plain = found;
	matcher->plain_count = matcher->found_count;
	return SG_POSITION_PLAIN;
}

/*
 * Follows a run as far as the name agrees. *position is the node where it begins; afterwards it is DEAD, or
 * the run's end, or, where the name ends first, the node within the run. Returns the index of the first byte
 * not used.
 */
static size_t follow_run(struct sg_matcher *matcher, uint32_t *position, const char *name, size_t i, size_t length)
{
	const struct sg_globset *set = matcher->set;
	const struct sg_node *node = &set->nodes[*position];
	const char *run = set->runs + node->run;
	size_t matched = 0;

	while (matched < node->run_length && i < length) {
		if (name[i] == run[matched]) {
			matched++;
		} else if (name[i] != '/' || i == 0 || name[i - 1] != '/') {
			*position = SG_POSITION_DEAD;
			return i;
		}
		i++;
	}
	if (matched == node->run_length) {
		*position = enter(matcher, node->run_end);
		return i;
	}
	for (; matched > 0; matched--)
		*position = set->literals[set->nodes[*position].literal].to;
	return i;
}

/* Follows single nodes until there are several, none, or no byte left. */
static size_t follow_nodes(struct sg_matcher *matcher, uint32_t *position, const char *name, size_t i, size_t length)
{
	while (i < length && (*position & SG_POSITION_STATE) == 0 && *position != SG_POSITION_UNKNOWN) {
		const struct sg_node *node = &matcher->set->nodes[*position];

		if (node->run_length > 1) {
			i = follow_run(matcher, position, name, i, length);
			continue;
		}
		if (node->sink)
			return length;
		if (name[i] != '/' || i == 0 || name[i - 1] != '/')
			*position = step_node(matcher, *position, (unsigned char)name[i]);
		i++;
	}
	return i;
}

enum { STRIDE = 8 };

static inline bool is_state(uint32_t position)
{
	return position > SG_POSITION_DEAD && position != SG_POSITION_PLAIN;
}

/* True if two '/' stand side by side in the eight bytes. May say so of others: it only saves work. */
static inline bool may_repeat_slash(uint64_t bytes)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), other = bytes ^ ones * '/';
	const uint64_t slashes = (other - ones) & ~other & ones << 7;

	return (slashes & slashes << 8) != 0;
}

/* The slot of the stride from a state over these bytes; its own, or another's. */
static inline struct sg_stride *stride_of(const struct sg_matcher *matcher, uint32_t state, uint64_t bytes)
{
	uint64_t key = (bytes ^ (uint64_t)state << 40 ^ state) * UINT64_C(0x9e3779b97f4a7c15);

	return &matcher->strides[key >> (64 - matcher->stride_bits)];
}

/* Follows the transitions from a state over the bytes of name[i] to name[end - 1] as long as there are states. */
static size_t step_states(struct sg_matcher *matcher, uint32_t *position, const char *name, size_t i, size_t end)
{
	uint32_t now = *position;

	for (; i < end && is_state(now); i++) {
		unsigned char byte = (unsigned char)name[i];
		struct sg_cell *cell;
		uint32_t key;

		if (byte == '/' && name[i - 1] == '/')
			continue;
		cell = find_cell(matcher, now, byte, &key);
		now = cell->key == key ? cell->to : sg_matcher_step(matcher, now, byte);
	}
	*position = now;
	return i;
}

/* The same over eight bytes without a repeated '/': by a stride, or step by step, and the stride is kept. */
static size_t stride_states(struct sg_matcher *matcher, uint32_t *position, const char *name, size_t i, uint64_t bytes)
{
	const uint32_t from = *position, number = from & ~(uint32_t)SG_POSITION_STATE, epoch = matcher->epoch;
	struct sg_stride *stride = stride_of(matcher, number, bytes);
	size_t end;

	if (stride->bytes == bytes && stride->from >> 4 == number) {
		*position = stride->to;
		return i + (stride->from & 15);
	}
	end = step_states(matcher, position, name, i, i + STRIDE);
	/* After a flush the state is no more; a set outside of the cache has no position. */
	if (epoch == matcher->epoch && *position != SG_POSITION_UNKNOWN)
		*stride =
			(struct sg_stride){.bytes = bytes, .from = number << 4 | (uint32_t)(end - i), .to = *position};
	return end;
}

/* Follows states of the cache until there is one node, none, no known way, or no byte left. */
static size_t follow_states(struct sg_matcher *matcher, uint32_t *position, const char *name, size_t i, size_t length)
{
	while (i < length && is_state(*position)) {
		uint64_t bytes = 0;

		if (length - i >= STRIDE)
			memcpy(&bytes, name + i, STRIDE);
		if (length - i < STRIDE || (name[i] == '/' && name[i - 1] == '/') || may_repeat_slash(bytes))
			i = step_states(matcher, position, name, i, length - i < STRIDE ? length : i + STRIDE);
		else
			i = stride_states(matcher, position, name, i, bytes);
	}
	return i;
}

uint32_t sg_matcher_run(struct sg_matcher *matcher, const char *name, size_t length)
{
	uint32_t position = enter(matcher, SG_NODE_ROOT);

	for (size_t i = 0; i < length && position != SG_POSITION_DEAD;) {
		if (position == SG_POSITION_PLAIN) {
			if (name[i] != '/' || name[i - 1] != '/')
				position = step_plain(matcher, (unsigned char)name[i]);
			i++;
		} else if (position & SG_POSITION_STATE) {
			i = follow_states(matcher, &position, name, i, length);
		} else {
			i = follow_nodes(matcher, &position, name, i, length);
		}
		if (position == SG_POSITION_UNKNOWN)
			position = keep_plain(matcher);
	}
	matcher->statistics.bytes += length;
	return position;
}

const uint32_t *sg_matcher_nodes(const struct sg_matcher *matcher, uint32_t position, uint32_t *single,
				 uint32_t *ret_count)
{
	const struct sg_state *state;

	if (position == SG_POSITION_PLAIN) {
		*ret_count = matcher->plain_count;
		return matcher->plain;
	}
	if ((position & SG_POSITION_STATE) == 0) {
		*single = position;
		*ret_count = 1;
		return single;
	}
	state = &matcher->states[position & ~(uint32_t)SG_POSITION_STATE]; /* state 0, for DEAD, is empty */
	*ret_count = state->count;
	return &matcher->pool[state->first];
}

static uint64_t gather(const struct sg_matcher *matcher, uint32_t position, const uint64_t *by_node)
{
	uint32_t single, count;
	const uint32_t *nodes = sg_matcher_nodes(matcher, position, &single, &count);
	uint64_t mask = 0;

	for (uint32_t i = 0; i < count; i++)
		mask |= by_node[nodes[i]];
	return mask;
}

uint64_t sg_matcher_accepts(const struct sg_matcher *matcher, uint32_t position)
{
	if ((position & SG_POSITION_STATE) == 0)
		return matcher->set->accepts[position];
	if (position != SG_POSITION_PLAIN)
		return matcher->states[position & ~(uint32_t)SG_POSITION_STATE].accepts;
	return gather(matcher, position, matcher->set->accepts);
}

uint64_t sg_matcher_may(const struct sg_matcher *matcher, uint32_t position)
{
	if ((position & SG_POSITION_STATE) == 0)
		return matcher->set->may[position];
	if (position != SG_POSITION_PLAIN)
		return matcher->states[position & ~(uint32_t)SG_POSITION_STATE].may;
	return gather(matcher, position, matcher->set->may);
}

int sg_matcher_match(struct sg_matcher *matcher, const char *name, size_t length, struct sg_match *ret_match)
{
	matcher->last = SG_POSITION_DEAD;
	if (!sg_name_is_canonical(name, length)) {
		ret_match->mask = 0;
		return -EINVAL;
	}
	matcher->last = sg_matcher_run(matcher, name, length);
	ret_match->mask = sg_matcher_accepts(matcher, matcher->last);
	return 0;
}
