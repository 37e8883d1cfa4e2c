#include "supervisor/door.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "supervisor/supervisor.h"

enum { ASK_TIMEOUT_MS = 2000, BACKLOG = 8 };

int sg_door_folder(char **ret, struct sg_error *error)
{
	SG_AUTO_BUFFER struct sg_buffer folder = SG_BUFFER_INIT;
	const char *runtime = getenv("XDG_RUNTIME_DIR"), *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (geteuid() == 0)
		sg_buffer_append_text(&folder, "/run/shellguard/sessions");
	else if (runtime != NULL && runtime[0] == '/' && access(runtime, W_OK) == 0)
		sg_buffer_printf(&folder, "%s/shellguard", runtime);
	else if (state != NULL && state[0] == '/')
		sg_buffer_printf(&folder, "%s/shellguard/run", state);
	else if (home != NULL && home[0] == '/')
		sg_buffer_printf(&folder, "%s/.local/state/shellguard/run", home);
	else
		return sg_error_set(error, -ENOENT, "no folder for running sessions: none of XDG_RUNTIME_DIR, XDG_STATE_HOME, HOME is set");
	*ret = sg_buffer_take(&folder);
	return *ret == NULL ? -ENOMEM : 0;
}

/* Makes the folders, and opens the last one if it is ours alone. */
static int open_folder(const char *folder, struct sg_error *error)
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
	fd = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		return sg_error_set_errno(error, -errno, "cannot open %s", folder);
	if (status.st_uid != geteuid() || (status.st_mode & 077) != 0)
		return sg_error_set(error, -EPERM, "%s must belong to you and be closed to others (chmod 700)", folder);
	return sg_fd_take(&fd);
}

/* A name below a pinned folder, however long the folder's own path is. */
static int make_address(int folder, const char *name, struct sockaddr_un *ret)
{
	int length;

	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	length = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", folder, name);
	return length < 0 || (size_t)length >= sizeof(ret->sun_path) ? -ENAMETOOLONG : 0;
}

int sg_door_open(const char *session, int *ret_fd, char **ret_path, struct sg_error *error)
{
	SG_AUTO_FREE char *folder = NULL;
	SG_AUTO_BUFFER struct sg_buffer path = SG_BUFFER_INIT;
	SG_AUTO_FD int parent = -1, door = -1;
	struct sockaddr_un address;
	mode_t before;
	int status = sg_door_folder(&folder, error);

	if (status < 0)
		return status;
	parent = open_folder(folder, error);
	if (parent < 0)
		return parent;
	status = make_address(parent, session, &address);
	door = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (status < 0 || door < 0)
		return sg_error_set_errno(error, status < 0 ? status : -errno, "cannot make the session's door");
	before = umask(0177);
	status = bind(door, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	(void)umask(before);
	if (status < 0 || listen(door, BACKLOG) < 0)
		return sg_error_set_errno(error, status < 0 ? status : -errno, "cannot open the session's door in %s", folder);
	sg_buffer_printf(&path, "%s/%s", folder, session);
	*ret_path = sg_buffer_take(&path);
	if (*ret_path == NULL)
		return -ENOMEM;
	*ret_fd = sg_fd_take(&door);
	return 0;
}

int sg_door_ask(const char *path, const struct sg_door_message *message, char *text, int *ret_fd)
{
	const char *slash = strrchr(path, '/');
	SG_AUTO_FREE char *folder = slash == NULL ? NULL : strndup(path, (size_t)(slash - path));
	SG_AUTO_FD int parent = -1, connection = -1;
	struct sockaddr_un address;
	struct pollfd wait;
	ssize_t size;
	int status;

	if (folder == NULL)
		return -EINVAL;
	parent = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (parent < 0 || connection < 0)
		return -errno;
	status = make_address(parent, slash + 1, &address);
	if (status < 0)
		return status;
	if (connect(connection, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	status = sg_fd_send(connection, message, sizeof(*message), NULL, 0);
	if (status < 0)
		return status;
	wait = (struct pollfd){.fd = connection, .events = POLLIN};
	if (poll(&wait, 1, ASK_TIMEOUT_MS) <= 0)
		return -ETIMEDOUT;
	size = recv(connection, text, SG_DOOR_TEXT_MAX - 1, 0);
	if (size <= 0)
		return size < 0 ? -errno : -ECONNREFUSED;
	text[size] = '\0';
	if (ret_fd != NULL)
		*ret_fd = sg_fd_take(&connection);
	return 0;
}

/* Who asks for what it wants must have said so when the connection is taken, or within this: it is our own program. */
enum { REQUEST_TIMEOUT_MS = 20, WATCHERS_MAX = 16 };

void sg_door_answer(struct sg_supervisor *supervisor)
{
	/* Connections are kept until the session ends, so that their other ends see that moment; the oldest makes room. */
	static int watchers[WATCHERS_MAX];
	static size_t next, used;
	struct sg_door_message message = {0};
	SG_AUTO_FD int connection = accept4(supervisor->door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct pollfd wait = {.fd = connection, .events = POLLIN};
	const char *answer = "\n";
	int status;

	if (connection < 0 || poll(&wait, 1, REQUEST_TIMEOUT_MS) <= 0 ||
	    recv(connection, &message, sizeof(message), 0) != (ssize_t)sizeof(message))
		return;
	switch (message.request) {
	case SG_DOOR_DESCRIBE:
		answer = supervisor->description;
		break;
	case SG_DOOR_SIGNAL:
		sg_deliver(supervisor, message.value);
		break;
	case SG_DOOR_KILL:
		/* Not even what is queued leaves any more. */
		(void)sg_network_cut_but(supervisor, "");
		supervisor->ended = true;
		supervisor->exit_status = 128 + SIGKILL;
		break;
	case SG_DOOR_CUT:
		message.argument[sizeof(message.argument) - 1] = '\0';
		status = sg_network_cut_but(supervisor, message.argument);
		answer = status == -EINVAL  ? "what is to be kept must be IP addresses\n"
			 : status == -E2BIG ? "it was cut with exceptions too often: cut it whole\n"
			 : status < 0       ? "it could not be cut: the session ends\n"
					    : "\n";
		break;
	default:
		return;
	}
	(void)send(connection, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
	if (used == WATCHERS_MAX)
		sg_fd_close(watchers[next]);
	else
		used++;
	watchers[next] = sg_fd_take(&connection);
	next = (next + 1) % WATCHERS_MAX;
}
