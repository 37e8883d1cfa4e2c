/*
 * systemd: a drop-in for a service of the system manager (systemd.exec(5), version 252).
 *
 * An empty root is mounted, and in it what the profile names, each with '-' so that what a host lacks is passed over. Every list
 * that this file sets is emptied first, so that nothing the unit or another drop-in put there stays, and what would take a
 * directive of this file away (another's network, a /tmp with code) is set back; what they set besides is theirs, and so
 * are their command lines (a '+' before one takes all of this away).
 *
 *   system calls   by name; systemd always adds some (@default), and those that the profile does not give are taken away again. Of
 *                  arguments it looks at what its own directives are about. Calls that are younger than the library
 *                  of its time are left out: systemd would pass over the name, and refuses the call either way.
 *   names          unit_text.h
 *   processes      are the host's: there is no directive for a PID namespace.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "export/exporters.h"
#include "export/host.h"
#include "export/mounting.h"
#include "export/seccomp.h"
#include "export/static_filter.h"
#include "export/systemd_network.h"
#include "export/unit_text.h"
#include "tables/values.h"
#include "world/grants.h"

/* --- what it holds --- */

static const struct sg_mounting mounting = {
	.covered = "what is there at the start is covered; what the host puts there later is not",
	.hidden = "it is covered and not hidden, and what the host puts there later is neither",
	.no_write = "what is there at the start is read-only; what is made there later is not",
	.no_code = "what is there at the start is not executed; what is made there later may be",
	.terminals = "terminals would be the host's, so there are none",
};

#define ARGUMENTS "of arguments it looks at code in memory, kinds of sockets, namespaces and set-id bits"

static struct sg_hold judge_limit(const struct sg_rule *rule)
{
	if (strcmp(rule->text, "Processes") == 0 || strcmp(rule->text, "Memory") == 0)
		return (struct sg_hold){SG_HOLDS_PARTLY,
					"where the host's control groups cannot count it, systemd goes without"};
	return (struct sg_hold){SG_HOLDS, NULL};
}

static struct sg_hold judge(const struct sg_export *with, const struct sg_rule *rule)
{
	switch (rule->kind) {
	case SG_RULE_DENY_SYSCALL:
		return sg_seccomp_judge_calls(with->policy, rule);
	case SG_RULE_DENY_CAPABILITY:
	case SG_RULE_ENVIRONMENT:
	case SG_RULE_DIRECTORY:
	case SG_RULE_USER:
		return (struct sg_hold){SG_HOLDS, NULL};
	case SG_RULE_FLAG:
		if (strcmp(rule->text, "dns") == 0 && sg_mounting_names_outside(with->policy))
			return (struct sg_hold){SG_HOLDS_PARTLY, "the host's resolver answers for every name"};
		return (struct sg_hold){SG_HOLDS_STRICTER, "calls that are younger than Linux 5.17 are left out"};
	case SG_RULE_SYSCALL:
		return (struct sg_hold){SG_HOLDS_STRICTER, "calls that are younger than Linux 5.17 are left out"};
	case SG_RULE_DENY_FLAG:
		return (struct sg_hold){SG_HOLDS_PARTLY,
					"by the names of system calls; arguments are hardly looked at"};
	case SG_RULE_LIMIT:
		return judge_limit(rule);
	case SG_RULE_CAPABILITY:
		return (struct sg_hold){SG_HOLDS_STRICTER,
					"it counts in a user namespace of the program's own only; none is given here"};
	case SG_RULE_ALLOW:
	case SG_RULE_LISTEN:
	case SG_RULE_DENY_ADDRESS:
		return sg_mounting_is_unix(rule) ? sg_mounting_judge_unix(&mounting, with, rule)
						 : sg_systemd_judge_address(with, rule);
	default:
		return sg_mounting_judge(&mounting, with, rule);
	}
}

static struct sg_hold judge_addresses(const struct sg_export *with)
{
	if (sg_mounting_names_outside(with->policy))
		return (struct sg_hold){
			SG_HOLDS_PARTLY,
			"filters know no ports, no protocols and no names, and are there where the kernel has them"};
	if (sg_static_filter_has_sockets(with->policy) && sg_mounting_has_host_folders(with->places))
		return (struct sg_hold){SG_HOLDS_PARTLY,
					"sockets of the host in folders that are given may be connected to"};
	return (struct sg_hold){SG_HOLDS, NULL};
}

