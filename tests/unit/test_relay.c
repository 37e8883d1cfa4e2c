/*
 * The relay against a supervisor played by the test: it speaks the control protocol and runs real programs on
 * pipes or on a pty, but isolates nothing. A "user" (the test itself) holds the other ends of the front end's
 * descriptors 0-2, which are pipes, files or the slave of a pty of which the front end's parent is the
 * session leader, as a shell would be.
 *
 * Over 1000 lines: the supervisor, the shell and the user that are played here are of no use to any other
 * test.
 *
 * `test_relay --run CMD...` runs CMD so on the descriptors at hand, for measuring.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/fd.h"
#include "cli/notice.h"
#include "cli/relay.h"
#include "cli/stdio.h"
#include "cli/terminal.h"
#include "world/control.h"

enum { DEADLINE_MS = 20000 };

static uint64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the supervisor ---- */

struct scenario {
	char *const *argv;    /* the command; NULL: none is started */
	const char *failed;   /* send FAILED with this text and 127 */
	unsigned int notices; /* send so many after STARTED */
	const char *notice;   /* their text */
	bool die;             /* end without a word after STARTED and the notices */
	bool malformed;       /* send a message that is cut short */
	bool quiet;
	bool foreground; /* ignore keys_on_demand */
};

struct session {
	const struct scenario *scenario;
	const struct sg_stdio *stdio;
	struct sg_stdio_pipes *pipes;
	int control;
	int slave;
	pid_t command;
};

static void tell(const struct session *session, enum sg_control_kind kind, int value, const char *text, int fd)
{
	struct sg_control_message message = {.kind = kind, .value = value};

	message.text_size = (uint32_t)strlen(text);
	memcpy(message.text, text, message.text_size);
	(void)sg_fd_send(session->control, &message, offsetof(struct sg_control_message, text) + message.text_size, &fd,
			 fd >= 0 ? 1 : 0);
}

static int open_pty_pair(struct session *session)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0 || unlockpt(master) < 0)
		_exit(99);
	session->slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (session->slave < 0 || sg_stdio_prepare_pty(session->stdio, master) < 0 ||
	    ioctl(session->slave, TIOCSCTTY, 0) < 0)
		_exit(99);
	return master;
}

static void become_command(const struct session *session)
{
	sigset_t none;

	(void)setpgid(0, 0);
	if (session->slave >= 0 && (session->scenario->foreground || !session->stdio->keys_on_demand))
		(void)tcsetpgrp(session->slave, getpid());
	for (int i = 0; i < 3; i++) {
		int source = session->pipes->world[i] >= 0 ? session->pipes->world[i] : session->slave;

		if (session->stdio->of[i].kind == SG_STDIO_CLOSED)
			source = open("/dev/null", O_RDWR | O_CLOEXEC);
		(void)dup2(source, i);
	}
	(void)signal(SIGTTOU, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execvp(session->scenario->argv[0], session->scenario->argv);
	_exit(127);
}

static void report_children(const struct session *session)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid != session->command)
			continue;
		if (WIFSTOPPED(status)) {
			tell(session, SG_CONTROL_STOPPED, WSTOPSIG(status), "", -1);
			continue;
		}
		tell(session, SG_CONTROL_ENDED, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), "",
		     -1);
		_exit(0);
	}
}

static void deliver(const struct session *session)
{
	struct sg_control_message message;
	int fds[1];
	ssize_t size = sg_fd_receive(session->control, &message, sizeof(message), fds, 1, NULL);

	if (size <= 0) {
		(void)kill(-session->command, SIGKILL);
		_exit(0);
	}
	if (message.kind != SG_CONTROL_SIGNAL)
		_exit(98);
	if (message.value == SIGCONT && session->slave >= 0)
		(void)tcsetpgrp(session->slave, session->command);
	(void)kill(-session->command, message.value);
}

static void start_command(struct session *session)
{
	int master = -1;

	if (session->stdio->wants_pty)
		master = open_pty_pair(session);
	session->command = fork();
	if (session->command == 0)
		become_command(session);
	(void)setpgid(session->command, session->command);
	if (session->slave >= 0 && (session->scenario->foreground || !session->stdio->keys_on_demand))
		(void)tcsetpgrp(session->slave, session->command);
	sg_stdio_pipes_close_world(session->pipes);
	tell(session, SG_CONTROL_STARTED, 0, "", master);
	sg_fd_close(master);
}

SG_NORETURN static void supervise(struct session *session)
{
	const struct scenario *scenario = session->scenario;
	sigset_t child;
	int children;

	(void)setsid();
	(void)signal(SIGTTOU, SIG_IGN);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	sg_stdio_pipes_close_front(session->pipes);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3; i++)
		(void)dup2(null, i);
	if (scenario->failed != NULL) {
		tell(session, SG_CONTROL_FAILED, 127, scenario->failed, -1);
		_exit(0);
	}
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &child, NULL);
	children = signalfd(-1, &child, SFD_CLOEXEC);
	if (scenario->argv != NULL)
		start_command(session);
	for (unsigned int i = 0; i < scenario->notices; i++)
		tell(session, SG_CONTROL_NOTICE, 0, scenario->notice, -1);
	if (scenario->malformed)
		(void)sg_fd_send(session->control, "\1\0\0", 3, NULL, 0);
	if (scenario->die)
		_exit(0);
	for (;;) {
		struct pollfd polls[2] = {{.fd = session->control, .events = POLLIN},
					  {.fd = children, .events = POLLIN}};
		struct signalfd_siginfo info;

		(void)poll(polls, 2, -1);
		if (polls[1].revents != 0 && read(children, &info, sizeof(info)) > 0)
			report_children(session);
		if (polls[0].revents != 0)
			deliver(session);
	}
}

/* ---- the front end ---- */

