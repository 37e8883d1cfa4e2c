/* System calls that a world must not have: other ABIs, numbers beyond the table, and the calls that no flag
 * gives. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "probe.h"

#define GARBAGE 0xdead000000000000ULL

static long call6(long number, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	return syscall(number, a, b, c, d, 0UL, 0UL);
}

/* i386: the filter kills; the number 5 is open there. */
static int i386_open(void *data)
{
	static char path[] = "/etc/hostname";
	void *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long result = 5;

	(void)data;
	if (low == MAP_FAILED)
		return 9;
	memcpy(low, path, sizeof(path));
	__asm__ volatile("int $0x80" : "+a"(result) : "b"(low), "c"(0L), "d"(0L) : "memory", "r8", "r9", "r10", "r11");
	return result >= 0 ? 1 : 0;
}

static int abi(int argc, char **argv)
{
	int status = in_child(i386_open, NULL);

	(void)argc;
	(void)argv;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		refused("int80", ENOSYS);
	else if (WIFSIGNALED(status) &&
		 WTERMSIG(status) == SIGSEGV) /* the kernel has no such gate, or the filter is beside the point */
		refused("int80-fault", ENOSYS);
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		escaped("int80");
	else
		refused("int80-other", 0);
	(void)must_fail("x32-openat", syscall(0x40000000L | SYS_openat, AT_FDCWD, "/etc/hostname", O_RDONLY));
	(void)must_fail("x32-execve", syscall(0x40000000L | 520, "/bin/true", NULL, NULL));
	(void)must_fail("x32-ptrace", syscall(0x40000000L | 521, 0, 0, 0, 0));
	static const long beyond[] = {337, 380, 400, 423, 470, 471, 512, 547, 600, 1000, 4000, 0x7fffffff, -1, -2};
	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "number-%ld", beyond[i]);
		(void)must_fail(name, call6(beyond[i], 0, 0, 0, 0));
	}
	(void)must_work("getpid", syscall(SYS_getpid));
	return 0;
}

struct attempt {
	const char *name;
	long number;
	unsigned long a, b, c, d;
};

static struct {
	unsigned char bytes[128];
} zeros;
#define ZEROS ((unsigned long)&zeros)
#define TEXT(literal) ((unsigned long)(literal))

