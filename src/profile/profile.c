#include "profile/profile.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

struct reader {
	struct sg_profile *profile;
	struct sg_diagnostics *diagnostics;
	size_t capacity;
	bool out_of_memory;
	enum sg_section section;
	const char *group;
	struct sg_span group_span;
	const char *key;
	unsigned int part, parts; /* where it reads; how many there were */
};

static void complain(struct reader *reader, struct sg_span span, const char *hint, const char *format, ...)
	SG_PRINTF(4, 5);

static void complain(struct reader *reader, struct sg_span span, const char *hint, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	sg_diagnostic_add_list(reader->diagnostics, reader->profile->source, span, SG_SEVERITY_ERROR, hint, format,
			       arguments);
	va_end(arguments);
}

static void add(struct reader *reader, enum sg_rule_kind kind, struct sg_span span, const char *text, size_t size,
		uint64_t number)
{
	struct sg_profile *profile = reader->profile;

	if (profile->count == reader->capacity) {
		const size_t length = profile->source->size - profile->source->begin, first = length < 1024 ? 16 : 64;
		size_t capacity = reader->capacity == 0 ? first : reader->capacity * 2;
		struct sg_statement *grown = reallocarray(profile->statements, capacity, sizeof(*grown));

		if (grown == NULL) {
			reader->out_of_memory = true;
			return;
		}
		profile->statements = grown;
		reader->capacity = capacity;
	}
	profile->statements[profile->count++] = (struct sg_statement){
		.kind = kind,
		.section = reader->section,
		.source = profile->source,
		.span = span,
		.text = text,
		.size = size,
		.number = number,
		.group = reader->group,
		.group_span = reader->group_span,
		.key = reader->key,
		.part = reader->part,
	};
}

static bool is_type(struct reader *reader, const struct sg_toml_entry *entry, const struct sg_toml_value *value,
		    enum sg_toml_type wanted, const char *hint)
{
	if (value->type == wanted)
		return true;
	complain(reader, value->span, hint, "%s is %s here; it takes %s", entry->key.data,
		 sg_toml_type_name(value->type), sg_toml_type_name(wanted));
	return false;
}

static void add_string(struct reader *reader, const struct sg_toml_entry *entry, const struct sg_toml_value *value,
		       enum sg_rule_kind kind)
{
	if (!is_type(reader, entry, value, SG_TOML_STRING, NULL))
		return;
	if (sg_toml_string_has_nul(value->string))
		complain(reader, value->span, NULL, "a NUL character cannot be part of a name");
	else if (value->string.size == 0)
		complain(reader, value->span, NULL, "an empty value in %s", entry->key.data);
	else
		add(reader, kind, value->span, value->string.data, value->string.size, 0);
}

static void read_string(struct reader *reader, const struct sg_toml_entry *entry, const struct sg_key_info *key)
{
	add_string(reader, entry, &entry->value, key->rule);
}

static void read_strings(struct reader *reader, const struct sg_toml_entry *entry, const struct sg_key_info *key)
{
	if (!is_type(reader, entry, &entry->value, SG_TOML_ARRAY, "write the value in brackets: [\"...\"]"))
		return;
	for (size_t i = 0; i < entry->value.array->count; i++)
		add_string(reader, entry, &entry->value.array->items[i], key->rule);
}

static void read_boolean(struct reader *reader, const struct sg_toml_entry *entry, const struct sg_key_info *key)
{
	if (is_type(reader, entry, &entry->value, SG_TOML_BOOLEAN, "write true or false"))
		add(reader, key->rule, entry->value.span, entry->value.boolean ? "true" : "false",
		    entry->value.boolean ? 4 : 5, entry->value.boolean ? 1 : 0);
}

static void read_lists(struct reader *reader, const struct sg_toml_entry *entry, const struct sg_key_info *key)
{
	static const char hint[] = "write lists of labels: [[\"a\", \"b\"]]";

	if (!is_type(reader, entry, &entry->value, SG_TOML_ARRAY, hint))
		return;
	for (size_t i = 0; i < entry->value.array->count; i++) {
		const struct sg_toml_value *list = &entry->value.array->items[i];

		if (!is_type(reader, entry, list, SG_TOML_ARRAY, hint))
			continue;
		if (list->array->count < 2)
			complain(reader, list->span, NULL, "a wall stands between at least two labels");
		reader->part = ++reader->parts;
		for (size_t j = 0; j < list->array->count; j++)
			add_string(reader, entry, &list->array->items[j], key->rule);
		reader->part = 0;
	}
}

struct unit {
	enum sg_limit_unit unit;
	const char *name;
	uint64_t factor;
};

