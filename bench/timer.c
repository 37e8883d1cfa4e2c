/*
 * Runs a command and measures it from outside: wall time by CLOCK_MONOTONIC from before the spawn to the end
 * of the wait, and the CPU time of the whole tree. One JSON object a run, one a line, goes to the descriptor
 * given by --result.
 *
 *   timer [--repeat N] [--timeout SECONDS] [--enter PID] --result FD -- COMMAND...
 *   timer [--enter PID] --exec -- COMMAND...
 *
 * The command is a session of its own, without a controlling terminal. The timer is the subreaper of what it
 * starts: a process that outlives the command is waited for a while (its CPU time counts, the wall time does
 * not), then killed and counted in "left". --enter joins the user, mount and cgroup namespaces of PID where
 * they differ from ours, before the time runs. --exec does that and then becomes the command, with nothing
 * measured.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/fd.h"

enum {
	NANO = 1000000000,
	REPEAT_MAX = 100000,
	TIMEOUT_MAX_SECONDS = 3600,
	DEFAULT_TIMEOUT_SECONDS = 120,
	ORPHAN_GRACE_SECONDS = 2, /* what a supervisor may take to clean up after its command */
	KILL_GRACE_SECONDS = 5,   /* a killed process that does not go: give up and say so */
	PROC_NAME_SIZE = 64,
};

struct options {
	int repeat;
	int timeout; /* seconds */
	int result;  /* descriptor, -1: none */
	pid_t enter; /* 0: none */
	bool exec;
	char **command;
};

struct run {
	uint64_t wall; /* ns */
	uint64_t user; /* us, of the whole tree */
	uint64_t system;
	int status; /* of waitpid(2) */
	bool timed_out;
	int left; /* processes that had to be killed after the command's end */
};

extern char **environ;

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NANO + (uint64_t)now.tv_nsec;
}

static SG_NORETURN void fail(const char *what, int error)
{
	(void)fprintf(stderr, "timer: %s: %s\n", what, strerror(error));
	exit(125);
}

static int number(const char *text, int limit)
{
	char *end = NULL;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (end == text || *end || errno || value < 0 || value > limit)
		fail(text, ERANGE);
	return (int)value;
}

