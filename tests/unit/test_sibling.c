/* A process in the caller's memory: what it shares, what it does not, and that the two die apart. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/attr.h"
#include "world/sibling.h"

enum { STARTED = 42, ROUNDS = 20000, EXPECTED = 7 };

struct arguments {
	int number, pipe[2];
	atomic_int *step;
};

static atomic_int step;

/* Each test is a process of its own: a sibling is started once in a process. */
static int run_apart(void (*test)(void))
{
	const pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		test();
		_exit(EXPECTED);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			_exit(100 + __LINE__ % 100);                                                                   \
	} while (0)

/* errno of one is not that of the other, in whatever order they fail. */
static int fail_again_and_again(void *data)
{
	const struct arguments *arguments = data;

	if (arguments->number != STARTED)
		return 1;
	for (int i = 0; i < ROUNDS; i++)
		if (close(-1) == 0 || errno != EBADF)
			return 2;
	return EXPECTED;
}

static void own_errno(void)
{
	struct arguments arguments = {.number = STARTED};
	const pid_t pid = sg_sibling_start(fail_again_and_again, &arguments, sizeof(arguments));
	int status;

	CHECK(pid > 0);
	arguments.number = 0; /* a copy was given */
	for (int i = 0; i < ROUNDS; i++)
		CHECK(syscall(SYS_lseek, -1, 0, -1) < 0 && (errno == EBADF || errno == EINVAL) && kill(0, 1000) < 0 &&
		      errno == EINVAL);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == EXPECTED);
}

/* Memory is one; descriptors, ids of the process and signal handlers are not. */
static int change_all(void *data)
{
	const struct arguments *arguments = data;

	atomic_store(arguments->step, (int)syscall(SYS_getpid));
	(void)close(arguments->pipe[0]);
	(void)signal(SIGUSR1, SIG_IGN);
	return chdir("/proc") == 0 ? EXPECTED : 1;
}

static void shares_memory_alone(void)
{
	struct arguments arguments = {.step = &step};
	struct sigaction action;
	char folder[64];
	pid_t pid;
	int status;

	CHECK(chdir("/") == 0 && pipe2(arguments.pipe, O_CLOEXEC) == 0);
	pid = sg_sibling_start(change_all, &arguments, sizeof(arguments));
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == EXPECTED);
	CHECK(pid != getpid() && (SG_SANITIZED || atomic_load(&step) == pid));
	CHECK(fcntl(arguments.pipe[0], F_GETFD) >= 0);
	CHECK(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	CHECK(getcwd(folder, sizeof(folder)) != NULL && strcmp(folder, "/") == 0);
}

/* The death of the sibling, by a fault, is not the caller's. */
static int fault(void *data)
{
	(void)data;
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)signal(SIGSEGV, SIG_DFL); /* the test library has a handler */
	(void)kill(getpid(), SIGSEGV);
	return 0;
}

static void survives_the_sibling(void)
{
	const pid_t pid = sg_sibling_start(fault, "", 1);
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* Nor the caller's the sibling's: it goes on in the memory of one that was killed, and tells so. */
static int outlive(void *data)
{
	const struct arguments *arguments = data;
	char byte;

	(void)close(arguments->pipe[1]);
	/* The end of file is the caller's death: it alone holds the other end. */
	if (read(arguments->pipe[0], &byte, 1) != 0)
		return 1;
	memset((void *)(uintptr_t)arguments->step, 0, sizeof(*arguments->step));
	return write(arguments->number, "!", 1) == 1 ? 0 : 1;
}

static int told[2];

static void die_first(void)
{
	struct arguments arguments = {.step = &step, .number = told[1]};

	CHECK(pipe2(arguments.pipe, O_CLOEXEC) == 0);
	CHECK(sg_sibling_start(outlive, &arguments, sizeof(arguments)) > 0);
	(void)raise(SIGKILL);
}

/* A second, of what a sibling forked: in that one's memory until it executes, with an errno of its own. */
static int execute(void *data)
{
	const struct arguments *arguments = data;
	char *const words[] = {(char[]){"true"}, NULL};

	atomic_store(arguments->step, STARTED);
	for (int i = 0; i < ROUNDS; i++)
		if (close(-1) == 0 || errno != EBADF)
			return 2;
	(void)execv("/bin/true", words);
	return 1;
}

static int fork_and_second(void *data)
{
	struct arguments arguments = {.step = &step};
	_Atomic uint32_t shared = 2;
	int status;
	pid_t pid = sg_sibling_fork();

	(void)data;
	if (pid > 0)
		return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	pid = sg_sibling_second(execute, &arguments, sizeof(arguments), &shared);
	CHECK(pid > 0);
	for (int i = 0; i < ROUNDS; i++)
		CHECK(kill(0, 1000) < 0 && errno == EINVAL);
	while (atomic_load(&shared) != 0)
		(void)syscall(SYS_futex, &shared, FUTEX_WAIT, 1, NULL, NULL, 0);
	CHECK(SG_SANITIZED || atomic_load(&step) == STARTED);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return EXPECTED;
}

static void starts_a_second(void)
{
	const pid_t pid = sg_sibling_start(fork_and_second, "", 1);
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == EXPECTED);
	CHECK(atomic_load(&step) == 0); /* another memory than ours */
}

static void test_second(void **state)
{
	const int status = run_apart(starts_a_second);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXPECTED);
}

static void test_own_errno(void **state)
{
	const int status = run_apart(own_errno);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXPECTED);
}

static void test_memory_alone(void **state)
{
	const int status = run_apart(shares_memory_alone);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXPECTED);
}

static void test_dies_alone(void **state)
{
	const int status = run_apart(survives_the_sibling);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXPECTED);
}

static void test_outlives(void **state)
{
	char byte = 0;
	int status;

	(void)state;
	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	status = run_apart(die_first);
	assert_true(WIFSIGNALED(status));
	(void)close(told[1]);
	assert_int_equal(read(told[0], &byte, 1), 1);
	assert_int_equal(byte, '!');
	(void)close(told[0]);
}

static void test_fork(void **state)
{
	const pid_t pid = sg_sibling_fork();
	int status;

	(void)state;
	if (pid == 0)
		_exit(EXPECTED);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXPECTED);
}

static void test_too_much(void **state)
{
	char text[SG_SIBLING_ARGUMENT_MAX + 1] = "";

	(void)state;
	assert_int_equal(sg_sibling_start(fault, text, sizeof(text)), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_errno),  cmocka_unit_test(test_memory_alone),
		cmocka_unit_test(test_dies_alone), cmocka_unit_test(test_outlives),
		cmocka_unit_test(test_fork),       cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_second),
	};

	return cmocka_run_group_tests_name("sibling", tests, NULL, NULL);
}
