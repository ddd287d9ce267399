/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators that move elements without looking at them: reshape, transpose, slice, expand. They share one idea: the result is walked
 * in order, the source position follows by strides, and the innermost run is copied at once where it is contiguous. */
#include "inference/operators/families.h"

#include <string.h>

enum { PARTS_WANTED = 16, PART_ELEMENTS_MIN = 16384 }; /* about 2 us: sharing less costs more than it brings */

/* Four bytes that may lie anywhere: constants are transposed straight out of the model's file. */
typedef int32_t loose_word __attribute__((aligned(1), may_alias));

struct move {
    struct shape shape;                      /* of the result, without the inner run and the runs that follow each other in steps */
    int64_t strides[TENSOR_RANK_MAX];        /* of the source, in elements, along the result's axes */
    int64_t start, outer, inner, inner_step; /* elements */
    int64_t runs, run_step;                  /* so many inner runs, their starts so far apart in the source */
    size_t bytes;
};

static void copy_run(const struct move *move, const char *from, char *to)
{
    if (move->bytes == 4) {
        const loose_word *source = (const loose_word *)(const void *)from;
        int32_t *target = (int32_t *)(void *)to;
        for (int64_t i = 0; i < move->inner; i++)
            target[i] = source[i * move->inner_step];
        return;
    }
    int64_t step = move->inner_step * (int64_t)move->bytes;
    for (int64_t i = 0; i < move->inner; i++)
        memcpy(to + (size_t)i * move->bytes, from + i * step, move->bytes);
}

void copy_runs(const char *from, int64_t from_step, char *to, int64_t to_step, int64_t count, int64_t bytes)
{
    for (int64_t i = 0; i < count; i++, from += from_step, to += to_step) {
        if (bytes == 8)
            memcpy(to, from, 8);
        else if (bytes == 4)
            memcpy(to, from, 4);
        else
            memcpy(to, from, (size_t)bytes);
    }
}

static void move_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct move *move = operation->prepared;
    const char *from = operation_input_data(operation, data, 0);
    char *to = operation_output_data(operation, data, 0);
    int32_t position[TENSOR_RANK_MAX] = {0};
    int64_t at = move->start, bytes = (int64_t)move->bytes, run = move->inner * bytes;
    (void)scratch;
    for (int64_t i = 0; i < move->outer; i++) {
        if (move->inner_step == 1) {
            copy_runs(from + at * bytes, move->run_step * bytes, to, run, move->runs, run);
        } else {
            for (int64_t k = 0; k < move->runs; k++)
                copy_run(move, from + (at + k * move->run_step) * bytes, to + k * run);
        }
        to += move->runs * run;
        for (int axis = move->shape.rank - 1; axis >= 0; axis--) {
            at += move->strides[axis];
            if (++position[axis] < move->shape.dims[axis])
                break;
            at -= move->strides[axis] * move->shape.dims[axis];
            position[axis] = 0;
        }
    }
}

void dense_strides(const struct shape *shape, int64_t strides[TENSOR_RANK_MAX])
{
    int64_t stride = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= shape->dims[i];
    }
}

