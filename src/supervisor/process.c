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
static bool read_status(int folder, struct sg_process *process, pid_t *ret_parent)
{
	SG_AUTO_FD int fd = openat(folder, "status", O_RDONLY | O_CLOEXEC);
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

static void read_program(int folder, char *out)
{
	ssize_t length = readlinkat(folder, "exe", out, SG_PROCESS_NAME_MAX - 1);

	out[length < 0 ? 0 : length] = '\0';
}

static bool is_kept(const struct sg_process *process, pid_t tid)
{
	return process->tid == tid && faccessat(process->folder, "stat", F_OK, 0) == 0;
}

static void add_parent(struct sg_process *process, pid_t pid, const char *name)
{
	char *kept = process->parent_names[process->parent_count];

	(void)snprintf(kept, SG_PROCESS_NAME_MAX, "%s", name);
	process->parents[process->parent_count++] =
	    (struct sg_record_ancestor){.pid = (uint64_t)pid, .program = sg_record_text(kept)};
}

/* What is kept of a parent tells the rest of the line; a parent that is not known is looked up. */
static void read_parents(int proc, struct sg_process *process, pid_t pid, pid_t top)
{
	process->parent_count = 0;
	while (pid > 0 && pid != top && process->parent_count < SG_PROCESS_PARENTS_MAX) {
		const struct sg_process *parent = slot_of(pid);
		char number[16], name[SG_PROCESS_NAME_MAX];
		SG_AUTO_FD int folder = -1;

		if (parent != process && is_kept(parent, pid)) {
			add_parent(process, pid, parent->program);
			for (size_t i = 0; i < parent->parent_count && process->parent_count < SG_PROCESS_PARENTS_MAX; i++)
				add_parent(process, (pid_t)parent->parents[i].pid, parent->parent_names[i]);
			return;
		}
		(void)snprintf(number, sizeof(number), "%d", (int)pid);
		folder = openat(proc, number, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (folder < 0)
			return;
		read_program(folder, name);
		add_parent(process, pid, name);
		pid = read_parent(folder);
	}
}

const struct sg_process *sg_process_find(int proc, pid_t tid, pid_t top)
{
	struct sg_process *process = slot_of(tid);
	pid_t parent = 0;
	char number[16];

	if (is_kept(process, tid))
		return process;
	release(process);
	(void)snprintf(number, sizeof(number), "%d", (int)tid);
	process->folder = openat(proc, number, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process->folder < 0)
		return NULL;
	if (!read_status(process->folder, process, &parent)) {
		sg_fd_close(process->folder);
		return NULL;
	}
	process->tid = tid;
	read_program(process->folder, process->program);
	read_parents(proc, process, parent, top);
	return process;
}

void sg_process_forget(pid_t tid)
{
	struct sg_process *process = slot_of(tid);

	if (process->tid == tid)
		release(process);
}
