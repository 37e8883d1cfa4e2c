/*
 * The filter: rows of data through the simulator, a sample through the real kernel, and every program against
 * a plain evaluation of its own specification.
 */
#include "flag_files.h"

#include <errno.h>
#include <linux/audit.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/error.h"
#include "tables/values.h"

#define ALLOW SECCOMP_RET_ALLOW
#define NOTIFY SECCOMP_RET_USER_NOTIF
#define E(error) (SECCOMP_RET_ERRNO | (uint32_t)(error))
#define KILL SECCOMP_RET_KILL_PROCESS
#define UPPER UINT64_C(0xdeadbeef00000000)

static struct flag_definition definitions[SG_FLAGS_];
static struct sg_filter_spec spec;
static struct sg_filter_program program;

static int read_definitions(void **state)
{
	read_flag_files(definitions);
	return 0;
}

/* The plans that rows refer to. */
enum plan_name { ALL, WRITES, NATIVE, RECORD, FIRST };
static const struct sg_filter_plan plans[] = {
	[ALL] = {.opens = SG_FILTER_OPENS_ALL},
	[WRITES] = {.opens = SG_FILTER_OPENS_WRITING,
		    .looks = SG_FILTER_NATIVE,
		    .details = SG_FILTER_NATIVE,
		    .messages = SG_FILTER_NATIVE},
	[NATIVE] = {.opens = SG_FILTER_OPENS_NONE,
		    .looks = SG_FILTER_NATIVE,
		    .details = SG_FILTER_NATIVE,
		    .changes = SG_FILTER_NATIVE,
		    .fd_changes = SG_FILTER_NATIVE,
		    .messages = SG_FILTER_NATIVE,
		    .listens = SG_FILTER_NATIVE,
		    .accepts = SG_FILTER_NATIVE},
	[RECORD] = {.notify_refusals = true},
	[FIRST] = {.first_exec = true},
};

static void build(const char *flags, enum plan_name plan)
{
	struct sg_filter_grants grants = {0};

	grant_flags(definitions, flags, &grants);
	assert_int_equal(sg_filter_spec_fill(&grants, &plans[plan], &spec), 0);
	assert_int_equal(sg_filter_generate(&spec, &program), 0);
}

static uint32_t run_nr(uint32_t number, const uint64_t *args)
{
	struct seccomp_data data = {.nr = (int)number, .arch = AUDIT_ARCH_X86_64};

	if (args != NULL)
		memcpy(data.args, args, sizeof(data.args));
	return sg_filter_simulate(program.code, program.count, &data);
}

struct row {
	const char *flags;
	enum plan_name plan;
	const char *call;
	uint64_t args[6];
	uint32_t action;
};

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct sg_syscall *call = sg_syscall_by_name(rows[i].call, strlen(rows[i].call));
		uint32_t action;

		assert_non_null(call);
		if (i == 0 || rows[i].flags != rows[i - 1].flags || rows[i].plan != rows[i - 1].plan)
			build(rows[i].flags, rows[i].plan);
		action = run_nr(call->number, rows[i].args);
		if (action != rows[i].action)
			fail_msg("row %zu: %s, plan %d, %s(%#llx, %#llx, %#llx, %#llx, %#llx): %#x, not %#x", i,
				 rows[i].flags, rows[i].plan, rows[i].call, (unsigned long long)rows[i].args[0],
				 (unsigned long long)rows[i].args[1], (unsigned long long)rows[i].args[2],
				 (unsigned long long)rows[i].args[3], (unsigned long long)rows[i].args[4], action,
				 rows[i].action);
	}
}

static void nothing_granted(void **state)
{
	build("", ALL);
	for (uint32_t number = 0; number < SG_SYSCALL_LIMIT; number++) {
		const struct sg_syscall *call = sg_syscall_by_number(number);
		uint32_t wanted = call == NULL ? E(ENOSYS) : call->class == SG_CLASS_NEVER ? E(call->error) : E(EPERM);

		assert_int_equal(run_nr(number, NULL), wanted);
	}
}

/* Even a policy that grants every number and flag gives none of class NEVER. */
static void everything_granted(void **state)
{
	struct sg_filter_grants grants;

	memset(&grants, 0xff, sizeof(grants));
	assert_int_equal(sg_filter_spec_fill(&grants, &plans[NATIVE], &spec), 0);
	assert_int_equal(sg_filter_generate(&spec, &program), 0);
	for (uint32_t number = 0; number < SG_SYSCALL_LIMIT; number++) {
		const struct sg_syscall *call = sg_syscall_by_number(number);
		uint32_t action = run_nr(number, NULL);

		if (call == NULL)
			assert_int_equal(action, E(ENOSYS));
		else if (call->class == SG_CLASS_NEVER)
			assert_int_equal(action, E(call->error));
		else if (call->class == SG_CLASS_EXEC)
			assert_int_equal(action, NOTIFY);
		else if (call->class == SG_CLASS_NATIVE)
			assert_int_equal(action, ALLOW);
	}
	assert_int_equal(run_nr(435, NULL), E(ENOSYS)); /* clone3: libraries fall back */
	assert_int_equal(run_nr(425, NULL), E(EPERM));
}

static void numbers_without_rows(void **state)
{
	build("start threads fork exec outgoing", WRITES);
	for (uint32_t number = 0; number < 1024; number++)
		if (sg_syscall_by_number(number) == NULL)
			assert_int_equal(run_nr(number, NULL), E(ENOSYS));
	for (uint32_t number = 0; number < 1024; number++) {
		assert_int_equal(run_nr(0x40000000U + number, NULL), E(ENOSYS)); /* x32 */
		assert_int_equal(run_nr(0x80000000U + number, NULL), E(ENOSYS));
		assert_int_equal(run_nr(0xfffffc00U + number, NULL), E(ENOSYS));
	}
}

static void other_architectures(void **state)
{
	static const uint32_t others[] = {AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, 0, UINT32_MAX};

	build("start", NATIVE);
	for (size_t i = 0; i < SG_ARRAY_SIZE(others); i++)
		for (uint32_t number = 0; number < 600; number++) {
			struct seccomp_data data = {.nr = (int)number, .arch = others[i]};

			assert_int_equal(sg_filter_simulate(program.code, program.count, &data), KILL);
		}
}