static int never(int argc, char **argv)
{
	const struct attempt attempts[] = {
		{"io_uring_setup", SYS_io_uring_setup, 8, ZEROS, 0, 0},
		{"io_uring_setup-garbage", SYS_io_uring_setup, GARBAGE | 8, ZEROS, 0, 0},
		{"io_uring_enter", SYS_io_uring_enter, 0, 0, 0, 0},
		{"io_uring_register", SYS_io_uring_register, 0, 0, 0, 0},
		{"userfaultfd", 323, O_CLOEXEC, 0, 0, 0},
		{"userfaultfd-user", 323, O_CLOEXEC | 1, 0, 0, 0},
		{"bpf", SYS_bpf, 0, ZEROS, sizeof(zeros), 0},
		{"perf_event_open", SYS_perf_event_open, ZEROS, 0, (unsigned long)-1, (unsigned long)-1},
		{"keyctl", SYS_keyctl, 0, (unsigned long)-3, 1, 0},
		{"add_key", SYS_add_key, TEXT("user"), TEXT("x"), TEXT("y"), 1},
		{"request_key", SYS_request_key, TEXT("user"), TEXT("x"), 0, 0},
		{"mount", SYS_mount, TEXT("none"), TEXT("/tmp"), TEXT("tmpfs"), 0},
		{"mount-bind", SYS_mount, TEXT("/proc"), TEXT("/tmp"), 0, 4096},
		{"mount-remount", SYS_mount, 0, TEXT("/usr"), 0, 32},
		{"umount2", SYS_umount2, TEXT("/proc"), 2, 0, 0},
		{"pivot_root", SYS_pivot_root, TEXT("/tmp"), TEXT("/tmp"), 0, 0},
		{"chroot", SYS_chroot, TEXT("/tmp"), 0, 0, 0},
		{"open_tree", 428, (unsigned long)AT_FDCWD, TEXT("/usr"), 1, 0},
		{"open_tree_attr", 467, (unsigned long)AT_FDCWD, TEXT("/usr"), 1, 0},
		{"move_mount", 429, 0, TEXT(""), 0, TEXT("/tmp")},
		{"fsopen", 430, TEXT("tmpfs"), 0, 0, 0},
		{"fsconfig", 431, 0, 6, 0, 0},
		{"fsmount", 432, 0, 0, 0, 0},
		{"fspick", 433, (unsigned long)AT_FDCWD, TEXT("/"), 0, 0},
		{"mount_setattr", 442, (unsigned long)AT_FDCWD, TEXT("/usr"), 0, ZEROS},
		{"statmount", 457, ZEROS, ZEROS, sizeof(zeros), 0},
		{"unshare-user", SYS_unshare, CLONE_NEWUSER, 0, 0, 0},
		{"unshare-user-garbage", SYS_unshare, GARBAGE | CLONE_NEWUSER, 0, 0, 0},
		{"unshare-mount", SYS_unshare, CLONE_NEWNS, 0, 0, 0},
		{"unshare-time", SYS_unshare, 0x80, 0, 0, 0},
		{"clone-user", SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0},
		{"clone-user-garbage", SYS_clone, GARBAGE | CLONE_NEWUSER | SIGCHLD, 0, 0, 0},
		{"clone-net", SYS_clone, CLONE_NEWNET | SIGCHLD, 0, 0, 0},
		{"clone-pid", SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0},
		{"clone-mount", SYS_clone, CLONE_NEWNS | SIGCHLD, 0, 0, 0},
		{"clone-cgroup", SYS_clone, CLONE_NEWCGROUP | SIGCHLD, 0, 0, 0},
		{"clone3", SYS_clone3, ZEROS, 88, 0, 0},
		{"setns", SYS_setns, 0, CLONE_NEWNS, 0, 0},
		{"ptrace-traceme", SYS_ptrace, 0, 0, 0, 0},
		{"ptrace-seize-1", SYS_ptrace, 0x4206, 1, 0, 0},
		{"process_vm_readv-1", SYS_process_vm_readv, 1, ZEROS, 1, ZEROS},
		{"process_vm_writev-1", SYS_process_vm_writev, 1, ZEROS, 1, ZEROS},
		{"kcmp", SYS_kcmp, 1, 1, 0, 0},
		{"pidfd_getfd", 438, 0, 0, 0, 0},
		{"process_madvise", 440, 0, ZEROS, 1, 4},
		{"name_to_handle_at", SYS_name_to_handle_at, (unsigned long)AT_FDCWD, TEXT("/usr"), ZEROS, ZEROS},
		{"open_by_handle_at", SYS_open_by_handle_at, (unsigned long)AT_FDCWD, ZEROS, 0, 0},
		{"memfd_secret", 447, 0, 0, 0, 0},
		{"uselib", SYS_uselib, TEXT("/tmp/x"), 0, 0, 0},
		{"modify_ldt", SYS_modify_ldt, 0, ZEROS, sizeof(zeros), 0},
		{"iopl", SYS_iopl, 3, 0, 0, 0},
		{"ioperm", SYS_ioperm, 0x80, 1, 1, 0},
		{"acct", SYS_acct, TEXT("/tmp/acct"), 0, 0, 0},
		{"swapon", SYS_swapon, TEXT("/tmp/x"), 0, 0, 0},
		{"quotactl", SYS_quotactl, 0, TEXT("/"), 0, 0},
		{"syslog", SYS_syslog, 3, ZEROS, sizeof(zeros), 0},
		{"vhangup", SYS_vhangup, 0, 0, 0, 0},
		{"reboot", SYS_reboot, 0xfee1dead, 672274793, 0, 0},
		{"init_module", SYS_init_module, ZEROS, sizeof(zeros), TEXT(""), 0},
		{"finit_module", SYS_finit_module, 0, TEXT(""), 0, 0},
		{"kexec_load", SYS_kexec_load, 0, 0, 0, 0},
		{"settimeofday", SYS_settimeofday, ZEROS, 0, 0, 0},
		{"sethostname", SYS_sethostname, TEXT("x"), 1, 0, 0},
		{"lookup_dcookie", SYS_lookup_dcookie, 1, ZEROS, sizeof(zeros), 0},
		{"remap_file_pages", SYS_remap_file_pages, 0, 4096, 0, 0},
		{"fanotify_init", SYS_fanotify_init, 0, 0, 0, 0},
		{"inotify_init", SYS_inotify_init, 0, 0, 0, 0},
		{"cachestat", 451, 0, ZEROS, ZEROS, 0},
		{"lsm_set_self_attr", 460, 100, ZEROS, sizeof(zeros), 0},
		{"shm-exec", SYS_shmat, 0, 0, 0100000, 0},
		{"memfd_create", SYS_memfd_create, TEXT("x"), 0, 0, 0},
		{"move_pages-1", SYS_move_pages, 1, 0, 0, 0},
		{"setuid", SYS_setuid, 0, 0, 0, 0},
		{"setgroups", SYS_setgroups, 0, 0, 0, 0},
	};
	/* In a world that lacks the flag these must fail with an error of ours, and not for want of a right
	 * argument. */
	static const int ours[] = {EPERM, ENOSYS, EACCES, EAFNOSUPPORT};

	(void)argc;
	(void)argv;
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		const struct attempt *at = &attempts[i];
		long result = call6(at->number, at->a, at->b, at->c, at->d);
		bool known = false;

		if (result == 0 && at->number == SYS_clone)
			_exit(0);
		for (size_t j = 0; j < sizeof(ours) / sizeof(ours[0]); j++)
			known |= result < 0 && errno == ours[j];
		if (known)
			refused(at->name, errno);
		else
			escaped(at->name);
	}
	(void)must_work("getrandom", syscall(SYS_getrandom, &zeros, 8UL, 0UL));
	return 0;
}

