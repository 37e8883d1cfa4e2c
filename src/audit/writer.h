/*
 * The supervisor's end of the log: starts the auditor and appends records.
 *
 * The rule for callers: append first, answer after, and answer with a grant only if the append returned 0.
 * Any negative value means that the record is not on its way to the log: refuse (EACCES, or what the profile
 * says), and go on asking; -ENOSPC, -EDQUOT, -ETIMEDOUT and -ENOBUFS may pass, all others stay.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/record.h"
#include "base/attr.h"
#include "base/error.h"

struct sg_audit;

struct sg_audit_options {
	const char *session;   /* session id, sg_log_new_session(): printable ASCII, at most 63 bytes; copied */
	int log;               /* the log, open for appending; stays the caller's, who closes it afterwards */
	size_t ring_size;      /* bytes, a power of two from 1 MiB to 1 GiB; 0: 1 MiB */
	unsigned int wait_ms;  /* how long an append waits for room when the ring is full; 0: 100 ms */
	unsigned int stuck_ms; /* once the oldest record has waited this long, appends fail; 0: 5000 ms */
	const char *audience;  /* who may read the records made here (flood); NULL: "owner"; not copied */
	const char *policy;    /* the policy's hash, for the session-end; NULL: none; at most 64 bytes; copied */
	bool early_end;        /* sg_audit_stop() returns once all is written; the auditor syncs on its own and ends */
	bool no_wait;          /* return after the fork; the caller calls sg_audit_ready() later */
};

/* How it ended. */
struct sg_audit_result {
	int status;                     /* 0, or the negative errno value that stopped the log */
	uint64_t records;               /* lines in the log */
	char hash[SG_RECORD_HASH_SIZE]; /* SHA-256 of the last line; kept elsewhere it shows a cut */
};

struct sg_audit_counts {
	uint64_t appended; /* records taken */
	uint64_t slowed;   /* of them and of those that failed: had to wait for room */
	uint64_t failed;   /* not taken */
	uint64_t kicks;    /* system calls made to wake the auditor */
};

/*
 * Forks the auditor and waits (at most 5 s) until it owns the ring and has given up everything else. Call it
 * while the process has one thread, before it reads what the auditor should not have a copy of, and before it
 * forks the world. The auditor ends when this process ends (not when a child of it does). Returns 0; -EINVAL
 * for bad options; -EBUSY if the log is another auditor's; or what failed there, with the context in `error`.
 * *ret_audit is freed by sg_audit_stop().
 */
int sg_audit_start(const struct sg_audit_options *options, struct sg_audit **ret_audit, struct sg_error *error);

/*
 * After a start with `no_wait`: waits (at most 5 s) for what sg_audit_start() waits for otherwise; to be
 * called once. Until the auditor owns the ring, appends return -EPIPE. Returns as sg_audit_start(); after an
 * error, call sg_audit_free().
 */
int sg_audit_ready(struct sg_audit *audit, struct sg_error *error);

/*
 * Puts one record into the ring. Safe from any thread. Does not block but for the bounded wait when the ring
 * is full; makes no system call but one to wake the auditor after a second without records, when half of the
 * ring is full and when it is full. Returns 0 and sets *ret_sequence (may be NULL) to the record's number in
 * the log, or -EINVAL     no such kind of record -ENOBUFS    the ring was full for wait_ms -ETIMEDOUT  the
 * auditor has not written anything for stuck_ms though records wait -EPIPE      the auditor is dead -EPROTO
 * the ring's control words are impossible -ESHUTDOWN  after sg_audit_stop() began any other   the error of
 * the log (-ENOSPC, -EIO, -EFBIG, ...) What failed is counted; the next record that succeeds is preceded by a
 * flood record with the number.
 */
SG_MUST_USE int sg_audit_append(struct sg_audit *audit, const struct sg_record *record, uint64_t *ret_sequence);

/*
 * Waits until everything appended before is written and synced (fdatasync), at most `timeout_ms`. Any thread.
 * Returns 0, -ETIMEDOUT, or as sg_audit_append().
 */
SG_MUST_USE int sg_audit_flush(struct sg_audit *audit, unsigned int timeout_ms);

/* What a negative status of the functions here means, in words for a person: "the auditor has ended". Never NULL. */
const char *sg_audit_words(int status);

/* 0 if an append would be taken now, else the error it would return. Does not block. Any thread. */
int sg_audit_alive(struct sg_audit *audit);

/* A pidfd of the auditor, readable (POLLIN) when it has ended: for the supervisor's own poll. Stays the
 * audit's. */
int sg_audit_pidfd(const struct sg_audit *audit);

/* What was counted so far. Any thread. */
void sg_audit_counts(struct sg_audit *audit, struct sg_audit_counts *ret_counts);

/*
 * Appends `end` (a session-end; its counts are filled in here; NULL: the auditor writes one that says that
 * there was none), lets the auditor write the rest and sync, waits for its end (at most `timeout_ms`) and
 * reaps it. `audit` is freed in every case; NULL is fine. To be called once, when no other thread appends.
 * *ret_result (may be NULL) is always set. Returns 0, or the error that stopped the log; -ETIMEDOUT if the
 * auditor still runs (on a full disk it goes on trying for a second).
 */
int sg_audit_stop(struct sg_audit *audit, const struct sg_record *end, unsigned int timeout_ms,
		  struct sg_audit_result *ret_result);

/* Closes and unmaps without ending the log: for a child of the writer. NULL is fine. */
void sg_audit_free(struct sg_audit *audit);
SG_DEFINE_AUTO(struct sg_audit, audit, sg_audit_free)
