/* SPDX-License-Identifier: Apache-2.0
 *
 * depthwise_f32_avx512.h: the functions of depthwise_f32_avx512.S over a run of pixels, for what depthwise_3x3_f32 does not do. Kernels wider
 * than five columns are left to vector_f32.h's depthwise_f32, which includes this. */
#ifndef EDDY_INFERENCE_DEPTHWISE_F32_AVX512_H
#define EDDY_INFERENCE_DEPTHWISE_F32_AVX512_H

#include "inference/kernels/kernels.h"

_Static_assert(offsetof(struct depthwise_f32, inputs) == 0 && offsetof(struct depthwise_f32, weights) == 8 && offsetof(struct depthwise_f32, bias) == 16 &&
                   offsetof(struct depthwise_f32, rows) == 32 && offsetof(struct depthwise_f32, channels) == 56 &&
                   offsetof(struct depthwise_f32, tap_step) == 72 && offsetof(struct depthwise_f32, weight_step) == 80 &&
                   offsetof(struct depthwise_f32, out_step) == 88 && offsetof(struct depthwise_f32, epilogue) == 96,
               "what depthwise_f32_avx512.S reads");

typedef void depthwise_f32_pixels(const struct depthwise_f32 *job, int64_t position, float *out);
depthwise_f32_pixels depthwise_f32_1x5x1_avx512, depthwise_f32_2x5x1_avx512, depthwise_f32_3x5x1_avx512, depthwise_f32_4x5x1_avx512,
    depthwise_f32_5x5x1_avx512, depthwise_f32_2x5x2_avx512, depthwise_f32_3x5x2_avx512, depthwise_f32_1x2x1_avx512, depthwise_f32_1x3x1_avx512,
    depthwise_f32_1x4x1_avx512;

/* False: not for this shape; nothing was done. */
static bool depthwise_f32_avx512(const struct depthwise_f32 *job)
{
    static const struct {
        int64_t columns, stride, most; /* stride 0: any; most: pixels at once */
        depthwise_f32_pixels *by_pixels[5];
    } shapes[] = {
        {5, 1, 5, {depthwise_f32_1x5x1_avx512, depthwise_f32_2x5x1_avx512, depthwise_f32_3x5x1_avx512, depthwise_f32_4x5x1_avx512,
                   depthwise_f32_5x5x1_avx512}},
        {5, 2, 3, {depthwise_f32_1x5x1_avx512, depthwise_f32_2x5x2_avx512, depthwise_f32_3x5x2_avx512}},
        {3, 0, 1, {depthwise_f32_1x3x1_avx512}}, {2, 0, 1, {depthwise_f32_1x2x1_avx512}}, {4, 0, 1, {depthwise_f32_1x4x1_avx512}},
        {5, 0, 1, {depthwise_f32_1x5x1_avx512}},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (shapes[i].columns != job->columns || (shapes[i].stride != 0 && shapes[i].stride * job->tap_step != job->step))
            continue;
        int64_t blocks = (job->pixels + shapes[i].most - 1) / shapes[i].most, x = 0;
        for (int64_t block = 0; block < blocks; block++) { /* of nearly equal size */
            int64_t pixels = (job->pixels - x + blocks - block - 1) / (blocks - block);
            shapes[i].by_pixels[pixels - 1](job, x * job->step, job->out + x * job->out_step);
            x += pixels;
        }
        return true;
    }
    return false;
}

#endif
