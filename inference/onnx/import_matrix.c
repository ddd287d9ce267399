/* SPDX-License-Identifier: Apache-2.0
 *
 * Gemm, MatMul. A constant two-dimensional right side becomes the weights of a fully connected layer, [O, I]. */
#include "inference/onnx/import_einsum.h"

#include <string.h>

/* The weights as [O, I]; those behind a DequantizeLinear stay integers. */
static enum error_code arrange(struct importer *importer, int32_t weights, bool transposed, int32_t *value_out)
{
    if (transposed) {
        *value_out = weights;
        return ERROR_NONE;
    }
    const struct node *producer = graph_producer(importer->graph, weights);
    if (producer == NULL || producer->kind != OPERATOR_DEQUANTIZE)
        return import_transpose(importer, weights, (int32_t[]){1, 0}, value_out);
    int32_t integers = producer->inputs[0];
    struct quantization quantization = import_value(importer, integers)->quantization;
    TRY(import_transpose(importer, integers, (int32_t[]){1, 0}, &integers));
    quantization.axis = 1 - quantization.axis;
    importer->graph->values[integers].quantization = quantization;
    struct node *dequantize = import_node(importer, OPERATOR_DEQUANTIZE, &integers, 1, 1);
    return dequantize == NULL ? importer->error->code : import_finish(importer, value_out);
}

static bool is_constant(const struct importer *importer, int32_t value)
{
    const struct node *producer = graph_producer(importer->graph, value);
    return import_value(importer, value)->data != NULL ||
           (producer != NULL && producer->kind == OPERATOR_DEQUANTIZE && import_value(importer, producer->inputs[0])->data != NULL);
}

static enum error_code multiply_by(struct importer *importer, int32_t value, float factor, int32_t *value_out)
{
    int32_t number;
    *value_out = value;
    if (factor == 1)
        return ERROR_NONE;
    TRY(import_number(importer, factor, &number));
    return import_binary_of(importer, OPERATOR_MUL, value, number, value_out);
}

static bool is_vector_of(const struct shape *shape, int32_t length)
{
    return shape->rank >= 1 && shape->dims[shape->rank - 1] == length && shape_elements(shape) == length;
}

static enum error_code import_gemm(struct importer *importer)
{
    int32_t a, b, c, output;
    bool transpose_a = import_int(importer, "transA", 0) != 0, transpose_b = import_int(importer, "transB", 0) != 0;
    float alpha = import_float(importer, "alpha", 1), beta = import_float(importer, "beta", 1);
    TRY(import_input(importer, 0, true, &a));
    TRY(import_input(importer, 1, true, &b));
    TRY(import_input(importer, 2, false, &c));
    if (import_value(importer, a)->shape.rank != 2 || import_value(importer, b)->shape.rank != 2)
        return import_fail(importer, ERROR_MODEL, "operands that are not matrices");
    if (transpose_a)
        TRY(import_transpose(importer, a, (int32_t[]){1, 0}, &a));
    struct shape b_shape = import_value(importer, b)->shape;
    int32_t columns = b_shape.dims[transpose_b ? 0 : 1];
    bool layer = is_constant(importer, b) && alpha == 1 && (c < 0 || (beta == 1 && is_constant(importer, c) &&
                 is_vector_of(&import_value(importer, c)->shape, columns)));
    if (layer) {
        int32_t operands[3] = {a, b, c};
        TRY(arrange(importer, b, transpose_b, &operands[1]));
        struct node *node = import_node(importer, OPERATOR_FULLY_CONNECTED, operands, 3, 1);
        if (node == NULL)
            return importer->error->code;
        TRY(import_finish(importer, &output));
        return import_bind(importer, 0, output);
    }
    if (transpose_b)
        TRY(import_transpose(importer, b, (int32_t[]){1, 0}, &b));
    int32_t operands[2] = {a, b};
    struct node *node = import_node(importer, OPERATOR_MATMUL, operands, 2, 1);
    if (node == NULL)
        return importer->error->code;
    TRY(import_finish(importer, &output));
    TRY(multiply_by(importer, output, alpha, &output));
    if (c >= 0) {
        TRY(multiply_by(importer, c, beta, &c));
        int32_t terms[2] = {output, c};
        if (import_node(importer, OPERATOR_ADD, terms, 2, 1) == NULL)
            return importer->error->code;
        TRY(import_finish(importer, &output));
    }
    return import_bind(importer, 0, output);
}

/* A vector on the left is a row, on the right a column; the axis of 1 that this adds is dropped from the result. */
static enum error_code as_matrix(struct importer *importer, bool left, int32_t *value, bool *vector)
{
    struct shape shape = import_value(importer, *value)->shape;
    *vector = shape.rank == 1;
    if (!*vector)
        return ERROR_NONE;
    shape = (struct shape){.rank = 2, .dims = {left ? 1 : shape.dims[0], left ? shape.dims[0] : 1}};
    return import_reshape(importer, *value, &shape, value);
}

