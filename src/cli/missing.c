#include "cli/missing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "export/apparmor_bound.h"
#include "world/confine.h"
#include "world/label.h"
#include "world/probe.h"

/* What it means for a world that a feature is accepted as missing. */
static const char *const accepted_words[SG_FEATURES_] = {
	[SG_FEATURE_CGROUP_MEMORY] = "the memory of this world has no limit",
	[SG_FEATURE_APPARMOR] = "no profile of AppArmor stands around this world",
	[SG_FEATURE_LANDLOCK] = "the mount tree alone bounds what files there are",
	[SG_FEATURE_IDMAPPED_MOUNTS] = "uid 0 of this world owns nothing of what it may write",
};

/* A rule needs what is missing. Returns 0 if the policy accepts that, else SG_EXIT_FAILED. */
static int require(const struct sg_policy *policy, enum sg_feature feature, const struct sg_rule *rule,
		   const char *reason, struct sg_missing *missing)
{
	const struct sg_feature_info *info = &sg_feature_infos[feature];

	if (sg_policy_find(policy, SG_RULE_ACCEPT, info->name) != NULL) {
		missing->features[missing->count++] = feature;
		sg_complain("without %s, as the profile accepts: %s", info->name, accepted_words[feature]);
		return 0;
	}
	sg_complain("%s:%zu: %s \"%s\" needs the feature %s, which is missing here%s%s%s. "
		    "What helps: %s. Or accept it: Misc.AcceptMissing = [\"%s\"]",
		    rule->source->name, sg_source_line(rule->source, rule->span.offset), sg_rule_infos[rule->kind].name,
		    rule->written, info->name, *reason != '\0' ? " (" : "", reason, *reason != '\0' ? ")" : "",
		    info->remedy, info->name);
	return SG_EXIT_FAILED;
}

static int find_group(const struct sg_policy *policy, const char *session, struct sg_cgroup *group,
		      struct sg_missing *missing)
{
	struct sg_error error = SG_ERROR_INIT;
	struct sg_cgroup_limits limits = {0};
	const struct sg_rule *rule = sg_policy_find(policy, SG_RULE_LIMIT, "Memory");
	bool given;

	limits.memory = sg_policy_limit(policy, "Memory", &given);
	limits.processes = sg_policy_limit(policy, "Processes", &given);
	if (!given) /* the default is held by the resource limit */
		limits.processes = 0;
	(void)sg_cgroup_make(session, &limits, group, &error);
	if (limits.memory == 0 || rule == NULL || group->memory)
		return 0;
	return require(policy, SG_FEATURE_CGROUP_MEMORY, rule,
		       error.code != 0 ? error.text : "the memory controller is not in use here", missing);
}

/* Only where the profile says that it may be missing: else the mount itself says so when it is made. */
static int find_mapping(const struct sg_policy *policy, struct sg_plan *plan, struct sg_missing *missing)
{
	const struct sg_rule *accepted =
		sg_policy_find(policy, SG_RULE_ACCEPT, sg_feature_infos[SG_FEATURE_IDMAPPED_MOUNTS].name);
	bool said = false;

	for (size_t i = 0; accepted != NULL && i < plan->mount_count; i++) {
		struct sg_mount *mount = &plan->mounts[i];
		struct sg_probe_result result;

		if (mount->kind != SG_MOUNT_TREE || (mount->flags & SG_MOUNT_OWNED) == 0)
			continue;
		sg_probe(SG_FEATURE_IDMAPPED_MOUNTS, mount->source, &result);
		if (result.state != SG_PROBE_MISSING)
			continue;
		mount->flags &= ~(unsigned int)SG_MOUNT_OWNED;
		if (!said)
			(void)require(policy, SG_FEATURE_IDMAPPED_MOUNTS, accepted, result.detail, missing);
		said = true;
	}
	return 0;
}

static int find_landlock(const struct sg_policy *policy, struct sg_missing *missing)
{
	const struct sg_rule *rule = sg_policy_find(policy, SG_RULE_BOUND, "landlock");

	if (rule == NULL)
		return 0;
	missing->landlock = sg_confine_landlock_version() >= SG_CONFINE_FILES_ABI;
	return missing->landlock
		       ? 0
		       : require(policy, SG_FEATURE_LANDLOCK, rule, "its part for files, Linux 5.19", missing);
}

/* Why there is no profile of AppArmor, which only some policies mind. */
static int go_without_apparmor(const struct sg_policy *policy, const char *reason, struct sg_missing *missing)
{
	const struct sg_rule *rule = sg_policy_find(policy, SG_RULE_BOUND, "apparmor");

	missing->apparmor = false;
	(void)snprintf(missing->no_apparmor, sizeof(missing->no_apparmor), "%s", reason);
	return rule != NULL ? require(policy, SG_FEATURE_APPARMOR, rule, reason, missing) : 0;
}

static int find_apparmor(const struct sg_policy *policy, bool watched, struct sg_missing *missing)
{
	SG_AUTO_BUFFER struct sg_buffer reason = SG_BUFFER_INIT;

	if (watched) /* what is watched is what programs ask for, and a bound would stand before it */
		return go_without_apparmor(policy, "a session that is watched has none", missing);
	missing->apparmor = sg_label_find(&reason);
	if (missing->apparmor)
		return 0;
	sg_buffer_append_byte(&reason, '\0');
	return go_without_apparmor(policy, sg_buffer_status(&reason) == 0 ? reason.data : "no memory", missing);
}

