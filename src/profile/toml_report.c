/* Errors of the TOML reader, and the characters that its files tell apart. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "profile/toml_internal.h"

#define ANY (TOML_WORD | TOML_BASIC | TOML_LITERAL | TOML_COMMENT)
#define TEXT (TOML_BASIC | TOML_LITERAL | TOML_COMMENT)

const uint8_t sg_toml_class[256] = {
	['\t'] = TEXT,
	[' '] = TEXT,
	['!'] = ANY,
	['"'] = TOML_LITERAL | TOML_COMMENT,
	['#'] = TEXT,
	['$' ... '&'] = ANY,
	['\''] = TOML_BASIC | TOML_COMMENT,
	['(' ... '+'] = ANY,
	[','] = TEXT,
	['-'] = ANY | TOML_BARE,
	['.' ... '/'] = ANY,
	['0' ... '9'] = ANY | TOML_BARE | TOML_DIGIT,
	[':' ... '<'] = ANY,
	['='] = TEXT,
	['>' ... '@'] = ANY,
	['A' ... 'Z'] = ANY | TOML_BARE,
	['['] = TEXT,
	['\\'] = TOML_WORD | TOML_LITERAL | TOML_COMMENT,
	[']'] = TEXT,
	['^'] = ANY,
	['_'] = ANY | TOML_BARE,
	['`'] = ANY,
	['a' ... 'z'] = ANY | TOML_BARE,
	['{'] = TEXT,
	['|'] = ANY,
	['}'] = TEXT,
	['~'] = ANY,
	[0x80 ... 0xff] = ANY,
};

bool sg_toml_fail(struct toml_parser *p, int fault)
{
	if (p->fault == 0)
		p->fault = fault;
	p->stopped = true;
	p->at = p->end;
	return false;
}

struct sg_span sg_toml_span(const struct toml_parser *p, const char *from, const char *to)
{
	return (struct sg_span){(uint32_t)(from - p->text), (uint32_t)(to - from)};
}

void sg_toml_error(struct toml_parser *p, const char *from, const char *to, const char *hint, const char *format, ...)
{
	unsigned int rune;
	va_list arguments;

	if (p->stopped)
		return;
	p->refused = true;
	if (from == p->last_error || (from < p->end && sg_text_decode(from, (size_t)(p->end - from), &rune) == 0))
		return;
	p->last_error = from;
	va_start(arguments, format);
	sg_diagnostic_add_list(p->diagnostics, p->source, sg_toml_span(p, from, to), SG_SEVERITY_ERROR, hint, format,
			       arguments);
	va_end(arguments);
}

bool sg_toml_count(struct toml_parser *p, const char *from, const char *to)
{
	if (p->stopped)
		return false;
	if (++p->value_count <= SG_TOML_VALUES_MAX)
		return true;
	sg_toml_error(p, from, to, NULL, "too many keys and values: at most %d in one text", SG_TOML_VALUES_MAX);
	return sg_toml_fail(p, 0);
}

const char *sg_toml_quoted_end(struct toml_parser *p, const char *open)
{
	const char *at = open + 1;

	if (open < p->lone_quote_end)
		return at;
	for (; at < p->end && *at != '\n'; at++) {
		if (*at == *open)
			return at + 1;
		if (*at == '\\' && *open == '"' && at + 1 < p->end && at[1] != '\n')
			at++;
	}
	p->lone_quote_end = at;
	return open + 1;
}

const char *sg_toml_found_end(struct toml_parser *p, const char *at)
{
	const char *end = at;
	unsigned int rune;
	size_t size;

	if (at == p->end || toml_at_newline(at))
		return at;
	if (*at == '"' || *at == '\'')
		return sg_toml_quoted_end(p, at);
	while (end < p->end && toml_is(*end, TOML_WORD))
		end++;
	if (end > at)
		return end;
	size = sg_text_decode(at, (size_t)(p->end - at), &rune);
	return at + (size == 0 ? 1 : size);
}

const char *sg_toml_found(struct toml_parser *p, const char *at, char out[TOML_FOUND_MAX])
{
	enum { SHOWN_MAX = 40 };
	const char *end = sg_toml_found_end(p, at);
	size_t size = (size_t)(end - at);
	bool cut = false;

	if (at == p->end) {
		snprintf(out, TOML_FOUND_MAX, "the end of the file");
	} else if (toml_at_newline(at)) {
		snprintf(out, TOML_FOUND_MAX, "the end of the line");
	} else if (*at == '#') {
		snprintf(out, TOML_FOUND_MAX, "a comment");
	} else if (*at == ' ' || *at == '\t') {
		snprintf(out, TOML_FOUND_MAX, *at == ' ' ? "a space" : "a tab");
	} else if ((unsigned char)*at < 0x20 || *at == 0x7f) {
		snprintf(out, TOML_FOUND_MAX, "the control character U+%04X", (unsigned int)*at);
	} else {
		if (size > SHOWN_MAX) {
			cut = true;
			size = SHOWN_MAX;
			while (size > 0 && ((unsigned char)at[size] & 0xc0) == 0x80)
				size--;
		}
		snprintf(out, TOML_FOUND_MAX, "`%.*s%s`", (int)size, at, cut ? "..." : "");
	}
	return out;
}

static void read_comment(struct toml_parser *p)
{
	bool reported = false;

	for (p->at++; p->at < p->end && !toml_at_newline(p->at); p->at++) {
		if (toml_is(*p->at, TOML_COMMENT) || reported)
			continue;
		reported = true;
		sg_toml_error(p, p->at, p->at + 1, NULL, "the control character U+%04X may not stand in a comment",
			      (unsigned int)*p->at);
	}
}

bool sg_toml_skip_lines(struct toml_parser *p)
{
	bool passed = false;

	for (;;) {
		toml_skip_space(p);
		if (p->at >= p->end) /* of a part of a text, behind which there is more */
			return passed;
		if (*p->at == '\n') {
			p->at++;
		} else if (*p->at == '\r' && p->at[1] == '\n') {
			p->at += 2;
		} else if (*p->at == '#') {
			read_comment(p);
			continue;
		} else {
			return passed;
		}
		passed = true;
	}
}

const char *sg_toml_peek_lines(struct toml_parser *p, const char *at)
{
	if (at == p->peeked)
		return p->peek_end;
	p->peeked = at;
	for (;;) {
		if (*at == '#') {
			const char *newline = memchr(at, '\n', (size_t)(p->end - at));

			at = newline == NULL ? p->end : newline;
		} else if (*at == ' ' || *at == '\t' || toml_at_newline(at)) {
			at++;
		} else {
			p->peek_end = at;
			return at;
		}
	}
}

void sg_toml_skip_line(struct toml_parser *p)
{
	const char *newline = memchr(p->at, '\n', (size_t)(p->end - p->at));

	p->at = newline == NULL ? p->end : newline;
}
