/* What the files of profile/format.h share. */
#pragma once

#include "profile/format.h"
#include "profile/toml.h"

/* A line that is written: what stands on it, and the comment at its end. */
struct format_line {
	struct sg_buffer code;    /* with its indentation; a text of several lines has them here */
	struct sg_buffer comment; /* with its #, or empty */
};

struct format_lines {
	struct format_line *items;
	size_t count, capacity;
	bool failed; /* out of memory */
};

/* A line more, or NULL without memory. Valid until the next one. */
struct format_line *sg_format_add_line(struct format_lines *lines);
void sg_format_lines_done(struct format_lines *lines);

/* The text under way. It is well-formed TOML: what is not expected is a fault, and ends it. */
struct format_reader {
	const char *at, *end;
	bool failed;
};

/* True, and behind it, if the byte is next. */
bool sg_format_take(struct format_reader *reader, char byte);

/* Goes behind blanks; behind a line's end too, which may be CR LF, and true if there was one. */
void sg_format_skip_blanks(struct format_reader *reader);
bool sg_format_take_newline(struct format_reader *reader);

/* Appends the comment that is next, up to the end of its line. */
void sg_format_take_comment(struct format_reader *reader, struct sg_buffer *out);

/* Appends a key, dotted or not, without blanks. */
void sg_format_take_key(struct format_reader *reader, struct sg_buffer *out);

/* Writes a value behind what stands on the last of `lines`, on more lines if it takes them. */
void sg_format_value(struct format_reader *reader, struct format_lines *lines);

/* The columns that the last line of a text takes. */
size_t sg_format_columns(const char *text, size_t size);
