#include "audit/read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit/log.h"
#include "base/fd.h"

enum { CHUNK = 64 * 1024 };

static const char hexadecimal[] = "0123456789abcdef";

void sg_reader_done(struct sg_reader *reader)
{
	sg_buffer_done(&reader->pending);
}

size_t sg_reader_rest(const struct sg_reader *reader)
{
	return reader->pending.size - reader->done;
}

/* Drops what was returned, reads more. Returns the bytes read, 0 at the end, or -errno. */
static ssize_t fill(struct sg_reader *reader)
{
	char chunk[CHUNK];
	size_t rest = sg_reader_rest(reader);
	ssize_t count;

	if (rest > SG_READ_LINE_MAX)
		return -EFBIG;
	if (reader->done > 0) {
		memmove(reader->pending.data, reader->pending.data + reader->done, rest);
		reader->pending.size = rest;
		reader->done = 0;
	}
	do {
		count = read(reader->fd, chunk, sizeof(chunk));
	} while (count < 0 && errno == EINTR);
	if (count < 0)
		return -errno;
	sg_buffer_append(&reader->pending, chunk, (size_t)count);
	return sg_buffer_status(&reader->pending) < 0 ? -ENOMEM : count;
}

int sg_reader_next(struct sg_reader *reader, const char **ret_line, size_t *ret_size)
{
	for (;;) {
		size_t rest = sg_reader_rest(reader);
		const char *start = reader->pending.data + reader->done, *newline = NULL;
		ssize_t count;

		if (rest > reader->searched)
			newline = memchr(start + reader->searched, '\n', rest - reader->searched);
		if (newline != NULL) {
			*ret_line = start;
			*ret_size = (size_t)(newline - start);
			reader->done += *ret_size + 1;
			reader->searched = 0;
			return 1;
		}
		reader->searched = rest;
		count = fill(reader);
		if (count <= 0)
			return (int)count;
	}
}

static int digit(char c)
{
	const char *at = c == '\0' ? NULL : strchr(hexadecimal, c);

	return at == NULL ? -1 : (int)(at - hexadecimal);
}

/* Rewrites \udcHH to \u0000HH and \u0000 to \u000000. Other escapes are passed over whole, so that \\udc00
 * stays. */
static void rewrite(const char *line, size_t size, struct sg_buffer *out)
{
	size_t start = 0;

	for (size_t i = 0; i < size;) {
		bool lone = size - i >= 6 && memcmp(line + i, "\\udc", 4) == 0;
		bool nul = size - i >= 6 && memcmp(line + i, "\\u0000", 6) == 0;

		if (line[i] != '\\') {
			i++;
		} else if (lone || nul) {
			sg_buffer_append(out, line + start, i - start);
			sg_buffer_append_text(out, "\\u0000");
			sg_buffer_append(out, lone ? line + i + 4 : "00", 2);
			i += 6;
			start = i;
		} else {
			i += 2;
		}
	}
	sg_buffer_append(out, line + start, size - start);
}

int sg_read_json(const char *line, size_t size, json_t **ret_json, struct sg_error *error)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	json_error_t where;
	json_t *json;

	rewrite(line, size, &text);
	if (sg_buffer_status(&text) < 0)
		return sg_error_set_errno(error, -ENOMEM, "a record of the log");
	json = json_loadb(text.data, text.size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &where);
	if (json == NULL)
		return sg_error_set(error, -EBADMSG, "no JSON: %s", where.text);
	if (!json_is_object(json)) {
		json_decref(json);
		return sg_error_set(error, -EBADMSG, "no JSON object");
	}
	*ret_json = json;
	return 0;
}

void sg_read_bytes(const json_t *value, struct sg_buffer *out)
{
	const char *text = json_string_value(value);
	size_t size = json_string_length(value);

	for (size_t i = 0; i < size;) {
		size_t run = strnlen(text + i, size - i);
		int high, low;

		sg_buffer_append(out, text + i, run);
		i += run;
		if (size - i < 3)
			break;
		high = digit(text[i + 1]);
		low = digit(text[i + 2]);
		if (high >= 0 && low >= 0)
			sg_buffer_append_byte(out, (char)(high * 16 + low));
		i += 3;
	}
}

/* What the verifier keeps from line to line. */
struct chain {
	char previous[SG_RECORD_HASH_SIZE];
	char session[128];
	bool ended;
};

static const char *string_of(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text == NULL ? "" : text;
}

/* Returns NULL if the line fits the chain, else what is wrong with it. */
static const char *check_line(const char *line, size_t size, uint64_t number, struct chain *chain)
{
	json_t *json = NULL;
	const char *wrong = NULL, *session;

	if (chain->ended)
		return "stands after the session's end";
	if (sg_read_json(line, size, &json, NULL) < 0)
		return "is not a JSON object";
	session = string_of(json, "session");
	if (strncmp(line, SG_RECORD_LINE_START, sizeof(SG_RECORD_LINE_START) - 1) != 0 ||
	    strcmp(string_of(json, "prev"), chain->previous) != 0)
		wrong = "does not name the hash of the line before it: that line, or this one, was altered, "
			"added or removed";
	else if (json_integer_value(json_object_get(json, "seq")) != (json_int_t)number)
		wrong = "does not have the next sequence number";
	else if (session[0] == '\0' || (number > 1 && strcmp(chain->session, session) != 0))
		wrong = "names another session";
	else if (sg_record_kind_of(string_of(json, "kind")) == SG_RECORD_NONE)
		wrong = "is of no known kind";
	(void)snprintf(chain->session, sizeof(chain->session), "%s", session);
	chain->ended = sg_record_kind_of(string_of(json, "kind")) == SG_RECORD_SESSION_END;
	sg_record_hash(line, size, chain->previous);
	json_decref(json);
	return wrong;
}

