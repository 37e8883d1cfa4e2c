/*
 * The auditor and its writer under faults: either process killed or stopped, the disk full, the ring corrupt.
 * In each no record is acknowledged that nobody will write, and what was acknowledged before is in the log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "audit/auditor.h"
#include "audit/log.h"
#include "audit/read.h"
#include "audit/ring.h"
#include "audit/show.h"
#include "audit/writer.h"
#include "base/fd.h"

#define TEXT(literal) ((struct sg_record_text){.data = (literal), .size = sizeof(literal) - 1})

static const char session[] = "20261122T042801Z-7f3a9c";
static const struct sg_record grant = {.kind = SG_RECORD_GRANT,
				       .operation = TEXT("open"),
				       .object = TEXT("/etc/hosts"),
				       .program = TEXT("/usr/bin/cat")};
static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/sg-test-fault-XXXXXX");
	/* Auditors whose writer ends become our children, so that a test can wait for them. */
	return mkdtemp(folder) == NULL || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? -1 : 0;
}

static int remove_folder(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		execlp("rm", "rm", "-rf", "--", folder, (char *)NULL);
		_exit(127);
	}
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

/* A test that cannot run says so; where all must work that is a failure. */
static void cannot_run(const char *why)
{
	const char *must = getenv("SG_MUST_WORK");

	if (must != NULL && strcmp(must, "1") == 0)
		fail_msg("cannot run: %s", why);
	print_message("SKIP: %s\n", why);
	skip();
}

static int open_log(const char *name)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	SG_AUTO_FREE char *unused = NULL;
	struct sg_error error = SG_ERROR_INIT;
	int fd = -1;

	sg_buffer_printf(&path, "%s/%s", folder, name);
	if (sg_log_create(path.data, session, &fd, &unused, &error) < 0)
		fail_msg("%s", error.text);
	return fd;
}

static int verify(const char *name, struct sg_read_report *report)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	SG_AUTO_FD int fd = -1;

	sg_buffer_printf(&path, "%s/%s", folder, name);
	fd = open(path.data, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return sg_audit_verify(fd, report, NULL);
}

static bool log_has(const char *name, const char *text)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	SG_AUTO_FREE char *data = NULL;
	SG_AUTO_FD int fd = -1;
	size_t size;

	sg_buffer_printf(&path, "%s/%s", folder, name);
	fd = open(path.data, O_RDONLY | O_CLOEXEC);
	assert_int_equal(sg_fd_read_file(fd, 64 << 20, &data, &size), 0);
	return memmem(data, size, text, strlen(text)) != NULL;
}

static struct sg_audit *start_on(int log, unsigned int wait_ms, unsigned int stuck_ms)
{
	const struct sg_audit_options options = {
		.session = session, .log = log, .wait_ms = wait_ms, .stuck_ms = stuck_ms};
	struct sg_error error = SG_ERROR_INIT;
	struct sg_audit *audit = NULL;

	if (sg_audit_start(&options, &audit, &error) < 0)
		fail_msg("%s", error.text);
	return audit;
}

static struct sg_audit *start(const char *name, unsigned int wait_ms, unsigned int stuck_ms)
{
	SG_AUTO_FD int log = open_log(name);

	return start_on(log, wait_ms, stuck_ms);
}

static void send_signal(struct sg_audit *audit, int number)
{
	assert_int_equal(pidfd_send_signal(sg_audit_pidfd(audit), number, NULL, 0), 0);
}

static void wait_for_end(struct sg_audit *audit)
{
	struct pollfd polled = {.fd = sg_audit_pidfd(audit), .events = POLLIN};

	assert_int_equal(poll(&polled, 1, 10000), 1);
}

static unsigned int milliseconds_since(uint64_t start_ns)
{
	return (unsigned int)((sg_ring_now() - start_ns) / 1000000);
}

/* Appends until it is refused, at most `limit_ms`. */
static int append_until_refused(struct sg_audit *audit, unsigned int limit_ms, uint64_t *ret_taken)
{
	const uint64_t begin = sg_ring_now();

	*ret_taken = 0;
	while (milliseconds_since(begin) < limit_ms) {
		int result = sg_audit_append(audit, &grant, NULL);

		if (result < 0)
			return result;
		(*ret_taken)++;
	}
	return 0;
}

