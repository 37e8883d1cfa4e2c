#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

struct option {
	char letter;
	const char *name, *argument, *key, *help;
};

static const struct option options_table[] = {
#define SG_OPTION(letter, name, argument, key, help) {letter, name, argument, key, help},
#include "cli/options.def"
#undef SG_OPTION
};

void sg_toml_quote(struct sg_buffer *out, const char *text)
{
	sg_buffer_append_byte(out, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			sg_buffer_printf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20 || *text == 0x7f)
			sg_buffer_printf(out, "\\u%04x", (unsigned int)(unsigned char)*text);
		else
			sg_buffer_append_byte(out, *text);
	}
	sg_buffer_append_byte(out, '"');
}

/* "Section.Key T": dotted keys may be stated only once each, so the lines of one key are gathered. */
struct line {
	const char *key;        /* of the option; NULL: unused */
	struct sg_buffer values;
};

static int add_limit(struct sg_buffer *values, const char *text)
{
	const char *equals = strchr(text, '=');

	if (equals == NULL || equals == text) {
		sg_complain("--limit takes NAME=VALUE, such as Processes=256, not \"%s\"", text);
		return -EINVAL;
	}
	sg_buffer_printf(values, "%s%.*s = ", values->size > 0 ? ", " : "", (int)(equals - text), text);
	if (strspn(equals + 1, "0123456789") == strlen(equals + 1) && equals[1] != '\0')
		sg_buffer_append_text(values, equals + 1);
	else
		sg_toml_quote(values, equals + 1);
	return 0;
}

static int add_line(struct line *lines, const struct option *option, const char *argument)
{
	struct line *line = &lines[option - options_table];
	const char *form = strchr(option->key, ' ') + 1;

	line->key = option->key;
	switch (form[0]) {
	case 'S':
		if (line->values.size > 0)
			sg_buffer_append_text(&line->values, ", ");
		sg_toml_quote(&line->values, argument);
		return 0;
	case 'L':
		return add_limit(&line->values, argument);
	case 'V':
		sg_buffer_clear(&line->values);
		sg_toml_quote(&line->values, argument);
		return 0;
	default:
		sg_buffer_clear(&line->values);
		sg_buffer_append_text(&line->values, form + 1);
		return 0;
	}
}

static void write_lines(struct line *lines, struct sg_buffer *out)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(options_table); i++) {
		const char *space = lines[i].key != NULL ? strchr(lines[i].key, ' ') : NULL;

		if (space != NULL)
			sg_buffer_printf(out, "%.*s = %s%s%s\n", (int)(space - lines[i].key), lines[i].key,
					 space[1] == 'S'   ? "["
					 : space[1] == 'L' ? "{ "
							   : "",
					 lines[i].values.data,
					 space[1] == 'S'   ? "]"
					 : space[1] == 'L' ? " }"
							   : "");
		sg_buffer_done(&lines[i].values);
	}
}

static const struct option *find_option(const char *text, size_t length)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(options_table); i++)
		if (strlen(options_table[i].name) == length && strncmp(options_table[i].name, text, length) == 0)
			return &options_table[i];
	return NULL;
}

static const struct option *find_letter(char letter)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(options_table); i++)
		if (options_table[i].letter == letter)
			return &options_table[i];
	return NULL;
}

static int complain_unknown(const char *argument)
{
	const char *names[64], *nearest;
	size_t count = 0;

	for (size_t i = 0; i < SG_ARRAY_SIZE(options_table) && count < SG_ARRAY_SIZE(names); i++)
		names[count++] = options_table[i].name;
	nearest = argument[1] == '-' ? sg_text_nearest(argument + 2, names, count) : NULL;
	sg_complain("there is no option %s%s%s%s; see shellguard run --help", argument, nearest != NULL ? ", did you mean --" : "",
		    nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
	return -EINVAL;
}

/* The options that act on the command itself. */
static int apply(struct sg_run_options *options, const struct option *option, const char *argument)
{
	if (strcmp(option->name, "profile") == 0) {
		if (options->profile_count == SG_PROFILES_MAX) {
			sg_complain("more than %d profiles", SG_PROFILES_MAX);
			return -EINVAL;
		}
		options->profiles[options->profile_count++] = argument;
	} else if (strcmp(option->name, "record") == 0) {
		options->record = argument;
	} else if (strcmp(option->name, "dry-run") == 0) {
		options->dry_run = true;
	} else if (strcmp(option->name, "quiet") == 0) {
		options->quiet = true;
	} else {
		options->help = true;
	}
	return 0;
}

static int read_one(struct sg_run_options *options, struct line *lines, int argc, char **argv, int *index)
{
	const char *argument = argv[*index], *value = NULL;
	const struct option *option;

	if (argument[1] == '-') {
		size_t length = strcspn(argument + 2, "=");

		option = find_option(argument + 2, length);
		value = argument[2 + length] == '=' ? argument + 3 + length : NULL;
	} else {
		option = find_letter(argument[1]);
		value = argument[2] != '\0' ? argument + 2 : NULL;
	}
	if (option == NULL)
		return complain_unknown(argument);
	if (option->argument == NULL && value != NULL) {
		sg_complain("--%s takes no value", option->name);
		return -EINVAL;
	}
	if (option->argument != NULL && value == NULL) {
		if (*index + 1 >= argc) {
			sg_complain("--%s takes a value: %s", option->name, option->argument);
			return -EINVAL;
		}
		value = argv[++*index];
	}
	return option->key[0] != '\0' ? add_line(lines, option, value) : apply(options, option, value);
}

int sg_options_read(int argc, char **argv, struct sg_run_options *options)
{
	struct line lines[SG_ARRAY_SIZE(options_table)] = {0};
	int status = 0, i = 1;

	for (; status == 0 && i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		status = read_one(options, lines, argc, argv, &i);
	}
	write_lines(lines, &options->lines);
	options->command = argv + i;
	return status;
}

void sg_options_done(struct sg_run_options *options)
{
	sg_buffer_done(&options->lines);
}

void sg_options_help(struct sg_buffer *out)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(options_table); i++) {
		const struct option *option = &options_table[i];
		char left[64];

		if (option->letter != 0)
			(void)snprintf(left, sizeof(left), "-%c, --%s %s", option->letter, option->name,
				       option->argument != NULL ? option->argument : "");
		else
			(void)snprintf(left, sizeof(left), "    --%s %s", option->name,
				       option->argument != NULL ? option->argument : "");
		sg_buffer_printf(out, "  %-26s %s\n", left, option->help);
	}
}
