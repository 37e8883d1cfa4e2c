/* The resolver's policy, made from a set of address patterns: what a profile's Networking section says about
 * names. */
#pragma once

#include "network/resolver.h"
#include "policy/addressset.h"

struct sg_namerules {
	const struct sg_addressset *set; /* may be replaced between queries, if its names kept their ids */
	uint32_t allow;                  /* classes that permit; the set's refusing classes refuse */
	bool any;                        /* names that no rule names may be looked up too (a channel to anybody) */
	const struct sg_address_environment *environment; /* may be replaced between queries */
};

/*
 * Fills the decisions of *policy from `rules` (which must outlive the resolver); `record` stays as it was. A
 * name is permitted if an Allow names it with some protocol and port that no Deny takes away; denied if a
 * Deny names it and no such port is left. The verdict's rule is the lowest of those that decided; UINT32_MAX
 * if none did.
 */
void sg_namerules_policy(const struct sg_namerules *rules, struct sg_resolver_policy *policy);
