/* SPDX-License-Identifier: Apache-2.0
 *
 * flatbuffer.h: reads a FlatBuffer (https://flatbuffers.dev/internals/) that somebody else wrote, without trusting one offset in it.
 *
 * The first thing found wrong is kept in `problem` and `problem_at`; from then on every read gives the field's default, an empty vector or
 * an absent table, so a reader may go on and ask once: flatbuffer_failed. Nothing is copied: what is returned points into the bytes.
 * Little-endian, as the format is and as the machines are that eddy runs on. */
#ifndef EDDY_INFERENCE_FLATBUFFER_H
#define EDDY_INFERENCE_FLATBUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flatbuffer {
    const uint8_t *bytes;
    size_t length;
    const char *problem; /* static text; NULL: none so far */
    size_t problem_at;
};

struct flatbuffer_table {
    struct flatbuffer *buffer;
    size_t at;           /* 0: absent */
    size_t vtable;
    uint16_t vtable_bytes, table_bytes;
};

struct flatbuffer_vector {
    struct flatbuffer *buffer;
    size_t at;           /* of its first element */
    uint32_t count;      /* 0: absent or empty */
};

void flatbuffer_init(struct flatbuffer *buffer, const uint8_t *bytes, size_t length);
bool flatbuffer_failed(const struct flatbuffer *buffer);
void flatbuffer_fail(struct flatbuffer *buffer, const char *problem, size_t at);

struct flatbuffer_table flatbuffer_root(struct flatbuffer *buffer);

/* Fields by their number in the schema. */
bool flatbuffer_has(const struct flatbuffer_table *table, int field);
int64_t flatbuffer_integer(const struct flatbuffer_table *table, int field, int bytes, int64_t fallback); /* signed, 1, 4 or 8 bytes */
uint32_t flatbuffer_u32(const struct flatbuffer_table *table, int field, uint32_t fallback);
float flatbuffer_f32(const struct flatbuffer_table *table, int field, float fallback);
struct flatbuffer_table flatbuffer_child(const struct flatbuffer_table *table, int field);
/* element_bytes: of its elements; 4 for vectors of tables and strings. The whole vector lies inside the bytes. */
struct flatbuffer_vector flatbuffer_list(const struct flatbuffer_table *table, int field, size_t element_bytes);
/* Not NUL-terminated; length 0 where absent. */
const char *flatbuffer_text(const struct flatbuffer_table *table, int field, size_t *length_out);

struct flatbuffer_table flatbuffer_element(const struct flatbuffer_vector *vector, uint32_t index); /* of a vector of tables */
int32_t flatbuffer_element_i32(const struct flatbuffer_vector *vector, uint32_t index);
int64_t flatbuffer_element_i64(const struct flatbuffer_vector *vector, uint32_t index);
float flatbuffer_element_f32(const struct flatbuffer_vector *vector, uint32_t index);

#endif
