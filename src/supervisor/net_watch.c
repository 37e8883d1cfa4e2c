/*
 * Epoll instances of the caller that watch a socket which is swapped.
 *
 * An instance knows a socket by its open file and by the number under which it was added: after a swap it
 * would go on to watch the socket that was replaced. What the kernel says of the instance
 * (proc_pid_fdinfo(5)) is read before the swap, and the watch is made again, with the events and data of the
 * caller, for the new socket under the same number. Nothing is gained by it that the caller could not do
 * itself: instance and socket are its own.
 *
 * Only sockets that do not block are looked after, and only the first descriptors of the caller are looked
 * at: a program has its instances early.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/folder.h"
#include "supervisor/network.h"

enum { NUMBERS_MAX = 256, INFO_MAX = 1 << 20 };

/* One line: "tfd:        5 events:       1b data:     ffffffffffffffff  pos:0 ino:61af sdev:7" */
static bool read_line(const char *line, const struct sg_net_socket *socket, ino_t inode, struct sg_net_watch *ret)
{
	unsigned int events;
	uint64_t data;
	unsigned long found;
	int number;

	if (sscanf(line, "tfd: %d events: %x data: %" SCNx64 " pos:%*d ino:%lx", &number, &events, &data, &found) !=
		    4 ||
	    number != socket->number || found != inode)
		return false;
	ret->events = events;
	ret->data = data;
	return true;
}

/* Looks at one descriptor of the caller. */
static void look_at(const struct sg_request *request, const struct sg_net_socket *socket, ino_t inode,
		    const char *number, struct sg_net_watches *watches)
{
	char path[64], text[32];
	SG_AUTO_FREE char *info = NULL;
	SG_AUTO_FD int fd = -1;
	ssize_t length;
	size_t size;

	(void)snprintf(path, sizeof(path), "%d/fd/%.16s", (int)request->caller.tid, number);
	length = readlinkat(request->caller.proc, path, text, sizeof(text) - 1);
	if (length != (ssize_t)strlen("anon_inode:[eventpoll]") ||
	    memcmp(text, "anon_inode:[eventpoll]", (size_t)length) != 0)
		return;
	(void)snprintf(path, sizeof(path), "%d/fdinfo/%.16s", (int)request->caller.tid, number);
	fd = openat(request->caller.proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || sg_fd_read_file(fd, INFO_MAX, &info, &size) < 0)
		return;
	for (const char *line = strstr(info, "tfd:"); line != NULL; line = strstr(line + 4, "tfd:")) {
		struct sg_net_watch *watch = &watches->watch[watches->count];

		if (!read_line(line, socket, inode, watch))
			continue;
		watch->instance = sg_caller_descriptor(&request->caller, (int)strtol(number, NULL, 10));
		if (watch->instance >= 0)
			watches->count++;
		return;
	}
}

void sg_net_find_watches(const struct sg_request *request, const struct sg_net_socket *socket,
			 struct sg_net_watches *ret)
{
	char path[32];
	const struct dirent *entry;
	struct stat status;
	SG_AUTO_FOLDER DIR *listing = NULL;
	int folder;

	ret->count = 0;
	if (!socket->nonblocking || fstat(socket->fd, &status) < 0)
		return;
	(void)snprintf(path, sizeof(path), "%d/fd", (int)request->caller.tid);
	folder = openat(request->caller.proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	listing = folder < 0 ? NULL : fdopendir(folder);
	if (listing == NULL) {
		sg_fd_close(folder);
		return;
	}
	for (int i = 0; i < NUMBERS_MAX && ret->count < SG_NET_WATCHES_MAX && (entry = readdir(listing)) != NULL; i++)
		if (entry->d_name[0] != '.')
			look_at(request, socket, status.st_ino, entry->d_name, ret);
}

/*
 * The number must be the caller's, and is one of ours for something else: a child with a copy of our
 * descriptors, which makes system calls only, has it for a moment.
 */
static void renew(const struct sg_net_watch *watch, int number, int before, int after)
{
	struct epoll_event event = {.events = watch->events, .data.u64 = watch->data};
	const int instance = fcntl(watch->instance, F_DUPFD_CLOEXEC, number + 1);
	pid_t child;

	if (instance < 0)
		return;
	child = vfork();
	if (child == 0) {
		/* Above the number, so that the copies do not overwrite each other. */
		const int new = fcntl(after, F_DUPFD, number + 1);

		if (dup2(before, number) == number)
			(void)epoll_ctl(instance, EPOLL_CTL_DEL, number, NULL);
		if (dup2(new, number) == number)
			(void)epoll_ctl(instance, EPOLL_CTL_ADD, number, &event);
		_exit(0);
	}
	if (child > 0)
		while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
			continue;
	sg_fd_close(instance);
}

void sg_net_move_watches(const struct sg_net_socket *socket, int fd, struct sg_net_watches *watches)
{
	for (size_t i = 0; i < watches->count; i++) {
		renew(&watches->watch[i], socket->number, socket->fd, fd);
		(void)sg_net_close(NULL, watches->watch[i].instance);
	}
	watches->count = 0;
}
