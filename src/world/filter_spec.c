/* From grants and plan to rules: which rows of the tables hold, and what "refuse" and "notify" mean in this
 * plan. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tables/numbers.h"
#include "tables/values.h"
#include "world/filter.h"

/* What a check row decides; the plan turns it into an action. */
enum verdict {
	VERDICT_ALLOW,
	VERDICT_REFUSE,        /* EPERM, or notified where the plan wants refusals recorded */
	VERDICT_NOTIFY,        /* always */
	VERDICT_INVALID,       /* EINVAL */
	VERDICT_NO_FAMILY,     /* EAFNOSUPPORT */
	VERDICT_PLACE,         /* a place without contents (O_PATH): a look */
	VERDICT_FOLDER,        /* a working directory shared by processes: refused where looks are decided */
	VERDICT_OPEN_WRITE,    /* an open that can write: notified unless the plan mediates no opens */
	VERDICT_CHANGE_EITHER, /* notified if changes by name or by descriptor are */
	VERDICT_MESSAGE,       /* as the plan says for sendmsg */
	VERDICT_LISTEN,        /* as the plan says for listen */
	VERDICT_ACCEPT,        /* as the plan says for accept */
	VERDICT_CORE,          /* answered as done where the limit of core dumps stays, and not done */
	VERDICT_CORE_OLD,      /* it asks for the former limit too: refused there */
};

#ifndef RENAME_WHITEOUT
#define RENAME_WHITEOUT (1 << 2)
#endif

/* CLONE_NEWTIME is not among them: its bit belongs to the exit signal in clone (clone(2)); it needs unshare
 * or clone3. */
#define NAMESPACES                                                                                                     \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
#define SET_ID_BITS (S_ISUID | S_ISGID)
#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)
/* O_ACCMODE whole: 3 is an access mode of its own (open for ioctl alone) that is no plain read. */
#define WRITING_OPEN_BITS (O_ACCMODE | O_CREAT | O_TRUNC | TMPFILE_BIT)
#define SECCOMP_HARMLESS_FLAGS                                                                                         \
	(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW |                        \
	 SECCOMP_FILTER_FLAG_TSYNC_ESRCH)

#define SG_LOW(position, comparison, bits, wanted)                                                                     \
	{                                                                                                              \
		.argument = (position), .width = 32, .compare = (comparison), .mask = (uint32_t)(bits),                \
		.value = (uint32_t)(wanted)                                                                            \
	}
#define SG_IS(argument, value) SG_LOW(argument, SG_FILTER_EQUAL, UINT32_MAX, value)
#define SG_IS_NOT(argument, value) SG_LOW(argument, SG_FILTER_NOT_EQUAL, UINT32_MAX, value)
#define SG_ANY(argument, bits) SG_LOW(argument, SG_FILTER_NOT_EQUAL, bits, 0)
#define SG_ALL(argument, bits) SG_LOW(argument, SG_FILTER_EQUAL, bits, bits)
#define SG_NO(argument, bits) SG_LOW(argument, SG_FILTER_EQUAL, bits, 0)
#define SG_FIELD(argument, mask, value) SG_LOW(argument, SG_FILTER_EQUAL, mask, value)
#define SG_IS_64(position, wanted)                                                                                     \
	{                                                                                                              \
		.argument = (position), .width = 64, .compare = SG_FILTER_EQUAL, .mask = UINT64_MAX, .value = (wanted) \
	}

struct check {
	uint16_t number;
	int16_t unless; /* enum sg_flag */
	uint8_t verdict;
	uint8_t count;
	struct sg_filter_condition conditions[SG_FILTER_CONDITIONS];
};

#define CONDITION_COUNT(...) (sizeof((struct sg_filter_condition[]){__VA_ARGS__}) / sizeof(struct sg_filter_condition))

static const struct check checks[] = {
#define SG_CHECK(call, unless, verdict, ...)                                                                           \
	{SYS_##call, SG_FLAG_##unless, VERDICT_##verdict, CONDITION_COUNT(__VA_ARGS__), {__VA_ARGS__}},
#include "tables/checks.def"
#undef SG_CHECK
};

struct filler {
	const struct sg_filter_grants *grants;
	const struct sg_filter_plan *plan;
	struct sg_filter_spec *spec;
	int status; /* 0 or the first fault */
};

static uint32_t action_errno(int error)
{
	return SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA);
}

static uint32_t action_of_mode(enum sg_filter_mode mode)
{
	return mode == SG_FILTER_NATIVE ? SECCOMP_RET_ALLOW : SECCOMP_RET_USER_NOTIF;
}

