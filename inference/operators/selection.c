/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators that put parts together or pick them by index: concat, gather, one hot. */
#include "inference/operators/families.h"
#include "inference/kernels/fixed_point.h"

#include <math.h>
#include <string.h>

enum error_code concat_infer(struct graph *graph, struct node *node, struct error *error)
{
    struct value *out = &graph->values[node->outputs[0]];
    const struct value *first = &graph->values[node->inputs[0]];
    struct shape shape = first->shape;
    int axis = node->attributes.axis.axis;
    int64_t total = 0;
    if (axis < 0 || axis >= shape.rank)
        return operator_fail(node, ERROR_MODEL, error, "an axis beyond the inputs' rank");
    for (int32_t i = 0; i < node->input_count; i++) {
        const struct value *in = &graph->values[node->inputs[i]];
        if (in->shape.rank != shape.rank || in->dtype != first->dtype)
            return operator_fail(node, ERROR_MODEL, error, "inputs of different rank or type");
        for (int k = 0; k < shape.rank; k++) {
            if (k != axis && in->shape.dims[k] != shape.dims[k])
                return operator_fail(node, ERROR_MODEL, error, "inputs whose shapes do not fit together");
        }
        total += in->shape.dims[axis];
    }
    if (total > INT32_MAX)
        return operator_fail(node, ERROR_LIMIT, error, "too large a result");
    shape.dims[axis] = (int32_t)total;
    out->shape = shape;
    if (out->quantization.count == 0) {
        out->dtype = first->dtype;
        out->quantization = first->quantization;
    }
    return ERROR_NONE;
}

struct concat {
    int64_t outer, row_bytes; /* rows of the result */
    size_t *run_bytes;       /* of each input */
    uint8_t (*tables)[256];  /* requantisation of each input, where scales differ; NULL: none do */
    bool *translate, *placed; /* placed: it lies there already */
};

static void translate_runs(const uint8_t table[256], const char *from, char *to, int64_t to_step, int64_t count, int64_t bytes)
{
    for (int64_t i = 0; i < count; i++, from += bytes, to += to_step) {
        for (int64_t k = 0; k < bytes; k++)
            to[k] = (char)table[(uint8_t)from[k]];
    }
}

static void concat_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct concat *concat = operation->prepared;
    char *to = operation_output_data(operation, data, 0);
    (void)scratch;
    for (int32_t i = 0; i < operation->node->input_count; i++) {
        const char *from = operation_input_data(operation, data, i);
        int64_t run = (int64_t)concat->run_bytes[i];
        if (concat->translate[i])
            translate_runs(concat->tables[i], from, to, concat->row_bytes, concat->outer, run);
        else if (!concat->placed[i])
            copy_runs(from, run, to, concat->row_bytes, concat->outer, run);
        to += run;
    }
}

static bool same_scale(const struct value *a, const struct value *b)
{
    return a->quantization.count == b->quantization.count &&
           (a->quantization.count == 0 ||
            (a->quantization.scale[0] == b->quantization.scale[0] && a->quantization.zero_point[0] == b->quantization.zero_point[0]));
}

/* As TFLite's concatenation with scaling: round(x * in/out) around the zero points. */
static void fill_table(const struct value *in, const struct value *out, uint8_t table[256])
{
    double ratio = (double)in->quantization.scale[0] / (double)out->quantization.scale[0];
    double low = out->dtype == DTYPE_U8 ? 0 : -128, high = out->dtype == DTYPE_U8 ? 255 : 127;
    for (int i = 0; i < 256; i++) {
        int32_t stored = in->dtype == DTYPE_U8 ? i : (int8_t)i;
        double result = round((stored - in->quantization.zero_point[0]) * ratio) + out->quantization.zero_point[0];
        table[i] = (uint8_t)(int32_t)(result < low ? low : result > high ? high : result);
    }
}

enum error_code concat_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *out = operation_output(operation, 0);
    size_t count = (size_t)node->input_count;
    struct concat *concat = arena_allocate(arena, sizeof *concat);
    if (concat != NULL) {
        concat->run_bytes = arena_allocate_array(arena, count, sizeof *concat->run_bytes);
        concat->translate = arena_allocate_array(arena, 2 * count, sizeof *concat->translate);
        concat->tables = arena_allocate_array(arena, out->quantization.count == 1 ? count : 0, sizeof *concat->tables);
    }
    if (concat == NULL || concat->run_bytes == NULL || concat->translate == NULL || concat->tables == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    concat->placed = concat->translate + count;
    int axis = node->attributes.axis.axis, left = node->input_count;
    concat->outer = dims_product(&out->shape, 0, axis);
    for (int32_t i = 0; i < node->input_count; i++) {
        const struct value *in = operation_input(operation, i);
        concat->run_bytes[i] = (size_t)dims_product(&in->shape, axis, in->shape.rank) * dtype_bytes(in->dtype);
        concat->row_bytes += (int64_t)concat->run_bytes[i];
        concat->translate[i] = !same_scale(in, out);
        concat->placed[i] = in->placed;
        left -= in->placed;
        bool bytes = dtype_bytes(in->dtype) == 1 && dtype_bytes(out->dtype) == 1;
        if (concat->translate[i] ? in->quantization.count != 1 || out->quantization.count != 1 || !bytes : in->dtype != out->dtype)
            return operator_fail(node, ERROR_UNSUPPORTED, error, "inputs of different quantisation");
        if (concat->translate[i])
            fill_table(in, out, concat->tables[i]);
    }
    if (left == 0)
        concat->outer = 0;
    operation->prepared = concat;
    operation->execute = concat_execute;
    return ERROR_NONE;
}

