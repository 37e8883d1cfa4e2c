/*
 * Ending a socket that somebody else holds, without a capability over its network.
 *
 * shutdown(2) is not enough: of TCP what is queued goes on being sent and read; a socket in SYN_SENT or one
 * that listens stays what it is; a datagram socket goes on receiving. What ends each kind (each step was
 * tried against the kernel, and tests/escape tries it with the holder at work):
 *
 *   TCP        connect(AF_UNSPEC) is tcp_disconnect(): connection reset, both queues thrown away, listener
 *              stopped with what it had not accepted, SYN_SENT ended. What is left is an unconnected socket,
 *              which only connect, listen and sending with MSG_FASTOPEN could revive: decided, decided,
 * refused. datagrams  a filter that drops everything, locked; then shutdown, after which sending is EPIPE for
 * good; then what was corked is thrown away (a send that faults does that: it would leave by setsockopt
 * otherwise); then the peer is dissolved and what was queued is read. unix       shutdown ends both
 * directions for good; what is queued is read, and a listener's queue emptied.
 *
 * The holder may read what was queued until we have; when sg_net_end returns there is nothing more. (A filter
 * on a TCP socket would need CAP_NET_ADMIN on some kernels, and adds nothing to the reset.)
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/net_cut.h"

/* More than any queue holds: a limit, should a queue never end. */
enum { DRAIN_MAX = 1 << 20, DISSOLVE_TRIES = 200 };

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(fd, level, name, &value, &size) < 0 ? -1 : value;
}

/* Nothing that arrives is received from now on. A locked filter is one of ours. */
static int drop_arrivals(int fd)
{
	struct sock_filter drop = {BPF_RET | BPF_K, 0, 0, 0};
	const struct sock_fprog program = {1, &drop};
	const int one = 1;

	if (option(fd, SOL_SOCKET, SO_LOCK_FILTER) == 1)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof(one)) < 0)
		return -errno;
	return 0;
}

/* Kernels of some years refuse while a thread waits in the socket: a shutdown wakes it. */
static int dissolve(int fd)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};

	for (int i = 0; i < DISSOLVE_TRIES; i++) {
		if (connect(fd, &none, sizeof(none)) == 0)
			return 0;
		if (errno != EBUSY)
			return -errno;
		(void)shutdown(fd, SHUT_RDWR);
		(void)poll(NULL, 0, 1);
	}
	return -EBUSY;
}

/* Reads and forgets what is queued. Descriptors in it are closed, as there is no room for them. */
static int drain(int fd, int flags)
{
	static char nowhere[65536];

	for (int i = 0; i < DRAIN_MAX; i++) {
		ssize_t size = recv(fd, nowhere, sizeof(nowhere), MSG_DONTWAIT | MSG_TRUNC | flags);
		int type = option(fd, SOL_SOCKET, SO_TYPE);

		if (size < 0 && (errno == EAGAIN || errno == ENOTCONN || errno == EINVAL || errno == EOPNOTSUPP))
			return 0;
		/* The end of a stream; an empty datagram is one like others. */
		if (size == 0 && type == SOCK_STREAM)
			return 0;
		if (size == 0 && type == SOCK_SEQPACKET && (flags & MSG_ERRQUEUE) == 0 &&
		    recv(fd, nowhere, 1, MSG_DONTWAIT | MSG_PEEK) == 0)
			return 0;
	}
	return -EIO;
}

/* What was sent with MSG_MORE, or corked, waits in the socket and leaves by setsockopt(UDP_CORK). A message
 * that cannot be copied ends it (udp_flush_pending_frames). */
static int flush_corked(int fd)
{
	static char *unreadable;
	ssize_t size;

	if (unreadable == NULL) {
		void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (page == MAP_FAILED)
			return -errno;
		unreadable = page;
	}
	size = send(fd, unreadable, 1, MSG_MORE | MSG_DONTWAIT | MSG_NOSIGNAL);
	return size < 0 ? 0 : -EIO;
}

static int end_stream(int fd)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);
	int status = dissolve(fd);

	if (status == 0)
		status = drain(fd, MSG_ERRQUEUE);
	if (status == 0 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		status = -errno;
	return status == 0 && info.tcpi_state != TCP_CLOSE ? -EBUSY : status;
}

static int end_datagrams(int fd)
{
	int status = drop_arrivals(fd);

	(void)shutdown(fd, SHUT_RDWR); /* ENOTCONN without a peer, and done all the same */
	if (status == 0)
		status = flush_corked(fd);
	if (status == 0)
		status = dissolve(fd);
	if (status == 0)
		status = drain(fd, 0);
	return status == 0 ? drain(fd, MSG_ERRQUEUE) : status;
}

void sg_net_drop_connections(int listener)
{
	struct pollfd ready = {.fd = listener, .events = POLLIN};

	for (int i = 0; i < DRAIN_MAX && poll(&ready, 1, 0) > 0; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			break;
		sg_fd_close(fd);
	}
}

static int end_unix(int fd)
{
	if (shutdown(fd, SHUT_RDWR) < 0 && errno != ENOTCONN)
		return -errno;
	if (option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1) {
		sg_net_drop_connections(fd);
		return 0;
	}
	(void)drain(fd, MSG_OOB);
	return drain(fd, 0);
}

int sg_net_end(int fd)
{
	const int domain = option(fd, SOL_SOCKET, SO_DOMAIN), type = option(fd, SOL_SOCKET, SO_TYPE),
		  protocol = option(fd, SOL_SOCKET, SO_PROTOCOL);

	if (domain == AF_UNIX)
		return end_unix(fd);
	if (domain != AF_INET && domain != AF_INET6)
		return -EPROTONOSUPPORT;
	if (type == SOCK_STREAM && protocol == IPPROTO_TCP)
		return end_stream(fd);
	if (type == SOCK_DGRAM && (protocol == IPPROTO_UDP || protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6))
		return end_datagrams(fd);
	/* Of a kind that we never gave. */
	return -EPROTONOSUPPORT;
}

bool sg_net_is_ended(const struct sg_network *network, int fd)
{
	const struct sg_net_outside *entry = sg_net_find_outside(network, sg_net_cookie(fd));

	return (entry != NULL && entry->ended) || option(fd, SOL_SOCKET, SO_LOCK_FILTER) == 1;
}

int sg_net_seal(int fd)
{
	int status = drop_arrivals(fd);

	(void)shutdown(fd, SHUT_RDWR);
	return status;
}
