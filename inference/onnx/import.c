/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/onnx/import.h"

#include "inference/half.h"
#include "inference/onnx/onnx.h"
#include "inference/operators/operators.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum error_code import_fail(struct importer *importer, enum error_code code, const char *format, ...)
{
    char what[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return error_set(importer->error, code, "operator %.40s, node \"%.80s\": %s", importer->node->op, importer->node->name, what);
}

static size_t name_hash(const char *name)
{
    size_t hash = 1469598103934665603u;
    while (*name != '\0')
        hash = (hash ^ (unsigned char)*name++) * 1099511628211u;
    return hash ^ hash >> 29;
}

/* In this graph, then in those around it. */
static int32_t find_name(const struct importer *importer, const char *name)
{
    size_t hash = name_hash(name);
    for (; importer != NULL; importer = importer->around) {
        for (size_t i = hash & importer->table_mask; importer->table[i] != 0; i = (i + 1) & importer->table_mask) {
            if (strcmp(importer->table_names[i], name) == 0)
                return importer->table[i] - 1;
        }
    }
    return GRAPH_NO_VALUE;
}

static enum error_code add_name(struct importer *importer, const char *name, int32_t value)
{
    size_t i = name_hash(name) & importer->table_mask;
    for (; importer->table[i] != 0; i = (i + 1) & importer->table_mask) {
        if (strcmp(importer->table_names[i], name) == 0)
            return error_set(importer->error, ERROR_MODEL, "two values are called \"%.80s\"", name);
    }
    importer->table[i] = value + 1;
    importer->table_names[i] = name;
    return ERROR_NONE;
}

/* Gives a constant that lies unaligned in the file an aligned copy. */
static enum error_code align_constant(struct importer *importer, int32_t index)
{
    struct value *value = &importer->graph->values[index];
    size_t element = dtype_bytes(value->dtype), count = value->data != NULL ? (size_t)shape_elements(&value->shape) : 0;
    if (value->data == NULL || (uintptr_t)value->data % element == 0)
        return ERROR_NONE;
    void *copy = arena_allocate_array(&importer->graph->arena, count, element);
    if (copy == NULL)
        return import_fail(importer, ERROR_LIMIT, "the model needs more memory than eddy allows");
    memcpy(copy, value->data, count * element);
    graph_forget_mapped(importer->graph, value->data, count * element);
    value->data = copy;
    return ERROR_NONE;
}

enum error_code import_input(struct importer *importer, int index, bool required, int32_t *value_out)
{
    TRY(import_input_in_place(importer, index, required, value_out));
    return *value_out < 0 ? ERROR_NONE : align_constant(importer, *value_out);
}

enum error_code import_input_in_place(struct importer *importer, int index, bool required, int32_t *value_out)
{
    const struct onnx_node *node = importer->node;
    *value_out = GRAPH_NO_VALUE;
    if (index >= node->input_count || node->inputs[index][0] == '\0')
        return required ? import_fail(importer, ERROR_MODEL, "input %d is missing", index) : ERROR_NONE;
    *value_out = find_name(importer, node->inputs[index]);
    if (*value_out < 0)
        return import_fail(importer, ERROR_MODEL, "input \"%.80s\" is made by no node before it", node->inputs[index]);
    return ERROR_NONE;
}

const struct value *import_value(const struct importer *importer, int32_t value)
{
    return &importer->graph->values[value];
}

enum error_code import_bind(struct importer *importer, int output, int32_t value)
{
    const struct onnx_node *node = importer->node;
    if (output >= node->output_count || node->outputs[output][0] == '\0')
        return ERROR_NONE;
    return add_name(importer, node->outputs[output], value);
}

struct node *import_node(struct importer *importer, enum operator_kind kind, const int32_t *inputs, int input_count, int output_count)
{
    struct node *node = graph_add_node(importer->graph, kind, importer->node->name, input_count, output_count);
    if (node == NULL)
        import_fail(importer, ERROR_LIMIT, "the graph is larger than eddy takes");
    else
        memcpy(node->inputs, inputs, (size_t)input_count * sizeof *inputs);
    return node;
}

static bool all_constant(const struct graph *graph, const struct node *node)
{
    for (int32_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] >= 0 && graph->values[node->inputs[i]].data == NULL)
            return false;
    }
    /* quantised constants stay as they are: the quantisation pass wants to see them */
    return node->kind != OPERATOR_DEQUANTIZE && node->kind != OPERATOR_QUANTIZE;
}

