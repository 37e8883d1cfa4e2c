#include "network/hostaddrs.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fd.h"

/* The macros of linux/netlink.h cast to char *. (gcc passes over what comes from system headers.) */
#pragma GCC diagnostic ignored "-Wcast-qual"

enum {
	RANGES_MAX = 1 << 16, /* addresses and local routes of one host */
	REPLY_SIZE = 1 << 16, /* the kernel fills at most 32 KiB a message of a dump */
	TIMEOUT_SECONDS = 5,
};

struct sg_hostaddrs {
	int notify;
	struct sg_addressranges *own, *broadcast;
	struct sg_address_environment environment;
};

struct collected {
	struct sg_addressrange *ranges;
	size_t count, capacity;
};

struct collector {
	struct collected own, broadcast;
};

static int collect(struct collected *collected, int family, const void *bytes, unsigned int prefix)
{
	if (collected->count == RANGES_MAX) {
		return -E2BIG;
	}
	if (collected->count == collected->capacity) {
		size_t capacity = collected->capacity == 0 ? 32 : collected->capacity * 2;
		struct sg_addressrange *grown = reallocarray(collected->ranges, capacity, sizeof(*grown));

		if (!grown) {
			return -ENOMEM;
		}
		collected->ranges = grown;
		collected->capacity = capacity;
	}
	collected->ranges[collected->count++] = sg_addressrange_prefix(family, bytes, prefix);
	return 0;
}

static unsigned int width_of(int family)
{
	return family == AF_INET ? 32 : family == AF_INET6 ? 128 : 0;
}

/* The attribute's data, if it is an address of the family. */
static const void *address_data(const struct rtattr *attribute, int family)
{
	return RTA_PAYLOAD(attribute) == width_of(family) / 8 ? RTA_DATA(attribute) : NULL;
}

static int read_interface_address(const struct nlmsghdr *message, struct collector *collector)
{
	const struct ifaddrmsg *head = NLMSG_DATA(message);
	unsigned int width = width_of(head->ifa_family);
	const struct rtattr *attribute = IFA_RTA(head);
	size_t left = message->nlmsg_len - NLMSG_LENGTH(sizeof(*head));
	int result = 0;

	for (; result == 0 && width != 0 && RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		const void *data = address_data(attribute, head->ifa_family);

		/* On a point-to-point link IFA_ADDRESS is the peer's, and IFA_LOCAL ours (IPv4 always has
		 * it). */
		if (data && (attribute->rta_type == IFA_LOCAL ||
			     (attribute->rta_type == IFA_ADDRESS && head->ifa_family == AF_INET6))) {
			result = collect(&collector->own, head->ifa_family, data, width);
		} else if (data && attribute->rta_type == IFA_BROADCAST) {
			result = collect(&collector->broadcast, head->ifa_family, data, width);
		}
	}
	return result;
}

static int read_route(const struct nlmsghdr *message, struct collector *collector)
{
	const struct rtmsg *head = NLMSG_DATA(message);
	const struct rtattr *attribute = RTM_RTA(head);
	size_t left = message->nlmsg_len - NLMSG_LENGTH(sizeof(*head));
	unsigned int width = width_of(head->rtm_family);
	static const uint8_t any[16];
	const void *data = any;

	if (width == 0 || head->rtm_dst_len > width ||
	    (head->rtm_type != RTN_LOCAL && head->rtm_type != RTN_ANYCAST && head->rtm_type != RTN_BROADCAST)) {
		return 0;
	}
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		if (attribute->rta_type == RTA_DST) {
			data = address_data(attribute, head->rtm_family);
		}
	}
	if (!data) {
		return 0;
	}
	return collect(head->rtm_type == RTN_BROADCAST ? &collector->broadcast : &collector->own, head->rtm_family,
		       data, head->rtm_dst_len);
}

