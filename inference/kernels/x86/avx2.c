/* SPDX-License-Identifier: Apache-2.0
 *
 * AVX2 and FMA: 16 registers of 8 floats; a tile of 6 x 16. */
#define VECTOR_FLOATS 8
#define VECTOR_ROWS 6
#define KERNELS_SYMBOL kernels_avx2
#define KERNELS_NAME "avx2"
#define BYTE_KERNELS byte_kernels_avx2
#include "inference/kernels/vector.h"
