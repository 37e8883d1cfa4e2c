#include "export/unit_text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/text.h"

/* Well-formed UTF-8 without control characters; in `allowed`, those that have a form of their own. */
static bool is_text(const char *text, const char *allowed)
{
	const size_t length = strlen(text);

	for (size_t i = 0; i < length;) {
		unsigned int rune;
		const size_t size = sg_text_decode(text + i, length - i, &rune);

		if (size == 0 || ((rune < 0x20 || (rune >= 0x7f && rune < 0xa0)) &&
				  (rune >= 0x80 || strchr(allowed, (int)rune) == NULL)))
			return false;
		i += size;
	}
	return true;
}

/* Appends a backslash before what would end a word or a part of one, for each time that the text is taken apart. */
static void append_escaped(struct sg_buffer *out, char byte, enum sg_unit_words words)
{
	if (words == SG_UNIT_PATH_WITH_OPTIONS && (byte == ':' || byte == '\\'))
		sg_buffer_append_text(out, "\\\\");
	if (byte == '"' || byte == '\\')
		sg_buffer_append_byte(out, '\\');
	if (byte == '%')
		sg_buffer_append_byte(out, '%');
	sg_buffer_append_byte(out, byte);
}

int sg_unit_append_path(struct sg_buffer *out, const char *key, const char *path, enum sg_unit_words words,
			const char *options)
{
	if (path[0] != '/' || !is_text(path, ""))
		return -EILSEQ;
	/* TemporaryFileSystem= knows no '-'; it makes what is missing. */
	sg_buffer_printf(out, "%s=\"%s", key, words == SG_UNIT_PATH ? "-" : "");
	for (; *path != '\0'; path++)
		append_escaped(out, *path, words);
	if (options != NULL)
		sg_buffer_printf(out, ":%s", options);
	sg_buffer_append_text(out, "\"\n");
	return 0;
}

int sg_unit_append_assignment(struct sg_buffer *out, const char *assignment)
{
	if (!is_text(assignment, "\n\t"))
		return -EILSEQ;
	sg_buffer_append_text(out, "Environment=\"");
	for (; *assignment != '\0'; assignment++)
		if (*assignment == '\n')
			sg_buffer_append_text(out, "\\n");
		else if (*assignment == '\t')
			sg_buffer_append_text(out, "\\t");
		else
			append_escaped(out, *assignment, SG_UNIT_PATH);
	sg_buffer_append_text(out, "\"\n");
	return 0;
}

int sg_unit_append_plain(struct sg_buffer *out, const char *key, const char *value)
{
	const size_t length = strlen(value);

	if (length == 0 || !is_text(value, "") || isspace((unsigned char)value[0]) ||
	    isspace((unsigned char)value[length - 1]) || value[length - 1] == '\\' ||
	    strchr("-~+!\"'", value[0]) != NULL)
		return -EILSEQ;
	sg_buffer_printf(out, "%s=", key);
	for (; *value != '\0'; value++)
		sg_buffer_printf(out, "%s%c", *value == '%' ? "%" : "", *value);
	sg_buffer_append_byte(out, '\n');
	return 0;
}
