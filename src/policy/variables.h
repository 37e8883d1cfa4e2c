/* The variables of profiles, filled in. */
#pragma once

#include "policy/policy.h"

/* The text names a variable that there is not. */
enum { SG_VARIABLES_UNKNOWN = 1 };
#define SG_VARIABLES_HINT "the variables are ${CWD}, ${HOME}, ${USER}, ${UID}, ${RUNTIME}, ${CONFIG}, ${STATE}"

/*
 * Fills in ${NAME} and a leading ~. With `glob` a value is quoted, so that it stands for itself within a glob. Returns 0 with *ret
 * (owned; NULL where the text holds none and stands as it is), SG_VARIABLES_UNKNOWN, or -ENOMEM.
 */
SG_MUST_USE int sg_variables_expand(const struct sg_variables *variables, const char *text, bool glob, char **ret);
