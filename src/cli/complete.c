/* Completions of the shells, from the tables of commands, options and flags. */
#include <string.h>

#include "cli/document.h"
#include "cli/options.h"
#include "export/export.h"
#include "tables/actions.h"
#include "tables/flags.h"

/* What an argument stands for, by the word that help shows for it. */
enum words {
	WORDS_NONE,
	WORDS_FILES,
	WORDS_FOLDERS,
	WORDS_PROFILES,
	WORDS_SESSIONS,
	WORDS_RUNNING,
	WORDS_FLAGS,
	WORDS_LIMITS,
	WORDS_BACK_ENDS,
	WORDS_CALLS,
	WORDS_ACTIONS,
	WORDS_QUESTIONS
};

static enum words words_of_option(const struct sg_option *option)
{
	static const struct {
		const char *argument;
		enum words words;
	} table[] = {{"PROFILE", WORDS_PROFILES}, {"GLOB", WORDS_FILES},       {"FILE", WORDS_FILES},
		     {"FOLDER", WORDS_FOLDERS},   {"SESSION", WORDS_SESSIONS}, {"NAME=VALUE", WORDS_LIMITS},
		     {"BACKEND", WORDS_BACK_ENDS}};

	if (strcmp(option->name, "flag") == 0)
		return WORDS_FLAGS;
	for (size_t i = 0; i < SG_ARRAY_SIZE(table); i++)
		if (strcmp(table[i].argument, option->argument) == 0)
			return table[i].words;
	return WORDS_NONE;
}

/* What the arguments of a command are; the command of `run` is a file. */
static enum words words_of_command(const char *name)
{
	static const struct {
		const char *name;
		enum words words;
	} table[] = {{"run", WORDS_FILES},        {"check", WORDS_PROFILES}, {"compile", WORDS_PROFILES},
		     {"explain", WORDS_PROFILES}, {"can", WORDS_QUESTIONS},  {"diff", WORDS_PROFILES},
		     {"fmt", WORDS_FILES},        {"test", WORDS_PROFILES},  {"why", WORDS_FILES},
		     {"audit", WORDS_ACTIONS},    {"syscalls", WORDS_CALLS}, {"stop", WORDS_RUNNING},
		     {"enter", WORDS_RUNNING}};

