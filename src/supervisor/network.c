/* The network of a world: its start, and the way of each call to its handler (network.h has the argument). */
#include "supervisor/network.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/guard.h"
#include "tables/syscalls.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif

static int read_cookie(int socket, uint64_t *ret)
{
	socklen_t size = sizeof(*ret);

	return getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, ret, &size) < 0 ? -errno : 0;
}

int sg_network_prepare(struct sg_supervisor *supervisor, struct sg_error *error)
{
	static struct sg_network network;
	SG_AUTO_FD int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct rlimit limit;
	int status;

	/* A process has one session: the rest is zero as it was made, and not touched before it is used. */
	network.supervisor = supervisor;
	network.diagnosis = -1;
	supervisor->network = &network;
	status = probe < 0 ? -errno : read_cookie(probe, &network.host_cookie);
	network.epoll = epoll_create1(EPOLL_CLOEXEC);
	network.registry = epoll_create1(EPOLL_CLOEXEC);
	if (status == 0 && (network.epoll < 0 || network.registry < 0))
		status = -errno;
	if (status < 0)
		return sg_error_set_errno(error, status, "cannot tell the host's network from the world's");
	/* Copies of sockets that wait are ours for a while. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	return sg_net_policy_prepare(&network, error);
}

/* By the command, which waits in its first execve: the first process is sealed by now. */
static int find_space(struct sg_network *network)
{
	const struct sg_supervisor *supervisor = network->supervisor;
	char path[64];
	ssize_t size;

	(void)snprintf(path, sizeof(path), "%d/ns/pid", (int)supervisor->world.command);
	size = readlinkat(supervisor->view.proc, path, network->space, sizeof(network->space) - 1);
	return size < 0 ? -errno : size == 0 ? -EIO : 0;
}

int sg_network_start(struct sg_supervisor *supervisor, struct sg_error *error)
{
	struct sg_network *network = supervisor->network;
	int *sockets = supervisor->world.sockets;
	int status = read_cookie(sockets[SG_LOOPBACK_PROBE], &network->world_cookie);

	if (status == 0 && network->world_cookie == network->host_cookie)
		status = -EXDEV;
	if (status == 0)
		status = sg_net_find_namespaces(network, sockets[SG_LOOPBACK_PROBE]);
	if (status == 0)
		status = find_space(network);
	if (status == 0)
		status = sg_guard_prepare();
	/* Unix peers are named through our own descriptors, from here. */
	if (status == 0 && fchdir(supervisor->view.proc) < 0)
		status = -errno;
	if (status == 0)
		status = sg_net_names_start(network, error);
	if (status == 0)
		status = sg_network_watch(network);
	if (status < 0)
		return sg_error_set_errno(error, status, "cannot start the network of the world");
	network->diagnosis = sg_fd_take(&sockets[SG_LOOPBACK_DIAGNOSIS]);
	sockets[SG_LOOPBACK_PROBE] = sg_fd_close(sockets[SG_LOOPBACK_PROBE]);
	return 0;
}

static const struct {
	int number;
	void (*handle)(struct sg_request *request);
} handlers[] = {
	{SYS_connect, sg_net_connect},      {SYS_bind, sg_net_bind},
	{SYS_listen, sg_net_listen},        {SYS_accept, sg_net_accept},
	{SYS_accept4, sg_net_accept},       {SYS_sendto, sg_net_send},
	{SYS_sendmsg, sg_net_send_message}, {SYS_sendmmsg, sg_net_send_messages},
};

static void refuse_fast_open(struct sg_request *request)
{
	static const struct sg_decision decision = {.verdict = SG_VERDICT_DENY,
						    .error = EPERM,
						    .reason = "fast open carries data before a connection is decided"};

	request->operation = "use";
	(void)sg_report(request, &decision, "MSG_FASTOPEN", NULL);
	sg_answer_error(request, decision.error);
}

/* The flags argument of the calls that send; what the filter refuses is notified to be recorded. */
static bool opens_fast(const struct seccomp_data *data)
{
	const uint64_t flags = data->nr == SYS_sendto || data->nr == SYS_sendmmsg ? data->args[3]
			       : data->nr == SYS_sendmsg                          ? data->args[2]
										  : 0;

	return (flags & MSG_FASTOPEN) != 0;
}

void sg_handle_network(struct sg_request *request)
{
	const int number = request->notification.data.nr;

	request->operation = "use the network by";
	if (opens_fast(&request->notification.data)) {
		refuse_fast_open(request);
		return;
	}
	for (size_t i = 0; i < SG_ARRAY_SIZE(handlers); i++) {
		if (handlers[i].number == number) {
			handlers[i].handle(request);
			return;
		}
	}
	sg_answer_error(request, ENOSYS);
}
