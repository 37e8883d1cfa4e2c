/*
 * Nodes of the host that are no files, in what may only be read: FIFOs, behind which somebody sits, and sockets.
 *
 * What an adversary inside has: any name of a tree that a rule grants for reading, natively, and a helper on the host who makes
 * a FIFO there at any time. Opening it for writing is decided in every profile (world/filter_spec.c). Opening it for reading is
 * not, where reading runs natively, and neither a mount's attributes nor Landlock tell a FIFO from a file.
 *
 *   one file        A rule that names a FIFO itself mounts that very node: refused here, with the rule, and where it is mounted
 *                   (world/mount.c), since a FIFO may take the file's place in between. In every profile, at no cost.
 *   whole trees     Filesystem.Bounds = ["overlay"]: an overlay of the tree stands in its place. Its FIFOs have no writer
 *                   and no reader but of the world's: the kernel gives each a pipe of the overlay's inode, now and for what is
 *                   made later. What cannot be an overlay is decided at each opening instead, where a FIFO is refused
 *                   (supervisor/open.c): so the bound holds on every kernel and for every profile, at one price or another.
 *
 * A socket behind an overlay is nobody's either. So one that the profile lets be connected to gets a mount of its own, over
 * the overlay: that gives nothing to open.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "world/plan_internal.h"

static bool is_fifo(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0 && S_ISFIFO(status.st_mode);
}

/* A FIFO in the place of a root. That some flag or wildcard hit it is nobody's mistake: it is not there. */
static void refuse_fifo(struct sg_planner *planner, struct sg_plan_root *root)
{
	const struct sg_rule *rule = root->rule;

	if (root->folder || root->write || root->skip || !is_fifo(root->path))
		return;
	root->skip = true;
	if (rule->flag != NULL || !sg_glob_is_literal(rule->glob) || planner->status != 0)
		return;
	(void)sg_error_set(planner->error, -EACCES, "%s:%zu: \"%s\": " SG_MOUNT_IS_FIFO, rule->source->name,
			   sg_source_line(rule->source, rule->span.offset), rule->written, root->path);
	planner->status = SG_PLAN_REFUSED;
}

/* The tree around a socket is an overlay: the socket gets a mount of its own. */
static void uncover_socket(struct sg_planner *planner, struct sg_plan_root *root)
{
	const struct sg_plan_root *around;

	if (!root->skip || root->covered || root->folder || !root->sockets)
		return;
	around = sg_plan_root_of(planner, root->path);
	if (around != NULL && (around->overlay || around->cover_count > 0))
		root->skip = false;
}

static void settle_root(struct sg_planner *planner, struct sg_plan_root *root)
{
	const uint64_t write = SG_NAME_BIT(SG_RULE_WRITE);

	if (root->skip || root->private || !root->folder || (root->names.may & SG_NAMES_ALLOW) == 0)
		return;
	if (!root->write && !root->sockets && !root->mounted && !planner->no_overlays)
		root->overlay = true;
	else if (!root->write || (root->names.all & write) == 0)
		planner->plan->decide_reads = true;
}

void sg_plan_settle_nodes(struct sg_planner *planner)
{
	planner->plan->overlays = planner->overlay_bound;
	for (size_t i = 0; i < planner->root_count; i++) {
		refuse_fifo(planner, &planner->roots[i]);
		if (planner->overlay_bound)
			settle_root(planner, &planner->roots[i]);
	}
	for (size_t i = 0; i < planner->root_count; i++)
		uncover_socket(planner, &planner->roots[i]);
}
