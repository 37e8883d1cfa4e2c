#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/addressset.h"
#include "policy/addressset_internal.h"

struct item {
	struct sg_addresspattern pattern;
	uint32_t rule, classes;
};

struct sg_addressset_builder {
	struct item *items;
	size_t count, capacity, ports;
	struct sg_addressset_name *kept; /* names whose ids are given: id = index */
	size_t kept_count;
};

struct sg_addressset_builder *sg_addressset_builder_new(void)
{
	return calloc(1, sizeof(struct sg_addressset_builder));
}

void sg_addressset_builder_free(struct sg_addressset_builder *builder)
{
	if (!builder) {
		return;
	}
	for (size_t i = 0; i < builder->count; i++) {
		sg_addresspattern_done(&builder->items[i].pattern);
	}
	free(builder->items);
	free(builder->kept);
	free(builder);
}

static int copy_pattern(const struct sg_addresspattern *pattern, struct sg_addresspattern *ret)
{
	struct sg_addresspattern copy = *pattern;

	copy.ports = NULL;
	copy.path = NULL;
	if (pattern->ports) {
		copy.ports = malloc(pattern->port_count * sizeof(*copy.ports));
		if (!copy.ports) {
			return -ENOMEM;
		}
		memcpy(copy.ports, pattern->ports, pattern->port_count * sizeof(*copy.ports));
	}
	if (pattern->path) {
		copy.path = strndup(pattern->path, pattern->path_length);
		if (!copy.path) {
			free(copy.ports);
			return -ENOMEM;
		}
	}
	*ret = copy;
	return 0;
}

int sg_addressset_builder_add(struct sg_addressset_builder *builder, const struct sg_addresspattern *pattern,
			      uint32_t rule, uint32_t classes)
{
	if (classes == 0 || rule == UINT32_MAX) {
		return -EINVAL;
	}
	if (builder->count == SG_ADDRESSSET_RULES_MAX ||
	    builder->ports + pattern->port_count > SG_ADDRESSSET_PORTS_MAX) {
		return -E2BIG;
	}
	if (builder->count == builder->capacity) {
		size_t capacity = builder->capacity == 0 ? 64 : builder->capacity * 2;
		struct item *grown = reallocarray(builder->items, capacity, sizeof(*grown));

		if (!grown) {
			return -ENOMEM;
		}
		builder->items = grown;
		builder->capacity = capacity;
	}
	struct item *item = &builder->items[builder->count];
	int result = copy_pattern(pattern, &item->pattern);

	if (result != 0) {
		return result;
	}
	item->rule = rule;
	item->classes = classes;
	builder->ports += pattern->port_count;
	builder->count++;
	return 0;
}

int sg_addressset_builder_keep_names(struct sg_addressset_builder *builder, const struct sg_addressset *old)
{
	if (builder->count > 0 || builder->kept) {
		return -EINVAL;
	}
	if (old->name_count == 0) {
		return 0;
	}
	builder->kept = calloc(old->name_count, sizeof(*builder->kept));
	if (!builder->kept) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < old->name_count; i++) {
		builder->kept[old->names[i].id] = old->names[i];
	}
	builder->kept_count = old->name_count;
	return 0;
}

/* -------- prefixes -------- */

struct placed {
	uint16_t family;
	bool literal;
	sg_u128 low, high;
	struct sg_ports_item item;
};

static int compare_placed(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;

	if (x->family != y->family) {
		return x->family == AF_INET ? -1 : 1;
	}
	if (x->low != y->low) {
		return x->low < y->low ? -1 : 1;
	}
	return x->high > y->high ? -1 : x->high < y->high;
}

static void place(struct placed *row, const struct item *item, int family, const uint8_t *bytes, unsigned int prefix)
{
	struct sg_addressrange range = sg_addressrange_prefix(family, bytes, prefix);

	*row = (struct placed){.family = (uint16_t)family,
			       .literal = item->pattern.kind == SG_HOST_PREFIX,
			       .low = range.low,
			       .high = range.high,
			       .item = {&item->pattern, item->rule, item->classes}};
}

static size_t place_all(const struct sg_addressset_builder *builder, struct placed *rows)
{
	static const uint8_t four[16] = {127}, six[16] = {[15] = 1};
	size_t count = 0;

	for (size_t i = 0; i < builder->count; i++) {
		const struct item *item = &builder->items[i];

		if (item->pattern.kind == SG_HOST_PREFIX) {
			place(&rows[count++], item, item->pattern.family, item->pattern.bytes, item->pattern.prefix);
		} else if (item->pattern.kind == SG_HOST_LOOPBACK) {
			place(&rows[count++], item, AF_INET, four, 8);
			place(&rows[count++], item, AF_INET6, six, 128);
		}
	}
	qsort(rows, count, sizeof(*rows), compare_placed);
	return count;
}

