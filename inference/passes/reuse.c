/* SPDX-License-Identifier: Apache-2.0
 *
 * Of floats: a slice that takes one input of a concat back out is that input, and what a node close before has computed from the same operands is
 * not computed again. Exporters write box decoders so. */
#include "inference/passes/passes.h"

#include <string.h>

enum {
    LOOK_BACK = 32,         /* nodes: that what it costs grows with the graph alone */
    CONSTANT_BYTES_MAX = 64 /* of which two are compared */
};

static bool is_plain(const struct value *value)
{
    return value->dtype == DTYPE_F32 && value->quantization.count == 0 && !value->bounded;
}

/* The input of a concat that the slice consists of; GRAPH_NO_VALUE: there is none. */
static int32_t sliced_input(const struct graph *graph, const struct node *slice)
{
    const struct value *whole = &graph->values[slice->inputs[0]];
    const struct node *concat = whole->data == NULL ? graph_producer(graph, slice->inputs[0]) : NULL;
    if (concat == NULL || concat->kind != OPERATOR_CONCAT)
        return GRAPH_NO_VALUE;
    int32_t axis = concat->attributes.axis.axis, begin = 0;
    for (int32_t i = 0; i < whole->shape.rank; i++) {
        if (slice->attributes.slice.step[i] != 1 || (i != axis && slice->attributes.slice.begin[i] != 0))
            return GRAPH_NO_VALUE;
    }
    for (int32_t i = 0; i < concat->input_count; i++) {
        const struct value *part = &graph->values[concat->inputs[i]];
        if (begin == slice->attributes.slice.begin[axis] && is_plain(part) && shape_equal(&part->shape, &graph->values[slice->outputs[0]].shape))
            return concat->inputs[i];
        begin += part->shape.dims[axis];
    }
    return GRAPH_NO_VALUE;
}

static bool is_same_operand(const struct graph *graph, int32_t a, int32_t b)
{
    if (a == b)
        return true;
    if (a < 0 || b < 0)
        return false;
    const struct value *p = &graph->values[a], *q = &graph->values[b];
    size_t bytes = (size_t)shape_elements(&p->shape) * dtype_bytes(p->dtype);
    return p->data != NULL && q->data != NULL && p->dtype == q->dtype && p->quantization.count == 0 && q->quantization.count == 0 &&
           shape_equal(&p->shape, &q->shape) && bytes <= CONSTANT_BYTES_MAX && memcmp(p->data, q->data, bytes) == 0;
}

static bool may_repeat(const struct node *node)
{
    return node->kind == OPERATOR_SLICE || node->kind == OPERATOR_ADD || node->kind == OPERATOR_SUB || node->kind == OPERATOR_MUL ||
           node->kind == OPERATOR_DIV;
}

static bool is_repeated(const struct graph *graph, const struct node *a, const struct node *b)
{
    bool same = a->kind == b->kind && a->input_count == b->input_count && a->activation == b->activation && a->activation_low == b->activation_low &&
                a->activation_high == b->activation_high && memcmp(&a->attributes, &b->attributes, sizeof a->attributes) == 0 &&
                is_plain(&graph->values[a->outputs[0]]) && shape_equal(&graph->values[a->outputs[0]].shape, &graph->values[b->outputs[0]].shape);
    for (int32_t i = 0; i < a->input_count && same; i++)
        same = is_same_operand(graph, a->inputs[i], b->inputs[i]);
    return same;
}

/* The result of an earlier node that this one computes again. */
static int32_t earlier_result(const struct graph *graph, int32_t n)
{
    for (int32_t i = n - 1; i >= 0 && i >= n - LOOK_BACK; i--) {
        if (!graph->nodes[i].removed && is_repeated(graph, &graph->nodes[i], &graph->nodes[n]))
            return graph->nodes[i].outputs[0];
    }
    return GRAPH_NO_VALUE;
}

enum error_code pass_reuse(struct graph *graph, struct error *error)
{
    struct graph_renaming renaming;
    TRY(graph_renaming_begin(graph, &renaming, error));
    for (int32_t n = 0; n < graph->node_count; n++) {
        struct node *node = &graph->nodes[n];
        graph_renew(graph, &renaming, node);
        if (!may_repeat(node) || !is_plain(&graph->values[node->outputs[0]]) || renaming.is_output[node->outputs[0]])
            continue;
        int32_t same = node->kind == OPERATOR_SLICE ? sliced_input(graph, node) : GRAPH_NO_VALUE;
        same = same >= 0 ? same : earlier_result(graph, n);
        if (same < 0)
            continue;
        graph_rename(&renaming, node->outputs[0], same);
        node->removed = true;
    }
    graph_renaming_end(graph, &renaming);
    return ERROR_NONE;
}
