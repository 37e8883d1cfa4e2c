/* Exhaustion: of processes, descriptors, threads and patience. What cannot be decided must be refused, and
 * nothing hangs. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

/* LIMIT: forks until it may not. */
static int fork_storm(int argc, char **argv)
{
	int limit = atoi(argv[0]), made = 0;

	(void)argc;
	for (int i = 0; i < 4 * limit; i++) {
		pid_t pid = fork();

		if (pid == 0)
			for (;;)
				(void)pause();
		made += pid > 0;
	}
	saw_number("made", made);
	if (made >= limit)
		escaped("fork-storm");
	else
		refused("fork-storm", errno);
	(void)signal(SIGTERM, SIG_IGN);
	(void)kill(0, SIGTERM);
	while (wait(NULL) > 0)
		continue;
	return 0;
}

/* OPEN DENIED: at the limit of descriptors. */
static int descriptors(int argc, char **argv)
{
	struct rlimit few = {32, 32};
	int fd = 0, last = -1;

	(void)argc;
	(void)setrlimit(RLIMIT_NOFILE, &few);
	while (fd >= 0) {
		last = fd;
		fd = dup(0);
	}
	for (int i = 0; i < 50; i++) {
		if (open(argv[0], O_RDONLY) >= 0)
			escaped("beyond-the-limit");
		if (open(argv[1], O_RDONLY) >= 0)
			escaped("denied-at-the-limit");
	}
	refused("open-at-the-limit", errno);
	(void)close(last);
	must_read("one-less", argv[0], "OPEN");
	must_fail_to_read("denied-one-less", AT_FDCWD, argv[1], 0);
	return 0;
}

struct flood {
	const char *open, *denied;
	int tries, gave, lost;
};

static void *open_many(void *data)
{
	struct flood *flood = data;

	for (int i = 0; i < flood->tries; i++) {
		int fd = open(flood->open, O_RDONLY | O_CLOEXEC);

		flood->lost += fd < 0;
		if (fd >= 0)
			(void)close(fd);
		fd = open(flood->denied, O_RDONLY | O_CLOEXEC);
		flood->gave += fd >= 0;
		if (fd >= 0)
			(void)close(fd);
	}
	return NULL;
}

/* OPEN DENIED THREADS TRIES */
static int flood(int argc, char **argv)
{
	enum { THREADS_MAX = 128 };
	static struct flood floods[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
	int count = atoi(argv[2]), gave = 0, lost = 0;

	(void)argc;
	for (int i = 0; i < count; i++) {
		floods[i] = (struct flood){argv[0], argv[1], atoi(argv[3]), 0, 0};
		if (pthread_create(&threads[i], NULL, open_many, &floods[i]) != 0)
			return 1;
	}
	for (int i = 0; i < count; i++) {
		(void)pthread_join(threads[i], NULL);
		gave += floods[i].gave;
		lost += floods[i].lost;
	}
	if (gave > 0)
		escaped("flood");
	else
		refused("flood", 0);
	errno = EIO;
	(void)must_work("flood-open", lost == 0 ? 0 : -1);
	return 0;
}

/* OPEN COUNT: opens and tells, then waits for its standard input to end. */
static void open_often(const char *name, int count)
{
	for (int i = 0; i < count; i++) {
		int fd = open(name, O_RDONLY);

		if (fd < 0)
			(void)must_work("open", fd);
		(void)close(fd);
	}
}

/* What the supervisor makes once for calls in a row (a thread, say) is there after the first hundred. */
static int many_opens(int argc, char **argv)
{
	char byte;

	(void)argc;
	must_read("first", argv[0], "OPEN");
	open_often(argv[0], 100);
	saw("before", "1");
	(void)!read(0, &byte, 1);
	open_often(argv[0], atoi(argv[1]));
	saw("after", "1");
	(void)!read(0, &byte, 1);
	return 0;
}

static void nothing(int number)
{
	(void)number;
}

/*
 * Waits until the supervisor holds the call of a process: a signal with a handler then makes its state D
 * (only a fatal one ends the call), and before that has the call made anew.
 */
static bool await_held(pid_t pid)
{
	char path[32], text[512];

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int i = 0; i < 2000; i++) {
		int fd = open(path, O_RDONLY);
		ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		const char *end;

		(void)close(fd);
		if (size <= 0)
			return false;
		text[size] = '\0';
		end = strrchr(text, ')');
		if (end != NULL && end[2] == 'D')
			return true;
		if (i % 16 == 15)
			(void)kill(pid, SIGUSR1);
	}
	return false;
}

