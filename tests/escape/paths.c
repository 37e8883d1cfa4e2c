/* Ways to name a file that is refused by its name, beside the same ways to one that is not. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe.h"

/*
 * Every spelling of a name below a folder: %F the folder, %N a name in it, %D an O_PATH descriptor of the
 * folder, %L a folder of links. */
static const struct {
	const char *label, *format;
} spellings[] = {
	{"plain", "%F/%N"},
	{"slashes", "%F///.//%N"},
	{"dots", "%F/sub/../%N"},
	{"dots-twice", "%F/sub/.././sub/../%N"},
	{"past-root", "/../../../..%F/%N"},
	{"self-root", "/proc/self/root%F/%N"},
	{"thread-self-root", "/proc/thread-self/root%F/%N"},
	{"self-cwd", "/proc/self/cwd/%N"},
	{"thread-self-cwd", "/proc/thread-self/cwd/%N"},
	{"self-dots", "/proc/self/../..%F/%N"},
	{"self-fd-dots", "/proc/self/fd/../../..%F/%N"},
	{"self-task", "/proc/self/task/../root%F/%N"},
	{"fd-of-folder", "/proc/self/fd/%D/%N"},
	{"dev-fd-of-folder", "/dev/fd/%D/%N"},
	{"fd-of-folder-dots", "/dev/fd/%D/sub/../%N"},
	{"cwd", "%N"},
	{"cwd-dot", "./%N"},
	{"cwd-dots", "sub/../%N"},
	{"link-to-file", "%L/%N"},
	{"link-to-folder", "%L/folder/%N"},
	{"link-to-folder-dots", "%L/sub/../%N"},
	{"link-chain", "%L/chain-38/%N"},
	{"link-to-proc", "%L/proc/%N"},
};

enum { SPELLINGS = sizeof(spellings) / sizeof(spellings[0]) };

static void spell(char *path, size_t size, size_t row, char **argv, const char *name, int fd)
{
	size_t used = 0;
	int added;

	for (const char *at = spellings[row].format; *at != '\0' && used < size; used += (size_t)added) {
		const char *text = *at != '%' ? NULL : at[1] == 'F' ? argv[0] : at[1] == 'N' ? name : argv[3];

		if (*at == '%' && at[1] == 'D')
			added = snprintf(path + used, size - used, "%d", fd);
		else if (text != NULL)
			added = snprintf(path + used, size - used, "%s", text);
		else
			added = snprintf(path + used, size - used, "%c", *at);
		at += *at == '%' ? 2 : 1;
	}
}

