/*
 * Files with contents of ours: in the skeleton, or over a file of a tree (resolv.conf, say). What they hold was decided by the planner.
 * In the skeleton such a file is made new (O_EXCL), and read-only with all of it at the end. In a tree the name is walked without
 * following a link, and a mount is put over what stands there: the host's file is not touched. Somebody outside who moves that file
 * takes the mount along and shows the world the host's file again, which the policy lets it read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "world/mount_internal.h"

/* Writes a text mount's contents to a new file `name` below `folder`. */
static int write_text(int folder, const char *name, const struct sg_mount *mount)
{
	SG_AUTO_FD int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
				   mount->mode == 0 ? 0444 : mount->mode);

	return fd < 0 ? -errno : sg_fd_write_full(fd, mount->source, strlen(mount->source));
}

/*
 * A text in the place of a file of a mounted tree. The files lie in one tmpfs, which is attached to the skeleton only while the
 * world is built: a clone of a single file keeps the name that it has in it, so that the mount has one in the world. What is
 * mounted is the one read-only file; the folder that it lies in with the others is in no mount of the world. (It must not be
 * stacked on "/" to go with the host's root: of what lies stacked there, only the uppermost mount goes at the end.) Owned
 * by the process that builds, which has one thread.
 */
static struct {
	int folder;
	unsigned int count;
} texts = {.folder = -1};

static int open_texts(int root, struct sg_error *error)
{
	static const struct sg_mount_option options[] = {{"mode", "0755"}, {"size", "1m"}};
	SG_AUTO_FD int folder = -1;
	int status;

	if (texts.folder >= 0)
		return 0;
	folder = sg_mount_make_filesystem("tmpfs", options, 2, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, error);
	if (folder < 0)
		return folder;
	status = sg_mount_make_point(root, ".text", true, 0700);
	if (status == 0 && move_mount(folder, "", root, ".text", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		status = -errno;
	if (status == 0)
		texts.folder = sg_fd_take(&folder);
	return status;
}

int sg_mount_close_texts(int root, struct sg_error *error)
{
	char link[48];
	int status = 0;

	if (texts.folder < 0)
		return 0;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", texts.folder);
	if (umount2(link, MNT_DETACH) < 0)
		status = -errno;
	texts.folder = sg_fd_close(texts.folder);
	(void)unlinkat(root, ".text", AT_REMOVEDIR);
	return status < 0 ? sg_error_set_errno(error, status, "cannot take off the folder of texts") : 0;
}

static int cover_with_text(int root, const struct sg_mount *mount, struct sg_error *error)
{
	struct mount_attr sealed = {.attr_set = sg_mount_attributes(mount)};
	SG_AUTO_FD int file = -1;
	char name[16];
	int status = open_texts(root, error);

	(void)snprintf(name, sizeof(name), "%u", texts.count++);
	if (status == 0)
		status = write_text(texts.folder, name, mount);
	if (status < 0)
		return status;
	file = open_tree(texts.folder, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (file < 0 || mount_setattr(file, "", AT_EMPTY_PATH, &sealed, sizeof(sealed)) < 0)
		return -errno;
	return sg_mount_attach_to(root, file, sg_mount_below_root(mount->target));
}

int sg_mount_build_text(int root, struct sg_mount *mount, struct sg_error *error)
{
	const char *last;
	SG_AUTO_FD int parent = sg_mount_open_parent(root, sg_mount_below_root(mount->target), &last);
	struct stat there;
	int status;

	if (parent < 0)
		status = parent;
	else if (fstatat(parent, last, &there, AT_SYMLINK_NOFOLLOW) == 0)
		status = S_ISREG(there.st_mode) ? cover_with_text(root, mount, error) : -EINVAL;
	else
		status = write_text(parent, last, mount);
	return status < 0 ? sg_error_set_errno(error, status, "cannot make the file %s", mount->target) : 0;
}
