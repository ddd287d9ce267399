/* SPDX-License-Identifier: Apache-2.0
 *
 * policies.h: cache policies to compare with, simulated on traces of dense keys 0..key_count-1, every entry of one size.
 *
 * lru; sieve (Zhang et al., NSDI 2024); w-tinylfu as Caffeine has it (window of 1 %, segmented LRU, TinyLFU admission; its adaptive
 * window left out); belady: the optimum that knows the future (the entry asked for latest goes, or is not taken in at all). */
#ifndef EDDY_BENCH_POLICIES_H
#define EDDY_BENCH_POLICIES_H

#include <stddef.h>
#include <stdint.h>

struct trace {
    const char *name;
    uint32_t *keys;      /* [length] */
    size_t length, key_count;
};

/* Each returns the share of requests that were hits with a cache of so many entries. */
double policy_lru(const struct trace *trace, size_t entries);
double policy_sieve(const struct trace *trace, size_t entries);
double policy_w_tinylfu(const struct trace *trace, size_t entries);
double policy_belady(const struct trace *trace, size_t entries);

#endif
