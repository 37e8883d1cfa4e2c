#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/fd.h"

/* The signals by which a fault of our own ends us. Those that others send are taken by the relay's signalfd.
 */
static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP};

/*
 * What the handler restores. Owned by the thread that calls set_raw and restore; `armed` is set after and
 * cleared before the rest changes, so that a handler that interrupts this thread sees a whole record.
 */
static struct {
	volatile sig_atomic_t armed;
	int fd;
	pid_t owner;
	struct termios saved;
	struct sigaction previous[SG_ARRAY_SIZE(fatal_signals)];
	bool installed[SG_ARRAY_SIZE(fatal_signals)];
} emergency;

/* Async-signal-safe: tcsetattr, getpid, raise (signal-safety(7)). SA_RESETHAND: the second time it is fatal.
 */
static void on_fatal_signal(int signal_number)
{
	if (emergency.armed && emergency.owner == getpid())
		(void)tcsetattr(emergency.fd, TCSANOW, &emergency.saved);
	(void)raise(signal_number);
}

static void arm(const struct sg_terminal *terminal)
{
	struct sigaction action = {.sa_handler = on_fatal_signal, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};

	if (emergency.armed)
		return;
	emergency.fd = terminal->fd;
	emergency.owner = getpid();
	emergency.saved = terminal->saved;
	for (size_t i = 0; i < SG_ARRAY_SIZE(fatal_signals); i++) {
		struct sigaction *previous = &emergency.previous[i];

		emergency.installed[i] = sigaction(fatal_signals[i], NULL, previous) == 0 &&
					 (previous->sa_flags & SA_SIGINFO) == 0 && previous->sa_handler == SIG_DFL &&
					 sigaction(fatal_signals[i], &action, NULL) == 0;
	}
	emergency.armed = 1;
}

static void disarm(void)
{
	if (!emergency.armed)
		return;
	emergency.armed = 0;
	for (size_t i = 0; i < SG_ARRAY_SIZE(fatal_signals); i++)
		if (emergency.installed[i])
			(void)sigaction(fatal_signals[i], &emergency.previous[i], NULL);
}

bool sg_terminal_same(int a, int b)
{
	unsigned int device_a, device_b;

	return ioctl(a, TIOCGDEV, &device_a) == 0 && ioctl(b, TIOCGDEV, &device_b) == 0 && device_a == device_b;
}

static int open_above(const char *path)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fd > 2 ? fd : sg_fd_move_above(fd, 3);
}

int sg_terminal_reopen(int fd)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (int attempt = 0; attempt < 2; attempt++) {
		SG_AUTO_FD int opened = open_above(attempt == 0 ? path : "/dev/tty");

		if (opened >= 0 && sg_terminal_same(fd, opened))
			return sg_fd_take(&opened);
	}
	return -ENXIO;
}

int sg_terminal_open(struct sg_terminal *ret, int fd)
{
	struct sg_terminal terminal = SG_TERMINAL_INIT;

	terminal.fd = sg_terminal_reopen(fd);
	if (terminal.fd < 0) {
		terminal.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		terminal.blocking = true;
	}
	if (terminal.fd < 0)
		return -errno;
	*ret = terminal;
	return 0;
}

void sg_terminal_done(struct sg_terminal *terminal)
{
	sg_terminal_restore(terminal);
	terminal->fd = sg_fd_close(terminal->fd);
}

bool sg_terminal_is_foreground(const struct sg_terminal *terminal)
{
	pid_t group;

	if (terminal->fd < 0)
		return false;
	group = tcgetpgrp(terminal->fd);
	return group < 0 ? errno == ENOTTY : group == getpgrp();
}

int sg_terminal_set_raw(struct sg_terminal *terminal)
{
	struct termios raw;

	if (terminal->fd < 0)
		return -ENOTTY;
	if (!sg_terminal_is_foreground(terminal))
		return 1;
	if (!terminal->raw && tcgetattr(terminal->fd, &terminal->saved) < 0)
		return -errno;
	raw = terminal->saved;
	cfmakeraw(&raw);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	arm(terminal);
	terminal->raw = true;
	while (tcsetattr(terminal->fd, TCSANOW, &raw) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

void sg_terminal_restore(struct sg_terminal *terminal)
{
	if (!terminal->raw)
		return;
	if (sg_terminal_is_foreground(terminal))
		while (tcsetattr(terminal->fd, TCSANOW, &terminal->saved) < 0 && errno == EINTR)
			;
	terminal->raw = false;
	disarm();
}

int sg_terminal_copy_window(const struct sg_terminal *terminal, int master)
{
	struct winsize window;

	if (terminal->fd < 0 || ioctl(terminal->fd, TIOCGWINSZ, &window) < 0)
		return -ENOTTY;
	return ioctl(master, TIOCSWINSZ, &window) < 0 ? -errno : 0;
}
