/*
 * Profiles of AppArmor against the session's decision.
 *
 * Policies made at random become profiles, apparmor_parser compiles them, and names made at random are asked of both. A profile never
 * gives more than a session; it gives the same, but for writing to folders above a refused name (export/apparmor_above.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apparmor_parser.h"
#include "export/apparmor_host.h"
#include "export/exporters.h"
#include "glob_reference.h"
#include "policy/decide.h"
#include "policy/names.h"
#include "policy_of_text.h"

/* Appends the profile without what stands before it. */
static void append_profile(const struct sg_policy *policy, struct sg_buffer *out)
{
	SG_AUTO_BUFFER struct sg_buffer artefact = SG_BUFFER_INIT;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_export with;
	const char *start;

	assert_int_equal(sg_export_prepare(policy, &sg_export_apparmor, &with), 0);
	if (sg_export_apparmor.write(&with, &artefact, &error) != 0)
		fail_msg("%s", error.text);
	sg_export_done(&with);
	sg_buffer_append_byte(&artefact, '\0');
	start = strstr(artefact.data, "\nprofile \"");
	assert_non_null(start);
	sg_buffer_append_text(out, start);
}

/* What a session decides on. */
static struct sg_globset *names_of(const struct sg_policy *policy)
{
	struct sg_globset *set = NULL;

	assert_int_equal(sg_globset_new(&set), 0);
	assert_int_equal(sg_names_add_policy(set, policy, 0, 0), 0);
	assert_int_equal(sg_globset_compile(set), 0);
	return set;
}

static bool decides(const struct sg_policy *policy, struct sg_matcher *names, const char *name, size_t length,
		    unsigned int access)
{
	struct sg_decision decision;

	sg_decide(policy, names, name, length, access, false, &decision);
	return decision.verdict == SG_VERDICT_ALLOW;
}

static bool may_map(struct sg_matcher *names, const char *name, size_t length)
{
	const uint64_t gives = SG_NAME_BIT(SG_RULE_MAP) | SG_NAME_BIT(SG_RULE_EXECUTE);
	const uint64_t refuses = SG_NAME_BIT(SG_RULE_DENY) | SG_NAME_BIT(SG_RULE_HIDE);
	struct sg_match match;

	assert_int_equal(sg_matcher_match(names, name, length, &match), 0);
	return (match.mask & gives) != 0 && (match.mask & refuses) == 0;
}

/* True for a folder with something refused below it that a rule could match. */
static bool is_above_refusal(struct sg_matcher *names, const char *name, size_t length)
{
	struct sg_match_below below;

	return name[length - 1] == '/' && sg_matcher_below(names, name, length, &below) == 0 &&
	       (below.may & SG_NAMES_REFUSE) != 0;
}

struct tally {
	size_t given, refused, stricter;
};

/* The kernel asks twice: for the new name alone, and for the pair of both names (security/apparmor/file.c, profile_path_link). */
static bool may_link(const struct dfa *dfa, const char *name, size_t length)
{
	char pair[REFERENCE_NAME + 8];

	memcpy(pair, name, length);
	memcpy(pair + length, "\0/x", 4);
	return ((dfa_permissions(dfa, name, length) & dfa_permissions(dfa, pair, length + 3)) >> OTHERS & MAY_LINK) !=
	       0;
}

