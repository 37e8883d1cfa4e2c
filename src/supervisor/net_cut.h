/* The cut of a world's network (net_cut.c): reading the world (net_read.c) and ending sockets (net_end.c). */
#pragma once

#include "supervisor/network.h"

enum { SG_NET_READ_QUEUE = 4096 };

/* One reading of all that a world holds. */
struct sg_net_reading {
	struct sg_network *network;
	unsigned int ended;  /* sockets that were ended by it */
	unsigned int failed; /* what could not be read or ended: the reading is not the last */
	uint64_t *seen;      /* cookies of the sockets met; owned */
	size_t seen_count, seen_room;
	uint32_t *shared; /* inodes of unix sockets with a name where the host's processes see it; owned */
	size_t shared_count, shared_room;
	bool all_shared; /* which they are is not known: all that have a name */
	pid_t *members;  /* processes of the world; owned */
	size_t member_count;
	int queue[SG_NET_READ_QUEUE]; /* sockets taken out of messages, to be looked at; owned */
	size_t queued;
};

/*
 * Meets every socket of the world, and ends those that lead outside and are not kept. Never blocks. Returns 0
 * with the counts in *reading (filled in: network), or a negative errno value when the world's processes
 * could not be listed. Nothing in *reading is owned by the caller afterwards.
 */
int sg_net_read_world(struct sg_net_reading *reading);

/*
 * Ends a socket for all who hold it: nothing is sent, received or taken from its queues any more, and no call
 * that is not decided by the supervisor revives it. `fd` stays the caller's. Never blocks, but for some
 * milliseconds where the kernel asks for patience. Returns 0, or a negative errno value: it may still live.
 */
int sg_net_end(int fd);

/* Takes and closes what waits in a listener's queue. The guard (network.h) is on: it may be blocking. */
void sg_net_drop_connections(int listener);

/* As sg_net_end, for a datagram socket whose local address may be asked, and nothing else: once connected it
 * keeps it. Returns 0 or a negative errno value. */
int sg_net_seal(int fd);

/* True if the socket was ended or sealed. */
bool sg_net_is_ended(const struct sg_network *network, int fd);

/* True for an entry of the registry whose peer was named by every set that is kept. */
bool sg_net_keeps(const struct sg_network *network, const struct sg_net_outside *entry);
