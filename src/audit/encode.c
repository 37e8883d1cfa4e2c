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
	return size < field->limit ? size : field->limit;
}

size_t sg_record_bound(const struct sg_record *record)
{
	size_t total = sizeof(struct sg_record_header);

	if (record->kind <= SG_RECORD_NONE || record->kind >= SG_RECORD_KINDS_)
		return 0;
	for (size_t i = 0; i < SG_RECORD_FIELDS_; i++) {
		const struct sg_record_field_entry *field = &sg_record_fields[i];

		if ((field->kinds & (1U << record->kind)) != 0 && (field->always || is_set(record, field)))
			total += sizeof(struct sg_record_field_header) + padded(value_bound(record, field));
	}
	return total;
}

/* Appends to the value at `out`, which has `*size` bytes so far, what of `data` fits below `limit`; counts
 * what does not. */
static void put(char *out, size_t limit, const void *data, size_t length,
		struct sg_record_field_header *header)
{
	size_t room = limit - header->size, kept = length < room ? length : room;

	if (kept > 0)
		memcpy(out + header->size, data, kept);
	header->size += (uint32_t)kept;
	header->cut_bytes += length - kept;
}

/* One entry of a list: `prefix` (8 bytes or none), length, bytes. Returns false when nothing of it fits any
 * more. */
static bool put_item(char *out, size_t limit, const void *prefix, size_t prefix_size,
		     const struct sg_record_text *item, struct sg_record_field_header *header)
{
	size_t room = limit - header->size;
	uint32_t length;

	if (room < prefix_size + sizeof(length) || (room == prefix_size + sizeof(length) && item->size > 0))
		return false;
	room -= prefix_size + sizeof(length);
	length = (uint32_t)(item->size < room ? item->size : room);
	put(out, limit, prefix, prefix_size, header);
	put(out, limit, &length, sizeof(length), header);
	put(out, header->size + length, item->data, item->size, header);
	return true;
}

static void put_list(const struct sg_record_list *list, size_t limit, char *out,
		     struct sg_record_field_header *header)
{
	uint32_t count = 0;

	header->size = sizeof(count);
	for (size_t i = 0; i < list->count; i++) {
		if (header->cut_items == 0 && count < SG_RECORD_ITEMS_MAX &&
		    put_item(out, limit, NULL, 0, &list->items[i], header)) {
			count++;
		} else {
			header->cut_items++;
			header->cut_bytes += list->items[i].size;
		}
	}
	memcpy(out, &count, sizeof(count));
}

static void put_ancestors(const struct sg_record_ancestors *list, size_t limit, char *out,
			  struct sg_record_field_header *header)
{
	uint32_t count = 0;

	header->size = sizeof(count);
	for (size_t i = 0; i < list->count; i++) {
		const struct sg_record_ancestor *item = &list->items[i];

		if (header->cut_items == 0 && count < SG_RECORD_ITEMS_MAX &&
		    put_item(out, limit, &item->pid, sizeof(item->pid), &item->program, header)) {
			count++;
		} else {
			header->cut_items++;
			header->cut_bytes += item->program.size;
		}
	}
	memcpy(out, &count, sizeof(count));
}

/* Writes one field; returns its size with header and padding. */
static size_t put_field(const struct sg_record *record, size_t index, char *out)
{
	const struct sg_record_field_entry *field = &sg_record_fields[index];
	struct sg_record_field_header header = {.field = (uint16_t)index};
	const void *at = member(record, field);
	char *value = out + sizeof(header);
	uint64_t fixed;

	switch (field->type) {
	case SG_RECORD_TYPE_TEXT:
		put(value, field->limit, ((const struct sg_record_text *)at)->data,
		    ((const struct sg_record_text *)at)->size, &header);
		break;
	case SG_RECORD_TYPE_LIST:
		put_list(at, field->limit, value, &header);
		break;
	case SG_RECORD_TYPE_ANCESTORS:
		put_ancestors(at, field->limit, value, &header);
		break;
	default:
		fixed = number(record, field);
		put(value, sizeof(fixed), &fixed, sizeof(fixed), &header);
		break;
	}
	memcpy(out, &header, sizeof(header));
	memset(value + header.size, 0, padded(header.size) - header.size);
	return sizeof(header) + padded(header.size);
}

size_t sg_record_encode(const struct sg_record *record, uint64_t sequence, uint64_t time, void *out)
{
	struct sg_record_header header = {.version = SG_RECORD_VERSION,
					  .kind = (uint16_t)record->kind,
					  .sequence = sequence,
					  .time = time};
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
