/* The code that runs inside the world before, and beside, its command. */
#pragma once

#include "world/world.h"

/* What the first process and commands report to the supervisor. */
enum sg_world_report_kind {
	SG_WORLD_REPORT_FAILED = 1, /* `text`: why; the sender exits */
	SG_WORLD_REPORT_PTY,        /* carries the pty's master */
	SG_WORLD_REPORT_SOCKET,     /* carries a socket of the world; `number`: enum sg_loopback_socket */
	SG_WORLD_REPORT_FIRST,   /* the first process is about to install its filter; the listener will be `number` */
	SG_WORLD_REPORT_COMMAND, /* the same for the command */
	SG_WORLD_REPORT_STOPPED, /* of a command that was started later: it was stopped by signal `number` */
	SG_WORLD_REPORT_ENDED,   /* likewise: it has ended; `number` is its exit status, 128+n for a signal */
};

struct sg_world_report {
	int kind;   /* enum sg_world_report_kind */
	int number; /* descriptor number, or a negative errno value for FAILED */
	char text[512];
};

/*
 * Runs as PID 1 of a new world, from the moment of clone. From `go` comes one byte when the ids are mapped; its end, before or
 * after that, is the keeper's, and then this one exits (125) before it has done anything. Never returns.
 */
SG_NORETURN void sg_world_init(const struct sg_world_spec *spec, int go, int report);

/*
 * What a command that is started later (world/enter.c) shares with the first one. Those that take an error return 0 or a
 * negative errno value with context.
 */

/* Makes a pty through the mounts that the caller sees, and sends its master. *ret_slave is the caller's. */
int sg_init_pty(const struct sg_world_spec *spec, int report, int *ret_slave, struct sg_error *error);

/* Makes the caller the leader of a new session, with `slave` (-1: none) as its terminal. */
int sg_init_session(int slave, struct sg_error *error);

/* The last steps before the first execve: gives up everything (see init.c), executes. Never returns. */
SG_NORETURN void sg_init_command(const struct sg_world_spec *spec, int slave, int report);

/* Overwrites the caller's copy of its launcher's arguments, which /proc/PID/cmdline shows to all. Reads /proc. */
void sg_init_forget_arguments(void);

/* Sends a report without a text. */
void sg_init_tell(int report, enum sg_world_report_kind kind, int number);

/* Sends the error. */
void sg_init_report_failure(int report, const struct sg_error *error);

/* Sends the error, and exits. */
SG_NORETURN void sg_init_fail(int report, const struct sg_error *error);

/*
 * Receives one report, with the sender's pid in the caller's PID namespace and the descriptor it carries (-1: none; the
 * caller's). Does not wait if the socket does not. Returns 0; 1 when there will be no more; or a negative errno value with context.
 */
int sg_init_receive(int socket, struct sg_world_report *ret, pid_t *ret_pid, int *ret_fd, struct sg_error *error);
