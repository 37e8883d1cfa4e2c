/*
 * Learning: the filter under which a run is watched against the one that it stands for; names and what is made of them; proposals
 * from records.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "learn/flags.h"
#include "learn/matcher.h"
#include "learn/names.h"
#include "learn/propose.h"
#include "learn/world.h"
#include "policy/compile.h"
#include "world/filter_learn.h"
#include "world/grants.h"

static const struct sg_variables variables = {
	.cwd = "/home/u/work", .home = "/home/u", .user = "u", .uid = "1000", .runtime = "/run/user/1000"};

static struct sg_policy *compile(const char *text)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_BUFFER struct sg_buffer said = SG_BUFFER_INIT;
	struct sg_policy *policy = NULL;
	struct sg_source *source = NULL;
	struct sg_error error = SG_ERROR_INIT;
	int status;

	assert_int_equal(sg_source_new("test.toml", text, strlen(text), &source), 0);
	status = sg_policy_compile(&source, 1, &variables, NULL, NULL, &diagnostics, &policy, &error);
	sg_diagnostics_render(&diagnostics, &said);
	if (status != 0)
		fail_msg("%.900s\n%s", said.data, text);
	return policy;
}

/* --- the filter of a watched run --- */

#define GRANTS_START "[Runtime]\nFlags = [\"start\"]\n"
#define GRANTS_MUCH                                                                                                    \
	"[Runtime]\nFlags = [\"start\", \"jit\", \"threads\", \"fork\", \"exec\", \"signals\", \"timers\", \"ipc\", "  \
	"\"shared-memory\", \"scheduling\", \"watch\", \"debug\", \"aio\"]\n[Filesystem]\nFlags = [\"tty\", "          \
	"\"attributes\", \"links\", \"locks\", \"mknod\", \"tmp\"]\n[Networking]\nFlags = [\"dns\", \"ping\", "        \
	"\"outgoing\", \"incoming\", \"unix\", \"netlink\", \"raw\", \"loopback\"]\n"
#define GRANTS_DENY                                                                                                    \
	"[Runtime]\nFlags = [\"start\", \"fork\"]\nDenySyscalls = [\"madvise\", \"getrandom\"]\nDenyFlags = "          \
	"[\"signals\"]\n"

static void grants_of(const char *text, struct sg_filter_grants *ret)
{
	SG_AUTO_POLICY struct sg_policy *policy = compile(text);

	sg_grants_find(policy, ret);
}

/* What run does: of what is granted, that which every profile that starts a program has. */
static void base_of(const struct sg_filter_grants *grants, struct sg_filter_grants *ret)
{
	grants_of(GRANTS_START, ret);
	for (size_t i = 0; i < SG_ARRAY_SIZE(ret->calls.words); i++)
		ret->calls.words[i] &= grants->calls.words[i];
	for (size_t i = 0; i < SG_ARRAY_SIZE(ret->flags.words); i++)
		ret->flags.words[i] &= grants->flags.words[i];
}

/* Values that checks are about, and others. */
static const uint64_t values[] = {0,
				  1,
				  2,
				  3,
				  5,
				  PROT_READ | PROT_WRITE | PROT_EXEC,
				  AF_INET,
				  AF_NETLINK,
				  AF_PACKET,
				  SOCK_STREAM,
				  SOCK_DGRAM,
				  SOCK_RAW,
				  CLONE_THREAD,
				  CLONE_NEWUSER,
				  CLONE_FS,
				  0x5401 /* TCGETS */,
				  0x5412 /* TIOCSTI */,
				  PR_SET_NAME,
				  PR_SET_MM,
				  06755,
				  0x20000000 /* MSG_FASTOPEN */,
				  UINT64_C(0xdeadbeef00000001),
				  UINT64_MAX};

static uint32_t ask(const struct sg_filter_program *program, const struct seccomp_data *data)
{
	return sg_filter_simulate(program->code, program->count, data);
}

