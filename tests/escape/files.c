/* Changes of files that must not be: set-id bits, attributes past a read-only mount, nodes, and ways out of a
 * refused name. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include "probe.h"

static char path_text[4][PATH_MAX];

/* "folder/name", in one of four buffers in turn. */
static const char *in(const char *folder, const char *name)
{
	static unsigned int turn;
	char *text = path_text[turn++ % 4];

	(void)snprintf(text, PATH_MAX, "%s/%s", folder, name);
	return text;
}

/* DIR, where the world may write: no file or folder gets the bits 06000. */
static int modes(int argc, char **argv)
{
	static const unsigned int bits[] = {04000, 02000, 06000};
	const char *dir = argv[0];
	char label[64];

	(void)argc;
	(void)must_work("create", open(in(dir, "file"), O_CREAT | O_RDWR, 0700));
	(void)must_work("mkdir", mkdir(in(dir, "folder"), 0700));
	(void)must_work("chmod", chmod(in(dir, "file"), 0755));
	for (size_t i = 0; i < 3; i++) {
		const unsigned int mode = 0755 | bits[i];
		struct open_how how = {.flags = O_CREAT | O_WRONLY, .mode = mode};
		struct stat status;
		int fd = open(in(dir, "file"), O_RDONLY), dirfd = open(dir, O_PATH);
		const struct {
			const char *name;
			long result;
		} results[] = {
			{"open", open(in(dir, "new1"), O_CREAT | O_RDWR, mode)},
			{"open-exclusive", open(in(dir, "new2"), O_CREAT | O_EXCL | O_RDWR, mode)},
			{"open-garbage", syscall(SYS_open, in(dir, "new3"), O_CREAT | O_RDWR, 0xffff00000000UL | mode)},
			{"openat", openat(dirfd, "new4", O_CREAT | O_RDWR, mode)},
			{"creat", creat(in(dir, "new5"), mode)},
			{"openat2", syscall(SYS_openat2, dirfd, "new6", &how, sizeof(how))},
			{"tmpfile", open(dir, O_TMPFILE | O_RDWR, mode)},
			{"mkdir", mkdir(in(dir, "newd1"), mode)},
			{"mkdirat", mkdirat(dirfd, "newd2", mode)},
			{"mknod", mknod(in(dir, "new7"), S_IFREG | mode, 0)},
			{"mknodat", mknodat(dirfd, "new8", S_IFREG | mode, 0)},
			{"mkfifo", mknod(in(dir, "new9"), S_IFIFO | mode, 0)},
			{"chmod", chmod(in(dir, "file"), mode)},
			{"chmod-folder", chmod(in(dir, "folder"), mode)},
			{"fchmod", fchmod(fd, mode)},
			{"fchmodat", fchmodat(dirfd, "file", mode, 0)},
			{"fchmodat2", syscall(452, dirfd, "file", mode, 0)},
			{"fchmodat2-empty", syscall(452, fd, "", mode, AT_EMPTY_PATH)},
			{"fchmodat2-link", syscall(452, dirfd, "file", mode, AT_SYMLINK_NOFOLLOW)},
			{"chmod-by-proc", chmod("/proc/self/fd/3", mode)},
		};

		for (size_t j = 0; j < sizeof(results) / sizeof(results[0]); j++) {
			(void)snprintf(label, sizeof(label), "%s-%o", results[j].name, bits[i]);
			if (results[j].result >= 0)
				escaped(label);
			else
				refused(label, 0);
		}
		if (stat(in(dir, "file"), &status) < 0 || (status.st_mode & 06000) != 0)
			escaped("bits-are-set");
	}
	return 0;
}

static long set_attributes(int dirfd, const char *name, unsigned int at_flags)
{
	struct {
		unsigned long long xflags;
		unsigned int extsize, nextents, projid, cowextsize;
	} attributes = {.xflags = 0x10};

	return syscall(469, dirfd, name, &attributes, sizeof(attributes), at_flags);
}

