/* Values of TOML; arrays and inline tables, which nest at most SG_TOML_DEPTH_MAX levels deep. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "profile/toml_internal.h"

/* ---- words: booleans, numbers, dates, and what was meant as a value ---- */

static bool is_word(const char *from, const char *to, const char *word)
{
	size_t size = strlen(word);

	return size == (size_t)(to - from) && strncasecmp(from, word, size) == 0;
}

/* Writes what may have been meant by a word that is no value. Returns `hint`. */
static const char *suggest(const char *from, const char *to, char hint[TOML_FOUND_MAX])
{
	static const struct {
		const char *word, *hint;
	} meant[] = {
		{"true", "write true"},
		{"false", "write false"},
		{"inf", "write inf"},
		{"nan", "write nan"},
		{"infinity", "write inf"},
		{"yes", "write true, or \"yes\" for a string"},
		{"on", "write true, or \"on\" for a string"},
		{"no", "write false, or \"no\" for a string"},
		{"off", "write false, or \"off\" for a string"},
		{"null", "TOML has no null: leave the key out"},
		{"none", "TOML has no null: leave the key out"},
		{"nil", "TOML has no null: leave the key out"},
	};

	for (size_t i = 0; i < SG_ARRAY_SIZE(meant); i++)
		if (is_word(from, to, meant[i].word))
			return meant[i].hint;
	if (to - from > 40)
		return "a string stands in quotes";
	snprintf(hint, TOML_FOUND_MAX, "a string stands in quotes: \"%.*s\"", (int)(to - from), from);
	return hint;
}

static bool report_value(struct toml_parser *p, const char *from, const char *to)
{
	char found[TOML_FOUND_MAX], hint[TOML_FOUND_MAX];
	bool word = to > from;

	if (!sg_text_is_utf8(from, (size_t)(to - from))) {
		p->refused = true; /* as reported before the reading began */
		p->at = to;
		return false;
	}

	sg_toml_error(p, from, word ? to : sg_toml_found_end(p, from), word ? suggest(from, to, hint) : NULL,
		      "expected a value, found %s", sg_toml_found(p, from, found));
	p->at = to;
	return false;
}

/* True if a word that begins like a number holds what no number does: a unit, an address, a range. */
static bool meant_as_string(const char *from, const char *to)
{
	size_t points = 0, foreign = 0;

	for (const char *at = from; at < to; at++) {
		points += *at == '.';
		foreign += !toml_is(*at, TOML_DIGIT) && strchr("+-_.:eExXobTtZz ", *at) == NULL;
	}
	return points > 1 || foreign > 0;
}

static bool report_wrong(struct toml_parser *p, const char *from, const char *to, bool date, const char *wrong)
{
	char hint[TOML_FOUND_MAX];
	int size = to - from > 40 ? 40 : (int)(to - from);

	p->refused = true;
	if (!sg_text_is_utf8(from, (size_t)(to - from)))
		return false; /* reported before the reading began */
	sg_toml_error(p, from, to, meant_as_string(from, to) ? suggest(from, to, hint) : NULL, "wrong %s `%.*s%s`: %s",
		      date ? "date or time" : "number", size, from, to - from > size ? "..." : "", wrong);
	return false;
}

static const char *word_end(const char *at)
{
	while (toml_is(*at, TOML_WORD))
		at++;
	return at;
}

/* True if the word begins as dates and times do, and no number does. */
static bool is_date(const char *from, const char *to)
{
	const char *at = from;

	while (at < to && toml_is(*at, TOML_DIGIT))
		at++;
	return at > from && at < to && (*at == '-' || *at == ':');
}

static bool read_word(struct toml_parser *p, struct sg_toml_value *value)
{
	const char *from = p->at, *to = word_end(from), *wrong;
	bool date;

	if (to - from == 4 && memcmp(from, "true", 4) == 0) {
		value->type = SG_TOML_BOOLEAN;
		value->boolean = true;
	} else if (to - from == 5 && memcmp(from, "false", 5) == 0) {
		value->type = SG_TOML_BOOLEAN;
		value->boolean = false;
	} else if (!toml_is(*from, TOML_DIGIT) && *from != '+' && *from != '-' && *from != '.' &&
		   !(to - from == 3 && (memcmp(from, "inf", 3) == 0 || memcmp(from, "nan", 3) == 0))) {
		return report_value(p, from, to);
	} else {
		date = is_date(from, to);
		/* A space may stand for the T between date and time. */
		if (date && to - from == 10 && *to == ' ' && toml_is(to[1], TOML_DIGIT) && toml_is(to[2], TOML_DIGIT) &&
		    to[3] == ':')
			to = word_end(to + 1);
		p->at = to;
		wrong = date ? sg_toml_read_date(from, to, value) : sg_toml_read_number(from, to, value);
		if (wrong != NULL)
			return report_wrong(p, from, to, date, wrong);
	}
	p->at = to;
	return true;
}