static pid_t pid_of(struct sg_audit *audit)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	SG_AUTO_FD int fd = -1;
	SG_AUTO_FREE char *text = NULL;
	const char *line;
	size_t size;

	sg_buffer_printf(&path, "/proc/self/fdinfo/%d", sg_audit_pidfd(audit));
	fd = open(path.data, O_RDONLY | O_CLOEXEC);
	assert_int_equal(sg_fd_read_file(fd, 4096, &text, &size), 0);
	line = strstr(text, "Pid:");
	assert_non_null(line);
	return (pid_t)strtol(line + 4, NULL, 10);
}

/* A field of /proc/PID/status as a number in the given base. */
static long status_field(pid_t pid, const char *name, int base)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	SG_AUTO_FD int fd = -1;
	SG_AUTO_FREE char *text = NULL;
	const char *line;
	size_t size;

	sg_buffer_printf(&path, "/proc/%d/status", pid);
	fd = open(path.data, O_RDONLY | O_CLOEXEC);
	assert_int_equal(sg_fd_read_file(fd, 65536, &text, &size), 0);
	line = strstr(text, name);
	assert_non_null(line);
	return strtol(line + strlen(name) + 1, NULL, base);
}

static void test_auditor_killed(void **state)
{
	struct sg_audit *audit = start("killed.jsonl", 100, 5000);
	struct sg_audit_result result;
	struct sg_read_report report;
	uint64_t begin;

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(sg_audit_append(audit, &grant, NULL), 0);
	assert_int_equal(sg_audit_flush(audit, 5000), 0);
	send_signal(audit, SIGKILL);
	wait_for_end(audit);
	begin = sg_ring_now();
	assert_int_equal(sg_audit_append(audit, &grant, NULL), -EPIPE);
	assert_int_equal(sg_audit_alive(audit), -EPIPE);
	/* All that was taken was written before. */
	assert_int_equal(sg_audit_flush(audit, 5000), 0);
	assert_int_equal(sg_audit_append(audit, &grant, NULL), -EPIPE);
	assert_true(milliseconds_since(begin) < 1000);
	assert_int_equal(sg_audit_stop(audit, &(struct sg_record){0}, 5000, &result), -EPIPE);
	assert_int_equal(result.status, -EPIPE);
	assert_int_equal(verify("killed.jsonl", &report), 0);
	assert_int_equal(report.lines, 100);
	assert_false(report.whole);
}

/* Killed in the midst of appends, no append succeeds from then on, without any wait for its status. */
static void test_auditor_killed_while_appending(void **state)
{
	struct sg_audit *audit = start("killed-busy.jsonl", 100, 5000);
	uint64_t taken;

	(void)state;
	assert_int_equal(append_until_refused(audit, 20, &taken), 0);
	send_signal(audit, SIGKILL);
	assert_int_equal(append_until_refused(audit, 5000, &taken), -EPIPE);
	assert_int_equal(append_until_refused(audit, 5000, &taken), -EPIPE);
	assert_int_equal(taken, 0);
	assert_int_equal(sg_audit_stop(audit, NULL, 5000, NULL), -EPIPE);
}

static void stop_process(struct sg_audit *audit)
{
	siginfo_t info;

	send_signal(audit, SIGSTOP);
	assert_int_equal(waitid(P_PIDFD, (id_t)sg_audit_pidfd(audit), &info, WSTOPPED | WNOWAIT), 0);
}

/* A stopped auditor: refused once the oldest record has waited too long; when it goes on, nothing is lost and
 * what failed counted. */
