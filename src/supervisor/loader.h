/*
 * What the kernel takes up besides a program that it executes: the loader that the program names (PT_INTERP);
 * and what an execution that fails may tell.
 */
#pragma once

#include "supervisor/supervisor.h"

/* True for the dynamic loaders of the C libraries, by the last component of a canonical name. */
bool sg_loader_is_known(const char *name);

/*
 * What the kernel would refuse of a pinned file that is executed, were it asked, where an execution that it refuses ends its
 * process; else nothing is done. To be asked of each of a chain of interpreters. Returns 0, or the negative errno value that the
 * call gives: -EACCES, -ETXTBSY (as far as it can be told: the file's owner is asked), or what went wrong.
 */
int sg_loader_fails_by_itself(const struct sg_supervisor *supervisor, const struct sg_resolved *program);

/*
 * The same of the arguments, at the caller's addresses `argv` and `envp`, with a path of `name` bytes and interpreters if `script`
 * (arguments.c). Returns 0, -E2BIG, -EFAULT, or another negative errno value of reading the caller's memory.
 */
int sg_loader_take_arguments(const struct sg_request *request, uint64_t argv, uint64_t envp, size_t name, bool script);

/*
 * Decides about the loader of a pinned program that may be executed, where it could be anything that the
 * mounts would not refuse; else nothing is done. Returns 0 when nothing refuses it, with its canonical name
 * (PATH_MAX + NAME_MAX + 2 bytes; empty: the program has none, or it does not matter); 1 when it is refused
 * (*decision); or the negative errno value that the call gives.
 */
int sg_loader_decide(struct sg_request *request, const struct sg_resolved *program, struct sg_decision *decision,
		     char *name);

/* In the exec stop of thread `tid`: nothing is mapped but the program and the loader that were decided about.
 */
bool sg_loader_verify(const struct sg_supervisor *supervisor, pid_t tid, const struct sg_traced *traced);

/* Whether an execution that fails must not be told how, since its path may have been another one than what
 * was decided: names are hidden by looks. */
bool sg_loader_must_not_fail(const struct sg_supervisor *supervisor);
