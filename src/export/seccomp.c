/*
 * seccomp: the JSON of OCI (crun, runc, podman, Docker and Kubernetes take it), and the program for the kernel itself.
 *
 * JSON: what is allowed, by name, with the arguments where they matter (cubes.h); all else answers EPERM, and calls after which
 * the C library falls back to another answer ENOSYS. One architecture: other ones, x32 and int 0x80 are killed by whoever loads
 * it. The program is the one of the session, without a supervisor behind it (static_filter.h).
 */
#include "export/seccomp.h"

#include <errno.h>
#include <jansson.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "export/cubes.h"
#include "export/exporters.h"
#include "export/host.h"
#include "export/static_filter.h"

/* --- what it holds --- */

#define NO_NAMES "a system call filter sees numbers, not the names behind pointers"

struct sg_hold sg_seccomp_judge_calls(const struct sg_policy *policy, const struct sg_rule *rule)
{
	const char *open = sg_static_filter_leaves_open(policy, rule);

	return open == NULL ? (struct sg_hold){SG_HOLDS, NULL} : (struct sg_hold){SG_HOLDS_PARTLY, open};
}

static struct sg_hold judge(const struct sg_export *with, const struct sg_rule *rule)
{
	switch (rule->kind) {
	case SG_RULE_FLAG:
	case SG_RULE_SYSCALL:
		return (struct sg_hold){SG_HOLDS, NULL};
	case SG_RULE_DENY_FLAG:
	case SG_RULE_DENY_SYSCALL:
		return sg_seccomp_judge_calls(with->policy, rule);
	case SG_RULE_ALLOW:
	case SG_RULE_DENY_ADDRESS:
	case SG_RULE_LISTEN:
		if (!sg_static_filter_has_sockets(with->policy))
			return (struct sg_hold){SG_HOLDS, NULL};
		break;
	case SG_RULE_LIMIT:
	case SG_RULE_ENVIRONMENT:
	case SG_RULE_DIRECTORY:
	case SG_RULE_USER:
	case SG_RULE_CAPABILITY:
	case SG_RULE_DENY_CAPABILITY:
		return (struct sg_hold){SG_HOLDS_NOT, "it is no system call"};
	default:
		break;
	}
	return (struct sg_hold){SG_HOLDS_NOT, NO_NAMES};
}

static struct sg_hold judge_rest(const struct sg_export *with, enum sg_export_rest rest)
{
	switch (rest) {
	case SG_REST_CALLS:
		return sg_seccomp_judge_calls(with->policy, NULL);
	case SG_REST_ADDRESSES:
		if (!sg_static_filter_has_sockets(with->policy))
			return (struct sg_hold){SG_HOLDS, NULL};
		return (struct sg_hold){SG_HOLDS_NOT, NO_NAMES};
	case SG_REST_CAPABILITIES:
	case SG_REST_ENVIRONMENT:
		return (struct sg_hold){SG_HOLDS_NOT, "it is no system call"};
	default:
		return (struct sg_hold){SG_HOLDS_NOT, NO_NAMES};
	}
}

/* --- JSON --- */

/* A call and one cube of what is allowed of it. */
struct permit {
	struct sg_cube cube;
	const char *name;
};

struct permits {
	struct permit *permits; /* owned */
	size_t count, capacity;
};

static int add_permits(struct permits *to, const char *name, const struct sg_cubes *cubes)
{
	for (size_t i = 0; i < cubes->count; i++) {
		if (to->count == to->capacity) {
			const size_t capacity = to->capacity > 0 ? 2 * to->capacity : 512;
			struct permit *grown = reallocarray(to->permits, capacity, sizeof(*grown));

			if (grown == NULL)
				return -ENOMEM;
			to->permits = grown;
			to->capacity = capacity;
		}
		to->permits[to->count++] = (struct permit){cubes->cubes[i], name};
	}
	return 0;
}

