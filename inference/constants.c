/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/constants.h"

#include <stdlib.h>

enum { DROP_BYTES_MIN = 64 * 1024 };

static uintptr_t end_of(const struct value *value)
{
    return (uintptr_t)value->data + (size_t)shape_elements(&value->shape) * dtype_bytes(value->dtype);
}

static int by_address(const void *a, const void *b)
{
    const struct constants_block *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

static void join_overlapping(struct constants *constants, int32_t count)
{
    struct constants_block *blocks = constants->blocks, *last = NULL;
    for (int32_t i = 0; i < count; i++) {
        struct constants_block next = blocks[i];
        if (last == NULL || next.first >= last->last) {
            last = &blocks[constants->block_count++];
            *last = next;
        }
        last->last = next.last > last->last ? next.last : last->last;
        last->values_read += constants->uses->count[next.value] > 0;
        constants->block_of[next.value] = constants->block_count - 1;
    }
}

enum error_code constants_count(struct graph *graph, struct graph_uses *uses, struct constants *constants_out, struct error *error)
{
    struct constants constants = {.uses = uses};
    int32_t count = 0;
    constants.blocks = arena_allocate_array(&graph->arena, (size_t)uses->value_count + 1, sizeof *constants.blocks);
    constants.block_of = arena_allocate_array(&graph->arena, (size_t)uses->value_count + 1, sizeof *constants.block_of);
    if (constants.blocks == NULL || constants.block_of == NULL)
        return error_set(error, ERROR_LIMIT, "the model needs more memory than eddy allows");
    for (int32_t v = 0; v < uses->value_count; v++) {
        const struct value *value = &graph->values[v];
        constants.block_of[v] = -1;
        if (graph->mapped != NULL && value->data != NULL && end_of(value) > (uintptr_t)value->data)
            constants.blocks[count++] = (struct constants_block){(uintptr_t)value->data, end_of(value), v, 0};
    }
    qsort(constants.blocks, (size_t)count, sizeof *constants.blocks, by_address);
    join_overlapping(&constants, count);
    *constants_out = constants;
    return ERROR_NONE;
}

static void drop(struct graph *graph, uintptr_t first, uintptr_t last)
{
    if (graph->mapped != NULL && last - first >= DROP_BYTES_MIN && !graph_forget_mapped(graph, (const void *)first, last - first))
        arena_discard(&graph->arena, (void *)first, last - first);
}

void constants_drop_unread(struct graph *graph, const struct constants *constants)
{
    for (int32_t i = 0; i < constants->block_count; i++) {
        if (constants->blocks[i].values_read == 0)
            drop(graph, constants->blocks[i].first, constants->blocks[i].last);
    }
}

void constants_release(struct graph *graph, struct constants *constants, int32_t index)
{
    const struct value *value = &graph->values[index];
    struct graph_uses *uses = constants->uses;
    if (index < uses->value_count && --uses->count[index] > 0)
        return;
    struct constants_block *block = index < uses->value_count && constants->block_of[index] >= 0 ? &constants->blocks[constants->block_of[index]] : NULL;
    if (block == NULL || (uintptr_t)value->data < block->first || (uintptr_t)value->data >= block->last)
        drop(graph, (uintptr_t)value->data, end_of(value)); /* made or rearranged since they were counted, in memory of its own */
    if (block != NULL && --block->values_read == 0)
        drop(graph, block->first, block->last);
}
