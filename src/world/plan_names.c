/*
 * The set of names of a policy on this host: the globs of the policy, and for a glob whose literal prefix is a symbolic
 * link here, the same glob behind what the link leads to. Names are decided after links are resolved.
 */
#include <string.h>

#include "policy/names.h"
#include "world/plan_internal.h"

/* Adds what a link makes of a glob of a rule; `shown`: with the folders that it shows. */
static void add_text(struct sg_planner *planner, const struct sg_buffer *text, size_t rule, uint64_t mask, bool shown)
{
	SG_AUTO_GLOB struct sg_glob *glob = NULL;
	struct sg_plan *plan = planner->plan;
	int status = sg_buffer_status(text);

	if (status == 0)
		status = sg_glob_parse(text->data, text->size, NULL, &glob);
	if (status == 0)
		status = shown ? sg_names_add_glob(plan->names, glob, (uint32_t)rule, mask)
			       : sg_globset_add(plan->names, glob, (uint32_t)rule, mask);
	if (status < 0)
		planner->status = status;
	else if (sg_plan_grow(planner, &plan->aliases, plan->alias_count, &planner->alias_capacity,
			      sizeof(*plan->aliases)))
		plan->aliases[plan->alias_count++] = (struct sg_plan_alias){sg_take_pointer(glob), rule};
}

/* A refusal holds wherever links lead; a grant follows only those that may be trusted. */
static int find_target(struct sg_planner *planner, const char *name, uint64_t mask, const char **ret)
{
	return (mask & SG_NAMES_ALLOW) != 0 ? sg_plan_granted(planner, name, ret)
					    : sg_plan_canonical(planner, name, ret);
}

static void add_alias(struct sg_planner *planner, const struct sg_rule *rule, size_t index, uint64_t mask)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	size_t folder, offset = sg_names_folder(rule->glob, &folder), length;
	const char *whole = sg_glob_text(rule->glob, &length), *canonical, *kept;

	if (folder <= 1)
		return;
	kept = sg_plan_keep(planner, sg_glob_prefix(rule->glob, &(size_t){0}), folder - 1);
	if (kept == NULL || find_target(planner, kept, mask, &canonical) != 0 || strcmp(canonical, kept) == 0)
		return;
	if (strcmp(canonical, "/") != 0)
		sg_glob_quote(&text, canonical, strlen(canonical));
	sg_buffer_append_byte(&text, '/');
	sg_buffer_append(&text, whole + offset, length - offset);
	add_text(planner, &text, index, mask, true);
}

/* The literal target of a file glob that is itself a symbolic link: decided by where it leads. */
static void add_literal_target(struct sg_planner *planner, const struct sg_rule *rule, size_t index, uint64_t mask)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	size_t length;
	const char *name = sg_glob_prefix(rule->glob, &length), *canonical;

	if (!sg_glob_is_literal(rule->glob) || name[length - 1] == '/' ||
	    find_target(planner, name, mask, &canonical) != 0 || strcmp(canonical, name) == 0)
		return;
	sg_glob_quote(&text, canonical, strlen(canonical));
	add_text(planner, &text, index, mask, false);
}

void sg_plan_make_names(struct sg_planner *planner)
{
	const struct sg_policy *policy = planner->plan->policy;

	planner->status = sg_globset_new(&planner->plan->names);
	for (size_t i = 0; i < policy->rule_count && planner->status == 0; i++) {
		const struct sg_rule *rule = &policy->rules[i];
		uint64_t mask = SG_NAME_BIT(rule->kind);

		if (rule->glob == NULL || rule->kind == SG_RULE_PRIVATE)
			continue;
		planner->status = sg_names_add_rule(planner->plan->names, rule, (uint32_t)i, 0);
		if (planner->status == 0)
			add_alias(planner, rule, i, mask);
		if (planner->status == 0)
			add_literal_target(planner, rule, i, mask);
	}
	if (planner->status == 0)
		planner->status = sg_globset_compile(planner->plan->names);
	if (planner->status == 0)
		planner->status = sg_matcher_new(planner->plan->names, SG_MATCHER_MEMORY_MIN, &planner->matcher);
}
