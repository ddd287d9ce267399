/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/onnx/parse.h"

#include <string.h>

enum { NODES_MAX = 1 << 15, LIST_MAX = 1 << 20, OPSET_MAX = 24, GRAPH_DEPTH_MAX = 8 };

struct parser {
    struct arena *arena;
    struct error *error;
    int depth; /* of the graph that is being read */
};

static enum error_code read_graph(struct parser *parser, struct protobuf body, struct onnx_model *model);

static enum error_code damaged(struct parser *parser, const char *what)
{
    return error_set(parser->error, ERROR_MODEL, "the %s is damaged or cut off", what);
}

static enum error_code copy_text(struct parser *parser, const struct protobuf *body, const char **text_out)
{
    *text_out = arena_copy_string(parser->arena, (const char *)body->at, protobuf_length(body));
    return *text_out != NULL ? ERROR_NONE : error_set(parser->error, ERROR_LIMIT, "the model needs more memory than eddy allows");
}

/* How often a field occurs, so that its array is allocated once. */
static int count_field(struct protobuf body, uint32_t number)
{
    struct protobuf_field field;
    int count = 0;
    while (protobuf_next(&body, &field))
        count += field.number == number;
    return count;
}

static enum error_code make_array(struct parser *parser, size_t count, size_t bytes, void *array_out)
{
    void *array = count <= LIST_MAX ? arena_allocate_array(parser->arena, count, bytes) : NULL;
    if (array == NULL)
        return error_set(parser->error, ERROR_LIMIT, "a list of %zu in the model: more than eddy takes", count);
    memcpy(array_out, &array, sizeof array);
    return ERROR_NONE;
}

static enum error_code read_floats(struct parser *parser, struct protobuf body, struct onnx_attribute *attribute)
{
    struct protobuf_field field;
    size_t total = 0;
    for (struct protobuf pass = body; protobuf_next(&pass, &field);) {
        if (field.number == 7)
            total += field.type == PROTOBUF_BYTES ? protobuf_length(&field.body) / sizeof(float) : 1;
    }
    TRY(make_array(parser, total, sizeof(float), &attribute->floats));
    while (protobuf_next(&body, &field)) {
        if (field.number != 7)
            continue;
        if (field.type == PROTOBUF_BYTES) {
            size_t count = protobuf_length(&field.body) / sizeof(float);
            memcpy(attribute->floats + attribute->float_count, field.body.at, count * sizeof(float));
            attribute->float_count += (int)count;
        } else {
            attribute->floats[attribute->float_count++] = protobuf_float(&field);
        }
    }
    return ERROR_NONE;
}

static enum error_code read_ints(struct parser *parser, struct protobuf body, struct onnx_attribute *attribute)
{
    struct protobuf_field field;
    uint64_t value;
    size_t most = 0;
    for (struct protobuf pass = body; protobuf_next(&pass, &field);) {
        if (field.number == 8)
            most += field.type == PROTOBUF_BYTES ? protobuf_length(&field.body) : 1; /* a varint takes a byte at least */
    }
    TRY(make_array(parser, most, sizeof(int64_t), &attribute->ints));
    while (protobuf_next(&body, &field)) {
        if (field.number != 8)
            continue;
        if (field.type != PROTOBUF_BYTES)
            attribute->ints[attribute->int_count++] = (int64_t)field.integer;
        while (field.type == PROTOBUF_BYTES && field.body.at < field.body.end && protobuf_varint(&field.body, &value))
            attribute->ints[attribute->int_count++] = (int64_t)value;
    }
    return ERROR_NONE;
}

