/*
 * OCI: a patch for the config.json of a bundle (runtime-spec 1.1), as a JSON merge patch (RFC 7396).
 *
 * The bundle's root folder is to be an empty one: what the program sees is what the patch mounts, and the runtime makes the points for
 * that in it. Lists are replaced as a whole by a merge patch, so nothing that the bundle had besides (mounts, capabilities,
 * variables, devices) stays.
 *
 * A runtime refuses to start where a source of a bind is missing. So what only some hosts have, settings and what flags list for
 * all systems, is left out, and stands ready under "x-shellguard-optional" for whoever knows the host.
 *
 *   binds       recursive, so that nothing beneath a folder shows through, with each flag in both forms: "ro" for the mount
 *               itself, which every runtime knows, "rro" for those below it. nosuid, nodev, and noexec where no rule gives code.
 *   names       are text of JSON, and of nothing else: no option, where a comma would divide, holds one.
 *   no user     namespace: whose ids it would map, only the host knows. So a capability would be one over the host, and none is
 *               given; a runtime that is not started by root adds the namespace by itself (crun), or it is added by hand.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "export/exporters.h"
#include "export/host.h"
#include "export/mounting.h"
#include "export/seccomp.h"
#include "export/static_filter.h"

/* --- what it holds --- */

static const struct sg_mounting mounting = {
	.optional = "a host may lack it, and then the runtime would not start: left out, to be added by hand",
	.covered = "what is there at the start is covered by something empty; what the host puts there later is not",
	.hidden = "it is emptied and not hidden, and what the host puts there later is neither",
	.no_write = "what is there at the start is read-only; what is made there later is not",
};

static struct sg_hold judge_address(const struct sg_export *with, const struct sg_rule *rule)
{
	if (sg_mounting_is_unix(rule))
		return sg_mounting_judge_unix(&mounting, with, rule);
	if (rule->kind == SG_RULE_DENY_ADDRESS)
		return sg_mounting_names_outside(with->policy)
			       ? (struct sg_hold){SG_HOLDS_NOT, "one address is not told from another"}
			       : (struct sg_hold){SG_HOLDS, NULL};
	return (struct sg_hold){SG_HOLDS_STRICTER,
				"its network has no way out, and no way in, until the runtime gives it one"};
}

/* The user as a number. 2^32 - 1 is none (setuid(2)). */
static bool is_user_number(const char *text, json_int_t *ret)
{
	char *end;

	if (text[0] < '0' || text[0] > '9' || strlen(text) > 10)
		return false;
	*ret = strtoll(text, &end, 10);
	return *end == '\0' && *ret < UINT32_MAX;
}

static struct sg_hold judge_user(const struct sg_rule *rule)
{
	json_int_t id;

	if (is_user_number(rule->text, &id))
		return (struct sg_hold){SG_HOLDS_PARTLY, "the group gets the same number as the user"};
	return (struct sg_hold){SG_HOLDS_NOT, "a container knows users by number: set process.user"};
}

static struct sg_hold judge_limit(const struct sg_rule *rule)
{
	if (strcmp(rule->text, "Processes") == 0 || strcmp(rule->text, "Memory") == 0)
		return (struct sg_hold){SG_HOLDS_PARTLY,
					"a runtime that is not started by root may go without control groups"};
	return (struct sg_hold){SG_HOLDS, NULL};
}

static struct sg_hold judge(const struct sg_export *with, const struct sg_rule *rule)
{
	switch (rule->kind) {
	case SG_RULE_FLAG:
	case SG_RULE_SYSCALL:
	case SG_RULE_DENY_CAPABILITY:
	case SG_RULE_DIRECTORY:
		return (struct sg_hold){SG_HOLDS, NULL};
	case SG_RULE_DENY_FLAG:
	case SG_RULE_DENY_SYSCALL:
		return sg_seccomp_judge_calls(with->policy, rule);
	case SG_RULE_LIMIT:
		return judge_limit(rule);
	case SG_RULE_CAPABILITY:
		return (struct sg_hold){SG_HOLDS_STRICTER,
					"it counts in a user namespace of the program's own only; none is given here"};
	case SG_RULE_ALLOW:
	case SG_RULE_LISTEN:
	case SG_RULE_DENY_ADDRESS:
		return judge_address(with, rule);
	case SG_RULE_ENVIRONMENT:
		return strchr(rule->text, '=') != NULL
			       ? (struct sg_hold){SG_HOLDS, NULL}
			       : (struct sg_hold){SG_HOLDS_STRICTER, "no variable passes from outside"};
	case SG_RULE_USER:
		return judge_user(rule);
	default:
		return sg_mounting_judge(&mounting, with, rule);
	}
}