SG_NORETURN static void front_end(const struct scenario *scenario)
{
	struct sg_error error = SG_ERROR_INIT;
	struct sg_stdio stdio;
	struct sg_stdio_pipes pipes = SG_STDIO_PIPES_INIT;
	struct session session = {.scenario = scenario, .stdio = &stdio, .pipes = &pipes, .slave = -1};
	struct sg_relay relay = {
		.stdio = &stdio, .pipes = &pipes, .quiet = scenario->quiet, .on_demand = !scenario->foreground};
	int pair[2], status = -1;
	pid_t supervisor;

	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGFPE, SIG_DFL); /* cmocka catches it */
	if (sg_stdio_inspect(&stdio, &error) < 0 || sg_stdio_make_pipes(&stdio, &pipes, &error) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		_exit(97);
	pair[0] = sg_fd_move_above(pair[0], 20);
	pair[1] = sg_fd_move_above(pair[1], 20);
	supervisor = fork();
	if (supervisor == 0) {
		sg_fd_close(pair[0]);
		session.control = pair[1];
		supervise(&session);
	}
	sg_fd_close(pair[1]);
	relay.control = pair[0];
	if (sg_relay_run(&relay, &status, &error) < 0)
		_exit(96);
	sg_fd_close(pair[0]);
	while (waitpid(supervisor, NULL, 0) < 0 && errno == EINTR)
		;
	exit(status);
}

/* ---- the user ---- */

/* Starts the front end on these descriptors (-1: closed), in our session. */
static pid_t start_on(const struct scenario *scenario, int in, int out, int err)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int given[3] = {in, out, err};

		for (int i = 0; i < 3; i++) /* out of the way of one another */
			given[i] = given[i] < 0 ? -1 : fcntl(given[i], F_DUPFD_CLOEXEC, 50);
		if (out >= 0 && out == err)
			given[2] = given[1];
		for (int i = 0; i < 3; i++) {
			(void)close(i);
			if (given[i] >= 0)
				(void)dup2(given[i], i);
		}
		(void)close_range(3, ~0U, 0);
		front_end(scenario);
	}
	return pid;
}

static int wait_status(pid_t pid)
{
	int status = 0;
	uint64_t deadline = now_ms() + DEADLINE_MS;
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd entry = {.fd = pidfd, .events = POLLIN};

	assert_true(pidfd >= 0);
	if (poll(&entry, 1, (int)(deadline - now_ms())) != 1) {
		(void)kill(pid, SIGKILL);
		fail_msg("the front end did not end in time");
	}
	(void)close(pidfd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static ssize_t read_before(int fd, char *data, size_t size, uint64_t deadline)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN};
	uint64_t now = now_ms();

	if (now >= deadline || poll(&entry, 1, (int)(deadline - now)) != 1)
		fail_msg("nothing to read in time");
	return read(fd, data, size);
}

/* All up to the end; the text is the caller's. */
static char *read_all(int fd)
{
	size_t used = 0, capacity = 1 << 20;
	char *data = malloc(capacity);
	uint64_t deadline = now_ms() + DEADLINE_MS;

	assert_non_null(data);
	for (;;) {
		ssize_t count = read_before(fd, data + used, capacity - 1 - used, deadline);

		if (count <= 0)
			break;
		used += (size_t)count;
		assert_true(used < capacity - 1);
	}
	data[used] = '\0';
	return data;
}

/* What the user has seen on the terminal so far. */
struct screen {
	int master;
	char text[1 << 16];
	size_t size;
};

static void expect(struct screen *screen, const char *wanted)
{
	uint64_t deadline = now_ms() + DEADLINE_MS;

	while (strstr(screen->text, wanted) == NULL) {
		struct pollfd entry = {.fd = screen->master, .events = POLLIN};
		uint64_t now = now_ms();
		ssize_t count = -1;

		if (now < deadline && poll(&entry, 1, (int)(deadline - now)) == 1)
			count = read(screen->master, screen->text + screen->size,
				     sizeof(screen->text) - 1 - screen->size);
		if (count <= 0)
			fail_msg("expected \"%s\", have \"%s\"", wanted, screen->text);
		screen->size += (size_t)count;
		screen->text[screen->size] = '\0';
	}
}

static void forget(struct screen *screen)
{
	screen->size = 0;
	screen->text[0] = '\0';
}

static void type(const struct screen *screen, const char *keys)
{
	assert_int_equal(write(screen->master, keys, strlen(keys)), (ssize_t)strlen(keys));
}

/* The modes of the user's terminal (by the master: they are the slave's). */
static bool is_raw(const struct screen *screen)
{
	struct termios modes;

	assert_int_equal(tcgetattr(screen->master, &modes), 0);
	return (modes.c_lflag & (tcflag_t)(ICANON | ECHO | ISIG)) == 0 && (modes.c_oflag & OPOST) == 0;
}

