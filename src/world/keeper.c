/*
 * What is the same for every process of the world, and is inherited because nobody can take it from outside
 * later, the keeper takes first of all: the Landlock scopes (a process may signal, and reach by abstract
 * sockets, what is in its own domain, and a domain can only be inherited) and an empty session keyring. It
 * hands them to the first process and to whatever is started later. Neither binds the keeper in what it does:
 * it signals its own children, and uses no key.
 *
 * It runs in the supervisor's memory (sibling.c says what that allows): it allocates nothing, and writes to nothing that the
 * supervisor reads.
 *
 * It holds a second copy of every listener: when the supervisor dies, a notified call is not answered ENOSYS,
 * nor could the world put a listener of its own in the place. The keeper sees the supervisor's end and kills
 * the first process, with which the kernel kills all of the PID namespace. Killed itself, it takes the first
 * process along by that one's parent-death signal.
 *
 * And it stands in at the session's door. The supervisor has one main thread, and what that does in the kernel may wait for a lock that a
 * thread of the world holds, or for a server of a file system: each such way that is known is closed, and the next one must not take
 * the session out of its owner's hands. So when somebody has asked at the door and the supervisor has not looked there for
 * STAND_IN_MS, the keeper answers: it says what the session is, and ends the world for who wants it stopped, or its network
 * cut, which without the supervisor can be done in no other way. In the same way it sees to it that the world does not outlive the
 * front end. A world gains nothing by it: it has no way to the door, and what it
 * can bring about by holding the supervisor up is that its owner's word ends it.
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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "tables/features.h"
#include "world/confine.h"
#include "world/enter.h"
#include "world/init.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* Listeners: the command's, the first process's, and those of what was started later. */
enum { ENTRIES_MAX = SG_WORLD_ENTRIES_MAX, HELD_MAX = 2 + SG_WORLD_ENTRIES_MAX, LOWEST_OWN = 900, GROUP_LOST = -2 };
enum { STAND_IN_MS = 1000, STAND_IN_LOOKS = 4 };

struct keeper {
	const struct sg_world_spec *spec;
	int group; /* folder of the control group that the world is in; -1: none; GROUP_LOST: one, out of
		      reach */
	int spaces[SG_ENTER_SPACES]; /* the world's namespaces; -1: none of its own */
	bool timed;
	int supervisor, socket; /* a pidfd of the supervisor; our end of the socket to it */
	int alive;              /* our end of a pipe to the first process, which no other has: init.c */
	pid_t first;
	int first_pidfd;
	int held[HELD_MAX]; /* listeners */
	size_t held_count;
	struct {
		pid_t pid;
		int pidfd;
	} entries[ENTRIES_MAX]; /* enter.c */
	size_t entry_count;
	int terminals;         /* of an empty file that entries lock in turn (enter.c); -1: none yet */
	int door;              /* the session's; -1: it has none */
	int64_t patient_until; /* somebody has asked there, and is the supervisor's until then; 0: nobody has */
	int front;             /* a pidfd of the front end, or -1 */
	int64_t alone_until;   /* that has ended, and the world is the supervisor's until then; 0: it has not */
	unsigned int looked;   /* of the supervisor, when somebody asked */
	unsigned int looks;    /* at the door since then, with somebody before it each time */
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
 * A time namespace where there is one: without, the world has the host's clock offsets, which it cannot
 * change. The namespace of control groups is made by the first process itself: its root is the group that its
 * maker was in.
 */
static pid_t clone_first(struct keeper *keeper)
{
	const struct sg_world_spec *spec = keeper->spec;
	const int all = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
	int timed = sg_feature_hidden(SG_FEATURE_TIME_NAMESPACES) ? 0 : CLONE_NEWTIME;
	pid_t pid;

	keeper->group = spec->group > 0 ? spec->group : -1;
	pid = clone_with((uint64_t)(all | timed), keeper->group, &keeper->first_pidfd);
	if (timed != 0 && (pid == -EINVAL || pid == -ENOSPC)) {
		timed = 0;
		pid = clone_with((uint64_t)all, keeper->group, &keeper->first_pidfd);
	}
	if (pid < 0 && keeper->group > 0 && !spec->group_required) {
		keeper->group = -1;
		pid = clone_with((uint64_t)(all | timed), -1, &keeper->first_pidfd);
	}
	keeper->timed = timed != 0;
	return pid;
}

/*
 * A session keyring is inherited, and whoever possesses it may use the keys in it, in whatever user
 * namespace. So the world gets an empty one of its own. ENOSYS: a kernel without keys.
 */
static int leave_keyring(struct sg_error *error)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		return sg_error_set_errno(error, -errno, "cannot leave the keyring of the user's session");
	return 0;
}

