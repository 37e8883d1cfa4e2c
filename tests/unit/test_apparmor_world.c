/*
 * The profile that a session's world runs in, against the session's decision: it refuses no name that the session grants, and no name
 * that the policy refuses is given by it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apparmor_parser.h"
#include "base/fd.h"
#include "export/apparmor_world.h"
#include "glob_reference.h"
#include "policy/decide.h"
#include "policy/names.h"
#include "policy_of_text.h"

static char work[] = "/tmp/sg-aaworld-XXXXXX"; /* short: the profiles name it */

static struct sg_plan *plan_of(const struct sg_policy *policy)
{
	const struct sg_plan_options options = {.pty = true, .cwd = work};
	struct sg_error error = SG_ERROR_INIT;
	struct sg_plan *made = NULL;

	return sg_plan_make(policy, &options, &made, &error) == 0 ? made : NULL;
}

static void write_world(const struct sg_plan *plan, char *name, struct sg_buffer *out)
{
	const struct sg_rule *rule = NULL;

	assert_int_equal(sg_apparmor_world_write(plan, name, out, &rule), 0);
}

/* Compiles one profile and takes its automaton. `data` is the caller's. */
static void compile(const struct sg_buffer *text, struct dfa *dfa, char **data)
{
	SG_AUTO_FREE char *messages = NULL;
	struct dfa found[2];
	size_t size;

	if (run_parser(text, data, &size, &messages) != 0)
		fail_msg("apparmor_parser: %s", messages);
	assert_int_equal(find_dfas((unsigned char *)*data, size, found, SG_ARRAY_SIZE(found)), 1);
	*dfa = found[0];
}

static bool decides(const struct sg_plan *plan, struct sg_matcher *names, const char *name, size_t length,
		    unsigned int access)
{
	const struct sg_rule *rule;
	struct sg_decision decision;
	char text[REFERENCE_NAME + 1];

	memcpy(text, name, length);
	text[length] = '\0';
	sg_decide(plan->policy, names, name, length, access, sg_names_is_own(plan->policy, text, &rule), &decision);
	return decision.verdict == SG_VERDICT_ALLOW;
}

/* What a world has whatever the policy: folders of the skeleton, and what is mounted in it. */
static bool is_of_every_world(const struct sg_plan *plan, const char *name, size_t length)
{
	for (size_t i = 0; i < plan->mount_count; i++) {
		const char *target = plan->mounts[i].target;
		const size_t whole = strlen(target);

		if (length <= whole + 1 && name[length - 1] == '/' && strncmp(name, target, length - 1) == 0 &&
		    (target[length - 1] == '/' || target[length - 1] == '\0' || length == 1))
			return true;
		if (plan->mounts[i].kind != SG_MOUNT_TREE && length >= whole && strncmp(name, target, whole) == 0)
			return true;
	}
	return false;
}

/* True for a folder with something refused below it. */
static bool is_above_refusal(struct sg_matcher *names, const char *name, size_t length)
{
	struct sg_match_below below;

	return name[length - 1] == '/' && sg_matcher_below(names, name, length, &below) == 0 &&
	       (below.may & SG_NAMES_REFUSE) != 0;
}

struct tally {
	size_t given, refused;
};

static void compare(const struct sg_plan *plan, struct sg_matcher *names, const struct dfa *dfa, const char *text,
		    const char *name, size_t length, struct tally *tally)
{
	static const struct {
		unsigned int access;
		uint32_t bit;
	} rows[] = {{SG_ACCESS_READ, MAY_READ}, {SG_ACCESS_WRITE, MAY_WRITE}, {SG_ACCESS_EXECUTE, MAY_EXECUTE}};
	const uint32_t theirs = dfa_permissions(dfa, name, length) >> OTHERS;

	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		const bool ours = decides(plan, names, name, length, rows[i].access);
		const bool given = (theirs & rows[i].bit) != 0;

		if (given && !ours && !is_of_every_world(plan, name, length))
			fail_msg("%s\non %.*s: AppArmor allows %x", text, (int)length, name, rows[i].bit);
		/* What is above a refusal may not be moved: of those a session decides each change (plan->decide_changes). */
		if (!given && ours &&
		    !(rows[i].bit == MAY_WRITE && plan->decide_changes && is_above_refusal(names, name, length)))
			fail_msg("%s\non %.*s: AppArmor refuses %x", text, (int)length, name, rows[i].bit);
		*(ours ? &tally->given : &tally->refused) += 1;
	}
}

