#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "glob_generate.h"
#include "glob_reference.h"
#include "policy/glob.h"
#include "policy/glob_set.h"

static struct sg_glob *parse(const char *text)
{
	struct sg_glob_error error = {0};
	struct sg_glob *glob = NULL;
	int r = sg_glob_parse(text, strlen(text), &error, &glob);

	if (r < 0)
		fail_msg("%s: %s at %zu+%zu", text, error.message, error.offset, error.length);
	return glob;
}

/* A set with a matcher of it. */
struct fixture {
	struct sg_globset *set;
	struct sg_matcher *matcher;
};

static void fixture_add(struct fixture *fixture, const char *text, uint32_t rule, uint64_t mask)
{
	SG_AUTO_GLOB struct sg_glob *glob = parse(text);

	if (fixture->set == NULL)
		assert_int_equal(sg_globset_new(&fixture->set), 0);
	assert_int_equal(sg_globset_add(fixture->set, glob, rule, mask), 0);
}

static void fixture_compile(struct fixture *fixture, size_t memory)
{
	assert_int_equal(sg_globset_compile(fixture->set), 0);
	assert_int_equal(sg_matcher_new(fixture->set, memory, &fixture->matcher), 0);
}

static void fixture_done(struct fixture *fixture)
{
	sg_matcher_free(fixture->matcher);
	sg_globset_free(fixture->set);
}
#define AUTO_FIXTURE SG_CLEANUP(fixture_done)

static uint64_t match(struct fixture *fixture, const char *name)
{
	struct sg_match result = {0};

	(void)sg_matcher_match(fixture->matcher, name, strlen(name), &result);
	return result.mask;
}

