/* SPDX-License-Identifier: Apache-2.0
 *
 * narrow_f32_avx512.h: the functions of narrow_f32_avx512.S behind the one that struct kernels wants. */
#ifndef EDDY_INFERENCE_NARROW_F32_AVX512_H
#define EDDY_INFERENCE_NARROW_F32_AVX512_H

#include "inference/kernels/kernels.h"

_Static_assert(offsetof(struct narrow_f32, input) == 0 && offsetof(struct narrow_f32, distances) == 8 && offsetof(struct narrow_f32, panel) == 16 &&
                   offsetof(struct narrow_f32, out) == 24 && offsetof(struct narrow_f32, taps) == 32 && offsetof(struct narrow_f32, depth) == 40 &&
                   offsetof(struct narrow_f32, rows) == 48 && offsetof(struct narrow_f32, in_stride) == 56 &&
                   offsetof(struct narrow_f32, out_stride) == 64 && offsetof(struct narrow_f32, epilogue) == 72 &&
                   offsetof(struct narrow_f32, columns) == 84 && offsetof(struct narrow_f32, residual) == 88 && NARROW_ROWS_MIN == 8,
               "what narrow_f32_avx512.S reads");

void narrow_f32_1_avx512(const struct narrow_f32 *job), narrow_f32_2_avx512(const struct narrow_f32 *job);

static void narrow_f32_avx512(const struct narrow_f32 *job)
{
    (narrow_together(16, job->columns) == 2 ? narrow_f32_2_avx512 : narrow_f32_1_avx512)(job);
}

#endif
