#include "supervisor/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"
#include "tables/features.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* Linux 6.9 */
#endif

enum { PAGE = 4096, STATUS_MAX = 4096 };

bool sg_caller_valid(const struct sg_caller *caller)
{
	return ioctl(caller->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &caller->id) == 0;
}

ssize_t sg_caller_read_string(const struct sg_caller *caller, uint64_t address, char *buffer, size_t size)
{
	size_t done = 0;

	/* Never over the end of a page in one step: the next one may not be there, and the string may end before it. */
	while (done < size) {
		size_t step = PAGE - (size_t)((address + done) % PAGE);
		struct iovec local = {.iov_base = buffer + done}, remote;
		const char *end;
		ssize_t count;

		if (step > size - done)
			step = size - done;
		local.iov_len = step;
		remote = (struct iovec){.iov_base = (void *)(uintptr_t)(address + done), .iov_len = step};
		count = process_vm_readv(caller->tid, &local, 1, &remote, 1, 0);
		if (count <= 0)
			return count < 0 ? -errno : -EFAULT;
		end = memchr(buffer + done, '\0', (size_t)count);
		if (end != NULL)
			return end - buffer;
		done += (size_t)count;
	}
	return -ENAMETOOLONG;
}

int sg_caller_read(const struct sg_caller *caller, uint64_t address, void *buffer, size_t size)
{
	struct iovec local = {buffer, size}, remote = {(void *)(uintptr_t)address, size};
	ssize_t count = size == 0 ? 0 : process_vm_readv(caller->tid, &local, 1, &remote, 1, 0);

	if (count < 0)
		return -errno;
	return (size_t)count == size ? 0 : -EFAULT;
}

int sg_caller_write(const struct sg_caller *caller, uint64_t address, const void *buffer, size_t size)
{
	struct iovec local = {(void *)(uintptr_t)buffer, size}, remote = {(void *)(uintptr_t)address, size};
	ssize_t count = process_vm_writev(caller->tid, &local, 1, &remote, 1, 0);

	if (count < 0)
		return -errno;
	return (size_t)count == size ? 0 : -EFAULT;
}

/* The number in the column `index` (from 0) behind "\nNAME:\t". For lists such as NSpid, -1 asks for the last one. */
static bool find_number(const char *text, const char *name, int index, int base, long *ret)
{
	const char *line = strstr(text, name);
	bool found = false;

	if (line == NULL)
		return false;
	line += strlen(name);
	for (int i = 0; *line != '\n' && *line != '\0'; i++) {
		char *end;
		long value = strtol(line, &end, base);

		if (end == line)
			break;
		line = end;
		if (index == -1 || i == index) {
			*ret = value;
			found = true;
		}
	}
	return found;
}