/* strides: of the source along each axis of the result. Inner axes are merged while the source is contiguous over them. */
static enum error_code prepare_move(struct operation *operation, struct arena *arena, const int64_t *strides, int64_t start, struct error *error)
{
    const struct value *out = operation_output(operation, 0);
    struct move *move = arena_allocate(arena, sizeof *move);
    if (move == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    int axis = out->shape.rank - 1;
    while (axis >= 0 && out->shape.dims[axis] == 1)
        axis--;
    move->inner = axis >= 0 ? out->shape.dims[axis] : 1;
    move->inner_step = axis >= 0 ? strides[axis] : 1;
    for (axis--; axis >= 0 && move->inner_step == 1 && (out->shape.dims[axis] == 1 || strides[axis] == move->inner); axis--)
        move->inner *= out->shape.dims[axis];
    while (axis >= 0 && out->shape.dims[axis] == 1)
        axis--;
    move->runs = axis >= 0 ? out->shape.dims[axis] : 1;
    move->run_step = axis >= 0 ? strides[axis] : 0;
    for (axis--; axis >= 0 && (out->shape.dims[axis] == 1 || strides[axis] == move->runs * move->run_step); axis--)
        move->runs *= out->shape.dims[axis];
    move->shape = (struct shape){.rank = axis + 1};
    move->outer = 1;
    for (int i = 0; i <= axis; i++) {
        move->shape.dims[i] = out->shape.dims[i];
        move->strides[i] = strides[i];
        move->outer *= out->shape.dims[i];
    }
    move->start = start;
    move->bytes = dtype_bytes(out->dtype);
    if (shape_elements(&out->shape) == 0)
        move->outer = 0;
    operation->prepared = move;
    operation->execute = move_execute;
    return ERROR_NONE;
}

struct value *operator_pass_on(struct graph *graph, struct node *node)
{
    struct value *out = &graph->values[node->outputs[0]];
    const struct value *in = &graph->values[node->inputs[0]];
    out->dtype = in->dtype;
    if (out->quantization.count == 0 && in->quantization.count == 1)
        out->quantization = in->quantization;
    return out;
}

enum error_code reshape_infer(struct graph *graph, struct node *node, struct error *error)
{
    struct value *out = operator_pass_on(graph, node);
    if (!out->shape_known || shape_elements(&out->shape) != shape_elements(&graph->values[node->inputs[0]].shape))
        return operator_fail(node, ERROR_MODEL, error, "the new shape has another number of elements");
    return ERROR_NONE;
}

static void reshape_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const void *from = operation_input_data(operation, data, 0);
    void *to = operation_output_data(operation, data, 0);
    const struct value *out = operation_output(operation, 0);
    (void)scratch;
    if (from != to)
        memcpy(to, from, (size_t)shape_elements(&out->shape) * dtype_bytes(out->dtype));
}

enum error_code reshape_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena, (void)error;
    operation->execute = reshape_execute;
    operation->in_place = true;
    return ERROR_NONE;
}

enum error_code transpose_infer(struct graph *graph, struct node *node, struct error *error)
{
    struct value *out = operator_pass_on(graph, node);
    const struct shape *in = &graph->values[node->inputs[0]].shape;
    bool seen[TENSOR_RANK_MAX] = {false};
    struct shape shape = {.rank = in->rank};
    for (int i = 0; i < in->rank; i++) {
        int32_t axis = node->attributes.transpose.order[i];
        if (axis < 0 || axis >= in->rank || seen[axis])
            return operator_fail(node, ERROR_MODEL, error, "an order that is no permutation");
        seen[axis] = true;
        shape.dims[i] = in->dims[axis];
    }
    out->shape = shape;
    return ERROR_NONE;
}

/* Two axes swapped over an inner run, in tiles that stay in the first cache: the shape of NHWC <-> NCHW. */
static void transpose_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last)
{
    enum { TILE = 16 };
    const loose_word *from = operation_input_data(operation, data, 0);
    int32_t *to = operation_output_data(operation, data, 0);
    const int64_t *shape = operation->prepared; /* batches, rows, columns */
    int64_t size = shape[1] * shape[2], begin = shape[0] * first / operation->parts, end = shape[0] * last / operation->parts;
    bool aligned = (uintptr_t)from % sizeof *to == 0;
    from += begin * size;
    to += begin * size;
    if (shape[1] == 1 || shape[2] == 1) {
        memcpy(to, from, (size_t)((end - begin) * size) * sizeof *to);
        return;
    }
    (void)scratch;
    for (int64_t b = begin; b < end; b++, from += size, to += size) {
        if (shape[1] >= 2 && shape[1] <= 4 && aligned) {
            operation->kernels->interleave_f32((int)shape[1], shape[2], (const float *)(const void *)from, shape[2], (float *)(void *)to);
            continue;
        }
        for (int64_t r = 0; r < shape[1]; r += TILE) {
            int64_t r_end = r + TILE < shape[1] ? r + TILE : shape[1];
            for (int64_t c = 0; c < shape[2]; c++) {
                for (int64_t k = r; k < r_end; k++)
                    to[c * shape[1] + k] = from[k * shape[2] + c];
            }
        }
    }
}

