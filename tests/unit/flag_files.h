/*
 * Reads flags/<category>.toml for the tests of the tables and the filter: just as much TOML as those files
 * use (tables by [Define.NAME], keys with a string or an array of strings, comments), and strict about it.
 * The product has its own reader.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "tables/flags.h"
#include "tables/syscalls.h"
#include "world/filter.h"

struct flag_definition {
	bool defined;
	bool described;
	enum sg_flag_category category; /* as the file says */
	struct sg_flag_set flags;       /* as the file says, without what those include; needed ones too */
	struct sg_syscall_set calls;
	struct sg_flag_set own_flags; /* less those that it merely needs */
	struct sg_syscall_set own_calls;
};

struct flag_reader {
	const char *file;
	const char *at;
	enum sg_flag current;
	struct flag_definition *definitions; /* SG_FLAGS_ */
};

#define READER_FAIL(reader, ...)                                                                                       \
	do {                                                                                                           \
		print_error("%s, before \"%.40s\": ", (reader)->file, (reader)->at);                                   \
		print_error(__VA_ARGS__);                                                                              \
		fail();                                                                                                \
	} while (0)

static inline void reader_skip(struct flag_reader *reader)
{
	for (;;) {
		reader->at += strspn(reader->at, " \n");
		if (*reader->at != '#')
			return;
		reader->at += strcspn(reader->at, "\n");
	}
}

/* Reads one of the bytes of `set` up to `size`-1 into `out`, which is terminated. */
static inline void reader_word(struct flag_reader *reader, const char *set, char *out, size_t size)
{
	size_t length = strspn(reader->at, set);

	if (length == 0 || length >= size)
		READER_FAIL(reader, "a name was expected\n");
	memcpy(out, reader->at, length);
	out[length] = 0;
	reader->at += length;
}

static inline void reader_expect(struct flag_reader *reader, char byte)
{
	reader_skip(reader);
	if (*reader->at != byte)
		READER_FAIL(reader, "'%c' was expected\n", byte);
	reader->at++;
}

static inline void reader_string(struct flag_reader *reader, char *out, size_t size)
{
	size_t length;

	reader_expect(reader, '"');
	length = strcspn(reader->at, "\"\\\n");
	if (reader->at[length] != '"' || length >= size)
		READER_FAIL(reader, "a plain string was expected\n");
	memcpy(out, reader->at, length);
	out[length] = 0;
	reader->at += length + 1;
}

static inline void reader_element(struct flag_reader *reader, const char *key, const char *element)
{
	struct flag_definition *definition = &reader->definitions[reader->current];

	if (strcmp(key, "Syscalls") == 0 || strcmp(key, "NeedsSyscalls") == 0) {
		const struct sg_syscall *call = sg_syscall_by_name(element, strlen(element));

		if (call == NULL || call->class == SG_CLASS_NEVER)
			READER_FAIL(reader, "%s is no call that a flag can give\n", element);
		if (sg_syscall_set_has(&definition->calls, call->number))
			READER_FAIL(reader, "%s twice\n", element);
		sg_syscall_set_add(&definition->calls, call->number);
		if (key[0] != 'N')
			sg_syscall_set_add(&definition->own_calls, call->number);
	} else if (strcmp(key, "Flags") == 0 || strcmp(key, "NeedsFlags") == 0) {
		enum sg_flag flag = sg_flag_find(element, strlen(element));

		if (flag == SG_FLAG_NONE_)
			READER_FAIL(reader, "no flag %s\n", element);
		sg_flag_set_add(&definition->flags, flag);
		if (key[0] != 'N')
			sg_flag_set_add(&definition->own_flags, flag);
	} else if (strcmp(key, "Capabilities") == 0) {
		assert_int_equal(strncmp(element, "CAP_", 4), 0);
	} else if (strcmp(key, "Allow") != 0) {
		/* A glob: absolute, or below a variable. */
		assert_true(element[0] == '/' || strncmp(element, "${", 2) == 0);
	}
}

