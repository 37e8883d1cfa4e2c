/*
 * From a name that a caller gave to a pinned object with its canonical name.
 *
 * What the adversary controls: the text (copied once, before), its own working directory and descriptors, every symbolic
 * link and folder that it may write, and the timing of all changes. Why it holds: the walk is done by the kernel (or, for
 * the links of /proc that mean the reader, step by step) from folders pinned by descriptor, and ends in an O_PATH
 * descriptor; the canonical name is asked of that descriptor, the decision is made on it, and the same descriptor is what
 * gets opened or changed. A change in between makes another object be pinned, never another one be used than was decided.
 * The supervisor stands in the world's own mount tree (root and mounts), so that a name means to it what it means inside.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "policy/glob_set.h"
#include "supervisor/caller.h"

enum sg_resolve_flag {
	SG_RESOLVE_NO_FOLLOW = 1U << 0, /* a symbolic link as last component is itself the object */
	SG_RESOLVE_PARENT = 1U << 1,   /* pin the folder and keep the last component as text: for making and removing */
	SG_RESOLVE_EMPTY = 1U << 2,    /* "" is the start itself (AT_EMPTY_PATH) */
	SG_RESOLVE_NO_MAGIC = 1U << 3, /* the caller asked that magic links are not followed */
};

struct sg_resolved {
	int fd;             /* O_PATH: the object, or with SG_RESOLVE_PARENT its folder; owned */
	bool exists;        /* the object was found */
	bool magic;         /* it was reached through /proc/PID/fd or its like: opening must not be by name */
	bool slash;         /* with SG_RESOLVE_PARENT: the text ended in a slash: it must be a directory */
	bool named, stated; /* name, and status, are filled in already */
	bool hidden; /* with view->hides: a Hide rule takes the name away, whether or not there is something under it */
	uint32_t hiding;                    /* the index of that rule, or UINT32_MAX */
	bool unnamed;                       /* no name in the world's tree: a memfd, a pipe, an unlinked file */
	struct stat status;                 /* of the object, if it exists */
	size_t length;                      /* of the name */
	char last[NAME_MAX + 1];            /* with SG_RESOLVE_PARENT: the last component; else empty */
	char name[PATH_MAX + NAME_MAX + 2]; /* canonical, as a glob sees it: a directory's ends in '/' */
};

#define SG_RESOLVED_INIT ((struct sg_resolved){.fd = -1})

/* The same, where a call is in a hurry: the texts are made empty, not zeroed. */
static inline void sg_resolved_init(struct sg_resolved *resolved)
{
	memset(resolved, 0, offsetof(struct sg_resolved, last));
	resolved->fd = -1;
	resolved->last[0] = '\0';
	resolved->name[0] = '\0';
}

/*
 * Symbolic links in the world's root folder (/bin, /lib), which are on the way of most programs and libraries: read once, since
 * the folder is one of the world's own skeleton that is read-only and that nobody can mount anew. Of the main thread.
 */
struct sg_root_links {
	size_t count;
	struct {
		char name[16];
		char target[48]; /* a relative path without ".." ; empty: it is no such link */
	} link[8];
};

/* The world as the supervisor sees it. */
struct sg_view {
	int root;   /* O_PATH of the world's root folder */
	int proc;   /* /proc of the supervisor's own PID namespace */
	pid_t self; /* the supervisor's pid there */
	/*
	 * Where a Hide rule must be held by looks (plan->decide_looks): the names, for the main thread; else NULL. Then each
	 * component on the way is asked about, since walking through a folder tells as much as looking at it.
	 */
	struct sg_matcher *hides;
	dev_t proc_device;           /* of the world's own /proc; 0: not known, then file systems are asked */
	struct sg_root_links *links; /* kept if nobody can change the root folder; NULL: each is followed anew */
};

/* True if the object of that status lies on the world's own /proc. */
bool sg_view_is_proc(const struct sg_view *view, int fd, const struct stat *status);

/*
 * Resolves `path` from the directory descriptor `dirfd` (AT_FDCWD: the working directory) of the caller. `flags` are enum
 * sg_resolve_flag. Returns 0 and fills *ret (sg_resolved_done; untouched on failure), or the negative errno value that
 * the call would give: -ENOENT, -ENOTDIR, -ELOOP, -EACCES, -EBADF, -ENAMETOOLONG ...
 * With SG_RESOLVE_PARENT a missing last component is no failure: `exists` tells. With view->hides a hidden name on the way
 * is -ENOENT; a hidden last one is no failure, but `hidden`: who asks for it has to be told what a missing one gives.
 */
int sg_resolve(const struct sg_view *view, struct sg_caller *caller, int dirfd, const char *path, unsigned int flags,
	       struct sg_resolved *ret);

/* The same for an object that the caller holds as a descriptor (fchmod and its like; execveat with AT_EMPTY_PATH). */
int sg_resolve_descriptor(const struct sg_view *view, struct sg_caller *caller, int number, struct sg_resolved *ret);

/* Closes the object. What was resolved must not be used afterwards. */
void sg_resolved_done(struct sg_resolved *resolved);

/* Opens a pinned object anew with the flags of open(2) (through its own mount). Returns the descriptor or -errno. */
int sg_reopen(const struct sg_view *view, int fd, int flags);
