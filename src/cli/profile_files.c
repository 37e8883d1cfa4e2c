/*
 * Finding and opening the files of profiles.
 *
 * A profile's file may be anything that whoever names it can point at: a FIFO that nobody writes to, a terminal, a device whose opening
 * does something. So it is opened without access first, looked at, and only a regular file is opened for reading, by that descriptor:
 * what was looked at is what is read. What a profile extends by a path is bounded too: it lies below the folder of the profile that
 * names it, or below a folder of profiles, whatever symbolic links say, and again it is the opened object whose place is asked. So who
 * may write a folder of profiles decides what is granted by them, and no file elsewhere that somebody else may write.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/folder.h"
#include "base/text.h"
#include "cli/cli.h"

enum { FOLDERS_MAX = 8 };

const char *const *sg_profile_folders(void)
{
	static char user[PATH_MAX], beside[PATH_MAX + 64], installed[PATH_MAX + 64];
	static char gallery[PATH_MAX + 64], gallery_beside[PATH_MAX + 64];
	static const char *folders[FOLDERS_MAX];
	const char *config = getenv("XDG_CONFIG_HOME");
	char program[PATH_MAX];
	size_t count = 0;
	const struct sg_variables *caller = sg_variables_of_caller();
	ssize_t length;
	char *slash;

	if (folders[0] != NULL)
		return folders;
	if (config != NULL && config[0] == '/')
		(void)snprintf(user, sizeof(user), "%.4000s/shellguard/profiles", config);
	else
		(void)snprintf(user, sizeof(user), "%.4000s/.config/shellguard/profiles",
			       caller != NULL ? caller->home : "");
	folders[count++] = user;
	folders[count++] = "/etc/shellguard/profiles";
	length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	if (length > 0) {
		program[length] = '\0';
		slash = strrchr(program, '/');
		if (slash != NULL)
			*slash = '\0';
		slash = strrchr(program, '/'); /* /usr/bin/shellguard: beside the folder that holds it */
		if (slash != NULL)
			*slash = '\0';
		(void)snprintf(installed, sizeof(installed), "%s/share/shellguard/profiles", program);
		(void)snprintf(beside, sizeof(beside), "%s/profiles", program);
		(void)snprintf(gallery, sizeof(gallery), "%s/share/shellguard/gallery", program);
		(void)snprintf(gallery_beside, sizeof(gallery_beside), "%s/gallery", program);
		folders[count++] = installed;
		folders[count++] = beside;
		folders[count++] = gallery;
		folders[count++] = gallery_beside;
	}
	folders[count] = NULL;
	return folders;
}

