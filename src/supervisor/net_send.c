/*
 * sendto, sendmsg, sendmmsg.
 *
 * They are done here where they carry an address, or where they could carry one that the filter cannot see.
 * Address, data and control messages are copied once, within limits, and sent from the copy of the caller's
 * socket. Without an address the socket's peer is the one that was decided at connect. A datagram to an
 * outside address from a socket of the world's own swaps an outside one in first.
 *
 * Control messages act on where a packet goes (a routing header, an interface): only those of a short list
 * are carried, and on the world's own network some more. Descriptors that a message passes are taken from the
 * caller and passed on; a claim about who sends (SCM_CREDENTIALS) is one that we cannot make for the caller,
 * and is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/net_cut.h"

enum { CONTROL_MAX = 4096, RIGHTS_MAX = 253, MESSAGES_MAX = 64, STREAM_MAX = 1 << 20 };

/*
 * What else a flag may ask for is not passed on. MSG_ZEROCOPY would send our memory after we have freed it:
 * it is answered as by a socket that cannot, and programs copy then.
 */
enum { FLAGS_CARRIED = MSG_OOB | MSG_EOR | MSG_CONFIRM | MSG_MORE };

/* One message, copied. */
struct message {
	unsigned char name[SG_NET_ADDRESS_MAX];
	size_t name_size;
	char *data; /* owned */
	size_t size;
	union {
		size_t align; /* that of struct cmsghdr */
		unsigned char bytes[CONTROL_MAX];
	} control;
	size_t control_size;
	int rights[RIGHTS_MAX]; /* our copies of the descriptors in `control`; owned */
	size_t right_count;
};

/* What a call sends, and where it has got to. */
struct sending {
	struct sg_net_socket socket;
	int flags;
	uint64_t vector; /* sendmmsg: the caller's array; 0: one message */
	unsigned int count, done;
	size_t sent; /* of a stream's one message */
	bool ready;  /* `message` is the one that is next, with its address decided */
	struct sg_net_peer peer;
	struct sockaddr_storage to;
	socklen_t to_length; /* 0: to the socket's peer */
	struct message message;
};

static void message_done(struct message *message)
{
	for (size_t i = 0; i < message->right_count; i++)
		(void)sg_net_close(NULL, message->rights[i]);
	message->right_count = 0;
	free(message->data);
	message->data = NULL;
}

static void release(void *data)
{
	struct sending *sending = data;

	sg_net_socket_done(&sending->socket);
	sg_net_peer_done(&sending->peer);
	message_done(&sending->message);
	free(sending);
}

/* --- copying --- */

static size_t limit_of(const struct sg_net_socket *socket)
{
	return socket->type == SOCK_STREAM ? (size_t)STREAM_MAX : (size_t)SG_NET_DATAGRAM_MAX;
}

/* The data of a list of vectors. A stream takes what fits; a datagram is whole or not at all. */
static int copy_data(struct sg_request *request, const struct sg_net_socket *socket, const struct iovec *vectors,
		     size_t count, struct message *message)
{
	size_t total = 0, limit = limit_of(socket), at = 0;

	for (size_t i = 0; i < count; i++)
		if (__builtin_add_overflow(total, vectors[i].iov_len, &total) || total > SSIZE_MAX)
			return -EINVAL;
	if (total > limit && socket->type != SOCK_STREAM)
		return -EMSGSIZE;
	total = total > limit ? limit : total;
	message->data = malloc(total + 1);
	if (message->data == NULL)
		return -ENOBUFS;
	message->size = total;
	for (size_t i = 0; i < count && at < total; i++) {
		size_t step = vectors[i].iov_len < total - at ? vectors[i].iov_len : total - at;
		int status = sg_caller_read(&request->caller, (uint64_t)(uintptr_t)vectors[i].iov_base,
					    message->data + at, step);

		if (status < 0)
			return status;
		at += step;
	}
	return 0;
}

/* What may accompany a datagram: nothing that changes where it goes. `inside`: only in the world's own
 * network. */
