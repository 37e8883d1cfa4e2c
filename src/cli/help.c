#include "cli/help.h"

#include <string.h>
#include <unistd.h>

#include "cli/layout.h"
#include "cli/options.h"
#include "export/export.h"
#include "tables/actions.h"

static const struct {
	const char *command, *text, *status;
} texts[] = {
#define SG_HELP(command, text, status) {command, text, status},
#include "cli/help.def"
#undef SG_HELP
};

const struct sg_command *sg_command_find(const char *name)
{
	for (size_t i = 0; i < sg_command_count; i++)
		if (strcmp(sg_commands[i].name, name) == 0)
			return &sg_commands[i];
	return NULL;
}

const char *sg_help_text(const char *command)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(texts); i++)
		if (strcmp(texts[i].command, command) == 0)
			return texts[i].text;
	return "";
}

const char *sg_help_status(const char *command)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(texts); i++)
		if (strcmp(texts[i].command, command) == 0)
			return texts[i].status;
	return "";
}

static void write_usage(const struct sg_command *command, struct sg_buffer *out)
{
	sg_buffer_printf(out, "usage: shellguard %s %s\n", command->name, command->arguments);
}

bool sg_help_has_actions(const struct sg_command *command)
{
	return strstr(command->arguments, "ACTION WHAT") != NULL;
}

/* What can be asked, from its table. */
static void append_actions(struct sg_buffer *out)
{
	for (size_t i = 0; i < SG_ACTIONS_; i++) {
		const struct sg_action_info *action = &sg_action_infos[i];

		sg_buffer_printf(out, "  %s %s\t%s\n", action->word, action->argument, action->description);
	}
	sg_buffer_append_byte(out, '\n');
}

void sg_help_write(const char *name, size_t width, struct sg_buffer *out)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, options = SG_BUFFER_INIT;
	const struct sg_command *command = sg_command_find(name);

	if (command == NULL)
		return;
	write_usage(command, out);
	sg_buffer_printf(&text, "\n%s\n\n", sg_help_text(name));
	if (sg_help_has_actions(command))
		append_actions(&text);
	sg_options_help(name, &options);
	if (options.size > 0)
		sg_buffer_printf(&text, "%s\n", options.data);
	if (strcmp(name, "compile") == 0) {
		sg_buffer_append_text(&text, "Back ends:\n");
		for (size_t i = 0; i < sg_exporter_count; i++)
			sg_buffer_printf(&text, "  %-26s %s\n", sg_exporters[i]->name, sg_exporters[i]->summary);
		sg_buffer_append_byte(&text, '\n');
	}
	sg_buffer_printf(&text, "Exit status: %s\n",
			 sg_help_status(name)[0] != '\0' ? sg_help_status(name)
							 : "0: done; 1: errors in a profile, or there is no such "
							   "profile; 2: wrong usage; 125: our own failure.");
	if (sg_buffer_status(&text) < 0)
		out->failed = true;
	else
		sg_layout_wrap(text.data, width, out);
}

int sg_command_help(const char *command, int fd)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

	sg_help_write(command, sg_layout_width(fd), &out);
	return sg_buffer_status(&out) == 0 ? sg_print(fd, out.data, out.size) : -1;
}

int sg_command_usage(const char *name)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	const struct sg_command *command = sg_command_find(name);

	write_usage(command, &out);
	sg_buffer_printf(&out, "\"shellguard %s --help\" tells more.\n", name);
	if (sg_buffer_status(&out) == 0)
		(void)sg_print(STDERR_FILENO, out.data, out.size);
	return SG_EXIT_USAGE;
}
