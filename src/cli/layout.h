/* Text for a terminal: lines wrapped at its width. */
#pragma once

#include "base/buffer.h"

enum { SG_LAYOUT_WIDTH = 80, SG_LAYOUT_WIDTH_MIN = 40, SG_LAYOUT_WIDTH_MAX = 200 };

/* The columns of the terminal `fd`; of one that is none, SG_LAYOUT_WIDTH. Between MIN and MAX. */
size_t sg_layout_width(int fd);

/*
 * Appends `text` with every line broken at blanks so that it fits `width` columns. A line goes on under its
 * own beginning: behind the blanks it begins with, or, where it has a tab or a run of two or more blanks
 * after its first word, behind that (two columns: a tab goes to the column that the block's longest left side
 * needs, at most half of the width). A word that is longer than a line stands by itself. A character counts
 * one column.
 */
void sg_layout_wrap(const char *text, size_t width, struct sg_buffer *out);

/*
 * Appends one line (without its newline) of which the first `hang` columns stay as they are, and the rest is broken at blanks and
 * goes on below its own beginning; below column 4 where that leaves too little room. Terminal colours (ESC [ ... m) have no columns.
 */
void sg_layout_hang(const char *line, size_t length, size_t hang, size_t width, struct sg_buffer *out);

/*
 * Prints what a command has to say: wrapped at the width of the terminal `fd`, or `as_is` (JSON). An empty text prints nothing.
 * Returns SG_EXIT_OK, or SG_EXIT_FAILED, also where the text is one that failed.
 */
int sg_layout_print(int fd, const struct sg_buffer *text, bool as_is);
