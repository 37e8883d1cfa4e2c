#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "glob_fixture.h"
#include "glob_generate.h"
#include "glob_reference.h"
#include "policy/glob.h"
#include "policy/glob_set.h"

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
			fail_msg("row %zu: %s on %s is not %d", i, rows[i].glob, rows[i].name, rows[i].expected);
		assert_int_equal(
			reference_match(rows[i].glob, strlen(rows[i].glob), rows[i].name, strlen(rows[i].name)),
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
		assert_int_equal(sg_glob_parse(text, length, &error, &glob), depth > SG_GLOB_DEPTH_MAX ? -EINVAL : 0);
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
		{"/x/{a,.}{b,.}/?", "/x/", false, false, false, true, "/x/ab/ /x/a./ /x/.b/"},
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
	SG_AUTO_GLOB struct sg_glob *many = parse("/{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}?");
	SG_AUTO_GLOB_NAMES struct sg_glob_names names = {0};
	static const char *const expected[] = {"/a/f*", "/a/e/f*", "/bc/f*", "/bc/e/f*", "/bd/f*", "/bd/e/f*"};

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
static void compare_generated(uint64_t seed, size_t sets, size_t globs, size_t names, uint32_t most, size_t memory)
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
			char name[REFERENCE_NAME] = {0};
			size_t length = generate_name(&generator, name, most);
			struct sg_match first, result;

			/* The second time it goes by what the first one left in the cache. */
			(void)sg_matcher_match(fixture.matcher, name, length, &first);
			(void)sg_matcher_match(fixture.matcher, name, length, &result);
			assert_int_equal(first.mask, result.mask);
			for (size_t g = 0; g < count; g++) {
				bool matched = (result.mask >> g) & 1;
				int expected = reference_match(texts[g], strlen(texts[g]), name, length);

				matches += matched;
				if (expected >= 0 && matched != expected)
					fail_msg("%s on %.*s is not %d", texts[g], (int)length, name, expected);
			}
		}
	}
	assert_true(matches > sets); /* the names do hit */
	assert_true(valid < 2 * sets * globs);
}

static void test_generated(void **state)
{
	(void)state;
	compare_generated(1, 1500, 1, 60, 14, SG_MATCHER_MEMORY_MIN);
	compare_generated(2, 60, 60, 60, 14, SG_MATCHER_MEMORY);
	compare_generated(3, 60, 60, 60, 70, SG_MATCHER_MEMORY);
	compare_generated(4, 60, 60, 120, 40, SG_MATCHER_MEMORY_MIN);
}

/* Names that share beginnings of every length, long enough for several strides: one matcher that has seen all, a fresh one, and
 * reading. */
static void test_shared_beginnings(void **state)
{
	static const char *const globs[] = {"/**/key", "/a/**", "/a/{b,c}/*.x", "/**/b[0-9]*/**", "/a/bb*/c/**/d"};
	AUTO_FIXTURE struct fixture seen = {0};
	struct generator generator = {21};
	size_t matches = 0;

	(void)state;
	for (uint32_t g = 0; g < SG_ARRAY_SIZE(globs); g++)
		fixture_add(&seen, globs[g], g, UINT64_C(1) << g);
	fixture_compile(&seen, SG_MATCHER_MEMORY_MIN);
	for (size_t n = 0; n < 4000; n++) {
		static const char *const parts[] = {"/a",   "/bb1", "/c", "/b7x", "/key",
						    "/f.x", "//",   "/",  "/d",   "/longer-name"};
		SG_AUTO_MATCHER struct sg_matcher *fresh = NULL;
		char name[REFERENCE_NAME] = "/a";
		size_t length = 2;
		struct sg_match warm, cold;

		for (uint32_t left = generate_below(&generator, 7); left > 0; left--) {
			const char *part = parts[generate_below(&generator, SG_ARRAY_SIZE(parts))];

			memcpy(name + length, part, strlen(part));
			length += strlen(part);
		}
		assert_int_equal(sg_matcher_new(seen.set, SG_MATCHER_MEMORY_MIN, &fresh), 0);
		assert_int_equal(sg_matcher_match(seen.matcher, name, length, &warm), 0);
		assert_int_equal(sg_matcher_match(fresh, name, length, &cold), 0);
		assert_int_equal(warm.mask, cold.mask);
		matches += warm.mask != 0;
		for (uint32_t g = 0; g < SG_ARRAY_SIZE(globs); g++)
			if ((int)(warm.mask >> g & 1) != reference_match(globs[g], strlen(globs[g]), name, length))
				fail_msg("%s on %s", globs[g], name);
	}
	assert_true(matches > 1000);
}

