/*
 * The auditor: the process that writes the log.
 *
 * Fault model.
 *
 * It holds the log (append only), its side of the ring, an eventfd to be woken by, a socket to the supervisor
 * and a pidfd of the supervisor; nothing else: no other descriptor, no capability, no way to open, execute,
 * trace or connect (seccomp allow-list). The world has none of these and cannot name the process: it stands
 * outside the world's pid namespace.
 *
 * It trusts the writer of the ring, which is the supervisor, to write the truth. It does not trust what it
 * reads from shared memory to be well formed: every length is copied once and checked (sg_ring_read(),
 * sg_record_emit()), sequence numbers must follow one another. What does not fit is a fault: it writes a
 * note, and ends; granting stops with it.
 *
 * A dead writer: the supervisor's pidfd becomes readable, or the socket ends (whichever comes first: a child
 * that the supervisor forked may hold a copy of the socket). The auditor then writes what is in the ring, a
 * session-end of its own if there is none, syncs, and ends. A record is in the ring as a whole or not at all:
 * `head` moves after its bytes.
 *
 * A dead auditor: the kernel marks the ring's owner word when the thread ends, by whatever cause (robust
 * futex); every append looks at it, before and after it has written. A stuck one (stopped, or in a write that
 * does not return): the writer sees that `tail` does not move for the deadline while records wait. A log that
 * cannot be written: `fault` is set before anything else is done. In all three no append succeeds, and the
 * caller refuses.
 *
 * Out of space is also a disk with less left than the reserve (leaves_reserve); the last records may use that.
 * Out of space (ENOSPC, EDQUOT) is tried again, from the byte where the write ended; it ends when there is
 * room. Every other error is final: after a failed fdatasync(2) the kernel may have dropped the pages, and a
 * later success proves nothing.
 */
#pragma once

#include <stdbool.h>

#include "audit/record.h"
#include "audit/ring.h"
#include "base/attr.h"

enum {
	SG_AUDITOR_ROUND_MS = 50,  /* it looks at the ring this often while records come: half of what is promised */
	SG_AUDITOR_SYNC_MS = 1000, /* fdatasync() this long after the first write that is not synced */
	SG_AUDITOR_IDLE_MS = 1000, /* without a record for this long it sleeps until it is woken */
	SG_AUDITOR_RETRY_MS = 200, /* a full disk is tried again this often */
	SG_AUDITOR_END_MS = 1000,  /* and for this long after the session's end: somebody waits for it */
	SG_AUDITOR_RESERVE_PARTS = 100,     /* one such part of its disk the log leaves to others, */
	SG_AUDITOR_RESERVE_MAX = 256 << 20, /* but not more than so many bytes */
	SG_AUDITOR_BATCH = 256 * 1024,      /* bytes of JSON in one write(2), or one record if it is larger */
	SG_AUDITOR_SESSION_MAX = 64,        /* bytes of a session id, with its NUL */
};

/* What the auditor tells the supervisor over the socket: one message when it is ready, one before it ends. */
struct sg_auditor_message {
	int32_t status;                 /* 0 or a negative errno value */
	uint32_t ended;                 /* 0: ready, 1: ended */
	uint64_t records;               /* lines written */
	char hash[SG_RECORD_HASH_SIZE]; /* of the last line */
	char text[128];                 /* what failed */
};

struct sg_auditor {
	struct sg_ring ring;
	bool early_end; /* tell the end when all is written, and sync after that */
	int log;        /* the log, O_APPEND */
	int event;      /* eventfd, non-blocking */
	int socket;     /* SOCK_SEQPACKET to the supervisor; its end is the session's end */
	int writer;     /* pidfd of the supervisor */
	char session[SG_AUDITOR_SESSION_MAX];
	char policy[SG_AUDITOR_SESSION_MAX + 1]; /* the policy's hash, for a session-end of its own */
};

/*
 * The life of the auditor; to be called in a child process with a single thread, right after fork(). Takes
 * everything in `auditor`. Does not return.
 */
SG_NORETURN void sg_auditor_run(struct sg_auditor *auditor);

/*
 * Gives up all that the auditor does not need (each step is explained in confine.c). The descriptors of
 * `auditor` get other numbers, all others are closed. Returns 0, or a negative errno value and the context in
 * `error`.
 */
int sg_auditor_confine(struct sg_auditor *auditor, struct sg_error *error);
