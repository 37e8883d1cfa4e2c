/*
 * Faults on the way to a world: no memory for a policy or a plan, and a keeper that is gone before the first process follows it.
 * In each there is no world, or the very one that there would have been: a fault never leaves out a refusal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "failing_memory.h"
#include "policy/compile.h"
#include "world/init.h"
#include "world/plan.h"

/* Of each kind of place that a rule can go to, one. {work} is a folder with the files a.txt, b.key and sub/. */
static const char profile[] = "[Filesystem]\n"
			      "ReadOnly = [\"/usr/**\", \"/proc/diskstats\", \"/proc/pressure/**\", \"${CWD}/*.txt\"]\n"
			      "ReadWrite = [\"${CWD}/sub/**\"]\n"
			      "Exec = [\"/usr/bin/*\"]\n"
			      "Deny = [\"/usr/bin/chfn\", \"${CWD}/b.key\", \"/usr/share/**.key\"]\n"
			      "Hide = [\"/usr/bin/chsh\"]\n"
			      "LogOnWrite = [\"${CWD}/sub/**\"]\n"
			      "[Networking]\n"
			      "Flags = [\"dns\"]\n"
			      "Allow = [\"tcp:example.org:443\", \"tcp:10.0.0.0/8:5432\", \"unix:/run/x\"]\n"
			      "Deny = [\"*:169.254.169.254:*\"]\n"
			      "[Runtime]\n"
			      "Flags = [\"start\", \"fork\", \"exec\"]\n"
			      "Env = [\"A=b\"]\n"
			      "Limits = { Processes = 9 }\n"
			      "[Misc]\n"
			      "Flags = [\"sysinfo\"]\n";

static char work[] = "/tmp/sg-start-faults-XXXXXX";

static int open_none(void *data, const char *name, const struct sg_source *from, struct sg_source **ret,
		     struct sg_error *error)
{
	(void)data;
	(void)from;
	(void)ret;
	return sg_error_set_errno(error, -ENOENT, "%s", name);
}

/* Returns what sg_policy_compile() does, or below 0 where the text found no memory. */
static int compile(struct sg_policy **ret)
{
	const struct sg_variables variables = {
		.cwd = work, .home = "/home/somebody", .user = "somebody", .uid = "1000", .runtime = "/run/user/1000"};
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *source = NULL;
	int status = sg_source_new("faults.toml", profile, sizeof(profile) - 1, &source);

	return status < 0 ? status
			  : sg_policy_compile(&source, 1, &variables, open_none, NULL, &diagnostics, ret, &error);
}

static void assert_same_policy(const struct sg_policy *made, const struct sg_policy *whole)
{
	assert_memory_equal(made->hash, whole->hash, sizeof(whole->hash));
	assert_int_equal(made->rule_count, whole->rule_count);
}

static void no_memory_for_a_policy(void **state)
{
	struct sg_policy *whole = NULL;
	unsigned long last = 0, refused = 0;

	(void)state;
	assert_int_equal(compile(&whole), 0);
	for (unsigned long number = 1; last == 0; number++) {
		SG_AUTO_POLICY struct sg_policy *made = NULL;
		int status;

		fail_allocation(number);
		status = compile(&made);
		if (!has_failed())
			last = number;
		if (status == 0)
			assert_same_policy(made, whole);
		else
			assert_null(made);
		refused += status != 0;
	}
	assert_true(refused > 100);
	sg_policy_free(whole);
}

static int plan(const struct sg_policy *policy, struct sg_plan **ret)
{
	const struct sg_plan_options options = {.pty = true, .cwd = work};
	struct sg_error error = SG_ERROR_INIT;

	return sg_plan_make(policy, &options, ret, &error);
}

static void assert_same_text(const char *made, const char *whole)
{
	assert_true((made == NULL) == (whole == NULL));
	if (whole != NULL)
		assert_string_equal(made, whole);
}