/* FILE, which may be read and nothing else; its folder too. */
static int attributes(int argc, char **argv)
{
	const char *file = argv[0];
	int fd = open(file, O_RDONLY), place = open(file, O_PATH), flags = FS_IMMUTABLE_FL | FS_NODUMP_FL;
	struct timespec times[2] = {{1, 0}, {1, 0}};
	struct timeval old[2] = {{1, 0}, {1, 0}};
	struct utimbuf older = {1, 1};
	struct fsxattr extended = {.fsx_xflags = FS_XFLAG_NODUMP};
	char again[64];

	(void)argc;
	(void)must_work("read", fd);
	(void)must_fail("chmod", chmod(file, 0777));
	(void)must_fail("fchmod", fchmod(fd, 0777));
	(void)must_fail("fchmodat", fchmodat(AT_FDCWD, file, 0777, 0));
	(void)must_fail("fchmodat2-empty", syscall(452, fd, "", 0777, AT_EMPTY_PATH));
	(void)must_fail("fchmodat2-empty-place", syscall(452, place, "", 0777, AT_EMPTY_PATH));
	(void)snprintf(again, sizeof(again), "/proc/self/fd/%d", place);
	(void)must_fail("chmod-by-proc", chmod(again, 0777));
	(void)must_fail("truncate-by-proc", truncate(again, 0));
	(void)must_fail("chown", chown(file, getuid(), getgid()));
	(void)must_fail("lchown", lchown(file, getuid(), getgid()));
	(void)must_fail("fchown", fchown(fd, getuid(), getgid()));
	(void)must_fail("fchownat-empty", fchownat(place, "", getuid(), getgid(), AT_EMPTY_PATH));
	(void)must_fail("utime", utime(file, &older));
	(void)must_fail("utimes", utimes(file, old));
	(void)must_fail("futimesat", syscall(SYS_futimesat, AT_FDCWD, file, old));
	(void)must_fail("futimesat-null", syscall(SYS_futimesat, fd, NULL, old));
	(void)must_fail("utimensat", utimensat(AT_FDCWD, file, times, 0));
	(void)must_fail("utimensat-null", syscall(SYS_utimensat, fd, NULL, times, 0));
	(void)must_fail("utimensat-empty", syscall(SYS_utimensat, place, "", times, AT_EMPTY_PATH));
	(void)must_fail("setxattr", setxattr(file, "user.x", "1", 1, 0));
	(void)must_fail("fsetxattr", fsetxattr(fd, "user.x", "1", 1, 0));
	(void)must_fail("lsetxattr", lsetxattr(file, "user.x", "1", 1, 0));
	(void)must_fail("setxattrat", syscall(463, AT_FDCWD, file, 0, "user.x", again, sizeof(again)));
	(void)must_fail("removexattr", removexattr(file, "user.x"));
	(void)must_fail("fremovexattr", fremovexattr(fd, "user.x"));
	(void)must_fail("ioctl-setflags", ioctl(fd, FS_IOC_SETFLAGS, &flags));
	(void)must_fail("ioctl-fssetxattr", ioctl(fd, FS_IOC_FSSETXATTR, &extended));
	(void)must_fail("file_setattr", set_attributes(AT_FDCWD, file, 0));
	(void)must_fail("file_setattr-empty", set_attributes(fd, "", AT_EMPTY_PATH));
	(void)must_fail("truncate", truncate(file, 0));
	(void)must_fail("ftruncate", ftruncate(fd, 0));
	(void)must_fail("fallocate", fallocate(fd, 0, 0, 1));
	(void)must_fail("open-write", open(file, O_WRONLY));
	(void)must_fail("open-truncate", open(file, O_RDONLY | O_TRUNC));
	(void)must_fail("open-append", open(file, O_WRONLY | O_APPEND));
	(void)must_fail("open-create", open(file, O_CREAT | O_RDWR, 0600));
	(void)must_fail("map-shared",
			mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	(void)must_fail("unlink", unlink(file));
	(void)must_fail("rename", rename(file, "/tmp/moved"));
	(void)must_fail("link", link(file, "/tmp/linked"));
	return 0;
}

/* FILE, of the world's own making: names of attributes that are not its own to set. */
static int privileged_attributes(int argc, char **argv)
{
	static const char capability[20] = {1, 0, 0, 2, 0xff - 256};
	int fd = open(argv[0], O_CREAT | O_RDWR, 0600);

	(void)argc;
	(void)must_work("create", fd);
	(void)must_fail("security.capability",
			setxattr(argv[0], "security.capability", capability, sizeof(capability), 0));
	(void)must_fail("security.capability-fd",
			fsetxattr(fd, "security.capability", capability, sizeof(capability), 0));
	(void)must_fail("security.other", setxattr(argv[0], "security.sg", "1", 1, 0));
	(void)must_fail("security.other-fd", fsetxattr(fd, "security.sg", "1", 1, 0));
	(void)must_fail("security.selinux", lsetxattr(argv[0], "security.selinux", "x", 1, 0));
	(void)must_fail("trusted", setxattr(argv[0], "trusted.overlay.opaque", "y", 1, 0));
	(void)must_fail("trusted-fd", fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0));
	(void)must_fail("unknown-space", setxattr(argv[0], "nothing.x", "y", 1, 0));
	return 0;
}

