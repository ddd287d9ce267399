/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax along one axis (or over all axes from one on). Quantised: dequantised, computed in f32, rounded: within one step of TFLite's
 * fixed-point kernel. */
#include "inference/operators/families.h"
#include "inference/operators/approximate.h"

#include <math.h>

struct softmax {
    int64_t outer, length, inner;
    bool logarithm;
};

enum error_code softmax_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    struct value *out = &graph->values[node->outputs[0]];
    if (in->shape.rank < 1 || node->attributes.softmax.axis < 0 || node->attributes.softmax.axis >= in->shape.rank)
        return operator_fail(node, ERROR_MODEL, error, "an axis beyond the input's rank");
    out->shape = in->shape;
    if (out->quantization.count == 0)
        out->dtype = in->dtype;
    return ERROR_NONE;
}

static void softmax_line(const float *in, float *out, int64_t length, int64_t step, float beta)
{
    float largest = in[0], sum = 0;
    for (int64_t i = 1; i < length; i++)
        largest = in[i * step] > largest ? in[i * step] : largest;
    for (int64_t i = 0; i < length; i++)
        sum += out[i * step] = approximate_exp((in[i * step] - largest) * beta);
    float factor = 1 / sum;
    for (int64_t i = 0; i < length; i++)
        out[i * step] *= factor;
}

static void log_softmax_line(const float *in, float *out, int64_t length, int64_t step, float beta)
{
    float largest = in[0], sum = 0;
    for (int64_t i = 1; i < length; i++)
        largest = in[i * step] > largest ? in[i * step] : largest;
    for (int64_t i = 0; i < length; i++)
        sum += approximate_exp((in[i * step] - largest) * beta);
    float term = logf(sum);
    for (int64_t i = 0; i < length; i++)
        out[i * step] = (in[i * step] - largest) * beta - term;
}

/* Two classes: 1 / (1 + exp(x0 - x1)) and the other way round. */
static void softmax_pairs(const struct operation *operation, const float *in, float *out, int64_t pairs)
{
    float beta = operation->node->attributes.softmax.beta;
    for (int64_t i = 0; i < pairs; i++) {
        float distance = (in[2 * i] - in[2 * i + 1]) * beta;
        out[2 * i] = distance;
        out[2 * i + 1] = -distance;
    }
    operation->kernels->sigmoid_f32(2 * pairs, out, out);
}

static void softmax_lines(const struct softmax *softmax, const float *in, float *out, float beta)
{
    for (int64_t o = 0; o < softmax->outer; o++) {
        for (int64_t i = 0; i < softmax->inner; i++) {
            int64_t start = o * softmax->length * softmax->inner + i;
            (softmax->logarithm ? log_softmax_line : softmax_line)(in + start, out + start, softmax->length, softmax->inner, beta);
        }
    }
}

static void execute_f32(const struct operation *operation, void *const *data, void *scratch)
{
    const struct softmax *softmax = operation->prepared;
    const float *in = operation_input_data(operation, data, 0);
    float *out = operation_output_data(operation, data, 0);
    (void)scratch;
    if (softmax->length == 2 && softmax->inner == 1 && !softmax->logarithm)
        softmax_pairs(operation, in, out, softmax->outer);
    else
        softmax_lines(softmax, in, out, operation->node->attributes.softmax.beta);
}

static void execute_quantized(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in_value = operation_input(operation, 0), *out_value = operation_output(operation, 0);
    const uint8_t *in = operation_input_data(operation, data, 0);
    uint8_t *out = operation_output_data(operation, data, 0);
    float *real = scratch;
    int64_t count = shape_elements(&in_value->shape);
    for (int64_t i = 0; i < count; i++)
        real[i] = in_value->quantization.scale[0] * (float)(in_value->dtype == DTYPE_U8 ? in[i] : (int8_t)in[i]);
    softmax_lines(operation->prepared, real, real, operation->node->attributes.softmax.beta);
    float low = out_value->dtype == DTYPE_U8 ? 0 : -128, high = out_value->dtype == DTYPE_U8 ? 255 : 127;
    for (int64_t i = 0; i < count; i++) {
        float stored = roundf(real[i] / out_value->quantization.scale[0]) + (float)out_value->quantization.zero_point[0];
        out[i] = (uint8_t)real_to_integer((double)stored, (double)low, (double)high);
    }
}

enum error_code softmax_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    int axis = operation->node->attributes.softmax.axis, rank = in->shape.rank;
    struct softmax *softmax = arena_allocate(arena, sizeof *softmax);
    if (softmax == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    int last = operation->node->attributes.softmax.flatten ? rank : axis + 1;
    *softmax = (struct softmax){.outer = dims_product(&in->shape, 0, axis), .length = dims_product(&in->shape, axis, last),
                                .inner = dims_product(&in->shape, last, rank),
                                .logarithm = operation->node->kind == OPERATOR_LOG_SOFTMAX};
    bool bytes = (in->dtype == DTYPE_I8 || in->dtype == DTYPE_U8) && in->quantization.count == 1 &&
                 (out->dtype == DTYPE_I8 || out->dtype == DTYPE_U8) && out->quantization.count == 1;
    if (softmax->length < 1 || (!bytes && (in->dtype != DTYPE_F32 || out->dtype != DTYPE_F32)))
        return operator_fail(operation->node, ERROR_UNSUPPORTED, error, "not supported for this type or an empty axis");
    operation->prepared = softmax;
    operation->execute = bytes ? execute_quantized : execute_f32;
    operation->scratch_bytes = bytes ? (size_t)shape_elements(&in->shape) * sizeof(float) : 0;
    operation->in_place = !bytes;
    return ERROR_NONE;
}
