/*
 * The cut: from one moment on nothing passes between a world and the outside, over anything that it has.
 *
 * What an adversary inside controls: which of its processes and threads hold a socket, under which numbers,
 * and how fast they pass it on; the queues of its own unix sockets, where sockets lie as messages; calls that
 * threads are in; the data queued in either direction. What it does not: our answers, and whether we give
 * any. The order is:
 *
 *   1. Decisions: nothing outside is allowed any more, and the generation of the world is another one, so
 *      that nothing decided before is given after. Calls that wait for an outside peer are ended with an
 * error.
 *   2. The world is frozen, where it has a control group. We answer nothing meanwhile, in any case.
 *   3. Every descriptor table of the world is read, and every queue of its unix sockets (by MSG_PEEK, which
 *      gives copies of what lies in them; a queue of connections that nobody has accepted is emptied if
 *      descriptors lie in it). Whatever can be received later can be received from one of these, so nothing
 *      is out of reach. Each socket found that leads outside is ended for good (net_end.c), not for one
 *      number but for all that share it.
 *   4. The registry says which sockets that were given still live. While there is one that was not met (held
 * by a call under way, or moved about), the reading begins anew, up to a limit of time; then the world ends
 *      rather than go on in between. So a hiding place that we do not know is an end, never a passage.
 *
 * What is not in the registry is what a process of the host passed in by a unix socket: it is found by the
 * reading alone, which a frozen world cannot evade; without a control group the reading is repeated until it
 * meets nothing new.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/guard.h"
#include "supervisor/net_cut.h"

enum { FREEZE_MS = 20, PATIENCE_MS = 2000, STEP_MS = 2, PASSES_UNFROZEN = 3 };

/* True if it was taken; that the world is frozen is looked for. */
static bool set_frozen(const struct sg_supervisor *supervisor, bool frozen)
{
	return supervisor->freezer >= 0 && pwrite(supervisor->freezer, frozen ? "1" : "0", 1, 0) == 1;
}

/*
 * Threads in calls that we have not answered do not freeze, and need not: they are in our hands. So the state
 * is waited for only a moment.
 */
static bool freeze(const struct sg_supervisor *supervisor)
{
	const int64_t end = sg_net_now() + FREEZE_MS;
	char text[256];

	if (supervisor->freezer_events < 0 || !set_frozen(supervisor, true))
		return false;
	do {
		ssize_t size = pread(supervisor->freezer_events, text, sizeof(text) - 1, 0);

		if (size <= 0)
			return false;
		text[size] = '\0';
		if (strstr(text, "frozen 1") != NULL)
			return true;
		(void)poll(NULL, 0, 1);
	} while (sg_net_now() < end);
	return false;
}

bool sg_net_is_kept(const struct sg_network *network, const struct sg_address *address)
{
	struct sg_address_match match;

	if (!network->cut)
		return true;
	if (network->kept_count == 0 || address->family == AF_UNIX)
		return false;
	/* A kept set holds addresses only: names have numbers of their own in each set. */
	for (size_t i = 0; i < network->kept_count; i++) {
		sg_addressset_match(network->kept[i], address, NULL, 0, network->namerules.environment, &match);
		if (match.classes == 0)
			return false;
	}
	return true;
}

/* True when each socket of the registry that is to be cut was met. */
static bool is_complete(struct sg_network *network)
{
	if (sg_net_registry_refresh(network) < 0)
		return false;
	for (size_t i = 0; i < network->outside_count; i++)
		if (!network->outside[i].ended && !sg_net_keeps(network, &network->outside[i]))
			return false;
	return true;
}

bool sg_net_keeps(const struct sg_network *network, const struct sg_net_outside *entry)
{
	/* Who sends to a datagram socket without a peer is nobody's choice. */
	return entry->origin != SG_NET_ORIGIN_OPEN && entry->address.family != AF_UNIX &&
	       sg_net_is_kept(network, &entry->address);
}

