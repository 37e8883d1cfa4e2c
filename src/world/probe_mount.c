/* Trials of mounts. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "world/identity.h"
#include "world/probe_internal.h"

/* A file system of `type` as a detached mount, or a negative errno value with what failed said. */
static int make(const struct sg_trial *trial, const char *type, const char *key, const char *value, const char *flag)
{
	SG_AUTO_FD int context = fsopen(type, FSOPEN_CLOEXEC);
	int mount;

	if (context < 0)
		return sg_trial_fail(trial, type);
	if (key != NULL && fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) < 0)
		return sg_trial_fail(trial, key);
	if (flag != NULL && fsconfig(context, FSCONFIG_SET_FLAG, flag, NULL, 0) < 0)
		return sg_trial_fail(trial, flag);
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return sg_trial_fail(trial, type);
	mount = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID);
	return mount < 0 ? sg_trial_fail(trial, "fsmount") : mount;
}

/* A tmpfs over /tmp or whatever folder there is: the namespace is ours. */
static int make_scratch(const struct sg_trial *trial)
{
	SG_AUTO_FD int tmpfs = -1;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return sg_trial_fail(trial, "making mounts private");
	tmpfs = make(trial, "tmpfs", NULL, NULL, NULL);
	if (tmpfs < 0)
		return tmpfs;
	if (move_mount(tmpfs, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return sg_trial_fail(trial, "move_mount");
	return sg_fd_take(&tmpfs);
}

static int mount_api_here(const struct sg_trial *trial)
{
	SG_AUTO_FD int scratch = make_scratch(trial);
	SG_AUTO_FD int tree = -1;

	if (scratch < 0)
		return scratch;
	tree = open_tree(AT_FDCWD, "/usr", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	return tree < 0 ? sg_trial_fail(trial, "open_tree") : 0;
}

static int mount_setattr_here(const struct sg_trial *trial)
{
	struct mount_attr change = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
				    .propagation = MS_PRIVATE};
	SG_AUTO_FD int tree = open_tree(AT_FDCWD, "/usr", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (tree < 0)
		return sg_trial_fail(trial, "open_tree");
	return mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof(change)) < 0
		       ? sg_trial_fail(trial, "mount_setattr")
		       : 0;
}

static int proc_mount_here(const struct sg_trial *trial)
{
	SG_AUTO_FD int proc = make(trial, "proc", "subset", "pid", NULL);

	return proc < 0 ? proc : 0;
}

static int devpts_here(const struct sg_trial *trial)
{
	SG_AUTO_FD int pts = make(trial, "devpts", "ptmxmode", "0666", NULL);
	SG_AUTO_FD int scratch = -1;
	SG_AUTO_FD int master = -1;

	if (pts < 0)
		return pts;
	scratch = make_scratch(trial);
	if (scratch < 0)
		return scratch;
	if (mkdirat(scratch, "pts", 0755) < 0 || move_mount(pts, "", scratch, "pts", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return sg_trial_fail(trial, "mounting a devpts");
	master = openat(scratch, "pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	return master < 0 ? sg_trial_fail(trial, "opening a terminal") : 0;
}

static int overlay_here(const struct sg_trial *trial)
{
	SG_AUTO_FD int overlay = -1;
	SG_AUTO_FD int scratch = make_scratch(trial);

	if (scratch < 0)
		return scratch;
	if (mkdirat(scratch, "upper", 0755) < 0 || mkdirat(scratch, "lower", 0755) < 0)
		return sg_trial_fail(trial, "mkdir");
	if (fchdir(scratch) < 0)
		return sg_trial_fail(trial, "fchdir");
	overlay = make(trial, "overlay", "lowerdir", "upper:lower", "userxattr");
	return overlay < 0 ? overlay : 0;
}

static int tmpfs_xattr_here(const struct sg_trial *trial)
{
	SG_AUTO_FD int tmpfs = make(trial, "tmpfs", NULL, NULL, NULL);
	SG_AUTO_FD int root = -1;

	if (tmpfs < 0)
		return tmpfs;
	root = openat(tmpfs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root < 0 || fsetxattr(root, "user.overlay.opaque", "y", 1, 0) < 0
		       ? sg_trial_fail(trial, "a user attribute")
		       : 0;
}

static int fuse_here(const struct sg_trial *trial)
{
	SG_AUTO_FD int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	return device < 0 ? sg_trial_fail(trial, "/dev/fuse") : 0;
}

#define MOUNT_TRIAL(name, flags)                                                                                       \
	int sg_trial_##name(const struct sg_trial *trial)                                                              \
	{                                                                                                              \
		return sg_trial_within(CLONE_NEWNS | (flags), false, name##_here, trial);                              \
	}
MOUNT_TRIAL(mount_api, 0)
MOUNT_TRIAL(mount_setattr, 0)
MOUNT_TRIAL(proc_mount, CLONE_NEWPID)
MOUNT_TRIAL(devpts, 0)
MOUNT_TRIAL(overlay, 0)
MOUNT_TRIAL(tmpfs_xattr, 0)
MOUNT_TRIAL(fuse, 0)

/* A descriptor of a user namespace with the session's maps. */
static int make_namespace(const struct sg_trial *trial, const struct sg_identity *identity)
{
	struct clone_args arguments = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	struct sg_error error = SG_ERROR_INIT;
	const long pid = syscall(SYS_clone3, &arguments, sizeof(arguments));
	char path[48];
	int fd = -1;

	if (pid == 0)
		for (;;)
			(void)pause();
	if (pid < 0)
		return sg_trial_fail(trial, "clone3");
	(void)snprintf(path, sizeof(path), "/proc/%ld/ns/user", pid);
	if (sg_identity_write_maps(identity, (pid_t)pid, false, &error) < 0)
		fd = sg_trial_say(trial, error.code, "%s", error.text);
	else
		fd = open(path, O_RDONLY | O_CLOEXEC);
	sg_trial_reap((int)pid);
	return fd < 0 && error.code == 0 ? sg_trial_fail(trial, path) : fd;
}

int sg_trial_idmapped(const struct sg_trial *trial)
{
	struct sg_error error = SG_ERROR_INIT;
	struct mount_attr map = {.attr_set = MOUNT_ATTR_IDMAP};
	struct sg_identity identity;
	SG_AUTO_FD int tree = -1;
	SG_AUTO_FD int namespace = -1;

	if (sg_identity_find(NULL, &identity, &error) < 0)
		return sg_trial_say(trial, error.code, "%s", error.text);
	if (!identity.mapped)
		return sg_trial_say(trial, 1, "only worlds that root makes use it");
	namespace = make_namespace(trial, &identity);
	if (namespace < 0)
		return namespace;
	map.userns_fd = (__u64)(unsigned int)namespace;
	tree = open_tree(AT_FDCWD, trial->folder, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return sg_trial_fail(trial, "open_tree");
	return mount_setattr(tree, "", AT_EMPTY_PATH, &map, sizeof(map)) < 0 ? sg_trial_fail(trial, "mount_setattr")
									     : 0;
}
