/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix product of two computed operands, batched with numpy broadcasting. */
#include "inference/operators/families.h"

#include <string.h>

enum error_code matmul_shape(const struct node *node, const struct shape *a, const struct shape *b, struct shape *result, struct error *error)
{
    if (a->rank < 2 || b->rank < 2 || a->dims[a->rank - 1] != b->dims[b->rank - 2])
        return operator_fail(node, ERROR_MODEL, error, "shapes that do not multiply");
    struct shape a_batch = *a, b_batch = *b, shape;
    a_batch.rank -= 2;
    b_batch.rank -= 2;
    TRY(broadcast_shapes(node, &a_batch, &b_batch, &shape, error));
    if (shape.rank + 2 > TENSOR_RANK_MAX)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "too many dimensions");
    shape.dims[shape.rank++] = a->dims[a->rank - 2];
    shape.dims[shape.rank++] = b->dims[b->rank - 1];
    *result = shape;
    return ERROR_NONE;
}

enum error_code matmul_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *a = &graph->values[node->inputs[0]], *b = &graph->values[node->inputs[1]];
    struct value *out = &graph->values[node->outputs[0]];
    if (a->dtype != DTYPE_F32 || b->dtype != DTYPE_F32)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected f32");
    out->dtype = DTYPE_F32;
    return matmul_shape(node, &a->shape, &b->shape, &out->shape, error);
}

static void multiply(const float *a, const float *b, float *out, int64_t rows, int64_t depth, int64_t columns)
{
    for (int64_t r = 0; r < rows; r++, a += depth, out += columns) {
        memset(out, 0, (size_t)columns * sizeof *out);
        for (int64_t k = 0; k < depth; k++) {
            float x = a[k];
            const float *row = b + k * columns;
            for (int64_t c = 0; c < columns; c++)
                out[c] += x * row[c];
        }
    }
}

void matmul_batch(const struct shape *a, const struct shape *b, const struct shape *out, int64_t batch, int64_t *a_at, int64_t *b_at)
{
    int64_t a_stride = dims_product(a, a->rank - 2, a->rank), b_stride = dims_product(b, b->rank - 2, b->rank);
    *a_at = *b_at = 0;
    for (int axis = 3; axis <= out->rank; axis++) {
        int64_t position = batch % out->dims[out->rank - axis];
        batch /= out->dims[out->rank - axis];
        int32_t a_dim = axis <= a->rank ? a->dims[a->rank - axis] : 1, b_dim = axis <= b->rank ? b->dims[b->rank - axis] : 1;
        *a_at += a_dim == 1 ? 0 : position * a_stride;
        *b_at += b_dim == 1 ? 0 : position * b_stride;
        a_stride *= a_dim;
        b_stride *= b_dim;
    }
}

static void matmul_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct shape *a = &operation_input(operation, 0)->shape, *b = &operation_input(operation, 1)->shape;
    const struct shape *out = &operation_output(operation, 0)->shape;
    const float *a_data = operation_input_data(operation, data, 0), *b_data = operation_input_data(operation, data, 1);
    float *to = operation_output_data(operation, data, 0);
    int64_t rows = a->dims[a->rank - 2], depth = a->dims[a->rank - 1], columns = b->dims[b->rank - 1];
    int64_t batches = dims_product(out, 0, out->rank - 2);
    (void)scratch;
    for (int64_t i = 0; i < batches; i++, to += rows * columns) {
        int64_t a_at, b_at;
        matmul_batch(a, b, out, i, &a_at, &b_at);
        multiply(a_data + a_at, b_data + b_at, to, rows, depth, columns);
    }
}

enum error_code matmul_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct shape *a = &operation_input(operation, 0)->shape;
    (void)arena, (void)error;
    operation->macs = (uint64_t)shape_elements(&operation_output(operation, 0)->shape) * (uint64_t)a->dims[a->rank - 1];
    operation->execute = matmul_execute;
    return ERROR_NONE;
}