	for (size_t i = 0; i < SG_ARRAY_SIZE(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return table[i].words;
	return WORDS_NONE;
}

static bool is_shown(const struct sg_command *command)
{
	return command->name[0] != '_';
}

static void append_flags(struct sg_buffer *out)
{
	for (int i = 0; i < SG_FLAGS_; i++)
		sg_buffer_printf(out, "%s%s", i == 0 ? "" : " ", sg_flag_name((enum sg_flag)i));
}

static void append_limits(struct sg_buffer *out)
{
	for (size_t i = 0; i < sg_limit_count; i++)
		sg_buffer_printf(out, "%s%s=", i == 0 ? "" : " ", sg_limit_infos[i].name);
}

static void append_back_ends(struct sg_buffer *out)
{
	for (size_t i = 0; i < sg_exporter_count; i++)
		sg_buffer_printf(out, "%s%s", i == 0 ? "" : " ", sg_exporters[i]->name);
}

/* The words that are known when this is written. */
static void append_fixed(enum words words, struct sg_buffer *out)
{
	if (words == WORDS_FLAGS)
		append_flags(out);
	else if (words == WORDS_LIMITS)
		append_limits(out);
	else
		append_back_ends(out);
}

static void append_questions(struct sg_buffer *out)
{
	for (size_t i = 0; i < sg_action_name_count; i++)
		sg_buffer_printf(out, "%s%s", i == 0 ? "" : " ", sg_action_names[i].word);
}

#define PROFILES "shellguard profiles --json 2>/dev/null | sed -n 's/^{\"name\":\"\\([^\"]*\\)\".*/\\1/p'"
#define SESSIONS "shellguard audit list 2>/dev/null | sed -n '2,$s/ .*//p'"
#define RUNNING "shellguard ps 2>/dev/null | sed -n '2,$s/ .*//p'"
#define CALLS "shellguard syscalls --json 2>/dev/null | sed -n 's/^{[^,]*,\"name\":\"\\([^\"]*\\)\".*/\\1/p'"

/* --- bash --- */

static void append_bash_words(enum words words, struct sg_buffer *out)
{
	switch (words) {
	case WORDS_FILES:
		sg_buffer_append_text(out, "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\"))");
		return;
	case WORDS_FOLDERS:
		sg_buffer_append_text(out, "compopt -o filenames; COMPREPLY=($(compgen -d -- \"$cur\"))");
		return;
	case WORDS_PROFILES:
		sg_buffer_append_text(out, "compopt -o filenames; COMPREPLY=($(compgen -W \"$(" PROFILES
					   ")\" -- \"$cur\") $(compgen -f -X '!*.toml' -- "
					   "\"$cur\"))");
		return;
	case WORDS_SESSIONS:
		sg_buffer_append_text(out, "COMPREPLY=($(compgen -W \"last $(" SESSIONS ")\" -- \"$cur\"))");
		return;
	case WORDS_RUNNING:
		sg_buffer_append_text(out, "COMPREPLY=($(compgen -W \"$(" RUNNING ")\" -- \"$cur\"))");
		return;
	case WORDS_CALLS:
		sg_buffer_append_text(out, "COMPREPLY=($(compgen -W \"$(" CALLS ")\" -- \"$cur\"))");
		return;
	case WORDS_ACTIONS:
		sg_buffer_append_text(out, "COMPREPLY=($(compgen -W \"show list verify last $(" SESSIONS
					   ")\" -- \"$cur\"))");
		return;
	case WORDS_QUESTIONS:
		sg_buffer_append_text(out, "compopt -o filenames; COMPREPLY=($(compgen -W \"");
		append_questions(out);
		sg_buffer_append_text(out, " $(" PROFILES ")\" -- \"$cur\") $(compgen -f -- \"$cur\"))");
		return;
	case WORDS_FLAGS:
	case WORDS_LIMITS:
	case WORDS_BACK_ENDS:
		sg_buffer_append_text(out, "COMPREPLY=($(compgen -W \"");
		append_fixed(words, out);
		sg_buffer_append_text(out, "\" -- \"$cur\"))");
		return;
	case WORDS_NONE:
		break;
	}
	sg_buffer_append_text(out, "COMPREPLY=()");
}

void sg_complete_bash(struct sg_buffer *out)
{
	sg_buffer_append_text(out,
			      "# bash completion of shellguard; written by \"shellguard _document completion-bash\".\n"
			      "_shellguard()\n{\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} "
			      "prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
			      "\tCOMPREPLY=()\n\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tCOMPREPLY=($(compgen -W \"");
	for (size_t i = 0; i < sg_command_count; i++)
		if (is_shown(&sg_commands[i]))
			sg_buffer_printf(out, "%s ", sg_commands[i].name);
	sg_buffer_append_text(out, "--help --version\" -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase $prev in\n");
	for (size_t i = 0; i < sg_option_count; i++) {
		const struct sg_option *option = &sg_option_table[i];

		/* The rows of one option stand together, and take the same words. */
		if (option->argument == NULL || (i > 0 && strcmp(option[-1].name, option->name) == 0))
			continue;
		sg_buffer_append_byte(out, '\t');
		if (option->letter != 0)
			sg_buffer_printf(out, "-%c | ", option->letter);
		sg_buffer_printf(out, "--%s)\n\t\t", option->name);
		append_bash_words(words_of_option(option), out);
		sg_buffer_append_text(out, "\n\t\treturn\n\t\t;;\n");
	}
	sg_buffer_append_text(out, "\tesac\n\tcase $command in\n");
	for (size_t i = 0; i < sg_command_count; i++) {
		if (!is_shown(&sg_commands[i]))
			continue;
		sg_buffer_printf(out, "\t%s)\n\t\tif [[ $cur == -* ]]; then\n\t\t\tCOMPREPLY=($(compgen -W \"",
				 sg_commands[i].name);
		for (size_t j = 0; j < sg_option_count; j++)
			if (sg_option_is_of(&sg_option_table[j], sg_commands[i].name))
				sg_buffer_printf(out, "--%s ", sg_option_table[j].name);
		sg_buffer_append_text(out, "\" -- \"$cur\"))\n\t\telse\n\t\t\t");
		append_bash_words(words_of_command(sg_commands[i].name), out);
		sg_buffer_append_text(out, "\n\t\tfi\n\t\t;;\n");
	}
	sg_buffer_append_text(out, "\tesac\n}\ncomplete -F _shellguard shellguard\n");
}

/* --- zsh --- */

/* A text within single quotes in a specification of _arguments. */
static void append_zsh_text(const char *text, struct sg_buffer *out)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			sg_buffer_append_text(out, "'\\''");
		else if (*text == '[' || *text == ']' || *text == ':' || *text == '\\')
			sg_buffer_printf(out, "\\%c", *text);
		else
			sg_buffer_append_byte(out, *text);
	}
}

