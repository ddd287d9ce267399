/* SPDX-License-Identifier: Apache-2.0
 *
 * A convolution whose result is only put beside others writes it where it will lie: as channels of the larger tensor's pixels
 * (value.placed). The concat then has nothing to do for this input. */
#include "inference/passes/passes.h"

static bool is_like(const struct value *a, const struct value *b)
{
    const struct quantization *p = &a->quantization, *q = &b->quantization;
    return a->dtype == b->dtype && p->count == q->count && p->count <= 1 &&
           (p->count == 0 || (p->scale[0] == q->scale[0] && p->zero_point[0] == q->zero_point[0]));
}

/* Its results may have any distance: not those of a layer that adds another tensor, which lies as the result does. */
static bool is_convolution(const struct node *node)
{
    return node != NULL && node->kind == OPERATOR_CONV && node->input_count <= 3;
}

enum error_code pass_concat(struct graph *graph, struct error *error)
{
    struct graph_uses uses;
    TRY(graph_count_uses(graph, &uses, error));
    for (int32_t n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        struct value *out = &graph->values[node->outputs[0]];
        if (node->kind != OPERATOR_CONCAT || out->shape.rank != 4 || node->attributes.axis.axis != 3 || out->bounded)
            continue;
        int32_t channel = 0;
        for (int32_t i = 0; i < node->input_count; i++) {
            struct value *in = &graph->values[node->inputs[i]];
            if (uses.count[node->inputs[i]] == 1 && in->data == NULL && is_convolution(graph_producer(graph, node->inputs[i])) && is_like(in, out)) {
                in->placed = true;
                in->host = node->outputs[0];
                in->host_channel = channel;
            }
            channel += in->shape.dims[3];
        }
    }
    return ERROR_NONE;
}
