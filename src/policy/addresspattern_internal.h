/* The parser of address patterns: what its two files share. */
#pragma once

#include "policy/addresspattern.h"

struct sg_pattern_parser {
	const char *text;
	size_t length;
	enum sg_addresspattern_use use;
	struct sg_addresspattern *pattern;
	struct sg_addresspattern_problem *problem;
};

/* True if `length` bytes are the word. */
bool sg_pattern_equals(const char *text, size_t length, const char *word);

/* Records a problem with `length` bytes at `offset`, without a suggestion. Returns -EINVAL. */
int sg_pattern_fail(struct sg_pattern_parser *parser, size_t offset, size_t length, const char *format, ...)
	SG_PRINTF(4, 5);

/* Adds a suggestion to the problem just recorded; one that does not fit is left out, never cut. Returns
 * -EINVAL. */
int sg_pattern_suggest(struct sg_pattern_parser *parser, const char *format, ...) SG_PRINTF(2, 3);

/* Parses the ports from offset `start` to the end. Returns 0, -EINVAL (recorded) or -ENOMEM. */
int sg_pattern_parse_ports(struct sg_pattern_parser *parser, size_t start);

/* True if the pattern's ports are `*`. */
bool sg_pattern_all_ports(const struct sg_addresspattern *pattern);