static struct sg_hold judge_rest(const struct sg_export *with, enum sg_export_rest rest)
{
	switch (rest) {
	case SG_REST_FILES:
		return (struct sg_hold){
			SG_HOLDS_PARTLY,
			"FIFOs of the host lie in folders that are given, folders with wildcards are given "
			"as a whole, /sys/devices can be read, and the unit's directories (RuntimeDirectory= ...) are "
			"its own"};
	case SG_REST_PROGRAMS:
		return sg_mounting_judge_rest(with, rest);
	case SG_REST_ADDRESSES:
		return judge_addresses(with);
	case SG_REST_CALLS:
		return (struct sg_hold){SG_HOLDS_PARTLY,
					sg_static_filter_leaves_open(with->policy, NULL) == NULL ? ARGUMENTS
												 : ARGUMENTS
						"; execve and execveat are left open for the program itself"};
	case SG_REST_PROCESSES:
		return (struct sg_hold){
			SG_HOLDS_PARTLY,
			"processes of other users are not seen; those of the same user are, and get signals"};
	case SG_REST_ENVIRONMENT:
		return (struct sg_hold){SG_HOLDS_PARTLY, "the manager sets variables of its own"};
	default:
		return (struct sg_hold){SG_HOLDS, NULL};
	}
}

/* --- system calls --- */

/* What systemd adds to every list of allowed calls (@default), of those that x86_64 has; of versions to come, too. */
static const char *const always_added[] = {
	"arch_prctl",
	"brk",
	"clock_getres",
	"clock_gettime",
	"clock_nanosleep",
	"exit",
	"exit_group",
	"futex",
	"futex_waitv",
	"get_robust_list",
	"get_thread_area",
	"getegid",
	"geteuid",
	"getgid",
	"getgroups",
	"getpgid",
	"getpgrp",
	"getpid",
	"getppid",
	"getrandom",
	"getresgid",
	"getresuid",
	"getrlimit",
	"getsid",
	"gettid",
	"gettimeofday",
	"getuid",
	"membarrier",
	"mmap",
	"mprotect",
	"munmap",
	"nanosleep",
	"pause",
	"prlimit64",
	"restart_syscall",
	"rseq",
	"rt_sigreturn",
	"sched_getaffinity",
	"sched_yield",
	"set_robust_list",
	"set_thread_area",
	"set_tid_address",
	"time",
};

/* The library of systemd's time (libseccomp 2.5.4) knows calls up to Linux 5.17; what came later among them by number, not. */
static bool is_known(unsigned int number)
{
	enum { LAST = 450, GAP_FIRST = 335, GAP_LAST = 336 };

	return number <= LAST && (number < GAP_FIRST || number > GAP_LAST);
}

/*
 * clone3 is in the list so that it answers ENOSYS, upon which the C library takes clone: not by the list, which cannot say that, but by
 * the filter of RestrictNamespaces=, which sees no argument of it and so refuses it whatever they are.
 */
static bool is_allowed_somehow(const struct sg_filter_spec *spec, unsigned int number)
{
	const struct sg_filter_rule *rule = &spec->rules[number == SYS_clone3 ? SYS_clone : number];
	bool allowed = rule->action == SECCOMP_RET_ALLOW;

	for (unsigned int i = 0; i < rule->count; i++)
		allowed |= spec->rows[rule->first + i].action == SECCOMP_RET_ALLOW;
	return allowed;
}

static void append_not_added(const struct sg_filter_spec *spec, struct sg_buffer *out)
{
	bool first = true;

	for (size_t i = 0; i < SG_ARRAY_SIZE(always_added); i++) {
		const struct sg_syscall *call = sg_syscall_by_name(always_added[i], strlen(always_added[i]));

		if (call == NULL || is_allowed_somehow(spec, call->number))
			continue;
		sg_buffer_printf(out, "%s%s", first ? "SystemCallFilter=~" : " ", call->name);
		first = false;
	}
	if (!first)
		sg_buffer_append_byte(out, '\n');
}

static void append_calls(const struct sg_filter_spec *spec, struct sg_buffer *out)
{
	size_t column = 0;

	sg_buffer_append_text(out, "SystemCallArchitectures=\nSystemCallArchitectures=native\nSystemCallErrorNumber="
				   "EPERM\nSystemCallFilter=\n");
	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++) {
		const struct sg_syscall *call = sg_syscall_by_number(number);

		if (call == NULL || !is_known(number) || !is_allowed_somehow(spec, number))
			continue;
		sg_buffer_printf(out, "%s%s", column == 0 ? "SystemCallFilter=" : " ", call->name);
		column += strlen(call->name) + 1;
		if (column > 110) {
			sg_buffer_append_byte(out, '\n');
			column = 0;
		}
	}
	if (column > 0)
		sg_buffer_append_byte(out, '\n');
	append_not_added(spec, out);
}

