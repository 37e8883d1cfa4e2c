#include "policy/ask_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/compile.h"
#include "policy/names.h"
#include "policy/words.h"

void sg_answer_done(struct sg_answer *answer)
{
	sg_buffer_done(&answer->object);
	sg_proposal_done(&answer->proposal);
}

int sg_ask_refuse(struct sg_question *question, const char *hint, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(question->problem->message, sizeof(question->problem->message), format, arguments);
	va_end(arguments);
	(void)snprintf(question->problem->hint, sizeof(question->problem->hint), "%s", hint != NULL ? hint : "");
	return SG_ASK_REFUSED;
}

void sg_ask_decided(struct sg_question *question, enum sg_outcome outcome, const struct sg_rule *rule,
		    const char *reason)
{
	question->answer->outcome = outcome;
	question->answer->rule = rule;
	question->answer->reason = reason;
}

void sg_ask_note(struct sg_question *question, const char *note)
{
	struct sg_answer *answer = question->answer;

	if (answer->note_count < SG_ANSWER_NOTES_MAX)
		answer->notes[answer->note_count++] = note;
}

void sg_ask_propose(struct sg_question *question, const char *section, const char *key, const char *value)
{
	struct sg_proposal *proposal = &question->answer->proposal;

	sg_proposal_done(proposal);
	*proposal = (struct sg_proposal){SG_PROPOSAL_LINE, section, key, SG_BUFFER_INIT};
	sg_buffer_append_text(&proposal->value, value);
}

bool sg_ask_has_call(const struct sg_asker *asker, const char *name)
{
	return sg_policy_find(asker->policy, SG_RULE_SYSCALL, name) != NULL &&
	       sg_policy_find(asker->policy, SG_RULE_DENY_SYSCALL, name) == NULL;
}

static int make(struct sg_asker *asker)
{
	int status = sg_policy_read_flags(asker->policy);

	if (status == 0)
		status = sg_globset_new(&asker->set);
	if (status == 0)
		status = sg_names_add_policy(asker->set, asker->policy, 0, 0);
	if (status == 0)
		status = sg_globset_compile(asker->set);
	if (status == 0)
		status = sg_matcher_new(asker->set, SG_MATCHER_MEMORY_MIN, &asker->names);
	return status == 0 ? sg_address_rules_init(asker->policy, &asker->addresses) : status;
}

int sg_asker_new(struct sg_policy *policy, const struct sg_ask_context *context, struct sg_asker **ret)
{
	SG_AUTO_ASKER struct sg_asker *asker = calloc(1, sizeof(*asker));
	int status;

	if (asker == NULL)
		return -ENOMEM;
	asker->policy = policy;
	asker->context = *context;
	status = make(asker);
	if (status == 0)
		*ret = sg_take_pointer(asker);
	return status;
}

void sg_asker_free(struct sg_asker *asker)
{
	if (asker == NULL)
		return;
	sg_address_rules_done(&asker->addresses);
	sg_matcher_free(asker->names);
	sg_globset_free(asker->set);
	free(asker);
}

static const sg_ask_function functions[SG_ACTIONS_] = {
	[SG_ACTION_READ] = sg_ask_file,       [SG_ACTION_WRITE] = sg_ask_file,
	[SG_ACTION_EXEC] = sg_ask_file,       [SG_ACTION_LIST] = sg_ask_file,
	[SG_ACTION_SEE] = sg_ask_see,         [SG_ACTION_CONNECT] = sg_ask_connect,
	[SG_ACTION_LISTEN] = sg_ask_listen,   [SG_ACTION_RESOLVE] = sg_ask_resolve,
	[SG_ACTION_SYSCALL] = sg_ask_syscall, [SG_ACTION_CAPABILITY] = sg_ask_capability,
	[SG_ACTION_ENV] = sg_ask_variable,    [SG_ACTION_FLAG] = sg_ask_flag,
};

/* What would allow it, unless the action said so itself. */
static int propose(const struct sg_question *question)
{
	struct sg_answer *answer = question->answer;
	const struct sg_action_info *action = &sg_action_infos[answer->action];
	const struct sg_rule *rule = answer->rule;
	const struct sg_refusal refusal = {.operation = action->operation,
					   .access = action->access,
					   .object = answer->object.data,
					   .named = "",
					   .error = "",
					   .reason = answer->reason,
					   .needs = "",
					   .rule_file = "",
					   .rule_key = rule != NULL ? sg_rule_infos[rule->kind].name : "",
					   .rule_text = "",
					   .rule_flag = ""};

	return sg_propose(&refusal, &answer->proposal);
}

static int ask(struct sg_question *question)
{
	struct sg_answer *answer = question->answer;
	int status = functions[answer->action](question);

	if (status == 0 && answer->object.data == NULL)
		sg_buffer_append_text(&answer->object, question->object);
	if (status == 0)
		status = sg_buffer_status(&answer->object);
	if (status == 0)
		status = sg_buffer_status(&answer->proposal.value);
	return status == 0 && !sg_outcome_may(answer->outcome) && answer->proposal.kind == SG_PROPOSAL_NONE
		       ? propose(question)
		       : status;
}

int sg_ask(struct sg_asker *asker, enum sg_action action, const char *object, struct sg_answer *ret,
	   struct sg_ask_problem *problem)
{
	SG_AUTO_FREE char *filled = NULL;
	struct sg_question question = {.asker = asker, .answer = ret, .problem = problem};
	int status = sg_variables_expand(asker->context.variables, object, false, &filled);

	*ret = (struct sg_answer){.action = action, .proposal = SG_PROPOSAL_INIT};
	*problem = (struct sg_ask_problem){0};
	question.object = filled != NULL ? filled : object;
	question.length = strlen(question.object);
	if (status == SG_VARIABLES_UNKNOWN)
		status = sg_ask_refuse(&question, SG_VARIABLES_HINT, "unknown variable in \"%s\"", object);
	else if (status == 0 && question.length == 0)
		status =
			sg_ask_refuse(&question, NULL, "an empty value: it takes %s", sg_action_infos[action].argument);
	else if (status == 0)
		status = ask(&question);
	if (status != 0)
		sg_answer_done(ret);
	return status;
}
