/*
 * A second, naive reading of the glob language, for comparison only: the braces are written out one
 * alternative after another, and each expansion is matched by trying everything. It shares no code with
 * src/policy. It takes globs that sg_glob_parse() accepts; the answer is -1 where writing out would take too
 * long.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	REFERENCE_TOKENS = 96,       /* the longest expansion */
	REFERENCE_NAME = 96,         /* the longest name */
	REFERENCE_EXPANSIONS = 4096, /* the most for one glob */
};

/* One token of an expansion: a byte, a class (the text between the brackets), or a star. */
struct reference_token {
	enum {
		REFERENCE_BYTE,
		REFERENCE_SET,
		REFERENCE_STAR,
		REFERENCE_TREE,
	} kind;
	bool some; /* a star that matches at least one byte, not '/' */
	unsigned char byte;
	const char *set, *set_end;
};

struct reference {
	struct reference_token tokens[REFERENCE_TOKENS];
	size_t count;
	const char *name;
	size_t length;
	size_t expansions;
	bool overflow;
	signed char known[REFERENCE_TOKENS + 1][REFERENCE_NAME + 1];
};

static inline bool reference_in_set(const char *set, const char *end, unsigned char byte)
{
	bool negated = *set == '^', found = false;

	if (byte == '/')
		return false;
	set += negated;
	while (set < end) {
		unsigned char low, high;

		set += *set == '\\';
		low = high = (unsigned char)*set++;
		if (end - set >= 2 && *set == '-') {
			set++;
			set += *set == '\\';
			high = (unsigned char)*set++;
		}
		found |= byte >= low && byte <= high;
	}
	return found != negated;
}

static inline bool reference_try(struct reference *r, size_t t, size_t n)
{
	const struct reference_token *token = &r->tokens[t];
	bool matches = false;

	if (r->known[t][n] != 0)
		return r->known[t][n] > 0;
	if (t == r->count) {
		matches = n == r->length;
	} else if (token->kind == REFERENCE_BYTE || token->kind == REFERENCE_SET) {
		unsigned char byte = n < r->length ? (unsigned char)r->name[n] : 0;

		matches = n < r->length &&
			  (token->kind == REFERENCE_BYTE ? byte == token->byte
							 : reference_in_set(token->set, token->set_end, byte)) &&
			  reference_try(r, t + 1, n + 1);
	} else {
		for (size_t end = n; end <= r->length && !matches; end++) {
			if (end > n && r->name[end - 1] == '/' &&
			    (token->kind == REFERENCE_STAR || (token->some && end == n + 1)))
				break;
			if (end > n || !token->some)
				matches = reference_try(r, t + 1, end);
		}
	}
	r->known[t][n] = matches ? 1 : -1;
	return matches;
}

/* Matches the expansion in r->tokens. */
static inline bool reference_match_expansion(const struct reference *expansion)
{
	struct reference *r = malloc(sizeof(*r));
	size_t count = 0;
	bool matches;

	if (r == NULL)
		abort();
	r->name = expansion->name;
	r->length = expansion->length;
	for (size_t i = 0; i < expansion->count; i++) {
		struct reference_token token = expansion->tokens[i];
		bool slash =
			count > 0 && r->tokens[count - 1].kind == REFERENCE_BYTE && r->tokens[count - 1].byte == '/';
		bool star = count > 0 && r->tokens[count - 1].kind >= REFERENCE_STAR;

		if (slash && token.kind == REFERENCE_BYTE && token.byte == '/')
			continue;
		if (star && token.kind >= REFERENCE_STAR) { /* a run of stars is the widest of them */
			if (token.kind == REFERENCE_TREE)
				r->tokens[count - 1].kind = REFERENCE_TREE;
			continue;
		}
		r->tokens[count++] = token;
	}
	for (size_t i = 1; i < count; i++)
		r->tokens[i].some =
			r->tokens[i].kind >= REFERENCE_STAR && r->tokens[i - 1].kind == REFERENCE_BYTE &&
			r->tokens[i - 1].byte == '/' &&
			(i + 1 == count || (r->tokens[i + 1].kind == REFERENCE_BYTE && r->tokens[i + 1].byte == '/'));
	r->count = count;
	memset(r->known, 0, sizeof(r->known));
	matches = reference_try(r, 0, 0);
	free(r);
	return matches;
}

