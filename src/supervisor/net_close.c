/*
 * Closing our copies of the world's sockets.
 *
 * close(2) of the last descriptor of a TCP socket waits until its peer has taken all that is queued, for as long as SO_LINGER
 * says (socket(7)), and the world sets that option: an hour, say, with a peer that never reads. Whether ours is the last is the
 * world's to arrange: a caller that waits here for room in a queue is killed, or a sibling closes the number meanwhile. Then the main
 * thread would stand there, and with it everything that the session's owner may want of it. So nobody lingers here:
 *
 * - An option that is set is taken back first, unless the caller has the socket still, under the number that its call named. Whoever
 *   shares a socket that was lost that way keeps all of it but how long a close waits.
 * - What else happens in between (a sibling sets the option, or closes its number, just then) is of the guard: it ends the wait, and
 *   the socket is closed all the same. That the world has to win anew for each, within a microsecond.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/guard.h"
#include "supervisor/network.h"

static bool lingers(int fd)
{
	struct linger linger = {0};
	socklen_t size = sizeof(linger);

	return getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size) == 0 && linger.l_onoff != 0 &&
	       linger.l_linger != 0;
}

static void let_go_at_once(int fd)
{
	const struct linger off = {.l_onoff = 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
}

/* "socket:[INODE]" of the caller's number. A thread that has ended has none. */
static bool is_held(const struct sg_net_socket *holder, int fd)
{
	char path[48], text[48] = {0}, own[48];
	struct stat status;

	if (holder == NULL || holder->tid == 0 || fstat(fd, &status) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "%d/fd/%d", (int)holder->tid, holder->number);
	(void)snprintf(own, sizeof(own), "socket:[%lu]", (unsigned long)status.st_ino);
	return readlinkat(holder->proc, path, text, sizeof(text) - 1) > 0 && strcmp(text, own) == 0;
}

static int close_guarded(int fd, bool at_once)
{
	const int saved = errno;
	const bool guarded = sg_guard_begin() == 0;

	if (at_once || !guarded)
		let_go_at_once(fd);
	(void)close(fd);
	if (guarded)
		sg_guard_end();
	errno = saved;
	return -1;
}

int sg_net_close(const struct sg_net_socket *holder, int fd)
{
	return fd < 0 ? -1 : close_guarded(fd, lingers(fd) && !is_held(holder, fd));
}

void sg_net_close_given(const int *fd)
{
	if (*fd >= 0)
		(void)close_guarded(*fd, false);
}

void sg_net_close_foreign(const int *fd)
{
	(void)sg_net_close(NULL, *fd);
}
