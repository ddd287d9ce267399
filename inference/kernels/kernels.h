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

/* out[r * out_stride + c] = epilogue(bias[c] + sum over taps t, k of inputs[t * KERNEL_ROWS_MAX + r][k] * weights[t * depth + k][c]
 *                                    + residual[r * out_stride + c]), c < columns.
 * panel: bias[width], then weights [taps * depth][width], width: panel_width(columns). Neither rows nor residual are read beyond what is used.
 * Assembly reads this: x86/gemm_f32_avx512.S knows the offsets. */
struct gemm_f32 {
    const float *const *inputs; /* [taps][KERNEL_ROWS_MAX] */
    const float *panel;
    float *out;
    const float *residual;      /* NULL: none */
    int64_t taps, depth;
    int64_t out_stride;         /* floats, of residual too */
    struct float_epilogue epilogue;
    int32_t columns;
};

/* Columns in memory of a panel of which `columns` are used: half of what others have, if they fit that. */
static inline int64_t panel_width(int64_t panel_columns, int64_t columns)
{
    return 2 * columns <= panel_columns ? panel_columns / 2 : panel_columns;
}

/* A matrix product with few columns, of rows that follow each other at a fixed distance:
 * out[r * out_stride + c] = epilogue(bias[c] + sum over taps t, k of input[r * in_stride + distances[t] + k] * weights + residual[r * out_stride + c]).
 * panel: vectors of narrow_columns floats: the bias, then for each tap the weights of `together` depths at a time, [column][depth], zeros
 * beyond the last: narrow_together. A row's sum depends on nothing of the others. out and residual do not overlap; nothing is read beyond
 * what is used. x86/narrow_f32_avx512.S knows the offsets. */
struct narrow_f32 {
    const float *input;
    const int64_t *distances;   /* [taps] bytes */
    const float *panel;
    float *out;
    int64_t taps, depth;
    int64_t rows;               /* NARROW_ROWS_MIN or more */
    int64_t in_stride, out_stride; /* floats, out_stride of residual too */
    struct float_epilogue epilogue;
    int32_t columns;            /* 1 .. narrow_columns */
    const float *residual;      /* NULL: none */
};

enum { NARROW_ROWS_MIN = 8 };

/* How many depths a vector of weights holds, so that few columns fill it too. */
static inline int narrow_together(int64_t narrow_columns, int64_t columns)
{
    return 2 * columns <= narrow_columns ? 2 : 1;
}

/* A run of pixels of one row of a depthwise convolution whose taps all lie inside:
 * out[x * out_step + c] = epilogue(bias[c] + sum over r < rows, k < columns of
 *                                  inputs[r][x * step + k * tap_step + c] * weights[r][k * weight_step + c]). */
struct depthwise_f32 {
    const float *const *inputs, *const *weights; /* [rows]: the first pixel under the first tap of a kernel row, that tap's weights */
    const float *bias;
    float *out;
    int64_t rows, columns;      /* of the kernel, or what of it lies inside */
    int64_t pixels, channels;
    int64_t step, tap_step, weight_step, out_step; /* floats */
    struct float_epilogue epilogue;
};

/* A line of results of a depthwise convolution with 3 x 3 taps, stride 1 or 2:
 * out[x * channels + c] = epilogue(bias[c] + sum over k, r < 3 of inputs[r][(x * stride + k - left) * channels + c] *
 *                                            weights[(r * 3 + k) * channels + c]),
 * without column 0 of the first result's taps where left is 1, without column 2 of the last one's where right is 1: they lie outside of the
 * image. x86/depthwise_3x3_f32_avx512.S knows the offsets. */
struct depthwise_3x3_f32 {
    const float *inputs[3];
    float *out;
    const float *weights, *bias;
    int64_t pixels, channels;
    int32_t left, right;
    struct float_epilogue epilogue;
    int32_t stride;
};

/* One window of minimal filtering (winograd.h), n = tile + 2: out[(y * n + x) * out_stride + c] = (Bt d B)[y][x] of channel c, where d[y][x]
 * is inputs[y * n + x][c]. */
struct winograd_input {
    int tile;                    /* 2 or 4 */
    int64_t channels;
    const float *const *inputs;  /* [n * n] pixels */
    float *out;
    int64_t out_stride;          /* floats */
};

/* outputs[y * tile + x][c] = epilogue((At m A)[y][x] + bias[c] + residuals[y * tile + x][c]), where m[y][x] is
 * inputs[(y * n + x) * in_stride + c]: rows of whole vectors. Bias is read for `channels`. */
struct winograd_output {
    int tile;
    int64_t channels;
    const float *inputs, *bias;
    int64_t in_stride;           /* floats */
    float *const *outputs;       /* [tile * tile] pixels */
    const float *const *residuals; /* NULL: none */
    struct float_epilogue epilogue;
};

struct kernels {
    const char *name;
    int rows, panel_columns;          /* f32: rows at once, columns of a panel */
    const struct byte_kernels *bytes; /* 8 bit: bytes.h */

    void (*gemm_f32)(int rows, const struct gemm_f32 *gemm); /* 1 <= rows <= kernels->rows */
    int narrow_columns;               /* 0: has no narrow_f32 */
    void (*narrow_f32)(const struct narrow_f32 *job);

    void (*depthwise_f32)(const struct depthwise_f32 *depthwise);
    void (*depthwise_3x3_f32)(const struct depthwise_3x3_f32 *job); /* NULL: depthwise_f32 does them */
    void (*winograd_input)(const struct winograd_input *input);
    void (*winograd_output)(const struct winograd_output *output);
    /* to[i * rows + r] = from[r * stride + i], i < count, for 2 to 4 rows. */
    void (*interleave_f32)(int rows, int64_t count, const float *from, int64_t stride, float *to);
    /* to[c] = the largest of, or the sum over, inputs[0 .. count - 1][c]; then times `factor` and clamped. */
    void (*max_f32)(int64_t count, int64_t channels, const float *const *inputs, float low, float high, float *to);
    void (*sum_f32)(int64_t count, int64_t channels, const float *const *inputs, float factor, float low, float high, float *to);
    /* to may be from. Vectors compute exp within 2 units in the last place, but 0 for what would be less than a normal number. */
    void (*sigmoid_f32)(int64_t count, const float *from, float *to);
    void (*exp_f32)(int64_t count, const float *from, float *to);
    /* to[i] = clamp(a[i] + b[i]). to may be a or b. */
    void (*add_f32)(int64_t count, const float *a, const float *b, float low, float high, float *to);
};

/* cpu NULL: the best that this CPU has; else that name. Unknown name, or one that this CPU cannot run: ERROR_UNSUPPORTED with the names. */
MUST_CHECK enum error_code kernels_select(const char *cpu, const struct kernels **kernels_out, struct error *error);
/* The variants that run on this CPU, the reference first; ends with NULL. */
const struct kernels *const *kernels_list(void);

extern const struct kernels kernels_scalar, kernels_avx2, kernels_avxvnni, kernels_avx512, kernels_avx512vnni, kernels_neon;

#endif
