/* The built-in flag definitions (flags/ in the source), as text inside the program: read by the reader of profiles. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sg_builtin_text {
	const char *name; /* what messages call it: "flags/runtime.toml" */
	const char *text;
	size_t size;
};

extern const struct sg_builtin_text sg_builtin_flags[];
extern const size_t sg_builtin_flag_count;

/* Where one [Define.NAME] lies. No pointers in it: a table of them would be relocated, page by page, at every start. */
struct sg_builtin_definition {
	char name[32];
	uint16_t file;       /* index into sg_builtin_flags */
	uint16_t line;       /* from 0, of the header */
	uint32_t begin, end; /* bytes of that text */
};

/* Sorted by name. */
extern const struct sg_builtin_definition sg_builtin_definitions[];
extern const size_t sg_builtin_definition_count;
