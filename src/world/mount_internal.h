/*
 * What the files that build the mount tree share (mount.c, mount_proc.c, mount_text.c). `root` is a descriptor of the skeleton's
 * root, `name` a name below it without a leading slash: none of these follows a symbolic link, and none reaches what is not
 * below the skeleton. They are called by the one thread of the process that builds the world.
 */
#pragma once

#include "world/mount.h"

/* An option of a file system that is made. */
struct sg_mount_option {
	const char *key, *value; /* value NULL: a flag */
};

/* The name below the root's descriptor: "/a/b" → "a/b", "/" → ".". Points into `target`. */
const char *sg_mount_below_root(const char *target);

/*
 * Opens the folder that `name` lies in (O_PATH), making those that are missing; existing ones stay as they are. Returns a
 * descriptor, which is the caller's, and in *ret_last the last component (points into `name`), or a negative errno value.
 */
int sg_mount_open_parent(int root, const char *name, const char **ret_last);

/* Makes an empty folder or file at `name` to mount on; one that exists is fine. Returns 0 or a negative errno value. */
int sg_mount_make_point(int root, const char *name, bool folder, unsigned int mode);

/* Attaches the detached mount `tree` to what stands under `name`. Returns 0, -ENOENT if nothing does, or another errno value. */
int sg_mount_attach_to(int root, int tree, const char *name);

/* Attaches the detached mount `tree` at the operation's target, which is made if need be. Returns 0 or a negative errno value. */
int sg_mount_attach(int root, int tree, const struct sg_mount *mount, struct sg_error *error);

/* The same, and closes `tree`. A `tree` below 0 is an error that has its context already, and is returned. */
int sg_mount_attach_made(int root, int tree, const struct sg_mount *mount, struct sg_error *error);

/* The attributes (MOUNT_ATTR_..., mount_setattr(2)) that the operation's flags ask for. */
uint64_t sg_mount_attributes(const struct sg_mount *mount);

/*
 * Makes a file system of `type` and returns it as a detached mount with the attributes `attr`: a descriptor, which is the
 * caller's, or a negative errno value with context.
 */
int sg_mount_make_filesystem(const char *type, const struct sg_mount_option *options, size_t count, uint64_t attr,
			     struct sg_error *error);

/* SG_MOUNT_PROC and SG_MOUNT_PROC_SYSTEM (mount_proc.c). Return 0 or a negative errno value with context. */
int sg_mount_build_proc(int root, struct sg_mount *mount, struct sg_error *error);
int sg_mount_build_proc_system(int root, struct sg_mount *mount, struct sg_error *error);

/* SG_MOUNT_TEXT (mount_text.c). Returns 0 or a negative errno value with context. */
int sg_mount_build_text(int root, struct sg_mount *mount, struct sg_error *error);

/* After the last text: takes off the folder in which those lie that stand over files of trees. Does nothing where there is none. */
int sg_mount_close_texts(int root, struct sg_error *error);
