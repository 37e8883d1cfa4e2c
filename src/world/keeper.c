/*
 * What is the same for every process of the world, and is inherited because nobody can take it from outside later, the keeper
 * takes first of all: the Landlock scopes (a process may signal, and reach by abstract sockets, what is in its own domain,
 * and a domain can only be inherited) and an empty session keyring. It hands them to the first process and to whatever is
 * started later. Neither binds the keeper in what it does: it signals its own children, and uses no key.
 *
 * It holds a second copy of every listener: when the supervisor dies, a notified call is not answered ENOSYS, nor could the
 * world put a listener of its own in the place. The keeper sees the supervisor's end and kills the first process, with which the
 * kernel kills all of the PID namespace. Killed itself, it takes the first process along by that one's parent-death signal.
 */
#include "world/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "tables/features.h"
#include "world/confine.h"
#include "world/init.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* Listeners: the command's, the first process's, and those of what was started later (SG_WORLD_ENTRIES_MAX). */
enum { HELD_MAX = 20 };

struct keeper {
	int supervisor, socket; /* a pidfd of the supervisor; our end of the socket to it */
	pid_t first;
	int first_pidfd;
	int held[HELD_MAX]; /* listeners */
	size_t held_count;
};

/* clone3 behaves as fork here: no stack, no shared memory. */
static pid_t clone_with(uint64_t flags, int group, int *ret_pidfd)
{
	struct clone_args arguments = {
	    .flags = CLONE_PIDFD | flags,
	    .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
	    .exit_signal = SIGCHLD,
	};
	long pid;

	if (group > 0) {
		arguments.flags |= CLONE_INTO_CGROUP;
		arguments.cgroup = (uint64_t)(unsigned int)group;
	}
	pid = syscall(SYS_clone3, &arguments, sizeof(arguments));
	return pid < 0 ? -errno : (pid_t)pid;
}

/*
 * A time namespace where there is one: without, the world has the host's clock offsets, which it cannot change. The
 * namespace of control groups is made by the first process itself: its root is the group that its maker was in.
 */
static pid_t clone_first(const struct sg_world_spec *spec, int *ret_pidfd)
{
	const uint64_t all = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
	uint64_t timed = sg_feature_hidden(SG_FEATURE_TIME_NAMESPACES) ? 0 : CLONE_NEWTIME;
	pid_t pid = clone_with(all | timed, spec->group, ret_pidfd);

	if (timed != 0 && (pid == -EINVAL || pid == -ENOSPC)) {
		timed = 0;
		pid = clone_with(all, spec->group, ret_pidfd);
	}
	if (pid < 0 && spec->group > 0 && !spec->group_required)
		pid = clone_with(all | timed, -1, ret_pidfd);
	return pid;
}

static SG_NORETURN void fail(int report, const struct sg_error *error)
{
	struct sg_world_report message = {.kind = SG_WORLD_REPORT_FAILED, .number = error->code};

	(void)snprintf(message.text, sizeof(message.text), "%s", error->text);
	(void)sg_fd_send(report, &message, sizeof(message), NULL, 0);
	_exit(125);
}

/*
 * A session keyring is inherited, and whoever possesses it may use the keys in it, in whatever user namespace. So the world
 * gets an empty one of its own. ENOSYS: a kernel without keys.
 */
static int leave_keyring(struct sg_error *error)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		return sg_error_set_errno(error, -errno, "cannot leave the keyring of the user's session");
	return 0;
}

/* One message of the supervisor. Returns false when there will be no more. */
static bool receive(struct keeper *keeper)
{
	int fds[SG_FD_PASS_MAX];
	uint32_t request = 0;
	size_t count = 0;
	ssize_t size = sg_fd_receive(keeper->socket, &request, sizeof(request), fds, SG_FD_PASS_MAX, &count);

	if (size <= 0)
		return false;
	for (size_t i = 0; i < count; i++) {
		/* One that finds no room is not held: the supervisor gives no more than this. */
		if (request == SG_KEEPER_HOLD && size == sizeof(request) && keeper->held_count < HELD_MAX)
			keeper->held[keeper->held_count++] = fds[i];
		else
			sg_fd_close(fds[i]);
	}
	return true;
}

