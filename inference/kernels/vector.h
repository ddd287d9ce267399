/* SPDX-License-Identifier: Apache-2.0
 *
 * vector.h: the kernels for any instruction set with vectors of VECTOR_FLOATS floats, written once in gcc's vector types.
 *
 * A file per instruction set defines VECTOR_FLOATS, VECTOR_ROWS (rows of a tile: accumulators are VECTOR_ROWS x 2 vectors and must fit the
 * registers), KERNELS_SYMBOL, KERNELS_NAME and BYTE_KERNELS, includes this and is compiled for that set. */
#include "inference/kernels/kernels.h"

#include <string.h>

typedef float floats __attribute__((vector_size(VECTOR_FLOATS * 4), aligned(4), may_alias));

enum { PANEL = 2 * VECTOR_FLOATS };

#define INLINE static inline __attribute__((always_inline))

INLINE floats splat(float x)
{
    return (floats){0} + x;
}

typedef int32_t lanes __attribute__((vector_size(VECTOR_FLOATS * 4), aligned(4), may_alias));

INLINE floats choose(lanes mask, floats yes, floats no)
{
    return (floats)((mask & (lanes)yes) | (~mask & (lanes)no));
}

INLINE floats finish(floats x, const struct float_epilogue *epilogue)
{
    floats low = splat(epilogue->low), high = splat(epilogue->high);
    if (epilogue->slope != 1)
        x = choose(x < 0, x * epilogue->slope, x);
    x = choose(x < low, low, x);
    return choose(x > high, high, x);
}

/* rows and vectors are constants wherever this is inlined, so that the accumulators live in registers. */
INLINE void gemm_tile(const int rows, const int vectors, int columns, int64_t taps, int64_t depth, const float *const *inputs,
                      const float *panel, float *out, int64_t out_stride, const struct float_epilogue *epilogue)
{
    floats sums[VECTOR_ROWS][2];
    for (int r = 0; r < rows; r++) {
        for (int v = 0; v < vectors; v++)
            sums[r][v] = *(const floats *)(panel + v * VECTOR_FLOATS);
    }
    const float *weights = panel + PANEL;
    for (int64_t t = 0; t < taps; t++) {
        const float *rows_at[VECTOR_ROWS];
        for (int r = 0; r < rows; r++)
            rows_at[r] = inputs[t * KERNEL_ROWS_MAX + r];
        for (int64_t k = 0; k < depth; k++, weights += PANEL) {
            floats w[2];
            for (int v = 0; v < vectors; v++)
                w[v] = *(const floats *)(weights + v * VECTOR_FLOATS);
            for (int r = 0; r < rows; r++) {
                for (int v = 0; v < vectors; v++)
                    sums[r][v] += rows_at[r][k] * w[v];
            }
        }
    }
    for (int r = 0; r < rows; r++) {
        floats done[2];
        for (int v = 0; v < vectors; v++)
            done[v] = finish(sums[r][v], epilogue);
        float *target = out + r * out_stride;
        if (columns == vectors * VECTOR_FLOATS) {
            for (int v = 0; v < vectors; v++)
                *(floats *)(target + v * VECTOR_FLOATS) = done[v];
        } else {
            memcpy(target, done, (size_t)columns * sizeof *target);
        }
    }
}

#define TILE_CASE(count)                                                                                         \
    case count:                                                                                                  \
        if (columns > VECTOR_FLOATS)                                                                             \
            gemm_tile(count, 2, columns, taps, depth, inputs, panel, out, out_stride, epilogue);                  \
        else                                                                                                     \
            gemm_tile(count, 1, columns, taps, depth, inputs, panel, out, out_stride, epilogue);                  \
        break;

static void gemm_f32(int rows, int columns, int64_t taps, int64_t depth, const float *const *inputs, const float *panel, float *out,
                     int64_t out_stride, const struct float_epilogue *epilogue)
{
    switch (rows) {
        TILE_CASE(1)
        TILE_CASE(2)
        TILE_CASE(3)
        TILE_CASE(4)
#if VECTOR_ROWS > 4
        TILE_CASE(5)
        TILE_CASE(6)
#endif
#if VECTOR_ROWS > 6
        TILE_CASE(7)
        TILE_CASE(8)
#endif
#if VECTOR_ROWS > 8
        TILE_CASE(9)
        TILE_CASE(10)
        TILE_CASE(11)
        TILE_CASE(12)
#endif
    default: break;
    }
}

/* taps is a constant where it is inlined: the weights of one vector of channels stay in registers over a row of pixels. */
INLINE void depthwise_lane(int64_t pixels, int64_t channels, const int64_t taps, int64_t step, const float *const *inputs,
                           const float *weights, const float *bias, float *out, const struct float_epilogue *epilogue, int64_t c)
{
    floats start = *(const floats *)(bias + c);
    for (int64_t x = 0; x < pixels; x++) {
        floats sum = start;
        for (int64_t t = 0; t < taps; t++)
            sum += *(const floats *)(inputs[t] + x * step + c) * *(const floats *)(weights + t * channels + c);
        *(floats *)(out + x * channels + c) = finish(sum, epilogue);
    }
}

INLINE void depthwise_nine(int64_t pixels, int64_t channels, int64_t step, const float *const *inputs, const float *weights,
                           const float *bias, float *out, const struct float_epilogue *epilogue, int64_t c)
{
    floats start = *(const floats *)(bias + c), w[9];
    const float *at[9];
    for (int t = 0; t < 9; t++) {
        w[t] = *(const floats *)(weights + t * channels + c);
        at[t] = inputs[t] + c;
    }
    for (int64_t x = 0; x < pixels; x++) {
        floats first = start, second = *(const floats *)(at[1] + x * step) * w[1], third = *(const floats *)(at[2] + x * step) * w[2];
        first += *(const floats *)(at[0] + x * step) * w[0];
        for (int t = 3; t < 9; t += 3) {
            first += *(const floats *)(at[t] + x * step) * w[t];
            second += *(const floats *)(at[t + 1] + x * step) * w[t + 1];
            third += *(const floats *)(at[t + 2] + x * step) * w[t + 2];
        }
        *(floats *)(out + x * channels + c) = finish(first + second + third, epilogue);
    }
}

static void depthwise_f32(int64_t pixels, int64_t channels, int64_t taps, int64_t step, const float *const *inputs, const float *weights,
                          const float *bias, float *out, const struct float_epilogue *epilogue)
{
    int64_t c = 0;
    for (; c + VECTOR_FLOATS <= channels; c += VECTOR_FLOATS) {
        if (taps == 9)
            depthwise_nine(pixels, channels, step, inputs, weights, bias, out, epilogue, c);
        else
            depthwise_lane(pixels, channels, taps, step, inputs, weights, bias, out, epilogue, c);
    }
    for (int64_t x = 0; x < pixels; x++) {
        for (int64_t k = c; k < channels; k++) {
            float sum = bias[k];
            for (int64_t t = 0; t < taps; t++)
                sum += inputs[t][x * step + k] * weights[t * channels + k];
            sum = sum < 0 ? sum * epilogue->slope : sum;
            out[x * channels + k] = sum < epilogue->low ? epilogue->low : sum > epilogue->high ? epilogue->high : sum;
        }
    }
}

const struct kernels KERNELS_SYMBOL = {
    .name = KERNELS_NAME, .rows = VECTOR_ROWS, .panel_columns = PANEL, .bytes = &BYTE_KERNELS, .gemm_f32 = gemm_f32, .depthwise_f32 = depthwise_f32,
};
