/* shellguard ps and shellguard stop: the running sessions of this user. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit/log.h"
#include "audit/read.h"
#include "base/fd.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "cli/layout.h"
#include "cli/options.h"
#include "cli/sessions.h"
#include "policy/addresspattern.h"
#include "supervisor/door.h"

enum { STOP_PATIENCE_MS = 5000, PROFILE_WIDTH_MAX = 40, SHOWN_MAX = 8 };

void sg_sessions_done(struct sg_sessions *sessions)
{
	for (size_t i = 0; i < sessions->count; i++) {
		free(sessions->names[i]);
		free(sessions->texts[i]);
	}
	for (size_t i = 0; i < sessions->silent_count; i++)
		free(sessions->silent[i]);
	free(sessions->folder);
}

void sg_sessions_door(const struct sg_sessions *sessions, size_t index, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/%s", sessions->folder, sessions->names[index]);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && strlen(entry->d_name) < SG_DOOR_SESSION_MAX;
}

static void keep_answer(struct sg_sessions *sessions, struct sg_door_asked *asked)
{
	SG_AUTO_FREE char *text = sg_take_pointer(asked->text);
	SG_AUTO_FREE char *name = strdup(asked->name);
	char path[4400];

	if (asked->status == -ECONNREFUSED) {
		(void)snprintf(path, sizeof(path), "%s/%s", sessions->folder, asked->name);
		(void)unlink(path);
	} else if (asked->status == -ETIMEDOUT && name != NULL && sessions->silent_count < SG_SESSIONS_MAX) {
		sessions->silent[sessions->silent_count++] = sg_take_pointer(name);
	} else if (asked->status == 0 && name != NULL && sessions->count < SG_SESSIONS_MAX) {
		sessions->names[sessions->count] = sg_take_pointer(name);
		sessions->texts[sessions->count++] = sg_take_pointer(text);
	}
}

static int ask_doors(struct sg_sessions *sessions, struct dirent **entries, size_t count)
{
	const struct sg_door_message describe = {.request = SG_DOOR_DESCRIBE};
	SG_AUTO_FREE struct sg_door_asked *asked = calloc(count + 1, sizeof(*asked));
	int status = asked == NULL ? -ENOMEM : 0;

	for (size_t i = 0; status == 0 && i < count; i++)
		asked[i].name = entries[i]->d_name;
	if (status == 0)
		status = sg_door_ask_all(sessions->folder, &describe, asked, count);
	for (size_t i = 0; status == 0 && i < count; i++)
		keep_answer(sessions, &asked[i]);
	return status;
}

/* Asks every door; one with nobody behind it (a session that was killed with its front end) is removed. */
int sg_sessions_find(struct sg_sessions *sessions, struct sg_error *error)
{
	struct dirent **entries = NULL;
	int status = sg_door_folder(&sessions->folder, error), count;

	if (status < 0)
		return status;
	count = scandir(sessions->folder, &entries, not_hidden, by_name);
	if (count < 0)
		return errno == ENOENT ? 0 : sg_error_set_errno(error, -errno, "cannot list %s", sessions->folder);
	status = ask_doors(sessions, entries, (size_t)count);
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return status < 0 ? sg_error_set_errno(error, status, "cannot ask the sessions in %s", sessions->folder) : 0;
}

/* Where the next column begins: behind the longest name of a profile, or its heading. */
static int width_of_profiles(const struct sg_sessions *sessions)
{
	int width = (int)strlen("PROFILE");

	for (size_t i = 0; i < sessions->count; i++) {
		json_t *json = NULL;
		size_t length;

		if (sg_read_json(sessions->texts[i], strcspn(sessions->texts[i], "\n"), &json, NULL) < 0)
			continue;
		length = json_string_length(json_object_get(json, "policy"));
		if (length < PROFILE_WIDTH_MAX && (int)length > width)
			width = (int)length;
		json_decref(json);
	}
	return width;
}

static void append_session(struct sg_buffer *out, const char *name, const char *text, int width)
{
	json_t *json = NULL;
	size_t index;
	json_t *word;

	if (sg_read_json(text, strcspn(text, "\n"), &json, NULL) < 0)
		return;
	sg_buffer_printf(out, "%-24s  %8lld  %-*s  ", name, (long long)json_integer_value(json_object_get(json, "pid")),
			 width, json_string_value(json_object_get(json, "policy")));
	json_array_foreach(json_object_get(json, "command"), index, word)
	{
		SG_AUTO_BUFFER struct sg_buffer bytes = SG_BUFFER_INIT;

		sg_read_bytes(word, &bytes);
		if (index > 0)
			sg_buffer_append_byte(out, ' ');
		if (bytes.data != NULL)
			sg_buffer_append_escaped(out, bytes.data, bytes.size);
	}
	sg_buffer_append_byte(out, '\n');
	json_decref(json);
}

