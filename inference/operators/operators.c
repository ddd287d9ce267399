/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/operators/operators.h"

#include "base/file.h"
#include "inference/operators/families.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    operator_infer_function *infer;
    operator_prepare_function *prepare;
} table[OPERATOR_COUNT] = {
    [OPERATOR_CONV] = {convolution_infer, convolution_prepare},
    [OPERATOR_DEPTHWISE_CONV] = {depthwise_infer, depthwise_prepare},
    [OPERATOR_AVERAGE_POOL] = {pool_infer, pool_prepare},
    [OPERATOR_MAX_POOL] = {pool_infer, pool_prepare},
    [OPERATOR_GLOBAL_AVERAGE_POOL] = {global_pool_infer, global_pool_prepare},
    [OPERATOR_RESIZE] = {resize_infer, resize_prepare},
    [OPERATOR_PAD] = {pad_infer, pad_prepare},
    [OPERATOR_SHUFFLE_CHANNELS] = {shuffle_infer, shuffle_prepare},
    [OPERATOR_FULLY_CONNECTED] = {fully_connected_infer, fully_connected_prepare},
    [OPERATOR_MATMUL] = {matmul_infer, matmul_prepare},
    [OPERATOR_LSTM] = {lstm_infer, lstm_prepare},
    [OPERATOR_LSTM_8] = {lstm_8_infer, lstm_8_prepare},
    [OPERATOR_ADD] = {binary_infer, binary_prepare},
    [OPERATOR_SUB] = {binary_infer, binary_prepare},
    [OPERATOR_MUL] = {binary_infer, binary_prepare},
    [OPERATOR_DIV] = {binary_infer, binary_prepare},
    [OPERATOR_POW] = {binary_infer, binary_prepare},
    [OPERATOR_MIN] = {binary_infer, binary_prepare},
    [OPERATOR_MAX] = {binary_infer, binary_prepare},
    [OPERATOR_PRELU] = {binary_infer, binary_prepare},
    [OPERATOR_LESS] = {binary_infer, binary_prepare},
    [OPERATOR_GREATER] = {binary_infer, binary_prepare},
    [OPERATOR_EQUAL] = {binary_infer, binary_prepare},
    [OPERATOR_AND] = {binary_infer, binary_prepare},
    [OPERATOR_OR] = {binary_infer, binary_prepare},
    [OPERATOR_RELU] = {unary_infer, unary_prepare},
    [OPERATOR_CLIP] = {unary_infer, unary_prepare},
    [OPERATOR_LEAKY_RELU] = {unary_infer, unary_prepare},
    [OPERATOR_SIGMOID] = {unary_infer, unary_prepare},
    [OPERATOR_TANH] = {unary_infer, unary_prepare},
    [OPERATOR_HARD_SIGMOID] = {unary_infer, unary_prepare},
    [OPERATOR_HARD_SWISH] = {unary_infer, unary_prepare},
    [OPERATOR_EXP] = {unary_infer, unary_prepare},
    [OPERATOR_LOG] = {unary_infer, unary_prepare},
    [OPERATOR_SQRT] = {unary_infer, unary_prepare},
    [OPERATOR_ABS] = {unary_infer, unary_prepare},
    [OPERATOR_NEG] = {unary_infer, unary_prepare},
    [OPERATOR_ERF] = {unary_infer, unary_prepare},
    [OPERATOR_NOT] = {unary_infer, unary_prepare},
    [OPERATOR_BATCH_NORM] = {batch_norm_infer, batch_norm_prepare},
    [OPERATOR_SOFTMAX] = {softmax_infer, softmax_prepare},
    [OPERATOR_CAST] = {cast_infer, cast_prepare},
    [OPERATOR_QUANTIZE] = {quantize_infer, quantize_prepare},
    [OPERATOR_DEQUANTIZE] = {dequantize_infer, dequantize_prepare},
    [OPERATOR_REQUANTIZE] = {quantize_infer, requantize_prepare},
    [OPERATOR_RESHAPE] = {reshape_infer, reshape_prepare},
    [OPERATOR_TRANSPOSE] = {transpose_infer, transpose_prepare},
    [OPERATOR_CONCAT] = {concat_infer, concat_prepare},
    [OPERATOR_SLICE] = {slice_infer, slice_prepare},
    [OPERATOR_GATHER] = {gather_infer, gather_prepare},
    [OPERATOR_ONE_HOT] = {one_hot_infer, one_hot_prepare},
    [OPERATOR_EXPAND] = {expand_infer, expand_prepare},
    [OPERATOR_REDUCE_MEAN] = {reduce_infer, reduce_prepare},
    [OPERATOR_REDUCE_SUM] = {reduce_infer, reduce_prepare},
    [OPERATOR_REDUCE_MAX] = {reduce_infer, reduce_prepare},
    [OPERATOR_REDUCE_MIN] = {reduce_infer, reduce_prepare},
    [OPERATOR_ARG_MAX] = {arg_max_infer, arg_max_prepare},
    [OPERATOR_MOD] = {binary_infer, binary_prepare},
    [OPERATOR_FMOD] = {binary_infer, binary_prepare},
    [OPERATOR_BITWISE_AND] = {binary_infer, binary_prepare},
    [OPERATOR_BITWISE_OR] = {binary_infer, binary_prepare},
    [OPERATOR_BITWISE_XOR] = {binary_infer, binary_prepare},
    [OPERATOR_SHIFT_LEFT] = {binary_infer, binary_prepare},
    [OPERATOR_SHIFT_RIGHT] = {binary_infer, binary_prepare},
    [OPERATOR_LESS_OR_EQUAL] = {binary_infer, binary_prepare},
    [OPERATOR_GREATER_OR_EQUAL] = {binary_infer, binary_prepare},
    [OPERATOR_XOR] = {binary_infer, binary_prepare},
    [OPERATOR_ELU] = {unary_infer, unary_prepare},
    [OPERATOR_SELU] = {unary_infer, unary_prepare},
    [OPERATOR_CELU] = {unary_infer, unary_prepare},
    [OPERATOR_GELU] = {unary_infer, unary_prepare},
    [OPERATOR_GELU_TANH] = {unary_infer, unary_prepare},
    [OPERATOR_SOFTPLUS] = {unary_infer, unary_prepare},
    [OPERATOR_SOFTSIGN] = {unary_infer, unary_prepare},
    [OPERATOR_MISH] = {unary_infer, unary_prepare},
    [OPERATOR_THRESHOLDED_RELU] = {unary_infer, unary_prepare},
    [OPERATOR_RECIPROCAL] = {unary_infer, unary_prepare},
    [OPERATOR_SIGN] = {unary_infer, unary_prepare},
    [OPERATOR_FLOOR] = {unary_infer, unary_prepare},
    [OPERATOR_CEIL] = {unary_infer, unary_prepare},
    [OPERATOR_ROUND] = {unary_infer, unary_prepare},
    [OPERATOR_SIN] = {unary_infer, unary_prepare},
    [OPERATOR_COS] = {unary_infer, unary_prepare},
    [OPERATOR_TAN] = {unary_infer, unary_prepare},
    [OPERATOR_ASIN] = {unary_infer, unary_prepare},
    [OPERATOR_ACOS] = {unary_infer, unary_prepare},
    [OPERATOR_ATAN] = {unary_infer, unary_prepare},
    [OPERATOR_SINH] = {unary_infer, unary_prepare},
    [OPERATOR_COSH] = {unary_infer, unary_prepare},
    [OPERATOR_ASINH] = {unary_infer, unary_prepare},
    [OPERATOR_ACOSH] = {unary_infer, unary_prepare},
    [OPERATOR_ATANH] = {unary_infer, unary_prepare},
    [OPERATOR_IS_NAN] = {unary_infer, unary_prepare},
    [OPERATOR_IS_INF] = {unary_infer, unary_prepare},
    [OPERATOR_BITWISE_NOT] = {unary_infer, unary_prepare},
    [OPERATOR_REDUCE_PROD] = {reduce_infer, reduce_prepare},
    [OPERATOR_REDUCE_L1] = {reduce_infer, reduce_prepare},
    [OPERATOR_REDUCE_L2] = {reduce_infer, reduce_prepare},
    [OPERATOR_REDUCE_SUM_SQUARE] = {reduce_infer, reduce_prepare},
    [OPERATOR_ARG_MIN] = {arg_max_infer, arg_max_prepare},
    [OPERATOR_LOG_SOFTMAX] = {softmax_infer, softmax_prepare},
    [OPERATOR_WHERE] = {where_infer, where_prepare},
    [OPERATOR_LAYER_NORM] = {layer_norm_infer, layer_norm_prepare},
    [OPERATOR_LRN] = {lrn_infer, lrn_prepare},
    [OPERATOR_TOP_K] = {top_k_infer, top_k_prepare},
    [OPERATOR_RESIZE_AXIS] = {resize_axis_infer, resize_axis_prepare},
    [OPERATOR_CONV_TRANSPOSE] = {conv_transpose_infer, conv_transpose_prepare},
    [OPERATOR_GRU] = {recurrent_infer, recurrent_prepare},
    [OPERATOR_RNN] = {recurrent_infer, recurrent_prepare},
    [OPERATOR_MATMUL_INTEGER] = {matmul_integer_infer, matmul_integer_prepare},
    [OPERATOR_CONV_INTEGER] = {conv_integer_infer, conv_integer_prepare},
    [OPERATOR_CUMULATIVE_SUM] = {cumulative_sum_infer, cumulative_sum_prepare},
    [OPERATOR_TRILU] = {trilu_infer, trilu_prepare},
    [OPERATOR_GATHER_ELEMENTS] = {gather_elements_infer, indexing_prepare},
    [OPERATOR_GATHER_ND] = {gather_nd_infer, indexing_prepare},
    [OPERATOR_SCATTER_ELEMENTS] = {scatter_elements_infer, indexing_prepare},
    [OPERATOR_SCATTER_ND] = {scatter_nd_infer, indexing_prepare},
    [OPERATOR_NON_MAX_SUPPRESSION] = {non_max_suppression_infer, non_max_suppression_prepare},
    [OPERATOR_MATMUL_NBITS] = {matmul_nbits_infer, matmul_nbits_prepare},
    [OPERATOR_NON_ZERO] = {non_zero_infer, non_zero_prepare},
    [OPERATOR_TREE_ENSEMBLE] = {tree_ensemble_infer, tree_ensemble_prepare},
    [OPERATOR_DETECTION_POSTPROCESS] = {detection_infer, detection_prepare},
};

