#include "profile/format_same.h"

#include <errno.h>
#include <string.h>

static bool same_string(struct sg_toml_string a, struct sg_toml_string b)
{
	return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static bool same_table(const struct sg_toml_table *a, const struct sg_toml_table *b);

static bool same_date(const struct sg_toml_datetime *a, const struct sg_toml_datetime *b)
{
	return a->year == b->year && a->month == b->month && a->day == b->day && a->hour == b->hour &&
	       a->minute == b->minute && a->second == b->second && a->nanosecond == b->nanosecond &&
	       a->offset == b->offset;
}

/* Recursion is as deep as the document, which its reader has limited to SG_TOML_DEPTH_MAX. */
static bool same_value(const struct sg_toml_value *a, const struct sg_toml_value *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case SG_TOML_STRING:
		return same_string(a->string, b->string);
	case SG_TOML_INTEGER:
		return a->integer == b->integer;
	case SG_TOML_FLOAT: /* bit by bit: one that is no number is itself */
		return memcmp(&a->number, &b->number, sizeof(a->number)) == 0;
	case SG_TOML_BOOLEAN:
		return a->boolean == b->boolean;
	case SG_TOML_ARRAY:
		if (a->array->count != b->array->count)
			return false;
		for (size_t i = 0; i < a->array->count; i++)
			if (!same_value(&a->array->items[i], &b->array->items[i]))
				return false;
		return true;
	case SG_TOML_TABLE:
		return same_table(a->table, b->table);
	case SG_TOML_DATETIME:
	case SG_TOML_LOCAL_DATETIME:
	case SG_TOML_LOCAL_DATE:
	case SG_TOML_LOCAL_TIME:
		return same_date(&a->datetime, &b->datetime);
	case SG_TOML_NONE:
	case SG_TOML_TYPE_COUNT:
		break;
	}
	return false;
}

static bool same_table(const struct sg_toml_table *a, const struct sg_toml_table *b)
{
	if (a->count != b->count)
		return false;
	SG_TOML_FOREACH(entry, a)
	{
		const struct sg_toml_entry *other = sg_toml_find_sized(b, entry->key.data, entry->key.size);

		if (other == NULL || !same_value(&entry->value, &other->value))
			return false;
	}
	return true;
}

int sg_format_check(const struct sg_toml_document *document, const char *text, size_t size)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_SOURCE struct sg_source *source = NULL;
	SG_AUTO_TOML struct sg_toml_document *other = NULL;
	int status = sg_source_new("formatted", text, size, &source);

	if (status == 0)
		status = sg_toml_parse(source, &diagnostics, &other);
	if (status < 0)
		return status;
	return status == 0 && same_table(sg_toml_root(document), sg_toml_root(other)) ? 0 : -EBADMSG;
}
