#include "export/cubes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sg_cubes_done(struct sg_cubes *cubes)
{
	free(cubes->cubes);
	*cubes = (struct sg_cubes){0};
}

static int add(struct sg_cubes *cubes, const struct sg_cube *cube)
{
	if (cubes->count == SG_CUBES_MAX)
		return -E2BIG;
	if (cubes->count == cubes->capacity) {
		const size_t capacity = cubes->capacity > 0 ? 2 * cubes->capacity : 16;
		struct sg_cube *grown = reallocarray(cubes->cubes, capacity, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		cubes->cubes = grown;
		cubes->capacity = capacity;
	}
	cubes->cubes[cubes->count++] = *cube;
	return 0;
}

/* Adds the cube, narrowed to (argument & mask) == value; nothing if no call is in both. */
static int add_narrowed(struct sg_cubes *to, const struct sg_cube *cube, unsigned int argument, uint64_t mask,
			uint64_t value)
{
	struct sg_cube narrowed = *cube;

	if (((cube->value[argument] ^ value) & cube->mask[argument] & mask) != 0)
		return 0;
	narrowed.mask[argument] |= mask;
	narrowed.value[argument] |= value & mask;
	return add(to, &narrowed);
}

/* (argument & mask) != value: some bit of the mask is the other one. */
static int add_differing(struct sg_cubes *to, const struct sg_cube *cube, unsigned int argument, uint64_t mask,
			 uint64_t value)
{
	int r = 0;

	for (uint64_t bits = mask; bits != 0 && r == 0; bits &= bits - 1) {
		const uint64_t bit = bits & -bits;

		r = add_narrowed(to, cube, argument, bit, ~value & bit);
	}
	return r;
}

/* first <= argument <= last, as the fewest aligned blocks. */
static int add_range(struct sg_cubes *to, const struct sg_cube *cube, const struct sg_filter_condition *condition,
		     uint64_t first, uint64_t last)
{
	const uint64_t all = condition->width == 32 ? UINT32_MAX : UINT64_MAX;

	for (;;) {
		uint64_t block = 0; /* the bits that are left open */
		int r;

		while (block != all && (first & (2 * block + 1)) == 0 && (first | (2 * block + 1)) <= last)
			block = 2 * block + 1;
		r = add_narrowed(to, cube, condition->argument, all & ~block, first & all);
		if (r != 0 || (first | block) == last)
			return r;
		first = (first | block) + 1;
	}
}

static int add_with(struct sg_cubes *to, const struct sg_cube *cube, const struct sg_filter_condition *condition)
{
	switch (condition->compare) {
	case SG_FILTER_EQUAL:
		return add_narrowed(to, cube, condition->argument, condition->mask, condition->value);
	case SG_FILTER_NOT_EQUAL:
		return add_differing(to, cube, condition->argument, condition->mask, condition->value);
	default:
		return add_range(to, cube, condition, condition->value, condition->last);
	}
}

static int add_without(struct sg_cubes *to, const struct sg_cube *cube, const struct sg_filter_condition *condition)
{
	const uint64_t all = condition->width == 32 ? UINT32_MAX : UINT64_MAX;
	int r = 0;

	switch (condition->compare) {
	case SG_FILTER_EQUAL:
		return add_differing(to, cube, condition->argument, condition->mask, condition->value);
	case SG_FILTER_NOT_EQUAL:
		return add_narrowed(to, cube, condition->argument, condition->mask, condition->value);
	default:
		if (condition->value > 0)
			r = add_range(to, cube, condition, 0, condition->value - 1);
		if (r == 0 && condition->last < all)
			r = add_range(to, cube, condition, condition->last + 1, all);
		return r;
	}
}

/* *cubes becomes what is in it and meets the condition. */
static int narrow(struct sg_cubes *cubes, const struct sg_filter_condition *condition)
{
	struct sg_cubes narrowed = {0};
	int r = 0;

	for (size_t i = 0; i < cubes->count && r == 0; i++)
		r = add_with(&narrowed, &cubes->cubes[i], condition);
	sg_cubes_done(cubes);
	*cubes = narrowed;
	return r;
}

static bool is_within(const struct sg_cube *inner, const struct sg_cube *outer)
{
	for (unsigned int i = 0; i < SG_SYSCALL_ARGUMENTS; i++)
		if ((outer->mask[i] & ~inner->mask[i]) != 0 ||
		    ((outer->value[i] ^ inner->value[i]) & outer->mask[i]) != 0)
			return false;
	return true;
}

/* Takes away what lies within another. */
static void absorb(struct sg_cubes *cubes)
{
	for (size_t i = 0; i < cubes->count;) {
		bool within = false;

		for (size_t j = 0; j < cubes->count && !within; j++)
			within = j != i && is_within(&cubes->cubes[i], &cubes->cubes[j]);
		if (within)
			cubes->cubes[i] = cubes->cubes[--cubes->count];
		else
			i++;
	}
}

static int meets(const struct sg_cube *cube, const struct sg_filter_row *row, bool *ret)
{
	SG_AUTO_CUBES struct sg_cubes both = {0};
	int r = add(&both, cube);

	for (uint32_t i = 0; i < row->count && r == 0; i++)
		r = narrow(&both, &row->conditions[i]);
	*ret = both.count > 0;
	return r;
}

/* *cubes becomes what is in it and is not the row's. */
static int subtract(struct sg_cubes *cubes, const struct sg_filter_row *row)
{
	struct sg_cubes left = {0};
	int r = 0;

	for (size_t i = 0; i < cubes->count && r == 0; i++) {
		bool met;

		r = meets(&cubes->cubes[i], row, &met);
		if (r == 0 && !met)
			r = add(&left, &cubes->cubes[i]);
		for (uint32_t j = 0; r == 0 && met && j < row->count; j++)
			r = add_without(&left, &cubes->cubes[i], &row->conditions[j]);
	}
	sg_cubes_done(cubes);
	*cubes = left;
	absorb(cubes);
	return r;
}

/* Adds to *to what row `index` allows (`index` == count: what no row matches), less what rows before it refuse. */
static int add_allowed(struct sg_cubes *to, const struct sg_filter_row *rows, uint32_t count, uint32_t index)
{
	const struct sg_cube anything = {0};
	SG_AUTO_CUBES struct sg_cubes allowed = {0};
	int r = add(&allowed, &anything);

	for (uint32_t i = 0; index < count && i < rows[index].count && r == 0; i++)
		r = narrow(&allowed, &rows[index].conditions[i]);
	for (uint32_t i = 0; i < index && r == 0; i++)
		if (rows[i].action != SECCOMP_RET_ALLOW)
			r = subtract(&allowed, &rows[i]);
	for (size_t i = 0; i < allowed.count && r == 0; i++)
		r = add(to, &allowed.cubes[i]);
	return r;
}

int sg_cube_compare(const struct sg_cube *a, const struct sg_cube *b)
{
	for (unsigned int i = 0; i < SG_SYSCALL_ARGUMENTS; i++) {
		if (a->value[i] != b->value[i])
			return a->value[i] < b->value[i] ? -1 : 1;
		if (a->mask[i] != b->mask[i])
			return a->mask[i] < b->mask[i] ? -1 : 1;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	return sg_cube_compare(a, b);
}

int sg_cubes_of_rule(const struct sg_filter_spec *spec, const struct sg_filter_rule *rule, struct sg_cubes *ret)
{
	const struct sg_filter_row *rows = spec->rows + rule->first;
	int r = 0;

	for (uint32_t i = 0; i < rule->count && r == 0; i++)
		if (rows[i].action == SECCOMP_RET_ALLOW)
			r = add_allowed(ret, rows, rule->count, i);
	if (r == 0 && rule->action == SECCOMP_RET_ALLOW)
		r = add_allowed(ret, rows, rule->count, rule->count);
	if (r != 0)
		return r;
	if (ret->count > 1) {
		/* Equal ones lie within each other: absorb() keeps one, since the other is gone when it is looked at. */
		absorb(ret);
		qsort(ret->cubes, ret->count, sizeof(*ret->cubes), compare);
	}
	return 0;
}
