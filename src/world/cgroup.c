#include "world/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/folder.h"
#include "tables/features.h"

enum { TEXT_MAX = 4096, ATTEMPTS = 3, PATIENCE_MS = 1000 };

static const char prefix[] = "shellguard-";
static const char *const leaves[] = {"world", "supervisor"};

static int read_at(int folder, const char *name, char *text, size_t size)
{
	SG_AUTO_FD int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -errno : sg_fd_read_full(fd, text, size - 1);

	text[got > 0 ? got : 0] = '\0';
	return got < 0 ? (int)got : 0;
}

static int write_at(int folder, const char *name, const char *text)
{
	SG_AUTO_FD int fd = openat(folder, name, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* The folder of the caller's own group: where cgroup2 is mounted, and our name in it. Returns 0 or -errno. */
static int find_own(char *path, size_t size, size_t *ret_mount)
{
	static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char text[TEXT_MAX], *line, *end;

	if (read_at(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text)) < 0)
		return -ENOENT;
	line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (line == NULL)
		return -ENOENT;
	line += strcspn(line, "/");
	end = strchr(line, '\n');
	if (end == NULL)
		return -ENAMETOOLONG;
	*end = '\0';
	for (size_t i = 0; i < SG_ARRAY_SIZE(mounts); i++) {
		struct statfs status;

		if (statfs(mounts[i], &status) < 0 || status.f_type != CGROUP2_SUPER_MAGIC)
			continue;
		*ret_mount = strlen(mounts[i]);
		if ((size_t)snprintf(path, size, "%s%s", mounts[i], strcmp(line, "/") == 0 ? "" : line) >= size)
			return -ENAMETOOLONG;
		return strstr(path, "/..") != NULL ? -EXDEV : 0; /* out of the namespace: not ours to name */
	}
	return -ENOENT;
}

static bool has_word(const char *text, const char *word)
{
	const size_t length = strlen(word);

	for (const char *at = text; (at = strstr(at, word)) != NULL; at += length)
		if ((at == text || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\n' || at[length] == '\0'))
			return true;
	return false;
}

/* True if groups below hand the controller on to those in them. */
static bool hands_down(const char *path, const char *controller)
{
	char name[PATH_MAX + 32], text[TEXT_MAX];

	(void)snprintf(name, sizeof(name), "%s/cgroup.subtree_control", path);
	return read_at(AT_FDCWD, name, text, sizeof(text)) == 0 && has_word(text, controller);
}

static bool may_make_in(const char *path)
{
	char name[PATH_MAX + 32];

	(void)snprintf(name, sizeof(name), "%s/cgroup.procs", path);
	return access(path, W_OK) == 0 && access(name, W_OK) == 0;
}

/* The tightest of `value` and what `file` of the group says ("max": none; value 0: none). */
static uint64_t tighten(const char *path, const char *file, uint64_t value)
{
	char name[PATH_MAX + 32], text[64], *end;
	unsigned long long found;

	(void)snprintf(name, sizeof(name), "%s/%s", path, file);
	if (read_at(AT_FDCWD, name, text, sizeof(text)) < 0)
		return value;
	found = strtoull(text, &end, 10);
	return end != text && (value == 0 || found < value) ? found : value;
}

/*
 * Looks for the place from our own group up: the nearest that may be written and hands down what is wanted.
 * The limits of the groups that it leaves on the way are added to the wanted ones. Returns 0 or -errno.
 */
static int find_place(char *path, size_t mount, bool memory, bool processes, struct sg_cgroup_limits *limits)
{
	struct sg_cgroup_limits tightest = *limits;

	for (;;) {
		if (!may_make_in(path))
			return -EACCES;
		if ((!memory || hands_down(path, "memory")) && (!processes || hands_down(path, "pids"))) {
			*limits = tightest;
			return 0;
		}
		if (strlen(path) <= mount)
			return -EOPNOTSUPP;
		tightest.memory = tighten(path, "memory.max", tightest.memory);
		tightest.processes = tighten(path, "pids.max", tightest.processes);
		*strrchr(path, '/') = '\0';
	}
}

static int remove_group(int parent, const char *name)
{
	char path[512];

	for (size_t i = 0; i < SG_ARRAY_SIZE(leaves); i++) {
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", name, leaves[i]) >= sizeof(path))
			return -ENAMETOOLONG;
		if (unlinkat(parent, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
			return -errno;
	}
	return unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

/* Removes groups that nobody holds: their owners crashed. One with processes in it cannot be removed anyway.
 */
static void remove_leftovers(int parent)
{
	const int copy = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	SG_AUTO_FOLDER DIR *listing = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (listing == NULL)
		sg_fd_close(copy);
	while (listing != NULL && (entry = readdir(listing)) != NULL) {
		SG_AUTO_FD int group = -1;

		if (strncmp(entry->d_name, prefix, sizeof(prefix) - 1) != 0)
			continue;
		group = openat(parent, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (group >= 0 && flock(group, LOCK_EX | LOCK_NB) == 0)
			(void)remove_group(parent, entry->d_name);
	}
}

/* Makes the group and takes its lock. Somebody who cleans up may be quicker between the two: then it is made
 * anew. */
static int make_group(int parent, struct sg_cgroup *group)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		struct stat status;

		if (mkdirat(parent, group->name, 0700) < 0)
			return -errno;
		group->group = openat(parent, group->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (group->group >= 0 && flock(group->group, LOCK_SH) == 0 &&
		    fstatat(parent, group->name, &status, 0) == 0)
			return 0;
		group->group = sg_fd_close(group->group);
	}
	return -EAGAIN;
}

static int make_leaves(struct sg_cgroup *group)
{
	int *const fds[] = {&group->world, &group->supervisor};

	for (size_t i = 0; i < SG_ARRAY_SIZE(leaves); i++) {
		if (mkdirat(group->group, leaves[i], 0755) < 0)
			return -errno;
		*fds[i] = openat(group->group, leaves[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (*fds[i] < 0)
			return -errno;
	}
	return 0;
}

static bool set_limit(const struct sg_cgroup *group, const char *file, uint64_t value)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	return value != 0 && write_at(group->world, file, text) == 0;
}

static void set_limits(struct sg_cgroup *group, const struct sg_cgroup_limits *limits)
{
	group->memory = set_limit(group, "memory.max", limits->memory);
	group->processes = set_limit(group, "pids.max", limits->processes);
	/* What is swapped out is the world's memory as well; a kernel without swap accounting has no such
	 * file. */
	if (group->memory)
		(void)write_at(group->world, "memory.swap.max", "0");
}

/* The place for what is wanted, or for as much of it as there is one for. */
static int choose_place(struct sg_cgroup *group, struct sg_cgroup_limits *limits, bool *ret_memory, bool *ret_processes)
{
	const struct {
		bool memory, processes;
	} wishes[] = {{true, true}, {true, false}, {false, true}, {false, false}};
	int status = -ENOENT;

	for (size_t i = 0; i < SG_ARRAY_SIZE(wishes); i++) {
		size_t mount = 0;

		*ret_memory = wishes[i].memory && limits->memory != 0;
		*ret_processes = wishes[i].processes && limits->processes != 0;
		status = find_own(group->parent, sizeof(group->parent), &mount);
		if (status == 0)
			status = find_place(group->parent, mount, *ret_memory, *ret_processes, limits);
		if (status == 0)
			break;
	}
	return status;
}

int sg_cgroup_make(const char *name, const struct sg_cgroup_limits *wanted, struct sg_cgroup *ret,
		   struct sg_error *error)
{
	SG_CLEANUP(sg_cgroup_done) struct sg_cgroup group = SG_CGROUP_INIT;
	struct sg_cgroup_limits limits = *wanted;
	bool memory, processes;
	SG_AUTO_FD int parent = -1;
	int status;

	if (sg_feature_hidden(SG_FEATURE_CGROUP))
		return sg_error_set(error, -EOPNOTSUPP, "hidden for a test");
	if (sg_feature_hidden(SG_FEATURE_CGROUP_MEMORY))
		limits.memory = 0;
	if (sg_feature_hidden(SG_FEATURE_CGROUP_PIDS))
		limits.processes = 0;
	(void)snprintf(group.name, sizeof(group.name), "%s%s", prefix, name);
	status = choose_place(&group, &limits, &memory, &processes);
	if (status < 0)
		return sg_error_set_errno(error, status, "there is no control group (v2) here that we may divide");
	parent = open(group.parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return sg_error_set_errno(error, -errno, "cannot open %s", group.parent);
	remove_leftovers(parent);
	status = make_group(parent, &group);
	if (status == 0 && (memory || processes))
		status = write_at(group.group, "cgroup.subtree_control",
				  memory && processes ? "+memory +pids"
				  : memory            ? "+memory"
						      : "+pids");
	if (status == 0)
		status = make_leaves(&group);
	if (status < 0)
		return sg_error_set_errno(error, status, "cannot make a control group in %s", group.parent);
	set_limits(&group, &limits);
	*ret = group;
	group = SG_CGROUP_INIT;
	return 0;
}

int sg_cgroup_hand_over(const struct sg_cgroup *group, uid_t uid, struct sg_error *error)
{
	/* The permission is asked of the common group above both, and of the one that is entered. */
	if (fchownat(group->group, "cgroup.procs", uid, (gid_t)-1, 0) < 0 ||
	    fchownat(group->world, "cgroup.procs", uid, (gid_t)-1, 0) < 0)
		return sg_error_set_errno(error, -errno, "cannot hand over the control group");
	return 0;
}

void sg_cgroup_leave(struct sg_cgroup *group)
{
	group->group = sg_fd_close(group->group);
	group->supervisor = sg_fd_close(group->supervisor);
	group->world = sg_fd_close(group->world);
}

void sg_cgroup_done(struct sg_cgroup *group)
{
	SG_AUTO_FD int parent = -1;

	if (group->group < 0)
		return;
	if (group->world >= 0)
		(void)write_at(group->world, "cgroup.kill", "1");
	parent = open(group->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int waited = 0; parent >= 0 && waited < PATIENCE_MS; waited++) {
		if (remove_group(parent, group->name) != -EBUSY)
			break;
		(void)poll(NULL, 0, 1);
	}
	sg_cgroup_leave(group);
}

/* Keeps nothing of the caller's open or busy: whoever reads from it sees its end. */
static int clean_up(void *data)
{
	enum { KEPT = 1000 };
	struct sg_cgroup *group = data;

	group->group = sg_fd_move_above(group->group, KEPT);
	group->world = sg_fd_move_above(group->world, KEPT);
	(void)close_range(0, KEPT - 1, 0);
	(void)setsid();
	(void)!chdir("/");
	sg_cgroup_done(group);
	_exit(0);
}

void sg_cgroup_exit(struct sg_cgroup *group, int status)
{
	_Alignas(16) static char stack[64 * 1024];

	/*
	 * It shares our memory, so that no page is copied: safe because this thread does nothing from here on but to exit (errno
	 * and all the rest are the other's). Where it cannot be made, a later start removes what is left.
	 */
	(void)fflush(NULL);
	if (group->group >= 0)
		(void)clone(clean_up, stack + sizeof(stack), CLONE_VM | SIGCHLD, group);
	_exit(status);
}
