/*
 * What the handlers of changes and looks share: one call in progress, its arguments, the names that it is
 * about.
 *
 * The order that every handler keeps: all arguments are copied; the objects (or the folders and last
 * components) are pinned; each name is decided; the call is found pending; the decisions are recorded; then
 * the act is done on the pins.
 */
#pragma once

#include "supervisor/supervisor.h"

/* What a path of NULL means. */
enum sg_null_path {
	SG_NULL_FAULT,      /* nothing: EFAULT */
	SG_NULL_DESCRIPTOR, /* the object of the descriptor (utimensat(2)); AT_FDCWD stays EFAULT */
	SG_NULL_EMPTY,      /* with AT_EMPTY_PATH the same as "" (Linux 6.13) */
};

struct sg_change;

/* Does the call. Returns what the call returns, or a negative errno value. */
typedef int64_t (*sg_change_act)(struct sg_change *change);

/* A row of change.def. Places are the argument's number plus one; 0: the call has no such argument. */
struct sg_change_row {
	sg_change_act act;
	const char *operation;       /* for the record, and for "may not ... NAME" */
	uint8_t fd;                  /* the object, as a descriptor */
	uint8_t on;                  /* a descriptor that the act uses as it is */
	uint8_t dirfd, path;         /* the object, by name; without dirfd: the working directory */
	uint8_t dirfd2, path2;       /* the second name of rename and link */
	uint8_t flags;               /* AT_ or RENAME_ flags */
	uint8_t first;               /* the first argument of the call's own; the others follow it */
	uint8_t null;                /* enum sg_null_path */
	bool packed;                 /* value, size and flags stand in a struct xattr_args */
	unsigned int valid, implied; /* flags */
};

/* One name: what it led to, how it may be written for globs, and what was decided. */
struct sg_change_name {
	char named[PATH_MAX]; /* the caller's text */
	struct sg_resolved at;
	bool own;      /* it lies on a file system of the world's own that is no skeleton */
	bool skeleton; /* it lies in the skeleton, which is read-only */
	struct sg_decision decision;
};

struct sg_change {
	struct sg_request *request;
	const struct sg_change_row *row;
	unsigned int flags; /* the call's and the implied ones; all valid */
	struct sg_change_name first, second;
};

/* The row of a call, static, or NULL when it has none. */
const struct sg_change_row *sg_change_row(unsigned int number);

/* Argument number `index` behind row->first. */
uint64_t sg_change_argument(const struct sg_change *change, unsigned int index);

/*
 * Pins the object that the call is about (by descriptor, or by the first path), following a last link unless
 * the flags say otherwise. Returns 0 or a negative errno value.
 */
int sg_change_pin_object(struct sg_change *change);

/*
 * Pins the folder of the first (or second) path and takes its last component as text. at.name is without a
 * '/' at the end afterwards (sg_change_form). Where the last component is no name (".", "..", "/"), at.last
 * is empty. Returns 0 or a negative errno value.
 */
int sg_change_pin_place(struct sg_change *change, bool second);

/* The last component of the caller's text when it is no name: ".", ".." or "/" (static); else NULL. */
const char *sg_change_special(const struct sg_change_name *name);

/* Writes at.name as that of a directory or of something else. */
void sg_change_form(struct sg_change_name *name, bool directory);

/*
 * Asks for `access` to a name as it is written now. Returns whether it is allowed. name->decision keeps the
 * first that allows, or the last that refuses: once refused a name stays so. A hidden name is refused as a
 * missing one is (ENOENT), or with EACCES when the call is `making` it.
 */
bool sg_change_ask(struct sg_change *change, struct sg_change_name *name, unsigned int access, bool making);

/*
 * With looks decided: whether a Hide rule takes the pinned name away. If so, name->decision says so, with the error that a missing
 * name gives, or EACCES when the call is `making` it: the same whether or not there is something under the name.
 */
bool sg_change_is_hidden(struct sg_change *change, struct sg_change_name *name, bool making);

/*
 * Decides about the pinned object of the call, into first.decision: by its name and inode; where it has no
 * name in the world, by the name that it had or by what it is. at.name is then the name that was decided.
 * Nothing in /proc may be changed.
 */
void sg_change_decide_object(struct sg_change *change, unsigned int access);

/*
 * The last step before the act: the caller still waits, the decisions about `first` (and `second`, if `both`)
 * allow, and their records are taken. Returns 0: act now; or the negative errno value that the call gets.
 */
int sg_change_commit(struct sg_change *change, bool both);

/* sg_change_pin_object, sg_change_decide_object and sg_change_commit in one. */
int sg_change_object(struct sg_change *change, unsigned int access);

/* Refuses the call for what it asks, whatever the name: recorded. Returns -error. `reason` is static. */
int sg_change_refuse(struct sg_change *change, int error, const char *reason);

enum { SG_CHANGE_LINK_MAX = 32 };

/* The name of a pin below view.proc, which leads to the pinned object itself (also where that is a symbolic
 * link). */
void sg_change_pin_name(const struct sg_change *change, const struct sg_change_name *name, char *out);

/* True if the pinned object (or folder) lies in a /proc. */
bool sg_change_in_proc(const struct sg_change_name *name);

/* --- the acts: change_names.c, change_attributes.c, change_xattrs.c, look.c, look_names.c --- */
int64_t sg_change_remove(struct sg_change *change);
int64_t sg_change_make_folder(struct sg_change *change);
int64_t sg_change_make_node(struct sg_change *change);
int64_t sg_change_make_symlink(struct sg_change *change);
int64_t sg_change_link(struct sg_change *change);
int64_t sg_change_rename(struct sg_change *change);
int64_t sg_change_truncate(struct sg_change *change);
int64_t sg_change_mode(struct sg_change *change);
int64_t sg_change_owner(struct sg_change *change);
int64_t sg_change_utime(struct sg_change *change);
int64_t sg_change_utimes(struct sg_change *change);
int64_t sg_change_utimens(struct sg_change *change);
int64_t sg_change_set_flags(struct sg_change *change);
int64_t sg_change_get_flags(struct sg_change *change);
int64_t sg_change_set_xattr(struct sg_change *change);
int64_t sg_change_remove_xattr(struct sg_change *change);
int64_t sg_change_get_xattr(struct sg_change *change);
int64_t sg_change_list_xattrs(struct sg_change *change);
int64_t sg_change_read_link(struct sg_change *change);
int64_t sg_change_stat(struct sg_change *change);
int64_t sg_change_statx(struct sg_change *change);
int64_t sg_change_stat_system(struct sg_change *change);
int64_t sg_change_may_access(struct sg_change *change);
int64_t sg_change_tell_folder(struct sg_change *change);
int64_t sg_change_watch(struct sg_change *change);
int64_t sg_change_mark(struct sg_change *change);
int64_t sg_change_list(struct sg_change *change);
int64_t sg_change_list_old(struct sg_change *change);
