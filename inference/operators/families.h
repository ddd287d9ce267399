/* SPDX-License-Identifier: Apache-2.0
 *
 * families.h: the entry points that the table in operators.c names, and what the families share. */
#ifndef EDDY_INFERENCE_OPERATOR_FAMILIES_H
#define EDDY_INFERENCE_OPERATOR_FAMILIES_H

#include "inference/operators/operators.h"

operator_infer_function resize_infer, pad_infer, matmul_infer, lstm_infer, lstm_8_infer, binary_infer, unary_infer, batch_norm_infer, softmax_infer, cast_infer,
    quantize_infer, dequantize_infer, reshape_infer, transpose_infer, concat_infer, slice_infer, gather_infer, one_hot_infer, expand_infer,
    reduce_infer, arg_max_infer, tree_ensemble_infer, detection_infer, where_infer, layer_norm_infer, lrn_infer, top_k_infer, resize_axis_infer,
    conv_transpose_infer, recurrent_infer, matmul_integer_infer, conv_integer_infer, cumulative_sum_infer, trilu_infer, gather_elements_infer,
    gather_nd_infer, scatter_elements_infer, scatter_nd_infer, non_max_suppression_infer, non_zero_infer, bounded_infer,
    matmul_nbits_infer, shuffle_infer;
operator_prepare_function resize_prepare, pad_prepare, matmul_prepare, lstm_prepare, lstm_8_prepare, binary_prepare, unary_prepare, batch_norm_prepare,
    softmax_prepare, cast_prepare, quantize_prepare, requantize_prepare, dequantize_prepare, reshape_prepare, transpose_prepare, concat_prepare,
    slice_prepare, gather_prepare, one_hot_prepare, expand_prepare, reduce_prepare, arg_max_prepare, tree_ensemble_prepare,
    shuffle_prepare, depthwise_f32_prepare, add_8_prepare, convolution_8_prepare, wide_convolution_prepare, depthwise_8_prepare,
    fully_connected_8_prepare, detection_prepare, where_prepare, layer_norm_prepare, lrn_prepare, top_k_prepare, resize_axis_prepare,
    conv_transpose_prepare, recurrent_prepare, matmul_integer_prepare, conv_integer_prepare, cumulative_sum_prepare, trilu_prepare, indexing_prepare,
    non_max_suppression_prepare, non_zero_prepare, matmul_nbits_prepare;

/* So many parts that bands (bands.h), which are made of them, can be small: `parts` or more, where one image's result has so many bytes. */
static inline int64_t parts_for_bands(int64_t parts, int64_t result_bytes)
{
    enum { PART_BYTES_MAX = 16 << 10, PARTS_MAX = 512 };
    int64_t wanted = result_bytes / PART_BYTES_MAX < PARTS_MAX ? result_bytes / PART_BYTES_MAX : PARTS_MAX;
    return parts > wanted ? parts : wanted;
}

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

/* Elements from one pixel of result 0, [N, H, W, C], to the next: C, or what the tensor has in which it lies (value.placed). */
static inline int32_t operation_output_pitch(const struct operation *operation)
{
    const struct value *output = operation_output(operation, 0);
    return output->placed ? operation->graph->values[output->host].shape.dims[3] : output->shape.dims[3];
}

/* Product of dims[from..to-1]. */
static inline int64_t dims_product(const struct shape *shape, int from, int to)
{
    int64_t product = 1;
    for (int i = from; i < to; i++)
        product *= shape->dims[i];
    return product;
}

/* numpy broadcasting; ERROR_MODEL where the shapes do not go together. */
MUST_CHECK enum error_code broadcast_shapes(const struct node *node, const struct shape *a, const struct shape *b, struct shape *result,
                                            struct error *error);
/* Strides of an operand in elements along the result's axes: 0 where it is broadcast. */
void broadcast_strides(const struct shape *operand, const struct shape *result, int64_t strides[TENSOR_RANK_MAX]);
/* Shape of a batched matrix product of operands of rank 2 or more; where in a and b batch i of the result comes from, in elements. */
MUST_CHECK enum error_code matmul_shape(const struct node *node, const struct shape *a, const struct shape *b, struct shape *result, struct error *error);
void matmul_batch(const struct shape *a, const struct shape *b, const struct shape *out, int64_t batch, int64_t *a_at, int64_t *b_at);
/* What only moves elements keeps their type and quantisation: gives these to output 0, and returns it. */
struct value *operator_pass_on(struct graph *graph, struct node *node);
/* Row-major strides in elements. */
void dense_strides(const struct shape *shape, int64_t strides[TENSOR_RANK_MAX]);
/* count runs of so many bytes, their starts so many bytes apart. */
void copy_runs(const char *from, int64_t from_step, char *to, int64_t to_step, int64_t count, int64_t bytes);
/* Element i of a tensor of indices (i32 or i64) along an axis of `limit`: negative ones count from the end; what lies outside is pulled to the
 * nearest edge, since an index from a run may be anything. */
int64_t index_at(const struct value *indices, const void *data, int64_t i, int64_t limit);

#endif
