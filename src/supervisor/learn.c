/* What is put on the record of a watched session beside what every session records. The argument stands in learn.h. */
#include "supervisor/learn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "policy/needs.h"
#include "tables/numbers.h"
#include "world/filter_learn.h"

struct sg_learning {
	const struct sg_filter_program *truth;
	struct sg_filter_spec *checks;
	size_t count;
	bool full;                       /* and said */
	uint64_t seen[2 * SG_LEARN_MAX]; /* hash table; 0: free */
};

void sg_learning_free(struct sg_learning *learning)
{
	if (learning != NULL)
		free(learning->checks);
	free(learning);
}

int sg_learning_new(const struct sg_filter_program *truth, struct sg_learning **ret)
{
	struct sg_learning *learning = calloc(1, sizeof(*learning));

	if (learning == NULL)
		return -ENOMEM;
	learning->truth = truth;
	learning->checks = sg_filter_checks_new();
	if (learning->checks == NULL) {
		sg_learning_free(learning);
		return -ENOMEM;
	}
	*ret = learning;
	return 0;
}

static uint64_t *find(struct sg_learning *learning, uint64_t sum)
{
	size_t at = (size_t)(sum % SG_ARRAY_SIZE(learning->seen));

	while (learning->seen[at] != 0 && learning->seen[at] != sum)
		at = (at + 1) % SG_ARRAY_SIZE(learning->seen);
	return &learning->seen[at];
}

static void say_full(struct sg_request *request)
{
	static const char text[] = "more is used than can be remembered: the proposal will lack some of it";
	const struct sg_record note = {.kind = SG_RECORD_NOTE,
				       .world = 1,
				       .audience = sg_record_text("owner"),
				       .message = sg_record_text(text)};

	request->supervisor->learning->full = true;
	if (sg_audit_append(request->supervisor->audit, &note, NULL) < 0)
		return; /* the call that is being handled finds that, too, and is refused */
	sg_notice(request->supervisor->control, text, sizeof(text) - 1);
}

/* True if it is new, and now remembered. */
static bool remember(struct sg_request *request, uint64_t sum)
{
	struct sg_learning *learning = request->supervisor->learning;
	uint64_t *cell = find(learning, sum != 0 ? sum : 1);

	if (*cell != 0)
		return false;
	if (learning->count >= SG_LEARN_MAX) {
		if (!learning->full)
			say_full(request);
		return false;
	}
	learning->count++;
	*cell = sum != 0 ? sum : 1;
	return true;
}