static void append_table(const struct sg_sessions *sessions, size_t most, struct sg_buffer *out)
{
	const int width = width_of_profiles(sessions);

	if (sessions->count > 0)
		sg_buffer_printf(out, "%-24s  %8s  %-*s  %s\n", "SESSION", "PID", width, "PROFILE", "COMMAND");
	for (size_t i = 0; i < sessions->count && i < most; i++)
		append_session(out, sessions->names[i], sessions->texts[i], width);
}

static int list(const struct sg_options *options)
{
	SG_CLEANUP(sg_sessions_done) struct sg_sessions sessions = {0};
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	struct sg_error error = SG_ERROR_INIT;

	if (options->command[0] != NULL)
		return sg_command_usage("ps");
	if (sg_sessions_find(&sessions, &error) < 0) {
		sg_complain("%s", error.text);
		return SG_EXIT_FAILED;
	}
	for (size_t i = 0; i < sessions.silent_count; i++)
		sg_complain("the session %s does not answer: it may be stopped", sessions.silent[i]);
	if (!options->json)
		append_table(&sessions, sessions.count, &out);
	for (size_t i = 0; options->json && i < sessions.count; i++)
		sg_buffer_append_text(&out, sessions.texts[i]);
	return sg_layout_print(STDOUT_FILENO, &out, true);
}

/* True if the session was given that name: profiles that are united bear their names sorted, with "+" between, that of --name among them. */
static bool is_named(const struct sg_sessions *sessions, size_t index, const char *name)
{
	const size_t length = strlen(name);
	json_t *json = NULL;
	const char *policy;
	bool same;

	if (sg_read_json(sessions->texts[index], strcspn(sessions->texts[index], "\n"), &json, NULL) < 0)
		return false;
	policy = json_string_value(json_object_get(json, "policy"));
	same = policy != NULL && strcmp(policy, name) == 0;
	for (const char *at = policy; at != NULL && !same; at = strchr(at, '+')) {
		at += *at == '+';
		same = strncmp(at, name, length) == 0 && (at[length] == '\0' || at[length] == '+');
	}
	json_decref(json);
	return same;
}

/* Says what there is instead: a session of that id that has ended, or those that run. */
static void complain_unknown(const struct sg_sessions *sessions, const char *wanted)
{
	SG_AUTO_BUFFER struct sg_buffer running = SG_BUFFER_INIT;
	SG_AUTO_FREE char *log = NULL;

	if (wanted[0] != '\0' && strchr(wanted, '/') == NULL && strcmp(wanted, "last") != 0 &&
	    sg_log_find(NULL, wanted, &log, NULL) == 0) {
		sg_complain("the session \"%s\" has ended (\"shellguard audit show %s\" tells what it did)", wanted,
			    wanted);
		return;
	}
	if (sessions->count == 0) {
		sg_complain("there is no running session \"%s\"; none of yours is running (\"shellguard ps\" lists "
			    "them, \"shellguard run\" "
			    "starts one)",
			    wanted);
		return;
	}
	sg_complain("there is no running session \"%s\"; yours (\"shellguard ps\"), named by the start of the id or by "
		    "the profile:",
		    wanted);
	append_table(sessions, SHOWN_MAX, &running);
	if (sessions->count > SHOWN_MAX)
		sg_buffer_printf(&running, "and %zu more (\"shellguard ps\")\n", sessions->count - SHOWN_MAX);
	(void)sg_layout_print(STDERR_FILENO, &running, true);
}

int sg_sessions_choose(const struct sg_sessions *sessions, const char *wanted)
{
	int found = SG_SESSIONS_NONE;

	for (size_t i = 0; i < sessions->count; i++)
		if (strcmp(sessions->names[i], wanted) == 0)
			return (int)i;
	for (size_t i = 0; i < sessions->count; i++) {
		if (wanted[0] == '\0' ||
		    (strncmp(sessions->names[i], wanted, strlen(wanted)) != 0 && !is_named(sessions, i, wanted)))
			continue;
		if (found >= 0) {
			sg_complain("\"%s\" may be one of several sessions: %s, %s", wanted, sessions->names[found],
				    sessions->names[i]);
			return SG_SESSIONS_NONE;
		}
		found = (int)i;
	}
	for (size_t i = 0; found < 0 && i < sessions->silent_count && wanted[0] != '\0'; i++)
		if (strncmp(sessions->silent[i], wanted, strlen(wanted)) == 0) {
			sg_complain("the session %s does not answer: it may be stopped", sessions->silent[i]);
			return SG_SESSIONS_SILENT;
		}
	if (found < 0)
		complain_unknown(sessions, wanted);
	return found;
}

