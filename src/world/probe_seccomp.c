/* Trials of what seccomp's user notification can do: a child under a filter makes a call, and we answer it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "world/probe_internal.h"

/* Linux 6.6 */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

enum { CALL = 4001, ANSWER = 77 };

static int install(unsigned long flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CALL, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {SG_ARRAY_SIZE(code), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	const long listener =
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, &program);
	return listener < 0 ? -errno : (int)listener;
}

/* Answers one call of `pid`, and returns what the call returned to it (its exit status). */
static int serve(const struct sg_trial *trial, int listener, pid_t pid, bool add)
{
	struct seccomp_notif call = {0};
	int status;

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return sg_trial_fail(trial, "receiving a call");
	if (add) {
		/* As its descriptor number ANSWER, and as the answer of the call at once. */
		struct seccomp_notif_addfd descriptor = {.id = call.id,
							 .flags = SECCOMP_ADDFD_FLAG_SEND | SECCOMP_ADDFD_FLAG_SETFD,
							 .srcfd = (__u32)listener,
							 .newfd = ANSWER};

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &descriptor) < 0)
			return sg_trial_fail(trial, "answering with a descriptor");
	} else {
		struct seccomp_notif_resp answer = {.id = call.id, .val = ANSWER};

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0)
			return sg_trial_fail(trial, "answering a call");
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != ANSWER)
		return sg_trial_say(trial, -EIO, "a call did not get its answer");
	return 1;
}

static int notify(const struct sg_trial *trial, unsigned long flags, bool add)
{
	SG_AUTO_FD int listener = install(flags);
	int status;
	pid_t pid;

	if (listener < 0)
		return sg_trial_say(trial, listener, "a filter with a listener: %s%s", strerrordesc_np(-listener),
				    listener == -EBUSY ? " (within another sandbox that has one)" : "");
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		_exit((int)syscall(CALL));
	}
	if (pid < 0)
		return sg_trial_fail(trial, "fork");
	status = serve(trial, listener, pid, add);
	if (status < 0)
		sg_trial_reap(pid);
	return status < 0 ? status : 0;
}

int sg_trial_seccomp_notify(const struct sg_trial *trial)
{
	return notify(trial, 0, false);
}

int sg_trial_seccomp_killable(const struct sg_trial *trial)
{
	return notify(trial, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, false);
}

int sg_trial_seccomp_addfd(const struct sg_trial *trial)
{
	return notify(trial, 0, true);
}

int sg_trial_seccomp_sync(const struct sg_trial *trial)
{
	SG_AUTO_FD int listener = install(0);

	if (listener < 0)
		return sg_trial_say(trial, listener, "a filter with a listener: %s", strerrordesc_np(-listener));
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, (uint64_t)SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) < 0
		       ? sg_trial_fail(trial, "SECCOMP_IOCTL_NOTIF_SET_FLAGS")
		       : 0;
}
