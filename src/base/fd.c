#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int sg_fd_close(int fd)
{
	int saved = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = saved;
	return -1;
}

void sg_fd_close_two(int *a, int *b)
{
	const int low = *a < *b ? *a : *b, high = *a < *b ? *b : *a, saved = errno;

	if (high != low + 1 || close_range((unsigned int)low, (unsigned int)high, 0) < 0) {
		(void)close(low);
		(void)close(high);
	}
	errno = saved;
	*a = *b = -1;
}

ssize_t sg_fd_read_full(int fd, void *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t count = read(fd, (char *)buffer + done, size - done);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (count == 0)
			break;
		done += (size_t)count;
	}
	return (ssize_t)done;
}

int sg_fd_write_full(int fd, const void *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t count = write(fd, (const char *)buffer + done, size - done);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		done += (size_t)count;
	}
	return 0;
}

int sg_fd_read_file(int fd, size_t limit, char **ret_data, size_t *ret_size)
{
	SG_AUTO_FREE char *data = NULL;
	size_t capacity = 0, used = 0;
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (status.st_size > 0 && (size_t)status.st_size > limit)
		return -EFBIG;
	capacity = status.st_size > 0 ? (size_t)status.st_size + 2 : 4096;
	for (;;) {
		char *grown = realloc(data, capacity);
		ssize_t count;

		if (grown == NULL)
			return -ENOMEM;
		data = grown;
		count = sg_fd_read_full(fd, data + used, capacity - 1 - used);
		if (count < 0)
			return (int)count;
		used += (size_t)count;
		if (used > limit)
			return -EFBIG;
		if (used < capacity - 1)
			break;
		capacity *= 2;
	}
	data[used] = '\0';
	*ret_data = sg_take_pointer(data);
	*ret_size = used;
	return 0;
}

int sg_fd_send(int socket, const void *data, size_t size, const int *fds, size_t count)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * SG_FD_PASS_MAX)];
	} control = {0};
	struct iovec vector = {.iov_base = (void *)(size_t)data, .iov_len = size};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

	if (count > SG_FD_PASS_MAX || size == 0)
		return -EINVAL;
	if (count > 0) {
		struct cmsghdr *header;

		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
	}
	for (;;) {
		if (sendmsg(socket, &message, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

ssize_t sg_fd_receive(int socket, void *data, size_t size, int *ret_fds, size_t max, size_t *ret_count)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * SG_FD_PASS_MAX)];
	} control = {0};
	struct iovec vector = {.iov_base = data, .iov_len = size};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control.space,
				 .msg_controllen = sizeof(control.space)};
	int received[SG_FD_PASS_MAX];
	size_t count = 0;
	ssize_t length;

	do {
		length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	} while (length < 0 && errno == EINTR);
	if (length < 0)
		return -errno;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
		size_t here;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < here && count < SG_FD_PASS_MAX; i++)
			memcpy(&received[count++], CMSG_DATA(header) + i * sizeof(int), sizeof(int));
	}
	if ((message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0 || count > max) {
		for (size_t i = 0; i < count; i++)
			sg_fd_close(received[i]);
		return -EPROTO;
	}
	if (count > 0) /* without any, ret_fds may be NULL */
		memcpy(ret_fds, received, count * sizeof(int));
	if (ret_count != NULL)
		*ret_count = count;
	return length;
}

int sg_fd_close_from(int first)
{
	return close_range((unsigned int)first, UINT_MAX, 0) < 0 ? -errno : 0;
}

int sg_fd_move_above(int fd, int lowest)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, lowest);

	if (moved < 0)
		return -errno;
	sg_fd_close(fd);
	return moved;
}

/* Writes beside `name` and renames. */
static int replace(const char *name, const void *data, size_t size, mode_t mode)
{
	SG_AUTO_FREE char *beside = NULL;
	SG_AUTO_FD int fd = -1;
	int r;

	if (asprintf(&beside, "%s.XXXXXX", name) < 0) {
		beside = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = sg_fd_write_full(fd, data, size);
	if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(beside, name) < 0))
		r = -errno;
	if (r < 0)
		(void)unlink(beside);
	return r;
}

int sg_fd_replace_file(const char *name, const void *data, size_t size, mode_t mode)
{
	/* The kernel follows a link here or refuses to (fs.protected_symlinks), which realpath(3) would not ask it. */
	SG_AUTO_FD int there = open(name, O_PATH | O_CLOEXEC);
	SG_AUTO_FREE char *real = NULL;
	char path[32];
	struct stat st;
	mode_t mask;

	if (there < 0 && errno == ENOENT) {
		mask = umask(0);
		(void)umask(mask);
		return replace(name, data, size, mode & ~mask);
	}
	if (there < 0 || fstat(there, &st) < 0)
		return -errno;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", there);
	if (!S_ISREG(st.st_mode)) {
		SG_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

		return fd < 0 ? -errno : sg_fd_write_full(fd, data, size);
	}
	real = realpath(path, NULL);
	return real == NULL ? -errno : replace(real, data, size, st.st_mode & 07777);
}
