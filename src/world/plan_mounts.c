/*
 * The mount operations of a plan: what every world has, then the roots in the order of their names.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "world/plan_internal.h"

static void add_mount(struct sg_planner *planner, enum sg_mount_kind kind, unsigned int flags, unsigned int mode,
		      const char *target, const char *source)
{
	struct sg_plan *plan = planner->plan;

	if (!sg_plan_grow(planner, &plan->mounts, plan->mount_count, &planner->mount_capacity, sizeof(*plan->mounts)))
		return;
	plan->mounts[plan->mount_count++] = (struct sg_mount){
	    .kind = kind, .flags = flags, .mode = mode, .target = target, .source = source, .tree = -1};
}

/* Every program expects these, and they hold nothing: no host data comes out of them, none stays in them. */
static void add_devices(struct sg_planner *planner)
{
	static const char *const nodes[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"};
	static const struct {
		const char *target, *text;
	} links[] = {{"/dev/fd", "/proc/self/fd"},         {"/dev/stdin", "/proc/self/fd/0"},
		     {"/dev/stdout", "/proc/self/fd/1"},   {"/dev/stderr", "/proc/self/fd/2"},
		     {"/dev/ptmx", "pts/ptmx"}};

	add_mount(planner, SG_MOUNT_FOLDER, 0, 0755, "/dev", NULL);
	for (size_t i = 0; i < SG_ARRAY_SIZE(nodes); i++)
		add_mount(planner, SG_MOUNT_DEVICE, SG_MOUNT_OPTIONAL, 0, nodes[i], nodes[i]);
	for (size_t i = 0; i < SG_ARRAY_SIZE(links); i++)
		add_mount(planner, SG_MOUNT_SYMLINK, 0, 0, links[i].target, links[i].text);
	if (planner->options->pty || sg_policy_has_flag(planner->plan->policy, "tty"))
		add_mount(planner, SG_MOUNT_PTS, 0, 0, "/dev/pts", NULL);
	if (sg_policy_has_flag(planner->plan->policy, "shared-memory"))
		add_mount(planner, SG_MOUNT_PRIVATE, SG_MOUNT_WRITE, 01777, "/dev/shm", NULL);
}

/* Device nodes that rules name one by one. */
static void add_named_devices(struct sg_planner *planner)
{
	const struct sg_policy *policy = planner->plan->policy;

	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct sg_rule *rule = &policy->rules[i];
		struct stat status;
		size_t length;
		const char *name;

		if (rule->glob == NULL || (SG_NAME_BIT(rule->kind) & SG_NAMES_ALLOW) == 0 || !sg_glob_is_literal(rule->glob))
			continue;
		name = sg_glob_prefix(rule->glob, &length);
		if (strncmp(name, "/dev/", 5) == 0 && name[length - 1] != '/' && strncmp(name, "/dev/pts/", 9) != 0 &&
		    lstat(name, &status) == 0 && (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)))
			add_mount(planner, SG_MOUNT_DEVICE, SG_MOUNT_OPTIONAL, 0, name, name);
	}
}

/* On most hosts /bin is a link into /usr: programs name it so, and it leads only where the world may go anyway. */
static void add_usual_links(struct sg_planner *planner)
{
	static const char *const names[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};

	for (size_t i = 0; i < SG_ARRAY_SIZE(names); i++) {
		struct stat status;
		const char *canonical;

		if (lstat(names[i], &status) == 0 && S_ISLNK(status.st_mode))
			(void)sg_plan_canonical(planner, names[i], &canonical);
	}
}

static bool links_into(const struct sg_planner *planner, const char *target)
{
	/* A link of the skeleton whose place lies in a mounted root is there already. */
	for (size_t i = 0; i < planner->root_count; i++) {
		size_t length = strlen(planner->roots[i].path);

		if (!planner->roots[i].private && strncmp(target, planner->roots[i].path, length) == 0 && target[length] == '/')
			return true;
	}
	return false;
}

static void add_root_mount(struct sg_planner *planner, struct sg_plan_root *root)
{
	unsigned int flags = (root->write ? SG_MOUNT_WRITE : 0U) | (root->execute ? SG_MOUNT_EXECUTE : 0U);

	if (root->private) {
		add_mount(planner, SG_MOUNT_PRIVATE, flags | SG_MOUNT_WRITE,
			  strcmp(root->path, "/tmp") == 0 || strcmp(root->path, "/var/tmp") == 0 ? 01777 : 0700, root->path,
			  NULL);
		return;
	}
	if (root->write && planner->options->owned)
		flags |= SG_MOUNT_OWNED;
	add_mount(planner, SG_MOUNT_TREE, flags, 0, root->path, root->path);
	if (planner->status == 0) {
		struct sg_mount *mount = &planner->plan->mounts[planner->plan->mount_count - 1];

		mount->cover_count = root->cover_count;
		mount->covers = sg_take_pointer(root->covers);
	}
}

void sg_plan_make_mounts(struct sg_planner *planner)
{
	const char *resolver = NULL, *resolver_text;
	const bool resolves = sg_plan_resolver_text(planner, &resolver, &resolver_text);

	add_devices(planner);
	add_named_devices(planner);
	add_mount(planner, planner->plan->system_proc ? SG_MOUNT_PROC_SYSTEM : SG_MOUNT_PROC, 0, 0, "/proc", NULL);
	for (size_t i = 0; i < planner->root_count; i++)
		if (!planner->roots[i].skip && (!resolves || strcmp(planner->roots[i].path, resolver) != 0))
			add_root_mount(planner, &planner->roots[i]);
	if (resolves)
		add_mount(planner, SG_MOUNT_TEXT, 0, 0, resolver, resolver_text);
	add_usual_links(planner);
	for (size_t i = 0; i < planner->link_count; i++)
		if (!links_into(planner, planner->links[i].target))
			add_mount(planner, SG_MOUNT_SYMLINK, 0, 0, planner->links[i].target, planner->links[i].text);
}
