/* Profiles to policy: errors with their places, order that does not matter, denies that always win, the decision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "glob_generate.h"
#include "policy/builtin.h"
#include "policy/compile.h"
#include "policy/decide.h"

static const struct sg_variables variables = {"/home/u/work", "/home/u", "u", "1000", "/run/user/1000"};

static int no_profile(void *data, const char *name, const struct sg_source *from, struct sg_source **ret,
		      struct sg_error *error)
{
	const char *const *table = data;

	(void)from;
	for (; table != NULL && table[0] != NULL; table += 2)
		if (strcmp(table[0], name) == 0)
			return sg_source_new(name, table[1], strlen(table[1]), ret);
	return sg_error_set(error, -ENOENT, "there is no profile \"%s\"", name);
}

/* Compiles up to two texts; the rendered diagnostics go to `out` (may be NULL). */
static int compile(const char *a, const char *b, const char *const *others, struct sg_policy **ret,
		   struct sg_buffer *out)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *sources[2];
	size_t count = b == NULL ? 1 : 2;
	int status;

	assert_int_equal(sg_source_new("a.toml", a, strlen(a), &sources[0]), 0);
	if (b != NULL)
		assert_int_equal(sg_source_new("b.toml", b, strlen(b), &sources[1]), 0);
	status = sg_policy_compile(sources, count, &variables, no_profile, (void *)(uintptr_t)others, &diagnostics, ret,
				   &error);
	if (out != NULL)
		sg_diagnostics_render(&diagnostics, out);
	return status;
}

static struct sg_policy *good(const char *a, const char *b)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	struct sg_policy *policy = NULL;

	if (compile(a, b, NULL, &policy, &out) != 0)
		fail_msg("%s", out.data);
	return policy;
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"[Networking]\nFlags = [\"dsn\"]\n", "a.toml:2:10: error: unknown flag \"dsn\""},
		{"[Networking]\nFlags = [\"dsn\"]\n", "hint: did you mean \"dns\"?"},
		{"[Filesystem]\nFlags = [\"dns\"]\n", "the flag \"dns\" belongs in [Networking], not in [Filesystem]"},
		{"[Filesystem]\nReadOnly = \"/etc/**\"\n",
		 "a.toml:2:12: error: ReadOnly is a string here; it takes an array"},
		{"[Filesystem]\nReadOnly = [5]\n",
		 "a.toml:2:13: error: ReadOnly is an integer here; it takes a string"},
		{"[Filesystem]\nReadOnyl = []\n", "did you mean \"ReadOnly\"?"},
		{"[Networking]\nReadOnly = []\n", "it belongs in [Filesystem]"},
		{"[Filesytem]\nReadOnly = []\n", "did you mean \"Filesystem\"?"},
		{"ReadOnly = []\n", "it belongs in [Filesystem]"},
		{"[Filesystem]\nReadOnly = [\"etc/**\"]\n", "\"etc/**\" is not an absolute name"},
		{"[Filesystem]\nReadOnly = [\"/etc/[!a]\"]\n", "a.toml:2:19: error"},
		{"[Filesystem]\nReadOnly = [\"/etc/{a,b\"]\n", "a.toml:2:19: error"},
		{"[Filesystem]\nReadOnly = [\"${CDW}/**\"]\n", "unknown variable"},
		{"[Filesystem]\nReadOnly = [\"/w/a/**\"]\nReadWrite = [\"/w/**\"]\n", "name it under DenyWrite"},
		{"[Runtime]\nLimits = { Proceses = 5 }\n", "hint: did you mean \"Processes\"?"},
		{"[Runtime]\nLimits = { Memory = \"2 potatoes\" }\n", "not a value of the limit Memory"},
		{"[Runtime]\nLimits = { Processes = 0 }\n", "not a value of the limit Processes"},
		{"[Define.x]\nFlags = [\"y\"]\n[Define.y]\nFlags = [\"x\"]\n[Misc]\nFlags = [\"x\"]\n",
		 "leads back to itself"},
		{"[Define.start]\nSyscalls = [\"read\"]\n", "\"start\" is a built-in flag"},
		{"[Define.x]\nSyscalls = [\"raed\"]\n[Misc]\nFlags = [\"x\"]\n", "there is no system call \"raed\""},
		{"[Define.x]\nSyscalls = [\"io_uring_setup\"]\n[Misc]\nFlags = [\"x\"]\n",
		 "no flag may give \"io_uring_setup\""},
		{"[Define.x]\nCapabilities = [\"CAP_NET_RWA\"]\n[Misc]\nFlags = [\"x\"]\n", "there is no capability"},
		{"[Walls]\nNever = [[\"a\", \"b\"]]\n", "there is no label \"a\""},
		{"[Walls]\nNever = [[\"a\"]]\n", "at least two labels"},
		{"[Label.a]\nFiles = [\"b\"]\n[Walls]\nNever = [[\"a\", \"b\"]]\n",
		 "a.toml:4:16: error: there is no label \"b\""},
		{"Extends = [\"nothing\"]\n", "a.toml:1:12: error: there is no profile \"nothing\""},
		{"Extends = [\"a.toml\"]\n", "error"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
		struct sg_policy *policy = NULL;

		if (compile(rows[i].text, NULL, NULL, &policy, &out) != SG_POLICY_REFUSED ||
		    strstr(out.data, rows[i].expected) == NULL)
			fail_msg("row %zu: wanted %s, got:\n%s", i, rows[i].expected,
				 out.data == NULL ? "nothing" : out.data);
		sg_policy_free(policy);
	}
}

