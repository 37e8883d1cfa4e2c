#include "world/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "tables/syscalls.h"
#include "world/plan_internal.h"
#include "world/probe.h"

enum { LINKS_MAX = 40 };

bool sg_plan_grow(struct sg_planner *planner, void *array_pointer, size_t count, size_t *capacity, size_t size)
{
	void **array = array_pointer, *grown;
	size_t wanted = *capacity == 0 ? 32 : *capacity * 2;

	if (count < *capacity)
		return true;
	grown = planner->status < 0 ? NULL : reallocarray(*array, wanted, size);
	if (grown == NULL) {
		planner->status = planner->status < 0 ? planner->status : -ENOMEM;
		return false;
	}
	*array = grown;
	*capacity = wanted;
	return true;
}

const char *sg_plan_keep(struct sg_planner *planner, const char *text, size_t length)
{
	struct sg_plan *plan = planner->plan;
	char *copy;

	if (!sg_plan_grow(planner, &plan->strings, plan->string_count, &planner->string_capacity, sizeof(char *)))
		return NULL;
	copy = strndup(text, length);
	if (copy == NULL) {
		planner->status = -ENOMEM;
		return NULL;
	}
	plan->strings[plan->string_count++] = copy;
	return copy;
}

static bool add_link(struct sg_planner *planner, const char *target, const char *text)
{
	const char *kept_target, *kept_text;

	for (size_t i = 0; i < planner->link_count; i++)
		if (strcmp(planner->links[i].target, target) == 0)
			return true;
	kept_target = sg_plan_keep(planner, target, strlen(target));
	kept_text = sg_plan_keep(planner, text, strlen(text));
	if (kept_target == NULL || kept_text == NULL ||
	    !sg_plan_grow(planner, &planner->links, planner->link_count, &planner->link_capacity,
			  sizeof(*planner->links)))
		return false;
	planner->links[planner->link_count].target = kept_target;
	planner->links[planner->link_count++].text = kept_text;
	return true;
}

/* Takes the first component off `rest` and appends it to `here`. Returns 0, 1 at the end, or -ENAMETOOLONG. */
static int take_component(char *here, char *rest)
{
	size_t skip = strspn(rest, "/"), length = strcspn(rest + skip, "/"), used = strlen(here);

	if (length == 0)
		return 1;
	if (used + 1 + length >= PATH_MAX)
		return -ENAMETOOLONG;
	if (length == 2 && strncmp(rest + skip, "..", 2) == 0) {
		char *slash = strrchr(here, '/');

		if (slash != NULL)
			*slash = '\0';
	} else if (length != 1 || rest[skip] != '.') {
		here[used] = '/';
		memcpy(here + used + 1, rest + skip, length);
		here[used + 1 + length] = '\0';
	}
	memmove(rest, rest + skip + length, strlen(rest + skip + length) + 1);
	return 0;
}

static int walk_canonical(struct sg_planner *planner, const char *path, const char **ret,
			  struct sg_plan_planted *ret_planted)
{
	char here[PATH_MAX] = "", rest[2 * PATH_MAX], text[PATH_MAX];
	int links = 0, status;

	if (strlen(path) >= PATH_MAX)
		return 1;
	memcpy(rest, path, strlen(path) + 1);
	while ((status = take_component(here, rest)) == 0) {
		struct stat found;
		ssize_t length;
		char *slash;

		if (here[0] == '\0')
			continue;
		if (lstat(here, &found) < 0)
			return 1;
		if (!S_ISLNK(found.st_mode))
			continue;
		sg_plan_judge_link(planner, here, &found, ret_planted);
		length = readlink(here, text, sizeof(text) - 1);
		if (length <= 0 || ++links > LINKS_MAX || (size_t)length + strlen(rest) >= sizeof(rest))
			return 1;
		text[length] = '\0';
		/* Links below /proc and /dev are made by the world's own; others are links of the skeleton. */
		if (strncmp(here, "/proc/", 6) != 0 && strncmp(here, "/dev/", 5) != 0 && !add_link(planner, here, text))
			return 1;
		memmove(rest + length, rest, strlen(rest) + 1);
		memcpy(rest, text, (size_t)length);
		slash = strrchr(here, '/');
		*(text[0] == '/' ? here : slash) = '\0';
	}
	if (status < 0)
		return 1;
	*ret = sg_plan_keep(planner, here[0] == '\0' ? "/" : here, strlen(here[0] == '\0' ? "/" : here));
	return *ret == NULL ? 1 : 0;
}

