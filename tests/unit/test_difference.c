/*
 * What one policy gives that another does not: by rows; nothing where two texts mean the same; and against the questions of
 * policy/ask.h over profiles and names made at random.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glob_generate.h"
#include "policy/compile.h"
#include "policy/difference.h"

static const struct sg_variables variables = {
	.cwd = "/home/u/work", .home = "/home/u", .user = "u", .uid = "1000", .runtime = "/run/user/1000"};

/* A profile may extend another one of the same list: NAME, TEXT, ..., NULL. */
static int open_listed(void *data, const char *name, const struct sg_source *from, struct sg_source **ret,
		       struct sg_error *error)
{
	const char *const *table = data;

	(void)from;
	for (; table != NULL && table[0] != NULL; table += 2)
		if (strcmp(table[0], name) == 0)
			return sg_source_new(name, table[1], strlen(table[1]), ret);
	return sg_error_set(error, -ENOENT, "there is no profile \"%s\"", name);
}

static struct sg_policy *compile_with(const char *name, const char *text, const char *const *others)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_policy *policy = NULL;
	struct sg_source *source;

	assert_int_equal(sg_source_new(name, text, strlen(text), &source), 0);
	if (sg_policy_compile(&source, 1, &variables, open_listed, (void *)(uintptr_t)others, &diagnostics, &policy,
			      &error) != 0) {
		sg_diagnostics_render(&diagnostics, &out);
		fail_msg("%s\n%s", text, out.data);
	}
	return policy;
}

static struct sg_policy *compile(const char *name, const char *text)
{
	return compile_with(name, text, NULL);
}

/* "gives read /srv/a: before -> after by WAS to BECOMES", one a line; WAS and BECOMES as written, "-" for no rule. */
static char *render(const struct sg_differences *list)
{
	struct sg_buffer out = SG_BUFFER_INIT;

	for (size_t i = 0; i < list->count; i++) {
		const struct sg_difference *d = &list->items[i];

		sg_buffer_printf(&out, "%s %s %s", sg_direction_names[d->direction], d->what, d->example);
		if (d->before != NULL || d->after != NULL)
			sg_buffer_printf(&out, ": %s -> %s", d->before != NULL ? d->before : "-",
					 d->after != NULL ? d->after : "-");
		sg_buffer_printf(&out, " by %s to %s\n", d->was != NULL ? d->was->written : "-",
				 d->becomes != NULL ? d->becomes->written : "-");
	}
	return sg_buffer_take(&out);
}

static struct sg_differences compare(const struct sg_policy *before, const struct sg_policy *after)
{
	struct sg_differences list;
	const int status = sg_policy_compare(before, after, &list);

	if (status != 0) {
		for (size_t i = 0; i < before->rule_count; i++)
			print_message("before: %s %s\n", sg_rule_infos[before->rules[i].kind].name,
				      before->rules[i].text);
		for (size_t i = 0; i < after->rule_count; i++)
			print_message("after: %s %s\n", sg_rule_infos[after->rules[i].kind].name, after->rules[i].text);
		fail_msg("status %d", status);
	}
	return list;
}

#define FILES "[Filesystem]\n"
#define NETWORK "[Networking]\n"

