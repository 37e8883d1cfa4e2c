/* Numbers of TOML: exact, and the same under every locale. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/toml_internal.h"

int sg_toml_digit(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	if (byte >= 'A' && byte <= 'F')
		return byte - 'A' + 10;
	return 16;
}

static const char misplaced_underscore[] = "an underscore stands only between two digits";

/* NULL if [from, to) is digits of the base with single underscores between them. */
static const char *check_digits(const char *from, const char *to, int base)
{
	bool digit_before = false;

	if (from == to)
		return "a digit is missing";
	for (const char *at = from; at < to; at++) {
		if (*at == '_') {
			if (!digit_before || at + 1 == to || sg_toml_digit(at[1]) >= base)
				return misplaced_underscore;
			digit_before = false;
		} else if (sg_toml_digit(*at) < base) {
			digit_before = true;
		} else {
			return base == 2    ? "after 0b stand the digits 0 and 1"
			       : base == 8  ? "after 0o stand digits from 0 to 7"
			       : base == 16 ? "after 0x stand the digits 0 to 9 and letters a to f"
					    : "it has more than digits";
		}
	}
	return NULL;
}

/* Checked digits to an integer. */
static const char *read_integer(const char *from, const char *to, int base, bool negative, struct sg_toml_value *value)
{
	int64_t result = 0;

	for (const char *at = from; at < to; at++) {
		int digit = sg_toml_digit(*at);

		if (*at == '_')
			continue;
		/* Counted below zero, since that side reaches one further. */
		if (__builtin_mul_overflow(result, base, &result) || __builtin_sub_overflow(result, digit, &result))
			goto too_large;
	}
	if (!negative && __builtin_sub_overflow(0, result, &result))
		goto too_large;
	value->type = SG_TOML_INTEGER;
	value->integer = result;
	return NULL;
too_large:
	return "an integer has 64 bits, from -9223372036854775808 to 9223372036854775807";
}

/*
 * The parts of a decimal float: its significant digits, without leading zeros, and a power of ten. A double
 * is decided by at most 767 of them: of the digits behind DIGITS_MAX only whether any is not zero can matter,
 * and a last digit 1 stands for them.
 */
enum { DIGITS_MAX = 800 };

struct decimal {
	char digits[DIGITS_MAX + 1];
	size_t count;
	bool more; /* a digit that is not zero was left out */
	int64_t exponent;
};

static void add_digits(struct decimal *decimal, const char *from, const char *to, bool fraction)
{
	for (const char *at = from; at < to; at++) {
		if (*at == '_')
			continue;
		if (fraction)
			decimal->exponent--;
		if (decimal->count == 0 && *at == '0')
			continue;
		if (decimal->count < DIGITS_MAX) {
			decimal->digits[decimal->count++] = *at;
		} else {
			decimal->exponent++;
			decimal->more |= *at != '0';
		}
	}
}

static void add_exponent(struct decimal *decimal, const char *from, const char *to)
{
	enum { FAR = 100000000 }; /* more than any text has digits to make up for */
	bool negative = *from == '-';
	int64_t exponent = 0;

	for (const char *at = from; at < to; at++)
		if (toml_is(*at, TOML_DIGIT) && exponent < FAR)
			exponent = exponent * 10 + (*at - '0');
	decimal->exponent += negative ? -exponent : exponent;
}

static double convert(struct decimal *decimal)
{
	static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
					1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	char text[DIGITS_MAX + 32];
	locale_t locale;
	double result;

	if (decimal->count == 0)
		return 0;
	/* Both operands are exact, so that the one operation rounds once (Clinger 1990). */
	if (decimal->count <= 15 && decimal->exponent >= -22 && decimal->exponent <= 22) {
		int64_t digits = 0;

		for (size_t i = 0; i < decimal->count; i++)
			digits = digits * 10 + (decimal->digits[i] - '0');
		return decimal->exponent < 0 ? (double)digits / powers[-decimal->exponent]
					     : (double)digits * powers[decimal->exponent];
	}
	if (decimal->more) {
		decimal->digits[decimal->count++] = '1';
		decimal->exponent--;
	}
	snprintf(text, sizeof(text), "%.*se%lld", (int)decimal->count, decimal->digits, (long long)decimal->exponent);
	/* Rounds rightly, as no short code does. glibc's "C" locale is static: nothing is allocated, it
	 * cannot fail. */
	locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	result = strtod_l(text, NULL, locale);
	freelocale(locale);
	return result;
}

