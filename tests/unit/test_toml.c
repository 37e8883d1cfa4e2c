/*
 * The TOML reader against the official suite (tests/toml/toml-test: every case of files-toml-1.0.0) and
 * against cases of its own: positions, several errors at once, limits, time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fd.h"
#include "profile/toml.h"

static char *root_path(const char *tail)
{
	const char *root = getenv("SG_SOURCE_ROOT");
	char *path = NULL;

	assert_non_null(root);
	assert_true(asprintf(&path, "%s/tests/toml/%s", root, tail) > 0);
	return path;
}

static struct sg_source *read_source(const char *tail)
{
	SG_AUTO_FREE char *path = root_path(tail);
	SG_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *source = NULL;
	const char *slash = strrchr(tail, '/');

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	if (sg_source_read(fd, slash == NULL ? tail : slash + 1, SG_SOURCE_MAX, &error, &source) < 0)
		fail_msg("%s", error.text);
	return source;
}

static struct sg_source *make_source(const char *text, size_t size)
{
	struct sg_source *source = NULL;

	assert_int_equal(sg_source_new("t", text, size, &source), 0);
	return source;
}

/* The rendered diagnostics of a text that must be refused. */
static char *refuse(const struct sg_source *source)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_BUFFER struct sg_buffer buffer = SG_BUFFER_INIT;
	struct sg_toml_document *document = NULL;

	assert_int_equal(sg_toml_parse(source, &diagnostics, &document), SG_TOML_REFUSED);
	assert_null(document);
	assert_true(sg_diagnostics_has_errors(&diagnostics));
	sg_diagnostics_render(&diagnostics, &buffer);
	assert_int_equal(sg_buffer_status(&buffer), 0);
	return sg_buffer_take(&buffer);
}

static struct sg_toml_document *accept_text(const struct sg_source *source)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	struct sg_toml_document *document = NULL;
	int r = sg_toml_parse(source, &diagnostics, &document);

	if (r != 0) {
		SG_AUTO_BUFFER struct sg_buffer buffer = SG_BUFFER_INIT;

		sg_diagnostics_render(&diagnostics, &buffer);
		fail_msg("refused (%d): %s", r, buffer.data);
	}
	assert_int_equal(diagnostics.count, 0);
	return document;
}

/* ---- the official suite: values against its tagged JSON ---- */

/*
 * jansson takes no NUL in a key. So in the expected text, and in what is compared with it, U+E000 stands for
 * it.
 */
static const char stand_in[] = "\xee\x80\x80";

static json_t *load_expected(const char *path)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	SG_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	SG_AUTO_FREE char *data = NULL;
	json_error_t error;
	json_t *expected;
	size_t size;

	assert_int_equal(sg_fd_read_file(fd, 1 << 20, &data, &size), 0);
	for (const char *at = data; at < data + size; at++) {
		if (strncmp(at, "\\u0000", 6) == 0) {
			sg_buffer_append_text(&text, "\\ue000");
			at += 5;
			continue;
		}
		sg_buffer_append_byte(&text, *at);
		if (*at == '\\')
			sg_buffer_append_byte(&text, *++at);
	}
	assert_int_equal(sg_buffer_status(&text), 0);
	expected = json_loads(text.data, JSON_REJECT_DUPLICATES, &error);
	if (expected == NULL)
		fail_msg("%s: %s", path, error.text);
	return expected;
}

static char *without_nul(struct sg_toml_string string)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

	for (size_t i = 0; i < string.size; i++) {
		if (string.data[i] == '\0')
			sg_buffer_append_text(&text, stand_in);
		else
			sg_buffer_append_byte(&text, string.data[i]);
	}
	assert_int_equal(string.data[string.size], '\0');
	return sg_buffer_take(&text);
}

static void compare_value(const struct sg_toml_value *value, const json_t *expected);

static void compare_table(const struct sg_toml_table *table, const json_t *expected)
{
	size_t count = 0;

	assert_true(json_is_object(expected));
	SG_TOML_FOREACH(entry, table)
	{
		SG_AUTO_FREE char *key = without_nul(entry->key);
		const json_t *member = json_object_get(expected, key);

		if (member == NULL)
			fail_msg("a key too many: %s", key);
		assert_ptr_equal(sg_toml_find_sized(table, entry->key.data, entry->key.size), entry);
		compare_value(&entry->value, member);
		count++;
	}
	assert_int_equal(count, json_object_size(expected));
	assert_int_equal(count, table->count);
}

