/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/tflite/tflite.h"

#include "inference/tflite/convert.h"

#include <stdlib.h>
#include <string.h>

enum { MODEL_VERSION, MODEL_OPERATOR_CODES, MODEL_SUBGRAPHS, MODEL_DESCRIPTION, MODEL_BUFFERS };
enum { SUBGRAPH_TENSORS, SUBGRAPH_INPUTS, SUBGRAPH_OUTPUTS, SUBGRAPH_OPERATORS };
enum { OPERATOR_CODE_OLD, OPERATOR_CODE_CUSTOM, OPERATOR_CODE_VERSION, OPERATOR_CODE_BUILTIN };
enum { OP_CODE_INDEX, OP_INPUTS, OP_OUTPUTS, OP_OPTIONS_TYPE, OP_OPTIONS, OP_CUSTOM_OPTIONS, OP_INTERMEDIATES = 8 };
enum { SCHEMA_VERSION = 3, CUSTOM = 32 };

/* BuiltinOperator of schema.fbs. */
static const struct operator_row {
    int code;
    const char *name;
    convert_function *convert;
    enum operator_kind kind;
} rows[] = {
    {0, "ADD", convert_binary, OPERATOR_ADD},
    {1, "AVERAGE_POOL_2D", convert_pool, OPERATOR_AVERAGE_POOL},
    {2, "CONCATENATION", convert_concatenation, OPERATOR_CONCAT},
    {3, "CONV_2D", convert_convolution, OPERATOR_CONV},
    {4, "DEPTHWISE_CONV_2D", convert_depthwise, OPERATOR_DEPTHWISE_CONV},
    {6, "DEQUANTIZE", convert_dequantize, OPERATOR_DEQUANTIZE},
    {9, "FULLY_CONNECTED", convert_fully_connected, OPERATOR_FULLY_CONNECTED},
    {14, "LOGISTIC", convert_unary, OPERATOR_SIGMOID},
    {17, "MAX_POOL_2D", convert_pool, OPERATOR_MAX_POOL},
    {18, "MUL", convert_binary, OPERATOR_MUL},
    {19, "RELU", convert_unary, OPERATOR_RELU},
    {20, "RELU_N1_TO_1", convert_unary, OPERATOR_CLIP},
    {21, "RELU6", convert_unary, OPERATOR_CLIP},
    {22, "RESHAPE", convert_reshape_to, OPERATOR_RESHAPE},
    {23, "RESIZE_BILINEAR", convert_resize, OPERATOR_RESIZE},
    {25, "SOFTMAX", convert_softmax, OPERATOR_SOFTMAX},
    {28, "TANH", convert_unary, OPERATOR_TANH},
    {34, "PAD", convert_pad, OPERATOR_PAD},
    {39, "TRANSPOSE", convert_transpose, OPERATOR_TRANSPOSE},
    {40, "MEAN", convert_reduce, OPERATOR_REDUCE_MEAN},
    {41, "SUB", convert_binary, OPERATOR_SUB},
    {42, "DIV", convert_binary, OPERATOR_DIV},
    {43, "SQUEEZE", convert_same_elements, OPERATOR_RESHAPE},
    {44, "UNIDIRECTIONAL_SEQUENCE_LSTM", convert_lstm, OPERATOR_LSTM},
    {45, "STRIDED_SLICE", convert_strided_slice, OPERATOR_SLICE},
    {47, "EXP", convert_unary, OPERATOR_EXP},
    {49, "SPLIT", convert_split, OPERATOR_SLICE},
    {53, "CAST", convert_cast, OPERATOR_CAST},
    {54, "PRELU", convert_binary, OPERATOR_PRELU},
    {55, "MAXIMUM", convert_binary, OPERATOR_MAX},
    {56, "ARG_MAX", convert_arg_max, OPERATOR_ARG_MAX},
    {57, "MINIMUM", convert_binary, OPERATOR_MIN},
    {59, "NEG", convert_unary, OPERATOR_NEG},
    {65, "SLICE", convert_slice_to, OPERATOR_SLICE},
    {70, "EXPAND_DIMS", convert_same_elements, OPERATOR_RESHAPE},
    {73, "LOG", convert_unary, OPERATOR_LOG},
    {74, "SUM", convert_reduce, OPERATOR_REDUCE_SUM},
    {75, "SQRT", convert_unary, OPERATOR_SQRT},
    {82, "REDUCE_MAX", convert_reduce, OPERATOR_REDUCE_MAX},
    {83, "PACK", convert_pack, OPERATOR_CONCAT},
    {88, "UNPACK", convert_unpack, OPERATOR_SLICE},
    {89, "REDUCE_MIN", convert_reduce, OPERATOR_REDUCE_MIN},
    {97, "RESIZE_NEAREST_NEIGHBOR", convert_resize, OPERATOR_RESIZE},
    {98, "LEAKY_RELU", convert_leaky_relu, OPERATOR_LEAKY_RELU},
    {101, "ABS", convert_unary, OPERATOR_ABS},
    {114, "QUANTIZE", convert_quantize, OPERATOR_QUANTIZE},
    {117, "HARD_SWISH", convert_unary, OPERATOR_HARD_SWISH},
};

