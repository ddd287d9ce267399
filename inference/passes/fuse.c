/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation and activations become part of the layer before them, where nobody else reads that layer's result. */
#include "inference/constants.h"
#include "inference/operators/operators.h"
#include "inference/passes/passes.h"

#include <float.h>
#include <math.h>
#include <string.h>

static bool is_layer(enum operator_kind kind)
{
    return kind == OPERATOR_CONV || kind == OPERATOR_DEPTHWISE_CONV || kind == OPERATOR_FULLY_CONNECTED;
}

/* The layer whose only reader is `value`'s reader. */
static struct node *layer_before(struct graph *graph, const struct graph_uses *uses, int32_t value)
{
    struct node *producer = graph->values[value].data == NULL ? graph_producer(graph, value) : NULL;
    return producer != NULL && uses->count[value] == 1 && producer->activation == ACTIVATION_NONE ? producer : NULL;
}

static void skip_node(struct graph *graph, struct graph_uses *uses, struct graph_renaming *renaming, struct node *node)
{
    int32_t from = node->outputs[0], to = node->inputs[0];
    graph_rename(renaming, from, to);
    uses->count[to] = uses->count[from];
    node->removed = true;
    if (renaming->is_output[to])
        graph->values[to].name = graph->values[from].name;
}

static const float *constant_f32(const struct graph *graph, int32_t value)
{
    return value >= 0 && graph->values[value].dtype == DTYPE_F32 ? graph->values[value].data : NULL;
}

static enum error_code scale_layer(struct graph *graph, struct constants *constants, struct node *layer, const struct node *norm, struct error *error)
{
    TRY(operator_arrange(graph, layer->inputs[1], error));
    const struct value weights = graph->values[layer->inputs[1]];
    int64_t channels = graph->values[layer->outputs[0]].shape.dims[graph->values[layer->outputs[0]].shape.rank - 1];
    int64_t count = shape_elements(&weights.shape), inner = layer->kind == OPERATOR_DEPTHWISE_CONV ? 1 : count / channels;
    float *scaled = arena_allocate_array(&graph->arena, (size_t)count, sizeof *scaled);
    float *bias = arena_allocate_array(&graph->arena, (size_t)channels, sizeof *bias);
    float *factors = arena_allocate_array(&graph->arena, (size_t)channels, sizeof *factors);
    if (scaled == NULL || bias == NULL || factors == NULL)
        return error_set(error, ERROR_LIMIT, "the model needs more memory than eddy allows");
    const float *old = weights.data, *old_bias = constant_f32(graph, layer->inputs[2]);
    const float *scale = constant_f32(graph, norm->inputs[1]), *shift = constant_f32(graph, norm->inputs[2]);
    const float *mean = constant_f32(graph, norm->inputs[3]), *variance = constant_f32(graph, norm->inputs[4]);
    for (int64_t c = 0; c < channels; c++) {
        factors[c] = scale[c] / sqrtf(variance[c] + norm->attributes.batch_norm.epsilon);
        bias[c] = shift[c] - mean[c] * factors[c] + (old_bias != NULL ? old_bias[c] * factors[c] : 0);
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t c = inner == 1 ? i % channels : i / inner;
        scaled[i] = old[i] * factors[c];
    }
    int32_t *inputs = layer->inputs, old_weights = inputs[1];
    int32_t scaled_value = graph_add_constant(graph, weights.name, DTYPE_F32, &weights.shape, scaled);
    int32_t bias_value = graph_add_constant(graph, norm->name, DTYPE_F32, &(struct shape){.rank = 1, .dims = {(int32_t)channels}}, bias);
    if (scaled_value < 0 || bias_value < 0)
        return error_set(error, ERROR_LIMIT, "the rewritten graph is larger than eddy takes");
    inputs[1] = scaled_value;
    inputs[2] = bias_value;
    constants_release(graph, constants, old_weights);
    return ERROR_NONE;
}

enum error_code pass_batch_norm(struct graph *graph, struct error *error)
{
    struct graph_uses uses;
    struct constants constants;
    struct graph_renaming renaming;
    TRY(graph_count_uses(graph, &uses, error));
    TRY(constants_count(graph, &uses, &constants, error));
    TRY(graph_renaming_begin(graph, &renaming, error));
    for (int32_t n = 0; n < graph->node_count; n++) {
        struct node *node = &graph->nodes[n];
        graph_renew(graph, &renaming, node);
        if (node->kind != OPERATOR_BATCH_NORM)
            continue;
        struct node *layer = layer_before(graph, &uses, node->inputs[0]);
        if (layer == NULL || !is_layer(layer->kind) || layer->input_count < 3 || constant_f32(graph, layer->inputs[1]) == NULL ||
            (layer->inputs[2] >= 0 && constant_f32(graph, layer->inputs[2]) == NULL))
            continue;
        TRY(scale_layer(graph, &constants, layer, node, error));
        skip_node(graph, &uses, &renaming, node);
    }
    graph_renaming_end(graph, &renaming);
    return ERROR_NONE;
}

static bool take_activation(struct node *layer, const struct node *node, bool is_float)
{
    float low = node->attributes.scalar.alpha, high = node->attributes.scalar.beta;
    if (node->kind == OPERATOR_RELU) {
        layer->activation = ACTIVATION_RELU;
    } else if (node->kind == OPERATOR_CLIP && low == 0 && high == 6) {
        layer->activation = ACTIVATION_RELU6;
    } else if (node->kind == OPERATOR_CLIP && is_float) {
        layer->activation = ACTIVATION_CLIP;
        layer->activation_low = low;
        layer->activation_high = high;
    } else if (node->kind == OPERATOR_LEAKY_RELU && is_float && is_layer(layer->kind)) {
        layer->activation = ACTIVATION_LEAKY_RELU;
        layer->activation_low = low;
    } else {
        return false;
    }
    return true;
}

enum error_code pass_activation(struct graph *graph, struct error *error)
{
    struct graph_uses uses;
    struct graph_renaming renaming;
    TRY(graph_count_uses(graph, &uses, error));
    TRY(graph_renaming_begin(graph, &renaming, error));
    for (int32_t n = 0; n < graph->node_count; n++) {
        struct node *node = &graph->nodes[n];
        graph_renew(graph, &renaming, node);
        if (node->kind != OPERATOR_RELU && node->kind != OPERATOR_CLIP && node->kind != OPERATOR_LEAKY_RELU)
            continue;
        struct node *layer = layer_before(graph, &uses, node->inputs[0]);
        bool is_float = graph->values[node->inputs[0]].dtype == DTYPE_F32 && graph->values[node->outputs[0]].dtype == DTYPE_F32;
        if (layer != NULL && is_float && (is_layer(layer->kind) || layer->kind == OPERATOR_ADD) && take_activation(layer, node, is_float))
            skip_node(graph, &uses, &renaming, node);
    }
    graph_renaming_end(graph, &renaming);
    return ERROR_NONE;
}
