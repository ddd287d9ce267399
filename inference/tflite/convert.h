/* SPDX-License-Identifier: Apache-2.0
 *
 * convert.h: what the conversions of the TFLite operators share.
 *
 * A conversion reads one operator of the file, adds one or more graph nodes and binds the operator's outputs to graph values:
 *   convert_begin(...) ; attributes ; convert_finish(...) ; convert_bind(...)
 * A value takes type and quantisation from its tensor in the file, its shape from inference. Constants are folded at once. */
#ifndef EDDY_INFERENCE_TFLITE_CONVERT_H
#define EDDY_INFERENCE_TFLITE_CONVERT_H

#include "inference/engine.h"
#include "inference/graph.h"
#include "inference/tflite/flatbuffer.h"

struct converter {
    struct graph *graph;
    struct flatbuffer *file;
    struct flatbuffer_vector tensors, buffers; /* of the subgraph, of the model */
    int32_t *values;                 /* of each tensor: graph value, GRAPH_NO_VALUE: not made yet */
    struct error *error;
    /* the operator at hand */
    const char *op;
    int index;
    struct flatbuffer_vector inputs, outputs, intermediates; /* tensor indices, i32 */
    struct flatbuffer_table options;
    struct flatbuffer_vector custom_options;
};

typedef enum error_code convert_function(struct converter *converter, enum operator_kind kind);

/* "operator CONV_2D (number 3): what" */
enum error_code convert_fail(struct converter *converter, enum error_code code, const char *format, ...) PRINTF_LIKE(3, 4);

/* tensors.c: what the file's tensors say */
MUST_CHECK enum error_code tensors_import(struct converter *converter, const struct flatbuffer_vector *inputs, const struct model_options *options);
MUST_CHECK enum error_code tensor_describe(struct converter *converter, int32_t tensor, struct value *value_out); /* name, type, quantisation */

/* Input i as a graph value; absent or -1: GRAPH_NO_VALUE, or an error when required. */
MUST_CHECK enum error_code convert_input(struct converter *converter, uint32_t index, bool required, int32_t *value_out);
const struct value *convert_value(const struct converter *converter, int32_t value);
/* Weights of 8 bits beside a float input (dynamic range quantisation) become floats; half precision has become so already. */
MUST_CHECK enum error_code convert_widen(struct converter *converter, int32_t value, int32_t *value_out);
MUST_CHECK enum error_code convert_constant(struct converter *converter, const struct value *like, const struct shape *shape, const void *data,
                                            int32_t *value_out);
/* Integers of a constant i32 or i64 tensor. */
struct convert_integers {
    int32_t values[TENSOR_RANK_MAX];
    int count;
};
MUST_CHECK enum error_code convert_integers(struct converter *converter, int32_t value, struct convert_integers *integers_out);

/* A node whose first result is like output `output` of the operator (type, quantisation); -1: like its first input. */
MUST_CHECK enum error_code convert_begin(struct converter *converter, enum operator_kind kind, const int32_t *inputs, int input_count, int output,
                                         struct node **node_out);
MUST_CHECK enum error_code convert_finish(struct converter *converter, int32_t *value_out);
MUST_CHECK enum error_code convert_bind(struct converter *converter, uint32_t output, int32_t value);
MUST_CHECK enum error_code convert_finish_and_bind(struct converter *converter);
MUST_CHECK enum error_code convert_reshape(struct converter *converter, int32_t value, const struct shape *shape, int output, int32_t *value_out);
MUST_CHECK enum error_code convert_slice(struct converter *converter, int32_t value, const int32_t *begin, const int32_t *step,
                                         const struct shape *shape, int32_t *value_out);
MUST_CHECK enum error_code convert_activation(struct converter *converter, int64_t code, struct node *node); /* fused */
MUST_CHECK enum error_code convert_axis(struct converter *converter, int64_t axis, int rank, int32_t *axis_out);

convert_function convert_convolution, convert_depthwise, convert_pool, convert_fully_connected, convert_binary, convert_unary, convert_leaky_relu,
    convert_softmax, convert_dequantize, convert_quantize, convert_cast;
convert_function convert_reshape_to, convert_same_elements, convert_concatenation, convert_pack, convert_unpack, convert_split,
    convert_strided_slice, convert_slice_to, convert_pad, convert_transpose, convert_reduce, convert_resize, convert_arg_max;
convert_function convert_lstm, convert_detection;

#endif
