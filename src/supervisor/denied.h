/*
 * Files that a literal refusal names, by device and inode: such a file is refused under every other name too
 * that it bears (a hard link that was there at the start).
 *
 * Behind an overlay a file has another device. Which one stands for which file system is told by nothing, so there the
 * inode's number alone tells: of another file with the same number and several names this refuses too much, and never too little.
 *
 * What it does not see: a file that is put under a refused name later on (its other names are those that
 * somebody outside gave it), and a name behind which a cover stands in the tree that was looked at.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "policy/decide.h"

enum { SG_DENIED_MAX = 1 << 16 }; /* files; more of them refuse everything, loudly, instead of some */

struct sg_denied_file {
	dev_t device;
	ino_t inode;
	const struct sg_rule *rule; /* the policy's */
};

/* {0} is: not looked yet. */
struct sg_denied {
	struct sg_denied_file *files; /* owned; sorted by inode and device */
	size_t count, capacity;
	bool loaded;
	int status; /* below 0: looking failed; every file counts as refused */
};

/*
 * Looks up the names of the literal Deny, DenyRead, DenyWrite, DenyExec and Hide rules (braces written out)
 * below the folder `root`, symbolic links followed within it, and adds the files found; folders have no
 * second names. May be called again with another root: what is found is added. Names that do not exist are
 * passed over. Returns 0 or a negative errno value, which is kept in `status` too.
 */
int sg_denied_load(struct sg_denied *denied, const struct sg_policy *policy, int root);

/* Frees the list. Nothing is on it afterwards. */
void sg_denied_done(struct sg_denied *denied);

/*
 * The rule that refuses `access` (enum sg_access) to the file of that status, or NULL. `layered`: it lies behind an overlay, so
 * that its device says nothing. Loaded lists only; no system call.
 */
const struct sg_rule *sg_denied_find(const struct sg_denied *denied, const struct stat *status, bool layered,
				     unsigned int access);

struct sg_supervisor;

/*
 * True if a rule names the file `fd` of that status, under whatever name, and refuses `access`: *decision becomes
 * that refusal. Else false, and *decision is untouched. The first question loads the list from the world's
 * tree, unless it was loaded before: that question is the command's first execve, before any code of the
 * world runs.
 */
bool sg_is_denied_inode(struct sg_supervisor *supervisor, int fd, const struct stat *status, unsigned int access,
			struct sg_decision *decision);
