#include "export/apparmor_host.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium/crypto_hash_sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "export/apparmor_files.h"
#include "export/host.h"
#include "policy/decide.h"
#include "policy/names.h"

#define PREFIX "shellguard-"
#define FOLDER "/etc/apparmor.d"
#define NEW_FILE ".shellguard.new" /* the host loads no file whose name begins with a dot */
#define KERNEL "/sys/kernel/security/apparmor"

enum { NAME_PLAIN_MAX = 96, LIST_MAX = 16 * 1024 * 1024 };

void sg_apparmor_name(const char *name, struct sg_buffer *out)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	size_t length = 0;

	sg_buffer_append_text(out, PREFIX);
	for (const char *at = name; *at != '\0' && length < NAME_PLAIN_MAX; at++, length++) {
		const unsigned char byte = (unsigned char)*at;

		if (isalnum(byte) || byte == '_' || byte == '-' || byte == '.')
			sg_buffer_append_byte(out, *at);
		else
			sg_buffer_printf(out, "%%%02x", byte);
	}
	if (length < NAME_PLAIN_MAX)
		return;
	(void)crypto_hash_sha256(hash, (const unsigned char *)name, strlen(name));
	sg_buffer_append_byte(out, '%');
	for (size_t i = 0; i < sizeof(hash); i++)
		sg_buffer_printf(out, "%02x", hash[i]);
}

/* --- names behind links --- */

/* Where `path` leads, as far as there is something: what is missing at its end stays as it is. Owned by the caller. */
static char *resolve(const char *path)
{
	SG_AUTO_FREE char *copy = strdup(path);
	size_t end = strlen(path);

	while (copy != NULL && end > 1) {
		SG_AUTO_FREE char *real = realpath(copy, NULL);
		char *whole = NULL;

		if (real != NULL) {
			const char *rest = path + end;

			if (asprintf(&whole, "%s%s", strcmp(real, "/") == 0 && *rest == '/' ? "" : real, rest) < 0)
				return NULL;
			return whole;
		}
		while (end > 1 && copy[end - 1] != '/')
			end--;
		while (end > 1 && copy[end - 1] == '/')
			end--;
		copy[end] = '\0';
	}
	return strdup(path);
}

/* The glob behind what its literal part leads to; *ret NULL: to itself. */
static int find_target(const struct sg_glob *glob, struct sg_glob **ret)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;
	SG_AUTO_FREE char *path = NULL;
	SG_AUTO_FREE char *target = NULL;
	size_t length, whole_length, folder, offset = sg_names_folder(glob, &folder);
	const char *prefix = sg_glob_prefix(glob, &length), *whole = sg_glob_text(glob, &whole_length);
	int status;

	if (sg_glob_is_literal(glob)) {
		folder = length;
		offset = whole_length;
	}
	/* A folder's name ends in '/', which realpath leaves out. */
	while (folder > 0 && prefix[folder - 1] == '/')
		folder--;
	if (folder == 0)
		return 0;
	path = strndup(prefix, folder);
	target = path != NULL ? resolve(path) : NULL;
	if (target == NULL)
		return -ENOMEM;
	if (strcmp(target, path) == 0)
		return 0;
	sg_glob_quote(&text, target, strlen(target));
	if (prefix[folder] == '/' && strcmp(target, "/") != 0)
		sg_buffer_append_byte(&text, '/');
	sg_buffer_append(&text, whole + offset, whole_length - offset);
	status = sg_buffer_status(&text);
	return status < 0 ? status : sg_glob_parse(text.data, text.size, NULL, ret);
}

