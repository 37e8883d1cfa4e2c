/* Ways to a server of the host, and families of sockets that no world needs. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "probe.h"

static int families(int argc, char **argv)
{
	static const struct {
		const char *name;
		int domain, type, protocol;
	} sockets[] = {
		{"alg", AF_ALG, SOCK_SEQPACKET, 0},
		{"vsock", AF_VSOCK, SOCK_STREAM, 0},
		{"rxrpc", 33, SOCK_DGRAM, 0},
		{"tipc", 30, SOCK_STREAM, 0},
		{"packet", AF_PACKET, SOCK_RAW, 0},
		{"netlink-xfrm", AF_NETLINK, SOCK_RAW, 6},
		{"netlink-netfilter", AF_NETLINK, SOCK_RAW, 12},
		{"netlink-audit", AF_NETLINK, SOCK_RAW, 9},
		{"netlink-uevent", AF_NETLINK, SOCK_DGRAM, 15},
		{"netlink-diag", AF_NETLINK, SOCK_RAW, 4},
		{"netlink-generic", AF_NETLINK, SOCK_RAW, 16},
		{"key", AF_KEY, SOCK_RAW, 2},
		{"bluetooth", AF_BLUETOOTH, SOCK_RAW, 1},
		{"can", AF_CAN, SOCK_RAW, 1},
		{"xdp", 44, SOCK_RAW, 0},
		{"raw", AF_INET, SOCK_RAW, IPPROTO_RAW},
		{"mptcp", AF_INET, SOCK_STREAM, 262},
		{"sctp", AF_INET, SOCK_STREAM, IPPROTO_SCTP},
		{"unix-raw", AF_UNIX, SOCK_RAW, 0},
		{"smc", 43, SOCK_STREAM, 0},
		{"kcm", 41, SOCK_DGRAM, 0},
		{"unknown", 99, SOCK_STREAM, 0},
		{"packet-type", AF_INET, SOCK_PACKET, 0},
	};

	(void)argc;
	(void)argv;
	for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++)
		(void)must_fail(sockets[i].name, socket(sockets[i].domain, sockets[i].type, sockets[i].protocol));
	(void)must_work("pair", socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0}));
	return 0;
}

/* What is asked of one address by every call that takes one. The server of the host says whether anything
 * came. */
static void ask(const char *what, int domain, int type, const void *address, socklen_t length)
{
	struct iovec vector = {.iov_base = (char[]){"escape"}, .iov_len = 6};
	struct mmsghdr messages[1] = {{.msg_hdr = {.msg_name = (void *)(size_t)address,
						   .msg_namelen = length,
						   .msg_iov = &vector,
						   .msg_iovlen = 1}}};
	char label[128];
	int fd = socket(domain, type, 0), pair[2] = {-1, -1};

	(void)snprintf(label, sizeof(label), "%s-connect", what);
	(void)must_fail(label, connect(fd, address, length));
	(void)snprintf(label, sizeof(label), "%s-connect-again", what);
	(void)must_fail(label, connect(fd, address, length));
	(void)snprintf(label, sizeof(label), "%s-sendto", what);
	(void)must_fail(label, sendto(fd, "escape", 6, MSG_NOSIGNAL, address, length));
	(void)snprintf(label, sizeof(label), "%s-fastopen", what);
	(void)must_fail(label, sendto(fd, "escape", 6, MSG_NOSIGNAL | MSG_FASTOPEN, address, length));
	(void)snprintf(label, sizeof(label), "%s-sendmsg", what);
	(void)must_fail(label, sendmsg(fd, &messages[0].msg_hdr, MSG_NOSIGNAL));
	(void)snprintf(label, sizeof(label), "%s-sendmsg-fastopen", what);
	(void)must_fail(label, sendmsg(fd, &messages[0].msg_hdr, MSG_NOSIGNAL | MSG_FASTOPEN));
	(void)snprintf(label, sizeof(label), "%s-sendmmsg", what);
	(void)must_fail(label, sendmmsg(fd, messages, 1, MSG_NOSIGNAL));
	(void)close(fd);
	if (domain != AF_UNIX || socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
		return;
	(void)snprintf(label, sizeof(label), "%s-pair-sendto", what);
	(void)must_fail(label, sendto(pair[0], "escape", 6, MSG_NOSIGNAL, address, length));
	(void)snprintf(label, sizeof(label), "%s-pair-sendmsg", what);
	(void)must_fail(label, sendmsg(pair[0], &messages[0].msg_hdr, MSG_NOSIGNAL));
	(void)snprintf(label, sizeof(label), "%s-pair-sendmmsg", what);
	(void)must_fail(label, sendmmsg(pair[0], messages, 1, MSG_NOSIGNAL));
}

/* PORT: of TCP and UDP servers on the host's 127.0.0.1 and ::1. */
static int inet(int argc, char **argv)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[0]))};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = four.sin_port};
	static const char *const hosts[] = {"127.0.0.1", "127.1.2.3", "0.0.0.0"};
	static const char *const hosts6[] = {"::1", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0"};

	(void)argc;
	for (size_t i = 0; i < 3; i++) {
		(void)inet_pton(AF_INET, hosts[i], &four.sin_addr);
		ask(hosts[i], AF_INET, SOCK_STREAM, &four, sizeof(four));
	}
	for (size_t i = 0; i < 4; i++) {
		(void)inet_pton(AF_INET6, hosts6[i], &six.sin6_addr);
		ask(hosts6[i], AF_INET6, SOCK_STREAM, &six, sizeof(six));
	}
	(void)inet_pton(AF_INET, "127.0.0.1", &four.sin_addr);
	for (socklen_t length = 0; length <= sizeof(four); length++) {
		char label[32];
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		(void)snprintf(label, sizeof(label), "length-%u", length);
		(void)must_fail(label, connect(fd, (struct sockaddr *)&four, length));
		(void)close(fd);
	}
	(void)must_fail("length-negative", syscall(SYS_connect, socket(AF_INET, SOCK_STREAM, 0), &four, -1));
	(void)must_fail("length-huge", syscall(SYS_connect, socket(AF_INET, SOCK_STREAM, 0), &four, 4096));
	four.sin_family = 77;
	(void)must_fail("family-odd", connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&four, sizeof(four)));
	(void)must_work("pair", socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0}));
	return 0;
}

