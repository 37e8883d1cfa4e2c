/* See relay.h for what the world controls here, and why nothing else reaches the user's terminal. */
#include "cli/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cli/relay_private.h"
#include "world/control.h"

enum { STATUS_OWN_FAULT = 125, CONTROL_AT_ONCE = 32, POLLS = 2 + 2 * CHANNEL_COUNT, FLUSH_ROUNDS = 64 };

static const uint64_t ns_per_ms = 1000000;

uint64_t sg_relay_clock(void)
{
	return sg_now_ns();
}

/*
 * Everything that the world shows on the user's terminal passes here, and nowhere else: `size` bytes as read
 * from the pty's master, at any boundary. What a filter takes out is taken out here.
 */
static size_t pass_pty_output(void *data, char *bytes, size_t size)
{
	struct sg_relay_state *state = data;

	if (size > 0)
		state->mid_line = bytes[size - 1] != '\n';
	return size;
}

/* In the order of CHANNEL_STDIN, _STDOUT, _STDERR, which are descriptors 0-2. */
static void open_streams(struct sg_relay_state *state)
{
	struct sg_stdio_pipes *pipes = state->relay->pipes;

	sg_stdio_pipes_close_world(pipes);
	for (int i = 0; i < 3; i++) {
		int front = sg_fd_take(&pipes->front[i]);

		if (front >= 0)
			sg_channel_open(&state->channels[i], i == 0 ? 0 : front, i == 0 ? front : i);
	}
	state->channels[CHANNEL_STDIN].paused = true;
}

/* `master` is taken over. */
static void open_pty(struct sg_relay_state *state, int master)
{
	int flags = fcntl(master, F_GETFL);
	const struct sg_terminal *terminal = &state->terminal;

	state->master = master;
	if (flags >= 0)
		(void)fcntl(master, F_SETFL, flags | O_NONBLOCK);
	state->slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	sg_channel_open_terminal(&state->channels[CHANNEL_SCREEN], master, terminal->fd, terminal->blocking,
				 pass_pty_output, state);
	sg_channel_open_terminal(&state->channels[CHANNEL_KEYS], terminal->fd, master, false, NULL, NULL);
	state->channels[CHANNEL_KEYS].paused = true;
}

static void close_pty(struct sg_relay_state *state)
{
	sg_channel_end(&state->channels[CHANNEL_KEYS], 0);
	sg_channel_end(&state->channels[CHANNEL_SCREEN], 0);
	state->slave = sg_fd_close(state->slave);
	state->master = sg_fd_close(state->master);
}

/* Nothing more goes in; what is there comes out. */
static void start_draining(struct sg_relay_state *state, int status)
{
	state->phase = PHASE_DRAINING;
	state->status = status;
	sg_channel_end(&state->channels[CHANNEL_STDIN], 0);
	sg_channel_end(&state->channels[CHANNEL_KEYS], 0);
	for (int i = 0; i < CHANNEL_COUNT; i++)
		state->channels[i].finishing = true;
}

/* Delivers what is left, gives the terminal back, and says why it ended. */
static void fail(struct sg_relay_state *state, int status, const char *text, size_t length)
{
	start_draining(state, status);
	length = length < sizeof(state->last_words) ? length : sizeof(state->last_words);
	memcpy(state->last_words, text, length);
	state->last_words_size = length;
}

static void fail_text(struct sg_relay_state *state, const char *text)
{
	fail(state, STATUS_OWN_FAULT, text, strlen(text));
}

static void on_started(struct sg_relay_state *state, int *fd)
{
	if (state->phase != PHASE_STARTING)
		return;
	state->phase = PHASE_RUNNING;
	state->relay->started = true;
	state->channels[CHANNEL_STDIN].paused = false;
	if (*fd < 0 || state->terminal.fd < 0)
		return;
	open_pty(state, sg_fd_take(fd));
	sg_relay_take_terminal(state);
}

static void act_on(struct sg_relay_state *state, const struct sg_control_message *message, int *fd)
{
	switch (message->kind) {
	case SG_CONTROL_STARTED:
		on_started(state, fd);
		break;
	case SG_CONTROL_NOTICE:
		sg_relay_notice(state, message->text, message->text_size);
		break;
	case SG_CONTROL_FAILED:
		fail(state, message->value >= 125 && message->value <= 127 ? message->value : STATUS_OWN_FAULT,
		     message->text, message->text_size);
		break;
	case SG_CONTROL_STOPPED:
		sg_relay_command_stopped(state, message->value);
		break;
	case SG_CONTROL_ENDED:
		start_draining(state, message->value >= 0 && message->value <= 255 ? message->value : STATUS_OWN_FAULT);
		break;
	default:
		fail_text(state, "the supervisor sent a message that is not known; the world was ended");
		break;
	}
}

