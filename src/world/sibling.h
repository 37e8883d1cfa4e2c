/* A process in the caller's memory: what a fork costs beyond that is saved. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

/* At most so many bytes can be given to a sibling. */
enum { SG_SIBLING_ARGUMENT_MAX = 1024 };

/*
 * Starts a process that runs `body` with a copy of the `size` bytes at `argument`, on a stack of its own, in the caller's
 * memory; everything else is copied as by fork(2). `body` must not return, allocate memory, take a lock of the C library, or
 * change what others read (see sibling.c). Its parent is the caller, and its end gives SIGCHLD.
 *
 * To be called by a process with one thread, at most once: the stack is not given back. In a program with a sanitizer, whose
 * run-time does not know such processes, it is a fork. Returns the pid, or a negative errno value (of pthread_create(3), mmap(2), clone(2)).
 */
SG_MUST_USE pid_t sg_sibling_start(int (*body)(void *argument), const void *argument, size_t size);

/*
 * fork(2) by the kernel's call alone, for a sibling and what comes from it: the C library's own would take locks, which in a
 * copy of shared memory may be held by a thread that is not there. Returns as fork does, with -errno on failure.
 */
SG_MUST_USE pid_t sg_sibling_fork(void);

/*
 * In a process that a sibling has forked: another process in that one's memory, as sg_sibling_start makes one, on a second stack; it is to
 * execute a program, or to exit. At most once. `*ret_shared` stays 1 as long as it is in the caller's memory, and is 0 afterwards, for
 * which futex(2) wakes (FUTEX_WAIT, not a private one). Returns the pid, or a negative errno value of clone(2).
 */
SG_MUST_USE pid_t sg_sibling_second(int (*body)(void *argument), const void *argument, size_t size,
				    _Atomic uint32_t *ret_shared);