static void test_rows(void **state)
{
	static const struct {
		const char *before, *after, *expected; /* all of the differences */
	} rows[] = {
		{"", FILES "ReadOnly = [\"/srv/**\"]\n",
		 "gives list /srv/ by - to /srv/**\ngives read /srv/a by - to /srv/**\n"},
		{FILES "ReadOnly = [\"/srv/**\"]\n", FILES "ReadWrite = [\"/srv/**\"]\n",
		 "gives write /srv/a by - to /srv/**\ngives change /srv/a/ by - to /srv/**\n"},
		{FILES "ReadOnly = [\"/srv/*\"]\n", FILES "ReadOnly = [\"/srv/**\"]\n",
		 "gives list /srv/a/ by - to /srv/**\ngives read /srv/a/a by - to /srv/**\n"},
		{FILES "ReadOnly = [\"/srv/**\"]\n", FILES "ReadOnly = [\"/srv/**\"]\nDeny = [\"/srv/key\"]\n",
		 "takes read /srv/key by /srv/** to /srv/key\n"},
		{FILES "ReadOnly = [\"/srv/**\"]\n", FILES "ReadOnly = [\"/srv/**\"]\nHide = [\"/srv/c/**\"]\n",
		 "takes list /srv/c/ by /srv/** to /srv/c/**\ntakes read /srv/c/a by /srv/** to /srv/c/**\n"},
		{FILES "ReadOnly = [\"/srv/a\"]\n", FILES "Exec = [\"/srv/a\"]\n",
		 "gives execute /srv/a by - to /srv/a\n"},
		{FILES "ReadOnly = [\"/srv/a\"]\n", FILES "ReadOnly = [\"/srv/a\"]\nLogOnRead = [\"/srv/a\"]\n",
		 "changes record reading /srv/a by - to /srv/a\n"},
		{"", FILES "Private = [\"/srv/\"]\n",
		 "gives change (its own) /srv/ by - to /srv/\ngives write (its own) /srv/a by - to /srv/\n"},
		/* A folder of the world's own stands over the host's. */
		{FILES "ReadWrite = [\"/srv/a/*\"]\n", FILES "ReadWrite = [\"/srv/a/*\"]\nPrivate = [\"/srv/a/\"]\n",
		 "gives change (its own) /srv/a/ by - to /srv/a/\ntakes list /srv/a/ by /srv/a/* to /srv/a/*\n"
		 "gives write (its own) /srv/a/b by /srv/a/* to /srv/a/\ntakes read /srv/a/b by /srv/a/* to /srv/a/*\n"
		 "takes write /srv/a/b by /srv/a/* to /srv/a/*\ngives write (its own) /srv/a/b/b by - to /srv/a/\n"},
		{"", NETWORK "Allow = [\"unix:/run/x/*\"]\n", "gives connect to unix:/run/x/a by - to unix:/run/x/*\n"},
		{"", NETWORK "Allow = [\"unix:@x\"]\n", "gives connect to unix:@x by - to unix:@x\n"},
		{"", NETWORK "Allow = [\"tcp:10.0.0.0/8:5432\"]\n",
		 "gives connect to tcp:10.0.0.0:5432 by - to tcp:10.0.0.0/8:5432\n"},
		{NETWORK "Allow = [\"tcp:10.0.0.0/8:5432\"]\n", NETWORK "Allow = [\"tcp:10.0.0.0/8:5432-5433\"]\n",
		 "gives connect to tcp:10.0.0.0:5433 by - to tcp:10.0.0.0/8:5432-5433\n"},
		{NETWORK "Allow = [\"tcp:10.0.0.0/8:1-9\"]\n",
		 NETWORK "Allow = [\"tcp:10.0.0.0/8:1-9\"]\nDeny = [\"*:10.7.0.0/16:9\"]\n",
		 "takes connect to tcp:10.7.0.0:9 by tcp:10.0.0.0/8:1-9 to *:10.7.0.0/16:9\n"
		 "takes listen on tcp:10.7.0.0:9 by - to *:10.7.0.0/16:9\n"},
		/* a translator carries an address within another one to what is denied */
		{NETWORK "Allow = [\"tcp:[64:ff9b::]/96:80\"]\n",
		 NETWORK "Allow = [\"tcp:[64:ff9b::]/96:80\"]\nDeny = [\"*:10.0.0.0/8:*\"]\n",
		 "takes listen on tcp:10.0.0.0:1 by - to *:10.0.0.0/8:*\n"
		 "takes connect to tcp:[64:ff9b::a00:0]:80 by tcp:[64:ff9b::]/96:80 to *:10.0.0.0/8:*\n"},
		{NETWORK "Flags = [\"dns\"]\n", NETWORK "Flags = [\"dns\"]\nAllow = [\"tcp:*.example:443\"]\n",
		 "gives connect to tcp:some-name.example:443 by - to tcp:*.example:443\n"
		 "gives look up some-name.example by - to tcp:*.example:443\n"},
		{NETWORK "Listen = [\"tcp:host:80\"]\n", "", "takes listen on tcp:host:80 by tcp:host:80 to -\n"},
		{"[Misc]\nSyscalls = [\"ptrace\", \"kcmp\"]\n",
		 "[Misc]\nSyscalls = [\"ptrace\", \"kcmp\"]\nDenySyscalls = [\"ptrace\"]\n",
		 "takes system call ptrace by ptrace to ptrace\n"},
		{"[Runtime]\nLimits = { Processes = 10 }\n", "[Runtime]\nLimits = { Processes = 20 }\n",
		 "gives limit Processes: 10 -> 20 by Processes to Processes\n"},
		{"[Runtime]\nEnv = [\"A\", \"B=c\"]\n", "[Runtime]\nEnv = [\"B=d\", \"C\"]\n",
		 "takes variable A: A -> - by A to -\nchanges variable B: B=c -> B=d by B=c to B=d\n"
		 "gives variable C: - -> C by - to C\n"},
		{FILES "Bounds = [\"landlock\"]\n", "", "gives bound landlock by landlock to -\n"},
		{"[Runtime]\nCwd = \"/a\"\n", "[Runtime]\nCwd = \"/b\"\n",
		 "changes working directory /a by /a to -\nchanges working directory /b by - to /b\n"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_POLICY struct sg_policy *before = compile("a.toml", rows[i].before);
		SG_AUTO_POLICY struct sg_policy *after = compile("b.toml", rows[i].after);
		SG_AUTO_DIFFERENCES struct sg_differences list = compare(before, after);
		SG_AUTO_FREE char *found = render(&list);

		if (strcmp(found, rows[i].expected) != 0)
			fail_msg("row %zu:\n%s\nwanted:\n%s", i, found, rows[i].expected);
	}
}

/* A flag is told, and not again each call that came with it. */
static void test_flags(void **state)
{
	SG_AUTO_POLICY struct sg_policy *before = compile("a.toml", ""),
					*after = compile("b.toml", "[Runtime]\nFlags = [\"debug\"]\n");
	SG_AUTO_DIFFERENCES struct sg_differences list = compare(before, after);

	(void)state;
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].what, "flag");
	assert_string_equal(list.items[0].example, "debug");
}

