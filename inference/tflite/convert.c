/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/tflite/convert.h"

#include "inference/operators/operators.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum error_code convert_fail(struct converter *converter, enum error_code code, const char *format, ...)
{
    char what[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return error_set(converter->error, code, "operator %.60s (number %d): %s", converter->op, converter->index, what);
}

enum error_code convert_input(struct converter *converter, uint32_t index, bool required, int32_t *value_out)
{
    int32_t tensor = index < converter->inputs.count ? flatbuffer_element_i32(&converter->inputs, index) : -1;
    *value_out = GRAPH_NO_VALUE;
    if (tensor == -1)
        return required ? convert_fail(converter, ERROR_MODEL, "input %u is missing", index) : ERROR_NONE;
    if (tensor < 0 || (uint32_t)tensor >= converter->tensors.count)
        return convert_fail(converter, ERROR_MODEL, "input %u is tensor %d, which is not there", index, tensor);
    *value_out = converter->values[tensor];
    if (*value_out == GRAPH_NO_VALUE && required)
        return convert_fail(converter, ERROR_MODEL, "input %u is made by no operator before it", index);
    return ERROR_NONE;
}

const struct value *convert_value(const struct converter *converter, int32_t value)
{
    return &converter->graph->values[value];
}

enum error_code convert_constant(struct converter *converter, const struct value *like, const struct shape *shape, const void *data,
                                 int32_t *value_out)
{
    struct quantization quantization = like->quantization;
    *value_out = graph_add_constant(converter->graph, like->name, like->dtype, shape, data);
    if (*value_out < 0)
        return convert_fail(converter, ERROR_LIMIT, "the graph is larger than eddy takes");
    converter->graph->values[*value_out].quantization = quantization;
    return ERROR_NONE;
}

/* Which scale an element has: axis of the quantisation in a dense tensor. */
static int32_t scale_index(const struct value *value, int64_t element)
{
    int64_t inner = 1;
    for (int i = value->shape.rank - 1; i > value->quantization.axis; i--)
        inner *= value->shape.dims[i];
    return value->quantization.count == 1 ? 0 : (int32_t)(element / inner % value->quantization.count);
}

enum error_code convert_widen(struct converter *converter, int32_t value, int32_t *value_out)
{
    struct value stored = *convert_value(converter, value);
    *value_out = value;
    if (stored.data == NULL || stored.dtype == DTYPE_F32 || stored.quantization.count == 0)
        return ERROR_NONE;
    int64_t count = shape_elements(&stored.shape);
    float *wide = arena_allocate_array(&converter->graph->arena, (size_t)count, sizeof *wide);
    if (wide == NULL || (stored.dtype != DTYPE_I8 && stored.dtype != DTYPE_U8))
        return convert_fail(converter, wide == NULL ? ERROR_LIMIT : ERROR_UNSUPPORTED, "weights of type %s beside a float input",
                            dtype_name(stored.dtype));
    for (int64_t i = 0; i < count; i++) {
        int32_t at = scale_index(&stored, i);
        int32_t number = stored.dtype == DTYPE_U8 ? ((const uint8_t *)stored.data)[i] : ((const int8_t *)stored.data)[i];
        wide[i] = stored.quantization.scale[at] * (float)(number - stored.quantization.zero_point[at]);
    }
    stored.dtype = DTYPE_F32;
    stored.quantization = (struct quantization){0};
    return convert_constant(converter, &stored, &stored.shape, wide, value_out);
}

enum error_code convert_integers(struct converter *converter, int32_t value, struct convert_integers *integers_out)
{
    const struct value *constant = convert_value(converter, value);
    int64_t count = shape_elements(&constant->shape);
    if (constant->data == NULL || (constant->dtype != DTYPE_I32 && constant->dtype != DTYPE_I64))
        return convert_fail(converter, ERROR_UNSUPPORTED, "an operand that must be known when the model is loaded is not constant");
    if (count > TENSOR_RANK_MAX)
        return convert_fail(converter, ERROR_UNSUPPORTED, "an operand of %lld numbers, expected at most %d", (long long)count, TENSOR_RANK_MAX);
    integers_out->count = (int)count;
    for (int i = 0; i < integers_out->count; i++) {
        int64_t number = constant->dtype == DTYPE_I64 ? ((const int64_t *)constant->data)[i] : ((const int32_t *)constant->data)[i];
        if (number < INT32_MIN || number > INT32_MAX)
            return convert_fail(converter, ERROR_MODEL, "an operand holds %lld", (long long)number);
        integers_out->values[i] = (int32_t)number;
    }
    return ERROR_NONE;
}

enum error_code convert_begin(struct converter *converter, enum operator_kind kind, const int32_t *inputs, int input_count, int output,
                              struct node **node_out)
{
    struct value like;
    if (output >= 0) {
        if ((uint32_t)output >= converter->outputs.count)
            return convert_fail(converter, ERROR_MODEL, "output %d is missing", output);
        TRY(tensor_describe(converter, flatbuffer_element_i32(&converter->outputs, (uint32_t)output), &like));
    } else {
        like = *convert_value(converter, inputs[0]);
    }
    struct node *node = graph_add_node(converter->graph, kind, like.name, input_count, 1);
    if (node == NULL)
        return convert_fail(converter, ERROR_LIMIT, "the graph is larger than eddy takes");
    memcpy(node->inputs, inputs, (size_t)input_count * sizeof *inputs);
    struct value *result = &converter->graph->values[node->outputs[0]];
    result->dtype = like.dtype == DTYPE_F16 ? DTYPE_F32 : like.dtype;
    result->quantization = like.quantization;
    *node_out = node;
    return ERROR_NONE;
}

static bool all_constant(const struct graph *graph, const struct node *node)
{
    for (int32_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] >= 0 && graph->values[node->inputs[i]].data == NULL)
            return false;
    }
    return true;
}