static void compare_name(const struct sg_policy *policy, struct sg_matcher *names, const struct dfa *dfa,
			 const char *text, const char *name, size_t length, struct tally *tally)
{
	const uint32_t theirs = dfa_permissions(dfa, name, length) >> OTHERS;
	uint32_t ours = 0;

	ours |= decides(policy, names, name, length, SG_ACCESS_READ) ? MAY_READ : 0;
	ours |= decides(policy, names, name, length, SG_ACCESS_WRITE) ? MAY_WRITE : 0;
	ours |= decides(policy, names, name, length, SG_ACCESS_EXECUTE) ? MAY_EXECUTE : 0;
	ours |= may_map(names, name, length) ? MAY_MAP : 0;
	for (uint32_t bit = 1; bit <= MAY_MAP; bit <<= 1) {
		if ((bit & (MAY_READ | MAY_WRITE | MAY_EXECUTE | MAY_MAP)) == 0)
			continue;
		if ((theirs & bit) != 0 && (ours & bit) == 0)
			fail_msg("%s\non %.*s: AppArmor allows %x", text, (int)length, name, bit);
		if ((theirs & bit) == 0 && (ours & bit) != 0) {
			if (bit != MAY_WRITE || !is_above_refusal(names, name, length))
				fail_msg("%s\non %.*s: AppArmor refuses %x", text, (int)length, name, bit);
			tally->stricter++;
		}
		*((ours & bit) != 0 ? &tally->given : &tally->refused) += 1;
	}
	/* A link is made under a name that may be written, and under no other. */
	if (may_link(dfa, name, length) && (ours & MAY_WRITE) == 0)
		fail_msg("%s\non %.*s: AppArmor lets links be made", text, (int)length, name);
}

/* Folders above a refused name keep theirs, unless the matrix says that they may not (`moves`). */
static void check_folders_above(struct sg_matcher *names, const struct dfa *dfa, bool moves, const char *text,
				const char *name, size_t length)
{
	const uint64_t whole = SG_NAME_BIT(SG_RULE_DENY) | SG_NAME_BIT(SG_RULE_DENY_WRITE) | SG_NAME_BIT(SG_RULE_HIDE);
	const uint64_t read = SG_NAME_BIT(SG_RULE_DENY_READ);
	struct sg_match match;

	assert_int_equal(sg_matcher_match(names, name, length, &match), 0);
	for (size_t end = 2; end < length && !moves && (match.mask & (whole | read)) != 0; end++) {
		/* The kernel asks for reading too, of what is renamed. */
		const uint32_t needed = (match.mask & whole) != 0 ? MAY_WRITE : MAY_WRITE | MAY_READ;

		if (name[end - 1] == '/' && (dfa_permissions(dfa, name, end) >> OTHERS & needed) == needed)
			fail_msg("%s\n%.*s takes %.*s along", text, (int)end, name, (int)length, name);
	}
}

static bool may_move(const struct sg_policy *policy)
{
	struct sg_export with;
	bool found = false;

	assert_int_equal(sg_export_prepare(policy, &sg_export_apparmor, &with), 0);
	for (size_t i = 0; i < policy->rule_count; i++)
		found |= with.rules[i].how != NULL && strstr(with.rules[i].how, "can be renamed") != NULL;
	sg_export_done(&with);
	return found;
}

enum { POLICIES = 60, NAMES = 300, ROUNDS = 4 };

static void test_generated(void **state)
{
	struct generator generator = {11};
	struct tally tally = {0};
	size_t checked = 0;

	(void)state;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		SG_AUTO_BUFFER struct sg_buffer profiles = SG_BUFFER_INIT;
		SG_AUTO_FREE char *messages = NULL;
		SG_AUTO_FREE char *data = NULL;
		struct sg_buffer texts[POLICIES] = {0};
		struct sg_policy *policies[POLICIES];
		struct dfa dfas[POLICIES];
		size_t size;

		sg_buffer_append_text(&profiles, "abi <abi/3.0>,\n");
		for (unsigned int i = 0; i < POLICIES;) {
			sg_buffer_clear(&texts[i]);
			generate_policy(&generator, i, &texts[i]);
			policies[i] = policy_of_text(texts[i].data, texts[i].size - 1, "/srv/work");
			if (policies[i] == NULL)
				continue;
			append_profile(policies[i], &profiles);
			i++;
		}
		if (run_parser(&profiles, &data, &size, &messages) != 0)
			fail_msg("apparmor_parser: %s", messages);
		assert_int_equal(find_dfas((unsigned char *)data, size, dfas, POLICIES), POLICIES);
		for (unsigned int i = 0; i < POLICIES; i++) {
			SG_AUTO_GLOBSET struct sg_globset *set = names_of(policies[i]);
			SG_AUTO_MATCHER struct sg_matcher *matcher = NULL;
			const bool moves = may_move(policies[i]);

			checked += !moves;
			assert_int_equal(sg_matcher_new(set, SG_MATCHER_MEMORY_MIN, &matcher), 0);
			for (unsigned int n = 0; n < NAMES; n++) {
				char raw[REFERENCE_NAME], name[REFERENCE_NAME];
				size_t length, raw_length = generate_name(&generator, raw, 10);

				if (!reference_canonical(raw, raw_length, name, &length))
					continue;
				compare_name(policies[i], matcher, &dfas[i], texts[i].data, name, length, &tally);
				check_folders_above(matcher, &dfas[i], moves, texts[i].data, name, length);
			}
			sg_policy_free(policies[i]);
			sg_buffer_done(&texts[i]);
		}
	}
	assert_true(tally.given > 5000 && tally.refused > 5000 && tally.stricter > 10 && checked > 30);
}

