/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/tensor.h"

#include "inference/half.h"

#include <string.h>

static const struct { const char *name; size_t bytes; } dtypes[DTYPE_COUNT] = {
    [DTYPE_F32] = {"f32", 4}, [DTYPE_F16] = {"f16", 2}, [DTYPE_I8] = {"i8", 1},   [DTYPE_U8] = {"u8", 1},
    [DTYPE_I16] = {"i16", 2}, [DTYPE_I32] = {"i32", 4}, [DTYPE_I64] = {"i64", 8}, [DTYPE_BOOL] = {"bool", 1},
    [DTYPE_U16] = {"u16", 2}, [DTYPE_U32] = {"u32", 4}, [DTYPE_U64] = {"u64", 8},
};

size_t dtype_bytes(enum dtype dtype)
{
    return dtypes[dtype].bytes;
}

const char *dtype_name(enum dtype dtype)
{
    return dtypes[dtype].name;
}

bool dtype_is_integer(enum dtype dtype)
{
    return dtype != DTYPE_F32 && dtype != DTYPE_F16 && dtype != DTYPE_BOOL;
}

double element_read(enum dtype dtype, const void *data, int64_t index)
{
    switch (dtype) {
    case DTYPE_F32: return (double)((const float *)data)[index];
    case DTYPE_F16: return (double)half_to_float(((const uint16_t *)data)[index]);
    case DTYPE_I8: return ((const int8_t *)data)[index];
    case DTYPE_U8: case DTYPE_BOOL: return ((const uint8_t *)data)[index];
    case DTYPE_I16: return ((const int16_t *)data)[index];
    case DTYPE_U16: return ((const uint16_t *)data)[index];
    case DTYPE_I32: return ((const int32_t *)data)[index];
    case DTYPE_U32: return ((const uint32_t *)data)[index];
    case DTYPE_I64: return (double)((const int64_t *)data)[index];
    case DTYPE_U64: return (double)((const uint64_t *)data)[index];
    default: return 0;
    }
}

static uint64_t saturate_u64(double value)
{
    return !(value > 0) ? 0 : value >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t)value;
}

void element_write(enum dtype dtype, void *data, int64_t index, double value)
{
    switch (dtype) {
    case DTYPE_F32: ((float *)data)[index] = (float)value; break;
    case DTYPE_F16: ((uint16_t *)data)[index] = half_from_double(value); break;
    case DTYPE_I8: ((int8_t *)data)[index] = (int8_t)real_to_integer(value, -128, 127); break;
    case DTYPE_U8: ((uint8_t *)data)[index] = (uint8_t)real_to_integer(value, 0, 255); break;
    case DTYPE_BOOL: ((uint8_t *)data)[index] = value != 0; break;
    case DTYPE_I16: ((int16_t *)data)[index] = (int16_t)real_to_integer(value, -32768, 32767); break;
    case DTYPE_U16: ((uint16_t *)data)[index] = (uint16_t)real_to_integer(value, 0, 65535); break;
    case DTYPE_I32: ((int32_t *)data)[index] = (int32_t)real_to_integer(value, -2147483648.0, 2147483647.0); break;
    case DTYPE_U32: ((uint32_t *)data)[index] = (uint32_t)real_to_integer(value, 0, 4294967295.0); break;
    case DTYPE_I64: ((int64_t *)data)[index] = real_to_integer(value, REAL_I64_LOW, REAL_I64_HIGH); break;
    case DTYPE_U64: ((uint64_t *)data)[index] = saturate_u64(value); break;
    default: break;
    }
}

bool shape_equal(const struct shape *a, const struct shape *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
}

int64_t shape_elements(const struct shape *shape)
{
    int64_t elements = 1; /* of what is not zero: then products of some of the dimensions stay small too */
    bool empty = false;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dims[i] < 0)
            return -1;
        empty |= shape->dims[i] == 0;
        elements *= shape->dims[i] > 0 ? shape->dims[i] : 1; /* at most 2^30 * 2^31: fits */
        if (elements > TENSOR_ELEMENTS_MAX)
            return -1;
    }
    return empty ? 0 : elements;
}