static const struct {
	int level, type;
	bool inside;
} carried[] = {
	{SOL_UDP, UDP_SEGMENT, false},  {SOL_IP, IP_TOS, false},          {SOL_IP, IP_TTL, false},
	{SOL_IPV6, IPV6_TCLASS, false}, {SOL_IPV6, IPV6_HOPLIMIT, false}, {SOL_IP, IP_PKTINFO, true},
	{SOL_IPV6, IPV6_PKTINFO, true},
};

static bool is_carried(const struct sg_net_socket *socket, const struct cmsghdr *header)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(carried); i++)
		if (carried[i].level == header->cmsg_level && carried[i].type == header->cmsg_type)
			return !carried[i].inside || !socket->outside;
	return false;
}

/* Takes the descriptors of one SCM_RIGHTS message, and writes our numbers in the place of the caller's. */
static int take_rights(struct sg_request *request, struct cmsghdr *header, struct message *message)
{
	size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < count; i++) {
		unsigned char *place = CMSG_DATA(header) + i * sizeof(int);
		int number, fd;

		if (message->right_count == RIGHTS_MAX)
			return -EINVAL;
		memcpy(&number, place, sizeof(number));
		fd = sg_caller_descriptor(&request->caller, number);
		if (fd < 0)
			return fd;
		message->rights[message->right_count++] = fd;
		memcpy(place, &fd, sizeof(fd));
	}
	return 0;
}

static int copy_control(struct sg_request *request, const struct sg_net_socket *socket, uint64_t pointer, size_t size,
			struct message *message)
{
	struct msghdr parsed = {.msg_control = message->control.bytes, .msg_controllen = size};
	int status;

	if (size > sizeof(message->control))
		return -ENOBUFS;
	status = sg_caller_read(&request->caller, pointer, message->control.bytes, size);
	message->control_size = size;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&parsed); status == 0 && header != NULL;
	     header = CMSG_NXTHDR(&parsed, header)) {
		/* CMSG_NXTHDR ends at a length that leads out of the buffer; the kernel calls that an error.
		 */
		size_t offset = (size_t)((unsigned char *)header - message->control.bytes);

		if (header->cmsg_len < CMSG_LEN(0) || header->cmsg_len > size - offset)
			return -EINVAL;
		if (socket->domain != AF_UNIX)
			status = is_carried(socket, header) ? 0 : -EPERM;
		else if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
			status = take_rights(request, header, message);
		else
			status = -EPERM;
	}
	return status;
}

static int copy_message(struct sg_request *request, const struct sg_net_socket *socket, uint64_t pointer,
			struct message *message)
{
	static struct iovec vectors[IOV_MAX];
	struct msghdr header;
	int status = sg_caller_read(&request->caller, pointer, &header, sizeof(header));

	*message = (struct message){0};
	if (status < 0)
		return status;
	if (header.msg_iovlen > IOV_MAX)
		return -EMSGSIZE;
	if (header.msg_name != NULL && header.msg_namelen > 0) {
		if (header.msg_namelen > SG_NET_ADDRESS_MAX)
			return -EINVAL;
		message->name_size = header.msg_namelen;
		status = sg_caller_read(&request->caller, (uint64_t)(uintptr_t)header.msg_name, message->name,
					message->name_size);
	}
	if (status == 0)
		status = sg_caller_read(&request->caller, (uint64_t)(uintptr_t)header.msg_iov, vectors,
					header.msg_iovlen * sizeof(struct iovec));
	if (status == 0)
		status = copy_data(request, socket, vectors, header.msg_iovlen, message);
	if (status == 0 && header.msg_control != NULL && header.msg_controllen > 0)
		status = copy_control(request, socket, (uint64_t)(uintptr_t)header.msg_control, header.msg_controllen,
				      message);
	return status;
}

/* --- addresses --- */

