/*
 * Calls that wait: for a connection, a peer that accepts, room in a queue.
 *
 * Each waits in a table, watched by epoll where the kernel can tell, else tried again after a while. A caller
 * that was killed is forgotten; one that has a signal to handle gets EINTR, as it would from the kernel (the
 * supervisor's answer is what it waits for, so no signal reaches it by itself). One world can fill the table
 * only for itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/network.h"

enum { STEP_FIRST_MS = 1, STEP_MAX_MS = 50, LOOK_FIRST_MS = 50, LOOK_MAX_MS = 1000, EVENTS_MAX = 32 };

/* Data of the epoll events: indices of waits, and above them these. */
enum { TAG_RESOLVER = SG_NET_WAITS_MAX, TAG_HOST };

static void end_wait(struct sg_network *network, struct sg_net_wait *wait)
{
	/* Our copy shares its description with the world's: closing it would not end the watch. */
	if (wait->fd >= 0)
		(void)epoll_ctl(network->epoll, EPOLL_CTL_DEL, wait->fd, NULL);
	wait->release(wait->data);
	wait->used = false;
	network->wait_count--;
}

void sg_net_wait_add(struct sg_request *request, const struct sg_net_wait *wait)
{
	struct sg_network *network = request->supervisor->network;
	int64_t now = sg_net_now();

	for (size_t i = 0; i < SG_NET_WAITS_MAX; i++) {
		struct sg_net_wait *slot = &network->waits[i];
		struct epoll_event event = {.events = wait->events, .data.u64 = i};

		if (slot->used)
			continue;
		if (wait->fd >= 0 && epoll_ctl(network->epoll, EPOLL_CTL_ADD, wait->fd, &event) < 0)
			break;
		*slot = *wait;
		slot->used = true;
		slot->request = *request;
		slot->step_ms = STEP_FIRST_MS;
		slot->retry_ms = wait->fd >= 0 ? INT64_MAX : now + STEP_FIRST_MS;
		slot->look_step_ms = LOOK_FIRST_MS;
		slot->look_ms = now + LOOK_FIRST_MS;
		request->answered = true; /* it will be: the copy in the table is the request from now on */
		network->wait_count++;
		return;
	}
	wait->release(wait->data);
	sg_answer_error(request, EAGAIN);
}

/* A hexadecimal set of signals behind "\nNAME:\t" of /proc/TID/status. */
static uint64_t read_set(const char *text, const char *name)
{
	const char *line = strstr(text, name);

	return line == NULL ? 0 : strtoull(line + strlen(name), NULL, 16);
}

/* True if a signal waits for the caller that it does not block and that has a handler. */
static bool has_signal(const struct sg_request *request)
{
	char path[32], text[4096];
	SG_AUTO_FD int fd = -1;
	ssize_t size;
	uint64_t pending;

	(void)snprintf(path, sizeof(path), "%d/status", (int)request->caller.tid);
	fd = openat(request->caller.proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (size = sg_fd_read_full(fd, text, sizeof(text) - 1)) <= 0)
		return false;
	text[size] = '\0';
	pending = read_set(text, "\nSigPnd:") | read_set(text, "\nShdPnd:");
	return (pending & ~read_set(text, "\nSigBlk:") & read_set(text, "\nSigCgt:")) != 0;
}

static void try_again(struct sg_network *network, struct sg_net_wait *wait, int interrupted)
{
	if (wait->proceed(&wait->request, wait->data, interrupted) == 0 || wait->request.answered) {
		end_wait(network, wait);
		return;
	}
	if (wait->fd < 0) {
		wait->step_ms = wait->step_ms * 2 > STEP_MAX_MS ? STEP_MAX_MS : wait->step_ms * 2;
		wait->retry_ms = sg_net_now() + wait->step_ms;
	}
}

static void look_after(struct sg_network *network, struct sg_net_wait *wait, int64_t now)
{
	if (now >= wait->look_ms) {
		wait->look_step_ms = wait->look_step_ms * 2 > LOOK_MAX_MS ? LOOK_MAX_MS : wait->look_step_ms * 2;
		wait->look_ms = now + wait->look_step_ms;
		if (!sg_caller_valid(&wait->request.caller)) {
			end_wait(network, wait);
			return;
		}
		if (has_signal(&wait->request)) {
			try_again(network, wait, EINTR);
			return;
		}
	}
	if (now >= wait->deadline_ms)
		try_again(network, wait, wait->deadline_error);
	else if (now >= wait->retry_ms)
		try_again(network, wait, 0);
}

void sg_net_wait_cut(struct sg_network *network)
{
	const unsigned int generation = atomic_load(&network->supervisor->generation);

	for (size_t i = 0; i < SG_NET_WAITS_MAX; i++) {
		struct sg_net_wait *wait = &network->waits[i];

		if (!wait->used)
			continue;
		if (!wait->outside) {
			wait->request.generation = generation;
			continue;
		}
		sg_answer_error(&wait->request, ENETUNREACH);
		end_wait(network, wait);
	}
}

static void refresh_host(struct sg_network *network)
{
	(void)sg_hostaddrs_refresh(network->host, NULL);
	network->namerules.environment = sg_hostaddrs_environment(network->host);
}

static int add_source(const struct sg_network *network, int fd, uint64_t tag)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};

	return epoll_ctl(network->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int sg_network_watch(struct sg_network *network)
{
	int status = 0;

	if (network->server != NULL)
		status = add_source(network, sg_dnsserver_fd(network->server), TAG_RESOLVER);
	if (status == 0 && network->host != NULL)
		status = add_source(network, sg_hostaddrs_fd(network->host), TAG_HOST);
	return status;
}

int sg_network_fd(const struct sg_supervisor *supervisor)
{
	return supervisor->network->epoll;
}

int sg_network_timeout(const struct sg_supervisor *supervisor)
{
	const struct sg_network *network = supervisor->network;
	int64_t earliest = network->server != NULL ? sg_dnsserver_deadline(network->server) : INT64_MAX, left;

	for (size_t i = 0, seen = 0; seen < network->wait_count; i++) {
		const struct sg_net_wait *wait = &network->waits[i];

		if (!wait->used)
			continue;
		seen++;
		if (wait->retry_ms < earliest)
			earliest = wait->retry_ms;
		if (wait->look_ms < earliest)
			earliest = wait->look_ms;
		if (wait->deadline_ms < earliest)
			earliest = wait->deadline_ms;
	}
	if (earliest == INT64_MAX)
		return -1;
	left = earliest - sg_net_now();
	return left < 0 ? 0 : left > 60000 ? 60000 : (int)left + 1;
}

void sg_network_run(struct sg_supervisor *supervisor, bool ready)
{
	struct sg_network *network = supervisor->network;
	struct epoll_event events[EVENTS_MAX];
	int count = ready ? epoll_wait(network->epoll, events, EVENTS_MAX, 0) : 0;
	int64_t now = sg_net_now();

	for (int i = 0; i < count; i++) {
		uint64_t tag = events[i].data.u64;

		if (tag == TAG_HOST)
			refresh_host(network);
		else if (tag < SG_NET_WAITS_MAX && network->waits[tag].used)
			try_again(network, &network->waits[tag], 0);
	}
	if (network->server != NULL && (ready || now >= sg_dnsserver_deadline(network->server)))
		sg_dnsserver_run(network->server, now);
	for (size_t i = 0, left = network->wait_count; left > 0 && i < SG_NET_WAITS_MAX; i++) {
		if (!network->waits[i].used)
			continue;
		left--;
		look_after(network, &network->waits[i], now);
	}
}