static void opens(void **state)
{
	static const char start[] = "start";
	static const struct row rows[] = {
		{start, WRITES, "openat", {0, 1, O_RDONLY | O_CLOEXEC}, ALLOW},
		{start, WRITES, "openat", {0, 1, UPPER | O_RDONLY}, ALLOW},
		{start, WRITES, "openat", {0, 1, UPPER | O_RDONLY, 06777}, ALLOW}, /* mode is garbage without O_CREAT */
		{start, WRITES, "openat", {0, 1, O_WRONLY}, NOTIFY},
		{start, WRITES, "openat", {0, 1, O_RDWR}, NOTIFY},
		{start, WRITES, "openat", {0, 1, O_ACCMODE}, NOTIFY},
		{start, WRITES, "openat", {0, 1, O_CREAT}, NOTIFY},
		{start, WRITES, "openat", {0, 1, O_TRUNC}, NOTIFY},
		{start, WRITES, "openat", {0, 1, O_DIRECTORY}, ALLOW},
		{start, WRITES, "openat", {0, 1, O_TMPFILE | O_RDWR}, NOTIFY},
		{start, WRITES, "openat", {0, 1, O_TMPFILE & ~O_DIRECTORY}, NOTIFY},
		{start, WRITES, "openat", {0, 1, UPPER | O_WRONLY}, NOTIFY},
		{start, WRITES, "openat", {0, 1, O_CREAT | O_WRONLY, 04755}, E(EPERM)},
		{start, WRITES, "openat", {0, 1, O_TMPFILE | O_RDWR, 02755}, E(EPERM)},
		{start, WRITES, "open", {1, O_RDONLY, 06000}, ALLOW},
		{start, WRITES, "open", {1, O_RDWR}, NOTIFY},
		{start, WRITES, "open", {1, O_CREAT, UPPER | 04000}, E(EPERM)},
		{start, WRITES, "creat", {1, 0644}, NOTIFY},
		{start, WRITES, "creat", {1, 04644}, E(EPERM)},
		{start, WRITES, "openat2", {0, 1, 2, 24}, NOTIFY},
		{start, ALL, "openat", {0, 1, O_RDONLY}, NOTIFY},
		{start, ALL, "open", {1, O_RDONLY}, NOTIFY},
		{start, ALL, "creat", {1, 0644}, NOTIFY},
		{start, ALL, "openat", {0, 1, O_CREAT, 02000}, E(EPERM)},
		{start, NATIVE, "openat", {0, 1, O_RDWR | O_CREAT, 0644}, ALLOW},
		{start, NATIVE, "openat", {0, 1, O_RDWR | O_CREAT, 02644}, E(EPERM)},
		{start, NATIVE, "creat", {1, 0644}, ALLOW},
		{start, NATIVE, "openat2", {0, 1, 2, 24}, NOTIFY},
		{start, RECORD, "openat", {0, 1, O_CREAT, 02000}, NOTIFY},
	};

	check_rows(rows, SG_ARRAY_SIZE(rows));
}

static void changes(void **state)
{
	static const char flags[] = "start attributes mknod";
	static const struct row rows[] = {
		{flags, NATIVE, "chmod", {1, 0755}, ALLOW},
		{flags, NATIVE, "chmod", {1, UPPER | 0755}, ALLOW},
		{flags, NATIVE, "chmod", {1, 04755}, E(EPERM)},
		{flags, NATIVE, "chmod", {1, 02755}, E(EPERM)},
		{flags, NATIVE, "chmod", {1, 01755}, ALLOW},
		{flags, NATIVE, "fchmod", {1, 06755}, E(EPERM)},
		{flags, NATIVE, "fchmodat", {0, 1, 04755}, E(EPERM)},
		{flags, NATIVE, "fchmodat2", {0, 1, 04755}, E(EPERM)},
		{flags, NATIVE, "mkdirat", {0, 1, 02755}, E(EPERM)},
		{flags, NATIVE, "mkdir", {1, 0755}, ALLOW},
		{flags, NATIVE, "mknod", {1, S_IFIFO | 0644}, ALLOW},
		{flags, NATIVE, "mknod", {1, S_IFCHR | 0644}, E(EPERM)},
		{flags, NATIVE, "mknodat", {0, 1, S_IFBLK | 0644}, E(EPERM)},
		{flags, NATIVE, "mknodat", {0, 1, S_IFREG | 04644}, E(EPERM)},
		{flags, NATIVE, "setxattr", {1}, NOTIFY}, /* its attribute's name is in memory */
		{flags, NATIVE, "fsetxattr", {1}, NOTIFY},
		{flags, NATIVE, "renameat2", {0, 1, 0, 1, 1}, ALLOW},
		{flags, NATIVE, "renameat2", {0, 1, 0, 1, 4}, E(EPERM)},
		{flags, ALL, "openat", {0, 1, O_PATH}, NOTIFY},
		{flags, ALL, "open", {1, O_PATH | O_DIRECTORY | O_CREAT}, NOTIFY},
		{flags, WRITES, "openat", {0, 1, O_PATH}, ALLOW},
		{flags, WRITES, "stat", {1, 1}, ALLOW},
		{flags, WRITES, "chdir", {1}, ALLOW},
		{flags, WRITES, "getdents64", {0, 1, 1}, ALLOW},
		{flags, ALL, "stat", {1, 1}, NOTIFY},
		{flags, ALL, "chdir", {1}, NOTIFY},
		{flags, ALL, "getdents64", {0, 1, 1}, NOTIFY},
		{flags, NATIVE, "utimensat", {0}, ALLOW},
		{flags, NATIVE, "getxattr", {1}, ALLOW},
		{flags, ALL, "getxattr", {1}, NOTIFY},
		{flags, ALL, "readlinkat", {1}, NOTIFY},
		{flags, WRITES, "getxattr", {1}, ALLOW},
		{flags, WRITES, "unlink", {1}, NOTIFY},
		{flags, WRITES, "renameat2", {1}, NOTIFY},
		{flags, WRITES, "fchown", {1}, NOTIFY},
		{flags, WRITES, "fsetxattr", {1}, NOTIFY},
		{flags, WRITES, "file_setattr", {1}, NOTIFY},
		{flags, WRITES, "mknod", {1, S_IFIFO | 0644}, NOTIFY},
		{"start", NATIVE, "chmod", {1, 0755}, E(EPERM)}, /* not given */
	};

	check_rows(rows, SG_ARRAY_SIZE(rows));
}