static void test_auditor_stuck(void **state)
{
	struct sg_audit *audit = start("stuck.jsonl", 20, 300);
	struct sg_read_report report;
	struct sg_audit_counts counts;
	uint64_t begin, sequence = 0;
	int result = 0;

	(void)state;
	assert_int_equal(sg_audit_append(audit, &grant, NULL), 0);
	assert_int_equal(sg_audit_flush(audit, 5000), 0);
	stop_process(audit);
	begin = sg_ring_now();
	/* One record a millisecond: the ring does not fill. */
	while (result == 0 && milliseconds_since(begin) < 5000) {
		result = sg_audit_append(audit, &grant, NULL);
		(void)poll(NULL, 0, 1);
	}
	assert_int_equal(result, -ETIMEDOUT);
	assert_true(milliseconds_since(begin) >= 290);
	assert_true(milliseconds_since(begin) < 2000);
	assert_int_equal(sg_audit_alive(audit), -ETIMEDOUT);
	assert_int_equal(sg_audit_append(audit, &grant, NULL), -ETIMEDOUT);
	send_signal(audit, SIGCONT);
	begin = sg_ring_now();
	while ((result = sg_audit_alive(audit)) == -ETIMEDOUT && milliseconds_since(begin) < 5000)
		(void)poll(NULL, 0, 1);
	assert_int_equal(result, 0);
	sg_audit_counts(audit, &counts);
	assert_int_equal(counts.failed, 2);
	assert_int_equal(sg_audit_append(audit, &grant, &sequence), 0);
	assert_int_equal(sequence, counts.appended + 2); /* a flood record before it */
	assert_int_equal(sg_audit_stop(audit, &(struct sg_record){0}, 5000, NULL), 0);
	assert_int_equal(verify("stuck.jsonl", &report), 0);
	assert_true(report.whole);
	assert_int_equal(report.lines, sequence + 1);
	assert_true(log_has("stuck.jsonl", "\"kind\":\"flood\""));
	assert_true(log_has("stuck.jsonl", "\"coalesced\":2,"));
}

/* A ring that nobody empties: the append waits for its short time and is refused. */
static void test_ring_full(void **state)
{
	struct sg_audit *audit = start("full.jsonl", 50, 60000);
	SG_AUTO_FD int auditor = -1;
	struct sg_read_report report;
	uint64_t taken, begin;

	(void)state;
	stop_process(audit);
	assert_int_equal(append_until_refused(audit, 20000, &taken), -ENOBUFS);
	assert_true(taken > 1000);
	begin = sg_ring_now();
	assert_int_equal(sg_audit_append(audit, &grant, NULL), -ENOBUFS);
	assert_true(milliseconds_since(begin) >= 50);
	assert_true(milliseconds_since(begin) < 2000);
	auditor = fcntl(sg_audit_pidfd(audit), F_DUPFD_CLOEXEC, 3);
	assert_int_equal(sg_audit_stop(audit, NULL, 0, NULL), -ETIMEDOUT);
	/* It goes on where it was stopped: all that was taken, and an end, though the writer has left. */
	assert_int_equal(pidfd_send_signal(auditor, SIGCONT, NULL, 0), 0);
	assert_true(waitpid(-1, NULL, 0) > 0);
	assert_int_equal(verify("full.jsonl", &report), 0);
	assert_int_equal(report.lines, taken + 1);
	assert_true(report.whole);
}

/* The writer dies, by SIGKILL, in the midst of appends: what it had acknowledged is in the log, which is
 * closed. */
