/*
 * What the programs of the escape suite share. Each of them runs inside a world, makes attempts, and says in
 * one line what came of each; test_escape.py reads the lines:
 *
 *     escaped NAME          an attempt that must fail went through: a hole
 *     refused NAME ERRNO    it failed, as it must
 *     works NAME            an action that is allowed went through, as it must
 *     broken NAME ERRNO     an allowed action failed
 *     saw NAME VALUE        something for the test to judge
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct probe {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the first argument behind the name */
};

/* The attempts of a program; ends with a NULL name. */
extern const struct probe probes[];

/* `result` is a system call's: below 0 it failed with errno. Nothing is closed. Both return true if it went
 * as it must. */
bool must_fail(const char *name, long result);
bool must_work(const char *name, long result);

/* The same for a condition that was found out otherwise. */
void escaped(const char *name);
void refused(const char *name, int error);
void saw(const char *name, const char *value);
void saw_number(const char *name, long value);

/*
 * Opens `path` and reads it. must_fail_to_read: neither may give a byte that holds "TOPSECRET"; must_read:
 * the file's text must hold `text`.
 */
void must_fail_to_read(const char *name, int dirfd, const char *path, int flags);
void must_read(const char *name, const char *path, const char *text);

/* True if what can be read from `fd` (from its start, where it has one) holds "TOPSECRET". Closes it. */
bool holds_secret(int fd);

/* Ends with status 3 if it takes longer than `seconds`: a hang is a failure, never a wait. */
void end_within(unsigned int seconds);

/* Forks; the child runs `run(data)` and exits with its result. Returns the wait status. */
int in_child(int (*run)(void *data), void *data);
