#include "supervisor/denied.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/supervisor.h"

/* What each kind of rule refuses: the same as in policy/decide.c. */
static const struct {
	enum sg_rule_kind kind;
	unsigned int access;
} kinds[] = {
	{SG_RULE_DENY, SG_ACCESS_READ | SG_ACCESS_WRITE | SG_ACCESS_CHANGE | SG_ACCESS_EXECUTE},
	{SG_RULE_HIDE, SG_ACCESS_READ | SG_ACCESS_WRITE | SG_ACCESS_CHANGE | SG_ACCESS_EXECUTE},
	{SG_RULE_DENY_READ, SG_ACCESS_READ},
	{SG_RULE_DENY_WRITE, SG_ACCESS_WRITE | SG_ACCESS_CHANGE},
	{SG_RULE_DENY_EXECUTE, SG_ACCESS_EXECUTE},
};

static unsigned int refused_by(enum sg_rule_kind kind)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(kinds); i++)
		if (kinds[i].kind == kind)
			return kinds[i].access;
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct sg_denied_file *a = left, *b = right;

	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	if (a->device != b->device)
		return a->device < b->device ? -1 : 1;
	return 0;
}

static int add_file(struct sg_denied *denied, const struct stat *status, const struct sg_rule *rule)
{
	if (denied->count >= SG_DENIED_MAX)
		return -E2BIG;
	if (denied->count == denied->capacity) {
		size_t wanted = denied->capacity == 0 ? 16 : denied->capacity * 2;
		struct sg_denied_file *grown = reallocarray(denied->files, wanted, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		denied->files = grown;
		denied->capacity = wanted;
	}
	denied->files[denied->count++] =
		(struct sg_denied_file){.device = status->st_dev, .inode = status->st_ino, .rule = rule};
	return 0;
}

static int add_name(struct sg_denied *denied, const struct sg_rule *rule, int root, const char *name)
{
	const struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	SG_AUTO_FD int fd = (int)syscall(SYS_openat2, root, name, &how, sizeof(how));
	struct stat status;

	/* What cannot be reached by its own name is refused by nobody but that name. */
	if (fd < 0)
		return errno == ENOMEM || errno == EMFILE || errno == ENFILE ? -errno : 0;
	if (fstat(fd, &status) < 0)
		return -errno;
	return S_ISDIR(status.st_mode) ? 0 : add_file(denied, &status, rule);
}

static int add_rule(struct sg_denied *denied, const struct sg_rule *rule, int root)
{
	SG_AUTO_GLOB_NAMES struct sg_glob_names names = {0};
	int status;

	if (rule->glob == NULL || refused_by(rule->kind) == 0)
		return 0;
	status = sg_glob_expand(rule->glob, SG_GLOB_NAMES_MAX, &names);
	if (status != 0) /* with wildcards it is no literal name; what lies behind them is decided by name */
		return status < 0 ? status : 0;
	for (size_t i = 0; i < names.count && status == 0; i++)
		status = add_name(denied, rule, root, names.names[i]);
	return status;
}

int sg_denied_load(struct sg_denied *denied, const struct sg_policy *policy, int root)
{
	for (size_t i = 0; i < policy->rule_count && denied->status == 0; i++)
		denied->status = add_rule(denied, &policy->rules[i], root);
	if (denied->count > 1)
		qsort(denied->files, denied->count, sizeof(*denied->files), compare);
	denied->loaded = true;
	return denied->status;
}

void sg_denied_done(struct sg_denied *denied)
{
	free(denied->files);
	*denied = (struct sg_denied){0};
}

const struct sg_rule *sg_denied_find(const struct sg_denied *denied, const struct stat *status, bool layered,
				     unsigned int access)
{
	size_t low = 0, high = denied->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (denied->files[middle].inode < status->st_ino)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < denied->count && denied->files[low].inode == status->st_ino; low++)
		if ((layered || denied->files[low].device == status->st_dev) &&
		    (refused_by(denied->files[low].rule->kind) & access) != 0)
			return denied->files[low].rule;
	return NULL;
}

/*
 * What lies behind an overlay has its own inode number and a device of the overlay's (world/mount.c: xino=off). Only what has
 * a second name can be a refused file.
 */
static bool is_layered(int fd, const struct stat *status)
{
	struct statfs system;

	return status->st_nlink > 1 && (fstatfs(fd, &system) < 0 || system.f_type == OVERLAYFS_SUPER_MAGIC);
}

bool sg_is_denied_inode(struct sg_supervisor *supervisor, int fd, const struct stat *status, unsigned int access,
			struct sg_decision *decision)
{
	struct sg_denied *denied = &supervisor->denied;
	const struct sg_rule *rule;

	if (!denied->loaded)
		(void)sg_denied_load(denied, supervisor->policy, supervisor->view.root);
	if (denied->status < 0) {
		*decision =
			(struct sg_decision){.verdict = SG_VERDICT_DENY,
					     .error = EIO,
					     .reason = "the files that literal rules refuse could not be looked up"};
		return true;
	}
	if (denied->count == 0 || S_ISDIR(status->st_mode))
		return false;
	rule = sg_denied_find(denied, status, is_layered(fd, status), access);
	if (rule == NULL)
		return false;
	*decision = (struct sg_decision){.verdict = SG_VERDICT_DENY,
					 .error = EACCES,
					 .rule = rule,
					 .reason = "it is another name of a file that a rule denies"};
	return true;
}
