/*
 * Values in their layout. A value is read into a small tree, which says where its lines were broken and which comments stand in it, and
 * written from that. Recursion is as deep as the value, which the reader of TOML has limited to SG_TOML_DEPTH_MAX.
 */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "profile/format_internal.h"

enum node_kind { NODE_ATOM, NODE_ARRAY, NODE_TABLE };

/* An element of a list or table, or the value itself. */
struct node {
	enum node_kind kind;
	struct sg_buffer key;  /* in a table */
	struct sg_buffer text; /* of an atom */
	struct node *first, *last, *next;
	struct sg_buffer
		above; /* comments on lines of their own before it; each ends in a line feed, an empty line is one too */
	struct sg_buffer comment; /* at the end of its line */
	struct sg_buffer open;    /* of a list: the comment behind its opening bracket */
	struct sg_buffer below;   /* of a list: comments on lines of their own behind its last element */
	bool breaks;              /* stood on another line than what was before it */
	bool several;             /* of a list: stands on several lines */
};

static void free_node(struct node *node)
{
	while (node->first != NULL) {
		struct node *child = node->first;

		node->first = child->next;
		free_node(child);
		free(child);
	}
	sg_buffer_done(&node->key);
	sg_buffer_done(&node->text);
	sg_buffer_done(&node->above);
	sg_buffer_done(&node->comment);
	sg_buffer_done(&node->open);
	sg_buffer_done(&node->below);
}

static struct node *add_child(struct format_reader *reader, struct node *parent)
{
	struct node *child = calloc(1, sizeof(*child));

	if (child == NULL) {
		reader->failed = true;
		return NULL;
	}
	if (parent->first == NULL)
		parent->first = child;
	else
		parent->last->next = child;
	parent->last = child;
	return child;
}

/* --- the reader's hands --- */

bool sg_format_take(struct format_reader *reader, char byte)
{
	if (reader->at == reader->end || *reader->at != byte)
		return false;
	reader->at++;
	return true;
}

void sg_format_skip_blanks(struct format_reader *reader)
{
	while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t'))
		reader->at++;
}

bool sg_format_take_newline(struct format_reader *reader)
{
	if (reader->end - reader->at >= 2 && reader->at[0] == '\r' && reader->at[1] == '\n')
		reader->at++;
	return sg_format_take(reader, '\n');
}

