/*
 * connect.
 *
 * To the world's own network the copy of the caller's socket is connected, by the address that was decided.
 * To an outside address that is allowed a new socket of the host's network is connected and put in the place
 * of the caller's; one that is outside already is connected itself, to nothing but the decided address.
 * Connected before it is given, the new socket can be reached by nobody while its connection is made; what a
 * sibling does to the old one meanwhile is of no consequence.
 *
 * The caller's flag O_NONBLOCK is one of a description that its siblings share: a blocking connect in the
 * world's network is tried with the flag set for a moment. A stream socket that is not connected has no other
 * call that could tell. If a sibling clears the flag in that moment, the guard ends the call.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/guard.h"
#include "supervisor/net_cut.h"

/* Where a connection goes, as decided. */
struct target {
	bool outside;            /* where the address leads */
	struct sg_address named; /* `address` as it was decided */
	struct sockaddr_storage address;
	socklen_t length;
};

struct connecting {
	struct sg_net_socket socket;
	int fresh;      /* the new socket, or -1: the caller's own one is connected */
	bool under_way; /* the kernel goes on with it: EPOLLOUT says when it is done */
	struct target to;
	struct sg_net_peer peer; /* AF_UNIX; object.fd -1: none */
};

static void release(void *data)
{
	struct connecting *connecting = data;

	sg_net_close(&connecting->socket, connecting->fresh);
	sg_net_socket_done(&connecting->socket);
	sg_net_peer_done(&connecting->peer);
	free(connecting);
}

int sg_net_read_address(struct sg_request *request, uint64_t pointer, uint64_t length, unsigned char *bytes)
{
	const int32_t size = (int32_t)length; /* the kernel takes an int */

	if (size < 0 || size > SG_NET_ADDRESS_MAX)
		return -EINVAL;
	return sg_caller_read(&request->caller, pointer, bytes, (size_t)size);
}

bool sg_net_is_kernel(const unsigned char *bytes, size_t size)
{
	struct sockaddr_nl address;

	if (size < sizeof(address))
		return false;
	memcpy(&address, bytes, sizeof(address));
	return address.nl_family == AF_NETLINK && address.nl_pid == 0 && address.nl_groups == 0;
}

/*
 * A connection on a loopback is made within the call, though it does not say so: `again` asks once more, which ends it as the
 * caller's own blocking call would have ended, with the socket in the same state. Returns 0 or a negative errno value.
 */
static int connect_once(int fd, const struct sockaddr *address, socklen_t length, bool again)
{
	int status = connect(fd, address, length) < 0 ? -errno : 0;

	if (status == -EINPROGRESS && again)
		status = connect(fd, address, length) < 0 ? -errno : 0;
	return status == -EALREADY && again ? -EINPROGRESS : status;
}