static void compare_array(const struct sg_toml_array *array, const json_t *expected)
{
	assert_int_equal(array->count, json_array_size(expected));
	for (size_t i = 0; i < array->count; i++)
		compare_value(&array->items[i], json_array_get(expected, i));
}

static void compare_float(double number, const char *expected)
{
	double wanted = strtod(expected, NULL);

	if (isnan(wanted))
		assert_true(isnan(number));
	else if (number != wanted)
		fail_msg("%.17g instead of %s", number, expected);
}

static void compare_datetime(const struct sg_toml_value *value, const char *type, const char *expected)
{
	const struct sg_toml_datetime *d = &value->datetime;
	char text[96], fraction[16] = "", offset[16] = "";
	size_t digits = 0;

	if (d->nanosecond > 0) {
		snprintf(fraction, sizeof(fraction), ".%09u", d->nanosecond);
		/* The suite writes as many digits as its cases need, which is three or none. */
		digits = d->nanosecond % 1000000 == 0 ? 4 : 10;
		fraction[digits] = '\0';
	}
	if (value->type == SG_TOML_DATETIME && d->offset == 0)
		snprintf(offset, sizeof(offset), "Z");
	else if (value->type == SG_TOML_DATETIME)
		snprintf(offset, sizeof(offset), "%c%02d:%02d", d->offset < 0 ? '-' : '+', abs(d->offset) / 60,
			 abs(d->offset) % 60);
	if (strcmp(type, "date-local") == 0) {
		assert_int_equal(value->type, SG_TOML_LOCAL_DATE);
		snprintf(text, sizeof(text), "%04d-%02d-%02d", d->year, d->month, d->day);
	} else if (strcmp(type, "time-local") == 0) {
		assert_int_equal(value->type, SG_TOML_LOCAL_TIME);
		snprintf(text, sizeof(text), "%02d:%02d:%02d%s", d->hour, d->minute, d->second, fraction);
	} else {
		bool local = strcmp(type, "datetime-local") == 0;

		assert_int_equal(value->type, local ? SG_TOML_LOCAL_DATETIME : SG_TOML_DATETIME);
		snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d%s%s", d->year, d->month, d->day, d->hour,
			 d->minute, d->second, fraction, offset);
	}
	assert_string_equal(text, expected);
}

static void compare_value(const struct sg_toml_value *value, const json_t *expected)
{
	const char *type = json_string_value(json_object_get(expected, "type"));
	const json_t *wanted = json_object_get(expected, "value");
	const char *text = json_string_value(wanted);

	if (json_is_array(expected)) {
		assert_int_equal(value->type, SG_TOML_ARRAY);
		compare_array(value->array, expected);
	} else if (type == NULL || text == NULL) {
		assert_int_equal(value->type, SG_TOML_TABLE);
		compare_table(value->table, expected);
	} else if (strcmp(type, "string") == 0) {
		SG_AUTO_FREE char *shown = NULL;

		assert_int_equal(value->type, SG_TOML_STRING);
		shown = without_nul(value->string);
		assert_string_equal(shown, text);
	} else if (strcmp(type, "integer") == 0) {
		char number[32];

		assert_int_equal(value->type, SG_TOML_INTEGER);
		snprintf(number, sizeof(number), "%lld", (long long)value->integer);
		assert_string_equal(number, text);
	} else if (strcmp(type, "float") == 0) {
		assert_int_equal(value->type, SG_TOML_FLOAT);
		compare_float(value->number, text);
	} else if (strcmp(type, "bool") == 0) {
		assert_int_equal(value->type, SG_TOML_BOOLEAN);
		assert_string_equal(value->boolean ? "true" : "false", text);
	} else {
		compare_datetime(value, type, text);
	}
}

