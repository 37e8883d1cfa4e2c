/* Globs into the trie: what is shared is found by hash tables keyed on (node, label) and on the members of a
 * join. */
#include <errno.h>
#include <string.h>

#include "policy/glob_set_internal.h"

/*
 * Where one glob has led to so far. A component's edge decides what a star or a '/' there means, so the node
 * is kept apart by context (compare enum sg_glob_context).
 */
enum {
	SLOT_INSIDE,       /* anything but the following */
	SLOT_SLASH,        /* a literal '/' was the last thing */
	SLOT_PENDING,      /* the node at the '/', with only '*' since: what it becomes depends on what follows */
	SLOT_PENDING_TREE, /* the same with a '**' among them */
	SLOTS,
};

struct frontier {
	uint32_t node[SLOTS];
};

static int grow(void **array, size_t *capacity, size_t count, size_t size)
{
	size_t wanted;
	void *grown;

	if (count < *capacity)
		return 0;
	wanted = *capacity < 64 ? 64 : *capacity * 2;
	grown = reallocarray(*array, wanted, size);
	if (grown == NULL)
		return -ENOMEM;
	*array = grown;
	*capacity = wanted;
	return 0;
}

static int vector_push(struct sg_vector *vector, uint32_t item)
{
	int r = grow((void **)&vector->items, &vector->capacity, vector->count, sizeof(*vector->items));

	if (r == 0)
		vector->items[vector->count++] = item;
	return r;
}

static uint32_t mix(uint64_t key)
{
	key ^= key >> 31;
	key *= UINT64_C(0x9e3779b97f4a7c15);
	key ^= key >> 29;
	key *= UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)(key >> 32);
}

static int add_node(struct sg_builder *builder, uint8_t loop, uint32_t *ret_node)
{
	int r = grow((void **)&builder->loops, &builder->node_capacity, builder->node_count, sizeof(*builder->loops));

	if (r == 0)
		r = grow((void **)&builder->steps, &builder->step_capacity, builder->node_count,
			 sizeof(*builder->steps));
	if (r < 0)
		return r;
	if (builder->node_count >= SG_GLOBSET_NODES_MAX)
		return -E2BIG;
	*ret_node = (uint32_t)builder->node_count;
	builder->steps[builder->node_count] = (struct sg_build_step){.to = SG_NODE_NONE};
	builder->loops[builder->node_count++] = loop;
	return 0;
}

static struct sg_build_edge *find_edge(const struct sg_builder *builder, uint32_t from, uint32_t label)
{
	size_t mask = builder->edge_capacity - 1;
	size_t slot = mix((uint64_t)from << 32 | label) & mask;

	while (builder->edges[slot].to != SG_NODE_NONE &&
	       (builder->edges[slot].from != from || builder->edges[slot].label != label))
		slot = (slot + 1) & mask;
	return &builder->edges[slot];
}

static int grow_edges(struct sg_builder *builder)
{
	struct sg_build_edge *old = builder->edges;
	size_t old_capacity = builder->edge_capacity, capacity = old_capacity == 0 ? 1024 : old_capacity * 2;

	if (builder->edge_count * 2 < old_capacity)
		return 0;
	builder->edges = calloc(capacity, sizeof(*builder->edges));
	if (builder->edges == NULL) {
		builder->edges = old;
		return -ENOMEM;
	}
	builder->edge_capacity = capacity;
	for (size_t i = 0; i < old_capacity; i++)
		if (old[i].to != SG_NODE_NONE)
			*find_edge(builder, old[i].from, old[i].label) = old[i];
	free(old);
	return 0;
}

static uint8_t loop_of_label(uint32_t label)
{
	switch (label) {
	case SG_LABEL_STAR_ANY:
	case SG_LABEL_STAR_SOME:
		return SG_LOOP_STAR;
	case SG_LABEL_TREE_ANY:
	case SG_LABEL_TREE_SOME:
		return SG_LOOP_TREE;
	default:
		return SG_LOOP_NONE;
	}
}