/* By what is asked of the arguments, then by name: calls of one question become one rule. */
static int compare_permits(const void *a, const void *b)
{
	const struct permit *x = a, *y = b;
	const int order = sg_cube_compare(&x->cube, &y->cube);

	return order != 0 ? order : strcmp(x->name, y->name);
}

static json_t *arguments_of(const struct sg_cube *cube)
{
	json_t *arguments = json_array();

	for (unsigned int i = 0; i < SG_SYSCALL_ARGUMENTS && arguments != NULL; i++) {
		json_t *argument;

		if (cube->mask[i] == 0)
			continue;
		if (cube->mask[i] == UINT64_MAX)
			argument = json_pack("{s:i, s:I, s:s}", "index", (int)i, "value", (json_int_t)cube->value[i],
					     "op", "SCMP_CMP_EQ");
		else
			argument =
				json_pack("{s:i, s:I, s:I, s:s}", "index", (int)i, "value", (json_int_t)cube->mask[i],
					  "valueTwo", (json_int_t)cube->value[i], "op", "SCMP_CMP_MASKED_EQ");
		if (argument == NULL || json_array_append_new(arguments, argument) < 0) {
			json_decref(arguments);
			return NULL;
		}
	}
	return arguments;
}

/* Appends the rule of `count` permits that ask the same. */
static int append_permits(json_t *rules, const struct permit *permits, size_t count)
{
	json_t *names = json_array(), *arguments = arguments_of(&permits[0].cube), *rule;
	int r = names == NULL || arguments == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = json_array_append_new(names, json_string(permits[i].name)) < 0 ? -ENOMEM : 0;
	if (r != 0) {
		json_decref(names);
		json_decref(arguments);
		return r;
	}
	if (json_array_size(arguments) == 0) {
		json_decref(arguments);
		rule = json_pack("{s:o, s:s}", "names", names, "action", "SCMP_ACT_ALLOW");
	} else {
		rule = json_pack("{s:o, s:s, s:o}", "names", names, "action", "SCMP_ACT_ALLOW", "args", arguments);
	}
	return rule == NULL || json_array_append_new(rules, rule) < 0 ? -ENOMEM : 0;
}

/* Calls that answer ENOSYS, so that programs fall back to others. */
static int append_missing(json_t *rules, const struct sg_filter_spec *spec)
{
	json_t *names = json_array(), *rule;

	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT && names != NULL; number++) {
		const struct sg_syscall *call = sg_syscall_by_number(number);

		if (call != NULL && spec->rules[number].count == 0 &&
		    spec->rules[number].action == (SECCOMP_RET_ERRNO | ENOSYS))
			(void)json_array_append_new(names, json_string(call->name));
	}
	if (names != NULL && json_array_size(names) == 0) {
		json_decref(names);
		return 0;
	}
	rule = json_pack("{s:o, s:s, s:i}", "names", names, "action", "SCMP_ACT_ERRNO", "errnoRet", ENOSYS);
	return rule == NULL || json_array_append_new(rules, rule) < 0 ? -ENOMEM : 0;
}

static int append_calls(json_t *rules, const struct sg_filter_spec *spec)
{
	struct permits permits = {0};
	int r = 0;

	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT && r == 0; number++) {
		const struct sg_syscall *call = sg_syscall_by_number(number);
		SG_AUTO_CUBES struct sg_cubes cubes = {0};

		if (call == NULL)
			continue;
		r = sg_cubes_of_rule(spec, &spec->rules[number], &cubes);
		if (r == 0)
			r = add_permits(&permits, call->name, &cubes);
	}
	if (r == 0 && permits.count > 0)
		qsort(permits.permits, permits.count, sizeof(*permits.permits), compare_permits);
	for (size_t i = 0, same; i < permits.count && r == 0; i += same) {
		same = 1;
		while (i + same < permits.count &&
		       sg_cube_compare(&permits.permits[i].cube, &permits.permits[i + same].cube) == 0)
			same++;
		r = append_permits(rules, permits.permits + i, same);
	}
	free(permits.permits);
	return r;
}

