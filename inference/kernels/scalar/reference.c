/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference: every kernel of floats as its definition reads. */
#include "inference/kernels/kernels.h"
#include "inference/kernels/winograd.h"

#include <math.h>

static float finish_f32(float x, const struct float_epilogue *epilogue)
{
    x = x < 0 ? x * epilogue->slope : x;
    return x < epilogue->low ? epilogue->low : x > epilogue->high ? epilogue->high : x;
}

enum { COLUMNS = 8, ROWS = 4 };

static void gemm_f32(int rows, const struct gemm_f32 *gemm)
{
    int64_t width = panel_width(COLUMNS, gemm->columns);
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < gemm->columns; c++) {
            float sum = gemm->panel[c];
            for (int64_t t = 0; t < gemm->taps; t++) {
                for (int64_t k = 0; k < gemm->depth; k++)
                    sum += gemm->inputs[t * KERNEL_ROWS_MAX + r][k] * gemm->panel[(1 + t * gemm->depth + k) * width + c];
            }
            if (gemm->residual != NULL)
                sum += gemm->residual[r * gemm->out_stride + c];
            gemm->out[r * gemm->out_stride + c] = finish_f32(sum, &gemm->epilogue);
        }
    }
}

static void depthwise_f32(const struct depthwise_f32 *depthwise)
{
    for (int64_t x = 0; x < depthwise->pixels; x++) {
        for (int64_t c = 0; c < depthwise->channels; c++) {
            float sum = depthwise->bias[c];
            for (int64_t r = 0; r < depthwise->rows; r++) {
                for (int64_t k = 0; k < depthwise->columns; k++)
                    sum += depthwise->inputs[r][x * depthwise->step + k * depthwise->tap_step + c] * depthwise->weights[r][k * depthwise->weight_step + c];
            }
            depthwise->out[x * depthwise->out_step + c] = finish_f32(sum, &depthwise->epilogue);
        }
    }
}

static void winograd_input(const struct winograd_input *job)
{
    const struct winograd_matrices *matrices = winograd_matrices(job->tile);
    int n = job->tile + 2;
    for (int64_t c = 0; c < job->channels; c++) {
        for (int y = 0; y < n; y++) {
            for (int x = 0; x < n; x++) {
                float sum = 0;
                for (int i = 0; i < n * n; i++)
                    sum += matrices->input[y][i / n] * job->inputs[i][c] * matrices->input[x][i % n];
                job->out[(y * n + x) * job->out_stride + c] = sum;
            }
        }
    }
}

static void winograd_output(const struct winograd_output *job)
{
    const struct winograd_matrices *matrices = winograd_matrices(job->tile);
    int n = job->tile + 2;
    for (int64_t c = 0; c < job->channels; c++) {
        for (int i = 0; i < job->tile * job->tile; i++) {
            float sum = job->bias[c] + (job->residuals != NULL ? job->residuals[i][c] : 0);
            for (int k = 0; k < n * n; k++)
                sum += matrices->output[i / job->tile][k / n] * job->inputs[k * job->in_stride + c] * matrices->output[i % job->tile][k % n];
            job->outputs[i][c] = finish_f32(sum, &job->epilogue);
        }
    }
}

static void interleave_f32(int rows, int64_t count, const float *from, int64_t stride, float *to)
{
    for (int64_t i = 0; i < count; i++) {
        for (int r = 0; r < rows; r++)
            to[i * rows + r] = from[r * stride + i];
    }
}

static float limit(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

static void max_f32(int64_t count, int64_t channels, const float *const *inputs, float low, float high, float *to)
{
    for (int64_t c = 0; c < channels; c++) {
        float most = inputs[0][c];
        for (int64_t i = 1; i < count; i++)
            most = inputs[i][c] > most ? inputs[i][c] : most;
        to[c] = limit(most, low, high);
    }
}

static void sum_f32(int64_t count, int64_t channels, const float *const *inputs, float factor, float low, float high, float *to)
{
    for (int64_t c = 0; c < channels; c++) {
        float sum = 0;
        for (int64_t i = 0; i < count; i++)
            sum += inputs[i][c];
        to[c] = limit(sum * factor, low, high);
    }
}

static void add_f32(int64_t count, const float *a, const float *b, float low, float high, float *to)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = limit(a[i] + b[i], low, high);
}

static void sigmoid_f32(int64_t count, const float *from, float *to)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = 1 / (1 + expf(-from[i]));
}

static void exp_f32(int64_t count, const float *from, float *to)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = expf(from[i]);
}

const struct kernels kernels_scalar = {
    .name = "scalar", .rows = ROWS, .panel_columns = COLUMNS, .bytes = &byte_kernels_scalar, .gemm_f32 = gemm_f32, .depthwise_f32 = depthwise_f32,
    .winograd_input = winograd_input, .winograd_output = winograd_output, .interleave_f32 = interleave_f32,
    .max_f32 = max_f32, .sum_f32 = sum_f32, .add_f32 = add_f32, .sigmoid_f32 = sigmoid_f32, .exp_f32 = exp_f32,
};
