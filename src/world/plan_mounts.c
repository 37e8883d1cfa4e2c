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
	static const char *const nodes[] = {"/dev/null",   "/dev/zero",    "/dev/full",
					    "/dev/random", "/dev/urandom", "/dev/tty"};
	static const struct {
		const char *target, *text;
	} links[] = {{"/dev/fd", "/proc/self/fd"},
		     {"/dev/stdin", "/proc/self/fd/0"},
		     {"/dev/stdout", "/proc/self/fd/1"},
		     {"/dev/stderr", "/proc/self/fd/2"},
		     {"/dev/ptmx", "pts/ptmx"}};

	add_mount(planner, SG_MOUNT_FOLDER, 0, 0755, "/dev", NULL);
	for (size_t i = 0; i < SG_ARRAY_SIZE(nodes); i++)
		add_mount(planner, SG_MOUNT_DEVICE, SG_MOUNT_OPTIONAL, 0, nodes[i], nodes[i]);
	for (size_t i = 0; i < SG_ARRAY_SIZE(links); i++)
		add_mount(planner, SG_MOUNT_SYMLINK, 0, 0, links[i].target, links[i].text);
	if (planner->options->pty || sg_policy_has_flag(planner->plan->policy, "tty"))
		add_mount(planner, SG_MOUNT_PTS, 0, 0, "/dev/pts", NULL);
	else /* where one is mounted when somebody enters the world from a terminal (world/enter.c) */
		add_mount(planner, SG_MOUNT_FOLDER, 0, 0555, "/dev/pts", NULL);
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

		if (rule->glob == NULL || (SG_NAME_BIT(rule->kind) & SG_NAMES_ALLOW) == 0 ||
		    !sg_glob_is_literal(rule->glob))
			continue;
		name = sg_glob_prefix(rule->glob, &length);
		if (strncmp(name, "/dev/", 5) == 0 && name[length - 1] != '/' && strncmp(name, "/dev/pts/", 9) != 0 &&
		    strcmp(name, "/dev/ptmx") !=
			    0 && /* the host's makes terminals of the host's devpts: a link stands there */
		    lstat(name, &status) == 0 &&
		    (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)))
			add_mount(planner, SG_MOUNT_DEVICE, SG_MOUNT_OPTIONAL, 0, name, name);
	}
}

/* Something of the folder, or the folder itself, is mounted. */
static bool has_root_in(const struct sg_planner *planner, const char *folder)
{
	const size_t length = strlen(folder);

	for (size_t i = 0; i < planner->root_count; i++)
		if (strncmp(planner->roots[i].path, folder, length) == 0 &&
		    (planner->roots[i].path[length] == '/' || planner->roots[i].path[length] == '\0'))
			return true;
	return false;
}

/*
 * On most hosts /bin is a link into /usr, and /var/run one to /run: programs name things so, and it leads only where the
 * world may go anyway. `into`: made only where something of that folder is there.
 */
static void add_usual_links(struct sg_planner *planner)
{
	static const struct {
		const char *name, *into;
	} usual[] = {{"/bin", NULL},   {"/sbin", NULL},   {"/lib", NULL},      {"/lib32", NULL},
		     {"/lib64", NULL}, {"/libx32", NULL}, {"/var/run", "/run"}};

	for (size_t i = 0; i < SG_ARRAY_SIZE(usual); i++) {
		struct stat status;
		const char *canonical;

		if (usual[i].into != NULL && !has_root_in(planner, usual[i].into))
			continue;
		if (lstat(usual[i].name, &status) == 0 && S_ISLNK(status.st_mode))
			(void)sg_plan_canonical(planner, usual[i].name, &canonical);
	}
}

static bool links_into(const struct sg_planner *planner, const char *target)
{
	/* A link of the skeleton whose place lies in a mounted root is there already. */
	for (size_t i = 0; i < planner->root_count; i++) {
		size_t length = strlen(planner->roots[i].path);

		if (!planner->roots[i].private && strncmp(target, planner->roots[i].path, length) == 0 &&
		    target[length] == '/')
			return true;
	}
	return false;
}

static void add_root_mount(struct sg_planner *planner, struct sg_plan_root *root)
{
	unsigned int flags = (root->write ? SG_MOUNT_WRITE : 0U) | (root->execute ? SG_MOUNT_EXECUTE : 0U);

	if (root->private) {
		add_mount(planner, SG_MOUNT_PRIVATE, flags | SG_MOUNT_WRITE,
			  strcmp(root->path, "/tmp") == 0 || strcmp(root->path, "/var/tmp") == 0 ? 01777 : 0700,
			  root->path, NULL);
		return;
	}
	/*
	 * A file that a rule names by itself is for the world's root to read as the caller's root does: a key of mode 0600, a
	 * private dot file. Trees that cannot be written stay as they are on disk: what root alone may read in them is not
	 * granted by a rule that speaks of everything there.
	 */
	if (planner->options->owned && (root->write || (!root->folder && root->rule->kind != SG_RULE_ALLOW)))
		flags |= SG_MOUNT_OWNED;
	if (root->overlay)
		flags |= SG_MOUNT_OVERLAY;
	add_mount(planner, SG_MOUNT_TREE, flags, 0, root->path, root->path);
	if (planner->status == 0) {
		struct sg_mount *mount = &planner->plan->mounts[planner->plan->mount_count - 1];

		mount->cover_count = root->cover_count;
		mount->covers = sg_take_pointer(root->covers);
	}
}

