/* SPDX-License-Identifier: Apache-2.0
 *
 * QDQ files say integers in floats: dequantise -> operator (-> activation) -> quantise. Here such an operator gets the integers themselves.
 * Weights behind a dequantise are the stored constants; a float bias is rounded to the scale input * weight, which the sums have. */
#include "inference/operators/operators.h"
#include "inference/passes/passes.h"

#include <math.h>

static struct node *producer_of(struct graph *graph, int32_t value)
{
    return value < 0 || graph->values[value].data != NULL ? NULL : graph_producer(graph, value);
}

static bool is_dequantized(struct graph *graph, int32_t value)
{
    const struct node *producer = producer_of(graph, value);
    return producer != NULL && producer->kind == OPERATOR_DEQUANTIZE;
}

static bool is_bytes(const struct value *value)
{
    return (value->dtype == DTYPE_I8 || value->dtype == DTYPE_U8) && value->quantization.count >= 1;
}

static bool same_scale(const struct value *a, const struct value *b)
{
    return a->dtype == b->dtype && a->quantization.count == 1 && b->quantization.count == 1 && a->quantization.scale[0] == b->quantization.scale[0] &&
           a->quantization.zero_point[0] == b->quantization.zero_point[0];
}

/* What the integer form of the operator asks of its operands. */
static bool may_be_integer(struct graph *graph, const struct node *node, const struct value *result)
{
    bool layer = node->kind == OPERATOR_CONV || node->kind == OPERATOR_DEPTHWISE_CONV || node->kind == OPERATOR_FULLY_CONNECTED;
    for (int32_t i = 0; i < node->input_count; i++) {
        if (layer && i == 2)
            continue;
        if (!is_dequantized(graph, node->inputs[i]) || !is_bytes(&graph->values[producer_of(graph, node->inputs[i])->inputs[0]]))
            return false;
        const struct value *stored = &graph->values[producer_of(graph, node->inputs[i])->inputs[0]];
        if (!(layer && i == 1) && stored->quantization.count != 1)
            return false;
    }
    const struct value *first = node->input_count > 0 ? &graph->values[producer_of(graph, node->inputs[0])->inputs[0]] : NULL;
    switch (node->kind) {
    case OPERATOR_CONV: case OPERATOR_DEPTHWISE_CONV: case OPERATOR_FULLY_CONNECTED:
        return graph->values[producer_of(graph, node->inputs[1])->inputs[0]].data != NULL;
    case OPERATOR_ADD: case OPERATOR_MUL: case OPERATOR_SUB:
        return first->dtype == result->dtype && graph->values[producer_of(graph, node->inputs[1])->inputs[0]].dtype == first->dtype;
    case OPERATOR_CONCAT:
        return first->dtype == result->dtype;
    case OPERATOR_AVERAGE_POOL: case OPERATOR_GLOBAL_AVERAGE_POOL: case OPERATOR_MAX_POOL:
        return first->dtype == result->dtype;
    case OPERATOR_RESHAPE: case OPERATOR_TRANSPOSE: case OPERATOR_SLICE:
        return same_scale(first, result);
    case OPERATOR_RELU: case OPERATOR_CLIP: case OPERATOR_LEAKY_RELU: case OPERATOR_SIGMOID: case OPERATOR_TANH: case OPERATOR_HARD_SIGMOID:
    case OPERATOR_HARD_SWISH:
        return true;
    default:
        return false;
    }
}

/* The bias as i32 of scale input * weight. */
static enum error_code integer_bias(struct graph *graph, const struct value *input, const struct value *weights, int32_t *bias, bool *good,
                                    struct error *error)
{
    *good = true;
    if (*bias < 0)
        return ERROR_NONE;
    const struct node *dequantize = producer_of(graph, *bias);
    const struct value *source = &graph->values[dequantize != NULL ? dequantize->inputs[0] : *bias];
    int64_t count = shape_elements(&source->shape);
    bool stored = dequantize != NULL && dequantize->kind == OPERATOR_DEQUANTIZE && source->dtype == DTYPE_I32 && source->data != NULL &&
                  (source->quantization.count == 1 || source->quantization.count == count);
    bool real = dequantize == NULL && source->dtype == DTYPE_F32 && source->data != NULL;
    if (!stored && !real) {
        *good = false;
        return ERROR_NONE;
    }
    int32_t *rounded = arena_allocate_array(&graph->arena, (size_t)count, sizeof *rounded);
    if (rounded == NULL)
        return error_set(error, ERROR_LIMIT, "the model needs more memory than eddy allows");
    for (int64_t i = 0; i < count; i++) {
        double scale = (double)input->quantization.scale[0] * (double)weights->quantization.scale[weights->quantization.count == 1 ? 0 : i];
        double value;
        if (stored) {
            const struct quantization *q = &source->quantization;
            int64_t k = q->count == 1 ? 0 : i;
            value = (double)q->scale[k] * ((double)((const int32_t *)source->data)[i] - q->zero_point[k]);
        } else {
            value = (double)((const float *)source->data)[i];
        }
        double sum = round(value / scale);
        rounded[i] = isnan(sum) ? 0 : (int32_t)(sum < -2147483647.0 ? -2147483647.0 : sum > 2147483647.0 ? 2147483647.0 : sum);
    }
    *bias = graph_add_constant(graph, source->name, DTYPE_I32, &(struct shape){.rank = 1, .dims = {(int32_t)count}}, rounded);
    return *bias >= 0 ? ERROR_NONE : error_set(error, ERROR_LIMIT, "the rewritten graph is larger than eddy takes");
}

