/* Questions about policies: every action, by rules, without them, and where only a condition opens it; what is proposed works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "policy/ask.h"
#include "policy/compile.h"

static const struct sg_variables variables = {
	.cwd = "/home/u/work", .home = "/home/u", .user = "u", .uid = "1000", .runtime = "/run/user/1000"};
static const char *const passed[] = {"TERM", "LC_*", NULL}, *const set[] = {"HOME", NULL};

static int no_profile(void *data, const char *name, const struct sg_source *from, struct sg_source **ret,
		      struct sg_error *error)
{
	(void)data;
	(void)from;
	(void)ret;
	return sg_error_set(error, -ENOENT, "there is no profile \"%s\"", name);
}

static struct sg_policy *compile(const char *text)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_policy *policy = NULL;
	struct sg_source *source;

	assert_int_equal(sg_source_new("a.toml", text, strlen(text), &source), 0);
	if (sg_policy_compile(&source, 1, &variables, no_profile, NULL, &diagnostics, &policy, &error) != 0) {
		sg_diagnostics_render(&diagnostics, &out);
		fail_msg("%s: %s", text, out.data);
	}
	return policy;
}

/* This host: 192.0.2.50. */
static struct sg_addressranges *own_addresses(void)
{
	static const uint8_t bytes[] = {192, 0, 2, 50};
	const struct sg_addressrange range = sg_addressrange_prefix(AF_INET, bytes, 32);
	struct sg_addressranges *ranges = sg_addressranges_new(&range, 1);

	assert_non_null(ranges);
	return ranges;
}

static int ask(struct sg_policy *policy, enum sg_action action, const char *object, struct sg_answer *answer,
	       struct sg_ask_problem *problem)
{
	struct sg_addressranges *own = own_addresses();
	const struct sg_address_environment environment = {.own = own};
	const struct sg_ask_context context = {
		.variables = &variables, .environment = &environment, .passed = passed, .set = set};
	struct sg_asker *asker = NULL;
	int status;

	assert_int_equal(sg_asker_new(policy, &context, &asker), 0);
	status = sg_ask(asker, action, object, answer, problem);
	sg_asker_free(asker);
	sg_addressranges_free(own);
	return status;
}

#define FILES "[Filesystem]\n"
#define NETWORK "[Networking]\n"
#define SOCKETS "[Networking]\nFlags = [\"loopback\", \"dns\"]\n"
#define START "[Runtime]\nFlags = [\"start\"]\n"

struct row {
	const char *profile;
	enum sg_action action;
	const char *object;
	enum sg_outcome outcome;
	const char *written; /* of the rule; NULL: none */
	const char *
		change; /* "Section.Key=value" that is proposed; "": that nothing else can allow it; NULL: not looked at */
};

