#include "cli/layout.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"

size_t sg_layout_width(int fd)
{
	struct winsize window;

	if (ioctl(fd, TIOCGWINSZ, &window) < 0 || window.ws_col == 0)
		return SG_LAYOUT_WIDTH;
	if (window.ws_col < SG_LAYOUT_WIDTH_MIN)
		return SG_LAYOUT_WIDTH_MIN;
	return window.ws_col > SG_LAYOUT_WIDTH_MAX ? SG_LAYOUT_WIDTH_MAX : window.ws_col;
}

/* The bytes of a colour at `text`, or 0. */
static size_t colour_size(const char *text, size_t length)
{
	size_t size = 2;

	if (length < 3 || text[0] != '\033' || text[1] != '[')
		return 0;
	while (size < length && (text[size] == ';' || (text[size] >= '0' && text[size] <= '9')))
		size++;
	return size < length && text[size] == 'm' ? size + 1 : 0;
}

/* The bytes of what takes one column at `text`; those of colours before it count to it. */
static size_t column_size(const char *text, size_t length)
{
	size_t start = 0, size;
	unsigned int rune;

	while ((size = colour_size(text + start, length - start)) > 0)
		start += size;
	if (start == length)
		return start;
	size = sg_text_decode(text + start, length - start, &rune);
	return start + (size == 0 ? 1 : size);
}

static size_t columns(const char *text, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; count++)
		i += column_size(text + i, length - i);
	return count;
}

/* Where the right column of a line begins in the text: behind the tab or the run of blanks. `length` if it
 * has none. */
static size_t find_right(const char *line, size_t length, size_t *ret_left)
{
	const size_t indent = strspn(line, " ");
	const char *tab = memchr(line, '\t', length);

	if (tab != NULL) {
		*ret_left = (size_t)(tab - line);
		return *ret_left + 1;
	}
	for (size_t i = indent; i + 1 < length; i++)
		if (line[i] == ' ' && line[i + 1] == ' ') {
			*ret_left = i;
			return i + strspn(line + i, " ");
		}
	*ret_left = length;
	return length;
}

/* The column for the tabs of the block that `text` begins: one that fits most left sides of it. */
static size_t tab_column(const char *text, size_t width)
{
	size_t widest = 0;

	while (*text != '\0') {
		const size_t length = strcspn(text, "\n");
		const char *tab = memchr(text, '\t', length);

		if (tab == NULL)
			break;
		if (columns(text, (size_t)(tab - text)) <= width / 2 && columns(text, (size_t)(tab - text)) > widest)
			widest = columns(text, (size_t)(tab - text));
		text += length + (text[length] == '\n');
	}
	return widest == 0 ? 4 : widest + 2;
}

static void pad(struct sg_buffer *out, size_t count)
{
	for (size_t i = 0; i < count; i++)
		sg_buffer_append_byte(out, ' ');
}

/* Words from `text` on, the cursor at `column`, further lines at `hang`. */
static void wrap_words(const char *text, size_t length, size_t column, size_t hang, size_t width, struct sg_buffer *out)
{
	bool first = true;

	for (size_t i = 0; i < length;) {
		size_t blanks = 0, word;

		while (i + blanks < length && text[i + blanks] == ' ')
			blanks++;
		word = 0;
		while (i + blanks + word < length && text[i + blanks + word] != ' ')
			word++;
		if (word == 0)
			break;
		if (!first && column + blanks + columns(text + i + blanks, word) > width) {
			sg_buffer_append_byte(out, '\n');
			pad(out, hang);
			column = hang;
		} else {
			pad(out, first ? 0 : blanks);
			column += first ? 0 : blanks;
		}
		sg_buffer_append(out, text + i + blanks, word);
		column += columns(text + i + blanks, word);
		i += blanks + word;
		first = false;
	}
}

static void wrap_line(const char *line, size_t length, size_t tab, size_t width, struct sg_buffer *out)
{
	const size_t indent = strspn(line, " ");
	size_t left, right = find_right(line, length, &left), column;

	if (right == length) {
		pad(out, length == 0 ? 0 : indent);
		wrap_words(line + indent, length - indent, indent, indent, width, out);
		return;
	}
	column = memchr(line, '\t', length) != NULL ? tab : columns(line, right);
	sg_buffer_append(out, line, left);
	if (columns(line, left) + 2 > column && memchr(line, '\t', length) != NULL) {
		/* A left side that is too long has the line to itself. */
		sg_buffer_append_byte(out, '\n');
		pad(out, column);
	} else {
		pad(out, column - columns(line, left));
	}
	wrap_words(line + right, length - right, column, column, width, out);
}

void sg_layout_wrap(const char *text, size_t width, struct sg_buffer *out)
{
	size_t tab = 0;

	while (*text != '\0') {
		const size_t length = strcspn(text, "\n");
		const bool tabbed = memchr(text, '\t', length) != NULL;

		if (tabbed && tab == 0)
			tab = tab_column(text, width);
		else if (!tabbed)
			tab = 0;
		wrap_line(text, length, tab, width, out);
		sg_buffer_append_byte(out, '\n');
		text += length + (text[length] == '\n');
	}
}

enum { HANG_SMALL = 4, HANG_ROOM = 24 };

void sg_layout_hang(const char *line, size_t length, size_t hang, size_t width, struct sg_buffer *out)
{
	size_t left = 0, column = 0;

	for (; column < hang && left < length; column++)
		left += column_size(line + left, length - left);
	sg_buffer_append(out, line, left);
	wrap_words(line + left, length - left, column, hang + HANG_ROOM > width ? HANG_SMALL : hang, width, out);
	sg_buffer_append_byte(out, '\n');
}