json_t *sg_seccomp_json(const struct sg_policy *policy)
{
	SG_AUTO_FREE struct sg_filter_spec *spec = malloc(sizeof(*spec));
	json_t *rules = json_array();
	int r = spec == NULL || rules == NULL ? -ENOMEM : sg_static_filter(policy, spec);

	if (r == 0)
		r = append_calls(rules, spec);
	if (r == 0)
		r = append_missing(rules, spec);
	if (r != 0) {
		json_decref(rules);
		return NULL;
	}
	return json_pack("{s:s, s:i, s:[s], s:o}", "defaultAction", "SCMP_ACT_ERRNO", "defaultErrnoRet", EPERM,
			 "architectures", "SCMP_ARCH_X86_64", "syscalls", rules);
}

int sg_export_add_matrix(const struct sg_export *with, json_t *to)
{
	SG_AUTO_BUFFER struct sg_buffer header = SG_BUFFER_INIT;
	json_t *lines = json_array();
	int r = lines == NULL ? -ENOMEM : 0;

	sg_export_header(with, "", &header);
	if (r == 0)
		r = sg_buffer_status(&header);
	for (const char *line = header.data; r == 0 && line != NULL && *line != '\0';) {
		const size_t length = strcspn(line, "\n");

		r = json_array_append_new(lines, json_stringn(line, length)) < 0 ? -ENOMEM : 0;
		line += length + (line[length] == '\n' ? 1 : 0);
	}
	if (r == 0)
		return json_object_set_new(to, "x-shellguard", lines) < 0 ? -ENOMEM : 0;
	json_decref(lines);
	return r;
}

int sg_export_append_json(const struct sg_export *with, json_t *json, struct sg_buffer *out, struct sg_error *error)
{
	char *text = NULL;
	int r = json == NULL ? -ENOMEM : sg_export_add_matrix(with, json);

	if (r == 0) {
		text = json_dumps(json, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		r = text == NULL ? -ENOMEM : 0;
	}
	if (r == 0) {
		sg_buffer_append_text(out, text);
		sg_buffer_append_byte(out, '\n');
		r = sg_buffer_status(out);
	}
	free(text);
	json_decref(json);
	return r == 0 ? 0 : sg_error_set_errno(error, r, "cannot write the artefact for %s", with->exporter->name);
}

static int write_json(const struct sg_export *with, struct sg_buffer *out, struct sg_error *error)
{
	return sg_export_append_json(with, sg_seccomp_json(with->policy), out, error);
}

const struct sg_exporter sg_export_seccomp = {
	.name = "seccomp",
	.summary = "system call filter as OCI JSON, for crun, runc, podman, Docker, Kubernetes",
	.suffix = ".seccomp.json",
	.judge = judge,
	.judge_rest = judge_rest,
	.write = write_json,
	.probe = sg_host_runs_containers,
};

/* --- the program --- */

static int write_program(const struct sg_export *with, struct sg_buffer *out, struct sg_error *error)
{
	SG_AUTO_FREE struct sg_filter_spec *spec = malloc(sizeof(*spec));
	SG_AUTO_FREE struct sg_filter_program *program = malloc(sizeof(*program));
	int r = spec == NULL || program == NULL ? -ENOMEM : sg_static_filter(with->policy, spec);

	if (r == 0)
		r = sg_filter_generate(spec, program);
	if (r != 0)
		return sg_error_set_errno(error, r, "cannot make the system call filter");
	sg_buffer_append(out, program->code, program->count * sizeof(program->code[0]));
	return sg_buffer_status(out);
}

const struct sg_exporter sg_export_bpf = {
	.name = "seccomp-bpf",
	.summary = "system call filter as a program for the kernel (struct sock_filter, x86_64)",
	.suffix = ".bpf",
	.judge = judge,
	.judge_rest = judge_rest,
	.write = write_program,
	.probe = sg_host_filters_calls,
};
