/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/inference/onnx_text.h"

#include "tests/check.h"

#include <ctype.h>
#include <stdbool.h>

struct message {
    uint8_t *bytes;
    size_t length, capacity;
};

struct text {
    const char *at;
};

static void put_byte(struct message *message, uint8_t byte)
{
    if (message->length == message->capacity) {
        message->capacity = message->capacity == 0 ? 256 : 2 * message->capacity;
        message->bytes = realloc(message->bytes, message->capacity);
        if (message->bytes == NULL)
            abort();
    }
    message->bytes[message->length++] = byte;
}

static void put_varint(struct message *message, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        put_byte(message, (uint8_t)(value | 0x80));
    put_byte(message, (uint8_t)value);
}

static void put_integer(struct message *message, int field, int64_t value)
{
    put_varint(message, (uint64_t)field << 3);
    put_varint(message, (uint64_t)value);
}

static void put_float(struct message *message, int field, float value)
{
    uint8_t bytes[sizeof value];
    memcpy(bytes, &value, sizeof value);
    put_varint(message, (uint64_t)field << 3 | 5);
    for (size_t i = 0; i < sizeof value; i++)
        put_byte(message, bytes[i]);
}

static void put_bytes(struct message *message, int field, const void *bytes, size_t length)
{
    put_varint(message, (uint64_t)field << 3 | 2);
    put_varint(message, length);
    for (size_t i = 0; i < length; i++)
        put_byte(message, ((const uint8_t *)bytes)[i]);
}

/* Moves child into message. */
static void put_message(struct message *message, int field, struct message *child)
{
    put_bytes(message, field, child->bytes, child->length);
    free(child->bytes);
    *child = (struct message){0};
}

static void skip_blanks(struct text *text)
{
    while (isspace((unsigned char)*text->at))
        text->at++;
}

static bool accept(struct text *text, const char *token)
{
    skip_blanks(text);
    if (strncmp(text->at, token, strlen(token)) != 0)
        return false;
    text->at += strlen(token);
    return true;
}

static void expect(struct text *text, const char *token)
{
    if (!accept(text, token)) {
        printf("model text: expected %s at: %.40s\n", token, text->at);
        check_failed();
    }
}

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

static void read_name(struct text *text, char name[64])
{
    size_t length = 0;
    skip_blanks(text);
    while (is_name(*text->at) && length < 63)
        name[length++] = *text->at++;
    name[length] = '\0';
    if (length == 0) {
        printf("model text: expected a name at: %.40s\n", text->at);
        check_failed();
    }
}

static int read_type(struct text *text)
{
    static const char *const names[] = {"", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16", "double",
                                        "uint32", "uint64"};
    char name[64];
    read_name(text, name);
    for (int i = 1; i < (int)(sizeof names / sizeof names[0]); i++) {
        if (strcmp(name, names[i]) == 0)
            return i;
    }
    printf("model text: no type: %s\n", name);
    check_failed();
    return 0;
}

/* "[2,3]" or nothing; dims -1: a name stands there. */
static int read_dims(struct text *text, int64_t dims[16])
{
    int rank = 0;
    if (!accept(text, "["))
        return 0;
    while (!accept(text, "]")) {
        char name[64];
        read_name(text, name);
        dims[rank++] = isdigit((unsigned char)name[0]) ? atoll(name) : -1;
        accept(text, ",");
    }
    return rank;
}

/* "{1, 2}" as the raw data of a tensor. */
static void put_data(struct text *text, int type, struct message *tensor)
{
    static const int bytes[] = {[1] = 4, [2] = 1, [3] = 1, [4] = 2, [5] = 2, [6] = 4, [7] = 8, [9] = 1, [10] = 2, [12] = 4, [13] = 8};
    struct message raw = {0};
    expect(text, "{");
    while (!accept(text, "}")) {
        skip_blanks(text);
        char *end;
        double real = strtod(text->at, &end);
        int64_t integer = (int64_t)real;
        float single = (float)real;
        _Float16 half = (_Float16)real;
        const void *element = type == 1 ? (const void *)&single : type == 10 ? (const void *)&half : (const void *)&integer;
        CHECK(end != text->at);
        text->at = end;
        for (int i = 0; i < bytes[type]; i++)
            put_byte(&raw, ((const uint8_t *)element)[i]);
        accept(text, ",");
    }
    put_message(tensor, 9, &raw);
}

static void read_tensor(struct text *text, struct message *tensor)
{
    int64_t dims[16];
    char name[64];
    int type = read_type(text), rank = read_dims(text, dims);
    for (int i = 0; i < rank; i++)
        put_integer(tensor, 1, dims[i]);
    put_integer(tensor, 2, type);
    skip_blanks(text);
    if (*text->at != '{') {
        read_name(text, name);
        put_bytes(tensor, 8, name, strlen(name));
        expect(text, "=");
    }
    put_data(text, type, tensor);
}