static const struct row rows[] = {
	/* files */
	{FILES "ReadOnly = [\"/srv/**\"]\n", SG_ACTION_READ, "/srv/a", SG_OUTCOME_ALLOW, "/srv/**", NULL},
	{FILES "ReadOnly = [\"/srv/**\"]\n", SG_ACTION_READ, "/srv//a", SG_OUTCOME_ALLOW, "/srv/**", NULL},
	{FILES "ReadOnly = [\"/srv/**\"]\n", SG_ACTION_WRITE, "/srv/a", SG_OUTCOME_DENY, "/srv/**",
	 "Filesystem.ReadWrite=/srv/a"},
	{FILES "ReadOnly = [\"/srv/**\"]\n", SG_ACTION_EXEC, "/srv/a", SG_OUTCOME_DENY, "/srv/**",
	 "Filesystem.Exec=/srv/a"},
	{FILES "ReadOnly = [\"/srv/**\"]\n", SG_ACTION_READ, "/etc/a*", SG_OUTCOME_DENY, NULL,
	 "Filesystem.ReadOnly=/etc/a\\*"},
	{FILES "Exec = [\"/srv/*\"]\n", SG_ACTION_EXEC, "/srv/a", SG_OUTCOME_ALLOW, "/srv/*", NULL},
	{FILES "Exec = [\"/srv/*\"]\n", SG_ACTION_READ, "/srv/a", SG_OUTCOME_ALLOW, "/srv/*", NULL},
	{FILES "Map = [\"/srv/*\"]\n", SG_ACTION_EXEC, "/srv/a", SG_OUTCOME_DENY, "/srv/*", "Filesystem.Exec=/srv/a"},
	{FILES "ReadWrite = [\"/srv/**\"]\nDeny = [\"/srv/k\"]\n", SG_ACTION_READ, "/srv/k", SG_OUTCOME_DENY, "/srv/k",
	 ""},
	{FILES "ReadWrite = [\"/srv/**\"]\nDenyWrite = [\"/srv/k\"]\n", SG_ACTION_WRITE, "/srv/k", SG_OUTCOME_DENY,
	 "/srv/k", ""},
	{FILES "ReadWrite = [\"/srv/**\"]\nDenyWrite = [\"/srv/k\"]\n", SG_ACTION_READ, "/srv/k", SG_OUTCOME_ALLOW,
	 "/srv/**", NULL},
	{FILES "ReadOnly = [\"/srv/**\"]\nHide = [\"/srv/c/**\"]\n", SG_ACTION_READ, "/srv/c/d/e", SG_OUTCOME_HIDE,
	 "/srv/c/**", ""},
	{FILES "ReadOnly = [\"/srv/**\"]\nHide = [\"/srv/c/\"]\n", SG_ACTION_READ, "/srv/c/d/e", SG_OUTCOME_HIDE,
	 "/srv/c/", ""},
	{FILES "ReadWrite = [\"${CWD}/**\"]\n", SG_ACTION_WRITE, "~/work/x", SG_OUTCOME_ALLOW, "${CWD}/**", NULL},
	{FILES "ReadOnly = [\"/srv/**\"]\n", SG_ACTION_LIST, "/srv", SG_OUTCOME_ALLOW, "/srv/**", NULL},
	{FILES "ReadOnly = [\"/srv/*.conf\"]\n", SG_ACTION_LIST, "/srv/", SG_OUTCOME_ALLOW, "/srv/*.conf", NULL},
	{FILES "ReadOnly = [\"/srv/a\"]\n", SG_ACTION_LIST, "/srv/", SG_OUTCOME_DENY, NULL,
	 "Filesystem.ReadOnly=/srv/"},
	{FILES "Flags = [\"tmp\"]\n", SG_ACTION_WRITE, "/tmp/x", SG_OUTCOME_OWN, "/tmp/", NULL},
	{FILES "Flags = [\"tmp\"]\n", SG_ACTION_EXEC, "/tmp/x", SG_OUTCOME_DENY, NULL, "Filesystem.Exec=/tmp/x"},
	{FILES "Flags = [\"tmp\"]\nDenyWrite = [\"/tmp/x\"]\n", SG_ACTION_WRITE, "/tmp/x", SG_OUTCOME_DENY, "/tmp/x",
	 ""},
	{FILES "Private = [\"/home/u/\"]\nReadOnly = [\"/home/u/.rc\"]\n", SG_ACTION_WRITE, "/home/u/.rc",
	 SG_OUTCOME_DENY, "/home/u/.rc", "Filesystem.ReadWrite=/home/u/.rc"},
	{FILES "Flags = [\"tmp\"]\nReadOnly = [\"/**\"]\n", SG_ACTION_WRITE, "/tmp/x", SG_OUTCOME_OWN, "/tmp/", NULL},
	{FILES "Flags = [\"tmp\"]\nExec = [\"/tmp/**\"]\n", SG_ACTION_WRITE, "/tmp/x", SG_OUTCOME_OWN, "/tmp/", NULL},
	{FILES "Flags = [\"tmp\"]\nExec = [\"/tmp/**\"]\n", SG_ACTION_EXEC, "/tmp/x", SG_OUTCOME_OWN, "/tmp/", NULL},
	{FILES "Flags = [\"tmp\"]\nReadOnly = [\"/tmp/a/*.c\"]\n", SG_ACTION_READ, "/tmp/a/x", SG_OUTCOME_DENY, NULL,
	 "Filesystem.ReadOnly=/tmp/a/x"},
	{"", SG_ACTION_READ, "/proc/self/status", SG_OUTCOME_OWN, NULL, NULL},
	{"", SG_ACTION_READ, "/etc/passwd", SG_OUTCOME_DENY, NULL, "Filesystem.ReadOnly=/etc/passwd"},
	/* see */
	{FILES "ReadOnly = [\"/srv/**\"]\nDeny = [\"/srv/k\"]\n", SG_ACTION_SEE, "/srv/k", SG_OUTCOME_ALLOW, "/srv/**",
	 NULL},
	{FILES "ReadOnly = [\"/srv/**\"]\nHide = [\"/srv/k\"]\n", SG_ACTION_SEE, "/srv/k", SG_OUTCOME_HIDE, "/srv/k",
	 ""},
	{FILES "ReadOnly = [\"/srv/*.conf\"]\n", SG_ACTION_SEE, "/srv/secret", SG_OUTCOME_ALLOW, "/srv/*.conf", NULL},
	{FILES "ReadOnly = [\"/srv/a\"]\n", SG_ACTION_SEE, "/srv/secret", SG_OUTCOME_DENY, NULL,
	 "Filesystem.ReadOnly=/srv/secret"},
	{FILES "ReadOnly = [\"/srv/b/a\"]\n", SG_ACTION_SEE, "/srv", SG_OUTCOME_ALLOW, NULL, NULL},
	/* addresses by number */
	{SOCKETS "Allow = [\"tcp:10.0.0.0/8:5432\"]\n", SG_ACTION_CONNECT, "tcp:10.1.2.3:5432", SG_OUTCOME_ALLOW,
	 "tcp:10.0.0.0/8:5432", NULL},
	{SOCKETS "Allow = [\"tcp:10.0.0.0/8:5432\"]\n", SG_ACTION_CONNECT, "tcp:10.1.2.3:5433", SG_OUTCOME_DENY, NULL,
	 "Networking.Allow=tcp:10.1.2.3:5433"},
	{SOCKETS "Allow = [\"tcp:10.0.0.0/8:5432\"]\n", SG_ACTION_CONNECT, "udp:10.1.2.3:5432", SG_OUTCOME_DENY, NULL,
	 "Networking.Allow=udp:10.1.2.3:5432"},
	{SOCKETS "Allow = [\"tcp:10.0.0.0/8:*\"]\nDeny = [\"*:10.1.0.0/16:*\"]\n", SG_ACTION_CONNECT,
	 "tcp:10.1.2.3:5432", SG_OUTCOME_DENY, "*:10.1.0.0/16:*", ""},
	{NETWORK "Allow = [\"tcp:10.0.0.0/8:5432\"]\n", SG_ACTION_CONNECT, "tcp:10.1.2.3:5432", SG_OUTCOME_DENY, NULL,
	 "Networking.Flags=loopback"},
	{SOCKETS "Allow = [\"tcp:10.0.0.0/8:5432\"]\n[Misc]\nDenySyscalls = [\"connect\"]\n", SG_ACTION_CONNECT,
	 "tcp:10.1.2.3:5432", SG_OUTCOME_DENY, "connect", ""},
	{SOCKETS, SG_ACTION_CONNECT, "tcp:127.0.0.1:80", SG_OUTCOME_OWN, NULL, NULL},
	{SOCKETS "Allow = [\"tcp:loopback:80\"]\n", SG_ACTION_CONNECT, "tcp:127.0.0.1:80", SG_OUTCOME_ALLOW,
	 "tcp:loopback:80", NULL},
	{SOCKETS "Allow = [\"tcp:internet:*\"]\n", SG_ACTION_CONNECT, "tcp:192.0.2.50:80", SG_OUTCOME_DENY, NULL,
	 "Networking.Allow=tcp:192.0.2.50:80"},
	{SOCKETS "Allow = [\"tcp:internet:*\"]\n", SG_ACTION_CONNECT, "tcp:[2001:db8::7]:80", SG_OUTCOME_ALLOW,
	 "tcp:internet:*", NULL},
	{NETWORK "Flags = [\"ping\"]\n", SG_ACTION_CONNECT, "icmp:203.0.113.9", SG_OUTCOME_ALLOW, "icmp:internet",
	 NULL},
	/* addresses that only an answer opens */
	{SOCKETS "Allow = [\"tcp:*.example:443\"]\n", SG_ACTION_CONNECT, "tcp:203.0.113.9:443", SG_OUTCOME_ANSWERED,
	 "tcp:*.example:443", NULL},
	{SOCKETS "Allow = [\"tcp:*.example:443\"]\n", SG_ACTION_CONNECT, "tcp:203.0.113.9:444", SG_OUTCOME_DENY, NULL,
	 NULL},
	{SOCKETS "Allow = [\"tcp:*.example:443\"]\nDeny = [\"*:203.0.113.0/24:*\"]\n", SG_ACTION_CONNECT,
	 "tcp:203.0.113.9:443", SG_OUTCOME_DENY, "*:203.0.113.0/24:*", ""},
	{SOCKETS "Allow = [\"tcp:*.example:80\"]\n", SG_ACTION_CONNECT, "tcp:169.254.169.254:80", SG_OUTCOME_DENY, NULL,
	 NULL},
	{SOCKETS "Allow = [\"tcp:*.example:80\"]\n", SG_ACTION_CONNECT, "tcp:192.0.2.50:80", SG_OUTCOME_DENY, NULL,
	 NULL},
	/* names */
	{SOCKETS "Allow = [\"tcp:*.example:443\"]\n", SG_ACTION_CONNECT, "tcp:evil.example:443", SG_OUTCOME_ALLOW,
	 "tcp:*.example:443", NULL},
	{SOCKETS "Allow = [\"tcp:*.example:443\"]\n", SG_ACTION_CONNECT, "tcp:example:443", SG_OUTCOME_DENY, NULL,
	 "Networking.Allow=tcp:example:443"},
	{SOCKETS "Allow = [\"tcp:*.example:443\"]\n", SG_ACTION_CONNECT, "tcp:EVIL.Example.:443", SG_OUTCOME_ALLOW,
	 "tcp:*.example:443", NULL},
	{SOCKETS "Allow = [\"tcp:*.example:443\"]\nDeny = [\"*:evil.example:*\"]\n", SG_ACTION_CONNECT,
	 "tcp:evil.example:443", SG_OUTCOME_DENY, "*:evil.example:*", ""},
	{SOCKETS "Allow = [\"tcp:*.example:443\"]\nDeny = [\"*:*:*\"]\n", SG_ACTION_CONNECT, "tcp:evil.example:443",
	 SG_OUTCOME_DENY, "*:*:*", ""},
	/* one family is enough */
	{SOCKETS "Allow = [\"tcp:*.example:443\"]\nDeny = [\"*:0.0.0.0/0:*\"]\n", SG_ACTION_CONNECT,
	 "tcp:evil.example:443", SG_OUTCOME_ALLOW, "tcp:*.example:443", NULL},
	{SOCKETS "Allow = [\"tcp:internet:443\"]\n", SG_ACTION_CONNECT, "tcp:evil.example:443", SG_OUTCOME_ALLOW,
	 "tcp:internet:443", NULL},
	{SOCKETS "Allow = [\"tcp:internet:443\"]\n", SG_ACTION_CONNECT, "tcp:internet:80", SG_OUTCOME_DENY, NULL,
	 "Networking.Allow=tcp:internet:80"},
	{NETWORK "Flags = [\"loopback\"]\nAllow = [\"tcp:*.example:443\"]\n", SG_ACTION_CONNECT, "tcp:evil.example:443",
	 SG_OUTCOME_DENY, "tcp:*.example:443", "Networking.Flags=dns"},
	{SOCKETS "Allow = [\"tcp:10.0.0.0/8:443\"]\n", SG_ACTION_CONNECT, "tcp:evil.example:443", SG_OUTCOME_DENY, NULL,
	 "Networking.Allow=tcp:evil.example:443"},
	/* sockets by path */
	{NETWORK "Flags = [\"unix\"]\nAllow = [\"unix:/run/x/*\"]\n", SG_ACTION_CONNECT, "unix:/run/x/s",
	 SG_OUTCOME_ALLOW, "unix:/run/x/*", NULL},
	{NETWORK "Flags = [\"unix\"]\nAllow = [\"unix:/run/x/*\"]\n", SG_ACTION_CONNECT, "unix:/run/docker.sock",
	 SG_OUTCOME_DENY, NULL, "Networking.Allow=unix:/run/docker.sock"},
	{NETWORK "Flags = [\"unix\"]\nAllow = [\"unix:/run/x/*\"]\n[Filesystem]\nDeny = [\"/run/x/s\"]\n",
	 SG_ACTION_CONNECT, "unix:/run/x/s", SG_OUTCOME_DENY, "/run/x/s", ""},
	{NETWORK "Flags = [\"unix\"]\nAllow = [\"unix:/run/x/*\"]\n[Filesystem]\nHide = [\"/run/x/**\"]\n",
	 SG_ACTION_CONNECT, "unix:/run/x/s", SG_OUTCOME_HIDE, "/run/x/**", ""},
	{NETWORK "Flags = [\"unix\"]\n" FILES "Flags = [\"tmp\"]\n", SG_ACTION_CONNECT, "unix:/tmp/s", SG_OUTCOME_OWN,
	 "/tmp/", NULL},
	{NETWORK "Flags = [\"unix\"]\n", SG_ACTION_CONNECT, "unix:@x", SG_OUTCOME_OWN, NULL, NULL},
	{NETWORK "Flags = [\"unix\"]\nAllow = [\"unix:@x*\"]\n", SG_ACTION_CONNECT, "unix:@xy", SG_OUTCOME_ALLOW,
	 "unix:@x*", NULL},
	{"", SG_ACTION_CONNECT, "unix:@x", SG_OUTCOME_DENY, NULL, "Networking.Flags=unix"},
	{NETWORK "Flags = [\"unix\"]\n" FILES "ReadWrite = [\"/srv/**\"]\n", SG_ACTION_LISTEN, "unix:/srv/s",
	 SG_OUTCOME_ALLOW, "/srv/**", NULL},
	{NETWORK "Flags = [\"unix\"]\n" FILES "ReadOnly = [\"/srv/**\"]\n", SG_ACTION_LISTEN, "unix:/srv/s",
	 SG_OUTCOME_DENY, "/srv/**", "Filesystem.ReadWrite=/srv/s"},
	/* listening */
	{SOCKETS "Listen = [\"tcp:*:8080\"]\n", SG_ACTION_LISTEN, "tcp:*:8080", SG_OUTCOME_ALLOW, "tcp:*:8080", NULL},
	{SOCKETS "Listen = [\"tcp:192.0.2.50:8000-8999\"]\n", SG_ACTION_LISTEN, "tcp:192.0.2.50:8080", SG_OUTCOME_ALLOW,
	 "tcp:192.0.2.50:8000-8999", NULL},
	{SOCKETS, SG_ACTION_LISTEN, "tcp:*:8080", SG_OUTCOME_OWN, NULL, NULL},
	{NETWORK "Flags = [\"incoming\"]\n", SG_ACTION_LISTEN, "tcp:*:8080", SG_OUTCOME_ALLOW, "incoming", NULL},
	{NETWORK "Flags = [\"incoming\"]\n", SG_ACTION_LISTEN, "tcp:*:80", SG_OUTCOME_OWN, NULL, NULL},
	{NETWORK "Flags = [\"incoming\"]\nDeny = [\"tcp:*:8080\"]\n", SG_ACTION_LISTEN, "tcp:*:8080", SG_OUTCOME_DENY,
	 "tcp:*:8080", ""},
	{NETWORK "Flags = [\"dns\"]\nListen = [\"tcp:*:8080\"]\n", SG_ACTION_LISTEN, "tcp:*:8080", SG_OUTCOME_DENY,
	 NULL, "Networking.Flags=loopback"},
	/* names looked up */
	{SOCKETS "Allow = [\"tcp:*.example:443\"]\n", SG_ACTION_RESOLVE, "a.example", SG_OUTCOME_ALLOW,
	 "tcp:*.example:443", NULL},
	{SOCKETS "Allow = [\"tcp:*.example:443\"]\n", SG_ACTION_RESOLVE, "a.example.org", SG_OUTCOME_DENY, NULL, NULL},
	{SOCKETS "Allow = [\"tcp:internet:443\"]\n", SG_ACTION_RESOLVE, "a.example.org", SG_OUTCOME_ALLOW, NULL, NULL},
	{SOCKETS "Allow = [\"tcp:a.example:443\"]\nDeny = [\"*:a.example:*\"]\n", SG_ACTION_RESOLVE, "a.example",
	 SG_OUTCOME_DENY, "*:a.example:*", ""},
	{NETWORK "Allow = [\"tcp:a.example:443\"]\n", SG_ACTION_RESOLVE, "a.example", SG_OUTCOME_DENY, NULL,
	 "Networking.Flags=dns"},
	/* what has a name of its own */
	{START, SG_ACTION_SYSCALL, "openat", SG_OUTCOME_ALLOW, "openat", NULL},
	{START, SG_ACTION_SYSCALL, "ptrace", SG_OUTCOME_DENY, NULL, "Runtime.Flags=debug"},
	{START "DenySyscalls = [\"openat\"]\n", SG_ACTION_SYSCALL, "openat", SG_OUTCOME_DENY, "openat", ""},
	{"[Runtime]\nFlags = [\"start\"]\nDenyFlags = [\"debug\"]\n", SG_ACTION_SYSCALL, "ptrace", SG_OUTCOME_DENY,
	 "ptrace", ""},
	{START, SG_ACTION_SYSCALL, "io_uring_setup", SG_OUTCOME_DENY, NULL, NULL},
	{NETWORK "Flags = [\"raw\"]\n", SG_ACTION_CAPABILITY, "net_raw", SG_OUTCOME_ALLOW, "CAP_NET_RAW", NULL},
	{NETWORK "Flags = [\"raw\"]\n[Misc]\nDenyCapabilities = [\"CAP_NET_RAW\"]\n", SG_ACTION_CAPABILITY,
	 "CAP_NET_RAW", SG_OUTCOME_DENY, "CAP_NET_RAW", ""},
	{"", SG_ACTION_CAPABILITY, "CAP_NET_RAW", SG_OUTCOME_DENY, NULL, "Networking.Flags=raw"},
	{"[Runtime]\nEnv = [\"A\", \"B=c\"]\n", SG_ACTION_ENV, "A", SG_OUTCOME_ALLOW, "A", NULL},
	{"[Runtime]\nEnv = [\"A\", \"B=c\"]\n", SG_ACTION_ENV, "B", SG_OUTCOME_ALLOW, "B=c", NULL},
	{"[Runtime]\nEnv = [\"A\", \"B=c\"]\n", SG_ACTION_ENV, "C", SG_OUTCOME_DENY, NULL, "Runtime.Env=C"},
	{"", SG_ACTION_ENV, "LC_ALL", SG_OUTCOME_ALLOW, NULL, NULL},
	{"", SG_ACTION_ENV, "HOME", SG_OUTCOME_ALLOW, NULL, NULL},
	{START, SG_ACTION_FLAG, "malloc", SG_OUTCOME_ALLOW, "malloc", NULL},
	{START, SG_ACTION_FLAG, "dns", SG_OUTCOME_DENY, NULL, "Networking.Flags=dns"},
	{START "DenyFlags = [\"malloc\"]\n", SG_ACTION_FLAG, "malloc", SG_OUTCOME_DENY, "malloc", ""},
};

