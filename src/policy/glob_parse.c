/* Text to tokens. One pass, no recursion: braces keep a stack of a fixed depth. */
#include "policy/glob_parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

int sg_glob_parse_fail(struct sg_glob_parser *parser, size_t offset, size_t length, const char *message,
		       const char *suggestion, ...)
{
	struct sg_glob_error *error = parser->error;
	va_list arguments;

	error->offset = offset;
	error->length = length;
	(void)snprintf(error->message, sizeof(error->message), "%s", message);
	va_start(arguments, suggestion);
	(void)vsnprintf(error->suggestion, sizeof(error->suggestion), suggestion, arguments);
	va_end(arguments);
	return -EINVAL;
}

struct sg_glob_token *sg_glob_parse_token(struct sg_glob_parser *parser, enum sg_glob_token_kind kind, size_t offset)
{
	struct sg_glob_token *token = &parser->glob->tokens[parser->glob->count++];

	*token = (struct sg_glob_token){
		.kind = (uint8_t)kind,
		.offset = (uint16_t)offset,
		.length = (uint16_t)(parser->position - offset),
	};
	return token;
}

static bool is_quotable(unsigned char byte)
{
	return (byte >= ' ' && byte <= '/') || (byte >= ':' && byte <= '@') || (byte >= '[' && byte <= '`') ||
	       (byte >= '{' && byte <= '~');
}

int sg_glob_parse_escape(struct sg_glob_parser *parser, unsigned char *ret_byte)
{
	const struct sg_glob *glob = parser->glob;
	size_t start = parser->position;
	unsigned char byte;

	if (start + 1 >= glob->length)
		return sg_glob_parse_fail(parser, start, 1, "the glob ends in a single backslash",
					  "write \"\\\\\" for a backslash");
	byte = (unsigned char)glob->text[start + 1];
	if (!is_quotable(byte))
		return sg_glob_parse_fail(parser, start, 2, "a backslash stands before punctuation or a space only",
					  "leave it out, or write \"\\\\\" for a backslash");
	parser->position += 2;
	*ret_byte = byte;
	return 0;
}

static int parse_open(struct sg_glob_parser *parser)
{
	struct sg_glob *glob = parser->glob;
	size_t start = parser->position;

	if (parser->depth == SG_GLOB_DEPTH_MAX)
		return sg_glob_parse_fail(parser, start, 1, "more than " SG_STRINGIFY(16) " braces within braces",
					  "write some alternatives as globs of their own");
	_Static_assert(SG_GLOB_DEPTH_MAX == 16, "the message names it");
	if (glob->count > 0) {
		const struct sg_glob_token *before = &glob->tokens[glob->count - 1];

		if (before->kind == SG_GLOB_BYTE && before->length == 1 && before->byte == '$')
			return sg_glob_parse_fail(parser, start - 1, 2, "unknown variable",
						  "the variables are ${CWD}, ${HOME}, ${USER}, ${UID}, ${RUNTIME}, "
						  "${CONFIG} and ${STATE}; "
						  "a \"$\" before a brace is written \"\\$\"");
		if (before->kind == SG_GLOB_BYTE && before->length == 1 && before->byte == '@')
			return sg_glob_parse_fail(parser, start - 1, 2, "AppArmor's variables do not exist here",
						  "write the folders out; an \"@\" before a brace is written \"\\@\"");
	}
	parser->position++;
	parser->open[parser->depth] = (uint16_t)glob->count;
	parser->last[parser->depth] = (uint16_t)glob->count;
	parser->empty[parser->depth++] = false;
	(void)sg_glob_parse_token(parser, SG_GLOB_OPEN, start);
	return 0;
}

/* The alternative under way ends before the token that comes next. */
static int end_alternative(struct sg_glob_parser *parser)
{
	struct sg_glob *glob = parser->glob;
	size_t level = parser->depth - 1;
	bool only = parser->last[level] == parser->open[level] && glob->text[parser->position] == '}';

	glob->tokens[parser->last[level]].next = (uint16_t)glob->count;
	if (glob->count != parser->last[level] + 1u || only)
		return 0;
	if (parser->empty[level])
		return sg_glob_parse_fail(parser, parser->position, 1, "a second empty alternative",
					  "one is enough, as in \"{,a,b}\"; a comma itself is written \"\\,\"");
	parser->empty[level] = true;
	return 0;
}

