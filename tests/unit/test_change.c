/*
 * Calls that change names and attributes, and looks at links and attributes: against the kernel's own answers
 * where all is allowed, against the policy where not, and against those who change names and texts meanwhile.
 */
#include "change_world.h"

#include <linux/fs.h>
#include <pthread.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <time.h>

#define P(text) ((uint64_t)(uintptr_t)(text))
#define HERE ((uint64_t)AT_FDCWD)
#define CALL(name, ...)                                                                                      \
	{                                                                                                    \
		SYS_##name,                                                                                  \
		{                                                                                            \
			__VA_ARGS__                                                                          \
		}                                                                                            \
	}
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#define SYS_getxattrat 464
#define SYS_listxattrat 465
#define SYS_removexattrat 466
#endif
#ifndef SYS_file_getattr
#define SYS_file_getattr 468
#define SYS_file_setattr 469
#endif

enum { OUT_SIZE = 256, TEXT_MAX = 64 * 1024 };

static char *out;   /* memory that parent and child share: what calls write */
static char *texts; /* and texts that change while a call is on its way */

static const char long_name[NAME_MAX + 2] = {[0 ... NAME_MAX] = 'n'};
static const struct timespec old_times[2] = {{1000000, 5}, {2000000, 7}};
static const struct timespec omit_times[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}},
			     bad_times[2] = {{0, -5}, {0, 0}};
static const struct timeval old_values[2] = {{3000000, 1}, {4000000, 999999}},
			    bad_values[2] = {{1, 1000000}, {1, 0}};
static const long old_seconds[2] = {5000000, 6000000};
static const struct {
	uint64_t value;
	uint32_t size, flags;
} packed_value = {P("abc"), 3, 0};

