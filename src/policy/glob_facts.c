/* What the planner asks about one glob. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/glob_match.h"

const char *sg_glob_text(const struct sg_glob *glob, size_t *ret_length)
{
	*ret_length = glob->length;
	return glob->text;
}

const char *sg_glob_prefix(const struct sg_glob *glob, size_t *ret_length)
{
	*ret_length = glob->prefix_length;
	return glob->prefix;
}

bool sg_glob_is_literal(const struct sg_glob *glob)
{
	return glob->literal;
}

bool sg_glob_is_tree(const struct sg_glob *glob)
{
	return glob->tree;
}

bool sg_glob_may_match_directory(const struct sg_glob *glob)
{
	return glob->directories;
}

bool sg_glob_may_match_file(const struct sg_glob *glob)
{
	return glob->files;
}

/* A byte of the class; a dot only where it holds nothing else, since it may make a component "." or "..". */
static char byte_of_class(const struct sg_glob_class *class)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char found = '.';

	for (size_t i = 0; i + 1 < sizeof(first); i++)
		if (sg_glob_class_has(class, (unsigned char)first[i]))
			return first[i];
	for (unsigned int byte = 1; byte < 256; byte++)
		if (byte != '.' && sg_glob_class_has(class, byte))
			found = (char)byte;
	return found;
}

bool sg_glob_example(const struct sg_glob *glob, struct sg_buffer *out)
{
	const size_t before = out->size;

	for (size_t i = 0; i < glob->count; i++) {
		const struct sg_glob_token *token = &glob->tokens[i];

		if (token->kind == SG_GLOB_BYTE)
			sg_buffer_append_byte(out, (char)token->byte);
		else if (token->kind == SG_GLOB_CLASS)
			sg_buffer_append_byte(out, byte_of_class(&glob->classes[token->class]));
		else if (token->kind == SG_GLOB_STAR || token->kind == SG_GLOB_TREE)
			sg_buffer_append_byte(out, 'x');
		else if (token->kind == SG_GLOB_COMMA) /* the end of the first alternative */
			i = token->close;
	}
	if (sg_buffer_status(out) < 0)
		return false;
	if (sg_name_is_canonical(out->data + before, out->size - before))
		return true;
	out->size = before;
	out->data[before] = '\0';
	return false;
}

int sg_glob_walk_init(struct sg_glob_walk *walk, const struct sg_glob *glob)
{
	*walk = (struct sg_glob_walk){.glob = glob};
	walk->path = calloc(glob->count, sizeof(*walk->path));
	walk->choices = calloc(glob->count, sizeof(*walk->choices));
	if (walk->path != NULL && walk->choices != NULL)
		return 0;
	sg_glob_walk_done(walk);
	return -ENOMEM;
}

void sg_glob_walk_done(struct sg_glob_walk *walk)
{
	free(walk->path);
	free(walk->choices);
	walk->path = NULL;
	walk->choices = NULL;
}

/* Moves on to the next combination of alternatives, the last brace first. */
static bool choose_next(struct sg_glob_walk *walk)
{
	const struct sg_glob_token *tokens = walk->glob->tokens;

	while (walk->choice_count > 0) {
		uint16_t *choice = &walk->choices[walk->choice_count - 1];

		if (tokens[tokens[*choice].next].kind == SG_GLOB_COMMA) {
			*choice = tokens[*choice].next;
			return true;
		}
		walk->choice_count--;
	}
	return false;
}

bool sg_glob_walk_next(struct sg_glob_walk *walk)
{
	const struct sg_glob_token *tokens = walk->glob->tokens;
	size_t met = 0;

	if (walk->started && !choose_next(walk))
		return false;
	walk->started = true;
	walk->stopped = false;
	walk->count = 0;
	for (size_t i = 0; i < walk->glob->count && !walk->stopped;) {
		switch (tokens[i].kind) {
		case SG_GLOB_OPEN:
			if (met == walk->choice_count)
				walk->choices[walk->choice_count++] = (uint16_t)i;
			i = walk->choices[met++] + 1u;
			break;
		case SG_GLOB_COMMA: /* the chosen alternative ends here */
			i = tokens[i].close + 1u;
			break;
		case SG_GLOB_CLOSE:
			i++;
			break;
		default:
			walk->stopped = walk->to_wildcard && tokens[i].kind != SG_GLOB_BYTE;
			if (!walk->stopped)
				walk->path[walk->count++] = (uint16_t)i++;
			break;
		}
	}
	return true;
}

void sg_glob_names_done(struct sg_glob_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->names[i]);
	free(names->names);
	*names = (struct sg_glob_names){0};
}

/* Adds a copy of `name` unless it is there already. */
enum { EXPANSION_MAX = 256 * 1024 }; /* bytes of all names of one glob */

