/* The builder's tables into the arrays that matching reads: lists by node, symbols, runs, and what lies
 * ahead. */
#include <errno.h>
#include <string.h>

#include "policy/glob_set_internal.h"

enum edge_sort {
	EDGE_LITERAL,
	EDGE_WIDE,
	EDGE_EPSILON,
};

static enum edge_sort sort_of(uint32_t label)
{
	if (label < 256)
		return EDGE_LITERAL;
	return label == SG_LABEL_STAR_ANY || label == SG_LABEL_TREE_ANY ? EDGE_EPSILON : EDGE_WIDE;
}

/* The builder's edges as one list of edge_slots() entries, those with no target to be passed over. */
static size_t edge_slots(const struct sg_builder *builder)
{
	return builder->node_count + builder->edge_capacity;
}

static struct sg_build_edge edge_at(const struct sg_builder *builder, size_t i)
{
	if (i >= builder->node_count)
		return builder->edges[i - builder->node_count];
	return (struct sg_build_edge){
		.from = (uint32_t)i,
		.label = builder->steps[i].label,
		.to = builder->steps[i].to,
	};
}

/* What decides a node's new number. */
struct degree {
	uint32_t before; /* one node that leads here */
	uint8_t in, out; /* edges, at most two counted */
	bool special;    /* it has a loop, an accept, or an edge that is not on one byte */
};

static void count_degrees(const struct sg_builder *builder, struct degree *degrees)
{
	for (size_t i = 0; i < edge_slots(builder); i++) {
		struct sg_build_edge edge = edge_at(builder, i);

		if (edge.to == SG_NODE_NONE)
			continue;
		degrees[edge.to].before = edge.from;
		degrees[edge.to].in = degrees[edge.to].in == 0 ? 1 : 2;
		degrees[edge.from].out = degrees[edge.from].out == 0 ? 1 : 2;
		degrees[edge.from].special |= sort_of(edge.label) != EDGE_LITERAL;
	}
	for (size_t i = 0; i < builder->epsilons.count; i += 2) {
		degrees[builder->epsilons.items[i]].special = true;
		degrees[builder->epsilons.items[i + 1]].in = 2;
	}
	for (size_t i = 0; i < builder->accept_count; i++)
		degrees[builder->accepts[i].node].special = true;
	for (size_t i = 0; i < builder->node_count; i++)
		degrees[i].special |= builder->loops[i] != SG_LOOP_NONE;
}

/* Makes order[old number] = new number: first the nodes where something is decided, then those within runs.
 */
static void choose_order(const struct degree *degrees, size_t count, uint32_t *order)
{
	uint32_t next = 0;

	for (int inner = 0; inner < 2; inner++)
		for (size_t i = 0; i < count; i++) {
			const struct degree *degree = &degrees[i], *before = &degrees[degree->before];
			bool is_inner = i > SG_NODE_ROOT && !degree->special && degree->in == 1 && degree->out == 1 &&
					!before->special && before->out == 1;

			if (is_inner == (inner == 1))
				order[i] = next++;
		}
}

static int renumber(struct sg_builder *builder, uint32_t *order)
{
	SG_AUTO_FREE struct degree *degrees = calloc(builder->node_count, sizeof(*degrees));
	struct sg_build_step *steps = calloc(builder->node_count, sizeof(*steps));
	uint8_t *loops = calloc(builder->node_count, sizeof(*loops));

	if (degrees == NULL || steps == NULL || loops == NULL) {
		free(steps);
		free(loops);
		return -ENOMEM;
	}
	count_degrees(builder, degrees);
	choose_order(degrees, builder->node_count, order);
	for (size_t i = 0; i < builder->node_count; i++) {
		steps[order[i]] = builder->steps[i];
		steps[order[i]].to = order[builder->steps[i].to];
		loops[order[i]] = builder->loops[i];
	}
	for (size_t i = 0; i < builder->edge_capacity; i++) {
		builder->edges[i].from = order[builder->edges[i].from];
		builder->edges[i].to = order[builder->edges[i].to];
	}
	for (size_t i = 0; i < builder->epsilons.count; i++)
		builder->epsilons.items[i] = order[builder->epsilons.items[i]];
	for (size_t i = 0; i < builder->accept_count; i++)
		builder->accepts[i].node = order[builder->accepts[i].node];
	free(builder->steps);
	builder->steps = steps;
	free(builder->loops);
	builder->loops = loops;
	return 0;
}

