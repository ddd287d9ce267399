/* SPDX-License-Identifier: Apache-2.0
 *
 * Pad: a frame around a tensor, of one value or of the tensor's own elements (edge, reflect, wrap). */
#include "inference/operators/families.h"

#include <math.h>
#include <string.h>

enum error_code pad_infer(struct graph *graph, struct node *node, struct error *error)
{
    struct value *out = operator_pass_on(graph, node);
    const struct shape *in = &graph->values[node->inputs[0]].shape;
    struct shape shape = {.rank = in->rank};
    for (int i = 0; i < in->rank; i++) {
        int32_t before = node->attributes.pad.before[i], after = node->attributes.pad.after[i];
        int64_t dim = (int64_t)in->dims[i] + before + after;
        if (before < 0 || after < 0 || dim > INT32_MAX)
            return operator_fail(node, ERROR_MODEL, error, "a pad that is negative or too large");
        if (node->attributes.pad.mode != PAD_CONSTANT && in->dims[i] < 1 && dim > 0)
            return operator_fail(node, ERROR_MODEL, error, "an empty axis with nothing to repeat");
        shape.dims[i] = (int32_t)dim;
    }
    out->shape = shape;
    return ERROR_NONE;
}

static void fill(void *to, const struct value *value, float real)
{
    int64_t count = shape_elements(&value->shape);
    if (value->dtype == DTYPE_F32) {
        for (int64_t i = 0; i < count; i++)
            ((float *)to)[i] = real;
        return;
    }
    if (dtype_bytes(value->dtype) > 1) {
        for (int64_t i = 0; i < count; i++)
            element_write(value->dtype, to, i, (double)real);
        return;
    }
    double stored = value->quantization.count == 1 ? round((double)(real / value->quantization.scale[0])) + value->quantization.zero_point[0] : (double)real;
    memset(to, (int)real_to_integer(stored, -128, 255), (size_t)count);
}

static void pad_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    const char *from = operation_input_data(operation, data, 0);
    char *to = operation_output_data(operation, data, 0);
    const int32_t *before = operation->node->attributes.pad.before;
    int rank = in->shape.rank;
    int64_t strides[TENSOR_RANK_MAX], rows = rank > 0 ? dims_product(&in->shape, 0, rank - 1) : 1, at = 0;
    size_t bytes = dtype_bytes(in->dtype), run = rank > 0 ? (size_t)in->shape.dims[rank - 1] * bytes : bytes;
    int32_t position[TENSOR_RANK_MAX] = {0};
    (void)scratch;
    fill(to, out, operation->node->attributes.pad.value);
    dense_strides(&out->shape, strides);
    for (int i = 0; i < rank; i++)
        at += strides[i] * before[i];
    for (int64_t r = 0; r < rows && run > 0; r++, from += run) {
        memcpy(to + (size_t)at * bytes, from, run);
        for (int axis = rank - 2; axis >= 0; axis--) {
            at += strides[axis];
            if (++position[axis] < in->shape.dims[axis])
                break;
            at -= strides[axis] * in->shape.dims[axis];
            position[axis] = 0;
        }
    }
}

/* The source element that position i of a padded axis repeats. */
static int32_t source_of(enum pad_mode mode, int64_t i, int32_t length)
{
    int64_t period = mode == PAD_REFLECT ? 2 * ((int64_t)length - 1) : length;
    if (mode == PAD_EDGE)
        return (int32_t)(i < 0 ? 0 : i >= length ? length - 1 : i);
    if (period < 1)
        return 0;
    i %= period;
    i = i < 0 ? i + period : i;
    return (int32_t)(i < length ? i : period - i);
}

/* sources: of all axes one after the other, as offsets in elements. */
static void repeat_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *out = operation_output(operation, 0);
    const int64_t *const *sources = operation->prepared;
    const char *from = operation_input_data(operation, data, 0);
    char *to = operation_output_data(operation, data, 0);
    int64_t count = shape_elements(&out->shape);
    size_t bytes = dtype_bytes(out->dtype);
    int32_t position[TENSOR_RANK_MAX] = {0};
    (void)scratch;
    for (int64_t i = 0; i < count; i++, to += bytes) {
        int64_t at = 0;
        for (int axis = 0; axis < out->shape.rank; axis++)
            at += sources[axis][position[axis]];
        memcpy(to, from + (size_t)at * bytes, bytes);
        for (int axis = out->shape.rank - 1; axis >= 0 && ++position[axis] == out->shape.dims[axis]; axis--)
            position[axis] = 0;
    }
}

static enum error_code prepare_repeat(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    const struct node *node = operation->node;
    int64_t strides[TENSOR_RANK_MAX], **sources = arena_allocate_array(arena, TENSOR_RANK_MAX, sizeof *sources);
    dense_strides(&in->shape, strides);
    for (int axis = 0; sources != NULL && axis < out->shape.rank; axis++) {
        sources[axis] = arena_allocate_array(arena, (size_t)out->shape.dims[axis], sizeof **sources);
        if (sources[axis] == NULL)
            return operator_fail(node, ERROR_LIMIT, error, "no memory");
        for (int32_t i = 0; i < out->shape.dims[axis]; i++)
            sources[axis][i] = strides[axis] * source_of(node->attributes.pad.mode, (int64_t)i - node->attributes.pad.before[axis], in->shape.dims[axis]);
    }
    if (sources == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    operation->prepared = sources;
    operation->execute = repeat_execute;
    return ERROR_NONE;
}

enum error_code pad_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct value *in = operation_input(operation, 0);
    if (operation->node->attributes.pad.mode != PAD_CONSTANT)
        return prepare_repeat(operation, arena, error);
    if (in->quantization.count > 1)
        return operator_fail(operation->node, ERROR_UNSUPPORTED, error, "not supported with a scale for each channel");
    operation->execute = pad_execute;
    return ERROR_NONE;
}
