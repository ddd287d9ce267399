/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers and elementwise operators. Numbers of options' fields: schema.fbs, in the order of each table there. */
#include "inference/tflite/convert.h"

#include <string.h>

static enum error_code read_spatial(struct converter *converter, const int fields[2], struct spatial *spatial)
{
    const struct flatbuffer_table *options = &converter->options;
    *spatial = (struct spatial){.groups = 1, .dilation = {1, 1}};
    spatial->same = flatbuffer_integer(options, 0, 1, 0) == 0; /* Padding: SAME, VALID */
    int64_t stride_width = flatbuffer_integer(options, fields[0], 4, 0), stride_height = flatbuffer_integer(options, fields[1], 4, 0);
    if (stride_width < 1 || stride_height < 1 || stride_width > 1 << 20 || stride_height > 1 << 20)
        return convert_fail(converter, ERROR_MODEL, "strides of %lld x %lld", (long long)stride_height, (long long)stride_width);
    spatial->stride[0] = (int32_t)stride_height;
    spatial->stride[1] = (int32_t)stride_width;
    return ERROR_NONE;
}

static enum error_code read_dilation(struct converter *converter, int width_field, struct spatial *spatial)
{
    for (int i = 0; i < 2; i++) {
        int64_t dilation = flatbuffer_integer(&converter->options, width_field + 1 - i, 4, 1);
        if (dilation < 1 || dilation > 1 << 20)
            return convert_fail(converter, ERROR_MODEL, "a dilation of %lld", (long long)dilation);
        spatial->dilation[i] = (int32_t)dilation;
    }
    return ERROR_NONE;
}

/* Input, weights and bias; hybrid models keep weights in 8 bits beside float inputs. */
static enum error_code read_layer(struct converter *converter, int32_t inputs[3])
{
    TRY(convert_input(converter, 0, true, &inputs[0]));
    TRY(convert_input(converter, 1, true, &inputs[1]));
    TRY(convert_input(converter, 2, false, &inputs[2]));
    if (convert_value(converter, inputs[1])->data == NULL)
        return convert_fail(converter, ERROR_UNSUPPORTED, "weights that are not constant");
    return convert_value(converter, inputs[0])->dtype == DTYPE_F32 ? convert_widen(converter, inputs[1], &inputs[1]) : ERROR_NONE;
}

enum error_code convert_convolution(struct converter *converter, enum operator_kind kind)
{
    int32_t inputs[3];
    struct spatial spatial;
    struct node *node;
    TRY(read_layer(converter, inputs));
    TRY(read_spatial(converter, (const int[]){1, 2}, &spatial));
    TRY(read_dilation(converter, 4, &spatial));
    const struct shape *weights = &convert_value(converter, inputs[1])->shape, *input = &convert_value(converter, inputs[0])->shape;
    if (weights->rank != 4 || input->rank != 4 || weights->dims[3] < 1 || input->dims[3] % weights->dims[3] != 0)
        return convert_fail(converter, ERROR_MODEL, "weights and input that do not fit together");
    spatial.kernel[0] = weights->dims[1];
    spatial.kernel[1] = weights->dims[2];
    spatial.groups = input->dims[3] / weights->dims[3];
    TRY(convert_begin(converter, kind, inputs, 3, 0, &node));
    node->attributes.spatial = spatial;
    TRY(convert_activation(converter, flatbuffer_integer(&converter->options, 3, 1, 0), node));
    return convert_finish_and_bind(converter);
}

/* Weights [1, KH, KW, O] lose their first dimension. */
enum error_code convert_depthwise(struct converter *converter, enum operator_kind kind)
{
    int32_t inputs[3];
    struct spatial spatial;
    struct node *node;
    TRY(read_layer(converter, inputs));
    TRY(read_spatial(converter, (const int[]){1, 2}, &spatial));
    TRY(read_dilation(converter, 5, &spatial));
    struct value weights = *convert_value(converter, inputs[1]);
    const struct shape *input = &convert_value(converter, inputs[0])->shape;
    if (weights.shape.rank != 4 || weights.shape.dims[0] != 1 || input->rank != 4)
        return convert_fail(converter, ERROR_MODEL, "weights and input that do not fit together");
    struct shape shape = {.rank = 3, .dims = {weights.shape.dims[1], weights.shape.dims[2], weights.shape.dims[3]}};
    if (weights.quantization.count > 1 && weights.quantization.axis != 3)
        return convert_fail(converter, ERROR_UNSUPPORTED, "scales along another axis than the channels");
    weights.quantization.axis = 2;
    TRY(convert_constant(converter, &weights, &shape, weights.data, &inputs[1]));
    spatial.kernel[0] = shape.dims[0];
    spatial.kernel[1] = shape.dims[1];
    spatial.groups = convert_value(converter, inputs[0])->shape.dims[3];
    TRY(convert_begin(converter, kind, inputs, 3, 0, &node));
    node->attributes.spatial = spatial;
    TRY(convert_activation(converter, flatbuffer_integer(&converter->options, 4, 1, 0), node));
    return convert_finish_and_bind(converter);
}

