/* Globs, sets and matchers for tests: a failure of making one is the test's. Included behind cmocka.h. */
#pragma once

#include <string.h>

#include "policy/glob.h"
#include "policy/glob_set.h"

static inline struct sg_glob *parse(const char *text)
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

static inline void fixture_add(struct fixture *fixture, const char *text, uint32_t rule, uint64_t mask)
{
	SG_AUTO_GLOB struct sg_glob *glob = parse(text);

	if (fixture->set == NULL)
		assert_int_equal(sg_globset_new(&fixture->set), 0);
	assert_int_equal(sg_globset_add(fixture->set, glob, rule, mask), 0);
}

static inline void fixture_compile(struct fixture *fixture, size_t memory)
{
	assert_int_equal(sg_globset_compile(fixture->set), 0);
	assert_int_equal(sg_matcher_new(fixture->set, memory, &fixture->matcher), 0);
}

static inline void fixture_done(struct fixture *fixture)
{
	sg_matcher_free(fixture->matcher);
	sg_globset_free(fixture->set);
}
#define AUTO_FIXTURE SG_CLEANUP(fixture_done)

static inline uint64_t match(struct fixture *fixture, const char *name)
{
	struct sg_match result = {0};

	(void)sg_matcher_match(fixture->matcher, name, strlen(name), &result);
	return result.mask;
}