static enum error_code read_attribute(struct parser *parser, struct protobuf body, struct onnx_attribute *attribute)
{
    struct protobuf_field field;
    attribute->name = "";
    TRY(make_array(parser, (size_t)count_field(body, 9), sizeof(char *), &attribute->strings));
    TRY(read_floats(parser, body, attribute));
    TRY(read_ints(parser, body, attribute));
    while (protobuf_next(&body, &field)) {
        switch (field.number) {
        case 1: TRY(copy_text(parser, &field.body, &attribute->name)); break;
        case 2: attribute->f = protobuf_float(&field); break;
        case 3: attribute->i = (int64_t)field.integer; break;
        case 4: TRY(copy_text(parser, &field.body, &attribute->s)); break;
        case 5:
            TRY(make_array(parser, 1, sizeof *attribute->tensor, &attribute->tensor));
            TRY(onnx_parse_tensor(field.body, parser->arena, false, attribute->tensor, parser->error));
            break;
        case 6:
            TRY(make_array(parser, 1, sizeof *attribute->graph, &attribute->graph));
            TRY(read_graph(parser, field.body, attribute->graph));
            break;
        case 9: TRY(copy_text(parser, &field.body, &attribute->strings[attribute->string_count++])); break;
        default: break;
        }
    }
    return body.damaged ? damaged(parser, "attribute") : ERROR_NONE;
}

static enum error_code read_node(struct parser *parser, struct protobuf body, struct onnx_node *node)
{
    struct protobuf_field field;
    node->op = node->domain = node->name = "";
    TRY(make_array(parser, (size_t)count_field(body, 1), sizeof(char *), &node->inputs));
    TRY(make_array(parser, (size_t)count_field(body, 2), sizeof(char *), &node->outputs));
    TRY(make_array(parser, (size_t)count_field(body, 5), sizeof *node->attributes, &node->attributes));
    while (protobuf_next(&body, &field)) {
        switch (field.number) {
        case 1: TRY(copy_text(parser, &field.body, &node->inputs[node->input_count++])); break;
        case 2: TRY(copy_text(parser, &field.body, &node->outputs[node->output_count++])); break;
        case 3: TRY(copy_text(parser, &field.body, &node->name)); break;
        case 4: TRY(copy_text(parser, &field.body, &node->op)); break;
        case 5: TRY(read_attribute(parser, field.body, &node->attributes[node->attribute_count++])); break;
        case 7: TRY(copy_text(parser, &field.body, &node->domain)); break;
        default: break;
        }
    }
    if (node->name[0] == '\0')
        node->name = node->output_count > 0 ? node->outputs[0] : node->op;
    return body.damaged ? damaged(parser, "node") : ERROR_NONE;
}

static int32_t read_dimension(struct protobuf body)
{
    struct protobuf_field field;
    int32_t dimension = -1;
    while (protobuf_next(&body, &field)) {
        if (field.number == 1)
            dimension = field.integer > 0 && field.integer <= INT32_MAX ? (int32_t)field.integer : -1;
    }
    return dimension;
}

static enum error_code read_tensor_type(struct parser *parser, struct protobuf body, struct onnx_value_info *info)
{
    struct protobuf_field field, dimension;
    while (protobuf_next(&body, &field)) {
        if (field.number == 1 && field.type == PROTOBUF_VARINT) {
            TRY(onnx_dtype((int64_t)field.integer, &info->dtype, parser->error));
            info->dtype_known = true;
        }
        while (field.number == 2 && field.type == PROTOBUF_BYTES && protobuf_next(&field.body, &dimension)) {
            if (dimension.number != 1)
                continue;
            if (info->shape.rank == TENSOR_RANK_MAX)
                return error_set(parser->error, ERROR_UNSUPPORTED, "\"%.80s\" has more than %d dimensions", info->name, TENSOR_RANK_MAX);
            info->shape.dims[info->shape.rank++] = read_dimension(dimension.body);
        }
    }
    return ERROR_NONE;
}

static enum error_code read_value_info(struct parser *parser, struct protobuf body, struct onnx_value_info *info)
{
    struct protobuf_field field, type;
    info->name = "";
    while (protobuf_next(&body, &field)) {
        if (field.number == 1)
            TRY(copy_text(parser, &field.body, &info->name));
        while (field.number == 2 && field.type == PROTOBUF_BYTES && protobuf_next(&field.body, &type)) {
            if (type.number == 1 && type.type == PROTOBUF_BYTES)
                TRY(read_tensor_type(parser, type.body, info));
        }
    }
    return body.damaged ? damaged(parser, "description of an input or output") : ERROR_NONE;
}

