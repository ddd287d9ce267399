/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators of one operand, element by element. Quantised ones go through a table of 256 results, made once. */
#include "inference/operators/families.h"

#include "inference/operators/approximate.h"

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

static unary_function *function_of(enum operator_kind kind)
{
    switch (kind) {
    case OPERATOR_RELU: return relu;
    case OPERATOR_CLIP: return clip;
    case OPERATOR_LEAKY_RELU: return leaky_relu;
    case OPERATOR_SIGMOID: return sigmoid;
    case OPERATOR_TANH: return tanh_of;
    case OPERATOR_HARD_SIGMOID: return hard_sigmoid;
    case OPERATOR_HARD_SWISH: return hard_swish;
    case OPERATOR_EXP: return exp_of;
    case OPERATOR_LOG: return log_of;
    case OPERATOR_SQRT: return sqrt_of;
    case OPERATOR_ABS: return abs_of;
    case OPERATOR_NEG: return negate;
    case OPERATOR_ERF: return erf_of;
    default: return NULL;
    }
}

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
    if (in->quantization.count == 0)
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
static void sigmoid_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last)
{
    const float *in = operation_input_data(operation, data, 0);
    float *out = operation_output_data(operation, data, 0);
    int64_t count = shape_elements(&operation_output(operation, 0)->shape), begin = first * PART_ELEMENTS;
    int64_t end = last * PART_ELEMENTS < count ? last * PART_ELEMENTS : count;
    (void)scratch;
    operation->kernels->sigmoid_f32(end - begin, in + begin, out + begin);
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

static void execute_not(const struct operation *operation, void *const *data, void *scratch)
{
    const uint8_t *in = operation_input_data(operation, data, 0);
    uint8_t *out = operation_output_data(operation, data, 0);
    int64_t count = shape_elements(&operation_output(operation, 0)->shape);
    (void)scratch;
    for (int64_t i = 0; i < count; i++)
        out[i] = !in[i];
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
    unary->function = function_of(node->kind);
    unary->alpha = node->attributes.scalar.alpha;
    unary->beta = node->attributes.scalar.beta;
    operation->prepared = unary;
    operation->in_place = true;
    bool bytes = (in->dtype == DTYPE_I8 || in->dtype == DTYPE_U8) && in->quantization.count == 1 && out->quantization.count == 1 &&
                 (out->dtype == DTYPE_I8 || out->dtype == DTYPE_U8);
    if (node->kind == OPERATOR_NOT && in->dtype == DTYPE_BOOL) {
        operation->execute = execute_not;
    } else if (node->kind == OPERATOR_SIGMOID && in->dtype == DTYPE_F32) {
        operation->execute_parts = sigmoid_parts;
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

/* y = (x - mean) / sqrt(variance + epsilon) * scale + bias along the last axis, as one factor and one term a channel. */
struct batch_norm {
    float *factor, *term;
    int64_t channels;
};

enum error_code batch_norm_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    struct value *out = &graph->values[node->outputs[0]];
    if (in->dtype != DTYPE_F32 || in->shape.rank < 1)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected f32");
    for (int i = 1; i < 5; i++) {
        const struct value *operand = &graph->values[node->inputs[i]];
        if (operand->data == NULL || operand->dtype != DTYPE_F32 || shape_elements(&operand->shape) != in->shape.dims[in->shape.rank - 1])
            return operator_fail(node, ERROR_UNSUPPORTED, error, "statistics that are not one constant f32 a channel");
    }
    out->dtype = DTYPE_F32;
    out->shape = in->shape;
    return ERROR_NONE;
}

static void batch_norm_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct batch_norm *norm = operation->prepared;
    const float *in = operation_input_data(operation, data, 0);
    float *out = operation_output_data(operation, data, 0);
    int64_t rows = norm->channels > 0 ? shape_elements(&operation_output(operation, 0)->shape) / norm->channels : 0;
    (void)scratch;
    for (int64_t r = 0; r < rows; r++, in += norm->channels, out += norm->channels) {
        for (int64_t c = 0; c < norm->channels; c++)
            out[c] = in[c] * norm->factor[c] + norm->term[c];
    }
}

enum error_code batch_norm_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct shape *shape = &operation_input(operation, 0)->shape;
    struct batch_norm *norm = arena_allocate(arena, sizeof *norm);
    int64_t channels = shape->dims[shape->rank - 1];
    float *factors = arena_allocate_array(arena, (size_t)channels * 2 + 1, sizeof *factors);
    if (norm == NULL || factors == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    *norm = (struct batch_norm){.factor = factors, .term = factors + channels, .channels = channels};
    const float *scale = operation_input(operation, 1)->data, *bias = operation_input(operation, 2)->data;
    const float *mean = operation_input(operation, 3)->data, *variance = operation_input(operation, 4)->data;
    for (int64_t c = 0; c < channels; c++) {
        norm->factor[c] = scale[c] / sqrtf(variance[c] + operation->node->attributes.batch_norm.epsilon);
        norm->term[c] = bias[c] - mean[c] * norm->factor[c];
    }
    operation->prepared = norm;
    operation->execute = batch_norm_execute;
    operation->in_place = true;
    return ERROR_NONE;
}