/* Calls by name that can act by descriptor are notified when either kind is. */
static void changes_by_either(void **state)
{
	struct sg_filter_grants grants = {0};
	struct sg_filter_plan plan = plans[NATIVE];

	grant_flags(definitions, "start attributes", &grants);
	plan.fd_changes = SG_FILTER_NOTIFIED;
	assert_int_equal(sg_filter_build(&grants, &plan, &program, NULL), 0);
	assert_int_equal(run_nr(SYS_utimensat, NULL), NOTIFY);
	assert_int_equal(run_nr(SYS_fchownat, NULL), NOTIFY);
	assert_int_equal(run_nr(SYS_chown, NULL), ALLOW);
	assert_int_equal(run_nr(SYS_fchown, NULL), NOTIFY);
}

static void memory(void **state)
{
	static const char start[] = "start shared-memory", jit[] = "start shared-memory jit";
	static const struct row rows[] = {
		{start, ALL, "mmap", {0, 1, PROT_READ | PROT_WRITE}, ALLOW},
		{start, ALL, "mmap", {0, 1, PROT_READ | PROT_EXEC}, ALLOW},
		{start, ALL, "mmap", {0, 1, PROT_WRITE | PROT_EXEC}, E(EPERM)},
		{start, ALL, "mmap", {0, 1, UPPER | PROT_WRITE | PROT_EXEC}, E(EPERM)},
		{start, ALL, "mmap", {0, 1, UPPER | PROT_READ}, ALLOW},
		{start, ALL, "mprotect", {0, 1, PROT_READ | PROT_WRITE}, ALLOW},
		{start, ALL, "mprotect", {0, 1, PROT_READ | PROT_EXEC}, E(EPERM)},
		{start, ALL, "pkey_mprotect", {0, 1, PROT_EXEC}, E(EPERM)},
		{start, ALL, "shmat", {0, 0, SHM_EXEC}, E(EPERM)},
		{start, ALL, "shmat", {0, 0, 0}, ALLOW},
		{start, ALL, "madvise", {0, 1, MADV_DONTNEED}, ALLOW},
		{start, ALL, "madvise", {0, 1, MADV_MERGEABLE}, E(EINVAL)},
		{start, ALL, "madvise", {0, 1, UPPER | MADV_MERGEABLE}, E(EINVAL)},
		{jit, ALL, "mmap", {0, 1, PROT_WRITE | PROT_EXEC}, ALLOW},
		{jit, ALL, "mprotect", {0, 1, PROT_READ | PROT_EXEC}, ALLOW},
		{jit, ALL, "shmat", {0, 0, SHM_EXEC}, ALLOW},
		{jit, ALL, "personality", {0x400000}, E(EPERM)},
		{jit, ALL, "personality", {0xffffffff}, ALLOW},
		{jit, ALL, "personality", {UPPER | 0xffffffff}, ALLOW},
		{jit, ALL, "personality", {0x3}, E(EINVAL)},
		{jit, ALL, "personality", {0x40000}, E(EPERM)},
		{jit, ALL, "userfaultfd", {0}, E(EPERM)},
		{jit, ALL, "memfd_secret", {0}, E(EPERM)},
	};

	check_rows(rows, SG_ARRAY_SIZE(rows));
}

static void processes(void **state)
{
	static const char fork[] = "start fork", threads[] = "start threads", both[] = "start fork threads exec debug";
	static const uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	const struct row rows[] = {
		{fork, ALL, "clone", {SIGCHLD}, ALLOW},
		{fork, ALL, "clone", {CLONE_VM | CLONE_VFORK | SIGCHLD}, ALLOW},
		{fork, ALL, "clone", {thread}, E(EPERM)},
		{fork, ALL, "clone", {UPPER | SIGCHLD}, ALLOW},
		{threads, ALL, "clone", {thread}, ALLOW},
		{threads, ALL, "clone", {SIGCHLD}, E(EPERM)},
		{threads, ALL, "fork", {0}, E(EPERM)},
		{both, ALL, "clone", {thread}, ALLOW},
		{both, ALL, "clone", {SIGCHLD}, ALLOW},
		{both, ALL, "clone", {CLONE_FS | SIGCHLD}, E(EPERM)},
		{both, WRITES, "clone", {CLONE_FS | SIGCHLD}, ALLOW},
		{both, ALL, "clone", {CLONE_NEWUSER | SIGCHLD}, E(EPERM)},
		{both, ALL, "clone", {CLONE_NEWNS | SIGCHLD}, E(EPERM)},
		{both, ALL, "clone", {CLONE_NEWNET | thread}, E(EPERM)},
		{both, ALL, "clone", {CLONE_NEWCGROUP}, E(EPERM)},
		{both, ALL, "clone", {UPPER | CLONE_NEWPID}, E(EPERM)},
		{both, ALL, "clone3", {1, 88}, E(ENOSYS)},
		{both, ALL, "unshare", {CLONE_FS}, E(EPERM)},
		{both, ALL, "setns", {3, 0}, E(EPERM)},
		{both, ALL, "execve", {1}, NOTIFY},
		{both, NATIVE, "execveat", {1}, NOTIFY},
		{both, ALL, "ptrace", {0}, ALLOW},
		{both, ALL, "prctl", {PR_SET_PTRACER}, ALLOW},
		{both, ALL, "prctl", {PR_SET_MM}, E(EPERM)},
		{fork, ALL, "prctl", {PR_SET_PTRACER}, E(EPERM)},
		{fork, ALL, "prctl", {PR_SET_NAME}, ALLOW},
		{fork, ALL, "prctl", {UPPER | PR_SET_NAME}, ALLOW},
		{fork, ALL, "prctl", {17}, E(EINVAL)},
		{fork, ALL, "ptrace", {0}, E(EPERM)},
		{fork, ALL, "execve", {1}, E(EPERM)},
		{fork, FIRST, "execve", {1}, NOTIFY},
		{fork, ALL, "seccomp", {SECCOMP_SET_MODE_FILTER, 0}, ALLOW},
		{fork, ALL, "seccomp", {SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC}, ALLOW},
		{fork, ALL, "seccomp", {SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER}, E(EPERM)},
		{fork, ALL, "seccomp", {UPPER | 1, UPPER | SECCOMP_FILTER_FLAG_NEW_LISTENER}, E(EPERM)},
		{fork, ALL, "seccomp", {SECCOMP_SET_MODE_FILTER, 0x40}, E(EPERM)},
		{fork, ALL, "seccomp", {SECCOMP_GET_NOTIF_SIZES}, ALLOW},
		{fork, ALL, "seccomp", {4}, E(EINVAL)},
		{fork, ALL, "arch_prctl", {0x1002}, ALLOW},
		{fork, ALL, "arch_prctl", {0x2003}, E(EPERM)},
		{fork, ALL, "arch_prctl", {0x3001}, E(EINVAL)},
		{fork, ALL, "fcntl", {3, F_GETFL}, ALLOW},
		{fork, ALL, "fcntl", {3, F_SETLK}, E(EPERM)},
		{fork, ALL, "fcntl", {3, F_NOTIFY}, E(EPERM)},
		{fork, ALL, "fcntl", {3, 777}, E(EINVAL)},
		{"start locks", ALL, "fcntl", {3, F_SETLK}, ALLOW},
		{"start watch", ALL, "fcntl", {3, F_NOTIFY}, ALLOW},
	};

	check_rows(rows, SG_ARRAY_SIZE(rows));
}

