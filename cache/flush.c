/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing behind: batches of what was asked for twice, the budget, what near has learned; the filter built anew; a damaged file exchanged. */
#include "cache/cache_internal.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum { FLUSH_ENTRIES_MAX = 256, FLUSH_BATCHES_MAX = 4, REBUILD_ROWS_MAX = 20000, LEARNED_BYTES_MAX = 8192 };

static int by_bytes(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(struct cache_key));
}

/* In the order of the table, so that a batch goes through each of its pages once. */
static int take_unsaved(struct cache *cache, struct cache_key *keys)
{
    int count = 0;
    pthread_mutex_lock(&cache->memory_lock);
    for (; count < FLUSH_ENTRIES_MAX && cache->unsaved_count > 0; cache->unsaved_count--) {
        keys[count++] = cache->unsaved[cache->unsaved_first];
        cache->unsaved_first = (cache->unsaved_first + 1) % CACHE_UNSAVED_MAX;
    }
    pthread_mutex_unlock(&cache->memory_lock);
    qsort(keys, (size_t)count, sizeof *keys, by_bytes);
    return count;
}

/* Copies the value, so that the disk is written without holding up lookups; false: evicted or purged meanwhile. */
static bool read_unsaved(struct cache *cache, struct cache_key key, struct disk_row *row_out, int64_t *space_out)
{
    pthread_mutex_lock(&cache->memory_lock);
    struct memory_entry *entry = memory_cache_find(&cache->memory, key);
    if (entry != NULL) {
        memory_cache_read(&cache->memory, entry, cache->value);
        *row_out = (struct disk_row){.key = entry->key, .value = cache->value, .length = entry->length, .created_us = entry->created_us,
                                     .saving_us = entry->saving_us};
        *space_out = cache->spaces[entry->space]->disk_id;
        filter_add(&cache->filter, entry->key.high);
        cache->statistics.flushed++;
    }
    pthread_mutex_unlock(&cache->memory_lock);
    return entry != NULL;
}

/* true: there may be more. */
static bool write_batch(struct cache *cache)
{
    struct cache_key keys[FLUSH_ENTRIES_MAX];
    struct disk_row row;
    int64_t space;
    int count = take_unsaved(cache, keys);
    for (int i = 0; i < count; i++) {
        if (read_unsaved(cache, keys[i], &row, &space) && space >= 0)
            disk_cache_put(cache->disk, space, &row);
    }
    return count == FLUSH_ENTRIES_MAX;
}

/* Asked for more than once since the sketch last halved: worth its room on disk. */
static bool is_wanted(struct cache_key key, void *context)
{
    struct cache *cache = context;
    pthread_mutex_lock(&cache->memory_lock);
    bool wanted = memory_cache_frequency(&cache->memory, key) > 1;
    pthread_mutex_unlock(&cache->memory_lock);
    return wanted;
}

static void trim(struct cache *cache)
{
    int64_t now_us = clock_wall_us();
    for (int i = 0; i < cache->space_count; i++) {
        const struct cache_space *space = cache->spaces[i];
        struct disk_trim bounds = {.now_us = now_us, .oldest_us = space->ttl_us > 0 ? now_us - space->ttl_us : INT64_MIN,
                                   .bytes_max = space->disk_bytes_max, .is_wanted = is_wanted, .context = cache};
        if (space->disk_id >= 0)
            disk_cache_trim(cache->disk, space->disk_id, &bounds);
    }
}

static void save_learned(struct cache *cache)
{
    char bytes[LEARNED_BYTES_MAX];
    for (int i = 0; i < cache->space_count; i++) {
        struct cache_space *space = cache->spaces[i];
        size_t length = space->near != NULL && space->disk_id >= 0 ? near_save(space->near, bytes, sizeof bytes) : 0;
        if (length > 0)
            disk_cache_put_learned(cache->disk, space->disk_id, bytes, length);
    }
}

void cache_rebuild_filter(struct cache *cache)
{
    pthread_mutex_lock(&cache->memory_lock);
    filter_clear(&cache->filter);
    cache->filter.complete = false;
    pthread_mutex_unlock(&cache->memory_lock);
    cache->rebuild_space = 0;
    cache->rebuild_cursor = (struct disk_cursor){.kept_us = INT64_MIN};
}