/* Compiles one policy and takes its automaton. `data` is the caller's. */
static void one_dfa(const struct sg_policy *policy, struct dfa *dfa, char **data)
{
	SG_AUTO_BUFFER struct sg_buffer profile = SG_BUFFER_INIT;
	SG_AUTO_FREE char *messages = NULL;
	struct dfa found[2];
	size_t size;

	sg_buffer_append_text(&profile, "abi <abi/3.0>,\n");
	append_profile(policy, &profile);
	if (run_parser(&profile, data, &size, &messages) != 0)
		fail_msg("apparmor_parser: %s", messages);
	/* There is one profile, and nothing else. */
	assert_int_equal(find_dfas((unsigned char *)*data, size, found, SG_ARRAY_SIZE(found)), 1);
	*dfa = found[0];
}

/* Each names itself, whatever it looks like; the folder of the caller may have any bytes. */
static void test_smuggling(void **state)
{
	static const char *const names[] = {
		"/a\n/etc/shadow rw,\n",
		"/a\" rw, \"/etc/shadow",
		"/a, /etc/shadow r,",
		"/a r, } profile smuggled { /etc/shadow r",
		"/a r,\n}\nprofile smuggled {\n  /etc/shadow r,",
		"/a#comment",
		"/a # r,\n/etc/shadow r",
		"/a\\",
		"/a\\\"",
		"/a\\n",
		"/@{HOME}/x",
		"/${HOME}/x",
		"/a->b",
		"/a\t\r\x01\x7f",
		"/caf\xc3\xa9\xe2\x80\xae",
		"/\xff\xfe",
		"/ a ",
		"/'=:+~%&;<>|()!$",
		"/include <x>",
		"/a -> smuggled",
	};
	static const char text[] = "Name = \"p\\n} profile smuggled { /** rwix, #\"\n[Filesystem]\n"
				   "ReadOnly = [\"${CWD}\"]\nDeny = [\"${CWD}/secret\"]\n";

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(names); i++) {
		SG_AUTO_POLICY struct sg_policy *policy = policy_of_text(text, strlen(text), names[i]);
		SG_AUTO_FREE char *data = NULL;
		struct dfa dfa;

		assert_non_null(policy);
		one_dfa(policy, &dfa, &data);
		for (size_t j = 0; j < SG_ARRAY_SIZE(names); j++) {
			const uint32_t permissions = dfa_permissions(&dfa, names[j], strlen(names[j])) >> OTHERS;

			if (((permissions & MAY_READ) != 0) != (i == j) ||
			    (permissions & (MAY_WRITE | MAY_EXECUTE)) != 0)
				fail_msg("row %zu on row %zu: %x", i, j, permissions);
		}
		assert_int_equal(dfa_permissions(&dfa, "/etc/shadow", 11) & 0x1fffff, 0);
		assert_int_equal(dfa_permissions(&dfa, "/a", 2) & 0x1fffff, 0);
	}
}