static void test_all_errors_at_once(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	struct sg_policy *policy = NULL;

	(void)state;
	assert_int_equal(compile("[Networking]\nFlags = [\"dsn\"]\n[Filesystem]\nReadOnly = [\"x\"]\n",
				 "[Runtime]\nFlags = [\"strat\"]\n", NULL, &policy, &out),
			 SG_POLICY_REFUSED);
	assert_non_null(strstr(out.data, "a.toml:2:10"));
	assert_non_null(strstr(out.data, "a.toml:4:13"));
	assert_non_null(strstr(out.data, "b.toml:2:10"));
	sg_policy_free(policy);
}

/* What there is one of is named once, or alike, wherever; a flag of one's own says the same in each file, in whatever order. */
static void test_two_files(void **state)
{
	static const struct {
		const char *a, *b, *expected; /* NULL: it is good */
	} rows[] = {
		{"[User]\nAs = \"u\"\n", "[User]\nAs = \"v\"\n",
		 "error: two different users: \"u\" is named elsewhere"},
		{"[User]\nAs = \"u\"\n", "[User]\nAs = \"u\"\n", NULL},
		{"[Runtime]\nCwd = \"/a\"\n", "[Runtime]\nCwd = \"/b\"\n",
		 "b.toml:2:7: error: two different working directories: \"/a\" is named elsewhere"},
		{"[Runtime]\nCwd = \"/a\"\n", "[Runtime]\nCwd = \"/a\"\n", NULL},
		{"[Runtime]\nEnv = [\"A=1\", \"B=2\"]\n", "[Runtime]\nEnv = [\"A-=3\", \"B\", \"A=2\"]\n",
		 "b.toml:2:21: error: two different values: \"A=1\" is named elsewhere"},
		{"[Runtime]\nEnv = [\"A=1\", \"AB=2\", \"A\"]\n", "[Runtime]\nEnv = [\"A=1\"]\n", NULL},
		{"[Define.x]\nFlags = [\"dns\", \"start\"]\nReadOnly = [\"/a\"]\n",
		 "[Define.x]\nReadOnly = [\"/a\", \"/a\"]\nFlags = [\"start\", \"dns\"]\n", NULL},
		{"[Define.x]\nFlags = [\"dns\"]\n", "[Define.x]\nFlags = [\"dns\", \"start\"]\n",
		 "error: two different definitions of the flag \"x\""},
		{"[Define.x]\nReadOnly = [\"/a\"]\n", "[Define.x]\nReadWrite = [\"/a\"]\n",
		 "error: two different definitions of the flag \"x\""},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;
		int status = compile(rows[i].a, rows[i].b, NULL, &policy, &out);

		if (status != (rows[i].expected == NULL ? 0 : SG_POLICY_REFUSED) ||
		    (rows[i].expected != NULL && strstr(out.data, rows[i].expected) == NULL))
			fail_msg("row %zu: %d, %s", i, status, out.data == NULL ? "nothing" : out.data);
	}
}

