/*
 * From the binary form to a line of JSON. Runs in the auditor, on its private copy of a record.
 *
 * The writer is trusted, the memory it wrote through is not: each length is compared with what is left before
 * it is used, an unknown field, a field that the kind does not have and a field out of order are errors.
 */
#include <errno.h>
#include <string.h>

#include "audit/record.h"
#include "audit/record_table.h"

/* A field as found in the binary record. */
struct slot {
	const char *data; /* NULL: not there */
	uint32_t size;
	struct sg_record_cut cut;
};

static void append_number(struct sg_buffer *out, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	sg_buffer_append(out, digits + at, sizeof(digits) - at);
}

static void append_padded(struct sg_buffer *out, uint64_t value, size_t width)
{
	char digits[20];

	for (size_t i = width; i > 0; i--, value /= 10)
		digits[i - 1] = (char)('0' + value % 10);
	sg_buffer_append(out, digits, width);
}

/*
 * Days since 1970 to a date of the proleptic Gregorian calendar. gmtime_r() would read the time-zone file,
 * which the auditor cannot open. The year starts in March here, so that the leap day is its last.
 */
static void civil_date(uint64_t days, uint64_t *ret_year, unsigned int *ret_month, unsigned int *ret_day)
{
	uint64_t shifted = days + 719468, era = shifted / 146097, of_era = shifted % 146097;
	uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;

	*ret_day = (unsigned int)(of_year - (153 * month + 2) / 5 + 1);
	*ret_month = (unsigned int)(month < 10 ? month + 3 : month - 9);
	*ret_year = year + era * 400 + (*ret_month <= 2 ? 1 : 0);
}

void sg_record_append_time(struct sg_buffer *out, uint64_t nanoseconds)
{
	uint64_t seconds = nanoseconds / 1000000000, of_day = seconds % 86400, year;
	unsigned int month, day;

	civil_date(seconds / 86400, &year, &month, &day);
	append_padded(out, year, 4);
	sg_buffer_append_byte(out, '-');
	append_padded(out, month, 2);
	sg_buffer_append_byte(out, '-');
	append_padded(out, day, 2);
	sg_buffer_append_byte(out, 'T');
	append_padded(out, of_day / 3600, 2);
	sg_buffer_append_byte(out, ':');
	append_padded(out, of_day / 60 % 60, 2);
	sg_buffer_append_byte(out, ':');
	append_padded(out, of_day % 60, 2);
	sg_buffer_append_byte(out, '.');
	append_padded(out, nanoseconds % 1000000000, 9);
	sg_buffer_append_byte(out, 'Z');
}

static int decode(const char *data, size_t size, struct sg_record_header *ret_header, struct slot *slots)
{
	size_t at = sizeof(*ret_header);
	int previous = -1;

	if (size < sizeof(*ret_header))
		return -EBADMSG;
	memcpy(ret_header, data, sizeof(*ret_header));
	if (ret_header->size != size || ret_header->version != SG_RECORD_VERSION ||
	    ret_header->kind == SG_RECORD_NONE || ret_header->kind >= SG_RECORD_KINDS_ || ret_header->reserved != 0)
		return -EBADMSG;
	for (uint32_t i = 0; i < ret_header->fields; i++) {
		struct sg_record_field_header field;
		size_t space;

		if (size - at < sizeof(field))
			return -EBADMSG;
		memcpy(&field, data + at, sizeof(field));
		at += sizeof(field);
		space = ((size_t)field.size + 7) & ~(size_t)7;
		if (field.field >= SG_RECORD_FIELDS_ || field.field <= previous || field.cut > 1 || space > size - at ||
		    field.size > sg_record_fields[field.field].limit ||
		    (sg_record_fields[field.field].kinds & (1U << ret_header->kind)) == 0)
			return -EBADMSG;
		slots[field.field] = (struct slot){.data = data + at, .size = field.size};
		previous = field.field;
		at += space;
		if (field.cut == 0)
			continue;
		if (size - at < sizeof(struct sg_record_cut))
			return -EBADMSG;
		memcpy(&slots[field.field].cut, data + at, sizeof(struct sg_record_cut));
		at += sizeof(struct sg_record_cut);
	}
	return at == size ? 0 : -EBADMSG;
}

