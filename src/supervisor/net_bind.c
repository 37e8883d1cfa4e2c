/*
 * bind, listen, accept.
 *
 * A port of the host is given by a rule under Listen, or by the flag incoming: a socket of the host's
 * network, bound by us from the decided address, takes the place of the caller's. Everything else happens in
 * the world's own network, on the copy of the caller's socket. An outside socket listens only where its own
 * local address is one that may be listened on: it is asked of the socket, not remembered, so that neither a
 * refused connection nor a socket passed on becomes a listener.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/guard.h"
#include "supervisor/network.h"

static void answer(struct sg_request *request, int status)
{
	if (status < 0)
		sg_answer_error(request, -status);
	else
		sg_answer_value(request, status);
}

static int local_address(const struct sg_net_socket *socket, int fd, struct sg_address *ret)
{
	struct sockaddr_storage raw;
	socklen_t size = sizeof(raw);
	int status;

	if (getsockname(fd, (struct sockaddr *)&raw, &size) < 0)
		return -errno;
	status = sg_address_from_sockaddr(&raw, size, socket->domain, socket->kind, SG_ADDRESS_BIND, ret);
	return status > 0 ? -EINVAL : status;
}

/* Notes that a port of the host is the world's: its loopback address means that port then. */
static void note_port(struct sg_network *network, const struct sg_net_socket *socket, int fd)
{
	struct sg_address address;

	if (local_address(socket, fd, &address) < 0)
		return;
	/* The swap registered it just now. A full table forgets the oldest: its port is reached by other
	 * names still. */
	network->ports[network->port_next] =
		(struct sg_net_port){.serial = network->serial, .port = address.port, .protocol = socket->kind};
	network->port_next = (network->port_next + 1) % SG_NET_PORTS_MAX;
}

/* A bound socket of the host's network in the place of the caller's; `listens`: with this backlog, or -1. */
static int give_bound(struct sg_request *request, const struct sg_net_socket *socket, const struct sg_address *address,
		      int backlog)
{
	struct sockaddr_storage raw;
	socklen_t length = sg_address_to_sockaddr(address, &raw);
	SG_AUTO_FD int fd = sg_net_make_outside(socket);
	const int off = 0;
	int status;

	if (fd < 0)
		return fd;
	/*
	 * A datagram port that several sockets may have is theirs whose bind was the last: what is sent to a server of the host, which
	 * lets others join, would be the world's. Until it is given nobody else can set the option again.
	 */
	if (socket->kind == SG_PROTOCOL_UDP && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &off, sizeof(off)) < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&raw, length) < 0 || (backlog >= 0 && listen(fd, backlog) < 0))
		return -errno;
	status = sg_net_swap(request, socket, fd, SG_NET_ORIGIN_BOUND, address);
	if (status == 0)
		note_port(request->supervisor->network, socket, fd);
	return status;
}

/*
 * A port for a socket that may come to listen on the host: one that is free there now. 0: whatever the kernel
 * chooses.
 */
static uint16_t choose_port(const struct sg_network *network, const struct sg_net_socket *socket,
			    const struct sg_address *address)
{
	struct sockaddr_storage raw;
	socklen_t length = sg_address_to_sockaddr(address, &raw);
	SG_AUTO_FD int probe = -1;
	struct sg_address chosen;

	if (!network->rules.incoming || socket->kind != SG_PROTOCOL_TCP || !address->wildcard || address->port != 0)
		return 0;
	probe = sg_net_make_outside(socket);
	if (probe < 0 || bind(probe, (const struct sockaddr *)&raw, length) < 0 ||
	    local_address(socket, probe, &chosen) < 0)
		return 0;
	return chosen.port;
}

/* bind(2) in the world's own network. */
static int bind_own(const struct sg_network *network, const struct sg_net_socket *socket,
		    const struct sg_address *address)
{
	struct sg_address wanted = *address;
	struct sockaddr_storage raw;
	socklen_t length;

	wanted.port = choose_port(network, socket, address);
	length = sg_address_to_sockaddr(&wanted, &raw);
	if (wanted.port != 0 && bind(socket->fd, (const struct sockaddr *)&raw, length) == 0)
		return 0;
	length = sg_address_to_sockaddr(address, &raw);
	return bind(socket->fd, (const struct sockaddr *)&raw, length) < 0 ? -errno : 0;
}

