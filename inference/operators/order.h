/* SPDX-License-Identifier: Apache-2.0
 *
 * order.h: elements of every type as integers that sort alike, for operators that look for the largest, the smallest or the order. */
#ifndef EDDY_INFERENCE_ORDER_H
#define EDDY_INFERENCE_ORDER_H

#include "inference/tensor.h"

#include <string.h>

/* IEEE 754 sorts like sign and magnitude; both zeros are one, NaNs lie at the ends. */
static inline int64_t order_key_f32(float x)
{
    int32_t bits;
    x = x == 0 ? 0 : x;
    memcpy(&bits, &x, sizeof bits);
    return bits < 0 ? bits ^ INT32_MAX : bits;
}

static inline int64_t order_key(enum dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case DTYPE_F32: return order_key_f32(((const float *)data)[i]);
    case DTYPE_I8: return ((const int8_t *)data)[i];
    case DTYPE_I16: return ((const int16_t *)data)[i];
    case DTYPE_U16: return ((const uint16_t *)data)[i];
    case DTYPE_I32: return ((const int32_t *)data)[i];
    case DTYPE_U32: return ((const uint32_t *)data)[i];
    case DTYPE_I64: return ((const int64_t *)data)[i];
    case DTYPE_U64: return (int64_t)(((const uint64_t *)data)[i] ^ (uint64_t)1 << 63);
    default: return ((const uint8_t *)data)[i];
    }
}

#endif
