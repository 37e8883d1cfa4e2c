/* The record and the auditor: forms, ring, log, readers. Faults of the processes are in
 * tests/fault/test_audit_faults.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "audit/auditor.h"
#include "audit/log.h"
#include "audit/read.h"
#include "audit/record.h"
#include "audit/ring.h"
#include "audit/show.h"
#include "audit/writer.h"
#include "base/fd.h"

static const char session[] = "20261122T042801Z-7f3a9c";
static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/sg-test-audit-XXXXXX");
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		execlp("rm", "rm", "-rf", "--", folder, (char *)NULL);
		_exit(127);
	}
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

#define TEXT(literal) ((struct sg_record_text){.data = (literal), .size = sizeof(literal) - 1})

static const struct sg_record_text words[] = {TEXT("cat"), TEXT("a\xff\n\"b\""), TEXT(""), TEXT("\xc3\xa9")};
static const struct sg_record_ancestor above[] = {{.pid = 17, .program = TEXT("/usr/bin/bash")},
						  {.pid = 1, .program = TEXT("/init\x80")}};

/* A record of each kind with every field set. */
static struct sg_record full_record(enum sg_record_kind kind)
{
	struct sg_record record = {.kind = kind};

#define SET_U64(member) record.member = 42;
#define SET_I64(member) record.member = -3;
#define SET_TIME(member) record.member = 1795321681123456789;
#define SET_FLAG(member) record.member = true;
#define SET_ERRNO(member) record.member = EACCES;
#define SET_VERDICT(member) record.member = SG_RECORD_VERDICT_DENY;
#define SET_TEXT(member) record.member = TEXT("odd \xfe\x01\\udcff \xe2\x82\xac");
#define SET_LIST(member) record.member = (struct sg_record_list){words, SG_ARRAY_SIZE(words)};
#define SET_ANCESTORS(member) record.member = (struct sg_record_ancestors){above, SG_ARRAY_SIZE(above)};
#define SG_RECORD_FIELD(member, type, ...) SET_##type(member)
#include "audit/records.def"
	return record;
}

static unsigned char encoded[SG_RECORD_BOUND] __attribute__((aligned(8)));

static json_t *through(const struct sg_record *record, struct sg_buffer *line)
{
	const struct sg_record_context context = {.session = session, .previous = "00ff"};
	size_t bound = sg_record_bound(record), size = sg_record_encode(record, 7, 1795321681123456789, encoded);
	struct sg_error error = SG_ERROR_INIT;
	json_t *json = NULL;

	assert_true(bound > 0 && bound <= SG_RECORD_BOUND);
	assert_true(size <= bound && size % 8 == 0);
	assert_int_equal(sg_record_emit(encoded, size, &context, line), 0);
	assert_null(memchr(line->data, '\n', line->size));
	if (sg_read_json(line->data, line->size, &json, &error) < 0)
		fail_msg("%s: %s", error.text, line->data);
	return json;
}

static json_t *value_of(const json_t *json, const struct sg_record_field_row *row)
{
	return json_object_get(row->group[0] == '\0' ? json : json_object_get(json, row->group), row->name);
}

/* The table, the binary form and the JSON agree: a field is there exactly when its kind has it. */
static void test_fields(void **state)
{
	(void)state;
	for (unsigned int kind = 1; kind < SG_RECORD_KINDS_; kind++) {
		SG_AUTO_BUFFER struct sg_buffer line = SG_BUFFER_INIT, least = SG_BUFFER_INIT;
		struct sg_record record = full_record((enum sg_record_kind)kind), empty = {.kind = record.kind};
		json_t *json = through(&record, &line), *bare = through(&empty, &least);

		for (unsigned int i = 0; i < SG_RECORD_FIELDS_; i++) {
			struct sg_record_field_row row = sg_record_field_row((enum sg_record_field)i);
			bool has = (row.kinds & (1U << kind)) != 0;
			bool string = json_is_string(value_of(json, &row));

			assert_int_equal(value_of(json, &row) != NULL, has);
			assert_int_equal(value_of(bare, &row) != NULL, has && row.always);
			if (has)
				assert_int_equal(string, strncmp(row.type, "string", 6) == 0);
		}
		assert_string_equal(json_string_value(json_object_get(json, "kind")),
				    sg_record_kind_name((enum sg_record_kind)kind));
		assert_int_equal(sg_record_kind_of(sg_record_kind_name((enum sg_record_kind)kind)), kind);
		assert_int_equal(json_integer_value(json_object_get(json, "type_uid")),
				 json_integer_value(json_object_get(json, "class_uid")) * 100 +
					 json_integer_value(json_object_get(json, "activity_id")));
		json_decref(json);
		json_decref(bare);
	}
}

