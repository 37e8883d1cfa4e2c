/*
 * Sockets: what a descriptor of the caller is, outside ones like it, and the swap.
 *
 * An outside socket is made by us, with nothing of the caller's but options that stay with a socket and
 * change neither where its packets go nor whose they are: a fixed list, each value read from our copy. Each
 * is in the registry (net_registry.c) before it is given.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "supervisor/network.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif

int64_t sg_net_now(void)
{
	return sg_now_ms();
}

void sg_net_socket_done(struct sg_net_socket *socket)
{
	socket->fd = sg_net_close(socket, socket->fd);
}

static int read_option(int fd, int level, int name, int *ret)
{
	socklen_t size = sizeof(*ret);

	return getsockopt(fd, level, name, ret, &size) < 0 ? -errno : 0;
}

static uint8_t kind_of(const struct sg_net_socket *socket)
{
	if (socket->domain == AF_UNIX)
		return SG_PROTOCOL_UNIX;
	if (socket->domain != AF_INET && socket->domain != AF_INET6)
		return 0;
	if (socket->type == SOCK_STREAM && socket->protocol == IPPROTO_TCP)
		return SG_PROTOCOL_TCP;
	if (socket->type == SOCK_DGRAM && socket->protocol == IPPROTO_UDP)
		return SG_PROTOCOL_UDP;
	if (socket->type == SOCK_DGRAM &&
	    socket->protocol == (socket->domain == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return SG_PROTOCOL_ICMP;
	return 0;
}

int sg_net_socket_pin(struct sg_request *request, int number, struct sg_net_socket *ret)
{
	const struct sg_network *network = request->supervisor->network;
	SG_AUTO_NET_SOCKET struct sg_net_socket pinned = {.fd = sg_caller_descriptor(&request->caller, number),
							  .number = number,
							  .tid = request->caller.tid,
							  .proc = request->caller.proc};
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	if (pinned.fd < 0)
		return pinned.fd;
	/* What was read is the caller's if the call is still pending: until then its thread has its number.
	 */
	if (!sg_caller_valid(&request->caller))
		return -EINTR;
	if (getsockopt(pinned.fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0)
		return errno == ENOTSOCK || errno == EBADF ? -errno : -EACCES;
	if (cookie != network->world_cookie && cookie != network->host_cookie)
		return -EACCES;
	pinned.outside = cookie == network->host_cookie;
	*ret = pinned;
	pinned.fd = -1;
	return 0;
}

int sg_net_socket_know(struct sg_net_socket *socket)
{
	int status = read_option(socket->fd, SOL_SOCKET, SO_DOMAIN, &socket->domain), flags;

	if (status == 0)
		status = read_option(socket->fd, SOL_SOCKET, SO_TYPE, &socket->type);
	if (status == 0)
		status = read_option(socket->fd, SOL_SOCKET, SO_PROTOCOL, &socket->protocol);
	if (status < 0)
		return status;
	flags = fcntl(socket->fd, F_GETFL);
	if (flags < 0)
		return -errno;
	socket->nonblocking = (flags & O_NONBLOCK) != 0;
	socket->kind = kind_of(socket);
	return 0;
}

int sg_net_socket_take(struct sg_request *request, int number, struct sg_net_socket *ret)
{
	SG_AUTO_NET_SOCKET struct sg_net_socket taken = SG_NET_SOCKET_INIT;
	int status = sg_net_socket_pin(request, number, &taken);

	if (status == 0)
		status = sg_net_socket_know(&taken);
	if (status < 0)
		return status;
	*ret = taken;
	taken.fd = -1;
	return 0;
}

/* What is carried over. SIZE: the kernel doubles what is set, and setting it ends its own tuning. */
enum carried { CARRY_INT, CARRY_SIZE, CARRY_LINGER, CARRY_TIME };

