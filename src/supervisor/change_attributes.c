/*
 * Modes, owners, times, flags and the length of what is pinned. The act goes through the pin: by descriptor
 * where the call takes an O_PATH one with an empty name, else by the pin's name below the supervisor's own
 * /proc.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include "base/fd.h"
#include "supervisor/change.h"
#include "tables/numbers.h"

/* Linux 6.17; the number is the same on every architecture. */

/* struct file_attr of <linux/fs.h>: its first version has 24 bytes, a later one at most a page. */
enum { FILE_ATTR_SIZE = 24, FILE_ATTR_MAX = 4096 };

enum { MODE_BITS = 07777, SET_ID_BITS = 06000 };

/* The caller's own limit holds, not the supervisor's. Returns 0 or the error of the call. */
static int check_length(const struct sg_change *change, int64_t length)
{
	struct rlimit limit;

	if (prlimit(change->request->caller.tid, RLIMIT_FSIZE, NULL, &limit) < 0)
		return -errno;
	return limit.rlim_cur != RLIM_INFINITY && (uint64_t)length > limit.rlim_cur ? -EFBIG : 0;
}

int64_t sg_change_truncate(struct sg_change *change)
{
	const int64_t length = (int64_t)sg_change_argument(change, 0);
	const struct sg_resolved *at = &change->first.at;
	SG_AUTO_FD int fd = -1;
	int status;

	if (length < 0)
		return -EINVAL;
	status = sg_change_pin_object(change);
	if (status < 0)
		return status;
	sg_change_decide_object(change, SG_ACCESS_WRITE);
	if (change->first.decision.verdict != SG_VERDICT_HIDE) {
		if (!S_ISREG(at->status.st_mode))
			return S_ISDIR(at->status.st_mode) ? -EISDIR : -EINVAL;
		status = check_length(change, length);
		if (status < 0)
			return status;
	}
	status = sg_change_commit(change, false);
	if (status < 0)
		return status;
	fd = sg_reopen(&change->request->supervisor->view, at->fd, O_WRONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	return ftruncate(fd, length) < 0 ? -errno : 0;
}

int64_t sg_change_mode(struct sg_change *change)
{
	const mode_t mode = (mode_t)sg_change_argument(change, 0) & MODE_BITS;
	char pin[SG_CHANGE_LINK_MAX];
	int status;

	if ((mode & SET_ID_BITS) != 0)
		return sg_change_refuse(
			change, EPERM,
			"a file of set-user-id or set-group-id lends authority, also outside of the world");
	status = sg_change_object(change, SG_ACCESS_CHANGE);
	if (status < 0)
		return status;
	sg_change_pin_name(change, &change->first, pin);
	return fchmodat(change->request->supervisor->view.proc, pin, mode, 0) < 0 ? -errno : 0;
}

int64_t sg_change_owner(struct sg_change *change)
{
	const uid_t uid = (uid_t)sg_change_argument(change, 0);
	const gid_t gid = (gid_t)sg_change_argument(change, 1);
	int status = sg_change_object(change, SG_ACCESS_CHANGE);

	if (status < 0)
		return status;
	return fchownat(change->first.at.fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* `times` is NULL for the present. Raw: the C library's wrapper does not take every descriptor. */
static int64_t set_times(struct sg_change *change, const struct timespec *times)
{
	int status = sg_change_object(change, SG_ACCESS_CHANGE);

	if (status < 0)
		return status;
	return syscall(SYS_utimensat, change->first.at.fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int64_t sg_change_utime(struct sg_change *change)
{
	const uint64_t address = sg_change_argument(change, 0);
	struct utimbuf seconds;
	struct timespec times[2] = {{0}};
	int status;

	if (address == 0)
		return set_times(change, NULL);
	status = sg_caller_read(&change->request->caller, address, &seconds, sizeof(seconds));
	if (status < 0)
		return status;
	times[0].tv_sec = seconds.actime;
	times[1].tv_sec = seconds.modtime;
	return set_times(change, times);
}

int64_t sg_change_utimes(struct sg_change *change)
{
	const uint64_t address = sg_change_argument(change, 0);
	struct timeval values[2];
	struct timespec times[2];
	int status;

	if (address == 0)
		return set_times(change, NULL);
	status = sg_caller_read(&change->request->caller, address, values, sizeof(values));
	if (status < 0)
		return status;
	for (size_t i = 0; i < SG_ARRAY_SIZE(times); i++) {
		/* Beyond it, the value could be UTIME_NOW or UTIME_OMIT, which these calls do not have. */
		if (values[i].tv_usec < 0 || values[i].tv_usec >= 1000000)
			return -EINVAL;
		times[i] = (struct timespec){.tv_sec = values[i].tv_sec, .tv_nsec = values[i].tv_usec * 1000};
	}
	return set_times(change, times);
}

int64_t sg_change_utimens(struct sg_change *change)
{
	const uint64_t address = sg_change_argument(change, 0);
	struct timespec times[2];
	int status;

	if (address == 0)
		return set_times(change, NULL);
	status = sg_caller_read(&change->request->caller, address, times, sizeof(times));
	if (status < 0)
		return status;
	/* Nothing is to be done: the kernel does not even look at the name then. */
	if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
		return 0;
	return set_times(change, times);
}

/* Immutable and append-only need a capability that nobody here has: the kernel says so. */
int64_t sg_change_set_flags(struct sg_change *change)
{
	const uint64_t size = sg_change_argument(change, 1);
	char pin[SG_CHANGE_LINK_MAX], attributes[FILE_ATTR_MAX];
	int status;

	if (size < FILE_ATTR_SIZE)
		return -EINVAL;
	if (size > sizeof(attributes))
		return -E2BIG;
	status = sg_caller_read(&change->request->caller, sg_change_argument(change, 0), attributes, size);
	if (status == 0)
		status = sg_change_object(change, SG_ACCESS_CHANGE);
	if (status < 0)
		return status;
	sg_change_pin_name(change, &change->first, pin);
	return syscall(SYS_file_setattr, change->request->supervisor->view.proc, pin, attributes, size, 0) < 0 ? -errno
													       : 0;
}

int64_t sg_change_get_flags(struct sg_change *change)
{
	const uint64_t size = sg_change_argument(change, 1);
	char pin[SG_CHANGE_LINK_MAX], attributes[FILE_ATTR_MAX];
	int status;

	if (size < FILE_ATTR_SIZE)
		return -EINVAL;
	if (size > sizeof(attributes))
		return -E2BIG;
	status = sg_change_object(change, SG_ACCESS_READ);
	if (status < 0)
		return status;
	sg_change_pin_name(change, &change->first, pin);
	memset(attributes, 0, sizeof(attributes));
	if (syscall(SYS_file_getattr, change->request->supervisor->view.proc, pin, attributes, size, 0) < 0)
		return -errno;
	if (!sg_caller_valid(&change->request->caller))
		return -EINTR;
	return sg_caller_write(&change->request->caller, sg_change_argument(change, 0), attributes, size);
}
