#include "export/static_filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>

#include "tables/values.h"
#include "world/grants.h"

static bool is_allowed_unasked(const struct sg_syscall *call)
{
	switch ((enum sg_syscall_class)call->class) {
	case SG_CLASS_EXEC:
	case SG_CLASS_NET_NAME:
		return true;
	default:
		/* The attribute's name is in memory. The kernel asks for capabilities where it matters, and none is held. */
		return call->number == SYS_setxattr || call->number == SYS_lsetxattr || call->number == SYS_fsetxattr;
	}
}

static uint32_t settle(uint32_t action, const struct sg_syscall *call)
{
	if ((action & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_USER_NOTIF)
		return action;
	return call != NULL && is_allowed_unasked(call) ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | ENOSYS;
}

int sg_static_filter(const struct sg_policy *policy, struct sg_filter_spec *ret)
{
	const struct sg_filter_plan plan = {
		.opens = SG_FILTER_OPENS_NONE,
		.looks = SG_FILTER_NATIVE,
		.details = SG_FILTER_NATIVE,
		.changes = SG_FILTER_NATIVE,
		.fd_changes = SG_FILTER_NATIVE,
		.messages = SG_FILTER_NATIVE,
		.listens = SG_FILTER_NATIVE,
		.accepts = SG_FILTER_NATIVE,
		.first_exec = true, /* whoever loads the filter executes the program under it */
	};
	struct sg_filter_grants grants;
	int r;

	sg_grants_find(policy, &grants);
	r = sg_filter_spec_fill(&grants, &plan, ret);
	for (unsigned int number = 0; r == 0 && number < SG_SYSCALL_LIMIT; number++) {
		struct sg_filter_rule *rule = &ret->rules[number];
		const struct sg_syscall *call = sg_syscall_by_number(number);

		rule->action = settle(rule->action, call);
		for (unsigned int i = 0; i < rule->count; i++)
			ret->rows[rule->first + i].action = settle(ret->rows[rule->first + i].action, call);
	}
	return r;
}

bool sg_static_filter_has_sockets(const struct sg_policy *policy)
{
	struct sg_filter_grants grants;
	const struct sg_socket_kind *kinds;
	size_t count;

	sg_grants_find(policy, &grants);
	kinds = sg_socket_kinds(&count);
	if (!sg_syscall_set_has(&grants.calls, SYS_socket))
		return false;
	for (size_t i = 0; i < count; i++)
		if (sg_flag_set_has(&grants.flags, (enum sg_flag)kinds[i].flag))
			return true;
	return false;
}

/* True if the rule refuses the call, or the flag that it refuses gives it. */
static bool refuses(const struct sg_policy *policy, const struct sg_rule *rule, const char *call)
{
	size_t count;
	const struct sg_rule *rules;

	if (rule->kind == SG_RULE_DENY_SYSCALL)
		return strcmp(rule->text, call) == 0;
	rules = sg_policy_rules(policy, SG_RULE_DENY_SYSCALL, &count);
	for (size_t i = 0; i < count && rule->kind == SG_RULE_DENY_FLAG; i++)
		if (rules[i].flag != NULL && strcmp(rules[i].flag, rule->text) == 0 && strcmp(rules[i].text, call) == 0)
			return true;
	return false;
}

const char *sg_static_filter_leaves_open(const struct sg_policy *policy, const struct sg_rule *rule)
{
	static const struct {
		unsigned int number;
		const char *name;
	} calls[] = {{SYS_execve, "execve"}, {SYS_execveat, "execveat"}};
	struct sg_filter_grants grants;

	sg_grants_find(policy, &grants);
	for (size_t i = 0; i < SG_ARRAY_SIZE(calls); i++)
		if (!sg_syscall_set_has(&grants.calls, calls[i].number) &&
		    (rule == NULL || refuses(policy, rule, calls[i].name)))
			return "execve and execveat are left open: the program itself is executed under the filter";
	return NULL;
}