/*
 * The world's own network has a loopback and nothing else: an address that it does not have is one of the host's or nobody's,
 * and that a rule is missing is the better word for it.
 */
static void answer_own(struct sg_request *request, const struct sg_net_socket *socket, const struct sg_address *address)
{
	static const struct sg_decision missing = {.verdict = SG_VERDICT_DENY,
						   .error = EADDRNOTAVAIL,
						   .reason = "no rule allows listening on this address of the host"};
	int status = bind_own(request->supervisor->network, socket, address);

	if (status == -EADDRNOTAVAIL)
		sg_net_refuse(request, &missing, address);
	else
		answer(request, status);
}

/*
 * One that leads outside already, as when its peer was dissolved, has its options set by the world at any moment: what is bound is a
 * socket that is not the world's yet.
 */
static int bind_again(struct sg_request *request, const struct sg_net_socket *socket, const struct sg_address *address)
{
	struct sg_address bound;

	if (socket->kind != SG_PROTOCOL_UDP)
		return bind_own(request->supervisor->network, socket, address);
	if (local_address(socket, socket->fd, &bound) < 0 || bound.port != 0)
		return -EINVAL;
	return give_bound(request, socket, address, -1);
}

static void bind_internet(struct sg_request *request, const struct sg_net_socket *socket,
			  const struct sg_address *address)
{
	struct sg_network *network = request->supervisor->network;
	struct sg_decision decision;
	enum sg_net_where where = sg_net_decide(network, address, SG_ADDRESS_BIND, &decision);

	if (where == SG_NET_OWN && socket->outside) {
		decision = (struct sg_decision){.verdict = SG_VERDICT_DENY,
						.error = EACCES,
						.reason = "no rule allows listening on this address of the host"};
		where = SG_NET_REFUSED;
	}
	if (where != SG_NET_REFUSED)
		sg_net_quiet(network, address);
	if (where == SG_NET_REFUSED)
		sg_net_refuse(request, &decision, address);
	else if (where == SG_NET_OUTSIDE && sg_net_report(request, &decision, address) < 0)
		sg_answer_error(request, EIO);
	else if (where == SG_NET_OUTSIDE && !socket->outside)
		answer(request, give_bound(request, socket, address, -1));
	else if (where == SG_NET_OUTSIDE)
		answer(request, bind_again(request, socket, address));
	else
		answer_own(request, socket, address);
}

static void bind_raw(struct sg_request *request, const struct sg_net_socket *socket, const unsigned char *bytes,
		     size_t size)
{
	struct sockaddr_storage raw = {0};

	memcpy(&raw, bytes, size);
	if (socket->outside)
		sg_answer_error(request, EACCES);
	else
		answer(request, bind(socket->fd, (const struct sockaddr *)&raw, (socklen_t)size) < 0 ? -errno : 0);
}

void sg_net_bind(struct sg_request *request)
{
	const struct seccomp_data *data = &request->notification.data;
	SG_AUTO_NET_SOCKET struct sg_net_socket socket = SG_NET_SOCKET_INIT;
	unsigned char bytes[SG_NET_ADDRESS_MAX] = {0};
	const size_t size = (size_t)(int32_t)data->args[2];
	struct sg_address address = {0};
	/* Before the socket: when that is there, the call was found pending, and what was read is its caller's. */
	const int copied = sg_net_read_address(request, data->args[1], data->args[2], bytes);
	int status = sg_net_socket_take(request, (int)data->args[0], &socket);

	request->operation = "listen on";
	if (status == 0)
		status = copied;
	if (status == 0 && socket.kind != 0)
		status = sg_address_from_sockaddr(bytes, size, socket.domain, socket.kind, SG_ADDRESS_BIND, &address);
	if (status < 0)
		sg_answer_error(request, -status);
	else if (socket.kind == 0 || status == SG_ADDRESS_AUTOBIND ||
		 (socket.kind == SG_PROTOCOL_UNIX && address.abstract))
		bind_raw(request, &socket, bytes, size);
	else if (status > 0)
		sg_answer_error(request, EINVAL);
	else if (socket.kind == SG_PROTOCOL_UNIX)
		sg_net_bind_path(request, &socket, &address);
	else
		bind_internet(request, &socket, &address);
}

