/*
 * shellguard learn: a watched run (supervisor/learn.h), what it used (learn/observed.h), a proposal (learn/propose.h), and on request
 * replays of the command under the proposal.
 *
 * Each run is a process of its own, a session like any other: started here, waited for here, and known by the path of its record.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/help.h"
#include "cli/run.h"
#include "learn/bounds.h"
#include "learn/propose.h"
#include "learn/world.h"
#include "policy/words.h"

enum { REPLAYS_MAX = 6 };

struct learn {
	struct sg_options options;
	const struct sg_variables *variables;
	struct sg_policy *kept;    /* of the named profiles and the options; NULL: none was given */
	struct sg_policy *watched; /* what the watched run was given */
	struct sg_learn_bounds *bounds;
	struct sg_observed observed;
	struct sg_buffer proposal;
	char name[128];
	int status; /* exit status of the watched run */
	bool looks; /* what was merely looked at is in the proposal */
};

/* --- one run --- */

static volatile sig_atomic_t running; /* the process of the run */

/* Who ends us means the command. (What the terminal sends reaches it by itself.) */
static void pass_on(int number)
{
	if (running > 0)
		(void)kill((pid_t)running, number);
}

static void set_signals(void (*handler)(int), void (*keyboard)(int))
{
	const struct sigaction pass = {.sa_handler = handler, .sa_flags = SA_RESTART},
			       ignore = {.sa_handler = keyboard};

	(void)sigaction(SIGTERM, &pass, NULL);
	(void)sigaction(SIGHUP, &pass, NULL);
	(void)sigaction(SIGINT, &ignore, NULL);
	(void)sigaction(SIGQUIT, &ignore, NULL);
}

/* A replay says nothing and reads nothing: what it does is seen by its record. */
static void leave_streams(void)
{
	SG_AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 3; i++)
		if (null < 0 || dup2(null, i) < 0)
			_exit(SG_EXIT_FAILED);
}

static int wait_for(pid_t child, int *ret_status)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}

/*
 * Runs the command under the profile `text`, called `name`. Returns 0 with its exit status and the path of its record (free), NULL if
 * there is none: it was not started; or a negative errno value.
 */
static int run_once(struct sg_options *options, const struct sg_run_mode *wanted, bool silent, int *ret_status,
		    char **ret_record)
{
	struct sg_run_mode mode = *wanted;
	SG_AUTO_FD int reader = -1;
	int ends[2], status;
	size_t size = 0;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	reader = ends[0];
	set_signals(pass_on, SIG_IGN);
	child = fork();
	if (child == 0) {
		set_signals(SIG_DFL, SIG_DFL);
		sg_fd_close(reader);
		mode.tell = ends[1];
		if (silent)
			leave_streams();
		sg_run_as(options, &mode);
	}
	running = (sig_atomic_t)child;
	sg_fd_close(ends[1]);
	*ret_record = NULL;
	status = child < 0 ? -errno : sg_fd_read_file(reader, 2 * PATH_MAX, ret_record, &size);
	if (child > 0) {
		const int waited = wait_for(child, ret_status);

		status = status == 0 ? waited : status;
	}
	running = 0;
	set_signals(SIG_DFL, SIG_DFL);
	if (size == 0) {
		free(*ret_record);
		*ret_record = NULL;
	}
	return status;
}

static int observe(const char *record, struct sg_observed *observed)
{
	SG_AUTO_FD int fd = open(record, O_RDONLY | O_CLOEXEC);
	struct sg_error error = SG_ERROR_INIT;

	if (fd < 0 || sg_observed_read(observed, fd, &error) < 0) {
		sg_complain("cannot learn from the record %s: %s", record,
			    fd < 0 ? strerrordesc_np(errno) : error.text);
		return SG_EXIT_FAILED;
	}
	sg_observed_settle(observed);
	return 0;
}

/* The policy of the watched run: of what `run` makes its own. */
static int load_bounds(struct learn *learn, const char *world)
{
	const struct sg_options *options = &learn->options;
	const struct sg_profile_text texts[] = {{SG_POLICY_COMMAND_LINE, options->lines.data}, {SG_LEARN_WORLD, world}};

	if (sg_load_policy_texts(options->profiles, options->profile_count, texts, SG_ARRAY_SIZE(texts),
				 learn->variables, &learn->watched) != 0)
		return SG_EXIT_FAILED;
	if (sg_learn_bounds_new(learn->watched, learn->variables, &learn->bounds) < 0) {
		sg_complain("out of memory");
		return SG_EXIT_FAILED;
	}
	return 0;
}