/* Puts an outside socket in the place of the caller's, and of our copy. */
static int move_outside(struct sg_request *request, struct sg_net_socket *socket, const struct sg_address *address)
{
	int fd = sg_net_make_outside(socket), status;

	if (fd < 0) {
		sg_net_explain(request, socket, fd, address);
		return fd;
	}
	status = sg_net_swap(request, socket, fd, SG_NET_ORIGIN_OPEN, address);
	if (status < 0) {
		sg_fd_close(fd);
		return status;
	}
	sg_net_close(socket, socket->fd);
	socket->fd = fd;
	socket->outside = true;
	return 0;
}

/*
 * One record for each socket and address, not for each datagram: a table of what was recorded last. The
 * decision is made every time; only a grant that says the same is not said again.
 */
struct recorded {
	uint64_t cookie; /* SO_COOKIE of an outside socket; 0: free */
	struct sg_address address;
};

static struct recorded recorded[256];
static size_t recorded_next;

static uint64_t cookie_of(const struct sg_net_socket *socket)
{
	return socket->outside ? sg_net_cookie(socket->fd) : 0;
}

static int record_once(struct sg_request *request, const struct sg_net_socket *socket, const struct sg_address *address,
		       const struct sg_decision *decision)
{
	const uint64_t cookie = cookie_of(socket);

	for (size_t i = 0; cookie != 0 && i < SG_ARRAY_SIZE(recorded); i++)
		if (recorded[i].cookie == cookie && recorded[i].address.family == address->family &&
		    recorded[i].address.port == address->port && recorded[i].address.scope == address->scope &&
		    memcmp(recorded[i].address.bytes, address->bytes, sizeof(address->bytes)) == 0)
			return 0;
	if (sg_net_report(request, decision, address) < 0)
		return -EIO;
	if (cookie != 0) {
		recorded[recorded_next] = (struct recorded){cookie, *address};
		recorded_next = (recorded_next + 1) % SG_ARRAY_SIZE(recorded);
	}
	return 0;
}

/* Returns 0, a negative errno value to answer, or 1: refused and answered. */
static int decide_internet(struct sg_request *request, struct sending *sending, const struct sg_address *address)
{
	struct sg_decision decision;
	enum sg_net_where where = sg_net_decide(request->supervisor->network, address, SG_ADDRESS_SEND, &decision);

	if (where == SG_NET_OWN && sending->socket.outside) {
		decision = (struct sg_decision){.verdict = SG_VERDICT_DENY,
						.error = ENETUNREACH,
						.reason = "this socket is one of the host's network by now, "
							  "and that address is the world's own"};
		where = SG_NET_REFUSED;
	}
	if (where == SG_NET_REFUSED) {
		(void)sg_net_report(request, &decision, address);
		return -decision.error;
	}
	if (where == SG_NET_OUTSIDE) {
		int status = record_once(request, &sending->socket, address, &decision);

		if (status == 0 &&
		    (!sending->socket.outside || sg_net_is_ended(request->supervisor->network, sending->socket.fd)))
			status = move_outside(request, &sending->socket, address);
		if (status < 0)
			return status;
	}
	sending->to_length = sg_address_to_sockaddr(address, &sending->to);
	return 0;
}

/* Decides about the address of the message that is next. Returns as above. */
static int decide(struct sg_request *request, struct sending *sending)
{
	const struct message *message = &sending->message;
	struct sg_net_socket *socket = &sending->socket;
	struct sg_address address;
	int status;

	sending->to_length = 0;
	sg_net_peer_done(&sending->peer);
	if (message->name_size == 0)
		return 0;
	if (socket->kind == 0) {
		if (socket->outside)
			return -EACCES;
		if (socket->domain == AF_NETLINK)
			return sg_net_is_kernel(message->name, message->name_size) ? 0 : -EPERM;
		memcpy(&sending->to, message->name, message->name_size);
		sending->to_length = (socklen_t)message->name_size;
		return 0;
	}
	/* A connected stream ignores the address (or says EISCONN); one that is not has nowhere to send. */
	if (socket->type != SOCK_DGRAM)
		return socket->kind == SG_PROTOCOL_UNIX ? -EISCONN : 0;
	status = sg_address_from_sockaddr(message->name, message->name_size, socket->domain, socket->kind,
					  SG_ADDRESS_SEND, &address);
	if (status != 0)
		return status < 0 ? status : -EINVAL;
	if (socket->kind != SG_PROTOCOL_UNIX)
		return decide_internet(request, sending, &address);
	status = sg_net_find_peer(request, socket, &address, &sending->peer);
	if (status != 0)
		return status;
	if (sending->peer.where == SG_NET_OUTSIDE && !socket->outside)
		status = move_outside(request, socket, &address);
	sending->to = sending->peer.address;
	sending->to_length = sending->peer.length;
	return status;
}

