/*
 * A policy in plain words. Nothing here prints: the text is appended to a buffer, one paragraph or entry a
 * line, unwrapped; an entry's left side and its explanation are separated by a tab (cli/layout.h makes
 * columns of it). Everything that comes from a profile is escaped. A failed allocation shows in the buffer.
 */
#pragma once

#include "base/buffer.h"
#include "policy/policy.h"

/* Name, description and the profiles it is made of, with `whole` by their whole names. */
void sg_explain_title(const struct sg_policy *policy, bool whole, struct sg_buffer *out);

/* What may be read, written and executed; what is refused, hidden and recorded. */
void sg_explain_files(const struct sg_policy *policy, struct sg_buffer *out);

/* What may be connected to and listened on. */
void sg_explain_network(const struct sg_policy *policy, struct sg_buffer *out);

/* Flags with their descriptions, system calls and capabilities named or refused. */
void sg_explain_flags(const struct sg_policy *policy, struct sg_buffer *out);

/* Labels, walls, and what the broker may do; nothing where there are none. */
void sg_explain_labels(const struct sg_policy *policy, struct sg_buffer *out);

/* Limits, environment, working directory, user. `passed`: names that pass always, NULL-terminated
 * (world/environment.h). */
void sg_explain_process(const struct sg_policy *policy, const char *const *passed, struct sg_buffer *out);

/* Where rules meet: denials that take away from what is allowed, ReadOnly beside ReadWrite, flags granted and
 * denied. */
void sg_explain_overlaps(const struct sg_policy *policy, struct sg_buffer *out);

/* The folders whose names and stat data wildcards show. */
void sg_explain_folders(const struct sg_policy *policy, struct sg_buffer *out);

/* Calls `each` for every such folder and the rule that shows it, until it returns other than 0, which is returned. */
int sg_explain_each_folder(const struct sg_policy *policy,
			   int (*each)(void *context, const char *folder, const struct sg_rule *rule), void *context);

/*
 * All of it on a screen or two: rows of names, grouped by what they are for, long ones cut to a number; what the flags grant by
 * name; what is refused and recorded; its limits where the profile sets them. Title and plan not included.
 */
void sg_explain_short(const struct sg_policy *policy, struct sg_buffer *out);

/*
 * The calls of OpenBSD that the comments of the profile's flags name, and what they are in Linux; with `whole` also those that the
 * comments of the flags' definitions name.
 */
void sg_explain_openbsd(const struct sg_policy *policy, bool whole, struct sg_buffer *out);

/* A limit's value as a person writes it ("2GiB", "1h", "256"). */
void sg_explain_limit_value(enum sg_limit_unit unit, uint64_t value, struct sg_buffer *out);
