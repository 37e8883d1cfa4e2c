/* shellguard doctor: what this kernel, for this user, here, can hold, and what to do about the rest. */
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/help.h"
#include "cli/layout.h"
#include "cli/options.h"
#include "export/apparmor_bound.h"
#include "export/apparmor_host.h"
#include "world/probe.h"

static const char *const states[] = {
	[SG_PROBE_PRESENT] = "present",
	[SG_PROBE_MISSING] = "missing",
	[SG_PROBE_UNTRIED] = "untried",
	[SG_PROBE_NOT_NEEDED] = "not needed",
};

struct report {
	struct sg_probe_result results[SG_FEATURES_];
	struct sg_surroundings surroundings;
	struct utsname host;
	size_t absent[SG_EFFECT_UNUSED + 1]; /* missing or untried, by what that means */
};

static bool is_absent(const struct sg_probe_result *result)
{
	return result->state == SG_PROBE_MISSING || result->state == SG_PROBE_UNTRIED;
}

static void examine(struct report *report)
{
	const struct sg_variables *variables = sg_variables_of_caller();

	sg_probe_all(variables != NULL ? variables->cwd : "/", report->results);
	sg_surroundings_find(&report->surroundings);
	(void)uname(&report->host);
	for (int i = 1; i < SG_FEATURES_; i++)
		if (is_absent(&report->results[i]))
			report->absent[sg_feature_infos[i].effect]++;
}

static void write_verdict(const struct report *report, struct sg_buffer *out)
{
	const size_t needed = report->absent[SG_EFFECT_NEEDED], rules = report->absent[SG_EFFECT_RULE];
	const size_t others = report->absent[SG_EFFECT_SLOWER] + report->absent[SG_EFFECT_OTHERWISE];

	if (needed > 0)
		sg_buffer_printf(out, "no world can be made here: %zu thing%s missing\n", needed,
				 needed == 1 ? " is" : "s are");
	else if (rules > 0)
		sg_buffer_printf(out, "worlds can be made here; %zu thing%s missing that some profiles need\n", rules,
				 rules == 1 ? " is" : "s are");
	else
		sg_buffer_append_text(out, "this kernel and user can hold every promise\n");
	if (others > 0)
		sg_buffer_printf(out, "(%zu thing%s done in another way, or slower)\n", others,
				 others == 1 ? " is" : "s are");
}

static void write_surroundings(const struct report *report, struct sg_buffer *out)
{
	const struct sg_surroundings *where = &report->surroundings;

	sg_buffer_append_text(out, "\nLinux ");
	sg_buffer_append_escaped(out, report->host.release, strlen(report->host.release));
	sg_buffer_printf(out, ", uid %u", (unsigned int)geteuid());
	if (where->container != NULL)
		sg_buffer_printf(out, ", in a container (%s)", where->container);
	if (where->wsl)
		sg_buffer_append_text(out, ", in the Windows Subsystem for Linux");
	if (where->session != NULL) {
		sg_buffer_append_text(out, ", within the ShellGuard session ");
		sg_buffer_append_escaped(out, where->session, strlen(where->session));
	}
	if (where->ci != NULL)
		sg_buffer_printf(out, ", in %s", where->ci);
	sg_buffer_append_byte(out, '\n');
}

/* What a missing feature of each effect is called. */
static const char *const words[] = {
	[SG_EFFECT_NEEDED] = "MISSING",  [SG_EFFECT_RULE] = "missing",  [SG_EFFECT_SLOWER] = "slower",
	[SG_EFFECT_OTHERWISE] = "other", [SG_EFFECT_UNUSED] = "absent",
};

static void write_row(enum sg_feature feature, const struct sg_probe_result *result, struct sg_buffer *out)
{
	const struct sg_feature_info *info = &sg_feature_infos[feature];
	const char *word = is_absent(result) ? words[info->effect] : result->state == SG_PROBE_PRESENT ? "ok" : "-";

	sg_buffer_printf(out, "%-8s%s\t%s", word, info->name, info->what);
	if (result->detail[0] != '\0') {
		sg_buffer_append_text(out, " (");
		sg_buffer_append_escaped(out, result->detail, strlen(result->detail));
		sg_buffer_append_byte(out, ')');
	}
	sg_buffer_append_byte(out, '\n');
}