static const struct {
	int level, name;
	enum carried what;
	uint8_t kinds;
} options[] = {
	{SOL_SOCKET, SO_REUSEADDR, CARRY_INT, SG_PROTOCOL_TCP | SG_PROTOCOL_UDP},
	{SOL_SOCKET, SO_KEEPALIVE, CARRY_INT, SG_PROTOCOL_TCP},
	{SOL_SOCKET, SO_BROADCAST, CARRY_INT, SG_PROTOCOL_UDP | SG_PROTOCOL_ICMP},
	{SOL_SOCKET, SO_OOBINLINE, CARRY_INT, SG_PROTOCOL_TCP},
	{SOL_SOCKET, SO_LINGER, CARRY_LINGER, SG_PROTOCOL_TCP},
	{SOL_SOCKET, SO_SNDBUF, CARRY_SIZE, 0xff},
	{SOL_SOCKET, SO_RCVBUF, CARRY_SIZE, 0xff},
	{SOL_SOCKET, SO_RCVTIMEO, CARRY_TIME, 0xff},
	{SOL_SOCKET, SO_SNDTIMEO, CARRY_TIME, 0xff},
	{SOL_SOCKET, SO_TIMESTAMP, CARRY_INT, SG_PROTOCOL_UDP | SG_PROTOCOL_ICMP},
	{IPPROTO_TCP, TCP_NODELAY, CARRY_INT, SG_PROTOCOL_TCP},
	{IPPROTO_TCP, TCP_KEEPIDLE, CARRY_INT, SG_PROTOCOL_TCP},
	{IPPROTO_TCP, TCP_KEEPINTVL, CARRY_INT, SG_PROTOCOL_TCP},
	{IPPROTO_TCP, TCP_KEEPCNT, CARRY_INT, SG_PROTOCOL_TCP},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, CARRY_INT, SG_PROTOCOL_TCP},
	{IPPROTO_TCP, TCP_SYNCNT, CARRY_INT, SG_PROTOCOL_TCP},
	{IPPROTO_TCP, TCP_DEFER_ACCEPT, CARRY_INT, SG_PROTOCOL_TCP},
	{IPPROTO_IP, IP_TTL, CARRY_INT, SG_PROTOCOL_IP_ALL},
	{IPPROTO_IP, IP_TOS, CARRY_INT, SG_PROTOCOL_IP_ALL},
	{IPPROTO_IP, IP_RECVERR, CARRY_INT, SG_PROTOCOL_UDP | SG_PROTOCOL_ICMP},
	{IPPROTO_IP, IP_RECVTTL, CARRY_INT, SG_PROTOCOL_UDP | SG_PROTOCOL_ICMP},
	{IPPROTO_IP, IP_MTU_DISCOVER, CARRY_INT, SG_PROTOCOL_UDP | SG_PROTOCOL_ICMP},
	{IPPROTO_IPV6, IPV6_V6ONLY, CARRY_INT, SG_PROTOCOL_IP_ALL},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS, CARRY_INT, SG_PROTOCOL_IP_ALL},
	{IPPROTO_IPV6, IPV6_TCLASS, CARRY_INT, SG_PROTOCOL_IP_ALL},
	{IPPROTO_IPV6, IPV6_RECVERR, CARRY_INT, SG_PROTOCOL_UDP | SG_PROTOCOL_ICMP},
	{IPPROTO_IPV6, IPV6_RECVHOPLIMIT, CARRY_INT, SG_PROTOCOL_UDP | SG_PROTOCOL_ICMP},
};

union value {
	int number;
	struct linger linger;
	struct timeval time;
	unsigned char bytes[16];
};

/* The options of a fresh socket of one domain and kind: asked once, of the first that is made. Owned by the
 * main thread. */
struct defaults {
	int domain;
	uint8_t kind; /* 0: free */
	struct {
		bool has;
		union value value;
	} options[SG_ARRAY_SIZE(options)];
};

static bool concerns(size_t option, const struct sg_net_socket *socket)
{
	return (options[option].kinds & socket->kind) != 0 &&
	       (options[option].level != IPPROTO_IPV6 || socket->domain == AF_INET6) &&
	       (options[option].level != IPPROTO_IP || socket->domain != AF_UNIX);
}

static const struct defaults *find_defaults(const struct sg_net_socket *like, int fresh)
{
	static struct defaults known[8]; /* three kinds in two domains, and unix */
	struct defaults *found = known;

	while (found->kind != 0 && (found->domain != like->domain || found->kind != like->kind))
		found++;
	if (found->kind != 0)
		return found;
	found->domain = like->domain;
	found->kind = like->kind;
	for (size_t i = 0; i < SG_ARRAY_SIZE(options); i++) {
		socklen_t size = sizeof(found->options[i].value);

		found->options[i].has = concerns(i, like) && getsockopt(fresh, options[i].level, options[i].name,
									&found->options[i].value, &size) == 0;
	}
	return found;
}

/* Sets only what differs from a fresh socket: defaults stay defaults. A value that the host refuses is left
 * out. */
void sg_net_carry_options(const struct sg_net_socket *from, int to)
{
	const struct defaults *defaults = find_defaults(from, to);

	for (size_t i = 0; i < SG_ARRAY_SIZE(options); i++) {
		union value wanted = {0};
		socklen_t size = sizeof(wanted);

		if (!defaults->options[i].has ||
		    getsockopt(from->fd, options[i].level, options[i].name, &wanted, &size) < 0 ||
		    memcmp(&defaults->options[i].value, &wanted, sizeof(wanted)) == 0)
			continue;
		if (options[i].what == CARRY_SIZE)
			wanted.number /= 2;
		(void)setsockopt(to, options[i].level, options[i].name, &wanted, size);
	}
}

