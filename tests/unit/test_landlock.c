/* Rulesets of Landlock: what they give, and that what is called enforced is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/exporters.h"
#include "export/landlock_rules.h"
#include "glob_reference.h"
#include "policy/decide.h"
#include "policy/names.h"
#include "policy_of_text.h"

static struct sg_policy *policy_of(const char *text)
{
	struct sg_policy *policy = policy_of_text(text, strlen(text), "/srv/work");

	assert_non_null(policy);
	return policy;
}

/* The rights over a name: those of every hierarchy that it lies in, as the kernel adds them up. */
static unsigned int rights_over(const struct sg_landlock_rules *rules, const char *name, size_t length)
{
	unsigned int rights = 0;

	for (size_t i = 0; i < rules->count; i++) {
		const char *path = rules->places[i].path;
		const size_t size = strlen(path);
		const bool folder = path[size - 1] == '/';

		if (size <= length && memcmp(path, name, size) == 0 && (folder || size == length))
			rights |= rules->places[i].rights;
	}
	return rights;
}

static void test_rows(void **state)
{
	static const struct {
		const char *text, *name;
		unsigned int given, refused; /* rights */
	} rows[] = {
#define R(right) (1U << SG_LANDLOCK_##right)
		{"ReadOnly = ['/a/**']", "/a/b", R(READ_FILE) | R(READ_DIR), R(WRITE_FILE) | R(EXECUTE) | R(REFER)},
		{"ReadOnly = ['/a/**']", "/ab", 0, R(READ_FILE)},
		{"ReadOnly = ['/a/b']", "/a/b", R(READ_FILE), R(READ_DIR) | R(WRITE_FILE)},
		{"ReadOnly = ['/a/b']", "/a/c", 0, R(READ_FILE)},
		{"Exec = ['/a/{b,c}']", "/a/c", R(READ_FILE) | R(EXECUTE), R(WRITE_FILE)},
		{"Exec = ['/a/{b,c}']", "/a/d", 0, R(READ_FILE) | R(EXECUTE)},
		{"Exec = ['/a/*']", "/a/d", R(READ_FILE) | R(EXECUTE), R(WRITE_FILE)},
		{"Map = ['/a/**']", "/a/d", R(READ_FILE), R(EXECUTE)},
		{"ReadWrite = ['/a/**']", "/a/d",
		 R(READ_FILE) | R(WRITE_FILE) | R(MAKE_REG) | R(MAKE_DIR) | R(REMOVE_DIR) | R(REMOVE_FILE) | R(REFER) |
			 R(TRUNCATE),
		 R(EXECUTE) | R(MAKE_SYM) | R(MAKE_FIFO) | R(MAKE_SOCK) | R(MAKE_CHAR) | R(MAKE_BLOCK) | R(IOCTL_DEV)},
		{"ReadWrite = ['/a/**']\nFlags = ['links', 'mknod']", "/a/d", R(MAKE_SYM) | R(MAKE_FIFO) | R(MAKE_SOCK),
		 R(MAKE_CHAR) | R(MAKE_BLOCK)},
		{"ReadWrite = ['/a/b']", "/a/b", R(READ_FILE) | R(WRITE_FILE) | R(TRUNCATE), R(REMOVE_FILE)},
		{"ReadOnly = ['/a/*/']", "/a/", R(READ_DIR), R(READ_FILE)},
		{"Private = ['/home/somebody/']", "/home/somebody/x", 0, R(READ_FILE) | R(WRITE_FILE)},
		{"Private = ['/tmp/']", "/tmp/x", R(READ_FILE) | R(MAKE_REG), R(EXECUTE)},
		{"", "/dev/null", R(READ_FILE) | R(WRITE_FILE), R(EXECUTE)},
		{"", "/etc/passwd", 0, ~0U},
#undef R
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;
		struct sg_landlock_rules rules;
		unsigned int rights;

		sg_buffer_printf(&text, "[Filesystem]\n%s\n", rows[i].text);
		sg_buffer_append_byte(&text, '\0');
		policy = policy_of(text.data);
		assert_int_equal(sg_landlock_rules_find(policy, &rules), 0);
		rights = rights_over(&rules, rows[i].name, strlen(rows[i].name));
		if ((rights & rows[i].given) != rows[i].given || (rights & rows[i].refused) != 0)
			fail_msg("%s: %s has %x", rows[i].text, rows[i].name, rights);
		sg_landlock_rules_done(&rules);
	}
}