/* The end of the alternative that begins at `text`: its ',' or '}' at the same depth. */
static inline const char *reference_alternative_end(const char *text, const char *end)
{
	for (int depth = 0; text < end; text++) {
		if (*text == '\\') {
			text++;
		} else if (*text == '[') {
			for (text++; *text != ']'; text++)
				text += *text == '\\';
		} else if (*text == '{') {
			depth++;
		} else if (depth > 0) {
			depth -= *text == '}';
		} else if (*text == ',' || *text == '}') {
			return text;
		}
	}
	return end;
}

/* A glob's rest: what stands at `text`, then (after a brace) the rest behind the brace. */
struct reference_rest {
	const char *text, *end;
	const struct reference_rest *then;
};

static inline bool reference_expand(struct reference *r, struct reference_rest rest)
{
	size_t before = r->count;
	bool matches = false;

	while (rest.text == rest.end) {
		if (rest.then == NULL) {
			r->overflow |= ++r->expansions > REFERENCE_EXPANSIONS;
			return !r->overflow && reference_match_expansion(r);
		}
		rest = *rest.then;
	}
	if (*rest.text == '{') {
		const char *from = rest.text + 1, *to = reference_alternative_end(from, rest.end), *close = to;

		while (*close == ',')
			close = reference_alternative_end(close + 1, rest.end);
		struct reference_rest behind = {.text = close + 1, .end = rest.end, .then = rest.then};

		for (;; from = to + 1, to = reference_alternative_end(from, rest.end)) {
			matches |=
				reference_expand(r, (struct reference_rest){.text = from, .end = to, .then = &behind});
			if (to == close)
				break;
		}
		return matches;
	}
	if (r->count == REFERENCE_TOKENS) {
		r->overflow = true;
		return false;
	}
	struct reference_token *token = &r->tokens[r->count++];

	*token = (struct reference_token){.kind = REFERENCE_BYTE, .byte = (unsigned char)*rest.text++};
	if (token->byte == '\\') {
		token->byte = (unsigned char)*rest.text++;
	} else if (token->byte == '?') {
		*token = (struct reference_token){.kind = REFERENCE_SET, .set = "^/"};
		token->set_end = token->set + 2;
	} else if (token->byte == '*') {
		token->kind = rest.text < rest.end && *rest.text == '*' ? REFERENCE_TREE : REFERENCE_STAR;
		rest.text += token->kind == REFERENCE_TREE;
	} else if (token->byte == '[') {
		token->kind = REFERENCE_SET;
		token->set = rest.text;
		for (; *rest.text != ']'; rest.text++)
			rest.text += *rest.text == '\\';
		token->set_end = rest.text++;
	}
	matches = reference_expand(r, rest);
	r->count = before;
	return matches;
}

/* Whether a name is canonical once repeated slashes are one; that form goes to `out` (REFERENCE_NAME bytes).
 */
static inline bool reference_canonical(const char *name, size_t length, char *out, size_t *ret_length)
{
	size_t used = 0, start;

	for (size_t i = 0; i < length; i++)
		if (used == 0 || name[i] != '/' || out[used - 1] != '/')
			out[used++] = name[i];
	*ret_length = used;
	if (used == 0 || out[0] != '/' || memchr(out, '\0', used) != NULL)
		return false;
	for (size_t i = start = 1; i <= used; i++) {
		if (i < used && out[i] != '/')
			continue;
		if ((i - start == 1 && out[start] == '.') ||
		    (i - start == 2 && out[start] == '.' && out[start + 1] == '.'))
			return false;
		start = i + 1;
	}
	return true;
}

/* 1: matches; 0: does not; -1: too much to say. `length` is at most REFERENCE_NAME. */
static inline int reference_match(const char *glob, size_t glob_length, const char *name, size_t length)
{
	struct reference *r = calloc(1, sizeof(*r));
	char canonical[REFERENCE_NAME];
	bool matches = false;
	int result;

	if (r == NULL)
		abort();
	if (reference_canonical(name, length, canonical, &r->length)) {
		r->name = canonical;
		matches = reference_expand(r, (struct reference_rest){.text = glob, .end = glob + glob_length});
	}
	result = r->overflow ? -1 : matches;
	free(r);
	return result;
}
