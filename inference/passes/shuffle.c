/* SPDX-License-Identifier: Apache-2.0
 *
 * concat(a, b) -> reshape [..., 2, C] -> transpose -> reshape [..., 2 C] (-> two slices in halves) of floats becomes one shuffle. */
#include "inference/operators/operators.h"
#include "inference/passes/passes.h"

static struct node *only_reader(struct graph *graph, const struct graph_uses *uses, int32_t value, enum operator_kind kind)
{
    if (uses->count[value] != 1 || uses->consumer[value] < 0)
        return NULL;
    struct node *reader = &graph->nodes[uses->consumer[value]];
    return reader->kind == kind && !reader->removed ? reader : NULL;
}

static int32_t last_dim(const struct value *value)
{
    return value->shape.rank > 0 ? value->shape.dims[value->shape.rank - 1] : 0;
}

static bool is_pair(const struct graph *graph, const struct node *concat)
{
    if (concat->kind != OPERATOR_CONCAT || concat->input_count != 2)
        return false;
    const struct value *a = &graph->values[concat->inputs[0]], *b = &graph->values[concat->inputs[1]];
    return a->dtype == DTYPE_F32 && a->data == NULL && b->data == NULL && shape_equal(&a->shape, &b->shape) &&
           concat->attributes.axis.axis == a->shape.rank - 1;
}

/* [..., 2, C] to [..., C, 2], all before in place. */
static bool swaps_last_two(const struct graph *graph, const struct node *transpose, int32_t channels)
{
    const struct shape *shape = &graph->values[transpose->inputs[0]].shape;
    const int32_t *order = transpose->attributes.transpose.order;
    int rank = shape->rank;
    for (int i = 0; i < rank - 2; i++) {
        if (order[i] != i)
            return false;
    }
    return rank >= 3 && order[rank - 1] == rank - 2 && shape->dims[rank - 2] == 2 && shape->dims[rank - 1] == channels;
}

/* The node that takes channels [begin, begin + channels) of value and all of its other axes. */
static struct node *half_of(struct graph *graph, int32_t value, int32_t begin, int32_t channels)
{
    int rank = graph->values[value].shape.rank;
    for (int32_t n = 0; n < graph->node_count; n++) {
        struct node *slice = &graph->nodes[n];
        if (slice->kind != OPERATOR_SLICE || slice->removed || slice->inputs[0] != value)
            continue;
        const struct shape *out = &graph->values[slice->outputs[0]].shape;
        bool fits = out->rank == rank && out->dims[rank - 1] == channels && slice->attributes.slice.begin[rank - 1] == begin;
        for (int i = 0; i < rank && fits; i++)
            fits = slice->attributes.slice.step[i] == 1 && (i == rank - 1 || out->dims[i] == graph->values[value].shape.dims[i]);
        if (fits)
            return slice;
    }
    return NULL;
}

enum error_code pass_shuffle(struct graph *graph, struct error *error)
{
    struct graph_uses uses;
    TRY(graph_count_uses(graph, &uses, error));
    for (int32_t n = 0, count = graph->node_count; n < count; n++) {
        if (graph->nodes[n].removed || !is_pair(graph, &graph->nodes[n]))
            continue;
        int32_t operands[2] = {graph->nodes[n].inputs[0], graph->nodes[n].inputs[1]}, channels = last_dim(&graph->values[operands[0]]);
        struct node *split = only_reader(graph, &uses, graph->nodes[n].outputs[0], OPERATOR_RESHAPE);
        struct node *transpose = split == NULL ? NULL : only_reader(graph, &uses, split->outputs[0], OPERATOR_TRANSPOSE);
        struct node *joined = transpose == NULL || !swaps_last_two(graph, transpose, channels)
                                  ? NULL
                                  : only_reader(graph, &uses, transpose->outputs[0], OPERATOR_RESHAPE);
        if (joined == NULL || !shape_equal(&graph->values[joined->outputs[0]].shape, &graph->values[graph->nodes[n].outputs[0]].shape))
            continue;
        int32_t whole = joined->outputs[0];
        struct node *low = channels % 2 == 0 && uses.count[whole] == 2 ? half_of(graph, whole, 0, channels) : NULL;
        struct node *high = low != NULL ? half_of(graph, whole, channels, channels) : NULL;
        int32_t outputs[2] = {high != NULL ? low->outputs[0] : whole, high != NULL ? high->outputs[0] : GRAPH_NO_VALUE};
        graph->nodes[n].removed = split->removed = transpose->removed = joined->removed = true;
        if (high != NULL)
            low->removed = high->removed = true;
        struct node *shuffle = graph_add_node(graph, OPERATOR_SHUFFLE_CHANNELS, graph->nodes[n].name, 2, high != NULL ? 2 : 1);
        if (shuffle == NULL)
            return error_set(error, ERROR_LIMIT, "the rewritten graph is larger than eddy takes");
        for (int32_t i = 0; i < shuffle->output_count; i++) {
            shuffle->outputs[i] = outputs[i];
            graph->values[outputs[i]].producer = graph->node_count - 1;
        }
        shuffle->inputs[0] = operands[0];
        shuffle->inputs[1] = operands[1];
    }
    return ERROR_NONE;
}
