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
#include "base/clock.h"
#include "base/fd.h"
#include "base/folder.h"
#include "supervisor/supervisor.h"

enum { ASK_TIMEOUT_MS = 2000, BACKLOG = 8, ATTEMPTS = 5, AT_ONCE = 256 };

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
		return sg_error_set(
			error, -ENOENT,
			"no folder for running sessions: none of XDG_RUNTIME_DIR, XDG_STATE_HOME, HOME is set");
	*ret = sg_buffer_take(&folder);
	return *ret == NULL ? -ENOMEM : 0;
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
	parent = sg_folder_open_own(folder, O_PATH, error);
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
		return sg_error_set_errno(error, status < 0 ? status : -errno, "cannot open the session's door in %s",
					  folder);
	sg_buffer_printf(&path, "%s/%s", folder, session);
	*ret_path = sg_buffer_take(&path);
	if (*ret_path == NULL)
		return -ENOMEM;
	*ret_fd = sg_fd_take(&door);
	return 0;
}

int sg_door_ask(const char *path, const struct sg_door_message *message, char *text, int *ret_fd)
{
	return sg_door_send(path, message, sizeof(*message), NULL, 0, text, ret_fd);
}

/* Connects and sends; `parent` is the pinned folder. Returns the connection, or a negative errno value; -EAGAIN: it was not taken. */
static int begin_asking(int parent, const char *name, const void *request, size_t size, const int *fds, size_t count)
{
	SG_AUTO_FD int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	int status = connection < 0 ? -errno : make_address(parent, name, &address);

	if (status == 0 && connect(connection, (const struct sockaddr *)&address, sizeof(address)) < 0)
		status = -errno;
	if (status == 0)
		status = sg_fd_send(connection, request, size, fds, count);
	if (status < 0)
		return status == -EPIPE || status == -ECONNRESET ? -EAGAIN : status;
	return sg_fd_take(&connection);
}

/* The answer, which is there. Returns 0, or -EAGAIN: the request was not read. */
static int end_asking(int connection, char text[SG_DOOR_TEXT_MAX])
{
	ssize_t size = recv(connection, text, SG_DOOR_TEXT_MAX - 1, 0);

	/* Closed with the request unread (ECONNRESET) or without an answer. */
	if (size <= 0)
		return size < 0 && errno != ECONNRESET ? -errno : -EAGAIN;
	text[size] = '\0';
	return 0;
}

/* As sg_door_send, once. -EAGAIN: it was not taken. */
static int try_send(const char *path, const void *request, size_t request_size, const int *fds, size_t count,
		    char *text, int *ret_fd)
{
	const char *slash = strrchr(path, '/');
	SG_AUTO_FREE char *folder = slash == NULL ? NULL : strndup(path, (size_t)(slash - path));
	SG_AUTO_FD int parent = -1, connection = -1;
	struct pollfd wait;
	int status;

	if (folder == NULL)
		return -EINVAL;
	parent = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return -errno;
	connection = begin_asking(parent, slash + 1, request, request_size, fds, count);
	if (connection < 0)
		return connection;
	wait = (struct pollfd){.fd = connection, .events = POLLIN};
	if (poll(&wait, 1, ASK_TIMEOUT_MS) <= 0)
		return -ETIMEDOUT;
	status = end_asking(connection, text);
	if (status == 0 && ret_fd != NULL)
		*ret_fd = sg_fd_take(&connection);
	return status;
}

/* A request that came too late, since we were held up between connecting and sending, is made again. */
int sg_door_send(const char *path, const void *request, size_t request_size, const int *fds, size_t count, char *text,
		 int *ret_fd)
{
	int status = -EAGAIN;

	for (int i = 0; status == -EAGAIN && i < ATTEMPTS; i++)
		status = try_send(path, request, request_size, fds, count, text, ret_fd);
	return status == -EAGAIN ? -EACCES : status;
}

/* --- several at once --- */

/* Sends the message, anew where it was not taken; what cannot be asked any more has its status. */
static void ask_one(int parent, const struct sg_door_message *message, struct sg_door_asked *asked)
{
	do {
		asked->connection = sg_fd_close(asked->connection);
		asked->connection = begin_asking(parent, asked->name, message, sizeof(*message), NULL, 0);
	} while (asked->connection == -EAGAIN && ++asked->attempts < ATTEMPTS);
	if (asked->connection >= 0)
		return;
	/* -EAGAIN after all: its queue of callers is full, and nobody takes them. */
	asked->status = asked->connection == -EAGAIN ? -ETIMEDOUT : asked->connection;
	asked->connection = -1;
}

