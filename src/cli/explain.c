/* shellguard explain: what profiles mean together, in plain words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/help.h"
#include "cli/layout.h"
#include "cli/missing.h"
#include "cli/options.h"
#include "cli/pathwhy.h"
#include "policy/explain.h"
#include "profile/quote.h"
#include "world/environment.h"
#include "world/plan_words.h"

/* Appends the lines of one section of the options, without the section's name; those of the root if it is "".
 */
static void append_section(const char *lines, const char *section, struct sg_buffer *out)
{
	const size_t length = strlen(section);
	bool first = true;

	for (const char *line = lines; *line != '\0'; line += strcspn(line, "\n") + 1) {
		const size_t size = strcspn(line, "\n"), key = strcspn(line, " ");
		const char *dot = memchr(line, '.', key);

		if (length == 0 ? dot != NULL
				: dot == NULL || (size_t)(dot - line) != length || strncmp(line, section, length) != 0)
			continue;
		if (first && length > 0)
			sg_buffer_printf(out, "%s[%s]\n", out->size > 0 ? "\n" : "", section);
		first = false;
		line += length > 0 ? length + 1 : 0;
		sg_buffer_append(out, line, size - (length > 0 ? length + 1 : 0));
		sg_buffer_append_byte(out, '\n');
	}
}

/*
 * Where the profiles lie that were given by path. What a profile extends by path is beside or below it (sg_profile_open), so what is
 * printed belongs into the folder that all of them are in, whatever folder this is.
 */
struct extended {
	char *paths[SG_PROFILES_MAX]; /* owned; canonical; NULL: it was given by name, or is not there */
	const char *place;            /* begins with that folder's name; NULL: none was given by path */
	size_t folder;                /* its length, with its '/' */
};

static void find_extended(const struct sg_options *options, struct extended *ret)
{
	*ret = (struct extended){0};
	for (size_t i = 0; i < options->profile_count; i++) {
		char *path = sg_profile_is_path(options->profiles[i]) ? realpath(options->profiles[i], NULL) : NULL;
		size_t same = 0;

		ret->paths[i] = path;
		if (path == NULL)
			continue;
		if (ret->place == NULL) {
			ret->place = path;
			ret->folder = (size_t)(strrchr(path, '/') - path) + 1;
		}
		while (same < ret->folder && path[same] == ret->place[same])
			same++;
		while (path[same - 1] != '/')
			same--;
		ret->folder = same;
	}
}

static void extended_done(struct extended *extended)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(extended->paths); i++)
		free(extended->paths[i]);
}

static void append_extends(const struct sg_options *options, const struct extended *extended, struct sg_buffer *out)
{
	sg_buffer_append_text(out, "Extends = [");
	if (options->profile_count == 0)
		sg_toml_quote(out, "developer");
	for (size_t i = 0; i < options->profile_count; i++) {
		SG_AUTO_BUFFER struct sg_buffer name = SG_BUFFER_INIT;

		if (extended->paths[i] != NULL)
			sg_buffer_printf(&name, "./%s", extended->paths[i] + extended->folder);
		else
			sg_buffer_append_text(&name, options->profiles[i]);
		sg_buffer_append_byte(&name, '\0');
		sg_buffer_append_text(out, i > 0 ? ", " : "");
		if (sg_buffer_status(&name) == 0)
			sg_toml_quote(out, name.data);
		else
			out->failed = true;
	}
	sg_buffer_append_text(out, "]\n");
}

/* The options as a profile that a person would write: the profiles they stand beside are extended, also the one that `run`
 * takes when none is named. */
