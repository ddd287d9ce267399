/* SPDX-License-Identifier: Apache-2.0
 *
 * The loader wraps each spatial operator of an NCHW file in transposes. This pass lets them meet and vanish:
 *   sink    op(transpose(x)) becomes transpose(op(x)) for operators that look at elements, with their axes renamed;
 *   merge   transpose(transpose(x)) becomes one, or none;
 *   shuffle reshape-transpose-reshape over channels is done on the NHWC side;
 *   hoist   transpose(op(x)) becomes op(transpose(x)) where op is elementwise and nobody else reads it, so that what is left moves to the
 *           edge of the graph;
 * and a transpose that moves no element (all but one of its axes are 1) is a reshape. */
#include "inference/operators/operators.h"
#include "inference/passes/passes.h"

#include <string.h>

static const struct node *transpose_before(const struct graph *graph, int32_t value)
{
    const struct node *producer = value < 0 || graph->values[value].data != NULL ? NULL : graph_producer(graph, value);
    return producer != NULL && producer->kind == OPERATOR_TRANSPOSE ? producer : NULL;
}

static enum error_code no_room(struct error *error)
{
    return error_set(error, ERROR_LIMIT, "the rewritten graph is larger than eddy takes");
}

/* Puts a transpose between node n's output and its readers: they keep the value, the node gets a new one in the source layout. */
static enum error_code transpose_after(struct graph *graph, int32_t n, const int32_t *order, struct error *error)
{
    int32_t output = graph->nodes[n].outputs[0], rank = graph->values[output].shape.rank;
    struct node *transpose = graph_add_node(graph, OPERATOR_TRANSPOSE, graph->nodes[n].name, 1, 1);
    if (transpose == NULL)
        return no_room(error);
    int32_t inner = transpose->outputs[0];
    struct value moved = graph->values[output];
    for (int32_t i = 0; i < rank; i++)
        moved.shape.dims[order[i]] = graph->values[output].shape.dims[i];
    moved.producer = n;
    graph->values[inner] = moved;
    graph->nodes[n].outputs[0] = inner;
    memcpy(transpose->attributes.transpose.order, order, (size_t)rank * sizeof *order);
    transpose->inputs[0] = inner;
    transpose->outputs[0] = output;
    graph->values[output].producer = graph->node_count - 1;
    return ERROR_NONE;
}

static bool is_elementwise(enum operator_kind kind)
{
    return (kind >= OPERATOR_RELU && kind <= OPERATOR_NOT && kind != OPERATOR_PRELU) || kind == OPERATOR_CAST || kind == OPERATOR_QUANTIZE ||
           kind == OPERATOR_DEQUANTIZE || kind == OPERATOR_REQUANTIZE;
}

static bool is_binary(enum operator_kind kind)
{
    return (kind >= OPERATOR_ADD && kind <= OPERATOR_OR) || kind == OPERATOR_PRELU;
}

/* The common order of all computed inputs; NULL: there is none. Constants are permuted later. */
static const int32_t *common_order(const struct graph *graph, const struct node *node)
{
    const struct node *first = NULL;
    for (int32_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] < 0 || graph->values[node->inputs[i]].data != NULL)
            continue;
        const struct node *transpose = transpose_before(graph, node->inputs[i]);
        int32_t rank = graph->values[node->inputs[i]].shape.rank;
        if (transpose == NULL || (first != NULL && (graph->values[first->outputs[0]].shape.rank != rank ||
                                                    memcmp(first->attributes.transpose.order, transpose->attributes.transpose.order,
                                                           (size_t)rank * sizeof(int32_t)) != 0)))
            return NULL;
        first = transpose;
    }
    return first != NULL ? first->attributes.transpose.order : NULL;
}

/* A constant operand as the source layout wants it: its axes filled up to the rank, then permuted the other way. */
static enum error_code permute_constant(struct graph *graph, int32_t value, int rank, const int32_t *order, int32_t *value_out, struct error *error)
{
    struct shape shape = graph->values[value].shape, full = {.rank = rank};
    for (int i = 0; i < rank; i++)
        full.dims[i] = i < rank - shape.rank ? 1 : shape.dims[i - (rank - shape.rank)];
    int32_t source = graph_add_constant(graph, graph->values[value].name, graph->values[value].dtype, &full, graph->values[value].data);
    struct node *transpose = source < 0 ? NULL : graph_add_node(graph, OPERATOR_TRANSPOSE, graph->values[value].name, 1, 1);
    if (transpose == NULL)
        return no_room(error);
    graph->values[source].quantization = graph->values[value].quantization;
    for (int i = 0; i < rank; i++)
        transpose->attributes.transpose.order[order[i]] = i;
    transpose->inputs[0] = source;
    *value_out = transpose->outputs[0];
    TRY(operator_infer(graph, transpose, error));
    return operator_fold(graph, transpose, error);
}