static void append_families(const struct sg_filter_grants *grants, struct sg_buffer *out)
{
	static const struct {
		int domain;
		const char *name;
	} families[] = {{AF_UNIX, "AF_UNIX"},
			{AF_INET, "AF_INET"},
			{AF_INET6, "AF_INET6"},
			{AF_NETLINK, "AF_NETLINK"},
			{AF_PACKET, "AF_PACKET"}};
	size_t count;
	const struct sg_socket_kind *kinds = sg_socket_kinds(&count);
	bool any = false;

	sg_buffer_append_text(out, "RestrictAddressFamilies=\n");
	for (size_t i = 0; i < SG_ARRAY_SIZE(families); i++) {
		bool given = false;

		for (size_t j = 0; j < count; j++)
			given |= kinds[j].domain == families[i].domain &&
				 sg_flag_set_has(&grants->flags, (enum sg_flag)kinds[j].flag);
		if (given)
			sg_buffer_printf(out, "RestrictAddressFamilies=%s\n", families[i].name);
		any |= given;
	}
	if (!any)
		sg_buffer_append_text(out, "RestrictAddressFamilies=none\n");
}

/* --- what holds whatever the profile says --- */

static const char always[] = "NoNewPrivileges=yes\n"
			     "PrivateMounts=yes\n"
			     "MountFlags=private\n"
			     "PrivateTmp=no\n"
			     "NetworkNamespacePath=\n"
			     "IPCNamespacePath=\n"
			     "CapabilityBoundingSet=\n"
			     "AmbientCapabilities=\n"
			     "SecureBits=\n"
			     "SupplementaryGroups=\n"
			     "RestrictNamespaces=yes\n"
			     "RestrictRealtime=yes\n"
			     "RestrictSUIDSGID=yes\n"
			     "LockPersonality=yes\n"
			     "KeyringMode=private\n"
			     "PrivateIPC=yes\n"
			     "PrivateUsers=yes\n"
			     "ProtectControlGroups=yes\n"
			     "ProtectKernelLogs=yes\n"
			     "ProtectKernelModules=yes\n"
			     "ProtectKernelTunables=yes\n"
			     "ProtectClock=yes\n"
			     "ProtectProc=invisible\n"
			     "PrivateDevices=yes\n"
			     "DevicePolicy=closed\n"
			     "DeviceAllow=\n"
			     "Delegate=no\n"
			     "RemoveIPC=yes\n";

/* Directives that a flag takes back. */
static const struct {
	const char *flag, *without, *with;
} by_flag[] = {
	{"jit", "MemoryDenyWriteExecute=yes\n", "MemoryDenyWriteExecute=no\n"},
	{"hostname", "ProtectHostname=yes\n", "ProtectHostname=no\n"},
	{"sysinfo", "ProcSubset=pid\n", "ProcSubset=all\n"},
};

/* --- files --- */

/* Lists that hold places, emptied first: the unit's own entries are no part of the profile. */
static const char emptied[] = "TemporaryFileSystem=\nBindPaths=\nBindReadOnlyPaths=\nReadWritePaths=\nReadOnlyPaths=\n"
			      "InaccessiblePaths=\nExecPaths=\nNoExecPaths=\nRootDirectory=\nRootImage=\nMountImages=\n"
			      "ExtensionImages=\nExtensionDirectories=\n";

/*
 * Where several directives speak of one path, systemd takes the strongest and the rest of the others' flags; a temporary file system is
 * the weakest, so code in it is refused by its own options and never by NoExecPaths=.
 */
static int append_private(const struct sg_place *place, struct sg_buffer *out)
{
	const bool shared = strcmp(place->path, "/tmp") == 0 || strcmp(place->path, "/var/tmp") == 0;
	char options[64];

	(void)snprintf(options, sizeof(options), "mode=%s,nosuid,nodev%s", shared ? "1777" : "0755",
		       place->execute ? "" : ",noexec");
	return sg_unit_append_path(out, "TemporaryFileSystem", place->path, SG_UNIT_PATH_WITH_OPTIONS, options);
}

static int append_bind(const struct sg_place *place, struct sg_buffer *out)
{
	int status = sg_unit_append_path(out, place->write ? "BindPaths" : "BindReadOnlyPaths", place->path,
					 SG_UNIT_PATH, NULL);

	if (status == 0)
		status = sg_unit_append_path(out, place->execute ? "ExecPaths" : "NoExecPaths", place->path,
					     SG_UNIT_PATH, NULL);
	return status;
}

