/* What a process of the world gives up before it runs any code of the world: capabilities, privileges, scopes. */
#pragma once

#include <linux/filter.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Drops every capability but those of the mask `kept` from all five sets (bounding, permitted, effective, inheritable,
 * ambient), locks the secure bits so that uid 0 regains none by execve, and sets no_new_privs. Returns 0 or -errno.
 */
int sg_confine_capabilities(uint64_t kept, struct sg_error *error);

enum { SG_CONFINE_SCOPES_ABI = 6 };

/*
 * Landlock's scopes (ABI 6, Linux 6.12): no signal to, and no abstract socket of, a process outside the world. Where the
 * kernel has no such scopes it does nothing: the PID and network namespaces bound both by themselves. Returns 0 or -errno.
 */
int sg_confine_scopes(struct sg_error *error);

/* The ABI version of Landlock, or 0 where there is none. */
int sg_confine_landlock_version(void);

/*
 * Installs a filter with a listener (WAIT_KILLABLE_RECV, Linux 5.19). The listener becomes the lowest free descriptor,
 * close-on-exec. Returns it, or a negative errno value.
 */
int sg_confine_filter(const struct sock_filter *filter, unsigned short length, struct sg_error *error);
