#include "supervisor/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

/*
 * A number is given to another thread only after all the others were (cyclic allocation, kernel/pid.c): some ten thousand forks, of
 * which each takes longer than 10 µs. So whoever was there a moment ago is who is there now, and asking again for each call
 * would cost more than all else that the record needs. Were it wrong, a record would name the former thread of that number;
 * nothing is decided by it.
 */
enum { SAME_MS = 5 };

static struct sg_process cache[SG_PROCESS_CACHE];

static struct sg_process *slot_of(pid_t tid)
{
	return &cache[(unsigned int)tid % SG_PROCESS_CACHE];
}

static void release(struct sg_process *process)
{
	if (process->tid != 0)
		sg_fd_close(process->folder);
	free(process->texts);
	process->texts = NULL;
	process->tid = 0;
	process->folder = -1;
}

/* "pid (name) state ppid ...": the name may hold anything, so the last parenthesis counts. Returns 0 or the parent. */
static pid_t read_parent(int folder)
{
	SG_AUTO_FD int fd = openat(folder, "stat", O_RDONLY | O_CLOEXEC);
	char text[512];
	const char *close;
	ssize_t size;

	if (fd < 0 || (size = read(fd, text, sizeof(text) - 1)) <= 0)
		return 0;
	text[size] = '\0';
	close = strrchr(text, ')');
	return close == NULL || strlen(close) < 5 ? 0 : (pid_t)strtol(close + 4, NULL, 10);
}

static long find_field(const char *text, const char *name)
{
	const char *line = strstr(text, name);

	return line == NULL ? -1 : strtol(line + strlen(name), NULL, 10);
}

/* One reading of the status file, which the kernel makes anew for each read(2): it fits into one. */
static bool read_status(int folder, const char *path, struct sg_process *process, pid_t *ret_parent)
{
	SG_AUTO_FD int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t size;
	long pid, uid, parent;

	if (fd < 0 || (size = read(fd, text, sizeof(text) - 1)) <= 0)
		return false;
	text[size] = '\0';
	pid = find_field(text, "\nTgid:");
	uid = find_field(text, "\nUid:");
	parent = find_field(text, "\nPPid:");
	if (pid <= 0 || uid < 0 || parent < 0)
		return false;
	process->pid = (pid_t)pid;
	process->uid = (uid_t)uid;
	*ret_parent = (pid_t)parent;
	return true;
}

bool sg_process_is_traced(int proc, pid_t tid)
{
	char path[32], text[4096];
	SG_AUTO_FD int fd = -1;
	ssize_t size;

	(void)snprintf(path, sizeof(path), "%d/status", (int)tid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (size = read(fd, text, sizeof(text) - 1)) <= 0)
		return false;
	text[size] = '\0';
	return find_field(text, "\nTracerPid:") > 0;
}

static void read_program(int folder, char *out)
{
	ssize_t length = readlinkat(folder, "exe", out, SG_PROCESS_NAME_MAX - 1);

	out[length < 0 ? 0 : length] = '\0';
}

/* Whether the folder still is of a thread that lives; asked at most each SAME_MS. */
static bool is_alive(int folder, int64_t *seen_ms)
{
	const int64_t now = sg_now_ms();

	if (now - *seen_ms < SAME_MS)
		return true;
	if (folder < 0 || faccessat(folder, "stat", F_OK, 0) < 0)
		return false;
	*seen_ms = now;
	return true;
}

