/*
 * The world's own /proc.
 *
 * It is an instance of the world's PID namespace, so it shows the world's processes whatever else happens. Of the kernel's own
 * files it shows none (subset=pid), or, where the policy names some, those alone: each other name of its root gets an empty file or
 * folder over it, before any code of the world runs. What is kept is a list, and what is not on it is covered, also names that a later
 * kernel has; a name that cannot be covered, or a listing that cannot be read to its end, refuses the start. The mounts lie on names
 * that nobody can rename, since those of /proc are the kernel's. What is not held: a name that the host's kernel adds later, when a
 * module is loaded; it is seen by worlds whose /proc shows more than processes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"
#include "world/mount_internal.h"

enum { LISTED_BYTES = 4096 };

/* True for processes, and for what is listed: "/one/two/". */
static bool proc_keeps(const char *listed, const char *name)
{
	const size_t length = strlen(name);

	for (const char *at = strstr(listed, name); at != NULL; at = strstr(at + 1, name))
		if (at > listed && at[-1] == '/' && at[length] == '/')
			return true;
	return name[0] >= '0' && name[0] <= '9';
}

int sg_mount_build_proc(int root, struct sg_mount *mount, struct sg_error *error)
{
	static const struct sg_mount_option options[] = {{"subset", "pid"}};

	return sg_mount_attach_made(root,
				    sg_mount_make_filesystem("proc", options, 1,
							     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
							     error),
				    mount, error);
}

/* What covers the names: an empty folder, and an empty file that nobody may read. O_PATH. */
struct covers {
	int folder, file;
};

/* Covers one name of /proc with a clone. A name that is gone by now needs none. */
static int cover(int proc, const struct dirent64 *entry, const struct covers *covers, struct sg_error *error)
{
	SG_AUTO_FD int tree = open_tree(entry->d_type == DT_DIR ? covers->folder : covers->file, "",
					OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (tree < 0 || (move_mount(tree, "", proc, entry->d_name, MOVE_MOUNT_F_EMPTY_PATH) < 0 && errno != ENOENT))
		return sg_error_set_errno(error, -errno, "cannot cover /proc/%s", entry->d_name);
	return 0;
}

/*
 * Covers what is there and not listed. It is read by the call itself: opendir(3) allocates, which nobody may who was forked from the
 * keeper (world/sibling.c).
 */
static int cover_listing(int proc, const char *listed, const struct covers *covers, struct sg_error *error)
{
	SG_AUTO_FD int listing = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Alignas(struct dirent64) char entries[LISTED_BYTES];
	int status = 0;

	for (;;) {
		const ssize_t size = getdents64(listing, entries, sizeof(entries));

		if (size < 0)
			return sg_error_set_errno(error, -errno, "cannot list /proc");
		if (size == 0)
			return 0;
		for (ssize_t at = 0; at < size && status == 0;) {
			const struct dirent64 *entry = (const struct dirent64 *)(const void *)(entries + at);

			if (entry->d_name[0] != '.' && !proc_keeps(listed, entry->d_name))
				status = cover(proc, entry, covers, error);
			at += entry->d_reclen;
		}
		if (status < 0)
			return status;
	}
}

static int cover_all(int root, int proc, const char *listed, struct sg_error *error)
{
	SG_AUTO_FD int folder = -1, file = -1;
	int status;

	if (sg_mount_make_point(root, ".empty-folder", true, 0555) < 0 ||
	    sg_mount_make_point(root, ".empty-file", false, 0) < 0)
		return sg_error_set(error, -EIO, "cannot make the covers of /proc");
	folder = openat(root, ".empty-folder", O_PATH | O_CLOEXEC);
	file = openat(root, ".empty-file", O_PATH | O_CLOEXEC);
	if (folder < 0 || file < 0)
		return sg_error_set_errno(error, -errno, "cannot make the covers of /proc");
	status = cover_listing(proc, listed, &(struct covers){folder, file}, error);
	(void)unlinkat(root, ".empty-folder", AT_REMOVEDIR);
	(void)unlinkat(root, ".empty-file", 0);
	return status;
}

/* By a mount of its own: what the files' own modes forbid is for other users than the world's. */
static int lock_proc(int proc, const char *name, struct sg_error *error)
{
	struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
						   MOUNT_ATTR_NOEXEC};
	SG_AUTO_FD int tree = open_tree(proc, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) < 0 ||
	    move_mount(tree, "", proc, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return sg_error_set_errno(error, -errno, "cannot make /proc/%s read-only", name);
	return 0;
}

int sg_mount_build_proc_system(int root, struct sg_mount *mount, struct sg_error *error)
{
	/* Of all that may be listed (plan_proc.c) only these have files that others than the host's root may write. */
	static const char *const writable[] = {"sys", "pressure"};
	SG_AUTO_FD int proc = -1;
	int status;

	proc = sg_mount_make_filesystem("proc", NULL, 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
					error);
	if (proc < 0)
		return proc;
	status = sg_mount_attach(root, proc, mount, error);
	for (size_t i = 0; status == 0 && i < SG_ARRAY_SIZE(writable); i++)
		if (proc_keeps(mount->source, writable[i]) && faccessat(proc, writable[i], F_OK, 0) == 0)
			status = lock_proc(proc, writable[i], error);
	return status == 0 ? cover_all(root, proc, mount->source, error) : status;
}
