/* The compiled form of an address set. Internal to addressset*.c. */
#pragma once

#include "policy/addressset.h"
#include "policy/addressset_ports.h"

enum { SG_ADDRESSSET_NO_NODE = UINT32_MAX };

/* A prefix; prefixes nest or are disjoint, so each has one smallest prefix around it. */
struct sg_addressset_node {
	uint16_t family;
	uint32_t parent;  /* index or SG_ADDRESSSET_NO_NODE */
	uint32_t literal; /* classes of the patterns that wrote this prefix (not the word `loopback`) */
	sg_u128 low, high;
	struct sg_ports_table table;
};

/* From starts[i] to starts[i + 1] the innermost prefix is owners[i]. */
struct sg_addressset_tree {
	sg_u128 *starts;
	uint32_t *owners;
	size_t count;
};

struct sg_addressset_name {
	struct sg_domain name;
	uint8_t kind; /* SG_HOST_NAME or SG_HOST_SUBDOMAINS */
	uint32_t id;
};

struct sg_addressset_abstract {
	char *name;
	size_t length;
	bool wild;
	uint32_t rule, classes;
};

enum { SG_ADDRESSSET_WORDS = 3 }; /* `*`, internet, host */

struct sg_addressset {
	uint32_t refusing;
	struct sg_ports_store store;
	struct sg_addressset_node *nodes; /* sorted by family, low, width descending */
	size_t node_count;
	struct sg_addressset_tree trees[2]; /* IPv4, IPv6 */
	struct sg_ports_table words[SG_ADDRESSSET_WORDS];
	struct sg_addressset_name *names;   /* sorted by kind and name */
	struct sg_ports_table *name_tables; /* by id */
	size_t name_count;
	struct sg_addressset_abstract *abstracts; /* those without wildcards first, sorted by name */
	size_t abstract_count, plain_count;
	struct sg_addressset_path *paths;
	size_t path_count;
};

/* Order of abstract names: by bytes, then by length. */
int sg_addressset_compare_bytes(const char *a, size_t a_length, const char *b, size_t b_length);
/* Order of names: by kind, then by bytes. */
int sg_addressset_compare_names(const struct sg_addressset_name *a, const struct sg_addressset_name *b);
