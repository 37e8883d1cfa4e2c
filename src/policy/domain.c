#include "policy/domain.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

enum { LABEL_MAX = 63 };

static const char *const problem_texts[SG_DOMAIN_PROBLEMS_] = {
	[SG_DOMAIN_EMPTY] = "the host name is empty",
	[SG_DOMAIN_EMPTY_LABEL] = "the host name has an empty label",
	[SG_DOMAIN_LONG_LABEL] = "a label of a host name has at most 63 bytes",
	[SG_DOMAIN_LONG] = "a host name has at most 253 bytes",
	[SG_DOMAIN_BYTE] = "a host name consists of letters, digits, hyphens and underscores",
	[SG_DOMAIN_HYPHEN] = "a label of a host name does not begin or end with a hyphen",
	[SG_DOMAIN_UNICODE] = "an international host name is written in its A-label form (xn--...)",
	[SG_DOMAIN_NUMERIC] = "a host name does not end in a number, and an address has four decimal parts",
};

const char *sg_domain_problem_text(int problem)
{
	if (problem <= 0 || problem >= SG_DOMAIN_PROBLEMS_) {
		return "the host name is not valid";
	}
	return problem_texts[problem];
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_name_byte(char c)
{
	return (fold(c) >= 'a' && fold(c) <= 'z') || is_digit(c) || c == '-' || c == '_';
}

/* inet_aton(3) takes decimal, octal and 0x forms: a last label of that shape is an address to some program.
 */
static bool is_number(const char *label, size_t length)
{
	bool hex = length >= 2 && label[0] == '0' && fold(label[1]) == 'x';

	for (size_t i = hex ? 2 : 0; i < length; i++) {
		if (!is_digit(label[i]) && !(hex && fold(label[i]) >= 'a' && fold(label[i]) <= 'f')) {
			return false;
		}
	}
	return true;
}

/* Judges one label. Returns 0 or a problem, and where in the label it lies. */
static int check_label(const char *label, size_t length, size_t *ret_offset, size_t *ret_size)
{
	for (size_t i = 0; i < length; i++) {
		if (is_name_byte(label[i])) {
			continue;
		}
		if ((unsigned char)label[i] >= 0x80) {
			*ret_offset = 0;
			*ret_size = length;
			return SG_DOMAIN_UNICODE;
		}
		*ret_offset = i;
		*ret_size = 1;
		return SG_DOMAIN_BYTE;
	}
	*ret_offset = 0;
	*ret_size = length;
	if (length == 0) {
		return SG_DOMAIN_EMPTY_LABEL;
	}
	if (length > LABEL_MAX) {
		return SG_DOMAIN_LONG_LABEL;
	}
	return label[0] == '-' || label[length - 1] == '-' ? SG_DOMAIN_HYPHEN : 0;
}

static int check_name(const char *text, size_t length, size_t *ret_offset, size_t *ret_size)
{
	size_t start = 0;

	*ret_offset = 0;
	*ret_size = length;
	if (length == 0) {
		return SG_DOMAIN_EMPTY;
	}
	for (;;) {
		const char *dot = memchr(text + start, '.', length - start);
		size_t end = dot ? (size_t)(dot - text) : length;
		int problem = check_label(text + start, end - start, ret_offset, ret_size);

		*ret_offset += start;
		if (problem != 0) {
			return problem;
		}
		if (!dot) {
			break;
		}
		start = end + 1;
	}
	if (is_number(text + start, length - start)) {
		return SG_DOMAIN_NUMERIC;
	}
	*ret_offset = 0;
	*ret_size = length;
	return length > SG_DOMAIN_MAX ? SG_DOMAIN_LONG : 0;
}

int sg_domain_parse(const char *text, size_t length, struct sg_domain *ret, size_t *ret_offset, size_t *ret_size)
{
	size_t kept = length > 0 && text[length - 1] == '.' ? length - 1 : length;
	size_t offset, size;
	int problem = check_name(text, kept, &offset, &size);

	if (problem != 0) {
		if (ret_offset) {
			*ret_offset = offset;
		}
		if (ret_size) {
			*ret_size = size;
		}
		return problem;
	}
	memset(ret, 0, sizeof(*ret));
	ret->length = (uint8_t)kept;
	for (size_t i = 0; i < kept; i++) {
		ret->text[i] = fold(text[i]);
	}
	return 0;
}

bool sg_domain_is_below(const struct sg_domain *name, const struct sg_domain *parent)
{
	size_t rest;

	if (name->length <= (size_t)parent->length + 1) {
		return false;
	}
	rest = (size_t)name->length - parent->length;
	return name->text[rest - 1] == '.' && memcmp(name->text + rest, parent->text, parent->length) == 0;
}

/* Characters that are PVALID (RFC 5892), stay the same under case folding and NFC, and join freely. */
static bool is_plain_rune(unsigned int rune)
{
	static const struct {
		unsigned int low, high;
	} ranges[] = {
		{0xe0, 0xf6},     {0xf8, 0xff},     {0x3b1, 0x3c1},   {0x3c3, 0x3c9},   {0x430, 0x45f},
		{0x3041, 0x3096}, {0x30a1, 0x30fa}, {0x30fc, 0x30fc}, {0x4e00, 0x9fff}, {0xac00, 0xd7a3},
	};

	for (size_t i = 0; i < SG_ARRAY_SIZE(ranges); i++) {
		if (rune >= ranges[i].low && rune <= ranges[i].high) {
			return true;
		}
	}
	return false;
}

/* RFC 3492, 6.1. */
static unsigned int adapt_bias(unsigned int delta, unsigned int points, bool first)
{
	unsigned int k = 0;

	delta = first ? delta / 700 : delta / 2;
	delta += delta / points;
	for (; delta > 455; k += 36) {
		delta /= 35;
	}
	return k + 36 * delta / (delta + 38);
}

/* Writes one generalised variable-length integer (RFC 3492, 3.3). Returns the bytes written. */
static size_t encode_delta(unsigned int delta, unsigned int bias, char *out)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	size_t size = 0;

	for (unsigned int k = 36;; k += 36) {
		unsigned int t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;

		if (delta < t) {
			out[size++] = digits[delta];
			return size;
		}
		out[size++] = digits[t + (delta - t) % (36 - t)];
		delta = (delta - t) / (36 - t);
	}
}

