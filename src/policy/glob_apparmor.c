/*
 * A glob as the path of an AppArmor rule.
 *
 * The words of apparmor_parser 3.0 decide what has to be written differently (parser_regex.c, parser_misc.c):
 * a star fills a component only by the characters directly beside it, braces do not count; a class may match
 * '/' and NUL; '*' and '?' are special within a class too; a backslash before other characters is an escape
 * of C, which is undone before the glob is read.
 */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "policy/glob_internal.h"

enum {
	WRITTEN_MAX = 1024 * 1024,
	ALONE = SG_GLOB_AT_SLASH | SG_GLOB_PENDING | SG_GLOB_PENDING_TREE,
};

struct writer {
	const struct sg_glob *glob;
	struct sg_buffer body;
	bool quoted; /* something in it needs quotes around it */
};

static bool is_safe(unsigned char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
	       (byte != '\0' && strchr("/._-", byte) != NULL);
}

static void write_octal(struct writer *writer, unsigned char byte)
{
	sg_buffer_printf(&writer->body, "\\%03o", byte);
}

/* One literal byte below 0x80. */
static void write_ascii(struct writer *writer, unsigned char byte, const char *special)
{
	/* A backslash doubled would be right, but for a lexer that takes the last of two for the escape of a
	 * quote. */
	if (byte != 0 && !is_safe(byte))
		writer->quoted = true;
	if (byte < ' ' || byte == 0x7f || byte == '"' || byte == '\\') {
		write_octal(writer, byte);
		return;
	}
	if (strchr(special, byte) != NULL)
		sg_buffer_append_byte(&writer->body, '\\');
	sg_buffer_append_byte(&writer->body, (char)byte);
}

/*
 * The literal bytes from tokens[path[at]] on that are one UTF-8 character, or the one byte that is none. C1
 * controls and the like stay characters of the name, but are written as octal escapes. Returns their number.
 */
static size_t write_literal(struct writer *writer, const uint16_t *path, size_t at, size_t count)
{
	const struct sg_glob_token *tokens = writer->glob->tokens;
	char bytes[4] = {0}, escaped[32];
	unsigned int rune;
	size_t length = 0, size;

	while (length < sizeof(bytes) && at + length < count && tokens[path[at + length]].kind == SG_GLOB_BYTE) {
		bytes[length] = (char)tokens[path[at + length]].byte;
		length++;
	}
	if ((unsigned char)bytes[0] < 0x80) {
		write_ascii(writer, (unsigned char)bytes[0], "*?[]{}^,");
		return 1;
	}
	writer->quoted = true;
	size = sg_text_decode(bytes, length, &rune);
	if (size > 0 && sg_text_escape(escaped, sizeof(escaped), bytes, size) == size) {
		sg_buffer_append(&writer->body, bytes, size);
		return size;
	}
	size = size > 0 ? size : 1;
	for (size_t i = 0; i < size; i++)
		write_octal(writer, (unsigned char)bytes[i]);
	return size;
}

/*
 * The members as ranges of letters and digits and single characters. '-' is the first, since AppArmor takes
 * it for a range at the end too; '^' is the last, where it does not negate.
 */
static void write_members(struct writer *writer, const struct sg_glob_class *class)
{
	if (sg_glob_class_has(class, '-'))
		sg_buffer_append_byte(&writer->body, '-');
	for (unsigned int byte = 0; byte < 0x80; byte++) {
		unsigned int end = byte;

		if (!sg_glob_class_has(class, byte) || byte == '-' || byte == '^')
			continue;
		while (is_safe((unsigned char)byte) && byte >= '0' && is_safe((unsigned char)(end + 1)) &&
		       sg_glob_class_has(class, end + 1))
			end++;
		write_ascii(writer, (unsigned char)byte, "*?[]{}");
		if (end > byte + 1)
			sg_buffer_append_byte(&writer->body, '-');
		if (end > byte)
			write_ascii(writer, (unsigned char)end, "*?[]{}");
		byte = end;
	}
	if (sg_glob_class_has(class, '^'))
		write_ascii(writer, '^', "");
}

static void write_class(struct writer *writer, const struct sg_glob_class *class)
{
	struct sg_glob_class others = *class;
	const struct sg_glob_class all = sg_glob_class_all(false);

	if (memcmp(class, &all, sizeof(all)) == 0) {
		sg_buffer_append_byte(&writer->body, '?');
		return;
	}
	writer->quoted = true;
	sg_buffer_append_byte(&writer->body, '[');
	if (sg_glob_class_has(class,
			      0xff)) { /* a negated one: all of its exceptions are ASCII, '/' and NUL with them */
		for (size_t i = 0; i < SG_ARRAY_SIZE(others.bits); i++)
			others.bits[i] = ~others.bits[i];
		sg_buffer_append_byte(&writer->body, '^');
	}
	write_members(writer, &others);
	sg_buffer_append_byte(&writer->body, ']');
}

static bool is_slash(const struct sg_glob_token *token)
{
	return token->kind == SG_GLOB_BYTE && token->byte == '/';
}

static bool is_star(const struct sg_glob_token *token)
{
	return token->kind == SG_GLOB_STAR || token->kind == SG_GLOB_TREE;
}

/* True if the glob means the same to AppArmor's reader, token by token, once a '/' right behind another is
 * left out. */
