/* The state of a running relay, shared by relay.c (streams, control messages), relay_jobs.c and relay_say.c
 * alone. */
#pragma once

#include <signal.h>
#include <stdint.h>

#include "cli/channel.h"
#include "cli/notice.h"
#include "cli/relay.h"
#include "cli/terminal.h"

enum relay_channel { CHANNEL_STDIN, CHANNEL_STDOUT, CHANNEL_STDERR, CHANNEL_KEYS, CHANNEL_SCREEN, CHANNEL_COUNT };

enum relay_phase {
	PHASE_STARTING, /* before STARTED: the user's input is not read yet */
	PHASE_RUNNING,
	PHASE_DRAINING, /* the world is gone: what it left in the pipes is delivered */
	PHASE_ENDED,
};

struct sg_relay_state {
	struct sg_relay *relay;
	enum relay_phase phase;
	int status;
	struct sg_channel channels[CHANNEL_COUNT];
	struct sg_terminal terminal;

	int master;    /* of the world's pty, or -1 */
	int slave;     /* kept open, so that the master is not hung up while no program has the slave open; or -1
		     */
	bool mid_line; /* the last byte shown on the terminal was not a newline */

	int signals; /* signalfd */
	sigset_t previous_mask;
	sigset_t taken; /* what the signalfd takes */
	struct sigaction previous_ignored[2];
	uint64_t to_forward;     /* bit n: signal n is to be sent to the supervisor */
	bool wants_keys;         /* the terminal is to be taken when we are in the foreground */
	bool modes_are_foreign;  /* the pty has the modes that the terminal had while it was not ours */
	bool watches_foreground; /* it was not; there is no event for it: look again at `look_ns` */
	uint64_t look_ns;
	uint64_t stop_ns; /* SIGTSTP was passed on: stop when the command has, at this time at the latest; 0:
			     no */

	char last_words[SG_CONTROL_TEXT_MAX]; /* printed when everything is delivered and the terminal
						 restored */
	size_t last_words_size;

	struct sg_notice notice;
	uint64_t now_ns; /* CLOCK_MONOTONIC, of the last return from poll */
};

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t sg_relay_clock(void);

/* Moves what the world has written so far, as far as the user's side takes it at once: before we stop. Does
 * not block. */
void sg_relay_flush(struct sg_relay_state *state);

/* relay_jobs.c: signals and job control. */

/* Takes the signals. Returns 0 or a negative errno value; sg_relay_release_signals() is safe after both. */
int sg_relay_take_signals(struct sg_relay_state *state);
void sg_relay_release_signals(struct sg_relay_state *state);

/* Reads the signalfd and acts. */
void sg_relay_handle_signals(struct sg_relay_state *state);

/* Sends what is to be forwarded as far as the socket takes it. */
void sg_relay_forward_signals(struct sg_relay_state *state);

/* The command was stopped by `signal_number`. */
void sg_relay_command_stopped(struct sg_relay_state *state, int signal_number);

/* Takes the terminal if it is wanted and we are in the foreground: raw mode, window size, keys. */
void sg_relay_take_terminal(struct sg_relay_state *state);

/* Does what is due at `now_ns`. */
void sg_relay_run_timers(struct sg_relay_state *state);

/* relay_say.c: lines of our own. */

/* A notice of `length` bytes from the supervisor, subject to the limit; nothing when quiet. */
void sg_relay_notice(struct sg_relay_state *state, const char *text, size_t length);

/* Says how many notices were left out, if it is time to (or `final`). */
void sg_relay_notice_omitted(struct sg_relay_state *state, bool final);

/*
 * A message of the program itself on descriptor 2, whatever that is ("shellguard: TEXT"); escaped. Blocks: to
 * be used when the terminal has been restored and nothing is left to relay.
 */
void sg_relay_message(const char *text, size_t length);