enum { POLICIES = 60, NAMES = 300, ROUNDS = 2 };

static void test_generated(void **state)
{
	struct generator generator = {23};
	struct tally tally = {0};

	(void)state;
	for (unsigned int i = 0; i < POLICIES * ROUNDS;) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, profile = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;
		SG_AUTO_PLAN struct sg_plan *plan = NULL;
		SG_AUTO_MATCHER struct sg_matcher *matcher = NULL;
		SG_AUTO_FREE char *data = NULL;
		char profile_name[SG_APPARMOR_WORLD_NAME_SIZE];
		struct dfa dfa;

		generate_policy(&generator, i, &text);
		policy = policy_of_text(text.data, text.size - 1, work);
		plan = policy != NULL ? plan_of(policy) : NULL;
		if (plan == NULL)
			continue;
		i++;
		write_world(plan, profile_name, &profile);
		compile(&profile, &dfa, &data);
		assert_int_equal(sg_matcher_new(plan->names, SG_MATCHER_MEMORY_MIN, &matcher), 0);
		for (unsigned int n = 0; n < NAMES; n++) {
			char raw[REFERENCE_NAME], name[REFERENCE_NAME];
			size_t length, raw_length = generate_name(&generator, raw, 10);

			if (reference_canonical(raw, raw_length, name, &length))
				compare(plan, matcher, &dfa, text.data, name, length, &tally);
		}
	}
	assert_true(tally.given > 5000 && tally.refused > 5000);
}

