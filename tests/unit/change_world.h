/*
 * A world for the tests of the supervisor's handlers: a child whose calls are notified, a supervisor around
 * the handlers, a policy from a profile's text. The child does one call at a time, as told; the parent serves
 * the notifications.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "policy/compile.h"
#include "supervisor/change.h"
#include "tables/syscalls.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

enum { DEADLINE_MS = 20000 };

struct call {
	long number;
	uint64_t arguments[6];
};

/* What the child did. `error` is 0 when the call did not fail. */
struct outcome {
	int64_t value;
	int error;
};

typedef void (*child_body)(void *data);

struct test_world {
	char folder[64]; /* the child's working directory; made and removed by the world */
	char log[96];
	struct sg_supervisor supervisor;
	struct sg_policy *policy;
	struct sg_plan *plan;
	bool audit_dead; /* the test has killed the auditor */
	pid_t child;
	int socket;            /* to the child: calls and outcomes */
	int at;                /* the folder: the supervisor's own working directory moves */
	unsigned int notified; /* calls that reached a handler */
};

static void must(bool condition, const char *what)
{
	if (!condition)
		fail_msg("%s: %s", what, strerror(errno));
}

/* Root without its capabilities is an ordinary owner of its files: one set of expectations holds for both. */
static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};

	must(syscall(SYS_capset, &header, none) == 0, "capset");
}

static bool notify_addresses; /* connect and bind, too */

