/*
 * The world's side of the resolver: a UDP socket and a TCP listener (made by the caller, on the world's own
 * loopback), their framing, and the way of each reply back to who asked. A state machine as the resolver is,
 * in the same thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/error.h"
#include "network/resolver.h"

enum {
	SG_DNSSERVER_CLIENTS_MAX = 512,   /* queries whose reply is awaited */
	SG_DNSSERVER_STREAMS_MAX = 32,    /* TCP connections; the one idle longest makes room */
	SG_DNSSERVER_IDLE = 10000,        /* milliseconds without a byte before a connection is closed */
	SG_DNSSERVER_STREAM_QUERIES = 16, /* queries of one connection under way */
};

struct sg_dnsserver;

/*
 * Makes a server and its resolver (parameters as of sg_resolver_new). `udp` is a bound datagram socket, `tcp`
 * a listening stream socket; -1 leaves one out. Both become non-blocking, and are owned by the server on
 * success, stay the caller's on failure. The address bound should be a specific one, so that replies come
 * from where the query went. Returns 0 or -errno.
 */
int sg_dnsserver_new(int udp, int tcp, const struct sg_resolvconf *conf, const struct sg_hosts *hosts,
		     struct sg_namecache *cache, const struct sg_resolver_policy *policy,
		     const struct sg_resolver_options *options, struct sg_dnsserver **ret, struct sg_error *error);
void sg_dnsserver_free(struct sg_dnsserver *server);
SG_DEFINE_AUTO(struct sg_dnsserver, dnsserver, sg_dnsserver_free)

/*
 * The resolver inside, for sg_resolver_configure() and sg_resolver_ask(). It stays the server's. What the
 * supervisor asks for itself has a token with the bit SG_DNSSERVER_OWN_TOKEN: its reply goes to nobody, its
 * addresses into the cache.
 */
#define SG_DNSSERVER_OWN_TOKEN (UINT64_C(1) << 63)
struct sg_resolver *sg_dnsserver_resolver(struct sg_dnsserver *server);

/* As of the resolver: a descriptor for epoll, the time of the next call at the latest, and the call. */
int sg_dnsserver_fd(const struct sg_dnsserver *server);
int64_t sg_dnsserver_deadline(const struct sg_dnsserver *server);
void sg_dnsserver_run(struct sg_dnsserver *server, int64_t now);
