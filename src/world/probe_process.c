/* Trials of namespaces, processes and calls. */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "world/cgroup.h"
#include "world/confine.h"
#include "world/label.h"
#include "world/probe_internal.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* Linux 6.9 */
#endif

static int nothing(const struct sg_trial *trial)
{
	(void)trial;
	return 0;
}

/* Ubuntu gives the namespace, but no capability in it. */
static int has_capabilities(const struct sg_trial *trial)
{
	return chroot("/") < 0 ? sg_trial_fail(trial, "a capability in the user namespace") : 0;
}

static const struct {
	const char *path;
	long bad;
} switches[] = {
	{"/proc/sys/kernel/unprivileged_userns_clone", 0},
	{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1},
	{"/proc/sys/user/max_user_namespaces", 0},
};

int sg_trial_user_namespace(const struct sg_trial *trial)
{
	const int status = sg_trial_within(0, false, has_capabilities, trial);

	/* Which switch of the system it is. */
	for (size_t i = 0; status < 0 && i < SG_ARRAY_SIZE(switches); i++)
		if (sg_trial_number(switches[i].path) == switches[i].bad)
			return sg_trial_say(trial, status, "%s is %ld", switches[i].path, switches[i].bad);
	return status;
}

static int nest(const struct sg_trial *trial)
{
	return sg_trial_within(0, true, nothing, trial);
}

int sg_trial_nested(const struct sg_trial *trial)
{
	return sg_trial_within(0, false, nest, trial);
}

#define NAMESPACE_TRIAL(name, flag)                                                                                    \
	int sg_trial_##name(const struct sg_trial *trial)                                                              \
	{                                                                                                              \
		return sg_trial_within(flag, false, nothing, trial);                                                   \
	}
NAMESPACE_TRIAL(mount_namespace, CLONE_NEWNS)
NAMESPACE_TRIAL(pid_namespace, CLONE_NEWPID)
NAMESPACE_TRIAL(net_namespace, CLONE_NEWNET)
NAMESPACE_TRIAL(ipc_namespace, CLONE_NEWIPC)
NAMESPACE_TRIAL(uts_namespace, CLONE_NEWUTS)
NAMESPACE_TRIAL(cgroup_namespace, CLONE_NEWCGROUP)
NAMESPACE_TRIAL(time_namespace, CLONE_NEWTIME)

/* What the supervisor does to a process of the world: `act` is given one. */
static int on_process(const struct sg_trial *trial, int (*act)(const struct sg_trial *trial, int pid))
{
	const int pid = sg_trial_sleeper();
	int status;

	if (pid < 0)
		return pid;
	status = act(trial, pid);
	sg_trial_reap(pid);
	return status;
}

static int take_descriptor(const struct sg_trial *trial, int pid)
{
	SG_AUTO_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	SG_AUTO_FD int taken = -1;

	if (pidfd < 0)
		return sg_trial_fail(trial, "pidfd_open");
	/* Any descriptor of it will do; that it has none of that number is an answer too. */
	taken = (int)syscall(SYS_pidfd_getfd, pidfd, 0, 0);
	return taken < 0 && errno != EBADF ? sg_trial_fail(trial, "pidfd_getfd") : 0;
}

static int read_word(const struct sg_trial *trial, int pid)
{
	static const char word[] = "here";
	char copy[sizeof(word)] = "";
	const struct iovec local = {copy, sizeof(copy)}, remote = {(void *)(uintptr_t)word, sizeof(word)};

	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != (ssize_t)sizeof(word))
		return sg_trial_fail(trial, "process_vm_readv");
	return memcmp(copy, word, sizeof(word)) == 0 ? 0 : -EIO;
}

static int seize(const struct sg_trial *trial, int pid)
{
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 ||
	    waitpid(pid, NULL, __WALL) != pid || ptrace(PTRACE_DETACH, pid, NULL, NULL) < 0)
		return sg_trial_fail(trial, "ptrace");
	return 0;
}