static void test_valid(void **state)
{
	const char *name = *state;
	SG_AUTO_FREE char *tail = NULL;
	SG_AUTO_FREE char *path = NULL;
	SG_AUTO_SOURCE struct sg_source *source = NULL;
	SG_AUTO_TOML struct sg_toml_document *document = NULL;
	json_t *expected;

	assert_true(asprintf(&tail, "toml-test/%s", name) > 0);
	source = read_source(tail);
	document = accept_text(source);
	strcpy(strrchr(tail, '.'), ".json");
	path = root_path(tail);
	expected = load_expected(path);
	compare_table(sg_toml_root(document), expected);
	json_decref(expected);
}

static void test_invalid(void **state)
{
	SG_AUTO_FREE char *tail = NULL;
	SG_AUTO_FREE char *rendered = NULL;
	SG_AUTO_SOURCE struct sg_source *source = NULL;

	assert_true(asprintf(&tail, "toml-test/%s", (const char *)*state) > 0);
	source = read_source(tail);
	rendered = refuse(source);
	/* Nothing that acts on a terminal comes through. */
	for (const char *at = rendered; *at != '\0'; at++)
		assert_true((unsigned char)*at >= 0x20 || *at == '\n');
}

/* ---- cases of our own: NAME.toml is refused with exactly what NAME.expected holds ---- */

static void test_messages(void **state)
{
	SG_AUTO_FREE char *tail = NULL;
	SG_AUTO_FREE char *rendered = NULL;
	SG_AUTO_SOURCE struct sg_source *source = NULL;
	SG_AUTO_SOURCE struct sg_source *expected = NULL;

	assert_true(asprintf(&tail, "own/%s", (const char *)*state) > 0);
	source = read_source(tail);
	tail[strlen(tail) - strlen(".toml")] = '\0';
	SG_AUTO_FREE char *expected_tail = NULL;
	assert_true(asprintf(&expected_tail, "%s.expected", tail) > 0);
	expected = read_source(expected_tail);
	rendered = refuse(source);
	assert_string_equal(rendered, expected->text);
}

/* The example of the proposal, as printed and with its commas. */
static void test_proposal(void **state)
{
	SG_AUTO_SOURCE struct sg_source *source = read_source("own/proposal.toml");
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	struct sg_toml_document *none = NULL;
	SG_AUTO_BUFFER struct sg_buffer fixed = SG_BUFFER_INIT;
	SG_AUTO_SOURCE struct sg_source *fixed_source = NULL;
	SG_AUTO_TOML struct sg_toml_document *document = NULL;
	const struct sg_toml_entry *section, *flags;
	size_t at = 0;

	(void)state;
	assert_int_equal(sg_toml_parse(source, &diagnostics, &none), SG_TOML_REFUSED);
	assert_int_equal(diagnostics.count, 2);
	/* A comma at each of the two places makes it whole. */
	for (size_t i = 0; i < 2; i++) {
		size_t offset = diagnostics.items[i].span.offset;

		sg_buffer_append(&fixed, source->text + at, offset - at);
		sg_buffer_append_byte(&fixed, ',');
		at = offset;
	}
	sg_buffer_append(&fixed, source->text + at, source->size - at);
	assert_int_equal(sg_source_new("fixed", fixed.data, fixed.size, &fixed_source), 0);
	document = accept_text(fixed_source);
	section = sg_toml_find(sg_toml_root(document), "Networking");
	assert_non_null(section);
	flags = sg_toml_find(section->value.table, "Flags");
	assert_non_null(flags);
	assert_int_equal(flags->value.array->count, 4);
	assert_string_equal(flags->value.array->items[2].string.data, "incoming");
}

/* ---- positions ---- */

static void check_span(const struct sg_source *source, struct sg_span span, const char *text)
{
	assert_int_equal(span.length, strlen(text));
	assert_memory_equal(source->text + span.offset, text, span.length);
}