/* --- sending --- */

/* The signal that a broken connection gives the sender. */
static void raise_broken_pipe(struct sg_request *request, const struct sending *sending)
{
	if (sending->socket.type == SOCK_STREAM && (sending->flags & MSG_NOSIGNAL) == 0 &&
	    sg_caller_status(&request->caller) == 0 && sg_caller_valid(&request->caller))
		(void)syscall(SYS_tgkill, request->caller.pid, request->caller.tid, SIGPIPE);
}

/* Sends what is left of the message. Returns the bytes of it that are sent now, or a negative errno value. */
static ssize_t send_now(struct sending *sending)
{
	struct message *message = &sending->message;
	struct iovec vector = {.iov_base = message->data + sending->sent, .iov_len = message->size - sending->sent};
	struct msghdr header = {
		.msg_name = sending->to_length > 0 ? &sending->to : NULL,
		.msg_namelen = sending->to_length,
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = message->control_size > 0 && sending->sent == 0 ? message->control.bytes : NULL,
		.msg_controllen = sending->sent == 0 ? message->control_size : 0,
	};
	ssize_t size =
		sendmsg(sending->socket.fd, &header, (sending->flags & FLAGS_CARRIED) | MSG_DONTWAIT | MSG_NOSIGNAL);

	return size < 0 ? -errno : size;
}

/* Fetches message `done` of the call and decides about it. Returns 0, a negative errno value, or 1
 * (answered). */
static int prepare(struct sg_request *request, struct sending *sending)
{
	int status = 0;

	if (sending->vector != 0) {
		message_done(&sending->message);
		status = copy_message(request, &sending->socket,
				      sending->vector + (uint64_t)sending->done * sizeof(struct mmsghdr),
				      &sending->message);
	}
	if (status == 0 && !sg_caller_valid(&request->caller))
		return 1;
	if (status == 0)
		status = decide(request, sending);
	sending->sent = 0;
	sending->ready = status == 0;
	return status;
}

/* A message was sent whole. Returns 0, or a negative errno value when its length could not be told. */
static int count_message(struct sg_request *request, struct sending *sending)
{
	const unsigned int size = (unsigned int)sending->sent;
	const uint64_t place =
		sending->vector + (uint64_t)sending->done * sizeof(struct mmsghdr) + offsetof(struct mmsghdr, msg_len);

	sending->done++;
	sending->ready = false;
	if (sending->vector == 0)
		return 0;
	/* Nothing is written for a caller that is gone: its number could be another's. */
	return sg_caller_valid(&request->caller) ? sg_caller_write(&request->caller, place, &size, sizeof(size))
						 : -EINTR;
}

/* What was sent counts; only if nothing was, the error does. */
static void answer(struct sg_request *request, const struct sending *sending, int status)
{
	if (request->answered)
		return;
	if (sending->vector != 0 && sending->done > 0)
		sg_answer_value(request, (int64_t)sending->done);
	else if (sending->vector == 0 && (sending->sent > 0 || status == 0))
		sg_answer_value(request, (int64_t)sending->sent);
	else if (status == 0)
		sg_answer_value(request, 0);
	else
		sg_answer_error(request, -status);
}