static void take_answer(int parent, const struct sg_door_message *message, struct sg_door_asked *asked)
{
	char text[SG_DOOR_TEXT_MAX];
	int status = end_asking(asked->connection, text);

	if (status == -EAGAIN && ++asked->attempts < ATTEMPTS) {
		ask_one(parent, message, asked);
		return;
	}
	asked->connection = sg_fd_close(asked->connection);
	asked->status = status == -EAGAIN ? -EACCES : status;
	if (status == 0) {
		asked->text = strdup(text);
		asked->status = asked->text == NULL ? -ENOMEM : 0;
	}
}

/* Those that are asked at the same time: a descriptor each. */
static void ask_some(int parent, const struct sg_door_message *message, struct sg_door_asked *asked, size_t count,
		     int64_t deadline)
{
	struct pollfd polls[AT_ONCE];
	int64_t left;

	for (size_t i = 0; i < count; i++)
		ask_one(parent, message, &asked[i]);
	while ((left = deadline - sg_now_ms()) > 0) {
		size_t waiting = 0;

		for (size_t i = 0; i < count; i++) {
			polls[i] = (struct pollfd){.fd = asked[i].connection, .events = POLLIN};
			waiting += asked[i].connection >= 0;
		}
		if (waiting == 0 || (poll(polls, (nfds_t)count, (int)left) < 0 && errno != EINTR))
			break;
		for (size_t i = 0; i < count; i++)
			if (asked[i].connection >= 0 && polls[i].revents != 0)
				take_answer(parent, message, &asked[i]);
	}
	for (size_t i = 0; i < count; i++)
		asked[i].connection = sg_fd_close(asked[i].connection);
}

int sg_door_ask_all(const char *folder, const struct sg_door_message *message, struct sg_door_asked *asked,
		    size_t count)
{
	SG_AUTO_FD int parent = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const int64_t deadline = sg_now_ms() + ASK_TIMEOUT_MS;

	if (parent < 0)
		return -errno;
	for (size_t i = 0; i < count; i++) {
		asked[i].status = -ETIMEDOUT;
		asked[i].text = NULL;
		asked[i].connection = -1;
		asked[i].attempts = 0;
	}
	for (size_t i = 0; i < count; i += AT_ONCE)
		ask_some(parent, message, asked + i, count - i < AT_ONCE ? count - i : AT_ONCE, deadline);
	return 0;
}

/* --- the supervisor's side --- */

/* Who asks for what it wants must have said so when the connection is taken, or within this: it is our own program. */
enum { REQUEST_TIMEOUT_MS = 20, WATCHERS_MAX = 16 };

union request {
	struct sg_door_message message;
	struct sg_enter_request enter;
};

/* Connections are kept until the session ends, so that their other ends see that moment; the oldest makes room. */
struct watchers {
	int fds[WATCHERS_MAX];
	size_t next, used;
};

static void keep(struct watchers *watchers, int connection)
{
	if (watchers->used == WATCHERS_MAX)
		sg_fd_close(watchers->fds[watchers->next]);
	else
		watchers->used++;
	watchers->fds[watchers->next] = connection;
	watchers->next = (watchers->next + 1) % WATCHERS_MAX;
}

static bool is_owner(const struct sg_supervisor *supervisor, int connection, struct ucred *ret)
{
	socklen_t size = sizeof(*ret);

	return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, ret, &size) == 0 && size == sizeof(*ret) &&
	       ret->uid == supervisor->owner_seen;
}

static const char *cut(struct sg_supervisor *supervisor, char argument[SG_DOOR_ARGUMENT_MAX])
{
	int status;

	argument[SG_DOOR_ARGUMENT_MAX - 1] = '\0';
	status = sg_network_cut_but(supervisor, argument);
	return status == -EINVAL  ? "what is to be kept must be IP addresses\n"
	       : status == -E2BIG ? "it was cut with exceptions too often: cut it whole\n"
	       : status < 0       ? "it could not be cut: the session ends\n"
				  : "\n";
}

