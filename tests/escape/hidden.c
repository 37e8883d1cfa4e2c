/* What a Hide rule takes away: a hidden name must be told from a missing one by nothing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "probe.h"

static char buffer[PATH_MAX];
static struct stat status;

static const char *with(const char *path, const char *more)
{
	static char text[PATH_MAX + 64];

	(void)snprintf(text, sizeof(text), "%s%s", path, more);
	return text;
}

static long call_unix(const char *path, int (*use)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), result;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
	result = fd < 0 ? 0 : use(fd, (const struct sockaddr *)&address, sizeof(address));
	return result;
}

/* Each gets a name and does one call on it. */
#define CALLS                                                                                                          \
	CALL(stat, syscall(SYS_stat, path, &status))                                                                   \
	CALL(lstat, syscall(SYS_lstat, path, &status))                                                                 \
	CALL(fstatat, syscall(SYS_newfstatat, AT_FDCWD, path, &status, 0))                                             \
	CALL(fstatat_link, syscall(SYS_newfstatat, AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW))                      \
	CALL(statx, statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, (struct statx *)(void *)buffer))                       \
	CALL(stat_slash, stat(with(path, "/"), &status))                                                               \
	CALL(stat_below, stat(with(path, "/x"), &status))                                                              \
	CALL(stat_through, stat(with(path, "/../open.txt"), &status))                                                  \
	CALL(access, syscall(SYS_access, path, F_OK))                                                                  \
	CALL(faccessat, syscall(SYS_faccessat, AT_FDCWD, path, R_OK))                                                  \
	CALL(faccessat2, syscall(SYS_faccessat2, AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW))                           \
	CALL(statfs, syscall(SYS_statfs, path, buffer))                                                                \
	CALL(readlink, syscall(SYS_readlink, path, buffer, sizeof(buffer)))                                            \
	CALL(readlinkat, readlinkat(AT_FDCWD, path, buffer, sizeof(buffer)))                                           \
	CALL(getxattr, getxattr(path, "user.x", buffer, sizeof(buffer)))                                               \
	CALL(lgetxattr, lgetxattr(path, "user.x", buffer, sizeof(buffer)))                                             \
	CALL(listxattr, listxattr(path, buffer, sizeof(buffer)))                                                       \
	CALL(llistxattr, llistxattr(path, buffer, sizeof(buffer)))                                                     \
	CALL(open, open(path, O_RDONLY))                                                                               \
	CALL(open_write, open(path, O_WRONLY))                                                                         \
	CALL(open_cut, open(path, O_RDWR | O_TRUNC))                                                                   \
	CALL(open_path, open(path, O_PATH))                                                                            \
	CALL(open_path_link, open(path, O_PATH | O_NOFOLLOW))                                                          \
	CALL(open_folder, open(path, O_RDONLY | O_DIRECTORY))                                                          \
	CALL(open_place, open(path, O_PATH | O_DIRECTORY))                                                             \
	CALL(open_make, open(path, O_CREAT | O_WRONLY, 0600))                                                          \
	CALL(open_new, open(path, O_CREAT | O_EXCL | O_WRONLY, 0600))                                                  \
	CALL(open_unnamed, open(path, O_TMPFILE | O_RDWR, 0600))                                                       \
	CALL(openat2,                                                                                                  \
	     syscall(SYS_openat2, AT_FDCWD, path, &(struct open_how){.flags = O_RDONLY}, sizeof(struct open_how)))     \
	CALL(creat, creat(path, 0600))                                                                                 \
	CALL(chdir, chdir(path))                                                                                       \
	CALL(mkdir, mkdir(path, 0700))                                                                                 \
	CALL(mkfifo, mkfifo(path, 0600))                                                                               \
	CALL(symlink, symlink("x", path))                                                                              \
	CALL(link_to, link("open.txt", path))                                                                          \
	CALL(link_from, link(path, "new.txt"))                                                                         \
	CALL(link_onto, link(path, "open.txt"))                                                                        \
	CALL(rename_to, rename("open.txt", path))                                                                      \
	CALL(rename_from, rename(path, "new.txt"))                                                                     \
	CALL(rename_keep, renameat2(AT_FDCWD, "open.txt", AT_FDCWD, path, RENAME_NOREPLACE))                           \
	CALL(exchange_to, renameat2(AT_FDCWD, "open.txt", AT_FDCWD, path, RENAME_EXCHANGE))                            \
	CALL(exchange_from, renameat2(AT_FDCWD, path, AT_FDCWD, "open.txt", RENAME_EXCHANGE))                          \
	CALL(unlink, unlink(path))                                                                                     \
	CALL(rmdir, rmdir(path))                                                                                       \
	CALL(truncate, truncate(path, 0))                                                                              \
	CALL(chmod, chmod(path, 0777))                                                                                 \
	CALL(chown, chown(path, (uid_t)-1, (gid_t)-1))                                                                 \
	CALL(utimensat, utimensat(AT_FDCWD, path, NULL, 0))                                                            \
	CALL(setxattr, setxattr(path, "user.x", "x", 1, 0))                                                            \
	CALL(removexattr, removexattr(path, "user.x"))                                                                 \
	CALL(execve, execve(path, (char *[]){NULL}, (char *[]){NULL}))                                                 \
	CALL(watch, inotify_add_watch(inotify_init(), path, IN_OPEN))                                                  \
	CALL(bind, call_unix(path, bind))                                                                              \
	CALL(connect, call_unix(path, connect))                                                                        \
	CALL(handle, syscall(SYS_name_to_handle_at, AT_FDCWD, path, buffer, buffer, 0))                                \
	CALL(root, stat(with("/proc/self/root", path), &status))                                                       \
	CALL(working, stat(with("/proc/self/cwd/", strrchr(path, '/') + 1), &status))                                  \
	CALL(relative, lstat(strrchr(path, '/') + 1, &status))                                                         \
	CALL(from_folder, fstatat(open(".", O_RDONLY), strrchr(path, '/') + 1, &status, 0))

