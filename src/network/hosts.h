/* The host's /etc/hosts and /etc/resolv.conf, as text that the caller has read. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "policy/address.h"
#include "policy/domain.h"

enum {
	SG_HOSTS_ENTRIES_MAX = 1 << 17, /* a block list in /etc/hosts has some 100,000 */
	SG_RESOLVCONF_SERVERS_MAX = 3,  /* MAXNS of resolv.conf(5) */
	SG_RESOLVCONF_SEARCH_MAX = 6,
};

struct sg_hosts;

/*
 * Parses hosts(5): an address and names in a line. Lines and names that are not valid are left out, as libc
 * does; a scope makes a line invalid. Returns 0 and sets *ret (owned by the caller), -E2BIG above the limit,
 * or -ENOMEM.
 */
int sg_hosts_parse(const char *text, size_t size, struct sg_hosts **ret);
void sg_hosts_free(struct sg_hosts *hosts);
SG_DEFINE_AUTO(struct sg_hosts, hosts, sg_hosts_free)

/*
 * The addresses of a name, in the file's order: up to `max` of `family` (0: any). Returns their number, or
 * -ENOENT when the file does not know the name at all (0: it knows it in the other family). `hosts` may be
 * NULL.
 */
int sg_hosts_addresses(const struct sg_hosts *hosts, const struct sg_domain *name, int family, struct sg_address *ret,
		       size_t max);

/* The first names of the lines of an address (its canonical names): up to `max`. Returns their number. */
size_t sg_hosts_names(const struct sg_hosts *hosts, const struct sg_address *address, struct sg_domain *ret,
		      size_t max);

struct sg_resolvconf_server {
	struct sockaddr_storage address; /* port 53 */
	socklen_t length;
};

/* The client side's options (ndots, search) are for the resolv.conf that the world sees. */
struct sg_resolvconf {
	struct sg_resolvconf_server servers[SG_RESOLVCONF_SERVERS_MAX];
	size_t server_count;
	unsigned int timeout;  /* seconds, 1..30; default 5 */
	unsigned int attempts; /* 1..5; default 2 */
	unsigned int ndots;    /* 0..15; default 1 */
	struct sg_domain search[SG_RESOLVCONF_SEARCH_MAX];
	size_t search_count;
};

/*
 * Parses resolv.conf(5). Without a usable nameserver line it is 127.0.0.1, as in libc. Multicast, unspecified
 * and malformed servers are left out; an IPv6 scope is an interface's name or number. Unknown options are
 * ignored. Cannot fail.
 */
void sg_resolvconf_parse(const char *text, size_t size, struct sg_resolvconf *ret);