/*
 * Makes the process that enters the world. It is made in the world's control group, never moved there: what
 * cannot be is not started. That it fails is told on descriptors[0].
 */
static void enter(struct keeper *keeper, const struct sg_enter_request *request, const int *descriptors, size_t count)
{
	struct sg_error error = SG_ERROR_INIT;
	int pidfd = -1;
	const pid_t self = getpid();
	pid_t pid = -EAGAIN;

	if (request->pty && keeper->terminals < 0) {
		const int made = memfd_create("terminals", MFD_CLOEXEC);

		keeper->terminals = made < 0 ? -1 : sg_fd_move_above(made, LOWEST_OWN);
	}
	if (keeper->entry_count < ENTRIES_MAX && keeper->group != GROUP_LOST)
		pid = clone_with(0, keeper->group, &pidfd);
	if (pid == 0)
		sg_enter_run(keeper->spec, self, keeper->spaces, request, descriptors, count, keeper->terminals);
	if (pid < 0) {
		(void)sg_error_set_errno(&error, pid, "the world takes no more processes");
		sg_init_report_failure(descriptors[0], &error);
		return;
	}
	pidfd = sg_fd_move_above(pidfd, LOWEST_OWN);
	if (pidfd < 0) { /* its end would not be seen */
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return;
	}
	keeper->entries[keeper->entry_count].pid = pid;
	keeper->entries[keeper->entry_count++].pidfd = pidfd;
}

/* One message of the supervisor. Returns false when there will be no more. */
static bool receive(struct keeper *keeper)
{
	static struct sg_enter_request request;
	int fds[SG_FD_PASS_MAX];
	size_t count = 0, kept = 0;
	ssize_t size = sg_fd_receive(keeper->socket, &request, sizeof(request), fds, SG_FD_PASS_MAX, &count);

	if (size <= 0)
		return false;
	if (size == sizeof(request.request) && request.request == SG_KEEPER_START && count == 3) {
		for (; kept < 2; kept++)
			keeper->held[keeper->held_count++] = fds[kept];
		keeper->spaces[SG_ENTER_CGROUP] = sg_fd_move_above(fds[kept++], LOWEST_OWN);
	} else if (size == sizeof(request.request) && request.request == SG_KEEPER_HOLD) {
		for (; kept < count && keeper->held_count < HELD_MAX; kept++)
			keeper->held[keeper->held_count++] = fds[kept];
	} else if ((size_t)size > sizeof(request.request) && request.request == SG_KEEPER_ENTER &&
		   sg_enter_check(&request, (size_t)size, count) == 0) {
		enter(keeper, &request, fds, count);
	}
	/* One that finds no room is not held: the supervisor gives no more than there is room for. */
	for (size_t i = kept; i < count; i++)
		sg_fd_close(fds[i]);
	return true;
}

