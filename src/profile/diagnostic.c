#include "profile/diagnostic.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/text.h"

static const char byte_order_mark[] = "\xef\xbb\xbf";

struct owned_source {
	struct sg_source source;
	char *name;
	char *text; /* NULL: not ours */
	uint32_t *lines;
	struct sg_source_mark *marks;
};

void sg_source_free(struct sg_source *source)
{
	struct owned_source *owned = (struct owned_source *)source; /* the first member */

	if (owned == NULL)
		return;
	free(owned->name);
	free(owned->text);
	free(owned->lines);
	free(owned->marks);
	free(owned);
}

/* Characters that lie in [from, to): a byte that is not UTF-8 counts one. *ret_end (NULL: not wanted) is where the last one ends. */
static size_t count_characters(const char *text, size_t size, size_t from, size_t to, size_t *ret_end)
{
	size_t count = 0, end = from;

	while (from < to) {
		unsigned int rune;
		size_t taken;
		uint64_t eight;

		if (to - from >= sizeof(eight)) {
			memcpy(&eight, text + from, sizeof(eight));
			if ((eight & 0x8080808080808080U) == 0) {
				from += sizeof(eight);
				count += sizeof(eight);
				end = from;
				continue;
			}
		}
		taken = sg_text_decode(text + from, size - from, &rune);
		from += taken == 0 ? 1 : taken;
		if (from <= to) {
			count++;
			end = from;
		}
	}
	if (ret_end != NULL)
		*ret_end = end;
	return count;
}

/* Of a text of some size, so that a place in a line of megabytes is found without counting all that is before it. */
static int index_characters(struct owned_source *owned)
{
	const struct sg_source *source = &owned->source;
	const size_t count = (source->size - source->begin) / SG_SOURCE_MARK_EVERY + 1;

	if (count < 2)
		return 0;
	owned->marks = calloc(count, sizeof(owned->marks[0]));
	if (owned->marks == NULL)
		return -ENOMEM;
	owned->marks[0].offset = source->begin;
	for (size_t i = 1; i < count; i++) {
		const struct sg_source_mark *before = &owned->marks[i - 1];

		owned->marks[i].characters =
			before->characters + count_characters(source->text, source->size, before->offset,
							      source->begin + i * SG_SOURCE_MARK_EVERY,
							      &owned->marks[i].offset);
	}
	owned->source.marks = owned->marks;
	return 0;
}

