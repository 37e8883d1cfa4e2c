/* The seccomp part of OCI, for artefacts that hold one; and what artefacts in JSON share. */
#pragma once

#include <jansson.h>

#include "export/export.h"

/* The `linux.seccomp` of OCI for the policy: a new reference, or NULL (no memory, or a filter that cannot be made). */
json_t *sg_seccomp_json(const struct sg_policy *policy);

/* Sets the key "x-shellguard" of an object: the header with the matrix, an array of lines. Readers of OCI skip it. 0 or -ENOMEM. */
int sg_export_add_matrix(const struct sg_export *with, json_t *to);

/* Appends `json` (taken over; NULL is -ENOMEM) with the matrix in it. Returns 0 or a negative errno value with context. */
int sg_export_append_json(const struct sg_export *with, json_t *json, struct sg_buffer *out, struct sg_error *error);

/* How the filter holds a rule that refuses system calls, or (rule NULL) the calls that no flag gives (static_filter.h). */
struct sg_hold sg_seccomp_judge_calls(const struct sg_policy *policy, const struct sg_rule *rule);