enum error_code import_finish(struct importer *importer, int32_t *value_out)
{
    struct graph *graph = importer->graph;
    struct node *node = &graph->nodes[graph->node_count - 1];
    TRY(operator_infer(graph, node, importer->error));
    if (all_constant(graph, node))
        TRY(operator_fold(graph, node, importer->error));
    *value_out = graph->nodes[graph->node_count - 1].outputs[0];
    return ERROR_NONE;
}

enum error_code import_transpose(struct importer *importer, int32_t value, const int32_t *order, int32_t *value_out)
{
    struct node *node = import_node(importer, OPERATOR_TRANSPOSE, &value, 1, 1);
    if (node == NULL)
        return importer->error->code;
    memcpy(node->attributes.transpose.order, order, (size_t)import_value(importer, value)->shape.rank * sizeof *order);
    return import_finish(importer, value_out);
}

enum error_code import_reshape(struct importer *importer, int32_t value, const struct shape *shape, int32_t *value_out)
{
    struct node *node = import_node(importer, OPERATOR_RESHAPE, &value, 1, 1);
    if (node == NULL)
        return importer->error->code;
    struct value *output = &importer->graph->values[node->outputs[0]];
    output->shape = *shape;
    output->shape_known = true;
    return import_finish(importer, value_out);
}

enum error_code import_to_nhwc(struct importer *importer, int32_t value, int32_t *value_out)
{
    if (import_value(importer, value)->shape.rank != 4)
        return import_fail(importer, ERROR_UNSUPPORTED, "an input of rank %d, expected 4", import_value(importer, value)->shape.rank);
    return import_transpose(importer, value, (int32_t[]){0, 2, 3, 1}, value_out);
}

enum error_code import_to_nchw(struct importer *importer, int32_t value, int32_t *value_out)
{
    return import_transpose(importer, value, (int32_t[]){0, 3, 1, 2}, value_out);
}

enum error_code import_constant(struct importer *importer, enum dtype dtype, const struct shape *shape, const void *data, int32_t *value_out)
{
    *value_out = graph_add_constant(importer->graph, importer->node->name, dtype, shape, data);
    return *value_out >= 0 ? ERROR_NONE : import_fail(importer, ERROR_LIMIT, "the graph is larger than eddy takes");
}

enum error_code import_cast(struct importer *importer, int32_t value, enum dtype dtype, int32_t *value_out)
{
    struct node *node = import_node(importer, OPERATOR_CAST, &value, 1, 1);
    if (node == NULL)
        return importer->error->code;
    importer->graph->values[node->outputs[0]].dtype = dtype;
    return import_finish(importer, value_out);
}

enum error_code import_unary_of(struct importer *importer, enum operator_kind kind, int32_t value, int32_t *value_out)
{
    return import_node(importer, kind, &value, 1, 1) == NULL ? importer->error->code : import_finish(importer, value_out);
}

enum error_code import_binary_of(struct importer *importer, enum operator_kind kind, int32_t a, int32_t b, int32_t *value_out)
{
    return import_node(importer, kind, (int32_t[]){a, b}, 2, 1) == NULL ? importer->error->code : import_finish(importer, value_out);
}

enum error_code import_number(struct importer *importer, float number, int32_t *value_out)
{
    float *data = arena_allocate(&importer->graph->arena, sizeof *data);
    if (data == NULL)
        return import_fail(importer, ERROR_LIMIT, "the model needs more memory than eddy allows");
    *data = number;
    return import_constant(importer, DTYPE_F32, &(struct shape){.rank = 0}, data, value_out);
}

enum error_code import_slice_of(struct importer *importer, int32_t value, const int32_t *begin, const int32_t *step, const int32_t *count,
                                int32_t *value_out)
{
    struct node *node = import_node(importer, OPERATOR_SLICE, &value, 1, 1);
    if (node == NULL)
        return importer->error->code;
    int rank = import_value(importer, value)->shape.rank;
    struct value *output = &importer->graph->values[node->outputs[0]];
    memcpy(node->attributes.slice.begin, begin, (size_t)rank * sizeof *begin);
    memcpy(node->attributes.slice.step, step, (size_t)rank * sizeof *step);
    output->shape.rank = rank;
    memcpy(output->shape.dims, count, (size_t)rank * sizeof *count);
    output->shape_known = true;
    return import_finish(importer, value_out);
}

