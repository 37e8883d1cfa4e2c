#include "policy/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum {
	IN6_LENGTH_RFC2133 = 24, /* sockaddr_in6 before it had a scope id: net/ipv6 still takes it (SIN6_LEN_RFC2133) */
	FAMILY_SIZE = sizeof(sa_family_t),
};

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t zeros[16];

static sg_u128 read_number(const uint8_t *bytes, size_t size)
{
	sg_u128 number = 0;

	for (size_t i = 0; i < size; i++) {
		number = number << 8 | bytes[i];
	}
	return number;
}

sg_u128 sg_address_number(const struct sg_address *address)
{
	return read_number(address->bytes, address->family == AF_INET ? 4 : 16);
}

void sg_address_from_ip(int family, const void *bytes, struct sg_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->family = (uint16_t)family;
	if (family == AF_INET6 && memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		ret->family = AF_INET;
		ret->mapped = true;
		memcpy(ret->bytes, (const uint8_t *)bytes + sizeof(mapped_prefix), 4);
		return;
	}
	memcpy(ret->bytes, bytes, family == AF_INET ? 4 : 16);
}

/* The rules of unix_validate_addr() and unix_mkname_bsd() in net/unix/af_unix.c. */
static int read_unix(const uint8_t *bytes, size_t length, enum sg_address_use use, struct sg_address *ret)
{
	const size_t start = offsetof(struct sockaddr_un, sun_path);
	size_t size;

	if (length == start && use == SG_ADDRESS_BIND) {
		return SG_ADDRESS_AUTOBIND;
	}
	if (length <= start || length > sizeof(struct sockaddr_un)) {
		return -EINVAL;
	}
	memset(ret, 0, sizeof(*ret));
	ret->family = AF_UNIX;
	ret->protocol = SG_PROTOCOL_UNIX;
	ret->abstract = bytes[start] == 0;
	size = length - start;
	if (ret->abstract) {
		/* Every byte counts, NULs too: the name with a tail of NULs is another name. */
		memcpy(ret->name, bytes + start + 1, size - 1);
		ret->name_length = (uint16_t)(size - 1);
		return 0;
	}
	size = strnlen((const char *)bytes + start, size);
	memcpy(ret->name, bytes + start, size);
	ret->name_length = (uint16_t)size;
	return 0;
}

static void read_in(const uint8_t *bytes, struct sg_address *ret)
{
	struct sockaddr_in in;

	memcpy(&in, bytes, sizeof(in));
	sg_address_from_ip(AF_INET, &in.sin_addr, ret);
	ret->port = ntohs(in.sin_port);
}

static int read_in6(const uint8_t *bytes, size_t length, struct sg_address *ret)
{
	struct sockaddr_in6 in6 = {0};

	memcpy(&in6, bytes, length < sizeof(in6) ? IN6_LENGTH_RFC2133 : sizeof(in6));
	sg_address_from_ip(AF_INET6, &in6.sin6_addr, ret);
	ret->port = ntohs(in6.sin6_port);
	if (ret->family == AF_INET) {
		return 0;
	}
	if (memcmp(ret->bytes, zeros, 12) == 0 && read_number(ret->bytes + 12, 4) > 1) {
		return -ENETUNREACH;
	}
	if (IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr) || IN6_IS_ADDR_MC_LINKLOCAL(&in6.sin6_addr)) {
		ret->scope = in6.sin6_scope_id;
	}
	return 0;
}

/* What the kernel makes of the address for this protocol and use. */
static int settle(enum sg_address_use use, struct sg_address *address)
{
	if (address->protocol == SG_PROTOCOL_ICMP) {
		address->port = 0;
	}
	if (memcmp(address->bytes, zeros, sizeof(zeros)) == 0) {
		if (use == SG_ADDRESS_BIND) {
			address->wildcard = true;
		} else if (address->family == AF_INET) {
			address->bytes[0] = 127;
			address->bytes[3] = 1;
		} else {
			address->bytes[15] = 1;
		}
	}
	if (use == SG_ADDRESS_BIND) {
		return 0;
	}
	if (address->protocol == SG_PROTOCOL_TCP) {
		if (sg_address_classes(address, NULL) & (SG_CLASS_MULTICAST | SG_CLASS_BROADCAST)) {
			return -ENETUNREACH;
		}
		return address->port == 0 ? -EADDRNOTAVAIL : 0;
	}
	return address->protocol == SG_PROTOCOL_UDP && use == SG_ADDRESS_SEND && address->port == 0 ? -EINVAL : 0;
}

