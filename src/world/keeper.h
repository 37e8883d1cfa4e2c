/*
 * The keeper: the process between the supervisor and a world.
 *
 * It makes the world's first process, holds a second copy of every listener, and ends the world when the
 * supervisor dies. It stays in the session's user namespace, and nothing in the world can name it.
 */
#pragma once

#include "world/world.h"

/* What the supervisor sends to the keeper, always with descriptors: the first word of the message. */
enum sg_keeper_request {
	SG_KEEPER_ENTER = 1, /* struct sg_enter_request (world/enter.h) */
	SG_KEEPER_START,     /* the listeners of the command and of the first process, and the world's cgroup
				namespace */
	SG_KEEPER_HOLD,      /* listeners, which the keeper holds as long as a process has one of their filters */
};

/*
 * Runs as the keeper, from the fork by the supervisor on. `supervisor` is a pidfd of that, `socket` the
 * keeper's end of the socket to it, `report` where the start of the world is told. Never returns.
 */
SG_NORETURN void sg_keeper_run(const struct sg_world_spec *spec, int supervisor, int socket, int report);
