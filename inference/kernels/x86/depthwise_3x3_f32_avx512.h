/* SPDX-License-Identifier: Apache-2.0
 *
 * depthwise_3x3_f32_avx512.h: the functions of depthwise_3x3_f32_avx512.S as one. */
#ifndef EDDY_INFERENCE_DEPTHWISE_3X3_F32_AVX512_H
#define EDDY_INFERENCE_DEPTHWISE_3X3_F32_AVX512_H

#include "inference/kernels/kernels.h"

_Static_assert(offsetof(struct depthwise_3x3_f32, inputs) == 0 && offsetof(struct depthwise_3x3_f32, out) == 24 &&
                   offsetof(struct depthwise_3x3_f32, weights) == 32 && offsetof(struct depthwise_3x3_f32, bias) == 40 &&
                   offsetof(struct depthwise_3x3_f32, pixels) == 48 && offsetof(struct depthwise_3x3_f32, channels) == 56 &&
                   offsetof(struct depthwise_3x3_f32, left) == 64 && offsetof(struct depthwise_3x3_f32, right) == 68 &&
                   offsetof(struct depthwise_3x3_f32, epilogue) == 72,
               "what depthwise_3x3_f32_avx512.S reads");

void depthwise_3x3_1_avx512(const struct depthwise_3x3_f32 *job);
void depthwise_3x3_2_avx512(const struct depthwise_3x3_f32 *job);

static void depthwise_3x3_f32_avx512(const struct depthwise_3x3_f32 *job)
{
    if (job->stride == 1)
        depthwise_3x3_1_avx512(job);
    else
        depthwise_3x3_2_avx512(job);
}

#endif
