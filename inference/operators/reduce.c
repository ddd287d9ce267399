/* SPDX-License-Identifier: Apache-2.0
 *
 * Reductions over any axes, and the index of the largest element along one. Mean and sum add in double, so that the order does not show. */
#include "inference/operators/families.h"

#include <math.h>
#include <string.h>

static bool is_reduced(const struct node *node, int axis)
{
    for (int i = 0; i < node->attributes.reduce.count; i++) {
        if (node->attributes.reduce.axes[i] == axis)
            return true;
    }
    return node->attributes.reduce.count == 0;
}

enum error_code reduce_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    struct value *out = &graph->values[node->outputs[0]];
    struct shape shape = {0};
    if (shape_elements(&in->shape) < 1)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "an empty input");
    for (int i = 0; i < in->shape.rank; i++) {
        if (!is_reduced(node, i))
            shape.dims[shape.rank++] = in->shape.dims[i];
        else if (node->attributes.reduce.keep_dims)
            shape.dims[shape.rank++] = 1;
    }
    out->shape = shape;
    if (out->quantization.count == 0) {
        out->dtype = in->dtype;
        out->quantization = in->quantization;
    }
    return ERROR_NONE;
}

static double read_real(const struct value *value, const void *data, int64_t i)
{
    switch (value->dtype) {
    case DTYPE_F32: return (double)((const float *)data)[i];
    case DTYPE_I64: return (double)((const int64_t *)data)[i];
    case DTYPE_I32: return ((const int32_t *)data)[i];
    case DTYPE_U8: return (double)value->quantization.scale[0] * (((const uint8_t *)data)[i] - value->quantization.zero_point[0]);
    default: return (double)value->quantization.scale[0] * (((const int8_t *)data)[i] - value->quantization.zero_point[0]);
    }
}

static void write_real(const struct value *value, void *data, int64_t i, double real)
{
    if (value->dtype == DTYPE_F32) {
        ((float *)data)[i] = (float)real;
    } else if (value->dtype == DTYPE_I64) {
        ((int64_t *)data)[i] = real_to_integer(real, REAL_I64_LOW, REAL_I64_HIGH);
    } else if (value->dtype == DTYPE_I32) {
        ((int32_t *)data)[i] = (int32_t)real_to_integer(real, INT32_MIN, INT32_MAX);
    } else {
        double low = value->dtype == DTYPE_U8 ? 0 : -128, high = value->dtype == DTYPE_U8 ? 255 : 127;
        double stored = round(real / (double)value->quantization.scale[0]) + value->quantization.zero_point[0];
        ((uint8_t *)data)[i] = (uint8_t)real_to_integer(stored, low, high);
    }
}

static void reduce_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    const void *from = operation_input_data(operation, data, 0);
    const int64_t *strides = operation->prepared;
    double *sums = scratch;
    enum operator_kind kind = operation->node->kind;
    int64_t count = shape_elements(&in->shape), results = shape_elements(&out->shape), at = 0;
    double start = kind == OPERATOR_REDUCE_MAX ? -INFINITY : kind == OPERATOR_REDUCE_MIN ? INFINITY : 0;
    int32_t position[TENSOR_RANK_MAX] = {0};
    for (int64_t i = 0; i < results; i++)
        sums[i] = start;
    for (int64_t i = 0; i < count; i++) {
        double x = read_real(in, from, i);
        if (kind == OPERATOR_REDUCE_MAX)
            sums[at] = x > sums[at] ? x : sums[at];
        else if (kind == OPERATOR_REDUCE_MIN)
            sums[at] = x < sums[at] ? x : sums[at];
        else
            sums[at] += x;
        for (int axis = in->shape.rank - 1; axis >= 0; axis--) {
            at += strides[axis];
            if (++position[axis] < in->shape.dims[axis])
                break;
            at -= strides[axis] * in->shape.dims[axis];
            position[axis] = 0;
        }
    }
    double factor = kind == OPERATOR_REDUCE_MEAN ? (double)results / (double)count : 1;
    for (int64_t i = 0; i < results; i++)
        write_real(out, operation_output_data(operation, data, 0), i, sums[i] * factor);
}

enum error_code reduce_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    int64_t *strides = arena_allocate(arena, TENSOR_RANK_MAX * sizeof *strides), stride = 1;
    if (strides == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    bool plain = in->dtype == DTYPE_F32 || in->dtype == DTYPE_I64 || in->dtype == DTYPE_I32;
    bool bytes = (in->dtype == DTYPE_I8 || in->dtype == DTYPE_U8) && in->quantization.count == 1 && out->quantization.count == 1;
    if (!plain && !bytes)
        return operator_fail(operation->node, ERROR_UNSUPPORTED, error, "not supported for this type");
    for (int i = in->shape.rank - 1; i >= 0; i--) {
        strides[i] = is_reduced(operation->node, i) ? 0 : stride;
        stride *= is_reduced(operation->node, i) ? 1 : in->shape.dims[i];
    }
    operation->prepared = strides;
    operation->scratch_bytes = (size_t)shape_elements(&out->shape) * sizeof(double);
    operation->execute = reduce_execute;
    return ERROR_NONE;
}

enum error_code arg_max_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct shape *in = &graph->values[node->inputs[0]].shape;
    struct value *out = &graph->values[node->outputs[0]];
    int axis = node->attributes.arg.axis;
    if (axis < 0 || axis >= in->rank || in->dims[axis] < 1)
        return operator_fail(node, ERROR_MODEL, error, "an axis beyond the input's rank, or an empty one");
    struct shape shape = {0};
    for (int i = 0; i < in->rank; i++) {
        if (i != axis)
            shape.dims[shape.rank++] = in->dims[i];
        else if (node->attributes.arg.keep_dims)
            shape.dims[shape.rank++] = 1;
    }
    out->shape = shape;
    out->dtype = DTYPE_I64;
    return ERROR_NONE;
}

static void arg_max_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0);
    const float *from = operation_input_data(operation, data, 0);
    int64_t *to = operation_output_data(operation, data, 0);
    int axis = operation->node->attributes.arg.axis;
    bool last = operation->node->attributes.arg.last;
    int64_t outer = dims_product(&in->shape, 0, axis), length = in->shape.dims[axis], inner = dims_product(&in->shape, axis + 1, in->shape.rank);
    (void)scratch;
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < inner; i++) {
            const float *line = from + o * length * inner + i;
            int64_t best = 0;
            for (int64_t k = 1; k < length; k++) {
                if (line[k * inner] > line[best * inner] || (last && line[k * inner] == line[best * inner]))
                    best = k;
            }
            *to++ = best;
        }
    }
}

enum error_code arg_max_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena;
    if (operation_input(operation, 0)->dtype != DTYPE_F32)
        return operator_fail(operation->node, ERROR_UNSUPPORTED, error, "expected f32");
    operation->execute = arg_max_execute;
    return ERROR_NONE;
}