enum error_code operator_fail(const struct node *node, enum error_code code, struct error *error, const char *what)
{
    return error_set(error, code, "operator %s, node \"%.100s\": %s", operator_name(node->kind), node->name, what);
}

static enum error_code check_outputs(struct graph *graph, const struct node *node, struct error *error)
{
    for (int32_t i = 0; i < node->output_count; i++) {
        struct value *value = &graph->values[node->outputs[i]];
        if (value->shape.rank < 0 || value->shape.rank > TENSOR_RANK_MAX || shape_elements(&value->shape) < 0)
            return operator_fail(node, ERROR_LIMIT, error, "a result of more elements than eddy takes");
        bool has_scale = value->dtype == DTYPE_I8 || value->dtype == DTYPE_U8 || value->dtype == DTYPE_I16 || value->dtype == DTYPE_I32;
        if (!has_scale) /* a file may say so, but only stored integers have one: kernels tell by it which they get */
            value->quantization = (struct quantization){0};
        value->shape_known = true;
    }
    return ERROR_NONE;
}

enum error_code operator_infer(struct graph *graph, struct node *node, struct error *error)
{
    if (table[node->kind].infer == NULL)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "not supported");
    for (int32_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] >= 0 && !graph->values[node->inputs[i]].shape_known)
            return operator_fail(node, ERROR_MODEL, error, "an input whose shape is not known");
    }
    TRY(table[node->kind].infer(graph, node, error));
    TRY(bounded_infer(graph, node, error));
    return check_outputs(graph, node, error);
}

