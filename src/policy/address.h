/*
 * Peer addresses: copied once from raw socket-address bytes, normalised, classed.
 *
 * One address has one form. IPv4-mapped IPv6 (::ffff:a.b.c.d) is the IPv4 address that it stands for; 0.0.0.0
 * and :: as a destination are the loopback, as the kernel takes them; a scope id is kept only where the
 * kernel looks at it. What is decided is this copy, and what is used afterwards must be made from it
 * (sg_address_to_sockaddr): the caller's memory is never read twice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "base/buffer.h"

typedef unsigned __int128 sg_u128;

/* Protocols, as a set. */
enum {
	SG_PROTOCOL_TCP = 1 << 0,
	SG_PROTOCOL_UDP = 1 << 1,
	SG_PROTOCOL_ICMP = 1 << 2, /* ICMP and ICMPv6 echo */
	SG_PROTOCOL_UNIX = 1 << 3,
	SG_PROTOCOL_IP_ALL = SG_PROTOCOL_TCP | SG_PROTOCOL_UDP | SG_PROTOCOL_ICMP,
};

/* What the address is given for: the kernel's rules differ. */
enum sg_address_use {
	SG_ADDRESS_CONNECT,
	SG_ADDRESS_SEND, /* the address of sendto, sendmsg, sendmmsg */
	SG_ADDRESS_BIND,
};

enum { SG_ADDRESS_UNIX_MAX = 108 };

struct sg_address {
	uint16_t family;   /* AF_INET, AF_INET6 or AF_UNIX */
	uint8_t protocol;  /* one SG_PROTOCOL_ bit */
	bool mapped;       /* an IPv4 address that was written as IPv4-mapped IPv6: to_sockaddr gives that form back
		      */
	bool wildcard;     /* BIND of 0.0.0.0 or :: */
	bool abstract;     /* AF_UNIX: name is abstract (without its leading NUL) */
	uint16_t port;     /* host order; 0 for ICMP and AF_UNIX */
	uint32_t scope;    /* interface index of a link-local IPv6 address, else 0 */
	uint8_t bytes[16]; /* network order; IPv4 uses the first four, the rest are 0 */
	uint16_t name_length;
	char name[SG_ADDRESS_UNIX_MAX + 1]; /* AF_UNIX: path (no NUL within) or abstract name (any bytes); terminated */
};

/* Positive outcomes of sg_address_from_sockaddr(): no address to decide about, but a call with a meaning of
 * its own. */
enum {
	SG_ADDRESS_DISSOLVE = 1, /* CONNECT with AF_UNSPEC: the association is dissolved, and could be made anew */
	SG_ADDRESS_AUTOBIND = 2, /* BIND of AF_UNIX with the family alone: the kernel picks an abstract name */
};

/*
 * Reads a socket address of `length` bytes (a copy that nobody else can write; any bytes). `family` is the
 * domain of the socket (AF_INET, AF_INET6, AF_UNIX) and `protocol` its one SG_PROTOCOL_ bit.
 *
 * Returns 0 and sets *ret; a positive outcome above; or the negative errno value with which the caller must
 * refuse: -EINVAL         too short (IPv4 16, IPv6 24 as in RFC 2133, AF_UNIX 3 bytes), longer than
 * sockaddr_storage (AF_UNIX: 110), port 0 of a datagram to send -EAFNOSUPPORT   a family that does not belong
 * to the socket (AF_INET on an IPv6 datagram socket does) -EADDRNOTAVAIL  CONNECT by TCP to port 0 (the
 * kernel would try; nothing can listen there) -ENETUNREACH    IPv4-compatible IPv6 (::a.b.c.d, RFC
 * 4291 2.5.5.1, deprecated); TCP to multicast or broadcast Stricter than Linux 6.1: AF_UNSPEC in SEND and
 * BIND, TCP to port 0, IPv4-compatible addresses. Port 0 of a UDP connect is accepted, as getaddrinfo(3)
 * sorts addresses by such connects, which send nothing. Bytes beyond the structure are ignored, as the kernel
 * does; so are those after the NUL of a path. Never blocks or allocates.
 */
int sg_address_from_sockaddr(const void *bytes, size_t length, int family, unsigned int protocol,
			     enum sg_address_use use, struct sg_address *ret);

/* Writes the socket address to use for `address`. Returns its length in bytes (2..sizeof(*ret)). */
socklen_t sg_address_to_sockaddr(const struct sg_address *address, struct sockaddr_storage *ret);

/* An IP address without protocol and port. `family` AF_INET (4 bytes) or AF_INET6 (16); a mapped one becomes
 * IPv4. */
void sg_address_from_ip(int family, const void *bytes, struct sg_address *ret);

/* Appends `address` in the language of patterns: tcp:1.2.3.4:80, udp:[::1]:53, icmp:1.2.3.4, unix:/path
 * (escaped). */
void sg_address_format(const struct sg_address *address, struct sg_buffer *buffer);