static struct sg_hold judge_rest(const struct sg_export *with, enum sg_export_rest rest)
{
	if (rest == SG_REST_FILES && sg_policy_has_flag(with->policy, "sysinfo"))
		return (struct sg_hold){
			SG_HOLDS_PARTLY,
			"of what /proc tells of the machine, only what is known to tell too much is covered; "
			"and FIFOs of the host lie in folders that are given"};
	if (rest == SG_REST_CALLS)
		return sg_seccomp_judge_calls(with->policy, NULL);
	if (rest == SG_REST_FILES || rest == SG_REST_PROGRAMS)
		return sg_mounting_judge_rest(with, rest);
	if (rest == SG_REST_ADDRESSES && sg_mounting_names_outside(with->policy))
		return (struct sg_hold){SG_HOLDS_PARTLY, "a network with a way out leads to every address"};
	if (rest == SG_REST_ADDRESSES && sg_static_filter_has_sockets(with->policy) &&
	    sg_mounting_has_host_folders(with->places))
		return (struct sg_hold){SG_HOLDS_PARTLY,
					"sockets of the host in folders that are given may be connected to"};
	return (struct sg_hold){SG_HOLDS, NULL};
}

/* --- mounts --- */

/* Appends each of the words, up to NULL. */
static int append_words(json_t *to, const char *const *words)
{
	for (size_t i = 0; words[i] != NULL; i++)
		if (json_array_append_new(to, json_string(words[i])) < 0)
			return -ENOMEM;
	return 0;
}

/* For folders; a runtime takes none of the forms for what lies below on a file. */
static const char *const bind_options[] = {"rbind", "rprivate", "nosuid", "rnosuid", "nodev", "rnodev", NULL};
static const char *const read_only[] = {"ro", "rro", NULL}, *const writable[] = {"rw", NULL};
static const char *const no_code[] = {"noexec", "rnoexec", NULL}, *const code[] = {"exec", NULL};
static const char *const file_options[] = {"bind", "rprivate", "nosuid", "nodev", NULL};
static const char *const file_read_only[] = {"ro", NULL}, *const file_no_code[] = {"noexec", NULL};
static const char *const own_options[] = {"nosuid", "nodev", NULL};

/* -EILSEQ: JSON does not hold that name. */
static int append_mount(json_t *mounts, const char *destination, const char *type, const char *source, json_t *options)
{
	json_t *mount = json_pack("{s:s, s:s, s:s, s:o}", "destination", destination, "type", type, "source", source,
				  "options", options);

	return mount == NULL || json_array_append_new(mounts, mount) < 0 ? -EILSEQ : 0;
}

static int append_bind(json_t *mounts, const struct sg_place *place, const char *destination, const char *source)
{
	json_t *options = json_array();
	int status = options == NULL ? -ENOMEM : append_words(options, place->folder ? bind_options : file_options);

	if (status == 0)
		status = append_words(options, place->write ? writable : place->folder ? read_only : file_read_only);
	if (status == 0)
		status = append_words(options, place->execute ? code : place->folder ? no_code : file_no_code);
	if (status == 0)
		return append_mount(mounts, destination, "bind", source, options);
	json_decref(options);
	return status;
}

static bool is_shared_folder(const char *path)
{
	return strcmp(path, "/tmp") == 0 || strcmp(path, "/var/tmp") == 0;
}

static int append_private(json_t *mounts, const char *path, bool execute, const char *mode)
{
	json_t *options = json_array();
	int status = options == NULL ? -ENOMEM : append_words(options, own_options);

	if (status == 0)
		status = append_words(options, execute ? code : file_no_code);
	if (status == 0)
		status = json_array_append_new(options, json_string(mode)) < 0 ? -ENOMEM : 0;
	if (status == 0)
		return append_mount(mounts, path, "tmpfs", "tmpfs", options);
	json_decref(options);
	return status;
}

