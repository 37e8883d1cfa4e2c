/*
 * Sections and keys in their layout. The text is read into sections, each of them into units (a key with the comments above it, or
 * comments by themselves) between empty lines; these are sorted, written as lines, and the comments at their ends put under each other.
 */
#include "profile/format.h"

#include <errno.h>
#include <string.h>

#include "profile/format_internal.h"
#include "profile/format_same.h"
#include "tables/profile_tables.h"

/* A key with the comments right above it; comments alone have no key. */
struct unit {
	struct sg_buffer above; /* comments, each ending in a line feed */
	struct sg_buffer key;   /* empty: none */
	const char *value;      /* where it begins in the text */
	struct sg_buffer comment;
	size_t paragraph, rank, order;
};

struct section {
	struct sg_buffer above, header, comment; /* the first one has no header */
	size_t rank, order;
	enum sg_section which; /* SG_SECTIONS: not one of a profile */
	struct unit *units;
	size_t count, capacity;
};

struct document {
	struct section *sections;
	size_t count, capacity;
};

static void document_done(struct document *document)
{
	for (size_t i = 0; i < document->count; i++) {
		struct section *section = &document->sections[i];

		for (size_t j = 0; j < section->count; j++) {
			sg_buffer_done(&section->units[j].above);
			sg_buffer_done(&section->units[j].key);
			sg_buffer_done(&section->units[j].comment);
		}
		free(section->units);
		sg_buffer_done(&section->above);
		sg_buffer_done(&section->header);
		sg_buffer_done(&section->comment);
	}
	free(document->sections);
}

/* Room for one element more, which is zero; NULL without memory. */
static void *make_room(void *array_pointer, size_t *count, size_t *capacity, size_t size)
{
	void **array = array_pointer;

	if (*count == *capacity) {
		const size_t wanted = *capacity == 0 ? 16 : *capacity * 2;
		void *grown = reallocarray(*array, wanted, size);

		if (grown == NULL)
			return NULL;
		*array = grown;
		*capacity = wanted;
	}
	memset((char *)*array + *count * size, 0, size);
	return (char *)*array + (*count)++ * size;
}

/* --- what the manual's order is --- */

static bool is_first_part(const struct sg_buffer *key, size_t offset, const char *name)
{
	const size_t length = strlen(name);

	return key->size >= offset + length && memcmp(key->data + offset, name, length) == 0 &&
	       (key->size == offset + length || strchr(".]", key->data[offset + length]) != NULL);
}

static void rank_section(struct section *section)
{
	const size_t offset = section->header.data == NULL ? 0 : strspn(section->header.data, "[");

	section->which = section->header.size == 0 ? SG_SECTION_ROOT : SG_SECTIONS;
	section->rank = section->header.size == 0 ? 0 : SG_SECTIONS;
	for (int i = 1; i < SG_SECTION_ACTION && section->header.size > 0; i++)
		if (is_first_part(&section->header, offset, sg_section_infos[i].name)) {
			section->which = (enum sg_section)i;
			section->rank = (size_t)i;
		}
	if (section->header.size > 0 && strcmp(section->header.data, "[[Privileged.Action]]") == 0)
		section->which = SG_SECTION_ACTION;
}

static size_t rank_key(enum sg_section which, const struct sg_buffer *key)
{
	for (size_t i = 0; which < SG_SECTIONS && i < sg_key_count; i++)
		if ((sg_key_infos[i].sections >> which & 1) != 0 && is_first_part(key, 0, sg_key_infos[i].name))
			return i;
	return sg_key_count;
}

