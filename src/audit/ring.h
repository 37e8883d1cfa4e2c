/*
 * The ring between the supervisor (writer, its threads one after another) and the auditor (reader).
 *
 * One sealed memfd: a page of control words, then `size` bytes of records, mapped twice in a row so that a
 * record never wraps. Positions are counts of bytes since the start; a record stands at position % size. Only
 * the two processes that made it have it mapped: the writer's mapping is not inherited by later children
 * (MADV_DONTFORK), the descriptor is closed by both.
 *
 * Trust: the reader takes nothing from the shared pages on trust but the control words that it compares with
 * its own count; a record's size is read once, checked, and the record is copied to private memory before it
 * is looked at. The writer checks the reader's position against its own before it uses it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define SG_RING_MAGIC 0x31474e5255444153ULL /* "SADURNG1", little-endian */

/* The control page. Each half is written by one side only; the layout is in docs/audit.md. */
struct sg_ring_control {
	uint64_t magic;
	uint64_t size; /* for a person with a debugger: both sides use their own copy */

	/* The reader's. */
	_Alignas(64) _Atomic uint64_t tail; /* written to the log up to here: this space is free */
	_Atomic uint64_t synced;            /* fdatasync() done up to here */
	_Atomic uint32_t owner;    /* robust futex word: the reader's thread id; the kernel sets FUTEX_OWNER_DIED */
	_Atomic uint32_t fault;    /* errno value: nothing can be written now; 0: all is well */
	_Atomic uint32_t sleeping; /* 1: the reader waits without a timeout; the writer clears it and kicks */
	_Atomic uint32_t progress; /* futex word: changes whenever tail, synced or fault does */

	/* The writer's. */
	_Alignas(64) _Atomic uint64_t head; /* records are whole up to here */
	_Atomic uint64_t flush;             /* the writer wants fdatasync() up to here */
	_Atomic uint32_t waiters;           /* threads that wait on `progress` */
};

struct sg_ring {
	struct sg_ring_control *control;
	unsigned char *data;
	uint64_t size; /* our own copy */
};

/*
 * Makes and maps a ring of `size` bytes (a power of two, a multiple of the page size). Returns 0 or a
 * negative errno value with the context in `error`. *ret_ring is to be given to sg_ring_done().
 */
int sg_ring_create(size_t size, struct sg_ring *ret_ring, struct sg_error *error);

/* Unmaps. A zeroed ring is fine. */
void sg_ring_done(struct sg_ring *ring);

/* The writer's side of the mapping: children that are forked from now on do not have it. Returns 0 or -errno.
 */
int sg_ring_keep_from_children(struct sg_ring *ring);

/* Where the record at `position` stands. */
static inline unsigned char *sg_ring_at(const struct sg_ring *ring, uint64_t position)
{
	return ring->data + (position & (ring->size - 1));
}

/*
 * Copies the record at `position` to `out` (`capacity` bytes), given that the ring is filled up to `head`.
 * Returns its size; 0 if there is none; -EBADMSG if head, or the record's size, is impossible.
 */
long sg_ring_read(const struct sg_ring *ring, uint64_t position, uint64_t head, void *out, size_t capacity);

/* True once the reader is no more: its thread ended, in whichever way (set_robust_list(2)). Costs one load.
 */
static inline bool sg_ring_orphaned(const struct sg_ring *ring)
{
	uint32_t word = atomic_load_explicit(&ring->control->owner, memory_order_acquire);

	return word == 0 || (word & 0x40000000U) != 0; /* FUTEX_OWNER_DIED */
}

/*
 * The calling thread becomes the reader whose end sg_ring_orphaned() shows. Replaces the thread's list of
 * robust futexes: only for a process of one thread that uses no robust mutex. Returns 0 or -errno.
 */
int sg_ring_own(struct sg_ring *ring);

/*
 * Waits until *word is not `value`, or `nanoseconds` have passed, or a signal came. For words in shared
 * memory. Returns 0 (look again) or -ETIMEDOUT.
 */
int sg_ring_wait(_Atomic uint32_t *word, uint32_t value, uint64_t nanoseconds);

/* Wakes all that wait on the word. */
void sg_ring_wake(_Atomic uint32_t *word);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t sg_ring_now(void);
