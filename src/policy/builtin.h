/* The built-in flag definitions (flags/ in the source), as text inside the program: read by the reader of profiles. */
#pragma once

#include <stddef.h>

struct sg_builtin_text {
	const char *name; /* what messages call it: "flags/runtime.toml" */
	const char *text;
	size_t size;
};

extern const struct sg_builtin_text sg_builtin_flags[];
extern const size_t sg_builtin_flag_count;
