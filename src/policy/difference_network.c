/*
 * Addresses: each policy decides alike within the parts into which the prefixes and ports of both, and the classes of addresses, divide
 * the address space. One address of each part, at one port of each part, is asked of both; then every name that a rule names, and one
 * below it, at one address of each kind that the addresses were found to be. This host is the one at HOST_ADDRESS: which it really is
 * makes no difference between two policies.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "policy/addresspattern.h"
#include "policy/difference_internal.h"

enum {
	HOST_ADDRESS = 0xc6120001, /* 198.18.0.1, of the range for benchmarks (RFC 2544) */
	ASKED_MAX = 1 << 24,       /* addresses times ports */
	CLASSES = SG_NET_ALLOW | SG_NET_DENY | SG_NET_LISTEN,
	KINDS_MAX = (CLASSES + 1) * (CLASSES + 1),
};

struct atoms {
	struct sg_address *addresses; /* the first one of each part */
	size_t count, capacity;
	uint16_t *ports; /* the first one of each part, ascending */
	size_t port_count, port_capacity;
	struct sg_domain *names;
	size_t name_count, name_capacity;
};

struct network {
	struct sg_comparison *comparison;
	struct sg_address_rules rules[SG_SIDES];
	struct sg_addressranges *own;
	struct sg_address_environment environment;
	struct atoms atoms;
};

static void network_done(struct network *network)
{
	for (int side = 0; side < SG_SIDES; side++)
		sg_address_rules_done(&network->rules[side]);
	sg_addressranges_free(network->own);
	free(network->atoms.addresses);
	free(network->atoms.ports);
	free(network->atoms.names);
}

/* --- the parts --- */

static int make_room(void *array_pointer, size_t count, size_t *capacity, size_t size)
{
	void **array = array_pointer, *grown;

	if (count < *capacity)
		return 0;
	grown = reallocarray(*array, *capacity == 0 ? 64 : *capacity * 2, size);
	if (grown == NULL)
		return -ENOMEM;
	*capacity = *capacity == 0 ? 64 : *capacity * 2;
	*array = grown;
	return 0;
}