int sg_audit_verify(int fd, struct sg_read_report *ret_report, struct sg_error *error)
{
	SG_CLEANUP(sg_reader_done) struct sg_reader reader = {.fd = fd};
	struct sg_read_report report = {0};
	struct chain chain = {.ended = false};
	int result;

	memset(chain.previous, '0', SG_RECORD_HASH_SIZE - 1);
	for (;;) {
		const char *line = NULL, *wrong;
		size_t size = 0;

		result = sg_reader_next(&reader, &line, &size);
		if (result < 0)
			return sg_error_set_errno(error, result, "read the log after line %llu",
						  (unsigned long long)report.lines);
		if (result == 0)
			break;
		wrong = check_line(line, size, report.lines + 1, &chain);
		if (wrong != NULL) {
			report.bad_line = report.lines + 1;
			(void)snprintf(report.text, sizeof(report.text), "line %llu %s",
				       (unsigned long long)report.bad_line, wrong);
			break;
		}
		memcpy(report.hash, chain.previous, sizeof(report.hash));
		report.lines++;
	}
	report.whole = chain.ended && report.bad_line == 0;
	report.torn = report.bad_line == 0 ? sg_reader_rest(&reader) : 0;
	*ret_report = report;
	return report.bad_line == 0 ? 0 : 1;
}

int sg_audit_read_start(const char *path, json_t **ret_json, struct sg_error *error)
{
	SG_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	SG_CLEANUP(sg_reader_done) struct sg_reader reader = {.fd = fd};
	const char *line = NULL;
	json_t *json = NULL;
	size_t size = 0;
	int result;

	if (fd < 0)
		return sg_error_set_errno(error, -errno, "open %s", path);
	result = sg_reader_next(&reader, &line, &size);
	if (result > 0)
		result = sg_read_json(line, size, &json, error) < 0 ? -EBADMSG : 1;
	if (result < 0)
		return sg_error_set_errno(error, result, "read %s", path);
	if (result == 0 || strcmp(string_of(json, "kind"), "session-start") != 0) {
		json_decref(json);
		return 1;
	}
	*ret_json = json;
	return 0;
}

int sg_audit_find_started(const char *folder, char **ret_path, size_t *ret_newer, struct sg_error *error)
{
	SG_CLEANUP(sg_log_list_done) struct sg_log_list list = {0};
	size_t newer = 0;
	int result = sg_log_list(folder, &list, error);

	if (result < 0)
		return result;
	for (size_t i = list.count; i-- > 0;) {
		struct sg_log_session *session = &list.items[i];
		json_t *start = NULL;

		/* What cannot be read as a record is one for whoever explains it: passed over is what has no start. */
		if (session->size > 0 && sg_audit_read_start(session->path, &start, NULL) <= 0) {
			json_decref(start);
			*ret_path = sg_take_pointer(session->path);
			*ret_newer = newer;
			return 0;
		}
		newer += session->state != SG_LOG_RUNNING; /* that one may be on its way */
	}
	return sg_error_set(error, -ENOENT, "no session that started is recorded");
}

int sg_audit_find_refusal(const char *path, uint64_t sequence, json_t **ret_json, struct sg_error *error)
{
	SG_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	SG_CLEANUP(sg_reader_done) struct sg_reader reader = {.fd = fd};
	json_t *found = NULL, *json = NULL;
	const char *line = NULL;
	size_t size = 0;
	int result;

	if (fd < 0)
		return sg_error_set_errno(error, -errno, "open %s", path);
	while ((result = sg_reader_next(&reader, &line, &size)) > 0) {
		/* Most lines are no refusals: parsed are those that could be. */
		if (memmem(line, size, "\"kind\":\"refusal\"", 16) == NULL)
			continue;
		result = sg_read_json(line, size, &json, error);
		if (result < 0)
			break;
		/* Nobody was told of an attribute that is not to be had (ENODATA), so nobody asks. */
		if (strcmp(string_of(json, "kind"), "refusal") == 0 &&
		    (sequence == 0 ? strcmp(string_of(json, "error"), "ENODATA") != 0
				   : json_integer_value(json_object_get(json, "seq")) == (json_int_t)sequence)) {
			json_decref(found);
			found = json_incref(json);
		}
		json_decref(json);
		if (sequence != 0 && found != NULL)
			break;
	}
	if (result < 0) {
		json_decref(found);
		return sg_error_set_errno(error, result, "read %s", path);
	}
	if (found == NULL)
		return 1;
	*ret_json = found;
	return 0;
}
