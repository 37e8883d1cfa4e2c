#include "policy/decide.h"

#include <errno.h>

static const struct sg_rule *first_rule(const struct sg_policy *policy, const struct sg_matcher *names, uint64_t mask)
{
	uint32_t rule;

	if (mask == 0 || sg_matcher_rules(names, mask, &rule, 1) == 0 || rule >= policy->rule_count)
		return NULL;
	return &policy->rules[rule];
}

/* What refuses each access, and what allows it. */
static const struct {
	unsigned int access;
	uint64_t refuse, allow;
	const char *refused;
} accesses[] = {
	{SG_ACCESS_READ, SG_NAME_BIT(SG_RULE_DENY) | SG_NAME_BIT(SG_RULE_DENY_READ), SG_NAMES_ALLOW | SG_NAME_LIST,
	 "no rule allows reading it"},
	{SG_ACCESS_WRITE, SG_NAME_BIT(SG_RULE_DENY) | SG_NAME_BIT(SG_RULE_DENY_WRITE), SG_NAME_BIT(SG_RULE_WRITE),
	 "no rule allows writing it"},
	{SG_ACCESS_CHANGE, SG_NAME_BIT(SG_RULE_DENY) | SG_NAME_BIT(SG_RULE_DENY_WRITE), SG_NAME_BIT(SG_RULE_WRITE),
	 "no rule allows changing it"},
	{SG_ACCESS_EXECUTE, SG_NAME_BIT(SG_RULE_DENY) | SG_NAME_BIT(SG_RULE_DENY_EXECUTE), SG_NAME_BIT(SG_RULE_EXECUTE),
	 "no rule allows executing it"},
};

/* What denies, by the kind of the rule. */
static const char *const denied[SG_RULE_KINDS] = {
	[SG_RULE_DENY] = "Deny names it",
	[SG_RULE_DENY_READ] = "DenyRead names it",
	[SG_RULE_DENY_WRITE] = "DenyWrite names it",
	[SG_RULE_DENY_EXECUTE] = "DenyExec names it",
};

/* What allows less than was asked; the most telling kind first. */
static const struct {
	enum sg_rule_kind kind;
	const char *reason;
} lesser[] = {
	{SG_RULE_WRITE, "ReadWrite only"},
	{SG_RULE_READ, "ReadOnly only"},
	{SG_RULE_EXECUTE, "Exec only"},
	{SG_RULE_MAP, "Map only"},
};

static void explain_lesser(const struct sg_policy *policy, const struct sg_matcher *names, uint64_t mask,
			   struct sg_decision *ret)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(lesser); i++) {
		if ((mask & SG_NAME_BIT(lesser[i].kind)) == 0)
			continue;
		ret->rule = first_rule(policy, names, SG_NAME_BIT(lesser[i].kind));
		ret->reason = lesser[i].reason;
		return;
	}
}

static bool decide_access(const struct sg_policy *policy, const struct sg_matcher *names, uint64_t mask, size_t row,
			  bool own, struct sg_decision *ret)
{
	const unsigned int access = accesses[row].access;

	if ((mask & accesses[row].refuse) != 0) {
		ret->rule = first_rule(policy, names, mask & accesses[row].refuse);
		ret->reason = ret->rule != NULL ? denied[ret->rule->kind] : "a rule denies it";
		ret->error = EACCES;
		ret->access = (enum sg_access)access;
		return false;
	}
	if ((mask & accesses[row].allow) != 0) {
		if (ret->rule == NULL)
			ret->rule = first_rule(policy, names, mask & accesses[row].allow & ~SG_NAME_LIST);
		return true;
	}
	if (own && access != SG_ACCESS_EXECUTE)
		return true;
	ret->rule = NULL;
	ret->reason = accesses[row].refused;
	ret->access = (enum sg_access)access;
	explain_lesser(policy, names, mask, ret);
	/* What programs expect of a read-only file system; they try another way then. */
	ret->error =
		(access & (SG_ACCESS_WRITE | SG_ACCESS_CHANGE)) != 0 && (mask & SG_NAMES_ALLOW) != 0 ? EROFS : EACCES;
	return false;
}

