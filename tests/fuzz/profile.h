/* What the targets that compile profiles share. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "policy/compile.h"

static void check(bool promise, const char *what)
{
	if (!promise) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

/* The only other profile that there is: Extends of "other" is followed, all else is not found. */
static inline int open_other(void *data, const char *name, const struct sg_source *from, struct sg_source **ret,
			     struct sg_error *error)
{
	static const char text[] = "[Filesystem]\nReadOnly = [\"/usr/**\"]\nDenyRead = [\"/usr/secret\"]\n";

	(void)data;
	(void)from;
	if (strcmp(name, "other") != 0)
		return sg_error_set(error, -ENOENT, "there is no profile \"%s\"", name);
	return sg_source_new(name, text, sizeof(text) - 1, ret);
}

/* Compiles up to two texts (b may be NULL). */
static inline int compile(const char *a, size_t a_size, const char *b, size_t b_size,
			  struct sg_diagnostics *diagnostics, struct sg_policy **ret)
{
	static const struct sg_variables variables = {"/home/u/work", "/home/u", "u", "1000", "/run/user/1000"};
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *sources[2];
	int status;

	check(sg_source_new("a.toml", a, a_size, &sources[0]) == 0, "a source");
	check(b == NULL || sg_source_new("b.toml", b, b_size, &sources[1]) == 0, "a source");
	status = sg_policy_compile(sources, b == NULL ? 1 : 2, &variables, open_other, NULL, diagnostics, ret, &error);
	check(status == 0 || status == SG_POLICY_REFUSED, "compiling ends in a fault");
	check((status == 0) == (diagnostics->found[SG_SEVERITY_ERROR] == 0),
	      "refused without an error, or the reverse");
	return status;
}