static int add_address(struct atoms *atoms, int family, sg_u128 number)
{
	const unsigned int size = family == AF_INET ? 4 : 16;
	struct sg_address address = {.family = (uint16_t)family};
	int status = make_room(&atoms->addresses, atoms->count, &atoms->capacity, sizeof(*atoms->addresses));

	if (status < 0)
		return status;
	for (unsigned int i = 0; i < size; i++)
		address.bytes[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
	atoms->addresses[atoms->count++] = address;
	return 0;
}

/* An IPv4 address, and the IPv6 ones that embed it, which are decided by it too. */
static int add_start(struct atoms *atoms, int family, sg_u128 number)
{
	struct sg_address embedding[SG_ADDRESS_EMBEDDING_MAX];
	int status = add_address(atoms, family, number);
	size_t count = 0;

	if (status == 0 && family == AF_INET)
		count = sg_address_embeddings(&atoms->addresses[atoms->count - 1], embedding);
	for (size_t i = 0; i < count && status == 0; i++)
		status = add_address(atoms, AF_INET6, sg_address_number(&embedding[i]));
	return status;
}

/* Where a prefix begins, and where what is behind it does. */
static int add_prefix(struct atoms *atoms, int family, sg_u128 first, unsigned int prefix)
{
	const unsigned int bits = family == AF_INET ? 32 : 128;
	const sg_u128 size = prefix == 0 ? 0 : (sg_u128)1 << (bits - prefix);
	const sg_u128 all = family == AF_INET ? 0xffffffff : ~(sg_u128)0;
	int status = add_start(atoms, family, first);

	if (status < 0 || size == 0 || first + (size - 1) >= all)
		return status;
	return add_start(atoms, family, first + size);
}

static int add_classes(struct atoms *atoms)
{
	static const struct {
		int family;
		uint64_t upper, lower;
		unsigned int prefix;
	} classes[] = {
#define ADDRESS_CLASS(family, text, upper, lower, prefix, class, source) {family, upper, lower, prefix},
#include "policy/address_classes.def"
#undef ADDRESS_CLASS
	};
	int status = add_prefix(atoms, AF_INET, HOST_ADDRESS, 32);

	for (size_t i = 0; i < SG_ARRAY_SIZE(classes) && status == 0; i++)
		status = add_prefix(atoms, classes[i].family, (sg_u128)classes[i].upper << 64 | classes[i].lower,
				    classes[i].prefix);
	return status;
}

static int add_port(struct atoms *atoms, unsigned int port)
{
	int status = make_room(&atoms->ports, atoms->port_count, &atoms->port_capacity, sizeof(*atoms->ports));

	if (status == 0 && port <= UINT16_MAX)
		atoms->ports[atoms->port_count++] = (uint16_t)port;
	return status;
}

static int add_domain(struct atoms *atoms, const struct sg_domain *name)
{
	int status = make_room(&atoms->names, atoms->name_count, &atoms->name_capacity, sizeof(*atoms->names));

	if (status == 0)
		atoms->names[atoms->name_count++] = *name;
	return status;
}

/* The name itself, and one below it that is not named. */
static int add_name(struct atoms *atoms, const struct sg_domain *name)
{
	static const char below[] = "some-name.";
	struct sg_domain longer = {.length = (uint8_t)(name->length + sizeof(below) - 1)};
	int status = add_domain(atoms, name);

	if (status < 0 || name->length + sizeof(below) - 1 > SG_DOMAIN_MAX)
		return status;
	memcpy(longer.text, below, sizeof(below) - 1);
	memcpy(longer.text + sizeof(below) - 1, name->text, name->length);
	return add_domain(atoms, &longer);
}

static int add_pattern(struct atoms *atoms, const struct sg_addresspattern *pattern)
{
	struct sg_address address = {.family = pattern->family};
	int status = 0;

	memcpy(address.bytes, pattern->bytes, sizeof(address.bytes));
	if (pattern->kind == SG_HOST_PREFIX)
		status = add_prefix(atoms, pattern->family, sg_address_number(&address), pattern->prefix);
	else if (pattern->kind == SG_HOST_NAME || pattern->kind == SG_HOST_SUBDOMAINS)
		status = add_name(atoms, &pattern->name);
	for (size_t i = 0; i < pattern->port_count && status == 0; i++) {
		status = add_port(atoms, pattern->ports[i].low);
		if (status == 0)
			status = add_port(atoms, pattern->ports[i].high + 1U);
	}
	return status;
}

static const enum sg_rule_kind kinds[] = {SG_RULE_ALLOW, SG_RULE_DENY_ADDRESS, SG_RULE_LISTEN};

static int add_side(struct atoms *atoms, const struct sg_policy *policy)
{
	int status = 0;

	for (size_t k = 0; k < SG_ARRAY_SIZE(kinds); k++) {
		size_t count;
		const struct sg_rule *rules = sg_policy_rules(policy, kinds[k], &count);

		for (size_t i = 0; i < count && status == 0; i++)
			status = add_pattern(atoms, rules[i].address);
	}
	return status;
}

static int compare_addresses(const void *left, const void *right)
{
	const struct sg_address *a = left, *b = right;

	return a->family != b->family ? (a->family < b->family ? -1 : 1) : memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static int compare_ports(const void *left, const void *right)
{
	return (int)*(const uint16_t *)left - (int)*(const uint16_t *)right;
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(((const struct sg_domain *)left)->text, ((const struct sg_domain *)right)->text);
}

static size_t sort(void *array, size_t count, size_t size, int (*compare)(const void *, const void *))
{
	size_t kept = 0;
	char *items = array;

	qsort(array, count, size, compare);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || compare(items + (kept - 1) * size, items + i * size) != 0)
			memmove(items + kept++ * size, items + i * size, size);
	return kept;
}

static int make_atoms(struct network *network)
{
	struct atoms *atoms = &network->atoms;
	struct sg_domain unnamed;
	/* An address of each family, the ports that every policy tells apart, and a name that no rule names but by a wildcard. */
	int status = sg_domain_parse("some-name.invalid", 17, &unnamed, NULL, NULL) == 0 ? add_domain(atoms, &unnamed)
											 : -EINVAL;

	if (status == 0)
		status = add_port(atoms, 1);
	if (status == 0)
		status = add_port(atoms, 1024);
	if (status == 0)
		status = add_classes(atoms);
	for (int side = 0; side < SG_SIDES && status == 0; side++)
		status = add_side(atoms, network->comparison->policy[side]);
	if (status < 0)
		return status;
	atoms->count = sort(atoms->addresses, atoms->count, sizeof(*atoms->addresses), compare_addresses);
	atoms->port_count = sort(atoms->ports, atoms->port_count, sizeof(*atoms->ports), compare_ports);
	atoms->name_count = sort(atoms->names, atoms->name_count, sizeof(*atoms->names), compare_names);
	return atoms->count * atoms->port_count > ASKED_MAX ? SG_DIFFERENCE_TOO_LARGE : 0;
}

/* --- one address --- */

static const char *const uses[] = {[SG_ADDRESS_CONNECT] = "connect to", [SG_ADDRESS_BIND] = "listen on"};

/* How much an answer is. */
static const int ranks[] = {[SG_NET_REFUSED] = 0, [SG_NET_OWN] = 1, [SG_NET_OUTSIDE] = 2};

static void write_example(const struct sg_address *address, const struct sg_domain *name, struct sg_buffer *out)
{
	static const char *const protocols[] = {
		[SG_PROTOCOL_TCP] = "tcp", [SG_PROTOCOL_UDP] = "udp", [SG_PROTOCOL_ICMP] = "icmp"};

	if (name == NULL && !(address->family == AF_INET && sg_address_number(address) == HOST_ADDRESS)) {
		sg_address_format(address, out);
		return;
	}
	sg_buffer_printf(out, "%s:%s", protocols[address->protocol], name != NULL ? name->text : "host");
	if (address->protocol != SG_PROTOCOL_ICMP)
		sg_buffer_printf(out, ":%u", address->port);
}

/* Decides on both sides, for an address that was answered for `name` (NULL: for none). */
static int compare_at(struct network *network, const struct sg_address *address, enum sg_address_use use,
		      const struct sg_domain *name)
{
	SG_AUTO_BUFFER struct sg_buffer example = SG_BUFFER_INIT;
	struct sg_decision decisions[SG_SIDES];
	int rank[SG_SIDES];

	for (int side = 0; side < SG_SIDES; side++) {
		const struct sg_address_rules *rules = &network->rules[side];
		uint32_t ids[SG_ADDRESSSET_NAMES_MAX];
		const size_t count = name != NULL && rules->resolves ? sg_addressset_names(rules->set, name, ids) : 0;

		rank[side] = ranks[sg_decide_address(rules, address, use, ids, count, &network->environment,
						     &decisions[side])];
	}
	if (rank[0] == rank[1])
		return 0;
	write_example(address, name, &example);
	if (sg_buffer_status(&example) < 0)
		return -ENOMEM;
	return sg_difference_add(network->comparison, rank[1] > rank[0] ? SG_DIRECTION_GIVES : SG_DIRECTION_TAKES,
				 uses[use], example.data, decisions[0].rule, decisions[1].rule);
}

/* --- all of them --- */

/* An address of each kind that was met: what the rules of both sides that hold for it are. */
struct kinds_met {
	struct sg_address addresses[KINDS_MAX];
	bool met[KINDS_MAX];
};

static unsigned int kind_of(const struct network *network, const struct sg_address *address)
{
	unsigned int kind = 0;

	for (int side = 0; side < SG_SIDES; side++) {
		struct sg_address_match match;

		sg_addressset_match(network->rules[side].set, address, NULL, 0, &network->environment, &match);
		kind = kind * (CLASSES + 1) + (match.classes & CLASSES);
	}
	return kind;
}

static int compare_address(struct network *network, struct sg_address *address, struct kinds_met *met)
{
	const unsigned int kind = kind_of(network, address);
	const bool differs = kind / (CLASSES + 1) != kind % (CLASSES + 1),
		   listens = network->rules[0].incoming != network->rules[1].incoming;
	int status = 0;

	/* Where the same classes hold on both sides, and the flag that opens ports too, so does the answer. */
	if (differs)
		status = compare_at(network, address, SG_ADDRESS_CONNECT, NULL);
	address->wildcard = (sg_address_classes(address, NULL) & SG_CLASS_NOWHERE) != 0;
	if (status == 0 && (differs || listens || address->wildcard) && address->protocol != SG_PROTOCOL_ICMP)
		status = compare_at(network, address, SG_ADDRESS_BIND, NULL);
	address->wildcard = false;
	/* A name is not believed to have an address that points inward. */
	if ((sg_address_classes(address, &network->environment) & SG_CLASSES_INWARD) == 0 && !met->met[kind]) {
		met->met[kind] = true;
		met->addresses[kind] = *address;
	}
	return status;
}

static int compare_port(struct network *network, uint8_t protocol, uint16_t port)
{
	struct kinds_met met = {.met = {false}};
	int status = 0;

	for (size_t i = 0; i < network->atoms.count && status == 0; i++) {
		struct sg_address address = network->atoms.addresses[i];

		address.protocol = protocol;
		address.port = port;
		status = compare_address(network, &address, &met);
	}
	for (size_t i = 0; i < network->atoms.name_count && status == 0; i++)
		for (size_t kind = 0; kind < KINDS_MAX && status == 0; kind++)
			if (met.met[kind])
				status = compare_at(network, &met.addresses[kind], SG_ADDRESS_CONNECT,
						    &network->atoms.names[i]);
	return status;
}

static int compare_lookup(struct network *network, const struct sg_domain *name)
{
	const struct sg_rule *found[SG_SIDES];
	bool open[SG_SIDES];

	for (int side = 0; side < SG_SIDES; side++) {
		const struct sg_address_rules *rules = &network->rules[side];
		uint32_t ids[SG_ADDRESSSET_NAMES_MAX], rule;
		const size_t count = sg_addressset_names(rules->set, name, ids);

		open[side] = sg_decide_lookup(rules->set, SG_NET_ALLOW, rules->any, ids, count, &rule) ==
				     SG_LOOKUP_ALLOWED &&
			     rules->resolves;
		found[side] = rule < rules->policy->rule_count ? &rules->policy->rules[rule] : NULL;
	}
	return open[0] == open[1]
		       ? 0
		       : sg_difference_add(network->comparison, open[1] ? SG_DIRECTION_GIVES : SG_DIRECTION_TAKES,
					   "look up", name->text, found[0], found[1]);
}

/* --- abstract unix sockets, by their patterns --- */

/* True if `outer` matches whatever `inner` does, as far as their texts show: a wildcard of `inner` is matched by one of `outer`. */
static bool covers(const char *outer, size_t outer_length, const char *inner, size_t inner_length)
{
	size_t o = 0, i = 0, star = SIZE_MAX, resume = 0;

	while (i < inner_length) {
		if (o < outer_length && outer[o] == '*') {
			star = o++;
			resume = i;
		} else if (o < outer_length && (outer[o] == inner[i] || (outer[o] == '?' && inner[i] != '*'))) {
			o++;
			i++;
		} else if (star != SIZE_MAX) {
			o = star + 1;
			i = ++resume;
		} else {
			return false;
		}
	}
	while (o < outer_length && outer[o] == '*')
		o++;
	return o == outer_length;
}

static const struct sg_rule *find_cover(const struct sg_policy *policy, enum sg_rule_kind kind,
					const struct sg_addresspattern *pattern)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, kind, &count);

	for (size_t i = 0; i < count; i++)
		if (rules[i].address->kind == SG_HOST_UNIX_ABSTRACT &&
		    covers(rules[i].address->path, rules[i].address->path_length, pattern->path, pattern->path_length))
			return &rules[i];
	return NULL;
}