/* Calls f for every number with every pair of values in every two neighbouring arguments, the others the same. */
static void each_call(void (*f)(const struct seccomp_data *data, void *state), void *state)
{
	for (int number = 0; number < SG_SYSCALL_LIMIT + 2; number++)
		for (size_t i = 0; i < SG_ARRAY_SIZE(values); i++)
			for (size_t j = 0; j < SG_ARRAY_SIZE(values); j++) {
				struct seccomp_data data = {.nr = number, .arch = AUDIT_ARCH_X86_64};

				for (size_t k = 0; k < 6; k++)
					data.args[k] = values[k % 2 == 0 ? i : j];
				f(&data, state);
			}
}

struct two {
	struct sg_filter_program *watching, *truth;
	size_t native, asked;
};

static void compare(const struct seccomp_data *data, void *state)
{
	struct two *two = state;
	const uint32_t watching = ask(two->watching, data), truth = ask(two->truth, data);

	if (watching == SECCOMP_RET_ALLOW) {
		assert_int_equal(truth, SECCOMP_RET_ALLOW);
		two->native++;
	} else if (sg_syscall_by_number((unsigned int)data->nr) != NULL) {
		assert_int_equal(watching, SECCOMP_RET_USER_NOTIF);
		two->asked += truth == SECCOMP_RET_ALLOW;
	} else {
		assert_int_equal(watching, truth);
	}
}

static void test_what_is_native_is_allowed(void **state)
{
	static const char *const grants[] = {GRANTS_START, GRANTS_MUCH, GRANTS_DENY};
	struct two two = {malloc(sizeof(*two.watching)), malloc(sizeof(*two.truth)), 0, 0};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(grants); i++) {
		const struct sg_filter_plan plan = {.opens = SG_FILTER_OPENS_ALL,
						    .looks = SG_FILTER_NATIVE,
						    .details = SG_FILTER_NATIVE,
						    .notify_refusals = true};
		struct sg_filter_grants all, base;

		grants_of(grants[i], &all);
		base_of(&all, &base);
		assert_int_equal(sg_filter_build(&all, &plan, two.truth, NULL), 0);
		assert_int_equal(sg_filter_build_watching(&base, &plan, two.watching, NULL), 0);
		each_call(compare, &two);
	}
	assert_true(two.native > 1000); /* not everything is asked, and more than nothing is */
	assert_true(two.asked > 1000);
	free(two.watching);
	free(two.truth);
}

/* What is given beyond the base is seen: each number that `GRANTS_MUCH` adds. */
static void test_what_is_added_is_asked(void **state)
{
	static const int numbers[] = {SYS_fork,  SYS_clone,  SYS_socket,  SYS_connect, SYS_kill,
				      SYS_flock, SYS_chmod,  SYS_symlink, SYS_stat,    SYS_statx,
				      SYS_chdir, SYS_ptrace, SYS_shmget,  SYS_wait4,   SYS_execve,
				      SYS_open,  SYS_openat, SYS_unlink,  SYS_readlink};
	struct sg_filter_program *program = malloc(sizeof(*program));
	struct sg_filter_grants all, base;
	const struct sg_filter_plan plan = {.opens = SG_FILTER_OPENS_ALL};

	(void)state;
	grants_of(GRANTS_MUCH, &all);
	base_of(&all, &base);
	assert_int_equal(sg_filter_build_watching(&base, &plan, program, NULL), 0);
	for (size_t i = 0; i < SG_ARRAY_SIZE(numbers); i++) {
		const struct seccomp_data data = {.nr = numbers[i], .arch = AUDIT_ARCH_X86_64};

		assert_int_equal(ask(program, &data), SECCOMP_RET_USER_NOTIF);
	}
	free(program);
}

struct alike {
	struct sg_filter_spec *checks;
	struct sg_filter_program *programs[3];
	struct {
		uint64_t signature;
		uint32_t answers[3];
	} seen[1 << 16];
};

/* Of one signature, every filter has one answer. */
static void compare_alike(const struct seccomp_data *data, void *state)
{
	struct alike *alike = state;
	const uint64_t signature = sg_filter_signature(alike->checks, data);
	size_t at = signature % SG_ARRAY_SIZE(alike->seen);
	bool known;

	while (alike->seen[at].signature != 0 && alike->seen[at].signature != signature)
		at = (at + 1) % SG_ARRAY_SIZE(alike->seen);
	known = alike->seen[at].signature == signature;
	alike->seen[at].signature = signature;
	for (size_t i = 0; i < 3; i++) {
		const uint32_t answer = ask(alike->programs[i], data);

		if (known && alike->seen[at].answers[i] != answer)
			fail_msg("call %d: two answers of one signature", data->nr);
		alike->seen[at].answers[i] = answer;
	}
}

