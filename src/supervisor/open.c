/*
 * open, openat, creat, openat2.
 *
 * The object is pinned through the caller's own root, working directory or descriptor, decided by its canonical name, and
 * opened anew from the pin, through the mount that it was pinned on: a read-only mount stays one. A file is made in its
 * pinned folder, under one component that no link can stand for (O_EXCL).
 *
 * The supervisor opens with the caller's ids and without any capability, but it is not the caller: what the kernel decides
 * by who opens (the terminal of /dev/tty, processes in /proc) is decided here for the caller.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/guard.h"
#include "supervisor/supervisor.h"

enum { RETRIES_MAX = 8, WAITING_MAX = 256, WAITING_LOOK_MS = 50 };

struct opening {
	int dirfd;
	uint64_t path;
	unsigned int flags; /* of open(2), 32 bits as the kernel takes them */
	unsigned int mode;
	uint64_t resolve; /* of openat2(2) */
	char named[PATH_MAX];
	bool recorded; /* the grant is on the record already */
};

/* The arguments, copied once. Returns 0 or the error (positive) of the call. */
static int read_arguments(struct sg_request *request, struct opening *opening)
{
	const struct seccomp_data *data = &request->notification.data;
	struct open_how how = {0};
	ssize_t length;
	int status;

	opening->dirfd = AT_FDCWD;
	opening->path = data->args[0];
	opening->mode = 0;
	opening->resolve = 0;
	switch (data->nr) {
	case SYS_open:
		opening->flags = (unsigned int)data->args[1];
		opening->mode = (unsigned int)data->args[2];
		break;
	case SYS_creat:
		opening->flags = O_CREAT | O_WRONLY | O_TRUNC;
		opening->mode = (unsigned int)data->args[1];
		break;
	case SYS_openat:
		opening->dirfd = (int)data->args[0];
		opening->path = data->args[1];
		opening->flags = (unsigned int)data->args[2];
		opening->mode = (unsigned int)data->args[3];
		break;
	case SYS_openat2:
		/* A larger structure is of a kernel we do not know; its fields may not be ignored. */
		if (data->args[3] != sizeof(how))
			return data->args[3] < sizeof(how) ? EINVAL : E2BIG;
		status = sg_caller_read(&request->caller, data->args[2], &how, sizeof(how));
		if (status < 0)
			return -status;
		if (how.flags > UINT32_MAX || (how.flags & O_PATH) != 0)
			return ENOSYS; /* callers fall back to openat, whose flags the filter can see */
		if ((how.resolve & ~(uint64_t)(RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED)) != 0)
			return ENOSYS;
		if ((how.flags & O_CREAT) == 0 && (how.flags & O_TMPFILE) != O_TMPFILE && how.mode != 0)
			return EINVAL;
		opening->dirfd = (int)data->args[0];
		opening->path = data->args[1];
		opening->flags = (unsigned int)how.flags;
		opening->mode = (unsigned int)how.mode;
		opening->resolve = how.resolve;
		break;
	default:
		return ENOSYS;
	}
	if ((opening->flags & (O_CREAT | __O_TMPFILE)) != 0 && (opening->mode & 06000) != 0)
		return EPERM;               /* nosuid inside does not bind the host, where the file stays */
	if ((opening->flags & O_PATH) != 0) /* the kernel looks at no other flags then (build_open_how in fs/open.c) */
		opening->flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	length = sg_caller_read_string(&request->caller, opening->path, opening->named, sizeof(opening->named));
	return length < 0 ? (int)-length : 0;
}

static unsigned int access_of(unsigned int flags)
{
	unsigned int mode = flags & O_ACCMODE, access = 0;

	if (mode == O_RDONLY || mode == O_RDWR || mode == O_ACCMODE)
		access |= SG_ACCESS_READ;
	if (mode != O_RDONLY || (flags & O_TRUNC) != 0)
		access |= SG_ACCESS_WRITE;
	return access;
}

