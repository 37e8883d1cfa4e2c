#include "policy/decide_address.h"

#include <errno.h>

enum { UNPRIVILEGED = 1024 };

static const struct {
	enum sg_rule_kind kind;
	uint32_t class;
} rule_classes[] = {
	{SG_RULE_ALLOW, SG_NET_ALLOW},
	{SG_RULE_DENY_ADDRESS, SG_NET_DENY},
	{SG_RULE_LISTEN, SG_NET_LISTEN},
};

/* Addresses outside that nobody has to know by number. */
static bool opens_any(const struct sg_rule *rule)
{
	return rule->kind == SG_RULE_ALLOW &&
	       (rule->address->kind == SG_HOST_INTERNET || rule->address->kind == SG_HOST_ANY) &&
	       (rule->address->protocols & (SG_PROTOCOL_TCP | SG_PROTOCOL_UDP)) != 0;
}

int sg_address_rules_init(const struct sg_policy *policy, struct sg_address_rules *ret)
{
	struct sg_addressset_builder *builder = sg_addressset_builder_new();
	struct sg_address_rules rules = {.policy = policy,
					 .incoming = sg_policy_has_flag(policy, "incoming"),
					 .resolves = sg_policy_has_flag(policy, "dns")};
	int status = builder == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < SG_ARRAY_SIZE(rule_classes); i++) {
		size_t count;
		const struct sg_rule *of_kind = sg_policy_rules(policy, rule_classes[i].kind, &count);

		for (size_t j = 0; j < count && status == 0; j++) {
			status = sg_addressset_builder_add(builder, of_kind[j].address,
							   (uint32_t)(&of_kind[j] - policy->rules),
							   rule_classes[i].class);
			rules.any |= opens_any(&of_kind[j]);
		}
	}
	if (status == 0)
		status = sg_addressset_build(builder, SG_NET_DENY, &rules.set);
	sg_addressset_builder_free(builder);
	if (status == 0)
		*ret = rules;
	return status;
}

void sg_address_rules_done(struct sg_address_rules *rules)
{
	sg_addressset_free(rules->set);
	*rules = (struct sg_address_rules){0};
}

static const struct sg_rule *rule_of(const struct sg_policy *policy, const struct sg_address_match *match,
				     uint32_t class)
{
	uint32_t index = match->rules[__builtin_ctz(class)];

	return index < policy->rule_count ? &policy->rules[index] : NULL;
}

static enum sg_net_where allow(struct sg_decision *decision, enum sg_net_where where, const struct sg_rule *rule,
			       const char *reason)
{
	*decision = (struct sg_decision){.verdict = SG_VERDICT_ALLOW, .rule = rule, .reason = reason};
	return where;
}

static enum sg_net_where refuse(struct sg_decision *decision, int error, const struct sg_rule *rule, const char *reason)
{
	*decision = (struct sg_decision){.verdict = SG_VERDICT_DENY, .error = error, .rule = rule, .reason = reason};
	return SG_NET_REFUSED;
}

static enum sg_net_where decide_bind(const struct sg_address_rules *rules, const struct sg_address *address,
				     unsigned int classes, const struct sg_address_match *match,
				     struct sg_decision *decision)
{
	if ((match->classes & SG_NET_DENY) != 0)
		return refuse(decision, EACCES, rule_of(rules->policy, match, SG_NET_DENY), "a rule denies it");
	if ((match->classes & SG_NET_LISTEN) != 0)
		return allow(decision, SG_NET_OUTSIDE, rule_of(rules->policy, match, SG_NET_LISTEN),
			     "a rule allows it");
	if (rules->incoming && address->port >= UNPRIVILEGED && address->protocol != SG_PROTOCOL_ICMP &&
	    (address->wildcard || (classes & SG_CLASS_OWN) != 0))
		return allow(decision, SG_NET_OUTSIDE, sg_policy_find(rules->policy, SG_RULE_FLAG, "incoming"),
			     "the flag incoming allows it");
	/* The world's own network says whether it has that address. */
	return allow(decision, SG_NET_OWN, NULL, "it is the world's own");
}

