/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/passes/passes.h"

#include <string.h>

/* How a value is used; all of it, by value. */
enum use { READ_AS_IT_IS = 1, READ_TRANSPOSED = 2, GIVEN_TRANSPOSED = 4 };

static bool makes_channels_last(const struct node *node)
{
    static const int32_t order[] = {0, 2, 3, 1};
    return node->kind == OPERATOR_TRANSPOSE && memcmp(node->attributes.transpose.order, order, sizeof order) == 0;
}

static void find_uses(const struct graph *graph, const struct graph_renaming *renaming, uint8_t *uses)
{
    for (int32_t n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        const enum use use = makes_channels_last(node) && !renaming->is_output[node->outputs[0]] ? READ_TRANSPOSED : READ_AS_IT_IS;
        for (int32_t i = 0; i < node->input_count; i++) {
            if (node->inputs[i] >= 0)
                uses[node->inputs[i]] |= use;
        }
    }
    for (int32_t i = 0; i < graph->output_count; i++)
        uses[graph->outputs[i]] |= READ_AS_IT_IS;
}

enum error_code inputs_channels_last(struct graph *graph, struct error *error)
{
    struct graph_renaming renaming;
    TRY(graph_renaming_begin(graph, &renaming, error));
    uint8_t *uses = arena_allocate(&graph->arena, (size_t)graph->value_count + 1);
    if (uses == NULL)
        return error_set(error, ERROR_LIMIT, "the model needs more memory than eddy allows");
    find_uses(graph, &renaming, uses);
    for (int32_t i = 0; i < graph->input_count; i++) {
        const struct value *value = &graph->values[graph->inputs[i]];
        if (value->shape.rank == 4 && value->quantization.count <= 1 && value->given == NULL && uses[graph->inputs[i]] == READ_TRANSPOSED)
            uses[graph->inputs[i]] = GIVEN_TRANSPOSED;
    }
    for (int32_t n = 0; n < graph->node_count; n++) {
        struct node *node = &graph->nodes[n];
        if (node->input_count == 0 || node->inputs[0] < 0 || uses[node->inputs[0]] != GIVEN_TRANSPOSED)
            continue;
        graph->values[node->inputs[0]].shape = graph->values[node->outputs[0]].shape;
        graph_rename(&renaming, node->outputs[0], node->inputs[0]);
        node->removed = true;
    }
    graph_renaming_end(graph, &renaming);
    return graph_compact(graph, error);
}
