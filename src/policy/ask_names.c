/* Questions about what has a name of its own: system calls, capabilities, variables, flags. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "policy/ask_internal.h"
#include "policy/needs.h"
#include "policy/words.h"
#include "tables/capabilities.h"
#include "tables/flags.h"
#include "tables/values.h"

static int refuse_unknown(struct sg_question *question, const char *what, const char *const *names, size_t count,
			  const char *otherwise)
{
	SG_AUTO_BUFFER struct sg_buffer hint = SG_BUFFER_INIT;

	return sg_ask_refuse(question, sg_text_suggest(&hint, question->object, names, count, otherwise),
			     "there is no %s \"%s\"", what, question->object);
}

static int refuse_call(struct sg_question *question)
{
	const struct sg_openbsd_call *call = sg_openbsd_find(question->object, question->length);
	const char *names[SG_SYSCALL_LIMIT];
	size_t count = 0;

	if (call != NULL && call->linux_name != NULL) {
		char hint[128];

		(void)snprintf(hint, sizeof(hint), "ask about \"%s\", which Linux has for it", call->linux_name);
		return sg_ask_refuse(question, hint, "\"%s\" is a call of OpenBSD", question->object);
	}
	for (unsigned int i = 0; i < SG_SYSCALL_LIMIT; i++)
		if (sg_syscall_by_number(i) != NULL)
			names[count++] = sg_syscall_by_number(i)->name;
	return refuse_unknown(question, "system call", names, count, "\"shellguard syscalls\" lists them");
}

int sg_ask_syscall(struct sg_question *question)
{
	const struct sg_syscall *call = sg_syscall_by_name(question->object, question->length);
	const struct sg_policy *policy = question->asker->policy;
	struct sg_answer *answer = question->answer;
	struct sg_need need;

	if (call == NULL)
		return refuse_call(question);
	sg_need_of_call(policy, call, &need);
	if (need.kind == SG_NEED_UNKNOWN && sg_ask_has_call(question->asker, call->name)) {
		sg_ask_decided(question, SG_OUTCOME_ALLOW, sg_policy_find(policy, SG_RULE_SYSCALL, call->name),
			       "a flag gives it");
		if (call->class != SG_CLASS_NATIVE)
			sg_ask_note(question, "What it is asked for is decided each time, by its arguments or by what "
					      "they name (shellguard syscalls has how).");
		return 0;
	}
	sg_words_need(&need, answer->text, sizeof(answer->text));
	sg_ask_decided(question, SG_OUTCOME_DENY, need.rule,
		       need.kind == SG_NEED_UNKNOWN ? "no flag gives it" : answer->text);
	if (need.kind == SG_NEED_FLAG) {
		answer->reason = "none of the profile's flags gives it";
		sg_ask_propose(question, sg_need_section_of_flag(need.flag), "Flags", need.flag);
	}
	answer->proposal.kind = need.kind == SG_NEED_FLAG ? SG_PROPOSAL_LINE
				: need.rule != NULL       ? SG_PROPOSAL_DENIED
							  : SG_PROPOSAL_NEVER;
	return 0;
}

int sg_ask_capability(struct sg_question *question)
{
	const struct sg_policy *policy = question->asker->policy;
	const int number = sg_capability_find(question->object);
	const struct sg_rule *given, *denied;
	const char *name, *flag;

	if (number < 0 || (size_t)number >= sg_capability_count)
		return refuse_unknown(question, "capability", sg_capability_names, sg_capability_count,
				      "capabilities(7) lists them");
	name = sg_capability_names[number];
	sg_buffer_append_text(&question->answer->object, name);
	given = denied = NULL;
	/* A rule may write the name in another way. */
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct sg_rule *rule = &policy->rules[i];

		if (sg_rule_infos[rule->kind].what != SG_WHAT_CAPABILITY || sg_capability_find(rule->text) != number)
			continue;
		*(rule->kind == SG_RULE_CAPABILITY ? &given : &denied) = rule;
	}
	if (denied != NULL)
		sg_ask_decided(question, SG_OUTCOME_DENY, denied, "a rule denies it");
	else if (given != NULL)
		sg_ask_decided(question, SG_OUTCOME_ALLOW, given,
			       "over the world's own namespaces: it holds none over this host");
	else
		sg_ask_decided(question, SG_OUTCOME_DENY, NULL, "none of the profile's flags gives it");
	flag = sg_need_flag_of_capability(policy, name);
	if (given == NULL && denied == NULL && flag != NULL)
		sg_ask_propose(question, sg_need_section_of_flag(flag), "Flags", flag);
	return 0;
}

static bool is_listed(const char *const *names, const char *name)
{
	for (; names[0] != NULL; names++) {
		const size_t length = strlen(names[0]);

		if (names[0][length - 1] == '*' ? strncmp(names[0], name, length - 1) == 0
						: strcmp(names[0], name) == 0)
			return true;
	}
	return false;
}

int sg_ask_variable(struct sg_question *question)
{
	const struct sg_ask_context *context = &question->asker->context;
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(question->asker->policy, SG_RULE_ENVIRONMENT, &count);

	if (strchr(question->object, '=') != NULL)
		return sg_ask_refuse(question, "ask about its name", "\"%s\" is a variable with a value",
				     question->object);
	for (size_t i = 0; i < count; i++) {
		const size_t length = strcspn(rules[i].text, "=");

		if (length != question->length || memcmp(rules[i].text, question->object, length) != 0)
			continue;
		sg_ask_decided(question, SG_OUTCOME_ALLOW, &rules[i],
			       rules[i].text[length] == '=' ? "a rule sets it"
							    : "a rule lets it pass where the caller has it");
		return 0;
	}
	if (is_listed(context->set, question->object))
		sg_ask_decided(question, SG_OUTCOME_ALLOW, NULL, "every world is given a value of its own");
	else if (is_listed(context->passed, question->object))
		sg_ask_decided(question, SG_OUTCOME_ALLOW, NULL, "it passes into every world where the caller has it");
	else
		sg_ask_decided(question, SG_OUTCOME_DENY, NULL, "no rule lets it pass");
	if (!sg_outcome_may(question->answer->outcome))
		sg_ask_propose(question, "Runtime", "Env", question->object);
	return 0;
}

static int refuse_flag(struct sg_question *question)
{
	const char *names[SG_FLAGS_];

	for (int i = 0; i < SG_FLAGS_; i++)
		names[i] = sg_flag_name((enum sg_flag)i);
	return refuse_unknown(question, "flag", names, SG_FLAGS_, "shellguard-profile(5) lists them");
}

int sg_ask_flag(struct sg_question *question)
{
	const struct sg_policy *policy = question->asker->policy;
	const struct sg_rule *given = sg_policy_find(policy, SG_RULE_FLAG, question->object),
			     *denied = sg_policy_find(policy, SG_RULE_DENY_FLAG, question->object);

	if (given == NULL && denied == NULL && sg_need_definition(policy, question->object) == NULL)
		return refuse_flag(question);
	if (denied != NULL)
		sg_ask_decided(question, SG_OUTCOME_DENY, denied, "a rule denies it");
	else if (given != NULL)
		sg_ask_decided(question, SG_OUTCOME_ALLOW, given, "a rule grants it");
	else
		sg_ask_decided(question, SG_OUTCOME_DENY, NULL, "no rule grants it");
	if (given == NULL && denied == NULL)
		sg_ask_propose(question, sg_need_section_of_flag(question->object), "Flags", question->object);
	return 0;
}