/* ReadOnly globs inside ReadWrite ones: those that holding each against each finds, and no others. */
static void test_reads_inside_writes(void **state)
{
	enum { READS = 6, WRITES = 6 };
	struct generator generator = {41};
	size_t inside = 0, outside = 0;

	(void)state;
	for (int round = 0; round < 300; round++) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, out = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;
		struct sg_glob *globs[READS + WRITES] = {NULL};

		sg_buffer_append_text(&text, "[Filesystem]\n");
		for (size_t i = 0; i < READS + WRITES;) {
			char glob[128];
			const size_t length = generate_glob(&generator, glob);

			if (sg_glob_parse(glob, length, NULL, &globs[i]) < 0)
				continue;
			sg_buffer_printf(&text, "%s'%.*s'%s\n",
					 i == 0       ? "ReadOnly = ["
					 : i == READS ? "ReadWrite = ["
						      : "",
					 (int)length, glob, i == READS - 1 || i == READS + WRITES - 1 ? "]" : ",");
			i++;
		}
		(void)compile(text.data, NULL, NULL, &policy, &out);
		for (size_t i = 0; i < READS; i++) {
			bool held = false;
			char place[32];

			for (size_t j = READS; j < READS + WRITES; j++)
				held |= sg_glob_covers(globs[j], globs[i]) == SG_GLOB_YES;
			(void)snprintf(place, sizeof(place), "a.toml:%zu:", i + 2);
			if (held != (out.data != NULL && strstr(out.data, place) != NULL))
				fail_msg("line %zu of\n%s%s", i + 2, text.data, out.data != NULL ? out.data : "");
			inside += held;
			outside += !held;
		}
		for (size_t i = 0; i < READS + WRITES; i++)
			sg_glob_free(globs[i]);
	}
	assert_true(inside > 100 && outside > 100);
}

/* The name is part of what is compiled, so neither the order in which profiles are given nor giving one twice changes it. */
static void test_name_of_several(void **state)
{
	static const struct {
		const char *a, *b, *expected;
	} rows[] = {
		{"Name = \"one\"\n", "Name = \"two\"\n", "one+two"},
		{"Name = \"two\"\n", "Name = \"one\"\n", "one+two"},
		{"Name = \"one\"\n", "Name = \"one\"\n", "one"},
		{"Name = \"b\"\n", "", "b+b.toml"},
		{"", "", "a.toml+b.toml"},
		{"Name = \"two\"\n", NULL, "two"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_POLICY struct sg_policy *policy = good(rows[i].a, rows[i].b);

		assert_string_equal(policy->name, rows[i].expected);
	}
}

/* A writable working directory is not /, the home, or above it, also where the home's name leads by a symbolic link. */
static void test_writable_cwd(void **state)
{
	static const struct {
		const char *cwd;
		bool good;
	} rows[] = {{"/home/u/work", true}, {"/home/u", false}, {"/home", false},
		    {"/", false},           {"/home/uu", true}, {"/srv/x", true},
		    {"/data", false},       {"/data/u", false}, {"/data/u/work", true}};
	static const char text[] = "[Filesystem]\nReadWrite = [\"${CWD}/**\"]\n";

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
		struct sg_variables here = variables;
		struct sg_policy *policy = NULL;
		struct sg_source *source;

		here.cwd = rows[i].cwd;
		here.home_place = "/data/u";
		assert_int_equal(sg_source_new("a.toml", text, strlen(text), &source), 0);
		assert_int_equal(sg_policy_compile(&source, 1, &here, no_profile, NULL, &diagnostics, &policy, NULL),
				 rows[i].good ? 0 : SG_POLICY_REFUSED);
		sg_policy_free(policy);
	}
}