static void terminals(void **state)
{
	static const char start[] = "start", tty[] = "start tty";
	static const struct row rows[] = {
		{start, ALL, "ioctl", {0, 0x5401}, ALLOW},
		{start, ALL, "ioctl", {0, 0x5402}, E(EPERM)},
		{start, ALL, "ioctl", {0, 0x12345678}, E(ENOTTY)},
		{start, ALL, "ioctl", {0, 0x40086602}, E(EPERM)},
		{start, ALL, "ioctl", {0, 0x80086601}, ALLOW},
		{start, ALL, "ioctl", {0, 0}, E(ENOTTY)},
		{start, ALL, "ioctl", {0, UINT32_MAX}, E(ENOTTY)},
		{tty, ALL, "ioctl", {0, 0x5402}, ALLOW},
		{tty, ALL, "ioctl", {0, 0x5412}, E(EPERM)},
		{tty, ALL, "ioctl", {0, UPPER | 0x5412}, E(EPERM)}, /* the kernel drops the upper half */
		{tty, ALL, "ioctl", {0, UPPER | 0x5413}, ALLOW},
		{tty, ALL, "ioctl", {0, 0x541c}, E(EPERM)},
		{tty, ALL, "ioctl", {0, 0x8912}, E(EPERM)},
		{tty, ALL, "ioctl", {0, 0xc0106400}, E(EPERM)},
		{"start pledge-drm", ALL, "ioctl", {0, 0xc0106400}, ALLOW},
		{"start pledge-drm", ALL, "ioctl", {0, 0x641e}, E(ENOTTY)},
		{"start attributes", ALL, "ioctl", {0, 0x40086602}, NOTIFY},
		{"start attributes", NATIVE, "ioctl", {0, 0x40086602}, ALLOW},
		{"start attributes", ALL, "ioctl", {0, 0x401c5820}, NOTIFY},
	};

	check_rows(rows, SG_ARRAY_SIZE(rows));
}

static void sockets(void **state)
{
	static const char out[] = "start outgoing", unix_[] = "start unix", raw[] = "start raw",
			  all[] = "start ping netlink";
	static const struct row rows[] = {
		{out, ALL, "socket", {AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0}, ALLOW},
		{out, ALL, "socket", {UPPER | AF_INET6, UPPER | SOCK_DGRAM, UPPER}, ALLOW},
		{out, ALL, "socket", {AF_INET, SOCK_STREAM, 262}, E(EAFNOSUPPORT)}, /* MPTCP */
		{out, ALL, "socket", {AF_INET, SOCK_RAW, 255}, E(EPERM)},
		{out, ALL, "socket", {AF_INET, SOCK_DGRAM, 1}, E(EPERM)},
		{out, ALL, "socket", {AF_UNIX, SOCK_STREAM, 0}, ALLOW},
		{out, ALL, "socket", {AF_UNIX, SOCK_DGRAM, 0}, E(EPERM)},
		{out, ALL, "socket", {AF_UNIX, SOCK_RAW, 0}, E(EAFNOSUPPORT)},
		{out, ALL, "socket", {AF_ALG, SOCK_SEQPACKET, 0}, E(EAFNOSUPPORT)},
		{out, ALL, "socket", {AF_VSOCK, SOCK_STREAM, 0}, E(EAFNOSUPPORT)},
		{out, ALL, "socket", {AF_NETLINK, SOCK_RAW, 0}, E(EPERM)},
		{out, ALL, "socket", {AF_NETLINK, SOCK_RAW, 6}, E(EAFNOSUPPORT)},
		{out, ALL, "socket", {AF_PACKET, SOCK_RAW, 768}, E(EPERM)},
		{out, ALL, "socketpair", {AF_UNIX, SOCK_STREAM}, ALLOW},
		{out, ALL, "socketpair", {AF_UNIX, SOCK_DGRAM}, E(EPERM)},
		{out, ALL, "socketpair", {AF_INET, SOCK_STREAM}, E(EAFNOSUPPORT)},
		{out, ALL, "socketpair", {AF_UNIX, SOCK_RAW}, E(EAFNOSUPPORT)},
		{out, NATIVE, "connect", {3}, NOTIFY},
		{out, NATIVE, "bind", {3}, NOTIFY},
		{out, NATIVE, "sendto", {3, 1, 1, 0, 0}, ALLOW},
		{out, NATIVE, "sendto", {3, 1, 1, 0, 1}, NOTIFY},
		{out, NATIVE, "sendto", {3, 1, 1, 0, UINT64_C(1) << 32}, NOTIFY},
		{out, NATIVE, "sendto", {3, 1, 1, 0x20000000, 0}, E(EPERM)},
		{out, NATIVE, "sendto", {3, 1, 1, UPPER | 0x20000000, 1}, E(EPERM)},
		{out, NATIVE, "sendmsg", {3, 1, 0}, ALLOW},
		{out, NATIVE, "sendmsg", {3, 1, 0x20000000}, E(EPERM)},
		{out, NATIVE, "sendmmsg", {3, 1, 1, 0x20000000}, E(EPERM)},
		{out, ALL, "sendmsg", {3, 1, 0}, NOTIFY},
		{out, ALL, "sendmmsg", {3, 1, 1, 0}, NOTIFY},
		{out, ALL, "recvmsg", {3}, ALLOW},
		{out, ALL, "listen", {3}, E(EPERM)},
		{"start incoming", ALL, "listen", {3}, NOTIFY},
		{"start incoming", ALL, "accept4", {3}, NOTIFY},
		{"start incoming", NATIVE, "accept", {3}, ALLOW},
		{out, ALL, "setsockopt", {3, 1, 9}, ALLOW},
		{out, ALL, "setsockopt", {3, UPPER | 1, UPPER | 9}, ALLOW},
		{out, ALL, "setsockopt", {3, 6, 1}, ALLOW},
		{out, ALL, "setsockopt", {3, 1, 25}, E(EPERM)},
		{out, ALL, "setsockopt", {3, 41, 57}, E(EPERM)},
		{out, ALL, "setsockopt", {3, 41, 5}, E(EPERM)},
		{out, ALL, "setsockopt", {3, 6, 30}, E(EPERM)},
		{out, ALL, "setsockopt", {3, 41, 26}, ALLOW},
		{out, ALL, "setsockopt", {3, 132, 1}, E(ENOPROTOOPT)},
		{out, ALL, "setsockopt", {3, 1, 9999}, E(ENOPROTOOPT)},
		{out, ALL, "setsockopt", {3, 255, 1}, E(EPERM)},
		{unix_, ALL, "socket", {AF_UNIX, SOCK_DGRAM, 0}, ALLOW},
		{unix_, ALL, "socketpair", {AF_UNIX, SOCK_DGRAM}, ALLOW},
		{unix_, ALL, "socket", {AF_INET, SOCK_STREAM, 0}, E(EPERM)},
		{raw, ALL, "socket", {AF_INET, SOCK_RAW, 255}, ALLOW},
		{raw, ALL, "socket", {AF_PACKET, SOCK_RAW, 768}, ALLOW},
		{raw, ALL, "setsockopt", {3, 0, 3}, ALLOW},
		{all, ALL, "socket", {AF_INET, SOCK_RAW, 1}, E(EPERM)},
		{all, ALL, "socket", {AF_INET, SOCK_RAW, 255}, E(EPERM)},
		{all, ALL, "socket", {AF_INET, SOCK_DGRAM, 1}, ALLOW},
		{all, ALL, "socket", {AF_NETLINK, SOCK_RAW, 0}, ALLOW},
		{all, ALL, "socket", {AF_NETLINK, SOCK_RAW, 6}, E(EAFNOSUPPORT)},
		{all, ALL, "setsockopt", {3, 255, 1}, ALLOW},
	};

	check_rows(rows, SG_ARRAY_SIZE(rows));
}

