/* From the lines of a record to what was used. */
#include "learn/observed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/read.h"
#include "base/buffer.h"
#include "learn/bounds.h"
#include "tables/syscalls.h"

enum { USED_MAX = 1 << 20 };

/* One line, with the texts taken out. "" where it has none. */
struct line {
	struct sg_buffer kind, operation, object, named, access, reason, key, needs, program;
};

static void line_done(struct line *line)
{
	sg_buffer_done(&line->kind);
	sg_buffer_done(&line->operation);
	sg_buffer_done(&line->object);
	sg_buffer_done(&line->named);
	sg_buffer_done(&line->access);
	sg_buffer_done(&line->reason);
	sg_buffer_done(&line->key);
	sg_buffer_done(&line->needs);
	sg_buffer_done(&line->program);
}

static void take(const json_t *object, const char *name, struct sg_buffer *out)
{
	sg_buffer_append_text(out, "");
	sg_read_bytes(json_object_get(object, name), out);
}

static int add(struct sg_used_list *list, const char *name, const char *target, unsigned int access, unsigned int how)
{
	struct sg_used *item;

	if (list->count == list->capacity) {
		const size_t capacity = list->capacity == 0 ? 256 : 2 * list->capacity;
		struct sg_used *items = capacity > USED_MAX ? NULL : realloc(list->items, capacity * sizeof(*items));

		if (items == NULL)
			return -ENOMEM;
		list->items = items;
		list->capacity = capacity;
	}
	item = &list->items[list->count];
	*item = (struct sg_used){.name = strdup(name), .access = access, .how = how, .times = 1};
	if (target != NULL)
		item->target = strdup(target);
	if (item->name == NULL || (target != NULL && item->target == NULL)) {
		free(item->name);
		free(item->target);
		return -ENOMEM;
	}
	list->count++;
	return 0;
}

/* --- names --- */

/* "read+write" */
static unsigned int read_access(const char *text)
{
	static const struct {
		const char *word;
		enum sg_access access;
	} words[] = {{"read", SG_ACCESS_READ},
		     {"write", SG_ACCESS_WRITE},
		     {"change", SG_ACCESS_CHANGE},
		     {"execute", SG_ACCESS_EXECUTE}};
	unsigned int access = 0;

	for (size_t length; *text != '\0'; text += length + (text[length] == '+')) {
		length = strcspn(text, "+");
		for (size_t i = 0; i < SG_ARRAY_SIZE(words); i++)
			if (strlen(words[i].word) == length && strncmp(words[i].word, text, length) == 0)
				access |= words[i].access;
	}
	return access;
}

/* An absolute name with nothing in it that stands for another one. */
static bool is_plain(const char *name)
{
	if (name[0] != '/' || name[1] == '\0')
		return false;
	for (const char *at = name; *at != '\0';) {
		const size_t length = strcspn(at + 1, "/");

		if ((length == 0 && at[1] != '\0') || (length == 1 && at[1] == '.') ||
		    (length == 2 && at[1] == '.' && at[2] == '.'))
			return false;
		at += 1 + length;
	}
	return true;
}

/* Without the slash that a folder's name ends in. */
static bool same_name(const char *name, const char *other)
{
	const size_t length = strlen(name), other_length = strlen(other);
	const size_t a = length - (length > 1 && name[length - 1] == '/');
	const size_t b = other_length - (other_length > 1 && other[other_length - 1] == '/');

	return a == b && strncmp(name, other, a) == 0;
}

/* /bin, /lib and their like are links into /usr on today's systems: every world has them. */
static bool is_root_link(const char *named, const char *object)
{
	return strncmp(object, "/usr/", 5) == 0 && same_name(object + 4, named);
}

static bool is_own_process(const char *named)
{
	return is_plain(named) &&
	       (strncmp(named, "/proc/self/", 11) == 0 || strncmp(named, "/proc/thread-self/", 18) == 0);
}

/* What the kernel writes for an object that has no name (d_path in fs/d_path.c). */
static bool is_nameless(const char *object)
{
	static const char deleted[] = " (deleted)";
	const size_t length = strlen(object);

	return strncmp(object, "/memfd:", 7) == 0 ||
	       (length >= sizeof(deleted) && strcmp(object + length - (sizeof(deleted) - 1), deleted) == 0);
}

