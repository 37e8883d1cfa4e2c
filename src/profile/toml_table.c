/* The tables of a document: look-up, and who may add what where. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "profile/toml_internal.h"

enum {
	SCANNED_MAX = 12, /* a table of at most so many entries is searched in order */
	SLOTS_FIRST = 64,
};

_Static_assert(crypto_shorthash_KEYBYTES == sizeof(((struct sg_toml_document *)NULL)->hash_key), "SipHash's key");
_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "SipHash's result");

static uint64_t hash_of(const struct sg_toml_document *document, const char *key, size_t size)
{
	uint64_t hash;

	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key, size, document->hash_key);
	return hash;
}

static bool is_key(const struct sg_toml_entry *entry, const char *key, size_t size)
{
	return entry->key.size == size && memcmp(entry->key.data, key, size) == 0;
}

/* The slot of that key, or the free one where it belongs. */
static struct toml_slot *find_slot(const struct toml_table *table, uint64_t hash, const char *key, size_t size)
{
	uint32_t mask = table->slot_count - 1;

	for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
		struct toml_slot *slot = &table->slots[i];

		if (slot->entry == NULL || (slot->hash == hash && is_key(&slot->entry->shown, key, size)))
			return slot;
	}
}

const struct sg_toml_entry *sg_toml_find_sized(const struct sg_toml_table *shown, const char *key, size_t size)
{
	const struct toml_table *table = (const struct toml_table *)shown; /* the first member */

	if (table->slots != NULL) {
		struct toml_slot *slot = find_slot(table, hash_of(table->document, key, size), key, size);

		return slot->entry == NULL ? NULL : &slot->entry->shown;
	}
	SG_TOML_FOREACH(entry, shown)
	if (is_key(entry, key, size))
		return entry;
	return NULL;
}

const struct sg_toml_entry *sg_toml_find(const struct sg_toml_table *table, const char *key)
{
	return sg_toml_find_sized(table, key, strlen(key));
}

static struct toml_entry *find(const struct toml_table *table, const struct toml_key *key)
{
	return (struct toml_entry *)(uintptr_t)sg_toml_find_sized(&table->shown, key->name.data, key->name.size);
}

struct toml_table *sg_toml_table_new(struct toml_parser *p, enum toml_origin origin, size_t depth)
{
	struct toml_table *table = sg_toml_arena_take(&p->document->arena, sizeof(*table), _Alignof(struct toml_table));

	if (table == NULL) {
		sg_toml_fail(p, -ENOMEM);
		return NULL;
	}
	*table = (struct toml_table){
		.document = p->document,
		.origin = (uint8_t)origin,
		.depth = (uint8_t)depth,
	};
	return table;
}

/* Makes the index, or one twice as large: into the arena, where all of them together are less than twice the
 * last. */
static bool grow_index(struct toml_parser *p, struct toml_table *table)
{
	uint32_t count = table->slots == NULL ? SLOTS_FIRST : table->slot_count * 2;
	size_t size = count * sizeof(struct toml_slot);
	struct toml_table larger = *table;

	if (!p->document->has_hash_key) {
		if (getrandom(p->document->hash_key, sizeof(p->document->hash_key), 0) < 0)
			return sg_toml_fail(p, -errno);
		p->document->has_hash_key = true;
	}
	larger.slots = sg_toml_arena_take(&p->document->arena, size, _Alignof(struct toml_slot));
	larger.slot_count = count;
	if (larger.slots == NULL)
		return sg_toml_fail(p, -ENOMEM);
	memset(larger.slots, 0, size);
	SG_TOML_FOREACH(entry, &table->shown)
	{
		uint64_t hash = hash_of(p->document, entry->key.data, entry->key.size);

		*find_slot(&larger, hash, entry->key.data, entry->key.size) =
			(struct toml_slot){hash, (struct toml_entry *)(uintptr_t)entry};
	}
	*table = larger;
	return true;
}

/* Adds the key, which the table must not have, with a value that has no type. NULL after a fault or a limit.
 */
static struct toml_entry *add(struct toml_parser *p, struct toml_table *table, const struct toml_key *key)
{
	const char *from = p->text + key->span.offset;
	struct toml_entry *entry;

	if (!sg_toml_count(p, from, from + key->span.length))
		return NULL;
	entry = sg_toml_arena_take(&p->document->arena, sizeof(*entry), _Alignof(struct toml_entry));
	if (entry == NULL) {
		sg_toml_fail(p, -ENOMEM);
		return NULL;
	}
	*entry = (struct toml_entry){.shown = {.key = key->name, .key_span = key->span}};
	if (table->slots == NULL ? table->shown.count >= SCANNED_MAX : table->shown.count >= table->slot_count / 2)
		if (!grow_index(p, table))
			return NULL;
	if (table->slots != NULL) {
		uint64_t hash = hash_of(p->document, key->name.data, key->name.size);

		*find_slot(table, hash, key->name.data, key->name.size) = (struct toml_slot){hash, entry};
	}
	if (table->last == NULL)
		table->shown.first = &entry->shown;
	else
		table->last->shown.next = &entry->shown;
	table->last = entry;
	table->shown.count++;
	return entry;
}

