/* The guard: calls that last are interrupted, or left; and nothing comes after their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/guard.h"

static int empty[2]; /* a pipe that nobody writes to */

static int make_pipe(void **state)
{
	(void)state;
	(void)alarm(60); /* what is never interrupted is not waited for */
	return pipe(empty) < 0 ? -1 : sg_guard_prepare();
}

static int read_forever(void)
{
	char byte;

	return read(empty[0], &byte, 1) < 0 ? errno : 0;
}

static void sleep_undisturbed(long ms)
{
	const struct timespec time = {0, ms * 1000000};

	assert_int_equal(nanosleep(&time, NULL), 0);
}

static void a_call_that_lasts_is_interrupted(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sg_guard_begin(), 0);
		assert_int_equal(read_forever(), EINTR);
		assert_int_equal(read_forever(), EINTR);
		sg_guard_end();
		sleep_undisturbed(60);
	}
}

static void one_that_starts_anew_is_left(void **state)
{
	volatile int signals = 0;

	(void)state;
	for (volatile int i = 0; i < 3; i++) {
		signals = 0;
		assert_int_equal(sg_guard_begin(), 0);
		if (sigsetjmp(sg_guard_exit, 0) == 0) {
			sg_guard_leave(3);
			for (;;) {
				assert_int_equal(read_forever(), EINTR);
				signals++;
			}
		}
		sg_guard_end();
		assert_int_equal(signals, 2);
		sleep_undisturbed(60);
	}
}

/* A watcher that found nothing to do for a while sleeps, and is there again. */
static void after_a_pause_too(void **state)
{
	(void)state;
	sleep_undisturbed(600);
	assert_int_equal(sg_guard_begin(), 0);
	assert_int_equal(read_forever(), EINTR);
	sg_guard_end();
}

static void short_calls_are_left_alone(void **state)
{
	struct timespec now, end;

	(void)state;
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec++;
	do {
		assert_int_equal(sg_guard_begin(), 0);
		assert_int_equal(getppid() > 0, 1);
		sg_guard_end();
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
	sleep_undisturbed(60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_that_lasts_is_interrupted),
		cmocka_unit_test(one_that_starts_anew_is_left),
		cmocka_unit_test(after_a_pause_too),
		cmocka_unit_test(short_calls_are_left_alone),
	};

	return cmocka_run_group_tests(tests, make_pipe, NULL);
}