int sg_apparmor_add_host_names(const struct sg_export *with, struct sg_buffer *out)
{
	const struct sg_apparmor_files *files = with->state;

	for (size_t i = 0; i < files->count && files->lines[i].deny; i++) {
		SG_AUTO_GLOB struct sg_glob *target = NULL;
		SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
		struct sg_apparmor_line line = files->lines[i];
		int status = find_target(line.of, &target);

		if (status < 0)
			return status;
		if (target == NULL)
			continue;
		status = sg_glob_to_apparmor(target, &path);
		if (status != 0)
			return status < 0 ? status : -E2BIG;
		sg_buffer_append_byte(&path, '\0');
		if (sg_buffer_status(&path) < 0)
			return -ENOMEM;
		line.path = path.data;
		sg_apparmor_files_write(&(struct sg_apparmor_files){.lines = &line, .count = 1}, out);
	}
	return sg_buffer_status(out);
}

/* --- the kernel's list --- */

static void close_folder(DIR **folder)
{
	if (*folder != NULL)
		(void)closedir(*folder);
}

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

/* True if some thread of the host is in the profile, or where that cannot be told. */
static bool is_used(const char *name)
{
	SG_CLEANUP(close_folder) DIR *processes = opendir("/proc");
	const char *process, *thread;

	if (processes == NULL)
		return true;
	while ((process = next_number(processes)) != NULL) {
		SG_CLEANUP(close_folder) DIR *threads = NULL;
		char path[64];

		(void)snprintf(path, sizeof(path), "/proc/%.16s/task", process);
		threads = opendir(path);
		while ((thread = next_number(threads)) != NULL)
			if (is_thread_in(process, thread, name))
				return true;
	}
	return false;
}

