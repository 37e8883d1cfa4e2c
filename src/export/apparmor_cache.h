/* Compiled profiles of AppArmor, kept in a folder of the owner's alone: see apparmor_bound.h. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

enum { SG_APPARMOR_CACHE_MAX = 64 }; /* files; one more, and all are thrown away */

/*
 * Appends the profile `text` as the kernel takes it. `fresh`: compiles it in any case. Without a folder that could be made, or is
 * ours alone, nothing is kept. Blocks for as long as the compiler takes, two minutes at most. Returns 0; or a negative errno value
 * with context, and what the compiler said.
 */
SG_MUST_USE int sg_apparmor_compile(const char *folder, const struct sg_buffer *text, bool fresh, struct sg_buffer *out,
				    struct sg_error *error);

/* Opens a folder, making it and those above it; it belongs to the caller, and is closed to others. A descriptor or a negative errno value. */
int sg_apparmor_open_folder(const char *path);

enum { SG_APPARMOR_CACHE_NAME_SIZE = 65 }; /* with the NUL */

/* The name of a text's file in the cache, for this kernel and that compiler; "" without memory. */
void sg_apparmor_cache_name(const struct sg_buffer *text, const char *parser, char name[SG_APPARMOR_CACHE_NAME_SIZE]);

/* Appends what was kept under the name, whole as it was written. 0, -EILSEQ (it is damaged), or another negative errno value. */
int sg_apparmor_cache_read(int folder, const char *name, struct sg_buffer *out);

/* Keeps it, if it can: in the place of what was there, all at once. */
void sg_apparmor_cache_write(int folder, const char *name, const struct sg_buffer *compiled);
