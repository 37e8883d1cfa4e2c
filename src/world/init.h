/* The code that runs inside the world before, and beside, its command. */
#pragma once

#include "world/world.h"

/* What the first process and the command report to the supervisor while the world is being made. */
enum sg_world_report_kind {
	SG_WORLD_REPORT_FAILED = 1, /* `text`: why; the sender exits */
	SG_WORLD_REPORT_PTY,        /* carries the pty's master */
	SG_WORLD_REPORT_SOCKET,     /* carries a socket of the world; `number`: enum sg_loopback_socket */
	SG_WORLD_REPORT_FIRST,      /* the first process is about to install its filter; the listener will be `number` */
	SG_WORLD_REPORT_COMMAND,    /* the same for the command */
};

struct sg_world_report {
	int kind;   /* enum sg_world_report_kind */
	int number; /* descriptor number, or a negative errno value for FAILED */
	char text[512];
};

/*
 * Runs as PID 1 of a new world, from the moment of clone. `go` is read until its end: the ids are mapped then. Never
 * returns.
 */
SG_NORETURN void sg_world_init(const struct sg_world_spec *spec, int go, int report);