/* The node that `label` leads to from `from`, made if there is none. */
static int child(struct sg_builder *builder, uint32_t from, uint32_t label, uint32_t *ret_node)
{
	bool is_first = builder->steps[from].to == SG_NODE_NONE;
	struct sg_build_edge *edge = NULL;
	uint32_t node;
	int r;

	if (!is_first && builder->steps[from].label == label) {
		*ret_node = builder->steps[from].to;
		return 0;
	}
	if (!is_first) {
		r = grow_edges(builder);
		if (r < 0)
			return r;
		edge = find_edge(builder, from, label);
		if (edge->to != SG_NODE_NONE) {
			*ret_node = edge->to;
			return 0;
		}
	}
	r = add_node(builder, loop_of_label(label), &node);
	if (r < 0)
		return r;
	if (is_first) {
		builder->steps[from] = (struct sg_build_step){.label = label, .to = node};
	} else {
		*edge = (struct sg_build_edge){.from = from, .label = label, .to = node};
		builder->edge_count++;
	}
	*ret_node = node;
	return 0;
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static struct sg_build_join *find_join(const struct sg_builder *builder, const uint32_t *members, size_t count,
				       uint32_t hash)
{
	size_t mask = builder->join_capacity - 1, slot = hash & mask;

	for (;; slot = (slot + 1) & mask) {
		struct sg_build_join *join = &builder->joins[slot];

		if (join->node == SG_NODE_NONE ||
		    (members != NULL && join->hash == hash && join->count == count &&
		     memcmp(builder->members.items + join->first, members, count * sizeof(*members)) == 0))
			return join;
	}
}

static int grow_joins(struct sg_builder *builder)
{
	struct sg_build_join *old = builder->joins;
	size_t old_capacity = builder->join_capacity, capacity = old_capacity == 0 ? 64 : old_capacity * 2;

	if (builder->join_count * 2 < old_capacity)
		return 0;
	builder->joins = calloc(capacity, sizeof(*builder->joins));
	if (builder->joins == NULL) {
		builder->joins = old;
		return -ENOMEM;
	}
	builder->join_capacity = capacity;
	for (size_t i = 0; i < old_capacity; i++)
		if (old[i].node != SG_NODE_NONE)
			*find_join(builder, NULL, 0, old[i].hash) = old[i];
	free(old);
	return 0;
}

/* Makes the join node of `count` different nodes, ascending. */
static int add_join(struct sg_builder *builder, struct sg_build_join *join, const uint32_t *members, size_t count,
		    uint32_t hash)
{
	uint32_t node;
	int r = add_node(builder, SG_LOOP_NONE, &node);

	join->first = (uint32_t)builder->members.count;
	for (size_t i = 0; i < count && r == 0; i++) {
		r = vector_push(&builder->members, members[i]);
		if (r == 0)
			r = vector_push(&builder->epsilons, members[i]);
		if (r == 0)
			r = vector_push(&builder->epsilons, node);
	}
	if (r < 0)
		return r;
	join->count = (uint32_t)count;
	join->hash = hash;
	join->node = node;
	builder->join_count++;
	return 0;
}

/* One node for all that are in `nodes` (which it sorts): none, the only one, or their join. */
static int join_nodes(struct sg_builder *builder, struct sg_vector *nodes, uint32_t *ret_node)
{
	struct sg_build_join *join;
	uint32_t hash = 0;
	size_t count = 0;
	int r;

	if (nodes->count > 1)
		qsort(nodes->items, nodes->count, sizeof(*nodes->items), compare_u32);
	for (size_t i = 0; i < nodes->count; i++)
		if (count == 0 || nodes->items[count - 1] != nodes->items[i])
			nodes->items[count++] = nodes->items[i];
	if (count < 2) {
		*ret_node = count == 0 ? SG_NODE_NONE : nodes->items[0];
		return 0;
	}
	r = grow_joins(builder);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++)
		hash = mix((uint64_t)hash << 32 | nodes->items[i]);
	join = find_join(builder, nodes->items, count, hash);
	if (join->node == SG_NODE_NONE) {
		r = add_join(builder, join, nodes->items, count, hash);
		if (r < 0)
			return r;
	}
	*ret_node = join->node;
	return 0;
}

