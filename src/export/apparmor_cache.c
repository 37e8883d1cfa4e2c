#include "export/apparmor_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/utils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/folder.h"
#include "export/host.h"
#include "world/label.h"

#define NEW_FILE ".new"

enum { HASH = crypto_hash_sha256_BYTES, COMPILED_MAX = 64 * 1024 * 1024 };

int sg_apparmor_open_folder(const char *path)
{
	return sg_folder_open_own(path, O_RDONLY, NULL);
}

/* --- the cache --- */

void sg_apparmor_cache_name(const struct sg_buffer *text, const char *parser, char name[SG_APPARMOR_CACHE_NAME_SIZE])
{
	SG_AUTO_BUFFER struct sg_buffer key = SG_BUFFER_INIT;
	unsigned char hash[HASH];
	struct utsname host = {0};
	struct stat status = {0};

	(void)uname(&host);
	(void)stat(parser, &status);
	/* What is compiled depends on what the kernel knows, and on the compiler. */
	sg_buffer_printf(&key, "%s\n%s\n%s\n%s %lld %lld %lld.%ld\n", host.release, host.version, host.machine, parser,
			 (long long)status.st_ino, (long long)status.st_size, (long long)status.st_mtim.tv_sec,
			 status.st_mtim.tv_nsec);
	sg_buffer_append(&key, text->data, text->size);
	if (sg_buffer_status(&key) < 0) {
		name[0] = '\0';
		return;
	}
	(void)crypto_hash_sha256(hash, (const unsigned char *)key.data, key.size);
	(void)sodium_bin2hex(name, SG_APPARMOR_CACHE_NAME_SIZE, hash, sizeof(hash));
}

int sg_apparmor_cache_read(int folder, const char *name, struct sg_buffer *out)
{
	SG_AUTO_FD int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	SG_AUTO_FREE char *data = NULL;
	unsigned char hash[HASH];
	size_t size;
	int status = fd < 0 ? -errno : sg_fd_read_file(fd, COMPILED_MAX, &data, &size);

	if (status < 0)
		return status;
	if (size <= HASH)
		return -EILSEQ;
	(void)crypto_hash_sha256(hash, (const unsigned char *)data + HASH, size - HASH);
	if (memcmp(hash, data, HASH) != 0)
		return -EILSEQ;
	sg_buffer_append(out, data + HASH, size - HASH);
	return sg_buffer_status(out);
}

/* Makes room. Who reads one of the files has it open. */
static void throw_away(int folder)
{
	const int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	SG_AUTO_FOLDER DIR *entries = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	size_t count = 0;

	while (entries != NULL && (entry = readdir(entries)) != NULL)
		count += entry->d_name[0] != '.';
	if (entries == NULL || count < SG_APPARMOR_CACHE_MAX)
		return;
	rewinddir(entries);
	while ((entry = readdir(entries)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)unlinkat(folder, entry->d_name, 0);
}

void sg_apparmor_cache_write(int folder, const char *name, const struct sg_buffer *compiled)
{
	SG_AUTO_FD int fd = -1;
	unsigned char hash[HASH];
	char new_file[64];
	int status;

	throw_away(folder);
	(void)snprintf(new_file, sizeof(new_file), NEW_FILE ".%d", (int)getpid());
	(void)unlinkat(folder, new_file, 0);
	fd = openat(folder, new_file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	(void)crypto_hash_sha256(hash, (const unsigned char *)compiled->data, compiled->size);
	status = sg_fd_write_full(fd, hash, sizeof(hash));
	if (status == 0)
		status = sg_fd_write_full(fd, compiled->data, compiled->size);
	/* Not synced: what a fall of the host leaves of it does not have its hash. */
	if (status < 0 || renameat(folder, new_file, folder, name) < 0)
		(void)unlinkat(folder, new_file, 0);
}

/* --- the compiler --- */

static int compile(const char *parser, const struct sg_buffer *text, struct sg_buffer *out, struct sg_error *error)
{
	const char *const arguments[] = {parser, "--skip-kernel-load", "--skip-cache", "--stdout", "--quiet", NULL};
	SG_AUTO_BUFFER struct sg_buffer said = SG_BUFFER_INIT, shown = SG_BUFFER_INIT;
	const int status = sg_host_run_for(arguments, text->data, text->size, COMPILED_MAX, out, &said, error);

	if (status < 0)
		return status;
	if (status == 0 && out->size > 0)
		return 0;
	sg_buffer_append_escaped(&shown, said.data, said.size);
	sg_buffer_append_byte(&shown, '\0');
	return sg_error_set(error, -EINVAL, "%s does not take the world's profile (status %d): %s", parser, status,
			    sg_buffer_status(&shown) == 0 ? shown.data : "");
}

int sg_apparmor_compile(const char *folder, const struct sg_buffer *text, bool fresh, struct sg_buffer *out,
			struct sg_error *error)
{
	SG_AUTO_BUFFER struct sg_buffer reason = SG_BUFFER_INIT;
	SG_AUTO_FD int cache = sg_apparmor_open_folder(folder);
	char parser[64], name[SG_APPARMOR_CACHE_NAME_SIZE];
	int status;

	if (!sg_label_find_parser(parser, sizeof(parser), &reason)) {
		sg_buffer_append_byte(&reason, '\0');
		return sg_error_set(error, -ENOENT, "%s", sg_buffer_status(&reason) == 0 ? reason.data : "no memory");
	}
	sg_apparmor_cache_name(text, parser, name);
	if (!fresh && cache >= 0 && name[0] != '\0' && sg_apparmor_cache_read(cache, name, out) == 0)
		return 0;
	sg_buffer_clear(out);
	status = compile(parser, text, out, error);
	if (status == 0 && cache >= 0 && name[0] != '\0')
		sg_apparmor_cache_write(cache, name, out);
	return status;
}