static void test_positions(void **state)
{
	static const char text[] = "\xef\xbb\xbf# \xc3\xa9\r\n"
				   "[ a . 'b' ]\r\n"
				   "\"k\\u0065y\" = [ 1, \"\xc3\xa9\xc3\xa9\", { x.y = 1979-05-27 07:32:00Z } ] # c\n"
				   "[[t]]\n[[t]]\nm = '''\nx'''\n";
	SG_AUTO_SOURCE struct sg_source *source = make_source(text, sizeof(text) - 1);
	SG_AUTO_TOML struct sg_toml_document *document = accept_text(source);
	const struct sg_toml_entry *a = sg_toml_find(sg_toml_root(document), "a");
	const struct sg_toml_entry *b = sg_toml_find(a->value.table, "b");
	const struct sg_toml_entry *key = sg_toml_find(b->value.table, "key");
	const struct sg_toml_value *items = key->value.array->items;
	const struct sg_toml_entry *t = sg_toml_find(sg_toml_root(document), "t");
	struct sg_position place;

	(void)state;
	check_span(source, a->key_span, "a");
	check_span(source, b->key_span, "'b'");
	check_span(source, b->value.span, "[ a . 'b' ]");
	check_span(source, key->key_span, "\"k\\u0065y\"");
	check_span(source, items[0].span, "1");
	check_span(source, items[1].span, "\"\xc3\xa9\xc3\xa9\"");
	check_span(source, items[2].span, "{ x.y = 1979-05-27 07:32:00Z }");
	check_span(source, sg_toml_find(items[2].table, "x")->key_span, "x");
	check_span(source, sg_toml_find(sg_toml_find(items[2].table, "x")->value.table, "y")->value.span,
		   "1979-05-27 07:32:00Z");
	place = sg_source_locate(source, items[2].span.offset);
	assert_int_equal(place.line, 3);
	assert_int_equal(place.column, 25); /* characters, not bytes */
	place = sg_source_locate(source, 3);
	assert_int_equal(place.line, 1);
	assert_int_equal(place.column, 1); /* the byte-order mark is no character */
	place = sg_source_locate(source, SIZE_MAX);
	assert_int_equal(place.line, 8);
	assert_int_equal(place.column, 1);
	assert_int_equal(sg_source_line(source, t->value.span.offset), 4);
	assert_int_equal(sg_source_line(source, t->value.array->items[1].span.offset), 5);
	check_span(source, sg_toml_find(t->value.array->items[1].table, "m")->value.span, "'''\nx'''");
	assert_null(sg_toml_find(sg_toml_root(document), "nothing"));
	assert_null(sg_toml_find(sg_toml_root(document), ""));
	check_span(source, sg_span_join(items[0].span, items[1].span), "1, \"\xc3\xa9\xc3\xa9\"");
}

static void test_nul(void **state)
{
	static const char text[] = "a = \"x\\u0000y\"\n\"\\u0000\" = 1";
	SG_AUTO_SOURCE struct sg_source *source = make_source(text, sizeof(text) - 1);
	SG_AUTO_TOML struct sg_toml_document *document = accept_text(source);
	const struct sg_toml_entry *a = sg_toml_find(sg_toml_root(document), "a");

	(void)state;
	assert_int_equal(a->value.string.size, 3);
	assert_memory_equal(a->value.string.data, "x\0y", 4);
	assert_true(sg_toml_string_has_nul(a->value.string));
	assert_false(sg_toml_string_has_nul(a->key));
	assert_non_null(sg_toml_find_sized(sg_toml_root(document), "\0", 1));
	assert_null(sg_toml_find(sg_toml_root(document), ""));
}

static void test_type_names(void **state)
{
	(void)state;
	assert_string_equal(sg_toml_type_name(SG_TOML_STRING), "a string");
	assert_string_equal(sg_toml_type_name(SG_TOML_ARRAY), "an array");
	for (enum sg_toml_type a = 0; a < SG_TOML_TYPE_COUNT; a++) {
		assert_non_null(sg_toml_type_name(a));
		for (enum sg_toml_type b = 0; b < a; b++)
			assert_string_not_equal(sg_toml_type_name(a), sg_toml_type_name(b));
	}
}

static double read_float(const char *number)
{
	char text[1200];
	SG_AUTO_SOURCE struct sg_source *source =
		make_source(text, (size_t)snprintf(text, sizeof(text), "f = %s", number));
	SG_AUTO_TOML struct sg_toml_document *document = accept_text(source);
	const struct sg_toml_value *value = &sg_toml_root(document)->first->value;

	assert_int_equal(value->type, SG_TOML_FLOAT);
	return value->number;
}

