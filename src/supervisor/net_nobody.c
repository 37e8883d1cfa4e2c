/*
 * A port of the session's own loopback where nobody listens.
 *
 * A world's loopback is its own, so `psql -h localhost` meets the kernel's ECONNREFUSED there though the host's server runs,
 * and the person at the terminal would look for the server instead of for the rule. So the first such connection to a port is a
 * refusal like any other: told, and on the record, with the rule that would lead to the host's loopback. It says nothing of
 * the host, which is not looked at: it follows from what the world itself has done, and is the same whether or not something
 * of the host's listens there.
 *
 * It is told once for a port, to either family, and not at all where it would be no news: for a port that the world has
 * bound itself (its server is not up yet, or gone again), for those that the kernel hands out, and after TOLD_MAX of them
 * (somebody searches).
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>

#include "supervisor/net_cut.h"
#include "supervisor/network.h"

enum { HANDED_OUT_FROM = 32768, TOLD_MAX = 16 }; /* net.ipv4.ip_local_port_range of a fresh network namespace */

static bool is_quiet(const struct sg_network *network, uint16_t port)
{
	return (network->quiet_ports[port / 8] >> port % 8 & 1) != 0;
}

void sg_net_quiet(struct sg_network *network, const struct sg_address *address)
{
	if (address->protocol == SG_PROTOCOL_TCP)
		network->quiet_ports[address->port / 8] |= (uint8_t)(1U << address->port % 8);
}

/*
 * Without taking the error away from the caller: that of a connection that does not block is left in the socket. On a loopback
 * the answer has come within the call; where it has not, there is nothing to tell.
 */
static bool was_refused(int fd, int status)
{
	uint8_t state = 0; /* the first field of struct tcp_info */
	socklen_t size = sizeof(state);

	if (status != -EINPROGRESS)
		return status == -ECONNREFUSED;
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &size) == 0 && size == sizeof(state) && state == TCP_CLOSE;
}

void sg_net_note_nobody(struct sg_request *request, int fd, int status, const struct sg_address *address)
{
	static const struct sg_decision decision = {.verdict = SG_VERDICT_DENY,
						    .error = ECONNREFUSED,
						    .reason = "nobody listens there in the session's own network, and "
							      "no rule names this port of the host's loopback"};
	struct sg_network *network = request->supervisor->network;
	SG_AUTO_BUFFER struct sg_buffer named = SG_BUFFER_INIT;
	char object[sizeof("tcp:loopback:65535")];

	if (status == 0 || address->protocol != SG_PROTOCOL_TCP || address->port == 0 ||
	    address->port >= HANDED_OUT_FROM || network->cut || network->told_ports >= TOLD_MAX ||
	    is_quiet(network, address->port) || !was_refused(fd, status))
		return;
	sg_net_quiet(network, address);
	network->told_ports++;
	sg_address_format(address, &named);
	(void)snprintf(object, sizeof(object), "tcp:loopback:%u", address->port);
	/* Granted is nothing: a record that cannot be written has said so already, and the caller has the kernel's answer. */
	if (sg_buffer_status(&named) == 0)
		(void)sg_report(request, &decision, object, named.data);
}
