/*
 * Which arguments a filter allows, as a set of cubes: each asks some bits of each argument for one value, and a call is allowed if
 * one cube holds. It is the form of the rules of libseccomp, and of the seccomp part of OCI, which know no order: first-match
 * rows become the union of what each allows, less what an earlier one refuses. Exact; "any of these bits" and "is not" are written
 * out bit by bit, ranges as aligned blocks.
 */
#pragma once

#include "world/filter.h"

struct sg_cube {
	uint64_t mask[SG_SYSCALL_ARGUMENTS];  /* the bits that are asked; 0: anything */
	uint64_t value[SG_SYSCALL_ARGUMENTS]; /* what they are; no bits outside the mask */
};

enum { SG_CUBES_MAX = 4096 };

struct sg_cubes {
	struct sg_cube *cubes; /* owned */
	size_t count, capacity;
};

/* Frees the cubes; none is left. */
void sg_cubes_done(struct sg_cubes *cubes);
#define SG_AUTO_CUBES SG_CLEANUP(sg_cubes_done)

/*
 * Sets *ret (empty before, sg_cubes_done in every case) to what the rule allows (SECCOMP_RET_ALLOW), none within another, in an
 * order of their values. Nothing: no cube; everything: one that asks nothing. Returns 0, -ENOMEM, or -E2BIG beyond SG_CUBES_MAX.
 */
SG_MUST_USE int sg_cubes_of_rule(const struct sg_filter_spec *spec, const struct sg_filter_rule *rule,
				 struct sg_cubes *ret);

/* -1, 0 or 1: an order of cubes. */
int sg_cube_compare(const struct sg_cube *a, const struct sg_cube *b);
