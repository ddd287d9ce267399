/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution, weights [KH, KW, O]: shapes, and which code computes it: floats (depthwise_f32.c) or bytes (depthwise_8.c). */
#include "inference/operators/families.h"

enum { TAPS_MAX = 1024 };

enum error_code depthwise_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *input = &graph->values[node->inputs[0]], *weights = &graph->values[node->inputs[1]];
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? &graph->values[node->inputs[2]] : NULL;
    struct value *output = &graph->values[node->outputs[0]];
    if (input->shape.rank != 4 || weights->shape.rank != 3 || input->shape.dims[3] < 1 || weights->shape.dims[2] < 1)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected an input of rank 4 and weights of rank 3");
    const int32_t *w = weights->shape.dims;
    if (w[2] % input->shape.dims[3] != 0 || w[0] != node->attributes.spatial.kernel[0] || w[1] != node->attributes.spatial.kernel[1] ||
        (int64_t)w[0] * w[1] > TAPS_MAX || (bias != NULL && shape_elements(&bias->shape) != w[2]))
        return operator_fail(node, ERROR_MODEL, error, "weights, bias and input channels that do not fit together");
    if (w[2] != input->shape.dims[3])
        return operator_fail(node, ERROR_UNSUPPORTED, error, "a channel multiplier above 1");
    if (output->quantization.count == 0)
        output->dtype = input->dtype;
    return spatial_infer(node, &input->shape, w[2], &output->shape, error);
}

enum error_code depthwise_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *input = operation_input(operation, 0), *weights = operation_input(operation, 1), *output = operation_output(operation, 0);
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2) : NULL;
    if (weights->data == NULL || (bias != NULL && bias->data == NULL))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "weights or a bias that are not constant");
    bool floats = input->dtype == DTYPE_F32 && weights->dtype == DTYPE_F32 && output->dtype == DTYPE_F32;
    if (!floats || (bias != NULL && bias->dtype != DTYPE_F32))
        return depthwise_8_prepare(operation, arena, error);
    return depthwise_f32_prepare(operation, arena, error);
}
