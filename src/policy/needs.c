#include "policy/needs.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/attr.h"
#include "tables/flags.h"
#include "tables/values.h"

enum { DEPTH_MAX = 16, FLAGS_MAX = 256 };

/* --- definitions --- */

const struct sg_statement *sg_need_definition(const struct sg_policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->profile_count; i++)
		for (size_t j = 0; j < policy->profiles[i]->count; j++) {
			const struct sg_statement *statement = &policy->profiles[i]->statements[j];

			if (statement->section == SG_SECTION_DEFINE && strcmp(statement->group, name) == 0)
				return statement;
		}
	return NULL;
}

const char *sg_need_describe_flag(const struct sg_policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->profile_count; i++)
		for (size_t j = 0; j < policy->profiles[i]->count; j++) {
			const struct sg_statement *statement = &policy->profiles[i]->statements[j];

			if (statement->section == SG_SECTION_DEFINE && statement->kind == SG_RULE_DESCRIPTION &&
			    strcmp(statement->group, name) == 0)
				return statement->text;
		}
	return "";
}

/* The flags that one flag leads to, itself first. */
struct closure {
	const char *names[FLAGS_MAX];
	size_t count;
};

static void add_name(struct closure *closure, const char *name)
{
	for (size_t i = 0; i < closure->count; i++)
		if (strcmp(closure->names[i], name) == 0)
			return;
	if (closure->count < FLAGS_MAX)
		closure->names[closure->count++] = name;
}

/* The list grows while it is walked; each flag is in it once, so it ends. */
static void close_over(const struct sg_policy *policy, const char *name, struct closure *closure)
{
	closure->count = 0;
	add_name(closure, name);
	for (size_t i = 0; i < closure->count; i++)
		for (size_t j = 0; j < policy->profile_count; j++)
			for (size_t k = 0; k < policy->profiles[j]->count; k++) {
				const struct sg_statement *statement = &policy->profiles[j]->statements[k];

				if (statement->section == SG_SECTION_DEFINE && sg_rule_gives_flag(statement->kind) &&
				    strcmp(statement->group, closure->names[i]) == 0)
					add_name(closure, statement->text);
			}
}

static bool closure_has(const struct closure *closure, const char *name)
{
	for (size_t i = 0; i < closure->count; i++)
		if (strcmp(closure->names[i], name) == 0)
			return true;
	return false;
}

/* The number of calls that a closure gives; *ret_has: `call` is one of them. */
static size_t count_calls(const struct sg_policy *policy, const struct closure *closure, const char *call,
			  bool *ret_has)
{
	size_t count = 0;

	*ret_has = false;
	for (size_t i = 0; i < policy->profile_count; i++)
		for (size_t j = 0; j < policy->profiles[i]->count; j++) {
			const struct sg_statement *statement = &policy->profiles[i]->statements[j];

			if (statement->section != SG_SECTION_DEFINE || !sg_rule_gives_call(statement->kind) ||
			    !closure_has(closure, statement->group))
				continue;
			count++;
			*ret_has |= strcmp(statement->text, call) == 0;
		}
	return count;
}

bool sg_need_flag_gives(const struct sg_policy *policy, const char *name, const char *call)
{
	struct closure closure;
	bool has;

	close_over(policy, name, &closure);
	(void)count_calls(policy, &closure, call, &has);
	return has;
}

static bool is_pledge(const char *name)
{
	const enum sg_flag flag = sg_flag_find(name, strlen(name));

	return flag != SG_FLAG_NONE_ && sg_flag_category(flag) == SG_FLAG_CATEGORY_PLEDGE;
}

/* The smallest flag with a statement of that kind about the call: one that merely includes that one is larger. */
static const char *find_smallest(const struct sg_policy *policy, enum sg_rule_kind kind, const char *name)
{
	const char *best = NULL;
	size_t best_size = 0;

	for (size_t i = 0; i < policy->profile_count; i++)
		for (size_t j = 0; j < policy->profiles[i]->count; j++) {
			const struct sg_statement *statement = &policy->profiles[i]->statements[j];
			struct closure closure;
			size_t size;
			bool has;

			if (statement->section != SG_SECTION_DEFINE || statement->kind != kind ||
			    strcmp(statement->text, name) != 0 || (best != NULL && is_pledge(statement->group)))
				continue;
			close_over(policy, statement->group, &closure);
			size = count_calls(policy, &closure, name, &has);
			if (best == NULL || is_pledge(best) || size < best_size) {
				best = statement->group;
				best_size = size;
			}
		}
	return best;
}

