/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache_internal.h"

#include "base/clock.h"
#include "base/cpu.h"

#include <xxhash.h>
#ifdef __x86_64__
#include <immintrin.h>
#include <xxh_x86dispatch.h>
#endif

#include <stdlib.h>
#include <string.h>

enum { FILTER_SHARE = 8, FILTER_BYTES_MIN = 4096 }; /* of memory_bytes: at 8 MiB a megabyte, right for a million entries on disk */

static enum error_code open_disk(struct cache *cache, const char *path, bool *set_aside_out, struct error *error)
{
    cache->path = strdup(path);
    if (cache->path == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for a cache");
    TRY(disk_cache_open(path, DISK_OPEN_REPAIRED, &cache->disk, set_aside_out, error));
    cache->statistics.files_set_aside = *set_aside_out;
    cache->filter.complete = disk_cache_get_filter(cache->disk, cache->filter.words, filter_bytes(&cache->filter));
    int64_t entries, bytes;
    disk_cache_get_totals(cache->disk, &entries, &bytes);
    if (entries == 0) /* nothing to learn from the disk */
        cache->filter.complete = true;
    else if (!cache->filter.complete)
        cache_rebuild_filter(cache);
    return ERROR_NONE;
}

enum error_code cache_open(const char *path, size_t memory_bytes, struct cache **cache_out, bool *set_aside_out, struct error *error)
{
    struct cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for a cache");
    *set_aside_out = false;
    pthread_mutex_init(&cache->memory_lock, NULL);
    pthread_rwlock_init(&cache->disk_lock, NULL);
    pthread_cond_init(&cache->flights.landed, NULL);
    cache->rebuild_space = -1;
    size_t filter = path == NULL ? 0 : memory_bytes / FILTER_SHARE > FILTER_BYTES_MIN ? memory_bytes / FILTER_SHARE : FILTER_BYTES_MIN;
    enum error_code code = memory_cache_init(&cache->memory, memory_bytes > filter ? memory_bytes - filter : 0, error);
    if (code == ERROR_NONE && !filter_init(&cache->filter, filter))
        code = error_set(error, ERROR_LIMIT, "no memory for a cache of %zu bytes", memory_bytes);
    if (code == ERROR_NONE && path != NULL)
        code = open_disk(cache, path, set_aside_out, error);
    if (code != ERROR_NONE) {
        cache_close(cache);
        return code;
    }
    *cache_out = cache;
    return ERROR_NONE;
}

static void space_free(struct cache_space *space)
{
    near_free(space->near);
    free(space->name);
    free(space->settings);
    free(space);
}

void cache_close(struct cache *cache)
{
    if (cache == NULL)
        return;
    while (cache->unsaved_count > 0 && cache->disk != NULL)
        cache_flush(cache);
    if (cache->disk != NULL && cache->filter.complete)
        disk_cache_put_filter(cache->disk, cache->filter.words, filter_bytes(&cache->filter));
    disk_cache_close(cache->disk);
    memory_cache_deinit(&cache->memory);
    filter_deinit(&cache->filter);
    for (int i = 0; i < cache->space_count; i++)
        space_free(cache->spaces[i]);
    pthread_cond_destroy(&cache->flights.landed);
    pthread_rwlock_destroy(&cache->disk_lock);
    pthread_mutex_destroy(&cache->memory_lock);
    free(cache->path);
    free(cache);
}

static void restore_learned(const struct disk_space *stored, void *context)
{
    struct cache_space *space = context;
    if (stored->id == space->disk_id && stored->learned != NULL)
        near_restore(space->near, stored->learned, stored->learned_bytes);
}

enum error_code cache_add_space(struct cache *cache, const struct cache_space_options *options, struct cache_space **space_out,
                                struct error *error)
{
    if (cache->space_count == CACHE_SPACES_MAX)
        return error_set(error, ERROR_LIMIT, "more than %d cached pipelines", CACHE_SPACES_MAX);
    struct cache_space *space = calloc(1, sizeof *space);
    if (space == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for the cache of %s", options->name);
    space->cache = cache;
    space->index = (uint16_t)cache->space_count;
    space->disk_id = -1;
    space->ttl_us = options->ttl_us;
    space->disk_bytes_max = options->disk_bytes_max;
    space->seed = XXH3_64bits_withSeed(options->settings, strlen(options->settings), XXH3_64bits(options->name, strlen(options->name)));
    space->name = strdup(options->name);
    space->settings = strdup(options->settings);
    if (options->max_disagreement > 0)
        space->near = near_new(options->max_disagreement, options->start_distance, space->seed);
    if (space->name == NULL || space->settings == NULL || (options->max_disagreement > 0 && space->near == NULL)) {
        space_free(space);
        return error_set(error, ERROR_LIMIT, "no memory for the cache of %s", options->name);
    }
    if (cache->disk != NULL) {
        space->disk_id = disk_cache_space(cache->disk, options->name, options->settings);
        if (space->near != NULL)
            disk_cache_each_space(cache->disk, restore_learned, space);
    }
    cache->spaces[cache->space_count++] = space;
    *space_out = space;
    return ERROR_NONE;
}

#ifdef __x86_64__
__attribute__((target("avx"))) static void clear_upper_halves(void)
{
    _mm256_zeroupper();
}

/* A tensor may be a megabyte: the library has code for wider vectors than every x86 has, and chooses as it runs. That code (0.8.1) returns
 * with the upper halves of vector registers in use, which slows the SSE code that follows, libjpeg's say: 8 % of a small model's answer. */
static XXH128_hash_t digest(const void *bytes, size_t length, uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed_dispatch(bytes, length, seed);
    if (cpu_features() & CPU_AVX)
        clear_upper_halves();
    return hash;
}
#else
static XXH128_hash_t digest(const void *bytes, size_t length, uint64_t seed)
{
    return XXH3_128bits_withSeed(bytes, length, seed);
}
#endif

struct cache_key cache_key(const struct cache_space *space, enum cache_level level, const void *bytes, size_t length)
{
    XXH128_hash_t hash = digest(bytes, length, space->seed + (uint64_t)level);
    return (struct cache_key){.low = hash.low64, .high = hash.high64};
}

struct cache_key cache_key_with(struct cache_key key, const void *bytes, size_t length)
{
    XXH128_hash_t hash = digest(bytes, length, key.low);
    return (struct cache_key){.low = hash.low64, .high = hash.high64 ^ key.high};
}

bool cache_is_too_old(const struct cache_space *space, int64_t created_us, int64_t now_us)
{
    /* a clock that jumped back makes entries look young from the future: those are distrusted as well */
    return space->ttl_us > 0 && (now_us - created_us > space->ttl_us || created_us > now_us);
}

void cache_want_saved(struct cache *cache, struct memory_entry *entry)
{
    if (entry->saved || cache->path == NULL || cache->unsaved_count == CACHE_UNSAVED_MAX)
        return;
    entry->saved = true;
    cache->unsaved[(cache->unsaved_first + cache->unsaved_count++) % CACHE_UNSAVED_MAX] = entry->key;
}

static bool find_in_memory(struct cache_space *space, struct cache_key key, char *value, size_t capacity, struct cache_found *found_out)
{
    struct cache *cache = space->cache;
    struct memory_entry *entry = memory_cache_find(&cache->memory, key);
    if (entry == NULL || entry->length > capacity)
        return false;
    if (cache_is_too_old(space, entry->created_us, clock_wall_us())) {
        memory_cache_remove(&cache->memory, entry);
        return false;
    }
    entry->marked = true;
    cache_want_saved(cache, entry);
    memory_cache_read(&cache->memory, entry, value);
    *found_out = (struct cache_found){.length = entry->length, .saving_us = entry->saving_us};
    cache->statistics.found_memory++;
    return true;
}

static struct memory_entry *put_into_memory(struct cache_space *space, const struct disk_row *row)
{
    int64_t saving_us = row->saving_us < 0 ? 0 : row->saving_us > UINT32_MAX ? UINT32_MAX : row->saving_us;
    struct memory_value value = {.bytes = row->value, .length = row->length, .created_us = row->created_us,
                                 .saving_us = (uint32_t)saving_us, .space = space->index};
    return memory_cache_put(&space->cache->memory, row->key, &value);
}

static bool find_on_disk(struct cache_space *space, struct cache_key key, char *value, size_t capacity, struct cache_found *found_out)
{
    struct cache *cache = space->cache;
    struct disk_row row;
    pthread_rwlock_rdlock(&cache->disk_lock);
    bool found = space->disk_id >= 0 && disk_cache_find(cache->disk, space->disk_id, key, value, capacity, &row);
    pthread_rwlock_unlock(&cache->disk_lock);
    if (!found || cache_is_too_old(space, row.created_us, clock_wall_us()))
        return false;
    *found_out = (struct cache_found){.length = row.length, .saving_us = row.saving_us};
    row.value = value;
    pthread_mutex_lock(&cache->memory_lock);
    struct memory_entry *entry = put_into_memory(space, &row);
    if (entry != NULL)
        entry->saved = true;
    cache->statistics.found_disk++;
    pthread_mutex_unlock(&cache->memory_lock);
    return true;
}

static bool look_up(struct cache_space *space, struct cache_key key, bool claim, char *value, size_t capacity, struct cache_found *found_out)
{
    struct cache *cache = space->cache;
    pthread_mutex_lock(&cache->memory_lock);
    memory_cache_ask(&cache->memory, key);
    bool found;
    do
        found = find_in_memory(space, key, value, capacity, found_out);
    while (!found && claim && flight_wait(cache, key)); /* what its maker put, or gave up */
    if (!found && claim)
        flight_begin(cache, key);
    bool on_disk = !found && cache->path != NULL && filter_may_hold(&cache->filter, key.high);
    pthread_mutex_unlock(&cache->memory_lock);
    if (!on_disk)
        return found;
    found = find_on_disk(space, key, value, capacity, found_out);
    if (found && claim)
        cache_give_up(space, key);
    return found;
}

bool cache_find(struct cache_space *space, struct cache_key key, char *value, size_t capacity, struct cache_found *found_out)
{
    return look_up(space, key, false, value, capacity, found_out);
}

bool cache_claim(struct cache_space *space, struct cache_key key, char *value, size_t capacity, struct cache_found *found_out)
{
    return look_up(space, key, true, value, capacity, found_out);
}

void cache_put(struct cache_space *space, struct cache_key key, const char *value, size_t length, int64_t saving_us)
{
    struct cache *cache = space->cache;
    pthread_mutex_lock(&cache->memory_lock);
    if (length > 0 && length <= CACHE_VALUE_BYTES_MAX) {
        struct disk_row row = {.key = key, .value = value, .length = length, .created_us = clock_wall_us(), .saving_us = saving_us};
        struct memory_entry *entry = put_into_memory(space, &row);
        cache->statistics.insertions += entry != NULL;
        if (memory_cache_remember(&cache->memory, key) && entry != NULL) /* no first sight: it was here before and had to go */
            cache_want_saved(cache, entry);
    }
    flight_end(cache, key);
    pthread_mutex_unlock(&cache->memory_lock);
}

void cache_give_up(struct cache_space *space, struct cache_key key)
{
    pthread_mutex_lock(&space->cache->memory_lock);
    flight_end(space->cache, key);
    pthread_mutex_unlock(&space->cache->memory_lock);
}

void cache_count_hit(struct cache_space *space, enum cache_level level, int64_t saved_us)
{
    atomic_fetch_add_explicit(&space->hits[level], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&space->saved_us, (unsigned long long)saved_us, memory_order_relaxed);
}

void cache_count_miss(struct cache_space *space)
{
    atomic_fetch_add_explicit(&space->misses, 1, memory_order_relaxed);
}

struct near *cache_near(struct cache_space *space)
{
    return space->near;
}

void cache_space_get_statistics(const struct cache_space *space, struct cache_space_statistics *statistics_out)
{
    for (int level = 0; level < CACHE_LEVEL_COUNT; level++)
        statistics_out->hits[level] = atomic_load_explicit(&space->hits[level], memory_order_relaxed);
    statistics_out->misses = atomic_load_explicit(&space->misses, memory_order_relaxed);
    statistics_out->saved_us = atomic_load_explicit(&space->saved_us, memory_order_relaxed);
}
