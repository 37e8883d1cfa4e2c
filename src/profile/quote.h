/* Texts of profiles, written. */
#pragma once

#include "base/buffer.h"

/* Appends a TOML basic string with its quotes. */
void sg_toml_quote(struct sg_buffer *out, const char *text);