/* DIR, where the world may write. */
static int nodes(int argc, char **argv)
{
	const char *dir = argv[0];
	int dirfd = open(dir, O_PATH);

	(void)argc;
	(void)must_fail("character", mknod(in(dir, "c"), S_IFCHR | 0666, makedev(1, 1)));
	(void)must_fail("character-at", mknodat(dirfd, "c2", S_IFCHR | 0666, makedev(1, 3)));
	(void)must_fail("block", mknod(in(dir, "b"), S_IFBLK | 0666, makedev(8, 0)));
	(void)must_fail("block-at", mknodat(dirfd, "b2", S_IFBLK | 0666, makedev(254, 0)));
	(void)must_fail("whiteout", mknod(in(dir, "w"), S_IFCHR, 0));
	(void)must_fail("character-garbage",
			syscall(SYS_mknod, in(dir, "c3"), 0xffff0000UL << 16 | S_IFCHR | 0666, makedev(1, 1)));
	(void)must_work("create", open(in(dir, "r"), O_CREAT | O_RDWR, 0600));
	(void)must_fail("rename-whiteout",
			syscall(SYS_renameat2, AT_FDCWD, in(dir, "r"), AT_FDCWD, in(dir, "r2"), RENAME_WHITEOUT));
	(void)must_fail("rename-unknown",
			syscall(SYS_renameat2, AT_FDCWD, in(dir, "r"), AT_FDCWD, in(dir, "r2"), 1U << 20));
	(void)must_work("fifo", mknod(in(dir, "fifo"), S_IFIFO | 0600, 0));
	return 0;
}

/* PATH of a node of the host: nothing is written to it, by whatever flags. */
static int host_node(int argc, char **argv)
{
	static const int flags[] = {O_WRONLY | O_NONBLOCK,         O_RDWR | O_NONBLOCK,
				    O_ACCMODE | O_NONBLOCK,        O_WRONLY | O_NONBLOCK | O_APPEND,
				    O_RDWR | O_NONBLOCK | O_CREAT, O_RDWR | O_NONBLOCK | O_TRUNC};
	char label[64], reopened[64];
	int place = open(argv[0], O_PATH);

	(void)argc;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		(void)snprintf(label, sizeof(label), "write-%zu", i);
		(void)must_fail(label, open(argv[0], flags[i], 0600));
		(void)snprintf(reopened, sizeof(reopened), "/proc/self/fd/%d", place);
		(void)snprintf(label, sizeof(label), "write-by-proc-%zu", i);
		(void)must_fail(label, open(reopened, flags[i], 0600));
	}
	(void)must_work("stat", access(argv[0], F_OK));
	return 0;
}