/* An outside socket may listen where it is bound, if that may be listened on. */
static void listen_outside(struct sg_request *request, const struct sg_net_socket *socket, int backlog)
{
	struct sg_decision decision;
	struct sg_address address = {0};
	int status = local_address(socket, socket->fd, &address);

	if (status < 0) {
		sg_answer_error(request, EACCES);
		return;
	}
	if (address.port == 0 ||
	    sg_net_decide(request->supervisor->network, &address, SG_ADDRESS_BIND, &decision) != SG_NET_OUTSIDE) {
		decision = (struct sg_decision){.verdict = SG_VERDICT_DENY,
						.error = EACCES,
						.reason = "this socket was given to connect, not to listen"};
		sg_net_refuse(request, &decision, &address);
		return;
	}
	answer(request, listen(socket->fd, backlog) < 0 ? -errno : 0);
}

/*
 * With `incoming`, a wildcard address whose port the kernel chose is the world's own until it listens: a
 * client's socket is often bound so, and must be able to reach the world's own network.
 */
static bool wants_outside(struct sg_request *request, const struct sg_net_socket *socket, struct sg_address *address)
{
	struct sg_decision decision;

	return request->supervisor->network->rules.incoming && socket->kind == SG_PROTOCOL_TCP &&
	       local_address(socket, socket->fd, address) == 0 && address->wildcard && address->port != 0 &&
	       sg_net_decide(request->supervisor->network, address, SG_ADDRESS_BIND, &decision) == SG_NET_OUTSIDE &&
	       sg_net_report(request, &decision, address) == 0;
}

