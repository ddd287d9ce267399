/* SPDX-License-Identifier: Apache-2.0
 *
 * families.h: the entry points that the table in operators.c names, and what the families share. */
#ifndef EDDY_INFERENCE_OPERATOR_FAMILIES_H
#define EDDY_INFERENCE_OPERATOR_FAMILIES_H

#include "inference/operators/operators.h"

operator_infer_function resize_infer, pad_infer, matmul_infer, lstm_infer, binary_infer, unary_infer, batch_norm_infer, softmax_infer, cast_infer,
    quantize_infer, dequantize_infer, reshape_infer, transpose_infer, concat_infer, slice_infer, gather_infer, one_hot_infer, expand_infer,
    reduce_infer, arg_max_infer, tree_ensemble_infer, detection_infer, shuffle_infer;
operator_prepare_function resize_prepare, pad_prepare, matmul_prepare, lstm_prepare, binary_prepare, unary_prepare, batch_norm_prepare,
    softmax_prepare, cast_prepare, quantize_prepare, requantize_prepare, dequantize_prepare, reshape_prepare, transpose_prepare, concat_prepare,
    slice_prepare, gather_prepare, one_hot_prepare, expand_prepare, reduce_prepare, arg_max_prepare, tree_ensemble_prepare,
    shuffle_prepare, depthwise_f32_prepare,
    add_8_prepare, convolution_8_prepare, wide_convolution_prepare, depthwise_8_prepare, fully_connected_8_prepare, detection_prepare;

bool add_8_fits(const struct operation *operation); /* add_8_prepare has code for it */

enum error_code pool_8_prepare(struct operation *operation, struct arena *arena, const struct spatial *spatial, bool average, struct error *error);
/* shape: batches, rows, columns of the source */
enum error_code transpose_8_prepare(struct operation *operation, struct arena *arena, const int64_t shape[3], struct error *error);
/* Pooling of floats over `spatial`'s windows; average: else the largest. */
MUST_CHECK enum error_code pool_f32_prepare(struct operation *operation, struct arena *arena, const struct spatial *spatial, bool average,
                                            struct error *error);

/* "operator X, node "n": what" */
enum error_code operator_fail(const struct node *node, enum error_code code, struct error *error, const char *what);

static inline const struct value *operation_input(const struct operation *operation, int index)
{
    return &operation->graph->values[operation->node->inputs[index]];
}

static inline const struct value *operation_output(const struct operation *operation, int index)
{
    return &operation->graph->values[operation->node->outputs[index]];
}

/* The data of an input; NULL where an optional one is absent. */
static inline void *operation_input_data(const struct operation *operation, void *const *data, int index)
{
    int32_t value = operation->node->inputs[index];
    return value < 0 ? NULL : data[value];
}

static inline void *operation_output_data(const struct operation *operation, void *const *data, int index)
{
    return data[operation->node->outputs[index]];
}

/* Product of dims[from..to-1]. */
static inline int64_t dims_product(const struct shape *shape, int from, int to)
{
    int64_t product = 1;
    for (int i = from; i < to; i++)
        product *= shape->dims[i];
    return product;
}

/* Cut to what the type holds; NaN becomes 0. */
#define REAL_I64_LOW (-9.2e18) /* a double has no INT64_MAX */
#define REAL_I64_HIGH 9.2e18
static inline int64_t real_to_integer(double value, double low, double high)
{
    return value != value ? 0 : (int64_t)(value < low ? low : value > high ? high : value);
}

/* numpy broadcasting; ERROR_MODEL where the shapes do not go together. */
MUST_CHECK enum error_code broadcast_shapes(const struct node *node, const struct shape *a, const struct shape *b, struct shape *result,
                                            struct error *error);

#endif
