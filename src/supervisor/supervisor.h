/*
 * The supervisor of a session: the state that its files share.
 *
 * One thread receives every notification, decides and answers; what could block (the opening of a FIFO, a connection) is
 * finished by a worker. The state has one owner, that thread; what workers share says so. In a world with trees whose servers may
 * hang, calls on names are handled by workers with a copy of the state (pool.h).
 *
 * What an adversary in the world controls: the number and arguments of each notified call, the memory behind pointers (at
 * every moment), its descriptors, working directory, ids as far as its profile lets it change them, links and folders that
 * it may write, signals, and timing. What it does not: our memory, the mount tree, the numbers and pidfds by which we know
 * it. Each handler copies the arguments once, pins the object, decides on the pinned object's name, re-checks that the
 * call is pending, and acts on the pinned object. Every error path ends in an error answer; a call that gets no answer
 * since we die is ended by the keeper with the world.
 */
#pragma once

#include <linux/seccomp.h>
#include <stdatomic.h>

#include "audit/writer.h"
#include "policy/decide.h"
#include "supervisor/denied.h"
#include "supervisor/entry.h"
#include "supervisor/resolve.h"
#include "world/control.h"
#include "world/plan.h"
#include "world/world.h"

enum { SG_OWN_DEVICES_MAX = 64, SG_TRACED_MAX = 256 + 64, SG_NOTICES_MAX = 64, SG_IDS_MAX = 4096, SG_ROW = 16 };

/* A thread on its way through execve (supervisor/exec.c). */
struct sg_traced {
	pid_t tid;    /* 0: free */
	int listener; /* under which it called; borrowed, and only compared */
	int program;  /* O_PATH of what must have been executed; owned */
	dev_t device;
	ino_t inode;
	int64_t deadline_ms; /* when to look whether the call failed */
	bool seized;         /* for certain: its end is told by waitpid(2) */
	bool interrupted;    /* PTRACE_INTERRUPT was sent: the next stop that is no exec ends the watch */
	struct sg_decision decision;
	char *name;        /* the program's canonical name; owned */
	char *loader;      /* that of its loader (loader.h), or empty; owned */
	bool must_execute; /* a stop that is no exec ends the process: the call's failure would tell what is hidden */
};

struct sg_learning;
struct sg_network;
struct sg_pool;
struct sg_syscall;

struct sg_supervisor {
	struct sg_supervisor *origin; /* itself, or NULL; in a worker of the pool, whose is a copy: the main thread's */
	struct sg_pool *pool;         /* pool.h, or NULL */
	struct sg_learning *learning; /* learn.h; NULL: the session is not watched */
	struct sg_policy
		*policy; /* its rules do not change; more flags are read when a refusal asks which would help */
	const struct sg_plan *plan;
	struct sg_matcher *names; /* of the main thread */
	struct sg_world world;
	struct sg_view view;
	struct sg_denied denied; /* files that are refused under every name */
	struct sg_audit *audit;
	int control;             /* to the front end */
	int door;                /* where the session's owner asks (supervisor/door.h), or -1 */
	const char *description; /* what it answers: one line of JSON */
	const char *owner;       /* the name of whoever started the session, or NULL */
	uid_t owner_uid;         /* as the host counts */
	uid_t owner_seen;        /* the same id as we see it in the credentials of a socket's peer */
	struct sg_entry entries[SG_WORLD_ENTRIES_MAX];
	size_t entry_limit;     /* those from here on were never used */
	unsigned int in_row;    /* calls that are soon over, since another one (loop.c) */
	unsigned int unlooked;  /* calls since all else was looked at last (loop.c) */
	unsigned int looked_at; /* the guard's tick when it was */
	atomic_uint looked;     /* goes on whenever all else was looked at: the keeper watches it (world/keeper.c) */
	int rare;               /* epoll instance of what has work now and then (loop.c) */
	int signals;            /* signalfd of SIGCHLD */
	bool ids_fixed;         /* no process of the world can change its ids */
	char ids[SG_IDS_MAX]; /* all ids and groups that the main thread acts with, as its status file has them (request.c) */
	size_t ids_length;                     /* 0: not read yet */
	dev_t own_devices[SG_OWN_DEVICES_MAX]; /* file systems of the world's own */
	size_t own_device_count;
	dev_t skeleton; /* the device of the world's root, if that is a skeleton of its own; 0: not known */
	struct sg_traced traced[SG_TRACED_MAX];
	size_t traced_count;
	size_t traced_limit;         /* those from here on are free */
	struct sg_network *network;  /* network.h */
	int freezer, freezer_events; /* cgroup.freeze and cgroup.events of the world's control group, or -1 */
	atomic_uint generation; /* the origin's: bumped to make a cut: what was decided before is not given any more */
	bool wakes_at_once;     /* answers do (sg_wake_at_once) */
	bool command_started;   /* the command's first execve was seen through */
	bool announced;         /* and the front end was told */
	bool sealed;            /* the first process has sealed itself */
	bool ended;
	int exit_status;
};