/* Text, name, and what of it is given: letters of "rwmxlk"; capital letters: to the owner only. */
static void test_rows(void **state)
{
	static const struct {
		const char *text, *name, *given;
	} rows[] = {
		{"ReadOnly = ['/a/**']", "/a/", "r"},
		{"ReadOnly = ['/a/**']", "/a/b", "r"},
		{"ReadOnly = ['/a/**']", "/", ""},
		{"ReadOnly = ['/a/*.c']", "/a/", "r"},
		{"ReadOnly = ['/a/*.c']", "/a/b/", ""},
		{"ReadOnly = ['/a/*.c']\nFlags = ['locks']", "/a/b.c", "rk"},
		{"ReadWrite = ['/a/**']", "/a/b", "rw"},
		{"ReadWrite = ['/a/**']", "/a/", "r"},
		{"ReadWrite = ['/a/**']\nFlags = ['links']", "/a/b", "rwl"},
		{"Exec = ['/a/*']", "/a/b", "rmx"},
		{"Map = ['/a/*']", "/a/b", "rm"},
		{"Private = ['/tmp/']", "/tmp/b", "RW"},
		{"Private = ['/tmp/']", "/tmp/", "r"},
		{"Private = ['/home/somebody/']", "/home/somebody/.ssh/id", ""},
		{"ReadWrite = ['/dev/shm/**']", "/dev/shm/b", "RW"},
		{"ReadOnly = ['/proc/self/**']", "/proc/17/maps", "R"},
		{"ReadOnly = ['/**']\nDeny = ['/proc/self/environ']", "/proc/17/environ", ""},
		{"ReadOnly = ['/**']\nDeny = ['/proc/self/environ']", "/proc/17/maps", "r"},
		{"ReadWrite = ['/a/**']\nExec = ['/a/**']\nDeny = ['/a/b']", "/a/b", ""},
		{"ReadWrite = ['/a/**']\nExec = ['/a/**']\nDenyRead = ['/a/b']", "/a/b", "wmx"},
		{"ReadWrite = ['/a/**']\nExec = ['/a/**']\nDenyWrite = ['/a/b']", "/a/b", "rmx"},
		{"ReadWrite = ['/a/**']\nExec = ['/a/**']\nDenyExec = ['/a/b']", "/a/b", "rwm"},
		{"ReadWrite = ['/a/**']\nHide = ['/a/b/**']", "/a/b/c", ""},
		{"ReadWrite = ['/a/**']\nHide = ['/a/b/**']", "/a/b/", ""},
		/* Folders above what is refused keep their names; others do not. */
		{"ReadWrite = ['/a/**']\nDeny = ['/a/b/c/d']", "/a/b/", "r"},
		{"ReadWrite = ['/a/**']\nDeny = ['/a/b/c/d']", "/a/b/c/", "r"},
		{"ReadWrite = ['/a/**']\nDeny = ['/a/b/c/d']", "/a/b/c/e", "rw"},
		{"ReadWrite = ['/a/**']\nDeny = ['/a/b/c/d']", "/a/c/", "rw"},
		{"ReadWrite = ['/a/**']\nDeny = ['/a/*/c/d']", "/a/x/c/", "r"},
		{"ReadWrite = ['/a/**']\nDeny = ['/a/*/c/d']", "/a/x/", "rw"},
		/* What is recorded is not given. */
		{"ReadOnly = ['/a/b']\nLogOnRead = ['/a/**']\nLogOnWrite = ['/a/**']", "/a/b", "r"},
		{"ReadOnly = ['/a/b']\nLogOnRead = ['/a/**']\nLogOnWrite = ['/a/**']", "/a/c", ""},
		{"ReadWrite = ['/a/**']\nLogOnRead = ['/a/b']", "/a/b", "rw"},
		{"", "/dev/null", "rw"},
		{"", "/etc/passwd", ""},
		{"Deny = ['/dev/null']", "/dev/null", ""},
		/* One folder, two names: the kernel arrives at one of them. */
		{"Exec = ['/usr/bin/*']\nDeny = ['/bin/su']", "/usr/bin/su", ""},
		{"Exec = ['/usr/bin/*']\nDeny = ['/bin/su']", "/usr/bin/true", "rmx"},
		{"ReadOnly = ['/lib/**']\nHide = ['/usr/lib/x*']", "/lib/xy", ""},
		{"Exec = ['/usr/bin/*']\nDeny = ['/b*/su']", "/usr/bin/su", ""},
		{"Exec = ['/usr/bin/*']\nDeny = ['/b*/su']", "/usr/bin/sum", "rmx"},
		{"Exec = ['/usr/sbin/*']\nDeny = ['/{bin,sbin}/su']", "/usr/sbin/su", ""},
		{"Exec = ['/bin/*']\nDeny = ['/usr/**/su']", "/bin/su", ""},
		{"ReadOnly = ['/run/x/**']\nDeny = ['/var/*/x/**']", "/run/x/y", ""},
	};
	static const struct {
		char letter;
		uint32_t bit;
	} letters[] = {{'r', MAY_READ},    {'w', MAY_WRITE}, {'m', MAY_MAP},
		       {'x', MAY_EXECUTE}, {'l', MAY_LINK},  {'k', MAY_LOCK}};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;
		SG_AUTO_FREE char *data = NULL;
		struct dfa dfa;
		uint32_t given;

		sg_buffer_printf(&text, "Name = \"p\"\n[Filesystem]\n%s\n", rows[i].text);
		policy = policy_of_text(text.data, text.size, "/srv/work");
		assert_non_null(policy);
		one_dfa(policy, &dfa, &data);
		given = dfa_permissions(&dfa, rows[i].name, strlen(rows[i].name));
		for (size_t j = 0; j < SG_ARRAY_SIZE(letters); j++) {
			const bool all = strchr(rows[i].given, letters[j].letter) != NULL;
			const bool owner = all || strchr(rows[i].given, letters[j].letter - 'a' + 'A') != NULL;

			if (((given & letters[j].bit) != 0) != owner ||
			    ((given >> OTHERS & letters[j].bit) != 0) != all)
				fail_msg("%s on %s: %c is given to %x", rows[i].text, rows[i].name, letters[j].letter,
					 given);
		}
	}
}

