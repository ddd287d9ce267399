/* SPDX-License-Identifier: Apache-2.0
 *
 * sketch.h: how often a key was asked for lately, in about eight bytes a key that matters.
 *
 * A count-min sketch of 4-bit counters (Cormode and Muthukrishnan 2005, with conservative update) behind a doorkeeper, aged by halving:
 * TinyLFU (Einziger, Friedman and Manes, ACM ToS 2017). The doorkeeper is a Bloom filter that takes a key's first sighting, so that the
 * many keys seen once never reach the counters. All that concerns one key lies in one cache line: a word of doorkeeper bits and seven
 * words of counters. Ageing is spread out: each addition halves its share of the lines, so that no call is slow.
 * Estimates are upper bounds of what was counted since the last halving, 0..SKETCH_COUNT_MAX.
 * Memory: all at sketch_init. Threads: the caller locks. */
#ifndef EDDY_CACHE_SKETCH_H
#define EDDY_CACHE_SKETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SKETCH_COUNT_MAX = 16, SKETCH_KEYS_PER_LINE = 8 };

struct sketch_line {
    uint64_t door;
    uint64_t counters[7]; /* 16 of 4 bits each */
};

struct sketch {
    struct sketch_line *lines;
    size_t line_count;
    size_t ageing;        /* the line that is halved next */
    double ageing_owed;   /* lines that additions since have earned, below 1 */
};

bool sketch_init(struct sketch *sketch, size_t keys); /* keys that matter at once: about as many as the cache holds; false: no memory */
void sketch_deinit(struct sketch *sketch);
size_t sketch_bytes(size_t keys);

/* Counts one sighting and tells the estimate with it. period: additions in which every counter is halved once. */
int sketch_add(struct sketch *sketch, uint64_t hash, size_t period);
int sketch_estimate(const struct sketch *sketch, uint64_t hash);

#endif
