/*
 * The first process of a world, and the command's last steps before its first execve.
 *
 * Until it executes, the command is a process in the first one's memory (world/sibling.h): it is our code, has its own
 * credentials, descriptors and filter, and leaves that memory in the execve. No code of the world runs before that, and then the
 * supervisor, which traces it, holds it stopped ahead of its first instruction until the first process has sealed itself (no longer
 * dumpable: nobody in the world can read or trace it). That is done as soon as the command has left, and not before, since being
 * dumpable is the memory's, and the supervisor must see what the command calls. From then on the first process
 * holds no descriptor (but the world's terminal, where the command was started in the background) and no capability, and its
 * own filter leaves it just the calls of its loop; all that the world can do to it is to exit, be stopped, or send it
 * signals, which it, as a PID 1 without handlers, never gets.
 *
 * The command gives up everything in this order: terminal and streams, limits, capabilities and no_new_privs, other
 * descriptors, and last the filter; after the filter it makes no call but execve and exit_group. The Landlock scopes and the
 * keyring of the world are its keeper's already (keeper.c).
 */
#include "world/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "world/confine.h"
#include "world/loopback.h"
#include "world/sibling.h"

enum { EXIT_FAILED = 125, EXIT_REFUSED = 126, EXIT_NOT_FOUND = 127 };

static void send_report(int report, enum sg_world_report_kind kind, int number, const char *text, const int *fds,
			size_t count)
{
	struct sg_world_report message = {.kind = (int)kind, .number = number};

	(void)snprintf(message.text, sizeof(message.text), "%s", text);
	(void)sg_fd_send(report, &message, sizeof(message), fds, count);
}

void sg_init_tell(int report, enum sg_world_report_kind kind, int number)
{
	send_report(report, kind, number, "", NULL, 0);
}

void sg_init_report_failure(int report, const struct sg_error *error)
{
	send_report(report, SG_WORLD_REPORT_FAILED, error->code, error->text, NULL, 0);
}

void sg_init_fail(int report, const struct sg_error *error)
{
	sg_init_report_failure(report, error);
	_exit(EXIT_FAILED);
}

/* Tells the supervisor which number the listener will have: the lowest free one. */
static void announce(int report, enum sg_world_report_kind kind)
{
	int free_number = fcntl(report, F_DUPFD_CLOEXEC, 0);

	sg_fd_close(free_number);
	send_report(report, kind, free_number, "", NULL, 0);
}

