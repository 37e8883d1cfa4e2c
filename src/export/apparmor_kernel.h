/*
 * Profiles of AppArmor in the kernel: what is loaded, who is in one, and taking one away. By the files of securityfs; `kernel` is their
 * folder, SG_APPARMOR_KERNEL but for tests.
 */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "world/label.h"

#define SG_APPARMOR_KERNEL SG_LABEL_KERNEL

/* Calls `note` with the name and the mode ("enforce") of each profile that is loaded. Returns the first value other than 0, 0, or a negative errno value. */
int sg_apparmor_list(const char *kernel, int (*note)(void *data, const char *name, const char *mode), void *data);

/* 1: a profile of that name is loaded, and enforced. 0: it is not loaded. A negative errno value: neither is so, or it cannot be told. */
int sg_apparmor_is_loaded(const char *kernel, const char *name);

/* True if some thread that /proc shows is in the profile, or where that cannot be told. Reads all of /proc. */
bool sg_apparmor_is_used(const char *name);

/*
 * Takes a profile out of the kernel, which lets whatever is in it go on without one. Where threads are in it, it is refused: -EBUSY; in a
 * container, where that cannot be told: -EPERM.
 * Whoever calls sees to it that none enters it meanwhile. Returns 0; 1: it is not there; or a negative errno value, with context.
 */
int sg_apparmor_remove(const char *kernel, const char *name, struct sg_error *error);

/* Gives the kernel a compiled profile whose name no other has. Returns 0, -EEXIST, or another negative errno value. */
int sg_apparmor_give(const char *kernel, const void *compiled, size_t size);
