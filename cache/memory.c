/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    RING_ALIGNMENT = 16,
    ENTRY_BYTES_TYPICAL = 256, /* sizes the index: one slot for each so many bytes of the ring, twice over */
    MOVES_MAX = 8,             /* second chances per insertion, so that one put stays cheap */
};

static size_t entry_bytes(size_t length)
{
    return (sizeof(struct memory_entry) + length + RING_ALIGNMENT - 1) / RING_ALIGNMENT * RING_ALIGNMENT;
}

enum error_code memory_cache_init(struct memory_cache *memory, size_t capacity, struct error *error)
{
    *memory = (struct memory_cache){.capacity = capacity / RING_ALIGNMENT * RING_ALIGNMENT};
    size_t slots = 1024;
    while (slots < 2 * (capacity / ENTRY_BYTES_TYPICAL))
        slots *= 2;
    memory->index_mask = slots - 1;
    memory->ring = malloc(memory->capacity);
    memory->index = calloc(slots, sizeof *memory->index);
    if (memory->ring == NULL || memory->index == NULL) {
        memory_cache_deinit(memory);
        return error_set(error, ERROR_LIMIT, "no memory for a cache of %zu bytes", capacity);
    }
    return ERROR_NONE;
}

void memory_cache_deinit(struct memory_cache *memory)
{
    free(memory->ring);
    free(memory->index);
    *memory = (struct memory_cache){0};
}

static struct memory_entry *entry_at(struct memory_cache *memory, size_t position)
{
    return (struct memory_entry *)(void *)(memory->ring + position);
}

static uint32_t slot_of(struct memory_cache *memory, const struct memory_entry *entry)
{
    return (uint32_t)((size_t)((const uint8_t *)entry - memory->ring) / RING_ALIGNMENT + 1);
}

static struct memory_entry *entry_of(struct memory_cache *memory, uint32_t slot)
{
    return entry_at(memory, (size_t)(slot - 1) * RING_ALIGNMENT);
}

const char *memory_entry_value(const struct memory_entry *entry)
{
    return (const char *)(entry + 1);
}

struct memory_entry *memory_cache_find(struct memory_cache *memory, struct cache_key key)
{
    for (size_t i = key.low & memory->index_mask; memory->index[i] != 0; i = (i + 1) & memory->index_mask) {
        struct memory_entry *entry = entry_of(memory, memory->index[i]);
        if (entry->key.low == key.low && entry->key.high == key.high)
            return entry;
    }
    return NULL;
}

/* Linear probing without tombstones: what stands behind the hole and belongs before it moves up (Knuth 6.4, algorithm R). */
static void index_remove(struct memory_cache *memory, const struct memory_entry *entry)
{
    size_t mask = memory->index_mask, hole = entry->key.low & mask;
    uint32_t slot = slot_of(memory, entry);
    while (memory->index[hole] != slot)
        hole = (hole + 1) & mask;
    for (size_t i = (hole + 1) & mask; memory->index[i] != 0; i = (i + 1) & mask) {
        size_t home = entry_of(memory, memory->index[i])->key.low & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            memory->index[hole] = memory->index[i];
            hole = i;
        }
    }
    memory->index[hole] = 0;
    memory->entries--;
}

static void index_add(struct memory_cache *memory, const struct memory_entry *entry)
{
    size_t i = entry->key.low & memory->index_mask;
    while (memory->index[i] != 0)
        i = (i + 1) & memory->index_mask;
    memory->index[i] = slot_of(memory, entry);
    memory->entries++;
}

void memory_cache_remove(struct memory_cache *memory, struct memory_entry *entry)
{
    index_remove(memory, entry);
    entry->gone = true;
}

/* An entry never wraps: where the rest of the ring is too short, an entry that is gone fills it. */
static void fill_to_end(struct memory_cache *memory)
{
    size_t rest = memory->capacity - memory->head;
    if (rest >= sizeof(struct memory_entry)) {
        struct memory_entry *filler = entry_at(memory, memory->head);
        *filler = (struct memory_entry){.gone = true, .length = (uint32_t)(rest - sizeof *filler)};
    }
    memory->bytes += rest;
    memory->head = 0;
}