static bool is_direct(const struct sg_glob *glob)
{
	for (size_t i = 0; i < glob->count; i++) {
		const struct sg_glob_token *token = &glob->tokens[i];
		bool beside_brace = (i > 0 && token[-1].kind >= SG_GLOB_OPEN) ||
				    (i + 1 < glob->count && token[1].kind >= SG_GLOB_OPEN);

		if (is_slash(token) && (token->forward & SG_GLOB_AT_SLASH) &&
		    (beside_brace || token->forward != SG_GLOB_AT_SLASH))
			return false;
		if (is_star(token) && beside_brace && (token->forward & ALONE))
			return false;
	}
	return true;
}

static void write_direct(struct writer *writer, const uint16_t *path, size_t count)
{
	static const char *const texts[] = {
		[SG_GLOB_STAR] = "*",  [SG_GLOB_TREE] = "**", [SG_GLOB_OPEN] = "{",
		[SG_GLOB_COMMA] = ",", [SG_GLOB_CLOSE] = "}",
	};

	for (size_t i = 0; i < count;) {
		const struct sg_glob_token *token = &writer->glob->tokens[path[i]];

		if (is_slash(token) && token->forward == SG_GLOB_AT_SLASH) {
			i++;
		} else if (token->kind == SG_GLOB_BYTE) {
			i += write_literal(writer, path, i, count);
		} else {
			if (token->kind == SG_GLOB_CLASS)
				write_class(writer, &writer->glob->classes[token->class]);
			else
				sg_buffer_append_text(&writer->body, texts[token->kind]);
			writer->quoted |= token->kind >= SG_GLOB_OPEN; /* a comma may end an unquoted path */
			i++;
		}
	}
}

/* One expansion, without the '/' that it begins with. Stars that fill a component say so themselves. */
static void write_expansion(struct writer *writer, const uint16_t *path, size_t count)
{
	const struct sg_glob_token *tokens = writer->glob->tokens;
	bool slash = true;

	for (size_t i = 1; i < count;) {
		const struct sg_glob_token *token = &tokens[path[i]];

		if (is_slash(token) && slash) {
			i++;
			continue;
		}
		if (is_star(token)) {
			bool tree = false;

			for (; i < count && is_star(&tokens[path[i]]); i++)
				tree |= tokens[path[i]].kind == SG_GLOB_TREE;
			if (slash && (i == count || is_slash(&tokens[path[i]])))
				sg_buffer_append_byte(&writer->body, '?');
			sg_buffer_append_text(&writer->body, tree ? "**" : "*");
		} else if (token->kind == SG_GLOB_CLASS) {
			write_class(writer, &writer->glob->classes[token->class]);
			i++;
		} else {
			i += write_literal(writer, path, i, count);
		}
		slash = is_slash(token);
	}
}

/* True if the expansion that begins at `start` of the body stands there already; `starts` are those before
 * it. */
static bool is_repeated(const struct writer *writer, const size_t *starts, size_t count, size_t start)
{
	const char *body = writer->body.data;
	size_t length = writer->body.size - start;

	for (size_t i = 0; i < count && !writer->body.failed; i++) {
		size_t end = (i + 1 < count ? starts[i + 1] : start) - 1; /* a comma stands between */

		if (end - starts[i] == length && memcmp(body + starts[i], body + start, length) == 0)
			return true;
	}
	return false;
}

/* Equal alternatives are written once, not only to be short: apparmor_parser 3.0 may hang on them. */
static int write_expanded(struct writer *writer)
{
	SG_CLEANUP(sg_glob_walk_done) struct sg_glob_walk walk = {0};
	SG_AUTO_FREE size_t *starts = calloc(SG_GLOB_NAMES_MAX, sizeof(*starts));
	size_t count = 0;
	int r = starts != NULL ? sg_glob_walk_init(&walk, writer->glob) : -ENOMEM;

	if (r < 0)
		return r;
	writer->quoted = true;
	sg_buffer_append_text(&writer->body, "/{");
	for (size_t i = 0; sg_glob_walk_next(&walk); i++) {
		size_t before = writer->body.size, start = before + (count > 0);

		if (i == SG_GLOB_NAMES_MAX || before > WRITTEN_MAX)
			return SG_GLOB_TOO_MANY;
		if (count > 0)
			sg_buffer_append_byte(&writer->body, ',');
		write_expansion(writer, walk.path, walk.count);
		if (is_repeated(writer, starts, count, start))
			writer->body.size = before;
		else
			starts[count++] = start;
	}
	if (count == 1 && !writer->body.failed) /* AppArmor wants two alternatives in braces */
		memmove(&writer->body.data[1], &writer->body.data[2], --writer->body.size - 1);
	else
		sg_buffer_append_byte(&writer->body, '}');
	return 0;
}

static int write_glob(struct writer *writer)
{
	const struct sg_glob *glob = writer->glob;

	if (!is_direct(glob))
		return write_expanded(writer);

	SG_AUTO_FREE uint16_t *path = calloc(glob->count, sizeof(*path));

	if (path == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < glob->count; i++)
		path[i] = (uint16_t)i;
	write_direct(writer, path, glob->count);
	return 0;
}

int sg_glob_to_apparmor(const struct sg_glob *glob, struct sg_buffer *buffer)
{
	struct writer writer = {.glob = glob, .body = SG_BUFFER_INIT};
	int r = write_glob(&writer);

	if (r == 0)
		r = sg_buffer_status(&writer.body);
	if (r == 0) {
		if (writer.quoted)
			sg_buffer_append_byte(buffer, '"');
		sg_buffer_append(buffer, writer.body.data, writer.body.size);
		if (writer.quoted)
			sg_buffer_append_byte(buffer, '"');
		r = sg_buffer_status(buffer);
	}
	sg_buffer_done(&writer.body);
	return r;
}
