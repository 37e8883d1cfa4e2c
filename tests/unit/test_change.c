/*
 * Calls that change names and attributes, and looks at links and attributes: against the kernel's own answers
 * where all is allowed, against the policy where not, and against those who change names and texts meanwhile.
 */
#include "change_world.h"

#include <linux/fs.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <time.h>

#include "tables/numbers.h"

#define P(text) ((uint64_t)(uintptr_t)(text))
#define HERE ((uint64_t)AT_FDCWD)
#define CALL(name, ...)                                                                                                \
	{                                                                                                              \
		SYS_##name,                                                                                            \
		{                                                                                                      \
			__VA_ARGS__                                                                                    \
		}                                                                                                      \
	}

enum { OUT_SIZE = 256, TEXT_MAX = 64 * 1024 };

static char *out;   /* memory that parent and child share: what calls write */
static char *texts; /* and texts that change while a call is on its way */

static const char long_name[NAME_MAX + 2] = {[0 ... NAME_MAX] = 'n'};
static const struct timespec old_times[2] = {{1000000, 5}, {2000000, 7}};
static const struct timespec omit_times[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}}, bad_times[2] = {{0, -5}, {0, 0}};
static const struct timeval old_values[2] = {{3000000, 1}, {4000000, 999999}}, bad_values[2] = {{1, 1000000}, {1, 0}};
static const long old_seconds[2] = {5000000, 6000000};
static const struct {
	uint64_t value;
	uint32_t size, flags;
} packed_value = {P("abc"), 3, 0};

static char packed_out[16]; /* the child's own: nobody compares it */

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