static void test_signatures_tell_what_filters_tell(void **state)
{
	static const char *const grants[] = {GRANTS_START, GRANTS_MUCH, GRANTS_DENY};
	struct alike *alike = calloc(1, sizeof(*alike));
	const struct sg_filter_plan plan = {.opens = SG_FILTER_OPENS_WRITING, .notify_refusals = true};
	struct seccomp_data a = {.nr = SYS_read, .arch = AUDIT_ARCH_X86_64}, b = a;

	(void)state;
	alike->checks = sg_filter_checks_new();
	assert_non_null(alike->checks);
	for (size_t i = 0; i < 3; i++) {
		struct sg_filter_grants all;

		grants_of(grants[i], &all);
		alike->programs[i] = malloc(sizeof(*alike->programs[i]));
		assert_int_equal(sg_filter_build(&all, &plan, alike->programs[i], NULL), 0);
	}
	each_call(compare_alike, alike);
	/* And no more than that: a buffer's address makes no other call. */
	b.args[1] = 0x7fff12345678;
	assert_int_equal(sg_filter_signature(alike->checks, &a), sg_filter_signature(alike->checks, &b));
	for (size_t i = 0; i < 3; i++)
		free(alike->programs[i]);
	free(alike->checks);
	free(alike);
}

/* --- names --- */

