/*
 * The layout of a profile: one form for all, with every comment kept and nothing of its meaning changed.
 *
 * 1.  Lines end in a line feed, and have no blanks at their ends. Empty lines are none at the beginning and the end, one before each
 *     header, none after it, and elsewhere at most one at a time.
 * 2.  Sections stand in the order of the manual (tables/sections.def); [Privileged.Action] with [Privileged], others behind; those of
 *     one name stay in their order. A comment right above a header, without an empty line between, goes with it; any other stays in
 *     the section in which it stands.
 * 3.  A paragraph is what stands between empty lines. Within one, keys are in the order of the manual (tables/keys.def), those that it
 *     does not have last, as they were. A comment right above a key goes with it.
 * 4.  The = signs of a paragraph are under each other, behind the longest key of up to SG_FORMAT_KEY_MAX characters.
 * 5.  Within a line there is one blank behind a comma, around = and inside of braces, and none inside of brackets.
 * 6.  A list that stands on several lines keeps them, what is on each indented by four blanks, with a comma at the end and its brackets
 *     apart. A longer list on one line than fits SG_FORMAT_WIDTH columns is broken into as many lines as it takes.
 * 7.  Comments at the ends of lines that follow each other are under each other, but for those behind more than SG_FORMAT_CODE_MAX
 *     columns; at least two blanks stand before.
 * 8.  Texts, numbers and dates stay as they are written, and so do keys.
 */
#pragma once

#include "base/attr.h"
#include "base/buffer.h"
#include "profile/diagnostic.h"

enum { SG_FORMAT_WIDTH = 120, SG_FORMAT_KEY_MAX = 12, SG_FORMAT_CODE_MAX = 60, SG_FORMAT_INDENT = 4 };

/* The text is no TOML: the diagnostics say why. */
enum { SG_FORMAT_REFUSED = 1 };

/*
 * Appends the text of `source` in that layout to `out`. What it means is compared with what was there, value by value: a difference is
 * a fault (-EBADMSG), and nothing is appended. Returns 0, SG_FORMAT_REFUSED with errors added to `diagnostics`, or a negative errno
 * value. Time and memory are linear in the text, but for sorting.
 */
SG_MUST_USE int sg_format(const struct sg_source *source, struct sg_diagnostics *diagnostics, struct sg_buffer *out);
