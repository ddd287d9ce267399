/* SPDX-License-Identifier: Apache-2.0
 *
 * NEON: 32 registers of 4 floats; a tile of 8 x 8. */
#define VECTOR_FLOATS 4
#define VECTOR_ROWS 8
#define KERNELS_SYMBOL kernels_neon
#define KERNELS_NAME "neon"
#define BYTE_KERNELS byte_kernels_neon
#include "inference/kernels/vector.h"