static const struct {
	const char *operation;
	unsigned int access, how;
} file_operations[] = {
	{"open", 0, 0},
	{"look", 0, SG_USED_LOOKED},
	{"run", SG_ACCESS_EXECUTE, SG_USED_RUN},
	{"make", SG_ACCESS_CHANGE, SG_USED_MADE},
	{"make the socket", SG_ACCESS_WRITE | SG_ACCESS_CHANGE, SG_USED_MADE},
	{"make the symbolic link", SG_ACCESS_CHANGE, SG_USED_MADE | SG_USED_SYMLINK},
	{"link", SG_ACCESS_CHANGE, SG_USED_MOVED},
	{"rename", SG_ACCESS_CHANGE, SG_USED_MOVED},
	{"remove", SG_ACCESS_CHANGE, SG_USED_MOVED},
	{"cut", SG_ACCESS_WRITE, 0},
	{"change", SG_ACCESS_CHANGE, 0},
};

static int add_file(struct sg_observed *observed, const struct line *line)
{
	const char *object = line->object.data, *named = line->named.data;
	const size_t length = line->object.size;
	size_t row = 0;
	unsigned int access = read_access(line->access.data), how;
	int status;

	while (row < SG_ARRAY_SIZE(file_operations) &&
	       strcmp(file_operations[row].operation, line->operation.data) != 0)
		row++;
	if (row == SG_ARRAY_SIZE(file_operations) || object[0] != '/' || strlen(object) != length ||
	    is_nameless(object))
		return 0;
	/* What each process calls by one name has as many names as there are processes. */
	if (is_own_process(named))
		object = named;
	how = file_operations[row].how;
	access |= how == SG_USED_LOOKED ? 0U : file_operations[row].access;
	if (how == SG_USED_LOOKED)
		access = 0;
	if (strcmp(line->operation.data, "open") == 0) {
		how |= (access & SG_ACCESS_CHANGE) != 0 ? SG_USED_MADE : 0U;
		how |= access == SG_ACCESS_READ && object[length - 1] == '/' ? SG_USED_LISTED : 0U;
	}
	status = add(&observed->files, object, NULL, access, how);
	if (status < 0 || !is_plain(named) || same_name(named, object) || is_root_link(named, object))
		return status;
	return add(&observed->files, named, object, access, how);
}

/* --- calls --- */

static int add_call(struct sg_observed *observed, const struct line *line)
{
	const struct sg_syscall *call = sg_syscall_by_name(line->object.data, line->object.size);
	struct sg_used_calls *calls = &observed->calls;
	struct sg_used_call used = {0};
	char *at = line->named.data;

	if (call == NULL)
		return 0;
	used.number = call->number;
	for (size_t i = 0; i < 6; i++)
		used.arguments[i] = strtoull(at, &at, 16);
	if (calls->count == calls->capacity) {
		const size_t capacity = calls->capacity == 0 ? 256 : 2 * calls->capacity;
		struct sg_used_call *items =
			capacity > USED_MAX ? NULL : realloc(calls->items, capacity * sizeof(*items));

		if (items == NULL)
			return -ENOMEM;
		calls->items = items;
		calls->capacity = capacity;
	}
	calls->items[calls->count++] = used;
	return 0;
}

static int add_refused_call(struct sg_observed *observed, const struct line *line)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

	sg_buffer_printf(&text, "%s: %s", line->object.data, line->reason.data);
	if (sg_buffer_status(&text) < 0 || add(&observed->refused_calls, text.data, NULL, 0, SG_USED_REFUSED) < 0)
		return -ENOMEM;
	return line->needs.size > 0 && line->key.size == 0
		       ? add(&observed->needs, line->needs.data, NULL, 0, SG_USED_MISSED)
		       : 0;
}

/* --- the network --- */

static const struct {
	const char *operation;
	size_t list; /* offset in struct sg_observed */
} network_operations[] = {
	{"connect to", offsetof(struct sg_observed, connects)}, {"send to", offsetof(struct sg_observed, connects)},
	{"connect", offsetof(struct sg_observed, connects)},    {"listen on", offsetof(struct sg_observed, listens)},
	{"look up", offsetof(struct sg_observed, lookups)},
};

static struct sg_used_list *network_list(struct sg_observed *observed, const char *operation)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(network_operations); i++)
		if (strcmp(network_operations[i].operation, operation) == 0)
			return (struct sg_used_list *)(void *)((char *)observed + network_operations[i].list);
	return NULL;
}