static void write_remedies(const struct report *report, enum sg_feature_effect effect, const char *heading,
			   struct sg_buffer *out)
{
	if (report->absent[effect] == 0)
		return;
	sg_buffer_printf(out, "\n%s\n", heading);
	for (int i = 1; i < SG_FEATURES_; i++) {
		const struct sg_feature_info *info = &sg_feature_infos[i];

		if (info->effect == effect && report->results[i].state == SG_PROBE_UNTRIED)
			sg_buffer_printf(out, "  %s\t%s. It needs %s.\n", info->name, info->without,
					 sg_feature_infos[info->needs].name);
		if (info->effect == effect && report->results[i].state == SG_PROBE_MISSING)
			sg_buffer_printf(out, "  %s\t%s. Linux %s has it. What helps: %s.\n", info->name, info->without,
					 info->since, info->remedy);
	}
}

/* Where no world can be made because of where we are, and not of the kernel: what to do about that. NULL: nothing. */
static const char *find_hint(const struct report *report)
{
	if (report->absent[SG_EFFECT_NEEDED] == 0)
		return NULL;
	if (report->surroundings.foreign_proc)
		return "the /proc that is mounted here is of another PID namespace: mount a new one over it (unshare "
		       "--mount-proc, bwrap --proc /proc)";
	if (report->surroundings.session != NULL)
		return "no flag lets a ShellGuard world make worlds: run shellguard outside of this session, or put "
		       "all that "
		       "this one is to do into its profile";
	return NULL;
}

static void write_name(const char *key, const char *value, struct sg_buffer *out)
{
	sg_buffer_printf(out, "\"%s\":", key);
	if (value == NULL)
		sg_buffer_append_text(out, "null");
	else
		sg_buffer_append_json(out, value, strlen(value));
}

/* Profiles of AppArmor that are ours: how the text, and the JSON, say what each is. */
struct profile_list {
	struct sg_buffer *out;
	bool json, some;
};

static void write_profile(struct profile_list *list, const char *name, const char *state, const char *meaning)
{
	if (list->json) {
		sg_buffer_append_text(list->out, list->some ? ",{" : "{");
		write_name("name", name, list->out);
		sg_buffer_append_byte(list->out, ',');
		write_name("state", state, list->out);
		sg_buffer_append_byte(list->out, '}');
	} else {
		sg_buffer_append_text(list->out, list->some ? "  " : "\nProfiles of AppArmor that are loaded:\n  ");
		sg_buffer_append_escaped(list->out, name, strlen(name));
		sg_buffer_printf(list->out, "\t%s\n", meaning);
	}
	list->some = true;
}

static void note_session_profile(void *data, const char *name, bool held)
{
	write_profile(data, name, held ? "held" : "stale",
		      held ? "held by a session"
			   : "stale: of a session that was killed; the next session that root starts takes it away");
}

static void note_host_profile(void *data, const char *name, bool whole)
{
	write_profile(data, name, whole ? "loaded" : "stale",
		      whole ? "loaded for good, by compile --load"
			    : "stale: a load or an unload was cut short; the next one takes it away");
}

static void write_profiles(bool json, struct sg_buffer *out)
{
	struct profile_list list = {.out = out, .json = json};

	sg_apparmor_bound_list(&sg_apparmor_folders, note_session_profile, &list);
	sg_apparmor_host_list(note_host_profile, &list);
}

