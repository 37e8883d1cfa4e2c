/*
 * The profiles of running sessions: their locks, their sweeping, and what was compiled. The kernel's folder is one of the test's, in
 * which `profiles` says what is loaded, and .remove keeps the name that was written to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "export/apparmor_bound.h"
#include "export/apparmor_cache.h"
#include "export/apparmor_kernel.h"

#define A "shellguard.run.aaaaaaaaaaaaaaaaaaaa"
#define B "shellguard.run.bbbbbbbbbbbbbbbbbbbb"

static char top[] = "/tmp/sg-aabound-XXXXXX", kernel[64], run[64], cache[64];
static struct sg_apparmor_folders folders;

static void put(const char *folder, const char *name, const char *text)
{
	SG_AUTO_FD int fd = -1;
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(sg_fd_write_full(fd, text, strlen(text)), 0);
}

static const char *get(const char *folder, const char *name)
{
	static char text[1024];
	SG_AUTO_FD int fd = -1;
	char path[256];
	ssize_t size;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	size = fd < 0 ? -1 : sg_fd_read_full(fd, text, sizeof(text) - 1);
	if (size < 0)
		return NULL;
	text[size] = '\0';
	return text;
}

static bool is_there(const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", run, name);
	return access(path, F_OK) == 0;
}

/* Nothing has been taken out of the kernel since the last call. */
static void assert_none_removed(void)
{
	assert_string_equal(get(kernel, ".remove"), "");
}

static void assert_removed(const char *name)
{
	assert_string_equal(get(kernel, ".remove"), name);
	put(kernel, ".remove", "");
}

static int lock(const char *name)
{
	struct sg_error error = SG_ERROR_INIT;
	const int fd = sg_apparmor_bound_lock(&folders, name, &error);

	if (fd < 0)
		print_message("%s\n", error.text);
	return fd;
}

/* The last one takes it away, and only the last. */
static void sharing(void **state)
{
	int first = lock(A), second = lock(A), other = lock(B);

	(void)state;
	assert_true(first >= 0 && second >= 0 && other >= 0);
	put(kernel, "profiles", A " (enforce)\n" B " (enforce)\nusr.sbin.cupsd (enforce)\n");
	sg_apparmor_bound_sweep(&folders);
	assert_none_removed();
	sg_apparmor_bound_release(&folders, A, first);
	assert_none_removed();
	assert_true(is_there(A));
	sg_apparmor_bound_release(&folders, A, second);
	assert_removed(A);
	assert_true(!is_there(A) && is_there(B));
	sg_apparmor_bound_release(&folders, B, other);
	assert_removed(B);
	assert_false(is_there(B));
}