static void run_killed_writer(const char *name, bool with_child)
{
	SG_AUTO_FD int log = open_log(name);
	int numbers[2], hold[2], status;
	struct sg_read_report report;
	uint64_t last = 0, sequence;
	pid_t writer;

	assert_int_equal(pipe2(numbers, O_CLOEXEC), 0);
	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	writer = fork();
	if (writer == 0) {
		struct sg_audit *audit = start_on(log, 1000, 5000);
		char byte;

		/* A child of the writer that holds copies of all its descriptors. */
		if (with_child && fork() == 0) {
			close(hold[1]);
			(void)!read(hold[0], &byte, 1);
			_exit(0);
		}
		close(numbers[0]);
		for (;;)
			if (sg_audit_append(audit, &grant, &sequence) < 0 ||
			    write(numbers[1], &sequence, sizeof(sequence)) != sizeof(sequence))
				_exit(1);
	}
	log = sg_fd_close(log);
	close(numbers[1]);
	while (last < 1000 && sg_fd_read_full(numbers[0], &sequence, sizeof(sequence)) == sizeof(sequence))
		last = sequence;
	assert_int_equal(last, 1000);
	assert_int_equal(kill(writer, SIGKILL), 0);
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_true(WIFSIGNALED(status));
	/* The child keeps the pipe open: what is in it is all. */
	assert_int_equal(fcntl(numbers[0], F_SETFL, O_NONBLOCK), 0);
	while (sg_fd_read_full(numbers[0], &sequence, sizeof(sequence)) == sizeof(sequence))
		last = sequence;
	/* The auditor is the next child to end: of the writer's own child it is known that it waits. */
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_int_equal(status, 0);
	assert_int_equal(verify(name, &report), 0);
	assert_true(report.whole);
	assert_true(report.lines >= last + 1);
	assert_true(log_has(name, "the supervisor ended without closing the log"));
	close(hold[0]);
	close(hold[1]);
	if (with_child)
		assert_true(waitpid(-1, &status, 0) > 0);
	close(numbers[0]);
}

static void test_writer_killed(void **state)
{
	(void)state;
	run_killed_writer("writer.jsonl", false);
}

static void test_writer_killed_with_child(void **state)
{
	(void)state;
	run_killed_writer("writer-child.jsonl", true);
}

/* The writer ends while the auditor sleeps without a timeout. */
static void test_writer_ends_when_idle(void **state)
{
	SG_AUTO_FD int log = open_log("idle-end.jsonl");
	struct sg_read_report report;
	int status;
	pid_t writer = fork();

	(void)state;
	if (writer == 0) {
		struct sg_audit *audit = start_on(log, 100, 5000);

		if (sg_audit_append(audit, &grant, NULL) < 0 || sg_audit_flush(audit, 5000) < 0)
			_exit(1);
		(void)poll(NULL, 0, SG_AUDITOR_IDLE_MS + 300);
		_exit(0);
	}
	log = sg_fd_close(log);
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_int_equal(status, 0);
	assert_int_equal(verify("idle-end.jsonl", &report), 0);
	assert_int_equal(report.lines, 2);
	assert_true(report.whole);
}

static void test_no_space(void **state)
{
	SG_AUTO_FD int log = open("/dev/full", O_WRONLY | O_APPEND | O_CLOEXEC);
	SG_AUTO_FD int auditor = -1;
	struct sg_audit *audit;
	uint64_t taken, begin = sg_ring_now();

	(void)state;
	assert_true(log >= 0);
	audit = start_on(log, 100, 60000);
	assert_int_equal(append_until_refused(audit, 5000, &taken), -ENOSPC);
	assert_true(milliseconds_since(begin) < 2000);
	assert_int_equal(sg_audit_append(audit, &grant, NULL), -ENOSPC);
	assert_int_equal(sg_audit_alive(audit), -ENOSPC);
	assert_int_equal(sg_audit_flush(audit, 1000), -ENOSPC);
	auditor = fcntl(sg_audit_pidfd(audit), F_DUPFD_CLOEXEC, 3);
	assert_int_equal(sg_audit_stop(audit, NULL, 100, NULL), -ETIMEDOUT);
	assert_int_equal(pidfd_send_signal(auditor, SIGKILL, NULL, 0), 0);
	assert_true(waitpid(-1, NULL, 0) > 0);
}

/* A write that is cut short by a limit, then an error that stays. */
static void test_file_too_large(void **state)
{
	const struct rlimit small = {50000, 50000};
	struct sg_audit *audit = start("limit.jsonl", 100, 60000);
	struct sg_audit_result result;
	struct sg_read_report report;
	uint64_t taken;

	(void)state;
	/* The auditor's limit only: SIGXFSZ is ignored there, write(2) tells. */
	assert_int_equal(prlimit(pid_of(audit), RLIMIT_FSIZE, &small, NULL), 0);
	assert_int_equal(append_until_refused(audit, 10000, &taken), -EFBIG);
	assert_int_equal(sg_audit_alive(audit), -EFBIG);
	assert_int_equal(sg_audit_stop(audit, NULL, 5000, &result), -EFBIG);
	assert_int_equal(result.status, -EFBIG);
	assert_int_equal(verify("limit.jsonl", &report), 0);
	assert_true(report.lines > 10);
	assert_true(report.torn > 0);
	assert_false(report.whole);
}

