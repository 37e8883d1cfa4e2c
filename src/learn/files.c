/*
 * Files.
 *
 * What was used is proposed by its own name, and wider where a name by itself would not serve the next run:
 *
 *   libraries, by their names             under Map
 *   below a folder of conventions.def     that folder, for reading
 *   made, renamed or removed by the run   the name with its random part as a star, or with a star behind it: a file that does not
 *                                         exist yet has no place in the mount tree, and one that is mounted by itself cannot be
 *                                         removed; in a folder that a wildcard ranges over both can be
 *   a folder made by the run              it and everything below
 *   many files of one folder              the files of that folder
 *   many below one folder, in several     everything below that folder
 *   of the folders in it
 *
 * No star stands for whole names of a broad folder (names.h), so nothing here ever comes to the root, the home or a folder like /etc.
 */
#include "learn/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "learn/names.h"
#include "policy/decide.h"

enum {
	READ_MANY = 4,    /* files of one folder that are read */
	WRITE_MANY = 3,   /* that are written */
	TREE_FILES = 8,   /* below one folder ... */
	TREE_FOLDERS = 3, /* ... in so many folders */
};

struct entry {
	const struct sg_used *used;
	bool write;
	bool done; /* a line gives it */
};

struct state {
	const struct sg_learn_files *files;
	struct sg_learn_lines *lines;
	struct entry *entries; /* sorted by name */
	size_t count;
};

static bool is_write(const struct sg_used *used)
{
	return (used->access & (SG_ACCESS_WRITE | SG_ACCESS_CHANGE)) != 0;
}

/* The length of the folder that the name lies in, with its slash. */
static size_t parent_of(const char *name)
{
	size_t length = strlen(name);

	if (length > 1 && name[length - 1] == '/')
		length--;
	while (length > 1 && name[length - 1] != '/')
		length--;
	return length;
}

/* The length of the topmost folder on the way to the name, or the name itself, that the run made; 0: none. */
static size_t made_folder(const struct state *state, const char *name)
{
	SG_AUTO_FREE char *copy = strdup(name);

	for (size_t i = 1; copy != NULL && name[i] != '\0'; i++) {
		const struct sg_used *used;
		char kept;

		if (name[i] != '/')
			continue;
		kept = copy[i + 1];
		copy[i + 1] = '\0';
		used = sg_used_find(&state->files->observed->files, copy);
		copy[i + 1] = kept;
		if (used != NULL && (used->how & SG_USED_MADE) != 0)
			return i + 1;
	}
	return 0;
}

/* --- what needs a line --- */

static bool is_in(const char *name, const char *folder)
{
	return strncmp(name, folder, strlen(folder)) == 0;
}

static bool needs_line(const struct state *state, const struct sg_used *used)
{
	const unsigned int access = used->access & ~(unsigned int)SG_ACCESS_EXECUTE;
	enum sg_learn_temporary temporary = SG_LEARN_TEMPORARY_NOT;

	if (state->files->temporary)
		temporary = sg_learn_is_temporary(state->files->observed, used->name, state->files->variables);
	if (access == 0)
		return (used->how & SG_USED_LOOKED) != 0 && state->files->looks &&
		       !sg_learn_matcher_gives(state->files->given, used->name, SG_ACCESS_READ);
	/* Exec gives reading too. */
	if ((used->access & SG_ACCESS_EXECUTE) != 0 && access == SG_ACCESS_READ)
		return false;
	if (temporary == SG_LEARN_TEMPORARY_OWN || temporary == SG_LEARN_TEMPORARY_ROOT)
		return false;
	if (temporary == SG_LEARN_TEMPORARY_OTHER)
		return true; /* in a /tmp of the world's own it would not be there */
	return !sg_learn_matcher_gives(state->files->given, used->name, access);
}

static int collect(struct state *state)
{
	const struct sg_used_list *files = &state->files->observed->files;

	state->entries = calloc(files->count + 1, sizeof(*state->entries));
	if (state->entries == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < files->count; i++)
		if (needs_line(state, &files->items[i]))
			state->entries[state->count++] =
				(struct entry){&files->items[i], is_write(&files->items[i]), false};
	return 0;
}

/* --- programs --- */

static bool is_system(const char *name)
{
	return is_in(name, "/usr/") || is_in(name, "/bin/") || is_in(name, "/sbin/");
}

/*
 * A name by which a program was found, through a link: the rule of the link gives what it leads to. Elsewhere than among the system's
 * programs a link may be one that is not followed (world/written.h): there both are named.
 */
static bool has_link(const struct state *state, const struct sg_used *program)
{
	const struct sg_used_list *files = &state->files->observed->files;

	for (size_t i = 0; i < files->count; i++)
		if (files->items[i].target != NULL && (files->items[i].access & SG_ACCESS_EXECUTE) != 0 &&
		    strcmp(files->items[i].target, program->name) == 0 && is_system(files->items[i].name))
			return true;
	return false;
}