static int watch(struct learn *learn)
{
	SG_AUTO_BUFFER struct sg_buffer world = SG_BUFFER_INIT;
	SG_AUTO_FREE char *record = NULL;
	struct sg_run_mode mode = {.name = SG_LEARN_WORLD, .watched = true, .tell = -1};
	int status;

	sg_learn_world(learn->variables, learn->options.secrets, &world);
	mode.text = world.data;
	status = sg_buffer_status(&world);
	if (status == 0 && load_bounds(learn, world.data) != 0)
		return SG_EXIT_FAILED;
	if (status == 0)
		status = run_once(&learn->options, &mode, false, &learn->status, &record);
	if (status < 0) {
		sg_complain("cannot run the command: %s", strerrordesc_np(-status));
		return SG_EXIT_FAILED;
	}
	/* Where the command was not started, that was said. */
	if (record == NULL || observe(record, &learn->observed) != 0 || !learn->observed.started)
		return SG_EXIT_FAILED;
	return 0;
}

/* --- the proposal --- */

/* --name, or that of the command with nothing odd in it. */
static const char *name_of(struct learn *learn)
{
	const char *base = sg_words_base(learn->options.command[0]);
	size_t i = 0;

	if (learn->options.name != NULL)
		return learn->options.name;
	for (; base[i] != '\0' && i + 1 < sizeof(learn->name); i++)
		learn->name[i] = isalnum((unsigned char)base[i]) || strchr("._+-", base[i]) != NULL ? base[i] : '-';
	learn->name[i] = '\0';
	return i > 0 ? learn->name : "learned";
}

static int propose(struct learn *learn)
{
	const struct sg_learn_context context = {.name = name_of(learn),
						 .command = learn->options.command,
						 .variables = learn->variables,
						 .kept = learn->kept,
						 .watched = learn->watched,
						 .looks = learn->looks,
						 .secrets = learn->options.secrets};
	SG_AUTO_POLICY struct sg_policy *policy = NULL;
	struct sg_profile_text text = {.name = "the proposal"};
	struct sg_error error = SG_ERROR_INIT;

	sg_buffer_clear(&learn->proposal);
	if (sg_learn_propose(&learn->observed, &context, &learn->proposal, &error) < 0) {
		sg_complain("%s", error.text);
		return SG_EXIT_FAILED;
	}
	/* What is handed out is a profile without errors. */
	text.text = learn->proposal.data;
	return sg_load_policy_texts(NULL, 0, &text, 1, learn->variables, &policy) == 0 ? 0 : SG_EXIT_FAILED;
}

/* To a person: a script knows what it named. */
static void tell_proposal(const struct learn *learn)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	const size_t length = strlen(learn->options.output);
	const bool bare = strchr(learn->options.output, '/') == NULL &&
			  (length <= 5 || strcmp(learn->options.output + length - 5, ".toml") != 0);

	if (learn->options.quiet || !isatty(STDERR_FILENO))
		return;
	sg_buffer_append_text(&path,
			      bare ? "./" : ""); /* a name alone is that of a profile that was put in its place */
	sg_shell_quote(&path, learn->options.output);
	if (sg_buffer_status(&path) == 0)
		sg_complain(
			"the proposal is in %s: read it, then \"shellguard run -p %s\" and the command run under it",
			learn->options.output, path.data);
}

static int write_proposal(const struct learn *learn)
{
	const char *path = learn->options.output;
	SG_AUTO_FD int fd = -1;
	int status;

	if (path == NULL)
		return sg_print(STDOUT_FILENO, learn->proposal.data, learn->proposal.size) == 0 ? 0 : SG_EXIT_FAILED;
	/* What stands there now is not what we looked at before the run: the command may have put a link there. */
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	status = fd < 0 ? -errno : sg_fd_write_full(fd, learn->proposal.data, learn->proposal.size);
	if (status < 0)
		sg_complain("cannot write %s: %s", path, strerrordesc_np(-status));
	else
		tell_proposal(learn);
	return status < 0 ? SG_EXIT_FAILED : 0;
}