/* connect(2) that returns at once; `waits`: the caller's would not. Returns 0 or a negative errno value. */
static int connect_now(const struct sg_net_socket *socket, const struct sockaddr *address, socklen_t length, bool waits)
{
	const bool may_block = !socket->nonblocking && socket->type != SOCK_DGRAM && socket->type != SOCK_RAW;
	int flags, status;

	if (!may_block)
		return connect_once(socket->fd, address, length, waits);
	flags = fcntl(socket->fd, F_GETFL);
	if (flags < 0 || fcntl(socket->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	status = sg_guard_begin();
	if (status == 0) {
		status = connect_once(socket->fd, address, length, waits);
		sg_guard_end();
	}
	(void)fcntl(socket->fd, F_SETFL, flags);
	/* Interrupted by the guard: a stream's connection goes on, as after EINPROGRESS. */
	return status == -EINTR ? (socket->domain == AF_UNIX ? -EAGAIN : -EINPROGRESS) : status;
}

/*
 * What became of a connection that was waited for: asked by connect(2) once more, to the same decided address, as SO_ERROR would
 * leave the socket in between (SS_CONNECTING, whose next connect fails with ECONNABORTED; the caller's own call leaves one that can
 * be connected anew). A sibling that dissolved it meanwhile has this connection started again, by the same decision: a cut ends
 * what waits. Returns 0, -EINPROGRESS to wait on, or another negative errno value.
 */
static int connect_end(const struct sg_net_socket *socket, const struct sockaddr *address, socklen_t length)
{
	int status = connect_now(socket, address, length, false);

	if (status == -EISCONN) /* a sibling asked too */
		return 0;
	return status == -EALREADY ? -EINPROGRESS : status;
}

/* The connection is made, or (with `answer`) goes on without the caller: the socket is the caller's now. */
static void hand_over(struct sg_request *request, const struct connecting *connecting, int answer)
{
	const struct sg_net_socket *socket = &connecting->socket;
	int status = 0;

	if (connecting->fresh >= 0)
		status = connecting->to.outside ? sg_net_swap(request, socket, connecting->fresh,
							      SG_NET_ORIGIN_CONNECTED, &connecting->to.named)
						: sg_net_put(request, socket, connecting->fresh);
	if (status < 0 || answer != 0)
		sg_answer_error(request, status < 0 ? -status : answer);
	else
		sg_answer_value(request, 0);
}

/* One attempt. Returns 0 when the request was answered, 1 to wait. */
static int proceed(struct sg_request *request, void *data, int interrupted)
{
	struct connecting *connecting = data;
	const struct sg_net_socket *socket = &connecting->socket;
	struct sg_net_socket own = *socket;
	int status;

	if (connecting->fresh >= 0) {
		own.fd = connecting->fresh;
		own.nonblocking = true; /* ours, until it is given */
	}
	if (interrupted != 0) {
		if (connecting->under_way)
			hand_over(request, connecting, interrupted);
		else
			sg_answer_error(request, interrupted);
		return 0;
	}
	if (connecting->under_way) {
		status = connect_end(&own, (const struct sockaddr *)&connecting->to.address, connecting->to.length);
		if (status == -EINPROGRESS)
			return 1;
	} else {
		status = connect_now(&own, (const struct sockaddr *)&connecting->to.address, connecting->to.length,
				     !socket->nonblocking);
		if (status == -EINPROGRESS && !socket->nonblocking) {
			connecting->under_way = true;
			return 1;
		}
		/* A unix listener whose queue is full: only the caller's own wish says whether it waits. */
		if (status == -EAGAIN && !socket->nonblocking && socket->domain == AF_UNIX)
			return 1;
	}
	if (!connecting->to.outside && socket->kind == SG_PROTOCOL_TCP)
		sg_net_note_nobody(request, own.fd, status, &connecting->to.named);
	if (status == 0 || status == -EINPROGRESS)
		hand_over(request, connecting, -status);
	else
		sg_answer_error(request, -status);
	return 0;
}

static void run(struct sg_request *request, struct connecting *connecting)
{
	const struct sg_net_socket *socket = &connecting->socket;

	if (proceed(request, connecting, 0) == 0) {
		release(connecting);
		return;
	}
	sg_net_wait_add(request, &(struct sg_net_wait){
					 .outside = connecting->to.outside || connecting->peer.host,
					 .fd = !connecting->under_way   ? -1
					       : connecting->fresh >= 0 ? connecting->fresh
									: socket->fd,
					 .events = EPOLLOUT,
					 .deadline_ms = sg_net_deadline(socket, SO_SNDTIMEO),
					 .deadline_error = connecting->under_way ? EINPROGRESS : EAGAIN,
					 .proceed = proceed,
					 .release = release,
					 .data = connecting,
				 });
}

/* The world's own sockets reach the world's network, the host's the host's; one that was ended reaches
 * nothing. A path is reached by either. */
static bool needs_fresh(const struct sg_network *network, const struct sg_net_socket *socket, const struct target *what)
{
	if (what->outside)
		return !socket->outside || sg_net_is_ended(network, socket->fd);
	return socket->outside && socket->kind != SG_PROTOCOL_UNIX;
}

/* Returns the socket, or a negative errno value below -1 (EPERM, which -1 would be, is told as EACCES). */
static int make_fresh(const struct sg_network *network, const struct sg_net_socket *socket, bool outside)
{
	int made = sg_net_is_busy(socket);

	if (made == 0)
		made = outside ? sg_net_make_outside(socket) : sg_net_make_inside(network, socket);
	return made == -1 ? -EACCES : made;
}

/* Starts a connection; takes the socket and the peer over. */
static void start(struct sg_request *request, struct sg_net_socket *socket, struct sg_net_peer *peer,
		  const struct target *what)
{
	struct sg_network *network = request->supervisor->network;
	struct connecting *connecting;
	int made = needs_fresh(network, socket, what) ? make_fresh(network, socket, what->outside) : -1;

	if (made < -1) {
		sg_net_explain(request, socket, made, &what->named);
		sg_answer_error(request, -made);
		return;
	}
	if (peer != NULL && peer->host && sg_net_note_unix(network, socket->fd, &what->named) < 0) {
		sg_answer_error(request, ENOBUFS);
		return;
	}
	connecting = malloc(sizeof(*connecting));
	if (connecting == NULL) {
		sg_fd_close(made);
		sg_answer_error(request, ENOMEM);
		return;
	}
	connecting->to = *what;
	connecting->socket = *socket;
	connecting->fresh = made;
	connecting->under_way = false;
	socket->fd = -1;
	if (peer != NULL) {
		connecting->peer = *peer;
		peer->object.fd = -1;
	} else {
		sg_resolved_init(&connecting->peer.object);
		connecting->peer.host = false;
	}
	run(request, connecting);
}

static void connect_unix(struct sg_request *request, struct sg_net_socket *socket, const struct sg_address *address)
{
	SG_CLEANUP(sg_net_peer_done) struct sg_net_peer peer = {.object = SG_RESOLVED_INIT};
	int status = sg_net_find_peer(request, socket, address, &peer);

	if (status > 0)
		return;
	if (status < 0)
		sg_answer_error(request, -status);
	else
		start(request, socket, &peer,
		      &(struct target){.address = peer.address,
				       .length = peer.length,
				       .named = *address,
				       .outside = peer.where == SG_NET_OUTSIDE});
}

/* A socket of the host's network that was bound by a rule under Listen: it is what it is. */
static bool is_listening_place(const struct sg_network *network, const struct sg_net_socket *socket)
{
	const struct sg_net_outside *entry =
		socket->outside ? sg_net_find_outside(network, sg_net_cookie(socket->fd)) : NULL;

	return entry != NULL && entry->origin == SG_NET_ORIGIN_BOUND;
}

/*
 * A datagram socket is connected to ask which address of this host's would be sent from: getaddrinfo(3) sorts
 * by that (RFC 6724), ping(8) prints it. Where another protocol may be used with that peer the answer is
 * given: by a socket that is connected, and sealed before the caller has it. It neither sends nor receives.
 */
static void ask_route(struct sg_request *request, const struct sg_net_socket *socket, const struct target *what)
{
	static const struct sg_decision decision = {.verdict = SG_VERDICT_ALLOW,
						    .reason = "it asks for its own address only, and carries no data"};
	SG_AUTO_FD int fd = -1;
	int status = sg_net_report(request, &decision, &what->named) < 0 ? -EIO : 0;

	if (status == 0) {
		fd = sg_net_make_outside(socket);
		status = fd < 0 ? fd : 0;
	}
	if (status == 0 && connect(fd, (const struct sockaddr *)&what->address, what->length) < 0)
		status = -errno;
	if (status == 0)
		status = sg_net_seal(fd);
	if (status == 0)
		status = sg_net_swap(request, socket, fd, SG_NET_ORIGIN_CONNECTED, &what->named);
	if (status < 0)
		sg_answer_error(request, -status);
	else
		sg_answer_value(request, 0);
}

static void connect_internet(struct sg_request *request, struct sg_net_socket *socket, const struct sg_address *address)
{
	struct sg_network *network = request->supervisor->network;
	struct target what = {.named = *address, .length = sg_address_to_sockaddr(address, &what.address)};
	struct sg_decision decision;
	enum sg_net_where where = sg_net_decide(network, address, SG_ADDRESS_CONNECT, &decision);

	if (where == SG_NET_OWN && is_listening_place(network, socket)) {
		decision = (struct sg_decision){.verdict = SG_VERDICT_DENY,
						.error = ENETUNREACH,
						.reason = "this socket is bound to an address of the host, "
							  "and that one is the world's own"};
		where = SG_NET_REFUSED;
	}
	if (where == SG_NET_REFUSED && sg_net_may_ask_route(network, address, &decision)) {
		ask_route(request, socket, &what);
		return;
	}
	if (where == SG_NET_REFUSED) {
		sg_net_refuse(request, &decision, address);
		return;
	}
	what.outside = where == SG_NET_OUTSIDE;
	if (what.outside && socket->outside)
		sg_net_note_address(network, sg_net_cookie(socket->fd), address);
	/* The grant is on the record before the first packet. */
	if (what.outside && sg_net_report(request, &decision, address) < 0)
		sg_answer_error(request, EIO);
	else
		start(request, socket, NULL, &what);
}

/* A socket without a peer is one of the world's own again. */
static void take_back(struct sg_request *request, const struct sg_net_socket *socket)
{
	SG_AUTO_FD int fd = sg_net_make_inside(request->supervisor->network, socket);
	int status = fd < 0 ? fd : sg_net_put(request, socket, fd);

	if (status < 0)
		sg_answer_error(request, -status);
	else
		sg_answer_value(request, 0);
}

/*
 * connect with AF_UNSPEC. An outside socket would have no peer then, and so nothing that was decided: its
 * place is taken by a fresh one of the world's own. One that was bound by a rule is what that rule decided.
 */
static void dissolve(struct sg_request *request, const struct sg_net_socket *socket)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	const bool bound = is_listening_place(request->supervisor->network, socket);

	if (socket->outside && !bound && (socket->kind & (SG_PROTOCOL_UDP | SG_PROTOCOL_ICMP)) != 0)
		take_back(request, socket);
	else if (socket->outside && (!bound || socket->kind == SG_PROTOCOL_TCP))
		sg_answer_error(request, EACCES);
	else if (connect(socket->fd, &none, sizeof(none)) < 0)
		sg_answer_error(request, errno);
	else
		sg_answer_value(request, 0);
}

/* Raw, packet and netlink sockets: in the world's own network whatever their address is. */
static void connect_other(struct sg_request *request, struct sg_net_socket *socket, const unsigned char *bytes,
			  size_t size)
{
	struct sockaddr_storage raw = {0};

	memcpy(&raw, bytes, size);
	if (socket->outside)
		sg_answer_error(request, EACCES);
	else if (socket->domain == AF_NETLINK && !sg_net_is_kernel(bytes, size))
		sg_answer_error(request, EPERM);
	else
		start(request, socket, NULL, &(struct target){.address = raw, .length = (socklen_t)size});
}

/*
 * A blocking connect in the world's own network is over within the call, but where nobody accepts. It is made as the caller would
 * have made it, which leaves the socket as the caller's own call would and needs no flag changed; if it waits, the guard
 * ends it. So that this costs the others no more than a moment, the next ones are made with care for a while.
 */
enum { CAREFUL_MS = 10000 };

static int64_t careful_until_ms; /* of the main thread */

/* The kernel's number, where the rules have a word for it. */
static uint8_t kind_of_protocol(const struct sg_net_socket *socket)
{
	int protocol = 0;
	socklen_t size = sizeof(protocol);

	if (getsockopt(socket->fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0)
		return 0;
	return protocol == IPPROTO_TCP ? SG_PROTOCOL_TCP : protocol == IPPROTO_UDP ? SG_PROTOCOL_UDP : 0;
}

/* It waits: from here on for itself alone. */
static void connect_later(struct sg_request *request, struct sg_net_socket *socket, const struct target *to)
{
	struct connecting *connecting = malloc(sizeof(*connecting));
	int status = connecting == NULL ? -ENOMEM : sg_net_socket_know(socket);

	careful_until_ms = sg_net_now() + CAREFUL_MS;
	if (status < 0) {
		free(connecting);
		sg_answer_error(request, -status);
		return;
	}
	connecting->to = *to;
	connecting->socket = *socket;
	connecting->fresh = -1;
	connecting->under_way = true;
	sg_resolved_init(&connecting->peer.object);
	connecting->peer.host = false;
	socket->fd = -1;
	run(request, connecting);
}

/*
 * From the world's own network to an address of its own: nothing else can be reached from there, so nothing has to be known of the
 * socket but that. Returns false if it is another case, and then nothing was done.
 */
static bool connect_own(struct sg_request *request, struct sg_net_socket *socket, const unsigned char *bytes,
			size_t size)
{
	struct target to = {.outside = false};
	struct sg_decision decision;
	sa_family_t family;
	uint8_t kind;
	int status;

	if (socket->outside || size < sizeof(family) || sg_net_now() < careful_until_ms)
		return false;
	memcpy(&family, bytes, sizeof(family));
	kind = family == AF_INET || family == AF_INET6 ? kind_of_protocol(socket) : 0;
	if (kind == 0 || sg_address_from_sockaddr(bytes, size, family, kind, SG_ADDRESS_CONNECT, &to.named) != 0 ||
	    sg_net_decide(request->supervisor->network, &to.named, SG_ADDRESS_CONNECT, &decision) != SG_NET_OWN)
		return false;
	to.length = sg_address_to_sockaddr(&to.named, &to.address);
	if (sg_guard_begin() < 0)
		return false;
	status = connect(socket->fd, (const struct sockaddr *)&to.address, to.length) < 0 ? -errno : 0;
	sg_guard_end();
	sg_net_note_nobody(request, socket->fd, status, &to.named);
	/* A name may be asked for next, which the poll of the loop has to see. */
	if (kind != SG_PROTOCOL_TCP)
		request->supervisor->in_row = 0;
	if (status == -EINTR)
		connect_later(request, socket, &to);
	else if (status < 0)
		sg_answer_error(request, -status);
	else
		sg_answer_value(request, 0);
	return true;
}

void sg_net_connect(struct sg_request *request)
{
	const struct seccomp_data *data = &request->notification.data;
	SG_AUTO_NET_SOCKET struct sg_net_socket socket = SG_NET_SOCKET_INIT;
	unsigned char bytes[SG_NET_ADDRESS_MAX] = {0};
	struct sg_address address;
	/* Before the socket: when that is there, the call was found pending, and what was read is its caller's. */
	const int copied = sg_net_read_address(request, data->args[1], data->args[2], bytes);
	int status = sg_net_socket_pin(request, (int)data->args[0], &socket);

	request->operation = "connect to";
	if (status == 0)
		status = copied;
	if (status == 0 && connect_own(request, &socket, bytes, (size_t)(int32_t)data->args[2]))
		return;
	request->supervisor->in_row = 0;
	if (status == 0)
		status = sg_net_socket_know(&socket);
	if (status < 0) {
		sg_answer_error(request, -status);
		return;
	}
	if (socket.kind == 0) {
		connect_other(request, &socket, bytes, (size_t)(int32_t)data->args[2]);
		return;
	}
	status = sg_address_from_sockaddr(bytes, (size_t)(int32_t)data->args[2], socket.domain, socket.kind,
					  SG_ADDRESS_CONNECT, &address);
	if (status < 0)
		sg_answer_error(request, -status);
	else if (status == SG_ADDRESS_DISSOLVE)
		dissolve(request, &socket);
	else if (status > 0)
		sg_answer_error(request, EINVAL);
	else if (socket.kind == SG_PROTOCOL_UNIX)
		connect_unix(request, &socket, &address);
	else
		connect_internet(request, &socket, &address);
}