/* On most hosts /bin is a link into /usr (oci.c): where the profile gives /usr/bin and no /bin, the same folder stands there. */
static int append_usual_links(const struct sg_places *places, struct sg_buffer *out)
{
	static const char *const names[] = {"/bin", "/sbin", "/lib", "/lib64"};

	for (size_t i = 0; i < SG_ARRAY_SIZE(names); i++) {
		char target[16];
		const struct sg_place *place;

		(void)snprintf(target, sizeof(target), "/usr%s", names[i]);
		place = sg_places_around(places, target);
		if (place == NULL || place->private || sg_places_around(places, names[i]) != NULL)
			continue;
		sg_buffer_printf(out, "%s=-%s:%s\n", place->write ? "BindPaths" : "BindReadOnlyPaths", target,
				 names[i]);
		sg_buffer_printf(out, "%s=-%s\n", place->execute ? "ExecPaths" : "NoExecPaths", names[i]);
	}
	return 0;
}

static int append_places(const struct sg_places *places, struct sg_buffer *out)
{
	int status = 0;

	for (size_t i = 0; i < places->count && status == 0; i++) {
		const struct sg_place *place = &places->places[i];

		status = place->private ? append_private(place, out) : append_bind(place, out);
	}
	return status == 0 ? append_usual_links(places, out) : status;
}

struct cover {
	struct sg_buffer *out;
	const char *key;
};

static int append_cover(void *data, const char *name)
{
	const struct cover *cover = data;

	return sg_unit_append_path(cover->out, cover->key, name, SG_UNIT_PATH, NULL);
}

static int append_covers(const struct sg_export *with, struct sg_buffer *out)
{
	static const struct {
		const char *key;
		uint64_t kinds;
	} covers[] = {
		{"InaccessiblePaths",
		 SG_NAME_BIT(SG_RULE_DENY) | SG_NAME_BIT(SG_RULE_DENY_READ) | SG_NAME_BIT(SG_RULE_HIDE)},
		{"ReadOnlyPaths", SG_NAME_BIT(SG_RULE_DENY_WRITE)},
		{"NoExecPaths", SG_NAME_BIT(SG_RULE_DENY_EXECUTE)},
	};
	int status = 0;

	for (size_t i = 0; i < SG_ARRAY_SIZE(covers) && status == 0; i++) {
		struct cover cover = {out, covers[i].key};

		status = sg_mounting_covers(with, covers[i].kinds, append_cover, &cover);
	}
	return status;
}

/* systemd shows the whole of /sys. What no rule names of it is taken away, as far as it has names that all hosts know. */
static void append_sys(const struct sg_places *places, struct sg_buffer *out)
{
	static const char *const folders[] = {
		"/sys/block", "/sys/bus",        "/sys/class",  "/sys/dev",    "/sys/devices", "/sys/firmware",
		"/sys/fs",    "/sys/hypervisor", "/sys/kernel", "/sys/module", "/sys/power",
	};

	for (size_t i = 0; i < SG_ARRAY_SIZE(folders); i++) {
		const size_t length = strlen(folders[i]);
		bool named = sg_places_around(places, folders[i]) != NULL;

		for (size_t j = 0; j < places->count; j++)
			named |= strncmp(places->places[j].path, folders[i], length) == 0 &&
				 places->places[j].path[length] == '/';
		if (!named)
			sg_buffer_printf(out, "InaccessiblePaths=-%s\n", folders[i]);
	}
}

static int append_files(const struct sg_export *with, struct sg_buffer *out)
{
	int status;

	sg_buffer_append_text(out, emptied);
	sg_buffer_append_text(out, "TemporaryFileSystem=/:ro,nosuid,nodev,noexec\n"
				   "TemporaryFileSystem=/run:ro,mode=0755,nosuid,nodev,noexec\n");
	/* Of the host's that systemd puts into a /dev of the unit's own. */
	sg_buffer_append_text(
		out,
		"InaccessiblePaths=-/dev/pts\nInaccessiblePaths=-/dev/mqueue\nInaccessiblePaths=-/dev/hugepages\n");
	sg_buffer_append_text(out, sg_policy_has_flag(with->policy, "shared-memory")
					   ? "TemporaryFileSystem=/dev/shm:mode=1777,nosuid,nodev,noexec\n"
					   : "InaccessiblePaths=-/dev/shm\n");
	append_sys(with->places, out);
	status = append_places(with->places, out);

	return status == 0 ? append_covers(with, out) : status;
}

