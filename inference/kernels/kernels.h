/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels.h: the inner loops of the engine, one table of function pointers per instruction set, chosen once by what the CPU can do.
 *
 * kernels/scalar is the reference and is kept for ever: each faster variant gives the same integers, and floats that differ only by the
 * order of summation and by fused multiply-add. tests/inference/kernels_test.c holds them against each other.
 *
 * Matrix product of rows given by pointers (indirect convolution, Dukhan, arXiv 1907.02129): for each of `rows` result rows and each of
 * `taps` kernel positions a pointer to `depth` consecutive inputs; padding is a pointer to a row of zeros (zero points). Weights are packed
 * in panels of `panel_columns` results: see pack.h. */
#ifndef EDDY_INFERENCE_KERNELS_H
#define EDDY_INFERENCE_KERNELS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KERNEL_ROWS_MAX = 16,       /* no variant computes more rows at once */
    KERNEL_COLUMNS_MAX = 64,    /* no variant has wider panels */
    KERNEL_OVERREAD_BYTES = 64, /* how far behind an activation row kernels may read (never use): buffers have this much slack */
};

struct float_epilogue {
    float low, high; /* clamp; -FLT_MAX, FLT_MAX: none */
    float slope;     /* of negative results before the clamp (leaky ReLU); 1: none */
};

/* Requantisation of one panel: fixed_point.h's arithmetic, one entry a column. */
struct byte_epilogue {
    const int32_t *multiplier, *shift;
    int32_t zero_point, low, high; /* of the result, as stored */
};

struct kernels {
    const char *name;
    int rows, panel_columns;          /* f32: rows at once, columns of a panel */
    int byte_rows, byte_columns;      /* 8 bit */
    int byte_depth;                   /* depth is padded to a multiple of this in packed weights: 1, 2 or 4 */

    /* out[r * out_stride + c] = epilogue(bias[c] + sum over taps t, k of inputs[t * row_stride + r][k] * panel[...]), c < columns.
     * inputs: [taps][KERNEL_ROWS_MAX] pointers; panel: bias[panel_columns], then [taps * depth][panel_columns]. rows <= kernels->rows. */
    void (*gemm_f32)(int rows, int columns, int64_t taps, int64_t depth, const float *const *inputs, const float *panel, float *out,
                     int64_t out_stride, const struct float_epilogue *epilogue);

    /* The same with bytes: inputs are u8 or, with flip 0x80, i8 (flip is xored in: the packed bias accounts for it); weights i8.
     * panel: i32 bias[byte_columns], then [taps][padded depth / byte_depth][byte_columns][byte_depth] i8. */
    void (*gemm_8)(int rows, int columns, int64_t taps, int64_t depth, uint8_t flip, const uint8_t *const *inputs, const int8_t *panel,
                   uint8_t *out, int64_t out_stride, const struct byte_epilogue *epilogue);

    /* One result row of a depthwise convolution: out[x][c] = epilogue(bias[c] + sum of inputs[t][x * step + c] * weights[t][c]), where
     * inputs[t] already points to the first pixel of tap t, and step = horizontal stride * channels. Only where every tap lies inside. */
    void (*depthwise_f32)(int64_t pixels, int64_t channels, int64_t taps, int64_t step, const float *const *inputs, const float *weights,
                          const float *bias, float *out, const struct float_epilogue *epilogue);
    /* Bytes: weights are i16 with their zero point taken off, bias i32 accounts for the input's zero point. is_signed: inputs are i8. */
    void (*depthwise_8)(int64_t pixels, int64_t channels, int64_t taps, int64_t step, bool is_signed, const uint8_t *const *inputs,
                        const int16_t *weights, const int32_t *bias, uint8_t *out, const struct byte_epilogue *epilogue);
};

/* cpu NULL: the best that this CPU has; else that name. Unknown name, or one that this CPU cannot run: ERROR_UNSUPPORTED with the names. */
MUST_CHECK enum error_code kernels_select(const char *cpu, const struct kernels **kernels_out, struct error *error);
/* The variants that run on this CPU, the reference first; ends with NULL. */
const struct kernels *const *kernels_list(void);

extern const struct kernels kernels_scalar, kernels_avx2, kernels_avx512, kernels_avx512vnni, kernels_neon;

#endif
