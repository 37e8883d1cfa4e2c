#include "network/namecache.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/*
 * Entries are named by number, from 1; 0 is none. So fresh memory of the kernel is an empty cache, and a session
 * that looks no name up touches none of it: written at the start, its pages cost more than the rest of the network.
 */
enum { NONE = 0 };

struct entry {
	uint8_t key[17]; /* family, then the bytes */
	uint32_t id, next;
	int64_t expires;
};

struct sg_namecache {
	uint8_t secret[crypto_shorthash_KEYBYTES]; /* addresses come from strangers: they cannot choose the
						      bucket */
	size_t size, count;
	uint32_t used; /* entries that were ever taken; those above were not touched yet */
	uint32_t free; /* the first of those that were given back */
	uint32_t mask;
	uint32_t *buckets;
	struct entry *entries;
};

struct sg_namecache *sg_namecache_new(size_t size)
{
	SG_CLEANUP(sg_auto_namecache) struct sg_namecache *cache = NULL;
	uint32_t buckets = 16;

	if (size == 0 || size > SG_NAMECACHE_SIZE_MAX) {
		return NULL;
	}
	cache = calloc(1, sizeof(*cache));
	while (buckets < size) {
		buckets *= 2;
	}
	if (!cache || getrandom(cache->secret, sizeof(cache->secret), 0) != (ssize_t)sizeof(cache->secret)) {
		return NULL;
	}
	cache->size = size;
	cache->mask = buckets - 1;
	cache->buckets = calloc(buckets, sizeof(*cache->buckets));
	cache->entries = calloc(size, sizeof(*cache->entries));
	if (!cache->buckets || !cache->entries) {
		return NULL;
	}
	return sg_take_pointer(cache);
}

void sg_namecache_free(struct sg_namecache *cache)
{
	if (cache) {
		free(cache->buckets);
		free(cache->entries);
		free(cache);
	}
}

void sg_namecache_clear(struct sg_namecache *cache)
{
	memset(cache->buckets, 0, ((size_t)cache->mask + 1) * sizeof(*cache->buckets));
	cache->used = 0;
	cache->free = NONE;
	cache->count = 0;
}

static struct entry *entry_at(const struct sg_namecache *cache, uint32_t number)
{
	return &cache->entries[number - 1];
}

/* The number of an entry that is free; the caller has made sure that there is one. */
static uint32_t take_entry(struct sg_namecache *cache)
{
	uint32_t number = cache->free;

	if (number == NONE) {
		return ++cache->used;
	}
	cache->free = entry_at(cache, number)->next;
	return number;
}

size_t sg_namecache_count(const struct sg_namecache *cache)
{
	return cache->count;
}

static void make_key(const struct sg_address *address, uint8_t *key)
{
	memset(key, 0, sizeof(((struct entry *)NULL)->key));
	key[0] = address->family == AF_INET ? 4 : 6;
	memcpy(key + 1, address->bytes, address->family == AF_INET ? 4 : 16);
}

static uint32_t bucket_of(const struct sg_namecache *cache, const uint8_t *key)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint32_t number;

	crypto_shorthash(hash, key, sizeof(((struct entry *)NULL)->key), cache->secret);
	memcpy(&number, hash, sizeof(number));
	return number & cache->mask;
}

static struct entry *find(const struct sg_namecache *cache, const uint8_t *key, uint32_t id)
{
	for (uint32_t at = cache->buckets[bucket_of(cache, key)]; at != NONE; at = entry_at(cache, at)->next) {
		struct entry *entry = entry_at(cache, at);

		if (entry->id == id && memcmp(entry->key, key, sizeof(entry->key)) == 0) {
			return entry;
		}
	}
	return NULL;
}

/* Frees what has expired. */
static void sweep(struct sg_namecache *cache, int64_t now)
{
	for (size_t bucket = 0; bucket <= cache->mask; bucket++) {
		uint32_t *link = &cache->buckets[bucket];

		while (*link != NONE) {
			uint32_t at = *link;
			struct entry *entry = entry_at(cache, at);

			if (entry->expires > now) {
				link = &entry->next;
				continue;
			}
			*link = entry->next;
			entry->next = cache->free;
			cache->free = at;
			cache->count--;
		}
	}
}

/* How many entries an answer needs; more than the cache's size if an address would have too many ids. */
static size_t needed(const struct sg_namecache *cache, const struct sg_address *addresses, size_t count,
		     const uint32_t *ids, size_t id_count)
{
	uint32_t held[SG_NAMECACHE_NAMES_MAX];
	size_t total = 0;

	for (size_t i = 0; i < count; i++) {
		size_t fresh = 0;
		uint8_t key[17];

		make_key(&addresses[i], key);
		for (size_t j = 0; j < id_count; j++) {
			fresh += find(cache, key, ids[j]) == NULL;
		}
		/* Expired ones count too: this very answer could make them live again. */
		if (sg_namecache_names(cache, &addresses[i], INT64_MIN, held) + fresh > SG_NAMECACHE_NAMES_MAX) {
			return cache->size + 1;
		}
		total += fresh;
	}
	return total;
}

static void put(struct sg_namecache *cache, const uint8_t *key, uint32_t id, int64_t expires)
{
	struct entry *entry = find(cache, key, id);

	if (!entry) {
		uint32_t at = take_entry(cache), bucket = bucket_of(cache, key);

		entry = entry_at(cache, at);
		memcpy(entry->key, key, sizeof(entry->key));
		entry->id = id;
		entry->expires = expires;
		entry->next = cache->buckets[bucket];
		cache->buckets[bucket] = at;
		cache->count++;
	}
	entry->expires = entry->expires > expires ? entry->expires : expires;
}

int sg_namecache_add(struct sg_namecache *cache, const struct sg_address *addresses, size_t count, const uint32_t *ids,
		     size_t id_count, uint32_t ttl, int64_t now)
{
	int64_t expires;

	ttl = ttl < SG_NAMECACHE_TTL_MIN   ? SG_NAMECACHE_TTL_MIN
	      : ttl > SG_NAMECACHE_TTL_MAX ? SG_NAMECACHE_TTL_MAX
					   : ttl;
	expires = now + (int64_t)ttl * 1000;
	if (needed(cache, addresses, count, ids, id_count) > cache->size - cache->count) {
		sweep(cache, now);
		if (needed(cache, addresses, count, ids, id_count) > cache->size - cache->count) {
			return -ENOSPC;
		}
	}
	for (size_t i = 0; i < count; i++) {
		uint8_t key[17];

		make_key(&addresses[i], key);
		for (size_t j = 0; j < id_count; j++) {
			put(cache, key, ids[j], expires);
		}
	}
	return 0;
}

size_t sg_namecache_names(const struct sg_namecache *cache, const struct sg_address *address, int64_t now,
			  uint32_t *ret_ids)
{
	size_t count = 0;
	uint8_t key[17];

	if (address->family != AF_INET && address->family != AF_INET6) {
		return 0;
	}
	make_key(address, key);
	for (uint32_t at = cache->buckets[bucket_of(cache, key)]; at != NONE; at = entry_at(cache, at)->next) {
		const struct entry *entry = entry_at(cache, at);

		if (entry->expires > now && memcmp(entry->key, key, sizeof(key)) == 0 &&
		    count < SG_NAMECACHE_NAMES_MAX) {
			ret_ids[count++] = entry->id;
		}
	}
	return count;
}