const char *sg_need_flag_of_call(const struct sg_policy *policy, const char *name)
{
	const char *best = find_smallest(policy, SG_RULE_SYSCALL, name);

	/* A call that is nobody's own is what several flags need: clone, of processes and of threads. */
	return best != NULL ? best : find_smallest(policy, SG_RULE_NEED_SYSCALL, name);
}

const char *sg_need_section_of_flag(const char *name)
{
	const enum sg_flag flag = sg_flag_find(name, strlen(name));

	if (flag == SG_FLAG_NONE_ || sg_flag_category(flag) == SG_FLAG_CATEGORY_PLEDGE)
		return "Misc";
	return sg_flag_category_name(sg_flag_category(flag));
}

const char *sg_need_flag_of_capability(const struct sg_policy *policy, const char *name)
{
	return find_smallest(policy, SG_RULE_CAPABILITY, name);
}

/* --- arguments --- */

/* What a table says of the arguments. Returns false if none speaks of this call. */
struct value_need {
	int flag; /* enum sg_flag */
	const char *detail, *reason;
};

static bool find_socket(const uint64_t arguments[6], struct value_need *ret)
{
	size_t count;
	const struct sg_socket_kind *kinds = sg_socket_kinds(&count);
	bool found = false;

	for (size_t i = 0; i < count; i++) {
		if ((uint32_t)kinds[i].domain != (uint32_t)arguments[0] ||
		    (uint32_t)kinds[i].type != ((uint32_t)arguments[1] & SG_SOCKET_TYPE_MASK) ||
		    (kinds[i].protocol != SG_SOCKET_ANY && (uint32_t)kinds[i].protocol != (uint32_t)arguments[2]))
			continue;
		/* Of the flags that give it, the one for sockets and nothing else. */
		if (!found || kinds[i].flag == (kinds[i].domain == AF_UNIX ? SG_FLAG_UNIX : SG_FLAG_LOOPBACK))
			*ret = (struct value_need){kinds[i].flag, kinds[i].name, NULL};
		found = true;
	}
	return found;
}

static bool find_option(const uint64_t arguments[6], struct value_need *ret)
{
	size_t count;
	const struct sg_socket_option *options = sg_socket_options(&count);

	for (size_t i = 0; i < count; i++) {
		if ((uint32_t)options[i].level != (uint32_t)arguments[1] ||
		    (uint32_t)options[i].option != (uint32_t)arguments[2])
			continue;
		*ret = (struct value_need){options[i].flag, options[i].name, options[i].reason};
		return true;
	}
	return false;
}

/* The calls whose check a flag lifts (checks.def), where no list of values says it. */
static const struct {
	const char *call;
	enum sg_flag flag;
} lifted[] = {
#define SG_CHECK(call, unless, verdict, ...) {#call, SG_FLAG_##unless},
#include "tables/checks.def"
#undef SG_CHECK
};

enum {
	NAMESPACES = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
		     CLONE_NEWCGROUP
};

static bool find_check(const struct sg_policy *policy, const struct sg_syscall *call, const uint64_t arguments[6],
		       struct value_need *ret)
{
	const unsigned int number = call->number;

	if (number == SYS_clone && ((uint32_t)arguments[0] & NAMESPACES) != 0) {
		*ret = (struct value_need){SG_FLAG_NONE_, "CLONE_NEW...", "a world may not make namespaces of its own"};
		return true;
	}
	if (number == SYS_clone && (arguments[0] & (CLONE_THREAD | CLONE_FS)) == CLONE_FS &&
	    sg_policy_has_flag(policy, sg_flag_name(SG_FLAG_FORK))) {
		*ret = (struct value_need){SG_FLAG_NONE_, "CLONE_FS",
					   "where a rule hides names, processes may not share a working directory"};
		return true;
	}
	if (number == SYS_request_key && arguments[2] != 0) {
		*ret = (struct value_need){SG_FLAG_NONE_, "callout information",
					   "a program of the host's root would be started to make the key"};
		return true;
	}
	if (number == SYS_clone) {
		const bool thread = (arguments[0] & CLONE_THREAD) != 0;

		*ret = (struct value_need){thread ? SG_FLAG_THREADS : SG_FLAG_FORK, thread ? "a thread" : "a process",
					   NULL};
		return true;
	}
	for (size_t i = 0; i < SG_ARRAY_SIZE(lifted); i++)
		if (strcmp(lifted[i].call, call->name) == 0 && lifted[i].flag != SG_FLAG_NONE_ &&
		    !sg_policy_has_flag(policy, sg_flag_name(lifted[i].flag))) {
			*ret = (struct value_need){lifted[i].flag, NULL, NULL};
			return true;
		}
	return false;
}