/* Every float is the double nearest to what is written: as strtod() has it. */
static void test_floats(void **state)
{
	static const char *const hard[] = {
		"9007199254740993.0",
		"2.2250738585072011e-308",
		"4.9e-324",
		"2.4703282292062327208e-324",
		"1.7976931348623157e308",
		"0.1",
		"123456789012345678e-5",
		"1e-400",
		"1e22",
		"1e23",
		"0e999999999999",
		"0.000000000000000000000000000000000000000000000000000001e54",
		"5e-324",
		"1797693134862315708145274237317043567980705675258449965989174768031572607800285387.0",
	};
	char text[1200];
	uint64_t seed = 88172645463325252U;

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(hard); i++)
		assert_true(read_float(hard[i]) == strtod(hard[i], NULL));
	for (int i = 0; i < 2000; i++) {
		seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
		snprintf(text, sizeof(text), "%llu.%llue%d", (unsigned long long)(seed >> (seed % 60)),
			 (unsigned long long)(seed * 31 >> (seed % 50)), (int)(seed % 600) - 330);
		if (!isinf(strtod(text, NULL)))
			assert_true(read_float(text) == strtod(text, NULL));
	}
	/* Halfway between two doubles, and a digit far behind that decides. */
	memset(text, '0', sizeof(text));
	memcpy(text, "9007199254740993.", 17);
	text[1000] = '\0';
	assert_true(read_float(text) == 9007199254740992.0);
	text[999] = '1';
	assert_true(read_float(text) == 9007199254740994.0);
	assert_true(signbit(read_float("-0.0")));
}

/* ---- limits ---- */

static void repeat(struct sg_buffer *buffer, const char *text, size_t count)
{
	for (size_t i = 0; i < count; i++)
		sg_buffer_append_text(buffer, text);
}

static struct sg_source *nest(const char *before, const char *open, size_t count, const char *middle, const char *close)
{
	SG_AUTO_BUFFER struct sg_buffer buffer = SG_BUFFER_INIT;

	sg_buffer_append_text(&buffer, before);
	repeat(&buffer, open, count);
	sg_buffer_append_text(&buffer, middle);
	repeat(&buffer, close, count);
	return make_source(buffer.data, buffer.size);
}

/* `levels` of the text's own repeated part are the most that fit; one more is refused. */
static void test_depth(void **state)
{
	static const struct {
		const char *before, *open, *middle, *close;
		size_t levels;
	} rows[] = {
		{"x = ", "[", "", "]", 100},
		{"x = ", "[", "1", "]", 99},
		{"x = ", "{a=", "1", "}", 99},
		{"", "a.", "a = 1", "", 99},
		{"[", "a.", "a]\nx = 1", "", 98},
		{"[[", "a.", "a]]", "", 98},
		{"a.b.c = ", "[{d.e = ", "1", "}]", 32},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_SOURCE struct sg_source *fits =
			nest(rows[i].before, rows[i].open, rows[i].levels, rows[i].middle, rows[i].close);
		SG_AUTO_SOURCE struct sg_source *deeper =
			nest(rows[i].before, rows[i].open, rows[i].levels + 1, rows[i].middle, rows[i].close);
		SG_AUTO_FREE char *rendered = refuse(deeper);

		sg_toml_free(accept_text(fits));
		assert_non_null(strstr(rendered, "nested too deep: at most 100 levels"));
		assert_null(strstr(strstr(rendered, "error:") + 1, "error:"));
	}
}

