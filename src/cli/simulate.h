/* What the filters answer to one system call, for a person who asks before a program does. */
#pragma once

#include "cli/options.h"

/* Carries out `syscalls --simulate PROFILE... CALL [ARGUMENT...]`. Returns the exit status of the command. */
int sg_simulate(const struct sg_options *options);
