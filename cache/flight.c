/* SPDX-License-Identifier: Apache-2.0
 *
 * Single flight: of several threads that ask for the same new key, one makes it. */
#include "cache/cache_internal.h"

static int find(const struct flights *flights, struct cache_key key)
{
    for (int i = 0; i < flights->count; i++) {
        if (flights->keys[i].low == key.low && flights->keys[i].high == key.high)
            return i;
    }
    return -1;
}

bool flight_wait(struct cache *cache, struct cache_key key)
{
    if (find(&cache->flights, key) < 0)
        return false;
    cache->statistics.waits++;
    while (find(&cache->flights, key) >= 0)
        pthread_cond_wait(&cache->flights.landed, &cache->memory_lock);
    return true;
}

void flight_begin(struct cache *cache, struct cache_key key)
{
    if (cache->flights.count < CACHE_FLIGHTS_MAX)
        cache->flights.keys[cache->flights.count++] = key;
}

void flight_end(struct cache *cache, struct cache_key key)
{
    int i = find(&cache->flights, key);
    if (i < 0)
        return;
    cache->flights.keys[i] = cache->flights.keys[--cache->flights.count];
    pthread_cond_broadcast(&cache->flights.landed);
}