static size_t hash_name(const char *name)
{
	uint32_t hash = 2166136261U;

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	return hash % SG_PLAN_SEEN;
}

static int find_canonical(struct sg_planner *planner, const char *path, const char **ret,
			  struct sg_plan_planted *ret_planted)
{
	size_t slot = hash_name(path), tries = 0;
	int status;

	for (; planner->seen[slot].name != NULL && tries < 8; slot = (slot + 1) % SG_PLAN_SEEN, tries++) {
		if (strcmp(planner->seen[slot].name, path) != 0)
			continue;
		*ret = planner->seen[slot].canonical;
		*ret_planted = planner->seen[slot].planted;
		return planner->seen[slot].absent ? 1 : 0;
	}
	*ret_planted = (struct sg_plan_planted){NULL, NULL};
	status = walk_canonical(planner, path, ret, ret_planted);
	if (tries < 8 && planner->status == 0) {
		planner->seen[slot].name = sg_plan_keep(planner, path, strlen(path));
		planner->seen[slot].absent = status != 0;
		planner->seen[slot].canonical = status == 0 ? *ret : NULL;
		planner->seen[slot].planted = *ret_planted;
	}
	return status;
}

int sg_plan_canonical(struct sg_planner *planner, const char *path, const char **ret)
{
	struct sg_plan_planted planted;

	return find_canonical(planner, path, ret, &planted);
}

int sg_plan_granted(struct sg_planner *planner, const char *path, const char **ret)
{
	struct sg_plan_planted planted;

	return sg_plan_granted_by(planner, path, ret, &planted);
}

int sg_plan_granted_by(struct sg_planner *planner, const char *path, const char **ret,
		       struct sg_plan_planted *ret_planted)
{
	const char *canonical;
	int status = find_canonical(planner, path, &canonical, ret_planted);

	if (status != 0)
		return 1;
	*ret = canonical;
	return ret_planted->link != NULL ? 1 : 0;
}

static const enum sg_placement default_placements[SG_RULE_KINDS] = {
	[SG_RULE_EXECUTE] = SG_PLACED_EXEC,        [SG_RULE_DENY_EXECUTE] = SG_PLACED_EXEC,
	[SG_RULE_FLAG] = SG_PLACED_FILTER,         [SG_RULE_DENY_FLAG] = SG_PLACED_FILTER,
	[SG_RULE_SYSCALL] = SG_PLACED_FILTER,      [SG_RULE_DENY_SYSCALL] = SG_PLACED_FILTER,
	[SG_RULE_ALLOW] = SG_PLACED_NETWORK,       [SG_RULE_DENY_ADDRESS] = SG_PLACED_NETWORK,
	[SG_RULE_LISTEN] = SG_PLACED_NETWORK,      [SG_RULE_LIMIT] = SG_PLACED_PROCESS,
	[SG_RULE_CAPABILITY] = SG_PLACED_PROCESS,  [SG_RULE_DENY_CAPABILITY] = SG_PLACED_PROCESS,
	[SG_RULE_ENVIRONMENT] = SG_PLACED_PROCESS, [SG_RULE_DIRECTORY] = SG_PLACED_PROCESS,
	[SG_RULE_BOUND] = SG_PLACED_LANDLOCK,      [SG_RULE_USER] = SG_PLACED_PROCESS,
	[SG_RULE_PRIVATE] = SG_PLACED_MOUNT,
};

