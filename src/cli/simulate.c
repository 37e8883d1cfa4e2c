/*
 * shellguard syscalls --simulate PROFILE... CALL [ARGUMENT...]: what the exported filter and the session's answer, and by which row.
 *
 * The rows are those that the programs of both are generated from, in their order; the tests hold row and program together
 * (test_filter.c, test_export.c), and this command and the kernel (tests/live/test_simulate.py).
 */
#include "cli/simulate.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/help.h"
#include "cli/layout.h"
#include "cli/pathwhy.h"
#include "export/static_filter.h"
#include "policy/words.h"
#include "tables/values.h"
#include "world/grants.h"

static const struct {
	const char *name;
	uint64_t value;
} constants[] = {
#define SG_CONSTANT(name) {#name, (uint64_t)(int64_t)(name)},
#include "tables/constants.def"
#undef SG_CONSTANT
};

enum { X32_BIT = 0x40000000 }; /* asm/unistd.h, __X32_SYSCALL_BIT */

/* --- the question --- */

struct question {
	const struct sg_syscall *call; /* NULL: no call of x86_64 has that number */
	uint64_t number;
	uint64_t arguments[SG_SYSCALL_ARGUMENTS];
	size_t count; /* of arguments that were given; the rest is 0 */
};

/* A name of the lists of values: an ioctl's, an option's of prctl, of sockets ("SO_KEEPALIVE"). */
static bool find_listed(const char *name, uint64_t *ret)
{
	size_t count;
	const struct sg_socket_option *options = sg_socket_options(&count);

	for (int table = 0; table < SG_VALUE_TABLES_; table++) {
		const struct sg_value_list *list = sg_value_list((enum sg_value_table)table);

		for (size_t i = 0; i < list->count; i++)
			if (list->rows[i].mask == UINT32_MAX && strcmp(list->rows[i].name, name) == 0) {
				*ret = list->rows[i].value;
				return true;
			}
	}
	for (size_t i = 0; i < count; i++) {
		const char *option = strchr(options[i].name, ' ');

		if (option != NULL && strcmp(option + 1, name) == 0) {
			*ret = (uint32_t)options[i].option;
			return true;
		}
	}
	return false;
}

static bool find_value(const char *name, uint64_t *ret)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(constants); i++)
		if (strcmp(constants[i].name, name) == 0) {
			*ret = constants[i].value;
			return true;
		}
	return find_listed(name, ret);
}

/* A number as C writes it, also below 0: what the register holds is its two's complement. */
static bool read_number(const char *text, uint64_t *ret)
{
	char *end;

	if (!(text[0] >= '0' && text[0] <= '9') && !(text[0] == '-' && text[1] >= '0' && text[1] <= '9'))
		return false;
	errno = 0;
	*ret = text[0] == '-' ? (uint64_t)strtoll(text, &end, 0) : strtoull(text, &end, 0);
	return errno == 0 && *end == '\0';
}

static int complain_of_word(const char *word)
{
	const char *names[SG_ARRAY_SIZE(constants)], *nearest;

	for (size_t i = 0; i < SG_ARRAY_SIZE(constants); i++)
		names[i] = constants[i].name;
	nearest = sg_text_nearest(word, names, SG_ARRAY_SIZE(constants));
	sg_complain("\"%s\" is no number and no name of a value%s%s%s", word,
		    nearest != NULL ? ", did you mean \"" : "", nearest != NULL ? nearest : "",
		    nearest != NULL ? "\"?" : "");
	return SG_EXIT_USAGE;
}

/* Numbers and names with '|' between. Returns 0 or an exit status. */
static int read_argument(const char *text, uint64_t *ret)
{
	char word[64];

	*ret = 0;
	for (const char *at = text;; at++) {
		const size_t length = strcspn(at, "|");
		uint64_t value;

		(void)snprintf(word, sizeof(word), "%.*s", (int)(length < sizeof(word) ? length : sizeof(word) - 1),
			       at);
		if (length >= sizeof(word) || (!read_number(word, &value) && !find_value(word, &value)))
			return complain_of_word(word);
		*ret |= value;
		at += length;
		if (*at == '\0')
			return 0;
	}
}

