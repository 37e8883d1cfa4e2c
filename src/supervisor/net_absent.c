/*
 * Sockets of the host that are not in the world.
 *
 * A folder that no rule grants is not there, so a program that looks for a service's socket in it is told ENOENT by the walk
 * itself, and the person at the terminal would look for the service instead of for the rule. So that is a refusal like any
 * other: told, and on the record. It says nothing of the host, which is not looked at: the answer is made from the name and
 * the rules alone, and is the same whether or not a service listens there. What a rule hides is not spoken of; what a rule
 * allows is allowed, and simply not there; and in a folder that the world does see a missing name is a missing name.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "supervisor/network.h"

/* What the C library tries at every turn and does without, unless the host runs the service: no news to anybody. */
static const char *const tried[] = {"/run/nscd/socket", "/var/run/nscd/socket", "/dev/log"};

static bool is_tried_at_every_turn(const char *name)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(tried); i++)
		if (strcmp(tried[i], name) == 0)
			return true;
	return false;
}

/* True if the name lies in a tree or file system that the world sees; the skeleton's own folders are none. */
static bool is_seen(const struct sg_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->mount_count; i++) {
		const struct sg_mount *mount = &plan->mounts[i];
		const size_t length = strlen(mount->target);

		if (mount->kind != SG_MOUNT_FOLDER && mount->kind != SG_MOUNT_SYMLINK &&
		    strncmp(name, mount->target, length) == 0 && (name[length] == '/' || name[length] == '\0'))
			return true;
	}
	return false;
}

void sg_net_report_absent(struct sg_request *request, const char *path)
{
	static const struct sg_decision decision = {.verdict = SG_VERDICT_DENY,
						    .error = ENOENT,
						    .reason = "no rule allows a socket of the host by this name"};
	struct sg_supervisor *supervisor = request->supervisor;
	struct sg_match match;
	char name[PATH_MAX];
	const size_t length = path[0] == '/' ? sg_name_append(name, 0, path) : 0;

	if (length == 0 || is_tried_at_every_turn(name) || is_seen(supervisor->plan, name))
		return;
	if (sg_matcher_match(supervisor->names, name, length, &match) < 0 ||
	    (match.mask & (SG_NAME_BIT(SG_RULE_HIDE) | SG_NAME_BIT(SG_RULE_ALLOW))) != 0)
		return;
	/* The call fails all the same: there is nothing to withhold if the record cannot be written. */
	(void)sg_report(request, &decision, name, NULL);
}