/* FOLDER DENIED ALLOWED LINKS: two files of the folder, and a folder of links. */
static int by_name(int argc, char **argv)
{
	char path[PATH_MAX], label[128];
	int folder;

	(void)argc;
	folder = open(argv[0], O_PATH | O_DIRECTORY);
	(void)must_work("path-descriptor-of-folder", folder);
	(void)must_work("chdir", chdir(argv[0]));
	for (size_t i = 0; i < SPELLINGS; i++) {
		spell(path, sizeof(path), i, argv, argv[1], folder);
		(void)snprintf(label, sizeof(label), "denied-%s", spellings[i].label);
		must_fail_to_read(label, AT_FDCWD, path, 0);
		(void)snprintf(label, sizeof(label), "denied-nonblock-%s", spellings[i].label);
		must_fail_to_read(label, AT_FDCWD, path, O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
		spell(path, sizeof(path), i, argv, argv[2], folder);
		(void)snprintf(label, sizeof(label), "allowed-%s", spellings[i].label);
		must_read(label, path, "OPEN");
	}
	(void)snprintf(path, sizeof(path), "%s/%s/", argv[0], argv[1]);
	must_fail_to_read("denied-trailing-slash", AT_FDCWD, path, 0);
	(void)snprintf(path, sizeof(path), "%s/%s/", argv[3], argv[1]);
	must_fail_to_read("denied-link-trailing-slash", AT_FDCWD, path, 0);
	(void)snprintf(path, sizeof(path), "%s/chain-44/%s", argv[3], argv[2]);
	(void)must_fail("too-many-links", open(path, O_RDONLY));
	must_fail_to_read("denied-dirfd", folder, argv[1], 0);
	(void)snprintf(path, sizeof(path), "sub/../%s", argv[1]);
	must_fail_to_read("denied-dirfd-dots", folder, path, 0);
	(void)must_work("allowed-dirfd", openat(folder, argv[2], O_RDONLY));
	(void)snprintf(path, sizeof(path), "%s/%s", argv[0], argv[1]);
	must_fail_to_read("denied-odd-dirfd", 12345, path, 0);
	(void)must_fail("bad-dirfd", openat(12345, argv[2], O_RDONLY));
	(void)must_fail("file-as-dirfd", openat(open(argv[2], O_RDONLY), argv[2], O_RDONLY));
	return 0;
}

/* An O_PATH descriptor gives no contents, and none come of it by opening it anew. */
static int path_descriptors(int argc, char **argv)
{
	static const int access[] = {O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE, O_RDONLY | O_TRUNC, O_RDWR | O_APPEND};
	char path[PATH_MAX], link[64], label[64];
	int denied, allowed;

	(void)argc;
	(void)snprintf(path, sizeof(path), "%s/%s", argv[0], argv[1]);
	denied = open(path, O_PATH | O_NOFOLLOW);
	(void)snprintf(path, sizeof(path), "%s/%s", argv[0], argv[2]);
	allowed = open(path, O_PATH);
	(void)must_work("path-descriptor", allowed);
	(void)must_fail("read-path-descriptor", read(allowed, link, 1));
	for (size_t i = 0; i < sizeof(access) / sizeof(access[0]); i++) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", denied);
		(void)snprintf(label, sizeof(label), "reopen-%zu", i);
		(void)must_fail(label, open(link, access[i]));
		(void)snprintf(link, sizeof(link), "/dev/fd/%d", denied);
		(void)snprintf(label, sizeof(label), "reopen-dev-%zu", i);
		(void)must_fail(label, open(link, access[i]));
		(void)snprintf(link, sizeof(link), "/proc/%d/task/%d/fd/%d", getpid(), getpid(), denied);
		(void)snprintf(label, sizeof(label), "reopen-task-%zu", i);
		(void)must_fail(label, open(link, access[i]));
	}
	(void)must_fail("empty-path", openat(denied, "", O_RDONLY));
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", allowed);
	must_read("reopen-allowed", link, "OPEN");
	return 0;
}

static long how(int dirfd, const char *path, unsigned long long flags, unsigned long long resolve, size_t size)
{
	static struct {
		struct open_how how;
		char more[8192];
	} large;

	memset(&large, 0, sizeof(large));
	large.how.flags = flags;
	large.how.resolve = resolve;
	return syscall(SYS_openat2, dirfd, path, &large, size);
}