static void test_same_meaning(void **state)
{
	static const struct {
		const char *before, *after;
	} rows[] = {
		{FILES "ReadOnly = [\"/usr/**\"]\n", FILES "ReadOnly = [\"/usr/{,**}\", \"/usr/**\"]\n"},
		{FILES "ReadOnly = [\"/usr/**\"]\n", FILES "ReadOnly = [\"/usr/**\", \"/usr/bin/*\"]\n"},
		{FILES "ReadOnly = [\"/srv/{a,b}\"]\n", FILES "ReadOnly = [\"/srv/b\", \"/srv/a\"]\n"},
		{FILES "ReadOnly = [\"/srv/a/**[^/]\", \"/srv/a/**/\", \"/srv/a/\"]\n",
		 FILES "ReadOnly = [\"/srv/a/**\", \"/srv/a/\"]\n"},
		{FILES "ReadWrite = [\"/srv/**\"]\n", FILES "ReadWrite = [\"/srv/**\"]\nMap = [\"/srv/x\"]\n"},
		{FILES "ReadOnly = [\"/srv/a\"]\n",
		 FILES "ReadOnly = [\"/srv/a\"]\nDeny = [\"/elsewhere/**\"]\nHide = [\"/none\"]\n"},
		{NETWORK "Allow = [\"tcp:10.0.0.0/8:80,443\"]\n",
		 NETWORK "Allow = [\"tcp:10.0.0.0/9:80,443\", \"tcp:10.128.0.0/9:443\", \"tcp:10.128.0.0/9:80\"]\n"},
		{NETWORK "Allow = [\"tcp:internet:80\"]\n",
		 NETWORK "Allow = [\"tcp:internet:80\", \"tcp:9.9.9.9:80\"]\n"},
		{NETWORK "Allow = [\"*:10.0.0.1:80\"]\n",
		 NETWORK "Allow = [\"tcp:10.0.0.1:80\", \"udp:10.0.0.1:80\"]\n"},
		{NETWORK "Allow = [\"unix:@a*\"]\n", NETWORK "Allow = [\"unix:@a*\", \"unix:@ab\", \"unix:@a**\"]\n"},
		{NETWORK "Flags = [\"dns\"]\nAllow = [\"tcp:*.example:443\"]\n",
		 NETWORK "Flags = [\"dns\"]\nAllow = [\"tcp:*.example:443\", \"tcp:www.example:443\"]\n"},
		{"[Runtime]\nLimits = { Memory = \"1GiB\" }\n", "[Runtime]\nLimits = { Memory = \"1024MiB\" }\n"},
		{"[Misc]\nFlags = [\"x\"]\n[Define.x]\nSyscalls = [\"kcmp\"]\n",
		 "[Misc]\nFlags = [\"y\"]\n[Define.y]\nSyscalls = [\"kcmp\"]\n"},
		{"", "Name = \"x\"\nDescription = \"y\"\n[[Test]]\nRead = \"/x\"\nExpect = \"deny\"\n"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++)
		for (int turn = 0; turn < 2; turn++) {
			SG_AUTO_POLICY struct sg_policy *before =
				compile("a.toml", turn ? rows[i].after : rows[i].before);
			SG_AUTO_POLICY struct sg_policy *after =
				compile("b.toml", turn ? rows[i].before : rows[i].after);
			SG_AUTO_DIFFERENCES struct sg_differences list = compare(before, after);
			SG_AUTO_FREE char *found = render(&list);

			if (list.count > 0)
				fail_msg("row %zu, %s:\n%s", i, turn ? "backwards" : "forwards", found);
		}
}

/* --- profiles made at random: a list of statements, which a text puts under their sections in any order --- */

enum { STATEMENTS_MAX = 16, STATEMENT_MAX = 256 };

struct statement {
	const char *section, *key;
	char value[STATEMENT_MAX];
};

struct statements {
	struct statement items[STATEMENTS_MAX];
	size_t count;
};

static const struct {
	const char *section, *key;
} globs[] = {{"Filesystem", "ReadOnly"},  {"Filesystem", "ReadWrite"}, {"Filesystem", "Exec"}, {"Filesystem", "Deny"},
	     {"Filesystem", "DenyWrite"}, {"Filesystem", "Hide"},      {"Filesystem", "Map"}};

static const struct {
	const char *section, *key, *value;
} others[] = {
	{"Filesystem", "Private", "/a/"},
	{"Networking", "Allow", "tcp:10.0.0.0/8:80"},
	{"Networking", "Allow", "tcp:*.example:1-100"},
	{"Networking", "Allow", "*:internet:80-90"},
	{"Networking", "Allow", "unix:/a/**"},
	{"Networking", "Allow", "unix:@a*"},
	{"Networking", "Deny", "tcp:10.1.0.0/16:*"},
	{"Networking", "Deny", "*:a.example:80"},
	{"Networking", "Deny", "unix:/a/b"},
	{"Networking", "Listen", "tcp:*:8080"},
	{"Networking", "Flags", "dns"},
	{"Networking", "Flags", "incoming"},
	{"Runtime", "Flags", "start"},
	{"Runtime", "DenyFlags", "debug"},
	{"Runtime", "Env", "A=b"},
	{"Misc", "DenySyscalls", "getpid"},
};

static bool is_glob(const char *text, size_t length)
{
	struct sg_glob *glob = NULL;
	const bool valid = sg_glob_parse(text, length, NULL, &glob) == 0;

	sg_glob_free(glob);
	return valid;
}

static void make_statement(struct generator *generator, struct statement *statement)
{
	const uint32_t which = generate_below(generator, 2 * SG_ARRAY_SIZE(others));

	if (which < SG_ARRAY_SIZE(others)) {
		statement->section = others[which].section;
		statement->key = others[which].key;
		(void)snprintf(statement->value, sizeof(statement->value), "%s", others[which].value);
		return;
	}
	statement->section = globs[which % SG_ARRAY_SIZE(globs)].section;
	statement->key = globs[which % SG_ARRAY_SIZE(globs)].key;
	for (;;) {
		size_t length = generate_glob(generator, statement->value);

		statement->value[length] = '\0';
		if (is_glob(statement->value, length))
			return;
	}
}

static void make_statements(struct generator *generator, struct statements *list)
{
	list->count = 1 + generate_below(generator, STATEMENTS_MAX / 2);
	for (size_t i = 0; i < list->count; i++)
		make_statement(generator, &list->items[i]);
}

static void shuffle(struct generator *generator, struct statements *list)
{
	for (size_t i = list->count; i > 1; i--) {
		const size_t j = generate_below(generator, (uint32_t)i);
		const struct statement swap = list->items[i - 1];

		list->items[i - 1] = list->items[j];
		list->items[j] = swap;
	}
}

/* The statements from `begin` to `end` as a profile. A ReadOnly within a ReadWrite of the same file would be an error. */
static char *write_profile(const struct statements *list, size_t begin, size_t end, const char *head)
{
	static const char *const sections[] = {"Filesystem", "Networking", "Runtime", "Misc"};
	struct sg_buffer out = SG_BUFFER_INIT;

	sg_buffer_append_text(&out, head);
	for (size_t s = 0; s < SG_ARRAY_SIZE(sections); s++) {
		bool written[STATEMENTS_MAX] = {false};

		sg_buffer_printf(&out, "[%s]\n", sections[s]);
		for (size_t i = begin; i < end; i++) {
			if (written[i] || strcmp(list->items[i].section, sections[s]) != 0)
				continue;
			sg_buffer_printf(&out, "%s = [", list->items[i].key);
			for (size_t j = i; j < end; j++)
				if (strcmp(list->items[j].section, sections[s]) == 0 &&
				    strcmp(list->items[j].key, list->items[i].key) == 0) {
					written[j] = true;
					sg_buffer_printf(&out, "'%s', ", list->items[j].value);
				}
			sg_buffer_append_text(&out, "]\n");
		}
	}
	return sg_buffer_take(&out);
}

/* A policy of the statements, each in a file of its own, so that no rule of one file about another can be broken. */
static struct sg_policy *policy_of(const struct statements *list)
{
	char *texts[STATEMENTS_MAX], names[STATEMENTS_MAX][32];
	const char *table[2 * STATEMENTS_MAX + 1] = {NULL};
	SG_AUTO_BUFFER struct sg_buffer head = SG_BUFFER_INIT;
	struct sg_policy *policy;

	sg_buffer_append_text(&head, "Extends = [");
	for (size_t i = 0; i < list->count; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "p%zu", i);
		texts[i] = write_profile(list, i, i + 1, "");
		table[2 * i] = names[i];
		table[2 * i + 1] = texts[i];
		sg_buffer_printf(&head, "'%s', ", names[i]);
	}
	sg_buffer_append_text(&head, "]\n");
	policy = compile_with("whole", head.data, table);
	for (size_t i = 0; i < list->count; i++)
		free(texts[i]);
	return policy;
}