static void write_text(const struct report *report, struct sg_buffer *out)
{
	const char *hint = find_hint(report);

	write_verdict(report, out);
	write_surroundings(report, out);
	if (hint != NULL)
		sg_buffer_printf(out, "\nWhat helps here: %s.\n", hint);
	if (!report->surroundings.pings)
		sg_buffer_append_text(
			out, "\nThe flag ping reaches no other host: net.ipv4.ping_group_range has not this user's "
			     "group. What helps: sysctl -w net.ipv4.ping_group_range=\"0 2147483647\".\n");
	sg_buffer_append_byte(out, '\n');
	for (int i = 1; i < SG_FEATURES_; i++)
		write_row((enum sg_feature)i, &report->results[i], out);
	write_remedies(report, SG_EFFECT_NEEDED, "Needed for any world:", out);
	write_remedies(report, SG_EFFECT_RULE, "Needed by some profiles (or accepted with Misc.AcceptMissing):", out);
	write_remedies(report, SG_EFFECT_SLOWER, "Every promise holds, but slower:", out);
	write_remedies(report, SG_EFFECT_OTHERWISE, "Every promise holds, in another way:", out);
	write_profiles(false, out);
}

static void write_json_row(enum sg_feature feature, const struct sg_probe_result *result, struct sg_buffer *out)
{
	const struct sg_feature_info *info = &sg_feature_infos[feature];
	const struct {
		const char *key, *value;
	} fields[] = {
		{"name", info->name},
		{"what", info->what},
		{"since", info->since},
		{"needs", sg_feature_infos[info->needs].name},
		{"effect", sg_feature_effect_name(info->effect)},
		{"state", states[result->state]},
		{"detail", result->detail},
		{"error", result->error != 0 ? strerrorname_np(-result->error) : NULL},
		{"without", info->without},
		{"remedy", info->remedy},
	};

	for (size_t i = 0; i < SG_ARRAY_SIZE(fields); i++) {
		sg_buffer_append_byte(out, i == 0 ? '{' : ',');
		write_name(fields[i].key, fields[i].value, out);
	}
	sg_buffer_append_byte(out, '}');
}

static void write_json(const struct report *report, struct sg_buffer *out)
{
	const struct sg_surroundings *where = &report->surroundings;

	sg_buffer_printf(out, "{\"can_run\":%s,\"every_promise\":%s,",
			 report->absent[SG_EFFECT_NEEDED] == 0 ? "true" : "false",
			 report->absent[SG_EFFECT_NEEDED] + report->absent[SG_EFFECT_RULE] == 0 ? "true" : "false");
	write_name("kernel", report->host.release, out);
	sg_buffer_printf(out, ",\"uid\":%u,", (unsigned int)geteuid());
	write_name("container", where->container, out);
	sg_buffer_printf(out, ",\"wsl\":%s,", where->wsl ? "true" : "false");
	write_name("session", where->session, out);
	sg_buffer_append_byte(out, ',');
	write_name("ci", where->ci, out);
	sg_buffer_append_byte(out, ',');
	sg_buffer_printf(out, "\"pings\":%s,", where->pings ? "true" : "false");
	write_name("hint", find_hint(report), out);
	sg_buffer_append_text(out, ",\"features\":[");
	for (int i = 1; i < SG_FEATURES_; i++) {
		if (i > 1)
			sg_buffer_append_byte(out, ',');
		write_json_row((enum sg_feature)i, &report->results[i], out);
	}
	sg_buffer_append_text(out, "],\"profiles\":[");
	write_profiles(true, out);
	sg_buffer_append_text(out, "]}\n");
}

static int diagnose(bool json)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	struct report report = {0};

	examine(&report);
	(json ? write_json : write_text)(&report, &out);
	if (sg_layout_print(STDOUT_FILENO, &out, json) != SG_EXIT_OK)
		return SG_EXIT_FAILED;
	return report.absent[SG_EFFECT_NEEDED] == 0 ? SG_EXIT_OK : SG_EXIT_NO;
}

int sg_command_doctor(int argc, char **argv)
{
	struct sg_options options = {0};
	int status;

	if (sg_options_read(argc, argv, &options) < 0)
		status = SG_EXIT_USAGE;
	else if (options.help)
		status = sg_command_help("doctor", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
	else if (options.command[0] != NULL)
		status = sg_command_usage("doctor");
	else
		status = diagnose(options.json);
	sg_options_done(&options);
	return status;
}
