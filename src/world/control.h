/*
 * The messages between the front end (the process that the user started, which owns the terminal) and the supervisor.
 *
 * Transport: one SOCK_SEQPACKET pair made before the fork; one message a packet; both ends are ours, and the world holds
 * neither. Fixed width, native byte order: both ends are one binary.
 */
#pragma once

#include <stdint.h>

enum sg_control_kind {
	SG_CONTROL_STARTED =
		1, /* supervisor → front end: the command was executed; carries the pty's master if there is one */
	SG_CONTROL_NOTICE, /* supervisor → front end: one line for the person at the terminal, in `text`, escaped */
	SG_CONTROL_FAILED, /* supervisor → front end: we could not start it: `value` is 125, 126 or 127, `text` says why */
	SG_CONTROL_STOPPED, /* supervisor → front end: the command was stopped by signal `value` (job control) */
	SG_CONTROL_ENDED, /* supervisor → front end: the world is gone; `value` is the exit status of `run` (128+n) */
	SG_CONTROL_SIGNAL, /* front end → supervisor: deliver signal `value` to the command (SIGCONT: continue it) */
	SG_CONTROL_KINDS_
};

enum { SG_CONTROL_TEXT_MAX = 2048 };

struct sg_control_message {
	uint32_t kind;                  /* enum sg_control_kind */
	int32_t value;                  /* see the kinds */
	uint32_t text_size;             /* bytes used of `text`, at most SG_CONTROL_TEXT_MAX, no NUL */
	char text[SG_CONTROL_TEXT_MAX]; /* only text_size bytes are sent */
};
