/* SPDX-License-Identifier: Apache-2.0
 *
 * Which values are too large to lie in a cache from the layer that makes them to the only one that reads them, where both can be run in
 * bands of rows (bands.h). */
#include "inference/passes/passes.h"

/* Below, a value stays in the second-level cache as a whole. 8-bit layers fill their padded lines anew for each band and win later. */
enum { FLOAT_BYTES_MIN = 384 << 10, BYTES_MIN = 1 << 20 };

static bool follows_rows(const struct graph *graph, const struct node *node)
{
    bool layer = node->kind == OPERATOR_CONV || node->kind == OPERATOR_DEPTHWISE_CONV;
    return (layer || node->kind == OPERATOR_MAX_POOL || node->kind == OPERATOR_AVERAGE_POOL) && graph->values[node->outputs[0]].shape.dims[0] == 1;
}

enum error_code pass_bands(struct graph *graph, struct error *error)
{
    struct graph_uses uses;
    TRY(graph_count_uses(graph, &uses, error));
    for (int32_t n = 0; n + 1 < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n], *next = node + 1;
        if (!follows_rows(graph, node) || !follows_rows(graph, next) || next->inputs[0] != node->outputs[0])
            continue;
        struct value *value = &graph->values[node->outputs[0]];
        int64_t bytes = shape_elements(&value->shape) * (int64_t)dtype_bytes(value->dtype);
        value->banded = uses.count[node->outputs[0]] == 1 && !value->placed && !value->bounded &&
                        bytes >= (value->dtype == DTYPE_F32 ? FLOAT_BYTES_MIN : BYTES_MIN);
    }
    return ERROR_NONE;
}
