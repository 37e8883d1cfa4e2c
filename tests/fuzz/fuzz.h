/* What libFuzzer, or replay.c, calls. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Does with the input what the target tests; aborts where a promise is broken. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