/* Text, name, and what of it is given: letters of "rwmxlk". WORK stands for the test's folder, of which there is `real` and `link`. */
static void test_rows(void **state)
{
	static const struct {
		const char *text, *name, *given, *not ;
	} rows[] = {
		{"ReadOnly = ['WORK/real/**']", "WORK/real/a", "rk", "wx"},
		{"ReadOnly = ['WORK/link/**']", "WORK/real/a", "r", "w"},
		{"ReadWrite = ['WORK/**']\nDeny = ['WORK/link/secret']", "WORK/real/secret", "", "rwmxk"},
		{"ReadWrite = ['WORK/**']", "WORK/real/a", "rwlk", "x"},
		{"ReadWrite = ['WORK/**']", "WORK/", "rwk", "x"},
		{"ReadWrite = ['WORK/**']\nDeny = ['WORK/a']", "WORK/", "rk", "w"},
		{"Exec = ['WORK/real/*']", "WORK/real/a", "rmx", "w"},
		/* A mount with code lets all on it be mapped. */
		{"ReadOnly = ['WORK/real/**']\nExec = ['WORK/real/a*']", "WORK/real/b", "rm", "wx"},
		{"ReadOnly = ['WORK/real/**']", "WORK/", "r", "w"},
		{"ReadOnly = ['WORK/real/**']", "/", "r", "w"},
		{"ReadOnly = ['WORK/real/**']", "/etc/", "", "rw"},
		{"Private = ['/tmp/']", "/tmp/b", "rwlk", "x"},
		{"Private = ['/tmp/']", "/tmp/", "rw", "x"},
		{"Private = ['/home/somebody/']", "/home/somebody/.ssh/id", "rw", ""},
		{"Private = ['/tmp/']\nDeny = ['/tmp/b']", "/tmp/b", "", "rw"},
		/* Made natively in a folder of the world's own: nothing stands above the refused name. */
		{"Private = ['/tmp/']\nDeny = ['/tmp/d/b']", "/tmp/d/", "rw", ""},
		{"", "/proc/17/maps", "rw", "x"},
		{"Deny = ['/proc/self/environ']", "/proc/17/environ", "", "r"},
		{"Deny = ['/proc/self/environ']", "/proc/17/maps", "r", ""},
		{"", "/dev/null", "rw", "x"},
		{"", "/dev/pts/3", "rw", "x"},
		{"Deny = ['/dev/null']", "/dev/null", "", "rw"},
		{"", "/dev/sda", "", "rw"},
		{"", "/etc/passwd", "", "rwmx"},
	};
	static const struct {
		char letter;
		uint32_t bit;
	} letters[] = {{'r', MAY_READ},    {'w', MAY_WRITE}, {'m', MAY_MAP},
		       {'x', MAY_EXECUTE}, {'l', MAY_LINK},  {'k', MAY_LOCK}};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, name = SG_BUFFER_INIT, profile = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;
		SG_AUTO_PLAN struct sg_plan *plan = NULL;
		SG_AUTO_FREE char *data = NULL;
		char profile_name[SG_APPARMOR_WORLD_NAME_SIZE];
		const char *const sources[] = {rows[i].text, rows[i].name};
		struct sg_buffer *const targets[] = {&text, &name};
		struct dfa dfa;
		uint32_t given;

		sg_buffer_append_text(&text, "[Filesystem]\n");
		for (size_t j = 0; j < SG_ARRAY_SIZE(sources); j++)
			for (const char *at = sources[j]; *at != '\0'; at++) {
				if (strncmp(at, "WORK", 4) != 0) {
					sg_buffer_append_byte(targets[j], *at);
					continue;
				}
				sg_buffer_append_text(targets[j], work);
				at += 3;
			}
		policy = policy_of_text(text.data, text.size, work);
		assert_non_null(policy);
		plan = plan_of(policy);
		assert_non_null(plan);
		write_world(plan, profile_name, &profile);
		compile(&profile, &dfa, &data);
		given = dfa_permissions(&dfa, name.data, name.size) >> OTHERS;
		for (size_t j = 0; j < SG_ARRAY_SIZE(letters); j++) {
			if ((given & letters[j].bit) == 0 && strchr(rows[i].given, letters[j].letter) != NULL)
				fail_msg("%s on %s: %c is not given", rows[i].text, rows[i].name, letters[j].letter);
			if ((given & letters[j].bit) != 0 && strchr(rows[i].not, letters[j].letter) != NULL)
				fail_msg("%s on %s: %c is given", rows[i].text, rows[i].name, letters[j].letter);
		}
	}
}

static int no_more(void *data, const char *name, const struct sg_source *from, struct sg_source **ret,
		   struct sg_error *error)
{
	char path[4096];
	SG_AUTO_FD int fd = -1;

