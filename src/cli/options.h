/* The options of the commands, from one table (options.def). */
#pragma once

#include "cli/cli.h"

enum { SG_PROFILES_MAX = 64, SG_KEEPS_MAX = 64, SG_TO_MAX = 16 };

struct sg_options {
	const char *profiles[SG_PROFILES_MAX];
	size_t profile_count;            /* 0: the default */
	struct sg_buffer lines;          /* the options that are lines of a profile, as TOML; empty: none */
	const char *record;              /* file of the record, or NULL */
	const char *session;             /* or NULL */
	const char *name;                /* of --name, which is a line too; or NULL */
	const char *output;              /* file that is written, or NULL */
	const char *keeps[SG_KEEPS_MAX]; /* addresses */
	size_t keep_count;
	const char *to[SG_TO_MAX]; /* back ends, each with others behind commas */
	size_t to_count;
	bool dry_run, quiet, check, help, cost, toml, last, json, follow, network, approximate, simulate, replay,
		secrets, installed, load, whole;
	char **command; /* run, enter: what follows, empty: the default command; else the arguments; NULL-terminated
			 */
};

/*
 * Reads the options of a command (argv[0] is its name). `run` and `enter` end them at the first argument; others take
 * them between arguments too, and "--" ends them. Returns 0, or -EINVAL after saying on standard error what
 * is wrong. `options` is zeroed before; argv is reordered and must outlive it.
 */
int sg_options_read(int argc, char **argv, struct sg_options *options);
void sg_options_done(struct sg_options *options);

/* Appends the help text of the options of a command. */
void sg_options_help(const char *command, struct sg_buffer *out);

/* One row of the table. */
struct sg_option {
	char letter;
	const char *name, *argument, *key, *help;
};
extern const struct sg_option sg_option_table[];
extern const size_t sg_option_count;

/* True if the command has the option. */
bool sg_option_is_of(const struct sg_option *option, const char *command);

/* The name of the option that is the line `section`.`key` of a profile, or NULL. */
const char *sg_option_of_line(const char *section, const char *key);

/* Appends a word for a shell, in single quotes where it needs them. */
void sg_shell_quote(struct sg_buffer *out, const char *text);
