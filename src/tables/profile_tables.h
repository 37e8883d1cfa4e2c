/* The tables of the profile language: kinds of rules, sections, keys, limits (src/tables, the .def files). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sg_rule_kind {
#define SG_RULE(kind, name, what, description) SG_RULE_##kind,
#include "tables/rules.def"
#undef SG_RULE
	SG_RULE_KINDS
};

enum sg_rule_what {
	SG_WHAT_GLOB,
	SG_WHAT_ADDRESS,
	SG_WHAT_FLAG,
	SG_WHAT_SYSCALL,
	SG_WHAT_CAPABILITY,
	SG_WHAT_TEXT,
	SG_WHAT_FEATURE
};

struct sg_rule_info {
	const char *name;        /* the key: "ReadOnly" */
	enum sg_rule_what what;  /* how the text is read */
	const char *description; /* completes "<text> ..." */
};
extern const struct sg_rule_info sg_rule_infos[SG_RULE_KINDS];

/* True for a statement of a definition that grants a flag, or a system call, with it: its own, or one that it needs. */
static inline bool sg_rule_gives_flag(enum sg_rule_kind kind)
{
	return kind == SG_RULE_FLAG || kind == SG_RULE_NEED_FLAG;
}

static inline bool sg_rule_gives_call(enum sg_rule_kind kind)
{
	return kind == SG_RULE_SYSCALL || kind == SG_RULE_NEED_SYSCALL;
}

enum sg_section {
	SG_SECTION_ROOT,
#define SG_SECTION(id, name, form) SG_SECTION_##id,
#include "tables/sections.def"
#undef SG_SECTION
	SG_SECTION_ACTION, /* [[Privileged.Action]] */
	SG_SECTIONS
};

enum sg_section_form { SG_SECTION_IS_TABLE, SG_SECTION_IS_NAMED, SG_SECTION_IS_ARRAY };

struct sg_section_info {
	const char *name;
	enum sg_section_form form;
};
extern const struct sg_section_info sg_section_infos[SG_SECTIONS];

enum sg_key_type { SG_KEY_STRING, SG_KEY_STRINGS, SG_KEY_BOOLEAN, SG_KEY_LIMITS, SG_KEY_LISTS, SG_KEY_TABLES };

struct sg_key_info {
	uint32_t sections; /* bit 1 << enum sg_section */
	const char *name;
	enum sg_key_type type;
	enum sg_rule_kind rule;
};
extern const struct sg_key_info sg_key_infos[];
extern const size_t sg_key_count;

enum sg_limit_unit { SG_LIMIT_COUNT, SG_LIMIT_BYTES, SG_LIMIT_SECONDS };
enum { SG_LIMIT_GROUP = -1 }; /* held by the control group, not by a resource limit */

struct sg_limit_info {
	const char *name;
	enum sg_limit_unit unit;
	int resource;           /* RLIMIT_* or SG_LIMIT_GROUP */
	uint64_t default_value; /* 0: the caller's own */
	uint64_t smallest;      /* with less no program starts */
	const char *description;
};
extern const struct sg_limit_info sg_limit_infos[];
extern const size_t sg_limit_count;
