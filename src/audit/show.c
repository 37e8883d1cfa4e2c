#include "audit/show.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "audit/log.h"
#include "audit/read.h"
#include "audit/record.h"
#include "base/attr.h"
#include "base/fd.h"

enum { KIND_WIDTH = 13, SEQUENCE_WIDTH = 6, TIME_START = 11, TIME_WIDTH = 12, ALIVE_MS = 1000 };

_Static_assert(SEQUENCE_WIDTH + 2 + TIME_WIDTH + 2 + KIND_WIDTH + 2 == SG_SHOW_TEXT_COLUMN, "a line's parts");

#define IN(symbol) (1U << SG_RECORD_##symbol)
#define DECIDED (IN(GRANT) | IN(REFUSAL))

/* What a line shows after number, time and kind, in this order: a value if it is there, with what stands
 * around it. */
static const struct {
	unsigned int kinds;
	const char *group;
	const char *name;
	const char *before;
	const char *after;
} parts[] = {
	{IN(SESSION_START) | IN(ENTER), "", "command", "", ""},
	{IN(SESSION_START) | IN(ENTER), "user", "name", "  user ", ""},
	{IN(SESSION_START) | IN(ENTER), "user", "uid", " (", ")"},
	{IN(SESSION_START), "policy", "profiles", "  profiles ", ""},
	{IN(SESSION_START), "policy", "hash", "  policy ", ""},
	{IN(SESSION_START), "host", "kernel", "  kernel ", ""},
	{IN(SESSION_START), "features", "missing", "  missing ", ""},
	{IN(SESSION_START), "features", "accepted", "  accepted ", ""},
	{IN(SESSION_START), "bounds", "apparmor", "  AppArmor ", ""},
	{IN(SESSION_START), "bounds", "no_apparmor", "  no AppArmor: ", ""},
	{IN(SESSION_START), "links", "followed", "  links ", ""},
	{IN(SESSION_START), "links", "refused", "  links refused ", ""},
	{IN(LEAVE), "", "entry", "entry ", "  "},
	{IN(SESSION_END) | IN(LEAVE), "", "exit_status", "status ", ""},
	{IN(SESSION_END), "counts", "exec", "  exec ", ""},
	{IN(SESSION_END), "counts", "grant", "  grants ", ""},
	{IN(SESSION_END), "counts", "refusal", "  refusals ", ""},
	{IN(SESSION_END), "counts", "slowed", "  slowed ", ""},
	{IN(SESSION_END), "counts", "failed", "  failed ", ""},
	{IN(EXEC), "process", "program", "", ""},
	{IN(EXEC), "process", "argv", "  [", "]"},
	{IN(EXEC), "process", "argv_claimed", "  arguments claimed: ", ""},
	{IN(EXEC), "process", "cwd", "  in ", ""},
	{DECIDED | IN(FLOOD), "", "operation", "", " "},
	{DECIDED, "", "object", "", ""},
	{DECIDED | IN(EXEC), "", "named", "  named ", ""},
	{DECIDED | IN(EXEC), "", "error", "  ", ""},
	{DECIDED | IN(EXEC), "", "verdict", "  ", ""},
	{DECIDED | IN(EXEC), "rule", "file", "  by ", ""},
	{DECIDED | IN(EXEC), "rule", "line", ":", ""},
	{DECIDED | IN(EXEC), "rule", "column", ":", ""},
	{DECIDED | IN(EXEC), "rule", "text", " ", ""},
	{DECIDED, "process", "program", "  ", ""},
	{DECIDED | IN(EXEC) | IN(ENTER), "process", "pid", "  pid ", ""},
	{IN(FLOOD), "", "coalesced", "", " records"},
	{IN(FLOOD), "", "since", " since ", ""},
	{IN(NOTE), "", "message", "", ""},
	{~0U, "", "reason", "  (", ")"},
	{~0U, "", "world", "  world ", ""},
	{~0U, "", "labels", "  labels ", ""},
};

static const char *const colours[SG_RECORD_KINDS_] = {
	[SG_RECORD_SESSION_START] = "\033[1m", [SG_RECORD_SESSION_END] = "\033[1m", [SG_RECORD_EXEC] = "\033[36m",
	[SG_RECORD_GRANT] = "\033[32m",        [SG_RECORD_REFUSAL] = "\033[31m",    [SG_RECORD_FLOOD] = "\033[33m",
	[SG_RECORD_NOTE] = "\033[33m",         [SG_RECORD_ENTER] = "\033[1m",       [SG_RECORD_LEAVE] = "\033[1m",
};

static void show_string(const json_t *value, struct sg_buffer *out)
{
	SG_AUTO_BUFFER struct sg_buffer bytes = SG_BUFFER_INIT;

	sg_read_bytes(value, &bytes);
	if (sg_buffer_status(&bytes) < 0)
		out->failed = true;
	else if (bytes.size > 0)
		sg_buffer_append_escaped(out, bytes.data, bytes.size);
}

static void show_value(const json_t *value, struct sg_buffer *out)
{
	size_t index;
	json_t *item;

	if (json_is_string(value))
		show_string(value, out);
	else if (json_is_integer(value))
		sg_buffer_printf(out, "%lld", (long long)json_integer_value(value));
	else if (json_is_boolean(value))
		sg_buffer_append_text(out, json_is_true(value) ? "yes" : "no");
	else if (json_is_array(value))
		json_array_foreach((json_t *)(size_t)value, index, item)
		{
			if (index > 0)
				sg_buffer_append_byte(out, ' ');
			show_string(item, out);
		}
}

/* Nothing is said of what is empty, nor of the world when there is only one that matters. */
static bool is_worth_showing(const json_t *value, const char *name)
{
	if (value == NULL || (json_is_array(value) && json_array_size(value) == 0))
		return false;
	return strcmp(name, "world") != 0 || json_integer_value(value) > 1;
}

