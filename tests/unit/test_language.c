/*
 * The language as its page says it: which flags there are, how they are put together, what is wrong with them and where. (What a
 * profile means whatever its order: test_order.c. What is no profile at all: test_bad_input.c.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "policy/builtin.h"
#include "policy/compile.h"
#include "tables/flags.h"
#include "tables/syscalls.h"

static const struct sg_variables variables = {"/home/u/work", "/home/u", "u", "1000", "/run/user/1000"};

static int no_profile(void *data, const char *name, const struct sg_source *from, struct sg_source **ret,
		      struct sg_error *error)
{
	(void)data;
	(void)from;
	(void)ret;
	return sg_error_set(error, -2, "there is no profile \"%s\"", name);
}

static int compile(const char *text, struct sg_policy **ret, struct sg_buffer *out)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *source;
	int status;

	assert_int_equal(sg_source_new("p.toml", text, strlen(text), &source), 0);
	status = sg_policy_compile(&source, 1, &variables, no_profile, NULL, &diagnostics, ret, &error);
	sg_diagnostics_render(&diagnostics, out);
	return status;
}

/* The flags that the page of the language names, by the section that each belongs to. */
static void flags_of_the_page(void **state)
{
	static const struct {
		enum sg_flag_category category;
		const char *names[16];
	} page[] = {
		{SG_FLAG_CATEGORY_NETWORKING, {"dns", "ping", "outgoing", "incoming", "unix", "netlink", "raw"}},
		{SG_FLAG_CATEGORY_FILESYSTEM,
		 {"tmp", "home", "tty", "devices", "attributes", "locks", "links", "mknod"}},
		{SG_FLAG_CATEGORY_RUNTIME,
		 {"start", "malloc", "jit", "threads", "fork", "exec", "signals", "timers", "ipc", "shared-memory",
		  "debug", "scheduling", "watch"}},
		{SG_FLAG_CATEGORY_USER, {"identity", "create", "switch"}},
		{SG_FLAG_CATEGORY_MISC,
		 {"clock", "hostname", "sysinfo", "keyring", "perf", "reboot", "modules", "mount"}},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(page); i++)
		for (size_t j = 0; j < SG_ARRAY_SIZE(page[i].names) && page[i].names[j] != NULL; j++) {
			const enum sg_flag flag = sg_flag_find(page[i].names[j], strlen(page[i].names[j]));

			if (flag == SG_FLAG_NONE_)
				fail_msg("there is no flag %s", page[i].names[j]);
			assert_int_equal(sg_flag_category(flag), page[i].category);
		}
}

/* The promises of pledge(2), as OpenBSD 7.6 has them (sys/kern/kern_pledge.c, pledgereq), and tmppath, which it replaced since. */
static void every_promise_is_a_flag(void **state)
{
	static const char *const promises[] = {
		"audio",   "bpf",       "chown",  "cpath",  "disklabel", "dns",    "dpath",   "drm",   "error",
		"exec",    "fattr",     "flock",  "getpw",  "id",        "inet",   "mcast",   "pf",    "proc",
		"ps",      "prot_exec", "recvfd", "route",  "rpath",     "sendfd", "settime", "stdio", "tape",
		"tmppath", "tty",       "unix",   "unveil", "video",     "vminfo", "vmm",     "wpath", "wroute",
	};
	size_t flags = 0;

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(promises); i++) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, out = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;
		char name[64];

		(void)snprintf(name, sizeof(name), "pledge-%s", promises[i]);
		/* A pledge string can be written where it stands: in every section. */
		for (int section = 0; section < 5; section++)
			sg_buffer_printf(&text, "[%s]\nFlags = [\"%s\"]\n",
					 sg_flag_category_name((enum sg_flag_category)section), name);
		if (compile(text.data, &policy, &out) != 0)
			fail_msg("%s: %s", name, out.data);
		assert_true(sg_policy_has_flag(policy, name));
	}
	for (int flag = 0; flag < SG_FLAGS_; flag++)
		flags += sg_flag_category((enum sg_flag)flag) == SG_FLAG_CATEGORY_PLEDGE;
	assert_int_equal(flags, SG_ARRAY_SIZE(promises));
}

