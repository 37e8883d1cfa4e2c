/*
 * execve and execveat.
 *
 * The call is decided on a pinned program (and, for a script, on each interpreter of the chain), then the kernel goes on
 * with it, since nobody can execute for another. What the adversary can do meanwhile: put another path or argv there from
 * a sibling thread, or swap the file behind the name. So the thread is seized by ptrace before it goes on, and stops in
 * the exec stop, after the new program is in place and before its first instruction: there the program that was really
 * executed is compared with the pinned one by device and inode, and argv is read from the new stack, where only the kernel
 * has written. A difference is answered with SIGKILL. The seizing kills the thread if we die (EXITKILL).
 *
 * Behind that stands a kernel bound: what no Exec glob reaches lies on noexec mounts.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "supervisor/guard.h"
#include "supervisor/learn.h"
#include "supervisor/loader.h"
#include "supervisor/process.h"
#include "supervisor/supervisor.h"

enum {
	CHAIN_MAX = 5,
	SETTLED_S = 2,
	LINE_MAX_BYTES = 256,
	PATIENCE_MS = 20,
	PATIENCE_INTERRUPTED_MS = 2000,
	SEIZE_TICKS = 3,
	PLACES_KEPT = 64
};

static void free_traced(struct sg_supervisor *supervisor, struct sg_traced *traced)
{
	sg_fd_close(traced->program);
	free(traced->name);
	free(traced->loader);
	*traced = (struct sg_traced){0};
	supervisor->traced_count--;
	while (supervisor->traced_limit > 0 && supervisor->traced[supervisor->traced_limit - 1].tid == 0)
		supervisor->traced_limit--;
}

static struct sg_traced *find_traced(struct sg_supervisor *supervisor, pid_t tid)
{
	for (size_t i = 0; i < supervisor->traced_limit; i++)
		if (supervisor->traced[i].tid == tid)
			return &supervisor->traced[i];
	return NULL;
}

/*
 * A thread has its place until it leaves the call, and the world can hold all that there are: who has vfork(2)ed right after an
 * execution that failed leaves the kernel when its child pleases. So the last ones are for who enters, by another listener than the
 * first command's, which nobody in the world can call by but what an entry started.
 */
static struct sg_traced *find_free(struct sg_supervisor *supervisor, int listener)
{
	const size_t end = SG_TRACED_MAX - (listener == supervisor->world.listener ? PLACES_KEPT : 0);

	for (size_t i = 0; i < end; i++)
		if (supervisor->traced[i].tid == 0)
			return &supervisor->traced[i];
	return NULL;
}

/*
 * Files that were read and found to be no scripts. An entry stands for a file as it was when it had last been changed, and
 * only if that lies long enough back that a later change has another time. Should a file be a script all the same (written
 * through a mapping, say), it is decided as a program; but its interpreter is what the kernel executes, and the exec stop
 * kills what is another file than the one decided. So a stale entry refuses, and never grants.
 */
static struct {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
} plain_files[64];

static bool is_plain(const struct stat *status)
{
	const size_t slot = (size_t)status->st_ino % SG_ARRAY_SIZE(plain_files);

	return plain_files[slot].inode == status->st_ino && plain_files[slot].device == status->st_dev &&
	       plain_files[slot].size == status->st_size &&
	       plain_files[slot].changed.tv_sec == status->st_ctim.tv_sec &&
	       plain_files[slot].changed.tv_nsec == status->st_ctim.tv_nsec && status->st_ino != 0;
}

static void note_plain(const struct stat *status)
{
	const size_t slot = (size_t)status->st_ino % SG_ARRAY_SIZE(plain_files);
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) < 0 || status->st_ctim.tv_sec > now.tv_sec - SETTLED_S)
		return;
	plain_files[slot].device = status->st_dev;
	plain_files[slot].inode = status->st_ino;
	plain_files[slot].size = status->st_size;
	plain_files[slot].changed = status->st_ctim;
}

/*
 * The interpreter that a script names. Returns 1 and its path, 0 if the file is no script, or a negative errno value. The
 * supervisor reads the pinned file itself: what it says is used to decide, never to act.
 */