static int compare_sections(const void *left, const void *right)
{
	const struct section *a = left, *b = right;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* Paragraphs stay in their order; in each, comments by themselves are last: an empty line followed them. */
static int compare_units(const void *left, const void *right)
{
	const struct unit *a = left, *b = right;

	if (a->paragraph != b->paragraph)
		return a->paragraph < b->paragraph ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static void sort(struct document *document)
{
	qsort(document->sections, document->count, sizeof(*document->sections), compare_sections);
	for (size_t i = 0; i < document->count; i++)
		if (document->sections[i].count > 0)
			qsort(document->sections[i].units, document->sections[i].count, sizeof(struct unit),
			      compare_units);
}

/* --- reading --- */

struct parser {
	struct format_reader reader;
	struct document *document;
	struct sg_buffer above; /* comments that may belong to what follows */
	size_t paragraph;
	bool started; /* something stands in the paragraph */
};

static struct section *current(struct parser *parser)
{
	return &parser->document->sections[parser->document->count - 1];
}

static struct unit *add_unit(struct parser *parser)
{
	struct section *section = current(parser);
	struct unit *unit = make_room(&section->units, &section->count, &section->capacity, sizeof(*unit));

	if (unit == NULL) {
		parser->reader.failed = true;
		return NULL;
	}
	unit->paragraph = parser->paragraph;
	unit->rank = SIZE_MAX;
	unit->order = section->count;
	unit->above = parser->above;
	parser->above = SG_BUFFER_INIT;
	parser->started = true;
	return unit;
}

/* An empty line: comments that nothing follows directly stand by themselves. */
static void end_paragraph(struct parser *parser)
{
	if (parser->above.size > 0)
		(void)add_unit(parser);
	if (parser->started)
		parser->paragraph++;
	parser->started = false;
}

static struct section *add_section(struct parser *parser)
{
	struct document *document = parser->document;
	struct section *section =
		make_room(&document->sections, &document->count, &document->capacity, sizeof(*section));

	if (section == NULL)
		parser->reader.failed = true;
	else
		section->order = document->count;
	parser->paragraph = 0;
	parser->started = false;
	return section;
}

/* What may stand behind a header or a value: a comment. */
static void read_end(struct format_reader *reader, struct sg_buffer *comment)
{
	sg_format_skip_blanks(reader);
	if (reader->at < reader->end && *reader->at == '#')
		sg_format_take_comment(reader, comment);
	reader->failed |= !sg_format_take_newline(reader) && reader->at != reader->end;
}

static void read_header(struct parser *parser)
{
	struct format_reader *reader = &parser->reader;
	struct section *section = add_section(parser);
	int brackets = 0;

	if (section == NULL)
		return;
	section->above = parser->above;
	parser->above = SG_BUFFER_INIT;
	while (brackets < 2 && sg_format_take(reader, '[')) {
		sg_buffer_append_byte(&section->header, '[');
		brackets++;
	}
	sg_format_take_key(reader, &section->header);
	for (int i = 0; i < brackets; i++) {
		reader->failed |= !sg_format_take(reader, ']');
		sg_buffer_append_byte(&section->header, ']');
	}
	read_end(reader, &section->comment);
	reader->failed |= sg_buffer_status(&section->header) < 0 || sg_buffer_status(&section->comment) < 0;
	rank_section(section);
}

/* The value is written later, when it is known how far its key is moved: here it is only passed over. */
static void read_key(struct parser *parser)
{
	struct format_reader *reader = &parser->reader;
	struct format_lines passed = {0};
	struct unit *unit = add_unit(parser);

	if (unit == NULL)
		return;
	sg_format_take_key(reader, &unit->key);
	reader->failed |= !sg_format_take(reader, '=') || sg_buffer_status(&unit->key) < 0;
	sg_format_skip_blanks(reader);
	unit->value = reader->at;
	if (!reader->failed)
		sg_format_value(reader, &passed);
	sg_format_lines_done(&passed);
	read_end(reader, &unit->comment);
	reader->failed |= sg_buffer_status(&unit->comment) < 0;
	unit->rank = rank_key(current(parser)->which, &unit->key);
}

static void read_line(struct parser *parser)
{
	struct format_reader *reader = &parser->reader;

	sg_format_skip_blanks(reader);
	if (sg_format_take_newline(reader)) {
		end_paragraph(parser);
	} else if (reader->at < reader->end && *reader->at == '#') {
		sg_format_take_comment(reader, &parser->above);
		sg_buffer_append_byte(&parser->above, '\n');
		(void)sg_format_take_newline(reader);
	} else if (reader->at < reader->end && *reader->at == '[') {
		read_header(parser);
	} else if (reader->at < reader->end) {
		read_key(parser);
	}
}

static int read_document(const struct sg_source *source, struct document *document)
{
	static const char mark[] = "\xef\xbb\xbf";
	struct parser parser = {.reader = {.at = source->text, .end = source->text + source->size},
				.document = document};

	if (source->size >= 3 && memcmp(source->text, mark, 3) == 0)
		parser.reader.at += 3;
	if (add_section(&parser) == NULL)
		return -ENOMEM;
	rank_section(current(&parser));
	while (!parser.reader.failed && parser.reader.at < parser.reader.end)
		read_line(&parser);
	if (!parser.reader.failed)
		end_paragraph(&parser);
	parser.reader.failed |= sg_buffer_status(&parser.above) < 0;
	sg_buffer_done(&parser.above);
	/* The text was read as TOML before: what this reader does not follow is for want of memory, or a fault of it. */
	return parser.reader.failed ? -EBADMSG : 0;
}

/* --- writing --- */

static void append(struct format_lines *lines, const char *text, size_t size)
{
	if (!lines->failed && size > 0)
		sg_buffer_append(&lines->items[lines->count - 1].code, text, size);
}

/* Comments on lines of their own. */
static void write_above(struct format_lines *lines, const struct sg_buffer *above)
{
	for (size_t i = 0; i < above->size; i += strcspn(above->data + i, "\n") + 1)
		if (sg_format_add_line(lines) != NULL)
			append(lines, above->data + i, strcspn(above->data + i, "\n"));
}

static void write_comment(struct format_lines *lines, const struct sg_buffer *comment)
{
	if (!lines->failed && comment->size > 0)
		sg_buffer_append(&lines->items[lines->count - 1].comment, comment->data, comment->size);
}

/* The width that the keys have together of the paragraph that begins with a unit. */
static size_t width_of(const struct section *section, size_t first)
{
	size_t width = 0;

	for (size_t i = first; i < section->count && section->units[i].paragraph == section->units[first].paragraph;
	     i++) {
		const struct sg_buffer *key = &section->units[i].key;
		const size_t columns = key->size == 0 ? 0 : sg_format_columns(key->data, key->size);

		if (columns <= SG_FORMAT_KEY_MAX && columns > width)
			width = columns;
	}
	return width;
}

static int write_unit(struct format_lines *lines, const struct unit *unit, size_t width, const char *end)
{
	struct format_reader reader = {.at = unit->value, .end = end};

	write_above(lines, &unit->above);
	if (unit->key.size == 0)
		return 0;
	if (sg_format_add_line(lines) == NULL)
		return -ENOMEM;
	append(lines, unit->key.data, unit->key.size);
	for (size_t i = sg_format_columns(unit->key.data, unit->key.size); i < width; i++)
		append(lines, " ", 1);
	append(lines, " = ", 3);
	sg_format_value(&reader, lines);
	write_comment(lines, &unit->comment);
	return reader.failed ? -EBADMSG : 0;
}

static int write_section(struct format_lines *lines, const struct section *section, const char *end)
{
	size_t width = 0;
	int status = 0;

	if (lines->count > 0 && section->header.size > 0)
		(void)sg_format_add_line(lines);
	write_above(lines, &section->above);
	if (section->header.size > 0 && sg_format_add_line(lines) != NULL) {
		append(lines, section->header.data, section->header.size);
		write_comment(lines, &section->comment);
	}
	for (size_t i = 0; i < section->count && status == 0; i++) {
		const bool begins = i == 0 || section->units[i].paragraph != section->units[i - 1].paragraph;

		if (begins && i > 0)
			(void)sg_format_add_line(lines);
		if (begins)
			width = width_of(section, i);
		status = write_unit(lines, &section->units[i], width, end);
	}
	return status;
}

/* The columns that a line's comment is moved to do not count where its code is long. */
static size_t code_columns(const struct format_line *line)
{
	return line->code.size == 0 ? 0 : sg_format_columns(line->code.data, line->code.size);
}

static bool has_end_comment(const struct format_line *line)
{
	return line->comment.size > 0;
}

static void emit(const struct format_lines *lines, struct sg_buffer *out)
{
	size_t column = 0;

	for (size_t i = 0; i < lines->count; i++) {
		const struct format_line *line = &lines->items[i];

		if (has_end_comment(line) && (i == 0 || !has_end_comment(line - 1))) {
			column = 0;
			for (size_t j = i; j < lines->count && has_end_comment(&lines->items[j]); j++)
				if (code_columns(&lines->items[j]) <= SG_FORMAT_CODE_MAX &&
				    code_columns(&lines->items[j]) > column)
					column = code_columns(&lines->items[j]);
		}
		if (line->code.size > 0)
			sg_buffer_append(out, line->code.data, line->code.size);
		if (has_end_comment(line)) {
			for (size_t c = code_columns(line); c < column; c++)
				sg_buffer_append_byte(out, ' ');
			sg_buffer_append_text(out, "  ");
			sg_buffer_append(out, line->comment.data, line->comment.size);
		}
		sg_buffer_append_byte(out, '\n');
	}
}

static bool lines_failed(const struct format_lines *lines)
{
	bool failed = lines->failed;

	for (size_t i = 0; i < lines->count; i++)
		failed |= lines->items[i].code.failed || lines->items[i].comment.failed;
	return failed;
}

static int write_document(struct document *document, const char *end, struct sg_buffer *out)
{
	SG_CLEANUP(sg_format_lines_done) struct format_lines lines = {0};
	int status = 0;

	sort(document);
	for (size_t i = 0; i < document->count && status == 0; i++)
		status = write_section(&lines, &document->sections[i], end);
	if (status == 0 && lines_failed(&lines))
		status = -ENOMEM;
	if (status == 0)
		emit(&lines, out);
	return status < 0 ? status : sg_buffer_status(out);
}

int sg_format(const struct sg_source *source, struct sg_diagnostics *diagnostics, struct sg_buffer *out)
{
	SG_CLEANUP(document_done) struct document document = {0};
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	SG_AUTO_TOML struct sg_toml_document *before = NULL;
	int status = sg_toml_parse(source, diagnostics, &before);

	if (status != 0)
		return status < 0 ? status : SG_FORMAT_REFUSED;
	status = read_document(source, &document);
	if (status == 0)
		status = write_document(&document, source->text + source->size, &text);
	if (status == 0)
		status = sg_format_check(before, text.data != NULL ? text.data : "", text.size);
	if (status == 0)
		sg_buffer_append(out, text.data != NULL ? text.data : "", text.size);
	return status < 0 ? status : sg_buffer_status(out);
}
