/* What the files of policy/difference.h share. */
#pragma once

#include "policy/difference.h"

enum { SG_SIDES = 2 }; /* 0: before, 1: after */

struct sg_comparison {
	const struct sg_policy *policy[SG_SIDES];
	struct sg_differences list;
	/* What is in the list, by what two of one kind have in common: numbers of items, plus one. */
	uint32_t *known;
	size_t known_size; /* a power of two, at least twice the items */
};

/*
 * Notes a difference, unless one with the same direction, words and rules is there already. Texts are copied; `before` and `after` may
 * be NULL. Returns 0 or -ENOMEM.
 */
int sg_difference_add(struct sg_comparison *comparison, enum sg_direction direction, const char *what,
		      const char *example, const struct sg_rule *was, const struct sg_rule *becomes);
int sg_difference_add_value(struct sg_comparison *comparison, enum sg_direction direction, const char *what,
			    const char *example, const char *before, const char *after, const struct sg_rule *was,
			    const struct sg_rule *becomes);

/* Each compares one part; returned as by sg_policy_compare. */
int sg_difference_files(struct sg_comparison *comparison);
int sg_difference_network(struct sg_comparison *comparison);
int sg_difference_process(struct sg_comparison *comparison);
