/*
 * What this kernel, for this user, in these surroundings, can do of what we use (tables/features.def): tried
 * for real, in processes that end with the trial, each bounded in time. Nothing of the caller changes.
 */
#pragma once

#include "base/buffer.h"
#include "tables/features.h"

enum sg_probe_state {
	SG_PROBE_PRESENT,
	SG_PROBE_MISSING,
	SG_PROBE_UNTRIED,    /* what it needs is missing */
	SG_PROBE_NOT_NEEDED, /* this user's worlds do without it anyway */
};

enum { SG_PROBE_DETAIL_MAX = 240, SG_PROBE_TIMEOUT_MS = 5000 };

struct sg_probe_result {
	enum sg_probe_state state;
	int error;                        /* of MISSING: a negative errno value */
	char detail[SG_PROBE_DETAIL_MAX]; /* what was found out, a part of a sentence; or empty */
};

/*
 * Tries one feature, without regard to what it needs. `folder`: the folder whose file system is meant. Blocks
 * for at most SG_PROBE_TIMEOUT_MS; a trial that takes longer counts as missing (-ETIMEDOUT). The caller must
 * have a single thread.
 */
void sg_probe(enum sg_feature feature, const char *folder, struct sg_probe_result *ret);

/* Tries all features in the order of the table: results[SG_FEATURES_], by number. */
void sg_probe_all(const char *folder, struct sg_probe_result *results);

/*
 * After a session could not be started: appends a line for each feature that is needed, missing, and not
 * merely missing because another one is: its name, what was found, and the remedy. Nothing if all are there.
 * Blocks as sg_probe_all.
 */
void sg_probe_explain(const char *folder, struct sg_buffer *out);

/* Where we run. */
struct sg_surroundings {
	const char *container; /* "docker", "podman", "kubernetes", "lxc", "systemd-nspawn", "container", or
				  NULL */
	bool wsl;              /* Windows Subsystem for Linux */
	const char *session;   /* within a ShellGuard session: its id (borrowed from the environment), or NULL */
	bool foreign_proc;     /* /proc shows the processes of another PID namespace than ours */
	bool pings;            /* the host lets the group that a world's sockets would have send ICMP echo requests */
	const char *ci;        /* "GitHub Actions", "GitLab CI", "CI", or NULL */
};

/* Looks at the environment and at a few files. */
void sg_surroundings_find(struct sg_surroundings *ret);
