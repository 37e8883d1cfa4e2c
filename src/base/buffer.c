#include "base/buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

void sg_buffer_done(struct sg_buffer *buffer)
{
	free(buffer->data);
	*buffer = SG_BUFFER_INIT;
}

void sg_buffer_clear(struct sg_buffer *buffer)
{
	buffer->size = 0;
	buffer->failed = false;
	if (buffer->data != NULL)
		buffer->data[0] = '\0';
}

/* Makes room for `more` bytes and a NUL. */
static bool reserve(struct sg_buffer *buffer, size_t more)
{
	size_t needed, capacity;
	char *grown;

	if (buffer->failed)
		return false;
	if (__builtin_add_overflow(buffer->size, more, &needed) || __builtin_add_overflow(needed, 1, &needed))
		goto failed;
	if (needed <= buffer->capacity)
		return true;
	capacity = buffer->capacity < 64 ? 64 : buffer->capacity;
	while (capacity < needed)
		if (__builtin_mul_overflow(capacity, 2, &capacity))
			goto failed;
	grown = realloc(buffer->data, capacity);
	if (grown == NULL)
		goto failed;
	buffer->data = grown;
	buffer->capacity = capacity;
	return true;
failed:
	buffer->failed = true;
	return false;
}

void sg_buffer_append(struct sg_buffer *buffer, const void *data, size_t size)
{
	if (!reserve(buffer, size))
		return;
	if (size > 0)
		memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
	buffer->data[buffer->size] = '\0';
}

void sg_buffer_append_text(struct sg_buffer *buffer, const char *text)
{
	sg_buffer_append(buffer, text, strlen(text));
}

void sg_buffer_append_byte(struct sg_buffer *buffer, char byte)
{
	sg_buffer_append(buffer, &byte, 1);
}

void sg_buffer_printf(struct sg_buffer *buffer, const char *format, ...)
{
	va_list arguments;
	int needed;

	va_start(arguments, format);
	needed = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (needed < 0) {
		buffer->failed = true;
		return;
	}
	if (!reserve(buffer, (size_t)needed))
		return;
	va_start(arguments, format);
	(void)vsnprintf(buffer->data + buffer->size, (size_t)needed + 1, format, arguments);
	va_end(arguments);
	buffer->size += (size_t)needed;
}

void sg_buffer_append_escaped(struct sg_buffer *buffer, const char *text, size_t length)
{
	/* No character is written longer than four bytes for each of its own, but for \u{...}: eight for two. */
	size_t capacity;

	if (__builtin_mul_overflow(length, 5, &capacity)) {
		buffer->failed = true;
		return;
	}
	if (!reserve(buffer, capacity))
		return;
	buffer->size += sg_text_escape(buffer->data + buffer->size, buffer->capacity - buffer->size, text, length);
}

static bool plain_in_json(unsigned int rune)
{
	/* Above U+FFFF only tags act, which show nothing; JSON would write them as two halves, which TOML does not read. */
	return rune != '"' && rune != '\\' && (rune > 0xffff || !sg_text_acts(rune));
}

void sg_buffer_append_json(struct sg_buffer *buffer, const char *text, size_t length)
{
	sg_buffer_append_byte(buffer, '"');
	while (length > 0) {
		unsigned int rune = 0;
		size_t run = 0, size;

		while (run < length && (size = sg_text_decode(text + run, length - run, &rune)) > 0 &&
		       plain_in_json(rune))
			run += size;
		sg_buffer_append(buffer, text, run);
		text += run;
		length -= run;
		if (length == 0)
			break;
		size = sg_text_decode(text, length, &rune);
		if (size == 0)
			sg_buffer_printf(buffer, "\\udc%02x", (unsigned int)(unsigned char)text[0]);
		else if (rune == '"' || rune == '\\')
			sg_buffer_printf(buffer, "\\%c", (char)rune);
		else
			sg_buffer_printf(buffer, "\\u%04x", rune);
		text += size == 0 ? 1 : size;
		length -= size == 0 ? 1 : size;
	}
	sg_buffer_append_byte(buffer, '"');
}

int sg_buffer_status(const struct sg_buffer *buffer)
{
	return buffer->failed ? -ENOMEM : 0;
}

char *sg_buffer_take(struct sg_buffer *buffer)
{
	char *data;

	sg_buffer_append(buffer, "", 0);
	if (buffer->failed)
		return NULL;
	data = buffer->data;
	*buffer = SG_BUFFER_INIT;
	return data;
}
