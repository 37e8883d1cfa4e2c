#include "base/memory.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Whether memory is one's own mapping goes by its size alone, so that freeing knows it too. */
enum {
	LAZY = 1 << 20,   /* bytes from which on lazy memory is a mapping */
	WORTH = 4 << 20,  /* bytes from which on it pays */
	MOST = 512 << 20, /* bytes that are taken at once at most: it is address space, not memory */
	PIECE = 32 << 20, /* an allocation from which on it has a mapping of its own (the largest that glibc takes) */
	HUGE_PAGE_SIZE = 2 << 20,
	USUAL_PAD = 128 << 10, /* glibc's own */
};

void sg_memory_expect(size_t bytes)
{
	const uintptr_t start = ((uintptr_t)sbrk(0) + HUGE_PAGE_SIZE - 1) & ~(uintptr_t)(HUGE_PAGE_SIZE - 1);
	uintptr_t end;
	void *volatile piece; /* the compiler must not see that nothing is done with it */

	if (bytes < WORTH)
		return;
	bytes = bytes > MOST ? MOST : bytes;
	(void)mallopt(M_MMAP_THRESHOLD, PIECE);
	(void)mallopt(M_TRIM_THRESHOLD, MOST);
	(void)mallopt(M_TOP_PAD, (int)bytes);
	piece = malloc(HUGE_PAGE_SIZE); /* more than is left: the heap's end moves */
	free(piece);
	(void)mallopt(M_TOP_PAD, USUAL_PAD);
	end = (uintptr_t)sbrk(0);
	if (end > start)
		(void)madvise((void *)start, end - start, MADV_HUGEPAGE);
}

void *sg_memory_lazy_new(size_t size)
{
	void *memory;

	if (size < LAZY)
		return calloc(1, size);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

void sg_memory_lazy_free(void *memory, size_t size)
{
	if (size < LAZY)
		free(memory);
	else if (memory != NULL)
		(void)munmap(memory, size);
}
