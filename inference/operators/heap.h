/* SPDX-License-Identifier: Apache-2.0
 *
 * heap.h: gives the best of many entries one after the other, in a caller's array. The larger key is better; of equal ones the lower index. */
#ifndef EDDY_INFERENCE_HEAP_H
#define EDDY_INFERENCE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

struct heap_entry {
    int64_t key, index;
};

static inline bool heap_is_better(const struct heap_entry *a, const struct heap_entry *b)
{
    return a->key > b->key || (a->key == b->key && a->index < b->index);
}

static inline void heap_sift(struct heap_entry *heap, int64_t at, int64_t count)
{
    struct heap_entry moved = heap[at];
    for (int64_t child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && heap_is_better(&heap[child + 1], &heap[child]);
        if (!heap_is_better(&heap[child], &moved))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

static inline void heap_make(struct heap_entry *heap, int64_t count)
{
    for (int64_t i = count / 2 - 1; i >= 0; i--)
        heap_sift(heap, i, count);
}

/* The best of count > 0 entries; count - 1 are left. */
static inline struct heap_entry heap_take(struct heap_entry *heap, int64_t count)
{
    struct heap_entry best = heap[0];
    heap[0] = heap[count - 1];
    heap_sift(heap, 0, count - 1);
    return best;
}

#endif