static int add_answers(struct sg_observed *observed, const json_t *json, const char *name)
{
	const json_t *answers = json_object_get(json, "answers"), *answer;
	size_t i;

	json_array_foreach(answers, i, answer)
	{
		const char *text = json_string_value(answer);
		int status = text == NULL ? 0 : add(&observed->answers, text, name, 0, 0);

		if (status < 0)
			return status;
	}
	return 0;
}

/* --- lines --- */

static unsigned int refusal_of(const struct line *line)
{
	if (strcmp(line->kind.data, "refusal") != 0)
		return 0;
	return strncmp(line->key.data, "Deny", 4) == 0 || strcmp(line->key.data, "Hide") == 0 ? SG_USED_REFUSED
											      : SG_USED_MISSED;
}

/* A refusal that says nothing of what was asked of a file (it is about another process, say) was an opening. */
static int add_refused(struct sg_observed *observed, const struct line *line, const struct sg_used_list *network,
		       unsigned int refused)
{
	unsigned int access = read_access(line->access.data);

	if (network == NULL && access == 0)
		access = SG_ACCESS_READ;
	if (network == &observed->listens)
		refused |= SG_USED_LISTENED;
	if (network == &observed->lookups)
		refused |= SG_USED_ASKED;
	return network == NULL && line->object.data[0] != '/'
		       ? 0
		       : add(&observed->refused, line->object.data, NULL, access, refused);
}

static int add_line(struct sg_observed *observed, const struct line *line, const json_t *json)
{
	const unsigned int refused = refusal_of(line);
	struct sg_used_list *network = network_list(observed, line->operation.data);
	int status;

	if (strcmp(line->operation.data, "call") == 0)
		return refused != 0 ? add_refused_call(observed, line) : add_call(observed, line);
	if (refused != 0)
		return add_refused(observed, line, network, refused);
	if (network == NULL)
		return add_file(observed, line);
	status = add(network, line->object.data, NULL, 0, 0);
	return status == 0 && network == &observed->lookups ? add_answers(observed, json, line->object.data) : status;
}

static int read_line(struct sg_observed *observed, const char *text, size_t size, struct sg_error *error)
{
	SG_CLEANUP(line_done) struct line line = {0};
	json_t *json = NULL;
	int status = sg_read_json(text, size, &json, error);

	if (status < 0)
		return status;
	take(json, "kind", &line.kind);
	take(json, "operation", &line.operation);
	take(json, "object", &line.object);
	take(json, "named", &line.named);
	take(json, "access", &line.access);
	take(json, "reason", &line.reason);
	take(json, "needs", &line.needs);
	take(json_object_get(json, "rule"), "key", &line.key);
	if (strcmp(line.kind.data, "grant") == 0 || strcmp(line.kind.data, "refusal") == 0) {
		status = add_line(observed, &line, json);
	} else if (strcmp(line.kind.data, "exec") == 0) {
		observed->started = true;
		take(json_object_get(json, "process"), "program", &line.program);
		status = line.program.data[0] == '/'
				 ? add(&observed->files, line.program.data, NULL, SG_ACCESS_EXECUTE, SG_USED_RUN)
				 : 0;
	} else if (strcmp(line.kind.data, "note") == 0 || strcmp(line.kind.data, "flood") == 0) {
		observed->incomplete = true;
	}
	json_decref(json);
	return status < 0 ? sg_error_set_errno(error, status, "cannot keep what the record says") : 0;
}

int sg_observed_read(struct sg_observed *observed, int fd, struct sg_error *error)
{
	SG_CLEANUP(sg_reader_done) struct sg_reader reader = {.fd = fd};
	const char *line;
	size_t size;
	int status;

	while ((status = sg_reader_next(&reader, &line, &size)) == 1) {
		status = read_line(observed, line, size, error);
		if (status < 0)
			return status;
	}
	return status < 0 ? sg_error_set_errno(error, status, "cannot read the record") : 0;
}

/* --- order --- */

static int compare_used(const void *left, const void *right)
{
	const struct sg_used *a = left, *b = right;
	const int names = strcmp(a->name, b->name);

	if (names != 0)
		return names;
	return strcmp(a->target != NULL ? a->target : "", b->target != NULL ? b->target : "");
}