void sg_missing_explain_apparmor(bool whole, struct sg_buffer *out)
{
	SG_AUTO_BUFFER struct sg_buffer reason = SG_BUFFER_INIT;

	if (!sg_label_find(&reason))
		sg_buffer_printf(out, "%s%.*s\n",
				 whole ? "  There is no profile of AppArmor: " : "  AppArmor\tno profile of it: ",
				 (int)reason.size, reason.size > 0 ? reason.data : "");
	else if (!whole)
		sg_buffer_append_text(out, "  AppArmor\ta profile of it around the world, as a second bound\n");
	else
		sg_buffer_append_text(out,
				      "  A second time, by a profile of AppArmor around the world:\n"
				      "    files\tby the same rules, where it opens them itself\n"
				      "    the rest\tsockets by family and type, capabilities, tracing, signals\n");
}

/* AppArmor's language cannot hold that rule of the policy. */
static int go_without_rule(const struct sg_policy *policy, const struct sg_rule *rule, struct sg_missing *missing)
{
	char reason[SG_MISSING_REASON_SIZE];

	(void)snprintf(reason, sizeof(reason), "%s:%zu: %s has more alternatives than AppArmor's language holds",
		       rule->source->name, sg_source_line(rule->source, rule->span.offset),
		       sg_rule_infos[rule->kind].name);
	return go_without_apparmor(policy, reason, missing);
}

/* A fault on the way to it. */
static int go_without_loading(const struct sg_policy *policy, const char *reason, struct sg_missing *missing)
{
	const struct sg_rule *accepted =
		sg_policy_find(policy, SG_RULE_ACCEPT, sg_feature_infos[SG_FEATURE_APPARMOR].name);

	missing->apparmor = false;
	(void)snprintf(missing->no_apparmor, sizeof(missing->no_apparmor), "%s", reason);
	if (accepted != NULL) {
		sg_complain("%s", reason);
		return require(policy, SG_FEATURE_APPARMOR, accepted, reason, missing);
	}
	sg_complain(
		"%s. This host has AppArmor, and nothing is started without the bound, unless the profile lets it be "
		"missing: Misc.AcceptMissing = [\"apparmor\"]",
		reason);
	return SG_EXIT_FAILED;
}

int sg_missing_withhold_apparmor(struct sg_plan *plan, struct sg_error *error)
{
	const char *const folders[] = {sg_apparmor_folders.run, sg_apparmor_folders.cache};
	SG_AUTO_BUFFER struct sg_buffer reason = SG_BUFFER_INIT;

	if (!sg_label_find(&reason)) /* also for a world that has none itself */
		return 0;
	sg_apparmor_bound_prepare(&sg_apparmor_folders);
	for (size_t i = 0; i < SG_ARRAY_SIZE(folders); i++) {
		SG_AUTO_FREE char *path = realpath(folders[i], NULL);

		if (path == NULL && errno == ENOENT) /* one that cannot be made holds nothing */
			continue;
		if (path == NULL || sg_plan_withhold(plan, path) < 0)
			return sg_error_set_errno(error, path == NULL ? -errno : -ENOMEM, "cannot withhold %s",
						  folders[i]);
	}
	return 0;
}

int sg_missing_take_apparmor(const struct sg_plan *plan, struct sg_missing *missing, struct sg_missing_profile *ret)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	struct sg_error error = SG_ERROR_INIT;
	const struct sg_rule *rule;
	int status;

	if (!missing->apparmor)
		return 0;
	status = sg_apparmor_world_write(plan, ret->name, &text, &rule);
	if (status > 0)
		return go_without_rule(plan->policy, rule, missing);
	if (status < 0)
		(void)sg_error_set_errno(&error, status, "cannot make the world's AppArmor profile");
	else
		status = sg_apparmor_bound_take(&sg_apparmor_folders, ret->name, &text, &ret->lock, &error);
	return status == 0 ? 0 : go_without_loading(plan->policy, error.text, missing);
}

void sg_missing_release_apparmor(const struct sg_missing_profile *profile)
{
	if (profile->lock >= 0)
		sg_apparmor_bound_release(&sg_apparmor_folders, profile->name, profile->lock);
}

int sg_missing_find(const struct sg_policy *policy, struct sg_plan *plan, const struct sg_identity *identity,
		    const char *session, bool watched, struct sg_cgroup *group, struct sg_missing *ret)
{
	int status = find_group(policy, session, group, ret);

	if (status == 0)
		status = find_landlock(policy, ret);
	if (status == 0)
		status = find_apparmor(policy, watched, ret);
	if (status == 0 && identity->mapped)
		status = find_mapping(policy, plan, ret);
	return status;
}

void sg_missing_explain(const char *folder)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

	sg_probe_explain(folder, &out);
	if (out.size > 0 && sg_buffer_status(&out) == 0)
		(void)sg_print(STDERR_FILENO, out.data, out.size);
}

int sg_missing_inside(const char *folder)
{
	struct sg_surroundings where;
	struct sg_probe_result result;

	sg_surroundings_find(&where);
	if (where.session == NULL)
		return 0;
	sg_probe(SG_FEATURE_USER_NAMESPACES, folder, &result);
	if (result.state != SG_PROBE_MISSING)
		return 0;
	sg_complain("this is inside of a ShellGuard session, and no flag lets a world make worlds: leave the session "
		    "for it, or put "
		    "all that it is to do into the session's profile");
	return SG_EXIT_FAILED;
}
