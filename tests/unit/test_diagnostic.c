/* The list of findings: places, rendering, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "profile/diagnostic.h"

static struct sg_source *make_source(const char *text, size_t size)
{
	struct sg_source *source = NULL;

	assert_int_equal(sg_source_new("t", text, size, &source), 0);
	return source;
}

/* A part of a text: what is found in it has the places of the whole. */
static void test_part(void **state)
{
	static const char text[] = "one\ntwo\nthree\nfour\n";
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics list = SG_DIAGNOSTICS_INIT;
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	SG_AUTO_SOURCE struct sg_source *part = NULL;

	(void)state;
	assert_int_equal(sg_source_part("t", text, 4, 14, 1, &part), 0);
	assert_int_equal(sg_source_line(part, 4), 2);
	assert_int_equal(sg_source_line(part, 13), 3);
	assert_int_equal(sg_source_locate(part, 10).column, 3);
	sg_diagnostic_add(&list, part, (struct sg_span){10, 2}, SG_SEVERITY_ERROR, NULL, "here");
	sg_diagnostics_render(&list, &out);
	assert_string_equal(out.data, "t:3:3: error: here\n"
				      "    3 | three\n"
				      "      |   ^~\n");
}

static void test_render(void **state)
{
	static const char text[] = "first line\nsecond\033[2J\xe2\x80\xae line\twide \xe4\xb8\xad end\n";
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics list = SG_DIAGNOSTICS_INIT;
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	SG_AUTO_SOURCE struct sg_source *source = make_source(text, sizeof(text) - 1);
	SG_AUTO_SOURCE struct sg_source *other = NULL;

	(void)state;
	assert_int_equal(sg_source_new("a\nb", "", 0, &other), 0);
	sg_diagnostic_add(&list, source, (struct sg_span){35, 3}, SG_SEVERITY_WARNING, NULL, "end \\ \033 %d", 7);
	sg_diagnostic_add(&list, source, (struct sg_span){6, 20}, SG_SEVERITY_ERROR, "try\nthis", "over the line");
	sg_diagnostic_add(&list, source, (struct sg_span){6, 4}, SG_SEVERITY_ERROR, NULL, "the same place, later");
	sg_diagnostic_add(&list, other, (struct sg_span){0, 0}, SG_SEVERITY_ERROR, NULL, "empty");
	sg_diagnostics_render(&list, &out);
	assert_string_equal(out.data, "a\\nb:1:1: error: empty\n"
				      "    1 | \n"
				      "      | ^\n"
				      "t:1:7: error: over the line\n"
				      "    1 | first line\n"
				      "      |       ^~~~\n"
				      "hint: try\\nthis\n"
				      "t:1:7: error: the same place, later\n"
				      "    1 | first line\n"
				      "      |       ^~~~\n"
				      "t:2:23: warning: end \\ \\e 7\n"
				      "    2 | second\\e[2J\\u{202e} line    wide \xe4\xb8\xad end\n"
				      "      |                                  ^~\n");
}

static void test_long_lines(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics list = SG_DIAGNOSTICS_INIT;
	SG_AUTO_SOURCE struct sg_source *source = NULL;

	(void)state;
	for (int i = 0; i < 300; i++)
		sg_buffer_append_text(&text, "\xc3\xa9");
	source = make_source(text.data, text.size);
	sg_diagnostic_add(&list, source, (struct sg_span){400, 400}, SG_SEVERITY_ERROR, NULL, "%01500d", 0);
	sg_diagnostics_render(&list, &out);
	assert_non_null(strstr(out.data, "t:1:201: error: 000"));
	assert_non_null(strstr(out.data, "    1 | ...\xc3\xa9"));
	assert_non_null(strstr(out.data, "\xc3\xa9...\n"));
	assert_true(out.size < 1500);
	assert_null(strstr(out.data, "\\x")); /* cut between characters */
}

static void test_cap(void **state)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics list = SG_DIAGNOSTICS_INIT;
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	SG_AUTO_SOURCE struct sg_source *source = make_source("x", 1);

	(void)state;
	for (int i = 0; i < 250; i++)
		sg_diagnostic_add(&list, source, (struct sg_span){0, 1}, SG_SEVERITY_WARNING, NULL, "w%d", i);
	assert_false(sg_diagnostics_has_errors(&list));
	/* Warnings never crowd out an error. */
	sg_diagnostic_add(&list, source, (struct sg_span){0, 1}, SG_SEVERITY_ERROR, NULL, "the error");
	assert_true(sg_diagnostics_has_errors(&list));
	sg_diagnostics_render(&list, &out);
	assert_int_equal(list.count, SG_DIAGNOSTICS_MAX + 1);
	assert_non_null(strstr(out.data, "warning: w99\n"));
	assert_null(strstr(out.data, "warning: w100\n"));
	assert_non_null(strstr(out.data, "error: the error\n"));
	assert_non_null(strstr(out.data, "and 150 more warnings\n"));
}