static int cut_all(struct sg_network *network, bool frozen, unsigned int *ret_count)
{
	const int64_t end = sg_net_now() + PATIENCE_MS;

	*ret_count = 0;
	for (unsigned int pass = 1;; pass++) {
		struct sg_net_reading reading = {.network = network};

		atomic_fetch_add(&network->supervisor->looked, 1); /* it is being done, and must not be done for us */
		int status = sg_net_read_world(&reading);

		*ret_count += reading.ended;
		if (status == 0 && reading.failed == 0 && (frozen || (pass >= PASSES_UNFROZEN && reading.ended == 0)) &&
		    is_complete(network))
			return 0;
		if (sg_net_now() >= end)
			return -ETIMEDOUT;
		(void)poll(NULL, 0, STEP_MS);
	}
}

static int note(struct sg_supervisor *supervisor, const char *text)
{
	struct sg_record record = {.kind = SG_RECORD_NOTE,
				   .world = 1,
				   .audience = sg_record_text("owner"),
				   .message = sg_record_text(text)};

	return sg_audit_append(supervisor->audit, &record, NULL);
}

/* Half a cut is none: the world goes, and with it whatever it still had. */
static void end_world(struct sg_supervisor *supervisor)
{
	static const char text[] = "the network of this session could not be cut: the session ends";

	(void)note(supervisor, text);
	sg_notice(supervisor->control, text, sizeof(text) - 1);
	supervisor->ended = true;
	supervisor->exit_status = 125;
}

int sg_network_cut(struct sg_supervisor *supervisor, struct sg_addressset *kept, unsigned int *ret_count)
{
	struct sg_network *network = supervisor->network;
	char text[128];
	bool frozen;
	int status;

	*ret_count = 0;
	if (kept != NULL && network->kept_count == SG_NET_KEPT_MAX) {
		sg_addressset_free(kept);
		return -E2BIG;
	}
	if (kept == NULL)
		network->kept_count = 0;
	else if (!network->cut || network->kept_count > 0)
		network->kept[network->kept_count++] = kept;
	network->cut = true;
	atomic_fetch_add(&supervisor->generation, 1);
	if (network->server != NULL)
		sg_resolver_cut(sg_dnsserver_resolver(network->server));
	sg_net_wait_cut(network);
	frozen = freeze(supervisor);
	status = sg_guard_begin();
	if (status == 0) {
		status = cut_all(network, frozen, ret_count);
		sg_guard_end();
	}
	(void)set_frozen(supervisor, false);
	if (status < 0) {
		end_world(supervisor);
		return status;
	}
	(void)snprintf(text, sizeof(text), "the owner has cut the network of this session%s: %u sockets ended",
		       network->kept_count > 0 ? " but for some addresses" : "", *ret_count);
	return note(supervisor, text);
}

/* One pattern. Names and paths would need what the policy has: its cache of names, its matcher. */
static int add_kept(struct sg_addressset_builder *builder, const char *text, size_t length)
{
	SG_AUTO_ADDRESSPATTERN struct sg_addresspattern pattern = {0};
	struct sg_addresspattern_problem problem;

	if (sg_addresspattern_parse(text, length, SG_ADDRESSPATTERN_ALLOW, &pattern, &problem) < 0 ||
	    pattern.kind == SG_HOST_NAME || (pattern.protocols & SG_PROTOCOL_UNIX) != 0)
		return -EINVAL;
	return sg_addressset_builder_add(builder, &pattern, 0, 1);
}

static void free_builder(struct sg_addressset_builder **builder)
{
	sg_addressset_builder_free(*builder);
}

int sg_network_cut_but(struct sg_supervisor *supervisor, const char *patterns)
{
	SG_CLEANUP(free_builder) struct sg_addressset_builder *builder = sg_addressset_builder_new();
	struct sg_addressset *kept = NULL;
	unsigned int count;
	int status = builder == NULL ? -ENOMEM : 0;

	for (const char *at = patterns; status == 0 && *at != '\0'; at += *at == '\n') {
		const size_t length = strcspn(at, "\n");

		status = add_kept(builder, at, length);
		at += length;
	}
	if (status == 0 && patterns[0] != '\0')
		status = sg_addressset_build(builder, 0, &kept);
	return status < 0 ? status : sg_network_cut(supervisor, kept, &count);
}
