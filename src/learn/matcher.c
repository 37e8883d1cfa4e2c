#include "learn/matcher.h"

#include <errno.h>
#include <string.h>

#include "policy/decide.h"

enum { KINDS = 48 }; /* bits from here on are no kinds of rules (policy/decide.h) */

static int add_text(struct sg_learn_matcher *matcher, const char *text, size_t length, uint32_t rule, uint64_t mask)
{
	SG_AUTO_GLOB struct sg_glob *glob = NULL;
	int status = sg_glob_parse(text, length, NULL, &glob);

	return status == 0 ? sg_globset_add(matcher->set, glob, rule, mask) : status;
}

/* The folder of a tree may be listed. */
static int add_folder(struct sg_learn_matcher *matcher, const struct sg_rule *rule, uint32_t index)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	size_t length;
	const char *prefix = sg_glob_prefix(rule->glob, &length);

	if (!sg_glob_is_tree(rule->glob) || (SG_NAME_BIT(rule->kind) & SG_NAMES_ALLOW) == 0)
		return 0;
	sg_glob_quote(&text, prefix, length);
	return sg_buffer_status(&text) < 0 ? -ENOMEM : add_text(matcher, text.data, text.size, index, SG_NAME_LIST);
}

int sg_learn_matcher_init(struct sg_learn_matcher *matcher, const struct sg_policy *policy)
{
	int status = sg_globset_new(&matcher->set);

	for (size_t i = 0; status == 0 && i < policy->rule_count; i++) {
		const struct sg_rule *rule = &policy->rules[i];

		if (rule->glob == NULL || (int)rule->kind >= KINDS)
			continue;
		status = sg_globset_add(matcher->set, rule->glob, (uint32_t)i, SG_NAME_BIT(rule->kind));
		if (status == 0)
			status = add_folder(matcher, rule, (uint32_t)i);
	}
	if (status == 0)
		status = sg_globset_compile(matcher->set);
	return status == 0 ? sg_matcher_new(matcher->set, SG_MATCHER_MEMORY_MIN, &matcher->matcher) : status;
}

void sg_learn_matcher_done(struct sg_learn_matcher *matcher)
{
	sg_matcher_free(matcher->matcher);
	sg_globset_free(matcher->set);
	*matcher = (struct sg_learn_matcher){0};
}

static uint64_t match(struct sg_learn_matcher *matcher, const char *name)
{
	struct sg_match found;

	return sg_matcher_match(matcher->matcher, name, strlen(name), &found) == 0 ? found.mask : 0;
}

bool sg_learn_matcher_gives(struct sg_learn_matcher *matcher, const char *name, unsigned int access)
{
	static const struct {
		unsigned int access;
		uint64_t kinds;
	} needs[] = {
		{SG_ACCESS_READ, SG_NAMES_ALLOW | SG_NAME_LIST},
		{SG_ACCESS_WRITE | SG_ACCESS_CHANGE, SG_NAME_BIT(SG_RULE_WRITE)},
		{SG_ACCESS_EXECUTE, SG_NAME_BIT(SG_RULE_EXECUTE)},
	};
	const uint64_t found = match(matcher, name);

	for (size_t i = 0; i < SG_ARRAY_SIZE(needs); i++)
		if ((access & needs[i].access) != 0 && (found & needs[i].kinds) == 0)
			return false;
	return true;
}

bool sg_learn_matcher_refuses(struct sg_learn_matcher *matcher, const char *name, unsigned int access)
{
	const uint64_t found = match(matcher, name);

	return (found & (SG_NAME_BIT(SG_RULE_DENY) | SG_NAME_BIT(SG_RULE_HIDE))) != 0 ||
	       ((access & SG_ACCESS_READ) != 0 && (found & SG_NAME_BIT(SG_RULE_DENY_READ)) != 0) ||
	       ((access & (SG_ACCESS_WRITE | SG_ACCESS_CHANGE)) != 0 &&
		(found & SG_NAME_BIT(SG_RULE_DENY_WRITE)) != 0) ||
	       ((access & SG_ACCESS_EXECUTE) != 0 && (found & SG_NAME_BIT(SG_RULE_DENY_EXECUTE)) != 0);
}
