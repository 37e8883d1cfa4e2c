/* shellguard _document: writes what the build installs. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/document.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/version.h"
#include "export/export.h"
#include "tables/actions.h"

void sg_roff_append(struct sg_buffer *out, const char *text)
{
	bool start = true;

	for (; *text != '\0'; text++) {
		if (start && (*text == '.' || *text == '\''))
			sg_buffer_append_text(out, "\\&");
		if (*text == '\\')
			sg_buffer_append_text(out, "\\e");
		else if (*text == '-')
			sg_buffer_append_text(out, "\\-");
		else if (*text == '^')
			sg_buffer_append_text(out, "\\(ha");
		else if (*text == '~')
			sg_buffer_append_text(out, "\\(ti");
		else
			sg_buffer_append_byte(out, *text);
		start = *text == '\n';
	}
}

/* Paragraphs, with an empty line between them, as roff. */
static void append_paragraphs(struct sg_buffer *out, const char *text)
{
	while (*text != '\0') {
		const char *end = strstr(text, "\n\n");
		const size_t length = end != NULL ? (size_t)(end - text) : strlen(text);
		SG_AUTO_FREE char *copy = strndup(text, length);

		if (copy == NULL) {
			out->failed = true;
			return;
		}
		sg_buffer_append_text(out, ".PP\n");
		sg_roff_append(out, copy);
		sg_buffer_append_byte(out, '\n');
		text += length + (end != NULL ? 2 : 0);
	}
}

static void append_option(struct sg_buffer *out, const struct sg_option *option)
{
	sg_buffer_append_text(out, ".TP\n");
	if (option->letter != 0)
		sg_buffer_printf(out, "\\fB\\-%c\\fR, ", option->letter);
	sg_buffer_append_text(out, "\\fB\\-\\-");
	sg_roff_append(out, option->name);
	sg_buffer_append_text(out, "\\fR");
	if (option->argument != NULL) {
		sg_buffer_append_text(out, " \\fI");
		sg_roff_append(out, option->argument);
		sg_buffer_append_text(out, "\\fR");
	}
	sg_buffer_append_byte(out, '\n');
	sg_roff_append(out, option->help);
	sg_buffer_append_text(out, ".\n");
}

static void append_back_ends(struct sg_buffer *out)
{
	sg_buffer_append_text(out, ".PP\nBack ends:\n");
	for (size_t i = 0; i < sg_exporter_count; i++) {
		sg_buffer_append_text(out, ".TP\n\\fB");
		sg_roff_append(out, sg_exporters[i]->name);
		sg_buffer_append_text(out, "\\fR\n");
		sg_roff_append(out, sg_exporters[i]->summary);
		sg_buffer_append_text(out, ".\n");
	}
}

static void append_action(struct sg_buffer *out, const struct sg_action_info *action)
{
	sg_buffer_printf(out, ".TP\n\\fB%s\\fR \\fI%s\\fR\n", action->word, action->argument);
	sg_roff_append(out, action->description);
	sg_buffer_append_text(out, ".\n");
}

static void append_command(struct sg_buffer *out, const struct sg_command *command)
{
	const char *status = sg_help_status(command->name);

	sg_buffer_append_text(out, ".SS shellguard ");
	sg_roff_append(out, command->name);
	sg_buffer_append_byte(out, ' ');
	sg_roff_append(out, command->arguments);
	sg_buffer_append_byte(out, '\n');
	append_paragraphs(out, sg_help_text(command->name));
	for (size_t i = 0; sg_help_has_actions(command) && i < SG_ACTIONS_; i++)
		append_action(out, &sg_action_infos[i]);
	for (size_t i = 0; i < sg_option_count; i++)
		if (sg_option_is_of(&sg_option_table[i], command->name))
			append_option(out, &sg_option_table[i]);
	if (strcmp(command->name, "compile") == 0)
		append_back_ends(out);
	if (status[0] != '\0') {
		sg_buffer_append_text(out, ".PP\nExit status: ");
		sg_roff_append(out, status);
		sg_buffer_append_byte(out, '\n');
	}
}