/* A text in which %s stands for the folder. */
static void append_with(struct sg_buffer *out, const char *text, const char *folder)
{
	const char *mark = strstr(text, "%s");

	sg_buffer_append(out, text, (size_t)(mark - text));
	sg_buffer_append_text(out, folder);
	sg_buffer_append_text(out, mark + 2);
}

/* The judgement of the first rule of a kind. */
static struct sg_hold judged(const char *filesystem, enum sg_rule_kind kind)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	struct sg_export with;
	struct sg_hold hold;

	sg_buffer_printf(&text, "[Filesystem]\n%s\n", filesystem);
	policy = policy_of_text(text.data, text.size, "/srv/work");
	assert_non_null(policy);
	assert_int_equal(sg_export_prepare(policy, &sg_export_apparmor, &with), 0);
	assert_true(policy->first[kind] < policy->first[kind + 1]);
	hold = with.rules[policy->first[kind]];
	sg_export_done(&with);
	return hold;
}

static void test_judgement(void **state)
{
	static const struct {
		const char *text;
		enum sg_rule_kind kind;
		enum sg_holding holding;
		const char *how;
	} rows[] = {
		{"ReadOnly = ['/a/**']", SG_RULE_READ, SG_HOLDS, NULL},
		{"ReadWrite = ['/a/**']", SG_RULE_WRITE, SG_HOLDS, NULL},
		{"ReadWrite = ['/a/*/']", SG_RULE_WRITE, SG_HOLDS_PARTLY, "takes what is in it"},
		{"ReadOnly = ['/**']", SG_RULE_READ, SG_HOLDS_PARTLY, "/proc/self"},
		{"ReadWrite = ['/dev/pts/*']", SG_RULE_WRITE, SG_HOLDS_PARTLY, "the host's own"},
		{"Private = ['/tmp/']", SG_RULE_PRIVATE, SG_HOLDS_PARTLY, "the host's own"},
		{"Private = ['/home/somebody/']", SG_RULE_PRIVATE, SG_HOLDS_STRICTER, "no folder is made"},
		{"Deny = ['/a/*']", SG_RULE_DENY, SG_HOLDS_PARTLY, "extended attributes"},
		{"Hide = ['/a/*']", SG_RULE_HIDE, SG_HOLDS_PARTLY, "stat"},
		{"DenyExec = ['/a/*']", SG_RULE_DENY_EXECUTE, SG_HOLDS_PARTLY, "interpreter"},
		{"ReadWrite = ['/a/**']\nDeny = ['/a/*/b']", SG_RULE_DENY, SG_HOLDS_PARTLY, "renamed"},
		{"ReadWrite = ['/a/**']\nDeny = ['/a/**/b']", SG_RULE_DENY, SG_HOLDS_PARTLY, "renamed"},
		{"ReadWrite = ['/a/**']\nDeny = ['/a/{b/c,d}/e']", SG_RULE_DENY, SG_HOLDS_PARTLY, "renamed"},
		{"ReadWrite = ['/a/**']\nDeny = ['/a/{b,**}']", SG_RULE_DENY, SG_HOLDS_PARTLY, "renamed"},
		{"ReadWrite = ['/a/**']\nDeny = ['/a/{b,c}/\\{d/']", SG_RULE_DENY, SG_HOLDS_PARTLY, "renamed"},
		{"ReadWrite = ['/b/**']\nDeny = ['/a/*/b']", SG_RULE_DENY, SG_HOLDS_PARTLY, "extended attributes"},
		{"ReadWrite = ['/a/**']\nDeny = ['/a/b/**']", SG_RULE_DENY, SG_HOLDS_PARTLY, "extended attributes"},
		{"ReadOnly = ['/a/**']\nLogOnRead = ['/a/b/*']", SG_RULE_LOG_READ, SG_HOLDS, NULL},
		{"ReadOnly = ['/a/**']\nLogOnRead = ['/*/b']", SG_RULE_LOG_READ, SG_HOLDS_STRICTER, "more is recorded"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		const struct sg_hold hold = judged(rows[i].text, rows[i].kind);

		if (hold.holding != rows[i].holding || (hold.how == NULL) != (rows[i].how == NULL) ||
		    (hold.how != NULL && strstr(hold.how, rows[i].how) == NULL))
			fail_msg("%s: %d, %s", rows[i].text, (int)hold.holding, hold.how != NULL ? hold.how : "");
	}
}

/* A refusal that AppArmor's language has no room for refuses the whole artefact; a grant is left out. */
static void test_too_many(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer glob = SG_BUFFER_INIT;

	(void)state;
	sg_buffer_append_text(&glob, "/{*,c}");
	for (int i = 0; i < 11; i++)
		sg_buffer_append_text(&glob, "{d,ef}");
	sg_buffer_append_byte(&glob, '\0');
	for (int refuse = 0; refuse < 2; refuse++) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, out = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;
		struct sg_error error = SG_ERROR_INIT;
		struct sg_export with;

		sg_buffer_printf(&text, "[Filesystem]\n%s = ['%s']\n", refuse ? "Deny" : "ReadOnly", glob.data);
		policy = policy_of_text(text.data, text.size, "/srv/work");
		assert_non_null(policy);
		assert_int_equal(sg_export_prepare(policy, &sg_export_apparmor, &with), 0);
		assert_int_equal(sg_export_apparmor.write(&with, &out, &error), refuse ? -E2BIG : 0);
		if (!refuse)
			assert_int_equal(with.rules[policy->first[SG_RULE_READ]].holding, SG_HOLDS_STRICTER);
		sg_export_done(&with);
	}
}