/* A variable's value is literal text: its wildcards match themselves. */
static void test_variables_are_literal(void **state)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	static const char text[] = "[Filesystem]\nReadOnly = [\"${CWD}/f\"]\n";
	struct sg_variables here = variables;
	struct sg_policy *policy = NULL;
	struct sg_source *source;
	size_t count;

	(void)state;
	here.cwd = "/home/u/a*{b,c}[d]";
	assert_int_equal(sg_source_new("a.toml", text, strlen(text), &source), 0);
	assert_int_equal(sg_policy_compile(&source, 1, &here, no_profile, NULL, &diagnostics, &policy, NULL), 0);
	assert_true(sg_glob_is_literal(sg_policy_rules(policy, SG_RULE_READ, &count)->glob));
	assert_string_equal(sg_glob_prefix(sg_policy_rules(policy, SG_RULE_READ, &count)->glob, &count),
			    "/home/u/a*{b,c}[d]/f");
	sg_policy_free(policy);
}

static void test_order_and_repetition(void **state)
{
	static const char *const texts[][2] = {
		{"[Filesystem]\nReadOnly = [\"/a/**\", \"/b\"]\nDeny = [\"/a/x\"]\n[Runtime]\nFlags = [\"start\", "
		 "\"fork\"]\n",
		 NULL},
		{"[Runtime]\nFlags = [\"fork\", \"start\", \"fork\"]\n[Filesystem]\nDeny = [\"/a/x\", "
		 "\"/a/x\"]\nReadOnly = [\"/b\", \"/a/**\"]\n",
		 NULL},
		{"[Filesystem]\nDeny = [\"/a/x\"]\n[Runtime]\nFlags = [\"start\"]\n",
		 "[Filesystem]\nReadOnly = [\"/b\", \"/a/**\", \"/b\"]\n[Runtime]\nFlags = [\"fork\"]\n"},
	};
	char first[2 * SG_POLICY_HASH_SIZE + 1], hash[sizeof(first)];

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(texts); i++) {
		struct sg_policy *policy = good(texts[i][0], texts[i][1]);

		sg_policy_hash_text(policy, i == 0 ? first : hash);
		if (i > 0)
			assert_string_equal(first, hash);
		sg_policy_free(policy);
	}
}

/* What stands together is hashed together, and its order counts where it means something. */
static void test_hash_of_groups(void **state)
{
#define LABELS "[Label.a]\n[Label.b]\n[Label.c]\n[Label.d]\n[Walls]\nNever = "
#define ACTION "[[Privileged.Action]]\n"
	static const struct {
		const char *one, *other;
		bool same;
	} rows[] = {
		{LABELS "[['a', 'b'], ['c', 'd']]", LABELS "[['a', 'c'], ['b', 'd']]", false},
		{LABELS "[['a', 'b'], ['c', 'd']]", LABELS "[['a', 'b', 'c', 'd']]", false},
		{LABELS "[['a', 'b'], ['c', 'd']]", LABELS "[['d', 'c', 'd'], ['b', 'a'], ['a', 'b']]", true},
		{"[Label.a]\nFiles = ['/x']\n[Label.b]\nFiles = ['/y']\n",
		 "[Label.a]\nFiles = ['/y']\n[Label.b]\nFiles = ['/x']\n", false},
		{"[Label.a]\nNetwork = ['internet']\n", "[Label.a]\nMay = ['internet']\n", false},
		{"[Label.a]\nSecret = true\n[Label.b]\n", "[Label.a]\n[Label.b]\nSecret = true\n", false},
		{"[Label.'a\" Files \"/x']\n", "[Label.a]\nFiles = ['/x']\n", false},
		{"[Label.a]\nFiles = ['/x', '/y']\nSecret = true\n",
		 "[Label.a]\nSecret = true\nFiles = ['/y', '/x', '/y']\n", true},
		{"[Privileged]\nFlags = ['ping']\n", "[Privileged]\nReadAny = ['ping']\n", false},
		{ACTION "Name = 'r'\nCommand = ['/bin/a', 'x', 'y']\n",
		 ACTION "Name = 'r'\nCommand = ['/bin/a', 'y', 'x']\n", false},
		{ACTION "Name = 'r'\nCommand = ['/bin/a', 'x', 'x']\n",
		 ACTION "Name = 'r'\nCommand = ['/bin/a', 'x']\n", false},
		{ACTION "Name = 'r'\nCommand = ['/bin/a']\n" ACTION "Name = 's'\nCommand = ['/bin/b']\n",
		 ACTION "Name = 's'\nCommand = ['/bin/a']\n" ACTION "Name = 'r'\nCommand = ['/bin/b']\n", false},
		{ACTION "Name = 'r'\nAsk = 'me'\nCommand = ['/bin/a']\n" ACTION "Name = 's'\nCommand = ['/bin/b']\n",
		 ACTION "Command = ['/bin/b']\nName = 's'\n" ACTION "Command = ['/bin/a']\nName = 'r'\nAsk = 'me'\n",
		 true},
	};
#undef LABELS
#undef ACTION

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		struct sg_policy *one = good(rows[i].one, NULL), *other = good(rows[i].other, NULL);

		if ((memcmp(one->hash, other->hash, SG_POLICY_HASH_SIZE) == 0) != rows[i].same)
			fail_msg("%zu: %s\nand\n%s", i, rows[i].one, rows[i].other);
		sg_policy_free(one);
		sg_policy_free(other);
	}
}

