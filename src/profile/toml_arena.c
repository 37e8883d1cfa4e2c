#include <stdlib.h>

#include "profile/toml_internal.h"

enum {
	BLOCK_FIRST = 4096 - 64, /* most profiles need one or two */
	BLOCK_LEAST = 256,       /* of a text of a few lines */
	BLOCK_LAST = 1 << 20,
};

struct toml_block {
	_Alignas(16) struct toml_block *next;
};

static bool add_block(struct toml_arena *arena, size_t size)
{
	struct toml_block *block;
	size_t total;

	if (arena->next_size == 0)
		arena->next_size = BLOCK_FIRST;
	/* What is large gets a block of its own size: at most half of what was asked for is lost. */
	if (size < arena->next_size)
		size = arena->next_size;
	if (arena->next_size < BLOCK_LAST)
		arena->next_size *= 2;
	if (__builtin_add_overflow(sizeof(*block), size, &total))
		return false;
	block = malloc(total);
	if (block == NULL)
		return false;
	block->next = arena->blocks;
	arena->blocks = block;
	arena->at = (char *)(block + 1);
	arena->end = arena->at + size;
	return true;
}

void sg_toml_arena_expect(struct toml_arena *arena, size_t text_size)
{
	arena->next_size = BLOCK_LEAST;
	while (arena->next_size < BLOCK_FIRST && arena->next_size < 2 * text_size)
		arena->next_size *= 2;
	if (arena->next_size > BLOCK_FIRST)
		arena->next_size = BLOCK_FIRST;
}

void *sg_toml_arena_take(struct toml_arena *arena, size_t size, size_t alignment)
{
	size_t padding = -(uintptr_t)arena->at & (alignment - 1);
	char *taken;

	if (arena->at == NULL || padding > (size_t)(arena->end - arena->at) ||
	    size > (size_t)(arena->end - arena->at) - padding) {
		if (!add_block(arena, size))
			return NULL;
		padding = 0;
	}
	taken = arena->at + padding;
	arena->at = taken + size;
	return taken;
}

void sg_toml_arena_done(struct toml_arena *arena)
{
	while (arena->blocks != NULL) {
		struct toml_block *next = arena->blocks->next;

		free(arena->blocks);
		arena->blocks = next;
	}
	*arena = (struct toml_arena){0};
}
