/* SPDX-License-Identifier: Apache-2.0
 *
 * Reductions over any axes, and the index of the largest or smallest element along one. Reals add in double, so that the order does not
 * show; integers in 64 bits. */
#include "inference/operators/families.h"
#include "inference/operators/order.h"
#include "inference/operators/wide.h"

#include <math.h>

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
    bool has_neutral = node->kind != OPERATOR_REDUCE_MAX && node->kind != OPERATOR_REDUCE_MIN && node->kind != OPERATOR_REDUCE_MEAN;
    if (shape_elements(&in->shape) < 1 && !has_neutral)
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

static bool is_quantized(const struct value *value)
{
    return value->quantization.count == 1;
}

static void load_reals(const struct value *value, const void *data, int64_t first, int64_t count, double *block)
{
    double scale = is_quantized(value) ? (double)value->quantization.scale[0] : 1;
    int32_t zero = is_quantized(value) ? value->quantization.zero_point[0] : 0;
    for (int64_t i = 0; i < count; i++)
        block[i] = value->dtype == DTYPE_F32 ? (double)((const float *)data)[first + i] : scale * (element_read(value->dtype, data, first + i) - zero);
}

static void store_real(const struct value *value, void *data, int64_t i, double real)
{
    if (is_quantized(value))
        real = round(real / (double)value->quantization.scale[0]) + value->quantization.zero_point[0];
    element_write(value->dtype, data, i, real);
}

/* One run of the input into its sums: sums[i * step] takes block[i]. */
#define DEFINE_TAKE(name, type, absolute)                                                                                         \
    static void name(enum operator_kind kind, const type *block, int64_t count, type *sums, int64_t step)                \
    {                                                                                                                    \
        for (int64_t i = 0; i < count; i++) {                                                                            \
            type x = block[i], *sum = &sums[i * step];                                                                   \
            switch (kind) {                                                                                              \
            case OPERATOR_REDUCE_MAX: *sum = x > *sum ? x : *sum; break;                                                 \
            case OPERATOR_REDUCE_MIN: *sum = x < *sum ? x : *sum; break;                                                 \
            case OPERATOR_REDUCE_PROD: *sum *= x; break;                                                                 \
            case OPERATOR_REDUCE_L1: *sum += absolute; break;                                                            \
            case OPERATOR_REDUCE_L2: case OPERATOR_REDUCE_SUM_SQUARE: *sum += x * x; break;                              \
            default: *sum += x; break;                                                                                   \
            }                                                                                                            \
        }                                                                                                                \
    }

DEFINE_TAKE(take_reals, double, fabs(x))
DEFINE_TAKE(take_bits, uint64_t, x) /* sums, products and squares wrap alike for both signs */

static void take_integers(enum operator_kind kind, const int64_t *block, int64_t count, int64_t *sums, int64_t step)
{
    if (kind != OPERATOR_REDUCE_MAX && kind != OPERATOR_REDUCE_MIN && kind != OPERATOR_REDUCE_L1) {
        take_bits(kind, (const uint64_t *)block, count, (uint64_t *)sums, step);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t x = block[i], *sum = &sums[i * step];
        if (kind == OPERATOR_REDUCE_L1)
            *sum = (int64_t)((uint64_t)*sum + (x < 0 ? 0 - (uint64_t)x : (uint64_t)x));
        else
            *sum = (kind == OPERATOR_REDUCE_MAX ? x > *sum : x < *sum) ? x : *sum;
    }
}

struct reduce {
    int64_t strides[TENSOR_RANK_MAX]; /* of the result along the input's axes; 0: reduced */
    bool integers;
};

static void start_sums(const struct reduce *reduce, enum operator_kind kind, void *sums, int64_t count)
{
    double real = kind == OPERATOR_REDUCE_MAX ? -INFINITY : kind == OPERATOR_REDUCE_MIN ? INFINITY : kind == OPERATOR_REDUCE_PROD ? 1 : 0;
    int64_t integer = kind == OPERATOR_REDUCE_MAX ? INT64_MIN : kind == OPERATOR_REDUCE_MIN ? INT64_MAX : kind == OPERATOR_REDUCE_PROD ? 1 : 0;
    for (int64_t i = 0; i < count; i++) {
        if (reduce->integers)
            ((int64_t *)sums)[i] = integer;
        else
            ((double *)sums)[i] = real;
    }
}

