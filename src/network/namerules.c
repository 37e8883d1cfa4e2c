#include "network/namerules.h"

static int decide(void *data, const struct sg_resolver_question *question, struct sg_resolver_verdict *ret)
{
	const struct sg_namerules *rules = data;
	struct sg_addressset_lookup lookup;

	ret->id_count = sg_addressset_names(rules->set, &question->name, ret->ids);
	sg_addressset_lookup(rules->set, ret->ids, ret->id_count, rules->allow, &lookup);
	ret->rule = UINT32_MAX;
	if (lookup.open) {
		ret->decision = SG_RESOLVER_ALLOWED;
		ret->rule = lookup.allow_rule;
	} else if (lookup.refused) {
		ret->decision = SG_RESOLVER_DENIED;
		ret->rule = lookup.refuse_rule;
	} else {
		ret->decision = rules->any ? SG_RESOLVER_ALLOWED : SG_RESOLVER_UNNAMED;
	}
	return 0;
}

static bool names_address(void *data, const struct sg_address *address)
{
	const struct sg_namerules *rules = data;

	return sg_addressset_names_address(rules->set, address, rules->allow);
}

static const struct sg_address_environment *environment(void *data)
{
	return ((const struct sg_namerules *)data)->environment;
}

void sg_namerules_policy(const struct sg_namerules *rules, struct sg_resolver_policy *policy)
{
	policy->data = (void *)(uintptr_t)rules;
	policy->decide = decide;
	policy->names_address = names_address;
	policy->environment = environment;
}
