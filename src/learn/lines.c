#include "learn/lines.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 1 << 16 };

static bool grow(struct sg_learn_lines *lines)
{
	const size_t capacity = lines->capacity == 0 ? 64 : 2 * lines->capacity;
	struct sg_learn_line *items;

	if (lines->count < lines->capacity)
		return true;
	items = capacity > LINES_MAX ? NULL : realloc(lines->items, capacity * sizeof(*items));
	if (items == NULL)
		return false;
	lines->items = items;
	lines->capacity = capacity;
	return true;
}

void sg_learn_add(struct sg_learn_lines *lines, enum sg_learn_key key, bool off, const char *value, const char *comment,
		  ...)
{
	struct sg_learn_line line = {.key = key, .off = off, .value = strdup(value)};
	va_list arguments;

	va_start(arguments, comment);
	if (vasprintf(&line.comment, comment, arguments) < 0)
		line.comment = NULL;
	va_end(arguments);
	if (!lines->failed && line.value != NULL && line.comment != NULL && grow(lines)) {
		lines->items[lines->count++] = line;
		return;
	}
	lines->failed = true;
	free(line.value);
	free(line.comment);
}

static int compare(const void *left, const void *right)
{
	const struct sg_learn_line *a = left, *b = right;
	int order;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	order = strcmp(a->value, b->value);
	if (order == 0)
		order = (int)a->off - (int)b->off;
	return order != 0 ? order : strcmp(a->comment, b->comment);
}

int sg_learn_lines_settle(struct sg_learn_lines *lines)
{
	size_t kept = 0;

	if (lines->count > 1)
		qsort(lines->items, lines->count, sizeof(*lines->items), compare);
	for (size_t i = 0; i < lines->count; i++) {
		struct sg_learn_line *line = &lines->items[i];

		if (kept == 0 || lines->items[kept - 1].key != line->key ||
		    strcmp(lines->items[kept - 1].value, line->value) != 0) {
			lines->items[kept++] = *line;
			continue;
		}
		free(line->value);
		free(line->comment);
	}
	lines->count = kept;
	return lines->failed ? -ENOMEM : 0;
}

void sg_learn_lines_done(struct sg_learn_lines *lines)
{
	for (size_t i = 0; i < lines->count; i++) {
		free(lines->items[i].value);
		free(lines->items[i].comment);
	}
	free(lines->items);
	*lines = (struct sg_learn_lines){0};
}
