/*
 * The resolver of a session: a state machine without threads or sleep. The caller owns the loop and the
 * clock.
 *
 * A query comes in as the bytes of one message. Its name is decided first; a name that no rule names is
 * answered at once, and no packet leaves for it, since the labels of a question are a way out.
 * `*.example.com` permits every subdomain, and so is a channel to whoever runs that domain's servers; a plain
 * name is one only through its timing.
 *
 * What is permitted is asked afresh: a new socket (the kernel picks a random source port), a random id, the
 * letters' case at random (0x20, optional). The world's own bytes never leave: only the name and the type do.
 * The reply to the world is written from what answers the question; all else is dropped.
 *
 *  type                          permitted name
 *  A, AAAA                       /etc/hosts first, else upstream; recorded in the name cache before the world
 * is told CNAME, PTR, SRV, TXT, MX      upstream; nothing is recorded for the names that they mention HTTPS,
 * SVCB                   an empty answer, nothing leaves: they carry addresses and keys that hide the
 * server's name all else                      REFUSED
 *
 * `localhost` and names below it are 127.0.0.1 and ::1 (RFC 6761, 6.3), unless denied; no rule need name
 * them. Reverse names of loopback addresses, and those of addresses in /etc/hosts whose name is permitted,
 * are answered here too.
 *
 * A refused name is answered NXDOMAIN with the extended error 15 (Blocked): the C libraries and runtimes take
 * REFUSED for a fault of the server and ask again and again. What is refused for another reason than its name
 * is answered REFUSED with 18 (Prohibited) or 21 (Not Supported).
 *
 * Answers are not trusted to point inward (DNS rebinding): an address of the classes SG_RESOLVER_INWARD that
 * does not come from /etc/hosts is withheld, unless a rule names that very address (policy.names_address);
 * then it is shown, but not recorded: that rule opens it, the name does not. An alias that leads through a
 * denied name refuses the answer. Private addresses (RFC 1918) are passed: names of one's own network have
 * them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/error.h"
#include "network/dns.h"
#include "network/hosts.h"
#include "network/namecache.h"
#include "policy/address.h"
#include "policy/addressset.h"

enum {
	SG_RESOLVER_PENDING_MAX = 256,    /* queries outstanding; above: SERVFAIL */
	SG_RESOLVER_DEADLINE_MAX = 30000, /* milliseconds that one query may take in all */
	SG_RESOLVER_MISMATCHES_MAX = 8,   /* datagrams that do not match a query, before it is asked by TCP */
	SG_RESOLVER_INWARD = SG_CLASSES_INWARD,
};

enum sg_resolver_decision {
	SG_RESOLVER_UNNAMED, /* no rule names it: refused as a question, let pass as an alias */
	SG_RESOLVER_ALLOWED,
	SG_RESOLVER_DENIED, /* a rule refuses it: as an alias too */
};

struct sg_resolver_question {
	struct sg_domain name;
	uint16_t type;
	bool alias; /* not asked for, but an answer leads through it */
};

struct sg_resolver_verdict {
	enum sg_resolver_decision decision;
	uint32_t rule;                         /* for the record; the caller's */
	uint32_t ids[SG_ADDRESSSET_NAMES_MAX]; /* names whose rules an answer satisfies */
	size_t id_count;
};

/* What happened to one query, for the audit. */
enum sg_resolver_outcome {
	SG_RESOLVER_ANSWERED, /* from upstream */
	SG_RESOLVER_LOCAL,    /* from /etc/hosts or by definition */
	SG_RESOLVER_REFUSED,  /* by name: nothing left */
	SG_RESOLVER_ODD,      /* a type or form that is not spoken: nothing left */
	SG_RESOLVER_WITHHELD, /* answered, without inward addresses or for a denied alias */
	SG_RESOLVER_FAILED,   /* no server answered, or no room */
};

struct sg_resolver_event {
	uint64_t token;
	enum sg_resolver_outcome outcome;
	const struct sg_resolver_question *question; /* NULL if it is no host name */
	const struct sg_dns_name *raw;               /* as asked; NULL if there was none */
	uint32_t rule;                               /* of the verdict; valid with `question` */
	const struct sg_address *addresses;          /* shown in the answer */
	size_t address_count;
};

