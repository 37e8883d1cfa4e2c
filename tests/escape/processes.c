/* Reaching for processes: the first one of the world, those outside, and what a process is taken for. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

static char word[64];

static void attempt(const char *what, int pid, long result)
{
	char label[64];

	(void)snprintf(label, sizeof(label), "%s-%s", what, pid == 1 ? "1" : "outside");
	(void)must_fail(label, result);
}

/* PID...: besides 1, processes of the host by the numbers that they have there. Needs `debug`, or all is
 * refused by the filter. */
static int targets(int argc, char **argv)
{
	for (int i = -1; i < argc; i++) {
		const int pid = i < 0 ? 1 : atoi(argv[i]);
		struct iovec local = {word, sizeof(word)}, remote = {(void *)0x400000, sizeof(word)};
		int pidfd = (int)syscall(434, pid, 0);
		char path[64];

		attempt("attach", pid, ptrace(PTRACE_ATTACH, pid, 0, 0));
		attempt("seize", pid, ptrace(PTRACE_SEIZE, pid, 0, 0));
		attempt("vm-read", pid, process_vm_readv(pid, &local, 1, &remote, 1, 0));
		attempt("vm-write", pid, process_vm_writev(pid, &local, 1, &remote, 1, 0));
		attempt("kcmp", pid, syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, 0, 0));
		for (int fd = 0; fd < 8; fd++)
			attempt("getfd", pid, pidfd < 0 ? -1 : syscall(438, pidfd, fd, 0));
		(void)snprintf(path, sizeof(path), "/proc/%d/mem", pid);
		attempt("mem", pid, open(path, O_RDWR));
		attempt("mem-read", pid, open(path, O_RDONLY));
		(void)snprintf(path, sizeof(path), "/proc/%d/environ", pid);
		attempt("environ", pid, open(path, O_RDONLY));
		(void)snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
		attempt("oom", pid, open(path, O_WRONLY));
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
		attempt("namespace", pid, open(path, O_RDONLY));
		if (pid == 1)
			continue;
		attempt("pidfd", pid, pidfd);
		attempt("kill", pid, kill(pid, SIGKILL));
		attempt("kill-group", pid, kill(-pid, SIGKILL));
		attempt("tgkill", pid, syscall(SYS_tgkill, pid, pid, SIGKILL));
		attempt("sigqueue", pid, sigqueue(pid, SIGKILL, (union sigval){0}));
		attempt("setpriority", pid, setpriority(PRIO_PROCESS, (id_t)pid, 19));
		attempt("prlimit", pid, prlimit(pid, RLIMIT_NOFILE, NULL, &(struct rlimit){0}));
		attempt("stat", pid, access(path, F_OK));
	}
	for (int number = 1; number < NSIG; number++)
		(void)kill(1, number);
	(void)must_work("first-process-lives", access("/proc/1/stat", F_OK));
	(void)must_fail("dumpable-2", prctl(PR_SET_DUMPABLE, 2, 0, 0, 0));
	return 0;
}

static _Noreturn void wait_forever(void)
{
	for (;;)
		(void)pause();
}

/* Kills all that it can see, from a session of its own. */
static int kill_all(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (int i = 0; i < 3; i++)
		if (fork() == 0)
			wait_forever();
	(void)must_work("kill-all", kill(-1, SIGKILL));
	return 0;
}

/* Limits of the first process: they may end the world, and nothing else. */
static int limit_first(int argc, char **argv)
{
	struct rlimit none = {0, 0};

	(void)argc;
	(void)argv;
	for (int i = 0; i < 3; i++)
		if (fork() == 0)
			wait_forever();
	(void)prlimit(1, RLIMIT_NOFILE, &none, NULL);
	(void)prlimit(1, RLIMIT_AS, &none, NULL);
	(void)prlimit(1, RLIMIT_STACK, &none, NULL);
	(void)prlimit(1, RLIMIT_CPU, &none, NULL);
	return 7;
}

/* SECRET OPEN: a process that may not be examined gets the same decisions. */
static int undumpable(int argc, char **argv)
{
	int fd;

	(void)argc;
	(void)must_work("undumpable", prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	must_fail_to_read("secret", AT_FDCWD, argv[0], 0);
	must_fail_to_read("secret-of-self", open("/proc/self/cwd", O_PATH), argv[0], 0);
	fd = open(argv[1], O_RDONLY);
	if (fd >= 0)
		saw("open", "given");
	else
		saw("open", strerrorname_np(errno));
	(void)must_fail("own-mem", open("/proc/self/mem", O_RDWR));
	return 0;
}

/* DIR: as root of the world, makes a file for itself alone, becomes another user, and wants it. */
static int other_user(int argc, char **argv)
{
	char path[4096];
	int fd;

	(void)argc;
	(void)snprintf(path, sizeof(path), "%s/mine", argv[0]);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	(void)must_work("create", fd);
	(void)!write(fd, "TOPSECRET\n", 10);
	(void)must_work("setgroups", setgid(1234) == 0 ? setuid(1234) : -1);
	must_fail_to_read("file-of-another", AT_FDCWD, path, 0);
	(void)must_fail("write-file-of-another", open(path, O_WRONLY));
	(void)must_fail("chmod-file-of-another", chmod(path, 0666));
	(void)must_fail("unlink-file-of-another", unlink(path));
	(void)must_fail("become-root-again", setuid(0));
	fd = open(argv[1], O_RDONLY);
	saw("public", fd < 0 ? strerrorname_np(errno) : "given");
	return 0;
}

static int other_groups(void *path)
{
	return setgroups(0, NULL) < 0 || setgroups(1, &(gid_t){1235}) < 0 ? 1 : open(path, O_WRONLY) < 0 ? 0 : 2;
}

static int other_group(void *path)
{
	return setresgid(1234, 1234, 1234) < 0 ? 1 : open(path, O_WRONLY) < 0 ? 0 : 2;
}

static int other_effective_group(void *path)
{
	return setresgid((gid_t)-1, 1234, (gid_t)-1) < 0 ? 1 : open(path, O_WRONLY) < 0 ? 0 : 2;
}

static int other_file_system_ids(void *path)
{
	return setfsgid(1234) < 0 || setfsgid((gid_t)-1) != 1234 ? 1 : open(path, O_WRONLY) < 0 ? 0 : 2;
}

static int other_file_system_user(void *path)
{
	return setfsuid(1234) < 0 || setfsuid((uid_t)-1) != 1234 ? 1 : open(path, O_WRONLY) < 0 ? 0 : 2;
}

/* FILE: its group, which alone may write it, is one that each child gives up before it asks; the parent keeps it. */
static int fewer_groups(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void *data);
	} children[] = {{"without-groups", other_groups},
			{"other-group", other_group},
			{"other-effective-group", other_effective_group},
			{"other-file-system-group", other_file_system_ids},
			{"other-file-system-user", other_file_system_user}};

	(void)argc;
	for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++) {
		int status = in_child(children[i].run, argv[0]);

		if (status == 0)
			refused(children[i].name, EPERM);
		else if (status == 2 << 8)
			escaped(children[i].name);
		else
			saw("could-not", children[i].name);
	}
	(void)must_work("with-all-groups", open(argv[0], O_WRONLY));
	return 0;
}

