/* SPDX-License-Identifier: Apache-2.0
 *
 * filter.h: which keys the disk may hold, so that a new input does not cost a disk read to learn that it is new.
 *
 * A blocked Bloom filter (Putze, Sanders and Singler 2007): four bits in one cache line a key. It says "no" for sure; "maybe" is wrong for
 * about 3 % of absent keys at 8 bits a key, and ever more often beyond: then lookups cost a read, results stay right. Keys cannot be taken
 * out; it is built anew from the disk's keys when that matters. While it is not complete it says "maybe" to all.
 * Memory: filter_init. Threads: the caller locks. */
#ifndef EDDY_CACHE_FILTER_H
#define EDDY_CACHE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct filter {
    uint64_t *words;
    size_t block_count;  /* of 8 words */
    bool complete;       /* holds all keys of the disk */
};

bool filter_init(struct filter *filter, size_t bytes); /* empty and complete; false: no memory */
void filter_deinit(struct filter *filter);
void filter_clear(struct filter *filter);
size_t filter_bytes(const struct filter *filter);
void filter_add(struct filter *filter, uint64_t hash);
bool filter_may_hold(const struct filter *filter, uint64_t hash);

#endif