static void test_extends(void **state)
{
	static const char *const others[] = {"base", "Extends = [\"deeper\"]\n[Filesystem]\nReadOnly = [\"/base\"]\n",
					     "deeper", "[Filesystem]\nReadOnly = [\"/deeper\"]\n", NULL};
	struct sg_policy *policy = NULL;
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

	(void)state;
	assert_int_equal(compile("Extends = [\"base\", \"deeper\"]\n[Filesystem]\nReadOnly = [\"/own\"]\n", NULL,
				 others, &policy, &out),
			 0);
	assert_non_null(sg_policy_find(policy, SG_RULE_READ, "/base"));
	assert_non_null(sg_policy_find(policy, SG_RULE_READ, "/deeper"));
	assert_non_null(sg_policy_find(policy, SG_RULE_READ, "/own"));
	sg_policy_free(policy);
}

static void test_limits(void **state)
{
	static const struct {
		const char *text;
		enum sg_limit_unit unit;
		int status;
		uint64_t value;
	} rows[] = {
		{"2GiB", SG_LIMIT_BYTES, 0, 2ULL << 30},
		{"500MB", SG_LIMIT_BYTES, 0, 500000000},
		{"1h", SG_LIMIT_SECONDS, 0, 3600},
		{"30s", SG_LIMIT_SECONDS, 0, 30},
		{"256", SG_LIMIT_COUNT, 0, 256},
		{"", SG_LIMIT_COUNT, -EINVAL, 0},
		{"-5", SG_LIMIT_COUNT, -EINVAL, 0},
		{"5x", SG_LIMIT_COUNT, -EINVAL, 0},
		{"1h", SG_LIMIT_BYTES, -EINVAL, 0},
		{"99999999999999999999", SG_LIMIT_COUNT, -ERANGE, 0},
		{"20000000TiB", SG_LIMIT_BYTES, -ERANGE, 0},
	};
	struct sg_policy *policy;
	bool named;

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		uint64_t value = 0;

		assert_int_equal(sg_profile_parse_limit(rows[i].unit, rows[i].text, &value), rows[i].status);
		assert_int_equal(value, rows[i].value);
	}
	/* Of two the smaller holds; an absent one has a finite default. */
	policy = good("[Runtime]\nLimits = { Processes = 20 }\n", "[Runtime]\nLimits = { Processes = 10 }\n");
	assert_int_equal(sg_policy_limit(policy, "Processes", &named), 10);
	assert_true(named);
	assert_true(sg_policy_limit(policy, "OpenFiles", &named) > 0);
	assert_false(named);
	sg_policy_free(policy);
}

/* --- the decision --- */

struct names {
	struct sg_policy *policy;
	struct sg_globset *set;
	struct sg_matcher *matcher;
};

