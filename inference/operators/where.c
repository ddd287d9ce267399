/* SPDX-License-Identifier: Apache-2.0
 *
 * Where: of two operands the one that a truth value picks, all three broadcast. */
#include "inference/operators/families.h"

#include <string.h>

struct where {
    int64_t strides[3][TENSOR_RANK_MAX]; /* of each operand along the result's axes; 0: broadcast */
};

enum error_code where_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *condition = &graph->values[node->inputs[0]], *a = &graph->values[node->inputs[1]], *b = &graph->values[node->inputs[2]];
    struct value *out = &graph->values[node->outputs[0]];
    struct shape both;
    if (condition->dtype != DTYPE_BOOL || a->dtype != b->dtype || a->quantization.count > 0 || b->quantization.count > 0)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected a bool and two operands of one type");
    TRY(broadcast_shapes(node, &a->shape, &b->shape, &both, error));
    TRY(broadcast_shapes(node, &condition->shape, &both, &out->shape, error));
    out->dtype = a->dtype;
    return ERROR_NONE;
}

static void where_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct where *where = operation->prepared;
    const struct value *out = operation_output(operation, 0);
    const uint8_t *condition = operation_input_data(operation, data, 0);
    const char *operands[2] = {operation_input_data(operation, data, 2), operation_input_data(operation, data, 1)};
    char *to = operation_output_data(operation, data, 0);
    size_t bytes = dtype_bytes(out->dtype);
    int64_t count = shape_elements(&out->shape), at[3] = {0};
    int32_t position[TENSOR_RANK_MAX] = {0};
    (void)scratch;
    for (int64_t i = 0; i < count; i++, to += bytes) {
        bool first = condition[at[0]] != 0;
        memcpy(to, operands[first] + (size_t)at[first ? 1 : 2] * bytes, bytes);
        for (int axis = out->shape.rank - 1; axis >= 0; axis--) {
            for (int k = 0; k < 3; k++)
                at[k] += where->strides[k][axis];
            if (++position[axis] < out->shape.dims[axis])
                break;
            for (int k = 0; k < 3; k++)
                at[k] -= where->strides[k][axis] * out->shape.dims[axis];
            position[axis] = 0;
        }
    }
}

enum error_code where_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    struct where *where = arena_allocate(arena, sizeof *where);
    if (where == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    for (int i = 0; i < 3; i++)
        broadcast_strides(&operation_input(operation, i)->shape, &operation_output(operation, 0)->shape, where->strides[i]);
    operation->prepared = where;
    operation->execute = where_execute;
    return ERROR_NONE;
}
