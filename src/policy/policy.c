#include "policy/policy.h"

#include <sodium/utils.h>
#include <string.h>

#include "policy/addresspattern.h"

void sg_rule_done(struct sg_rule *rule)
{
	sg_glob_free(rule->glob);
	free(rule->owned_text);
	if (rule->address != NULL)
		sg_addresspattern_done(rule->address);
	free(rule->address);
}

void sg_policy_free(struct sg_policy *policy)
{
	if (policy == NULL)
		return;
	for (size_t i = 0; i < policy->rule_count; i++)
		sg_rule_done(&policy->rules[i]);
	for (size_t i = 0; i < policy->profile_count; i++)
		sg_profile_free(policy->profiles[i]);
	free(policy->profiles);
	free(policy->rules);
	free(policy->name);
	free(policy->files);
	free(policy);
}

const struct sg_rule *sg_policy_rules(const struct sg_policy *policy, enum sg_rule_kind kind, size_t *ret_count)
{
	*ret_count = policy->first[kind + 1] - policy->first[kind];
	return &policy->rules[policy->first[kind]];
}

const struct sg_rule *sg_policy_find(const struct sg_policy *policy, enum sg_rule_kind kind, const char *text)
{
	size_t low = policy->first[kind], high = policy->first[kind + 1];

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(policy->rules[middle].text, text);

		if (order == 0)
			return &policy->rules[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

bool sg_policy_has_flag(const struct sg_policy *policy, const char *name)
{
	return sg_policy_find(policy, SG_RULE_FLAG, name) != NULL &&
	       sg_policy_find(policy, SG_RULE_DENY_FLAG, name) == NULL;
}

uint64_t sg_policy_limit(const struct sg_policy *policy, const char *name, bool *ret_explicit)
{
	const struct sg_rule *rule = sg_policy_find(policy, SG_RULE_LIMIT, name);

	if (ret_explicit != NULL)
		*ret_explicit = rule != NULL;
	if (rule != NULL)
		return rule->number;
	for (size_t i = 0; i < sg_limit_count; i++)
		if (strcmp(sg_limit_infos[i].name, name) == 0)
			return sg_limit_infos[i].default_value;
	return 0;
}

bool sg_policy_means_together(enum sg_rule_kind kind)
{
	return kind == SG_RULE_LABEL || kind == SG_RULE_WALL || kind == SG_RULE_PRIVILEGED;
}

bool sg_policy_is_builtin(const struct sg_profile *profile)
{
	return profile->source->name[0] != '/' && strncmp(profile->source->name, "flags/", 6) == 0;
}

void sg_policy_hash_text(const struct sg_policy *policy, char *out)
{
	(void)sodium_bin2hex(out, 2 * SG_POLICY_HASH_SIZE + 1, policy->hash, SG_POLICY_HASH_SIZE);
}