static void open_names(struct names *names, const char *text)
{
	names->policy = good(text, NULL);
	assert_int_equal(sg_globset_new(&names->set), 0);
	for (size_t i = 0; i < names->policy->rule_count; i++)
		if (names->policy->rules[i].glob != NULL)
			assert_int_equal(sg_globset_add(names->set, names->policy->rules[i].glob, (uint32_t)i,
							SG_NAME_BIT(names->policy->rules[i].kind)),
					 0);
	assert_int_equal(sg_globset_compile(names->set), 0);
	assert_int_equal(sg_matcher_new(names->set, SG_MATCHER_MEMORY_MIN, &names->matcher), 0);
}

static void close_names(struct names *names)
{
	sg_matcher_free(names->matcher);
	sg_globset_free(names->set);
	sg_policy_free(names->policy);
}

enum { R = SG_ACCESS_READ, W = SG_ACCESS_WRITE, C = SG_ACCESS_CHANGE, X = SG_ACCESS_EXECUTE };

static void test_decision(void **state)
{
	static const char text[] =
		"[Filesystem]\n"
		"ReadOnly = [\"/etc/**\", \"/srv/a*\"]\nReadWrite = [\"/w/**\"]\nExec = [\"/usr/bin/*\", "
		"\"/w/bin/*\"]\n"
		"Deny = [\"/etc/shadow\", \"/w/**/secret\"]\nDenyWrite = [\"/w/ro/**\"]\nDenyExec = [\"/usr/bin/su\"]\n"
		"DenyRead = [\"/w/blind\"]\nHide = [\"/w/hidden/**\"]\nLogOnWrite = [\"/w/log/**\"]\nLogOnRead = "
		"[\"/etc/h*\"]\n";
	static const struct {
		const char *name;
		unsigned int access;
		bool own;
		enum sg_verdict verdict;
		int error;
		bool record;
	} rows[] = {
		{"/etc/hosts", R, false, SG_VERDICT_ALLOW, 0, true},
		{"/etc/passwd", R, false, SG_VERDICT_ALLOW, 0, false},
		{"/etc/passwd", W, false, SG_VERDICT_DENY, EROFS, false},
		{"/etc/passwd", R | W, false, SG_VERDICT_DENY, EROFS, false},
		{"/etc/shadow", R, false, SG_VERDICT_DENY, EACCES, false},
		{"/etc/shadow", R, true, SG_VERDICT_DENY, EACCES, false},
		{"/srv/abc", R, false, SG_VERDICT_ALLOW, 0, false},
		{"/srv/bc", R, false, SG_VERDICT_DENY, EACCES, false},
		{"/w/x", R | W, false, SG_VERDICT_ALLOW, 0, false},
		{"/w/x", C, false, SG_VERDICT_ALLOW, 0, false},
		{"/w/d/secret", R, false, SG_VERDICT_DENY, EACCES, false},
		{"/w/secret", W, false, SG_VERDICT_ALLOW, 0, false},
		{"/w/ro/x", R, false, SG_VERDICT_ALLOW, 0, false},
		{"/w/ro/x", W, false, SG_VERDICT_DENY, EACCES, false},
		{"/w/blind", W, false, SG_VERDICT_ALLOW, 0, false},
		{"/w/blind", R, false, SG_VERDICT_DENY, EACCES, false},
		{"/w/blind", R | W, false, SG_VERDICT_DENY, EACCES, false},
		{"/w/hidden/x", R, false, SG_VERDICT_HIDE, ENOENT, false},
		{"/w/hidden/x", C, false, SG_VERDICT_HIDE, EACCES, false},
		{"/w/log/x", W, false, SG_VERDICT_ALLOW, 0, true},
		{"/w/log/x", R, false, SG_VERDICT_ALLOW, 0, false},
		{"/usr/bin/ls", X, false, SG_VERDICT_ALLOW, 0, false},
		{"/usr/bin/su", X, false, SG_VERDICT_DENY, EACCES, false},
		{"/usr/bin/su", R, false, SG_VERDICT_ALLOW, 0, false},
		{"/w/bin/tool", X, false, SG_VERDICT_ALLOW, 0, false},
		{"/w/tool", X, false, SG_VERDICT_DENY, EACCES, false},
		{"/tmp/x", R | W, true, SG_VERDICT_ALLOW, 0, false},
		{"/tmp/x", X, true, SG_VERDICT_DENY, EACCES, false},
		{"/tmp/x", R, false, SG_VERDICT_DENY, EACCES, false},
		{"relative", R, true, SG_VERDICT_DENY, EACCES, false},
		{"/etc/../etc/passwd", R, true, SG_VERDICT_DENY, EACCES, false},
		{"/etc/passwd", 0, true, SG_VERDICT_DENY, EACCES, false},
	};
	struct names names;

	(void)state;
	open_names(&names, text);
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		struct sg_decision decision;

		sg_decide(names.policy, names.matcher, rows[i].name, strlen(rows[i].name), rows[i].access, rows[i].own,
			  &decision);
		if (decision.verdict != rows[i].verdict || decision.error != rows[i].error ||
		    decision.record != rows[i].record)
			fail_msg("row %zu (%s): verdict %d error %d record %d: %s", i, rows[i].name, decision.verdict,
				 decision.error, decision.record, decision.reason);
	}
	close_names(&names);
}