static bool is_cooked(const struct screen *screen)
{
	struct termios modes;

	assert_int_equal(tcgetattr(screen->master, &modes), 0);
	return (modes.c_lflag & (tcflag_t)(ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG) &&
	       (modes.c_oflag & OPOST) != 0;
}

/* No event tells of modes: looked at again and again until the deadline. */
static void await_modes(const struct screen *screen, bool (*wanted)(const struct screen *))
{
	uint64_t deadline = now_ms() + DEADLINE_MS;

	while (!wanted(screen)) {
		assert_true(now_ms() < deadline);
		(void)poll(NULL, 0, 2);
	}
}

/*
 * A shell on a terminal: session leader, starts one job (a process group of its own) and obeys one-letter
 * orders: 'f' continue in the foreground, 'b' continue in the background, 'F' bring forward without SIGCONT,
 * 'k' SIGTSTP to it, 's' SIGTERM. Answers with 's' and the signal when it stops, 'e' and the exit status when
 * it ends.
 */
struct shell {
	pid_t pid, job;
	int orders;
	struct screen screen;
};

struct job {
	const struct scenario *scenario;
	int in, out, err; /* -1: the terminal */
	bool background;
};

static void shell_obey(char order, pid_t job)
{
	(void)tcsetpgrp(STDIN_FILENO, order == 'b' ? getpid() : job);
	if (order == 'f' || order == 'b')
		(void)kill(-job, SIGCONT);
	if (order == 'k')
		(void)kill(job, SIGTSTP);
	if (order == 's')
		(void)kill(job, SIGTERM);
}

SG_NORETURN static void shell_main(const struct job *job, int orders)
{
	struct pollfd polls[2] = {{.fd = orders, .events = POLLIN}};
	sigset_t child;
	pid_t pid;

	(void)signal(SIGTTOU, SIG_IGN);
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	pid = fork();
	if (pid == 0) {
		int given[3] = {job->in, job->out, job->err};

		(void)setpgid(0, 0);
		if (!job->background)
			(void)tcsetpgrp(STDIN_FILENO, getpid());
		(void)signal(SIGTTOU, SIG_DFL);
		for (int i = 0; i < 3; i++)
			if (given[i] >= 0)
				(void)dup2(given[i], i);
		(void)close_range(3, ~0U, 0);
		front_end(job->scenario);
	}
	(void)sigprocmask(SIG_BLOCK, &child, NULL);
	(void)setpgid(pid, pid);
	if (!job->background)
		(void)tcsetpgrp(STDIN_FILENO, pid);
	/* Not a descriptor of the job's or the test's: the ends of its pipes would not be seen. */
	orders = sg_fd_move_above(orders, 200);
	polls[0].fd = orders;
	(void)close_range(3, 199, 0);
	polls[1] = (struct pollfd){.fd = signalfd(-1, &child, SFD_CLOEXEC), .events = POLLIN};
	(void)sg_fd_write_full(orders, &pid, sizeof(pid));
	for (;;) {
		struct signalfd_siginfo info;
		char order, answer[2];
		int status;

		(void)poll(polls, 2, -1);
		if (polls[0].revents != 0) {
			if (read(orders, &order, 1) != 1)
				_exit(0);
			shell_obey(order, pid);
		}
		if (polls[1].revents == 0 || read(polls[1].fd, &info, sizeof(info)) < 0)
			continue;
		while (waitpid(pid, &status, WNOHANG | WUNTRACED) > 0) {
			(void)tcsetpgrp(STDIN_FILENO, getpid());
			answer[0] = WIFSTOPPED(status) ? 's' : 'e';
			answer[1] = (char)(WIFSTOPPED(status)  ? WSTOPSIG(status)
					   : WIFEXITED(status) ? WEXITSTATUS(status)
							       : 128 + WTERMSIG(status));
			(void)sg_fd_write_full(orders, answer, 2);
		}
	}
}

static void shell_start(struct shell *shell, const struct job *job)
{
	struct winsize window = {.ws_row = 24, .ws_col = 80};
	int pair[2];

	(void)fflush(NULL);
	memset(shell, 0, sizeof(*shell));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	shell->pid = forkpty(&shell->screen.master, NULL, NULL, &window);
	assert_true(shell->pid >= 0);
	if (shell->pid == 0) {
		(void)close(pair[0]);
		shell_main(job, pair[1]);
	}
	(void)close(pair[1]);
	shell->orders = pair[0];
	assert_int_equal(read_before(pair[0], (char *)&shell->job, sizeof(pid_t), now_ms() + DEADLINE_MS),
			 sizeof(pid_t));
}

static void shell_order(const struct shell *shell, char order)
{
	assert_int_equal(write(shell->orders, &order, 1), 1);
}

/* The next answer must be `what` with `value`. The terminal is read meanwhile, as a terminal does. */
static void shell_expect(struct shell *shell, char what, int value)
{
	uint64_t deadline = now_ms() + DEADLINE_MS;
	char answer[2];

	for (;;) {
		struct pollfd polls[2] = {{.fd = shell->orders, .events = POLLIN},
					  {.fd = shell->screen.master, .events = POLLIN}};
		uint64_t now = now_ms();

		if (now >= deadline || poll(polls, 2, (int)(deadline - now)) < 1)
			fail_msg("no answer '%c' in time; screen: %s", what, shell->screen.text);
		if (polls[1].revents & POLLIN) {
			struct screen *screen = &shell->screen;
			ssize_t count = read(screen->master, screen->text + screen->size,
					     sizeof(screen->text) - 1 - screen->size);

			screen->size += count > 0 ? (size_t)count : 0;
			screen->text[screen->size] = '\0';
		} else if (polls[0].revents != 0) {
			break;
		}
	}
	assert_int_equal(read_before(shell->orders, answer, 2, deadline), 2);
	if (answer[0] != what || (unsigned char)answer[1] != value)
		fail_msg("expected %c%d, got %c%d; screen: %s", what, value, answer[0], (unsigned char)answer[1],
			 shell->screen.text);
}

static void shell_end(struct shell *shell)
{
	(void)close(shell->orders);
	(void)close(shell->screen.master);
	(void)wait_status(shell->pid);
}

#define SHELL(text) ((char *const[]){(char[]){"sh"}, (char[]){"-c"}, (char[]){text}, NULL})

/* ---- pipes ---- */

static void make_pipe(int ends[2])
{
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
}

static void test_exit_status_and_input(void **state)
{
	const struct scenario scenario = {.argv = SHELL("read line; echo \"got $line\"; cat; exit 7")};
	int in[2], out[2];
	pid_t pid;
	SG_AUTO_FREE char *text = NULL;

	(void)state;
	make_pipe(in);
	make_pipe(out);
	pid = start_on(&scenario, in[0], out[1], out[1]);
	(void)close(in[0]);
	(void)close(out[1]);
	assert_int_equal(write(in[1], "one\ntwo\n", 8), 8);
	(void)close(in[1]); /* the end of the input reaches cat */
	text = read_all(out[0]);
	assert_string_equal(text, "got one\ntwo\n");
	(void)close(out[0]);
	assert_int_equal(wait_status(pid), 7);
}

static void test_order_of_shared_output(void **state)
{
	const struct scenario scenario = {
		.argv = SHELL("i=0; while [ $i -lt 500 ]; do echo $i; i=$((i+1)); echo $i >&2; i=$((i+1)); done")};
	int out[2], number = 0;
	pid_t pid;
	SG_AUTO_FREE char *text = NULL;
	char *rest;

	(void)state;
	make_pipe(out);
	pid = start_on(&scenario, -1, out[1], out[1]);
	(void)close(out[1]);
	text = read_all(out[0]);
	rest = text;
	for (char *line = strsep(&rest, "\n"); line != NULL && *line != '\0'; line = strsep(&rest, "\n")) {
		char wanted[16];

		(void)snprintf(wanted, sizeof(wanted), "%d", number++);
		assert_string_equal(line, wanted);
	}
	assert_int_equal(number, 500);
	(void)close(out[0]);
	assert_int_equal(wait_status(pid), 0);
}

static void test_reader_goes_away(void **state)
{
	const struct scenario scenario = {.argv = SHELL("trap '' TERM; yes; echo $? >&2; exit 3")};
	int out[2], err[2];
	char some[10];
	pid_t pid;
	SG_AUTO_FREE char *text = NULL;

	(void)state;
	make_pipe(out);
	make_pipe(err);
	pid = start_on(&scenario, -1, out[1], err[1]);
	(void)close(out[1]);
	(void)close(err[1]);
	assert_true(read_before(out[0], some, sizeof(some), now_ms() + DEADLINE_MS) > 0);
	(void)close(out[0]);
	text = read_all(err[0]);
	assert_string_equal(text, "141\n"); /* yes was ended by SIGPIPE */
	(void)close(err[0]);
	assert_int_equal(wait_status(pid), 3);
}

/* The command closes its input while the producer still writes: the producer must get EPIPE while the command
 * runs on. */
static void test_command_closes_input(void **state)
{
	const struct scenario scenario = {.argv = SHELL("trap 'exit 0' TERM; exec <&-; echo closed; sleep 30 & wait")};
	int in[2], out[2];
	char some[8];
	pid_t pid;
	struct pollfd entry;

	(void)state;
	make_pipe(in);
	make_pipe(out);
	pid = start_on(&scenario, in[0], out[1], -1);
	(void)close(in[0]);
	(void)close(out[1]);
	assert_int_equal(read_before(out[0], some, sizeof(some), now_ms() + DEADLINE_MS), 7);
	entry = (struct pollfd){.fd = in[1]};
	assert_int_equal(poll(&entry, 1, DEADLINE_MS), 1);
	assert_true((entry.revents & POLLERR) != 0);
	(void)close(in[1]);
	assert_int_equal(kill(pid, SIGTERM), 0);
	(void)close(out[0]);
	assert_int_equal(wait_status(pid), 0);
}

/* A full standard output stops neither the input, nor the other output, nor signals. */
static void test_slow_reader(void **state)
{
	const struct scenario scenario = {
		.argv = SHELL("trap 'echo trapped >&2; exit 5' TERM; yes >/dev/fd/1 & cat >&2; echo end >&2; "
			      "while :; do wait; done")};
	int in[2], out[2], err[2];
	pid_t pid;
	struct screen screen = {.size = 0};
	struct pollfd entry;

	(void)state;
	make_pipe(in);
	make_pipe(out);
	make_pipe(err);
	pid = start_on(&scenario, in[0], out[1], err[1]);
	(void)close(in[0]);
	(void)close(out[1]);
	(void)close(err[1]);
	entry = (struct pollfd){.fd = out[0], .events = POLLIN};
	assert_int_equal(poll(&entry, 1, DEADLINE_MS), 1); /* output has come, and is not read */
	screen.master = err[0];
	assert_int_equal(write(in[1], "first\n", 6), 6);
	expect(&screen, "first\n");
	assert_int_equal(write(in[1], "second\n", 7), 7);
	expect(&screen, "second\n");
	(void)close(in[1]);
	expect(&screen, "end\n");
	assert_int_equal(kill(pid, SIGTERM), 0);
	expect(&screen, "trapped\n");
	(void)close(out[0]); /* what is left has nowhere to go, and does not hold the end up */
	assert_int_equal(wait_status(pid), 5);
	(void)close(err[0]);
}

static uint64_t mix(uint64_t hash, const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)data[i]) * 1099511628211ULL;
	return hash;
}

