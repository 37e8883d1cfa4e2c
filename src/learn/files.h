/* From the files that a run used to the lines of a profile. */
#pragma once

#include "learn/lines.h"
#include "learn/matcher.h"
#include "learn/observed.h"

struct sg_learn_files {
	const struct sg_observed *observed;
	const struct sg_variables *variables;
	struct sg_learn_matcher *given; /* what the flags give */
	bool temporary;                 /* "tmp" is one of them: the folders for temporary files are the world's own */
	bool looks;                     /* names that were merely looked at are proposed for reading */
};

/*
 * Adds the lines for programs and files: what the flags do not give. The same use gives the same lines. Returns 0 or -ENOMEM.
 */
int sg_learn_files_find(const struct sg_learn_files *files, struct sg_learn_lines *lines);
