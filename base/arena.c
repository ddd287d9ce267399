/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES_MIN = 64 * 1024 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t bytes;
    size_t used;
    _Alignas(ARENA_ALIGNMENT) unsigned char data[];
};

void arena_init(struct arena *arena, size_t bytes_max)
{
    *arena = (struct arena){.bytes_max = bytes_max};
}

void arena_deinit(struct arena *arena)
{
    while (arena->chunks != NULL) {
        struct arena_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
    arena->bytes_used = 0;
}

static struct arena_chunk *chunk_new(struct arena *arena, size_t bytes)
{
    size_t total = sizeof(struct arena_chunk) + bytes;
    struct arena_chunk *chunk = aligned_alloc(ARENA_ALIGNMENT, (total + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT);
    if (chunk == NULL)
        return NULL;
    chunk->next = arena->chunks;
    chunk->bytes = bytes;
    chunk->used = 0;
    arena->chunks = chunk;
    return chunk;
}

void *arena_allocate(struct arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX - ARENA_ALIGNMENT)
        return NULL;
    size_t rounded = (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    if (rounded > arena->bytes_max - arena->bytes_used)
        return NULL;
    struct arena_chunk *chunk = arena->chunks;
#ifdef EDDY_ARENA_MALLOC
    chunk = chunk_new(arena, bytes);
    rounded = bytes;
#else
    if (chunk == NULL || chunk->bytes - chunk->used < rounded)
        chunk = chunk_new(arena, rounded > CHUNK_BYTES_MIN ? rounded : CHUNK_BYTES_MIN);
#endif
    if (chunk == NULL)
        return NULL;
    void *data = chunk->data + chunk->used;
    chunk->used += rounded;
    arena->bytes_used += rounded;
    memset(data, 0, bytes);
    return data;
}

void *arena_allocate_array(struct arena *arena, size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total))
        return NULL;
    return arena_allocate(arena, total);
}

char *arena_copy_string(struct arena *arena, const char *text, size_t length)
{
    char *copy = arena_allocate(arena, length + 1);
    if (copy != NULL && length > 0)
        memcpy(copy, text, length);
    return copy;
}
