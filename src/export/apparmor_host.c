#include "export/apparmor_host.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/utils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "export/apparmor_files.h"
#include "export/apparmor_kernel.h"
#include "export/host.h"
#include "policy/decide.h"
#include "policy/names.h"

#define PREFIX "shellguard-"
#define FOLDER "/etc/apparmor.d"
#define NEW_FILE ".shellguard.new" /* the host loads no file whose name begins with a dot */

#define IN_USE "programs run in the AppArmor profile %s: they would go on without it"

enum { NAME_PLAIN_MAX = 96, PROFILE_MAX = 64 * 1024 * 1024 };

void sg_apparmor_name(const char *name, struct sg_buffer *out)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	char text[2 * sizeof(hash) + 1];
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
	sg_buffer_printf(out, "%%%s", sodium_bin2hex(text, sizeof(text), hash, sizeof(hash)));
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

static bool has_file(int folder, const char *name)
{
	return faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A profile of ours in the kernel that no file is of. */
static int sweep_one(void *data, const char *name, const char *mode)
{
	const int *folder = data;

	(void)mode;
	if (strncmp(name, PREFIX, strlen(PREFIX)) == 0 && strchr(name, '/') == NULL && !has_file(*folder, name))
		(void)sg_apparmor_remove(SG_APPARMOR_KERNEL, name, NULL);
	return 0;
}

/* What an end half-way has left: such profiles, and a file that was being written. */
static void sweep(int folder)
{
	(void)unlinkat(folder, NEW_FILE, 0);
	(void)sg_apparmor_list(SG_APPARMOR_KERNEL, sweep_one, &folder);
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
	if (!sg_label_sees_all())
		return sg_error_set(error, -EPERM,
				    "whether profiles of AppArmor are in use shows outside of this container only");
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
		(void)sg_apparmor_remove(SG_APPARMOR_KERNEL, name.data, NULL);
	return sg_error_set_errno(error, status, FOLDER "/%s", name.data);
}

/* Gives a profile its rules back, those of its file. */
static int put_back(int folder, const char *name, struct sg_error *error)
{
	SG_AUTO_FD int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	SG_AUTO_FREE char *data = NULL;
	struct sg_buffer text = SG_BUFFER_INIT;
	size_t size;
	int status = fd < 0 ? -errno : sg_fd_read_file(fd, PROFILE_MAX, &data, &size);

	if (status < 0)
		return sg_error_set_errno(error, status, FOLDER "/%s, whose profile allows nothing now", name);
	text.data = data;
	text.size = size;
	return give_to_kernel(&text, error);
}

/*
 * Takes a profile that no thread is in out of the kernel. Somebody may enter it just then, and would go on without: so it is emptied first.
 * Who enters it from now on finds that it allows nothing, not even to load a program's libraries. Whoever had entered before is seen
 * by looking once more; then it gets its rules back.
 */
static int take_away(int folder, const char *name, bool has_rules, struct sg_error *error)
{
	SG_AUTO_BUFFER struct sg_buffer empty = SG_BUFFER_INIT;
	int status = sg_apparmor_is_loaded(SG_APPARMOR_KERNEL, name);

	if (status == 0)
		return 1;
	if (sg_apparmor_is_used(name))
		return sg_error_set(error, -EBUSY, IN_USE, name);
	sg_buffer_printf(&empty, "abi <abi/3.0>,\nprofile \"%s\" {\n}\n", name);
	status = sg_buffer_status(&empty);
	if (status == 0)
		status = give_to_kernel(&empty, error);
	if (status < 0)
		return status;
	status = sg_apparmor_remove(SG_APPARMOR_KERNEL, name, error);
	if (status != -EBUSY || !has_rules)
		return status;
	status = put_back(folder, name, error);
	return status < 0 ? status : sg_error_set(error, -EBUSY, IN_USE, name);
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
	status = take_away(folder, full.data, there, error);
	if (status < 0)
		return status;
	if (there && unlinkat(folder, full.data, 0) < 0)
		return sg_error_set_errno(error, -errno, FOLDER "/%s", full.data);
	return there ? 0 : status;
}

/* --- what there is --- */

struct listing {
	int folder;
	void (*note)(void *data, const char *name, bool whole);
	void *data;
};

static int list_one(void *data, const char *name, const char *mode)
{
	const struct listing *listing = data;

	(void)mode;
	if (strncmp(name, PREFIX, strlen(PREFIX)) == 0 && strchr(name, '/') == NULL)
		listing->note(listing->data, name, has_file(listing->folder, name));
	return 0;
}

void sg_apparmor_host_list(void (*note)(void *data, const char *name, bool whole), void *data)
{
	SG_AUTO_FD int folder = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct listing listing = {folder, note, data};

	(void)sg_apparmor_list(SG_APPARMOR_KERNEL, list_one, &listing);
}
