/* What two policies differ in but for names of files and addresses: flags, calls, capabilities, limits, environment, all else. */
#include <errno.h>
#include <string.h>

#include "policy/difference_internal.h"
#include "policy/explain.h"
#include "tables/capabilities.h"
#include "tables/flags.h"

/* The rule that gives the name under a policy, and the one that refuses it. */
struct given {
	const struct sg_rule *by, *denied;
};

static bool is_given(const struct given *given)
{
	return given->by != NULL && given->denied == NULL;
}

/* What came with a flag is told by the flag, where that is told: given by one policy and not by the other. */
static bool is_told_by_flag(const struct sg_comparison *comparison, enum sg_direction direction,
			    const struct sg_rule *rule)
{
	const struct sg_differences *list = &comparison->list;

	if (rule == NULL || rule->flag == NULL)
		return false;
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].direction == direction && strcmp(list->items[i].what, "flag") == 0 &&
		    strcmp(list->items[i].example, rule->flag) == 0)
			return true;
	return false;
}

/* Notes that a name is given by one policy and not by the other. */
static int compare_given(struct sg_comparison *comparison, const char *what, const char *name,
			 const struct given given[SG_SIDES])
{
	const bool was = is_given(&given[0]), is = is_given(&given[1]);

	if (was == is || (strcmp(what, "flag") != 0 &&
			  is_told_by_flag(comparison, is ? SG_DIRECTION_GIVES : SG_DIRECTION_TAKES, given[is].by)))
		return 0;
	return sg_difference_add_value(comparison, is ? SG_DIRECTION_GIVES : SG_DIRECTION_TAKES, what, name, NULL, NULL,
				       given[0].denied != NULL ? given[0].denied : given[0].by,
				       given[1].denied != NULL ? given[1].denied : given[1].by);
}

/* Rules that give by name, those that refuse, and the words for it. */
static const struct {
	enum sg_rule_kind give, deny;
	const char *what;
} named[] = {
	{SG_RULE_FLAG, SG_RULE_DENY_FLAG, "flag"},
	{SG_RULE_SYSCALL, SG_RULE_DENY_SYSCALL, "system call"},
};

/* A flag of a profile's own has no authority but that of the rules that came with it. */
static bool counts(enum sg_rule_kind kind, const char *name)
{
	return kind != SG_RULE_FLAG || sg_flag_find(name, strlen(name)) != SG_FLAG_NONE_;
}

static int compare_named(struct sg_comparison *comparison, size_t row)
{
	int status = 0;

	for (int side = 0; side < SG_SIDES && status == 0; side++) {
		size_t count;
		const struct sg_rule *rules = sg_policy_rules(comparison->policy[side], named[row].give, &count);

		for (size_t i = 0; i < count && status == 0; i++) {
			struct given given[SG_SIDES];

			if (!counts(named[row].give, rules[i].text) ||
			    (side == 1 &&
			     sg_policy_find(comparison->policy[0], named[row].give, rules[i].text) != NULL))
				continue;
			for (int s = 0; s < SG_SIDES; s++)
				given[s] = (struct given){
					sg_policy_find(comparison->policy[s], named[row].give, rules[i].text),
					sg_policy_find(comparison->policy[s], named[row].deny, rules[i].text)};
			status = compare_given(comparison, named[row].what, rules[i].text, given);
		}
	}
	return status;
}

static struct given find_capability(const struct sg_policy *policy, int number)
{
	static const enum sg_rule_kind kinds[] = {SG_RULE_CAPABILITY, SG_RULE_DENY_CAPABILITY};
	const struct sg_rule *found[2] = {NULL, NULL};

	for (size_t k = 0; k < SG_ARRAY_SIZE(kinds); k++) {
		size_t count;
		const struct sg_rule *rules = sg_policy_rules(policy, kinds[k], &count);

		for (size_t i = 0; i < count; i++)
			if (sg_capability_find(rules[i].text) == number)
				found[k] = &rules[i];
	}
	return (struct given){found[0], found[1]};
}

static int compare_capabilities(struct sg_comparison *comparison)
{
	int status = 0;

	for (size_t i = 0; i < sg_capability_count && status == 0; i++) {
		const struct given given[] = {find_capability(comparison->policy[0], (int)i),
					      find_capability(comparison->policy[1], (int)i)};

		status = compare_given(comparison, "capability", sg_capability_names[i], given);
	}
	return status;
}

/* 0 is the caller's own: what that is, is not known, and so more than any number. */
static enum sg_direction direction_of_limit(uint64_t before, uint64_t after)
{
	if (before == 0 || after == 0)
		return after == 0 ? SG_DIRECTION_GIVES : SG_DIRECTION_TAKES;
	return after > before ? SG_DIRECTION_GIVES : SG_DIRECTION_TAKES;
}

