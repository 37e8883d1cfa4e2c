/*
 * The relay: what passes between the user's descriptors 0-2 and terminal and the world, until the world has
 * ended.
 *
 * What the world controls here:
 *   - the bytes of its pipes and of its pty. On its own terminal a program has the right to every escape
 * sequence; all of them pass through one function (pass_pty_output in relay.c), the place of a filter for
 * answerbacks and the clipboard;
 *   - when it reads and writes (see channel.h);
 *   - indirectly, what the supervisor says in a notice: escaped there, checked here (notice.h), and limited
 * in number. Why nothing else reaches the user's terminal: the world holds no descriptor on it, so no ioctl
 * (TIOCSTI, TIOCLINUX), no modes, no process group; it is not the world's controlling terminal; the modes set
 * on it come from cfmakeraw(3) and from what was found there. The modes of the pty inside are never copied
 * out. Messages come from the supervisor on a socket that the world does not hold; one that is malformed ends
 * the session.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "cli/stdio.h"

struct sg_relay {
	const struct sg_stdio *stdio; /* as inspected; borrowed */
	struct sg_stdio_pipes *pipes; /* the world's ends are closed, the front end's taken over by sg_relay_run() */
	int control; /* SOCK_SEQPACKET to the supervisor (world/control.h); borrowed, made O_NONBLOCK */
	bool quiet;  /* no notices */
	/*
	 * The world starts the command in a background group of its pty where stdio->keys_on_demand is set.
	 * If it does not, leave this unset, and the terminal is taken at once wherever we are in the
	 * foreground.
	 */
	bool on_demand;
	bool started; /* out: the supervisor said that the command started */
};

/*
 * Runs until the world has ended and what it wrote has been delivered, or the supervisor is gone. Blocks. To
 * be called in the only thread of the front end, after the fork of the supervisor.
 *
 * The supervisor must not keep descriptors 0-2 (else the other ends of the user's pipes do not see the end)
 * nor stay in the front end's process group (the terminal's signals are for the front end, which passes them
 * on).
 *
 * While it runs, SIGTERM SIGINT SIGHUP SIGQUIT SIGUSR1 SIGUSR2 SIGALRM go to the command as SG_CONTROL_SIGNAL
 * (but for those that were ignored: nohup), SIGTSTP too, and then this process stops; SIGPIPE and SIGXFSZ are
 * ignored. Masks and dispositions are as before afterwards, the terminal has its own modes again, and 0-1 may
 * be /dev/null where the stream ended. After the world has ended, one of the first four signals ends the
 * delivery of what is left.
 *
 * Standard input is read from SG_CONTROL_STARTED on. Its end closes the world's pipe. On a terminal in raw
 * mode there is no end of the input: Ctrl-D is a byte that the pty's own line discipline acts on; where the
 * terminal hangs up, the pty's master is closed, by which the kernel hangs up the pty. Like ssh, and unlike a
 * command that inherits the stream, the relay reads ahead of the command; a regular file's offset is set back
 * to what the command has read.
 *
 * *ret_status is the exit status of `run`: the world's; 125-127 when it could not be started (the reason is
 * printed on descriptor 2); 125 when the supervisor died or when the world succeeded but its output could not
 * be written (both printed); 128+n when signal n ended the delivery. Returns 0, or a negative errno value
 * when the relay could not be set up or run; the world is then ended by the supervisor, when the control
 * socket is closed.
 */
int sg_relay_run(struct sg_relay *relay, int *ret_status, struct sg_error *error);
