/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache.h"
#include "cache/memory.h"

#include "tests/check.h"

#include <unistd.h>

static char folder[64], path[128];

static void new_folder(void)
{
    strcpy(folder, "/tmp/eddy-cache-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/cache.db", folder);
}

static struct cache *open_cache(const char *file, size_t bytes)
{
    struct cache *cache = NULL;
    struct error error;
    bool set_aside;
    CHECK_OK(cache_open(file, bytes, &cache, &set_aside, &error), error);
    return cache;
}

static struct cache_space *add_space(struct cache *cache, const char *name, const char *settings, int64_t ttl_us)
{
    struct cache_space *space = NULL;
    struct error error;
    struct cache_space_options options = {.name = name, .settings = settings, .ttl_us = ttl_us, .disk_bytes_max = 1 << 20};
    CHECK_OK(cache_add_space(cache, &options, &space, &error), error);
    return space;
}

static bool has(struct cache_space *space, const char *input, const char *expected)
{
    char value[4096];
    size_t length;
    if (!cache_find(space, cache_key(space, CACHE_LEVEL_BYTES, input, strlen(input)), value, sizeof value, &length))
        return false;
    CHECK_INTEGER(length, strlen(expected));
    CHECK(memcmp(value, expected, length) == 0);
    return true;
}

static void put(struct cache_space *space, const char *input, const char *value)
{
    cache_put(space, cache_key(space, CACHE_LEVEL_BYTES, input, strlen(input)), value, strlen(value));
}

static void what_was_put_is_found_and_nothing_else(void)
{
    struct cache *cache = open_cache(NULL, 1 << 16);
    struct cache_space *space = add_space(cache, "line", "v1", 0);
    put(space, "frame 1", "good");
    CHECK(has(space, "frame 1", "good"));
    CHECK(!has(space, "frame 2", ""));
    put(space, "frame 1", "scratched");
    CHECK(has(space, "frame 1", "scratched"));
    cache_purge(space);
    CHECK(!has(space, "frame 1", ""));
    cache_close(cache);
}

static void another_model_or_level_is_another_key(void)
{
    struct cache *cache = open_cache(NULL, 1 << 16);
    struct cache_space *old = add_space(cache, "line", "model 1", 0), *new = add_space(cache, "line", "model 2", 0);
    put(old, "frame", "good");
    CHECK(!has(new, "frame", ""));
    struct cache_key bytes = cache_key(old, CACHE_LEVEL_BYTES, "x", 1), tensor = cache_key(old, CACHE_LEVEL_TENSOR, "x", 1);
    CHECK(bytes.low != tensor.low);
    cache_close(cache);
}

static void only_what_was_hit_survives_a_restart(void)
{
    new_folder();
    struct cache *cache = open_cache(path, 1 << 16);
    struct cache_space *space = add_space(cache, "line", "v1", 0);
    put(space, "asked twice", "yes");
    put(space, "seen once", "no");
    CHECK(has(space, "asked twice", "yes"));
    cache_close(cache);

    cache = open_cache(path, 1 << 16);
    space = add_space(cache, "line", "v1", 0);
    CHECK(has(space, "asked twice", "yes"));
    CHECK(!has(space, "seen once", ""));
    struct cache_statistics statistics;
    cache_get_statistics(cache, &statistics);
    CHECK_INTEGER(statistics.hits_disk, 1);
    CHECK_INTEGER(statistics.disk_entries, 1);
    cache_close(cache);

    cache = open_cache(path, 1 << 16);
    space = add_space(cache, "line", "another model", 0);
    CHECK(!has(space, "asked twice", ""));
    cache_get_statistics(cache, &statistics);
    CHECK_INTEGER(statistics.disk_entries, 0);
    cache_close(cache);
}

static void an_entry_ends_with_its_time_to_live(void)
{
    struct cache *cache = open_cache(NULL, 1 << 16);
    struct cache_space *space = add_space(cache, "line", "v1", 1000);
    put(space, "frame", "good");
    usleep(5000);
    CHECK(!has(space, "frame", ""));
    cache_close(cache);
}

