/* Landlock's part for files, from a list of mounts: tried in a child on folders of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "world/confine.h"
#include "world/label.h"

static char folder[] = "/tmp/sg-confine-XXXXXX";
static char names[4][64];
enum { READ_ONLY, WRITABLE, PROGRAMS, OUTSIDE };

static const char *in(int place, const char *name)
{
	static char text[8][512];
	static int turn;
	char *path = text[turn++ % 8];

	(void)snprintf(path, sizeof(text[0]), "%s/%s", names[place], name);
	return path;
}

static void make(const char *path, mode_t mode)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	(void)close(fd);
}

static int make_tree(void **state)
{
	static const char *const parts[] = {"read", "write", "programs", "outside"};

	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	for (int i = 0; i < 4; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%s/%s", folder, parts[i]);
		if (mkdir(names[i], 0755) < 0 || mkdir(in(i, "sub"), 0755) < 0)
			return -1;
		make(in(i, "file"), 0644);
	}
	return 0;
}

static int remove_tree(void **state)
{
	char command[128];
	pid_t child = fork();
	int status;

	(void)state;
	(void)snprintf(command, sizeof(command), "%s", folder);
	if (child == 0) {
		(void)execlp("rm", "rm", "-rf", command, NULL);
		_exit(1);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0 ? 0 : -1;
}

/* Opens and closes. Returns 0 or errno. */
static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		return errno;
	(void)close(fd);
	return 0;
}

static int result(int returned)
{
	return returned < 0 ? errno : 0;
}

static int run_program(const char *path)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		(void)execl(path, path, NULL);
		_exit(errno);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What the child finds, in order: errno values. */
static const struct {
	const char *what;
	int wanted;
} wanted[] = {
	{"restrict", 0},
	{"read what may be read", 0},
	{"list it", 0},
	{"write it", EACCES},
	{"make in it", EACCES},
	{"remove from it", EACCES},
	{"read what may be written", 0},
	{"write that", 0},
	{"cut it", 0},
	{"make in that", 0},
	{"link to another folder", 0},
	{"rename to another folder", 0},
	{"remove from that", 0},
	{"make a folder", 0},
	{"execute where code may be", 0},
	{"execute elsewhere", EACCES},
	{"read outside", EACCES},
	{"make outside", EACCES},
	{"outside through a descriptor of a folder", EACCES},
	{"move out of what may be written", EACCES},
	{"look at what is outside", 0},
};

