/*
 * What a profile costs that has many rules: compiling it (text, policy, automaton), and deciding a name against its globs. Prints
 * one JSON object on one line, as the loops do.
 */
#include "rules_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "policy/compile.h"
#include "policy/decide.h"

enum { RULES_MAX = 1000000, ROUNDS_MAX = 1000, NAMES = 256, BATCHES = 20 };

static uint64_t now(void)
{
	struct timespec at;

	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	return (uint64_t)at.tv_sec * UINT64_C(1000000000) + (uint64_t)at.tv_nsec;
}

static int compare_times(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_times(const char *what, size_t rules, double *times, size_t count)
{
	qsort(times, count, sizeof(*times), compare_times);
	(void)printf(
		"{\"op\":\"%s\",\"rules\":%zu,\"batches\":%zu,\"min_ns\":%.1f,\"median_ns\":%.1f,\"max_ns\":%.1f}\n",
		what, rules, count, times[0], times[count / 2], times[count - 1]);
}

static int no_profile(void *data, const char *name, const struct sg_source *from, struct sg_source **ret,
		      struct sg_error *error)
{
	(void)data;
	(void)from;
	(void)ret;
	return sg_error_set(error, -1, "there is no profile \"%s\"", name);
}

struct compiled {
	struct sg_policy *policy;
	struct sg_globset *set;
	struct sg_matcher *matcher;
};

static void compiled_done(struct compiled *compiled)
{
	sg_matcher_free(compiled->matcher);
	sg_globset_free(compiled->set);
	sg_policy_free(compiled->policy);
}

/* From the text to what decides names. Ends the program where that fails: there is nothing to measure then. */
static void compile(const struct sg_buffer *text, struct compiled *ret)
{
	static const struct sg_variables variables = {"/home/u/work", "/home/u", "u", "1000", "/run/user/1000"};
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *source;
	int status = sg_source_new("rules.toml", text->data, text->size, &source);

	*ret = (struct compiled){0};
	sg_memory_expect(text->size * SG_POLICY_MEMORY_OF_TEXT);
	if (status == 0)
		status =
			sg_policy_compile(&source, 1, &variables, no_profile, NULL, &diagnostics, &ret->policy, &error);
	if (status == 0)
		status = sg_globset_new(&ret->set);
	for (size_t i = 0; status == 0 && i < ret->policy->rule_count; i++)
		if (ret->policy->rules[i].glob != NULL)
			status = sg_globset_add(ret->set, ret->policy->rules[i].glob, (uint32_t)i,
						SG_NAME_BIT(ret->policy->rules[i].kind));
	if (status == 0)
		status = sg_globset_compile(ret->set);
	if (status == 0)
		status = sg_matcher_new(ret->set, SG_MATCHER_MEMORY, &ret->matcher);
	if (status != 0) {
		SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

		sg_diagnostics_render(&diagnostics, &out);
		(void)fprintf(stderr, "rules: not compiled: %s%s", error.text, out.size > 0 ? out.data : "\n");
		exit(1);
	}
}

static void measure_compile(size_t rules, size_t rounds)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	double times[ROUNDS_MAX];

	rules_profile(rules, &text);
	for (size_t i = 0; i < rounds; i++) {
		struct compiled compiled;
		const uint64_t start = now();

		compile(&text, &compiled);
		times[i] = (double)(now() - start);
		compiled_done(&compiled);
	}
	print_times("compile", rules, times, rounds);
}

/* A name that a rule of the policy speaks of; every other one is changed in its last byte. */
static void make_name(const struct sg_policy *policy, struct rules_random *random, bool change, struct sg_buffer *out)
{
	while (out->size == 0) {
		const struct sg_rule *rule = &policy->rules[rules_below(random, (uint32_t)policy->rule_count)];

		if (rule->glob != NULL && rule->flag == NULL)
			(void)sg_glob_example(rule->glob, out);
	}
	if (change)
		out->data[out->size - 1] = 'q';
}

static void measure_decide(size_t rules, size_t rounds)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	struct sg_buffer names[NAMES] = {0};
	struct rules_random random = {.state = 2};
	struct compiled compiled;
	double times[BATCHES];
	size_t allowed = 0;

	rules_profile(rules, &text);
	compile(&text, &compiled);
	for (size_t i = 0; i < NAMES; i++)
		make_name(compiled.policy, &random, i % 2 == 1, &names[i]);
	for (size_t batch = 0; batch < BATCHES; batch++) {
		const uint64_t start = now();

		for (size_t i = 0; i < rounds * NAMES; i++) {
			const struct sg_buffer *name = &names[i % NAMES];
			struct sg_decision decision;

			sg_decide(compiled.policy, compiled.matcher, name->data, name->size, SG_ACCESS_READ, false,
				  &decision);
			allowed += decision.verdict == SG_VERDICT_ALLOW;
		}
		times[batch] = (double)(now() - start) / (double)(rounds * NAMES);
	}
	if (allowed > BATCHES * rounds * NAMES)
		exit(1); /* the loop has a result */
	print_times("decide", rules, times, BATCHES);
	for (size_t i = 0; i < NAMES; i++)
		sg_buffer_done(&names[i]);
	compiled_done(&compiled);
}

static size_t number(const char *text, size_t limit)
{
	char *end;
	const unsigned long value = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || value < 1 || value > limit) {
		(void)fprintf(stderr, "rules: %s is not a number from 1 to %zu\n", text, limit);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(size_t rules, size_t rounds);
	} commands[] = {{"compile", measure_compile}, {"decide", measure_decide}};

	for (size_t i = 0; argc == 4 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0) {
			commands[i].run(number(argv[2], RULES_MAX), number(argv[3], ROUNDS_MAX));
			return fflush(stdout) == 0 ? 0 : 1;
		}
	(void)fputs("usage: rules compile|decide RULES ROUNDS\n", stderr);
	return 2;
}