static int read_interpreter(const struct sg_view *view, int fd, char *path, size_t size)
{
	char line[LINE_MAX_BYTES + 1];
	SG_AUTO_FD int file = sg_reopen(view, fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	ssize_t length;
	size_t start, end;

	if (file == -EACCES) /* executable and not readable: the kernel would read it, and no script is */
		return 0;
	if (file < 0)
		return file;
	length = pread(file, line, LINE_MAX_BYTES, 0);
	if (length < 0)
		return -errno;
	line[length] = '\0';
	if (length < 3 || line[0] != '#' || line[1] != '!')
		return 0;
	line[strcspn(line, "\n")] = '\0';
	start = 2 + strspn(line + 2, " \t");
	end = start + strcspn(line + start, " \t");
	if (end == start || end - start >= size)
		return -ENOEXEC;
	memcpy(path, line + start, end - start);
	path[end - start] = '\0';
	return 1;
}

/*
 * Where some names may not be executed though their mounts allow code, a loader could run them all the same: what it is
 * given is read and mapped, not executed. It then needs an Exec rule that names just it.
 */
static bool runs_anything(const struct sg_supervisor *supervisor, const struct sg_resolved *program)
{
	uint32_t rules[16];
	size_t count;

	if (!supervisor->plan->mixed_code || !sg_loader_is_known(program->name))
		return false;
	/* Of the decision just made: the rules that matched the name. */
	count = sg_matcher_rules(supervisor->names, SG_NAME_BIT(SG_RULE_EXECUTE), rules, SG_ARRAY_SIZE(rules));
	for (size_t i = 0; i < count && i < SG_ARRAY_SIZE(rules); i++)
		if (sg_glob_is_literal(supervisor->policy->rules[rules[i]].glob))
			return false;
	return true;
}

/*
 * Decides about the program and the chain of its interpreters. On success *program is what will really be running. Returns
 * 0 when allowed, 1 when decided otherwise (*decision), or a negative errno value that the call would give.
 */
static int decide_chain(struct sg_request *request, const char *named, struct sg_resolved *program,
			struct sg_decision *decision, char *object)
{
	struct sg_supervisor *supervisor = request->supervisor;
	char interpreter[LINE_MAX_BYTES + 1];

	for (int depth = 0; depth < CHAIN_MAX; depth++) {
		struct sg_resolved next;
		int status;

		(void)snprintf(object, sizeof(program->name), "%s", program->name);
		if (program->hidden)
			return -ENOENT;
		if (!S_ISREG(program->status.st_mode))
			return -EACCES;
		if (program->unnamed) {
			*decision = (struct sg_decision){
				SG_VERDICT_DENY, EACCES, NULL,
				"a program without a name in the world (a memfd, a deleted file)", false};
			return 1;
		}
		sg_decide(supervisor->policy, supervisor->names, program->name, program->length, SG_ACCESS_EXECUTE,
			  sg_is_own(supervisor, &program->status), decision);
		if (decision->verdict != SG_VERDICT_ALLOW ||
		    sg_is_denied_inode(supervisor, program->fd, &program->status, SG_ACCESS_EXECUTE, decision))
			return 1;
		if (runs_anything(supervisor, program)) {
			*decision = (struct sg_decision){
				.verdict = SG_VERDICT_DENY,
				.error = EACCES,
				.reason = "a loader runs any file that it is given, and not all may be executed here; "
					  "an Exec rule that names just the loader allows it"};
			return 1;
		}
		status = sg_loader_fails_by_itself(supervisor, program);
		if (status < 0)
			return status;
		if (supervisor->learning != NULL)
			sg_learn_note_program(request, depth == 0 ? named : interpreter, program);
		if (is_plain(&program->status))
			return 0;
		status = read_interpreter(&supervisor->view, program->fd, interpreter, sizeof(interpreter));
		if (status == 0)
			note_plain(&program->status);
		if (status <= 0)
			return status;
		status = sg_resolve(&supervisor->view, &request->caller, AT_FDCWD, interpreter, 0, &next);
		if (status < 0)
			return status;
		sg_resolved_done(program);
		*program = next;
	}
	return -ELOOP;
}

static int read_path(struct sg_request *request, struct sg_resolved *ret, char *named)
{
	const struct seccomp_data *data = &request->notification.data;
	const bool at = data->nr == SYS_execveat;
	const unsigned int flags = at ? (unsigned int)data->args[4] : 0;
	ssize_t length = sg_caller_read_string(&request->caller, data->args[at ? 1 : 0], named, PATH_MAX);

	if (length < 0)
		return (int)length;
	if ((flags & ~(unsigned int)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) != 0)
		return -EINVAL;
	if (length == 0 && (flags & AT_EMPTY_PATH) == 0)
		return -ENOENT;
	return sg_resolve(&request->supervisor->view, &request->caller, at ? (int)data->args[0] : AT_FDCWD, named,
			  ((flags & AT_SYMLINK_NOFOLLOW) != 0 ? SG_RESOLVE_NO_FOLLOW : 0U) | SG_RESOLVE_EMPTY, ret);
}

static int seize_now(pid_t tid, unsigned long options)
{
	return syscall(SYS_ptrace, PTRACE_SEIZE, tid, 0, options) < 0 ? -errno : 0;
}

/*
 * Seizing waits for a lock that another thread of that process holds all through an execve of its own (cred_guard_mutex in
 * ptrace_attach), and that one may wait for us: until we have reaped a third thread, which we trace and it has killed. Nothing
 * but a signal ends the wait, and then the kernel would start it anew: the guard jumps out of it.
 */
int sg_exec_seize(pid_t tid, unsigned long options)
{
	volatile int result = -EAGAIN;

	if (sg_guard_begin() < 0)
		return -EAGAIN;
	if (sigsetjmp(sg_guard_exit, 0) == 0) {
		sg_guard_leave(SEIZE_TICKS);
		result = seize_now(tid, options);
	}
	sg_guard_end();
	return result;
}

bool sg_exec_watches(struct sg_supervisor *supervisor, pid_t tid)
{
	return find_traced(supervisor, tid) != NULL;
}

void sg_exec_forget(struct sg_supervisor *supervisor, pid_t tid)
{
	struct sg_traced *traced = find_traced(supervisor, tid);

	if (traced != NULL)
		free_traced(supervisor, traced);
}

/* The call fails; the watch, if there is one by now, ends at the next stop. */
static void give_up(struct sg_request *request, struct sg_traced *traced)
{
	(void)ptrace(PTRACE_INTERRUPT, traced->tid, 0, 0);
	traced->interrupted = true;
	traced->deadline_ms = sg_now_ms() + PATIENCE_INTERRUPTED_MS;
	sg_answer_error(request, EAGAIN);
}

/* A program is in place, and its stop comes, before one that was asked for beforehand would. Returns false if there will be none. */
static bool stop_if_it_fails(const struct sg_supervisor *supervisor, struct sg_traced *traced)
{
	traced->must_execute = sg_loader_must_not_fail(supervisor) && ptrace(PTRACE_INTERRUPT, traced->tid, 0, 0) == 0;
	return traced->must_execute == sg_loader_must_not_fail(supervisor);
}

/* No rule refuses it, and none would help: there is nobody who could look at what it executes. */
static void refuse_unseizable(struct sg_request *request, const struct sg_resolved *program, const char *named)
{
	struct sg_decision decision = {
		.verdict = SG_VERDICT_DENY,
		.error = EPERM,
		.reason = "a traced process may not execute programs: what it executes could not be verified"};

	if (!sg_process_is_traced(request->caller.proc, request->caller.tid))
		decision.reason = "this process may not be examined: what it executes could not be verified";
	if (sg_caller_valid(&request->caller))
		(void)sg_report(request, &decision, program->name, named);
	sg_answer_error(request, EPERM);
}

/*
 * Nothing of the world runs before its first process is sealed, and that is when the command has executed: its program waits for it
 * (verify).
 */
static bool may_execute(const struct sg_supervisor *supervisor, pid_t tid)
{
	return supervisor->sealed || (tid == supervisor->world.command && !supervisor->command_started);
}

/* Seizes the thread and lets it go on. */
static void let_go(struct sg_request *request, struct sg_resolved *program, const struct sg_decision *decision,
		   const char *named, const char *loader)
{
	struct sg_supervisor *supervisor = request->supervisor;
	pid_t tid = request->caller.tid;
	struct sg_traced *traced = find_traced(supervisor, tid);
	const bool seized = traced != NULL;
	const unsigned long options = PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	int status = 0;

	/* Seized still: its last call failed, or it would not be in a new one. */
	if (seized)
		free_traced(supervisor, traced);
	else
		traced = find_free(supervisor, request->caller.listener);
	if (traced == NULL) {
		sg_answer_error(request, EAGAIN);
		return;
	}
	/* At the command's first execve nothing of the world has run that could hold the lock. */
	if (!seized)
		status = supervisor->command_started ? sg_exec_seize(tid, options) : seize_now(tid, options);
	if (status < 0 && status != -EAGAIN) {
		refuse_unseizable(request, program, named);
		return;
	}
	*traced = (struct sg_traced){.tid = tid,
				     .listener = request->caller.listener,
				     .program = program->fd,
				     .device = program->status.st_dev,
				     .inode = program->status.st_ino,
				     .seized = status == 0,
				     .deadline_ms = sg_now_ms() + PATIENCE_MS,
				     .decision = *decision,
				     .name = strdup(program->name),
				     .loader = strdup(loader)};
	supervisor->traced_count++;
	if (traced >= supervisor->traced + supervisor->traced_limit)
		supervisor->traced_limit = (size_t)(traced - supervisor->traced) + 1;
	program->fd = -1;
	/* The seized thread is the caller only if the call is still pending: the number could have been given anew. */
	if (status < 0 || traced->name == NULL || traced->loader == NULL || !sg_caller_valid(&request->caller) ||
	    !may_execute(supervisor, tid) || !stop_if_it_fails(supervisor, traced))
		give_up(request, traced);
	else
		sg_answer_continue(request);
}

static int take_arguments(const struct sg_request *request, size_t name, bool script)
{
	const struct seccomp_data *data = &request->notification.data;
	const unsigned int at = data->nr == SYS_execveat ? 2 : 1;

	return sg_loader_take_arguments(request, data->args[at], data->args[at + 1], name, script);
}

void sg_handle_exec(struct sg_request *request)
{
	SG_CLEANUP(sg_resolved_done) struct sg_resolved program;
	char named[PATH_MAX], object[sizeof(program.name)], loader[sizeof(program.name)];
	struct sg_decision decision = {.verdict = SG_VERDICT_DENY, .error = EACCES};
	ino_t first;
	int status;

	sg_resolved_init(&program);
	loader[0] = '\0';
	request->operation = "execute";
	status = read_path(request, &program, named);
	first = program.status.st_ino;
	if (status == 0)
		status = decide_chain(request, named, &program, &decision, object);
	if (status == 0)
		status = sg_loader_decide(request, &program, &decision, loader);
	if (status == 0)
		status = take_arguments(request, strlen(named), program.status.st_ino != first);
	if (status < 0) {
		sg_answer_error(request, -status);
		return;
	}
	if (status > 0) {
		if (!sg_caller_valid(&request->caller))
			return;
		(void)sg_report(request, &decision, loader[0] != '\0' ? loader : object, named);
		sg_answer_error(request, decision.error);
		return;
	}
	/* The record is written at the exec stop, of what was executed; nothing starts when none can be taken. */
	if (sg_report_possible(request->supervisor) < 0) {
		sg_answer_error(request, EIO);
		return;
	}
	let_go(request, &program, &decision, named, loader);
}

/* In the exec stop: is it what was decided? */
static void verify(struct sg_supervisor *supervisor, struct sg_traced *traced, pid_t tid)
{
	char path[32];
	struct stat status;
	bool same;

	/* The link is the kernel's own to the executed file: no name is looked up, and the pin keeps the number from another. */
	(void)snprintf(path, sizeof(path), "%d/exe", (int)tid);
	same = fstatat(supervisor->view.proc, path, &status, 0) == 0 && status.st_dev == traced->device &&
	       status.st_ino == traced->inode;
	same = same && sg_loader_verify(supervisor, tid, traced) && sg_await_seal(supervisor);
	/* It is the pinned program, and so has the name that was decided about. */
	if (!same || sg_report_exec(supervisor, tid, traced->name) < 0) {
		static const char text[] =
			"a program was killed: what it executed was not what was decided, or could not be recorded";

		(void)kill(tid, SIGKILL);
		sg_entry_notice(supervisor, traced->listener, text, sizeof(text) - 1);
	}
	if (tid == supervisor->world.command && !supervisor->command_started)
		supervisor->command_started = true;
	sg_entry_executed(supervisor, tid);
	(void)ptrace(PTRACE_DETACH, tid, 0, 0);
	free_traced(supervisor, traced);
}

/* A stop that is no exec: the call failed, or a signal came before it. Signals are passed on. */
static void pass_stop(struct sg_supervisor *supervisor, struct sg_traced *traced, int status)
{
	static const char text[] =
		"a program was killed: an execution in it failed in a way that could tell what is hidden";
	const int event = status >> 16;

	if (traced->must_execute) {
		(void)kill(traced->tid, SIGKILL);
		sg_entry_notice(supervisor, traced->listener, text, sizeof(text) - 1);
	}
	if (event == PTRACE_EVENT_STOP) {
		/* Ours (PTRACE_INTERRUPT), or a group stop: either way the thread is out of the call. */
		(void)ptrace(PTRACE_DETACH, traced->tid, 0, 0);
		free_traced(supervisor, traced);
		return;
	}
	(void)ptrace(PTRACE_DETACH, traced->tid, 0, (void *)(uintptr_t)WSTOPSIG(status));
	free_traced(supervisor, traced);
}

void sg_exec_collect(struct sg_supervisor *supervisor)
{
	for (;;) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL | WNOHANG);
		struct sg_traced *traced;

		if (tid <= 0)
			return;
		traced = find_traced(supervisor, tid);
		if (WIFSTOPPED(status) && status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) {
			unsigned long former = 0;

			/* A thread that is not the leader takes the leader's number; it tells the one it had. */
			if (ptrace(PTRACE_GETEVENTMSG, tid, 0, &former) == 0 && (pid_t)former != tid) {
				struct sg_traced *other = find_traced(supervisor, (pid_t)former);

				if (other != NULL && traced != NULL)
					free_traced(supervisor, traced);
				traced = other != NULL ? other : traced;
			}
			if (traced == NULL) { /* nothing was decided about it */
				(void)kill(tid, SIGKILL);
				(void)ptrace(PTRACE_DETACH, tid, 0, 0);
				continue;
			}
			verify(supervisor, traced, tid);
			if (supervisor->traced_count == 0) /* nobody else can have stopped */
				return;
		} else if (WIFSTOPPED(status) && traced != NULL) {
			pass_stop(supervisor, traced, status);
		} else if (WIFSTOPPED(status)) {
			(void)ptrace(PTRACE_DETACH, tid, 0, 0);
		} else if (traced != NULL) {
			free_traced(supervisor, traced); /* it has ended */
		} else if (tid == supervisor->world.keeper) {
			supervisor->world.keeper = 0;
		}
	}
}

