/* The help of the commands, from the tables (commands.def, options.def, help.def). */
#pragma once

#include "cli/cli.h"

/* Appends the help of a command: usage, what it does, its options, its exit statuses. `width`: columns to
 * wrap at. */
void sg_help_write(const char *command, size_t width, struct sg_buffer *out);

/* Prints it to `fd`. Returns 0 or a negative errno value. */
int sg_command_help(const char *command, int fd);

/* Says that the command was used wrongly (its usage, on standard error). Returns SG_EXIT_USAGE. */
int sg_command_usage(const char *command);

/* The paragraphs about a command, static: separated by empty lines; "" if there are none. */
const char *sg_help_text(const char *command);

/* Exit statuses of a command, static, or "" for the common ones. */
const char *sg_help_status(const char *command);

/* True for a command whose help has the table of actions (tables/actions.def) between its text and its options. */
bool sg_help_has_actions(const struct sg_command *command);

/* The row of a command, or NULL. */
const struct sg_command *sg_command_find(const char *name);
