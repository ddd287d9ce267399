/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/tensor.h"

#include <string.h>

static const struct { const char *name; size_t bytes; } dtypes[DTYPE_COUNT] = {
    [DTYPE_F32] = {"f32", 4}, [DTYPE_F16] = {"f16", 2}, [DTYPE_I8] = {"i8", 1},   [DTYPE_U8] = {"u8", 1},
    [DTYPE_I16] = {"i16", 2}, [DTYPE_I32] = {"i32", 4}, [DTYPE_I64] = {"i64", 8}, [DTYPE_BOOL] = {"bool", 1},
};

size_t dtype_bytes(enum dtype dtype)
{
    return dtypes[dtype].bytes;
}

const char *dtype_name(enum dtype dtype)
{
    return dtypes[dtype].name;
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