/* In how many ways the alternatives can be chosen: exactly up to SG_GLOB_NAMES_MAX, any larger number beyond. */
static size_t count_ways(const struct sg_glob *glob)
{
	struct {
		size_t before, sum;
	} group[SG_GLOB_DEPTH_MAX];
	size_t depth = 0, ways = 1;

	for (size_t i = 0; i < glob->count; i++) {
		if (glob->tokens[i].kind == SG_GLOB_OPEN) {
			group[depth].before = ways;
			group[depth++].sum = 0;
			ways = 1;
		} else if (glob->tokens[i].kind == SG_GLOB_COMMA) {
			group[depth - 1].sum += ways;
			ways = 1;
		} else if (glob->tokens[i].kind == SG_GLOB_CLOSE) {
			depth--;
			ways = group[depth].before * (group[depth].sum + ways);
		}
		ways = ways > SG_GLOB_NAMES_MAX ? SG_GLOB_NAMES_MAX + 1 : ways;
	}
	return ways;
}

/* Returns 0, SG_GLOB_TOO_MANY when all names together are too long, or -ENOMEM. */
static int names_add(struct sg_glob_names *names, const char *name)
{
	char **grown, *copy;
	size_t total = strlen(name);

	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->names[i], name) == 0)
			return 0;
		total += strlen(names->names[i]);
	}
	if (names->count > 0 && total > EXPANSION_MAX)
		return SG_GLOB_TOO_MANY;
	grown = reallocarray(names->names, names->count + 1, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	names->names = grown;
	copy = strdup(name);
	if (copy == NULL)
		return -ENOMEM;
	names->names[names->count++] = copy;
	return 0;
}

/* The literal bytes of the walk's expansion, repeated slashes as one, into `out` of glob->count + 1 bytes. */
static size_t spell(const struct sg_glob_walk *walk, char *out)
{
	size_t length = 0;

	for (size_t i = 0; i < walk->count; i++) {
		char byte = (char)walk->glob->tokens[walk->path[i]].byte;

		if (byte != '/' || length == 0 || out[length - 1] != '/')
			out[length++] = byte;
	}
	out[length] = '\0';
	return length;
}

static bool has_wildcard(const struct sg_glob *glob)
{
	for (size_t i = 0; i < glob->count; i++)
		if (glob->tokens[i].kind >= SG_GLOB_CLASS && glob->tokens[i].kind <= SG_GLOB_TREE)
			return true;
	return false;
}

int sg_glob_expand(const struct sg_glob *glob, size_t limit, struct sg_glob_names *ret_names)
{
	SG_AUTO_GLOB_NAMES struct sg_glob_names names = {0};
	SG_AUTO_FREE char *name = malloc(glob->count + 1);
	SG_CLEANUP(sg_glob_walk_done) struct sg_glob_walk walk = {0};
	int r;

	if (has_wildcard(glob))
		return SG_GLOB_NOT_LITERAL;
	if (count_ways(glob) > limit)
		return SG_GLOB_TOO_MANY;
	r = name != NULL ? sg_glob_walk_init(&walk, glob) : -ENOMEM;
	if (r < 0)
		return r;
	for (size_t i = 0; sg_glob_walk_next(&walk); i++) {
		if (i == limit || i == SG_GLOB_NAMES_MAX)
			return SG_GLOB_TOO_MANY;
		(void)spell(&walk, name);
		r = names_add(&names, name);
		if (r != 0)
			return r;
	}
	*ret_names = names;
	names = (struct sg_glob_names){0};
	return 0;
}

/* Cuts a literal prefix after its last '/'; there is always one. */
static void cut_to_folder(char *name)
{
	strrchr(name, '/')[1] = '\0';
}

static int collect_folders(struct sg_glob_walk *walk, size_t limit, char *name, struct sg_glob_names *names)
{
	for (size_t i = 0; sg_glob_walk_next(walk); i++) {
		int r;

		if (i == limit || i == SG_GLOB_NAMES_MAX)
			return SG_GLOB_TOO_MANY;
		if (!walk->stopped)
			continue;
		(void)spell(walk, name);
		cut_to_folder(name);
		if (strstr(name, "/./") != NULL || strstr(name, "/../") != NULL) /* no name lies there */
			continue;
		r = names_add(names, name);
		if (r != 0)
			return r;
	}
	return 0;
}

int sg_glob_folders(const struct sg_glob *glob, size_t limit, struct sg_glob_names *ret_names)
{
	SG_AUTO_GLOB_NAMES struct sg_glob_names names = {0};
	SG_AUTO_FREE char *name = malloc(glob->count + 1);
	SG_CLEANUP(sg_glob_walk_done) struct sg_glob_walk walk = {0};
	int r, outcome;

	r = name != NULL ? sg_glob_walk_init(&walk, glob) : -ENOMEM;
	if (r < 0)
		return r;
	walk.to_wildcard = true;
	if (has_wildcard(glob))
		outcome = collect_folders(&walk, limit, name, &names);
	else /* no folder: the ways need only be counted */
		outcome = count_ways(glob) > limit ? SG_GLOB_TOO_MANY : 0;
	if (outcome == SG_GLOB_TOO_MANY) {
		sg_glob_names_done(&names);
		memcpy(name, glob->prefix, glob->prefix_length + 1);
		cut_to_folder(name);
		r = names_add(&names, name);
	}
	if (outcome < 0 || r < 0)
		return outcome < 0 ? outcome : r;
	*ret_names = names;
	names = (struct sg_glob_names){0};
	return outcome;
}