enum error_code import_along(struct importer *importer, int32_t value, int axis, int rank, int32_t *value_out)
{
    struct shape shape = {.rank = rank};
    for (int i = 0; i < rank; i++)
        shape.dims[i] = 1;
    shape.dims[axis] = (int32_t)shape_elements(&import_value(importer, value)->shape);
    return import_reshape(importer, value, &shape, value_out);
}

enum error_code import_finish_bind(struct importer *importer)
{
    int32_t first, outputs[NODE_OUTPUTS_MAX];
    const struct node *node = &importer->graph->nodes[importer->graph->node_count - 1];
    int32_t count = node->output_count;
    memcpy(outputs, node->outputs, (size_t)count * sizeof *outputs);
    TRY(import_finish(importer, &first));
    for (int32_t i = 0; i < count; i++)
        TRY(import_bind(importer, i, outputs[i]));
    return ERROR_NONE;
}

const struct onnx_attribute *import_attribute(const struct importer *importer, const char *name)
{
    for (int i = 0; i < importer->node->attribute_count; i++) {
        if (strcmp(importer->node->attributes[i].name, name) == 0)
            return &importer->node->attributes[i];
    }
    return NULL;
}

int64_t import_int(const struct importer *importer, const char *name, int64_t fallback)
{
    const struct onnx_attribute *attribute = import_attribute(importer, name);
    return attribute != NULL ? attribute->i : fallback;
}

float import_float(const struct importer *importer, const char *name, float fallback)
{
    const struct onnx_attribute *attribute = import_attribute(importer, name);
    return attribute != NULL ? attribute->f : fallback;
}

bool import_text_is(const struct importer *importer, const char *name, const char *text)
{
    const struct onnx_attribute *attribute = import_attribute(importer, name);
    return attribute != NULL && attribute->s != NULL && strcmp(attribute->s, text) == 0;
}

enum error_code import_axis(struct importer *importer, int64_t axis, int rank, int32_t *axis_out)
{
    if (axis < -rank || axis >= rank)
        return import_fail(importer, ERROR_MODEL, "axis %lld of a tensor of rank %d", (long long)axis, rank);
    *axis_out = (int32_t)(axis < 0 ? axis + rank : axis);
    return ERROR_NONE;
}

/* Weights in half precision are computed with in single: their values are the same. */
static enum error_code widen(struct importer *importer, struct tensor *tensor)
{
    if (tensor->dtype != DTYPE_F16)
        return ERROR_NONE;
    int64_t count = shape_elements(&tensor->shape);
    float *wide = arena_allocate_array(&importer->graph->arena, (size_t)count, sizeof *wide);
    if (wide == NULL)
        return error_set(importer->error, ERROR_LIMIT, "the model needs more memory than eddy allows");
    for (int64_t i = 0; i < count; i++)
        wide[i] = half_to_float(((const uint16_t *)tensor->data)[i]);
    tensor->dtype = DTYPE_F32;
    tensor->data = wide;
    return ERROR_NONE;
}

static enum error_code add_initializers(struct importer *importer)
{
    for (int i = 0; i < importer->model->initializer_count; i++) {
        struct tensor *tensor = &importer->model->initializers[i];
        TRY(widen(importer, tensor));
        int32_t value = graph_add_constant(importer->graph, tensor->name, tensor->dtype, &tensor->shape, tensor->data);
        if (value < 0)
            return error_set(importer->error, ERROR_LIMIT, "more values than eddy takes");
        TRY(add_name(importer, tensor->name, value));
    }
    return ERROR_NONE;
}

static const struct input_shape *find_given(const struct model_options *options, const char *name, int position)
{
    for (int i = 0; options != NULL && i < options->input_shape_count; i++) {
        const struct input_shape *given = &options->input_shapes[i];
        if (given->name != NULL ? strcmp(given->name, name) == 0 : i == position)
            return given;
    }
    return NULL;
}