static enum error_code drop_vectors(struct importer *importer, bool row, bool column, int32_t *value)
{
    struct shape shape = import_value(importer, *value)->shape;
    if (!row && !column)
        return ERROR_NONE;
    if (column)
        shape.rank--;
    if (row && column)
        shape.rank--;
    else if (row)
        shape.dims[shape.rank - 2] = shape.dims[shape.rank - 1], shape.rank--;
    return import_reshape(importer, *value, &shape, value);
}

/* A computed left side of at least two dimensions times constant weights [I, O]. */
static enum error_code multiply_weights(struct importer *importer, int32_t left, int32_t weights, int32_t *value_out)
{
    int32_t operands[3] = {left, 0, GRAPH_NO_VALUE};
    struct shape shape = import_value(importer, left)->shape;
    shape.dims[shape.rank - 1] = import_value(importer, weights)->shape.dims[1];
    TRY(arrange(importer, weights, false, &operands[1]));
    struct node *node = import_node(importer, OPERATOR_FULLY_CONNECTED, operands, 3, 1);
    if (node == NULL)
        return importer->error->code;
    TRY(import_finish(importer, value_out));
    return shape.rank > 2 ? import_reshape(importer, *value_out, &shape, value_out) : ERROR_NONE; /* the layer sees rows */
}

static enum error_code import_matmul(struct importer *importer)
{
    int32_t a, b, output;
    bool row, column;
    TRY(import_input(importer, 0, true, &a));
    TRY(import_input(importer, 1, true, &b));
    TRY(as_matrix(importer, true, &a, &row));
    TRY(as_matrix(importer, false, &b, &column));
    const struct shape left = import_value(importer, a)->shape, right = import_value(importer, b)->shape;
    bool layer = right.rank == 2 && is_constant(importer, b) && left.rank >= 2 && import_value(importer, a)->data == NULL &&
                 import_value(importer, a)->dtype == DTYPE_F32;
    if (layer && left.dims[left.rank - 1] != right.dims[0])
        return import_fail(importer, ERROR_MODEL, "%d columns times %d rows", left.dims[left.rank - 1], right.dims[0]);
    if (layer)
        TRY(multiply_weights(importer, a, b, &output));
    else
        TRY(import_binary_of(importer, OPERATOR_MATMUL, a, b, &output));
    TRY(drop_vectors(importer, row, column, &output));
    return import_bind(importer, 0, output);
}

/* a, b, zero point of a, zero point of b -> i32 */
static enum error_code import_matmul_integer(struct importer *importer)
{
    int32_t operands[4], output;
    bool row, column;
    for (int i = 0; i < 4; i++)
        TRY(import_input(importer, i, i < 2, &operands[i]));
    TRY(as_matrix(importer, true, &operands[0], &row));
    TRY(as_matrix(importer, false, &operands[1], &column));
    if (import_node(importer, OPERATOR_MATMUL_INTEGER, operands, 4, 1) == NULL)
        return importer->error->code;
    TRY(import_finish(importer, &output));
    TRY(drop_vectors(importer, row, column, &output));
    return import_bind(importer, 0, output);
}

/* A, packed weights, scales, zero points, group index, bias; attributes K, N, bits, block_size */
static enum error_code import_matmul_nbits(struct importer *importer)
{
    int32_t inputs[6];
    int64_t depth = import_int(importer, "K", 0), columns = import_int(importer, "N", 0), block = import_int(importer, "block_size", 0);
    for (int i = 0; i < 6; i++)
        TRY(import_input(importer, i, i < 3, &inputs[i]));
    if (import_int(importer, "bits", 4) != 4 || inputs[4] >= 0)
        return import_fail(importer, ERROR_UNSUPPORTED, "weights that are not of 4 bits, or in groups by index");
    if (depth < 1 || depth > TENSOR_ELEMENTS_MAX || columns < 1 || columns > TENSOR_ELEMENTS_MAX || block < 2 || block > 1 << 16)
        return import_fail(importer, ERROR_MODEL, "K, N and block_size are %lld, %lld and %lld", (long long)depth, (long long)columns, (long long)block);
    struct node *node = import_node(importer, OPERATOR_MATMUL_NBITS, (int32_t[]){inputs[0], inputs[1], inputs[2], inputs[3], inputs[5]}, 5, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.nbits.depth = (int32_t)depth;
    node->attributes.nbits.columns = (int32_t)columns;
    node->attributes.nbits.block = (int32_t)block;
    return import_finish_bind(importer);
}

const struct import_row import_matrix_rows[] = {
    {"Gemm", import_gemm, OPERATOR_FULLY_CONNECTED, "f32 f16, i8 u8 (quantised)", ""},
    {"MatMul", import_matmul, OPERATOR_MATMUL, "f32 f16, i8 u8 (quantised)", "any rank"},
    {"MatMulInteger", import_matmul_integer, OPERATOR_MATMUL_INTEGER, "i8 u8", "any rank"},
    {"MatMulNBits", import_matmul_nbits, OPERATOR_MATMUL_NBITS, "f32 f16 by u4", "com.microsoft; 4 bits, no group index; weights stay packed"},
    {"Einsum", import_einsum, OPERATOR_MATMUL, "f32 f16", "two operands, no letter twice in one, no ellipsis"},
    {0},
};
