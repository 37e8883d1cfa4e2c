/*
 * The programs and kernel features of this host that take artefacts. Only whoever is asked for it (compile --installed, --load, unload)
 * comes here: judging and writing look at no host.
 */
#pragma once

#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

/*
 * Looks for programs, in the folders of the system alone (the environment's PATH is whoever calls'). Appends the names of those that
 * are there, with commas. Returns true if one is.
 */
bool sg_host_has(const char *const *names, size_t count, struct sg_buffer *out);

/* The path of a program of the system, or NULL. Static. */
const char *sg_host_program(const char *name, char *path, size_t size);

/* The probes of back ends (struct sg_exporter). */
bool sg_host_runs_containers(struct sg_buffer *out);
bool sg_host_filters_calls(struct sg_buffer *out);
bool sg_host_sets_capabilities(struct sg_buffer *out);
bool sg_host_has_landlock(struct sg_buffer *out);
bool sg_host_has_apparmor(struct sg_buffer *out);
bool sg_host_runs_systemd(struct sg_buffer *out);

/*
 * Runs a program of the system, with an environment of its own and `input` on its standard input, for a minute of processor time and two minutes
 * in all at most. What it says on standard error is appended to *said (the first kilobytes). Returns its exit status, 128 and the number of the signal
 * that ended it, or a negative errno value with context. Blocks until it has ended.
 */
int sg_host_run(const char *const *arguments, const void *input, size_t size, struct sg_buffer *said,
		struct sg_error *error);

/*
 * The same for what is on its standard output: appended to *out. The program may be named by its path. More than `limit` bytes are a
 * fault (-EFBIG).
 */
int sg_host_run_for(const char *const *arguments, const void *input, size_t size, size_t limit, struct sg_buffer *out,
		    struct sg_buffer *said, struct sg_error *error);
