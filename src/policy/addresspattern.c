#include "policy/addresspattern.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "policy/addresspattern_internal.h"

static const struct {
	const char *name;
	uint8_t protocols;
} protocol_rows[] = {
	{"tcp", SG_PROTOCOL_TCP},   {"udp", SG_PROTOCOL_UDP},  {"icmp", SG_PROTOCOL_ICMP},
	{"unix", SG_PROTOCOL_UNIX}, {"*", SG_PROTOCOL_IP_ALL},
};

static const struct {
	const char *word;
	enum sg_host_kind kind;
} host_words[] = {{"internet", SG_HOST_INTERNET},
		  {"host", SG_HOST_OWN},
		  {"loopback", SG_HOST_LOOPBACK},
		  {"localhost", SG_HOST_LOOPBACK}, /* RFC 6761, 6.3 */
		  {"*", SG_HOST_ANY}};

/* -------- hosts -------- */

static int check_prefix(struct sg_pattern_parser *parser, size_t start, size_t length)
{
	const struct sg_addresspattern *pattern = parser->pattern;
	bool six = pattern->family == AF_INET6, single = pattern->prefix == (six ? 128 : 32);
	struct sg_addressrange range = sg_addressrange_prefix(pattern->family, pattern->bytes, pattern->prefix);

	if (single && range.low == 0 && parser->use == SG_ADDRESSPATTERN_ALLOW) {
		sg_pattern_fail(parser, start, length, "this address means the loopback when it is connected to");
		return sg_pattern_suggest(parser, "loopback");
	}
	if (six && pattern->prefix >= 96 && range.high >> 32 == 0 && range.low > 1) {
		sg_pattern_fail(parser, start, length,
				"IPv4-compatible addresses are never reached: the IPv4 address is meant");
		if (single) {
			sg_pattern_suggest(parser, "%u.%u.%u.%u", pattern->bytes[12], pattern->bytes[13],
					   pattern->bytes[14], pattern->bytes[15]);
		}
		return -EINVAL;
	}
	if (parser->use != SG_ADDRESSPATTERN_LISTEN && pattern->protocols == SG_PROTOCOL_TCP &&
	    (six ? pattern->prefix >= 8 && pattern->bytes[0] == 0xff
		 : pattern->prefix >= 4 && pattern->bytes[0] >> 4 == 0xe)) {
		return sg_pattern_fail(parser, start, length, "a multicast address cannot be reached by tcp");
	}
	return 0;
}

/* Applies a prefix length: IPv4-mapped becomes IPv4, host bits are an error with the network as suggestion.
 */
static int take_prefix(struct sg_pattern_parser *parser, size_t start, size_t length, const struct sg_address *address,
		       unsigned int prefix, bool mapped_bits)
{
	struct sg_addresspattern *pattern = parser->pattern;
	unsigned int width = address->family == AF_INET ? 32 : 128;
	char network[INET6_ADDRSTRLEN];
	uint8_t bytes[16] = {0};

	if (mapped_bits) {
		prefix -= 96;
	}
	for (unsigned int i = 0; i < width / 8; i++) {
		unsigned int left = prefix > i * 8 ? prefix - i * 8 : 0;

		unsigned int mask = left >= 8 ? 0xffU : (0xff00U >> left) & 0xffU;

		bytes[i] = (uint8_t)(address->bytes[i] & mask);
	}
	if (memcmp(bytes, address->bytes, width / 8) != 0) {
		inet_ntop(address->family, bytes, network, sizeof(network));
		sg_pattern_fail(parser, start, length, "bits are set behind the prefix of %u bits", prefix);
		return sg_pattern_suggest(parser, width == 32 ? "%s/%u" : "[%s/%u]", network, prefix);
	}
	pattern->kind = SG_HOST_PREFIX;
	pattern->family = address->family;
	pattern->prefix = (uint8_t)prefix;
	memcpy(pattern->bytes, bytes, sizeof(bytes));
	return check_prefix(parser, start, length);
}

