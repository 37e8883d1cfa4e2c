#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fd.h"
#include "world/identity.h"
#include "world/probe.h"

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* podman, systemd-nspawn and lxc name themselves in the environment of the container's first process, and
 * some in ours. */
static const char *find_container(void)
{
	static const char *const known[] = {"podman", "docker", "lxc", "systemd-nspawn"};
	const char *name = getenv("container");

	if (getenv("KUBERNETES_SERVICE_HOST") != NULL)
		return "kubernetes";
	if (exists("/.dockerenv"))
		return "docker";
	if (exists("/run/.containerenv"))
		return "podman";
	for (size_t i = 0; name != NULL && i < SG_ARRAY_SIZE(known); i++)
		if (strcmp(name, known[i]) == 0)
			return known[i];
	return (name != NULL && *name != '\0') || exists("/run/systemd/container") ? "container" : NULL;
}

static bool is_foreign_proc(void)
{
	char text[16] = "";

	return readlink("/proc/self", text, sizeof(text) - 1) <= 0 || strtol(text, NULL, 10) != getpid();
}

/* ping_group_range (icmp(7)): of the user, or, for root's worlds, of the ids that stand for root. */
static bool may_ping(void)
{
	SG_AUTO_FD int fd = open("/proc/sys/net/ipv4/ping_group_range", O_RDONLY | O_CLOEXEC);
	gid_t groups[SG_IDENTITY_GROUPS_MAX];
	char text[64] = "", *end = text;
	unsigned long low, high;
	int count;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return false;
	low = strtoul(text, &end, 10);
	high = strtoul(end, NULL, 10);
	if (geteuid() == 0)
		return low <= SG_IDENTITY_ZERO_BASE && SG_IDENTITY_ZERO_BASE <= high;
	if (low <= getegid() && getegid() <= high)
		return true;
	count = getgroups(SG_IDENTITY_GROUPS_MAX, groups);
	for (int i = 0; i < count; i++)
		if (low <= groups[i] && groups[i] <= high)
			return true;
	return false;
}

void sg_surroundings_find(struct sg_surroundings *ret)
{
	struct utsname host;

	*ret = (struct sg_surroundings){.container = find_container(), .session = getenv("SHELLGUARD_SESSION")};
	ret->foreign_proc = is_foreign_proc();
	ret->pings = may_ping();
	ret->wsl = uname(&host) == 0 &&
		   (strstr(host.release, "microsoft") != NULL || strstr(host.release, "Microsoft") != NULL);
	ret->ci = getenv("GITHUB_ACTIONS") != NULL ? "GitHub Actions"
		  : getenv("GITLAB_CI") != NULL    ? "GitLab CI"
		  : getenv("CI") != NULL           ? "CI"
						   : NULL;
}