static int read_ip(const uint8_t *bytes, size_t length, int socket_family, int family, unsigned int protocol,
		   struct sg_address *ret)
{
	int result = 0;

	if (length < (socket_family == AF_INET ? sizeof(struct sockaddr_in) : FAMILY_SIZE)) {
		return -EINVAL;
	}
	if (family == AF_INET && (socket_family == AF_INET || protocol != SG_PROTOCOL_TCP)) {
		if (length < sizeof(struct sockaddr_in)) {
			return -EINVAL;
		}
		read_in(bytes, ret);
		/* On an IPv6 socket the kernel goes by the IPv4 way either way: the mapped form says the
		 * same. */
		ret->mapped = socket_family == AF_INET6;
		return 0;
	}
	if (length < IN6_LENGTH_RFC2133 && socket_family == AF_INET6) {
		return -EINVAL;
	}
	if (family != AF_INET6 || socket_family != AF_INET6) {
		return -EAFNOSUPPORT;
	}
	result = read_in6(bytes, length, ret);
	return result;
}

int sg_address_from_sockaddr(const void *bytes, size_t length, int family, unsigned int protocol,
			     enum sg_address_use use, struct sg_address *ret)
{
	struct sg_address address = {0};
	sa_family_t given;
	int result;

	if (length < FAMILY_SIZE || length > sizeof(struct sockaddr_storage)) {
		return -EINVAL;
	}
	memcpy(&given, bytes, sizeof(given));
	if (given == AF_UNSPEC && use == SG_ADDRESS_CONNECT) {
		return SG_ADDRESS_DISSOLVE;
	}
	if (family == AF_UNIX) {
		result = given == AF_UNIX ? read_unix(bytes, length, use, &address) : -EINVAL;
	} else if (family == AF_INET || family == AF_INET6) {
		result = read_ip(bytes, length, family, given, protocol, &address);
		address.protocol = (uint8_t)protocol;
		if (result == 0) {
			result = settle(use, &address);
		}
	} else {
		result = -EAFNOSUPPORT;
	}
	if (result == 0) {
		*ret = address;
	}
	return result;
}

static socklen_t write_unix(const struct sg_address *address, struct sockaddr_storage *ret)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t start = offsetof(struct sockaddr_un, sun_path), size = address->name_length;

	memcpy(un.sun_path + (address->abstract ? 1 : 0), address->name,
	       size < sizeof(un.sun_path) ? size : sizeof(un.sun_path) - (address->abstract ? 1 : 0));
	memcpy(ret, &un, sizeof(un));
	if (address->abstract) {
		return (socklen_t)(start + 1 + size);
	}
	return (socklen_t)(size < sizeof(un.sun_path) ? start + size + 1 : sizeof(un));
}

socklen_t sg_address_to_sockaddr(const struct sg_address *address, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (address->family == AF_UNIX) {
		return write_unix(address, ret);
	}
	if (address->family == AF_INET && !address->mapped) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(address->port)};

		memcpy(&in.sin_addr, address->bytes, 4);
		memcpy(ret, &in, sizeof(in));
		return sizeof(in);
	}
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(address->port), .sin6_scope_id = address->scope};

	if (address->mapped) {
		memcpy(&in6.sin6_addr, mapped_prefix, sizeof(mapped_prefix));
		memcpy(in6.sin6_addr.s6_addr + 12, address->bytes, 4);
	} else {
		memcpy(&in6.sin6_addr, address->bytes, 16);
	}
	memcpy(ret, &in6, sizeof(in6));
	return sizeof(in6);
}

