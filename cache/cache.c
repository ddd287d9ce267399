/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache.h"

#include "base/clock.h"
#include "cache/disk.h"
#include "cache/memory.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SPACES_MAX = 256, FLUSH_ENTRIES_MAX = 256 };

struct cache_space {
    struct cache *cache;
    uint32_t index;
    int64_t disk_id;        /* -1: memory only */
    uint64_t seed;
    int64_t ttl_us, disk_bytes_max;
};

struct cache {
    pthread_mutex_t memory_lock;  /* guards memory, unsaved and statistics */
    pthread_mutex_t disk_lock;    /* guards disk; never taken with memory_lock held */
    struct memory_cache memory;
    struct disk_cache *disk;      /* NULL: memory only */
    struct cache_space *spaces[SPACES_MAX];
    int space_count;
    int unsaved;                  /* entries marked for the next flush */
    struct cache_statistics statistics;
};

enum error_code cache_open(const char *path, size_t memory_bytes, struct cache **cache_out, bool *set_aside_out, struct error *error)
{
    struct cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for a cache");
    *set_aside_out = false;
    pthread_mutex_init(&cache->memory_lock, NULL);
    pthread_mutex_init(&cache->disk_lock, NULL);
    enum error_code code = memory_cache_init(&cache->memory, memory_bytes, error);
    if (code == ERROR_NONE && path != NULL)
        code = disk_cache_open(path, &cache->disk, set_aside_out, error);
    if (code != ERROR_NONE) {
        cache_close(cache);
        return code;
    }
    *cache_out = cache;
    return ERROR_NONE;
}

void cache_close(struct cache *cache)
{
    if (cache == NULL)
        return;
    while (cache->unsaved > 0 && cache->disk != NULL)
        cache_flush(cache);
    disk_cache_close(cache->disk);
    memory_cache_deinit(&cache->memory);
    for (int i = 0; i < cache->space_count; i++)
        free(cache->spaces[i]);
    pthread_mutex_destroy(&cache->disk_lock);
    pthread_mutex_destroy(&cache->memory_lock);
    free(cache);
}

enum error_code cache_add_space(struct cache *cache, const struct cache_space_options *options, struct cache_space **space_out,
                                struct error *error)
{
    if (cache->space_count == SPACES_MAX)
        return error_set(error, ERROR_LIMIT, "more than %d cached pipelines", SPACES_MAX);
    struct cache_space *space = calloc(1, sizeof *space);
    if (space == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for the cache of %s", options->name);
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, options->name, strlen(options->name) + 1);
    XXH3_64bits_update(&state, options->settings, strlen(options->settings));
    *space = (struct cache_space){.cache = cache, .index = (uint32_t)cache->space_count, .disk_id = -1, .ttl_us = options->ttl_us,
                                  .disk_bytes_max = options->disk_bytes_max, .seed = XXH3_64bits_digest(&state)};
    if (cache->disk != NULL) {
        pthread_mutex_lock(&cache->disk_lock);
        space->disk_id = disk_cache_space(cache->disk, options->name, options->settings);
        pthread_mutex_unlock(&cache->disk_lock);
    }
    cache->spaces[cache->space_count++] = space;
    *space_out = space;
    return ERROR_NONE;
}

struct cache_key cache_key(const struct cache_space *space, enum cache_level level, const void *bytes, size_t length)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(bytes, length, space->seed + (uint64_t)level);
    return (struct cache_key){.low = hash.low64, .high = hash.high64};
}

static bool too_old(const struct cache_space *space, int64_t created_us, int64_t now_us)
{
    /* a clock that jumped back makes entries look young from the future: those are distrusted as well */
    return space->ttl_us > 0 && (now_us - created_us > space->ttl_us || created_us > now_us);
}

static bool find_in_memory(struct cache_space *space, struct cache_key key, char *value, size_t capacity, size_t *length_out)
{
    struct cache *cache = space->cache;
    struct memory_entry *entry = memory_cache_find(&cache->memory, key);
    if (entry == NULL || entry->length > capacity)
        return false;
    if (too_old(space, entry->created_us, clock_wall_us())) {
        memory_cache_remove(&cache->memory, entry);
        return false;
    }
    if (!entry->used && !entry->unsaved && space->disk_id >= 0) {
        entry->unsaved = true;
        cache->unsaved++;
    }
    entry->used = true;
    memcpy(value, memory_entry_value(entry), entry->length);
    *length_out = entry->length;
    return true;
}

static bool find_on_disk(struct cache_space *space, struct cache_key key, char *value, size_t capacity, size_t *length_out)
{
    struct cache *cache = space->cache;
    if (space->disk_id < 0)
        return false;
    int64_t created_us = 0;
    pthread_mutex_lock(&cache->disk_lock);
    bool found = disk_cache_find(cache->disk, space->disk_id, key, value, capacity, length_out, &created_us);
    pthread_mutex_unlock(&cache->disk_lock);
    if (!found || too_old(space, created_us, clock_wall_us()))
        return false;
    pthread_mutex_lock(&cache->memory_lock);
    struct memory_entry *entry = memory_cache_put(&cache->memory, key, space->index, created_us, value, *length_out);
    if (entry != NULL)
        entry->used = true; /* on disk already: not to be written again */
    pthread_mutex_unlock(&cache->memory_lock);
    return true;
}

