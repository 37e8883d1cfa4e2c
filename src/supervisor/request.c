/* Answers to notified calls. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "supervisor/supervisor.h"

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

/* The line "NAME:..." of a status file, without its end; NULL: there is none. */
static const char *find_line(const char *text, const char *name, size_t *ret_length)
{
	const char *line = strstr(text, name);

	if (line != NULL)
		*ret_length = strcspn(line + 1, "\n") + 1;
	return line;
}

/*
 * The lines of a thread's status that say whose rights it has: all four user ids, all four group ids, every group. Returns the
 * length, or a negative errno value. One read(2): the kernel makes the text anew for each.
 */
static int read_ids(int proc, pid_t tid, char *ids, size_t size)
{
	static const char *const names[] = {"\nUid:", "\nGid:", "\nGroups:"};
	char path[32], text[2 * SG_IDS_MAX];
	SG_AUTO_FD int fd = -1;
	size_t used = 0;
	ssize_t count;

	(void)snprintf(path, sizeof(path), "%d/status", (int)tid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	count = read(fd, text, sizeof(text) - 1);
	if (count < 0)
		return -errno;
	text[count] = '\0';
	for (size_t i = 0; i < SG_ARRAY_SIZE(names); i++) {
		size_t length;
		const char *line = find_line(text, names[i], &length);

		if (line == NULL || line[length] != '\n' || length > size - used)
			return -EPERM; /* more groups than we compare */
		memcpy(ids + used, line, length);
		used += length;
	}
	return (int)used;
}

/*
 * We act with our own ids and groups, so they must be the caller's: whoever gave up a group, or took another file system id,
 * would get back by our acting what it gave up. Both texts are read by us, so that one id is written in one way in both; as
 * root, where alone ids can change, every id of the world has a mapping here, and none is shown as the overflow id for want
 * of one. The caller waits in its call, and nobody else can change a thread's ids: what was read stays true.
 */
int sg_request_identify(const struct sg_request *request)
{
	struct sg_supervisor *supervisor = request->supervisor;
	char ids[SG_IDS_MAX];
	int length;

	/* Without a capability for it nobody in the world can take other ids than those that it began with. */
	if (supervisor->ids_fixed)
		return 0;
	if (supervisor->ids_length == 0) {
		length = read_ids(supervisor->view.proc, supervisor->view.self, supervisor->ids,
				  sizeof(supervisor->ids));
		if (length < 0)
			return length;
		supervisor->ids_length = (size_t)length;
	}
	length = read_ids(request->caller.proc, request->caller.tid, ids, sizeof(ids));
	if (length < 0)
		return length;
	return (size_t)length == supervisor->ids_length && memcmp(ids, supervisor->ids, (size_t)length) == 0 ? 0
													     : -EPERM;
}

static void send_answer(struct sg_request *request, int64_t value, int error, uint32_t flags)
{
	struct seccomp_notif_resp answer = {
		.id = request->notification.id, .val = value, .error = -error, .flags = flags};

	if (request->answered)
		return;
	request->answered = true;
	/* ENOENT: the caller was killed. There is nobody left to answer. */
	(void)ioctl(request->caller.listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static bool is_current(const struct sg_request *request)
{
	return atomic_load(sg_generation(request->supervisor)) == request->generation;
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

/*
 * Several callers at once, and one thread that serves them. The kernel wakes whom it gives a descriptor (NOTIF_ADDFD) on the CPU on
 * which that one slept, and we sleep until it has taken it: where waking another CPU is dear, as in many virtual machines, each such
 * call costs several times what it is made for. An answer (NOTIF_SEND) brings the caller to our CPU (sg_wake_at_once). So who took long
 * to take its descriptor, while others called too, is answered in two steps the next time: it gets the descriptor, and then the
 * answer. Where other CPUs are woken quickly, or there is but one caller, nobody is. Of the main thread.
 */
enum { FAR_NS = 60000, MIXED_ONE = 256, MIXED_SLOWLY = 16 };

static struct {
	pid_t last;         /* who called last */
	unsigned int mixed; /* how often that was another than the one before: of late, in 256ths */
	pid_t far[64];
} crowd;

void sg_note_caller(pid_t tid)
{
	crowd.mixed += (tid != crowd.last ? MIXED_ONE : 0U) / MIXED_SLOWLY - crowd.mixed / MIXED_SLOWLY;
	crowd.last = tid;
}

/* Returns the caller's new descriptor, and sets `answered` if it was told that too; or -1 and errno. */
static int add_descriptor(struct sg_request *request, struct seccomp_notif_addfd *give)
{
	const pid_t tid = request->caller.tid;
	/* Beside workers (pool.h) nobody keeps that account. */
	const bool several =
		request->supervisor->pool == NULL && crowd.mixed > MIXED_ONE / 2 && request->supervisor->wakes_at_once;
	pid_t *far = &crowd.far[(size_t)tid % SG_ARRAY_SIZE(crowd.far)];
	const uint64_t start = several ? sg_now_ns() : 0;
	int number;

	if (several && *far == tid) {
		*far = 0;
		return ioctl(request->caller.listener, SECCOMP_IOCTL_NOTIF_ADDFD, give);
	}
	give->flags = SECCOMP_ADDFD_FLAG_SEND;
	number = ioctl(request->caller.listener, SECCOMP_IOCTL_NOTIF_ADDFD, give);
	if (several && sg_now_ns() - start > FAR_NS)
		*far = tid;
	request->answered = number >= 0;
	return number;
}

void sg_give_descriptor(struct sg_request *request, int fd, bool close_on_exec)
{
	int number;
	struct seccomp_notif_addfd give = {
		.id = request->notification.id,
		.srcfd = (uint32_t)fd,
		.newfd_flags = close_on_exec ? O_CLOEXEC : 0,
	};

	/* What was decided before a cut is not given after it. */
	if (!is_current(request)) {
		sg_answer_error(request, EAGAIN);
		return;
	}
	number = add_descriptor(request, &give);
	if (number >= 0) {
		sg_answer_value(request, number); /* unless it is answered */
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
	return ioctl(request->caller.listener, SECCOMP_IOCTL_NOTIF_ADDFD, &give) < 0 ? -errno : 0;
}

bool sg_is_skeleton(const struct sg_supervisor *supervisor, const struct stat *status)
{
	return supervisor->skeleton != 0 && status->st_dev == supervisor->skeleton;
}

bool sg_is_own(const struct sg_supervisor *supervisor, const struct stat *status)
{
	for (size_t i = 0; i < supervisor->own_device_count; i++)
		if (supervisor->own_devices[i] == status->st_dev)
			return true;
	return false;
}
