/*
 * The user database: names, ids, homes and groups.
 *
 * The program is linked statically, so that a start maps one file, and the C library's name services (nsswitch.conf(5)) are
 * plugins, which a static program cannot load. What they would say is asked in this order: /etc/passwd, where nsswitch.conf
 * names "files" first for users, as it does everywhere by default; else getent(1), the C library's own program for it, which
 * knows every service that is configured. Both are the host's, and are asked before anything of a world exists.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct sg_user {
	uid_t uid;
	gid_t gid;
	char name[256];
	char home[4096];
};

/* Blocks for as long as the services take. Returns 0, -ENOENT where there is no such user, or another negative errno value. */
int sg_user_by_uid(uid_t uid, struct sg_user *ret);

/* As sg_user_by_uid. A name with a character that no user's has ("" and those with ':', '/' or control characters): -ENOENT. */
int sg_user_by_name(const char *name, struct sg_user *ret);

/*
 * The groups that `name` is in, with `primary` as the first. *ret_count is at most `capacity` (at least 1). Returns 0, -E2BIG
 * for more, -ENOENT where the services cannot be asked, or another negative errno value.
 */
int sg_user_groups(const char *name, gid_t primary, gid_t *groups, size_t capacity, size_t *ret_count);

/* For sg_user_by_* and tests: reads one line of passwd(5). Returns 0, or -EINVAL for what is none; *ret is then untouched. */
int sg_user_parse(const char *line, struct sg_user *ret);
