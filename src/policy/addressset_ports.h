/* Port tables of an address set: for one host, which classes and rules hold for a protocol and port.
 * Internal. */
#pragma once

#include "policy/addresspattern.h"
#include "policy/addressset.h"

enum { SG_PORTS_PROTOCOLS = 3, SG_PORTS_ICMP = 2 };

/* What one pattern says about the ports of its host. */
struct sg_ports_item {
	const struct sg_addresspattern *pattern;
	uint32_t rule, classes;
};

struct sg_ports_pair {
	uint32_t class_index, rule;
};

/* From port `low` up to the next segment's. */
struct sg_ports_segment {
	uint32_t low, first_pair, pair_count, classes;
};

/* Arrays shared by all tables of a set. */
struct sg_ports_store {
	struct sg_ports_segment *segments;
	size_t segment_count, segment_capacity;
	struct sg_ports_pair *pairs;
	size_t pair_count, pair_capacity;
};

/* One host's table: its segments in the store, for each protocol (tcp, udp, icmp). */
struct sg_ports_table {
	struct {
		uint32_t first, count;
	} protocols[SG_PORTS_PROTOCOLS];
	uint32_t classes; /* union of all */
};

/* Frees what the store holds; not the store itself. */
void sg_ports_store_done(struct sg_ports_store *store);

/* Compiles `count` items into a table. Returns 0 or -ENOMEM. */
int sg_ports_compile(struct sg_ports_store *store, const struct sg_ports_item *items, size_t count,
		     struct sg_ports_table *ret);

/* Index of a protocol's bit, 0..2. */
static inline unsigned int sg_ports_protocol_index(unsigned int protocol)
{
	return protocol == SG_PROTOCOL_TCP ? 0 : protocol == SG_PROTOCOL_UDP ? 1 : SG_PORTS_ICMP;
}

/* The segment that holds `port` for a protocol's index, or NULL. */
const struct sg_ports_segment *sg_ports_find(const struct sg_ports_store *store, const struct sg_ports_table *table,
					     unsigned int protocol_index, uint32_t port);

/* Adds the classes and rules of the segment of (protocol, port), as far as in `mask`, to *match. */
void sg_ports_match(const struct sg_ports_store *store, const struct sg_ports_table *table, unsigned int protocol_index,
		    uint32_t port, uint32_t mask, struct sg_address_match *match);