static enum error_code add_input(struct importer *importer, const struct onnx_value_info *info, int position, const struct input_shape *given)
{
    static const struct onnx_node border = {.op = "input", .name = "graph input"};
    struct graph *graph = importer->graph;
    importer->node = &border;
    struct shape shape = info->shape;
    if (given != NULL && given->shape.rank != shape.rank)
        return error_set(importer->error, ERROR_INPUT, "input \"%.80s\" has rank %d, %d was given", info->name, shape.rank, given->shape.rank);
    for (int i = 0; i < shape.rank; i++) {
        if (shape.dims[i] < 0)
            shape.dims[i] = given != NULL ? given->shape.dims[i] : 1;
    }
    if (!info->dtype_known || shape_elements(&shape) < 0)
        return error_set(importer->error, ERROR_MODEL, "input \"%.80s\" has no type, or a shape beyond what eddy takes", info->name);
    int32_t value = graph_add_value(graph, info->name, info->dtype);
    if (value < 0)
        return error_set(importer->error, ERROR_LIMIT, "more values than eddy takes");
    graph->values[value].shape = shape;
    graph->values[value].shape_known = true;
    if (given != NULL && given->data != NULL) {
        if (given->dtype != info->dtype || !shape_equal(&given->shape, &shape))
            return error_set(importer->error, ERROR_INPUT, "the content given for input \"%.80s\" has another shape or type", info->name);
        graph->values[value].given = given->data;
    }
    graph->input_positions[graph->input_count] = position;
    graph->inputs[graph->input_count++] = value;
    if (info->dtype == DTYPE_F16)
        TRY(import_cast(importer, value, DTYPE_F32, &value));
    return add_name(importer, info->name, value);
}

static enum error_code add_inputs(struct importer *importer, const struct model_options *options)
{
    int position = 0;
    for (int i = 0; i < importer->model->input_count; i++) {
        const struct onnx_value_info *info = &importer->model->inputs[i];
        if (find_name(importer, info->name) >= 0)
            continue; /* an initializer with a default: older files list those as inputs too */
        TRY(add_input(importer, info, position, find_given(options, info->name, position)));
        position++;
    }
    return ERROR_NONE;
}

const struct import_table import_tables[IMPORT_TABLES] = {
    {"Elementwise", "ai.onnx", import_elementwise_rows},
    {"Shape and movement", "ai.onnx", import_shape_rows},
    {"Index and order", "ai.onnx", import_index_rows},
    {"Matrices", "ai.onnx", import_matrix_rows},
    {"Recurrent", "ai.onnx", import_recurrent_rows},
    {"Convolution and pooling", "ai.onnx", import_spatial_rows},
    {"Resize", "ai.onnx", import_resize_rows},
    {"Normalisation", "ai.onnx", import_normalize_rows},
    {"Quantised", "ai.onnx", import_quantized_rows},
    {"Control flow", "ai.onnx", import_control_rows},
    {"Trees", "ai.onnx.ml", import_tree_rows},
};

/* Operators of com.microsoft are looked for among those of ai.onnx, which bear no such names. */
static const struct import_row *find_row(const struct onnx_node *node)
{
    const char *domain = node->domain[0] == '\0' || strcmp(node->domain, "com.microsoft") == 0 ? "ai.onnx" : node->domain;
    for (int t = 0; t < IMPORT_TABLES; t++) {
        for (const struct import_row *row = import_tables[t].rows; row->op != NULL && strcmp(import_tables[t].domain, domain) == 0; row++) {
            if (strcmp(row->op, node->op) == 0)
                return row;
        }
    }
    return NULL;
}

static enum error_code import_nodes(struct importer *importer)
{
    for (int i = 0; i < importer->model->node_count; i++) {
        importer->node = &importer->model->nodes[i];
        const struct import_row *row = find_row(importer->node);
        if (row == NULL)
            return error_set(importer->error, ERROR_UNSUPPORTED, "operator %s%s%.60s, node \"%.80s\" (opset %d), is not supported",
                             importer->node->domain, importer->node->domain[0] != '\0' ? "." : "", importer->node->op, importer->node->name,
                             importer->model->opset);
        importer->row = row;
        TRY(row->import(importer));
    }
    return ERROR_NONE;
}

static enum error_code add_outputs(struct importer *importer)
{
    static const struct onnx_node border = {.op = "output", .name = "graph output"};
    importer->node = &border;
    for (int i = 0; i < importer->model->output_count; i++) {
        const struct onnx_value_info *info = &importer->model->outputs[i];
        int32_t value = find_name(importer, info->name);
        if (value < 0)
            return error_set(importer->error, ERROR_MODEL, "output \"%.80s\" is made by no node", info->name);
        TRY(align_constant(importer, value));
        if (info->dtype_known && info->dtype == DTYPE_F16)
            TRY(import_cast(importer, value, DTYPE_F16, &value));
        importer->graph->values[value].name = info->name;
        importer->graph->outputs[importer->graph->output_count++] = value;
    }
    return ERROR_NONE;
}

static enum error_code import_all(struct importer *importer, const struct model_options *options)
{
    TRY(add_initializers(importer));
    TRY(add_inputs(importer, options));
    TRY(import_nodes(importer));
    return add_outputs(importer);
}

