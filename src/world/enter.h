/* One more command in a running world: the processes that the keeper makes for it. */
#pragma once

#include "world/world.h"

enum { SG_ENTER_ARGUMENTS_MAX = 128 * 1024, SG_ENTER_TERM_MAX = 64, SG_ENTER_DESCRIPTORS = 4 };

/*
 * What is asked for, in the form in which it passes from the front end of `enter` to the supervisor and on to
 * the keeper. Fixed width, native byte order: all are one binary. Descriptors that come with it: first the
 * socket to whoever sent it, then one for each stream that is `given`, in order.
 */
struct sg_enter_request {
	uint32_t request;   /* SG_DOOR_ENTER; to the keeper SG_KEEPER_ENTER */
	uint8_t pty;        /* 1: a terminal for the streams that are neither given nor closed */
	uint8_t background; /* as in struct sg_world_spec */
	uint8_t given[3], closed[3];
	struct termios termios; /* of the pty */
	struct winsize window;
	char term[SG_ENTER_TERM_MAX];       /* TERM of the command where there is a pty; empty: the session's */
	uint32_t count;                     /* words of the command; 0: the session's shell */
	uint32_t size;                      /* bytes of `words`, which alone are sent */
	char words[SG_ENTER_ARGUMENTS_MAX]; /* each ends with a NUL */
};

/*
 * Checks a request of `size` bytes that came with `descriptors` descriptors; nothing in it is believed
 * before. Returns 0 or -EPROTO.
 */
int sg_enter_check(const struct sg_enter_request *request, size_t size, size_t descriptors);

/* The namespaces of a world, in the order in which they are entered. */
enum sg_enter_space {
	SG_ENTER_USER, /* first: it gives the capabilities for the others */
	SG_ENTER_IPC,
	SG_ENTER_UTS,
	SG_ENTER_NET,
	SG_ENTER_CGROUP,
	SG_ENTER_TIME,
	SG_ENTER_PID,
	SG_ENTER_MOUNT,
	SG_ENTER_SPACES
};

extern const struct sg_enter_space_info {
	const char *name; /* in /proc/PID/ns */
	int type;         /* CLONE_NEW* */
} sg_enter_spaces[SG_ENTER_SPACES];

/*
 * Runs in a fresh child of the keeper, whose number it is told, that was made in the world's control group. Enters the namespaces
 * `spaces` (-1, for TIME only: the world has none of its own), starts the command and tells of it on
 * descriptors[0] (enum sg_world_report_kind: PTY, COMMAND, then STOPPED and at last ENDED; or FAILED) until
 * it has ended. `terminals`, for a command with a pty: the file by whose lock entries take turns (a descriptor that is open for
 * writing, in each the same file). Never returns.
 */
SG_NORETURN void sg_enter_run(const struct sg_world_spec *spec, pid_t keeper, const int spaces[SG_ENTER_SPACES],
			      const struct sg_enter_request *request, const int *descriptors, size_t count,
			      int terminals);
