/* What a process of the world gives up before it runs any code of the world: capabilities, privileges, scopes. */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/error.h"
#include "world/mount.h"

/*
 * Drops every capability but those of the mask `kept` from all five sets (bounding, permitted, effective, inheritable,
 * ambient), locks the secure bits so that uid 0 regains none by execve, enters the AppArmor profile `profile` (sg_label_enter; NULL: none),
 * and sets no_new_privs. Returns 0 or -errno.
 */
int sg_confine_capabilities(uint64_t kept, const char *profile, struct sg_error *error);

/*
 * The same, but the permitted and effective sets stay as they are until the next execve(2), at which the kernel makes them
 * `kept`: capabilities(7), with SECBIT_NOROOT and no_new_privs nothing but the ambient set passes.
 */
int sg_confine_capabilities_at_exec(uint64_t kept, const char *profile, struct sg_error *error);

enum { SG_CONFINE_SCOPES_ABI = 6 };

/*
 * Landlock's scopes (ABI 6, Linux 6.12): no signal to, and no abstract socket of, a process outside the world. Where the
 * kernel has no such scopes it does nothing: the PID and network namespaces bound both by themselves. Returns 0 or -errno.
 */
int sg_confine_scopes(struct sg_error *error);

enum { SG_CONFINE_FILES_ABI = 2 };

/*
 * Landlock's part for files (ABI 2, Linux 5.19), as a second bound behind the mount tree, of the same list: what a mount gives is
 * allowed below it, all else is not, by path and through every descriptor of a folder. The scopes come with it, in the same layer: a
 * layer of scopes alone, below one for files, refuses all links and renames from one folder to another (EXDEV; Linux 6.18), since what
 * a layer does not handle is denied in the case of LANDLOCK_ACCESS_FS_REFER. Called in the finished tree, with CAP_SYS_ADMIN over the
 * caller's user namespace or no_new_privs. It binds what the caller and its children do themselves; what the supervisor carries out for them is decided there.
 * Allocates nothing. Returns 0 or a negative errno value with context: then the command must not run.
 */
int sg_confine_files(const struct sg_mount *mounts, size_t count, struct sg_error *error);

/* The ABI version of Landlock, or 0 where there is none. */
int sg_confine_landlock_version(void);

/*
 * Whether a world started with this hard limit of core dumps gives none to a program of the host's: with `pattern` as core_pattern
 * (core(5)). NULL: it cannot be read. Pure.
 */
bool sg_confine_cores_hold(rlim_t hard, const char *pattern);

/*
 * That of this process and this host; raises the hard limit from 0 to 1 where the caller may. Returns 0, or -EPERM with what to do
 * about it: then no world may be started.
 */
int sg_confine_check_cores(struct sg_error *error);

/*
 * Installs a filter with a listener (WAIT_KILLABLE_RECV, Linux 5.19). The listener becomes the lowest free descriptor,
 * close-on-exec. Returns it, or a negative errno value.
 */
int sg_confine_filter(const struct sock_filter *filter, unsigned short length, struct sg_error *error);