static void show_parts(const json_t *json, unsigned int kinds, struct sg_buffer *out)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(parts); i++) {
		const json_t *object = parts[i].group[0] == '\0' ? json : json_object_get(json, parts[i].group);
		const json_t *value = json_object_get(object, parts[i].name);

		if ((parts[i].kinds & kinds) == 0 || !is_worth_showing(value, parts[i].name))
			continue;
		sg_buffer_append_text(out, parts[i].before);
		show_value(value, out);
		sg_buffer_append_text(out, parts[i].after);
	}
}

/* Returns the kind, SG_RECORD_NONE for what is no record. */
static enum sg_record_kind show_record(const char *line, size_t size, bool colour, struct sg_buffer *out)
{
	const char *time, *name;
	enum sg_record_kind kind;
	json_t *json;

	if (sg_read_json(line, size, &json, NULL) < 0) {
		sg_buffer_printf(out, "%*s  %-*s  %-*s  ", SEQUENCE_WIDTH, "?", TIME_WIDTH, "", KIND_WIDTH,
				 "no record");
		sg_buffer_append_escaped(out, line, size);
		sg_buffer_append_byte(out, '\n');
		return SG_RECORD_NONE;
	}
	time = json_string_value(json_object_get(json, "time_dt"));
	name = json_string_value(json_object_get(json, "kind"));
	kind = name == NULL ? SG_RECORD_NONE : sg_record_kind_of(name);
	sg_buffer_printf(out, "%*lld  ", SEQUENCE_WIDTH, (long long)json_integer_value(json_object_get(json, "seq")));
	if (time != NULL && strlen(time) > TIME_START + TIME_WIDTH && strspn(time, "0123456789-:.TZ") == strlen(time))
		sg_buffer_append(out, time + TIME_START, TIME_WIDTH);
	else
		sg_buffer_printf(out, "%*s", TIME_WIDTH, "?");
	sg_buffer_append_text(out, "  ");
	if (colour && colours[kind] != NULL)
		sg_buffer_append_text(out, colours[kind]);
	sg_buffer_printf(out, "%-*s", KIND_WIDTH, kind == SG_RECORD_NONE ? "?" : sg_record_kind_name(kind));
	if (colour && colours[kind] != NULL)
		sg_buffer_append_text(out, "\033[0m");
	sg_buffer_append_text(out, "  ");
	show_parts(json, 1U << kind, out);
	sg_buffer_append_byte(out, '\n');
	json_decref(json);
	return kind;
}

void sg_show_line(const char *line, size_t size, bool colour, struct sg_buffer *out)
{
	(void)show_record(line, size, colour, out);
}

/* Gives out every whole line that is there. Sets *ret_ended when one is a session-end. */
static int show_available(const struct sg_show_options *options, struct sg_reader *reader, sg_show_output *output,
			  void *context, bool *ret_ended, struct sg_error *error)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT, unused = SG_BUFFER_INIT;
	const char *line;
	size_t size;
	int result;

	while ((result = sg_reader_next(reader, &line, &size)) > 0) {
		enum sg_record_kind kind;

		sg_buffer_clear(&out);
		sg_buffer_clear(&unused);
		kind = show_record(line, size, options->colour, options->json ? &unused : &out);
		if (options->json) {
			sg_buffer_append(&out, line, size);
			sg_buffer_append_byte(&out, '\n');
		}
		if (kind == SG_RECORD_SESSION_END)
			*ret_ended = true;
		result = sg_buffer_status(&out);
		if (result == 0)
			result = output(context, out.data, out.size);
		if (result < 0)
			return result;
	}
	return result < 0 ? sg_error_set_errno(error, result, "read %s", options->path) : 0;
}

/* Waits for the log to change. Returns 0 to look again, 1 when `stop` is readable, or -errno. */
static int wait_for_change(int watch, int stop)
{
	struct pollfd polled[] = {{.fd = watch, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
	char events[4096];

	if (poll(polled, SG_ARRAY_SIZE(polled), ALIVE_MS) < 0 && errno != EINTR)
		return -errno;
	if (polled[0].revents != 0)
		(void)!read(watch, events, sizeof(events));
	return polled[1].revents != 0 ? 1 : 0;
}

static int follow(const struct sg_show_options *options, struct sg_reader *reader, sg_show_output *output,
		  void *context, struct sg_error *error)
{
	SG_AUTO_FD int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	bool ended = false;

	/* Before the first look, so that no change falls between. */
	if (watch < 0 || inotify_add_watch(watch, options->path, IN_MODIFY) < 0)
		return sg_error_set_errno(error, -errno, "watch %s", options->path);
	for (;;) {
		enum sg_log_state state;
		/* First whether the auditor is there, then what it has written: it writes, then it goes. */
		int result = sg_log_state(reader->fd, &state);

		if (result == 0)
			result = show_available(options, reader, output, context, &ended, error);
		if (result < 0 || ended)
			return result;
		if (state == SG_LOG_CUT)
			return 1;
		result = wait_for_change(watch, options->stop);
		if (result != 0)
			return result < 0 ? sg_error_set_errno(error, result, "wait for %s", options->path) : 0;
	}
}

int sg_audit_show(const struct sg_show_options *options, sg_show_output *output, void *context, struct sg_error *error)
{
	SG_AUTO_FD int fd = open(options->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	SG_CLEANUP(sg_reader_done) struct sg_reader reader = {.fd = fd};
	bool ended = false;

	if (fd < 0)
		return sg_error_set_errno(error, -errno, "open %s", options->path);
	if (options->follow)
		return follow(options, &reader, output, context, error);
	return show_available(options, &reader, output, context, &ended, error);
}