enum error_code operator_infer_all(struct graph *graph, struct error *error)
{
    for (int32_t n = 0; n < graph->node_count; n++) {
        if (!graph->nodes[n].removed)
            TRY(operator_infer(graph, &graph->nodes[n], error));
    }
    return ERROR_NONE;
}

enum error_code operator_prepare(const struct graph *graph, const struct node *node, const struct kernels *kernels, struct arena *arena,
                                 struct operation *operation_out, struct error *error)
{
    *operation_out = (struct operation){.graph = graph, .node = node, .kernels = kernels};
    return table[node->kind].prepare(operation_out, arena, error);
}

/* A few bytes of a file must not buy gigabytes or minutes while loading: what folds may be four times as large as what it is made of, or this,
 * and all of it together is bounded too (graph_take_work). */
enum { FOLD_BYTES = 32 << 20, FOLD_GROWTH = 4, FOLD_MACS = 1 << 28 };

/* They may take far longer than reading operands and writing results does, and count no multiplications. */
static bool is_costly(enum operator_kind kind)
{
    return kind == OPERATOR_NON_MAX_SUPPRESSION || kind == OPERATOR_DETECTION_POSTPROCESS || kind == OPERATOR_TREE_ENSEMBLE || kind == OPERATOR_LRN;
}