/* By name or number. A number is one, whether there is such a call or not: *ret_call is NULL then. */
static bool find_call(const char *word, const struct sg_syscall **ret_call, uint64_t *ret_number)
{
	if (read_number(word, ret_number)) {
		*ret_call = *ret_number < SG_SYSCALL_LIMIT ? sg_syscall_by_number((unsigned int)*ret_number) : NULL;
		return true;
	}
	*ret_call = sg_syscall_by_name(word, strlen(word));
	*ret_number = *ret_call != NULL ? (*ret_call)->number : 0;
	return *ret_call != NULL;
}

/* Splits PROFILE... CALL [ARGUMENT...]: the first word is a profile, the first call after it the call. */
static int read_question(char **words, size_t *ret_profiles, struct question *ret)
{
	size_t profiles = 1;
	int status = 0;

	if (words[0] == NULL || words[1] == NULL)
		return sg_command_usage("syscalls");
	while (words[profiles] != NULL && !find_call(words[profiles], &ret->call, &ret->number))
		profiles++;
	if (words[profiles] == NULL) {
		sg_complain("none of these is a system call: say PROFILE... CALL [ARGUMENT...]");
		return SG_EXIT_USAGE;
	}
	if (ret->number > UINT32_MAX) {
		sg_complain("a system call has a number of 32 bits");
		return SG_EXIT_USAGE;
	}
	for (char **word = words + profiles + 1; *word != NULL && status == 0; word++) {
		if (ret->count == SG_SYSCALL_ARGUMENTS) {
			sg_complain("a system call has at most %d arguments", SG_SYSCALL_ARGUMENTS);
			return SG_EXIT_USAGE;
		}
		status = read_argument(*word, &ret->arguments[ret->count++]);
	}
	*ret_profiles = profiles;
	return status;
}

/* --- the answer --- */

struct answer {
	uint32_t action;
	struct sg_filter_row row;  /* a copy of the one that decided */
	unsigned int number, rows; /* of the row, from 1 (0: none matched, the call as such decided); of the call */
};

static bool holds(const struct sg_filter_condition *condition, const uint64_t *arguments)
{
	uint64_t value = arguments[condition->argument];

	if (condition->width == 32)
		value = (uint32_t)value;
	if (condition->compare == SG_FILTER_IN_RANGE)
		return value >= condition->value && value <= condition->last;
	return ((value & condition->mask) == condition->value) == (condition->compare == SG_FILTER_EQUAL);
}

static struct answer answer_of(const struct sg_filter_spec *spec, const struct question *question)
{
	const struct sg_filter_rule *rule = &spec->rules[question->call->number];
	struct answer answer = {.action = rule->action, .rows = rule->count};

	for (unsigned int i = 0; i < rule->count && answer.number == 0; i++) {
		const struct sg_filter_row *row = &spec->rows[rule->first + i];
		bool all = true;

		for (uint32_t j = 0; j < row->count; j++)
			all &= holds(&row->conditions[j], question->arguments);
		if (all)
			answer = (struct answer){row->action, *row, i + 1, rule->count};
	}
	return answer;
}

/* Both filters' answers. Returns 0 or an exit status. */
static int ask(struct sg_policy *policy, const struct sg_variables *variables, const struct question *question,
	       struct answer *ret_exported, struct answer *ret_session, struct sg_error *session_error)
{
	SG_AUTO_FREE struct sg_filter_spec *spec = malloc(sizeof(*spec));
	SG_AUTO_PLAN struct sg_plan *plan = NULL;
	struct sg_filter_grants grants;
	struct sg_filter_plan filter_plan;

	/* All flags, also those that the profile does not name: they are what would give a call. */
	if (spec == NULL || sg_policy_read_flags(policy) < 0 || sg_static_filter(policy, spec) < 0)
		return SG_EXIT_FAILED;
	*ret_exported = answer_of(spec, question);
	if (sg_plan_of_caller(policy, variables, &plan, session_error) != 0)
		return 0;
	sg_grants_find(policy, &grants);
	sg_grants_plan(plan, &filter_plan);
	/* Refusals pass by the supervisor to be recorded; what the program gets is the refusal. */
	filter_plan.notify_refusals = false;
	if (sg_filter_spec_fill(&grants, &filter_plan, spec) < 0)
		return SG_EXIT_FAILED;
	*ret_session = answer_of(spec, question);
	return 0;
}

