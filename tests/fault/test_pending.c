/*
 * A call that ends while it is decided: its thread was killed, and its number, by which the memory was read, may
 * be another process's by then (seccomp_unotify(2)). What that memory said is nobody's call: nothing is done. Here each call ends just
 * before the last thing that is read of it: whoever looks whether it is pending looks after that, or acts on what he cannot believe.
 */
#include "../unit/change_world.h"
#include <netinet/in.h>

#include "supervisor/guard.h"
#include "supervisor/network.h"

/* The linker leads here what the handlers read, and their question (tests/fault/meson.build). */
int __real_sg_caller_read(const struct sg_caller *caller, uint64_t address, void *buffer, size_t size);
ssize_t __real_sg_caller_read_string(const struct sg_caller *caller, uint64_t address, char *buffer, size_t size);
bool __real_sg_caller_valid(const struct sg_caller *caller);
int __wrap_sg_caller_read(const struct sg_caller *caller, uint64_t address, void *buffer, size_t size);
ssize_t __wrap_sg_caller_read_string(const struct sg_caller *caller, uint64_t address, char *buffer, size_t size);
bool __wrap_sg_caller_valid(const struct sg_caller *caller);

static bool ends, ended;

int __wrap_sg_caller_read(const struct sg_caller *caller, uint64_t address, void *buffer, size_t size)
{
	ended = ends;
	return __real_sg_caller_read(caller, address, buffer, size);
}

ssize_t __wrap_sg_caller_read_string(const struct sg_caller *caller, uint64_t address, char *buffer, size_t size)
{
	ended = ends;
	return __real_sg_caller_read_string(caller, address, buffer, size);
}

bool __wrap_sg_caller_valid(const struct sg_caller *caller)
{
	return !ended && __real_sg_caller_valid(caller);
}

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

/* Carries the child's next call out as one that ends meanwhile, then lets the child go on. */
static struct outcome call_ends(struct test_world *world, const struct row *row)
{
	struct sg_supervisor *supervisor = &world->supervisor;
	struct sg_request request = {.supervisor = supervisor, .operation = "call"};
	struct pollfd wait = {.fd = supervisor->world.listener, .events = POLLIN};

	must(send(world->socket, &row->call, sizeof(row->call), MSG_NOSIGNAL) > 0, row->what);
	must(poll(&wait, 1, DEADLINE_MS) > 0 &&
		     ioctl(supervisor->world.listener, SECCOMP_IOCTL_NOTIF_RECV, &request.notification) == 0,
	     "the child's call");
	request.caller = (struct sg_caller){.listener = supervisor->world.listener,
					    .id = request.notification.id,
					    .tid = (pid_t)request.notification.pid,
					    .proc = supervisor->view.proc};
	ends = true;
	handle(&request);
	must(ended, "something is read of it");
	ends = ended = false;
	if (!request.answered)
		sg_answer_error(&request, EINTR);
	return world_wait(world);
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
		outcome = call_ends(&world, &rows[i]);
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

/* --- addresses --- */

static struct sockaddr_in place = {.sin_family = AF_INET}; /* the child's too */

static int make_socket(bool bound)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(fd >= 0, "a socket");
	if (bound && bind(fd, (const struct sockaddr *)&place, sizeof(place)) < 0)
		fd = sg_fd_close(fd);
	return fd;
}

/* A server on a port that was free, or just that port. */
static int make_place(bool server)
{
	socklen_t size = sizeof(place);
	int fd;

	place.sin_port = 0;
	fd = make_socket(true);
	must(fd >= 0 && getsockname(fd, (struct sockaddr *)&place, &size) == 0, "a port");
	if (server)
		must(listen(fd, 4) == 0, "a server");
	return server ? fd : sg_fd_close(fd);
}

/* Whether somebody has connected, or has the port. */
static bool is_taken(int server)
{
	struct pollfd wait = {.fd = server, .events = POLLIN};
	int fd;

	if (server >= 0)
		return poll(&wait, 1, 0) == 1;
	fd = make_socket(true);
	return fd < 0 || sg_fd_close(fd) != -1;
}

/* The child's sockets stand for those of a world's own network, as this process's are. */
static void start_network(struct test_world *world)
{
	struct sg_error error = SG_ERROR_INIT;
	struct sg_network *network;

	if (sg_network_prepare(&world->supervisor, &error) < 0)
		fail_msg("%s", error.text);
	network = world->supervisor.network;
	network->world_cookie = network->host_cookie;
	network->host_cookie = 0;
	must(sg_guard_prepare() == 0, "the guard");
}

/* A session's is never taken down; here there are several. */
static void stop_network(const struct test_world *world)
{
	struct sg_network *network = world->supervisor.network;

	sg_address_rules_done(&network->rules);
	sg_namecache_free(sg_take_pointer(network->names));
	sg_hostaddrs_free(sg_take_pointer(network->host));
	sg_fd_close(network->epoll);
	sg_fd_close(network->registry);
}

static void no_address_is_used_of_a_call_that_has_ended(void **state)
{
	static const char own[] = "[Networking]\nFlags = [\"loopback\"]\n";
	const struct row new_socket = {"socket", {SYS_socket, {AF_INET, SOCK_STREAM, 0}}};
	const struct row rows[] = {
		{"connect", {SYS_connect, {LAST, TEXT(&place), sizeof(place)}}},
		{"bind", {SYS_bind, {LAST, TEXT(&place), sizeof(place)}}},
	};

	(void)state;
	notify_addresses = true;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		struct test_world world;
		struct outcome outcome;
		int server = make_place(rows[i].call.number == SYS_connect);

		world_init(&world);
		world_compile(&world, own);
		start_network(&world);
		world_start(&world, true, NULL, NULL);
		assert_int_equal(world_call(&world, &new_socket.call).error, 0);
		assert_false(is_taken(server));
		outcome = call_ends(&world, &rows[i]);
		if (outcome.error == 0 || is_taken(server))
			fail_msg("%s: %s", rows[i].what, strerror(outcome.error));
		outcome = world_call(&world, &rows[i].call);
		if (outcome.error != 0 || !is_taken(server))
			fail_msg("%s, pending: %s", rows[i].what, strerror(outcome.error));
		sg_fd_close(server);
		world_stop(&world);
		stop_network(&world);
		world_done(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_done_for_a_call_that_has_ended),
		cmocka_unit_test(no_address_is_used_of_a_call_that_has_ended),
	};

	drop_capabilities();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
