#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "world/enter.h"
#include "world/init.h"
#include "world/keeper.h"
#include "world/sibling.h"

static int open_pidfd(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : (int)fd;
}

bool sg_world_is_listener(int fd)
{
	uint64_t id = 0;

	return ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) < 0 && errno == ENOENT;
}

int sg_world_take_listener(int pidfd, int number)
{
	SG_AUTO_FD int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);

	if (fd < 0)
		return errno == EBADF ? -EAGAIN : -errno;
	return sg_world_is_listener(fd) ? sg_fd_take(&fd) : -EAGAIN;
}

/* Takes the listener out of a process that has said which number it will have, as soon as it is there. */
static int fetch_listener(int pidfd, int number, int64_t deadline, struct sg_error *error)
{
	for (;;) {
		const int fd = sg_world_take_listener(pidfd, number);

		if (fd >= 0)
			return fd;
		if (fd != -EAGAIN)
			return sg_error_set_errno(error, fd, "cannot take the world's listener");
		if (sg_now_ms() > deadline)
			return sg_error_set(error, -ETIMEDOUT, "the world's filter did not come up in time");
		(void)sched_yield();
	}
}

int sg_init_receive(int socket, struct sg_world_report *ret, pid_t *ret_pid, int *ret_fd, struct sg_error *error)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec vector = {.iov_base = ret, .iov_len = sizeof(*ret)};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control.space,
				 .msg_controllen = sizeof(control.space)};
	ssize_t size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);

	*ret_fd = -1;
	*ret_pid = 0;
	if (size == 0)
		return 1;
	for (struct cmsghdr *c = size < 0 ? NULL : CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
		struct ucred credentials;

		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&credentials, CMSG_DATA(c), sizeof(credentials));
			*ret_pid = credentials.pid;
		} else if (c->cmsg_type == SCM_RIGHTS) {
			memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
		}
	}
	if (size != (ssize_t)sizeof(*ret) || (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0) {
		*ret_fd = sg_fd_close(*ret_fd);
		return sg_error_set(error, -EPROTO, "a broken message from a process of the world's start");
	}
	ret->text[sizeof(ret->text) - 1] = '\0';
	return 0;
}

/* One report, waited for. Returns 0 or a negative errno value. */
static int await_report(int socket, int64_t deadline, struct sg_world_report *ret, pid_t *ret_pid, int *ret_fd,
			struct sg_error *error)
{
	struct pollfd wait = {.fd = socket, .events = POLLIN};
	int64_t left = deadline - sg_now_ms();
	int status;

	if (left <= 0 || poll(&wait, 1, (int)left) <= 0)
		return sg_error_set(error, -ETIMEDOUT, "the world did not come up within %d seconds",
				    SG_WORLD_START_SECONDS);
	status = sg_init_receive(socket, ret, ret_pid, ret_fd, error);
	return status > 0 ? sg_error_set(error, -EPIPE, "the world ended before its command was started") : status;
}

/* While the first process may still be examined; and its cgroup namespace is made by itself. */
static int open_namespaces(struct sg_world *world, pid_t pid, struct sg_error *error)
{
	const struct {
		const char *name;
		int *fd;
	} wanted[] = {{"mnt", &world->mount_namespace}, {"cgroup", &world->group_namespace}};
	char path[48];

	for (size_t i = 0; i < SG_ARRAY_SIZE(wanted); i++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, wanted[i].name);
		*wanted[i].fd = open(path, O_RDONLY | O_CLOEXEC);
		if (*wanted[i].fd < 0)
			return sg_error_set_errno(error, -errno, "cannot hold on to the world's namespaces");
	}
	return 0;
}

