/* SPDX-License-Identifier: Apache-2.0
 *
 * arena.h: memory that is released all at once.
 *
 * An arena grows in chunks up to a fixed maximum and is freed as a whole. Start-up work (parsing a model, a config) allocates here;
 * the steady state does not allocate at all. Large allocations are pages of their own that cost nothing until they are used. Every
 * allocation is zeroed and aligned to ARENA_ALIGNMENT, so that it may hold vectors.
 * With EDDY_ARENA_MALLOC defined (sanitizer builds) every allocation is a malloc of its own: ASan then sees each overrun.
 * Errors: NULL where the maximum or the machine's memory is reached; the arena stays usable.
 * Threads: none; one owner at a time. */
#ifndef EDDY_BASE_ARENA_H
#define EDDY_BASE_ARENA_H

#include <stddef.h>

enum { ARENA_ALIGNMENT = 64 };

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t bytes_used;          /* of all allocations, alignment included */
    size_t bytes_max;
};

void arena_init(struct arena *arena, size_t bytes_max);
/* Gives the pages that lie wholly inside data[0 .. bytes) back to the system; what they held is lost, the range is never allocated again.
 * For what is no longer needed but whose arena lives on. */
void arena_discard(struct arena *arena, void *data, size_t bytes);
void arena_deinit(struct arena *arena); /* frees everything; the arena may be used again with the same maximum */

void *arena_allocate(struct arena *arena, size_t bytes);                      /* zeroed; bytes 0 gives a valid pointer */
void *arena_allocate_array(struct arena *arena, size_t count, size_t bytes);  /* NULL too where count * bytes overflows */
char *arena_copy_string(struct arena *arena, const char *text, size_t length); /* adds the final NUL */

#endif
