/* SPDX-License-Identifier: Apache-2.0
 *
 * memory.h: the front of the cache: keyed values in one ring of bytes.
 *
 * Entries are appended at the head; room is made at the tail, where an entry that was hit since it was written moves to the head once
 * more (its mark is cleared) and any other is forgotten. The index is an open-addressing table of ring positions.
 * Memory: all at memory_cache_init. Threads: the caller locks. */
#ifndef EDDY_CACHE_MEMORY_H
#define EDDY_CACHE_MEMORY_H

#include "cache/cache.h"

struct memory_entry {
    struct cache_key key;
    int64_t created_us;   /* wall clock: it is compared with what the disk holds from before a restart */
    uint32_t length;      /* of the value that follows */
    uint32_t space;
    bool used;            /* hit since it was written or moved */
    bool unsaved;         /* hit, but not on disk yet */
    bool gone;            /* replaced or purged: room to reclaim */
};

struct memory_cache {
    uint8_t *ring;
    size_t capacity, head, tail, bytes;
    uint32_t *index;      /* ring position / RING_ALIGNMENT + 1; 0: free */
    size_t index_mask, entries;
    uint64_t evictions;
};

MUST_CHECK enum error_code memory_cache_init(struct memory_cache *memory, size_t capacity, struct error *error);
void memory_cache_deinit(struct memory_cache *memory);

struct memory_entry *memory_cache_find(struct memory_cache *memory, struct cache_key key); /* borrowed until the next put */
const char *memory_entry_value(const struct memory_entry *entry);
void memory_cache_remove(struct memory_cache *memory, struct memory_entry *entry);
/* Replaces an entry of the same key. NULL: the value does not fit the ring. */
struct memory_entry *memory_cache_put(struct memory_cache *memory, struct cache_key key, uint32_t space, int64_t created_us,
                                      const char *value, size_t length);
/* The entry behind this one, oldest first; NULL starts. NULL: no more. */
struct memory_entry *memory_cache_next(struct memory_cache *memory, struct memory_entry *entry);

#endif
