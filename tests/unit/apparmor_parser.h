/*
 * apparmor_parser, and the automata in what it makes of profiles (nothing is loaded). The format is that of the kernel's
 * security/apparmor/policy_unpack.c and match.c.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/fd.h"

static const char *const parsers[] = {"/usr/sbin/apparmor_parser", "/sbin/apparmor_parser", "/usr/bin/apparmor_parser"};
static const char *parser;
static const char features[] = "/etc/apparmor.d/abi/3.0";

enum { OUTPUT_MAX = 256 * 1024 * 1024, SKIPPED = 77 };

/* Permissions of a state; for files of the process's own user these, for others the same OTHERS bits up. */
enum { MAY_EXECUTE = 1, MAY_WRITE = 2, MAY_READ = 4, MAY_LINK = 16, MAY_LOCK = 32, MAY_MAP = 64, OTHERS = 14 };

/* One automaton: tables by number, as in match.c (YYTD_ID_ACCEPT and so on). */
enum { ACCEPT = 1, BASE = 2, CHECK = 3, DEFAULT = 4, CLASSES = 5, NEXT = 8, TABLES = 9 };

struct dfa {
	const unsigned char *table[TABLES];
	uint32_t count[TABLES];
	unsigned int width[TABLES];
};

static uint32_t big_endian(const unsigned char *data, unsigned int width)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < width; i++)
		value = value << 8 | data[i];
	return value;
}

static uint32_t little_endian(const unsigned char *data, unsigned int width)
{
	uint32_t value = 0;

	for (unsigned int i = width; i-- > 0;)
		value = value << 8 | data[i];
	return value;
}

static uint32_t cell(const struct dfa *dfa, unsigned int table, uint32_t index)
{
	assert_true(index < dfa->count[table]);
	return big_endian(dfa->table[table] + (size_t)index * dfa->width[table], dfa->width[table]);
}

/* Reads the tables; `blob` begins with up to seven bytes of padding. */
static void dfa_open(struct dfa *dfa, const unsigned char *blob, size_t size)
{
	size_t start = 0, at;

	*dfa = (struct dfa){0};
	while (start < 8 && big_endian(blob + start, 4) != 0x1b5e783d)
		start++;
	assert_true(start < 8);
	at = start + big_endian(blob + start + 4, 4);
	while (at + 12 <= size) {
		unsigned int id = big_endian(blob + at, 2), width = big_endian(blob + at + 2, 2);
		uint32_t count = big_endian(blob + at + 8, 4);

		assert_true(id < TABLES && (width == 1 || width == 2 || width == 4) && count <= size);
		dfa->table[id] = blob + at + 12;
		dfa->count[id] = count;
		dfa->width[id] = width;
		at += 12 + (size_t)count * width;
		at = start + ((at - start + 7) & ~(size_t)7);
	}
	assert_non_null(dfa->table[ACCEPT]);
	assert_non_null(dfa->table[NEXT]);
}

/* The permissions of a name; of its owner, and OTHERS up those of everybody else. */
static uint32_t dfa_permissions(const struct dfa *dfa, const char *name, size_t length)
{
	uint32_t state = 1;

	for (size_t i = 0; i < length; i++) {
		uint32_t byte = (unsigned char)name[i];

		if (dfa->table[CLASSES] != NULL)
			byte = cell(dfa, CLASSES, byte);
		for (;;) { /* a state that is written as a difference goes on in its default with the same
			      byte */
			uint32_t base = cell(dfa, BASE, state), position = (base & 0xffffff) + byte;

			if (cell(dfa, CHECK, position) == state) {
				state = cell(dfa, NEXT, position);
				break;
			}
			state = cell(dfa, DEFAULT, state);
			if ((base & 0x80000000) == 0)
				break;
		}
	}
	return cell(dfa, ACCEPT, state);
}

/* Finds the file automaton of each profile, the one that is not within a structure of the profile, in order.
 */
static size_t find_dfas(const unsigned char *data, size_t size, struct dfa *dfas, size_t max)
{
	static const unsigned int widths[] = {1, 2, 4, 8};
	size_t at = 0, found = 0, depth = 0;
	bool named = false;

	while (at < size) {
		unsigned char tag = data[at++];
		size_t length;

		switch (tag) {
		case 0: /* integers */
		case 1:
		case 2:
		case 3:
			at += widths[tag];
			break;
		case 4: /* name */
		case 5: /* string */
			length = little_endian(data + at, 2);
			named = tag == 4 && length == 6 && memcmp(data + at + 2, "aadfa", 6) == 0;
			at += 2 + length;
			break;
		case 6: /* blob */
			length = little_endian(data + at, 4);
			if (named && depth == 1 && found < max)
				dfa_open(&dfas[found++], data + at + 4, length);
			at += 4 + length;
			break;
		case 7:
			depth++;
			break;
		case 8:
			depth--;
			break;
		case 9: /* lists and their ends, ends of arrays: nothing follows */
		case 10:
		case 12:
			break;
		case 11: /* array */
			at += 2;
			break;
		default:
			fail_msg("tag %u at %zu", tag, at);
		}
	}
	return found;
}

/* Compiles profiles; what comes out is in *ret_data (free). Returns the parser's exit status, and fails on
 * nothing. */
static int run_parser(const struct sg_buffer *profiles, char **ret_data, size_t *ret_size, char **ret_messages)
{
	SG_AUTO_FD int input = memfd_create("profiles", MFD_CLOEXEC);
	SG_AUTO_FD int output = memfd_create("compiled", MFD_CLOEXEC);
	SG_AUTO_FD int messages = memfd_create("messages", MFD_CLOEXEC);
	size_t size;
	int status;
	pid_t child;

	assert_int_equal(sg_fd_write_full(input, profiles->data, profiles->size), 0);
	assert_int_equal(lseek(input, 0, SEEK_SET), 0);
	child = fork();
	if (child == 0) {
		/* Should the compiler hang, as it can on equal alternatives, that is a failure here. */
		if (setrlimit(RLIMIT_CPU, &(struct rlimit){.rlim_cur = 20, .rlim_max = 20}) < 0)
			_exit(124);
		if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(messages, 2) < 0)
			_exit(125);
		execl(parser, parser, "-Q", "-K", "-S", "-M", features, "--Werror", (char *)NULL);
		_exit(126);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(lseek(output, 0, SEEK_SET), 0);
	assert_int_equal(lseek(messages, 0, SEEK_SET), 0);
	assert_int_equal(sg_fd_read_file(output, OUTPUT_MAX, ret_data, ret_size), 0);
	assert_int_equal(sg_fd_read_file(messages, OUTPUT_MAX, ret_messages, &size), 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Finds the compiler. Returns 0, or the status to exit with: there is none. */
static int find_parser(void)
{
	const char *must_work = getenv("SG_MUST_WORK");

	for (size_t i = 0; i < SG_ARRAY_SIZE(parsers) && parser == NULL; i++)
		if (access(parsers[i], X_OK) == 0)
			parser = parsers[i];
	if (parser != NULL && access(features, R_OK) == 0)
		return 0;
	printf("SKIP: %s is not installed\n", parser == NULL ? "apparmor_parser" : features);
	return must_work != NULL && strcmp(must_work, "1") == 0 ? EXIT_FAILURE : SKIPPED;
}