static void test_random_parts(void **state)
{
	static const struct {
		const char *name;
		const char *shown; /* with the random part as a star; NULL: there is none */
	} rows[] = {
		{"tmpab_c12xy", "tmp*"},
		{"tmp6elg4azu", "tmp*"},
		{"tmp.Xa9Qk2", "tmp.*"},
		{"sess-a8Kq2Z.sock", "sess-*.sock"},
		{"12345", "*"},
		{"worker.4711.pid", "worker.*.pid"},
		{"d41d8cd98f00b204e9800998ecf8427e", "*"},
		{"f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "*"},
		{"index2.html", NULL},
		{"libpython3.so", NULL},
		{"Makefile", NULL},
		{"out.txt", NULL},
		{"temporary", NULL},
		{"tmp", NULL},
		{"deadbeef", NULL},
		{"v2", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		const size_t length = strlen(rows[i].name);
		size_t before = 99, behind = 99;
		const bool found = sg_learn_random_part(rows[i].name, length, &before, &behind);
		char shown[64];

		if (found != (rows[i].shown != NULL))
			fail_msg("%s: %d", rows[i].name, found);
		if (!found)
			continue;
		assert_true(before + behind < length);
		(void)snprintf(shown, sizeof(shown), "%.*s*%s", (int)before, rows[i].name,
			       rows[i].name + length - behind);
		assert_string_equal(shown, rows[i].shown);
	}
}

static void test_versions(void **state)
{
	size_t before, behind;

	(void)state;
	assert_true(sg_learn_version_part("python3.11", 10, &before, &behind));
	assert_int_equal(before, 8); /* "python3." */
	assert_int_equal(behind, 0);
	assert_true(sg_learn_version_part("app-1.2.3.conf", 14, &before, &behind));
	assert_int_equal(before, 6);
	assert_int_equal(behind, 5);
	assert_false(sg_learn_version_part("hosts", 5, &before, &behind));
	assert_false(sg_learn_version_part("ld.so.conf", 10, &before, &behind));
	assert_false(sg_learn_version_part("file2", 5, &before, &behind));
}

static void test_folders(void **state)
{
	static const char *const broad[] = {"/",      "/etc/",    "/usr/",           "/usr/lib/", "/usr/share/",
					    "/home/", "/home/u/", "/home/other/",    "/var/",     "/var/lib/",
					    "/proc/", "/proc/1/", "/sys/class/net/", "/dev/pts/", "/root/"};
	static const char *const narrow[] = {"/home/u/work/", "/srv/app/", "/etc/nginx/", "/var/lib/postgresql/",
					     "/usr/share/git-core/"};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(broad); i++)
		if (!sg_learn_is_broad(broad[i], strlen(broad[i]), &variables))
			fail_msg("%s is not broad", broad[i]);
	for (size_t i = 0; i < SG_ARRAY_SIZE(narrow); i++)
		if (sg_learn_is_broad(narrow[i], strlen(narrow[i]), &variables))
			fail_msg("%s is broad", narrow[i]);
	assert_int_equal(sg_learn_folder_of("/usr/share/git-core/templates/x"), strlen("/usr/share/git-core/"));
	assert_int_equal(sg_learn_folder_of("/usr/include/stdio.h"), strlen("/usr/include/"));
	assert_int_equal(sg_learn_folder_of("/usr/share/file"), 0);
	assert_int_equal(sg_learn_folder_of("/srv/app/x"), 0);
}

static void test_variables(void **state)
{
	static const struct {
		const char *name, *glob;
	} rows[] = {
		{"/home/u/work/a", "${CWD}/a"},     {"/home/u/x", "~/x"},
		{"/home/u/workshop", "~/workshop"}, {"/run/user/1000/bus", "${RUNTIME}/bus"},
		{"/srv/a*b", "/srv/a\\*b"},         {"/home/u/work/{x}", "${CWD}/\\{x\\}"},
		{"/srv/\xff\xfe.x", "/srv/??.x"},   {"/srv/\xc3\xa4", "/srv/\xc3\xa4"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

		sg_learn_append_name(rows[i].name, strlen(rows[i].name), &variables, &out);
		assert_string_equal(out.data, rows[i].glob);
	}
}

/* --- proposals --- */

/* Reads the lines, first to last or the other way round. */
static void observe(const char *const *lines, size_t count, bool backward, struct sg_observed *observed)
{
	const int fd = memfd_create("record", MFD_CLOEXEC);
	struct sg_error error = SG_ERROR_INIT;

	assert_true(fd >= 0);
	for (size_t i = 0; i < count; i++)
		assert_true(dprintf(fd, "%s\n", lines[backward ? count - 1 - i : i]) > 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	if (sg_observed_read(observed, fd, &error) < 0)
		fail_msg("%s", error.text);
	sg_observed_settle(observed);
	(void)close(fd);
}

static char *command[] = {(char *)(uintptr_t) "tool", (char *)(uintptr_t) "--all", NULL};

static char *propose(const char *const *lines, size_t count, bool backward)
{
	SG_CLEANUP(sg_observed_done) struct sg_observed observed = {0};
	const struct sg_learn_context context = {.name = "tool", .command = command, .variables = &variables};
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	struct sg_error error = SG_ERROR_INIT;

	observe(lines, count, backward, &observed);
	if (sg_learn_propose(&observed, &context, &out, &error) < 0)
		fail_msg("%s", error.text);
	return sg_buffer_take(&out);
}

#define OPEN(path, access)                                                                                             \
	"{\"kind\":\"grant\",\"operation\":\"open\",\"object\":\"" path "\",\"named\":\"" path                         \
	"\",\"access\":\"" access "\"}"
#define GRANT(operation, path)                                                                                         \
	"{\"kind\":\"grant\",\"operation\":\"" operation "\",\"object\":\"" path "\",\"named\":\"" path                \
	"\",\"access\":\"change\"}"
#define CALL(name, arguments)                                                                                          \
	"{\"kind\":\"grant\",\"operation\":\"call\",\"object\":\"" name "\",\"named\":\"" arguments "\"}"
#define NET(operation, object) "{\"kind\":\"grant\",\"operation\":\"" operation "\",\"object\":\"" object "\"}"
#define EXEC(program) "{\"kind\":\"exec\",\"process\":{\"program\":\"" program "\"}}"

static const char *const session[] = {
	"{\"kind\":\"session-start\"}",
	EXEC("/usr/bin/tool3.1"),
	"{\"kind\":\"grant\",\"operation\":\"run\",\"object\":\"/usr/bin/tool3.1\",\"named\":\"/usr/bin/tool\"}",
	EXEC("/usr/bin/dash"),
	OPEN("/etc/ld.so.cache", "read"),
	OPEN("/usr/lib/x86_64-linux-gnu/libc.so.6", "read"),
	OPEN("/usr/share/tool/a", "read"),
	OPEN("/usr/share/listed/", "read"),
	OPEN("/usr/share/tool/sub/b", "read"),
	OPEN("/etc/tool/python3.11/x.conf", "read"),
	OPEN("/etc/tool.conf", "read"),
	OPEN("/etc/passwd", "read"),
	OPEN("/srv/app/1.html", "read"),
	OPEN("/srv/app/2.html", "read"),
	OPEN("/srv/app/3.html", "read"),
	OPEN("/srv/app/4.html", "read"),
	OPEN("/home/u/work/in.txt", "read"),
	OPEN("/home/u/.toolrc", "read"),
	OPEN("/home/u/work/out.txt", "read+write+change"),
	OPEN("/tmp/tmpabcdef12", "read+write+change"),
	GRANT("remove", "/tmp/tmpabcdef12"),
	OPEN("/var/tool/run.a8Kq2Z", "write+change"),
	GRANT("make", "/home/u/work/repo/"),
	OPEN("/home/u/work/repo/x", "write+change"),
	OPEN("/srv/old", "write"),
	OPEN("/proc/321/stat", "read"),
	"{\"kind\":\"grant\",\"operation\":\"open\",\"object\":\"/proc/321/maps\",\"named\":\"/proc/self/"
	"maps\",\"access\":\"read\"}",
	"{\"kind\":\"grant\",\"operation\":\"look\",\"object\":\"/srv/only-looked\",\"named\":\"/srv/only-looked\"}",
	"{\"kind\":\"refusal\",\"operation\":\"open\",\"object\":\"/etc/"
	"shadow\",\"access\":\"read\",\"rule\":{\"key\":\"Deny\"}}",
	"{\"kind\":\"refusal\",\"operation\":\"open\",\"object\":\"/usr/lib/"
	"cache\",\"access\":\"write\",\"rule\":{\"key\":\"ReadOnly\"}}",
	"{\"kind\":\"refusal\",\"operation\":\"call\",\"object\":\"mount\",\"reason\":\"not given\"}",
	CALL("clone", "1200011 0 0 0 0 0"),
	CALL("execve", "0 0 0 0 0 0"),
	CALL("flock", "3 2 0 0 0 0"),
	CALL("socket", "2 1 0 0 0 0"),
	CALL("listen", "3 5 0 0 0 0"),
	CALL("stat", "0 0 0 0 0 0"),
	"{\"kind\":\"grant\",\"operation\":\"look up\",\"object\":\"example.org\",\"answers\":[\"192.0.2.7\"]}",
	NET("look up", "unused.example"),
	"{\"kind\":\"grant\",\"operation\":\"look up\",\"object\":\"internet\",\"answers\":[\"192.0.2.8\"]}",
	"{\"kind\":\"grant\",\"operation\":\"look up\",\"object\":\"*.example.net\",\"answers\":[\"192.0.2.9\"]}",
	NET("connect to", "tcp:192.0.2.8:443"),
	NET("connect to", "udp:192.0.2.9:53"),
	NET("connect to", "tcp:192.0.2.7:443"),
	NET("connect to", "tcp:198.51.100.1:25"),
	NET("connect to", "/run/host/socket"),
	NET("listen on", "tcp:127.0.0.1:8080"),
	NET("listen on", "tcp:127.0.0.1:0"),
	NET("connect to", "tcp:127.0.0.1:8080"),
	NET("connect to", "tcp:127.0.0.1:45000"),
	"{\"kind\":\"session-end\"}",
};

static void test_a_proposal(void **state)
{
	static const char *const wanted[] = {
		"Name        = \"tool\"\n",
		"\"~/.toolrc\",",
		"\"${CWD}/in.txt\",",
		"\"/srv/app/*\",",
		"\"/usr/share/tool/**\",",
		"# by convention: 2 seen, such as a\n",
		"\"/usr/share/listed/**\",",
		"# by convention: 1 seen, such as /usr/share/listed/\n",
		"\"/etc/tool.conf\",",
		"\"/etc/tool/python3.*/x.conf\",",
		"\"/proc/[0-9]*/stat\",",
		"\"${CWD}/out.txt*\",",
		"\"${CWD}/repo*/{,**}\",",
		"\"/var/tool/run.*\",",
		"\"/srv/old\",",
		"\"/usr/bin/tool\"",
		"\"/usr/bin/dash\"",
		"\"tcp:example.org:443\",",
		"\"tcp:198.51.100.1:25\",",
		"    \"tcp:192.0.2.8:443\",",
		"    \"udp:192.0.2.9:53\",",
		"\"unix:/run/host/socket\",",
		"Listen = [\"tcp:127.0.0.1:8080\"]",
		"    # \"/etc/shadow\",",
		"    # \"/usr/lib/cache\",",
		"    # \"tcp:127.0.0.1:45000\",",
		"    # \"tcp:unused.example:443\",",
		"#   /srv/only-looked\n",
		"#   mount: not given\n",
		"[\"locks\", \"tmp\"]",
		"[\"start\", \"exec\", \"fork\"]",
		"[\"identity\"]",
		"[\"dns\", \"loopback\"]",
	};
	static const char *const unwanted[] = {
		"libc.so.6",     "ld.so.cache", "/tmp",    "self/maps",  "tcp:127.0.0.1:8080\",    ",
		"192.0.2.7:443", "\"/**\"",     "tool3.1", "/etc/passwd"};
	SG_AUTO_FREE char *text = propose(session, SG_ARRAY_SIZE(session), false);
	SG_AUTO_FREE char *again = propose(session, SG_ARRAY_SIZE(session), true);
	SG_AUTO_POLICY struct sg_policy *policy = compile(text);

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(wanted); i++)
		if (strstr(text, wanted[i]) == NULL)
			fail_msg("without %s:\n%s", wanted[i], text);
	for (size_t i = 0; i < SG_ARRAY_SIZE(unwanted); i++)
		if (strstr(text, unwanted[i]) != NULL)
			fail_msg("with %s:\n%s", unwanted[i], text);
	assert_string_equal(text, again);
	assert_non_null(policy);
}

/* --- properties --- */

static uint64_t random_state;

static uint64_t next_random(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return random_state >> 33;
}

/* A name of odd bytes below one of some folders. */
static void random_name(char *out, size_t size)
{
	static const char *const roots[] = {"/home/u/work/", "/home/u/",        "/srv/app/", "/etc/",
					    "/etc/app/",     "/usr/share/pkg/", "/tmp/",     "/var/tmp/",
					    "/var/lib/x/",   "/opt/tool/",      "/run/",     "/"};
	static const char bytes[] = "abcXYZ0189._-*?[]{}\\,#@ \"'$~\xc3\xa4\xff\x01";
	size_t length = (size_t)snprintf(out, size, "%s", roots[next_random() % SG_ARRAY_SIZE(roots)]);

	for (size_t parts = 1 + next_random() % 3; parts > 0; parts--) {
		for (size_t left = 1 + next_random() % 12; left > 0 && length + 3 < size; left--)
			out[length++] = bytes[next_random() % (sizeof(bytes) - 1)];
		out[length++] = 'e'; /* never "." or ".." */
		out[length++] = parts > 1 ? '/' : '\0';
	}
}

static void append_file(struct sg_buffer *lines, const char *operation, const char *name, const char *access)
{
	sg_buffer_printf(lines, "{\"kind\":\"grant\",\"operation\":\"%s\",\"access\":\"%s\",\"object\":", operation,
			 access);
	sg_buffer_append_json(lines, name, strlen(name));
	sg_buffer_append_text(lines, ",\"named\":");
	sg_buffer_append_json(lines, name, strlen(name));
	sg_buffer_append_text(lines, "}\n");
}

enum { FILES = 40 };

struct used_file {
	char name[160];
	unsigned int access;
	bool made;
};

static void random_session(struct used_file files[FILES], struct sg_buffer *lines)
{
	for (size_t i = 0; i < FILES; i++) {
		const uint64_t kind = next_random() % 4;

		random_name(files[i].name, sizeof(files[i].name));
		files[i].made = kind == 3;
		files[i].access = kind == 0 || kind == 1 ? SG_ACCESS_READ
				  : kind == 2            ? SG_ACCESS_READ | SG_ACCESS_WRITE
							 : SG_ACCESS_WRITE | SG_ACCESS_CHANGE;
		append_file(lines, "open", files[i].name,
			    kind <= 1   ? "read"
			    : kind == 2 ? "read+write"
					: "write+change");
	}
}

static void propose_text(const char *text, size_t size, struct sg_buffer *out)
{
	SG_CLEANUP(sg_observed_done) struct sg_observed observed = {0};
	const struct sg_learn_context context = {.name = "tool", .command = command, .variables = &variables};
	const int fd = memfd_create("record", MFD_CLOEXEC);
	struct sg_error error = SG_ERROR_INIT;

	assert_true(fd >= 0 && write(fd, text, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
	if (sg_observed_read(&observed, fd, &error) < 0)
		fail_msg("%s", error.text);
	(void)close(fd);
	sg_observed_settle(&observed);
	if (sg_learn_propose(&observed, &context, out, &error) < 0)
		fail_msg("%s", error.text);
}

/*
 * Whatever the names: the proposal is a profile, each name that was used is given, and what was not used and lies beside is not: files of
 * the root, of the home, of /etc and of a folder that nobody used.
 */
static void test_proposals_give_what_was_used_and_no_canary(void **state)
{
	static const char *const canaries[] = {
		"/etc/canary",           "/canary",     "/home/u/.canary", "/home/u/canary/x",
		"/usr/share/other/file", "/var/canary", "/run/canary",     "/srv/canary",
		"/home/other/file",      "/root/file",  "/opt/other/file", "/var/lib/canary/x"};

	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		static struct used_file files[FILES];
		SG_AUTO_BUFFER struct sg_buffer lines = SG_BUFFER_INIT, out = SG_BUFFER_INIT;
		SG_AUTO_LEARN_MATCHER struct sg_learn_matcher matcher = {0};
		SG_AUTO_POLICY struct sg_policy *policy = NULL;

		random_state = seed;
		random_session(files, &lines);
		propose_text(lines.data, lines.size, &out);
		policy = compile(out.data);
		assert_int_equal(sg_learn_matcher_init(&matcher, policy), 0);
		for (size_t i = 0; i < FILES; i++) {
			const bool temporary =
				strncmp(files[i].name, "/tmp/", 5) == 0 || strncmp(files[i].name, "/var/tmp/", 9) == 0;

			if (!(files[i].made && temporary) &&
			    !sg_learn_matcher_gives(&matcher, files[i].name, files[i].access))
				fail_msg("seed %d: %s is not given:\n%s", (int)seed, files[i].name, out.data);
		}
		for (size_t i = 0; i < SG_ARRAY_SIZE(canaries); i++)
			if (sg_learn_matcher_gives(&matcher, canaries[i], SG_ACCESS_READ))
				fail_msg("seed %d: %s is given:\n%s", (int)seed, canaries[i], out.data);
	}
}

/* What is none of a record is an error, and gives nothing. */
static void test_bad_records(void **state)
{
	static const char *const bad[] = {"{", "[]", "{\"kind\":\"grant\",\"operation\":\"open\",\"object\":\"\xff\"}x",
					  "nonsense"};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(bad); i++) {
		SG_CLEANUP(sg_observed_done) struct sg_observed observed = {0};
		const int fd = memfd_create("record", MFD_CLOEXEC);
		struct sg_error error = SG_ERROR_INIT;
		int status;

		assert_true(dprintf(fd, "%s\n", bad[i]) > 0 && lseek(fd, 0, SEEK_SET) == 0);
		status = sg_observed_read(&observed, fd, &error);
		if (i != 1) /* JSON, of another shape: nothing is in it */
			assert_int_equal(status, -EBADMSG);
		assert_int_equal(observed.files.count, 0);
		(void)close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_native_is_allowed),
		cmocka_unit_test(test_what_is_added_is_asked),
		cmocka_unit_test(test_signatures_tell_what_filters_tell),
		cmocka_unit_test(test_random_parts),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_folders),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_a_proposal),
		cmocka_unit_test(test_proposals_give_what_was_used_and_no_canary),
		cmocka_unit_test(test_bad_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
