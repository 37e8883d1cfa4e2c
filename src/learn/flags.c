/*
 * Flags.
 *
 * The filter is asked, not the tables: it is made of a set of flags as for a session, and run on each call that was seen. Of one
 * that it refuses, the policy says which flag would give it (policy/needs.h: the smallest). When all pass, each flag is left out
 * once, and stays out where all pass without it: a flag that was taken early may be one that a later one includes.
 */
#include "learn/flags.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "learn/matcher.h"
#include "learn/names.h"
#include "policy/compile.h"
#include "policy/needs.h"
#include "tables/flags.h"
#include "world/filter.h"
#include "world/grants.h"

bool sg_learn_flags_have(const struct sg_learn_flags *flags, const char *name)
{
	for (size_t i = 0; i < flags->count; i++)
		if (strcmp(flags->names[i], name) == 0)
			return true;
	return false;
}

/* The tables' own text of the name: what a policy owns goes with it. Returns false if it was there, or is none. */
static bool add_flag(struct sg_learn_flags *flags, const char *name)
{
	const enum sg_flag flag = sg_flag_find(name, strlen(name));

	if (flag == SG_FLAG_NONE_ || flags->count == SG_LEARN_FLAGS_MAX || sg_learn_flags_have(flags, name))
		return false;
	flags->names[flags->count++] = sg_flag_name(flag);
	return true;
}

static void remove_flag(struct sg_learn_flags *flags, size_t index)
{
	memmove(&flags->names[index], &flags->names[index + 1], (flags->count - index - 1) * sizeof(flags->names[0]));
	flags->count--;
}

/* --- from flags to a policy --- */

static void write_section(const struct sg_learn_flags *flags, const char *section, struct sg_buffer *out)
{
	const char *separator = "";

	sg_buffer_printf(out, "[%s]\nFlags = [", section);
	for (size_t i = 0; i < flags->count; i++) {
		if (strcmp(sg_need_section_of_flag(flags->names[i]), section) != 0)
			continue;
		sg_buffer_printf(out, "%s\"%s\"", separator, flags->names[i]);
		separator = ", ";
	}
	sg_buffer_append_text(out, "]\n");
}

static int no_profile(void *data, const char *name, const struct sg_source *from, struct sg_source **ret,
		      struct sg_error *error)
{
	(void)data;
	(void)from;
	(void)ret;
	return sg_error_set(error, -ENOENT, "flags extend no profile \"%s\"", name);
}

int sg_learn_flags_compile(const struct sg_learn_flags *flags, const struct sg_variables *variables,
			   struct sg_policy **ret, struct sg_error *error)
{
	static const char *const sections[] = {"Networking", "Filesystem", "Runtime", "User", "Misc"};
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	struct sg_source *source;
	int status;

	for (size_t i = 0; i < SG_ARRAY_SIZE(sections); i++)
		write_section(flags, sections[i], &text);
	status = sg_buffer_status(&text);
	if (status == 0)
		status = sg_source_new("flags", text.data, text.size, &source);
	if (status == 0)
		status = sg_policy_compile(&source, 1, variables, no_profile, NULL, &diagnostics, &policy, error);
	if (status == 0)
		status = sg_policy_read_flags(policy);
	if (status != 0)
		return sg_error_set_errno(error, status < 0 ? status : -EINVAL,
					  "cannot compile the flags that were found");
	*ret = sg_take_pointer(policy);
	return 0;
}

/* --- calls --- */

static int make_filter(const struct sg_policy *policy, struct sg_filter_program *program, struct sg_error *error)
{
	/* What needs a decision is notified, what is not given is an error: so these two can be told. */
	static const struct sg_filter_plan plan = {.opens = SG_FILTER_OPENS_ALL};
	struct sg_filter_grants grants;

	sg_grants_find(policy, &grants);
	return sg_filter_build(&grants, &plan, program, error);
}

static bool passes(const struct sg_filter_program *program, const struct sg_used_call *call)
{
	struct seccomp_data data = {.nr = (int)call->number, .arch = AUDIT_ARCH_X86_64};
	uint32_t action;

	for (size_t i = 0; i < SG_ARRAY_SIZE(data.args); i++)
		data.args[i] = call->arguments[i];
	action = sg_filter_simulate(program->code, program->count, &data) & SECCOMP_RET_ACTION_FULL;
	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_USER_NOTIF;
}

/* The calls of sockets, without the addresses that a flag opens beside them: those are named one by one. */
static const char *without_addresses(const char *flag)
{
	return strcmp(flag, "outgoing") == 0 || strcmp(flag, "incoming") == 0 ? "loopback" : flag;
}

/* Adds one flag for each call that does not pass and that some flag gives. *ret_added: one was. */
static int add_for_calls(const struct sg_observed *observed, const struct sg_policy *policy,
			 struct sg_learn_flags *flags, bool *ret_added, struct sg_error *error)
{
	SG_AUTO_FREE struct sg_filter_program *program = malloc(sizeof(*program));
	int status = program == NULL ? -ENOMEM : make_filter(policy, program, error);

