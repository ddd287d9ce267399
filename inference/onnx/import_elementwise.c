/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/onnx/import.h"

#include <float.h>
#include <string.h>

/* Attributes alpha and beta (or gamma) with each operator's own defaults. */
static void default_scalars(enum operator_kind kind, float *alpha, float *beta)
{
    *beta = 0.5f;
    switch (kind) {
    case OPERATOR_LEAKY_RELU: *alpha = 0.01f; break;
    case OPERATOR_HARD_SIGMOID: *alpha = 0.2f; break;
    case OPERATOR_SELU: *alpha = 1.67326319217681884765625f; *beta = 1.05070102214813232421875f; break;
    default: *alpha = 1; break;
    }
}

static enum error_code import_unary(struct importer *importer)
{
    int32_t input;
    float alpha, beta;
    TRY(import_input(importer, 0, true, &input));
    enum operator_kind kind = importer->row->kind;
    if (kind == OPERATOR_GELU && import_text_is(importer, "approximate", "tanh"))
        kind = OPERATOR_GELU_TANH;
    default_scalars(kind, &alpha, &beta);
    struct node *node = import_node(importer, kind, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.scalar.alpha = import_float(importer, "alpha", alpha);
    node->attributes.scalar.beta = import_float(importer, kind == OPERATOR_SELU ? "gamma" : "beta", beta);
    return import_finish_bind(importer);
}

static enum error_code import_is_inf(struct importer *importer)
{
    int32_t input;
    TRY(import_input(importer, 0, true, &input));
    struct node *node = import_node(importer, OPERATOR_IS_INF, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.scalar.alpha = import_int(importer, "detect_negative", 1) != 0;
    node->attributes.scalar.beta = import_int(importer, "detect_positive", 1) != 0;
    return import_finish_bind(importer);
}

static enum error_code import_operands(struct importer *importer, int32_t operands[2])
{
    TRY(import_input(importer, 0, true, &operands[0]));
    return import_input(importer, 1, true, &operands[1]);
}

/* Before opset 7 the second operand lies along the first from `axis` on, if that is given. */
static enum error_code align_operand(struct importer *importer, const int32_t operands[2], int32_t *value_out)
{
    const struct shape x = import_value(importer, operands[0])->shape, y = import_value(importer, operands[1])->shape;
    struct shape shape = {.rank = x.rank};
    int32_t axis;
    *value_out = operands[1];
    if (importer->model->opset >= 7 || import_attribute(importer, "axis") == NULL || y.rank >= x.rank)
        return ERROR_NONE;
    TRY(import_axis(importer, import_int(importer, "axis", 0), x.rank, &axis));
    if (axis + y.rank > x.rank)
        return import_fail(importer, ERROR_MODEL, "an operand of rank %d at axis %d of rank %d", y.rank, axis, x.rank);
    for (int i = 0; i < x.rank; i++)
        shape.dims[i] = i >= axis && i < axis + y.rank ? y.dims[i - axis] : 1;
    return import_reshape(importer, operands[1], &shape, value_out);
}

static enum error_code import_binary(struct importer *importer)
{
    int32_t operands[2], output;
    TRY(import_operands(importer, operands));
    TRY(align_operand(importer, operands, &operands[1]));
    TRY(import_binary_of(importer, importer->row->kind, operands[0], operands[1], &output));
    return import_bind(importer, 0, output);
}

/* Before opset 7 one slope a channel lies along the channels without saying so. */
static enum error_code import_prelu(struct importer *importer)
{
    int32_t operands[2], output;
    TRY(import_operands(importer, operands));
    const struct shape x = import_value(importer, operands[0])->shape, slope = import_value(importer, operands[1])->shape;
    if (slope.rank == 1 && x.rank > 2 && slope.dims[0] == x.dims[1] && slope.dims[0] != 1 && importer->model->opset < 7)
        TRY(import_along(importer, operands[1], 1, x.rank, &operands[1]));
    TRY(import_binary_of(importer, OPERATOR_PRELU, operands[0], operands[1], &output));
    return import_bind(importer, 0, output);
}

/* The result has the base's type; an exponent of another type is brought to it, or both meet in f32. */
static enum error_code import_pow(struct importer *importer)
{
    int32_t operands[2], output;
    TRY(import_operands(importer, operands));
    enum dtype base = import_value(importer, operands[0])->dtype, exponent = import_value(importer, operands[1])->dtype;
    bool through_f32 = base != DTYPE_F32 && exponent == DTYPE_F32;
    if (through_f32)
        TRY(import_cast(importer, operands[0], DTYPE_F32, &operands[0]));
    else if (base != exponent)
        TRY(import_cast(importer, operands[1], base, &operands[1]));
    TRY(import_binary_of(importer, OPERATOR_POW, operands[0], operands[1], &output));
    if (through_f32)
        TRY(import_cast(importer, output, base, &output));
    return import_bind(importer, 0, output);
}

static enum error_code import_mod(struct importer *importer)
{
    int32_t operands[2], output;
    TRY(import_operands(importer, operands));
    TRY(import_binary_of(importer, import_int(importer, "fmod", 0) != 0 ? OPERATOR_FMOD : OPERATOR_MOD, operands[0], operands[1], &output));
    return import_bind(importer, 0, output);
}

static enum error_code import_shift(struct importer *importer)
{
    int32_t operands[2], output;
    TRY(import_operands(importer, operands));
    bool left = import_text_is(importer, "direction", "LEFT");
    TRY(import_binary_of(importer, left ? OPERATOR_SHIFT_LEFT : OPERATOR_SHIFT_RIGHT, operands[0], operands[1], &output));
    return import_bind(importer, 0, output);
}

/* Sum, Mean, Max, Min take any number of operands: a chain of pairs here. */
static enum error_code import_variadic(struct importer *importer)
{
    int32_t result, operand;
    TRY(import_input(importer, 0, true, &result));
    for (int i = 1; i < importer->node->input_count; i++) {
        TRY(import_input(importer, i, true, &operand));
        TRY(import_binary_of(importer, importer->row->kind, result, operand, &result));
    }
    if (strcmp(importer->node->op, "Mean") == 0) {
        TRY(import_number(importer, (float)importer->node->input_count, &operand));
        TRY(import_binary_of(importer, OPERATOR_DIV, result, operand, &result));
    }
    return import_bind(importer, 0, result);
}

static enum error_code import_where(struct importer *importer)
{
    int32_t operands[3];
    for (int i = 0; i < 3; i++)
        TRY(import_input(importer, i, true, &operands[i]));
    return import_node(importer, OPERATOR_WHERE, operands, 3, 1) == NULL ? importer->error->code : import_finish_bind(importer);
}

/* Bounds that are constants of the file stay in the node, where a layer can take them; others are a Max and a Min. */
static enum error_code import_clip(struct importer *importer)
{
    int32_t input, bounds[2];
    double low = (double)import_float(importer, "min", -FLT_MAX), high = (double)import_float(importer, "max", FLT_MAX);
    TRY(import_input(importer, 0, true, &input));
    TRY(import_input(importer, 1, false, &bounds[0]));
    TRY(import_input(importer, 2, false, &bounds[1]));
    bool real = import_value(importer, input)->dtype == DTYPE_F32, constant = true;
    for (int i = 0; i < 2; i++)
        constant = constant && (bounds[i] < 0 || import_value(importer, bounds[i])->data != NULL);
    if (!real || !constant) {
        for (int i = 0; i < 2; i++) {
            if (bounds[i] >= 0)
                TRY(import_binary_of(importer, i == 0 ? OPERATOR_MAX : OPERATOR_MIN, input, bounds[i], &input));
        }
        return import_bind(importer, 0, input);
    }
    if (bounds[0] >= 0)
        TRY(import_scalar(importer, bounds[0], &low));
    if (bounds[1] >= 0)
        TRY(import_scalar(importer, bounds[1], &high));
    struct node *node = import_node(importer, OPERATOR_CLIP, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.scalar.alpha = (float)low;
    node->attributes.scalar.beta = (float)high;
    return import_finish_bind(importer);
}

static enum error_code import_softmax(struct importer *importer)
{
    int32_t input;
    TRY(import_input(importer, 0, true, &input));
    bool old = importer->model->opset < 13;
    int rank = import_value(importer, input)->shape.rank;
    struct node *node = import_node(importer, importer->row->kind, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.softmax.flatten = old;
    node->attributes.softmax.beta = 1;
    TRY(import_axis(importer, import_int(importer, "axis", old ? 1 : -1), rank, &node->attributes.softmax.axis));
    return import_finish_bind(importer);
}

/* Half precision is computed in single; a value that was made half keeps half's digits. */
static enum error_code import_cast_to(struct importer *importer, int32_t input, enum dtype dtype)
{
    int32_t output;
    TRY(import_cast(importer, input, dtype, &output));
    if (dtype == DTYPE_F16)
        TRY(import_cast(importer, output, DTYPE_F32, &output));
    return import_bind(importer, 0, output);
}

static enum error_code import_cast_node(struct importer *importer)
{
    int32_t input;
    enum dtype dtype;
    TRY(import_input(importer, 0, true, &input));
    if (onnx_dtype(import_int(importer, "to", 0), &dtype, importer->error) != ERROR_NONE)
        return error_prefix(importer->error, "node \"%.80s\": ", importer->node->name);
    return import_cast_to(importer, input, dtype);
}

static enum error_code import_cast_like(struct importer *importer)
{
    int32_t operands[2];
    TRY(import_operands(importer, operands));
    return import_cast_to(importer, operands[0], import_value(importer, operands[1])->dtype);
}

static enum error_code import_nothing(struct importer *importer)
{
    int32_t input;
    TRY(import_input(importer, 0, true, &input));
    return import_bind(importer, 0, input);
}

/* Does nothing once trained; its mask is all true. */
static enum error_code import_dropout(struct importer *importer)
{
    int32_t mask;
    TRY(import_nothing(importer));
    if (importer->node->output_count < 2 || importer->node->outputs[1][0] == '\0')
        return ERROR_NONE;
    TRY(import_input(importer, 0, true, &mask));
    const struct shape shape = import_value(importer, mask)->shape;
    uint8_t *data = arena_allocate(&importer->graph->arena, (size_t)shape_elements(&shape));
    if (data == NULL)
        return import_fail(importer, ERROR_LIMIT, "the model needs more memory than eddy allows");
    memset(data, 1, (size_t)shape_elements(&shape));
    TRY(import_constant(importer, DTYPE_BOOL, &shape, data, &mask));
    return import_bind(importer, 1, mask);
}

const struct import_row import_elementwise_rows[] = {
    {"Relu", import_unary, OPERATOR_RELU, "f32 f16 i8..i64 i8/u8 quantised", ""},
    {"LeakyRelu", import_unary, OPERATOR_LEAKY_RELU, "f32 f16 i8 u8 (quantised)", ""},
    {"Sigmoid", import_unary, OPERATOR_SIGMOID, "f32 f16 i8 u8 (quantised)", ""},
    {"Tanh", import_unary, OPERATOR_TANH, "f32 f16 i8 u8 (quantised)", ""},
    {"HardSigmoid", import_unary, OPERATOR_HARD_SIGMOID, "f32 f16 i8 u8 (quantised)", ""},
    {"HardSwish", import_unary, OPERATOR_HARD_SWISH, "f32 f16 i8 u8 (quantised)", ""},
    {"Elu", import_unary, OPERATOR_ELU, "f32 f16 i8 u8 (quantised)", ""},
    {"Selu", import_unary, OPERATOR_SELU, "f32 f16 i8 u8 (quantised)", ""},
    {"Celu", import_unary, OPERATOR_CELU, "f32 f16 i8 u8 (quantised)", ""},
    {"Gelu", import_unary, OPERATOR_GELU, "f32 f16 i8 u8 (quantised)", ""},
    {"Softplus", import_unary, OPERATOR_SOFTPLUS, "f32 f16 i8 u8 (quantised)", ""},
    {"Softsign", import_unary, OPERATOR_SOFTSIGN, "f32 f16 i8 u8 (quantised)", ""},
    {"Mish", import_unary, OPERATOR_MISH, "f32 f16 i8 u8 (quantised)", ""},
    {"ThresholdedRelu", import_unary, OPERATOR_THRESHOLDED_RELU, "f32 f16 i8 u8 (quantised)", ""},
    {"Exp", import_unary, OPERATOR_EXP, "f32 f16 i8 u8 (quantised)", ""},
    {"Log", import_unary, OPERATOR_LOG, "f32 f16 i8 u8 (quantised)", ""},
    {"Sqrt", import_unary, OPERATOR_SQRT, "f32 f16 i8 u8 (quantised)", ""},
    {"Reciprocal", import_unary, OPERATOR_RECIPROCAL, "f32 f16 i8 u8 (quantised)", ""},
    {"Erf", import_unary, OPERATOR_ERF, "f32 f16 i8 u8 (quantised)", ""},
    {"Floor", import_unary, OPERATOR_FLOOR, "f32 f16 i8 u8 (quantised)", ""},
    {"Ceil", import_unary, OPERATOR_CEIL, "f32 f16 i8 u8 (quantised)", ""},
    {"Round", import_unary, OPERATOR_ROUND, "f32 f16 i8 u8 (quantised)", ""},
    {"Sin", import_unary, OPERATOR_SIN, "f32 f16 i8 u8 (quantised)", ""},
    {"Cos", import_unary, OPERATOR_COS, "f32 f16 i8 u8 (quantised)", ""},
    {"Tan", import_unary, OPERATOR_TAN, "f32 f16 i8 u8 (quantised)", ""},
    {"Asin", import_unary, OPERATOR_ASIN, "f32 f16 i8 u8 (quantised)", ""},
    {"Acos", import_unary, OPERATOR_ACOS, "f32 f16 i8 u8 (quantised)", ""},
    {"Atan", import_unary, OPERATOR_ATAN, "f32 f16 i8 u8 (quantised)", ""},
    {"Sinh", import_unary, OPERATOR_SINH, "f32 f16 i8 u8 (quantised)", ""},
    {"Cosh", import_unary, OPERATOR_COSH, "f32 f16 i8 u8 (quantised)", ""},
    {"Asinh", import_unary, OPERATOR_ASINH, "f32 f16 i8 u8 (quantised)", ""},
    {"Acosh", import_unary, OPERATOR_ACOSH, "f32 f16 i8 u8 (quantised)", ""},
    {"Atanh", import_unary, OPERATOR_ATANH, "f32 f16 i8 u8 (quantised)", ""},
    {"Abs", import_unary, OPERATOR_ABS, "f32 f16 i8..i64", ""},
    {"Neg", import_unary, OPERATOR_NEG, "f32 f16 i8..i64", ""},
    {"Sign", import_unary, OPERATOR_SIGN, "f32 f16 i8..i64", ""},
    {"Not", import_unary, OPERATOR_NOT, "bool", ""},
    {"BitwiseNot", import_unary, OPERATOR_BITWISE_NOT, "all integers", ""},
    {"IsNaN", import_unary, OPERATOR_IS_NAN, "f32 f16", ""},
    {"IsInf", import_is_inf, OPERATOR_IS_INF, "f32 f16", ""},
    {"Add", import_binary, OPERATOR_ADD, "f32 f16, all integers, i8 u8 (quantised)", "integers wrap"},
    {"Sub", import_binary, OPERATOR_SUB, "f32 f16, all integers, i8 u8 (quantised)", "integers wrap"},
    {"Mul", import_binary, OPERATOR_MUL, "f32 f16, all integers, i8 u8 (quantised)", "integers wrap"},
    {"Div", import_binary, OPERATOR_DIV, "f32 f16, all integers", "integers: towards zero; by zero gives 0"},
    {"Pow", import_pow, OPERATOR_POW, "f32 f16, all integers", "an integer to a real power is computed in f32"},
    {"PRelu", import_prelu, OPERATOR_PRELU, "f32 f16", ""},
    {"Mod", import_mod, OPERATOR_MOD, "f32 f16, all integers", ""},
    {"Less", import_binary, OPERATOR_LESS, "f32 f16, all integers", ""},
    {"LessOrEqual", import_binary, OPERATOR_LESS_OR_EQUAL, "f32 f16, all integers", ""},
    {"Greater", import_binary, OPERATOR_GREATER, "f32 f16, all integers", ""},
    {"GreaterOrEqual", import_binary, OPERATOR_GREATER_OR_EQUAL, "f32 f16, all integers", ""},
    {"Equal", import_binary, OPERATOR_EQUAL, "f32 f16, all integers, bool", ""},
    {"And", import_binary, OPERATOR_AND, "bool", ""},
    {"Or", import_binary, OPERATOR_OR, "bool", ""},
    {"Xor", import_binary, OPERATOR_XOR, "bool", ""},
    {"BitwiseAnd", import_binary, OPERATOR_BITWISE_AND, "all integers", ""},
    {"BitwiseOr", import_binary, OPERATOR_BITWISE_OR, "all integers", ""},
    {"BitwiseXor", import_binary, OPERATOR_BITWISE_XOR, "all integers", ""},
    {"BitShift", import_shift, OPERATOR_SHIFT_LEFT, "u8..u64", ""},
    {"Sum", import_variadic, OPERATOR_ADD, "f32 f16", ""},
    {"Mean", import_variadic, OPERATOR_ADD, "f32 f16", ""},
    {"Max", import_variadic, OPERATOR_MAX, "f32 f16, all integers", ""},
    {"Min", import_variadic, OPERATOR_MIN, "f32 f16, all integers", ""},
    {"Where", import_where, OPERATOR_WHERE, "all", ""},
    {"Clip", import_clip, OPERATOR_CLIP, "f32 f16, all integers", ""},
    {"Softmax", import_softmax, OPERATOR_SOFTMAX, "f32 f16", ""},
    {"LogSoftmax", import_softmax, OPERATOR_LOG_SOFTMAX, "f32 f16", ""},
    {"Cast", import_cast_node, OPERATOR_CAST, "all", "f64 is f32; real to integer saturates"},
    {"CastLike", import_cast_like, OPERATOR_CAST, "all", ""},
    {"Identity", import_nothing, OPERATOR_RESHAPE, "all", ""},
    {"Dropout", import_dropout, OPERATOR_RESHAPE, "all", "inference only"},
    {0},
};