static void test_rows(void **state)
{
	static const struct {
		const char *glob, *name;
		bool expected;
	} rows[] = {
		/* The thirteen forms. */
		{"/dir/file", "/dir/file", true},
		{"/dir/file", "/dir/file/", false},
		{"/dir/file", "/dir/filex", false},
		{"/dir/file", "/dir/fil", false},
		{"/dir/*", "/dir/a", true},
		{"/dir/*", "/dir/.a", true},
		{"/dir/*", "/dir/", false},
		{"/dir/*", "/dir/a/", false},
		{"/dir/*", "/dir/a/b", false},
		{"/dir/a*", "/dir/a", true},
		{"/dir/a*", "/dir/abc", true},
		{"/dir/a*", "/dir/a/", false},
		{"/dir/a*", "/dir/ba", false},
		{"/dir/*.png", "/dir/x.png", true},
		{"/dir/*.png", "/dir/.png", true},
		{"/dir/*.png", "/dir/x.png.png", true},
		{"/dir/*.png", "/dir/x.pn", false},
		{"/dir/*.png", "/dir/x/y.png", false},
		{"/dir/[^.]*", "/dir/a", true},
		{"/dir/[^.]*", "/dir/a.b", true},
		{"/dir/[^.]*", "/dir/.a", false},
		{"/dir/[^.]*", "/dir/", false},
		{"/dir/", "/dir/", true},
		{"/dir/", "/dir", false},
		{"/dir/", "/dir/a", false},
		{"/dir/*/", "/dir/a/", true},
		{"/dir/*/", "/dir/", false},
		{"/dir/*/", "/dir/a", false},
		{"/dir/*/", "/dir/a/b/", false},
		{"/dir/a*/", "/dir/a/", true},
		{"/dir/a*/", "/dir/ab/", true},
		{"/dir/a*/", "/dir/ba/", false},
		{"/dir/*a/", "/dir/a/", true},
		{"/dir/*a/", "/dir/ba/", true},
		{"/dir/*a/", "/dir/ba", false},
		{"/dir/**", "/dir/a", true},
		{"/dir/**", "/dir/a/b/c", true},
		{"/dir/**", "/dir/a/", true},
		{"/dir/**", "/dir/", false},
		{"/dir/**", "/dir", false},
		{"/dir/**/", "/dir/a/", true},
		{"/dir/**/", "/dir/a/b/", true},
		{"/dir/**/", "/dir/a", false},
		{"/dir/**/", "/dir/", false},
		{"/dir/**[^/]", "/dir/a", true},
		{"/dir/**[^/]", "/dir/a/b", true},
		{"/dir/**[^/]", "/dir/a/", false},
		{"/dir/**[^/]", "/dir/", false},
		{"/dir{,1,2}/**", "/dir/a", true},
		{"/dir{,1,2}/**", "/dir1/a/b", true},
		{"/dir{,1,2}/**", "/dir2/a", true},
		{"/dir{,1,2}/**", "/dir3/a", false},
		{"/dir{,1,2}/**", "/dir1/", false},
		/* The root. */
		{"/", "/", true},
		{"/", "/a", false},
		{"/**", "/", false},
		{"/**", "/a", true},
		{"/*", "/", false},
		{"/*/", "/a/", true},
		/* Stars within a component, and "**" that is part of one. */
		{"/a*b*c", "/aXbYc", true},
		{"/a*b*c", "/abc", true},
		{"/a*b*c", "/ab/c", false},
		{"/a**", "/a", true},
		{"/a**", "/a/", true},
		{"/a**", "/ab/c", true},
		{"/a**z", "/az", true},
		{"/a**z", "/a/z", true},
		{"/a**z", "/a/b/z/", false},
		{"/a/**/z", "/a/z", false},
		{"/a/**/z", "/a/b/z", true},
		{"/a/**/z", "/a/b/c/z", true},
		{"/a/**z", "/a/z", true},
		{"/a**/", "/a/", true},
		{"/a/?", "/a/b", true},
		{"/a/?", "/a/", false},
		{"/a?b", "/a/b", false},
		{"/a/???", "/a/b/c", false},
		/* Classes. */
		{"/[a-c]x", "/bx", true},
		{"/[a-c]x", "/dx", false},
		{"/[^a-c]x", "/dx", true},
		{"/[^a-c]x", "/ax", false},
		{"/a[^b]c", "/a/c", false},
		{"/a[+-9]c", "/a/c", false},
		{"/a[+-9]c", "/a.c", true},
		{"/[a-]", "/-", true},
		{"/[-a]", "/-", true},
		{"/[\\]]", "/]", true},
		{"/[\\^a]", "/^", true},
		{"/[a^]", "/^", true},
		{"/[\\!a]", "/!", true},
		{"/[a,b]", "/,", true},
		{"/{[a,b],c}", "/,", true},
		{"/[*?{}]", "/{", true},
		{"/[*?{}]", "/a", false},
		{"/[^x]y", "/\xc3y", true},
		{"/[a\\-c]", "/b", false},
		{"/[a\\-c]", "/-", true},
		/* Braces. */
		{"/{a,b}", "/a", true},
		{"/{a,b}", "/c", false},
		{"/{a,b{c,d}e}f", "/bdef", true},
		{"/{a,b{c,d}e}f", "/bef", false},
		{"/{a,b/c}/d", "/b/c/d", true},
		{"/{,a/}b", "/b", true},
		{"/{,a/}b", "/a/b", true},
		{"/a,b", "/a,b", true},
		{"/{a\\,b,c}", "/a,b", true},
		{"/{*,b}", "/", false},
		{"/{*,b}", "/x", true},
		{"/{a,}*", "/", false},
		{"/{a,}*", "/x", true},
		{"/{a,}*", "/a", true},
		{"/*{,.png}", "/", false},
		{"/*{,.png}", "/.png", true},
		{"/a/{*,b}/c", "/a/c", false},
		{"/a/{*,**}/c", "/a/x/y/c", true},
		{"/{*,a}{*,b}", "/", false},
		{"/{*,a}{*,b}", "/x/y", false},
		{"/{*,a}{*,b}/c", "/x/c", true},
		/* Repeated slashes are one, in the glob and in the name. */
		{"/dir//file", "/dir/file", true},
		{"//dir///", "/dir/", true},
		{"/dir//**", "/dir/a", true},
		{"/dir//**", "/dir/", false},
		{"/dir{,/}/a", "/dir/a", true},
		{"/dir/{/a,b}", "/dir/a", true},
		{"/dir/**", "/dir//a", true},
		{"/dir/**", "/dir//", false},
		{"/dir/*", "//dir//a", true},
		{"/dir/*/x", "/dir///a//x", true},
		{"/dir/file", "/dir//file", true},
		{"/**[^/]", "/a//", false},
		/* Escapes and characters that only look special. */
		{"/\\*", "/*", true},
		{"/\\*", "/a", false},
		{"/\\{a\\,b\\}", "/{a,b}", true},
		{"/\\[a\\]", "/[a]", true},
		{"/\\?", "/?", true},
		{"/\\\\", "/\\", true},
		{"/a\\ b", "/a b", true},
		{"/a b", "/a b", true},
		{"/a\"b'c", "/a\"b'c", true},
		{"/a#b", "/a#b", true},
		{"/a@b", "/a@b", true},
		{"/\\@{a,b}", "/@b", true},
		{"/$x.(a|b)+^", "/$x.(a|b)+^", true},
		{"/caf\xc3\xa9", "/caf\xc3\xa9", true},
		{"/caf?", "/caf\xc3\xa9", false},
		{"/caf??", "/caf\xc3\xa9", true},
		{"/caf{\xc3\xa9,e}", "/caf\xc3\xa9", true},
		{"/a\nb", "/a\nb", true},
		{"/\xff*", "/\xff\xfe", true},
		{"/.*", "/.a", true},
		{"/..a", "/..a", true},
		{"/...", "/...", true},
		{"/a/.?/b", "/a/.x/b", true},
		/* Names that are none match nothing. */
		{"/**", "/a/../b", false},
		{"/**", "/a/./b", false},
		{"/**", "/a/..", false},
		{"/**", "a", false},
		{"/**", "", false},
		{"/**", "/a/..b/...", true},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		AUTO_FIXTURE struct fixture fixture = {0};

		fixture_add(&fixture, rows[i].glob, 1, 1);
		fixture_compile(&fixture, SG_MATCHER_MEMORY_MIN);
		if ((match(&fixture, rows[i].name) == 1) != rows[i].expected)
			fail_msg("row %zu: %s on %s is not %d", i, rows[i].glob, rows[i].name,
				 rows[i].expected);
		assert_int_equal(reference_match(rows[i].glob, strlen(rows[i].glob), rows[i].name,
						 strlen(rows[i].name)),
				 rows[i].expected);
	}
}