static int parse_comma(struct sg_glob_parser *parser)
{
	size_t start = parser->position;
	int r = end_alternative(parser);

	if (r < 0)
		return r;
	parser->position++;
	parser->last[parser->depth - 1] = (uint16_t)parser->glob->count;
	(void)sg_glob_parse_token(parser, SG_GLOB_COMMA, start);
	return 0;
}

static int parse_close(struct sg_glob_parser *parser)
{
	struct sg_glob *glob = parser->glob;
	size_t start = parser->position, level = parser->depth - 1, open;
	struct sg_glob_token *close;
	int r;

	if (parser->depth == 0)
		return sg_glob_parse_fail(parser, start, 1, "\"}\" without a \"{\" before it",
					  "write \"\\}\" for the character itself");
	r = end_alternative(parser);
	if (r < 0)
		return r;
	open = glob->tokens[parser->open[level]].offset;
	if (parser->last[level] == parser->open[level])
		return sg_glob_parse_fail(parser, open, start - open + 1, "braces with fewer than two alternatives",
					  "leave the braces out, or write \"\\{%.*s\\}\" for the characters themselves",
					  (int)(start - open - 1 > 64 ? 0 : start - open - 1), glob->text + open + 1);
	parser->position++;
	for (size_t i = parser->open[level]; glob->tokens[i].kind != SG_GLOB_CLOSE && i < glob->count;
	     i = glob->tokens[i].next)
		glob->tokens[i].close = (uint16_t)glob->count;
	close = sg_glob_parse_token(parser, SG_GLOB_CLOSE, start);
	close->close = parser->open[level];
	parser->depth--;
	return 0;
}

static int parse_stars(struct sg_glob_parser *parser)
{
	const struct sg_glob *glob = parser->glob;
	size_t start = parser->position, end = start;

	while (end < glob->length && glob->text[end] == '*')
		end++;
	if (end - start > 2)
		return sg_glob_parse_fail(parser, start, end - start, "more than two stars in a row",
					  "\"**\" matches everything that they could");
	parser->position = end;
	(void)sg_glob_parse_token(parser, end - start == 2 ? SG_GLOB_TREE : SG_GLOB_STAR, start);
	return 0;
}