void sg_plan_refuse_rule(struct sg_planner *planner, const struct sg_rule *rule, const char *what)
{
	if (planner->status != 0)
		return;
	(void)sg_error_set(planner->error, -E2BIG,
			   "%s:%zu: %s \"%.200s\" asks for %s: write a tree (/folder/**) instead", rule->source->name,
			   sg_source_line(rule->source, rule->span.offset), sg_rule_infos[rule->kind].name,
			   rule->written, what);
	planner->status = SG_PLAN_REFUSED;
}

void sg_plan_count_expanded(struct sg_planner *planner, const struct sg_rule *rule, size_t count)
{
	planner->expanded += count;
	if (planner->expanded > SG_PLAN_EXPANDED_MAX)
		sg_plan_refuse_rule(planner, rule, "more names by alternatives than a world can have");
}

/* A label, a wall or a privileged action is never ignored: without the machinery for it, the profile does not run. */
static int refuse_unheld(const struct sg_policy *policy, struct sg_error *error)
{
	static const enum sg_rule_kind unheld[] = {SG_RULE_LABEL, SG_RULE_WALL, SG_RULE_PRIVILEGED};

	for (size_t i = 0; i < SG_ARRAY_SIZE(unheld); i++) {
		size_t count;
		const struct sg_rule *rule = sg_policy_rules(policy, unheld[i], &count);

		if (count == 0)
			continue;
		(void)sg_error_set(error, -EOPNOTSUPP,
				   "%s:%zu: this profile uses [%s], which this version checks but cannot hold yet; it "
				   "does not run rather than run without it",
				   rule->source->name, sg_source_line(rule->source, rule->span.offset),
				   unheld[i] == SG_RULE_LABEL  ? "Label"
				   : unheld[i] == SG_RULE_WALL ? "Walls"
							       : "Privileged");
		return SG_PLAN_REFUSED;
	}
	return 0;
}

/* Covers are overlays; without them what they would hold is decided at every opening. The common answer costs one file. */
static bool overlays_work(void)
{
	SG_AUTO_FD int fd = open("/proc/filesystems", O_RDONLY | O_CLOEXEC);
	struct sg_probe_result result;
	char text[4096];
	ssize_t size = fd < 0 ? 0 : sg_fd_read_full(fd, text, sizeof(text) - 1);

	text[size > 0 ? size : 0] = '\0';
	if (strstr(text, "\toverlay\n") != NULL)
		return !sg_feature_hidden(SG_FEATURE_OVERLAY);
	/* A module that is not loaded yet: trying it loads it. */
	sg_probe(SG_FEATURE_OVERLAY, "/", &result);
	return result.state == SG_PROBE_PRESENT;
}

/* Calls that, with the capability they need, would take away what our rules for files stand on. */
static const struct {
	const char *capability, *call, *why;
} undoing[] = {
#define MOUNTS "a world could undo the mounts that hold its own rules for files"
	{"CAP_SYS_ADMIN", "mount", MOUNTS},
	{"CAP_SYS_ADMIN", "umount2", MOUNTS},
	{"CAP_SYS_ADMIN", "pivot_root", MOUNTS},
	{"CAP_SYS_ADMIN", "move_mount", MOUNTS},
	{"CAP_SYS_ADMIN", "open_tree", MOUNTS},
	{"CAP_SYS_ADMIN", "open_tree_attr", MOUNTS},
	{"CAP_SYS_ADMIN", "fsmount", MOUNTS},
	{"CAP_SYS_ADMIN", "fspick", MOUNTS},
	{"CAP_SYS_ADMIN", "fsconfig", MOUNTS},
	{"CAP_SYS_ADMIN", "mount_setattr", MOUNTS},
#undef MOUNTS
	/* Names are resolved from the world's root: after chroot they would mean one file to the caller and another to us. */
	{"CAP_SYS_CHROOT", "chroot", "a name would mean another file to the program than to what decides about it"},
};

