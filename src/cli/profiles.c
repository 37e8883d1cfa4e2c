/* Compiling profiles, and saying what is wrong with them. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/users.h"
#include "cli/help.h"
#include "cli/layout.h"
#include "cli/options.h"
#include "cli/pathwhy.h"
#include "tables/flags.h"
#include "tables/values.h"

/* A folder of the user's by the variable that names it, or below the home. What stands there is not a link that leads elsewhere. */
static const char *folder_of_user(const char *variable, const char *home, const char *usual, char *text)
{
	const char *named = getenv(variable);
	char path[PATH_MAX + 32];

	if (named != NULL && named[0] == '/')
		(void)snprintf(path, sizeof(path), "%s", named);
	else
		(void)snprintf(path, sizeof(path), "%s/%s", home, usual);
	if (realpath(path, text) == NULL)
		(void)snprintf(text, PATH_MAX, "%.*s", PATH_MAX - 1, path);
	return text;
}

const struct sg_variables *sg_variables_of_caller(void)
{
	static char config[PATH_MAX], state[PATH_MAX];
	static char cwd[PATH_MAX], home[PATH_MAX], place[PATH_MAX], user[256], uid[16], runtime[PATH_MAX];
	static struct sg_variables variables;
	struct sg_user entry;
	bool known;
	const char *named = getenv("XDG_RUNTIME_DIR"), *named_home = getenv("HOME");

	if (variables.cwd != NULL)
		return &variables;
	if (getcwd(cwd, sizeof(cwd)) == NULL || cwd[0] != '/')
		return NULL;
	known = sg_user_by_uid(getuid(), &entry) == 0;
	/* The user database, not $HOME: what a profile calls the home must not be somebody else's choice. */
	(void)snprintf(home, sizeof(home), "%s", known ? entry.home : "/nonexistent");
	(void)snprintf(user, sizeof(user), "%s", known ? entry.name : "nobody");
	(void)snprintf(uid, sizeof(uid), "%u", getuid());
	if (named != NULL && named[0] == '/')
		(void)snprintf(runtime, sizeof(runtime), "%s", named);
	else
		(void)snprintf(runtime, sizeof(runtime), "/run/user/%s", uid);
	variables = (struct sg_variables){
		.cwd = cwd,
		.home = home,
		.user = user,
		.uid = uid,
		.runtime = runtime,
		.config = folder_of_user("XDG_CONFIG_HOME", home, ".config", config),
		/* As the log is found (sg_log_folder). */
		.state =
			folder_of_user("XDG_STATE_HOME", named_home != NULL && named_home[0] == '/' ? named_home : home,
				       ".local/state", state),
		.home_place = realpath(home, place),
	};
	return &variables;
}

static void print_diagnostics(struct sg_diagnostics *diagnostics)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

	sg_diagnostics_render(diagnostics, &out);
	if (sg_buffer_status(&out) == 0 && out.size > 0)
		(void)sg_print(STDERR_FILENO, out.data, out.size);
}

/* The sources, in order; on failure none is left. *ret_count: how many. Returns 0 or an exit status. */
static int open_all(const char *const *names, size_t count, const struct sg_profile_text *texts, size_t text_count,
		    struct sg_source **sources, size_t *ret_count)
{
	struct sg_error error = SG_ERROR_INIT;
	size_t done = 0;
	int status = 0;

	for (size_t i = 0; i < count && status == 0; i++) {
		status = sg_profile_open(NULL, names[i], NULL, &sources[done], &error);
		done += status == 0;
	}
	for (size_t i = 0; i < text_count && status == 0; i++) {
		if (texts[i].text == NULL)
			continue;
		status = sg_source_new(texts[i].name, texts[i].text, strlen(texts[i].text), &sources[done]);
		done += status == 0;
	}
	*ret_count = done;
	if (status == 0)
		return 0;
	for (size_t i = 0; i < done; i++)
		sg_source_free(sources[i]);
	sg_complain("%s", error.code != 0 ? error.text : "out of memory");
	return sg_exit_of_profile(status);
}