/* Turns the counts in each node into the ends of its lists. The last node, which has none, ends them all. */
static void sum_counts(struct sg_globset *set)
{
	for (size_t i = 1; i <= set->node_count; i++) {
		struct sg_node *node = &set->nodes[i];

		node->literal += node[-1].literal;
		node->wide += node[-1].wide;
		node->epsilon += node[-1].epsilon;
		node->accept += node[-1].accept;
	}
}

static int allocate(struct sg_globset *set, const struct sg_builder *builder)
{
	const struct sg_node *total;

	set->node_count = builder->node_count;
	set->nodes = calloc(set->node_count + 1, sizeof(*set->nodes));
	set->accepts = calloc(set->node_count, sizeof(*set->accepts));
	set->may = calloc(set->node_count, sizeof(*set->may));
	set->runs = malloc(set->node_count);
	if (set->nodes == NULL || set->accepts == NULL || set->may == NULL || set->runs == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < edge_slots(builder); i++) {
		const struct sg_build_edge edge = edge_at(builder, i);
		struct sg_node *from = &set->nodes[edge.from];

		if (edge.to == SG_NODE_NONE)
			continue;
		from->literal += sort_of(edge.label) == EDGE_LITERAL;
		from->wide += sort_of(edge.label) == EDGE_WIDE;
		from->epsilon += sort_of(edge.label) == EDGE_EPSILON;
	}
	for (size_t i = 0; i < builder->epsilons.count; i += 2)
		set->nodes[builder->epsilons.items[i]].epsilon++;
	for (size_t i = 0; i < builder->accept_count; i++)
		set->nodes[builder->accepts[i].node].accept++;
	sum_counts(set);
	total = &set->nodes[set->node_count];
	set->literals = calloc(total->literal + 1u, sizeof(*set->literals));
	set->wides = calloc(total->wide + 1u, sizeof(*set->wides));
	set->epsilons = calloc(total->epsilon + 1u, sizeof(*set->epsilons));
	set->rules = calloc(total->accept + 1u, sizeof(*set->rules));
	set->classes = calloc(builder->class_count + 1, sizeof(*set->classes));
	if (set->literals == NULL || set->wides == NULL || set->epsilons == NULL || set->rules == NULL ||
	    set->classes == NULL)
		return -ENOMEM;
	return 0;
}

/* Places every edge in its node's list, from its end down: afterwards the ends are the beginnings. */
static void fill_edges(struct sg_globset *set, const struct sg_builder *builder, uint32_t not_slash)
{
	for (size_t i = builder->epsilons.count; i > 0; i -= 2)
		set->epsilons[--set->nodes[builder->epsilons.items[i - 2]].epsilon] = builder->epsilons.items[i - 1];
	for (size_t i = edge_slots(builder); i-- > 0;) {
		const struct sg_build_edge edge = edge_at(builder, i);
		struct sg_node *from = &set->nodes[edge.from];

		if (edge.to == SG_NODE_NONE)
			continue;
		switch (sort_of(edge.label)) {
		case EDGE_LITERAL:
			set->literals[--from->literal] =
				(struct sg_literal_edge){.to = edge.to, .byte = (uint8_t)edge.label};
			break;
		case EDGE_WIDE:
			set->wides[--from->wide] = (struct sg_wide_edge){
				.to = edge.to,
				.class = edge.label >= SG_LABEL_CLASS ? edge.label - SG_LABEL_CLASS : not_slash,
			};
			break;
		case EDGE_EPSILON:
			set->epsilons[--from->epsilon] = edge.to;
			break;
		}
	}
	for (size_t i = builder->accept_count; i-- > 0;) {
		const struct sg_accept *accept = &builder->accepts[i];

		set->rules[--set->nodes[accept->node].accept] = *accept;
		set->accepts[accept->node] |= accept->mask;
	}
}

