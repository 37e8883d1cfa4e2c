/*
 * A control group of its own for a world, where the caller may make one (cgroup v2 only).
 *
 *     <parent>/shellguard-<session>     holds no process itself
 *         supervisor                    the supervisor, its keeper and the auditor
 *         world                         the world, under its limits
 *
 * The parent is the caller's own group, or, where a limit needs a controller, the nearest one above it that
 * hands the controller down; the tightest limit of the groups in between then holds for the world too, so
 * that nobody gets out of a limit of the system's by starting a world. Processes are cloned into the groups
 * (CLONE_INTO_CGROUP, Linux 5.7): moving one would wait for every processor (13 ms). What a crash left behind
 * is removed when the next world is made in the same place.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/error.h"

struct sg_cgroup_limits {
	uint64_t memory;    /* bytes; 0: none */
	uint64_t processes; /* 0: none */
};

struct sg_cgroup {
	int group;      /* the folder of the group, locked while it is in use; -1: there is none */
	int supervisor; /* the folders of the two groups in it, for clone3(2) */
	int world;
	bool memory, processes; /* the limit is held */
	char parent[PATH_MAX], name[128];
};

#define SG_CGROUP_INIT ((struct sg_cgroup){.group = -1, .supervisor = -1, .world = -1})

/*
 * Makes the group "shellguard-<name>" with the limits that can be held there (see `memory`, `processes`; that
 * one cannot be held is no failure). Returns 0 with *ret (sg_cgroup_done), or a negative errno value with
 * context: no group can be made.
 */
int sg_cgroup_make(const char *name, const struct sg_cgroup_limits *limits, struct sg_cgroup *ret,
		   struct sg_error *error);

/* As root: lets `uid` clone processes into the world's group out of the supervisor's. Returns 0 or a negative
 * errno value. */
int sg_cgroup_hand_over(const struct sg_cgroup *group, uid_t uid, struct sg_error *error);

/* Closes the descriptors; the group stays. For the processes that were forked with it. */
void sg_cgroup_leave(struct sg_cgroup *group);

/* Kills what is left in the world's group (cgroup.kill, Linux 5.14), removes the group, closes the
 * descriptors. Waits for the kernel to let go of the dead, at most a second. Safe on SG_CGROUP_INIT. */
void sg_cgroup_done(struct sg_cgroup *group);

/*
 * Ends the calling process, which must be single-threaded, with `status`, and lets a process of its own do sg_cgroup_done:
 * the group can go only after the last process in it, whose exit nobody has to wait for.
 */
SG_NORETURN void sg_cgroup_exit(struct sg_cgroup *group, int status);
