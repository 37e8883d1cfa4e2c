/* What the files of the TOML reader share. Not for others. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "profile/toml.h"

/* ---- memory: whatever a document holds lies in its arena (toml_arena.c) ---- */

struct toml_block;

struct toml_arena {
	struct toml_block *blocks;
	char *at;
	char *end;
	size_t next_size;
};

/* Returns `size` bytes, aligned to `alignment` (a power of two, at most 16), not cleared, or NULL. */
void *sg_toml_arena_take(struct toml_arena *arena, size_t size, size_t alignment);
/* Before anything is taken: how long the text is that fills the arena. */
void sg_toml_arena_expect(struct toml_arena *arena, size_t text_size);
void sg_toml_arena_done(struct toml_arena *arena);

struct sg_toml_document {
	struct toml_arena arena;
	struct toml_table *root;
	unsigned char hash_key[16]; /* crypto_shorthash: drawn when the first table grows large */
	bool has_hash_key;
};

/* ---- the tree while it is built: the public structs, and what only the reader needs (toml_table.c) ---- */

enum toml_origin {
	TOML_ROOT,
	TOML_IMPLICIT, /* named on the way by a header: [a.b] makes a; one header may still define it */
	TOML_HEADER,   /* defined by its own header, or one element of an array of tables */
	TOML_DOTTED,   /* made by a dotted key; dotted keys of the same section may add to it */
	TOML_INLINE,   /* complete with its closing brace */
};

struct toml_entry {
	struct sg_toml_entry shown;
};

struct toml_slot {
	uint64_t hash;
	struct toml_entry *entry; /* NULL: free */
};

struct toml_table {
	struct sg_toml_table shown;
	struct toml_entry *last;
	const struct sg_toml_document *document;
	struct toml_slot *slots; /* NULL in a small table; open addressing */
	uint32_t slot_count;     /* a power of two, at least twice the entries */
	uint8_t origin;          /* enum toml_origin */
	uint8_t depth;           /* 0: root */
};

struct toml_array {
	struct sg_toml_array shown;
	struct sg_toml_value *items; /* the same as shown.items */
	uint32_t capacity;
	bool of_tables; /* made by [[name]] */
};

static inline struct toml_table *toml_value_table(const struct sg_toml_value *value)
{
	return (struct toml_table *)(uintptr_t)value->table; /* made by sg_toml_table_new() */
}

static inline struct toml_array *toml_value_array(const struct sg_toml_value *value)
{
	return (struct toml_array *)(uintptr_t)value->array; /* made by the reader, as a toml_array */
}

/* ---- the reader ---- */

struct toml_key {
	struct sg_toml_string name;
	struct sg_span span;
};

struct toml_parser {
	const struct sg_source *source;
	const char *text;
	const char *end; /* here stands the source's NUL, so that *at can be read at the end too */
	const char *at;
	struct sg_diagnostics *diagnostics;
	struct sg_toml_document *document;
	struct toml_table *current; /* the section's table */
	bool refused;               /* an error was reported */
	bool stopped;               /* a limit or a fault: nothing more is read or reported */
	bool abandoned;             /* a bracket was never closed and a statement begins at `at`: leave all brackets */
	bool damaged; /* an error on the way may have swallowed a closing bracket: do not report it missing */
	int fault;    /* negative errno value */
	const char *last_error;
	const char *lone_quote_end;    /* quotes before this have no partner on their line */
	const char *peeked, *peek_end; /* the last answer of sg_toml_peek_lines() */
	size_t value_count;
	size_t open_arrays, open_tables; /* brackets and braces around `at` */
	struct sg_toml_value *stack;     /* the values of the arrays that are still open */
	size_t stack_count, stack_capacity;
	struct toml_key path[SG_TOML_DEPTH_MAX]; /* the key that was read last */
	size_t path_count;
};

/* Ends the reading with a fault (negative errno value). Returns false. */
bool sg_toml_fail(struct toml_parser *p, int fault);

/* The span of the bytes from `from` up to `to`. */
struct sg_span sg_toml_span(const struct toml_parser *p, const char *from, const char *to);

/*
 * Reports an error about [from, to). Dropped when reading has stopped, when the place was reported already,
 * and when it is a byte that is not UTF-8: that was reported before the reading began.
 */
void sg_toml_error(struct toml_parser *p, const char *from, const char *to, const char *hint, const char *format, ...)
	SG_PRINTF(5, 6);

/* Counts one more key or value at [from, to). Returns false, having reported, above SG_TOML_VALUES_MAX. */
bool sg_toml_count(struct toml_parser *p, const char *from, const char *to);

enum { TOML_FOUND_MAX = 96 };

