/* Reading a whole TOML text: its encoding, its lines. */
#include "profile/toml.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "profile/toml_internal.h"

static const char *const type_names[SG_TOML_TYPE_COUNT] = {
	[SG_TOML_NONE] = "nothing",
	[SG_TOML_STRING] = "a string",
	[SG_TOML_INTEGER] = "an integer",
	[SG_TOML_FLOAT] = "a float",
	[SG_TOML_BOOLEAN] = "a boolean",
	[SG_TOML_DATETIME] = "a date and time with an offset",
	[SG_TOML_LOCAL_DATETIME] = "a date and time",
	[SG_TOML_LOCAL_DATE] = "a date",
	[SG_TOML_LOCAL_TIME] = "a time",
	[SG_TOML_ARRAY] = "an array",
	[SG_TOML_TABLE] = "a table",
};

const char *sg_toml_type_name(enum sg_toml_type type)
{
	return (unsigned int)type < SG_TOML_TYPE_COUNT ? type_names[type] : type_names[SG_TOML_NONE];
}

bool sg_toml_string_has_nul(struct sg_toml_string string)
{
	return memchr(string.data, '\0', string.size) != NULL;
}

const struct sg_toml_table *sg_toml_root(const struct sg_toml_document *document)
{
	return &document->root->shown;
}

void sg_toml_free(struct sg_toml_document *document)
{
	if (document == NULL)
		return;
	sg_toml_arena_done(&document->arena);
	free(document);
}

/* The first byte from `at` on that is not well-formed UTF-8, or the end. */
static const char *find_malformed(const struct toml_parser *p, const char *at)
{
	while (at < p->end) {
		uint64_t eight;
		unsigned int rune;
		size_t size;

		if (p->end - at >= (ptrdiff_t)sizeof(eight)) {
			memcpy(&eight, at, sizeof(eight));
			if ((eight & 0x8080808080808080U) == 0) {
				at += sizeof(eight);
				continue;
			}
		}
		size = sg_text_decode(at, (size_t)(p->end - at), &rune);
		if (size == 0)
			return at;
		at += size;
	}
	return p->end;
}

/* Reports the first byte of each line that is not UTF-8. Returns false if the text makes no sense as UTF-8 at
 * all. */
static bool check_encoding(struct toml_parser *p)
{
	const char *at = p->at;

	if (p->end - at >= 2 &&
	    (memcmp(at, "\xfe\xff", 2) == 0 || memcmp(at, "\xff\xfe", 2) == 0 || (at[0] == '\0') != (at[1] == '\0'))) {
		sg_diagnostic_add(p->diagnostics, p->source, sg_toml_span(p, at, at + 1), SG_SEVERITY_ERROR,
				  "save it as UTF-8", "the text is not UTF-8; it looks like UTF-16");
		return false;
	}
	while ((at = find_malformed(p, at)) < p->end) {
		p->refused = true;
		sg_diagnostic_add(p->diagnostics, p->source, sg_toml_span(p, at, at + 1), SG_SEVERITY_ERROR,
				  "save it as UTF-8", "the byte 0x%02X is not UTF-8 here",
				  (unsigned int)(unsigned char)*at);
		at = memchr(at, '\n', (size_t)(p->end - at));
		if (at == NULL)
			break;
	}
	return true;
}

/* Takes the brackets behind a header's name. Returns false, having reported, if they are not there. */
static bool close_header(struct toml_parser *p, bool element)
{
	const char *closing = element ? "]]" : "]";
	char found[TOML_FOUND_MAX];

	for (; *closing != '\0' && *p->at == ']'; closing++)
		p->at++;
	if (*closing == '\0')
		return true;
	sg_toml_error(p, p->at, sg_toml_found_end(p, p->at), NULL,
		      "expected `%s` to close the table's header, found %s", closing, sg_toml_found(p, p->at, found));
	return false;
}

/*
 * Reads [name] or [[name]]. Returns false if it is broken: what follows on the line means nothing. What
 * follows below belongs to a section in any case: to one of no name if this one cannot be.
 */
static bool read_header(struct toml_parser *p)
{
	const char *from = p->at;
	bool element = from[1] == '[', named, closed;
	struct toml_table *table = NULL;

	p->at += element ? 2 : 1;
	named = sg_toml_read_path(p);
	closed = named && close_header(p, element);
	if (named)
		table = sg_toml_place_header(p, element, from, p->at);
	if (table == NULL && !p->stopped)
		table = sg_toml_table_new(p, TOML_HEADER, 1);
	if (table != NULL)
		p->current = table;
	return closed;
}

static void expect_end_of_line(struct toml_parser *p, bool header)
{
	char found[TOML_FOUND_MAX];

	toml_skip_space(p);
	if (p->at == p->end || *p->at == '#' || toml_at_newline(p->at))
		return;
	sg_toml_error(p, p->at, sg_toml_found_end(p, p->at),
		      sg_toml_statement_ahead(p, p->at) ? "begin a new line" : NULL,
		      "expected the end of the line after the %s, found %s", header ? "table's header" : "value",
		      sg_toml_found(p, p->at, found));
	sg_toml_skip_line(p);
}

static void read_statement(struct toml_parser *p)
{
	bool header = *p->at == '[', good;

	p->damaged = false;
	p->abandoned = false;
	p->stack_count = 0;
	good = header ? read_header(p) : sg_toml_read_pair(p, p->current);
	if (p->abandoned || p->stopped)
		return;
	if (good)
		expect_end_of_line(p, header);
	else
		sg_toml_skip_line(p);
}

/* Returns 0, SG_TOML_REFUSED or a fault; p->document holds the tree. */
static int read_text(struct toml_parser *p)
{
	p->document->root = sg_toml_table_new(p, TOML_ROOT, 0);
	p->current = p->document->root;
	if (p->fault < 0)
		return p->fault;
	if (!check_encoding(p))
		return SG_TOML_REFUSED;
	/* A byte-order mark at the start means nothing. */
	if (p->end - p->at >= 3 && memcmp(p->at, "\xef\xbb\xbf", 3) == 0)
		p->at += 3;
	while (sg_toml_skip_lines(p), p->at < p->end && !p->stopped)
		read_statement(p);
	if (p->fault < 0)
		return p->fault;
	return p->refused ? SG_TOML_REFUSED : 0;
}

int sg_toml_parse(const struct sg_source *source, struct sg_diagnostics *diagnostics,
		  struct sg_toml_document **ret_document)
{
	SG_AUTO_TOML struct sg_toml_document *document = NULL;
	struct toml_parser p = {
		.source = source,
		.text = source->text,
		.end = source->text + source->size,
		.at = source->text + source->begin,
		.diagnostics = diagnostics,
	};
	int r;

	if (source->size > SG_TOML_TEXT_MAX) {
		sg_diagnostic_add(diagnostics, source, (struct sg_span){0}, SG_SEVERITY_ERROR, NULL,
				  "the text has %zu bytes: at most %d are read", source->size, SG_TOML_TEXT_MAX);
		return SG_TOML_REFUSED;
	}
	document = calloc(1, sizeof(*document));
	if (document == NULL)
		return -ENOMEM;
	p.document = document;
	sg_toml_arena_expect(&document->arena, source->size - source->begin);
	r = read_text(&p);
	free(p.stack);
	if (r == 0)
		*ret_document = sg_take_pointer(document);
	return r;
}
