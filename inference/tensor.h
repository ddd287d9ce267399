/* SPDX-License-Identifier: Apache-2.0
 *
 * tensor.h: element types, shapes, quantisation and the tensor that callers see. Dense, row-major, little-endian. */
#ifndef EDDY_INFERENCE_TENSOR_H
#define EDDY_INFERENCE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TENSOR_RANK_MAX = 8 };
/* No model file makes eddy handle a tensor of more elements: products of dimensions stay far from overflow. */
#define TENSOR_ELEMENTS_MAX ((int64_t)1 << 30)

enum dtype { DTYPE_F32, DTYPE_F16, DTYPE_I8, DTYPE_U8, DTYPE_I16, DTYPE_I32, DTYPE_I64, DTYPE_BOOL, DTYPE_U16, DTYPE_U32, DTYPE_U64, DTYPE_COUNT };

size_t dtype_bytes(enum dtype dtype);
const char *dtype_name(enum dtype dtype); /* "f32", "i8", ... */

bool dtype_is_integer(enum dtype dtype);  /* whole numbers; not bool */

/* One element as a double and back; integers beyond 2^53 lose their last digits. Writing saturates, NaN becomes 0 as an integer. */
double element_read(enum dtype dtype, const void *data, int64_t index);
void element_write(enum dtype dtype, void *data, int64_t index, double value);

/* Cut to what the type holds; NaN becomes 0. */
#define REAL_I64_LOW (-9.2e18) /* a double has no INT64_MAX */
#define REAL_I64_HIGH 9.2e18
static inline int64_t real_to_integer(double value, double low, double high)
{
    return value != value ? 0 : (int64_t)(value < low ? low : value > high ? high : value);
}

struct shape {
    int rank; /* 0: a scalar of one element */
    int32_t dims[TENSOR_RANK_MAX];
};

bool shape_equal(const struct shape *a, const struct shape *b);
int64_t shape_elements(const struct shape *shape); /* product; -1: a negative dimension, or more than TENSOR_ELEMENTS_MAX zeros aside */

/* real = scale * (stored - zero_point) */
struct quantization {
    int32_t count;             /* 0: none; 1: one for the tensor; n: one per index of `axis` */
    int32_t axis;
    const float *scale;        /* [count], finite and > 0 */
    const int32_t *zero_point; /* [count] */
};

struct tensor {
    const char *name;
    enum dtype dtype;
    struct shape shape;
    struct quantization quantization;
    void *data;
};

static inline size_t tensor_bytes(const struct tensor *tensor)
{
    return (size_t)shape_elements(&tensor->shape) * dtype_bytes(tensor->dtype);
}

#endif
