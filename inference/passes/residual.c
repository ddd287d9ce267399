/* SPDX-License-Identifier: Apache-2.0
 *
 * layer(x) + y becomes a fourth input of the float layer, which adds it where its sums still are in registers, before its activation. */
#include "inference/passes/passes.h"

#include <string.h>

static bool takes_residual(const struct graph *graph, const struct graph_uses *uses, int32_t value, const struct value *sum)
{
    const struct node *layer = graph->values[value].data == NULL ? graph_producer(graph, value) : NULL;
    return layer != NULL && (layer->kind == OPERATOR_CONV || layer->kind == OPERATOR_FULLY_CONNECTED) && layer->input_count <= 3 &&
           layer->activation == ACTIVATION_NONE && uses->count[value] == 1 && graph->values[value].dtype == DTYPE_F32 &&
           graph->values[layer->inputs[0]].dtype == DTYPE_F32 && shape_equal(&graph->values[value].shape, &sum->shape);
}

static enum error_code fuse(struct graph *graph, struct node *add, int side, struct error *error)
{
    struct node *layer = graph_producer(graph, add->inputs[side]);
    int32_t *inputs = arena_allocate_array(&graph->arena, 4, sizeof *inputs);
    if (inputs == NULL)
        return error_set(error, ERROR_LIMIT, "the model needs more memory than eddy allows");
    inputs[2] = GRAPH_NO_VALUE;
    memcpy(inputs, layer->inputs, (size_t)layer->input_count * sizeof *inputs);
    inputs[3] = add->inputs[1 - side];
    layer->inputs = inputs;
    layer->input_count = 4;
    layer->outputs[0] = add->outputs[0];
    layer->activation = add->activation;
    layer->activation_low = add->activation_low;
    layer->activation_high = add->activation_high;
    graph->values[layer->outputs[0]].producer = (int32_t)(layer - graph->nodes);
    add->removed = true;
    return ERROR_NONE;
}

enum error_code pass_residual(struct graph *graph, struct error *error)
{
    struct graph_uses uses;
    TRY(graph_count_uses(graph, &uses, error));
    for (int32_t n = 0; n < graph->node_count; n++) {
        struct node *add = &graph->nodes[n];
        if (add->kind != OPERATOR_ADD || add->inputs[0] == add->inputs[1])
            continue;
        const struct value *sum = &graph->values[add->outputs[0]];
        for (int side = 0; side < 2; side++) {
            const struct value *other = &graph->values[add->inputs[1 - side]];
            if (other->dtype == DTYPE_F32 && shape_equal(&other->shape, &sum->shape) && takes_residual(graph, &uses, add->inputs[side], sum)) {
                TRY(fuse(graph, add, side, error));
                break;
            }
        }
    }
    return ERROR_NONE;
}