/* The world's own terminal, for /dev/tty: the device that the kernel says is the caller's. */
static int open_terminal(struct sg_request *request, int flags)
{
	char path[64], text[1024];
	const char *at;
	SG_AUTO_FD int stat_fd = -1;
	ssize_t size;
	int number = 0, fd;

	(void)snprintf(path, sizeof(path), "%d/stat", (int)request->caller.tid);
	stat_fd = openat(request->supervisor->view.proc, path, O_RDONLY | O_CLOEXEC);
	if (stat_fd < 0 || (size = sg_fd_read_full(stat_fd, text, sizeof(text) - 1)) <= 0)
		return -ESRCH;
	text[size] = '\0';
	at = strrchr(text, ')'); /* ") state ppid pgrp session tty_nr" */
	if (at == NULL || sscanf(at + 1, " %*c %*d %*d %*d %d", &number) != 1)
		return -EIO;
	if (number == 0 || major((dev_t)number) < 136 || major((dev_t)number) > 143)
		return -ENXIO;
	(void)snprintf(path, sizeof(path), "dev/pts/%u", (major((dev_t)number) - 136) * 256 + minor((dev_t)number));
	fd = openat(request->supervisor->view.root, path, flags | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* What the kernel tells of a process to everybody. All else of one says what it holds or has in its memory. */
static bool is_told_to_all(const char *last)
{
	static const char *const told[] = {"/stat",     "/statm",  "/status",    "/comm",          "/cmdline",
					   "/limits",   "/cgroup", "/oom_score", "/oom_score_adj", "/schedstat",
					   "/children", "/task",   "/loginuid",  "/sessionid"};

	for (size_t i = 0; i < SG_ARRAY_SIZE(told); i++)
		if (strcmp(last, told[i]) == 0)
			return true;
	return last[1] >= '0' && last[1] <= '9'; /* the folder of a process or thread */
}

/*
 * /proc/PID/net/...: of the network namespace that the process is in, whoever opens it, and all of the world are in one. Its files belong
 * to that namespace's root, which most worlds do not have.
 */
static bool is_of_own_network(const char *name)
{
	int end = 0;

	if (sscanf(name, "/proc/%*d/net/%n", &end) == 0 && end > 0)
		return true;
	return sscanf(name, "/proc/%*d/task/%*d/net/%n", &end) == 0 && end > 0;
}

/* The last component, without the slash that a folder's name ends in. */
static void copy_last(const struct sg_resolved *object, char *last, size_t size)
{
	const bool slash = object->length > 1 && object->name[object->length - 1] == '/';
	const size_t end = object->length - (slash ? 1 : 0);
	size_t start = end;

	while (start > 0 && object->name[start] != '/')
		start--;
	(void)snprintf(last, size, "%.*s", (int)(end - start), object->name + start);
}

/*
 * Files of /proc that the kernel gives by who opens them. Of another process's only what anybody may read; of the
 * caller's own, writing just where it concerns itself.
 */
static int check_proc(struct sg_request *request, const struct sg_resolved *object, unsigned int access)
{
	static const char *const writable[] = {"comm", "oom_score_adj", "coredump_filter", "timerslack_ns", "oom_adj"};
	/* They speak of the IPC and network namespaces of whoever opens them: ours are the host's. */
	static const char *const of_opener[] = {"/proc/sysvipc/", "/proc/sys/net/", "/proc/sys/fs/mqueue/"};
	char last[NAME_MAX + 2];
	int status;

	if (!sg_view_is_proc(&request->supervisor->view, object->fd, &object->status))
		return 0;
	copy_last(object, last, sizeof(last));
	if (!is_told_to_all(last) &&
	    !sg_caller_may_examine(&request->caller, request->supervisor->view.root, object->name))
		return -EACCES;
	if (S_ISDIR(object->status.st_mode))
		return 0;
	status = sg_caller_status(&request->caller);
	if (status < 0)
		return status;
	if ((access & SG_ACCESS_WRITE) != 0) {
		for (size_t i = 0; i < SG_ARRAY_SIZE(writable); i++)
			if (strcmp(last + 1, writable[i]) == 0 && object->status.st_uid == request->caller.uid)
				return 0;
		return -EACCES;
	}
	for (size_t i = 0; i < SG_ARRAY_SIZE(of_opener); i++)
		if (strncmp(object->name, of_opener[i], strlen(of_opener[i])) == 0)
			return -EACCES;
	/* The kernel gives the files of a process that may not be examined to root. */
	if (object->status.st_uid != request->caller.uid && strncmp(object->name, "/proc/", 6) == 0 &&
	    object->name[6] >= '0' && object->name[6] <= '9' && !is_of_own_network(object->name))
		return -EACCES;
	return strcmp(last, "/mem") == 0 || strcmp(last, "/syscall") == 0 ? -EACCES : 0;
}

/* An object without a name in the world may be opened anew only if it is one of the world's making. */
static bool may_open_unnamed(const struct sg_supervisor *supervisor, const struct sg_resolved *object)
{
	struct statfs system;

	if (!object->magic || fstatfs(object->fd, &system) < 0)
		return false;
	return S_ISFIFO(object->status.st_mode)
		       ? system.f_type == PIPEFS_MAGIC || sg_is_own(supervisor, &object->status)
		       : sg_is_own(supervisor, &object->status) ||
				 (system.f_type == TMPFS_MAGIC && strncmp(object->name, "/memfd:", 7) == 0);
}

/* A Hide rule takes the name away, whether or not there is something under it. */
static void decide_hidden(const struct sg_supervisor *supervisor, const struct sg_resolved *object, int error,
			  struct sg_decision *decision)
{
	const struct sg_policy *policy = supervisor->policy;

	*decision = (struct sg_decision){.verdict = SG_VERDICT_HIDE,
					 .error = error,
					 .reason = "it is hidden",
					 .rule = object->hiding < policy->rule_count ? &policy->rules[object->hiding]
										     : NULL,
					 .access = error == EACCES ? SG_ACCESS_CHANGE : SG_ACCESS_READ};
}

static void decide_object(struct sg_request *request, const struct sg_resolved *object, unsigned int access,
			  struct sg_decision *decision)
{
	struct sg_supervisor *supervisor = request->supervisor;

	if (object->hidden) {
		decide_hidden(supervisor, object, ENOENT, decision);
		return;
	}
	if (object->unnamed) {
		*decision = (struct sg_decision){
			.verdict = SG_VERDICT_DENY, .error = EACCES, .reason = "it has no name in the world"};
		if (may_open_unnamed(supervisor, object))
			*decision =
				(struct sg_decision){.verdict = SG_VERDICT_ALLOW, .reason = "it is the world's own"};
		return;
	}
	sg_decide(supervisor->policy, supervisor->names, object->name, object->length, access,
		  sg_is_own(supervisor, &object->status), decision);
	/* Nodes of the host that are no files: a name that may be read is no leave to speak to who sits behind it. */
	if (decision->verdict == SG_VERDICT_ALLOW && S_ISFIFO(object->status.st_mode) &&
	    !sg_is_own(supervisor, &object->status) && (access & SG_ACCESS_WRITE) == 0 && decision->rule != NULL &&
	    decision->rule->kind != SG_RULE_WRITE) {
		decision->verdict = SG_VERDICT_DENY;
		decision->error = EACCES;
		decision->access = SG_ACCESS_WRITE;
		decision->reason = "a FIFO of the host needs a ReadWrite rule";
	}
	if (decision->verdict == SG_VERDICT_ALLOW)
		(void)sg_is_denied_inode(supervisor, object->fd, &object->status, access, decision);
}

/* Before an opening that makes or empties a file: without a record that must not happen either. Returns false if none is. */
static bool record_first(struct sg_request *request, struct opening *opening, const struct sg_decision *decision,
			 const char *object)
{
	opening->recorded = sg_report(request, decision, object, opening->named) == 0;
	if (!opening->recorded)
		sg_answer_error(request, EIO);
	return opening->recorded;
}

/*
 * Descriptors that are opened one after the other get numbers that follow each other, and can be closed by one call, if there is no
 * number free among those in use. One that is, is filled for good.
 */
static void close_with_pin(const struct sg_view *view, int *pin, int *fd)
{
	static int fillings = 32; /* of the main thread */

	if (*fd > *pin + 1 && fillings > 0 && dup3(view->root, *pin, O_CLOEXEC) >= 0) {
		fillings--;
		*pin = -1;
		*fd = sg_fd_close(*fd);
	} else {
		sg_fd_close_two(pin, fd);
	}
}

/* Gives what was opened, once the record is taken. `fd` is ours or a negative errno value; `pin` is closed (NULL: there is none). */
static void finish(struct sg_request *request, const struct opening *opening, const struct sg_decision *decision,
		   const char *object, int fd, int *pin)
{
	if (fd < 0) {
		sg_answer_error(request, -fd);
		return;
	}
	if (!opening->recorded && sg_report(request, decision, object, opening->named) < 0)
		sg_answer_error(request, EIO);
	else
		sg_give_descriptor(request, fd, (opening->flags & O_CLOEXEC) != 0);
	if (pin != NULL && request->supervisor->pool == NULL)
		close_with_pin(&request->supervisor->view, pin, &fd);
	else
		sg_fd_close(fd);
}

/* --- openings that wait for somebody: done by a thread of their own --- */

static atomic_int waiting;

struct waiter {
	struct sg_view view;
	int listener, fd,
		flags; /* the first two are owned: a number of the supervisor's may come to mean another thing */
	uint64_t id;
	const atomic_uint *generation; /* of the world, and what it was when the call was received */
	unsigned int received;
	bool close_on_exec;
};

/* Does nothing: a signal ends an open(2) that waits with EINTR, as there is no other way to end one. */
static void interrupt(int number)
{
	(void)number;
}

/*
 * The caller may be killed while we wait. Nobody tells, so we look from time to time: without that, threads would pile up,
 * and a FIFO would keep an end that nobody holds. Returns false if there is no such timer.
 */
static bool interrupt_regularly(timer_t *ret)
{
	struct sigaction action = {.sa_handler = interrupt};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
	const struct timespec interval = {0, WAITING_LOOK_MS * 1000000L};
	const struct itimerspec times = {interval, interval};
	sigset_t set;

	event._sigev_un._tid = gettid();
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGRTMIN);
	if (sigaction(SIGRTMIN, &action, NULL) < 0 || pthread_sigmask(SIG_UNBLOCK, &set, NULL) != 0 ||
	    timer_create(CLOCK_MONOTONIC, &event, ret) < 0)
		return false;
	return timer_settime(*ret, 0, &times, NULL) == 0;
}

static int open_while_wanted(const struct waiter *waiter)
{
	const struct sg_caller caller = {.listener = waiter->listener, .id = waiter->id};
	int opened = -EINTR;

	while (opened == -EINTR && sg_caller_valid(&caller))
		opened = sg_reopen(&waiter->view, waiter->fd, waiter->flags);
	return opened;
}

static void *wait_for_peer(void *data)
{
	struct waiter *waiter = data;
	timer_t timer;
	const bool timed = interrupt_regularly(&timer);
	SG_AUTO_FD int opened = timed ? open_while_wanted(waiter) : -EAGAIN;
	struct seccomp_notif_resp answer = {.id = waiter->id, .error = opened};
	struct seccomp_notif_addfd give = {.id = waiter->id,
					   .flags = SECCOMP_ADDFD_FLAG_SEND,
					   .srcfd = (uint32_t)opened,
					   .newfd_flags = waiter->close_on_exec ? O_CLOEXEC : 0};

	if (timed)
		(void)timer_delete(timer);
	/* What was decided before a cut is not given after it. */
	if (opened >= 0 && atomic_load(waiter->generation) != waiter->received)
		answer.error = -EAGAIN;
	else if (opened >= 0 && ioctl(waiter->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &give) < 0)
		answer.error = -errno;
	if (answer.error < 0)
		(void)ioctl(waiter->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	sg_fd_close(waiter->listener);
	sg_fd_close(waiter->fd);
	free(waiter);
	atomic_fetch_sub(&waiting, 1);
	return NULL;
}

/*
 * What waits for somebody: a FIFO for its other end, a device (but for those that every world has: memory, terminals) for a
 * carrier or whatever its driver waits for. A file that somebody outside holds a lease on is found by trying (reopen_file). What no
 * worker guards against: a server that does not answer for a network file system, where already looking a name up waits.
 */
static bool waits(const struct stat *status, int flags)
{
	const unsigned int number = major(status->st_rdev);

	if ((flags & O_NONBLOCK) != 0)
		return false;
	if (S_ISFIFO(status->st_mode))
		return (flags & O_ACCMODE) != O_RDWR;
	if (S_ISCHR(status->st_mode))
		return number != 1 && number != 5 && (number < 136 || number > 143);
	return S_ISBLK(status->st_mode);
}

/*
 * Emptying a file waits for its inode's lock, which who writes to it natively has for as long as one write(2) lasts, and several of them
 * one after the other: gigabytes, at the pace of a disk. And it takes long by itself where the file is in a million pieces. Both
 * take a file that is not small.
 */
static bool empties_much(const struct stat *status, int flags)
{
	enum { SMALL = 1 << 20, BLOCK = 512 };

	return S_ISREG(status->st_mode) && (flags & O_TRUNC) != 0 &&
	       (status->st_size > SMALL || status->st_blocks > 2 * SMALL / BLOCK);
}

/*
 * A regular file. Returns the descriptor, -EWOULDBLOCK where a lease has to be given back first, or another errno value. Among many calls
 * in a row nothing is set and taken back again: there the guard ends an opening that waits. It does so once: from then on
 * each is tried without waiting, so that who keeps leases holds up the others no more than that.
 */
static int reopen_file(const struct sg_supervisor *supervisor, int fd, int flags)
{
	static bool waited; /* of the main thread */
	const int kept = O_APPEND | O_DIRECT | O_NOATIME | O_ASYNC;
	SG_AUTO_FD int opened = -1;

	if ((flags & O_NONBLOCK) == 0 && !waited && sg_is_in_row(supervisor) && sg_guard_begin() == 0) {
		opened = sg_reopen(&supervisor->view, fd, flags);
		sg_guard_end();
		waited = opened == -EINTR;
		return waited ? -EWOULDBLOCK : sg_fd_take(&opened);
	}
	opened = sg_reopen(&supervisor->view, fd, flags | O_NONBLOCK);
	if (opened >= 0 && (flags & O_NONBLOCK) == 0 && fcntl(opened, F_SETFL, flags & kept) < 0)
		return -errno;
	return sg_fd_take(&opened);
}

/* What waits is opened by a thread of its own. The record is written before: the grant is certain, only its moment is not. */
static void open_later(struct sg_request *request, const struct opening *opening, const struct sg_decision *decision,
		       struct sg_resolved *object, int flags)
{
	struct waiter *waiter = malloc(sizeof(*waiter));
	pthread_attr_t attributes;
	pthread_t thread;

	if (waiter == NULL || atomic_fetch_add(&waiting, 1) >= WAITING_MAX ||
	    (!opening->recorded && sg_report(request, decision, object->name, opening->named) < 0)) {
		free(waiter);
		atomic_fetch_sub(&waiting, waiter == NULL ? 0 : 1);
		sg_answer_error(request, EAGAIN);
		return;
	}
	*waiter = (struct waiter){.view = request->supervisor->view,
				  .listener = fcntl(request->caller.listener, F_DUPFD_CLOEXEC, 3),
				  .fd = sg_fd_take(&object->fd),
				  .flags = flags,
				  .id = request->notification.id,
				  .generation = sg_generation(request->supervisor),
				  .received = request->generation,
				  .close_on_exec = (opening->flags & O_CLOEXEC) != 0};
	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attributes, 64 * 1024);
	if (waiter->listener < 0 || pthread_create(&thread, &attributes, wait_for_peer, waiter) != 0) {
		sg_fd_close(waiter->listener);
		sg_fd_close(waiter->fd);
		free(waiter);
		atomic_fetch_sub(&waiting, 1);
		sg_answer_error(request, EAGAIN);
	} else {
		request->answered = true;
	}
	(void)pthread_attr_destroy(&attributes);
}

/*
 * An opening for reading leaves a file or folder as it is: all it does is the descriptor, which the kernel gives only while the call
 * is pending (NOTIF_ADDFD), and then it was pending all along, and what was read was its caller's.
 */
static bool may_be_late(const struct sg_resolved *object, unsigned int flags)
{
	return (flags & O_ACCMODE) == O_RDONLY && (flags & O_TRUNC) == 0 &&
	       (S_ISREG(object->status.st_mode) || S_ISDIR(object->status.st_mode));
}

static void open_existing(struct sg_request *request, struct opening *opening, struct sg_resolved *object)
{
	const unsigned int kept = O_ACCMODE | O_APPEND | O_NONBLOCK | O_DIRECTORY | O_TRUNC | O_NOATIME | O_SYNC |
				  O_DSYNC | O_DIRECT | O_ASYNC | O_LARGEFILE | O_NOFOLLOW;
	const int flags = (int)(opening->flags & kept & ~(unsigned int)O_NOFOLLOW) | O_NOCTTY;
	const bool later = request->supervisor->pool == NULL && empties_much(&object->status, flags);
	struct sg_decision decision;
	int fd;

	if (S_ISLNK(object->status.st_mode) && !object->hidden) {
		sg_answer_error(request, ELOOP);
		return;
	}
	decide_object(request, object, access_of(opening->flags), &decision);
	if (decision.verdict == SG_VERDICT_ALLOW) {
		int status = check_proc(request, object, access_of(opening->flags));

		if (status < 0)
			decision = (struct sg_decision){.verdict = SG_VERDICT_DENY,
							.error = -status,
							.reason = "it says or changes something of another process"};
	}
	if ((decision.verdict != SG_VERDICT_ALLOW || !may_be_late(object, opening->flags)) &&
	    !sg_caller_valid(&request->caller))
		return;
	if (decision.verdict != SG_VERDICT_ALLOW) {
		(void)sg_report(request, &decision, object->name, opening->named);
		sg_answer_error(request, decision.error);
		return;
	}
	if ((flags & O_TRUNC) != 0 && S_ISREG(object->status.st_mode) &&
	    !record_first(request, opening, &decision, object->name))
		return;
	if (S_ISCHR(object->status.st_mode) && object->status.st_rdev == makedev(5, 0))
		fd = open_terminal(request, flags & (O_ACCMODE | O_NONBLOCK));
	else if (waits(&object->status, flags) || later)
		fd = -EWOULDBLOCK;
	else if (S_ISREG(object->status.st_mode))
		fd = reopen_file(request->supervisor, object->fd, flags);
	else
		fd = sg_reopen(&request->supervisor->view, object->fd, flags);
	if (fd == -EWOULDBLOCK && (later || (flags & O_NONBLOCK) == 0))
		open_later(request, opening, &decision, object, flags);
	else
		finish(request, opening, &decision, object->name, fd, &object->fd);
}

/* Makes the file in its pinned folder. Returns 1 if somebody else made one meanwhile. */
static int open_new(struct sg_request *request, struct opening *opening, const struct sg_resolved *place)
{
	const unsigned int kept =
		O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | O_DIRECT | O_NOATIME | O_LARGEFILE;
	struct sg_supervisor *supervisor = request->supervisor;
	struct sg_decision decision;
	struct stat folder;
	int fd, status = sg_caller_status(&request->caller);
	mode_t umask_before;

	if (status < 0 || fstat(place->fd, &folder) < 0) {
		sg_answer_error(request, status < 0 ? -status : errno);
		return 0;
	}
	if (place->hidden)
		decide_hidden(supervisor, place, EACCES, &decision);
	else
		sg_decide(supervisor->policy, supervisor->names, place->name, place->length,
			  access_of(opening->flags) | SG_ACCESS_CHANGE,
			  sg_is_own(supervisor, &folder) && !sg_is_skeleton(supervisor, &folder), &decision);
	if (decision.verdict == SG_VERDICT_DENY && decision.rule == NULL && sg_is_skeleton(supervisor, &folder))
		decision.error = EROFS;
	if (!sg_caller_valid(&request->caller))
		return 0;
	if (decision.verdict != SG_VERDICT_ALLOW) {
		(void)sg_report(request, &decision, place->name, opening->named);
		sg_answer_error(request, decision.error);
		return 0;
	}
	if (!record_first(request, opening, &decision, place->name))
		return 0;
	umask_before = umask(request->caller.umask);
	fd = openat(place->fd, place->last,
		    (int)(opening->flags & kept) | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC,
		    opening->mode & 01777);
	status = fd < 0 ? -errno : 0;
	(void)umask(umask_before);
	if (status == -EEXIST && (opening->flags & O_EXCL) == 0)
		return 1;
	finish(request, opening, &decision, place->name, status < 0 ? status : fd, NULL);
	return 0;
}

/* A file without a name: it can get one by linkat, so it must be allowed any name in the folder. */
static void open_unnamed(struct sg_request *request, const struct opening *opening, const struct sg_resolved *folder)
{
	struct sg_match_below below = {0};
	struct sg_supervisor *supervisor = request->supervisor;
	bool own = sg_is_own(supervisor, &folder->status);
	struct sg_decision decision = {.verdict = SG_VERDICT_ALLOW, .reason = "all of the folder may be written"};
	int fd, status = sg_caller_status(&request->caller);
	mode_t before;

	(void)sg_matcher_below(supervisor->names, folder->name, folder->length, &below);
	if (folder->hidden)
		status = -ENOENT;
	else if (!S_ISDIR(folder->status.st_mode))
		status = -ENOTDIR;
	else if (status == 0 &&
		 ((below.may & SG_NAMES_REFUSE) != 0 || (!own && (below.all & SG_NAME_BIT(SG_RULE_WRITE)) == 0)))
		status = -EOPNOTSUPP; /* programs make a named file then */
	if (status < 0) {
		sg_answer_error(request, -status);
		return;
	}
	before = umask(request->caller.umask);
	fd = sg_reopen(&supervisor->view, folder->fd,
		       (int)(opening->flags & (O_ACCMODE | O_EXCL | O_APPEND)) | O_TMPFILE);
	status = fd < 0 ? fd : 0;
	(void)umask(before);
	if (status == 0 && fchmod(fd, opening->mode & 01777 & ~request->caller.umask) < 0)
		status = -errno;
	finish(request, opening, &decision, folder->name, status < 0 ? status : fd, NULL);
}

/*
 * O_PATH, which is notified where looks are decided. A descriptor of that kind cannot be handed over (ADDFD refuses it), so what
 * may be opened for reading is opened for reading: that serves wherever the other does. The rest is refused.
 */
static void open_place(struct sg_request *request, struct opening *opening, struct sg_resolved *object)
{
	struct sg_decision decision = {.verdict = SG_VERDICT_DENY,
				       .error = EACCES,
				       .access = SG_ACCESS_READ,
				       .reason = "a rule hides names, and a descriptor of a bare place (O_PATH) cannot "
						 "be handed over: only folders and files that may be read are opened"};

	if (object->hidden || S_ISDIR(object->status.st_mode) || S_ISREG(object->status.st_mode)) {
		opening->flags = (opening->flags & ~(unsigned int)O_PATH) | O_RDONLY | O_NONBLOCK;
		open_existing(request, opening, object);
		return;
	}
	if (!sg_caller_valid(&request->caller))
		return;
	(void)sg_report(request, &decision, object->name, opening->named);
	sg_answer_error(request, decision.error);
}

void sg_handle_open(struct sg_request *request)
{
	struct opening opening;
	int error;

	request->operation = "open";
	error = -sg_request_identify(request);
	if (error == 0)
		error = read_arguments(request, &opening);
	for (int attempt = 0; error == 0 && !request->answered && attempt < RETRIES_MAX; attempt++) {
		SG_CLEANUP(sg_resolved_done) struct sg_resolved object;
		const bool exclusive = (opening.flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
		unsigned int flags = (opening.resolve & RESOLVE_NO_MAGICLINKS) != 0 ? SG_RESOLVE_NO_MAGIC : 0U;
		int status;

		sg_resolved_init(&object);
		opening.recorded = false;
		if ((opening.flags & O_NOFOLLOW) != 0 || exclusive)
			flags |= SG_RESOLVE_NO_FOLLOW;
		status = sg_resolve(&request->supervisor->view, &request->caller, opening.dirfd, opening.named, flags,
				    &object);
		/* What is hidden is made, or not, as if it were not there. */
		if (status == 0 && object.hidden && (opening.flags & O_CREAT) != 0) {
			sg_resolved_done(&object);
			status = -ENOENT;
		}
		if (status == 0 && exclusive) {
			error = EEXIST;
		} else if (status == 0 && (opening.flags & O_PATH) != 0) {
			open_place(request, &opening, &object);
		} else if (status == 0 && (opening.flags & O_TMPFILE) == O_TMPFILE) {
			open_unnamed(request, &opening, &object);
		} else if (status == 0) {
			open_existing(request, &opening, &object);
		} else if (status == -ENOENT && (opening.flags & O_CREAT) != 0) {
			status = sg_resolve(&request->supervisor->view, &request->caller, opening.dirfd, opening.named,
					    flags | SG_RESOLVE_PARENT, &object);
			if (status == 0 && object.slash)
				error = EISDIR;
			else if (status == 0 && !object.hidden && object.exists && S_ISLNK(object.status.st_mode))
				error = ENOENT; /* a dangling link: nothing is made through it */
			else if (status == 0 && open_new(request, &opening, &object) == 1)
				continue;
		}
		if (status == -ENOENT && (opening.flags & O_PATH) == 0)
			sg_record_absent(request, opening.dirfd, opening.named, access_of(opening.flags));
		if (status < 0)
			error = -status;
		else if (error == 0)
			break;
	}
	/* EAGAIN: a name that changes faster than it can be pinned. A caller that is gone needs no answer. */
	if (!request->answered)
		sg_answer_error(request, error != 0 ? error : EAGAIN);
}