/* Rows of one JSON object stand together: the emitter opens each once. */
static void test_groups_together(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < SG_RECORD_FIELDS_; i++)
		for (unsigned int j = i + 2; j < SG_RECORD_FIELDS_; j++) {
			const char *group = sg_record_field_row((enum sg_record_field)i).group;
			const char *between = sg_record_field_row((enum sg_record_field)(j - 1)).group;

			if (group[0] != '\0' && strcmp(group, sg_record_field_row((enum sg_record_field)j).group) == 0)
				assert_string_equal(between, group);
		}
}

static void test_values(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer line = SG_BUFFER_INIT, bytes = SG_BUFFER_INIT;
	struct sg_record record = full_record(SG_RECORD_EXEC);
	json_t *json = through(&record, &line), *argv, *parent;

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(json, "seq")), 7);
	assert_int_equal(json_integer_value(json_object_get(json, "time")), 1795321681123);
	assert_string_equal(json_string_value(json_object_get(json, "time_dt")), "2026-11-22T04:28:01.123456789Z");
	assert_string_equal(json_string_value(json_object_get(json, "prev")), "00ff");
	assert_string_equal(json_string_value(json_object_get(json, "error")), "EACCES");
	assert_string_equal(json_string_value(json_object_get(json, "verdict")), "deny");
	assert_int_equal(json_integer_value(json_object_get(json, "class_uid")), 1007);
	/* Names come back byte for byte, also what looks like one of our own escapes. */
	sg_read_bytes(json_object_get(json, "object"), &bytes);
	assert_int_equal(bytes.size, record.object.size);
	assert_memory_equal(bytes.data, record.object.data, bytes.size);
	argv = json_object_get(json_object_get(json, "process"), "argv");
	assert_int_equal(json_array_size(argv), SG_ARRAY_SIZE(words));
	for (size_t i = 0; i < SG_ARRAY_SIZE(words); i++) {
		sg_buffer_clear(&bytes);
		sg_read_bytes(json_array_get(argv, i), &bytes);
		assert_int_equal(bytes.size, words[i].size);
		if (bytes.size > 0)
			assert_memory_equal(bytes.data, words[i].data, bytes.size);
	}
	parent = json_array_get(json_object_get(json, "parents"), 1);
	sg_buffer_clear(&bytes);
	sg_read_bytes(json_object_get(parent, "program"), &bytes);
	assert_string_equal(bytes.data, "/init\x80");
	assert_int_equal(json_integer_value(json_object_get(parent, "pid")), 1);
	assert_null(json_object_get(json, "cut"));
	json_decref(json);
}

/* Every single byte and pairs with it survive; a name with NUL too (an abstract socket address). */
static void test_bytes_round_trip(void **state)
{
	(void)state;
	for (unsigned int byte = 0; byte < 256; byte++) {
		SG_AUTO_BUFFER struct sg_buffer line = SG_BUFFER_INIT, bytes = SG_BUFFER_INIT;
		const char name[] = {'@', (char)byte, '0', '0', (char)byte, (char)0xe2, (char)byte, (char)byte};
		const struct sg_record record = {.kind = SG_RECORD_REFUSAL, .object = {name, sizeof(name)}};
		json_t *json = through(&record, &line);

		sg_read_bytes(json_object_get(json, "object"), &bytes);
		assert_int_equal(bytes.size, sizeof(name));
		assert_memory_equal(bytes.data, name, sizeof(name));
		json_decref(json);
	}
}

static void test_times(void **state)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} rows[] = {
		{0, "1970-01-01T00:00:00.000000000Z"},          {951782400, "2000-02-29T00:00:00.000000000Z"},
		{951868799, "2000-02-29T23:59:59.000000000Z"},  {4107542400, "2100-03-01T00:00:00.000000000Z"},
		{1798761599, "2026-12-31T23:59:59.000000000Z"}, {1709164800, "2024-02-29T00:00:00.000000000Z"},
	};

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

		sg_record_append_time(&out, rows[i].seconds * 1000000000);
		assert_string_equal(out.data, rows[i].text);
	}
}

