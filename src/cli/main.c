#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "cli/version.h"

const struct sg_command sg_commands[] = {
#define SG_COMMAND(name, function, arguments, summary) {name, function, arguments, summary},
#include "cli/commands.def"
#undef SG_COMMAND
};
const size_t sg_command_count = SG_ARRAY_SIZE(sg_commands);

/*
 * Profiles, arguments and what stands in them are strangers' texts, and may be part of any message: nothing in one acts on the terminal,
 * nor begins a line of its own. A backslash stays, since some was escaped before.
 */
static void append_shown(const char *text, struct sg_buffer *out)
{
	while (*text != '\0') {
		const size_t length = strcspn(text, "\\");

		sg_buffer_append_escaped(out, text, length);
		text += length;
		if (*text == '\\')
			sg_buffer_append_byte(out, *text++);
	}
}

void sg_complain(const char *format, ...)
{
	SG_AUTO_BUFFER struct sg_buffer line = SG_BUFFER_INIT;
	char text[4096];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	sg_buffer_append_text(&line, "shellguard: ");
	append_shown(text, &line);
	sg_buffer_append_byte(&line, '\n');
	if (sg_buffer_status(&line) == 0)
		(void)sg_print(STDERR_FILENO, line.data, line.size);
}

int sg_print(int fd, const char *text, size_t size)
{
	return sg_fd_write_full(fd, text, size);
}

int sg_exit_of(int status)
{
	return status == -ENOENT || status == -ENOTDIR || status == -ENOTUNIQ ? SG_EXIT_NO : SG_EXIT_FAILED;
}

int sg_exit_of_profile(int status)
{
	switch (status) {
	case -EINVAL: /* a folder, a device, a FIFO (profile_files.c) */
	case -EFBIG:
	case -ELOOP:
	case -ENAMETOOLONG:
		return SG_EXIT_NO;
	default:
		return sg_exit_of(status);
	}
}

/* Commands whose names begin with '_' are for the build and the shells, not for people. */
static bool is_shown(const struct sg_command *command)
{
	return command->name[0] != '_';
}

static int print_help(int fd)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

	sg_buffer_append_text(&out, "usage: shellguard COMMAND [ARGUMENT ...]\n\n"
				    "Runs programs in worlds that hold exactly what a profile names.\n\n");
	for (size_t i = 0; i < sg_command_count; i++)
		if (is_shown(&sg_commands[i]))
			sg_buffer_printf(&out, "  %-10s %s\n", sg_commands[i].name, sg_commands[i].summary);
	sg_buffer_append_text(&out, "\n\"shellguard COMMAND --help\" tells more; --version says which version it is.\n"
				    "A first step: shellguard run\n");
	return sg_buffer_status(&out) == 0 ? sg_print(fd, out.data, out.size) : -1;
}

static int complain_unknown(const char *name)
{
	const char *names[64], *nearest;
	size_t count = 0;

	for (size_t i = 0; i < sg_command_count && count < SG_ARRAY_SIZE(names); i++)
		if (is_shown(&sg_commands[i]))
			names[count++] = sg_commands[i].name;
	nearest = sg_text_nearest(name, names, count);
	sg_complain("there is no command \"%s\"%s%s%s; see shellguard --help", name,
		    nearest != NULL ? ", did you mean \"" : "", nearest != NULL ? nearest : "",
		    nearest != NULL ? "\"?" : "");
	return SG_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		(void)print_help(STDERR_FILENO);
		return SG_EXIT_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 && argc == 3 && sg_command_find(argv[2]) != NULL)
		return sg_command_help(argv[2], STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
	if (strcmp(argv[1], "help") == 0 && argc == 3)
		return complain_unknown(argv[2]);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
		return print_help(STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
	if (strcmp(argv[1], "--version") == 0) {
		static const char text[] = "shellguard " SG_VERSION "\n";

		return sg_print(STDOUT_FILENO, text, sizeof(text) - 1) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
	}
	for (size_t i = 0; i < sg_command_count; i++)
		if (strcmp(argv[1], sg_commands[i].name) == 0)
			return sg_commands[i].function(argc - 1, argv + 1);
	return complain_unknown(argv[1]);
}
