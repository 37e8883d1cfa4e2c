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
