/* SPDX-License-Identifier: Apache-2.0
 *
 * TensorProto: dims 1, data_type 2, float_data 4, int32_data 5, int64_data 7, name 8, raw_data 9, double_data 10, uint64_data 11,
 * data_location 14. Doubles become f32: eddy computes in single precision. */
#include "inference/onnx/parse.h"

#include <string.h>

enum {
    TYPE_FLOAT = 1, TYPE_UINT8, TYPE_INT8, TYPE_UINT16, TYPE_INT16, TYPE_INT32, TYPE_INT64, TYPE_STRING, TYPE_BOOL, TYPE_FLOAT16, TYPE_DOUBLE,
    TYPE_UINT32, TYPE_UINT64
};

enum error_code onnx_dtype(int64_t type, enum dtype *dtype_out, struct error *error)
{
    switch (type) {
    case TYPE_FLOAT: case TYPE_DOUBLE: *dtype_out = DTYPE_F32; return ERROR_NONE;
    case TYPE_UINT8: *dtype_out = DTYPE_U8; return ERROR_NONE;
    case TYPE_INT8: *dtype_out = DTYPE_I8; return ERROR_NONE;
    case TYPE_UINT16: *dtype_out = DTYPE_U16; return ERROR_NONE;
    case TYPE_UINT32: *dtype_out = DTYPE_U32; return ERROR_NONE;
    case TYPE_UINT64: *dtype_out = DTYPE_U64; return ERROR_NONE;
    case TYPE_INT16: *dtype_out = DTYPE_I16; return ERROR_NONE;
    case TYPE_INT32: *dtype_out = DTYPE_I32; return ERROR_NONE;
    case TYPE_INT64: *dtype_out = DTYPE_I64; return ERROR_NONE;
    case TYPE_BOOL: *dtype_out = DTYPE_BOOL; return ERROR_NONE;
    case TYPE_FLOAT16: *dtype_out = DTYPE_F16; return ERROR_NONE;
    default: return error_set(error, ERROR_UNSUPPORTED, "element type %lld of ONNX is not supported", (long long)type);
    }
}

struct fields {
    struct protobuf raw, packed;
    bool has_raw, has_packed;
    int64_t type, single_count;
    uint32_t packed_number;
    bool external;
};

static void add_dim(struct tensor *tensor, uint64_t dim)
{
    if (tensor->shape.rank < TENSOR_RANK_MAX)
        tensor->shape.dims[tensor->shape.rank] = dim > INT32_MAX ? -1 : (int32_t)dim;
    tensor->shape.rank++;
}

static void read_field(struct protobuf_field *field, struct tensor *tensor, struct fields *fields, struct arena *arena)
{
    uint64_t dim;
    switch (field->number) {
    case 1:
        if (field->type == PROTOBUF_VARINT)
            add_dim(tensor, field->integer);
        while (field->type == PROTOBUF_BYTES && field->body.at < field->body.end && protobuf_varint(&field->body, &dim))
            add_dim(tensor, dim);
        break;
    case 2: fields->type = (int64_t)field->integer; break;
    case 4: case 5: case 7: case 10: case 11:
        fields->has_packed = field->type == PROTOBUF_BYTES;
        fields->single_count += field->type != PROTOBUF_BYTES;
        fields->packed = field->body;
        fields->packed_number = field->number;
        break;
    case 8: tensor->name = arena_copy_string(arena, (const char *)field->body.at, protobuf_length(&field->body)); break;
    case 9: fields->raw = field->body; fields->has_raw = true; break;
    case 14: fields->external = field->integer == 1; break;
    default: break;
    }
}

/* int32_data and int64_data hold every integer type (and the bits of f16) as varints. */
static bool unpack_varints(struct protobuf packed, enum dtype dtype, void *data, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        uint64_t value;
        if (!protobuf_varint(&packed, &value))
            return false;
        memcpy((char *)data + (size_t)i * dtype_bytes(dtype), &value, dtype_bytes(dtype)); /* little-endian: the low bytes come first */
    }
    return packed.at == packed.end;
}

static bool copy_doubles(const struct protobuf *source, float *data, int64_t count)
{
    if (protobuf_length(source) != (size_t)count * sizeof(double))
        return false;
    for (int64_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, source->at + (size_t)i * sizeof value, sizeof value);
        data[i] = (float)value;
    }
    return true;
}

static bool fill(const struct fields *fields, struct tensor *tensor, int64_t count)
{
    if (fields->type == TYPE_DOUBLE)
        return copy_doubles(fields->has_raw ? &fields->raw : &fields->packed, tensor->data, count);
    size_t bytes = (size_t)count * dtype_bytes(tensor->dtype);
    bool verbatim = fields->has_raw || fields->packed_number == 4;
    const struct protobuf *source = fields->has_raw ? &fields->raw : &fields->packed;
    if (!verbatim)
        return unpack_varints(fields->packed, tensor->dtype, tensor->data, count);
    if (protobuf_length(source) != bytes)
        return false;
    memcpy(tensor->data, source->at, bytes);
    return true;
}

enum error_code onnx_parse_tensor(struct protobuf body, struct arena *arena, bool borrow, struct tensor *tensor, struct error *error)
{
    struct fields fields = {0};
    struct protobuf_field field;
    *tensor = (struct tensor){.name = ""};
    while (protobuf_next(&body, &field))
        read_field(&field, tensor, &fields, arena);
    if (body.damaged || tensor->name == NULL)
        return error_set(error, ERROR_MODEL, "a tensor's message is damaged");
    TRY(onnx_dtype(fields.type, &tensor->dtype, error));
    int64_t count = tensor->shape.rank > TENSOR_RANK_MAX ? -1 : shape_elements(&tensor->shape);
    if (count < 0)
        return error_set(error, ERROR_MODEL, "tensor \"%.80s\" has a shape beyond what eddy takes", tensor->name);
    if (fields.external || fields.single_count > 0)
        return error_set(error, ERROR_UNSUPPORTED, "tensor \"%.80s\" keeps its data outside the file or unpacked", tensor->name);
    /* what the file holds bounds what is allocated: at most one element for each byte of data */
    if (count > 0 && !fields.has_raw && !fields.has_packed)
        return error_set(error, ERROR_MODEL, "tensor \"%.80s\" has no data", tensor->name);
    size_t held = protobuf_length(fields.has_raw ? &fields.raw : &fields.packed);
    if ((uint64_t)count > held)
        return error_set(error, ERROR_MODEL, "tensor \"%.80s\" holds %zu bytes for %lld elements", tensor->name, held, (long long)count);
    bool verbatim = fields.has_raw && fields.type != TYPE_DOUBLE && (tensor->dtype == DTYPE_F32 || dtype_bytes(tensor->dtype) == 1);
    if (borrow && verbatim && held == (size_t)count * dtype_bytes(tensor->dtype)) {
        tensor->data = (void *)(uintptr_t)fields.raw.at;
        return ERROR_NONE;
    }
    tensor->data = arena_allocate_array(arena, (size_t)count, dtype_bytes(tensor->dtype));
    if (tensor->data == NULL)
        return error_set(error, ERROR_LIMIT, "tensor \"%.80s\" needs more memory than eddy allows", tensor->name);
    if (count > 0 && !fill(&fields, tensor, count))
        return error_set(error, ERROR_MODEL, "tensor \"%.80s\" holds other data than its shape and type say", tensor->name);
    return ERROR_NONE;
}
