/* SPDX-License-Identifier: Apache-2.0
 *
 * cache.h: never infer the same thing twice.
 *
 * A result is found by a 128-bit key (XXH3, seeded): the digest of what was to be inferred together with its space: the model's digest,
 * the pre-processing and the output settings. A new model or setting can therefore never be answered by an old result.
 * Two levels: a fixed block of memory in front (FIFO with a second chance for what was hit: CLOCK as a ring, so that a value is one run of
 *   bytes and nothing is allocated after cache_open), SQLite behind it. The disk is written in batches by cache_flush, off the hot path,
 *   and only with what was asked for at least twice: unique inputs cost no flash.
 * Bounds: memory_bytes for the front; per space a time to live and a byte budget on disk (the least recently used go first).
 * Threads: cache_find and cache_put from any thread; cache_flush from one. Errors: after cache_open none: a cache that cannot write is
 *   merely a smaller cache. A damaged file is set aside as <path>.damaged-<time> and a new one begun. */
#ifndef EDDY_CACHE_CACHE_H
#define EDDY_CACHE_CACHE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache;
struct cache_space; /* the results of one pipeline */

struct cache_key {
    uint64_t low, high;
};

/* How much alike two inputs must be to share a result. */
enum cache_level {
    CACHE_LEVEL_BYTES,  /* the message's bytes, before decoding               */
    CACHE_LEVEL_TENSOR, /* the input tensor or window, after pre-processing   */
};

enum { CACHE_VALUE_BYTES_MAX = 64 * 1024 };

struct cache_statistics {
    uint64_t lookups, hits_memory, hits_disk, misses, insertions, evictions, flushed;
    uint64_t memory_bytes, disk_bytes, disk_entries;
};

struct cache_space_options {
    const char *name;            /* of the pipeline */
    const char *settings;        /* all that a result depends on besides the input: model digest, pre-processing, decoding */
    int64_t ttl_us;              /* 0: for ever */
    int64_t disk_bytes_max;
};

/* path NULL: memory only. */
MUST_CHECK enum error_code cache_open(const char *path, size_t memory_bytes, struct cache **cache_out, bool *set_aside_out, struct error *error);
void cache_close(struct cache *cache); /* flushes; NULL is fine */
MUST_CHECK enum error_code cache_add_space(struct cache *cache, const struct cache_space_options *options, struct cache_space **space_out,
                                           struct error *error); /* the space is the cache's */

struct cache_key cache_key(const struct cache_space *space, enum cache_level level, const void *bytes, size_t length);

/* Copies the value; false: not there, too old, or larger than capacity. */
bool cache_find(struct cache_space *space, struct cache_key key, char *value, size_t capacity, size_t *length_out);
void cache_put(struct cache_space *space, struct cache_key key, const char *value, size_t length);

void cache_flush(struct cache *cache);                /* writes behind, drops what is too old or beyond the budget */
void cache_purge(struct cache_space *space);          /* forgets all of a space */
void cache_get_statistics(struct cache *cache, struct cache_statistics *statistics_out);

#endif
