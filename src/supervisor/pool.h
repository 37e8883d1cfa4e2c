/*
 * Calls on names in a world with trees that may not answer: a network or FUSE file system whose server hangs stops the thread that
 * asks it, for as long as it likes, and no signal ends that. So in such a world (plan->may_hang) calls on names are handled by
 * threads of this pool, one call each, and the main thread, which serves everybody else, ends the session and traces
 * executions, walks no name that a worker has not walked before.
 *
 * The security argument. A worker runs the same handlers as the main thread does elsewhere, on a supervisor of its own: a copy,
 * made by the main thread, with its own matcher and its own umask (CLONE_FS is unshared), and its own copies of the listener and
 * of the socket for notices, so that no number can come to mean something else under it. What it shares is not written (rules,
 * plan, the refused files, the view of the world), atomic (the generation), or has a lock (the record, the notices).
 *
 * Calls of the world then run beside each other. Each decides on the name of an object that it holds, and acts on that object: if
 * another call renames a folder above it in between, the outcome is the one of the other order, in which the act came first.
 * That order is allowed, since whether a folder may be renamed is decided on names and rules alone, not on what is in it. Where
 * more hangs on the order, which is where names are hidden by looks (enter.c), there is no pool.
 *
 * How long a call takes is the server's choice. Callers are killed as ever, since they wait in our notification; the worker stays
 * until its server answers or is gone, and then finds its caller gone. At most SG_POOL_MAX wait so; further calls on names wait
 * for one of them, SG_POOL_WANTED_MAX at most: each has two descriptors of ours, which a world must not be able to use up by callers
 * that it kills while they wait. The main thread still asks such a server in one case: an execution, or a connection to a socket, in the
 * instant after a worker has looked the same name up.
 */
#pragma once

#include <stdbool.h>

#include "supervisor/supervisor.h"

enum { SG_POOL_MAX = 256, SG_POOL_WANTED_MAX = 256 };

/* Makes the pool, if the plan needs one: without threads so far. Returns 0 or a negative errno value. */
int sg_pool_start(struct sg_supervisor *supervisor);

/*
 * Gives a call on names to a worker: `handler` is run there. False: there is no pool, it is to be handled here. Does not block.
 * If no worker can be had the call is refused (EAGAIN).
 */
bool sg_pool_handle(struct sg_request *request, void (*handler)(struct sg_request *));

/*
 * For a call that the main thread must handle: has a worker walk the name in it, and where it may be executed, read its
 * beginning. False: there is nothing to wait for. True: sg_pool_return gives the request back when that is done.
 */
bool sg_pool_prepare(struct sg_request *request);

int sg_pool_fd(const struct sg_supervisor *supervisor); /* readable when sg_pool_return has something; -1: no pool */

/* The next request whose name was walked. Returns false when there is none. */
bool sg_pool_return(struct sg_supervisor *supervisor, struct sg_request *ret);