/* Writes what stands at `at`, for "found ...": `word`, the end of the line, ... Returns `out`. */
const char *sg_toml_found(struct toml_parser *p, const char *at, char out[TOML_FOUND_MAX]);

/* The end of what sg_toml_found() speaks of; not before `at`. */
const char *sg_toml_found_end(struct toml_parser *p, const char *at);

/*
 * Behind the closing quote of the string on one line that begins at `at`; if it has none there, behind the
 * opening quote. Linear for all quotes of a line together.
 */
const char *sg_toml_quoted_end(struct toml_parser *p, const char *at);

/* ---- characters (toml_report.c) ---- */

enum {
	TOML_BARE = 1,     /* may stand in a bare key */
	TOML_WORD = 2,     /* may stand in a bare value, or in what was meant as one */
	TOML_BASIC = 4,    /* stands for itself in a "string" */
	TOML_LITERAL = 8,  /* stands for itself in a 'string' */
	TOML_COMMENT = 16, /* may stand in a comment */
	TOML_DIGIT = 32,
};

extern const uint8_t sg_toml_class[256];

static inline bool toml_is(char byte, unsigned int classes)
{
	return (sg_toml_class[(unsigned char)byte] & classes) != 0;
}

/* True at LF and CR LF. */
static inline bool toml_at_newline(const char *at)
{
	return *at == '\n' || (at[0] == '\r' && at[1] == '\n');
}

/* Skips spaces and tabs. */
static inline void toml_skip_space(struct toml_parser *p)
{
	while (*p->at == ' ' || *p->at == '\t')
		p->at++;
}

/* Skips spaces, newlines and comments, whose control characters it reports. Returns true if it passed a
 * newline. */
bool sg_toml_skip_lines(struct toml_parser *p);

/* What sg_toml_skip_lines() would reach from `at`, without going there. */
const char *sg_toml_peek_lines(struct toml_parser *p, const char *at);

/* Skips to the end of the line, and not over it. */
void sg_toml_skip_line(struct toml_parser *p);

/* ---- values ---- */

/*
 * Reads the string that begins at `at` (toml_string.c). Returns false if it is broken: that is reported, and
 * `at` stands behind what was taken for it. `multiline_ok` is false where a key is expected.
 */
bool sg_toml_read_string(struct toml_parser *p, bool multiline_ok, struct sg_toml_string *ret_string);

/* The value of a hexadecimal digit, upper or lower case, or 16 (toml_number.c). */
int sg_toml_digit(char byte);

/* Reads the number [from, to) (toml_number.c). Returns NULL with *value set, or what is wrong with it. */
const char *sg_toml_read_number(const char *from, const char *to, struct sg_toml_value *value);

/* Reads the date, time or both [from, to) (toml_date.c). Returns NULL with *value set, or what is wrong with
 * it. */
const char *sg_toml_read_date(const char *from, const char *to, struct sg_toml_value *value);

/*
 * Reads the value at `at`, which will stand at `depth` (toml_value.c). Returns false if it is broken, with
 * the type SG_TOML_NONE: that is reported, and the rest of the line, or of the array's or inline table's
 * item, means nothing.
 */
bool sg_toml_read_value(struct toml_parser *p, size_t depth, struct sg_toml_value *value);

/* Skips what cannot be read, to the next comma or closing bracket of the same level, comment, or end of the
 * line. */
void sg_toml_skip_junk(struct toml_parser *p);

/* ---- keys and tables ---- */

/* Reads a key, dotted or not, into p->path (toml_key.c). Returns false if it is broken, which is reported. */
bool sg_toml_read_path(struct toml_parser *p);

/*
 * True if at `at` a key stands with `=` behind it, or a table's header with the rest of its line empty. A
 * header whose first key is quoted, or could be a value, is not told from an array and is none (toml_key.c).
 */
bool sg_toml_statement_ahead(struct toml_parser *p, const char *at);

/* Reads `key = value` into the table (toml_key.c). Returns false if it is broken: what follows means nothing.
 */
bool sg_toml_read_pair(struct toml_parser *p, struct toml_table *table);

/* Returns a new table, or NULL after a fault. `depth` is at most SG_TOML_DEPTH_MAX. */
struct toml_table *sg_toml_table_new(struct toml_parser *p, enum toml_origin origin, size_t depth);

/*
 * Makes the entry that p->path names, from `table` on, as `key = value` does; its value has still no type.
 * *ret_depth is the depth of its value. Returns NULL, having reported, if it may not be.
 */
struct toml_entry *sg_toml_place_pair(struct toml_parser *p, struct toml_table *table, size_t *ret_depth);

/* The table that the header [p->path] (or [[p->path]] for an `element`) at [from, to) defines; NULL as above.
 */
struct toml_table *sg_toml_place_header(struct toml_parser *p, bool element, const char *from, const char *to);
