/*
 * A fault with its context.
 *
 * Functions return 0 for done, a negative errno value for a fault, a positive documented value for an outcome that
 * the caller handles. A function that takes a `struct sg_error *` writes the context of a fault there, once, where it
 * arose; callers forward the return value unchanged. NULL is allowed and drops the context.
 */
#pragma once

#include "base/attr.h"

struct sg_error {
	int code;       /* negative errno value; 0: nothing recorded */
	char text[512]; /* one line for a person, no trailing newline, control characters escaped */
};

#define SG_ERROR_INIT ((struct sg_error){0})

/*
 * Records `code` (negative errno) and the formatted text, unless something is recorded already (the first fault wins).
 * The text is escaped (sg_text_escape) and cut at the size of `error->text`. `error` may be NULL.
 * Returns `code`, so that `return sg_error_set(error, -EINVAL, "...")` is the idiom.
 */
int sg_error_set(struct sg_error *error, int code, const char *format, ...) SG_PRINTF(3, 4);

/* The same, with ": " and the description of `code` appended (strerrordesc_np, glibc 2.32). */
int sg_error_set_errno(struct sg_error *error, int code, const char *format, ...) SG_PRINTF(3, 4);
