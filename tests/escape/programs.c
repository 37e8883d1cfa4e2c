/* Executing what may not be: without a name, by other names, through loaders and interpreters, and in a race.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

enum { EXIT_GOOD = 40, EXIT_EVIL = 41, EXIT_FAILED = 42 };

static char *no_environment[] = {NULL};

/* What a copy of this program does when it is executed: tells by its exit status which copy it is. */
static int say(int argc, char **argv)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[length < 0 ? 0 : length] = '\0';
	if (argc > 0)
		saw("argument", argv[0]);
	return strstr(path, "evil") != NULL ? EXIT_EVIL : EXIT_GOOD;
}

struct execution {
	int dirfd, flags;
	const char *path;
};

static int execute(void *data)
{
	const struct execution *what = data;
	char program[] = "p", word[] = "say";
	char *arguments[] = {program, word, NULL};

	(void)syscall(SYS_execveat, what->dirfd, what->path, arguments, no_environment, what->flags);
	(void)dprintf(STDOUT_FILENO, "saw errno %s\n", strerrorname_np(errno));
	return EXIT_FAILED;
}

/* Runs it in a child. What ran must not be the evil one. */
static void must_not_run(const char *name, int dirfd, const char *path, int flags)
{
	struct execution what = {dirfd, flags, path};
	int status = in_child(execute, &what);

	if (WIFEXITED(status) && WEXITSTATUS(status) != EXIT_FAILED)
		escaped(name);
	else
		refused(name, 0);
}

static void must_run(const char *name, int dirfd, const char *path, int flags)
{
	struct execution what = {dirfd, flags, path};
	int status = in_child(execute, &what);

	errno = WIFSIGNALED(status) ? EINTR : ENOEXEC;
	(void)must_work(name, WIFEXITED(status) && WEXITSTATUS(status) == EXIT_GOOD ? 0 : -1);
}

static void copy(int from, int to)
{
	char block[65536];
	ssize_t size;

	(void)lseek(from, 0, SEEK_SET);
	while ((size = read(from, block, sizeof(block))) > 0)
		if (write(to, block, (size_t)size) != size)
			return;
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0755);

	if (fd >= 0 && write(fd, text, strlen(text)) >= 0)
		(void)close(fd);
}

static char good[PATH_MAX], evil[PATH_MAX];

/* DIR: holds "good", which may be executed, and "evil", which may not; writable, and code may be mapped from
 * it. */
static void find_programs(const char *dir)
{
	(void)snprintf(good, sizeof(good), "%s/good", dir);
	(void)snprintf(evil, sizeof(evil), "%s/evil", dir);
}

static int by_descriptor(int argc, char **argv)
{
	char link[64];
	int self, memory, dirfd, deleted, place;

	(void)argc;
	find_programs(argv[0]);
	self = open(good, O_RDONLY);
	memory = (int)syscall(SYS_memfd_create, "evil", 0);
	dirfd = open(argv[0], O_PATH);
	must_run("plain", AT_FDCWD, good, 0);
	must_run("by-folder", dirfd, "good", 0);
	must_run("by-path-descriptor", open(good, O_PATH), "", AT_EMPTY_PATH);
	must_run("by-descriptor", self, "", AT_EMPTY_PATH);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", self);
	must_run("by-proc", AT_FDCWD, link, 0);
	must_run("self", AT_FDCWD, "/proc/self/exe", 0);
	must_not_run("evil-plain", AT_FDCWD, evil, 0);
	must_not_run("evil-by-folder", dirfd, "./evil", 0);
	must_not_run("evil-dots", dirfd, "../x/../x/evil", 0);
	place = open(evil, O_PATH);
	must_not_run("evil-by-path-descriptor", place, "", AT_EMPTY_PATH);
	must_not_run("evil-by-descriptor", open(evil, O_RDONLY), "", AT_EMPTY_PATH);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", place);
	must_not_run("evil-by-proc", AT_FDCWD, link, 0);
	(void)snprintf(link, sizeof(link), "/dev/fd/%d", place);
	must_not_run("evil-by-dev-fd", AT_FDCWD, link, 0);
	must_not_run("evil-unknown-flags", AT_FDCWD, evil, 0x10000);
	must_not_run("evil-nofollow", AT_FDCWD, evil, AT_SYMLINK_NOFOLLOW);
	must_not_run("launcher", AT_FDCWD, "/proc/1/exe", 0);
	must_not_run("folder", dirfd, "", AT_EMPTY_PATH);
	must_not_run("working-directory", AT_FDCWD, "", AT_EMPTY_PATH);
	if (memory >= 0) {
		copy(self, memory);
		must_not_run("memfd", memory, "", AT_EMPTY_PATH);
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", memory);
		must_not_run("memfd-by-proc", AT_FDCWD, link, 0);
	}
	deleted = open("/tmp/deleted", O_CREAT | O_RDWR, 0700);
	copy(self, deleted);
	(void)close(deleted);
	must_not_run("tmp", AT_FDCWD, "/tmp/deleted", 0);
	deleted = open("/tmp/deleted", O_RDONLY);
	(void)unlink("/tmp/deleted");
	must_not_run("deleted", deleted, "", AT_EMPTY_PATH);
	return 0;
}

