/* A world that lies in wait for who enters it: between its appearance and its first program it is a copy of
 * the keeper. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

/* The name of the process that enters, until it has executed something. */
static const char entering[] = "sg-entry\n";

static long seen, denied;

static bool is_entering(int pid)
{
	char path[64], name[32] = "";
	int fd;
	ssize_t size;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size = read(fd, name, sizeof(name) - 1);
	(void)close(fd);
	return size > 0 && strcmp(name, entering) == 0;
}

/* What was done was done to the copy of the keeper if the process is still that. */
static void judge(int pid, const char *what, long result)
{
	if (result >= 0 && is_entering(pid))
		escaped(what);
	denied += result < 0 && (errno == EPERM || errno == EACCES);
}

static void try_files(int pid)
{
	static const char *const names[] = {"exe",  "cwd",  "root", "mem",    "environ", "maps",   "auxv",
					    "fd/0", "fd/3", "fd/4", "fd/500", "ns/mnt",  "ns/user"};
	char path[64], target[256];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		int fd;

		(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, names[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		/* These two can be opened of a process that has no memory any more: what counts is what is in
		 * them. */
		if (strcmp(names[i], "maps") == 0 || strcmp(names[i], "environ") == 0)
			judge(pid, names[i], fd < 0 ? fd : read(fd, target, sizeof(target)) > 0 ? 0 : -1);
		else
			judge(pid, names[i], fd);
		if (fd >= 0)
			(void)close(fd);
		if (i < 3)
			judge(pid, "link", readlink(path, target, sizeof(target)));
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	{
		const int fd = open(path, O_RDONLY | O_CLOEXEC);
		char text[256] = "";
		const ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

		for (ssize_t at = 0; at < size; at++)
			if (strncmp(text + at, "shellguard", 10) == 0)
				escaped("cmdline");
		if (fd >= 0)
			(void)close(fd);
	}
}

static void try_calls(int pid)
{
	static char word[64];
	struct iovec local = {word, sizeof(word)}, remote = {word, sizeof(word)};
	const int pidfd = (int)syscall(434, pid, 0);

	judge(pid, "vm-read", process_vm_readv(pid, &local, 1, &remote, 1, 0));
	judge(pid, "vm-write", process_vm_writev(pid, &local, 1, &remote, 1, 0));
	for (int fd = 0; pidfd >= 0 && fd < 6; fd++) {
		const long taken = syscall(438, pidfd, fd, 0);

		judge(pid, "getfd", taken);
		if (taken >= 0)
			(void)close((int)taken);
	}
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0) {
		judge(pid, "seize", 0);
		(void)ptrace(PTRACE_INTERRUPT, pid, 0, 0);
		(void)waitpid(pid, NULL, __WALL); /* only who has stopped can be let go */
		(void)ptrace(PTRACE_DETACH, pid, 0, 0);
	}
	if (pidfd >= 0)
		(void)close(pidfd);
}

static void try_core(int pid)
{
	const struct rlimit large = {1 << 26, 1 << 26};
	static const int signals[] = {SIGABRT, SIGSEGV, SIGQUIT, SIGSYS};
	struct rlimit limit = {0, 0};
	int result = prlimit(pid, RLIMIT_CORE, &large, NULL);

	/* That it is done may be said, where it is not (tables/checks.def). */
	if (result == 0 && (prlimit(pid, RLIMIT_CORE, NULL, &limit) < 0 || limit.rlim_cur == 1)) {
		errno = EPERM;
		result = -1;
	}
	judge(pid, "core-limit", result);
	(void)kill(pid, signals[seen % 4]);
}

static void try_stop(int pid)
{
	(void)kill(pid, SIGSTOP);
	try_files(pid);
	(void)kill(pid, seen % 2 == 0 ? SIGCONT : SIGKILL);
}

static double now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* SECONDS: does it to every process that enters, until then. */
static int lie_in_wait(int argc, char **argv, void (*act)(int pid))
{
	const double end = now() + (argc > 0 ? atoi(argv[0]) : 5);
	DIR *proc = opendir("/proc");

	(void)printf("ready\n");
	(void)fflush(stdout);
	while (proc != NULL && now() < end) {
		struct dirent *entry;

		rewinddir(proc);
		while ((entry = readdir(proc)) != NULL) {
			const int pid = atoi(entry->d_name);

			if (pid <= 1 || pid == getpid() || !is_entering(pid))
				continue;
			seen++;
			act(pid);
		}
	}
	saw_number("entering", seen);
	saw_number("denied", denied);
	return 0;
}

static int files(int argc, char **argv)
{
	return lie_in_wait(argc, argv, try_files);
}

static int calls(int argc, char **argv)
{
	return lie_in_wait(argc, argv, try_calls);
}

static int core(int argc, char **argv)
{
	return lie_in_wait(argc, argv, try_core);
}

static int stop(int argc, char **argv)
{
	return lie_in_wait(argc, argv, try_stop);
}

/* What who has entered has: run by `enter`. */
static int inside(int argc, char **argv)
{
	char line[256];
	DIR *folder = opendir("/proc/self/fd");
	FILE *status = fopen("/proc/self/status", "re");
	struct dirent *entry;

	(void)argc;
	(void)argv;
	while (folder != NULL && (entry = readdir(folder)) != NULL)
		if (atoi(entry->d_name) > 2 && atoi(entry->d_name) != dirfd(folder) &&
		    atoi(entry->d_name) != fileno(status))
			escaped("descriptor");
	while (status != NULL && fgets(line, sizeof(line), status) != NULL)
		if (strncmp(line, "Cap", 3) == 0 && strspn(line + 8, "0\n") != strlen(line + 8))
			escaped("capability");
	(void)must_fail("setns", syscall(SYS_setns, 0, 0));
	(void)must_fail("ptrace", ptrace(PTRACE_TRACEME, 0, 0, 0));
	(void)must_fail("own-listener", syscall(SYS_seccomp, 1, 8, NULL));
	(void)must_fail("mount", syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL));
	(void)must_fail("host-root", open("/proc/1/root/etc/shadow", O_RDONLY));
	(void)must_work("own-file", open("/proc/self/exe", O_RDONLY));
	return 0;
}

const struct probe probes[] = {
	{"files", files}, {"calls", calls}, {"core", core}, {"stop", stop}, {"inside", inside}, {NULL, NULL},
};