static int compare_abstract(struct sg_comparison *comparison, int side, enum sg_rule_kind kind)
{
	const bool gives = (side == 1) == (kind != SG_RULE_DENY_ADDRESS);
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(comparison->policy[side], kind, &count);
	int status = 0;

	for (size_t i = 0; i < count && status == 0; i++)
		if (rules[i].address->kind == SG_HOST_UNIX_ABSTRACT &&
		    find_cover(comparison->policy[1 - side], kind, rules[i].address) == NULL)
			status = sg_difference_add(comparison, gives ? SG_DIRECTION_GIVES : SG_DIRECTION_TAKES,
						   uses[kind == SG_RULE_LISTEN ? SG_ADDRESS_BIND : SG_ADDRESS_CONNECT],
						   rules[i].text, side == 0 ? &rules[i] : NULL,
						   side == 1 ? &rules[i] : NULL);
	return status;
}

/* --- the whole --- */

static int prepare(struct network *network)
{
	const struct sg_addressrange host = {.family = AF_INET, .low = HOST_ADDRESS, .high = HOST_ADDRESS};
	int status = 0;

	network->own = sg_addressranges_new(&host, 1);
	if (network->own == NULL)
		return -ENOMEM;
	network->environment.own = network->own;
	for (int side = 0; side < SG_SIDES && status == 0; side++)
		status = sg_address_rules_init(network->comparison->policy[side], &network->rules[side]);
	return status == 0 ? make_atoms(network) : status;
}

int sg_difference_network(struct sg_comparison *comparison)
{
	SG_CLEANUP(network_done) struct network network = {.comparison = comparison};
	static const uint8_t with_ports[] = {SG_PROTOCOL_TCP, SG_PROTOCOL_UDP};
	int status = prepare(&network);
	size_t first = 0;

	/* Port 0 (to bind: whichever is free) comes last: it is the poorest example. */
	if (network.atoms.port_count > 0 && network.atoms.ports[0] == 0)
		first = 1;
	for (size_t i = first; i < network.atoms.port_count + first && status == 0; i++)
		for (size_t p = 0; p < SG_ARRAY_SIZE(with_ports) && status == 0; p++)
			status = compare_port(&network, with_ports[p],
					      network.atoms.ports[i % network.atoms.port_count]);
	if (status == 0)
		status = compare_port(&network, SG_PROTOCOL_ICMP, 0);
	for (size_t i = 0; i < network.atoms.name_count && status == 0; i++)
		status = compare_lookup(&network, &network.atoms.names[i]);
	for (int side = 0; side < SG_SIDES; side++)
		for (size_t k = 0; k < SG_ARRAY_SIZE(kinds) && status == 0; k++)
			status = compare_abstract(comparison, side, kinds[k]);
	return status;
}
