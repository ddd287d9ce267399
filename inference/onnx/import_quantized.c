/* SPDX-License-Identifier: Apache-2.0
 *
 * QuantizeLinear, DequantizeLinear and the QOperator forms. Scales and zero points are constant operands in the file; here they belong to
 * the quantised value. */
#include "inference/onnx/import.h"
#include "inference/onnx/import_convolution.h"

#include <math.h>
#include <string.h>

static enum error_code read_zero_points(struct importer *importer, int32_t value, int32_t count, int32_t *zero_points)
{
    TRY(import_known(importer, value));
    const struct value *constant = import_value(importer, value);
    if (shape_elements(&constant->shape) != count)
        return import_fail(importer, ERROR_UNSUPPORTED, "not as many zero points as scales");
    for (int32_t i = 0; i < count; i++) {
        double zero_point = element_read(constant->dtype, constant->data, i);
        if (!dtype_is_integer(constant->dtype) || zero_point < INT32_MIN || zero_point > INT32_MAX)
            return import_fail(importer, ERROR_UNSUPPORTED, "a zero point of %g, %s: it must be an integer", zero_point, dtype_name(constant->dtype));
        zero_points[i] = (int32_t)zero_point;
    }
    return ERROR_NONE;
}

/* From the scale input and the zero point input that follows it (may be absent: zero). */
static enum error_code read_quantization(struct importer *importer, int scale_input, int zero_input, struct quantization *quantization,
                                         enum dtype *dtype)
{
    int32_t scale_value, zero_value;
    TRY(import_input(importer, scale_input, true, &scale_value));
    TRY(import_input(importer, zero_input, false, &zero_value));
    TRY(import_known(importer, scale_value));
    const struct value *scale = import_value(importer, scale_value);
    int64_t count = shape_elements(&scale->shape);
    if (scale->dtype != DTYPE_F32 || count < 1)
        return import_fail(importer, ERROR_UNSUPPORTED, "a scale that is not f32");
    for (int64_t i = 0; i < count; i++) {
        float one = ((const float *)scale->data)[i];
        if (!(one > 0) || !isfinite(one))
            return import_fail(importer, ERROR_MODEL, "a scale of %g", (double)one);
    }
    int32_t *zero_points = arena_allocate_array(&importer->graph->arena, (size_t)count, sizeof *zero_points);
    if (zero_points == NULL)
        return import_fail(importer, ERROR_LIMIT, "the model needs more memory than eddy allows");
    if (zero_value >= 0) {
        TRY(read_zero_points(importer, zero_value, (int32_t)count, zero_points));
        *dtype = import_value(importer, zero_value)->dtype;
    }
    *quantization = (struct quantization){.count = (int32_t)count, .scale = import_value(importer, scale_value)->data, .zero_point = zero_points};
    return ERROR_NONE;
}

/* A scale or zero point so that it broadcasts against the tensor: one, one for each index of `axis`, or one for each block of `block` along it. */
static enum error_code spread(struct importer *importer, int32_t value, const struct shape *tensor, int64_t block, int32_t *value_out)
{
    const struct shape shape = import_value(importer, value)->shape;
    int32_t axis;
    *value_out = value;
    if (shape_elements(&shape) == 1)
        return import_reshape(importer, value, &(struct shape){.rank = 0}, value_out);
    TRY(import_axis(importer, import_int(importer, "axis", 1), tensor->rank, &axis));
    if (block == 0 && shape.rank == 1 && shape.dims[0] == tensor->dims[axis])
        return import_along(importer, value, axis, tensor->rank, value_out);
    bool fits = block > 0 && block <= TENSOR_ELEMENTS_MAX && shape.rank == tensor->rank && tensor->rank < TENSOR_RANK_MAX;
    for (int i = 0; fits && i < shape.rank; i++)
        fits = shape.dims[i] == (i == axis ? (tensor->dims[i] + block - 1) / block : tensor->dims[i]);
    if (!fits)
        return import_fail(importer, ERROR_MODEL, "scales or zero points that fit neither an axis nor blocks of it");
    if (tensor->dims[axis] % block != 0)
        return import_fail(importer, ERROR_UNSUPPORTED, "a last block that is shorter");
    struct shape split = {.rank = tensor->rank + 1}, wide;
    for (int i = 0; i < split.rank; i++)
        split.dims[i] = i <= axis ? shape.dims[i] : i == axis + 1 ? 1 : shape.dims[i - 1];
    wide = split;
    wide.dims[axis + 1] = (int32_t)block;
    TRY(import_reshape(importer, value, &split, &value));
    struct node *node = import_node(importer, OPERATOR_EXPAND, &value, 1, 1);
    if (node == NULL)
        return importer->error->code;
    importer->graph->values[node->outputs[0]].shape = wide;
    importer->graph->values[node->outputs[0]].shape_known = true;
    TRY(import_finish(importer, &value));
    return import_reshape(importer, value, tensor, value_out);
}

