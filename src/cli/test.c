/* shellguard test: the assertions beside a profile, decided by what decides in a session (policy/ask.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/asking.h"
#include "cli/help.h"
#include "policy/words.h"

/* What came of the tests so far. */
struct run {
	struct sg_asker *asker;
	struct sg_diagnostics *diagnostics; /* questions that are none */
	bool json;
	size_t passed, failed;
	struct sg_buffer out;
};

static void append_text(struct sg_buffer *out, const char *text)
{
	sg_buffer_append_escaped(out, text, strlen(text));
}

static void write_failure(const struct sg_test *test, const struct sg_answer *answer, struct sg_buffer *out)
{
	sg_buffer_printf(out, "    expected \"%s\", found \"%s\": ", sg_outcome_names[test->expected],
			 sg_outcome_names[answer->outcome]);
	append_text(out, answer->reason);
	sg_buffer_append_byte(out, '\n');
	if (answer->rule != NULL) {
		sg_buffer_append_text(out, "    ");
		sg_asking_rule(answer->rule, out);
		sg_buffer_append_byte(out, '\n');
	}
	if (test->description != NULL) {
		sg_buffer_append_text(out, "    ");
		append_text(out, test->description);
		sg_buffer_append_byte(out, '\n');
	}
}

static void write_result(const struct sg_test *test, const struct sg_answer *answer, bool passed, struct sg_buffer *out)
{
	const struct sg_position position = sg_source_locate(test->source, test->span.offset);

	append_text(out, test->source->name);
	sg_buffer_printf(out, ":%zu:%zu: %s: ", position.line, position.column, passed ? "passed" : "FAILED");
	if (test->name != NULL) {
		append_text(out, test->name);
		sg_buffer_append_text(out, ": ");
	}
	sg_buffer_printf(out, "%s ", sg_action_infos[test->action].word);
	append_text(out, answer->object.data);
	sg_buffer_printf(out, ": %s\n", sg_outcome_names[answer->outcome]);
	if (!passed)
		write_failure(test, answer, out);
}

static void append_json(const char *key, const char *text, struct sg_buffer *out)
{
	sg_buffer_printf(out, "\"%s\":", key);
	if (text == NULL)
		sg_buffer_append_text(out, "null");
	else
		sg_buffer_append_json(out, text, strlen(text));
	sg_buffer_append_byte(out, ',');
}

static void write_json(const struct sg_test *test, const struct sg_answer *answer, bool passed, struct sg_buffer *out)
{
	const struct sg_position position = sg_source_locate(test->source, test->span.offset);

	sg_buffer_append_text(out, out->size > 0 ? "," : "{\"tests\":[");
	sg_buffer_append_byte(out, '{');
	append_json("file", test->source->name, out);
	sg_buffer_printf(out, "\"line\":%zu,\"column\":%zu,", position.line, position.column);
	append_json("name", test->name, out);
	append_json("description", test->description, out);
	append_json("action", sg_action_infos[test->action].word, out);
	append_json("object", answer->object.data, out);
	append_json("expected", sg_outcome_names[test->expected], out);
	append_json("outcome", sg_outcome_names[answer->outcome], out);
	append_json("reason", answer->reason, out);
	sg_buffer_printf(out, "\"passed\":%s,\"rule\":", passed ? "true" : "false");
	sg_asking_rule_json(answer->rule, out);
	sg_buffer_append_byte(out, '}');
}

/* Returns 0, also where the question is none: then a diagnostic says so. */
static int run_test(struct run *run, const struct sg_test *test)
{
	SG_AUTO_ANSWER struct sg_answer answer = {0};
	struct sg_ask_problem problem;
	int status = sg_ask(run->asker, test->action, test->object, &answer, &problem);
	bool passed;

	if (status == SG_ASK_REFUSED) {
		sg_diagnostic_add(run->diagnostics, test->source, test->span, SG_SEVERITY_ERROR,
				  problem.hint[0] != '\0' ? problem.hint : NULL, "%s", problem.message);
		return 0;
	}
	if (status < 0)
		return status;
	passed = sg_outcome_meets(test->expected, answer.outcome);
	run->passed += passed;
	run->failed += !passed;
	if (run->json)
		write_json(test, &answer, passed, &run->out);
	else
		write_result(test, &answer, passed, &run->out);
	return sg_buffer_status(&run->out);
}

static int run_tests(struct run *run, const struct sg_profile *profile)
{
	int status = 0;

	for (size_t i = 0; i < profile->test_count && status == 0; i++)
		status = run_test(run, &profile->tests[i]);
	return status;
}

static void print_diagnostics(struct sg_diagnostics *diagnostics)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

	sg_diagnostics_render(diagnostics, &out);
	if (sg_buffer_status(&out) == 0 && out.size > 0)
		(void)sg_print(STDERR_FILENO, out.data, out.size);
}

