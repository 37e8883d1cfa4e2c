/* Strings of TOML, of the four kinds. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "profile/toml_internal.h"

struct literal {
	char quote;
	bool multiline;
	const char *open; /* the first opening quote */
	const char *from; /* behind the opening quotes */
	const char *to;   /* before the closing quotes */
	bool simple;      /* nothing in it needs a second look */
};

static bool report_unclosed(struct toml_parser *p, const struct literal *literal, const char *end)
{
	const char *shown_end = end;

	p->damaged = true;
	if (literal->multiline) {
		/* The rest of the text was taken for the string: whatever else is wrong there cannot be told.
		 */
		p->at = p->end;
		sg_toml_error(p, literal->open, literal->from, NULL,
			      "this string is not closed: expected %c%c%c before the end of the file", literal->quote,
			      literal->quote, literal->quote);
		p->stopped = true;
		return false;
	}
	if (shown_end > literal->from && shown_end[-1] == '\r')
		shown_end--;
	p->at = end;
	sg_toml_error(p, literal->open, shown_end, NULL,
		      "this string is not closed: expected %c before the end of the line", literal->quote);
	return false;
}

/* Finds the end of the string; p->at stands behind the opening quotes. Returns false if it has none. */
static bool find_end(struct toml_parser *p, struct literal *literal)
{
	unsigned int plain = literal->quote == '"' ? TOML_BASIC : TOML_LITERAL;
	const char *at = literal->from;

	literal->simple = true;
	for (;; at++) {
		while (toml_is(*at, plain))
			at++;
		if (at == p->end)
			return report_unclosed(p, literal, at);
		if (*at == literal->quote) {
			if (!literal->multiline)
				break;
			if (at[1] == at[0] && at[2] == at[0])
				break;
			continue;
		}
		if (*at == '\n' && !literal->multiline)
			return report_unclosed(p, literal, at);
		literal->simple = false;
		if (*at == '\\' && literal->quote == '"' && (at[1] == '"' || at[1] == '\\'))
			at++;
	}
	p->at = at + 1;
	if (literal->multiline) {
		/* Up to two quotes may stand right before the closing ones. */
		for (int i = 0; i < 2 && at[3] == literal->quote; i++)
			at++;
		p->at = at + 3;
	}
	literal->to = at;
	return true;
}

static size_t encode(char *out, uint32_t rune)
{
	size_t size = rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = size - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (rune & 0x3f));
		rune >>= 6;
	}
	out[0] = (char)(lead[size] | rune);
	return size;
}

/* `at` stands on the backslash of \u or \U. Returns what stands behind the escape. */
static const char *read_code(struct toml_parser *p, const char *at, const char *to, char **out)
{
	int digits = at[1] == 'u' ? 4 : 8;
	const char *digit = at + 2;
	uint32_t rune = 0;

	for (; digit - at - 2 < digits && digit < to && sg_toml_digit(*digit) < 16; digit++)
		rune = rune << 4 | (uint32_t)sg_toml_digit(*digit);
	if (digit - at - 2 < digits) {
		char found[TOML_FOUND_MAX];

		sg_toml_error(p, at, digit, NULL, "expected %d hexadecimal digits after \\%c, found %s", digits, at[1],
			      digit < to ? sg_toml_found(p, digit, found) : "the end of the string");
		return digit;
	}
	if (rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff)) {
		sg_toml_error(p, at, digit, NULL, "U+%04X is not a Unicode character", (unsigned int)rune);
		return digit;
	}
	*out += encode(*out, rune);
	return digit;
}

/* A backslash at the end of a line joins it to the next text. Returns where that begins, or NULL if it is not
 * one. */
static const char *join_line(const char *at, const char *to)
{
	const char *next = at + 1;

	while (next < to && (*next == ' ' || *next == '\t'))
		next++;
	if (next == to || !toml_at_newline(next))
		return NULL;
	while (next < to && (*next == ' ' || *next == '\t' || toml_at_newline(next)))
		next += *next == '\r' ? 2 : 1;
	return next;
}

static const char *read_escape(struct toml_parser *p, const struct literal *literal, const char *at, char **out)
{
	static const char names[] = "btnfr\"\\", bytes[] = "\b\t\n\f\r\"\\";
	const char *name = at[1] == '\0' ? NULL : strchr(names, at[1]), *next, *end;

	if (name != NULL) {
		*(*out)++ = bytes[name - names];
		return at + 2;
	}
	if (at[1] == 'u' || at[1] == 'U')
		return read_code(p, at, literal->to, out);
	if (literal->multiline && (next = join_line(at, literal->to)) != NULL)
		return next;
	end = at + 1;
	if (end < literal->to)
		end = (unsigned char)*end < 0x80 ? end + 1 : sg_toml_found_end(p, end);
	if (end > literal->to)
		end = literal->to;
	sg_toml_error(p, at, end, "write \\\\ for a backslash, or put the string between ' and '",
		      "unknown escape `%.*s`: expected one of \\b \\t \\n \\f \\r \\\" \\\\ \\uXXXX \\UXXXXXXXX",
		      (int)(end - at), at);
	return end;
}

/* Writes the string to `out`, which has room for as many bytes as it has in the text: escapes only shrink. */
static size_t decode(struct toml_parser *p, const struct literal *literal, char *out)
{
	unsigned int plain = literal->quote == '"' ? TOML_BASIC : TOML_LITERAL;
	const char *at = literal->from;
	char *start = out;
	bool reported = false;

	while (at < literal->to) {
		if (toml_is(*at, plain) || *at == literal->quote) {
			*out++ = *at++;
		} else if (*at == '\\' && literal->quote == '"') {
			at = read_escape(p, literal, at, &out);
		} else if (literal->multiline && toml_at_newline(at)) {
			at += *at == '\r' ? 2 : 1;
			*out++ = '\n';
		} else {
			if (!reported)
				sg_toml_error(p, at, at + 1, literal->quote == '"' ? "write it as \\uXXXX" : NULL,
					      "the control character U+%04X may not stand in a string",
					      (unsigned int)(unsigned char)*at);
			reported = true;
			at++;
		}
	}
	return (size_t)(out - start);
}

bool sg_toml_read_string(struct toml_parser *p, bool multiline_ok, struct sg_toml_string *ret_string)
{
	struct literal literal = {.quote = *p->at, .open = p->at};
	size_t size;
	char *data;

	literal.multiline = p->at[1] == literal.quote && p->at[2] == literal.quote;
	if (literal.multiline && !multiline_ok) {
		sg_toml_error(p, p->at, p->at + 3, NULL,
			      "a key cannot be a string of several lines: expected one quote");
		return false;
	}
	literal.from = p->at + (literal.multiline ? 3 : 1);
	/* A newline right after the opening quotes is not part of the string. */
	if (literal.multiline && toml_at_newline(literal.from))
		literal.from += *literal.from == '\r' ? 2 : 1;
	if (!find_end(p, &literal))
		return false;
	size = (size_t)(literal.to - literal.from);
	data = sg_toml_arena_take(&p->document->arena, size + 1, 1);
	if (data == NULL)
		return sg_toml_fail(p, -ENOMEM);
	if (literal.simple)
		memcpy(data, literal.from, size);
	else
		size = decode(p, &literal, data);
	data[size] = '\0';
	*ret_string = (struct sg_toml_string){data, size};
	return true;
}