int sg_init_pty(const struct sg_world_spec *spec, int report, int *ret_slave, struct sg_error *error)
{
	SG_AUTO_FD int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int unlock = 0, slave;

	if (master < 0)
		return sg_error_set_errno(error, -errno, "cannot make a terminal for the world");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return sg_error_set_errno(error, -errno, "cannot unlock the world's terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return sg_error_set_errno(error, -errno, "cannot open the world's terminal");
	if (spec->termios != NULL)
		(void)ioctl(slave, TCSETS, spec->termios);
	if (spec->window != NULL)
		(void)ioctl(slave, TIOCSWINSZ, spec->window);
	send_report(report, SG_WORLD_REPORT_PTY, 0, "", &master, 1);
	*ret_slave = slave;
	return 0;
}

/* The loopback comes up while the capability for it is there; the sockets are the supervisor's, the world keeps none. */
static int make_network(const struct sg_world_spec *spec, int report, struct sg_error *error)
{
	int sockets[SG_LOOPBACK_SOCKETS], status = sg_loopback_raise(spec->resolver, sockets, error);

	for (int i = 0; status == 0 && i < SG_LOOPBACK_SOCKETS; i++) {
		if (sockets[i] >= 0)
			send_report(report, SG_WORLD_REPORT_SOCKET, i, "", &sockets[i], 1);
		sg_fd_close(sockets[i]);
	}
	return status;
}

/* Puts the streams at 0, 1 and 2. None of the sources lies there: the supervisor moved them up. */
static int place_streams(const struct sg_world_spec *spec, int slave, struct sg_error *error)
{
	SG_AUTO_FD int null = -1;

	for (int i = 0; i < 3; i++) {
		int source = spec->stdio[i] >= 0 ? spec->stdio[i] : slave;

		if (spec->closed[i] || source < 0) {
			if (null < 0)
				null = open("/dev/null", O_RDWR | O_CLOEXEC);
			source = null;
		}
		if (source < 0 || dup2(source, i) < 0)
			return sg_error_set_errno(error, -errno, "cannot place stream %d", i);
	}
	return 0;
}

/*
 * A core dump is written by the kernel, past every decision on its name, or given to a program of the host's that runs as
 * root (core(5)). 1 stops both; 0 would leave the second. The world cannot change it (tables/checks.def).
 */
static const struct rlimit no_core = {1, 1};

static int set_limits(const struct sg_world_spec *spec, struct sg_error *error)
{
	bool core = false;

	for (size_t i = 0; i < spec->limit_count; i++) {
		struct rlimit current, wanted = {spec->limits[i].value, spec->limits[i].value};
		int resource = spec->limits[i].resource;

		if (getrlimit((__rlimit_resource_t)resource, &current) == 0 && current.rlim_max < wanted.rlim_max)
			wanted.rlim_cur = wanted.rlim_max = current.rlim_max;
		if (setrlimit((__rlimit_resource_t)resource, &wanted) < 0)
			return sg_error_set_errno(error, -errno, "cannot set limit %d", resource);
		core |= resource == RLIMIT_CORE;
	}
	if (!core && setrlimit(RLIMIT_CORE, &no_core) < 0 && errno != EPERM)
		return sg_error_set_errno(error, -errno, "cannot forbid core dumps");
	return 0;
}

static void reset_signals(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		(void)sigaction(number, &action, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static const char *find_variable(char *const *environment, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; environment[i] != NULL; i++)
		if (strncmp(environment[i], name, length) == 0 && environment[i][length] == '=')
			return environment[i] + length + 1;
	return NULL;
}

/* execvp(3)'s search, over the world's PATH; only async-signal-safe calls, and after the filter only execve. */
static int execute(const struct sg_world_spec *spec)
{
	const char *name = spec->argv[0], *path = find_variable(spec->environment, "PATH");
	int worst = ENOENT;

	if (strchr(name, '/') != NULL) {
		(void)execve(name, spec->argv, spec->environment);
		return errno;
	}
	if (path == NULL)
		path = "/usr/local/bin:/usr/bin:/bin";
	for (;;) {
		size_t length = strcspn(path, ":");
		char candidate[4096];

		if (length + 1 + strlen(name) < sizeof(candidate) && length > 0) {
			(void)snprintf(candidate, sizeof(candidate), "%.*s/%s", (int)length, path, name);
			(void)execve(candidate, spec->argv, spec->environment);
			if (errno != ENOENT && errno != ENOTDIR)
				worst = errno;
			if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
				return errno;
		}
		if (path[length] == '\0')
			return worst;
		path += length + 1;
	}
}

/*
 * The first process leads the session, and the command a group in it. Led by the command itself, the session would be an
 * orphaned group, in which the kernel ignores Ctrl-Z.
 */
int sg_init_session(int slave, struct sg_error *error)
{
	if (setsid() < 0)
		return sg_error_set_errno(error, -errno, "setsid");
	if (slave >= 0 && ioctl(slave, TIOCSCTTY, 0) < 0)
		return sg_error_set_errno(error, -errno, "cannot make the world's terminal the controlling one");
	return 0;
}

static int take_group(const struct sg_world_spec *spec, int slave, struct sg_error *error)
{
	sigset_t set, before;
	pid_t self = getpid();
	int status;

	if (setpgid(0, 0) < 0)
		return sg_error_set_errno(error, -errno, "setpgid");
	if (slave < 0 || spec->background)
		return 0;
	/* The group is a background one until then: blocked, the signal for those is not sent. */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTTOU);
	(void)sigprocmask(SIG_BLOCK, &set, &before);
	status = ioctl(slave, TIOCSPGRP, &self) < 0 ? -errno : 0;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return status < 0 ? sg_error_set_errno(error, status, "cannot give the terminal to the command") : 0;
}

static int give_up_capabilities(const struct sg_world_spec *spec, struct sg_error *error)
{
	return spec->entering ? sg_confine_capabilities_at_exec(spec->capabilities, spec->apparmor, error)
			      : sg_confine_capabilities(spec->capabilities, spec->apparmor, error);
}

void sg_init_command(const struct sg_world_spec *spec, int slave, int report)
{
	struct sg_error error = SG_ERROR_INIT;
	int status;

	reset_signals();
	/* The limits after what opens a file (AppArmor's label): the smallest that starts a program is the same everywhere. */
	if (take_group(spec, slave, &error) == 0 && place_streams(spec, slave, &error) == 0 &&
	    give_up_capabilities(spec, &error) == 0 && set_limits(spec, &error) == 0 && chdir(spec->directory) < 0 &&
	    spec->directory_named)
		(void)sg_error_set_errno(&error, -errno, "cannot enter the working directory %s in this world",
					 spec->directory);
	if (error.code != 0)
		sg_init_fail(report, &error);
	(void)umask(spec->umask);
	if (report != 3 && dup3(report, 3, O_CLOEXEC) < 0)
		_exit(EXIT_FAILED);
	report = 3;
	(void)sg_fd_close_from(4);
	announce(report, SG_WORLD_REPORT_COMMAND);
	if (sg_confine_filter(spec->filter, spec->filter_length, &error) < 0)
		sg_init_fail(report, &error);
	status = execute(spec);
	_exit(status == ENOENT || status == ENOTDIR ? EXIT_NOT_FOUND : EXIT_REFUSED);
}

/* The first process's own filter: its loop, and its call to the supervisor. */
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(action) BPF_STMT(BPF_RET | BPF_K, action)
#define FOR_CALL(number, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), ANSWER(action)

static const struct sock_filter first_filter[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
	ANSWER(SECCOMP_RET_KILL_PROCESS),
	LOAD(nr),
	FOR_CALL(SG_WORLD_CALL, SECCOMP_RET_USER_NOTIF),
	FOR_CALL(SYS_waitid, SECCOMP_RET_ALLOW),
	FOR_CALL(SYS_futex, SECCOMP_RET_ALLOW), /* on its own memory: to learn that the command has left it */
#ifdef __SANITIZE_ADDRESS__ /* what its runtime calls before a function that does not return, and to report */
	FOR_CALL(SYS_sigaltstack, SECCOMP_RET_ALLOW),
	FOR_CALL(SYS_gettid, SECCOMP_RET_ALLOW),
	FOR_CALL(SYS_mmap, SECCOMP_RET_ALLOW),
	FOR_CALL(SYS_munmap, SECCOMP_RET_ALLOW),
#endif
	FOR_CALL(SYS_close, SECCOMP_RET_ALLOW),
	FOR_CALL(SYS_rt_sigreturn, SECCOMP_RET_ALLOW),
	FOR_CALL(SYS_restart_syscall, SECCOMP_RET_ALLOW),
	FOR_CALL(SYS_exit_group, SECCOMP_RET_ALLOW),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 4),
	LOAD(args[1]),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSPGRP, 0, 1),
	ANSWER(SECCOMP_RET_ALLOW),
	ANSWER(SECCOMP_RET_ERRNO | EPERM),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
	LOAD(args[0]),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_DUMPABLE, 0, 1),
	ANSWER(SECCOMP_RET_ALLOW),
	ANSWER(SECCOMP_RET_ERRNO | EPERM),
};

