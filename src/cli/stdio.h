/*
 * What the user gave us as descriptors 0-2, and what the world gets in their place.
 *
 * The world never holds the user's descriptors: a terminal is replaced by a pty that is opened inside the
 * world, anything else by a pipe of which the front end holds the other end. What the world controls here is
 * the bytes that it writes and the state of its own pipe ends. It cannot seek, truncate, lock, fcntl or ioctl
 * what the user has open, and it learns neither the name nor the kind of it, but for "is a terminal".
 *
 * A descriptor that was closed: the front end opens /dev/null there for itself (so that nothing of ours ever
 * lands on 0-2), and the world gets its own /dev/null, which its set-up opens through the world's own mounts
 * (world[i] is -1). A program that finds 0-2 closed would get its next file there and may write messages into
 * it; that is why it is not passed on as closed.
 */
#pragma once

#include <stdbool.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "base/error.h"

enum sg_stdio_kind {
	SG_STDIO_CLOSED,   /* was not open */
	SG_STDIO_STREAM,   /* a pipe, file, socket, device, or a terminal that is not the one chosen below */
	SG_STDIO_TERMINAL, /* the terminal chosen below */
};

struct sg_stdio {
	struct {
		enum sg_stdio_kind kind;
		int same_as; /* the lowest index with the same open file description, or -1 */
	} of[3];

	bool wants_pty; /* at least one is SG_STDIO_TERMINAL */
	int terminal;   /* the index of a descriptor on the terminal, or -1; of two terminals, that of the
			   lowest index */
	/*
	 * The keys of the terminal may belong to someone else: we are in the background, or it is not our
	 * controlling terminal, or standard input or output is a pipe or socket (`shellguard run CMD |
	 * less`). The command must then be started in a background process group of its pty; when it reads or
	 * changes the terminal, it is stopped by SIGTTIN or SIGTTOU (SG_CONTROL_STOPPED), the front end takes
	 * the terminal and sends SG_CONTROL_SIGNAL with SIGCONT, at which the world makes the command's group
	 * the foreground one and continues it.
	 */
	bool keys_on_demand;
	struct termios termios; /* of the terminal when inspected; zero without one */
	struct winsize window;  /* the same */
};

/*
 * Looks at 0-2. To be called before anything else opens a descriptor: those that are closed are filled with
 * /dev/null. Two indices are the same open file description by kcmp(2) KCMP_FILE or, where that is
 * unavailable, by device, inode, status flags and offset (which takes two openings of one file at the same
 * offset for one; no harm in a pipe). Returns 0, or a negative errno value (no /dev/null).
 */
int sg_stdio_inspect(struct sg_stdio *ret, struct sg_error *error);

struct sg_stdio_pipes {
	int world[3]; /* to be placed at 0-2 in the world; -1: the pty's slave (TERMINAL) or the world's
			 /dev/null (CLOSED) */
	int front[3]; /* the front end's: [0] to write, [1] and [2] to read; -1: none, or shared with a lower
			 one */
};

#define SG_STDIO_PIPES_INIT ((struct sg_stdio_pipes){{-1, -1, -1}, {-1, -1, -1}})

/*
 * Makes the pipes for every STREAM. Where 2 is the same as 1, world[2] is a duplicate of world[1] and
 * front[2] is -1, so that what is written to both keeps its order. All are close-on-exec, above 2, and the
 * caller's (sg_stdio_pipes_done). The front end's are O_NONBLOCK; the world's, another open file description
 * each, are not. The pipes have the default size; the relay enlarges those through which much passes (the
 * user's limit in pipe(7) is for all pipes together). Returns 0 or a negative errno value; *ret is untouched
 * then.
 */
int sg_stdio_make_pipes(const struct sg_stdio *stdio, struct sg_stdio_pipes *ret, struct sg_error *error);

/* Closes the world's ends; to be done in the front end after the fork, or the ends of streams will not be
 * seen. */
void sg_stdio_pipes_close_world(struct sg_stdio_pipes *pipes);

/* Closes the front end's ends; to be done in the supervisor. */
void sg_stdio_pipes_close_front(struct sg_stdio_pipes *pipes);

/* Closes both. */
void sg_stdio_pipes_done(struct sg_stdio_pipes *pipes);

/*
 * Gives a new pty the modes and the window size of the user's terminal. `pty` is the master or the slave (on
 * Linux the master's requests act on the slave, tty_ioctl.c); to be done before the command is started. Does
 * nothing without a terminal. Returns 0 or a negative errno value.
 */
int sg_stdio_prepare_pty(const struct sg_stdio *stdio, int pty);
