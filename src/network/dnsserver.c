#include "network/dnsserver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/fd.h"

enum {
	DATAGRAMS_MAX = 64, /* taken in one call: the resolver's other work gets its turn */
	DATAGRAM_SIZE = 4096,
	EVENTS_MAX = 64,
	KEY_UDP = 1000, /* epoll keys: below it, the stream of that index */
	KEY_TCP,
	KEY_RESOLVER,
};

/* Who awaits a reply. The token is the index, with a count of its uses above, so that an old one finds
 * nobody. */
struct client {
	bool used;
	uint32_t generation;
	int stream; /* index, or -1: by UDP */
	struct sockaddr_storage address;
	socklen_t length;
};

struct stream {
	int fd;
	int64_t active; /* when a byte last moved */
	unsigned int queries;
	uint8_t *in; /* two bytes of length and the message; SG_DNS_UDP_MAX is more than any query needs */
	size_t in_size;
	struct sg_buffer out;
	size_t out_sent;
};

struct sg_dnsserver {
	struct sg_resolver *resolver;
	int epoll, udp, tcp;
	int64_t now;
	struct client clients[SG_DNSSERVER_CLIENTS_MAX];
	struct stream streams[SG_DNSSERVER_STREAMS_MAX];
};

static int watch(const struct sg_dnsserver *server, int operation, int fd, uint32_t events, uint64_t key)
{
	struct epoll_event event = {.events = events, .data.u64 = key};

	return epoll_ctl(server->epoll, operation, fd, &event) == 0 ? 0 : -errno;
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : -errno;
}

static uint64_t token_of(const struct sg_dnsserver *server, const struct client *client)
{
	return (uint64_t)(client->generation & INT32_MAX) << 32 | (uint64_t)(client - server->clients);
}

static struct client *take_client(struct sg_dnsserver *server, int stream)
{
	for (size_t i = 0; i < SG_DNSSERVER_CLIENTS_MAX; i++) {
		struct client *client = &server->clients[i];

		if (!client->used) {
			client->used = true;
			client->generation++;
			client->stream = stream;
			return client;
		}
	}
	return NULL;
}

static void close_stream(struct sg_dnsserver *server, size_t index)
{
	struct stream *stream = &server->streams[index];

	for (size_t i = 0; stream->queries > 0 && i < SG_DNSSERVER_CLIENTS_MAX; i++) {
		struct client *client = &server->clients[i];

		if (client->used && client->stream == (int)index) {
			sg_resolver_cancel(server->resolver, token_of(server, client));
			client->used = false;
		}
	}
	free(stream->in);
	sg_buffer_done(&stream->out);
	*stream = (struct stream){.fd = sg_fd_close(stream->fd)};
}

/* Sends what is to be sent; reads are watched for as long as more queries are taken. Closes the stream on a
 * fault. */
static void flush_stream(struct sg_dnsserver *server, size_t index)
{
	struct stream *stream = &server->streams[index];
	uint32_t events = stream->queries < SG_DNSSERVER_STREAM_QUERIES ? EPOLLIN : 0;

	while (stream->out_sent < stream->out.size) {
		ssize_t sent = send(stream->fd, stream->out.data + stream->out_sent,
				    stream->out.size - stream->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
			/* Who does not read its replies is not asked for more queries. */
			events = EPOLLOUT;
			break;
		}
		if (sent < 0) {
			close_stream(server, index);
			return;
		}
		stream->out_sent += (size_t)sent;
		stream->active = server->now;
	}
	if (stream->out_sent == stream->out.size) {
		sg_buffer_clear(&stream->out);
		stream->out_sent = 0;
	}
	if (sg_buffer_status(&stream->out) != 0 || watch(server, EPOLL_CTL_MOD, stream->fd, events, index) != 0) {
		close_stream(server, index);
	}
}

static void take_reply(void *data, uint64_t token, const uint8_t *message, size_t size)
{
	struct sg_dnsserver *server = data;
	struct client *client = &server->clients[token % SG_DNSSERVER_CLIENTS_MAX];

	if (token & SG_DNSSERVER_OWN_TOKEN || !client->used || token_of(server, client) != token) {
		return;
	}
	client->used = false;
	if (client->stream < 0) {
		/* A datagram that cannot be sent is lost, as any other: the client asks again. */
		(void)sendto(server->udp, message, size, MSG_NOSIGNAL | MSG_DONTWAIT,
			     (struct sockaddr *)&client->address, client->length);
		return;
	}
	struct stream *stream = &server->streams[client->stream];
	uint8_t length[2] = {(uint8_t)(size >> 8), (uint8_t)size};

	sg_buffer_append(&stream->out, length, sizeof(length));
	sg_buffer_append(&stream->out, message, size);
	stream->queries--;
}