int sg_net_make_outside(const struct sg_net_socket *socket_like)
{
	int fd = socket(socket_like->domain, socket_like->type | SOCK_CLOEXEC | SOCK_NONBLOCK, socket_like->protocol);

	if (fd < 0)
		return -errno;
	sg_net_carry_options(socket_like, fd);
	return fd;
}

/*
 * Descriptors whose swap was asked for, by the files in /proc that describe them. Such a file stands for one number of one thread:
 * the kernel looks at the thread's table anew for each read, and when the thread has ended it says so, whoever has its number then.
 * A program that connects again and again does so under the same few numbers. Of the main thread.
 */
static struct {
	pid_t tid; /* 0: free */
	int number;
	int fd;
} described[64];

/* Reads it into `text`. Returns the size, or 0. */
static size_t describe(const struct sg_request *request, int number, char *text, size_t size)
{
	const size_t slot = ((size_t)request->caller.tid * 31 + (size_t)number) % SG_ARRAY_SIZE(described);
	ssize_t count;
	char path[48];

	if (described[slot].tid == request->caller.tid && described[slot].number == number) {
		count = pread(described[slot].fd, text, size, 0);
		if (count > 0)
			return (size_t)count;
	}
	if (described[slot].tid != 0)
		sg_fd_close(described[slot].fd);
	(void)snprintf(path, sizeof(path), "%d/fdinfo/%d", (int)request->caller.tid, number);
	described[slot].tid = request->caller.tid;
	described[slot].number = number;
	described[slot].fd = openat(request->caller.proc, path, O_RDONLY | O_CLOEXEC);
	if (described[slot].fd < 0) {
		described[slot].tid = 0;
		return 0;
	}
	/* The kernel gives such a file with one read. */
	count = pread(described[slot].fd, text, size, 0);
	return count > 0 ? (size_t)count : 0;
}

/* The close-on-exec flag of the caller's descriptor. */
static bool closes_on_exec(const struct sg_request *request, int number)
{
	char text[512];
	const char *flags;

	text[describe(request, number, text, sizeof(text) - 1)] = '\0';
	flags = strstr(text, "flags:\t");
	return flags == NULL || (strtoul(flags + 7, NULL, 8) & O_CLOEXEC) != 0;
}

int sg_net_is_busy(const struct sg_net_socket *socket)
{
	struct sockaddr_storage peer;
	struct tcp_info info = {.tcpi_state = TCP_CLOSE};
	socklen_t size = sizeof(info), length = sizeof(peer);

	if (socket->type == SOCK_DGRAM)
		return 0;
	if (socket->kind != SG_PROTOCOL_TCP)
		return getpeername(socket->fd, (struct sockaddr *)&peer, &length) == 0 ? -EISCONN : 0;
	if (getsockopt(socket->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		return -errno;
	return info.tcpi_state == TCP_CLOSE ? 0 : info.tcpi_state == TCP_SYN_SENT ? -EALREADY : -EISCONN;
}

int sg_net_put(struct sg_request *request, const struct sg_net_socket *socket, int fd)
{
	struct sg_net_watches watches;
	int status;

	/* It was made with no other flag. */
	if (!socket->nonblocking && fcntl(fd, F_SETFL, 0) < 0)
		return -errno;
	sg_net_find_watches(request, socket, &watches);
	status = sg_replace_descriptor(request, socket->number, fd, closes_on_exec(request, socket->number));
	sg_net_move_watches(socket, status == 0 ? fd : socket->fd, &watches);
	return status;
}

int sg_net_swap(struct sg_request *request, const struct sg_net_socket *socket, int fd, enum sg_net_origin origin,
		const struct sg_address *address)
{
	return sg_net_register(request->supervisor->network, fd, origin, address) == 0
		       ? -ENOBUFS
		       : sg_net_put(request, socket, fd);
}

int64_t sg_net_deadline(const struct sg_net_socket *socket, int option)
{
	struct timeval time = {0};
	socklen_t size = sizeof(time);

	if (getsockopt(socket->fd, SOL_SOCKET, option, &time, &size) < 0 || (time.tv_sec == 0 && time.tv_usec == 0))
		return INT64_MAX;
	if (time.tv_sec > INT32_MAX)
		return INT64_MAX;
	return sg_net_now() + (int64_t)time.tv_sec * 1000 + time.tv_usec / 1000 + 1;
}