enum { BULK_BLOCK = 40009, BULK_BLOCKS = 2622 }; /* a prime, so that no page is whole; more than 100 MiB */

static void fill_block(char *block, unsigned int *seed)
{
	for (size_t i = 0; i < BULK_BLOCK; i += sizeof(*seed)) {
		*seed = *seed * 1664525U + 1013904223U;
		memcpy(block + i, seed, BULK_BLOCK - i < sizeof(*seed) ? BULK_BLOCK - i : sizeof(*seed));
	}
}

static pid_t start_producer(int fd, int other)
{
	pid_t pid = fork();

	if (pid == 0) {
		static char block[BULK_BLOCK];
		unsigned int seed = 1;

		(void)signal(SIGPIPE, SIG_DFL);
		(void)close(other);
		for (int i = 0; i < BULK_BLOCKS; i++) {
			fill_block(block, &seed);
			if (sg_fd_write_full(fd, block, sizeof(block)) < 0)
				_exit(1);
		}
		_exit(0);
	}
	return pid;
}

static void test_bulk(void **state)
{
	const struct scenario scenario = {.argv = (char *const[]){(char[]){"cat"}, NULL}};
	static char block[BULK_BLOCK];
	uint64_t sent = 14695981039346656037ULL, received = sent, total = 0;
	unsigned int seed = 1;
	int in[2], out[2], flags_in, flags_out;
	pid_t pid, producer;

	(void)state;
	make_pipe(in);
	make_pipe(out);
	flags_in = fcntl(in[0], F_GETFL);
	flags_out = fcntl(out[1], F_GETFL);
	pid = start_on(&scenario, in[0], out[1], -1);
	producer = start_producer(in[1], out[0]);
	(void)close(in[1]);
	for (;;) {
		ssize_t count;

		if (total > 0 && out[1] >= 0) {
			/* while it runs: the descriptions that we share with the front end */
			assert_int_equal(fcntl(in[0], F_GETFL), flags_in);
			assert_int_equal(fcntl(out[1], F_GETFL), flags_out);
			out[1] = sg_fd_close(out[1]);
			in[0] = sg_fd_close(in[0]);
		}
		count = read_before(out[0], block, sizeof(block), now_ms() + DEADLINE_MS);
		if (count <= 0)
			break;
		total += (uint64_t)count;
		received = mix(received, block, (size_t)count);
	}
	assert_int_equal(total, (uint64_t)BULK_BLOCK * BULK_BLOCKS);
	for (int i = 0; i < BULK_BLOCKS; i++) {
		fill_block(block, &seed);
		sent = mix(sent, block, sizeof(block));
	}
	assert_true(sent == received);
	(void)close(out[0]);
	assert_int_equal(wait_status(pid), 0);
	assert_int_equal(wait_status(producer), 0);
}

