/* A log for a person: one line a record. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

struct sg_show_options {
	const char *path; /* the log: sg_log_find() */
	bool json;        /* the lines as they are in the log */
	bool follow;      /* go on until the session ends */
	bool colour;      /* terminal colours by kind */
	int stop;         /* with `follow`: a descriptor that ends it when readable; -1: none */
};

/* Takes some text; returns 0 to go on, a negative errno value to end the show with. */
typedef int sg_show_output(void *context, const char *data, size_t size);

/*
 * Gives the records of a log to `output`, whole lines with their newline. In the human form every byte that a
 * program could have chosen is escaped (sg_text_escape): nothing in it acts on a terminal. With `json` the
 * lines are given as they are, which is ASCII controls and DEL escaped, but UTF-8 kept. Blocks with `follow`
 * only. Returns 0 at the end of the file, or with `follow` at the session's end or when `stop` is readable; 1
 * when the log ends without a session-end and its auditor is gone
 * (`follow`); a negative errno value with its context; or what `output` returned.
 */
int sg_audit_show(const struct sg_show_options *options, sg_show_output *output, void *context, struct sg_error *error);

enum { SG_SHOW_TEXT_COLUMN = 37 }; /* where what differs from kind to kind begins in the human form */

/* Appends the human form of one line of the log (without its newline), with a newline. */
void sg_show_line(const char *line, size_t size, bool colour, struct sg_buffer *out);