static void test_cut(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer line = SG_BUFFER_INIT;
	SG_AUTO_FREE char *huge = malloc(300000);
	struct sg_record_text items[] = {TEXT("first"), {.size = 100000}, {.size = 100000}, TEXT("left"), TEXT("out")};
	struct sg_record record = {.kind = SG_RECORD_EXEC, .argv = {items, SG_ARRAY_SIZE(items)}};
	json_t *json, *argv, *cut;
	size_t kept;

	(void)state;
	assert_non_null(huge);
	memset(huge, 'x', 300000);
	items[1].data = items[2].data = huge;
	record.cwd = (struct sg_record_text){huge, 9000};
	json = through(&record, &line);
	argv = json_object_get(json_object_get(json, "process"), "argv");
	assert_int_equal(json_array_size(argv), 3);
	kept = json_string_length(json_array_get(argv, 2));
	assert_int_equal(kept, 131072 - 4 - (4 + 5) - (4 + 100000) - 4);
	cut = json_object_get(json, "cut");
	assert_int_equal(json_array_size(cut), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(cut, 0), "field")), "process.argv");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(cut, 0), "items")), 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(cut, 0), "bytes")), 100000 - kept + 4 + 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(cut, 1), "field")), "process.cwd");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(cut, 1), "bytes")), 9000 - 8192);
	json_decref(json);
}

/* The largest record of all stays within the bound. */
static void test_largest(void **state)
{
	SG_AUTO_FREE char *huge = malloc(1000000);

	(void)state;
	assert_non_null(huge);
	memset(huge, 0xff, 1000000);
	for (unsigned int kind = 1; kind < SG_RECORD_KINDS_; kind++) {
		SG_AUTO_BUFFER struct sg_buffer line = SG_BUFFER_INIT;
		struct sg_record_text item = {huge, 1000000};
		struct sg_record_ancestor ancestor = {1, {huge, 1000000}};
		struct sg_record record = {.kind = (enum sg_record_kind)kind};

#define BIG_U64(member) record.member = UINT64_MAX;
#define BIG_I64(member) record.member = INT64_MIN;
#define BIG_TIME(member) record.member = UINT64_MAX;
#define BIG_FLAG(member) record.member = true;
#define BIG_ERRNO(member) record.member = 4000;
#define BIG_VERDICT(member) record.member = SG_RECORD_VERDICT_FAULT;
#define BIG_TEXT(member) record.member = item;
#define BIG_LIST(member) record.member = (struct sg_record_list){&item, 1};
#define BIG_ANCESTORS(member) record.member = (struct sg_record_ancestors){&ancestor, 1};
#define SG_RECORD_FIELD(member, type, ...) BIG_##type(member)
#include "audit/records.def"
		json_t *json = through(&record, &line);

		assert_true(line.size < SG_READ_LINE_MAX);
		json_decref(json);
	}
}

/* A valid record, then one byte of it changed: never read out of bounds (ASan), and structure errors are
 * told. */
static void test_hostile_record(void **state)
{
	const struct sg_record_context context = {.session = session, .previous = ""};
	const struct sg_record record = full_record(SG_RECORD_EXEC);
	const size_t size = sg_record_encode(&record, 1, 1, encoded);
	SG_AUTO_FREE unsigned char *copy = malloc(size);
	unsigned int refused = 0;

	(void)state;
	assert_non_null(copy);
	for (size_t at = 0; at < size; at++)
		for (unsigned int bit = 0; bit < 8; bit++) {
			SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
			int result;

			memcpy(copy, encoded, size);
			copy[at] ^= (unsigned char)(1U << bit);
			result = sg_record_emit(copy, size, &context, &out);
			assert_true(result == 0 || result == -EBADMSG);
			if (result < 0)
				refused++;
			if (at < 4)
				assert_int_equal(result, -EBADMSG);
		}
	assert_true(refused > 100);
	for (size_t cut = 0; cut < size; cut += 8) {
		SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;
		SG_AUTO_FREE unsigned char *part = malloc(cut + 1);

		assert_non_null(part);
		memcpy(part, encoded, cut);
		assert_int_equal(sg_record_emit(part, cut, &context, &out), -EBADMSG);
	}
}