/* True if `size` bytes are a whole message. */
static bool is_well_formed(const struct sg_control_message *message, size_t size)
{
	size_t head = offsetof(struct sg_control_message, text);

	return size >= head && message->text_size <= SG_CONTROL_TEXT_MAX && message->text_size <= size - head;
}

/* One message. Returns false when there is none left or the session is at its end. */
static bool receive_one(struct sg_relay_state *state)
{
	struct sg_control_message message;
	int received[1] = {-1};
	size_t count = 0;
	SG_AUTO_FD int fd = -1;
	ssize_t size = sg_fd_receive(state->relay->control, &message, sizeof(message), received, 1, &count);

	if (size == -EAGAIN)
		return false;
	if (size > 0 && count == 1)
		fd = received[0];
	if (size == 0 || size == -ECONNRESET)
		fail_text(state, "the supervisor died; the world was ended");
	else if (size < 0 || !is_well_formed(&message, (size_t)size))
		fail_text(state, "the supervisor sent a malformed message; the world was ended");
	else
		act_on(state, &message, &fd);
	return state->phase < PHASE_DRAINING;
}

static void handle_control(struct sg_relay_state *state, const struct pollfd *entry)
{
	if ((entry->revents & POLLOUT) != 0)
		sg_relay_forward_signals(state);
	if ((entry->revents & ~POLLOUT) == 0)
		return;
	for (int i = 0; i < CONTROL_AT_ONCE && receive_one(state); i++)
		;
}

static void fill_polls(struct sg_relay_state *state, struct pollfd polls[POLLS])
{
	bool listens = state->phase < PHASE_DRAINING;

	polls[0] = (struct pollfd){.fd = listens ? state->relay->control : -1,
				   .events = (short)(POLLIN | (state->to_forward != 0 ? POLLOUT : 0))};
	polls[1] = (struct pollfd){.fd = state->signals, .events = POLLIN};
	for (int i = 0; i < CHANNEL_COUNT; i++)
		sg_channel_poll(&state->channels[i], &polls[2 + 2 * i], &polls[3 + 2 * i]);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* When something is due without an event, or 0: never. */
static uint64_t next_deadline(const struct sg_relay_state *state)
{
	int notice_ms = sg_notice_wait_ms(&state->notice, state->now_ns / ns_per_ms);
	uint64_t due = earlier(state->stop_ns, state->watches_foreground ? state->look_ns : 0);

	if (notice_ms >= 0)
		due = earlier(due, state->now_ns + ((uint64_t)notice_ms + 1) * ns_per_ms);
	for (int i = 0; i < CHANNEL_COUNT; i++)
		if (state->channels[i].open)
			due = earlier(due, state->channels[i].rest_until_ns);
	return due;
}

/* An empty input of a world that is gone is its end, though no event says so: someone may hold the other end
 * still. */
static bool looks_for_the_end(const struct sg_relay_state *state, const struct pollfd polls[POLLS])
{
	for (int i = 0; i < CHANNEL_COUNT; i++)
		if (state->phase == PHASE_DRAINING && polls[2 + 2 * i].fd >= 0)
			return true;
	return false;
}

static int wait_for_events(struct sg_relay_state *state, struct pollfd polls[POLLS])
{
	uint64_t due = looks_for_the_end(state, polls) ? state->now_ns : next_deadline(state);
	uint64_t wait = due > state->now_ns ? due - state->now_ns : 0;
	struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000000), .tv_nsec = (long)(wait % 1000000000)};
	int r = ppoll(polls, POLLS, due != 0 ? &timeout : NULL, NULL);

	if (r < 0 && errno != EINTR)
		return -errno;
	if (r < 0)
		for (int i = 0; i < POLLS; i++)
			polls[i].revents = 0;
	state->now_ns = sg_relay_clock();
	return 0;
}

void sg_relay_flush(struct sg_relay_state *state)
{
	static const enum relay_channel outputs[] = {CHANNEL_SCREEN, CHANNEL_STDOUT, CHANNEL_STDERR};

	for (size_t i = 0; i < SG_ARRAY_SIZE(outputs); i++) {
		struct sg_channel *channel = &state->channels[outputs[i]];

		for (int round = 0; round < FLUSH_ROUNDS && channel->open; round++) {
			struct pollfd polls[2];

			channel->rest_until_ns = 0;
			sg_channel_poll(channel, &polls[0], &polls[1]);
			if (poll(polls, 2, 0) <= 0)
				break;
			sg_channel_step(channel, &polls[0], &polls[1], state->now_ns);
		}
	}
}

static bool is_delivered(const struct sg_relay_state *state)
{
	for (int i = 0; i < CHANNEL_COUNT; i++)
		if (state->channels[i].open)
			return false;
	return true;
}