static void test_moves(void **state)
{
	static const char text[] = "[Filesystem]\nReadWrite = [\"/w/**\", \"/v/**\"]\nDeny = "
				   "[\"/w/**/secret\"]\nDenyWrite = [\"/w/a/ro/**\"]\n";
	static const struct {
		const char *from, *to;
		enum sg_verdict verdict;
	} rows[] = {
		{"/w/x/", "/w/y/", SG_VERDICT_ALLOW}, /* the same rules hold below both */
		{"/w/a/", "/w/b/", SG_VERDICT_DENY},  /* DenyWrite below a */
		{"/w/x/", "/v/x/", SG_VERDICT_DENY},  /* the Deny would not follow */
		{"/v/x/", "/w/x/", SG_VERDICT_ALLOW}, /* nothing is gained */
		{"/v/x/", "/v/y/", SG_VERDICT_ALLOW},
	};
	struct names names;

	(void)state;
	open_names(&names, text);
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		struct sg_decision decision;

		sg_decide_move(names.policy, names.matcher, rows[i].from, strlen(rows[i].from), rows[i].to,
			       strlen(rows[i].to), &decision);
		if (decision.verdict != rows[i].verdict)
			fail_msg("%s to %s: %s", rows[i].from, rows[i].to, decision.reason);
	}
	close_names(&names);
}

/* Adding a Deny never allows more; removing an allow never allows more. */
static void test_denies_only_narrow(void **state)
{
	static const char *const globs[] = {"/a/**", "/a/b/*", "/a/*.c", "/a/b/c", "/**", "/a/{b,c}/**", "/a/b/"};
	static const char *const keys[] = {"ReadOnly", "ReadWrite", "Exec",     "Deny",
					   "DenyRead", "DenyWrite", "DenyExec", "Hide"};
	static const char *const subjects[] = {"/a/b/c", "/a/x.c", "/a/b/", "/a/", "/z", "/a/c/d/e", "/a/b/x.c"};
	unsigned int seed = 12345, checked = 0;

	(void)state;
	for (int round = 0; round < 300; round++) {
		char base[1024] = "[Filesystem]\n", more[1100];
		struct names before, after;

		for (size_t k = 0; k < 3; k++) {
			seed = seed * 1103515245U + 12345U;
			(void)snprintf(base + strlen(base), sizeof(base) - strlen(base), "%s = [\"%s\"]\n", keys[k],
				       globs[(seed >> 16) % SG_ARRAY_SIZE(globs)]);
		}
		seed = seed * 1103515245U + 12345U;
		(void)snprintf(more, sizeof(more), "%s%s = [\"%s\"]\n", base, keys[3 + (seed >> 20) % 5],
			       globs[(seed >> 12) % SG_ARRAY_SIZE(globs)]);
		SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
		struct sg_policy *policy = NULL;
		int status = compile(base, NULL, NULL, &policy, &out);

		sg_policy_free(policy);
		if (status != 0) /* ReadOnly inside ReadWrite: an error of its own */
			continue;
		open_names(&before, base);
		open_names(&after, more);
		for (size_t i = 0; i < SG_ARRAY_SIZE(subjects); i++) {
			for (unsigned int access = 1; access < 16; access++) {
				struct sg_decision a, b;

				sg_decide(before.policy, before.matcher, subjects[i], strlen(subjects[i]), access,
					  false, &a);
				sg_decide(after.policy, after.matcher, subjects[i], strlen(subjects[i]), access, false,
					  &b);
				if (b.verdict == SG_VERDICT_ALLOW)
					assert_int_equal(a.verdict, SG_VERDICT_ALLOW);
				checked++;
			}
		}
		close_names(&before);
		close_names(&after);
	}
	assert_true(checked > 10000);
}

