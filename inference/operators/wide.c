/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/operators/wide.h"

#define INTEGER_TYPES(apply)                                                                                                    \
    apply(DTYPE_I8, int8_t) apply(DTYPE_U8, uint8_t) apply(DTYPE_BOOL, uint8_t) apply(DTYPE_I16, int16_t) apply(DTYPE_U16, uint16_t) \
    apply(DTYPE_I32, int32_t) apply(DTYPE_U32, uint32_t) apply(DTYPE_I64, int64_t) apply(DTYPE_U64, uint64_t)

void wide_load(enum dtype dtype, const void *from, int64_t step, int64_t *block, int64_t count)
{
#define LOAD(name, type)                                             \
    case name:                                                       \
        for (int64_t i = 0; i < count; i++)                          \
            block[i] = (int64_t)((const type *)from)[i * step];      \
        break;
    switch (dtype) {
        INTEGER_TYPES(LOAD)
    default: break;
    }
#undef LOAD
}

void wide_store(enum dtype dtype, void *to, const int64_t *block, int64_t count)
{
#define STORE(name, type)                               \
    case name:                                          \
        for (int64_t i = 0; i < count; i++)             \
            ((type *)to)[i] = (type)block[i];           \
        break;
    switch (dtype) {
        INTEGER_TYPES(STORE)
        STORE(DTYPE_F32, float)
    default: break;
    }
#undef STORE
}

void wide_map(enum dtype from_dtype, const void *from, enum dtype to_dtype, void *to, int64_t count, wide_change *change, int argument)
{
    int64_t block[WIDE_BLOCK];
    for (int64_t done = 0, part; done < count; done += part) {
        part = count - done < WIDE_BLOCK ? count - done : WIDE_BLOCK;
        wide_load(from_dtype, (const char *)from + (size_t)done * dtype_bytes(from_dtype), 1, block, part);
        if (change != NULL)
            change(block, part, argument);
        wide_store(to_dtype, (char *)to + (size_t)done * dtype_bytes(to_dtype), block, part);
    }
}