/* `at` needs a table or a value at `depth`: reports and stops if that is too deep. */
static bool check_depth(struct toml_parser *p, const struct toml_key *key, size_t depth)
{
	const char *from = p->text + key->span.offset;

	if (depth <= SG_TOML_DEPTH_MAX)
		return true;
	sg_toml_error(p, from, from + key->span.length, NULL, "nested too deep: at most %d levels", SG_TOML_DEPTH_MAX);
	return sg_toml_fail(p, 0);
}

/* Gives the entry a new table as its value. */
static struct toml_table *set_table(struct toml_parser *p, struct toml_entry *entry, enum toml_origin origin,
				    size_t depth)
{
	struct toml_table *table = sg_toml_table_new(p, origin, depth);

	if (table != NULL)
		entry->shown.value = (struct sg_toml_value){
			.type = SG_TOML_TABLE,
			.span = entry->shown.key_span,
			.table = &table->shown,
		};
	return table;
}

static void report_conflict(struct toml_parser *p, const struct toml_key *key, const struct sg_toml_entry *entry,
			    const char *wanted)
{
	const char *from = p->text + key->span.offset, *to = from + key->span.length;
	const struct sg_toml_value *value = &entry->value;
	size_t line = sg_source_line(p->source, entry->key_span.offset);
	int size = key->span.length > 64 ? 64 : (int)key->span.length;

	if (value->type == SG_TOML_NONE) {
		/* Its value was broken, which is reported already. */
		p->refused = true;
	} else if (value->type == SG_TOML_TABLE && toml_value_table(value)->origin == TOML_INLINE) {
		sg_toml_error(p, from, to, "write it between those braces",
			      "nothing can be added to the inline table `%.*s` of line %zu", size, from, line);
	} else if (value->type == SG_TOML_TABLE) {
		sg_toml_error(p, from, to, "a table is written in one place; put the keys together there",
			      "%s `%.*s`, which is a table already, from line %zu", wanted, size, from, line);
	} else {
		bool of_tables = value->type == SG_TOML_ARRAY && toml_value_array(value)->of_tables;

		sg_toml_error(p, from, to, NULL, "%s `%.*s`, which is %s already, from line %zu", wanted, size, from,
			      of_tables ? "an array of tables" : sg_toml_type_name(value->type), line);
	}
}

/* The table that a dotted key passes through. */
static struct toml_table *step_dotted(struct toml_parser *p, struct toml_table *table, const struct toml_key *key)
{
	struct toml_entry *entry = find(table, key);
	struct toml_table *next;

	if (entry == NULL) {
		if (!check_depth(p, key, table->depth + 1U))
			return NULL;
		entry = add(p, table, key);
		return entry == NULL ? NULL : set_table(p, entry, TOML_DOTTED, table->depth + 1U);
	}
	if (entry->shown.value.type == SG_TOML_TABLE) {
		next = toml_value_table(&entry->shown.value);
		/* What a header merely named on its way is not defined yet: this defines it. */
		if (next->origin == TOML_IMPLICIT)
			next->origin = TOML_DOTTED;
		if (next->origin == TOML_DOTTED)
			return next;
	}
	report_conflict(p, key, &entry->shown, "this dotted key adds to");
	return NULL;
}

struct toml_entry *sg_toml_place_pair(struct toml_parser *p, struct toml_table *table, size_t *ret_depth)
{
	const struct toml_key *last = &p->path[p->path_count - 1];
	const char *from = p->text + last->span.offset;
	struct toml_entry *entry;

	for (size_t i = 0; i + 1 < p->path_count; i++) {
		table = step_dotted(p, table, &p->path[i]);
		if (table == NULL)
			return NULL;
	}
	entry = find(table, last);
	if (entry != NULL) {
		char hint[64];

		snprintf(hint, sizeof(hint), "the first one stands on line %zu",
			 sg_source_line(p->source, entry->shown.key_span.offset));
		sg_toml_error(p, from, from + last->span.length, hint, "duplicate key `%.*s`",
			      last->span.length > 64 ? 64 : (int)last->span.length, from);
		return NULL;
	}
	if (!check_depth(p, last, table->depth + 1U))
		return NULL;
	*ret_depth = table->depth + 1U;
	return add(p, table, last);
}

