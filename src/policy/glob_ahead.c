/*
 * Where in a glob a name may have led, and what the glob means of names that go on from there. By its tokens: no automaton is built.
 *
 * The sets of places are too large rather than too small: a star that fills a component is taken to match nothing here, too. Of what
 * follows that makes no difference, since it begins with a '/' of the name, and two in a row are no name's.
 */
#include <errno.h>
#include <string.h>

#include "policy/glob_internal.h"

enum { PLACES_MAX = 256 };

struct places {
	const struct sg_glob *glob;
	uint16_t at[PLACES_MAX]; /* indices of tokens; the glob's count is its end */
	size_t count;
	bool overflow;
};

static void add_place(struct places *places, size_t at)
{
	for (size_t i = 0; i < places->count; i++)
		if (places->at[i] == at)
			return;
	if (places->count == PLACES_MAX)
		places->overflow = true;
	else
		places->at[places->count++] = (uint16_t)at;
}

/* What is reached from a place without a byte of the name: over stars, or, `slash`, over another '/' after one. */
static void pass(struct places *places, size_t at, bool slash)
{
	const struct sg_glob_token *tokens = places->glob->tokens;

	switch (tokens[at].kind) {
	case SG_GLOB_STAR:
	case SG_GLOB_TREE:
		if (!slash)
			add_place(places, at + 1);
		break;
	case SG_GLOB_BYTE:
		if (slash && tokens[at].byte == '/')
			add_place(places, at + 1);
		break;
	case SG_GLOB_CLOSE:
		add_place(places, at + 1);
		break;
	case SG_GLOB_COMMA: /* an alternative ends */
		add_place(places, tokens[at].close + 1u);
		break;
	case SG_GLOB_OPEN:
		for (size_t from = at; tokens[from].kind != SG_GLOB_CLOSE; from = tokens[from].next)
			add_place(places, from + 1);
		break;
	default:
		break;
	}
}

/* The list grows while it is walked. */
static void close_over(struct places *places, bool slash)
{
	for (size_t i = 0; i < places->count && !places->overflow; i++)
		if (places->at[i] < places->glob->count)
			pass(places, places->at[i], slash);
}

static void begin(struct places *places, const struct sg_glob *glob)
{
	places->glob = glob;
	places->count = 0;
	places->overflow = false;
}

/* The places after one more byte. Those right behind a '/' of the glob come first: there another one of it is the same. */
static void step(const struct places *places, unsigned char byte, struct places *next)
{
	const struct sg_glob *glob = places->glob;

	begin(next, glob);
	for (size_t i = 0; i < places->count; i++) {
		const size_t at = places->at[i];
		const struct sg_glob_token *token = &glob->tokens[at];

		if (at < glob->count &&
		    ((token->kind == SG_GLOB_BYTE && token->byte == byte) ||
		     (token->kind == SG_GLOB_CLASS && sg_glob_class_has(&glob->classes[token->class], byte))))
			add_place(next, at + 1);
	}
	if (byte == '/')
		close_over(next, true);
	for (size_t i = 0; i < places->count; i++) {
		const size_t at = places->at[i];

		if (at < glob->count &&
		    (glob->tokens[at].kind == SG_GLOB_TREE || (glob->tokens[at].kind == SG_GLOB_STAR && byte != '/')))
			add_place(next, at);
	}
	close_over(next, false);
}

/* The places after `text`. */
static void reach(const struct sg_glob *glob, const char *text, size_t length, struct places *ret)
{
	struct places other, *now = ret, *next = &other, *last;

	begin(now, glob);
	add_place(now, 0);
	close_over(now, false);
	for (size_t i = 0; i < length && now->count > 0 && !now->overflow; i++) {
		step(now, (unsigned char)text[i], next);
		last = now;
		now = next;
		next = last;
	}
	if (now != ret)
		*ret = *now;
}

/* Whether the glob may end at a place. */
static bool may_end(const struct sg_glob *glob, size_t at)
{
	struct places places;

	begin(&places, glob);
	add_place(&places, at);
	close_over(&places, false);
	for (size_t i = 0; i < places.count; i++)
		if (places.at[i] == glob->count)
			return true;
	return places.overflow;
}

bool sg_glob_may_begin(const struct sg_glob *glob, const char *text, size_t length)
{
	struct places places;

	reach(glob, text, length, &places);
	return places.count > 0 || places.overflow;
}

/* Appends the text of the glob from a token on. `last`: the kind of what stands before; stars of two alternatives stay one. */
static void append_rest(const struct sg_glob *glob, size_t at, unsigned int last, struct sg_buffer *out)
{
	while (at < glob->count) {
		const struct sg_glob_token *token = &glob->tokens[at];
		const size_t end = token->kind == SG_GLOB_OPEN ? token->close : at;
		const size_t length = (size_t)glob->tokens[end].offset + glob->tokens[end].length - token->offset;

		if (token->kind == SG_GLOB_COMMA) {
			at = token->close + 1u;
			continue;
		}
		at = end + 1;
		if (token->kind == SG_GLOB_CLOSE || (token->kind == SG_GLOB_STAR && last == SG_GLOB_TREE) ||
		    (token->kind == last && (last == SG_GLOB_STAR || last == SG_GLOB_TREE)))
			continue;
		if (token->kind == SG_GLOB_TREE && last == SG_GLOB_STAR)
			sg_buffer_append_byte(out, '*');
		else
			sg_buffer_append(out, glob->text + token->offset, length);
		last = token->kind;
	}
}

static int give(const struct sg_glob *glob, const char *to, const char *between, size_t at, unsigned int last,
		int (*add)(void *data, struct sg_glob *moved), void *data)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	struct sg_glob *moved = NULL;
	int status;

	sg_buffer_printf(&text, "%s%s", to, between);
	append_rest(glob, at, last, &text);
	if (sg_buffer_status(&text) < 0)
		return -ENOMEM;
	status = sg_glob_parse(text.data, text.size, NULL, &moved);
	/* EINVAL: an alternative that no name can match any more ("/." and nothing behind it): what is left is not sorted out */
	if (status == -EINVAL)
		return SG_GLOB_TOO_MANY;
	return status < 0 ? status : add(data, moved);
}

int sg_glob_move(const struct sg_glob *glob, const char *from, const char *to,
		 int (*add)(void *data, struct sg_glob *moved), void *data)
{
	/* What "/" with two stars and the rest of the glob match below `from` they match below `to`. */
	const size_t same = glob->count > 1 && glob->tokens[1].kind == SG_GLOB_TREE ? 2 : 0;
	struct places places;
	int status = 0;

	reach(glob, from, strlen(from), &places);
	if (places.overflow)
		return SG_GLOB_TOO_MANY;
	for (size_t i = 0; i < places.count && status == 0; i++) {
		const size_t at = places.at[i];
		const struct sg_glob_token *token = &glob->tokens[at];

		if (at == glob->count || (same > 0 && at <= same))
			continue;
		if (token->kind == SG_GLOB_BYTE && token->byte == '/')
			status = give(glob, to, "", at, SG_GLOB_BYTE, add, data);
		if (token->kind == SG_GLOB_TREE) {
			status = give(glob, to, "/**", at + 1, SG_GLOB_TREE, add, data);
			/* Two stars that fill a component match no folder itself, as they did here. */
			if (status == 0 && may_end(glob, at + 1))
				status = give(glob, to, "/", glob->count, SG_GLOB_BYTE, add, data);
		}
	}
	return status;
}
