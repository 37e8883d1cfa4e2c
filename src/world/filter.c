/*
 * The generator: rules to a classic BPF program. First the architecture, then a binary search over the number
 * whose leaves return or jump to the block of the call's rows. Rows that ask one argument for one of many
 * values become a binary search too; rows that begin with the same condition ask it once.
 *
 * A conditional jump reaches 255 instructions, JA any: where a distance is not known to be short, a JA
 * carries it.
 */
#include "world/filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum {
	LEAF_RETURN = -1,                   /* the interval's action */
	LEAF_LEAVE = -2,                    /* to whatever stands after the search */
	INTERVALS = 3 * SG_FILTER_ROWS + 2, /* values to look for, and behind them the intervals made of them */
	JUMP_MAX = 255,
	NO_JUMP = 0, /* ends a chain of jumps: no JA that waits stands at 0 */
};

/* The values from `first` up to the next interval's. */
struct interval {
	uint32_t first;
	uint32_t action;
	int32_t leaf; /* LEAF_*, or the number whose block to jump to */
};

struct generator {
	const struct sg_filter_spec *spec;
	struct sg_filter_program *program;
	uint32_t block_jumps[SG_SYSCALL_LIMIT]; /* chains of JA to each number's block */
	struct interval intervals[INTERVALS];
	int status;
};

/* Appends an instruction and returns its index. Beyond the limit it only notes that. */
static uint32_t emit(struct generator *generator, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	struct sg_filter_program *program = generator->program;

	if (program->count >= SG_FILTER_INSTRUCTIONS) {
		generator->status = -E2BIG;
		return SG_FILTER_INSTRUCTIONS - 1U;
	}
	program->code[program->count] = (struct sock_filter){code, jt, jf, k};
	return program->count++;
}

static void emit_return(struct generator *generator, uint32_t action)
{
	emit(generator, BPF_RET | BPF_K, action, 0, 0);
}

/* A jump to a place not known yet: *chain links those that wait, through their `k`, until resolve(). */
static void emit_jump(struct generator *generator, uint32_t *chain)
{
	*chain = emit(generator, BPF_JMP | BPF_JA, *chain, 0, 0);
}

/* Lets every jump of the chain go to the next instruction. */
static void resolve(struct generator *generator, uint32_t chain)
{
	while (chain != NO_JUMP && generator->status == 0) {
		struct sock_filter *jump = &generator->program->code[chain];
		uint32_t next = jump->k;

		jump->k = generator->program->count - chain - 1U;
		chain = next;
	}
}

/* The struct's halves are in the machine's order: x86_64 is little-endian, the low half stands first. */
static uint32_t offset_of_half(unsigned int argument, bool high)
{
	return (uint32_t)(offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t) + (high ? 4 : 0));
}