static const struct unit units[] = {
	{SG_LIMIT_COUNT, "", 1},
	{SG_LIMIT_BYTES, "", 1},
	{SG_LIMIT_BYTES, "B", 1},
	{SG_LIMIT_BYTES, "KiB", 1 << 10},
	{SG_LIMIT_BYTES, "MiB", 1 << 20},
	{SG_LIMIT_BYTES, "GiB", 1 << 30},
	{SG_LIMIT_BYTES, "TiB", 1ULL << 40},
	{SG_LIMIT_BYTES, "kB", 1000},
	{SG_LIMIT_BYTES, "KB", 1000},
	{SG_LIMIT_BYTES, "MB", 1000000},
	{SG_LIMIT_BYTES, "GB", 1000000000},
	{SG_LIMIT_BYTES, "K", 1 << 10},
	{SG_LIMIT_BYTES, "M", 1 << 20},
	{SG_LIMIT_BYTES, "G", 1 << 30},
	{SG_LIMIT_SECONDS, "", 1},
	{SG_LIMIT_SECONDS, "s", 1},
	{SG_LIMIT_SECONDS, "m", 60},
	{SG_LIMIT_SECONDS, "min", 60},
	{SG_LIMIT_SECONDS, "h", 3600},
	{SG_LIMIT_SECONDS, "d", 86400},
};

int sg_profile_parse_limit(enum sg_limit_unit unit, const char *text, uint64_t *ret)
{
	uint64_t number = 0;
	size_t digits = 0;

	for (; isdigit((unsigned char)text[digits]); digits++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(text[digits] - '0'), &number))
			return -ERANGE;
	if (digits == 0)
		return -EINVAL;
	text += digits;
	while (*text == ' ')
		text++;
	for (size_t i = 0; i < SG_ARRAY_SIZE(units); i++) {
		if (units[i].unit != unit || strcmp(units[i].name, text) != 0)
			continue;
		if (__builtin_mul_overflow(number, units[i].factor, &number))
			return -ERANGE;
		*ret = number;
		return 0;
	}
	return -EINVAL;
}

const char *sg_profile_unit(enum sg_limit_unit unit, size_t index)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(units); i++)
		if (units[i].unit == unit && index-- == 0)
			return units[i].name;
	return NULL;
}

static const char *const unit_hints[] = {
	[SG_LIMIT_COUNT] = "write a whole number above 0, such as 256",
	[SG_LIMIT_BYTES] = "write a size, such as \"512MiB\" or \"2GiB\"",
	[SG_LIMIT_SECONDS] = "write a time, such as \"30s\" or \"1h\"",
};

static void complain_small(struct reader *reader, struct sg_span span, const struct sg_limit_info *limit)
{
	const uint64_t least = limit->smallest;
	const bool bytes = limit->unit == SG_LIMIT_BYTES, mebi = least % (1 << 20) == 0;
	char hint[64];

	(void)snprintf(hint, sizeof(hint), bytes ? "write \"%llu%s\" or more" : "write %llu%s or more",
		       (unsigned long long)(!bytes ? least
					    : mebi ? least >> 20
						   : least >> 10),
		       !bytes ? ""
		       : mebi ? "MiB"
			      : "KiB");
	complain(reader, span, hint, "with so small a limit %s no program starts", limit->name);
}

static void read_limit(struct reader *reader, const struct sg_toml_entry *entry, const struct sg_limit_info *limit)
{
	const struct sg_toml_value *value = &entry->value;
	uint64_t number = 0;
	int status = -EINVAL;

	if (value->type == SG_TOML_INTEGER && value->integer > 0) {
		number = (uint64_t)value->integer;
		status = 0;
	} else if (value->type == SG_TOML_STRING && !sg_toml_string_has_nul(value->string)) {
		status = sg_profile_parse_limit(limit->unit, value->string.data, &number);
	}
	if (status < 0 || number == 0)
		complain(reader, value->span, unit_hints[limit->unit], "this is not a value of the limit %s",
			 limit->name);
	else if (number < limit->smallest)
		complain_small(reader, value->span, limit);
	else
		add(reader, SG_RULE_LIMIT, value->span, limit->name, strlen(limit->name), number);
}