/*
 * Parses the digits of a prefix length. Returns the number, 0..`width`, or -EINVAL. RFC 4632: decimal, no
 * leading zeros.
 */
static int parse_prefix(const char *text, size_t length, unsigned int width)
{
	unsigned int value = 0;

	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9' || i > 2) {
			value = 1000;
			break;
		}
		value = value * 10 + (unsigned int)(text[i] - '0');
	}
	if (length == 0 || value > width || (length > 1 && text[0] == '0')) {
		return -EINVAL;
	}
	return (int)value;
}

/* `text` of `length` bytes is ADDRESS or ADDRESS/PREFIX; whole_* is what to underline and replace in a
 * message. */
static int parse_ip(struct sg_pattern_parser *parser, int family, const char *text, size_t length, size_t whole_start,
		    size_t whole_length)
{
	const char *slash = memchr(text, '/', length);
	size_t size = slash ? (size_t)(slash - text) : length;
	unsigned int width = family == AF_INET ? 32 : 128;
	char copy[INET6_ADDRSTRLEN];
	struct sg_address address;
	uint8_t bytes[16];
	int prefix = (int)width;
	bool mapped;

	if (size < sizeof(copy)) {
		memcpy(copy, text, size);
		copy[size] = '\0';
	}
	if (memchr(text, '%', size)) {
		return sg_pattern_fail(parser, whole_start, whole_length,
				       "a pattern has no scope (%%interface): it holds on every link");
	}
	if (size >= sizeof(copy) || inet_pton(family, copy, bytes) != 1) {
		return sg_pattern_fail(parser, whole_start, whole_length, "this is not an IPv%d address",
				       family == AF_INET ? 4 : 6);
	}
	if (slash) {
		prefix = parse_prefix(slash + 1, length - size - 1, width);
		if (prefix < 0) {
			return sg_pattern_fail(parser, whole_start, whole_length,
					       "a prefix length is a number from 0 to %u", width);
		}
	}
	sg_address_from_ip(family, bytes, &address);
	mapped = family == AF_INET6 && address.family == AF_INET;
	if (mapped && prefix < 96) {
		return sg_pattern_fail(parser, whole_start, whole_length,
				       "a prefix of an IPv4-mapped address has at least 96 bits");
	}
	return take_prefix(parser, whole_start, whole_length, &address, (unsigned int)prefix, mapped);
}

/* [ADDRESS], [ADDRESS/PREFIX] or [ADDRESS]/PREFIX. Sets *ret_end to the offset after it. */
static int parse_bracketed(struct sg_pattern_parser *parser, size_t start, size_t *ret_end)
{
	const char *text = parser->text, *close = memchr(text + start, ']', parser->length - start);
	char joined[INET6_ADDRSTRLEN + 8];
	size_t inner, end, tail;

	if (!close) {
		sg_pattern_fail(parser, start, parser->length - start, "the bracket is not closed");
		return -EINVAL;
	}
	inner = (size_t)(close - text) - start - 1;
	end = (size_t)(close - text) + 1;
	tail = end;
	while (tail < parser->length && text[tail] != ':') {
		tail++;
	}
	if (tail == end) {
		*ret_end = end;
		return parse_ip(parser, AF_INET6, text + start + 1, inner, start, end - start);
	}
	if (text[end] != '/') {
		return sg_pattern_fail(parser, end, tail - end, "a colon and the ports follow the bracket");
	}
	if (inner + (tail - end) > sizeof(joined)) {
		return sg_pattern_fail(parser, start, tail - start, "this is not an IPv6 address");
	}
	memcpy(joined, text + start + 1, inner);
	memcpy(joined + inner, text + end, tail - end);
	*ret_end = tail;
	return parse_ip(parser, AF_INET6, joined, inner + (tail - end), start, tail - start);
}

