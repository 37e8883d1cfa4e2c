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

			if ((covered == SG_GLOB_YES && a == 0 && b == 1) || (overlap == SG_GLOB_NO && a == 1 && b == 1))
				fail_msg("%s, %s: covers %d, overlaps %d, but %s", texts[0], texts[1], covered, overlap,
					 name);
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
		assert_int_equal(
			sg_matcher_below(fixture.matcher, rows[i].directory, strlen(rows[i].directory), &below), 0);
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
		if (sg_matcher_same_below(fixture.matcher, rows[i].a, strlen(rows[i].a), rows[i].b, strlen(rows[i].b),
					  rows[i].mask) != rows[i].same)
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
		is_same = sg_matcher_same_below(fixture.matcher, directories[0], lengths[0], directories[1], lengths[1],
						mask);
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
				size_t length = (size_t)snprintf(names[d], sizeof(names[d]), "%s%.*s", directories[d],
								 (int)rest_length - 1, rest + 1);

				if (sg_matcher_match(fixture.matcher, names[d], length, &result[d]) < 0)
					break;
				if (d == 0 && strspn(rest, "/") < rest_length &&
				    ((result[0].mask & ~below.may) || (below.all & ~result[0].mask)))
					fail_msg("below %s may %lx all %lx, but %s is %lx", directories[0], below.may,
						 below.all, names[0], result[0].mask);
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
			       "????????????????????????????????????????????????????????????", i % 2 == 0 ? 'a' : 'b');
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
		assert_true(after.visited - before.visited <= 4 * sizeof(name) * sg_globset_nodes(fixture.set));
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
