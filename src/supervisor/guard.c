/*
 * The watcher of calls that may be made to block (guard.h).
 *
 * A signal that comes late, after the call that it was meant for, would interrupt another one, and for some that is worse
 * than a delay: NOTIF_ADDFD gives no descriptor then, and the caller is told that it has one. So the signal is sent under the
 * lock that the end of a call takes, and when one was sent, the end lets it in before it returns: outside of what is watched
 * none is ever pending.
 */
#include "supervisor/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"

enum { TICK_NS = 20000000, IDLE_TICKS = 10, STACK_SIZE = 64 * 1024 };

sigjmp_buf sg_guard_exit;
static volatile sig_atomic_t ticks_left; /* until a call is left */

/* Under `lock`. */
static struct {
	bool active;       /* a call is being watched */
	bool fired;        /* a signal was sent for it */
	bool asleep;       /* the watcher waits for work */
	uint32_t sections; /* tells one call from the next */
} guard;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;

static pid_t process, main_thread;
static atomic_uint ticks;
static bool started; /* of the main thread */

static void on_signal(int number)
{
	(void)number;
	if (ticks_left > 0 && --ticks_left == 0)
		siglongjmp(sg_guard_exit, 1);
}

static SG_NORETURN void *watch(void *data)
{
	const struct timespec tick = {0, TICK_NS};
	unsigned int idle = 0;
	uint32_t seen;

	(void)data;
	(void)pthread_mutex_lock(&lock);
	for (;;) {
		seen = guard.sections;
		(void)pthread_mutex_unlock(&lock);
		(void)nanosleep(&tick, NULL);
		atomic_fetch_add(&ticks, 1);
		(void)pthread_mutex_lock(&lock);
		idle = guard.sections != seen || guard.active ? 0 : idle + 1;
		if (guard.active && guard.sections == seen) {
			guard.fired = true;
			(void)syscall(SYS_tgkill, process, main_thread, SIGUSR2);
		}
		guard.asleep = idle >= IDLE_TICKS;
		while (guard.asleep) {
			(void)pthread_cond_wait(&work, &lock);
			idle = 0;
		}
	}
}

int sg_guard_prepare(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t set;

	process = getpid();
	main_thread = (pid_t)syscall(SYS_gettid);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR2);
	if (sigaction(SIGUSR2, &action, NULL) < 0)
		return -errno;
	return -pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Of all signals none is for the watcher. */
static int start_watcher(void)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	int status;

	(void)sigfillset(&all);
	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	status = pthread_create(&thread, &attributes, watch, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attributes);
	return -status;
}

int sg_guard_begin(void)
{
	bool asleep;

	if (!started) {
		int status = start_watcher();

		if (status < 0)
			return status;
		started = true;
	}
	(void)pthread_mutex_lock(&lock);
	guard.active = true;
	guard.fired = false;
	guard.sections++;
	asleep = guard.asleep;
	guard.asleep = false;
	(void)pthread_mutex_unlock(&lock);
	if (asleep)
		(void)pthread_cond_signal(&work);
	return 0;
}

unsigned int sg_guard_ticks(void)
{
	return atomic_load(&ticks);
}

void sg_guard_leave(int number)
{
	ticks_left = number;
}

void sg_guard_end(void)
{
	sigset_t set;
	bool fired;

	ticks_left = 0;
	(void)pthread_mutex_lock(&lock);
	guard.active = false;
	fired = guard.fired;
	(void)pthread_mutex_unlock(&lock);
	if (!fired)
		return;
	/* Whatever is pending comes in at the return of this call; and a handler that was left has its signal blocked still. */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR2);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