/* Zero point spread and in f32; the number 0 where there is none. */
static enum error_code spread_zero(struct importer *importer, int32_t zero, const struct shape *tensor, int64_t block, int32_t *value_out)
{
    if (zero < 0)
        return import_number(importer, 0, value_out);
    TRY(import_cast(importer, zero, DTYPE_F32, &zero));
    return spread(importer, zero, tensor, block, value_out);
}

/* round(x / scale) + zero, saturated: for scales that come with a run, for each channel, for blocks, and for 16 bits. */
static enum error_code quantize_stepwise(struct importer *importer, int32_t value, int32_t scale, int32_t zero, enum dtype dtype, int64_t block,
                                         int32_t *value_out)
{
    const struct shape shape = import_value(importer, value)->shape;
    TRY(spread(importer, scale, &shape, block, &scale));
    TRY(spread_zero(importer, zero, &shape, block, &zero));
    TRY(import_binary_of(importer, OPERATOR_DIV, value, scale, &value));
    TRY(import_unary_of(importer, OPERATOR_ROUND, value, &value));
    TRY(import_binary_of(importer, OPERATOR_ADD, value, zero, &value));
    return import_cast(importer, value, dtype, value_out);
}

static enum error_code dequantize_stepwise(struct importer *importer, int32_t value, int32_t scale, int32_t zero, int64_t block, int32_t *value_out)
{
    const struct shape shape = import_value(importer, value)->shape;
    TRY(spread(importer, scale, &shape, block, &scale));
    TRY(spread_zero(importer, zero, &shape, block, &zero));
    TRY(import_cast(importer, value, DTYPE_F32, &value));
    TRY(import_binary_of(importer, OPERATOR_SUB, value, zero, &value));
    return import_binary_of(importer, OPERATOR_MUL, value, scale, value_out);
}

static enum error_code import_scale_inputs(struct importer *importer, int32_t inputs[3], int64_t *block)
{
    for (int i = 0; i < 3; i++)
        TRY(import_input(importer, i, i < 2, &inputs[i]));
    *block = import_int(importer, "block_size", 0);
    return *block >= 0 ? ERROR_NONE : import_fail(importer, ERROR_MODEL, "block_size is %lld", (long long)*block);
}

static bool is_constant_or_absent(const struct importer *importer, int32_t value)
{
    return value < 0 || import_value(importer, value)->data != NULL;
}

static enum error_code import_quantize(struct importer *importer)
{
    int32_t inputs[3], output;
    int64_t block;
    struct quantization quantization;
    enum dtype dtype = DTYPE_U8;
    TRY(import_scale_inputs(importer, inputs, &block));
    if (inputs[2] >= 0)
        dtype = import_value(importer, inputs[2])->dtype;
    else if (import_int(importer, "output_dtype", 0) != 0)
        TRY(onnx_dtype(import_int(importer, "output_dtype", 0), &dtype, importer->error));
    if (!dtype_is_integer(dtype))
        return import_fail(importer, ERROR_UNSUPPORTED, "a result of type %s", dtype_name(dtype));
    bool known = is_constant_or_absent(importer, inputs[1]) && is_constant_or_absent(importer, inputs[2]);
    bool one = shape_elements(&import_value(importer, inputs[1])->shape) == 1;
    if (!known || !one || block != 0 || (dtype != DTYPE_U8 && dtype != DTYPE_I8)) {
        TRY(quantize_stepwise(importer, inputs[0], inputs[1], inputs[2], dtype, block, &output));
        return import_bind(importer, 0, output);
    }
    TRY(read_quantization(importer, 1, 2, &quantization, &dtype));
    struct node *node = import_node(importer, OPERATOR_QUANTIZE, &inputs[0], 1, 1);
    if (node == NULL)
        return importer->error->code;
    importer->graph->values[node->outputs[0]].dtype = dtype;
    importer->graph->values[node->outputs[0]].quantization = quantization;
    return import_finish_bind(importer);
}

