/* The features of the kernel that we use, by name (features.def). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum sg_feature {
	SG_FEATURE_NONE, /* no row */
#define SG_FEATURE(id, ...) SG_FEATURE_##id,
#include "tables/features.def"
#undef SG_FEATURE
	SG_FEATURES_
};

/* What the absence of a feature means. */
enum sg_feature_effect { SG_EFFECT_NEEDED, SG_EFFECT_RULE, SG_EFFECT_SLOWER, SG_EFFECT_OTHERWISE, SG_EFFECT_UNUSED };

struct sg_feature_info {
	const char *name, *since;
	enum sg_feature needs;
	enum sg_feature_effect effect;
	const char *what, *without, *remedy;
};
extern const struct sg_feature_info sg_feature_infos[SG_FEATURES_]; /* [0] is empty */

/* The names, from the first row; sg_feature_names[i] is that of feature i + 1. */
extern const char *const sg_feature_names[SG_FEATURES_ - 1];

/* The feature of that name, or SG_FEATURE_NONE. */
enum sg_feature sg_feature_find(const char *name);

/* The effect as a word, static: "needed", "rule", "slower", "otherwise", "unused". */
const char *sg_feature_effect_name(enum sg_feature_effect effect);

/*
 * True if the feature is to be taken for missing although this kernel has it. Always false in the program
 * that is installed; the one that tests build reads the names in SG_HIDE_FEATURES, separated by commas. Each
 * place that goes another way without a feature asks here too.
 */
bool sg_feature_hidden(enum sg_feature feature);