static const char *zsh_action(enum words words)
{
	switch (words) {
	case WORDS_FILES:
		return "_files";
	case WORDS_FOLDERS:
		return "_files -/";
	case WORDS_PROFILES:
		return "_shellguard_profiles";
	case WORDS_SESSIONS:
		return "_shellguard_sessions";
	case WORDS_FLAGS:
		return "_shellguard_flags";
	case WORDS_LIMITS:
		return "_shellguard_limits";
	case WORDS_BACK_ENDS:
		return "_shellguard_back_ends";
	case WORDS_RUNNING:
		return "_shellguard_running";
	case WORDS_CALLS:
		return "_shellguard_calls";
	case WORDS_ACTIONS:
		return "_shellguard_actions";
	case WORDS_QUESTIONS:
		return "_shellguard_questions";
	case WORDS_NONE:
		break;
	}
	return " ";
}

static void append_zsh_option(const struct sg_option *option, struct sg_buffer *out)
{
	if (option->letter != 0)
		sg_buffer_printf(out, "\t\t\t'*'{-%c,--%s}'[", option->letter, option->name);
	else
		sg_buffer_printf(out, "\t\t\t'*--%s[", option->name);
	append_zsh_text(option->help, out);
	sg_buffer_append_byte(out, ']');
	if (option->argument != NULL) {
		sg_buffer_append_byte(out, ':');
		append_zsh_text(option->argument, out);
		sg_buffer_printf(out, ":%s", zsh_action(words_of_option(option)));
	}
	sg_buffer_append_text(out, "' \\\n");
}

static void append_zsh_helpers(struct sg_buffer *out)
{
	sg_buffer_append_text(
		out,
		"#compdef shellguard\n# zsh completion of shellguard; written by "
		"\"shellguard _document completion-zsh\".\n\n"
		"_shellguard_profiles() { local -a names; names=(${(f)\"$(" PROFILES
		")\"}); compadd -a names; _files -g '*.toml' }\n"
		"_shellguard_sessions() { local -a names; names=(last ${(f)\"$(" SESSIONS ")\"}); compadd -a names }\n"
		"_shellguard_running() { local -a names; names=(${(f)\"$(" RUNNING ")\"}); compadd -a names }\n"
		"_shellguard_calls() { local -a names; names=(${(f)\"$(" CALLS ")\"}); compadd -a names }\n"
		"_shellguard_actions() { compadd show list verify; _shellguard_sessions "
		"}\n_shellguard_flags() { compadd ");
	append_flags(out);
	sg_buffer_append_text(out, " }\n_shellguard_questions() { compadd ");
	append_questions(out);
	sg_buffer_append_text(out, "; _shellguard_profiles; _files }\n_shellguard_limits() { compadd -S '' ");
	append_limits(out);
	sg_buffer_append_text(out, " }\n_shellguard_back_ends() { compadd ");
	append_back_ends(out);
	sg_buffer_append_text(out, " }\n\n");
}

void sg_complete_zsh(struct sg_buffer *out)
{
	append_zsh_helpers(out);
	sg_buffer_append_text(out, "_shellguard()\n{\n\tlocal -a commands\n\tcommands=(\n");
	for (size_t i = 0; i < sg_command_count; i++)
		if (is_shown(&sg_commands[i])) {
			sg_buffer_printf(out, "\t\t'%s:", sg_commands[i].name);
			append_zsh_text(sg_commands[i].summary, out);
			sg_buffer_append_text(out, "'\n");
		}
	sg_buffer_append_text(out,
			      "\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n"
			      "\tlocal command=${words[2]}\n\tshift words\n\t(( CURRENT-- ))\n\tcase $command in\n");
	for (size_t i = 0; i < sg_command_count; i++) {
		if (!is_shown(&sg_commands[i]))
			continue;
		sg_buffer_printf(out, "\t%s)\n\t\t_arguments -S \\\n", sg_commands[i].name);
		for (size_t j = 0; j < sg_option_count; j++)
			if (sg_option_is_of(&sg_option_table[j], sg_commands[i].name))
				append_zsh_option(&sg_option_table[j], out);
		if (strcmp(sg_commands[i].name, "run") == 0)
			sg_buffer_append_text(out, "\t\t\t'*::command:_normal'\n\t\t;;\n");
		else if (strcmp(sg_commands[i].name, "enter") == 0)
			sg_buffer_printf(out, "\t\t\t'1:session:%s' \\\n\t\t\t'*::command:_normal'\n\t\t;;\n",
					 zsh_action(WORDS_RUNNING));
		else
			sg_buffer_printf(out, "\t\t\t'*:argument:%s'\n\t\t;;\n",
					 zsh_action(words_of_command(sg_commands[i].name)));
	}
	sg_buffer_append_text(out, "\tesac\n}\n\n_shellguard \"$@\"\n");
}

