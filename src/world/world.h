/*
 * A world, from its description to its first program.
 *
 *     supervisor (in the session's user namespace)
 *       └─ keeper    holds a second copy of each listener; when the supervisor dies, it kills the world
 *            └─ first process of the world (PID 1: reaps, reports stops, carries a filter of its own and no descriptors)
 *                 └─ the command
 *
 * The keeper and the first process are killed by the kernel when their parent dies (PR_SET_PDEATHSIG), so that keeper and
 * supervisor killed in the same instant leave nothing running either.
 */
#pragma once

#include <linux/filter.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <termios.h>

#include "base/error.h"
#include "world/identity.h"
#include "world/loopback.h"
#include "world/mount.h"

struct sg_world_limit {
	int resource; /* RLIMIT_* */
	rlim_t value;
};

/*
 * What the keeper does in the supervisor's place while that one stands: see keeper.c. `answer` runs in the keeper, where nothing may be
 * allocated; it returns true if the world is to end.
 */
struct sg_world_stand_in {
	int door;            /* a listening socket; -1: there is none */
	int front;           /* a pidfd of the front end, without which there is to be no world; -1: none */
	atomic_uint *looked; /* goes on whenever the supervisor has looked at the door */
	bool (*answer)(int door, void *data);
	void *data;
};

/* What to build. Everything is borrowed and must stay as it is until sg_world_done: the keeper reads it (world/sibling.h). */
struct sg_world_spec {
	const struct sg_identity *identity;
	struct sg_mount *mounts; /* in order (world/mount.h); `tree` descriptors are consumed */
	size_t mount_count;
	const struct sock_filter *filter; /* of the command and all that it starts */
	unsigned short filter_length;
	const struct sg_world_limit *limits;
	size_t limit_count;
	uint64_t capabilities; /* over the world's own user namespace, as a bit mask; 0 nearly always */
	const char *hostname;
	int group;           /* folder of the control group that the world is made in (world/cgroup.h); 0, -1: none */
	bool group_required; /* the group holds a limit: without it there is no world */
	char *const *argv;   /* the command; argv[0] without a slash is looked for in PATH of `environment` */
	char *const *environment; /* the whole environment of the command */
	const char *directory;    /* working directory, a name in the world */
	bool directory_named;     /* the profile names it: it must be there; else "/" where it is not */
	mode_t umask;
	int stdio[3];    /* the world's ends of the relayed streams; -1: the pty if there is one, else /dev/null */
	bool pty;        /* make a pty inside the world for the streams that are -1 and not closed */
	bool background; /* the command starts in a background group of the pty; the first SIGTTIN or SIGTTOU that
				     stops it makes its group the foreground one, and SIGCONT lets it go on */
	bool closed[3];  /* a stream that the caller did not have: /dev/null */
	const struct termios *termios; /* initial state of the pty, or NULL */
	const struct winsize *window;  /* initial size, or NULL */
	bool landlock;                 /* Landlock's part for files stands behind the mount tree (sg_confine_files) */
	const char *apparmor; /* the AppArmor profile that all processes of the world enter (world/label.h), or NULL */
	int apparmor_lock;    /* held as long as one may be in it (export/apparmor_bound.h); 0, -1: none */
	bool ping;            /* the world's group may make ICMP datagram sockets */
	bool entering;        /* the world runs already: see world/enter.c */
	bool resolver;        /* make the sockets of the session's resolver in the world's network */
	const struct sg_world_stand_in *stand_in; /* or NULL */
	bool open_mediation; /* landlock inside would not bind what the supervisor opens: told to the filter's maker */
};

/* A started world, as the supervisor holds it. All descriptors are the holder's. */
struct sg_world {
	pid_t keeper;  /* a child of the supervisor */
	pid_t first;   /* PID 1 of the world, seen from the supervisor's PID namespace */
	pid_t command; /* the command, likewise */
	int first_pidfd;
	int command_pidfd;
	int keeper_socket;  /* the keeper sends the first process's wait status (int) here, and nothing else */
	int listener;       /* of the command's filter; its first notification is the command's execve, held back */
	int first_listener; /* of the first process's filter: see SG_WORLD_CALL */
	int pty_master;     /* or -1 */
	int sockets[SG_LOOPBACK_SOCKETS]; /* of the world's network; -1: not made */
	int mount_namespace;              /* for setns(2); taken before the first process seals itself */
	int group_namespace;              /* of control groups; the keeper's as soon as the world stands, then -1 */
	int reports;                      /* what the first processes report, until the world stands */
};

