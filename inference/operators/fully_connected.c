/* SPDX-License-Identifier: Apache-2.0
 *
 * Fully connected layer, rows of the flattened input times weights [O, I]: shapes, and which code computes it: floats (convolution_f32.c, as a
 * convolution of one row of pixels) or bytes (fully_connected_8.c). */
#include "inference/operators/convolution_f32.h"
#include "inference/operators/families.h"

enum error_code fully_connected_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *input = &graph->values[node->inputs[0]], *weights = &graph->values[node->inputs[1]];
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? &graph->values[node->inputs[2]] : NULL;
    struct value *output = &graph->values[node->outputs[0]];
    int64_t elements = shape_elements(&input->shape);
    if (weights->shape.rank != 2 || weights->shape.dims[0] < 1 || weights->shape.dims[1] < 1 || elements % weights->shape.dims[1] != 0 ||
        (bias != NULL && shape_elements(&bias->shape) != weights->shape.dims[0]))
        return operator_fail(node, ERROR_MODEL, error, "weights, bias and input that do not fit together");
    if (output->quantization.count == 0)
        output->dtype = input->dtype;
    output->shape = (struct shape){.rank = 2, .dims = {(int32_t)(elements / weights->shape.dims[1]), weights->shape.dims[0]}};
    return ERROR_NONE;
}

enum error_code fully_connected_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *input = operation_input(operation, 0), *weights = operation_input(operation, 1), *output = operation_output(operation, 0);
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2) : NULL;
    if (weights->data == NULL || (bias != NULL && bias->data == NULL))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "weights or a bias that are not constant");
    bool floats = input->dtype == DTYPE_F32 && weights->dtype == DTYPE_F32 && output->dtype == DTYPE_F32;
    if (!floats || (bias != NULL && bias->dtype != DTYPE_F32))
        return fully_connected_8_prepare(operation, arena, error);
    return fully_connected_f32_prepare(operation, arena, error);
}