/* Notifies the calls of the three classes, and openings that give contents; all else is native. */
static int install_filter(void)
{
	static struct sock_filter program[2 * SG_SYSCALL_LIMIT + 8];
	struct sock_fprog filter = {.filter = program};
	unsigned short used = 0;

	program[used++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++) {
		const struct sg_syscall *call = sg_syscall_by_number(number);

		if (call == NULL || (call->class != SG_CLASS_FILE_CHANGE && call->class != SG_CLASS_FD_CHANGE &&
				     call->class != SG_CLASS_FILE_LOOK && call->class != SG_CLASS_FILE_DETAIL &&
				     (!notify_addresses || (number != SYS_connect && number != SYS_bind))))
			continue;
		program[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
		program[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	}
	program[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3);
	program[used++] =
		(struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2]));
	program[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_PATH, 1, 0);
	program[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	program[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter.len = used;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &filter);
}

/* As an argument: what the last call that was not about LAST has returned. */
#define LAST UINT64_C(0xfeedfeed)

static struct outcome do_call(const struct call *call)
{
	static uint64_t last;
	uint64_t a[6];
	bool about_last = false;
	struct outcome outcome = {0};

	for (size_t i = 0; i < SG_ARRAY_SIZE(a); i++) {
		about_last |= call->arguments[i] == LAST;
		a[i] = call->arguments[i] == LAST ? last : call->arguments[i];
	}
	errno = 0;
	outcome.value = syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
	outcome.error = outcome.value < 0 ? errno : 0;
	if (!about_last)
		last = (uint64_t)outcome.value;
	return outcome;
}

/* Serves calls from the socket until it ends. The pointers in them are to static data, which parent and child
 * share. */
static SG_NORETURN void serve_calls(int socket)
{
	struct call call;

	while (recv(socket, &call, sizeof(call), 0) == (ssize_t)sizeof(call)) {
		struct outcome outcome = do_call(&call);

		if (send(socket, &outcome, sizeof(outcome), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

static SG_NORETURN void child_main(const struct test_world *world, int socket, bool filtered, child_body body,
				   void *data)
{
	int listener = -1;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)umask(027);
	if (chdir(world->folder) < 0)
		_exit(100);
	if (filtered) {
		listener = install_filter();
		if (listener < 0 || sg_fd_send(socket, "l", 1, &listener, 1) < 0)
			_exit(101);
		sg_fd_close(listener);
	}
	if (body == NULL)
		serve_calls(socket);
	body(data);
	(void)send(socket, &(struct outcome){0}, sizeof(struct outcome), MSG_NOSIGNAL);
	_exit(0);
}

/* Starts the child; `filtered`: its calls are notified to the supervisor. */
static void world_start(struct test_world *world, bool filtered, child_body body, void *data)
{
	int ends[2];
	char byte;
	size_t count = 0;

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
	world->child = fork();
	must(world->child >= 0, "fork");
	if (world->child == 0) {
		sg_fd_close(ends[0]);
		child_main(world, ends[1], filtered, body, data);
	}
	sg_fd_close(ends[1]);
	world->socket = ends[0];
	world->supervisor.world.listener = -1;
	if (filtered)
		must(sg_fd_receive(world->socket, &byte, 1, &world->supervisor.world.listener, 1, &count) == 1 &&
			     count == 1,
		     "the listener");
}

static void world_stop(struct test_world *world)
{
	world->socket = sg_fd_close(world->socket);
	(void)kill(world->child, SIGKILL);
	(void)waitpid(world->child, NULL, 0);
	world->supervisor.world.listener = sg_fd_close(world->supervisor.world.listener);
}

static void handle(struct sg_request *request)
{
	const struct sg_syscall *call = sg_syscall_by_number((unsigned int)request->notification.data.nr);

	if (call->class == SG_CLASS_FILE_LOOK || call->class == SG_CLASS_FILE_DETAIL)
		sg_handle_look(request);
	else if (call->class == SG_CLASS_FILE_OPEN)
		sg_handle_open(request);
	else if (call->class == SG_CLASS_NET_NAME)
		sg_handle_network(request);
	else
		sg_handle_change(request);
}

static void serve_one(struct test_world *world)
{
	struct sg_supervisor *supervisor = &world->supervisor;
	struct sg_request request = {.supervisor = supervisor, .operation = "call"};

	if (ioctl(supervisor->world.listener, SECCOMP_IOCTL_NOTIF_RECV, &request.notification) < 0)
		return;
	request.caller = (struct sg_caller){.listener = supervisor->world.listener,
					    .id = request.notification.id,
					    .tid = (pid_t)request.notification.pid,
					    .proc = supervisor->view.proc};
	world->notified++;
	handle(&request);
	assert_true(request.answered);
}

/* Serves notifications until the child has sent an outcome. */
static struct outcome world_wait(struct test_world *world)
{
	for (;;) {
		struct pollfd wait[] = {{.fd = world->socket, .events = POLLIN},
					{.fd = world->supervisor.world.listener, .events = POLLIN}};
		struct outcome outcome;

		must(poll(wait, 2, DEADLINE_MS) > 0, "the child's answer");
		if ((wait[1].revents & POLLIN) != 0) {
			serve_one(world);
		} else if (wait[0].revents != 0) {
			must(recv(world->socket, &outcome, sizeof(outcome), 0) == (ssize_t)sizeof(outcome),
			     "the child's outcome");
			return outcome;
		}
	}
}

static struct outcome world_call(struct test_world *world, const struct call *call)
{
	must(send(world->socket, call, sizeof(*call), MSG_NOSIGNAL) == (ssize_t)sizeof(*call), "a call for the child");
	return world_wait(world);
}

static void run_tool(const char *tool, const char *argument, const char *path)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execlp(tool, tool, argument, "--", path, (char *)NULL);
		_exit(127);
	}
	must(waitpid(pid, &status, 0) == pid && status == 0, tool);
}

/* The policy of `profile`, in which each "@" stands for the world's folder. */
static void world_compile(struct test_world *world, const char *profile)
{
	const struct sg_variables variables = {.cwd = world->folder,
					       .home = "/home/nobody",
					       .user = "nobody",
					       .uid = "65534",
					       .runtime = "/run/user/65534"};
	const struct sg_plan_options options = {0};
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *source;
	int status;

	for (; *profile != '\0'; profile++) {
		if (*profile == '@')
			sg_buffer_append_text(&text, world->folder);
		else
			sg_buffer_append_byte(&text, *profile);
	}
	assert_int_equal(sg_source_new("test.toml", text.data, text.size, &source), 0);
	status = sg_policy_compile(&source, 1, &variables, NULL, NULL, &diagnostics, &world->policy, &error);
	if (status != 0)
		fail_msg("the profile: %s", diagnostics.count > 0 ? diagnostics.items[0].message : error.text);
	sg_diagnostics_done(&diagnostics);
	if (sg_plan_make(world->policy, &options, &world->plan, &error) != 0)
		fail_msg("the plan: %s", error.text);
	world->supervisor.policy = world->policy;
	world->supervisor.plan = world->plan;
	assert_int_equal(sg_matcher_new(world->plan->names, SG_MATCHER_MEMORY, &world->supervisor.names), 0);
}

/* An empty folder, a log and a supervisor. The profile is compiled, and the child started, once the folder is
 * filled. */
static void world_init(struct test_world *world)
{
	struct sg_supervisor *supervisor = &world->supervisor;
	struct sg_audit_options options = {.session = "20260101T000000Z-000000"};
	struct sg_error error = SG_ERROR_INIT;

	*world = (struct test_world){.socket = -1};
	(void)snprintf(world->folder, sizeof(world->folder), "/tmp/sg-test-change-XXXXXX");
	must(mkdtemp(world->folder) != NULL, "mkdtemp");
	(void)snprintf(world->log, sizeof(world->log), "%s.log", world->folder);
	options.log = open(world->log, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	must(options.log >= 0, "the log");
	if (sg_audit_start(&options, &supervisor->audit, &error) < 0)
		fail_msg("the auditor: %s", error.text);
	sg_fd_close(options.log);
	supervisor->world = SG_WORLD_INIT;
	supervisor->world.first = getpid();
	supervisor->control = -1;
	supervisor->view.self = getpid();
	supervisor->view.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	supervisor->view.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	must(supervisor->view.root >= 0 && supervisor->view.proc >= 0, "the view");
	world->at = open(world->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	must(world->at >= 0, "the folder");
}

static void world_done(struct test_world *world)
{
	struct sg_supervisor *supervisor = &world->supervisor;
	struct sg_audit_result result;

	assert_int_equal(sg_audit_stop(supervisor->audit, NULL, DEADLINE_MS, &result) != 0, world->audit_dead);
	must(chdir("/") == 0, "chdir");
	sg_fd_close(world->at);
	sg_fd_close(supervisor->view.root);
	sg_fd_close(supervisor->view.proc);
	sg_denied_done(&supervisor->denied);
	sg_matcher_free(supervisor->names);
	sg_plan_free(world->plan);
	sg_policy_free(world->policy);
	run_tool("rm", "-rf", world->folder);
	(void)unlink(world->log);
}