static void read_datagrams(struct sg_dnsserver *server)
{
	uint8_t message[DATAGRAM_SIZE];

	for (int i = 0; i < DATAGRAMS_MAX; i++) {
		struct client *client = take_client(server, -1);
		struct sg_resolver_request request;
		ssize_t size;

		if (!client) {
			return; /* the queue of the socket holds them until there is room */
		}
		client->length = sizeof(client->address);
		size = recvfrom(server->udp, message, sizeof(message), MSG_DONTWAIT | MSG_TRUNC,
				(struct sockaddr *)&client->address, &client->length);
		if (size < 0 || (size_t)size > sizeof(message)) {
			client->used = false;
			if (size < 0 && errno == EAGAIN) {
				return;
			}
			continue;
		}
		request = (struct sg_resolver_request){.token = token_of(server, client)};
		if (sg_resolver_query(server->resolver, &request, message, (size_t)size, server->now) != 0) {
			client->used = false;
		}
	}
}

/* A place for a connection: a free one, or that of the connection that was idle longest and awaits nothing.
 */
static int stream_place(struct sg_dnsserver *server)
{
	int oldest = -1;

	for (int i = 0; i < SG_DNSSERVER_STREAMS_MAX; i++) {
		if (server->streams[i].fd < 0) {
			return i;
		}
		if (server->streams[i].queries == 0 &&
		    (oldest < 0 || server->streams[i].active < server->streams[oldest].active)) {
			oldest = i;
		}
	}
	if (oldest >= 0) {
		close_stream(server, (size_t)oldest);
	}
	return oldest;
}

static void accept_streams(struct sg_dnsserver *server)
{
	for (int i = 0; i < SG_DNSSERVER_STREAMS_MAX; i++) {
		int fd = accept4(server->tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), place;
		struct stream *stream;

		if (fd < 0) {
			return;
		}
		place = stream_place(server);
		if (place < 0) {
			sg_fd_close(fd);
			continue;
		}
		stream = &server->streams[place];
		*stream = (struct stream){.fd = fd, .active = server->now, .in = malloc(2 + SG_DNS_UDP_MAX)};
		if (!stream->in || watch(server, EPOLL_CTL_ADD, fd, EPOLLIN, (uint64_t)place) != 0) {
			close_stream(server, (size_t)place);
		}
	}
}

/* Hands on every whole message of the input. Returns 0, or -EPROTO for a length that no query has. */
static int take_queries(struct sg_dnsserver *server, size_t index)
{
	struct stream *stream = &server->streams[index];

	while (stream->in_size >= 2 && stream->queries < SG_DNSSERVER_STREAM_QUERIES &&
	       stream->out.size < SG_DNS_MESSAGE_MAX) {
		size_t size = (size_t)(stream->in[0] << 8 | stream->in[1]);
		struct sg_resolver_request request = {.stream = true};
		struct client *client;

		if (size < SG_DNS_HEADER_SIZE || size > SG_DNS_UDP_MAX) {
			return -EPROTO;
		}
		if (stream->in_size < size + 2) {
			return 0;
		}
		client = take_client(server, (int)index);
		if (!client) {
			return 0;
		}
		stream->queries++;
		request.token = token_of(server, client);
		if (sg_resolver_query(server->resolver, &request, stream->in + 2, size, server->now) != 0) {
			client->used = false;
			stream->queries--;
			return -EPROTO;
		}
		stream->in_size -= size + 2;
		memmove(stream->in, stream->in + size + 2, stream->in_size);
	}
	return 0;
}

static void serve_stream(struct sg_dnsserver *server, size_t index, uint32_t events)
{
	struct stream *stream = &server->streams[index];
	size_t room = 2 + SG_DNS_UDP_MAX - stream->in_size;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && room > 0) {
		ssize_t size = recv(stream->fd, stream->in + stream->in_size, room, MSG_DONTWAIT);

		if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
			close_stream(server, index);
			return;
		}
		if (size > 0) {
			stream->in_size += (size_t)size;
			stream->active = server->now;
		}
	}
	if (take_queries(server, index) != 0) {
		close_stream(server, index);
		return;
	}
	flush_stream(server, index);
}

