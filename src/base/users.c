#include "base/users.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

enum { FILE_MAX = 4 << 20, FIELDS = 7 };

static const char getent[] = "/usr/bin/getent";

/* All digits, and an id: (uid_t)-1 is none. */
static bool read_id(const char *text, uint32_t *ret)
{
	uint64_t value = 0;
	size_t length = strspn(text, "0123456789");

	if (length == 0 || length > 10 || text[length] != '\0')
		return false;
	for (size_t i = 0; i < length; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	if (value >= UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

int sg_user_parse(const char *line, struct sg_user *ret)
{
	char copy[sizeof(ret->name) + sizeof(ret->home) + 1024], *at = copy, *field[FIELDS] = {NULL};
	struct sg_user user;
	size_t length = strlen(line);

	if (length >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, line, length + 1);
	for (size_t i = 0; i < FIELDS; i++)
		field[i] = strsep(&at, ":");
	if (field[FIELDS - 1] == NULL || at != NULL || field[0][0] == '\0' || strlen(field[0]) >= sizeof(user.name) ||
	    strlen(field[5]) >= sizeof(user.home) || !read_id(field[2], &user.uid) || !read_id(field[3], &user.gid))
		return -EINVAL;
	memcpy(user.name, field[0], strlen(field[0]) + 1);
	memcpy(user.home, field[5], strlen(field[5]) + 1);
	*ret = user;
	return 0;
}

/* A missing file is an empty one. *ret is the caller's to free. */
static int read_file(const char *path, char **ret)
{
	SG_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t size;

	if (fd < 0 && errno == ENOENT) {
		*ret = strdup("");
		return *ret == NULL ? -ENOMEM : 0;
	}
	return fd < 0 ? -errno : sg_fd_read_file(fd, FILE_MAX, ret, &size);
}

/* Whether /etc/passwd comes first for users: the first word of "passwd:", or no such line (nsswitch.conf(5)).
 */
static bool files_first(void)
{
	SG_AUTO_FREE char *text = NULL;
	char *rest, *line;

	if (read_file("/etc/nsswitch.conf", &text) < 0)
		return false;
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL) {
		line += strspn(line, " \t");
		if (strncmp(line, "passwd:", 7) != 0)
			continue;
		line += 7;
		line += strspn(line, " \t");
		return strncmp(line, "files", 5) == 0 && strchr(" \t#", line[5]) != NULL;
	}
	return true;
}

/* Runs getent DATABASE KEY. Returns its output, the caller's to free, or NULL: then errno says why (ENOENT:
 * no such key). */
static char *ask(const char *database, const char *key)
{
	char *const argv[] = {(char *)(uintptr_t)getent, (char *)(uintptr_t)database, (char *)(uintptr_t)key, NULL};
	char *const environment[] = {(char *)(uintptr_t) "LC_ALL=C", (char *)(uintptr_t) "PATH=/usr/bin:/bin", NULL};
	SG_AUTO_FREE char *output = calloc(1, 65536);
	posix_spawn_file_actions_t actions;
	int ends[2], status = 0, error;
	ssize_t size;
	pid_t pid;

	if (output == NULL || pipe2(ends, O_CLOEXEC) < 0)
		return NULL;
	error = posix_spawn_file_actions_init(&actions);
	if (error == 0) {
		error = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
		if (error == 0)
			error = posix_spawn(&pid, getent, &actions, NULL, argv, environment);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	sg_fd_close(ends[1]);
	size = error == 0 ? sg_fd_read_full(ends[0], output, 65535) : -1;
	sg_fd_close(ends[0]);
	while (error == 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	errno = error != 0 ? error : ENOENT;
	if (error != 0 || size <= 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return NULL;
	output[strcspn(output, "\n")] = '\0';
	return sg_take_pointer(output);
}

/* `name` NULL: by `uid`. */
static bool is_wanted(const struct sg_user *user, const char *name, uid_t uid)
{
	return name != NULL ? strcmp(user->name, name) == 0 : user->uid == uid;
}

static int find_in_file(const char *name, uid_t uid, struct sg_user *ret)
{
	SG_AUTO_FREE char *text = NULL;
	struct sg_user user;
	char *rest, *line;
	int status = read_file("/etc/passwd", &text);

	if (status < 0)
		return status;
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (sg_user_parse(line, &user) == 0 && is_wanted(&user, name, uid)) {
			*ret = user;
			return 0;
		}
	}
	return -ENOENT;
}

static int find(const char *key, const char *name, uid_t uid, struct sg_user *ret)
{
	SG_AUTO_FREE char *line = NULL;
	struct sg_user user;

	if (files_first() && find_in_file(name, uid, ret) == 0)
		return 0;
	line = ask("passwd", key);
	if (line == NULL)
		return -errno;
	if (sg_user_parse(line, &user) < 0 || !is_wanted(&user, name, uid))
		return -ENOENT;
	*ret = user;
	return 0;
}

int sg_user_by_uid(uid_t uid, struct sg_user *ret)
{
	char key[16];

	(void)snprintf(key, sizeof(key), "%u", uid);
	return find(key, NULL, uid, ret);
}

static bool may_be_name(const char *name)
{
	if (name[0] == '\0' || name[0] == '-' || strlen(name) >= sizeof(((struct sg_user *)NULL)->name))
		return false;
	for (size_t i = 0; name[i] != '\0'; i++)
		if (name[i] == ':' || name[i] == '/' || (unsigned char)name[i] <= ' ' || name[i] == 0x7f)
			return false;
	return true;
}

int sg_user_by_name(const char *name, struct sg_user *ret)
{
	return may_be_name(name) ? find(name, name, 0, ret) : -ENOENT;
}

/* getent prints "NAME  GID GID ..."; the primary group need not be among them. */
int sg_user_groups(const char *name, gid_t primary, gid_t *groups, size_t capacity, size_t *ret_count)
{
	SG_AUTO_FREE char *line = may_be_name(name) ? ask("initgroups", name) : NULL;
	size_t count = 1;
	char *rest = line, *word;

	if (line == NULL)
		return -ENOENT;
	groups[0] = primary;
	(void)strsep(&rest, " ");
	while ((word = strsep(&rest, " ")) != NULL) {
		gid_t group;

		if (word[0] == '\0')
			continue;
		if (!read_id(word, &group))
			return -EINVAL;
		if (group == primary)
			continue;
		if (count == capacity)
			return -E2BIG;
		groups[count++] = group;
	}
	*ret_count = count;
	return 0;
}
