#include "policy/addressset.h"

#include <stdlib.h>
#include <string.h>

#include "policy/addressset_internal.h"

int sg_addressset_compare_bytes(const char *a, size_t a_length, const char *b, size_t b_length)
{
	int order = memcmp(a, b, a_length < b_length ? a_length : b_length);

	return order != 0 ? order : a_length < b_length ? -1 : a_length > b_length;
}

int sg_addressset_compare_names(const struct sg_addressset_name *a, const struct sg_addressset_name *b)
{
	return a->kind != b->kind
		       ? (int)a->kind - (int)b->kind
		       : sg_addressset_compare_bytes(a->name.text, a->name.length, b->name.text, b->name.length);
}

/* -------- addresses -------- */

/* Index of the innermost prefix that holds `number`, or SG_ADDRESSSET_NO_NODE. */
static uint32_t locate(const struct sg_addressset_tree *tree, sg_u128 number)
{
	size_t begin = 0, end = tree->count;

	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;

		if (tree->starts[middle] <= number) {
			begin = middle + 1;
		} else {
			end = middle;
		}
	}
	return begin == 0 ? SG_ADDRESSSET_NO_NODE : tree->owners[begin - 1];
}

static uint32_t locate_address(const struct sg_addressset *set, const struct sg_address *address)
{
	return locate(&set->trees[address->family == AF_INET6], sg_address_number(address));
}

/* All prefixes around the address, innermost first: at most one for each prefix length. */
static void match_prefixes(const struct sg_addressset *set, const struct sg_address *address, uint32_t mask,
			   struct sg_address_match *match)
{
	unsigned int protocol = sg_ports_protocol_index(address->protocol);

	for (uint32_t at = locate_address(set, address); at != SG_ADDRESSSET_NO_NODE; at = set->nodes[at].parent) {
		sg_ports_match(&set->store, &set->nodes[at].table, protocol, address->port, mask, match);
	}
}

static bool node_is_served(const struct sg_addressset_node *node, const struct sg_address_environment *environment)
{
	static const uint8_t four[4] = {127}, six[16] = {[15] = 1};
	struct sg_addressrange loopback = node->family == AF_INET ? sg_addressrange_prefix(AF_INET, four, 8)
								  : sg_addressrange_prefix(AF_INET6, six, 128);

	if (!environment || !environment->own || (node->low <= loopback.high && node->high >= loopback.low)) {
		return true;
	}
	return sg_addressranges_overlap(environment->own, node->family, node->low, node->high);
}

/*
 * A wildcard bind serves every address of this host, of both families (an IPv6 socket may be dual): a refusal
 * to listen on one of them is a refusal of the wildcard. Linear in the prefixes; such binds are rare.
 */
static void match_wildcard(const struct sg_addressset *set, const struct sg_address *address,
			   const struct sg_address_environment *environment, struct sg_address_match *match)
{
	unsigned int protocol = sg_ports_protocol_index(address->protocol);

	for (size_t i = 0; i < set->node_count; i++) {
		if (set->nodes[i].table.classes & set->refusing && node_is_served(&set->nodes[i], environment)) {
			sg_ports_match(&set->store, &set->nodes[i].table, protocol, address->port, set->refusing,
				       match);
		}
	}
}

/* The words of `words` in order: does each hold for the classes, for sure or for refusing classes only? */
static void match_words(const struct sg_addressset *set, const struct sg_address *address,
			const struct sg_address_environment *environment, struct sg_address_match *match)
{
	static const unsigned int needed[SG_ADDRESSSET_WORDS] = {0, SG_CLASS_INTERNET, SG_CLASS_OWN};
	bool known = environment && environment->own;
	unsigned int classes = 0, protocol = sg_ports_protocol_index(address->protocol);

	if (set->words[1].classes || set->words[2].classes) {
		classes = sg_address_classes(address, environment);
	}
	for (size_t i = 0; i < SG_ADDRESSSET_WORDS; i++) {
		uint32_t mask = set->refusing;

		if (needed[i] == 0 || classes & needed[i]) {
			mask = UINT32_MAX;
		} else if (known && !(needed[i] == SG_CLASS_OWN && address->wildcard)) {
			continue;
		}
		sg_ports_match(&set->store, &set->words[i], protocol, address->port, mask, match);
	}
}

/* -------- abstract unix names -------- */

/* Iterative wildcard match: on a mismatch only the last `*` is tried again, so the time is at most length *
 * size. */
static bool match_wild(const char *pattern, size_t size, const char *name, size_t length)
{
	size_t p = 0, n = 0, star = SIZE_MAX, resume = 0;

	while (n < length) {
		if (p < size && pattern[p] == '*') {
			star = p++;
			resume = n;
		} else if (p < size && (pattern[p] == '?' || pattern[p] == name[n])) {
			p++;
			n++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			n = ++resume;
		} else {
			return false;
		}
	}
	while (p < size && pattern[p] == '*') {
		p++;
	}
	return p == size;
}

static void add_rule(struct sg_address_match *match, uint32_t classes, uint32_t rule)
{
	for (unsigned int i = 0; i < SG_ADDRESSSET_CLASSES_MAX; i++) {
		uint32_t bit = 1U << i;

		if (classes & bit && (!(match->classes & bit) || rule < match->rules[i])) {
			match->rules[i] = rule;
		}
	}
	match->classes |= classes;
}

static void match_abstract(const struct sg_addressset *set, const struct sg_address *address,
			   struct sg_address_match *match)
{
	const struct sg_addressset_abstract *rows = set->abstracts;
	size_t begin = 0, end = set->plain_count;

	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;

