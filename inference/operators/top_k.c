/* SPDX-License-Identifier: Apache-2.0
 *
 * TopK: the k largest or smallest along an axis, best first, equal ones in their order; values and indices. The keys of a line become a heap,
 * which gives its best k times. */
#include "inference/operators/families.h"
#include "inference/operators/heap.h"
#include "inference/operators/order.h"

#include <string.h>

enum error_code top_k_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    int axis = node->attributes.top_k.axis;
    if (axis < 0 || axis >= in->shape.rank || node->attributes.top_k.k < 0 || node->attributes.top_k.k > in->shape.dims[axis] || node->output_count != 2)
        return operator_fail(node, ERROR_MODEL, error, "an axis beyond the input's rank, or a k beyond that axis");
    if (in->dtype == DTYPE_F16)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "not supported for this type");
    for (int i = 0; i < 2; i++) {
        struct value *out = &graph->values[node->outputs[i]];
        out->dtype = i == 0 ? in->dtype : DTYPE_I64;
        out->shape = in->shape;
        out->shape.dims[axis] = node->attributes.top_k.k;
    }
    graph->values[node->outputs[0]].quantization = in->quantization;
    return ERROR_NONE;
}

static void top_k_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0);
    const char *from = operation_input_data(operation, data, 0);
    char *values = operation_output_data(operation, data, 0);
    int64_t *indices = operation_output_data(operation, data, 1);
    int axis = operation->node->attributes.top_k.axis;
    int64_t outer = dims_product(&in->shape, 0, axis), length = in->shape.dims[axis], inner = dims_product(&in->shape, axis + 1, in->shape.rank);
    int64_t k = operation->node->attributes.top_k.k;
    size_t bytes = dtype_bytes(in->dtype);
    struct heap_entry *heap = scratch;
    for (int64_t line = 0; line < outer * inner; line++) {
        int64_t start = line / inner * length * inner + line % inner, to = line / inner * k * inner + line % inner;
        for (int64_t i = 0; i < length; i++) {
            int64_t key = order_key(in->dtype, from, start + i * inner);
            heap[i] = (struct heap_entry){.key = operation->node->attributes.top_k.largest ? key : -1 - key, .index = i};
        }
        heap_make(heap, length);
        for (int64_t i = 0; i < k; i++, to += inner) {
            int64_t best = heap_take(heap, length - i).index;
            memcpy(values + (size_t)to * bytes, from + (size_t)(start + best * inner) * bytes, bytes);
            indices[to] = best;
        }
    }
}

enum error_code top_k_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct value *in = operation_input(operation, 0);
    (void)arena, (void)error;
    operation->scratch_bytes = ((size_t)in->shape.dims[operation->node->attributes.top_k.axis] + 1) * sizeof(struct heap_entry);
    operation->execute = top_k_execute;
    return ERROR_NONE;
}