/* --- replays --- */

/* Returns 0 with what was refused in *ret and the exit status, or an exit status of ours. */
static int replay_once(struct learn *learn, int *ret_status, struct sg_observed *ret)
{
	struct sg_options options = {.command = learn->options.command, .quiet = true};
	const struct sg_run_mode mode = {.name = "the proposal", .text = learn->proposal.data, .tell = -1};
	SG_AUTO_FREE char *record = NULL;
	int status = run_once(&options, &mode, true, ret_status, &record);

	if (status < 0 || record == NULL) {
		sg_complain("cannot run the command again under the proposal");
		return SG_EXIT_FAILED;
	}
	return observe(record, ret);
}

static int give_up(const struct learn *learn, int status)
{
	sg_complain(
		"under the proposal the command ends with %d, and ended with %d when it was watched; nothing more was "
		"refused that could be added. What differs may lie in what the first run left behind, or in "
		"what it only looked at (the comments at the end)",
		status, learn->status);
	return SG_EXIT_NO;
}

/* Until the command does under the proposal what it did before, or nothing can be added. */
static int replay(struct learn *learn)
{
	for (int i = 0; i < REPLAYS_MAX; i++) {
		SG_CLEANUP(sg_observed_done) struct sg_observed seen = {0};
		size_t added;
		int status, result = replay_once(learn, &status, &seen);

		if (result != 0)
			return result;
		if (sg_observed_add_missed(&learn->observed, &seen, learn->bounds, &added) < 0)
			return SG_EXIT_FAILED;
		if (added == 0 && status == learn->status)
			return 0;
		if (added == 0 && learn->looks)
			return give_up(learn, status);
		learn->looks |= added == 0;
		if (added == 0)
			sg_complain(
				"replay %d: it ended with %d (%d when it was watched), and nothing more was refused: "
				"what it only looked at is added",
				i + 1, status, learn->status);
		else
			sg_complain(
				"replay %d: it ended with %d (%d when it was watched); what was refused is added: %zu",
				i + 1, status, learn->status, added);
		result = propose(learn);
		if (result != 0)
			return result;
	}
	sg_complain("after %d replays something new is refused each time: the proposal is as far as it got",
		    REPLAYS_MAX);
	return SG_EXIT_NO;
}

/* --- the command --- */

static int check_arguments(const struct learn *learn)
{
	struct stat status;

	if (learn->options.command[0] == NULL)
		return sg_command_usage("learn");
	if (learn->variables == NULL) {
		sg_complain("the working directory is gone, or lies outside of what we see");
		return SG_EXIT_FAILED;
	}
	if (learn->options.output != NULL && lstat(learn->options.output, &status) == 0) {
		sg_complain("%s exists already; a proposal replaces nothing", learn->options.output);
		return SG_EXIT_FAILED;
	}
	return 0;
}

static int load_kept(struct learn *learn)
{
	const struct sg_options *options = &learn->options;

	if (options->profile_count == 0 && options->lines.size == 0)
		return 0;
	return sg_load_policy(options->profiles, options->profile_count,
			      options->lines.size > 0 ? options->lines.data : NULL, learn->variables, &learn->kept) == 0
		       ? 0
		       : SG_EXIT_FAILED;
}

static int learn_all(struct learn *learn)
{
	int status = check_arguments(learn), replayed = 0;

	if (status == 0)
		status = load_kept(learn);
	if (status == 0)
		status = watch(learn);
	if (status == 0)
		status = propose(learn);
	if (status == 0 && learn->options.replay)
		replayed = replay(learn);
	if (status == 0)
		status = write_proposal(learn);
	return status != 0 ? status : replayed;
}

int sg_command_learn(int argc, char **argv)
{
	struct learn learn = {.status = SG_EXIT_FAILED};
	int status = SG_EXIT_USAGE;

	if (sg_options_read(argc, argv, &learn.options) == 0) {
		learn.variables = sg_variables_of_caller();
		status = learn.options.help
				 ? (sg_command_help("learn", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED)
				 : learn_all(&learn);
	}
	sg_observed_done(&learn.observed);
	sg_buffer_done(&learn.proposal);
	sg_policy_free(learn.kept);
	sg_learn_bounds_free(learn.bounds);
	sg_policy_free(learn.watched);
	sg_options_done(&learn.options);
	return status;
}
