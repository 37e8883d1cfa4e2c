/*
 * The process that made a notified call: what the supervisor reads of it.
 *
 * Everything here is read once and believed only after the notification was found still pending (sg_caller_valid): until
 * then a thread id may already stand for another process.
 */
#pragma once

#include <limits.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct sg_caller {
	int listener;
	uint64_t id; /* of the notification */
	pid_t tid;   /* the thread, in the supervisor's PID namespace */
	int proc;    /* /proc of the supervisor's PID namespace, borrowed */
	pid_t pid;   /* its process; 0 until sg_caller_status */
	pid_t parent;
	uid_t uid; /* effective (file system) ids, in the supervisor's user namespace */
	gid_t gid;
	mode_t umask;
	pid_t inner_pid, inner_tid; /* the same process and thread in the world's own PID namespace */
};

/* True while the call is pending: what was read before belongs to its caller. One ioctl. */
bool sg_caller_valid(const struct sg_caller *caller);

/*
 * Reads a NUL-terminated string of the caller, at most `size` bytes with the NUL (size >= 1). Returns its length; -EFAULT
 * (memory that cannot be read), -ENAMETOOLONG (no NUL within size), -ESRCH, -EPERM.
 */
ssize_t sg_caller_read_string(const struct sg_caller *caller, uint64_t address, char *buffer, size_t size);

/* Reads exactly `size` bytes of the caller. Returns 0, -EFAULT, -ESRCH or -EPERM. */
int sg_caller_read(const struct sg_caller *caller, uint64_t address, void *buffer, size_t size);

/* Writes exactly `size` bytes into the caller. Returns 0, -EFAULT, -ESRCH or -EPERM. */
int sg_caller_write(const struct sg_caller *caller, uint64_t address, const void *buffer, size_t size);

/* Fills in pid, parent, ids, umask from /proc/TID/status. Returns 0 or a negative errno value. */
int sg_caller_status(struct sg_caller *caller);

/*
 * Whether the caller may look into the process whose file in /proc has that canonical name ("/proc/NUMBER/..."), by the kernel's
 * rule for it (cap_ptrace_access_check): it has no capability that the caller has not. `root` is the world's root folder. Whose
 * user it is, and whether it may be looked into at all, the file's owner tells. Returns true for the caller's own process, and
 * for a name of another kind; false too when it cannot be told. A process may have lost capabilities since: only by executing a program.
 */
bool sg_caller_may_examine(struct sg_caller *caller, int root, const char *name);

/* Opens one of the links "cwd", "root", "exe" or "fd/N" of the caller as O_PATH. Returns it or a negative errno value. */
int sg_caller_open(const struct sg_caller *caller, const char *name);

/* A copy of the caller's descriptor (pidfd_getfd(2)): the same open file. Returns it, -EBADF, or a negative errno value. */
int sg_caller_descriptor(const struct sg_caller *caller, int number);
