/* SPDX-License-Identifier: Apache-2.0
 *
 * protobuf.h: walks one message of the protobuf wire format (protobuf.dev/programming-guides/encoding), in place, checked.
 *
 *   struct protobuf_field field;
 *   for (struct protobuf reader = ...; protobuf_next(&reader, &field);) ...     then reader.damaged tells an error from the end.
 * Groups (wire types 3, 4) are refused: no ONNX file has them. Nothing is read beyond `end`. */
#ifndef EDDY_INFERENCE_PROTOBUF_H
#define EDDY_INFERENCE_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct protobuf {
    const uint8_t *at, *end;
    bool damaged;
};

enum protobuf_type { PROTOBUF_VARINT = 0, PROTOBUF_FIXED64 = 1, PROTOBUF_BYTES = 2, PROTOBUF_FIXED32 = 5 };

struct protobuf_field {
    uint32_t number;
    enum protobuf_type type;
    uint64_t integer;     /* varint, fixed32, fixed64 */
    struct protobuf body; /* bytes */
};

bool protobuf_next(struct protobuf *reader, struct protobuf_field *field);
bool protobuf_varint(struct protobuf *reader, uint64_t *value); /* for packed fields */
float protobuf_float(const struct protobuf_field *field);       /* of a fixed32 */

static inline size_t protobuf_length(const struct protobuf *reader)
{
    return (size_t)(reader->end - reader->at);
}

#endif
