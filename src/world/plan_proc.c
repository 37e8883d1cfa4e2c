/*
 * What of the kernel's own files a world's /proc shows.
 *
 * Without the flag `sysinfo` it shows processes only. What the flag gives, and what a rule names by itself, is listed in
 * the mount's source; all else is covered when the mount is made (mount_proc.c), before anything of the world runs. A name that
 * a rule gives is shown only if it stands in the table below: files that tell figures and lists, and give nothing. What
 * is in no table (kcore, kmsg, keys, sysrq-trigger, kpage*, timer_list, and what a later kernel brings) is covered whatever
 * a profile says. All that is shown of a rule is read-only by its mount, and still decided where a Deny names it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "world/plan_internal.h"

#define PROC "/proc/"

/* Of every world that sees more than processes: what leads to the reader itself, and to its namespaces. */
static const char own[] = "/self/thread-self/mounts/net/";

/* With the flag `sysinfo`: what programs ask of the machine, and what holds nothing of the users of the host. */
static const char system_info[] =
	"/cpuinfo/meminfo/stat/uptime/loadavg/version/filesystems/sysvipc/sys/vmstat/cgroups/";

/* Where a rule names it. */
static const char *const named[] = {
	"buddyinfo", "cgroups",    "cmdline",  "config.gz",   "consoles", "cpuinfo",     "crypto",
	"devices",   "diskstats",  "dma",      "execdomains", "fb",       "filesystems", "interrupts",
	"loadavg",   "locks",      "mdstat",   "meminfo",     "misc",     "modules",     "mounts",
	"net",       "partitions", "pressure", "schedstat",   "slabinfo", "softirqs",    "stat",
	"swaps",     "sys",        "sysvipc",  "uptime",      "version",  "vmstat",      "zoneinfo",
};

/* The name right below /proc that a rule gives, whole or as a folder; *ret_length 0: none. */
static const char *name_of(const struct sg_rule *rule, size_t *ret_length)
{
	const size_t root = strlen(PROC);
	size_t length;
	const char *prefix = sg_glob_prefix(rule->glob, &length), *end;

	*ret_length = 0;
	if (length <= root || strncmp(prefix, PROC, root) != 0)
		return NULL;
	end = memchr(prefix + root, '/', length - root);
	if (end != NULL)
		*ret_length = (size_t)(end - prefix) - root;
	else if (sg_glob_is_literal(rule->glob))
		*ret_length = length - root;
	return prefix + root;
}

static bool may_be_named(const char *name, size_t length)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(named); i++)
		if (strlen(named[i]) == length && memcmp(named[i], name, length) == 0)
			return true;
	return false;
}

static bool is_listed(const struct sg_buffer *list, const char *name, size_t length)
{
	char word[32];

	(void)snprintf(word, sizeof(word), "/%.*s/", (int)length, name);
	return strstr(list->data, word) != NULL;
}

/* The flag `start` names one file of "sys" for programs that would like to see it: not worth a whole /proc for each world. */
static bool comes_with_all(const struct sg_rule *rule, const char *name, size_t length)
{
	return rule->flag != NULL && length == strlen("sys") && memcmp(name, "sys", length) == 0;
}

const char *sg_plan_proc_names(struct sg_planner *planner)
{
	const struct sg_policy *policy = planner->plan->policy;
	SG_AUTO_BUFFER struct sg_buffer list = SG_BUFFER_INIT;
	const bool all = sg_policy_has_flag(policy, "sysinfo");
	bool more = all;

	sg_buffer_append_text(&list, own);
	sg_buffer_append_text(&list, all ? system_info + 1 : "");
	for (size_t i = 0; i < policy->rule_count && sg_buffer_status(&list) == 0; i++) {
		const struct sg_rule *rule = &policy->rules[i];
		size_t length = 0;
		const char *name =
			rule->kind == SG_RULE_READ || rule->kind == SG_RULE_WRITE ? name_of(rule, &length) : NULL;

		if (length == 0 || !may_be_named(name, length) || is_listed(&list, name, length) ||
		    comes_with_all(rule, name, length))
			continue;
		sg_buffer_append(&list, name, length);
		sg_buffer_append_byte(&list, '/');
		more = true;
	}
	sg_buffer_append_byte(&list, '\0');
	if (sg_buffer_status(&list) < 0) {
		planner->status = -ENOMEM;
		return NULL;
	}
	return more ? sg_plan_keep(planner, list.data, list.size - 1) : NULL;
}