void sg_toml_skip_junk(struct toml_parser *p)
{
	size_t depth = 0;

	while (p->at < p->end && !toml_at_newline(p->at)) {
		char byte = *p->at;

		if (byte == '#' || (depth == 0 && (byte == ',' || byte == ']' || byte == '}')))
			return;
		if (byte == '"' || byte == '\'') {
			p->at = sg_toml_quoted_end(p, p->at);
			continue;
		}
		if (byte == '[' || byte == '{')
			depth++;
		if (byte == ']' || byte == '}')
			depth--;
		p->at++;
	}
	/* An array that begins within the junk may go on below. */
	p->damaged |= depth > 0;
}

/* ---- brackets ---- */

enum state {
	AT_START,     /* an item or the end comes */
	AFTER_COMMA,  /* likewise */
	AFTER_ITEM,   /* a comma or the end comes */
	AFTER_BROKEN, /* anything may come: it was reported */
};

/* An array or inline table whose items are being read. */
struct bracket {
	const char *open;
	const char *item;     /* the last item that was read */
	const char *item_end; /* where it ends; behind the opening bracket if there is none */
	enum state state;
	char closing;
	bool newline_reported;
};

/* The closing bracket is missing; everything after the last item belongs to something else. */
static void report_unclosed(struct toml_parser *p, const struct bracket *bracket)
{
	if (!p->damaged)
		sg_toml_error(p, bracket->item_end, bracket->item_end, NULL,
			      "missing `%c`: the %s that begins on line %zu is not closed", bracket->closing,
			      bracket->closing == ']' ? "array" : "inline table",
			      sg_source_line(p->source, (size_t)(bracket->open - p->text)));
	p->damaged = true;
	p->refused = true;
}

/* The other kind's closing bracket stands here. Closes the bracket, and takes it if nothing else can. */
static void close_wrongly(struct toml_parser *p, const struct bracket *bracket)
{
	if (bracket->closing == ']' ? p->open_tables > 0 : p->open_arrays > 0) {
		report_unclosed(p, bracket);
		return;
	}
	sg_toml_error(p, p->at, p->at + 1, NULL, "expected `%c` to close the %s of line %zu, found `%c`",
		      bracket->closing, bracket->closing == ']' ? "array" : "inline table",
		      sg_source_line(p->source, (size_t)(bracket->open - p->text)), *p->at);
	p->at++;
}

static void report_missing_comma(struct toml_parser *p, const struct bracket *bracket, const char *next)
{
	enum { SHOWN_MAX = 40 };
	const char *item = bracket->item, *end = bracket->item_end;
	size_t line = sg_source_line(p->source, (size_t)(next - p->text));
	size_t line_before = sg_source_line(p->source, (size_t)(end - p->text));
	char where[48] = "", hint[SHOWN_MAX + 16];
	int size = end - item > SHOWN_MAX ? 0 : (int)(end - item);
	bool shown = size > 0 && memchr(item, '\n', (size_t)size) == NULL;

	if (line != line_before)
		snprintf(where, sizeof(where), " on line %zu", line);
	snprintf(hint, sizeof(hint), "write %.*s,", size, item);
	sg_toml_error(p, end, end, shown ? hint : NULL, "missing comma after %s%.*s%s: the next %s stands%s",
		      shown ? "`" : "the item that ends here", shown ? size : 0, item, shown ? "`" : "",
		      bracket->closing == ']' ? "value" : "key", line != line_before ? where : " right behind it");
}

/* Takes a comma. Returns false if none stands here. */
static bool take_comma(struct toml_parser *p, struct bracket *bracket)
{
	if (*p->at != ',')
		return false;
	if (bracket->state == AT_START || bracket->state == AFTER_COMMA)
		sg_toml_error(p, p->at, p->at + 1, NULL, "expected a %s%s, found `,`",
			      bracket->closing == ']' ? "value" : "key",
			      bracket->state == AFTER_COMMA ? " after the comma" : "");
	p->at++;
	bracket->state = AFTER_COMMA;
	return true;
}

static void report_item(struct toml_parser *p, struct bracket *bracket)
{
	char found[TOML_FOUND_MAX];

	sg_toml_error(p, p->at, sg_toml_found_end(p, p->at), NULL, "expected `,` or `%c`, found %s", bracket->closing,
		      sg_toml_found(p, p->at, found));
	sg_toml_skip_junk(p);
	bracket->state = AFTER_BROKEN;
}