static void add_name(const struct state *state, enum sg_learn_key key, const struct sg_used *used, const char *comment)
{
	SG_AUTO_BUFFER struct sg_buffer value = SG_BUFFER_INIT;

	sg_learn_append_name(used->name, strlen(used->name), state->files->variables, &value);
	if (sg_buffer_status(&value) == 0)
		sg_learn_add(state->lines, key, false, value.data, "%s", comment);
	else
		state->lines->failed = true;
}

static void add_programs(const struct state *state)
{
	const struct sg_used_list *files = &state->files->observed->files;

	for (size_t i = 0; i < files->count; i++) {
		const struct sg_used *file = &files->items[i];

		if ((file->access & SG_ACCESS_EXECUTE) == 0 || (file->target == NULL && has_link(state, file)))
			continue;
		if ((file->how & SG_USED_MADE) != 0)
			add_name(state, SG_LEARN_EXECUTE, file, "the run made this program itself");
		else
			add_name(state, SG_LEARN_EXECUTE, file, "");
	}
}

/* --- libraries --- */

/*
 * A library elsewhere than where "start" gives them, by its name: libx.so, x.so.1.2, x.node. That it is mapped as code no record says,
 * and a mount that no rule reaches for it is noexec.
 */
static bool is_library(const char *name)
{
	const char *last = strrchr(name, '/'), *so = last;
	const size_t length = strlen(name);

	if (length > 5 && strcmp(name + length - 5, ".node") == 0)
		return true;
	while (so != NULL && (so = strstr(so, ".so")) != NULL) {
		so += 3;
		if (strspn(so, ".0123456789") == strlen(so))
			return true;
	}
	return false;
}

/* The folder of one entry, with all the libraries in it. */
static void add_libraries_of(struct state *state, const char *name)
{
	const size_t length = parent_of(name);
	SG_AUTO_BUFFER struct sg_buffer value = SG_BUFFER_INIT;
	size_t count = 0;

	for (size_t i = 0; i < state->count; i++) {
		struct entry *entry = &state->entries[i];

		if (entry->write || !is_library(entry->used->name) || parent_of(entry->used->name) != length ||
		    strncmp(entry->used->name, name, length) != 0)
			continue;
		entry->done = true;
		count++;
	}
	sg_learn_append_name(name, count > 1 ? length : strlen(name), state->files->variables, &value);
	if (count > 1)
		sg_buffer_append_text(&value, "*.{so,so.*,node}");
	if (sg_buffer_status(&value) < 0)
		state->lines->failed = true;
	else if (count > 1)
		sg_learn_add(state->lines, SG_LEARN_MAP, false, value.data, "a guess by their names: %zu libraries",
			     count);
	else
		sg_learn_add(state->lines, SG_LEARN_MAP, false, value.data, "a guess by its name: a library");
}

static void add_libraries(struct state *state)
{
	for (size_t i = 0; i < state->count; i++)
		if (!state->entries[i].done && !state->entries[i].write && is_library(state->entries[i].used->name))
			add_libraries_of(state, state->entries[i].used->name);
}

/* --- wider lines --- */

/* One line for all entries below `folder` that it gives. `tail` is a glob's text. */
static void add_wide(struct state *state, const char *name, size_t length, const char *tail, bool write,
		     const char *comment, size_t number, const char *example)
{
	SG_AUTO_BUFFER struct sg_buffer value = SG_BUFFER_INIT;
	SG_AUTO_BUFFER struct sg_buffer shown = SG_BUFFER_INIT;

	sg_learn_append_name(name, length, state->files->variables, &value);
	sg_buffer_append_text(&value, tail);
	sg_buffer_append_escaped(&shown, example, strlen(example));
	if (sg_buffer_status(&value) < 0 || sg_buffer_status(&shown) < 0) {
		state->lines->failed = true;
		return;
	}
	if (number > 0)
		sg_learn_add(state->lines, write ? SG_LEARN_WRITE : SG_LEARN_READ, false, value.data,
			     "%s: %zu seen, such as %s", comment, number, shown.data);
	else
		sg_learn_add(state->lines, write ? SG_LEARN_WRITE : SG_LEARN_READ, false, value.data, "%s: saw %s",
			     comment, shown.data);
}

/* Marks what lies below (or, with `direct`, in) the folder, and is read, or with `write` whatever is done with it. Returns how many. */
static size_t mark(struct state *state, const char *folder, size_t length, bool direct, bool write)
{
	size_t count = 0;

	for (size_t i = 0; i < state->count; i++) {
		struct entry *entry = &state->entries[i];

		if (entry->done || strncmp(entry->used->name, folder, length) != 0 || (entry->write && !write) ||
		    (direct && (strchr(entry->used->name + length, '/') != NULL)))
			continue;
		entry->done = true;
		count++;
	}
	return count;
}

