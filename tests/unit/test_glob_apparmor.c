/*
 * Our reading of globs against AppArmor's own compiler.
 *
 * Each glob becomes the one file rule of a profile; apparmor_parser compiles the profiles (nothing is
 * loaded), and the automata in its output are walked with the same names as our matcher.
 *
 * Where AppArmor, given the same text, reads it differently than we do, on purpose (test_differences proves
 * each):
 *   - its negated classes match '/' and NUL; its '?' and stars do not;
 *   - whether a star fills a component is told from the two characters beside it, so "{*,b}" behind a '/'
 * matches nothing too, where each alternative written out would not;
 *   - repeated slashes count as one only where they stand side by side in the text, not through braces;
 *   - "[!a]" is a class of two characters, "***" the same as "**", and "." or ".." components are taken
 * literally: all three are errors here. sg_glob_to_apparmor() writes around all of them, so what it writes
 * must accept exactly the same canonical names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apparmor_parser.h"
#include "glob_generate.h"
#include "glob_reference.h"
#include "policy/glob.h"
#include "policy/glob_set.h"

/* Compiles one profile for each of `count` rule paths (they come out sorted by their names). The data (free)
 * is what the automata point into. */
static char *compile_paths(char *const *paths, size_t count, struct dfa *dfas)
{
	SG_AUTO_BUFFER struct sg_buffer profiles = SG_BUFFER_INIT;
	SG_AUTO_FREE char *messages = NULL;
	char *data = NULL;
	size_t size = 0;

	sg_buffer_append_text(&profiles, "abi <abi/3.0>,\n");
	for (size_t i = 0; i < count; i++)
		sg_buffer_printf(&profiles, "profile g%06zu { %s r, }\n", i, paths[i]);
	assert_int_equal(sg_buffer_status(&profiles), 0);
	if (run_parser(&profiles, &data, &size, &messages) != 0 || strstr(messages, "unnecessarily") != NULL)
		fail_msg("apparmor_parser: %s", messages);
	assert_int_equal(find_dfas((unsigned char *)data, size, dfas, count), count);
	return data;
}

static bool our_match(const char *text, const char *name, size_t length)
{
	SG_AUTO_GLOB struct sg_glob *glob = NULL;
	SG_AUTO_GLOBSET struct sg_globset *set = NULL;
	SG_AUTO_MATCHER struct sg_matcher *matcher = NULL;
	struct sg_match result = {0};

	if (sg_glob_parse(text, strlen(text), NULL, &glob) < 0)
		return false;
	assert_int_equal(sg_globset_new(&set), 0);
	assert_int_equal(sg_globset_add(set, glob, 0, 1), 0);
	assert_int_equal(sg_globset_compile(set), 0);
	assert_int_equal(sg_matcher_new(set, SG_MATCHER_MEMORY_MIN, &matcher), 0);
	(void)sg_matcher_match(matcher, name, length, &result);
	return result.mask != 0;
}

static bool dfa_accepts(const struct dfa *dfa, const char *name, size_t length)
{
	return (dfa_permissions(dfa, name, length) & MAY_READ) != 0;
}

enum { GLOBS = 200, NAMES = 400 };

/* Compares, for each glob, the automaton of what we write with our matcher over `names` generated names. */
static void compare(const char *const *texts, size_t count, uint64_t seed, size_t *matches)
{
	SG_AUTO_GLOBSET struct sg_globset *set = NULL;
	SG_AUTO_MATCHER struct sg_matcher *matcher = NULL;
	struct dfa dfas[GLOBS];
	char *paths[GLOBS];
	struct generator generator = {seed};

	assert_true(count <= GLOBS);
	assert_int_equal(sg_globset_new(&set), 0);
	for (size_t i = 0; i < count; i++) {
		SG_AUTO_GLOB struct sg_glob *glob = NULL;
		struct sg_buffer buffer = SG_BUFFER_INIT;

		assert_int_equal(sg_glob_parse(texts[i], strlen(texts[i]), NULL, &glob), 0);
		assert_int_equal(sg_globset_add(set, glob, (uint32_t)i, 1), 0);
		assert_int_equal(sg_glob_to_apparmor(glob, &buffer), 0);
		paths[i] = sg_buffer_take(&buffer);
	}
	assert_int_equal(sg_globset_compile(set), 0);
	assert_int_equal(sg_matcher_new(set, SG_MATCHER_MEMORY, &matcher), 0);

	SG_AUTO_FREE SG_UNUSED char *data = compile_paths(paths, count, dfas);

	for (size_t n = 0; n < NAMES; n++) {
		char raw[REFERENCE_NAME], name[REFERENCE_NAME];
		uint32_t rules[GLOBS];
		size_t length, rule_count, at = 0, raw_length = generate_name(&generator, raw, 12);
		struct sg_match result;

		if (!reference_canonical(raw, raw_length, name, &length))
			continue;
		assert_int_equal(sg_matcher_match(matcher, name, length, &result), 0);
		rule_count = sg_matcher_rules(matcher, 1, rules, GLOBS);
		for (size_t i = 0; i < count; i++) {
			bool ours = at < rule_count && rules[at] == i, theirs = dfa_accepts(&dfas[i], name, length);

			at += ours;
			*matches += ours;
			if (ours != theirs)
				fail_msg("%s, written %s, on %.*s: ours %d, theirs %d", texts[i], paths[i], (int)length,
					 name, ours, theirs);
		}
	}
	for (size_t i = 0; i < count; i++)
		free(paths[i]);
}