int sg_caller_status(struct sg_caller *caller)
{
	char path[32], text[STATUS_MAX];
	long pid, parent, uid, gid, mask, inner_pid, inner_tid;
	SG_AUTO_FD int fd = -1;
	ssize_t size;

	if (caller->pid != 0)
		return 0;
	(void)snprintf(path, sizeof(path), "%d/status", (int)caller->tid);
	fd = openat(caller->proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size = sg_fd_read_full(fd, text, sizeof(text) - 1);
	if (size < 0)
		return (int)size;
	text[size] = '\0';
	/* "Name:" comes first and is escaped by the kernel: no line of it can look like another field. */
	if (!find_number(text, "\nTgid:", 0, 10, &pid) || !find_number(text, "\nPPid:", 0, 10, &parent) ||
	    !find_number(text, "\nUid:", 3, 10, &uid) || !find_number(text, "\nGid:", 3, 10, &gid) ||
	    !find_number(text, "\nUmask:", 0, 8, &mask) || !find_number(text, "\nNStgid:", -1, 10, &inner_pid) ||
	    !find_number(text, "\nNSpid:", -1, 10, &inner_tid))
		return -EIO;
	caller->pid = (pid_t)pid;
	caller->parent = (pid_t)parent;
	caller->uid = (uid_t)uid;
	caller->gid = (gid_t)gid;
	caller->umask = (mode_t)mask;
	caller->inner_pid = (pid_t)inner_pid;
	caller->inner_tid = (pid_t)inner_tid;
	return 0;
}

/* A set of capabilities in the status file below `folder`. Returns false if it cannot be read. */
static bool read_capabilities(int folder, const char *path, const char *name, long *ret)
{
	char text[STATUS_MAX];
	SG_AUTO_FD int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : sg_fd_read_full(fd, text, sizeof(text) - 1);

	if (size < 0)
		return false;
	text[size] = '\0';
	return find_number(text, name, 0, 16, ret);
}

bool sg_caller_may_examine(struct sg_caller *caller, int root, const char *name)
{
	char path[96], own[32];
	int process = 0, thread = 0, threads;
	long theirs, ours;

	if (sscanf(name, "/proc/%d", &process) != 1)
		return true;
	if (sg_caller_status(caller) < 0)
		return false;
	if (process == caller->inner_pid)
		return true;
	threads = sscanf(name, "/proc/%*d/task/%d", &thread);
	if (threads == 1)
		(void)snprintf(path, sizeof(path), "proc/%d/task/%d/status", process, thread);
	else
		(void)snprintf(path, sizeof(path), "proc/%d/status", process);
	(void)snprintf(own, sizeof(own), "%d/status", (int)caller->tid);
	return read_capabilities(root, path, "\nCapPrm:", &theirs) &&
	       read_capabilities(caller->proc, own, "\nCapEff:", &ours) && (theirs & ~ours) == 0;
}

int sg_caller_open(const struct sg_caller *caller, const char *name)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "%d/%s", (int)caller->tid, name);
	fd = openat(caller->proc, path, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * Pidfds of threads that called before: making one costs several times what it is made for (it is a file with an inode of its
 * own). One of a thread stands for that very thread: once it has ended the kernel says ESRCH, whoever has its number then. One
 * of a process would not tell a thread of it from a later thread of another process, so those are not kept. Of the main thread.
 */
static struct {
	pid_t tid; /* 0: free */
	int pidfd;
} known_threads[64];

static void forget_thread(size_t slot)
{
	if (known_threads[slot].tid != 0)
		sg_fd_close(known_threads[slot].pidfd);
	known_threads[slot].tid = 0;
}

/* Returns a pidfd that stays ours, or a negative errno value: -EINVAL before Linux 6.9. */
static int find_thread(pid_t tid)
{
	const size_t slot = (size_t)tid % SG_ARRAY_SIZE(known_threads);
	int pidfd;

	if (known_threads[slot].tid == tid)
		return known_threads[slot].pidfd;
	if (sg_feature_hidden(SG_FEATURE_PIDFD_THREAD))
		return -EINVAL;
	pidfd = (int)syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
	if (pidfd < 0)
		return -errno;
	forget_thread(slot);
	known_threads[slot].tid = tid;
	known_threads[slot].pidfd = pidfd;
	return pidfd;
}

int sg_caller_descriptor(const struct sg_caller *caller, int number)
{
	SG_AUTO_FD int process = -1;
	int pidfd = find_thread(caller->tid);
	long fd;

	if (pidfd >= 0) {
		fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);
		if (fd >= 0 || errno != ESRCH)
			return fd < 0 ? -errno : (int)fd;
		/* It has ended: its number may be a later thread's by now. */
		forget_thread((size_t)caller->tid % SG_ARRAY_SIZE(known_threads));
		pidfd = find_thread(caller->tid);
	}
	/* Before Linux 6.9 a pidfd is one of a process: its descriptors are nearly always the thread's too. */
	if (pidfd == -EINVAL && sg_caller_status((struct sg_caller *)(uintptr_t)caller) == 0) {
		process = (int)syscall(SYS_pidfd_open, caller->pid, 0);
		pidfd = process < 0 ? -errno : process;
	}
	if (pidfd < 0)
		return pidfd;
	fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);
	return fd < 0 ? -errno : (int)fd;
}
