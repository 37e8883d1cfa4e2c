/* Records of decisions, and the line that a person at the terminal sees at a refusal. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "policy/words.h"
#include "supervisor/process.h"
#include "supervisor/supervisor.h"

/*
 * What the world can cause any number of leaves a part of the queue to what matters more: notices half of it, stops of the command a
 * quarter, to what is said once. So a front end that does not read, since it is stopped, say, is never waited for, and misses no
 * message of a kind of which none is unread.
 */
bool sg_control_has_room(int control, int quarters)
{
	int queued = 0, room = 0;
	socklen_t size = sizeof(room);

	return ioctl(control, SIOCOUTQ, &queued) == 0 &&
	       getsockopt(control, SOL_SOCKET, SO_SNDBUF, &room, &size) == 0 && queued < room / 4 * quarters;
}

void sg_notice(int control, const char *text, size_t size)
{
	struct sg_control_message message = {.kind = SG_CONTROL_NOTICE};

	if (!sg_control_has_room(control, 2))
		return;
	if (size > SG_CONTROL_TEXT_MAX)
		size = SG_CONTROL_TEXT_MAX;
	message.text_size = (uint32_t)size;
	memcpy(message.text, text, size);
	(void)send(control, &message, offsetof(struct sg_control_message, text) + size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void fill_rule(struct sg_record *record, const struct sg_rule *rule)
{
	struct sg_position position;

	if (rule == NULL)
		return;
	position = sg_source_locate(rule->source, rule->span.offset);
	record->rule_file = sg_record_text(rule->source->name);
	record->rule_line = position.line;
	record->rule_column = position.column;
	record->rule_key = sg_record_text(sg_rule_infos[rule->kind].name);
	record->rule_text = sg_record_text(rule->written);
	record->rule_flag = sg_record_text(rule->flag);
}

/* --- the line at the terminal --- */

enum { RECENT_MAX = 32, RECENT_MS = 1000 };

/*
 * Workers of the pool report too. Held by the functions that others call: it guards what follows here, and what is remembered of
 * processes (process.h). Under it nothing is waited for but room in the ring of the record.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Refusals that the person was told of a moment ago, by what they say. */
static struct {
	uint64_t hash; /* of the line */
	int64_t until_ms;
} recent[RECENT_MAX];

/* FNV-1a; that two lines of one second have the same hash hides one of them from the terminal, not from the record. */
static uint64_t hash_line(const char *text, size_t size)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
	return hash;
}

/* True if the same line was told within the last second; else it is noted as told now. */
static bool is_repeated(const char *text, size_t size)
{
	const uint64_t hash = hash_line(text, size);
	const int64_t now_ms = sg_now_ms();
	size_t oldest = 0;

	for (size_t i = 0; i < RECENT_MAX; i++) {
		if (recent[i].hash == hash && now_ms < recent[i].until_ms)
			return true;
		if (recent[i].until_ms < recent[oldest].until_ms)
			oldest = i;
	}
	recent[oldest].hash = hash;
	recent[oldest].until_ms = now_ms + RECENT_MS;
	return false;
}

/* "vim may not write /etc/hosts: ReadOnly only (developer.toml:7:12). More: shellguard why" */
static void notice_refusal(struct sg_request *request, const struct sg_decision *decision, const char *program,
			   const char *object, const char *named)
{
	SG_AUTO_BUFFER struct sg_buffer line = SG_BUFFER_INIT;
	const char *shown = object != NULL ? object : named != NULL ? named : "";

	sg_buffer_append_escaped(&line, sg_words_base(program), strlen(sg_words_base(program)));
	sg_buffer_printf(&line, " may not %s ",
			 sg_words_verb(request->operation, sg_words_access(decision->access), shown));
	sg_buffer_append_escaped(&line, shown, strlen(shown));
	/* Of a call, which request or kind of socket it was about. */
	if (strcmp(request->operation, "call") == 0 && named != NULL)
		sg_buffer_printf(&line, " (%s)", named);
	sg_buffer_printf(&line, ": %s", decision->reason);
	if (decision->rule != NULL && decision->rule->flag != NULL)
		sg_buffer_printf(&line, " (of the flag \"%s\")", decision->rule->flag);
	else if (decision->rule != NULL) {
		sg_buffer_append_text(&line, " (");
		sg_words_place(decision->rule, false, &line);
		sg_buffer_append_byte(&line, ')');
	}
	sg_buffer_append_text(&line, ". More: shellguard why");
	if (sg_buffer_status(&line) == 0 && !is_repeated(line.data, line.size))
		sg_notice(sg_entry_control(request->supervisor, request->caller.listener), line.data, line.size);
}

/* Says, not more often than is_repeated() lets it, why nothing is granted any more. Returns `status`. */
static int notice_unrecorded(struct sg_supervisor *supervisor, int status)
{
	char line[256];
	int size;

	if (status >= 0)
		return status;
	size = snprintf(line, sizeof(line), "the record cannot be written (%s): nothing is granted",
			sg_audit_words(status));
	if (!is_repeated(line, (size_t)size))
		sg_notice(supervisor->control, line, (size_t)size);
	return status;
}

int sg_report_possible(struct sg_supervisor *supervisor)
{
	int status;

	(void)pthread_mutex_lock(&lock);
	status = notice_unrecorded(supervisor, sg_audit_alive(supervisor->audit));
	(void)pthread_mutex_unlock(&lock);
	return status;
}

static int report(struct sg_request *request, const struct sg_decision *decision, const char *object, const char *named)
{
	struct sg_supervisor *supervisor = request->supervisor;
	const bool granted = decision->verdict == SG_VERDICT_ALLOW;
	const struct sg_process *process;
	char accesses[SG_WORDS_ACCESSES_SIZE];
	struct sg_record record = {
		.kind = granted ? SG_RECORD_GRANT : SG_RECORD_REFUSAL,
		.world = 1,
		.audience = sg_record_text("owner"),
		.operation = sg_record_text(request->operation),
		.object = sg_record_text(object),
		.named = sg_record_text(named),
		.verdict = granted ? SG_RECORD_VERDICT_ALLOW : SG_RECORD_VERDICT_DENY,
		.error = granted ? 0 : decision->error,
		.reason = sg_record_text(decision->reason),
		.needs = sg_record_text(decision->needs),
		.tid = (uint64_t)request->caller.tid,
	};
	int status;

	sg_words_accesses(decision->access, accesses);
	if (accesses[0] != '\0')
		record.access = sg_record_text(accesses);
	process = sg_process_find(supervisor->view.proc, request->caller.tid, supervisor->world.first);
	if (process != NULL) {
		record.pid = (uint64_t)process->pid;
		record.uid = process->uid;
		record.program = sg_record_text(process->program);
		record.parents = (struct sg_record_ancestors){process->parents, process->parent_count};
	}
	fill_rule(&record, decision->rule);
	status = notice_unrecorded(supervisor, sg_audit_append(supervisor->audit, &record, NULL));
	/* What is hidden is not spoken of where the world could read it back from its terminal. */
	if (!granted && decision->verdict != SG_VERDICT_HIDE && !decision->silent)
		notice_refusal(request, decision, process != NULL ? process->program : "?", object, named);
	return status;
}

int sg_report(struct sg_request *request, const struct sg_decision *decision, const char *object, const char *named)
{
	int status;

	(void)pthread_mutex_lock(&lock);
	status = report(request, decision, object, named);
	(void)pthread_mutex_unlock(&lock);
	return status;
}

/* The kernel takes at most 6 MiB of arguments and environment together (execve(2), since Linux 4.13). */
enum { ARGV_BYTES_MAX = 8 << 20 };

/* At the end of each lies a NUL. Returns 0 or -ENOMEM. */
static int split_arguments(char *text, size_t size, struct sg_record_text **ret_items, size_t *ret_count)
{
	struct sg_record_text *items;
	size_t count = 1;

	for (size_t i = 0; i < size; i++)
		count += text[i] == '\0';
	items = calloc(count, sizeof(*items));
	if (items == NULL)
		return -ENOMEM;
	count = 0;
	for (char *at = text; at < text + size; at += items[count++].size + 1)
		items[count] = (struct sg_record_text){at, strlen(at)};
	*ret_items = items;
	*ret_count = count;
	return 0;
}

enum { STACK_WORDS = 128, STACK_TEXT_MAX = 32 * 1024 };

/* The stack pointer of a stopped thread; 0 if it is none of a 64-bit program's. */
static uint64_t stack_of(pid_t tid)
{
#ifdef __x86_64__
	struct user_regs_struct registers;
	struct iovec whole = {&registers, sizeof(registers)};

	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &whole) == 0 && whole.iov_len == sizeof(registers))
		return registers.rsp;