static bool may_fold(struct graph *graph, const struct operation *operation)
{
    const struct node *node = operation->node;
    size_t in = 0, out = operation->scratch_bytes;
    for (int32_t i = 0; i < node->input_count; i++)
        in += node->inputs[i] >= 0 ? (size_t)shape_elements(&graph->values[node->inputs[i]].shape) * dtype_bytes(graph->values[node->inputs[i]].dtype) : 0;
    for (int32_t i = 0; i < node->output_count; i++)
        out += (size_t)shape_elements(&graph->values[node->outputs[i]].shape) * dtype_bytes(graph->values[node->outputs[i]].dtype);
    return (out <= FOLD_BYTES || out / FOLD_GROWTH <= in) && operation->macs <= FOLD_MACS && !is_costly(node->kind) &&
           graph_take_work(graph, in + out + operation->macs);
}

/* What was read once to be rearranged is seldom read again; if it is, it comes back from the file. */
static void forget_file_pages(const struct graph *graph, const struct node *node)
{
    for (int32_t i = 0; i < node->input_count; i++) {
        const struct value *value = node->inputs[i] >= 0 ? &graph->values[node->inputs[i]] : NULL;
        uintptr_t at = value != NULL ? (uintptr_t)value->data : 0, map = (uintptr_t)graph->mapped;
        if (map != 0 && at >= map && at < map + graph->mapped_bytes)
            file_map_forget(value->data, (size_t)shape_elements(&value->shape) * dtype_bytes(value->dtype));
    }
}

static enum error_code prepare_scalar(struct graph *graph, const struct node *node, struct operation *operation_out, struct error *error)
{
    const struct kernels *scalar;
    for (int32_t i = 0; i < node->input_count; i++)
        TRY(operator_arrange(graph, node->inputs[i], error));
    TRY(kernels_select("scalar", &scalar, error));
    return operator_prepare(graph, node, scalar, &graph->arena, operation_out, error);
}

static enum error_code compute(struct graph *graph, struct node *node, const struct operation *operation, struct error *error)
{
    void **data = calloc((size_t)graph->value_count, sizeof *data);
    void *scratch = aligned_alloc(ARENA_ALIGNMENT, (operation->scratch_bytes / ARENA_ALIGNMENT + 1) * ARENA_ALIGNMENT);
    enum error_code code = data == NULL || scratch == NULL ? operator_fail(node, ERROR_LIMIT, error, "no memory to compute it") : ERROR_NONE;
    for (int32_t i = 0; code == ERROR_NONE && i < node->input_count; i++) {
        if (node->inputs[i] >= 0)
            data[node->inputs[i]] = (void *)(uintptr_t)graph->values[node->inputs[i]].data;
    }
    for (int32_t i = 0; code == ERROR_NONE && i < node->output_count; i++) {
        struct value *value = &graph->values[node->outputs[i]];
        data[node->outputs[i]] = arena_allocate_array(&graph->arena, (size_t)shape_elements(&value->shape), dtype_bytes(value->dtype));
        if (data[node->outputs[i]] == NULL)
            code = operator_fail(node, ERROR_LIMIT, error, "no memory to compute it");
    }
    if (code == ERROR_NONE) {
        operation_execute(operation, data, scratch);
        forget_file_pages(graph, node);
        for (int32_t i = 0; i < node->output_count; i++) {
            graph->values[node->outputs[i]].data = data[node->outputs[i]];
            graph->values[node->outputs[i]].producer = -1;
            struct value *value = &graph->values[node->outputs[i]];
            if (value->bounded)
                value->shape.dims[value->bound_axis] = bounded_shrink(value, data[value->bound_count], data[node->outputs[i]]);
            value->bounded = false;
        }
        node->removed = true;
    }
    free(scratch);
    free(data);
    return code;
}

enum error_code operator_fold(struct graph *graph, struct node *node, struct error *error)
{
    struct operation operation;
    TRY(prepare_scalar(graph, node, &operation, error));
    return may_fold(graph, &operation) ? compute(graph, node, &operation, error) : ERROR_NONE;
}

enum error_code operator_arrange(struct graph *graph, int32_t value, struct error *error)
{
    int32_t from = value < 0 ? -1 : graph->values[value].arranged_from - 1;
    if (from < 0)
        return ERROR_NONE;
    struct node node = {.kind = OPERATOR_TRANSPOSE, .name = graph->values[value].name, .input_count = 1, .output_count = 1, .inputs = &from,
                        .outputs = &value, .attributes.transpose.order = {0, 2, 3, 1}};
    struct operation operation;
    TRY(prepare_scalar(graph, &node, &operation, error));
    TRY(compute(graph, &node, &operation, error));
    graph->values[value].arranged_from = 0;
    return ERROR_NONE;
}
