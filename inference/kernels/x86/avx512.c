/* SPDX-License-Identifier: Apache-2.0
 *
 * AVX-512 (F, BW, DQ, VL) without VNNI: 32 registers of 16 floats; a tile of 12 x 32. */
#define VECTOR_FLOATS 16
#define VECTOR_ROWS 12
#define KERNELS_SYMBOL kernels_avx512
#define KERNELS_NAME "avx512"
#define BYTE_KERNELS byte_kernels_avx512
#include "inference/kernels/vector.h"
