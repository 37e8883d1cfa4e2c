/* How the process's heap grows when much is to be put into it at once. */
#pragma once

#include <stddef.h>

/*
 * Says that about `bytes` of heap are going to be used, in many pieces. From 4 MiB up the heap grows at once instead of page by page,
 * with huge pages where the kernel gives them to who asks (madvise(2), MADV_HUGEPAGE), and freed pieces are kept for the next: on a
 * virtual machine the first touch of a page can cost more than all that is done with it. Below that nothing happens. It only makes
 * things faster: what cannot be had is done without. Not for use by two threads at a time.
 */
void sg_memory_expect(size_t bytes);

/*
 * Zeroed memory of `size` bytes (not 0), of which what is never touched takes nothing, however the heap is set up. Returns it, to be
 * given to sg_memory_lazy_free with the same size, or NULL. Freeing NULL is fine.
 */
void *sg_memory_lazy_new(size_t size);
void sg_memory_lazy_free(void *memory, size_t size);
