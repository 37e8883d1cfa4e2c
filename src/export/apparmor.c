/*
 * A profile of AppArmor (apparmor.d(5), version 3.0).
 *
 * What it has no rule for is refused: files (apparmor_files.h), executions, sockets by family and type, mounts, tracing, signals to
 * others, capabilities, other profiles. Every program that may be executed stays in this one profile ("ix"). Names are those
 * that the kernel arrives at; a name that it cannot place in the tree (no attach_disconnected, no mediate_deleted) is refused.
 *
 * No text of the policy stands outside of a comment line or a quoted path: no name can end a rule or begin one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "export/apparmor_files.h"
#include "export/apparmor_host.h"
#include "export/apparmor_sockets.h"
#include "export/exporters.h"
#include "export/host.h"
#include "tables/flags.h"
#include "tables/values.h"
#include "world/grants.h"

/* --- sockets --- */

enum reach { REACHES_NOTHING, REACHES_NAMES /* of unix sockets */, REACHES_ADDRESSES };

static enum reach find_reach(const struct sg_policy *policy)
{
	struct sg_filter_grants grants;
	enum reach reach = REACHES_NOTHING;

	sg_grants_find(policy, &grants);
	for (size_t i = 0; sg_apparmor_types[i].name != NULL; i++) {
		if (sg_apparmor_makes_sockets(&grants, AF_UNIX, sg_apparmor_types[i].type) && reach == REACHES_NOTHING)
			reach = REACHES_NAMES;
		for (size_t j = 0; sg_apparmor_families[j].name != NULL; j++)
			if (sg_apparmor_makes_sockets(&grants, sg_apparmor_families[j].domain,
						      sg_apparmor_types[i].type))
				reach = REACHES_ADDRESSES;
	}
	return reach;
}

static void write_sockets(const struct sg_filter_grants *grants, const char *name, struct sg_buffer *out)
{
	sg_apparmor_sockets_write(grants, out);
	for (size_t i = 0; sg_apparmor_types[i].name != NULL; i++)
		if (sg_apparmor_makes_sockets(grants, AF_UNIX, sg_apparmor_types[i].type))
			sg_buffer_printf(
				out,
				"  unix (create, bind, listen, getattr, setattr, getopt, setopt, shutdown) type=%s,\n"
				"  unix (accept, connect, send, receive) type=%s peer=(label=\"%s\"),\n",
				sg_apparmor_types[i].name, sg_apparmor_types[i].name, name);
}

/* --- limits --- */

static const struct {
	int resource;
	const char *name;
} resources[] = {
	{RLIMIT_NPROC, "nproc"}, {RLIMIT_NOFILE, "nofile"}, {RLIMIT_FSIZE, "fsize"}, {RLIMIT_CPU, "cpu"},
	{RLIMIT_AS, "as"},       {RLIMIT_STACK, "stack"},   {RLIMIT_CORE, "core"},   {RLIMIT_MEMLOCK, "memlock"},
};

static const char *find_resource(const struct sg_limit_info *limit)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(resources); i++)
		if (resources[i].resource == limit->resource)
			return resources[i].name;
	return NULL;
}

static void write_limits(const struct sg_policy *policy, struct sg_buffer *out)
{
	for (size_t i = 0; i < sg_limit_count; i++) {
		const uint64_t value = sg_policy_limit(policy, sg_limit_infos[i].name, NULL);
		const char *name = find_resource(&sg_limit_infos[i]);

		if (name != NULL && value != 0)
			sg_buffer_printf(out, "  set rlimit %s <= %" PRIu64 ",\n", name, value);
	}
}

static struct sg_hold judge_limit(const struct sg_rule *rule)
{
	for (size_t i = 0; i < sg_limit_count; i++) {
		if (strcmp(sg_limit_infos[i].name, rule->text) != 0 || find_resource(&sg_limit_infos[i]) == NULL)
			continue;
		if (sg_limit_infos[i].resource == RLIMIT_NPROC)
			return (struct sg_hold){SG_HOLDS_PARTLY,
						"all processes of the user are counted, and none of root's"};
		return (struct sg_hold){SG_HOLDS, NULL};
	}
	return (struct sg_hold){SG_HOLDS_NOT, "it takes a control group"};
}

/* --- judgement --- */

#define NO_ADDRESSES "sockets are told apart by family and type, not by address"
#define NAMES_ONLY "no socket of a network can be made, but a unix socket reaches every name that its mode lets it"

static struct sg_hold judge_network(const struct sg_policy *policy)
{
	switch (find_reach(policy)) {
	case REACHES_NOTHING:
		return (struct sg_hold){SG_HOLDS, NULL};
	case REACHES_NAMES:
		return (struct sg_hold){SG_HOLDS_PARTLY, NAMES_ONLY};
	default:
		return (struct sg_hold){SG_HOLDS_NOT, NO_ADDRESSES};
	}
}

static struct sg_hold judge(const struct sg_export *with, const struct sg_rule *rule)
{
	const struct sg_apparmor_files *files = with->state;

	if (rule->glob != NULL && rule->address == NULL)
		return files->holds[rule - with->policy->rules];
	switch (rule->kind) {
	case SG_RULE_ALLOW:
	case SG_RULE_DENY_ADDRESS:
	case SG_RULE_LISTEN:
		return judge_network(with->policy);
	case SG_RULE_CAPABILITY:
		return (struct sg_hold){SG_HOLDS_STRICTER,
					"it counts in a user namespace of the program's own only; none is given here"};
	case SG_RULE_DENY_CAPABILITY:
		return (struct sg_hold){SG_HOLDS, NULL};
	case SG_RULE_LIMIT:
		return judge_limit(rule);
	case SG_RULE_ENVIRONMENT:
	case SG_RULE_DIRECTORY:
	case SG_RULE_USER:
		return (struct sg_hold){SG_HOLDS_NOT, "it is for whoever starts the program"};
	default:
		return (struct sg_hold){SG_HOLDS_NOT, "AppArmor sees objects, not system calls"};
	}
}