static const struct operator_row detection_row = {CUSTOM, "TFLite_Detection_PostProcess", convert_detection, OPERATOR_DETECTION_POSTPROCESS};

struct file {
    struct flatbuffer buffer;
    struct flatbuffer_vector codes, operators, inputs, outputs;
};

/* Files before schema 3a keep the code in one byte; the larger of both fields counts. */
static enum error_code find_row(const struct file *file, uint32_t index, int number, const struct operator_row **row_out, struct error *error)
{
    if (index >= file->codes.count)
        return error_set(error, ERROR_MODEL, "operator number %d has code %u, which is not in the file", number, index);
    struct flatbuffer_table code = flatbuffer_element(&file->codes, index);
    int64_t old = flatbuffer_integer(&code, OPERATOR_CODE_OLD, 1, 0), builtin = flatbuffer_integer(&code, OPERATOR_CODE_BUILTIN, 4, 0);
    builtin = old > builtin ? old : builtin;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code == builtin) {
            *row_out = &rows[i];
            return ERROR_NONE;
        }
    }
    size_t length;
    const char *name = flatbuffer_text(&code, OPERATOR_CODE_CUSTOM, &length);
    *row_out = &detection_row;
    if (builtin == CUSTOM && length == strlen(detection_row.name) && memcmp(name, detection_row.name, length) == 0)
        return ERROR_NONE;
    if (builtin == CUSTOM)
        return error_set(error, ERROR_UNSUPPORTED, "custom operator \"%.*s\" (number %d) is not supported", (int)(length < 80 ? length : 80), name, number);
    return error_set(error, ERROR_UNSUPPORTED, "TFLite operator %lld (number %d) is not supported", (long long)builtin, number);
}

static enum error_code check_file(const struct file *file, struct error *error)
{
    if (!flatbuffer_failed(&file->buffer))
        return ERROR_NONE;
    return error_set(error, ERROR_MODEL, "%s, at byte %zu", file->buffer.problem, file->buffer.problem_at);
}

static enum error_code convert_operators(struct file *file, struct converter *converter)
{
    for (uint32_t i = 0; i < file->operators.count; i++) {
        const struct operator_row *row;
        struct flatbuffer_table op = flatbuffer_element(&file->operators, i);
        TRY(find_row(file, flatbuffer_u32(&op, OP_CODE_INDEX, 0), (int)i, &row, converter->error));
        converter->op = row->name;
        converter->index = (int)i;
        converter->inputs = flatbuffer_list(&op, OP_INPUTS, 4);
        converter->outputs = flatbuffer_list(&op, OP_OUTPUTS, 4);
        converter->intermediates = flatbuffer_list(&op, OP_INTERMEDIATES, 4);
        converter->options = flatbuffer_child(&op, OP_OPTIONS);
        converter->custom_options = flatbuffer_list(&op, OP_CUSTOM_OPTIONS, 1);
        TRY(check_file(file, converter->error));
        TRY(row->convert(converter, row->kind));
    }
    return ERROR_NONE;
}

