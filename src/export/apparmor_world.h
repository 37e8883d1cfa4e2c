/*
 * The profile of AppArmor that a session's world runs in: its second bound, beside the mount tree, the filter and the supervisor.
 *
 * What an adversary inside has to get past without it: for names, the mount tree and the supervisor; for sockets, capabilities,
 * tracing and signals, the namespaces and the filter. Should one of those fail (a fault of ours, or of the kernel's), this holds by
 * itself: every process of the world is in it before it runs any code of the world, a child is where its parent is, every program
 * that may be executed stays in it, and it has no rule by which it could be left.
 *
 * It must never be the first to refuse. AppArmor decides as a session does, on the name that the kernel arrives at in the world's
 * own mount tree, a directory's ending in '/', and a deny wins. So the rules for files are those of the policy, with what links of
 * this host make of them (struct sg_plan_alias), and then what every world has of its own by the plan's mounts: the folders of the
 * skeleton, devices, /proc, terminals, private folders. It is wider than the policy in:
 *
 *   mapping as code   what lies on a mount with code may be mapped, as the mount lets it
 *   the world's own   all below a file system of its own; a rule that refuses in it stands over that
 *   attributes        of a folder that is given with all below it, where changes run natively
 *   locks, links      permissions of their own in AppArmor, in a session the filter's
 *   unix sockets      all: names of them, and who is behind one, are the supervisor's to decide
 *   descriptors       what the supervisor, which is in no profile, has opened is the world's to use: AppArmor asks whoever opened
 *                     a file, not who holds it. So what is decided at each opening is not decided a second time here
 *
 * What has no name in the tree is named as if its file system were mounted at "/" (attach_disconnected), and what was deleted as it
 * was before (mediate_deleted): else fstat(2) of a file that somebody passed in over a socket would fail, and O_TMPFILE.
 */
#pragma once

#include "export/apparmor_files.h"
#include "world/plan.h"

enum { SG_APPARMOR_WORLD_NAME_SIZE = 64 }; /* with the NUL */

/* All names of such profiles begin so; none of sg_apparmor_name() does. */
#define SG_APPARMOR_WORLD_PREFIX "shellguard.run."

/*
 * Appends the profile's text, and writes its name, which is a hash of all else in it: the same world has the same profile, whoever
 * starts it, and another one never has. Looks at no host. Returns 0; 1 with *ret_rule, if AppArmor's language cannot hold that rule of
 * the policy (nothing was appended); or a negative errno value.
 */
SG_MUST_USE int sg_apparmor_world_write(const struct sg_plan *plan, char name[SG_APPARMOR_WORLD_NAME_SIZE],
					struct sg_buffer *out, const struct sg_rule **ret_rule);

/* Adds what the world has by the plan's mounts. Returns 0 or a negative errno value. */
SG_MUST_USE int sg_apparmor_world_add(const struct sg_plan *plan, struct sg_apparmor_files *files);
