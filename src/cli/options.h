/* The options of `run`, from one table (options.def). */
#pragma once

#include "cli/cli.h"

enum { SG_PROFILES_MAX = 64 };

struct sg_run_options {
	const char *profiles[SG_PROFILES_MAX];
	size_t profile_count;      /* 0: the default */
	struct sg_buffer lines;    /* the options that are lines of a profile, as TOML; empty: none */
	const char *record;        /* file of the record, or NULL */
	bool dry_run, quiet, help;
	char **command;            /* what follows; empty: the default command */
};

/* Reads the options. Returns 0, or -EINVAL after saying on standard error what is wrong. `options` is zeroed before. */
int sg_options_read(int argc, char **argv, struct sg_run_options *options);
void sg_options_done(struct sg_run_options *options);

/* Appends the help text of the options. */
void sg_options_help(struct sg_buffer *out);

/* Appends a TOML basic string with its quotes. */
void sg_toml_quote(struct sg_buffer *out, const char *text);
