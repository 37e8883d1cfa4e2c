/*
 * DNS messages: RFC 1035, AAAA (3596), EDNS0 (6891), negative answers (2308), extended errors (8914).
 *
 * The parser is for hostile bytes: every bound is checked, compression pointers only ever go backward, counts
 * are limited, nothing recurses. Nothing of a received message is passed on as bytes: what answers the
 * question is read into a struct sg_dns_answers, and a reply is written from that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buffer.h"
#include "policy/address.h"
#include "policy/domain.h"

enum {
	SG_DNS_HEADER_SIZE = 12,
	SG_DNS_UDP_MIN = 512,  /* what a client without EDNS takes (RFC 1035, 4.2.1) */
	SG_DNS_UDP_OWN = 1232, /* what we advertise: no fragments (DNS flag day 2020) */
	SG_DNS_UDP_MAX = 4096, /* the largest UDP reply that we send */
	SG_DNS_MESSAGE_MAX = 65535,
	SG_DNS_RECORDS_MAX = 1024, /* records in one message */
	SG_DNS_ALIASES_MAX = 16,   /* CNAMEs followed from a question to its answer */
	SG_DNS_ANSWERS_MAX = 64,   /* records kept that answer it */
	SG_DNS_ERROR_TEXT_MAX = 128,
};

enum sg_dns_type {
	SG_DNS_A = 1,
	SG_DNS_NS = 2,
	SG_DNS_CNAME = 5,
	SG_DNS_SOA = 6,
	SG_DNS_PTR = 12,
	SG_DNS_MX = 15,
	SG_DNS_TXT = 16,
	SG_DNS_AAAA = 28,
	SG_DNS_SRV = 33,
	SG_DNS_OPT = 41,
	SG_DNS_SVCB = 64,
	SG_DNS_HTTPS = 65,
};

enum { SG_DNS_CLASS_IN = 1 };

enum sg_dns_rcode {
	SG_DNS_NOERROR = 0,
	SG_DNS_FORMERR = 1,
	SG_DNS_SERVFAIL = 2,
	SG_DNS_NXDOMAIN = 3,
	SG_DNS_NOTIMP = 4,
	SG_DNS_REFUSED = 5,
	SG_DNS_BADVERS = 16, /* extended: needs EDNS */
};

/* Header flags, host order. */
enum {
	SG_DNS_QR = 0x8000,
	SG_DNS_OPCODE = 0x7800,
	SG_DNS_AA = 0x0400,
	SG_DNS_TC = 0x0200,
	SG_DNS_RD = 0x0100,
	SG_DNS_RA = 0x0080,
	SG_DNS_RCODE = 0x000f,
};

/* Extended DNS Errors (RFC 8914, 4). 0 (Other) stands for "none" here. */
enum {
	SG_DNS_ERROR_NONE = 0,
	SG_DNS_ERROR_BLOCKED = 15,
	SG_DNS_ERROR_PROHIBITED = 18,
	SG_DNS_ERROR_UNSUPPORTED = 21,
	SG_DNS_ERROR_UNREACHABLE = 22,
};

/* A name in wire form without compression, its case as received; 1..255 bytes, the root's zero byte included.
 */
struct sg_dns_name {
	uint8_t size;
	uint8_t wire[255];
};

struct sg_dns_question {
	struct sg_dns_name name;
	uint16_t type, class;
};

/* A message whose structure was checked from the first byte to the last. Refers to the bytes that it was
 * parsed from. */
struct sg_dns_message {
	const uint8_t *data;
	size_t size;
	uint16_t id, flags;
	uint16_t counts[4];              /* question, answer, authority, additional */
	struct sg_dns_question question; /* if counts[0] is 1 */
	size_t records;                  /* offset of the first record */
	bool has_edns;
	uint8_t edns_version, edns_rcode; /* upper bits of the rcode */
	uint16_t edns_size;               /* UDP payload that the sender takes */
};

/*
 * Parses and checks a whole message of `size` bytes: header, at most one question, every record's bounds and
 * owner, at most one OPT (in the additional section, owned by the root), nothing left over. Returns 0 and
 * sets *ret (valid while `data` is), or -EBADMSG. ret->id and ret->flags are set whenever size >=
 * SG_DNS_HEADER_SIZE, also on -EBADMSG.
 */
int sg_dns_parse(const uint8_t *data, size_t size, struct sg_dns_message *ret);

/*
 * Reads the name at `offset`; pointers must go backward. Returns 0 and sets *ret and *ret_end (the offset
 * after it), or -EBADMSG.
 */
int sg_dns_name_read(const uint8_t *data, size_t size, size_t offset, struct sg_dns_name *ret, size_t *ret_end);

/* Equal but for the case of ASCII letters (RFC 4343). */
bool sg_dns_name_equal(const struct sg_dns_name *a, const struct sg_dns_name *b);
/* True if `name` is `parent` or below it. */
bool sg_dns_name_within(const struct sg_dns_name *name, const struct sg_dns_name *parent);

