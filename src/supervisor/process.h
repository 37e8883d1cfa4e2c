/*
 * What the record says of a process: kept for a while, since reading it anew for each call would cost more than the call.
 *
 * An entry is pinned by a descriptor of /proc/TID, through which the kernel answers ESRCH or ENOENT once that thread is
 * gone, whatever thread has its number by then; it is asked at most every few milliseconds. Owned by the main thread.
 */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include "audit/record.h"

enum { SG_PROCESS_CACHE = 256, SG_PROCESS_PARENTS_MAX = 8, SG_PROCESS_NAME_MAX = 512 };

struct sg_process {
	pid_t tid;       /* 0: free */
	int folder;      /* O_PATH of /proc/TID; -1: it has executed a program, and asked for nothing since */
	int64_t seen_ms; /* when the thread was there, by sg_now_ms() */
	pid_t pid;
	uid_t uid;
	const char *program;
	size_t parent_count;
	struct sg_record_ancestor parents[SG_PROCESS_PARENTS_MAX];
	char *texts; /* what both point into; owned */
};

/* To be called once, with the world's keeper: lists of parents end below its children. */
void sg_process_end_at(pid_t pid);

/*
 * The entry of thread `tid`, seen through `proc`, a descriptor of /proc; `top` is the first process of the world, at which
 * the list of parents ends. NULL if the thread is gone. Valid until the next call.
 */
const struct sg_process *sg_process_find(int proc, pid_t tid, pid_t top);

/*
 * The same after the thread has executed `program`: what was kept of it is replaced. NULL if the thread is gone.
 */
const struct sg_process *sg_process_executed(int proc, pid_t tid, pid_t top, const char *program);

/* True if another process traces the thread, as /proc says at this moment; false if it is gone too. */
bool sg_process_is_traced(int proc, pid_t tid);