static enum error_code read_graph(struct parser *parser, struct protobuf body, struct onnx_model *model)
{
    struct protobuf_field field;
    int nodes = count_field(body, 1);
    if (++parser->depth > GRAPH_DEPTH_MAX)
        return error_set(parser->error, ERROR_LIMIT, "graphs in graphs, more than %d deep", GRAPH_DEPTH_MAX);
    if (nodes > NODES_MAX)
        return error_set(parser->error, ERROR_LIMIT, "%d nodes, at most %d are taken", nodes, NODES_MAX);
    TRY(make_array(parser, (size_t)nodes, sizeof *model->nodes, &model->nodes));
    TRY(make_array(parser, (size_t)count_field(body, 5), sizeof *model->initializers, &model->initializers));
    TRY(make_array(parser, (size_t)count_field(body, 11), sizeof *model->inputs, &model->inputs));
    TRY(make_array(parser, (size_t)count_field(body, 12), sizeof *model->outputs, &model->outputs));
    while (protobuf_next(&body, &field)) {
        switch (field.number) {
        case 1: TRY(read_node(parser, field.body, &model->nodes[model->node_count++])); break;
        case 5: TRY(onnx_parse_tensor(field.body, parser->arena, true, &model->initializers[model->initializer_count++], parser->error)); break;
        case 11: TRY(read_value_info(parser, field.body, &model->inputs[model->input_count++])); break;
        case 12: TRY(read_value_info(parser, field.body, &model->outputs[model->output_count++])); break;
        case 15: return error_set(parser->error, ERROR_UNSUPPORTED, "sparse initializers are not supported");
        default: break;
        }
    }
    parser->depth--;
    return body.damaged ? damaged(parser, "graph") : ERROR_NONE;
}

static void read_opset(struct protobuf body, struct onnx_model *model)
{
    struct protobuf_field field;
    bool default_domain = true;
    int version = 0;
    while (protobuf_next(&body, &field)) {
        if (field.number == 1)
            default_domain = protobuf_length(&field.body) == 0 || (protobuf_length(&field.body) == 7 && memcmp(field.body.at, "ai.onnx", 7) == 0);
        if (field.number == 2)
            version = field.integer > 1000 ? 1000 : (int)field.integer;
    }
    if (default_domain)
        model->opset = version;
}

enum error_code onnx_parse(const uint8_t *bytes, size_t length, struct arena *arena, struct onnx_model *model, struct error *error)
{
    struct parser parser = {.arena = arena, .error = error};
    struct protobuf body = {.at = bytes, .end = bytes + length};
    struct protobuf_field field;
    bool has_graph = false;
    *model = (struct onnx_model){.opset = 1};
    while (protobuf_next(&body, &field)) {
        if (field.number == 7 && field.type == PROTOBUF_BYTES) {
            if (has_graph)
                return error_set(error, ERROR_MODEL, "the file holds two graphs");
            has_graph = true;
            TRY(read_graph(&parser, field.body, model));
        } else if (field.number == 8 && field.type == PROTOBUF_BYTES) {
            read_opset(field.body, model);
        }
    }
    if (body.damaged)
        return error_set(error, ERROR_MODEL, "not an ONNX file, or damaged at byte %zu of %zu", (size_t)(body.at - bytes), length);
    if (model->opset > OPSET_MAX)
        return error_set(error, ERROR_UNSUPPORTED, "opset %d: operators may mean something else there; %d is the newest known", model->opset, OPSET_MAX);
    if (!has_graph || model->output_count == 0)
        return error_set(error, ERROR_MODEL, "not an ONNX model: no graph with outputs in it");
    return ERROR_NONE;
}
