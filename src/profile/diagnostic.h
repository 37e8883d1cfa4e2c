/*
 * What is wrong with a text that a person wrote, and where: sources, spans, and a list of diagnostics.
 *
 * A reader or a check adds each finding with the source and the span of bytes it is about; nothing is printed
 * here. The front end renders the list once, sorted, each finding with its line quoted and the span
 * underlined.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buffer.h"
#include "base/error.h"

enum {
	SG_SOURCE_MAX = 1 << 30,       /* bytes in a source: offsets are 32 bits wide */
	SG_DIAGNOSTICS_MAX = 100,      /* findings kept of each severity; the rest is counted */
	SG_DIAGNOSTIC_TEXT_MAX = 1024, /* bytes of a message or hint; longer ones are cut */
	SG_DIAGNOSTIC_QUOTE_MAX = 100, /* columns of a quoted line; longer ones are cut around the span */
};

/* A run of bytes in a source. A length of 0 is the place before the byte at `offset`. */
struct sg_span {
	uint32_t offset;
	uint32_t length;
};

enum { SG_SOURCE_MARK_EVERY = 4096 };

/* The last end of a character up to a multiple of those bytes, and how many characters are before it. */
struct sg_source_mark {
	size_t offset, characters;
};

/* A text with the name that messages call it by. Immutable once made; diagnostics and documents point into
 * it. */
struct sg_source {
	const char *name;
	const char *text; /* NUL after `size` bytes, but for a part; may hold any bytes */
	size_t size;
	const uint32_t *lines; /* offset of the first byte of each line */
	size_t line_count;     /* at least 1: an empty text has one empty line */
	size_t begin; /* a part of a text: its first byte; `size` is where it ends, offsets are the whole text's */
	size_t line_before; /* lines[0] is the line after so many */
	const struct sg_source_mark
		*marks; /* one for each SG_SOURCE_MARK_EVERY bytes from `begin`; NULL: a short text */
};

/* A place as people count it. */
struct sg_position {
	size_t line;   /* from 1 */
	size_t column; /* from 1, in characters; a byte that is not UTF-8 counts one; a leading BOM counts
			  none */
};

/*
 * Makes a source from copies of `name` and of `size` bytes of `text` (NULL if size is 0). Returns 0 with
 * *ret_source owned by the caller (sg_source_free), -EFBIG above SG_SOURCE_MAX, -ENOMEM.
 */
SG_MUST_USE int sg_source_new(const char *name, const char *text, size_t size, struct sg_source **ret_source);

/*
 * Makes a source of the bytes from `begin` to `end` (both below SG_SOURCE_MAX) of a text that outlives it and is not copied;
 * `begin` is the first byte of a line, before which there are `line_before`. Places are those of the whole text. Returns 0 or -ENOMEM.
 */
SG_MUST_USE int sg_source_part(const char *name, const char *text, size_t begin, size_t end, size_t line_before,
			       struct sg_source **ret_source);

/*
 * Makes a source from the rest of the file `fd`, which stays the caller's. Blocks as read(2) does. `limit` is
 * in bytes, at most SG_SOURCE_MAX. Returns 0, or with the context in `error` (may be NULL): -EFBIG when the
 * file is larger, or the errno value of what failed.
 */
SG_MUST_USE int sg_source_read(int fd, const char *name, size_t limit, struct sg_error *error,
			       struct sg_source **ret_source);

/* Frees the source. No diagnostic or document may point to it any more. NULL is fine. */
void sg_source_free(struct sg_source *source);
SG_DEFINE_AUTO(struct sg_source, source, sg_source_free)
#define SG_AUTO_SOURCE SG_CLEANUP(sg_auto_source)

/* The line, from 1, of the byte at `offset` (the last line if it lies behind the text). Cheap. */
size_t sg_source_line(const struct sg_source *source, size_t offset);

/* Line and column of the byte at `offset` (the end of the text if it lies behind it). */
struct sg_position sg_source_locate(const struct sg_source *source, size_t offset);

/* The span from the start of `first` to the end of `last`, which does not begin before `first`. */
struct sg_span sg_span_join(struct sg_span first, struct sg_span last);

enum sg_severity { SG_SEVERITY_ERROR, SG_SEVERITY_WARNING, SG_SEVERITY_COUNT };

struct sg_diagnostic {
	const struct sg_source *source;
	struct sg_span span;
	struct sg_position position; /* of the span's first byte */
	enum sg_severity severity;
	const char *message; /* as formatted: not escaped */
	const char *hint;    /* NULL: none */
	size_t sequence;     /* findings at one place keep the order in which they were added */
};

/* A list of findings. The sources that it names must outlive it. Not for use by two threads at a time. */
struct sg_diagnostics {
	struct sg_diagnostic *items;
	size_t count;
	size_t capacity;
	size_t found[SG_SEVERITY_COUNT]; /* all findings of the severity, those not kept too */
};

#define SG_DIAGNOSTICS_INIT ((struct sg_diagnostics){0})

/* Frees what the list holds and empties it. */
void sg_diagnostics_done(struct sg_diagnostics *list);
#define SG_AUTO_DIAGNOSTICS SG_CLEANUP(sg_diagnostics_done)

/*
 * Adds a finding about `span` of `source`. `hint` (copied; NULL for none) tells what to write instead.
 * Message and hint are one line for a person, without a full stop; bytes of the text may stand in them as
 * they are, since rendering escapes them. Never fails: a finding that cannot be stored, for lack of memory or
 * above SG_DIAGNOSTICS_MAX, is still counted in `found`, so that an error is never lost.
 */
void sg_diagnostic_add(struct sg_diagnostics *list, const struct sg_source *source, struct sg_span span,
		       enum sg_severity severity, const char *hint, const char *format, ...) SG_PRINTF(6, 7);

/* The same with an argument list. */
void sg_diagnostic_add_list(struct sg_diagnostics *list, const struct sg_source *source, struct sg_span span,
			    enum sg_severity severity, const char *hint, const char *format, va_list arguments)
	SG_PRINTF(6, 0);

/* True if no further error would be kept: what a hint costs can be spared then. */
bool sg_diagnostics_are_full(const struct sg_diagnostics *list);

/* True if a finding of severity error was added, kept or not. */
bool sg_diagnostics_has_errors(const struct sg_diagnostics *list);

/*
 * Appends every finding to `out`, sorted by the source's name and the place:
 *
 *     web.toml:5:11: error: missing comma after "ping"
 *         5 |     "ping"
 *           |           ^
 *     hint: write "ping",
 *
 * and a last line that counts the findings that were not kept. Whatever comes from the text or from the name
 * is escaped as sg_text_escape does, but for two characters, so that a line looks as it was written: a tab is
 * four spaces, and a backslash stays single. Sorts the list in place. A failed allocation shows in `out`
 * (sg_buffer_status).
 */
void sg_diagnostics_render(struct sg_diagnostics *list, struct sg_buffer *out);