unsigned int sg_decide_accesses(uint64_t mask, bool own)
{
	unsigned int allowed = 0;

	if ((mask & SG_NAME_BIT(SG_RULE_HIDE)) != 0)
		return 0;
	for (size_t i = 0; i < SG_ARRAY_SIZE(accesses); i++)
		if ((mask & accesses[i].refuse) == 0 &&
		    ((mask & accesses[i].allow) != 0 || (own && accesses[i].access != SG_ACCESS_EXECUTE)))
			allowed |= accesses[i].access;
	return allowed;
}

void sg_decide(const struct sg_policy *policy, struct sg_matcher *names, const char *name, size_t length,
	       unsigned int access, bool own, struct sg_decision *ret)
{
	const uint64_t reads = SG_NAME_BIT(SG_RULE_LOG_READ), writes = SG_NAME_BIT(SG_RULE_LOG_WRITE);
	struct sg_match match;

	*ret = (struct sg_decision){.verdict = SG_VERDICT_DENY,
				    .error = EACCES,
				    .reason = "it has no name that a rule could match",
				    .access = (enum sg_access)access};
	if (access == 0 || sg_matcher_match(names, name, length, &match) < 0)
		return;
	ret->record = ((match.mask & reads) != 0 && (access & (SG_ACCESS_READ | SG_ACCESS_EXECUTE)) != 0) ||
		      ((match.mask & writes) != 0 && (access & (SG_ACCESS_WRITE | SG_ACCESS_CHANGE)) != 0);
	if ((match.mask & SG_NAME_BIT(SG_RULE_HIDE)) != 0) {
		ret->verdict = SG_VERDICT_HIDE;
		ret->rule = first_rule(policy, names, SG_NAME_BIT(SG_RULE_HIDE));
		ret->reason = "it is hidden";
		ret->error = (access & SG_ACCESS_CHANGE) != 0 ? EACCES : ENOENT;
		return;
	}
	for (size_t i = 0; i < SG_ARRAY_SIZE(accesses); i++)
		if ((access & accesses[i].access) != 0 && !decide_access(policy, names, match.mask, i, own, ret))
			return;
	ret->verdict = SG_VERDICT_ALLOW;
	ret->access = (enum sg_access)access;
	ret->reason = ret->rule != NULL ? "a rule allows it" : "it is the world's own";
	ret->error = 0;
}

bool sg_decide_hides(struct sg_matcher *names, const char *name, size_t length, uint32_t *ret_rule)
{
	const uint64_t hide = SG_NAME_BIT(SG_RULE_HIDE);
	struct sg_match match;

	for (size_t end = 1; end <= length; end++) {
		if (end != length && name[end - 1] != '/')
			continue;
		if (sg_matcher_match(names, name, end, &match) < 0 || (match.mask & hide) == 0)
			continue;
		if (sg_matcher_rules(names, hide, ret_rule, 1) == 0)
			*ret_rule = UINT32_MAX;
		return true;
	}
	return false;
}

void sg_decide_move(const struct sg_policy *policy, struct sg_matcher *names, const char *from, size_t from_length,
		    const char *to, size_t to_length, struct sg_decision *ret)
{
	const uint64_t logs = SG_NAME_BIT(SG_RULE_LOG_READ) | SG_NAME_BIT(SG_RULE_LOG_WRITE);
	struct sg_match_below below;

	(void)policy;
	*ret = (struct sg_decision){.verdict = SG_VERDICT_ALLOW, .reason = "the same rules hold below both names"};
	/* Where nothing below the old name is refused or recorded, and all of it may be read and written, nothing is gained. */
	if (sg_matcher_below(names, from, from_length, &below) == 0 && (below.may & (SG_NAMES_REFUSE | logs)) == 0 &&
	    (below.all & SG_NAME_BIT(SG_RULE_WRITE)) != 0 &&
	    ((below.all & SG_NAME_BIT(SG_RULE_EXECUTE)) != 0 ||
	     sg_matcher_same_below(names, from, from_length, to, to_length, SG_NAME_BIT(SG_RULE_EXECUTE))))
		return;
	if (sg_matcher_same_below(names, from, from_length, to, to_length, SG_NAMES_ALLOW | SG_NAMES_REFUSE | logs))
		return;
	*ret = (struct sg_decision){.verdict = SG_VERDICT_DENY,
				    .error = EACCES,
				    .reason = "other rules would hold for what lies in the folder under its new name"};
}
