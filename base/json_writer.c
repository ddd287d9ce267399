/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_writer.h"

#include "base/utf8.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void json_writer_init(struct json_writer *writer, char *buffer, size_t capacity)
{
    *writer = (struct json_writer){.buffer = buffer, .capacity = capacity};
}

static void put(struct json_writer *writer, const char *bytes, size_t length)
{
    if (writer->overflow || length >= writer->capacity - writer->length) { /* one byte stays free for the NUL */
        writer->overflow = true;
        return;
    }
    memcpy(writer->buffer + writer->length, bytes, length);
    writer->length += length;
}

static void begin_value(struct json_writer *writer)
{
    if (writer->needs_comma)
        put(writer, ",", 1);
    writer->needs_comma = true;
}

bool json_writer_finish(struct json_writer *writer)
{
    assert(writer->depth == 0);
    if (writer->capacity == 0)
        return false;
    writer->buffer[writer->overflow ? 0 : writer->length] = '\0';
    return !writer->overflow;
}

static void open_bracket(struct json_writer *writer, const char *bracket)
{
    begin_value(writer);
    put(writer, bracket, 1);
    writer->needs_comma = false;
    writer->depth++;
}

static void close_bracket(struct json_writer *writer, const char *bracket)
{
    assert(writer->depth > 0);
    put(writer, bracket, 1);
    writer->needs_comma = true;
    writer->depth--;
}

void json_object_begin(struct json_writer *writer) { open_bracket(writer, "{"); }
void json_object_end(struct json_writer *writer) { close_bracket(writer, "}"); }
void json_array_begin(struct json_writer *writer) { open_bracket(writer, "["); }
void json_array_end(struct json_writer *writer) { close_bracket(writer, "]"); }

/* Copies runs of ordinary bytes at once; only quotes, backslashes, controls and non-ASCII stop a run. */
static void put_escaped(struct json_writer *writer, const char *text, size_t length)
{
    size_t run = 0, at = 0;
    put(writer, "\"", 1);
    while (at < length) {
        unsigned char byte = (unsigned char)text[at];
        if (byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\') {
            at++;
            continue;
        }
        size_t sequence = utf8_sequence_length(text + at, length - at);
        if (byte >= 0x80 && sequence > 0) {
            at += sequence;
            continue;
        }
        put(writer, text + run, at - run);
        if (byte >= 0x80) {
            put(writer, "\xEF\xBF\xBD", 3);
        } else if (byte == '"' || byte == '\\') {
            char escape[2] = {'\\', (char)byte};
            put(writer, escape, 2);
        } else {
            char escape[8];
            int count = snprintf(escape, sizeof escape, "\\u%04x", byte);
            put(writer, escape, (size_t)count);
        }
        run = ++at;
    }
    put(writer, text + run, at - run);
    put(writer, "\"", 1);
}

void json_key(struct json_writer *writer, const char *key)
{
    begin_value(writer);
    put_escaped(writer, key, strlen(key));
    put(writer, ":", 1);
    writer->needs_comma = false;
}

void json_string(struct json_writer *writer, const char *text)
{
    json_string_bytes(writer, text, strlen(text));
}

void json_string_bytes(struct json_writer *writer, const char *text, size_t length)
{
    begin_value(writer);
    put_escaped(writer, text, length);
}

void json_integer(struct json_writer *writer, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude > 0);
    if (value < 0)
        digits[--at] = '-';
    begin_value(writer);
    put(writer, digits + at, sizeof digits - at);
}

void json_float(struct json_writer *writer, double value)
{
    if (!isfinite(value)) {
        json_null(writer);
        return;
    }
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%.7g", value);
    begin_value(writer);
    put(writer, digits, (size_t)length);
}

void json_bool(struct json_writer *writer, bool value)
{
    begin_value(writer);
    put(writer, value ? "true" : "false", value ? 4 : 5);
}

void json_null(struct json_writer *writer)
{
    begin_value(writer);
    put(writer, "null", 4);
}

void json_raw(struct json_writer *writer, const char *json, size_t length)
{
    begin_value(writer);
    put(writer, json, length);
}