static void test_ring(void **state)
{
	struct sg_error error = SG_ERROR_INIT;
	struct sg_ring ring;
	const size_t size = 2 * (size_t)SG_RECORD_BOUND;
	struct sg_record_header header = {.size = 64};
	uint64_t position = size * 5 - 16, head = position + 64;
	uint32_t *shared;

	(void)state;
	assert_int_equal(sg_ring_create(size - 8, &ring, &error), -EINVAL);
	assert_int_equal(sg_ring_create(size, &ring, NULL), 0);
	/* Across the end: the second mapping carries on where the first ends. */
	memset(sg_ring_at(&ring, position), 0xab, 64);
	memcpy(sg_ring_at(&ring, position), &header, sizeof(header));
	assert_int_equal(ring.data[0], 0);
	assert_int_equal(ring.data[16], 0xab);
	assert_int_equal(sg_ring_read(&ring, position, head, encoded, sizeof(encoded)), 64);
	assert_int_equal(encoded[63], 0xab);
	assert_int_equal(sg_ring_read(&ring, head, head, encoded, sizeof(encoded)), 0);
	/* Sizes and positions that are impossible. */
	shared = (uint32_t *)(void *)sg_ring_at(&ring, position);
	static const uint32_t sizes[] = {0, 8, 24, 65, 63, 72, 0xfffffff8, 0x80000000, SG_RECORD_BOUND + 8};
	for (size_t i = 0; i < SG_ARRAY_SIZE(sizes); i++) {
		*shared = sizes[i];
		assert_int_equal(sg_ring_read(&ring, position, head, encoded, sizeof(encoded)), -EBADMSG);
	}
	*shared = SG_RECORD_BOUND + 8;
	assert_int_equal(sg_ring_read(&ring, position, position + size, encoded, SG_RECORD_BOUND), -EBADMSG);
	*shared = 64;
	assert_int_equal(sg_ring_read(&ring, position, position + size + 8, encoded, sizeof(encoded)), -EBADMSG);
	assert_int_equal(sg_ring_read(&ring, position, position - 8, encoded, sizeof(encoded)), -EBADMSG);
	assert_int_equal(sg_ring_read(&ring, position + 1, head, encoded, sizeof(encoded)), -EBADMSG);
	assert_int_equal(sg_ring_read(&ring, position, position + 16, encoded, sizeof(encoded)), -EBADMSG);
	sg_ring_done(&ring);
}

static struct sg_audit *start(const char *name, char **ret_path)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	SG_AUTO_FD int log = -1;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_audit_options options = {.session = session};
	struct sg_audit *audit = NULL;

	sg_buffer_printf(&path, "%s/%s", folder, name);
	if (sg_log_create(path.data, session, &log, ret_path, &error) < 0)
		fail_msg("%s", error.text);
	options.log = log;
	if (sg_audit_start(&options, &audit, &error) < 0)
		fail_msg("%s", error.text);
	return audit;
}

static int verify(const char *path, struct sg_read_report *report)
{
	SG_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return sg_audit_verify(fd, report, NULL);
}

static void test_session(void **state)
{
	SG_AUTO_FREE char *path = NULL;
	SG_AUTO_FD int fd = -1;
	struct sg_audit *audit = start("session.jsonl", &path);
	struct sg_audit_result result;
	struct sg_read_report report;
	enum sg_log_state log_state;
	uint64_t sequence;
	struct stat status;
	json_t *json = NULL;

	(void)state;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	for (unsigned int i = 0; i < 5; i++) {
		static const enum sg_record_kind kinds[] = {SG_RECORD_SESSION_START, SG_RECORD_EXEC, SG_RECORD_GRANT,
							    SG_RECORD_REFUSAL, SG_RECORD_NOTE};
		struct sg_record record = full_record(kinds[i]);

		assert_int_equal(sg_audit_append(audit, &record, &sequence), 0);
		assert_int_equal(sequence, i + 1);
	}
	assert_int_equal(sg_audit_flush(audit, 5000), 0);
	assert_int_equal(sg_log_state(fd, &log_state), 0);
	assert_int_equal(log_state, SG_LOG_RUNNING);
	assert_int_equal(verify(path, &report), 0);
	assert_int_equal(report.lines, 5);
	assert_false(report.whole);
	assert_int_equal(sg_audit_alive(audit), 0);
	assert_int_equal(sg_audit_append(audit, &(struct sg_record){0}, NULL), -EINVAL);
	assert_int_equal(sg_audit_stop(audit, &(struct sg_record){.exit_status = 3}, 5000, &result), 0);
	assert_int_equal(result.records, 6);
	assert_int_equal(verify(path, &report), 0);
	assert_true(report.whole);
	assert_string_equal(report.hash, result.hash);
	assert_int_equal(sg_log_state(fd, &log_state), 0);
	assert_int_equal(log_state, SG_LOG_WHOLE);
	assert_int_equal(sg_audit_find_refusal(path, 0, &json, NULL), 0);
	assert_int_equal(json_integer_value(json_object_get(json, "seq")), 4);
	json_decref(json);
	assert_int_equal(sg_audit_find_refusal(path, 4, &json, NULL), 0);
	json_decref(json);
	assert_int_equal(sg_audit_find_refusal(path, 3, &json, NULL), 1);
	assert_int_equal(sg_audit_find_refusal("/nonexistent/x", 3, &json, NULL), -ENOENT);
}

