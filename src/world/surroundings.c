#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fd.h"
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

void sg_surroundings_find(struct sg_surroundings *ret)
{
	struct utsname host;

	*ret = (struct sg_surroundings){.container = find_container(),
					.session = getenv("SHELLGUARD_SESSION")};
	ret->foreign_proc = is_foreign_proc();
	ret->wsl = uname(&host) == 0 &&
		   (strstr(host.release, "microsoft") != NULL || strstr(host.release, "Microsoft") != NULL);
	ret->ci = getenv("GITHUB_ACTIONS") != NULL ? "GitHub Actions"
		  : getenv("GITLAB_CI") != NULL    ? "GitLab CI"
		  : getenv("CI") != NULL           ? "CI"
						   : NULL;
}