static void mistakes_have_places(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		/* A name that is not there, where it is used and where it is part of another. */
		{"[Runtime]\nFlags = [\"start\", \"thraeds\"]\n", "p.toml:2:19: error: unknown flag \"thraeds\""},
		{"[Runtime]\nDenyFlags = [\"thraeds\"]\n", "p.toml:2:14: error: unknown flag \"thraeds\""},
		{"[Define.a]\nFlags = [\n  \"start\",\n  \"b\",\n]\n", "p.toml:4:3: error: unknown flag \"b\""},
		{"[Define.a]\nNeedsFlags = [\"b\"]\n[Misc]\nFlags = [\"a\"]\n",
		 "p.toml:2:15: error: unknown flag \"b\""},
		/* Circles: of one, of two, of three, used and not used, by what is needed. */
		{"[Define.a]\nFlags = [\"a\"]\n",
		 "p.toml:2:10: error: the definition of \"a\" leads back to itself here"},
		{"[Define.a]\nNeedsFlags = [\"a\"]\n", "p.toml:2:15: error: the definition of \"a\" leads back"},
		{"[Define.a]\nFlags = [\"b\"]\n[Define.b]\nNeedsFlags = [\"a\"]\n", "leads back to itself here"},
		{"[Misc]\nFlags = [\"c\"]\n[Define.a]\nFlags = [\"b\"]\n[Define.b]\nFlags = [\"c\"]\n[Define.c]\nFlags "
		 "= "
		 "[\"a\"]\n",
		 "p.toml:6:10: error: the definition of \"c\" leads back to itself here"},
		{"[Misc]\nDenyFlags = [\"a\"]\n[Define.a]\nFlags = [\"b\"]\n[Define.b]\nFlags = [\"a\"]\n",
		 "p.toml:6:10: error: the definition of \"a\" leads back to itself here"},
		/* A built-in name, of each category, a promise's too; a definition that differs. */
		{"[Define.dns]\nSyscalls = []\nDescription = \"mine\"\n",
		 "p.toml:1:9: error: \"dns\" is a built-in flag and cannot be defined again"},
		{"\n\n[Define.pledge-stdio]\nDescription = \"mine\"\n",
		 "p.toml:3:9: error: \"pledge-stdio\" is a built-in"},
		{"[Define.\"tmp\"]\nFlags = [\"start\"]\n", "p.toml:1:9: error: \"tmp\" is a built-in flag"},
		/* What no flag gives: at the line of the flag, used, unused, needed, beside others. */
		{"[Define.a]\nSyscalls = [\n  \"read\",\n  \"ptrace_me\",\n]\n",
		 "p.toml:4:3: error: there is no system call"},
		{"[Define.a]\nSyscalls = [\n  \"read\",\n  \"io_uring_setup\",\n]\n",
		 "p.toml:4:3: error: no flag may give \"io_uring_setup\""},
		{"[Define.a]\nNeedsSyscalls = [\"bpf\"]\n[Misc]\nFlags = [\"a\"]\n",
		 "p.toml:2:18: error: no flag may give \"bpf\""},
		{"[Misc]\nFlags = [\"b\"]\n[Define.a]\nSyscalls = [\"setns\"]\n[Define.b]\nFlags = [\"a\"]\n",
		 "p.toml:4:13: error: no flag may give \"setns\""},
		{"[Misc]\nSyscalls = [\"userfaultfd\"]\n", "p.toml:2:13: error: no flag may give \"userfaultfd\""},
		/* In a section that it does not belong to, the right one is named. */
		{"[Runtime]\nFlags = [\"tmp\"]\n", "p.toml:2:10: error: the flag \"tmp\" belongs in [Filesystem]"},
		{"[User]\nDenyFlags = [\"clock\"]\n", "p.toml:2:14: error: the flag \"clock\" belongs in [Misc]"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;

		if (compile(rows[i].text, &policy, &out) != SG_POLICY_REFUSED ||
		    strstr(out.data, rows[i].expected) == NULL)
			fail_msg("row %zu: wanted %s, got:\n%s", i, rows[i].expected,
				 out.data == NULL ? "nothing" : out.data);
	}
}

/* Every call on the list of those never given, in a flag of one's own: refused at its line, with the reason of the list. */
static void nothing_gives_what_is_never_given(void **state)
{
	unsigned int count = 0;

	(void)state;
	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++) {
		const struct sg_syscall *call = sg_syscall_by_number(number);
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, wanted = SG_BUFFER_INIT, out = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;

		if (call == NULL)
			continue;
		sg_buffer_printf(&text, "[Define.mine]\nSyscalls = [\"getpid\",\n\"%s\"]\n", call->name);
		sg_buffer_printf(&wanted, "p.toml:3:1: error: no flag may give \"%s\": ", call->name);
		if (call->class != SG_CLASS_NEVER) {
			assert_int_equal(compile(text.data, &policy, &out), 0);
			continue;
		}
		count++;
		assert_int_equal(compile(text.data, &policy, &out), SG_POLICY_REFUSED);
		if (strstr(out.data, wanted.data) == NULL)
			fail_msg("%s", out.data);
		/* Refusing what nobody gives is no mistake. */
		sg_buffer_clear(&text);
		sg_buffer_clear(&out);
		sg_policy_free(sg_take_pointer(policy));
		sg_buffer_printf(&text, "[Misc]\nDenySyscalls = [\"%s\"]\n", call->name);
		assert_int_equal(compile(text.data, &policy, &out), 0);
	}
	assert_true(count > 20);
}