static void refusals_recorded(void **state)
{
	build("start", RECORD);
	assert_int_equal(run_nr(SYS_bpf, NULL), NOTIFY);
	assert_int_equal(run_nr(SYS_mount, NULL), NOTIFY);
	assert_int_equal(run_nr(435, NULL), E(ENOSYS));
	assert_int_equal(run_nr(337, NULL), E(ENOSYS));
	assert_int_equal(run_nr(SYS_read, NULL), ALLOW);
}

/* ---- every program says what its specification says ---- */

static bool holds(const struct sg_filter_condition *condition, const uint64_t *args)
{
	uint64_t x = args[condition->argument];

	if (condition->width == 32)
		x = (uint32_t)x;
	if (condition->compare == SG_FILTER_IN_RANGE)
		return condition->value <= x && x <= condition->last;
	return ((x & condition->mask) == condition->value) == (condition->compare == SG_FILTER_EQUAL);
}

static uint32_t evaluate(uint32_t number, const uint64_t *args)
{
	const struct sg_filter_rule *rule;

	if (number >= SG_SYSCALL_LIMIT)
		return E(ENOSYS);
	rule = &spec.rules[number];
	for (uint32_t i = rule->first; i < (uint32_t)rule->first + rule->count; i++) {
		const struct sg_filter_row *row = &spec.rows[i];
		bool all = true;

		for (uint32_t j = 0; j < row->count; j++)
			all = all && holds(&row->conditions[j], args);
		if (all)
			return row->action;
	}
	return rule->action;
}

static uint64_t random_state = 88172645463325252U;

static uint64_t random_64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* An argument near what some condition of the rule asks for, now and then with garbage in the upper half. */
static uint64_t near_value(const struct sg_filter_rule *rule)
{
	const struct sg_filter_row *row;
	const struct sg_filter_condition *condition;
	uint64_t x;

	if (rule->count == 0 || random_64() % 8 == 0)
		return random_64() >> (random_64() % 64);
	row = &spec.rows[rule->first + random_64() % rule->count];
	condition = &row->conditions[random_64() % row->count];
	x = random_64() % 4 == 0 ? condition->last : random_64() % 3 == 0 ? condition->mask : condition->value;
	x += random_64() % 4 == 0 ? random_64() % 3 - 1 : 0;
	x |= random_64() % 4 == 0 ? UINT64_C(1) << random_64() % 64 : 0;
	return random_64() % 4 == 0 ? x | random_64() << 32 : x;
}

static void compare_with_spec(unsigned int rounds)
{
	for (uint32_t number = 0; number < SG_SYSCALL_LIMIT + 8; number++) {
		const struct sg_filter_rule *rule = &spec.rules[number % SG_SYSCALL_LIMIT];
		unsigned int tries = rule->count == 0 ? 4 : rounds;

		for (unsigned int i = 0; i < tries; i++) {
			uint64_t args[6];

			for (int j = 0; j < 6; j++)
				args[j] = near_value(rule);
			/* A whole row met on purpose, so that rows of several conditions are reached. */
			if (rule->count > 0 && i % 2 == 0) {
				const struct sg_filter_row *row = &spec.rows[rule->first + random_64() % rule->count];

				for (uint32_t j = 0; j < row->count; j++)
					args[row->conditions[j].argument] = row->conditions[j].value;
			}
			if (run_nr(number, args) != evaluate(number, args))
				fail_msg("call %u (%#llx %#llx %#llx %#llx %#llx %#llx): %#x, not %#x", number,
					 (unsigned long long)args[0], (unsigned long long)args[1],
					 (unsigned long long)args[2], (unsigned long long)args[3],
					 (unsigned long long)args[4], (unsigned long long)args[5], run_nr(number, args),
					 evaluate(number, args));
		}
	}
}