/* Makes the node read what its transposes read. */
static enum error_code bypass_transposes(struct graph *graph, int32_t n, const int32_t *order, struct error *error)
{
    int rank = graph->values[graph->nodes[n].outputs[0]].shape.rank;
    for (int32_t i = 0; i < graph->nodes[n].input_count; i++) {
        int32_t input = graph->nodes[n].inputs[i], replacement = input;
        const struct node *transpose = transpose_before(graph, input);
        if (transpose != NULL)
            replacement = transpose->inputs[0];
        else if (input >= 0 && shape_elements(&graph->values[input].shape) > 1)
            TRY(permute_constant(graph, input, rank, order, &replacement, error));
        graph->nodes[n].inputs[i] = replacement;
    }
    return ERROR_NONE;
}

static void permute_attributes(int32_t *list, int rank, const int32_t *order)
{
    int32_t moved[TENSOR_RANK_MAX];
    for (int i = 0; i < rank; i++)
        moved[order[i]] = list[i];
    memcpy(list, moved, (size_t)rank * sizeof *list);
}

/* Renames the axes in the node's attributes; false: this operator's meaning does not survive. */
static bool rename_axes(struct graph *graph, struct node *node, const int32_t *order)
{
    int rank = graph->values[node->outputs[0]].shape.rank;
    switch (node->kind) {
    case OPERATOR_CONCAT:
        node->attributes.axis.axis = order[node->attributes.axis.axis];
        return true;
    case OPERATOR_SOFTMAX:
        if (node->attributes.softmax.flatten)
            return false;
        node->attributes.softmax.axis = order[node->attributes.softmax.axis];
        return true;
    case OPERATOR_SLICE:
        permute_attributes(node->attributes.slice.begin, rank, order);
        permute_attributes(node->attributes.slice.step, rank, order);
        return true;
    case OPERATOR_PAD:
        permute_attributes(node->attributes.pad.before, rank, order);
        permute_attributes(node->attributes.pad.after, rank, order);
        return true;
    default:
        return is_elementwise(node->kind) || is_binary(node->kind);
    }
}

static bool same_rank(const struct graph *graph, const struct node *node)
{
    int rank = graph->values[node->outputs[0]].shape.rank;
    for (int32_t i = 0; i < node->input_count; i++) {
        const struct value *value = &graph->values[node->inputs[i]];
        if (node->inputs[i] >= 0 && (value->data == NULL ? value->shape.rank != rank : value->shape.rank > rank))
            return false;
        bool needs_full_rank = node->kind == OPERATOR_CONCAT;
        if (node->inputs[i] >= 0 && needs_full_rank && (value->shape.rank != rank || (value->data != NULL && shape_elements(&value->shape) <= 1)))
            return false;
    }
    return true;
}

static enum error_code sink(struct graph *graph, int32_t n, struct error *error)
{
    const int32_t *found = common_order(graph, &graph->nodes[n]);
    int32_t order[TENSOR_RANK_MAX];
    if (found == NULL || graph->nodes[n].output_count != 1 || !same_rank(graph, &graph->nodes[n]))
        return ERROR_NONE;
    memcpy(order, found, sizeof order);
    if (!rename_axes(graph, &graph->nodes[n], order))
        return ERROR_NONE;
    TRY(bypass_transposes(graph, n, order, error));
    return transpose_after(graph, n, order, error);
}

/* Reductions that drop their axes need no transpose behind them where the axes that stay keep their order. */
static void sink_reduction(struct graph *graph, struct node *node)
{
    const struct node *transpose = transpose_before(graph, node->inputs[0]);
    if (transpose == NULL || node->attributes.reduce.keep_dims || node->attributes.reduce.count == 0)
        return;
    const int32_t *order = transpose->attributes.transpose.order;
    int32_t last = -1;
    for (int i = 0; i < graph->values[node->inputs[0]].shape.rank; i++) {
        bool reduced = false;
        for (int k = 0; k < node->attributes.reduce.count; k++)
            reduced = reduced || node->attributes.reduce.axes[k] == i;
        if (!reduced && order[i] < last)
            return;
        last = reduced ? last : order[i];
    }
    for (int k = 0; k < node->attributes.reduce.count; k++)
        node->attributes.reduce.axes[k] = order[node->attributes.reduce.axes[k]];
    node->inputs[0] = transpose->inputs[0];
}

