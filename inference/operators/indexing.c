/* SPDX-License-Identifier: Apache-2.0
 *
 * Gather and scatter by element (an index a result element, along one axis) and by tuple (the last axis of the indices holds positions). */
#include "inference/operators/families.h"
#include "inference/operators/wide.h"

#include <string.h>

enum reduction { REDUCTION_NONE, REDUCTION_ADD, REDUCTION_MUL, REDUCTION_MIN, REDUCTION_MAX };

static bool are_indices(const struct value *value)
{
    return value->dtype == DTYPE_I64 || value->dtype == DTYPE_I32;
}

static void combine_f32(enum reduction reduction, float *target, float update)
{
    switch (reduction) {
    case REDUCTION_ADD: *target += update; break;
    case REDUCTION_MUL: *target *= update; break;
    case REDUCTION_MIN: *target = update < *target ? update : *target; break;
    default: *target = update > *target ? update : *target; break;
    }
}

static int64_t combine_integers(enum reduction reduction, int64_t a, int64_t b)
{
    switch (reduction) {
    case REDUCTION_ADD: return (int64_t)((uint64_t)a + (uint64_t)b);
    case REDUCTION_MUL: return (int64_t)((uint64_t)a * (uint64_t)b);
    case REDUCTION_MIN: return b < a ? b : a;
    default: return b > a ? b : a;
    }
}

/* `count` elements that follow each other. */
static void put(enum dtype dtype, enum reduction reduction, char *target, const char *update, int64_t count)
{
    size_t bytes = dtype_bytes(dtype);
    if (reduction == REDUCTION_NONE) {
        memcpy(target, update, (size_t)count * bytes);
        return;
    }
    for (int64_t i = 0; i < count; i++, target += bytes, update += bytes) {
        if (dtype == DTYPE_F32) {
            combine_f32(reduction, (float *)(void *)target, *(const float *)(const void *)update);
        } else {
            int64_t a, b;
            wide_load(dtype, target, 1, &a, 1);
            wide_load(dtype, update, 1, &b, 1);
            a = combine_integers(reduction, a, b);
            wide_store(dtype, target, &a, 1);
        }
    }
}

static enum error_code check_reduction(const struct graph *graph, const struct node *node, struct error *error)
{
    enum dtype dtype = graph->values[node->inputs[0]].dtype;
    int reduction = node->attributes.index.reduction;
    bool order = reduction == REDUCTION_MIN || reduction == REDUCTION_MAX;
    if (reduction != REDUCTION_NONE && (dtype == DTYPE_F16 || (dtype == DTYPE_U64 && order)))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "a reduction of this type");
    return ERROR_NONE;
}

/* Both by element: the indices have the rank of the data and lie within it on all axes but one. */
static enum error_code check_elements(const struct graph *graph, const struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]], *indices = &graph->values[node->inputs[1]];
    int axis = node->attributes.index.axis;
    if (!are_indices(indices))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "indices that are not i32 or i64");
    if (in->shape.rank != indices->shape.rank || axis < 0 || axis >= in->shape.rank)
        return operator_fail(node, ERROR_MODEL, error, "indices of another rank, or an axis beyond it");
    for (int i = 0; i < in->shape.rank; i++) {
        if ((i != axis && indices->shape.dims[i] > in->shape.dims[i]) || in->shape.dims[i] < 1)
            return operator_fail(node, ERROR_MODEL, error, "indices that reach beyond the data, or empty data");
    }
    return ERROR_NONE;
}

enum error_code gather_elements_infer(struct graph *graph, struct node *node, struct error *error)
{
    struct value *out = &graph->values[node->outputs[0]];
    TRY(check_elements(graph, node, error));
    out->dtype = graph->values[node->inputs[0]].dtype;
    out->shape = graph->values[node->inputs[1]].shape;
    out->quantization = graph->values[node->inputs[0]].quantization;
    return ERROR_NONE;
}

