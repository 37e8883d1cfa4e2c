/* What `run` does, for a command that runs one: learn and its replays (learn.c). */
#pragma once

#include "cli/options.h"

struct sg_run_mode {
	const char *name, *text; /* a profile by its text, beside the named ones; the default profile is not taken */
	bool watched;            /* a watched session (supervisor/learn.h) */
	int tell;                /* gets the path of the record, once there is one; -1: nobody asks */
};

/*
 * Runs options->command as `run` does, prints what it prints, and exits with its status. To be called in a process of its own;
 * everything is borrowed.
 */
SG_NORETURN void sg_run_as(struct sg_options *options, const struct sg_run_mode *mode);