static int parse_name(struct sg_pattern_parser *parser, size_t start, size_t length)
{
	const char *host = parser->text + start;
	bool below = length >= 2 && host[0] == '*' && host[1] == '.';
	size_t skip = below ? 2 : 0, offset, size;
	char ascii[SG_DOMAIN_MAX + 1];
	int problem;

	if (!below && length > 0 && memchr(host, '*', length)) {
		return sg_pattern_fail(parser, start, length,
				       "a wildcard stands for whole labels in front: *.example.com");
	}
	problem = sg_domain_parse(host + skip, length - skip, &parser->pattern->name, &offset, &size);
	if (problem == SG_DOMAIN_UNICODE && sg_domain_to_ascii(host + skip, length - skip, ascii, sizeof(ascii)) == 0) {
		sg_pattern_fail(parser, start + skip, length - skip, "%s", sg_domain_problem_text(problem));
		return sg_pattern_suggest(parser, "%s", ascii);
	}
	if (problem != 0) {
		return sg_pattern_fail(parser, start + skip + offset, size, "%s", sg_domain_problem_text(problem));
	}
	parser->pattern->kind = below ? SG_HOST_SUBDOMAINS : SG_HOST_NAME;
	return 0;
}

static int parse_host(struct sg_pattern_parser *parser, size_t start, size_t length)
{
	const char *host = parser->text + start, *slash = memchr(host, '/', length);
	bool digits = length > 0;

	for (size_t i = 0; i < SG_ARRAY_SIZE(host_words); i++) {
		if (sg_pattern_equals(host, length, host_words[i].word)) {
			parser->pattern->kind = (uint8_t)host_words[i].kind;
			return 0;
		}
	}
	for (size_t i = 0; i < length && host + i != slash; i++) {
		digits = digits && ((host[i] >= '0' && host[i] <= '9') || host[i] == '.');
	}
	if (digits) {
		return parse_ip(parser, AF_INET, host, length, start, length);
	}
	if (slash) {
		return sg_pattern_fail(parser, (size_t)(slash - parser->text), length - (size_t)(slash - host),
				       "only an address has a prefix length");
	}
	return parse_name(parser, start, length);
}

/* If `length` bytes at `start` are an IPv6 address: says that it stands in brackets. */
static int refuse_bare_six(struct sg_pattern_parser *parser, size_t start, size_t length)
{
	char copy[INET6_ADDRSTRLEN];
	uint8_t bytes[16];

	if (length >= sizeof(copy)) {
		return 0;
	}
	memcpy(copy, parser->text + start, length);
	copy[length] = '\0';
	if (inet_pton(AF_INET6, copy, bytes) != 1) {
		return 0;
	}
	sg_pattern_fail(parser, start, length, "an IPv6 address stands in brackets");
	return sg_pattern_suggest(parser, "[%s]", copy);
}

/* An IPv6 address without its brackets, with a port behind it or without: says with which text it would be
 * right. */
static int check_bare_six(struct sg_pattern_parser *parser, size_t start)
{
	const char *text = parser->text, *colon = memrchr(text + start, ':', parser->length - start);
	size_t cut = colon ? (size_t)(colon - text) : parser->length;
	bool ports = cut + 1 < parser->length;
	int result = 0;

	for (size_t i = cut + 1; i < parser->length; i++) {
		ports = ports && strchr("0123456789,-*", text[i]);
	}
	if (ports) {
		result = refuse_bare_six(parser, start, cut - start);
	}
	return result != 0 ? result : refuse_bare_six(parser, start, parser->length - start);
}

static int check_listen(struct sg_pattern_parser *parser, size_t start, size_t length)
{
	switch ((enum sg_host_kind)parser->pattern->kind) {
	case SG_HOST_NAME:
	case SG_HOST_SUBDOMAINS:
		sg_pattern_fail(parser, start, length, "one listens on an address of this host, not on a name");
		return -EINVAL;
	case SG_HOST_INTERNET:
		sg_pattern_fail(parser, start, length, "`internet` is never this host's own address");
		return sg_pattern_suggest(parser, "host");
	default:
		return 0;
	}
}

/* -------- the whole -------- */

