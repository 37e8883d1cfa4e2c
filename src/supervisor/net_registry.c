/*
 * The registry of what leads outside: every socket of the host's network, and every unix socket with a peer
 * of the host, that a world was given.
 *
 * It is an epoll instance, which knows an open file without keeping it open: the world's last close still
 * ends a connection. The kernel takes a socket out when its last reference goes, be it a descriptor, a
 * message in a queue, or a call that a thread is still in; so what the instance still lists
 * (proc_pid_fdinfo(5)) is what somebody still has, and a cut that has not met all of it has not been made.
 * Beside it stands a table that says of each how it came to be; it is cleaned when it grows.
 *
 * A world has no descriptor of the instance, and cannot name it: nothing takes a socket out but its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/fd.h"
#include "supervisor/network.h"

enum { ENTRIES_FIRST = 64, INFO_MAX = 16 << 20 };

uint64_t sg_net_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0 ? 0 : cookie;
}

/* "tfd:        9 events: 80000000 data:                1  pos:0 ino:..." for each socket. Owned by the
 * caller. */
static char *read_instance(const struct sg_network *network)
{
	SG_AUTO_FD int fd = -1;
	char path[48], *text = NULL;
	size_t size;

	(void)snprintf(path, sizeof(path), "self/fdinfo/%d", network->registry);
	fd = openat(network->supervisor->view.proc, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 || sg_fd_read_file(fd, INFO_MAX, &text, &size) < 0 ? NULL : text;
}

/* The entries are in the order of their serial numbers. */
static struct sg_net_outside *find_serial(const struct sg_network *network, uint64_t serial)
{
	size_t low = 0, high = network->outside_count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (network->outside[middle].serial < serial)
			low = middle + 1;
		else
			high = middle;
	}
	return low < network->outside_count && network->outside[low].serial == serial ? &network->outside[low] : NULL;
}

int sg_net_registry_refresh(struct sg_network *network)
{
	SG_AUTO_FREE char *text = read_instance(network);
	size_t kept = 0;

	if (text == NULL)
		return -EIO;
	for (size_t i = 0; i < network->outside_count; i++)
		network->outside[i].alive = false;
	for (const char *at = strstr(text, " data: "); at != NULL; at = strstr(at + 1, " data: ")) {
		struct sg_net_outside *entry = find_serial(network, strtoull(at + 7, NULL, 16));

		/* One that the table does not know would be one that nothing is known of. */
		if (entry == NULL)
			return -EIO;
		entry->alive = true;
	}
	for (size_t i = 0; i < network->outside_count; i++)
		if (network->outside[i].alive)
			network->outside[kept++] = network->outside[i];
	network->outside_count = kept;
	return 0;
}

/* Room for one more: what has ended makes it, else memory. */
static int make_room(struct sg_network *network)
{
	const size_t room = network->outside_room;
	struct sg_net_outside *grown;

	if (network->outside_count < room)
		return 0;
	if (room > 0 && sg_net_registry_refresh(network) == 0 && network->outside_count <= room / 2)
		return 0;
	grown = reallocarray(network->outside, room == 0 ? ENTRIES_FIRST : room * 2, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	network->outside = grown;
	network->outside_room = room == 0 ? ENTRIES_FIRST : room * 2;
	return 0;
}

uint64_t sg_net_register(struct sg_network *network, int fd, enum sg_net_origin origin,
			 const struct sg_address *address)
{
	struct epoll_event event = {.events = EPOLLET, .data.u64 = network->serial + 1};
	const uint64_t cookie = sg_net_cookie(fd);

	if (cookie == 0 || make_room(network) < 0)
		return 0;
	if (epoll_ctl(network->registry, EPOLL_CTL_ADD, fd, &event) < 0)
		return 0;
	network->outside[network->outside_count++] = (struct sg_net_outside){
		.serial = ++network->serial, .cookie = cookie, .origin = origin, .address = *address};
	return network->serial;
}

struct sg_net_outside *sg_net_find_outside(const struct sg_network *network, uint64_t cookie)
{
	/* What was given last is asked for most. */
	for (size_t i = network->outside_count; cookie != 0 && i-- > 0;)
		if (network->outside[i].cookie == cookie)
			return &network->outside[i];
	return NULL;
}

void sg_net_note_address(const struct sg_network *network, uint64_t cookie, const struct sg_address *address)
{
	struct sg_net_outside *entry = sg_net_find_outside(network, cookie);

	if (entry != NULL)
		entry->address = *address;
}

int sg_net_note_unix(struct sg_network *network, int fd, const struct sg_address *address)
{
	const uint64_t cookie = sg_net_cookie(fd);

	if (sg_net_find_outside(network, cookie) == NULL)
		return sg_net_register(network, fd, SG_NET_ORIGIN_CONNECTED, address) == 0 ? -ENOBUFS : 0;
	sg_net_note_address(network, cookie, address);
	return 0;
}

bool sg_net_is_alive(const struct sg_network *network, uint64_t serial)
{
	SG_AUTO_FREE char *text = read_instance(network);
	char wanted[32];

	(void)snprintf(wanted, sizeof(wanted), "data: %16" PRIx64 " ", serial);
	return text != NULL && strstr(text, wanted) != NULL;
}
