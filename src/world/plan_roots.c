/*
 * Which folders and files of the host the world gets, and which rules the mounts hold by themselves.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/folder.h"
#include "world/plan_internal.h"

static bool below(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	if (strcmp(folder, "/") == 0)
		return true;
	return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* The world has its own of these; what a rule says about names in them holds for those. */
static bool is_own(const char *path)
{
	return below(path, "/proc") || below(path, "/dev");
}

static void add_root(struct sg_planner *planner, const struct sg_rule *rule, const char *canonical, bool private)
{
	struct stat status;

	if (is_own(canonical) && !private)
		return;
	for (size_t i = 0; i < planner->root_count; i++) {
		if (strcmp(planner->roots[i].path, canonical) == 0) {
			planner->roots[i].private |= private;
			planner->roots[i].sockets |= rule->kind == SG_RULE_ALLOW;
			return;
		}
	}
	if (!private && stat(canonical, &status) < 0)
		return;
	if (planner->root_count >= SG_PLAN_ROOTS_MAX) {
		sg_plan_refuse_rule(planner, rule, "more folders and files by name than a world can have mounts for");
		return;
	}
	if (!sg_plan_grow(planner, &planner->roots, planner->root_count, &planner->root_capacity,
			  sizeof(*planner->roots)))
		return;
	planner->roots[planner->root_count++] = (struct sg_plan_root){.path = canonical,
								      .rule = rule,
								      .folder = private || S_ISDIR(status.st_mode),
								      .private = private,
								      .sockets = rule->kind == SG_RULE_ALLOW};
}

/* The root of the file system is not mounted as a whole: the world has a skeleton there. Each folder in it is. */
static void add_whole_host(struct sg_planner *planner, const struct sg_rule *rule)
{
	SG_AUTO_FOLDER DIR *listing = opendir("/");
	const struct dirent *entry;

	if (listing == NULL) {
		planner->status = -errno;
		return;
	}
	while ((entry = readdir(listing)) != NULL && planner->status == 0) {
		char path[300] = "/";
		const char *canonical;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		memcpy(path + 1, entry->d_name, strlen(entry->d_name) + 1);
		if (sg_plan_granted(planner, path, &canonical) == 0)
			add_root(planner, rule, canonical, false);
	}
}

/*
 * A file that may be written and does not exist: its folder is needed to make it in. All other names there stay as they are,
 * since the set of names decides each of them.
 */
static bool add_folder_of(struct sg_planner *planner, const struct sg_rule *rule, const char *name)
{
	const char *canonical, *kept, *slash = strrchr(name, '/');

	if (rule->kind != SG_RULE_WRITE || slash == name || planner->status < 0)
		return false;
	kept = sg_plan_keep(planner, name, (size_t)(slash - name));
	if (kept == NULL || sg_plan_granted(planner, kept, &canonical) != 0)
		return false;
	add_root(planner, rule, canonical, false);
	return true;
}

/* One host name that a rule speaks of. Returns true if it exists, or can be made. */
static bool add_name(struct sg_planner *planner, const struct sg_rule *rule, const char *name, size_t length)
{
	const bool folder = length > 1 && name[length - 1] == '/';
	struct sg_plan_planted planted;
	const char *canonical = NULL, *kept;

	while (length > 1 && name[length - 1] == '/')
		length--;
	if (length == 1) {
		add_whole_host(planner, rule);
		return true;
	}
	kept = sg_plan_keep(planner, name, length);
	if (kept == NULL)
		return false;
	if (sg_plan_granted_by(planner, kept, &canonical, &planted) != 0 && planted.link != NULL && canonical != NULL) {
		sg_plan_note_led(planner, rule, kept, canonical, &planted);
		return false;
	}
	if (canonical == NULL)
		return !folder && sg_plan_canonical(planner, kept, &canonical) != 0 &&
		       add_folder_of(planner, rule, kept);
	sg_plan_note_led(planner, rule, kept, canonical, &planted);
	add_root(planner, rule, canonical, false);
	return true;
}

static bool add_names(struct sg_planner *planner, const struct sg_rule *rule, const struct sg_glob_names *names)
{
	bool found = false;

	for (size_t i = 0; i < names->count; i++)
		found |= add_name(planner, rule, names->names[i], strlen(names->names[i]));
	return found;
}

static bool add_rule(struct sg_planner *planner, const struct sg_rule *rule)
{
	SG_AUTO_GLOB_NAMES struct sg_glob_names names = {0};
	size_t length;
	const char *prefix = sg_glob_prefix(rule->glob, &length);
	int status;

	if (sg_glob_is_tree(rule->glob) || sg_glob_is_literal(rule->glob))
		return add_name(planner, rule, prefix, length);
	status = sg_glob_expand(rule->glob, SG_GLOB_NAMES_MAX, &names);
	if (status == SG_GLOB_NOT_LITERAL || status == SG_GLOB_TOO_MANY)
		status = sg_glob_folders(rule->glob, SG_GLOB_NAMES_MAX, &names);
	if (status < 0) {
		planner->status = status;
		return false;
	}
	if (names.count > 1)
		sg_plan_count_expanded(planner, rule, names.count);
	return planner->status == 0 && add_names(planner, rule, &names);
}

