#include "learn/bounds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "learn/matcher.h"

struct sg_learn_bounds {
	const struct sg_policy *policy;
	struct sg_learn_matcher names;
	struct sg_asker *asker;
};

int sg_learn_bounds_new(struct sg_policy *policy, const struct sg_variables *variables, struct sg_learn_bounds **ret)
{
	static const char *const none[] = {NULL};
	/* Of this host's addresses nothing is said: what refuses by `internet` and `host` then refuses every address. */
	const struct sg_ask_context context = {.variables = variables, .passed = none, .set = none};
	struct sg_learn_bounds *bounds = calloc(1, sizeof(*bounds));
	int status = bounds == NULL ? -ENOMEM : sg_learn_matcher_init(&bounds->names, policy);

	if (status == 0)
		status = sg_asker_new(policy, &context, &bounds->asker);
	if (status < 0) {
		sg_learn_bounds_free(bounds);
		return status;
	}
	bounds->policy = policy;
	*ret = bounds;
	return 0;
}

void sg_learn_bounds_free(struct sg_learn_bounds *bounds)
{
	if (bounds == NULL)
		return;
	sg_asker_free(bounds->asker);
	sg_learn_matcher_done(&bounds->names);
	free(bounds);
}

static bool gives_address(struct sg_learn_bounds *bounds, const struct sg_used *refused)
{
	const enum sg_action action = (refused->how & SG_USED_LISTENED) != 0 ? SG_ACTION_LISTEN : SG_ACTION_CONNECT;
	SG_AUTO_BUFFER struct sg_buffer object = SG_BUFFER_INIT;
	SG_AUTO_ANSWER struct sg_answer answer = {0};
	struct sg_ask_problem problem;

	/* A path is that of a socket. What would be taken for a variable is not asked about. */
	sg_buffer_printf(&object, "%s%s", refused->name[0] == '/' ? "unix:" : "", refused->name);
	return sg_buffer_status(&object) == 0 && strstr(object.data, "${") == NULL &&
	       sg_ask(bounds->asker, action, object.data, &answer, &problem) == 0 && sg_outcome_may(answer.outcome);
}

bool sg_learn_bounds_give(struct sg_learn_bounds *bounds, const struct sg_used *refused)
{
	if (refused->access == 0)
		return gives_address(bounds, refused);
	return sg_learn_matcher_gives(&bounds->names, refused->name, refused->access) &&
	       !sg_learn_matcher_refuses(&bounds->names, refused->name, refused->access);
}

bool sg_learn_bounds_give_flag(const struct sg_learn_bounds *bounds, const char *name)
{
	size_t count;
	const struct sg_rule *denied = sg_policy_rules(bounds->policy, SG_RULE_DENY_FLAG, &count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(denied[i].text, name) == 0)
			return false;
	return sg_policy_has_flag(bounds->policy, name);
}

/* --- refusals --- */

static const struct {
	enum sg_rule_kind kind;
	enum sg_learn_key key;
} refusals[] = {
	{SG_RULE_DENY, SG_LEARN_DENY},
	{SG_RULE_DENY_READ, SG_LEARN_DENY_READ},
	{SG_RULE_DENY_WRITE, SG_LEARN_DENY_WRITE},
	{SG_RULE_DENY_EXECUTE, SG_LEARN_DENY_EXECUTE},
	{SG_RULE_HIDE, SG_LEARN_HIDE},
};

static bool may_give(const struct sg_learn_line *line, const struct sg_variables *variables,
		     const struct sg_glob *refused)
{
	SG_AUTO_GLOB struct sg_glob *glob = NULL;
	SG_AUTO_FREE char *filled = NULL;
	const char *text;

	if (line->off || (line->key != SG_LEARN_READ && line->key != SG_LEARN_WRITE && line->key != SG_LEARN_EXECUTE &&
			  line->key != SG_LEARN_MAP))
		return false;
	if (sg_variables_expand(variables, line->value, true, &filled) != 0)
		return true;
	text = filled != NULL ? filled : line->value;
	return sg_glob_parse(text, strlen(text), NULL, &glob) != 0 || sg_glob_overlaps(refused, glob) != SG_GLOB_NO;
}

void sg_learn_bounds_keep(const struct sg_policy *policy, const struct sg_variables *variables,
			  struct sg_learn_lines *lines)
{
	const size_t given = lines->count;

	for (size_t i = 0; i < SG_ARRAY_SIZE(refusals); i++) {
		size_t count;
		const struct sg_rule *rules = sg_policy_rules(policy, refusals[i].kind, &count);

		for (size_t j = 0; j < count; j++) {
			size_t line = 0;

			while (line < given && !may_give(&lines->items[line], variables, rules[j].glob))
				line++;
			if (line < given)
				sg_learn_add(lines, refusals[i].key, false, rules[j].written,
					     "refused in the run, and a line above would give it");
		}
	}
}
