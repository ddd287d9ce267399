/* SPDX-License-Identifier: Apache-2.0
 *
 * AVX-512 with VNNI: vpdpbusd multiplies four u8 with four i8 and adds them to an i32. Four inputs of a row are broadcast, 16 columns of
 * four weights each are one register; a tile of 8 x 32 keeps 16 accumulators, which gcc 12 does not spill (12 x 32 it does). */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define VECTOR_FLOATS 16
#define VECTOR_ROWS 12
#define KERNELS_SYMBOL kernels_avx512vnni
#define KERNELS_NAME "avx512vnni"
#define BYTE_TILE

enum { BYTE_ROWS = 8, BYTE_COLUMNS = 32, BYTE_DEPTH = 4 };

#define ROWS_MAX 16 /* KERNEL_ROWS_MAX, checked below */

static inline __attribute__((always_inline)) void byte_rows(const int rows, int64_t taps, int64_t depth, uint8_t flip,
                                                           const uint8_t *const *inputs, const int8_t *panel, int32_t sums[][BYTE_COLUMNS])
{
    __m512i total[BYTE_ROWS][2];
    const __m512i flips = _mm512_set1_epi8((char)flip);
    for (int r = 0; r < rows; r++) {
        total[r][0] = _mm512_loadu_si512(panel);
        total[r][1] = _mm512_loadu_si512(panel + 64);
    }
    const int8_t *weights = panel + BYTE_COLUMNS * sizeof(int32_t);
    for (int64_t t = 0; t < taps; t++) {
        const uint8_t *row[BYTE_ROWS];
        for (int r = 0; r < rows; r++)
            row[r] = inputs[t * ROWS_MAX + r];
        for (int64_t k = 0; k < depth; k += BYTE_DEPTH, weights += BYTE_COLUMNS * BYTE_DEPTH) {
            __m512i w0 = _mm512_loadu_si512(weights), w1 = _mm512_loadu_si512(weights + 64);
            for (int r = 0; r < rows; r++) {
                int32_t four;
                memcpy(&four, row[r] + k, sizeof four); /* beyond depth the weights are zero */
                __m512i x = _mm512_xor_si512(_mm512_set1_epi32(four), flips);
                total[r][0] = _mm512_dpbusd_epi32(total[r][0], x, w0);
                total[r][1] = _mm512_dpbusd_epi32(total[r][1], x, w1);
            }
        }
    }
    for (int r = 0; r < rows; r++) {
        _mm512_store_si512(sums[r], total[r][0]);
        _mm512_store_si512(sums[r] + 16, total[r][1]);
    }
}

static inline __attribute__((always_inline)) void byte_tile(int rows, int64_t taps, int64_t depth, uint8_t flip, const uint8_t *const *inputs,
                                                            const int8_t *panel, int32_t sums[][BYTE_COLUMNS])
{
    switch (rows) {
    case 1: byte_rows(1, taps, depth, flip, inputs, panel, sums); break;
    case 2: byte_rows(2, taps, depth, flip, inputs, panel, sums); break;
    case 3: byte_rows(3, taps, depth, flip, inputs, panel, sums); break;
    case 4: byte_rows(4, taps, depth, flip, inputs, panel, sums); break;
    case 5: byte_rows(5, taps, depth, flip, inputs, panel, sums); break;
    case 6: byte_rows(6, taps, depth, flip, inputs, panel, sums); break;
    case 7: byte_rows(7, taps, depth, flip, inputs, panel, sums); break;
    default: byte_rows(8, taps, depth, flip, inputs, panel, sums); break;
    }
}

#include "inference/kernels/vector.h"

_Static_assert(ROWS_MAX == KERNEL_ROWS_MAX, "the stride of the pointer table");
