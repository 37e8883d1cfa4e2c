/* Host names: the one form in which rules, questions and answers are compared. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum { SG_DOMAIN_MAX = 253, SG_DOMAIN_LABELS_MAX = 127 };

/* A name in canonical form: lower case, no final dot, 1..SG_DOMAIN_MAX bytes. Unused bytes are zero. */
struct sg_domain {
	uint8_t length;
	char text[SG_DOMAIN_MAX + 1]; /* NUL-terminated; never contains another NUL */
};

/* What is wrong with a name; positive outcomes of sg_domain_parse(). */
enum sg_domain_problem {
	SG_DOMAIN_EMPTY = 1, /* no name, or nothing but the final dot */
	SG_DOMAIN_EMPTY_LABEL,
	SG_DOMAIN_LONG_LABEL, /* above 63 bytes (RFC 1035, 2.3.4) */
	SG_DOMAIN_LONG,       /* above 253 bytes */
	SG_DOMAIN_BYTE,       /* a byte other than a letter, digit, hyphen or underscore; a NUL too */
	SG_DOMAIN_HYPHEN,     /* a label begins or ends with a hyphen */
	SG_DOMAIN_UNICODE,    /* a byte above 127: names are written as A-labels (RFC 5890) */
	SG_DOMAIN_NUMERIC,    /* the last label is a number: it would be taken for an address by some programs */
	SG_DOMAIN_PROBLEMS_
};

/* The problem in words, for a message. Static text; never NULL. */
const char *sg_domain_problem_text(int problem);

/*
 * Brings `length` bytes of `text` into canonical form. Letters, digits, hyphens (not at the ends of a label)
 * and underscores (SRV-like names) are accepted, in any case, with one final dot or without. Returns 0 and
 * sets *ret, or a positive enum sg_domain_problem and sets *ret_offset and *ret_size to the bytes at fault
 * (both may be NULL). Never blocks or allocates.
 */
int sg_domain_parse(const char *text, size_t length, struct sg_domain *ret, size_t *ret_offset, size_t *ret_size);

/* True if `name` is a true subdomain of `parent` (at any depth; not `parent` itself). */
bool sg_domain_is_below(const struct sg_domain *name, const struct sg_domain *parent);

/*
 * Writes the A-label form of a name with U-labels (UTF-8) to `out` (`size` bytes, terminated): a suggestion
 * for a message, never used to decide. Only characters whose A-label needs no mapping are converted
 * (lower-case letters of Latin-1, Greek and Cyrillic, kana, CJK ideographs, Hangul syllables). Returns 0, or
 * -EINVAL when it cannot tell.
 */
int sg_domain_to_ascii(const char *text, size_t length, char *out, size_t size);