#define SG_WORLD_INIT                                                                                                  \
	((struct sg_world){.first_pidfd = -1,                                                                          \
			   .command_pidfd = -1,                                                                        \
			   .keeper_socket = -1,                                                                        \
			   .listener = -1,                                                                             \
			   .first_listener = -1,                                                                       \
			   .pty_master = -1,                                                                           \
			   .sockets = {-1, -1, -1, -1},                                                                \
			   .mount_namespace = -1,                                                                      \
			   .group_namespace = -1,                                                                      \
			   .reports = -1})

/*
 * The call number by which the first process speaks to the supervisor (arguments: enum sg_world_call, value). No kernel
 * has it; the first process's filter notifies it, the command's filter answers ENOSYS.
 */
enum { SG_WORLD_CALL = 4000 };

enum sg_world_call {
	SG_WORLD_CALL_LISTENING = 1, /* the filter is on; answered once the supervisor holds the listener */
	SG_WORLD_CALL_SEALED,        /* the first process can no longer be examined: the command's program may run */
	SG_WORLD_CALL_STOPPED,       /* the command was stopped by the signal in the second argument */
	SG_WORLD_CALL_CONTINUED,     /* the command goes on */
};

/*
 * Begins to build the world: the keeper and below it the first process go on by themselves, on another CPU if there is one, while
 * the caller makes ready what it will need. Called by a single-threaded process in the session's user namespace with all
 * capabilities there; what it opens from now on is not in the world's processes. Returns 0 and fills *ret (sg_world_done), or a
 * negative errno value with context; then nothing is left running.
 */
int sg_world_begin(const struct sg_world_spec *spec, struct sg_world *ret, struct sg_error *error);

/*
 * Waits until the first process is there and the keeper has its namespaces: what is mapped from now on is in none of the world's
 * processes, and cannot be had by who enters it later. At most SG_WORLD_START_SECONDS. Returns 0 or a negative errno value with context.
 */
int sg_world_await_keeper(struct sg_world *world, struct sg_error *error);

/*
 * After sg_world_await_keeper: waits until the world stands, with its command waiting in its first execve, or failed: at most
 * SG_WORLD_START_SECONDS. Returns 0 or a negative errno value with context; then sg_world_done ends what is there.
 */
int sg_world_finish(struct sg_world *world, struct sg_error *error);

enum { SG_WORLD_START_SECONDS = 20 };

/*
 * Gives the keeper a second copy of a listener: as long as it lives, a call is never answered ENOSYS by the end of the first
 * copy's holder. Returns 0 or a negative errno value. The listener stays the caller's.
 */
int sg_world_hold(const struct sg_world *world, int listener);

/* How many commands that were started later may have processes in a world at a time. */
enum { SG_WORLD_ENTRIES_MAX = 16 };

struct sg_enter_request;

/*
 * Asks the keeper for one more command in the world (world/enter.h). descriptors[0] is where it is told what becomes of it (struct
 * sg_world_report); all stay the caller's. Returns 0 once asked, or a negative errno value.
 */
int sg_world_enter(const struct sg_world *world, struct sg_enter_request *request, const int *descriptors,
		   size_t count);

/* Kills all that is left of the world and of the keeper, waits for both, and closes the descriptors. */
void sg_world_done(struct sg_world *world);

/* True if `fd` is a listener of seccomp notifications. */
bool sg_world_is_listener(int fd);

/*
 * Takes a copy of the listener that a process has said it will have at descriptor `number`. Does not wait. Returns it; -EAGAIN
 * while it is not there; or another negative errno value.
 */
int sg_world_take_listener(int pidfd, int number);
