/*
 * Covers: a literal Deny, DenyRead or Hide within a read-only tree is held by an overlay, by name, at no cost for the
 * openings elsewhere (world/mount.c). What cannot be covered is decided at each opening.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "world/grants.h"
#include "world/plan_internal.h"

enum { MOUNTINFO_MAX = 16 << 20 };

/*
 * The canonical place of a name that need not exist. Where folders above it do not exist either, it is the uppermost of
 * those: what is made there later is not seen by this world, which is more than was asked for and never less.
 */
static bool find_place(struct sg_planner *planner, const char *name, size_t length, const char **ret)
{
	size_t end = length;
	bool whole = true;

	for (;;) {
		SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
		const char *folder, *kept;

		while (end > 1 && name[end - 1] == '/')
			end--;
		kept = sg_plan_keep(planner, name, end);
		if (kept == NULL)
			return false;
		if (sg_plan_canonical(planner, kept, &folder) == 0) {
			size_t component = end == 1 ? 1 : end + 1;

			*ret = folder;
			if (whole)
				return true;
			sg_buffer_printf(&path, "%s/%.*s", strcmp(folder, "/") == 0 ? "" : folder,
					 (int)strcspn(name + component, "/"), name + component);
			*ret = sg_buffer_status(&path) < 0 ? NULL : sg_plan_keep(planner, path.data, path.size);
			return *ret != NULL;
		}
		if (end <= 1 || planner->status < 0)
			return false;
		while (end > 1 && name[end - 1] != '/')
			end--;
		whole = false;
	}
}

static bool is_coverable(const struct sg_rule *rule)
{
	return (rule->kind == SG_RULE_DENY || rule->kind == SG_RULE_DENY_READ || rule->kind == SG_RULE_HIDE) &&
	       (sg_glob_is_literal(rule->glob) || sg_glob_is_tree(rule->glob));
}

/* A cover holds one name. A file that has others as well is told by its inode, at each opening (supervisor/denied.h). */
static bool bears_other_names(const char *place)
{
	struct stat status;

	return lstat(place, &status) == 0 && !S_ISDIR(status.st_mode) && status.st_nlink > 1;
}

static void add_cover(struct sg_planner *planner, struct sg_plan_root *root, const struct sg_rule *rule,
		      const char *place)
{
	struct stat status;
	bool exists = lstat(place, &status) == 0;

	for (size_t i = 0; i < root->cover_count; i++) {
		if (strcmp(root->covers[i].name, place + strlen(root->path) + 1) == 0) {
			root->covers[i].hide |= rule->kind == SG_RULE_HIDE;
			return;
		}
	}
	if (!sg_plan_grow(planner, &root->covers, root->cover_count, &root->cover_capacity, sizeof(*root->covers)))
		return;
	/* What is not there now must not come into being readable: a whiteout holds for a later file too. */
	root->covers[root->cover_count++] = (struct sg_mount_cover){
		.name = place + strlen(root->path) + 1,
		.hide = rule->kind == SG_RULE_HIDE || !exists,
		.folder = exists && S_ISDIR(status.st_mode),
	};
	for (size_t i = 0; i < planner->root_count; i++) {
		size_t length = strlen(place);

		if (strncmp(planner->roots[i].path, place, length) == 0 &&
		    (planner->roots[i].path[length] == '/' || planner->roots[i].path[length] == '\0'))
			planner->roots[i].covered = planner->roots[i].skip = true;
	}
}

/* A cover of `a` hides what a cover of `a/b` would: the overlay cannot have both. Drops the inner one. */
static void drop_inner(struct sg_plan_root *root)
{
	size_t kept = 0;

	for (size_t i = 0; i < root->cover_count; i++) {
		bool inner = false;

		for (size_t j = 0; j < root->cover_count; j++) {
			size_t length = strlen(root->covers[j].name);

			inner |= j != i && strncmp(root->covers[i].name, root->covers[j].name, length) == 0 &&
				 root->covers[i].name[length] == '/';
		}
		if (!inner)
			root->covers[kept++] = root->covers[i];
	}
	root->cover_count = kept;
}

/* The characters that mountinfo writes as a backslash and three octal digits, put back in place. */
static void unescape_octal(char *text)
{
	char *to = text;

	for (const char *at = text; *at != '\0'; to++) {
		if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' && at[3] >= '0' &&
		    at[3] <= '7') {
			*to = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
			at += 4;
		} else {
			*to = *at++;
		}
	}
	*to = '\0';
}

/*
 * File systems that answer from this machine's memory and disks. What is not here, among them every network and FUSE file system,
 * may wait for somebody, for ever.
 */
static const char *const local[] = {
	"ext2",   "ext3",     "ext4",      "xfs",     "btrfs",    "tmpfs",      "ramfs",       "devtmpfs",
	"devpts", "proc",     "sysfs",     "overlay", "squashfs", "erofs",      "f2fs",        "bcachefs",
	"zfs",    "jfs",      "reiserfs",  "nilfs2",  "vfat",     "msdos",      "exfat",       "ntfs3",
	"hfs",    "hfsplus",  "iso9660",   "udf",     "minix",    "romfs",      "cgroup",      "cgroup2",
	"cpuset", "mqueue",   "bpf",       "tracefs", "debugfs",  "securityfs", "selinuxfs",   "configfs",
	"pstore", "efivarfs", "hugetlbfs", "fusectl", "nsfs",     "rootfs",     "binfmt_misc", "rpc_pipefs",
};

/* One of the two is, or lies in, the other. */
static bool is_in_either(const char *a, const char *b)
{
	size_t length = 0;

	while (a[length] != '\0' && a[length] == b[length])
		length++;
	return (a[length] == '\0' && (b[length] == '/' || b[length] == '\0' || length <= 1)) ||
	       (b[length] == '\0' && (a[length] == '/' || length <= 1));
}