static int openat2_flags(int argc, char **argv)
{
	static const size_t sizes[] = {0, 1, 16, 23, 24, 25, 32, 4096, 8192};
	char denied[PATH_MAX], allowed[PATH_MAX], label[64];
	struct open_how extended[2] = {{.flags = O_RDONLY}, {.flags = 1}};
	long fd;

	(void)argc;
	(void)snprintf(denied, sizeof(denied), "%s/%s", argv[0], argv[1]);
	(void)snprintf(allowed, sizeof(allowed), "%s/%s", argv[0], argv[2]);
	for (unsigned int resolve = 0; resolve < 64; resolve++) {
		fd = how(AT_FDCWD, denied, O_RDONLY, resolve, sizeof(struct open_how));
		(void)snprintf(label, sizeof(label), "resolve-%u", resolve);
		(void)must_fail(label, fd);
		fd = how(open(argv[0], O_PATH), argv[1], O_RDONLY, resolve, sizeof(struct open_how));
		(void)snprintf(label, sizeof(label), "resolve-beneath-%u", resolve);
		(void)must_fail(label, fd);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		(void)snprintf(label, sizeof(label), "size-%zu", sizes[i]);
		(void)must_fail(label, how(AT_FDCWD, denied, O_RDONLY, 0, sizes[i]));
	}
	(void)must_fail("unknown-field", syscall(SYS_openat2, AT_FDCWD, allowed, extended, sizeof(extended)));
	(void)must_fail("unknown-flag", how(AT_FDCWD, allowed, 1ULL << 40, 0, sizeof(struct open_how)));
	(void)must_fail("unknown-resolve", how(AT_FDCWD, allowed, O_RDONLY, 1ULL << 40, sizeof(struct open_how)));
	(void)must_fail("no-structure", syscall(SYS_openat2, AT_FDCWD, allowed, NULL, sizeof(struct open_how)));
	(void)must_fail("set-id", syscall(SYS_openat2, AT_FDCWD, "/tmp/suid",
					  &(struct open_how){.flags = O_CREAT | O_WRONLY, .mode = 04755},
					  sizeof(struct open_how)));
	(void)must_work("plain", how(AT_FDCWD, allowed, O_RDONLY, 0, sizeof(struct open_how)));
	return 0;
}

/* Nothing of the host's tree behind what is granted. */
static int outside(int argc, char **argv)
{
	static const char *const roots[] = {
		"",   "/proc/1/root", "/proc/1/cwd", "/proc/self/root/..", "/proc/1/task/1/root", "/proc/1/root/../..",
		"/.."};
	char path[PATH_MAX], label[64];
	struct stat status;

	(void)argc;
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", roots[i], argv[0]);
		(void)snprintf(label, sizeof(label), "outside-%zu", i);
		must_fail_to_read(label, AT_FDCWD, path, 0);
		(void)snprintf(label, sizeof(label), "outside-stat-%zu", i);
		(void)must_fail(label, stat(path, &status));
		(void)snprintf(label, sizeof(label), "outside-chdir-%zu", i);
		(void)snprintf(path, sizeof(path), "%s/root", roots[i]);
		(void)must_fail(label, chdir(path));
	}
	(void)must_fail("exe-of-1", open("/proc/1/exe", O_RDONLY));
	(void)must_fail("exe-of-1-write", open("/proc/1/exe", O_RDWR));
	(void)must_fail("maps-of-1", open("/proc/1/maps", O_RDONLY));
	(void)must_fail("environ-of-1", open("/proc/1/environ", O_RDONLY));
	(void)must_fail("mem-of-1", open("/proc/1/mem", O_RDWR));
	(void)must_fail("fd-of-1", open("/proc/1/fd", O_RDONLY | O_DIRECTORY));
	(void)must_fail("map-files-of-1", open("/proc/1/map_files", O_RDONLY | O_DIRECTORY));
	(void)must_work("stat-of-1", stat("/proc/1", &status));
	for (int i = 0; i < 64; i++) {
		(void)snprintf(path, sizeof(path), "/proc/1/fd/%d", i);
		(void)snprintf(label, sizeof(label), "fd-of-1-%d", i);
		(void)must_fail(label, open(path, O_RDONLY | O_NONBLOCK));
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", i);
		if (i > 2)
			(void)must_fail("inherited-descriptor", stat(path, &status));
	}
	return 0;
}

/* What the text of the launcher's command line, shown by PID 1, gives away. */
static int command_line(int argc, char **argv)
{
	char text[4096];
	int fd = open("/proc/1/cmdline", O_RDONLY);
	ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof(text));

	(void)argc;
	if (size > 0 && memmem(text, (size_t)size, argv[0], strlen(argv[0])) != NULL)
		escaped("launcher-command-line");
	else
		refused("launcher-command-line", 0);
	return 0;
}

const struct probe probes[] = {
	{"by-name", by_name}, {"path-descriptors", path_descriptors}, {"openat2", openat2_flags},
	{"outside", outside}, {"command-line", command_line},         {NULL, NULL},
};
