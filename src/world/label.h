/*
 * AppArmor as a second bound of a world: whether this kernel and this caller can have it, and the step by which a process enters
 * a profile. What the profile says, and how it comes into the kernel, is the exporters' (export/apparmor_world.h, apparmor_bound.h).
 *
 * The kernel gives a process a profile by its own wish (aa_change_profile(2)): who is in none may enter any, also in a user namespace
 * and without a capability, until no_new_privs is set. A child is where its parent is, and an execution stays where the profile
 * says. So each process of ours that is to be, or to start, one of the world's enters by itself while it still runs our code, just before
 * it sets no_new_privs; and looks whether it is there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

/* Where a kernel shows what it needs to be asked; for tests. NULL: the kernel's own. */
#define SG_LABEL_KERNEL "/sys/kernel/security/apparmor"

/* Folders of the system that apparmor_parser(8) is looked for in: the environment's PATH is whoever calls'. */
#define SG_LABEL_PARSER "apparmor_parser"

/*
 * Whether worlds that this process starts can be put into a profile: AppArmor is active and enforces, we are root in the first user and PID
 * namespaces with CAP_MAC_ADMIN and in no profile ourselves, it does not ask about the peers of unix sockets, profiles can be loaded, and the compiler is there, root's alone to
 * change. Returns true; or false with the reason appended, a part of a sentence. Reads a few files.
 */
bool sg_label_find(struct sg_buffer *reason);

/* The compiler's path in `path`, or false with the reason appended. It belongs to root, as do the folders above it, and has its table of features. */
bool sg_label_find_parser(char *path, size_t size, struct sg_buffer *reason);

/*
 * True in the first PID and user namespaces, where /proc shows every process of the host: elsewhere nobody can tell whether a profile is in
 * use, since the kernel has one set of them for all.
 */
bool sg_label_sees_all(void);

/*
 * Enters the profile of that name, for good, and makes sure of it. To be called by a process with one thread, of which nothing else
 * is in that memory that may not, in a tree with a /proc that shows it, before no_new_privs. Allocates nothing. Returns 0 or a negative
 * errno value with context: then no code of the world may run in it.
 */
SG_MUST_USE int sg_label_enter(const char *profile, struct sg_error *error);
