/* SPDX-License-Identifier: Apache-2.0
 *
 * Protobuf: a file is taken apart into its fields, one of them is changed, dropped, doubled or moved, and all lengths around it are written
 * anew. What is a message and what is text the wire does not tell: what reads as fields all through is taken for a message. */
#include "tests/fuzz/mutate.h"

#include "inference/onnx/protobuf.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS_MAX = 4096, DEPTH_MAX = 8, BODY_BYTES_MAX = 1 << 16 };

struct field {
    uint32_t number;
    enum protobuf_type type;
    uint64_t integer;
    const uint8_t *body;  /* bytes that are no message */
    size_t body_length;
    int32_t child, next;  /* -1: none; child -1 with body NULL: an empty message */
    bool is_message;
};

static struct field fields[FIELDS_MAX];
static int32_t field_count;
static uint8_t changed_body[BODY_BYTES_MAX];

static bool reads_as_message(struct protobuf body)
{
    struct protobuf_field field;
    if (body.at == body.end)
        return false;
    while (protobuf_next(&body, &field)) {
        if (field.number == 0 || field.number > 30)
            return false;
    }
    return !body.damaged;
}

/* The first of the fields of `body`, linked by next; -1: none, or no room. */
static int32_t take_apart(struct protobuf body, int depth)
{
    struct protobuf_field read;
    int32_t first = -1, last = -1;
    while (field_count < FIELDS_MAX && protobuf_next(&body, &read)) {
        int32_t index = field_count++;
        fields[index] = (struct field){.number = read.number, .type = read.type, .integer = read.integer, .body = read.body.at,
                                       .body_length = protobuf_length(&read.body), .child = -1, .next = -1};
        if (read.type == PROTOBUF_BYTES && depth < DEPTH_MAX && reads_as_message(read.body)) {
            fields[index].is_message = true;
            fields[index].child = take_apart(read.body, depth + 1);
        }
        if (last >= 0)
            fields[last].next = index;
        first = first < 0 ? index : first;
        last = index;
    }
    return first;
}

static size_t varint_length(uint64_t number)
{
    size_t length = 1;
    while (number >>= 7)
        length++;
    return length;
}

static size_t fields_length(int32_t first);

static size_t body_length(const struct field *field)
{
    return field->is_message ? fields_length(field->child) : field->body_length;
}

static size_t field_length(const struct field *field)
{
    size_t head = varint_length((uint64_t)field->number << 3);
    switch (field->type) {
    case PROTOBUF_VARINT: return head + varint_length(field->integer);
    case PROTOBUF_FIXED64: return head + 8;
    case PROTOBUF_FIXED32: return head + 4;
    default: return head + varint_length(body_length(field)) + body_length(field);
    }
}

static size_t fields_length(int32_t first)
{
    size_t length = 0;
    for (int32_t i = first; i >= 0; i = fields[i].next)
        length += field_length(&fields[i]);
    return length;
}

static uint8_t *put_varint(uint8_t *at, uint64_t number)
{
    for (; number > 0x7F; number >>= 7)
        *at++ = (uint8_t)(number | 0x80);
    *at++ = (uint8_t)number;
    return at;
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t length)
{
    if (length > 0)
        memcpy(at, bytes, length);
    return at + length;
}

static uint8_t *put_together(uint8_t *at, int32_t first)
{
    for (int32_t i = first; i >= 0; i = fields[i].next) {
        const struct field *field = &fields[i];
        at = put_varint(at, (uint64_t)field->number << 3 | (uint64_t)field->type);
        if (field->type == PROTOBUF_VARINT) {
            at = put_varint(at, field->integer);
        } else if (field->type != PROTOBUF_BYTES) {
            at = put_bytes(at, &field->integer, field->type == PROTOBUF_FIXED64 ? 8 : 4);
        } else {
            at = put_varint(at, body_length(field));
            at = field->is_message ? put_together(at, field->child) : put_bytes(at, field->body, field->body_length);
        }
    }
    return at;
}

static void change_bytes(struct field *field, unsigned *seed)
{
    size_t length = field->body_length < BODY_BYTES_MAX / 2 ? field->body_length : BODY_BYTES_MAX / 2;
    const struct field *other = &fields[(size_t)rand_r(seed) % (size_t)field_count];
    if (rand_r(seed) % 2 == 0 && other->type == PROTOBUF_BYTES && !other->is_message) { /* a name or list that stands elsewhere */
        field->body = other->body;
        field->body_length = other->body_length;
        return;
    }
    if (length > 0)
        memcpy(changed_body, field->body, length);
    field->body = changed_body;
    field->body_length = LLVMFuzzerMutate(changed_body, length, length + 16);
}

static void change(struct field *field, unsigned *seed)
{
    if (field->type == PROTOBUF_BYTES && !field->is_message)
        change_bytes(field, seed);
    else if (field->type != PROTOBUF_BYTES)
        field->integer = rand_r(seed) % 3 == 0 ? field->integer + (uint64_t)(rand_r(seed) % 9) - 4
                                               : (uint64_t)mutate_numbers[(size_t)rand_r(seed) % MUTATE_NUMBERS];
}

/* Dropped, doubled, or changed places with another's content. */
static void restructure(int32_t index, unsigned *seed)
{
    struct field *field = &fields[index], *other = &fields[(size_t)rand_r(seed) % (size_t)field_count];
    switch (rand_r(seed) % 3) {
    case 0:
        if (field->next >= 0)
            field->next = fields[field->next].next;
        break;
    case 1:
        if (field_count < FIELDS_MAX) { /* its children are shared: they are only read from here on */
            fields[field_count] = *field;
            field->next = field_count++;
        }
        break;
    default:
        if (!field->is_message && !other->is_message && field->type == other->type) {
            struct field copy = *field;
            field->integer = other->integer, field->body = other->body, field->body_length = other->body_length;
            other->integer = copy.integer, other->body = copy.body, other->body_length = copy.body_length;
        }
        break;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned int seed)
{
    unsigned state = seed;
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL || rand_r(&state) % 16 == 0) {
        free(copy);
        return LLVMFuzzerMutate(data, size, size_max);
    }
    memcpy(copy, data, size);
    field_count = 0;
    int32_t first = take_apart((struct protobuf){.at = copy, .end = copy + size}, 0);
    if (field_count > 0) {
        int32_t index = (int32_t)((size_t)rand_r(&state) % (size_t)field_count);
        if (rand_r(&state) % 4 == 0)
            restructure(index, &state);
        else
            change(&fields[index], &state);
        size_t length = fields_length(first);
        if (length > 0 && length <= size_max)
            size = (size_t)(put_together(data, first) - data);
    }
    free(copy);
    return size;
}
