/* shellguard syscalls: the reference of the system calls, from the tables and the flags. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/document.h"
#include "cli/help.h"
#include "cli/layout.h"
#include "cli/options.h"
#include "cli/simulate.h"
#include "policy/needs.h"
#include "tables/syscalls.h"
#include "tables/values.h"

/* How a call of each class is bound, for a person. */
static const char *const bound[SG_CLASSES_] = {
	[SG_CLASS_UNKNOWN] = "not known: ENOSYS",
	[SG_CLASS_NATIVE] = "runs natively once a flag gives it: mounts, namespaces and ids hold what it can reach",
	[SG_CLASS_CHECKED] = "the filter looks at its arguments, then it runs natively",
	[SG_CLASS_FILE_LOOK] = "runs natively; where a profile hides names by wildcards or in a writable "
			       "folder, the supervisor looks on behalf of the caller",
	[SG_CLASS_FILE_DETAIL] = "runs natively on what is mounted; where reading is decided by name, the supervisor "
				 "reads it on behalf of the caller",
	[SG_CLASS_FD_LOOK] = "runs natively; where a profile hides names by wildcards or in a writable "
			     "folder, the supervisor takes them out",
	[SG_CLASS_FILE_ENTER] = "runs natively; where a profile hides names by wildcards or in a writable "
				"folder, the supervisor decides, and verifies which folder was entered",
	[SG_CLASS_FILE_OPEN] = "the supervisor is asked for openings that write, and for every one where a "
			       "profile needs it; it opens on "
			       "behalf of the caller",
	[SG_CLASS_FILE_CHANGE] = "the supervisor is asked where writable folders hold names that may not be "
				 "changed; it acts on behalf of "
				 "the caller",
	[SG_CLASS_FD_CHANGE] = "the supervisor is asked where changes are decided, since a descriptor for "
			       "reading is enough for it",
	[SG_CLASS_EXEC] = "the supervisor decides on the program and its interpreters, and verifies what was "
			  "executed before it runs",
	[SG_CLASS_NET_NAME] = "the supervisor decides on the address and acts on behalf of the caller",
	[SG_CLASS_NEVER] = "never given",
};

struct sg_policy *sg_load_flags(void)
{
	struct sg_source *source = NULL, *sources[1];
	struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	const struct sg_variables variables = {"/nonexistent", "/nonexistent", "nobody", "0", "/nonexistent"};
	struct sg_error error = SG_ERROR_INIT;
	struct sg_policy *policy = NULL;
	/* The definitions for pledge are read where a text speaks of them. */
	static const char text[] = "# pledge-\n";

	if (sg_source_new("empty", text, sizeof(text) - 1, &source) < 0)
		return NULL;
	sources[0] = source;
	if (sg_policy_compile(sources, 1, &variables, sg_profile_open, NULL, &diagnostics, &policy, &error) != 0 ||
	    sg_policy_read_flags(policy) < 0) {
		sg_complain("the built-in flags do not compile: %s", error.text);
		sg_policy_free(policy);
		policy = NULL;
	}
	sg_diagnostics_done(&diagnostics);
	return policy;
}

/* The flags that state the call, each once, in the order of their files. */
static size_t find_flags(const struct sg_policy *policy, const char *name, const char **flags, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < policy->profile_count; i++)
		for (size_t j = 0; j < policy->profiles[i]->count && count < max; j++) {
			const struct sg_statement *statement = &policy->profiles[i]->statements[j];

			if (statement->section == SG_SECTION_DEFINE && sg_rule_gives_call(statement->kind) &&
			    strcmp(statement->text, name) == 0 &&
			    (count == 0 || strcmp(flags[count - 1], statement->group) != 0))
				flags[count++] = statement->group;
		}
	return count;
}

enum { FLAGS_MAX = 128 };

static void write_roles(const struct sg_syscall *call, const char *between, const char *quote, struct sg_buffer *out)
{
	unsigned int count = SG_SYSCALL_ARGUMENTS;

	while (count > 0 && sg_syscall_role(call, count - 1) == SG_ARG_NONE)
		count--;
	for (unsigned int i = 0; i < count; i++)
		sg_buffer_printf(out, "%s%s%s%s", i == 0 ? "" : between, quote,
				 sg_arg_role_name(sg_syscall_role(call, i)), quote);
}

