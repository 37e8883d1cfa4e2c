#include "world/grants.h"

#include <string.h>
#include <strings.h>

#include "policy/addresspattern.h"
#include "tables/capabilities.h"

void sg_grants_find(const struct sg_policy *policy, struct sg_filter_grants *ret)
{
	const struct sg_rule *rules;
	size_t count;

	memset(ret, 0, sizeof(*ret));
	rules = sg_policy_rules(policy, SG_RULE_SYSCALL, &count);
	for (size_t i = 0; i < count; i++) {
		const struct sg_syscall *call = sg_syscall_by_name(rules[i].text, strlen(rules[i].text));

		if (call != NULL && sg_policy_find(policy, SG_RULE_DENY_SYSCALL, rules[i].text) == NULL)
			sg_syscall_set_add(&ret->calls, call->number);
	}
	rules = sg_policy_rules(policy, SG_RULE_FLAG, &count);
	for (size_t i = 0; i < count; i++) {
		enum sg_flag flag = sg_flag_find(rules[i].text, strlen(rules[i].text));

		if (flag != SG_FLAG_NONE_ && sg_policy_find(policy, SG_RULE_DENY_FLAG, rules[i].text) == NULL)
			sg_flag_set_add(&ret->flags, flag);
	}
}

/* Which kinds of sockets of the host's network a world of this policy can hold. */
struct outside {
	bool any; /* one that could be made to listen */
	bool listeners;
	bool messages; /* one whose messages carry addresses: datagrams, unix sockets */
};

static struct outside find_outside(const struct sg_policy *policy)
{
	const uint8_t datagrams = SG_PROTOCOL_UDP | SG_PROTOCOL_ICMP | SG_PROTOCOL_UNIX;
	struct outside outside = {.listeners = sg_policy_has_flag(policy, "incoming"),
				  .messages = sg_policy_has_flag(policy, "unix")};
	const struct sg_rule *rules;
	size_t count;

	rules = sg_policy_rules(policy, SG_RULE_LISTEN, &count);
	outside.listeners |= count > 0;
	for (size_t i = 0; i < count; i++)
		outside.messages |= (rules[i].address->protocols & datagrams) != 0;
	rules = sg_policy_rules(policy, SG_RULE_ALLOW, &count);
	outside.any = count > 0 || outside.listeners;
	for (size_t i = 0; i < count; i++)
		outside.messages |= (rules[i].address->protocols & datagrams) != 0;
	outside.messages |= sg_policy_has_flag(policy, "incoming");
	return outside;
}

/* 1 byte is none (world/init.c). */
static bool gives_cores(const struct sg_policy *policy)
{
	const struct sg_rule *limit = sg_policy_find(policy, SG_RULE_LIMIT, "CoreSize");

	return limit != NULL && limit->number > 1;
}

void sg_grants_plan(const struct sg_plan *plan, struct sg_filter_plan *ret)
{
	const struct outside outside = find_outside(plan->policy);

	*ret = (struct sg_filter_plan){
		.opens = plan->decide_reads ? SG_FILTER_OPENS_ALL : SG_FILTER_OPENS_WRITING,
		.looks = plan->decide_looks ? SG_FILTER_NOTIFIED : SG_FILTER_NATIVE,
		.details = plan->decide_details ? SG_FILTER_NOTIFIED : SG_FILTER_NATIVE,
		.changes = plan->decide_changes ? SG_FILTER_NOTIFIED : SG_FILTER_NATIVE,
		.fd_changes = plan->decide_changes ? SG_FILTER_NOTIFIED : SG_FILTER_NATIVE,
		.messages = outside.messages ? SG_FILTER_NOTIFIED : SG_FILTER_NATIVE,
		.listens = outside.any ? SG_FILTER_NOTIFIED : SG_FILTER_NATIVE,
		.accepts = outside.listeners ? SG_FILTER_NOTIFIED : SG_FILTER_NATIVE,
		.notify_refusals = true,
		.cores_off = !gives_cores(plan->policy),
		.first_exec = true,
	};
}

uint64_t sg_grants_capabilities(const struct sg_policy *policy)
{
	const struct sg_rule *rules;
	uint64_t mask = 0;
	size_t count;

	rules = sg_policy_rules(policy, SG_RULE_CAPABILITY, &count);
	for (size_t i = 0; i < count; i++)
		if (sg_capability_find(rules[i].text) >= 0)
			mask |= UINT64_C(1) << sg_capability_find(rules[i].text);
	rules = sg_policy_rules(policy, SG_RULE_DENY_CAPABILITY, &count);
	for (size_t i = 0; i < count; i++)
		if (sg_capability_find(rules[i].text) >= 0)
			mask &= ~(UINT64_C(1) << sg_capability_find(rules[i].text));
	return mask;
}