/* Adds to `sources` the node of a slot, or what its `label` leads to if that is a star that has to be settled
 * now. */
static int add_source(struct sg_builder *builder, uint32_t node, uint32_t label)
{
	int r = 0;

	if (node == SG_NODE_NONE)
		return 0;
	if (label != 0)
		r = child(builder, node, label, &node);
	return r < 0 ? r : vector_push(&builder->sources, node);
}

/* The one node for all slots, when what follows is neither '/' nor the end: pending stars may match nothing.
 */
static int settle_inside(struct sg_builder *builder, const struct frontier *frontier, uint32_t *ret_node)
{
	int r;

	builder->sources.count = 0;
	r = add_source(builder, frontier->node[SLOT_INSIDE], 0);
	if (r == 0)
		r = add_source(builder, frontier->node[SLOT_SLASH], 0);
	if (r == 0)
		r = add_source(builder, frontier->node[SLOT_PENDING], SG_LABEL_STAR_ANY);
	if (r == 0)
		r = add_source(builder, frontier->node[SLOT_PENDING_TREE], SG_LABEL_TREE_ANY);
	return r < 0 ? r : join_nodes(builder, &builder->sources, ret_node);
}

/* The same before a '/' or the end, without the slot SLASH: pending stars fill the component, so they match
 * something. */
static int settle_edge(struct sg_builder *builder, const struct frontier *frontier, uint32_t *ret_node)
{
	int r;

	builder->sources.count = 0;
	r = add_source(builder, frontier->node[SLOT_INSIDE], 0);
	if (r == 0)
		r = add_source(builder, frontier->node[SLOT_PENDING], SG_LABEL_STAR_SOME);
	if (r == 0)
		r = add_source(builder, frontier->node[SLOT_PENDING_TREE], SG_LABEL_TREE_SOME);
	return r < 0 ? r : join_nodes(builder, &builder->sources, ret_node);
}

static int join_two(struct sg_builder *builder, uint32_t a, uint32_t b, uint32_t *ret_node)
{
	int r;

	builder->sources.count = 0;
	r = add_source(builder, a, 0);
	if (r == 0)
		r = add_source(builder, b, 0);
	return r < 0 ? r : join_nodes(builder, &builder->sources, ret_node);
}

static int step_slash(struct sg_builder *builder, struct frontier *frontier)
{
	uint32_t source, slash = SG_NODE_NONE;
	int r = settle_edge(builder, frontier, &source);

	if (r == 0 && source != SG_NODE_NONE)
		r = child(builder, source, '/', &slash);
	if (r == 0) /* a second '/' is the same as one */
		r = join_two(builder, slash, frontier->node[SLOT_SLASH], &slash);
	if (r < 0)
		return r;
	*frontier = (struct frontier){.node[SLOT_SLASH] = slash};
	return 0;
}

static int step_byte(struct sg_builder *builder, struct frontier *frontier, uint32_t label)
{
	uint32_t source, node;
	int r = settle_inside(builder, frontier, &source);

	if (r == 0)
		r = child(builder, source, label, &node);
	if (r < 0)
		return r;
	*frontier = (struct frontier){.node[SLOT_INSIDE] = node};
	return 0;
}

static int step_star(struct sg_builder *builder, struct frontier *frontier, bool tree)
{
	uint32_t inside = frontier->node[SLOT_INSIDE], pending = SG_NODE_NONE;
	int r = 0;

	if (inside != SG_NODE_NONE)
		r = child(builder, inside, tree ? SG_LABEL_TREE_ANY : SG_LABEL_STAR_ANY, &inside);
	if (r == 0)
		r = join_two(builder, frontier->node[SLOT_SLASH], frontier->node[SLOT_PENDING], &pending);
	if (r == 0 && tree) {
		r = join_two(builder, pending, frontier->node[SLOT_PENDING_TREE], &frontier->node[SLOT_PENDING_TREE]);
		pending = SG_NODE_NONE;
	}
	if (r < 0)
		return r;
	frontier->node[SLOT_INSIDE] = inside;
	frontier->node[SLOT_SLASH] = SG_NODE_NONE;
	frontier->node[SLOT_PENDING] = pending;
	return 0;
}