/* PATH ABSTRACT: a socket of the host in a folder that may be read, and an abstract one. */
static int unix_sockets(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const socklen_t start = offsetof(struct sockaddr_un, sun_path);

	(void)argc;
	(void)strncpy(address.sun_path, argv[0], sizeof(address.sun_path) - 1);
	ask("path", AF_UNIX, SOCK_STREAM, &address, sizeof(address));
	ask("path-short", AF_UNIX, SOCK_STREAM, &address, start + (socklen_t)strlen(argv[0]));
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/root%s", argv[0]);
	ask("path-by-proc", AF_UNIX, SOCK_STREAM, &address, sizeof(address));
	memset(address.sun_path, 0, sizeof(address.sun_path));
	(void)strncpy(address.sun_path + 1, argv[1], sizeof(address.sun_path) - 2);
	ask("abstract", AF_UNIX, SOCK_STREAM, &address, start + 1 + (socklen_t)strlen(argv[1]));
	ask("empty", AF_UNIX, SOCK_STREAM, &address, start);
	(void)must_work("pair", socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0}));
	return 0;
}

static const int on = 1;
static volatile int shared = -1;

static struct sockaddr_in everywhere(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
}

/* Lets others share the port of whatever `shared` is, again and again. */
static void *insist(void *data)
{
	while (shared >= 0)
		(void)setsockopt(shared, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return data;
}

/* A socket that leads outside, and has no port any more. */
static int dissolved(void)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	const struct sockaddr_in any = everywhere(0);
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		return -1;
	(void)connect(fd, &none, sizeof(none));
	return fd;
}

/* PORT FREE: a datagram port of the host that its server would share, and one that nobody has. */
static int shared_ports(int argc, char **argv)
{
	const struct sockaddr_in taken = everywhere(argc < 2 ? 0 : atoi(argv[0])),
				 open_one = everywhere(argc < 2 ? 0 : atoi(argv[1]));
	const struct sockaddr_in6 taken6 = {.sin6_family = AF_INET6, .sin6_port = taken.sin_port};
	int fds[] = {socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET6, SOCK_DGRAM, 0), dissolved(),
		     socket(AF_INET, SOCK_DGRAM, 0)};
	pthread_t thread;
	int lasting;

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		(void)setsockopt(fds[i], SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	must_fail("wildcard", bind(fds[0], (const struct sockaddr *)&taken, sizeof(taken)));
	must_fail("wildcard6", bind(fds[1], (const struct sockaddr *)&taken6, sizeof(taken6)));
	must_fail("dissolved", bind(fds[2], (const struct sockaddr *)&taken, sizeof(taken)));
	shared = lasting = dissolved();
	if (pthread_create(&thread, NULL, insist, NULL) != 0)
		return 2;
	for (int i = 0; i < 500; i++)
		if (bind(lasting, (const struct sockaddr *)&taken, sizeof(taken)) == 0)
			escaped("insisting");
	shared = -1;
	(void)pthread_join(thread, NULL);
	refused("insisting", EADDRINUSE);
	(void)must_work("free", bind(fds[3], (const struct sockaddr *)&open_one, sizeof(open_one)));
	return 0;
}

const struct probe probes[] = {
	{"shared-ports", shared_ports}, {"families", families}, {"inet", inet}, {"unix", unix_sockets}, {NULL, NULL}};