static int deleted_program(int argc, char **argv)
{
	char path[PATH_MAX], literal[PATH_MAX + 16];
	int fd;

	/* A program that may be executed, but has lost its name, also beside a name that only looks like its
	 * former one. */
	(void)argc;
	find_programs(argv[0]);
	(void)snprintf(path, sizeof(path), "%s/good2", argv[0]);
	fd = open(path, O_CREAT | O_WRONLY, 0755);
	copy(open(good, O_RDONLY), fd);
	(void)close(fd);
	must_run("before", AT_FDCWD, path, 0);
	fd = open(path, O_PATH);
	(void)unlink(path);
	must_not_run("deleted", fd, "", AT_EMPTY_PATH);
	(void)snprintf(literal, sizeof(literal), "%s (deleted)", path);
	(void)close(open(literal, O_CREAT | O_WRONLY, 0755));
	must_not_run("deleted-named", fd, "", AT_EMPTY_PATH);
	return 0;
}

static void must_not_load(const char *name, char *const *arguments)
{
	int status, pid = fork();

	if (pid == 0) {
		(void)execve(arguments[0], arguments, no_environment);
		_exit(EXIT_FAILED);
	}
	(void)waitpid(pid, &status, 0);
	if (WIFEXITED(status) &&
	    (WEXITSTATUS(status) == EXIT_EVIL || WEXITSTATUS(status) == EXIT_GOOD || WEXITSTATUS(status) == 0))
		escaped(name);
	else
		refused(name, 0);
}

/* DIR LOADER PROGRAM: the dynamic loader, and a dynamic program's copy "evil-dynamic" that may not be
 * executed. */
static int loader(int argc, char **argv)
{
	char name[PATH_MAX], tmp[] = "/tmp/copy", program[] = "--", *direct[] = {argv[1], name, NULL},
			     *in_tmp[] = {argv[1], tmp, NULL}, *option[] = {argv[1], program, name, NULL};
	int fd = open(tmp, O_CREAT | O_RDWR, 0700);

	(void)argc;
	(void)snprintf(name, sizeof(name), "%s/evil-dynamic", argv[0]);
	copy(open(name, O_RDONLY), fd);
	(void)close(fd);
	must_not_load("loader-tmp", in_tmp);
	must_not_load("loader-file", direct);
	must_not_load("loader-option-file", option);
	return 0;
}

