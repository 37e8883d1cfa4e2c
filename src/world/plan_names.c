/*
 * The set of names of a policy on this host: the globs of the policy, and for a glob whose literal prefix is a symbolic
 * link here, the same glob behind what the link leads to. Names are decided after links are resolved.
 */
#include <string.h>

#include "policy/names.h"
#include "world/plan_internal.h"

static void add_text(struct sg_planner *planner, const char *text, size_t length, size_t rule, uint64_t mask)
{
	SG_AUTO_GLOB struct sg_glob *glob = NULL;
	int status = sg_glob_parse(text, length, NULL, &glob);

	if (status == 0)
		status = sg_globset_add(planner->plan->names, glob, (uint32_t)rule, mask);
	if (status < 0)
		planner->status = status;
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
	SG_AUTO_GLOB struct sg_glob *glob = NULL;
	size_t folder, offset = sg_names_folder(rule->glob, &folder), length;
	const char *whole = sg_glob_text(rule->glob, &length), *canonical, *kept;
	int status;

	if (folder <= 1)
		return;
	kept = sg_plan_keep(planner, sg_glob_prefix(rule->glob, &(size_t){0}), folder - 1);
	if (kept == NULL || find_target(planner, kept, mask, &canonical) != 0 || strcmp(canonical, kept) == 0)
		return;
	if (strcmp(canonical, "/") != 0)
		sg_glob_quote(&text, canonical, strlen(canonical));
	sg_buffer_append_byte(&text, '/');
	sg_buffer_append(&text, whole + offset, length - offset);
	status = sg_buffer_status(&text);
	if (status == 0)
		status = sg_glob_parse(text.data, text.size, NULL, &glob);
	if (status < 0) {
		planner->status = status;
		return;
	}
	planner->status = sg_names_add_glob(planner->plan->names, glob, (uint32_t)index, mask);
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
	if (sg_buffer_status(&text) < 0)
		planner->status = sg_buffer_status(&text);
	else
		add_text(planner, text.data, text.size, index, mask);
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