	(void)from;
	(void)snprintf(path, sizeof(path), "%s/profiles/%s.toml", (const char *)data, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return sg_source_read(fd, path, SG_TOML_TEXT_MAX, error, ret);
}

/* Each that is shipped has a profile that the compiler takes without a warning; the same each time, and another for each. */
static void test_shipped(void **state)
{
	const struct sg_variables variables = {
		.cwd = work, .home = "/root", .user = "root", .uid = "0", .runtime = "/run/user/0"};
	const char *root = getenv("SG_SOURCE_ROOT");
	char path[4096], names[64][SG_APPARMOR_WORLD_NAME_SIZE];
	size_t count = 0;
	struct dirent *entry;
	DIR *folder;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/profiles", root != NULL ? root : ".");
	folder = opendir(path);
	assert_non_null(folder);
	while ((entry = readdir(folder)) != NULL) {
		SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
		SG_AUTO_BUFFER struct sg_buffer profile = SG_BUFFER_INIT, again = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;
		SG_AUTO_PLAN struct sg_plan *plan = NULL;
		SG_AUTO_PLAN struct sg_plan *second = NULL;
		SG_AUTO_FREE char *data = NULL;
		struct sg_error error = SG_ERROR_INIT;
		struct sg_source *source = NULL;
		char name[256] = "";
		struct dfa dfa;

		if (sscanf(entry->d_name, "%255[^.].toml", name) != 1 || name[0] == '\0' || count == 64)
			continue;
		assert_int_equal(no_more((void *)(uintptr_t)(root != NULL ? root : "."), name, NULL, &source, &error),
				 0);
		assert_int_equal(sg_policy_compile(&source, 1, &variables, no_more,
						   (void *)(uintptr_t)(root != NULL ? root : "."), &diagnostics,
						   &policy, &error),
				 0);
		plan = plan_of(policy);
		second = plan_of(policy);
		assert_true(plan != NULL && second != NULL);
		write_world(plan, names[count], &profile);
		write_world(second, name, &again);
		assert_string_equal(names[count], name);
		assert_true(profile.size == again.size && memcmp(profile.data, again.data, again.size) == 0);
		sg_buffer_append_byte(&again, '\0');
		/* Nothing of this process's. */
		(void)snprintf(name, sizeof(name), "/proc/%d/", (int)getpid());
		assert_null(strstr(again.data, name));
		compile(&profile, &dfa, &data);
		for (size_t i = 0; i < count; i++)
			assert_string_not_equal(names[i], names[count]);
		count++;
	}
	assert_int_equal(closedir(folder), 0);
	assert_true(count >= 5);
}

/* No name of a mount ends a rule or begins one. */
static void test_smuggling(void **state)
{
	static const char text[] = "[Filesystem]\nPrivate = [\"${CWD}/\"]\n";
	static const char folder[] =
		"/a\n  /etc/shadow rw,\n}\nprofile smuggled { /etc/shadow r,\n#\" rw, \"/etc/shadow";
	SG_AUTO_POLICY struct sg_policy *policy = policy_of_text(text, strlen(text), folder);
	SG_AUTO_BUFFER struct sg_buffer profile = SG_BUFFER_INIT;
	SG_AUTO_PLAN struct sg_plan *plan = NULL;
	SG_AUTO_FREE char *data = NULL;
	char name[SG_APPARMOR_WORLD_NAME_SIZE], below[128];
	struct dfa dfa;

	(void)state;
	assert_non_null(policy);
	plan = plan_of(policy);
	assert_non_null(plan);
	write_world(plan, name, &profile);
	compile(&profile, &dfa, &data);
	assert_int_equal(dfa_permissions(&dfa, "/etc/shadow", 11) >> OTHERS & MAY_READ, 0);
	(void)snprintf(below, sizeof(below), "%s/x", folder);
	assert_true((dfa_permissions(&dfa, below, strlen(below)) >> OTHERS & MAY_WRITE) != 0);
}

/* What AppArmor's language cannot hold is said, and nothing is written. */
static void test_too_many(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, out = SG_BUFFER_INIT;
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	SG_AUTO_PLAN struct sg_plan *plan = NULL;
	const struct sg_rule *rule = NULL;
	char name[SG_APPARMOR_WORLD_NAME_SIZE];

	(void)state;
	sg_buffer_append_text(&text, "[Filesystem]\nReadOnly = ['/a/{,b}*");
	for (int i = 0; i < 11; i++)
		sg_buffer_append_text(&text, "{c,d}");
	sg_buffer_append_text(&text, "']\n");
	policy = policy_of_text(text.data, text.size, work);
	assert_non_null(policy);
	plan = plan_of(policy);
	assert_non_null(plan);
	assert_int_equal(sg_apparmor_world_write(plan, name, &out, &rule), 1);
	assert_int_equal(rule->kind, SG_RULE_READ);
	assert_int_equal(out.size, 0);
}

static int make(void **state)
{
	char path[64], target[64];

	(void)state;
	if (mkdtemp(work) == NULL)
		return -1;
	(void)snprintf(target, sizeof(target), "%s/real", work);
	(void)snprintf(path, sizeof(path), "%s/link", work);
	return mkdir(target, 0755) == 0 && symlink("real", path) == 0 ? 0 : -1;
}

static int drop(void **state)
{
	char path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/link", work);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/real", work);
	(void)rmdir(path);
	return rmdir(work);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),     cmocka_unit_test(test_shipped),   cmocka_unit_test(test_smuggling),
		cmocka_unit_test(test_too_many), cmocka_unit_test(test_generated),
	};
	const int missing = find_parser();

	if (missing != 0)
		return missing;
	return cmocka_run_group_tests(tests, make, drop);
}