static void add_conventions(struct state *state)
{
	for (size_t i = 0; i < state->count; i++) {
		const struct sg_used *used = state->entries[i].used;
		const size_t length =
			state->entries[i].done || state->entries[i].write ? 0 : sg_learn_folder_of(used->name);
		size_t count;

		if (length == 0)
			continue;
		/* The folder itself may be the first that was seen of it: then it is the example. */
		count = mark(state, used->name, length, false, false);
		add_wide(state, used->name, length, "**", false, "by convention", count,
			 used->name[length] != '\0' ? used->name + length : used->name);
	}
}

/*
 * The place of a random part. What is random from its beginning would be a star for every name in the folder, or every one with that
 * ending: there only names of that length are meant.
 */
static void append_random(struct sg_buffer *out, size_t before, size_t length)
{
	if (before > 0) {
		sg_buffer_append_byte(out, '*');
		return;
	}
	for (size_t i = 0; i < length; i++)
		sg_buffer_append_byte(out, '?');
}

/* "repo*" and all below: the folder was not there when the run began. */
static void add_made_folder(struct state *state, const char *name, size_t length)
{
	SG_AUTO_BUFFER struct sg_buffer tail = SG_BUFFER_INIT;
	SG_AUTO_FREE char *folder = strndup(name, length);
	size_t start, before = 0, behind = 0;
	bool random;

	if (folder == NULL) {
		state->lines->failed = true;
		return;
	}
	start = parent_of(folder);
	random = sg_learn_random_part(name + start, length - 1 - start, &before, &behind);
	append_random(&tail, random ? before : length, length - 1 - start - before - behind);
	sg_learn_append_text(name + length - 1 - behind, behind, &tail);
	sg_buffer_append_text(&tail, "/{,**}");
	if (sg_buffer_status(&tail) < 0)
		state->lines->failed = true;
	else
		add_wide(state, name, random ? start + before : length - 1, tail.data, true,
			 random ? "a folder that the run made, random part" : "a folder that the run made", 0, folder);
	(void)mark(state, name, length, false, true);
}

static void add_made_folders(struct state *state)
{
	for (size_t i = 0; i < state->count; i++) {
		const char *name = state->entries[i].used->name;
		const size_t length = state->entries[i].done ? 0 : made_folder(state, name);

		if (length > 0)
			add_made_folder(state, name, length);
	}
}

/* How many entries of the kind lie below the folder, and in how many of the folders in it. */
static size_t count_below(const struct state *state, const char *folder, size_t length, bool write, size_t *ret_folders)
{
	const char *last = NULL;
	size_t count = 0, last_length = 0;

	*ret_folders = 0;
	for (size_t i = 0; i < state->count; i++) {
		const char *name = state->entries[i].used->name;
		size_t child;

		if (state->entries[i].done || state->entries[i].write != write || strncmp(name, folder, length) != 0)
			continue;
		count++;
		child = strcspn(name + length, "/");
		if (name[length + child] != '/' ||
		    (child == last_length && last != NULL && strncmp(name, last, length + child) == 0))
			continue;
		++*ret_folders;
		last = name;
		last_length = child;
	}
	return count;
}

/* The topmost folder on the way to the name that is used so widely that all of it is proposed: its length; 0: none. */
static size_t tree_of(const struct state *state, const char *name, bool write)
{
	for (size_t i = 1; name[i] != '\0' && name[i + 1] != '\0'; i++) {
		size_t folders;

		if (name[i] == '/' && !sg_learn_is_broad(name, i + 1, state->files->variables) &&
		    count_below(state, name, i + 1, write, &folders) >= TREE_FILES && folders >= TREE_FOLDERS)
			return i + 1;
	}
	return 0;
}

static size_t count_in(const struct state *state, const char *folder, size_t length, bool write, bool *ret_link)
{
	size_t count = 0;

	*ret_link = false;
	for (size_t i = 0; i < state->count; i++) {
		const struct entry *entry = &state->entries[i];

		if (entry->done || entry->write != write || parent_of(entry->used->name) != length ||
		    strncmp(entry->used->name, folder, length) != 0)
			continue;
		count++;
		*ret_link |= (entry->used->how & SG_USED_SYMLINK) != 0;
	}
	return count;
}

