/* What is native while a run is watched, and what the checks of arguments can tell apart. */
#include "world/filter_learn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static void ask(uint32_t *action)
{
	if (*action != SECCOMP_RET_ALLOW)
		*action = SECCOMP_RET_USER_NOTIF;
}

/* Numbers without a row in the table stay what they are: ENOSYS, for every policy. */
static void ask_all_else(struct sg_filter_spec *spec)
{
	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++)
		if (sg_syscall_by_number(number) != NULL)
			ask(&spec->rules[number].action);
	for (uint32_t i = 0; i < spec->row_count; i++)
		ask(&spec->rows[i].action);
}

int sg_filter_build_watching(const struct sg_filter_grants *base, const struct sg_filter_plan *plan,
			     struct sg_filter_program *ret_program, struct sg_error *error)
{
	SG_AUTO_FREE struct sg_filter_spec *spec = malloc(sizeof(*spec));
	struct sg_filter_plan watching = *plan;
	int status;

	ret_program->count = 0;
	if (spec == NULL)
		return sg_error_set_errno(error, -ENOMEM, "no memory for the rules of the system call filter");
	watching.looks = SG_FILTER_NOTIFIED; /* which names are looked at is a thing to learn */
	watching.details = SG_FILTER_NOTIFIED;
	watching.first_exec = true;
	status = sg_filter_spec_fill(base, &watching, spec);
	if (status == 0) {
		ask_all_else(spec);
		status = sg_filter_generate(spec, ret_program);
	}
	return status < 0 ? sg_error_set_errno(error, status, "cannot compile the filter under which a run is watched")
			  : 0;
}

struct sg_filter_spec *sg_filter_checks_new(void)
{
	/* All calls and no flag: a flag only ever lifts checks. */
	static const struct sg_filter_plan everything = {.first_exec = true};
	SG_AUTO_FREE struct sg_filter_spec *spec = malloc(sizeof(*spec));
	struct sg_filter_grants grants = {0};

	if (spec == NULL)
		return NULL;
	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++)
		sg_syscall_set_add(&grants.calls, number);
	return sg_filter_spec_fill(&grants, &everything, spec) == 0 ? sg_take_pointer(spec) : NULL;
}

static bool holds(const struct sg_filter_condition *condition, const struct seccomp_data *data)
{
	uint64_t value = data->args[condition->argument];

	if (condition->width == 32)
		value = (uint32_t)value;
	switch ((enum sg_filter_compare)condition->compare) {
	case SG_FILTER_EQUAL:
		return (value & condition->mask) == condition->value;
	case SG_FILTER_NOT_EQUAL:
		return (value & condition->mask) != condition->value;
	case SG_FILTER_IN_RANGE:
		break;
	}
	return condition->value <= value && value <= condition->last;
}

/* FNV-1a, and at the end the mixing of MurmurHash3: neighbouring inputs must not give neighbouring sums. */
uint64_t sg_filter_signature(const struct sg_filter_spec *checks, const struct seccomp_data *data)
{
	uint64_t sum = (UINT64_C(14695981039346656037) ^ (uint32_t)data->nr) * UINT64_C(1099511628211);
	const struct sg_filter_rule *rule;

	if ((uint32_t)data->nr >= SG_SYSCALL_LIMIT)
		return sum;
	rule = &checks->rules[data->nr];
	for (uint32_t i = rule->first; i < (uint32_t)rule->first + rule->count; i++)
		for (uint32_t j = 0; j < checks->rows[i].count; j++)
			sum = (sum ^ (holds(&checks->rows[i].conditions[j], data) ? 1U : 2U)) * UINT64_C(1099511628211);
	sum = (sum ^ sum >> 33) * UINT64_C(0xff51afd7ed558ccd);
	sum = (sum ^ sum >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return sum ^ sum >> 33;
}