static int refuse_undoing(const struct sg_policy *policy, struct sg_error *error)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(undoing); i++) {
		const struct sg_rule *rule = sg_policy_find(policy, SG_RULE_SYSCALL, undoing[i].call);

		if (rule == NULL || sg_policy_find(policy, SG_RULE_DENY_SYSCALL, undoing[i].call) != NULL ||
		    sg_policy_find(policy, SG_RULE_CAPABILITY, undoing[i].capability) == NULL ||
		    sg_policy_find(policy, SG_RULE_DENY_CAPABILITY, undoing[i].capability) != NULL)
			continue;
		(void)sg_error_set(
			error, -EOPNOTSUPP,
			"%s:%zu: this profile gives %s together with %s: with them %s, so this version does not run it",
			rule->source->name, sg_source_line(rule->source, rule->span.offset), undoing[i].call,
			undoing[i].capability, undoing[i].why);
		return SG_PLAN_REFUSED;
	}
	return 0;
}

/*
 * The kernel writes a core dump by itself, under a name that core_pattern says, into the working directory: past what is decided
 * about names there, and past the record. A limit of 1 byte is no core (core(5)).
 */
static void refuse_cores(struct sg_planner *planner)
{
	const struct sg_policy *policy = planner->plan->policy;
	const struct sg_rule *limit = sg_policy_find(policy, SG_RULE_LIMIT, "CoreSize");
	const struct sg_rule *writing = planner->plan->writing;

	if (limit == NULL || limit->number <= 1 || writing == NULL)
		return;
	(void)sg_error_set(planner->error, -EOPNOTSUPP,
			   "%s:%zu: Limits.CoreSize cannot be held together with %s \"%s\" (%s:%zu): the kernel would "
			   "write core dumps past what is decided about names there. Leave CoreSize out, or give whole "
			   "folders for writing (ReadWrite = [\"/the/folder/**\"]) and nothing that refuses or records "
			   "names in them",
			   limit->source->name, sg_source_line(limit->source, limit->span.offset),
			   sg_rule_infos[writing->kind].name, writing->written, writing->source->name,
			   sg_source_line(writing->source, writing->span.offset));
	planner->status = SG_PLAN_REFUSED;
}

/* A call that takes a path and is carried out by nobody but the kernel. */
static bool is_peeping(const struct sg_syscall *call)
{
	if (call->class != SG_CLASS_NATIVE && call->class != SG_CLASS_CHECKED)
		return false;
	for (unsigned int i = 0; i < SG_SYSCALL_ARGUMENTS; i++) {
		enum sg_arg_role role = sg_syscall_role(call, i);

		if (role == SG_ARG_PATH || role == SG_ARG_HANDLE || role == SG_ARG_OPEN_HOW)
			return true;
	}
	return false;
}

/* Where hidden names are held by looks, such a call would tell whether there is something under one. */
static void refuse_peeping(struct sg_planner *planner)
{
	const struct sg_policy *policy = planner->plan->policy;
	const struct sg_rule *hiding = planner->plan->hiding;

	for (unsigned int i = 0; hiding != NULL && i < SG_SYSCALL_LIMIT; i++) {
		const struct sg_syscall *call = sg_syscall_by_number(i);
		const struct sg_rule *rule =
			call != NULL && is_peeping(call) ? sg_policy_find(policy, SG_RULE_SYSCALL, call->name) : NULL;

		if (rule == NULL || sg_policy_find(policy, SG_RULE_DENY_SYSCALL, call->name) != NULL)
			continue;
		(void)sg_error_set(
			planner->error, -EOPNOTSUPP,
			"%s:%zu: Hide \"%s\" cannot be held together with the call %s (%s:%zu%s%s), which would tell "
			"whether there is something under a hidden name. Take that away (DenyFlags, DenySyscalls), or "
			"use Deny, which shows the name and refuses what is in it",
			hiding->source->name, sg_source_line(hiding->source, hiding->span.offset), hiding->written,
			call->name, rule->source->name, sg_source_line(rule->source, rule->span.offset),
			rule->flag != NULL ? ", the flag " : "", rule->flag != NULL ? rule->flag : "");
		planner->status = SG_PLAN_REFUSED;
		return;
	}
}

