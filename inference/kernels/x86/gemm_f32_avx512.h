/* SPDX-License-Identifier: Apache-2.0
 *
 * gemm_f32_avx512.h: the tiles of gemm_f32_avx512.S behind the one function that struct kernels wants. */
#ifndef EDDY_INFERENCE_GEMM_F32_AVX512_H
#define EDDY_INFERENCE_GEMM_F32_AVX512_H

#include "inference/kernels/kernels.h"

_Static_assert(offsetof(struct gemm_f32, inputs) == 0 && offsetof(struct gemm_f32, panel) == 8 && offsetof(struct gemm_f32, out) == 16 &&
                   offsetof(struct gemm_f32, residual) == 24 && offsetof(struct gemm_f32, taps) == 32 && offsetof(struct gemm_f32, depth) == 40 &&
                   offsetof(struct gemm_f32, out_stride) == 48 && offsetof(struct gemm_f32, epilogue) == 56 &&
                   offsetof(struct float_epilogue, high) == 4 && offsetof(struct float_epilogue, slope) == 8 &&
                   offsetof(struct gemm_f32, columns) == 68 && KERNEL_ROWS_MAX == 16,
               "what gemm_f32_avx512.S reads");

#define EACH_TILE(DO) \
    DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)

#define DECLARE(rows) void gemm_f32_##rows##x1_avx512(const struct gemm_f32 *gemm), gemm_f32_##rows##x2_avx512(const struct gemm_f32 *gemm);
EACH_TILE(DECLARE)
#undef DECLARE

static void gemm_f32_avx512(int rows, const struct gemm_f32 *gemm)
{
#define BOTH(rows) {gemm_f32_##rows##x1_avx512, gemm_f32_##rows##x2_avx512},
    static void (*const tiles[][2])(const struct gemm_f32 *) = {EACH_TILE(BOTH)};
#undef BOTH
    tiles[rows - 1][gemm->columns > 16](gemm);
}

#undef EACH_TILE
#endif