static void test_source(void **state)
{
	SG_AUTO_FD int fd = memfd_create("text", MFD_CLOEXEC);
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *source = NULL;

	(void)state;
	assert_int_equal(sg_fd_write_full(fd, "one\ntwo\n", 8), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(sg_source_read(fd, "p", 7, &error, &source), -EFBIG);
	assert_string_equal(error.text, "p: larger than 7 bytes");
	error = SG_ERROR_INIT;
	assert_int_equal(sg_source_read(-1, "p", 7, &error, &source), -EBADF);
	assert_non_null(strstr(error.text, "read p: "));
	assert_null(source);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(sg_source_read(fd, "p", 8, NULL, &source), 0);
	assert_string_equal(source->text, "one\ntwo\n");
	assert_int_equal(source->line_count, 3);
	assert_int_equal(source->lines[2], 8);
	sg_source_free(source);
	sg_source_free(NULL);
}

/* A finding's place is the same whether it is counted from the one before or from the start of the line. */
static void test_places(void **state)
{
	static const char text[] = "\xef\xbb\xbf"
				   "a\xc3\xa9\xff"
				   "b\xe4\xb8\xad\r\nxy\tz\n\n";
	SG_AUTO_SOURCE struct sg_source *source = make_source(text, sizeof(text) - 1);

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++) {
		for (size_t j = 0; j < sizeof(text); j++) {
			SG_AUTO_DIAGNOSTICS struct sg_diagnostics list = SG_DIAGNOSTICS_INIT;
			struct sg_position place = sg_source_locate(source, j);

			sg_diagnostic_add(&list, source, (struct sg_span){(uint32_t)i, 0}, SG_SEVERITY_ERROR, NULL,
					  "x");
			sg_diagnostic_add(&list, source, (struct sg_span){(uint32_t)j, 0}, SG_SEVERITY_ERROR, NULL,
					  "x");
			assert_int_equal(list.items[1].position.line, place.line);
			if (((unsigned char)text[i] & 0xc0) != 0x80)
				assert_int_equal(list.items[1].position.column, place.column);
			assert_int_equal(place.line, sg_source_line(source, j));
		}
	}
	assert_int_equal(sg_source_locate(source, 3).column, 1);
	assert_int_equal(sg_source_locate(source, 7).column, 4);
	assert_int_equal(sg_source_locate(source, 13).line, 2);
}

/* In long lines places are counted from marks: what comes of it is what counting from the beginning gives. */
static void test_long_places(void **state)
{
	static const char *const pieces[] = {"a",        "\xc3\xa9", "\xff", "\xe4\xb8\xad", "\xf0\x9f\x98\x80",
					     "\xe4\xb8", "abcdefgh"};
	enum { SIZE = 5 * SG_SOURCE_MARK_EVERY, NEW_LINE = 3000 };
	static char text[SIZE + 16];
	size_t size = 0, column = 1, next = 3;
	uint64_t random = 5;

	(void)state;
	memcpy(text, "\xef\xbb\xbf", 3);
	for (size = 3; size < SIZE;) {
		const char *piece = pieces[(random >> 33) % SG_ARRAY_SIZE(pieces)];

		random = random * UINT64_C(6364136223846793005) + 1;
		memcpy(text + size, piece, strlen(piece));
		size += strlen(piece);
	}
	text[NEW_LINE] = '\n';
	for (int part = 0; part < 2; part++) {
		SG_AUTO_SOURCE struct sg_source *source = NULL;

		assert_int_equal(part == 0 ? sg_source_new("x", text, size, &source)
					   : sg_source_part("x", text, NEW_LINE + 1, size, 1, &source),
				 0);
		column = 1;
		next = part == 0 ? 3 : NEW_LINE + 1;
		for (size_t at = next; at < size; at++) {
			unsigned int rune;
			const struct sg_position place = sg_source_locate(source, at);

			if (at == NEW_LINE + 1)
				column = 1;
			if (at == next) {
				const size_t taken = sg_text_decode(text + at, size - at, &rune);

				assert_int_equal(place.column, column);
				next += taken == 0 ? 1 : taken;
				column++;
			}
			assert_int_equal(place.line, at > NEW_LINE ? 2 : 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_render),      cmocka_unit_test(test_long_lines), cmocka_unit_test(test_cap),
		cmocka_unit_test(test_source),      cmocka_unit_test(test_places),     cmocka_unit_test(test_part),
		cmocka_unit_test(test_long_places),
	};
	return cmocka_run_group_tests_name("diagnostic", tests, NULL, NULL);
}