/* y, its scale and its zero point from the range of x, which always holds 0. */
static enum error_code import_dynamic_quantize(struct importer *importer)
{
    int32_t x, zero, low, high, number, scale, point, output;
    TRY(import_input(importer, 0, true, &x));
    TRY(import_number(importer, 0, &zero));
    for (int i = 0; i < 2; i++) {
        struct node *node = import_node(importer, i == 0 ? OPERATOR_REDUCE_MIN : OPERATOR_REDUCE_MAX, &x, 1, 1);
        if (node == NULL)
            return importer->error->code;
        TRY(import_finish(importer, i == 0 ? &low : &high));
    }
    TRY(import_binary_of(importer, OPERATOR_MIN, low, zero, &low));
    TRY(import_binary_of(importer, OPERATOR_MAX, high, zero, &high));
    TRY(import_binary_of(importer, OPERATOR_SUB, high, low, &scale));
    TRY(import_number(importer, 255, &number));
    TRY(import_binary_of(importer, OPERATOR_DIV, scale, number, &scale));
    TRY(import_binary_of(importer, OPERATOR_SUB, zero, low, &point));
    TRY(import_binary_of(importer, OPERATOR_DIV, point, scale, &point));
    TRY(import_unary_of(importer, OPERATOR_ROUND, point, &point));
    TRY(import_cast(importer, point, DTYPE_U8, &point));
    TRY(quantize_stepwise(importer, x, scale, point, DTYPE_U8, 0, &output));
    TRY(import_bind(importer, 0, output));
    TRY(import_bind(importer, 1, scale));
    return import_bind(importer, 2, point);
}

/* A zero point of another type than the value has may lie outside it. */
static bool zero_points_fit(const struct value *value, const struct quantization *quantization)
{
    int32_t low = value->dtype == DTYPE_I8 ? -128 : 0, high = value->dtype == DTYPE_I8 ? 127 : 255;
    for (int32_t i = 0; i < quantization->count && dtype_bytes(value->dtype) == 1; i++) {
        if (quantization->zero_point[i] < low || quantization->zero_point[i] > high)
            return false;
    }
    return true;
}

/* The quantisation goes onto the input value; one that has another already (a constant used twice) is used through a copy. */
static enum error_code with_quantization(struct importer *importer, int32_t *value, const struct quantization *quantization)
{
    struct value source = *import_value(importer, *value);
    if (!zero_points_fit(&source, quantization))
        return import_fail(importer, ERROR_MODEL, "a zero point outside the type that it belongs to");
    if (source.quantization.count == 0) {
        importer->graph->values[*value].quantization = *quantization;
        return ERROR_NONE;
    }
    bool same = source.quantization.count == quantization->count && source.quantization.axis == quantization->axis;
    for (int32_t i = 0; same && i < quantization->count; i++)
        same = source.quantization.scale[i] == quantization->scale[i] && source.quantization.zero_point[i] == quantization->zero_point[i];
    if (same)
        return ERROR_NONE;
    if (source.data == NULL)
        return import_fail(importer, ERROR_UNSUPPORTED, "one value read with two different scales");
    TRY(import_constant(importer, source.dtype, &source.shape, source.data, value));
    importer->graph->values[*value].quantization = *quantization;
    return ERROR_NONE;
}

static enum error_code dequantize(struct importer *importer, int32_t input, int32_t *value_out)
{
    return import_node(importer, OPERATOR_DEQUANTIZE, &input, 1, 1) == NULL ? importer->error->code : import_finish(importer, value_out);
}

static enum error_code import_dequantize(struct importer *importer)
{
    int32_t inputs[3], output;
    int64_t block;
    struct quantization quantization;
    enum dtype dtype = DTYPE_U8;
    TRY(import_scale_inputs(importer, inputs, &block));
    const struct value *stored = import_value(importer, inputs[0]);
    bool known = is_constant_or_absent(importer, inputs[1]) && is_constant_or_absent(importer, inputs[2]);
    bool direct = stored->dtype == DTYPE_I8 || stored->dtype == DTYPE_U8 || stored->dtype == DTYPE_I16 || stored->dtype == DTYPE_I32;
    if (!known || block != 0 || !direct) {
        TRY(dequantize_stepwise(importer, inputs[0], inputs[1], inputs[2], block, &output));
        return import_bind(importer, 0, output);
    }
    int rank = stored->shape.rank;
    TRY(read_quantization(importer, 1, 2, &quantization, &dtype));
    if (quantization.count > 1)
        TRY(import_axis(importer, import_int(importer, "axis", 1), rank, &quantization.axis));
    if (quantization.count > 1 && import_value(importer, inputs[0])->shape.dims[quantization.axis] != quantization.count)
        return import_fail(importer, ERROR_MODEL, "%d scales for an axis of %d", quantization.count,
                           import_value(importer, inputs[0])->shape.dims[quantization.axis]);
    TRY(with_quantization(importer, &inputs[0], &quantization));
    TRY(dequantize(importer, inputs[0], &output));
    return import_bind(importer, 0, output);
}

/* QLinearConv: x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias */
static enum error_code import_qlinear_conv(struct importer *importer)
{
    int32_t input, weights, bias;
    struct quantization x, w, y;
    enum dtype dtype = DTYPE_U8, output_dtype = DTYPE_U8;
    TRY(import_input(importer, 0, true, &input));
    TRY(import_input(importer, 3, true, &weights));
    TRY(import_input(importer, 8, false, &bias));
    TRY(read_quantization(importer, 1, 2, &x, &dtype));
    TRY(read_quantization(importer, 4, 5, &w, &dtype));
    TRY(read_quantization(importer, 6, 7, &y, &output_dtype));
    TRY(with_quantization(importer, &input, &x));
    TRY(with_quantization(importer, &weights, &w));
    return import_convolution(importer, input, weights, bias, &y, output_dtype);
}

