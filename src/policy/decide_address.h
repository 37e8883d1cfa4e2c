/*
 * The decision about an address, as policy/decide.h about a name: pure, no system call, no allocation once the rules are compiled.
 *
 * A loopback address is the world's own unless a rule names it with that port. An address that is no loopback address is always
 * outside: the world's network has nothing else.
 */
#pragma once

#include "policy/addressset.h"
#include "policy/decide.h"

/* Classes of the set of address patterns. */
enum { SG_NET_ALLOW = 1U << 0, SG_NET_DENY = 1U << 1, SG_NET_LISTEN = 1U << 2 };

/* Where an address leads. */
enum sg_net_where { SG_NET_OWN, SG_NET_OUTSIDE, SG_NET_REFUSED };

/* The address rules of a policy. Zero is none. */
struct sg_address_rules {
	const struct sg_policy *policy; /* borrowed; rule numbers of the set are indices into its rules */
	struct sg_addressset *set;      /* owned */
	bool incoming;                  /* the flag: free ports of the host from 1024 up may be listened on */
	bool resolves;                  /* the flag dns: the session has a resolver */
	bool any; /* names that no rule names may be looked up too: addresses outside are open by a word, not by number */
};

/* Compiles them. Returns 0 with *ret (sg_address_rules_done), or a negative errno value. */
SG_MUST_USE int sg_address_rules_init(const struct sg_policy *policy, struct sg_address_rules *ret);
void sg_address_rules_done(struct sg_address_rules *rules);

/*
 * Decides. `names` are the ids of the names that the address was answered for (policy/addressset.h), `environment` this host's own
 * addresses, or NULL: then what allows by the words `internet` and `host` allows nothing. *ret is set in every case.
 */
enum sg_net_where sg_decide_address(const struct sg_address_rules *rules, const struct sg_address *address,
				    enum sg_address_use use, const uint32_t *names, size_t name_count,
				    const struct sg_address_environment *environment, struct sg_decision *ret);

enum sg_lookup_verdict { SG_LOOKUP_UNNAMED, SG_LOOKUP_ALLOWED, SG_LOOKUP_DENIED };

/*
 * May a name be looked up, where there is a resolver? `ids` as sg_addressset_names gives them; `allow` the classes that permit. It may
 * if a rule names it with some protocol and port that no Deny takes away, or, with `any`, if none refuses it. *ret_rule is the lowest
 * number of those that decided; UINT32_MAX: none did.
 */
enum sg_lookup_verdict sg_decide_lookup(const struct sg_addressset *set, uint32_t allow, bool any, const uint32_t *ids,
					size_t id_count, uint32_t *ret_rule);

/* True if a socket's path that rules of those classes match (policy/decide.h) may be connected to. */
bool sg_decide_socket_allows(uint64_t mask);

/* A socket of the host by its path (canonical), which rules of files and addresses name. `names`: as sg_decide takes them. */
void sg_decide_socket(const struct sg_policy *policy, struct sg_matcher *names, const char *name, size_t length,
		      struct sg_decision *ret);