#define PROCESS_TRIAL(name, act)                                                                                       \
	static int name##_here(const struct sg_trial *trial)                                                           \
	{                                                                                                              \
		return on_process(trial, act);                                                                         \
	}                                                                                                              \
	int sg_trial_##name(const struct sg_trial *trial)                                                              \
	{                                                                                                              \
		const int status = sg_trial_within(0, false, name##_here, trial);                                      \
                                                                                                                       \
		if (status < 0 && sg_trial_number("/proc/sys/kernel/yama/ptrace_scope") == 3)                          \
			return sg_trial_say(trial, status, "kernel.yama.ptrace_scope is 3");                           \
		return status;                                                                                         \
	}
PROCESS_TRIAL(pidfd_getfd, take_descriptor)
PROCESS_TRIAL(read_memory, read_word)
PROCESS_TRIAL(ptrace_seize, seize)

int sg_trial_pidfd_thread(const struct sg_trial *trial)
{
	SG_AUTO_FD int pidfd = (int)syscall(SYS_pidfd_open, getpid(), PIDFD_THREAD);

	return pidfd < 0 ? sg_trial_fail(trial, "pidfd_open with PIDFD_THREAD") : 0;
}

int sg_trial_landlock(const struct sg_trial *trial)
{
	const int version = sg_confine_landlock_version();

	return version == 0 ? sg_trial_fail(trial, "landlock_create_ruleset")
			    : sg_trial_say(trial, 0, "ABI %d", version);
}

static int enter_scopes(const struct sg_trial *trial)
{
	struct sg_error error = SG_ERROR_INIT;

	if (sg_confine_capabilities(0, NULL, &error) < 0 || sg_confine_scopes(&error) < 0)
		return sg_trial_say(trial, error.code, "%s", error.text);
	return 0;
}

int sg_trial_landlock_scopes(const struct sg_trial *trial)
{
	const int version = sg_confine_landlock_version();

	if (version < SG_CONFINE_SCOPES_ABI)
		return sg_trial_say(trial, -EOPNOTSUPP, "Landlock's ABI is %d, and scopes came with %d", version,
				    SG_CONFINE_SCOPES_ABI);
	return sg_trial_within(0, false, enter_scopes, trial);
}

static int try_cgroup(const struct sg_trial *trial, const struct sg_cgroup_limits *limits)
{
	SG_CLEANUP(sg_cgroup_done) struct sg_cgroup group = SG_CGROUP_INIT;
	struct sg_error error = SG_ERROR_INIT;
	char name[32];
	int status;

	(void)snprintf(name, sizeof(name), "probe-%d", (int)getpid());
	status = sg_cgroup_make(name, limits, &group, &error);
	if (status < 0)
		return sg_trial_say(trial, status, "%s", error.text);
	if (limits->memory != 0 && !group.memory)
		return sg_trial_say(trial, -EOPNOTSUPP, "the memory controller is not in use in %s or above",
				    group.parent);
	if (limits->processes != 0 && !group.processes)
		return sg_trial_say(trial, -EOPNOTSUPP, "the pids controller is not in use in %s or above",
				    group.parent);
	return sg_trial_say(trial, 0, "in %s", group.parent);
}

int sg_trial_cgroup(const struct sg_trial *trial)
{
	return try_cgroup(trial, &(struct sg_cgroup_limits){0, 0});
}

int sg_trial_cgroup_memory(const struct sg_trial *trial)
{
	return try_cgroup(trial, &(struct sg_cgroup_limits){.memory = UINT64_C(1) << 30});
}

int sg_trial_cgroup_pids(const struct sg_trial *trial)
{
	return try_cgroup(trial, &(struct sg_cgroup_limits){.processes = 100});
}

int sg_trial_io_uring(const struct sg_trial *trial)
{
	struct io_uring_params parameters = {0};
	SG_AUTO_FD int ring = (int)syscall(SYS_io_uring_setup, 1, &parameters);

	return ring < 0 ? sg_trial_fail(trial, "io_uring_setup") : 0;
}

static int read_text(const char *path, char *text, size_t size)
{
	SG_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -errno : sg_fd_read_full(fd, text, size - 1);

	text[got > 0 ? got : 0] = '\0';
	return got < 0 ? (int)got : 0;
}

int sg_trial_bpf_lsm(const struct sg_trial *trial)
{
	char text[512];
	const int status = read_text("/sys/kernel/security/lsm", text, sizeof(text));

	if (status < 0)
		return sg_trial_say(trial, status, "/sys/kernel/security/lsm cannot be read");
	return strstr(text, "bpf") != NULL ? 0 : sg_trial_say(trial, -EOPNOTSUPP, "the modules in use are %s", text);
}

int sg_trial_apparmor(const struct sg_trial *trial)
{
	SG_AUTO_BUFFER struct sg_buffer reason = SG_BUFFER_INIT;

	if (sg_label_find(&reason))
		return 0;
	sg_buffer_append_byte(&reason, '\0');
	return sg_trial_say(trial, -EOPNOTSUPP, "%s", sg_buffer_status(&reason) == 0 ? reason.data : "no memory");
}