static void programs_say_what_specs_say(void **state)
{
	static const char *const sets[] = {"start", "start tty outgoing incoming dns unix threads fork exec",
					   "start jit ping raw netlink attributes locks watch debug perf pledge-drm"};

	for (size_t i = 0; i < SG_ARRAY_SIZE(sets); i++)
		for (int plan = ALL; plan <= FIRST; plan++) {
			build(sets[i], (enum plan_name)plan);
			compare_with_spec(400);
		}
}

/* Rows as no table has them: every comparison, both widths, overlaps, values at the ends, up to three
 * conditions. */
static void random_specs(void **state)
{
	static const uint64_t corners[] = {
		0, 1, 2, 3, 0x7fffffff, 0x80000000, 0xffffffff, UINT64_C(1) << 32, UPPER, UINT64_MAX};
	static const uint32_t actions[] = {ALLOW, NOTIFY, E(EPERM), E(EINVAL), KILL};

	for (int round = 0; round < 60; round++) {
		spec.row_count = 0;
		for (uint32_t number = 0; number < SG_SYSCALL_LIMIT; number++) {
			struct sg_filter_rule *rule = &spec.rules[number];

			*rule = (struct sg_filter_rule){actions[random_64() % 5], (uint16_t)spec.row_count, 0};
			if (number % 16 != 0)
				continue;
			rule->count = (uint16_t)(random_64() % 12);
			for (uint32_t i = 0; i < rule->count; i++) {
				struct sg_filter_row *row = &spec.rows[spec.row_count++];

				*row = (struct sg_filter_row){
					actions[random_64() % 5], 1 + (uint32_t)(random_64() % 3), {{0}}};
				for (uint32_t j = 0; j < row->count; j++) {
					struct sg_filter_condition *c = &row->conditions[j];
					uint64_t all;

					c->argument = (uint8_t)(random_64() % 2);
					c->width = random_64() % 3 == 0 ? 64 : 32;
					all = c->width == 32 ? UINT32_MAX : UINT64_MAX;
					c->compare = (uint8_t)(random_64() % 4 == 0 ? random_64() % 3 : 0);
					c->mask = random_64() % 2 == 0 ? all : corners[random_64() % 10] & all;
					c->value = corners[random_64() % 10] & all;
					c->last = corners[random_64() % 10] & all;
					if (c->compare == SG_FILTER_IN_RANGE && c->value > c->last)
						c->last = c->value;
					if (c->compare != SG_FILTER_IN_RANGE)
						c->value &= c->mask;
				}
			}
		}
		assert_int_equal(sg_filter_generate(&spec, &program), 0);
		compare_with_spec(100);
	}
}

/* One call with as many rows as there can be: distances beyond 255 instructions. */
static void long_rules(void **state)
{
	memset(&spec, 0, sizeof(spec));
	for (uint32_t number = 0; number < SG_SYSCALL_LIMIT; number++)
		spec.rules[number].action = number % 2 ? ALLOW : E(ENOSYS); /* nothing to merge */
	spec.rules[16].count = SG_FILTER_ROWS;
	spec.row_count = SG_FILTER_ROWS;
	for (uint32_t i = 0; i < SG_FILTER_ROWS; i++)
		spec.rows[i] = (struct sg_filter_row){
			i % 2 ? ALLOW : NOTIFY,
			1,
			{{.argument = 1, .width = 32, .mask = UINT32_MAX, .value = (uint32_t)(i * 2654435761U)}}};
	assert_int_equal(sg_filter_generate(&spec, &program), -E2BIG); /* two leaves a value */
	assert_int_equal(program.count, 0);
	spec.rules[16].count = 500;
	assert_int_equal(sg_filter_generate(&spec, &program), 0);
	for (uint32_t i = 0; i < 600; i++)
		for (uint32_t delta = 0; delta < 3; delta++) {
			uint64_t args[6] = {0, i * 2654435761U + delta - 1};

			assert_int_equal(run_nr(16, args), evaluate(16, args));
		}
	compare_with_spec(200);
}

static void malformed_specs(void **state)
{
	static const struct sg_filter_condition good = {.argument = 0, .width = 32, .mask = 1, .value = 1};
	struct sg_filter_condition bad[6];

	build("start", ALL);
	for (size_t i = 0; i < SG_ARRAY_SIZE(bad); i++)
		bad[i] = good;
	bad[0].argument = 6;
	bad[1].width = 16;
	bad[2].compare = 3;
	bad[3].value = 2; /* never equal */
	bad[4].mask = UINT64_C(1) << 32;
	bad[5].compare = SG_FILTER_IN_RANGE; /* value > last */
	for (size_t i = 0; i < SG_ARRAY_SIZE(bad); i++) {
		spec.rows[0].count = 1;
		spec.rows[0].conditions[0] = bad[i];
		assert_int_equal(sg_filter_generate(&spec, &program), -EINVAL);
		assert_int_equal(program.count, 0);
	}
	spec.rows[0].conditions[0] = good;
	assert_int_equal(sg_filter_generate(&spec, &program), 0);
	spec.rows[0].count = 4;
	assert_int_equal(sg_filter_generate(&spec, &program), -EINVAL);
	spec.rows[0].count = 1;
	spec.rules[3].first = (uint16_t)spec.row_count;
	spec.rules[3].count = 1;
	assert_int_equal(sg_filter_generate(&spec, &program), -EINVAL);
}

/* Only calls of other classes than NATIVE are looked up in checks.def, and each row's call is known under its
 * number. */
static void checks_are_of_checked_calls(void **state)
{
	static const char *const calls[] = {
#define SG_CHECK(call, ...) #call,
#include "tables/checks.def"
#undef SG_CHECK
	};

	build("start", ALL);
	for (size_t i = 0; i < SG_ARRAY_SIZE(calls); i++) {
		const struct sg_syscall *call = sg_syscall_by_name(calls[i], strlen(calls[i]));

		assert_non_null(call);
		assert_true(call->class != SG_CLASS_NATIVE && call->class != SG_CLASS_NEVER);
	}
}