/* The address as a number (IPv4: 32 bits). */
sg_u128 sg_address_number(const struct sg_address *address);

/* Sorted, disjoint ranges of IP addresses; immutable. */
struct sg_addressrange {
	uint16_t family;
	sg_u128 low, high; /* both included */
};
struct sg_addressranges;

/*
 * Sorts and merges `count` ranges (copied; IPv4-mapped ones are not converted). Returns NULL without memory.
 * The result is owned by the caller (sg_addressranges_free). `count` may be 0.
 */
struct sg_addressranges *sg_addressranges_new(const struct sg_addressrange *ranges, size_t count);
void sg_addressranges_free(struct sg_addressranges *ranges);
SG_DEFINE_AUTO(struct sg_addressranges, addressranges, sg_addressranges_free)

/* The range of a prefix: `bytes` (4 or 16, by family; host bits are ignored), `prefix` bits, at most 32 or
 * 128. */
struct sg_addressrange sg_addressrange_prefix(int family, const void *bytes, unsigned int prefix);

/* True if `number` lies in a range. NULL is the empty set. */
bool sg_addressranges_contain(const struct sg_addressranges *ranges, int family, sg_u128 number);
/* True if any address from `low` to `high` lies in a range. */
bool sg_addressranges_overlap(const struct sg_addressranges *ranges, int family, sg_u128 low, sg_u128 high);
size_t sg_addressranges_count(const struct sg_addressranges *ranges);

/* What this host is, as the caller read it (network/hostaddrs.h). */
struct sg_address_environment {
	const struct sg_addressranges *own;       /* this host's own addresses (127/8 and ::1 may be among them) */
	const struct sg_addressranges *broadcast; /* broadcast addresses of its links; may be NULL */
};

/*
 * Classes of an address; they overlap. LOOPBACK is never OWN. OWN may also be LINK_LOCAL, PRIVATE or
 * METADATA. METADATA within 169.254/16 is LINK_LOCAL too. PRIVATE may be INTERNET: the profile's `internet`
 * means every address that is not this host's own, loopback, link-local or metadata; multicast, broadcast and
 * 0.0.0.0/8 are not in it either, as they name no peer.
 */
enum {
	SG_CLASS_LOOPBACK = 1 << 0,   /* 127.0.0.0/8, ::1 */
	SG_CLASS_OWN = 1 << 1,        /* environment->own */
	SG_CLASS_LINK_LOCAL = 1 << 2, /* 169.254.0.0/16, fe80::/10 */
	SG_CLASS_METADATA = 1 << 3,   /* metadata services of clouds */
	SG_CLASS_PRIVATE = 1 << 4,    /* RFC 1918, 100.64.0.0/10, fc00::/7, fec0::/10 */
	SG_CLASS_MULTICAST = 1 << 5,  /* 224.0.0.0/4, ff00::/8 */
	SG_CLASS_BROADCAST = 1 << 6,  /* 255.255.255.255, environment->broadcast */
	SG_CLASS_NOWHERE = 1 << 7,    /* 0.0.0.0/8, :: */
	SG_CLASS_TRANSLATED = 1 << 8, /* embeds an IPv4 address (NAT64 64:ff9b::/96 and 64:ff9b:1::/48, SIIT
					 ::ffff:0:0:0/96, 6to4 2002::/16), whose classes it has too */
	SG_CLASS_INTERNET = 1 << 9,   /* none of the classes above but PRIVATE and TRANSLATED */
	SG_CLASSES_INWARD = SG_CLASS_LOOPBACK | SG_CLASS_OWN | SG_CLASS_LINK_LOCAL | SG_CLASS_METADATA |
			    SG_CLASS_MULTICAST | SG_CLASS_BROADCAST |
			    SG_CLASS_NOWHERE, /* what a name is not believed to have */
};

/*
 * The SG_CLASS_ bits of an IP address; 0 for AF_UNIX. Without an environment OWN is unknown and INTERNET is
 * never set: a missing list grants nothing.
 */
unsigned int sg_address_classes(const struct sg_address *address, const struct sg_address_environment *environment);

enum { SG_ADDRESS_EMBEDDED_MAX = 4 };

/*
 * The IPv4 addresses that a TRANSLATED one may embed. Where they lie in 64:ff9b:1::/48 is its network's choice (RFC 6052, 2.2, a prefix
 * of 48, 56, 64 or 96 bits): all that may be meant, less those in 0.0.0.0/8. Returns how many there are.
 */
size_t sg_address_embedded(const struct sg_address *address, struct sg_address ret[SG_ADDRESS_EMBEDDED_MAX]);

enum { SG_ADDRESS_EMBEDDING_MAX = 7 };

/* The IPv6 addresses that embed an IPv4 one, each in one of those ways and with zeros for what is free. Returns how many there are. */
size_t sg_address_embeddings(const struct sg_address *inner, struct sg_address ret[SG_ADDRESS_EMBEDDING_MAX]);
