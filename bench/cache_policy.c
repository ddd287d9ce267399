/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_policy [TRACE...]: replays traces through the cache's memory front (the code that runs, not a model of it) and through the
 * policies it could have had; Belady's optimum is the ceiling. A TRACE is a text file, one request a line.
 * Prints a Markdown table of hit rates; docs/cache.md holds one. */
#include "bench/policies.h"
#include "cache/memory.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 1000000, KEYS = 100000, VALUE_BYTES = 192 /* of four cells: as many entries as the policies have */ };

static uint64_t random_state = 1;

static double uniform(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) / 9007199254740992.0;
}

static void *array(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);
    if (memory == NULL)
        abort();
    return memory;
}

struct zipf {
    double *cumulative;
    size_t count;
};

static struct zipf zipf_new(size_t count, double exponent)
{
    struct zipf zipf = {array(count, sizeof(double)), count};
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        zipf.cumulative[i] = sum += pow((double)(i + 1), -exponent);
    for (size_t i = 0; i < count; i++)
        zipf.cumulative[i] /= sum;
    return zipf;
}

static uint32_t zipf_draw(const struct zipf *zipf)
{
    double at = uniform();
    size_t low = 0, high = zipf->count - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (zipf->cumulative[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint32_t)low;
}

static struct trace trace_new(const char *name, size_t length, size_t keys)
{
    return (struct trace){.name = name, .keys = array(length, sizeof(uint32_t)), .length = length, .key_count = keys};
}

static struct trace make_zipf(void)
{
    struct trace trace = trace_new("zipf 0.9", REQUESTS, KEYS);
    struct zipf zipf = zipf_new(KEYS, 0.9);
    for (size_t i = 0; i < trace.length; i++)
        trace.keys[i] = zipf_draw(&zipf);
    free(zipf.cumulative);
    return trace;
}

/* Half of the requests are for keys that never come again. */
static struct trace make_scan(void)
{
    struct trace trace = trace_new("zipf 0.9 + scan", REQUESTS, KEYS + REQUESTS);
    struct zipf zipf = zipf_new(KEYS, 0.9);
    uint32_t fresh = KEYS;
    for (size_t i = 0; i < trace.length; i++)
        trace.keys[i] = uniform() < 0.5 ? fresh++ : zipf_draw(&zipf);
    free(zipf.cumulative);
    trace.key_count = KEYS; /* sizes count what can be hit; see replay */
    return trace;
}

static struct trace make_loop(void)
{
    struct trace trace = trace_new("loop", REQUESTS, KEYS);
    for (size_t i = 0; i < trace.length; i++)
        trace.keys[i] = (uint32_t)(i % KEYS);
    return trace;
}

/* Every 100,000 requests other keys become the popular ones. */
static struct trace make_shift(void)
{
    struct trace trace = trace_new("zipf 0.9, shifting", REQUESTS, KEYS);
    struct zipf zipf = zipf_new(KEYS, 0.9);
    for (size_t i = 0; i < trace.length; i++)
        trace.keys[i] = (uint32_t)((zipf_draw(&zipf) + i / 100000 * 7919) % KEYS);
    free(zipf.cumulative);
    return trace;
}

static struct trace read_trace(const char *path)
{
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "cache_policy: cannot read %s\n", path);
        exit(1);
    }
    struct trace trace = trace_new(name, REQUESTS, 0);
    size_t slots = 4 * REQUESTS;
    uint64_t *seen = array(slots, sizeof *seen);
    uint32_t *numbers = array(slots, sizeof *numbers);
    char line[4096];
    trace.length = 0;
    while (trace.length < REQUESTS && fgets(line, sizeof line, file) != NULL) {
        uint64_t hash = XXH3_64bits(line, strlen(line)) | 1;
        size_t slot = hash % slots;
        while (seen[slot] != 0 && seen[slot] != hash)
            slot = (slot + 1) % slots;
        if (seen[slot] == 0) {
            seen[slot] = hash;
            numbers[slot] = (uint32_t)trace.key_count++;
        }
        trace.keys[trace.length++] = numbers[slot];
    }
    fclose(file);
    free(seen);
    free(numbers);
    return trace;
}

static double replay_eddy(const struct trace *trace, size_t entries)
{
    struct memory_cache memory;
    struct error error;
    static char bytes[VALUE_BYTES];
    size_t hits = 0, entry_bytes = 300; /* of memory_cache_init's sum: four cells and their share of index and sketch */
    if (memory_cache_init(&memory, entries * entry_bytes, &error) != ERROR_NONE) {
        fprintf(stderr, "cache_policy: %s\n", error.message);
        exit(1);
    }
    struct memory_value value = {.bytes = bytes, .length = VALUE_BYTES, .saving_us = 1000};
    for (size_t i = 0; i < trace->length; i++) {
        XXH128_hash_t hash = XXH3_128bits(&trace->keys[i], sizeof trace->keys[i]);
        struct cache_key key = {.low = hash.low64, .high = hash.high64};
        memory_cache_ask(&memory, key);
        struct memory_entry *entry = memory_cache_find(&memory, key);
        if (entry != NULL) {
            entry->marked = true;
            hits++;
        } else if (memory_cache_put(&memory, key, &value) == NULL) {
            abort();
        }
    }
    memory_cache_deinit(&memory);
    return (double)hits / (double)trace->length;
}

static void replay(const struct trace *given)
{
    static const double shares[] = {0.01, 0.05, 0.20};
    struct trace trace = *given;
    for (size_t i = 0; i < trace.length; i++) /* a scan's keys lie beyond key_count */
        trace.key_count = trace.keys[i] >= trace.key_count ? (size_t)trace.keys[i] + 1 : trace.key_count;
    for (size_t s = 0; s < sizeof shares / sizeof shares[0]; s++) {
        size_t entries = (size_t)((double)given->key_count * shares[s]);
        if (entries < 64)
            continue; /* the memory front's least */
        double sieve = policy_sieve(&trace, entries), tinylfu = policy_w_tinylfu(&trace, entries);
        printf("| %s | %.0f %% | **%.2f** | %.2f | %.2f | %.2f | %.2f |\n", trace.name, 100 * shares[s], 100 * replay_eddy(&trace, entries),
               100 * policy_lru(&trace, entries), 100 * sieve, 100 * tinylfu, 100 * policy_belady(&trace, entries));
        fflush(stdout);
    }
}

int main(int count, char **arguments)
{
    struct trace (*const makers[])(void) = {make_zipf, make_scan, make_loop, make_shift};
    printf("Hit rates, %%: 1,000,000 requests over 100,000 keys that can be hit; sizes are shares of those keys.\n\n");
    printf("| trace | cache | eddy | LRU | SIEVE | W-TinyLFU | Belady (ceiling) |\n|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++) {
        struct trace trace = makers[i]();
        replay(&trace);
        free(trace.keys);
    }
    for (int i = 1; i < count; i++) {
        struct trace trace = read_trace(arguments[i]);
        replay(&trace);
        free(trace.keys);
    }
    return 0;
}
