/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/plan.h"

#include <stdlib.h>
#include <string.h>

#define RUN_BYTES_MAX ((size_t)1 << 31)

struct block {
    int32_t value, first, last;  /* nodes between which it lives */
    size_t bytes, offset;
    int32_t shares;              /* value whose block this one uses; -1: its own */
};

static size_t value_bytes(const struct value *value)
{
    size_t bytes = (size_t)shape_elements(&value->shape) * dtype_bytes(value->dtype) + KERNEL_OVERREAD_BYTES;
    return (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

static void find_lives(const struct graph *graph, struct block *blocks)
{
    for (int32_t v = 0; v < graph->value_count; v++)
        blocks[v] = (struct block){.value = v, .first = -1, .last = -1, .shares = -1};
    for (int32_t n = 0, end; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        for (int32_t i = 0; i < node->output_count; i++) {
            struct block *block = &blocks[node->outputs[i]];
            block->first = block->last = n;
            block->bytes = graph->values[node->outputs[i]].banded ? 0 : value_bytes(&graph->values[node->outputs[i]]);
        }
        for (end = n; graph->values[graph->nodes[end].outputs[0]].banded;) /* a chain (bands.h) reads until its last node is done */
            end++;
        for (int32_t i = 0; i < node->input_count; i++) {
            if (node->inputs[i] >= 0 && blocks[node->inputs[i]].last < end)
                blocks[node->inputs[i]].last = end;
        }
    }
    for (int32_t v = 0; v < graph->value_count; v++) {
        const struct value *value = &graph->values[v];
        if (!value->placed || blocks[v].first < 0)
            continue;
        blocks[v].bytes = 0;
        blocks[value->host].first = blocks[v].first < blocks[value->host].first ? blocks[v].first : blocks[value->host].first;
    }
    for (int32_t i = 0; i < graph->input_count; i++) {
        struct block *block = &blocks[graph->inputs[i]];
        *block = (struct block){.value = graph->inputs[i], .last = graph->node_count, .bytes = value_bytes(&graph->values[graph->inputs[i]]), .shares = -1};
    }
    for (int32_t i = 0; i < graph->output_count; i++) {
        const struct value *value = &graph->values[graph->outputs[i]];
        blocks[graph->outputs[i]].last = graph->node_count;
        if (value->bounded)
            blocks[value->bound_count].last = graph->node_count;
    }
}

static void share_in_place(const struct graph *graph, const struct operation *operations, struct block *blocks)
{
    for (int32_t n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        if (!operations[n].in_place || node->input_count < 1 || node->inputs[0] < 0)
            continue;
        struct block *in = &blocks[node->inputs[0]], *out = &blocks[node->outputs[0]];
        int32_t root = node->inputs[0];
        while (blocks[root].shares >= 0)
            root = blocks[root].shares;
        bool computed = graph->values[node->inputs[0]].data == NULL && blocks[root].bytes > 0;
        bool other_operand = false;
        for (int32_t i = 1; i < node->input_count; i++)
            other_operand |= node->inputs[i] == node->inputs[0];
        if (!computed || in->last != n || blocks[root].last > n || out->bytes > blocks[root].bytes || other_operand)
            continue;
        out->shares = root;
        blocks[root].last = out->last;
    }
}

static int larger_first(const void *a, const void *b)
{
    const struct block *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return (x->value > y->value) - (x->value < y->value);
}

/* What was placed so far, lowest offset first. Looking for a gap takes as long as there are blocks: beyond SEARCHED_MAX, which is more than any
 * model that is run on a gateway has, a block gets a place of its own, so that a file cannot make opening it take minutes. */
enum { SEARCHED_MAX = 1 << 14 };

struct placed {
    const struct block **blocks;
    int32_t count;
    size_t end; /* of the highest */
};

/* The lowest offset where the block meets none that lives at the same time. */
static size_t find_offset(const struct placed *placed, const struct block *block)
{
    size_t offset = 0;
    if (placed->count >= SEARCHED_MAX)
        return placed->end;
    for (int32_t i = 0; i < placed->count; i++) {
        const struct block *other = placed->blocks[i];
        if (other->first > block->last || block->first > other->last)
            continue;
        if (other->offset >= offset + block->bytes)
            break;
        if (other->offset + other->bytes > offset)
            offset = other->offset + other->bytes;
    }
    return offset;
}

static void place(struct placed *placed, struct block *block)
{
    block->offset = find_offset(placed, block);
    placed->end = block->offset + block->bytes > placed->end ? block->offset + block->bytes : placed->end;
    if (placed->count == SEARCHED_MAX)
        return;
    int32_t i = placed->count++;
    for (; i > 0 && placed->blocks[i - 1]->offset > block->offset; i--)
        placed->blocks[i] = placed->blocks[i - 1];
    placed->blocks[i] = block;
}

/* change: [nodes + 2], zeroed: what comes into life at each node less what ended before it. Inputs live from before the first node. */
static size_t find_lower_bound(const struct graph *graph, const struct block *blocks, int32_t count, int64_t *change)
{
    int64_t most = 0, alive = 0;
    for (int32_t i = 0; i < count; i++) {
        change[blocks[i].first < 0 ? 0 : blocks[i].first] += (int64_t)blocks[i].bytes;
        change[blocks[i].last + 1] -= (int64_t)blocks[i].bytes;
    }
    for (int32_t n = 0; n < graph->node_count; n++) {
        alive += change[n];
        most = alive > most ? alive : most;
    }
    return (size_t)most;
}

enum error_code plan_make(struct graph *graph, const struct operation *operations, struct plan *plan_out, struct error *error)
{
    size_t values = (size_t)graph->value_count + 1;
    struct plan plan = {.offsets = arena_allocate_array(&graph->arena, values, sizeof *plan.offsets)};
    struct block *blocks = malloc(values * sizeof *blocks), *own = malloc(values * sizeof *own);
    struct placed placed = {.blocks = malloc(values * sizeof *placed.blocks)};
    int64_t *change = calloc((size_t)graph->node_count + 2, sizeof *change);
    if (plan.offsets == NULL || blocks == NULL || own == NULL || placed.blocks == NULL || change == NULL) {
        free(change);
        free(placed.blocks);
        free(own);
        free(blocks);
        return error_set(error, ERROR_LIMIT, "no memory to plan %zu values", values);
    }
    find_lives(graph, blocks);
    share_in_place(graph, operations, blocks);
    int32_t count = 0;
    for (int32_t v = 0; v < graph->value_count; v++) {
        plan.offsets[v] = SIZE_MAX;
        if (blocks[v].bytes > 0 && blocks[v].shares < 0 && graph->values[v].data == NULL)
            own[count++] = blocks[v];
    }
    qsort(own, (size_t)count, sizeof *own, larger_first);
    bool fits = true;
    for (int32_t i = 0; i < count && fits; i++) {
        place(&placed, &own[i]);
        plan.offsets[own[i].value] = own[i].offset;
        plan.bytes = placed.end;
        fits = plan.bytes <= RUN_BYTES_MAX;
    }
    plan.lower_bound = find_lower_bound(graph, own, count, change);
    for (int32_t v = 0; v < graph->value_count; v++) {
        int32_t root = v;
        while (blocks[root].shares >= 0)
            root = blocks[root].shares;
        if (root != v)
            plan.offsets[v] = plan.offsets[root];
    }
    for (int32_t v = 0; v < graph->value_count; v++) {
        const struct value *value = &graph->values[v];
        if (value->placed && plan.offsets[value->host] != SIZE_MAX)
            plan.offsets[v] = plan.offsets[value->host] + (size_t)value->host_channel * dtype_bytes(value->dtype);
    }
    free(change);
    free(placed.blocks);
    free(own);
    free(blocks);
    plan.scratch_offset = plan.bytes;
    size_t scratch = 0;
    for (int32_t n = 0; n < graph->node_count; n++)
        scratch = operations[n].scratch_bytes > scratch ? operations[n].scratch_bytes : scratch;
    if (!fits || scratch > RUN_BYTES_MAX)
        return error_set(error, ERROR_LIMIT, "a run of the model needs more than %zu bytes", RUN_BYTES_MAX);
    plan.bytes += (scratch + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    *plan_out = plan;
    return ERROR_NONE;
}
