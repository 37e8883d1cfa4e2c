/*
 * The built-in flags by name and as bits.
 *
 * The table says only that a flag exists and where it belongs; what it gives is text (flags/<category>.toml).
 * The bits are for what the filter asks of a flag: which values of an allow-list (ioctl.def and its like) are
 * given, which checks are lifted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sg_flag_category {
	SG_FLAG_CATEGORY_NETWORKING,
	SG_FLAG_CATEGORY_FILESYSTEM,
	SG_FLAG_CATEGORY_RUNTIME,
	SG_FLAG_CATEGORY_USER,
	SG_FLAG_CATEGORY_MISC,
	SG_FLAG_CATEGORY_PLEDGE,
	SG_FLAG_CATEGORIES_
};

enum sg_flag {
	SG_FLAG_NONE_ = -1, /* in a table's row: no flag (which row says what that means) */
#define SG_FLAG(identifier, name, category) SG_FLAG_##identifier,
#include "tables/flags.def"
#undef SG_FLAG
	SG_FLAGS_
};

/* A set of built-in flags; {0} is empty. */
struct sg_flag_set {
	uint64_t words[(SG_FLAGS_ + 63) / 64];
};

static inline void sg_flag_set_add(struct sg_flag_set *set, enum sg_flag flag)
{
	set->words[(unsigned int)flag / 64] |= UINT64_C(1) << ((unsigned int)flag % 64);
}

static inline void sg_flag_set_remove(struct sg_flag_set *set, enum sg_flag flag)
{
	set->words[(unsigned int)flag / 64] &= ~(UINT64_C(1) << ((unsigned int)flag % 64));
}

/* True if `flag` is in the set; false for SG_FLAG_NONE_. */
static inline bool sg_flag_set_has(const struct sg_flag_set *set, enum sg_flag flag)
{
	return flag >= 0 && (set->words[(unsigned int)flag / 64] >> ((unsigned int)flag % 64) & 1) != 0;
}

/* The flag's name as a profile writes it; static. NULL when `flag` is not one of the enum's. */
const char *sg_flag_name(enum sg_flag flag);

/* The flag's category, which is also the section of a profile that it belongs to. `flag` must be one of the
 * enum's. */
enum sg_flag_category sg_flag_category(enum sg_flag flag);

/* The category as it is written in `Category = "..."`; static. NULL when out of range. */
const char *sg_flag_category_name(enum sg_flag_category category);

/* Finds a flag by the `length` bytes of its name, case sensitive. Returns the flag or SG_FLAG_NONE_.
 * Allocates nothing. */
enum sg_flag sg_flag_find(const char *name, size_t length);