void sg_address_format(const struct sg_address *address, struct sg_buffer *buffer)
{
	char text[INET6_ADDRSTRLEN];
	bool six = address->family == AF_INET6;

	if (address->family == AF_UNIX) {
		sg_buffer_append_text(buffer, address->abstract ? "unix:@" : "unix:");
		sg_buffer_append_escaped(buffer, address->name, address->name_length);
		return;
	}
	switch (address->protocol) {
	case SG_PROTOCOL_TCP:
		sg_buffer_append_text(buffer, "tcp:");
		break;
	case SG_PROTOCOL_UDP:
		sg_buffer_append_text(buffer, "udp:");
		break;
	case SG_PROTOCOL_ICMP:
		sg_buffer_append_text(buffer, "icmp:");
		break;
	default:
		break;
	}
	inet_ntop(address->family, address->bytes, text, sizeof(text));
	sg_buffer_printf(buffer, "%s%s", six ? "[" : "", text);
	if (address->scope != 0) {
		sg_buffer_printf(buffer, "%%%u", address->scope);
	}
	sg_buffer_append_text(buffer, six ? "]" : "");
	if (address->protocol & (SG_PROTOCOL_TCP | SG_PROTOCOL_UDP)) {
		sg_buffer_printf(buffer, ":%u", (unsigned int)address->port);
	}
}

/* -------- classes -------- */

#define WIDE(upper, lower) ((sg_u128)(upper) << 64 | (sg_u128)(lower))

static const struct {
	sg_u128 first;
	int family;
	unsigned int prefix, bit;
} class_rows[] = {
#define ADDRESS_CLASS(family_, text_, upper_, lower_, prefix_, bit_, source_)                                          \
	{.family = (family_), .first = WIDE(upper_, lower_), .prefix = (prefix_), .bit = (bit_)},
#include "policy/address_classes.def"
#undef ADDRESS_CLASS
};

static unsigned int table_classes(int family, sg_u128 number)
{
	unsigned int width = family == AF_INET ? 32 : 128, classes = 0;

	for (size_t i = 0; i < SG_ARRAY_SIZE(class_rows); i++) {
		if (class_rows[i].family == family &&
		    (number ^ class_rows[i].first) >> (width - class_rows[i].prefix) == 0) {
			classes |= class_rows[i].bit;
		}
	}
	return classes;
}

