/* Loops of one system call, or a few, that run inside a world and print the time of one operation. See
 * loops.h. */
#include "loops.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/fd.h"

enum { BLOCK_SIZE = 4096, PIPE_BLOCK_SIZE = 65536, CALLERS_MAX = 64 };

uint64_t loop_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t loop_number(const char *text, uint64_t limit, const char *what)
{
	char *end = NULL;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value < 1 || value > limit) {
		(void)fprintf(stderr, "loops: %s must be a number from 1 to %" PRIu64 "\n", what, limit);
		exit(2);
	}
	return value;
}

static int compare_times(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static uint64_t cpu_of(int who)
{
	struct rusage usage;

	if (getrusage(who, &usage) < 0)
		return 0;
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * UINT64_C(1000000000) +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * UINT64_C(1000);
}

static double median_of(double *times, size_t count)
{
	qsort(times, count, sizeof(*times), compare_times);
	return count % 2 ? times[count / 2] : (times[count / 2 - 1] + times[count / 2]) / 2;
}

int loop_measure(const char *name, uint64_t count, loop_operation operation, loop_prepare prepare, void *argument)
{
	double times[LOOP_BATCHES];
	size_t batches = count < LOOP_BATCHES ? (size_t)count : LOOP_BATCHES;
	uint64_t in_batch = count / batches;
	double median;

	for (size_t batch = 0; batch < batches; batch++) {
		int r = prepare ? prepare(argument) : 0;
		uint64_t start = loop_now();

		for (uint64_t i = 0; i < in_batch && r >= 0; i++)
			r = operation(argument);
		times[batch] = (double)(loop_now() - start) / (double)in_batch;
		if (r < 0)
			return r;
	}
	median = median_of(times, batches);
	(void)printf("{\"op\":\"%s\",\"operations\":%" PRIu64 ",\"batches\":%zu,\"min_ns\":%.1f,\"median_ns\":%.1f,"
		     "\"max_ns\":%.1f,\"cpu_ns\":%" PRIu64 "}\n",
		     name, in_batch * batches, batches, times[0], median, times[batches - 1],
		     cpu_of(RUSAGE_SELF) + cpu_of(RUSAGE_CHILDREN));
	return 0;
}

static int do_open(void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

static int loop_open(char **arguments)
{
	return loop_measure("open", loop_number(arguments[0], LOOP_COUNT_MAX, "COUNT"), do_open, NULL, arguments[1]);
}

static int do_stat(void *path)
{
	struct stat status;

	return stat(path, &status) < 0 ? -errno : 0;
}

static int loop_stat(char **arguments)
{
	return loop_measure("stat", loop_number(arguments[0], LOOP_COUNT_MAX, "COUNT"), do_stat, NULL, arguments[1]);
}

struct rw_state {
	int fd;
	char block[BLOCK_SIZE];
};

static int do_rw(void *argument)
{
	struct rw_state *state = argument;

	if (pwrite(state->fd, state->block, sizeof(state->block), 0) != (ssize_t)sizeof(state->block) ||
	    pread(state->fd, state->block, sizeof(state->block), 0) != (ssize_t)sizeof(state->block))
		return errno ? -errno : -EIO;
	return 0;
}

static int loop_rw(char **arguments)
{
	struct rw_state state = {.fd = -1};
	int r;

	state.fd = open(arguments[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (state.fd < 0)
		return -errno;
	memset(state.block, 'x', sizeof(state.block));
	r = loop_measure("rw", loop_number(arguments[0], LOOP_COUNT_MAX, "COUNT"), do_rw, NULL, &state);
	(void)close(state.fd);
	return r;
}

static int do_forkexec(void *path)
{
	pid_t pid = fork();
	int status = 0;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		char *argv[] = {path, NULL};

		(void)execv(path, argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ENOEXEC;
}

static int loop_forkexec(char **arguments)
{
	return loop_measure("forkexec", loop_number(arguments[0], LOOP_COUNT_MAX, "COUNT"), do_forkexec, NULL,
			    arguments[1]);
}

/* One caller: waits for the end of the starting pipe, which releases all callers at once, then opens. */
static SG_NORETURN void run_caller(int go, uint64_t count, char *path, double *ret_time)
{
	char byte;
	uint64_t start;

	if (read(go, &byte, 1) != 0)
		_exit(1);
	start = loop_now();
	for (uint64_t i = 0; i < count; i++)
		if (do_open(path) < 0)
			_exit(1);
	*ret_time = (double)(loop_now() - start) / (double)count;
	_exit(0);
}

static int wait_callers(size_t started)
{
	int r = 0;

	for (size_t i = 0; i < started;) {
		int status;

		if (wait(&status) < 0) {
			if (errno != EINTR)
				return -errno;
			continue;
		}
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			r = -ECHILD;
		i++;
	}
	return r;
}

/*
 * N processes open at once. `ns` is the whole time over all opens (the throughput seen from outside),
 * median_ns the time that one open took its caller (the latency), median over the callers.
 */
static int loop_callers(char **arguments)
{
	size_t callers = (size_t)loop_number(arguments[0], CALLERS_MAX, "CALLERS");
	uint64_t count = loop_number(arguments[1], LOOP_COUNT_MAX, "COUNT");
	size_t started = 0;
	uint64_t start;
	double elapsed;
	int go[2];
	int r;
	double *times =
		mmap(NULL, CALLERS_MAX * sizeof(*times), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (times == MAP_FAILED)
		return -errno;
	if (pipe2(go, O_CLOEXEC) < 0)
		return -errno;
	for (; started < callers; started++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			(void)close(go[1]);
			run_caller(go[0], count, arguments[2], &times[started]);
		}
	}
	start = loop_now();
	(void)close(go[1]);
	(void)close(go[0]);
	r = wait_callers(started);
	elapsed = (double)(loop_now() - start);
	if (started < callers)
		return -EAGAIN;
	if (r < 0)
		return r;
	(void)printf("{\"op\":\"callers\",\"callers\":%zu,\"operations\":%" PRIu64 ",\"ns\":%.1f,\"median_ns\":%.1f,"
		     "\"cpu_ns\":%" PRIu64 "}\n",
		     callers, callers * count, elapsed / (double)(callers * count), median_of(times, callers),
		     cpu_of(RUSAGE_SELF) + cpu_of(RUSAGE_CHILDREN));
	return 0;
}

/* Says that it is ready and then does nothing until its standard input ends. */
static int loop_idle(char **arguments)
{
	char byte;

	(void)arguments;
	(void)printf("{\"op\":\"idle\",\"ready\":true}\n");
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	return 0;
}

static int loop_pipe_cat(char **arguments)
{
	static char block[PIPE_BLOCK_SIZE];
	ssize_t n;

	(void)arguments;
	while ((n = read(STDIN_FILENO, block, sizeof(block))) > 0) {
		int r = sg_fd_write_full(STDOUT_FILENO, block, (size_t)n);

		if (r < 0)
			return r;
	}
	return n < 0 ? -errno : 0;
}

/* The first byte goes alone: its arrival at the sink says that the world has started, and the time runs from
 * there. */
static int loop_pipe_source(char **arguments)
{
	static char block[PIPE_BLOCK_SIZE];
	uint64_t left = loop_number(arguments[0], UINT64_MAX / 2, "BYTES");
	size_t next = 1;

	for (; left > 0; next = sizeof(block)) {
		size_t size = left < next ? (size_t)left : next;
		int r = sg_fd_write_full(STDOUT_FILENO, block, size);

		if (r < 0)
			return r;
		left -= size;
	}
	return 0;
}

static int loop_pipe_sink(char **arguments)
{
	static char block[PIPE_BLOCK_SIZE];
	uint64_t start = 0;
	uint64_t total = 0;
	ssize_t n;

	(void)arguments;
	while ((n = read(STDIN_FILENO, block, sizeof(block))) > 0) {
		if (!total)
			start = loop_now();
		total += (uint64_t)n;
	}
	if (n < 0)
		return -errno;
	(void)printf("{\"op\":\"pipe\",\"bytes\":%" PRIu64 ",\"ns\":%" PRIu64 "}\n", total, loop_now() - start);
	return 0;
}

static const struct subcommand {
	const char *name;
	int arguments; /* how many follow the name */
	const char *usage;
	int (*run)(char **arguments);
} subcommands[] = {
	{"open", 2, "COUNT FILE", loop_open},
	{"stat", 2, "COUNT FILE", loop_stat},
	{"rw", 2, "COUNT FILE", loop_rw},
	{"forkexec", 2, "COUNT PROGRAM", loop_forkexec},
	{"callers", 3, "CALLERS COUNT FILE", loop_callers},
	{"connect-server", 2, "ADDRESS PORT", loop_connect_server},
	{"connect-client", 3, "COUNT ADDRESS PORT", loop_connect_client},
	{"connect-pair", 1, "COUNT", loop_connect_pair},
	{"idle", 0, "", loop_idle},
	{"pipe-cat", 0, "", loop_pipe_cat},
	{"pipe-source", 1, "BYTES", loop_pipe_source},
	{"pipe-sink", 0, "", loop_pipe_sink},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < SG_ARRAY_SIZE(subcommands); i++) {
		const struct subcommand *command = &subcommands[i];
		int r;

		if (strcmp(argv[1], command->name) != 0 || argc != 2 + command->arguments)
			continue;
		r = command->run(argv + 2);
		if (r == 0 && fflush(stdout) != 0)
			r = -errno;
		if (r < 0)
			(void)fprintf(stderr, "loops: %s: %s\n", command->name, strerror(-r));
		return r < 0 ? 1 : 0;
	}
	for (size_t i = 0; i < SG_ARRAY_SIZE(subcommands); i++)
		(void)fprintf(stderr, "usage: loops %s %s\n", subcommands[i].name, subcommands[i].usage);
	return 2;
}