/* One node for each different prefix. */
static int make_nodes(struct sg_addressset *set, const struct placed *rows, size_t count, struct sg_ports_item *items)
{
	set->nodes = calloc(count > 0 ? count : 1, sizeof(*set->nodes));
	if (!set->nodes) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < count;) {
		struct sg_addressset_node *node = &set->nodes[set->node_count++];
		size_t same = 0;

		*node = (struct sg_addressset_node){.family = rows[i].family,
						    .parent = SG_ADDRESSSET_NO_NODE,
						    .low = rows[i].low,
						    .high = rows[i].high};
		for (; i + same < count && compare_placed(&rows[i], &rows[i + same]) == 0; same++) {
			items[same] = rows[i + same].item;
			node->literal |= rows[i + same].literal ? items[same].classes : 0;
		}
		if (sg_ports_compile(&set->store, items, same, &node->table) != 0) {
			return -ENOMEM;
		}
		i += same;
	}
	return 0;
}

static void add_start(struct sg_addressset_tree *tree, sg_u128 start, uint32_t owner)
{
	if (tree->count > 0 && tree->starts[tree->count - 1] == start) {
		tree->owners[tree->count - 1] = owner;
		return;
	}
	tree->starts[tree->count] = start;
	tree->owners[tree->count++] = owner;
}

/* Leaves prefix `at`, and those around it, that end before `limit`. Returns the innermost one left. */
static uint32_t leave(struct sg_addressset *set, struct sg_addressset_tree *tree, uint32_t at, sg_u128 limit, bool all)
{
	while (at != SG_ADDRESSSET_NO_NODE && (all || set->nodes[at].high < limit)) {
		if (set->nodes[at].high != ~(sg_u128)0) {
			add_start(tree, set->nodes[at].high + 1, set->nodes[at].parent);
		}
		at = set->nodes[at].parent;
	}
	return at;
}

/* Nodes are sorted so that a prefix comes before those within it. */
static int make_tree(struct sg_addressset *set, int family)
{
	struct sg_addressset_tree *tree = &set->trees[family == AF_INET6];
	uint32_t at = SG_ADDRESSSET_NO_NODE;

	tree->starts = calloc(2 * set->node_count + 1, sizeof(*tree->starts));
	tree->owners = calloc(2 * set->node_count + 1, sizeof(*tree->owners));
	if (!tree->starts || !tree->owners) {
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < set->node_count; i++) {
		if (set->nodes[i].family != family) {
			continue;
		}
		at = leave(set, tree, at, set->nodes[i].low, false);
		set->nodes[i].parent = at;
		at = i;
		add_start(tree, set->nodes[i].low, i);
	}
	leave(set, tree, at, 0, true);
	return 0;
}

static int build_prefixes(const struct sg_addressset_builder *builder, struct sg_addressset *set)
{
	SG_AUTO_FREE struct placed *rows = calloc(2 * builder->count + 1, sizeof(*rows));
	SG_AUTO_FREE struct sg_ports_item *items = calloc(2 * builder->count + 1, sizeof(*items));
	int result;

	if (!rows || !items) {
		return -ENOMEM;
	}
	result = make_nodes(set, rows, place_all(builder, rows), items);
	if (result == 0) {
		result = make_tree(set, AF_INET);
	}
	return result == 0 ? make_tree(set, AF_INET6) : result;
}

/* -------- names -------- */

struct named {
	struct sg_addressset_name key;
	size_t order;            /* of the first mention: kept names, then the adds */
	const struct item *item; /* NULL: a kept name */
};

static int compare_named(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = sg_addressset_compare_names(&x->key, &y->key);

	return order != 0 ? order : x->order < y->order ? -1 : x->order > y->order;
}

static int compare_first(const void *a, const void *b)
{
	const struct named *const *x = a, *const *y = b;

	return (*x)->order < (*y)->order ? -1 : (*x)->order > (*y)->order;
}

static size_t collect_names(const struct sg_addressset_builder *builder, struct named *rows)
{
	size_t count = 0;

	for (size_t i = 0; i < builder->kept_count; i++, count++) {
		rows[count] = (struct named){.key = builder->kept[i], .order = count};
	}
	for (size_t i = 0; i < builder->count; i++) {
		const struct sg_addresspattern *pattern = &builder->items[i].pattern;

		if (pattern->kind == SG_HOST_NAME || pattern->kind == SG_HOST_SUBDOMAINS) {
			rows[count] = (struct named){.key = {.name = pattern->name, .kind = pattern->kind},
						     .order = count,
						     .item = &builder->items[i]};
			count++;
		}
	}
	qsort(rows, count, sizeof(*rows), compare_named);
	return count;
}

/* `rows` are sorted by name; the first of each name carries the order that its id comes from. */
static int number_names(struct sg_addressset *set, struct named *rows, size_t count)
{
	SG_AUTO_FREE struct named **firsts = calloc(count + 1, sizeof(struct named *));
	size_t names = 0;

	if (!firsts) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || sg_addressset_compare_names(&rows[i - 1].key, &rows[i].key) != 0) {
			firsts[names++] = &rows[i];
		}
	}
	qsort(firsts, names, sizeof(struct named *), compare_first);
	for (size_t i = 0; i < names; i++) {
		firsts[i]->key.id = (uint32_t)i;
	}
	set->names = calloc(names + 1, sizeof(*set->names));
	set->name_tables = calloc(names + 1, sizeof(*set->name_tables));
	return set->names && set->name_tables ? 0 : -ENOMEM;
}