static void check_row(size_t index, const struct row *row)
{
	SG_AUTO_POLICY struct sg_policy *policy = compile(row->profile);
	SG_AUTO_ANSWER struct sg_answer answer = {0};
	struct sg_ask_problem problem;
	char change[512] = "";

	if (ask(policy, row->action, row->object, &answer, &problem) != 0)
		fail_msg("row %zu: %s", index, problem.message);
	if (answer.outcome != row->outcome)
		fail_msg("row %zu: %s %s is %s (%s), not %s under\n%s", index, sg_action_infos[row->action].word,
			 row->object, sg_outcome_names[answer.outcome], answer.reason, sg_outcome_names[row->outcome],
			 row->profile);
	if ((answer.rule == NULL) != (row->written == NULL) ||
	    (answer.rule != NULL && strcmp(answer.rule->written, row->written) != 0))
		fail_msg("row %zu: the rule is %s, not %s", index, answer.rule != NULL ? answer.rule->written : "none",
			 row->written != NULL ? row->written : "none");
	if (answer.proposal.kind == SG_PROPOSAL_LINE)
		(void)snprintf(change, sizeof(change), "%s.%s=%s", answer.proposal.section, answer.proposal.key,
			       answer.proposal.value.data);
	if (row->change != NULL && strcmp(change, row->change) != 0)
		fail_msg("row %zu: proposed is \"%s\", not \"%s\"", index, change, row->change);
}