/* Reads one datagram of a dump. Returns 1 at the end of the dump, 0 to go on, or -errno. */
static int read_dump(const uint8_t *data, size_t size, uint32_t sequence, struct collector *collector)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)data;
	size_t left = size;
	int result = 0;

	for (; result == 0 && NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
		if (message->nlmsg_seq != sequence) {
			continue;
		}
		if (message->nlmsg_flags & NLM_F_DUMP_INTR) {
			/* The table changed while it was read: what was read may lack an address. */
			return -EINTR;
		}
		if (message->nlmsg_type == NLMSG_DONE) {
			return 1;
		}
		if (message->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *error = NLMSG_DATA(message);

			return message->nlmsg_len >= NLMSG_LENGTH(sizeof(*error)) && error->error < 0 ? error->error
												      : -EPROTO;
		}
		if (message->nlmsg_type == RTM_NEWADDR &&
		    message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifaddrmsg))) {
			result = read_interface_address(message, collector);
		} else if (message->nlmsg_type == RTM_NEWROUTE &&
			   message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg))) {
			result = read_route(message, collector);
		}
	}
	return result;
}

static int receive_dump(int fd, uint32_t sequence, struct collector *collector)
{
	SG_AUTO_FREE uint8_t *buffer = malloc(REPLY_SIZE);
	int result = buffer ? 0 : -ENOMEM;

	while (result == 0) {
		struct sockaddr_nl from = {0};
		struct iovec part = {buffer, REPLY_SIZE};
		struct msghdr head = {
			.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &part, .msg_iovlen = 1};
		ssize_t size = recvmsg(fd, &head, 0);

		if (size < 0) {
			result = errno == EINTR ? 0 : -errno;
		} else if (head.msg_flags & MSG_TRUNC) {
			result = -EMSGSIZE;
		} else if (from.nl_pid == 0) { /* from the kernel; others can send to us */
			result = read_dump(buffer, (size_t)size, sequence, collector);
		}
	}
	return result < 0 ? result : 0;
}

/* One dump request: of addresses, or of the local table's routes. */
static int dump(int fd, uint16_t type, uint32_t sequence, struct collector *collector)
{
	struct {
		struct nlmsghdr head;
		union {
			struct ifaddrmsg address;
			struct rtmsg route;
		};
		struct rtattr attribute;
		uint32_t table;
	} request = {.head = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = sequence}};

	if (type == RTM_GETADDR) {
		request.head.nlmsg_len = NLMSG_LENGTH(sizeof(request.address));
	} else {
		request.route.rtm_table = RT_TABLE_LOCAL;
		request.attribute =
			(struct rtattr){.rta_len = RTA_LENGTH(sizeof(request.table)), .rta_type = RTA_TABLE};
		request.table = RT_TABLE_LOCAL;
		request.head.nlmsg_len = NLMSG_LENGTH(sizeof(request.route)) + RTA_SPACE(sizeof(request.table));
	}
	if (send(fd, &request, request.head.nlmsg_len, 0) < 0) {
		return -errno;
	}
	return receive_dump(fd, sequence, collector);
}