static int scripts(int argc, char **argv)
{
	char path[8][PATH_MAX], text[PATH_MAX + 16];

	(void)argc;
	find_programs(argv[0]);
	for (int i = 0; i < 8; i++)
		(void)snprintf(path[i], sizeof(path[i]), "%s/good-script%d", argv[0], i);
	(void)snprintf(text, sizeof(text), "#!%s say\n", good);
	write_text(path[0], text);
	must_run("script", AT_FDCWD, path[0], 0);
	(void)snprintf(text, sizeof(text), "#!%s say\n", evil);
	write_text(path[1], text);
	must_not_run("denied-interpreter", AT_FDCWD, path[1], 0);
	(void)snprintf(text, sizeof(text), "#! \t%s\tsay", evil);
	write_text(path[1], text);
	must_not_run("denied-interpreter-spaces", AT_FDCWD, path[1], 0);
	(void)snprintf(text, sizeof(text), "#!%s\n", path[1]);
	write_text(path[2], text);
	must_not_run("denied-interpreter-chain", AT_FDCWD, path[2], 0);
	(void)snprintf(text, sizeof(text), "#!%s\n", path[3]);
	write_text(path[3], text);
	must_not_run("chain-without-end", AT_FDCWD, path[3], 0);
	write_text(path[4], "#!\n");
	must_not_run("no-interpreter", AT_FDCWD, path[4], 0);
	memset(text, 'x', 300);
	memcpy(text, "#!/", 3);
	text[300] = '\0';
	write_text(path[4], text);
	must_not_run("long-interpreter", AT_FDCWD, path[4], 0);
	(void)snprintf(text, sizeof(text), "%s-script", evil);
	write_text(text, "#!/bin/true\n");
	must_not_run("denied-script", AT_FDCWD, text, 0);
	write_text("/tmp/script", "#!/bin/true\n");
	must_not_run("script-in-tmp", AT_FDCWD, "/tmp/script", 0);
	if (chdir(argv[0]) == 0) {
		write_text(path[5], "#!evil say\n");
		must_not_run("relative-interpreter", AT_FDCWD, path[5], 0);
	}
	write_text(path[6], "#!/proc/self/fd/99\n");
	must_not_run("interpreter-by-descriptor", AT_FDCWD, path[6], 0);
	(void)must_work("link", symlink(evil, path[7]));
	must_not_run("link-to-evil", AT_FDCWD, path[7], 0);
	return 0;
}

/* --- races --- */

static char shared_path[2][PATH_MAX], shared_argument[16];
static volatile char flip[PATH_MAX];
static volatile int stop;

static void *flip_path(void *data)
{
	size_t length = strlen(shared_path[0]) + 1;

	(void)data;
	for (unsigned int turn = 0; !stop; turn++)
		for (size_t i = 0; i < length; i++)
			flip[i] = shared_path[turn & 1][i];
	return NULL;
}

static void *flip_argument(void *data)
{
	(void)data;
	for (unsigned int turn = 0; !stop; turn++)
		memset(shared_argument, 'a' + (int)(turn % 26), 8);
	return NULL;
}

static int run_path(void *data)
{
	char program[] = "p", word[] = "say";
	char *arguments[] = {program, word, NULL};
	pthread_t thread;

	(void)data;
	if (pthread_create(&thread, NULL, flip_path, NULL) != 0)
		return EXIT_FAILED;
	for (int i = 0; i < 20; i++)
		(void)execve((const char *)(size_t)flip, arguments, no_environment);
	return EXIT_FAILED;
}

/* DIR TRIES: the path changes between good and evil while it is executed. */
static int race_path(int argc, char **argv)
{
	int tries = argc > 1 ? atoi(argv[1]) : 100, ran = 0, killed = 0, failed = 0;

	find_programs(argv[0]);
	(void)strcpy(shared_path[0], good);
	(void)strcpy(shared_path[1], evil);
	(void)strcpy((char *)(size_t)flip, good);
	for (int i = 0; i < tries; i++) {
		int status = in_child(run_path, NULL);

		if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_EVIL)
			escaped("race-path");
		ran += WIFEXITED(status) && WEXITSTATUS(status) == EXIT_GOOD;
		killed += WIFSIGNALED(status);
		failed += WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILED;
	}
	saw_number("good", ran);
	saw_number("killed", killed);
	saw_number("failed", failed);
	refused("race-path", 0);
	must_run("afterwards", AT_FDCWD, good, 0);
	return 0;
}

static int run_argument(void *data)
{
	char program[] = "p", word[] = "say";
	char *arguments[] = {program, word, shared_argument, NULL};
	pthread_t thread;

	(void)data;
	memset(shared_argument, 'a', 8);
	if (pthread_create(&thread, NULL, flip_argument, NULL) != 0)
		return EXIT_FAILED;
	(void)execve(good, arguments, no_environment);
	return EXIT_FAILED;
}

