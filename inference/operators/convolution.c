/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution: shapes, and which code computes it: floats (convolution_f32.c, winograd.c) or bytes (convolution_8.c). */
#include "inference/operators/convolution_f32.h"

#include "inference/kernels/pack_8.h"
#include "inference/operators/families.h"

enum error_code convolution_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *input = &graph->values[node->inputs[0]], *weights = &graph->values[node->inputs[1]];
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? &graph->values[node->inputs[2]] : NULL;
    struct value *output = &graph->values[node->outputs[0]];
    struct spatial *spatial = &node->attributes.spatial;
    if (input->shape.rank != 4 || weights->shape.rank != 4 || spatial->groups < 1)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected an input and weights of rank 4");
    const int32_t *w = weights->shape.dims;
    if (w[0] < 1 || w[3] < 1 || w[0] % spatial->groups != 0 || (int64_t)w[3] * spatial->groups != input->shape.dims[3] ||
        w[1] != spatial->kernel[0] || w[2] != spatial->kernel[1] || (bias != NULL && shape_elements(&bias->shape) != w[0]))
        return operator_fail(node, ERROR_MODEL, error, "weights, groups, bias and input channels that do not fit together");
    if (output->quantization.count == 0)
        output->dtype = input->dtype;
    return spatial_infer(node, &input->shape, w[0], &output->shape, error);
}

bool convolution_packs(const struct graph *graph, const struct node *node)
{
    const struct value *weights = &graph->values[node->inputs[1]];
    int32_t zero;
    return weights->dtype == DTYPE_F32 || (weights->quantization.count > 0 && pack_8_weight_zero(weights, &zero));
}

static enum error_code check_types(const struct operation *operation, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *input = operation_input(operation, 0), *weights = operation_input(operation, 1), *output = operation_output(operation, 0);
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2) : NULL;
    if (weights->data == NULL || (bias != NULL && bias->data == NULL))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "weights or a bias that are not constant");
    bool floats = input->dtype == DTYPE_F32 && weights->dtype == DTYPE_F32 && output->dtype == DTYPE_F32;
    if (floats && (bias == NULL || bias->dtype == DTYPE_F32))
        return ERROR_NONE;
    return pack_8_check(node, input, weights, bias, output, weights->shape.dims[0], error);
}

enum error_code convolution_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    TRY(check_types(operation, error));
    if (operation_input(operation, 0)->dtype == DTYPE_F32)
        return convolution_f32_prepare(operation, arena, error);
    return convolution_8_prepare(operation, arena, error);
}
