/*
 * This host's own addresses, as the kernel has them: the interface addresses and the local routing table, by
 * rtnetlink(7). The local table also holds prefixes that are this host's without being an interface's address
 * (AnyIP, `ip route add local`). Read in the network namespace of the caller.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/error.h"
#include "policy/address.h"

struct sg_hostaddrs;

/*
 * Reads the addresses and subscribes to changes. Blocks for the kernel's answer only. Returns 0 and sets *ret
 * (owned by the caller, sg_hostaddrs_free), or a negative errno value: without the list nothing that depends
 * on it is granted.
 */
int sg_hostaddrs_new(struct sg_hostaddrs **ret, struct sg_error *error);
void sg_hostaddrs_free(struct sg_hostaddrs *addresses);
SG_DEFINE_AUTO(struct sg_hostaddrs, hostaddrs, sg_hostaddrs_free)

/* Becomes readable when something may have changed: for the caller's epoll. It stays the object's. */
int sg_hostaddrs_fd(const struct sg_hostaddrs *addresses);

/*
 * Takes the pending notifications and reads the addresses again if one concerned them (or was lost). Does not
 * wait for notifications. Returns 1 if the list was replaced, 0 if not, or a negative errno value: then the
 * list is empty (nothing is `internet`) until a refresh succeeds.
 */
int sg_hostaddrs_refresh(struct sg_hostaddrs *addresses, struct sg_error *error);

/*
 * The environment for matches: valid, with its ranges, until the next refresh that returns other than 0. One
 * thread, or the caller's lock.
 */
const struct sg_address_environment *sg_hostaddrs_environment(const struct sg_hostaddrs *addresses);
