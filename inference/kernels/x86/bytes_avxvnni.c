/* SPDX-License-Identifier: Apache-2.0
 *
 * AVX-VNNI: vpdpbusd on CPUs without AVX-512 (Alder Lake-N and its kin, the gateways of the coming years). The rest is AVX2's. */
#include "inference/kernels/x86/bytes_avx2.h"

#define TILE_VNNI
#include "inference/kernels/x86/tile_8_avx2.h"

_Static_assert((int)BYTE_DEPTH == (int)AVXVNNI_DEPTH && (int)BYTE_ROWS == (int)AVXVNNI_ROWS, "the table in bytes_avx2.c says it");

void gemm_8_avxvnni(struct byte_tile *tile)
{
    gemm_tile(tile);
}