/* libseccomp, given the same rules, allows the same calls (it has one action for all else, so only that is
 * compared). */
static void libseccomp_agrees(void **state)
{
	static const uint32_t lists[] = {SYS_fcntl, SYS_prctl, SYS_personality, SYS_arch_prctl};
	static struct sock_filter theirs[SG_FILTER_INSTRUCTIONS];
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	SG_AUTO_FD int fd = memfd_create("filter", MFD_CLOEXEC);
	ssize_t size;

	assert_non_null(context);
	build("start locks", NATIVE);
	for (uint32_t number = 0; number < SG_SYSCALL_LIMIT; number++)
		if (spec.rules[number].count == 0 && spec.rules[number].action == ALLOW)
			assert_int_equal(seccomp_rule_add(context, SCMP_ACT_ALLOW, (int)number, 0), 0);
	for (size_t i = 0; i < SG_ARRAY_SIZE(lists); i++) {
		const struct sg_filter_rule *rule = &spec.rules[lists[i]];

		for (uint32_t j = rule->first; j < (uint32_t)rule->first + rule->count; j++) {
			const struct sg_filter_condition *c = &spec.rows[j].conditions[0];

			if (spec.rows[j].action == ALLOW)
				assert_int_equal(
					seccomp_rule_add(context, SCMP_ACT_ALLOW, (int)lists[i], 1,
							 SCMP_CMP(c->argument, SCMP_CMP_MASKED_EQ, c->mask, c->value)),
					0);
		}
	}
	assert_int_equal(seccomp_export_bpf(context, fd), 0);
	seccomp_release(context);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	size = sg_fd_read_full(fd, theirs, sizeof(theirs));
	assert_true(size > 0 && (size_t)size < sizeof(theirs));
	for (uint32_t number = 0; number < 1024; number++) {
		bool listed = false;

		for (size_t i = 0; i < SG_ARRAY_SIZE(lists); i++)
			listed = listed || lists[i] == number;
		if (number < SG_SYSCALL_LIMIT && spec.rules[number].count > 0 && !listed)
			continue;
		for (int i = 0; i < (listed ? 2000 : 2); i++) {
			struct seccomp_data data = {.nr = (int)number, .arch = AUDIT_ARCH_X86_64};

			for (int j = 0; j < 6; j++)
				data.args[j] = listed ? near_value(&spec.rules[number]) : random_64();
			assert_int_equal(sg_filter_simulate(theirs, (size_t)size / sizeof(theirs[0]), &data) == ALLOW,
					 sg_filter_simulate(program.code, program.count, &data) == ALLOW);
		}
	}
}

/* The kernel's bitmap of always-allowed calls holds only if nothing but number and architecture is loaded on
 * their way. */
static void native_calls_load_nothing(void **state)
{
	build("start tty outgoing incoming dns unix threads fork exec", WRITES);
	for (uint32_t number = 0; number < SG_SYSCALL_LIMIT; number++) {
		struct seccomp_data data = {.nr = (int)number, .arch = AUDIT_ARCH_X86_64};
		uint32_t a = 0;

		if (spec.rules[number].count > 0)
			continue;
		for (uint32_t at = 0;; at++) {
			const struct sock_filter *step = &program.code[at];

			assert_true(at < program.count);
			if (BPF_CLASS(step->code) == BPF_RET)
				break;
			if (BPF_CLASS(step->code) == BPF_LD) {
				assert_true(step->k <= offsetof(struct seccomp_data, arch));
				memcpy(&a, (const char *)&data + step->k, sizeof(a));
			} else if (step->code == (BPF_JMP | BPF_JA)) {
				at += step->k;
			} else if (step->code == (BPF_JMP | BPF_JEQ | BPF_K)) {
				at += a == step->k ? step->jt : step->jf;
			} else {
				assert_int_equal(step->code, BPF_JMP | BPF_JGE | BPF_K);
				at += a >= step->k ? step->jt : step->jf;
			}
		}
	}
}

static void simulator_refuses(void **state)
{
	struct seccomp_data data = {0};
	static const struct sock_filter off_end = {BPF_JMP | BPF_JA, 0, 0, UINT32_MAX};
	static const struct sock_filter beyond = {BPF_LD | BPF_W | BPF_ABS, 0, 0, sizeof(data)};
	static const struct sock_filter crooked = {BPF_LD | BPF_W | BPF_ABS, 0, 0, 2};
	static const struct sock_filter strange = {BPF_ALU | BPF_ADD | BPF_K, 0, 0, 0};
	static const struct sock_filter fine = {BPF_RET | BPF_K, 0, 0, ALLOW};

	assert_int_equal(sg_filter_simulate(&off_end, 1, &data), KILL);
	assert_int_equal(sg_filter_simulate(&beyond, 1, &data), KILL);
	assert_int_equal(sg_filter_simulate(&crooked, 1, &data), KILL);
	assert_int_equal(sg_filter_simulate(&strange, 1, &data), KILL);
	assert_int_equal(sg_filter_simulate(NULL, 0, &data), KILL);
	assert_int_equal(sg_filter_simulate(&fine, 1, &data), ALLOW);
}