static enum sg_placement find_bound(const char *name)
{
	static const struct {
		const char *name;
		enum sg_placement placement;
	} bounds[] = {{"apparmor", SG_PLACED_APPARMOR}, {"overlay", SG_PLACED_OVERLAY}};

	for (size_t i = 0; i < SG_ARRAY_SIZE(bounds); i++)
		if (strcmp(name, bounds[i].name) == 0)
			return bounds[i].placement;
	return SG_PLACED_LANDLOCK;
}

static void decide_placements(struct sg_plan *plan)
{
	for (size_t i = 0; i < plan->policy->rule_count; i++) {
		enum sg_rule_kind kind = plan->policy->rules[i].kind;

		if (plan->placements[i] == SG_PLACED_NOWHERE)
			plan->placements[i] = default_placements[kind];
		if (kind == SG_RULE_BOUND)
			plan->placements[i] = find_bound(plan->policy->rules[i].text);
		if (kind == SG_RULE_LOG_READ || kind == SG_RULE_DENY_READ || kind == SG_RULE_DENY ||
		    kind == SG_RULE_HIDE)
			if (plan->placements[i] == SG_PLACED_NOWHERE)
				plan->placements[i] = kind == SG_RULE_HIDE && plan->decide_looks ? SG_PLACED_LOOKS
						      : plan->decide_reads                       ? SG_PLACED_OPENS
												 : SG_PLACED_ABSENT;
		if ((kind == SG_RULE_LOG_WRITE || kind == SG_RULE_DENY_WRITE) &&
		    plan->placements[i] == SG_PLACED_NOWHERE)
			plan->placements[i] = SG_PLACED_WRITES;
	}
}

int sg_plan_make(const struct sg_policy *policy, const struct sg_plan_options *options, struct sg_plan **ret,
		 struct sg_error *error)
{
	SG_AUTO_PLAN struct sg_plan *plan = calloc(1, sizeof(*plan));
	SG_AUTO_FREE struct sg_planner *planner = calloc(1, sizeof(*planner));
	int status = refuse_unheld(policy, error);

	if (status == 0)
		status = refuse_undoing(policy, error);
	if (status != 0)
		return status;
	if (planner == NULL)
		return sg_error_set_errno(error, -ENOMEM, "cannot plan the world");
	planner->plan = plan;
	planner->options = options;
	planner->overlay_bound = sg_policy_find(policy, SG_RULE_BOUND, "overlay") != NULL;
	planner->error = error;
	if (plan != NULL) {
		plan->policy = policy;
		plan->placements = calloc(policy->rule_count + 1, sizeof(*plan->placements));
	}
	if (plan == NULL || plan->placements == NULL)
		return sg_error_set_errno(error, -ENOMEM, "cannot plan the world");
	sg_plan_find_roots(planner);
	if (planner->status == 0)
		sg_plan_make_names(planner);
	if (planner->status == 0)
		sg_plan_settle_roots(planner);
	if (planner->status == 0)
		sg_plan_refuse_folding(planner);
	planner->no_overlays = !overlays_work();
	if (planner->status == 0)
		sg_plan_find_covers(planner);
	if (planner->status == 0)
		sg_plan_settle_nodes(planner);
	if (planner->status == 0)
		sg_plan_settle_decisions(planner);
	if (planner->status == 0)
		refuse_peeping(planner);
	if (planner->status == 0)
		refuse_cores(planner);
	if (planner->status == 0)
		sg_plan_make_mounts(planner);
	decide_placements(plan);
	sg_matcher_free(planner->matcher);
	sg_matcher_free(planner->writable_matcher);
	sg_globset_free(planner->writable);
	for (size_t i = 0; i < planner->root_count; i++)
		free(planner->roots[i].covers);
	free(planner->roots);
	free(planner->links);
	if (planner->status < 0)
		return sg_error_set_errno(error, planner->status, "cannot plan the world");
	if (planner->status > 0)
		return planner->status;
	*ret = sg_take_pointer(plan);
	return 0;
}

