/* SPDX-License-Identifier: Apache-2.0
 *
 * memory.h: the front of the cache: keyed values in one block of memory, and the policy of what stays in it.
 *
 * Storage: cells of 64 bytes. An entry is a chain of them: the first begins with struct memory_entry, the rest hold value bytes behind
 *   the number of the next. Any entry can go at any time without a hole that only a smaller one fits, and nothing is ever moved.
 * Policy: W-TinyLFU's admission with SIEVE's eviction, weighted. A new entry enters the window (a FIFO of a small share of the cells).
 *   What leaves the window is compared with the entries that SIEVE's hand meets in the main part (Zhang et al., NSDI 2024: a hit only sets
 *   a mark, the hand passes marked entries over and clears the mark): whichever is worth less goes. Worth = how often it was asked for
 *   lately (sketch.h) x what an answer from it saves (us) / the cells that it takes. docs/cache.md compares it with others.
 * Memory: all at memory_cache_init, sketch and index included. Threads: the caller locks. */
#ifndef EDDY_CACHE_MEMORY_H
#define EDDY_CACHE_MEMORY_H

#include "cache/cache.h"
#include "cache/sketch.h"

struct memory_entry {
    struct cache_key key;
    int64_t created_us;     /* wall clock: it is compared with what the disk holds from before a restart */
    uint32_t length;        /* of the value */
    uint32_t saving_us;     /* what an answer from this entry spares */
    uint32_t rest;          /* cell of the value's next bytes; 0: none */
    uint32_t chain;         /* next entry of its index slot; 0: none */
    uint32_t older, newer;  /* neighbours in its queue; 0: none */
    uint16_t space;
    bool in_window : 1;
    bool marked : 1;        /* hit since SIEVE's hand passed */
    bool saved : 1;         /* on disk, or about to be */
    char value[];           /* the first bytes */
};

struct memory_queue {
    uint32_t oldest, newest;
    size_t cells;
};

struct memory_cache {
    struct memory_cell *cells;    /* [cell_count + 1]; number 0 is none */
    size_t cell_count, window_cells;
    uint32_t free_cell;           /* chain of free ones */
    size_t free_cells;
    uint32_t *index;              /* [index_slots]: first entry of each chain */
    size_t index_slots;
    uint32_t *remembered;         /* fingerprints of keys put lately, whether still held or not */
    struct sketch sketch;
    struct memory_queue window, main;
    uint32_t hand;                /* entry of main that is looked at next; 0: begin with the oldest */
    int refusals;                 /* candidates turned away since it moved */
    size_t entries;
    uint64_t evictions;
    struct memory_sample {
        size_t asked, missed;     /* in this sample */
        double lately;            /* share of hits: at once up, slowly down */
        bool shifted;             /* other keys have become popular */
    } sample;
};

MUST_CHECK enum error_code memory_cache_init(struct memory_cache *memory, size_t bytes, struct error *error);
void memory_cache_deinit(struct memory_cache *memory);
size_t memory_cache_bytes(const struct memory_cache *memory); /* of entries, whole cells */

/* Counts that the key was asked for; how often that happened lately. */
int memory_cache_ask(struct memory_cache *memory, struct cache_key key);
int memory_cache_frequency(const struct memory_cache *memory, struct cache_key key); /* without counting */
struct memory_entry *memory_cache_find(struct memory_cache *memory, struct cache_key key); /* borrowed until the next put or remove */
/* Whether the key was remembered before, and remembers it: exact where the sketch only estimates (one wrong yes in a thousand million). */
bool memory_cache_remember(struct memory_cache *memory, struct cache_key key);
void memory_cache_read(const struct memory_cache *memory, const struct memory_entry *entry, char *value); /* copies entry->length bytes */
void memory_cache_remove(struct memory_cache *memory, struct memory_entry *entry);

struct memory_value {
    const char *bytes;
    size_t length;
    int64_t created_us;
    uint32_t saving_us;
    uint16_t space;
};
/* Replaces an entry of the same key. NULL: the value is larger than the window, or was not worth what would have had to go. */
struct memory_entry *memory_cache_put(struct memory_cache *memory, struct cache_key key, const struct memory_value *value);
void memory_cache_forget_saved(struct memory_cache *memory); /* nothing is on disk any more */
void memory_cache_remove_space(struct memory_cache *memory, uint16_t space);

#endif
