/*
 * File systems on which one file answers to several spellings of its name: rules by name are matched byte by byte, so a refusal
 * would miss the others. The name that the kernel gives of a pinned object is no help, since it may be the spelling that was
 * asked for first (a casefolded folder of ext4 or f2fs). A profile with a refusal in such a tree is refused, by the rule's name.
 *
 * Found by trying, whatever the file system is called: a name with its letters turned (upper to lower, lower to upper) that leads
 * to the same file. Asked of the tree's own name, of the first name in it that has letters, and of the folder's flag. Two
 * hard links that differ in just that look the same, and are refused too. Not found: a folder with a fold of its own (chattr +F, a
 * kernel with CONFIG_UNICODE) somewhere below a folder without, and folding by Unicode alone; docs/promises.md says so.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/folder.h"
#include "tables/profile_tables.h"
#include "world/plan_internal.h"

#ifndef FS_CASEFOLD_FL
#define FS_CASEFOLD_FL 0x40000000 /* Linux 5.4 */
#endif

enum { ENTRIES_MAX = 64 };

/* Turns the ASCII letters. Returns false if there are none, or no room. */
static bool turn_case(const char *name, char *out, size_t size)
{
	bool turned = false;
	size_t i = 0;

	for (; name[i] != '\0' && i + 1 < size; i++) {
		const unsigned char letter = (unsigned char)name[i];

		out[i] = (char)(islower(letter) ? toupper(letter) : isupper(letter) ? tolower(letter) : letter);
		turned |= out[i] != name[i];
	}
	out[i] = '\0';
	return turned && name[i] == '\0';
}

/* 1: the folder gives the same object for the turned name, 0: it does not, -1: that cannot be told by this name. */
static int try_name(int folder, const char *name)
{
	char turned[NAME_MAX + 1];
	struct stat one, other;

	if (!turn_case(name, turned, sizeof(turned)) || fstatat(folder, name, &one, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (fstatat(folder, turned, &other, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -1;
	return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static bool folds_inside(int folder)
{
	SG_AUTO_FD int copy = fcntl(folder, F_DUPFD_CLOEXEC, 3);
	SG_AUTO_FOLDER DIR *listing = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	int found = -1, flags = 0;

	if (listing == NULL)
		return false;
	copy = -1; /* the listing's now */
	for (int i = 0; found < 0 && i < ENTRIES_MAX && (entry = readdir(listing)) != NULL; i++)
		found = try_name(folder, entry->d_name);
	return found > 0 || (ioctl(folder, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_CASEFOLD_FL) != 0);
}

static bool folds(const struct sg_plan_root *root)
{
	const char *last = strrchr(root->path, '/');
	SG_AUTO_FD int above = -1, folder = -1;
	char parent[PATH_MAX];
	size_t length = (size_t)(last - root->path);

	if (length >= sizeof(parent))
		return true;
	memcpy(parent, root->path, length);
	parent[length] = '\0';
	above = open(length == 0 ? "/" : parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (above >= 0 && try_name(above, last + 1) > 0)
		return true;
	folder = open(root->path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	return folder >= 0 && folds_inside(folder);
}

/* The first refusal that could speak of a name in the root, by its literal prefix. */
static const struct sg_rule *find_refusal(const struct sg_policy *policy, const char *path)
{
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct sg_rule *rule = &policy->rules[i];
		size_t length, path_length = strlen(path);
		const char *prefix;

		if (rule->glob == NULL || (SG_NAME_BIT(rule->kind) & SG_NAMES_REFUSE) == 0)
			continue;
		prefix = sg_glob_prefix(rule->glob, &length);
		if (strncmp(prefix, path, length < path_length ? length : path_length) == 0)
			return rule;
	}
	return NULL;
}

void sg_plan_refuse_folding(struct sg_planner *planner)
{
	for (size_t i = 0; i < planner->root_count && planner->status == 0; i++) {
		const struct sg_plan_root *root = &planner->roots[i];
		const struct sg_rule *rule;

		if (root->private || (root->names.may & SG_NAMES_REFUSE) == 0 || !folds(root))
			continue;
		rule = find_refusal(planner->plan->policy, root->path);
		if (rule == NULL)
			continue;
		(void)sg_error_set(planner->error, -EOPNOTSUPP,
				   "%s:%zu: %s \"%s\" cannot be held in %s: upper and lower case are the same to its "
				   "file system, and another spelling of a name would not be the rule's",
				   rule->source->name, sg_source_line(rule->source, rule->span.offset),
				   sg_rule_infos[rule->kind].name, rule->written, root->path);
		planner->status = SG_PLAN_REFUSED;
	}
}