static enum error_code bind_outputs(const struct file *file, struct converter *converter)
{
    struct graph *graph = converter->graph;
    for (uint32_t i = 0; i < file->outputs.count; i++) {
        int32_t tensor = flatbuffer_element_i32(&file->outputs, i);
        struct value described;
        TRY(tensor_describe(converter, tensor, &described));
        if (converter->values[tensor] == GRAPH_NO_VALUE)
            return error_set(converter->error, ERROR_MODEL, "output \"%.80s\" is made by no operator", described.name);
        graph->outputs[graph->output_count++] = converter->values[tensor];
        graph->values[converter->values[tensor]].name = described.name;
    }
    return ERROR_NONE;
}

static enum error_code open_file(struct file *file, const uint8_t *bytes, size_t length, struct converter *converter)
{
    flatbuffer_init(&file->buffer, bytes, length);
    struct flatbuffer_table model = flatbuffer_root(&file->buffer);
    uint32_t version = flatbuffer_u32(&model, MODEL_VERSION, 0);
    struct flatbuffer_vector subgraphs = flatbuffer_list(&model, MODEL_SUBGRAPHS, 4);
    TRY(check_file(file, converter->error));
    if (version != SCHEMA_VERSION)
        return error_set(converter->error, ERROR_UNSUPPORTED, "schema version %u, expected %d", version, SCHEMA_VERSION);
    if (subgraphs.count != 1)
        return error_set(converter->error, subgraphs.count == 0 ? ERROR_MODEL : ERROR_UNSUPPORTED, "%u subgraphs, expected 1", subgraphs.count);
    struct flatbuffer_table subgraph = flatbuffer_element(&subgraphs, 0);
    file->codes = flatbuffer_list(&model, MODEL_OPERATOR_CODES, 4);
    file->operators = flatbuffer_list(&subgraph, SUBGRAPH_OPERATORS, 4);
    file->inputs = flatbuffer_list(&subgraph, SUBGRAPH_INPUTS, 4);
    file->outputs = flatbuffer_list(&subgraph, SUBGRAPH_OUTPUTS, 4);
    converter->file = &file->buffer;
    converter->tensors = flatbuffer_list(&subgraph, SUBGRAPH_TENSORS, 4);
    converter->buffers = flatbuffer_list(&model, MODEL_BUFFERS, 4);
    TRY(check_file(file, converter->error));
    if (file->inputs.count > converter->tensors.count || file->outputs.count > converter->tensors.count ||
        converter->tensors.count > GRAPH_VALUES_MAX || file->outputs.count == 0)
        return error_set(converter->error, ERROR_MODEL, "%u inputs, %u outputs of %u tensors", file->inputs.count, file->outputs.count,
                         converter->tensors.count);
    return ERROR_NONE;
}

enum error_code tflite_load(const uint8_t *bytes, size_t length, const struct model_options *options, struct graph *graph, struct error *error)
{
    struct file file;
    struct converter converter = {.graph = graph, .error = error};
    TRY(open_file(&file, bytes, length, &converter));
    converter.values = arena_allocate_array(&graph->arena, converter.tensors.count, sizeof *converter.values);
    graph->inputs = arena_allocate_array(&graph->arena, (size_t)file.inputs.count + 1, sizeof *graph->inputs);
    graph->outputs = arena_allocate_array(&graph->arena, (size_t)file.outputs.count + 1, sizeof *graph->outputs);
    if (converter.values == NULL || graph->inputs == NULL || graph->outputs == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for %u tensors", converter.tensors.count);
    for (uint32_t i = 0; i < converter.tensors.count; i++)
        converter.values[i] = GRAPH_NO_VALUE;
    TRY(tensors_import(&converter, &file.inputs, options));
    TRY(check_file(&file, error));
    TRY(convert_operators(&file, &converter));
    TRY(bind_outputs(&file, &converter));
    return check_file(&file, error);
}