static int parse_any(struct sg_glob_parser *parser)
{
	struct sg_glob *glob = parser->glob;
	size_t start = parser->position++;
	struct sg_glob_class *grown;

	grown = reallocarray(glob->classes, glob->class_count + 1, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	glob->classes = grown;
	glob->classes[glob->class_count] = sg_glob_class_all(false);
	sg_glob_parse_token(parser, SG_GLOB_CLASS, start)->class = (uint16_t)glob->class_count++;
	return 0;
}

static int parse_byte(struct sg_glob_parser *parser)
{
	struct sg_glob *glob = parser->glob;
	size_t start = parser->position;
	unsigned char byte = (unsigned char)glob->text[start];
	int r;

	if (byte == '\0')
		return sg_glob_parse_fail(parser, start, 1, "no name has a NUL byte in it, so this can never match",
					  "%s", "");
	if (byte == ']')
		return sg_glob_parse_fail(parser, start, 1, "\"]\" without a \"[\" before it",
					  "write \"\\]\" for the character itself");
	if (byte == '\\') {
		r = sg_glob_parse_escape(parser, &byte);
		if (r < 0)
			return r;
	} else {
		parser->position++;
	}
	sg_glob_parse_token(parser, SG_GLOB_BYTE, start)->byte = byte;
	return 0;
}

static int parse_tokens(struct sg_glob_parser *parser)
{
	const struct sg_glob *glob = parser->glob;
	int r = 0;

	while (r == 0 && parser->position < glob->length) {
		switch (glob->text[parser->position]) {
		case '{':
			r = parse_open(parser);
			break;
		case '}':
			r = parse_close(parser);
			break;
		case ',':
			r = parser->depth > 0 ? parse_comma(parser) : parse_byte(parser);
			break;
		case '*':
			r = parse_stars(parser);
			break;
		case '?':
			r = parse_any(parser);
			break;
		case '[':
			r = sg_glob_parse_class(parser);
			break;
		default:
			r = parse_byte(parser);
			break;
		}
	}
	if (r == 0 && parser->depth > 0)
		return sg_glob_parse_fail(parser, glob->tokens[parser->open[parser->depth - 1]].offset, 1,
					  "\"{\" is never closed",
					  "close it, or write \"\\{\" for the character itself");
	return r;
}

static int check_start(struct sg_glob_parser *parser)
{
	const struct sg_glob *glob = parser->glob;

	if (glob->length == 0)
		return sg_glob_parse_fail(parser, 0, 0, "an empty glob", "a glob begins with \"/\"");
	if (glob->length > SG_GLOB_LENGTH_MAX)
		return sg_glob_parse_fail(parser, SG_GLOB_LENGTH_MAX, glob->length - SG_GLOB_LENGTH_MAX,
					  "a glob of more than 8192 bytes", "write it as several globs");
	_Static_assert(SG_GLOB_LENGTH_MAX == 8192, "the message names it");
	if (glob->text[0] == '{' && glob->length > 1 && glob->text[1] == '/')
		return sg_glob_parse_fail(parser, 0, 1, "a glob begins with \"/\", not with a brace",
					  "write the \"/\" before the brace, as in \"/{a,b}/**\"");
	if (glob->text[0] != '/')
		return sg_glob_parse_fail(parser, 0, glob->length, "a relative glob",
					  "a glob begins with \"/\", \"~/\" or a variable such as \"${CWD}/\"");
	return 0;
}

static int set_prefix(struct sg_glob *glob)
{
	size_t i;

	glob->prefix = malloc(glob->count + 1);
	if (glob->prefix == NULL)
		return -ENOMEM;
	for (i = 0; i < glob->count && glob->tokens[i].kind == SG_GLOB_BYTE; i++) {
		char byte = (char)glob->tokens[i].byte;

		if (byte != '/' || glob->prefix_length == 0 || glob->prefix[glob->prefix_length - 1] != '/')
			glob->prefix[glob->prefix_length++] = byte;
	}
	glob->prefix[glob->prefix_length] = '\0';
	glob->literal = i == glob->count;
	glob->tree = i + 1 == glob->count && glob->tokens[i].kind == SG_GLOB_TREE && glob->tokens[i - 1].byte == '/';
	return 0;
}

int sg_glob_parse(const char *text, size_t length, struct sg_glob_error *error, struct sg_glob **ret_glob)
{
	SG_AUTO_GLOB struct sg_glob *glob = calloc(1, sizeof(*glob));
	struct sg_glob_error dropped = {0};
	struct sg_glob_parser parser = {.glob = glob, .error = error != NULL ? error : &dropped};
	int r;

	if (glob == NULL)
		return -ENOMEM;
	glob->length = length;
	glob->text = malloc(length + 1);
	if (glob->text == NULL)
		return -ENOMEM;
	if (length > 0)
		memcpy(glob->text, text, length);
	glob->text[length] = '\0';
	r = check_start(&parser);
	if (r < 0)
		return r;
	/* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): check_start refuses an empty text */
	glob->tokens = calloc(length, sizeof(*glob->tokens));
	if (glob->tokens == NULL)
		return -ENOMEM;
	r = parse_tokens(&parser);
	if (r == 0)
		r = sg_glob_context_analyse(glob, parser.error);
	if (r == 0)
		r = set_prefix(glob);
	if (r < 0)
		return r;
	*ret_glob = sg_take_pointer(glob);
	return 0;
}

void sg_glob_free(struct sg_glob *glob)
{
	if (glob == NULL)
		return;
	free(glob->text);
	free(glob->prefix);
	free(glob->tokens);
	free(glob->classes);
	free(glob);
}

void sg_glob_quote(struct sg_buffer *buffer, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] != '\0' && strchr("\\*?[]{},$@", text[i]) != NULL)
			sg_buffer_append_byte(buffer, '\\');
		sg_buffer_append_byte(buffer, text[i]);
	}
}