static void append_toml(const struct sg_options *options, struct sg_buffer *out)
{
	SG_CLEANUP(extended_done) struct extended extended;
	SG_AUTO_BUFFER struct sg_buffer lines = SG_BUFFER_INIT;

	find_extended(options, &extended);
	if (options->profile_count == 0 && options->lines.size == 0)
		return;
	if (options->lines.size > 0)
		append_section(options->lines.data, "", &lines);
	append_extends(options, &extended, &lines);
	for (int section = 0; section < SG_SECTIONS && options->lines.size > 0; section++)
		if (sg_section_infos[section].name[0] != '\0')
			append_section(options->lines.data, sg_section_infos[section].name, &lines);
	if (extended.place != NULL) {
		sg_buffer_append_text(out, "# Save this in ");
		sg_buffer_append_escaped(out, extended.place, extended.folder);
		sg_buffer_append_text(out, ": what a profile extends by path is beside or below it.\n");
	}
	if (sg_buffer_status(&lines) < 0)
		out->failed = true;
	else
		sg_buffer_append(out, lines.data, lines.size);
}

static int print_toml(const struct sg_options *options, const char *title)
{
	SG_AUTO_BUFFER struct sg_buffer toml = SG_BUFFER_INIT, out = SG_BUFFER_INIT;

	append_toml(options, &toml);
	sg_buffer_append_text(&out, title);
	sg_buffer_append(&out, toml.data, toml.size);
	if (title[0] != '\0')
		sg_buffer_append_byte(&out, '\n');
	return sg_buffer_status(&toml) == 0 ? sg_layout_print(STDOUT_FILENO, &out, true) : SG_EXIT_FAILED;
}

/* What the policy says. What this host makes of it is left out where it cannot be held (`plan` is NULL). */
static void append_whole(const struct sg_policy *policy, const struct sg_plan *plan, struct sg_buffer *out)
{
	sg_explain_files(policy, out);
	sg_explain_folders(policy, out);
	sg_explain_network(policy, out);
	sg_explain_flags(policy, out);
	sg_explain_openbsd(policy, true, out);
	sg_explain_process(policy, sg_environment_passed, out);
	sg_explain_labels(policy, out);
	sg_explain_overlaps(policy, out);
	if (plan != NULL)
		sg_plan_explain(plan, out);
	sg_missing_explain_apparmor(true, out);
}

static void append_short(const struct sg_policy *policy, const struct sg_plan *plan, struct sg_buffer *out)
{
	sg_explain_short(policy, out);
	sg_explain_openbsd(policy, false, out);
	if (plan != NULL)
		sg_plan_explain_short(plan, out);
	sg_missing_explain_apparmor(false, out);
	sg_buffer_append_text(out,
			      "\n--long shows each rule with its place, and what stands behind numbers and flags.\n");
}

static int explain(const struct sg_options *options)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	SG_AUTO_PLAN struct sg_plan *plan = NULL;
	int status;

	if (options->toml)
		return print_toml(options, "");
	status = sg_load_plan(options, &policy, &plan);
	if (status != 0 && status != SG_EXIT_UNHELD)
		return status;
	if (options->lines.size > 0 && print_toml(options, "These options as a profile (NAME.toml):\n\n") != SG_EXIT_OK)
		return SG_EXIT_FAILED;
	sg_explain_title(policy, options->whole, &text);
	if (options->whole)
		append_whole(policy, plan, &text);
	else
		append_short(policy, plan, &text);
	if (options->cost && plan != NULL)
		sg_plan_explain_cost(plan, &text);
	return sg_layout_print(STDOUT_FILENO, &text, false) == SG_EXIT_OK ? status : SG_EXIT_FAILED;
}

int sg_command_explain(int argc, char **argv)
{
	struct sg_options options = {0};
	int status = SG_EXIT_USAGE;

	if (sg_options_read(argc, argv, &options) == 0) {
		bool room = true;

		for (size_t i = 0; options.command[i] != NULL && room; i++) {
			room = options.profile_count < SG_PROFILES_MAX;
			if (room)
				options.profiles[options.profile_count++] = options.command[i];
		}
		if (options.help)
			status = sg_command_help("explain", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
		else if (!room)
			sg_complain("more than %d profiles", SG_PROFILES_MAX);
		else
			status = explain(&options);
	}
	sg_options_done(&options);
	return status;
}
