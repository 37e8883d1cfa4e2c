#include "audit/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "audit/record.h"
#include "base/clock.h"
#include "base/fd.h"

enum { CONTROL_SIZE = 4096 };

_Static_assert(sizeof(struct sg_ring_control) <= CONTROL_SIZE, "the control words fit in their page");
_Static_assert(offsetof(struct sg_ring_control, tail) == 64, "the reader's words have a cache line of their own");
_Static_assert(offsetof(struct sg_ring_control, head) == 128, "the writer's words have a cache line of their own");
_Static_assert(FUTEX_OWNER_DIED == 0x40000000, "sg_ring_orphaned() tests this bit");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "atomics in shared memory take no lock");

/* Reserves address space for the control page and twice the data, then maps the file's pages into it. */
static int map(int fd, size_t size, struct sg_ring *ret_ring)
{
	size_t whole = CONTROL_SIZE + 2 * size;
	unsigned char *base = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const int shown = PROT_READ | PROT_WRITE;
	int result;

	if (base == MAP_FAILED)
		return -errno;
	if (mmap(base, CONTROL_SIZE + size, shown, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
	    mmap(base + CONTROL_SIZE + size, size, shown, MAP_SHARED | MAP_FIXED, fd, CONTROL_SIZE) == MAP_FAILED ||
	    madvise(base, whole, MADV_DONTDUMP) < 0) {
		result = -errno;
		(void)munmap(base, whole);
		return result;
	}
	*ret_ring = (struct sg_ring){
		.control = (struct sg_ring_control *)(void *)base, .data = base + CONTROL_SIZE, .size = size};
	return 0;
}

int sg_ring_create(size_t size, struct sg_ring *ret_ring, struct sg_error *error)
{
	SG_AUTO_FD int fd = -1;
	size_t whole;
	int result;

	if (size < 2 * (size_t)SG_RECORD_BOUND || (size & (size - 1)) != 0 || size > (size_t)1 << 30 ||
	    __builtin_add_overflow(size, CONTROL_SIZE, &whole) || sysconf(_SC_PAGESIZE) != CONTROL_SIZE)
		return sg_error_set(error, -EINVAL, "audit ring of %zu bytes: not a power of two from %d to 2^30", size,
				    2 * SG_RECORD_BOUND);
	fd = memfd_create("sg-audit-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return sg_error_set_errno(error, -errno, "memfd for the audit ring");
	/* fallocate: an allocation that fails later would be a SIGBUS in the supervisor. */
	if (ftruncate(fd, (off_t)whole) < 0 || fallocate(fd, 0, 0, (off_t)whole) < 0)
		return sg_error_set_errno(error, -errno, "%zu bytes for the audit ring", whole);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return sg_error_set_errno(error, -errno, "seal the audit ring");
	result = map(fd, size, ret_ring);
	if (result < 0)
		return sg_error_set_errno(error, result, "map the audit ring");
	ret_ring->control->magic = SG_RING_MAGIC;
	ret_ring->control->size = size;
	return 0;
}

void sg_ring_done(struct sg_ring *ring)
{
	if (ring->control != NULL)
		(void)munmap(ring->control, CONTROL_SIZE + 2 * (size_t)ring->size);
	*ring = (struct sg_ring){0};
}

int sg_ring_keep_from_children(struct sg_ring *ring)
{
	return madvise(ring->control, CONTROL_SIZE + 2 * (size_t)ring->size, MADV_DONTFORK) < 0 ? -errno : 0;
}

long sg_ring_read(const struct sg_ring *ring, uint64_t position, uint64_t head, void *out, size_t capacity)
{
	uint64_t filled = head - position;
	const unsigned char *at;
	uint32_t size;

	if (filled == 0)
		return 0;
	if (filled > ring->size || (position & 7) != 0 || filled < sizeof(struct sg_record_header))
		return -EBADMSG;
	at = sg_ring_at(ring, position);
	/* Read once: what is checked here is what is used, whatever the shared page says afterwards. */
	size = __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_RELAXED);
	if (size < sizeof(struct sg_record_header) || (size & 7) != 0 || size > filled || size > capacity)
		return -EBADMSG;
	memcpy(out, at, size);
	memcpy(out, &size, sizeof(size));
	return (long)size;
}

int sg_ring_own(struct sg_ring *ring)
{
	/*
	 * The kernel walks the list when the thread ends and looks at the word `futex_offset` away from each
	 * entry. The entry stands in our own memory, the word in the ring, so that no pointer of ours is ever
	 * read from shared memory.
	 */
	static struct robust_list entry;
	static struct robust_list_head list;

	entry.next = &list.list;
	list.list.next = &entry;
	list.list_op_pending = NULL;
	list.futex_offset = (long)((uintptr_t)&ring->control->owner - (uintptr_t)&entry);
	atomic_store(&ring->control->owner, (uint32_t)syscall(SYS_gettid));
	return syscall(SYS_set_robust_list, &list, sizeof(list)) < 0 ? -errno : 0;
}

int sg_ring_wait(_Atomic uint32_t *word, uint32_t value, uint64_t nanoseconds)
{
	struct timespec timeout = {.tv_sec = (time_t)(nanoseconds / 1000000000),
				   .tv_nsec = (long)(nanoseconds % 1000000000)};

	if (syscall(SYS_futex, word, FUTEX_WAIT, value, &timeout, NULL, 0) < 0 && errno == ETIMEDOUT)
		return -ETIMEDOUT;
	return 0;
}

void sg_ring_wake(_Atomic uint32_t *word)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

uint64_t sg_ring_now(void)
{
	return sg_now_ns();
}