/* The set's number for a class. */
static int intern_class(struct sg_builder *builder, const struct sg_glob_class *class, uint32_t *ret_index)
{
	uint32_t hash = mix(class->bits[0] ^ (uint64_t)mix(class->bits[1] ^ (uint64_t)mix(class->bits[2])) << 7);
	size_t slot;
	int r;

	if (builder->class_count * 2 >= builder->class_table_capacity) {
		size_t capacity = builder->class_table_capacity == 0 ? 64 : builder->class_table_capacity * 2;
		uint32_t *table = calloc(capacity, sizeof(*table));

		if (table == NULL)
			return -ENOMEM;
		free(builder->class_table);
		builder->class_table = table;
		builder->class_table_capacity = capacity;
		for (size_t i = 0; i < builder->class_count; i++) {
			const uint64_t *bits = builder->classes[i].bits;

			slot = mix(bits[0] ^ (uint64_t)mix(bits[1] ^ (uint64_t)mix(bits[2])) << 7) & (capacity - 1);
			while (table[slot] != 0)
				slot = (slot + 1) & (capacity - 1);
			table[slot] = (uint32_t)i + 1;
		}
	}
	slot = hash & (builder->class_table_capacity - 1);
	for (; builder->class_table[slot] != 0; slot = (slot + 1) & (builder->class_table_capacity - 1)) {
		*ret_index = builder->class_table[slot] - 1;
		if (memcmp(&builder->classes[*ret_index], class, sizeof(*class)) == 0)
			return 0;
	}
	r = grow((void **)&builder->classes, &builder->class_capacity, builder->class_count, sizeof(*class));
	if (r < 0)
		return r;
	*ret_index = (uint32_t)builder->class_count;
	builder->classes[builder->class_count++] = *class;
	builder->class_table[slot] = *ret_index + 1;
	return 0;
}

static int end_alternative(struct sg_builder *builder, const struct frontier *frontier, size_t depth)
{
	int r = 0;

	for (size_t slot = 0; slot < SLOTS && r == 0; slot++)
		if (frontier->node[slot] != SG_NODE_NONE)
			r = vector_push(&builder->ends[depth][slot], frontier->node[slot]);
	return r;
}

static int close_group(struct sg_builder *builder, struct frontier *frontier, size_t depth)
{
	int r = 0;

	for (size_t slot = 0; slot < SLOTS && r == 0; slot++) {
		r = join_nodes(builder, &builder->ends[depth][slot], &frontier->node[slot]);
		builder->ends[depth][slot].count = 0;
	}
	return r;
}

static int step_token(struct sg_builder *builder, const struct sg_glob *glob, const struct sg_glob_token *token,
		      struct frontier *frontier)
{
	uint32_t class;
	int r;

	switch (token->kind) {
	case SG_GLOB_BYTE:
		return token->byte == '/' ? step_slash(builder, frontier) : step_byte(builder, frontier, token->byte);
	case SG_GLOB_CLASS:
		r = intern_class(builder, &glob->classes[token->class], &class);
		return r < 0 ? r : step_byte(builder, frontier, SG_LABEL_CLASS + class);
	default:
		return step_star(builder, frontier, token->kind == SG_GLOB_TREE);
	}
}