static void test_judgement(void **state)
{
	static const struct {
		const char *text;
		enum sg_rule_kind kind;
		enum sg_holding holding;
	} rows[] = {
		{"[Filesystem]\nReadOnly = ['/a/**']", SG_RULE_READ, SG_HOLDS},
		{"[Filesystem]\nReadOnly = ['/a/{b,c}']", SG_RULE_READ, SG_HOLDS},
		{"[Filesystem]\nReadOnly = ['/a/*.c']", SG_RULE_READ, SG_HOLDS_PARTLY},
		{"[Filesystem]\nReadOnly = ['/a/']", SG_RULE_READ, SG_HOLDS_PARTLY},
		{"[Filesystem]\nReadWrite = ['/a/b']", SG_RULE_WRITE, SG_HOLDS_STRICTER},
		{"[Filesystem]\nReadWrite = ['/a/**']", SG_RULE_WRITE, SG_HOLDS},
		{"[Filesystem]\nReadWrite = ['/dev/pts/*']", SG_RULE_WRITE, SG_HOLDS_PARTLY},
		{"[Filesystem]\nPrivate = ['/tmp/']", SG_RULE_PRIVATE, SG_HOLDS_PARTLY},
		{"[Filesystem]\nPrivate = ['/home/somebody/']", SG_RULE_PRIVATE, SG_HOLDS_STRICTER},
		/* A refusal holds where nothing is given, and nowhere else. */
		{"[Filesystem]\nReadOnly = ['/a/**']\nDeny = ['/a/b']", SG_RULE_DENY, SG_HOLDS_NOT},
		{"[Filesystem]\nReadOnly = ['/a/**']\nDeny = ['/{b,a}/b']", SG_RULE_DENY, SG_HOLDS_NOT},
		{"[Filesystem]\nReadOnly = ['/a/*']\nHide = ['/**/b']", SG_RULE_HIDE, SG_HOLDS_NOT},
		{"[Filesystem]\nReadOnly = ['/a/**']\nDeny = ['/b/**']", SG_RULE_DENY, SG_HOLDS_PARTLY},
		{"[Filesystem]\nReadOnly = ['/a/**']\nDenyWrite = ['/a/b']", SG_RULE_DENY_WRITE, SG_HOLDS_PARTLY},
		{"[Filesystem]\nReadOnly = ['/a/**']\nDenyExec = ['/a/b']", SG_RULE_DENY_EXECUTE, SG_HOLDS_PARTLY},
		{"[Filesystem]\nReadOnly = ['/a/**']\nDenyExec = ['/b/c']", SG_RULE_DENY_EXECUTE, SG_HOLDS},
		/* One folder, two names. */
		{"[Filesystem]\nExec = ['/usr/bin/*']\nDenyExec = ['/bin/su']", SG_RULE_DENY_EXECUTE, SG_HOLDS_NOT},
		{"[Filesystem]\nReadOnly = ['/lib/**']\nDeny = ['/usr/lib/x*']", SG_RULE_DENY, SG_HOLDS_NOT},
		{"[Filesystem]\nReadOnly = ['/lib/**']\nDeny = ['/u*/lib/x']", SG_RULE_DENY, SG_HOLDS_NOT},
		{"[Filesystem]\nExec = ['/a/**']\nDenyExec = ['/a/b']", SG_RULE_DENY_EXECUTE, SG_HOLDS_NOT},
		{"[Filesystem]\nReadOnly = ['/a/**']\nLogOnRead = ['/a/b']", SG_RULE_LOG_READ, SG_HOLDS_NOT},
		{"[Networking]\nAllow = ['tcp:*:443']", SG_RULE_ALLOW, SG_HOLDS},
		{"[Networking]\nAllow = ['tcp:10.0.0.1:443']", SG_RULE_ALLOW, SG_HOLDS_PARTLY},
		{"[Networking]\nAllow = ['*:10.0.0.1:443']", SG_RULE_ALLOW, SG_HOLDS_PARTLY},
		{"[Networking]\nAllow = ['udp:*:443']", SG_RULE_ALLOW, SG_HOLDS_NOT},
		{"[Networking]\nAllow = ['tcp:10.0.0.1:*']", SG_RULE_ALLOW, SG_HOLDS_NOT},
		{"[Networking]\nListen = ['tcp:*:80']", SG_RULE_LISTEN, SG_HOLDS},
		{"[Networking]\nFlags = ['incoming']\nListen = ['tcp:*:80']", SG_RULE_LISTEN, SG_HOLDS_NOT},
		{"[Networking]\nAllow = ['tcp:*:443']\nDeny = ['tcp:10.0.0.1:443']", SG_RULE_DENY_ADDRESS,
		 SG_HOLDS_NOT},
		{"[Networking]\nAllow = ['tcp:*:443']\nDeny = ['tcp:10.0.0.1:80']", SG_RULE_DENY_ADDRESS,
		 SG_HOLDS_PARTLY},
		{"[Networking]\nAllow = ['tcp:*:443']\nDeny = ['*:10.0.0.1:80']", SG_RULE_DENY_ADDRESS, SG_HOLDS_NOT},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_POLICY struct sg_policy *policy = policy_of(rows[i].text);
		struct sg_export with;
		const struct sg_hold *hold;

		assert_int_equal(sg_export_prepare(policy, &sg_export_landlock, &with), 0);
		hold = &with.rules[policy->first[rows[i].kind]];
		if (hold->holding != rows[i].holding || (hold->holding != SG_HOLDS && hold->how == NULL))
			fail_msg("%s: %d, %s", rows[i].text, (int)hold->holding, hold->how != NULL ? hold->how : "");
		sg_export_done(&with);
	}
}