static int temporary_file(const char *contents, int flags)
{
	char path[] = "/tmp/sg-relay-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC | flags);

	assert_true(fd >= 0);
	(void)unlink(path);
	assert_int_equal(sg_fd_write_full(fd, contents, strlen(contents)), 0);
	return fd;
}

/* What the command does not read of a file is there for the next one; an O_APPEND file (which splice refuses)
 * is written. */
static void test_files(void **state)
{
	static struct {
		char script[64];
		const char *output;
		off_t offset;
	} rows[] = {
		{"read a; echo $a", "one\n", 4},
		{"cat", "one\ntwo\nthree\n", 14},
		{":", "", 0},
		{"echo injected into its own pipe >/proc/self/fd/0", "", 0},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, rows[i].script, NULL};
		const struct scenario scenario = {.argv = argv};
		int in = temporary_file("one\ntwo\nthree\n", 0);
		int out = temporary_file("before\n", i % 2 == 0 ? O_APPEND : 0);
		char text[128] = "";

		assert_int_equal(lseek(in, 0, SEEK_SET), 0);
		assert_int_equal(wait_status(start_on(&scenario, in, out, -1)), 0);
		assert_true(pread(out, text, sizeof(text) - 1, 0) >= 7);
		assert_memory_equal(text, "before\n", 7);
		assert_string_equal(text + 7, rows[i].output);
		assert_int_equal(lseek(in, 0, SEEK_CUR), rows[i].offset);
		(void)close(in);
		(void)close(out);
	}
}

static void test_sockets(void **state)
{
	const struct scenario scenario = {.argv = (char *const[]){(char[]){"cat"}, NULL}};
	int pair[2];
	pid_t pid;
	SG_AUTO_FREE char *text = NULL;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = start_on(&scenario, pair[1], pair[1], -1);
	(void)close(pair[1]);
	assert_int_equal(write(pair[0], "hello", 5), 5);
	assert_int_equal(shutdown(pair[0], SHUT_WR), 0);
	text = read_all(pair[0]);
	assert_string_equal(text, "hello");
	(void)close(pair[0]);
	assert_int_equal(wait_status(pid), 0);
}

static void test_output_error(void **state)
{
	const struct scenario scenario = {.argv = SHELL("echo lost; exit 0")};
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), err[2];
	pid_t pid;
	SG_AUTO_FREE char *text = NULL;

	(void)state;
	assert_true(full >= 0);
	make_pipe(err);
	pid = start_on(&scenario, -1, full, err[1]);
	(void)close(err[1]);
	(void)close(full);
	text = read_all(err[0]);
	assert_string_equal(text, "shellguard: standard output: No space left on device\n");
	(void)close(err[0]);
	assert_int_equal(wait_status(pid), 125);
}

static void test_failures(void **state)
{
	static const struct {
		struct scenario scenario;
		const char *text;
		int status;
	} rows[] = {
		{{.failed = "nope\033[2J"}, "shellguard: nope\\e[2J\n", 127},
		{{.die = true}, "shellguard: the supervisor died; the world was ended\n", 125},
		{{.malformed = true},
		 "shellguard: the supervisor sent a malformed message; the world was ended\n",
		 125},
		{{.die = true, .notices = 3, .notice = "a notice is never put in a pipe"},
		 "shellguard: the supervisor died; the world was ended\n",
		 125},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		int err[2], in[2];
		pid_t pid;
		SG_AUTO_FREE char *text = NULL;

		make_pipe(err);
		make_pipe(in);
		assert_int_equal(write(in[1], "x", 1), 1);
		pid = start_on(&rows[i].scenario, in[0], -1, err[1]);
		(void)close(err[1]);
		text = read_all(err[0]);
		assert_string_equal(text, rows[i].text);
		assert_int_equal(wait_status(pid), rows[i].status);
		if (rows[i].scenario.failed != NULL) { /* input for a command that never ran is not eaten */
			char byte;

			assert_int_equal(read_before(in[0], &byte, 1, now_ms() + DEADLINE_MS), 1);
		}
		(void)close(err[0]);
		(void)close(in[0]);
		(void)close(in[1]);
	}
}

