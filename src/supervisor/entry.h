/*
 * Commands that the session's owner started in the running world (`shellguard enter`): the supervisor's side.
 *
 * Each has a socket to its front end (world/control.h, the same messages as between `run` and the
 * supervisor), one on which its processes tell what becomes of it, and a listener of its own, which is served
 * as long as a process has that filter: longer than the command, when it leaves something behind. Nothing
 * here waits.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "world/enter.h"

enum { SG_ENTRY_POLLS = 3 * SG_WORLD_ENTRIES_MAX };

enum sg_entry_phase {
	SG_ENTRY_FREE,
	SG_ENTRY_ASKED,     /* of the keeper */
	SG_ENTRY_ANNOUNCED, /* the command has said which number its listener will have */
	SG_ENTRY_HELD,      /* we and the keeper have the listener: calls are answered */
	SG_ENTRY_LEFT,      /* the command is gone; processes with its filter may not be */
};

struct sg_entry {
	enum sg_entry_phase phase;
	bool started; /* the first execve was seen through */
	int control;  /* to the front end; -1: that is gone */
	int report;   /* from the entry and the command (world/init.h) */
	int listener;
	int pidfd;           /* of the command */
	int pty;             /* the master, until it is sent to the front end */
	int number;          /* of the listener, in the command */
	pid_t command;       /* in our PID namespace */
	int64_t deadline_ms; /* by which it is HELD */
	uint64_t sequence;   /* of the record of its beginning */
	char name[256];      /* the command's first word */
};

struct sg_supervisor;

/*
 * Handles a request of the session's owner `who`, as received: size and descriptors are checked here; the
 * descriptors are taken over. What comes of it is told to the front end.
 */
void sg_entry_open(struct sg_supervisor *supervisor, struct sg_enter_request *request, size_t size, int *fds,
		   size_t count, const struct ucred *who);

/* Fills in what to poll for (at most SG_ENTRY_POLLS). Returns how many. */
size_t sg_entry_polls(const struct sg_supervisor *supervisor, struct pollfd *polls);
int sg_entry_timeout(const struct sg_supervisor *supervisor); /* ms until sg_entry_act must run; -1: none */
/* Acts on what poll said of those. */
void sg_entry_act(struct sg_supervisor *supervisor, const struct pollfd *polls, size_t count);

/* True if the thread is a command of an entry that has not executed anything yet: its first execve needs no
 * flag. */
bool sg_entry_is_starting(const struct sg_supervisor *supervisor, pid_t tid);

/* A thread has executed a program, as decided and recorded. */
void sg_entry_executed(struct sg_supervisor *supervisor, pid_t tid);

/* The socket to the front end of the processes under that listener: the session's own where they have no
 * other. */
int sg_entry_control(const struct sg_supervisor *supervisor, int listener);

/* A line for the session's own front end, and for that of the processes under the listener where they have another. */
void sg_entry_notice(const struct sg_supervisor *supervisor, int listener, const char *text, size_t size);

/* The world is gone: tells every front end, and closes everything. */
void sg_entry_end_all(struct sg_supervisor *supervisor);
