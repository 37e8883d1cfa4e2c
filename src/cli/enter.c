/*
 * shellguard enter: one more command in a running session's world, and the front end of it.
 *
 * The session's supervisor is asked at its door, and gets the other ends of what this front end relays: pipes
 * for the streams that are no terminal, and a socket on which it speaks as it does to the front end of `run`.
 * The user's own descriptors stay here.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "audit/read.h"
#include "base/fd.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/relay.h"
#include "cli/sessions.h"
#include "supervisor/door.h"
#include "world/enter.h"

static int add_words(struct sg_enter_request *request, char *const *command)
{
	for (; *command != NULL; command++) {
		const size_t length = strlen(*command) + 1;

		if (length > sizeof(request->words) - request->size) {
			sg_complain("the command is longer than %d bytes", SG_ENTER_ARGUMENTS_MAX);
			return -E2BIG;
		}
		memcpy(request->words + request->size, *command, length);
		request->size += (uint32_t)length;
		request->count++;
	}
	return 0;
}

/* A name of a terminal, and nothing else that a TERM could hold. */
static void add_term(struct sg_enter_request *request)
{
	static const char usual[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-+._";
	const char *term = getenv("TERM");

	if (term != NULL && strlen(term) < sizeof(request->term) && strspn(term, usual) == strlen(term))
		(void)snprintf(request->term, sizeof(request->term), "%s", term);
}

static void describe(const struct sg_stdio *stdio, const struct sg_stdio_pipes *pipes, struct sg_enter_request *request)
{
	request->request = SG_DOOR_ENTER;
	request->pty = stdio->wants_pty;
	request->background = stdio->keys_on_demand;
	request->termios = stdio->termios;
	request->window = stdio->window;
	for (int i = 0; i < 3; i++) {
		request->given[i] = pipes->world[i] >= 0;
		request->closed[i] = stdio->of[i].kind == SG_STDIO_CLOSED;
	}
	add_term(request);
}

/* As root the pipes are root's, and nobody in the world is: they are handed over to the world's user, as
 * `run` does. */
static int hand_over_pipes(const char *text, const struct sg_stdio_pipes *pipes)
{
	json_t *json = NULL, *owner;
	int status = sg_read_json(text, strcspn(text, "\n"), &json, NULL);

	if (status < 0)
		return status;
	owner = json_object_get(json, "streams_uid");
	for (int i = 0; status == 0 && json_is_integer(owner) && i < 3; i++)
		if (pipes->world[i] >= 0 && fchown(pipes->world[i], (uid_t)json_integer_value(owner), (gid_t)-1) < 0)
			status = -errno;
	json_decref(json);
	return status;
}

/* Returns 0 when the session has taken the request, or a negative errno value. */
static int ask(const struct sg_sessions *sessions, size_t index, const struct sg_enter_request *request, int control,
	       const struct sg_stdio_pipes *pipes)
{
	const size_t size = offsetof(struct sg_enter_request, words) + request->size;
	char path[4400], text[SG_DOOR_TEXT_MAX];
	int fds[SG_ENTER_DESCRIPTORS] = {control};
	size_t count = 1;

	for (int i = 0; i < 3; i++)
		if (pipes->world[i] >= 0)
			fds[count++] = pipes->world[i];
	sg_sessions_door(sessions, index, path, sizeof(path));
	return sg_door_send(path, request, size, fds, count, text, NULL);
}

static int enter(const struct sg_sessions *sessions, size_t index, struct sg_enter_request *request,
		 struct sg_stdio *stdio, bool quiet)
{
	struct sg_stdio_pipes pipes = SG_STDIO_PIPES_INIT;
	struct sg_relay relay = {.stdio = stdio, .pipes = &pipes, .quiet = quiet, .on_demand = true};
	struct sg_error error = SG_ERROR_INIT;
	int control[2] = {-1, -1}, result = SG_EXIT_FAILED;
	int status = sg_stdio_make_pipes(stdio, &pipes, &error);

	if (status == 0)
		status = hand_over_pipes(sessions->texts[index], &pipes);
	if (status == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
		status = -errno;
	if (status == 0) {
		describe(stdio, &pipes, request);
		status = ask(sessions, index, request, control[1], &pipes);
	}
	sg_stdio_pipes_close_world(&pipes);
	sg_fd_close(control[1]);
	relay.control = control[0];
	if (status == 0)
		status = sg_relay_run(&relay, &result, &error);
	else
		sg_stdio_pipes_done(&pipes);
	sg_fd_close(control[0]);
	if (status == -ECONNREFUSED || status == -ENOENT)
		sg_complain("the session %s has just ended", sessions->names[index]);
	else if (status < 0)
		sg_complain("cannot enter the session %s: %s", sessions->names[index],
			    error.code != 0 ? error.text : strerror(-status));
	return status < 0 ? SG_EXIT_FAILED : result;
}

static int enter_named(char **arguments, bool quiet)
{
	SG_CLEANUP(sg_sessions_done) struct sg_sessions sessions = {0};
	static struct sg_enter_request request;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_stdio stdio;
	char **command = arguments + 1;
	int index;

	if (command[0] != NULL && strcmp(command[0], "--") == 0)
		command++;
	/* First of all: what is closed of 0-2 must not become something else. */
	if (sg_stdio_inspect(&stdio, &error) < 0 || sg_sessions_find(&sessions, &error) < 0) {
		sg_complain("%s", error.text);
		return SG_EXIT_FAILED;
	}
	index = sg_sessions_choose(&sessions, arguments[0]);
	if (index < 0)
		return index == SG_SESSIONS_SILENT ? SG_EXIT_FAILED : SG_EXIT_NO;
	if (add_words(&request, command) < 0)
		return SG_EXIT_FAILED;
	return enter(&sessions, (size_t)index, &request, &stdio, quiet);
}

int sg_command_enter(int argc, char **argv)
{
	struct sg_options options = {0};
	int status;

	if (sg_options_read(argc, argv, &options) < 0) {
		status = SG_EXIT_FAILED;
	} else if (options.help) {
		status = sg_command_help("enter", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
	} else if (options.command[0] == NULL) {
		(void)sg_command_usage("enter"); /* 2 may be a command's own status */
		status = SG_EXIT_FAILED;
	} else {
		status = enter_named(options.command, options.quiet);
	}
	sg_options_done(&options);
	return status;
}
