#include "world/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/users.h"

enum { EXTENTS_MAX = 340 }; /* user_namespaces(7): at most 340 lines a map */

struct extent {
	uint32_t first, count;
};

/* The ids that exist in our own namespace, as ranges. Returns their number or a negative errno value. */
static int read_extents(const char *path, struct extent *extents)
{
	SG_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	SG_AUTO_FREE char *text = NULL;
	size_t size;
	int count = 0, status;

	if (fd < 0)
		return -errno;
	status = sg_fd_read_file(fd, 65536, &text, &size);
	if (status < 0)
		return status;
	for (char *line = text; *line != '\0' && count < EXTENTS_MAX; count++) {
		char *end = strchr(line, '\n');
		uint32_t first, outside, length;

		if (sscanf(line, "%" SCNu32 " %" SCNu32 " %" SCNu32, &first, &outside, &length) != 3)
			return -EINVAL;
		extents[count] = (struct extent){first, length};
		if (end == NULL)
			return count + 1;
		line = end + 1;
	}
	return count;
}

static bool exists(const struct extent *extents, int count, uint32_t id)
{
	for (int i = 0; i < count; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): below the count there are extents */
		if (id >= extents[i].first && id - extents[i].first < extents[i].count)
			return true;
	return false;
}

/* An id of ours that stands for the world's 0: an unused one if there is, else the highest that exists; 0 if none. */
static uint32_t choose_zero(const struct extent *extents, int count)
{
	uint32_t preferred = SG_IDENTITY_ZERO_BASE + ((uint32_t)getpid() & 0xffff), highest = 0;

	if (exists(extents, count, preferred))
		return preferred;
	for (int i = 0; i < count; i++) {
		uint32_t last = extents[i].first + (extents[i].count - 1);

		if (last > highest && last != UINT32_MAX)
			highest = last;
	}
	return highest;
}

/* Adds "inside outside count" for [first, last], leaving out `zero`. */
static void add_range(char *map, char *inner, uint32_t first, uint32_t last, uint32_t zero)
{
	if (first > last)
		return;
	if (zero >= first && zero <= last) {
		if (zero > first)
			add_range(map, inner, first, zero - 1, UINT32_MAX);
		if (zero < last)
			add_range(map, inner, zero + 1, last, UINT32_MAX);
		return;
	}
	size_t used = strlen(map), inner_used = strlen(inner);
	(void)snprintf(map + used, SG_IDENTITY_MAP_MAX - used, "%" PRIu32 " %" PRIu32 " %" PRIu32 "\n", first, first,
		       last - first + 1);
	(void)snprintf(inner + inner_used, SG_IDENTITY_MAP_MAX - inner_used, "%" PRIu32 " %" PRIu32 " %" PRIu32 "\n",
		       first, first, last - first + 1);
}

/* One to one for what exists, 0 for `zero`. Long maps are cut at what fits: ids beyond do not exist in the world. */
static void make_map(const struct extent *extents, int count, uint32_t zero, char *map, char *inner)
{
	(void)snprintf(map, SG_IDENTITY_MAP_MAX, "0 %" PRIu32 " 1\n", zero);
	(void)snprintf(inner, SG_IDENTITY_MAP_MAX, "0 0 1\n");
	for (int i = 0; i < count && strlen(map) < SG_IDENTITY_MAP_MAX - 160; i++) {
		uint32_t first = extents[i].first == 0 ? 1 : extents[i].first;
		uint32_t last = extents[i].first + (extents[i].count - 1);

		if (last == UINT32_MAX) /* (uid_t)-1 is no id */
			last--;
		add_range(map, inner, first, last, zero);
	}
}

static int find_ordinary(const struct sg_user *as, struct sg_identity *identity, struct sg_error *error)
{
	identity->uid = geteuid();
	identity->gid = getegid();
	if (as != NULL && as->uid != identity->uid)
		return sg_error_set(error, -EPERM, "only root may run as another user (User.As = \"%s\")", as->name);
	(void)snprintf(identity->uid_map, SG_IDENTITY_MAP_MAX, "%u %u 1\n", identity->uid, identity->uid);
	(void)snprintf(identity->gid_map, SG_IDENTITY_MAP_MAX, "%u %u 1\n", identity->gid, identity->gid);
	memcpy(identity->inner_uid_map, identity->uid_map, SG_IDENTITY_MAP_MAX);
	memcpy(identity->inner_gid_map, identity->gid_map, SG_IDENTITY_MAP_MAX);
	return 0;
}

