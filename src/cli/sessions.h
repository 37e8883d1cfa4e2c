/* The running sessions of this user (ps, stop, enter). */
#pragma once

#include <stddef.h>

#include "base/error.h"

enum { SG_SESSIONS_MAX = 1024 };

struct sg_sessions {
	char *folder;
	char *names[SG_SESSIONS_MAX]; /* ids, oldest first */
	char *texts[SG_SESSIONS_MAX]; /* what each says of itself: one line of JSON */
	size_t count;
	char *silent[SG_SESSIONS_MAX]; /* ids of those that did not answer in time */
	size_t silent_count;
};

enum { SG_SESSIONS_NONE = -1, SG_SESSIONS_SILENT = -2 };

/*
 * Asks every door; one with nobody behind it (a session that was killed with its front end) is removed.
 * *sessions is zeroed before, and given to sg_sessions_done after. Waits at most two seconds for all of them.
 * Returns 0 or a negative errno value with context.
 */
int sg_sessions_find(struct sg_sessions *sessions, struct sg_error *error);
void sg_sessions_done(struct sg_sessions *sessions);

/*
 * The one session that is meant by its id, the start of it, or the name that it was given. Returns its index,
 * or after saying what is wrong SG_SESSIONS_NONE or, if that is one that did not answer, SG_SESSIONS_SILENT.
 */
int sg_sessions_choose(const struct sg_sessions *sessions, const char *wanted);

/* Writes the path of the session's door. */
void sg_sessions_door(const struct sg_sessions *sessions, size_t index, char *path, size_t size);
