/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CHUNK_BYTES_MIN = 64 * 1024, PAGES_BYTES_MIN = 1024 * 1024 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t bytes;
    size_t used;
    size_t mapped; /* bytes of pages of its own, which come zeroed; 0: from malloc */
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
        if (arena->chunks->mapped > 0)
            munmap(arena->chunks, arena->chunks->mapped);
        else
            free(arena->chunks);
        arena->chunks = next;
    }
    arena->bytes_used = 0;
}

static struct arena_chunk *map_pages(size_t total)
{
    void *pages = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    (void)madvise(pages, total, MADV_HUGEPAGE); /* where the system has them: fewer faults, fewer misses of the address cache */
    return pages;
}

static struct arena_chunk *chunk_new(struct arena *arena, size_t bytes)
{
    size_t total = (sizeof(struct arena_chunk) + bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    bool large = bytes >= PAGES_BYTES_MIN;
#ifdef EDDY_ARENA_MALLOC
    large = false;
#endif
    struct arena_chunk *chunk = large ? map_pages(total) : aligned_alloc(ARENA_ALIGNMENT, total);
    if (chunk == NULL)
        return NULL;
    chunk->mapped = large ? total : 0;
    chunk->bytes = bytes;
    chunk->used = 0;
    if (large && arena->chunks != NULL) { /* the newest one goes on serving what is small */
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
    } else {
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
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
    if (chunk->mapped == 0)
        memset(data, 0, bytes);
    return data;
}

void arena_discard(struct arena *arena, void *data, size_t bytes)
{
    (void)arena;
#ifdef EDDY_ARENA_MALLOC
    (void)data, (void)bytes;
#else
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t last = ((uintptr_t)data + bytes) / page * page;
    if (first < last)
        (void)madvise((void *)first, last - first, MADV_DONTNEED);
#endif
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