bool cache_find(struct cache_space *space, struct cache_key key, char *value, size_t capacity, size_t *length_out)
{
    struct cache *cache = space->cache;
    pthread_mutex_lock(&cache->memory_lock);
    bool found = find_in_memory(space, key, value, capacity, length_out);
    cache->statistics.lookups++;
    cache->statistics.hits_memory += found;
    pthread_mutex_unlock(&cache->memory_lock);
    if (found)
        return true;
    found = find_on_disk(space, key, value, capacity, length_out);
    pthread_mutex_lock(&cache->memory_lock);
    if (found)
        cache->statistics.hits_disk++;
    else
        cache->statistics.misses++;
    pthread_mutex_unlock(&cache->memory_lock);
    return found;
}

void cache_put(struct cache_space *space, struct cache_key key, const char *value, size_t length)
{
    struct cache *cache = space->cache;
    if (length == 0 || length > CACHE_VALUE_BYTES_MAX)
        return;
    pthread_mutex_lock(&cache->memory_lock);
    if (memory_cache_put(&cache->memory, key, space->index, clock_wall_us(), value, length) != NULL)
        cache->statistics.insertions++;
    pthread_mutex_unlock(&cache->memory_lock);
}

struct pending {
    struct cache_key key;
    uint32_t space;
    int64_t created_us;
    size_t length;
    char *value;
};

/* Copies what waits to be saved, so that the disk is written without holding up lookups. */
static int collect_pending(struct cache *cache, struct pending *pending)
{
    int count = 0;
    pthread_mutex_lock(&cache->memory_lock);
    if (cache->unsaved > 0) {
        struct memory_entry *entry = NULL;
        while (count < FLUSH_ENTRIES_MAX && (entry = memory_cache_next(&cache->memory, entry)) != NULL) {
            if (!entry->unsaved)
                continue;
            char *copy = malloc(entry->length);
            if (copy == NULL)
                break;
            memcpy(copy, memory_entry_value(entry), entry->length);
            pending[count++] = (struct pending){.key = entry->key, .space = entry->space, .created_us = entry->created_us,
                                                .length = entry->length, .value = copy};
            entry->unsaved = false;
        }
        cache->unsaved = count == FLUSH_ENTRIES_MAX ? cache->unsaved - count : 0; /* the rest was evicted before it was written */
    }
    pthread_mutex_unlock(&cache->memory_lock);
    return count;
}

void cache_flush(struct cache *cache)
{
    if (cache->disk == NULL)
        return;
    struct pending pending[FLUSH_ENTRIES_MAX];
    int count = collect_pending(cache, pending);
    if (count == 0)
        return;
    pthread_mutex_lock(&cache->disk_lock);
    disk_cache_begin(cache->disk);
    bool touched[SPACES_MAX] = {false};
    for (int i = 0; i < count; i++) {
        disk_cache_put(cache->disk, cache->spaces[pending[i].space]->disk_id, pending[i].key, pending[i].value, pending[i].length,
                       pending[i].created_us);
        touched[pending[i].space] = true;
        free(pending[i].value);
    }
    for (int i = 0; i < cache->space_count; i++) {
        const struct cache_space *space = cache->spaces[i];
        if (touched[i])
            disk_cache_trim(cache->disk, space->disk_id, space->ttl_us > 0 ? clock_wall_us() - space->ttl_us : 0, space->disk_bytes_max);
    }
    disk_cache_commit(cache->disk);
    pthread_mutex_unlock(&cache->disk_lock);
    pthread_mutex_lock(&cache->memory_lock);
    cache->statistics.flushed += (uint64_t)count;
    pthread_mutex_unlock(&cache->memory_lock);
}

void cache_purge(struct cache_space *space)
{
    struct cache *cache = space->cache;
    pthread_mutex_lock(&cache->memory_lock);
    for (struct memory_entry *entry = NULL; (entry = memory_cache_next(&cache->memory, entry)) != NULL;) {
        if (entry->space == space->index)
            memory_cache_remove(&cache->memory, entry);
    }
    pthread_mutex_unlock(&cache->memory_lock);
    if (space->disk_id < 0)
        return;
    pthread_mutex_lock(&cache->disk_lock);
    disk_cache_purge(cache->disk, space->disk_id);
    pthread_mutex_unlock(&cache->disk_lock);
}

void cache_get_statistics(struct cache *cache, struct cache_statistics *statistics_out)
{
    pthread_mutex_lock(&cache->memory_lock);
    *statistics_out = cache->statistics;
    statistics_out->memory_bytes = cache->memory.bytes;
    statistics_out->evictions = cache->memory.evictions;
    pthread_mutex_unlock(&cache->memory_lock);
    if (cache->disk == NULL)
        return;
    pthread_mutex_lock(&cache->disk_lock);
    disk_cache_count(cache->disk, &statistics_out->disk_entries, &statistics_out->disk_bytes);
    pthread_mutex_unlock(&cache->disk_lock);
}
