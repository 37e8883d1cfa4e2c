/* See entry.h, and world/enter.c for what the world can do to a command that enters it. */
#include "supervisor/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "supervisor/supervisor.h"
#include "world/init.h"

enum { START_MS = 10000, LOOK_MS = 1, EXIT_FAILED = 125, EXIT_REFUSED = 126, EXIT_NOT_FOUND = 127 };

/* Never waits: a front end that does not read loses the message, as one that is gone does. */
static void tell(int control, enum sg_control_kind kind, int value, const char *text, int fd)
{
	struct sg_control_message message = {.kind = (uint32_t)kind, .value = value};
	const size_t size = strnlen(text, SG_CONTROL_TEXT_MAX);

	message.text_size = (uint32_t)size;
	memcpy(message.text, text, size);
	if (control >= 0)
		(void)sg_fd_send(control, &message, offsetof(struct sg_control_message, text) + size, &fd,
				 fd >= 0 ? 1 : 0);
}

/* Frees the place once nothing is left that uses it. */
static void release(struct sg_entry *entry)
{
	if (entry->phase == SG_ENTRY_LEFT && entry->listener < 0)
		entry->phase = SG_ENTRY_FREE;
}

/* That it has ended: once for each, and to be ignored where it cannot be written, since granting has stopped then. */
static void record_end(struct sg_supervisor *supervisor, uint64_t sequence, int status, const char *reason)
{
	const struct sg_record record = {.kind = SG_RECORD_LEAVE,
					 .world = 1,
					 .audience = sg_record_text("owner"),
					 .entry = sequence,
					 .exit_status = status,
					 .reason = sg_record_text(reason)};

	(void)!sg_audit_append(supervisor->audit, &record, NULL);
}

/* The command is gone, or is to be: everything but its listener is closed. `reason`: why, where it did not end by itself. */
static void leave(struct sg_supervisor *supervisor, struct sg_entry *entry, int status, const char *reason)
{
	if (entry->phase != SG_ENTRY_LEFT)
		record_end(supervisor, entry->sequence, status, reason);
	if (entry->pidfd >= 0)
		(void)pidfd_send_signal(entry->pidfd, SIGKILL, NULL, 0);
	entry->control = sg_fd_close(entry->control);
	entry->report = sg_fd_close(entry->report);
	entry->pidfd = sg_fd_close(entry->pidfd);
	entry->pty = sg_fd_close(entry->pty);
	entry->phase = SG_ENTRY_LEFT;
	release(entry);
}

static void fail(struct sg_supervisor *supervisor, struct sg_entry *entry, int status, const char *text)
{
	tell(entry->control, SG_CONTROL_FAILED, status, text, -1);
	leave(supervisor, entry, status, text);
}

static void end(struct sg_supervisor *supervisor, struct sg_entry *entry, int status, const char *reason)
{
	char text[400];

	if (!entry->started && (status == EXIT_NOT_FOUND || status == EXIT_REFUSED)) {
		(void)snprintf(text, sizeof(text),
			       status == EXIT_NOT_FOUND ? "%s: not found in this session's world"
							: "%s may not be executed in this session's world",
			       entry->name);
		fail(supervisor, entry, status, text);
		return;
	}
	tell(entry->control, SG_CONTROL_ENDED, status, "", -1);
	leave(supervisor, entry, status, reason);
}

/* --- the start --- */

/* Who enters, what for, and by which process: on the record before anything is made. */
static int record(struct sg_supervisor *supervisor, const struct sg_enter_request *request, const struct ucred *who,
		  uint64_t *ret_sequence)
{
	struct sg_record_text words[256];
	struct sg_record entry = {.kind = SG_RECORD_ENTER,
				  .world = 1,
				  .audience = sg_record_text("owner"),
				  .user_name = sg_record_text(supervisor->owner),
				  .user_uid = supervisor->owner_uid,
				  .pid = (uint64_t)who->pid,
				  .tid = (uint64_t)who->pid,
				  .uid = supervisor->owner_uid};
	const char *at = request->words;
	size_t count = 0;

	for (; count < request->count && count < SG_ARRAY_SIZE(words); count++, at += strlen(at) + 1)
		words[count] = sg_record_text(at);
	entry.command = (struct sg_record_list){words, count};
	return sg_audit_append(supervisor->audit, &entry, ret_sequence);
}