static void write_json(const struct sg_policy *policy, const struct sg_syscall *call, struct sg_buffer *out)
{
	const char *flags[FLAGS_MAX];
	const size_t count = find_flags(policy, call->name, flags, FLAGS_MAX);

	sg_buffer_printf(out, "{\"number\":%u,\"name\":\"%s\",\"class\":\"%s\",\"purpose\":", call->number, call->name,
			 sg_syscall_class_name((enum sg_syscall_class)call->class));
	sg_buffer_append_json(out, sg_syscall_purpose(call), strlen(sg_syscall_purpose(call)));
	sg_buffer_append_text(out, ",\"arguments\":[");
	write_roles(call, ",", "\"", out);
	sg_buffer_append_text(out, "],\"flags\":[");
	for (size_t i = 0; i < count; i++)
		sg_buffer_printf(out, "%s\"%s\"", i == 0 ? "" : ",", flags[i]);
	sg_buffer_append_byte(out, ']');
	if (call->class == SG_CLASS_NEVER) {
		sg_buffer_printf(out, ",\"error\":\"%s\",\"reason\":", strerrorname_np(call->error));
		sg_buffer_append_json(out, sg_syscall_reason(call), strlen(sg_syscall_reason(call)));
	}
	sg_buffer_append_text(out, "}\n");
}

static void write_row(const struct sg_policy *policy, const struct sg_syscall *call, struct sg_buffer *out)
{
	const char *smallest = call->class == SG_CLASS_NEVER ? "-" : sg_need_flag_of_call(policy, call->name);

	sg_buffer_printf(out, "%3u  %-24s %-12s %-14s %s\n", call->number, call->name,
			 sg_syscall_class_name((enum sg_syscall_class)call->class), smallest != NULL ? smallest : "-",
			 sg_syscall_purpose(call));
}

/* Requests, options and kinds of sockets that the filter knows for the call, with the flag of each. */
static void write_value(const char *name, int flag, const char *reason, struct sg_buffer *out)
{
	if (flag != SG_FLAG_NONE_)
		sg_buffer_printf(out, "  %s\tflag \"%s\"\n", name, sg_flag_name((enum sg_flag)flag));
	else
		sg_buffer_printf(out, "  %s\tnever: %s\n", name, reason);
}

static void write_values(const struct sg_syscall *call, struct sg_buffer *out)
{
	const struct sg_buffer before = *out;
	size_t count;

	if (strcmp(call->name, "socket") == 0) {
		const struct sg_socket_kind *kinds = sg_socket_kinds(&count);

		sg_buffer_append_text(out, "\nKinds of sockets that it makes:\n");
		for (size_t i = 0; i < count; i++)
			write_value(kinds[i].name, kinds[i].flag, "", out);
	}
	if (strcmp(call->name, "setsockopt") == 0) {
		const struct sg_socket_option *options = sg_socket_options(&count);

		sg_buffer_append_text(out, "\nOptions that may be set:\n");
		for (size_t i = 0; i < count; i++)
			write_value(options[i].name, options[i].flag, options[i].reason, out);
	}
	for (int table = 0; table < SG_VALUE_TABLES_; table++) {
		const struct sg_value_list *values = sg_value_list((enum sg_value_table)table);

		if (values->number != call->number)
			continue;
		sg_buffer_append_text(out, "\nValues that its argument may have:\n");
		for (size_t i = 0; i < values->count; i++)
			write_value(values->rows[i].name, values->rows[i].flag, values->rows[i].reason, out);
	}
	if (out->size > before.size)
		sg_buffer_append_text(out, "Any other is answered as by a kernel that does not know it.\n");
}

static void write_flags(const struct sg_policy *policy, const struct sg_syscall *call, struct sg_buffer *out)
{
	const char *flags[FLAGS_MAX];
	const size_t count = find_flags(policy, call->name, flags, FLAGS_MAX);

	sg_buffer_append_text(out, "  flags\t");
	for (size_t i = 0; i < count; i++)
		sg_buffer_printf(out, "%s%s", i == 0 ? "" : ", ", flags[i]);
	if (count == 0)
		sg_buffer_append_text(out, "none");
	else
		sg_buffer_printf(out, " (the smallest: %s)", sg_need_flag_of_call(policy, call->name));
	sg_buffer_append_byte(out, '\n');
}