/* AppArmor decides on where links lead: what is refused by a name that goes through one is refused there too. */
static void test_host_names(void **state)
{
	static const struct {
		const char *rule, *line; /* %s: the folder */
	} rows[] = {
		{"Deny = ['%s/link/a']", "  audit deny %s/real/a mrwklx,\n"},
		{"Deny = ['%s/link/*.c']", "  audit deny %s/real/*.c mrwklx,\n"},
		{"DenyWrite = ['%s/link/**']", "  audit deny %s/real/** wl,\n"},
		{"Hide = ['%s/link/']", "  audit deny %s/real/ mrwklx,\n"},
		{"Deny = ['%s/name']", "  audit deny %s/real/file mrwklx,\n"},
		{"Deny = ['%s/link/missing/a']", "  audit deny %s/real/missing/a mrwklx,\n"},
		{"Deny = ['%s/real/a']", NULL},
		{"ReadOnly = ['%s/link/a']", NULL},
	};
	char folder[] = "/tmp/sg-apparmor-XXXXXX", path[128];

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/real", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/link", folder);
	assert_int_equal(symlink("real", path), 0);
	(void)snprintf(path, sizeof(path), "%s/name", folder);
	assert_int_equal(symlink("link/file", path), 0);
	(void)snprintf(path, sizeof(path), "%s/real/file", folder);
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, out = SG_BUFFER_INIT, wanted = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;
		struct sg_export with;

		sg_buffer_append_text(&text, "[Filesystem]\n");
		append_with(&text, rows[i].rule, folder);
		sg_buffer_append_byte(&text, '\n');
		policy = policy_of_text(text.data, text.size, "/srv/work");
		assert_non_null(policy);
		assert_int_equal(sg_export_prepare(policy, &sg_export_apparmor, &with), 0);
		assert_int_equal(sg_apparmor_add_host_names(&with, &out), 0);
		sg_buffer_append_byte(&out, '\0');
		if (rows[i].line != NULL)
			append_with(&wanted, rows[i].line, folder);
		sg_buffer_append_byte(&wanted, '\0');
		assert_string_equal(out.data, wanted.data);
		sg_export_done(&with);
	}
	(void)unlink(path);
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, i == 0 ? "link" : "name");
		(void)unlink(path);
	}
	(void)snprintf(path, sizeof(path), "%s/real", folder);
	(void)rmdir(path);
	(void)rmdir(folder);
}