/* The table that a header passes through. */
static struct toml_table *step_header(struct toml_parser *p, struct toml_table *table, const struct toml_key *key)
{
	struct toml_entry *entry = find(table, key);
	const struct sg_toml_value *value;

	if (entry == NULL) {
		if (!check_depth(p, key, table->depth + 1U))
			return NULL;
		entry = add(p, table, key);
		return entry == NULL ? NULL : set_table(p, entry, TOML_IMPLICIT, table->depth + 1U);
	}
	value = &entry->shown.value;
	if (value->type == SG_TOML_TABLE && toml_value_table(value)->origin != TOML_INLINE)
		return toml_value_table(value);
	if (value->type == SG_TOML_ARRAY && toml_value_array(value)->of_tables)
		return toml_value_table(&value->array->items[value->array->count - 1]);
	report_conflict(p, key, &entry->shown, "this table would stand within");
	return NULL;
}

/* Makes room for one more element; the array of items doubles within the arena. */
static bool grow_array(struct toml_parser *p, struct toml_array *array)
{
	uint32_t capacity = array->capacity == 0 ? 2 : array->capacity * 2;
	struct sg_toml_value *items;

	if (array->shown.count < array->capacity)
		return true;
	items = sg_toml_arena_take(&p->document->arena, capacity * sizeof(items[0]), _Alignof(struct sg_toml_value));
	if (items == NULL)
		return sg_toml_fail(p, -ENOMEM);
	if (array->shown.count > 0)
		memcpy(items, array->items, array->shown.count * sizeof(items[0]));
	array->items = items;
	array->shown.items = items;
	array->capacity = capacity;
	return true;
}

static struct toml_table *append_element(struct toml_parser *p, struct toml_array *array, size_t depth,
					 const char *from, const char *to)
{
	struct toml_table *table;

	if (!sg_toml_count(p, from, to) || !grow_array(p, array))
		return NULL;
	table = sg_toml_table_new(p, TOML_HEADER, depth);
	if (table == NULL)
		return NULL;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): grow_array made room */
	array->items[array->shown.count++] = (struct sg_toml_value){
		.type = SG_TOML_TABLE,
		.span = sg_toml_span(p, from, to),
		.table = &table->shown,
	};
	return table;
}

static struct toml_table *place_element(struct toml_parser *p, struct toml_table *table, const struct toml_key *key,
					const char *from, const char *to)
{
	struct toml_entry *entry = find(table, key);
	struct toml_array *array;

	if (entry != NULL) {
		struct sg_toml_value *value = &entry->shown.value;

		if (value->type == SG_TOML_ARRAY && toml_value_array(value)->of_tables)
			return append_element(p, toml_value_array(value), table->depth + 2U, from, to);
		report_conflict(p, key, &entry->shown, "this header adds an element to");
		return NULL;
	}
	if (!check_depth(p, key, table->depth + 2U))
		return NULL;
	entry = add(p, table, key);
	if (entry == NULL)
		return NULL;
	array = sg_toml_arena_take(&p->document->arena, sizeof(*array), _Alignof(struct toml_array));
	if (array == NULL) {
		sg_toml_fail(p, -ENOMEM);
		return NULL;
	}
	*array = (struct toml_array){.of_tables = true};
	entry->shown.value = (struct sg_toml_value){
		.type = SG_TOML_ARRAY,
		.span = sg_toml_span(p, from, to),
		.array = &array->shown,
	};
	return append_element(p, array, table->depth + 2U, from, to);
}

struct toml_table *sg_toml_place_header(struct toml_parser *p, bool element, const char *from, const char *to)
{
	const struct toml_key *last = &p->path[p->path_count - 1];
	struct toml_table *table = p->document->root;
	struct toml_entry *entry;

	for (size_t i = 0; i + 1 < p->path_count; i++) {
		table = step_header(p, table, &p->path[i]);
		if (table == NULL)
			return NULL;
	}
	if (element)
		return place_element(p, table, last, from, to);
	entry = find(table, last);
	if (entry == NULL) {
		if (!check_depth(p, last, table->depth + 1U))
			return NULL;
		entry = add(p, table, last);
		table = entry == NULL ? NULL : set_table(p, entry, TOML_HEADER, table->depth + 1U);
		if (table != NULL)
			entry->shown.value.span = sg_toml_span(p, from, to);
		return table;
	}
	if (entry->shown.value.type == SG_TOML_TABLE &&
	    toml_value_table(&entry->shown.value)->origin == TOML_IMPLICIT) {
		toml_value_table(&entry->shown.value)->origin = TOML_HEADER;
		entry->shown.value.span = sg_toml_span(p, from, to);
		entry->shown.key_span = last->span;
		return toml_value_table(&entry->shown.value);
	}
	report_conflict(p, last, &entry->shown, "this header defines");
	return NULL;
}