static void add_private(struct sg_planner *planner, const struct sg_rule *rule)
{
	size_t length;
	const char *prefix = sg_glob_prefix(rule->glob, &length), *canonical;
	const char *kept = sg_plan_keep(planner, prefix, length > 1 ? length - 1 : length);

	if (kept == NULL)
		return;
	if (sg_plan_canonical(planner, kept, &canonical) != 0)
		canonical = kept;
	if (planner->status == 0)
		add_root(planner, rule, canonical, true);
}

struct sg_plan_root *sg_plan_root_of(const struct sg_planner *planner, const char *path)
{
	struct sg_plan_root *found = NULL;

	for (size_t i = 0; i < planner->root_count; i++)
		if (!planner->roots[i].skip && below(path, planner->roots[i].path) &&
		    (found == NULL || strlen(planner->roots[i].path) > strlen(found->path)))
			found = &planner->roots[i];
	return found;
}

static int compare_roots(const void *left, const void *right)
{
	return strcmp(((const struct sg_plan_root *)left)->path, ((const struct sg_plan_root *)right)->path);
}

void sg_plan_find_roots(struct sg_planner *planner)
{
	const struct sg_policy *policy = planner->plan->policy;

	for (size_t i = 0; i < policy->rule_count && planner->status == 0; i++) {
		const struct sg_rule *rule = &policy->rules[i];

		if (rule->kind == SG_RULE_PRIVATE)
			add_private(planner, rule);
		else if (rule->glob != NULL && (SG_NAME_BIT(rule->kind) & SG_NAMES_ALLOW) != 0)
			planner->plan->placements[i] = add_rule(planner, rule) ? SG_PLACED_MOUNT : SG_PLACED_ABSENT;
		else if (rule->glob != NULL && rule->kind == SG_RULE_ALLOW)
			(void)add_rule(planner, rule); /* a socket must be there to be connected to */
	}
	if (planner->root_count > 0)
		qsort(planner->roots, planner->root_count, sizeof(*planner->roots), compare_roots);
}

static void question(struct sg_planner *planner, const struct sg_plan_root *root, struct sg_match_below *ret)
{
	char name[4097];
	size_t length = strlen(root->path);
	struct sg_match match;

	memcpy(name, root->path, length + 1);
	if (root->folder && length > 1) {
		name[length++] = '/';
		name[length] = '\0';
	}
	if (root->folder) {
		(void)sg_matcher_below(planner->matcher, name, length, ret);
		return;
	}
	(void)sg_matcher_match(planner->matcher, name, length, &match);
	*ret = (struct sg_match_below){match.mask, match.mask};
}

/* The nearest root above that is mounted; NULL if none. Roots are sorted, so it stands before. */
static const struct sg_plan_root *find_above(const struct sg_planner *planner, size_t index)
{
	const struct sg_plan_root *found = NULL;

	for (size_t i = 0; i < index; i++)
		if (!planner->roots[i].skip && planner->roots[i].folder &&
		    below(planner->roots[index].path, planner->roots[i].path) &&
		    (found == NULL || strlen(planner->roots[i].path) > strlen(found->path)))
			found = &planner->roots[i];
	return found;
}

/* The first refusal of those kinds that no cover holds and that could speak of a name in the root, by its literal prefix; or NULL. */
static const struct sg_rule *find_uncovered(const struct sg_planner *planner, const struct sg_plan_root *root,
					    uint64_t kinds)
{
	const struct sg_policy *policy = planner->plan->policy;

	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct sg_rule *rule = &policy->rules[i];
		size_t length;
		const char *prefix;

		if (rule->glob == NULL || (SG_NAME_BIT(rule->kind) & kinds) == 0 ||
		    planner->plan->placements[i] == SG_PLACED_COVER)
			continue;
		prefix = sg_glob_prefix(rule->glob, &length);
		if (strncmp(prefix, root->path, length) == 0 || below(prefix, root->path))
			return rule;
	}
	return NULL;
}