static uint64_t microseconds(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

/* Whether the namespace `name` of `pid` is another than ours. */
static bool namespace_differs(pid_t pid, const char *name)
{
	char path[PROC_NAME_SIZE];
	struct stat ours, theirs;

	(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	if (stat(path, &ours) < 0)
		fail(path, errno);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	if (stat(path, &theirs) < 0)
		fail(path, errno);
	return ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev;
}

/* setns(2) of a mount namespace moves to its root: the working directory is found again by name. */
static void enter_namespaces(pid_t pid)
{
	static const struct {
		const char *name;
		int flag;
	} kinds[] = {{"user", CLONE_NEWUSER}, {"mnt", CLONE_NEWNS}, {"cgroup", CLONE_NEWCGROUP}};
	SG_AUTO_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	char directory[PATH_MAX];
	int flags = 0;

	if (pidfd < 0)
		fail("pidfd_open", errno);
	if (!getcwd(directory, sizeof(directory)))
		fail("getcwd", errno);
	for (size_t i = 0; i < SG_ARRAY_SIZE(kinds); i++)
		flags |= namespace_differs(pid, kinds[i].name) ? kinds[i].flag : 0;
	if (flags && setns(pidfd, flags) < 0)
		fail("setns", errno);
	if (chdir(directory) < 0)
		fail(directory, errno);
}

/*
 * Waits for `pid`, or any child for -1, until `deadline` (now_ns). SIGCHLD is blocked, so one that comes
 * between the look and the wait stays pending. Returns the pid, 0 when there is no child left, -1 at the
 * deadline.
 */
static pid_t wait_until(pid_t pid, uint64_t deadline, int *ret_status)
{
	sigset_t child;

	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	for (;;) {
		struct timespec left;
		uint64_t now;
		pid_t got = waitpid(pid, ret_status, WNOHANG);

		if (got > 0)
			return got;
		if (got < 0 && errno != EINTR)
			return 0;
		now = now_ns();
		if (now >= deadline)
			return -1;
		left.tv_sec = (time_t)((deadline - now) / NANO);
		left.tv_nsec = (long)((deadline - now) % NANO);
		(void)sigtimedwait(&child, NULL, &left);
	}
}

/* Kills our children, one level: what they leave becomes ours, and the caller comes again. Returns how many.
 */
static int kill_children(void)
{
	FILE *list = fopen("/proc/thread-self/children", "re");
	int count = 0;
	int pid;

	if (!list)
		return 0;
	while (fscanf(list, "%d", &pid) == 1)
		count += kill(pid, SIGKILL) == 0;
	(void)fclose(list);
	return count;
}

static int reap_orphans(void)
{
	uint64_t deadline = now_ns() + (uint64_t)ORPHAN_GRACE_SECONDS * NANO;
	int killed = 0;
	int status;
	pid_t pid;

	while ((pid = wait_until(-1, deadline, &status)) > 0)
		continue;
	if (pid == 0)
		return 0;
	deadline = now_ns() + (uint64_t)KILL_GRACE_SECONDS * NANO;
	do
		killed += kill_children();
	while (wait_until(-1, deadline, &status) > 0);
	return killed;
}

static pid_t spawn(char **command)
{
	posix_spawnattr_t attributes;
	sigset_t none, all;
	pid_t pid;
	int error;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	if (posix_spawnattr_init(&attributes) != 0 ||
	    posix_spawnattr_setflags(&attributes,
				     POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) != 0 ||
	    posix_spawnattr_setsigmask(&attributes, &none) != 0 ||
	    posix_spawnattr_setsigdefault(&attributes, &all) != 0)
		fail("posix_spawnattr", EINVAL);
	error = posix_spawnp(&pid, command[0], NULL, &attributes, command, environ);
	(void)posix_spawnattr_destroy(&attributes);
	if (error)
		fail(command[0], error);
	return pid;
}

static struct run run_once(const struct options *options)
{
	struct run run = {0};
	struct rusage before, after;
	uint64_t start;
	pid_t pid;

	(void)getrusage(RUSAGE_CHILDREN, &before);
	start = now_ns();
	pid = spawn(options->command);
	if (wait_until(pid, start + (uint64_t)options->timeout * NANO, &run.status) < 0) {
		run.timed_out = true;
		(void)kill(-pid, SIGKILL); /* it is a session leader, so also the leader of its group */
		(void)wait_until(pid, now_ns() + (uint64_t)KILL_GRACE_SECONDS * NANO, &run.status);
	}
	run.wall = now_ns() - start;
	run.left = reap_orphans();
	(void)getrusage(RUSAGE_CHILDREN, &after);
	run.user = microseconds(after.ru_utime) - microseconds(before.ru_utime);
	run.system = microseconds(after.ru_stime) - microseconds(before.ru_stime);
	return run;
}

static void report(int fd, const struct run *run)
{
	int r = dprintf(fd,
			"{\"wall_ns\":%" PRIu64 ",\"user_us\":%" PRIu64 ",\"system_us\":%" PRIu64
			",\"exit\":%d,\"signal\":%d,\"timed_out\":%s,\"left\":%d}\n",
			run->wall, run->user, run->system, WIFEXITED(run->status) ? WEXITSTATUS(run->status) : -1,
			WIFSIGNALED(run->status) ? WTERMSIG(run->status) : 0, run->timed_out ? "true" : "false",
			run->left);

	if (r < 0)
		fail("result", errno);
}

static int failed(const struct run *run)
{
	return run->timed_out || !WIFEXITED(run->status) || WEXITSTATUS(run->status) != 0;
}

static struct options parse(int argc, char **argv)
{
	static const struct option names[] = {
		{"repeat", required_argument, NULL, 'r'}, {"timeout", required_argument, NULL, 't'},
		{"result", required_argument, NULL, 'f'}, {"enter", required_argument, NULL, 'e'},
		{"exec", no_argument, NULL, 'x'},         {NULL, 0, NULL, 0},
	};
	struct options options = {.repeat = 1, .timeout = DEFAULT_TIMEOUT_SECONDS, .result = -1};
	int option;

	while ((option = getopt_long(argc, argv, "+", names, NULL)) != -1) {
		if (option == 'r')
			options.repeat = number(optarg, REPEAT_MAX);
		else if (option == 't')
			options.timeout = number(optarg, TIMEOUT_MAX_SECONDS);
		else if (option == 'f')
			options.result = number(optarg, INT_MAX);
		else if (option == 'e')
			options.enter = number(optarg, INT_MAX);
		else if (option == 'x')
			options.exec = true;
		else
			exit(125);
	}
	options.command = argv + optind;
	if (optind >= argc)
		fail("no command", EINVAL);
	if (!options.exec && options.result < 0)
		fail("--result is missing", EINVAL);
	return options;
}

int main(int argc, char **argv)
{
	struct options options = parse(argc, argv);
	sigset_t child;

	if (options.enter)
		enter_namespaces(options.enter);
	if (options.exec) {
		(void)execvp(options.command[0], options.command);
		fail(options.command[0], errno);
	}
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &child, NULL) < 0)
		fail("sigprocmask", errno);
	if (fcntl(options.result, F_SETFD, FD_CLOEXEC) < 0)
		fail("--result", errno);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		fail("PR_SET_CHILD_SUBREAPER", errno);
	/* A run that fails ends the series: the next ones would only repeat it. Its line is written first. */
	for (int i = 0; i < options.repeat; i++) {
		struct run run = run_once(&options);

		report(options.result, &run);
		if (failed(&run))
			return 1;
	}
	return 0;
}
