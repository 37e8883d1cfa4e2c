/*
 * Unix sockets by path.
 *
 * Neither the network namespace nor a read-only mount bounds a path: whoever may look a socket up may speak
 * to it. So the object behind the path is pinned first, and may be connected to if it is of the world's own
 * making, or if a rule under Allow names it by its canonical name. Of the world's own making is a socket on a
 * file system of the world's own, or one that the kernel lists as bound in the world's network
 * (sock_diag(7)): device and inode are compared, so a socket of the host that was moved or linked to another
 * name stays one of the host's. What is connected to is our descriptor of the pinned object, never a name.
 *
 * The peer sees who connects: the supervisor, which has the session user's ids and no capability over the
 * host. A caller with other ids than those would be seen as more, or as somebody else, and is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/network.h"

/* The macros of linux/netlink.h cast to char *. (gcc passes over what comes from system headers.) */
#pragma GCC diagnostic ignored "-Wcast-qual"

enum { REPLY_MAX = 32768, REPLIES_MAX = 4096 };

void sg_net_peer_done(struct sg_net_peer *peer)
{
	sg_resolved_done(&peer->object);
}

/* The object on a file system that the socket of this row is bound to, or of which its listener is. */
static bool read_object(const struct nlmsghdr *message, struct unix_diag_vfs *ret)
{
	const struct unix_diag_msg *body = NLMSG_DATA(message);
	const struct nlattr *attribute = (const struct nlattr *)(const void *)(body + 1);
	size_t left = message->nlmsg_len - NLMSG_LENGTH(sizeof(*body));

	while (left >= sizeof(*attribute) && attribute->nla_len >= sizeof(*attribute) && attribute->nla_len <= left) {
		size_t step = NLMSG_ALIGN(attribute->nla_len);

		if (attribute->nla_type == UNIX_DIAG_VFS && attribute->nla_len >= sizeof(*attribute) + sizeof(*ret)) {
			memcpy(ret, attribute + 1, sizeof(*ret));
			return true;
		}
		if (step >= left)
			return false;
		left -= step;
		attribute = (const struct nlattr *)(const void *)((const char *)attribute + step);
	}
	return false;
}

typedef void (*visit_bound)(void *data, const struct sg_net_bound *bound);

/* Reads one part of a dump. Returns 0: go on, 1: the end, -1: it is broken off. */
static int read_dump(const char *reply, size_t size, visit_bound visit, void *data)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)reply;

	for (; NLMSG_OK(message, size); message = NLMSG_NEXT(message, size)) {
		const struct unix_diag_msg *body = NLMSG_DATA(message);
		struct unix_diag_vfs object;

		if (message->nlmsg_type == NLMSG_ERROR)
			return -1;
		if (message->nlmsg_type == NLMSG_DONE)
			return 1;
		if (message->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg)) || !read_object(message, &object))
			continue;
		/* The kernel's own form of a device number: twenty bits of minor. */
		visit(data,
		      &(struct sg_net_bound){
			      .socket = body->udiag_ino,
			      .inode = object.udiag_vfs_ino,
			      .device = makedev(object.udiag_vfs_dev >> 20, object.udiag_vfs_dev & 0xfffff),
			      .accepted = body->udiag_type != SOCK_DGRAM && body->udiag_state == TCP_ESTABLISHED});
	}
	return 0;
}