void sg_net_listen(struct sg_request *request)
{
	const struct seccomp_data *data = &request->notification.data;
	SG_AUTO_NET_SOCKET struct sg_net_socket socket = SG_NET_SOCKET_INIT;
	const int backlog = (int)data->args[1] < 0 ? SOMAXCONN : (int)data->args[1];
	struct sg_address address = {0};
	int status = sg_net_socket_take(request, (int)data->args[0], &socket), listens = 0;
	socklen_t size = sizeof(listens);

	request->operation = "listen on";
	if (status < 0)
		sg_answer_error(request, -status);
	else if (socket.outside && (socket.kind & SG_PROTOCOL_IP_ALL) != 0)
		listen_outside(request, &socket, backlog);
	else if (socket.outside)
		sg_answer_error(request, EACCES);
	else if (getsockopt(socket.fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens == 0 &&
		 wants_outside(request, &socket, &address))
		answer(request, give_bound(request, &socket, &address, backlog));
	else
		answer(request, listen(socket.fd, backlog) < 0 ? -errno : 0);
}

/* --- accept --- */

struct accepting {
	struct sg_net_socket socket; /* of the world's own network: just that until it has to wait */
	bool known;
	uint64_t address, length; /* the caller's pointers; 0: it does not want to know */
	int flags;
};

static void release(void *data)
{
	struct accepting *accepting = data;

	sg_net_socket_done(&accepting->socket);
	free(accepting);
}

/* The peer's address, cut at the caller's length, and its full length (accept(2)). */
static int write_peer(struct sg_request *request, const struct accepting *accepting,
		      const struct sockaddr_storage *peer, socklen_t size)
{
	int32_t room;
	int status;

	if (accepting->address == 0)
		return 0;
	status = sg_caller_read(&request->caller, accepting->length, &room, sizeof(room));
	if (status == 0 && room < 0)
		status = -EINVAL;
	/* Nothing is written for a caller that is gone: its number could be another's. */
	if (status == 0 && !sg_caller_valid(&request->caller))
		status = -EINTR;
	if (status == 0 && room > 0)
		status = sg_caller_write(&request->caller, accepting->address, peer,
					 (size_t)room < size ? (size_t)room : size);
	return status < 0 ? status : sg_caller_write(&request->caller, accepting->length, &size, sizeof(size));
}

/* accept4 that returns at once. A connection that a sibling took in between is the guard's matter. */
static int accept_now(const struct accepting *accepting, struct sockaddr_storage *peer, socklen_t *size)
{
	int fd;

	if (!accepting->known || !accepting->socket.nonblocking) {
		struct pollfd ready = {.fd = accepting->socket.fd, .events = POLLIN};

		if (poll(&ready, 1, 0) == 0)
			return -EAGAIN;
	}
	fd = sg_guard_begin();
	if (fd < 0)
		return fd;
	fd = accept4(accepting->socket.fd, (struct sockaddr *)peer, size,
		     SOCK_CLOEXEC | (accepting->flags & SOCK_NONBLOCK));
	fd = fd < 0 ? -errno : fd;
	sg_guard_end();
	return fd == -EINTR ? -EAGAIN : fd;
}

/* Who was let in from outside. The listener was decided; its peers are its own choice. */
static int report_peer(struct sg_request *request, const struct sg_net_socket *socket, int fd,
		       const struct sockaddr_storage *peer, socklen_t size)
{
	static const struct sg_decision decision = {.verdict = SG_VERDICT_ALLOW,
						    .reason = "the world may listen there"};
	struct sg_address address = {0};
	int status = sg_address_from_sockaddr(peer, size, socket->domain, socket->kind, SG_ADDRESS_BIND, &address);

	if (status < 0)
		return status;
	if (status == 0 && sg_net_report(request, &decision, &address) < 0)
		return -EIO;
	return sg_net_register(request->supervisor->network, fd, SG_NET_ORIGIN_ACCEPTED, &address) == 0 ? -ENOBUFS : 0;
}

static int proceed(struct sg_request *request, void *data, int interrupted)
{
	struct accepting *accepting = data;
	struct sockaddr_storage peer = {0};
	socklen_t size = sizeof(peer);
	SG_CLEANUP(sg_net_close_given) int fd = -1;
	int status;

	if (interrupted != 0) {
		sg_answer_error(request, interrupted);
		return 0;
	}
	fd = accept_now(accepting, &peer, &size);
	if (fd == -EAGAIN && !accepting->known) {
		status = sg_net_socket_know(&accepting->socket);
		accepting->known = status == 0;
		fd = status < 0 ? status : -EAGAIN;
	}
	if (fd == -EAGAIN && !accepting->socket.nonblocking)
		return 1;
	if (fd < 0) {
		sg_answer_error(request, -fd);
		return 0;
	}
	status = accepting->socket.outside ? report_peer(request, &accepting->socket, fd, &peer, size) : 0;
	if (status == 0)
		status = write_peer(request, accepting, &peer, size);
	if (status < 0)
		sg_answer_error(request, -status);
	else
		sg_give_descriptor(request, fd, (accepting->flags & SOCK_CLOEXEC) != 0);
	return 0;
}

void sg_net_accept(struct sg_request *request)
{
	const struct seccomp_data *data = &request->notification.data;
	SG_AUTO_NET_SOCKET struct sg_net_socket socket = SG_NET_SOCKET_INIT;
	const int flags = data->nr == SYS_accept4 ? (int)data->args[3] : 0;
	struct accepting *accepting;
	int status = sg_net_socket_pin(request, (int)data->args[0], &socket);
	const bool know = status == 0 && socket.outside;

	request->operation = "accept from";
	if (know)
		status = sg_net_socket_know(&socket);
	if (status == 0 && (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0)
		status = -EINVAL;
	accepting = status == 0 ? malloc(sizeof(*accepting)) : NULL;
	if (status == 0 && accepting == NULL)
		status = -ENOMEM;
	if (accepting == NULL) {
		sg_answer_error(request, -status);
		return;
	}
	*accepting = (struct accepting){
		.socket = socket, .known = know, .address = data->args[1], .length = data->args[2], .flags = flags};
	socket.fd = -1;
	if (proceed(request, accepting, 0) == 0) {
		release(accepting);
		return;
	}
	sg_net_wait_add(request, &(struct sg_net_wait){.outside = accepting->socket.outside,
						       .fd = accepting->socket.fd,
						       .events = EPOLLIN,
						       .deadline_ms = sg_net_deadline(&accepting->socket, SO_RCVTIMEO),
						       .deadline_error = EAGAIN,
						       .proceed = proceed,
						       .release = release,
						       .data = accepting});
}