static int compare_literals(const void *a, const void *b)
{
	return ((const struct sg_literal_edge *)a)->byte - ((const struct sg_literal_edge *)b)->byte;
}

static int compare_rules(const void *a, const void *b)
{
	uint32_t x = ((const struct sg_accept *)a)->rule, y = ((const struct sg_accept *)b)->rule;

	return (x > y) - (x < y);
}

static void sort_lists(struct sg_globset *set)
{
	for (size_t i = 0; i < set->node_count; i++) {
		const struct sg_node *node = &set->nodes[i];

		if (node->literal_count > 1)
			qsort(&set->literals[node->literal], node[1].literal - node->literal, sizeof(*set->literals),
			      compare_literals);
		if (node[1].accept - node->accept > 1)
			qsort(&set->rules[node->accept], node[1].accept - node->accept, sizeof(*set->rules),
			      compare_rules);
	}
}

static void fill(struct sg_globset *set, const struct sg_builder *builder)
{
	if (builder->class_count > 0)
		memcpy(set->classes, builder->classes, builder->class_count * sizeof(*set->classes));
	set->classes[builder->class_count] = sg_glob_class_all(false);
	set->class_count = builder->class_count + 1;
	fill_edges(set, builder, (uint32_t)builder->class_count);
	for (size_t i = 0; i < set->node_count; i++) {
		set->nodes[i].literal_count = (uint16_t)(set->nodes[i + 1].literal - set->nodes[i].literal);
		set->nodes[i].has_wide = set->nodes[i + 1].wide > set->nodes[i].wide;
	}
	sort_lists(set);
	set->rule_count = builder->accept_count;
	for (size_t i = 0; i < set->node_count; i++) {
		struct sg_node *node = &set->nodes[i];
		bool leads = node->literal_count > 0 || node[1].wide > node->wide;

		node->loop = builder->loops[i];
		node->useful = leads || node->loop != SG_LOOP_NONE || set->accepts[i] != 0;
		node->sink = node->loop == SG_LOOP_TREE && set->accepts[i] != 0 && !leads &&
			     node[1].epsilon == node->epsilon;
	}
}

/*
 * What each node can still match. Edges lead upward in the builder's order, so one pass down that is enough;
 * `here` and `ahead` are the same with all that the epsilon edges lead to.
 */
static int look_ahead(struct sg_globset *set, const uint32_t *order)
{
	SG_AUTO_FREE uint64_t *here = calloc(set->node_count, sizeof(*here));
	SG_AUTO_FREE uint64_t *ahead = calloc(set->node_count, sizeof(*ahead));

	if (here == NULL || ahead == NULL)
		return -ENOMEM;
	for (size_t old = set->node_count; old-- > 0;) {
		uint32_t i = order[old];
		const struct sg_node *node = &set->nodes[i];
		uint64_t may = 0;

		for (uint32_t e = node->literal; e < node->literal + node->literal_count; e++)
			may |= here[set->literals[e].to] | ahead[set->literals[e].to];
		for (uint32_t e = node->wide; e < node[1].wide; e++)
			may |= here[set->wides[e].to] | ahead[set->wides[e].to];
		here[i] = set->accepts[i];
		ahead[i] = may;
		for (uint32_t e = node->epsilon; e < node[1].epsilon; e++) {
			here[i] |= here[set->epsilons[e]];
			ahead[i] |= ahead[set->epsilons[e]];
		}
		if (node->loop != SG_LOOP_NONE) {
			may |= here[i] | ahead[i];
			ahead[i] |= may;
		}
		set->may[i] = may;
	}
	return 0;
}