/* Reaps the entries that have ended. */
static void drop_entries(struct keeper *keeper, const struct pollfd *polls, size_t count)
{
	for (size_t i = count; i-- > 0;) {
		if (polls[i].revents == 0)
			continue;
		while (waitpid(keeper->entries[i].pid, NULL, 0) < 0 && errno == EINTR)
			continue;
		sg_fd_close(keeper->entries[i].pidfd);
		keeper->entries[i] = keeper->entries[--keeper->entry_count];
	}
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

/* How long the supervisor still has for what has come up, in milliseconds; -1: nothing has. */
static int find_patience(const struct keeper *keeper)
{
	const int64_t asked = keeper->patient_until, left = keeper->alone_until;
	const int64_t first = asked == 0 || (left != 0 && left < asked) ? left : asked, now = sg_now_ms();

	return first == 0 ? -1 : first <= now ? 0 : (int)(first - now);
}

/*
 * Whether the supervisor has left somebody at the door all the time. One that has nothing to do has not looked there for long either, and
 * who comes in this moment is its own to answer: so it is one that stands only if somebody was there at each of several looks.
 */
static bool supervisor_stands(struct keeper *keeper, int64_t now)
{
	struct pollfd door = {.fd = keeper->door, .events = POLLIN};

	keeper->patient_until = 0;
	if (atomic_load(keeper->spec->stand_in->looked) != keeper->looked || poll(&door, 1, 0) <= 0)
		return false;
	if (++keeper->looks == STAND_IN_LOOKS)
		return true;
	keeper->patient_until = now + STAND_IN_MS / STAND_IN_LOOKS;
	return false;
}

/* `asked`: the door is readable; `alone`: the front end has ended. Returns true if the world is to end. */
static bool stand_in(struct keeper *keeper, bool asked, bool alone)
{
	const struct sg_world_stand_in *with = keeper->spec->stand_in;
	const int64_t now = sg_now_ms();

	if (keeper->alone_until == 0 && alone)
		keeper->alone_until = now + STAND_IN_MS;
	else if (keeper->alone_until != 0 && keeper->alone_until <= now)
		return true;
	if (keeper->patient_until == 0 && asked) {
		keeper->looks = 0;
		keeper->looked = atomic_load(with->looked);
		keeper->patient_until = now + STAND_IN_MS / STAND_IN_LOOKS;
	} else if (keeper->patient_until != 0 && keeper->patient_until <= now && supervisor_stands(keeper, now)) {
		return with->answer(keeper->door, with->data);
	}
	return false;
}

static void wait_for_the_end(struct keeper *keeper)
{
	for (;;) {
		struct pollfd polls[5 + HELD_MAX + ENTRIES_MAX] = {
			{.fd = keeper->supervisor, .events = POLLIN},
			{.fd = keeper->first_pidfd, .events = POLLIN},
			{.fd = keeper->socket, .events = POLLIN},
			{.fd = keeper->patient_until == 0 ? keeper->door : -1, .events = POLLIN},
			{.fd = keeper->alone_until == 0 ? keeper->front : -1, .events = POLLIN}};
		const size_t held = keeper->held_count, entries = keeper->entry_count;

		for (size_t i = 0; i < held; i++)
			polls[5 + i] = (struct pollfd){.fd = keeper->held[i]};
		for (size_t i = 0; i < entries; i++)
			polls[5 + held + i] = (struct pollfd){.fd = keeper->entries[i].pidfd, .events = POLLIN};
		if (poll(polls, (nfds_t)(5 + held + entries), find_patience(keeper)) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		drop_held(keeper, polls + 5, held);
		drop_entries(keeper, polls + 5 + held, entries);
		/*
		 * First of all: a message that is left unread when we end would make the supervisor's end of
		 * the socket fail (ECONNRESET) instead of giving it the status.
		 */
		if (polls[2].revents != 0 && !receive(keeper))
			return;
		if ((polls[0].revents | polls[1].revents) != 0 ||
		    stand_in(keeper, polls[3].revents != 0, polls[4].revents != 0))
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
	/* What is left unread when the socket closes would reach the supervisor as ECONNRESET, before the
	 * status. */
	while (recv(keeper->socket, &byte, 1, MSG_DONTWAIT) > 0)
		continue;
	(void)sg_fd_send(keeper->socket, &status, sizeof(status), NULL, 0);
	_exit(0);
}

/*
 * The namespaces of the first process, while it can be examined: sealed, it could be by nobody (its memory
 * belongs to the user namespace in which this program was executed). That of control groups it makes later;
 * the supervisor sends it.
 */
static int open_spaces(struct keeper *keeper)
{
	SG_AUTO_FD int folder = -1;
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns", (int)keeper->first);
	folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < SG_ENTER_SPACES; i++) {
		int fd;

		keeper->spaces[i] = -1;
		if (i == SG_ENTER_CGROUP || (i == SG_ENTER_TIME && !keeper->timed))
			continue;
		fd = openat(folder, sg_enter_spaces[i].name, O_RDONLY | O_CLOEXEC);
		keeper->spaces[i] = fd < 0 ? -1 : sg_fd_move_above(fd, LOWEST_OWN);
		if (keeper->spaces[i] < 0)
			return -errno;
	}
	return 0;
}

static int keep_group(int group)
{
	const int kept = sg_fd_move_above(group, LOWEST_OWN);

	return kept < 0 ? GROUP_LOST : kept;
}

void sg_keeper_run(const struct sg_world_spec *spec, int supervisor, int socket, int report)
{
	struct keeper keeper = {.spec = spec, .first_pidfd = -1, .terminals = -1, .door = -1, .front = -1};
	struct sg_error error = SG_ERROR_INIT;
	int go[2], profile;
	sigset_t all;

	(void)prctl(PR_SET_NAME, "sg-keeper", 0, 0, 0);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	if (pipe2(go, O_CLOEXEC) < 0)
		(void)sg_error_set_errno(&error, -errno, "pipe");
	if (error.code != 0 || leave_keyring(&error) < 0 ||
	    (!spec->landlock &&
	     sg_confine_scopes(&error) < 0)) /* then the first process takes them, in one layer with files */
		sg_init_fail(report, &error);
	keeper.first = clone_first(&keeper);
	if (keeper.first < 0) {
		(void)sg_error_set_errno(&error, keeper.first, "cannot make the namespaces of the world");
		sg_init_fail(report, &error);
	}
	if (keeper.first == 0) {
		sg_fd_close(go[1]);
		sg_fd_close(socket);
		sg_fd_close(supervisor);
		sg_world_init(spec, go[0], report);
	}
	if (sg_identity_write_maps(spec->identity, keeper.first, true, &error) < 0) {
		(void)kill(keeper.first, SIGKILL);
		sg_init_fail(report, &error);
	}
	(void)sg_fd_write_full(go[1], "", 1);
	/* All else that we inherited is not ours to keep. */
	keeper.supervisor = sg_fd_move_above(supervisor, LOWEST_OWN);
	keeper.socket = sg_fd_move_above(socket, LOWEST_OWN);
	keeper.first_pidfd = sg_fd_move_above(keeper.first_pidfd, LOWEST_OWN);
	keeper.alive = sg_fd_move_above(go[1], LOWEST_OWN);
	if (keeper.group > 0)
		keeper.group = keep_group(keeper.group);
	if (spec->stand_in != NULL && spec->stand_in->door >= 0)
		keeper.door = sg_fd_move_above(spec->stand_in->door, LOWEST_OWN); /* or nobody stands in */
	if (spec->stand_in != NULL && spec->stand_in->front >= 0)
		keeper.front = sg_fd_move_above(spec->stand_in->front, LOWEST_OWN);
	profile = spec->apparmor_lock > 0 ? sg_fd_move_above(spec->apparmor_lock, LOWEST_OWN) : 0;
	(void)close_range(0, LOWEST_OWN - 1, 0);
	/* Without these nobody can enter, or ends would not be seen: the world is not started, rather than found out later. */
	if (profile < 0 || keeper.supervisor < 0 || keeper.socket < 0 || keeper.first_pidfd < 0 ||
	    open_spaces(&keeper) < 0 || sg_fd_send(keeper.socket, "", 1, NULL, 0) < 0) {
		(void)kill(keeper.first, SIGKILL);
		_exit(125);
	}
	keep(&keeper);
}