static int parse_unix(struct sg_pattern_parser *parser, size_t start)
{
	struct sg_addresspattern *pattern = parser->pattern;
	const char *path = parser->text + start;
	size_t length = parser->length - start;
	bool abstract = length > 0 && path[0] == '@';

	if (length == 0 || (abstract && length == 1)) {
		return sg_pattern_fail(parser, start, length, "the path or name of the socket is missing");
	}
	if (!abstract && !strchr("/~$", path[0])) {
		return sg_pattern_fail(
			parser, start, length,
			"the path of a socket begins with / (or ~ or a variable), an abstract name with @");
	}
	if (abstract && length - 1 > SG_ADDRESS_UNIX_MAX - 1 && !memchr(path, '*', length)) {
		return sg_pattern_fail(parser, start, length, "an abstract name has at most %d bytes",
				       SG_ADDRESS_UNIX_MAX - 1);
	}
	pattern->kind = abstract ? SG_HOST_UNIX_ABSTRACT : SG_HOST_UNIX_PATH;
	pattern->path_length = length - abstract;
	pattern->path = strndup(path + abstract, pattern->path_length);
	return pattern->path ? 0 : -ENOMEM;
}

/* "https://example.org/there": the pattern that was meant. */
static int refuse_url(struct sg_pattern_parser *parser, size_t end, const char *scheme, int port)
{
	const bool url = parser->length >= end + 3 && memcmp(parser->text + end, "://", 3) == 0;
	const char *host = parser->text + end + 3;
	const size_t left = url ? parser->length - end - 3 : 0;
	size_t length = 0, digits = 0;

	while (length < left && strchr("/?#:@", host[length]) == NULL) {
		length++;
	}
	while (length + 1 + digits < left && host[length] == ':' && host[length + 1 + digits] >= '0' &&
	       host[length + 1 + digits] <= '9') {
		digits++;
	}
	sg_pattern_fail(parser, 0, url ? parser->length : end, "a pattern is PROTOCOL:HOST:PORTS; %s is tcp, port %d",
			scheme, port);
	if (length == 0) {
		return sg_pattern_suggest(parser, "tcp");
	}
	return digits > 0 ? sg_pattern_suggest(parser, "tcp:%.*s", (int)(length + 1 + digits), host)
			  : sg_pattern_suggest(parser, "tcp:%.*s:%d", (int)length, host, port);
}

static int parse_protocol(struct sg_pattern_parser *parser, size_t *ret_end)
{
	const char *names[SG_ARRAY_SIZE(protocol_rows)], *near, *colon = memchr(parser->text, ':', parser->length);
	char word[16] = "";
	size_t end = colon ? (size_t)(colon - parser->text) : parser->length;

	for (size_t i = 0; i < SG_ARRAY_SIZE(protocol_rows); i++) {
		names[i] = protocol_rows[i].name;
		if (colon && sg_pattern_equals(parser->text, end, names[i])) {
			parser->pattern->protocols = protocol_rows[i].protocols;
			*ret_end = end;
			return 0;
		}
	}
	if (sg_pattern_equals(parser->text, end, "http")) {
		return refuse_url(parser, end, "http", 80);
	}
	if (sg_pattern_equals(parser->text, end, "https")) {
		return refuse_url(parser, end, "https", 443);
	}
	sg_pattern_fail(parser, 0, end,
			colon ? "the protocol is tcp, udp, icmp, unix or *"
			      : "a pattern is PROTOCOL:HOST:PORTS, icmp:HOST, unix:PATH or unix:@NAME");
	if (!colon && sg_domain_parse(parser->text, end, &(struct sg_domain){0}, NULL, NULL) == 0) {
		return sg_pattern_suggest(parser, "tcp:%.*s:443", (int)end, parser->text);
	}
	if (end < sizeof(word)) {
		memcpy(word, parser->text, end);
		near = sg_text_nearest(word, names, SG_ARRAY_SIZE(names));
		if (near && colon) {
			return sg_pattern_suggest(parser, "%s", near);
		}
	}
	return -EINVAL;
}

