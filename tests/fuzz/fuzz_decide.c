/*
 * A profile and names: the decision about a name is the same every time, explains itself, never comes of a name that is not
 * canonical, and no Deny that is added allows anything that was not allowed before.
 *
 * Input: the profile, a NUL byte, and names, one a line (at most 16).
 */
#include <string.h>

#include "policy/decide.h"
#include "policy/glob_set.h"
#include "profile.h"

enum { NAMES = 16 };

/* The names of the policy by themselves, as world/plan_names.c takes them, but for what it adds of the host's files. */
static struct sg_globset *names_of(const struct sg_policy *policy)
{
	struct sg_globset *set;

	check(sg_globset_new(&set) == 0, "new");
	for (size_t i = 0; i < policy->rule_count; i++)
		if (policy->rules[i].glob != NULL && policy->rules[i].kind != SG_RULE_PRIVATE)
			check(sg_globset_add(set, policy->rules[i].glob, (uint32_t)i,
					     SG_NAME_BIT(policy->rules[i].kind)) == 0,
			      "add");
	check(sg_globset_compile(set) == 0, "compile");
	return set;
}

static void check_decision(const struct sg_policy *policy, const struct sg_decision *decision, unsigned int access)
{
	check(decision->reason != NULL, "no reason");
	check((decision->verdict == SG_VERDICT_ALLOW) == (decision->error == 0), "the error");
	check(decision->rule == NULL ||
		      (decision->rule >= policy->rules && decision->rule < policy->rules + policy->rule_count),
	      "a rule of another policy");
	check(((unsigned int)decision->access & ~access) == 0, "an access that was not asked for");
}

static bool same(const struct sg_decision *a, const struct sg_decision *b)
{
	return a->verdict == b->verdict && a->error == b->error && a->rule == b->rule && a->reason == b->reason &&
	       a->record == b->record && a->access == b->access;
}

/* Decides twice, the second time with a matcher that has just seen other names. */
static bool allows(const struct sg_policy *policy, struct sg_matcher *matcher, const char *name, size_t length,
		   unsigned int access, bool own)
{
	struct sg_decision first, other, second;

	sg_decide(policy, matcher, name, length, access, own, &first);
	check_decision(policy, &first, access);
	sg_decide(policy, matcher, "/usr/bin/", 9, access, own, &other);
	sg_decide(policy, matcher, name, length, access, own, &second);
	check(same(&first, &second), "two answers to one question");
	return first.verdict == SG_VERDICT_ALLOW;
}

/* A text "Deny = [NAME]", or nothing where the name cannot be written in one. */
static void write_deny(struct sg_buffer *text, const char *name, size_t length)
{
	SG_AUTO_BUFFER struct sg_buffer glob = SG_BUFFER_INIT;

	sg_glob_quote(&glob, name, length);
	sg_buffer_append_text(text, "[Filesystem]\nDeny = [");
	sg_buffer_append_json(text, glob.data == NULL ? "" : glob.data, glob.size);
	sg_buffer_append_text(text, "]\n");
	check(sg_buffer_status(&glob) == 0 && sg_buffer_status(text) == 0, "memory");
}

struct name {
	const char *text;
	size_t length;
};

/* The policy with a Deny of the first name more. */
static void check_monotonic(const char *profile, size_t size, const struct sg_policy *policy,
			    struct sg_matcher *matcher, const struct name *names, size_t count)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_BUFFER struct sg_buffer deny = SG_BUFFER_INIT;
	SG_AUTO_POLICY struct sg_policy *narrow = NULL;
	SG_AUTO_GLOBSET struct sg_globset *set = NULL;
	SG_AUTO_MATCHER struct sg_matcher *narrow_matcher = NULL;

	write_deny(&deny, names[0].text, names[0].length);
	if (compile(profile, size, deny.data, deny.size, &diagnostics, &narrow) != 0)
		return;
	set = names_of(narrow);
	check(sg_matcher_new(set, SG_MATCHER_MEMORY_MIN, &narrow_matcher) == 0, "matcher");
	for (size_t i = 0; i < count; i++) {
		for (unsigned int access = 1; access < 16; access++) {
			bool after = allows(narrow, narrow_matcher, names[i].text, names[i].length, access,
					    (access & 1) != 0);

			check(!after || i > 0, "what is denied by its name is allowed");
			check(!after || allows(policy, matcher, names[i].text, names[i].length, access,
					       (access & 1) != 0),
			      "a Deny more allows something");
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	SG_AUTO_GLOBSET struct sg_globset *set = NULL;
	SG_AUTO_MATCHER struct sg_matcher *matcher = NULL;
	const char *text = (const char *)data, *end = text + size, *split = memchr(data, '\0', size);
	struct name names[NAMES];
	size_t count = 0, profile_size;

	if (split == NULL)
		return 0;
	profile_size = (size_t)(split - text);
	for (const char *at = split + 1; at < end && count < NAMES; count++) {
		const char *line = memchr(at, '\n', (size_t)(end - at));

		names[count] = (struct name){at, (size_t)((line == NULL ? end : line) - at)};
		at = line == NULL ? end : line + 1;
	}
	if (count == 0 || compile(text, profile_size, NULL, 0, &diagnostics, &policy) != 0)
		return 0;
	set = names_of(policy);
	check(sg_matcher_new(set, SG_MATCHER_MEMORY_MIN, &matcher) == 0, "matcher");
	for (size_t i = 0; i < count; i++) {
		bool each = true;

		for (unsigned int access = 1; access < 16; access <<= 1)
			each = allows(policy, matcher, names[i].text, names[i].length, access, false) && each;
		/* All at once is allowed where each by itself is; nothing is allowed where nothing is asked. */
		check(allows(policy, matcher, names[i].text, names[i].length, 15, false) == each,
		      "the parts and the whole");
		check(!allows(policy, matcher, names[i].text, names[i].length, 0, true), "no access is allowed");
		check((names[i].length > 0 && names[i].text[0] == '/') ||
			      !allows(policy, matcher, names[i].text, names[i].length, 15, true),
		      "a relative name is allowed");
	}
	check_monotonic(text, profile_size, policy, matcher, names, count);
	return 0;
}
