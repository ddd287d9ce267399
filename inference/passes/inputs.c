/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/passes/passes.h"

#include <string.h>

static bool makes_channels_last(const struct node *node)
{
    static const int32_t order[] = {0, 2, 3, 1};
    return node->kind == OPERATOR_TRANSPOSE && memcmp(node->attributes.transpose.order, order, sizeof order) == 0;
}

/* All readers of the input are such transposes, and what they make is not asked for as it is. */
static bool only_transposed(const struct graph *graph, int32_t input)
{
    bool read = false;
    for (int32_t n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        for (int32_t i = 0; i < node->input_count; i++) {
            if (node->inputs[i] != input)
                continue;
            if (!makes_channels_last(node) || graph_is_output(graph, node->outputs[0]))
                return false;
            read = true;
        }
    }
    return read && !graph_is_output(graph, input);
}

enum error_code inputs_channels_last(struct graph *graph, struct error *error)
{
    for (int32_t i = 0; i < graph->input_count; i++) {
        int32_t input = graph->inputs[i];
        struct value *value = &graph->values[input];
        if (value->shape.rank != 4 || value->quantization.count > 1 || value->given != NULL || !only_transposed(graph, input))
            continue;
        for (int32_t n = 0; n < graph->node_count; n++) {
            struct node *node = &graph->nodes[n];
            if (node->kind != OPERATOR_TRANSPOSE || node->inputs[0] != input)
                continue;
            value->shape = graph->values[node->outputs[0]].shape;
            graph_replace_uses(graph, node->outputs[0], input);
            node->removed = true;
        }
    }
    return graph_compact(graph, error);
}
