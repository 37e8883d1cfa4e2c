/*
 * A limit on calls of the main thread that nobody else should be able to make long, and somebody can: while one lasts, a
 * watcher looks every few milliseconds, and a signal interrupts what takes longer than that, again and again until its end.
 *
 * The watcher is a thread, so that a call that is not long pays for no timer: two locks that nobody contends for. It sleeps
 * without any clock when no call was watched for a while. Owned by the main thread but for what the lock guards.
 */
#pragma once

#include <setjmp.h>

/* Where a call is left that the kernel would start anew after a signal (ERESTARTNOINTR): see sg_guard_leave. */
extern sigjmp_buf sg_guard_exit;

/* Lets the main thread, which calls this, be interrupted. Returns 0 or a negative errno value. */
int sg_guard_prepare(void);

/*
 * From here to sg_guard_end, which must follow, a call that lasts is interrupted (EINTR). Not nested. Returns 0, or a negative
 * errno value: then nothing watches, and the call must not be made.
 */
int sg_guard_begin(void);
void sg_guard_end(void);

/* Changes each 20 ms or so while calls are watched one after the other: who sees another number than before has not looked since. */
unsigned int sg_guard_ticks(void);

/*
 * Between the two, after sigsetjmp(sg_guard_exit, 0) returned 0: from now on what takes long is left by siglongjmp, at the
 * `number`-th signal (0: not any more).
 */
void sg_guard_leave(int number);