/* Room for all names of the importer's graph. */
static enum error_code open_table(struct importer *importer)
{
    const struct onnx_model *model = importer->model;
    size_t names = (size_t)model->initializer_count + (size_t)model->input_count + 1, slots = 64;
    for (int i = 0; i < model->node_count; i++)
        names += (size_t)model->nodes[i].output_count;
    while (slots < 2 * names)
        slots *= 2;
    importer->table_mask = slots - 1;
    importer->table = calloc(slots, sizeof *importer->table);
    importer->table_names = calloc(slots, sizeof *importer->table_names);
    if (importer->table == NULL || importer->table_names == NULL)
        return error_set(importer->error, ERROR_LIMIT, "no memory for %zu names", names);
    return ERROR_NONE;
}

static void close_table(struct importer *importer)
{
    free(importer->table_names);
    free(importer->table);
}

static enum error_code import_inside(struct importer *inner, const int32_t *arguments, int32_t *results)
{
    const struct onnx_model *body = inner->model;
    TRY(open_table(inner));
    TRY(add_initializers(inner));
    for (int i = 0; i < body->input_count; i++)
        TRY(add_name(inner, body->inputs[i].name, arguments[i]));
    TRY(import_nodes(inner));
    for (int i = 0; i < body->output_count; i++) {
        results[i] = find_name(inner, body->outputs[i].name);
        if (results[i] < 0)
            return error_set(inner->error, ERROR_MODEL, "output \"%.80s\" is made by no node", body->outputs[i].name);
    }
    return ERROR_NONE;
}

enum error_code import_body(struct importer *importer, const struct onnx_model *body, const int32_t *arguments, int argument_count, int32_t *results,
                            int result_count)
{
    struct onnx_model model = *body;
    struct importer inner = {.graph = importer->graph, .model = &model, .error = importer->error, .around = importer,
                             .rounds_left = importer->rounds_left};
    model.opset = importer->model->opset;
    if (body->input_count != argument_count || body->output_count != result_count)
        return import_fail(importer, ERROR_MODEL, "a body of %d inputs and %d outputs, expected %d and %d", body->input_count, body->output_count,
                           argument_count, result_count);
    *importer->rounds_left -= 1 + body->node_count / 32; /* the time that a few bytes of file may take, whatever the body holds */
    if (*importer->rounds_left < 0)
        return import_fail(importer, ERROR_LIMIT, "bodies go round more than %d times in all, or are large", IMPORT_ROUNDS_MAX);
    enum error_code code = import_inside(&inner, arguments, results);
    close_table(&inner);
    return code == ERROR_NONE ? code : error_prefix(importer->error, "in the body of %.40s \"%.80s\": ", importer->node->op, importer->node->name);
}

enum error_code onnx_load(const uint8_t *bytes, size_t length, const struct model_options *options, struct graph *graph, struct error *error)
{
    struct onnx_model model;
    int rounds_left = IMPORT_ROUNDS_MAX;
    TRY(onnx_parse(bytes, length, &graph->arena, &model, error));
    struct importer importer = {.graph = graph, .model = &model, .error = error, .rounds_left = &rounds_left};
    graph->inputs = arena_allocate_array(&graph->arena, (size_t)model.input_count + 1, sizeof *graph->inputs);
    graph->outputs = arena_allocate_array(&graph->arena, (size_t)model.output_count + 1, sizeof *graph->outputs);
    graph->input_positions = arena_allocate_array(&graph->arena, (size_t)model.input_count + 1, sizeof *graph->input_positions);
    if (graph->inputs == NULL || graph->outputs == NULL || graph->input_positions == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for %d inputs", model.input_count);
    enum error_code code = open_table(&importer);
    if (code == ERROR_NONE)
        code = import_all(&importer, options);
    close_table(&importer);
    return code;
}

enum error_code onnx_tensor_read(const uint8_t *bytes, size_t length, struct arena *arena, struct tensor *tensor_out, struct error *error)
{
    return onnx_parse_tensor((struct protobuf){.at = bytes, .end = bytes + length}, arena, false, tensor_out, error);
}

bool onnx_operator_at(int index, struct onnx_operator *operator_out)
{
    for (int t = 0; t < IMPORT_TABLES; t++) {
        for (const struct import_row *row = import_tables[t].rows; row->op != NULL; row++) {
            if (index-- == 0) {
                *operator_out = (struct onnx_operator){row->op, import_tables[t].domain, import_tables[t].family, row->types, row->note};
                return true;
            }
        }
    }
    return false;
}