static int emit_number(enum sg_record_type type, const struct slot *slot, struct sg_buffer *out)
{
	uint64_t value;
	const char *name;

	if (slot->size != sizeof(value))
		return -EBADMSG;
	memcpy(&value, slot->data, sizeof(value));
	switch (type) {
	case SG_RECORD_TYPE_I64:
		if ((int64_t)value < 0) {
			sg_buffer_append_byte(out, '-');
			value = 0 - value;
		}
		break;
	case SG_RECORD_TYPE_FLAG:
		sg_buffer_append_text(out, value != 0 ? "true" : "false");
		return 0;
	case SG_RECORD_TYPE_TIME:
		sg_buffer_append_byte(out, '"');
		sg_record_append_time(out, value);
		sg_buffer_append_byte(out, '"');
		return 0;
	case SG_RECORD_TYPE_VERDICT:
	case SG_RECORD_TYPE_ERRNO:
		name = value > 4095                     ? NULL
		       : type == SG_RECORD_TYPE_VERDICT ? sg_record_verdict_name((enum sg_record_verdict)value)
							: strerrorname_np((int)value);
		if (name != NULL) {
			sg_buffer_append_json(out, name, strlen(name));
			return 0;
		}
		if (type == SG_RECORD_TYPE_VERDICT)
			return -EBADMSG;
		sg_buffer_append_byte(out, '"');
		append_number(out, value);
		sg_buffer_append_byte(out, '"');
		return 0;
	default:
		/* OCSF's long, and that of most readers of JSON, is signed. */
		value = value > INT64_MAX ? INT64_MAX : value;
		break;
	}
	append_number(out, value);
	return 0;
}

/* Lists and ancestors: a count, then for each a pid (ancestors only), a length, bytes. */
static int emit_items(bool ancestors, const struct slot *slot, struct sg_buffer *out)
{
	size_t at = sizeof(uint32_t), before = (ancestors ? sizeof(uint64_t) : 0) + sizeof(uint32_t);
	uint32_t count;

	if (slot->size < at)
		return -EBADMSG;
	memcpy(&count, slot->data, sizeof(count));
	sg_buffer_append_byte(out, '[');
	for (uint32_t i = 0; i < count; i++) {
		uint64_t pid;
		uint32_t length;

		if (slot->size - at < before)
			return -EBADMSG;
		if (i > 0)
			sg_buffer_append_byte(out, ',');
		if (ancestors) {
			memcpy(&pid, slot->data + at, sizeof(pid));
			sg_buffer_append_text(out, "{\"pid\":");
			append_number(out, pid);
			sg_buffer_append_text(out, ",\"program\":");
		}
		memcpy(&length, slot->data + at + before - sizeof(length), sizeof(length));
		at += before;
		if (length > slot->size - at)
			return -EBADMSG;
		sg_buffer_append_json(out, slot->data + at, length);
		if (ancestors)
			sg_buffer_append_byte(out, '}');
		at += length;
	}
	sg_buffer_append_byte(out, ']');
	return at == slot->size ? 0 : -EBADMSG;
}

static int emit_value(enum sg_record_type type, const struct slot *slot, struct sg_buffer *out)
{
	switch (type) {
	case SG_RECORD_TYPE_TEXT:
		sg_buffer_append_json(out, slot->data, slot->size);
		return 0;
	case SG_RECORD_TYPE_LIST:
	case SG_RECORD_TYPE_ANCESTORS:
		return emit_items(type == SG_RECORD_TYPE_ANCESTORS, slot, out);
	default:
		return emit_number(type, slot, out);
	}
}

static void emit_name(const char *name, struct sg_buffer *out)
{
	sg_buffer_append_byte(out, '"');
	sg_buffer_append_text(out, name);
	sg_buffer_append_text(out, "\":");
}

