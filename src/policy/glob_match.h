/* A matcher's cache of states, shared by matching and by the questions about what lies below. */
#pragma once

#include "policy/glob_set_internal.h"

/*
 * Where a name has led to: the set of nodes that are active after it. Most names go along one node at a time,
 * and that node is its own position; a set of several nodes is a state of the cache.
 */
enum {
	SG_POSITION_UNKNOWN = 0,             /* not computed yet; or there is no room */
	SG_POSITION_STATE = (int)0x40000000, /* or'ed with a state's number (from 1) */
	SG_POSITION_DEAD = (int)0x40000000,  /* no node */
	SG_POSITION_PLAIN = (int)0x7fffffff, /* the set is in matcher->plain, not in the cache */
};

struct sg_state {
	uint64_t accepts, may;
	uint32_t first, count; /* its nodes within `pool` */
	uint32_t hash;
};

/* One transition. The key is the state's number and the symbol, state << 8 | symbol; 0: an empty slot. */
struct sg_cell {
	uint32_t key, to;
};

/*
 * A stride: from a state, over the first `used` (1 to 8) of eight bytes of a name, to a position. Names of one host share most of
 * their folders, and a stride is one look-up for them instead of one a byte. A slot is simply overwritten.
 */
struct sg_stride {
	uint64_t bytes;
	uint32_t from; /* the state's number << 4 | used; 0: an empty slot */
	uint32_t to;
};

struct sg_state_of {
	uint32_t epoch, position;
};

struct sg_pair {
	uint32_t a, b;
	uint32_t shape; /* enum sg_name_shape; 0: an empty slot */
};

struct sg_matcher {
	const struct sg_globset *set;
	/* The cache: one piece of lazy memory. */
	void *cache;
	size_t cache_size;
	struct sg_cell *cells;       /* hash table of transitions */
	size_t cell_count, cell_max; /* the table has 1 << cell_bits slots, at most three quarters of them used */
	unsigned int cell_bits;
	struct sg_stride *strides; /* 1 << stride_bits slots */
	unsigned int stride_bits;
	struct sg_state *states;
	size_t state_count, state_max; /* state 0 is not used */
	uint32_t *pool;
	size_t pool_count, pool_max;
	uint32_t *table; /* hash table of states */
	size_t table_size;
	uint32_t epoch;              /* one more with each flush */
	struct sg_state_of *closure; /* by node, where `multiple`: the position of its closure */
	bool exploring;              /* do not flush */
	uint64_t flushed_at;         /* statistics.bytes at the last flush */
	/* The set under way. */
	uint32_t *mark; /* by node: the generation in which it was added */
	uint32_t generation;
	uint32_t *found, found_count, found_hash;
	uint32_t *stack;
	/* The set of SG_POSITION_PLAIN. */
	uint32_t *plain, plain_count;
	uint32_t last; /* position of the last match */
	/* Exploring pairs of positions. */
	struct sg_pair *pairs; /* hash table */
	uint32_t *queue;       /* of slots in `pairs` */
	size_t pair_max;       /* the table has twice as many slots */
	struct sg_matcher_statistics statistics;
};

/* sg_matcher_new with the most pairs that one exploration may visit (a power of two). */
int sg_matcher_new_sized(const struct sg_globset *set, size_t memory, size_t pairs, struct sg_matcher **ret_matcher);

/* Where a canonical name can stand after some of its bytes. */
enum sg_name_shape {
	SG_SHAPE_NONE, /* no canonical name goes on like this */
	SG_SHAPE_START,
	SG_SHAPE_SLASH,
	SG_SHAPE_DOT,
	SG_SHAPE_DOT_DOT,
	SG_SHAPE_INSIDE,
};

/* Where it stands after one byte more. SG_SHAPE_SLASH and SG_SHAPE_INSIDE are where a name may end. */
uint32_t sg_name_step(uint32_t shape, unsigned char byte);

/* True if the name is canonical but for repeated slashes. */
bool sg_name_is_canonical(const char *name, size_t length);

/* The position after `name`, which must be canonical. Never UNKNOWN. */
uint32_t sg_matcher_run(struct sg_matcher *matcher, const char *name, size_t length);

/* The position after one byte more; UNKNOWN if there is no room while exploring. Not from PLAIN. */
uint32_t sg_matcher_step(struct sg_matcher *matcher, uint32_t position, unsigned char byte);

/* The nodes of a position; `single` is room for one of them. */
const uint32_t *sg_matcher_nodes(const struct sg_matcher *matcher, uint32_t position, uint32_t *single,
				 uint32_t *ret_count);

/* The classes that match at a position, and those that can match further on. */
uint64_t sg_matcher_accepts(const struct sg_matcher *matcher, uint32_t position);
uint64_t sg_matcher_may(const struct sg_matcher *matcher, uint32_t position);

/* Empties the cache if little of it is left. Positions from before are invalid then. */
void sg_matcher_make_room(struct sg_matcher *matcher);

/*
 * Visits every pair of positions that some canonical rest of a name leads to from `a` and `b`, both after a
 * '/' (or both before the first byte, with `from_start`). `visit` is called with what is accepted at a pair
 * where a name may end, the first pair excepted, and ends the visit by returning false; `wanted` says whether
 * a pair is worth following. Returns 1 when all were visited, 0 when `visit` ended it, -1 when the room was
 * too small.
 */
struct sg_exploration {
	bool (*visit)(struct sg_exploration *exploration, uint64_t accepts_a, uint64_t accepts_b);
	bool (*wanted)(const struct sg_exploration *exploration, uint64_t may_a, uint64_t may_b);
	uint64_t mask;   /* of the caller's meaning */
	bool from_start; /* the positions are before the first byte */
};
/* As the comment above says; of the exploration only the caller's own part may change. */
int sg_matcher_explore(struct sg_matcher *matcher, struct sg_exploration *exploration, uint32_t a, uint32_t b);