static void fill(int *found, const struct sg_mount *mounts, size_t count)
{
	struct sg_error error = SG_ERROR_INIT;
	struct stat status;
	int outside = open(names[OUTSIDE], O_RDONLY | O_DIRECTORY | O_CLOEXEC), at = 0;

	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	found[at++] = -sg_confine_files(mounts, count, &error);
	found[at++] = try_open(in(READ_ONLY, "file"), O_RDONLY);
	found[at++] = try_open(names[READ_ONLY], O_RDONLY | O_DIRECTORY);
	found[at++] = try_open(in(READ_ONLY, "file"), O_WRONLY);
	found[at++] = try_open(in(READ_ONLY, "new"), O_WRONLY | O_CREAT);
	found[at++] = result(unlink(in(READ_ONLY, "file")));
	found[at++] = try_open(in(WRITABLE, "file"), O_RDONLY);
	found[at++] = try_open(in(WRITABLE, "file"), O_RDWR);
	found[at++] = try_open(in(WRITABLE, "file"), O_WRONLY | O_TRUNC);
	found[at++] = try_open(in(WRITABLE, "new"), O_WRONLY | O_CREAT | O_EXCL);
	found[at++] = result(link(in(WRITABLE, "new"), in(WRITABLE, "sub/linked")));
	found[at++] = result(rename(in(WRITABLE, "new"), in(WRITABLE, "sub/new")));
	found[at++] = result(unlink(in(WRITABLE, "sub/new")));
	found[at++] = result(mkdir(in(WRITABLE, "made"), 0755));
	found[at++] = run_program("/usr/bin/true");
	found[at++] = run_program(in(WRITABLE, "true"));
	found[at++] = try_open(in(OUTSIDE, "file"), O_RDONLY);
	found[at++] = try_open(in(OUTSIDE, "new"), O_WRONLY | O_CREAT);
	found[at++] = openat(outside, "file", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
	found[at++] = result(rename(in(WRITABLE, "file"), in(OUTSIDE, "sub/file")));
	found[at++] = result(stat(in(OUTSIDE, "file"), &status));
}

static void copy(const char *from, const char *to)
{
	SG_AUTO_FD int in_fd = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	char buffer[65536];
	ssize_t size;

	while ((size = read(in_fd, buffer, sizeof(buffer))) > 0)
		assert_int_equal(write(out, buffer, (size_t)size), size);
	assert_int_equal(size, 0);
}

static void files(void **state)
{
	const struct sg_mount mounts[] = {
		{.kind = SG_MOUNT_TREE, .target = names[READ_ONLY], .tree = -1},
		{.kind = SG_MOUNT_PRIVATE, .flags = SG_MOUNT_WRITE, .target = names[WRITABLE], .tree = -1},
		{.kind = SG_MOUNT_TREE, .flags = SG_MOUNT_EXECUTE, .target = "/usr", .tree = -1},
		{.kind = SG_MOUNT_TREE, .target = "/no/such/folder", .tree = -1},
		{.kind = SG_MOUNT_FOLDER, .target = names[OUTSIDE], .tree = -1},
	};
	int found[SG_ARRAY_SIZE(wanted)], status, pipes[2];
	pid_t child;

	(void)state;
	if (sg_confine_landlock_version() < SG_CONFINE_FILES_ABI)
		skip();
	copy("/usr/bin/true", in(WRITABLE, "true"));
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		fill(found, mounts, SG_ARRAY_SIZE(mounts));
		_exit(sg_fd_write_full(pipes[1], found, sizeof(found)) < 0);
	}
	(void)close(pipes[1]);
	assert_int_equal(sg_fd_read_full(pipes[0], found, sizeof(found)), sizeof(found));
	(void)close(pipes[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (size_t i = 0; i < SG_ARRAY_SIZE(wanted); i++)
		if (found[i] != wanted[i].wanted)
			fail_msg("%s: %d, not %d", wanted[i].what, found[i], wanted[i].wanted);
}

/* A FIFO that took the place of a file after the plan was made is not mounted for reading. */
static void fifo(void **state)
{
	struct sg_mount mounts[] = {
		{.kind = SG_MOUNT_TREE, .source = in(OUTSIDE, "fifo"), .target = "/fifo", .tree = -1}};
	struct sg_error error = SG_ERROR_INIT;

	(void)state;
	assert_int_equal(mkfifo(mounts[0].source, 0600), 0);
	assert_int_equal(sg_mount_prepare(mounts, 1, -1, &error), -EACCES);
	assert_non_null(strstr(error.text, "is a FIFO"));
	assert_int_equal(mounts[0].tree, -1);
}

/* Only a limit of 1 stops cores that a program of the host's gets (core(5)): at a hard limit of 0 it cannot be had. */
static void cores(void **state)
{
	static const struct {
		rlim_t hard;
		const char *pattern;
		bool hold;
	} rows[] = {
		{RLIM_INFINITY, "|/usr/lib/systemd/systemd-coredump %P", true},
		{1, "|/usr/lib/systemd/systemd-coredump %P", true},
		{0, "core", true},
		{0, "/var/crash/%e.core", true},
		{0, "", true},
		{0, "|/usr/lib/systemd/systemd-coredump %P", false},
		{0, "@/run/coredump.socket", false},
		{0, "@@/run/coredump.socket", false},
		{0, NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++)
		if (sg_confine_cores_hold(rows[i].hard, rows[i].pattern) != rows[i].hold)
			fail_msg("row %zu", i);
}

/* A profile that is not there, or no AppArmor: an error, and then no_new_privs is not set either, without which nothing is executed. */
static void no_profile(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		struct sg_error error = SG_ERROR_INIT;
		char longer[512] = {0};

		memset(longer, 'x', sizeof(longer) - 1);
		if (sg_label_enter("shellguard.run.0000", &error) >= 0 || error.code == 0)
			_exit(1);
		if (sg_label_enter(longer, &error) != -ENAMETOOLONG)
			_exit(2);
		if (geteuid() == 0 && sg_confine_capabilities(0, "shellguard.run.0000", &error) >= 0)
			_exit(3);
		_exit(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? 0 : 4);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(files), cmocka_unit_test(fifo), cmocka_unit_test(cores),
					   cmocka_unit_test(no_profile)};

	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
