/* SPDX-License-Identifier: Apache-2.0
 *
 * AVX-512 with VNNI: floats as with AVX-512; bytes by vpdpbusd (bytes_avx512vnni.c). */
#define VECTOR_FLOATS 16
#define VECTOR_ROWS 12
#define KERNELS_SYMBOL kernels_avx512vnni
#define KERNELS_NAME "avx512vnni"
#define BYTE_KERNELS byte_kernels_avx512vnni
#include "inference/kernels/vector.h"