/* Whoever has inherited the lock holds it, until it is gone, however it goes. */
static void inherited(void **state)
{
	int fd = lock(A), ready[2];
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		(void)sg_fd_write_full(ready[1], "", 1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(sg_fd_read_full(ready[0], &byte, 1), 1);
	sg_apparmor_bound_release(&folders, A, fd);
	assert_none_removed();
	assert_true(is_there(A));
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	sg_apparmor_bound_sweep(&folders);
	assert_removed(A);
	assert_false(is_there(A));
	sg_fd_close(ready[0]);
	sg_fd_close(ready[1]);
}

/* What a start or an end cut short has left: a profile without a file, and a file without a profile. Nothing else is touched. */
static void left(void **state)
{
	(void)state;
	put(kernel, "profiles",
	    A " (enforce)\nshellguard-web (enforce)\nshellguard.run. (enforce)\n"
	      "shellguard.run.../x (enforce)\nshellguard.run.aa//child (enforce)\n");
	sg_apparmor_bound_sweep(&folders);
	assert_removed(A);
	assert_false(is_there(A));
	put(kernel, "profiles", "");
	put(run, B, "");
	put(run, "other", "");
	sg_apparmor_bound_sweep(&folders);
	assert_removed(B); /* which the kernel does not know */
	assert_true(!is_there(B) && is_there("other"));
}

/* Somebody takes the file away while another waits for its lock: that one begins again, with a file that is in the folder. */
static void taken_away_meanwhile(void **state)
{
	int sweeper = lock(A), status;
	char path[256];
	pid_t child;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/%s", run, A);
	assert_int_equal(flock(sweeper, LOCK_EX), 0);
	child = fork();
	if (child == 0) {
		struct stat mine, there;
		int fd;

		sg_fd_close(sweeper); /* an inherited one is the same lock */
		fd = lock(A);
		_exit(fd >= 0 && fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino ? 0
														 : 1);
	}
	for (;;) { /* until it waits: its lock is written with an arrow */
		const char *locks = get("/proc", "locks");

		if (locks != NULL && strstr(locks, "-> FLOCK") != NULL)
			break;
		if (waitpid(child, &status, WNOHANG) == child)
			fail_msg("it did not wait: %d", status);
	}
	assert_int_equal(unlink(path), 0);
	sg_fd_close(sweeper);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(is_there(A));
}

/* A folder that others may write to, a link in the place of the folder or of a file: refused. */
static void strangers(void **state)
{
	struct sg_error error = SG_ERROR_INIT;
	char path[256];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/%s", run, A);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(sg_apparmor_bound_lock(&folders, A, &error), -ELOOP);
	sg_apparmor_bound_sweep(&folders);
	assert_none_removed();
	assert_int_equal(unlink(path), 0);
	assert_int_equal(chmod(run, 0770), 0);
	assert_int_equal(sg_apparmor_bound_lock(&folders, A, &error), -EPERM);
	put(run, B, "");
	sg_apparmor_bound_sweep(&folders);
	assert_none_removed();
	assert_int_equal(chmod(run, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/link", top);
	assert_int_equal(symlink(run, path), 0);
	assert_int_equal(sg_apparmor_bound_lock(&(struct sg_apparmor_folders){kernel, path, cache}, A, &error),
			 -ENOTDIR);
	assert_int_equal(unlink(path), 0);
}

/* One that is loaded is taken as it is, if it is enforced; else nothing is held. */
static void taking(void **state)
{
	struct sg_buffer text = SG_BUFFER_INIT;
	struct sg_error error = SG_ERROR_INIT;
	int held = -1;

	(void)state;
	sg_buffer_append_text(&text, "profile");
	put(kernel, "profiles", "other (enforce)\n" A " (enforce)\n");
	assert_int_equal(sg_apparmor_bound_take(&folders, A, &text, &held, &error), 0);
	assert_true(held >= 0 && is_there(A));
	sg_apparmor_bound_release(&folders, A, held);
	assert_removed(A);
	put(kernel, "profiles", A " (complain)\n");
	assert_int_equal(sg_apparmor_bound_take(&folders, A, &text, &held, &error), -EPERM);
	assert_false(is_there(A));
	assert_int_equal(sg_apparmor_bound_take(&folders, "shellguard.run.../x", &text, &held, &error), -EINVAL);
	assert_int_equal(sg_apparmor_bound_take(&folders, "usr.sbin.cupsd", &text, &held, &error), -EINVAL);
	/* No list: nothing is known. */
	assert_int_equal(sg_apparmor_bound_take(&(struct sg_apparmor_folders){"/nonexistent", run, cache}, A, &text,
						&held, &error),
			 -ENOENT);
	sg_buffer_done(&text);
}

static void keeping(void **state)
{
	static const char compiled[] = "compiled\0by somebody";
	SG_AUTO_FD int folder = sg_apparmor_open_folder(cache);
	struct sg_buffer data = SG_BUFFER_INIT, out = SG_BUFFER_INIT, text = SG_BUFFER_INIT;
	char name[SG_APPARMOR_CACHE_NAME_SIZE], other[SG_APPARMOR_CACHE_NAME_SIZE], path[256];

	(void)state;
	assert_true(folder >= 0);
	sg_buffer_append_text(&text, "text");
	sg_apparmor_cache_name(&text, "/bin/sh", name);
	sg_apparmor_cache_name(&text, "/bin/cat", other);
	assert_string_not_equal(name, other);
	sg_buffer_append(&data, compiled, sizeof(compiled));
	assert_int_equal(sg_apparmor_cache_read(folder, name, &out), -ENOENT);
	sg_apparmor_cache_write(folder, name, &data);
	assert_int_equal(sg_apparmor_cache_read(folder, name, &out), 0);
	assert_true(out.size == sizeof(compiled) && memcmp(out.data, compiled, sizeof(compiled)) == 0);
	(void)snprintf(path, sizeof(path), "%s/%s", cache, name);
	for (off_t size = (off_t)sizeof(compiled) + 31; size >= 0; size -= 8) { /* cut short anywhere */
		assert_int_equal(truncate(path, size), 0);
		assert_int_equal(sg_apparmor_cache_read(folder, name, &out), -EILSEQ);
	}
	for (int i = 0; i < SG_APPARMOR_CACHE_MAX + 1; i++) { /* full: all but the last are thrown away */
		(void)snprintf(other, sizeof(other), "%d", i);
		sg_apparmor_cache_write(folder, other, &data);
	}
	assert_int_equal(sg_apparmor_cache_read(folder, "0", &out), -ENOENT);
	assert_int_equal(sg_apparmor_cache_read(folder, other, &out), 0);
	sg_buffer_done(&data);
	sg_buffer_done(&out);
	sg_buffer_done(&text);
}

static void note(void *data, const char *name, bool held)
{
	char *out = data;

	(void)snprintf(out + strlen(out), 512 - strlen(out), "%s %d\n", name, held);
}

static void listing(void **state)
{
	char said[512] = "";
	int held = lock(A);

	(void)state;
	put(run, B, "");
	put(kernel, "profiles", A " (enforce)\nother (enforce)\n" B " (enforce)\n");
	sg_apparmor_bound_list(&folders, note, said);
	assert_string_equal(said, A " 1\n" B " 0\n");
	sg_apparmor_bound_release(&folders, A, held);
}

static int clear(void **state)
{
	char command[256];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s/*", top);
	if (system(command) != 0) /* NOLINT(cert-env33-c): a test's own folder */
		return -1;
	(void)snprintf(kernel, sizeof(kernel), "%s/kernel", top);
	(void)snprintf(run, sizeof(run), "%s/deep/run", top);
	(void)snprintf(cache, sizeof(cache), "%s/cache", top);
	folders = (struct sg_apparmor_folders){kernel, run, cache};
	if (mkdir(kernel, 0700) < 0 || sg_fd_close(sg_apparmor_open_folder(run)) != -1)
		return -1;
	put(kernel, "profiles", "");
	put(kernel, ".remove", "");
	return 0;
}

static int make(void **state)
{
	(void)state;
	return mkdtemp(top) != NULL ? 0 : -1;
}

static int drop(void **state)
{
	char command[64];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command); /* NOLINT(cert-env33-c): a test's own folder */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sharing, clear),   cmocka_unit_test_setup(inherited, clear),
		cmocka_unit_test_setup(left, clear),      cmocka_unit_test_setup(taken_away_meanwhile, clear),
		cmocka_unit_test_setup(strangers, clear), cmocka_unit_test_setup(taking, clear),
		cmocka_unit_test_setup(keeping, clear),   cmocka_unit_test_setup(listing, clear),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