static int insert(struct sg_builder *builder, const struct sg_glob *glob, struct frontier *frontier)
{
	struct frontier before[SG_GLOB_DEPTH_MAX] = {0};
	size_t depth = 0;
	int r = 0;

	*frontier = (struct frontier){.node[SLOT_INSIDE] = SG_NODE_ROOT};
	for (size_t i = 0; i < glob->count && r == 0; i++) {
		const struct sg_glob_token *token = &glob->tokens[i];

		switch (token->kind) {
		case SG_GLOB_OPEN:
			before[depth++] = *frontier;
			break;
		case SG_GLOB_COMMA:
			r = end_alternative(builder, frontier, depth - 1);
			*frontier = before[depth - 1];
			break;
		case SG_GLOB_CLOSE:
			r = end_alternative(builder, frontier, --depth);
			if (r == 0)
				r = close_group(builder, frontier, depth);
			break;
		default:
			r = step_token(builder, glob, token, frontier);
			break;
		}
	}
	return r;
}

static int add_accept(struct sg_builder *builder, uint32_t node, uint32_t rule, uint64_t mask)
{
	int r;

	if (node == SG_NODE_NONE)
		return 0;
	r = grow((void **)&builder->accepts, &builder->accept_capacity, builder->accept_count,
		 sizeof(*builder->accepts));
	if (r < 0)
		return r;
	if (builder->accept_count >= 2 * (size_t)SG_GLOBSET_RULES_MAX)
		return -E2BIG;
	builder->accepts[builder->accept_count++] = (struct sg_accept){.node = node, .rule = rule, .mask = mask};
	return 0;
}

int sg_globset_add(struct sg_globset *set, const struct sg_glob *glob, uint32_t rule, uint64_t mask)
{
	struct frontier frontier;
	uint32_t end;
	int r;

	if (set->builder == NULL)
		return -EBUSY;
	if (mask == 0)
		return -EINVAL;
	if (set->status < 0)
		return set->status;
	r = insert(set->builder, glob, &frontier);
	if (r == 0)
		r = settle_edge(set->builder, &frontier, &end);
	if (r == 0)
		r = add_accept(set->builder, end, rule, mask);
	if (r == 0)
		r = add_accept(set->builder, frontier.node[SLOT_SLASH], rule, mask);
	set->status = r;
	return r;
}

int sg_globset_new(struct sg_globset **ret_set)
{
	SG_AUTO_GLOBSET struct sg_globset *set = calloc(1, sizeof(*set));
	uint32_t node;
	int r;

	if (set == NULL)
		return -ENOMEM;
	set->builder = calloc(1, sizeof(*set->builder));
	if (set->builder == NULL)
		return -ENOMEM;
	for (uint32_t i = SG_NODE_NONE; i <= SG_NODE_ROOT; i++) {
		r = add_node(set->builder, SG_LOOP_NONE, &node);
		if (r < 0)
			return r;
	}
	*ret_set = sg_take_pointer(set);
	return 0;
}

void sg_builder_free(struct sg_builder *builder)
{
	if (builder == NULL)
		return;
	for (size_t depth = 0; depth < SG_GLOB_DEPTH_MAX; depth++)
		for (size_t slot = 0; slot < SLOTS; slot++)
			free(builder->ends[depth][slot].items);
	free(builder->steps);
	free(builder->edges);
	free(builder->joins);
	free(builder->members.items);
	free(builder->epsilons.items);
	free(builder->sources.items);
	free(builder->loops);
	free(builder->classes);
	free(builder->class_table);
	free(builder->accepts);
	free(builder);
}

int sg_globset_compile(struct sg_globset *set)
{
	int r;

	if (set->builder == NULL)
		return -EBUSY;
	if (set->status < 0)
		return set->status;
	r = sg_globset_freeze(set);
	if (r < 0)
		return r;
	sg_builder_free(set->builder);
	set->builder = NULL;
	return 0;
}

void sg_globset_free(struct sg_globset *set)
{
	if (set == NULL)
		return;
	sg_builder_free(set->builder);
	free(set->nodes);
	free(set->accepts);
	free(set->may);
	free(set->literals);
	free(set->wides);
	free(set->epsilons);
	free(set->rules);
	free(set->classes);
	free(set->runs);
	free(set);
}

size_t sg_globset_nodes(const struct sg_globset *set)
{
	return set->node_count;
}