static int compare_limit(struct sg_comparison *comparison, const struct sg_limit_info *limit)
{
	struct sg_buffer text[SG_SIDES] = {SG_BUFFER_INIT, SG_BUFFER_INIT};
	uint64_t values[SG_SIDES];
	int status = 0;

	for (int side = 0; side < SG_SIDES; side++)
		values[side] = sg_policy_limit(comparison->policy[side], limit->name, NULL);
	if (values[0] == values[1])
		return 0;
	for (int side = 0; side < SG_SIDES; side++) {
		if (values[side] == 0)
			sg_buffer_append_text(&text[side], "the caller's");
		else
			sg_explain_limit_value(limit->unit, values[side], &text[side]);
		status = sg_buffer_status(&text[side]) < 0 ? -ENOMEM : status;
	}
	if (status == 0)
		status = sg_difference_add_value(comparison, direction_of_limit(values[0], values[1]), "limit",
						 limit->name, text[0].data, text[1].data,
						 sg_policy_find(comparison->policy[0], SG_RULE_LIMIT, limit->name),
						 sg_policy_find(comparison->policy[1], SG_RULE_LIMIT, limit->name));
	for (int side = 0; side < SG_SIDES; side++)
		sg_buffer_done(&text[side]);
	return status;
}

/* The variable of that name under a policy. */
static const struct sg_rule *find_variable(const struct sg_policy *policy, const char *name, size_t length)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_ENVIRONMENT, &count);

	for (size_t i = 0; i < count; i++)
		if (strcspn(rules[i].text, "=") == length && strncmp(rules[i].text, name, length) == 0)
			return &rules[i];
	return NULL;
}

static int compare_variable(struct sg_comparison *comparison, const struct sg_rule *rule)
{
	const size_t length = strcspn(rule->text, "=");
	SG_AUTO_FREE char *name = strndup(rule->text, length);
	const struct sg_rule *was = find_variable(comparison->policy[0], rule->text, length),
			     *becomes = find_variable(comparison->policy[1], rule->text, length);

	if (name == NULL)
		return -ENOMEM;
	if (was != NULL && becomes != NULL && strcmp(was->text, becomes->text) == 0)
		return 0;
	/* The value that a profile sets is the profile's; one that passes is the caller's. */
	return sg_difference_add_value(comparison,
				       was == NULL       ? SG_DIRECTION_GIVES
				       : becomes == NULL ? SG_DIRECTION_TAKES
							 : SG_DIRECTION_CHANGES,
				       "variable", name, was != NULL ? was->text : NULL,
				       becomes != NULL ? becomes->text : NULL, was, becomes);
}

static int compare_environment(struct sg_comparison *comparison)
{
	int status = 0;

	for (int side = 0; side < SG_SIDES && status == 0; side++) {
		size_t count;
		const struct sg_rule *rules = sg_policy_rules(comparison->policy[side], SG_RULE_ENVIRONMENT, &count);

		for (size_t i = 0; i < count && status == 0; i++)
			if (side == 0 ||
			    find_variable(comparison->policy[0], rules[i].text, strcspn(rules[i].text, "=")) == NULL)
				status = compare_variable(comparison, &rules[i]);
	}
	return status;
}

/* All else is a set of texts: what one more of them, and one less, is. */
static const struct {
	enum sg_rule_kind kind;
	enum sg_direction added, removed;
	const char *what;
} texts[] = {
	{SG_RULE_ACCEPT, SG_DIRECTION_GIVES, SG_DIRECTION_TAKES, "runs without the feature"},
	{SG_RULE_BOUND, SG_DIRECTION_TAKES, SG_DIRECTION_GIVES, "bound"},
	{SG_RULE_DIRECTORY, SG_DIRECTION_CHANGES, SG_DIRECTION_CHANGES, "working directory"},
	{SG_RULE_USER, SG_DIRECTION_CHANGES, SG_DIRECTION_CHANGES, "user"},
	{SG_RULE_LABEL, SG_DIRECTION_CHANGES, SG_DIRECTION_CHANGES, "label"},
	{SG_RULE_WALL, SG_DIRECTION_CHANGES, SG_DIRECTION_CHANGES, "wall"},
	{SG_RULE_PRIVILEGED, SG_DIRECTION_GIVES, SG_DIRECTION_TAKES, "privileged"},
};

static int compare_texts(struct sg_comparison *comparison, size_t row)
{
	int status = 0;

	for (int side = 0; side < SG_SIDES && status == 0; side++) {
		size_t count;
		const struct sg_rule *rules = sg_policy_rules(comparison->policy[side], texts[row].kind, &count);

		for (size_t i = 0; i < count && status == 0; i++)
			if (sg_policy_find(comparison->policy[1 - side], texts[row].kind, rules[i].text) == NULL)
				status = sg_difference_add_value(
					comparison, side == 1 ? texts[row].added : texts[row].removed, texts[row].what,
					rules[i].text, NULL, NULL, side == 0 ? &rules[i] : NULL,
					side == 1 ? &rules[i] : NULL);
	}
	return status;
}

int sg_difference_process(struct sg_comparison *comparison)
{
	int status = 0;

	for (size_t i = 0; i < SG_ARRAY_SIZE(named) && status == 0; i++)
		status = compare_named(comparison, i);
	if (status == 0)
		status = compare_capabilities(comparison);
	for (size_t i = 0; i < sg_limit_count && status == 0; i++)
		status = compare_limit(comparison, &sg_limit_infos[i]);
	if (status == 0)
		status = compare_environment(comparison);
	for (size_t i = 0; i < SG_ARRAY_SIZE(texts) && status == 0; i++)
		status = compare_texts(comparison, i);
	return status;
}