static int find_groups(const struct sg_user *as, struct sg_identity *identity, struct sg_error *error)
{
	int status =
		sg_user_groups(as->name, as->gid, identity->groups, SG_IDENTITY_GROUPS_MAX, &identity->group_count);

	identity->uid = as->uid;
	identity->gid = as->gid;
	if (status == -E2BIG)
		return sg_error_set(error, -E2BIG, "the user %s is in more than %d groups", as->name,
				    SG_IDENTITY_GROUPS_MAX);
	return status < 0 ? sg_error_set_errno(error, status, "cannot find the groups of the user %s", as->name) : 0;
}

static int find_mapped(const struct sg_user *as, const struct extent *uids, int uid_count, uint32_t zero,
		       struct sg_identity *identity, struct sg_error *error)
{
	struct extent gids[EXTENTS_MAX];
	int gid_count = read_extents("/proc/self/gid_map", gids), status;

	if (gid_count < 0)
		return sg_error_set_errno(error, gid_count, "cannot read /proc/self/gid_map");
	identity->mapped = true;
	identity->zero = zero;
	make_map(uids, uid_count, zero, identity->uid_map, identity->inner_uid_map);
	make_map(gids, gid_count, exists(gids, gid_count, zero) ? zero : choose_zero(gids, gid_count),
		 identity->gid_map, identity->inner_gid_map);
	if (as != NULL) {
		status = find_groups(as, identity, error);
		if (status < 0)
			return status;
	}
	return 0;
}

int sg_identity_find(const char *as, struct sg_identity *ret, struct sg_error *error)
{
	struct sg_identity identity = {0};
	struct extent uids[EXTENTS_MAX];
	struct sg_user user;
	int count = read_extents("/proc/self/uid_map", uids), status;
	uint32_t zero;

	if (count < 0)
		return sg_error_set_errno(error, count, "cannot read /proc/self/uid_map");
	if (as != NULL) {
		status = sg_user_by_name(as, &user);
		if (status == -ENOENT)
			return sg_error_set(error, -ENOENT, "there is no user %s on this host", as);
		if (status < 0)
			return sg_error_set_errno(error, status, "cannot look up the user %s", as);
	}
	zero = choose_zero(uids, count);
	/* Root of a namespace with no second id is an ordinary user of the host, and maps just itself. */
	if (geteuid() == 0 && zero != 0)
		status = find_mapped(as != NULL ? &user : NULL, uids, count, zero, &identity, error);
	else
		status = find_ordinary(as != NULL ? &user : NULL, &identity, error);
	if (status < 0)
		return status;
	*ret = identity;
	return 0;
}

static int write_file(const char *path, const char *text, struct sg_error *error)
{
	SG_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return sg_error_set_errno(error, errno == 0 ? -EIO : -errno, "cannot write %s", path);
	return 0;
}

int sg_identity_write_maps(const struct sg_identity *identity, pid_t pid, bool inner, struct sg_error *error)
{
	char folder[32] = "/proc/self", path[64];
	int status = 0;

	if (pid != 0)
		(void)snprintf(folder, sizeof(folder), "/proc/%d", (int)pid);
	if (!identity->mapped) {
		(void)snprintf(path, sizeof(path), "%s/setgroups", folder);
		status = write_file(path, "deny", error);
	}
	if (status == 0) {
		(void)snprintf(path, sizeof(path), "%s/gid_map", folder);
		status = write_file(path, inner ? identity->inner_gid_map : identity->gid_map, error);
	}
	if (status == 0) {
		(void)snprintf(path, sizeof(path), "%s/uid_map", folder);
		status = write_file(path, inner ? identity->inner_uid_map : identity->uid_map, error);
	}
	return status;
}

int sg_identity_take(const struct sg_identity *identity, struct sg_error *error)
{
	if (identity->mapped && setgroups(identity->group_count, identity->groups) < 0)
		return sg_error_set_errno(error, -errno, "cannot set the groups of the world");
	if (setresgid(identity->gid, identity->gid, identity->gid) < 0 ||
	    setresuid(identity->uid, identity->uid, identity->uid) < 0)
		return sg_error_set_errno(error, -errno, "cannot take the identity of uid %u", identity->uid);
	/* The change made us undumpable: our parent and the keeper must be able to write the maps below. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		return sg_error_set_errno(error, -errno, "prctl(PR_SET_DUMPABLE)");
	return 0;
}