static void merge(struct graph *graph, struct node *node)
{
    const struct node *before = transpose_before(graph, node->inputs[0]);
    if (before == NULL)
        return;
    int rank = graph->values[node->inputs[0]].shape.rank;
    for (int i = 0; i < rank; i++)
        node->attributes.transpose.order[i] = before->attributes.transpose.order[node->attributes.transpose.order[i]];
    node->inputs[0] = before->inputs[0];
}

/* The axes that are not 1 keep their order: no element moves. */
static bool moves_nothing(const struct graph *graph, const struct node *transpose)
{
    const struct shape *shape = &graph->values[transpose->inputs[0]].shape;
    int32_t last = -1;
    for (int i = 0; i < shape->rank; i++) {
        int32_t axis = transpose->attributes.transpose.order[i];
        if (shape->dims[axis] == 1)
            continue;
        if (axis < last)
            return false;
        last = axis;
    }
    return true;
}

static void simplify(struct graph *graph, struct graph_renaming *renaming, struct node *node)
{
    if (node->kind == OPERATOR_TRANSPOSE && moves_nothing(graph, node))
        node->kind = OPERATOR_RESHAPE;
    if (node->kind != OPERATOR_RESHAPE)
        return;
    const struct node *before = graph_producer(graph, node->inputs[0]);
    if (before != NULL && before->kind == OPERATOR_RESHAPE && graph->values[node->inputs[0]].data == NULL)
        node->inputs[0] = before->inputs[0];
    const struct value *in = &graph->values[node->inputs[0]], *out = &graph->values[node->outputs[0]];
    bool border = renaming->is_output[node->outputs[0]];
    if (!border && in->dtype == out->dtype && shape_equal(&in->shape, &out->shape)) {
        graph_rename(renaming, node->outputs[0], node->inputs[0]);
        node->removed = true;
    }
}

static bool order_is(const struct node *node, const int32_t *order, int rank)
{
    return node != NULL && node->kind == OPERATOR_TRANSPOSE && memcmp(node->attributes.transpose.order, order, (size_t)rank * sizeof *order) == 0;
}

static enum error_code reshape_to(struct graph *graph, int32_t value, const struct shape *shape, const char *name, int32_t *value_out, struct error *error)
{
    struct node *node = graph_add_node(graph, OPERATOR_RESHAPE, name, 1, 1);
    if (node == NULL)
        return no_room(error);
    node->inputs[0] = value;
    graph->values[node->outputs[0]].shape = *shape;
    graph->values[node->outputs[0]].shape_known = true;
    *value_out = node->outputs[0];
    return operator_infer(graph, node, error);
}

/* [N,C,H,W] -> [N,g,C/g,H,W] -> (0,2,1,3,4) -> [N,C,H,W] with NHWC before it. n is the last reshape. */
static enum error_code shuffle(struct graph *graph, int32_t n, struct error *error)
{
    static const int32_t to_nchw[] = {0, 3, 1, 2}, swap[] = {0, 2, 1, 3, 4};
    const struct node *last = &graph->nodes[n], *middle = graph_producer(graph, last->inputs[0]);
    if (!order_is(middle, swap, 5) || graph->values[last->inputs[0]].shape.rank != 5)
        return ERROR_NONE;
    const struct node *first = graph_producer(graph, middle->inputs[0]);
    if (first == NULL || first->kind != OPERATOR_RESHAPE)
        return ERROR_NONE;
    const struct node *outer = graph_producer(graph, first->inputs[0]);
    const struct shape nchw = graph->values[first->inputs[0]].shape, grouped = graph->values[middle->inputs[0]].shape;
    if (nchw.rank != 4 || !order_is(outer, to_nchw, 4) || !shape_equal(&graph->values[last->outputs[0]].shape, &nchw) ||
        grouped.dims[0] != nchw.dims[0] || (int64_t)grouped.dims[1] * grouped.dims[2] != nchw.dims[1] || grouped.dims[3] != nchw.dims[2])
        return ERROR_NONE;
    const char *name = last->name;
    int32_t source = outer->inputs[0], value, output = last->outputs[0];
    struct shape split = {.rank = 5, .dims = {nchw.dims[0], nchw.dims[2], nchw.dims[3], grouped.dims[1], grouped.dims[2]}};
    struct shape joined = {.rank = 4, .dims = {nchw.dims[0], nchw.dims[2], nchw.dims[3], nchw.dims[1]}};
    TRY(reshape_to(graph, source, &split, name, &value, error));
    struct node *transpose = graph_add_node(graph, OPERATOR_TRANSPOSE, name, 1, 1);
    if (transpose == NULL)
        return no_room(error);
    memcpy(transpose->attributes.transpose.order, (int32_t[]){0, 1, 2, 4, 3}, 5 * sizeof(int32_t));
    transpose->inputs[0] = value;
    int32_t shuffled = transpose->outputs[0];
    TRY(operator_infer(graph, transpose, error));
    TRY(reshape_to(graph, shuffled, &joined, name, &value, error));
    struct node *node = &graph->nodes[n];
    node->kind = OPERATOR_TRANSPOSE;
    node->inputs[0] = value;
    node->outputs[0] = output;
    memcpy(node->attributes.transpose.order, to_nchw, sizeof to_nchw);
    return ERROR_NONE;
}