static struct sg_hold judge_rest(const struct sg_export *with, enum sg_export_rest rest)
{
	switch (rest) {
	case SG_REST_FILES:
		return (struct sg_hold){SG_HOLDS_PARTLY, "their names, and what stat tells of them, show; times and "
							 "extended attributes are not looked at"};
	case SG_REST_PROGRAMS:
		return (struct sg_hold){SG_HOLDS_PARTLY, "the interpreter that a script or a program names is not "
							 "asked about; set-user-ID bits count"};
	case SG_REST_ADDRESSES:
		return judge_network(with->policy);
	case SG_REST_CALLS:
		return (struct sg_hold){SG_HOLDS_NOT, "AppArmor sees objects, not system calls"};
	case SG_REST_CAPABILITIES:
		return (struct sg_hold){SG_HOLDS, NULL};
	case SG_REST_PROCESSES:
		return (struct sg_hold){SG_HOLDS_PARTLY,
					"signals and tracing are held; /proc shows them, and priorities "
					"and System V IPC are not looked at"};
	default:
		return (struct sg_hold){SG_HOLDS_NOT, "it is for whoever starts the program"};
	}
}

/* --- the profile --- */

static void write_rules(const struct sg_export *with, const char *name, struct sg_buffer *out)
{
	struct sg_filter_grants grants;

	sg_grants_find(with->policy, &grants);
	sg_buffer_printf(out, "\nabi <abi/3.0>,\n\nprofile \"%s\" {\n", name);
	sg_buffer_append_text(out, "  # Files.\n");
	sg_apparmor_files_write(with->state, out);
	sg_buffer_append_text(out, "\n  # Sockets; those of unix speak with programs of this profile.\n");
	write_sockets(&grants, name, out);
	sg_buffer_printf(out,
			 "\n  # Processes: those of this profile.\n"
			 "  signal (send, receive) peer=\"%s\",\n"
			 "  signal (receive),\n"
			 "  ptrace (%sread, readby, tracedby) peer=\"%s\",\n"
			 "  ptrace (readby, tracedby),\n",
			 name, sg_syscall_set_has(&grants.calls, SYS_ptrace) ? "trace, " : "", name);
	sg_buffer_append_text(out, "\n  # No power over the host, and no way out of this profile.\n"
				   "  audit deny capability,\n"
				   "  audit deny mount,\n"
				   "  audit deny remount,\n"
				   "  audit deny umount,\n"
				   "  audit deny pivot_root,\n"
				   "  deny change_profile,\n"
				   "\n  # Limits.\n");
	write_limits(with->policy, out);
	sg_buffer_append_text(out, "}\n");
}

static int write_apparmor(const struct sg_export *with, struct sg_buffer *out, struct sg_error *error)
{
	const struct sg_apparmor_files *files = with->state;
	SG_AUTO_BUFFER struct sg_buffer name = SG_BUFFER_INIT;

	if (files->unwritable != NULL)
		return sg_error_set(error, -E2BIG, "%s \"%s\" has too many alternatives for AppArmor's language",
				    sg_rule_infos[files->unwritable->kind].name, files->unwritable->written);
	sg_apparmor_name(with->policy->name, &name);
	sg_buffer_append_byte(&name, '\0');
	if (sg_buffer_status(&name) < 0)
		return -ENOMEM;
	sg_export_header(with, "# ", out);
	sg_buffer_printf(out,
			 "#\n"
			 "# Names are those that the kernel arrives at: where a folder that a rule names is a symbolic "
			 "link, the rule has to\n"
			 "# name what it leads to. Standard streams are files too: a terminal, or a file that output "
			 "goes to, needs a rule.\n"
			 "#\n"
			 "# To load it: apparmor_parser -r FILE; to take it away: apparmor_parser -R FILE. To run a "
			 "program in it:\n"
			 "#   aa-exec -p %s -- COMMAND\n"
			 "#   systemd: AppArmorProfile=%s\n"
			 "#   OCI: process.apparmorProfile; docker run --security-opt apparmor=%s\n",
			 name.data, name.data, name.data);
	write_rules(with, name.data, out);
	return sg_buffer_status(out);
}

static int open_apparmor(struct sg_export *with)
{
	with->state = calloc(1, sizeof(struct sg_apparmor_files));
	return with->state != NULL ? sg_apparmor_files_compose(with->policy, NULL, with->state) : -ENOMEM;
}

static void close_apparmor(struct sg_export *with)
{
	if (with->state != NULL)
		sg_apparmor_files_done(with->state);
	free(with->state);
	with->state = NULL;
}

const struct sg_exporter sg_export_apparmor = {
	.name = "apparmor",
	.summary = "a profile for apparmor_parser",
	.suffix = ".apparmor",
	.open = open_apparmor,
	.close = close_apparmor,
	.judge = judge,
	.judge_rest = judge_rest,
	.write = write_apparmor,
	.probe = sg_host_has_apparmor,
	.may_load = sg_apparmor_may_load,
	.load = sg_apparmor_load,
	.unload = sg_apparmor_unload,
};
