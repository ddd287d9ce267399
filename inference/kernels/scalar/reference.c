/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference: every kernel of floats as its definition reads. */
#include "inference/kernels/kernels.h"

static float finish_f32(float x, const struct float_epilogue *epilogue)
{
    x = x < 0 ? x * epilogue->slope : x;
    return x < epilogue->low ? epilogue->low : x > epilogue->high ? epilogue->high : x;
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

const struct kernels kernels_scalar = {
    .name = "scalar", .rows = ROWS, .panel_columns = COLUMNS, .bytes = &byte_kernels_scalar, .gemm_f32 = gemm_f32, .depthwise_f32 = depthwise_f32,
};