/* Returns the answer, or NULL: none. The descriptors are taken over. */
static const char *obey(struct sg_supervisor *supervisor, union request *request, size_t size, int *fds, size_t count,
			const struct ucred *who)
{
	struct sg_door_message *message = &request->message;

	if (size >= sizeof(message->request) && message->request == SG_DOOR_ENTER) {
		sg_entry_open(supervisor, &request->enter, size, fds, count, who);
		return "\n";
	}
	for (size_t i = 0; i < count; i++)
		sg_fd_close(fds[i]);
	if (size != sizeof(*message))
		return NULL;
	switch (message->request) {
	case SG_DOOR_DESCRIBE:
		return supervisor->description;
	case SG_DOOR_SIGNAL:
		sg_deliver(supervisor->world.command, supervisor->world.command_pidfd, message->value);
		return "\n";
	case SG_DOOR_KILL:
		/* Not even what is queued leaves any more. */
		(void)sg_network_cut_but(supervisor, "");
		supervisor->ended = true;
		supervisor->exit_status = 128 + SIGKILL;
		return "\n";
	case SG_DOOR_CUT:
		return cut(supervisor, message->argument);
	default:
		return NULL;
	}
}

void sg_door_answer(struct sg_supervisor *supervisor)
{
	static struct watchers watchers;
	static union request request;
	SG_AUTO_FD int connection = accept4(supervisor->door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct pollfd wait = {.fd = connection, .events = POLLIN};
	int fds[SG_ENTER_DESCRIPTORS];
	size_t count = 0;
	const char *answer;
	struct ucred who;
	ssize_t size;

	if (connection < 0 || !is_owner(supervisor, connection, &who) || poll(&wait, 1, REQUEST_TIMEOUT_MS) <= 0)
		return;
	size = sg_fd_receive(connection, &request, sizeof(request), fds, SG_ENTER_DESCRIPTORS, &count);
	answer = size <= 0 ? NULL : obey(supervisor, &request, (size_t)size, fds, count, &who);
	if (answer == NULL)
		return;
	(void)send(connection, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
	keep(&watchers, sg_fd_take(&connection));
}

/* --- the keeper's side, while the supervisor stands (world/keeper.c) --- */

static void refuse_entry(int *fds, size_t count)
{
	static const char text[] =
		"the session's supervisor is held up by a call of the world; try again, or stop the session";
	static struct sg_control_message message = {
		.kind = SG_CONTROL_FAILED, .value = 125, .text_size = sizeof(text) - 1};

	memcpy(message.text, text, sizeof(text) - 1);
	if (count > 0)
		(void)send(fds[0], &message, offsetof(struct sg_control_message, text) + message.text_size,
			   MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The answer, or NULL: none. *ret_end: the world is to end. */
static const char *obey_in_its_place(const struct sg_supervisor *supervisor, const union request *request, ssize_t size,
				     bool *ret_end)
{
	if (size >= (ssize_t)sizeof(request->message.request) && request->message.request == SG_DOOR_ENTER)
		return "\n";
	if (size != (ssize_t)sizeof(request->message))
		return NULL;
	switch (request->message.request) {
	case SG_DOOR_DESCRIBE:
		return supervisor->description;
	case SG_DOOR_SIGNAL: /* is not delivered: who wants the session stopped asks for its end next */
		return "\n";
	case SG_DOOR_KILL:
		*ret_end = true;
		return "\n";
	case SG_DOOR_CUT:
		*ret_end = true;
		return "it could not be cut: the session ends\n";
	default:
		return NULL;
	}
}

/* What is not the keeper's to write is only read here; what is static is the keeper's. */
bool sg_door_stand_in(int door, void *data)
{
	static struct watchers watchers;
	static union request request;
	const struct sg_supervisor *supervisor = data;
	bool end = false;

	for (int i = 0; i < WATCHERS_MAX && !end; i++) {
		SG_AUTO_FD int connection = accept4(door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct pollfd wait = {.fd = connection, .events = POLLIN};
		int fds[SG_ENTER_DESCRIPTORS];
		size_t count = 0;
		const char *answer;
		struct ucred who;
		ssize_t size;

		if (connection < 0)
			break;
		if (!is_owner(supervisor, connection, &who) || poll(&wait, 1, REQUEST_TIMEOUT_MS) <= 0)
			continue;
		size = sg_fd_receive(connection, &request, sizeof(request), fds, SG_ENTER_DESCRIPTORS, &count);
		answer = obey_in_its_place(supervisor, &request, size, &end);
		if (size > 0 && request.message.request == SG_DOOR_ENTER)
			refuse_entry(fds, count);
		for (size_t k = 0; k < count; k++)
			sg_fd_close(fds[k]);
		if (answer == NULL)
			continue;
		(void)send(connection, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
		keep(&watchers, sg_fd_take(&connection));
	}
	return end;
}