static int index_lines(struct owned_source *owned)
{
	const char *text = owned->source.text, *begin = text + owned->source.begin, *end = text + owned->source.size;
	size_t count = 1;

	for (const char *at = begin; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
		count++;
	owned->lines = calloc(count, sizeof(owned->lines[0]));
	if (owned->lines == NULL)
		return -ENOMEM;
	owned->lines[0] = (uint32_t)owned->source.begin;
	count = 1;
	for (const char *at = begin; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
		owned->lines[count++] = (uint32_t)(at - text) + 1;
	owned->source.lines = owned->lines;
	owned->source.line_count = count;
	return 0;
}

/* Takes ownership of `text` (with a NUL after `size` bytes), also when it fails. */
static int make_source(const char *name, char *text, size_t size, struct sg_source **ret_source)
{
	struct owned_source *owned = calloc(1, sizeof(*owned));

	if (owned == NULL) {
		free(text);
		return -ENOMEM;
	}
	owned->text = text;
	owned->name = strdup(name);
	owned->source = (struct sg_source){.name = owned->name, .text = text, .size = size};
	if (owned->name == NULL || index_lines(owned) < 0 || index_characters(owned) < 0) {
		sg_source_free(&owned->source);
		return -ENOMEM;
	}
	*ret_source = &owned->source;
	return 0;
}

int sg_source_new(const char *name, const char *text, size_t size, struct sg_source **ret_source)
{
	char *copy;

	if (size > SG_SOURCE_MAX)
		return -EFBIG;
	copy = malloc(size + 1);
	if (copy == NULL)
		return -ENOMEM;
	if (size > 0)
		memcpy(copy, text, size);
	copy[size] = '\0';
	return make_source(name, copy, size, ret_source);
}

int sg_source_part(const char *name, const char *text, size_t begin, size_t end, size_t line_before,
		   struct sg_source **ret_source)
{
	struct owned_source *owned = calloc(1, sizeof(*owned));

	if (owned == NULL)
		return -ENOMEM;
	owned->name = strdup(name);
	owned->source = (struct sg_source){
		.name = owned->name, .text = text, .size = end, .begin = begin, .line_before = line_before};
	if (owned->name == NULL || index_lines(owned) < 0 || index_characters(owned) < 0) {
		sg_source_free(&owned->source);
		return -ENOMEM;
	}
	*ret_source = &owned->source;
	return 0;
}

int sg_source_read(int fd, const char *name, size_t limit, struct sg_error *error, struct sg_source **ret_source)
{
	char *text;
	size_t size;
	int r = sg_fd_read_file(fd, limit < SG_SOURCE_MAX ? limit : SG_SOURCE_MAX, &text, &size);

	if (r == -EFBIG)
		return sg_error_set(error, r, "%s: larger than %zu bytes", name, limit);
	if (r < 0)
		return sg_error_set_errno(error, r, "read %s", name);
	r = make_source(name, text, size, ret_source);
	return r < 0 ? sg_error_set_errno(error, r, "read %s", name) : 0;
}

/* The index of the line that holds the byte at `offset`. */
static size_t find_line(const struct sg_source *source, size_t offset)
{
	size_t low = 0, high = source->line_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (source->lines[middle] <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* The bytes of a line, without its end and without a byte-order mark. */
static struct sg_span line_span(const struct sg_source *source, size_t line)
{
	size_t start = source->lines[line];
	size_t end = line + 1 < source->line_count ? source->lines[line + 1] - 1 : source->size;

	if (start == 0 && source->size >= 3 && memcmp(source->text, byte_order_mark, 3) == 0)
		start = 3;
	if (end > start && source->text[end - 1] == '\r' && end < source->size)
		end--;
	return (struct sg_span){(uint32_t)start, (uint32_t)(end - start)};
}

size_t sg_source_line(const struct sg_source *source, size_t offset)
{
	return source->line_before + find_line(source, offset) + 1;
}

/* Characters of the text before `offset`. */
static size_t characters_before(const struct sg_source *source, size_t offset)
{
	const struct sg_source_mark *mark = &source->marks[(offset - source->begin) / SG_SOURCE_MARK_EVERY];

	return mark->characters + count_characters(source->text, source->size, mark->offset, offset, NULL);
}

struct sg_position sg_source_locate(const struct sg_source *source, size_t offset)
{
	size_t end = offset < source->size ? offset : source->size, line = find_line(source, end);
	const size_t begin = line_span(source, line).offset;

	return (struct sg_position){
		source->line_before + line + 1,
		1 + (end < begin + SG_SOURCE_MARK_EVERY || source->marks == NULL
			     ? count_characters(source->text, source->size, begin, end, NULL)
			     : characters_before(source, end) - characters_before(source, begin)),
	};
}

struct sg_span sg_span_join(struct sg_span first, struct sg_span last)
{
	uint32_t end = last.offset + last.length;

	return (struct sg_span){first.offset, end > first.offset ? end - first.offset : 0};
}

void sg_diagnostics_done(struct sg_diagnostics *list)
{
	for (size_t i = 0; i < list->count; i++) {
		/* Both were allocated below; the members are const for those who read. */
		free((void *)(uintptr_t)list->items[i].message);
		free((void *)(uintptr_t)list->items[i].hint);
	}
	free(list->items);
	*list = SG_DIAGNOSTICS_INIT;
}

/*
 * sg_source_locate(), which counts on from the finding before where it stands on the same line: so a line of
 * megabytes with many findings is counted once.
 */
static struct sg_position locate_next(const struct sg_diagnostics *list, const struct sg_source *source, size_t offset)
{
	const struct sg_diagnostic *last = list->count > 0 ? &list->items[list->count - 1] : NULL;

	/* Column 1 is left to sg_source_locate(), which knows of a byte-order mark there. */
	if (last == NULL || last->source != source || last->span.offset > offset || offset > source->size ||
	    last->position.column == 1 || last->position.line != sg_source_line(source, offset))
		return sg_source_locate(source, offset);
	return (struct sg_position){
		last->position.line,
		last->position.column + count_characters(source->text, source->size, last->span.offset, offset, NULL),
	};
}

static bool make_room(struct sg_diagnostics *list)
{
	size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
	struct sg_diagnostic *items;

	if (list->count < list->capacity)
		return true;
	items = reallocarray(list->items, capacity, sizeof(items[0]));
	if (items == NULL)
		return false;
	list->items = items;
	list->capacity = capacity;
	return true;
}

/* A copy cut to SG_DIAGNOSTIC_TEXT_MAX bytes, between characters. */
static char *copy_text(const char *text)
{
	size_t size = strlen(text);

	if (size >= SG_DIAGNOSTIC_TEXT_MAX) {
		size = SG_DIAGNOSTIC_TEXT_MAX - 1;
		while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
			size--;
	}
	return strndup(text, size);
}

void sg_diagnostic_add_list(struct sg_diagnostics *list, const struct sg_source *source, struct sg_span span,
			    enum sg_severity severity, const char *hint, const char *format, va_list arguments)
{
	/* One byte more than what is kept, so that copy_text() sees where a character was cut. */
	char formatted[SG_DIAGNOSTIC_TEXT_MAX + 1];
	SG_AUTO_FREE char *message = NULL;
	SG_AUTO_FREE char *hint_copy = NULL;

	if (list->found[severity]++ >= SG_DIAGNOSTICS_MAX || !make_room(list))
		return;
	vsnprintf(formatted, sizeof(formatted), format, arguments);
	message = copy_text(formatted);
	if (hint != NULL)
		hint_copy = copy_text(hint);
	if (message == NULL || (hint != NULL && hint_copy == NULL))
		return;
	list->items[list->count] = (struct sg_diagnostic){
		.source = source,
		.span = span,
		.position = locate_next(list, source, span.offset),
		.severity = severity,
		.message = sg_take_pointer(message),
		.hint = sg_take_pointer(hint_copy),
		.sequence = list->count,
	};
	list->count++;
}

void sg_diagnostic_add(struct sg_diagnostics *list, const struct sg_source *source, struct sg_span span,
		       enum sg_severity severity, const char *hint, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	sg_diagnostic_add_list(list, source, span, severity, hint, format, arguments);
	va_end(arguments);
}

bool sg_diagnostics_are_full(const struct sg_diagnostics *list)
{
	return list->found[SG_SEVERITY_ERROR] >= SG_DIAGNOSTICS_MAX;
}

bool sg_diagnostics_has_errors(const struct sg_diagnostics *list)
{
	return list->found[SG_SEVERITY_ERROR] > 0;
}

static int compare(const void *left, const void *right)
{
	const struct sg_diagnostic *a = left, *b = right;
	int names = a->source == b->source ? 0 : strcmp(a->source->name, b->source->name);

	if (names != 0)
		return names;
	if (a->span.offset != b->span.offset)
		return a->span.offset < b->span.offset ? -1 : 1;
	return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

/* Columns that a terminal gives to a character: combining marks none, East Asian wide characters and emoji
 * two. */
static size_t rune_width(unsigned int rune)
{
	static const struct {
		unsigned int first, last;
		size_t width;
	} ranges[] = {
		{0x300, 0x36f, 0},   {0x483, 0x489, 0},     {0x591, 0x5bd, 0},     {0x64b, 0x65f, 0},
		{0x1ab0, 0x1aff, 0}, {0x1dc0, 0x1dff, 0},   {0x20d0, 0x20ff, 0},   {0xfe00, 0xfe0f, 0},
		{0xfe20, 0xfe2f, 0}, {0x1100, 0x115f, 2},   {0x2e80, 0x303e, 2},   {0x3041, 0xa4cf, 2},
		{0xac00, 0xd7a3, 2}, {0xf900, 0xfaff, 2},   {0xfe30, 0xfe4f, 2},   {0xff00, 0xff60, 2},
		{0xffe0, 0xffe6, 2}, {0x1f300, 0x1f64f, 2}, {0x1f900, 0x1f9ff, 2}, {0x20000, 0x3fffd, 2},
	};

	for (size_t i = 0; rune >= ranges[0].first && i < SG_ARRAY_SIZE(ranges); i++)
		if (rune >= ranges[i].first && rune <= ranges[i].last)
			return ranges[i].width;
	return 1;
}

/* Writes one character as it is shown to `out` and its width to *ret_width. Returns the bytes taken from
 * `text`. */
static size_t show_one(char out[16], const char *text, size_t length, size_t *ret_width)
{
	unsigned int rune;
	size_t taken = sg_text_decode(text, length, &rune), shown;

	if (taken == 1 && (rune == '\t' || rune == '\\')) {
		snprintf(out, 16, "%s", rune == '\t' ? "    " : "\\");
		*ret_width = strlen(out);
		return 1;
	}
	shown = sg_text_escape(out, 16, text, taken == 0 ? 1 : taken);
	/* What was escaped is ASCII now; what was not is the character itself. */
	*ret_width = taken > 1 && shown == taken ? rune_width(rune) : shown;
	return taken == 0 ? 1 : taken;
}

static void append_shown(struct sg_buffer *out, const char *text, size_t length)
{
	while (length > 0) {
		char one[16];
		size_t width, taken = show_one(one, text, length, &width);

		sg_buffer_append_text(out, one);
		text += taken;
		length -= taken;
	}
}

/* The width of `length` bytes as shown, or more than `limit` as soon as it is more. */
static size_t shown_width(const char *text, size_t length, size_t limit)
{
	size_t total = 0;

	while (length > 0 && total <= limit) {
		char one[16];
		size_t width, taken = show_one(one, text, length, &width);

		total += width;
		text += taken;
		length -= taken;
	}
	return total;
}

/*
 * Where to begin quoting so that at most `room` columns stand before `at`. Steps back over whole characters
 * and never further than needed, so that a line of megabytes costs no more than what is shown of it.
 */
static size_t window_start(const struct sg_source *source, size_t line_start, size_t at, size_t room)
{
	size_t start = at, width = 0;

	while (start > line_start) {
		size_t before = start - 1, one;
		char shown[16];
		unsigned int rune;

		while (before > line_start && start - before < 4 &&
		       ((unsigned char)source->text[before] & 0xc0) == 0x80)
			before--;
		if (sg_text_decode(source->text + before, start - before, &rune) != start - before)
			before = start - 1;
		show_one(shown, source->text + before, start - before, &one);
		if (width + one > room)
			break;
		width += one;
		start = before;
	}
	return start;
}

/* Appends the line of the finding, cut around its span, and the line that underlines the span. */
static void append_quote(struct sg_buffer *out, const struct sg_diagnostic *item)
{
	const struct sg_source *source = item->source;
	struct sg_span line = line_span(source, item->position.line - 1 - source->line_before);
	size_t end = line.offset + line.length, at = item->span.offset, stop, start, used, width, indent;

	if (at > end)
		at = end;
	if (at < line.offset)
		at = line.offset;
	stop = item->span.offset + item->span.length;
	if (stop > end)
		stop = end;
	start = window_start(source, line.offset, at, SG_DIAGNOSTIC_QUOTE_MAX / 2);
	sg_buffer_printf(out, "%5zu | %s", item->position.line, start > line.offset ? "..." : "");
	indent = (start > line.offset ? 3 : 0) + shown_width(source->text + start, at - start, SIZE_MAX - 1);
	used = 0;
	width = 0; /* of the part of the span that is shown */
	while (start < end && used < SG_DIAGNOSTIC_QUOTE_MAX) {
		char one[16];
		size_t columns, taken = show_one(one, source->text + start, end - start, &columns);

		sg_buffer_append_text(out, one);
		used += columns;
		if (start >= at && start < stop)
			width += columns;
		start += taken;
	}
	sg_buffer_printf(out, "%s\n      | %*s^", start < end ? "..." : "", (int)indent, "");
	for (size_t i = 1; i < width; i++)
		sg_buffer_append_byte(out, '~');
	sg_buffer_append_byte(out, '\n');
}

static const char *const severity_names[SG_SEVERITY_COUNT] = {
	[SG_SEVERITY_ERROR] = "error",
	[SG_SEVERITY_WARNING] = "warning",
};

static void append_one(struct sg_buffer *out, const struct sg_diagnostic *item)
{
	append_shown(out, item->source->name, strlen(item->source->name));
	sg_buffer_printf(out, ":%zu:%zu: %s: ", item->position.line, item->position.column,
			 severity_names[item->severity]);
	append_shown(out, item->message, strlen(item->message));
	sg_buffer_append_byte(out, '\n');
	append_quote(out, item);
	if (item->hint != NULL) {
		sg_buffer_append_text(out, "hint: ");
		append_shown(out, item->hint, strlen(item->hint));
		sg_buffer_append_byte(out, '\n');
	}
}

void sg_diagnostics_render(struct sg_diagnostics *list, struct sg_buffer *out)
{
	size_t kept[SG_SEVERITY_COUNT] = {0};

	if (list->count > 1)
		qsort(list->items, list->count, sizeof(list->items[0]), compare);
	for (size_t i = 0; i < list->count; i++) {
		append_one(out, &list->items[i]);
		kept[list->items[i].severity]++;
	}
	for (size_t i = 0; i < SG_SEVERITY_COUNT; i++) {
		size_t more = list->found[i] - kept[i];

		if (more > 0)
			sg_buffer_printf(out, "and %zu more %s%s\n", more, severity_names[i], more == 1 ? "" : "s");
	}
}