enum { ROUNDS = 200 };

/* Order, repetition and other forms of the same globs are no difference, though the hash is another. */
static void test_shuffled_is_the_same(void **state)
{
	struct generator generator = {1};

	(void)state;
	for (size_t round = 0; round < ROUNDS; round++) {
		struct statements list, other;
		struct sg_policy *before, *after;
		struct sg_differences found;

		make_statements(&generator, &list);
		other = list;
		if (other.count < STATEMENTS_MAX)
			other.items[other.count++] = list.items[generate_below(&generator, (uint32_t)list.count)];
		for (size_t i = 0; i < other.count; i++) /* "/{,}" is "/" in another form: the hash differs */
			if (strcmp(other.items[i].section, "Filesystem") == 0 &&
			    strcmp(other.items[i].key, "Private") != 0 && strlen(other.items[i].value) > 1) {
				char form[STATEMENT_MAX + 8];

				(void)snprintf(form, sizeof(form), "{%s,%s}", other.items[i].value,
					       other.items[i].value);
				if (is_glob(form, strlen(form)))
					(void)snprintf(other.items[i].value, STATEMENT_MAX, "%.*s", STATEMENT_MAX - 1,
						       form);
			}
		shuffle(&generator, &other);
		before = policy_of(&list);
		after = policy_of(&other);
		found = compare(before, after);
		if (found.count > 0) {
			SG_AUTO_FREE char *text = render(&found);
			SG_AUTO_FREE char *profile = write_profile(&list, 0, list.count, "");

			fail_msg("round %zu:\n%s\n%s", round, text, profile);
		}
		sg_differences_done(&found);
		sg_policy_free(before);
		sg_policy_free(after);
	}
}