/* Takes a profile out of the kernel. 0; 1: it is not there; or a negative errno value. */
static int remove_from_kernel(const char *name, struct sg_error *error)
{
	SG_AUTO_FD int fd = -1;
	int status;

	if (is_used(name))
		return sg_error_set(error, -EBUSY,
				    "programs run in the AppArmor profile %s: they would go on without it", name);
	fd = open(KERNEL "/.remove", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return sg_error_set_errno(error, -errno, KERNEL "/.remove");
	status = sg_fd_write_full(fd, name, strlen(name));
	if (status == -ENOENT)
		return 1;
	return status < 0 ? sg_error_set_errno(error, status, "taking the profile %s out of the kernel", name) : 0;
}

static bool has_file(int folder, const char *name)
{
	return faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What an end half-way has left: profiles of ours in the kernel that no file is of, and a file that was being written. */
static void sweep(int folder)
{
	SG_AUTO_FD int fd = open(KERNEL "/profiles", O_RDONLY | O_CLOEXEC);
	SG_AUTO_FREE char *list = NULL;
	size_t size;
	char *rest;

	(void)unlinkat(folder, NEW_FILE, 0);
	if (fd < 0 || sg_fd_read_file(fd, LIST_MAX, &list, &size) < 0)
		return;
	rest = list;
	for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
		char *mode = strrchr(line, ' '); /* "name (enforce)" */

		if (mode == NULL || strncmp(line, PREFIX, strlen(PREFIX)) != 0 || strchr(line, '/') != NULL)
			continue;
		*mode = '\0';
		if (!has_file(folder, line))
			(void)remove_from_kernel(line, NULL);
	}
}

int sg_apparmor_may_load(struct sg_error *error)
{
	SG_AUTO_BUFFER struct sg_buffer why = SG_BUFFER_INIT;

	if (!sg_host_has_apparmor(&why)) {
		sg_buffer_append_byte(&why, '\0');
		return sg_error_set(error, -ENOSYS, "%s", sg_buffer_status(&why) == 0 ? why.data : "no memory");
	}
	if (geteuid() != 0)
		return sg_error_set(error, -EPERM, "profiles of AppArmor are root's to load and to take away");
	return 0;
}

/* The folder, locked against others of ours. Returns a descriptor or a negative errno value. */
static int open_folder(struct sg_error *error)
{
	SG_AUTO_FD int fd = -1;
	const int status = sg_apparmor_may_load(error);

	if (status < 0)
		return status;
	fd = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return sg_error_set_errno(error, -errno, FOLDER);
	if (flock(fd, LOCK_EX) < 0)
		return sg_error_set_errno(error, -errno, FOLDER);
	sweep(fd);
	return sg_fd_take(&fd);
}

/* --- loading --- */

/* The artefact with the names of this host before its last line. */
static int complete(const struct sg_export *with, const struct sg_buffer *artefact, struct sg_buffer *out)
{
	const size_t end = artefact->size - 2; /* "}\n" */
	int status;

	sg_buffer_append(out, artefact->data, end);
	sg_buffer_append_text(out, "\n  # What links of this host make of refused names.\n");
	status = sg_apparmor_add_host_names(with, out);
	if (status < 0)
		return status;
	sg_buffer_append(out, artefact->data + end, 2);
	return sg_buffer_status(out);
}

static int give_to_kernel(const struct sg_buffer *profile, struct sg_error *error)
{
	static const char *const arguments[] = {"apparmor_parser", "--replace", "--skip-cache", "--quiet", NULL};
	SG_AUTO_BUFFER struct sg_buffer said = SG_BUFFER_INIT, shown = SG_BUFFER_INIT;
	const int status = sg_host_run(arguments, profile->data, profile->size, &said, error);

	if (status <= 0)
		return status;
	sg_buffer_append_escaped(&shown, said.data, said.size);
	sg_buffer_append_byte(&shown, '\0');
	return sg_error_set(error, -EINVAL, "apparmor_parser does not take the profile (status %d): %s", status,
			    sg_buffer_status(&shown) == 0 ? shown.data : "");
}

/* One rename, after all of it is on the disk. */
static int put_file(int folder, const char *name, const struct sg_buffer *profile)
{
	SG_AUTO_FD int fd = openat(folder, NEW_FILE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	int status = fd < 0 ? -errno : sg_fd_write_full(fd, profile->data, profile->size);

	if (status == 0 && (fsync(fd) < 0 || renameat(folder, NEW_FILE, folder, name) < 0 || fsync(folder) < 0))
		status = -errno;
	if (status < 0)
		(void)unlinkat(folder, NEW_FILE, 0);
	return status;
}

int sg_apparmor_load(const struct sg_export *with, const struct sg_buffer *artefact, struct sg_error *error)
{
	SG_AUTO_BUFFER struct sg_buffer name = SG_BUFFER_INIT, profile = SG_BUFFER_INIT;
	SG_AUTO_FD int folder = open_folder(error);
	int status;

	if (folder < 0)
		return folder;
	sg_apparmor_name(with->policy->name, &name);
	sg_buffer_append_byte(&name, '\0');
	status = sg_buffer_status(&name);
	if (status == 0)
		status = complete(with, artefact, &profile);
	if (status < 0)
		return sg_error_set_errno(error, status, "the profile");
	status = give_to_kernel(&profile, error);
	if (status < 0)
		return status;
	status = put_file(folder, name.data, &profile);
	if (status == 0)
		return 0;
	/* A profile that was loaded before keeps its file, and the kernel the new one until the host starts again. */
	if (!has_file(folder, name.data))
		(void)remove_from_kernel(name.data, NULL);
	return sg_error_set_errno(error, status, FOLDER "/%s", name.data);
}

int sg_apparmor_unload(const char *name, struct sg_error *error)
{
	SG_AUTO_BUFFER struct sg_buffer full = SG_BUFFER_INIT;
	SG_AUTO_FD int folder = open_folder(error);
	bool there;
	int status;

	if (folder < 0)
		return folder;
	sg_apparmor_name(name, &full);
	sg_buffer_append_byte(&full, '\0');
	if (sg_buffer_status(&full) < 0)
		return sg_error_set_errno(error, -ENOMEM, "the profile");
	there = has_file(folder, full.data);
	status = remove_from_kernel(full.data, error);
	if (status < 0)
		return status;
	if (there && unlinkat(folder, full.data, 0) < 0)
		return sg_error_set_errno(error, -errno, FOLDER "/%s", full.data);
	return there ? 0 : status;
}