/* The command, as the first process sees it. */
struct watched {
	pid_t pid;
	/*
	 * -1, or the world's terminal, of which a command that was started in the background gets the foreground when it first asks for
	 * it; it then goes on when the front end has taken the user's.
	 */
	int terminal;
	_Atomic uint32_t shared; /* it has not executed yet (sg_sibling_second) */
};

/* Reaps one process, waiting for it without WNOHANG among `options`. Returns the exit status of the world when there is one, else -1. */
static int reap(const struct watched *command, int options)
{
	siginfo_t info = {0};

	if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED | options) < 0)
		return errno == EINTR ? -1 : EXIT_FAILED;
	if (info.si_pid != command->pid)
		return -1;
	switch (info.si_code) {
	case CLD_EXITED:
		return info.si_status;
	case CLD_KILLED:
	case CLD_DUMPED:
		return 128 + info.si_status;
	case CLD_STOPPED:
		if (command->terminal >= 0 && (info.si_status == SIGTTIN || info.si_status == SIGTTOU))
			(void)ioctl(command->terminal, TIOCSPGRP, &command->pid);
		(void)syscall(SG_WORLD_CALL, SG_WORLD_CALL_STOPPED, info.si_status);
		return -1;
	case CLD_CONTINUED:
		(void)syscall(SG_WORLD_CALL, SG_WORLD_CALL_CONTINUED, 0);
		return -1;
	default:
		return -1;
	}
}

/*
 * Waits until the command has left our memory, by an execution or its end. That it is stopped before is told too, if
 * not at once. Returns as reap() does.
 */
static int await_execution(struct watched *command)
{
	const struct timespec interval = {.tv_nsec = 50000000};
	int status = -1;

	while (status < 0 && atomic_load(&command->shared) != 0)
		if (syscall(SYS_futex, &command->shared, FUTEX_WAIT, 1, &interval, NULL, 0) < 0 && errno == ETIMEDOUT)
			status = reap(command, WNOHANG);
	return status;
}

/*
 * Overwrites our copy of the launcher's arguments: /proc/1/cmdline asks for no permission, and they name the record, the
 * profiles and whatever else of the host. Where they lie are fields 48 and 49 of proc_pid_stat(5).
 */
