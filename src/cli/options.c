#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "profile/quote.h"
#include "tables/flags.h"

const struct sg_option sg_option_table[] = {
#define SG_OPTION(letter, name, argument, key, help) {letter, name, argument, key, help},
#include "cli/options.def"
#undef SG_OPTION
};
const size_t sg_option_count = SG_ARRAY_SIZE(sg_option_table);

/* The lines of the options, and behind them those of --flag, one for each section that flags belong in. */
enum { LINES = SG_ARRAY_SIZE(sg_option_table) + SG_FLAG_CATEGORIES_ };

static bool is_line(const struct sg_option *option)
{
	return option->key[0] != '@';
}

static bool has_word(const char *words, const char *word)
{
	const size_t length = strlen(word);

	for (const char *at = words; *at != '\0'; at += strcspn(at, " ")) {
		at += strspn(at, " ");
		if (strcspn(at, " ") == length && strncmp(at, word, length) == 0)
			return true;
	}
	return false;
}

bool sg_option_is_of(const struct sg_option *option, const char *command)
{
	if (is_line(option))
		return has_word("run explain learn", command);
	return option->key[1] == '\0' || has_word(option->key + 1, command);
}

const char *sg_option_of_line(const char *section, const char *key)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(sg_option_table); i++) {
		const char *text = sg_option_table[i].key, *dot = strchr(text, '.');

		if (strcmp(key, "Flags") == 0 && strcmp(sg_option_table[i].name, "flag") == 0)
			return sg_option_table[i].name;
		if (!is_line(&sg_option_table[i]) || dot == NULL || strncmp(text, section, (size_t)(dot - text)) != 0 ||
		    section[dot - text] != '\0' || strncmp(dot + 1, key, strlen(key)) != 0 ||
		    dot[1 + strlen(key)] != ' ')
			continue;
		if (dot[1 + strlen(key) + 1] == 'S')
			return sg_option_table[i].name;
	}
	return NULL;
}

void sg_shell_quote(struct sg_buffer *out, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:,@%";

	if (text[0] != '\0' && strspn(text, plain) == strlen(text)) {
		sg_buffer_append_text(out, text);
		return;
	}
	sg_buffer_append_byte(out, '\'');
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			sg_buffer_append_text(out, "'\\''");
		else
			sg_buffer_append_byte(out, *text);
	}
	sg_buffer_append_byte(out, '\'');
}

/* "Section.Key T": dotted keys may be stated only once each, so the lines of one key are gathered. */
struct line {
	const char *key; /* of the option; NULL: unused */
	struct sg_buffer values;
};

static int add_limit(struct sg_buffer *values, const char *text)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): form L takes an argument; there is one */
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

/* The line of a flag: that of the section which it belongs in. What is no flag is complained of when it is compiled. */
static struct line *line_of_flag(struct line *lines, const char *name)
{
	static const char *const keys[SG_FLAG_CATEGORIES_] = {[SG_FLAG_CATEGORY_NETWORKING] = "Networking.Flags S",
							      [SG_FLAG_CATEGORY_FILESYSTEM] = "Filesystem.Flags S",
							      [SG_FLAG_CATEGORY_RUNTIME] = "Runtime.Flags S",
							      [SG_FLAG_CATEGORY_USER] = "User.Flags S",
							      [SG_FLAG_CATEGORY_MISC] = "Misc.Flags S",
							      [SG_FLAG_CATEGORY_PLEDGE] = "Misc.Flags S"};
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): form F takes an argument; there is one */
	const enum sg_flag flag = sg_flag_find(name, strlen(name));
	enum sg_flag_category category = flag == SG_FLAG_NONE_ ? SG_FLAG_CATEGORY_MISC : sg_flag_category(flag);

	if (category == SG_FLAG_CATEGORY_PLEDGE)
		category = SG_FLAG_CATEGORY_MISC;
	lines[SG_ARRAY_SIZE(sg_option_table) + category].key = keys[category];
	return &lines[SG_ARRAY_SIZE(sg_option_table) + category];
}

static int add_line(struct line *lines, const struct sg_option *option, const char *argument)
{
	const char *form = strchr(option->key, ' ') + 1;
	struct line *line = form[0] == 'F' ? line_of_flag(lines, argument) : &lines[option - sg_option_table];

	if (form[0] != 'F')
		line->key = option->key;
	switch (form[0]) {
	case 'F':
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

static void write_line(const struct line *line, struct sg_buffer *out)
{
	const char *space = strchr(line->key, ' ');
	const char *open = space[1] == 'S' ? "[" : space[1] == 'L' ? "{ " : "";
	const char *close = space[1] == 'S' ? "]" : space[1] == 'L' ? " }" : "";

	sg_buffer_printf(out, "%.*s = %s%s%s\n", (int)(space - line->key), line->key, open, line->values.data, close);
}

static void write_lines(struct line *lines, struct sg_buffer *out)
{
	for (size_t i = 0; i < LINES; i++) {
		if (lines[i].key != NULL)
			write_line(&lines[i], out);
		sg_buffer_done(&lines[i].values);
	}
}

static const struct sg_option *find_option(const char *command, const char *text, size_t length)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(sg_option_table); i++)
		if (sg_option_is_of(&sg_option_table[i], command) && strlen(sg_option_table[i].name) == length &&
		    strncmp(sg_option_table[i].name, text, length) == 0)
			return &sg_option_table[i];
	return NULL;
}