static void test_signals_are_forwarded(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(signals); i++) {
		const struct scenario scenario = {
			.argv = SHELL("for s in TERM INT HUP QUIT USR1 USR2 ALRM; do trap \"echo $s; exit 0\" "
				      "$s; done; "
				      "echo ready; while read x <&2; do :; done; sleep 30 & wait; wait")};
		const char *const names[] = {"TERM\n", "INT\n", "HUP\n", "QUIT\n", "USR1\n", "USR2\n", "ALRM\n"};
		struct screen screen = {.size = 0};
		int out[2];
		pid_t pid;

		make_pipe(out);
		pid = start_on(&scenario, -1, out[1], -1);
		(void)close(out[1]);
		screen.master = out[0];
		expect(&screen, "ready\n");
		assert_int_equal(kill(pid, signals[i]), 0);
		expect(&screen, names[i]);
		assert_int_equal(wait_status(pid), 0);
		(void)close(out[0]);
	}
}

/* ---- terminals ---- */

static const struct job on_terminal = {.in = -1, .out = -1, .err = -1};

static void start_job(struct shell *shell, const struct scenario *scenario)
{
	struct job job = on_terminal;

	job.scenario = scenario;
	shell_start(shell, &job);
}

static void test_terminal(void **state)
{
	const struct scenario scenario = {.argv = SHELL("stty size; test -t 0 && test -t 1 && test -t 2 && echo tty; "
							"read line; echo \"<$line>\"; exit 9")};
	struct shell shell;

	(void)state;
	start_job(&shell, &scenario);
	expect(&shell.screen, "24 80\r\ntty\r\n");
	await_modes(&shell.screen, is_raw);
	type(&shell.screen, "word\r");
	expect(&shell.screen, "<word>\r\n");
	shell_expect(&shell, 'e', 9);
	assert_true(is_cooked(&shell.screen));
	shell_end(&shell);
}

static void test_resize(void **state)
{
	const struct scenario scenario = {
		.argv = SHELL("trap 'stty size; exit 0' WINCH; echo ready; while :; do read x; done")};
	struct winsize window = {.ws_row = 50, .ws_col = 132};
	struct shell shell;

	(void)state;
	start_job(&shell, &scenario);
	expect(&shell.screen, "ready");
	await_modes(&shell.screen, is_raw);
	assert_int_equal(ioctl(shell.screen.master, TIOCSWINSZ, &window), 0);
	type(&shell.screen, "\r"); /* a shell that reads acts on the trap after the line */
	expect(&shell.screen, "50 132");
	shell_expect(&shell, 'e', 0);
	shell_end(&shell);
}

static void test_interrupt_reaches_the_inner_only(void **state)
{
	const struct scenario scenario = {.argv = SHELL("trap 'echo caught; exit 4' INT; cat")};
	struct shell shell;

	(void)state;
	start_job(&shell, &scenario);
	await_modes(&shell.screen, is_raw);
	type(&shell.screen, "word\r");
	expect(&shell.screen, "word\r\nword\r\n"); /* echoed by the pty, then by cat: it runs */
	type(&shell.screen, "\003");
	expect(&shell.screen, "caught");
	shell_expect(&shell, 'e', 4);
	assert_true(is_cooked(&shell.screen));
	shell_end(&shell);
}

static void stop_and_continue(char order)
{
	const struct scenario scenario = {.argv = SHELL("echo ready; read a; echo \"<$a>\"; read b; echo \"<$b>\"")};
	struct winsize window = {.ws_row = 33, .ws_col = 99}, seen;
	struct shell shell;

	start_job(&shell, &scenario);
	expect(&shell.screen, "ready");
	await_modes(&shell.screen, is_raw);
	if (order == 'k')
		shell_order(&shell, 'k');
	else
		type(&shell.screen, "\032");
	shell_expect(&shell, 's', SIGTSTP);
	assert_true(is_cooked(&shell.screen));
	assert_int_equal(ioctl(shell.screen.master, TIOCSWINSZ, &window), 0);
	assert_int_equal(ioctl(shell.screen.master, TIOCGWINSZ, &seen), 0);
	shell_order(&shell, 'f');
	await_modes(&shell.screen, is_raw);
	forget(&shell.screen);
	type(&shell.screen, "one\r");
	expect(&shell.screen, "<one>");
	type(&shell.screen, "two\r");
	shell_expect(&shell, 'e', 0);
	assert_true(is_cooked(&shell.screen));
	shell_end(&shell);
}

static void test_stop_by_key(void **state)
{
	(void)state;
	stop_and_continue('z');
}

static void test_stop_by_signal(void **state)
{
	(void)state;
	stop_and_continue('k');
}

/* In the background: output is shown, modes and keys are left alone; asked for, the terminal is taken when we
 * may. */
static void test_background(void **state)
{
	const struct scenario scenario = {.argv = SHELL("echo shown; read a; echo \"<$a>\"; exit 2")};
	struct job job = on_terminal;
	struct shell shell;

	(void)state;
	job.scenario = &scenario;
	job.background = true;
	shell_start(&shell, &job);
	expect(&shell.screen, "shown");
	shell_expect(&shell, 's', SIGTTIN);
	assert_true(is_cooked(&shell.screen));
	shell_order(&shell, 'f');
	await_modes(&shell.screen, is_raw);
	type(&shell.screen, "now\r");
	expect(&shell.screen, "<now>");
	shell_expect(&shell, 'e', 2);
	assert_true(is_cooked(&shell.screen));
	shell_end(&shell);
}