static int proceed(struct sg_request *request, void *data, int interrupted)
{
	struct sending *sending = data;
	const bool waits = !sending->socket.nonblocking && (sending->flags & MSG_DONTWAIT) == 0;
	int status = -interrupted;

	while (status == 0 && sending->done < sending->count) {
		ssize_t size;

		if (!sending->ready) {
			status = prepare(request, sending);
			if (status != 0)
				break;
		}
		size = send_now(sending);
		if (size < 0) {
			status = (int)size;
			if (status == -EAGAIN && waits && (sending->vector == 0 || sending->done == 0))
				return 1;
			if (status == -EPIPE)
				raise_broken_pipe(request, sending);
			break;
		}
		sending->sent += (size_t)size;
		if (sending->sent < sending->message.size && sending->socket.type == SOCK_STREAM)
			continue;
		status = count_message(request, sending);
	}
	answer(request, sending, status > 0 ? -EINTR : status);
	return 0;
}

static void run(struct sg_request *request, struct sending *sending)
{
	if (proceed(request, sending, 0) == 0) {
		release(sending);
		return;
	}
	sg_net_wait_add(request, &(struct sg_net_wait){
					 .outside = sending->socket.outside || sending->peer.host,
					 .fd = sending->socket.type == SOCK_STREAM ? sending->socket.fd : -1,
					 .events = EPOLLOUT,
					 .deadline_ms = sg_net_deadline(&sending->socket, SO_SNDTIMEO),
					 .deadline_error = EAGAIN,
					 .proceed = proceed,
					 .release = release,
					 .data = sending,
				 });
}

static struct sending *begin(struct sg_request *request, int number, int flags)
{
	struct sending *sending = calloc(1, sizeof(*sending));
	int status;

	request->operation = "send to";
	if (sending == NULL) {
		sg_answer_error(request, ENOMEM);
		return NULL;
	}
	sending->socket = SG_NET_SOCKET_INIT;
	sending->peer.object = SG_RESOLVED_INIT;
	sending->flags = flags;
	sending->count = 1;
	status = (flags & MSG_ZEROCOPY) != 0 ? -ENOBUFS : sg_net_socket_take(request, number, &sending->socket);
	if (status < 0) {
		sg_answer_error(request, -status);
		release(sending);
		return NULL;
	}
	return sending;
}

void sg_net_send(struct sg_request *request)
{
	const struct seccomp_data *data = &request->notification.data;
	struct sending *sending = begin(request, (int)data->args[0], (int)data->args[3]);
	const struct iovec vector = {.iov_base = (void *)(uintptr_t)data->args[1], .iov_len = data->args[2]};
	int status;

	if (sending == NULL)
		return;
	status = sg_net_read_address(request, data->args[4], data->args[5], sending->message.name);
	sending->message.name_size = (size_t)(uint32_t)data->args[5];
	if (status == 0)
		status = copy_data(request, &sending->socket, &vector, 1, &sending->message);
	if (status < 0) {
		sg_answer_error(request, -status);
		release(sending);
		return;
	}
	run(request, sending);
}

void sg_net_send_message(struct sg_request *request)
{
	const struct seccomp_data *data = &request->notification.data;
	struct sending *sending = begin(request, (int)data->args[0], (int)data->args[2]);
	int status;

	if (sending == NULL)
		return;
	status = copy_message(request, &sending->socket, data->args[1], &sending->message);
	if (status < 0) {
		sg_answer_error(request, -status);
		release(sending);
		return;
	}
	run(request, sending);
}

void sg_net_send_messages(struct sg_request *request)
{
	const struct seccomp_data *data = &request->notification.data;
	struct sending *sending = begin(request, (int)data->args[0], (int)data->args[3]);
	const unsigned int count = (unsigned int)data->args[2];

	if (sending == NULL)
		return;
	sending->vector = data->args[1];
	sending->count = count > MESSAGES_MAX ? MESSAGES_MAX : count; /* the caller sends the rest with its next call */
	run(request, sending);
}
