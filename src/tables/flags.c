#include "tables/flags.h"

#include <string.h>

#include "base/attr.h"

static const struct {
	const char *name;
	enum sg_flag_category category;
} flags[] = {
#define SG_FLAG(identifier, name, category) [SG_FLAG_##identifier] = {name, SG_FLAG_CATEGORY_##category},
#include "tables/flags.def"
#undef SG_FLAG
};

static const char *const categories[] = {
	[SG_FLAG_CATEGORY_NETWORKING] = "Networking",
	[SG_FLAG_CATEGORY_FILESYSTEM] = "Filesystem",
	[SG_FLAG_CATEGORY_RUNTIME] = "Runtime",
	[SG_FLAG_CATEGORY_USER] = "User",
	[SG_FLAG_CATEGORY_MISC] = "Misc",
	[SG_FLAG_CATEGORY_PLEDGE] = "Pledge",
};

_Static_assert(SG_ARRAY_SIZE(flags) == SG_FLAGS_, "one row a flag");
_Static_assert(SG_ARRAY_SIZE(categories) == SG_FLAG_CATEGORIES_, "one name a category");

const char *sg_flag_name(enum sg_flag flag)
{
	return flag >= 0 && flag < SG_FLAGS_ ? flags[flag].name : NULL;
}

enum sg_flag_category sg_flag_category(enum sg_flag flag)
{
	return flags[flag].category;
}

const char *sg_flag_category_name(enum sg_flag_category category)
{
	return category < SG_FLAG_CATEGORIES_ ? categories[category] : NULL;
}

enum sg_flag sg_flag_find(const char *name, size_t length)
{
	for (int flag = 0; flag < SG_FLAGS_; flag++)
		if (strlen(flags[flag].name) == length && memcmp(flags[flag].name, name, length) == 0)
			return (enum sg_flag)flag;
	return SG_FLAG_NONE_;
}