static const struct {
	uint8_t prefix[12];
	uint8_t size;  /* of the prefix, in bytes */
	uint8_t at[4]; /* where the bytes of the IPv4 address lie */
	bool certain;  /* there and nowhere else */
} embeddings[] = {
	{{0x00, 0x64, 0xff, 0x9b}, 12, {12, 13, 14, 15}, true},
	{{0x20, 0x02}, 2, {2, 3, 4, 5}, true},
	{{[8] = 0xff, [9] = 0xff}, 12, {12, 13, 14, 15}, true},
	{{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 6, {12, 13, 14, 15}, false},
	{{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 6, {6, 7, 9, 10}, false},
	{{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 6, {7, 9, 10, 11}, false},
	{{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 6, {9, 10, 11, 12}, false},
};

_Static_assert(SG_ARRAY_SIZE(embeddings) == SG_ADDRESS_EMBEDDING_MAX, "one address for each");

size_t sg_address_embeddings(const struct sg_address *inner, struct sg_address ret[SG_ADDRESS_EMBEDDING_MAX])
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(embeddings); i++) {
		ret[i] = (struct sg_address){.family = AF_INET6, .protocol = inner->protocol, .port = inner->port};
		memcpy(ret[i].bytes, embeddings[i].prefix, embeddings[i].size);
		for (size_t j = 0; j < 4; j++)
			ret[i].bytes[embeddings[i].at[j]] = inner->bytes[j];
	}
	return SG_ARRAY_SIZE(embeddings);
}

size_t sg_address_embedded(const struct sg_address *address, struct sg_address ret[SG_ADDRESS_EMBEDDED_MAX])
{
	size_t count = 0;

	if (address->family != AF_INET6)
		return 0;
	for (size_t i = 0; i < SG_ARRAY_SIZE(embeddings) && count < SG_ADDRESS_EMBEDDED_MAX; i++) {
		struct sg_address inner = {.family = AF_INET, .protocol = address->protocol, .port = address->port};

		if (memcmp(address->bytes, embeddings[i].prefix, embeddings[i].size) != 0)
			continue;
		for (size_t j = 0; j < 4; j++)
			inner.bytes[j] = address->bytes[embeddings[i].at[j]];
		if (embeddings[i].certain || inner.bytes[0] != 0)
			ret[count++] = inner;
	}
	return count;
}

unsigned int sg_address_classes(const struct sg_address *address, const struct sg_address_environment *environment)
{
	struct sg_address inner[SG_ADDRESS_EMBEDDED_MAX];
	unsigned int classes;
	sg_u128 number;
	size_t count;

	if (address->family != AF_INET && address->family != AF_INET6) {
		return 0;
	}
	number = sg_address_number(address);
	classes = table_classes(address->family, number);
	if (environment && !(classes & SG_CLASS_LOOPBACK) &&
	    sg_addressranges_contain(environment->own, address->family, number)) {
		classes |= SG_CLASS_OWN;
	}
	if (environment && sg_addressranges_contain(environment->broadcast, address->family, number)) {
		classes |= SG_CLASS_BROADCAST;
	}
	/* A translator, if there is one, carries it to the embedded address: no weaker than that address. */
	count = classes & SG_CLASS_TRANSLATED ? sg_address_embedded(address, inner) : 0;
	for (size_t i = 0; i < count; i++) {
		classes |= sg_address_classes(&inner[i], environment) & ~(unsigned int)SG_CLASS_INTERNET;
	}
	if (environment && environment->own &&
	    (classes & ~(unsigned int)(SG_CLASS_PRIVATE | SG_CLASS_TRANSLATED)) == 0) {
		classes |= SG_CLASS_INTERNET;
	}
	return classes;
}

/* -------- ranges -------- */

struct sg_addressranges {
	size_t count, four; /* ranges [0, four) are IPv4, the others IPv6 */
	struct sg_addressrange ranges[];
};

struct sg_addressrange sg_addressrange_prefix(int family, const void *bytes, unsigned int prefix)
{
	unsigned int width = family == AF_INET ? 32 : 128, host = width - prefix;
	sg_u128 number = read_number(bytes, width / 8);
	sg_u128 mask = host == 128 ? ~(sg_u128)0 : ((sg_u128)1 << host) - 1;

	return (struct sg_addressrange){.family = (uint16_t)family, .low = number & ~mask, .high = number | mask};
}

static int compare_ranges(const void *a, const void *b)
{
	const struct sg_addressrange *x = a, *y = b;

	if (x->family != y->family) {
		return x->family == AF_INET ? -1 : 1;
	}
	return x->low < y->low ? -1 : x->low > y->low;
}

struct sg_addressranges *sg_addressranges_new(const struct sg_addressrange *ranges, size_t count)
{
	struct sg_addressranges *set;
	size_t size, kept = 0;

	if (__builtin_mul_overflow(count, sizeof(*ranges), &size) ||
	    __builtin_add_overflow(size, sizeof(*set), &size)) {
		return NULL;
	}
	set = calloc(1, size);
	if (!set) {
		return NULL;
	}
	if (count > 0) {
		memcpy(set->ranges, ranges, count * sizeof(*ranges));
		qsort(set->ranges, count, sizeof(*ranges), compare_ranges);
	}
	for (size_t i = 0; i < count; i++) {
		struct sg_addressrange *last = kept > 0 ? &set->ranges[kept - 1] : NULL;

		if (last && last->family == set->ranges[i].family && set->ranges[i].low <= last->high) {
			last->high = last->high > set->ranges[i].high ? last->high : set->ranges[i].high;
			continue;
		}
		set->ranges[kept++] = set->ranges[i];
		set->four += set->ranges[kept - 1].family == AF_INET;
	}
	set->count = kept;
	return set;
}

void sg_addressranges_free(struct sg_addressranges *ranges)
{
	free(ranges);
}

bool sg_addressranges_overlap(const struct sg_addressranges *ranges, int family, sg_u128 low, sg_u128 high)
{
	size_t begin, end;

	if (!ranges) {
		return false;
	}
	begin = family == AF_INET ? 0 : ranges->four;
	end = family == AF_INET ? ranges->four : ranges->count;
	/* The last range that begins at or before `high`: the ranges are disjoint, so only it can reach
	 * `low`. */
	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;

		if (ranges->ranges[middle].low <= high) {
			begin = middle + 1;
		} else {
			end = middle;
		}
	}
	return begin > (family == AF_INET ? 0 : ranges->four) && ranges->ranges[begin - 1].high >= low;
}

bool sg_addressranges_contain(const struct sg_addressranges *ranges, int family, sg_u128 number)
{
	return sg_addressranges_overlap(ranges, family, number, number);
}

size_t sg_addressranges_count(const struct sg_addressranges *ranges)
{
	return ranges ? ranges->count : 0;
}
