#include "base/text.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"

size_t sg_text_decode(const char *text, size_t length, unsigned int *ret_rune)
{
	static const unsigned int least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *bytes = (const unsigned char *)text;
	unsigned int rune;
	size_t size;

	if (bytes[0] < 0x80) {
		*ret_rune = bytes[0];
		return 1;
	}
	if ((bytes[0] & 0xe0) == 0xc0) {
		size = 2;
		rune = bytes[0] & 0x1fU;
	} else if ((bytes[0] & 0xf0) == 0xe0) {
		size = 3;
		rune = bytes[0] & 0x0fU;
	} else if ((bytes[0] & 0xf8) == 0xf0) {
		size = 4;
		rune = bytes[0] & 0x07U;
	} else {
		return 0;
	}
	if (length < size)
		return 0;
	for (size_t i = 1; i < size; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		rune = (rune << 6) | (bytes[i] & 0x3fU);
	}
	if (rune < least[size] || rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
		return 0;
	*ret_rune = rune;
	return size;
}

bool sg_text_is_utf8(const char *text, size_t length)
{
	while (length > 0) {
		unsigned int rune;
		size_t size = sg_text_decode(text, length, &rune);

		if (size == 0)
			return false;
		text += size;
		length -= size;
	}
	return true;
}

/* C0 and DEL, C1, zero-width and bidirectional controls, line separators, byte-order mark, tags. */
bool sg_text_acts(unsigned int rune)
{
	return rune < 0x20 || (rune >= 0x7f && rune < 0xa0) || rune == 0xad || rune == 0x61c ||
	       (rune >= 0x200b && rune <= 0x200f) || (rune >= 0x2028 && rune <= 0x202e) ||
	       (rune >= 0x2060 && rune <= 0x206f) || rune == 0xfeff || (rune >= 0xfff9 && rune <= 0xfffb) ||
	       (rune >= 0xe0000 && rune <= 0xe007f);
}

static size_t escape_one(char *out, size_t size, const char *text, size_t length, size_t *ret_taken)
{
	static const struct {
		char byte;
		const char *shown;
	} named[] = {{'\n', "\\n"}, {'\t', "\\t"}, {'\r', "\\r"}, {'\033', "\\e"}, {'\\', "\\\\"}};
	unsigned int rune;
	size_t taken = sg_text_decode(text, length, &rune);

	*ret_taken = taken == 0 ? 1 : taken;
	for (size_t i = 0; i < SG_ARRAY_SIZE(named); i++)
		if (text[0] == named[i].byte)
			return (size_t)snprintf(out, size, "%s", named[i].shown);
	if (taken == 0 || (sg_text_acts(rune) && rune < 0x80))
		return (size_t)snprintf(out, size, "\\x%02x", (unsigned int)(unsigned char)text[0]);
	if (sg_text_acts(rune))
		return (size_t)snprintf(out, size, "\\u{%x}", rune);
	return (size_t)snprintf(out, size, "%.*s", (int)taken, text);
}

size_t sg_text_escape(char *out, size_t size, const char *text, size_t length)
{
	size_t used = 0;

	if (size == 0)
		return 0;
	out[0] = '\0';
	while (length > 0) {
		char one[16];
		size_t taken;
		size_t needed = escape_one(one, sizeof(one), text, length, &taken);

		if (needed >= size - used)
			break;
		memcpy(out + used, one, needed + 1);
		used += needed;
		text += taken;
		length -= taken;
	}
	return used;
}

enum { NEAREST_MAX = 64 };

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Optimal string alignment distance of two names of at most NEAREST_MAX bytes. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t rows[3][NEAREST_MAX + 1];

	for (size_t j = 0; j <= b_length; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t *row = rows[i % 3], *previous = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;

			row[j] = smallest(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
	}
	return rows[a_length % 3][b_length];
}

const char *sg_text_nearest(const char *name, const char *const *names, size_t count)
{
	const char *best = NULL;
	size_t length = strlen(name), limit = length / 3 < 3 ? length / 3 : 3, best_distance = limit + 1;

	if (length > NEAREST_MAX)
		return NULL;
	if (length >= 2 && limit == 0)
		best_distance = 2;
	for (size_t i = 0; i < count; i++) {
		size_t other = strlen(names[i]);
		size_t far;

		if (other > NEAREST_MAX)
			continue;
		far = distance(name, length, names[i], other);
		if (far < best_distance) {
			best_distance = far;
			best = names[i];
		}
	}
	return best;
}

const char *sg_text_suggest(struct sg_buffer *out, const char *name, const char *const *names, size_t count,
			    const char *otherwise)
{
	const char *nearest = sg_text_nearest(name, names, count);

	if (nearest != NULL)
		sg_buffer_printf(out, "did you mean \"%s\"?", nearest);
	else if (otherwise != NULL)
		sg_buffer_append_text(out, otherwise);
	return out->size > 0 && sg_buffer_status(out) == 0 ? out->data : NULL;
}