/* FIFO COUNT OPEN: callers die while they wait for the other end of a FIFO; then somebody uses one. */
static int fifos(int argc, char **argv)
{
	int count = atoi(argv[1]), status;
	pid_t reader;

	(void)argc;
	(void)sigaction(SIGUSR1, &(struct sigaction){.sa_handler = nothing, .sa_flags = SA_RESTART}, NULL);
	for (int i = 0; i < count; i++) {
		int ready[2];
		char byte;
		pid_t pid;

		if (pipe(ready) < 0)
			return 1;
		pid = fork();
		if (pid == 0) {
			(void)!write(ready[1], "x", 1);
			(void)open(argv[0], O_RDONLY);
			_exit(0);
		}
		(void)!read(ready[0], &byte, 1);
		(void)close(ready[0]);
		(void)close(ready[1]);
		if (!await_held(pid))
			saw("not-waiting", "1");
		/* Others are served meanwhile. */
		status = open(argv[2], O_RDONLY);
		if (status < 0)
			(void)must_work("while-waiting", status);
		(void)close(status);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	end_within(10);
	reader = fork();
	if (reader == 0) {
		int fd = open(argv[0], O_RDONLY);
		char text[8] = "";

		(void)!read(fd, text, 5);
		_exit(strncmp(text, "hello", 5) == 0 ? 0 : 1);
	}
	(void)signal(SIGPIPE, SIG_IGN);
	while (waitpid(reader, &status, WNOHANG) == 0) {
		int fd = open(argv[0], O_WRONLY | O_NONBLOCK);

		if (fd >= 0) {
			(void)!write(fd, "hello", 5);
			(void)close(fd);
		}
		(void)sched_yield();
	}
	(void)must_work("fifo-afterwards", WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1);
	return 0;
}

/* OPEN DENIED: says that it is up, then opens for ever; a denied file that is given is told. Ends when it is
 * ended. */
static int for_ever(int argc, char **argv)
{
	end_within(40);
	must_read("open", argv[0], "OPEN");
	(void)fflush(stdout);
	while (argc > 0) {
		int fd = open(argv[0], O_RDONLY);

		if (fd >= 0)
			(void)close(fd);
		fd = open(argv[1], O_RDONLY);
		if (fd >= 0)
			escaped("denied-without-supervision");
		if (fd >= 0)
			(void)close(fd);
	}
	return 0;
}

/* Refused calls, many: COUNT. */
static int refusals(int argc, char **argv)
{
	(void)argc;
	for (int i = 0; i < atoi(argv[0]); i++)
		if (syscall(SYS_bpf, 0, NULL, 0) >= 0)
			escaped("bpf");
	refused("bpf", EPERM);
	return 0;
}

/* Memory that is not there, or goes away: paths and structures behind bad pointers. */
static int bad_memory(int argc, char **argv)
{
	long page = sysconf(_SC_PAGESIZE);
	char *two = mmap(NULL, (size_t)page * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *end;
	static char longest[8192];
	int fd;

	(void)munmap(two + page, (size_t)page);
	end = two + page;
	(void)must_fail("null", syscall(SYS_open, 0, O_RDONLY, 0));
	(void)must_fail("kernel", open((const char *)0xffff888000000000UL, O_RDONLY));
	(void)must_fail("odd", open((const char *)1, O_RDONLY));
	memcpy(end - 4, "/etc", 4);
	(void)must_fail("no-end", open(end - 4, O_RDONLY));
	(void)must_fail("past-end", open(end, O_RDONLY));
	memset(longest, 'a', sizeof(longest) - 1);
	longest[0] = '/';
	(void)must_fail("too-long", open(longest, O_RDONLY));
	longest[4096] = '\0';
	(void)must_fail("just-too-long", open(longest, O_RDONLY));
	longest[257] = '\0';
	(void)must_fail("component-too-long", open(longest, O_RDONLY));
	(void)must_fail("empty", open("", O_RDONLY));
	fd = open("/tmp/short", O_CREAT | O_RDWR, 0600);
	(void)!ftruncate(fd, 1);
	end = mmap(NULL, (size_t)page * 2, PROT_READ, MAP_SHARED, fd, 0);
	(void)must_fail("beyond-the-file", open(end + page, O_RDONLY));
	(void)must_fail("execve-null", syscall(SYS_execve, NULL, NULL, NULL));
	(void)must_fail("execve-odd-argv", syscall(SYS_execve, "/tmp/short", (void *)1, NULL));
	(void)must_fail("openat2-odd", syscall(SYS_openat2, AT_FDCWD, argv[0], 1, 24));
	(void)must_fail("rename-odd", syscall(SYS_rename, 1, 2));
	(void)must_fail("connect-odd", syscall(SYS_connect, 0, 1, 16));
	(void)must_fail("connect-huge", syscall(SYS_connect, 0, longest, 0x7fffffff));
	(void)must_fail("sendmsg-odd", syscall(SYS_sendmsg, 0, 1, 0));
	(void)must_fail("sendmmsg-huge", syscall(SYS_sendmmsg, 0, longest, 0xffffffffU, 0));
	(void)must_fail("setxattr-odd", syscall(SYS_setxattr, "/tmp/short", 1, 2, 3, 0));
	(void)must_fail("setxattr-huge", syscall(SYS_setxattr, "/tmp/short", "user.x", longest, 1UL << 40, 0));
	(void)must_fail("utimensat-odd", syscall(SYS_utimensat, AT_FDCWD, "/tmp/short", 1, 0));
	must_read("afterwards", argv[0], "OPEN");
	(void)argc;
	return 0;
}

const struct probe probes[] = {
	{"fork-storm", fork_storm},
	{"descriptors", descriptors},
	{"flood", flood},
	{"many-opens", many_opens},
	{"fifos", fifos},
	{"for-ever", for_ever},
	{"refusals", refusals},
	{"bad-memory", bad_memory},
	{NULL, NULL},
};