static void settle(struct sg_used_list *list)
{
	size_t kept = 0;

	if (list->count > 1)
		qsort(list->items, list->count, sizeof(*list->items), compare_used);
	for (size_t i = 0; i < list->count; i++) {
		struct sg_used *item = &list->items[i], *last = kept > 0 ? &list->items[kept - 1] : NULL;

		if (last == NULL || strcmp(last->name, item->name) != 0) {
			list->items[kept++] = *item;
			continue;
		}
		last->access |= item->access;
		last->how |= item->how;
		last->times += item->times;
		free(item->name);
		free(item->target);
	}
	/* Only what nothing more was done with is merely looked at. */
	for (size_t i = 0; i < kept; i++)
		if (list->items[i].access != 0)
			list->items[i].how &= ~(unsigned int)SG_USED_LOOKED;
	list->count = kept;
}

static int compare_calls(const void *left, const void *right)
{
	const struct sg_used_call *a = left, *b = right;

	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	for (size_t i = 0; i < 6; i++)
		if (a->arguments[i] != b->arguments[i])
			return a->arguments[i] < b->arguments[i] ? -1 : 1;
	return 0;
}

void sg_observed_settle(struct sg_observed *observed)
{
	settle(&observed->files);
	settle(&observed->refused);
	settle(&observed->connects);
	settle(&observed->listens);
	settle(&observed->lookups);
	settle(&observed->answers);
	settle(&observed->refused_calls);
	settle(&observed->needs);
	if (observed->calls.count > 1)
		qsort(observed->calls.items, observed->calls.count, sizeof(*observed->calls.items), compare_calls);
}

/* The list that a refused name belongs in. */
static struct sg_used_list *list_of(struct sg_observed *observed, const struct sg_used *refused)
{
	if (refused->access != 0)
		return &observed->files;
	return refused->how & SG_USED_LISTENED ? &observed->listens : &observed->connects;
}

/* Keeps the list sorted, as searches need it. */
static int add_settled(struct sg_used_list *list, const char *name, unsigned int access, unsigned int how)
{
	int status = add(list, name, NULL, access, how);

	settle(list);
	return status;
}

static bool is_missed(struct sg_observed *observed, const struct sg_used *used)
{
	const struct sg_used *before = sg_used_find(&observed->refused, used->name);
	const struct sg_used *known = sg_used_find(list_of(observed, used), used->name);

	/*
	 * What an earlier replay was refused is in the proposal: that did not help. And which ports a name is wanted for, that is
	 * merely looked up, is not known.
	 */
	return (used->how & (SG_USED_REFUSED | SG_USED_ASKED)) == 0 &&
	       (known == NULL || (known->how & SG_USED_REPLAY) == 0) &&
	       (before == NULL || (used->access & ~before->access) != 0);
}

int sg_observed_add_missed(struct sg_observed *observed, const struct sg_observed *replay,
			   struct sg_learn_bounds *bounds, size_t *ret_added)
{
	int status = 0;

	*ret_added = 0;
	for (size_t i = 0; status == 0 && i < replay->refused.count; i++) {
		const struct sg_used *used = &replay->refused.items[i];

		if (!is_missed(observed, used) || !sg_learn_bounds_give(bounds, used))
			continue;
		status = add_settled(list_of(observed, used), used->name, used->access, SG_USED_REPLAY);
		++*ret_added;
	}
	for (size_t i = 0; status == 0 && i < replay->needs.count; i++) {
		const char *flag = replay->needs.items[i].name;

		if (sg_used_find(&observed->needs, flag) != NULL || !sg_learn_bounds_give_flag(bounds, flag))
			continue;
		status = add_settled(&observed->needs, flag, 0, SG_USED_REPLAY);
		++*ret_added;
	}
	return status;
}

static void list_done(struct sg_used_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].name);
		free(list->items[i].target);
	}
	free(list->items);
}

void sg_observed_done(struct sg_observed *observed)
{
	list_done(&observed->files);
	list_done(&observed->refused);
	list_done(&observed->connects);
	list_done(&observed->listens);
	list_done(&observed->lookups);
	list_done(&observed->answers);
	list_done(&observed->refused_calls);
	list_done(&observed->needs);
	free(observed->calls.items);
	*observed = (struct sg_observed){0};
}

const struct sg_used *sg_used_find(const struct sg_used_list *list, const char *name)
{
	const struct sg_used key = {.name = (char *)(uintptr_t)name};

	for (size_t low = 0, high = list->count; low < high;) {
		const size_t middle = low + (high - low) / 2;
		const int order = strcmp(key.name, list->items[middle].name);

		if (order == 0)
			return &list->items[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
