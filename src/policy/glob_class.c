/* Character classes: "[abc]", "[a-z]", "[^.]". */
#include "policy/glob_parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

struct class_reader {
	struct sg_glob_parser *parser;
	size_t start; /* of the '[' */
	struct sg_glob_class class;
	bool negated;
	bool any; /* something was listed */
};

static int fail_unclosed(const struct class_reader *reader)
{
	return sg_glob_parse_fail(reader->parser, reader->start, 1, "\"[\" is never closed",
				  "close it, or write \"\\[\" for the character itself");
}

/* Refuses what cannot stand in a class as it is. `byte` is the one at the parser's position. */
static int check_plain(const struct class_reader *reader, unsigned char byte)
{
	struct sg_glob_parser *parser = reader->parser;
	size_t position = parser->position, left = parser->glob->length - position;
	const char *text = parser->glob->text + position;

	if (byte >= 0x80) {
		unsigned int rune;
		size_t size = sg_text_decode(text, left, &rune);

		return sg_glob_parse_fail(parser, position, size > 0 ? size : 1,
					  "a class holds single bytes, and this character is more than one",
					  "list such characters in braces, as in \"{%.*s,...}\"", (int)size, text);
	}
	if (byte == '\0')
		return sg_glob_parse_fail(parser, position, 1, "no name has a NUL byte in it", "%s", "");
	if (byte == '[' && left > 1 && (text[1] == ':' || text[1] == '.' || text[1] == '='))
		return sg_glob_parse_fail(parser, position, 2, "named classes are not part of the language",
					  "write the ranges out, as in \"[a-zA-Z]\"; a \"[\" is written \"\\[\"");
	if (byte == '[')
		return sg_glob_parse_fail(parser, position, 1, "\"[\" within a class",
					  "write \"\\[\" for the character itself");
	if (byte == '/' && !reader->negated)
		return sg_glob_parse_fail(parser, position, 1, "a class never matches \"/\"",
					  "leave it out, or write the \"/\" outside of the class");
	return 0;
}

/* One end of a range, or a single character. */
static int read_member(struct class_reader *reader, unsigned char *ret_byte)
{
	struct sg_glob_parser *parser = reader->parser;
	unsigned char byte;
	int r;

	if (parser->position >= parser->glob->length)
		return fail_unclosed(reader);
	byte = (unsigned char)parser->glob->text[parser->position];
	if (byte == '\\') {
		r = sg_glob_parse_escape(parser, &byte);
		if (r == 0 && byte == '/' && !reader->negated)
			return sg_glob_parse_fail(parser, parser->position - 2, 2, "a class never matches \"/\"",
						  "leave it out, or write the \"/\" outside of the class");
	} else {
		r = check_plain(reader, byte);
		parser->position += r == 0;
	}
	if (r < 0)
		return r;
	*ret_byte = byte;
	return 0;
}

/* The byte `ahead` of the position, or NUL behind the end. */
static char peek(const struct class_reader *reader, size_t ahead)
{
	const struct sg_glob *glob = reader->parser->glob;
	size_t position = reader->parser->position + ahead;

	return position < glob->length ? glob->text[position] : '\0';
}

static int read_range(struct class_reader *reader)
{
	struct sg_glob_parser *parser = reader->parser;
	size_t start = parser->position;
	unsigned char low = 0, high;
	int r;

	if (peek(reader, 0) == '-' && reader->any && start + 1 < parser->glob->length && peek(reader, 1) != ']')
		return sg_glob_parse_fail(parser, start, 1, "\"-\" here is neither a range nor the class's edge",
					  "write \"\\-\" for the character itself");
	r = read_member(reader, &low);
	if (r < 0)
		return r;
	high = low;
	if (peek(reader, 0) == '-' && parser->position + 1 < parser->glob->length && peek(reader, 1) != ']') {
		parser->position++;
		r = read_member(reader, &high);
		if (r < 0)
			return r;
		if (high < low)
			return sg_glob_parse_fail(parser, start, parser->position - start,
						  "a range that runs backwards",
						  "write \"%c-%c\", or \"\\-\" for the character itself", high, low);
	}
	for (unsigned int byte = low; byte <= high; byte++)
		sg_glob_class_add(&reader->class, byte);
	reader->any = true;
	return 0;
}

/* Adds the token for what was read. */
static int finish(struct class_reader *reader)
{
	struct sg_glob_parser *parser = reader->parser;
	struct sg_glob *glob = parser->glob;
	struct sg_glob_class class = reader->class;
	struct sg_glob_class *grown;
	unsigned int members = 0, member = 0;

	if (reader->negated)
		for (size_t i = 0; i < SG_ARRAY_SIZE(class.bits); i++)
			class.bits[i] = ~class.bits[i];
	sg_glob_class_drop(&class, 0);
	sg_glob_class_drop(&class, '/');
	for (unsigned int byte = 0; byte < 256; byte++)
		if (sg_glob_class_has(&class, byte)) {
			members++;
			member = byte;
		}
	if (members == 0)
		return sg_glob_parse_fail(parser, reader->start, parser->position - reader->start,
					  "a class that can never match", "it never matches \"/\" or NUL");
	if (members == 1) {
		sg_glob_parse_token(parser, SG_GLOB_BYTE, reader->start)->byte = (uint8_t)member;
		return 0;
	}
	grown = reallocarray(glob->classes, glob->class_count + 1, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	glob->classes = grown;
	glob->classes[glob->class_count] = class;
	sg_glob_parse_token(parser, SG_GLOB_CLASS, reader->start)->class = (uint16_t)glob->class_count++;
	return 0;
}

static int fail_exclamation(const struct class_reader *reader)
{
	struct sg_glob_parser *parser = reader->parser;
	const char *inner = parser->glob->text + reader->start + 2;
	const char *end = memchr(inner, ']', parser->glob->length - reader->start - 2);
	size_t length = end != NULL && end - inner <= 64 ? (size_t)(end - inner) : 0;

	if (length == 0)
		return sg_glob_parse_fail(parser, reader->start, 2, "a class is negated by \"^\"",
					  "write \"[^...]\", or \"[\\!...]\" for the character itself");
	return sg_glob_parse_fail(parser, reader->start, length + 3, "a class is negated by \"^\"",
				  "write \"[^%.*s]\", or \"[\\!%.*s]\" for the character itself", (int)length, inner,
				  (int)length, inner);
}

int sg_glob_parse_class(struct sg_glob_parser *parser)
{
	struct class_reader reader = {.parser = parser, .start = parser->position};
	int r;

	parser->position++;
	if (peek(&reader, 0) == '!')
		return fail_exclamation(&reader);
	if (peek(&reader, 0) == '^') {
		reader.negated = true;
		parser->position++;
	}
	for (;;) {
		if (parser->position >= parser->glob->length)
			return fail_unclosed(&reader);
		if (peek(&reader, 0) == ']')
			break;
		r = read_range(&reader);
		if (r < 0)
			return r;
	}
	parser->position++;
	if (!reader.any)
		return sg_glob_parse_fail(parser, reader.start, parser->position - reader.start, "an empty class",
					  "write \"[\\]...]\" for a \"]\" in it, \"\\[\" for the character itself");
	return finish(&reader);
}
