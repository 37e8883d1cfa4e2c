/*
 * How the auditor gives up what it does not need. Nothing here has input: it runs before the first record.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "audit/auditor.h"
#include "base/attr.h"
#include "base/fd.h"

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#else
#error "name this machine's AUDIT_ARCH"
#endif

/*
 * Signals of the terminal and of an orderly shutdown must not end the auditor before the supervisor ends;
 * SIGPIPE and SIGXFSZ become errors of write(2). All others get their default back, and nothing is blocked,
 * whatever the supervisor had set.
 */
static int settle_signals(void)
{
	static const int ignored[] = {SIGINT,  SIGQUIT, SIGHUP,  SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU,
				      SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		(void)sigaction(number, &action, NULL); /* EINVAL for SIGKILL, SIGSTOP and the C library's own */
	action.sa_handler = SIG_IGN;
	for (size_t i = 0; i < SG_ARRAY_SIZE(ignored); i++)
		if (sigaction(ignored[i], &action, NULL) < 0)
			return -errno;
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

/* Moves the four descriptors to 3..6 and closes all others, 0 to 2 included: there is nobody to print to. */
static int settle_descriptors(struct sg_auditor *auditor)
{
	int *const kept[] = {&auditor->log, &auditor->event, &auditor->socket, &auditor->writer};
	const int count = SG_ARRAY_SIZE(kept);

	for (int i = 0; i < count; i++) {
		/* Out of the way first, so that no target number is one that is still to be moved. */
		int moved = sg_fd_move_above(*kept[i], 3 + count);

		if (moved < 0)
			return moved;
		*kept[i] = moved;
	}
	for (int i = 0; i < count; i++) {
		if (dup3(*kept[i], 3 + i, O_CLOEXEC) < 0)
			return -errno;
		*kept[i] = 3 + i;
	}
	if (close_range(0, 2, 0) < 0)
		return -errno;
	return sg_fd_close_from(3 + count);
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int limit_resources(void)
{
	const struct rlimit none = {0, 0};
	const struct rlimit few = {8, 8};

	/* No core: it would hold records. */
	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_NOFILE, &few) < 0)
		return -errno;
	return 0;
}

/*
 * What writing the log takes, and memory. No open, no execve, no clone, no socket, no ioctl, no prctl, no
 * kill; no executable memory. Anything else kills the process, and granting stops. restart_syscall is what
 * poll continues with after SIGCONT.
 */
static int filter_calls(void)
{
	static const unsigned int allowed[] = {
		SYS_write,      SYS_read,   SYS_fdatasync,    SYS_fstatfs,         SYS_ppoll,         SYS_futex,
		SYS_munmap,     SYS_mremap, SYS_brk,          SYS_madvise,         SYS_clock_gettime, SYS_getrandom,
		SYS_exit_group, SYS_exit,   SYS_rt_sigreturn, SYS_restart_syscall,
#ifdef SYS_poll
		SYS_poll,
#endif
	};
	struct sock_filter code[SG_ARRAY_SIZE(allowed) * 2 + 16];
	unsigned short used = 0;

	code[used++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	code[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0);
	code[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[used++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < SG_ARRAY_SIZE(allowed); i++) {
		code[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1);
		code[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	/* mmap and mprotect: only without PROT_EXEC, in the low half of the third argument (the upper half
	 * has no meaning). */
	code[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0);
	code[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3);
	code[used++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2]));
	code[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0);
	code[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);

	const struct sock_fprog program = {.len = used, .filter = code};

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
		return -errno;
	return 0;
}

/* Shows readers of the log that it is being written; it goes with the last copy of the descriptor. */
static int lock_log(int log)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat status;

	/* A device is nobody's log. */
	if (fstat(log, &status) < 0 || !S_ISREG(status.st_mode))
		return 0;
	if (fcntl(log, F_OFD_SETLK, &lock) < 0 && (errno == EAGAIN || errno == EACCES))
		return -EBUSY;
	return 0; /* a file system without locks: readers then take the log for one whose writer is gone */
}

int sg_auditor_confine(struct sg_auditor *auditor, struct sg_error *error)
{
	int result;

	/* A name of its own in ps, so that a person does not kill it for a stray supervisor. */
	(void)prctl(PR_SET_NAME, "sg-auditor", 0, 0, 0);
	/* Not traced, not read through /proc, not dumped by processes of the same user: it holds records. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return sg_error_set_errno(error, -errno, "PR_SET_DUMPABLE");
	result = settle_signals();
	if (result < 0)
		return sg_error_set_errno(error, result, "signals of the auditor");
	/* Out of the terminal's session: a hang-up or a job-control stop of the terminal is not for it. */
	if (setsid() < 0)
		return sg_error_set_errno(error, -errno, "setsid");
	/* It opens nothing; but it shall not keep a file system busy. */
	if (chdir("/") < 0)
		return sg_error_set_errno(error, -errno, "chdir to /");
	(void)umask(077);
	result = settle_descriptors(auditor);
	if (result < 0)
		return sg_error_set_errno(error, result, "descriptors of the auditor");
	result = lock_log(auditor->log);
	if (result < 0)
		return sg_error_set_errno(error, result, "lock the log");
	/* The parent-death signal, if the supervisor has one set for its children: the auditor outlives it,
	 * to write the rest. */
	if (prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) < 0)
		return sg_error_set_errno(error, -errno, "PR_SET_PDEATHSIG");
	result = limit_resources();
	if (result < 0)
		return sg_error_set_errno(error, result, "limits of the auditor");
	/* No capability, also not for root: a full disk is full (CAP_SYS_RESOURCE), a mode is a mode. */
	result = drop_capabilities();
	if (result < 0)
		return sg_error_set_errno(error, result, "drop capabilities");
	/* Nothing that it might execute gives privileges; and the filter needs it. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return sg_error_set_errno(error, -errno, "PR_SET_NO_NEW_PRIVS");
	/* A robust-futex entry: the kernel tells the supervisor of our end through the ring. Before the
	 * filter, which forbids it. */
	result = sg_ring_own(&auditor->ring);
	if (result < 0)
		return sg_error_set_errno(error, result, "set_robust_list");
	/* The sanitizers' run-time makes calls of its own, of which there is no list. */
	result = SG_SANITIZED ? 0 : filter_calls();
	if (result < 0)
		return sg_error_set_errno(error, result, "the auditor's seccomp filter");
	return 0;
}
