/* SPDX-License-Identifier: Apache-2.0
 *
 * From one element type to another: cast, quantise, dequantise, requantise. */
#include "inference/operators/families.h"
#include "inference/kernels/fixed_point.h"
#include "inference/operators/wide.h"

#include <math.h>

enum error_code cast_infer(struct graph *graph, struct node *node, struct error *error)
{
    (void)error;
    graph->values[node->outputs[0]].shape = graph->values[node->inputs[0]].shape;
    return ERROR_NONE;
}

static void cast_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    const void *from = operation_input_data(operation, data, 0);
    void *to = operation_output_data(operation, data, 0);
    int64_t count = shape_elements(&in->shape);
    (void)scratch;
    for (int64_t i = 0; i < count; i++)
        element_write(out->dtype, to, i, element_read(in->dtype, from, i));
}

/* From integer to integer the low bits stay, as C and numpy do it; a double would not hold all of 64. */
static void cast_integers_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0);
    (void)scratch;
    wide_map(in->dtype, operation_input_data(operation, data, 0), operation_output(operation, 0)->dtype, operation_output_data(operation, data, 0),
             shape_elements(&in->shape), NULL, 0);
}

enum error_code cast_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena, (void)error;
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    bool integers = in->dtype != DTYPE_F32 && in->dtype != DTYPE_F16, to_f32 = out->dtype == DTYPE_F32 && in->dtype != DTYPE_U64;
    operation->execute = integers && (dtype_is_integer(out->dtype) || to_f32) ? cast_integers_execute : cast_execute;
    return ERROR_NONE;
}

enum error_code quantize_infer(struct graph *graph, struct node *node, struct error *error)
{
    struct value *out = &graph->values[node->outputs[0]];
    if ((out->dtype != DTYPE_I8 && out->dtype != DTYPE_U8) || out->quantization.count != 1)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected a result of i8 or u8 with one scale");
    out->shape = graph->values[node->inputs[0]].shape;
    return ERROR_NONE;
}

/* Halves to even, as QuantizeLinear says; TFLite rounds them away from zero, which differs on exact halves alone. */
static void quantize_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *out = operation_output(operation, 0);
    const float *in = operation_input_data(operation, data, 0);
    uint8_t *stored = operation_output_data(operation, data, 0);
    int64_t count = shape_elements(&out->shape);
    float scale = out->quantization.scale[0], zero = (float)out->quantization.zero_point[0];
    float low = (out->dtype == DTYPE_U8 ? 0.0f : -128.0f) - zero, high = (out->dtype == DTYPE_U8 ? 255.0f : 127.0f) - zero;
    (void)scratch;
    for (int64_t i = 0; i < count; i++) {
        float x = in[i] / scale;
        x = x >= low ? x : low; /* NaN becomes the lowest value */
        x = x > high ? high : x;
        float rounded = (x + 12582912.0f) - 12582912.0f; /* |x| < 2^22: to the nearest integer */
        stored[i] = (uint8_t)(int32_t)(rounded + zero);
    }
}

enum error_code quantize_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena;
    const struct value *in = operation_input(operation, 0);
    if (in->quantization.count == 1)
        return requantize_prepare(operation, arena, error);
    if (in->dtype != DTYPE_F32)
        return operator_fail(operation->node, ERROR_UNSUPPORTED, error, "expected f32");
    operation->execute = quantize_execute;
    return ERROR_NONE;
}

enum error_code dequantize_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    struct value *out = &graph->values[node->outputs[0]];
    bool integer = in->dtype == DTYPE_I8 || in->dtype == DTYPE_U8 || in->dtype == DTYPE_I32 || in->dtype == DTYPE_I16;
    if (!integer || in->quantization.count < 1 ||
        (in->quantization.count > 1 && (in->quantization.axis >= in->shape.rank || in->shape.dims[in->quantization.axis] != in->quantization.count)))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected a quantised i8, u8, i16 or i32");
    out->dtype = DTYPE_F32;
    out->shape = in->shape;
    return ERROR_NONE;
}

static void dequantize_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0);
    const struct quantization *q = &in->quantization;
    const void *stored = operation_input_data(operation, data, 0);
    float *out = operation_output_data(operation, data, 0);
    int64_t count = shape_elements(&in->shape);
    int64_t inner = q->count > 1 ? dims_product(&in->shape, q->axis + 1, in->shape.rank) : count;
    (void)scratch;
    for (int64_t i = 0; i < count; i++) {
        int64_t k = q->count > 1 ? i / inner % q->count : 0;
        out[i] = q->scale[k] * (float)(element_read(in->dtype, stored, i) - q->zero_point[k]);
    }
}

enum error_code dequantize_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena, (void)error;
    operation->execute = dequantize_execute;
    return ERROR_NONE;
}

struct requantize {
    struct fixed_multiplier multiplier;
};

static void requantize_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    const struct requantize *requantize = operation->prepared;
    const uint8_t *from = operation_input_data(operation, data, 0);
    uint8_t *to = operation_output_data(operation, data, 0);
    int64_t count = shape_elements(&in->shape);
    int32_t low = out->dtype == DTYPE_U8 ? 0 : -128, high = out->dtype == DTYPE_U8 ? 255 : 127;
    (void)scratch;
    for (int64_t i = 0; i < count; i++) {
        int32_t x = (in->dtype == DTYPE_U8 ? from[i] : (int8_t)from[i]) - in->quantization.zero_point[0];
        int32_t y = fixed_add(fixed_multiply(x, requantize->multiplier), out->quantization.zero_point[0]);
        to[i] = (uint8_t)(y < low ? low : y > high ? high : y);
    }
}

enum error_code requantize_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    struct requantize *requantize = arena_allocate(arena, sizeof *requantize);
    if (requantize == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    if ((in->dtype != DTYPE_I8 && in->dtype != DTYPE_U8) || in->quantization.count != 1)
        return operator_fail(operation->node, ERROR_UNSUPPORTED, error, "expected i8 or u8 with one scale");
    requantize->multiplier = fixed_multiplier_from((double)in->quantization.scale[0] / (double)out->quantization.scale[0]);
    operation->prepared = requantize;
    operation->execute = requantize_execute;
    operation->in_place = true;
    return ERROR_NONE;
}
