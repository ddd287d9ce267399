/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/kernels/x86/elementwise_8_avx512.h"
#include "inference/kernels/x86/tile_8_avx2.h"

#define ELEMENTWISE
#define BYTE_KERNELS_SYMBOL byte_kernels_avx512
#include "inference/kernels/vector_8.h"
