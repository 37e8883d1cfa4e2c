/* Keys of TOML, and `key = value`. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "profile/toml_internal.h"

static bool report_key(struct toml_parser *p, const char *from)
{
	char found[TOML_FOUND_MAX], hint[TOML_FOUND_MAX + 32];
	const char *end = sg_toml_found_end(p, p->at);
	unsigned int rune;
	size_t size;

	/* `:` is left to whoever expects `=`. */
	if (p->at == p->end || !toml_is(*p->at, TOML_WORD) || *p->at == '.' || (*p->at == ':' && p->at == from)) {
		sg_toml_error(p, p->at, end, NULL, "expected a key, found %s", sg_toml_found(p, p->at, found));
		return false;
	}
	if (end - from > 64) {
		snprintf(hint, sizeof(hint), "put the key in quotes");
	} else {
		snprintf(hint, sizeof(hint), "put the key in quotes: \"%.*s\"", (int)(end - from), from);
	}
	size = sg_text_decode(p->at, (size_t)(p->end - p->at), &rune);
	size = size == 0 ? 1 : size;
	sg_toml_error(p, p->at, p->at + size, hint,
		      "`%.*s` may not stand in a key without quotes, which has only letters of ASCII, "
		      "digits, _ and -",
		      (int)size, p->at);
	return false;
}

/* Reads one part of a key. */
static bool read_key(struct toml_parser *p, struct toml_key *key)
{
	const char *from = p->at;
	char *name;

	if (*from == '"' || *from == '\'') {
		if (!sg_toml_read_string(p, false, &key->name))
			return false;
		key->span = sg_toml_span(p, from, p->at);
		return true;
	}
	while (toml_is(*p->at, TOML_BARE))
		p->at++;
	if (p->at == from || (toml_is(*p->at, TOML_WORD) && *p->at != '.' && *p->at != ':'))
		return report_key(p, from);
	key->span = sg_toml_span(p, from, p->at);
	name = sg_toml_arena_take(&p->document->arena, key->span.length + 1U, 1);
	if (name == NULL)
		return sg_toml_fail(p, -ENOMEM);
	memcpy(name, from, key->span.length);
	name[key->span.length] = '\0';
	key->name = (struct sg_toml_string){name, key->span.length};
	return true;
}

bool sg_toml_read_path(struct toml_parser *p)
{
	for (p->path_count = 0;; p->at++) {
		toml_skip_space(p);
		if (p->path_count == SG_TOML_DEPTH_MAX) {
			sg_toml_error(p, p->at, p->at, NULL, "nested too deep: at most %d levels", SG_TOML_DEPTH_MAX);
			return sg_toml_fail(p, 0);
		}
		if (!read_key(p, &p->path[p->path_count]))
			return false;
		p->path_count++;
		toml_skip_space(p);
		if (*p->at != '.')
			return true;
	}
}

/* Words that are values, where a header is told from an array. */
static bool is_value_word(const char *from, const char *to)
{
	static const char *const words[] = {"true", "false", "inf", "nan"};

	for (size_t i = 0; i < SG_ARRAY_SIZE(words); i++)
		if (strlen(words[i]) == (size_t)(to - from) && memcmp(words[i], from, (size_t)(to - from)) == 0)
			return true;
	return false;
}