enum error_code scatter_elements_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]], *updates = &graph->values[node->inputs[2]];
    struct value *out = &graph->values[node->outputs[0]];
    TRY(check_elements(graph, node, error));
    TRY(check_reduction(graph, node, error));
    if (!shape_equal(&updates->shape, &graph->values[node->inputs[1]].shape) || updates->dtype != in->dtype)
        return operator_fail(node, ERROR_MODEL, error, "updates of another shape or type");
    out->dtype = in->dtype;
    out->shape = in->shape;
    out->quantization = in->quantization;
    return ERROR_NONE;
}

/* Calls for each index: where it lies in the data, in elements. */
static void walk_elements(const struct operation *operation, void *const *data, bool gather)
{
    const struct value *in = operation_input(operation, 0), *indices = operation_input(operation, 1);
    const void *index_data = operation_input_data(operation, data, 1);
    const char *from = operation_input_data(operation, data, gather ? 0 : 2);
    char *to = operation_output_data(operation, data, 0);
    int axis = operation->node->attributes.index.axis;
    size_t bytes = dtype_bytes(in->dtype);
    int64_t strides[TENSOR_RANK_MAX], count = shape_elements(&indices->shape);
    int32_t position[TENSOR_RANK_MAX] = {0};
    dense_strides(&in->shape, strides);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = 0;
        for (int k = 0; k < in->shape.rank; k++)
            at += strides[k] * (k == axis ? index_at(indices, index_data, i, in->shape.dims[axis]) : position[k]);
        if (gather)
            memcpy(to + (size_t)i * bytes, from + (size_t)at * bytes, bytes);
        else
            put(in->dtype, (enum reduction)operation->node->attributes.index.reduction, to + (size_t)at * bytes, from + (size_t)i * bytes, 1);
        for (int k = in->shape.rank - 1; k >= 0 && ++position[k] == indices->shape.dims[k]; k--)
            position[k] = 0;
    }
}

static void copy_input(const struct operation *operation, void *const *data)
{
    const struct value *in = operation_input(operation, 0);
    const void *from = operation_input_data(operation, data, 0);
    void *to = operation_output_data(operation, data, 0);
    if (from != to)
        memcpy(to, from, (size_t)shape_elements(&in->shape) * dtype_bytes(in->dtype));
}

static void gather_elements_execute(const struct operation *operation, void *const *data, void *scratch)
{
    (void)scratch;
    walk_elements(operation, data, true);
}

static void scatter_elements_execute(const struct operation *operation, void *const *data, void *scratch)
{
    (void)scratch;
    copy_input(operation, data);
    walk_elements(operation, data, false);
}

/* By tuple: indices [outer..., depth]; depth axes of the data behind `batch` common ones are picked, the rest is copied. */
static enum error_code check_tuples(const struct graph *graph, const struct node *node, int *depth_out, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]], *indices = &graph->values[node->inputs[1]];
    int batch = node->attributes.index.batch, rank = indices->shape.rank;
    if (!are_indices(indices))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "indices that are not i32 or i64");
    if (rank < 1 || batch < 0 || batch >= rank || batch > in->shape.rank || indices->shape.dims[rank - 1] < 1 ||
        indices->shape.dims[rank - 1] > in->shape.rank - batch)
        return operator_fail(node, ERROR_MODEL, error, "tuples that do not fit the data's rank");
    for (int i = 0; i < in->shape.rank; i++) {
        if (in->shape.dims[i] < 1 || (i < batch && in->shape.dims[i] != indices->shape.dims[i]))
            return operator_fail(node, ERROR_MODEL, error, "empty data, or batches that differ");
    }
    *depth_out = indices->shape.dims[rank - 1];
    return ERROR_NONE;
}

