/*
 * Reading what the processes of a world hold: their descriptor tables, and the queues of their unix sockets.
 *
 * A process is the world's if it is in the world's PID namespace, or if its line of parents ends in one that
 * is: nobody leaves that line, as orphans are taken over below it. Threads may have tables of their own. A descriptor is copied
 * (pidfd_getfd(2)) and everything is asked of the copy; by its cookie a socket that many hold is looked at
 * once.
 *
 * In a queue lie copies too: MSG_PEEK gives us descriptors of our own and leaves the message. The kernel
 * counts what lies there (scm_fds in proc_pid_fdinfo(5), Linux 5.6): if we were given fewer than it says, an
 * empty message was stepped over, say, the reading has failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/folder.h"
#include "supervisor/net_cut.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif

enum { RIGHTS_MAX = 253, MESSAGES_MAX = 65536, PEEK_MAX = 65536 };

static int option(int fd, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0 ? -1 : value;
}

/* --- which processes --- */

struct task {
	pid_t pid, parent;
	bool own; /* in the world's PID namespace */
};

/* "pid (name) state ppid ...": the name may hold anything, so the last parenthesis counts. */
static pid_t read_parent(int proc, const char *pid)
{
	SG_AUTO_FD int fd = -1;
	char path[64], text[512];
	const char *end;
	ssize_t size;

	(void)snprintf(path, sizeof(path), "%.16s/stat", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (size = read(fd, text, sizeof(text) - 1)) <= 0)
		return 0;
	text[size] = '\0';
	end = strrchr(text, ')');
	return end == NULL || strlen(end) < 5 ? 0 : (pid_t)strtol(end + 4, NULL, 10);
}

/* The numbers that are names in the folder `path` of /proc. Each is given to `take`, until one is below 0. */
static int each_number(int proc, const char *path, int (*take)(void *data, const char *name), void *data)
{
	int folder = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status = 0;
	SG_AUTO_FOLDER DIR *listing = folder < 0 ? NULL : fdopendir(folder);
	const struct dirent *entry;

	if (listing == NULL) {
		status = -errno;
		sg_fd_close(folder);
		return status;
	}
	while (status >= 0 && (entry = readdir(listing)) != NULL)
		if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
			status = take(data, entry->d_name);
	return status;
}

struct tasks {
	int proc;
	const char *space; /* what the link of the world's PID namespace says */
	struct task *tasks;
	size_t count, room;
};

static bool is_in_space(const struct tasks *all, const char *name)
{
	char path[64], text[SG_NET_SPACE_MAX] = {0};

	(void)snprintf(path, sizeof(path), "%.16s/ns/pid", name);
	return readlinkat(all->proc, path, text, sizeof(text) - 1) > 0 && strcmp(text, all->space) == 0;
}