static void read_declaration(struct text *text, struct message *info)
{
    int64_t dims[16];
    char name[64];
    int type = read_type(text), rank = read_dims(text, dims);
    struct message shape = {0}, tensor = {0}, outer = {0};
    read_name(text, name);
    for (int i = 0; i < rank; i++) {
        struct message dim = {0};
        if (dims[i] >= 0)
            put_integer(&dim, 1, dims[i]);
        put_message(&shape, 1, &dim);
    }
    put_integer(&tensor, 1, type);
    put_message(&tensor, 2, &shape);
    put_message(&outer, 1, &tensor);
    put_bytes(info, 1, name, strlen(name));
    put_message(info, 2, &outer);
}

static void read_declarations(struct text *text, int field, struct message *graph)
{
    expect(text, "(");
    while (!accept(text, ")")) {
        struct message info = {0};
        read_declaration(text, &info);
        put_message(graph, field, &info);
        accept(text, ",");
    }
}

static void read_graph(struct text *text, struct message *graph);

enum { ATTRIBUTE_FLOAT = 2, ATTRIBUTE_INT, ATTRIBUTE_STRING, ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_FLOATS, ATTRIBUTE_INTS };

static void read_number(struct text *text, int float_field, int int_field, struct message *attribute)
{
    char *end;
    skip_blanks(text);
    size_t length = strspn(text->at, "+-0123456789.e");
    bool real = memchr(text->at, '.', length) != NULL || memchr(text->at, 'e', length) != NULL;
    double value = strtod(text->at, &end);
    CHECK(end != text->at);
    text->at = end;
    if (real)
        put_float(attribute, float_field, (float)value);
    else
        put_integer(attribute, int_field, (int64_t)value);
}

static void read_attribute(struct text *text, struct message *attribute)
{
    char name[64];
    struct message child = {0};
    read_name(text, name);
    put_bytes(attribute, 1, name, strlen(name));
    expect(text, "=");
    skip_blanks(text);
    if (accept(text, "[")) {
        while (!accept(text, "]")) {
            read_number(text, ATTRIBUTE_FLOATS, ATTRIBUTE_INTS, attribute);
            accept(text, ",");
        }
    } else if (accept(text, "\"")) {
        size_t length = strcspn(text->at, "\"");
        put_bytes(attribute, ATTRIBUTE_STRING, text->at, length);
        text->at += length + 1;
    } else if (*text->at == '(') {
        read_graph(text, &child);
        put_message(attribute, ATTRIBUTE_GRAPH, &child);
    } else if (isalpha((unsigned char)*text->at)) {
        read_tensor(text, &child);
        put_message(attribute, ATTRIBUTE_TENSOR, &child);
    } else {
        read_number(text, ATTRIBUTE_FLOAT, ATTRIBUTE_INT, attribute);
    }
}

static void put_operand(struct text *text, int field, struct message *node)
{
    char name[64];
    read_name(text, name);
    put_bytes(node, field, name, strcmp(name, "_") == 0 ? 0 : strlen(name));
    accept(text, ",");
}

static void read_node(struct text *text, struct message *node)
{
    char op[64];
    while (!accept(text, "="))
        put_operand(text, 2, node);
    read_name(text, op);
    put_bytes(node, 4, op, strlen(op));
    if (accept(text, "<")) {
        while (!accept(text, ">")) {
            struct message attribute = {0};
            read_attribute(text, &attribute);
            put_message(node, 5, &attribute);
            accept(text, ",");
        }
    }
    expect(text, "(");
    while (!accept(text, ")"))
        put_operand(text, 1, node);
}

static void read_graph(struct text *text, struct message *graph)
{
    read_declarations(text, 11, graph);
    expect(text, "=>");
    read_declarations(text, 12, graph);
    if (accept(text, "<")) {
        while (!accept(text, ">")) {
            struct message tensor = {0};
            read_tensor(text, &tensor);
            put_message(graph, 5, &tensor);
            accept(text, ",");
        }
    }
    expect(text, "{");
    while (!accept(text, "}")) {
        struct message node = {0};
        read_node(text, &node);
        put_message(graph, 1, &node);
    }
}

uint8_t *onnx_from_text(const char *text, int opset, size_t *length_out)
{
    struct text reader = {.at = text};
    struct message model = {0}, graph = {0}, import = {0};
    read_graph(&reader, &graph);
    put_integer(&import, 2, opset);
    put_integer(&model, 1, 8);
    put_message(&model, 7, &graph);
    put_message(&model, 8, &import);
    *length_out = model.length;
    return model.bytes;
}