enum error_code gather_infer(struct graph *graph, struct node *node, struct error *error)
{
    struct value *out = &graph->values[node->outputs[0]];
    const struct value *in = &graph->values[node->inputs[0]], *indices = &graph->values[node->inputs[1]];
    int axis = node->attributes.axis.axis;
    struct shape shape = {.rank = in->shape.rank - 1 + indices->shape.rank};
    if (axis < 0 || axis >= in->shape.rank || shape.rank > TENSOR_RANK_MAX || in->shape.dims[axis] < 1)
        return operator_fail(node, ERROR_MODEL, error, "an axis beyond the input's rank, or an empty one");
    if (indices->dtype != DTYPE_I64 && indices->dtype != DTYPE_I32)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "indices that are not i32 or i64");
    int k = 0;
    for (int i = 0; i < axis; i++)
        shape.dims[k++] = in->shape.dims[i];
    for (int i = 0; i < indices->shape.rank; i++)
        shape.dims[k++] = indices->shape.dims[i];
    for (int i = axis + 1; i < in->shape.rank; i++)
        shape.dims[k++] = in->shape.dims[i];
    out->shape = shape;
    out->dtype = in->dtype;
    if (in->quantization.count == 1)
        out->quantization = in->quantization;
    return ERROR_NONE;
}

int64_t index_at(const struct value *indices, const void *data, int64_t i, int64_t limit)
{
    int64_t index = indices->dtype == DTYPE_I64 ? ((const int64_t *)data)[i] : ((const int32_t *)data)[i];
    if (index < 0)
        index = index < -limit ? 0 : index + limit;
    return index >= limit ? limit - 1 : index;
}

static void gather_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0), *indices = operation_input(operation, 1);
    const char *from = operation_input_data(operation, data, 0);
    const void *index_data = operation_input_data(operation, data, 1);
    char *to = operation_output_data(operation, data, 0);
    int axis = operation->node->attributes.axis.axis;
    int64_t outer = dims_product(&in->shape, 0, axis), limit = in->shape.dims[axis], count = shape_elements(&indices->shape);
    size_t run = (size_t)dims_product(&in->shape, axis + 1, in->shape.rank) * dtype_bytes(in->dtype);
    (void)scratch;
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < count; i++, to += run)
            memcpy(to, from + (size_t)(o * limit + index_at(indices, index_data, i, limit)) * run, run);
    }
}

enum error_code gather_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena, (void)error;
    operation->execute = gather_execute;
    return ERROR_NONE;
}

enum error_code one_hot_infer(struct graph *graph, struct node *node, struct error *error)
{
    struct value *out = &graph->values[node->outputs[0]];
    const struct value *indices = &graph->values[node->inputs[0]], *values = &graph->values[node->inputs[1]];
    int axis = node->attributes.axis.axis;
    if (!out->shape_known || out->shape.rank != indices->shape.rank + 1 || axis < 0 || axis >= out->shape.rank ||
        shape_elements(&values->shape) != 2 || shape_elements(&out->shape) != shape_elements(&indices->shape) * (int64_t)out->shape.dims[axis])
        return operator_fail(node, ERROR_MODEL, error, "operands that do not fit together");
    if (indices->dtype != DTYPE_I64 && indices->dtype != DTYPE_I32)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "indices that are not i32 or i64");
    out->dtype = values->dtype;
    return ERROR_NONE;
}

static void one_hot_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *indices = operation_input(operation, 0), *out = operation_output(operation, 0);
    const void *index_data = operation_input_data(operation, data, 0);
    const char *values = operation_input_data(operation, data, 1);
    char *to = operation_output_data(operation, data, 0);
    int axis = operation->node->attributes.axis.axis;
    int64_t depth = out->shape.dims[axis], inner = dims_product(&out->shape, axis + 1, out->shape.rank), count = shape_elements(&indices->shape);
    size_t bytes = dtype_bytes(out->dtype);
    (void)scratch;
    size_t filled = bytes, whole = (size_t)(count * depth) * bytes;
    memcpy(to, values, whole < bytes ? whole : bytes);
    for (; filled < whole; filled *= 2)
        memcpy(to + filled, to, filled < whole - filled ? filled : whole - filled);
    for (int64_t i = 0; i < count; i++) {
        int64_t index = indices->dtype == DTYPE_I64 ? ((const int64_t *)index_data)[i] : ((const int32_t *)index_data)[i];
        index = index < 0 ? index + depth : index;
        if (index >= 0 && index < depth)
            memcpy(to + (size_t)((i / inner * depth + index) * inner + i % inner) * bytes, values + bytes, bytes);
    }
}

enum error_code one_hot_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena, (void)error;
    operation->execute = one_hot_execute;
    return ERROR_NONE;
}