/* The same where the world knows nothing of keys on demand, and is brought forward without a signal. */
static void test_background_without_demand(void **state)
{
	const struct scenario scenario = {.argv = SHELL("echo shown; read a; echo \"<$a>\"; exit 2"),
					  .foreground = true};
	struct job job = on_terminal;
	struct shell shell;

	(void)state;
	job.scenario = &scenario;
	job.background = true;
	shell_start(&shell, &job);
	expect(&shell.screen, "shown");
	assert_true(is_cooked(&shell.screen));
	shell_order(&shell, 'F');
	await_modes(&shell.screen, is_raw);
	type(&shell.screen, "now\r");
	expect(&shell.screen, "<now>");
	shell_expect(&shell, 'e', 2);
	shell_end(&shell);
}

/* `shellguard run CMD | other`: the keys may be the other's, until the command reads. */
static void test_pipeline_takes_no_keys(void **state)
{
	const struct scenario scenario = {.argv = SHELL("echo out; echo err >&2; read a; echo \"<$a>\"")};
	struct job job = on_terminal;
	struct shell shell;
	int out[2];
	char first[8] = "";
	SG_AUTO_FREE char *rest = NULL;

	(void)state;
	make_pipe(out);
	job.scenario = &scenario;
	job.out = out[1];
	shell_start(&shell, &job);
	(void)close(out[1]);
	assert_int_equal(read_before(out[0], first, 4, now_ms() + DEADLINE_MS), 4);
	assert_string_equal(first, "out\n");
	await_modes(&shell.screen, is_raw); /* it reads */
	type(&shell.screen, "key\r");
	rest = read_all(out[0]);
	assert_string_equal(rest, "<key>\n");
	shell_expect(&shell, 'e', 0);
	assert_non_null(strstr(shell.screen.text, "err"));
	assert_true(is_cooked(&shell.screen));
	shell_end(&shell);
	(void)close(out[0]);
}

static void test_pipeline_stays_cooked(void **state)
{
	const struct scenario scenario = {.argv = SHELL("trap 'exit 6' TERM; echo err >&2; sleep 30 & wait")};
	struct job job = on_terminal;
	struct shell shell;
	int out[2];

	(void)state;
	make_pipe(out);
	job.scenario = &scenario;
	job.out = out[1];
	shell_start(&shell, &job);
	(void)close(out[1]);
	expect(&shell.screen, "err");
	assert_true(is_cooked(&shell.screen));
	shell_order(&shell, 's');
	shell_expect(&shell, 'e', 6);
	assert_true(is_cooked(&shell.screen));
	shell_end(&shell);
	(void)close(out[0]);
}

static void test_terminal_is_restored_after_faults(void **state)
{
	static const char *const ends[] = {"supervisor", "front end"};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(ends); i++) {
		const struct scenario scenario = {.argv = SHELL("echo ready; cat")};
		struct shell shell;

		start_job(&shell, &scenario);
		expect(&shell.screen, "ready");
		await_modes(&shell.screen, is_raw);
		if (i == 0) {
			char path[64], line[64] = "";
			FILE *children;

			(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", shell.job, shell.job);
			children = fopen(path, "re");
			assert_non_null(children);
			assert_non_null(fgets(line, sizeof(line), children));
			(void)fclose(children);
			assert_int_equal(kill((pid_t)strtol(line, NULL, 10), SIGKILL), 0);
			expect(&shell.screen, "shellguard: the supervisor died; the world was ended\r\n");
			shell_expect(&shell, 'e', 125);
		} else {
			assert_int_equal(kill(shell.job, SIGFPE), 0);
			shell_expect(&shell, 'e', 128 + SIGFPE);
		}
		assert_true(is_cooked(&shell.screen));
		shell_end(&shell);
	}
}

static void test_notices_on_the_terminal(void **state)
{
	const struct scenario scenario = {.argv = SHELL("printf prompt; read a"), .notices = 9, .notice = "no\033[2J"};
	struct shell shell;
	unsigned int shown = 0;

	(void)state;
	start_job(&shell, &scenario);
	expect(&shell.screen, "prompt");
	expect(&shell.screen, "shellguard: 4 further notices were left out\r\n"); /* a second later */
	for (const char *at = shell.screen.text; (at = strstr(at, "shellguard: no\\e[2J\r\n")) != NULL; at++)
		shown++;
	assert_int_equal(shown, SG_NOTICE_BURST);
	assert_null(strstr(shell.screen.text, "\033"));
	assert_null(strstr(shell.screen.text, "promptshellguard"));
	type(&shell.screen, "\r");
	shell_expect(&shell, 'e', 0);
	shell_end(&shell);
}

static void test_quiet(void **state)
{
	const struct scenario scenario = {.argv = SHELL("read a"), .notices = 9, .notice = "no", .quiet = true};
	struct shell shell;

	(void)state;
	start_job(&shell, &scenario);
	await_modes(&shell.screen, is_raw);
	type(&shell.screen, "\r");
	shell_expect(&shell, 'e', 0);
	assert_null(strstr(shell.screen.text, "shellguard"));
	shell_end(&shell);
}

/* With pipes on 0-2 a notice goes to the controlling terminal, and the pipes stay clean. */
static void test_notices_beside_pipes(void **state)
{
	const struct scenario scenario = {.argv = SHELL("echo data; read a"), .notices = 1, .notice = "refused"};
	struct job job = on_terminal;
	struct shell shell;
	int in[2], out[2];
	SG_AUTO_FREE char *text = NULL;

	(void)state;
	make_pipe(in);
	make_pipe(out);
	job = (struct job){.scenario = &scenario, .in = in[0], .out = out[1], .err = out[1]};
	shell_start(&shell, &job);
	(void)close(in[0]);
	(void)close(out[1]);
	expect(&shell.screen, "shellguard: refused\r");
	(void)close(in[1]);
	text = read_all(out[0]);
	assert_string_equal(text, "data\n");
	shell_expect(&shell, 'e', 1);
	shell_end(&shell);
	(void)close(out[0]);
}

