/* SPDX-License-Identifier: Apache-2.0 */
#define BYTE_KERNELS_SYMBOL byte_kernels_avx512
#include "inference/kernels/vector_8.h"