static void write_manual(struct sg_buffer *out)
{
	sg_buffer_append_text(out,
			      ".\\\" Written by \"shellguard _document man\" from its tables.\n"
			      ".TH SHELLGUARD 1 \"\" \"shellguard " SG_VERSION "\" \"User Commands\"\n"
			      ".SH NAME\nshellguard \\- run programs in worlds that hold exactly what a profile names\n"
			      ".SH SYNOPSIS\n");
	for (size_t i = 0; i < sg_command_count; i++)
		if (sg_commands[i].name[0] != '_') {
			sg_buffer_append_text(out, ".B shellguard ");
			sg_roff_append(out, sg_commands[i].name);
			sg_buffer_append_text(out, "\n.I ");
			sg_roff_append(out, sg_commands[i].arguments);
			sg_buffer_append_text(out, "\n.br\n");
		}
	sg_buffer_append_text(out, ".SH DESCRIPTION\n");
	append_paragraphs(out, "A profile, a file of TOML (shellguard-profile(5)), names what a program may "
			       "read, write, execute and connect "
			       "to. The program and all that it starts run in a world of their own that "
			       "holds just that; what is not named "
			       "does not exist there, or is refused, recorded and explained.\n\n"
			       "No privilege is needed, and none is gained.");
	sg_buffer_append_text(out, ".SH COMMANDS\n");
	for (size_t i = 0; i < sg_command_count; i++)
		if (sg_commands[i].name[0] != '_')
			append_command(out, &sg_commands[i]);
	sg_buffer_append_text(
		out,
		".SH EXIT STATUS\n"
		"Where a command does not say otherwise: 0, done; 1, the answer is no (a profile has errors, "
		"nothing was found); "
		"2, wrong usage; 125, our own failure.\n"
		".SH FILES\n"
		".TP\n.I \\(ti/.config/shellguard/profiles/NAME.toml\n.TQ\n.I "
		"/etc/shellguard/profiles/NAME.toml\n.TQ\n"
		".I /usr/share/shellguard/profiles/NAME.toml\n.TQ\n.I /usr/share/shellguard/gallery/NAME.toml\n"
		"Profiles that can be named, in this order.\n"
		".TP\n.I \\(ti/.local/state/shellguard/sessions/\n.TQ\n.I /var/log/shellguard/sessions/\n"
		"The records of the sessions; those of root in the second.\n"
		".TP\n.I \\(ti/.local/state/shellguard/written\n.TQ\n.I /var/lib/shellguard/written\n"
		"The folders that sessions have been given to write, one a line; those of root\\(aqs sessions in "
		"the second. "
		"No rule that grants follows a symbolic link in one of them. Who has looked through a folder may "
		"take its "
		"line out while no session has it.\n"
		".TP\n.I /run/shellguard/apparmor/\n.TQ\n.I /var/lib/shellguard/apparmor/\n"
		"Of root\\(aqs sessions where AppArmor is active: the locks that keep their profiles loaded, and what "
		"was "
		"compiled, which may be removed.\n"
		".SH EXAMPLES\n"
		".TP\n.B shellguard run\nA shell that may change the current folder, read the system, and "
		"nothing else.\n"
		".TP\n.B shellguard run \\-\\-no\\-net \\-\\-ro \\(aq\\(ti/data/**\\(aq \\-\\- "
		"./analyse\nOne command, with one folder more to read.\n"
		".TP\n.B shellguard why\nWhy the last thing was refused, and what would allow it.\n"
		".TP\n.B shellguard explain developer \\-\\-cost\nWhat the profile means here, and what it "
		"costs.\n"
		".TP\n.B shellguard learn \\-o tool.toml \\-\\- ./tool\nA profile of what one run of the tool used.\n"
		".TP\n.B shellguard can tool.toml read /etc/shadow\nWhether it may ever do that, and by which rule.\n"
		".SH SEE ALSO\n.BR shellguard\\-profile (5)\n");
}

static const char *const documents[] = {"man",   "man-profile", "completion-bash", "completion-zsh", "completion-fish",
					"flags", "keys",        "schema",          "reference"};

static void write_document(size_t which, const struct sg_policy *flags, struct sg_buffer *out)
{
	switch (which) {
	case 0:
		write_manual(out);
		return;
	case 1:
		sg_document_profile(flags, out);
		return;
	case 2:
		sg_complete_bash(out);
		return;
	case 3:
		sg_complete_zsh(out);
		return;
	case 4:
		sg_complete_fish(out);
		return;
	case 5:
		sg_document_flags(flags, out);
		return;
	case 6:
		sg_document_keys(out);
		return;
	case 7:
		sg_document_schema(out);
		return;
	default:
		sg_buffer_append_text(
			out, "# The keys and flags of a profile\n\nWritten by `tools/generate-documents` from the "
			     "program's tables. What they mean together: shellguard-profile(5).\n\n## Keys\n\n");
		sg_document_keys(out);
		sg_buffer_append_text(
			out, "\n## Flags\n\nWhat each one gives stands in `flags/`, in the same language.\n\n");
		sg_document_flags(flags, out);
		return;
	}
}

int sg_command_document(int argc, char **argv)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	SG_AUTO_POLICY struct sg_policy *flags = NULL;

	for (size_t i = 0; argc == 2 && i < SG_ARRAY_SIZE(documents); i++) {
		if (strcmp(argv[1], documents[i]) != 0)
			continue;
		flags = sg_load_flags();
		if (flags == NULL)
			return SG_EXIT_FAILED;
		write_document(i, flags, &out);
		return sg_buffer_status(&out) == 0 && sg_print(STDOUT_FILENO, out.data, out.size) == 0 ? SG_EXIT_OK
												       : SG_EXIT_FAILED;
	}
	return sg_command_usage("_document");
}
