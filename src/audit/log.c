#include "audit/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/buffer.h"
#include "base/fd.h"
#include "base/folder.h"

enum { SESSIONS_MAX = 100000, TAIL_SIZE = 64 * 1024 };

static const char suffix[] = ".jsonl";
static const char id_form[] = "dddddddd*dddddd*-xxxxxx"; /* d: digit, x: hexadecimal digit; * is T, then Z */

int sg_log_new_session(char id[static SG_LOG_SESSION_SIZE])
{
	unsigned char noise[3];
	struct tm broken;
	time_t now = time(NULL);
	size_t used;

	if (getrandom(noise, sizeof(noise), 0) != (ssize_t)sizeof(noise))
		return -EIO;
	if (gmtime_r(&now, &broken) == NULL)
		return -EOVERFLOW;
	used = strftime(id, SG_LOG_SESSION_SIZE, "%Y%m%dT%H%M%SZ", &broken);
	if (used != 16)
		return -EOVERFLOW;
	(void)snprintf(id + used, SG_LOG_SESSION_SIZE - used, "-%02x%02x%02x", noise[0], noise[1], noise[2]);
	return 0;
}

/* True if `name` is a session id followed by ".jsonl". */
static bool is_log_name(const char *name)
{
	const size_t length = sizeof(id_form) - 1;

	if (strlen(name) != length + sizeof(suffix) - 1 || strcmp(name + length, suffix) != 0 || name[8] != 'T' ||
	    name[15] != 'Z')
		return false;
	for (size_t i = 0; i < length; i++) {
		bool digit = name[i] >= '0' && name[i] <= '9';
		bool hexadecimal = digit || (name[i] >= 'a' && name[i] <= 'f');

		if ((id_form[i] == 'd' && !digit) || (id_form[i] == 'x' && !hexadecimal) ||
		    (id_form[i] == '-' && name[i] != '-'))
			return false;
	}
	return true;
}

/* True for the 0 whom this host's own files belong to, and not for the 0 of a user's own namespace (unshare -r). */
static bool is_root_here(void)
{
	struct stat status;

	return geteuid() == 0 && (stat("/var/log", &status) < 0 || status.st_uid == 0);
}

int sg_log_folder(char **ret_folder, struct sg_error *error)
{
	SG_AUTO_BUFFER struct sg_buffer folder = SG_BUFFER_INIT;
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *taken;

	if (is_root_here())
		sg_buffer_append_text(&folder, "/var/log/shellguard/sessions");
	else if (state != NULL && state[0] == '/')
		sg_buffer_printf(&folder, "%s/shellguard/sessions", state);
	else if (home != NULL && home[0] == '/')
		sg_buffer_printf(&folder, "%s/.local/state/shellguard/sessions", home);
	else
		return sg_error_set(error, -ENOENT,
				    "no folder for the log: neither XDG_STATE_HOME nor HOME is an absolute path");
	taken = sg_buffer_take(&folder);
	if (taken == NULL)
		return sg_error_set_errno(error, -ENOMEM, "the folder of the log");
	*ret_folder = taken;
	return 0;
}

/* Makes the folder and those above it, 0700 each. The kernel's look-up follows symlinks above it, not the
 * last one. */
static int make_folder(const char *folder, int *ret_fd, struct sg_error *error)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): set wherever it was not refused before */
	SG_AUTO_FREE char *path = strdup(folder);
	SG_AUTO_FD int fd = -1;
	struct stat status;

	if (path == NULL)
		return sg_error_set_errno(error, -ENOMEM, "the folder of the log");
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash != NULL)
			*slash = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return sg_error_set_errno(error, -errno, "make %s", path);
		if (slash == NULL)
			break;
		*slash = '/';
	}
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		return sg_error_set_errno(error, -errno, "open %s", folder);
	if (status.st_uid != geteuid() || (status.st_mode & 022) != 0)
		return sg_error_set(error, -EPERM,
				    "%s: the folder of the log must be owned by uid %u and writable by no other",
				    folder, geteuid());
	*ret_fd = sg_fd_take(&fd);
	return 0;
}