struct sg_resolver_policy {
	void *data;
	/* Decides. Must set *ret. Below 0 is a fault: answered SERVFAIL. No system call, no blocking. */
	int (*decide)(void *data, const struct sg_resolver_question *question, struct sg_resolver_verdict *ret);
	/* Does a rule name this very address? NULL: none does. */
	bool (*names_address)(void *data, const struct sg_address *address);
	/* What this host is, at this moment. NULL, or an answer without `own`: answers from upstream are
	 * refused (SERVFAIL). */
	const struct sg_address_environment *(*environment)(void *data);
	/* Records. A value below 0 means that it could not be recorded: the query is answered SERVFAIL. May
	 * be NULL. */
	int (*record)(void *record_data, const struct sg_resolver_event *event);
	void *record_data;
};

/* Takes one message for the client of `token`; the bytes are valid during the call only. Must not call the
 * resolver. */
typedef void (*sg_resolver_reply)(void *data, uint64_t token, const uint8_t *message, size_t size);

struct sg_resolver_options {
	bool keep_case;       /* do not randomise the case of letters */
	uint16_t port;        /* upstream port instead of the configuration's 53; 0: as configured */
	unsigned int timeout; /* milliseconds for one try; 0: as configured */
};

struct sg_resolver;

/*
 * Makes a resolver. `conf` and `options` (may be NULL) are copied. `hosts` (may be NULL) and `cache` are the
 * caller's, and outlive it. `reply` is called within sg_resolver_query() and sg_resolver_run() only. Returns
 * 0 and sets *ret (owned by the caller, sg_resolver_free), -ENOMEM, or the errno value of epoll_create1(2).
 */
int sg_resolver_new(const struct sg_resolvconf *conf, const struct sg_hosts *hosts, struct sg_namecache *cache,
		    const struct sg_resolver_policy *policy, const struct sg_resolver_options *options,
		    sg_resolver_reply reply, void *reply_data, struct sg_resolver **ret, struct sg_error *error);
void sg_resolver_free(struct sg_resolver *resolver);
SG_DEFINE_AUTO(struct sg_resolver, resolver, sg_resolver_free)

/* Replaces configuration and hosts (the files changed). Queries under way go on with the new servers at their
 * next try. */
void sg_resolver_configure(struct sg_resolver *resolver, const struct sg_resolvconf *conf,
			   const struct sg_hosts *hosts);

/* A descriptor that becomes readable when sg_resolver_run() has work: for the caller's epoll. It stays the
 * resolver's. */
int sg_resolver_fd(const struct sg_resolver *resolver);
/* When sg_resolver_run() must be called at the latest: milliseconds of CLOCK_MONOTONIC; INT64_MAX: never. */
int64_t sg_resolver_deadline(const struct sg_resolver *resolver);

struct sg_resolver_request {
	uint64_t token; /* the caller's, for the reply; more than one query may have the same */
	bool stream;    /* came by TCP (without its two bytes of length): the reply may have up to 65535 bytes */
	bool trusted;   /* the supervisor asks for itself: UNNAMED and DENIED are looked up all the same; ids
			 are recorded */
};

/*
 * Takes one query. Never blocks. The reply may come within the call. `now` is in milliseconds of
 * CLOCK_MONOTONIC. Returns 0; or 1 if the message is dropped (shorter than a header, or itself a response: an
 * answer could loop).
 */
int sg_resolver_query(struct sg_resolver *resolver, const struct sg_resolver_request *request, const uint8_t *message,
		      size_t size, int64_t now);

/* Asks for a name on behalf of the supervisor (`trusted`). The reply goes to `token` as any other. Returns 0.
 */
int sg_resolver_ask(struct sg_resolver *resolver, uint64_t token, const struct sg_domain *name, enum sg_dns_type type,
		    int64_t now);

/* Handles what is ready and what has run out of time. Never blocks. */
void sg_resolver_run(struct sg_resolver *resolver, int64_t now);

/* The client is gone: its queries are ended without a reply. */
void sg_resolver_cancel(struct sg_resolver *resolver, uint64_t token);

/* From now on no question leaves: those under way fail, later ones are answered from what is known here. */
void sg_resolver_cut(struct sg_resolver *resolver);

/* Queries under way. */
size_t sg_resolver_pending(const struct sg_resolver *resolver);
