#include "cli/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/terminal.h"

static bool same_by_appearance(int a, int b)
{
	struct stat status_a, status_b;

	if (fstat(a, &status_a) < 0 || fstat(b, &status_b) < 0)
		return false;
	return status_a.st_dev == status_b.st_dev && status_a.st_ino == status_b.st_ino &&
	       fcntl(a, F_GETFL) == fcntl(b, F_GETFL) && lseek(a, 0, SEEK_CUR) == lseek(b, 0, SEEK_CUR);
}

static bool same_description(int a, int b)
{
	pid_t self = getpid();
	long order = syscall(SYS_kcmp, self, self, KCMP_FILE, (unsigned long)a, (unsigned long)b);

	return order >= 0 ? order == 0 : same_by_appearance(a, b);
}

/* Fills a closed descriptor with /dev/null. The lower ones are open by then, so open() gives this very
 * number. */
static int fill(int fd, struct sg_error *error)
{
	int opened = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (opened < 0)
		return sg_error_set_errno(error, -errno, "open /dev/null");
	if (opened != fd) {
		sg_fd_close(opened);
		return sg_error_set(error, -EBADF, "descriptor %d changed while it was looked at", fd);
	}
	return 0;
}

static bool is_pipe_or_socket(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

static void inspect_terminal(struct sg_stdio *stdio)
{
	for (int i = 0; i < 3 && stdio->terminal < 0; i++)
		if (stdio->of[i].kind != SG_STDIO_CLOSED && tcgetattr(i, &stdio->termios) == 0)
			stdio->terminal = i;
	if (stdio->terminal < 0)
		return;
	stdio->wants_pty = true;
	for (int i = 0; i < 3; i++)
		if (stdio->of[i].kind == SG_STDIO_STREAM && sg_terminal_same(i, stdio->terminal))
			stdio->of[i].kind = SG_STDIO_TERMINAL;
	(void)ioctl(stdio->terminal, TIOCGWINSZ, &stdio->window);
	stdio->keys_on_demand = stdio->of[0].kind != SG_STDIO_TERMINAL || is_pipe_or_socket(1) ||
				tcgetpgrp(stdio->terminal) != getpgrp();
}

int sg_stdio_inspect(struct sg_stdio *ret, struct sg_error *error)
{
	struct sg_stdio stdio = {.terminal = -1};

	for (int i = 0; i < 3; i++) {
		stdio.of[i].same_as = -1;
		if (fcntl(i, F_GETFD) >= 0) {
			stdio.of[i].kind = SG_STDIO_STREAM;
			continue;
		}
		stdio.of[i].kind = SG_STDIO_CLOSED;
		int r = fill(i, error);
		if (r < 0)
			return r;
	}
	for (int i = 1; i < 3; i++)
		for (int j = 0; j < i && stdio.of[i].same_as < 0; j++)
			if (stdio.of[i].kind == SG_STDIO_STREAM && stdio.of[j].kind == SG_STDIO_STREAM &&
			    same_description(i, j))
				stdio.of[i].same_as = j;
	inspect_terminal(&stdio);
	*ret = stdio;
	return 0;
}

/* Pipes must not land on 0-2, which may be closed in a caller that did not inspect them. */
static int make_pipe(int ret_ends[2], int front)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		int moved = ends[i] > 2 ? ends[i] : sg_fd_move_above(ends[i], 3);

		if (moved < 0) {
			sg_fd_close(ends[0]);
			sg_fd_close(ends[1]);
			return moved;
		}
		ends[i] = moved;
	}
	if (fcntl(ends[front], F_SETFL, fcntl(ends[front], F_GETFL) | O_NONBLOCK) < 0) {
		int r = -errno;

		sg_fd_close(ends[0]);
		sg_fd_close(ends[1]);
		return r;
	}
	ret_ends[0] = ends[0];
	ret_ends[1] = ends[1];
	return 0;
}

static int make_one(const struct sg_stdio *stdio, int i, struct sg_stdio_pipes *pipes)
{
	int ends[2] = {-1, -1};
	int r;

	if (i == 2 && stdio->of[2].same_as >= 0 && stdio->of[1].kind == SG_STDIO_STREAM &&
	    (stdio->of[2].same_as == 1 || stdio->of[1].same_as == stdio->of[2].same_as)) {
		pipes->world[2] = fcntl(pipes->world[1], F_DUPFD_CLOEXEC, 3);
		return pipes->world[2] < 0 ? -errno : 0;
	}
	r = make_pipe(ends, i == 0 ? 1 : 0);
	if (r < 0)
		return r;
	pipes->world[i] = ends[i == 0 ? 0 : 1];
	pipes->front[i] = ends[i == 0 ? 1 : 0];
	return 0;
}

int sg_stdio_make_pipes(const struct sg_stdio *stdio, struct sg_stdio_pipes *ret, struct sg_error *error)
{
	struct sg_stdio_pipes pipes = SG_STDIO_PIPES_INIT;

	for (int i = 0; i < 3; i++) {
		int r = stdio->of[i].kind == SG_STDIO_STREAM ? make_one(stdio, i, &pipes) : 0;

		if (r < 0) {
			sg_stdio_pipes_done(&pipes);
			return sg_error_set_errno(error, r, "cannot make a pipe for descriptor %d", i);
		}
	}
	*ret = pipes;
	return 0;
}

void sg_stdio_pipes_close_world(struct sg_stdio_pipes *pipes)
{
	for (int i = 0; i < 3; i++)
		pipes->world[i] = sg_fd_close(pipes->world[i]);
}

void sg_stdio_pipes_close_front(struct sg_stdio_pipes *pipes)
{
	for (int i = 0; i < 3; i++)
		pipes->front[i] = sg_fd_close(pipes->front[i]);
}

void sg_stdio_pipes_done(struct sg_stdio_pipes *pipes)
{
	sg_stdio_pipes_close_world(pipes);
	sg_stdio_pipes_close_front(pipes);
}

int sg_stdio_prepare_pty(const struct sg_stdio *stdio, int pty)
{
	if (stdio->terminal < 0)
		return 0;
	if (tcsetattr(pty, TCSANOW, &stdio->termios) < 0)
		return -errno;
	return ioctl(pty, TIOCSWINSZ, &stdio->window) < 0 ? -errno : 0;
}