/* A start that does not wait: nothing is taken before the auditor owns the ring, all after it said that it
 * does. */
static void test_start_without_waiting(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	SG_AUTO_FREE char *unused = NULL;
	SG_AUTO_FD int log = -1;
	struct sg_audit_options options = {.session = session, .no_wait = true};
	const struct sg_record note = {.kind = SG_RECORD_NOTE};
	struct sg_audit *audit = NULL;
	struct sg_read_report report;
	uint64_t taken = 0;
	int result;

	(void)state;
	sg_buffer_printf(&path, "%s/no-wait.jsonl", folder);
	assert_int_equal(sg_log_create(path.data, session, &log, &unused, NULL), 0);
	options.log = log;
	assert_int_equal(sg_audit_start(&options, &audit, NULL), 0);
	result = sg_audit_append(audit, &note, NULL);
	assert_true(result == -EPIPE || result == 0);
	taken += result == 0 ? 1 : 2; /* the one that failed is counted in a flood record */
	assert_int_equal(sg_audit_ready(audit, NULL), 0);
	assert_int_equal(sg_audit_append(audit, &note, NULL), 0);
	taken += result == 0 ? 1 : 0;
	assert_int_equal(sg_audit_stop(audit, &(struct sg_record){0}, 5000, NULL), 0);
	assert_int_equal(verify(path.data, &report), 0);
	assert_int_equal(report.lines, taken + 1);
	/* Bad options are told before anything is made. */
	options.session = "a\"b";
	assert_int_equal(sg_audit_start(&options, &audit, NULL), -EINVAL);
	options.session = "";
	assert_int_equal(sg_audit_start(&options, &audit, NULL), -EINVAL);
	options = (struct sg_audit_options){.session = session, .log = log, .ring_size = 12345};
	assert_int_equal(sg_audit_start(&options, &audit, NULL), -EINVAL);
	options = (struct sg_audit_options){.session = session, .log = -1};
	assert_int_equal(sg_audit_start(&options, &audit, NULL), -EBADF);
}