enum error_code convert_finish(struct converter *converter, int32_t *value_out)
{
    struct graph *graph = converter->graph;
    struct node *node = &graph->nodes[graph->node_count - 1];
    TRY(operator_infer(graph, node, converter->error));
    if (all_constant(graph, node))
        TRY(operator_fold(graph, node, converter->error));
    *value_out = graph->nodes[graph->node_count - 1].outputs[0];
    return ERROR_NONE;
}

enum error_code convert_bind(struct converter *converter, uint32_t output, int32_t value)
{
    int32_t tensor = output < converter->outputs.count ? flatbuffer_element_i32(&converter->outputs, output) : -1;
    if (tensor < 0 || (uint32_t)tensor >= converter->tensors.count)
        return convert_fail(converter, ERROR_MODEL, "output %u is not there", output);
    if (converter->values[tensor] != GRAPH_NO_VALUE)
        return convert_fail(converter, ERROR_MODEL, "tensor %d is made twice", tensor);
    converter->values[tensor] = value;
    return ERROR_NONE;
}

enum error_code convert_finish_and_bind(struct converter *converter)
{
    int32_t value;
    TRY(convert_finish(converter, &value));
    return convert_bind(converter, 0, value);
}

enum error_code convert_reshape(struct converter *converter, int32_t value, const struct shape *shape, int output, int32_t *value_out)
{
    struct node *node;
    TRY(convert_begin(converter, OPERATOR_RESHAPE, &value, 1, output, &node));
    converter->graph->values[node->outputs[0]].shape = *shape;
    converter->graph->values[node->outputs[0]].shape_known = true;
    return convert_finish(converter, value_out);
}

enum error_code convert_slice(struct converter *converter, int32_t value, const int32_t *begin, const int32_t *step, const struct shape *shape,
                              int32_t *value_out)
{
    struct node *node;
    TRY(convert_begin(converter, OPERATOR_SLICE, &value, 1, -1, &node));
    memcpy(node->attributes.slice.begin, begin, TENSOR_RANK_MAX * sizeof *begin);
    memcpy(node->attributes.slice.step, step, TENSOR_RANK_MAX * sizeof *step);
    converter->graph->values[node->outputs[0]].shape = *shape;
    converter->graph->values[node->outputs[0]].shape_known = true;
    return convert_finish(converter, value_out);
}

enum error_code convert_activation(struct converter *converter, int64_t code, struct node *node)
{
    static const enum activation activations[] = {ACTIVATION_NONE, ACTIVATION_RELU, ACTIVATION_RELU_N1_1, ACTIVATION_RELU6};
    if (code < 0 || code > 3)
        return convert_fail(converter, ERROR_UNSUPPORTED, "fused activation %lld", (long long)code);
    node->activation = activations[code];
    return ERROR_NONE;
}

enum error_code convert_axis(struct converter *converter, int64_t axis, int rank, int32_t *axis_out)
{
    if (axis < -rank || axis >= rank)
        return convert_fail(converter, ERROR_MODEL, "axis %lld of a tensor of rank %d", (long long)axis, rank);
    *axis_out = (int32_t)(axis < 0 ? axis + rank : axis);
    return ERROR_NONE;
}