static void end_item(struct toml_parser *p, struct bracket *bracket, const char *item, bool good)
{
	if (!good)
		sg_toml_skip_junk(p);
	bracket->item = item;
	bracket->item_end = p->at;
	bracket->state = good ? AFTER_ITEM : AFTER_BROKEN;
}

/* ---- arrays ---- */

static bool push(struct toml_parser *p, const struct sg_toml_value *value)
{
	if (p->stack_count == p->stack_capacity) {
		/* At most SG_TOML_VALUES_MAX are ever counted: no overflow. */
		size_t capacity = p->stack_capacity == 0 ? 64 : p->stack_capacity * 2;
		struct sg_toml_value *stack = reallocarray(p->stack, capacity, sizeof(stack[0]));

		if (stack == NULL)
			return sg_toml_fail(p, -ENOMEM);
		p->stack = stack;
		p->stack_capacity = capacity;
	}
	p->stack[p->stack_count++] = *value;
	return true;
}

/* Moves the values above `mark` from the stack to an array of the document. */
static bool make_array(struct toml_parser *p, size_t mark, struct sg_toml_value *value)
{
	size_t count = p->stack_count - mark;
	struct toml_arena *arena = &p->document->arena;
	struct toml_array *array = sg_toml_arena_take(arena, sizeof(*array), _Alignof(struct toml_array));
	struct sg_toml_value *items = sg_toml_arena_take(arena, count * sizeof(*items), _Alignof(struct sg_toml_value));

	if (array == NULL || items == NULL)
		return sg_toml_fail(p, -ENOMEM);
	if (count > 0)
		memcpy(items, p->stack + mark, count * sizeof(*items));
	p->stack_count = mark;
	*array = (struct toml_array){.shown = {items, count}, .items = items};
	value->type = SG_TOML_ARRAY;
	value->array = &array->shown;
	return true;
}

/* Whether the first thing on a line of an array is none of its values but the next statement. */
static bool is_statement(struct toml_parser *p)
{
	char byte = *p->at;

	/* A string or number before `=` is met behind it (read_item): so no value is looked at twice. */
	if (byte != '[' && (!toml_is(byte, TOML_BARE) || toml_is(byte, TOML_DIGIT) || byte == '-'))
		return false;
	return sg_toml_statement_ahead(p, p->at);
}

static void abandon(struct toml_parser *p, const struct bracket *bracket)
{
	report_unclosed(p, bracket);
	p->abandoned = true;
}

static void read_item(struct toml_parser *p, struct bracket *bracket, size_t depth, bool first_on_line)
{
	const char *from = p->at;
	struct sg_toml_value value;
	bool good;

	if (bracket->state == AFTER_ITEM && !toml_is(*from, TOML_WORD) && strchr("\"'[{", *from) == NULL) {
		report_item(p, bracket);
		return;
	}
	good = sg_toml_read_value(p, depth, &value) && sg_toml_count(p, from, p->at) && push(p, &value);
	if (p->stopped || p->abandoned)
		return;
	if (good && first_on_line && *from != '[' && *from != '{') {
		const char *end = p->at;

		toml_skip_space(p);
		if ((*p->at == '=' || *p->at == '.') && sg_toml_statement_ahead(p, from)) {
			p->at = from;
			abandon(p, bracket);
			return;
		}
		p->at = end;
	}
	if (good && bracket->state == AFTER_ITEM)
		report_missing_comma(p, bracket, from);
	if (!good && sg_toml_statement_ahead(p, from))
		p->damaged = true; /* a pair without its braces: the same may stand on lines below */
	end_item(p, bracket, from, good);
}

/* Reads one step of the array. Returns false at its end. */
static bool read_in_array(struct toml_parser *p, struct bracket *bracket, size_t depth)
{
	bool first_on_line = sg_toml_skip_lines(p);

	if (p->at == p->end || (first_on_line && is_statement(p))) {
		abandon(p, bracket);
		return false;
	}
	if (*p->at == ']') {
		p->at++;
		return false;
	}
	if (*p->at == '}') {
		close_wrongly(p, bracket);
		return false;
	}
	if (!take_comma(p, bracket))
		read_item(p, bracket, depth, first_on_line);
	return !p->stopped && !p->abandoned;
}

static bool read_array(struct toml_parser *p, size_t depth, struct sg_toml_value *value)
{
	struct bracket bracket = {.open = p->at, .item_end = p->at + 1, .closing = ']'};
	size_t mark = p->stack_count;

	p->at++;
	p->open_arrays++;
	while (read_in_array(p, &bracket, depth + 1))
		;
	p->open_arrays--;
	if (p->stopped || p->abandoned)
		return false;
	return make_array(p, mark, value);
}

