/* The world's own network: a loopback and no way out. Used by the first process before it gives up its
 * privileges. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* Where the session's resolver answers: what the C libraries ask when no configuration names a server. */
#define SG_LOOPBACK_NAMESERVER "127.0.0.1"
enum { SG_LOOPBACK_NAMESERVER_PORT = 53 };

/*
 * The sockets that the first process hands to the supervisor, in the order of their reports. The probe is a
 * socket like any of the world's: it tells the supervisor which network namespace is the world's.
 */
enum sg_loopback_socket {
	SG_LOOPBACK_PROBE,
	SG_LOOPBACK_DIAGNOSIS, /* netlink: lists the unix sockets of the world's network (sock_diag(7)) */
	SG_LOOPBACK_UDP,       /* the resolver's */
	SG_LOOPBACK_TCP,
	SG_LOOPBACK_SOCKETS
};

/*
 * Lets the group `gid` make ICMP datagram sockets in the caller's network namespace (icmp(7), ping_group_range: nobody
 * may in a new one). Called while the host's /proc is there. Where that cannot be written nobody may.
 */
void sg_loopback_allow_ping(gid_t gid);

/*
 * Brings the loopback interface of the caller's network namespace up (CAP_NET_ADMIN over it) and makes the
 * sockets: probe and diagnosis (-1 where the kernel has none), the resolver's two (bound; TCP listening) if
 * `resolver`, else -1. The caller owns them. Does not block. Returns 0 or a negative errno value with
 * context; then there are none.
 */
int sg_loopback_raise(bool resolver, int ret_sockets[SG_LOOPBACK_SOCKETS], struct sg_error *error);
