/*
 * Refusals and policies in words: what a refused call would take, against the filter itself; what is
 * proposed; how lines are laid out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "cli/layout.h"
#include "policy/compile.h"
#include "policy/explain.h"
#include "policy/proposal.h"
#include "policy/words.h"
#include "tables/values.h"
#include "world/grants.h"

static const struct sg_variables variables = {"/home/u/work", "/home/u", "u", "1000", "/run/user/1000"};

static struct sg_policy *compile(const char *text)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	struct sg_policy *policy = NULL;
	struct sg_source *source = NULL;
	struct sg_error error = SG_ERROR_INIT;

	assert_int_equal(sg_source_new("test.toml", text, strlen(text), &source), 0);
	assert_int_equal(sg_policy_compile(&source, 1, &variables, NULL, NULL, &diagnostics, &policy, &error), 0);
	assert_int_equal(sg_policy_read_flags(policy), 0);
	return policy;
}

/* --- what a call would take --- */

static struct sg_filter_program programs[SG_FLAGS_ + 1]; /* of each flag alone; the last: of no flag */
static bool built[SG_FLAGS_ + 1];

/* The filter of a policy that grants one flag, or none (SG_FLAGS_). */
static const struct sg_filter_program *program_of(int flag)
{
	struct sg_filter_grants grants;
	const struct sg_filter_plan plan = {
		.opens = SG_FILTER_OPENS_WRITING, .looks = SG_FILTER_NATIVE, .details = SG_FILTER_NATIVE};
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	char text[256];

	if (built[flag])
		return &programs[flag];
	(void)snprintf(text, sizeof(text), "[%s]\nFlags = [\"%s\"]\n",
		       flag == SG_FLAGS_ ? "Misc" : sg_need_section_of_flag(sg_flag_name((enum sg_flag)flag)),
		       flag == SG_FLAGS_ ? "" : sg_flag_name((enum sg_flag)flag));
	policy = compile(flag == SG_FLAGS_ ? "" : text);
	sg_grants_find(policy, &grants);
	assert_int_equal(sg_filter_build(&grants, &plan, &programs[flag], NULL), 0);
	built[flag] = true;
	return &programs[flag];
}

static uint32_t simulate(int flag, const struct sg_syscall *call, const uint64_t arguments[6])
{
	const struct sg_filter_program *program = program_of(flag);
	struct seccomp_data data = {.nr = call->number, .arch = 0xc000003e};

	memcpy(data.args, arguments, sizeof(data.args));
	return sg_filter_simulate(program->code, program->count, &data);
}

