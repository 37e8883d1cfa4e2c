#include "world/loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

enum { BACKLOG = 64 };

static int raise_interface(int socket, struct sg_error *error)
{
	struct ifreq request = {.ifr_name = "lo"};

	if (ioctl(socket, SIOCGIFFLAGS, &request) < 0)
		return sg_error_set_errno(error, -errno, "cannot look at the world's loopback");
	request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
	if (ioctl(socket, SIOCSIFFLAGS, &request) < 0)
		return sg_error_set_errno(error, -errno, "cannot bring the world's loopback up");
	return 0;
}

/* Port 53 is bound with the capability that the first process still holds over its own namespace. */
static int make_resolver_socket(int type, int *ret, struct sg_error *error)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(SG_LOOPBACK_NAMESERVER_PORT)};
	SG_AUTO_FD int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || inet_pton(AF_INET, SG_LOOPBACK_NAMESERVER, &address.sin_addr) != 1 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
		return sg_error_set_errno(error, -errno, "cannot make the socket of the world's resolver");
	*ret = sg_fd_take(&fd);
	return 0;
}

void sg_loopback_allow_ping(gid_t gid)
{
	/* Below /proc/sys/net a process sees its own network's values, through whichever mount. */
	SG_AUTO_FD int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);
	char text[32];
	int size = snprintf(text, sizeof(text), "%u %u", gid, gid);

	if (fd >= 0 && size > 0 && write(fd, text, (size_t)size) != size)
		return;
}

int sg_loopback_raise(bool resolver, int ret_sockets[SG_LOOPBACK_SOCKETS], struct sg_error *error)
{
	SG_AUTO_FD int probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	SG_AUTO_FD int udp = -1, tcp = -1;
	int status = probe < 0 ? sg_error_set_errno(error, -errno, "cannot make a socket in the world") : 0;

	if (status == 0)
		status = raise_interface(probe, error);
	if (status == 0 && resolver)
		status = make_resolver_socket(SOCK_DGRAM, &udp, error);
	if (status == 0 && resolver)
		status = make_resolver_socket(SOCK_STREAM, &tcp, error);
	if (status < 0)
		return status;
	ret_sockets[SG_LOOPBACK_PROBE] = sg_fd_take(&probe);
	ret_sockets[SG_LOOPBACK_DIAGNOSIS] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	ret_sockets[SG_LOOPBACK_UDP] = sg_fd_take(&udp);
	ret_sockets[SG_LOOPBACK_TCP] = sg_fd_take(&tcp);
	return 0;
}