/* FNV-1a over a text, from a sum that says what it is about. */
static uint64_t hash_text(uint64_t sum, const char *text)
{
	for (; *text != '\0'; text++)
		sum = (sum ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return (sum ^ sum >> 31) * UINT64_C(0x9e3779b97f4a7c15);
}

static const struct sg_decision seen = {.verdict = SG_VERDICT_ALLOW, .reason = "seen while learning"};

/* A call that the policy gives, with the first of its arguments that a check tells apart. Returns 0, or the error of the record. */
static int note_call(struct sg_request *request, const struct sg_syscall *call)
{
	const struct seccomp_data *data = &request->notification.data;
	char arguments[6 * 20];
	int status;

	if (!remember(request, sg_filter_signature(request->supervisor->learning->checks, data)))
		return 0;
	(void)snprintf(arguments, sizeof(arguments), "%llx %llx %llx %llx %llx %llx", data->args[0], data->args[1],
		       data->args[2], data->args[3], data->args[4], data->args[5]);
	request->operation = "call";
	status = sg_report(request, &seen, call->name, arguments);
	return status;
}

/* Whether a look does not follow a link at the end of its name: by the call, or by its flags. */
static bool looks_at_link(const struct seccomp_data *data)
{
	switch (data->nr) {
	case SYS_lstat:
	case SYS_readlink:
	case SYS_readlinkat:
	case SYS_lgetxattr:
	case SYS_llistxattr:
		return true;
	case SYS_newfstatat:
	case SYS_faccessat2:
		return (data->args[3] & AT_SYMLINK_NOFOLLOW) != 0;
	case SYS_statx:
		return (data->args[2] & AT_SYMLINK_NOFOLLOW) != 0;
	default:
		return false;
	}
}

/* Where the call has an argument of that role: its index, or -1. */
static int find_role(const struct sg_syscall *call, enum sg_arg_role role)
{
	for (unsigned int i = 0; i < SG_SYSCALL_ARGUMENTS; i++)
		if (sg_syscall_role(call, i) == role)
			return (int)i;
	return -1;
}

/* An object that was found by a name, and what is done with it. Returns 0, or the error of the record. */
static int note_object(struct sg_request *request, const char *operation, const char *named,
		       const struct sg_resolved *object)
{
	if (object->unnamed || object->magic ||
	    !remember(request, hash_text(hash_text(hash_text(0, operation), named), object->name)))
		return 0;
	request->operation = operation;
	return sg_report(request, &seen, object->name, named);
}

/* A name that is there and is looked at. What cannot be read or found is not noted: nothing stands on it. */
static int note_look(struct sg_request *request, const struct sg_syscall *call)
{
	const struct seccomp_data *data = &request->notification.data;
	const int path = find_role(call, SG_ARG_PATH), folder = find_role(call, SG_ARG_DIRFD);
	const unsigned int flags = looks_at_link(data) ? SG_RESOLVE_NO_FOLLOW : 0U;
	SG_CLEANUP(sg_resolved_done) struct sg_resolved object;
	char named[PATH_MAX];

	/* Where walking a name may wait for a server, nobody walks one for a comment. */
	if (path < 0 || request->supervisor->pool != NULL)
		return 0;
	sg_resolved_init(&object);
	if (sg_caller_read_string(&request->caller, data->args[path], named, sizeof(named)) <= 0 ||
	    sg_resolve(&request->supervisor->view, &request->caller, folder < 0 ? AT_FDCWD : (int)data->args[folder],
		       named, flags, &object) < 0)
		return 0;
	return note_object(request, "look", named, &object);
}

void sg_learn_note_program(struct sg_request *request, const char *named, const struct sg_resolved *program)
{
	const char *operation = request->operation;

	/* The execution itself is recorded too, and refused where that fails. */
	(void)note_object(request, "run", named, program);
	request->operation = operation;
}

static bool is_look(const struct sg_syscall *call)
{
	return call->class == SG_CLASS_FILE_LOOK || call->class == SG_CLASS_FILE_DETAIL ||
	       call->class == SG_CLASS_FILE_ENTER || call->class == SG_CLASS_FILE_OPEN;
}

/*
 * Whether a notified call is one that the policy gives, with these arguments, and that is decided by what it names. The others are
 * refused, and recorded so: what was refused is no use.
 */
static bool is_mediated(const struct sg_request *request, const struct sg_syscall *call)
{
	struct sg_need need;

	if (!sg_call_is_given(request->supervisor, call) || call->class == SG_CLASS_NATIVE ||
	    call->class == SG_CLASS_CHECKED)
		return false;
	sg_need_find(request->supervisor->policy, call, (const uint64_t *)request->notification.data.args, &need);
	return need.kind == SG_NEED_UNKNOWN;
}

bool sg_learn_handle(struct sg_request *request)
{
	const struct sg_filter_program *truth = request->supervisor->learning->truth;
	const struct seccomp_data *data = &request->notification.data;
	const struct sg_syscall *call = sg_syscall_by_number((unsigned int)data->nr);
	const uint32_t answer = sg_filter_simulate(truth->code, truth->count, data);
	const uint32_t action = answer & SECCOMP_RET_ACTION_FULL;
	int status = 0;

	if (action == SECCOMP_RET_USER_NOTIF) {
		if (call != NULL && is_mediated(request, call))
			status = note_call(request, call);
		request->operation = "call";
		if (status == 0)
			return false;
	} else if (action == SECCOMP_RET_ALLOW && call != NULL) {
		status = note_call(request, call);
		if (status == 0 && is_look(call))
			status = note_look(request, call);
	} else {
		if (answer == SECCOMP_RET_ERRNO) /* done, it says */
			sg_answer_value(request, 0);
		else
			sg_answer_error(request,
					action == SECCOMP_RET_ERRNO ? (int)(answer & SECCOMP_RET_DATA) : EPERM);
		return true;
	}
	/* Without a record nothing is given. */
	if (status < 0)
		sg_answer_error(request, EIO);
	else
		sg_answer_continue(request);
	return true;
}
