/* Whether a text means what a document does. */
#pragma once

#include "profile/toml.h"

/*
 * Reads the text and compares it with `document`: the same keys in each table, in whatever order, and the same values. Returns 0,
 * -EBADMSG if it is another document or none, or a negative errno value.
 */
SG_MUST_USE int sg_format_check(const struct sg_toml_document *document, const char *text, size_t size);