static int build_names(const struct sg_addressset_builder *builder, struct sg_addressset *set)
{
	size_t room = builder->kept_count + builder->count + 1, count;
	SG_AUTO_FREE struct named *rows = calloc(room, sizeof(*rows));
	SG_AUTO_FREE struct sg_ports_item *items = calloc(room, sizeof(*items));

	if (!rows || !items) {
		return -ENOMEM;
	}
	count = collect_names(builder, rows);
	if (number_names(set, rows, count) != 0) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < count;) {
		const struct sg_addressset_name *key = &rows[i].key;
		size_t used = 0;

		for (; i < count && sg_addressset_compare_names(key, &rows[i].key) == 0; i++) {
			if (rows[i].item) {
				items[used++] = (struct sg_ports_item){&rows[i].item->pattern, rows[i].item->rule,
								       rows[i].item->classes};
			}
		}
		set->names[set->name_count++] = *key;
		if (sg_ports_compile(&set->store, items, used, &set->name_tables[key->id]) != 0) {
			return -ENOMEM;
		}
	}
	return 0;
}

/* -------- words and unix -------- */

static int build_words(const struct sg_addressset_builder *builder, struct sg_addressset *set)
{
	static const enum sg_host_kind kinds[SG_ADDRESSSET_WORDS] = {SG_HOST_ANY, SG_HOST_INTERNET, SG_HOST_OWN};
	SG_AUTO_FREE struct sg_ports_item *items = calloc(builder->count + 1, sizeof(*items));

	if (!items) {
		return -ENOMEM;
	}
	for (size_t w = 0; w < SG_ADDRESSSET_WORDS; w++) {
		size_t used = 0;

		for (size_t i = 0; i < builder->count; i++) {
			const struct item *item = &builder->items[i];

			if (item->pattern.kind == kinds[w]) {
				items[used++] = (struct sg_ports_item){&item->pattern, item->rule, item->classes};
			}
		}
		if (sg_ports_compile(&set->store, items, used, &set->words[w]) != 0) {
			return -ENOMEM;
		}
	}
	return 0;
}

static int compare_abstracts(const void *a, const void *b)
{
	const struct sg_addressset_abstract *x = a, *y = b;

	if (x->wild != y->wild) {
		return x->wild ? 1 : -1;
	}
	int order = sg_addressset_compare_bytes(x->name, x->length, y->name, y->length);

	return order != 0 ? order : x->rule < y->rule ? -1 : x->rule > y->rule;
}

static int build_unix(const struct sg_addressset_builder *builder, struct sg_addressset *set)
{
	set->abstracts = calloc(builder->count + 1, sizeof(*set->abstracts));
	set->paths = calloc(builder->count + 1, sizeof(*set->paths));
	if (!set->abstracts || !set->paths) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < builder->count; i++) {
		const struct item *item = &builder->items[i];
		const struct sg_addresspattern *pattern = &item->pattern;
		bool abstract = pattern->kind == SG_HOST_UNIX_ABSTRACT;
		char *copy;

		if (!abstract && pattern->kind != SG_HOST_UNIX_PATH) {
			continue;
		}
		copy = strndup(pattern->path, pattern->path_length);
		if (!copy) {
			return -ENOMEM;
		}
		if (abstract) {
			bool wild = strpbrk(copy, "*?") != NULL;

			set->plain_count += !wild;
			set->abstracts[set->abstract_count++] = (struct sg_addressset_abstract){
				copy, pattern->path_length, wild, item->rule, item->classes};
		} else {
			set->paths[set->path_count++] =
				(struct sg_addressset_path){copy, pattern->path_length, item->rule, item->classes};
		}
	}
	qsort(set->abstracts, set->abstract_count, sizeof(*set->abstracts), compare_abstracts);
	return 0;
}

int sg_addressset_build(const struct sg_addressset_builder *builder, uint32_t refusing, struct sg_addressset **ret_set)
{
	SG_CLEANUP(sg_auto_addressset) struct sg_addressset *set = calloc(1, sizeof(*set));

	if (!set) {
		return -ENOMEM;
	}
	set->refusing = refusing;
	if (build_prefixes(builder, set) != 0 || build_names(builder, set) != 0 || build_words(builder, set) != 0 ||
	    build_unix(builder, set) != 0) {
		return -ENOMEM;
	}
	*ret_set = sg_take_pointer(set);
	return 0;
}

void sg_addressset_free(struct sg_addressset *set)
{
	if (!set) {
		return;
	}
	for (size_t i = 0; i < set->abstract_count; i++) {
		free(set->abstracts[i].name);
	}
	for (size_t i = 0; i < set->path_count; i++) {
		/* The texts were allocated by build_unix(); readers see them as constant. */
		free((void *)(uintptr_t)set->paths[i].glob);
	}
	for (size_t i = 0; i < 2; i++) {
		free(set->trees[i].starts);
		free(set->trees[i].owners);
	}
	sg_ports_store_done(&set->store);
	free(set->nodes);
	free(set->names);
	free(set->name_tables);
	free(set->abstracts);
	free(set->paths);
	free(set);
}