/* Processor time of one reading, in seconds; the result must be `expected`. */
static double time_of(const struct sg_buffer *text, int expected, const char *message)
{
	SG_AUTO_SOURCE struct sg_source *source = make_source(text->data, text->size);
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_BUFFER struct sg_buffer rendered = SG_BUFFER_INIT;
	SG_AUTO_TOML struct sg_toml_document *document = NULL;
	struct timespec before, after;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	assert_int_equal(sg_toml_parse(source, &diagnostics, &document), expected);
	sg_diagnostics_render(&diagnostics, &rendered);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	if (message != NULL)
		assert_non_null(strstr(rendered.data, message));
	return (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
}

static void test_size(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

	(void)state;
	repeat(&text, "\n", SG_TOML_TEXT_MAX);
	time_of(&text, 0, NULL);
	sg_buffer_append_text(&text, "\n");
	time_of(&text, SG_TOML_REFUSED, "t:1:1: error: the text has 10485761 bytes: at most 10485760 are read");
	sg_buffer_clear(&text);
	sg_buffer_append_text(&text, "x = [");
	repeat(&text, "1,", SG_TOML_VALUES_MAX - 1);
	sg_buffer_append_text(&text, "]");
	time_of(&text, 0, NULL);
	text.data[text.size - 1] = '1';
	sg_buffer_append_text(&text, "]");
	time_of(&text, SG_TOML_REFUSED, "too many keys and values: at most 1048576 in one text");
}

/*
 * Texts of 1 MB, each made to be slow for a reader that looks at something twice. Reading takes some
 * hundredths of a second; a quadratic reader needs minutes, so that the bound tells them apart on any
 * machine, under sanitizers too.
 */
static const struct {
	const char *before, *repeated, *after;
} hostile[] = {
	{"x = ", "[", ""},
	{"x = [", "[", ""},
	{"", "[", ""},
	{"x = \"", "\\\"", ""},
	{"x = ", "\\\"", ""},
	{"x = [a ", "\"\\\", a ", ""},
	{"x = [", "'\"", ""},
	{"x = {a ", "\"\\\", a ", ""},
	{"x = [", ",", ""},
	{"x = [", "1 ", ""},
	{"x = [", "a ", ""},
	{"x = [\n", "a.", ""},
	{"x = [\n", "a.b\n", ""},
	{"x = [\n", "\"a\".b\n", ""},
	{"x = [", "{", ""},
	{"x = [", "{a=1\n", ""},
	{"x = [", "{a=1\n},", ""},
	{"x = {a={a={a={a={a={a={a={a={a=1", "\n#", ""},
	{"x = 1.", "0", "1"},
	{"x = 1", "0", ".0"},
	{"x = 0.", "0", "1"},
	{"x = 1", "_1", ""},
	{"x = 1e", "0", "1"},
	{"x = \"\"\"", "\\ \n", "\"\"\""},
	{"x = \"\"\"", "\\ ", "\"\"\""},
	{"x = \"\"\"", "\"\" ", ""},
	{"x = '''", "\n'", ""},
	{"", "\"\"\"\n", ""},
	{"", "'''\n", ""},
	{"", "a\n", ""},
	{"", "a = [\n", ""},
	{"", "a = \n", ""},
	{"", "[a]\n", ""},
	{"", "[[a]]\n", ""},
	{"", "[[a.b]]\n", ""},
	{"a", ".a", " = 1"},
	{"a = 1 ", "#\x01", ""},
	{"x = 1 ", "\xff", ""},
	{"", "\xff\n", ""},
	{"x = \"", "\xc3\xa9\x01", "\""},
	{"x = [", "\xc3\xa9 ", "]"},
};

static void test_hostile(void **state)
{
	double worst = 0;

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(hostile); i++) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
		SG_AUTO_SOURCE struct sg_source *source = NULL;
		SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
		SG_AUTO_BUFFER struct sg_buffer rendered = SG_BUFFER_INIT;
		struct sg_toml_document *document = NULL;
		size_t room = 1 << 20;
		clock_t before;
		double taken;

		sg_buffer_append_text(&text, hostile[i].before);
		repeat(&text, hostile[i].repeated, room / strlen(hostile[i].repeated));
		sg_buffer_append_text(&text, hostile[i].after);
		source = make_source(text.data, text.size);
		before = clock();
		if (sg_toml_parse(source, &diagnostics, &document) == 0)
			sg_toml_free(document);
		sg_diagnostics_render(&diagnostics, &rendered);
		taken = (double)(clock() - before) / CLOCKS_PER_SEC;
		if (taken > 3)
			fail_msg("row %zu (%s): %.1f s", i, hostile[i].repeated, taken);
		worst = taken > worst ? taken : worst;
		/* What is shown stays small as well. */
		assert_true(rendered.size < 100000);
	}
	print_message("worst: %.3f s\n", worst);
}