enum sg_net_where sg_decide_address(const struct sg_address_rules *rules, const struct sg_address *address,
				    enum sg_address_use use, const uint32_t *names, size_t name_count,
				    const struct sg_address_environment *environment, struct sg_decision *ret)
{
	const unsigned int classes = sg_address_classes(address, environment);
	struct sg_address_match match;

	sg_addressset_match(rules->set, address, names, name_count, environment, &match);
	if (use == SG_ADDRESS_BIND)
		return decide_bind(rules, address, classes, &match, ret);
	if ((match.classes & SG_NET_DENY) != 0)
		return refuse(ret, EACCES, rule_of(rules->policy, &match, SG_NET_DENY), "a rule denies it");
	if ((match.classes & SG_NET_ALLOW) != 0)
		return allow(ret, SG_NET_OUTSIDE, rule_of(rules->policy, &match, SG_NET_ALLOW), "a rule allows it");
	if (address->family == AF_UNIX)
		return allow(ret, SG_NET_OWN, NULL, "abstract names are the world's own");
	if ((classes & SG_CLASS_LOOPBACK) == 0)
		return refuse(ret, ENETUNREACH, NULL, "no rule allows this address");
	return allow(ret, SG_NET_OWN, NULL, "it is the world's own");
}

enum sg_lookup_verdict sg_decide_lookup(const struct sg_addressset *set, uint32_t allow_classes, bool any,
					const uint32_t *ids, size_t id_count, uint32_t *ret_rule)
{
	struct sg_addressset_lookup lookup;

	sg_addressset_lookup(set, ids, id_count, allow_classes, &lookup);
	*ret_rule = lookup.open ? lookup.allow_rule : lookup.refused ? lookup.refuse_rule : UINT32_MAX;
	if (lookup.open)
		return SG_LOOKUP_ALLOWED;
	if (lookup.refused)
		return SG_LOOKUP_DENIED;
	return any ? SG_LOOKUP_ALLOWED : SG_LOOKUP_UNNAMED;
}

/* What decides about a socket's path, the strongest first. */
static const struct {
	uint64_t mask;
	enum sg_verdict verdict;
	int error;
	const char *reason;
} socket_rules[] = {
	{SG_NAME_BIT(SG_RULE_HIDE), SG_VERDICT_HIDE, ENOENT, "it is hidden"},
	{SG_NAME_BIT(SG_RULE_DENY_ADDRESS) | SG_NAME_BIT(SG_RULE_DENY) | SG_NAME_BIT(SG_RULE_DENY_WRITE),
	 SG_VERDICT_DENY, EACCES, "a rule denies it"},
	{SG_NAME_BIT(SG_RULE_ALLOW), SG_VERDICT_ALLOW, 0, "a rule allows it"},
};

bool sg_decide_socket_allows(uint64_t mask)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(socket_rules); i++)
		if ((mask & socket_rules[i].mask) != 0)
			return socket_rules[i].verdict == SG_VERDICT_ALLOW;
	return false;
}

void sg_decide_socket(const struct sg_policy *policy, struct sg_matcher *names, const char *name, size_t length,
		      struct sg_decision *ret)
{
	struct sg_match match = {0};
	uint32_t rule;

	*ret = (struct sg_decision){
		.verdict = SG_VERDICT_DENY, .error = EACCES, .reason = "no rule allows this socket of the host"};
	if (sg_matcher_match(names, name, length, &match) < 0)
		return;
	for (size_t i = 0; i < SG_ARRAY_SIZE(socket_rules); i++) {
		const uint64_t mask = match.mask & socket_rules[i].mask;

		if (mask == 0)
			continue;
		*ret = (struct sg_decision){.verdict = socket_rules[i].verdict,
					    .error = socket_rules[i].error,
					    .reason = socket_rules[i].reason};
		if (sg_matcher_rules(names, mask, &rule, 1) == 1 && rule < policy->rule_count)
			ret->rule = &policy->rules[rule];
		return;
	}
}