/* DIR, writable but for secret.key, private/ (denied) and keep.conf (not to be written). */
static int moves(int argc, char **argv)
{
	const char *dir = argv[0];
	int dirfd = open(dir, O_PATH), secret = open(in(dir, "secret.key"), O_PATH),
	    unnamed = open(dir, O_TMPFILE | O_RDWR, 0600);
	char link_to[64];

	(void)argc;
	(void)must_work("create", open(in(dir, "own"), O_CREAT | O_RDWR, 0600));
	(void)snprintf(link_to, sizeof(link_to), "/proc/self/fd/%d", secret);
	(void)must_fail("rename", rename(in(dir, "secret.key"), in(dir, "out1")));
	(void)must_fail("renameat", renameat(dirfd, "secret.key", dirfd, "out2"));
	(void)must_fail("renameat2", syscall(SYS_renameat2, dirfd, "sub/../secret.key", dirfd, "out3", 0));
	(void)must_fail("exchange", syscall(SYS_renameat2, dirfd, "secret.key", dirfd, "own", RENAME_EXCHANGE));
	(void)must_fail("exchange-back", syscall(SYS_renameat2, dirfd, "own", dirfd, "secret.key", RENAME_EXCHANGE));
	(void)must_fail("rename-folder", rename(in(dir, "private"), in(dir, "out4")));
	(void)must_fail("exchange-folder", syscall(SYS_renameat2, dirfd, "private", dirfd, "sub", RENAME_EXCHANGE));
	(void)must_fail("rename-inner", rename(in(dir, "private/data"), in(dir, "out5")));
	(void)must_fail("rename-into", rename(in(dir, "own"), in(dir, "private/own")));
	(void)must_fail("rename-over", rename(in(dir, "own"), in(dir, "secret.key")));
	(void)must_fail("link", link(in(dir, "secret.key"), in(dir, "out6")));
	(void)must_fail("link-inner", link(in(dir, "private/data"), in(dir, "out7")));
	(void)must_fail("link-by-proc", linkat(AT_FDCWD, link_to, dirfd, "out8", AT_SYMLINK_FOLLOW));
	(void)must_fail("link-by-descriptor", linkat(secret, "", dirfd, "out9", AT_EMPTY_PATH));
	(void)must_fail("unlink", unlink(in(dir, "secret.key")));
	(void)must_fail("rmdir", rmdir(in(dir, "private")));
	(void)must_fail("create-in", open(in(dir, "private/new"), O_CREAT | O_RDWR, 0600));
	(void)must_fail("mkdir-in", mkdir(in(dir, "private/newd"), 0700));
	(void)must_fail("symlink-in", symlink("/", in(dir, "private/newl")));
	(void)must_fail("keep-write", open(in(dir, "keep.conf"), O_WRONLY));
	(void)must_fail("keep-truncate", truncate(in(dir, "keep.conf"), 0));
	(void)must_fail("keep-open-truncate", open(in(dir, "keep.conf"), O_RDONLY | O_TRUNC));
	(void)must_fail("keep-rename-over", rename(in(dir, "own"), in(dir, "keep.conf")));
	(void)must_fail("keep-rename", rename(in(dir, "keep.conf"), in(dir, "out10")));
	(void)must_fail("keep-link", link(in(dir, "keep.conf"), in(dir, "out11")));
	(void)must_fail("keep-unlink", unlink(in(dir, "keep.conf")));
	(void)must_fail("keep-chmod", chmod(in(dir, "keep.conf"), 0));
	(void)must_fail("keep-fchmod", fchmod(open(in(dir, "keep.conf"), O_RDONLY), 0));
	if (unnamed >= 0) {
		(void)snprintf(link_to, sizeof(link_to), "/proc/self/fd/%d", unnamed);
		(void)must_fail("unnamed-to-denied",
				linkat(AT_FDCWD, link_to, dirfd, "private/new2", AT_SYMLINK_FOLLOW));
		(void)must_fail("unnamed-over-kept", linkat(AT_FDCWD, link_to, dirfd, "keep.conf", AT_SYMLINK_FOLLOW));
	} else {
		refused("unnamed", errno);
	}
	for (int i = 1; i < 12; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), i == 4 ? "out%d/data" : "out%d", i);
		must_fail_to_read("moved", dirfd, name, 0);
	}
	must_read("keep-read", in(dir, "keep.conf"), "KEEP");
	(void)must_work("rename-own", rename(in(dir, "own"), in(dir, "own2")));
	return 0;
}