static void read_limits(struct reader *reader, const struct sg_toml_entry *entry, const struct sg_key_info *key)
{
	SG_AUTO_BUFFER struct sg_buffer list = SG_BUFFER_INIT;
	const char *names[64];

	(void)key;
	if (!is_type(reader, entry, &entry->value, SG_TOML_TABLE, "write { Processes = 256, Memory = \"2GiB\" }"))
		return;
	for (size_t i = 0; i < sg_limit_count; i++)
		names[i] = sg_limit_infos[i].name;
	for (size_t i = 0; i < sg_limit_count; i++)
		sg_buffer_printf(&list, "%s%s", i == 0 ? "the limits are " : ", ", names[i]);
	SG_TOML_FOREACH(inner, entry->value.table)
	{
		SG_AUTO_BUFFER struct sg_buffer hint = SG_BUFFER_INIT;
		const struct sg_limit_info *found = NULL;

		for (size_t i = 0; i < sg_limit_count; i++)
			if (strcmp(inner->key.data, sg_limit_infos[i].name) == 0)
				found = &sg_limit_infos[i];
		if (found == NULL)
			complain(reader, inner->key_span,
				 sg_text_suggest(&hint, inner->key.data, names, sg_limit_count, list.data),
				 "unknown limit \"%s\"", inner->key.data);
		else
			read_limit(reader, inner, found);
	}
}

static void read_table(struct reader *reader, const struct sg_toml_table *table);

static void read_tables(struct reader *reader, const struct sg_toml_entry *entry, const struct sg_key_info *key)
{
	(void)key;
	if (!is_type(reader, entry, &entry->value, SG_TOML_ARRAY, "write [[Privileged.Action]]"))
		return;
	reader->section = SG_SECTION_ACTION;
	for (size_t i = 0; i < entry->value.array->count; i++) {
		reader->part = ++reader->parts;
		if (is_type(reader, entry, &entry->value.array->items[i], SG_TOML_TABLE, NULL))
			read_table(reader, entry->value.array->items[i].table);
	}
	reader->part = 0;
	reader->section = SG_SECTION_PRIVILEGED;
}

typedef void (*read_function)(struct reader *reader, const struct sg_toml_entry *entry, const struct sg_key_info *key);
static const read_function readers[] = {
	[SG_KEY_STRING] = read_string, [SG_KEY_STRINGS] = read_strings, [SG_KEY_BOOLEAN] = read_boolean,
	[SG_KEY_LIMITS] = read_limits, [SG_KEY_LISTS] = read_lists,     [SG_KEY_TABLES] = read_tables,
};

static void read_key(struct reader *reader, const struct sg_toml_entry *entry, const struct sg_key_info *key)
{
	reader->key = key->name;
	readers[key->type](reader, entry, key);
	reader->key = NULL;
}

/* The section whose key this would be, for "belongs in [Filesystem]". */
static void complain_unknown(struct reader *reader, const struct sg_toml_entry *entry)
{
	SG_AUTO_BUFFER struct sg_buffer hint = SG_BUFFER_INIT;
	const char *names[128];
	size_t count = 0;

	if (sg_diagnostics_are_full(reader->diagnostics)) { /* counted, and not told */
		complain(reader, entry->key_span, NULL, "unknown key");
		return;
	}
	for (size_t i = 0; i < sg_key_count; i++) {
		if ((sg_key_infos[i].sections >> reader->section & 1) != 0 && count < SG_ARRAY_SIZE(names))
			names[count++] = sg_key_infos[i].name;
		else if (strcmp(sg_key_infos[i].name, entry->key.data) == 0 && hint.size == 0)
			for (unsigned int s = 0; s < SG_SECTIONS && hint.size == 0; s++)
				if ((sg_key_infos[i].sections >> s & 1) != 0 && s != SG_SECTION_DEFINE)
					sg_buffer_printf(&hint, "it belongs in [%s]", sg_section_infos[s].name);
	}
	if (reader->section == SG_SECTION_ROOT)
		for (unsigned int s = 1; s < SG_SECTIONS && count < SG_ARRAY_SIZE(names); s++)
			names[count++] = sg_section_infos[s].name;
	if (sg_text_nearest(entry->key.data, names, count) != NULL) {
		sg_buffer_clear(&hint);
		(void)sg_text_suggest(&hint, entry->key.data, names, count, NULL);
	}
	complain(reader, entry->key_span, hint.size > 0 ? hint.data : NULL, "unknown key \"%s\"%s%s", entry->key.data,
		 reader->section == SG_SECTION_ROOT ? "" : " in ", sg_section_infos[reader->section].name);
}

static void read_table(struct reader *reader, const struct sg_toml_table *table)
{
	SG_TOML_FOREACH(entry, table)
	{
		const struct sg_key_info *key = NULL;

		if (reader->section == SG_SECTION_ROOT && entry->value.type == SG_TOML_TABLE)
			continue;
		for (size_t i = 0; i < sg_key_count; i++)
			if ((sg_key_infos[i].sections >> reader->section & 1) != 0 &&
			    strcmp(sg_key_infos[i].name, entry->key.data) == 0)
				key = &sg_key_infos[i];
		if (key == NULL && reader->section == SG_SECTION_ROOT && strcmp(entry->key.data, "Test") == 0)
			continue;
		if (key == NULL)
			complain_unknown(reader, entry);
		else
			read_key(reader, entry, key);
	}
}