static int append_place(json_t *mounts, const struct sg_place *place)
{
	if (place->private)
		return append_private(mounts, place->path, place->execute,
				      is_shared_folder(place->path) ? "mode=1777" : "mode=0755");
	return append_bind(mounts, place, place->path, place->path);
}

/*
 * On most hosts /bin is a link into /usr, and programs name things so. Where the profile gives /usr/bin and does not speak of /bin,
 * the same folder stands there too: what is reached by it is the profile's on every host.
 */
static int append_usual_links(json_t *mounts, const struct sg_places *places)
{
	static const char *const names[] = {"/bin", "/sbin", "/lib", "/lib64"};

	for (size_t i = 0; i < SG_ARRAY_SIZE(names); i++) {
		char target[16];
		const struct sg_place *place;
		int status;

		(void)snprintf(target, sizeof(target), "/usr%s", names[i]);
		place = sg_places_around(places, target);
		if (place == NULL || place->private || place->optional || sg_places_around(places, names[i]) != NULL)
			continue;
		status = append_bind(mounts, place, names[i], target);
		if (status != 0)
			return status;
	}
	return 0;
}

/* What every program has, in the order in which it is mounted. `flag`: what gives it; NULL: always. */
static const struct {
	const char *flag, *destination, *type;
	const char *options[8];
} own_mounts[] = {
	{NULL, "/dev", "tmpfs", {"nosuid", "noexec", "strictatime", "mode=755", "size=65536k"}},
	{"tty", "/dev/pts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
	{"shared-memory", "/dev/shm", "tmpfs", {"nosuid", "nodev", "noexec", "mode=1777"}},
};

static int append_own(json_t *mounts, const struct sg_policy *policy)
{
	static const char *const proc_options[] = {"nosuid", "nodev", "noexec", NULL};
	json_t *options = json_array();
	int status = options == NULL ? -ENOMEM : append_words(options, proc_options);

	if (status == 0 && !sg_policy_has_flag(policy, "sysinfo"))
		status = json_array_append_new(options, json_string("subset=pid")) < 0 ? -ENOMEM : 0;
	if (status == 0)
		status = append_mount(mounts, "/proc", "proc", "proc", options);
	for (size_t i = 0; i < SG_ARRAY_SIZE(own_mounts) && status == 0; i++) {
		if (own_mounts[i].flag != NULL && !sg_policy_has_flag(policy, own_mounts[i].flag))
			continue;
		options = json_array();
		status = options == NULL ? -ENOMEM : append_words(options, own_mounts[i].options);
		if (status == 0)
			status = append_mount(mounts, own_mounts[i].destination, own_mounts[i].type, own_mounts[i].type,
					      options);
	}
	return status;
}

static int add_mounts(const struct sg_export *with, json_t *config)
{
	json_t *mounts = json_array(), *optional = json_array();
	int status = json_object_set_new(config, "mounts", mounts) < 0 ||
				     json_object_set_new(config, "x-shellguard-optional", optional) < 0
			     ? -ENOMEM
			     : append_own(mounts, with->policy);

	for (size_t i = 0; i < with->places->count && status == 0; i++)
		status = append_place(with->places->places[i].optional ? optional : mounts, &with->places->places[i]);
	return status == 0 ? append_usual_links(mounts, with->places) : status;
}

/* --- what is covered --- */

static int append_path(void *data, const char *path)
{
	return json_array_append_new(data, json_string(path)) < 0 ? -EILSEQ : 0;
}

/* What tells of the machine, its keys and its memory, or commands it. Names that a host lacks are passed over. */
static const char *const masked[] = {"/proc/acpi",
				     "/proc/asound",
				     "/proc/bus",
				     "/proc/config.gz",
				     "/proc/consoles",
				     "/proc/crypto",
				     "/proc/devices",
				     "/proc/diskstats",
				     "/proc/dma",
				     "/proc/driver",
				     "/proc/dynamic_debug",
				     "/proc/execdomains",
				     "/proc/fb",
				     "/proc/fs",
				     "/proc/interrupts",
				     "/proc/iomem",
				     "/proc/ioports",
				     "/proc/irq",
				     "/proc/kallsyms",
				     "/proc/kcore",
				     "/proc/key-users",
				     "/proc/keys",
				     "/proc/kmsg",
				     "/proc/kpagecgroup",
				     "/proc/kpagecount",
				     "/proc/kpageflags",
				     "/proc/latency_stats",
				     "/proc/locks",
				     "/proc/mdstat",
				     "/proc/misc",
				     "/proc/modules",
				     "/proc/mtrr",
				     "/proc/pagetypeinfo",
				     "/proc/partitions",
				     "/proc/pressure",
				     "/proc/sched_debug",
				     "/proc/schedstat",
				     "/proc/scsi",
				     "/proc/slabinfo",
				     "/proc/softirqs",
				     "/proc/swaps",
				     "/proc/sysrq-trigger",
				     "/proc/timer_list",
				     "/proc/timer_stats",
				     "/proc/tty",
				     "/proc/vmallocinfo",
				     "/proc/zoneinfo",
				     "/proc/buddyinfo",
				     "/proc/cmdline",
				     "/proc/allocinfo",
				     "/proc/bootconfig",
				     NULL};

static int add_covers(const struct sg_export *with, json_t *linux_part)
{
	const uint64_t refused = SG_NAME_BIT(SG_RULE_DENY) | SG_NAME_BIT(SG_RULE_DENY_READ) | SG_NAME_BIT(SG_RULE_HIDE);
	json_t *masks = json_array(), *read_only_paths = json_array();
	int status = json_object_set_new(linux_part, "maskedPaths", masks) < 0 ||
				     json_object_set_new(linux_part, "readonlyPaths", read_only_paths) < 0
			     ? -ENOMEM
			     : 0;

	if (status == 0 && sg_policy_has_flag(with->policy, "sysinfo"))
		status = append_words(masks, masked);
	if (status == 0)
		status = append_path(read_only_paths, "/proc/sys");
	if (status == 0)
		status = sg_mounting_covers(with, refused, append_path, masks);
	if (status == 0)
		status = sg_mounting_covers(with, SG_NAME_BIT(SG_RULE_DENY_WRITE), append_path, read_only_paths);
	return status;
}

/* --- the process --- */

static const char *const resource_names[] = {
	[RLIMIT_CPU] = "RLIMIT_CPU",         [RLIMIT_FSIZE] = "RLIMIT_FSIZE",   [RLIMIT_STACK] = "RLIMIT_STACK",
	[RLIMIT_CORE] = "RLIMIT_CORE",       [RLIMIT_NOFILE] = "RLIMIT_NOFILE", [RLIMIT_AS] = "RLIMIT_AS",
	[RLIMIT_MEMLOCK] = "RLIMIT_MEMLOCK",
};

/*
 * Processes are counted by the control group: the resource counts all that the user runs on the host. A default is no reason
 * not to start where the runtime's own limits are lower; but for cores, which the host would keep.
 */
static int add_limits(const struct sg_policy *policy, json_t *process)
{
	json_t *limits = json_array();
	int status = json_object_set_new(process, "rlimits", limits) < 0 ? -ENOMEM : 0;

	for (size_t i = 0; i < sg_limit_count && status == 0; i++) {
		const int resource = sg_limit_infos[i].resource;
		bool explicit;
		const uint64_t value = sg_policy_limit(policy, sg_limit_infos[i].name, &explicit);
		json_t *limit;

		if (resource < 0 || (size_t)resource >= SG_ARRAY_SIZE(resource_names) ||
		    resource_names[resource] == NULL || (!explicit && resource != RLIMIT_CORE))
			continue;
		limit = json_pack("{s:s, s:I, s:I}", "type", resource_names[resource], "soft", (json_int_t)value,
				  "hard", (json_int_t)value);
		status = limit == NULL || json_array_append_new(limits, limit) < 0 ? -ENOMEM : 0;
	}
	return status;
}

/* Nothing comes in from outside, and what the bundle had is the image's, not the profile's. */
static int add_environment(const struct sg_policy *policy, json_t *process)
{
	json_t *environment = json_array();
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_ENVIRONMENT, &count);
	bool has_path = false;
	int status = json_object_set_new(process, "env", environment) < 0 ? -ENOMEM : 0;

	for (size_t i = 0; i < count && status == 0; i++) {
		if (strchr(rules[i].text, '=') == NULL)
			continue;
		has_path |= strncmp(rules[i].text, "PATH=", 5) == 0;
		status = append_path(environment, rules[i].text);
	}
	if (status == 0 && !has_path)
		status = append_path(environment, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin");
	return status;
}

static int add_process(const struct sg_policy *policy, json_t *config)
{
	json_t *process = json_pack("{s:b, s:{s:[], s:[], s:[], s:[], s:[]}}", "noNewPrivileges", 1, "capabilities",
				    "bounding", "effective", "inheritable", "permitted", "ambient");
	const struct sg_rule *rules;
	size_t count;
	json_int_t id;
	int status = json_object_set_new(config, "process", process) < 0 ? -ENOMEM : add_limits(policy, process);

	if (status == 0)
		status = add_environment(policy, process);
	rules = sg_policy_rules(policy, SG_RULE_DIRECTORY, &count);
	if (status == 0 && count > 0)
		status = json_object_set_new(process, "cwd", json_string(rules[0].text)) < 0 ? -EILSEQ : 0;
	rules = sg_policy_rules(policy, SG_RULE_USER, &count);
	if (status == 0 && count > 0 && is_user_number(rules[0].text, &id)) {
		json_t *user = json_pack("{s:I, s:I, s:[]}", "uid", id, "gid", id, "additionalGids");

		status = json_object_set_new(process, "user", user) < 0 ? -ENOMEM : 0;
	}
	return status;
}

static int add_resources(const struct sg_policy *policy, json_t *linux_part)
{
	bool explicit;
	const uint64_t memory = sg_policy_limit(policy, "Memory", &explicit);
	json_t *resources =
		json_pack("{s:{s:I}}", "pids", "limit", (json_int_t)sg_policy_limit(policy, "Processes", NULL));

	if (resources == NULL)
		return -ENOMEM;
	if (explicit && memory > 0 &&
	    json_object_set_new(resources, "memory",
				json_pack("{s:I, s:I}", "limit", (json_int_t)memory, "swap", (json_int_t)memory)) < 0) {
		json_decref(resources);
		return -ENOMEM;
	}
	return json_object_set_new(linux_part, "resources", resources) < 0 ? -ENOMEM : 0;
}

static int add_linux(const struct sg_export *with, json_t *config)
{
	json_t *linux_part =
		json_pack("{s:[{s:s}, {s:s}, {s:s}, {s:s}, {s:s}, {s:s}], s:[]}", "namespaces", "type", "pid", "type",
			  "network", "type", "ipc", "type", "uts", "type", "mount", "type", "cgroup", "devices");
	int status = json_object_set_new(config, "linux", linux_part) < 0 ? -ENOMEM : 0;

	if (status == 0)
		status = json_object_set_new(linux_part, "seccomp", sg_seccomp_json(with->policy)) < 0 ? -ENOMEM : 0;
	if (status == 0)
		status = add_resources(with->policy, linux_part);
	return status == 0 ? add_covers(with, linux_part) : status;
}

static int write_oci(const struct sg_export *with, struct sg_buffer *out, struct sg_error *error)
{
	json_t *config;
	int status;

	/* First in the order of paths. It would lie over the container's own /proc and /dev, and the host's would show. */
	if (with->places->count > 0 && strcmp(with->places->places[0].path, "/") == 0)
		return sg_error_set(
			error, -EOPNOTSUPP,
			"%s \"%s\" gives the root itself, where a runtime mounts nothing: name folders in it",
			sg_rule_infos[with->places->places[0].rule->kind].name, with->places->places[0].rule->written);
	config = json_pack("{s:{s:b}, s:s}", "root", "readonly", 1, "x-shellguard-needs",
			   "a bundle whose root folder is empty: what lies in it is shown, whatever the profile says");
	status = config == NULL ? -ENOMEM : add_process(with->policy, config);
	if (status == 0)
		status = add_mounts(with, config);
	if (status == 0)
		status = add_linux(with, config);
	if (status == 0)
		return sg_export_append_json(with, config, out, error);
	json_decref(config);
	if (status == -EILSEQ)
		return sg_error_set(error, status,
				    "a name or value of the profile is no UTF-8, and JSON holds nothing else");
	return sg_error_set_errno(error, status, "cannot write the artefact for %s", with->exporter->name);
}

const struct sg_exporter sg_export_oci = {
	.name = "oci",
	.summary = "patch for a container's config.json (JSON merge patch, RFC 7396), for crun, runc, youki",
	.suffix = ".oci.json",
	.mounts = true,
	.judge = judge,
	.judge_rest = judge_rest,
	.write = write_oci,
	.probe = sg_host_runs_containers,
};
