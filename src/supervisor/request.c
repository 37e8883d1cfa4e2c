/* Answers to notified calls. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "supervisor/supervisor.h"

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

/*
 * /proc/TID belongs to the effective user, whatever the task's dumpable state (fs/proc/base.c, task_dump_owner), and looking
 * at it costs a tenth of reading "status". A file system id apart from the effective one makes no difference: its owner may
 * go back to that.
 */
int sg_request_identify(const struct sg_request *request)
{
	char path[16];
	struct stat status;

	/* Without a capability for it nobody in the world can take other ids than those that it began with. */
	if (request->supervisor->ids_fixed)
		return 0;
	(void)snprintf(path, sizeof(path), "%d", (int)request->caller.tid);
	if (fstatat(request->caller.proc, path, &status, 0) < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return status.st_uid == request->supervisor->uid ? 0 : -EPERM;
}

static void send_answer(struct sg_request *request, int64_t value, int error, uint32_t flags)
{
	struct seccomp_notif_resp answer = {
	    .id = request->notification.id, .val = value, .error = -error, .flags = flags};

	if (request->answered)
		return;
	request->answered = true;
	/* ENOENT: the caller was killed. There is nobody left to answer. */
	(void)ioctl(request->supervisor->world.listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static bool is_current(const struct sg_request *request)
{
	return atomic_load(&request->supervisor->generation) == request->generation;
}

void sg_answer_error(struct sg_request *request, int error)
{
	send_answer(request, 0, error > 0 ? error : EPERM, 0);
}

void sg_answer_value(struct sg_request *request, int64_t value)
{
	send_answer(request, value, 0, 0);
}

void sg_answer_continue(struct sg_request *request)
{
	send_answer(request, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

void sg_give_descriptor(struct sg_request *request, int fd, bool close_on_exec)
{
	struct seccomp_notif_addfd give = {
	    .id = request->notification.id,
	    .flags = SECCOMP_ADDFD_FLAG_SEND,
	    .srcfd = (uint32_t)fd,
	    .newfd_flags = close_on_exec ? O_CLOEXEC : 0,
	};

	/* What was decided before a cut is not given after it. */
	if (!is_current(request)) {
		sg_answer_error(request, EAGAIN);
		return;
	}
	if (ioctl(request->supervisor->world.listener, SECCOMP_IOCTL_NOTIF_ADDFD, &give) >= 0) {
		request->answered = true;
		return;
	}
	/* At the caller's limit of descriptors the call stays pending: it gets the error. ENOENT: the caller is gone. */
	if (errno != ENOENT)
		sg_answer_error(request, errno);
	request->answered = true;
}

int sg_replace_descriptor(struct sg_request *request, int number, int fd, bool close_on_exec)
{
	struct seccomp_notif_addfd give = {
	    .id = request->notification.id,
	    .flags = SECCOMP_ADDFD_FLAG_SETFD,
	    .srcfd = (uint32_t)fd,
	    .newfd = (uint32_t)number,
	    .newfd_flags = close_on_exec ? O_CLOEXEC : 0,
	};

	if (!is_current(request))
		return -EAGAIN;
	return ioctl(request->supervisor->world.listener, SECCOMP_IOCTL_NOTIF_ADDFD, &give) < 0 ? -errno : 0;
}

bool sg_is_own(const struct sg_supervisor *supervisor, const struct stat *status)
{
	for (size_t i = 0; i < supervisor->own_device_count; i++)
		if (supervisor->own_devices[i] == status->st_dev)
			return true;
	return false;
}
