/* Inside of the resolver: what it decides (resolver.c) and how it asks upstream (resolver_upstream.c). */
#pragma once

#include "network/resolver.h"

enum {
	SG_RESOLVER_QUERY_SIZE = 2 + SG_DNS_UDP_MIN, /* a query with the length that TCP puts before it */
};

struct sg_resolver_client {
	uint64_t token;
	bool stream, trusted;
	struct sg_dns_message query; /* `data` is not valid any more */
	bool has_domain;
	struct sg_resolver_question question; /* valid if has_domain */
	struct sg_resolver_verdict verdict;
};

/* One query under way. */
struct sg_pending {
	bool used;
	struct sg_resolver_client client;
	struct sg_dns_question asked; /* as sent: its case is to come back */
	uint16_t id;
	int fd;
	bool tcp, edns;
	unsigned int tries, mismatches;
	int64_t deadline, last_deadline; /* of this try, of the whole */
	uint8_t query[SG_RESOLVER_QUERY_SIZE];
	size_t query_size, sent; /* TCP: with the two bytes */
	uint8_t length[2];
	uint8_t *message;              /* TCP: what is being received; owned */
	size_t message_size, received; /* `received` counts the two bytes */
};

struct sg_resolver {
	struct sg_resolvconf conf;
	struct sg_resolver_options options;
	const struct sg_hosts *hosts;
	struct sg_namecache *cache;
	struct sg_resolver_policy policy;
	sg_resolver_reply reply;
	void *reply_data;
	int epoll;
	size_t pending_count;
	uint8_t buffer[SG_DNS_MESSAGE_MAX]; /* for datagrams and replies; never both at once */
	struct sg_pending pending[SG_RESOLVER_PENDING_MAX];
};

/* Starts a free entry's first try for its client. The query ends in sg_resolver_finish() or
 * sg_resolver_fail(). */
void sg_upstream_start(struct sg_resolver *resolver, struct sg_pending *pending, int64_t now);
/* Handles events of its socket. */
void sg_upstream_ready(struct sg_resolver *resolver, struct sg_pending *pending, int64_t now);
/* Its try's time is over: the next server, or the end. */
void sg_upstream_expired(struct sg_resolver *resolver, struct sg_pending *pending, int64_t now);
/* Closes its socket and marks it unused. */
void sg_upstream_release(struct sg_resolver *resolver, struct sg_pending *pending);

/* A matching response has come: `message` is parsed. */
void sg_resolver_finish(struct sg_resolver *resolver, struct sg_pending *pending, const struct sg_dns_message *message,
			int64_t now);
/* No server answered. */
void sg_resolver_fail(struct sg_resolver *resolver, struct sg_pending *pending);