		if (sg_addressset_compare_bytes(rows[middle].name, rows[middle].length, address->name,
						address->name_length) < 0) {
			begin = middle + 1;
		} else {
			end = middle;
		}
	}
	for (; begin < set->plain_count && rows[begin].length == address->name_length &&
	       memcmp(rows[begin].name, address->name, rows[begin].length) == 0;
	     begin++) {
		add_rule(match, rows[begin].classes, rows[begin].rule);
	}
	for (size_t i = set->plain_count; i < set->abstract_count; i++) {
		if (match_wild(rows[i].name, rows[i].length, address->name, address->name_length)) {
			add_rule(match, rows[i].classes, rows[i].rule);
		}
	}
}

/* -------- the match -------- */

void sg_addressset_match(const struct sg_addressset *set, const struct sg_address *address, const uint32_t *names,
			 size_t name_count, const struct sg_address_environment *environment,
			 struct sg_address_match *ret)
{
	struct sg_address inner[SG_ADDRESS_EMBEDDED_MAX];
	size_t embedded;

	ret->classes = 0;
	if (address->family == AF_UNIX) {
		if (address->abstract) {
			match_abstract(set, address, ret);
		}
		return;
	}
	match_prefixes(set, address, UINT32_MAX, ret);
	match_words(set, address, environment, ret);
	for (size_t i = 0; i < name_count; i++) {
		if (names[i] < set->name_count) {
			sg_ports_match(&set->store, &set->name_tables[names[i]],
				       sg_ports_protocol_index(address->protocol), address->port, UINT32_MAX, ret);
		}
	}
	if (address->wildcard && set->refusing != 0) {
		match_wildcard(set, address, environment, ret);
	}
	embedded = set->refusing != 0 ? sg_address_embedded(address, inner) : 0;
	for (size_t i = 0; i < embedded; i++) {
		match_prefixes(set, &inner[i], set->refusing, ret);
	}
}

bool sg_addressset_names_address(const struct sg_addressset *set, const struct sg_address *address, uint32_t classes)
{
	for (uint32_t at = locate_address(set, address); at != SG_ADDRESSSET_NO_NODE; at = set->nodes[at].parent) {
		if (set->nodes[at].literal & classes) {
			return true;
		}
	}
	return false;
}

/* -------- names -------- */

static bool find_name(const struct sg_addressset *set, const struct sg_addressset_name *wanted, uint32_t *ret_id)
{
	size_t begin = 0, end = set->name_count;

	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;
		int order = sg_addressset_compare_names(&set->names[middle], wanted);

		if (order == 0) {
			*ret_id = set->names[middle].id;
			return true;
		}
		if (order < 0) {
			begin = middle + 1;
		} else {
			end = middle;
		}
	}
	return false;
}

size_t sg_addressset_names(const struct sg_addressset *set, const struct sg_domain *name, uint32_t *ret_ids)
{
	struct sg_addressset_name wanted = {.name = *name, .kind = SG_HOST_NAME};
	size_t count = 0, start = 0;

	count += find_name(set, &wanted, &ret_ids[count]);
	wanted.kind = SG_HOST_SUBDOMAINS;
	while (count < SG_ADDRESSSET_NAMES_MAX) {
		const char *dot = memchr(name->text + start, '.', name->length - start);

		if (!dot) {
			break;
		}
		start = (size_t)(dot - name->text) + 1;
		wanted.name.length = (uint8_t)(name->length - start);
		memcpy(wanted.name.text, name->text + start, wanted.name.length);
		count += find_name(set, &wanted, &ret_ids[count]);
	}
	return count;
}

/* All names' classes for one protocol and port. */
static void match_names(const struct sg_addressset *set, const uint32_t *ids, size_t count, unsigned int protocol,
			uint32_t port, struct sg_address_match *match)
{
	match->classes = 0;
	for (size_t i = 0; i < count; i++) {
		sg_ports_match(&set->store, &set->name_tables[ids[i]], protocol, port, UINT32_MAX, match);
	}
}

static uint32_t lowest_rule(const struct sg_address_match *match, uint32_t mask)
{
	uint32_t lowest = UINT32_MAX;

	for (unsigned int i = 0; i < SG_ADDRESSSET_CLASSES_MAX; i++) {
		if (match->classes & mask & 1U << i && match->rules[i] < lowest) {
			lowest = match->rules[i];
		}
	}
	return lowest;
}

void sg_addressset_lookup(const struct sg_addressset *set, const uint32_t *ids, size_t count, uint32_t allow,
			  struct sg_addressset_lookup *ret)
{
	struct sg_addressset_lookup result = {.allow_rule = UINT32_MAX, .refuse_rule = UINT32_MAX};
	struct sg_address_match match;

	/* Classes change only where a segment of one of the names begins: those ports are all that need be
	 * tried. */
	for (size_t i = 0; i < count; i++) {
		const struct sg_ports_table *table = &set->name_tables[ids[i]];

		for (unsigned int p = 0; p < SG_PORTS_PROTOCOLS; p++) {
			for (uint32_t s = 0; s < table->protocols[p].count; s++) {
				uint32_t port = set->store.segments[table->protocols[p].first + s].low, rule;

				match_names(set, ids, count, p, port, &match);
				result.classes |= match.classes;
				rule = lowest_rule(&match, set->refusing);
				result.refuse_rule = rule < result.refuse_rule ? rule : result.refuse_rule;
				rule = match.classes & set->refusing ? UINT32_MAX : lowest_rule(&match, allow);
				result.allow_rule = rule < result.allow_rule ? rule : result.allow_rule;
			}
		}
	}
	result.open = result.allow_rule != UINT32_MAX;
	result.refused = result.refuse_rule != UINT32_MAX;
	*ret = result;
}

const struct sg_addressset_path *sg_addressset_paths(const struct sg_addressset *set, size_t *ret_count)
{
	*ret_count = set->path_count;
	return set->paths;
}
