#include "export/apparmor_bound.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/folder.h"
#include "export/apparmor_cache.h"
#include "export/apparmor_kernel.h"
#include "export/apparmor_world.h"

enum { PATIENCE_S = 10, ATTEMPTS = 100 };

const struct sg_apparmor_folders sg_apparmor_folders = {
	.kernel = SG_APPARMOR_KERNEL,
	.run = "/run/shellguard/apparmor",
	.cache = "/var/lib/shellguard/apparmor",
};

/* What sg_apparmor_world_write makes, and nothing that could be another file, or a rule of the kernel's list. */
static bool is_name(const char *name)
{
	const size_t length = strlen(SG_APPARMOR_WORLD_PREFIX);

	if (strncmp(name, SG_APPARMOR_WORLD_PREFIX, length) != 0 || name[length] == '\0')
		return false;
	for (const char *at = name + length; *at != '\0'; at++)
		if (!isxdigit((unsigned char)*at))
			return false;
	return strlen(name) < SG_APPARMOR_WORLD_NAME_SIZE;
}

/* The open file is the one that bears the name: who had the lock before may have taken it away. */
static bool is_in_folder(int folder, const char *name, int fd)
{
	struct stat mine, there;

	return fstat(fd, &mine) == 0 && fstatat(folder, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

static void wake(int number)
{
	(void)number;
}

/* Whoever has it exclusively is sweeping, and soon done; but somebody may have stopped it. */
static int wait_for_lock(int fd)
{
	const struct itimerval patience = {.it_value = {PATIENCE_S, 0}, .it_interval = {0, 100000}}, none = {{0}};
	const struct sigaction interrupt = {.sa_handler = wake};
	struct sigaction before;
	int status;

	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return -errno;
	if (sigaction(SIGALRM, &interrupt, &before) < 0 || setitimer(ITIMER_REAL, &patience, NULL) < 0)
		return -errno;
	status = flock(fd, LOCK_SH) < 0 ? -errno : 0;
	(void)setitimer(ITIMER_REAL, &none, NULL);
	(void)sigaction(SIGALRM, &before, NULL);
	return status == -EINTR ? -ETIMEDOUT : status;
}

int sg_apparmor_bound_lock(const struct sg_apparmor_folders *folders, const char *name, struct sg_error *error)
{
	SG_AUTO_FD int folder = sg_apparmor_open_folder(folders->run);

	if (folder < 0)
		return sg_error_set_errno(error, folder, "the folder %s, which must be root's alone", folders->run);
	for (int i = 0; i < ATTEMPTS; i++) {
		SG_AUTO_FD int fd = openat(folder, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		int status = fd < 0 ? -errno : wait_for_lock(fd);

		if (status < 0)
			return sg_error_set_errno(error, status, "the lock %s/%s", folders->run, name);
		if (is_in_folder(folder, name, fd))
			return sg_fd_take(&fd);
	}
	return sg_error_set(error, -EBUSY, "the lock %s/%s is taken away again and again", folders->run, name);
}

void sg_apparmor_bound_prepare(const struct sg_apparmor_folders *folders)
{
	sg_fd_close(sg_apparmor_open_folder(folders->run));
	sg_fd_close(sg_apparmor_open_folder(folders->cache));
}

/* Takes one away if nobody holds it. `flags`: O_CREAT where there may be no file. */
static void sweep_one(const struct sg_apparmor_folders *folders, int folder, const char *name, int flags)
{
	SG_AUTO_FD int fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || !is_in_folder(folder, name, fd))
		return;
	/* Gone, or never there: then the file is all that is left. */
	if (sg_apparmor_remove(folders->kernel, name, NULL) >= 0)
		(void)unlinkat(folder, name, 0);
}

struct sweeping {
	const struct sg_apparmor_folders *folders;
	int folder;
};

static int sweep_loaded(void *data, const char *name, const char *mode)
{
	const struct sweeping *sweeping = data;

	(void)mode;
	if (is_name(name) && faccessat(sweeping->folder, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		sweep_one(sweeping->folders, sweeping->folder, name, O_CREAT);
	return 0;
}

void sg_apparmor_bound_sweep(const struct sg_apparmor_folders *folders)
{
	SG_AUTO_FD int folder = sg_apparmor_open_folder(folders->run);
	struct sweeping sweeping = {folders, folder};
	const int copy = folder < 0 ? -1 : openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	SG_AUTO_FOLDER DIR *entries = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;

	while (entries != NULL && (entry = readdir(entries)) != NULL)
		if (is_name(entry->d_name))
			sweep_one(folders, folder, entry->d_name, 0);
	if (folder >= 0)
		(void)sg_apparmor_list(folders->kernel, sweep_loaded, &sweeping);
}

/* With the lock held: others may load it too, and it is the same. */
static int load(const struct sg_apparmor_folders *folders, const char *name, const struct sg_buffer *text,
		struct sg_error *error)
{
	int status = sg_apparmor_is_loaded(folders->kernel, name);

	for (int fresh = 0; fresh <= 1 && status == 0; fresh++) {
		SG_AUTO_BUFFER struct sg_buffer compiled = SG_BUFFER_INIT;
		int given = sg_apparmor_compile(folders->cache, text, fresh != 0, &compiled, error);

		if (given < 0)
			return given;
		given = sg_apparmor_give(folders->kernel, compiled.data, compiled.size);
		/* A compiled one that was kept may be of no use to this kernel: once more, from the text. */
		if (given < 0 && given != -EEXIST && fresh != 0)
			return sg_error_set_errno(error, given, "the kernel does not take the AppArmor profile %s",
						  name);
		status = sg_apparmor_is_loaded(folders->kernel, name);
	}
	if (status > 0)
		return 0;
	return sg_error_set_errno(error, status < 0 ? status : -ENOENT, "the AppArmor profile %s is not enforced",
				  name);
}

int sg_apparmor_bound_take(const struct sg_apparmor_folders *folders, const char *name, const struct sg_buffer *text,
			   int *ret_lock, struct sg_error *error)
{
	SG_AUTO_FD int lock = is_name(name) ? sg_apparmor_bound_lock(folders, name, error)
					    : sg_error_set(error, -EINVAL, "no name of a session's profile: %s", name);
	int status;

	if (lock < 0)
		return lock;
	sg_apparmor_bound_sweep(folders);
	status = load(folders, name, text, error);
	if (status < 0) {
		sg_apparmor_bound_release(folders, name, sg_fd_take(&lock));
		return status;
	}
	*ret_lock = sg_fd_take(&lock);
	return 0;
}

void sg_apparmor_bound_release(const struct sg_apparmor_folders *folders, const char *name, int lock)
{
	SG_AUTO_FD int folder = -1;

	sg_fd_close(lock);
	folder = sg_apparmor_open_folder(folders->run);
	if (folder >= 0)
		sweep_one(folders, folder, name, 0);
}

/* --- what there is --- */

struct listing {
	int folder;
	void (*note)(void *data, const char *name, bool held);
	void *data;
};

static int list_one(void *data, const char *name, const char *mode)
{
	const struct listing *listing = data;
	SG_AUTO_FD int fd = -1;

	(void)mode;
	if (!is_name(name))
		return 0;
	fd = openat(listing->folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	/* A moment's lock of ours: who sweeps just then leaves it to the next. */
	listing->note(listing->data, name, fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	return 0;
}

void sg_apparmor_bound_list(const struct sg_apparmor_folders *folders,
			    void (*note)(void *data, const char *name, bool held), void *data)
{
	SG_AUTO_FD int folder = open(folders->run, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct listing listing = {folder, note, data};

	(void)sg_apparmor_list(folders->kernel, list_one, &listing);
}