static int open_netlink(uint32_t groups, int flags)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
	SG_AUTO_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);
	struct timeval limit = {.tv_sec = TIMEOUT_SECONDS};
	int on = 1;

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0) {
		return -errno;
	}
	/* Filters by table in the kernel (4.20); without it more routes come, and are filtered by their type
	 * here. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return sg_fd_take(&fd);
}

static int collect_all(struct collector *collector)
{
	SG_AUTO_FD int fd = open_netlink(0, 0);
	int result = fd < 0 ? fd : -EINTR;

	for (uint32_t try = 1; result == -EINTR && try <= 16; try += 2) {
		collector->own.count = collector->broadcast.count = 0;
		result = dump(fd, RTM_GETADDR, try, collector);
		if (result == 0) {
			result = dump(fd, RTM_GETROUTE, try + 1, collector);
		}
	}
	return result;
}

static void replace(struct sg_hostaddrs *addresses, struct sg_addressranges *own, struct sg_addressranges *broadcast)
{
	sg_addressranges_free(addresses->own);
	sg_addressranges_free(addresses->broadcast);
	addresses->own = own;
	addresses->broadcast = broadcast;
	addresses->environment = (struct sg_address_environment){own, broadcast};
}

static int read_again(struct sg_hostaddrs *addresses, struct sg_error *error)
{
	struct collector collector = {0};
	SG_CLEANUP(sg_auto_addressranges) struct sg_addressranges *own = NULL, *broadcast = NULL;
	int result = collect_all(&collector);

	if (result == 0) {
		own = sg_addressranges_new(collector.own.ranges, collector.own.count);
		broadcast = sg_addressranges_new(collector.broadcast.ranges, collector.broadcast.count);
		result = own && broadcast ? 0 : -ENOMEM;
	}
	free(collector.own.ranges);
	free(collector.broadcast.ranges);
	if (result != 0) {
		replace(addresses, NULL, NULL);
		return sg_error_set_errno(error, result, "cannot read this host's addresses");
	}
	replace(addresses, sg_take_pointer(own), sg_take_pointer(broadcast));
	return 0;
}

int sg_hostaddrs_new(struct sg_hostaddrs **ret, struct sg_error *error)
{
	SG_CLEANUP(sg_auto_hostaddrs) struct sg_hostaddrs *addresses = calloc(1, sizeof(*addresses));
	int result;

	if (!addresses) {
		return sg_error_set(error, -ENOMEM, "no memory for this host's addresses");
	}
	/* Subscribed before the first reading: no change is missed. */
	addresses->notify = open_netlink(
		RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE, SOCK_NONBLOCK);
	if (addresses->notify < 0) {
		return sg_error_set_errno(error, addresses->notify, "cannot watch this host's addresses");
	}
	result = read_again(addresses, error);
	if (result == 0) {
		*ret = sg_take_pointer(addresses);
	}
	return result;
}

void sg_hostaddrs_free(struct sg_hostaddrs *addresses)
{
	if (addresses) {
		replace(addresses, NULL, NULL);
		sg_fd_close(addresses->notify);
		free(addresses);
	}
}

int sg_hostaddrs_fd(const struct sg_hostaddrs *addresses)
{
	return addresses->notify;
}

/* Does a notification concern what is collected? Ordinary routes come and go by the thousand on a router. */
static bool concerns(const uint8_t *data, size_t size)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)data;
	size_t left = size;

	for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
		const struct rtmsg *route = NLMSG_DATA(message);
		bool is_route = message->nlmsg_type == RTM_NEWROUTE || message->nlmsg_type == RTM_DELROUTE;

		if (!is_route || message->nlmsg_len < NLMSG_LENGTH(sizeof(*route)) || route->rtm_type == RTN_LOCAL ||
		    route->rtm_type == RTN_ANYCAST || route->rtm_type == RTN_BROADCAST) {
			return true;
		}
	}
	return false;
}

int sg_hostaddrs_refresh(struct sg_hostaddrs *addresses, struct sg_error *error)
{
	uint8_t buffer[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	bool changed = addresses->own == NULL;
	int result;

	for (;;) {
		ssize_t size = recv(addresses->notify, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC);

		if (size < 0 && errno == EAGAIN) {
			break;
		}
		/* ENOBUFS: notifications were lost. */
		changed = changed || size < 0 || (size_t)size > sizeof(buffer) || concerns(buffer, (size_t)size);
		if (size < 0 && errno != ENOBUFS && errno != EINTR) {
			break;
		}
	}
	if (!changed) {
		return 0;
	}
	result = read_again(addresses, error);
	return result == 0 ? 1 : result;
}

const struct sg_address_environment *sg_hostaddrs_environment(const struct sg_hostaddrs *addresses)
{
	return &addresses->environment;
}