static const char *skip_space(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

/* Behind the key at `at` and the space that follows it, or NULL if no key stands there. */
static const char *skip_key(struct toml_parser *p, const char *at)
{
	const char *from = at;

	if (*at == '"' || *at == '\'') {
		at = sg_toml_quoted_end(p, at);
		if (at == from + 1)
			return NULL;
	} else {
		while (toml_is(*at, TOML_BARE))
			at++;
	}
	return at == from ? NULL : skip_space(at);
}

bool sg_toml_statement_ahead(struct toml_parser *p, const char *at)
{
	int brackets = 0;
	const char *first, *first_end;

	for (; *at == '[' && brackets < 2; at++)
		brackets++;
	at = skip_space(at);
	first = at;
	first_end = at;
	while (toml_is(*first_end, TOML_BARE))
		first_end++;
	if (brackets > 0 &&
	    (first == first_end || toml_is(*first, TOML_DIGIT) || *first == '-' || is_value_word(first, first_end)))
		return false;
	for (;; at++) {
		at = skip_key(p, skip_space(at));
		if (at == NULL)
			return false;
		if (*at != '.')
			break;
	}
	if (brackets == 0)
		return *at == '=';
	for (; brackets > 0; brackets--)
		if (*at++ != ']')
			return false;
	at = skip_space(at);
	return at == p->end || *at == '#' || toml_at_newline(at);
}

/* Goes on to the `=` of a pair whose key is broken. */
static bool find_equals(struct toml_parser *p)
{
	const char *at = p->at;

	while (at < p->end && *at != '=') {
		if (*at == '"' || *at == '\'')
			at = sg_toml_quoted_end(p, at);
		else if (strchr("\n#,[]{}", *at) != NULL) /* NUL too */
			return false;
		else
			at++;
	}
	if (at == p->end)
		return false;
	p->at = at;
	return true;
}

/*
 * Something else than `=` stands behind the key. Reports it, and goes to where the value begins. Returns
 * false if there is none; *ret_known is true if the key is what was meant.
 */
static bool report_equals(struct toml_parser *p, bool *ret_known)
{
	const struct toml_key *last = &p->path[p->path_count - 1];
	const char *from = p->text + p->path[0].span.offset, *to = p->text + last->span.offset + last->span.length;
	const char *found_end = sg_toml_found_end(p, p->at), *hint = NULL;
	char found[TOML_FOUND_MAX], key[TOML_FOUND_MAX];

	if (*p->at == ':')
		hint = "TOML writes key = value";
	else if (toml_is(*p->at, TOML_WORD))
		hint = "a key with spaces in it stands in quotes";
	if (to - from > 40)
		snprintf(key, sizeof(key), "the key");
	else
		snprintf(key, sizeof(key), "the key `%.*s`", (int)(to - from), from);
	sg_toml_error(p, p->at, *p->at == ':' ? p->at + 1 : found_end, hint, "expected `=` after %s, found %s", key,
		      sg_toml_found(p, p->at, found));
	*ret_known = *p->at == ':' || *p->at == '[' || *p->at == '{';
	if (*ret_known) {
		p->at += *p->at == ':';
		return true;
	}
	if (!find_equals(p))
		return false;
	p->at++;
	return true;
}

/* The line ends behind `=`. Reports it. Returns true if the value stands on the next line. */
static bool find_value(struct toml_parser *p)
{
	char found[TOML_FOUND_MAX];
	const char *next = sg_toml_peek_lines(p, p->at);

	sg_toml_error(p, p->at, p->at, NULL, "expected a value after `=`, found %s", sg_toml_found(p, p->at, found));
	if (next == p->end || p->open_arrays > 0 || p->open_tables > 0 ||
	    (strchr("\"'[{+-", *next) == NULL && !toml_is(*next, TOML_DIGIT)) || sg_toml_statement_ahead(p, next))
		return false;
	sg_toml_skip_lines(p);
	return true;
}

bool sg_toml_read_pair(struct toml_parser *p, struct toml_table *table)
{
	bool known = sg_toml_read_path(p);
	struct toml_entry *entry = NULL;
	struct sg_toml_value dropped;
	size_t depth = table->depth + 1U;

	if (!known && (p->stopped || !find_equals(p)))
		return false;
	if (*p->at == '=')
		p->at++;
	else if (!report_equals(p, &known))
		return false;
	if (known)
		entry = sg_toml_place_pair(p, table, &depth);
	if (p->stopped)
		return false;
	toml_skip_space(p);
	if ((p->at == p->end || *p->at == '#' || toml_at_newline(p->at)) && !find_value(p))
		return false;
	return sg_toml_read_value(p, depth, entry != NULL ? &entry->shown.value : &dropped);
}