static bool refuses(const struct statement *statement)
{
	return strncmp(statement->key, "Deny", 4) == 0 || strcmp(statement->key, "Hide") == 0;
}

/* One more refusal gives nothing; one more grant takes nothing away, but a folder of the world's own, which stands over the host's. */
static void test_directions(void **state)
{
	struct generator generator = {2};

	(void)state;
	for (size_t round = 0; round < ROUNDS; round++) {
		struct statements list, wider;
		struct statement *added;
		struct sg_policy *before, *after;
		struct sg_differences found;

		make_statements(&generator, &list);
		wider = list;
		added = &wider.items[wider.count++];
		make_statement(&generator, added);
		before = policy_of(&list);
		after = policy_of(&wider);
		found = compare(before, after);
		if ((refuses(added) && found.found[SG_DIRECTION_GIVES] > 0) ||
		    (!refuses(added) && strcmp(added->key, "Private") != 0 && found.found[SG_DIRECTION_TAKES] > 0)) {
			SG_AUTO_FREE char *text = render(&found);
			SG_AUTO_FREE char *profile = write_profile(&list, 0, list.count, "");

			fail_msg("round %zu: %s = %s added to\n%s\n%s", round, added->key, added->value, profile, text);
		}
		sg_differences_done(&found);
		sg_policy_free(before);
		sg_policy_free(after);
	}
}