/* Leading axes stay, the others change places in two groups. */
static bool is_matrix_transpose(const struct value *in, const int32_t *order, int64_t shape[3])
{
    int rank = in->shape.rank, kept = 0;
    if (dtype_bytes(in->dtype) != 4 && dtype_bytes(in->dtype) != 1)
        return false;
    while (kept < rank && order[kept] == kept)
        kept++;
    if (kept == rank)
        return false;
    int split = order[kept]; /* the second group's first axis */
    for (int k = kept; k < rank; k++) {
        int axis = split + k - kept;
        if (order[k] != (axis < rank ? axis : axis - rank + kept))
            return false;
    }
    shape[0] = dims_product(&in->shape, 0, kept);
    shape[1] = dims_product(&in->shape, kept, split);
    shape[2] = dims_product(&in->shape, split, rank);
    return true;
}

enum error_code transpose_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct value *in = operation_input(operation, 0);
    const int32_t *order = operation->node->attributes.transpose.order;
    int64_t source[TENSOR_RANK_MAX], strides[TENSOR_RANK_MAX], shape[3];
    bool matrix = is_matrix_transpose(in, order, shape);
    if (matrix && (shape[1] == 1 || shape[2] == 1))
        return reshape_prepare(operation, arena, error);
    if (matrix && dtype_bytes(in->dtype) == 1)
        return transpose_8_prepare(operation, arena, shape, error);
    if (matrix) {
        int64_t *kept = arena_allocate(arena, sizeof shape);
        if (kept == NULL)
            return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
        memcpy(kept, shape, sizeof shape);
        operation->prepared = kept;
        int64_t parts = shape_elements(&in->shape) / PART_ELEMENTS_MIN;
        operation->parts = parts < 1 ? 1 : parts > shape[0] ? shape[0] : parts > PARTS_WANTED ? PARTS_WANTED : parts;
        operation->execute_parts = transpose_parts;
        return ERROR_NONE;
    }
    dense_strides(&in->shape, source);
    for (int i = 0; i < in->shape.rank; i++)
        strides[i] = source[order[i]];
    return prepare_move(operation, arena, strides, 0, error);
}

enum error_code slice_infer(struct graph *graph, struct node *node, struct error *error)
{
    struct value *out = operator_pass_on(graph, node);
    const struct shape *in = &graph->values[node->inputs[0]].shape;
    if (!out->shape_known || out->shape.rank != in->rank)
        return operator_fail(node, ERROR_MODEL, error, "a result of another rank");
    for (int i = 0; i < in->rank; i++) {
        int64_t first = node->attributes.slice.begin[i], count = out->shape.dims[i];
        int64_t last = first + (count - 1) * (int64_t)node->attributes.slice.step[i];
        if (first < 0 || first > in->dims[i] || (count > 0 && (first == in->dims[i] || last < 0 || last >= in->dims[i])))
            return operator_fail(node, ERROR_MODEL, error, "a part that lies outside its input");
    }
    return ERROR_NONE;
}

enum error_code slice_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct shape *in = &operation_input(operation, 0)->shape;
    int64_t strides[TENSOR_RANK_MAX], start = 0;
    dense_strides(in, strides);
    for (int i = 0; i < in->rank; i++) {
        start += strides[i] * operation->node->attributes.slice.begin[i];
        strides[i] *= operation->node->attributes.slice.step[i];
    }
    return prepare_move(operation, arena, strides, start, error);
}

enum error_code expand_infer(struct graph *graph, struct node *node, struct error *error)
{
    struct value *out = operator_pass_on(graph, node);
    const struct shape *in = &graph->values[node->inputs[0]].shape;
    struct shape result;
    if (!out->shape_known || out->shape.rank < in->rank)
        return operator_fail(node, ERROR_MODEL, error, "a target of smaller rank");
    TRY(broadcast_shapes(node, in, &out->shape, &result, error));
    return shape_equal(&result, &out->shape) ? ERROR_NONE : operator_fail(node, ERROR_MODEL, error, "a target that the input does not broadcast to");
}

enum error_code expand_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct shape *in = &operation_input(operation, 0)->shape, *out = &operation_output(operation, 0)->shape;
    int64_t source[TENSOR_RANK_MAX], strides[TENSOR_RANK_MAX] = {0};
    dense_strides(in, source);
    for (int i = 0; i < in->rank; i++)
        strides[out->rank - in->rank + i] = in->dims[i] == 1 ? 0 : source[i];
    return prepare_move(operation, arena, strides, 0, error);
}