static void finish_sums(const struct operation *operation, const struct reduce *reduce, const void *sums, void *to, int64_t results, int64_t each)
{
    const struct value *out = operation_output(operation, 0);
    enum operator_kind kind = operation->node->kind;
    for (int64_t i = 0; i < results; i++) {
        if (reduce->integers && kind != OPERATOR_REDUCE_L2) {
            int64_t sum = ((const int64_t *)sums)[i];
            sum = kind == OPERATOR_REDUCE_MEAN ? sum / each : sum;
            wide_store(out->dtype, (char *)to + (size_t)i * dtype_bytes(out->dtype), &sum, 1);
            continue;
        }
        double sum = reduce->integers ? (double)((const int64_t *)sums)[i] : ((const double *)sums)[i];
        sum = kind == OPERATOR_REDUCE_MEAN ? sum / (double)each : kind == OPERATOR_REDUCE_L2 ? sqrt(sum) : sum;
        store_real(out, to, i, sum);
    }
}

static void take_row(const struct operation *operation, const struct reduce *reduce, const char *from, int64_t first, int64_t at, void *sums)
{
    const struct value *in = operation_input(operation, 0);
    int rank = in->shape.rank;
    int64_t length = rank > 0 ? in->shape.dims[rank - 1] : 1, step = rank > 0 ? reduce->strides[rank - 1] : 0;
    for (int64_t done = 0; done < length; done += WIDE_BLOCK) {
        int64_t count = length - done < WIDE_BLOCK ? length - done : WIDE_BLOCK, target = at + done * step;
        if (reduce->integers) {
            int64_t block[WIDE_BLOCK];
            wide_load(in->dtype, from + (size_t)(first + done) * dtype_bytes(in->dtype), 1, block, count);
            take_integers(operation->node->kind, block, count, (int64_t *)sums + target, step);
        } else {
            double block[WIDE_BLOCK];
            load_reals(in, from, first + done, count, block);
            take_reals(operation->node->kind, block, count, (double *)sums + target, step);
        }
    }
}

static void reduce_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    const struct reduce *reduce = operation->prepared;
    const char *from = operation_input_data(operation, data, 0);
    int rank = in->shape.rank;
    int64_t count = shape_elements(&in->shape), results = shape_elements(&out->shape), at = 0, length = rank > 0 ? in->shape.dims[rank - 1] : 1;
    int32_t position[TENSOR_RANK_MAX] = {0};
    start_sums(reduce, operation->node->kind, scratch, results);
    for (int64_t first = 0; first < count; first += length) {
        take_row(operation, reduce, from, first, at, scratch);
        for (int axis = rank - 2; axis >= 0; axis--) {
            at += reduce->strides[axis];
            if (++position[axis] < in->shape.dims[axis])
                break;
            at -= reduce->strides[axis] * in->shape.dims[axis];
            position[axis] = 0;
        }
    }
    finish_sums(operation, reduce, scratch, operation_output_data(operation, data, 0), results, results > 0 ? count / results : 1);
}

enum error_code reduce_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    struct reduce *reduce = arena_allocate(arena, sizeof *reduce);
    int64_t stride = 1;
    if (reduce == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    bool order = operation->node->kind == OPERATOR_REDUCE_MAX || operation->node->kind == OPERATOR_REDUCE_MIN;
    if ((in->dtype == DTYPE_U64 && order) || in->dtype == DTYPE_F16 || in->quantization.count > 1 || is_quantized(in) != is_quantized(out))
        return operator_fail(operation->node, ERROR_UNSUPPORTED, error, "not supported for this type");
    reduce->integers = in->dtype != DTYPE_F32 && !is_quantized(in);
    for (int i = in->shape.rank - 1; i >= 0; i--) {
        reduce->strides[i] = is_reduced(operation->node, i) ? 0 : stride;
        stride *= is_reduced(operation->node, i) ? 1 : in->shape.dims[i];
    }
    operation->prepared = reduce;
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

/* The index of the largest key, or of the smallest with ArgMin. */
static void arg_max_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0);
    const void *from = operation_input_data(operation, data, 0);
    int64_t *to = operation_output_data(operation, data, 0);
    int axis = operation->node->attributes.arg.axis;
    bool last = operation->node->attributes.arg.last, smallest = operation->node->kind == OPERATOR_ARG_MIN;
    int64_t outer = dims_product(&in->shape, 0, axis), length = in->shape.dims[axis], inner = dims_product(&in->shape, axis + 1, in->shape.rank);
    (void)scratch;
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < inner; i++) {
            int64_t start = o * length * inner + i, best = 0, best_key = order_key(in->dtype, from, start);
            for (int64_t k = 1; k < length; k++) {
                int64_t key = order_key(in->dtype, from, start + k * inner);
                if ((smallest ? key < best_key : key > best_key) || (last && key == best_key)) {
                    best = k;
                    best_key = key;
                }
            }
            *to++ = best;
        }
    }
}

enum error_code arg_max_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena;
    if (operation_input(operation, 0)->dtype == DTYPE_F16)
        return operator_fail(operation->node, ERROR_UNSUPPORTED, error, "not supported for this type");
    operation->execute = arg_max_execute;
    return ERROR_NONE;
}
