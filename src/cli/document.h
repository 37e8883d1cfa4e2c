/* The documents that come from the tables: manual pages, completions, tables for docs/. */
#pragma once

#include "base/buffer.h"
#include "policy/policy.h"

/* Appends text for roff: backslashes, minus signs and a control character at a line's start made plain. */
void sg_roff_append(struct sg_buffer *out, const char *text);

/* Appends the manual page of profiles, shellguard-profile(5). `flags` is a policy that holds the built-in
 * flags. */
void sg_document_profile(const struct sg_policy *flags, struct sg_buffer *out);

/* Append the built-in flags, and the keys of a profile, as Markdown. */
void sg_document_flags(const struct sg_policy *flags, struct sg_buffer *out);
void sg_document_keys(struct sg_buffer *out);

/* Appends the JSON Schema of a profile. */
void sg_document_schema(struct sg_buffer *out);

/* What a key says, and what a section is about (plain text, static). */
const char *sg_document_describe(const struct sg_key_info *key);
const char *sg_document_section(int section);

/* Append the completions of a shell. */
void sg_complete_bash(struct sg_buffer *out);
void sg_complete_zsh(struct sg_buffer *out);
void sg_complete_fish(struct sg_buffer *out);

/* A policy that holds the built-in flags and nothing else, the caller's; NULL after complaining. */
struct sg_policy *sg_load_flags(void);