/* Where a folder may be written, but not every name in it, or each writing is recorded: that is decided by name. */
static void settle_writing(struct sg_planner *planner, const struct sg_plan_root *root,
			   const struct sg_match_below *names)
{
	const uint64_t refuse = SG_NAME_BIT(SG_RULE_DENY) | SG_NAME_BIT(SG_RULE_DENY_WRITE) | SG_NAME_BIT(SG_RULE_HIDE);
	const uint64_t record = SG_NAME_BIT(SG_RULE_LOG_WRITE);
	const bool part = root->write && ((names->all & SG_NAME_BIT(SG_RULE_WRITE)) == 0 || (names->may & refuse) != 0);

	if (!part && (names->may & record) == 0)
		return;
	planner->plan->decide_changes = true;
	if (!root->write || !root->folder || planner->plan->writing != NULL)
		return;
	planner->plan->writing = find_uncovered(planner, root, names->may & (refuse | record));
	if (planner->plan->writing == NULL)
		planner->plan->writing = root->rule;
}

/* What of the rules below a root its mount does not hold by itself. */
static void settle_decisions(struct sg_planner *planner, const struct sg_plan_root *root,
			     const struct sg_match_below *names)
{
	const uint64_t refuse_read =
		SG_NAME_BIT(SG_RULE_DENY) | SG_NAME_BIT(SG_RULE_DENY_READ) | SG_NAME_BIT(SG_RULE_HIDE);
	const uint64_t refuse_execute = SG_NAME_BIT(SG_RULE_DENY) | SG_NAME_BIT(SG_RULE_DENY_EXECUTE);
	const uint64_t hide = SG_NAME_BIT(SG_RULE_HIDE);
	const struct sg_rule *hiding;

	/* The mount of one socket gives nothing to open: connecting to it is decided. */
	if (!root->folder && root->rule->kind == SG_RULE_ALLOW)
		return;
	if (root->execute && ((names->all & SG_NAME_BIT(SG_RULE_EXECUTE)) == 0 || (names->may & refuse_execute) != 0))
		planner->plan->mixed_code = true;
	if ((names->may & SG_NAME_BIT(SG_RULE_LOG_READ)) != 0)
		planner->plan->decide_reads = true;
	/* Of what is shown and not granted, the name and stat's data are all there is. */
	if ((names->all & SG_NAMES_ALLOW) == 0 ||
	    ((names->may & refuse_read) != 0 && find_uncovered(planner, root, refuse_read) != NULL))
		planner->plan->decide_reads = planner->plan->decide_details = true;
	hiding = (names->may & hide) != 0 ? find_uncovered(planner, root, hide) : NULL;
	if (hiding != NULL) {
		planner->plan->decide_reads = planner->plan->decide_details = planner->plan->decide_looks = true;
		planner->plan->hiding = hiding;
	}
	settle_writing(planner, root, names);
}

void sg_plan_settle_roots(struct sg_planner *planner)
{
	const uint64_t code = SG_NAME_BIT(SG_RULE_EXECUTE) | SG_NAME_BIT(SG_RULE_MAP);

	for (size_t i = 0; i < planner->root_count; i++) {
		struct sg_plan_root *root = &planner->roots[i];
		const struct sg_plan_root *above;

		question(planner, root, &root->names);
		root->write = root->private || (root->names.may & SG_NAME_BIT(SG_RULE_WRITE)) != 0;
		root->execute = (root->names.may & code) != 0;
		above = find_above(planner, i);
		root->skip = above != NULL && !root->private && !above->private && above->write == root->write &&
			     (above->execute || !root->execute);
		/* What stands in the place of the tree above, an overlay, would hide whose sockets they are (plan_nodes.c). */
		if (root->sockets && root->folder && !root->write)
			root->skip = false;
	}
}

/*
 * The world's own /proc and /dev are there without any rule, and no cover holds a name in them: what refuses, hides or records one
 * is decided.
 */
static void settle_own(struct sg_planner *planner, const char *folder)
{
	const struct sg_plan_root own = {.path = folder, .folder = true};
	const uint64_t hide = SG_NAME_BIT(SG_RULE_HIDE);
	const uint64_t refuse_read = SG_NAME_BIT(SG_RULE_DENY) | SG_NAME_BIT(SG_RULE_DENY_READ) | hide;
	struct sg_match_below names;

	question(planner, &own, &names);
	if ((names.may & (refuse_read | SG_NAME_BIT(SG_RULE_LOG_READ))) != 0)
		planner->plan->decide_reads = true;
	if ((names.may & refuse_read) != 0)
		planner->plan->decide_details = true;
	if ((names.may & hide) != 0) {
		planner->plan->decide_looks = true;
		planner->plan->hiding = find_uncovered(planner, &own, hide);
	}
}

void sg_plan_settle_decisions(struct sg_planner *planner)
{
	settle_own(planner, "/proc");
	settle_own(planner, "/dev");

	for (size_t i = 0; i < planner->root_count; i++)
		if (!planner->roots[i].covered && !planner->roots[i].private)
			settle_decisions(planner, &planner->roots[i], &planner->roots[i].names);
	/* Changes decided by name need openings that write to be decided too; reads decided, all of them. */
	if (planner->plan->decide_reads)
		planner->plan->decide_changes = true;
}
