/*
 * Notices for the person at the terminal: one line each, so many at a time and no more.
 *
 * The text comes from the supervisor, escaped; it quotes names that the world chose. It is checked here once
 * more: a byte that could act on the terminal is written visibly whatever the supervisor sent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "world/control.h"

enum {
	SG_NOTICE_BURST = 5,                               /* lines at once */
	SG_NOTICE_INTERVAL_MS = 1000,                      /* then one in this time */
	SG_NOTICE_LINE_MAX = 4 * SG_CONTROL_TEXT_MAX + 64, /* bytes of a line with all that is put around it */
};

struct sg_notice {
	uint64_t refilled_ms; /* when `tokens` was last brought up to date */
	unsigned int tokens;  /* lines that may be shown now */
	unsigned long omitted;
};

/* A full burst from `now_ms` (CLOCK_MONOTONIC) on. */
void sg_notice_init(struct sg_notice *notice, uint64_t now_ms);

/*
 * True if a line may be shown now; it is counted. False: the line is counted as left out. While lines are
 * left out and not yet accounted for, none is shown, so that the account comes first (sg_notice_omitted).
 */
bool sg_notice_allow(struct sg_notice *notice, uint64_t now_ms);

/*
 * The number of lines left out, if a line that says so may be shown now; it is counted and the number starts
 * again from 0. 0: nothing to say now. With `final` it is said at once.
 */
unsigned long sg_notice_omitted(struct sg_notice *notice, uint64_t now_ms, bool final);

/* Milliseconds until sg_notice_omitted() has something to say, or -1: nothing was left out. */
int sg_notice_wait_ms(const struct sg_notice *notice, uint64_t now_ms);

/*
 * Writes "shellguard: TEXT\r\n" to `out` (SG_NOTICE_LINE_MAX bytes), with "\r\n" before it if the cursor may
 * be in the middle of a line. "\r\n" is right in raw mode and harmless elsewhere. `length` is at most
 * SG_CONTROL_TEXT_MAX (what is longer is cut). Returns the bytes written.
 */
size_t sg_notice_format(char *out, const char *text, size_t length, bool mid_line);
