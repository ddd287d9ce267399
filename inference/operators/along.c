/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators that go along an axis or a diagonal: cumulative sum, triangle of a matrix. */
#include "inference/operators/families.h"
#include "inference/operators/wide.h"

#include <string.h>

enum error_code cumulative_sum_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    struct value *out = &graph->values[node->outputs[0]];
    if (node->attributes.index.axis < 0 || node->attributes.index.axis >= in->shape.rank)
        return operator_fail(node, ERROR_MODEL, error, "an axis beyond the input's rank");
    if (in->dtype == DTYPE_F16 || in->dtype == DTYPE_BOOL || in->quantization.count > 0)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "not supported for this type");
    out->dtype = in->dtype;
    out->shape = in->shape;
    return ERROR_NONE;
}

static void cumulative_sum_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0);
    const char *from = operation_input_data(operation, data, 0);
    char *to = operation_output_data(operation, data, 0);
    int axis = operation->node->attributes.index.axis;
    bool reverse = operation->node->attributes.index.reverse != 0, exclusive = operation->node->attributes.index.exclusive != 0;
    int64_t outer = dims_product(&in->shape, 0, axis), length = in->shape.dims[axis], inner = dims_product(&in->shape, axis + 1, in->shape.rank);
    size_t bytes = dtype_bytes(in->dtype);
    (void)scratch;
    for (int64_t line = 0; line < outer * inner; line++) {
        double real = 0;
        int64_t integer = 0, start = line / inner * length * inner + line % inner;
        for (int64_t s = 0; s < length; s++) {
            int64_t at = start + (reverse ? length - 1 - s : s) * inner, x = 0;
            double before = real;
            int64_t integer_before = integer;
            if (in->dtype == DTYPE_F32) {
                real += (double)((const float *)(const void *)from)[at];
                ((float *)(void *)to)[at] = (float)(exclusive ? before : real);
                continue;
            }
            wide_load(in->dtype, from + (size_t)at * bytes, 1, &x, 1);
            integer = (int64_t)((uint64_t)integer + (uint64_t)x);
            wide_store(in->dtype, to + (size_t)at * bytes, exclusive ? &integer_before : &integer, 1);
        }
    }
}

enum error_code cumulative_sum_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena, (void)error;
    operation->execute = cumulative_sum_execute;
    return ERROR_NONE;
}

enum error_code trilu_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    if (in->shape.rank < 2 || in->quantization.count > 0)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected matrices that are not quantised");
    graph->values[node->outputs[0]].dtype = in->dtype;
    graph->values[node->outputs[0]].shape = in->shape;
    return ERROR_NONE;
}

/* Keeps columns >= row + diagonal (upper) or <= row + diagonal; the rest becomes 0. */
static void trilu_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0);
    const char *from = operation_input_data(operation, data, 0);
    char *to = operation_output_data(operation, data, 0);
    int64_t columns = in->shape.dims[in->shape.rank - 1], rows = in->shape.dims[in->shape.rank - 2];
    int64_t all_rows = dims_product(&in->shape, 0, in->shape.rank - 1);
    size_t bytes = dtype_bytes(in->dtype), row_bytes = (size_t)columns * bytes;
    (void)scratch;
    for (int64_t r = 0; r < all_rows; r++, from += row_bytes, to += row_bytes) {
        int64_t edge = r % rows + operation->node->attributes.trilu.diagonal + (operation->node->attributes.trilu.upper ? 0 : 1);
        size_t split = (size_t)(edge < 0 ? 0 : edge > columns ? columns : edge) * bytes;
        if (operation->node->attributes.trilu.upper) {
            memset(to, 0, split);
            memcpy(to + split, from + split, row_bytes - split);
        } else {
            memcpy(to, from, split);
            memset(to + split, 0, row_bytes - split);
        }
    }
}

enum error_code trilu_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena, (void)error;
    operation->execute = trilu_execute;
    return ERROR_NONE;
}