int sg_net_each_bound(const struct sg_network *network, visit_bound visit, void *data)
{
	struct {
		struct nlmsghdr header;
		struct unix_diag_req request;
	} query = {
		.header = {.nlmsg_len = sizeof(query),
			   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.request = {.sdiag_family = AF_UNIX, .udiag_states = UINT32_MAX, .udiag_show = UDIAG_SHOW_VFS},
	};
	static union {
		struct nlmsghdr align;
		char bytes[REPLY_MAX];
	} reply;

	if (network->diagnosis < 0)
		return -EOPNOTSUPP;
	if (send(network->diagnosis, &query, sizeof(query), 0) < 0)
		return -errno;
	/* The whole dump is read, whatever was found: the next one begins with an empty queue. */
	for (int i = 0; i < REPLIES_MAX; i++) {
		ssize_t size = recv(network->diagnosis, reply.bytes, sizeof(reply.bytes), MSG_DONTWAIT | MSG_TRUNC);
		int read;

		if (size <= 0 || (size_t)size > sizeof(reply.bytes))
			return -EIO;
		read = read_dump(reply.bytes, (size_t)size, visit, data);
		if (read != 0)
			return read > 0 ? 0 : -EIO;
	}
	return -EIO;
}

struct search {
	const struct stat *status;
	bool found;
};

static void compare(void *data, const struct sg_net_bound *bound)
{
	struct search *search = data;

	/* What a server of the host accepts from the world lies in the world's network, with the server's
	 * name. */
	search->found |=
		!bound->accepted && bound->inode == search->status->st_ino && bound->device == search->status->st_dev;
}

/* True if a socket of the world's network is bound to that inode. What cannot be told is not. */
static bool is_bound_in_world(const struct sg_network *network, const struct stat *status)
{
	struct search search = {status, false};

	/* The list has 32 bits of the inode's number; a larger one could be another's. */
	return status->st_ino <= UINT32_MAX && sg_net_each_bound(network, compare, &search) == 0 && search.found;
}

/* The ids that a peer will see are the supervisor's. */
static bool is_session_user(struct sg_request *request)
{
	return sg_caller_status(&request->caller) == 0 && request->caller.uid == geteuid() &&
	       request->caller.gid == getegid();
}

/* The decision about a socket of the host: by its canonical name, as a rule under Allow names it. */
static void decide_host(const struct sg_supervisor *supervisor, const struct sg_resolved *object,
			struct sg_decision *decision)
{
	*decision = (struct sg_decision){
		.verdict = SG_VERDICT_DENY, .error = EACCES, .reason = "no rule allows this socket of the host"};
	if (supervisor->network->cut) {
		decision->error = ECONNREFUSED;
		decision->reason = SG_NET_CUT_REASON;
	} else if (!object->unnamed) {
		sg_decide_socket(supervisor->policy, supervisor->names, object->name, object->length, decision);
	}
}

/* "/proc/self/fd/N" from the supervisor's working directory, which is the /proc that shows the supervisor. */
static void write_link(const struct sg_resolved *object, struct sg_net_peer *ret)
{
	struct sockaddr_un *path = (struct sockaddr_un *)(void *)&ret->address;

	memset(&ret->address, 0, sizeof(ret->address));
	path->sun_family = AF_UNIX;
	ret->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1U +
				  (size_t)snprintf(path->sun_path, sizeof(path->sun_path), "self/fd/%d", object->fd));
}

static int find_abstract(struct sg_request *request, const struct sg_net_socket *socket,
			 const struct sg_address *address, struct sg_net_peer *ret)
{
	struct sg_decision decision;
	enum sg_net_where where = sg_net_decide(request->supervisor->network, address, SG_ADDRESS_CONNECT, &decision);

	if (where == SG_NET_OWN && socket->outside) {
		decision = (struct sg_decision){.verdict = SG_VERDICT_DENY,
						.error = ECONNREFUSED,
						.reason = "no rule allows this socket of the host"};
		where = SG_NET_REFUSED;
	}
	if (where == SG_NET_REFUSED) {
		sg_net_refuse(request, &decision, address);
		return 1;
	}
	if (where == SG_NET_OUTSIDE && (!is_session_user(request) || sg_net_report(request, &decision, address) < 0))
		return -EACCES;
	ret->object = SG_RESOLVED_INIT;
	ret->length = sg_address_to_sockaddr(address, &ret->address);
	ret->where = where;
	return 0;
}

int sg_net_find_peer(struct sg_request *request, const struct sg_net_socket *socket, const struct sg_address *address,
		     struct sg_net_peer *ret)
{
	struct sg_supervisor *supervisor = request->supervisor;
	SG_CLEANUP(sg_resolved_done) struct sg_resolved object = SG_RESOLVED_INIT;
	struct sg_decision decision;
	int status;

