/*
 * The file rules of a policy as those of an AppArmor profile.
 *
 * AppArmor decides as a session does: on the name that the kernel arrives at, a directory's ending in '/'; what is not named is
 * refused, and a deny wins whatever its place. So each rule of the policy becomes one of the same set of names (sg_glob_to_apparmor).
 * What has no counterpart is written on the strict side where that leaves programs whole, and judged for what it is.
 *
 * Who is inside may write to every name that a ReadWrite rule gives, so what could undo a refusal by names alone is refused too: a
 * folder above a refused name, were it renamed, would take the file to a name that is not refused.
 */
#pragma once

#include "export/export.h"
#include "world/plan.h"

/* Permissions of apparmor.d(5), in the order of "mrwklx". */
enum sg_apparmor_permission {
	SG_APPARMOR_MAP = 1U << 0,
	SG_APPARMOR_READ = 1U << 1,
	SG_APPARMOR_WRITE = 1U << 2,
	SG_APPARMOR_LOCK = 1U << 3,
	SG_APPARMOR_LINK = 1U << 4,
	SG_APPARMOR_EXECUTE = 1U << 5,
};

struct sg_apparmor_line {
	char *path;               /* owned; as it stands in the profile */
	struct sg_glob *made;     /* owned; the glob, where it is none of a rule; else NULL */
	const struct sg_glob *of; /* the glob: borrowed of the policy, or `made` */
	unsigned int permissions; /* bits */
	unsigned int audited;     /* those of them whose uses are recorded */
	bool deny, owner;         /* `owner`: of files of the process's own user only */
};

struct sg_apparmor_files {
	struct sg_apparmor_line *lines; /* owned; refusals first, then by path; none twice */
	size_t count, capacity;
	struct sg_hold *holds; /* owned; by index of the policy's rules; of file rules only */
	bool links_freely;     /* a link may have other permissions than its file */
	const struct sg_rule
		*unwritable; /* a refusal (of a session: any rule) that AppArmor's language cannot hold, or NULL: then
					     there is no artefact */
};

/*
 * Fills *ret, which is to be given to sg_apparmor_files_done in every case. With a plan, of that policy, the files are those of
 * the session's world (apparmor_world.h), and nothing is judged. Pure. Returns 0, -ENOMEM, or -E2BIG (a mount of the plan has no name in
 * AppArmor's language).
 */
SG_MUST_USE int sg_apparmor_files_compose(const struct sg_policy *policy, const struct sg_plan *plan,
					  struct sg_apparmor_files *ret);
void sg_apparmor_files_done(struct sg_apparmor_files *files);

/* Adds a line that gives `permissions` to a literal name, or with `then`, the end of a glob, to those that begin so. 0, -ENOMEM or -E2BIG. */
SG_MUST_USE int sg_apparmor_files_add(struct sg_apparmor_files *files, const char *name, size_t length,
				      const char *then, unsigned int permissions);

/* Appends the rules, a line each. */
void sg_apparmor_files_write(const struct sg_apparmor_files *files, struct sg_buffer *out);