static void test_much_output_on_the_terminal(void **state)
{
	const struct scenario scenario = {.argv = SHELL("seq 5000; echo fin; exit 0")};
	struct shell shell;

	(void)state;
	start_job(&shell, &scenario);
	expect(&shell.screen, "\r\n4999\r\n5000\r\nfin\r\n");
	assert_non_null(strstr(shell.screen.text, "\r\n2499\r\n2500\r\n2501\r\n"));
	shell_expect(&shell, 'e', 0);
	shell_end(&shell);
}

/* ---- parts ---- */

static void test_notice_limit(void **state)
{
	struct sg_notice notice;

	(void)state;
	sg_notice_init(&notice, 100);
	for (int i = 0; i < SG_NOTICE_BURST; i++)
		assert_true(sg_notice_allow(&notice, 5000));
	assert_int_equal(sg_notice_wait_ms(&notice, 5000), -1);
	assert_false(sg_notice_allow(&notice, 5000));
	assert_false(sg_notice_allow(&notice, 5999));
	assert_int_equal(sg_notice_wait_ms(&notice, 5400), 600);
	assert_int_equal(sg_notice_omitted(&notice, 5999, false), 0);
	assert_int_equal(sg_notice_wait_ms(&notice, 6000), 0);
	assert_false(sg_notice_allow(&notice, 6000)); /* the account comes first */
	assert_int_equal(sg_notice_omitted(&notice, 6000, false), 3);
	assert_false(sg_notice_allow(&notice, 6500));
	assert_int_equal(sg_notice_omitted(&notice, 6500, true), 1);
	assert_true(sg_notice_allow(&notice, 7000));
	assert_false(sg_notice_allow(&notice, 7001));
}

static void test_notice_format(void **state)
{
	char line[SG_NOTICE_LINE_MAX], text[SG_CONTROL_TEXT_MAX];

	(void)state;
	assert_int_equal(sg_notice_format(line, "a\\nb", 4, false), 18 + 0);
	assert_string_equal(line, "shellguard: a\\nb\r\n");
	(void)sg_notice_format(line, "x\n\033]0;t\a", 8, true);
	assert_string_equal(line, "\r\nshellguard: x\\n\\e]0;t\\x07\r\n");
	memset(text, '\1', sizeof(text));
	assert_true(sg_notice_format(line, text, sizeof(text) + 1, true) < sizeof(line));
}

static void test_inspect(void **state)
{
	static const struct {
		int in, out, err; /* -1 closed, 0 pipe's reader, 1 pipe's writer */
		int same[3];
	} rows[] = {
		{-1, 1, 1, {-1, -1, 1}}, {0, 1, -1, {-1, -1, -1}},   {0, -1, 1, {-1, -1, -1}},
		{1, 1, 1, {-1, 0, 0}},   {-1, -1, -1, {-1, -1, -1}},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		int given[3] = {rows[i].in, rows[i].out, rows[i].err}, ends[2];
		pid_t pid;

		make_pipe(ends);
		(void)fflush(NULL);
		pid = fork();
		if (pid == 0) {
			struct sg_stdio stdio;
			struct sg_stdio_pipes pipes;
			int high[2] = {fcntl(ends[0], F_DUPFD, 50), fcntl(ends[1], F_DUPFD, 50)};
			bool good;

			for (int j = 0; j < 3; j++) {
				(void)close(j);
				if (given[j] >= 0)
					(void)dup2(high[given[j]], j);
			}
			good = sg_stdio_inspect(&stdio, NULL) == 0 && !stdio.wants_pty && stdio.terminal == -1;
			for (int j = 0; j < 3 && good; j++)
				good = stdio.of[j].same_as == rows[i].same[j] && fcntl(j, F_GETFD) >= 0 &&
				       stdio.of[j].kind == (given[j] < 0 ? SG_STDIO_CLOSED : SG_STDIO_STREAM);
			good = good && sg_stdio_make_pipes(&stdio, &pipes, NULL) == 0;
			for (int j = 0; j < 3 && good; j++)
				good = (pipes.world[j] >= 3) == (given[j] >= 0) &&
				       (pipes.front[j] >= 3) == (given[j] >= 0 && !(j == 2 && given[1] == given[2]));
			_exit(good ? 0 : 1);
		}
		assert_int_equal(wait_status(pid), 0);
		(void)close(ends[0]);
		(void)close(ends[1]);
	}
}

static int run_here(char **argv)
{
	const struct scenario scenario = {.argv = argv};

	front_end(&scenario);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_status_and_input),
		cmocka_unit_test(test_order_of_shared_output),
		cmocka_unit_test(test_reader_goes_away),
		cmocka_unit_test(test_command_closes_input),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_output_error),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_signals_are_forwarded),
		cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_resize),
		cmocka_unit_test(test_interrupt_reaches_the_inner_only),
		cmocka_unit_test(test_stop_by_key),
		cmocka_unit_test(test_stop_by_signal),
		cmocka_unit_test(test_background),
		cmocka_unit_test(test_background_without_demand),
		cmocka_unit_test(test_pipeline_takes_no_keys),
		cmocka_unit_test(test_pipeline_stays_cooked),
		cmocka_unit_test(test_terminal_is_restored_after_faults),
		cmocka_unit_test(test_notices_on_the_terminal),
		cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_notices_beside_pipes),
		cmocka_unit_test(test_much_output_on_the_terminal),
		cmocka_unit_test(test_notice_limit),
		cmocka_unit_test(test_notice_format),
		cmocka_unit_test(test_inspect),
	};

	if (argc > 2 && strcmp(argv[1], "--run") == 0)
		return run_here(argv + 2);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_DFL); /* nohup: what is ignored from the start stays so, and a test sends it */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
