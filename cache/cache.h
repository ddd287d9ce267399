/* SPDX-License-Identifier: Apache-2.0
 *
 * cache.h: never infer the same thing twice.
 *
 * A result is found by a 128-bit key (XXH3, seeded): the digest of what was to be inferred together with its space: the model's digest,
 * the pre-processing and the output settings. A new model or setting can therefore never be answered by an old result.
 * Three levels of "the same", each answered before the costliest step that it can skip: the message's bytes (before decoding), the input
 *   tensor (after pre-processing: lossless, since the model sees nothing else), and near (near.h: a descriptor within a learned distance).
 * Storage: a fixed block of memory in front (memory.h says what stays in it), SQLite behind (disk.h). cache_flush writes behind, in batches
 *   off the hot path, and only what was asked for twice: unique inputs cost no flash. A filter in memory knows what the disk cannot have:
 *   unique inputs cost no disk read either. What the disk has is one indexed read away, so that a start reads nothing in advance.
 * Concurrent equal inputs: cache_claim makes the first who asks for a key its maker; others wait for what it puts.
 * Bounds: memory_bytes in front, index, sketch and filter included; per space a time to live and a byte budget on disk.
 * Threads: find, claim, put, give_up and count from any; all else from one (the flushing) thread. Errors: after cache_open none: a cache that
 *   cannot write is merely a smaller cache. A damaged file, found so at the start or later, is set aside as <path>.damaged-<seconds>
 *   and a new one begun: cache_statistics.files_set_aside tells. */
#ifndef EDDY_CACHE_CACHE_H
#define EDDY_CACHE_CACHE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache;
struct cache_space; /* the results of one pipeline */
struct near;        /* near.h */

struct cache_key {
    uint64_t low, high;
};

/* How much alike two inputs must be to share a result. */
enum cache_level {
    CACHE_LEVEL_BYTES,  /* the message's bytes, before decoding               */
    CACHE_LEVEL_TENSOR, /* the input tensor, after pre-processing             */
    CACHE_LEVEL_NEAR,   /* a descriptor within the learned distance           */
    CACHE_LEVEL_COUNT
};

enum { CACHE_VALUE_BYTES_MAX = 64 * 1024 };

struct cache_statistics {
    uint64_t found_memory, found_disk; /* values, by where they were */
    uint64_t insertions, evictions, flushed, waits; /* waits: for another thread that was making the same */
    uint64_t memory_bytes, memory_entries, disk_bytes, disk_entries;
    uint64_t files_set_aside;
};

/* Of one space. Every input (a series: every window) is one lookup: lookups = the hits of the three levels + misses. */
struct cache_space_statistics {
    uint64_t hits[CACHE_LEVEL_COUNT], misses;
    uint64_t saved_us;                 /* decoding and inference that hits spared */
};

struct cache_space_options {
    const char *name;            /* of the pipeline */
    const char *settings;        /* all that a result depends on besides the input: model digest, pre-processing, decoding */
    int64_t ttl_us;              /* 0: for ever */
    int64_t disk_bytes_max;
    double max_disagreement;     /* > 0: with a near level; see near.h */
    double start_distance;
};

/* path NULL: memory only. */
MUST_CHECK enum error_code cache_open(const char *path, size_t memory_bytes, struct cache **cache_out, bool *set_aside_out, struct error *error);
void cache_close(struct cache *cache); /* flushes; NULL is fine */
MUST_CHECK enum error_code cache_add_space(struct cache *cache, const struct cache_space_options *options, struct cache_space **space_out,
                                           struct error *error); /* the space is the cache's */

struct cache_key cache_key(const struct cache_space *space, enum cache_level level, const void *bytes, size_t length);
struct cache_key cache_key_with(struct cache_key key, const void *bytes, size_t length); /* of the same and something more */

struct cache_found {
    size_t length;
    int64_t saving_us; /* what making it took */
};

/* Copies the value; false: not there, too old, or larger than capacity. */
bool cache_find(struct cache_space *space, struct cache_key key, char *value, size_t capacity, struct cache_found *found_out);
/* The same, but false makes the caller the key's maker: it must end with cache_put or cache_give_up, soon. Where another thread is the
 * maker, it waits for that one. A thread may claim a tensor while it holds a claim on bytes, not the other way round. */
bool cache_claim(struct cache_space *space, struct cache_key key, char *value, size_t capacity, struct cache_found *found_out);
/* saving_us: what making the value took, and what the next who asks is spared. */
void cache_put(struct cache_space *space, struct cache_key key, const char *value, size_t length, int64_t saving_us);
void cache_give_up(struct cache_space *space, struct cache_key key);

void cache_count_hit(struct cache_space *space, enum cache_level level, int64_t saved_us);
void cache_count_miss(struct cache_space *space);
struct near *cache_near(struct cache_space *space); /* NULL: the space has no near level */

void cache_flush(struct cache *cache);                /* writes a batch behind, drops what is too old or beyond the budget */
void cache_purge(struct cache_space *space);          /* forgets all of a space, what near has learned included */
void cache_get_statistics(struct cache *cache, struct cache_statistics *statistics_out);
void cache_space_get_statistics(const struct cache_space *space, struct cache_space_statistics *statistics_out);

#endif