static int filters(int argc, char **argv)
{
	struct sock_filter answer_all[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTNAM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_filter allow_all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	const struct sock_fprog program = {4, answer_all}, allowing = {1, allow_all};

	(void)argc;
	(void)argv;
	(void)must_fail("new-listener",
			syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
	(void)must_fail("new-listener-tsync", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
						      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC |
							      SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
						      &program));
	(void)must_fail("new-listener-garbage", syscall(SYS_seccomp, GARBAGE | SECCOMP_SET_MODE_FILTER,
							GARBAGE | SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
	(void)must_fail("unknown-flag", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 1UL << 20, &program));
	(void)must_fail("unknown-operation", syscall(SYS_seccomp, 77, 0, &program));
	(void)must_work("own-filter", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
	(void)must_work("own-filter-by-prctl", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &allowing));
	if (syscall(SYS_getppid) < 0 && errno == ENOTNAM)
		must_work("own-filter-holds", 0);
	/* An added filter that allows all changes nothing. */
	(void)must_fail("mount-after-filter", syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, 0));
	return 0;
}

/* Writable and executable memory, and the process's own claims about itself. */
static int memory(int argc, char **argv)
{
	void *page;
	int fd;

	(void)argc;
	(void)argv;
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	(void)must_fail("mmap-wx", page == MAP_FAILED ? -1 : 0);
	page = (void *)syscall(SYS_mmap, NULL, 4096, GARBAGE | 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	(void)must_fail("mmap-wx-garbage", page == MAP_FAILED ? -1 : 0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	(void)must_work("mmap-w", page == MAP_FAILED ? -1 : 0);
	(void)must_fail("mprotect-x", mprotect(page, 4096, PROT_READ | PROT_EXEC));
	(void)must_fail("pkey_mprotect-x", syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1));
	(void)must_fail("personality-implies-exec", personality(READ_IMPLIES_EXEC));
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	(void)must_fail("prctl-set-mm", prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, 0, 0, 0));
	(void)must_fail("prctl-set-mm-map", prctl(PR_SET_MM, 14, &zeros, sizeof(zeros), 0));
	(void)must_fail("prctl-unknown", prctl(9999, 0, 0, 0, 0));
	(void)must_fail("madvise-mergeable", madvise(page, 4096, MADV_MERGEABLE));
	(void)must_fail("prctl-merge", prctl(67, 1, 0, 0, 0));
	fd = open("/proc/self/mem", O_RDWR);
	(void)must_fail("proc-self-mem-write", fd);
	fd = open("/proc/thread-self/mem", O_WRONLY);
	(void)must_fail("proc-thread-mem-write", fd);
	fd = open("/tmp/code", O_RDWR | O_CREAT, 0700);
	(void)must_work("file-in-tmp", fd);
	(void)!write(fd, "\xc3", 1);
	page = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	(void)must_fail("map-code-from-tmp", page == MAP_FAILED ? -1 : 0);
	return 0;
}

/* Code that is written to a file in memory, and mapped from it. */
static int written_code(int argc, char **argv)
{
	const int fds[] = {memfd_create("code", 0), open("/dev/shm/code", O_RDWR | O_CREAT, 0700),
			   open("/tmp/code", O_RDWR | O_CREAT, 0700)};
	static const char *const names[] = {"memfd", "shared-memory", "tmp"};
	void *page;

	(void)argc;
	(void)argv;
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		(void)!write(fds[i], "\xc3", 1);
		page = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_SHARED, fds[i], 0);
		(void)must_fail(names[i], page == MAP_FAILED ? -1 : 0);
	}
	(void)must_work("file", fds[1] < 0 ? fds[1] : fds[2]);
	return 0;
}