static int take_report(struct sg_world *world, const struct sg_world_report *report, pid_t pid, int fd,
		       int64_t deadline, struct sg_error *error)
{
	int *pidfd, *listener;

	switch (report->kind) {
	case SG_WORLD_REPORT_PTY:
		world->pty_master = fd;
		return fd < 0 ? sg_error_set(error, -EPROTO, "the world sent no terminal") : 0;
	case SG_WORLD_REPORT_SOCKET:
		if (fd < 0 || report->number < 0 || report->number >= SG_LOOPBACK_SOCKETS ||
		    world->sockets[report->number] >= 0) {
			sg_fd_close(fd);
			return sg_error_set(error, -EPROTO, "an unexpected socket from the world's first process");
		}
		world->sockets[report->number] = fd;
		return 0;
	case SG_WORLD_REPORT_FIRST:
		world->first = pid;
		pidfd = &world->first_pidfd;
		listener = &world->first_listener;
		break;
	case SG_WORLD_REPORT_COMMAND:
		world->command = pid;
		pidfd = &world->command_pidfd;
		listener = &world->listener;
		break;
	case SG_WORLD_REPORT_FAILED:
		return sg_error_set(error, report->number < 0 ? report->number : -EIO, "%s", report->text);
	default:
		return sg_error_set(error, -EPROTO, "an unknown message from the world's first process");
	}
	*pidfd = open_pidfd(pid);
	if (*pidfd < 0)
		return sg_error_set_errno(error, *pidfd, "cannot hold on to process %d of the world", (int)pid);
	if (report->kind == SG_WORLD_REPORT_FIRST && open_namespaces(world, pid, error) < 0)
		return error != NULL ? error->code : -EPERM;
	*listener = fetch_listener(*pidfd, report->number, deadline, error);
	return *listener < 0 ? *listener : 0;
}

