/* Dates and times of TOML: RFC 3339, with or without the offset, the date or the time. */
#include <string.h>

#include "profile/toml_internal.h"

struct cursor {
	const char *at;
	const char *to;
};

/* Reads exactly `count` digits. */
static bool read_digits(struct cursor *cursor, int count, unsigned int *ret_number)
{
	unsigned int number = 0;

	for (int i = 0; i < count; i++) {
		if (cursor->at == cursor->to || !toml_is(*cursor->at, TOML_DIGIT))
			return false;
		number = number * 10 + (unsigned int)(*cursor->at++ - '0');
	}
	*ret_number = number;
	return true;
}

static bool read_byte(struct cursor *cursor, char byte)
{
	if (cursor->at == cursor->to || *cursor->at != byte)
		return false;
	cursor->at++;
	return true;
}

static unsigned int days_of(unsigned int year, unsigned int month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1U : 0U);
}

static const char *read_date(struct cursor *cursor, struct sg_toml_datetime *datetime)
{
	unsigned int year, month, day;

	if (!read_digits(cursor, 4, &year) || !read_byte(cursor, '-') || !read_digits(cursor, 2, &month) ||
	    !read_byte(cursor, '-') || !read_digits(cursor, 2, &day))
		return "a date is written like 2024-05-09, with every zero";
	if (month < 1 || month > 12)
		return "the month is one of 01 to 12";
	if (day < 1 || day > days_of(year, month))
		return "the month does not have that day";
	datetime->year = (uint16_t)year;
	datetime->month = (uint8_t)month;
	datetime->day = (uint8_t)day;
	return NULL;
}

static const char *read_time(struct cursor *cursor, struct sg_toml_datetime *datetime)
{
	unsigned int hour, minute, second;

	if (!read_digits(cursor, 2, &hour) || !read_byte(cursor, ':') || !read_digits(cursor, 2, &minute) ||
	    !read_byte(cursor, ':') || !read_digits(cursor, 2, &second))
		return "a time is written like 07:32:00, with the seconds and every zero";
	/* 60 is a leap second (RFC 3339, 5.6). */
	if (hour > 23 || minute > 59 || second > 60)
		return "the time is past 23:59:60";
	if (read_byte(cursor, '.')) {
		uint32_t unit = 1000000000;

		if (cursor->at == cursor->to || !toml_is(*cursor->at, TOML_DIGIT))
			return "a digit is missing after the point of the seconds";
		for (; cursor->at < cursor->to && toml_is(*cursor->at, TOML_DIGIT); cursor->at++) {
			unit /= 10;
			datetime->nanosecond += unit * (uint32_t)(*cursor->at - '0');
		}
	}
	datetime->hour = (uint8_t)hour;
	datetime->minute = (uint8_t)minute;
	datetime->second = (uint8_t)second;
	return NULL;
}

static const char *read_offset(struct cursor *cursor, struct sg_toml_datetime *datetime)
{
	unsigned int hour, minute;
	bool west = *cursor->at == '-';

	if (read_byte(cursor, 'Z') || read_byte(cursor, 'z'))
		return NULL;
	if ((!read_byte(cursor, '+') && !read_byte(cursor, '-')) || !read_digits(cursor, 2, &hour) ||
	    !read_byte(cursor, ':') || !read_digits(cursor, 2, &minute))
		return "an offset is written Z or like +02:00";
	if (hour > 23 || minute > 59)
		return "the offset is past 23:59";
	datetime->offset = (int16_t)(hour * 60 + minute);
	if (west)
		datetime->offset = (int16_t)-datetime->offset;
	return NULL;
}

static const char *finish(const struct cursor *cursor, enum sg_toml_type type, const struct sg_toml_datetime *datetime,
			  struct sg_toml_value *value)
{
	if (cursor->at != cursor->to)
		return "more stands behind it";
	value->type = type;
	value->datetime = *datetime;
	return NULL;
}

const char *sg_toml_read_date(const char *from, const char *to, struct sg_toml_value *value)
{
	struct sg_toml_datetime datetime = {0};
	struct cursor cursor = {from, to};
	const char *wrong;

	if (to - from > 2 && from[2] == ':') {
		wrong = read_time(&cursor, &datetime);
		return wrong != NULL ? wrong : finish(&cursor, SG_TOML_LOCAL_TIME, &datetime, value);
	}
	wrong = read_date(&cursor, &datetime);
	if (wrong != NULL)
		return wrong;
	if (!read_byte(&cursor, 'T') && !read_byte(&cursor, 't') && !read_byte(&cursor, ' '))
		return finish(&cursor, SG_TOML_LOCAL_DATE, &datetime, value);
	wrong = read_time(&cursor, &datetime);
	if (wrong != NULL)
		return wrong;
	if (cursor.at == cursor.to)
		return finish(&cursor, SG_TOML_LOCAL_DATETIME, &datetime, value);
	wrong = read_offset(&cursor, &datetime);
	return wrong != NULL ? wrong : finish(&cursor, SG_TOML_DATETIME, &datetime, value);
}