/* --- against the questions --- */

static enum sg_outcome ask(struct sg_asker *asker, enum sg_action action, const char *name)
{
	SG_AUTO_ANSWER struct sg_answer answer = {0};
	struct sg_ask_problem problem;

	if (sg_ask(asker, action, name, &answer, &problem) != 0)
		fail_msg("%s: %s", name, problem.message);
	return answer.outcome;
}

static const struct {
	const char *what;
	enum sg_action action;
	enum sg_outcome outcome;
} questions[] = {
	{"read", SG_ACTION_READ, SG_OUTCOME_ALLOW},
	{"list", SG_ACTION_LIST, SG_OUTCOME_ALLOW},
	{"write", SG_ACTION_WRITE, SG_OUTCOME_ALLOW},
	{"execute", SG_ACTION_EXEC, SG_OUTCOME_ALLOW},
	{"write (its own)", SG_ACTION_WRITE, SG_OUTCOME_OWN},
	{"read (its own)", SG_ACTION_READ, SG_OUTCOME_OWN},
	{"execute (its own)", SG_ACTION_EXEC, SG_OUTCOME_OWN},
};

/* What is told is so: of the name, one side answers so and the other does not. */
static size_t check_told(const struct sg_differences *list, struct sg_asker *before, struct sg_asker *after)
{
	size_t checked = 0;

	for (size_t i = 0; i < list->count; i++)
		for (size_t q = 0; q < SG_ARRAY_SIZE(questions); q++) {
			const struct sg_difference *d = &list->items[i];
			bool was, is;

			if (strcmp(questions[q].what, d->what) != 0)
				continue;
			was = ask(before, questions[q].action, d->example) == questions[q].outcome;
			is = ask(after, questions[q].action, d->example) == questions[q].outcome;
			if (was == is || is != (d->direction == SG_DIRECTION_GIVES)) {
				SG_AUTO_FREE char *text = render(list);

				fail_msg("%s %s: %d, %d\n%s", d->what, d->example, was, is, text);
			}
			checked++;
		}
	return checked;
}

