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
#include "inference/kernels/bytes.h"

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

struct kernels {
    const char *name;
    int rows, panel_columns;          /* f32: rows at once, columns of a panel */
    const struct byte_kernels *bytes; /* 8 bit: bytes.h */

    /* out[r * out_stride + c] = epilogue(bias[c] + sum over taps t, k of inputs[t * row_stride + r][k] * panel[...]), c < columns.
     * inputs: [taps][KERNEL_ROWS_MAX] pointers; panel: bias[panel_columns], then [taps * depth][panel_columns]. rows <= kernels->rows. */
    void (*gemm_f32)(int rows, int columns, int64_t taps, int64_t depth, const float *const *inputs, const float *panel, float *out,
                     int64_t out_stride, const struct float_epilogue *epilogue);

    /* One result row of a depthwise convolution: out[x][c] = epilogue(bias[c] + sum of inputs[t][x * step + c] * weights[t][c]), where
     * inputs[t] already points to the first pixel of tap t, and step = horizontal stride * channels. Only where every tap lies inside. */
    void (*depthwise_f32)(int64_t pixels, int64_t channels, int64_t taps, int64_t step, const float *const *inputs, const float *weights,
                          const float *bias, float *out, const struct float_epilogue *epilogue);
};

/* cpu NULL: the best that this CPU has; else that name. Unknown name, or one that this CPU cannot run: ERROR_UNSUPPORTED with the names. */
MUST_CHECK enum error_code kernels_select(const char *cpu, const struct kernels **kernels_out, struct error *error);
/* The variants that run on this CPU, the reference first; ends with NULL. */
const struct kernels *const *kernels_list(void);

extern const struct kernels kernels_scalar, kernels_avx2, kernels_avx512, kernels_avx512vnni, kernels_neon;

#endif