	if (address->abstract)
		return find_abstract(request, socket, address, ret);
	status = sg_resolve(&supervisor->view, &request->caller, AT_FDCWD, address->name, 0, &object);
	if (status == -ENOENT && sg_caller_valid(&request->caller))
		sg_net_report_absent(request, address->name);
	if (status < 0)
		return status;
	if (!sg_caller_valid(&request->caller))
		return -EINTR;
	if (object.hidden)
		return -ENOENT;
	if (!S_ISSOCK(object.status.st_mode))
		return -ECONNREFUSED;
	if (!is_session_user(request))
		return -EACCES;
	if (!sg_is_own(supervisor, &object.status) && !is_bound_in_world(supervisor->network, &object.status)) {
		decide_host(supervisor, &object, &decision);
		status = sg_report(request, &decision, object.name, address->name);
		if (decision.verdict != SG_VERDICT_ALLOW) {
			sg_answer_error(request, decision.error);
			return 1;
		}
		if (status < 0)
			return -EIO;
		ret->host = true;
	}
	ret->object = object;
	object.fd = -1;
	write_link(&ret->object, ret);
	/* A path is not bound to a network: the caller's own socket reaches it. */
	ret->where = SG_NET_OWN;
	return 0;
}

/* bind(2) with the name `name` seen from `folder`, and the caller's umask. */
static int bind_below(struct sg_request *request, const struct sg_net_socket *socket, int folder, const char *name)
{
	struct sockaddr_un path = {.sun_family = AF_UNIX};
	size_t length = strlen(name);
	mode_t before;
	int status;

	if (length >= sizeof(path.sun_path))
		return -ENAMETOOLONG;
	memcpy(path.sun_path, name, length);
	if (fchdir(folder) < 0)
		return -errno;
	before = umask(request->caller.umask);
	status = bind(socket->fd, (const struct sockaddr *)&path,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1)) < 0
			 ? -errno
			 : 0;
	(void)umask(before);
	return fchdir(request->supervisor->view.proc) < 0 && status == 0 ? -errno : status;
}

/* Where the mount tree alone decides what may be made, the caller's text is used: it is what others see as
 * the address. */
static int bind_text(struct sg_request *request, const struct sg_net_socket *socket, const struct sg_address *address)
{
	SG_AUTO_FD int folder = sg_caller_open(&request->caller, "cwd");

	if (folder < 0)
		return folder;
	if (!sg_caller_valid(&request->caller))
		return -EINTR;
	return bind_below(request, socket, folder, address->name);
}

/*
 * Where names are decided, the folder is pinned and the last component made in it: that component is what
 * getsockname(2) gives then. The world's stat of the file is as ever.
 */
void sg_net_bind_path(struct sg_request *request, const struct sg_net_socket *socket, const struct sg_address *address)
{
	struct sg_supervisor *supervisor = request->supervisor;
	SG_CLEANUP(sg_resolved_done) struct sg_resolved place = SG_RESOLVED_INIT;
	struct sg_decision decision;
	struct stat folder;
	int status = sg_caller_status(&request->caller);

	request->operation = "make the socket";
	/* After a cut it matters where: the place is pinned then too. */
	if (status == 0 && !supervisor->plan->decide_changes && !supervisor->network->cut) {
		status = bind_text(request, socket, address);
	} else if (status == 0) {
		status = sg_resolve(&supervisor->view, &request->caller, AT_FDCWD, address->name, SG_RESOLVE_PARENT,
				    &place);
		if (status == 0 && place.hidden)
			status = -EACCES;
		if (status == 0 && (place.exists || place.last[0] == '\0'))
			status = -EADDRINUSE;
		if (status == 0 && fstat(place.fd, &folder) < 0)
			status = -errno;
		if (status == 0) {
			sg_decide(supervisor->policy, supervisor->names, place.name, place.length,
				  SG_ACCESS_WRITE | SG_ACCESS_CHANGE, sg_is_own(supervisor, &folder), &decision);
			if (supervisor->network->cut && !sg_is_own(supervisor, &folder))
				decision = (struct sg_decision){
					.verdict = SG_VERDICT_DENY, .error = EACCES, .reason = SG_NET_CUT_REASON};
			if (!sg_caller_valid(&request->caller))
				return;
			if (sg_report(request, &decision, place.name, address->name) < 0)
				status = -EIO;
			else if (decision.verdict != SG_VERDICT_ALLOW)
				status = -decision.error;
			else
				status = bind_below(request, socket, place.fd, place.last);
		}
	}
	if (status < 0)
		sg_answer_error(request, -status);
	else
		sg_answer_value(request, 0);
}