int sg_load_policy_texts(const char *const *names, size_t count, const struct sg_profile_text *texts, size_t text_count,
			 const struct sg_variables *variables, struct sg_policy **ret)
{
	SG_AUTO_FREE struct sg_source **sources = calloc(count + text_count, sizeof(struct sg_source *));
	SG_AUTO_DIAGNOSTICS struct sg_diagnostics diagnostics = SG_DIAGNOSTICS_INIT;
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	struct sg_error error = SG_ERROR_INIT;
	size_t opened, size = 0;
	int status;

	if (sources == NULL)
		return SG_EXIT_FAILED;
	status = open_all(names, count, texts, text_count, sources, &opened);
	if (status != 0)
		return status;
	for (size_t i = 0; i < opened; i++)
		size += sources[i]->size;
	sg_memory_expect(size * SG_POLICY_MEMORY_OF_TEXT);
	status = sg_policy_compile(sources, opened, variables, sg_profile_open, NULL, &diagnostics, &policy, &error);
	print_diagnostics(&diagnostics);
	if (status < 0) {
		sg_complain("%s", error.text);
		return SG_EXIT_FAILED;
	}
	if (status == SG_POLICY_REFUSED)
		return SG_EXIT_NO;
	*ret = sg_take_pointer(policy);
	return 0;
}

int sg_load_policy(const char *const *names, size_t count, const char *extra, const struct sg_variables *variables,
		   struct sg_policy **ret)
{
	const struct sg_profile_text text = {SG_POLICY_COMMAND_LINE, extra};

	return sg_load_policy_texts(names, count, &text, 1, variables, ret);
}

/* A profile without errors may still be one that cannot be held, here or with this version: `run` would refuse it. */
static int say_refusal(const struct sg_policy *policy, const struct sg_variables *variables)
{
	SG_AUTO_PLAN struct sg_plan *plan = NULL;
	struct sg_error error = SG_ERROR_INIT;

	if (sg_plan_of_caller(policy, variables, &plan, &error) != SG_PLAN_REFUSED)
		return SG_EXIT_OK;
	return sg_complain_unheld(&error);
}

/* Allow and Listen say which addresses; that there are sockets at all, a flag says. */
static bool lacks_sockets(const struct sg_policy *policy)
{
	size_t allowed, listened, count;
	const struct sg_socket_kind *kinds = sg_socket_kinds(&count);

	(void)sg_policy_rules(policy, SG_RULE_ALLOW, &allowed);
	(void)sg_policy_rules(policy, SG_RULE_LISTEN, &listened);
	for (size_t i = 0; i < count; i++)
		if (kinds[i].flag != SG_FLAG_NONE_ &&
		    sg_policy_has_flag(policy, sg_flag_name((enum sg_flag)kinds[i].flag)))
			return false;
	return allowed + listened > 0;
}

/* What it lacks to start a program; a profile that others extend need not have it. */
static void append_start(const struct sg_policy *policy, struct sg_buffer *out)
{
	const bool start = sg_policy_has_flag(policy, "start");
	size_t executable;

	(void)sg_policy_rules(policy, SG_RULE_EXECUTE, &executable);
	if (start && executable > 0)
		return;
	sg_buffer_printf(out, "By itself it starts nothing: that takes %s%s%s. Others can extend it.\n",
			 start ? "" : "Flags = [\"start\"] under [Runtime]", start || executable > 0 ? "" : ", and ",
			 executable > 0 ? "" : "an Exec rule under [Filesystem]");
}

static int check(const struct sg_options *options)
{
	const struct sg_variables *variables = sg_variables_of_caller();
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	size_t count = 0;
	int status;

	while (options->command[count] != NULL)
		count++;
	if (count == 0)
		return sg_command_usage("check");
	if (variables == NULL) {
		sg_complain("the working directory is gone");
		return SG_EXIT_FAILED;
	}
	status = sg_load_policy((const char *const *)options->command, count, NULL, variables, &policy);
	if (status != 0)
		return status;
	sg_buffer_append_escaped(&out, policy->name, strnlen(policy->name, 200));
	sg_buffer_append_text(&out, ": no errors\n");
	append_start(policy, &out);
	if (lacks_sockets(policy))
		sg_buffer_append_text(
			&out, "By itself it connects to nothing: Allow and Listen need a flag that gives sockets, "
			      "such as Flags = [\"loopback\"] under [Networking].\n");
	if (sg_layout_print(STDOUT_FILENO, &out, true) != SG_EXIT_OK)
		return SG_EXIT_FAILED;
	return say_refusal(policy, variables);
}

int sg_command_check(int argc, char **argv)
{
	struct sg_options options = {0};
	int status = SG_EXIT_USAGE;

	if (sg_options_read(argc, argv, &options) == 0) {
		if (options.help)
			status = sg_command_help("check", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
		else
			status = check(&options);
	}
	sg_options_done(&options);
	return status;
}
