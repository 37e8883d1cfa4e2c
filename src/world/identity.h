/*
 * Who the world's processes are, outside and inside.
 *
 * A session has a user namespace of its own (the supervisor lives there), each world another one below it with the same
 * ids. An ordinary caller maps just itself. Root maps every id one to one as far as it may, but for 0: inside, 0 stands
 * for an id that nobody else on the host has, so that uid 0 of a world is nobody on the host, and the supervisor, once it
 * has taken that identity, holds nothing of root's either.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

enum { SG_IDENTITY_GROUPS_MAX = 64, SG_IDENTITY_MAP_MAX = 1024 };

/* The lowest of the 65,536 host ids that stand for a world's 0; above the ranges that containers and users are given. */
enum { SG_IDENTITY_ZERO_BASE = 0x7f000000 };

struct sg_identity {
	bool mapped; /* the maps are written by the (root) parent; false: the process maps just itself */
	uid_t uid;   /* the world's user, as seen inside */
	gid_t gid;   /* its group, as seen inside */
	gid_t groups[SG_IDENTITY_GROUPS_MAX]; /* supplementary groups, inside; only if mapped */
	size_t group_count;
	uid_t zero;                                                      /* if mapped: the host id that 0 stands for */
	char uid_map[SG_IDENTITY_MAP_MAX], gid_map[SG_IDENTITY_MAP_MAX]; /* of the session's namespace */
	char inner_uid_map[SG_IDENTITY_MAP_MAX], inner_gid_map[SG_IDENTITY_MAP_MAX]; /* of a world's namespace */
};

/*
 * Works out the identity for a caller and, as root, for the user that User.As names (NULL: the caller). An ordinary caller
 * that names another user than itself is refused (-EPERM), an unknown user too (-ENOENT). Reads /proc/self/uid_map and
 * gid_map and the user database. Returns 0 or a negative errno value with context.
 */
int sg_identity_find(const char *as, struct sg_identity *ret, struct sg_error *error);

/*
 * Writes the maps of process `pid` (0: the caller itself), which has just been put into a new user namespace: `inner`
 * chooses the world's maps. Denies setgroups first where the identity is not mapped. Returns 0 or a negative errno value.
 */
int sg_identity_write_maps(const struct sg_identity *identity, pid_t pid, bool inner, struct sg_error *error);

/* Takes the identity: groups, gid, uid, real, effective, saved. Called with the maps in place. */
int sg_identity_take(const struct sg_identity *identity, struct sg_error *error);
