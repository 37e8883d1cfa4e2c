/*
 * A call that is not pending any more when it is carried out: its thread was killed, and its number, by which the memory was read, may
 * be another process's by then (seccomp_unotify(2)). What that memory said is nobody's call: nothing is done.
 */
#include <dirent.h>

#include "change_world.h"

static const char profile[] = "[Filesystem]\n"
			      "Flags = [\"attributes\", \"links\", \"mknod\"]\n"
			      "ReadWrite = [\"@/**\"]\n"
			      "DenyWrite = [\"@/never\"]\n";

/* Of the child and of the parent alike (serve_calls). */
static const struct timespec long_ago[2] = {{1, 0}, {1, 0}};

#define TEXT(literal) ((uint64_t)(uintptr_t)(literal))
#define HERE ((uint64_t)AT_FDCWD)

static const char *const names[] = {"file", "new", "made", "moved", "hard", "soft", "fifo", "dir"};
enum { FILE_, NEW, MADE, MOVED, HARD, SOFT, FIFO, DIR_ };
#define NAME(which) TEXT(names[which])

struct row {
	const char *what;
	struct call call;
};

/* What stands in the folder: names, kinds, sizes, links, times that a call can set. */
static void describe(const struct test_world *world, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < SG_ARRAY_SIZE(names); i++) {
		struct stat status;

		if (fstatat(world->at, names[i], &status, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s %o %lld %lu %d\n", names[i],
					 (unsigned int)status.st_mode, (long long)status.st_size,
					 (unsigned long)status.st_nlink, status.st_mtim.tv_sec == 1);
		assert_true(used < size);
	}
}

static void fill(struct test_world *world)
{
	int fd = openat(world->at, "file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	must(fd >= 0 && sg_fd_write_full(fd, "text", 4) == 0 && mkdirat(world->at, "dir", 0700) == 0, "the folder");
	sg_fd_close(fd);
}

/* Carries the child's next call out as one that has ended meanwhile, then lets the child go on. */
static void serve_ended(struct test_world *world)
{
	struct sg_supervisor *supervisor = &world->supervisor;
	struct sg_request request = {.supervisor = supervisor, .operation = "call"};
	struct pollfd wait = {.fd = supervisor->world.listener, .events = POLLIN};

	must(poll(&wait, 1, DEADLINE_MS) > 0 &&
		     ioctl(supervisor->world.listener, SECCOMP_IOCTL_NOTIF_RECV, &request.notification) == 0,
	     "the child's call");
	/* Its memory can be read as ever, but no call has that number. */
	request.caller = (struct sg_caller){.listener = supervisor->world.listener,
					    .id = request.notification.id + 1,
					    .tid = (pid_t)request.notification.pid,
					    .proc = supervisor->view.proc};
	assert_false(sg_caller_valid(&request.caller));
	if (sg_syscall_by_number((unsigned int)request.notification.data.nr)->class == SG_CLASS_FILE_OPEN)
		sg_handle_open(&request);
	else
		sg_handle_change(&request);
	if (!request.answered)
		sg_answer_error(&request, EINTR);
}

static void nothing_is_done_for_a_call_that_has_ended(void **state)
{
	const struct row rows[] = {
		{"open and empty", {SYS_openat, {HERE, NAME(FILE_), O_WRONLY | O_TRUNC}}},
		{"open and make", {SYS_openat, {HERE, NAME(NEW), O_WRONLY | O_CREAT, 0600}}},
		{"mkdirat", {SYS_mkdirat, {HERE, NAME(MADE), 0700}}},
		{"mknodat", {SYS_mknodat, {HERE, NAME(FIFO), S_IFIFO | 0600, 0}}},
		{"symlinkat", {SYS_symlinkat, {NAME(FILE_), HERE, NAME(SOFT)}}},
		{"linkat", {SYS_linkat, {HERE, NAME(FILE_), HERE, NAME(HARD), 0}}},
		{"renameat2", {SYS_renameat2, {HERE, NAME(FILE_), HERE, NAME(MOVED), 0}}},
		{"unlinkat", {SYS_unlinkat, {HERE, NAME(FILE_), 0}}},
		{"rmdir", {SYS_rmdir, {NAME(DIR_)}}},
		{"fchmodat", {SYS_fchmodat, {HERE, NAME(FILE_), 0644}}},
		{"truncate", {SYS_truncate, {NAME(FILE_), 1}}},
		{"utimensat", {SYS_utimensat, {HERE, NAME(FILE_), TEXT(long_ago), 0}}},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		struct test_world world;
		struct outcome outcome;
		char before[1024], after[1024];

		world_init(&world);
		fill(&world);
		world_compile(&world, profile);
		world_start(&world, true, NULL, NULL);
		describe(&world, before, sizeof(before));
		must(send(world.socket, &rows[i].call, sizeof(rows[i].call), MSG_NOSIGNAL) > 0, rows[i].what);
		serve_ended(&world);
		outcome = world_wait(&world);
		describe(&world, after, sizeof(after));
		if (outcome.error == 0 || strcmp(before, after) != 0)
			fail_msg("%s: %s\n%s%s", rows[i].what, strerror(outcome.error), before, after);
		/* The same call while it is pending. */
		outcome = world_call(&world, &rows[i].call);
		describe(&world, after, sizeof(after));
		if (outcome.error != 0 || strcmp(before, after) == 0)
			fail_msg("%s: %s, and nothing has changed", rows[i].what, strerror(outcome.error));
		world_stop(&world);
		world_done(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_done_for_a_call_that_has_ended)};

	drop_capabilities();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