static int take_task(void *data, const char *name)
{
	struct tasks *all = data;

	if (all->count == all->room) {
		const size_t room = all->room == 0 ? 256 : all->room * 2;
		struct task *grown = reallocarray(all->tasks, room, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		all->tasks = grown;
		all->room = room;
	}
	all->tasks[all->count++] =
		(struct task){(pid_t)strtol(name, NULL, 10), read_parent(all->proc, name), is_in_space(all, name)};
	return 0;
}

static bool is_member(const struct sg_net_reading *reading, pid_t pid)
{
	for (size_t i = 0; i < reading->member_count; i++)
		if (reading->members[i] == pid)
			return true;
	return false;
}

/* Children are added until a round adds none. */
static int find_members(struct sg_net_reading *reading)
{
	const struct sg_supervisor *supervisor = reading->network->supervisor;
	struct tasks all = {.proc = supervisor->view.proc, .space = reading->network->space};
	int status = each_number(all.proc, ".", take_task, &all);
	size_t before;

	reading->members = status < 0 ? NULL : calloc(all.count + 1, sizeof(*reading->members));
	if (reading->members == NULL) {
		free(all.tasks);
		return status < 0 ? status : -ENOMEM;
	}
	reading->members[reading->member_count++] = supervisor->world.first;
	do {
		before = reading->member_count;
		for (size_t i = 0; i < all.count; i++)
			if (all.tasks[i].pid != 0 && (all.tasks[i].own || is_member(reading, all.tasks[i].parent))) {
				if (all.tasks[i].pid != supervisor->world.first)
					reading->members[reading->member_count++] = all.tasks[i].pid;
				all.tasks[i].pid = 0;
			}
	} while (reading->member_count > before);
	free(all.tasks);
	return 0;
}

/* --- one socket --- */

static bool is_seen(struct sg_net_reading *reading, uint64_t cookie)
{
	for (size_t i = 0; i < reading->seen_count; i++)
		if (reading->seen[i] == cookie)
			return true;
	if (reading->seen_count == reading->seen_room) {
		const size_t room = reading->seen_room == 0 ? 256 : reading->seen_room * 2;
		uint64_t *grown = reallocarray(reading->seen, room, sizeof(*grown));

		if (grown == NULL) {
			reading->failed++;
			return false;
		}
		reading->seen = grown;
		reading->seen_room = room;
	}
	reading->seen[reading->seen_count++] = cookie;
	return false;
}

static void note_shared(void *data, const struct sg_net_bound *bound)
{
	struct sg_net_reading *reading = data;

	if (sg_is_own(reading->network->supervisor, &(struct stat){.st_dev = bound->device}))
		return;
	if (reading->shared_count == reading->shared_room) {
		const size_t room = reading->shared_room == 0 ? 64 : reading->shared_room * 2;
		uint32_t *grown = reallocarray(reading->shared, room, sizeof(*grown));

		if (grown == NULL) {
			reading->failed++;
			return;
		}
		reading->shared = grown;
		reading->shared_room = room;
	}
	reading->shared[reading->shared_count++] = bound->socket;
}

static bool is_shared(const struct sg_net_reading *reading, int fd)
{
	struct stat status;

	if (reading->all_shared || fstat(fd, &status) < 0)
		return true;
	for (size_t i = 0; i < reading->shared_count; i++)
		if (reading->shared[i] == (uint32_t)status.st_ino)
			return true;
	return false;
}

/*
 * A unix socket with a name in a folder of the host: one that listens or takes datagrams there; or one that
 * was accepted there, with a peer that is neither we (who connect for the world) nor a process of the world,
 * as the kernel noted it at connect.
 */
static bool meets_host(const struct sg_net_reading *reading, int fd)
{
	struct sockaddr_un name;
	socklen_t size = sizeof(name);
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);

	if (getsockname(fd, (struct sockaddr *)&name, &size) < 0 || size <= sizeof(sa_family_t) ||
	    name.sun_path[0] == '\0' || !is_shared(reading, fd))
		return false;
	if (option(fd, SO_ACCEPTCONN) == 1 || option(fd, SO_TYPE) == SOCK_DGRAM)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || peer.uid == (uid_t)-1)
		return true; /* without a peer yet */
	return peer.pid != getpid() && !is_member(reading, peer.pid);
}

/* Whether the socket leads outside and is to be ended; `entry`: what the registry says of it, or NULL. */
static bool is_to_end(const struct sg_net_reading *reading, int fd, const struct sg_net_outside *entry)
{
	uint64_t network = 0;
	socklen_t size = sizeof(network);

	if (entry != NULL)
		return !sg_net_keeps(reading->network, entry);
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &network, &size) < 0 ||
	    network != reading->network->world_cookie)
		return true;
	return option(fd, SO_DOMAIN) == AF_UNIX && meets_host(reading, fd);
}

/* How many descriptors lie in the queues of our copy `fd`. */
static unsigned long count_queued(const struct sg_net_reading *reading, int fd)
{
	char path[48], text[1024];
	SG_AUTO_FD int info = -1;
	const char *line;
	ssize_t size;

	(void)snprintf(path, sizeof(path), "self/fdinfo/%d", fd);
	info = openat(reading->network->supervisor->view.proc, path, O_RDONLY | O_CLOEXEC);
	if (info < 0 || (size = read(info, text, sizeof(text) - 1)) <= 0)
		return ULONG_MAX;
	text[size] = '\0';
	line = strstr(text, "scm_fds:");
	return line == NULL ? ULONG_MAX : strtoul(line + 8, NULL, 10);
}

/* Takes the descriptors of one message that was looked at. Returns how many there were. */
static unsigned long take_rights(struct sg_net_reading *reading, struct msghdr *message)
{
	unsigned long count = 0;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
		const size_t bytes = header->cmsg_len - CMSG_LEN(0);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < bytes / sizeof(int); i++, count++) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
			if (reading->queued < SG_NET_READ_QUEUE) {
				reading->queue[reading->queued++] = fd;
			} else {
				reading->failed++;
				sg_fd_close(fd);
			}
		}
	}
	if ((message->msg_flags & MSG_CTRUNC) != 0)
		reading->failed++;
	return count;
}

