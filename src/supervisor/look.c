/*
 * Where a symbolic link points. Most links are texts in a file system; those of /proc are made up for the
 * reader, so what the supervisor would read there is not what the caller would.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/change.h"

/* "/proc/NUMBER/...": the number, or 0. */
static pid_t process_of(const char *name)
{
	return strncmp(name, "/proc/", 6) == 0 ? (pid_t)strtol(name + 6, NULL, 10) : 0;
}

/*
 * The links of a process (exe, cwd, fd/N) tell what it holds. The supervisor may examine every process of the
 * world; the caller may not: itself, and those of its own user that can be examined (the others' files belong
 * to root).
 */
static bool is_of_another(const struct sg_change *change)
{
	const struct sg_resolved *at = &change->first.at;
	const struct sg_caller *caller = &change->request->caller;
	const pid_t process = process_of(at->name);

	return process != 0 && process != caller->inner_pid && at->status.st_uid != caller->uid;
}

/* Returns the length of the text, or a negative errno value. */
static ssize_t read_text(const struct sg_change *change, char *text, size_t size)
{
	const struct sg_caller *caller = &change->request->caller;
	const struct sg_resolved *at = &change->first.at;
	ssize_t length;

	if (sg_change_in_proc(&change->first)) {
		const char *last = strrchr(at->name, '/');

		if (last != NULL && strcmp(last, "/self") == 0)
			return snprintf(text, size, "%d", (int)caller->inner_pid);
		if (last != NULL && strcmp(last, "/thread-self") == 0)
			return snprintf(text, size, "%d/task/%d", (int)caller->inner_pid, (int)caller->inner_tid);
	}
	length = readlinkat(at->fd, "", text, size);
	return length < 0 ? -errno : length;
}

int64_t sg_change_read_link(struct sg_change *change)
{
	const uint64_t address = sg_change_argument(change, 0);
	const int size = (int)sg_change_argument(change, 1);
	struct sg_change_name *name = &change->first;
	char text[PATH_MAX];
	ssize_t length;
	int status;

	if (size <= 0)
		return -EINVAL;
	status = sg_change_pin_object(change);
	if (status < 0)
		return status;
	if (sg_change_in_proc(name))
		status = sg_caller_status(&change->request->caller);
	if (status < 0)
		return status;
	sg_change_decide_object(change, SG_ACCESS_READ);
	if (name->decision.verdict != SG_VERDICT_HIDE && !S_ISLNK(name->at.status.st_mode))
		return name->named[0] == '\0' ? -ENOENT : -EINVAL;
	if (name->decision.verdict == SG_VERDICT_ALLOW && sg_change_in_proc(name) &&
	    (is_of_another(change) ||
	     !sg_caller_may_examine(&change->request->caller, change->request->supervisor->view.root, name->at.name)))
		name->decision = (struct sg_decision){.verdict = SG_VERDICT_DENY,
						      .error = EACCES,
						      .reason = "it says what another user's process holds"};
	status = sg_change_commit(change, false);
	if (status < 0)
		return status;
	length = read_text(change, text, sizeof(text));
	if (length < 0)
		return length;
	if (length > size)
		length = size;
	if (!sg_caller_valid(&change->request->caller))
		return -EINTR;
	status = sg_caller_write(&change->request->caller, address, text, (size_t)length);
	return status < 0 ? status : length;
}
