/* Reading a log: lines, their JSON, the chain of hashes, the record that a person asks about. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/record.h"
#include "base/attr.h"
#include "base/buffer.h"
#include "base/error.h"

enum {
	SG_READ_LINE_MAX = 8 * 1024 * 1024
}; /* no record's line is longer (6 characters for each of SG_RECORD_BOUND bytes) */

/* Reads lines from a descriptor, which stays the caller's. Zero it, set `fd`, end with sg_reader_done(). */
struct sg_reader {
	int fd;
	struct sg_buffer pending; /* read and not yet returned */
	size_t done;              /* of it, returned */
	size_t searched;          /* of it, known to hold no newline */
};

/* Frees what was read. The descriptor stays the caller's. */
void sg_reader_done(struct sg_reader *reader);

/*
 * The next whole line, without its newline, valid until the next call. Returns 1 and sets both; 0 at the end
 * of the file (what stands there without a newline is not returned; call again when the file has grown);
 * -EFBIG for a line above SG_READ_LINE_MAX; another negative errno value.
 */
int sg_reader_next(struct sg_reader *reader, const char **ret_line, size_t *ret_size);

/* Bytes at the end of what was read that have no newline yet. */
size_t sg_reader_rest(const struct sg_reader *reader);

/*
 * Parses one line. Bytes of names that are not UTF-8 stand in the log as lone surrogates
 * (sg_buffer_append_json), which jansson refuses; they become NUL and two hexadecimal digits in its strings,
 * and NUL itself \0 00: take strings out with sg_read_bytes(), which undoes that. *ret_json is the caller's
 * (json_decref). Returns 0, -EBADMSG with the context, -ENOMEM.
 */
int sg_read_json(const char *line, size_t size, json_t **ret_json, struct sg_error *error);

/* Appends the bytes of a string value; nothing if `value` is NULL or no string. */
void sg_read_bytes(const json_t *value, struct sg_buffer *out);

struct sg_read_report {
	uint64_t lines;                 /* whole lines that are in order */
	bool whole;                     /* the last of them is a session-end */
	size_t torn;                    /* bytes after the last newline: a line that was not written to its end */
	char hash[SG_RECORD_HASH_SIZE]; /* of the last line */
	uint64_t bad_line;              /* outcome 1: the number of the line that does not fit, from 1 */
	char text[160];                 /* and why */
};

/*
 * Checks the log at `fd` from its start: each line is JSON, names the hash of the line before it, has the
 * next sequence number and the same session. What this shows and does not is in docs/audit.md. Returns 0: in
 * order; 1: not, see `bad_line` and `text`; or a negative errno value. *ret_report is set in the first two
 * cases.
 */
int sg_audit_verify(int fd, struct sg_read_report *ret_report, struct sg_error *error);

/*
 * The first record of the log at `path`, which is its session-start. *ret_json is the caller's. Returns 0; 1 if it is none (yet);
 * a negative errno value with its context.
 */
int sg_audit_read_start(const char *path, json_t **ret_json, struct sg_error *error);

/*
 * The log in `folder` (NULL: sg_log_folder()) of the last session that started: its first record is a session-start, or cannot be
 * read. *ret_path is the caller's (free); *ret_newer tells how many newer sessions ended before they had started. Returns 0,
 * -ENOENT if there is none, or another negative errno value, with its context.
 */
int sg_audit_find_started(const char *folder, char **ret_path, size_t *ret_newer, struct sg_error *error);

/*
 * The refusal with record number `sequence`, or the last one that was told (none of ENODATA) if 0, in the log at `path`. *ret_json is the
 * caller's. Returns 0; 1 if there is none, or that record is not a refusal; a negative errno value with its
 * context.
 */
int sg_audit_find_refusal(const char *path, uint64_t sequence, json_t **ret_json, struct sg_error *error);