#endif
	(void)tid;
	return 0;
}

/*
 * In the exec stop the stack is as the kernel has made it (fs/binfmt_elf.c, create_elf_tables): the number of arguments, their
 * addresses, those of the environment; the texts in the same order, one behind the other. Half the cost of /proc/PID/cmdline,
 * which tells the same of the same memory. Returns 1 and all of it, or 0 where it is not as expected, or is long.
 */
static int read_stack(pid_t tid, char **ret_text, size_t *ret_size)
{
	SG_AUTO_FREE char *text = NULL;
	uint64_t words[STACK_WORDS] = {0}, at = stack_of(tid), size, first, behind;
	/* Two elements: what lies behind the end of the stack, if it is near, does not spoil what is before. */
	const size_t to_page = 4096 - (size_t)(at % 4096);
	const size_t near = to_page < sizeof(words) ? to_page : sizeof(words);
	struct iovec local = {words, sizeof(words)},
		     remote[2] = {{(void *)(uintptr_t)at, near},
				  {(void *)(uintptr_t)(at + near), sizeof(words) - near}};
	ssize_t count = at == 0 ? 0 : process_vm_readv(tid, &local, 1, remote, near < sizeof(words) ? 2 : 1, 0);

	if (count < (ssize_t)(4 * sizeof(words[0])) || words[0] == 0 ||
	    words[0] > (uint64_t)count / sizeof(words[0]) - 3)
		return 0;
	first = words[1];
	behind = words[words[0] + 2]; /* the first of the environment */
	if (behind <= first || behind - first > STACK_TEXT_MAX)
		return 0;
	size = behind - first;
	text = malloc(size + 1);
	local = (struct iovec){text, size};
	remote[0] = (struct iovec){(void *)(uintptr_t)first, size};
	if (text == NULL || process_vm_readv(tid, &local, 1, remote, 1, 0) != (ssize_t)size || text[size - 1] != '\0')
		return 0;
	text[size] = '\0';
	*ret_text = sg_take_pointer(text);
	*ret_size = size;
	return 1;
}

