/* SPDX-License-Identifier: Apache-2.0 */
#include "base/recent.h"

#include <stdlib.h>

enum { CAPACITY_MAX = 1 << 30 };

enum error_code recent_init(struct recent *recent, size_t capacity, struct error *error)
{
    *recent = (struct recent){.capacity = capacity, .hashes = 1};
    while (recent->hashes < capacity && capacity <= CAPACITY_MAX)
        recent->hashes *= 2;
    recent->ring = calloc(capacity, sizeof *recent->ring);
    recent->heads = calloc(recent->hashes, sizeof *recent->heads);
    recent->links = calloc(capacity, sizeof *recent->links);
    if (capacity > 0 && capacity <= CAPACITY_MAX && recent->ring != NULL && recent->heads != NULL && recent->links != NULL)
        return ERROR_NONE;
    recent_deinit(recent);
    return error_set(error, ERROR_LIMIT, "no memory for %zu digests", capacity);
}

void recent_deinit(struct recent *recent)
{
    free(recent->ring);
    free(recent->heads);
    free(recent->links);
    *recent = (struct recent){0};
}

uint64_t *recent_place(const struct recent *recent, int64_t number)
{
    return &recent->ring[(size_t)number % recent->capacity];
}

static uint32_t *head_of(const struct recent *recent, uint64_t digest)
{
    return &recent->heads[(digest ^ digest >> 32) & (recent->hashes - 1)];
}

void recent_advance(struct recent *recent, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t place = (size_t)recent->total++ % recent->capacity;
        uint32_t *head = head_of(recent, recent->ring[place]);
        recent->links[place] = *head;
        *head = (uint32_t)place + 1;
    }
}

void recent_put(struct recent *recent, uint64_t digest)
{
    *recent_place(recent, recent->total) = digest;
    recent_advance(recent, 1);
}

/* The latest number that lies there; below 0: none yet. */
static int64_t number_at(const struct recent *recent, size_t place)
{
    int64_t last = recent->total - 1, capacity = (int64_t)recent->capacity;
    return last - (last - (int64_t)place + capacity) % capacity;
}

bool recent_has(const struct recent *recent, uint64_t digest, size_t reach)
{
    int64_t newest = recent->total, oldest = recent->total - (int64_t)reach;
    for (uint32_t place = *head_of(recent, digest); place > 0; place = recent->links[place - 1]) {
        int64_t number = number_at(recent, place - 1);
        if (number >= newest || number < oldest || number < 0)
            return false;
        if (recent->ring[place - 1] == digest)
            return true;
        newest = number;
    }
    return false;
}
