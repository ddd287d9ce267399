/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators of one operand, element by element. Quantised ones go through a table of 256 results, made once. */
#include "inference/operators/families.h"

#include "inference/operators/approximate.h"
#include "inference/operators/wide.h"

#include <math.h>

enum { PART_ELEMENTS = 8192 };

typedef void unary_function(const float *in, float *out, int64_t count, float alpha, float beta);

#define DEFINE_UNARY(name, expression)                                                              \
    static void name(const float *in, float *out, int64_t count, float alpha, float beta)            \
    {                                                                                                \
        (void)alpha, (void)beta;                                                                     \
        for (int64_t i = 0; i < count; i++) {                                                        \
            float x = in[i];                                                                         \
            out[i] = (expression);                                                                   \
        }                                                                                            \
    }

static inline float clamp(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

DEFINE_UNARY(relu, x > 0 ? x : 0)
DEFINE_UNARY(clip, clamp(x, alpha, beta))
DEFINE_UNARY(leaky_relu, x >= 0 ? x : alpha *x)
DEFINE_UNARY(sigmoid, 1 / (1 + approximate_exp(-x)))
DEFINE_UNARY(tanh_of, tanhf(x))
DEFINE_UNARY(hard_sigmoid, clamp(alpha *x + beta, 0, 1))
DEFINE_UNARY(hard_swish, x *clamp(x * (1.0f / 6) + 0.5f, 0, 1))
DEFINE_UNARY(exp_of, expf(x))
DEFINE_UNARY(log_of, logf(x))
DEFINE_UNARY(sqrt_of, sqrtf(x))
DEFINE_UNARY(abs_of, fabsf(x))
DEFINE_UNARY(negate, -x)
DEFINE_UNARY(erf_of, erff(x))
DEFINE_UNARY(elu, x >= 0 ? x : alpha *expm1f(x))
DEFINE_UNARY(selu, beta *(x > 0 ? x : alpha * expm1f(x)))
DEFINE_UNARY(celu, x >= 0 ? x : alpha *expm1f(x / alpha))
DEFINE_UNARY(gelu, 0.5f * x * (1 + erff(x * 0.70710678f)))
DEFINE_UNARY(gelu_tanh, 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x))))
DEFINE_UNARY(softplus, x > 20 ? x : log1pf(expf(x)))
DEFINE_UNARY(softsign, x / (1 + fabsf(x)))
DEFINE_UNARY(mish, x *tanhf(x > 20 ? x : log1pf(expf(x))))
DEFINE_UNARY(thresholded_relu, x > alpha ? x : 0)
DEFINE_UNARY(reciprocal, 1 / x)
DEFINE_UNARY(sign, x > 0 ? 1.0f : x < 0 ? -1.0f : x)
DEFINE_UNARY(floor_of, floorf(x))
DEFINE_UNARY(ceil_of, ceilf(x))
DEFINE_UNARY(round_of, rintf(x))
DEFINE_UNARY(sine, sinf(x))
DEFINE_UNARY(cosine, cosf(x))
DEFINE_UNARY(tangent, tanf(x))
DEFINE_UNARY(arc_sine, asinf(x))
DEFINE_UNARY(arc_cosine, acosf(x))
DEFINE_UNARY(arc_tangent, atanf(x))
DEFINE_UNARY(sinh_of, sinhf(x))
DEFINE_UNARY(cosh_of, coshf(x))
DEFINE_UNARY(asinh_of, asinhf(x))
DEFINE_UNARY(acosh_of, acoshf(x))
DEFINE_UNARY(atanh_of, atanhf(x))

