/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_internal.h: the struct behind cache.h, shared by cache.c (asking), flight.c (who makes what) and flush.c (writing behind). */
#ifndef EDDY_CACHE_CACHE_INTERNAL_H
#define EDDY_CACHE_CACHE_INTERNAL_H

#include "cache/cache.h"
#include "cache/disk.h"
#include "cache/filter.h"
#include "cache/memory.h"
#include "cache/near.h"

#include <pthread.h>
#include <stdatomic.h>

enum { CACHE_SPACES_MAX = 256, CACHE_FLIGHTS_MAX = 256, CACHE_UNSAVED_MAX = 4096 };

struct cache_space {
    struct cache *cache;
    uint16_t index;
    int64_t disk_id;             /* -1: memory only; the disk lock */
    uint64_t seed;
    int64_t ttl_us, disk_bytes_max;
    char *name, *settings;       /* for when the file is begun anew */
    struct near *near;           /* NULL: no near level */
    atomic_ullong hits[CACHE_LEVEL_COUNT], misses, saved_us;
};

/* Keys that are being made. */
struct flights {
    struct cache_key keys[CACHE_FLIGHTS_MAX];
    int count;
    pthread_cond_t landed;
};

struct cache {
    pthread_mutex_t memory_lock; /* guards memory, filter, flights, unsaved and statistics */
    pthread_rwlock_t disk_lock;  /* read: look up; write: exchange the file. Never taken with memory_lock held */
    char *path;                  /* NULL: memory only */
    struct memory_cache memory;
    struct filter filter;
    struct flights flights;
    struct cache_key unsaved[CACHE_UNSAVED_MAX]; /* a ring of keys to write behind */
    size_t unsaved_first, unsaved_count;
    struct cache_statistics statistics;
    struct disk_cache *disk;     /* NULL: memory only */
    struct cache_space *spaces[CACHE_SPACES_MAX];
    int space_count;

    /* the flushing thread's own */
    int rebuild_space;           /* the filter is built anew from the spaces from this on; -1: it is complete */
    struct disk_cursor rebuild_cursor;
    char value[CACHE_VALUE_BYTES_MAX];
};

/* flight.c; with memory_lock held */
bool flight_wait(struct cache *cache, struct cache_key key);  /* true: it waited until another maker was done */
void flight_begin(struct cache *cache, struct cache_key key); /* more than fit are not noted: they may be made twice */
void flight_end(struct cache *cache, struct cache_key key);

/* flush.c */
void cache_rebuild_filter(struct cache *cache); /* from the next flush on */
bool cache_is_too_old(const struct cache_space *space, int64_t created_us, int64_t now_us);
void cache_want_saved(struct cache *cache, struct memory_entry *entry); /* with memory_lock held */

#endif