/* The innermost mount that holds `path`; NULL: none, or one of the world's own. */
static const struct sg_mount *find_tree(const struct sg_plan *plan, const char *path)
{
	const struct sg_mount *found = NULL;

	for (size_t i = 0; i < plan->mount_count; i++) {
		const struct sg_mount *mount = &plan->mounts[i];
		size_t length = strlen(mount->target);

		if ((mount->kind == SG_MOUNT_TREE || mount->kind == SG_MOUNT_PRIVATE) &&
		    strncmp(path, mount->target, length) == 0 && (path[length] == '/' || path[length] == '\0') &&
		    (found == NULL || length > strlen(found->target)))
			found = mount;
	}
	return found != NULL && found->kind == SG_MOUNT_TREE ? found : NULL;
}

int sg_plan_gives_writing(const struct sg_plan *plan, const char *path)
{
	const struct sg_mount *tree = find_tree(plan, path);
	struct sg_matcher *names = NULL;
	struct sg_decision decision;
	int status;

	/* A mount is writable as soon as something in it may be written: the names decide then. */
	if (tree == NULL || (tree->flags & SG_MOUNT_WRITE) == 0)
		return 0;
	status = sg_matcher_new(plan->names, SG_MATCHER_MEMORY_MIN, &names);
	if (status < 0)
		return status;
	sg_decide(plan->policy, names, path, strlen(path), SG_ACCESS_WRITE, false, &decision);
	if (decision.verdict != SG_VERDICT_ALLOW)
		sg_decide(plan->policy, names, path, strlen(path), SG_ACCESS_CHANGE, false, &decision);
	sg_matcher_free(names);
	return decision.verdict == SG_VERDICT_ALLOW ? 1 : 0;
}

int sg_plan_withhold(struct sg_plan *plan, const char *folder)
{
	struct sg_mount *mounts;
	char **strings, *name;

	for (size_t i = 0; i < plan->mount_count; i++) /* once is enough */
		if (plan->mounts[i].kind == SG_MOUNT_PRIVATE && strcmp(plan->mounts[i].target, folder) == 0 &&
		    plan->mounts[i].mode == 0555)
			return 0;
	if (find_tree(plan, folder) == NULL)
		return 0;
	mounts = reallocarray(plan->mounts, plan->mount_count + 1, sizeof(*mounts));
	if (mounts == NULL)
		return -ENOMEM;
	plan->mounts = mounts;
	strings = reallocarray(plan->strings, plan->string_count + 1, sizeof(*strings));
	if (strings == NULL)
		return -ENOMEM;
	plan->strings = strings;
	name = strdup(folder);
	if (name == NULL)
		return -ENOMEM;
	plan->strings[plan->string_count++] = name;
	plan->mounts[plan->mount_count++] =
		(struct sg_mount){.kind = SG_MOUNT_PRIVATE, .mode = 0555, .target = name, .tree = -1};
	return 0;
}

void sg_plan_free(struct sg_plan *plan)
{
	if (plan == NULL)
		return;
	sg_mount_release(plan->mounts, plan->mount_count);
	for (size_t i = 0; i < plan->mount_count; i++)
		free((void *)(uintptr_t)plan->mounts[i].covers);
	for (size_t i = 0; i < plan->string_count; i++)
		free(plan->strings[i]);
	free(plan->strings);
	free(plan->mounts);
	free(plan->placements);
	free(plan->led);
	for (size_t i = 0; i < plan->alias_count; i++)
		sg_glob_free(plan->aliases[i].glob);
	free(plan->aliases);
	sg_globset_free(plan->names);
	free(plan);
}