static unary_function *const functions[OPERATOR_COUNT] = {
    [OPERATOR_RELU] = relu, [OPERATOR_CLIP] = clip, [OPERATOR_LEAKY_RELU] = leaky_relu, [OPERATOR_SIGMOID] = sigmoid,
    [OPERATOR_TANH] = tanh_of, [OPERATOR_HARD_SIGMOID] = hard_sigmoid, [OPERATOR_HARD_SWISH] = hard_swish, [OPERATOR_EXP] = exp_of,
    [OPERATOR_LOG] = log_of, [OPERATOR_SQRT] = sqrt_of, [OPERATOR_ABS] = abs_of, [OPERATOR_NEG] = negate, [OPERATOR_ERF] = erf_of,
    [OPERATOR_ELU] = elu, [OPERATOR_SELU] = selu, [OPERATOR_CELU] = celu, [OPERATOR_GELU] = gelu, [OPERATOR_GELU_TANH] = gelu_tanh,
    [OPERATOR_SOFTPLUS] = softplus, [OPERATOR_SOFTSIGN] = softsign, [OPERATOR_MISH] = mish, [OPERATOR_THRESHOLDED_RELU] = thresholded_relu,
    [OPERATOR_RECIPROCAL] = reciprocal, [OPERATOR_SIGN] = sign, [OPERATOR_FLOOR] = floor_of, [OPERATOR_CEIL] = ceil_of,
    [OPERATOR_ROUND] = round_of, [OPERATOR_SIN] = sine, [OPERATOR_COS] = cosine, [OPERATOR_TAN] = tangent, [OPERATOR_ASIN] = arc_sine,
    [OPERATOR_ACOS] = arc_cosine, [OPERATOR_ATAN] = arc_tangent, [OPERATOR_SINH] = sinh_of, [OPERATOR_COSH] = cosh_of,
    [OPERATOR_ASINH] = asinh_of, [OPERATOR_ACOSH] = acosh_of, [OPERATOR_ATANH] = atanh_of,
};

struct unary {
    unary_function *function;
    float alpha, beta;
    uint8_t table[256];
};

enum error_code unary_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    struct value *out = &graph->values[node->outputs[0]];
    (void)error;
    out->shape = in->shape;
    if (node->kind == OPERATOR_IS_NAN || node->kind == OPERATOR_IS_INF)
        out->dtype = DTYPE_BOOL;
    else if (in->quantization.count == 0)
        out->dtype = in->dtype;
    else if (out->quantization.count == 0)
        out->quantization = in->quantization, out->dtype = in->dtype;
    return ERROR_NONE;
}

static void execute_f32(const struct operation *operation, void *const *data, void *scratch)
{
    const struct unary *unary = operation->prepared;
    (void)scratch;
    unary->function(operation_input_data(operation, data, 0), operation_output_data(operation, data, 0),
                    shape_elements(&operation_output(operation, 0)->shape), unary->alpha, unary->beta);
}

/* Parts of PART_ELEMENTS. */
static void kernel_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last)
{
    const float *in = operation_input_data(operation, data, 0);
    float *out = operation_output_data(operation, data, 0);
    int64_t count = shape_elements(&operation_output(operation, 0)->shape), begin = first * PART_ELEMENTS;
    int64_t end = last * PART_ELEMENTS < count ? last * PART_ELEMENTS : count;
    (void)scratch;
    (operation->node->kind == OPERATOR_EXP ? operation->kernels->exp_f32 : operation->kernels->sigmoid_f32)(end - begin, in + begin, out + begin);
}

static void execute_table(const struct operation *operation, void *const *data, void *scratch)
{
    const struct unary *unary = operation->prepared;
    const uint8_t *in = operation_input_data(operation, data, 0);
    uint8_t *out = operation_output_data(operation, data, 0);
    int64_t count = shape_elements(&operation_output(operation, 0)->shape);
    (void)scratch;
    for (int64_t i = 0; i < count; i++)
        out[i] = unary->table[in[i]];
}

/* Integers and truth values: what has a meaning there. */
static int64_t apply_integer(enum operator_kind kind, int64_t x)
{
    switch (kind) {
    case OPERATOR_NOT: return !x;
    case OPERATOR_BITWISE_NOT: return ~x;
    case OPERATOR_ABS: return x < 0 ? (int64_t)(0 - (uint64_t)x) : x;
    case OPERATOR_NEG: return (int64_t)(0 - (uint64_t)x);
    case OPERATOR_SIGN: return (x > 0) - (x < 0);
    default: return x > 0 ? x : 0; /* Relu */
    }
}