static enum error_code make_integer(struct graph *graph, struct node *node, struct node *quantize, enum activation activation, struct error *error)
{
    bool layer = node->kind == OPERATOR_CONV || node->kind == OPERATOR_DEPTHWISE_CONV || node->kind == OPERATOR_FULLY_CONNECTED;
    if (layer && node->input_count > 2) {
        const struct value input = graph->values[producer_of(graph, node->inputs[0])->inputs[0]];
        const struct value weights = graph->values[producer_of(graph, node->inputs[1])->inputs[0]];
        int64_t channels = graph->values[node->outputs[0]].shape.dims[graph->values[node->outputs[0]].shape.rank - 1];
        int32_t bias = node->inputs[2];
        bool good = weights.quantization.count == 1 || weights.quantization.count == channels;
        if (good)
            TRY(integer_bias(graph, &input, &weights, &bias, &good, error));
        if (!good)
            return ERROR_NONE;
        node->inputs[2] = bias;
    }
    for (int32_t i = 0; i < node->input_count; i++) {
        if (!(layer && i == 2))
            node->inputs[i] = producer_of(graph, node->inputs[i])->inputs[0];
    }
    node->activation = activation;
    node->outputs[0] = quantize->outputs[0];
    graph->values[node->outputs[0]].producer = (int32_t)(node - graph->nodes);
    quantize->removed = true;
    return ERROR_NONE;
}

static bool as_activation(const struct node *node, enum activation *activation)
{
    if (node->kind == OPERATOR_RELU)
        *activation = ACTIVATION_RELU;
    else if (node->kind == OPERATOR_CLIP && node->attributes.scalar.alpha == 0 && node->attributes.scalar.beta == 6)
        *activation = ACTIVATION_RELU6;
    else
        return false;
    return true;
}

static bool has_activation(enum operator_kind kind)
{
    return kind == OPERATOR_CONV || kind == OPERATOR_DEPTHWISE_CONV || kind == OPERATOR_FULLY_CONNECTED || kind == OPERATOR_ADD;
}

/* quantise(reshape(x)) as reshape(quantise(x)), so that the quantise meets the operator that made x. */
static void swap_with_reshape(struct graph *graph, const struct graph_uses *uses, struct node *quantize)
{
    int32_t between = quantize->inputs[0], result = quantize->outputs[0];
    struct node *reshape = producer_of(graph, between);
    if (reshape == NULL || reshape->kind != OPERATOR_RESHAPE || uses->count[between] != 1 || graph->values[result].quantization.count != 1 ||
        graph->values[reshape->inputs[0]].data != NULL || uses->count[reshape->inputs[0]] != 1)
        return;
    struct value *moved = &graph->values[between];
    moved->dtype = graph->values[result].dtype;
    moved->quantization = graph->values[result].quantization;
    moved->shape = graph->values[reshape->inputs[0]].shape;
    quantize->inputs[0] = reshape->inputs[0];
    quantize->outputs[0] = between;
    reshape->inputs[0] = between;
    reshape->outputs[0] = result;
    moved->producer = (int32_t)(quantize - graph->nodes);
    graph->values[result].producer = (int32_t)(reshape - graph->nodes);
}

/* reshape(dequantise(x)) as dequantise(reshape(x)), so that the operator behind it meets the dequantise. */
static void swap_behind_dequantize(struct graph *graph, const struct graph_uses *uses, struct node *reshape)
{
    int32_t between = reshape->inputs[0], result = reshape->outputs[0];
    struct node *dequantize = producer_of(graph, between);
    if (dequantize == NULL || dequantize->kind != OPERATOR_DEQUANTIZE || uses->count[between] != 1)
        return;
    const struct value *stored = &graph->values[dequantize->inputs[0]];
    if (stored->quantization.count != 1 || stored->data != NULL)
        return;
    struct value *moved = &graph->values[between];
    moved->dtype = stored->dtype;
    moved->quantization = stored->quantization;
    moved->shape = graph->values[result].shape;
    reshape->inputs[0] = dequantize->inputs[0];
    reshape->outputs[0] = between;
    dequantize->inputs[0] = between;
    dequantize->outputs[0] = result;
    moved->producer = (int32_t)(reshape - graph->nodes);
    graph->values[result].producer = (int32_t)(dequantize - graph->nodes);
}

enum error_code pass_quantize(struct graph *graph, struct error *error)
{
    struct graph_uses uses;
    TRY(graph_count_uses(graph, &uses, error));
    for (int32_t n = 0; n < graph->node_count; n++) {
        if (graph->nodes[n].kind == OPERATOR_RESHAPE && !graph->nodes[n].removed)
            swap_behind_dequantize(graph, &uses, &graph->nodes[n]);
    }
    for (int32_t n = 0; n < graph->node_count; n++) {
        struct node *quantize = &graph->nodes[n];
        if (quantize->kind != OPERATOR_QUANTIZE || quantize->removed)
            continue;
        swap_with_reshape(graph, &uses, quantize);
        const struct value *result = &graph->values[quantize->outputs[0]];
        int32_t value = quantize->inputs[0];
        struct node *node = producer_of(graph, value);
        enum activation activation = ACTIVATION_NONE;
        if (node == NULL || uses.count[value] != 1)
            continue;
        struct node *before = as_activation(node, &activation) ? producer_of(graph, node->inputs[0]) : NULL;
        if (before != NULL && has_activation(before->kind) && before->activation == ACTIVATION_NONE && uses.count[node->inputs[0]] == 1 &&
            may_be_integer(graph, before, result))
            TRY(make_integer(graph, before, quantize, activation, error));
        else if (node->activation == ACTIVATION_NONE && node->output_count == 1 && may_be_integer(graph, node, result))
            TRY(make_integer(graph, node, quantize, ACTIVATION_NONE, error));
    }
    return ERROR_NONE;
}
