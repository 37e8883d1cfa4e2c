/*
 * The door of a running session: a socket by which its owner, from outside, lists it, stops it, and cuts its
 * network.
 *
 * It lies in a folder that only the owner can use, outside of every world: no profile can name it, since the folder is
 * made after the plan and a socket of the host is never connected to without a `unix:` rule. The supervisor holds the
 * listening end, answers one request of each connection, and never waits for whoever connects.
 *
 * Who is let in: the folder is the owner's alone (0700, made or checked so), and beside that the kernel's word on who connected
 * (SO_PEERCRED) must name the same user as it does for the creator of the session. As root that id has no name in the session's
 * user namespace and is seen as the overflow id, as `nobody` is: against that one it is the folder alone. Worlds do not reach the
 * folder: where a profile gives a folder above it, it is withheld (cli/run.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum sg_door_request {
	SG_DOOR_DESCRIBE = 1, /* answered with one line of JSON */
	SG_DOOR_SIGNAL,       /* the signal is delivered to the command; answered with an empty line */
	SG_DOOR_KILL,         /* the world is ended; answered with an empty line */
	SG_DOOR_CUT,          /* its network is cut; answered with an empty line, or with why not */
	SG_DOOR_ENTER,        /* struct sg_enter_request with its descriptors; answered with an empty line */
	SG_DOOR_REQUESTS_
};

enum { SG_DOOR_TEXT_MAX = 4096, SG_DOOR_SESSION_MAX = 64, SG_DOOR_ARGUMENT_MAX = 2048 };

struct sg_door_message {
	uint32_t request;                    /* enum sg_door_request */
	int32_t value;                       /* SIGNAL: its number */
	char argument[SG_DOOR_ARGUMENT_MAX]; /* CUT: patterns of addresses that are kept, one a line; "": none
						is */
};

/* The folder of the doors of this user (free). Returns 0 or a negative errno value with context. */
int sg_door_folder(char **ret, struct sg_error *error);

/*
 * Makes the door of `session` in the folder: a listening SOCK_SEQPACKET socket, 0600. *ret_fd and *ret_path (free) are the
 * caller's; the path is to be unlinked when the session has ended. Returns 0 or a negative errno value with context.
 */
int sg_door_open(const char *session, int *ret_fd, char **ret_path, struct sg_error *error);

/*
 * Asks the session behind the door at `path`: sends the message, fills `text` (SG_DOOR_TEXT_MAX bytes) with the answer.
 * *ret_fd (may be NULL) is the connection, which ends when the session does; the caller's. Waits at most two seconds.
 * Returns 0; -ECONNREFUSED when no session is behind it any more; -EACCES
 * when it does not let us in; or another negative errno value.
 */
int sg_door_ask(const char *path, const struct sg_door_message *message, char *text, int *ret_fd);

/*
 * The same for any request of `size` bytes with `count` descriptors (they stay the caller's).
 */
int sg_door_send(const char *path, const void *request, size_t size, const int *fds, size_t count, char *text,
		 int *ret_fd);

/* One door of several that are asked at once. */
struct sg_door_asked {
	const char *name; /* in the folder; borrowed */
	int status;       /* 0, or as of sg_door_ask; -ETIMEDOUT: it did not answer in time */
	char *text;       /* the answer (free), where the status is 0; else NULL */
	int connection;   /* while it is asked; -1 after */
	int attempts;
};

/*
 * Asks `count` doors of `folder` at once, with two seconds for all of them together: one that does not answer costs the others
 * nothing. Sets status and text of each. Returns 0, or a negative errno value if none was asked.
 */
int sg_door_ask_all(const char *folder, const struct sg_door_message *message, struct sg_door_asked *asked,
		    size_t count);

struct sg_supervisor;

/* The supervisor's side: takes one connection and answers it. Does not wait. */
void sg_door_answer(struct sg_supervisor *supervisor);

/*
 * The keeper's side, for struct sg_world_stand_in: answers who has asked at `door` (the keeper's copy) for the supervisor, which `data`
 * is: what the session is, and that it cannot be entered. Allocates nothing. Waits at most REQUEST_TIMEOUT_MS for each, which
 * only the owner can cause. Returns true if the world is to end: it was to be stopped, or to lose its network.
 */
bool sg_door_stand_in(int door, void *data);