enum error_code convert_pool(struct converter *converter, enum operator_kind kind)
{
    int32_t input;
    struct spatial spatial;
    struct node *node;
    TRY(convert_input(converter, 0, true, &input));
    TRY(read_spatial(converter, (const int[]){1, 2}, &spatial));
    for (int i = 0; i < 2; i++) {
        int64_t extent = flatbuffer_integer(&converter->options, 4 - i, 4, 0);
        if (extent < 1 || extent > 1 << 20)
            return convert_fail(converter, ERROR_MODEL, "a window of %lld", (long long)extent);
        spatial.kernel[i] = (int32_t)extent;
    }
    TRY(convert_begin(converter, kind, &input, 1, 0, &node));
    node->attributes.spatial = spatial;
    TRY(convert_activation(converter, flatbuffer_integer(&converter->options, 5, 1, 0), node));
    return convert_finish_and_bind(converter);
}

enum error_code convert_fully_connected(struct converter *converter, enum operator_kind kind)
{
    int32_t inputs[3], result;
    struct node *node;
    TRY(read_layer(converter, inputs));
    if (flatbuffer_integer(&converter->options, 1, 1, 0) != 0)
        return convert_fail(converter, ERROR_UNSUPPORTED, "shuffled weights");
    TRY(convert_begin(converter, kind, inputs, 3, 0, &node));
    TRY(convert_activation(converter, flatbuffer_integer(&converter->options, 0, 1, 0), node));
    TRY(convert_finish(converter, &result));
    struct shape shape = convert_value(converter, inputs[0])->shape;
    bool keep_dimensions = flatbuffer_integer(&converter->options, 2, 1, 0) != 0;
    if (keep_dimensions && shape.rank != 2 && shape.rank > 0) {
        shape.dims[shape.rank - 1] = convert_value(converter, result)->shape.dims[1];
        TRY(convert_reshape(converter, result, &shape, 0, &result));
    }
    return convert_bind(converter, 0, result);
}

enum error_code convert_binary(struct converter *converter, enum operator_kind kind)
{
    int32_t inputs[2];
    struct node *node;
    TRY(convert_input(converter, 0, true, &inputs[0]));
    TRY(convert_input(converter, 1, true, &inputs[1]));
    TRY(convert_begin(converter, kind, inputs, 2, 0, &node));
    bool fuses = kind == OPERATOR_ADD || kind == OPERATOR_SUB || kind == OPERATOR_MUL || kind == OPERATOR_DIV;
    if (fuses)
        TRY(convert_activation(converter, flatbuffer_integer(&converter->options, 0, 1, 0), node));
    return convert_finish_and_bind(converter);
}

/* Relu6 and its like are clips with limits. */
enum error_code convert_unary(struct converter *converter, enum operator_kind kind)
{
    int32_t input;
    struct node *node;
    TRY(convert_input(converter, 0, true, &input));
    TRY(convert_begin(converter, kind, &input, 1, 0, &node));
    if (kind == OPERATOR_CLIP) {
        bool relu6 = strcmp(converter->op, "RELU6") == 0;
        node->attributes.scalar.alpha = relu6 ? 0 : -1;
        node->attributes.scalar.beta = relu6 ? 6 : 1;
    }
    return convert_finish_and_bind(converter);
}

enum error_code convert_leaky_relu(struct converter *converter, enum operator_kind kind)
{
    int32_t input;
    struct node *node;
    TRY(convert_input(converter, 0, true, &input));
    TRY(convert_begin(converter, kind, &input, 1, 0, &node));
    node->attributes.scalar.alpha = flatbuffer_f32(&converter->options, 0, 0);
    return convert_finish_and_bind(converter);
}

enum error_code convert_softmax(struct converter *converter, enum operator_kind kind)
{
    int32_t input;
    struct node *node;
    TRY(convert_input(converter, 0, true, &input));
    if (convert_value(converter, input)->shape.rank < 1)
        return convert_fail(converter, ERROR_MODEL, "an input without dimensions");
    TRY(convert_begin(converter, kind, &input, 1, 0, &node));
    node->attributes.softmax.axis = convert_value(converter, input)->shape.rank - 1;
    node->attributes.softmax.beta = flatbuffer_f32(&converter->options, 0, 1);
    return convert_finish_and_bind(converter);
}

enum error_code convert_dequantize(struct converter *converter, enum operator_kind kind)
{
    int32_t input;
    struct node *node;
    TRY(convert_input(converter, 0, true, &input));
    if (convert_value(converter, input)->dtype == DTYPE_F32) /* half precision, widened when it was read */
        return convert_bind(converter, 0, input);
    TRY(convert_begin(converter, kind, &input, 1, 0, &node));
    return convert_finish_and_bind(converter);
}

enum error_code convert_quantize(struct converter *converter, enum operator_kind kind)
{
    int32_t input;
    struct node *node;
    TRY(convert_input(converter, 0, true, &input));
    if (convert_value(converter, input)->dtype != DTYPE_F32)
        kind = OPERATOR_REQUANTIZE;
    TRY(convert_begin(converter, kind, &input, 1, 0, &node));
    return convert_finish_and_bind(converter);
}

enum error_code convert_cast(struct converter *converter, enum operator_kind kind)
{
    int32_t input;
    struct node *node;
    TRY(convert_input(converter, 0, true, &input));
    TRY(convert_begin(converter, kind, &input, 1, 0, &node));
    return convert_finish_and_bind(converter);
}
