/* What can be told from a glob's text about the edges of its components: see enum sg_glob_context. */
#include <errno.h>
#include <stdio.h>

#include "policy/glob_internal.h"

enum {
	ENDS_FILE = SG_GLOB_PENDING | SG_GLOB_PENDING_TREE | SG_GLOB_INSIDE,
	ENDS_DIRECTORY = SG_GLOB_AT_SLASH | SG_GLOB_PENDING_TREE | SG_GLOB_TREE_SLASH,
	ENDS = ENDS_FILE | ENDS_DIRECTORY,
	CONTEXTS = 8,
};

static unsigned int step_byte(uint8_t byte, unsigned int from)
{
	unsigned int to = 0;

	if (byte == '/') /* after "." or ".." it would be a component that no name has */
		return (from & ~(unsigned int)(SG_GLOB_DOT | SG_GLOB_DOT_DOT)) != 0 ? SG_GLOB_AT_SLASH : 0;
	if (byte != '.')
		return from != 0 ? SG_GLOB_INSIDE : 0;
	if (from & SG_GLOB_AT_SLASH)
		to |= SG_GLOB_DOT;
	if (from & SG_GLOB_DOT)
		to |= SG_GLOB_DOT_DOT;
	if (from & ~(unsigned int)(SG_GLOB_AT_SLASH | SG_GLOB_DOT))
		to |= SG_GLOB_INSIDE;
	return to;
}

static unsigned int step_star(bool tree, unsigned int from)
{
	/* Where the star matches nothing, what was there before stays. */
	unsigned int to =
		from & (SG_GLOB_PENDING_TREE | SG_GLOB_DOT | SG_GLOB_DOT_DOT | SG_GLOB_INSIDE | SG_GLOB_TREE_SLASH);

	if (from & (SG_GLOB_AT_SLASH | SG_GLOB_PENDING))
		to |= tree ? SG_GLOB_PENDING_TREE : SG_GLOB_PENDING;
	if (from & (SG_GLOB_DOT | SG_GLOB_DOT_DOT | SG_GLOB_INSIDE | SG_GLOB_TREE_SLASH))
		to |= tree ? SG_GLOB_INSIDE | SG_GLOB_TREE_SLASH : SG_GLOB_INSIDE;
	return to;
}

unsigned int sg_glob_context_step(const struct sg_glob_token *token, unsigned int from)
{
	switch (token->kind) {
	case SG_GLOB_BYTE:
		return step_byte(token->byte, from);
	case SG_GLOB_CLASS:
		return from != 0 ? SG_GLOB_INSIDE : 0;
	default:
		return step_star(token->kind == SG_GLOB_TREE, from);
	}
}

/* Returns the contexts at the end; *ret_any is the union of all. */
static unsigned int analyse_forward(struct sg_glob *glob, unsigned int *ret_any)
{
	struct {
		unsigned int before, after;
	} group[SG_GLOB_DEPTH_MAX] = {0};
	size_t depth = 0;
	unsigned int now = SG_GLOB_START, any = 0;

	for (size_t i = 0; i < glob->count; i++) {
		struct sg_glob_token *token = &glob->tokens[i];

		token->forward = (uint16_t)now;
		any |= now;
		switch (token->kind) {
		case SG_GLOB_OPEN:
			group[depth].before = now;
			group[depth++].after = 0;
			break;
		case SG_GLOB_COMMA:
			group[depth - 1].after |= now;
			now = group[depth - 1].before;
			break;
		case SG_GLOB_CLOSE:
			now |= group[--depth].after;
			break;
		default:
			now = sg_glob_context_step(token, now);
			break;
		}
	}
	*ret_any = any | now;
	return now;
}

/* The contexts before `token` from which it leads to one of `after`. */
static unsigned int step_back(const struct sg_glob_token *token, unsigned int after)
{
	unsigned int before = 0;

	for (unsigned int i = 0; i < CONTEXTS; i++)
		if (sg_glob_context_step(token, 1u << i) & after)
			before |= 1u << i;
	return before;
}

/*
 * The first token before which no context both can hold and can lead to an end (token 0 when nothing matches
 * at all), or `count` when every part of the glob matches something.
 */
static size_t find_useless(const struct sg_glob *glob)
{
	struct {
		unsigned int after, before;
	} group[SG_GLOB_DEPTH_MAX] = {0};
	size_t depth = 0, useless = glob->count;
	unsigned int now = ENDS;

	for (size_t i = glob->count; i-- > 0;) {
		const struct sg_glob_token *token = &glob->tokens[i];

		switch (token->kind) {
		case SG_GLOB_CLOSE:
			group[depth].after = now;
			group[depth++].before = 0;
			break;
		case SG_GLOB_COMMA:
			group[depth - 1].before |= now;
			now = group[depth - 1].after;
			break;
		case SG_GLOB_OPEN:
			now |= group[--depth].before;
			break;
		default:
			now = step_back(token, now);
			break;
		}
		if ((token->forward & now) == 0)
			useless = i;
	}
	return useless;
}

/* The number of tokens of a component "." or ".." that begins at token `i`, or 0. A brace may stand for its
 * end. */
static size_t dots_at(const struct sg_glob *glob, size_t i)
{
	size_t dots = 0;

	if ((glob->tokens[i].forward & SG_GLOB_AT_SLASH) == 0)
		return 0;
	while (i + dots < glob->count && glob->tokens[i + dots].kind == SG_GLOB_BYTE &&
	       glob->tokens[i + dots].byte == '.')
		dots++;
	if (dots == 0 || dots > 2)
		return 0;
	if (i + dots == glob->count || glob->tokens[i + dots].kind >= SG_GLOB_OPEN)
		return dots;
	return glob->tokens[i + dots].kind == SG_GLOB_BYTE && glob->tokens[i + dots].byte == '/' ? dots : 0;
}

static int fail_useless(const struct sg_glob *glob, size_t useless, struct sg_glob_error *error)
{
	size_t first = useless, last = useless;

	/* The dots to blame stand at or behind the place, or before it where that is an alternative's end. */
	if (glob->tokens[first].kind >= SG_GLOB_COMMA)
		while (first > 0 && dots_at(glob, first) == 0)
			first--;
	while (first < glob->count && dots_at(glob, first) == 0)
		first++;
	if (first < glob->count)
		last = first + dots_at(glob, first) - 1;
	else
		first = useless;
	error->offset = glob->tokens[first].offset;
	error->length = (size_t)(glob->tokens[last].offset + glob->tokens[last].length) - error->offset;
	(void)snprintf(error->message, sizeof(error->message),
		       "this can never match: no name has a component \".\" or \"..\"");
	(void)snprintf(error->suggestion, sizeof(error->suggestion), "name the folder that is meant");
	return -EINVAL;
}

int sg_glob_context_analyse(struct sg_glob *glob, struct sg_glob_error *error)
{
	unsigned int any, end = analyse_forward(glob, &any);

	if (any & (SG_GLOB_DOT | SG_GLOB_DOT_DOT)) { /* nothing else can make a part useless */
		size_t useless = find_useless(glob);

		if (useless < glob->count)
			return fail_useless(glob, useless, error);
	}
	glob->files = (end & ENDS_FILE) != 0;
	glob->directories = (end & ENDS_DIRECTORY) != 0;
	return 0;
}
