/* Any bytes as a TOML text: it is refused with something to show for it, or the document is what toml.h
 * promises. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "fuzz.h"
#include "profile/toml.h"

static void check(bool promise)
{
	if (!promise)
		abort();
}

static void check_string(struct sg_toml_string string)
{
	check(string.data[string.size] == '\0');
	check(sg_text_is_utf8(string.data, string.size));
}

static void check_span(const struct sg_source *source, struct sg_span span)
{
	check(span.length > 0 && span.offset < source->size && span.length <= source->size - span.offset);
}

static void check_table(const struct sg_source *source, const struct sg_toml_table *table, size_t depth);

static void check_value(const struct sg_source *source, const struct sg_toml_value *value, size_t depth)
{
	const struct sg_toml_datetime *d = &value->datetime;

	check_span(source, value->span);
	check(depth <= SG_TOML_DEPTH_MAX);
	check(value->type > SG_TOML_NONE && value->type < SG_TOML_TYPE_COUNT);
	if (value->type == SG_TOML_STRING)
		check_string(value->string);
	if (value->type >= SG_TOML_DATETIME && value->type <= SG_TOML_LOCAL_TIME) {
		check(d->year <= 9999 && d->month <= 12 && d->day <= 31);
		check(d->hour < 24 && d->minute < 60 && d->second <= 60 && d->nanosecond < 1000000000);
		check(abs(d->offset) < 24 * 60);
	}
	if (value->type == SG_TOML_TABLE)
		check_table(source, value->table, depth);
	for (size_t i = 0; value->type == SG_TOML_ARRAY && i < value->array->count; i++)
		check_value(source, &value->array->items[i], depth + 1);
}

static void check_table(const struct sg_source *source, const struct sg_toml_table *table, size_t depth)
{
	size_t count = 0;

	SG_TOML_FOREACH(entry, table)
	{
		check_span(source, entry->key_span);
		check_string(entry->key);
		/* Found under its key, and so the only one of that key. */
		check(sg_toml_find_sized(table, entry->key.data, entry->key.size) == entry);
		check_value(source, &entry->value, depth + 1);
		count++;
	}
	check(count == table->count);
}

static void check_diagnostics(const struct sg_source *source, struct sg_diagnostics *diagnostics)
{
	SG_AUTO_BUFFER struct sg_buffer rendered = SG_BUFFER_INIT;

	check(diagnostics->count > 0 && diagnostics->found[SG_SEVERITY_ERROR] >= diagnostics->count);
	for (size_t i = 0; i < diagnostics->count; i++) {
		const struct sg_diagnostic *item = &diagnostics->items[i];
		struct sg_position position = sg_source_locate(source, item->span.offset);

		check(item->span.offset <= source->size && item->span.length <= source->size - item->span.offset);
		check(position.line == item->position.line && position.column == item->position.column);
		check(sg_source_line(source, item->span.offset) == position.line);
		check(strchr(item->message, '\n') == NULL);
	}
	sg_diagnostics_render(diagnostics, &rendered);
	check(sg_buffer_status(&rendered) == 0 && sg_text_is_utf8(rendered.data, rendered.size));
	for (size_t i = 0; i < rendered.size; i++)
		check((unsigned char)rendered.data[i] >= 0x20 || rendered.data[i] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SG_AUTO_SOURCE struct sg_source *source = NULL;
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_TOML struct sg_toml_document *document = NULL;
	int r;

	check(sg_source_new("fuzz.toml", (const char *)data, size, &source) == 0);
	r = sg_toml_parse(source, &diagnostics, &document);
	check(r == 0 || r == SG_TOML_REFUSED);
	check((document != NULL) == (r == 0));
	if (r == SG_TOML_REFUSED) {
		check_diagnostics(source, &diagnostics);
		return 0;
	}
	check(diagnostics.count == 0 && sg_text_is_utf8(source->text, source->size));
	check_table(source, sg_toml_root(document), 0);
	return 0;
}