/* Splits `file` into its folder, opened, and its name. */
static int open_parent(const char *file, const char **ret_name, int *ret_fd, struct sg_error *error)
{
	const char *slash = strrchr(file, '/');
	SG_AUTO_FREE char *folder = slash == NULL ? strdup(".") : strndup(file, (size_t)(slash - file) + 1);
	int fd;

	if (folder == NULL)
		return sg_error_set_errno(error, -ENOMEM, "open %s", file);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return sg_error_set_errno(error, -errno, "open %s", folder);
	*ret_name = slash == NULL ? file : slash + 1;
	*ret_fd = fd;
	return 0;
}

int sg_log_create(const char *file, const char *id, int *ret_fd, char **ret_path, struct sg_error *error)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	SG_AUTO_FREE char *folder = NULL, *taken = NULL;
	SG_AUTO_FD int parent = -1, fd = -1;
	const char *name = NULL;
	int result;

	if (file != NULL) {
		sg_buffer_append_text(&path, file);
		result = open_parent(file, &name, &parent, error);
	} else {
		result = sg_log_folder(&folder, error);
		if (result < 0)
			return result;
		sg_buffer_printf(&path, "%s/%s%s", folder, id, suffix);
		result = make_folder(folder, &parent, error);
	}
	if (result < 0)
		return result;
	taken = sg_buffer_take(&path);
	if (taken == NULL)
		return sg_error_set_errno(error, -ENOMEM, "the path of the log");
	if (name == NULL)
		name = strrchr(taken, '/') + 1;
	fd = openat(parent, name, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return sg_error_set_errno(error, -errno, "create the log %s", taken);
	*ret_fd = sg_fd_take(&fd);
	*ret_path = sg_take_pointer(taken);
	return 0;
}

int sg_log_settle(const char *path, struct sg_error *error)
{
	const char *slash = strrchr(path, '/');
	SG_AUTO_FREE char *folder =
		slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
	SG_AUTO_FD int fd = -1;

	if (folder == NULL)
		return -ENOMEM;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
		return sg_error_set_errno(error, -errno, "sync the folder of %s", path);
	return 0;
}

void sg_log_list_done(struct sg_log_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].path);
	free(list->items);
	*list = (struct sg_log_list){0};
}

/* True if the last whole line is a session-end; the kind stands near a line's start, but lines may be long.
 */
static bool has_end(int fd, off_t size)
{
	static const char kind[] = "\"kind\":\"session-end\"";
	char tail[TAIL_SIZE];
	size_t want = size < TAIL_SIZE ? (size_t)size : TAIL_SIZE;
	ssize_t count = pread(fd, tail, want, size - (off_t)want);
	const char *line, *found;

	if (count <= 0 || (size_t)count != want || tail[count - 1] != '\n')
		return false;
	line = memrchr(tail, '\n', (size_t)count - 1);
	line = line == NULL ? tail : line + 1;
	/* A name cannot hold this: its quotes would be escaped. A session-end is short enough to be whole in
	 * the tail. */
	found = memmem(line, (size_t)(tail + count - line), kind, sizeof(kind) - 1);
	return found != NULL && memmem(line, (size_t)(found - line), "{\"prev\":", 8) == line;
}

int sg_log_state(int fd, enum sg_log_state *ret_state)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (has_end(fd, status.st_size))
		*ret_state = SG_LOG_WHOLE;
	else if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		*ret_state = SG_LOG_RUNNING;
	else
		*ret_state = SG_LOG_CUT;
	return 0;
}

const char *sg_log_state_name(enum sg_log_state state)
{
	static const char *const names[] = {
		[SG_LOG_RUNNING] = "running", [SG_LOG_WHOLE] = "whole", [SG_LOG_CUT] = "cut"};

	return names[state];
}

/* A file system that does not keep when a file was made tells when it was written last. */
static int64_t made_ns(const struct statx *status)
{
	const struct statx_timestamp *time =
		(status->stx_mask & STATX_BTIME) != 0 ? &status->stx_btime : &status->stx_mtime;

	return time->tv_sec * INT64_C(1000000000) + time->tv_nsec;
}