/* DIR TRIES: an argument changes while it is executed; what ran says what it got, and the record must say the
 * same. */
static int race_argument(int argc, char **argv)
{
	find_programs(argv[0]);
	for (int i = 0; i < (argc > 1 ? atoi(argv[1]) : 50); i++) {
		int status = in_child(run_argument, NULL);

		if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_GOOD)
			escaped("argument-race-lost-a-program");
	}
	refused("race-argument", 0);
	return 0;
}

static void *execute_in_thread(void *data)
{
	(void)execute(data);
	_exit(EXIT_FAILED);
}

static int from_thread(void *data)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, execute_in_thread, data) != 0)
		return EXIT_FAILED;
	for (;;)
		(void)pause();
}

static int traced_child(void *data)
{
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
		return EXIT_FAILED;
	return execute(data);
}

static long vfork_execute(const char *path)
{
	char program[] = "p", word[] = "say";
	char *arguments[] = {program, word, NULL};
	int status;
	pid_t pid = vfork();

	if (pid == 0) {
		(void)execve(path, arguments, no_environment);
		_exit(EXIT_FAILED);
	}
	(void)waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int callers(int argc, char **argv)
{
	struct execution right, wrong;
	int status;

	(void)argc;
	find_programs(argv[0]);
	right = (struct execution){AT_FDCWD, 0, good};
	wrong = (struct execution){AT_FDCWD, 0, evil};
	status = in_child(from_thread, &right);
	(void)must_work("thread", WIFEXITED(status) && WEXITSTATUS(status) == EXIT_GOOD ? 0 : -1);
	status = in_child(from_thread, &wrong);
	(void)must_fail("thread-evil", WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILED ? -1 : 0);
	(void)must_work("vfork", vfork_execute(good) == EXIT_GOOD ? 0 : -1);
	(void)must_fail("vfork-evil", vfork_execute(evil) == EXIT_FAILED ? -1 : 0);
	status = in_child(traced_child, &wrong);
	(void)must_fail("traced-evil", WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILED ? -1 : 0);
	status = in_child(traced_child, &right);
	saw("traced", WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILED ? "refused" : "ran");
	must_run("afterwards", AT_FDCWD, good, 0);
	return 0;
}

/* Many executions that the kernel fails after they were decided, at once and by many, and then one that
 * works. */
static int failing(int argc, char **argv)
{
	static char huge[4 << 20];
	char *arguments[] = {huge, NULL};

	(void)argc;
	find_programs(argv[0]);
	memset(huge, 'x', sizeof(huge) - 1);
	for (int i = 0; i < 400; i++)
		(void)execve(good, arguments, no_environment);
	for (int i = 0; i < 64; i++)
		if (fork() == 0) {
			for (int j = 0; j < 5; j++)
				(void)execve(good, arguments, no_environment);
			_exit(0);
		}
	while (wait(NULL) > 0)
		continue;
	must_run("afterwards", AT_FDCWD, good, 0);
	must_not_run("evil", AT_FDCWD, evil, 0);
	return 0;
}

/* DIR: executes with so many arguments that a reader could lose count, the last of them telling. */
static int many_arguments(int argc, char **argv)
{
	enum { COUNT = 6000, LENGTH = 40 };
	static char texts[COUNT][LENGTH], program[] = "p", word[] = "say", *arguments[COUNT + 3] = {program, word};

	(void)argc;
	find_programs(argv[0]);
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(texts[i], LENGTH, "%030d", i);
		arguments[i + 2] = texts[i];
	}
	(void)snprintf(texts[COUNT - 1], LENGTH, "--the-last-one");
	(void)execve(good, arguments, no_environment);
	return EXIT_FAILED;
}

const struct probe probes[] = {
	{"say", say},
	{"by-descriptor", by_descriptor},
	{"deleted", deleted_program},
	{"loader", loader},
	{"scripts", scripts},
	{"race-path", race_path},
	{"race-argument", race_argument},
	{"callers", callers},
	{"failing", failing},
	{"many-arguments", many_arguments},
	{NULL, NULL},
};