static size_t step_at(struct memory_cache *memory, size_t position)
{
    size_t rest = memory->capacity - position;
    return rest < sizeof(struct memory_entry) ? rest : entry_bytes(entry_at(memory, position)->length);
}

static void drop_tail(struct memory_cache *memory)
{
    size_t rest = memory->capacity - memory->tail;
    if (rest >= sizeof(struct memory_entry)) {
        struct memory_entry *entry = entry_at(memory, memory->tail);
        if (!entry->gone) {
            index_remove(memory, entry);
            memory->evictions++;
        }
    }
    size_t step = step_at(memory, memory->tail);
    memory->bytes -= step;
    memory->tail = (memory->tail + step) % memory->capacity;
}

static bool has_room(const struct memory_cache *memory, size_t bytes)
{
    size_t rest = memory->capacity - memory->head;
    size_t needed = rest >= bytes ? bytes : rest + bytes;
    return memory->capacity - memory->bytes >= needed && memory->entries < memory->index_mask / 2;
}

static struct memory_entry *append(struct memory_cache *memory, const struct memory_entry *header, const char *value)
{
    size_t bytes = entry_bytes(header->length);
    if (memory->capacity - memory->head < bytes)
        fill_to_end(memory);
    struct memory_entry *entry = entry_at(memory, memory->head);
    *entry = *header;
    memcpy(entry + 1, value, header->length);
    memory->head = (memory->head + bytes) % memory->capacity;
    memory->bytes += bytes;
    index_add(memory, entry);
    return entry;
}

/* The tail's entry, if it earned a second chance, is copied out before its room is given away. */
static bool rescue_tail(struct memory_cache *memory, struct memory_entry *header, char *value)
{
    if (memory->capacity - memory->tail < sizeof *header)
        return false;
    const struct memory_entry *entry = entry_at(memory, memory->tail);
    if (entry->gone || !entry->used || entry->length > ENTRY_BYTES_TYPICAL * 8)
        return false;
    *header = *entry;
    header->used = false;
    memcpy(value, entry + 1, entry->length);
    return true;
}

static void make_room(struct memory_cache *memory, size_t bytes)
{
    char rescued[ENTRY_BYTES_TYPICAL * 8];
    struct memory_entry header;
    int moves = 0;
    while (!has_room(memory, bytes)) {
        bool rescue = moves < MOVES_MAX && rescue_tail(memory, &header, rescued);
        drop_tail(memory);
        if (rescue && has_room(memory, entry_bytes(header.length))) {
            append(memory, &header, rescued);
            memory->evictions--;
            moves++;
        }
    }
}

struct memory_entry *memory_cache_put(struct memory_cache *memory, struct cache_key key, uint32_t space, int64_t created_us,
                                      const char *value, size_t length)
{
    if (entry_bytes(length) > memory->capacity / 4)
        return NULL;
    struct memory_entry *old = memory_cache_find(memory, key);
    if (old != NULL)
        memory_cache_remove(memory, old);
    make_room(memory, entry_bytes(length));
    struct memory_entry header = {.key = key, .space = space, .created_us = created_us, .length = (uint32_t)length};
    return append(memory, &header, value);
}

struct memory_entry *memory_cache_next(struct memory_cache *memory, struct memory_entry *entry)
{
    size_t position = memory->tail, walked = 0;
    if (entry != NULL) {
        position = (size_t)((uint8_t *)entry - memory->ring);
        walked = (position + memory->capacity - memory->tail) % memory->capacity + step_at(memory, position);
        position = (position + step_at(memory, position)) % memory->capacity;
    }
    while (walked < memory->bytes) {
        if (memory->capacity - position >= sizeof *entry && !entry_at(memory, position)->gone)
            return entry_at(memory, position);
        walked += step_at(memory, position);
        position = (position + step_at(memory, position)) % memory->capacity;
    }
    return NULL;
}