static enum error_code sink_all(struct graph *graph, struct error *error)
{
    int32_t count = graph->node_count;
    struct graph_renaming renaming;
    TRY(graph_renaming_begin(graph, &renaming, error));
    for (int32_t n = 0; n < count; n++) {
        struct node *node = &graph->nodes[n];
        if (node->removed)
            continue;
        graph_renew(graph, &renaming, node);
        if (node->kind == OPERATOR_TRANSPOSE)
            merge(graph, node);
        else if (node->kind == OPERATOR_RESHAPE)
            TRY(shuffle(graph, n, error));
        else if (node->kind >= OPERATOR_REDUCE_MEAN && node->kind <= OPERATOR_REDUCE_MIN)
            sink_reduction(graph, node);
        else
            TRY(sink(graph, n, error));
        node = &graph->nodes[n];
        if (node->kind == OPERATOR_TRANSPOSE || node->kind == OPERATOR_RESHAPE)
            simplify(graph, &renaming, node);
    }
    graph_renaming_end(graph, &renaming);
    return ERROR_NONE;
}

/* transpose(op(x)) to op(transpose(x)): the two nodes swap places, the value between them changes its layout. */
static bool hoist_one(struct graph *graph, const struct graph_uses *uses, int32_t t)
{
    struct node *transpose = &graph->nodes[t];
    int32_t between = transpose->inputs[0];
    struct node *before = graph->values[between].data == NULL ? graph_producer(graph, between) : NULL;
    if (before == NULL || !is_elementwise(before->kind) || uses->count[between] != 1 || graph->values[before->inputs[0]].data != NULL ||
        graph->values[before->inputs[0]].quantization.count > 1 || before->output_count != 1)
        return false;
    struct node upper = *transpose, lower = *before;
    int32_t source = before->inputs[0], result = transpose->outputs[0];
    struct value moved = graph->values[between];
    moved.dtype = graph->values[source].dtype;
    moved.quantization = graph->values[source].quantization;
    moved.shape = graph->values[result].shape;
    int32_t position = graph->values[between].producer;
    upper.inputs[0] = source;
    upper.outputs[0] = between;
    lower.inputs[0] = between;
    lower.outputs[0] = result;
    graph->nodes[position] = upper;
    graph->nodes[t] = lower;
    moved.producer = position;
    graph->values[between] = moved;
    graph->values[result].producer = t;
    return true;
}

static enum error_code hoist_all(struct graph *graph, struct error *error)
{
    struct graph_uses uses;
    TRY(graph_count_uses(graph, &uses, error));
    for (int32_t n = graph->node_count - 1; n >= 0; n--) {
        if (!graph->nodes[n].removed && graph->nodes[n].kind == OPERATOR_TRANSPOSE)
            hoist_one(graph, &uses, n);
    }
    return ERROR_NONE;
}

enum error_code pass_layout(struct graph *graph, struct error *error)
{
    enum { ROUNDS = 2 };
    for (int round = 0; round < ROUNDS; round++) {
        TRY(sink_all(graph, error));
        TRY(graph_compact(graph, error));
        TRY(hoist_all(graph, error));
        TRY(graph_compact(graph, error));
    }
    struct graph_renaming renaming;
    TRY(graph_renaming_begin(graph, &renaming, error));
    for (int32_t n = 0; n < graph->node_count; n++) {
        graph_renew(graph, &renaming, &graph->nodes[n]);
        if (graph->nodes[n].kind == OPERATOR_TRANSPOSE)
            merge(graph, &graph->nodes[n]);
        simplify(graph, &renaming, &graph->nodes[n]);
    }
    graph_renaming_end(graph, &renaming);
    return ERROR_NONE;
}
