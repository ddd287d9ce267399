/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/onnx/import.h"

#include <float.h>
#include <string.h>

static enum operator_kind kind_of(const struct importer *importer)
{
    const struct import_row *row = import_elementwise_rows;
    while (strcmp(row->op, importer->node->op) != 0)
        row++;
    return row->kind;
}

static enum error_code finish_bind(struct importer *importer)
{
    int32_t output;
    TRY(import_finish(importer, &output));
    return import_bind(importer, 0, output);
}

static enum error_code import_unary(struct importer *importer)
{
    int32_t input;
    TRY(import_input(importer, 0, true, &input));
    struct node *node = import_node(importer, kind_of(importer), &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    bool leaky = node->kind == OPERATOR_LEAKY_RELU;
    node->attributes.scalar.alpha = import_float(importer, "alpha", leaky ? 0.01f : 0.2f);
    node->attributes.scalar.beta = import_float(importer, "beta", 0.5f);
    return finish_bind(importer);
}

static enum error_code import_binary(struct importer *importer)
{
    int32_t operands[2];
    TRY(import_input(importer, 0, true, &operands[0]));
    TRY(import_input(importer, 1, true, &operands[1]));
    return import_node(importer, kind_of(importer), operands, 2, 1) == NULL ? importer->error->code : finish_bind(importer);
}

/* Sum, Max, Min take any number of operands: a chain of pairs here. */
static enum error_code import_variadic(struct importer *importer)
{
    int32_t operands[2];
    TRY(import_input(importer, 0, true, &operands[0]));
    for (int i = 1; i < importer->node->input_count; i++) {
        TRY(import_input(importer, i, true, &operands[1]));
        if (import_node(importer, kind_of(importer), operands, 2, 1) == NULL)
            return importer->error->code;
        TRY(import_finish(importer, &operands[0]));
    }
    return import_bind(importer, 0, operands[0]);
}

static enum error_code import_where(struct importer *importer)
{
    int32_t operands[3];
    for (int i = 0; i < 3; i++)
        TRY(import_input(importer, i, true, &operands[i]));
    return import_node(importer, OPERATOR_WHERE, operands, 3, 1) == NULL ? importer->error->code : finish_bind(importer);
}

static enum error_code import_clip(struct importer *importer)
{
    int32_t input, low_value, high_value;
    double low = import_float(importer, "min", -FLT_MAX), high = import_float(importer, "max", FLT_MAX);
    TRY(import_input(importer, 0, true, &input));
    TRY(import_input(importer, 1, false, &low_value));
    TRY(import_input(importer, 2, false, &high_value));
    if (low_value >= 0)
        TRY(import_scalar(importer, low_value, &low));
    if (high_value >= 0)
        TRY(import_scalar(importer, high_value, &high));
    struct node *node = import_node(importer, OPERATOR_CLIP, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.scalar.alpha = (float)low;
    node->attributes.scalar.beta = (float)high;
    return finish_bind(importer);
}

static enum error_code import_softmax(struct importer *importer)
{
    int32_t input;
    TRY(import_input(importer, 0, true, &input));
    bool old = importer->model->opset < 13;
    int rank = import_value(importer, input)->shape.rank;
    struct node *node = import_node(importer, OPERATOR_SOFTMAX, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.softmax.flatten = old;
    node->attributes.softmax.beta = 1;
    TRY(import_axis(importer, import_int(importer, "axis", old ? 1 : -1), rank, &node->attributes.softmax.axis));
    return finish_bind(importer);
}

static enum error_code import_cast_node(struct importer *importer)
{
    int32_t input, output;
    enum dtype dtype;
    TRY(import_input(importer, 0, true, &input));
    if (onnx_dtype(import_int(importer, "to", 0), &dtype, importer->error) != ERROR_NONE)
        return error_prefix(importer->error, "node \"%.80s\": ", importer->node->name);
    if (dtype == DTYPE_F16)
        dtype = DTYPE_F32; /* computed in single; the border of the graph casts where the file says half */
    TRY(import_cast(importer, input, dtype, &output));
    return import_bind(importer, 0, output);
}

static enum error_code import_nothing(struct importer *importer)
{
    int32_t input;
    TRY(import_input(importer, 0, true, &input));
    return import_bind(importer, 0, input); /* Dropout's mask stays unbound: a node that read it would be told so */
}

const struct import_row import_elementwise_rows[] = {
    {"Relu", import_unary, OPERATOR_RELU},
    {"LeakyRelu", import_unary, OPERATOR_LEAKY_RELU},
    {"Sigmoid", import_unary, OPERATOR_SIGMOID},
    {"Tanh", import_unary, OPERATOR_TANH},
    {"HardSigmoid", import_unary, OPERATOR_HARD_SIGMOID},
    {"HardSwish", import_unary, OPERATOR_HARD_SWISH},
    {"Exp", import_unary, OPERATOR_EXP},
    {"Log", import_unary, OPERATOR_LOG},
    {"Sqrt", import_unary, OPERATOR_SQRT},
    {"Abs", import_unary, OPERATOR_ABS},
    {"Neg", import_unary, OPERATOR_NEG},
    {"Erf", import_unary, OPERATOR_ERF},
    {"Not", import_unary, OPERATOR_NOT},
    {"Add", import_binary, OPERATOR_ADD},
    {"Sub", import_binary, OPERATOR_SUB},
    {"Mul", import_binary, OPERATOR_MUL},
    {"Div", import_binary, OPERATOR_DIV},
    {"Pow", import_binary, OPERATOR_POW},
    {"PRelu", import_binary, OPERATOR_PRELU},
    {"Less", import_binary, OPERATOR_LESS},
    {"Greater", import_binary, OPERATOR_GREATER},
    {"Equal", import_binary, OPERATOR_EQUAL},
    {"And", import_binary, OPERATOR_AND},
    {"Or", import_binary, OPERATOR_OR},
    {"Sum", import_variadic, OPERATOR_ADD},
    {"Max", import_variadic, OPERATOR_MAX},
    {"Min", import_variadic, OPERATOR_MIN},
    {"Where", import_where, OPERATOR_WHERE},
    {"Clip", import_clip, OPERATOR_CLIP},
    {"Softmax", import_softmax, OPERATOR_SOFTMAX},
    {"Cast", import_cast_node, OPERATOR_CAST},
    {"Identity", import_nothing, OPERATOR_RESHAPE},
    {"Dropout", import_nothing, OPERATOR_RESHAPE},
    {NULL, NULL, OPERATOR_COUNT},
};