static int run(struct sg_relay_state *state)
{
	/* The screen before the pipes: what is typed was echoed there before a program could answer it elsewhere. */
	static const enum relay_channel order[] = {CHANNEL_KEYS, CHANNEL_SCREEN, CHANNEL_STDIN, CHANNEL_STDOUT,
						   CHANNEL_STDERR};
	struct pollfd polls[POLLS];

	_Static_assert(SG_ARRAY_SIZE(order) == CHANNEL_COUNT, "each channel is stepped");
	while (state->phase != PHASE_ENDED) {
		int r;

		fill_polls(state, polls);
		r = wait_for_events(state, polls);
		if (r < 0)
			return r;
		/* Streams first: what poll said of them is about the descriptors that they have now. */
		for (size_t n = 0; n < SG_ARRAY_SIZE(order); n++)
			sg_channel_step(&state->channels[order[n]], &polls[2 + 2 * order[n]], &polls[3 + 2 * order[n]],
					state->now_ns);
		if (state->master >= 0 && state->phase == PHASE_RUNNING &&
		    (!state->channels[CHANNEL_KEYS].open || !state->channels[CHANNEL_SCREEN].open))
			close_pty(state);
		if (polls[0].revents != 0)
			handle_control(state, &polls[0]);
		if (polls[1].revents != 0)
			sg_relay_handle_signals(state);
		sg_relay_run_timers(state);
		if (state->phase == PHASE_DRAINING && is_delivered(state))
			state->phase = PHASE_ENDED;
	}
	return 0;
}

/* Output that could not be written is a failure of the whole, whatever the command thinks. */
static void report_streams(struct sg_relay_state *state)
{
	static const char *const names[] = {"standard input", "standard output", "standard error"};

	for (int i = CHANNEL_STDIN; i <= CHANNEL_STDERR; i++) {
		char text[128];
		int length;

		if (state->channels[i].error == 0)
			continue;
		length = snprintf(text, sizeof(text), "%s: %s", names[i], strerror(-state->channels[i].error));
		sg_relay_message(text, (size_t)length);
		if (i != CHANNEL_STDIN && state->status == 0)
			state->status = STATUS_OWN_FAULT;
	}
}

static void report(struct sg_relay_state *state)
{
	sg_relay_notice_omitted(state, true);
	if (state->mid_line && state->last_words_size > 0 && state->relay->stdio->of[2].kind == SG_STDIO_TERMINAL)
		(void)sg_fd_write_full(STDERR_FILENO, "\n", 1);
	if (state->last_words_size > 0)
		sg_relay_message(state->last_words, state->last_words_size);
	report_streams(state);
}

static int set_up(struct sg_relay_state *state, struct sg_error *error)
{
	const struct sg_stdio *stdio = state->relay->stdio;
	int flags = fcntl(state->relay->control, F_GETFL);
	int r = sg_relay_take_signals(state);

	if (r < 0)
		return sg_error_set_errno(error, r, "cannot take signals");
	if (flags < 0 || fcntl(state->relay->control, F_SETFL, flags | O_NONBLOCK) < 0)
		return sg_error_set_errno(error, -errno, "the socket to the supervisor");
	if (stdio->terminal >= 0) {
		r = sg_terminal_open(&state->terminal, stdio->terminal);
		if (r < 0)
			return sg_error_set_errno(error, r, "cannot open the terminal");
	}
	state->wants_keys = !(state->relay->on_demand && stdio->keys_on_demand);
	state->modes_are_foreign = stdio->keys_on_demand;
	open_streams(state);
	state->now_ns = sg_relay_clock();
	sg_notice_init(&state->notice, state->now_ns / ns_per_ms);
	return 0;
}

int sg_relay_run(struct sg_relay *relay, int *ret_status, struct sg_error *error)
{
	struct sg_relay_state state = {
		.relay = relay, .terminal = SG_TERMINAL_INIT, .master = -1, .slave = -1, .signals = -1};
	int r;

	for (int i = 0; i < CHANNEL_COUNT; i++)
		state.channels[i] = SG_CHANNEL_INIT;
	r = set_up(&state, error);
	if (r == 0) {
		r = run(&state);
		if (r < 0)
			(void)sg_error_set_errno(error, r, "cannot wait for the world");
	}
	sg_terminal_restore(&state.terminal);
	for (int i = 0; i < CHANNEL_COUNT; i++)
		sg_channel_done(&state.channels[i]);
	if (r == 0)
		report(&state);
	close_pty(&state);
	sg_terminal_done(&state.terminal);
	sg_stdio_pipes_done(relay->pipes);
	sg_relay_release_signals(&state);
	if (r < 0)
		return r;
	*ret_status = state.status;
	return 0;
}
