/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/kernels/x86/bytes_avxvnni.h"
#include "inference/kernels/x86/tile_8_avx2.h"

#define BYTE_KERNELS_SYMBOL byte_kernels_avx2
#include "inference/kernels/vector_8.h"

const struct byte_kernels byte_kernels_avxvnni = BYTE_KERNELS_TABLE(AVXVNNI_DEPTH, gemm_8_avxvnni);