	*ret_added = false;
	for (size_t i = 0; status == 0 && i < observed->calls.count; i++) {
		const struct sg_used_call *call = &observed->calls.items[i];
		const struct sg_syscall *row = sg_syscall_by_number(call->number);
		struct sg_need need;

		if (row == NULL || passes(program, call))
			continue;
		sg_need_find(policy, row, call->arguments, &need);
		if (need.kind == SG_NEED_FLAG)
			*ret_added |= add_flag(flags, without_addresses(need.flag));
	}
	return status;
}

/* How many of the calls pass: a set that lets pass as many as another one is as good. */
static int count_passing(const struct sg_observed *observed, const struct sg_learn_flags *flags,
			 const struct sg_variables *variables, size_t *ret, struct sg_error *error)
{
	SG_AUTO_FREE struct sg_filter_program *program = malloc(sizeof(*program));
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	int status = program == NULL ? -ENOMEM : sg_learn_flags_compile(flags, variables, &policy, error);

	if (status == 0)
		status = make_filter(policy, program, error);
	*ret = 0;
	for (size_t i = 0; status == 0 && i < observed->calls.count; i++)
		*ret += passes(program, &observed->calls.items[i]);
	return status;
}

static int leave_out(const struct sg_observed *observed, const struct sg_variables *variables,
		     struct sg_learn_flags *flags, struct sg_error *error)
{
	size_t all, passing;
	int status = count_passing(observed, flags, variables, &all, error);

	for (size_t i = 1; status == 0 && i < flags->count;) { /* "start" stays: without it nothing starts */
		struct sg_learn_flags less = *flags;

		remove_flag(&less, i);
		status = count_passing(observed, &less, variables, &passing, error);
		if (status == 0 && passing == all)
			*flags = less;
		else
			i++;
	}
	return status;
}

/* --- files --- */

/*
 * Flags that give files which programs open as a matter of course, and no authority that naming the files would not give. In the order
 * in which they are taken: of two that give one file, the first. (`dns` lets no name be looked up that no rule allows.)
 */
static const char *const file_flags[] = {"identity", "dns", "tty", "shared-memory", "sysinfo"};

static bool serves(const struct sg_observed *observed, struct sg_learn_matcher *before, struct sg_learn_matcher *with)
{
	for (size_t i = 0; i < observed->files.count; i++) {
		const struct sg_used *file = &observed->files.items[i];

		if (file->access != 0 && !sg_learn_matcher_gives(before, file->name, file->access) &&
		    sg_learn_matcher_gives(with, file->name, file->access))
			return true;
	}
	return false;
}

/* Takes the flag if it gives a file that was opened and that the flags so far do not give. */
static int try_file_flag(const struct sg_observed *observed, const struct sg_variables *variables, const char *name,
			 struct sg_learn_flags *flags, struct sg_error *error)
{
	SG_AUTO_LEARN_MATCHER struct sg_learn_matcher before = {0}, with = {0};
	SG_AUTO_POLICY struct sg_policy *policy = NULL, *wider = NULL;
	struct sg_learn_flags more = *flags;
	int status;

	if (!add_flag(&more, name))
		return 0;
	status = sg_learn_flags_compile(flags, variables, &policy, error);
	if (status == 0)
		status = sg_learn_flags_compile(&more, variables, &wider, error);
	if (status == 0)
		status = sg_learn_matcher_init(&before, policy);
	if (status == 0)
		status = sg_learn_matcher_init(&with, wider);
	if (status == 0 && serves(observed, &before, &with))
		*flags = more;
	return status;
}

/* Files that the run made where such files are made, in no folder of somebody else's. */
static bool uses_temporary(const struct sg_observed *observed, const struct sg_variables *variables)
{
	for (size_t i = 0; i < observed->files.count; i++)
		if (sg_learn_is_temporary(observed, observed->files.items[i].name, variables) == SG_LEARN_TEMPORARY_OWN)
			return true;
	return false;
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

int sg_learn_flags_find(const struct sg_observed *observed, const struct sg_variables *variables,
			struct sg_learn_flags *ret, struct sg_error *error)
{
	struct sg_learn_flags flags = {.count = 0};
	bool added = add_flag(&flags, "start");
	int status = 0;

	while (status == 0 && added) {
		SG_AUTO_POLICY struct sg_policy *policy = NULL;

		status = sg_learn_flags_compile(&flags, variables, &policy, error);
		if (status == 0)
			status = add_for_calls(observed, policy, &flags, &added, error);
	}
	if (status == 0)
		status = leave_out(observed, variables, &flags, error);
	for (size_t i = 0; status == 0 && i < observed->needs.count; i++)
		if ((observed->needs.items[i].how & SG_USED_REPLAY) != 0)
			(void)add_flag(&flags, observed->needs.items[i].name);
	if (status == 0 && observed->lookups.count > 0)
		(void)add_flag(&flags, "dns");
	if (status == 0 && uses_temporary(observed, variables))
		(void)add_flag(&flags, "tmp");
	for (size_t i = 0; status == 0 && i < SG_ARRAY_SIZE(file_flags); i++)
		status = try_file_flag(observed, variables, file_flags[i], &flags, error);
	if (status < 0)
		return sg_error_set_errno(error, status, "cannot find out which flags the run took");
	qsort(&flags.names[1], flags.count - 1, sizeof(flags.names[0]), compare_names);
	*ret = flags;
	return 0;
}
