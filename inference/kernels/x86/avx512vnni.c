/* SPDX-License-Identifier: Apache-2.0
 *
 * AVX-512 with VNNI: floats as with AVX-512; bytes by vpdpbusd (bytes_avx512vnni.c). */
#include "inference/kernels/x86/depthwise_f32_avx512.h"
#include "inference/kernels/x86/gemm_f32_avx512.h"
#include "inference/kernels/x86/vector_avx512.h"

#define GEMM_F32 gemm_f32_avx512
#define DEPTHWISE_F32 depthwise_f32_avx512
#define VECTOR_FLOATS 16
#define VECTOR_ROWS 12
#define KERNELS_SYMBOL kernels_avx512vnni
#define KERNELS_NAME "avx512vnni"
#define BYTE_KERNELS byte_kernels_avx512vnni
#include "inference/kernels/vector.h"