/* A flag is what its definition says and what the flags in it say; two ways to one flag are no circle. */
static void flags_are_put_together(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	SG_AUTO_POLICY struct sg_policy *policy = NULL;

	(void)state;
	assert_int_equal(
		compile("[Misc]\nFlags = [\"top\"]\n"
			"[Define.top]\nFlags = [\"left\", \"right\"]\n"
			"[Define.left]\nFlags = [\"bottom\"]\nReadOnly = [\"/left\"]\n"
			"[Define.right]\nFlags = [\"bottom\", \"dns\"]\nAllow = [\"tcp:10.0.0.1:80\"]\n"
			"[Define.bottom]\nSyscalls = [\"sysinfo\"]\nCapabilities = [\"CAP_NET_RAW\"]\nDeny = [\"/b\"]\n"
			"Listen = [\"tcp:127.0.0.1:80\"]\nExec = [\"/x\"]\nHide = [\"/h\"]\nLogOnRead = [\"/l\"]\n",
			&policy, &out),
		0);
	for (const char *const *name = (const char *const[]){"top", "left", "right", "bottom", "dns", NULL};
	     *name != NULL; name++)
		assert_true(sg_policy_has_flag(policy, *name));
	assert_non_null(sg_policy_find(policy, SG_RULE_READ, "/left"));
	assert_non_null(sg_policy_find(policy, SG_RULE_ALLOW, "tcp:10.0.0.1:80"));
	assert_non_null(sg_policy_find(policy, SG_RULE_LISTEN, "tcp:127.0.0.1:80"));
	assert_non_null(sg_policy_find(policy, SG_RULE_SYSCALL, "sysinfo"));
	assert_non_null(sg_policy_find(policy, SG_RULE_CAPABILITY, "CAP_NET_RAW"));
	assert_non_null(sg_policy_find(policy, SG_RULE_DENY, "/b"));
	assert_non_null(sg_policy_find(policy, SG_RULE_EXECUTE, "/x"));
	assert_non_null(sg_policy_find(policy, SG_RULE_HIDE, "/h"));
	assert_non_null(sg_policy_find(policy, SG_RULE_LOG_READ, "/l"));
	assert_non_null(sg_policy_find(policy, SG_RULE_READ, "/etc/resolv.conf"));
}

/* However long the chain of flags that name each other, and in whatever order they stand: granted, denied, and closed to a circle. */
static void chains_have_no_length(void **state)
{
	enum { LENGTH = 5000 };

	(void)state;
	for (int way = 0; way < 4; way++) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT, out = SG_BUFFER_INIT;
		SG_AUTO_POLICY struct sg_policy *policy = NULL;

		for (int i = 0; i < LENGTH; i++) {
			const int at = way % 2 == 0 ? i : LENGTH - 1 - i;

			sg_buffer_printf(&text, "[Define.f%d]\nSyscalls = [\"sysinfo\"]\n", at);
			if (at + 1 < LENGTH || way == 3)
				sg_buffer_printf(&text, "Flags = [\"f%d\"]\n", (at + 1) % LENGTH);
		}
		sg_buffer_printf(&text, "[Misc]\n%s = [\"f0\"]\n", way == 2 ? "DenyFlags" : "Flags");
		assert_int_equal(compile(text.data, &policy, &out), way == 3 ? SG_POLICY_REFUSED : 0);
		if (way == 3)
			assert_non_null(strstr(out.data, "error: the definition of \"f0\" leads back to itself here"));
		else
			assert_int_equal(sg_policy_has_flag(policy, "f4999"), way != 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_of_the_page),      cmocka_unit_test(every_promise_is_a_flag),
		cmocka_unit_test(mistakes_have_places),   cmocka_unit_test(nothing_gives_what_is_never_given),
		cmocka_unit_test(flags_are_put_together), cmocka_unit_test(chains_have_no_length),
	};

	return cmocka_run_group_tests_name("language", tests, NULL, NULL);
}
