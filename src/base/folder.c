#include "base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

int sg_folder_open_own(const char *folder, int flags, struct sg_error *error)
{
	SG_AUTO_FREE char *path = strdup(folder);
	SG_AUTO_FD int fd = -1;
	struct stat status;

	if (path == NULL)
		return -ENOMEM;
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return sg_error_set_errno(error, -errno, "cannot make %s", path);
		*slash = '/';
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return sg_error_set_errno(error, -errno, "cannot make %s", path);
	fd = open(folder, flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		return sg_error_set_errno(error, -errno, "cannot open %s", folder);
	if (status.st_uid != geteuid() || (status.st_mode & 077) != 0)
		return sg_error_set(error, -EPERM, "%s must belong to you and be closed to others (chmod 700)", folder);
	return sg_fd_take(&fd);
}
