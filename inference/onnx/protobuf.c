/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/onnx/protobuf.h"

#include <string.h>

bool protobuf_varint(struct protobuf *reader, uint64_t *value)
{
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        uint8_t byte = *reader->at++;
        result |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *value = result;
            return true;
        }
    }
    reader->damaged = true;
    return false;
}

static bool take(struct protobuf *reader, void *target, size_t bytes)
{
    if (protobuf_length(reader) < bytes) {
        reader->damaged = true;
        return false;
    }
    memcpy(target, reader->at, bytes);
    reader->at += bytes;
    return true;
}

bool protobuf_next(struct protobuf *reader, struct protobuf_field *field)
{
    uint64_t key, length;
    uint32_t narrow;
    if (reader->damaged || reader->at >= reader->end || !protobuf_varint(reader, &key))
        return false;
    *field = (struct protobuf_field){.number = (uint32_t)(key >> 3), .type = (enum protobuf_type)(key & 7)};
    switch (key & 7) {
    case PROTOBUF_VARINT:
        return protobuf_varint(reader, &field->integer);
    case PROTOBUF_FIXED64:
        return take(reader, &field->integer, 8);
    case PROTOBUF_FIXED32:
        if (!take(reader, &narrow, 4))
            return false;
        field->integer = narrow;
        return true;
    case PROTOBUF_BYTES:
        if (!protobuf_varint(reader, &length))
            return false;
        if (length > protobuf_length(reader))
            break;
        field->body = (struct protobuf){.at = reader->at, .end = reader->at + length};
        reader->at += length;
        return true;
    default:
        break;
    }
    reader->damaged = true;
    return false;
}

float protobuf_float(const struct protobuf_field *field)
{
    uint32_t bits = (uint32_t)field->integer;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