static bool holds_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{~0U, ~0U, ~0U}};

	return syscall(SYS_capget, &header, data) < 0 ||
	       (data[0].effective | data[0].permitted | data[0].inheritable) != 0 ||
	       (data[1].effective | data[1].permitted | data[1].inheritable) != 0;
}

/* Capabilities, and what would bring them back. */
static int privileges(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	(void)must_fail("no-new-privs-off", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	(void)must_fail("securebits", prctl(PR_SET_SECUREBITS, 0, 0, 0, 0));
	(void)must_fail("ambient", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0));
	(void)must_work("keep-nothing", prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	(void)!setresuid(getuid(), getuid(), getuid());
	if (holds_capabilities())
		escaped("kept-capabilities");
	(void)must_fail("bounding-drop", prctl(PR_CAPBSET_DROP, 21, 0, 0, 0));
	for (unsigned long i = 0; i <= 40; i++)
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
			escaped("bounding-set");
	(void)must_work("create", open("/tmp/p", O_CREAT | O_WRONLY, 0700));
	(void)must_fail("chmod-suid", chmod("/tmp/p", 04755));
	(void)must_fail("uid-map", open("/proc/self/uid_map", O_WRONLY));
	(void)must_fail("gid-map", open("/proc/self/gid_map", O_RDWR));
	(void)must_fail("setgroups-file", open("/proc/self/setgroups", O_WRONLY));
	(void)must_fail("timens-offsets", open("/proc/self/timens_offsets", O_WRONLY));
	(void)must_fail("sysrq", open("/proc/sysrq-trigger", O_WRONLY));
	(void)must_fail("core-pattern", open("/proc/sys/kernel/core_pattern", O_WRONLY));
	(void)must_fail("kcore", open("/proc/kcore", O_RDONLY));
	(void)must_fail("kmsg", open("/proc/kmsg", O_RDONLY));
	(void)must_fail("dev-mem", open("/dev/mem", O_RDONLY));
	(void)must_fail("dev-kmsg", open("/dev/kmsg", O_RDONLY));
	(void)must_fail("dev-fuse", open("/dev/fuse", O_RDWR));
	(void)must_fail("dev-kvm", open("/dev/kvm", O_RDWR));
	(void)must_fail("sys-kernel", open("/sys/kernel/uevent_helper", O_WRONLY));
	(void)must_work("dev-null", open("/dev/null", O_RDWR));
	return 0;
}

/* The world's terminal. */
static int terminal(int argc, char **argv)
{
	char byte = 'x', paste[] = {3, 0};
	int discipline = 2;
	int tty = open("/dev/tty", O_RDWR);

	(void)argc;
	(void)argv;
	(void)must_work("dev-tty", tty);
	(void)must_fail("tiocsti", ioctl(0, TIOCSTI, &byte));
	(void)must_fail("tiocsti-garbage", syscall(SYS_ioctl, 0, GARBAGE | TIOCSTI, &byte));
	(void)must_fail("tiocsti-tty", ioctl(tty, TIOCSTI, &byte));
	(void)must_fail("tioclinux", ioctl(0, TIOCLINUX, paste));
	(void)must_fail("tioccons", ioctl(0, TIOCCONS, 0));
	(void)must_fail("tiocsetd", ioctl(0, TIOCSETD, &discipline));
	(void)must_fail("unknown-ioctl", ioctl(0, 0x54ff, 0));
	(void)must_work("window-size", ioctl(0, TIOCGWINSZ, &zeros));
	saw("terminal", ttyname(0) == NULL ? "none" : ttyname(0));
	return 0;
}

/* A key that is not there: with callout information a program of the host's root would be started to make it. */
static int missing_key(int argc, char **argv)
{
	static const char *const types[] = {"user", "logon", "keyring", "dns_resolver"};

	(void)argc;
	(void)argv;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (syscall(SYS_request_key, types[i], "sg-escape", "callout", -3) < 0 && errno == EPERM)
			refused(types[i], errno);
		else
			escaped(types[i]);
	}
	if (syscall(SYS_request_key, "user", "sg-escape", NULL, -3) < 0 && errno == ENOKEY)
		(void)must_work("none", 0);
	return 0;
}

const struct probe probes[] = {
	{"missing-key", missing_key}, {"abi", abi},           {"never", never},
	{"filters", filters},         {"memory", memory},     {"written-code", written_code},
	{"privileges", privileges},   {"terminal", terminal}, {NULL, NULL},
};