/* [from, to) is without its sign; `point` and `mark` are where those stand, or `to`. */
static const char *read_float(const char *from, const char *point, const char *mark, const char *to, bool negative,
			      struct sg_toml_value *value)
{
	const char *whole_end = point < mark ? point : mark;
	const char *wrong = check_digits(from, whole_end, 10);
	struct decimal decimal;

	decimal.count = 0;
	decimal.more = false;
	decimal.exponent = 0;
	if (from == whole_end)
		return "a digit is missing before the point";
	if (wrong != NULL)
		return wrong;
	add_digits(&decimal, from, whole_end, false);
	if (point < mark) {
		if (point + 1 == mark)
			return "a digit is missing after the point";
		wrong = check_digits(point + 1, mark, 10);
		if (wrong != NULL)
			return wrong;
		add_digits(&decimal, point + 1, mark, true);
	}
	if (mark < to) {
		const char *digits = mark + 1;

		if (digits < to && (*digits == '+' || *digits == '-'))
			digits++;
		if (digits == to)
			return "a digit is missing in the exponent";
		wrong = check_digits(digits, to, 10);
		if (wrong != NULL)
			return wrong;
		add_exponent(&decimal, mark + 1, to);
	}
	value->number = convert(&decimal);
	if (isinf(value->number))
		return "it is too large for a 64-bit float";
	if (negative)
		value->number = -value->number;
	value->type = SG_TOML_FLOAT;
	return NULL;
}

static const char *read_special(const char *from, bool negative, struct sg_toml_value *value)
{
	double special = *from == 'i' ? (double)INFINITY : (double)NAN;

	value->type = SG_TOML_FLOAT;
	value->number = negative ? -special : special;
	return NULL;
}

static const char *find_byte(const char *from, const char *to, char lower)
{
	while (from < to && (*from | 0x20) != lower)
		from++;
	return from;
}

const char *sg_toml_read_number(const char *from, const char *to, struct sg_toml_value *value)
{
	static const struct {
		char letter;
		int base;
	} bases[] = {{'x', 16}, {'o', 8}, {'b', 2}};
	bool negative = *from == '-', has_sign = negative || *from == '+';
	const char *point, *mark, *wrong;

	if (has_sign)
		from++;
	if (to - from == 3 && (memcmp(from, "inf", 3) == 0 || memcmp(from, "nan", 3) == 0))
		return read_special(from, negative, value);
	for (size_t i = 0; to - from >= 2 && *from == '0' && i < SG_ARRAY_SIZE(bases); i++) {
		if (from[1] != bases[i].letter)
			continue;
		if (has_sign)
			return "a number in base 16, 8 or 2 has no sign";
		wrong = check_digits(from + 2, to, bases[i].base);
		return wrong != NULL ? wrong : read_integer(from + 2, to, bases[i].base, false, value);
	}
	if (to - from >= 2 && *from == '0' && (toml_is(from[1], TOML_DIGIT) || from[1] == '_'))
		return "it begins with a 0 (base 8 is written 0o)";
	mark = find_byte(from, to, 'e');
	point = memchr(from, '.', (size_t)(mark - from));
	if (point == NULL)
		point = mark;
	if (point < to)
		return read_float(from, point, mark, to, negative, value);
	wrong = check_digits(from, to, 10);
	return wrong != NULL ? wrong : read_integer(from, to, 10, negative, value);
}
