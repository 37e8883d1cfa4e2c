/*
 * A reader of TOML 1.0 (https://toml.io/en/v1.0.0) that keeps the place of every key and value and reports
 * every error of a text in one go.
 *
 * A document is immutable. Its strings and spans are its own; only diagnostics need the source after the
 * reading.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "profile/diagnostic.h"

enum {
	SG_TOML_TEXT_MAX = 10 << 20,  /* bytes of a text */
	SG_TOML_VALUES_MAX = 1 << 20, /* keys and values, and the tables that headers and dotted keys make */
	SG_TOML_DEPTH_MAX = 100,      /* levels of values; the root table's are at 1. So a user may recurse */
};

enum sg_toml_type {
	SG_TOML_NONE, /* not in a document */
	SG_TOML_STRING,
	SG_TOML_INTEGER,
	SG_TOML_FLOAT,
	SG_TOML_BOOLEAN,
	SG_TOML_DATETIME,       /* with an offset from UTC */
	SG_TOML_LOCAL_DATETIME, /* without */
	SG_TOML_LOCAL_DATE,
	SG_TOML_LOCAL_TIME,
	SG_TOML_ARRAY, /* arrays of tables, written [[name]], too */
	SG_TOML_TABLE,
	SG_TOML_TYPE_COUNT,
};

/* Well-formed UTF-8 with a NUL behind it. "\u0000" puts a NUL inside as well: a user of `data` alone checks
 * for that. */
struct sg_toml_string {
	const char *data;
	size_t size; /* bytes, without the NUL behind */
};

/* The parts that the type has; the others are 0. */
struct sg_toml_datetime {
	uint32_t nanosecond; /* finer digits are cut off */
	uint16_t year;
	uint8_t month, day;
	uint8_t hour, minute, second; /* second is 60 at a leap second */
	int16_t offset;               /* minutes east of UTC */
};

struct sg_toml_value {
	enum sg_toml_type type;
	/*
	 * Its text. For a table or array of tables that a header defines: the (first) header with its
	 * brackets; for a table that was merely named on the way to another one: that part of the key.
	 */
	struct sg_span span;
	union {
		struct sg_toml_string string;
		int64_t integer;
		double number;
		bool boolean;
		struct sg_toml_datetime datetime;
		const struct sg_toml_array *array;
		const struct sg_toml_table *table;
	};
};

struct sg_toml_array {
	const struct sg_toml_value *items;
	size_t count;
};

struct sg_toml_entry {
	const struct sg_toml_entry *next; /* in the order of the text */
	struct sg_toml_string key;
	struct sg_span key_span; /* of the key's last part, with its quotes; for [a.b] that is b */
	struct sg_toml_value value;
};

struct sg_toml_table {
	const struct sg_toml_entry *first;
	size_t count;
};

struct sg_toml_document;

/* Not an error number: the text has errors, which the diagnostics tell. */
enum { SG_TOML_REFUSED = 1 };

/*
 * Reads the text of `source`. Every error in it is added to `diagnostics`; reading goes on behind an error
 * where that is sensible. Returns 0 with *ret_document owned by the caller (sg_toml_free); SG_TOML_REFUSED if
 * there is any error; -ENOMEM; or what getrandom(2) returned (a table with many keys is hashed under a random
 * key, so that no text can make its look-ups slow). Time and memory are linear in the text, whatever it
 * holds. The locale has no influence.
 */
SG_MUST_USE int sg_toml_parse(const struct sg_source *source, struct sg_diagnostics *diagnostics,
			      struct sg_toml_document **ret_document);

/* Frees a document with everything in it. NULL is fine. */
void sg_toml_free(struct sg_toml_document *document);
SG_DEFINE_AUTO(struct sg_toml_document, toml, sg_toml_free)
#define SG_AUTO_TOML SG_CLEANUP(sg_auto_toml)

/* The root table; lives as long as the document. Never NULL. */
const struct sg_toml_table *sg_toml_root(const struct sg_toml_document *document);

/* The entry of that key in a table, or NULL. Constant time. `size` is in bytes. */
const struct sg_toml_entry *sg_toml_find(const struct sg_toml_table *table, const char *key);
const struct sg_toml_entry *sg_toml_find_sized(const struct sg_toml_table *table, const char *key, size_t size);

/* for each `const struct sg_toml_entry *entry` of the table, in the order of the text */
#define SG_TOML_FOREACH(entry, table)                                                                                  \
	for (const struct sg_toml_entry *entry = (table)->first; entry != NULL; entry = entry->next)

/* The type with its article, for messages: "a string", "an array". */
const char *sg_toml_type_name(enum sg_toml_type type);

/* Returns true if the string holds a NUL byte, and so is not what `data` shows as a C string. */
bool sg_toml_string_has_nul(struct sg_toml_string string);