/* The wire form of a host name. Always fits: a canonical host name is shorter than the longest DNS name. */
void sg_dns_name_from_domain(const struct sg_domain *domain, struct sg_dns_name *ret);

/*
 * The canonical host name. Returns 0, or a positive enum sg_domain_problem: a name with any byte that a host
 * name cannot have (a dot or a NUL within a label too) is none.
 */
int sg_dns_name_to_domain(const struct sg_dns_name *name, struct sg_domain *ret);

/*
 * The address that a reverse name (d.c.b.a.in-addr.arpa, nibbles of ip6.arpa) stands for: sets *ret and
 * returns true; false for any other name, also for parts of such names.
 */
bool sg_dns_reverse_address(const struct sg_domain *domain, struct sg_address *ret);

struct sg_dns_record {
	unsigned int section; /* 1 answer, 2 authority, 3 additional */
	struct sg_dns_name owner;
	uint16_t type, class;
	uint32_t ttl;
	size_t data, size; /* offset and bytes of its data */
};

struct sg_dns_cursor {
	size_t offset;
	unsigned int section, left;
};

/* The first record: `cursor` for sg_dns_next(). */
struct sg_dns_cursor sg_dns_first(const struct sg_dns_message *message);
/* Sets *ret to the next record. Returns true, or false after the last one. */
bool sg_dns_next(const struct sg_dns_message *message, struct sg_dns_cursor *cursor, struct sg_dns_record *ret);

struct sg_dns_alias {
	struct sg_dns_name target;
	uint32_t ttl;
};

struct sg_dns_data {
	uint32_t ttl;
	size_t offset, size; /* in `pool`: the record's data, checked for its type, names uncompressed */
};

/* What answers a question, and nothing else. */
struct sg_dns_answers {
	unsigned int rcode;
	struct sg_dns_alias aliases[SG_DNS_ALIASES_MAX]; /* each is the CNAME of the one before; the first, of
							    the question */
	size_t alias_count;
	struct sg_dns_data data[SG_DNS_ANSWERS_MAX]; /* owned by the last alias's target, of the question's type */
	size_t data_count;
	uint32_t ttl;  /* seconds: the least of all aliases and data; 0 if there are none */
	bool negative; /* a SOA said how long the absence may be kept */
	struct sg_dns_name zone;
	uint32_t negative_ttl; /* the lesser of the SOA's TTL and MINIMUM (RFC 2308, 5) */
	struct sg_buffer pool;
};

/* Frees the pool. The answers are empty afterwards. */
void sg_dns_answers_done(struct sg_dns_answers *answers);
#define SG_AUTO_DNS_ANSWERS SG_CLEANUP(sg_dns_answers_done)

/*
 * Collects from a response what answers `question`: CNAMEs from its name on, then the records of its type at
 * the last target. Additional and authority records are dropped, but for the SOA of a negative answer. *ret
 * must be zero-initialised or done. Returns 0, -EBADMSG (an alias loop, more than SG_DNS_ALIASES_MAX, data
 * that does not fit its type) or -ENOMEM; on failure *ret is empty. Records beyond SG_DNS_ANSWERS_MAX are
 * dropped.
 */
int sg_dns_extract(const struct sg_dns_message *message, const struct sg_dns_question *question,
		   struct sg_dns_answers *ret);

/* Adds a record's data (wire form, trusted). Returns 0, -ENOSPC or -ENOMEM. */
int sg_dns_answers_add(struct sg_dns_answers *answers, uint32_t ttl, const void *data, size_t size);

/* What a reply says beside its answers. */
struct sg_dns_reply {
	unsigned int rcode;
	const struct sg_dns_answers *answers; /* NULL: none */
	unsigned int error;                   /* extended error; shown if the query has EDNS */
	const char *error_text;               /* UTF-8; cut at SG_DNS_ERROR_TEXT_MAX bytes; NULL: none */
};

/*
 * Writes the reply to `query` (parsed; its question is repeated if it has one) to `buffer` of `capacity`
 * bytes (at least SG_DNS_UDP_MIN), at most `limit` bytes. What does not fit empties the answer and sets TC.
 * The reply is never authoritative, RA is set, AD is not. Returns its size.
 */
size_t sg_dns_write_reply(const struct sg_dns_message *query, const struct sg_dns_reply *reply, uint8_t *buffer,
			  size_t limit);

/* The most bytes that a UDP reply to `query` may have: 512, or what its EDNS says, up to SG_DNS_UDP_MAX. */
size_t sg_dns_udp_limit(const struct sg_dns_message *query);

/* Writes a query with RD, and EDNS if wanted. `buffer` has room for SG_DNS_UDP_MIN. Returns its size. */
size_t sg_dns_write_query(uint16_t id, const struct sg_dns_question *question, bool edns, uint8_t *buffer);