static void write_call(const struct sg_policy *policy, const struct sg_syscall *call, struct sg_buffer *out)
{
	sg_buffer_printf(out, "%s (number %u): %s\n\n", call->name, call->number, sg_syscall_purpose(call));
	sg_buffer_printf(out, "  class\t%s\n  bound\t%s\n", sg_syscall_class_name((enum sg_syscall_class)call->class),
			 bound[call->class]);
	if (call->class == SG_CLASS_NEVER)
		sg_buffer_printf(out, "  answered\t%s\n  why never\t%s\n", strerrorname_np(call->error),
				 sg_syscall_reason(call));
	else
		write_flags(policy, call, out);
	sg_buffer_append_text(out, "  arguments\t");
	if (call->roles == 0)
		sg_buffer_append_text(out, "none");
	write_roles(call, ", ", "", out);
	sg_buffer_append_byte(out, '\n');
	write_values(call, out);
}

/* A name that only OpenBSD has. Returns false if it is none. */
static bool write_openbsd(const struct sg_policy *policy, const char *name, struct sg_buffer *out)
{
	const struct sg_openbsd_call *call = sg_openbsd_find(name, strlen(name));
	const struct sg_syscall *linux_call;

	if (call == NULL)
		return false;
	sg_buffer_printf(out, "%s is a call of OpenBSD; ", name);
	if (call->linux_name == NULL) {
		sg_buffer_printf(out, "Linux has none like it: %s.\n", call->note);
		return true;
	}
	sg_buffer_printf(out, "in Linux it is %s%s%s.\n\n", call->linux_name, call->note[0] != '\0' ? ": " : "",
			 call->note);
	linux_call = sg_syscall_by_name(call->linux_name, strlen(call->linux_name));
	if (linux_call != NULL)
		write_call(policy, linux_call, out);
	return true;
}

static int complain_unknown(const char *name)
{
	const char *names[SG_SYSCALL_LIMIT], *nearest;
	size_t count = 0;

	for (unsigned int i = 0; i < SG_SYSCALL_LIMIT; i++)
		if (sg_syscall_by_number(i) != NULL)
			names[count++] = sg_syscall_by_number(i)->name;
	nearest = sg_text_nearest(name, names, count);
	sg_complain("there is no system call \"%s\"%s%s%s", name, nearest != NULL ? ", did you mean \"" : "",
		    nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
	return SG_EXIT_NO;
}

static int print_one(const struct sg_policy *policy, const char *name, bool json)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	const struct sg_syscall *call = sg_syscall_by_name(name, strlen(name));

	if (call != NULL && json)
		write_json(policy, call, &text);
	else if (call != NULL)
		write_call(policy, call, &text);
	else if (json || !write_openbsd(policy, name, &text))
		return complain_unknown(name);
	return sg_layout_print(STDOUT_FILENO, &text, json);
}

static int print_all(const struct sg_policy *policy, bool json)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

	if (!json)
		sg_buffer_printf(&out, "%3s  %-24s %-12s %-14s %s\n", "nr", "name", "class", "smallest flag",
				 "what it is for");
	for (unsigned int i = 0; i < SG_SYSCALL_LIMIT; i++) {
		const struct sg_syscall *call = sg_syscall_by_number(i);

		if (call == NULL)
			continue;
		if (json)
			write_json(policy, call, &out);
		else
			write_row(policy, call, &out);
	}
	return sg_layout_print(STDOUT_FILENO, &out, true);
}

static int answer(const struct sg_options *options)
{
	SG_AUTO_POLICY struct sg_policy *policy = NULL;

	if (options->simulate)
		return sg_simulate(options);
	if (options->command[0] != NULL && options->command[1] != NULL)
		return sg_command_usage("syscalls");
	policy = sg_load_flags();
	if (policy == NULL)
		return SG_EXIT_FAILED;
	return options->command[0] != NULL ? print_one(policy, options->command[0], options->json)
					   : print_all(policy, options->json);
}

int sg_command_syscalls(int argc, char **argv)
{
	struct sg_options options = {0};
	int status = SG_EXIT_USAGE;

	if (sg_options_read(argc, argv, &options) == 0) {
		if (options.help)
			status = sg_command_help("syscalls", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
		else
			status = answer(&options);
	}
	sg_options_done(&options);
	return status;
}
