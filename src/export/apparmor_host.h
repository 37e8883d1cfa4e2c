/*
 * Profiles of AppArmor on this host: loaded for good, and taken away.
 *
 * A profile lies in /etc/apparmor.d, from where the host loads it when it starts, and in the kernel. It is given to the kernel first,
 * which says whether it is one, and then put into the folder by one rename: an end in between leaves a profile in the kernel that no
 * program is in and no file is of, and the next load or unload takes it away.
 *
 * The kernel lets the processes of a profile that is removed go on without one: a profile in use is not taken away, and one that somebody could
 * enter meanwhile allows nothing by then. (What is left: a process that enters it by its own wish in the microseconds between the last look and the
 * removal, and that executes nothing and opens nothing until it is over.)
 */
#pragma once

#include "export/export.h"

/*
 * Appends the name in AppArmor of the profile of that name: "shellguard-" and the name; bytes that mean something in names and patterns
 * of AppArmor are written %hh, so that no two come to one. A long one ends in a hash.
 */
void sg_apparmor_name(const char *name, struct sg_buffer *out);

/* The may_load, load and unload of struct sg_exporter. The last two take root, and wait for others of their kind. */
int sg_apparmor_may_load(struct sg_error *error);
int sg_apparmor_load(const struct sg_export *with, const struct sg_buffer *artefact, struct sg_error *error);
int sg_apparmor_unload(const char *name, struct sg_error *error);

/* Calls `note` for each profile of ours that is loaded for good, with whether its file is there: else a load or an unload was cut short. */
void sg_apparmor_host_list(void (*note)(void *data, const char *name, bool whole), void *data);

/*
 * Appends refusals, as lines of the profile, for what links of this host make of the refused names: AppArmor decides on where links
 * lead. Returns 0 or a negative errno value.
 */
int sg_apparmor_add_host_names(const struct sg_export *with, struct sg_buffer *out);
