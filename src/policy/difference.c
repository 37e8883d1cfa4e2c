#include "policy/difference_internal.h"

#include <errno.h>
#include <string.h>

const char *const sg_direction_names[SG_DIRECTIONS_] = {
	[SG_DIRECTION_GIVES] = "gives",
	[SG_DIRECTION_TAKES] = "takes",
	[SG_DIRECTION_CHANGES] = "changes",
};

static void free_texts(struct sg_difference *difference)
{
	free(difference->example);
	free(difference->before);
	free(difference->after);
}

void sg_differences_done(struct sg_differences *list)
{
	for (size_t i = 0; i < list->count; i++)
		free_texts(&list->items[i]);
	free(list->items);
	*list = (struct sg_differences){0};
}

static struct sg_difference *make_room(struct sg_differences *list)
{
	if (list->count == list->capacity) {
		const size_t capacity = list->capacity == 0 ? 32 : list->capacity * 2;
		struct sg_difference *grown = reallocarray(list->items, capacity, sizeof(*grown));

		if (grown == NULL)
			return NULL;
		list->items = grown;
		list->capacity = capacity;
	}
	return &list->items[list->count];
}

/* Words are compared by their text: one pointer is as good as another. */
static bool is_like(const struct sg_difference *a, const struct sg_difference *b)
{
	return a->direction == b->direction && strcmp(a->what, b->what) == 0 && a->was == b->was &&
	       a->becomes == b->becomes;
}

/* The slot of what is like `wanted`, or a free one. */
static uint32_t *find_slot(const struct sg_comparison *comparison, const struct sg_difference *wanted)
{
	uint64_t key = ((uint64_t)(uintptr_t)wanted->was * UINT64_C(0x9e3779b97f4a7c15)) ^
		       ((uint64_t)(uintptr_t)wanted->becomes * UINT64_C(0xbf58476d1ce4e5b9)) ^
		       (uint64_t)wanted->what[0] << 8 ^ (uint64_t)wanted->direction;
	size_t slot = (size_t)(key >> 29 ^ key) & (comparison->known_size - 1);

	for (; comparison->known[slot] != 0; slot = (slot + 1) & (comparison->known_size - 1))
		if (is_like(&comparison->list.items[comparison->known[slot] - 1], wanted))
			break;
	return &comparison->known[slot];
}

static int grow_known(struct sg_comparison *comparison)
{
	const size_t size = comparison->known_size == 0 ? 256 : comparison->known_size * 2;
	uint32_t *known = comparison->list.count * 2 < comparison->known_size ? NULL : calloc(size, sizeof(*known));

	if (known == NULL)
		return comparison->list.count * 2 < comparison->known_size ? 0 : -ENOMEM;
	free(comparison->known);
	comparison->known = known;
	comparison->known_size = size;
	for (size_t i = 0; i < comparison->list.count; i++)
		*find_slot(comparison, &comparison->list.items[i]) = (uint32_t)i + 1;
	return 0;
}

static char *copy(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

static int add(struct sg_comparison *comparison, struct sg_difference difference)
{
	struct sg_difference *place = make_room(&comparison->list);

	if (place == NULL)
		return -ENOMEM;
	difference.example = copy(difference.example);
	difference.before = copy(difference.before);
	difference.after = copy(difference.after);
	if (difference.example == NULL) {
		free_texts(&difference);
		return -ENOMEM;
	}
	*place = difference;
	comparison->list.count++;
	comparison->list.found[difference.direction]++;
	return 0;
}

int sg_difference_add(struct sg_comparison *comparison, enum sg_direction direction, const char *what,
		      const char *example, const struct sg_rule *was, const struct sg_rule *becomes)
{
	const struct sg_difference difference = {.direction = direction,
						 .what = what,
						 .example = (char *)(uintptr_t)example,
						 .was = was,
						 .becomes = becomes};
	uint32_t *slot;
	int status = grow_known(comparison);

	if (status < 0)
		return status;
	slot = find_slot(comparison, &difference);
	if (*slot != 0)
		return 0;
	status = add(comparison, difference);
	if (status == 0)
		*slot = (uint32_t)comparison->list.count;
	return status;
}

int sg_difference_add_value(struct sg_comparison *comparison, enum sg_direction direction, const char *what,
			    const char *example, const char *before, const char *after, const struct sg_rule *was,
			    const struct sg_rule *becomes)
{
	return add(comparison, (struct sg_difference){.direction = direction,
						      .what = what,
						      .example = (char *)(uintptr_t)example,
						      .before = (char *)(uintptr_t)before,
						      .after = (char *)(uintptr_t)after,
						      .was = was,
						      .becomes = becomes});
}

int sg_policy_compare(const struct sg_policy *before, const struct sg_policy *after, struct sg_differences *ret)
{
	struct sg_comparison comparison = {.policy = {before, after}};
	int status = 0;

	*ret = (struct sg_differences){0};
	if (memcmp(before->hash, after->hash, SG_POLICY_HASH_SIZE) == 0)
		return 0;
	status = sg_difference_process(&comparison);
	if (status == 0)
		status = sg_difference_network(&comparison);
	if (status == 0)
		status = sg_difference_files(&comparison);
	free(comparison.known);
	if (status == 0)
		*ret = comparison.list;
	else
		sg_differences_done(&comparison.list);
	return status;
}