static void add_crowds(struct state *state, bool write)
{
	for (size_t i = 0; i < state->count; i++) {
		const char *name = state->entries[i].used->name;
		size_t length =
			state->entries[i].done || state->entries[i].write != write ? 0 : tree_of(state, name, write);
		size_t count;
		bool link;

		if (length > 0) {
			count = mark(state, name, length, false, write);
			add_wide(state, name, length, "**", write, "many names", count, name + length);
			continue;
		}
		length = parent_of(name);
		if (state->entries[i].done || state->entries[i].write != write ||
		    sg_learn_is_broad(name, length, state->files->variables))
			continue;
		count = count_in(state, name, length, write, &link);
		if (count < (write ? (size_t)WRITE_MANY : (size_t)READ_MANY) && !link)
			continue;
		count = mark(state, name, length, true, write);
		add_wide(state, name, length, "*", write, "several names", count, name + length);
	}
}

/* --- single names --- */

/* It comes and goes: its name is given with a star, in the place of its random part if it has one. */
static bool add_coming(struct state *state, const struct entry *entry)
{
	const char *name = entry->used->name;
	const size_t start = parent_of(name), length = strlen(name);
	SG_AUTO_BUFFER struct sg_buffer tail = SG_BUFFER_INIT;
	const bool made = (entry->used->how & SG_USED_MADE) != 0;
	size_t before, behind;

	if ((entry->used->how & (SG_USED_MADE | SG_USED_MOVED)) == 0 || name[length - 1] == '/')
		return false;
	if (!made || !sg_learn_random_part(name + start, length - start, &before, &behind)) {
		add_wide(state, name, length, "*", true, made ? "made by the run" : "renamed or removed by the run", 0,
			 name);
		return true;
	}
	append_random(&tail, before, length - start - before - behind);
	sg_learn_append_text(name + length - behind, behind, &tail);
	if (sg_buffer_status(&tail) < 0)
		state->lines->failed = true;
	else
		add_wide(state, name, start + before, tail.data, true, "random part", 0, name);
	return true;
}

/* The digits of a version in a file or folder of the system's: they change with the next package. */
static bool add_version(struct state *state, const struct entry *entry)
{
	const char *name = entry->used->name;
	const bool system = is_in(name, "/usr/") || is_in(name, "/etc/") || is_in(name, "/opt/");

	for (size_t start = 1; system && !entry->write && name[start] != '\0';) {
		const size_t length = strcspn(name + start, "/");
		SG_AUTO_BUFFER struct sg_buffer tail = SG_BUFFER_INIT;
		size_t before, behind;

		if (sg_learn_version_part(name + start, length, &before, &behind)) {
			const char *rest = name + start + length - behind;

			sg_buffer_append_byte(&tail, '*');
			sg_learn_append_text(rest, strlen(rest), &tail);
			if (sg_buffer_status(&tail) < 0)
				state->lines->failed = true;
			else
				add_wide(state, name, start + before, tail.data, false, "version", 0, name);
			return true;
		}
		start += length + (name[start + length] == '/');
	}
	return false;
}

/* "/proc/123/stat" of another process: the number is another one each time. */
static bool add_process(struct state *state, const struct entry *entry)
{
	const char *name = entry->used->name;
	SG_AUTO_BUFFER struct sg_buffer tail = SG_BUFFER_INIT;
	size_t digits;

	if (strncmp(name, "/proc/", 6) != 0)
		return false;
	digits = strspn(name + 6, "0123456789");
	if (digits == 0 || name[6 + digits] != '/')
		return false;
	if (name[6 + digits + 1] == '\0')
		return true; /* the folder itself: looked at by whoever lists /proc */
	sg_buffer_append_text(&tail, "[0-9]*");
	sg_learn_append_text(name + 6 + digits, strlen(name + 6 + digits), &tail);
	if (sg_buffer_status(&tail) < 0)
		state->lines->failed = true;
	else
		add_wide(state, name, 6, tail.data, entry->write, "other processes of the world", 0, name);
	return true;
}

static void add_single(struct state *state, const struct entry *entry)
{
	const struct sg_used *used = entry->used;

	if (add_process(state, entry) || add_coming(state, entry) || add_version(state, entry))
		return;
	add_name(state, entry->write ? SG_LEARN_WRITE : SG_LEARN_READ, used,
		 used->access == 0                                    ? "only looked at"
		 : !entry->write && (used->how & SG_USED_LISTED) != 0 ? "listed"
		 : used->times == 1                                   ? "seen once"
								      : "");
}

int sg_learn_files_find(const struct sg_learn_files *files, struct sg_learn_lines *lines)
{
	struct state state = {.files = files, .lines = lines};
	int status = collect(&state);

	if (status == 0) {
		add_programs(&state);
		add_libraries(&state);
		add_conventions(&state);
		add_made_folders(&state);
		add_crowds(&state, true);
		add_crowds(&state, false);
		for (size_t i = 0; i < state.count; i++)
			if (!state.entries[i].done)
				add_single(&state, &state.entries[i]);
	}
	free(state.entries);
	return status < 0 || lines->failed ? -ENOMEM : 0;
}