/* The file of tests, read and checked: *ret is set also where it has errors, for their places. Returns 0 or an exit status. */
static int read_file(const char *path, struct sg_diagnostics *diagnostics, struct sg_profile **ret)
{
	struct sg_error error = SG_ERROR_INIT;
	struct sg_source *source = NULL;
	SG_AUTO_BUFFER struct sg_buffer name = SG_BUFFER_INIT;
	int status;

	/* A name without a slash is a file of this folder, never a profile of that name. */
	sg_buffer_printf(&name, "%s%s", strchr(path, '/') == NULL ? "./" : "", path);
	status = sg_buffer_status(&name);
	if (status == 0)
		status = sg_profile_open(NULL, name.data, NULL, &source, &error);
	if (status < 0) {
		sg_complain("%s", error.code != 0 ? error.text : "out of memory");
		return sg_exit_of_profile(status) == SG_EXIT_NO ? SG_EXIT_USAGE : SG_EXIT_FAILED;
	}
	status = sg_profile_read(source, diagnostics, ret);
	if (status < 0) {
		sg_complain("cannot read %s", path);
		return SG_EXIT_FAILED;
	}
	sg_test_check_alone(*ret, diagnostics);
	return sg_diagnostics_has_errors(diagnostics) ? SG_EXIT_USAGE : 0;
}

static int print_summary(struct run *run)
{
	if (run->json)
		sg_buffer_printf(&run->out, "],\"passed\":%zu,\"failed\":%zu}\n", run->passed, run->failed);
	else
		sg_buffer_printf(&run->out, "%zu passed, %zu failed\n", run->passed, run->failed);
	if (sg_buffer_status(&run->out) < 0 || sg_print(STDOUT_FILENO, run->out.data, run->out.size) < 0)
		return SG_EXIT_FAILED;
	return run->failed == 0 ? SG_EXIT_OK : SG_EXIT_NO;
}

/* A check that cannot fail is none: what has no test says so, and fails. */
static int complain_empty(const char *what)
{
	sg_complain("there is no [[Test]] in %s, so nothing was tested", what);
	return SG_EXIT_NO;
}

/* The tests that stand in the profiles themselves (the first `count` of the policy), then those of the file. */
static int run_all(struct run *run, const struct sg_policy *policy, size_t count, const struct sg_profile *file)
{
	int status = 0;

	for (size_t i = 0; i < count && i < policy->profile_count && status == 0; i++)
		status = run_tests(run, policy->profiles[i]);
	if (file != NULL && status == 0)
		status = run_tests(run, file);
	if (status < 0) {
		sg_complain("out of memory");
		return SG_EXIT_FAILED;
	}
	if (sg_diagnostics_has_errors(run->diagnostics)) {
		print_diagnostics(run->diagnostics);
		return SG_EXIT_USAGE;
	}
	if (run->passed + run->failed == 0)
		return complain_empty(policy->name);
	return print_summary(run);
}

static int test(const char *const *profiles, size_t count, const char *path, bool json)
{
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_ASKING struct sg_asking asking = {0};
	SG_AUTO_PROFILE struct sg_profile *file = NULL;
	struct run run = {.diagnostics = &diagnostics, .json = json};
	int status = sg_asking_load(profiles, count, &asking);

	if (status == 0 && path != NULL)
		status = read_file(path, &diagnostics, &file);
	if (status != 0) {
		print_diagnostics(&diagnostics);
		return status;
	}
	if (file != NULL && file->test_count == 0)
		return complain_empty(path);
	run.asker = asking.asker;
	status = run_all(&run, asking.policy, count, file);
	sg_buffer_done(&run.out);
	return status;
}

static int run_command(const struct sg_options *options)
{
	const char *profiles[SG_PROFILES_MAX + 1];
	size_t count = 0, given = 0;

	while (options->command[given] != NULL)
		given++;
	memcpy(profiles, options->profiles, sizeof(options->profiles));
	count = options->profile_count;
	if (count == 0 && given > 0)
		profiles[count++] = options->command[0];
	if (count == 0 || given > (options->profile_count > 0 ? 1U : 2U))
		return sg_command_usage("test");
	return test(profiles, count, options->profile_count > 0 ? options->command[0] : options->command[1],
		    options->json);
}

int sg_command_test(int argc, char **argv)
{
	struct sg_options options = {0};
	int status = SG_EXIT_USAGE;

	if (sg_options_read(argc, argv, &options) == 0) {
		if (options.help)
			status = sg_command_help("test", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
		else
			status = run_command(&options);
	}
	sg_options_done(&options);
	return status;
}