/* Each built-in flag by itself: its place in its file, its name, and nothing but its definition. */
static void test_builtin_places(void **state)
{
	size_t headers = 0;

	(void)state;
	for (size_t i = 0; i < sg_builtin_flag_count; i++)
		for (const char *at = sg_builtin_flags[i].text; (at = strstr(at, "\n[Define.")) != NULL; at++)
			headers++;
	assert_int_equal(headers, sg_builtin_definition_count);
	for (size_t i = 0; i < sg_builtin_definition_count; i++) {
		const struct sg_builtin_definition *flag = &sg_builtin_definitions[i];
		const struct sg_builtin_text *file = &sg_builtin_flags[flag->file];
		SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
		SG_AUTO_PROFILE struct sg_profile *profile = NULL;
		struct sg_source *source;
		char header[64];
		size_t line = 1;

		assert_true(i == 0 || strcmp(flag[-1].name, flag->name) < 0);
		assert_int_equal(sg_source_part(file->name, file->text, flag->begin, flag->end, flag->line, &source),
				 0);
		assert_int_equal(sg_profile_read(source, &diagnostics, &profile), 0);
		assert_true(profile->count > 0);
		for (size_t j = 0; j < profile->count; j++)
			assert_string_equal(profile->statements[j].group, flag->name);
		(void)snprintf(header, sizeof(header), "\n[Define.%s]\n", flag->name);
		for (const char *at = file->text; at < strstr(file->text, header) + 1; at++)
			line += *at == '\n';
		assert_int_equal(sg_source_line(source, profile->statements[0].group_span.offset), line);
	}
}

/* A policy has the flags that it names, and those that they name; the others can be had later, and change no rule. */
static void test_flags_by_need(void **state)
{
	SG_AUTO_POLICY struct sg_policy *policy = good("[Runtime]\nFlags = [\"timers\"]\n", NULL);
	SG_AUTO_POLICY struct sg_policy *own = good("[Define.x]\nFlags = [\"dns\"]\n", NULL);
	const struct sg_rule *rules = policy->rules;
	const size_t count = policy->rule_count, few = policy->profile_count;

	(void)state;
	assert_in_range(few, 2, 8);
	assert_in_range(own->profile_count, 2, 12);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sg_policy_read_flags(policy), 0);
		assert_int_equal(policy->profile_count, 1 + sg_builtin_definition_count);
	}
	assert_ptr_equal(policy->rules, rules);
	assert_int_equal(policy->rule_count, count);
	for (size_t i = 1; i + 1 < policy->profile_count; i++) {
		const struct sg_source *a = policy->profiles[i]->source, *b = policy->profiles[i + 1]->source;

		assert_true(strcmp(a->name, b->name) != 0 || a->begin < b->begin);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_all_errors_at_once),
		cmocka_unit_test(test_two_files),
		cmocka_unit_test(test_name_of_several),
		cmocka_unit_test(test_reads_inside_writes),
		cmocka_unit_test(test_writable_cwd),
		cmocka_unit_test(test_variables_are_literal),
		cmocka_unit_test(test_order_and_repetition),
		cmocka_unit_test(test_hash_of_groups),
		cmocka_unit_test(test_extends),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_decision),
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_denies_only_narrow),
		cmocka_unit_test(test_builtin_places),
		cmocka_unit_test(test_flags_by_need),
	};
	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
