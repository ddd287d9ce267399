/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/filter.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_WORDS = 8, BLOCK_BYTES = 64, BITS = 4 };

bool filter_init(struct filter *filter, size_t bytes)
{
    *filter = (struct filter){.block_count = bytes / BLOCK_BYTES + 1, .complete = true};
    filter->words = aligned_alloc(BLOCK_BYTES, filter_bytes(filter));
    if (filter->words == NULL)
        return false;
    filter_clear(filter);
    return true;
}

void filter_deinit(struct filter *filter)
{
    free(filter->words);
    *filter = (struct filter){0};
}

size_t filter_bytes(const struct filter *filter)
{
    return filter->block_count * BLOCK_BYTES;
}

void filter_clear(struct filter *filter)
{
    memset(filter->words, 0, filter_bytes(filter));
}

static uint64_t *block_of(const struct filter *filter, uint64_t hash)
{
    return filter->words + (size_t)(((hash >> 32) * filter->block_count) >> 32) * BLOCK_WORDS;
}

void filter_add(struct filter *filter, uint64_t hash)
{
    uint64_t *block = block_of(filter, hash), bits = hash;
    for (int i = 0; i < BITS; i++, bits >>= 8) /* of the lower half: the upper one chose the block, 9 bits each with overlap */
        block[bits >> 6 & 7] |= 1ull << (bits & 63);
}

bool filter_may_hold(const struct filter *filter, uint64_t hash)
{
    const uint64_t *block = block_of(filter, hash);
    bool all = true;
    for (int i = 0; i < BITS; i++, hash >>= 8)
        all &= (block[hash >> 6 & 7] >> (hash & 63) & 1) != 0;
    return all || !filter->complete;
}