static void test_generated(void **state)
{
	struct generator generator = {7};
	size_t matches = 0;

	(void)state;
	for (uint64_t round = 0; round < 4; round++) {
		static char texts[GLOBS][128];
		const char *pointers[GLOBS];

		for (size_t i = 0; i < GLOBS;) {
			SG_AUTO_GLOB struct sg_glob *glob = NULL;
			size_t length = generate_glob(&generator, texts[i]);

			texts[i][length] = '\0';
			pointers[i] = texts[i];
			i += sg_glob_parse(texts[i], length, NULL, &glob) == 0;
		}
		compare(pointers, GLOBS, 100 + round, &matches);
	}
	assert_true(matches > 1000);
}

/* What stands in the manual, as written by a person: AppArmor reads the very same text as we do. */
static void test_same_text(void **state)
{
	static char rows[][16] = {
		"/a/b",  "/a/*",   "/a/a*",       "/a/*.b",    "/a/",   "/a/*/", "/a/a*/",   "/a/*a/",
		"/a/**", "/a/**/", "/a{,1,b}/**", "/a/**[^/]", "/a//b", "/a/?",  "/a/[ab]*", "/a/[a-c]",
	};
	char *texts[SG_ARRAY_SIZE(rows)];
	struct dfa dfas[SG_ARRAY_SIZE(rows)];
	struct generator generator = {9};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++)
		texts[i] = rows[i];
	SG_AUTO_FREE SG_UNUSED char *data = compile_paths(texts, SG_ARRAY_SIZE(texts), dfas);

	for (size_t n = 0; n < NAMES; n++) {
		char raw[REFERENCE_NAME] = "/a", name[REFERENCE_NAME];
		size_t length, raw_length = 2 + generate_name(&generator, raw + 2, 8);

		if (!reference_canonical(raw, raw_length, name, &length))
			continue;
		for (size_t i = 0; i < SG_ARRAY_SIZE(texts); i++)
			if (our_match(texts[i], name, length) != dfa_accepts(&dfas[i], name, length))
				fail_msg("%s on %.*s", texts[i], (int)length, name);
	}
}

static void test_differences(void **state)
{
	static const struct {
		const char *glob, *name;
		size_t length;
		bool ours, theirs;
		bool error; /* not a glob here */
	} rows[] = {
		{"/a[^b]c", "/a/c", 4, false, true, false}, {"/a[^b]c", "/a\0c", 4, false, true, false},
		{"/a?c", "/a/c", 4, false, false, false},   {"/a/{*,b}", "/a/", 3, false, true, false},
		{"/a/{b,}*", "/a/", 3, false, true, false}, {"/a/{/b,c}", "/a/b", 4, true, false, false},
		{"/[!a]b", "/!b", 3, false, true, true},    {"/[!a]b", "/cb", 3, false, false, true},
		{"/a***", "/a/b", 4, false, true, true},    {"/a/../b", "/a/../b", 7, false, true, true},
	};
	char *texts[SG_ARRAY_SIZE(rows)];
	struct dfa dfas[SG_ARRAY_SIZE(rows)];

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		assert_true(asprintf(&texts[i], "\"%s\"", rows[i].glob) > 0);
	}
	SG_AUTO_FREE SG_UNUSED char *data = compile_paths(texts, SG_ARRAY_SIZE(rows), dfas);

	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_GLOB struct sg_glob *glob = NULL;
		SG_AUTO_BUFFER struct sg_buffer buffer = SG_BUFFER_INIT;
		struct dfa written;

		free(texts[i]);
		assert_int_equal(dfa_accepts(&dfas[i], rows[i].name, rows[i].length), rows[i].theirs);
		assert_int_equal(our_match(rows[i].glob, rows[i].name, rows[i].length), rows[i].ours);
		assert_int_equal(sg_glob_parse(rows[i].glob, strlen(rows[i].glob), NULL, &glob),
				 rows[i].error ? -EINVAL : 0);
		if (rows[i].error)
			continue;
		assert_int_equal(sg_glob_to_apparmor(glob, &buffer), 0);

		SG_AUTO_FREE SG_UNUSED char *written_data = compile_paths(&buffer.data, 1, &written);

		assert_int_equal(dfa_accepts(&written, rows[i].name, rows[i].length), rows[i].ours);
	}
}