static void append_action(uint32_t action, struct sg_buffer *out)
{
	switch (action & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		sg_buffer_append_text(out, "allowed: the kernel carries it out");
		return;
	case SECCOMP_RET_USER_NOTIF:
		sg_buffer_append_text(out, "asked of the supervisor, which decides on what it names");
		return;
	default:
		sg_buffer_printf(out, "refused with %s", strerrorname_np((int)(action & SECCOMP_RET_DATA)));
	}
}

static void append_condition(const struct sg_filter_condition *condition, struct sg_buffer *out)
{
	const uint64_t all = condition->width == 32 ? UINT32_MAX : UINT64_MAX;

	sg_buffer_printf(out, "argument %u", condition->argument);
	if (condition->compare == SG_FILTER_IN_RANGE)
		sg_buffer_printf(out, " from %#llx to %#llx", (unsigned long long)condition->value,
				 (unsigned long long)condition->last);
	else if (condition->mask == all)
		sg_buffer_printf(out, " is %s%#llx", condition->compare == SG_FILTER_EQUAL ? "" : "not ",
				 (unsigned long long)condition->value);
	else if (condition->compare == SG_FILTER_NOT_EQUAL && condition->value == 0)
		sg_buffer_printf(out, " has a bit of %#llx", (unsigned long long)condition->mask);
	else
		sg_buffer_printf(out, ", of the bits %#llx, is %s%#llx", (unsigned long long)condition->mask,
				 condition->compare == SG_FILTER_EQUAL ? "" : "not ",
				 (unsigned long long)condition->value);
}

static void append_row(const struct answer *answer, struct sg_buffer *out)
{
	if (answer->number == 0) {
		sg_buffer_append_text(out, answer->rows == 0
						   ? "the call as such; its arguments are not looked at"
						   : "the call as such: none of its rows speaks of these arguments");
		return;
	}
	sg_buffer_printf(out, "row %u of %u: ", answer->number, answer->rows);
	for (uint32_t i = 0; i < answer->row.count; i++) {
		sg_buffer_append_text(out, i == 0 ? "" : "; ");
		append_condition(&answer->row.conditions[i], out);
	}
}

static void append_answer(const char *title, const struct answer *answer, struct sg_buffer *out)
{
	sg_buffer_printf(out, "  %s\t", title);
	append_action(answer->action, out);
	sg_buffer_append_text(out, " (");
	append_row(answer, out);
	sg_buffer_append_text(out, ")\n");
}

/* What would give a call that is refused, in words of flags and denies; "" where it is not. */
static void explain(const struct sg_policy *policy, const struct question *question, const struct answer *answer,
		    struct sg_buffer *out)
{
	struct sg_need need;
	char words[1024];