static void test_errors(void **state)
{
	static const struct {
		const char *glob;
		size_t offset, length;
		const char *message; /* a part of it */
		const char *suggestion;
	} rows[] = {
		{"", 0, 0, "empty glob", "begins with"},
		{"a/b", 0, 3, "relative", "${CWD}/"},
		{"~x", 0, 2, "relative", "~/"},
		{"*", 0, 1, "relative", ""},
		{"{/a,/b}", 0, 1, "not with a brace", "/{a,b}"},
		{"/[!a]b", 1, 4, "negated by \"^\"", "[^a]"},
		{"/[!", 1, 2, "negated by \"^\"", "[^...]"},
		{"/[", 1, 1, "never closed", "\\["},
		{"/[a", 1, 1, "never closed", "\\["},
		{"/[a-", 1, 1, "never closed", "\\["},
		{"/[]", 1, 2, "empty class", "[\\]"},
		{"/[]a]", 1, 2, "empty class", "[\\]"},
		{"/[^]", 1, 3, "empty class", "[\\]"},
		{"/[\xc3\xa9]", 2, 2, "more than one", "{\xc3\xa9,...}"},
		{"/[a-\xc3\xa9]", 4, 2, "more than one", ""},
		{"/[\xff]", 2, 1, "more than one", ""},
		{"/[a/b]", 3, 1, "never matches \"/\"", "outside"},
		{"/[\\/]", 2, 2, "never matches \"/\"", "outside"},
		{"/[z-a]", 2, 3, "backwards", "a-z"},
		{"/[a-c-e]", 5, 1, "neither a range", "\\-"},
		{"/[[:alpha:]]", 2, 2, "named classes", "[a-zA-Z]"},
		{"/[a[]", 3, 1, "within a class", "\\["},
		{"/{a,b", 1, 1, "never closed", "\\{"},
		{"/{a,{b,c}", 1, 1, "never closed", "\\{"},
		{"/a}", 2, 1, "without a \"{\"", "\\}"},
		{"/a]", 2, 1, "without a \"[\"", "\\]"},
		{"/{a}", 1, 3, "fewer than two", "\\{a\\}"},
		{"/{}", 1, 2, "fewer than two", ""},
		{"/{,}", 3, 1, "second empty", "{,a,b}"},
		{"/{a,,b,}", 7, 1, "second empty", ""},
		{"/a***", 2, 3, "two stars", "**"},
		{"/a\\", 2, 1, "single backslash", "\\\\"},
		{"/a\\n", 2, 2, "punctuation", "\\\\"},
		{"/${FOO}/x", 1, 2, "unknown variable", "${CWD}"},
		{"/@{HOME}/x", 1, 2, "AppArmor", "\\@"},
		{"/a/../b", 3, 2, "never match", "folder"},
		{"/a/.", 3, 1, "never match", "folder"},
		{"/./a", 1, 1, "never match", "folder"},
		{"/.x/..", 4, 2, "never match", "folder"},
		{"/a/[.]/b", 3, 3, "never match", "folder"},
		{"/a/{b,..}/c", 6, 2, "never match", "folder"},
		{"/a/{b,.}", 6, 1, "never match", "folder"},
		{"/a/.{,x}", 3, 1, "never match", "folder"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		struct sg_glob_error error = {0};
		struct sg_glob *glob = NULL;

		assert_int_equal(sg_glob_parse(rows[i].glob, strlen(rows[i].glob), &error, &glob), -EINVAL);
		assert_null(glob);
		if (error.offset != rows[i].offset || error.length != rows[i].length ||
		    strstr(error.message, rows[i].message) == NULL ||
		    strstr(error.suggestion, rows[i].suggestion) == NULL)
			fail_msg("row %zu, %s: %zu+%zu %s; %s", i, rows[i].glob, error.offset, error.length,
				 error.message, error.suggestion);
		assert_int_equal(sg_glob_parse(rows[i].glob, strlen(rows[i].glob), NULL, &glob), -EINVAL);
	}
	struct sg_glob_error error = {0};
	struct sg_glob *glob = NULL;

	assert_int_equal(sg_glob_parse("/a\0b", 4, &error, &glob), -EINVAL);
	assert_int_equal(error.offset, 2);
	assert_int_equal(sg_glob_parse("/[a\0]", 5, &error, &glob), -EINVAL);
	assert_int_equal(error.offset, 3);
}

static void test_limits(void **state)
{
	char text[SG_GLOB_LENGTH_MAX + 2];
	struct sg_glob_error error = {0};
	struct sg_glob *glob = NULL;
	size_t length = 0;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[0] = '/';
	assert_int_equal(sg_glob_parse(text, SG_GLOB_LENGTH_MAX + 1, &error, &glob), -EINVAL);
	assert_int_equal(error.offset, SG_GLOB_LENGTH_MAX);
	assert_int_equal(sg_glob_parse(text, SG_GLOB_LENGTH_MAX, &error, &glob), 0);
	sg_glob_free(glob);
	for (int depth = SG_GLOB_DEPTH_MAX; depth <= SG_GLOB_DEPTH_MAX + 1; depth++) {
		length = 1;
		for (int i = 0; i < depth; i++)
			length += (size_t)sprintf(text + length, "{a,");
		for (int i = 0; i < depth; i++)
			length += (size_t)sprintf(text + length, "b}");
		assert_int_equal(sg_glob_parse(text, length, &error, &glob),
				 depth > SG_GLOB_DEPTH_MAX ? -EINVAL : 0);
		if (depth == SG_GLOB_DEPTH_MAX)
			sg_glob_free(glob);
	}
	assert_int_equal(error.offset, 1 + 3 * SG_GLOB_DEPTH_MAX);
}

static void test_facts(void **state)
{
	static const struct {
		const char *glob, *prefix;
		bool literal, tree, directory, file;
		const char *folders; /* space between them */
	} rows[] = {
		{"/dir/file", "/dir/file", true, false, false, true, ""},
		{"/dir//file", "/dir/file", true, false, false, true, ""},
		{"/a\\*b/", "/a*b/", true, false, true, false, ""},
		{"/dir/**", "/dir/", false, true, true, true, "/dir/"},
		{"/**", "/", false, true, true, true, "/"},
		{"/dir/a**", "/dir/a", false, false, true, true, "/dir/"},
		{"/dir/**/", "/dir/", false, false, true, false, "/dir/"},
		{"/dir/**[^/]", "/dir/", false, false, false, true, "/dir/"},
		{"/dir{,1,2}/**", "/dir", false, false, true, true, "/dir/ /dir1/ /dir2/"},
		{"/dir/*", "/dir/", false, false, false, true, "/dir/"},
		{"/home/*/.ssh/**", "/home/", false, false, true, true, "/home/"},
		{"/dir/{a/,b}", "/dir/", false, false, true, true, ""},
		{"/dir/{a/,b}*", "/dir/", false, false, false, true, "/dir/a/ /dir/"},
		{"/{a,b*}/{c,d}{e,f}{g,h}", "/", false, false, false, true, "/"},
		{"/x/{a,b,a}/?{c,d}", "/x/", false, false, false, true, "/x/a/ /x/b/"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_GLOB struct sg_glob *glob = parse(rows[i].glob);
		SG_AUTO_GLOB_NAMES struct sg_glob_names folders = {0};
		SG_AUTO_BUFFER struct sg_buffer buffer = SG_BUFFER_INIT;
		size_t length;

		assert_string_equal(sg_glob_prefix(glob, &length), rows[i].prefix);
		assert_int_equal(length, strlen(rows[i].prefix));
		assert_int_equal(sg_glob_is_literal(glob), rows[i].literal);
		assert_int_equal(sg_glob_is_tree(glob), rows[i].tree);
		assert_int_equal(sg_glob_may_match_directory(glob), rows[i].directory);
		assert_int_equal(sg_glob_may_match_file(glob), rows[i].file);
		assert_int_equal(sg_glob_folders(glob, 16, &folders), 0);
		sg_buffer_append_text(&buffer, "");
		for (size_t j = 0; j < folders.count; j++)
			sg_buffer_printf(&buffer, "%s%s", j > 0 ? " " : "", folders.names[j]);
		assert_string_equal(buffer.data, rows[i].folders);
	}
}

static void test_expand(void **state)
{
	SG_AUTO_GLOB struct sg_glob *glob = parse("/{a,b{c,d}}/{,e//}f\\*");
	SG_AUTO_GLOB struct sg_glob *wild = parse("/{a,b*}");
	SG_AUTO_GLOB struct sg_glob *many =
		parse("/{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}?");
	SG_AUTO_GLOB_NAMES struct sg_glob_names names = {0};
	static const char *const expected[] = {"/a/f*",    "/a/e/f*", "/bc/f*",
					       "/bc/e/f*", "/bd/f*",  "/bd/e/f*"};

	(void)state;
	assert_int_equal(sg_glob_expand(glob, 5, &names), SG_GLOB_TOO_MANY);
	assert_null(names.names);
	assert_int_equal(sg_glob_expand(glob, 6, &names), 0);
	assert_int_equal(names.count, 6);
	for (size_t i = 0; i < names.count; i++)
		assert_string_equal(names.names[i], expected[i]);
	sg_glob_names_done(&names);
	assert_int_equal(sg_glob_expand(wild, 16, &names), SG_GLOB_NOT_LITERAL);
	assert_int_equal(sg_glob_folders(many, SG_GLOB_NAMES_MAX, &names), SG_GLOB_TOO_MANY);
	assert_int_equal(names.count, 1);
	assert_string_equal(names.names[0], "/");
}

static void test_quote(void **state)
{
	static const char name[] = "/a b/*?[x]{y,z}\\$@#\"'~/\xc3\xa9";
	SG_AUTO_BUFFER struct sg_buffer buffer = SG_BUFFER_INIT;
	struct sg_glob *glob = NULL;
	size_t length;

	(void)state;
	sg_glob_quote(&buffer, name, strlen(name));
	assert_int_equal(sg_glob_parse(buffer.data, buffer.size, NULL, &glob), 0);
	assert_true(sg_glob_is_literal(glob));
	assert_string_equal(sg_glob_prefix(glob, &length), name);
	sg_glob_free(glob);
}

/* A set of generated globs against the reference, name by name, with a matcher of `memory` bytes. */
static void compare_generated(uint64_t seed, size_t sets, size_t globs, size_t names, size_t memory)
{
	struct generator generator = {seed};
	size_t matches = 0, valid = 0;

	for (size_t s = 0; s < sets; s++) {
		AUTO_FIXTURE struct fixture fixture = {0};
		char texts[64][128];
		size_t count = 0;

		while (count < globs) {
			SG_AUTO_GLOB struct sg_glob *glob = NULL;
			size_t length = generate_glob(&generator, texts[count]);

			texts[count][length] = '\0';
			valid++;
			if (sg_glob_parse(texts[count], length, NULL, &glob) == 0) {
				fixture_add(&fixture, texts[count], (uint32_t)count, UINT64_C(1) << count);
				count++;
			}
		}
		fixture_compile(&fixture, memory);
		for (size_t n = 0; n < names; n++) {
			char name[32] = {0};
			size_t length = generate_name(&generator, name, 14);
			struct sg_match result;

			(void)sg_matcher_match(fixture.matcher, name, length, &result);
			for (size_t g = 0; g < count; g++) {
				bool matched = (result.mask >> g) & 1;
				int expected = reference_match(texts[g], strlen(texts[g]), name, length);

				matches += matched;
				if (expected >= 0 && matched != expected)
					fail_msg("%s on %.*s is not %d", texts[g], (int)length, name,
						 expected);
			}
		}
	}
	assert_true(matches > sets); /* the names do hit */
	assert_true(valid < 2 * sets * globs);
}

static void test_generated(void **state)
{
	(void)state;
	compare_generated(1, 1500, 1, 60, SG_MATCHER_MEMORY_MIN);
	compare_generated(2, 60, 60, 60, SG_MATCHER_MEMORY);
}

/* The relations on pairs of globs, with the answer for (a covers b), (b covers a) and (a overlaps b). */
static void test_relations(void **state)
{
	static const struct {
		const char *a, *b;
		int a_covers, b_covers, overlaps;
	} rows[] = {
		{"/a/**", "/a/b", 1, 0, 1},
		{"/a/**", "/a/", 0, 0, 0},
		{"/a/**", "/a/*", 1, 0, 1},
		{"/a/**", "/a/**[^/]", 1, 0, 1},
		{"/a/**", "/a/b/**", 1, 0, 1},
		{"/a/**", "/b/**", 0, 0, 0},
		{"/a/**", "/a**", 0, 1, 1},
		{"/a/*", "/a/*/", 0, 0, 0},
		{"/a/*", "/a/{[^b]*,b*}", 1, 1, 1},
		{"/a/**", "/a/{**[^/],**/}", 1, 1, 1},
		{"/a/**", "/a/{*,*/,*/**}", 1, 1, 1},
		{"/a{,1}/**", "/a/**", 1, 0, 1},
		{"/a/*.c", "/a/x*", 0, 0, 1},
		{"/a/*.c", "/a/*.h", 0, 0, 0},
		{"/a/?", "/a/[^.]", 1, 1, 1}, /* "." is no name */
		{"/a/?*", "/a/*", 1, 1, 1},
		{"/a//b", "/a/b", 1, 1, 1},
		{"/**", "/", 0, 0, 0},
		{"/**/x", "/x", 0, 0, 0},
		{"/[ab]", "/[bc]", 0, 0, 1},
		{"/x", "/x", 1, 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_GLOB struct sg_glob *a = parse(rows[i].a);
		SG_AUTO_GLOB struct sg_glob *b = parse(rows[i].b);

		if (sg_glob_covers(a, b) != rows[i].a_covers || sg_glob_covers(b, a) != rows[i].b_covers ||
		    sg_glob_overlaps(a, b) != rows[i].overlaps || sg_glob_overlaps(b, a) != rows[i].overlaps)
			fail_msg("%s and %s: %d %d %d", rows[i].a, rows[i].b, sg_glob_covers(a, b),
				 sg_glob_covers(b, a), sg_glob_overlaps(a, b));
	}
	/* One state for each set of places where an 'a' stood among the last 20 bytes: more than may be
	 * visited. */
	SG_AUTO_GLOB struct sg_glob *many = parse("/*a????????????????????");
	SG_AUTO_GLOB struct sg_glob *other = parse("/*b???????????????????");

	assert_int_equal(sg_glob_covers(other, many), SG_GLOB_UNKNOWN);
	assert_int_equal(sg_glob_covers(many, many), SG_GLOB_UNKNOWN);
}

/* Relations of generated pairs against names: what is claimed for all names holds for those tried. */
static void test_relations_generated(void **state)
{
	struct generator generator = {11};
	size_t covers = 0, apart = 0;

	(void)state;
	for (size_t i = 0; i < 400; i++) {
		char texts[2][128] = {{0}};
		struct sg_glob *globs[2] = {NULL, NULL};
		int covered, overlap;

		for (size_t j = 0; j < 2;) {
			size_t length = generate_glob(&generator, texts[j]);

			texts[j][length] = '\0';
			j += sg_glob_parse(texts[j], length, NULL, &globs[j]) == 0;
		}
		covered = sg_glob_covers(globs[0], globs[1]);
		overlap = sg_glob_overlaps(globs[0], globs[1]);
		assert_true(covered >= 0 && overlap >= 0);
		covers += covered == SG_GLOB_YES;
		apart += overlap == SG_GLOB_NO;
		if (covered == SG_GLOB_YES && overlap == SG_GLOB_NO) /* no glob is empty */
			fail_msg("%s covers %s, and they do not overlap", texts[0], texts[1]);
		for (size_t n = 0; n < 60; n++) {
			char name[32] = {0};
			size_t length = generate_name(&generator, name, 10);
			int a = reference_match(texts[0], strlen(texts[0]), name, length);
			int b = reference_match(texts[1], strlen(texts[1]), name, length);

			if ((covered == SG_GLOB_YES && a == 0 && b == 1) ||
			    (overlap == SG_GLOB_NO && a == 1 && b == 1))
				fail_msg("%s, %s: covers %d, overlaps %d, but %s", texts[0], texts[1],
					 covered, overlap, name);
		}
		sg_glob_free(globs[0]);
		sg_glob_free(globs[1]);
	}
	assert_true(covers > 10);
	assert_true(apart > 10);
}

static void test_rules(void **state)
{
	AUTO_FIXTURE struct fixture fixture = {0};
	uint32_t rules[3];

	(void)state;
	fixture_add(&fixture, "/a/**", 30, 1);
	fixture_add(&fixture, "/a/*", 10, 2);
	fixture_add(&fixture, "/a/b", 20, 1);
	fixture_add(&fixture, "/a/b", 20, 4);
	fixture_add(&fixture, "/a/[b-c]", 5, 1);
	fixture_add(&fixture, "/{a,x}/?", 40, 1);
	fixture_add(&fixture, "/c", 1, 7);
	fixture_compile(&fixture, SG_MATCHER_MEMORY_MIN);
	assert_int_equal(match(&fixture, "/a/b"), 7);
	assert_int_equal(sg_matcher_rules(fixture.matcher, 1, rules, 3), 3);
	assert_int_equal(rules[0], 5);
	assert_int_equal(rules[1], 20);
	assert_int_equal(rules[2], 30);
	assert_int_equal(sg_matcher_rules(fixture.matcher, 6, rules, 3), 2);
	assert_int_equal(rules[0], 10);
	assert_int_equal(rules[1], 20);
	assert_int_equal(sg_matcher_rules(fixture.matcher, 8, rules, 3), 0);
	assert_int_equal(match(&fixture, "/nothing"), 0);
	assert_int_equal(sg_matcher_rules(fixture.matcher, UINT64_MAX, rules, 3), 0);
	struct sg_match result = {1};
	assert_int_equal(sg_matcher_match(fixture.matcher, "/a/../c", 7, &result), -EINVAL);
	assert_int_equal(result.mask, 0);
	assert_int_equal(sg_matcher_rules(fixture.matcher, UINT64_MAX, rules, 3), 0);
}

static void test_set_states(void **state)
{
	SG_AUTO_GLOBSET struct sg_globset *set = NULL;
	SG_AUTO_MATCHER struct sg_matcher *matcher = NULL;
	SG_AUTO_GLOB struct sg_glob *glob = parse("/a");
	struct sg_match result = {1};

	(void)state;
	assert_int_equal(sg_globset_new(&set), 0);
	assert_int_equal(sg_globset_add(set, glob, 1, 0), -EINVAL);
	assert_int_equal(sg_matcher_new(set, SG_MATCHER_MEMORY, &matcher), -EINVAL);
	assert_int_equal(sg_globset_compile(set), 0);
	assert_int_equal(sg_globset_compile(set), -EBUSY);
	assert_int_equal(sg_globset_add(set, glob, 1, 1), -EBUSY);
	assert_int_equal(sg_matcher_new(set, SG_MATCHER_MEMORY_MIN - 1, &matcher), -EINVAL);
	assert_int_equal(sg_matcher_new(set, SG_MATCHER_MEMORY_MAX + 1, &matcher), -EINVAL);
	assert_int_equal(sg_matcher_new(set, SG_MATCHER_MEMORY_MIN, &matcher), 0);
	assert_int_equal(sg_matcher_match(matcher, "/a", 2, &result), 0); /* the empty set */
	assert_int_equal(result.mask, 0);
}

static void test_below(void **state)
{
	static const struct {
		const char *globs[4]; /* of classes 1, 2, 4, 8 */
		const char *directory;
		uint64_t may, all;
	} rows[] = {
		{{"/dir/**", "/dir/*", "/dir/", "/dir/a/**"}, "/dir/", 1 | 2 | 8, 1},
		{{"/dir/**", "/dir/*", "/dir/", "/dir/a/**"}, "/dir/a/", 1 | 8, 1 | 8},
		{{"/dir/**", "/dir/*", "/dir/", "/dir/a/**"}, "/dir/a/b/c/", 1 | 8, 1 | 8},
		{{"/dir/**", "/dir/*", "/dir/", "/dir/a/**"}, "/other/", 0, 0},
		{{"/dir/**", "/dir/*", "/dir/", "/dir/a/**"}, "/", 1 | 2 | 4 | 8, 0},
		{{"/dir/**[^/]", "/dir/**/", "/**", "/**/x"}, "/dir/", 15, 4},
		{{"/{a,b}/**", "/a**", "/a*/**", "/a/{*,*/,*/**}"}, "/a/", 15, 15},
		{{"/a/{**[^/],**/}", "/a/?**", "/a/[^x]**", "/a/b"}, "/a/", 15, 3},
		{{"/home/*/.ssh/**", "/home/*/**", "/home/a", "/home/*/"}, "/home/x/", 3, 2},
		{{"/home/*/.ssh/**", "/home/*/**", "/home/a", "/home/*/"}, "/home/x/.ssh/", 3, 3},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		AUTO_FIXTURE struct fixture fixture = {0};
		struct sg_match_below below;

		for (uint32_t g = 0; g < 4; g++)
			fixture_add(&fixture, rows[i].globs[g], g, UINT64_C(1) << g);
		fixture_compile(&fixture, SG_MATCHER_MEMORY_MIN);
		assert_int_equal(sg_matcher_below(fixture.matcher, rows[i].directory,
						  strlen(rows[i].directory), &below),
				 0);
		if (below.may != rows[i].may || below.all != rows[i].all)
			fail_msg("row %zu, %s: %lx %lx", i, rows[i].directory, below.may, below.all);
	}
	/* Two globs of one class are judged together. */
	AUTO_FIXTURE struct fixture fixture = {0};
	struct sg_match_below below;

	fixture_add(&fixture, "/a/**[^/]", 0, 1);
	fixture_add(&fixture, "/a/**/", 1, 1);
	fixture_compile(&fixture, SG_MATCHER_MEMORY_MIN);
	assert_int_equal(sg_matcher_below(fixture.matcher, "/a/", 3, &below), 0);
	assert_int_equal(below.all, 1);
	assert_int_equal(sg_matcher_below(fixture.matcher, "/a", 2, &below), -EINVAL);
	assert_true(below.may == UINT64_MAX && below.all == 0);
	assert_int_equal(sg_matcher_below(fixture.matcher, "/a/../", 6, &below), -EINVAL);
}

static void test_same_below(void **state)
{
	static const struct {
		const char *globs[3]; /* of classes 1, 2, 4 */
		const char *a, *b;
		uint64_t mask;
		bool same;
	} rows[] = {
		{{"/h/**", "/h/x", "/h/*/s"}, "/h/a/", "/h/b/", 7, true},
		{{"/h/**", "/h/x", "/h/*/s"}, "/h/a/", "/h/", 1, true}, /* all names below either */
		{{"/h/**", "/h/x", "/h/*/s"}, "/h/a/", "/h/", 4, false},
		{{"/h/**", "/h/x", "/h/*/s"}, "/h/a/b/", "/h/", 2, false},
		{{"/h/**", "/h/x", "/h/*/s"}, "/h/a/b/", "/h/a/c/", 7, true},
		{{"/a/**", "/b/**", "/c"}, "/a/x/", "/b/x/", 1, false},
		{{"/a/**", "/b/**", "/c"}, "/a/x/", "/b/x/", 4, true},
		{{"/{a,b}/**", "/c", "/d"}, "/a/x/", "/b/y/", 7, true},
		{{"/p/*.c", "/q/*.c", "/{p,q}/*.h"}, "/p/", "/q/", 4, true},
		{{"/p/*.c", "/q/*.c", "/{p,q}/*.h"}, "/p/", "/q/", 1, false},
		{{"/x", "/y", "/z"}, "/no/", "/where/", 7, true},
		{{"/x", "/y", "/z"}, "/no", "/where/", 7, false},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		AUTO_FIXTURE struct fixture fixture = {0};

		for (uint32_t g = 0; g < 3; g++)
			fixture_add(&fixture, rows[i].globs[g], g, UINT64_C(1) << g);
		fixture_compile(&fixture, SG_MATCHER_MEMORY_MIN);
		if (sg_matcher_same_below(fixture.matcher, rows[i].a, strlen(rows[i].a), rows[i].b,
					  strlen(rows[i].b), rows[i].mask) != rows[i].same)
			fail_msg("row %zu", i);
	}
	/* Different nodes, the same language: one class has a tree at each place. */
	AUTO_FIXTURE struct fixture fixture = {0};

	fixture_add(&fixture, "/a/**", 0, 1);
	fixture_add(&fixture, "/b/**", 1, 1);
	fixture_compile(&fixture, SG_MATCHER_MEMORY_MIN);
	assert_true(sg_matcher_same_below(fixture.matcher, "/a/x/", 5, "/b/", 3, 1));
	assert_false(sg_matcher_same_below(fixture.matcher, "/a/x/", 5, "/c/", 3, 1));
}

/* What is said about names below a directory holds for the names tried. */
static void test_below_generated(void **state)
{
	struct generator generator = {13};
	size_t all = 0, none = 0, same = 0;

	(void)state;
	for (size_t i = 0; i < 300; i++) {
		AUTO_FIXTURE struct fixture fixture = {0};
		char texts[4][128] = {{0}}, directories[2][40] = {{0}};
		size_t lengths[2];
		struct sg_match_below below;
		uint64_t mask = 1 + generate_below(&generator, 15);
		bool is_same;

		for (uint32_t g = 0; g < 4;) {
			SG_AUTO_GLOB struct sg_glob *glob = NULL;

			texts[g][generate_glob(&generator, texts[g])] = '\0';
			if (sg_glob_parse(texts[g], strlen(texts[g]), NULL, &glob) == 0) {
				fixture_add(&fixture, texts[g], g, UINT64_C(1) << g);
				g++;
			}
		}
		fixture_compile(&fixture, SG_MATCHER_MEMORY_MIN);
		for (size_t d = 0; d < 2; d++) {
			lengths[d] = generate_name(&generator, directories[d], 6);
			directories[d][lengths[d]++] = '/';
		}
		is_same = sg_matcher_same_below(fixture.matcher, directories[0], lengths[0], directories[1],
						lengths[1], mask);
		if (sg_matcher_below(fixture.matcher, directories[0], lengths[0], &below) < 0)
			continue;
		assert_int_equal(below.all & ~below.may, 0);
		all += below.all != 0;
		none += below.may == 0;
		same += is_same;
		for (size_t n = 0; n < 100; n++) {
			char rest[32] = {0}, names[2][80];
			size_t rest_length = generate_name(&generator, rest, 8);
			struct sg_match result[2];

			if (rest[1] == '\0' || rest[0] != '/')
				continue;
			for (size_t d = 0; d < 2; d++) {
				size_t length =
					(size_t)snprintf(names[d], sizeof(names[d]), "%s%.*s", directories[d],
							 (int)rest_length - 1, rest + 1);

				if (sg_matcher_match(fixture.matcher, names[d], length, &result[d]) < 0)
					break;
				if (d == 0 && strspn(rest, "/") < rest_length &&
				    ((result[0].mask & ~below.may) || (below.all & ~result[0].mask)))
					fail_msg("below %s may %lx all %lx, but %s is %lx", directories[0],
						 below.may, below.all, names[0], result[0].mask);
				if (d == 1 && strspn(rest, "/") < rest_length && is_same &&
				    ((result[0].mask ^ result[1].mask) & mask))
					fail_msg("%s and %s are the same, but not below: %s", directories[0],
						 directories[1], rest);
			}
		}
	}
	assert_true(all > 5);
	assert_true(none > 5);
	assert_true(same > 5);
}

/* Globs that make every subset of their places a state: time and memory stay bounded, answers stay right. */
static void test_hostile(void **state)
{
	AUTO_FIXTURE struct fixture fixture = {0};
	struct generator generator = {17};
	struct sg_matcher_statistics before, after;
	char text[128], name[4096];

	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		(void)snprintf(text, sizeof(text), "/**a%.*s%c", (int)i + 20,
			       "????????????????????????????????????????????????????????????",
			       i % 2 == 0 ? 'a' : 'b');
		fixture_add(&fixture, text, i, UINT64_C(1) << i);
	}
	fixture_compile(&fixture, SG_MATCHER_MEMORY_MIN);
	for (size_t round = 0; round < 20; round++) {
		struct sg_match result;
		uint64_t expected = 0;

		name[0] = '/';
		for (size_t i = 1; i < sizeof(name); i++)
			name[i] = "ab"[generate_below(&generator, 2)];
		for (size_t i = 0; i < 40; i++)
			if (name[sizeof(name) - 1] == (i % 2 == 0 ? 'a' : 'b') &&
			    name[sizeof(name) - 2 - (i + 20)] == 'a')
				expected |= UINT64_C(1) << i;
		sg_matcher_statistics(fixture.matcher, &before);
		assert_int_equal(sg_matcher_match(fixture.matcher, name, sizeof(name), &result), 0);
		sg_matcher_statistics(fixture.matcher, &after);
		assert_int_equal(result.mask, expected);
		/* At worst every node and every edge once for each byte. */
		assert_true(after.visited - before.visited <=
			    4 * sizeof(name) * sg_globset_nodes(fixture.set));
	}
	assert_true(after.plain > 0);   /* the sets alone were used */
	assert_true(after.flushes > 0); /* and the cache was emptied */
}

/* The work for one name, in counts: the number of globs must not matter where they share their beginnings. */
static uint64_t count_work(uint32_t globs, const char *before_number, const char *behind, const char *name)
{
	AUTO_FIXTURE struct fixture fixture = {0};
	struct sg_matcher_statistics before, after;
	char text[128];

	for (uint32_t i = 0; i < globs; i++) {
		(void)snprintf(text, sizeof(text), "%s%05u%s", before_number, i, behind);
		fixture_add(&fixture, text, i, 1);
	}
	fixture_compile(&fixture, SG_MATCHER_MEMORY);
	assert_int_equal(match(&fixture, name), 1);
	sg_matcher_statistics(fixture.matcher, &before);
	assert_int_equal(match(&fixture, name), 1);
	sg_matcher_statistics(fixture.matcher, &after);
	return after.bytes - before.bytes + after.visited - before.visited + after.built - before.built;
}

static void test_many(void **state)
{
	static const struct {
		const char *before, *behind, *name;
	} rows[] = {
		{"/usr/share/project", "/src/file.c", "/usr/share/project00007/src/file.c"},
		{"/srv/data/customer", "/**", "/srv/data/customer00007/2024/invoice.pdf"},
		{"/home/*/proj", "/**", "/home/alice/proj00007/src/main.rs"},
		{"/home/*/proj", "/*.c", "/home/alice/proj00007/main.c"},
		{"/**/name", ".txt", "/opt/some/where/name00007.txt"},
		{"/srv/{a,b}/proj", "/{src,lib}/**", "/srv/b/proj00007/lib/x"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		uint64_t few = count_work(10, rows[i].before, rows[i].behind, rows[i].name);
		uint64_t many = count_work(10000, rows[i].before, rows[i].behind, rows[i].name);

		if (many > 2 * few)
			fail_msg("%s: %lu for 10 globs, %lu for 10,000", rows[i].before, few, many);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_generated),
		cmocka_unit_test(test_relations),
		cmocka_unit_test(test_relations_generated),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_set_states),
		cmocka_unit_test(test_below),
		cmocka_unit_test(test_same_below),
		cmocka_unit_test(test_below_generated),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
