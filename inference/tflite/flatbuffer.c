/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/tflite/flatbuffer.h"

#include <string.h>

void flatbuffer_init(struct flatbuffer *buffer, const uint8_t *bytes, size_t length)
{
    *buffer = (struct flatbuffer){.bytes = bytes, .length = length};
}

bool flatbuffer_failed(const struct flatbuffer *buffer)
{
    return buffer->problem != NULL;
}

void flatbuffer_fail(struct flatbuffer *buffer, const char *problem, size_t at)
{
    if (buffer->problem != NULL)
        return;
    buffer->problem = problem;
    buffer->problem_at = at;
}

/* Copies `bytes` at `at` into *target; false: they lie outside, which is noted. */
static bool read(struct flatbuffer *buffer, size_t at, size_t bytes, void *target, const char *problem)
{
    if (buffer->problem != NULL)
        return false;
    if (at > buffer->length || bytes > buffer->length - at) {
        flatbuffer_fail(buffer, problem, at);
        return false;
    }
    memcpy(target, buffer->bytes + at, bytes);
    return true;
}

/* Where the offset that stands at `at` leads to; 0: nowhere. */
static size_t follow(struct flatbuffer *buffer, size_t at, const char *problem)
{
    uint32_t offset = 0;
    if (!read(buffer, at, sizeof offset, &offset, problem))
        return 0;
    if (offset == 0 || offset > buffer->length - at) {
        flatbuffer_fail(buffer, problem, at);
        return 0;
    }
    return at + offset;
}

static struct flatbuffer_table open_table(struct flatbuffer *buffer, size_t at)
{
    struct flatbuffer_table absent = {.buffer = buffer}, table = {.buffer = buffer, .at = at};
    int32_t back;
    if (at == 0 || !read(buffer, at, sizeof back, &back, "a table outside the file"))
        return absent;
    int64_t vtable = (int64_t)at - back;
    if (vtable < 0 || vtable > (int64_t)buffer->length) {
        flatbuffer_fail(buffer, "a table whose vtable lies outside the file", at);
        return absent;
    }
    table.vtable = (size_t)vtable;
    if (!read(buffer, table.vtable, 2, &table.vtable_bytes, "a vtable outside the file") ||
        !read(buffer, table.vtable + 2, 2, &table.table_bytes, "a vtable outside the file"))
        return absent;
    if (table.vtable_bytes < 4 || table.vtable_bytes > buffer->length - table.vtable || table.table_bytes < 4 ||
        table.table_bytes > buffer->length - at) {
        flatbuffer_fail(buffer, "a table of impossible size", at);
        return absent;
    }
    return table;
}

struct flatbuffer_table flatbuffer_root(struct flatbuffer *buffer)
{
    return open_table(buffer, follow(buffer, 0, "no root table"));
}

/* Where a field lies; 0: absent. */
static size_t locate(const struct flatbuffer_table *table, int field, size_t bytes)
{
    size_t entry = 4 + 2 * (size_t)field;
    uint16_t offset = 0;
    if (table->at == 0 || entry + 2 > table->vtable_bytes)
        return 0;
    if (!read(table->buffer, table->vtable + entry, sizeof offset, &offset, "a vtable outside the file") || offset == 0)
        return 0;
    if (offset < 4 || offset + bytes > table->table_bytes) {
        flatbuffer_fail(table->buffer, "a field outside its table", table->at);
        return 0;
    }
    return table->at + offset;
}

bool flatbuffer_has(const struct flatbuffer_table *table, int field)
{
    return locate(table, field, 1) != 0;
}

int64_t flatbuffer_integer(const struct flatbuffer_table *table, int field, int bytes, int64_t fallback)
{
    size_t at = locate(table, field, (size_t)bytes);
    int8_t one;
    int32_t four;
    int64_t eight;
    if (at == 0)
        return fallback;
    switch (bytes) {
    case 1: return read(table->buffer, at, sizeof one, &one, "a field outside the file") ? one : fallback;
    case 4: return read(table->buffer, at, sizeof four, &four, "a field outside the file") ? four : fallback;
    default: return read(table->buffer, at, sizeof eight, &eight, "a field outside the file") ? eight : fallback;
    }
}

uint32_t flatbuffer_u32(const struct flatbuffer_table *table, int field, uint32_t fallback)
{
    size_t at = locate(table, field, sizeof fallback);
    uint32_t number;
    return at != 0 && read(table->buffer, at, sizeof number, &number, "a field outside the file") ? number : fallback;
}

float flatbuffer_f32(const struct flatbuffer_table *table, int field, float fallback)
{
    size_t at = locate(table, field, sizeof fallback);
    float number;
    return at != 0 && read(table->buffer, at, sizeof number, &number, "a field outside the file") ? number : fallback;
}

struct flatbuffer_table flatbuffer_child(const struct flatbuffer_table *table, int field)
{
    size_t at = locate(table, field, 4);
    return at == 0 ? (struct flatbuffer_table){.buffer = table->buffer}
                   : open_table(table->buffer, follow(table->buffer, at, "an offset that leads out of the file"));
}

struct flatbuffer_vector flatbuffer_list(const struct flatbuffer_table *table, int field, size_t element_bytes)
{
    struct flatbuffer *buffer = table->buffer;
    struct flatbuffer_vector vector = {.buffer = buffer};
    size_t at = locate(table, field, 4);
    at = at == 0 ? 0 : follow(buffer, at, "an offset that leads out of the file");
    if (at == 0 || !read(buffer, at, sizeof vector.count, &vector.count, "a vector outside the file"))
        return (struct flatbuffer_vector){.buffer = buffer};
    vector.at = at + 4;
    if (vector.count > (buffer->length - vector.at) / element_bytes) {
        flatbuffer_fail(buffer, "a vector that is longer than the file", at);
        return (struct flatbuffer_vector){.buffer = buffer};
    }
    return vector;
}

const char *flatbuffer_text(const struct flatbuffer_table *table, int field, size_t *length_out)
{
    struct flatbuffer_vector vector = flatbuffer_list(table, field, 1);
    *length_out = vector.count;
    return (const char *)table->buffer->bytes + vector.at;
}

struct flatbuffer_table flatbuffer_element(const struct flatbuffer_vector *vector, uint32_t index)
{
    size_t at = follow(vector->buffer, vector->at + 4 * (size_t)index, "an offset that leads out of the file");
    return open_table(vector->buffer, at);
}

int32_t flatbuffer_element_i32(const struct flatbuffer_vector *vector, uint32_t index)
{
    int32_t number;
    return read(vector->buffer, vector->at + 4 * (size_t)index, sizeof number, &number, "a vector outside the file") ? number : 0;
}

int64_t flatbuffer_element_i64(const struct flatbuffer_vector *vector, uint32_t index)
{
    int64_t number;
    return read(vector->buffer, vector->at + 8 * (size_t)index, sizeof number, &number, "a vector outside the file") ? number : 0;
}

float flatbuffer_element_f32(const struct flatbuffer_vector *vector, uint32_t index)
{
    float number;
    return read(vector->buffer, vector->at + 4 * (size_t)index, sizeof number, &number, "a vector outside the file") ? number : 0;
}
