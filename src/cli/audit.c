/* shellguard audit: the records of the sessions. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit/log.h"
#include "audit/read.h"
#include "audit/show.h"
#include "base/fd.h"
#include "base/text.h"
#include "cli/help.h"
#include "cli/layout.h"
#include "cli/options.h"

static int output(void *context, const char *data, size_t size)
{
	(void)context;
	return sg_print(STDOUT_FILENO, data, size);
}

/* For a person at a terminal: a line a record, which goes on under its own beginning. `context`: a buffer. */
static int output_wrapped(void *context, const char *data, size_t size)
{
	struct sg_buffer *out = context;

	sg_buffer_clear(out);
	sg_layout_hang(data, size > 0 && data[size - 1] == '\n' ? size - 1 : size, SG_SHOW_TEXT_COLUMN,
		       sg_layout_width(STDOUT_FILENO), out);
	return sg_buffer_status(out) < 0 ? sg_buffer_status(out) : sg_print(STDOUT_FILENO, out->data, out->size);
}

static int complain(const struct sg_error *error, int status)
{
	sg_complain("%s", error->code != 0 ? error->text : strerrordesc_np(-status));
	return sg_exit_of(status);
}

static int show(const struct sg_options *options, const char *session)
{
	SG_AUTO_BUFFER struct sg_buffer line = SG_BUFFER_INIT;
	SG_AUTO_FREE char *path = NULL;
	struct sg_error error = SG_ERROR_INIT;
	const bool terminal = isatty(STDOUT_FILENO);
	int status = sg_log_find(NULL, session, &path, &error);
	const struct sg_show_options how = {.path = path,
					    .json = options->json,
					    .follow = options->follow,
					    .colour = terminal && getenv("NO_COLOR") == NULL,
					    .stop = -1};

	if (status == 0)
		status = sg_audit_show(&how, terminal && !options->json ? output_wrapped : output, &line, &error);
	if (status == -EPIPE) /* whoever read it has seen enough */
		return SG_EXIT_OK;
	if (status < 0)
		return complain(&error, status);
	if (status > 0) {
		sg_complain("the record ends without a session-end, and nobody writes to it any more");
		return SG_EXIT_NO;
	}
	return SG_EXIT_OK;
}

/* Words with spaces between, or as a JSON list. */
static void append_words(const json_t *words, bool as_json, struct sg_buffer *out)
{
	const json_t *word;
	size_t index;

	sg_buffer_append_text(out, as_json ? "[" : "");
	json_array_foreach((json_t *)(size_t)words, index, word)
	{
		SG_AUTO_BUFFER struct sg_buffer bytes = SG_BUFFER_INIT;

		sg_read_bytes(word, &bytes);
		sg_buffer_append_text(out, index == 0 ? "" : as_json ? "," : " ");
		if (as_json)
			sg_buffer_append_json(out, bytes.data != NULL ? bytes.data : "", bytes.size);
		else if (bytes.data != NULL)
			sg_buffer_append_escaped(out, bytes.data, bytes.size);
	}
	sg_buffer_append_text(out, as_json ? "]" : "");
}

static void append_session(const struct sg_log_session *item, bool as_json, struct sg_buffer *out)
{
	SG_AUTO_BUFFER struct sg_buffer profiles = SG_BUFFER_INIT;
	const char *state = sg_log_state_name(item->state);
	json_t *start = NULL;
	const json_t *command;

	/* A log that does not begin with its start is listed all the same; `verify` says what is wrong with it. */
	(void)sg_audit_read_start(item->path, &start, NULL);
	command = json_object_get(start, "command");
	append_words(json_object_get(json_object_get(start, "policy"), "profiles"), as_json, &profiles);
	if (as_json) {
		sg_buffer_printf(
			out,
			"{\"session\":\"%s\",\"state\":\"%s\",\"bytes\":%llu,\"profiles\":%s,\"command\":", item->id,
			state, (unsigned long long)item->size, profiles.data != NULL ? profiles.data : "[]");
		append_words(command, true, out);
		sg_buffer_append_text(out, ",\"path\":");
		sg_buffer_append_json(out, item->path, strlen(item->path));
		sg_buffer_append_byte(out, '}');
	} else {
		sg_buffer_printf(out, "%-24s  %-7s  %10llu  %-22s  ", item->id, state, (unsigned long long)item->size,
				 start == NULL || profiles.data == NULL ? "?" : profiles.data);
		append_words(command, false, out);
	}
	sg_buffer_append_byte(out, '\n');
	out->failed |= profiles.failed;
	json_decref(start);
}

