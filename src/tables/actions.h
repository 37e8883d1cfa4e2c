/* What can be asked of a profile, and the answers (tables/actions.def, outcomes.def): the words of `can`, the keys of [[Test]]. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum sg_action {
#define SG_ACTION(id, word, key, verb, argument, operation, access, description) SG_ACTION_##id,
#define SG_ACTION_TOO(word, key, id)
#include "tables/actions.def"
#undef SG_ACTION
#undef SG_ACTION_TOO
	SG_ACTIONS_
};

struct sg_action_info {
	const char *word, *key, *verb, *argument, *operation, *access, *description;
};
extern const struct sg_action_info sg_action_infos[SG_ACTIONS_];

/* Every name of an action, those that are another name of one too. */
struct sg_action_name {
	const char *word, *key;
	enum sg_action action;
};
extern const struct sg_action_name sg_action_names[];
extern const size_t sg_action_name_count;

/* The action by its word ("read"), of `length` bytes, or by its key ("Read"); SG_ACTIONS_: there is none. */
enum sg_action sg_action_by_word(const char *word, size_t length);
enum sg_action sg_action_by_key(const char *key);

enum sg_outcome {
#define SG_OUTCOME(id, name, description) SG_OUTCOME_##id,
#include "tables/outcomes.def"
#undef SG_OUTCOME
	SG_OUTCOMES_
};

/* "allow", "own", "deny", "hide", "answered"; and what each means, for a person. */
extern const char *const sg_outcome_names[SG_OUTCOMES_], *const sg_outcome_descriptions[SG_OUTCOMES_];

/* True if an answer is what is expected: "allow" is met by "own" too, and "deny" by "hide". */
bool sg_outcome_meets(enum sg_outcome expected, enum sg_outcome found);