/* The answer, all refusals being one. */
static int may(struct sg_asker *asker, enum sg_action action, const char *name)
{
	const enum sg_outcome outcome = ask(asker, action, name);

	return sg_outcome_may(outcome) ? (int)outcome : -1;
}

/* And what is so is told: where an answer about some name differs, there is a difference. */
static void check_names(struct generator *generator, const struct sg_differences *list, struct sg_asker *before,
			struct sg_asker *after)
{
	static const enum sg_action actions[] = {SG_ACTION_READ, SG_ACTION_WRITE, SG_ACTION_EXEC};

	for (int i = 0; i < 50; i++) {
		char name[64];
		const size_t length = generate_name(generator, name, 12);

		name[length] = '\0';
		if (name[0] != '/' || strstr(name, "/.") != NULL || name[length - 1] == '/')
			continue;
		for (size_t a = 0; a < SG_ARRAY_SIZE(actions); a++)
			if (may(before, actions[a], name) != may(after, actions[a], name) && list->count == 0)
				fail_msg("%s %s is answered %s before, %s after, and there is no difference",
					 sg_action_infos[actions[a]].word, name,
					 sg_outcome_names[ask(before, actions[a], name)],
					 sg_outcome_names[ask(after, actions[a], name)]);
	}
}

static void test_questions_agree(void **state)
{
	static const char *const none[] = {NULL};
	const struct sg_ask_context context = {.variables = &variables, .passed = none, .set = none};
	struct generator generator = {3};
	size_t checked = 0;

	(void)state;
	for (size_t round = 0; round < ROUNDS; round++) {
		struct statements lists[2];
		struct sg_policy *policies[2];
		struct sg_asker *askers[2];
		struct sg_differences forwards, backwards;

		make_statements(&generator, &lists[0]);
		lists[1] = lists[0];
		/* One statement of them is another one. */
		make_statement(&generator, &lists[1].items[generate_below(&generator, (uint32_t)lists[1].count)]);
		for (int i = 0; i < 2; i++) {
			policies[i] = policy_of(&lists[i]);
			assert_int_equal(sg_asker_new(policies[i], &context, &askers[i]), 0);
		}
		forwards = compare(policies[0], policies[1]);
		backwards = compare(policies[1], policies[0]);
		assert_int_equal(forwards.found[SG_DIRECTION_GIVES] > 0, backwards.found[SG_DIRECTION_TAKES] > 0);
		assert_int_equal(forwards.found[SG_DIRECTION_TAKES] > 0, backwards.found[SG_DIRECTION_GIVES] > 0);
		checked += check_told(&forwards, askers[0], askers[1]);
		check_names(&generator, &forwards, askers[0], askers[1]);
		sg_differences_done(&forwards);
		sg_differences_done(&backwards);
		for (int i = 0; i < 2; i++) {
			sg_asker_free(askers[i]);
			sg_policy_free(policies[i]);
		}
	}
	assert_true(checked > ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),         cmocka_unit_test(test_flags),
		cmocka_unit_test(test_same_meaning), cmocka_unit_test(test_shuffled_is_the_same),
		cmocka_unit_test(test_directions),   cmocka_unit_test(test_questions_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