/* RFC 3492, 6.3, for at most LABEL_MAX characters: no sum can overflow. `out` has room for 16 bytes a
 * character. */
static size_t encode_label(const unsigned int *runes, size_t count, char *out)
{
	unsigned int next = 0x80, delta = 0, bias = 72;
	size_t size = 0, basic, done;

	for (size_t i = 0; i < count; i++) {
		if (runes[i] < 0x80) {
			out[size++] = (char)runes[i];
		}
	}
	basic = done = size;
	if (basic > 0) {
		out[size++] = '-';
	}
	for (; done < count; delta++, next++) {
		unsigned int lowest = 0x110000;

		for (size_t i = 0; i < count; i++) {
			lowest = runes[i] >= next && runes[i] < lowest ? runes[i] : lowest;
		}
		delta += (lowest - next) * (unsigned int)(done + 1);
		next = lowest;
		for (size_t i = 0; i < count; i++) {
			delta += runes[i] < next;
			if (runes[i] == next) {
				size += encode_delta(delta, bias, out + size);
				bias = adapt_bias(delta, (unsigned int)done + 1, done == basic);
				delta = 0;
				done++;
			}
		}
	}
	return size;
}

/* Converts one label. Returns its size in `out` (at least 16 * LABEL_MAX + 8 bytes), or 0 when it cannot
 * tell. */
static size_t convert_label(const char *label, size_t length, char *out)
{
	unsigned int runes[LABEL_MAX];
	size_t count = 0, offset = 0;
	bool ascii = true;

	while (offset < length) {
		size_t step = sg_text_decode(label + offset, length - offset, &runes[count]);

		if (step == 0 || count + 1 == LABEL_MAX) {
			return 0;
		}
		if (runes[count] < 0x80) {
			runes[count] = (unsigned char)fold((char)runes[count]);
		} else if (!is_plain_rune(runes[count])) {
			return 0;
		} else {
			ascii = false;
		}
		count++;
		offset += step;
	}
	if (ascii) {
		for (size_t i = 0; i < count; i++) {
			out[i] = (char)runes[i];
		}
		return count;
	}
	static const char prefix[] = "xn--";

	memcpy(out, prefix, sizeof(prefix) - 1);
	return sizeof(prefix) - 1 + encode_label(runes, count, out + sizeof(prefix) - 1);
}

int sg_domain_to_ascii(const char *text, size_t length, char *out, size_t size)
{
	char name[SG_DOMAIN_MAX + 1], label[16 * LABEL_MAX + 8];
	struct sg_domain domain;
	size_t used = 0, start = 0;

	while (start <= length) {
		const char *dot = start < length ? memchr(text + start, '.', length - start) : NULL;
		size_t end = dot ? (size_t)(dot - text) : length;
		size_t written = convert_label(text + start, end - start, label);

		if (written == 0 || used + written + 1 > sizeof(name)) {
			return -EINVAL;
		}
		memcpy(name + used, label, written);
		used += written;
		if (!dot) {
			break;
		}
		name[used++] = '.';
		start = end + 1;
	}
	if (sg_domain_parse(name, used, &domain, NULL, NULL) != 0 || domain.length >= size) {
		return -EINVAL;
	}
	memcpy(out, domain.text, (size_t)domain.length + 1);
	return 0;
}