static int make_shared(void **state)
{
	(void)state;
	out = mmap(NULL, TEXT_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	texts = mmap(NULL, TEXT_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return out == MAP_FAILED || texts == MAP_FAILED ? -1 : 0;
}

static void put_file(const struct test_world *world, const char *name, const char *contents)
{
	SG_AUTO_FD int fd = openat(world->at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	must(fd >= 0 && sg_fd_write_full(fd, contents, strlen(contents)) == 0, name);
}

static void put_folder(const struct test_world *world, const char *name)
{
	must(mkdirat(world->at, name, 0755) == 0, name);
}

SG_UNUSED static bool exists(const struct test_world *world, const char *name)
{
	return faccessat(world->at, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

SG_UNUSED static bool holds(const struct test_world *world, const char *name, const char *contents)
{
	SG_AUTO_FD int fd = openat(world->at, name, O_RDONLY | O_CLOEXEC);
	char text[256];
	ssize_t size = fd < 0 ? -1 : sg_fd_read_full(fd, text, sizeof(text));

	return size == (ssize_t)strlen(contents) && memcmp(text, contents, (size_t)size) == 0;
}

/* Every call of the classes has a row, whose places agree with the roles of the arguments; no other call has
 * one. */
static void test_table(void **state)
{
	(void)state;
	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++) {
		const struct sg_syscall *call = sg_syscall_by_number(number);
		const struct sg_change_row *row = sg_change_row(number);
		const bool ours = call != NULL &&
				  (call->class == SG_CLASS_FILE_CHANGE || call->class == SG_CLASS_FD_CHANGE ||
				   call->class == SG_CLASS_FILE_LOOK);

		if (ours != (row != NULL))
			fail_msg("call %u (%s): row %s", number, call != NULL ? call->name : "?",
				 row != NULL ? "there" : "missing");
		if (!ours)
			continue;
		assert_non_null(row->operation);
		assert_true((row->fd != 0) == (call->class == SG_CLASS_FD_CHANGE));
		assert_true((row->path != 0) != (row->fd != 0));
		for (unsigned int i = 0; i < SG_SYSCALL_ARGUMENTS; i++) {
			enum sg_arg_role role = sg_syscall_role(call, i);
			bool path = row->path == i + 1 || row->path2 == i + 1;
			bool directory = row->dirfd == i + 1 || row->dirfd2 == i + 1;

			if (path != (role == SG_ARG_PATH) || directory != (role == SG_ARG_DIRFD) ||
			    (row->fd == i + 1) != (role == SG_ARG_FD))
				fail_msg("%s: argument %u", call->name, i);
			if (row->flags == i + 1)
				assert_int_equal(role, SG_ARG_FLAGS);
		}
	}
	assert_null(sg_change_row(SG_SYSCALL_LIMIT));
	assert_null(sg_change_row(UINT32_MAX));
}

/* --- the same calls, native and notified --- */

static void fill_plain(struct test_world *world)
{
	static const char *const folders[] = {"d", "d/sub", "empty", "empty2", "full"};
	static const char *const files[] = {"f", "g", "h", "d/file", "full/x", "old", "linked"};

	for (size_t i = 0; i < SG_ARRAY_SIZE(folders); i++)
		put_folder(world, folders[i]);
	for (size_t i = 0; i < SG_ARRAY_SIZE(files); i++)
		put_file(world, files[i], files[i]);
	must(symlinkat("f", world->at, "to-f") == 0 && symlinkat("d", world->at, "to-d") == 0 &&
		     symlinkat("nowhere", world->at, "dangling") == 0 &&
		     symlinkat("loop", world->at, "loop") == 0,
	     "links");
	must(mkfifoat(world->at, "fifo", 0600) == 0, "fifo");
}

/* In order: later ones build on what earlier ones did. */
static const struct call plain_calls[] = {
	/* making */
	CALL(mkdir, P("new"), 0777),
	CALL(mkdir, P("new/"), 0777),
	CALL(mkdir, P("new/below/"), 01777),
	CALL(mkdir, P("f"), 0700),
	CALL(mkdir, P("f/x"), 0700),
	CALL(mkdir, P("missing/x"), 0700),
	CALL(mkdir, P(""), 0700),
	CALL(mkdir, P("new/."), 0700),
	CALL(mkdir, P("new/.."), 0700),
	CALL(mkdir, P("/"), 0700),
	CALL(mkdir, P("dangling"), 0700),
	CALL(mkdir, P("dangling/"), 0700),
	CALL(mkdir, 0, 0700),
	CALL(mkdir, 1, 0700),
	CALL(mkdir, P(long_name), 0700),
	CALL(mkdir, P("loop/x"), 0700),
	CALL(mkdirat, HERE, P("new2"), 0),
	CALL(mkdirat, 999, P("x"), 0700),
	CALL(mkdirat, 999, P("/"), 0700),
	CALL(openat, HERE, P("d"), O_RDONLY | O_DIRECTORY),
	CALL(mkdirat, LAST, P("made"), 0750),
	CALL(mkdirat, LAST, P("../made"), 0750),
	CALL(unlinkat, LAST, P("made"), AT_REMOVEDIR),
	CALL(fchmod, LAST, 0711),
	CALL(close, LAST),
	CALL(openat, HERE, P("f"), O_RDONLY),
	CALL(mkdirat, LAST, P("x"), 0700),
	CALL(close, LAST),
	CALL(mknod, P("pipe"), S_IFIFO | 0666, 0),
	CALL(mknod, P("plain"), 0666, 0),
	CALL(mknodat, HERE, P("sock"), S_IFSOCK | 0600, 0),
	CALL(mknod, P("f"), S_IFREG | 0600, 0),
	CALL(mknod, P("plain2/"), S_IFREG | 0600, 0),
	CALL(mknod, P("x"), S_IFDIR | 0600, 0),
	CALL(mknod, P("x"), S_IFLNK | 0600, 0),
	CALL(mknod, P("x"), S_IFMT, 0),
	CALL(mknod, P("dangling"), S_IFREG | 0600, 0),
	CALL(symlink, P("f"), P("s1")),
	CALL(symlinkat, P("any text //"), HERE, P("s2")),
	CALL(symlink, P(""), P("s3")),
	CALL(symlink, P("f"), P("f")),
	CALL(symlink, P("f"), P("s3/")),
	CALL(symlink, 0, P("s3")),
	CALL(symlink, P("f"), P("d/..")),
	CALL(symlink, P(long_name), P("s4")),
	/* linking */
	CALL(link, P("f"), P("f2")),
	CALL(link, P("f"), P("f2")),
	CALL(link, P("d"), P("d2")),
	CALL(link, P("missing"), P("m2")),
	CALL(link, P("to-f"), P("l1")),
	CALL(linkat, HERE, P("to-f"), HERE, P("l2"), AT_SYMLINK_FOLLOW),
	CALL(link, P("f/"), P("l3")),
	CALL(link, P("f"), P("l3/")),
	CALL(linkat, HERE, P("f"), HERE, P("l3"), 1),
	CALL(linkat, HERE, P(""), HERE, P("l3"), 0),
	CALL(linkat, HERE, P("dangling"), HERE, P("l4"), AT_SYMLINK_FOLLOW),
	CALL(linkat, HERE, P("fifo"), HERE, P("fifo2"), 0),
	CALL(linkat, HERE, P("f"), 999, P("l5"), 0),
	CALL(link, P("f"), P(".")),
	CALL(openat, HERE, P("."), O_TMPFILE | O_RDWR, 0640),
	CALL(dup2, LAST, 50),
	CALL(close, LAST),
	CALL(linkat, HERE, P("/proc/self/fd/50"), HERE, P("tmp1"), AT_SYMLINK_FOLLOW),
	CALL(fchmod, 50, 0600),
	CALL(close, 50),
	/* renaming */
	CALL(rename, P("g"), P("g2")),
	CALL(rename, P("g"), P("g3")),
	CALL(rename, P("g2"), P("d")),
	CALL(rename, P("d"), P("g2")),
	CALL(rename, P("empty"), P("empty2")),
	CALL(rename, P("empty2/"), P("empty3/")),
	CALL(rename, P("empty3"), P("full")),
	CALL(rename, P("g2/"), P("g4")),
	CALL(rename, P("g2"), P("g4/")),
	CALL(rename, P("d"), P("d/sub/x")),
	CALL(rename, P("d/sub"), P("d")),
	CALL(rename, P("."), P("x")),
	CALL(rename, P("f"), P("..")),
	CALL(rename, P("/"), P("x")),
	CALL(rename, P("to-d/"), P("x")),
	CALL(rename, P("to-f"), P("to-f-moved")),
	CALL(renameat, HERE, P("h"), HERE, P("h")),
	CALL(rename, P("f"), P("f2")),
	CALL(renameat2, HERE, P("h"), HERE, P("f"), RENAME_NOREPLACE),
	CALL(renameat2, HERE, P("h"), HERE, P("h2"), RENAME_NOREPLACE),
	CALL(renameat2, HERE, P("h2"), HERE, P("d"), RENAME_EXCHANGE),
	CALL(renameat2, HERE, P("h2"), HERE, P("d"), RENAME_EXCHANGE),
	CALL(renameat2, HERE, P("h2"), HERE, P("missing"), RENAME_EXCHANGE),
	CALL(renameat2, HERE, P("missing"), HERE, P("h2"), RENAME_EXCHANGE),
	CALL(renameat2, HERE, P("h2/"), HERE, P("d/"), RENAME_EXCHANGE),
	CALL(renameat2, HERE, P("f"), HERE, P("."), RENAME_NOREPLACE),
	CALL(renameat2, HERE, P("h2"), HERE, P("h3"), RENAME_NOREPLACE | RENAME_EXCHANGE),
	CALL(renameat2, HERE, P("h2"), HERE, P("h3"), 8),
	CALL(renameat, 999, P("h2"), HERE, P("h3")),
	CALL(rename, P("h2"), 0),
	CALL(rename, P("h2"), P("f/x")),
	CALL(rename, P("h2"), P("")),
	CALL(rename, P("h2"), P("/proc/self/x")),
	/* modes, owners, times */
	CALL(chmod, P("f"), 0604),
	CALL(chmod, P("to-d"), 0705),
	CALL(chmod, P("missing"), 0),
	CALL(chmod, P("dangling"), 0),
	CALL(chmod, P("f/"), 0),
	CALL(chmod, P(""), 0),
	CALL(chmod, P("loop"), 0),
	CALL(chmod, P("f"), 0170604),
	CALL(chmod, P("fifo"), 0620),
	CALL(fchmodat, HERE, P("old"), 0444),
	CALL(fchmodat2, HERE, P("s1"), 0600, AT_SYMLINK_NOFOLLOW),
	CALL(fchmodat2, HERE, P("f"), 0606, AT_SYMLINK_NOFOLLOW),
	CALL(fchmodat2, HERE, P("f"), 0606, 1),
	CALL(fchmodat2, HERE, P(""), 0755, AT_EMPTY_PATH),
	CALL(fchmodat2, 999, P(""), 0755, AT_EMPTY_PATH),
	CALL(fchmod, 999, 0),
	CALL(fchmod, (uint64_t)-1, 0),
	CALL(openat, HERE, P("f"), O_RDONLY),
	CALL(fchmod, LAST, 0640),
	CALL(fchown, LAST, (uint64_t)-1, (uint64_t)-1),
	CALL(fchmodat2, LAST, P(""), 0644, AT_EMPTY_PATH),
	CALL(utimensat, LAST, 0, P(old_times), 0),
	CALL(utimensat, LAST, 0, P(old_times), AT_SYMLINK_NOFOLLOW),
	CALL(futimesat, LAST, 0, P(old_values)),
	CALL(fsetxattr, LAST, P("user.fd"), P("12"), 2, 0),
	CALL(fremovexattr, LAST, P("user.fd")),
	CALL(fremovexattr, LAST, P("user.fd")),
	CALL(utimensat, LAST, P(""), P(old_times), AT_EMPTY_PATH),
	CALL(close, LAST),
	CALL(chown, P("f"), 12345, (uint64_t)-1),
	CALL(chown, P("f"), (uint64_t)-1, (uint64_t)-1),
	CALL(lchown, P("dangling"), (uint64_t)-1, (uint64_t)-1),
	CALL(chown, P("dangling"), (uint64_t)-1, (uint64_t)-1),
	CALL(fchownat, HERE, P("s1"), 12345, (uint64_t)-1, AT_SYMLINK_NOFOLLOW),
	CALL(fchownat, HERE, P("f"), 1, 1, 1),
	CALL(fchownat, HERE, P(""), (uint64_t)-1, (uint64_t)-1, AT_EMPTY_PATH),
	CALL(fchown, 999, 1, 1),
	CALL(utime, P("old"), P(old_seconds)),
	CALL(utime, P("old"), 1),
	CALL(utime, P("missing"), 0),
	CALL(utimes, P("linked"), P(old_values)),
	CALL(utimes, P("linked"), P(bad_values)),
	CALL(utimes, P("dangling"), 0),
	CALL(futimesat, HERE, P("d/file"), P(old_values)),
	CALL(futimesat, HERE, 0, 0),
	CALL(futimesat, 999, 0, 0),
	CALL(utimensat, HERE, P("full/x"), P(old_times), 0),
	CALL(utimensat, HERE, P("dangling"), P(old_times), AT_SYMLINK_NOFOLLOW),
	CALL(utimensat, HERE, P("missing"), P(omit_times), 0),
	CALL(utimensat, HERE, P("f"), P(bad_times), 0),
	CALL(utimensat, HERE, P("f"), 0, 1),
	CALL(utimensat, HERE, 0, 0, 0),
	CALL(utimensat, 999, 0, 0, 0),
	CALL(utimensat, 999, P("f"), 0, 0),
	/* length */
	CALL(truncate, P("f"), 0),
	CALL(truncate, P("d/file"), 2),
	CALL(truncate, P("full/x"), 4000),
	CALL(truncate, P("d"), 0),
	CALL(truncate, P("fifo"), 0),
	CALL(truncate, P("missing"), 0),
	CALL(truncate, P("f"), (uint64_t)-1),
	CALL(truncate, P("to-f-moved"), 3),
	CALL(truncate, P("f/"), 0),
	CALL(truncate, P("old"), 1),
	/* extended attributes */
	CALL(setxattr, P("f"), P("user.a"), P("value"), 5, 0),
	CALL(setxattr, P("f"), P("user.a"), P("value"), 5, XATTR_CREATE),
	CALL(setxattr, P("f"), P("user.b"), P("value"), 5, XATTR_REPLACE),
	CALL(setxattr, P("f"), P("user.a"), P("value"), 5, 8),
	CALL(setxattr, P("f"), P(""), P("value"), 5, 0),
	CALL(setxattr, P("f"), P(long_name), P("value"), 5, 0),
	CALL(setxattr, P("f"), 0, P("v"), 1, 0),
	CALL(setxattr, P("f"), P("user.a"), 0, 5, 0),
	CALL(setxattr, P("f"), P("user.c"), P("x"), 65537, 0),
	CALL(setxattr, P("f"), P("user.c"), 0, 0, 0),
	CALL(setxattr, P("d"), P("user.d"), P("dir"), 3, 0),
	CALL(lsetxattr, P("dangling"), P("user.x"), P("v"), 1, 0),
	CALL(setxattr, P("f"), P("nonsense"), P("v"), 1, 0),
	CALL(setxattr, P("missing"), P("user.a"), P("v"), 1, 0),
	CALL(setxattrat, HERE, P("f"), 0, P("user.p"), P(&packed_value), 16),
	CALL(setxattrat, HERE, P("f"), 0, P("user.p"), P(&packed_value), 15),
	CALL(setxattrat, HERE, P("f"), 1, P("user.p"), P(&packed_value), 16),
	CALL(getxattrat, HERE, P("f"), 0, P("user.p"), P(&packed_value), 5000),
	CALL(getxattr, P("f"), P("user.a"), P(NULL), 0),
	CALL(getxattr, P("f"), P("user.none"), P(NULL), 0),
	CALL(listxattr, P("f"), P(NULL), 0),
	CALL(listxattrat, HERE, P("f"), 0, P(NULL), 0),
	CALL(llistxattr, P("dangling"), P(NULL), 0),
	CALL(listxattr, P("dangling"), P(NULL), 0),
	CALL(lgetxattr, P("dangling"), P("user.a"), P(NULL), 0),
	CALL(removexattr, P("f"), P("user.c")),
	CALL(removexattr, P("f"), P("user.c")),
	CALL(lremovexattr, P("f"), P("user.p")),
	CALL(removexattrat, HERE, P("f"), 0, P("user.p")),
	CALL(removexattrat, HERE, P("f"), 2, P("user.p")),
	CALL(removexattr, P("f"), P("nonsense")),
	CALL(fsetxattr, 999, P("user.a"), P("v"), 1, 0),
	CALL(file_setattr, HERE, P("f"), P(long_name), 23, 0),
	CALL(file_setattr, HERE, P("f"), P(long_name), 5000, 0),
	CALL(file_getattr, HERE, P("f"), P(long_name), 23, 0),
	CALL(file_getattr, HERE, P("missing"), P(long_name), 24, 0),
	/* removing */
	CALL(unlink, P("d")),
	CALL(unlink, P("d/")),
	CALL(unlink, P("f/")),
	CALL(unlink, P("missing")),
	CALL(unlink, P("missing/")),
	CALL(unlink, P("")),
	CALL(unlink, P(".")),
	CALL(unlink, P("..")),
	CALL(unlink, P("/")),
	CALL(unlink, P("dangling/")),
	CALL(unlink, P("to-d/")),
	CALL(unlink, P("f/x")),
	CALL(rmdir, P("f")),
	CALL(rmdir, P("d")),
	CALL(rmdir, P("d/sub/.")),
	CALL(rmdir, P("d/sub/..")),
	CALL(rmdir, P("/")),
	CALL(rmdir, P("to-d")),
	CALL(rmdir, P("to-d/")),
	CALL(rmdir, P("missing")),
	CALL(rmdir, P("d/sub/")),
	CALL(unlink, P("/proc/self/status")),
	CALL(unlinkat, HERE, P("f"), 1),
	CALL(unlinkat, HERE, P("new/below"), AT_REMOVEDIR),
	CALL(unlinkat, 999, P("f"), 0),
	CALL(unlink, P("dangling")),
	CALL(unlink, P("f")),
	CALL(unlink, 0),
	CALL(rmdir, P("new2")),
	/* looking at links: `out` is compared */
	CALL(readlink, P("s1"), P(NULL), 10),
	CALL(readlink, P("f2"), P(NULL), 10),
	CALL(readlink, P("missing"), P(NULL), 10),
	CALL(readlink, P("s1"), P(NULL), 0),
	CALL(readlink, P("s1"), P(NULL), (uint64_t)-1),
	CALL(readlink, P("to-d/"), P(NULL), 10),
	CALL(readlinkat, HERE, P(""), P(NULL), 10),
	CALL(readlinkat, 999, P("s1"), P(NULL), 10),
	CALL(openat, HERE, P("s2"), O_PATH | O_NOFOLLOW),
	CALL(fchmod, LAST, 0600),
	CALL(fsetxattr, LAST, P("user.a"), P("v"), 1, 0),
};

/* Calls that write into `out`, which is not yet there when the list above is made. */
static size_t reading_calls(struct call *calls)
{
	const struct call list[] = {
		CALL(readlink, P("s2"), P(out), OUT_SIZE),
		CALL(readlink, P("s2"), P(out), 3),
		CALL(readlinkat, HERE, P("s1"), P(out), OUT_SIZE),
		CALL(readlink, P("/proc/self/cwd/s1"), P(out), OUT_SIZE),
		CALL(readlink, P("/proc/self/fd/0"), P(out), OUT_SIZE),
		CALL(readlink, P("/proc/self/exe"), P(out), OUT_SIZE),
		CALL(readlink, P("/proc/mounts"), P(out), OUT_SIZE),
		CALL(getxattr, P("d"), P("user.d"), P(out), OUT_SIZE),
		CALL(getxattr, P("d"), P("user.d"), P(out), 2),
		CALL(getxattr, P("d"), P("user.d"), 1, 3),
		CALL(listxattr, P("d"), P(out), OUT_SIZE),
		CALL(listxattr, P("d"), P(out), 3),
		CALL(file_getattr, HERE, P("d"), P(out), 24, 0),
		CALL(file_getattr, HERE, P("s1"), P(out), 32, AT_SYMLINK_NOFOLLOW),
	};

	memcpy(calls, list, sizeof(list));
	return SG_ARRAY_SIZE(list);
}

static size_t describe(const char *folder, char *text, size_t size)
{
	char command[512];
	FILE *stream;
	size_t length;

	/* Times are told of what the calls have set to old ones. */
	(void)snprintf(command, sizeof(command),
		       "cd '%s' && find . \\( -newermt 2015-01-01 -printf '%%P %%y %%m %%s %%n %%l\\n' \\) "
		       "-o -printf '%%P %%y %%m %%s %%n "
		       "%%l %%Ts %%As\\n' | LC_ALL=C sort",
		       folder);
	stream = popen(command, "r");
	must(stream != NULL, "find");
	length = fread(text, 1, size - 1, stream);
	text[length] = '\0';
	must(pclose(stream) == 0, "find");
	return length;
}

struct seen {
	struct outcome outcome;
	char out[OUT_SIZE];
};

enum { CALLS_MAX = 400 };

static size_t do_all(struct test_world *world, struct seen *seen, char *tree)
{
	static struct call calls[CALLS_MAX];
	size_t count = SG_ARRAY_SIZE(plain_calls), i;

	memcpy(calls, plain_calls, sizeof(plain_calls));
	count += reading_calls(calls + count);
	for (i = 0; i < count; i++) {
		memset(out, '#', OUT_SIZE);
		seen[i].outcome = world_call(world, &calls[i]);
		memcpy(seen[i].out, out, OUT_SIZE);
	}
	(void)describe(world->folder, tree, TEXT_MAX);
	return count;
}

static void name_call(size_t index, char *text, size_t size)
{
	static struct call calls[CALLS_MAX];
	const struct call *call = &calls[index];
	const struct sg_syscall *known;
	size_t count = SG_ARRAY_SIZE(plain_calls), used;

	memcpy(calls, plain_calls, sizeof(plain_calls));
	count += reading_calls(calls + count);
	known = sg_syscall_by_number((unsigned int)call->number);
	used = (size_t)snprintf(text, size, "%zu: %s(", index, known->name);
	for (unsigned int i = 0; i < 5 && used < size; i++) {
		enum sg_arg_role role = sg_syscall_role(known, i);
		const char *argument = (const char *)(uintptr_t)call->arguments[i];

		if ((role == SG_ARG_PATH || role == SG_ARG_NAME) && call->arguments[i] > 4096)
			used += (size_t)snprintf(text + used, size - used, "\"%.40s\", ", argument);
		else if (role != SG_ARG_NONE)
			used += (size_t)snprintf(text + used, size - used, "%#lx, ",
						 (unsigned long)call->arguments[i]);
	}
}

static void test_as_the_kernel(void **state)
{
	static struct test_world native, world;
	static struct seen expected[CALLS_MAX], seen[CALLS_MAX];
	static char expected_tree[TEXT_MAX], tree[TEXT_MAX];
	struct stat proc;
	size_t count, bad = 0;

	(void)state;
	world_init(&native);
	fill_plain(&native);
	world_compile(&native, "Name = 'plain'\n");
	world_start(&native, false, NULL, NULL);
	count = do_all(&native, expected, expected_tree);
	world_stop(&native);
	world_done(&native);

	world_init(&world);
	fill_plain(&world);
	world_compile(&world, "Name = 'all'\n[Filesystem]\nReadWrite = ['@/**', '@/']\nReadOnly = "
			      "['/usr/**', '/dev/**']\n");
	must(fstatat(AT_FDCWD, "/proc", &proc, 0) == 0, "/proc");
	world.supervisor.own_devices[world.supervisor.own_device_count++] = proc.st_dev;
	world_start(&world, true, NULL, NULL);
	assert_int_equal(do_all(&world, seen, tree), count);
	world_stop(&world);
	for (size_t i = 0; i < count; i++) {
		char name[256];

		if (seen[i].outcome.value == expected[i].outcome.value &&
		    seen[i].outcome.error == expected[i].outcome.error &&
		    memcmp(seen[i].out, expected[i].out, OUT_SIZE) == 0)
			continue;
		name_call(i, name, sizeof(name));
		print_error("%s): the kernel gives %ld (%s), the supervisor %ld (%s)\n", name,
			    (long)expected[i].outcome.value, strerrorname_np(expected[i].outcome.error),
			    (long)seen[i].outcome.value, strerrorname_np(seen[i].outcome.error));
		bad++;
	}
	assert_int_equal(bad, 0);
	assert_string_equal(tree, expected_tree);
	assert_true(world.notified > SG_ARRAY_SIZE(plain_calls) - 20);
	world_done(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_as_the_kernel),
	};

	drop_capabilities();
	return cmocka_run_group_tests(tests, make_shared, NULL);
}