static int parse_bare_word(struct sg_pattern_parser *parser, bool *ret_done)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(host_words); i++) {
		if (!sg_pattern_equals(parser->text, parser->length, host_words[i].word)) {
			continue;
		}
		if (host_words[i].kind == SG_HOST_ANY) {
			sg_pattern_fail(parser, 0, 1, "every address is written with its protocol and ports");
			return sg_pattern_suggest(parser, "*:*:*");
		}
		parser->pattern->protocols = SG_PROTOCOL_IP_ALL;
		parser->pattern->kind = (uint8_t)host_words[i].kind;
		parser->pattern->ports = calloc(1, sizeof(*parser->pattern->ports));
		if (!parser->pattern->ports) {
			return -ENOMEM;
		}
		parser->pattern->ports[0] = (struct sg_portrange){0, 65535};
		parser->pattern->port_count = 1;
		*ret_done = true;
	}
	return 0;
}

static int parse_icmp_end(struct sg_pattern_parser *parser, size_t end)
{
	if (parser->use == SG_ADDRESSPATTERN_LISTEN) {
		return sg_pattern_fail(parser, 0, 4, "nothing listens by icmp");
	}
	return end == parser->length ? 0 : sg_pattern_fail(parser, end, parser->length - end, "icmp has no ports");
}

/* "tcp:8080", as other programs write a port to listen on: says that the host is missing. No host is made of digits alone. */
static int check_host(struct sg_pattern_parser *parser, size_t start)
{
	const char *text = parser->text + start;
	const size_t length = parser->length - start;

	if (length == 0 || length > 5) {
		return 0;
	}
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9') {
			return 0;
		}
	}
	sg_pattern_fail(parser, start, length, "the host is missing: a pattern is PROTOCOL:HOST:PORTS");
	return sg_pattern_suggest(parser, "%s:%.*s", parser->use == SG_ADDRESSPATTERN_LISTEN ? "*" : "example.org",
				  (int)length, text);
}

/* HOST and what follows it, from `start`. */
static int parse_endpoint(struct sg_pattern_parser *parser, size_t start)
{
	const char *text = parser->text, *colon;
	size_t end = start;
	int result;

	if (start < parser->length && text[start] == '[') {
		result = parse_bracketed(parser, start, &end);
	} else {
		result = check_bare_six(parser, start);
		result = result != 0 ? result : check_host(parser, start);
		colon = memchr(text + start, ':', parser->length - start);
		end = colon ? (size_t)(colon - text) : parser->length;
		result = result != 0 ? result : parse_host(parser, start, end - start);
	}
	if (result == 0 && parser->use == SG_ADDRESSPATTERN_LISTEN) {
		result = check_listen(parser, start, end - start);
	}
	if (result != 0) {
		return result;
	}
	if (parser->pattern->protocols == SG_PROTOCOL_ICMP) {
		return parse_icmp_end(parser, end);
	}
	if (end == parser->length) {
		sg_pattern_fail(parser, end, 0, "the ports are missing: a colon, then numbers, ranges or *");
		return sg_pattern_suggest(parser, ":*");
	}
	result = sg_pattern_parse_ports(parser, end + 1);
	if (result == 0 && parser->pattern->protocols == SG_PROTOCOL_IP_ALL && !sg_pattern_all_ports(parser->pattern)) {
		parser->pattern->protocols = SG_PROTOCOL_TCP | SG_PROTOCOL_UDP;
	}
	return result;
}

static int parse_all(struct sg_pattern_parser *parser)
{
	bool done = false;
	size_t end = 0;
	int result;

	if (parser->length == 0) {
		return sg_pattern_fail(parser, 0, 0, "the pattern is empty");
	}
	if (parser->length > SG_ADDRESSPATTERN_MAX) {
		return sg_pattern_fail(parser, 0, parser->length, "a pattern has at most %d bytes",
				       SG_ADDRESSPATTERN_MAX);
	}
	for (size_t i = 0; i < parser->length; i++) {
		if ((unsigned char)parser->text[i] < 0x20 || parser->text[i] == 0x7f) {
			return sg_pattern_fail(parser, i, 1,
					       "a control character (byte 0x%02x) has no place in a pattern",
					       (unsigned int)(unsigned char)parser->text[i]);
		}
	}
	result = parse_bare_word(parser, &done);
	if (result != 0 || done) {
		return result == 0 && parser->use == SG_ADDRESSPATTERN_LISTEN ? check_listen(parser, 0, parser->length)
									      : result;
	}
	result = parse_protocol(parser, &end);
	if (result != 0) {
		return result;
	}
	return parser->pattern->protocols == SG_PROTOCOL_UNIX ? parse_unix(parser, end + 1)
							      : parse_endpoint(parser, end + 1);
}