/* --- fish --- */

static void append_fish_text(const char *text, struct sg_buffer *out)
{
	sg_buffer_append_byte(out, '\'');
	for (; *text != '\0'; text++)
		sg_buffer_printf(out, *text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
	sg_buffer_append_byte(out, '\'');
}

static void append_fish_words(enum words words, struct sg_buffer *out)
{
	switch (words) {
	case WORDS_FILES:
		sg_buffer_append_text(out, " -F");
		return;
	case WORDS_FOLDERS:
		sg_buffer_append_text(out, " -x -a '(__fish_complete_directories)'");
		return;
	case WORDS_PROFILES:
		sg_buffer_append_text(out, " -F -a '(__shellguard_profiles)'");
		return;
	case WORDS_SESSIONS:
		sg_buffer_append_text(out, " -x -a '(__shellguard_sessions)'");
		return;
	case WORDS_RUNNING:
		sg_buffer_append_text(out, " -x -a '(__shellguard_running)'");
		return;
	case WORDS_CALLS:
		sg_buffer_append_text(out, " -x -a '(__shellguard_calls)'");
		return;
	case WORDS_ACTIONS:
		sg_buffer_append_text(out, " -x -a 'show list verify (__shellguard_sessions)'");
		return;
	case WORDS_QUESTIONS:
		sg_buffer_append_text(out, " -F -a '");
		append_questions(out);
		sg_buffer_append_text(out, " (__shellguard_profiles)'");
		return;
	case WORDS_FLAGS:
	case WORDS_LIMITS:
	case WORDS_BACK_ENDS:
		sg_buffer_append_text(out, " -x -a '");
		append_fixed(words, out);
		sg_buffer_append_byte(out, '\'');
		return;
	case WORDS_NONE:
		sg_buffer_append_text(out, " -x");
		return;
	}
}

void sg_complete_fish(struct sg_buffer *out)
{
	sg_buffer_append_text(out,
			      "# fish completion of shellguard; written by \"shellguard _document completion-fish\".\n"
			      "function __shellguard_profiles\n\t" PROFILES "\nend\n"
			      "function __shellguard_sessions\n\techo last\n\t" SESSIONS "\nend\n"
			      "function __shellguard_running\n\t" RUNNING "\nend\n"
			      "function __shellguard_calls\n\t" CALLS "\nend\n\ncomplete -c shellguard -f\n");
	for (size_t i = 0; i < sg_command_count; i++) {
		const char *name = sg_commands[i].name;

		if (!is_shown(&sg_commands[i]))
			continue;
		sg_buffer_printf(out, "complete -c shellguard -n __fish_use_subcommand -a %s -d ", name);
		append_fish_text(sg_commands[i].summary, out);
		sg_buffer_append_byte(out, '\n');
		if (words_of_command(name) != WORDS_NONE) {
			sg_buffer_printf(out, "complete -c shellguard -n '__fish_seen_subcommand_from %s'", name);
			append_fish_words(words_of_command(name), out);
			sg_buffer_append_byte(out, '\n');
		}
		for (size_t j = 0; j < sg_option_count; j++) {
			const struct sg_option *option = &sg_option_table[j];

			if (!sg_option_is_of(option, name))
				continue;
			sg_buffer_printf(out, "complete -c shellguard -n '__fish_seen_subcommand_from %s' -l %s", name,
					 option->name);
			if (option->letter != 0)
				sg_buffer_printf(out, " -s %c", option->letter);
			if (option->argument != NULL)
				append_fish_words(words_of_option(option), out);
			sg_buffer_append_text(out, " -d ");
			append_fish_text(option->help, out);
			sg_buffer_append_byte(out, '\n');
		}
	}
}
