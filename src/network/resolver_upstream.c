/* Asking the servers of the host: one socket a try, UDP first, TCP when the answer is cut. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "network/resolver_internal.h"

static void close_try(struct sg_pending *pending)
{
	/* Closing takes it out of the epoll set: no copy of the descriptor exists. */
	pending->fd = sg_fd_close(pending->fd);
	free(pending->message);
	pending->message = NULL;
	pending->received = pending->sent = 0;
}

void sg_upstream_release(struct sg_resolver *resolver, struct sg_pending *pending)
{
	close_try(pending);
	pending->used = false;
	resolver->pending_count--;
}

/* A fresh id, and each letter's case by a coin. Returns 0 or -errno: without randomness nothing is asked. */
static int randomise(const struct sg_resolver *resolver, struct sg_pending *pending)
{
	uint8_t coins[2 + (sizeof(pending->asked.name.wire) + 7) / 8];
	struct sg_dns_name *name = &pending->asked.name;

	if (getrandom(coins, sizeof(coins), GRND_NONBLOCK) != (ssize_t)sizeof(coins)) {
		return -EAGAIN;
	}
	memcpy(&pending->id, coins, sizeof(pending->id));
	for (size_t i = 0; i < name->size && !resolver->options.keep_case; i++) {
		uint8_t lower = name->wire[i] | 0x20;

		/* Length bytes are below 64, so that they are no letters. */
		if (name->wire[i] >= 'A' && lower >= 'a' && lower <= 'z') {
			name->wire[i] = coins[2 + i / 8] & 1U << (i % 8) ? lower : lower & 0xdf;
		}
	}
	return 0;
}

static int open_socket(const struct sg_resolver *resolver, struct sg_pending *pending)
{
	const struct sg_resolvconf *conf = &resolver->conf;
	const struct sg_resolvconf_server *server = &conf->servers[pending->tries % conf->server_count];
	struct sockaddr_storage address = server->address;
	SG_AUTO_FD int fd = -1;

	if (resolver->options.port != 0) {
		/* The port lies at the same place in both structures. */
		((struct sockaddr_in *)&address)->sin_port = htons(resolver->options.port);
	}
	fd = socket(address.ss_family, (pending->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return -errno;
	}
	if (connect(fd, (struct sockaddr *)&address, server->length) != 0 && errno != EINPROGRESS) {
		return -errno;
	}
	struct epoll_event event = {.events = pending->tcp ? EPOLLIN | EPOLLOUT : EPOLLIN,
				    .data.u64 = (uint64_t)(pending - resolver->pending)};

	if (epoll_ctl(resolver->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
		return -errno;
	}
	pending->fd = sg_fd_take(&fd);
	return 0;
}

/* One try with the server whose turn it is. Returns 0, or -errno if it could not be sent. */
static int try_server(struct sg_resolver *resolver, struct sg_pending *pending, int64_t now)
{
	unsigned int timeout = resolver->options.timeout ? resolver->options.timeout : resolver->conf.timeout * 1000;
	int result;

	close_try(pending);
	result = randomise(resolver, pending);
	if (result == 0) {
		result = open_socket(resolver, pending);
	}
	if (result != 0) {
		return result;
	}
	pending->mismatches = 0;
	pending->deadline = now + timeout < pending->last_deadline ? now + timeout : pending->last_deadline;
	pending->query_size = sg_dns_write_query(pending->id, &pending->asked, pending->edns, pending->query + 2);
	pending->query[0] = (uint8_t)(pending->query_size >> 8);
	pending->query[1] = (uint8_t)pending->query_size;
	if (!pending->tcp && send(pending->fd, pending->query + 2, pending->query_size, MSG_NOSIGNAL) < 0) {
		return -errno;
	}
	return 0;
}

/* Goes on with the server of `tries`, or those after it, until one could be sent to. Ends the query if none
 * is left. */
static void go_on(struct sg_resolver *resolver, struct sg_pending *pending, int64_t now)
{
	size_t limit = resolver->conf.attempts * resolver->conf.server_count;

	for (; pending->tries < limit && now < pending->last_deadline; pending->tries++) {
		if (try_server(resolver, pending, now) == 0) {
			return;
		}
		pending->tcp = false;
	}
	sg_resolver_fail(resolver, pending);
}

void sg_upstream_start(struct sg_resolver *resolver, struct sg_pending *pending, int64_t now)
{
	pending->asked = pending->client.query.question;
	pending->fd = -1;
	pending->tcp = false;
	pending->edns = true;
	pending->tries = 0;
	pending->message = NULL;
	pending->last_deadline = now + SG_RESOLVER_DEADLINE_MAX;
	go_on(resolver, pending, now);
}

static void next_server(struct sg_resolver *resolver, struct sg_pending *pending, int64_t now)
{
	pending->tries++;
	pending->tcp = false;
	pending->edns = true;
	go_on(resolver, pending, now);
}

void sg_upstream_expired(struct sg_resolver *resolver, struct sg_pending *pending, int64_t now)
{
	next_server(resolver, pending, now);
}

static bool is_ours(const struct sg_resolver *resolver, const struct sg_pending *pending,
		    const struct sg_dns_message *message)
{
	const struct sg_dns_question *asked = &pending->asked, *got = &message->question;

	return message->id == pending->id && message->flags & SG_DNS_QR && !(message->flags & SG_DNS_OPCODE) &&
	       message->counts[0] == 1 && got->type == asked->type && got->class == asked->class &&
	       sg_dns_name_equal(&got->name, &asked->name) &&
	       (resolver->options.keep_case || memcmp(got->name.wire, asked->name.wire, asked->name.size) == 0);
}

/* A response that matches. Decides whether it is one to finish with. */
static void take_response(struct sg_resolver *resolver, struct sg_pending *pending,
			  const struct sg_dns_message *message, int64_t now)
{
	unsigned int rcode = message->flags & SG_DNS_RCODE;

	if (message->flags & SG_DNS_TC && !pending->tcp) {
		pending->tcp = true;
		go_on(resolver, pending, now);
		return;
	}
	if ((rcode == SG_DNS_FORMERR || rcode == SG_DNS_NOTIMP) && pending->edns) {
		/* A server from before EDNS: once more without (RFC 6891, 7). */
		pending->edns = false;
		go_on(resolver, pending, now);
		return;
	}
	if (rcode != SG_DNS_NOERROR && rcode != SG_DNS_NXDOMAIN) {
		next_server(resolver, pending, now);
		return;
	}
	sg_resolver_finish(resolver, pending, message, now);
}

static void receive_datagram(struct sg_resolver *resolver, struct sg_pending *pending, int64_t now)
{
	ssize_t size = recv(pending->fd, resolver->buffer, sizeof(resolver->buffer), MSG_DONTWAIT);
	struct sg_dns_message message;

	if (size < 0) {
		if (errno != EAGAIN && errno != EINTR) {
			next_server(resolver, pending, now);
		}
		return;
	}
	if (sg_dns_parse(resolver->buffer, (size_t)size, &message) == 0 && is_ours(resolver, pending, &message)) {
		take_response(resolver, pending, &message, now);
		return;
	}
	/* The server sends nonsense, or somebody guesses: TCP cannot be guessed into. */
	if (++pending->mismatches >= SG_RESOLVER_MISMATCHES_MAX) {
		pending->tcp = true;
		go_on(resolver, pending, now);
	}
}

/* Returns 0 when all is sent, 1 to wait, -errno. */
static int send_stream(struct sg_resolver *resolver, struct sg_pending *pending)
{
	size_t total = pending->query_size + 2;
	ssize_t sent;

	if (pending->sent == total) {
		return 0;
	}
	sent = send(pending->fd, pending->query + pending->sent, total - pending->sent, MSG_NOSIGNAL);
	if (sent < 0) {
		return errno == EAGAIN || errno == EINTR ? 1 : -errno;
	}
	pending->sent += (size_t)sent;
	if (pending->sent < total) {
		return 1;
	}
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)(pending - resolver->pending)};

	return epoll_ctl(resolver->epoll, EPOLL_CTL_MOD, pending->fd, &event) == 0 ? 0 : -errno;
}