enum { CANNOT = 77 };

static bool write_text(const char *path, const char *text)
{
	SG_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && sg_fd_write_full(fd, text, strlen(text)) == 0;
}

/* A mount namespace of our own; a user without privilege becomes 0 in a user namespace for it. */
static bool enter_namespace(void)
{
	char uids[32], gids[32];
	uid_t uid = geteuid();

	(void)snprintf(uids, sizeof(uids), "0 %u 1", uid);
	(void)snprintf(gids, sizeof(gids), "0 %u 1", getegid());
	if (unshare(uid == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return false;
	if (uid != 0 && (!write_text("/proc/self/uid_map", uids) || !write_text("/proc/self/setgroups", "deny") ||
			 !write_text("/proc/self/gid_map", gids)))
		return false;
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", folder, "tmpfs", 0, "size=256k,mode=0700") == 0;
}

/* In a child with a mount namespace of its own: a disk of 256 KiB that fills, and is freed. Returns the exit
 * status. */
static int fill_and_free(void)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	SG_AUTO_FD int filler = -1, log = -1;
	struct sg_audit *audit;
	struct sg_read_report report;
	uint64_t taken, begin;
	int result;

	if (!enter_namespace())
		return CANNOT;
	sg_buffer_printf(&path, "%s/filler", folder);
	filler = open(path.data, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (filler < 0 || fallocate(filler, 0, 0, 128 << 10) < 0)
		return 1;
	log = open_log("tmpfs.jsonl");
	audit = start_on(log, 100, 60000);
	if (append_until_refused(audit, 10000, &taken) != -ENOSPC)
		return 2;
	if (sg_audit_append(audit, &grant, NULL) != -ENOSPC)
		return 3;
	/* More room than the whole ring takes as JSON is not there; enough for some, and then it is full
	 * again, or not. */
	if (unlink(path.data) < 0 || ftruncate(filler, 0) < 0 || mount(NULL, folder, NULL, MS_REMOUNT, "size=64m") < 0)
		return 4;
	begin = sg_ring_now();
	while ((result = sg_audit_alive(audit)) == -ENOSPC && milliseconds_since(begin) < 5000)
		(void)poll(NULL, 0, 5);
	if (result != 0 || sg_audit_append(audit, &grant, NULL) != 0)
		return 5;
	if (sg_audit_stop(audit, &(struct sg_record){0}, 5000, NULL) != 0)
		return 6;
	if (verify("tmpfs.jsonl", &report) != 0 || !report.whole || report.torn != 0)
		return 7;
	/* Everything that was taken, the flood record, one more, the end. */
	if (report.lines != taken + 3 || !log_has("tmpfs.jsonl", "\"coalesced\":2,"))
		return 8;
	return 0;
}

static void test_disk_full_and_freed(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(fill_and_free());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT)
		cannot_run("no mount namespace here");
	assert_int_equal(status, 0);
}

/* What stands in the ring is no record, or one out of turn: a note, the end, and a fault that the writer
 * sees. */
static void run_corrupt(const char *name, uint64_t sequence, size_t at, uint32_t value, uint64_t more_head)
{
	SG_AUTO_FD int log = open_log(name);
	struct sg_auditor auditor = {.log = log, .event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	struct sg_auditor_message message;
	struct sg_read_report report;
	struct sg_ring ring;
	uint64_t head;
	int pair[2], status;
	pid_t pid;

	assert_int_equal(sg_ring_create(2 * (size_t)SG_RECORD_BOUND, &ring, NULL), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	auditor.ring = ring;
	auditor.socket = pair[1];
	auditor.writer = pidfd_open(getpid(), 0);
	memcpy(auditor.session, session, sizeof(session));
	head = sg_record_encode(&grant, 1, 1, sg_ring_at(&ring, 0));
	head += sg_record_encode(&grant, sequence, 2, sg_ring_at(&ring, head));
	if (at > 0)
		memcpy(sg_ring_at(&ring, head / 2 + at - 4), &value, sizeof(value));
	pid = fork();
	if (pid == 0)
		sg_auditor_run(&auditor);
	close(pair[1]);
	atomic_store(&ring.control->head, head + more_head);
	assert_int_equal(recv(pair[0], &message, sizeof(message), 0), sizeof(message));
	assert_int_equal(message.status, 0);
	assert_int_equal(recv(pair[0], &message, sizeof(message), 0), sizeof(message));
	assert_int_equal(message.ended, 1);
	assert_int_equal(message.status, -EBADMSG);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(atomic_load(&ring.control->fault), EBADMSG);
	assert_true(sg_ring_orphaned(&ring));
	assert_int_equal(verify(name, &report), 0);
	assert_true(report.lines >= 1);
	assert_true(log_has(name, "the ring holds what is no record"));
	close(pair[0]);
	close(auditor.event);
	close(auditor.writer);
	sg_ring_done(&ring);
}

static void test_corrupt_ring(void **state)
{
	(void)state;
	run_corrupt("corrupt-size.jsonl", 2, 4, 0xfffffff8, 0);
	run_corrupt("corrupt-zero.jsonl", 2, 4, 0, 0);
	run_corrupt("corrupt-field.jsonl", 2, sizeof(struct sg_record_header) + 8, 0x7fffffff, 0);
	run_corrupt("corrupt-sequence.jsonl", 3, 0, 0, 0);
	run_corrupt("corrupt-head.jsonl", 2, 0, 0, (uint64_t)1 << 40);
}

/* The auditor holds nothing but its four descriptors and no privilege, and ends by no signal of a terminal or
 * a shutdown. */
static void test_confinement(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	struct sg_audit *audit = start("confined.jsonl", 100, 5000);
	pid_t pid = pid_of(audit);
	static const int harmless[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGPIPE, SIGUSR1};
	unsigned int descriptors = 0;
	DIR *entries;

	(void)state;
	assert_int_equal(status_field(pid, "NoNewPrivs:", 10), 1);
	assert_int_equal(status_field(pid, "CapEff:", 16), 0);
	assert_int_equal(status_field(pid, "CapPrm:", 16), 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_int_equal(status_field(pid, "Seccomp:", 10), 2);
#endif
	assert_int_equal(getsid(pid), pid);
	for (size_t i = 0; i < SG_ARRAY_SIZE(harmless); i++)
		send_signal(audit, harmless[i]);
	assert_int_equal(sg_audit_append(audit, &grant, NULL), 0);
	assert_int_equal(sg_audit_flush(audit, 5000), 0);
	/* Readable by root only: the process is not dumpable. */
	sg_buffer_printf(&path, "/proc/%d/fd", pid);
	entries = opendir(path.data);
	assert_int_equal(entries == NULL, geteuid() != 0);
	if (entries != NULL) {
		struct dirent *entry;

		while ((entry = readdir(entries)) != NULL)
			if (entry->d_name[0] != '.')
				descriptors++;
		(void)closedir(entries);
		assert_int_equal(descriptors, 4);
	}
	assert_int_equal(sg_audit_stop(audit, NULL, 5000, NULL), 0);
}

/* Idle it is not scheduled at all; the first record after that wakes it, and is written soon. */
static void test_idle_and_wake(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	SG_AUTO_FD int watch = inotify_init1(IN_CLOEXEC);
	struct sg_audit *audit = start("idle.jsonl", 100, 5000);
	struct pollfd polled = {.fd = watch, .events = POLLIN};
	struct sg_audit_counts before, after;
	pid_t pid = pid_of(audit);
	long switches;
	uint64_t begin;

	(void)state;
	sg_buffer_printf(&path, "%s/idle.jsonl", folder);
	assert_int_equal(sg_audit_append(audit, &grant, NULL), 0);
	assert_int_equal(sg_audit_flush(audit, 5000), 0);
	assert_true(inotify_add_watch(watch, path.data, IN_MODIFY) >= 0);
	(void)poll(NULL, 0, SG_AUDITOR_IDLE_MS + 500);
	switches = status_field(pid, "\nvoluntary_ctxt_switches:", 10);
	(void)poll(NULL, 0, 500);
	assert_int_equal(status_field(pid, "\nvoluntary_ctxt_switches:", 10), switches);
	sg_audit_counts(audit, &before);
	begin = sg_ring_now();
	assert_int_equal(sg_audit_append(audit, &grant, NULL), 0);
	assert_int_equal(poll(&polled, 1, 5000), 1);
	assert_true(milliseconds_since(begin) < 1000);
	sg_audit_counts(audit, &after);
	assert_int_equal(after.kicks, before.kicks + 1);
	/* Awake, it looks by itself: no further system call. */
	for (int i = 0; i < 50; i++)
		assert_int_equal(sg_audit_append(audit, &grant, NULL), 0);
	sg_audit_counts(audit, &after);
	assert_int_equal(after.kicks, before.kicks + 1);
	assert_int_equal(sg_audit_stop(audit, NULL, 5000, NULL), 0);
}

/* One log has one auditor. */
static void test_log_in_use(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	struct sg_audit *audit = start("used.jsonl", 100, 5000), *second = NULL;
	SG_AUTO_FD int log = -1;
	struct sg_audit_options options = {.session = session};
	struct sg_error error = SG_ERROR_INIT;

	(void)state;
	sg_buffer_printf(&path, "%s/used.jsonl", folder);
	log = open(path.data, O_WRONLY | O_APPEND | O_CLOEXEC);
	options.log = log;
	assert_int_equal(sg_audit_start(&options, &second, &error), -EBUSY);
	assert_non_null(strstr(error.text, "lock the log"));
	assert_null(second);
	assert_int_equal(sg_audit_stop(audit, NULL, 5000, NULL), 0);
}

static int count_lines(void *context, const char *data, size_t size)
{
	*(unsigned int *)context += memchr(data, '\n', size) != NULL ? 1 : 0;
	return 0;
}

/* Following a log whose auditor is killed ends, and says that it was cut; a descriptor ends it before that.
 */
static void test_follow_of_a_cut_log(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	struct sg_audit *audit = start("follow.jsonl", 100, 5000);
	SG_AUTO_FD int stop = eventfd(1, EFD_CLOEXEC);
	struct sg_show_options options = {.follow = true, .stop = stop};
	unsigned int lines = 0;

	(void)state;
	sg_buffer_printf(&path, "%s/follow.jsonl", folder);
	options.path = path.data;
	assert_int_equal(sg_audit_append(audit, &grant, NULL), 0);
	assert_int_equal(sg_audit_flush(audit, 5000), 0);
	assert_int_equal(sg_audit_show(&options, count_lines, &lines, NULL), 0);
	assert_int_equal(lines, 1);
	send_signal(audit, SIGKILL);
	wait_for_end(audit);
	options.stop = -1;
	assert_int_equal(sg_audit_show(&options, count_lines, &lines, NULL), 1);
	assert_int_equal(lines, 2);
	assert_int_equal(sg_audit_stop(audit, NULL, 5000, NULL), -EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auditor_killed),
		cmocka_unit_test(test_auditor_killed_while_appending),
		cmocka_unit_test(test_auditor_stuck),
		cmocka_unit_test(test_writer_killed),
		cmocka_unit_test(test_writer_killed_with_child),
		cmocka_unit_test(test_writer_ends_when_idle),
		cmocka_unit_test(test_no_space),
		cmocka_unit_test(test_file_too_large),
		cmocka_unit_test(test_disk_full_and_freed),
		cmocka_unit_test(test_corrupt_ring),
		cmocka_unit_test(test_confinement),
		cmocka_unit_test(test_idle_and_wake),
		cmocka_unit_test(test_follow_of_a_cut_log),
		cmocka_unit_test(test_log_in_use),
		cmocka_unit_test(test_ring_full),
	};
	return cmocka_run_group_tests_name("audit faults", tests, make_folder, remove_folder);
}
