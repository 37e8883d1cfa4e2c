/*
 * Symbolic links on the way to what a rule names: which of them a grant must not follow.
 *
 * Three kinds of people may have chosen where one leads. A world of this very policy, if a rule lets it write the link's name. A
 * world of another session, now or earlier, if one was given a folder that the link lies in (written.h). And another user than
 * root, the caller and the session's user, unless it leads to what is theirs. In each case the rule gives nothing: what the name
 * stands for is not the profile's choice. A refusal follows every link, since it takes away only.
 *
 * A link that is put there while we look is seen and judged, or it is not seen: then the canonical name holds a folder where the
 * link is, and the mount, which follows none (world/mount.c), fails.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "world/plan_internal.h"

/*
 * Names that a world may write are no root of grants: a session could put a symbolic link there, and the next one, of the
 * same profile, would be given what the link leads to. A literal name is another matter: the user's own dot file may well
 * be a link, and no world may make one there (supervisor/change_names.c).
 */
static int find_writable(struct sg_planner *planner)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(planner->plan->policy, SG_RULE_WRITE, &count);
	int status = sg_globset_new(&planner->writable);

	for (size_t i = 0; i < count && status == 0; i++)
		if (rules[i].glob != NULL && !sg_glob_is_literal(rules[i].glob))
			status = sg_globset_add(planner->writable, rules[i].glob, (uint32_t)i, 1);
	if (status == 0)
		status = sg_globset_compile(planner->writable);
	return status < 0 ? status
			  : sg_matcher_new(planner->writable, SG_MATCHER_MEMORY_MIN, &planner->writable_matcher);
}

static bool is_writable_inside(struct sg_planner *planner, const char *link)
{
	struct sg_match match;

	if (planner->writable == NULL && find_writable(planner) < 0)
		planner->status = -ENOMEM;
	/* Without an answer it is. */
	return planner->writable_matcher == NULL ||
	       sg_matcher_match(planner->writable_matcher, link, strlen(link), &match) < 0 || match.mask != 0;
}

/* Somebody else's link that leads to what is not theirs: they chose, and we would be lending them what we may do. */
static bool is_foreign(const struct sg_planner *planner, const char *link, const struct stat *found)
{
	struct stat target;

	return found->st_uid != 0 && found->st_uid != geteuid() && found->st_uid != planner->options->user &&
	       (stat(link, &target) < 0 || target.st_uid != found->st_uid);
}

void sg_plan_judge_link(struct sg_planner *planner, const char *name, const struct stat *found,
			struct sg_plan_planted *planted)
{
	const char *why = NULL;

	if (planted->link != NULL)
		return;
	if (is_writable_inside(planner, name))
		why = "which the profile itself lets a session put there";
	else if (is_foreign(planner, name, found))
		why = "which is another user's, and leads to what is not theirs";
	else if (planner->options->written != NULL && sg_written_holds(planner->options->written, name))
		why = "in a folder that a session has been given to write: it may have put the link there";
	if (why == NULL)
		return;
	planted->link = sg_plan_keep(planner, name, strlen(name));
	planted->why = why;
}

void sg_plan_note_led(struct sg_planner *planner, const struct sg_rule *rule, const char *name, const char *target,
		      const struct sg_plan_planted *planted)
{
	struct sg_plan *plan = planner->plan;

	if (rule->flag != NULL || (planted->link == NULL && strcmp(name, target) == 0))
		return;
	for (size_t i = 0; i < plan->led_count; i++)
		if (strcmp(plan->led[i].name, name) == 0)
			return;
	if (sg_plan_grow(planner, &plan->led, plan->led_count, &planner->led_capacity, sizeof(*plan->led)))
		plan->led[plan->led_count++] = (struct sg_plan_led){
			.rule = rule, .name = name, .target = target, .link = planted->link, .why = planted->why};
}