static int emit_fields(const struct slot *slots, struct sg_buffer *out)
{
	const char *group = "";

	for (size_t i = 0; i < SG_RECORD_FIELDS_; i++) {
		const struct sg_record_field_entry *field = &sg_record_fields[i];
		int result;

		if (slots[i].data == NULL)
			continue;
		if (strcmp(group, field->group) != 0) {
			sg_buffer_append_text(out, group[0] != '\0' ? "}," : ",");
			if (field->group[0] != '\0') {
				emit_name(field->group, out);
				sg_buffer_append_byte(out, '{');
			}
			group = field->group;
		} else {
			sg_buffer_append_byte(out, ',');
		}
		emit_name(field->name, out);
		result = emit_value(field->type, &slots[i], out);
		if (result < 0)
			return result;
	}
	if (group[0] != '\0')
		sg_buffer_append_byte(out, '}');
	return 0;
}

/* "cut": which fields were longer than their limit, and by how much. */
static void emit_cuts(const struct slot *slots, struct sg_buffer *out)
{
	bool any = false;

	for (size_t i = 0; i < SG_RECORD_FIELDS_; i++) {
		const struct sg_record_field_entry *field = &sg_record_fields[i];

		if (slots[i].data == NULL || (slots[i].cut.bytes == 0 && slots[i].cut.items == 0))
			continue;
		sg_buffer_append_text(out, any ? ",{\"field\":\"" : ",\"cut\":[{\"field\":\"");
		sg_buffer_append_text(out, field->group);
		sg_buffer_append_text(out, field->group[0] == '\0' ? "" : ".");
		sg_buffer_append_text(out, field->name);
		sg_buffer_append_text(out, "\",\"items\":");
		append_number(out, slots[i].cut.items);
		sg_buffer_append_text(out, ",\"bytes\":");
		append_number(out, slots[i].cut.bytes);
		sg_buffer_append_byte(out, '}');
		any = true;
	}
	if (any)
		sg_buffer_append_byte(out, ']');
}

/* The attributes that every OCSF event has, and ours that every line has. */
static void emit_common(const struct sg_record_header *header, const struct slot *slots,
			const struct sg_record_context *context, struct sg_buffer *out)
{
	const struct sg_record_kind_entry *kind = &sg_record_kinds[header->kind];
	const struct slot *operation = &slots[SG_RECORD_FIELD_operation];
	unsigned int class_uid = kind->class_uid, activity = kind->activity_id;

	if (class_uid == 0 && activity == 0)
		sg_record_operation_class(operation->data == NULL ? "" : operation->data, operation->size, &class_uid,
					  &activity);
	sg_buffer_append_text(out, SG_RECORD_LINE_START);
	sg_buffer_append_text(out, context->previous);
	sg_buffer_append_text(out, SG_RECORD_LINE_SEQUENCE);
	append_number(out, header->sequence);
	sg_buffer_append_text(out, ",\"time\":");
	append_number(out, header->time / 1000000);
	sg_buffer_append_text(out, ",\"time_dt\":\"");
	sg_record_append_time(out, header->time);
	sg_buffer_append_text(out, "\",\"session\":\"");
	sg_buffer_append_text(out, context->session);
	sg_buffer_append_text(out, "\",\"kind\":\"");
	sg_buffer_append_text(out, kind->name);
	sg_buffer_append_text(out, "\",\"class_uid\":");
	append_number(out, class_uid);
	sg_buffer_append_text(out, ",\"activity_id\":");
	append_number(out, activity);
	sg_buffer_append_text(out, ",\"type_uid\":");
	append_number(out, (uint64_t)class_uid * 100 + activity);
	sg_buffer_append_text(out, ",\"severity_id\":");
	append_number(out, kind->severity_id);
	sg_buffer_append_text(out, ",\"metadata\":{\"version\":\"1.3.0\",\"product\":{\"name\":\"ShellGuard\"}}");
}

int sg_record_emit(const void *data, size_t size, const struct sg_record_context *context, struct sg_buffer *out)
{
	struct slot slots[SG_RECORD_FIELDS_] = {0};
	struct sg_record_header header;
	int result = decode(data, size, &header, slots);

	if (result < 0)
		return result;
	emit_common(&header, slots, context, out);
	result = emit_fields(slots, out);
	if (result < 0)
		return result;
	emit_cuts(slots, out);
	sg_buffer_append_byte(out, '}');
	return sg_buffer_status(out);
}
