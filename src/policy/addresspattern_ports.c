/* Problems and their suggestions, and the ports of a pattern. */
#include "policy/addresspattern_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Service names that people write for ports: only for suggestions. */
static const struct {
	const char *name;
	unsigned int port;
} services[] = {
	{"ftp", 21},    {"ssh", 22},     {"smtp", 25},       {"dns", 53},          {"domain", 53},  {"http", 80},
	{"ntp", 123},   {"imap", 143},   {"ldap", 389},      {"https", 443},       {"syslog", 514}, {"ldaps", 636},
	{"imaps", 993}, {"mysql", 3306}, {"postgres", 5432}, {"postgresql", 5432}, {"redis", 6379},
};

bool sg_pattern_equals(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && memcmp(text, word, length) == 0;
}

int sg_pattern_fail(struct sg_pattern_parser *parser, size_t offset, size_t length, const char *format, ...)
{
	va_list arguments;

	parser->problem->offset = offset;
	parser->problem->length = length;
	parser->problem->suggestion[0] = '\0';
	va_start(arguments, format);
	vsnprintf(parser->problem->message, sizeof(parser->problem->message), format, arguments);
	va_end(arguments);
	return -EINVAL;
}

int sg_pattern_suggest(struct sg_pattern_parser *parser, const char *format, ...)
{
	size_t size = sizeof(parser->problem->suggestion);
	va_list arguments;
	int written;

	va_start(arguments, format);
	written = vsnprintf(parser->problem->suggestion, size, format, arguments);
	va_end(arguments);
	if (written < 0 || (size_t)written >= size) {
		parser->problem->suggestion[0] = '\0';
	}
	return -EINVAL;
}

/* -------- ports -------- */

/* Parses a decimal number up to 65535 without sign or leading zeros. */
static int parse_port(struct sg_pattern_parser *parser, size_t start, size_t end, uint16_t *ret)
{
	const char *digits = parser->text + start;
	size_t length = end - start;
	unsigned int value = 0;

	for (size_t i = 0; i < SG_ARRAY_SIZE(services); i++) {
		if (sg_pattern_equals(digits, length, services[i].name)) {
			sg_pattern_fail(parser, start, length, "a port is a number");
			return sg_pattern_suggest(parser, "%u", services[i].port);
		}
	}
	if (length == 0) {
		return sg_pattern_fail(parser, start, 0, "a port number is missing");
	}
	for (size_t i = 0; i < length; i++) {
		if (digits[i] < '0' || digits[i] > '9') {
			return sg_pattern_fail(parser, start, length,
					       "a port is a number, a range such as 8000-8999, or *");
		}
		value = value * 10 + (unsigned int)(digits[i] - '0');
		if (value > 65535) {
			return sg_pattern_fail(parser, start, length, "the highest port is 65535");
		}
	}
	if (length > 1 && digits[0] == '0') {
		sg_pattern_fail(parser, start, length, "a port is written without leading zeros");
		return sg_pattern_suggest(parser, "%u", value);
	}
	*ret = (uint16_t)value;
	return 0;
}

static int parse_range(struct sg_pattern_parser *parser, size_t start, size_t end, struct sg_portrange *ret)
{
	const char *dash = memchr(parser->text + start, '-', end - start);
	size_t middle = dash ? (size_t)(dash - parser->text) : end;
	int result = parse_port(parser, start, middle, &ret->low);

	if (result == 0 && dash) {
		result = parse_port(parser, middle + 1, end, &ret->high);
	} else {
		ret->high = ret->low;
	}
	if (result != 0) {
		return result;
	}
	if (ret->low > ret->high) {
		sg_pattern_fail(parser, start, end - start, "the range is empty: its first port is above its last");
		return sg_pattern_suggest(parser, "%u-%u", ret->high, ret->low);
	}
	if (ret->low == 0 && parser->use == SG_ADDRESSPATTERN_ALLOW) {
		sg_pattern_fail(parser, start, end - start, "port 0 cannot be reached");
		return ret->high > 1    ? sg_pattern_suggest(parser, "1-%u", ret->high)
		       : ret->high == 1 ? sg_pattern_suggest(parser, "1")
					: -EINVAL;
	}
	return 0;
}

static int compare_ports(const void *a, const void *b)
{
	const struct sg_portrange *x = a, *y = b;

	return (int)x->low - (int)y->low;
}

static void merge_ports(struct sg_addresspattern *pattern)
{
	size_t kept = 0;

	qsort(pattern->ports, pattern->port_count, sizeof(*pattern->ports), compare_ports);
	for (size_t i = 1; i < pattern->port_count; i++) {
		struct sg_portrange *last = &pattern->ports[kept], *next = &pattern->ports[i];

		if (next->low <= last->high || next->low == last->high + 1) {
			last->high = last->high > next->high ? last->high : next->high;
		} else {
			pattern->ports[++kept] = *next;
		}
	}
	pattern->port_count = kept + 1;
}

bool sg_pattern_all_ports(const struct sg_addresspattern *pattern)
{
	return pattern->port_count == 1 && pattern->ports[0].low == 0 && pattern->ports[0].high == 65535;
}

int sg_pattern_parse_ports(struct sg_pattern_parser *parser, size_t start)
{
	struct sg_addresspattern *pattern = parser->pattern;
	const char *text = parser->text;
	size_t count = 1;

	if (start == parser->length) {
		sg_pattern_fail(parser, start, 0, "the ports are missing");
		return sg_pattern_suggest(parser, "*");
	}
	for (size_t i = start; i < parser->length; i++) {
		count += text[i] == ',';
	}
	if (count > SG_ADDRESSPATTERN_PORTS_MAX) {
		return sg_pattern_fail(parser, start, parser->length - start,
				       "at most %d ports or ranges in one pattern", SG_ADDRESSPATTERN_PORTS_MAX);
	}
	pattern->ports = calloc(count, sizeof(*pattern->ports));
	if (!pattern->ports) {
		return -ENOMEM;
	}
	if (sg_pattern_equals(text + start, parser->length - start, "*")) {
		pattern->ports[0] = (struct sg_portrange){0, 65535};
		pattern->port_count = 1;
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		const char *comma = memchr(text + start, ',', parser->length - start);
		size_t end = comma ? (size_t)(comma - text) : parser->length;
		int result = parse_range(parser, start, end, &pattern->ports[i]);

		if (result != 0) {
			return result;
		}
		start = end + 1;
	}
	pattern->port_count = count;
	merge_ports(pattern);
	return 0;
}
