#include "tables/profile_tables.h"

#include <sys/resource.h>

#include "base/attr.h"

const struct sg_rule_info sg_rule_infos[SG_RULE_KINDS] = {
#define SG_RULE(kind, name, what, description) [SG_RULE_##kind] = {name, SG_WHAT_##what, description},
#include "tables/rules.def"
#undef SG_RULE
};

const struct sg_section_info sg_section_infos[SG_SECTIONS] = {
	[SG_SECTION_ROOT] = {"", SG_SECTION_IS_TABLE},
	[SG_SECTION_ACTION] = {"Privileged.Action", SG_SECTION_IS_ARRAY},
#define SG_SECTION(id, name, form) [SG_SECTION_##id] = {name, SG_SECTION_IS_##form},
#include "tables/sections.def"
#undef SG_SECTION
};

#define IN(section) (1U << SG_SECTION_##section)
const struct sg_key_info sg_key_infos[] = {
#define SG_KEY(sections, name, type, rule) {sections, name, SG_KEY_##type, SG_RULE_##rule},
#include "tables/keys.def"
#undef SG_KEY
};
#undef IN
const size_t sg_key_count = SG_ARRAY_SIZE(sg_key_infos);

const struct sg_limit_info sg_limit_infos[] = {
#define SG_LIMIT(name, unit, resource, default_value, smallest, description)                                           \
	{name, SG_LIMIT_##unit, resource, default_value, smallest, description},
#include "tables/limits.def"
#undef SG_LIMIT
};
const size_t sg_limit_count = SG_ARRAY_SIZE(sg_limit_infos);