static void test_rows(void **state)
{
	bool asked[SG_ACTIONS_] = {false};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		check_row(i, &rows[i]);
		asked[rows[i].action] = true;
	}
	for (int i = 0; i < SG_ACTIONS_; i++)
		if (!asked[i])
			fail_msg("no row asks %s", sg_action_infos[i].word);
}

/* Asks again with the proposed line as one section more, or none where the same key is there already. */
static void check_proposal(size_t index, const struct row *row)
{
	SG_AUTO_POLICY struct sg_policy *policy = compile(row->profile), *wider = NULL;
	SG_AUTO_ANSWER struct sg_answer answer = {0}, after = {0};
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *sources[2];
	struct sg_ask_problem problem;

	assert_int_equal(ask(policy, row->action, row->object, &answer, &problem), 0);
	if (answer.proposal.kind != SG_PROPOSAL_LINE)
		return;
	sg_buffer_printf(&text, "[%s]\n%s = ['%s']\n", answer.proposal.section, answer.proposal.key,
			 answer.proposal.value.data);
	assert_int_equal(sg_source_new("a.toml", row->profile, strlen(row->profile), &sources[0]), 0);
	assert_int_equal(sg_source_new("b.toml", text.data, text.size, &sources[1]), 0);
	if (sg_policy_compile(sources, 2, &variables, no_profile, NULL, &diagnostics, &wider, &error) != 0)
		fail_msg("row %zu: the proposal is no profile: %s", index, text.data);
	assert_int_equal(ask(wider, row->action, row->object, &after, &problem), 0);
	/* Two things may be missing: then the second is proposed next. */
	if (!sg_outcome_may(after.outcome) && (after.proposal.kind != SG_PROPOSAL_LINE ||
					       strcmp(after.proposal.value.data, answer.proposal.value.data) == 0))
		fail_msg("row %zu: %s does not help: %s", index, text.data, after.reason);
}