/* Looks at each message in the queue. The place where the holder itself looks is put back. */
static void peek(struct sg_net_reading *reading, int fd, unsigned long expected)
{
	static char data[PEEK_MAX];
	static union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(RIGHTS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred)) + 256];
	} control;
	const int start = 0, before = option(fd, SO_PEEK_OFF);
	unsigned long found = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &start, sizeof(start)) < 0) {
		reading->failed++;
		return;
	}
	for (int i = 0; i < MESSAGES_MAX && found < expected; i++) {
		struct iovec vector = {data, sizeof(data)};
		struct msghdr message = {.msg_iov = &vector,
					 .msg_iovlen = 1,
					 .msg_control = control.bytes,
					 .msg_controllen = sizeof(control.bytes)};
		ssize_t size = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (size < 0)
			break;
		found += take_rights(reading, &message);
		if (size == 0 && option(fd, SO_TYPE) == SOCK_STREAM)
			break;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &before, sizeof(before));
	if (found < expected)
		reading->failed++;
}

static void look_into_queue(struct sg_net_reading *reading, int fd)
{
	const unsigned long expected = count_queued(reading, fd);

	if (expected == 0)
		return;
	if (option(fd, SO_ACCEPTCONN) == 1) {
		sg_net_drop_connections(fd);
		reading->failed += count_queued(reading, fd) != 0;
	} else {
		peek(reading, fd, expected);
	}
}

/* Meets one descriptor that a process of the world has, or could receive. */
static void meet(struct sg_net_reading *reading, int fd)
{
	const struct sg_address nowhere = {.family = AF_UNIX};
	struct sg_net_outside *entry;
	uint64_t cookie;

	if (option(fd, SO_DOMAIN) < 0)
		return; /* no socket */
	cookie = sg_net_cookie(fd);
	if (cookie != 0 && is_seen(reading, cookie))
		return;
	entry = sg_net_find_outside(reading->network, cookie);
	if (!is_to_end(reading, fd, entry)) {
		if (option(fd, SO_DOMAIN) == AF_UNIX)
			look_into_queue(reading, fd);
		return;
	}
	if (entry != NULL && entry->ended)
		return;
	/* A process of the host passed it in: from now on the registry knows it. */
	if (entry == NULL && sg_net_register(reading->network, fd, SG_NET_ORIGIN_PASSED, &nowhere) != 0)
		entry = sg_net_find_outside(reading->network, cookie);
	if (entry == NULL || sg_net_end(fd) < 0) {
		reading->failed++;
		return;
	}
	entry->ended = true;
	reading->ended++;
}

/* --- tables of descriptors --- */

struct table {
	struct sg_net_reading *reading;
	struct sg_caller holder;
	pid_t leader;
};

static int take_descriptor(void *data, const char *name)
{
	struct table *table = data;
	char path[64], text[16];
	SG_AUTO_FD int fd = -1;

	(void)snprintf(path, sizeof(path), "%d/fd/%.16s", (int)table->holder.tid, name);
	/* What is no socket is known by its link; one that takes its place now is met by the next reading. */
	if (readlinkat(table->holder.proc, path, text, sizeof(text)) >= 7 && memcmp(text, "socket:", 7) != 0)
		return 0;
	fd = sg_caller_descriptor(&table->holder, (int)strtol(name, NULL, 10));
	if (fd >= 0)
		meet(table->reading, fd);
	else if (fd != -EBADF && fd != -ESRCH)
		table->reading->failed++;
	return 0;
}

/* The descriptors of a thread, unless its table is its leader's. */
static int take_thread(void *data, const char *name)
{
	struct table *table = data;
	char path[32];
	int status;

	table->holder = (struct sg_caller){.tid = (pid_t)strtol(name, NULL, 10),
					   .proc = table->reading->network->supervisor->view.proc};
	if (table->holder.tid != table->leader &&
	    syscall(SYS_kcmp, table->leader, table->holder.tid, KCMP_FILES, 0, 0) == 0)
		return 0;
	(void)snprintf(path, sizeof(path), "%d/fd", (int)table->holder.tid);
	status = each_number(table->holder.proc, path, take_descriptor, table);
	/* A thread that has ended holds nothing. */
	table->reading->failed += status < 0 && status != -ENOENT && status != -ESRCH;
	return 0;
}

int sg_net_read_world(struct sg_net_reading *reading)
{
	int status = find_members(reading);

	if (sg_net_each_bound(reading->network, note_shared, reading) < 0)
		reading->all_shared = true;
	/* The first process of the world, sealed before any code of the world ran, has no descriptors. */
	for (size_t i = 1; status == 0 && i < reading->member_count; i++) {
		struct table table = {.reading = reading, .leader = reading->members[i]};
		char path[32];

		(void)snprintf(path, sizeof(path), "%d/task", (int)table.leader);
		(void)each_number(reading->network->supervisor->view.proc, path, take_thread, &table);
	}
	while (reading->queued > 0) {
		int fd = reading->queue[--reading->queued];

		meet(reading, fd);
		sg_fd_close(fd);
	}
	free(reading->seen);
	free(reading->shared);
	free(reading->members);
	reading->seen = NULL;
	reading->shared = NULL;
	reading->members = NULL;
	return status;
}