	if ((answer->action & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_ERRNO)
		return;
	sg_need_find(policy, question->call, question->arguments, &need);
	sg_words_need(&need, words, sizeof(words));
	if (need.detail != NULL)
		sg_buffer_printf(out, "%s: ", need.detail);
	sg_buffer_append_text(out, words);
}

/*
 * What both filters do with a number that no call has; the same under every profile (filter.h, seccomp.c). Numbers of x32 are those of
 * another architecture for who loads the JSON.
 */
static int write_unnamed(const struct question *question, bool json)
{
	const bool x32 = (question->number & X32_BIT) != 0;
	const char *by = x32 ? "a number of x32, which is closed" : "no call of x86_64 has this number";
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

	if (json) {
		sg_buffer_printf(
			&out,
			"{\"call\":null,\"number\":%llu,\"arguments\":[],\"exported\":{\"action\":\"%s\"%s,\"row\":0,"
			"\"rows\":0,\"by\":\"%s\"},\"session\":{\"action\":\"error\",\"error\":\"ENOSYS\",\"row\":0,"
			"\"rows\":0,"
			"\"by\":\"%s\"}}\n",
			(unsigned long long)question->number, x32 ? "kill" : "error", x32 ? "" : ",\"error\":\"EPERM\"",
			by, by);
	} else {
		sg_buffer_printf(&out,
				 "%#llx\n\n  exported\t%s; by the program for the kernel, refused with ENOSYS (%s)\n",
				 (unsigned long long)question->number, x32 ? "killed" : "refused with EPERM", by);
		sg_buffer_printf(&out, "  session\trefused with ENOSYS (%s)\n", by);
	}
	return sg_layout_print(STDOUT_FILENO, &out, json);
}

static void write_text(const struct sg_policy *policy, const struct question *question, const struct answer *exported,
		       const struct answer *session, const char *session_error, struct sg_buffer *out)
{
	SG_AUTO_BUFFER struct sg_buffer why = SG_BUFFER_INIT;

	sg_buffer_printf(out, "%s(", question->call->name);
	for (size_t i = 0; i < question->count; i++)
		sg_buffer_printf(out, "%s%#llx", i == 0 ? "" : ", ", (unsigned long long)question->arguments[i]);
	sg_buffer_append_text(out, ")\n\n");
	append_answer("exported", exported, out);
	if (session_error[0] != '\0')
		sg_buffer_printf(out, "  session\tnone here: %s\n", session_error);
	else
		append_answer("session", session, out);
	explain(policy, question, exported, &why);
	if (why.size > 0)
		sg_buffer_printf(out, "  why\t%s\n", why.data);
}

static void append_json_answer(const char *name, const struct answer *answer, struct sg_buffer *out)
{
	const uint32_t action = answer->action & SECCOMP_RET_ACTION_FULL;
	SG_AUTO_BUFFER struct sg_buffer row = SG_BUFFER_INIT;

	append_row(answer, &row);
	sg_buffer_printf(out, ",\"%s\":{\"action\":\"%s\"", name,
			 action == SECCOMP_RET_ALLOW        ? "allow"
			 : action == SECCOMP_RET_USER_NOTIF ? "ask"
							    : "error");
	if (action == SECCOMP_RET_ERRNO)
		sg_buffer_printf(out, ",\"error\":\"%s\"", strerrorname_np((int)(answer->action & SECCOMP_RET_DATA)));
	sg_buffer_printf(out, ",\"row\":%u,\"rows\":%u,\"by\":", answer->number, answer->rows);
	sg_buffer_append_json(out, row.data != NULL ? row.data : "", row.size);
	sg_buffer_append_byte(out, '}');
}

static void write_json(const struct sg_policy *policy, const struct question *question, const struct answer *exported,
		       const struct answer *session, const char *session_error, struct sg_buffer *out)
{
	SG_AUTO_BUFFER struct sg_buffer why = SG_BUFFER_INIT;

	sg_buffer_printf(out, "{\"call\":\"%s\",\"number\":%u,\"arguments\":[", question->call->name,
			 question->call->number);
	for (size_t i = 0; i < question->count; i++)
		sg_buffer_printf(out, "%s%llu", i == 0 ? "" : ",", (unsigned long long)question->arguments[i]);
	sg_buffer_append_byte(out, ']');
	append_json_answer("exported", exported, out);
	if (session_error[0] == '\0') {
		append_json_answer("session", session, out);
	} else {
		sg_buffer_append_text(out, ",\"session\":null,\"session_error\":");
		sg_buffer_append_json(out, session_error, strlen(session_error));
	}
	explain(policy, question, exported, &why);
	if (why.size > 0) {
		sg_buffer_append_text(out, ",\"why\":");
		sg_buffer_append_json(out, why.data, why.size);
	}
	sg_buffer_append_text(out, "}\n");
}

int sg_simulate(const struct sg_options *options)
{
	const struct sg_variables *variables = sg_variables_of_caller();
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	struct sg_error session_error = SG_ERROR_INIT;
	struct question question = {0};
	struct answer exported, session = {0};
	size_t profiles = 0;
	int status = read_question(options->command, &profiles, &question);

	if (status == 0 && variables == NULL) {
		sg_complain("the working directory is gone");
		status = SG_EXIT_FAILED;
	}
	if (status == 0)
		status = sg_load_policy((const char *const *)options->command, profiles, NULL, variables, &policy);
	if (status == 0 && question.call == NULL)
		return write_unnamed(&question, options->json);
	if (status == 0)
		status = ask(policy, variables, &question, &exported, &session, &session_error);
	if (status != 0)
		return status;
	(options->json ? write_json : write_text)(policy, &question, &exported, &session, session_error.text, &out);
	return sg_layout_print(STDOUT_FILENO, &out, options->json);
}