/* The answer under the empty policy is what the filter of the named flag does. */
static void check_need(const struct sg_policy *empty, const struct sg_syscall *call, const uint64_t arguments[6])
{
	const uint32_t refused = SECCOMP_RET_ERRNO | EPERM;
	struct sg_need need;
	int flag;

	sg_need_find(empty, call, arguments, &need);
	switch (need.kind) {
	case SG_NEED_FLAG:
		flag = sg_flag_find(need.flag, strlen(need.flag));
		assert_int_not_equal(flag, SG_FLAG_NONE_);
		assert_int_equal(simulate(SG_FLAGS_, call, arguments), refused);
		if (simulate(flag, call, arguments) == refused)
			fail_msg("%s(%#llx, %#llx, %#llx): the flag \"%s\" does not give it", call->name,
				 (unsigned long long)arguments[0], (unsigned long long)arguments[1],
				 (unsigned long long)arguments[2], need.flag);
		return;
	case SG_NEED_NEVER:
		assert_non_null(need.reason);
		for (flag = 0; flag < SG_FLAGS_; flag++)
			if ((simulate(flag, call, arguments) & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_ERRNO)
				fail_msg("%s is said to be never given, and the flag \"%s\" gives it", call->name,
					 sg_flag_name((enum sg_flag)flag));
		return;
	case SG_NEED_DENIED:
	case SG_NEED_UNKNOWN:
		fail_msg("%s: kind %d under the empty policy", call->name, need.kind);
	}
}

static void test_need_of_every_call(void **state)
{
	SG_AUTO_POLICY struct sg_policy *empty = compile("");
	const uint64_t zeros[6] = {0};
	size_t count = 0;

	(void)state;
	for (unsigned int i = 0; i < SG_SYSCALL_LIMIT; i++) {
		const struct sg_syscall *call = sg_syscall_by_number(i);

		/* Arguments of zero are no known socket, option or request. */
		if (call == NULL || i == SYS_socket || i == SYS_setsockopt || i == SYS_ioctl || i == SYS_prctl ||
		    i == SYS_arch_prctl)
			continue;
		check_need(empty, call, zeros);
		count++;
	}
	assert_true(count > 300);
}

static void test_need_of_every_value(void **state)
{
	SG_AUTO_POLICY struct sg_policy *empty = compile("");
	size_t count, checked = 0;
	const struct sg_socket_kind *kinds = sg_socket_kinds(&count);
	const struct sg_socket_option *options;

	(void)state;
	for (size_t i = 0; i < count; i++, checked++)
		check_need(empty, sg_syscall_by_number(SYS_socket),
			   (const uint64_t[6]){(uint64_t)kinds[i].domain, (uint64_t)kinds[i].type | SOCK_CLOEXEC,
					       kinds[i].protocol == SG_SOCKET_ANY ? 0 : (uint64_t)kinds[i].protocol});
	options = sg_socket_options(&count);
	for (size_t i = 0; i < count; i++, checked++)
		check_need(empty, sg_syscall_by_number(SYS_setsockopt),
			   (const uint64_t[6]){3, (uint64_t)options[i].level, (uint64_t)options[i].option});
	for (int table = 0; table < SG_VALUE_TABLES_; table++) {
		const struct sg_value_list *list = sg_value_list((enum sg_value_table)table);

		for (size_t i = 0; i < list->count; i++, checked++) {
			uint64_t arguments[6] = {0};

			arguments[list->argument] = list->rows[i].value;
			if (list->rows[i].mask != UINT32_MAX)
				arguments[list->argument] |= SG_VALUE_DIRECTION;
			check_need(empty, sg_syscall_by_number(list->number), arguments);
		}
	}
	assert_true(checked > 300);
}

static void test_need_of_arguments(void **state)
{
	SG_AUTO_POLICY struct sg_policy *policy =
		compile("[Runtime]\nFlags = [\"start\", \"malloc\"]\nDenySyscalls = [\"ptrace\"]\n"
			"[Misc]\nDenyFlags = [\"hostname\", \"keyring\"]\n");
	const struct {
		unsigned int number;
		uint64_t arguments[6];
		enum sg_need_kind kind;
		const char *words;
	} rows[] = {
		{SYS_mmap, {0, 4096, PROT_WRITE | PROT_EXEC}, SG_NEED_FLAG, "the flag \"jit\" gives it"},
		{SYS_mprotect, {0, 4096, PROT_EXEC}, SG_NEED_FLAG, "the flag \"jit\" gives it"},
		{SYS_clone, {CLONE_THREAD | CLONE_VM | CLONE_SIGHAND}, SG_NEED_FLAG, "the flag \"threads\" gives it"},
		{SYS_clone, {17}, SG_NEED_FLAG, "the flag \"fork\" gives it"},
		{SYS_clone,
		 {CLONE_NEWUSER | 17},
		 SG_NEED_NEVER,
		 "no flag gives it: a world may not make namespaces of its own"},
		{SYS_unshare, {CLONE_NEWUSER}, SG_NEED_NEVER, NULL},
		{SYS_ptrace, {0}, SG_NEED_DENIED, "DenySyscalls names it"},
		{SYS_sethostname, {0}, SG_NEED_DENIED, "DenyFlags refuses the flag \"hostname\", which gives it"},
		{SYS_ioctl, {1, 0x5402}, SG_NEED_FLAG, "the flag \"tty\" gives it"},
		{SYS_ioctl, {1, 0x5412}, SG_NEED_NEVER, NULL},
		{SYS_seccomp, {1, 1U << 3}, SG_NEED_UNKNOWN, "not with these arguments"},
		{SYS_socket,
		 {AF_VSOCK, SOCK_STREAM},
		 SG_NEED_NEVER,
		 "no flag gives it: a world has no sockets of this family, type and protocol"},
		{SYS_socket, {AF_INET, SOCK_SEQPACKET}, SG_NEED_NEVER, NULL},
		{SYS_socket, {AF_INET6, SOCK_DGRAM}, SG_NEED_FLAG, "the flag \"loopback\" gives it"},
		{SYS_socket, {AF_UNIX, SOCK_STREAM}, SG_NEED_FLAG, "the flag \"unix\" gives it"},
		{SYS_socket, {AF_INET, SOCK_DGRAM, IPPROTO_ICMP}, SG_NEED_FLAG, "the flag \"ping\" gives it"},
		{SYS_setsockopt, {3, 0xffff, 1}, SG_NEED_NEVER, NULL},
		{SYS_ioctl, {1, 0xdead}, SG_NEED_NEVER, NULL},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		struct sg_need need;
		char words[512];

		sg_need_find(policy, sg_syscall_by_number(rows[i].number), rows[i].arguments, &need);
		sg_words_need(&need, words, sizeof(words));
		assert_int_equal(need.kind, rows[i].kind);
		if (rows[i].words != NULL)
			assert_string_equal(words, rows[i].words);
		else
			assert_non_null(strstr(words, "no flag gives it: "));
		assert_true((need.rule != NULL) == (need.kind == SG_NEED_DENIED));
	}
}

/* --- proposals --- */

static void test_proposals(void **state)
{
	const struct {
		const char *operation, *access, *object, *rule_key, *reason, *needs;
		enum sg_proposal_kind kind;
		const char *section, *key, *value;
	} rows[] = {
		{"open", "read", "/a/b", "", "", "", SG_PROPOSAL_LINE, "Filesystem", "ReadOnly", "/a/b"},
		{"open", "read", "/a/b/", "", "", "", SG_PROPOSAL_LINE, "Filesystem", "ReadOnly", "/a/b/"},
		{"open", "write", "/a/b", "ReadOnly", "", "", SG_PROPOSAL_LINE, "Filesystem", "ReadWrite", "/a/b"},
		{"remove", "change", "/a/*", "ReadOnly", "", "", SG_PROPOSAL_LINE, "Filesystem", "ReadWrite", "/a/\\*"},
		{"execute", "execute", "/a/b", "", "", "", SG_PROPOSAL_LINE, "Filesystem", "Exec", "/a/b"},
		{"execute", "execute", "/a/b", "Exec", "", "", SG_PROPOSAL_NONE, NULL, NULL, NULL},
		{"open", "", "/a/b", "", "it has no name in the world", "", SG_PROPOSAL_NONE, NULL, NULL, NULL},
		{"open", "read", "/a/b", "Deny", "", "", SG_PROPOSAL_DENIED, NULL, NULL, NULL},
		{"open", "read", "/a/b", "DenyRead", "", "", SG_PROPOSAL_DENIED, NULL, NULL, NULL},
		{"open", "read", "/a/b", "Hide", "", "", SG_PROPOSAL_HIDDEN, NULL, NULL, NULL},
		{"call", "", "ptrace", "", "", "debug", SG_PROPOSAL_LINE, "Runtime", "Flags", "debug"},
		{"call", "", "bpf", "", "no flag gives it: so", "", SG_PROPOSAL_NEVER, NULL, NULL, NULL},
		{"call", "", "seccomp", "", "not with these arguments", "", SG_PROPOSAL_NONE, NULL, NULL, NULL},
		{"call", "", "ptrace", "DenyFlags", "", "", SG_PROPOSAL_DENIED, NULL, NULL, NULL},
		{"connect to", "", "tcp:1.2.3.4:443", "", "", "", SG_PROPOSAL_LINE, "Networking", "Allow",
		 "tcp:1.2.3.4:443"},
		{"listen on", "", "tcp:127.0.0.1:80", "", "", "", SG_PROPOSAL_LINE, "Networking", "Listen",
		 "tcp:127.0.0.1:80"},
		{"connect to", "", "unix:/run/a[1]", "", "", "", SG_PROPOSAL_LINE, "Networking", "Allow",
		 "unix:/run/a\\[1\\]"},
		{"send to", "", "/run/x", "", "", "", SG_PROPOSAL_LINE, "Networking", "Allow", "unix:/run/x"},
		{"connect to", "", "unix:@a", "", "", "", SG_PROPOSAL_LINE, "Networking", "Allow", "unix:@a"},
		{"look up", "", "example.org", "", "", "", SG_PROPOSAL_NONE, NULL, NULL, NULL},
		{"connect to", "", "tcp:1.2.3.4:443", "Deny", "", "", SG_PROPOSAL_DENIED, NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		const struct sg_refusal refusal = {.operation = rows[i].operation,
						   .access = rows[i].access,
						   .object = rows[i].object,
						   .named = "",
						   .error = "EACCES",
						   .reason = rows[i].reason,
						   .needs = rows[i].needs,
						   .rule_file = "",
						   .rule_key = rows[i].rule_key,
						   .rule_text = "",
						   .rule_flag = ""};
		SG_CLEANUP(sg_proposal_done) struct sg_proposal proposal = SG_PROPOSAL_INIT;

		assert_int_equal(sg_propose(&refusal, &proposal), 0);
		assert_int_equal(proposal.kind, rows[i].kind);
		if (proposal.kind != SG_PROPOSAL_LINE)
			continue;
		assert_string_equal(proposal.section, rows[i].section);
		assert_string_equal(proposal.key, rows[i].key);
		assert_string_equal(proposal.value.data, rows[i].value);
	}
}

/* --- words --- */

static void test_verbs(void **state)
{
	const struct {
		const char *operation, *access, *object, *verb;
	} rows[] = {
		{"open", "read", "/a", "read"},
		{"open", "read", "/a/", "list"},
		{"open", "write", "/a", "write"},
		{"execute", "execute", "/a", "execute"},
		{"call", "", "ptrace", "call"},
		{"look", "", "/a", "look at"},
		{"connect to", "", "tcp:1.2.3.4:5", "connect to"},
		{"something", "", "/a", "something"},
		{"open", "read", NULL, "read"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++)
		assert_string_equal(sg_words_verb(rows[i].operation, rows[i].access, rows[i].object), rows[i].verb);
}

static void test_globs_in_words(void **state)
{
	const struct {
		const char *glob, *words;
	} rows[] = {
		{"/a/b", ""},
		{"/a/", "the folder itself: its list"},
		{"/a/**", "everything in this folder, however deep"},
		{"/a/*", "the files in this folder, not those in folders of it"},
		{"/a/*.png", ""},
		{"/a{,1}/**", ""},
		{"/a/**[^/]", "all files in this folder, however deep"},
		{"/a\\*/*", ""},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_GLOB struct sg_glob *glob = NULL;

		assert_int_equal(sg_glob_parse(rows[i].glob, strlen(rows[i].glob), NULL, &glob), 0);
		assert_string_equal(sg_words_glob(glob), rows[i].words);
	}
}

static void test_limits_in_words(void **state)
{
	const struct {
		enum sg_limit_unit unit;
		uint64_t value;
		const char *text;
	} rows[] = {
		{SG_LIMIT_COUNT, 4096, "4096"},
		{SG_LIMIT_BYTES, 2147483648U, "2GiB"},
		{SG_LIMIT_BYTES, 1000, "1000 bytes"},
		{SG_LIMIT_BYTES, 1536, "1536 bytes"},
		{SG_LIMIT_BYTES, 0, "0"},
		{SG_LIMIT_SECONDS, 3600, "1h"},
		{SG_LIMIT_SECONDS, 90, "90s"},
		{SG_LIMIT_SECONDS, 172800, "2d"},
		{SG_LIMIT_BYTES, UINT64_MAX, "18446744073709551615 bytes"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

		sg_explain_limit_value(rows[i].unit, rows[i].value, &out);
		assert_string_equal(out.data, rows[i].text);
	}
}

/* The reasons of decisions, and the rule that each points at. */
static void test_reasons(void **state)
{
	SG_AUTO_POLICY struct sg_policy *policy =
		compile("[Filesystem]\nReadOnly = [\"/r/**\"]\nReadWrite = [\"/w/**\"]\nExec = [\"/x/**\"]\n"
			"Deny = [\"/r/d\"]\nDenyWrite = [\"/w/d\"]\nHide = [\"/w/h\"]\n");
	const struct {
		const char *name;
		unsigned int asked;
		enum sg_verdict verdict;
		enum sg_access access;
		int error;
		const char *reason, *rule;
	} rows[] = {
		{"/r/a", SG_ACCESS_READ, SG_VERDICT_ALLOW, SG_ACCESS_READ, 0, "a rule allows it", "/r/**"},
		{"/r/a", SG_ACCESS_READ | SG_ACCESS_WRITE, SG_VERDICT_DENY, SG_ACCESS_WRITE, EROFS, "ReadOnly only",
		 "/r/**"},
		{"/r/a", SG_ACCESS_EXECUTE, SG_VERDICT_DENY, SG_ACCESS_EXECUTE, EACCES, "ReadOnly only", "/r/**"},
		{"/w/a", SG_ACCESS_EXECUTE, SG_VERDICT_DENY, SG_ACCESS_EXECUTE, EACCES, "ReadWrite only", "/w/**"},
		{"/x/a", SG_ACCESS_CHANGE, SG_VERDICT_DENY, SG_ACCESS_CHANGE, EROFS, "Exec only", "/x/**"},
		{"/r/d", SG_ACCESS_READ, SG_VERDICT_DENY, SG_ACCESS_READ, EACCES, "Deny names it", "/r/d"},
		{"/w/d", SG_ACCESS_WRITE, SG_VERDICT_DENY, SG_ACCESS_WRITE, EACCES, "DenyWrite names it", "/w/d"},
		{"/w/h", SG_ACCESS_READ, SG_VERDICT_HIDE, SG_ACCESS_READ, ENOENT, "it is hidden", "/w/h"},
		{"/n", SG_ACCESS_READ, SG_VERDICT_DENY, SG_ACCESS_READ, EACCES, "no rule allows reading it", NULL},
	};
	SG_AUTO_GLOBSET struct sg_globset *set = NULL;
	SG_AUTO_MATCHER struct sg_matcher *names = NULL;

	(void)state;
	assert_int_equal(sg_globset_new(&set), 0);
	for (size_t i = 0; i < policy->rule_count; i++)
		if (policy->rules[i].glob != NULL)
			assert_int_equal(sg_globset_add(set, policy->rules[i].glob, (uint32_t)i,
							SG_NAME_BIT(policy->rules[i].kind)),
					 0);
	assert_int_equal(sg_globset_compile(set), 0);
	assert_int_equal(sg_matcher_new(set, SG_MATCHER_MEMORY_MIN, &names), 0);
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		struct sg_decision decision;

		sg_decide(policy, names, rows[i].name, strlen(rows[i].name), rows[i].asked, false, &decision);
		assert_int_equal(decision.verdict, rows[i].verdict);
		assert_int_equal(decision.access, rows[i].access);
		assert_int_equal(decision.error, rows[i].error);
		assert_string_equal(decision.reason, rows[i].reason);
		if (rows[i].rule == NULL)
			assert_null(decision.rule);
		else
			assert_string_equal(decision.rule->text, rows[i].rule);
	}
}

/* --- layout --- */

static void test_layout(void **state)
{
	const struct {
		const char *text, *laid;
	} rows[] = {
		{"one two three four five six seven eight nine ten\n",
		 "one two three four five six seven eight\nnine ten\n"},
		{"  indented text that is longer than one line of forty\n",
		 "  indented text that is longer than one\n  line of forty\n"},
		{"  a\tleft and right, the right one wrapped below itself\n  long\tx\n",
		 "  a     left and right, the right one\n        wrapped below itself\n  long  x\n"},
		{"", ""},
		{"\n\n", "\n\n"},
		{"averyveryveryverylongwordthatisnotbrokenatallwhateverthewidth x\n",
		 "averyveryveryverylongwordthatisnotbrokenatallwhateverthewidth\nx\n"},
		{"  an option  and its help, which goes on under its own start\n",
		 "  an option  and its help, which goes on\n             under its own start\n"},
		{"    a left side that has more than half of the line\tright\n    b\tx\n",
		 "    a left side that has more than half of the line\n       right\n    b  x\n"},
		{"d\xc3\xa9j\xc3\xa0 vu d\xc3\xa9j\xc3\xa0 vu d\xc3\xa9j\xc3\xa0 vu d\xc3\xa9j\xc3\xa0 vu "
		 "d\xc3\xa9j\xc3\xa0 vu\n",
		 "d\xc3\xa9j\xc3\xa0 vu d\xc3\xa9j\xc3\xa0 vu d\xc3\xa9j\xc3\xa0 vu d\xc3\xa9j\xc3\xa0 vu "
		 "d\xc3\xa9j\xc3\xa0 vu\n"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

		sg_layout_wrap(rows[i].text, 40, &out);
		assert_string_equal(out.data != NULL ? out.data : "", rows[i].laid);
	}
}

/* The left side stays; colours have no columns. */
static void test_hanging_lines(void **state)
{
	const struct {
		const char *line;
		size_t hang, width;
		const char *laid;
	} rows[] = {
		{"  1  one two three four five six seven", 5, 32, "  1  one two three four five six\n     seven\n"},
		{"  1  short", 5, 32, "  1  short\n"},
		{" 1", 5, 32, " 1\n"},
		{"  1  \033[1;31mred\033[0m  two three four five six seven", 5, 32,
		 "  1  \033[1;31mred\033[0m  two three four five\n     six seven\n"},
		{"\033[31m  1  \033[0mone two three four five six seven", 5, 32,
		 "\033[31m  1  \033[0mone two three four five six\n     seven\n"},
		{"a left side that is wide  one two three", 26, 40, "a left side that is wide  one two three\n"},
		{"a left side that is wide  one two three four", 26, 40,
		 "a left side that is wide  one two three\n    four\n"},
		{"  1  averyveryveryverylongwordthatisnotbroken x", 5, 32,
		 "  1  averyveryveryverylongwordthatisnotbroken\n     x\n"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

		sg_layout_hang(rows[i].line, strlen(rows[i].line), rows[i].hang, rows[i].width, &out);
		assert_string_equal(out.data, rows[i].laid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_need_of_every_call),
		cmocka_unit_test(test_need_of_every_value),
		cmocka_unit_test(test_need_of_arguments),
		cmocka_unit_test(test_proposals),
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_globs_in_words),
		cmocka_unit_test(test_limits_in_words),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_hanging_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
