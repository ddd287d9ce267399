/* SPDX-License-Identifier: Apache-2.0
 *
 * Values whose extent along one axis only a run knows (graph.h: "Known by a run only"): which operators pass the bound on and where it lies in
 * their result; NonZero, which makes one. */
#include "inference/operators/families.h"

#include <string.h>

static bool is_elementwise(enum operator_kind kind)
{
    return (kind >= OPERATOR_RELU && kind <= OPERATOR_NOT && kind != OPERATOR_PRELU) || kind == OPERATOR_CAST || kind == OPERATOR_QUANTIZE ||
           kind == OPERATOR_DEQUANTIZE;
}

static bool is_broadcast(enum operator_kind kind)
{
    return (kind >= OPERATOR_ADD && kind <= OPERATOR_WHERE) || kind == OPERATOR_PRELU;
}

static int reshaped_axis(const struct shape *in, const struct shape *out, int axis)
{
    int64_t before = dims_product(in, 0, axis), product = 1;
    for (int i = 0; i < out->rank; product *= out->dims[i++]) {
        if (product == before && out->dims[i] == in->dims[axis])
            return i;
    }
    return -1;
}

static int transposed_axis(const struct node *node, int rank, int axis)
{
    for (int i = 0; i < rank; i++) {
        if (node->attributes.transpose.order[i] == axis)
            return i;
    }
    return -1;
}

/* Where the bound of input `index` lies in output 0; -1: this operator does not pass it on. */
static int axis_of_result(const struct graph *graph, const struct node *node, int index)
{
    const struct value *in = &graph->values[node->inputs[index]], *out = &graph->values[node->outputs[0]];
    int axis = in->bound_axis, along = node->attributes.axis.axis;
    if (is_elementwise(node->kind))
        return axis;
    if (is_broadcast(node->kind))
        return axis + out->shape.rank - in->shape.rank;
    switch (node->kind) {
    case OPERATOR_RESHAPE: return reshaped_axis(&in->shape, &out->shape, axis);
    case OPERATOR_TRANSPOSE: return transposed_axis(node, in->shape.rank, axis);
    case OPERATOR_SLICE:
        return out->shape.dims[axis] == in->shape.dims[axis] && node->attributes.slice.step[axis] == 1 ? axis : -1;
    case OPERATOR_GATHER:
        if (index == 1)
            return along + axis;
        return along == axis ? -1 : axis < along ? axis : axis - 1 + graph->values[node->inputs[1]].shape.rank;
    case OPERATOR_GATHER_ND: return index == 1 && axis < in->shape.rank - 1 && node->attributes.index.batch == 0 ? axis : -1;
    case OPERATOR_CONCAT: return along != axis ? axis : -1;
    default: return -1;
    }
}

/* An operand without a bound goes with one only where it does not reach along that axis. */
static bool goes_along(const struct graph *graph, const struct node *node, int index, int result_axis)
{
    const struct value *in = &graph->values[node->inputs[index]], *out = &graph->values[node->outputs[0]];
    int axis = result_axis - (out->shape.rank - in->shape.rank);
    return is_broadcast(node->kind) ? axis < 0 || in->shape.dims[axis] == 1 : node->kind != OPERATOR_CONCAT;
}

enum error_code bounded_infer(struct graph *graph, struct node *node, struct error *error)
{
    struct value *out = &graph->values[node->outputs[0]];
    int result_axis = -1, count = -1;
    out->bounded = false;
    if (node->kind == OPERATOR_NON_MAX_SUPPRESSION || node->kind == OPERATOR_NON_ZERO) {
        out->bounded = true;
        out->bound_axis = node->kind == OPERATOR_NON_ZERO;
        out->bound_count = node->outputs[1];
        return ERROR_NONE;
    }
    for (int32_t i = 0; i < node->input_count; i++) {
        const struct value *in = node->inputs[i] >= 0 ? &graph->values[node->inputs[i]] : NULL;
        if (in == NULL || !in->bounded)
            continue;
        int axis = axis_of_result(graph, node, i);
        if (axis < 0 || (count >= 0 && (axis != result_axis || in->bound_count != count)))
            return operator_fail(node, ERROR_UNSUPPORTED, error, "an operand whose extent is known by a run only");
        result_axis = axis;
        count = in->bound_count;
    }
    if (count < 0)
        return ERROR_NONE;
    for (int32_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] >= 0 && !graph->values[node->inputs[i]].bounded && !goes_along(graph, node, i, result_axis))
            return operator_fail(node, ERROR_UNSUPPORTED, error, "an operand whose extent is known by a run only, beside one that is fixed");
    }
    out->bounded = true;
    out->bound_axis = result_axis;
    out->bound_count = count;
    return ERROR_NONE;
}

int32_t bounded_shrink(const struct value *value, const void *count, void *data)
{
    int64_t bound = value->shape.dims[value->bound_axis], actual = *(const int64_t *)count;
    actual = actual < 0 ? 0 : actual > bound ? bound : actual;
    int64_t outer = dims_product(&value->shape, 0, value->bound_axis);
    size_t inner = (size_t)dims_product(&value->shape, value->bound_axis + 1, value->shape.rank) * dtype_bytes(value->dtype);
    for (int64_t i = 1; i < outer; i++)
        memmove((char *)data + (size_t)(i * actual) * inner, (char *)data + (size_t)(i * bound) * inner, (size_t)actual * inner);
    return (int32_t)actual;
}

/* x -> [rank, <= elements], and how many. */
enum error_code non_zero_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    struct value *out = &graph->values[node->outputs[0]], *count = &graph->values[node->outputs[1]];
    if (in->shape.rank < 1 || in->quantization.count > 0 || shape_elements(&in->shape) > TENSOR_ELEMENTS_MAX / TENSOR_RANK_MAX)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected rank 1 or more, not quantised, not too large");
    out->dtype = count->dtype = DTYPE_I64;
    out->shape = (struct shape){.rank = 2, .dims = {in->shape.rank, (int32_t)shape_elements(&in->shape)}};
    count->shape = (struct shape){.rank = 0};
    return ERROR_NONE;
}

static void non_zero_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0);
    const void *from = operation_input_data(operation, data, 0);
    int64_t *to = operation_output_data(operation, data, 0), *count = operation_output_data(operation, data, 1);
    int64_t elements = shape_elements(&in->shape), found = 0;
    int32_t position[TENSOR_RANK_MAX] = {0};
    (void)scratch;
    memset(to, 0, (size_t)elements * (size_t)in->shape.rank * sizeof *to);
    for (int64_t i = 0; i < elements; i++) {
        bool is_found = element_read(in->dtype, from, i) != 0;
        for (int axis = 0; is_found && axis < in->shape.rank; axis++)
            to[axis * elements + found] = position[axis];
        found += is_found;
        for (int axis = in->shape.rank - 1; axis >= 0 && ++position[axis] == in->shape.dims[axis]; axis--)
            position[axis] = 0;
    }
    *count = found;
}

enum error_code non_zero_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena, (void)error;
    operation->execute = non_zero_execute;
    return ERROR_NONE;
}