/* The example of a glob is matched by it; most have one. */
static void test_examples(void **state)
{
	struct generator generator = {31};
	size_t valid = 0, without = 0;

	(void)state;
	for (size_t i = 0; i < 4000; i++) {
		char text[128];
		size_t length = generate_glob(&generator, text);
		SG_AUTO_GLOB struct sg_glob *glob = NULL;
		SG_AUTO_BUFFER struct sg_buffer name = SG_BUFFER_INIT;

		if (sg_glob_parse(text, length, NULL, &glob) < 0)
			continue;
		valid++;
		if (!sg_glob_example(glob, &name))
			without++;
		else if (reference_match(text, length, name.data, name.size) == 0)
			fail_msg("%.*s does not match %s", (int)length, text, name.data);
	}
	assert_true(valid > 2000 && without < valid / 20);
}

enum { MOVED_MAX = 64 };

struct moved {
	char texts[MOVED_MAX][512];
	size_t count;
};

static int note_moved(void *data, struct sg_glob *glob)
{
	struct moved *moved = data;
	size_t length;
	const char *text = sg_glob_text(glob, &length);

	assert_true(moved->count < MOVED_MAX && length < sizeof(moved->texts[0]));
	memcpy(moved->texts[moved->count], text, length);
	moved->texts[moved->count++][length] = '\0';
	sg_glob_free(glob);
	return 0;
}

static int is_matched(const char *glob, const char *folder, const char *rest)
{
	char name[REFERENCE_NAME];
	const int length = snprintf(name, sizeof(name), "%s%s", folder, rest);

	return reference_match(glob, strlen(glob), name, (size_t)length);
}

/* Wherever a glob matches below a folder, it or what it was moved to matches below the other one, and that nowhere else. */
static void test_moved(void **state)
{
	static const char *const folders[][2] = {
		{"/a", "/c/d"}, {"/a/b", "/c"}, {"/ab", "/c/d"}, {"/b/a", "/d"}, {"/ba", "/c"}};
	static struct moved moved;
	struct generator generator = {20261129};
	size_t matches = 0, alone = 0, unknown = 0;

	(void)state;
	for (size_t round = 0; round < 6000; round++) {
		SG_AUTO_GLOB struct sg_glob *glob = NULL;
		const char *const *folder = folders[round % SG_ARRAY_SIZE(folders)];
		char text[128];
		const size_t length = generate_glob(&generator, text);

		text[length] = '\0';
		moved.count = 0;
		if (sg_glob_parse(text, length, NULL, &glob) != 0)
			continue;
		if (sg_glob_move(glob, folder[0], folder[1], note_moved, &moved) == SG_GLOB_TOO_MANY) {
			unknown++;
			continue;
		}
		for (size_t n = 0; n < 40; n++) {
			char name[REFERENCE_NAME] = {0};
			bool found = false;
			int there;

			name[generate_name(&generator, name, 8)] = '\0';
			there = name[0] == '/' && strstr(name, "//") == NULL ? is_matched(text, folder[0], name) : -1;
			for (size_t i = 0; i < moved.count && there >= 0 && !found; i++)
				found = is_matched(moved.texts[i], folder[1], name) == 1;
			if (there < 0)
				continue;
			if (there == 0 ? found : !found && is_matched(text, folder[1], name) != 1)
				fail_msg("%s from %s to %s: %s%s is %d there", text, folder[0], folder[1], folder[0],
					 name, there);
			matches += there == 1;
			alone += found && is_matched(text, folder[1], name) != 1;
		}
	}
	assert_true(matches > 1000 && alone > 300 && unknown < 600);
}

/* No name that is matched begins as one that is said to be none. */
static void test_beginnings(void **state)
{
	struct generator generator = {1129};
	size_t none = 0, matches = 0;

	(void)state;
	for (size_t round = 0; round < 6000; round++) {
		SG_AUTO_GLOB struct sg_glob *glob = NULL;
		char text[128], raw[REFERENCE_NAME] = {0}, name[REFERENCE_NAME] = {0};
		const size_t length = generate_glob(&generator, text), given = generate_name(&generator, raw, 10);
		size_t size;

		text[length] = '\0';
		if (sg_glob_parse(text, length, NULL, &glob) != 0 || !reference_canonical(raw, given, name, &size))
			continue;
		none += !sg_glob_may_begin(glob, name, size);
		if (reference_match(text, length, name, size) != 1)
			continue;
		matches++;
		for (size_t i = 0; i <= size; i++)
			if (!sg_glob_may_begin(glob, name, i))
				fail_msg("%s matches %s, and not what begins with %zu bytes of it", text, name, i);
	}
	assert_true(none > 1000 && matches > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),       cmocka_unit_test(test_errors),
		cmocka_unit_test(test_limits),     cmocka_unit_test(test_facts),
		cmocka_unit_test(test_expand),     cmocka_unit_test(test_quote),
		cmocka_unit_test(test_generated),  cmocka_unit_test(test_shared_beginnings),
		cmocka_unit_test(test_examples),   cmocka_unit_test(test_moved),
		cmocka_unit_test(test_beginnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