/* Sends the request and waits until the session has ended, or the time is over. Returns true when it has ended. */
static bool ask_and_wait(const char *path, const struct sg_door_message *message)
{
	char text[SG_DOOR_TEXT_MAX];
	SG_AUTO_FD int connection = -1;
	const int status = sg_door_ask(path, message, text, &connection);
	struct pollfd wait;

	if (status < 0) /* nobody is behind it any more, unless it is there and just does not answer */
		return status != -ETIMEDOUT;
	wait = (struct pollfd){.fd = connection, .events = POLLIN};
	return poll(&wait, 1, STOP_PATIENCE_MS) > 0;
}

/* Asks for the cut. Returns the exit status. */
static int cut_network(const char *path, const struct sg_door_message *message, const char *name)
{
	char text[SG_DOOR_TEXT_MAX];
	int status = sg_door_ask(path, message, text, NULL);

	if (status < 0) {
		sg_complain("the network of the session %s was not cut: %s", name, strerror(-status));
		return SG_EXIT_FAILED;
	}
	text[strcspn(text, "\n")] = '\0';
	if (text[0] == '\0')
		return SG_EXIT_OK;
	sg_complain("the network of the session %s: %s", name, text);
	return SG_EXIT_FAILED;
}

/* One more address to keep. Returns 0, or -EINVAL after saying what is wrong. */
static int keep(struct sg_door_message *cut, const char *text)
{
	SG_AUTO_ADDRESSPATTERN struct sg_addresspattern pattern = {0};
	struct sg_addresspattern_problem problem = {.message = "out of memory"};
	const size_t used = strlen(cut->argument);
	int status = sg_addresspattern_parse(text, strlen(text), SG_ADDRESSPATTERN_ALLOW, &pattern, &problem);

	if (status == 0 && (pattern.kind == SG_HOST_NAME || (pattern.protocols & SG_PROTOCOL_UNIX) != 0))
		(void)snprintf(problem.message, sizeof(problem.message), "only IP addresses can be kept");
	else if (status == 0 && (size_t)snprintf(cut->argument + used, sizeof(cut->argument) - used, "%s\n", text) >=
					sizeof(cut->argument) - used)
		(void)snprintf(problem.message, sizeof(problem.message), "too many addresses to keep");
	else if (status == 0)
		return 0;
	sg_complain("--keep %s: %s", text, problem.message);
	return -EINVAL;
}

/* The session that is meant, and the addresses to keep. Returns 0, or the exit status after saying what is wrong. */
static int read_stop(const struct sg_options *options, struct sg_door_message *cut)
{
	if (options->command[0] == NULL)
		return sg_command_usage("stop");
	if (options->command[1] != NULL) {
		sg_complain("stop takes one SESSION, not also \"%s\"", options->command[1]);
		return SG_EXIT_USAGE;
	}
	if (options->keep_count > 0 && !options->network) {
		sg_complain("--keep goes with --network: a session that ends keeps nothing");
		return SG_EXIT_USAGE;
	}
	for (size_t i = 0; i < options->keep_count; i++)
		if (keep(cut, options->keeps[i]) < 0)
			return SG_EXIT_USAGE;
	return 0;
}

static int stop(const struct sg_options *options)
{
	const struct sg_door_message ask = {.request = SG_DOOR_SIGNAL, .value = SIGTERM},
				     end = {.request = SG_DOOR_KILL};
	SG_CLEANUP(sg_sessions_done) struct sg_sessions sessions = {0};
	struct sg_door_message cut = {.request = SG_DOOR_CUT};
	struct sg_error error = SG_ERROR_INIT;
	char path[4400];
	int index, status = read_stop(options, &cut);

	if (status != 0)
		return status;
	if (sg_sessions_find(&sessions, &error) < 0) {
		sg_complain("%s", error.text);
		return SG_EXIT_FAILED;
	}
	index = sg_sessions_choose(&sessions, options->command[0]);
	if (index < 0)
		return index == SG_SESSIONS_SILENT ? SG_EXIT_FAILED : SG_EXIT_NO;
	sg_sessions_door(&sessions, (size_t)index, path, sizeof(path));
	if (options->network)
		return cut_network(path, &cut, sessions.names[index]);
	if (ask_and_wait(path, &ask) || ask_and_wait(path, &end))
		return SG_EXIT_OK;
	sg_complain("the session %s does not end", sessions.names[index]);
	return SG_EXIT_FAILED;
}

/* Reads the options of `ps` or `stop`, and acts or helps. */
static int command(int argc, char **argv, int (*act)(const struct sg_options *options))
{
	struct sg_options options = {0};
	int status = SG_EXIT_USAGE;

	if (sg_options_read(argc, argv, &options) == 0) {
		if (options.help)
			status = sg_command_help(argv[0], STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
		else
			status = act(&options);
	}
	sg_options_done(&options);
	return status;
}

int sg_command_ps(int argc, char **argv)
{
	return command(argc, argv, list);
}

int sg_command_stop(int argc, char **argv)
{
	return command(argc, argv, stop);
}
