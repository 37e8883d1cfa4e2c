/* The lines of a proposed profile: elements of its lists, each with a comment. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buffer.h"

/* In the order of the profile. */
enum sg_learn_key {
	SG_LEARN_ALLOW,
	SG_LEARN_LISTEN,
	SG_LEARN_DENY_ADDRESS,
	SG_LEARN_READ,
	SG_LEARN_WRITE,
	SG_LEARN_EXECUTE,
	SG_LEARN_MAP,
	SG_LEARN_DENY,
	SG_LEARN_DENY_READ,
	SG_LEARN_DENY_WRITE,
	SG_LEARN_DENY_EXECUTE,
	SG_LEARN_HIDE,
	SG_LEARN_KEYS_
};

struct sg_learn_line {
	enum sg_learn_key key;
	bool off;      /* a line that a person may take in: written as a comment */
	char *value;   /* the element, not quoted; owned */
	char *comment; /* "" for none; owned */
};

/* Lines; the same value of one key stands once, and one that is not `off` goes before. Zeroed: empty. */
struct sg_learn_lines {
	struct sg_learn_line *items;
	size_t count, capacity;
	bool failed; /* an allocation failed: what follows is dropped */
};

/* Adds a line. `value` is copied. A failed allocation is remembered. */
void sg_learn_add(struct sg_learn_lines *lines, enum sg_learn_key key, bool off, const char *value, const char *comment,
		  ...) SG_PRINTF(5, 6);

/* Sorts them, and makes one of equal ones. Returns 0 or -ENOMEM. */
int sg_learn_lines_settle(struct sg_learn_lines *lines);
void sg_learn_lines_done(struct sg_learn_lines *lines);
#define SG_AUTO_LEARN_LINES SG_CLEANUP(sg_learn_lines_done)