#define CALL(name, call)                                                                                               \
	static long do_##name(const char *path)                                                                        \
	{                                                                                                              \
		return call;                                                                                           \
	}
CALLS
#undef CALL

static const struct {
	const char *name;
	long (*run)(const char *path);
} calls[] = {
#define CALL(name, call) {#name, do_##name},
	CALLS
#undef CALL
};

static int outcome(long (*run)(const char *path), const char *path)
{
	errno = 0;
	return run(path) < 0 ? errno : 0;
}

/* The call on both names of the pair, in `folder`: what came of each. */
static void run_pair(size_t call, const char *folder, char **pair, int result[2])
{
	char path[PATH_MAX];

	for (int i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, pair[i]);
		result[i] = outcome(calls[call].run, path);
	}
}

/* These move or remove the link itself. */
static bool changes_links(const char *name)
{
	static const char *const changing[] = {"link_from", "link_onto", "rename", "exchange", "unlink", "rmdir"};

	for (size_t i = 0; i < sizeof(changing) / sizeof(changing[0]); i++)
		if (strncmp(name, changing[i], strlen(changing[i])) == 0)
			return true;
	return false;
}

static int compare_pairs(int argc, char **argv, bool are_links)
{
	char label[128];
	int result[2];

	if (chdir(argv[0]) < 0)
		return 1;
	for (int pair = 1; pair + 1 < argc; pair += 2)
		for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
			if (are_links && changes_links(calls[i].name))
				continue;
			run_pair(i, argv[0], argv + pair, result);
			(void)snprintf(label, sizeof(label), "%s:%s", calls[i].name, argv[pair]);
			if (result[0] == result[1] && (are_links || result[0] != 0)) {
				refused(label, result[0]);
			} else {
				(void)snprintf(buffer, sizeof(buffer), "%s %d %d", label, result[0], result[1]);
				escaped(buffer);
			}
		}
	return 0;
}

/* FOLDER, then pairs: a hidden name that is there, and one of the same form that is not. Neither may succeed,
 * or differ. */
static int alike(int argc, char **argv)
{
	return compare_pairs(argc, argv, false);
}

/* FOLDER, then pairs of links: to a hidden name that is there, and to one that is not. What comes of a call
 * is the same. */
static int links(int argc, char **argv)
{
	return compare_pairs(argc, argv, true);
}

static bool lists(const char *folder, const char *name, long number, size_t size)
{
	_Alignas(8) static char entries[65536];
	const size_t at = number == SYS_getdents64 ? 19 : 18;
	int fd = open(folder, O_RDONLY | O_DIRECTORY);
	bool found = false;
	long count;

	while (fd >= 0 && (count = syscall(number, fd, entries, size)) > 0)
		for (long i = 0; i < count; i += *(unsigned short *)(void *)(entries + i + 16))
			found |= strcmp(entries + i + at, name) == 0;
	(void)close(fd);
	return found;
}

/* FOLDER VISIBLE NAME ...: listings show the visible one, and none of the others; what is visible works as
 * ever. */
