/*
 * Connections on loopback: socket, connect, close.
 *
 * The client closes with SO_LINGER at zero, so that no TIME_WAIT is left and ports do not run out. The server
 * accepts and closes. Between batches the client makes one connection more and reads its end, which arrives
 * only when the server has taken all earlier ones: so the queue of the listener (a batch is smaller) cannot
 * overflow, which would cost a second.
 */
#include "loops.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/fd.h"

/* Room for a batch of the largest count that is allowed; net.core.somaxconn is 4096 since Linux 5.4. */
enum { BACKLOG = 4096, CONNECT_COUNT_MAX = LOOP_BATCHES * 2000 };

static int parse_address(const char *address, uint16_t port, struct sockaddr_in *ret_address)
{
	struct sockaddr_in parsed = {.sin_family = AF_INET, .sin_port = htons(port)};

	if (inet_pton(AF_INET, address, &parsed.sin_addr) != 1)
		return -EINVAL;
	*ret_address = parsed;
	return 0;
}

static int connect_to(const struct sockaddr_in *address, int *ret_fd)
{
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	SG_AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return -errno;
	*ret_fd = sg_fd_take(&fd);
	return 0;
}

static int do_connect(void *address)
{
	int fd = -1;
	int r = connect_to(address, &fd);

	(void)sg_fd_close(fd);
	return r;
}

/* Waits until the server has taken every earlier connection. */
static int settle(void *address)
{
	SG_AUTO_FD int fd = -1;
	char byte;
	int r = connect_to(address, &fd);

	if (r < 0)
		return r;
	return read(fd, &byte, 1) < 0 && errno != ECONNRESET ? -errno : 0;
}

static int listen_on(const char *host, uint16_t port, int *ret_fd, struct sockaddr_in *ret_address)
{
	struct sockaddr_in address;
	socklen_t size = sizeof(address);
	SG_AUTO_FD int fd = -1;
	int r = parse_address(host, port, &address);

	if (r < 0)
		return r;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return -errno;
	*ret_address = address;
	*ret_fd = sg_fd_take(&fd);
	return 0;
}

static int serve_one(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return errno == EINTR || errno == ECONNABORTED ? 0 : -errno;
	(void)close(fd);
	return 0;
}

int loop_connect_server(char **arguments)
{
	SG_AUTO_FD int listener = -1;
	struct sockaddr_in address;
	/* "0" asks for any free port, which loop_number() would refuse. */
	uint16_t port = strcmp(arguments[1], "0") == 0 ? 0 : (uint16_t)loop_number(arguments[1], UINT16_MAX, "PORT");
	int r = listen_on(arguments[0], port, &listener, &address);

	if (r < 0)
		return r;
	(void)printf("{\"op\":\"connect-server\",\"port\":%u}\n", (unsigned int)ntohs(address.sin_port));
	(void)fflush(stdout);
	for (;;) {
		struct pollfd ready[] = {{.fd = listener, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};

		if (poll(ready, SG_ARRAY_SIZE(ready), -1) < 0 && errno != EINTR)
			return -errno;
		if (ready[1].revents)
			return 0;
		if (!ready[0].revents)
			continue;
		r = serve_one(listener);
		if (r < 0)
			return r;
	}
}

int loop_connect_client(char **arguments)
{
	uint64_t count = loop_number(arguments[0], CONNECT_COUNT_MAX, "COUNT");
	struct sockaddr_in address;
	int r = parse_address(arguments[1], (uint16_t)loop_number(arguments[2], UINT16_MAX, "PORT"), &address);

	return r < 0 ? r : loop_measure("connect", count, do_connect, settle, &address);
}

static SG_NORETURN void run_pair_server(int listener, pid_t parent)
{
	/* So that it ends with the client, however that ends; the second check is for a parent that was gone
	 * before. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	while (serve_one(listener) == 0)
		continue;
	_exit(1);
}

int loop_connect_pair(char **arguments)
{
	uint64_t count = loop_number(arguments[0], CONNECT_COUNT_MAX, "COUNT");
	SG_AUTO_FD int listener = -1;
	struct sockaddr_in address;
	pid_t parent = getpid();
	pid_t server;
	int r = listen_on("127.0.0.1", 0, &listener, &address);

	if (r < 0)
		return r;
	server = fork();
	if (server < 0)
		return -errno;
	if (server == 0)
		run_pair_server(listener, parent);
	r = loop_measure("connect", count, do_connect, settle, &address);
	(void)kill(server, SIGKILL);
	while (waitpid(server, NULL, 0) < 0 && errno == EINTR)
		continue;
	return r;
}
