#include "network/namerules.h"

#include "policy/decide_address.h"

static const enum sg_resolver_decision decisions[] = {
	[SG_LOOKUP_UNNAMED] = SG_RESOLVER_UNNAMED,
	[SG_LOOKUP_ALLOWED] = SG_RESOLVER_ALLOWED,
	[SG_LOOKUP_DENIED] = SG_RESOLVER_DENIED,
};

static int decide(void *data, const struct sg_resolver_question *question, struct sg_resolver_verdict *ret)
{
	const struct sg_namerules *rules = data;

	ret->id_count = sg_addressset_names(rules->set, &question->name, ret->ids);
	ret->decision =
		decisions[sg_decide_lookup(rules->set, rules->allow, rules->any, ret->ids, ret->id_count, &ret->rule)];
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