static void test_proposals_help(void **state)
{
	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++)
		check_proposal(i, &rows[i]);
}

static void test_questions_that_are_none(void **state)
{
	static const struct {
		enum sg_action action;
		const char *object, *message;
	} odd[] = {
		{SG_ACTION_READ, "etc/passwd", "not an absolute name"},
		{SG_ACTION_READ, "/etc/../passwd", ". or .."},
		{SG_ACTION_READ, "", "an empty value"},
		{SG_ACTION_READ, "${HOEM}/x", "unknown variable"},
		{SG_ACTION_EXEC, "/usr/bin/", "a folder is not executed"},
		{SG_ACTION_SEE, "x", "not an absolute name"},
		{SG_ACTION_CONNECT, "tcp:10.0.0.0/8:443", "more than one address"},
		{SG_ACTION_CONNECT, "tcp:10.0.0.1:443,80", "more than one address"},
		{SG_ACTION_CONNECT, "tcp:10.0.0.1:*", "more than one address"},
		{SG_ACTION_CONNECT, "*:10.0.0.1:80", "more than one address"},
		{SG_ACTION_CONNECT, "tcp:*.example:80", "more than one address"},
		{SG_ACTION_CONNECT, "example.org", ""},
		{SG_ACTION_CONNECT, "unix:/run/", "a folder is no socket"},
		{SG_ACTION_LISTEN, "tcp:example.org:80", ""},
		{SG_ACTION_RESOLVE, "a b", ""},
		{SG_ACTION_SYSCALL, "opnat", "there is no system call"},
		{SG_ACTION_SYSCALL, "pledge", "a call of OpenBSD"},
		{SG_ACTION_CAPABILITY, "CAP_NET_RWA", "there is no capability"},
		{SG_ACTION_ENV, "A=b", "with a value"},
		{SG_ACTION_FLAG, "dsn", "there is no flag"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(odd); i++) {
		SG_AUTO_POLICY struct sg_policy *policy = compile(SOCKETS "Allow = [\"tcp:*.example:443\"]\n");
		SG_AUTO_ANSWER struct sg_answer answer = {0};
		struct sg_ask_problem problem;

		if (ask(policy, odd[i].action, odd[i].object, &answer, &problem) != SG_ASK_REFUSED)
			fail_msg("row %zu: %s was answered", i, odd[i].object);
		if (problem.message[0] == '\0' || strstr(problem.message, odd[i].message) == NULL)
			fail_msg("row %zu: %s", i, problem.message);
	}
}

/* Without the list of this host's addresses the words grant nothing, and what they refuse is refused. */
static void test_without_environment(void **state)
{
	SG_AUTO_POLICY struct sg_policy *policy =
		compile(SOCKETS "Allow = [\"tcp:internet:443\", \"tcp:a.example:443\"]\n");
	const struct sg_ask_context context = {.variables = &variables, .passed = passed, .set = set};
	SG_AUTO_ASKER struct sg_asker *asker = NULL;
	SG_AUTO_ANSWER struct sg_answer answer = {0};
	struct sg_ask_problem problem;

	(void)state;
	assert_int_equal(sg_asker_new(policy, &context, &asker), 0);
	assert_int_equal(sg_ask(asker, SG_ACTION_CONNECT, "tcp:203.0.113.1:443", &answer, &problem), 0);
	assert_int_equal(answer.outcome, SG_OUTCOME_DENY);
}

/* Every word and key names its action, and only one. */
static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sg_action_name_count; i++) {
		assert_int_equal(sg_action_by_word(sg_action_names[i].word, strlen(sg_action_names[i].word)),
				 sg_action_names[i].action);
		assert_int_equal(sg_action_by_key(sg_action_names[i].key), sg_action_names[i].action);
	}
	assert_int_equal(sg_action_by_word("rea", 3), SG_ACTIONS_);
	assert_int_equal(sg_action_by_key("read"), SG_ACTIONS_);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_proposals_help),
		cmocka_unit_test(test_questions_that_are_none),
		cmocka_unit_test(test_without_environment),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