static int listing(int argc, char **argv)
{
	static const long numbers[] = {SYS_getdents64, SYS_getdents};
	static const size_t sizes[] = {65536, 48, 300};

	if (chdir(argv[0]) < 0)
		return 1;
	for (size_t i = 0; i < 6; i++) {
		const long number = numbers[i % 2];
		const size_t size = sizes[i / 2];

		(void)must_work("list-visible", lists(".", argv[1], number, size) ? 0 : -1);
		for (int name = 2; name < argc; name++)
			(void)must_fail(argv[name], lists(".", argv[name], number, size) ? 0 : -1);
	}
	(void)must_work("stat", stat(argv[1], &status));
	(void)must_work("statx", statx(AT_FDCWD, argv[1], 0, STATX_ALL, (struct statx *)(void *)buffer));
	(void)must_work("access", access(argv[1], R_OK));
	(void)must_work("statfs", statfs(argv[1], (struct statfs *)(void *)buffer));
	(void)must_work("stat-descriptor", fstatat(open(argv[1], O_RDONLY), "", &status, AT_EMPTY_PATH));
	(void)must_work("place", open(".", O_PATH | O_DIRECTORY));
	(void)must_work("chdir", chdir("sub"));
	(void)must_work("getcwd",
			getcwd(buffer, sizeof(buffer)) != NULL && strcmp(strrchr(buffer, '/'), "/sub") == 0 ? 0 : -1);
	(void)must_work("fchdir", fchdir(open("..", O_RDONLY)));
	errno = 0;
	(void)must_work("getcwd-short", syscall(SYS_getcwd, buffer, 2) < 0 && errno == ERANGE ? 0 : -1);
	errno = 0;
	(void)must_work("stat-nowhere", stat("no/such", &status) < 0 && errno == ENOENT ? 0 : -1);
	(void)must_work("access-of-nothing", syscall(SYS_access, argv[1], 64) < 0 && errno == EINVAL ? 0 : -1);
	return 0;
}

/* --- the working directory, while its text changes --- */

struct shared {
	atomic_int seen, entered;
};

static struct shared *shared;
static char paths[2][PATH_MAX];
static volatile char flip[PATH_MAX];

static void *flip_text(void *data)
{
	const size_t length = strlen(paths[0]) + 1;

	(void)data;
	for (unsigned int turn = 0;; turn++)
		for (size_t i = 0; i < length; i++)
			flip[i] = paths[turn & 1][i];
	return NULL;
}

/* It has the working directory of the thread that enters (CLONE_FS), and looks at it all the time. */
static void *look_around(void *data)
{
	char here[PATH_MAX];

	for (;;)
		if (getcwd(here, sizeof(here)) != NULL && strstr(here, data) != NULL)
			atomic_store(&shared->seen, 1);
	return NULL;
}

static void enter_once(char *hidden)
{
	pthread_t threads[2];
	char here[PATH_MAX];

	if (pthread_create(&threads[0], NULL, flip_text, NULL) != 0 ||
	    pthread_create(&threads[1], NULL, look_around, hidden) != 0)
		_exit(2);
	for (int i = 0; i < 50; i++) {
		if (chdir((const char *)(uintptr_t)flip) < 0)
			continue;
		if (getcwd(here, sizeof(here)) == NULL || strstr(here, hidden) != NULL)
			atomic_store(&shared->seen, 1);
		atomic_fetch_add(&shared->entered, 1);
	}
	_exit(0);
}

/* VISIBLE HIDDEN TRIES: two folders of one length. Nobody is ever seen in the second; who races for it may be
 * killed. */
static int enter(int argc, char **argv)
{
	int killed = 0, tries = atoi(argv[2]);

	(void)argc;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	(void)snprintf(paths[0], PATH_MAX, "%s", argv[0]);
	(void)snprintf(paths[1], PATH_MAX, "%s", argv[1]);
	for (size_t i = 0; paths[0][i] != '\0'; i++)
		flip[i] = paths[0][i];
	if (shared == MAP_FAILED || strlen(paths[0]) != strlen(paths[1]))
		return 1;
	for (int i = 0; i < tries; i++) {
		pid_t child = fork();
		int result;

		if (child == 0)
			enter_once(strrchr(argv[1], '/'));
		if (child < 0 || waitpid(child, &result, 0) != child)
			return 1;
		killed += WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL;
	}
	if (atomic_load(&shared->seen) != 0)
		escaped("enter");
	else
		refused("enter", ENOENT);
	(void)must_work("entered", atomic_load(&shared->entered) > 0 ? 0 : -1);
	saw_number("killed", killed);
	return 0;
}

const struct probe probes[] = {
	{"alike", alike}, {"links", links}, {"listing", listing}, {"enter", enter}, {NULL, NULL}};
