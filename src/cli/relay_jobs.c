#include <errno.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/fd.h"
#include "cli/relay_private.h"
#include "world/control.h"

enum {
	STOP_WAIT_MS = 1000,      /* how long the command may take to stop after SIGTSTP before we stop anyway */
	FOREGROUND_LOOK_MS = 250, /* how often a background job with wants_keys looks whether it was brought forward */
};

static const int forwarded[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM};
static const int ending[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
static const int ignored[] = {SIGPIPE, SIGXFSZ};

static bool is_one_of(int signal_number, const int *set, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (set[i] == signal_number)
			return true;
	return false;
}

/* What was ignored stays ignored (nohup; background jobs of a shell without job control). */
static void take_unless_ignored(struct sg_relay_state *state, int signal_number)
{
	struct sigaction action;

	if (sigaction(signal_number, NULL, &action) == 0 &&
	    ((action.sa_flags & SA_SIGINFO) != 0 || action.sa_handler != SIG_IGN))
		(void)sigaddset(&state->taken, signal_number);
}

int sg_relay_take_signals(struct sg_relay_state *state)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	(void)sigemptyset(&state->taken);
	for (size_t i = 0; i < SG_ARRAY_SIZE(forwarded); i++)
		take_unless_ignored(state, forwarded[i]);
	take_unless_ignored(state, SIGTSTP);
	(void)sigaddset(&state->taken, SIGCONT);
	(void)sigaddset(&state->taken, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &state->taken, &state->previous_mask) < 0)
		return -errno;
	for (size_t i = 0; i < SG_ARRAY_SIZE(ignored); i++)
		if (sigaction(ignored[i], &ignore, &state->previous_ignored[i]) < 0)
			return -errno;
	state->signals = signalfd(-1, &state->taken, SFD_CLOEXEC | SFD_NONBLOCK);
	return state->signals < 0 ? -errno : 0;
}

/* A signal that is still pending was for the command, which is gone: it is taken, or unblocking it would end
 * us. */
void sg_relay_release_signals(struct sg_relay_state *state)
{
	static const struct timespec at_once = {0};

	while (sigtimedwait(&state->taken, NULL, &at_once) > 0)
		;
	state->signals = sg_fd_close(state->signals);
	for (size_t i = 0; i < SG_ARRAY_SIZE(ignored); i++)
		(void)sigaction(ignored[i], &state->previous_ignored[i], NULL);
	(void)sigprocmask(SIG_SETMASK, &state->previous_mask, NULL);
}

void sg_relay_forward_signals(struct sg_relay_state *state)
{
	for (int n = 1; n < 64 && state->to_forward != 0; n++) {
		struct sg_control_message message = {.kind = SG_CONTROL_SIGNAL, .value = n};

		if ((state->to_forward & (UINT64_C(1) << n)) == 0)
			continue;
		/* A full socket is tried again when poll says so; a dead one is noticed when it is read. */
		if (sg_fd_send(state->relay->control, &message, offsetof(struct sg_control_message, text), NULL, 0) ==
		    -EAGAIN)
			return;
		state->to_forward &= ~(UINT64_C(1) << n);
	}
}

static void forward(struct sg_relay_state *state, int signal_number)
{
	state->to_forward |= UINT64_C(1) << signal_number;
	sg_relay_forward_signals(state);
}

void sg_relay_take_terminal(struct sg_relay_state *state)
{
	bool running = state->phase == PHASE_RUNNING && state->master >= 0;
	int outcome;

	if (!state->wants_keys || !running || !state->channels[CHANNEL_KEYS].open)
		return;
	outcome = sg_terminal_set_raw(&state->terminal);
	/*
	 * What was found at the start were the modes of whoever had the terminal then: for a background job those
	 * of a shell's line editor. The command could not change its own without being stopped and coming here.
	 */
	if (outcome == 0 && state->modes_are_foreign) {
		(void)tcsetattr(state->master, TCSANOW, &state->terminal.saved);
		state->modes_are_foreign = false;
	}
	if (outcome == 0)
		(void)sg_terminal_copy_window(&state->terminal, state->master);
	state->channels[CHANNEL_KEYS].paused = outcome != 0;
	/* `fg` for a job that runs in the background sends no signal (bash): there is nothing but to look. */
	state->watches_foreground = outcome > 0;
	state->look_ns = state->now_ns + UINT64_C(1000000) * FOREGROUND_LOOK_MS;
}

