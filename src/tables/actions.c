#include "tables/actions.h"

#include <string.h>

#include "base/attr.h"

const struct sg_action_info sg_action_infos[SG_ACTIONS_] = {
#define SG_ACTION(id, word, key, verb, argument, operation, access, description)                                       \
	[SG_ACTION_##id] = {word, key, verb, argument, operation, access, description},
#define SG_ACTION_TOO(word, key, id)
#include "tables/actions.def"
#undef SG_ACTION
#undef SG_ACTION_TOO
};

const struct sg_action_name sg_action_names[] = {
#define SG_ACTION(id, word, key, verb, argument, operation, access, description) {word, key, SG_ACTION_##id},
#define SG_ACTION_TOO(word, key, id) {word, key, SG_ACTION_##id},
#include "tables/actions.def"
#undef SG_ACTION
#undef SG_ACTION_TOO
};
const size_t sg_action_name_count = SG_ARRAY_SIZE(sg_action_names);

enum sg_action sg_action_by_word(const char *word, size_t length)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(sg_action_names); i++)
		if (strlen(sg_action_names[i].word) == length && memcmp(sg_action_names[i].word, word, length) == 0)
			return sg_action_names[i].action;
	return SG_ACTIONS_;
}

enum sg_action sg_action_by_key(const char *key)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(sg_action_names); i++)
		if (strcmp(sg_action_names[i].key, key) == 0)
			return sg_action_names[i].action;
	return SG_ACTIONS_;
}

const char *const sg_outcome_names[SG_OUTCOMES_] = {
#define SG_OUTCOME(id, name, description) [SG_OUTCOME_##id] = name,
#include "tables/outcomes.def"
#undef SG_OUTCOME
};

const char *const sg_outcome_descriptions[SG_OUTCOMES_] = {
#define SG_OUTCOME(id, name, description) [SG_OUTCOME_##id] = description,
#include "tables/outcomes.def"
#undef SG_OUTCOME
};

bool sg_outcome_meets(enum sg_outcome expected, enum sg_outcome found)
{
	return expected == found || (expected == SG_OUTCOME_ALLOW && found == SG_OUTCOME_OWN) ||
	       (expected == SG_OUTCOME_DENY && found == SG_OUTCOME_HIDE);
}
