#include "tables/features.h"

#include <string.h>

const struct sg_feature_info sg_feature_infos[SG_FEATURES_] = {
#define SG_FEATURE(id, name, since, needs, effect, probe, what, without, remedy)                                       \
	[SG_FEATURE_##id] = {name, since, SG_FEATURE_##needs, SG_EFFECT_##effect, what, without, remedy},
#include "tables/features.def"
#undef SG_FEATURE
};

const char *const sg_feature_names[SG_FEATURES_ - 1] = {
#define SG_FEATURE(id, name, ...) name,
#include "tables/features.def"
#undef SG_FEATURE
};

enum sg_feature sg_feature_find(const char *name)
{
	for (int i = 1; i < SG_FEATURES_; i++)
		if (strcmp(sg_feature_infos[i].name, name) == 0)
			return (enum sg_feature)i;
	return SG_FEATURE_NONE;
}

const char *sg_feature_effect_name(enum sg_feature_effect effect)
{
	static const char *const names[] = {
		[SG_EFFECT_NEEDED] = "needed",       [SG_EFFECT_RULE] = "rule",     [SG_EFFECT_SLOWER] = "slower",
		[SG_EFFECT_OTHERWISE] = "otherwise", [SG_EFFECT_UNUSED] = "unused",
	};

	return names[effect];
}