static const struct sg_option *find_letter(const char *command, char letter)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(sg_option_table); i++)
		if (sg_option_is_of(&sg_option_table[i], command) && sg_option_table[i].letter == letter)
			return &sg_option_table[i];
	return NULL;
}

static int complain_unknown(const char *command, const char *argument)
{
	const char *names[64], *nearest = NULL;
	char name[128] = "";
	size_t count = 0;

	for (size_t i = 0; i < SG_ARRAY_SIZE(sg_option_table) && count < SG_ARRAY_SIZE(names); i++)
		if (sg_option_is_of(&sg_option_table[i], command))
			names[count++] = sg_option_table[i].name;
	if (argument[1] == '-') {
		(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(argument + 2, "="), argument + 2);
		nearest = sg_text_nearest(name, names, count);
	}
	sg_complain("%s has no option %s%s%s%s; see shellguard %s --help", command, argument,
		    nearest != NULL ? ", did you mean --" : "", nearest != NULL ? nearest : "",
		    nearest != NULL ? "?" : "", command);
	return -EINVAL;
}

/* One value more of an option that may be given several times. */
static int add(const char **values, size_t *count, size_t max, const char *what, const char *value)
{
	if (*count == max) {
		sg_complain("more than %zu %s", max, what);
		return -EINVAL;
	}
	values[(*count)++] = value;
	return 0;
}

/* The options that act on the command itself. */
static int apply(struct sg_options *options, const struct sg_option *option, const char *argument)
{
	const struct {
		const char *name;
		bool *value;
	} switches[] = {{"check", &options->check},
			{"dry-run", &options->dry_run},
			{"quiet", &options->quiet},
			{"help", &options->help},
			{"cost", &options->cost},
			{"toml", &options->toml},
			{"last", &options->last},
			{"json", &options->json},
			{"follow", &options->follow},
			{"network", &options->network},
			{"approximate", &options->approximate},
			{"simulate", &options->simulate},
			{"replay", &options->replay},
			{"secrets", &options->secrets},
			{"installed", &options->installed},
			{"load", &options->load},
			{"long", &options->whole}};

	if (strcmp(option->name, "profile") == 0)
		return add(options->profiles, &options->profile_count, SG_PROFILES_MAX, "profiles", argument);
	if (strcmp(option->name, "keep") == 0)
		return add(options->keeps, &options->keep_count, SG_KEEPS_MAX, "addresses to keep", argument);
	if (strcmp(option->name, "to") == 0)
		return add(options->to, &options->to_count, SG_TO_MAX, "options --to", argument);
	if (strcmp(option->name, "output") == 0)
		options->output = argument;
	if (strcmp(option->name, "record") == 0)
		options->record = argument;
	if (strcmp(option->name, "session") == 0)
		options->session = argument;
	for (size_t i = 0; i < SG_ARRAY_SIZE(switches); i++)
		if (strcmp(option->name, switches[i].name) == 0)
			*switches[i].value = true;
	return 0;
}

static int read_one(struct sg_options *options, struct line *lines, int argc, char **argv, int *index)
{
	const char *argument = argv[*index], *value = NULL;
	const struct sg_option *option;

	if (argument[1] == '-') {
		size_t length = strcspn(argument + 2, "=");

		option = find_option(argv[0], argument + 2, length);
		value = argument[2 + length] == '=' ? argument + 3 + length : NULL;
	} else {
		option = find_letter(argv[0], argument[1]);
		value = argument[2] != '\0' ? argument + 2 : NULL;
	}
	if (option == NULL)
		return complain_unknown(argv[0], argument);
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
	if (strcmp(option->name, "name") == 0)
		options->name = value;
	return is_line(option) ? add_line(lines, option, value) : apply(options, option, value);
}

int sg_options_read(int argc, char **argv, struct sg_options *options)
{
	/* What follows the first argument is the command's own. */
	const bool ends = has_word("run enter learn", argv[0]);
	struct line lines[LINES] = {0};
	int status = 0, i = 1, kept = 1;

	for (; status == 0 && i < argc; i++) {
		const bool option = argv[i][0] == '-' && argv[i][1] != '\0';

		if (option && strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (option)
			status = read_one(options, lines, argc, argv, &i);
		else if (ends)
			break;
		else
			argv[kept++] = argv[i];
	}
	write_lines(lines, &options->lines);
	for (; !ends && i < argc; i++)
		argv[kept++] = argv[i];
	if (!ends)
		argv[kept] = NULL;
	options->command = ends ? argv + i : argv + 1;
	return status == 0 ? sg_buffer_status(&options->lines) : status;
}

void sg_options_done(struct sg_options *options)
{
	sg_buffer_done(&options->lines);
}

void sg_options_help(const char *command, struct sg_buffer *out)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(sg_option_table); i++) {
		const struct sg_option *option = &sg_option_table[i];
		char left[64], letter[5] = "    ";

		if (!sg_option_is_of(option, command))
			continue;
		if (option->letter != 0)
			(void)snprintf(letter, sizeof(letter), "-%c, ", option->letter);
		(void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, option->name,
			       option->argument != NULL ? " " : "", option->argument != NULL ? option->argument : "");
		sg_buffer_printf(out, "  %-26s %s\n", left, option->help);
	}
}