/* What a profile sets stays set. */
static void keep_profile_s_term(const struct sg_policy *policy, struct sg_enter_request *request)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(policy, SG_RULE_ENVIRONMENT, &count);

	for (size_t i = 0; i < count; i++)
		if (strncmp(rules[i].text, "TERM=", 5) == 0)
			request->term[0] = '\0';
}

/* Asks the keeper. fds[0] is replaced: the processes tell us, and never hold the socket to the front end. */
static int ask(struct sg_supervisor *supervisor, struct sg_enter_request *request, int *fds, size_t count,
	       int *ret_report)
{
	SG_AUTO_FD int ours = -1, theirs = -1;
	const int one = 1;
	int pair[2], status;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	if (setsockopt(ours, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0 || fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	fds[0] = theirs;
	status = sg_world_enter(&supervisor->world, request, fds, count);
	if (status == 0)
		*ret_report = sg_fd_take(&ours);
	return status;
}

static struct sg_entry *find_free(struct sg_supervisor *supervisor)
{
	for (size_t i = 0; i < SG_WORLD_ENTRIES_MAX; i++)
		if (supervisor->entries[i].phase == SG_ENTRY_FREE)
			return &supervisor->entries[i];
	return NULL;
}

/* Returns what to tell the person, or NULL. */
static const char *begin(struct sg_supervisor *supervisor, struct sg_enter_request *request, int *fds, size_t count,
			 const struct ucred *who)
{
	struct sg_entry *entry = find_free(supervisor);
	const int control = fds[0];
	static const char unasked[] = "the session's keeper could not be asked; the command may be too long";
	uint64_t sequence = 0;
	int report = -1;

	if (!supervisor->command_started || supervisor->ended)
		return "the session is just starting or ending; try again";
	if (entry == NULL)
		return "the session has been entered too often: leave it, or end what was left behind, "
		       "somewhere else first";
	if (fcntl(control, F_SETFL, O_NONBLOCK) < 0)
		return "the session cannot answer";
	if (record(supervisor, request, who, &sequence) < 0)
		return "it could not be recorded, and without a record nothing is started";
	keep_profile_s_term(supervisor->policy, request);
	if (ask(supervisor, request, fds, count, &report) < 0) {
		record_end(supervisor, sequence, EXIT_FAILED, unasked);
		return unasked;
	}
	*entry = (struct sg_entry){.phase = SG_ENTRY_ASKED,
				   .control = control,
				   .report = report,
				   .listener = -1,
				   .pidfd = -1,
				   .pty = -1,
				   .deadline_ms = sg_now_ms() + START_MS,
				   .sequence = sequence};
	if ((size_t)(entry - supervisor->entries) >= supervisor->entry_limit)
		supervisor->entry_limit = (size_t)(entry - supervisor->entries) + 1;
	(void)snprintf(entry->name, sizeof(entry->name), "%.200s", request->count > 0 ? request->words : "the shell");
	return NULL;
}

void sg_entry_open(struct sg_supervisor *supervisor, struct sg_enter_request *request, size_t size, int *fds,
		   size_t count, const struct ucred *who)
{
	const int control = count > 0 ? fds[0] : -1;
	const char *failure;

	if (sg_enter_check(request, size, count) < 0)
		failure = "the session was started by another version of shellguard";
	else
		failure = begin(supervisor, request, fds, count, who);
	if (failure != NULL) {
		tell(control, SG_CONTROL_FAILED, EXIT_FAILED, failure, -1);
		sg_fd_close(control);
	}
	if (count > 0 && fds[0] != control)
		sg_fd_close(fds[0]);
	for (size_t i = 1; i < count; i++)
		sg_fd_close(fds[i]);
}

/* Looks whether the listener is there. Its first call is answered only when the keeper has the second copy.
 */
static void take_listener(struct sg_supervisor *supervisor, struct sg_entry *entry)
{
	const int listener = sg_world_take_listener(entry->pidfd, entry->number);

	if (listener == -EAGAIN)
		return;
	if (listener < 0 || sg_world_hold(&supervisor->world, listener) < 0) {
		sg_fd_close(listener);
		fail(supervisor, entry, EXIT_FAILED,
		     "the command's system calls could not be taken over; it was not started");
		return;
	}
	(void)sg_wake_at_once(listener);
	entry->listener = listener;
	entry->phase = SG_ENTRY_HELD;
}

/* --- what the processes tell --- */

static void announced(struct sg_supervisor *supervisor, struct sg_entry *entry, pid_t pid, int number)
{
	if (entry->phase != SG_ENTRY_ASKED)
		return;
	entry->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	entry->command = pid;
	entry->number = number;
	entry->phase = SG_ENTRY_ANNOUNCED;
	if (entry->pidfd < 0)
		fail(supervisor, entry, EXIT_FAILED, "the command ended before it was started");
	else
		take_listener(supervisor, entry);
}

static void receive_report(struct sg_supervisor *supervisor, struct sg_entry *entry)
{
	struct sg_world_report report;
	struct sg_error error = SG_ERROR_INIT;
	SG_AUTO_FD int fd = -1;
	pid_t pid = 0;
	const int status = sg_init_receive(entry->report, &report, &pid, &fd, &error);

	if (status == -EAGAIN || error.code == -EAGAIN)
		return;
	if (status != 0) {
		if (entry->started)
			end(supervisor, entry, 128 + SIGKILL, /* so it will be: the entry takes it along */
			    "it was killed");
		else
			fail(supervisor, entry, EXIT_FAILED, "the command was killed");
		return;
	}
	switch (report.kind) {
	case SG_WORLD_REPORT_PTY:
		if (entry->pty < 0)
			entry->pty = sg_fd_take(&fd);
		sg_own_terminals(supervisor);
		break;
	case SG_WORLD_REPORT_COMMAND:
		announced(supervisor, entry, pid, report.number);
		break;
	case SG_WORLD_REPORT_STOPPED:
		if (sg_control_has_room(entry->control, 3))
			tell(entry->control, SG_CONTROL_STOPPED, report.number, "", -1);
		break;
	case SG_WORLD_REPORT_ENDED:
		end(supervisor, entry, report.number, NULL);
		break;
	default:
		fail(supervisor, entry, EXIT_FAILED,
		     report.kind == SG_WORLD_REPORT_FAILED ? report.text : "an unknown message");
		break;
	}
}

/* Its front end is gone: nobody is left who wants the command. */
static void receive_control(struct sg_supervisor *supervisor, struct sg_entry *entry)
{
	struct sg_control_message message;
	size_t count;
	const ssize_t size = sg_fd_receive(entry->control, &message, sizeof(message), NULL, 0, &count);

	if (size == -EAGAIN)
		return;
	if (size <= 0)
		leave(supervisor, entry, 128 + SIGKILL, "whoever entered has gone");
	else if ((size_t)size >= offsetof(struct sg_control_message, text) && message.kind == SG_CONTROL_SIGNAL &&
		 entry->pidfd >= 0)
		sg_deliver(entry->command, entry->pidfd, message.value);
}

/* --- the loop --- */

size_t sg_entry_polls(const struct sg_supervisor *supervisor, struct pollfd *polls)
{
	size_t count = 0;

	for (size_t i = 0; i < supervisor->entry_limit; i++) {
		const struct sg_entry *entry = &supervisor->entries[i];

		if (entry->phase == SG_ENTRY_FREE)
			continue;
		polls[count++] = (struct pollfd){.fd = entry->report, .events = POLLIN};
		polls[count++] = (struct pollfd){.fd = entry->control, .events = POLLIN};
		polls[count++] = (struct pollfd){.fd = entry->listener, .events = POLLIN};
	}
	return count;
}

int sg_entry_timeout(const struct sg_supervisor *supervisor)
{
	for (size_t i = 0; i < supervisor->entry_limit; i++)
		if (supervisor->entries[i].phase == SG_ENTRY_ANNOUNCED)
			return LOOK_MS;
	for (size_t i = 0; i < supervisor->entry_limit; i++)
		if (supervisor->entries[i].phase == SG_ENTRY_ASKED)
			return START_MS;
	return -1;
}

static void tell_started(struct sg_entry *entry)
{
	tell(entry->control, SG_CONTROL_STARTED, 0, "", entry->pty);
	entry->pty = sg_fd_close(entry->pty);
}

static void act(struct sg_supervisor *supervisor, struct sg_entry *entry, const struct pollfd polls[3])
{
	if (entry->phase == SG_ENTRY_ANNOUNCED)
		take_listener(supervisor, entry);
	if (entry->phase < SG_ENTRY_HELD && sg_now_ms() > entry->deadline_ms)
		fail(supervisor, entry, EXIT_FAILED,
		     "the command did not start in time: the world may have stopped it");
	if (polls[2].revents != 0 && polls[2].fd == entry->listener && entry->listener >= 0) {
		if ((polls[2].revents & POLLIN) != 0)
			sg_receive_call(supervisor, entry->listener);
		else
			entry->listener = sg_fd_close(entry->listener);
	}
	if (polls[0].revents != 0 && polls[0].fd == entry->report && entry->report >= 0)
		receive_report(supervisor, entry);
	if (polls[1].revents != 0 && polls[1].fd == entry->control && entry->control >= 0)
		receive_control(supervisor, entry);
	release(entry);
}

void sg_entry_act(struct sg_supervisor *supervisor, const struct pollfd *polls, size_t count)
{
	size_t at = 0;

	/* In the order of sg_entry_polls; a place that has been taken since is behind the last one, or not
	 * looked at. */
	for (size_t i = 0; i < supervisor->entry_limit && at + 3 <= count; i++) {
		struct sg_entry *entry = &supervisor->entries[i];

		if (entry->phase == SG_ENTRY_FREE)
			continue;
		act(supervisor, entry, polls + at);
		at += 3;
	}
}

bool sg_entry_is_starting(const struct sg_supervisor *supervisor, pid_t tid)
{
	for (size_t i = 0; i < supervisor->entry_limit; i++)
		if (supervisor->entries[i].phase == SG_ENTRY_HELD && supervisor->entries[i].command == tid)
			return !supervisor->entries[i].started;
	return false;
}

void sg_entry_executed(struct sg_supervisor *supervisor, pid_t tid)
{
	for (size_t i = 0; i < supervisor->entry_limit; i++) {
		struct sg_entry *entry = &supervisor->entries[i];

		if (entry->phase == SG_ENTRY_HELD && entry->command == tid && !entry->started) {
			entry->started = true;
			tell_started(entry);
		}
	}
}

void sg_entry_notice(const struct sg_supervisor *supervisor, int listener, const char *text, size_t size)
{
	const int control = sg_entry_control(supervisor, listener);

	sg_notice(supervisor->control, text, size);
	if (control != supervisor->control)
		sg_notice(control, text, size);
}

int sg_entry_control(const struct sg_supervisor *supervisor, int listener)
{
	for (size_t i = 0; i < supervisor->entry_limit; i++)
		if (supervisor->entries[i].phase == SG_ENTRY_HELD && supervisor->entries[i].listener == listener &&
		    supervisor->entries[i].control >= 0)
			return supervisor->entries[i].control;
	return supervisor->control;
}

void sg_entry_end_all(struct sg_supervisor *supervisor)
{
	static const char text[] = "the session has ended, and everything in it";

	for (size_t i = 0; i < supervisor->entry_limit; i++) {
		struct sg_entry *entry = &supervisor->entries[i];

		if (entry->phase == SG_ENTRY_FREE)
			continue;
		tell(entry->control, SG_CONTROL_NOTICE, 0, text, -1);
		end(supervisor, entry, 128 + SIGKILL, text);
		entry->listener = sg_fd_close(entry->listener);
		release(entry);
	}
}