/* Adds one log to the list; one that cannot be opened, or is no regular file, is passed over. */
static int add_session(const char *folder, int parent, const char *name, struct sg_log_list *list)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	SG_AUTO_FD int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct sg_log_session session = {0}, *grown;
	struct statx status;

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &status) < 0 ||
	    !S_ISREG(status.stx_mode) || sg_log_state(fd, &session.state) < 0)
		return 0;
	if (list->count >= SESSIONS_MAX)
		return -E2BIG;
	/* Grown in powers of two. */
	if ((list->count & (list->count - 1)) == 0) {
		grown = reallocarray(list->items, list->count == 0 ? 1 : list->count * 2, sizeof(session));
		if (grown == NULL)
			return -ENOMEM;
		list->items = grown;
	}
	(void)snprintf(session.id, sizeof(session.id), "%.*s", (int)sizeof(id_form) - 1, name);
	sg_buffer_printf(&path, "%s/%s", folder, name);
	session.path = sg_buffer_take(&path);
	if (session.path == NULL)
		return -ENOMEM;
	session.size = status.stx_size;
	session.made_ns = made_ns(&status);
	list->items[list->count++] = session;
	return 0;
}

/* By the second that the ids begin with; within it by the files, since the rest of an id is noise. */
static int by_age(const void *a, const void *b)
{
	const struct sg_log_session *first = a, *second = b;
	const int order = strncmp(first->id, second->id, strcspn(id_form, "-"));

	if (order != 0)
		return order;
	if (first->made_ns != second->made_ns)
		return first->made_ns < second->made_ns ? -1 : 1;
	return strcmp(first->id, second->id);
}

int sg_log_list(const char *folder, struct sg_log_list *ret_list, struct sg_error *error)
{
	SG_AUTO_FREE char *own = NULL;
	SG_CLEANUP(sg_log_list_done) struct sg_log_list list = {0};
	SG_AUTO_FOLDER DIR *entries = NULL;
	int result = folder == NULL ? sg_log_folder(&own, error) : 0;

	if (result < 0)
		return result;
	if (folder == NULL)
		folder = own;
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): sg_log_folder sets it or returns below 0 */
	entries = opendir(folder);
	if (entries == NULL && errno != ENOENT)
		return sg_error_set_errno(error, -errno, "open %s", folder);
	while (entries != NULL) {
		struct dirent *entry;

		errno = 0;
		entry = readdir(entries);
		if (entry == NULL && errno != 0)
			return sg_error_set_errno(error, -errno, "list %s", folder);
		if (entry == NULL)
			break;
		result = is_log_name(entry->d_name) ? add_session(folder, dirfd(entries), entry->d_name, &list) : 0;
		if (result < 0)
			return sg_error_set_errno(error, result, "list %s", folder);
	}
	if (list.count > 1)
		qsort(list.items, list.count, sizeof(list.items[0]), by_age);
	*ret_list = list;
	list = (struct sg_log_list){0};
	return 0;
}

/* The one session of the list whose id starts with `start`. */
static int find_by_start(const struct sg_log_list *list, const char *start, size_t *ret_index, struct sg_error *error)
{
	size_t found = list->count;

	for (size_t i = 0; i < list->count; i++) {
		if (strncmp(list->items[i].id, start, strlen(start)) != 0)
			continue;
		if (found < list->count)
			return sg_error_set(error, -ENOTUNIQ, "several sessions start with %s: %s, %s", start,
					    list->items[found].id, list->items[i].id);
		found = i;
	}
	if (found == list->count)
		return sg_error_set(error, -ENOENT, "no session's id starts with %s", start);
	*ret_index = found;
	return 0;
}

int sg_log_find(const char *folder, const char *which, char **ret_path, struct sg_error *error)
{
	SG_CLEANUP(sg_log_list_done) struct sg_log_list list = {0};
	size_t index = 0;
	int result;

	if (which != NULL && strchr(which, '/') != NULL) {
		char *path = strdup(which);

		if (path == NULL)
			return sg_error_set_errno(error, -ENOMEM, "%s", which);
		*ret_path = path;
		return 0;
	}
	result = sg_log_list(folder, &list, error);
	if (result < 0)
		return result;
	if (list.count == 0)
		return sg_error_set(error, -ENOENT, "no session is recorded");
	if (which == NULL || strcmp(which, "last") == 0)
		index = list.count - 1;
	else
		result = find_by_start(&list, which, &index, error);
	if (result < 0)
		return result;
	*ret_path = sg_take_pointer(list.items[index].path);
	return 0;
}