/* Different names stay different, whatever they are, and none of them means anything to AppArmor. */
static void test_profile_names(void **state)
{
	static const char *const names[] = {"web", "web/tier", "web-tier", "web%2ftier", "a//b",     "a:b", "a&b",
					    "a*",  "a{b,c}",   "\"",       "a b",        "\xc3\xa9", "",    "."};
	char *made[SG_ARRAY_SIZE(names) + 2];
	char longs[2][300];

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(made); i++) {
		struct sg_buffer out = SG_BUFFER_INIT;

		if (i >= SG_ARRAY_SIZE(names)) {
			memset(longs[i % 2], 'a', sizeof(longs[0]));
			longs[i % 2][298] = i % 2 == 0 ? 'b' : 'c';
			longs[i % 2][299] = '\0';
		}
		sg_apparmor_name(i < SG_ARRAY_SIZE(names) ? names[i] : longs[i % 2], &out);
		made[i] = sg_buffer_take(&out);
		assert_true(strlen(made[i]) < 255 &&
			    strspn(made[i], "abcdefghijklmnopqrstuvwxyz0123456789-%.") == strlen(made[i]));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(made[i], made[j]);
	}
	for (size_t i = 0; i < SG_ARRAY_SIZE(made); i++)
		free(made[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),          cmocka_unit_test(test_judgement),
		cmocka_unit_test(test_too_many),      cmocka_unit_test(test_host_names),
		cmocka_unit_test(test_profile_names), cmocka_unit_test(test_smuggling),
		cmocka_unit_test(test_generated),
	};
	const int missing = find_parser();

	if (missing != 0)
		return missing;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
