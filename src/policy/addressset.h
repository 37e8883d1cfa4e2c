/*
 * Many address patterns compiled into one immutable set: the cost of a match hardly depends on their number.
 *
 * Every pattern carries a rule id (the caller's; the lowest is reported) and a mask of classes (the caller's
 * too: allow, deny, listen, one for each label...; at most 32). A match answers with the union of the masks
 * of all patterns that hold. The set does not weigh them: that deny goes over allow is decided by the caller
 * from the mask.
 *
 * *Refusing* classes (deny) are named when the set is made, since for them doubt counts the other way. They
 * also hold:
 *  - for an address that embeds a matching IPv4 address (NAT64, 6to4);
 *  - for a bind to 0.0.0.0 or ::, if they match any address of this host that such a bind would serve;
 *  - where `internet` and `host` cannot be told, as the caller has no list of this host's addresses.
 *
 * Which hosts overlap: `*` holds for every address. `internet` excludes `host` and `loopback`; a CIDR or an
 * address may lie in any of them. `host` includes this host's link-local addresses. A name holds by the ids
 * of the name cache alone.
 *
 * unix:PATH patterns are globs of the file language: the set keeps their texts, and the caller compiles and
 * matches them. unix:@NAME is matched here: the language of globs for files, with its `/`, does not fit names
 * that are any bytes. `*` is any number of bytes and `?` one byte (also `/` and NUL); everything else stands
 * for itself.
 */
#pragma once

#include "policy/address.h"
#include "policy/addresspattern.h"

enum {
	SG_ADDRESSSET_CLASSES_MAX = 32,
	SG_ADDRESSSET_RULES_MAX = 1 << 18, /* patterns in one set */
	SG_ADDRESSSET_PORTS_MAX = 1 << 20, /* port ranges in one set */
	SG_ADDRESSSET_NAMES_MAX =
		SG_DOMAIN_LABELS_MAX, /* pattern names that one name can satisfy: itself, each parent */
};

struct sg_addressset_builder;
struct sg_addressset;

/* NULL without memory. Owned by the caller. */
struct sg_addressset_builder *sg_addressset_builder_new(void);
void sg_addressset_builder_free(struct sg_addressset_builder *builder);
SG_DEFINE_AUTO(struct sg_addressset_builder, addressset_builder, sg_addressset_builder_free)

/*
 * Adds a pattern (copied) with its rule id and its classes (not 0). Returns 0, -EINVAL (no class), -E2BIG
 * above the limits, -ENOMEM.
 */
int sg_addressset_builder_add(struct sg_addressset_builder *builder, const struct sg_addresspattern *pattern,
			      uint32_t rule, uint32_t classes);

/*
 * Gives the names of `old` the ids that they have there, so that a name cache stays valid when rules are
 * replaced. To be called before the first add. Returns 0, -EINVAL (too late), -ENOMEM.
 */
int sg_addressset_builder_keep_names(struct sg_addressset_builder *builder, const struct sg_addressset *old);

/*
 * Compiles. `refusing` are the classes for which doubt refuses. The builder stays the caller's and unchanged.
 * *ret_set is owned by the caller (sg_addressset_free). Returns 0 or -ENOMEM. The same adds give the same
 * set.
 */
int sg_addressset_build(const struct sg_addressset_builder *builder, uint32_t refusing, struct sg_addressset **ret_set);
void sg_addressset_free(struct sg_addressset *set);
SG_DEFINE_AUTO(struct sg_addressset, addressset, sg_addressset_free)

struct sg_address_match {
	uint32_t classes;                          /* classes of all patterns that hold */
	uint32_t rules[SG_ADDRESSSET_CLASSES_MAX]; /* lowest rule id for each bit of `classes`; else undefined
						    */
};

/*
 * Matches an address. `names` are the `name_count` ids of names that this address was answered for and that
 * still live (sg_namecache_names); unknown ids are ignored. `environment` may be NULL: `internet` and `host`
 * then hold for refusing classes only. For an AF_UNIX path nothing is matched (see above). Always sets *ret.
 * Allocates nothing, makes no system call.
 */
void sg_addressset_match(const struct sg_addressset *set, const struct sg_address *address, const uint32_t *names,
			 size_t name_count, const struct sg_address_environment *environment,
			 struct sg_address_match *ret);

/*
 * True if a pattern with an address or CIDR (no word, no name) and one of `classes` covers the IP address for
 * some protocol and port: "the rule names that address", so an answer of the resolver may show it.
 */
bool sg_addressset_names_address(const struct sg_addressset *set, const struct sg_address *address, uint32_t classes);

/*
 * The ids of all pattern names that `name` satisfies. `ret_ids` has room for SG_ADDRESSSET_NAMES_MAX. Returns
 * their number. Ids are small numbers from 0, in the order of the first add.
 */
size_t sg_addressset_names(const struct sg_addressset *set, const struct sg_domain *name, uint32_t *ret_ids);

struct sg_addressset_lookup {
	uint32_t classes;                 /* of all patterns that name it, whatever their protocol and ports */
	bool open;                        /* some protocol and port has a class of `allow` and none of `refusing` */
	bool refused;                     /* a refusing class names it */
	uint32_t allow_rule, refuse_rule; /* the lowest ids; valid if `open`, `refused` */
};

/*
 * May a name be looked up: the ids as from sg_addressset_names(). A Deny of some ports leaves the look-up
 * open if an Allow gives others. Always sets *ret.
 */
void sg_addressset_lookup(const struct sg_addressset *set, const uint32_t *ids, size_t count, uint32_t allow,
			  struct sg_addressset_lookup *ret);

/* The unix:PATH patterns, for the caller's glob compiler. Valid as long as the set. */
struct sg_addressset_path {
	const char *glob; /* terminated */
	size_t length;
	uint32_t rule, classes;
};
/* An array of *ret_count of them, the set's; NULL where there are none. */
const struct sg_addressset_path *sg_addressset_paths(const struct sg_addressset *set, size_t *ret_count);
