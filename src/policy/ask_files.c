/* Questions about files: read, write, exec, list, see. */
#include <string.h>

#include "policy/ask_internal.h"
#include "policy/names.h"

static const unsigned int accesses[SG_ACTIONS_] = {
	[SG_ACTION_READ] = SG_ACCESS_READ,
	[SG_ACTION_WRITE] = SG_ACCESS_WRITE | SG_ACCESS_CHANGE,
	[SG_ACTION_EXEC] = SG_ACCESS_EXECUTE,
	[SG_ACTION_LIST] = SG_ACCESS_READ,
};

int sg_ask_check_name(struct sg_question *question, const char *name, size_t length)
{
	struct sg_match match;

	if (name[0] != '/')
		return sg_ask_refuse(question, "begin it with / or ~/ or ${CWD}/", "\"%s\" is not an absolute name",
				     name);
	if (sg_matcher_match(question->asker->names, name, length, &match) < 0)
		return sg_ask_refuse(question, "write the name that it stands for",
				     "a name with . or .. in it is not decided about: \"%s\"", name);
	return 0;
}

/* The name without repeated slashes, and of a folder with one at its end. */
static int take_name(struct sg_question *question)
{
	struct sg_buffer *object = &question->answer->object;

	for (size_t i = 0; i < question->length; i++)
		if (question->object[i] != '/' || i == 0 || question->object[i - 1] != '/')
			sg_buffer_append_byte(object, question->object[i]);
	if (question->answer->action == SG_ACTION_LIST && question->object[question->length - 1] != '/')
		sg_buffer_append_byte(object, '/');
	return sg_buffer_status(object) < 0 ? sg_buffer_status(object)
					    : sg_ask_check_name(question, object->data, object->size);
}

static bool is_hidden(struct sg_question *question)
{
	const struct sg_buffer *object = &question->answer->object;
	const struct sg_policy *policy = question->asker->policy;
	uint32_t rule;

	if (!sg_decide_hides(question->asker->names, object->data, object->size, &rule))
		return false;
	sg_ask_decided(question, SG_OUTCOME_HIDE, rule < policy->rule_count ? &policy->rules[rule] : NULL,
		       "it is hidden");
	return true;
}

enum { SHOWING_MAX = 64 };

/* The first rule of the last match with a class in `mask` whose wildcards range within `folder`, or whose name lies there. */
static const struct sg_rule *find_within(const struct sg_asker *asker, uint64_t mask, const char *folder)
{
	uint32_t rules[SHOWING_MAX];
	const size_t count = sg_matcher_rules(asker->names, mask, rules, SHOWING_MAX);

	for (size_t i = 0; i < count && rules[i] < asker->policy->rule_count; i++) {
		const struct sg_rule *rule = &asker->policy->rules[rules[i]];

		size_t length;
		const char *prefix = sg_glob_prefix(rule->glob, &length);

		/* What ranges over the folder itself grants what the world makes in it. */
		if (strncmp(prefix, folder, strlen(folder)) == 0 &&
		    (length > strlen(folder) || strcmp(folder, "/") == 0))
			return rule;
	}
	return NULL;
}

/*
 * The rule that shows the name, by itself or by a folder above it whose names wildcards show: one whose place lies in `folder` ("/":
 * any). Of a folder of the world's own just those rules are left that put something of the host into it.
 */
static const struct sg_rule *find_showing(const struct sg_question *question, const char *folder)
{
	const struct sg_buffer *object = &question->answer->object;
	struct sg_match match;

	for (size_t end = object->size; end >= strlen(folder); end--) {
		const uint64_t shows = end == object->size ? SG_NAMES_ALLOW | SG_NAME_LIST : SG_NAME_LIST;
		const struct sg_rule *rule;

		if (end != object->size && object->data[end - 1] != '/')
			continue;
		if (sg_matcher_match(question->asker->names, object->data, end, &match) < 0 ||
		    (match.mask & shows) == 0)
			continue;
		rule = find_within(question->asker, match.mask & shows, folder);
		if (rule != NULL)
			return rule;
	}
	return NULL;
}

