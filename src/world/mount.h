/*
 * The world's mount tree, as data and as the steps that build it.
 *
 * A tree is a list of operations in the order in which they are carried out (parents before what lies in them). The list
 * is made by the planner (world/plan.h) from the policy and this host; nothing here decides anything.
 *
 * The security argument. The root of the world is a tmpfs of our own, and every folder on the way to a granted one is a
 * folder of that tmpfs, read-only at the end: nobody outside can rename an ancestor of a grant, so a mount stays on the
 * name that it was made for. What is not in the list does not exist in the world. Host trees are clones of the world's
 * own, with nosuid and nodev always, read-only and noexec unless the operation says otherwise; all are private, so
 * that no mount made later on the host appears inside. The steps run before any code of the world does, from names that
 * the profile gave and that were resolved on the host once: what is cloned is the object that was opened.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum sg_mount_kind {
	SG_MOUNT_FOLDER,  /* an empty folder of the skeleton */
	SG_MOUNT_TREE,    /* the host's folder or file `source`, with everything mounted below it */
	SG_MOUNT_PRIVATE, /* an empty tmpfs of the world's own, gone with it; `mode` */
	SG_MOUNT_SYMLINK, /* a symbolic link of the skeleton with the text `source` */
	SG_MOUNT_TEXT,    /* a read-only file with the contents `source`, in the skeleton or over a file of a tree */
	SG_MOUNT_DEVICE,  /* the host's device node `source` */
	SG_MOUNT_PROC,    /* a proc of the world's own PID namespace, processes only */
	SG_MOUNT_PROC_SYSTEM, /* the same with the files and folders of the kernel that `source` lists: "/one/two/"; read-only */
	SG_MOUNT_PTS,   /* a devpts instance of the world's own */
	SG_MOUNT_SYSFS, /* a read-only sysfs of the world's own network namespace */
	SG_MOUNT_KINDS_
};

enum sg_mount_flag {
	SG_MOUNT_WRITE = 1U << 0,    /* not read-only */
	SG_MOUNT_EXECUTE = 1U << 1,  /* not noexec: code may be mapped from it */
	SG_MOUNT_OPTIONAL = 1U << 2, /* skipped when the source does not exist */
	SG_MOUNT_OWNED = 1U << 3,    /* as root: host id 0 on disk is the world's 0 (an idmapped mount) */
	SG_MOUNT_OVERLAY =
		1U << 4, /* a read-only overlay of the TREE in its place: the FIFOs in it are the world's own */
};

/* Why a FIFO is not mounted by itself for reading; its name. */
#define SG_MOUNT_IS_FIFO                                                                                               \
	"%s is a FIFO (a named pipe) of this host. To read from it takes what it says away from others, and whoever "  \
	"writes to it sees that somebody reads: it needs a ReadWrite rule"

/* A name within a read-only tree that the world may not reach, whatever happens to the name or its folders outside. */
struct sg_mount_cover {
	const char *name; /* relative to the tree */
	bool hide;        /* it does not exist; else it is there, without contents, and may not be opened */
	bool folder;
};

struct sg_mount {
	enum sg_mount_kind kind;
	unsigned int flags;                  /* enum sg_mount_flag */
	unsigned int mode;                   /* of FOLDER, PRIVATE and TEXT; 0: 0755 (TEXT: 0444) */
	const char *target;                  /* absolute name in the world, normalised, without symbolic links */
	const char *source;                  /* see the kinds; NULL where there is none */
	const struct sg_mount_cover *covers; /* over a TREE: names in it that the world may not reach; or NULL */
	size_t cover_count;
	int tree; /* -1, or a detached clone of the source made by sg_mount_prepare (owned by the list) */
};

/*
 * As root: opens and clones the sources of all TREE and DEVICE operations in the caller's own mount namespace, with their
 * attributes set, and with the ids of `user_namespace` (a descriptor, or -1) mapped where SG_MOUNT_OWNED says so. An
 * ordinary user cannot (EPERM) and does not need it: sg_mount_build then clones inside the user namespace.
 * Returns 0 or a negative errno value; descriptors made so far stay in the list (sg_mount_release closes them).
 */
int sg_mount_prepare(struct sg_mount *mounts, size_t count, int user_namespace, struct sg_error *error);

/*
 * Builds the tree and makes it the root of the calling process, with the working directory "/". Must be called in a fresh
 * mount namespace with CAP_SYS_ADMIN over it, by a single-threaded process. Afterwards nothing of the host's tree can be
 * reached. Returns 0 or a negative errno value with context; on failure the namespace is unusable: exit.
 */
int sg_mount_build(struct sg_mount *mounts, size_t count, struct sg_error *error);

/*
 * Hands the prepared trees of a list to another process that has the same list: over a SOCK_SEQPACKET socket, in as many
 * messages as it takes, the last of which says so. Sending releases them. Both block. Return 0 or a negative errno value.
 */
int sg_mount_send(int socket, struct sg_mount *mounts, size_t count);
int sg_mount_receive(int socket, struct sg_mount *mounts, size_t count);

/* Closes the descriptors that sg_mount_prepare made. */
void sg_mount_release(struct sg_mount *mounts, size_t count);

/*
 * In a world that was started without terminals: mounts a devpts of its own at /dev/pts, which is an empty folder of the
 * skeleton there. Called in its mount namespace with all capabilities over it. Does nothing where there is one. Returns 0 or a
 * negative errno value with context.
 */
int sg_mount_terminals(struct sg_error *error);
