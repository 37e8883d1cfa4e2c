/* A growable byte buffer that remembers a failed allocation, so that a chain of appends is checked once at its end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct sg_buffer {
	char *data;      /* NUL after `size` bytes once anything was appended; NULL before */
	size_t size;     /* bytes used, without the NUL */
	size_t capacity; /* bytes allocated */
	bool failed;     /* an allocation failed: what follows is dropped */
};

#define SG_BUFFER_INIT ((struct sg_buffer){0})

/* Frees the data. The buffer is empty afterwards and may be used again. */
void sg_buffer_done(struct sg_buffer *buffer);
#define SG_AUTO_BUFFER SG_CLEANUP(sg_buffer_done)

/* Forgets the contents, keeps the allocation, clears `failed`. */
void sg_buffer_clear(struct sg_buffer *buffer);

/* Append bytes, a terminated text, one byte, a formatted text (printf(3)). A failed allocation is remembered in `failed`. */
void sg_buffer_append(struct sg_buffer *buffer, const void *data, size_t size);
void sg_buffer_append_text(struct sg_buffer *buffer, const char *text);
void sg_buffer_append_byte(struct sg_buffer *buffer, char byte);
void sg_buffer_printf(struct sg_buffer *buffer, const char *format, ...) SG_PRINTF(2, 3);

/* Appends text escaped for a person's terminal (sg_text_escape). */
void sg_buffer_append_escaped(struct sg_buffer *buffer, const char *text, size_t length);

/*
 * Appends a JSON string with its quotes (RFC 8259). Well-formed UTF-8 is kept; what JSON must escape, and DEL and C1
 * controls, are \u escapes; a byte that is not well-formed UTF-8 becomes the lone surrogate \udcHH, as Python's
 * surrogateescape does, so that no two different names are written alike.
 */
void sg_buffer_append_json(struct sg_buffer *buffer, const char *text, size_t length);

/* 0, or -ENOMEM if any append failed. */
int sg_buffer_status(const struct sg_buffer *buffer);

/* Moves the data out (free); the buffer is empty afterwards. NULL if it failed; "" is allocated if nothing was written. */
char *sg_buffer_take(struct sg_buffer *buffer);