static bool find_value(const struct sg_policy *policy, const struct sg_syscall *call, const uint64_t arguments[6],
		       struct value_need *ret)
{
	const unsigned int number = call->number;

	/* What a list leaves out no flag gives, whichever gives the call. */
	*ret = (struct value_need){SG_FLAG_NONE_, NULL, NULL};
	if (number == SYS_socket && !find_socket(arguments, ret))
		ret->reason = "a world has no sockets of this family, type and protocol";
	else if (number == SYS_setsockopt && !find_option(arguments, ret))
		ret->reason = "a world has no such option of sockets";
	if (number == SYS_socket || number == SYS_setsockopt)
		return true;
	for (int table = 0; table < SG_VALUE_TABLES_; table++) {
		const struct sg_value_list *list = sg_value_list((enum sg_value_table)table);
		const struct sg_value *value;

		if (list->number != number)
			continue;
		value = sg_value_find((enum sg_value_table)table, (uint32_t)arguments[list->argument]);
		if (value == NULL)
			ret->reason = "a world does not have this request";
		else
			*ret = (struct value_need){value->flag, value->name, value->reason};
		return true;
	}
	return find_check(policy, call, arguments, ret);
}

/* --- the answer --- */

static void need_flag(const struct sg_policy *policy, const char *flag, struct sg_need *ret)
{
	ret->rule = sg_policy_find(policy, SG_RULE_DENY_FLAG, flag);
	ret->kind = ret->rule != NULL ? SG_NEED_DENIED : SG_NEED_FLAG;
	ret->flag = flag;
}

/* Refused whatever the arguments are. */
static bool is_refused(const struct sg_policy *policy, const struct sg_syscall *call, struct sg_need *ret)
{
	*ret = (struct sg_need){.kind = SG_NEED_UNKNOWN};
	if (call->class == SG_CLASS_NEVER) {
		ret->kind = SG_NEED_NEVER;
		ret->reason = sg_syscall_reason(call);
		return true;
	}
	ret->rule = sg_policy_find(policy, SG_RULE_DENY_SYSCALL, call->name);
	if (ret->rule != NULL)
		ret->kind = SG_NEED_DENIED;
	return ret->rule != NULL;
}

void sg_need_of_call(const struct sg_policy *policy, const struct sg_syscall *call, struct sg_need *ret)
{
	const char *flag;

	if (is_refused(policy, call, ret) || sg_policy_find(policy, SG_RULE_SYSCALL, call->name) != NULL)
		return;
	flag = sg_need_flag_of_call(policy, call->name);
	if (flag != NULL)
		need_flag(policy, flag, ret);
}

void sg_need_find(const struct sg_policy *policy, const struct sg_syscall *call, const uint64_t arguments[6],
		  struct sg_need *ret)
{
	const bool given = sg_policy_find(policy, SG_RULE_SYSCALL, call->name) != NULL;
	struct value_need value;
	const char *flag;

	if (is_refused(policy, call, ret))
		return;
	if (find_value(policy, call, arguments, &value)) {
		ret->detail = value.detail;
		ret->reason = value.reason;
		if (value.flag == SG_FLAG_NONE_) {
			ret->kind = SG_NEED_NEVER;
			return;
		}
		flag = sg_flag_name((enum sg_flag)value.flag);
		/* Pledge's definitions are read only where a profile names one; a test holds that each gives
		 * its calls. */
		if (!sg_policy_has_flag(policy, flag) &&
		    (given || is_pledge(flag) || sg_need_flag_gives(policy, flag, call->name))) {
			need_flag(policy, flag, ret);
			return;
		}
	}
	flag = given ? NULL : sg_need_flag_of_call(policy, call->name);
	if (flag != NULL)
		need_flag(policy, flag, ret);
}
