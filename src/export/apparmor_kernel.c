#include "export/apparmor_kernel.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/folder.h"

enum { LIST_MAX = 16 * 1024 * 1024, PATH_SIZE = 256 };

/* A file of the folder. Returns a descriptor or a negative errno value. */
static int open_file(const char *kernel, const char *name, int flags)
{
	char path[PATH_SIZE];
	const int length = snprintf(path, sizeof(path), "%s/%s", kernel, name);
	int fd;

	if (length < 0 || (size_t)length >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sg_apparmor_list(const char *kernel, int (*note)(void *data, const char *name, const char *mode), void *data)
{
	SG_AUTO_FD int fd = open_file(kernel, "profiles", O_RDONLY);
	SG_AUTO_FREE char *list = NULL;
	int status = fd;
	size_t size;
	char *rest;

	if (fd >= 0)
		status = sg_fd_read_file(fd, LIST_MAX, &list, &size);
	if (status < 0)
		return status;
	status = 0;
	rest = list;
	for (char *line = strsep(&rest, "\n"); line != NULL && status == 0; line = strsep(&rest, "\n")) {
		char *mode = strrchr(line, ' '), *end; /* "name (enforce)" */

		if (mode == NULL || mode[1] != '(')
			continue;
		end = strchr(mode, ')');
		if (end == NULL)
			continue;
		*mode = *end = '\0';
		status = note(data, line, mode + 2);
	}
	return status;
}

enum { FOUND = 1, OTHERWISE = 2 };

static int compare_name(void *data, const char *name, const char *mode)
{
	if (strcmp(name, data) != 0)
		return 0;
	return strcmp(mode, "enforce") == 0 ? FOUND : OTHERWISE;
}

int sg_apparmor_is_loaded(const char *kernel, const char *name)
{
	const int status = sg_apparmor_list(kernel, compare_name, (void *)(uintptr_t)name);

	return status == OTHERWISE ? -EPERM : status;
}

/* --- who is in one --- */

/* The next entry that is a number, or NULL. */
static const char *next_number(DIR *folder)
{
	const struct dirent *entry;

	while (folder != NULL && (entry = readdir(folder)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]))
			return entry->d_name;
	return NULL;
}

/* A label is a name, or several with "//&" between, and then a mode. */
static bool is_in_label(const char *label, const char *name)
{
	const size_t length = strlen(name);

	for (const char *at = strstr(label, name); at != NULL; at = strstr(at + 1, name))
		if ((at == label || at[-1] == '&') && (at[length] == '\0' || strchr(" \n/", at[length]) != NULL))
			return true;
	return false;
}

static bool is_thread_in(const char *process, const char *thread, const char *name)
{
	char path[128], label[4096];
	SG_AUTO_FD int fd = -1;
	ssize_t length;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/task/%.16s/attr/current", process, thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd >= 0 ? read(fd, label, sizeof(label) - 1) : -1;
	if (length < 0)
		return false; /* it has ended */
	label[length] = '\0';
	return is_in_label(label, name);
}

bool sg_apparmor_is_used(const char *name)
{
	SG_AUTO_FOLDER DIR *processes = opendir("/proc");
	const char *process, *thread;

	if (processes == NULL)
		return true;
	while ((process = next_number(processes)) != NULL) {
		SG_AUTO_FOLDER DIR *threads = NULL;
		char path[64];

		(void)snprintf(path, sizeof(path), "/proc/%.16s/task", process);
		threads = opendir(path);
		while ((thread = next_number(threads)) != NULL)
			if (is_thread_in(process, thread, name))
				return true;
	}
	return false;
}

/* --- loading --- */

int sg_apparmor_remove(const char *kernel, const char *name, struct sg_error *error)
{
	SG_AUTO_FD int fd = -1;
	int status;

	/* The kernel has one set of profiles for all; but who is in one only /proc of the first PID namespace says. */
	if (strcmp(kernel, SG_APPARMOR_KERNEL) == 0 && !sg_label_sees_all())
		return sg_error_set(error, -EPERM,
				    "whether the AppArmor profile %s is in use shows outside of this container only",
				    name);
	if (sg_apparmor_is_used(name))
		return sg_error_set(error, -EBUSY,
				    "programs run in the AppArmor profile %s: they would go on without it", name);
	fd = open_file(kernel, ".remove", O_WRONLY);
	if (fd < 0)
		return sg_error_set_errno(error, fd, "%s/.remove", kernel);
	status = sg_fd_write_full(fd, name, strlen(name));
	if (status == -ENOENT)
		return 1;
	return status < 0 ? sg_error_set_errno(error, status, "taking the profile %s out of the kernel", name) : 0;
}

int sg_apparmor_give(const char *kernel, const void *compiled, size_t size)
{
	SG_AUTO_FD int fd = open_file(kernel, ".load", O_WRONLY);
	ssize_t written;

	if (fd < 0)
		return fd;
	/* One write: the kernel takes no profile in pieces. */
	written = write(fd, compiled, size);
	if (written < 0)
		return -errno;
	return (size_t)written == size ? 0 : -EIO;
}