static int list(const struct sg_options *options, const char *session)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_log_list sessions = {0};
	int status = sg_log_list(NULL, &sessions, &error);

	(void)session;
	if (status == 0 && sessions.count > 0 && !options->json)
		sg_buffer_printf(&out, "%-24s  %-7s  %10s  %-22s  %s\n", "SESSION", "STATE", "BYTES", "PROFILE",
				 "COMMAND");
	for (size_t i = 0; status == 0 && i < sessions.count; i++)
		append_session(&sessions.items[i], options->json, &out);
	sg_log_list_done(&sessions);
	if (status == 0)
		status = sg_buffer_status(&out);
	if (status == 0 && out.size > 0)
		status = sg_print(STDOUT_FILENO, out.data, out.size);
	return status < 0 ? complain(&error, status) : SG_EXIT_OK;
}

/* "whole", "cut" or "altered", and how far it can be believed. */
static void describe(const struct sg_read_report *report, int status, enum sg_log_state state, struct sg_buffer *out)
{
	const unsigned long long lines = report->lines;

	if (status > 0)
		sg_buffer_printf(out, "altered: %s; the %llu records before it are in order\n", report->text, lines);
	else if (report->whole && report->torn == 0)
		sg_buffer_printf(out, "whole: %llu records, the last one's hash is %s\n", lines, report->hash);
	else if (state == SG_LOG_RUNNING)
		sg_buffer_printf(out, "running: %llu records so far, in order\n", lines);
	else
		sg_buffer_printf(out, "cut: %llu records in order, then %s\n", lines,
				 report->torn > 0 ? "a line that was not written to its end" : "no session-end");
}

static int verify(const struct sg_options *options, const char *session)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
	SG_AUTO_FREE char *path = NULL;
	SG_AUTO_FD int fd = -1;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_read_report report = {0};
	enum sg_log_state state = SG_LOG_CUT;
	int status = sg_log_find(NULL, session, &path, &error);

	(void)options;
	if (status < 0)
		return complain(&error, status);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	/* First whether somebody still writes: what is read after that is at least as much. */
	status = fd < 0 ? sg_error_set_errno(&error, -errno, "open %s", path) : sg_log_state(fd, &state);
	if (status == 0)
		status = sg_audit_verify(fd, &report, &error);
	if (status < 0)
		return complain(&error, status);
	sg_buffer_append_escaped(&out, path, strlen(path));
	sg_buffer_append_text(&out, ": ");
	describe(&report, status, state, &out);
	if (sg_buffer_status(&out) < 0 || sg_print(STDOUT_FILENO, out.data, out.size) < 0)
		return SG_EXIT_FAILED;
	return status == 0 && (report.whole || state == SG_LOG_RUNNING) && (report.torn == 0 || state == SG_LOG_RUNNING)
		       ? SG_EXIT_OK
		       : SG_EXIT_NO;
}

static const struct {
	const char *name;
	int (*run)(const struct sg_options *options, const char *session);
	bool session, json, follow;
} actions[] = {
	{"show", show, true, true, true},
	{"list", list, false, true, false},
	{"verify", verify, true, false, false},
};

static int complain_action(const char *name)
{
	const char *names[SG_ARRAY_SIZE(actions)], *nearest;

	for (size_t i = 0; i < SG_ARRAY_SIZE(actions); i++)
		names[i] = actions[i].name;
	nearest = sg_text_nearest(name, names, SG_ARRAY_SIZE(names));
	sg_complain("audit takes show, list or verify, not \"%s\"%s%s%s", name,
		    nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
		    nearest != NULL ? "\"?" : "");
	return SG_EXIT_USAGE;
}

static int act(const struct sg_options *options)
{
	const char *name = options->command[0], *session;

	if (name == NULL)
		return sg_command_usage("audit");
	session = options->command[1];
	for (size_t i = 0; i < SG_ARRAY_SIZE(actions); i++) {
		if (strcmp(actions[i].name, name) != 0)
			continue;
		if ((session != NULL && !actions[i].session) || (session != NULL && options->command[2] != NULL)) {
			sg_complain("audit %s takes %s", name, actions[i].session ? "one SESSION" : "no SESSION");
			return SG_EXIT_USAGE;
		}
		if ((options->json && !actions[i].json) || (options->follow && !actions[i].follow)) {
			sg_complain("audit %s has no option --%s", name,
				    options->follow && !actions[i].follow ? "follow" : "json");
			return SG_EXIT_USAGE;
		}
		return actions[i].run(options, session);
	}
	return complain_action(name);
}

int sg_command_audit(int argc, char **argv)
{
	struct sg_options options = {0};
	int status = SG_EXIT_USAGE;

	if (sg_options_read(argc, argv, &options) == 0) {
		if (options.help)
			status = sg_command_help("audit", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
		else
			status = act(&options);
	}
	sg_options_done(&options);
	return status;
}