/* Opens a regular file: *ret_fd is for reading. Returns 0 or a negative errno value, -EINVAL for anything else than a file. */
static int open_regular(const char *path, int *ret_fd)
{
	SG_AUTO_FD int object = open(path, O_PATH | O_CLOEXEC);
	char again[64];
	struct stat status;
	int fd;

	if (object < 0 || fstat(object, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	(void)snprintf(again, sizeof(again), "/proc/self/fd/%d", object);
	/* O_NONBLOCK: what looks like a file in /proc or on a foreign file system may wait all the same. */
	fd = open(again, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* Whether the file lies below the folder; both without links. */
static bool is_below(const char *file, const char *folder)
{
	const size_t length = strlen(folder);

	return strcmp(folder, "/") == 0 || (strncmp(file, folder, length) == 0 && file[length] == '/');
}

/* Whether the open file may be extended by `from`: see above. A profile that a person gave as text has no folder, and names any. */
static bool may_extend(int fd, const struct sg_source *from)
{
	const char *const *folders = sg_profile_folders();
	const char *slash = strrchr(from->name, '/');
	char link[64], file[PATH_MAX], folder[PATH_MAX], named[PATH_MAX];
	ssize_t length;

	if (slash == NULL)
		return true;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, file, sizeof(file) - 1);
	if (length <= 0 || (size_t)length == sizeof(file) - 1)
		return false;
	file[length] = '\0';
	(void)snprintf(named, sizeof(named), "%.*s", slash == from->name ? 1 : (int)(slash - from->name), from->name);
	if (realpath(named, folder) != NULL && is_below(file, folder))
		return true;
	for (size_t i = 0; folders[i] != NULL; i++)
		if (realpath(folders[i], folder) != NULL && is_below(file, folder))
			return true;
	return false;
}

/* `from`: the profile that extends it by a path, or NULL. */
static int read_profile(const char *path, const struct sg_source *from, struct sg_source **ret, struct sg_error *error)
{
	SG_AUTO_FD int fd = -1;
	const int status = open_regular(path, &fd);

	if (status == -EINVAL)
		return sg_error_set(error, status, "the profile %s is not a regular file", path);
	if (status < 0)
		return sg_error_set_errno(error, status, "cannot open the profile %s", path);
	if (from != NULL && !may_extend(fd, from))
		return sg_error_set(error, -EPERM,
				    "the profile %s lies neither below the folder of %s nor below a folder of profiles",
				    path, from->name);
	return sg_source_read(fd, path, SG_TOML_TEXT_MAX, error, ret);
}

/* By a path. What a profile extends by a relative one lies beside it; named alike each time, so that a circle is seen. */
static int open_path(const char *name, const struct sg_source *from, struct sg_source **ret, struct sg_error *error)
{
	const char *slash = from != NULL ? strrchr(from->name, '/') : NULL;
	char path[2 * PATH_MAX];
	int length;

	while (slash != NULL && name[0] == '.' && name[1] == '/')
		name += 2;
	if (name[0] != '/' && slash != NULL)
		length = snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - from->name), from->name, name);
	else
		/* With its folder, which is what it may extend from. */
		length = snprintf(path, sizeof(path), "%s%s", strchr(name, '/') == NULL ? "./" : "", name);
	if (length < 0 || (size_t)length >= PATH_MAX)
		return sg_error_set(error, -ENAMETOOLONG, "the path of a profile is longer than %d bytes",
				    PATH_MAX - 1);
	return read_profile(path, from, ret, error);
}

bool sg_profile_is_path(const char *name)
{
	const size_t length = strlen(name);

	return strchr(name, '/') != NULL || (length > 5 && strcmp(name + length - 5, ".toml") == 0);
}

/* --- what may have been meant --- */

enum { NAMES_MAX = 1024, SUGGESTED_MAX = 16 };

/* Adds the names of profiles in a folder; what does not fit in is no suggestion. */
static size_t add_names(const char *folder, char **names, size_t count)
{
	SG_AUTO_FOLDER DIR *listing = opendir(folder);
	const struct dirent *entry;

	while (listing != NULL && count < NAMES_MAX && (entry = readdir(listing)) != NULL) {
		const size_t length = strlen(entry->d_name);

		if (length <= 5 || strcmp(entry->d_name + length - 5, ".toml") != 0)
			continue;
		names[count] = strndup(entry->d_name, length - 5);
		count += names[count] != NULL;
	}
	return count;
}

/* Appends `; did you mean "NAME"?` for the nearest profile by name. A text that extends thousands gets it for the first ones. */
static void suggest(const char *name, struct sg_buffer *out)
{
	static unsigned int suggested;
	const char *const *folders = sg_profile_folders(), *nearest;
	char *names[NAMES_MAX];
	size_t count = 0;

	if (suggested++ >= SUGGESTED_MAX)
		return;
	for (size_t i = 0; folders[i] != NULL; i++)
		count = add_names(folders[i], names, count);
	nearest = sg_text_nearest(name, (const char *const *)names, count);
	if (nearest != NULL) {
		sg_buffer_append_text(out, "; did you mean \"");
		sg_buffer_append_escaped(out, nearest, strlen(nearest));
		sg_buffer_append_text(out, "\"?");
	}
	while (count > 0)
		free(names[--count]);
}

int sg_profile_open(void *data, const char *name, const struct sg_source *from, struct sg_source **ret,
		    struct sg_error *error)
{
	const char *const *folders = sg_profile_folders();
	SG_AUTO_BUFFER struct sg_buffer hint = SG_BUFFER_INIT;
	char path[2 * PATH_MAX];
	int status;

	(void)data;
	if (sg_profile_is_path(name))
		return open_path(name, from, ret, error);
	for (size_t i = 0; folders[i] != NULL && strlen(name) <= NAME_MAX; i++) {
		struct sg_error found = SG_ERROR_INIT;

		(void)snprintf(path, sizeof(path), "%s/%s.toml", folders[i], name);
		status = read_profile(path, NULL, ret, &found);
		if (status == -ENOENT || status == -ENOTDIR || status == -EACCES)
			continue;
		if (status < 0)
			*error = found;
		return status;
	}
	/* Only said, and read by nobody for it: a name never stands for a file of this folder. */
	if (from == NULL && (size_t)snprintf(path, sizeof(path), "%s.toml", name) < sizeof(path) &&
	    access(path, F_OK) == 0)
		return sg_error_set(
			error, -ENOENT,
			"there is no profile \"%s\" (\"shellguard profiles\" lists them); did you mean the file "
			"./%s.toml?",
			name, name);
	suggest(name, &hint);
	return sg_error_set(
		error, -ENOENT,
		"there is no profile \"%s\"%s (\"shellguard profiles\" lists them; a path has a slash, or ends "
		"in .toml)",
		name, hint.size > 0 && sg_buffer_status(&hint) == 0 ? hint.data : "");
}