/*
 * Programs whose purpose is what a world does not have. Where one is installed and could be started, a script of ours stands
 * over it and says so in one line; without it they fail too, with messages that send people looking in the wrong place. No
 * bound rests on it.
 */
static const struct {
	const char *name, *why;
} explained[] = {
#define NO_ROOT                                                                                                        \
	"nothing here can become another user; leave the session for it, or run with a profile that grants what you "  \
	"need"
	{"sudo", NO_ROOT},
	{"su", NO_ROOT},
	{"doas", NO_ROOT},
	{"pkexec", NO_ROOT},
	{"runuser", NO_ROOT},
	{"run0", NO_ROOT},
	{"newgrp", NO_ROOT},
#undef NO_ROOT
	{"docker", "who may speak to the Docker daemon is root on the host; leave the session for it"},
	{"podman", "containers need namespaces that a session cannot make; leave the session for it"},
	{"systemctl", "the host's services are not in reach; leave the session for it"},
	{"crontab", "a session leaves nothing behind that the host would run later; leave the session for it"},
	{"at", "a session leaves nothing behind that the host would run later; leave the session for it"},
};

/* What a buffer holds, kept by the plan; NULL, and there is no plan, where there is no memory for it. */
static const char *keep_text(struct sg_planner *planner, const struct sg_buffer *buffer)
{
	if (sg_buffer_status(buffer) < 0)
		planner->status = -ENOMEM;
	return sg_buffer_status(buffer) < 0 ? NULL : sg_plan_keep(planner, buffer->data, buffer->size);
}

static void add_explained(struct sg_planner *planner)
{
	static const char *const folders[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin"};

	for (size_t i = 0; i < SG_ARRAY_SIZE(explained) * SG_ARRAY_SIZE(folders); i++) {
		const char *program = explained[i / SG_ARRAY_SIZE(folders)].name, *path, *text;
		SG_AUTO_BUFFER struct sg_buffer buffer = SG_BUFFER_INIT;
		const struct sg_plan_root *root;
		struct sg_match match;
		struct stat status;

		sg_buffer_printf(&buffer, "%s/%s", folders[i % SG_ARRAY_SIZE(folders)], program);
		path = keep_text(planner, &buffer);
		if (path == NULL || lstat(path, &status) < 0 || !S_ISREG(status.st_mode))
			continue;
		root = sg_plan_root_of(planner, path);
		(void)sg_matcher_match(planner->matcher, path, strlen(path), &match);
		/* Only in a tree that cannot be changed here, and where a rule lets it be started and none refuses. */
		if (root == NULL || !root->folder || root->write || (match.mask & SG_NAME_BIT(SG_RULE_EXECUTE)) == 0 ||
		    (match.mask & SG_NAMES_REFUSE) != 0)
			continue;
		buffer.size = 0;
		sg_buffer_printf(&buffer, "#!/bin/sh\necho \"%s: not inside a ShellGuard session: %s\" >&2\nexit 126\n",
				 program, explained[i / SG_ARRAY_SIZE(folders)].why);
		text = keep_text(planner, &buffer);
		if (text != NULL)
			add_mount(planner, SG_MOUNT_TEXT, SG_MOUNT_EXECUTE, 0555, path, text);
	}
}

void sg_plan_make_mounts(struct sg_planner *planner)
{
	const char *resolver = NULL, *resolver_text, *shown = sg_plan_proc_names(planner);
	const bool resolves = sg_plan_resolver_text(planner, &resolver, &resolver_text);

	add_devices(planner);
	add_named_devices(planner);
	add_mount(planner, shown != NULL ? SG_MOUNT_PROC_SYSTEM : SG_MOUNT_PROC, 0, 0, "/proc", shown);
	for (size_t i = 0; i < planner->root_count; i++)
		if (!planner->roots[i].skip && (!resolves || strcmp(planner->roots[i].path, resolver) != 0))
			add_root_mount(planner, &planner->roots[i]);
	if (resolves)
		add_mount(planner, SG_MOUNT_TEXT, 0, 0, resolver, resolver_text);
	add_explained(planner);
	add_usual_links(planner);
	for (size_t i = 0; i < planner->link_count; i++)
		if (!links_into(planner, planner->links[i].target))
			add_mount(planner, SG_MOUNT_SYMLINK, 0, 0, planner->links[i].target, planner->links[i].text);
}