/* Integer weights of one scale, or one a column, behind a computed left side: a quantised layer. */
static enum error_code qlinear_layer(struct importer *importer, int32_t a, int32_t b)
{
    struct quantization left, right, result;
    enum dtype dtype = DTYPE_U8, output_dtype = DTYPE_U8;
    int32_t output;
    TRY(read_quantization(importer, 1, 2, &left, &dtype));
    TRY(read_quantization(importer, 4, 5, &right, &dtype));
    TRY(read_quantization(importer, 6, 7, &result, &output_dtype));
    struct shape shape = import_value(importer, a)->shape;
    shape.dims[shape.rank - 1] = import_value(importer, b)->shape.dims[1];
    TRY(with_quantization(importer, &a, &left));
    TRY(import_transpose(importer, b, (int32_t[]){1, 0}, &b));
    right.axis = 0;
    importer->graph->values[b].quantization = right;
    struct node *node = import_node(importer, OPERATOR_FULLY_CONNECTED, (int32_t[]){a, b, GRAPH_NO_VALUE}, 3, 1);
    if (node == NULL)
        return importer->error->code;
    importer->graph->values[node->outputs[0]].dtype = output_dtype;
    importer->graph->values[node->outputs[0]].quantization = result;
    TRY(import_finish(importer, &output));
    if (shape.rank > 2)
        TRY(import_reshape(importer, output, &shape, &output));
    return import_bind(importer, 0, output);
}

/* a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero */
static enum error_code import_qlinear_matmul(struct importer *importer)
{
    int32_t inputs[8], sum, factor, output;
    for (int i = 0; i < 8; i++)
        TRY(import_input(importer, i, true, &inputs[i]));
    const struct value *a = import_value(importer, inputs[0]), *b = import_value(importer, inputs[3]);
    bool known = b->data != NULL && b->shape.rank == 2 && a->shape.rank >= 2 && a->data == NULL && b->quantization.count == 0 &&
                 a->shape.dims[a->shape.rank - 1] == b->shape.dims[0] && shape_elements(&import_value(importer, inputs[1])->shape) == 1 &&
                 shape_elements(&import_value(importer, inputs[6])->shape) == 1;
    int64_t scales = shape_elements(&import_value(importer, inputs[4])->shape);
    for (int i = 1; i < 8; i++)
        known = known && import_value(importer, inputs[i])->data != NULL;
    if (known && (scales == 1 || scales == b->shape.dims[1]))
        return qlinear_layer(importer, inputs[0], inputs[3]);
    if (a->shape.rank < 2 || b->shape.rank < 2)
        return import_fail(importer, ERROR_UNSUPPORTED, "operands of rank %d and %d", a->shape.rank, b->shape.rank);
    if (import_node(importer, OPERATOR_MATMUL_INTEGER, (int32_t[]){inputs[0], inputs[3], inputs[2], inputs[5]}, 4, 1) == NULL)
        return importer->error->code;
    TRY(import_finish(importer, &sum));
    TRY(import_cast(importer, sum, DTYPE_F32, &sum));
    TRY(import_binary_of(importer, OPERATOR_MUL, inputs[1], inputs[4], &factor));
    TRY(import_binary_of(importer, OPERATOR_MUL, sum, factor, &sum));
    TRY(quantize_stepwise(importer, sum, inputs[6], inputs[7], import_value(importer, inputs[7])->dtype, 0, &output));
    return import_bind(importer, 0, output);
}

const struct import_row import_quantized_rows[] = {
    {"QuantizeLinear", import_quantize, OPERATOR_QUANTIZE, "f32 f16 to i8..i16, u8..u16", "axis and blocks; scales may come with a run"},
    {"DequantizeLinear", import_dequantize, OPERATOR_DEQUANTIZE, "i8..i32, u8..u32 to f32", "axis and blocks; scales may come with a run"},
    {"DynamicQuantizeLinear", import_dynamic_quantize, OPERATOR_QUANTIZE, "f32 f16 to u8", ""},
    {"QLinearConv", import_qlinear_conv, OPERATOR_CONV, "i8 u8", "1 or 2 axes; weights, scales and zero points known at open"},
    {"QLinearMatMul", import_qlinear_matmul, OPERATOR_FULLY_CONNECTED, "i8 u8", ""},
    {"ConvInteger", import_conv_integer, OPERATOR_CONV_INTEGER, "i8 u8", "2 axes"},
    {0},
};
