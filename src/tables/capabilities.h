/* The capabilities of Linux by name. */
#pragma once

#include <stddef.h>

/* Names in the order of their numbers (capabilities(7)), with the prefix CAP_. */
extern const char *const sg_capability_names[];
extern const size_t sg_capability_count;

/* The number of a capability, with or without "CAP_", in any case; -1 if there is none of that name. */
int sg_capability_find(const char *name);