static bool decides(const struct sg_policy *policy, struct sg_matcher *names, const char *name, size_t length,
		    unsigned int access)
{
	struct sg_decision decision;

	sg_decide(policy, names, name, length, access, false, &decision);
	return decision.verdict == SG_VERDICT_ALLOW;
}

static bool has_hold(const struct sg_export *with, enum sg_holding holding, const char *how)
{
	for (size_t i = 0; i < with->policy->rule_count; i++)
		if (with->rules[i].holding == holding && strstr(with->rules[i].how, how) != NULL)
			return true;
	return false;
}

/* Where a ruleset gives more than a session, a rule says so; where it gives less, one says that too. */
static void test_generated(void **state)
{
	static const struct {
		unsigned int access, right;
	} accesses[] = {{SG_ACCESS_READ, 1U << SG_LANDLOCK_READ_FILE},
			{SG_ACCESS_WRITE, 1U << SG_LANDLOCK_WRITE_FILE},
			{SG_ACCESS_EXECUTE, 1U << SG_LANDLOCK_EXECUTE}};
	struct generator generator = {23};
	size_t same = 0, more = 0, policies = 0;

	(void)state;
	while (policies < 400) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;
		SG_AUTO_GLOBSET struct sg_globset *set = NULL;
		SG_AUTO_MATCHER struct sg_matcher *matcher = NULL;
		struct sg_export with;

		generate_policy(&generator, (unsigned int)policies, &text);
		policy = policy_of_text(text.data, text.size - 1, "/srv/work");
		if (policy == NULL)
			continue;
		policies++;
		assert_int_equal(sg_export_prepare(policy, &sg_export_landlock, &with), 0);
		assert_int_equal(sg_globset_new(&set), 0);
		assert_int_equal(sg_names_add_policy(set, policy, 0, 0), 0);
		assert_int_equal(sg_globset_compile(set), 0);
		assert_int_equal(sg_matcher_new(set, SG_MATCHER_MEMORY_MIN, &matcher), 0);
		for (unsigned int n = 0; n < 200; n++) {
			char raw[REFERENCE_NAME], name[REFERENCE_NAME];
			size_t length, raw_length = generate_name(&generator, raw, 8);
			unsigned int rights;

			if (!reference_canonical(raw, raw_length, name, &length) || name[length - 1] == '/')
				continue;
			rights = rights_over(with.state, name, length);
			for (size_t i = 0; i < SG_ARRAY_SIZE(accesses); i++) {
				const bool ours = decides(policy, matcher, name, length, accesses[i].access);
				const bool theirs = (rights & accesses[i].right) != 0;

				same += ours == theirs;
				more += theirs && !ours;
				if (theirs && !ours && !has_hold(&with, SG_HOLDS_PARTLY, "whole folder") &&
				    !has_hold(&with, SG_HOLDS_NOT, "no refusals"))
					fail_msg("%s\ngives %x on %.*s", text.data, accesses[i].right, (int)length,
						 name);
				if (ours && !theirs)
					fail_msg("%s\nrefuses %x on %.*s", text.data, accesses[i].right, (int)length,
						 name);
			}
		}
		sg_export_done(&with);
	}
	assert_true(same > 10000 && more > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_judgement),
		cmocka_unit_test(test_generated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