/* A listener whose filter no process has any more hangs up. */
static void drop_held(struct keeper *keeper, const struct pollfd *polls, size_t count)
{
	for (size_t i = count; i-- > 0;) {
		if ((polls[i].revents & (POLLHUP | POLLERR | POLLNVAL)) == 0)
			continue;
		sg_fd_close(keeper->held[i]);
		keeper->held[i] = keeper->held[--keeper->held_count];
	}
}

static void wait_for_the_end(struct keeper *keeper)
{
	for (;;) {
		struct pollfd polls[3 + HELD_MAX] = {{.fd = keeper->supervisor, .events = POLLIN},
						     {.fd = keeper->first_pidfd, .events = POLLIN},
						     {.fd = keeper->socket, .events = POLLIN}};
		const size_t held = keeper->held_count;

		for (size_t i = 0; i < held; i++)
			polls[3 + i] = (struct pollfd){.fd = keeper->held[i]};
		if (poll(polls, (nfds_t)(3 + held), -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		drop_held(keeper, polls + 3, held);
		/*
		 * First of all: a message that is left unread when we end would make the supervisor's end of the socket fail
		 * (ECONNRESET) instead of giving it the status.
		 */
		if (polls[2].revents != 0 && !receive(keeper))
			return;
		if ((polls[0].revents | polls[1].revents) != 0)
			return;
	}
}

/* Keeps what the supervisor sends until the world has ended; when the supervisor dies, ends the world. */
static SG_NORETURN void keep(struct keeper *keeper)
{
	int status = 0;
	char byte;

	wait_for_the_end(keeper);
	(void)kill(keeper->first, SIGKILL);
	while (waitpid(keeper->first, &status, 0) < 0 && errno == EINTR)
		continue;
	/* What is left unread when the socket closes would reach the supervisor as ECONNRESET, before the status. */
	while (recv(keeper->socket, &byte, 1, MSG_DONTWAIT) > 0)
		continue;
	(void)sg_fd_send(keeper->socket, &status, sizeof(status), NULL, 0);
	_exit(0);
}

void sg_keeper_run(const struct sg_world_spec *spec, int supervisor, int socket, int report)
{
	struct keeper keeper = {.first_pidfd = -1};
	struct sg_error error = SG_ERROR_INIT;
	int go[2];
	sigset_t all;

	(void)prctl(PR_SET_NAME, "sg-keeper", 0, 0, 0);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	if (pipe2(go, O_CLOEXEC) < 0)
		(void)sg_error_set_errno(&error, -errno, "pipe");
	if (error.code != 0 || leave_keyring(&error) < 0 ||
	    (!spec->landlock && sg_confine_scopes(&error) < 0)) /* then the first process takes them, in one layer with files */
		fail(report, &error);
	keeper.first = clone_first(spec, &keeper.first_pidfd);
	if (keeper.first < 0) {
		(void)sg_error_set_errno(&error, keeper.first, "cannot make the namespaces of the world");
		fail(report, &error);
	}
	if (keeper.first == 0) {
		sg_fd_close(go[1]);
		sg_fd_close(socket);
		sg_fd_close(supervisor);
		sg_world_init(spec, go[0], report);
	}
	if (sg_identity_write_maps(spec->identity, keeper.first, true, &error) < 0) {
		(void)kill(keeper.first, SIGKILL);
		fail(report, &error);
	}
	(void)sg_fd_write_full(go[1], "", 1);
	/* All else that we inherited is not ours to keep. */
	keeper.supervisor = sg_fd_move_above(supervisor, 1000);
	keeper.socket = sg_fd_move_above(socket, 1000);
	keeper.first_pidfd = sg_fd_move_above(keeper.first_pidfd, 1000);
	(void)close_range(0, 999, 0);
	keep(&keeper);
}