int sg_exec_timeout(const struct sg_supervisor *supervisor)
{
	int64_t earliest = INT64_MAX, left;

	for (size_t i = 0; i < supervisor->traced_limit; i++)
		if (supervisor->traced[i].tid != 0 && supervisor->traced[i].deadline_ms < earliest)
			earliest = supervisor->traced[i].deadline_ms;
	if (earliest == INT64_MAX)
		return -1;
	left = earliest - sg_now_ms();
	return left < 0 ? 0 : (int)left + 1;
}

void sg_exec_expire(struct sg_supervisor *supervisor)
{
	int64_t now = supervisor->traced_count > 0 ? sg_now_ms() : 0;

	for (size_t i = 0; i < supervisor->traced_limit; i++) {
		struct sg_traced *traced = &supervisor->traced[i];

		if (traced->tid == 0 || traced->deadline_ms > now)
			continue;
		/* The stop comes when the thread leaves the call; a slow exec reaches its exec stop before. */
		if (ptrace(PTRACE_INTERRUPT, traced->tid, 0, 0) < 0 && errno == ESRCH) {
			/* Seized, it has taken its leader's number in the exec stop that is to be collected. Else the
			 * seizing took too long, and did not come to pass. */
			if (traced->seized)
				traced->deadline_ms = now + PATIENCE_MS;
			else
				free_traced(supervisor, traced);
			continue;
		}
		traced->interrupted = true;
		traced->deadline_ms = now + PATIENCE_INTERRUPTED_MS;
	}
}
