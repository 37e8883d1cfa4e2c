#include "world/written.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/fd.h"

enum { LIST_MAX = 4 << 20, LIST_LONG = 128 << 10 };

/* The name as the list has it. */
static void append_name(struct sg_buffer *out, const char *name)
{
	for (; *name != '\0'; name++) {
		const unsigned char byte = (unsigned char)*name;

		if (byte <= ' ' || byte == '\\' || byte == 0x7f)
			sg_buffer_printf(out, "\\%03o", byte);
		else
			sg_buffer_append_byte(out, *name);
	}
}

/* True if a line of the text is the name, or a folder above it. */
static bool text_holds(const char *text, const char *name)
{
	for (const char *line = text; *line != '\0';) {
		const size_t length = strcspn(line, "\n");

		if (length > 0 && strncmp(name, line, length) == 0 && (name[length] == '/' || name[length] == '\0'))
			return true;
		line += length + (line[length] == '\n');
	}
	return false;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Another user's list may be anything: it is not waited for, and not followed elsewhere. */
static int open_list(const char *path, struct stat *ret)
{
	SG_AUTO_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fstat(fd, ret) < 0)
		return -errno;
	return S_ISREG(ret->st_mode) ? sg_fd_take(&fd) : -EINVAL;
}

/* Returns 0 with the text of the list up to date, or a negative errno value; -ENOENT: there is none. */
static int refresh(struct sg_written *written, size_t index)
{
	struct stat status;
	SG_AUTO_FD int fd = -1;
	char *text;
	size_t size;
	int result;

	if (written->lists[index].text != NULL && stat(written->lists[index].path, &status) == 0 &&
	    is_same(&status, &written->lists[index].status))
		return 0;
	fd = open_list(written->lists[index].path, &status);
	if (fd < 0)
		return fd;
	result = sg_fd_read_file(fd, LIST_MAX, &text, &size);
	if (result < 0)
		return result;
	free(written->lists[index].text);
	written->lists[index].text = text;
	written->lists[index].size = size;
	written->lists[index].status = status;
	return 0;
}

bool sg_written_holds(struct sg_written *written, const char *name)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

	append_name(&text, name);
	if (sg_buffer_status(&text) < 0)
		return true;
	for (size_t i = 0; i < written->count; i++) {
		const int status = refresh(written, i);

		if (status == -ENOENT)
			continue;
		/* A NUL would end the text early: nobody has written one. */
		if (status < 0 || strlen(written->lists[i].text) != written->lists[i].size ||
		    text_holds(written->lists[i].text, text.data))
			return true;
	}
	return false;
}

void sg_written_done(struct sg_written *written)
{
	for (size_t i = 0; i < written->count; i++) {
		free(written->lists[i].text);
		written->lists[i].text = NULL;
	}
}

static int open_own(const char *path, mode_t mode)
{
	SG_AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_uid != geteuid())
		return -EPERM;
	if ((status.st_mode & 07777) != mode && fchmod(fd, mode) < 0) /* the umask, when it was made */
		return -errno;
	return sg_fd_take(&fd);
}

/* The lock is a file of its own that nobody else can open: a list may be one that all may read, and so could lock. */
static int lock_list(const char *path)
{
	SG_AUTO_BUFFER struct sg_buffer name = SG_BUFFER_INIT;
	SG_AUTO_FD int fd = -1;

	sg_buffer_printf(&name, "%s.lock", path);
	if (sg_buffer_status(&name) < 0)
		return -ENOMEM;
	fd = open_own(name.data, 0600);
	if (fd < 0)
		return fd;
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return -errno;
	return sg_fd_take(&fd);
}

/* Folders that are gone; a name with an escape is kept rather than looked up. */
static bool is_gone(const char *name)
{
	struct stat status;

	return strchr(name, '\\') == NULL && lstat(name, &status) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

/* Puts a list without what is gone in the place of a long one. */
static int shorten(const char *path, mode_t mode, char *text, const char *added)
{
	SG_AUTO_BUFFER struct sg_buffer kept = SG_BUFFER_INIT, name = SG_BUFFER_INIT;
	SG_AUTO_FD int fd = -1;
	char *rest = text;
	int status;

	for (char *line; (line = strsep(&rest, "\n")) != NULL;)
		if (line[0] != '\0' && !is_gone(line))
			sg_buffer_printf(&kept, "%s\n", line);
	sg_buffer_append_text(&kept, added);
	sg_buffer_printf(&name, "%s.new", path);
	if (sg_buffer_status(&kept) < 0 || sg_buffer_status(&name) < 0)
		return -ENOMEM;
	(void)unlink(name.data);
	fd = open_own(name.data, mode);
	status = fd < 0 ? fd : sg_fd_write_full(fd, kept.data, kept.size);
	if (status == 0 && rename(name.data, path) < 0)
		status = -errno;
	return status;
}

int sg_written_add(const char *path, mode_t mode, const char *folder)
{
	SG_AUTO_BUFFER struct sg_buffer line = SG_BUFFER_INIT;
	SG_AUTO_FREE char *text = NULL;
	SG_AUTO_FD int lock = lock_list(path), fd = -1;
	size_t size = 0;
	int status;

	if (lock < 0)
		return lock;
	fd = open_own(path, mode);
	if (fd < 0)
		return fd;
	append_name(&line, folder);
	status = sg_buffer_status(&line);
	if (status == 0)
		status = sg_fd_read_file(fd, LIST_MAX, &text, &size);
	if (status < 0 || text_holds(text, line.data))
		return status;
	/* A line that a full disk cut short is ended first, or ours would be the end of it. */
	if (size > 0 && text[size - 1] != '\n') {
		status = sg_fd_write_full(fd, "\n", 1);
		if (status < 0)
			return status;
	}
	sg_buffer_append_byte(&line, '\n');
	status = sg_buffer_status(&line);
	if (status < 0)
		return status;
	return size > LIST_LONG ? shorten(path, mode, text, line.data) : sg_fd_write_full(fd, line.data, line.size);
}