/*
 * Stops as a job does, by the signal's default action, which has no effect in an orphaned process group,
 * where nobody could continue us, nor where the signal is ignored (a shell without job control). Returns when
 * continued, or not stopped.
 */
static void stop_by_default(int signal_number, bool whole_group)
{
	sigset_t set, before;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, signal_number);
	(void)sigprocmask(SIG_BLOCK, &set, &before);
	(void)kill(whole_group ? 0 : getpid(), signal_number);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
}

static void resume(struct sg_relay_state *state)
{
	state->now_ns = sg_relay_clock();
	sg_relay_take_terminal(state);
	if (state->phase == PHASE_RUNNING)
		forward(state, SIGCONT);
}

static void stop(struct sg_relay_state *state, int signal_number, bool whole_group)
{
	static const struct timespec at_once = {0};
	sigset_t cont;

	state->stop_ns = 0;
	state->channels[CHANNEL_KEYS].paused = true;
	sg_relay_flush(state);
	sg_terminal_restore(&state->terminal);
	stop_by_default(signal_number, whole_group);
	/* The SIGCONT that woke us has been answered by resume(). */
	(void)sigemptyset(&cont);
	(void)sigaddset(&cont, SIGCONT);
	(void)sigtimedwait(&cont, NULL, &at_once);
	resume(state);
}

/*
 * By SIGTTIN or SIGTTOU the command asks for the terminal: it is taken, or, in the background, we stop as the
 * command would have. By SIGTSTP (Ctrl-Z inside) our whole process group stops, as it would if the terminal
 * had sent the signal to it; after a SIGTSTP that we passed on, or another signal that someone sent to the
 * command alone, only we do. Without a terminal there is no job control that would continue us: whoever stopped the
 * command may continue it, and we go on.
 */
void sg_relay_command_stopped(struct sg_relay_state *state, int signal_number)
{
	bool wants_terminal = signal_number == SIGTTIN || signal_number == SIGTTOU;
	bool from_keys = signal_number == SIGTSTP && state->terminal.raw && state->stop_ns == 0;

	if (state->phase != PHASE_RUNNING || (state->terminal.fd < 0 && state->stop_ns == 0))
		return;
	if (wants_terminal && state->terminal.fd >= 0) {
		state->wants_keys = true;
		if (sg_terminal_is_foreground(&state->terminal))
			resume(state);
		else
			stop(state, signal_number, false);
		return;
	}
	stop(state, SIGTSTP, from_keys);
}

static void handle(struct sg_relay_state *state, int signal_number)
{
	if (signal_number == SIGWINCH) {
		if (state->master >= 0)
			(void)sg_terminal_copy_window(&state->terminal, state->master);
	} else if (signal_number == SIGCONT) {
		resume(state);
	} else if (state->phase == PHASE_DRAINING) {
		if (is_one_of(signal_number, ending, SG_ARRAY_SIZE(ending))) {
			state->status = 128 + signal_number;
			state->phase = PHASE_ENDED;
		}
	} else {
		forward(state, signal_number);
		if (signal_number == SIGTSTP)
			state->stop_ns = state->now_ns + UINT64_C(1000000) * STOP_WAIT_MS;
	}
}

void sg_relay_handle_signals(struct sg_relay_state *state)
{
	struct signalfd_siginfo info;

	while (read(state->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		handle(state, (int)info.ssi_signo);
}

void sg_relay_run_timers(struct sg_relay_state *state)
{
	if (state->stop_ns != 0 && state->now_ns >= state->stop_ns)
		stop(state, SIGTSTP, false);
	if (state->watches_foreground && state->now_ns >= state->look_ns)
		sg_relay_take_terminal(state);
	sg_relay_notice_omitted(state, false);
}