static bool has_integer_form(enum operator_kind kind, enum dtype dtype)
{
    bool is_signed = dtype == DTYPE_I8 || dtype == DTYPE_I16 || dtype == DTYPE_I32 || dtype == DTYPE_I64;
    if (kind == OPERATOR_NOT)
        return dtype == DTYPE_BOOL;
    if (kind == OPERATOR_BITWISE_NOT)
        return dtype_is_integer(dtype);
    return is_signed && (kind == OPERATOR_ABS || kind == OPERATOR_NEG || kind == OPERATOR_SIGN || kind == OPERATOR_RELU);
}

static void apply_block(int64_t *block, int64_t count, int kind)
{
    for (int64_t i = 0; i < count; i++)
        block[i] = apply_integer((enum operator_kind)kind, block[i]);
}

static void execute_integer(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0);
    (void)scratch;
    wide_map(in->dtype, operation_input_data(operation, data, 0), in->dtype, operation_output_data(operation, data, 0), shape_elements(&in->shape),
             apply_block, operation->node->kind);
}

/* IsNaN; IsInf with alpha: negative ones count, beta: positive ones do. */
static void execute_test(const struct operation *operation, void *const *data, void *scratch)
{
    const struct unary *unary = operation->prepared;
    const float *in = operation_input_data(operation, data, 0);
    uint8_t *out = operation_output_data(operation, data, 0);
    int64_t count = shape_elements(&operation_output(operation, 0)->shape);
    (void)scratch;
    for (int64_t i = 0; i < count; i++)
        out[i] = operation->node->kind == OPERATOR_IS_NAN ? isnan(in[i]) != 0 : isinf(in[i]) != 0 && (in[i] < 0 ? unary->alpha != 0 : unary->beta != 0);
}

static void fill_table(const struct operation *operation, struct unary *unary)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    for (int i = 0; i < 256; i++) {
        int32_t stored = in->dtype == DTYPE_U8 ? i : (int8_t)i;
        float x = in->quantization.scale[0] * (float)(stored - in->quantization.zero_point[0]), y;
        unary->function(&x, &y, 1, unary->alpha, unary->beta);
        double low = out->dtype == DTYPE_U8 ? 0 : -128, high = out->dtype == DTYPE_U8 ? 255 : 127;
        double result = round((double)(y / out->quantization.scale[0])) + out->quantization.zero_point[0];
        result = !(result >= low) ? low : result > high ? high : result; /* NaN, of a logarithm for one, becomes the lowest value */
        unary->table[i] = (uint8_t)(int32_t)result;
    }
}

enum error_code unary_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    struct unary *unary = arena_allocate(arena, sizeof *unary);
    if (unary == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    unary->function = functions[node->kind];
    unary->alpha = node->attributes.scalar.alpha;
    unary->beta = node->attributes.scalar.beta;
    operation->prepared = unary;
    operation->in_place = true;
    bool bytes = (in->dtype == DTYPE_I8 || in->dtype == DTYPE_U8) && in->quantization.count == 1 && out->quantization.count == 1 &&
                 (out->dtype == DTYPE_I8 || out->dtype == DTYPE_U8);
    if (in->quantization.count == 0 && has_integer_form(node->kind, in->dtype)) {
        operation->execute = execute_integer;
    } else if ((node->kind == OPERATOR_IS_NAN || node->kind == OPERATOR_IS_INF) && in->dtype == DTYPE_F32) {
        operation->execute = execute_test;
        operation->in_place = false;
    } else if ((node->kind == OPERATOR_SIGMOID || node->kind == OPERATOR_EXP) && in->dtype == DTYPE_F32) {
        operation->execute_parts = kernel_parts;
        operation->parts = (shape_elements(&out->shape) + PART_ELEMENTS - 1) / PART_ELEMENTS;
    } else if (unary->function != NULL && in->dtype == DTYPE_F32) {
        operation->execute = execute_f32;
    } else if (unary->function != NULL && bytes) {
        fill_table(operation, unary);
        operation->execute = execute_table;
    } else {
        return operator_fail(node, ERROR_UNSUPPORTED, error, "not supported for this type");
    }
    return ERROR_NONE;
}
