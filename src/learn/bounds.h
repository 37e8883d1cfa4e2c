/*
 * What the watched run was given bounds what is proposed.
 *
 * What an adversary controls: the command. It knows which run it is in (a file that an earlier one left tells it), so in a replay it
 * can ask for what it did not touch while it was watched; it chooses what it reads and what it calls its files, and by that the
 * wildcards. What it wants is a line that hands it a secret, or a file of the host to write. Why it gets none:
 *
 * 1. What a replay is refused is added only if the policy of the watched run gives it. So no replay reads what the watched run could
 *    not have read, nor changes, executes or reaches more, whatever the command tries: between the runs no person looks at the proposal.
 * 2. Whatever that policy refuses, and a proposed line could give, is refused by the proposal too, as a line of its own: files that
 *    are read beside a secret do not make a wildcard that gives the secret.
 *
 * A fault, or a question that cannot be answered, is a no.
 */
#pragma once

#include "learn/lines.h"
#include "learn/observed.h"
#include "policy/ask.h"

struct sg_learn_bounds;

/*
 * Takes the policy of the watched run, which outlives it (and gets more flags read: sg_asker_new). Returns 0 with *ret
 * (sg_learn_bounds_free), or a negative errno value.
 */
int sg_learn_bounds_new(struct sg_policy *policy, const struct sg_variables *variables, struct sg_learn_bounds **ret);
void sg_learn_bounds_free(struct sg_learn_bounds *bounds);

/* Whether the watched run was given what a replay was refused; and the flag of that name. */
bool sg_learn_bounds_give(struct sg_learn_bounds *bounds, const struct sg_used *refused);
bool sg_learn_bounds_give_flag(const struct sg_learn_bounds *bounds, const char *name);

/* Adds what the policy refuses and a line for files could give. A failure shows in `lines`. */
void sg_learn_bounds_keep(const struct sg_policy *policy, const struct sg_variables *variables,
			  struct sg_learn_lines *lines);