/* Writes `size` bytes as a new log and verifies it. */
static int verify_text(const char *data, size_t size, struct sg_read_report *report)
{
	SG_AUTO_FD int fd = memfd_create("log", MFD_CLOEXEC);

	assert_int_equal(sg_fd_write_full(fd, data, size), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return sg_audit_verify(fd, report, NULL);
}

static size_t line_start(const char *data, size_t size, unsigned int number)
{
	const char *at = data;

	for (unsigned int i = 0; i < number; i++)
		at = (const char *)memchr(at, '\n', size - (size_t)(at - data)) + 1;
	return (size_t)(at - data);
}

/* A line changed, removed, doubled or added is found; a line cut off at the end shows as a log that is not
 * whole. */
static void test_tampering(void **state)
{
	SG_AUTO_FREE char *path = NULL, *data = NULL, *copy = NULL;
	SG_AUTO_FD int fd = -1;
	struct sg_audit *audit = start("tampering.jsonl", &path);
	struct sg_read_report report;
	size_t size, second, third, last;

	(void)state;
	for (unsigned int i = 0; i < 20; i++) {
		struct sg_record record = {.kind = SG_RECORD_NOTE, .world = i, .message = TEXT("note")};

		assert_int_equal(sg_audit_append(audit, &record, NULL), 0);
	}
	assert_int_equal(sg_audit_stop(audit, &(struct sg_record){0}, 5000, NULL), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(sg_fd_read_file(fd, 1 << 20, &data, &size), 0);
	assert_int_equal(verify_text(data, size, &report), 0);
	assert_int_equal(report.lines, 21);
	second = line_start(data, size, 1);
	third = line_start(data, size, 2);
	last = line_start(data, size, 20);
	copy = malloc(size * 2);
	assert_non_null(copy);
	/* Any byte of the second line: found at that line or the next. */
	for (size_t at = second; at < third; at++) {
		memcpy(copy, data, size);
		copy[at] ^= 1;
		assert_int_equal(verify_text(copy, size, &report), 1);
		assert_true(report.bad_line == 2 || report.bad_line == 3);
	}
	/* Removed. */
	memcpy(copy, data, second);
	memcpy(copy + second, data + third, size - third);
	assert_int_equal(verify_text(copy, size - (third - second), &report), 1);
	assert_int_equal(report.bad_line, 2);
	/* The first removed. */
	assert_int_equal(verify_text(data + second, size - second, &report), 1);
	assert_int_equal(report.bad_line, 1);
	/* Doubled. */
	memcpy(copy, data, third);
	memcpy(copy + third, data + second, size - second);
	assert_int_equal(verify_text(copy, size + third - second, &report), 1);
	assert_int_equal(report.bad_line, 3);
	/* Added after the end. */
	memcpy(copy, data, size);
	memcpy(copy + size, data, second);
	assert_int_equal(verify_text(copy, size + second, &report), 1);
	assert_int_equal(report.bad_line, 22);
	/* Cut: in order, but not whole. */
	assert_int_equal(verify_text(data, last, &report), 0);
	assert_false(report.whole);
	assert_int_equal(report.torn, 0);
	assert_int_equal(verify_text(data, size - 3, &report), 0);
	assert_false(report.whole);
	assert_true(report.torn > 0);
	assert_int_equal(verify_text(data, 0, &report), 0);
	assert_int_equal(report.lines, 0);
}

enum { THREADS = 4, EACH = 5000 };

static void *append_many(void *argument)
{
	static char wrong[] = "append failed or numbers went back";
	struct sg_audit *audit = argument;
	const struct sg_record record = full_record(SG_RECORD_GRANT);
	uint64_t previous = 0, sequence = 0;

	for (int i = 0; i < EACH; i++) {
		int result;

		do {
			result = sg_audit_append(audit, &record, &sequence);
		} while (result == -ENOBUFS); /* a slow machine: refused, counted, and tried again */
		if (result < 0 || sequence <= previous)
			return wrong;
		previous = sequence;
	}
	return NULL;
}

/* Several threads, several times round the ring: every record is there once, in order. */
static void test_threads(void **state)
{
	SG_AUTO_FREE char *path = NULL;
	struct sg_audit *audit = start("threads.jsonl", &path);
	pthread_t threads[THREADS];
	struct sg_audit_counts counts;
	struct sg_read_report report;

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, append_many, audit), 0);
	for (size_t i = 0; i < THREADS; i++) {
		void *wrong = NULL;

		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	sg_audit_counts(audit, &counts);
	assert_true(counts.appended >= THREADS * EACH);
	assert_int_equal(sg_audit_stop(audit, &(struct sg_record){0}, 30000, NULL), 0);
	assert_int_equal(verify(path, &report), 0);
	assert_true(report.whole);
	assert_int_equal(report.lines, counts.appended + 1);
}

static void test_create(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer name = SG_BUFFER_INIT, alias = SG_BUFFER_INIT;
	SG_AUTO_FREE char *path = NULL;
	SG_AUTO_FD int fd = -1;
	int again = -1;

	(void)state;
	sg_buffer_printf(&name, "%s/created", folder);
	sg_buffer_printf(&alias, "%s/alias", folder);
	assert_int_equal(sg_log_create(name.data, session, &fd, &path, NULL), 0);
	assert_int_equal(sg_log_create(name.data, session, &again, &path, NULL), -EEXIST);
	assert_int_equal(symlink("nowhere", alias.data), 0);
	assert_int_equal(sg_log_create(alias.data, session, &again, &path, NULL), -EEXIST);
	assert_int_equal(fcntl(fd, F_GETFL) & (O_APPEND | O_ACCMODE), O_APPEND | O_WRONLY);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void make_log(const char *name)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	SG_AUTO_FD int fd = -1;

	sg_buffer_printf(&path, "%s/list/%s", folder, name);
	fd = open(path.data, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
}

static void test_list_and_find(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer where = SG_BUFFER_INIT;
	SG_CLEANUP(sg_log_list_done) struct sg_log_list list = {0};
	SG_AUTO_FREE char *path = NULL;
	char id[SG_LOG_SESSION_SIZE], name[64];
	struct sg_error error = SG_ERROR_INIT;

	(void)state;
	sg_buffer_printf(&where, "%s/list", folder);
	assert_int_equal(sg_log_list(where.data, &list, NULL), 0);
	assert_int_equal(list.count, 0);
	assert_int_equal(sg_log_find(where.data, NULL, &path, NULL), -ENOENT);
	assert_int_equal(mkdir(where.data, 0700), 0);
	make_log("20261122T042801Z-7f3a9c.jsonl");
	make_log("20261122T042801Z-7f3a9d.jsonl");
	make_log("20251122T042801Z-000000.jsonl");
	make_log("notes.txt");
	make_log("20251122T042801Z-00000g.jsonl");
	assert_int_equal(sg_log_list(where.data, &list, NULL), 0);
	assert_int_equal(list.count, 3);
	assert_string_equal(list.items[0].id, "20251122T042801Z-000000");
	assert_int_equal(list.items[0].state, SG_LOG_CUT);
	assert_int_equal(sg_log_find(where.data, "20261122", &path, &error), -ENOTUNIQ);
	assert_non_null(strstr(error.text, "20261122T042801Z-7f3a9d"));
	assert_int_equal(sg_log_find(where.data, "2024", &path, NULL), -ENOENT);
	assert_int_equal(sg_log_find(where.data, "2025", &path, NULL), 0);
	assert_non_null(strstr(path, "/list/20251122T042801Z-000000.jsonl"));
	free(sg_take_pointer(path));
	assert_int_equal(sg_log_find(where.data, NULL, &path, NULL), 0);
	assert_non_null(strstr(path, "/list/20261122T042801Z-7f3a9d.jsonl"));
	/* A new id has the form that the list looks for, and is the latest. */
	assert_int_equal(sg_log_new_session(id), 0);
	(void)snprintf(name, sizeof(name), "%s.jsonl", id);
	make_log(name);
	free(sg_take_pointer(path));
	assert_int_equal(sg_log_find(where.data, id, &path, NULL), 0);
	assert_non_null(strstr(path, id));
}

/* The default folder is made for its owner alone, and one that others may write to is refused. Not as root:
 * the path is fixed. */
static void test_default_folder(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer home = SG_BUFFER_INIT;
	pid_t pid;
	int status;

	(void)state;
	sg_buffer_printf(&home, "%s/home", folder);
	assert_int_equal(mkdir(home.data, 0777), 0);
	assert_int_equal(chmod(home.data, 0777), 0);
	assert_int_equal(chmod(folder, 0755), 0);
	pid = fork();
	if (pid == 0) {
		SG_AUTO_BUFFER struct sg_buffer sessions = SG_BUFFER_INIT;
		char *path = NULL;
		struct stat seen;
		int fd;

		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(10);
		(void)setenv("XDG_STATE_HOME", home.data, 1);
		if (sg_log_create(NULL, session, &fd, &path, NULL) < 0)
			_exit(11);
		sg_buffer_printf(&sessions, "%s/shellguard/sessions", home.data);
		if (stat(sessions.data, &seen) < 0 || (seen.st_mode & 07777) != 0700)
			_exit(12);
		if (strncmp(path, sessions.data, sessions.size) != 0 || strstr(path, session) == NULL)
			_exit(13);
		if (sg_log_create(NULL, session, &fd, &path, NULL) != -EEXIST)
			_exit(14);
		if (chmod(sessions.data, 0770) < 0 ||
		    sg_log_create(NULL, "20261122T042801Z-7f3a9d", &fd, &path, NULL) != -EPERM)
			_exit(15);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* docs/record.md holds the table as it is. */
static void test_document(void **state)
{
	static const char begin[] = "<!-- fields: begin -->\n", end[] = "<!-- fields: end -->";
	const char *root = getenv("SG_SOURCE_ROOT");
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT, table = SG_BUFFER_INIT;
	SG_AUTO_FREE char *text = NULL;
	SG_AUTO_FD int fd = -1;
	const char *from, *to;
	size_t size;

	(void)state;
	assert_non_null(root);
	sg_buffer_printf(&path, "%s/docs/record.md", root);
	fd = open(path.data, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(sg_fd_read_file(fd, 1 << 20, &text, &size), 0);
	from = strstr(text, begin);
	to = strstr(text, end);
	assert_true(from != NULL && to != NULL && from < to);
	from += strlen(begin);
	sg_record_describe(&table);
	if ((size_t)(to - from) != table.size || memcmp(from, table.data, table.size) != 0)
		fail_msg("docs/record.md is not what sg_record_describe() says; it should hold:\n%s<<<", table.data);
}

static int collect(void *context, const char *data, size_t size)
{
	sg_buffer_append(context, data, size);
	return 0;
}

static void test_show(void **state)
{
	SG_AUTO_FREE char *path = NULL, *raw = NULL;
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT, json = SG_BUFFER_INIT, coloured = SG_BUFFER_INIT;
	SG_AUTO_FD int fd = -1;
	struct sg_audit *audit = start("show.jsonl", &path);
	struct sg_show_options options = {.path = path, .stop = -1};
	const struct sg_record refusal = {.kind = SG_RECORD_REFUSAL,
					  .world = 1,
					  .operation = TEXT("open"),
					  .object = TEXT("/etc/\033[2Jshadow\xff"),
					  .verdict = SG_RECORD_VERDICT_DENY,
					  .error = EACCES,
					  .rule_file = TEXT("base.toml"),
					  .rule_line = 12,
					  .rule_column = 3,
					  .rule_text = TEXT("Deny = [\"/etc/shadow\"]"),
					  .program = TEXT("/usr/bin/cat"),
					  .pid = 4711};
	size_t size;

	(void)state;
	assert_int_equal(sg_audit_append(audit, &refusal, NULL), 0);
	assert_int_equal(sg_audit_stop(audit, &(struct sg_record){.exit_status = 1}, 5000, NULL), 0);
	assert_int_equal(sg_audit_show(&options, collect, &out, NULL), 0);
	assert_non_null(strstr(out.data,
			       "  refusal        open /etc/\\e[2Jshadow\\xff  EACCES  deny  by base.toml:12:3 "
			       "Deny = [\"/etc/shadow\"]  /usr/bin/cat  pid 4711\n"));
	assert_non_null(strstr(out.data, "  session-end    status 1  exec 0  grants 0  refusals 1"));
	assert_null(strchr(out.data, '\033'));
	options.colour = true;
	assert_int_equal(sg_audit_show(&options, collect, &coloured, NULL), 0);
	assert_non_null(strstr(coloured.data, "\033[31mrefusal      \033[0m"));
	/* --json: what is in the file, byte for byte. */
	options.json = true;
	assert_int_equal(sg_audit_show(&options, collect, &json, NULL), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(sg_fd_read_file(fd, 1 << 20, &raw, &size), 0);
	assert_int_equal(json.size, size);
	assert_memory_equal(json.data, raw, size);
	sg_buffer_clear(&out);
	sg_show_line("\033]0;x\007", 6, true, &out);
	assert_null(strchr(out.data, '\033'));
}

/* Follow gives each record as it comes and ends with the session. */
static int stop_after_first(void *context, const char *data, size_t size)
{
	struct sg_audit **audit = context;

	(void)data;
	(void)size;
	if (*audit != NULL)
		assert_int_equal(sg_audit_stop(sg_take_pointer(*audit), &(struct sg_record){0}, 5000, NULL), 0);
	return 0;
}

static void test_follow(void **state)
{
	SG_AUTO_FREE char *path = NULL;
	struct sg_audit *audit = start("follow.jsonl", &path);
	struct sg_show_options options = {.path = path, .follow = true, .stop = -1};

	(void)state;
	assert_int_equal(sg_audit_append(audit, &(struct sg_record){.kind = SG_RECORD_NOTE}, NULL), 0);
	assert_int_equal(sg_audit_show(&options, stop_after_first, &audit, NULL), 0);
	assert_null(audit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_groups_together),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_bytes_round_trip),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_hostile_record),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_start_without_waiting),
		cmocka_unit_test(test_tampering),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_list_and_find),
		cmocka_unit_test(test_default_folder),
		cmocka_unit_test(test_document),
		cmocka_unit_test(test_show),
		cmocka_unit_test(test_follow),
	};
	return cmocka_run_group_tests_name("audit", tests, make_folder, remove_folder);
}