/* FOLDER NAME...: names that must not be read, and open.txt, which may. */
static int aliases(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		must_fail_to_read(argv[i], AT_FDCWD, in(argv[0], argv[i]), 0);
	must_read("open.txt", in(argv[0], "open.txt"), "OPEN");
	return 0;
}

/* FILE: may be read, and not emptied by any call. */
static int cut(int argc, char **argv)
{
	if (argc < 1)
		return 2;
	must_fail("truncate", truncate(argv[0], 0));
	must_fail("chmod", chmod(argv[0], 0600));
	must_fail("open-truncating", open(argv[0], O_WRONLY | O_TRUNC));
	(void)must_work("open", open(argv[0], O_RDONLY));
	return 0;
}

/* Neither the bytes nor the name of the attribute "user.sg" may come. */
static void hide_attribute(const char *name, ssize_t size, const char *bytes)
{
	if (size > 0 &&
	    (memmem(bytes, (size_t)size, "TOPSECRET", 9) != NULL || memmem(bytes, (size_t)size, "user.sg", 7) != NULL))
		escaped(name);
	else
		refused(name, size < 0 ? errno : 0);
}

/* FOLDER NAME OPEN LINK...: NAME may be looked at and not read: nor its attributes beyond stat's, nor where LINK leads. */
static int details(int argc, char **argv)
{
	char text[256], again[64];
	const char *file = in(argv[0], argv[1]);
	const int place = open(file, O_PATH), folder = open(argv[0], O_PATH);
	struct {
		unsigned long long value;
		unsigned int size, flags;
	} packed = {(unsigned long long)(uintptr_t)text, sizeof(text), 0};
	struct stat status;

	(void)must_work("stat", stat(file, &status));
	(void)snprintf(again, sizeof(again), "/proc/self/fd/%d", place);
	hide_attribute("getxattr", getxattr(file, "user.sg", text, sizeof(text)), text);
	hide_attribute("lgetxattr", lgetxattr(file, "user.sg", text, sizeof(text)), text);
	hide_attribute("fgetxattr", fgetxattr(place, "user.sg", text, sizeof(text)), text);
	hide_attribute("getxattr-by-proc", getxattr(again, "user.sg", text, sizeof(text)), text);
	hide_attribute("getxattrat", syscall(464, folder, argv[1], 0, "user.sg", &packed, sizeof(packed)), text);
	hide_attribute("getxattrat-empty", syscall(464, place, "", AT_EMPTY_PATH, "user.sg", &packed, sizeof(packed)),
		       text);
	hide_attribute("listxattr", listxattr(file, text, sizeof(text)), text);
	hide_attribute("llistxattr", llistxattr(file, text, sizeof(text)), text);
	hide_attribute("flistxattr", flistxattr(place, text, sizeof(text)), text);
	hide_attribute("listxattr-by-proc", listxattr(again, text, sizeof(text)), text);
	hide_attribute("listxattrat", syscall(465, folder, argv[1], 0, text, sizeof(text)), text);
	(void)must_work("getxattr-open", getxattr(in(argv[0], argv[2]), "user.sg", text, sizeof(text)));
	(void)must_work("listxattr-open", listxattr(in(argv[0], argv[2]), text, sizeof(text)));
	for (int i = 3; i < argc; i++) {
		const int link = open(in(argv[0], argv[i]), O_PATH | O_NOFOLLOW);

		(void)must_work("lstat", lstat(in(argv[0], argv[i]), &status));
		(void)must_fail("readlink", readlink(in(argv[0], argv[i]), text, sizeof(text)));
		(void)must_fail("readlinkat", readlinkat(folder, argv[i], text, sizeof(text)));
		(void)must_fail("readlinkat-empty", readlinkat(link, "", text, sizeof(text)));
	}
	return 0;
}

const struct probe probes[] = {
	{"modes", modes},
	{"attributes", attributes},
	{"privileged-attributes", privileged_attributes},
	{"nodes", nodes},
	{"host-node", host_node},
	{"moves", moves},
	{"aliases", aliases},
	{"cut", cut},
	{"details", details},
	{NULL, NULL},
};
