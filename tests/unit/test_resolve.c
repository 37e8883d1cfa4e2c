/*
 * From names to pinned objects: a tree in a temporary folder, and for each row a name, flags, and the canonical name or the
 * error that it must give. The caller is this very process, so what the kernel's own walk says is known too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/resolve.h"

#define DELETED " (deleted)"
#define FOLDER "/tmp/sg-test-resolve-XXXXXX"

static char root[sizeof(FOLDER)]; /* canonical: /tmp is no link in the build's surroundings, checked in make_tree */
static int at = -1;
static struct sg_view view = {.root = -1, .proc = -1};
static struct sg_caller caller = {.listener = -1, .proc = -1};
static char long_name[NAME_MAX + 1];

static void must(bool condition, const char *what)
{
	if (!condition)
		fail_msg("%s: %s", what, strerror(errno));
}

static void put_file(const char *name)
{
	SG_AUTO_FD int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	must(fd >= 0, name);
}

static void put_folder(const char *name)
{
	must(mkdirat(at, name, 0755) == 0, name);
}

static void put_link(const char *text, const char *name)
{
	must(symlinkat(text, at, name) == 0, name);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

static int remove_tree(void **state)
{
	(void)state;
	view.proc = sg_fd_close(view.proc);
	view.root = sg_fd_close(view.root);
	at = sg_fd_close(at);
	if (chdir("/") < 0)
		return -1;
	return nftw(root, remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

static int make_tree(void **state)
{
	char name[32], text[32], absolute[PATH_MAX];

	(void)state;
	(void)snprintf(root, sizeof(root), "%s", FOLDER);
	must(mkdtemp(root) != NULL && realpath(root, absolute) != NULL, "mkdtemp");
	assert_string_equal(absolute, root);
	at = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	view.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	view.proc = caller.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	must(at >= 0 && view.root >= 0 && view.proc >= 0 && fchdir(at) == 0, "the folder");
	view.self = getpid();
	caller.tid = (pid_t)syscall(SYS_gettid);
	put_folder("d");
	put_folder("d/e");
	put_folder("d" DELETED);
	put_file("f");
	put_file("d/f");
	put_file("f" DELETED);
	put_file("d/new\nline");
	memset(long_name, 'n', NAME_MAX);
	put_file(long_name);
	put_link("d", "to-d");
	put_link("d/", "to-d-slash");
	put_link("f", "to-f");
	put_link("f/", "to-f-slash");
	put_link("../../f", "d/e/up");
	put_link("nowhere", "dangling");
	put_link("nowhere/below", "dangling-below");
	put_link("loop", "loop");
	put_link("ping", "pong");
	put_link("pong", "ping");
	put_link("/../../..", "to-root");
	(void)snprintf(absolute, sizeof(absolute), "%s/d/../d/e", root);
	put_link(absolute, "to-e");
	/* hop0 leads to hop1 ... to hop40 to f: the last forty links are followed, forty-one are not. */
	for (int i = 0; i <= 40; i++) {
		(void)snprintf(name, sizeof(name), "hop%d", i);
		(void)snprintf(text, sizeof(text), "hop%d", i + 1);
		put_link(i < 40 ? text : "f", name);
	}
	return 0;
}

/* Resolves, and compares with `error` or with `name`: absolute, or relative to the tree ("": the tree's folder itself). */
static void expect_at(int dirfd, const char *path, unsigned int flags, int error, const char *name)
{
	SG_CLEANUP(sg_resolved_done) struct sg_resolved resolved = SG_RESOLVED_INIT;
	char wanted[2 * PATH_MAX];
	int status = sg_resolve(&view, &caller, dirfd, path, flags, &resolved);

	if (status != -error)
		fail_msg("%.80s (flags %u): %s, expected %s", path, flags,
			 status < 0 ? strerror(-status) : resolved.name, strerror(error));
	if (error != 0) {
		assert_int_equal(resolved.fd, -1);
		return;
	}
	assert_true(fcntl(resolved.fd, F_GETFD) == FD_CLOEXEC);
	(void)snprintf(wanted, sizeof(wanted), "%s%s%s", name[0] == '/' ? "" : root, name[0] == '/' ? "" : "/", name);
	if (strcmp(resolved.name, wanted) != 0)
		fail_msg("%.80s (flags %u): is \"%s\", expected \"%s\"", path, flags, resolved.name, wanted);
	assert_int_equal(resolved.length, strlen(wanted));
	assert_false(resolved.unnamed);
}

enum { F = SG_RESOLVE_NO_FOLLOW, P = SG_RESOLVE_PARENT };

static void test_names(void **state)
{
	static const struct {
		const char *path;
		unsigned int flags;
		int error;
		const char *name;
	} rows[] = {
		{"f", 0, 0, "f"},
		{"./f", 0, 0, "f"},
		{"d", 0, 0, "d/"},
		{"d/", 0, 0, "d/"},
		{"d//./e///", 0, 0, "d/e/"},
		{".", 0, 0, ""},
		{"", 0, ENOENT, NULL},
		{"d/..", 0, 0, ""},
		{"d/e/../../f", 0, 0, "f"},
		{"d/e/../f", 0, 0, "d/f"},
		{"d/new\nline", 0, 0, "d/new\nline"},
		{"f/", 0, ENOTDIR, NULL},
		{"f/.", 0, ENOTDIR, NULL},
		{"f/..", 0, ENOTDIR, NULL},
		{"f/x", 0, ENOTDIR, NULL},
		{"missing", 0, ENOENT, NULL},
		{"missing/", 0, ENOENT, NULL},
		{"missing/..", 0, ENOENT, NULL},
		{"to-f", 0, 0, "f"},
		{"to-f", F, 0, "to-f"},
		{"to-f/", 0, ENOTDIR, NULL},
		{"to-f/", F, ENOTDIR, NULL},
		{"to-f-slash", 0, ENOTDIR, NULL},
		{"to-f-slash", F, 0, "to-f-slash"},
		{"to-d", 0, 0, "d/"},
		{"to-d", F, 0, "to-d"},
		{"to-d/", F, 0, "d/"},
		{"to-d-slash", 0, 0, "d/"},
		{"to-d/f", F, 0, "d/f"},
		{"to-d/..", 0, 0, ""},
		{"d/e/up", 0, 0, "f"},
		{"d/e/up", F, 0, "d/e/up"},
		{"to-e", 0, 0, "d/e/"},
		{"to-e/..", 0, 0, "d/"},
		{"to-root/to-root", 0, ENOENT, NULL},
		{"dangling", 0, ENOENT, NULL},
		{"dangling", F, 0, "dangling"},
		{"dangling/", F, ENOENT, NULL},
		{"dangling-below", 0, ENOENT, NULL},
		{"loop", 0, ELOOP, NULL},
		{"loop", F, 0, "loop"},
		{"loop/x", F, ELOOP, NULL},
		{"ping", 0, ELOOP, NULL},
		{"hop1", 0, 0, "f"},
		{"hop0", 0, ELOOP, NULL},
		{"f" DELETED, 0, 0, "f" DELETED},
		{"d" DELETED, 0, 0, "d" DELETED "/"},
		{"d" DELETED "/..", 0, 0, ""},
		/* The folder is pinned, the last component kept as text. */
		{"f", P, 0, "f"},
		{"d", P, 0, "d/"},
		{"d/", P, 0, "d/"},
		{"to-d", P, 0, "to-d"},
		{"to-d/x", P, 0, "d/x"},
		{"dangling", P, 0, "dangling"},
		{"loop", P, 0, "loop"},
		{"missing", P, 0, "missing"},
		{"missing/", P, 0, "missing"},
		{"d/e/../missing", P, 0, "d/missing"},
		{"missing/x", P, ENOENT, NULL},
		{"f/x", P, ENOTDIR, NULL},
		{"dangling/x", P, ENOENT, NULL},
		{"loop/x", P, ELOOP, NULL},
		{"d/..", P, 0, ""},
		{"d/.", P, 0, "d/"},
		{"/", P, 0, "/"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		const char *name = rows[i].name;
		char absolute[PATH_MAX];

		/* From the working directory, from a descriptor, and absolute. */
		expect_at(AT_FDCWD, rows[i].path, rows[i].flags, rows[i].error, name);
		expect_at(at, rows[i].path, rows[i].flags, rows[i].error, name);
		if (rows[i].path[0] == '\0' || rows[i].path[0] == '/')
			continue;
		(void)snprintf(absolute, sizeof(absolute), "%s/%s", root, rows[i].path);
		expect_at(-1, absolute, rows[i].flags, rows[i].error, name);
		(void)snprintf(absolute, sizeof(absolute), "/.././/%s//%s", root + 1, rows[i].path);
		expect_at(-1, absolute, rows[i].flags, rows[i].error, name);
	}
}

static void test_starts(void **state)
{
	SG_AUTO_FD int file = openat(at, "f", O_RDONLY | O_CLOEXEC);

	(void)state;
	must(file >= 0, "f");
	expect_at(-5, "f", 0, EBADF, NULL);
	expect_at(1 << 20, "f", 0, EBADF, NULL);
	expect_at(file, "f", 0, ENOTDIR, NULL);
	expect_at(file, "f", P, ENOTDIR, NULL);
	expect_at(file, "", SG_RESOLVE_EMPTY, 0, "f");
	expect_at(file, "", 0, ENOENT, NULL);
	expect_at(-5, "", SG_RESOLVE_EMPTY, EBADF, NULL);
	expect_at(-5, "/", 0, 0, "/");
}

/* With SG_RESOLVE_PARENT the rest of what is told: the last component, whether it is there, and a slash behind it. */
static void test_parent(void **state)
{
	static const struct {
		const char *path, *last;
		bool exists, slash;
	} rows[] = {
		{"d/f", "f", true, false},
		{"d/missing", "missing", false, false},
		{"d/missing//", "missing", false, true},
		{"d/e/", "e", true, true},
		{"loop", "loop", true, false},
		{"d/..", "", true, false},
		{"d/../.", "", true, false},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_CLEANUP(sg_resolved_done) struct sg_resolved resolved = SG_RESOLVED_INIT;

		assert_int_equal(sg_resolve(&view, &caller, AT_FDCWD, rows[i].path, P, &resolved), 0);
		assert_string_equal(resolved.last, rows[i].last);
		assert_int_equal(resolved.exists, rows[i].exists);
		assert_int_equal(resolved.slash, rows[i].slash);
	}
}

static void test_lengths(void **state)
{
	char path[PATH_MAX + 16], name[NAME_MAX + 2], text[PATH_MAX];
	size_t length;

	(void)state;
	expect_at(AT_FDCWD, long_name, 0, 0, long_name);
	expect_at(AT_FDCWD, long_name, P, 0, long_name);
	memset(name, 'n', NAME_MAX + 1);
	name[NAME_MAX + 1] = '\0';
	expect_at(AT_FDCWD, name, 0, ENAMETOOLONG, NULL);
	expect_at(AT_FDCWD, name, P, ENAMETOOLONG, NULL);
	name[NAME_MAX] = '\0';
	name[0] = 'm';
	expect_at(AT_FDCWD, name, 0, ENOENT, NULL);
	expect_at(AT_FDCWD, name, P, 0, name);
	/* "./././.../f": as long as a path may be, and one byte more. */
	for (length = 0; length < PATH_MAX - 2; length += 2)
		memcpy(path + length, "./", 2);
	path[length++] = 'f';
	path[length] = '\0';
	assert_int_equal(length, PATH_MAX - 1);
	expect_at(AT_FDCWD, path, 0, 0, "f");
	expect_at(AT_FDCWD, path, P, 0, "f");
	path[length++] = 'f';
	path[length] = '\0';
	expect_at(AT_FDCWD, path, 0, ENAMETOOLONG, NULL);
	/* A link whose text and the rest behind it are each nearly PATH_MAX: both fit the walk. */
	for (length = 0; length < PATH_MAX - 6; length += 2)
		memcpy(text + length, "./", 2);
	memcpy(text + length, "d", 2);
	put_link(text, "long-link");
	memcpy(path, "long-link/", 10);
	for (length = 10; length < PATH_MAX - 4; length += 2)
		memcpy(path + length, "./", 2);
	memcpy(path + length, "f", 2);
	expect_at(AT_FDCWD, path, 0, 0, "d/f");
	expect_at(AT_FDCWD, path, P, 0, "d/f");
	must(unlinkat(at, "long-link", 0) == 0, "unlink");
}

/* Folders within folders until the name of the last is longer than PATH_MAX: no name, no decision. */
static void test_deep(void **state)
{
	SG_AUTO_FD int here = openat(at, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	size_t length = strlen(root), deep = 0;

	(void)state;
	for (; length < PATH_MAX; length += deep == 0 ? strlen("/deep") : NAME_MAX + 1, deep++) {
		int next;

		must(mkdirat(here, "deep", 0755) == 0 &&
			     renameat(here, "deep", here, deep == 0 ? "deep" : long_name) == 0,
		     "mkdirat");
		next = openat(here, deep == 0 ? "deep" : long_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		must(next >= 0, "openat");
		sg_fd_close(here);
		here = next;
		if (deep < 2)
			expect_at(here, "..", 0, 0, deep == 0 ? "" : "deep/");
	}
	expect_at(here, ".", 0, ENAMETOOLONG, NULL);
	expect_at(here, "x", P, ENAMETOOLONG, NULL);
	expect_at(here, "x", 0, ENOENT, NULL);
	for (; deep > 0; deep--) {
		int up = openat(here, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		must(up >= 0 && unlinkat(up, deep == 1 ? "deep" : long_name, AT_REMOVEDIR) == 0, "unlinkat");
		sg_fd_close(here);
		here = up;
	}
}

/* The links of /proc that mean the reader mean the caller, and magic links give the object. */
static void test_proc(void **state)
{
	SG_AUTO_FD int file = openat(at, "d/f", O_RDONLY | O_CLOEXEC);
	SG_CLEANUP(sg_resolved_done) struct sg_resolved resolved = SG_RESOLVED_INIT;
	char link[64], name[64];
	int pid = (int)getpid(), tid = (int)syscall(SYS_gettid);

	(void)state;
	must(file >= 0, "d/f");
	(void)snprintf(name, sizeof(name), "/proc/%d/", pid);
	expect_at(-1, "/proc/self", 0, 0, name);
	expect_at(-1, "/proc/self", F, 0, "/proc/self");
	expect_at(-1, "/proc/self/../self/", 0, 0, name);
	(void)snprintf(name, sizeof(name), "/proc/%d/task/%d/", pid, tid);
	expect_at(-1, "/proc/thread-self", 0, 0, name);
	(void)snprintf(name, sizeof(name), "/proc/%d/mounts", pid);
	expect_at(-1, "/proc/mounts", 0, 0, name);
	(void)snprintf(name, sizeof(name), "/proc/%d/status", pid);
	expect_at(-1, "/proc/self/status", 0, 0, name);
	expect_at(-1, "/proc/self/status/", 0, ENOTDIR, NULL);
	expect_at(-1, "/proc/self/missing", 0, ENOENT, NULL);
	expect_at(-1, "/proc/self/cwd", 0, 0, "");
	expect_at(-1, "/proc/self/cwd/d/f", 0, 0, "d/f");
	expect_at(-1, "/proc/self/cwd/x", P, 0, "x");
	expect_at(-1, "/proc/self/root/", 0, 0, "/");
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	expect_at(-1, link, 0, 0, "d/f");
	(void)snprintf(name, sizeof(name), "/proc/%d/fd/%d", pid, file);
	expect_at(-1, link, F, 0, name);
	expect_at(-1, link, SG_RESOLVE_NO_MAGIC, ELOOP, NULL);
	expect_at(-1, link, P, 0, name);
	assert_int_equal(sg_resolve(&view, &caller, -1, link, 0, &resolved), 0);
	assert_true(resolved.magic);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d/x", file);
	expect_at(-1, link, 0, ENOTDIR, NULL);
}

/* Resolves /proc/self/fd/FD, and the descriptor itself: both are the object, without a name in the world. */
static void expect_unnamed(int fd, const char *name)
{
	char link[64];

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	for (int way = 0; way < 2; way++) {
		SG_CLEANUP(sg_resolved_done) struct sg_resolved resolved = SG_RESOLVED_INIT;
		struct stat status;

		assert_int_equal(way == 0 ? sg_resolve(&view, &caller, -1, link, 0, &resolved)
					  : sg_resolve_descriptor(&view, &caller, fd, &resolved),
				 0);
		if (!resolved.unnamed || strncmp(resolved.name, name, strlen(name)) != 0)
			fail_msg("%s: is \"%s\"%s", name, resolved.name,
				 resolved.unnamed ? "" : ", and counts as named");
		assert_int_equal(resolved.magic, way == 0);
		assert_int_equal(fstat(fd, &status), 0);
		assert_true(status.st_ino == resolved.status.st_ino && status.st_dev == resolved.status.st_dev);
	}
}

static void test_anonymous(void **state)
{
	SG_AUTO_FD int memory = memfd_create("m", MFD_CLOEXEC);
	int pipes[2], sockets[2];

	(void)state;
	must(memory >= 0 && pipe2(pipes, O_CLOEXEC) == 0 &&
		     socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0,
	     "anonymous objects");
	expect_unnamed(memory, "/memfd:m" DELETED);
	expect_unnamed(pipes[0], "pipe:[");
	expect_unnamed(pipes[1], "pipe:[");
	expect_unnamed(sockets[0], "socket:[");
	for (int i = 0; i < 2; i++) {
		sg_fd_close(pipes[i]);
		sg_fd_close(sockets[i]);
	}
}

/*
 * What was removed has no name, whatever stands at the place that the kernel's text for it would lead to; what is named
 * " (deleted)" by its owner has one.
 */
static void test_removed(void **state)
{
	enum { NOTHING, A_FILE, A_LINK };
	char name[128];

	(void)state;
	for (int other = NOTHING; other <= A_LINK; other++) {
		for (int linked = 0; linked < 2; linked++) {
			SG_AUTO_FD int fd = openat(at, "gone", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

			must(fd >= 0 && (linked == 0 || linkat(at, "gone", at, "kept", 0) == 0) &&
				     unlinkat(at, "gone", 0) == 0,
			     "gone");
			if (other == A_FILE)
				put_file("gone" DELETED);
			if (other == A_LINK)
				put_link(linked ? "kept" : "f", "gone" DELETED);
			(void)snprintf(name, sizeof(name), "%s/gone" DELETED, root);
			expect_unnamed(fd, name);
			must(other == NOTHING || unlinkat(at, "gone" DELETED, 0) == 0, "the other");
			must(linked == 0 || unlinkat(at, "kept", 0) == 0, "kept");
		}
	}
	/* Renamed to the text: then it is its name. */
	{
		SG_AUTO_FD int fd = openat(at, "gone", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

		must(fd >= 0 && renameat(at, "gone", at, "gone" DELETED) == 0, "renamed");
		expect_at(fd, "", SG_RESOLVE_EMPTY, 0, "gone" DELETED);
		must(unlinkat(at, "gone" DELETED, 0) == 0, "gone");
		(void)snprintf(name, sizeof(name), "%s/gone" DELETED DELETED, root);
		expect_unnamed(fd, name);
	}
}

static void test_removed_folder(void **state)
{
	SG_CLEANUP(sg_resolved_done) struct sg_resolved resolved = SG_RESOLVED_INIT;
	SG_AUTO_FD int fd = -1;
	char name[128];

	(void)state;
	put_folder("gone");
	fd = openat(at, "gone", O_PATH | O_DIRECTORY | O_CLOEXEC);
	must(fd >= 0 && unlinkat(at, "gone", AT_REMOVEDIR) == 0, "gone");
	put_folder("gone" DELETED);
	(void)snprintf(name, sizeof(name), "%s/gone" DELETED "/", root);
	expect_unnamed(fd, name);
	/* A parent without a name. */
	assert_int_equal(sg_resolve(&view, &caller, fd, "x", P, &resolved), 0);
	assert_true(resolved.unnamed && !resolved.exists);
	must(unlinkat(at, "gone" DELETED, AT_REMOVEDIR) == 0, "the other");
}

/* The pinned object stays what it was, whatever its name becomes; and is opened anew through the pin. */
static void test_pinned(void **state)
{
	SG_CLEANUP(sg_resolved_done) struct sg_resolved resolved = SG_RESOLVED_INIT;
	SG_AUTO_FD int opened = -1;
	struct stat before, after;

	(void)state;
	put_file("pinned");
	assert_int_equal(fstatat(at, "pinned", &before, 0), 0);
	assert_int_equal(sg_resolve(&view, &caller, AT_FDCWD, "pinned", 0, &resolved), 0);
	must(unlinkat(at, "pinned", 0) == 0, "pinned");
	put_file("pinned");
	opened = sg_reopen(&view, resolved.fd, O_RDONLY);
	assert_true(opened >= 0 && fcntl(opened, F_GETFD) == FD_CLOEXEC);
	assert_int_equal(fstat(opened, &after), 0);
	assert_true(before.st_ino == after.st_ino && before.st_dev == after.st_dev);
	assert_int_equal(sg_reopen(&view, resolved.fd, O_RDONLY | O_DIRECTORY), -ENOTDIR);
	must(unlinkat(at, "pinned", 0) == 0, "pinned");
}

/* A failure leaves the result alone and no descriptor behind. */
static void test_failure(void **state)
{
	struct sg_resolved resolved = {.fd = 12345, .length = 7};
	int before = dup(view.root), after;

	(void)state;
	sg_fd_close(before);
	assert_int_equal(sg_resolve(&view, &caller, AT_FDCWD, "d/missing/x", 0, &resolved), -ENOENT);
	assert_int_equal(sg_resolve(&view, &caller, AT_FDCWD, "hop0", 0, &resolved), -ELOOP);
	assert_int_equal(sg_resolve(&view, &caller, AT_FDCWD, "f/x", P, &resolved), -ENOTDIR);
	assert_int_equal(sg_resolve(&view, &caller, -1, "/proc/self/missing", 0, &resolved), -ENOENT);
	assert_true(resolved.fd == 12345 && resolved.length == 7);
	after = dup(view.root);
	sg_fd_close(after);
	assert_int_equal(before, after);
}

/*
 * A link in the root folder is read once; what is below it is the same object, under the name that it has. (Of this host's root:
 * for an absolute path the kernel goes by the root of the process.)
 */
static void test_root_links(void **state)
{
	static struct sg_root_links links;
	const struct sg_view kept = {.root = view.root, .proc = view.proc, .self = view.self, .links = &links};
	static const char *const paths[] = {"/bin/cat", "/bin/cat", "/usr/bin/cat", "/bin/../bin/cat", "/bin//cat",
					    "/bin",     "/bin/",    "/bin/nothing", "/nothing/cat"};
	struct stat bin;
	bool link;

	(void)state;
	must(lstat("/bin", &bin) == 0, "/bin");
	link = S_ISLNK(bin.st_mode);
	for (size_t i = 0; i < SG_ARRAY_SIZE(paths); i++) {
		SG_CLEANUP(sg_resolved_done) struct sg_resolved first = SG_RESOLVED_INIT;
		SG_CLEANUP(sg_resolved_done) struct sg_resolved second = SG_RESOLVED_INIT;
		const int status = sg_resolve(&view, &caller, AT_FDCWD, paths[i], 0, &first);

		assert_int_equal(sg_resolve(&kept, &caller, AT_FDCWD, paths[i], 0, &second), status);
		if (status < 0)
			continue;
		assert_string_equal(second.name, first.name);
		assert_int_equal(second.length, first.length);
		assert_true(first.status.st_ino == second.status.st_ino && first.status.st_dev == second.status.st_dev);
	}
	assert_int_equal(links.count, link ? 1 : 0);
	if (!link)
		return;
	assert_string_equal(links.link[0].name, "bin");
	assert_string_equal(links.link[0].target, "usr/bin");
	/* It is what is kept that is followed. */
	(void)snprintf(links.link[0].target, sizeof(links.link[0].target), "%s", root + 1);
	{
		SG_CLEANUP(sg_resolved_done) struct sg_resolved resolved = SG_RESOLVED_INIT;

		assert_int_equal(sg_resolve(&kept, &caller, AT_FDCWD, "/bin/d/f", 0, &resolved), 0);
		assert_true(strncmp(resolved.name, root, strlen(root)) == 0);
		assert_string_equal(resolved.name + strlen(root), "/d/f");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),          cmocka_unit_test(test_starts),
		cmocka_unit_test(test_parent),         cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_deep),           cmocka_unit_test(test_proc),
		cmocka_unit_test(test_anonymous),      cmocka_unit_test(test_removed),
		cmocka_unit_test(test_removed_folder), cmocka_unit_test(test_root_links),
		cmocka_unit_test(test_pinned),         cmocka_unit_test(test_failure),
	};

	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
