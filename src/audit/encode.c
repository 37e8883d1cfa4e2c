/*
 * The binary form of a record: written by the supervisor straight into the ring, so no pass over the data but
 * one, no allocation, no system call.
 */
#include <string.h>

#include "audit/record.h"
#include "audit/record_table.h"

static size_t padded(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

static const void *member(const struct sg_record *record, const struct sg_record_field_entry *field)
{
	return (const char *)record + field->offset;
}

/* The value of a fixed-width field. */
static uint64_t number(const struct sg_record *record, const struct sg_record_field_entry *field)
{
	const void *at = member(record, field);

	switch (field->type) {
	case SG_RECORD_TYPE_I64:
		return (uint64_t) * (const int64_t *)at;
	case SG_RECORD_TYPE_FLAG:
		return *(const bool *)at ? 1 : 0;
	case SG_RECORD_TYPE_ERRNO:
		return (uint64_t) * (const int *)at;
	case SG_RECORD_TYPE_VERDICT:
		return (uint64_t) * (const enum sg_record_verdict *)at;
	default:
		return *(const uint64_t *)at;
	}
}

static bool is_set(const struct sg_record *record, const struct sg_record_field_entry *field)
{
	const void *at = member(record, field);

	switch (field->type) {
	case SG_RECORD_TYPE_TEXT:
		return ((const struct sg_record_text *)at)->data != NULL;
	case SG_RECORD_TYPE_LIST:
		return ((const struct sg_record_list *)at)->count > 0;
	case SG_RECORD_TYPE_ANCESTORS:
		return ((const struct sg_record_ancestors *)at)->count > 0;
	default:
		return number(record, field) != 0;
	}
}

/* Bytes that a list would take, counted no further than the limit. */
static size_t list_bound(const struct sg_record_list *list, size_t limit)
{
	size_t total = 4;

	for (size_t i = 0; i < list->count && total < limit; i++)
		total += list->items[i].size < limit ? 4 + list->items[i].size : limit;
	return total;
}

static size_t ancestors_bound(const struct sg_record_ancestors *list, size_t limit)
{
	size_t total = 4;

	for (size_t i = 0; i < list->count && total < limit; i++)
		total += list->items[i].program.size < limit ? 12 + list->items[i].program.size : limit;
	return total;
}

static size_t value_bound(const struct sg_record *record, const struct sg_record_field_entry *field)
{
	const void *at = member(record, field);
	size_t size;

	switch (field->type) {
	case SG_RECORD_TYPE_TEXT:
		size = ((const struct sg_record_text *)at)->size;
		break;
	case SG_RECORD_TYPE_LIST:
		size = list_bound(at, field->limit);
		break;
	case SG_RECORD_TYPE_ANCESTORS:
		size = ancestors_bound(at, field->limit);
		break;
	default:
		return 8;
	}
	/* At the limit it may be that something is cut. */
	return size < field->limit ? padded(size) : padded(field->limit) + sizeof(struct sg_record_cut);
}

size_t sg_record_bound(const struct sg_record *record)
{
	size_t total = sizeof(struct sg_record_header);

	if (record->kind <= SG_RECORD_NONE || record->kind >= SG_RECORD_KINDS_)
		return 0;
	for (size_t i = 0; i < SG_RECORD_FIELDS_; i++) {
		const struct sg_record_field_entry *field = &sg_record_fields[i];

		if ((field->kinds & (1U << record->kind)) != 0 && (field->always || is_set(record, field)))
			total += sizeof(struct sg_record_field_header) + value_bound(record, field);
	}
	return total;
}

/* A field while it is written. */
struct value {
	char *out;
	size_t limit;
	size_t size;
	struct sg_record_cut cut;
};

/* Adds what of `data` fits below `limit`; counts what does not. */
static void put(struct value *value, size_t limit, const void *data, size_t length)
{
	size_t room = limit - value->size, kept = length < room ? length : room;

	if (kept > 0)
		memcpy(value->out + value->size, data, kept);
	value->size += kept;
	value->cut.bytes += length - kept;
}

/* One entry of a list: `prefix` (8 bytes or none), length, bytes. Once one did not fit, all that follow are
 * cut. */
static bool put_item(struct value *value, const void *prefix, size_t prefix_size, const struct sg_record_text *item)
{
	size_t room = value->limit - value->size, before = prefix_size + sizeof(uint32_t);
	uint32_t length;

	if (value->cut.items > 0 || room < before || (room == before && item->size > 0)) {
		value->cut.items++;
		value->cut.bytes += item->size;
		return false;
	}
	length = (uint32_t)(item->size < room - before ? item->size : room - before);
	put(value, value->limit, prefix, prefix_size);
	put(value, value->limit, &length, sizeof(length));
	put(value, value->size + length, item->data, item->size);
	return true;
}

static void put_list(struct value *value, const struct sg_record_list *list)
{
	uint32_t count = 0;

	value->size = sizeof(count);
	for (size_t i = 0; i < list->count; i++)
		count += put_item(value, NULL, 0, &list->items[i]) ? 1 : 0;
	memcpy(value->out, &count, sizeof(count));
}

static void put_ancestors(struct value *value, const struct sg_record_ancestors *list)
{
	uint32_t count = 0;

	value->size = sizeof(count);
	for (size_t i = 0; i < list->count; i++) {
		const struct sg_record_ancestor *item = &list->items[i];

		count += put_item(value, &item->pid, sizeof(item->pid), &item->program) ? 1 : 0;
	}
	memcpy(value->out, &count, sizeof(count));
}

/* Writes one field; returns its size with everything that belongs to it. */
static size_t put_field(const struct sg_record *record, size_t index, char *out)
{
	const struct sg_record_field_entry *field = &sg_record_fields[index];
	struct sg_record_field_header header = {.field = (uint16_t)index};
	struct value value = {.out = out + sizeof(header), .limit = field->limit};
	const void *at = member(record, field);
	const struct sg_record_text *text = at;
	uint64_t fixed;
	size_t used;

	switch (field->type) {
	case SG_RECORD_TYPE_TEXT:
		put(&value, value.limit, text->data, text->size);
		break;
	case SG_RECORD_TYPE_LIST:
		put_list(&value, at);
		break;
	case SG_RECORD_TYPE_ANCESTORS:
		put_ancestors(&value, at);
		break;
	default:
		fixed = number(record, field);
		put(&value, sizeof(fixed), &fixed, sizeof(fixed));
		break;
	}
	header.cut = value.cut.bytes > 0 || value.cut.items > 0 ? 1 : 0;
	header.size = (uint32_t)value.size;
	memcpy(out, &header, sizeof(header));
	used = padded(value.size);
	memset(value.out + value.size, 0, used - value.size);
	if (header.cut != 0) {
		memcpy(value.out + used, &value.cut, sizeof(value.cut));
		used += sizeof(value.cut);
	}
	return sizeof(header) + used;
}

size_t sg_record_encode(const struct sg_record *record, uint64_t sequence, uint64_t time, void *out)
{
	struct sg_record_header header = {
		.version = SG_RECORD_VERSION, .kind = (uint16_t)record->kind, .sequence = sequence, .time = time};
	size_t used = sizeof(header);

	for (size_t i = 0; i < SG_RECORD_FIELDS_; i++) {
		const struct sg_record_field_entry *field = &sg_record_fields[i];

		if ((field->kinds & (1U << record->kind)) == 0 || (!field->always && !is_set(record, field)))
			continue;
		used += put_field(record, i, (char *)out + used);
		header.fields++;
	}
	header.size = (uint32_t)used;
	memcpy(out, &header, sizeof(header));
	return used;
}