/* Finds the nodes whose closure is one node, and lets edges lead to that one at once. */
static int resolve(struct sg_globset *set, const uint32_t *order)
{
	SG_AUTO_FREE uint32_t *alone = calloc(set->node_count, sizeof(*alone));

	if (alone == NULL)
		return -ENOMEM;
	for (size_t old = set->node_count; old-- > 0;) {
		uint32_t i = order[old];
		struct sg_node *node = &set->nodes[i];
		uint32_t count = node[1].epsilon - node->epsilon;

		alone[i] = i;
		if (count == 1 && !node->useful)
			alone[i] = alone[set->epsilons[node->epsilon]];
		else
			node->multiple = count > 0;
	}
	for (uint32_t e = 0; e < set->nodes[set->node_count].literal; e++)
		set->literals[e].to = alone[set->literals[e].to];
	for (uint32_t e = 0; e < set->nodes[set->node_count].wide; e++)
		set->wides[e].to = alone[set->wides[e].to];
	return 0;
}

/* True if the only way on from the node is one byte. */
static bool is_plain(const struct sg_globset *set, uint32_t index)
{
	const struct sg_node *node = &set->nodes[index];

	return !node->multiple && node->loop == SG_LOOP_NONE && node->literal_count == 1 &&
	       node[1].wide == node->wide && node[1].epsilon == node->epsilon;
}

static void find_runs(struct sg_globset *set)
{
	uint32_t used = 0;

	for (uint32_t i = SG_NODE_ROOT; i < set->node_count; i++) {
		uint32_t end = i, start = used;

		/* A node that is in a run already ends this one. */
		while (is_plain(set, end) && set->nodes[end].run_length == 0 && used - start < UINT16_MAX &&
		       (end == i || set->accepts[end] == 0)) {
			const struct sg_literal_edge *edge = &set->literals[set->nodes[end].literal];

			set->nodes[end].run = used;
			set->nodes[end].run_length = 1; /* made true below */
			set->runs[used++] = (char)edge->byte;
			end = edge->to;
		}
		for (uint32_t node = i; start < used; start++) {
			set->nodes[node].run_length = (uint16_t)(used - start);
			set->nodes[node].run_end = end;
			node = set->literals[set->nodes[node].literal].to;
		}
	}
}

/* Splits the symbols that `class` does not treat alike. */
static void refine(struct sg_globset *set, const struct sg_glob_class *class)
{
	bool inside[256] = {0}, outside[256] = {0};
	uint8_t split[256] = {0};

	for (unsigned int byte = 0; byte < 256; byte++) {
		uint8_t symbol = set->symbol_of[byte];

		if (sg_glob_class_has(class, byte))
			inside[symbol] = true;
		else
			outside[symbol] = true;
	}
	for (size_t symbol = 0, count = set->symbol_count; symbol < count; symbol++)
		if (inside[symbol] && outside[symbol])
			split[symbol] = (uint8_t)set->symbol_count++;
	for (unsigned int byte = 0; byte < 256; byte++)
		if (sg_glob_class_has(class, byte) && split[set->symbol_of[byte]] != 0)
			set->symbol_of[byte] = split[set->symbol_of[byte]];
}

static void find_symbols(struct sg_globset *set)
{
	bool alone[256] = {['\0'] = true, ['/'] = true, ['.'] = true};

	for (uint32_t e = 0; e < set->nodes[set->node_count].literal; e++)
		alone[set->literals[e].byte] = true;
	set->symbol_count = 1;
	for (unsigned int byte = 0; byte < 256; byte++) {
		struct sg_glob_class class = {0};

		sg_glob_class_add(&class, byte);
		if (alone[byte])
			refine(set, &class);
	}
	for (size_t i = 0; i < set->class_count && set->symbol_count < 256; i++)
		refine(set, &set->classes[i]);
	for (unsigned int byte = 0; byte < 256; byte++)
		set->byte_of[set->symbol_of[byte]] = (uint8_t)byte;
}

int sg_globset_freeze(struct sg_globset *set)
{
	SG_AUTO_FREE uint32_t *order = calloc(set->builder->node_count, sizeof(*order));
	int r = order != NULL ? renumber(set->builder, order) : -ENOMEM;

	if (r == 0)
		r = allocate(set, set->builder);
	if (r == 0) {
		fill(set, set->builder);
		r = look_ahead(set, order);
	}
	if (r == 0)
		r = resolve(set, order);
	if (r < 0) {
		set->status = r;
		return r;
	}
	find_runs(set);
	find_symbols(set);
	return 0;
}