static bool add_to_filter(const struct disk_row *row, void *context)
{
    struct cache *cache = context;
    pthread_mutex_lock(&cache->memory_lock);
    filter_add(&cache->filter, row->key.high);
    pthread_mutex_unlock(&cache->memory_lock);
    return true;
}

static void rebuild_slice(struct cache *cache)
{
    if (cache->rebuild_space < cache->space_count) {
        int64_t id = cache->spaces[cache->rebuild_space]->disk_id;
        if (id >= 0 && disk_cache_walk(cache->disk, id, &cache->rebuild_cursor, REBUILD_ROWS_MAX, false, add_to_filter, cache))
            return;
        cache->rebuild_space++;
        cache->rebuild_cursor = (struct disk_cursor){.kept_us = INT64_MIN};
    }
    if (cache->rebuild_space < cache->space_count)
        return;
    cache->rebuild_space = -1;
    pthread_mutex_lock(&cache->memory_lock);
    cache->filter.complete = true;
    pthread_mutex_unlock(&cache->memory_lock);
}

/* Damage met while running: a new file, and the entries in memory are to be written again when they are asked for again. */
static void exchange_file(struct cache *cache)
{
    struct error ignored;
    bool set_aside = false;
    pthread_rwlock_wrlock(&cache->disk_lock);
    disk_cache_close(cache->disk);
    cache->disk = NULL;
    bool opened = disk_cache_open(cache->path, DISK_OPEN_ANEW, &cache->disk, &set_aside, &ignored) == ERROR_NONE;
    for (int i = 0; i < cache->space_count; i++) {
        struct cache_space *space = cache->spaces[i];
        space->disk_id = opened ? disk_cache_space(cache->disk, space->name, space->settings) : -1;
    }
    pthread_rwlock_unlock(&cache->disk_lock);
    cache->rebuild_space = -1;
    pthread_mutex_lock(&cache->memory_lock);
    filter_clear(&cache->filter);
    cache->filter.complete = true;
    memory_cache_forget_saved(&cache->memory);
    cache->statistics.files_set_aside += set_aside;
    pthread_mutex_unlock(&cache->memory_lock);
}

void cache_flush(struct cache *cache)
{
    if (cache->disk == NULL)
        return;
    if (disk_cache_is_damaged(cache->disk))
        exchange_file(cache);
    if (cache->disk == NULL)
        return;
    if (disk_cache_was_changed(cache->disk)) /* by eddy cache import, say: it may hold keys that the filter does not know */
        cache_rebuild_filter(cache);
    bool more = true;
    for (int i = 0; i < FLUSH_BATCHES_MAX && more; i++) {
        disk_cache_begin(cache->disk);
        more = write_batch(cache);
        trim(cache);
        disk_cache_commit(cache->disk);
    }
    disk_cache_begin(cache->disk);
    save_learned(cache);
    disk_cache_tidy(cache->disk);
    disk_cache_commit(cache->disk);
    if (cache->rebuild_space >= 0)
        rebuild_slice(cache);
}

void cache_purge(struct cache_space *space)
{
    struct cache *cache = space->cache;
    pthread_rwlock_wrlock(&cache->disk_lock);
    if (cache->disk != NULL && space->disk_id >= 0) {
        disk_cache_begin(cache->disk);
        space->disk_id = disk_cache_purge(cache->disk, space->disk_id);
        disk_cache_commit(cache->disk);
    }
    pthread_rwlock_unlock(&cache->disk_lock);
    pthread_mutex_lock(&cache->memory_lock);
    memory_cache_remove_space(&cache->memory, space->index);
    pthread_mutex_unlock(&cache->memory_lock);
    if (space->near != NULL)
        near_forget(space->near);
}

void cache_get_statistics(struct cache *cache, struct cache_statistics *statistics_out)
{
    pthread_mutex_lock(&cache->memory_lock);
    *statistics_out = cache->statistics;
    statistics_out->memory_bytes = memory_cache_bytes(&cache->memory);
    statistics_out->memory_entries = cache->memory.entries;
    statistics_out->evictions = cache->memory.evictions;
    pthread_mutex_unlock(&cache->memory_lock);
    if (cache->disk == NULL)
        return;
    int64_t entries, bytes;
    disk_cache_get_totals(cache->disk, &entries, &bytes);
    statistics_out->disk_entries = (uint64_t)entries;
    statistics_out->disk_bytes = (uint64_t)bytes;
}