static void emit_load(struct generator *generator, uint32_t offset, uint32_t mask)
{
	emit(generator, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
	if (mask != UINT32_MAX)
		emit(generator, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
}

/* Goes on when the comparison with A is true, else by the chain. */
static void emit_require(struct generator *generator, uint16_t comparison, uint32_t k, uint32_t *chain)
{
	emit(generator, BPF_JMP | comparison | BPF_K, k, 1, 0);
	emit_jump(generator, chain);
}

/* Goes on when the comparison with A is false, else by the chain. */
static void emit_forbid(struct generator *generator, uint16_t comparison, uint32_t k, uint32_t *chain)
{
	emit(generator, BPF_JMP | comparison | BPF_K, k, 0, 1);
	emit_jump(generator, chain);
}

static void emit_condition_32(struct generator *generator, const struct sg_filter_condition *condition, uint32_t *chain)
{
	uint32_t offset = offset_of_half(condition->argument, false);
	uint32_t mask = (uint32_t)condition->mask;
	uint32_t value = (uint32_t)condition->value;

	switch (condition->compare) {
	case SG_FILTER_EQUAL:
		emit_load(generator, offset, mask);
		emit_require(generator, BPF_JEQ, value, chain);
		break;
	case SG_FILTER_NOT_EQUAL:
		if (value == 0) {
			emit_load(generator, offset, UINT32_MAX);
			emit_require(generator, BPF_JSET, mask, chain);
			break;
		}
		emit_load(generator, offset, mask);
		emit_forbid(generator, BPF_JEQ, value, chain);
		break;
	default:
		emit_load(generator, offset, UINT32_MAX);
		emit_require(generator, BPF_JGE, value, chain);
		emit_forbid(generator, BPF_JGT, (uint32_t)condition->last, chain);
		break;
	}
}

/* value <= argument, or argument <= value: the high halves decide unless they are equal. */
static void emit_bound_64(struct generator *generator, unsigned int argument, uint64_t value, bool from_below,
			  uint32_t *chain)
{
	uint32_t decided = NO_JUMP;
	uint32_t high = (uint32_t)(value >> 32);

	emit_load(generator, offset_of_half(argument, true), UINT32_MAX);
	if (from_below)
		emit_forbid(generator, BPF_JGT, high, &decided);
	else
		emit_require(generator, BPF_JGE, high, &decided);
	emit_require(generator, BPF_JEQ, high, chain);
	emit_load(generator, offset_of_half(argument, false), UINT32_MAX);
	if (from_below)
		emit_require(generator, BPF_JGE, (uint32_t)value, chain);
	else
		emit_forbid(generator, BPF_JGT, (uint32_t)value, chain);
	resolve(generator, decided);
}

static void emit_condition_64(struct generator *generator, const struct sg_filter_condition *condition, uint32_t *chain)
{
	uint32_t high_mask = (uint32_t)(condition->mask >> 32);
	uint32_t high = (uint32_t)(condition->value >> 32);
	uint32_t differs = NO_JUMP;

	if (condition->compare == SG_FILTER_IN_RANGE) {
		emit_bound_64(generator, condition->argument, condition->value, true, chain);
		emit_bound_64(generator, condition->argument, condition->last, false, chain);
		return;
	}
	emit_load(generator, offset_of_half(condition->argument, true), high_mask);
	emit_require(generator, BPF_JEQ, high, condition->compare == SG_FILTER_EQUAL ? chain : &differs);
	emit_load(generator, offset_of_half(condition->argument, false), (uint32_t)condition->mask);
	if (condition->compare == SG_FILTER_EQUAL)
		emit_require(generator, BPF_JEQ, (uint32_t)condition->value, chain);
	else
		emit_forbid(generator, BPF_JEQ, (uint32_t)condition->value, chain);
	resolve(generator, differs);
}

/* Goes on when the condition holds, else by the chain. */
static void emit_condition(struct generator *generator, const struct sg_filter_condition *condition, uint32_t *chain)
{
	if (condition->width == 32)
		emit_condition_32(generator, condition, chain);
	else
		emit_condition_64(generator, condition, chain);
}

static void emit_leaf(struct generator *generator, const struct interval *interval, uint32_t *leave)
{
	if (interval->leaf == LEAF_RETURN)
		emit_return(generator, interval->action);
	else if (interval->leaf == LEAF_LEAVE)
		emit_jump(generator, leave);
	else
		emit_jump(generator, &generator->block_jumps[interval->leaf]);
}

/*
 * A binary search of A over `count` intervals. Recursion halves: at most log2(INTERVALS) deep. A subtree of n
 * leaves has n-1 nodes of at most two instructions, so n leaves fit into 3n.
 */
static void emit_search(struct generator *generator, const struct interval *intervals, uint32_t count, uint32_t *leave)
{
	uint32_t half = count / 2;
	uint32_t node, wide = NO_JUMP;

	if (count == 1) {
		emit_leaf(generator, intervals, leave);
		return;
	}
	if (3 * half > JUMP_MAX) {
		emit_forbid(generator, BPF_JGE, intervals[half].first, &wide);
		emit_search(generator, intervals, half, leave);
		resolve(generator, wide);
	} else {
		node = emit(generator, BPF_JMP | BPF_JGE | BPF_K, intervals[half].first, 0, 0);
		emit_search(generator, intervals, half, leave);
		if (generator->status == 0)
			generator->program->code[node].jt = (uint8_t)(generator->program->count - node - 1U);
	}
	emit_search(generator, intervals + half, count - half, leave);
}

static bool same_condition(const struct sg_filter_condition *a, const struct sg_filter_condition *b)
{
	return a->argument == b->argument && a->width == b->width && a->compare == b->compare && a->mask == b->mask &&
	       a->value == b->value && a->last == b->last;
}

/* Can the rows `a` and `b`, decided by their condition at `depth` alone, be found by one search over a value?
 */
static bool same_search(const struct sg_filter_row *a, const struct sg_filter_row *b, uint32_t depth)
{
	const struct sg_filter_condition *ca = &a->conditions[depth], *cb = &b->conditions[depth];

	return a->count == depth + 1 && b->count == depth + 1 && ca->width == 32 && cb->width == 32 &&
	       ca->compare == SG_FILTER_EQUAL && cb->compare == SG_FILTER_EQUAL && ca->argument == cb->argument &&
	       ca->mask == cb->mask;
}

/* By value; rows of one value in their own order, so that the first of them comes first. */
static int compare_intervals(const void *a, const void *b)
{
	const struct interval *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return (x->leaf > y->leaf) - (x->leaf < y->leaf);
}

/* Appends the interval that begins at `first`, unless the one before goes on. Returns the new count. */
static uint32_t append_interval(struct interval *intervals, uint32_t count, struct interval next)
{
	if (count > 0 && intervals[count - 1].action == next.action && intervals[count - 1].leaf == next.leaf)
		return count;
	intervals[count] = next;
	return count + 1;
}

/* Rows that each ask one argument for one value: one load, one search. */
static void emit_values(struct generator *generator, const struct sg_filter_row *rows, uint32_t count, uint32_t depth,
			uint32_t *leave)
{
	struct interval *wanted = generator->intervals;
	struct interval *intervals = wanted + count;
	const struct interval other = {.leaf = LEAF_LEAVE};
	uint32_t used = 0;

	for (uint32_t i = 0; i < count; i++)
		wanted[i] = (struct interval){(uint32_t)rows[i].conditions[depth].value, rows[i].action, (int32_t)i};
	qsort(wanted, count, sizeof(*wanted), compare_intervals);
	/*
	 * In place: the search's intervals are built behind the sorted values, in a part of the array that is
	 * twice as large.
	 */
	intervals[used++] = other;
	for (uint32_t i = 0; i < count; i++) {
		struct interval value = {wanted[i].first, wanted[i].action, LEAF_RETURN};
		struct interval after = other;

		if (i > 0 && wanted[i - 1].first == wanted[i].first)
			continue;
		if (value.first == 0)
			used = 0;
		else if (intervals[used - 1].first == value.first)
			used--; /* it begins where the gap after the last value would */
		used = append_interval(intervals, used, value);
		if (value.first != UINT32_MAX) {
			after.first = value.first + 1;
			used = append_interval(intervals, used, after);
		}
	}
	emit_load(generator, offset_of_half(rows[0].conditions[depth].argument, false),
		  (uint32_t)rows[0].conditions[depth].mask);
	emit_search(generator, intervals, used, leave);
}

/*
 * Rows in their order, each looked at from its condition `depth` on; goes on to what follows when none
 * matches. Recursion is bounded by SG_FILTER_CONDITIONS.
 */
static void emit_rows(struct generator *generator, const struct sg_filter_row *rows, uint32_t count, uint32_t depth)
{
	for (uint32_t i = 0, run; i < count; i += run) {
		const struct sg_filter_condition *condition = &rows[i].conditions[depth];
		uint32_t leave = NO_JUMP;

		run = 1;
		if (same_search(&rows[i], &rows[i], depth)) {
			while (i + run < count && same_search(&rows[i], &rows[i + run], depth))
				run++;
			emit_values(generator, rows + i, run, depth, &leave);
		} else if (rows[i].count == depth + 1) {
			emit_condition(generator, condition, &leave);
			emit_return(generator, rows[i].action);
		} else {
			while (i + run < count && rows[i + run].count > depth + 1 &&
			       same_condition(condition, &rows[i + run].conditions[depth]))
				run++;
			emit_condition(generator, condition, &leave);
			emit_rows(generator, rows + i, run, depth + 1);
		}
		resolve(generator, leave);
	}
}

static bool condition_is_sound(const struct sg_filter_condition *condition)
{
	uint64_t all = condition->width == 32 ? UINT32_MAX : UINT64_MAX;

	if (condition->argument >= SG_SYSCALL_ARGUMENTS || (condition->width != 32 && condition->width != 64) ||
	    condition->compare > SG_FILTER_IN_RANGE || (condition->mask & ~all) != 0)
		return false;
	if (condition->compare == SG_FILTER_IN_RANGE)
		return condition->value <= condition->last && condition->last <= all;
	return (condition->value & ~condition->mask) == 0;
}

/* Reads what is outside the array nowhere, and loads no value that a comparison could never meet. */
static bool spec_is_sound(const struct sg_filter_spec *spec)
{
	if (spec->row_count > SG_FILTER_ROWS)
		return false;
	for (uint32_t i = 0; i < spec->row_count; i++) {
		const struct sg_filter_row *row = &spec->rows[i];

		if (row->count < 1 || row->count > SG_FILTER_CONDITIONS)
			return false;
		for (uint32_t j = 0; j < row->count; j++)
			if (!condition_is_sound(&row->conditions[j]))
				return false;
	}
	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++)
		if ((uint32_t)spec->rules[number].first + spec->rules[number].count > spec->row_count)
			return false;
	return true;
}

static void emit_numbers(struct generator *generator)
{
	struct interval *intervals = generator->intervals;
	uint32_t used = 0, leave = NO_JUMP;

	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++) {
		const struct sg_filter_rule *rule = &generator->spec->rules[number];
		struct interval next = {number, rule->action, rule->count > 0 ? (int32_t)number : LEAF_RETURN};

		used = append_interval(intervals, used, next);
	}
	used = append_interval(intervals, used,
			       (struct interval){SG_SYSCALL_LIMIT, SECCOMP_RET_ERRNO | ENOSYS, LEAF_RETURN});
	emit(generator, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	emit_search(generator, intervals, used, &leave);
}

static void emit_program(struct generator *generator)
{
	const struct sg_filter_spec *spec = generator->spec;

	emit(generator, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	emit(generator, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	emit_return(generator, SECCOMP_RET_KILL_PROCESS);
	emit_numbers(generator);
	for (unsigned int number = 0; number < SG_SYSCALL_LIMIT; number++) {
		const struct sg_filter_rule *rule = &spec->rules[number];

		if (rule->count == 0)
			continue;
		resolve(generator, generator->block_jumps[number]);
		emit_rows(generator, spec->rows + rule->first, rule->count, 0);
		emit_return(generator, rule->action);
	}
}

int sg_filter_generate(const struct sg_filter_spec *spec, struct sg_filter_program *ret_program)
{
	struct generator generator;

	ret_program->count = 0;
	if (!spec_is_sound(spec))
		return -EINVAL;
	generator.spec = spec;
	generator.program = ret_program;
	generator.status = 0;
	memset(generator.block_jumps, 0, sizeof(generator.block_jumps));
	emit_program(&generator);
	if (generator.status < 0)
		ret_program->count = 0;
	return generator.status;
}

int sg_filter_build(const struct sg_filter_grants *grants, const struct sg_filter_plan *plan,
		    struct sg_filter_program *ret_program, struct sg_error *error)
{
	SG_AUTO_FREE struct sg_filter_spec *spec = malloc(sizeof(*spec));
	int r;

	ret_program->count = 0;
	if (spec == NULL)
		return sg_error_set_errno(error, -ENOMEM, "no memory for the rules of the system call filter");
	r = sg_filter_spec_fill(grants, plan, spec);
	if (r < 0)
		return sg_error_set_errno(error, r, "the tables have more rows than a system call filter can hold");
	r = sg_filter_generate(spec, ret_program);
	if (r < 0)
		return sg_error_set_errno(error, r, "cannot compile the system call filter");
	return 0;
}

uint32_t sg_filter_simulate(const struct sock_filter *code, size_t count, const struct seccomp_data *data)
{
	uint32_t a = 0;

	/* Every instruction goes forward, so this ends. */
	for (size_t at = 0; at < count; at++) {
		const struct sock_filter *step = &code[at];
		bool jump;

		switch (step->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (step->k % sizeof(a) != 0 || step->k > sizeof(*data) - sizeof(a))
				return SECCOMP_RET_KILL_PROCESS;
			memcpy(&a, (const char *)data + step->k, sizeof(a));
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= step->k;
			continue;
		case BPF_RET | BPF_K:
			return step->k;
		case BPF_JMP | BPF_JA:
			at += step->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			jump = a == step->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			jump = a > step->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			jump = a >= step->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			jump = (a & step->k) != 0;
			break;
		default:
			return SECCOMP_RET_KILL_PROCESS;
		}
		at += jump ? step->jt : step->jf;
	}
	return SECCOMP_RET_KILL_PROCESS;
}
