/* SPDX-License-Identifier: Apache-2.0
 *
 * AVX-512 (F, BW, DQ, VL): 32 registers of 16 floats; a tile of 12 x 32. */
#include "inference/kernels/x86/depthwise_3x3_f32_avx512.h"
#include "inference/kernels/x86/depthwise_f32_avx512.h"
#include "inference/kernels/x86/gemm_f32_avx512.h"
#include "inference/kernels/x86/narrow_f32_avx512.h"
#include "inference/kernels/x86/vector_avx512.h"

#define GEMM_F32 gemm_f32_avx512
#define NARROW_F32 .narrow_columns = 16, .narrow_f32 = narrow_f32_avx512,
#define DEPTHWISE_F32 depthwise_f32_avx512
#define DEPTHWISE_3X3_F32 .depthwise_3x3_f32 = depthwise_3x3_f32_avx512,
#define VECTOR_FLOATS 16
#define VECTOR_ROWS 12
#define KERNELS_SYMBOL kernels_avx512
#define KERNELS_NAME "avx512"
#define BYTE_KERNELS byte_kernels_avx2 /* without VNNI wider vectors bring bytes little */
#include "inference/kernels/vector.h"

/* The same but for the bytes. */
const struct kernels kernels_avx512vnni = KERNELS_TABLE("avx512vnni", &byte_kernels_avx512vnni);