/* [Define.x], [Label.x]: each x is a group; it is stated by itself, so that an empty one exists too. */
static void read_named(struct reader *reader, const struct sg_toml_entry *section)
{
	SG_TOML_FOREACH(entry, section->value.table)
	{
		if (!is_type(reader, entry, &entry->value, SG_TOML_TABLE, "name it: [Define.metrics]"))
			continue;
		if (sg_toml_string_has_nul(entry->key) || entry->key.size == 0) {
			complain(reader, entry->key_span, NULL, "this cannot be a name");
			continue;
		}
		reader->group = entry->key.data;
		reader->group_span = entry->key_span;
		if (reader->section == SG_SECTION_LABEL)
			add(reader, SG_RULE_LABEL, entry->key_span, entry->key.data, entry->key.size, 0);
		read_table(reader, entry->value.table);
		reader->group = NULL;
	}
}

/* [[Test]]: the keys of each as of every table, then what they say together. */
static void read_tests(struct reader *reader, const struct sg_toml_entry *entry)
{
	const struct sg_toml_array *array = entry->value.array;
	struct sg_profile *profile = reader->profile;

	profile->tests = calloc(array->count, sizeof(*profile->tests));
	if (profile->tests == NULL && array->count > 0) {
		reader->out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < array->count; i++) {
		if (!is_type(reader, entry, &array->items[i], SG_TOML_TABLE, "write it in double brackets: [[Test]]"))
			continue;
		read_table(reader, array->items[i].table);
		if (sg_test_read(array->items[i].table, array->items[i].span, profile->source, reader->diagnostics,
				 &profile->tests[profile->test_count]) == 0)
			profile->test_count++;
	}
}

static void read_section(struct reader *reader, const struct sg_toml_entry *entry, enum sg_section section)
{
	const struct sg_section_info *info = &sg_section_infos[section];

	reader->section = section;
	if (info->form == SG_SECTION_IS_ARRAY) {
		if (!is_type(reader, entry, &entry->value, SG_TOML_ARRAY, "write it in double brackets: [[Test]]"))
			return;
		read_tests(reader, entry);
	} else if (is_type(reader, entry, &entry->value, SG_TOML_TABLE, NULL)) {
		if (info->form == SG_SECTION_IS_NAMED)
			read_named(reader, entry);
		else
			read_table(reader, entry->value.table);
	}
}

static void read_root(struct reader *reader)
{
	const struct sg_toml_table *root = sg_toml_root(reader->profile->document);

	reader->section = SG_SECTION_ROOT;
	read_table(reader, root);
	SG_TOML_FOREACH(entry, root)
	{
		enum sg_section found = SG_SECTION_ROOT;

		for (unsigned int s = 1; s < SG_SECTION_ACTION; s++)
			if (strcmp(entry->key.data, sg_section_infos[s].name) == 0)
				found = (enum sg_section)s;
		if (found != SG_SECTION_ROOT)
			read_section(reader, entry, found);
		else if (entry->value.type == SG_TOML_TABLE) {
			reader->section = SG_SECTION_ROOT;
			complain_unknown(reader, entry);
		}
	}
}

int sg_profile_read(struct sg_source *source, struct sg_diagnostics *diagnostics, struct sg_profile **ret)
{
	SG_AUTO_PROFILE struct sg_profile *profile = calloc(1, sizeof(*profile));
	size_t errors = diagnostics->found[SG_SEVERITY_ERROR];
	struct reader reader = {.diagnostics = diagnostics};
	int status;

	if (profile == NULL) {
		sg_source_free(source);
		return -ENOMEM;
	}
	profile->source = source;
	reader.profile = profile;
	status = sg_toml_parse(source, diagnostics, &profile->document);
	if (status < 0)
		return status;
	if (status == 0)
		read_root(&reader);
	if (reader.out_of_memory)
		return -ENOMEM;
	status = diagnostics->found[SG_SEVERITY_ERROR] > errors ? SG_PROFILE_REFUSED : 0;
	*ret = sg_take_pointer(profile);
	return status;
}

void sg_profile_free(struct sg_profile *profile)
{
	if (profile == NULL)
		return;
	free(profile->statements);
	free(profile->tests);
	sg_toml_free(profile->document);
	sg_source_free(profile->source);
	free(profile);
}