enum error_code gather_nd_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]], *indices = &graph->values[node->inputs[1]];
    struct value *out = &graph->values[node->outputs[0]];
    int depth, batch = node->attributes.index.batch;
    TRY(check_tuples(graph, node, &depth, error));
    struct shape shape = {.rank = indices->shape.rank - 1 + in->shape.rank - batch - depth};
    if (shape.rank > TENSOR_RANK_MAX)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "too many dimensions");
    for (int i = 0; i < shape.rank; i++)
        shape.dims[i] = i < indices->shape.rank - 1 ? indices->shape.dims[i] : in->shape.dims[batch + depth + i - (indices->shape.rank - 1)];
    out->shape = shape;
    out->dtype = in->dtype;
    out->quantization = in->quantization;
    return ERROR_NONE;
}

enum error_code scatter_nd_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]], *indices = &graph->values[node->inputs[1]], *updates = &graph->values[node->inputs[2]];
    struct value *out = &graph->values[node->outputs[0]];
    int depth;
    node->attributes.index.batch = 0;
    TRY(check_tuples(graph, node, &depth, error));
    TRY(check_reduction(graph, node, error));
    bool fits = updates->dtype == in->dtype && updates->shape.rank == indices->shape.rank - 1 + in->shape.rank - depth;
    for (int i = 0; fits && i < updates->shape.rank; i++)
        fits = updates->shape.dims[i] == (i < indices->shape.rank - 1 ? indices->shape.dims[i] : in->shape.dims[depth + i - (indices->shape.rank - 1)]);
    if (!fits)
        return operator_fail(node, ERROR_MODEL, error, "updates of another shape or type");
    out->dtype = in->dtype;
    out->shape = in->shape;
    out->quantization = in->quantization;
    return ERROR_NONE;
}

static void walk_tuples(const struct operation *operation, void *const *data, bool gather)
{
    const struct value *in = operation_input(operation, 0), *indices = operation_input(operation, 1);
    const void *index_data = operation_input_data(operation, data, 1);
    const char *from = operation_input_data(operation, data, gather ? 0 : 2);
    char *to = operation_output_data(operation, data, 0);
    int batch = operation->node->attributes.index.batch, depth = indices->shape.dims[indices->shape.rank - 1];
    int64_t strides[TENSOR_RANK_MAX], tuples = shape_elements(&indices->shape) / depth;
    int64_t batches = dims_product(&in->shape, 0, batch), run = dims_product(&in->shape, batch + depth, in->shape.rank);
    int64_t each = batches > 0 ? tuples / batches : 0, batch_size = dims_product(&in->shape, batch, in->shape.rank);
    size_t run_bytes = (size_t)run * dtype_bytes(in->dtype);
    dense_strides(&in->shape, strides);
    for (int64_t i = 0; i < tuples; i++) {
        int64_t at = i / each * batch_size;
        for (int k = 0; k < depth; k++)
            at += strides[batch + k] * index_at(indices, index_data, i * depth + k, in->shape.dims[batch + k]);
        if (gather)
            memcpy(to + (size_t)i * run_bytes, from + (size_t)at * dtype_bytes(in->dtype), run_bytes);
        else
            put(in->dtype, (enum reduction)operation->node->attributes.index.reduction, to + (size_t)at * dtype_bytes(in->dtype),
                from + (size_t)i * run_bytes, run);
    }
}

static void gather_nd_execute(const struct operation *operation, void *const *data, void *scratch)
{
    (void)scratch;
    walk_tuples(operation, data, true);
}

static void scatter_nd_execute(const struct operation *operation, void *const *data, void *scratch)
{
    (void)scratch;
    copy_input(operation, data);
    walk_tuples(operation, data, false);
}

enum error_code indexing_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena, (void)error;
    switch (operation->node->kind) {
    case OPERATOR_GATHER_ELEMENTS: operation->execute = gather_elements_execute; break;
    case OPERATOR_GATHER_ND: operation->execute = gather_nd_execute; break;
    case OPERATOR_SCATTER_ELEMENTS: operation->execute = scatter_elements_execute; operation->in_place = true; break;
    default: operation->execute = scatter_nd_execute; operation->in_place = true; break;
    }
    return ERROR_NONE;
}