/* --- the process --- */

static const char *const limit_keys[] = {
	[RLIMIT_CPU] = "LimitCPU",         [RLIMIT_FSIZE] = "LimitFSIZE",   [RLIMIT_STACK] = "LimitSTACK",
	[RLIMIT_CORE] = "LimitCORE",       [RLIMIT_NOFILE] = "LimitNOFILE", [RLIMIT_AS] = "LimitAS",
	[RLIMIT_MEMLOCK] = "LimitMEMLOCK",
};

static void append_limits(const struct sg_policy *policy, struct sg_buffer *out)
{
	for (size_t i = 0; i < sg_limit_count; i++) {
		const int resource = sg_limit_infos[i].resource;
		bool explicit;
		const uint64_t value = sg_policy_limit(policy, sg_limit_infos[i].name, &explicit);

		if (resource >= 0 && (size_t)resource < SG_ARRAY_SIZE(limit_keys) && limit_keys[resource] != NULL &&
		    (explicit || resource == RLIMIT_CORE))
			sg_buffer_printf(out, "%s=%" PRIu64 "\n", limit_keys[resource], value);
		else if (resource == SG_LIMIT_GROUP && explicit)
			sg_buffer_printf(out, "MemoryMax=%" PRIu64 "\nMemorySwapMax=0\n", value);
	}
	sg_buffer_printf(out, "TasksMax=%" PRIu64 "\n", sg_policy_limit(policy, "Processes", NULL));
}

static int append_environment(const struct sg_policy *policy, struct sg_buffer *out)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_ENVIRONMENT, &count);
	int status = 0;

	sg_buffer_append_text(out, "Environment=\nEnvironmentFile=\nPassEnvironment=\n");
	for (size_t i = 0; i < count && status == 0; i++)
		status = strchr(rules[i].text, '=') != NULL
				 ? sg_unit_append_assignment(out, rules[i].text)
				 : sg_unit_append_plain(out, "PassEnvironment", rules[i].text);
	return status;
}

static int append_process(const struct sg_policy *policy, struct sg_buffer *out)
{
	size_t count;
	const struct sg_rule *rules;
	int status;

	append_limits(policy, out);
	status = append_environment(policy, out);
	rules = sg_policy_rules(policy, SG_RULE_DIRECTORY, &count);
	if (status == 0 && count > 0)
		status = sg_unit_append_plain(out, "WorkingDirectory", rules[0].text);
	rules = sg_policy_rules(policy, SG_RULE_USER, &count);
	if (status == 0 && count > 0)
		status = sg_unit_append_plain(out, "User", rules[0].text);
	return status;
}

static int append_confinement(const struct sg_export *with, struct sg_buffer *out)
{
	SG_AUTO_FREE struct sg_filter_spec *spec = malloc(sizeof(*spec));
	struct sg_filter_grants grants;
	int status = spec == NULL ? -ENOMEM : sg_static_filter(with->policy, spec);

	if (status < 0)
		return status;
	sg_grants_find(with->policy, &grants);
	sg_buffer_append_text(out, always);
	for (size_t i = 0; i < SG_ARRAY_SIZE(by_flag); i++)
		sg_buffer_append_text(out, sg_policy_has_flag(with->policy, by_flag[i].flag) ? by_flag[i].with
											     : by_flag[i].without);
	append_calls(spec, out);
	append_families(&grants, out);
	sg_systemd_append_network(with->policy, out);
	return 0;
}

static int write_systemd(const struct sg_export *with, struct sg_buffer *out, struct sg_error *error)
{
	int status;

	sg_export_header(with, "# ", out);
	sg_buffer_append_text(out, "\n[Service]\n");
	status = append_confinement(with, out);
	if (status == 0)
		status = append_files(with, out);
	if (status == 0)
		status = append_process(with->policy, out);
	if (status == 0)
		status = sg_buffer_status(out);
	if (status == -EILSEQ)
		return sg_error_set(error, status,
				    "a name or value of the profile has control characters, is no UTF-8, or begins "
				    "or ends as no value of a unit may: systemd cannot hold it");
	return status == 0 ? 0 : sg_error_set_errno(error, status, "cannot write the artefact for systemd");
}

const struct sg_exporter sg_export_systemd = {
	.name = "systemd",
	.summary = "drop-in for a service of systemd (UNIT.service.d/NAME.conf)",
	.suffix = ".conf",
	.mounts = true,
	.judge = judge,
	.judge_rest = judge_rest,
	.write = write_systemd,
	.probe = sg_host_runs_systemd,
};