/* The first process's filter works as it should: its first call comes here, and is answered. */
static int await_first_call(const struct sg_world *world, int64_t deadline, struct sg_error *error)
{
	for (;;) {
		struct pollfd wait = {.fd = world->first_listener, .events = POLLIN};
		struct seccomp_notif call = {0};
		struct seccomp_notif_resp answer = {0};
		int64_t left = deadline - sg_now_ms();

		if (left <= 0 || poll(&wait, 1, (int)left) <= 0 || (wait.revents & POLLIN) == 0)
			return sg_error_set(error, -ETIMEDOUT, "the world's first process does not call");
		if (ioctl(world->first_listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			return sg_error_set_errno(error, -errno, "the world's first process is gone");
		}
		answer.id = call.id;
		if (call.data.nr != SG_WORLD_CALL || call.data.args[0] != SG_WORLD_CALL_LISTENING)
			return sg_error_set(error, -EPROTO, "an unexpected call of the world's first process");
		if (ioctl(world->first_listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0)
			return sg_error_set_errno(error, -errno, "the world's first process is gone");
		return 0;
	}
}

static int send_to_keeper(const struct sg_world *world, enum sg_keeper_request kind, const int *fds, size_t count)
{
	const uint32_t request = kind;

	return sg_fd_send(world->keeper_socket, &request, sizeof(request), fds, count);
}

int sg_world_hold(const struct sg_world *world, int listener)
{
	return send_to_keeper(world, SG_KEEPER_HOLD, &listener, 1);
}

/* Why the keeper ended before it said anything. */
static int find_failure(struct sg_world *world, int64_t deadline, struct sg_error *error)
{
	struct sg_world_report report;
	pid_t pid = 0;
	int fd = -1, status = await_report(world->reports, deadline, &report, &pid, &fd, error);

	if (status == 0)
		status = take_report(world, &report, pid, fd, deadline, error);
	return status < 0 ? status : sg_error_set(error, -EPIPE, "the world's keeper ended");
}

int sg_world_await_keeper(struct sg_world *world, struct sg_error *error)
{
	struct pollfd wait = {.fd = world->keeper_socket, .events = POLLIN};
	const int64_t deadline = sg_now_ms() + SG_WORLD_START_SECONDS * 1000;
	ssize_t size;
	char byte;

	if (poll(&wait, 1, SG_WORLD_START_SECONDS * 1000) <= 0)
		return sg_error_set(error, -ETIMEDOUT, "the world's keeper did not come up");
	size = recv(world->keeper_socket, &byte, 1, 0);
	return size == 1 ? 0 : find_failure(world, deadline, error);
}

int sg_world_enter(const struct sg_world *world, struct sg_enter_request *request, const int *descriptors, size_t count)
{
	request->request = SG_KEEPER_ENTER;
	return sg_fd_send(world->keeper_socket, request, offsetof(struct sg_enter_request, words) + request->size,
			  descriptors, count);
}

static int collect(struct sg_world *world, int report_socket, struct sg_error *error)
{
	int64_t deadline = sg_now_ms() + SG_WORLD_START_SECONDS * 1000;
	int status;

	while (world->listener < 0 || world->first_listener < 0) {
		struct sg_world_report report;
		pid_t pid = 0;
		int fd = -1;

		status = await_report(report_socket, deadline, &report, &pid, &fd, error);
		if (status == 0)
			status = take_report(world, &report, pid, fd, deadline, error);
		if (status < 0)
			return status;
	}
	status = await_first_call(world, deadline, error);
	if (status == 0) {
		const int descriptors[] = {world->listener, world->first_listener, world->group_namespace};

		status = send_to_keeper(world, SG_KEEPER_START, descriptors, SG_ARRAY_SIZE(descriptors));
		if (status < 0)
			(void)sg_error_set_errno(error, status, "the keeper is gone");
	}
	world->group_namespace = sg_fd_close(world->group_namespace);
	return status;
}

/* What the keeper is started with. */
struct keeping {
	const struct sg_world_spec *spec;
	int supervisor, socket, report;
	int others[2]; /* the supervisor's ends of both sockets */
};

static int run_keeper(void *argument)
{
	const struct keeping *keeping = argument;

	for (size_t i = 0; i < SG_ARRAY_SIZE(keeping->others); i++)
		sg_fd_close(keeping->others[i]);
	sg_keeper_run(keeping->spec, keeping->supervisor, keeping->socket, keeping->report);
}

int sg_world_begin(const struct sg_world_spec *spec, struct sg_world *ret, struct sg_error *error)
{
	SG_CLEANUP(sg_world_done) struct sg_world world = SG_WORLD_INIT;
	int reports[2], keeper[2], one = 1, status;
	struct keeping keeping;
	SG_AUTO_FD int self = open_pidfd(getpid());

	if (self < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, reports) < 0)
		return sg_error_set_errno(error, -errno, "cannot prepare the world");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, keeper) < 0 ||
	    setsockopt(reports[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0) {
		status = -errno;
		sg_fd_close(reports[0]);
		sg_fd_close(reports[1]);
		return sg_error_set_errno(error, status, "cannot prepare the world");
	}
	keeping = (struct keeping){spec, self, keeper[1], reports[1], {reports[0], keeper[0]}};
	world.keeper = sg_sibling_start(run_keeper, &keeping, sizeof(keeping));
	status = world.keeper < 0 ? world.keeper : 0;
	sg_fd_close(reports[1]);
	sg_fd_close(keeper[1]);
	world.keeper_socket = keeper[0];
	world.reports = reports[0];
	if (status < 0)
		return sg_error_set_errno(error, status, "cannot start the world");
	*ret = world;
	world = SG_WORLD_INIT;
	return 0;
}

int sg_world_finish(struct sg_world *world, struct sg_error *error)
{
	int status = collect(world, world->reports, error);

	world->reports = sg_fd_close(world->reports);
	return status < 0 ? sg_error_set_errno(error, status, "cannot start the world") : 0;
}

void sg_world_done(struct sg_world *world)
{
	int *fds[] = {&world->first_pidfd,     &world->command_pidfd, &world->listener,
		      &world->first_listener,  &world->pty_master,    &world->mount_namespace,
		      &world->group_namespace, &world->keeper_socket, &world->reports};

	for (size_t i = 0; i < SG_LOOPBACK_SOCKETS; i++)
		world->sockets[i] = sg_fd_close(world->sockets[i]);
	/* The keeper kills and reaps the world when its socket to us is closed. */
	for (size_t i = 0; i < SG_ARRAY_SIZE(fds); i++)
		*fds[i] = sg_fd_close(*fds[i]);
	/*
	 * The world is gone when its PID namespace is, and that waits for every process in it to be reaped: those that were on
	 * their way through execve are traced by us, and nobody else can reap them.
	 */
	while (world->keeper > 0) {
		pid_t pid = waitpid(-1, NULL, __WALL);

		if (pid == world->keeper || (pid < 0 && errno != EINTR))
			world->keeper = 0;
	}
}