static void generation_is_quick_and_the_same(void **state)
{
	static struct sg_filter_program again;
	struct sg_filter_grants grants = {0};
	struct timespec from, to;
	double microseconds;

	grant_flags(definitions,
		    "start tty outgoing incoming dns unix netlink threads fork exec attributes locks links", &grants);
	assert_int_equal(sg_filter_build(&grants, &plans[WRITES], &program, NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < 50; i++)
		assert_int_equal(sg_filter_build(&grants, &plans[WRITES], &again, NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	microseconds = ((double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3) / 50;
	print_message("%u instructions, %.0f us to build\n", program.count, microseconds);
	assert_int_equal(program.count, again.count);
	assert_memory_equal(program.code, again.code, program.count * sizeof(program.code[0]));
	assert_true(program.count < 2048);
}

/* ---- the real kernel ---- */

/* Loads `program` in a child, runs `body` there, returns the wait status. In the kernel NOTIFY without a
 * listener is ENOSYS. */
static int in_filtered_child(int (*body)(void))
{
	struct sock_fprog fprog = {.len = program.count, .filter = program.code};
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		/* cmocka's handler would report the test of the parent as failed. */
		(void)signal(SIGSEGV, SIG_DFL);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0 ||
		    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &fprog) != 0)
			_exit(100);
		_exit(body());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* 0 if the call answers as wanted: an errno value, or 0 for "whatever the kernel says, but not EPERM or
 * ENOSYS". */
static int answers(int wanted, long number, long a, long b, long c, long d, long e)
{
	long r;

	errno = 0;
	r = syscall(number, a, b, c, d, e, 0);
	if (wanted == 0)
		return r < 0 && (errno == EPERM || errno == ENOSYS);
	return r != -1 || errno != wanted;
}

static int real_calls(void)
{
	const long upper = (long)UPPER;
	const long path = (long)"/nonexistent/shellguard-test";
	int step = 1;

#define STEP(...)                                                                                                      \
	do {                                                                                                           \
		if (answers(__VA_ARGS__) != 0)                                                                         \
			return step;                                                                                   \
		step++;                                                                                                \
	} while (0)
	STEP(0, SYS_getppid, 0, 0, 0, 0, 0);
	STEP(0, SYS_openat, AT_FDCWD, path, O_RDONLY, 06777, 0);
	STEP(0, SYS_openat, AT_FDCWD, path, upper | O_RDONLY, 0, 0);
	STEP(ENOSYS, SYS_openat, AT_FDCWD, path, O_WRONLY, 0, 0);
	STEP(ENOSYS, SYS_openat, AT_FDCWD, path, upper | O_RDWR, 0, 0);
	STEP(EPERM, SYS_openat, AT_FDCWD, path, O_CREAT | O_RDWR, 04755, 0);
	STEP(ENOSYS, SYS_openat2, AT_FDCWD, path, 0, 24, 0);
	STEP(ENOSYS, SYS_unlink, path, 0, 0, 0, 0);
	STEP(EPERM, SYS_chmod, path, 0755, 0, 0, 0);
	STEP(EPERM, SYS_bpf, 0, 0, 0, 0, 0);
	STEP(EPERM, SYS_io_uring_setup, 1, 0, 0, 0, 0);
	STEP(EPERM, SYS_userfaultfd, 0, 0, 0, 0, 0);
	STEP(EPERM, SYS_unshare, CLONE_NEWUSER, 0, 0, 0, 0);
	STEP(EPERM, SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	STEP(ENOSYS, SYS_clone3, 0, 0, 0, 0, 0);
	STEP(EPERM, SYS_mmap, 0, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	STEP(EPERM, SYS_mmap, 0, 4096, upper | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	STEP(EPERM, SYS_ioctl, 0, 0x5412, 0, 0, 0);
	STEP(EPERM, SYS_ioctl, 0, upper | 0x5412, 0, 0, 0);
	STEP(ENOTTY, SYS_ioctl, -1, 0x12345678, 0, 0, 0);
	STEP(0, SYS_ioctl, -1, 0x5413, 0, 0, 0);
	STEP(EAFNOSUPPORT, SYS_socket, AF_ALG, SOCK_SEQPACKET, 0, 0, 0);
	STEP(EPERM, SYS_socket, AF_NETLINK, SOCK_RAW, 0, 0, 0);
	STEP(0, SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0);
	STEP(ENOSYS, SYS_connect, -1, 0, 0, 0, 0);
	STEP(0, SYS_sendto, -1, 0, 0, 0, 0);
	STEP(ENOSYS, SYS_sendto, -1, 0, 0, 0, 1L << 32);
	STEP(EPERM, SYS_sendto, -1, 0, 0, 0x20000000, 0);
	STEP(EPERM, SYS_setsockopt, -1, 41, 57, 0, 0);
	STEP(0, SYS_setsockopt, -1, 1, 9, 0, 0);
	STEP(EPERM, SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, 0, 0, 0);
	STEP(0, SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 0, 0, 0);
	STEP(ENOSYS, SYS_execve, path, 0, 0, 0, 0);
	for (long number = 0; number < 1024; number++)
		if (sg_syscall_by_number((unsigned int)number) == NULL)
			STEP(ENOSYS, number, 0, 0, 0, 0, 0);
	for (long number = 0; number < 600; number++)
		STEP(ENOSYS, 0x40000000L + number, 0, 0, 0, 0, 0);
	/* glibc's syscall() passes all 64 bits; the kernel looks at the low 32. */
	STEP(ENOSYS, 0x80000000L, 0, 0, 0, 0, 0);
	STEP(0, (long)(UPPER | SYS_getppid), 0, 0, 0, 0, 0);
	return 0;
}

static void kernel_agrees(void **state)
{
	int status;

	build("start outgoing fork exec", WRITES);
	status = in_filtered_child(real_calls);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("the kernel disagrees: status %#x (step %d)", (unsigned int)status, WEXITSTATUS(status));
}

static int real_int80(void)
{
	int r = 20; /* getpid of i386 */

	__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
	return 0; /* it passed */
}

static void kernel_kills_i386(void **state)
{
	int status;

	build("start", NATIVE);
	status = in_filtered_child(real_int80);
	assert_true(WIFSIGNALED(status));
	/* SIGSEGV where the kernel has no i386 calls at all. */
	assert_true(WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_granted),
		cmocka_unit_test(everything_granted),
		cmocka_unit_test(numbers_without_rows),
		cmocka_unit_test(other_architectures),
		cmocka_unit_test(opens),
		cmocka_unit_test(changes),
		cmocka_unit_test(changes_by_either),
		cmocka_unit_test(memory),
		cmocka_unit_test(processes),
		cmocka_unit_test(terminals),
		cmocka_unit_test(sockets),
		cmocka_unit_test(refusals_recorded),
		cmocka_unit_test(programs_say_what_specs_say),
		cmocka_unit_test(random_specs),
		cmocka_unit_test(long_rules),
		cmocka_unit_test(malformed_specs),
		cmocka_unit_test(checks_are_of_checked_calls),
		cmocka_unit_test(libseccomp_agrees),
		cmocka_unit_test(native_calls_load_nothing),
		cmocka_unit_test(simulator_refuses),
		cmocka_unit_test(generation_is_quick_and_the_same),
		cmocka_unit_test(kernel_agrees),
		cmocka_unit_test(kernel_kills_i386),
	};

	return cmocka_run_group_tests(tests, read_definitions, NULL);
}
