/*
 * Which pattern names an address was answered for, and for how long: "a name allows exactly the addresses
 * that the session's own resolver answered for it, for as long as the answer lives".
 *
 * The size is fixed. When it is full and nothing has expired, nothing is dropped to make room (a dropped
 * entry could be what a Deny hangs on): the new answer is refused instead. One owner; not for several threads
 * without a lock.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "policy/address.h"

enum {
	SG_NAMECACHE_TTL_MIN = 60,    /* seconds */
	SG_NAMECACHE_TTL_MAX = 86400, /* seconds */
	SG_NAMECACHE_NAMES_MAX = 256, /* ids of one address */
	SG_NAMECACHE_SIZE_MAX = 1 << 20,
};

struct sg_namecache;

/* A cache of `size` entries, 1..SG_NAMECACHE_SIZE_MAX; an entry is one address with one id. NULL: no memory,
 * wrong size. */
struct sg_namecache *sg_namecache_new(size_t size);
void sg_namecache_free(struct sg_namecache *cache);
SG_DEFINE_AUTO(struct sg_namecache, namecache, sg_namecache_free)

/*
 * Records that `addresses` (IP; protocol, port and scope do not count) satisfy the names `ids` for `ttl`
 * seconds from `now` (milliseconds of CLOCK_MONOTONIC), the TTL raised and cut to the limits above. An entry
 * that lives longer already stays. All or nothing. Returns 0, or -ENOSPC when the cache, or the ids of an
 * address, would be too many.
 */
int sg_namecache_add(struct sg_namecache *cache, const struct sg_address *addresses, size_t count, const uint32_t *ids,
		     size_t id_count, uint32_t ttl, int64_t now);

/*
 * The ids that live at `now` for an address; `ret_ids` has room for SG_NAMECACHE_NAMES_MAX. Returns their
 * number. Changes nothing, makes no system call.
 */
size_t sg_namecache_names(const struct sg_namecache *cache, const struct sg_address *address, int64_t now,
			  uint32_t *ret_ids);

/* Forgets everything. To be called when ids get another meaning. */
void sg_namecache_clear(struct sg_namecache *cache);
/* Entries in use, expired ones that were not swept yet included. */
size_t sg_namecache_count(const struct sg_namecache *cache);
