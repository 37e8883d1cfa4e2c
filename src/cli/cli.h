/* What the commands share. Only this folder prints. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "policy/compile.h"

/* Exit statuses, as env(1) and the shells use them. */
enum {
	SG_EXIT_OK = 0,
	SG_EXIT_NO = 1,       /* the answer is no: errors in a profile, nothing found */
	SG_EXIT_USAGE = 2,    /* of every command but run */
	SG_EXIT_UNHELD = 3,   /* check: no errors, and `run` would refuse the profile */
	SG_EXIT_FAILED = 125, /* our own failure; run and enter: wrong usage too; run: whatever kept it from starting */
	SG_EXIT_REFUSED = 126,
	SG_EXIT_NOT_FOUND = 127,
};

typedef int (*sg_command_function)(int argc, char **argv);

struct sg_command {
	const char *name;
	sg_command_function function;
	const char *arguments, *summary;
};
extern const struct sg_command sg_commands[];
extern const size_t sg_command_count;

#define SG_COMMAND(name, function, arguments, summary) int function(int argc, char **argv);
#include "cli/commands.def"
#undef SG_COMMAND

/* The exit status for a negative errno value: SG_EXIT_NO where what was named is not there or not one thing, else SG_EXIT_FAILED. */
int sg_exit_of(int status);

/* The same for what sg_profile_open() failed with: SG_EXIT_NO also where what was named can be no profile, whatever this host is like. */
int sg_exit_of_profile(int status);

/* Prints "shellguard: " and the text to standard error. */
void sg_complain(const char *format, ...) SG_PRINTF(1, 2);

/* Writes a whole text to standard output or standard error. Returns 0 or a negative errno value. */
int sg_print(int fd, const char *text, size_t size);

/* --- profiles (profiles.c, profile_files.c) --- */

/* The values of the variables for the caller; filled once, borrowed for good. NULL when the working directory is gone. */
const struct sg_variables *sg_variables_of_caller(void);

/*
 * Opens a profile by path (it holds a slash, or ends in ".toml") or by name: in the user's configuration folder,
 * /etc/shellguard/profiles, the installed ones, and those beside a program that was not installed. What a profile extends by path is beside or below it, or in one
 * of those folders. Only regular files are read, of at most SG_TOML_TEXT_MAX bytes. Returns 0 with *ret owned by the caller, or a
 * negative errno value with context (`error` is not NULL). An sg_profile_opener: `data` is not used.
 */
int sg_profile_open(void *data, const char *name, const struct sg_source *from, struct sg_source **ret,
		    struct sg_error *error);

/* True if the profile is named by its path: a slash, or a file by its whole name, since no name of a profile ends in ".toml". */
bool sg_profile_is_path(const char *name);

/* The folders in which profiles are looked for by name, in order; NULL-terminated; borrowed for good. */
const char *const *sg_profile_folders(void);

/*
 * Loads and compiles profiles, with `extra` (a text of profile lines, or NULL) as one more. Prints every diagnostic to
 * standard error. Returns 0 with *ret owned by the caller, or the exit status of the command.
 */
int sg_load_policy(const char *const *names, size_t count, const char *extra, const struct sg_variables *variables,
		   struct sg_policy **ret);

/* A profile that is no file. */
struct sg_profile_text {
	const char *name, *text; /* what messages call it; NULL: there is none */
};

/* The same with several texts, which may be left out each. */
int sg_load_policy_texts(const char *const *names, size_t count, const struct sg_profile_text *texts, size_t text_count,
			 const struct sg_variables *variables, struct sg_policy **ret);
