/* SPDX-License-Identifier: Apache-2.0
 *
 * AVX-VNNI: vpdpbusd on CPUs without AVX-512 (Alder Lake-N and its kin, the gateways of the coming years). */
#define TILE_VNNI
#include "inference/kernels/x86/tile_8_avx2.h"

#define BYTE_KERNELS_SYMBOL byte_kernels_avxvnni
#include "inference/kernels/vector_8.h"
