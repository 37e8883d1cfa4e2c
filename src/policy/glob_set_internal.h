/*
 * The automaton of a set of globs.
 *
 * It is a trie over tokens, so that globs share the nodes of their common beginnings whether those are
 * literal or not. A node stands for the names (and beginnings of names) that lead to it. Edges go from lower
 * to higher numbers; the only cycles are the loops of star nodes. Braces end in join nodes, which have an
 * edge without a byte (epsilon) from the end of each alternative.
 */
#pragma once

#include "policy/glob_internal.h"
#include "policy/glob_set.h"

enum {
	SG_NODE_NONE = 0, /* the root has number 1 */
	SG_NODE_ROOT = 1,
};

enum sg_node_loop {
	SG_LOOP_NONE,
	SG_LOOP_STAR, /* stays on every byte but '/' */
	SG_LOOP_TREE, /* stays on every byte */
};

/* Half a cache line: what following a name reads is here, and all of it. */
struct sg_node {
	uint32_t literal; /* first of its edges on one byte, sorted by the byte */
	uint32_t wide;    /* first of its edges on a class of bytes; the next node's is their end */
	uint32_t epsilon; /* first of its edges without a byte; the same */
	uint32_t accept;  /* first of its accepts, sorted by rule; the same */
	uint32_t run;     /* offset in `runs` of the bytes that lead from here to run_end with no other way and no
			 accept */
	uint32_t run_end;
	uint16_t run_length;    /* 0: no run begins here */
	uint16_t literal_count; /* of its edges on one byte */
	uint8_t loop;           /* enum sg_node_loop */
	bool has_wide : 1;
	bool multiple : 1; /* its closure is not just itself */
	bool useful : 1;   /* more than a way to others: it has an edge on a byte, a loop or an accept */
	bool sink : 1;     /* stays here on every byte, accepts, and leads nowhere else */
};
_Static_assert(sizeof(struct sg_node) == 32, "two in a cache line");

struct sg_literal_edge {
	uint32_t to;
	uint8_t byte;
};

struct sg_wide_edge {
	uint32_t to;
	uint32_t class; /* index into `classes` */
};

struct sg_accept {
	uint32_t node, rule;
	uint64_t mask;
};

struct sg_builder; /* glob_build.c */

struct sg_globset {
	struct sg_builder *builder; /* until compiled */
	int status;                 /* the first error of an add */
	size_t node_count;          /* nodes[node_count] ends the last one's lists */
	struct sg_node *nodes;
	uint64_t *accepts; /* by node: classes that match here */
	uint64_t *may;     /* by node: classes that match after at least one byte more */
	struct sg_literal_edge *literals;
	struct sg_wide_edge *wides;
	uint32_t *epsilons;
	struct sg_accept *rules;
	size_t rule_count;
	struct sg_glob_class *classes;
	size_t class_count;
	char *runs;
	/* Bytes that no glob tells apart are one symbol. NUL, '/' and '.' have one each. */
	uint8_t symbol_of[256];
	uint8_t byte_of[256]; /* one byte of each symbol */
	size_t symbol_count;
};

/*
 * What the builder gathers. An edge's label is a byte (0..255), one of the four kinds of star, or
 * SG_LABEL_CLASS plus a class.
 */
enum {
	SG_LABEL_STAR_ANY = 256, /* to a star node, which may match nothing */
	SG_LABEL_STAR_SOME,      /* to a star node by at least one byte, not '/' */
	SG_LABEL_TREE_ANY,
	SG_LABEL_TREE_SOME,
	SG_LABEL_CLASS,
};

struct sg_build_edge {
	uint32_t from, label, to;
};

struct sg_build_step {
	uint32_t label, to;
};

struct sg_build_join {
	uint32_t first, count; /* its members within `members`, ascending */
	uint32_t node;         /* SG_NODE_NONE: an empty slot of the table */
	uint32_t hash;
};

struct sg_vector {
	uint32_t *items;
	size_t count, capacity;
};

struct sg_builder {
	struct sg_build_step *steps; /* by node: its first edge, which is the only one of most */
	struct sg_build_edge *edges; /* the others: hash table by (from, label) */
	size_t edge_count, edge_capacity;
	struct sg_build_join *joins; /* hash table by members */
	size_t join_count, join_capacity;
	struct sg_vector members;
	struct sg_vector epsilons; /* pairs: from, to */
	uint8_t *loops;            /* by node */
	size_t node_count, node_capacity, step_capacity;
	struct sg_glob_class *classes;
	size_t class_count, class_capacity;
	uint32_t *class_table; /* hash table of class + 1 */
	size_t class_table_capacity;
	struct sg_accept *accepts;
	size_t accept_count, accept_capacity;
	struct sg_vector ends[SG_GLOB_DEPTH_MAX][4]; /* of the braces under way: where each alternative ended */
	struct sg_vector sources;
};

/* Makes the compiled form out of the builder's. Returns 0 or -ENOMEM. */
int sg_globset_freeze(struct sg_globset *set);
void sg_builder_free(struct sg_builder *builder);