static uint32_t action_refuse(const struct sg_filter_plan *plan)
{
	return plan->notify_refusals ? SECCOMP_RET_USER_NOTIF : action_errno(EPERM);
}

static uint32_t action_of_verdict(enum verdict verdict, const struct sg_filter_plan *plan)
{
	switch (verdict) {
	case VERDICT_ALLOW:
		return SECCOMP_RET_ALLOW;
	case VERDICT_NOTIFY:
		return SECCOMP_RET_USER_NOTIF;
	case VERDICT_INVALID:
		return action_errno(EINVAL);
	case VERDICT_NO_FAMILY:
		return action_errno(EAFNOSUPPORT);
	case VERDICT_PLACE:
		return action_of_mode(plan->looks);
	case VERDICT_FOLDER:
		return plan->looks == SG_FILTER_NATIVE ? SECCOMP_RET_ALLOW : action_refuse(plan);
	case VERDICT_OPEN_WRITE:
		return plan->opens == SG_FILTER_OPENS_NONE ? SECCOMP_RET_ALLOW : SECCOMP_RET_USER_NOTIF;
	case VERDICT_CHANGE_EITHER:
		return action_of_mode(plan->changes == SG_FILTER_NATIVE ? plan->fd_changes : plan->changes);
	case VERDICT_MESSAGE:
		return action_of_mode(plan->messages);
	case VERDICT_LISTEN:
		return action_of_mode(plan->listens);
	case VERDICT_ACCEPT:
		return action_of_mode(plan->accepts);
	case VERDICT_CORE:
		return plan->cores_off ? action_errno(0) : SECCOMP_RET_ALLOW;
	case VERDICT_CORE_OLD:
		return plan->cores_off ? action_refuse(plan) : SECCOMP_RET_ALLOW;
	case VERDICT_REFUSE:
		break;
	}
	return action_refuse(plan);
}

/* What a given call does when no row of its matches. */
static uint32_t action_of_class(enum sg_syscall_class class, const struct sg_filter_plan *plan)
{
	switch (class) {
	case SG_CLASS_NATIVE:
	case SG_CLASS_CHECKED:
		return SECCOMP_RET_ALLOW;
	case SG_CLASS_FILE_LOOK:
	case SG_CLASS_FD_LOOK:
	case SG_CLASS_FILE_ENTER:
		return action_of_mode(plan->looks);
	case SG_CLASS_FILE_DETAIL:
		return action_of_mode(plan->details);
	case SG_CLASS_FILE_OPEN:
		return plan->opens == SG_FILTER_OPENS_WRITING || plan->opens == SG_FILTER_OPENS_NONE
			       ? SECCOMP_RET_ALLOW
			       : SECCOMP_RET_USER_NOTIF;
	case SG_CLASS_FILE_CHANGE:
		return action_of_mode(plan->changes);
	case SG_CLASS_FD_CHANGE:
		return action_of_mode(plan->fd_changes);
	case SG_CLASS_EXEC:
	case SG_CLASS_NET_NAME:
		return SECCOMP_RET_USER_NOTIF;
	case SG_CLASS_UNKNOWN:
	case SG_CLASS_NEVER:
	case SG_CLASSES_:
		break;
	}
	return action_refuse(plan);
}

/* Appends a row to the rule that is being made (rows of one rule are appended one after the other). */
static void add_row(struct filler *filler, struct sg_filter_rule *rule, uint32_t action,
		    const struct sg_filter_condition *conditions, uint32_t count)
{
	struct sg_filter_spec *spec = filler->spec;
	struct sg_filter_row *row;

	if (spec->row_count >= SG_FILTER_ROWS) {
		filler->status = -E2BIG;
		return;
	}
	row = &spec->rows[spec->row_count++];
	row->action = action;
	row->count = count;
	memcpy(row->conditions, conditions, count * sizeof(*conditions));
	memset(row->conditions + count, 0, (SG_FILTER_CONDITIONS - count) * sizeof(*conditions));
	rule->count++;
}

/* The rows of checks.def for one call; a row without conditions is the rule's last word. */
static void add_checks(struct filler *filler, unsigned int number, struct sg_filter_rule *rule)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(checks); i++) {
		const struct check *check = &checks[i];
		uint32_t action;

		if (check->number != number || sg_flag_set_has(&filler->grants->flags, check->unless))
			continue;
		action = action_of_verdict((enum verdict)check->verdict, filler->plan);
		if (check->count > 0)
			add_row(filler, rule, action, check->conditions, check->count);
		else
			rule->action = action;
	}
}

