#include "export/apparmor_sockets.h"

#include <sys/socket.h>
#include <sys/syscall.h>

#include "tables/flags.h"
#include "tables/syscalls.h"
#include "tables/values.h"

const struct sg_apparmor_family sg_apparmor_families[] = {
	{AF_INET, "inet"}, {AF_INET6, "inet6"}, {AF_NETLINK, "netlink"}, {AF_PACKET, "packet"}, {0, NULL},
};

const struct sg_apparmor_type sg_apparmor_types[] = {
	{SOCK_STREAM, "stream"}, {SOCK_DGRAM, "dgram"}, {SOCK_SEQPACKET, "seqpacket"}, {SOCK_RAW, "raw"}, {0, NULL},
};

bool sg_apparmor_makes_sockets(const struct sg_filter_grants *grants, int domain, int type)
{
	const struct sg_socket_kind *kinds;
	size_t count;

	/* Pairs are of unix sockets, and of no flag. */
	if (domain == AF_UNIX && type != SOCK_RAW && sg_syscall_set_has(&grants->calls, SYS_socketpair))
		return true;
	if (!sg_syscall_set_has(&grants->calls, SYS_socket))
		return false;
	kinds = sg_socket_kinds(&count);
	for (size_t i = 0; i < count; i++)
		if (kinds[i].domain == domain && kinds[i].type == type &&
		    sg_flag_set_has(&grants->flags, (enum sg_flag)kinds[i].flag))
			return true;
	return false;
}

void sg_apparmor_sockets_write(const struct sg_filter_grants *grants, struct sg_buffer *out)
{
	for (size_t i = 0; sg_apparmor_families[i].name != NULL; i++)
		for (size_t j = 0; sg_apparmor_types[j].name != NULL; j++)
			if (sg_apparmor_makes_sockets(grants, sg_apparmor_families[i].domain,
						      sg_apparmor_types[j].type))
				sg_buffer_printf(out, "  network %s %s,\n", sg_apparmor_families[i].name,
						 sg_apparmor_types[j].name);
}