/* The generation of the world: one, whoever handles a call. */
static inline atomic_uint *sg_generation(struct sg_supervisor *supervisor)
{
	return supervisor->origin != NULL ? &supervisor->origin->generation : &supervisor->generation;
}

/* One notified call while it is being handled. */
struct sg_request {
	struct sg_supervisor *supervisor;
	struct seccomp_notif notification;
	struct sg_caller caller;
	unsigned int generation; /* of the world when the call was received */
	const char *operation;   /* "open", "exec": for the record */
	bool answered;
	bool prepared; /* a worker has walked the name (pool.h) */
};

/*
 * Whether the supervisor may act in the caller's place. Returns 0; -EPERM if any of the caller's user ids, group ids or
 * supplementary groups is another than the supervisor's; -ESRCH if it is gone; or another negative errno value. Believed once sg_caller_valid says so.
 */
int sg_request_identify(const struct sg_request *request);

/* Notes who calls, one after the other: how they are answered depends on whether they are several (request.c). */
void sg_note_caller(pid_t tid);

/* --- answers (request.c); exactly one for each request --- */

/* The call fails with `error` (positive errno value). */
void sg_answer_error(struct sg_request *request, int error);

/* The call returns `value`. What it did was done before a cut or not at all: it is done on pinned objects at once. */
void sg_answer_value(struct sg_request *request, int64_t value);

/* execve only: the kernel goes on with the call; a trace verifies what it did. */
void sg_answer_continue(struct sg_request *request);

/*
 * The one function that gives descriptors. The call returns a new descriptor of the caller for `fd` (which stays ours):
 * after the generation of the world was found unchanged. EMFILE of the caller, and every other failure, is an error answer.
 */
void sg_give_descriptor(struct sg_request *request, int fd, bool close_on_exec);

/*
 * The same for a swap: puts `fd` (stays ours) in the place of the caller's descriptor `number`, and answers nothing. Returns
 * 0, -EAGAIN when the world's generation has changed, or another negative errno value.
 */
int sg_replace_descriptor(struct sg_request *request, int number, int fd, bool close_on_exec);

/* --- records and notices (report.c) --- */

/*
 * Records a decision. `object` is the canonical name as used, `named` the caller's text (may be NULL). For a refusal the
 * person at the terminal gets a line. Returns 0, or a negative errno value when the record could not be taken: then nothing
 * may be granted.
 */
int sg_report(struct sg_request *request, const struct sg_decision *decision, const char *object, const char *named);

/*
 * 0 if a record would be taken now, else the error (sg_audit_alive); then the person at the terminal is told, at most once a
 * second. Does not block.
 */
int sg_report_possible(struct sg_supervisor *supervisor);

/* Records that a program was executed: name, argv and working directory are read at the exec stop of thread `tid`. */
int sg_report_exec(struct sg_supervisor *supervisor, pid_t tid, const char *program);

/* False where what is unread takes that much of the room: then nothing is sent that the world can cause again and again. */
bool sg_control_has_room(int control, int quarters);

/* Sends a line to a front end, that of the session or of an entry. Never blocks: dropped when the front end does not keep up. */
void sg_notice(int control, const char *text, size_t size);

/* --- handlers: one for each kind of call; each answers --- */
void sg_handle_open(struct sg_request *request);
void sg_handle_change(struct sg_request *request); /* FILE_CHANGE and FD_CHANGE */
void sg_handle_look(struct sg_request *request);   /* FILE_LOOK, FILE_DETAIL, FD_LOOK */
void sg_handle_enter(struct sg_request *request);  /* FILE_ENTER (enter.c) */
void sg_handle_exec(struct sg_request *request);
void sg_handle_network(struct sg_request *request);

/* --- network.c --- */

/* Reads what is needed of the host before its mount tree is left. Returns 0 or a negative errno value with context. */
int sg_network_prepare(struct sg_supervisor *supervisor, struct sg_error *error);
/* Takes the sockets of the started world, and starts the resolver. Called in the world's mount tree. Returns 0 or -errno. */
int sg_network_start(struct sg_supervisor *supervisor, struct sg_error *error);
int sg_network_fd(const struct sg_supervisor *supervisor);         /* readable when sg_network_run has work */
int sg_network_timeout(const struct sg_supervisor *supervisor);    /* ms until sg_network_run must run; -1: none */
void sg_network_run(struct sg_supervisor *supervisor, bool ready); /* `ready`: its descriptor is; never blocks */

