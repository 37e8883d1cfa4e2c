/*
 * chdir(2), where a Hide rule is held by looks: else it is not notified.
 *
 * Nobody can change the working directory for another, so the kernel goes on with the call, and reads the
 * path again: in between a sibling thread may put another one there, and learn by the outcome whether a
 * hidden folder exists. So, as for execve, the thread is seized first, stopped before it returns to its
 * program, and its working directory compared with the folder that was decided about. Anything else is
 * answered with SIGKILL: the same for a hidden folder, where the call succeeded, and for a missing one, where
 * it failed, so that the end of the process tells nothing. Another thread of it, which shares the working
 * directory, cannot see it in between: each look at it (getcwd, a name from it, readlink of /proc/self/cwd)
 * is a call that this same thread of ours carries out, after the comparison; and it dies with the process.
 * Another process that shares it would live on: there is none (CLONE_FS without CLONE_THREAD is refused, in
 * tables/checks.def). fchdir(2) is native: the caller
 * holds the folder already.
 *
 * What fails by itself (permissions, no folder, no such name) is answered without the kernel, so that a
 * difference after the call is a race: the caller's own, or, within microseconds, somebody's outside who
 * renamed the folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "supervisor/supervisor.h"

enum { PATIENCE_MS = 2000, PAUSE_NS = 50000 };

/* Returns 0 with the wait status of the stop, or -ETIMEDOUT, or -ESRCH when the thread has ended. */
static int wait_for_stop(const struct sg_supervisor *supervisor, pid_t tid, int *ret_status)
{
	const int64_t end = sg_now_ms() + PATIENCE_MS;
	const struct timespec pause = {0, PAUSE_NS};
	bool waited = false;

	for (;;) {
		struct pollfd children = {.fd = supervisor->signals, .events = POLLIN};
		pid_t found = waitpid(tid, ret_status, __WALL | WNOHANG);

		if (found == tid)
			return WIFSTOPPED(*ret_status) ? 0 : -ESRCH;
		if (found < 0)
			return -ESRCH;
		if (sg_now_ms() >= end)
			return -ETIMEDOUT;
		/* Another child's end keeps the descriptor readable until the loop reads it: then time has to
		 * pass. */
		if (waited)
			(void)nanosleep(&pause, NULL);
		waited = poll(&children, 1, PATIENCE_MS) > 0;
	}
}

static bool is_there(const struct sg_request *request, const struct sg_resolved *folder)
{
	SG_AUTO_FD int entered = sg_caller_open(&request->caller, "cwd");
	struct stat status;

	return entered >= 0 && fstat(entered, &status) == 0 && status.st_dev == folder->status.st_dev &&
	       status.st_ino == folder->status.st_ino;
}

static void kill_caller(const struct sg_request *request)
{
	static const char text[] =
		"a program was killed: the folder that it entered was not the one that was decided about";

	(void)kill(request->caller.tid, SIGKILL);
	sg_entry_notice(request->supervisor, request->caller.listener, text, sizeof(text) - 1);
}

/* Lets the seized caller go on, and compares. */
static void go_and_verify(struct sg_request *request, const struct sg_resolved *folder)
{
	struct sg_supervisor *supervisor = request->supervisor;
	const pid_t tid = request->caller.tid;
	int status = 0, stopped;

	/* The stop comes when the thread leaves the call; a signal of its own may stop it there first. */
	if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0) {
		(void)ptrace(PTRACE_DETACH, tid, 0, 0);
		sg_answer_error(request, EAGAIN);
		return;
	}
	sg_answer_continue(request);
	stopped = wait_for_stop(supervisor, tid, &status);
	if (stopped == -ESRCH)
		return;
	if (stopped < 0 || !is_there(request, folder))
		kill_caller(request);
	(void)ptrace(PTRACE_DETACH, tid, 0,
		     (void *)(uintptr_t)(stopped < 0 || status >> 16 == PTRACE_EVENT_STOP ? 0 : WSTOPSIG(status)));
}

static void enter(struct sg_request *request, const struct sg_resolved *folder)
{
	const pid_t tid = request->caller.tid;
	int status = 0;

	if (sg_exec_watches(request->supervisor, tid))
		sg_exec_forget(request->supervisor, tid); /* seized since its last execve, which failed */
	else
		status = sg_exec_seize(tid, PTRACE_O_EXITKILL);
	/* Traced inside: what it enters could not be verified. Or it took too long: it may be seized, and
	 * must not stay so. */
	if (status < 0 || !sg_caller_valid(&request->caller)) {
		sg_answer_error(request, status == -EAGAIN ? EAGAIN : EPERM);
		if (status == 0 || status == -EAGAIN)
			(void)ptrace(PTRACE_INTERRUPT, tid, 0, 0); /* its stop is seen and ended by sg_exec_collect */
		return;
	}
	go_and_verify(request, folder);
}

void sg_handle_enter(struct sg_request *request)
{
	SG_CLEANUP(sg_resolved_done) struct sg_resolved folder = SG_RESOLVED_INIT;
	const struct sg_policy *policy = request->supervisor->policy;
	char named[PATH_MAX];
	ssize_t status = sg_request_identify(request);

	request->operation = "enter";
	if (status == 0)
		status = sg_caller_read_string(&request->caller, request->notification.data.args[0], named,
					       sizeof(named));
	if (status >= 0)
		status = sg_resolve(&request->supervisor->view, &request->caller, AT_FDCWD, named, 0, &folder);
	if (!sg_caller_valid(&request->caller))
		return;
	if (status == 0 && folder.hidden) {
		const struct sg_decision decision = {
			.verdict = SG_VERDICT_HIDE,
			.error = ENOENT,
			.access = SG_ACCESS_READ,
			.reason = "it is hidden",
			.rule = folder.hiding < policy->rule_count ? &policy->rules[folder.hiding] : NULL};

		(void)sg_report(request, &decision, folder.name, named);
		status = -ENOENT;
	} else if (status == 0 && !S_ISDIR(folder.status.st_mode)) {
		status = -ENOTDIR;
	} else if (status == 0 && syscall(SYS_faccessat2, folder.fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) < 0) {
		status = -errno;
	}
	if (status < 0)
		sg_answer_error(request, (int)-status);
	else
		enter(request, &folder);
}