static bool exists(const struct test_world *world, const char *name)
{
	return faccessat(world->at, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool holds(const struct test_world *world, const char *name, const char *contents)
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
		const bool ours =
			call != NULL && (call->class == SG_CLASS_FILE_CHANGE || call->class == SG_CLASS_FD_CHANGE ||
					 call->class == SG_CLASS_FILE_LOOK || call->class == SG_CLASS_FILE_DETAIL ||
					 call->class == SG_CLASS_FD_LOOK);

		if (ours != (row != NULL))
			fail_msg("call %u (%s): row %s", number, call != NULL ? call->name : "?",
				 row != NULL ? "there" : "missing");
		if (!ours)
			continue;
		assert_non_null(row->operation);
		assert_true((row->fd != 0) == (call->class == SG_CLASS_FD_CHANGE));
		if (call->class == SG_CLASS_FD_LOOK) { /* their descriptor is used as it is, not resolved */
			assert_true(row->path == 0 && row->fd == 0);
			continue;
		}
		assert_true((row->path != 0) != (row->fd != 0));
		for (unsigned int i = 0; i < SG_SYSCALL_ARGUMENTS; i++) {
			enum sg_arg_role role = sg_syscall_role(call, i);
			bool path = row->path == i + 1 || row->path2 == i + 1;
			bool directory = row->dirfd == i + 1 || row->dirfd2 == i + 1;

			if (path != (role == SG_ARG_PATH) || directory != (role == SG_ARG_DIRFD) ||
			    (row->fd == i + 1 || row->on == i + 1) != (role == SG_ARG_FD))
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
		     symlinkat("nowhere", world->at, "dangling") == 0 && symlinkat("loop", world->at, "loop") == 0,
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

/* Calls newer than Linux 6.1: no argument of these trials is valid, so that one that is there does nothing. */
static bool kernel_lacks(long number)
{
	return number > SYS_set_mempolicy_home_node && syscall(number, -1L, -1L, -1L, -1L, -1L, -1L) < 0 &&
	       errno == ENOSYS;
}

static size_t do_all(struct test_world *world, struct seen *seen, char *tree)
{
	static struct call calls[CALLS_MAX];
	size_t count = SG_ARRAY_SIZE(plain_calls), i;

	memcpy(calls, plain_calls, sizeof(plain_calls));
	count += reading_calls(calls + count);
	for (i = 0; i < count; i++) {
		memset(out, '#', OUT_SIZE);
		/* What the supervisor does in place of a call that this kernel lacks cannot be compared with anything. */
		if (!kernel_lacks((long)calls[i].number))
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
			used += (size_t)snprintf(text + used, size - used, "%#lx, ", (unsigned long)call->arguments[i]);
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
	assert_true(world.notified > SG_ARRAY_SIZE(plain_calls) - 40);
	world_done(&world);
}

/* --- against the policy --- */

static const char profile[] = "Name = 'rows'\n"
			      "[Filesystem]\n"
			      "ReadWrite  = ['@/w/**', '@/x/*.txt', '@/t/**', '@/t/']\n"
			      "ReadOnly   = ['@/r/**']\n"
			      "Exec       = ['@/w/bin/*']\n"
			      "Deny       = ['@/w/denied', '@/w/den/**', '@/w/{item,other}/secret']\n"
			      "Hide       = ['@/w/hidden', '@/w/hid/**']\n"
			      "DenyRead   = ['@/w/noread*']\n"
			      "DenyWrite  = ['@/w/nowrite']\n"
			      "DenyExec   = ['@/w/bin/bad']\n"
			      "LogOnRead  = ['@/w/logged']\n";

static void fill_rows(struct test_world *world)
{
	static const char *const folders[] = {"w", "r", "x", "t", "w/den", "w/hid", "w/bin", "w/dir", "w/sub", "w/one"};
	static const char *const files[] = {"o",         "w/f",       "w/denied",  "w/den/x",  "w/hidden",
					    "w/noread1", "w/nowrite", "w/bin/bad", "w/logged", "w/permit",
					    "r/f",       "x/a.txt",   "w/one/x",   "w/item"};

	for (size_t i = 0; i < SG_ARRAY_SIZE(folders); i++)
		put_folder(world, folders[i]);
	for (size_t i = 0; i < SG_ARRAY_SIZE(files); i++)
		put_file(world, files[i], files[i]);
	must(linkat(world->at, "w/denied", world->at, "w/alias", 0) == 0 &&
		     linkat(world->at, "w/nowrite", world->at, "w/nowrite2", 0) == 0 &&
		     linkat(world->at, "w/hidden", world->at, "w/seen", 0) == 0 &&
		     symlinkat("denied", world->at, "w/to-denied") == 0 &&
		     symlinkat("../r/f", world->at, "w/to-r") == 0 && symlinkat("f", world->at, "r/link") == 0 &&
		     symlinkat("r", world->at, "o-link") == 0,
	     "links");
}

enum { DONE = 0 };

struct row {
	struct call call;
	int error;         /* DONE: it must succeed */
	const char *there; /* this name must exist afterwards */
	const char *gone;  /* and this one not */
	bool silent;       /* an error of the call itself, not a decision: nothing is recorded */
};

static const struct rlimit small_limit = {100, 100};

static const struct row rows[] = {
	/* making */
	{CALL(mkdir, P("w/new"), 0755), DONE, "w/new", NULL},
	{CALL(mkdir, P("x/d.txt"), 0755), EACCES, NULL, "x/d.txt"},
	{CALL(mknod, P("x/n.txt"), 0644, 0), DONE, "x/n.txt", NULL},
	{CALL(mknod, P("x/n.dat"), 0644, 0), EACCES, NULL, "x/n.dat"},
	{CALL(mkdir, P("r/new"), 0755), EROFS, NULL, "r/new"},
	{CALL(mkdir, P("r"), 0755), EEXIST, "r", NULL, true},
	{CALL(mkdir, P("o/x"), 0755), ENOTDIR, NULL, NULL, true},
	{CALL(mkdir, P("o2"), 0755), EACCES, NULL, "o2"},
	{CALL(mkdir, P("w/hidden"), 0755), EACCES, "w/hidden", NULL},
	{CALL(mkdir, P("w/hid/none"), 0755), EACCES, NULL, "w/hid/none"},
	{CALL(mkdir, P("w/denied"), 0755), EEXIST, NULL, NULL, true},
	{CALL(mkdir, P("w/den/new"), 0755), EACCES, NULL, "w/den/new"},
	{CALL(mkdir, P("w/new2"), 02755), EPERM, NULL, "w/new2"},
	{CALL(mkdir, P("/proc/x"), 0755), ENOENT, NULL, NULL, true},
	{CALL(mknod, P("w/c"), S_IFCHR | 0666, 0x103), EPERM, NULL, "w/c"},
	{CALL(mknod, P("w/c"), S_IFCHR | 0666, 0), EPERM, NULL, "w/c"},
	{CALL(mknod, P("w/b"), S_IFBLK | 0666, 0x800), EPERM, NULL, "w/b"},
	{CALL(mknod, P("w/s"), S_IFREG | 04755, 0), EPERM, NULL, "w/s"},
	{CALL(symlink, P("anything"), P("r/s")), EROFS, NULL, "r/s"},
	{CALL(symlink, P("anything"), P("w/den/s")), EACCES, NULL, "w/den/s"},
	{CALL(symlink, P("denied"), P("w/s")), DONE, "w/s", NULL},
	/* removing: a link goes by its own name */
	{CALL(unlink, P("w/denied")), EACCES, "w/denied", NULL},
	{CALL(unlink, P("w/to-denied")), DONE, "w/denied", "w/to-denied"},
	{CALL(unlink, P("w/hidden")), ENOENT, "w/hidden", NULL},
	{CALL(unlink, P("w/hid/none")), ENOENT, NULL, NULL},
	{CALL(rmdir, P("w/hid/none")), ENOENT, NULL, NULL},
	{CALL(unlink, P("w/alias")), EACCES, "w/alias", NULL},
	{CALL(unlink, P("w/nowrite")), EACCES, "w/nowrite", NULL},
	{CALL(unlink, P("w/den/x")), EACCES, "w/den/x", NULL},
	{CALL(unlink, P("r/f")), EROFS, "r/f", NULL},
	{CALL(unlink, P("r/none")), ENOENT, NULL, NULL, true},
	{CALL(unlink, P("o")), EACCES, "o", NULL},
	{CALL(unlink, P("/proc/self/comm")), EPERM, NULL, NULL, true},
	{CALL(rmdir, P("w/new")), DONE, NULL, "w/new"},
	/* renaming */
	{CALL(rename, P("w/denied"), P("w/q")), EACCES, "w/denied", "w/q"},
	{CALL(rename, P("w/f"), P("w/denied")), EACCES, "w/f", NULL},
	{CALL(rename, P("w/f"), P("w/alias")), EACCES, "w/f", NULL},
	{CALL(rename, P("w/alias"), P("w/q")), EACCES, "w/alias", "w/q"},
	{CALL(rename, P("w/f"), P("r/f")), EROFS, "w/f", NULL},
	{CALL(rename, P("r/f"), P("w/q")), EROFS, "r/f", "w/q"},
	{CALL(rename, P("w/den"), P("w/den2")), EACCES, "w/den", "w/den2"},
	{CALL(rename, P("w/sub"), P("w/den")), ENOTEMPTY, "w/sub", NULL},
	{CALL(rename, P("w/sub"), P("w/item2")), DONE, "w/item2", "w/sub"},
	{CALL(rename, P("w/noread1"), P("w/q")), EACCES, "w/noread1", "w/q"},
	{CALL(rename, P("w/noread1"), P("w/noread2")), DONE, "w/noread2", "w/noread1"},
	{CALL(rename, P("w/hidden"), P("w/q")), ENOENT, "w/hidden", "w/q"},
	{CALL(rename, P("w/hid/none"), P("w/q")), ENOENT, NULL, "w/q"},
	{CALL(rename, P("w/f"), P("w/hidden")), EACCES, "w/f", NULL},
	{CALL(rename, P("w/f"), P("w/hid/none")), EACCES, "w/f", NULL},
	{CALL(rename, P("w/bin/bad"), P("w/bin/good")), EACCES, "w/bin/bad", "w/bin/good"},
	{CALL(rename, P("w/s"), P("w/s2")), DONE, "w/s2", "w/s"},
	{CALL(rename, P("w/f"), P("x/f.txt")), DONE, "x/f.txt", "w/f"},
	{CALL(rename, P("x/f.txt"), P("w/f")), DONE, "w/f", "x/f.txt"},
	{CALL(rename, P("w/dir"), P("x/f.txt")), EACCES, "w/dir", "x/f.txt"},
	{CALL(renameat2, HERE, P("w/f"), HERE, P("w/denied"), RENAME_EXCHANGE), EACCES, "w/f", NULL},
	{CALL(renameat2, HERE, P("w/dir"), HERE, P("w/den"), RENAME_EXCHANGE), EACCES, "w/den/x", NULL},
	{CALL(renameat2, HERE, P("w/f"), HERE, P("w/one"), RENAME_EXCHANGE), DONE, "w/f/x", "w/one/x"},
	{CALL(renameat2, HERE, P("w/f"), HERE, P("w/one"), RENAME_EXCHANGE), DONE, "w/one/x", NULL},
	{CALL(renameat2, HERE, P("w/dir"), HERE, P("x/a.txt"), RENAME_EXCHANGE), EACCES, "w/dir", NULL},
	{CALL(renameat2, HERE, P("w/f"), HERE, P("w/q"), RENAME_WHITEOUT), EPERM, "w/f", "w/q"},
	/* linking: nothing may be gained */
	{CALL(link, P("w/f"), P("w/f2")), DONE, "w/f2", NULL},
	{CALL(link, P("w/f"), P("w/bin/f")), EACCES, NULL, "w/bin/f"},
	{CALL(link, P("w/noread2"), P("w/q")), EACCES, NULL, "w/q"},
	{CALL(link, P("w/logged"), P("w/q")), EACCES, NULL, "w/q"},
	{CALL(link, P("w/alias"), P("w/q")), EACCES, NULL, "w/q"},
	{CALL(link, P("w/denied"), P("w/q")), EACCES, NULL, "w/q"},
	{CALL(link, P("w/hidden"), P("w/q")), ENOENT, NULL, "w/q"},
	{CALL(link, P("r/f"), P("w/q")), EROFS, NULL, "w/q"},
	{CALL(link, P("w/f"), P("x/q")), EACCES, NULL, "x/q"},
	{CALL(link, P("w/f"), P("x/q.txt")), DONE, "x/q.txt", NULL},
	{CALL(linkat, HERE, P("w/s2"), HERE, P("w/q"), AT_SYMLINK_FOLLOW), EACCES, NULL, "w/q"},
	{CALL(openat, HERE, P("t"), O_TMPFILE | O_RDWR, 0644), DONE, NULL, NULL},
	{CALL(linkat, LAST, P(""), HERE, P("w/bin/t"), AT_EMPTY_PATH), EACCES, NULL, "w/bin/t"},
	{CALL(linkat, LAST, P(""), HERE, P("o3"), AT_EMPTY_PATH), EACCES, NULL, "o3"},
	{CALL(linkat, LAST, P(""), HERE, P("t/made"), AT_EMPTY_PATH), DONE, "t/made", NULL},
	{CALL(fchmod, LAST, 0600), DONE, NULL, NULL},
	{CALL(close, LAST), DONE, NULL, NULL, true},
	/* attributes */
	{CALL(chmod, P("w/f"), 0600), DONE, NULL, NULL},
	{CALL(chmod, P("w/denied"), 0666), EACCES, NULL, NULL},
	{CALL(chmod, P("w/s2"), 0666), EACCES, NULL, NULL},
	{CALL(chmod, P("w/alias"), 0666), EACCES, NULL, NULL},
	{CALL(chmod, P("r/f"), 0666), EROFS, NULL, NULL},
	{CALL(chmod, P("w/to-r"), 0666), EROFS, NULL, NULL},
	{CALL(chmod, P("w/hidden"), 0666), ENOENT, NULL, NULL},
	{CALL(chmod, P("o"), 0666), EACCES, NULL, NULL},
	{CALL(chmod, P("w/f"), 04700), EPERM, NULL, NULL},
	{CALL(fchmodat2, HERE, P("w/f"), 02700, 0), EPERM, NULL, NULL},
	{CALL(fchmodat2, HERE, P("w/f"), 0700, 4), EINVAL, NULL, NULL, true},
	{CALL(chmod, P("/proc/self/comm"), 0666), EPERM, NULL, NULL},
	{CALL(chown, P("r/f"), (uint64_t)-1, (uint64_t)-1), EROFS, NULL, NULL},
	{CALL(lchown, P("w/s2"), (uint64_t)-1, (uint64_t)-1), DONE, NULL, NULL},
	{CALL(utimensat, HERE, P("r/f"), P(old_times), 0), EROFS, NULL, NULL},
	{CALL(utimensat, HERE, P("w/s2"), P(old_times), AT_SYMLINK_NOFOLLOW), DONE, NULL, NULL},
	{CALL(utimensat, HERE, P("w/s2"), P(old_times), 0), EACCES, NULL, NULL},
	{CALL(utime, P("w/nowrite"), P(old_seconds)), EACCES, NULL, NULL},
	{CALL(openat, HERE, P("r/f"), O_RDONLY), DONE, NULL, NULL},
	{CALL(dup2, LAST, 50), DONE, NULL, NULL, true},
	{CALL(fchmod, 50, 0666), EROFS, NULL, NULL},
	{CALL(fchown, 50, (uint64_t)-1, (uint64_t)-1), EROFS, NULL, NULL},
	{CALL(fsetxattr, 50, P("user.a"), P("v"), 1, 0), EROFS, NULL, NULL},
	{CALL(fremovexattr, 50, P("user.a")), EROFS, NULL, NULL},
	{CALL(utimensat, 50, 0, P(old_times), 0), EROFS, NULL, NULL},
	{CALL(chmod, P("/proc/self/fd/50"), 0666), EROFS, NULL, NULL},
	{CALL(fchmodat, 50, P(""), 0666), ENOENT, NULL, NULL, true},
	{CALL(truncate, P("w/permit"), 0), DONE, NULL, NULL},
	{CALL(truncate, P("w/denied"), 0), EACCES, NULL, NULL},
	{CALL(truncate, P("w/alias"), 0), EACCES, NULL, NULL},
	{CALL(truncate, P("w/nowrite"), 0), EACCES, NULL, NULL},
	{CALL(truncate, P("w/hidden"), 0), ENOENT, NULL, NULL},
	{CALL(truncate, P("r/f"), 0), EROFS, NULL, NULL},
	{CALL(truncate, P("/proc/self/fd/50"), 0), EROFS, NULL, NULL},
	{CALL(prlimit64, 0, RLIMIT_FSIZE, P(&small_limit), 0), DONE, NULL, NULL, true},
	{CALL(truncate, P("w/permit"), 101), EFBIG, NULL, NULL, true},
	{CALL(truncate, P("w/permit"), 100), DONE, NULL, NULL},
	/* extended attributes */
	{CALL(setxattr, P("w/f"), P("user.a"), P("v"), 1, 0), DONE, NULL, NULL},
	{CALL(setxattr, P("w/f"), P("security.capability"), P("v"), 1, 0), EPERM, NULL, NULL},
	{CALL(setxattr, P("w/f"), P("trusted.a"), P("v"), 1, 0), EPERM, NULL, NULL},
	{CALL(setxattr, P("w/f"), P("user.overlay.opaque"), P("y"), 1, 0), EPERM, NULL, NULL},
	{CALL(removexattr, P("w/f"), P("security.ima")), EPERM, NULL, NULL},
	{CALL(setxattr, P("r/f"), P("user.a"), P("v"), 1, 0), EROFS, NULL, NULL},
	{CALL(setxattr, P("w/alias"), P("user.a"), P("v"), 1, 0), EACCES, NULL, NULL},
	{CALL(setxattrat, HERE, P("w/denied"), 0, P("user.a"), P(&packed_value), 16), EACCES, NULL, NULL},
	{CALL(getxattr, P("w/denied"), P("user.a"), 0, 0), ENODATA, NULL, NULL},
	{CALL(getxattr, P("w/alias"), P("user.a"), 0, 0), ENODATA, NULL, NULL},
	{CALL(getxattr, P("w/noread2"), P("user.a"), 0, 0), ENODATA, NULL, NULL},
	{CALL(listxattr, P("o"), 0, 0), 0, NULL, NULL},
	{CALL(listxattrat, HERE, P("w/hidden"), 0, 0, 0), ENOENT, NULL, NULL},
	{CALL(getxattr, P("r/f"), P("user.a"), 0, 0), ENODATA, NULL, NULL},
	{CALL(file_getattr, HERE, P("o"), P(long_name), 24, 0), EACCES, NULL, NULL},
	{CALL(file_setattr, HERE, P("r/f"), P(long_name), 24, 0), EROFS, NULL, NULL},
	/* links */
	{CALL(readlink, P("o-link"), P(packed_out), 10), EACCES, NULL, NULL},
	{CALL(readlink, P("o"), P(packed_out), 10), EINVAL, NULL, NULL, true},
	{CALL(readlink, P("w/hidden"), P(packed_out), 10), ENOENT, NULL, NULL},
	{CALL(readlink, P("r/link"), P(packed_out), 10), DONE, NULL, NULL},
	/* openings: the second name of a refused file */
	{CALL(openat, HERE, P("w/alias"), O_RDONLY), EACCES, NULL, NULL},
	{CALL(openat, HERE, P("w/alias"), O_WRONLY | O_TRUNC), EACCES, NULL, NULL},
	{CALL(openat, HERE, P("w/nowrite2"), O_RDONLY), DONE, NULL, NULL},
	{CALL(openat, HERE, P("w/nowrite2"), O_RDWR), EACCES, NULL, NULL},
	{CALL(chmod, P("w/nowrite2"), 0666), EACCES, NULL, NULL},
	{CALL(getxattr, P("w/nowrite2"), P("user.a"), 0, 0), ENODATA, NULL, NULL},
	{CALL(openat, HERE, P("w/seen"), O_RDONLY), EACCES, NULL, NULL},
	{CALL(openat, HERE, P("w/permit"), O_RDONLY), DONE, NULL, NULL},
};

static uint64_t records(const struct test_world *world)
{
	struct sg_audit_counts counts;

	sg_audit_counts(world->supervisor.audit, &counts);
	return counts.appended;
}

static bool log_says(const struct test_world *world, const char *text)
{
	SG_AUTO_FD int fd = open(world->log, O_RDONLY | O_CLOEXEC);
	SG_AUTO_FREE char *data = NULL;
	size_t size;

	assert_int_equal(sg_audit_flush(world->supervisor.audit, DEADLINE_MS), 0);
	assert_int_equal(sg_fd_read_file(fd, 64 * 1024 * 1024, &data, &size), 0);
	return strstr(data, text) != NULL;
}

static bool row_holds(struct test_world *world, size_t index)
{
	const struct row *row = &rows[index];
	const uint64_t before = records(world);
	struct outcome outcome = world_call(world, &row->call);
	uint64_t recorded = records(world) - before;
	const char *path = NULL;

	for (size_t i = 0; i < 3 && path == NULL; i++)
		if (row->call.arguments[i] > 4096 && row->call.arguments[i] != LAST && row->call.arguments[i] != HERE &&
		    row->call.arguments[i] != (uint64_t)-1)
			path = (const char *)(uintptr_t)row->call.arguments[i];
	if (outcome.error == row->error && (recorded > 0) == !row->silent &&
	    (row->there == NULL || exists(world, row->there)) && (row->gone == NULL || !exists(world, row->gone)))
		return true;
	print_error("row %zu: %s(%s): %s instead of %s, %u records\n", index,
		    sg_syscall_by_number((unsigned int)row->call.number)->name, path, strerrorname_np(outcome.error),
		    strerrorname_np(row->error), (unsigned int)recorded);
	return false;
}

static void test_rows(void **state)
{
	static struct test_world world;
	size_t bad = 0;

	(void)state;
	world_init(&world);
	fill_rows(&world);
	world_compile(&world, profile);
	world_start(&world, true, NULL, NULL);
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++)
		bad += !row_holds(&world, i);
	assert_int_equal(bad, 0);
	assert_true(holds(&world, "w/denied", "w/denied"));
	assert_true(holds(&world, "w/nowrite", "w/nowrite"));
	assert_true(holds(&world, "r/f", "r/f"));
	assert_true(log_says(&world, "another name of a file"));
	assert_true(log_says(&world, "DenyWrite") || log_says(&world, "w/nowrite"));
	world_stop(&world);
	world_done(&world);
}

/* A caller with another uid is not acted for, and nothing is done that cannot be recorded. */
static void test_refused_as_a_whole(void **state)
{
	static const struct call make = CALL(mkdir, P("w/a"), 0755),
				 look = CALL(readlink, P("r/link"), P(packed_out), 10),
				 open_file = CALL(openat, HERE, P("w/f"), O_RDONLY);
	static struct test_world world;
	int auditor;

	(void)state;
	world_init(&world);
	fill_rows(&world);
	world_compile(&world, profile);
	world_start(&world, true, NULL, NULL);
	memcpy(world.supervisor.ids, "another", 7);
	world.supervisor.ids_length = 7;
	assert_int_equal(world_call(&world, &make).error, EPERM);
	assert_int_equal(world_call(&world, &look).error, EPERM);
	assert_int_equal(world_call(&world, &open_file).error, EPERM);
	assert_false(exists(&world, "w/a"));
	world.supervisor.ids_length = 0;
	auditor = sg_audit_pidfd(world.supervisor.audit);
	must(syscall(SYS_pidfd_send_signal, auditor, SIGKILL, NULL, 0) == 0, "pidfd_send_signal");
	must(poll(&(struct pollfd){.fd = auditor, .events = POLLIN}, 1, DEADLINE_MS) == 1, "the auditor's end");
	assert_int_equal(world_call(&world, &make).error, EIO);
	assert_int_equal(world_call(&world, &look).error, EIO);
	assert_false(exists(&world, "w/a"));
	world_stop(&world);
	world.audit_dead = true;
	world_done(&world);
}

/* --- races --- */

enum { TRIES = 1500, COUNT_DONE = 0, COUNT_REFUSED = 1, COUNT_WRONG = 2, STOP = 3 };

static uint32_t *counters(void)
{
	return (uint32_t *)(void *)out;
}

static void count_outcome(long value)
{
	counters()[value < 0 ? COUNT_REFUSED : COUNT_DONE]++;
}

static void *flip_text(void *data)
{
	static const char *const names[] = {"w/permit", "w/denied"};

	(void)data;
	for (unsigned int i = 0; __atomic_load_n(&counters()[STOP], __ATOMIC_RELAXED) == 0; i++)
		memcpy(texts, names[i % 2], 8);
	return NULL;
}

/* A sibling thread rewrites the path while the call is on its way. */
static void change_by_text(void *data)
{
	pthread_t thread;

	(void)data;
	if (pthread_create(&thread, NULL, flip_text, NULL) != 0)
		_exit(102);
	for (int i = 0; i < TRIES; i++) {
		count_outcome(syscall(SYS_truncate, texts, 1));
		count_outcome(syscall(SYS_chmod, texts, 0602));
		(void)syscall(SYS_rename, texts, "w/moved");
		count_outcome(syscall(SYS_rename, "w/moved", "w/permit"));
		count_outcome(syscall(SYS_setxattr, texts, "user.raced", "1", 1, 0));
	}
	counters()[STOP] = 1;
	(void)pthread_join(thread, NULL);
}

static void check_untouched(const struct test_world *world)
{
	struct stat status;
	char path[128];

	assert_true(holds(world, "w/denied", "w/denied"));
	assert_int_equal(fstatat(world->at, "w/denied", &status, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(status.st_mode, S_IFREG | 0644);
	(void)snprintf(path, sizeof(path), "%s/w/denied", world->folder);
	assert_true(getxattr(path, "user.raced", NULL, 0) < 0);
	assert_true(holds(world, "w/den/x", "w/den/x"));
}

static void test_race_text(void **state)
{
	static struct test_world world;

	(void)state;
	memset(out, 0, OUT_SIZE);
	memcpy(texts, "w/permit", 9);
	world_init(&world);
	fill_rows(&world);
	(void)umask(022);
	world_compile(&world, profile);
	world_start(&world, true, change_by_text, NULL);
	(void)world_wait(&world);
	check_untouched(&world);
	assert_true(counters()[COUNT_DONE] > 0 && counters()[COUNT_REFUSED] > 0);
	world_stop(&world);
	world_done(&world);
}

/* Somebody outside the world puts another link there, again and again, until told to stop. */
static pid_t start_neighbour(const struct test_world *world, void (*step)(unsigned int count))
{
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (fchdir(world->at) < 0)
		_exit(1);
	for (unsigned int i = 0; __atomic_load_n(&counters()[STOP], __ATOMIC_RELAXED) == 0; i++)
		step(i);
	_exit(0);
}

static void swap_links(unsigned int count)
{
	(void)unlink("w/spare");
	if (symlink(count % 2 == 0 ? "permit" : "denied", "w/spare") == 0)
		(void)rename("w/spare", "w/link");
	(void)unlink("w/spare");
	if (symlink(count % 2 == 0 ? "one" : "den", "w/spare") == 0)
		(void)rename("w/spare", "w/way");
}

static void change_by_link(void *data)
{
	(void)data;
	for (int i = 0; i < TRIES; i++) {
		count_outcome(syscall(SYS_truncate, "w/link", 1));
		count_outcome(syscall(SYS_chmod, "w/link", 0602));
		count_outcome(syscall(SYS_setxattr, "w/link", "user.raced", "1", 1, 0));
		(void)syscall(SYS_linkat, AT_FDCWD, "w/link", AT_FDCWD, "w/second", AT_SYMLINK_FOLLOW);
		if (syscall(SYS_truncate, "w/second", 1) == 0)
			(void)syscall(SYS_unlink, "w/second");
		count_outcome(syscall(SYS_unlink, "w/way/x"));
		count_outcome(syscall(SYS_mknod, "w/way/x", S_IFREG | 0644, 0));
		count_outcome(syscall(SYS_rename, "w/way/x", "w/taken"));
	}
	counters()[STOP] = 1;
}

static void test_race_link(void **state)
{
	static struct test_world world;
	pid_t neighbour;

	(void)state;
	memset(out, 0, OUT_SIZE);
	world_init(&world);
	fill_rows(&world);
	world_compile(&world, profile);
	neighbour = start_neighbour(&world, swap_links);
	world_start(&world, true, change_by_link, NULL);
	(void)world_wait(&world);
	must(waitpid(neighbour, NULL, 0) == neighbour, "the neighbour");
	check_untouched(&world);
	assert_true(counters()[COUNT_DONE] > 0 && counters()[COUNT_REFUSED] > 0);
	world_stop(&world);
	world_done(&world);
}

/* A file under a name where a folder with something refused in it would be refused to move from. */
static void swap_types(unsigned int count)
{
	(void)count;
	(void)renameat2(AT_FDCWD, "w/item", AT_FDCWD, "w/other", RENAME_EXCHANGE);
}

static void move_item(void *data)
{
	struct stat status;

	(void)data;
	for (int i = 0; i < TRIES; i++) {
		long moved = syscall(SYS_rename, "w/item", "w/gone");

		count_outcome(moved);
		if (stat("w/gone", &status) == 0 && S_ISDIR(status.st_mode))
			counters()[COUNT_WRONG]++;
		if (moved == 0)
			(void)syscall(SYS_rename, "w/gone", "w/item");
	}
	counters()[STOP] = 1;
}

static void test_race_type(void **state)
{
	static struct test_world world;
	pid_t neighbour;

	(void)state;
	memset(out, 0, OUT_SIZE);
	world_init(&world);
	fill_rows(&world);
	put_folder(&world, "w/other");
	put_file(&world, "w/other/secret", "secret");
	world_compile(&world, profile);
	neighbour = start_neighbour(&world, swap_types);
	world_start(&world, true, move_item, NULL);
	(void)world_wait(&world);
	must(waitpid(neighbour, NULL, 0) == neighbour, "the neighbour");
	assert_int_equal(counters()[COUNT_WRONG], 0);
	assert_false(exists(&world, "w/gone/secret"));
	assert_true(exists(&world, "w/item/secret") || exists(&world, "w/other/secret"));
	assert_true(counters()[COUNT_DONE] > 0 && counters()[COUNT_REFUSED] > 0);
	world_stop(&world);
	world_done(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),     cmocka_unit_test(test_as_the_kernel),
		cmocka_unit_test(test_rows),      cmocka_unit_test(test_refused_as_a_whole),
		cmocka_unit_test(test_race_text), cmocka_unit_test(test_race_link),
		cmocka_unit_test(test_race_type),
	};

	drop_capabilities();
	return cmocka_run_group_tests(tests, make_shared, NULL);
}