/* Replies came, or room: go on with every stream that has something; close those that idle. */
static void attend_streams(struct sg_dnsserver *server)
{
	for (size_t i = 0; i < SG_DNSSERVER_STREAMS_MAX; i++) {
		struct stream *stream = &server->streams[i];

		if (stream->fd < 0) {
			continue;
		}
		if (stream->queries == 0 && server->now - stream->active >= SG_DNSSERVER_IDLE) {
			close_stream(server, i);
		} else if (stream->out.size > 0 || stream->in_size > 0) {
			serve_stream(server, i, 0);
		}
	}
}

void sg_dnsserver_run(struct sg_dnsserver *server, int64_t now)
{
	struct epoll_event events[EVENTS_MAX];
	int count;

	server->now = now;
	count = epoll_wait(server->epoll, events, EVENTS_MAX, 0);
	for (int i = 0; i < count; i++) {
		uint64_t key = events[i].data.u64;

		if (key == KEY_UDP) {
			read_datagrams(server);
		} else if (key == KEY_TCP) {
			accept_streams(server);
		} else if (key < SG_DNSSERVER_STREAMS_MAX && server->streams[key].fd >= 0) {
			serve_stream(server, key, events[i].events);
		}
	}
	sg_resolver_run(server->resolver, now);
	attend_streams(server);
}

int64_t sg_dnsserver_deadline(const struct sg_dnsserver *server)
{
	int64_t earliest = sg_resolver_deadline(server->resolver);

	for (size_t i = 0; i < SG_DNSSERVER_STREAMS_MAX; i++) {
		const struct stream *stream = &server->streams[i];

		if (stream->fd >= 0 && stream->queries == 0 && stream->active + SG_DNSSERVER_IDLE < earliest) {
			earliest = stream->active + SG_DNSSERVER_IDLE;
		}
	}
	return earliest;
}

int sg_dnsserver_fd(const struct sg_dnsserver *server)
{
	return server->epoll;
}

struct sg_resolver *sg_dnsserver_resolver(struct sg_dnsserver *server)
{
	return server->resolver;
}

static int watch_all(struct sg_dnsserver *server, int udp, int tcp)
{
	int result = watch(server, EPOLL_CTL_ADD, sg_resolver_fd(server->resolver), EPOLLIN, KEY_RESOLVER);

	if (result == 0 && udp >= 0) {
		result = set_nonblocking(udp);
		result = result == 0 ? watch(server, EPOLL_CTL_ADD, udp, EPOLLIN, KEY_UDP) : result;
	}
	if (result == 0 && tcp >= 0) {
		result = set_nonblocking(tcp);
		result = result == 0 ? watch(server, EPOLL_CTL_ADD, tcp, EPOLLIN, KEY_TCP) : result;
	}
	return result;
}

int sg_dnsserver_new(int udp, int tcp, const struct sg_resolvconf *conf, const struct sg_hosts *hosts,
		     struct sg_namecache *cache, const struct sg_resolver_policy *policy,
		     const struct sg_resolver_options *options, struct sg_dnsserver **ret, struct sg_error *error)
{
	SG_CLEANUP(sg_auto_dnsserver) struct sg_dnsserver *server = calloc(1, sizeof(*server));
	int result;

	if (!server) {
		return sg_error_set(error, -ENOMEM, "no memory for the name server");
	}
	server->udp = server->tcp = -1;
	for (size_t i = 0; i < SG_DNSSERVER_STREAMS_MAX; i++) {
		server->streams[i].fd = -1;
	}
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll < 0) {
		return sg_error_set_errno(error, -errno, "epoll_create1");
	}
	result = sg_resolver_new(conf, hosts, cache, policy, options, take_reply, server, &server->resolver, error);
	if (result != 0) {
		return result;
	}
	result = watch_all(server, udp, tcp);
	if (result != 0) {
		return sg_error_set_errno(error, result, "cannot watch the name server's sockets");
	}
	server->udp = udp;
	server->tcp = tcp;
	*ret = sg_take_pointer(server);
	return 0;
}

void sg_dnsserver_free(struct sg_dnsserver *server)
{
	if (!server) {
		return;
	}
	for (size_t i = 0; server->resolver && i < SG_DNSSERVER_STREAMS_MAX; i++) {
		if (server->streams[i].fd >= 0) {
			close_stream(server, i);
		}
	}
	sg_resolver_free(server->resolver);
	sg_fd_close(server->udp);
	sg_fd_close(server->tcp);
	sg_fd_close(server->epoll);
	free(server);
}