static inline void reader_value(struct flag_reader *reader, const char *key)
{
	static const char *const lists[] = {"Flags",    "NeedsFlags", "Syscalls", "NeedsSyscalls", "Capabilities",
					    "ReadOnly", "ReadWrite",  "Exec",     "Allow",         "Map",
					    "Private",  "Deny",       "DenyWrite"};
	struct flag_definition *definition = &reader->definitions[reader->current];
	char text[512];
	bool known = false;

	if (strcmp(key, "Description") == 0) {
		reader_string(reader, text, sizeof(text));
		definition->described = text[0] != 0;
		return;
	}
	if (strcmp(key, "Category") == 0) {
		reader_string(reader, text, sizeof(text));
		definition->category = SG_FLAG_CATEGORIES_;
		for (int i = 0; i < SG_FLAG_CATEGORIES_; i++)
			if (strcmp(sg_flag_category_name((enum sg_flag_category)i), text) == 0)
				definition->category = (enum sg_flag_category)i;
		return;
	}
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		known = known || strcmp(lists[i], key) == 0;
	if (!known)
		READER_FAIL(reader, "unknown key %s\n", key);
	for (reader_expect(reader, '['), reader_skip(reader); *reader->at != ']'; reader_skip(reader)) {
		reader_string(reader, text, sizeof(text));
		reader_element(reader, key, text);
		reader_skip(reader);
		if (*reader->at == ',')
			reader->at++;
		else if (*reader->at != ']')
			READER_FAIL(reader, "',' or ']' was expected\n");
	}
	reader->at++;
}

static inline void reader_file(struct flag_definition *definitions, const char *name)
{
	const char *root = getenv("SG_SOURCE_ROOT");
	struct flag_reader reader = {.file = name, .current = SG_FLAG_NONE_, .definitions = definitions};
	SG_AUTO_FREE char *text = NULL;
	SG_AUTO_FD int fd = -1;
	char path[4096], word[64];
	size_t size;

	assert_non_null(root);
	snprintf(path, sizeof(path), "%s/flags/%s", root, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(sg_fd_read_file(fd, 1 << 20, &text, &size), 0);
	reader.at = text;
	for (reader_skip(&reader); *reader.at != 0; reader_skip(&reader)) {
		if (strncmp(reader.at, "[Define.", 8) == 0) {
			reader.at += 8;
			reader_word(&reader, "abcdefghijklmnopqrstuvwxyz_-", word, sizeof(word));
			reader_expect(&reader, ']');
			reader.current = sg_flag_find(word, strlen(word));
			if (reader.current == SG_FLAG_NONE_ || definitions[reader.current].defined)
				READER_FAIL(&reader, "%s is not in flags.def, or defined twice\n", word);
			definitions[reader.current].defined = true;
			continue;
		}
		if (reader.current == SG_FLAG_NONE_)
			READER_FAIL(&reader, "a key before any table\n");
		reader_word(&reader, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", word, sizeof(word));
		reader_expect(&reader, '=');
		reader_value(&reader, word);
	}
}

/* Reads all files into `definitions` (SG_FLAGS_ of them); anything unexpected fails the test. */
static inline void read_flag_files(struct flag_definition *definitions)
{
	static const char *const files[] = {"networking.toml", "filesystem.toml", "runtime.toml",
					    "user.toml",       "misc.toml",       "pledge.toml"};

	memset(definitions, 0, SG_FLAGS_ * sizeof(*definitions));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		reader_file(definitions, files[i]);
}

/* Adds a flag and all that it includes. An inclusion that goes round ends, since a flag is added once. */
static inline void grant_flag(const struct flag_definition *definitions, enum sg_flag flag,
			      struct sg_filter_grants *grants)
{
	if (sg_flag_set_has(&grants->flags, flag))
		return;
	sg_flag_set_add(&grants->flags, flag);
	for (size_t i = 0; i < sizeof(grants->calls.words) / sizeof(grants->calls.words[0]); i++)
		grants->calls.words[i] |= definitions[flag].calls.words[i];
	for (int i = 0; i < SG_FLAGS_; i++)
		if (sg_flag_set_has(&definitions[flag].flags, (enum sg_flag)i))
			grant_flag(definitions, (enum sg_flag)i, grants);
}

/* Adds the flags of a list of names with spaces between ("start dns"). */
static inline void grant_flags(const struct flag_definition *definitions, const char *names,
			       struct sg_filter_grants *grants)
{
	while (*(names += strspn(names, " ")) != 0) {
		size_t length = strcspn(names, " ");
		enum sg_flag flag = sg_flag_find(names, length);

		assert_int_not_equal(flag, SG_FLAG_NONE_);
		grant_flag(definitions, flag, grants);
		names += length;
	}
}
