#include "cli/written.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/log.h"
#include "base/users.h"
#include "cli/cli.h"
#include "world/plan_words.h"

#define ROOTS_FOLDER "/var/lib/shellguard"
#define ROOTS_LIST ROOTS_FOLDER "/written"

/* The caller's own list, and where it lies. Filled once. */
static struct {
	char *folder, *path;
	mode_t mode, folder_mode;
} own;

/* Root's is for everybody to read: what root's sessions may have put somewhere concerns all. A user's is its own. */
static int find_own(struct sg_error *error)
{
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	SG_AUTO_FREE char *records = NULL;
	const bool root = geteuid() == 0;
	int status;

	if (own.path != NULL)
		return 0;
	status = sg_log_folder(&records, error);
	if (status < 0)
		return status;
	/* Not in a user namespace of a user, whose 0 is no root: its records are its user's too. */
	if (root && strncmp(records, "/var/log/", 9) == 0) {
		own.folder = strdup(ROOTS_FOLDER);
		own.folder_mode = 0755;
		own.mode = 0644;
	} else {
		*strrchr(records, '/') = '\0';
		own.folder = sg_take_pointer(records);
		own.folder_mode = 0700;
		own.mode = 0600;
	}
	sg_buffer_printf(&path, "%s/written", own.folder == NULL ? "" : own.folder);
	own.path = own.folder == NULL ? NULL : sg_buffer_take(&path);
	return own.path == NULL ? sg_error_set_errno(error, -ENOMEM, "the list of written folders") : 0;
}

struct sg_written *sg_written_of_caller(const struct sg_identity *identity)
{
	static struct sg_written written;
	static char others[4096 + 64];
	static struct sg_user user;
	struct sg_error error = SG_ERROR_INIT;

	if (written.count == 0) {
		if (find_own(&error) == 0)
			written.lists[written.count++].path = own.path;
		if (own.path == NULL || strcmp(own.path, ROOTS_LIST) != 0)
			written.lists[written.count++].path = ROOTS_LIST;
	}
	if (identity != NULL && geteuid() == 0 && identity->uid != 0 && others[0] == '\0' &&
	    sg_user_by_uid(identity->uid, &user) == 0) {
		(void)snprintf(others, sizeof(others), "%s/.local/state/shellguard/written", user.home);
		written.lists[written.count++].path = others;
	}
	return &written;
}

static int make_folder(const char *folder, mode_t mode)
{
	SG_AUTO_FREE char *path = strdup(folder);
	struct stat status;

	if (path == NULL)
		return -ENOMEM;
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash != NULL)
			*slash = '\0';
		if (mkdir(path, mode) < 0 && errno != EEXIST)
			return -errno;
		if (slash == NULL)
			break;
		*slash = '/';
	}
	if (lstat(folder, &status) < 0)
		return -errno;
	if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 022) != 0)
		return -EPERM;
	return (status.st_mode & mode) != mode && chmod(folder, mode) < 0 ? -errno : 0; /* the umask */
}

int sg_written_note(struct sg_plan *plan, struct sg_error *error)
{
	SG_AUTO_FREE char *folder = NULL;
	int status = find_own(error);

	if (status < 0)
		return status;
	for (size_t i = 0; i < plan->mount_count && status == 0; i++) {
		const struct sg_mount *mount = &plan->mounts[i];
		struct stat source;

		/* A single file takes no link: the folder that it lies in is not in the world. */
		if (mount->kind != SG_MOUNT_TREE || (mount->flags & SG_MOUNT_WRITE) == 0 ||
		    (lstat(mount->source, &source) == 0 && !S_ISDIR(source.st_mode)))
			continue;
		status = sg_written_add(own.path, own.mode, mount->source);
		if (status == -ENOENT) {
			status = make_folder(own.folder, own.folder_mode);
			if (status == 0)
				status = sg_written_add(own.path, own.mode, mount->source);
		}
	}
	if (status < 0)
		return sg_error_set_errno(
			error, status,
			"cannot note in %s which folders this session may write; without that nothing "
			"is started",
			own.path);
	folder = realpath(own.folder, NULL);
	if (folder == NULL)
		return errno == ENOENT ? 0 : sg_error_set_errno(error, -errno, "cannot find %s again", own.folder);
	return sg_plan_withhold(plan, folder) < 0 ? sg_error_set_errno(error, -ENOMEM, "cannot withhold %s", folder)
						  : 0;
}

void sg_written_warn(const struct sg_plan *plan)
{
	for (size_t i = 0; i < plan->led_count; i++) {
		SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

		if (plan->led[i].link == NULL)
			continue;
		sg_plan_words_led(&plan->led[i], &text);
		if (sg_buffer_status(&text) == 0)
			sg_complain("%s", text.data);
	}
}
