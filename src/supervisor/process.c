#include "supervisor/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

static struct sg_process cache[SG_PROCESS_CACHE];

static struct sg_process *slot_of(pid_t tid)
{
	return &cache[(unsigned int)tid % SG_PROCESS_CACHE];
}

static void release(struct sg_process *process)
{
	if (process->tid != 0)
		sg_fd_close(process->folder);
	process->tid = 0;
}

/* "pid (name) state ppid ...": the name may hold anything, so the last parenthesis counts. Returns 0 or the parent. */
static pid_t read_parent(int folder)
{
	SG_AUTO_FD int fd = openat(folder, "stat", O_RDONLY | O_CLOEXEC);
	char text[512];
	const char *close;
	ssize_t size;

	if (fd < 0 || (size = sg_fd_read_full(fd, text, sizeof(text) - 1)) <= 0)
		return 0;
	text[size] = '\0';
	close = strrchr(text, ')');
	return close == NULL || strlen(close) < 5 ? 0 : (pid_t)strtol(close + 4, NULL, 10);
}

static long read_field(int folder, const char *name)
{
	SG_AUTO_FD int fd = openat(folder, "status", O_RDONLY | O_CLOEXEC);
	char text[4096];
	const char *line;
	ssize_t size;

	if (fd < 0 || (size = sg_fd_read_full(fd, text, sizeof(text) - 1)) <= 0)
		return -1;
	text[size] = '\0';
	line = strstr(text, name);
	return line == NULL ? -1 : strtol(line + strlen(name), NULL, 10);
}

static void read_program(int folder, char *out)
{
	ssize_t length = readlinkat(folder, "exe", out, SG_PROCESS_NAME_MAX - 1);

	out[length < 0 ? 0 : length] = '\0';
}

static void read_parents(int proc, struct sg_process *process, pid_t top)
{
	pid_t pid = read_parent(process->folder);

	process->parent_count = 0;
	while (pid > 0 && pid != top && process->parent_count < SG_PROCESS_PARENTS_MAX) {
		char number[16], *name = process->parent_names[process->parent_count];
		SG_AUTO_FD int folder = -1;

		(void)snprintf(number, sizeof(number), "%d", (int)pid);
		folder = openat(proc, number, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (folder < 0)
			return;
		read_program(folder, name);
		process->parents[process->parent_count++] =
		    (struct sg_record_ancestor){.pid = (uint64_t)pid, .program = sg_record_text(name)};
		pid = read_parent(folder);
	}
}

const struct sg_process *sg_process_find(int proc, pid_t tid, pid_t top)
{
	struct sg_process *process = slot_of(tid);
	char number[16];
	long pid, uid;

	if (process->tid == tid && faccessat(process->folder, "stat", F_OK, 0) == 0)
		return process;
	release(process);
	(void)snprintf(number, sizeof(number), "%d", (int)tid);
	process->folder = openat(proc, number, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process->folder < 0)
		return NULL;
	pid = read_field(process->folder, "\nTgid:");
	uid = read_field(process->folder, "\nUid:");
	if (pid <= 0 || uid < 0) {
		sg_fd_close(process->folder);
		return NULL;
	}
	process->tid = tid;
	process->pid = (pid_t)pid;
	process->uid = (uid_t)uid;
	read_program(process->folder, process->program);
	read_parents(proc, process, top);
	return process;
}

void sg_process_forget(pid_t tid)
{
	struct sg_process *process = slot_of(tid);

	if (process->tid == tid)
		release(process);
}