static void assert_same_plan(const struct sg_plan *made, const struct sg_plan *whole)
{
	assert_int_equal(made->mount_count, whole->mount_count);
	for (size_t i = 0; i < whole->mount_count; i++) {
		const struct sg_mount *one = &made->mounts[i], *other = &whole->mounts[i];

		assert_int_equal(one->kind, other->kind);
		assert_int_equal(one->flags, other->flags);
		assert_string_equal(one->target, other->target);
		assert_same_text(one->source, other->source);
		assert_int_equal(one->cover_count, other->cover_count);
		for (size_t j = 0; j < other->cover_count; j++)
			assert_string_equal(one->covers[j].name, other->covers[j].name);
	}
	assert_memory_equal(made->placements, whole->placements,
			    whole->policy->rule_count * sizeof(*whole->placements));
	assert_int_equal(made->decide_reads, whole->decide_reads);
	assert_int_equal(made->decide_details, whole->decide_details);
	assert_int_equal(made->decide_looks, whole->decide_looks);
	assert_int_equal(made->decide_changes, whole->decide_changes);
	assert_int_equal(made->mixed_code, whole->mixed_code);
	assert_int_equal(made->alias_count, whole->alias_count);
	assert_int_equal(made->may_hang, whole->may_hang);
}

/* Among them the names of /proc that a rule gives: without memory for them a world would see fewer, or, were they taken for none, all. */
static void no_memory_for_a_plan(void **state)
{
	struct sg_policy *policy = NULL;
	struct sg_plan *whole = NULL;
	unsigned long last = 0, refused = 0;
	const struct sg_mount *proc = NULL;

	(void)state;
	assert_int_equal(compile(&policy), 0);
	assert_int_equal(plan(policy, &whole), 0);
	for (size_t i = 0; i < whole->mount_count; i++)
		if (whole->mounts[i].kind == SG_MOUNT_PROC_SYSTEM)
			proc = &whole->mounts[i];
	assert_non_null(proc);
	assert_non_null(strstr(proc->source, "/diskstats/"));
	for (unsigned long number = 1; last == 0; number++) {
		SG_AUTO_PLAN struct sg_plan *made = NULL;
		int status;

		fail_allocation(number);
		status = plan(policy, &made);
		if (!has_failed())
			last = number;
		if (status == 0)
			assert_same_plan(made, whole);
		else
			assert_null(made);
		refused += status != 0;
	}
	assert_true(refused > 20);
	sg_plan_free(whole);
	sg_policy_free(policy);
}

/* --- the first process, which must not outlive its keeper --- */

/*
 * Runs the first process up to the first thing that it cannot do here, in namespaces of the test's own. Returns whether it said
 * anything of that: it has begun then.
 */
static bool begins(bool mapped, bool keeper_lives)
{
	const struct sg_world_spec spec = {.hostname = "faults", .stdio = {-1, -1, -1}, .directory = "/"};
	struct sg_world_report report;
	int go[2], reports[2], status;
	pid_t pid;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, reports), 0);
	if (mapped)
		assert_int_equal(sg_fd_write_full(go[1], "", 1), 0);
	if (!keeper_lives)
		go[1] = sg_fd_close(go[1]);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		sg_fd_close(go[1]);
		sg_fd_close(reports[0]);
		/* No network of its own and no command: should it go on, it fails there at the latest. */
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
			_exit(99);
		sg_world_init(&spec, go[0], reports[1]);
	}
	sg_fd_close(reports[1]);
	sg_fd_close(go[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	sg_fd_close(go[1]);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 125);
	status = (int)recv(reports[0], &report, sizeof(report), MSG_DONTWAIT);
	sg_fd_close(reports[0]);
	return status > 0;
}

static void a_keeper_that_is_gone(void **state)
{
	(void)state;
	assert_true(begins(true, true));
	assert_false(begins(true, false));
	assert_false(begins(false, false));
}

static int make_work(void **state)
{
	char path[64];

	(void)state;
	if (mkdtemp(work) == NULL)
		return -1;
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", work, i == 0 ? "a.txt" : "b.key");
		if (mknod(path, S_IFREG | 0600, 0) < 0)
			return -1;
	}
	(void)snprintf(path, sizeof(path), "%s/sub", work);
	return mkdir(path, 0700);
}

static int remove_work(void **state)
{
	static const char *const names[] = {"a.txt", "b.key", "sub", ""};
	char path[64];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", work, names[i]);
		if (remove(path) < 0)
			return -1;
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_memory_for_a_policy),
		cmocka_unit_test(no_memory_for_a_plan),
		cmocka_unit_test(a_keeper_that_is_gone),
	};

	return cmocka_run_group_tests_name("start faults", tests, make_work, remove_work);
}
