/* The profile of a watched run: what may be used while it is found out what is used. */
#pragma once

#include "base/buffer.h"
#include "policy/policy.h"

/* The name of that profile, in messages. */
#define SG_LEARN_WORLD "learn"

/*
 * Appends its text. Everything that the caller may read may be read, all programs run, any address connected to and listened on, and
 * every flag is given whose calls are a world's own business. Written may be the working directory (unless that is the root, the
 * home or a folder above it) and the folders for temporary files. Without `secrets` the secrets of the built-in list are denied.
 */
void sg_learn_world(const struct sg_variables *variables, bool secrets, struct sg_buffer *out);