void sg_format_take_comment(struct format_reader *reader, struct sg_buffer *out)
{
	const char *begin = reader->at, *end;

	while (reader->at < reader->end && *reader->at != '\n')
		reader->at++;
	end = reader->at;
	while (end > begin && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	if (end < reader->at && reader->at > begin && reader->at[-1] == '\r')
		reader->at--;
	sg_buffer_append(out, begin, (size_t)(end - begin));
}

/* A text with its quotes, of one kind or the other, of one line or several. */
static void take_string(struct format_reader *reader, struct sg_buffer *out)
{
	const char *begin = reader->at;
	const char quote = *begin;
	const bool several = reader->end - begin >= 3 && begin[1] == quote && begin[2] == quote;
	size_t quotes = 0;

	reader->at += several ? 3 : 1;
	for (; reader->at < reader->end; reader->at++) {
		if (quote == '"' && *reader->at == '\\' && reader->end - reader->at > 1) {
			reader->at++;
			quotes = 0;
			continue;
		}
		quotes = *reader->at == quote ? quotes + 1 : 0;
		if (quotes < (several ? 3U : 1U))
			continue;
		/* Up to two quotes more belong to the text. */
		reader->at++;
		for (int more = 0; several && more < 2 && sg_format_take(reader, quote); more++)
			;
		sg_buffer_append(out, begin, (size_t)(reader->at - begin));
		return;
	}
	reader->failed = true;
}

static bool is_quote(char byte)
{
	return byte == '"' || byte == '\'';
}

void sg_format_take_key(struct format_reader *reader, struct sg_buffer *out)
{
	do {
		sg_format_skip_blanks(reader);
		if (out->size > 0 && out->data[out->size - 1] != '[')
			sg_buffer_append_byte(out, '.');
		if (reader->at < reader->end && is_quote(*reader->at)) {
			take_string(reader, out);
		} else {
			const char *begin = reader->at;

			while (reader->at < reader->end && strchr(" \t.=]\r\n", *reader->at) == NULL)
				reader->at++;
			reader->failed |= reader->at == begin;
			sg_buffer_append(out, begin, (size_t)(reader->at - begin));
		}
		sg_format_skip_blanks(reader);
	} while (!reader->failed && sg_format_take(reader, '.'));
}

/* Numbers, dates and the like: up to what can follow a value. A date may have one blank in it. */
static void take_word(struct format_reader *reader, struct sg_buffer *out)
{
	const char *begin = reader->at, *end;

	while (reader->at < reader->end && strchr(",]}#\r\n", *reader->at) == NULL)
		reader->at++;
	end = reader->at;
	while (end > begin && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	reader->failed |= end == begin;
	reader->at = end;
	sg_buffer_append(out, begin, (size_t)(end - begin));
}

/* --- reading --- */

static void read_node(struct format_reader *reader, struct node *node);

/* What stands between elements: blanks, line ends, comments. */
struct between {
	struct sg_buffer above, comment;
	bool breaks;
};

/* The last line of them is an empty one. */
static bool ends_empty(const struct sg_buffer *above)
{
	const size_t size = above->size;

	return size > 0 && above->data[size - 1] == '\n' && (size == 1 || above->data[size - 2] == '\n');
}

/* A comment on the line of what is before it is that one's; others have lines of their own. */
static void read_between(struct format_reader *reader, struct between *between)
{
	for (;;) {
		sg_format_skip_blanks(reader);
		if (reader->at < reader->end && *reader->at == '#') {
			struct sg_buffer *out =
				between->breaks || between->comment.size > 0 ? &between->above : &between->comment;

			sg_format_take_comment(reader, out);
			if (out == &between->above)
				sg_buffer_append_byte(out, '\n');
			(void)sg_format_take_newline(reader);
			between->breaks = true;
		} else if (sg_format_take_newline(reader)) {
			/* The second line end in a row is an empty line; of several one is kept. */
			if (between->breaks && !ends_empty(&between->above))
				sg_buffer_append_byte(&between->above, '\n');
			between->breaks = true;
		} else {
			return;
		}
	}
}

static void move_text(struct sg_buffer *to, struct sg_buffer *from)
{
	sg_buffer_append(to, from->data != NULL ? from->data : "", from->size);
	to->failed |= from->failed;
	sg_buffer_done(from);
}

/* A comment that belongs to what was read last: an element, or the list's opening bracket. */
static void give_comment(struct node *list, struct sg_buffer *comment)
{
	struct sg_buffer *owner = list->last != NULL ? &list->last->comment : &list->open;

	if (comment->size > 0 && owner->size > 0) {
		/* One comment before the comma and one behind it: the second has a line of its own. */
		sg_buffer_append_byte(comment, '\n');
		move_text(&list->below, comment);
	} else {
		move_text(owner, comment);
	}
}

/* An element of a list up to the comma behind it. Returns false at the list's end. */
static bool read_element(struct format_reader *reader, struct node *list, struct between *carried)
{
	struct between *between = carried;
	struct node *child;

	read_between(reader, between);
	give_comment(list, &between->comment);
	list->several |= between->breaks;
	if (sg_format_take(reader, ']')) {
		move_text(&list->below, &between->above);
		return false;
	}
	child = add_child(reader, list);
	if (child == NULL)
		return false;
	move_text(&child->above, &list->below);
	move_text(&child->above, &between->above);
	child->breaks = between->breaks;
	*between = (struct between){0};
	read_node(reader, child);
	/* What stands before the comma stays in front of what follows. */
	read_between(reader, between);
	give_comment(list, &between->comment);
	list->several |= between->breaks;
	(void)sg_format_take(reader, ',');
	return !reader->failed;
}

static void read_array(struct format_reader *reader, struct node *node)
{
	struct between carried = {0};

	node->kind = NODE_ARRAY;
	reader->at++;
	while (read_element(reader, node, &carried) && reader->at < reader->end)
		;
	sg_buffer_done(&carried.above);
	sg_buffer_done(&carried.comment);
	reader->failed |= reader->at > reader->end || reader->at[-1] != ']';
}

static void read_table(struct format_reader *reader, struct node *node)
{
	node->kind = NODE_TABLE;
	reader->at++;
	sg_format_skip_blanks(reader);
	while (!reader->failed && !sg_format_take(reader, '}')) {
		struct node *child = add_child(reader, node);

		if (child == NULL)
			return;
		sg_format_take_key(reader, &child->key);
		reader->failed |= !sg_format_take(reader, '=');
		sg_format_skip_blanks(reader);
		if (reader->failed)
			return;
		read_node(reader, child);
		sg_format_skip_blanks(reader);
		if (!sg_format_take(reader, ','))
			reader->failed |= reader->at == reader->end || *reader->at != '}';
		sg_format_skip_blanks(reader);
	}
}

static void read_node(struct format_reader *reader, struct node *node)
{
	if (reader->failed || reader->at == reader->end)
		reader->failed = true;
	else if (*reader->at == '[')
		read_array(reader, node);
	else if (*reader->at == '{')
		read_table(reader, node);
	else if (is_quote(*reader->at))
		take_string(reader, &node->text);
	else
		take_word(reader, &node->text);
}

/* --- writing --- */

struct format_line *sg_format_add_line(struct format_lines *lines)
{
	if (lines->count == lines->capacity) {
		const size_t capacity = lines->capacity == 0 ? 64 : lines->capacity * 2;
		struct format_line *grown = reallocarray(lines->items, capacity, sizeof(*grown));

		if (grown == NULL) {
			lines->failed = true;
			return NULL;
		}
		lines->items = grown;
		lines->capacity = capacity;
	}
	lines->items[lines->count] = (struct format_line){SG_BUFFER_INIT, SG_BUFFER_INIT};
	return &lines->items[lines->count++];
}

void sg_format_lines_done(struct format_lines *lines)
{
	for (size_t i = 0; i < lines->count; i++) {
		sg_buffer_done(&lines->items[i].code);
		sg_buffer_done(&lines->items[i].comment);
	}
	free(lines->items);
	*lines = (struct format_lines){0};
}

size_t sg_format_columns(const char *text, size_t size)
{
	size_t columns = 0;

	for (size_t i = size; i > 0 && text[i - 1] != '\n'; i--)
		columns += ((unsigned char)text[i - 1] & 0xc0) != 0x80;
	return columns;
}

static void append(struct format_lines *lines, const char *text, size_t size)
{
	if (lines->count > 0)
		sg_buffer_append(&lines->items[lines->count - 1].code, text, size);
}

static void append_buffer(struct format_lines *lines, const struct sg_buffer *text)
{
	if (text->size > 0)
		append(lines, text->data, text->size);
}

static void begin_line(struct format_lines *lines, size_t indent)
{
	if (sg_format_add_line(lines) == NULL)
		return;
	for (size_t i = 0; i < indent; i++)
		append(lines, " ", 1);
}

static void end_line(struct format_lines *lines, const struct sg_buffer *comment)
{
	if (comment->size > 0 && lines->count > 0)
		sg_buffer_append(&lines->items[lines->count - 1].comment, comment->data, comment->size);
}

/* Comments on lines of their own. `first`: an empty line at the beginning goes; `last`: at the end. */
static void write_above(struct format_lines *lines, const struct sg_buffer *above, size_t indent, bool first, bool last)
{
	for (size_t i = 0; i < above->size;) {
		const char *line = above->data + i;
		const size_t length = strcspn(line, "\n");

		if (length > 0) {
			begin_line(lines, indent);
			append(lines, line, length);
		} else if (!(first && i == 0) && !(last && i + 1 == above->size)) {
			(void)sg_format_add_line(lines);
		}
		i += length + 1;
	}
}

static void write_node(struct format_lines *lines, const struct node *node, size_t indent);

/* The list on one line, or its elements as they come, broken where a line is full: not within another value. */
static void write_flat(struct format_lines *lines, const struct node *node, size_t indent)
{
	append(lines, "[", 1);
	for (const struct node *child = node->first; child != NULL; child = child->next) {
		write_node(lines, child, indent);
		if (child->next != NULL)
			append(lines, ", ", 2);
	}
	append(lines, "]", 1);
}

static void write_several(struct format_lines *lines, const struct node *node, size_t indent)
{
	append(lines, "[", 1);
	end_line(lines, &node->open);
	for (const struct node *child = node->first; child != NULL; child = child->next) {
		write_above(lines, &child->above, indent + SG_FORMAT_INDENT, child == node->first, false);
		if (child == node->first || child->breaks)
			begin_line(lines, indent + SG_FORMAT_INDENT);
		else
			append(lines, " ", 1);
		write_node(lines, child, indent + SG_FORMAT_INDENT);
		append(lines, ",", 1);
		end_line(lines, &child->comment);
	}
	write_above(lines, &node->below, indent + SG_FORMAT_INDENT, node->first == NULL, true);
	begin_line(lines, indent);
	append(lines, "]", 1);
}

static void write_table(struct format_lines *lines, const struct node *node, size_t indent)
{
	append(lines, node->first == NULL ? "{" : "{ ", node->first == NULL ? 1 : 2);
	for (const struct node *child = node->first; child != NULL; child = child->next) {
		append_buffer(lines, &child->key);
		append(lines, " = ", 3);
		write_node(lines, child, indent);
		append(lines, child->next != NULL ? ", " : " ", child->next != NULL ? 2 : 1);
	}
	append(lines, "}", 1);
}

static void write_node(struct format_lines *lines, const struct node *node, size_t indent)
{
	if (lines->failed)
		return;
	if (node->kind == NODE_ATOM)
		append_buffer(lines, &node->text);
	else if (node->kind == NODE_TABLE)
		write_table(lines, node, indent);
	else if (node->several)
		write_several(lines, node, indent);
	else
		write_flat(lines, node, indent);
}

static bool has_failed(const struct node *node)
{
	bool failed = node->key.failed || node->text.failed || node->above.failed || node->comment.failed ||
		      node->open.failed || node->below.failed;

	for (const struct node *child = node->first; child != NULL; child = child->next)
		failed |= has_failed(child);
	return failed;
}

/* A list of plain values on one line that is too long for it: where its lines break is noted in it. */
static void break_list(struct node *node, size_t column)
{
	size_t width = column + 2;

	if (node->kind != NODE_ARRAY || node->several || node->first == NULL || node->first->next == NULL)
		return;
	for (const struct node *child = node->first; child != NULL; child = child->next) {
		if (child->kind != NODE_ATOM || memchr(child->text.data, '\n', child->text.size) != NULL)
			return;
		width += sg_format_columns(child->text.data, child->text.size) + 2;
	}
	if (width - 2 <= SG_FORMAT_WIDTH)
		return;
	node->several = true;
	width = SG_FORMAT_INDENT;
	for (struct node *child = node->first; child != NULL; child = child->next) {
		const size_t columns = sg_format_columns(child->text.data, child->text.size) + 2;

		child->breaks = child == node->first || width + columns - 1 > SG_FORMAT_WIDTH;
		width = child->breaks ? SG_FORMAT_INDENT + columns : width + columns;
	}
}

void sg_format_value(struct format_reader *reader, struct format_lines *lines)
{
	struct node node = {.kind = NODE_ATOM};

	read_node(reader, &node);
	reader->failed |= has_failed(&node);
	if (!reader->failed && lines->count > 0) {
		const struct sg_buffer *code = &lines->items[lines->count - 1].code;

		break_list(&node, sg_format_columns(code->data, code->size));
		write_node(lines, &node, 0);
	}
	free_node(&node);
}
