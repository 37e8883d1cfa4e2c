/*
 * File descriptors: ownership, whole reads and writes, passing them between our own processes.
 *
 * Every descriptor is close-on-exec from birth. close() is never retried (close(2): on Linux the descriptor is gone
 * even when EINTR is returned).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"

/* Closes `fd` if it is not negative; errno is kept. Returns -1, so that `fd = sg_fd_close(fd)` is the idiom. */
int sg_fd_close(int fd);

/*
 * Closes both, which must not be negative, and sets them to -1: by one call (close_range(2)) where their numbers follow each other.
 */
void sg_fd_close_two(int *a, int *b);

static inline void sg_fd_cleanup(int *fd)
{
	*fd = sg_fd_close(*fd);
}

/* `SG_AUTO_FD int fd = -1;`: closed when the scope ends. */
#define SG_AUTO_FD SG_CLEANUP(sg_fd_cleanup)

/* Returns the descriptor and sets the variable to -1, so that its cleanup does nothing. */
static inline int sg_fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/*
 * Reads until `size` bytes or the end. Blocks. EINTR is retried. Returns the bytes read (less than `size` only at the
 * end of the file) or a negative errno value.
 */
ssize_t sg_fd_read_full(int fd, void *buffer, size_t size);

/* Writes all `size` bytes. Blocks. EINTR is retried. Returns 0 or a negative errno value. */
int sg_fd_write_full(int fd, const void *buffer, size_t size);

/*
 * Reads a whole regular file (or the rest of one) of at most `limit` bytes. *ret_data is owned by the caller (free) and
 * has a NUL byte after its *ret_size bytes. Returns 0, -EFBIG when it is larger, or another negative errno value.
 */
int sg_fd_read_file(int fd, size_t limit, char **ret_data, size_t *ret_size);

enum { SG_FD_PASS_MAX = 16 };

/*
 * Sends `size` bytes (at least 1) and `count` descriptors (0..SG_FD_PASS_MAX) as one message on a SOCK_SEQPACKET
 * socket. The descriptors stay the caller's. MSG_NOSIGNAL. Returns 0 or a negative errno value.
 */
int sg_fd_send(int socket, const void *data, size_t size, const int *fds, size_t count);

/*
 * Receives one message. Descriptors are close-on-exec; their number must be at most `max`: a truncated or surplus
 * set is closed and answered -EPROTO (recvmsg(2), MSG_CTRUNC). *ret_count may be less than `max`. Blocks unless the
 * socket does not. Returns the size of the data, 0 at the end of the stream, or a negative errno value.
 */
ssize_t sg_fd_receive(int socket, void *data, size_t size, int *ret_fds, size_t max, size_t *ret_count);

/* Closes every descriptor from `first` up (close_range(2), Linux 5.9). Returns 0 or a negative errno value. */
int sg_fd_close_from(int first);

/* Moves `fd` to a number of at least `lowest`, close-on-exec; the old number is closed. Returns it, or -errno. */
int sg_fd_move_above(int fd, int lowest);

/*
 * Makes the file `name` hold exactly these bytes, all at once for whoever opens it: written beside it, synced, then renamed. An old
 * file's mode is kept, a new one has `mode` less the umask; a symbolic link is followed; what is no regular file (a terminal, a
 * pipe) is written as it is. Blocks. Returns 0 or a negative errno value, and then the old contents are still there.
 */
int sg_fd_replace_file(const char *name, const void *data, size_t size, mode_t mode);
