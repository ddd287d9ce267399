/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/onnx/import.h"

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

static int32_t find_name(const struct importer *importer, const char *name)
{
    for (size_t i = name_hash(name) & importer->table_mask; importer->table[i] != 0; i = (i + 1) & importer->table_mask) {
        if (strcmp(importer->table_names[i], name) == 0)
            return importer->table[i] - 1;
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

enum error_code import_integers(struct importer *importer, int32_t value, struct integers *integers_out)
{
    const struct value *constant = import_value(importer, value);
    if (constant->data == NULL)
        return import_fail(importer, ERROR_UNSUPPORTED, "an operand that must be known when the model is loaded is not constant");
    int64_t count = shape_elements(&constant->shape);
    if (count > 64 || (constant->dtype != DTYPE_I64 && constant->dtype != DTYPE_I32))
        return import_fail(importer, ERROR_UNSUPPORTED, "an operand of %lld %s, expected at most 64 i64", (long long)count, dtype_name(constant->dtype));
    integers_out->count = (int)count;
    for (int i = 0; i < integers_out->count; i++)
        integers_out->values[i] = constant->dtype == DTYPE_I64 ? ((const int64_t *)constant->data)[i] : ((const int32_t *)constant->data)[i];
    return ERROR_NONE;
}

enum error_code import_integers_either(struct importer *importer, const char *name, int index, struct integers *integers_out)
{
    const struct onnx_attribute *attribute = import_attribute(importer, name);
    int32_t value;
    integers_out->count = 0;
    if (attribute != NULL) {
        if (attribute->int_count > 64)
            return import_fail(importer, ERROR_UNSUPPORTED, "%s has %d entries", name, attribute->int_count);
        integers_out->count = attribute->int_count;
        memcpy(integers_out->values, attribute->ints, (size_t)attribute->int_count * sizeof(int64_t));
        return ERROR_NONE;
    }
    if (index < 0)
        return ERROR_NONE;
    TRY(import_input(importer, index, false, &value));
    return value < 0 ? ERROR_NONE : import_integers(importer, value, integers_out);
}

enum error_code import_scalar(struct importer *importer, int32_t value, double *scalar_out)
{
    const struct value *constant = import_value(importer, value);
    if (constant->data == NULL || shape_elements(&constant->shape) != 1)
        return import_fail(importer, ERROR_UNSUPPORTED, "an operand is not one constant number");
    switch (constant->dtype) {
    case DTYPE_F32: *scalar_out = (double)*(const float *)constant->data; return ERROR_NONE;
    case DTYPE_I64: *scalar_out = (double)*(const int64_t *)constant->data; return ERROR_NONE;
    case DTYPE_I32: *scalar_out = *(const int32_t *)constant->data; return ERROR_NONE;
    case DTYPE_I8: *scalar_out = *(const int8_t *)constant->data; return ERROR_NONE;
    case DTYPE_U8: *scalar_out = *(const uint8_t *)constant->data; return ERROR_NONE;
    default: return import_fail(importer, ERROR_UNSUPPORTED, "an operand is of type %s", dtype_name(constant->dtype));
    }
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
        wide[i] = (float)((const _Float16 *)tensor->data)[i];
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

static const struct shape *given_shape(const struct model_options *options, const char *name, int position)
{
    for (int i = 0; options != NULL && i < options->input_shape_count; i++) {
        const struct input_shape *given = &options->input_shapes[i];
        if (given->name != NULL ? strcmp(given->name, name) == 0 : i == position)
            return &given->shape;
    }
    return NULL;
}

static enum error_code add_input(struct importer *importer, const struct onnx_value_info *info, const struct shape *given)
{
    static const struct onnx_node border = {.op = "input", .name = "graph input"};
    struct graph *graph = importer->graph;
    importer->node = &border;
    struct shape shape = info->shape;
    if (given != NULL && given->rank != shape.rank)
        return error_set(importer->error, ERROR_INPUT, "input \"%.80s\" has rank %d, %d was given", info->name, shape.rank, given->rank);
    for (int i = 0; i < shape.rank; i++) {
        if (shape.dims[i] < 0)
            shape.dims[i] = given != NULL ? given->dims[i] : 1;
    }
    if (!info->dtype_known || shape_elements(&shape) < 0)
        return error_set(importer->error, ERROR_MODEL, "input \"%.80s\" has no type, or a shape beyond what eddy takes", info->name);
    int32_t value = graph_add_value(graph, info->name, info->dtype);
    if (value < 0)
        return error_set(importer->error, ERROR_LIMIT, "more values than eddy takes");
    graph->values[value].shape = shape;
    graph->values[value].shape_known = true;
    graph->inputs[graph->input_count++] = value;
    if (info->dtype == DTYPE_F16)
        TRY(import_cast(importer, value, DTYPE_F32, &value));
    return add_name(importer, info->name, value);
}

static enum error_code add_inputs(struct importer *importer, const struct model_options *options)
{
    for (int i = 0; i < importer->model->input_count; i++) {
        const struct onnx_value_info *info = &importer->model->inputs[i];
        if (find_name(importer, info->name) >= 0)
            continue; /* an initializer with a default: older files list those as inputs too */
        TRY(add_input(importer, info, given_shape(options, info->name, importer->graph->input_count)));
    }
    return ERROR_NONE;
}

static const struct import_row *find_row(const struct onnx_node *node)
{
    static const struct import_row *const tables[] = {import_spatial_rows, import_matrix_rows, import_elementwise_rows, import_shape_rows,
                                                      import_quantized_rows};
    if (strcmp(node->domain, "ai.onnx.ml") == 0) {
        for (const struct import_row *row = import_tree_rows; row->op != NULL; row++) {
            if (strcmp(row->op, node->op) == 0)
                return row;
        }
        return NULL;
    }
    if (node->domain[0] != '\0' && strcmp(node->domain, "ai.onnx") != 0 && strcmp(node->domain, "com.microsoft") != 0)
        return NULL;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        for (const struct import_row *row = tables[t]; row->op != NULL; row++) {
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

enum error_code onnx_load(const uint8_t *bytes, size_t length, const struct model_options *options, struct graph *graph, struct error *error)
{
    struct onnx_model model;
    TRY(onnx_parse(bytes, length, &graph->arena, &model, error));
    size_t names = (size_t)model.initializer_count + (size_t)model.input_count + 1, slots = 64;
    for (int i = 0; i < model.node_count; i++)
        names += (size_t)model.nodes[i].output_count;
    while (slots < 2 * names)
        slots *= 2;
    struct importer importer = {.graph = graph, .model = &model, .error = error, .table_mask = slots - 1};
    importer.table = calloc(slots, sizeof *importer.table);
    importer.table_names = calloc(slots, sizeof *importer.table_names);
    graph->inputs = arena_allocate_array(&graph->arena, (size_t)model.input_count + 1, sizeof *graph->inputs);
    graph->outputs = arena_allocate_array(&graph->arena, (size_t)model.output_count + 1, sizeof *graph->outputs);
    enum error_code code = ERROR_NONE;
    if (importer.table == NULL || importer.table_names == NULL || graph->inputs == NULL || graph->outputs == NULL)
        code = error_set(error, ERROR_LIMIT, "no memory for %zu names", names);
    if (code == ERROR_NONE)
        code = import_all(&importer, options);
    free(importer.table_names);
    free(importer.table);
    return code;
}

enum error_code onnx_tensor_read(const uint8_t *bytes, size_t length, struct arena *arena, struct tensor *tensor_out, struct error *error)
{
    return onnx_parse_tensor((struct protobuf){.at = bytes, .end = bytes + length}, arena, false, tensor_out, error);
}
