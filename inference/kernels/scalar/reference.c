/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference: every kernel as its definition reads. */
#include "inference/kernels/fixed_point.h"
#include "inference/kernels/kernels.h"

static float finish_f32(float x, const struct float_epilogue *epilogue)
{
    x = x < 0 ? x * epilogue->slope : x;
    return x < epilogue->low ? epilogue->low : x > epilogue->high ? epilogue->high : x;
}

static uint8_t finish_8(int32_t sum, int64_t column, const struct byte_epilogue *epilogue)
{
    struct fixed_multiplier multiplier = {epilogue->multiplier[column], epilogue->shift[column]};
    int32_t x = fixed_add(fixed_multiply(sum, multiplier), epilogue->zero_point);
    return (uint8_t)(x < epilogue->low ? epilogue->low : x > epilogue->high ? epilogue->high : x);
}

enum { COLUMNS = 8, ROWS = 4 };

static void gemm_f32(int rows, int columns, int64_t taps, int64_t depth, const float *const *inputs, const float *panel, float *out,
                     int64_t out_stride, const struct float_epilogue *epilogue)
{
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < columns; c++) {
            float sum = panel[c];
            for (int64_t t = 0; t < taps; t++) {
                for (int64_t k = 0; k < depth; k++)
                    sum += inputs[t * KERNEL_ROWS_MAX + r][k] * panel[(1 + t * depth + k) * COLUMNS + c];
            }
            out[r * out_stride + c] = finish_f32(sum, epilogue);
        }
    }
}

static void gemm_8(int rows, int columns, int64_t taps, int64_t depth, uint8_t flip, const uint8_t *const *inputs, const int8_t *panel,
                   uint8_t *out, int64_t out_stride, const struct byte_epilogue *epilogue)
{
    const int32_t *bias = (const int32_t *)(const void *)panel;
    const int8_t *weights = panel + COLUMNS * sizeof *bias;
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < columns; c++) {
            int32_t sum = bias[c];
            for (int64_t t = 0; t < taps; t++) {
                for (int64_t k = 0; k < depth; k++)
                    sum = fixed_add(sum, (inputs[t * KERNEL_ROWS_MAX + r][k] ^ flip) * weights[(t * depth + k) * COLUMNS + c]);
            }
            out[r * out_stride + c] = finish_8(sum, c, epilogue);
        }
    }
}

static void depthwise_f32(int64_t pixels, int64_t channels, int64_t taps, int64_t step, const float *const *inputs, const float *weights,
                          const float *bias, float *out, const struct float_epilogue *epilogue)
{
    for (int64_t x = 0; x < pixels; x++) {
        for (int64_t c = 0; c < channels; c++) {
            float sum = bias[c];
            for (int64_t t = 0; t < taps; t++)
                sum += inputs[t][x * step + c] * weights[t * channels + c];
            out[x * channels + c] = finish_f32(sum, epilogue);
        }
    }
}

static void depthwise_8(int64_t pixels, int64_t channels, int64_t taps, int64_t step, bool is_signed, const uint8_t *const *inputs,
                        const int16_t *weights, const int32_t *bias, uint8_t *out, const struct byte_epilogue *epilogue)
{
    for (int64_t x = 0; x < pixels; x++) {
        for (int64_t c = 0; c < channels; c++) {
            int32_t sum = bias[c];
            for (int64_t t = 0; t < taps; t++) {
                uint8_t stored = inputs[t][x * step + c];
                sum = fixed_add(sum, (is_signed ? (int8_t)stored : stored) * weights[t * channels + c]);
            }
            out[x * channels + c] = finish_8(sum, c, epilogue);
        }
    }
}

const struct kernels kernels_scalar = {
    .name = "scalar", .rows = ROWS, .panel_columns = COLUMNS, .byte_rows = ROWS, .byte_columns = COLUMNS, .byte_depth = 1,
    .gemm_f32 = gemm_f32, .gemm_8 = gemm_8, .depthwise_f32 = depthwise_f32, .depthwise_8 = depthwise_8,
};