/* Files of /proc that speak of the namespaces of whoever opens them. */
static int opener(int argc, char **argv)
{
	static const char *const names[] = {"/proc/sysvipc/shm", "/proc/sysvipc/msg", "/proc/sysvipc/sem"};
	char text[65536];

	for (size_t i = 0; i < 3; i++) {
		int fd = open(names[i], O_RDONLY);
		ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

		text[size < 0 ? 0 : size] = '\0';
		if (argc > 0 && strstr(text, argv[0]) != NULL)
			escaped(names[i]);
		else
			refused(names[i], 0);
	}
	return 0;
}

/* Keys of the session that started the world. */
static int keys(int argc, char **argv)
{
	char text[256];
	long key = syscall(SYS_request_key, "user", argv[0], NULL, 0);

	(void)argc;
	(void)must_fail("request-key", key);
	key = syscall(SYS_keyctl, 10 /* KEYCTL_SEARCH */, -3, "user", argv[0], 0);
	(void)must_fail("search-session", key);
	(void)must_fail("read-key", syscall(SYS_keyctl, 11 /* KEYCTL_READ */, key, text, sizeof(text)));
	(void)must_work("own-key", syscall(SYS_add_key, "user", "own", "x", 1, -3));
	return 0;
}

/* Crashes with the largest core that it may have. */
static int crash(int argc, char **argv)
{
	struct rlimit limit;

	(void)argc;
	if (chdir(argv[0]) < 0)
		return 1;
	(void)getrlimit(RLIMIT_CORE, &limit);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_CORE, &limit);
	(void)signal(SIGQUIT, SIG_DFL);
	(void)raise(SIGQUIT);
	return 0;
}

static bool is_off(pid_t pid)
{
	struct rlimit limit;

	return prlimit(pid, RLIMIT_CORE, NULL, &limit) == 0 && limit.rlim_cur == 1 && limit.rlim_max == 1;
}

static void kept(const char *what, pid_t pid)
{
	if (is_off(pid))
		refused(what, 0);
	else
		escaped(what);
}

/* A soft limit of 0 would hand cores to what core_pattern names. Programs are told that theirs is off, as it is. */
static int cores(int argc, char **argv)
{
	const struct rlimit none = {0, 1}, hard = {0, 0}, more = {RLIM_INFINITY, RLIM_INFINITY};
	struct rlimit files, old;
	pid_t child = fork();

	(void)argc;
	(void)argv;
	if (child == 0) {
		(void)pause();
		_exit(0);
	}
	must_work("set-core-0", syscall(SYS_setrlimit, RLIMIT_CORE, &none));
	kept("core-0", 0);
	must_work("set-core-0-upper-half", syscall(SYS_setrlimit, 0xabcd00000000UL | RLIMIT_CORE, &none));
	kept("core-0-upper-half", 0);
	must_work("set-core-0-for-good", prlimit(0, RLIMIT_CORE, &hard, NULL));
	kept("core-0-for-good", 0);
	must_work("set-core-of-another", prlimit(child, RLIMIT_CORE, &none, NULL));
	kept("core-of-another", child);
	must_fail("core-and-old", prlimit(0, RLIMIT_CORE, &none, &old));
	kept("core-and-old-kept", 0);
	(void)setrlimit(RLIMIT_CORE, &more);
	kept("more-core", 0);
	must_work("other-limit", getrlimit(RLIMIT_NOFILE, &files));
	files.rlim_cur = 64;
	must_work("set-other-limit", setrlimit(RLIMIT_NOFILE, &files));
	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur != 64)
		must_work("other-limit-is-set", -1);
	(void)kill(child, SIGKILL);
	return 0;
}

const struct probe probes[] = {
	{"targets", targets},
	{"kill-all", kill_all},
	{"limit-first", limit_first},
	{"undumpable", undumpable},
	{"other-user", other_user},
	{"fewer-groups", fewer_groups},
	{"opener", opener},
	{"keys", keys},
	{"crash", crash},
	{"cores", cores},
	{NULL, NULL},
};
