/*
 * A record of the log: what the supervisor fills in, its binary form in the ring, its JSON form in the log.
 *
 * All three come from records.def. Names are bytes: they may hold anything, and nothing here stops at a NUL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum sg_record_kind {
	SG_RECORD_NONE, /* no record: a zeroed struct is refused */
#define SG_RECORD_KIND(symbol, ...) SG_RECORD_##symbol,
#include "audit/records.def"
	SG_RECORD_KINDS_
};

enum sg_record_verdict {
	SG_RECORD_VERDICT_NONE,
#define SG_RECORD_VERDICT(symbol, ...) SG_RECORD_VERDICT_##symbol,
#include "audit/records.def"
	SG_RECORD_VERDICTS_
};

enum sg_record_field {
#define SG_RECORD_FIELD(member, ...) SG_RECORD_FIELD_##member,
#include "audit/records.def"
	SG_RECORD_FIELDS_
};

/* Bytes; data == NULL: not set. Not owned by the record. */
struct sg_record_text {
	const char *data;
	size_t size;
};

struct sg_record_list {
	const struct sg_record_text *items;
	size_t count;
};

struct sg_record_ancestor {
	uint64_t pid;
	struct sg_record_text program;
};

struct sg_record_ancestors {
	const struct sg_record_ancestor *items;
	size_t count;
};

#define SG_RECORD_MEMBER_U64 uint64_t
#define SG_RECORD_MEMBER_I64 int64_t
#define SG_RECORD_MEMBER_TIME uint64_t /* nanoseconds since 1970, UTC */
#define SG_RECORD_MEMBER_FLAG bool
#define SG_RECORD_MEMBER_ERRNO int /* positive errno value; 0: not set */
#define SG_RECORD_MEMBER_VERDICT enum sg_record_verdict
#define SG_RECORD_MEMBER_TEXT struct sg_record_text
#define SG_RECORD_MEMBER_LIST struct sg_record_list
#define SG_RECORD_MEMBER_ANCESTORS struct sg_record_ancestors

/*
 * One record. Members that the kind does not have (records.def) are ignored. Time and sequence number are set
 * when it is appended. Everything pointed to stays the caller's and is copied by the append.
 */
struct sg_record {
	enum sg_record_kind kind;
#define SG_RECORD_FIELD(member, type, ...) SG_RECORD_MEMBER_##type member;
#include "audit/records.def"
};

enum {
	SG_RECORD_BOUND = 512 * 1024, /* no encoded record is larger; the sum of the fields' limits is below it */
	SG_RECORD_VERSION = 1,        /* of the binary form */
};

/* The header of a binary record. Native byte order: both ends are one binary. The layout is in docs/audit.md.
 */
struct sg_record_header {
	uint32_t size;     /* of the whole record, header included; a multiple of 8 */
	uint16_t version;  /* SG_RECORD_VERSION */
	uint16_t kind;     /* enum sg_record_kind */
	uint64_t sequence; /* from 1, without gaps */
	uint64_t time;     /* nanoseconds since 1970, UTC */
	uint32_t fields;   /* how many fields follow */
	uint32_t reserved; /* 0 */
};

/*
 * Before each field's bytes, which are padded with zeros to a multiple of 8. If `cut` is 1, a struct
 * sg_record_cut follows the padding.
 */
struct sg_record_field_header {
	uint16_t field; /* enum sg_record_field; ascending */
	uint16_t cut;   /* 1: the value was longer than the field's limit; else 0 */
	uint32_t size;  /* bytes that follow, without the padding */
};

struct sg_record_cut {
	uint64_t bytes; /* bytes of the value that were left out */
	uint64_t items; /* whole entries of a list that were left out */
};

/* What the log says of every record, beside its fields. */
struct sg_record_context {
	const char *session;  /* session id: printable ASCII */
	const char *previous; /* SHA-256 of the previous line, 64 hexadecimal digits */
};

/* A text from a C string; NULL gives "not set". The string is not copied. */
struct sg_record_text sg_record_text(const char *string);

/*
 * An upper bound, a multiple of 8, of what sg_record_encode() will write for `record`; at most
 * SG_RECORD_BOUND. Does not block, allocates nothing. Returns 0 if the record has no valid kind.
 */
size_t sg_record_bound(const struct sg_record *record);

/*
 * Writes the binary form to `out`, which is aligned to 8 and has at least sg_record_bound(record) bytes.
 * Values above their limits are cut and what was cut is counted. Returns the bytes written, a multiple of 8.
 * Makes no system call.
 */
size_t sg_record_encode(const struct sg_record *record, uint64_t sequence, uint64_t time, void *out);

/*
 * Appends the JSON line of a binary record (`size` bytes at `data`, private memory of the caller), without a
 * newline. Every length in it is checked. Returns 0; -EBADMSG if the record is malformed (then what was
 * appended is to be thrown away); -ENOMEM.
 */
int sg_record_emit(const void *data, size_t size, const struct sg_record_context *context, struct sg_buffer *out);

/* The start of every line: {"prev":"HASH","seq": ... The verifier relies on it. */
#define SG_RECORD_LINE_START "{\"prev\":\""
#define SG_RECORD_LINE_SEQUENCE "\",\"seq\":"
enum { SG_RECORD_HASH_SIZE = 65 }; /* 64 hexadecimal digits and a NUL */

/* Writes the SHA-256 of `size` bytes as lower-case hexadecimal, and a NUL. */
void sg_record_hash(const void *data, size_t size, char hash[static SG_RECORD_HASH_SIZE]);

/* The name of a kind or a verdict as in the log; NULL for a value that is none. */
const char *sg_record_kind_name(enum sg_record_kind kind);
const char *sg_record_verdict_name(enum sg_record_verdict verdict);

/* The kind of that name, SG_RECORD_NONE if there is none. */
enum sg_record_kind sg_record_kind_of(const char *name);

/* A row of the field table, for readers of the log and for tests. */
struct sg_record_field_row {
	const char *group; /* the JSON object that the field stands in; "": the line itself */
	const char *name;  /* its name there */
	const char *type;  /* JSON type, for the documents */
	uint32_t kinds;    /* bit (1 << kind) */
	bool always;       /* written whether set or not */
	const char *ocsf;  /* the corresponding OCSF attribute, "-" for none */
	const char *text;  /* what it means */
};

/* The row of a field. `field` is below SG_RECORD_FIELDS_. */
struct sg_record_field_row sg_record_field_row(enum sg_record_field field);

/*
 * Appends the tables of kinds, verdicts, common and other fields in Markdown: what docs/record.md holds
 * between its markers. Same text each time.
 */
void sg_record_describe(struct sg_buffer *out);

/* Appends RFC 3339 UTC with nanoseconds, such as 2026-11-22T04:28:01.000000042Z. Reads no time-zone files. */
void sg_record_append_time(struct sg_buffer *out, uint64_t nanoseconds);