int sg_addresspattern_parse(const char *text, size_t length, enum sg_addresspattern_use use,
			    struct sg_addresspattern *ret, struct sg_addresspattern_problem *problem)
{
	SG_AUTO_ADDRESSPATTERN struct sg_addresspattern pattern = {0};
	struct sg_pattern_parser parser = {text, length, use, &pattern, problem};
	int result;

	memset(problem, 0, sizeof(*problem));
	result = parse_all(&parser);
	if (result != 0) {
		return result;
	}
	*ret = pattern;
	pattern = (struct sg_addresspattern){0};
	return 0;
}

void sg_addresspattern_done(struct sg_addresspattern *pattern)
{
	free(pattern->ports);
	free(pattern->path);
	*pattern = (struct sg_addresspattern){0};
}

static void format_host(const struct sg_addresspattern *pattern, struct sg_buffer *buffer)
{
	bool six = pattern->family == AF_INET6;
	char text[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < SG_ARRAY_SIZE(host_words); i++) {
		if (host_words[i].kind == pattern->kind) {
			sg_buffer_append_text(buffer, host_words[i].word);
			return;
		}
		if (pattern->kind == SG_HOST_NAME &&
		    sg_pattern_equals(pattern->name.text, pattern->name.length, host_words[i].word)) {
			sg_buffer_printf(buffer, "%s.", pattern->name.text);
			return;
		}
	}
	if (pattern->kind != SG_HOST_PREFIX) {
		sg_buffer_printf(buffer, "%s%s", pattern->kind == SG_HOST_SUBDOMAINS ? "*." : "", pattern->name.text);
		return;
	}
	inet_ntop(pattern->family, pattern->bytes, text, sizeof(text));
	sg_buffer_printf(buffer, "%s%s", six ? "[" : "", text);
	if (pattern->prefix != (six ? 128 : 32)) {
		sg_buffer_printf(buffer, "/%u", (unsigned int)pattern->prefix);
	}
	sg_buffer_append_text(buffer, six ? "]" : "");
}

void sg_addresspattern_format(const struct sg_addresspattern *pattern, struct sg_buffer *buffer)
{
	bool star = (pattern->protocols & (SG_PROTOCOL_TCP | SG_PROTOCOL_UDP)) == (SG_PROTOCOL_TCP | SG_PROTOCOL_UDP);

	if (pattern->kind == SG_HOST_UNIX_PATH || pattern->kind == SG_HOST_UNIX_ABSTRACT) {
		sg_buffer_append_text(buffer, pattern->kind == SG_HOST_UNIX_PATH ? "unix:" : "unix:@");
		sg_buffer_append(buffer, pattern->path, pattern->path_length);
		return;
	}
	for (size_t i = 0; i < SG_ARRAY_SIZE(protocol_rows); i++) {
		if (star ? protocol_rows[i].protocols == SG_PROTOCOL_IP_ALL
			 : protocol_rows[i].protocols == pattern->protocols) {
			sg_buffer_printf(buffer, "%s:", protocol_rows[i].name);
		}
	}
	format_host(pattern, buffer);
	for (size_t i = 0; i < pattern->port_count; i++) {
		const struct sg_portrange *range = &pattern->ports[i];

		sg_buffer_append_byte(buffer, i == 0 ? ':' : ',');
		if (sg_pattern_all_ports(pattern)) {
			sg_buffer_append_byte(buffer, '*');
		} else if (range->low == range->high) {
			sg_buffer_printf(buffer, "%u", range->low);
		} else {
			sg_buffer_printf(buffer, "%u-%u", range->low, range->high);
		}
	}
}
