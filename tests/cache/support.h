/* SPDX-License-Identifier: Apache-2.0
 *
 * support.h: a cache with short words for its calls: inputs and results are plain texts. */
#ifndef EDDY_TESTS_CACHE_SUPPORT_H
#define EDDY_TESTS_CACHE_SUPPORT_H

#include "cache/cache.h"

#include "tests/check.h"

static char folder[64], path[128];

__attribute__((unused)) static void new_folder(void)
{
    strcpy(folder, "/tmp/eddy-cache-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/cache.db", folder);
}

__attribute__((unused)) static struct cache *open_cache(const char *file, size_t bytes)
{
    struct cache *cache = NULL;
    struct error error;
    bool set_aside;
    CHECK_OK(cache_open(file, bytes, &cache, &set_aside, &error), error);
    return cache;
}

__attribute__((unused)) static struct cache_space *add_space(struct cache *cache, const char *name, const char *settings, int64_t ttl_us)
{
    struct cache_space *space = NULL;
    struct error error;
    struct cache_space_options options = {.name = name, .settings = settings, .ttl_us = ttl_us, .disk_bytes_max = 1 << 20};
    CHECK_OK(cache_add_space(cache, &options, &space, &error), error);
    return space;
}

__attribute__((unused)) static struct cache_key key_of(struct cache_space *space, const char *input)
{
    return cache_key(space, CACHE_LEVEL_BYTES, input, strlen(input));
}

__attribute__((unused)) static bool has(struct cache_space *space, const char *input, const char *expected)
{
    char value[4096];
    struct cache_found found;
    if (!cache_find(space, key_of(space, input), value, sizeof value, &found))
        return false;
    CHECK_INTEGER(found.length, strlen(expected));
    CHECK(memcmp(value, expected, found.length) == 0);
    return true;
}

__attribute__((unused)) static void put(struct cache_space *space, const char *input, const char *value)
{
    cache_put(space, key_of(space, input), value, strlen(value), 1000);
}

__attribute__((unused)) static struct cache_statistics statistics_of(struct cache *cache)
{
    struct cache_statistics statistics;
    cache_get_statistics(cache, &statistics);
    return statistics;
}

/* Writes behind until nothing is left to write. */
__attribute__((unused)) static void flush_all(struct cache *cache)
{
    uint64_t before;
    do {
        before = statistics_of(cache).flushed;
        cache_flush(cache);
    } while (statistics_of(cache).flushed > before);
}

#endif