/* All of the arguments, so that the record says how many it could not hold. Returns 0 or a negative errno value. */
static int read_arguments(pid_t tid, int proc, char **ret_text, struct sg_record_text **ret_items, size_t *ret_count)
{
	SG_AUTO_FREE char *text = NULL;
	SG_AUTO_FD int fd = -1;
	size_t size = 0;
	char path[32];
	int status;

	if (read_stack(tid, &text, &size) == 0) {
		(void)snprintf(path, sizeof(path), "%d/cmdline", (int)tid);
		fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		status = sg_fd_read_file(fd, ARGV_BYTES_MAX, &text, &size);
		if (status < 0)
			return status;
	}
	status = split_arguments(text, size, ret_items, ret_count);
	if (status == 0)
		*ret_text = sg_take_pointer(text);
	return status;
}

static int report_exec(struct sg_supervisor *supervisor, pid_t tid, const char *program)
{
	SG_AUTO_FREE struct sg_record_text *items = NULL;
	SG_AUTO_FREE char *text = NULL;
	struct sg_record record = {.kind = SG_RECORD_EXEC,
				   .world = 1,
				   .audience = sg_record_text("owner"),
				   .operation = sg_record_text("exec"),
				   .tid = (uint64_t)tid};
	char cwd[4096], path[32];
	const struct sg_process *process;
	size_t count = 0;
	ssize_t length;

	process = sg_process_executed(supervisor->view.proc, tid, supervisor->world.first, program);
	if (process == NULL)
		return -ESRCH;
	if (read_arguments(tid, supervisor->view.proc, &text, &items, &count) < 0)
		return -ESRCH;
	(void)snprintf(path, sizeof(path), "%d/cwd", (int)tid);
	length = readlinkat(supervisor->view.proc, path, cwd, sizeof(cwd) - 1);
	cwd[length < 0 ? 0 : length] = '\0';
	record.pid = (uint64_t)process->pid;
	record.uid = process->uid;
	record.program = sg_record_text(program);
	record.parents = (struct sg_record_ancestors){process->parents, process->parent_count};
	record.argv = (struct sg_record_list){items, count};
	record.cwd = sg_record_text(cwd);
	return notice_unrecorded(supervisor, sg_audit_append(supervisor->audit, &record, NULL));
}

int sg_report_exec(struct sg_supervisor *supervisor, pid_t tid, const char *program)
{
	int status;

	(void)pthread_mutex_lock(&lock);
	status = report_exec(supervisor, tid, program);
	(void)pthread_mutex_unlock(&lock);
	return status;
}
