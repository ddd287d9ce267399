/* SPDX-License-Identifier: Apache-2.0
 *
 * json_writer.h: writes JSON (RFC 8259) into a buffer that the caller owns.
 *
 * Commas are placed by the writer; the caller keeps the nesting right (an assert says where not). A buffer that is too small sets
 * `overflow` and nothing is written past its end: check json_writer_finish once, after the last value.
 * Numbers: floats with the fewest digits that suffice for a reader of single precision; NaN and infinities become null.
 * Text: bytes that are not valid UTF-8 are written as U+FFFD, so that the output is always valid JSON. */
#ifndef EDDY_BASE_JSON_WRITER_H
#define EDDY_BASE_JSON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_writer {
    char *buffer;
    size_t capacity, length;
    bool overflow, needs_comma;
    int depth;
};

void json_writer_init(struct json_writer *writer, char *buffer, size_t capacity);
bool json_writer_finish(struct json_writer *writer); /* ends the text with NUL (not counted in length); false: it did not fit */

void json_object_begin(struct json_writer *writer);
void json_object_end(struct json_writer *writer);
void json_array_begin(struct json_writer *writer);
void json_array_end(struct json_writer *writer);
void json_key(struct json_writer *writer, const char *key);
void json_string(struct json_writer *writer, const char *text);
void json_string_bytes(struct json_writer *writer, const char *text, size_t length);
void json_integer(struct json_writer *writer, int64_t value);
void json_float(struct json_writer *writer, double value);
void json_bool(struct json_writer *writer, bool value);
void json_null(struct json_writer *writer);
void json_raw(struct json_writer *writer, const char *json, size_t length); /* a value that is JSON already */

#endif