static int open_folder(int proc, pid_t tid)
{
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", (int)tid);
	return openat(proc, number, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/*
 * The folder is opened at the first call that asks for it, while it is certain whose it is: most programs that are executed make no
 * other call that is mediated.
 */
static bool is_kept(struct sg_process *process, int proc, pid_t tid)
{
	if (process->tid != tid || !is_alive(process->folder, &process->seen_ms))
		return false;
	if (process->folder < 0)
		process->folder = open_folder(proc, tid);
	return process->folder >= 0;
}

/* Processes above others: few, and asked for with each of their children. */
struct ancestor {
	pid_t pid, parent; /* pid 0: free */
	int folder;        /* O_PATH of /proc/PID */
	int64_t seen_ms;   /* when it was alive */
	char program[SG_PROCESS_NAME_MAX];
};

static struct ancestor ancestors[64];

static const struct ancestor *find_ancestor(int proc, pid_t pid)
{
	struct ancestor *ancestor = &ancestors[(unsigned int)pid % SG_ARRAY_SIZE(ancestors)];

	/* What it executes later, and who becomes its parent, is looked up anew when it is forgotten (sg_process_executed). */
	if (ancestor->pid == pid && is_alive(ancestor->folder, &ancestor->seen_ms))
		return ancestor;
	if (ancestor->pid != 0)
		sg_fd_close(ancestor->folder);
	ancestor->pid = 0;
	ancestor->folder = open_folder(proc, pid);
	if (ancestor->folder < 0)
		return NULL;
	ancestor->pid = pid;
	ancestor->seen_ms = sg_now_ms();
	ancestor->parent = read_parent(ancestor->folder);
	read_program(ancestor->folder, ancestor->program);
	return ancestor;
}

/* Its children are the tops of the world: the first process, and what brought others into it (world/enter.c). */
static pid_t keeper;

void sg_process_end_at(pid_t pid)
{
	keeper = pid;
}

/* Names one behind the other, each with its NUL. */
struct texts {
	size_t used;
	char bytes[(1 + SG_PROCESS_PARENTS_MAX) * SG_PROCESS_NAME_MAX];
};

static void add_text(struct texts *texts, const char *text)
{
	size_t length = strnlen(text, SG_PROCESS_NAME_MAX - 1);

	memcpy(texts->bytes + texts->used, text, length);
	texts->bytes[texts->used + length] = '\0';
	texts->used += length + 1;
}

static void read_parents(int proc, struct sg_process *process, pid_t pid, pid_t top, struct texts *texts)
{
	process->parent_count = 0;
	while (pid > 0 && pid != top && process->parent_count < SG_PROCESS_PARENTS_MAX) {
		const struct ancestor *ancestor = find_ancestor(proc, pid);

		if (ancestor == NULL || ancestor->parent == keeper)
			return;
		add_text(texts, ancestor->program);
		process->parents[process->parent_count++].pid = (uint64_t)pid;
		pid = ancestor->parent;
	}
}

/*
 * What is kept takes just the room that its texts need: entries of full size would be some pages each, cold at every turn of the
 * table. Returns false without memory.
 */
static bool keep_texts(struct sg_process *process, const struct texts *texts)
{
	const char *at;

	process->texts = malloc(texts->used);
	if (process->texts == NULL)
		return false;
	memcpy(process->texts, texts->bytes, texts->used);
	at = process->program = process->texts;
	for (size_t i = 0; i < process->parent_count; i++) {
		at += strlen(at) + 1;
		process->parents[i].program = sg_record_text(at);
	}
	return true;
}

/* `program`: of a thread that is stopped after it has executed that, so that its number is enough; NULL: it is asked for. */
static const struct sg_process *read_process(int proc, pid_t tid, pid_t top, const char *program)
{
	struct sg_process *process = slot_of(tid);
	char path[32], found[SG_PROCESS_NAME_MAX];
	struct texts texts;
	pid_t parent = 0;

	texts.used = 0;
	release(process);
	(void)snprintf(path, sizeof(path), "%d/status", (int)tid);
	if (program == NULL) {
		process->folder = open_folder(proc, tid);
		if (process->folder < 0)
			return NULL;
	}
	if (!(program == NULL ? read_status(process->folder, "status", process, &parent)
			      : read_status(proc, path, process, &parent))) {
		process->folder = sg_fd_close(process->folder);
		return NULL;
	}
	if (program == NULL) {
		read_program(process->folder, found);
		program = found;
	}
	add_text(&texts, program);
	read_parents(proc, process, parent, top, &texts);
	if (!keep_texts(process, &texts)) {
		process->folder = sg_fd_close(process->folder);
		return NULL;
	}
	process->tid = tid;
	process->seen_ms = sg_now_ms();
	return process;
}

const struct sg_process *sg_process_find(int proc, pid_t tid, pid_t top)
{
	return is_kept(slot_of(tid), proc, tid) ? slot_of(tid) : read_process(proc, tid, top, NULL);
}

const struct sg_process *sg_process_executed(int proc, pid_t tid, pid_t top, const char *program)
{
	struct ancestor *ancestor = &ancestors[(unsigned int)tid % SG_ARRAY_SIZE(ancestors)];

	if (ancestor->pid == tid) {
		sg_fd_close(ancestor->folder);
		ancestor->pid = 0;
	}
	return read_process(proc, tid, top, program);
}
