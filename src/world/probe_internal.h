/* What the files of the probes share. */
#pragma once

#include <stdint.h>

#include "world/probe.h"

/* What a trial is given, and where it says what it found. */
struct sg_trial {
	const char *folder;
	char *detail; /* SG_PROBE_DETAIL_MAX bytes */
};

/* Returns 0 (it is there), a negative errno value (it is not), or 1 (not needed). Runs in a process of its
 * own. */
typedef int (*sg_trial_function)(const struct sg_trial *trial);

#define SG_FEATURE(id, name, since, needs, effect, probe, ...) int sg_trial_##probe(const struct sg_trial *trial);
#include "tables/features.def"
#undef SG_FEATURE

/*
 * Runs `function` as the session's identity in a child with a new user namespace and the other namespaces of
 * `flags` (CLONE_NEW*); `inner`: we are in a session's namespace already. Returns what it returned, or the
 * fault of making it.
 */
int sg_trial_within(uint64_t flags, bool inner, sg_trial_function function, const struct sg_trial *trial);

/* Says what was found. Returns `status`. */
int sg_trial_say(const struct sg_trial *trial, int status, const char *format, ...) SG_PRINTF(3, 4);

/* -errno, with the name of the call said. */
int sg_trial_fail(const struct sg_trial *trial, const char *call);

/* Starts a child that waits to be killed. Returns its pid or a negative errno value. */
int sg_trial_sleeper(void);
void sg_trial_reap(int pid);

/* The number in a file, or -1. */
long sg_trial_number(const char *path);