/* The type of the file system in a line of mountinfo, behind " - ". */
static bool is_local(const char *rest)
{
	const char *type = rest == NULL ? NULL : strstr(rest, " - ");
	size_t length;

	if (type == NULL)
		return false;
	type += 3;
	length = strcspn(type, " ");
	for (size_t i = 0; i < SG_ARRAY_SIZE(local); i++)
		if (strlen(local[i]) == length && memcmp(local[i], type, length) == 0)
			return true;
	return false;
}

/*
 * Marks the roots with a mount somewhere below them (containers have /etc/hosts and the like as mounts). An overlay would
 * show what such a mount hides, and the kernel makes none for an ordinary user: what is refused there is decided at each
 * opening. Field 5 of proc_pid_mountinfo(5).
 */
static void mark_mounted(struct sg_planner *planner)
{
	SG_AUTO_FD int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	SG_AUTO_FREE char *text = NULL;
	size_t size;
	int status = fd < 0 ? -errno : sg_fd_read_file(fd, MOUNTINFO_MAX, &text, &size);
	char *rest = text;

	if (status < 0) {
		planner->status = status;
		return;
	}
	for (char *line; (line = strsep(&rest, "\n")) != NULL && line[0] != '\0';) {
		char *target = line, *rest_of_line;
		bool remote;

		for (int field = 1; field < 5 && target != NULL; field++)
			target = strchr(target + 1, ' ');
		if (target == NULL)
			continue;
		target++;
		rest_of_line = target + strcspn(target, " ");
		remote = !is_local(rest_of_line);
		*rest_of_line = '\0';
		unescape_octal(target);
		for (size_t i = 0; i < planner->root_count; i++) {
			size_t length = strlen(planner->roots[i].path);

			planner->plan->may_hang |=
				remote && !planner->roots[i].private && is_in_either(target, planner->roots[i].path);
			planner->roots[i].mounted |=
				strncmp(target, planner->roots[i].path, length) == 0 && target[length] == '/';
		}
	}
}

/* True if a rule that refuses names a file which has other names as well. */
static bool names_such_a_file(const struct sg_rule *rule, int *ret_status)
{
	SG_AUTO_GLOB_NAMES struct sg_glob_names names = {0};
	struct stat status;

	*ret_status = 0;
	if (rule->glob == NULL || (SG_NAME_BIT(rule->kind) & SG_NAMES_REFUSE) == 0)
		return false;
	*ret_status = sg_glob_expand(rule->glob, SG_GLOB_NAMES_MAX, &names);
	for (size_t i = 0; *ret_status == 0 && i < names.count; i++)
		if (stat(names.names[i], &status) == 0 && !S_ISDIR(status.st_mode) && status.st_nlink > 1)
			return true;
	return false;
}

/*
 * A file that a rule names, wherever it lies, may have its other names in any tree that is granted, and only decisions find
 * them (supervisor/denied.h).
 */
static void decide_second_names(struct sg_planner *planner)
{
	const struct sg_policy *policy = planner->plan->policy;
	int status;

	for (size_t i = 0; i < policy->rule_count && planner->status == 0; i++) {
		const enum sg_rule_kind kind = policy->rules[i].kind;

		if (names_such_a_file(&policy->rules[i], &status) && kind != SG_RULE_DENY_EXECUTE) {
			planner->plan->decide_changes = true;
			if (kind != SG_RULE_DENY_WRITE)
				planner->plan->decide_reads = planner->plan->decide_details = true;
		}
		if (status < 0)
			planner->status = status;
	}
}

/*
 * What covers a refused folder is one that nobody may enter, and only from Linux 6.6 on nothing of the host's is behind it
 * (world/mount.c). Programs with these capabilities ask for no leave to enter.
 */
static bool enters_any_folder(const struct sg_policy *policy)
{
	return (sg_grants_capabilities(policy) &
		(UINT64_C(1) << CAP_DAC_OVERRIDE | UINT64_C(1) << CAP_DAC_READ_SEARCH)) != 0;
}

static bool is_folder(const char *place)
{
	struct stat status;

	return lstat(place, &status) == 0 && S_ISDIR(status.st_mode);
}

void sg_plan_find_covers(struct sg_planner *planner)
{
	const struct sg_policy *policy = planner->plan->policy;
	const bool by_mode = !enters_any_folder(policy);

	mark_mounted(planner);
	decide_second_names(planner);

	for (size_t i = 0; i < policy->rule_count && planner->status == 0; i++) {
		const struct sg_rule *rule = &policy->rules[i];
		struct sg_plan_root *root;
		const char *place, *name;
		size_t length;

		if (rule->glob == NULL || !is_coverable(rule))
			continue;
		name = sg_glob_prefix(rule->glob, &length);
		if (!find_place(planner, name, length, &place))
			continue;
		root = sg_plan_root_of(planner, place);
		/*
		 * A root that is refused as a whole, one that may be written, and one with sockets to connect to (which are
		 * nobody's behind an overlay) are decided at each opening.
		 */
		if (bears_other_names(place))
			continue;
		if (root == NULL || root->write || root->private || root->mounted || root->sockets || !root->folder ||
		    strlen(place) <= strlen(root->path))
			continue;
		if (planner->no_overlays || (!by_mode && rule->kind != SG_RULE_HIDE && is_folder(place)))
			continue;
		add_cover(planner, root, rule, place);
		planner->plan->placements[i] = SG_PLACED_COVER;
	}
	for (size_t i = 0; i < planner->root_count; i++)
		drop_inner(&planner->roots[i]);
}
