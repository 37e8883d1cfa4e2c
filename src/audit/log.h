/*
 * The files of the log: one for each session, named by the session's id, in a folder that only its owner can
 * use.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { SG_LOG_SESSION_SIZE = 32 }; /* a session id and its NUL */

/*
 * Writes a new session id: the time in UTC and 24 random bits, such as 20261122T042801Z-7f3a9c. Ids sort by
 * time. That two sessions of one second get the same is unlikely, and the second one's file then fails to
 * open. Returns 0 or -errno.
 */
int sg_log_new_session(char id[static SG_LOG_SESSION_SIZE]);

/*
 * The folder of the sessions' logs: /var/log/shellguard/sessions for root (whom /var/log belongs to), else
 * $XDG_STATE_HOME/shellguard/sessions, else $HOME/.local/state/shellguard/sessions. Relative values are
 * ignored (XDG base directories). *ret_folder is the caller's (free). Returns 0, -ENOENT if there is neither
 * variable, -ENOMEM.
 */
int sg_log_folder(char **ret_folder, struct sg_error *error);

/*
 * Creates the log of session `id` for appending: `file` if not NULL, else ID.jsonl in sg_log_folder(). The
 * file must not exist (-EEXIST); it is created 0600. Missing folders are made 0700 (not for `file`); the last
 * one must be ours and writable by nobody else (-EPERM), and is not a symlink. *ret_fd and *ret_path (free; as given, or absolute) are the caller's.
 * Returns 0 or a negative errno value with its context.
 */
int sg_log_create(const char *file, const char *id, int *ret_fd, char **ret_path, struct sg_error *error);

/*
 * Syncs the folder of a log that sg_log_create() made, so that the name survives a power cut. Blocks for the storage; it
 * may be done beside the start of the session. Returns 0 or a negative errno value with its context.
 */
int sg_log_settle(const char *path, struct sg_error *error);

enum sg_log_state {
	SG_LOG_RUNNING, /* its auditor holds it */
	SG_LOG_WHOLE,   /* ends with a session-end */
	SG_LOG_CUT,     /* neither: the auditor was killed, or the end was removed */
};

struct sg_log_session {
	char id[SG_LOG_SESSION_SIZE];
	char *path;
	uint64_t size;   /* bytes */
	int64_t made_ns; /* when the file was made: ids tell seconds only */
	enum sg_log_state state;
};

struct sg_log_list {
	struct sg_log_session *items; /* oldest first */
	size_t count;
};

/* Frees what a list holds. A zeroed list is fine. */
void sg_log_list_done(struct sg_log_list *list);

/*
 * Lists the logs in `folder` (NULL: sg_log_folder()); a folder that does not exist has none. At most 100000
 * are looked at
 * (-E2BIG). Names that are no session ids are passed over. *ret_list is to be given to sg_log_list_done().
 * Returns 0 or a negative errno value.
 */
int sg_log_list(const char *folder, struct sg_log_list *ret_list, struct sg_error *error);

/*
 * The path of one log: `which` is a path if it contains a slash, the last session if NULL or "last", else the
 * start of an id in `folder` (NULL: sg_log_folder()). *ret_path is the caller's (free). Returns 0, -ENOENT if
 * there is none, -ENOTUNIQ if several ids start so (the context names two).
 */
int sg_log_find(const char *folder, const char *which, char **ret_path, struct sg_error *error);

/* The state of the log open at `fd` (for reading). Returns 0 or a negative errno value. */
int sg_log_state(int fd, enum sg_log_state *ret_state);

/* The state in a word: "running", "whole", "cut". */
const char *sg_log_state_name(enum sg_log_state state);
