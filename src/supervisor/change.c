/*
 * Calls that change the tree of names or attributes, and looks at links and attributes by name: the dispatch
 * and the steps that all of them share. The acts are in change_names.c, change_attributes.c, change_xattrs.c
 * and look.c.
 *
 * What the adversary can do meanwhile: rewrite the text of a path or a value (copied once, before), swap a
 * link or a folder on the way (the object or the folder is pinned, then named, then decided), swap the last
 * component for something else (the act works on the pinned folder and that one component, in a form that
 * fails if the type is another one). Its own changes of names are calls that this same thread carries out, one
 * after the other; or, beside a server that may hang, the outcome is that of another order (pool.h).
 */
#include "supervisor/change.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "tables/numbers.h"
#include "tables/syscalls.h"

#define ARG(index) ((index) + 1)

enum {
	ROW_NONE,
#define SG_CHANGE(call, act_name, operation_name, ...) ROW_##call,
#include "supervisor/change.def"
#undef SG_CHANGE
	ROWS
};

static const struct sg_change_row rows[ROWS] = {
#define SG_CHANGE(call, act_name, operation_name, ...)                                                                 \
	[ROW_##call] = {.act = sg_change_##act_name, .operation = (operation_name), __VA_ARGS__},
#include "supervisor/change.def"
#undef SG_CHANGE
};

/* By the call's number. The rows have pointers, and a page of such is relocated at every start: so they have no gaps. */
static const uint8_t row_of[SG_SYSCALL_LIMIT] = {
#define SG_CHANGE(call, act_name, operation_name, ...) [SYS_##call] = ROW_##call,
#include "supervisor/change.def"
#undef SG_CHANGE
};
_Static_assert(ROWS <= UINT8_MAX, "a row's index is a byte");

const struct sg_change_row *sg_change_row(unsigned int number)
{
	return number < SG_SYSCALL_LIMIT && row_of[number] != ROW_NONE ? &rows[row_of[number]] : NULL;
}

static uint64_t argument(const struct sg_change *change, uint8_t place)
{
	return change->request->notification.data.args[place - 1];
}

uint64_t sg_change_argument(const struct sg_change *change, unsigned int index)
{
	return argument(change, (uint8_t)(change->row->first + index));
}

static int directory_of(const struct sg_change *change, uint8_t place)
{
	return place == 0 ? AT_FDCWD : (int)argument(change, place);
}

/* Calls on a descriptor do not take one that was opened with O_PATH; those with AT_EMPTY_PATH do. */
static bool is_bare(const struct sg_caller *caller, int number)
{
	char path[64], text[256];
	const char *line;
	SG_AUTO_FD int fd = -1;
	ssize_t size;

	(void)snprintf(path, sizeof(path), "%d/fdinfo/%d", (int)caller->tid, number);
	fd = openat(caller->proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false; /* the resolution says what is wrong */
	size = sg_fd_read_full(fd, text, sizeof(text) - 1);
	if (size < 0)
		return false;
	text[size] = '\0';
	line = strstr(text, "flags:\t");
	return line != NULL && (strtoul(line + 7, NULL, 8) & O_PATH) != 0;
}

static int read_path(struct sg_change *change, uint8_t place, struct sg_change_name *name)
{
	ssize_t length = sg_caller_read_string(&change->request->caller, argument(change, place), name->named,
					       sizeof(name->named));

	return length < 0 ? (int)length : 0;
}

static int pin_descriptor(struct sg_change *change, int number)
{
	struct sg_request *request = change->request;

	if (is_bare(&request->caller, number))
		return -EBADF;
	return sg_resolve_descriptor(&request->supervisor->view, &request->caller, number, &change->first.at);
}

int sg_change_pin_object(struct sg_change *change)
{
	const struct sg_change_row *row = change->row;
	struct sg_request *request = change->request;
	const int directory = directory_of(change, row->dirfd);
	unsigned int flags = 0;
	int status = 0;

	if (row->fd != 0)
		status = pin_descriptor(change, (int)argument(change, row->fd));
	else if (argument(change, row->path) == 0 && row->null == SG_NULL_DESCRIPTOR && directory != AT_FDCWD)
		status = change->flags != 0 ? -EINVAL : pin_descriptor(change, directory);
	else if (argument(change, row->path) != 0 || row->null != SG_NULL_EMPTY || (change->flags & AT_EMPTY_PATH) == 0)
		status = read_path(change, row->path, &change->first);
	if (status == 0 && change->first.at.fd < 0) {
		if ((change->flags & AT_SYMLINK_NOFOLLOW) != 0)
			flags |= SG_RESOLVE_NO_FOLLOW;
		if ((change->flags & AT_EMPTY_PATH) != 0)
			flags |= SG_RESOLVE_EMPTY;
		status = sg_resolve(&request->supervisor->view, &request->caller, directory, change->first.named, flags,
				    &change->first.at);
	}
	if (status < 0)
		return status;
	change->first.own = sg_is_own(request->supervisor, &change->first.at.status);
	return 0;
}

int sg_change_pin_place(struct sg_change *change, bool second)
{
	const struct sg_change_row *row = change->row;
	struct sg_change_name *name = second ? &change->second : &change->first;
	struct sg_request *request = change->request;
	struct stat folder;
	int status = read_path(change, second ? row->path2 : row->path, name);

	if (status < 0)
		return status;
	status = sg_resolve(&request->supervisor->view, &request->caller,
			    directory_of(change, second ? row->dirfd2 : row->dirfd), name->named, SG_RESOLVE_PARENT,
			    &name->at);
	if (status < 0)
		return status;
	if (fstat(name->at.fd, &folder) < 0)
		return -errno;
	if (name->at.unnamed) /* a folder that was removed: nothing can be made in it */
		return -ENOENT;
	name->skeleton = sg_is_skeleton(request->supervisor, &folder);
	name->own = !name->skeleton && sg_is_own(request->supervisor, &folder);
	if (name->at.last[0] != '\0')
		sg_change_form(name, false);
	return 0;
}

const char *sg_change_special(const struct sg_change_name *name)
{
	size_t length = strlen(name->named), start;

	while (length > 0 && name->named[length - 1] == '/')
		length--;
	if (length == 0)
		return "/";
	for (start = length; start > 0 && name->named[start - 1] != '/'; start--)
		continue;
	if (length - start == 1 && name->named[start] == '.')
		return ".";
	return length - start == 2 && strncmp(name->named + start, "..", 2) == 0 ? ".." : NULL;
}

void sg_change_form(struct sg_change_name *name, bool directory)
{
	struct sg_resolved *at = &name->at;

	while (at->length > 1 && at->name[at->length - 1] == '/')
		at->length--;
	if (directory && at->name[at->length - 1] != '/')
		at->name[at->length++] = '/';
	at->name[at->length] = '\0';
}

bool sg_change_is_hidden(struct sg_change *change, struct sg_change_name *name, bool making)
{
	const struct sg_policy *policy = change->request->supervisor->policy;

	if (!name->at.hidden)
		return false;
	name->decision = (struct sg_decision){
		.verdict = SG_VERDICT_HIDE,
		.error = making ? EACCES : ENOENT,
		.rule = name->at.hiding < policy->rule_count ? &policy->rules[name->at.hiding] : NULL,
		.reason = "it is hidden",
		.access = making ? SG_ACCESS_CHANGE : SG_ACCESS_READ};
	return true;
}

bool sg_change_ask(struct sg_change *change, struct sg_change_name *name, unsigned int access, bool making)
{
	struct sg_supervisor *supervisor = change->request->supervisor;
	struct sg_decision decision;

	if (sg_change_is_hidden(change, name, making))
		return false;
	sg_decide(supervisor->policy, supervisor->names, name->at.name, name->at.length, access, name->own, &decision);
	if (decision.verdict == SG_VERDICT_ALLOW && name->at.exists)
		(void)sg_is_denied_inode(supervisor, name->at.fd, &name->at.status, access, &decision);
	if (decision.verdict != SG_VERDICT_ALLOW) {
		/* What is hidden cannot be told from what is not there; only the making of it has to fail
		 * otherwise. */
		if (decision.verdict == SG_VERDICT_HIDE)
			decision.error = making ? EACCES : ENOENT;
		else if (name->skeleton && decision.rule == NULL)
			decision.error = EROFS;
		name->decision = decision;
		return false;
	}
	if (name->decision.reason == NULL)
		name->decision = decision;
	return true;
}

bool sg_change_in_proc(const struct sg_change_name *name)
{
	struct statfs system;

	return fstatfs(name->at.fd, &system) == 0 && system.f_type == PROC_SUPER_MAGIC;
}

/* Pipes, sockets, memfds: nobody outside can name them. */
static bool is_anonymous(const struct sg_resolved *at)
{
	struct statfs system;

	if (!at->unnamed || fstatfs(at->fd, &system) < 0)
		return false;
	return system.f_type == PIPEFS_MAGIC || system.f_type == SOCKFS_MAGIC ||
	       (system.f_type == TMPFS_MAGIC && strncmp(at->name, "/memfd:", 7) == 0);
}

/*
 * A removed file, or one that never had a name (O_TMPFILE): the kernel tells the name that it had, or the
 * folder that it was made in, also when it has other names by now. Who was allowed to write under that name
 * gains nothing.
 */
static bool restore_name(struct sg_change_name *name)
{
	static const char mark[] = " (deleted)";
	struct sg_resolved *at = &name->at;
	const bool directory = S_ISDIR(at->status.st_mode);

	sg_change_form(name, false);
	if (at->name[0] != '/' || at->length <= sizeof(mark) || strcmp(at->name + at->length - strlen(mark), mark) != 0)
		return false;
	at->length -= strlen(mark);
	sg_change_form(name, directory);
	return true;
}

void sg_change_decide_object(struct sg_change *change, unsigned int access)
{
	struct sg_change_name *name = &change->first;
	const bool changing = (access & (SG_ACCESS_CHANGE | SG_ACCESS_WRITE)) != 0;

	if (changing && sg_change_in_proc(name))
		name->decision = (struct sg_decision){
			.verdict = SG_VERDICT_DENY, .error = EPERM, .reason = "nothing in /proc is changed by name"};
	else if (is_anonymous(&name->at))
		name->decision = (struct sg_decision){.verdict = SG_VERDICT_ALLOW, .reason = "it is the world's own"};
	else if (!name->at.unnamed)
		(void)sg_change_ask(change, name, access, false);
	else if (restore_name(name))
		(void)sg_change_ask(change, name, changing ? access | SG_ACCESS_WRITE : access, false);
	else
		name->decision = (struct sg_decision){
			.verdict = SG_VERDICT_DENY, .error = EACCES, .reason = "it has no name in the world"};
}

static int report(struct sg_change *change, const struct sg_change_name *name)
{
	return sg_report(change->request, &name->decision, name->at.name, name->named[0] != '\0' ? name->named : NULL);
}

/* What nobody decided about is refused. */
static bool is_refused(struct sg_change_name *name)
{
	if (name->decision.reason == NULL)
		name->decision = (struct sg_decision){
			.verdict = SG_VERDICT_DENY, .error = EACCES, .reason = "nothing was decided about it"};
	return name->decision.verdict != SG_VERDICT_ALLOW;
}

int sg_change_commit(struct sg_change *change, bool both)
{
	struct sg_change_name *refused = NULL;

	if (!sg_caller_valid(&change->request->caller))
		return -EINTR; /* there is nobody to hear it */
	if (is_refused(&change->first))
		refused = &change->first;
	else if (both && is_refused(&change->second))
		refused = &change->second;
	if (refused != NULL) {
		(void)report(change, refused);
		return -refused->decision.error;
	}
	if (report(change, &change->first) < 0 || (both && report(change, &change->second) < 0))
		return -EIO;
	return 0;
}

int sg_change_object(struct sg_change *change, unsigned int access)
{
	int status = sg_change_pin_object(change);

	if (status < 0)
		return status;
	sg_change_decide_object(change, access);
	return sg_change_commit(change, false);
}

int sg_change_refuse(struct sg_change *change, int error, const char *reason)
{
	const struct sg_decision decision = {.verdict = SG_VERDICT_DENY, .error = error, .reason = reason};
	int status = change->row->path == 0 ? 0 : read_path(change, change->row->path, &change->first);

	if (status < 0)
		return status;
	if (sg_caller_valid(&change->request->caller))
		(void)sg_report(change->request, &decision,
				change->row->path == 0 ? "what a descriptor stands for" : change->first.named, NULL);
	return -error;
}

void sg_change_pin_name(const struct sg_change *change, const struct sg_change_name *name, char *out)
{
	(void)snprintf(out, SG_CHANGE_LINK_MAX, "%d/fd/%d", (int)change->request->supervisor->view.self, name->at.fd);
}

/* Names of a call that changes them, and that the walk did not find. */
static void record_absent(struct sg_change *change)
{
	const struct sg_change_row *row = change->row;
	const struct sg_syscall *call = sg_syscall_by_number((unsigned int)change->request->notification.data.nr);

	if (call == NULL || call->class != SG_CLASS_FILE_CHANGE)
		return;
	if (row->path != 0 && change->first.at.fd < 0)
		sg_record_absent(change->request, directory_of(change, row->dirfd), change->first.named,
				 SG_ACCESS_CHANGE);
	if (row->path2 != 0 && change->second.at.fd < 0)
		sg_record_absent(change->request, directory_of(change, row->dirfd2), change->second.named,
				 SG_ACCESS_CHANGE);
}

static void handle(struct sg_request *request)
{
	const struct sg_change_row *row = sg_change_row((unsigned int)request->notification.data.nr);
	struct sg_change change = {
		.request = request, .row = row, .first.at = SG_RESOLVED_INIT, .second.at = SG_RESOLVED_INIT};
	int64_t result;

	if (row == NULL) {
		sg_answer_error(request, ENOSYS);
		return;
	}
	request->operation = row->operation;
	result = sg_request_identify(request);
	if (result == 0 && row->flags != 0)
		change.flags = (unsigned int)argument(&change, row->flags);
	if (result == 0 && (change.flags & ~row->valid) != 0)
		result = -EINVAL;
	change.flags |= row->implied;
	if (result == 0)
		result = row->act(&change);
	if (result == -ENOENT)
		record_absent(&change);
	sg_resolved_done(&change.first.at);
	sg_resolved_done(&change.second.at);
	if (result < 0)
		sg_answer_error(request, (int)-result);
	else
		sg_answer_value(request, result);
}

void sg_handle_change(struct sg_request *request)
{
	handle(request);
}

void sg_handle_look(struct sg_request *request)
{
	handle(request);
}
