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
    const struct value *constant = import_value(importer, value);
    if (constant->data == NULL || shape_elements(&constant->shape) != count)
        return import_fail(importer, ERROR_UNSUPPORTED, "zero points that are not constant, or not as many as scales");
    for (int32_t i = 0; i < count; i++) {
        switch (constant->dtype) {
        case DTYPE_U8: zero_points[i] = ((const uint8_t *)constant->data)[i]; break;
        case DTYPE_I8: zero_points[i] = ((const int8_t *)constant->data)[i]; break;
        case DTYPE_I32: zero_points[i] = ((const int32_t *)constant->data)[i]; break;
        default: return import_fail(importer, ERROR_UNSUPPORTED, "zero points of type %s", dtype_name(constant->dtype));
        }
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
    const struct value *scale = import_value(importer, scale_value);
    int64_t count = shape_elements(&scale->shape);
    if (scale->data == NULL || scale->dtype != DTYPE_F32 || count < 1)
        return import_fail(importer, ERROR_UNSUPPORTED, "a scale that is not constant f32");
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
    *quantization = (struct quantization){.count = (int32_t)count, .scale = scale->data, .zero_point = zero_points};
    return ERROR_NONE;
}

static enum error_code import_quantize(struct importer *importer)
{
    int32_t input, output;
    struct quantization quantization;
    enum dtype dtype = DTYPE_U8;
    TRY(import_input(importer, 0, true, &input));
    TRY(read_quantization(importer, 1, 2, &quantization, &dtype));
    if (quantization.count != 1 || (dtype != DTYPE_U8 && dtype != DTYPE_I8))
        return import_fail(importer, ERROR_UNSUPPORTED, "%d scales, or type %s: expected one scale and u8 or i8", quantization.count, dtype_name(dtype));
    struct node *node = import_node(importer, OPERATOR_QUANTIZE, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    importer->graph->values[node->outputs[0]].dtype = dtype;
    importer->graph->values[node->outputs[0]].quantization = quantization;
    TRY(import_finish(importer, &output));
    return import_bind(importer, 0, output);
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
    int32_t input, output;
    struct quantization quantization;
    enum dtype dtype = DTYPE_U8;
    TRY(import_input(importer, 0, true, &input));
    TRY(read_quantization(importer, 1, 2, &quantization, &dtype));
    int rank = import_value(importer, input)->shape.rank;
    if (quantization.count > 1)
        TRY(import_axis(importer, import_int(importer, "axis", 1), rank, &quantization.axis));
    if (quantization.count > 1 && import_value(importer, input)->shape.dims[quantization.axis] != quantization.count)
        return import_fail(importer, ERROR_MODEL, "%d scales for an axis of %d", quantization.count,
                           import_value(importer, input)->shape.dims[quantization.axis]);
    TRY(with_quantization(importer, &input, &quantization));
    TRY(dequantize(importer, input, &output));
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

const struct import_row import_quantized_rows[] = {
    {"QuantizeLinear", import_quantize, OPERATOR_QUANTIZE},
    {"DequantizeLinear", import_dequantize, OPERATOR_DEQUANTIZE},
    {"QLinearConv", import_qlinear_conv, OPERATOR_CONV},
    {NULL, NULL, OPERATOR_COUNT},
};
