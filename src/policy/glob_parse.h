/* The parser's state, shared by its two files. */
#pragma once

#include "policy/glob_internal.h"

struct sg_glob_parser {
	struct sg_glob *glob; /* its text, tokens and classes, under way */
	size_t position;
	struct sg_glob_error *error;
	uint16_t open[SG_GLOB_DEPTH_MAX]; /* the OPEN tokens of the braces around */
	uint16_t last[SG_GLOB_DEPTH_MAX]; /* the OPEN or COMMA that began the alternative under way */
	bool empty[SG_GLOB_DEPTH_MAX];    /* an alternative of it was empty */
	size_t depth;
};

/* Records what is wrong with `length` bytes at `offset`; the suggestion is formatted. Returns -EINVAL. */
int sg_glob_parse_fail(struct sg_glob_parser *parser, size_t offset, size_t length, const char *message,
		       const char *suggestion, ...) SG_PRINTF(5, 6);

/* Appends a token that spans the text from `offset` to the parser's position. */
struct sg_glob_token *sg_glob_parse_token(struct sg_glob_parser *parser, enum sg_glob_token_kind kind, size_t offset);

/*
 * Reads the escaped character behind the backslash at the position, and moves behind it. Returns 0, or
 * -EINVAL with the error recorded.
 */
int sg_glob_parse_escape(struct sg_glob_parser *parser, unsigned char *ret_byte);

/*
 * Reads the class that opens at the position into one CLASS token, or a BYTE token for a class of one byte.
 * Returns 0, -EINVAL with the error recorded, or -ENOMEM.
 */
int sg_glob_parse_class(struct sg_glob_parser *parser);
