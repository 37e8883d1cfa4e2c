/*
 * Address patterns of a profile: PROTOCOL:HOST:PORTS, icmp:HOST, unix:PATH, unix:@NAME.
 *
 * Protocol: tcp, udp, icmp, unix, or `*` (tcp and udp; icmp too where the ports are `*`, since ICMP has
 * none). Host: an IPv4 address or CIDR, an IPv6 one in brackets, a name, `*.name` (subdomains at any depth,
 * not the name itself), or `internet`, `host`, `loopback`, `*`; one of those three words alone means
 * `*:WORD:*`. Ports: numbers and ranges with commas between, or `*`. The four host words are reserved: a host
 * of that name is written with a final dot (`host.`).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "policy/address.h"
#include "policy/domain.h"

enum sg_host_kind {
	SG_HOST_PREFIX,        /* one address or a CIDR */
	SG_HOST_NAME,          /* a name */
	SG_HOST_SUBDOMAINS,    /* *.name */
	SG_HOST_INTERNET,      /* SG_CLASS_INTERNET */
	SG_HOST_OWN,           /* `host`: SG_CLASS_OWN */
	SG_HOST_LOOPBACK,      /* SG_CLASS_LOOPBACK */
	SG_HOST_ANY,           /* `*`: every address, loopback included */
	SG_HOST_UNIX_PATH,     /* unix: and a path glob */
	SG_HOST_UNIX_ABSTRACT, /* unix:@ and a name; `*` and `?` are wildcards */
	SG_HOST_KINDS_
};

struct sg_portrange {
	uint16_t low, high; /* both included */
};

enum {
	SG_ADDRESSPATTERN_PORTS_MAX = 256, /* ranges in one pattern */
	SG_ADDRESSPATTERN_MAX = 4096,      /* bytes of one pattern */
};

struct sg_addresspattern {
	uint8_t protocols; /* SG_PROTOCOL_ bits */
	uint8_t kind;      /* enum sg_host_kind */
	uint8_t prefix;    /* SG_HOST_PREFIX: bits, at most 32 or 128 */
	uint16_t family;   /* SG_HOST_PREFIX: AF_INET or AF_INET6 */
	uint8_t bytes[16]; /* SG_HOST_PREFIX: network order, host bits 0 */
	struct sg_domain name;
	struct sg_portrange *ports; /* sorted, disjoint, not adjacent; owned; NULL where the protocol has none */
	size_t port_count;
	char *path; /* SG_HOST_UNIX_*: path glob or abstract name without `@`; terminated; owned */
	size_t path_length;
};

/* The key that the pattern stands in: it decides which patterns can never match. */
enum sg_addresspattern_use { SG_ADDRESSPATTERN_ALLOW, SG_ADDRESSPATTERN_DENY, SG_ADDRESSPATTERN_LISTEN };

/* What is wrong, for a diagnostic of the caller. Offsets are bytes within the pattern's text. */
struct sg_addresspattern_problem {
	size_t offset, length; /* the bytes at fault; length may be 0 (something is missing at `offset`) */
	char message[200];     /* one sentence without a full stop */
	char suggestion[320];  /* what to put in the place of those bytes; "" if there is none */
};

/*
 * Parses `length` bytes of `text`. Returns 0 and sets *ret (owned by the caller, sg_addresspattern_done),
 * -EINVAL with *problem set, or -ENOMEM. A pattern that by its text can never match is -EINVAL too: an empty
 * range, host bits in a CIDR, port 0 where something is reached, a name or `internet` to listen on. The first
 * problem found is the one that is told.
 */
int sg_addresspattern_parse(const char *text, size_t length, enum sg_addresspattern_use use,
			    struct sg_addresspattern *ret, struct sg_addresspattern_problem *problem);
void sg_addresspattern_done(struct sg_addresspattern *pattern);
#define SG_AUTO_ADDRESSPATTERN SG_CLEANUP(sg_addresspattern_done)

/* Appends the canonical text: parsing it gives the same pattern. Unescaped; parsed patterns hold no control
 * characters. */
void sg_addresspattern_format(const struct sg_addresspattern *pattern, struct sg_buffer *buffer);