/* A name that looks like policy stays a name: it is accepted itself, and it gives nothing else. */
static void test_smuggling(void **state)
{
	static const char *const names[] = {
		"/a\n/etc/shadow rw,\n",
		"/a\" rw, \"/etc/shadow",
		"/a, /etc/shadow r,",
		"/a r, } profile x { /etc/shadow r",
		"/a#comment",
		"/a # r,\n/etc/shadow r",
		"/a\\",
		"/a\\\"",
		"/a\\n",
		"/a\\101",
		"/@{HOME}/x",
		"/${HOME}/x",
		"/a->b",
		"/{x,y}[z]*?^",
		"/a\t\r\x01\x7f",
		"/caf\xc3\xa9\xe2\x80\xae",
		"/\xff\xfe",
		"/ a ",
		"/'=:+~%&;<>|()!$",
		"/include <x>",
	};
	char *paths[SG_ARRAY_SIZE(names)];
	struct dfa dfas[SG_ARRAY_SIZE(names)];

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(names); i++) {
		SG_AUTO_GLOB struct sg_glob *glob = NULL;
		SG_AUTO_BUFFER struct sg_buffer quoted = SG_BUFFER_INIT;
		struct sg_buffer buffer = SG_BUFFER_INIT;

		sg_glob_quote(&quoted, names[i], strlen(names[i]));
		assert_int_equal(sg_glob_parse(quoted.data, quoted.size, NULL, &glob), 0);
		assert_int_equal(sg_glob_to_apparmor(glob, &buffer), 0);
		paths[i] = sg_buffer_take(&buffer);
		for (const char *c = paths[i]; *c != '\0'; c++)
			assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
	}
	SG_AUTO_FREE SG_UNUSED char *data = compile_paths(paths, SG_ARRAY_SIZE(names), dfas);

	for (size_t i = 0; i < SG_ARRAY_SIZE(names); i++) {
		for (size_t j = 0; j < SG_ARRAY_SIZE(names); j++)
			if (dfa_accepts(&dfas[i], names[j], strlen(names[j])) != (i == j))
				fail_msg("%s, of row %zu, on row %zu", paths[i], i, j);
		assert_false(dfa_accepts(&dfas[i], "/etc/shadow", 11));
		assert_false(dfa_accepts(&dfas[i], "/a", 2));
		free(paths[i]);
	}
}

/* Every single byte in a class, positive and negated, alone with '-' or '^' and among others. */
static void test_classes(void **state)
{
	static const char *const texts[] = {
		"/[\\^\\-]", "/[^\\^\\-]", "/[a^]",         "/[a-]",         "/[\\]\\[]",        "/[*?]",
		"/[^*?]",    "/[{},]",     "/[^{},]",       "/[\\\\a]",      "/[\"'#@ ]",        "/[+-9]",
		"/[ -~]",    "/[^ -~]",    "/[.|()+$]",     "/[0-9a-fA-F_]", "/[\n\t]",          "/[^\n\t]",
		"/[\\!a]",   "/[^!]",      "/{[a,b],[,]c}", "/[a-c.]x[-z]",  "/\\@{[a-z],HOME}", "/?",
	};
	struct dfa dfas[SG_ARRAY_SIZE(texts)];
	char *paths[SG_ARRAY_SIZE(texts)];

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(texts); i++) {
		SG_AUTO_GLOB struct sg_glob *glob = NULL;
		struct sg_buffer buffer = SG_BUFFER_INIT;

		assert_int_equal(sg_glob_parse(texts[i], strlen(texts[i]), NULL, &glob), 0);
		assert_int_equal(sg_glob_to_apparmor(glob, &buffer), 0);
		paths[i] = sg_buffer_take(&buffer);
	}
	SG_AUTO_FREE SG_UNUSED char *data = compile_paths(paths, SG_ARRAY_SIZE(texts), dfas);

	for (size_t i = 0; i < SG_ARRAY_SIZE(texts); i++) {
		for (unsigned int byte = 0; byte < 256; byte++) {
			char name[2] = {'/', (char)byte};
			bool ours = byte != '.' && our_match(texts[i], name, 2);

			/* "/." is no canonical name, so what AppArmor says to it does not matter. */
			if (byte != '.' && ours != dfa_accepts(&dfas[i], name, 2))
				fail_msg("%s, written %s, on byte %02x: ours %d", texts[i], paths[i], byte, ours);
		}
		free(paths[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_text), cmocka_unit_test(test_differences), cmocka_unit_test(test_classes),
		cmocka_unit_test(test_smuggling), cmocka_unit_test(test_generated),
	};
	const int missing = find_parser();

	if (missing != 0)
		return missing;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