void sg_init_forget_arguments(void)
{
	SG_AUTO_FD int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	unsigned long start = 0, end = 0;
	char text[1024], *at;
	ssize_t size = fd < 0 ? 0 : sg_fd_read_full(fd, text, sizeof(text) - 1);

	if (size <= 0)
		return;
	text[size] = '\0';
	at = strrchr(text, ')');
	for (int field = 2; at != NULL && field < 48; field++)
		at = strchr(at + 1, ' ');
	if (at != NULL && sscanf(at, " %lu %lu", &start, &end) == 2 && start != 0 && start < end)
		memset((void *)(uintptr_t)start, 0, end - start);
}

static SG_NORETURN void watch(const struct sg_world_spec *spec, struct watched *command, int slave, int report)
{
	struct sg_error error = SG_ERROR_INIT;
	const bool keep_terminal = spec->background && slave >= 0;
	sigset_t all;
	int listener, status;

	sg_init_forget_arguments();
	/* None is for us, and setting the terminal's foreground from a background group asks that SIGTTOU is blocked. */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	if (sg_confine_capabilities(0, spec->apparmor, &error) < 0)
		sg_init_fail(report, &error);
	if (keep_terminal) {
		slave = sg_fd_move_above(slave, 3);
		report = sg_fd_move_above(report, 3);
		if (slave < 0 || report < 0 || dup3(slave, 1, O_CLOEXEC) < 0)
			_exit(EXIT_FAILED);
	}
	if (report != 0 && dup3(report, 0, O_CLOEXEC) < 0)
		_exit(EXIT_FAILED);
	(void)sg_fd_close_from(keep_terminal ? 2 : 1);
	announce(0, SG_WORLD_REPORT_FIRST);
	listener = sg_confine_filter(first_filter, SG_ARRAY_SIZE(first_filter), &error);
	if (listener < 0)
		sg_init_fail(0, &error);
	/* From here on only the command has the socket: if it dies before its report, the supervisor sees the end of it at once. */
	(void)close(0);
	(void)syscall(SG_WORLD_CALL, SG_WORLD_CALL_LISTENING, 0);
	(void)close(listener);
	command->terminal = keep_terminal ? 1 : -1;
	status = await_execution(command);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)syscall(SG_WORLD_CALL, SG_WORLD_CALL_SEALED, 0);
	while (status < 0)
		status = reap(command, 0);
	_exit(status);
}

/* What the command's process is started with. */
struct commanding {
	const struct sg_world_spec *spec;
	int slave, report;
};

static int run_command(void *argument)
{
	const struct commanding *commanding = argument;

	sg_init_command(commanding->spec, commanding->slave, commanding->report);
}

/*
 * Waits for the maps, and takes care that the keeper's death is ours: it is signalled to who has asked before. A keeper that had died
 * before we asked has closed its end of the pipe, which nobody else has and it keeps as long as it lives. Returns false then.
 */
static bool follow_keeper(int go)
{
	struct pollfd closed = {.fd = go};
	char byte;

	return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && sg_fd_read_full(go, &byte, 1) == 1 &&
	       poll(&closed, 1, 0) == 0;
}

void sg_world_init(const struct sg_world_spec *spec, int go, int report)
{
	struct sg_error error = SG_ERROR_INIT;
	struct watched command = {.terminal = -1};
	struct commanding commanding;
	int slave = -1;

	(void)prctl(PR_SET_NAME, "sg-init", 0, 0, 0);
	if (!follow_keeper(go))
		_exit(EXIT_FAILED);
	reset_signals();
	(void)umask(0);
	if (unshare(CLONE_NEWCGROUP) < 0)
		(void)sg_error_set_errno(&error, -errno, "cannot make a namespace of control groups");
	if (spec->ping)
		sg_loopback_allow_ping(spec->identity->gid);
	if (error.code != 0 || sg_mount_build(spec->mounts, spec->mount_count, &error) < 0)
		sg_init_fail(report, &error);
	if (sethostname(spec->hostname, strlen(spec->hostname)) < 0 && errno != EPERM)
		(void)sg_error_set_errno(&error, -errno, "sethostname");
	if (error.code == 0)
		(void)make_network(spec, report, &error);
	if (error.code == 0 && spec->pty)
		(void)sg_init_pty(spec, report, &slave, &error);
	if (error.code == 0)
		(void)sg_init_session(slave, &error);
	if (error.code == 0 && spec->landlock)
		(void)sg_confine_files(spec->mounts, spec->mount_count, &error);
	if (error.code != 0)
		sg_init_fail(report, &error);
	commanding = (struct commanding){spec, slave, report};
	command.pid = sg_sibling_second(run_command, &commanding, sizeof(commanding), &command.shared);
	if (command.pid < 0)
		(void)sg_error_set_errno(&error, command.pid, "cannot fork the command");
	if (command.pid < 0)
		sg_init_fail(report, &error);
	watch(spec, &command, slave, report);
}