static uint32_t action_of_flag(const struct filler *filler, int flag)
{
	return sg_flag_set_has(&filler->grants->flags, (enum sg_flag)flag) ? SECCOMP_RET_ALLOW
									   : action_refuse(filler->plan);
}

static void add_values(struct filler *filler, enum sg_value_table table, struct sg_filter_rule *rule)
{
	const struct sg_value_list *list = sg_value_list(table);

	for (int typed = 0; typed <= 1; typed++)
		for (size_t i = 0; i < list->count; i++) {
			const struct sg_value *value = &list->rows[i];
			struct sg_filter_condition conditions[] = {
				SG_FIELD(list->argument, value->mask, value->value),
				SG_ANY(list->argument, SG_VALUE_DIRECTION),
			};
			uint32_t action = action_of_flag(filler, value->flag);

			if (action == SECCOMP_RET_ALLOW && value->fd_change)
				action = action_of_mode(filler->plan->fd_changes);
			if ((value->mask != UINT32_MAX) == typed)
				add_row(filler, rule, action, conditions, typed ? 2 : 1);
		}
	rule->action = action_errno(list->error);
}

/* Two rounds: what some flag gives is allowed first, then what is known and not given is refused. */
static void add_sockets(struct filler *filler, struct sg_filter_rule *rule)
{
	size_t count;
	const struct sg_socket_kind *kinds = sg_socket_kinds(&count);

	for (int refused = 0; refused <= 1; refused++)
		for (size_t i = 0; i < count; i++) {
			struct sg_filter_condition conditions[] = {
				SG_IS(0, kinds[i].domain),
				SG_FIELD(1, SG_SOCKET_TYPE_MASK, kinds[i].type),
				SG_IS(2, kinds[i].protocol),
			};
			uint32_t action = action_of_flag(filler, kinds[i].flag);

			if ((action != SECCOMP_RET_ALLOW) == refused)
				add_row(filler, rule, action, conditions, kinds[i].protocol == SG_SOCKET_ANY ? 2 : 3);
		}
	rule->action = action_errno(SG_SOCKET_UNKNOWN_ERRNO);
}

static void add_options(struct filler *filler, struct sg_filter_rule *rule)
{
	size_t count;
	const struct sg_socket_option *options = sg_socket_options(&count);

	for (size_t i = 0; i < count; i++) {
		struct sg_filter_condition conditions[] = {SG_IS(1, options[i].level), SG_IS(2, options[i].option)};

		add_row(filler, rule, action_of_flag(filler, options[i].flag), conditions, 2);
	}
	rule->action = action_errno(SG_OPTION_UNKNOWN_ERRNO);
}

static void fill_rule(struct filler *filler, const struct sg_syscall *call, struct sg_filter_rule *rule)
{
	enum sg_syscall_class class = (enum sg_syscall_class)call->class;
	bool given = sg_syscall_set_has(&filler->grants->calls, call->number);

	if (class == SG_CLASS_EXEC && filler->plan->first_exec)
		given = true;
	if (class == SG_CLASS_NEVER) {
		rule->action = call->error == EPERM ? action_refuse(filler->plan) : action_errno(call->error);
		return;
	}
	if (!given) {
		rule->action = action_refuse(filler->plan);
		return;
	}
	rule->action = action_of_class(class, filler->plan);
	if (class == SG_CLASS_NATIVE)
		return; /* no rows, as a test holds checks.def to it */
	add_checks(filler, call->number, rule);
	if (call->number == SYS_socket)
		add_sockets(filler, rule);
	if (call->number == SYS_setsockopt)
		add_options(filler, rule);
	for (int table = 0; table < SG_VALUE_TABLES_; table++)
		if (sg_value_list((enum sg_value_table)table)->number == call->number)
			add_values(filler, (enum sg_value_table)table, rule);
}

int sg_filter_spec_fill(const struct sg_filter_grants *grants, const struct sg_filter_plan *plan,
			struct sg_filter_spec *ret_spec)
{
	struct filler filler = {.grants = grants, .plan = plan, .spec = ret_spec};

	ret_spec->row_count = 0;
	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++) {
		const struct sg_syscall *call = sg_syscall_by_number(number);
		struct sg_filter_rule *rule = &ret_spec->rules[number];

		*rule = (struct sg_filter_rule){action_errno(ENOSYS), (uint16_t)ret_spec->row_count, 0};
		if (call != NULL)
			fill_rule(&filler, call, rule);
	}
	return filler.status;
}
