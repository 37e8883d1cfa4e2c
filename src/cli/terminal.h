/*
 * The user's terminal: raw mode while the command inside owns the keys, the user's own modes at all other
 * times.
 *
 * The world has no descriptor on this terminal. What reaches it are the bytes that the relay copies from the
 * pty's master and the notices of the supervisor; modes, window size and process groups are set by the front
 * end alone, from nothing that the world says but "I was stopped".
 */
#pragma once

#include <stdbool.h>
#include <termios.h>

struct sg_terminal {
	int fd;               /* an open file description of our own, read and write, O_NONBLOCK; -1: no terminal */
	bool blocking;        /* it could not be opened anew: a duplicate of the user's, in whatever mode that is */
	bool raw;             /* we have set raw mode and not yet taken it back */
	struct termios saved; /* the modes before raw */
};

#define SG_TERMINAL_INIT ((struct sg_terminal){.fd = -1})

/*
 * True if `a` and `b` are on the same terminal, also where one was opened as /dev/tty (TIOCGDEV,
 * Linux 2.6.38). False if either is no terminal.
 */
bool sg_terminal_same(int a, int b);

/*
 * Opens the terminal of `fd` anew, so that it can be O_NONBLOCK without changing the open file description
 * that we share with the user's shell: through /proc/self/fd, or as /dev/tty where the device may not be
 * opened by this user (after su) and it is our controlling terminal. O_NOCTTY, close-on-exec, at 3 or above.
 * Returns it or a negative errno value.
 */
int sg_terminal_reopen(int fd);

/*
 * Opens the terminal of `fd` (sg_terminal_reopen), or as a last resort duplicates it and sets `blocking`.
 * Returns 0 or a negative errno value. Sets no modes.
 */
int sg_terminal_open(struct sg_terminal *ret, int fd);

/* Restores the modes and closes. */
void sg_terminal_done(struct sg_terminal *terminal);

/*
 * True if we may use the terminal: our process group is its foreground one, or it is not our controlling
 * terminal, where there is no job control to obey (tcgetpgrp(3), ENOTTY).
 */
bool sg_terminal_is_foreground(const struct sg_terminal *terminal);

/*
 * Sets raw mode (cfmakeraw(3), at once: keys typed ahead are kept) and remembers the modes found, or, if raw
 * is thought to be set already, sets it once more (a shell has changed it meanwhile). Sets nothing from the
 * background. Returns 0, 1 when in the background, or a negative errno value.
 */
int sg_terminal_set_raw(struct sg_terminal *terminal);

/*
 * Takes raw mode back, at once. From the background nothing is set: the terminal is someone else's then, and
 * a shell sets its own modes. Until it has been done, a fatal signal of our own (SIGSEGV and its like)
 * restores the modes first.
 */
void sg_terminal_restore(struct sg_terminal *terminal);

/* Copies the window size to a pty's master, which sends SIGWINCH inside if it changed. Returns 0 or a
 * negative errno. */
int sg_terminal_copy_window(const struct sg_terminal *terminal, int master);