/* ---- inline tables ---- */

/* True if a closing brace stands on the line from `at` on that does not belong to a brace on it. */
static bool line_closes_table(struct toml_parser *p, const char *at)
{
	size_t depth = 0;

	while (at < p->end && *at != '\n' && *at != '#') {
		if (*at == '"' || *at == '\'') {
			at = sg_toml_quoted_end(p, at);
			continue;
		}
		if (*at == '}' && depth == 0)
			return true;
		if (*at == '{')
			depth++;
		if (*at == '}')
			depth--;
		at++;
	}
	return false;
}

/*
 * A newline stands in an inline table. TOML 1.0 forbids it; it was meant all the same if the table visibly
 * goes on below. Returns false if it does not.
 */
static bool pass_newline(struct toml_parser *p, struct bracket *bracket)
{
	const char *next = sg_toml_peek_lines(p, p->at);
	bool goes_on = *next == '}' || *next == ',';

	if (bracket->state != AFTER_ITEM || bracket->newline_reported)
		goes_on |= *next != '[' && *next != ']';
	if (next == p->end || (!goes_on && (p->damaged || !line_closes_table(p, next)))) {
		report_unclosed(p, bracket);
		return false;
	}
	if (!bracket->newline_reported)
		sg_toml_error(p, p->at, p->at, "write it on one line, or as a [table] of its own",
			      "an inline table must end on the line that it begins on");
	bracket->newline_reported = true;
	sg_toml_skip_lines(p);
	return true;
}

static void read_member(struct toml_parser *p, struct bracket *bracket, struct toml_table *table)
{
	const char *from = p->at;
	bool good;

	if (bracket->state == AFTER_ITEM) {
		if (*from == '[' || !sg_toml_statement_ahead(p, from)) {
			report_item(p, bracket);
			return;
		}
		report_missing_comma(p, bracket, from);
	}
	good = sg_toml_read_pair(p, table);
	if (!p->stopped && !p->abandoned)
		end_item(p, bracket, from, good);
}

/* Reads one step of the inline table. Returns false at its end. */
static bool read_in_table(struct toml_parser *p, struct bracket *bracket, struct toml_table *table)
{
	toml_skip_space(p);
	if (*p->at == '#' || toml_at_newline(p->at))
		return pass_newline(p, bracket);
	if (p->at == p->end) {
		abandon(p, bracket);
		return false;
	}
	if (*p->at == '}') {
		/* Over several lines it was meant to be there; that was reported. */
		if (bracket->state == AFTER_COMMA && !bracket->newline_reported)
			sg_toml_error(p, p->at - 1, p->at, "leave the comma out",
				      "an inline table has no comma before its `}`");
		p->at++;
		return false;
	}
	if (*p->at == ']') {
		close_wrongly(p, bracket);
		return false;
	}
	if (!take_comma(p, bracket))
		read_member(p, bracket, table);
	return !p->stopped && !p->abandoned;
}

static bool read_table(struct toml_parser *p, size_t depth, struct sg_toml_value *value)
{
	struct bracket bracket = {.open = p->at, .item_end = p->at + 1, .closing = '}'};
	struct toml_table *table = sg_toml_table_new(p, TOML_INLINE, depth);

	if (table == NULL)
		return false;
	p->at++;
	p->open_tables++;
	while (read_in_table(p, &bracket, table))
		;
	p->open_tables--;
	if (p->stopped || p->abandoned)
		return false;
	value->type = SG_TOML_TABLE;
	value->table = &table->shown;
	return true;
}

bool sg_toml_read_value(struct toml_parser *p, size_t depth, struct sg_toml_value *value)
{
	const char *from = p->at;
	bool good;

	value->type = SG_TOML_NONE;
	if (depth > SG_TOML_DEPTH_MAX) {
		sg_toml_error(p, from, from + 1, NULL, "nested too deep: at most %d levels", SG_TOML_DEPTH_MAX);
		return sg_toml_fail(p, 0);
	}
	if (*from == '"' || *from == '\'') {
		good = sg_toml_read_string(p, true, &value->string);
		if (good)
			value->type = SG_TOML_STRING;
	} else if (*from == '[') {
		good = read_array(p, depth, value);
	} else if (*from == '{') {
		good = read_table(p, depth, value);
	} else {
		good = read_word(p, value);
	}
	value->span = sg_toml_span(p, from, p->at);
	return good;
}
