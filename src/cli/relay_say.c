#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/relay_private.h"

static uint64_t now_ms(const struct sg_relay_state *state)
{
	return state->now_ns / 1000000;
}

/* Without a pty: on the terminal that controls us, never on a pipe or file. Dropped where it would have to
 * wait. */
static void write_to_tty(const char *line, size_t size)
{
	SG_AUTO_FD int fd = open("/dev/tty", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct sg_terminal terminal = {.fd = fd};

	if (fd >= 0 && sg_terminal_is_foreground(&terminal) && write(fd, line, size) < 0)
		return;
}

/* Where the pty's output goes, a line joins its queue, so that neither cuts the other. */
static void show(struct sg_relay_state *state, const char *text, size_t length)
{
	char line[SG_NOTICE_LINE_MAX];
	size_t size = sg_notice_format(line, text, length, state->mid_line);
	struct sg_channel *screen = &state->channels[CHANNEL_SCREEN];

	if (state->terminal.fd < 0) {
		write_to_tty(line, size);
		return;
	}
	if (state->relay->stdio->of[2].kind != SG_STDIO_TERMINAL && !sg_terminal_is_foreground(&state->terminal))
		return;
	if (screen->open) {
		if (sg_channel_insert(screen, line, size) == 0)
			state->mid_line = false;
	} else if (write(state->terminal.fd, line, size) > 0) {
		state->mid_line = false;
	}
}

void sg_relay_notice(struct sg_relay_state *state, const char *text, size_t length)
{
	if (state->relay->quiet)
		return;
	if (sg_notice_allow(&state->notice, now_ms(state)))
		show(state, text, length);
}

void sg_relay_notice_omitted(struct sg_relay_state *state, bool final)
{
	unsigned long omitted = sg_notice_omitted(&state->notice, now_ms(state), final);
	char text[96];
	int length;

	if (omitted == 0)
		return;
	length = snprintf(text, sizeof(text), "%lu further notice%s left out", omitted,
			  omitted == 1 ? " was" : "s were");
	show(state, text, (size_t)length);
}

void sg_relay_message(const char *text, size_t length)
{
	char line[SG_NOTICE_LINE_MAX];
	size_t size = sg_notice_format(line, text, length, false);

	/* Descriptor 2 may be a file: a plain newline. */
	line[size - 2] = '\n';
	(void)sg_fd_write_full(STDERR_FILENO, line, size - 1);
}
