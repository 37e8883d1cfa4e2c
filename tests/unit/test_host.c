/* Programs of the host that take artefacts: run with nothing of ours but their input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/host.h"

/* Runs a line of the shell. What it said, ending in NUL, is in *said. */
static int run(const char *line, const char *input, struct sg_buffer *said)
{
	const char *const arguments[] = {"sh", "-c", line, NULL};
	struct sg_error error = SG_ERROR_INIT;
	const int status = sg_host_run(arguments, input, strlen(input), said, &error);

	sg_buffer_append_byte(said, '\0');
	assert_int_equal(sg_buffer_status(said), 0);
	return status;
}

static void test_run(void **state)
{
	static const struct {
		const char *line, *input, *said;
		int status;
	} rows[] = {
		{"cat", "text\n", "text\n", 0},
		{"echo oops >&2; exit 3", "", "oops\n", 3},
		{"kill -KILL $$", "", "", 128 + SIGKILL},
		{"pwd", "", "/\n", 0},
		{"echo $SG_TEST_SECRET", "", "\n", 0},
		{"echo $PATH", "", "/usr/sbin:/usr/bin:/sbin:/bin\n", 0},
		{"ulimit -t", "", "60\n", 0},
		/* Nothing that is open here is open there. */
		{"ls /proc/self/fd | grep -c .", "", "4\n", 0},
	};

	(void)state;
	assert_int_equal(setenv("SG_TEST_SECRET", "secret", 1), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		SG_AUTO_BUFFER struct sg_buffer said = SG_BUFFER_INIT;

		assert_int_equal(run(rows[i].line, rows[i].input, &said), rows[i].status);
		assert_string_equal(said.data, rows[i].said);
	}
}

/* What a program says without end is cut, and its whole input is its own to leave. */
static void test_much(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer said = SG_BUFFER_INIT;

	(void)state;
	assert_int_equal(run("yes | head -c 1000000", "not read", &said), 0);
	assert_true(said.size > 1000 && said.size < 10000);
}

/* Only programs of the system are run, whatever PATH says. */
static void test_where(void **state)
{
	static const char *const missing[] = {"there-is-no-such-program", NULL}, *const names[] = {"sh",
												   "there-is-none"};
	SG_AUTO_BUFFER struct sg_buffer said = SG_BUFFER_INIT;
	struct sg_error error = SG_ERROR_INIT;
	char folder[] = "/tmp/sg-host-XXXXXX", program[64], path[64];

	(void)state;
	assert_int_equal(sg_host_run(missing, "", 0, &said, &error), -ENOENT);
	assert_non_null(strstr(error.text, "is not installed"));
	assert_true(sg_host_has(names, 2, &said));
	sg_buffer_append_byte(&said, '\0');
	assert_string_equal(said.data, "sh");
	assert_non_null(mkdtemp(folder));
	(void)snprintf(program, sizeof(program), "%s/there-is-none", folder);
	assert_int_equal(symlink("/bin/sh", program), 0);
	assert_int_equal(setenv("PATH", folder, 1), 0);
	assert_null(sg_host_program("there-is-none", path, sizeof(path)));
	assert_int_equal(unlink(program), 0);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_much),
		cmocka_unit_test(test_where),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
