#include "world/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "tables/features.h"
#include "world/mount_internal.h"

#define SG_MOUNT_NOT_MAPPED                                                                                            \
	"a profile that writes to %s as root needs the feature idmapped-mounts, which is missing there (%s): run as "  \
	"an "                                                                                                          \
	"ordinary user, or accept with Misc.AcceptMissing = [\"idmapped-mounts\"] that the world's uid 0 owns "        \
	"nothing there"

const char *sg_mount_below_root(const char *target)
{
	while (*target == '/')
		target++;
	return *target == '\0' ? "." : target;
}

/*
 * What lies on the way to a name may be a mounted folder of the host in which others rename and link at this moment. So a
 * name is walked from the root of the skeleton without following any symbolic link: it leads where it says, or nowhere.
 */
static int open_name(int root, const char *name)
{
	const struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	long fd = syscall(SYS_openat2, root, name, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int sg_mount_open_parent(int root, const char *name, const char **ret_last)
{
	int folder = fcntl(root, F_DUPFD_CLOEXEC, 3);

	for (const char *slash = strchr(name, '/'); slash != NULL && folder >= 0; slash = strchr(name, '/')) {
		SG_AUTO_FD int above = folder;
		char component[NAME_MAX + 1];

		if (slash - name > NAME_MAX)
			return -ENAMETOOLONG;
		(void)snprintf(component, sizeof(component), "%.*s", (int)(slash - name), name);
		if (mkdirat(above, component, 0755) < 0 && errno != EEXIST)
			return -errno;
		folder = openat(above, component, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		name = slash + 1;
	}
	*ret_last = name;
	return folder < 0 ? -errno : folder;
}

int sg_mount_make_point(int root, const char *name, bool folder, unsigned int mode)
{
	SG_AUTO_FD int parent = -1, file = -1;
	const char *last;

	if (strcmp(name, ".") == 0)
		return 0;
	parent = sg_mount_open_parent(root, name, &last);
	if (parent < 0)
		return parent;
	if (folder)
		return mkdirat(parent, last, mode) < 0 && errno != EEXIST ? -errno : 0;
	file = openat(parent, last, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	return file < 0 && errno != EEXIST ? -errno : 0;
}

int sg_mount_attach_to(int root, int tree, const char *name)
{
	SG_AUTO_FD int target = open_name(root, name);

	if (target < 0)
		return target;
	return move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ? -errno : 0;
}

uint64_t sg_mount_attributes(const struct sg_mount *mount)
{
	uint64_t set = MOUNT_ATTR_NOSUID;

	if (mount->kind != SG_MOUNT_DEVICE)
		set |= MOUNT_ATTR_NODEV;
	if ((mount->flags & SG_MOUNT_WRITE) == 0 && mount->kind != SG_MOUNT_DEVICE)
		set |= MOUNT_ATTR_RDONLY;
	if ((mount->flags & SG_MOUNT_EXECUTE) == 0)
		set |= MOUNT_ATTR_NOEXEC;
	return set;
}

/*
 * The source of a tree is canonical: a symbolic link on the way was put there after the planner had looked, by somebody who
 * would have us mount something else. (Of a folder O_DIRECTORY lets the kernel mount what is mounted on demand.)
 */
static int open_source(const struct sg_mount *mount)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC | O_DIRECTORY, .resolve = RESOLVE_NO_SYMLINKS};
	long fd;

	if (mount->kind == SG_MOUNT_DEVICE)
		how = (struct open_how){.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
	fd = syscall(SYS_openat2, AT_FDCWD, mount->source, &how, sizeof(how));
	if (fd < 0 && errno == ENOTDIR) {
		how.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW;
		fd = syscall(SYS_openat2, AT_FDCWD, mount->source, &how, sizeof(how));
	}
	return fd < 0 ? -1 : (int)fd;
}

/* What is only read needs no map: without one the world's root sees it as any other user does, which is less. */
static int map_ids(const struct sg_mount *mount, int tree, int user_namespace, struct sg_error *error)
{
	struct mount_attr map = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (__u64)(unsigned int)user_namespace};
	const bool hidden = sg_feature_hidden(SG_FEATURE_IDMAPPED_MOUNTS);

	if (!hidden && mount_setattr(tree, "", AT_EMPTY_PATH, &map, sizeof(map)) == 0)
		return 0;
	if ((mount->flags & SG_MOUNT_WRITE) == 0)
		return 0;
	return sg_error_set(error, hidden ? -EOPNOTSUPP : -errno, SG_MOUNT_NOT_MAPPED, mount->source,
			    hidden ? "hidden for a test" : strerrordesc_np(errno));
}

/* What was a file when the plan was made. */
static bool is_fifo_to_read(const struct sg_mount *mount, int source)
{
	struct stat status;

	return mount->kind == SG_MOUNT_TREE && (mount->flags & SG_MOUNT_WRITE) == 0 && fstat(source, &status) == 0 &&
	       S_ISFIFO(status.st_mode);
}

/* Clones the source as a detached tree with its attributes set. Returns the descriptor or a negative errno value. */
static int clone_source(const struct sg_mount *mount, int user_namespace, struct sg_error *error)
{
	struct mount_attr change = {.attr_set = sg_mount_attributes(mount), .propagation = MS_PRIVATE};
	SG_AUTO_FD int source = open_source(mount), tree = -1;

	if (source >= 0 && is_fifo_to_read(mount, source))
		return sg_error_set(error, -EACCES, SG_MOUNT_IS_FIFO, mount->source);
	if (source >= 0)
		tree = open_tree(source, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0) {
		if ((mount->flags & SG_MOUNT_OPTIONAL) != 0 && (errno == ENOENT || errno == EACCES || errno == ENOTDIR))
			return -errno;
		return sg_error_set_errno(error, -errno, "cannot open %s for the world", mount->source);
	}
	/* A device is one node, which the kernel binds by its mode; its mount has no attributes to give up. */
	if (mount->kind != SG_MOUNT_DEVICE &&
	    mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof(change)) < 0)
		return sg_error_set_errno(error, -errno, "cannot set the mount attributes of %s", mount->source);
	if ((mount->flags & SG_MOUNT_OWNED) != 0 && user_namespace >= 0) {
		int status = map_ids(mount, tree, user_namespace, error);

		if (status < 0)
			return status;
	}
	return sg_fd_take(&tree);
}

int sg_mount_prepare(struct sg_mount *mounts, size_t count, int user_namespace, struct sg_error *error)
{
	for (size_t i = 0; i < count; i++) {
		struct sg_mount *mount = &mounts[i];
		int tree;

		if (mount->kind != SG_MOUNT_TREE && mount->kind != SG_MOUNT_DEVICE)
			continue;
		tree = clone_source(mount, user_namespace, error);
		if (tree < 0 && (mount->flags & SG_MOUNT_OPTIONAL) == 0)
			return tree;
		mount->tree = tree;
	}
	return 0;
}

/* Which operation each descriptor of a message belongs to. */
struct batch {
	uint32_t last; /* no message follows */
	uint32_t count;
	uint32_t index[SG_FD_PASS_MAX];
};

int sg_mount_send(int socket, struct sg_mount *mounts, size_t count)
{
	struct batch batch = {0};
	int fds[SG_FD_PASS_MAX], status = 0;

	for (size_t i = 0; i <= count && status == 0; i++) {
		if (i < count && mounts[i].tree >= 0) {
			batch.index[batch.count] = (uint32_t)i;
			fds[batch.count++] = mounts[i].tree;
		}
		if (batch.count < SG_FD_PASS_MAX && i < count)
			continue;
		batch.last = i == count;
		status = sg_fd_send(socket, &batch, sizeof(batch), fds, batch.count);
		batch.count = 0;
	}
	sg_mount_release(mounts, count);
	return status;
}

int sg_mount_receive(int socket, struct sg_mount *mounts, size_t count)
{
	struct batch batch = {0};

	while (batch.last == 0) {
		int fds[SG_FD_PASS_MAX];
		size_t received = 0;
		ssize_t size = sg_fd_receive(socket, &batch, sizeof(batch), fds, SG_FD_PASS_MAX, &received);
		bool good = size == (ssize_t)sizeof(batch) && batch.count == received;

		for (size_t i = 0; i < received; i++) {
			good = good && batch.index[i] < count && mounts[batch.index[i]].tree < 0;
			if (good)
				mounts[batch.index[i]].tree = fds[i];
			else
				sg_fd_close(fds[i]);
		}
		if (!good)
			return size < 0 ? (int)size : -EPROTO;
	}
	return 0;
}

void sg_mount_release(struct sg_mount *mounts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		mounts[i].tree = sg_fd_close(mounts[i].tree);
}

int sg_mount_attach(int root, int tree, const struct sg_mount *mount, struct sg_error *error)
{
	const char *name = sg_mount_below_root(mount->target);
	struct stat status;
	int made, attached = sg_mount_attach_to(root, tree, name);

	if (attached == -ENOENT) {
		if (fstat(tree, &status) < 0)
			return sg_error_set_errno(error, -errno, "cannot examine %s", mount->source);
		made = sg_mount_make_point(root, name, S_ISDIR(status.st_mode), 0755);
		if (made < 0)
			return sg_error_set_errno(error, made, "cannot make the mount point %s", mount->target);
		attached = sg_mount_attach_to(root, tree, name);
	}
	return attached < 0 ? sg_error_set_errno(error, attached, "cannot mount %s", mount->target) : 0;
}

int sg_mount_make_filesystem(const char *type, const struct sg_mount_option *options, size_t count, uint64_t attr,
			     struct sg_error *error)
{
	SG_AUTO_FD int context = fsopen(type, FSOPEN_CLOEXEC);
	int mount;

	if (context < 0)
		return sg_error_set_errno(error, -errno, "cannot make a %s", type);
	for (size_t i = 0; i < count; i++)
		if (fsconfig(context, options[i].value == NULL ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING,
			     options[i].key, options[i].value, 0) < 0)
			return sg_error_set_errno(error, -errno, "%s refuses the option %s", type, options[i].key);
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return sg_error_set_errno(error, -errno, "cannot make a %s of the world's own", type);
	mount = fsmount(context, FSMOUNT_CLOEXEC, (unsigned int)attr);
	return mount < 0 ? sg_error_set_errno(error, -errno, "cannot mount a %s", type) : mount;
}

/*
 * Covers: an overlay of two read-only layers over a tree, a tmpfs of ours above it. In the layer stands, for each name, a
 * whiteout (the name does not exist) or an empty file or folder that nobody may open. An overlay looks names up by name
 * each time, so a cover holds for the name, not for the file that bore it at the start: nothing that is renamed or made
 * outside comes through under it. (A mount over the name would go with the file that was there.) With an empty layer the
 * overlay is the whole purpose: a FIFO's pipe belongs to the overlay's inode, not to the host's.
 */
static int make_cover(int layer, const struct sg_mount_cover *cover)
{
	const char *last;
	SG_AUTO_FD int parent = sg_mount_open_parent(layer, cover->name, &last);
	int status;

	if (parent < 0)
		return parent;
	if (cover->hide)
		return mknodat(parent, last, S_IFCHR, 0) < 0 ? -errno : 0;
	status = sg_mount_make_point(layer, cover->name, cover->folder, 0);
	/*
	 * The folder of the upper layer lends the merged one its mode: nobody without capabilities gets in. Where tmpfs has
	 * user attributes (Linux 6.6) it is opaque as well: nothing of the host's folder is behind it.
	 */
	if (status == 0 && cover->folder) {
		SG_AUTO_FD int folder = openat(layer, cover->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

		if (folder < 0)
			return -errno;
		if (!sg_feature_hidden(SG_FEATURE_TMPFS_XATTR) &&
		    fsetxattr(folder, "user.overlay.opaque", "y", 1, 0) < 0 && errno != EOPNOTSUPP)
			return -errno;
	}
	return status;
}

static int build_covers(int root, const struct sg_mount *mount, struct sg_error *error)
{
	SG_AUTO_FD int layer = -1, lower = -1, overlay = -1;
	char layers[128];
	int status = 0;

	lower = open_name(root, sg_mount_below_root(mount->target));
	layer = sg_mount_make_filesystem("tmpfs", &(struct sg_mount_option){"mode", "0755"}, 1,
					 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, error);
	if (lower < 0 || layer < 0)
		return sg_error_set_errno(error, lower < 0 ? lower : layer, "cannot cover names in %s", mount->target);
	for (size_t i = 0; i < mount->cover_count && status == 0; i++) {
		status = make_cover(layer, &mount->covers[i]);
		if (status < 0)
			return sg_error_set_errno(error, status, "cannot cover %s in %s", mount->covers[i].name,
						  mount->target);
	}
	/* A layer must be a mount of this namespace: it lies on the tree for a moment, and below the overlay for good. */
	status = sg_mount_attach_to(root, layer, sg_mount_below_root(mount->target));
	if (status < 0)
		return sg_error_set_errno(error, status, "cannot cover names in %s", mount->target);
	(void)snprintf(layers, sizeof(layers), "/proc/self/fd/%d:/proc/self/fd/%d", layer, lower);
	const struct sg_mount_option options[] = {{"lowerdir", layers}, {"userxattr", NULL}, {"xino", "off"}};
	/* xino=off: the numbers of inodes stay those of the tree, by which refused files are told (supervisor/denied.h). */
	overlay =
		sg_mount_make_filesystem("overlay", options, SG_ARRAY_SIZE(options), sg_mount_attributes(mount), error);
	if (overlay < 0)
		return overlay;
	return sg_mount_attach(root, overlay, mount, error);
}

static int build_tree(int root, struct sg_mount *mount, struct sg_error *error)
{
	SG_AUTO_FD int tree = -1;
	int status;

	if (mount->tree >= 0)
		tree = sg_fd_take(&mount->tree);
	else
		tree = clone_source(mount, -1, error);
	if (tree < 0)
		return (mount->flags & SG_MOUNT_OPTIONAL) != 0 ? 0 : tree;
	status = sg_mount_attach(root, tree, mount, error);
	if (status == 0 && (mount->cover_count > 0 || (mount->flags & SG_MOUNT_OVERLAY) != 0))
		status = build_covers(root, mount, error);
	return status;
}

int sg_mount_attach_made(int root, int tree, const struct sg_mount *mount, struct sg_error *error)
{
	SG_AUTO_FD int owned = tree;

	return tree < 0 ? tree : sg_mount_attach(root, owned, mount, error);
}

static int build_private(int root, struct sg_mount *mount, struct sg_error *error)
{
	char mode[16];
	struct sg_mount_option options[] = {{"mode", mode}};

	(void)snprintf(mode, sizeof(mode), "0%o", mount->mode == 0 ? 0755 : mount->mode);
	return sg_mount_attach_made(
		root, sg_mount_make_filesystem("tmpfs", options, 1, sg_mount_attributes(mount), error), mount, error);
}

/*
 * The kernel has one number of terminals for all instances but the host's (kernel.pty.max less kernel.pty.reserve, 3072): a world that
 * took them all would leave none to other worlds and containers.
 */
static int make_pts(struct sg_error *error)
{
	static const struct sg_mount_option options[] = {{"mode", "0620"}, {"ptmxmode", "0666"}, {"max", "256"}};

	return sg_mount_make_filesystem("devpts", options, SG_ARRAY_SIZE(options),
					MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, error);
}

static int build_pts(int root, struct sg_mount *mount, struct sg_error *error)
{
	return sg_mount_attach_made(root, make_pts(error), mount, error);
}

int sg_mount_terminals(struct sg_error *error)
{
	const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
	SG_AUTO_FD int point = (int)syscall(SYS_openat2, AT_FDCWD, "/dev/pts", &how, sizeof(how)), made = -1;
	struct statfs system;

	if (point < 0 || fstatfs(point, &system) < 0)
		return sg_error_set_errno(error, -errno, "there is no place for terminals in this world");
	if (system.f_type == DEVPTS_SUPER_MAGIC)
		return 0;
	made = make_pts(error);
	if (made < 0)
		return made;
	if (move_mount(made, "", point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return sg_error_set_errno(error, -errno, "cannot make a place for terminals in this world");
	return 0;
}

static int build_sysfs(int root, struct sg_mount *mount, struct sg_error *error)
{
	return sg_mount_attach_made(
		root,
		sg_mount_make_filesystem("sysfs", NULL, 0,
					 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
					 error),
		mount, error);
}

static int build_folder(int root, struct sg_mount *mount, struct sg_error *error)
{
	int status = sg_mount_make_point(root, sg_mount_below_root(mount->target), true,
					 mount->mode == 0 ? 0755 : mount->mode);

	return status < 0 ? sg_error_set_errno(error, status, "cannot make the folder %s", mount->target) : 0;
}

static int build_symlink(int root, struct sg_mount *mount, struct sg_error *error)
{
	const char *last;
	SG_AUTO_FD int parent = sg_mount_open_parent(root, sg_mount_below_root(mount->target), &last);

	if (parent < 0)
		return sg_error_set_errno(error, parent, "cannot make the link %s", mount->target);
	if (symlinkat(mount->source, parent, last) == 0 || errno == EEXIST)
		return 0;
	return sg_error_set_errno(error, -errno, "cannot make the link %s", mount->target);
}

static int (*const builders[SG_MOUNT_KINDS_])(int root, struct sg_mount *mount, struct sg_error *error) = {
	[SG_MOUNT_FOLDER] = build_folder,
	[SG_MOUNT_TREE] = build_tree,
	[SG_MOUNT_PRIVATE] = build_private,
	[SG_MOUNT_SYMLINK] = build_symlink,
	[SG_MOUNT_TEXT] = sg_mount_build_text,
	[SG_MOUNT_DEVICE] = build_tree,
	[SG_MOUNT_PROC] = sg_mount_build_proc,
	[SG_MOUNT_PROC_SYSTEM] = sg_mount_build_proc_system,
	[SG_MOUNT_PTS] = build_pts,
	[SG_MOUNT_SYSFS] = build_sysfs,
};

/* A tmpfs stacked on "/": the steps reach it by its descriptor, the host's tree by name, until pivot_root. */
static int make_root(struct sg_error *error)
{
	static const struct sg_mount_option options[] = {{"mode", "0755"}, {"size", "1m"}};
	SG_AUTO_FD int root = -1;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return sg_error_set_errno(error, -errno, "cannot make the mounts of the world private");
	root = sg_mount_make_filesystem("tmpfs", options, 2, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
					error);
	if (root < 0)
		return root;
	if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return sg_error_set_errno(error, -errno, "cannot mount the root of the world");
	return sg_fd_take(&root);
}

int sg_mount_build(struct sg_mount *mounts, size_t count, struct sg_error *error)
{
	struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
	SG_AUTO_FD int root = make_root(error);
	int status;

	if (root < 0)
		return root;
	for (size_t i = 0; i < count; i++) {
		status = builders[mounts[i].kind](root, &mounts[i], error);

		if (status < 0)
			return status;
	}
	status = sg_mount_close_texts(root, error);
	if (status < 0)
		return status;
	if (mount_setattr(root, "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) < 0)
		return sg_error_set_errno(error, -errno, "cannot make the skeleton read-only");
	/* The new root is stacked on the old one: after the switch the old one lies on top of it, and goes. */
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return sg_error_set_errno(error, -errno, "cannot switch to the root of the world");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return sg_error_set_errno(error, -errno, "cannot drop the host's root");
	return 0;
}
