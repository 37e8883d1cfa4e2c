/*
 * A fresh socket of the world's own network, for a descriptor that had been swapped to an outside one and now
 * is to reach the world's own.
 *
 * We are in the session's user namespace and own the world's: to enter that and then the world's network is
 * our right (setns(2)), but one way. So a child does it, which shares our memory and our table of
 * descriptors, makes three system calls and the socket, and ends; we wait for it. It has a stack of its own,
 * and runs no code but what stands here. The world cannot reach it: it is in our PID namespace, not the
 * world's, and cannot be examined (PR_SET_DUMPABLE is off for our memory).
 *
 * The namespaces are told from a socket that was made in the world before any code of it ran, and not from a
 * process, which could be another one by now.
 */
#include <errno.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/network.h"

enum { STACK_SIZE = 32768 };

struct making {
	int user_namespace, network_namespace;
	int domain, type, protocol;
	int result; /* the socket, or -errno */
};

int sg_net_find_namespaces(struct sg_network *network, int probe)
{
	network->network_namespace = ioctl(probe, SIOCGSKNS);
	if (network->network_namespace < 0)
		return -errno;
	network->user_namespace = ioctl(network->network_namespace, NS_GET_USERNS);
	return network->user_namespace < 0 ? -errno : 0;
}

/* Only system calls: memory and descriptors are the supervisor's. */
static int make(void *data)
{
	struct making *making = data;
	int fd = -1;

	if (setns(making->user_namespace, CLONE_NEWUSER) == 0 && setns(making->network_namespace, CLONE_NEWNET) == 0)
		fd = socket(making->domain, making->type, making->protocol);
	making->result = fd < 0 ? -errno : fd;
	return 0;
}

int sg_net_make_inside(const struct sg_network *network, const struct sg_net_socket *like)
{
	static char stack[STACK_SIZE] __attribute__((aligned(16)));
	struct making making = {.user_namespace = network->user_namespace,
				.network_namespace = network->network_namespace,
				.domain = like->domain,
				.type = like->type | SOCK_CLOEXEC | SOCK_NONBLOCK,
				.protocol = like->protocol,
				.result = -EAGAIN};
	pid_t child = clone(make, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &making);

	if (child < 0)
		return -errno;
	while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
		continue;
	if (making.result >= 0)
		sg_net_carry_options(like, making.result);
	return making.result;
}
