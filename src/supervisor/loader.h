/*
 * What the kernel takes up besides a program that it executes: the loader that the program names (PT_INTERP);
 * and what an execution that fails may tell.
 */
#pragma once

#include "supervisor/supervisor.h"

/* True for the dynamic loaders of the C libraries, by the last component of a canonical name. */
bool sg_loader_is_known(const char *name);

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
