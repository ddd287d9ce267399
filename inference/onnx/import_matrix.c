/* SPDX-License-Identifier: Apache-2.0
 *
 * Gemm, MatMul, LSTM. A constant two-dimensional right side becomes the weights of a fully connected layer, [O, I]. */
#include "inference/onnx/import.h"

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
    *value_out = value;
    if (factor == 1)
        return ERROR_NONE;
    float *data = arena_allocate(&importer->graph->arena, sizeof *data);
    if (data == NULL)
        return import_fail(importer, ERROR_LIMIT, "the model needs more memory than eddy allows");
    *data = factor;
    int32_t operands[2] = {value, 0};
    TRY(import_constant(importer, DTYPE_F32, &(struct shape){.rank = 0}, data, &operands[1]));
    struct node *node = import_node(importer, OPERATOR_MUL, operands, 2, 1);
    return node == NULL ? importer->error->code : import_finish(importer, value_out);
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

static enum error_code import_matmul(struct importer *importer)
{
    int32_t operands[3] = {0, 0, GRAPH_NO_VALUE}, output;
    TRY(import_input(importer, 0, true, &operands[0]));
    TRY(import_input(importer, 1, true, &operands[1]));
    bool layer = import_value(importer, operands[1])->shape.rank == 2 && is_constant(importer, operands[1]) &&
                 import_value(importer, operands[0])->shape.rank >= 2;
    struct shape input = import_value(importer, operands[0])->shape;
    int32_t columns = layer ? import_value(importer, operands[1])->shape.dims[1] : 0;
    if (layer)
        TRY(arrange(importer, operands[1], false, &operands[1]));
    struct node *node = import_node(importer, layer ? OPERATOR_FULLY_CONNECTED : OPERATOR_MATMUL, operands, layer ? 3 : 2, 1);
    if (node == NULL)
        return importer->error->code;
    TRY(import_finish(importer, &output));
    if (layer && input.rank > 2) { /* a fully connected layer sees rows; the leading dimensions come back here */
        input.dims[input.rank - 1] = columns;
        TRY(import_reshape(importer, output, &input, &output));
    }
    return import_bind(importer, 0, output);
}

static enum error_code import_lstm(struct importer *importer)
{
    int32_t operands[8], output;
    for (int i = 0; i < 8; i++)
        TRY(import_input(importer, i, i < 3, &operands[i]));
    if (operands[4] >= 0 || operands[7] >= 0)
        return import_fail(importer, ERROR_UNSUPPORTED, "sequence lengths or peepholes");
    const struct onnx_attribute *activations = import_attribute(importer, "activations");
    static const char *const usual[] = {"Sigmoid", "Tanh", "Tanh"};
    for (int i = 0; activations != NULL && i < activations->string_count; i++) {
        if (strcmp(activations->strings[i], usual[i % 3]) != 0)
            return import_fail(importer, ERROR_UNSUPPORTED, "activation %.20s", activations->strings[i]);
    }
    if (import_attribute(importer, "clip") != NULL || import_int(importer, "layout", 0) != 0 ||
        import_int(importer, "input_forget", 0) != 0)
        return import_fail(importer, ERROR_UNSUPPORTED, "clip, layout or input_forget");
    int64_t hidden = import_int(importer, "hidden_size", 0);
    if (hidden < 1 || hidden > 1 << 16)
        return import_fail(importer, ERROR_MODEL, "hidden_size is %lld", (long long)hidden);
    struct node *node = import_node(importer, OPERATOR_LSTM, operands, 8, 3);
    if (node == NULL)
        return importer->error->code;
    node->attributes.recurrent.hidden = (int32_t)hidden;
    node->attributes.recurrent.direction = import_text_is(importer, "direction", "reverse")         ? 1
                                           : import_text_is(importer, "direction", "bidirectional") ? 2
                                                                                                   : 0;
    int32_t outputs[3] = {node->outputs[0], node->outputs[1], node->outputs[2]};
    TRY(import_finish(importer, &output));
    for (int i = 0; i < 3; i++)
        TRY(import_bind(importer, i, outputs[i]));
    return ERROR_NONE;
}

const struct import_row import_matrix_rows[] = {
    {"Gemm", import_gemm, OPERATOR_FULLY_CONNECTED},
    {"MatMul", import_matmul, OPERATOR_MATMUL},
    {"LSTM", import_lstm, OPERATOR_LSTM},
    {NULL, NULL, OPERATOR_COUNT},
};