struct sg_addressset;

/*
 * Cuts the network of the world, for good: from the return on nothing passes over any socket that it has, has
 * in flight or will have, to or from outside, but for the addresses that every cut has kept. `kept` is a set
 * of address patterns (no names, no unix paths; taken over), or NULL: nothing is kept. *ret_count: how many
 * sockets were ended. What is refused by it says so. Blocks for some milliseconds, at most two seconds.
 * Returns 0; -E2BIG (too many kept sets: nothing was done); or another negative errno value: then the session
 * ends.
 */
int sg_network_cut(struct sg_supervisor *supervisor, struct sg_addressset *kept, unsigned int *ret_count);

/* The same, with the patterns of what is kept as text, one a line. -EINVAL: one is none, or no IP address;
 * nothing was done. */
int sg_network_cut_but(struct sg_supervisor *supervisor, const char *patterns);

/* --- exec.c --- */
/*
 * Seizes a thread of the world by ptrace, with PTRACE_O_ options. Returns 0; -EAGAIN when it took too long (it may be seized, or
 * not); or -errno.
 */
int sg_exec_seize(pid_t tid, unsigned long options);
void sg_exec_forget(struct sg_supervisor *supervisor,
		    pid_t tid); /* the thread is in another call than execve: its watch ends */
bool sg_exec_watches(struct sg_supervisor *supervisor,
		     pid_t tid);                             /* it is seized still, since its last execve failed */
void sg_exec_collect(struct sg_supervisor *supervisor);      /* stops of traced threads */
int sg_exec_timeout(const struct sg_supervisor *supervisor); /* ms until sg_exec_expire must run; -1: none */
void sg_exec_expire(struct sg_supervisor *supervisor);       /* looks after calls that seem to have failed */

/* True while such calls come one after the other, and nothing else does. */
static inline bool sg_is_in_row(const struct sg_supervisor *supervisor)
{
	return supervisor->in_row > SG_ROW;
}

/*
 * Waits until the world's first process has sealed itself, which it does once the command has executed: at most SG_WORLD_START_SECONDS.
 * Returns false if it has not: then no program of the world may run.
 */
bool sg_await_seal(struct sg_supervisor *supervisor);

/* loop.c: true if the policy gives the call, whatever its arguments. */
bool sg_call_is_given(const struct sg_supervisor *supervisor, const struct sg_syscall *call);

/* loop.c: receives one call of a listener, and has it handled. Does not wait for anything but the handler. */
void sg_receive_call(struct sg_supervisor *supervisor, int listener);

/* True if the object of that status lies on a file system of the world's own. */
bool sg_is_own(const struct sg_supervisor *supervisor, const struct stat *status);

/*
 * True in the skeleton: the folders above what was granted, which are the world's own and that nobody writes. What has no rule there is
 * refused as on any read-only file system.
 */
bool sg_is_skeleton(const struct sg_supervisor *supervisor, const struct stat *status);

/* --- names that are not there (absent.c) --- */

/*
 * Appends the components of `rest` to the first `used` bytes of `name`, without empty ones and "."; nothing is looked up. Returns the
 * new length, without a slash at the end; 0 if one is "..", if it is too long, or if nothing is there.
 */
size_t sg_name_append(char name[static PATH_MAX], size_t used, const char *rest);

/*
 * After a call that names what is not in the world, and is answered with that: records the attempt if a LogOnRead or LogOnWrite rule
 * names it and nothing allows it. `dirfd` and `named` are the call's, `access` what it would have been. Decides nothing.
 */
void sg_record_absent(struct sg_request *request, int dirfd, const char *named, unsigned int access);

/* Delivers a signal from outside to a command, or where it is one of the keyboard, to its process group. */
void sg_deliver(pid_t command, int pidfd, int number);

/* session.c: notes that the world has got a devpts of its own since it was started (world/enter.c). */
void sg_own_terminals(struct sg_supervisor *supervisor);

/*
 * session.c: has the answers of a listener wake the caller on this CPU at once. Returns false where the kernel cannot (before Linux
 * 6.6).
 */
bool sg_wake_at_once(int listener);

/*
 * Runs the session of a started world until it has ended: the loop. `supervisor` is filled in but for what the loop makes.
 * Returns the exit status of the session.
 */
int sg_supervise(struct sg_supervisor *supervisor);