/* Returns 0 when the whole message is there, 1 to wait, -errno. */
static int receive_stream(struct sg_pending *pending)
{
	for (;;) {
		bool head = pending->received < 2;
		uint8_t *to = head ? pending->length + pending->received : pending->message + (pending->received - 2);
		size_t wanted = head ? 2 - pending->received : pending->message_size + 2 - pending->received;
		ssize_t size;

		if (wanted == 0) {
			return 0;
		}
		size = recv(pending->fd, to, wanted, MSG_DONTWAIT);
		if (size <= 0) {
			return size == 0 ? -ECONNRESET : errno == EAGAIN || errno == EINTR ? 1 : -errno;
		}
		pending->received += (size_t)size;
		if (head && pending->received == 2) {
			pending->message_size = (size_t)(pending->length[0] << 8 | pending->length[1]);
			if (pending->message_size < SG_DNS_HEADER_SIZE) {
				return -EBADMSG;
			}
			pending->message = malloc(pending->message_size);
			if (!pending->message) {
				return -ENOMEM;
			}
		}
	}
}

void sg_upstream_ready(struct sg_resolver *resolver, struct sg_pending *pending, int64_t now)
{
	struct sg_dns_message message;
	int result;

	if (!pending->tcp) {
		receive_datagram(resolver, pending, now);
		return;
	}
	result = send_stream(resolver, pending);
	if (result == 0) {
		result = receive_stream(pending);
	}
	if (result > 0) {
		return;
	}
	if (result == 0 && sg_dns_parse(pending->message, pending->message_size, &message) == 0 &&
	    is_ours(resolver, pending, &message)) {
		take_response(resolver, pending, &message, now);
		return;
	}
	next_server(resolver, pending, now);
}
