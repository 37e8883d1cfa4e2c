/* Text that a person will read: escaping of names, nearest-name suggestions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/*
 * Copies `length` bytes of `text` to `out` (capacity `size`, always terminated when size > 0) with every byte that
 * could act on a terminal or break a line written visibly: \n \t \r \e, others as \xHH; a backslash as \\. Valid UTF-8
 * stays as it is, but for C1 controls, bidirectional overrides and other format characters (written \u{HEX}); invalid
 * UTF-8 is written \xHH. Cuts between characters, never inside an escape. Returns the bytes written without the NUL.
 */
size_t sg_text_escape(char *out, size_t size, const char *text, size_t length);

/* True if a character could act on a terminal, or on how a line is read: controls, bidirectional and format characters. */
bool sg_text_acts(unsigned int rune);

/*
 * Decodes one UTF-8 character at `text` (at most `length` bytes, length > 0). Returns its size in bytes (1..4) and
 * sets *ret_rune, or returns 0 for malformed input (overlong, surrogate, above U+10FFFF, cut short).
 */
size_t sg_text_decode(const char *text, size_t length, unsigned int *ret_rune);

/* True if all `length` bytes are well-formed UTF-8. */
bool sg_text_is_utf8(const char *text, size_t length);

/*
 * The entry of `names` (`count` strings) nearest to `name` by edit distance (a swap of neighbours counts one), if it is
 * near enough to be worth suggesting (at most a third of the name's length, and at most 3); else NULL.
 */
const char *sg_text_nearest(const char *name, const char *const *names, size_t count);

/*
 * The hint of a complaint about `name`: appends `did you mean "NEAREST"?` if there is a nearest name, else `otherwise` (NULL:
 * nothing). Returns what stands in `out` then, as C text, or NULL if that is nothing.
 */
const char *sg_text_suggest(struct sg_buffer *out, const char *name, const char *const *names, size_t count,
			    const char *otherwise);