/*
 * In a folder of the world's own this host's files are where a rule puts them there. In /proc and the like nothing is the host's,
 * whatever a rule says.
 */
static bool is_own(const struct sg_question *question, const struct sg_rule **ret_rule)
{
	const struct sg_buffer *object = &question->answer->object;

	return sg_names_is_own(question->asker->policy, object->data, ret_rule) &&
	       (*ret_rule == NULL || find_showing(question, sg_glob_prefix((*ret_rule)->glob, &(size_t){0})) == NULL);
}

static void note_execution(struct sg_question *question)
{
	if (!sg_ask_has_call(question->asker, "execve"))
		sg_ask_note(question, "Only as the command that \"run\" starts: without the flag \"exec\" no program "
				      "starts another.");
	sg_ask_note(question, "What it needs beside is decided by itself: its interpreter (#!), its libraries.");
}

static void decide_file(struct sg_question *question)
{
	struct sg_answer *answer = question->answer;
	const struct sg_rule *private = NULL;
	const bool own = is_own(question, &private);
	struct sg_decision decision;

	sg_decide(question->asker->policy, question->asker->names, answer->object.data, answer->object.size,
		  accesses[answer->action], own, &decision);
	answer->record = decision.record;
	if (decision.verdict != SG_VERDICT_ALLOW)
		sg_ask_decided(question, SG_OUTCOME_DENY, decision.rule, decision.reason);
	else if (own)
		sg_ask_decided(question, SG_OUTCOME_OWN, private, "it is the world's own, not this host's");
	else if (decision.rule == NULL)
		sg_ask_decided(question, SG_OUTCOME_ALLOW, find_showing(question, "/"),
			       "it is the folder of what is granted");
	else
		sg_ask_decided(question, SG_OUTCOME_ALLOW, decision.rule, decision.reason);
}

int sg_ask_file(struct sg_question *question)
{
	struct sg_answer *answer = question->answer;
	int status = take_name(question);

	if (status != 0)
		return status;
	if (answer->action == SG_ACTION_EXEC && answer->object.data[answer->object.size - 1] == '/')
		return sg_ask_refuse(question, NULL, "a folder is not executed: \"%s\"", answer->object.data);
	if (is_hidden(question))
		return 0;
	decide_file(question);
	if (answer->action == SG_ACTION_EXEC && sg_outcome_may(answer->outcome))
		note_execution(question);
	return 0;
}

/* Something that is granted lies below the name, if it is a folder. */
static bool is_on_the_way(const struct sg_question *question)
{
	const struct sg_buffer *object = &question->answer->object;
	SG_AUTO_BUFFER struct sg_buffer folder = SG_BUFFER_INIT;
	struct sg_match_below below;

	sg_buffer_append(&folder, object->data, object->size);
	if (object->data[object->size - 1] != '/')
		sg_buffer_append_byte(&folder, '/');
	return sg_buffer_status(&folder) == 0 &&
	       sg_matcher_below(question->asker->names, folder.data, folder.size, &below) == 0 &&
	       (below.may & SG_NAMES_ALLOW) != 0;
}

int sg_ask_see(struct sg_question *question)
{
	const struct sg_rule *rule = NULL;
	int status = take_name(question);

	if (status != 0 || is_hidden(question))
		return status;
	if (is_own(question, &rule)) {
		sg_ask_decided(question, SG_OUTCOME_OWN, rule, "it is the world's own, not this host's");
		return 0;
	}
	rule = find_showing(question, "/");
	if (rule != NULL)
		sg_ask_decided(question, SG_OUTCOME_ALLOW, rule,
			       "the name is there; what may be done with it is another question");
	else if (is_on_the_way(question))
		sg_ask_decided(question, SG_OUTCOME_ALLOW, NULL, "as a folder on the way to what is granted");
	else
		sg_ask_decided(question, SG_OUTCOME_DENY, NULL, "no rule grants it or a folder that holds it");
	return 0;
}