/* A table of 900,000 keys, and one in which the first key comes again at the end. */
static void test_large_table(void **state)
{
	enum { COUNT = 900000 };
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	SG_AUTO_SOURCE struct sg_source *source = NULL;
	SG_AUTO_TOML struct sg_toml_document *document = NULL;
	double taken;
	char key[16];

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		snprintf(key, sizeof(key), "k%06d=1\n", i);
		sg_buffer_append_text(&text, key);
	}
	taken = time_of(&text, 0, NULL);
	source = make_source(text.data, text.size);
	document = accept_text(source);
	assert_int_equal(sg_toml_root(document)->count, COUNT);
	for (int i = 0; i < COUNT; i += 1009) {
		const struct sg_toml_entry *entry;

		snprintf(key, sizeof(key), "k%06d", i);
		entry = sg_toml_find(sg_toml_root(document), key);
		assert_non_null(entry);
		assert_string_equal(entry->key.data, key);
	}
	assert_null(sg_toml_find(sg_toml_root(document), "k900000"));
	sg_buffer_append_text(&text, "k000000=2\n");
	taken += time_of(&text, SG_TOML_REFUSED, "t:900001:1: error: duplicate key `k000000`");
	if (taken > 10)
		fail_msg("%.1f s", taken);
}

/* ---- the list of tests: our own, then one for each file ---- */

static struct CMUnitTest *tests;
static size_t test_count, test_capacity;

static void add_test(const char *name, CMUnitTestFunction function)
{
	if (test_count == test_capacity) {
		test_capacity = test_capacity == 0 ? 256 : test_capacity * 2;
		tests = reallocarray(tests, test_capacity, sizeof(tests[0]));
		if (tests == NULL)
			abort();
	}
	tests[test_count++] =
		(struct CMUnitTest){.name = name, .test_func = function, .initial_state = (void *)(uintptr_t)name};
}

static bool ends_with(const char *name, const char *end)
{
	return strlen(name) > strlen(end) && strcmp(name + strlen(name) - strlen(end), end) == 0;
}

/* Adds the suite's cases. Returns their number. */
static size_t add_suite(const char *root)
{
	SG_AUTO_FREE char *path = NULL;
	SG_AUTO_FREE char *line = NULL;
	size_t size = 0, count = 0;
	FILE *file;

	if (asprintf(&path, "%s/tests/toml/toml-test/files-toml-1.0.0", root) < 0)
		abort();
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	while (getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!ends_with(line, ".toml"))
			continue;
		add_test(strdup(line), strncmp(line, "valid/", 6) == 0 ? test_valid : test_invalid);
		count++;
	}
	fclose(file);
	return count;
}

/* Adds each own/NAME.toml. Returns their number. */
static size_t add_own(const char *root)
{
	SG_AUTO_FREE char *path = NULL;
	struct dirent **entries = NULL;
	size_t count = 0;
	int found;

	if (asprintf(&path, "%s/tests/toml/own", root) < 0)
		abort();
	found = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < found; i++) {
		if (ends_with(entries[i]->d_name, ".toml")) {
			add_test(strdup(entries[i]->d_name), test_messages);
			count++;
		}
		free(entries[i]);
	}
	free(entries);
	return count;
}

int main(void)
{
	const char *root = getenv("SG_SOURCE_ROOT");
	int failed;

	if (root == NULL) {
		fprintf(stderr, "SG_SOURCE_ROOT is not set\n");
		return 1;
	}
	add_test("proposal", test_proposal);
	add_test("positions", test_positions);
	add_test("NUL in strings", test_nul);
	add_test("type names", test_type_names);
	add_test("floats", test_floats);
	add_test("depth", test_depth);
	add_test("size", test_size);
	add_test("hostile", test_hostile);
	add_test("large table", test_large_table);
	if (add_own(root) < 5 || add_suite(root) != 709) {
		fprintf(stderr, "cases are missing below %s/tests/toml\n", root);
		return 1;
	}
	failed = _cmocka_run_group_tests("toml", tests, test_count, NULL, NULL);
	return failed == 0 ? 0 : 1;
}