static void the_disk_stays_within_its_budget(void)
{
    new_folder();
    struct cache *cache = open_cache(path, 4 << 20);
    struct cache_space *space = add_space(cache, "line", "v1", 0);
    char value[2001], input[32];
    memset(value, 'v', 2000);
    value[2000] = '\0';
    for (int i = 0; i < 1500; i++) { /* 3 MB for a budget of 1 MB */
        snprintf(input, sizeof input, "%d", i);
        put(space, input, value);
        CHECK(has(space, input, value));
        if (i % 100 == 0)
            cache_flush(cache);
    }
    while (true) {
        struct cache_statistics before, after;
        cache_get_statistics(cache, &before);
        cache_flush(cache);
        cache_get_statistics(cache, &after);
        if (after.flushed == before.flushed)
            break;
    }
    struct cache_statistics statistics;
    cache_get_statistics(cache, &statistics);
    CHECK(statistics.disk_entries > 100);
    CHECK(statistics.disk_bytes <= 1 << 20);
    cache_close(cache);
}

static void a_damaged_file_is_set_aside_and_the_cache_runs_on(void)
{
    new_folder();
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    for (int i = 0; i < 5000; i++)
        fputc(i * 7, file);
    fclose(file);
    struct cache *cache = NULL;
    struct error error;
    bool set_aside = false;
    CHECK_OK(cache_open(path, 1 << 16, &cache, &set_aside, &error), error);
    CHECK(set_aside);
    struct cache_space *space = add_space(cache, "line", "v1", 0);
    put(space, "frame", "good");
    CHECK(has(space, "frame", "good"));
    cache_close(cache);
}

/* The ring against a plain array: whatever is found must be what was put last. */
static void the_ring_never_gives_a_wrong_value(void)
{
    enum { KEYS = 400, STEPS = 200000 };
    static char last[KEYS][64];
    struct memory_cache memory;
    struct error error;
    unsigned state = 12345;
    int found = 0;
    memset(last, 0, sizeof last);
    CHECK_OK(memory_cache_init(&memory, 8192, &error), error);
    for (int i = 0; i < STEPS; i++) {
        state = state * 1664525u + 1013904223u;
        int k = (int)(state >> 8) % KEYS;
        struct cache_key key = {.low = (uint64_t)k * 1024, .high = (uint64_t)k}; /* all collide in the index */
        struct memory_entry *entry = memory_cache_find(&memory, key);
        if (entry != NULL) {
            CHECK_INTEGER(entry->length, strlen(last[k]));
            CHECK(memcmp(memory_entry_value(entry), last[k], entry->length) == 0);
            entry->used = true;
            found++;
        }
        if ((state >> 20) % 3 == 0) {
            snprintf(last[k], sizeof last[k], "%d:%.*s", i, (int)((state >> 24) % 40), "........................................");
            CHECK(memory_cache_put(&memory, key, 0, 0, last[k], strlen(last[k])) != NULL);
        } else if (entry != NULL && (state >> 20) % 7 == 0) {
            memory_cache_remove(&memory, entry);
        }
    }
    CHECK(found > 1000);
    CHECK(memory.evictions > 1000);
    int walked = 0;
    for (struct memory_entry *entry = NULL; (entry = memory_cache_next(&memory, entry)) != NULL;)
        walked++;
    CHECK_INTEGER(walked, memory.entries);
    char large[8192] = {0};
    CHECK(memory_cache_put(&memory, (struct cache_key){1, 1}, 0, 0, large, sizeof large) == NULL);
    memory_cache_deinit(&memory);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){
        CASE(what_was_put_is_found_and_nothing_else), CASE(another_model_or_level_is_another_key),
        CASE(only_what_was_hit_survives_a_restart), CASE(an_entry_ends_with_its_time_to_live), CASE(the_disk_stays_within_its_budget),
        CASE(a_damaged_file_is_set_aside_and_the_cache_runs_on), CASE(the_ring_never_gives_a_wrong_value), {0}});
}
