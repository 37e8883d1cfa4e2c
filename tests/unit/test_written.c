/* The list of folders that sessions have been given to write: what it holds, and what becomes of a list that is none. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/attr.h"
#include "world/written.h"

static char folder[] = "/tmp/sg-written-XXXXXX", list[64], other[64];

static int make(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(list, sizeof(list), "%s/list", folder);
	(void)snprintf(other, sizeof(other), "%s/other", folder);
	return 0;
}

static int clear(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s/*", folder);
	return system(command); /* NOLINT(cert-env33-c): a test's own folder */
}

static int drop(void **state)
{
	(void)state;
	return rmdir(folder);
}

static bool holds(const char *name)
{
	struct sg_written written = {.lists = {{.path = list}, {.path = other}}, .count = 2};
	const bool held = sg_written_holds(&written, name);

	sg_written_done(&written);
	return held;
}

static void names(void **state)
{
	static const char *const odd = "/odd\n/etc \\ name";

	(void)state;
	assert_false(holds("/srv/work")); /* no list yet */
	assert_int_equal(sg_written_add(list, 0600, "/srv/work"), 0);
	assert_int_equal(sg_written_add(list, 0600, odd), 0);
	assert_int_equal(sg_written_add(other, 0644, "/home/a"), 0);
	assert_true(holds("/srv/work"));
	assert_true(holds("/srv/work/deep/link"));
	assert_true(holds("/home/a/link"));
	assert_true(holds("/odd\n/etc \\ name/link"));
	assert_false(holds("/srv/worker"));
	assert_false(holds("/srv"));
	assert_false(holds("/odd"));
	assert_false(holds("/etc"));
	assert_false(holds("/etc \\ name/link"));
}

static void once(void **state)
{
	struct stat before, after;

	(void)state;
	assert_int_equal(sg_written_add(list, 0600, "/srv/work"), 0);
	assert_int_equal(stat(list, &before), 0);
	assert_int_equal(sg_written_add(list, 0600, "/srv/work"), 0);
	assert_int_equal(sg_written_add(list, 0600, "/srv/work/below"), 0);
	assert_int_equal(stat(list, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(sg_written_add(list, 0600, "/srv/works"), 0);
	assert_int_equal(stat(list, &after), 0);
	assert_true(after.st_size > before.st_size);
}

/* A list that was read is looked at again: a session that began meanwhile is in it. */
static void changes(void **state)
{
	struct sg_written written = {.lists = {{.path = list}}, .count = 1};

	(void)state;
	assert_false(sg_written_holds(&written, "/a/link"));
	assert_int_equal(sg_written_add(list, 0600, "/b"), 0);
	assert_false(sg_written_holds(&written, "/a/link"));
	assert_int_equal(sg_written_add(list, 0600, "/a"), 0);
	assert_true(sg_written_holds(&written, "/a/link"));
	sg_written_done(&written);
}

static void modes(void **state)
{
	const mode_t mask = umask(0077);
	struct stat status;

	(void)state;
	assert_int_equal(sg_written_add(list, 0644, "/a"), 0);
	(void)umask(mask);
	assert_int_equal(stat(list, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0644);
}

/* What cannot be read holds everything, and what cannot be written is an error. */
static void no_lists(void **state)
{
	(void)state;
	assert_int_equal(mkdir(list, 0700), 0);
	assert_true(holds("/a"));
	assert_int_not_equal(sg_written_add(list, 0600, "/a"), 0);
	assert_int_equal(rmdir(list), 0);
	assert_int_equal(mkfifo(list, 0600), 0);
	assert_true(holds("/a"));
	assert_int_not_equal(sg_written_add(list, 0600, "/a"), 0);
	assert_int_equal(unlink(list), 0);
	assert_int_equal(symlink(other, list), 0);
	assert_true(holds("/a"));
	assert_int_not_equal(sg_written_add(list, 0600, "/a"), 0);
}

static void put(const char *data, size_t size)
{
	const int fd = open(list, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	assert_int_equal(close(fd), 0);
}

static void damaged(void **state)
{
	(void)state;
	put("/a\0/b\n", 6);
	assert_true(holds("/c"));
	put("/a\n/cut", 7); /* a full disk */
	assert_int_equal(sg_written_add(list, 0600, "/b"), 0);
	assert_true(holds("/b/link"));
	assert_true(holds("/a/link"));
	assert_int_equal(truncate(list, 5 << 20), 0);
	assert_true(holds("/c"));
	assert_int_not_equal(sg_written_add(list, 0600, "/b"), 0);
}

/* A long list loses what is gone, and keeps what is there. */
static void shortened(void **state)
{
	SG_AUTO_FREE char *text = malloc(300000);
	size_t size = 0;
	struct stat status;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < 6000; i++)
		size += (size_t)snprintf(text + size, 40, "/no/such/folder/of/ours/%d\n", i);
	size += (size_t)snprintf(text + size, 40, "/usr\n/odd\\012name\n");
	put(text, size);
	assert_int_equal(sg_written_add(list, 0600, "/new"), 0);
	assert_int_equal(stat(list, &status), 0);
	assert_true(status.st_size < 100);
	assert_true(holds("/usr/link"));
	assert_true(holds("/new/link"));
	assert_true(holds("/odd\nname/link"));
	assert_false(holds("/no/such/folder/of/ours/1/link"));
}

static void at_once(void **state)
{
	enum { WRITERS = 8, EACH = 50 };
	char name[32];
	int status;

	(void)state;
	for (int i = 0; i < WRITERS; i++)
		if (fork() == 0) {
			for (int j = 0; j < EACH; j++) {
				(void)snprintf(name, sizeof(name), "/w/%d-%d", i, j);
				if (sg_written_add(list, 0600, name) != 0)
					_exit(1);
			}
			_exit(0);
		}
	for (int i = 0; i < WRITERS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	for (int i = 0; i < WRITERS; i++)
		for (int j = 0; j < EACH; j++) {
			(void)snprintf(name, sizeof(name), "/w/%d-%d", i, j);
			assert_true(holds(name));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(names, clear),     cmocka_unit_test_teardown(once, clear),
		cmocka_unit_test_teardown(changes, clear),   cmocka_unit_test_teardown(modes, clear),
		cmocka_unit_test_teardown(no_lists, clear),  cmocka_unit_test_teardown(damaged, clear),
		cmocka_unit_test_teardown(shortened, clear), cmocka_unit_test_teardown(at_once, clear),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
