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

/* Adds a folder to the caller's list, which is made with its folder if it is the first. */
static int note(const char *folder)
{
	int status = sg_written_add(own.path, own.mode, folder);

	if (status != -ENOENT)
		return status;
	status = make_folder(own.folder, own.folder_mode);
	return status == 0 ? sg_written_add(own.path, own.mode, folder) : status;
}

static bool is_at_or_below(const char *name, const char *folder)
{
	const size_t length = strlen(folder);

	return strncmp(name, folder, length) == 0 && (name[length] == '/' || name[length] == '\0' || length == 1);
}

/* The folder of the rule's literal prefix, canonical as far as it exists. Returns NULL if there is no memory. */
static char *folder_of_rule(const struct sg_rule *rule)
{
	size_t length;
	const char *prefix = sg_glob_prefix(rule->glob, &length);
	SG_AUTO_FREE char *name = strndup(prefix, length), *found = NULL;
	SG_AUTO_BUFFER struct sg_buffer whole = SG_BUFFER_INIT;
	size_t end = length;

	if (name == NULL)
		return NULL;
	while (end > 1 && name[end - 1] != '/')
		end--;
	name[end > 1 ? end - 1 : 1] = '\0';
	for (end = strlen(name); found == NULL && end > 1;) {
		const char kept = name[end];

		name[end] = '\0';
		found = realpath(name, NULL);
		name[end] = kept;
		if (found == NULL)
			do
				end--;
			while (end > 1 && name[end] != '/');
	}
	sg_buffer_append_text(&whole, found == NULL ? "" : found);
	sg_buffer_append_text(&whole, found == NULL ? name : name + end);
	return sg_buffer_take(&whole);
}

/*
 * What of a mount the world may write. A mount that is decided by name may be wider than the rules for which it is writable (ReadWrite
 * for one project, in a home that may be read): a link can be made where such a rule matches, below the folder of its literal
 * prefix, and nowhere else. Where that folder leads is asked now, after the plan: whoever could have changed it meanwhile
 * was given a folder above it to write, which is on the list.
 */
static int note_mount(const struct sg_plan *plan, const char *mount)
{
	size_t count, noted = 0;
	const struct sg_rule *rules = sg_policy_rules(plan->policy, SG_RULE_WRITE, &count);

	if (!plan->decide_changes)
		return note(mount);
	for (size_t i = 0; i < count; i++) {
		SG_AUTO_FREE char *folder = folder_of_rule(&rules[i]);
		int status = 0;

		if (folder == NULL)
			return -ENOMEM;
		if (is_at_or_below(mount, folder))
			return note(mount);
		if (is_at_or_below(folder, mount)) {
			status = note(folder);
			noted++;
		}
		if (status < 0)
			return status;
	}
	return noted == 0 ? note(mount) : 0;
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
		status = note_mount(plan, mount->source);
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
