/* SPDX-License-Identifier: Apache-2.0
 *
 * vector_gemm_8.h: the 8-bit matrix product for any instruction set, in loops that gcc turns into vectors. */
#include "inference/kernels/vector_elements_8.h"

#include <string.h>

/* Sums wrap, as those of vector instructions do. */
INLINE_8 int32_t wrapping_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

enum { BYTE_ROWS = 4, BYTE_COLUMNS = 32, BYTE_DEPTH = 1 };

INLINE_8 void byte_tile_sums(const struct byte_tile *tile, int32_t sums[][BYTE_COLUMNS])
{
    const int32_t *bias = (const int32_t *)(const void *)tile->panel;
    uint8_t flip = (uint8_t)tile->flips;
    for (int r = 0; r < tile->rows; r++) {
        const int8_t *weights = (const int8_t *)tile->panel + BYTE_COLUMNS * PLAIN_HEADER_BYTES;
        memcpy(sums[r], bias, sizeof sums[r]);
        for (int64_t t = 0; t < tile->taps; t++) {
            const uint8_t *row = tile->inputs[r] + tile->distances[t];
            for (int64_t k = 0; k < tile->depth; k++, weights += BYTE_COLUMNS) {
                int16_t x = (int16_t)(row[k] ^ flip);
                for (int c = 0; c < BYTE_COLUMNS; c++)
                    sums[r][c] = wrapping_add(sums[r][c], (int16_t)(x * weights[c])); /* 255 * -128 fits */
            }
        }
    }
}

/* byte_result for a run of columns: (a * b + 2^30) >> 31 is gemmlowp's rounding for either sign. */
INLINE_8 void requantize_columns(const int32_t *sums, uint8_t *out, int64_t count, const struct byte_results *results, const int32_t *multiplier,
                                 const int32_t *shifts)
{
    for (int64_t c = 0; c < count; c++) {
        int32_t shift = shifts[c], left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
        int32_t shifted = (int32_t)((uint32_t)sums[c] << left);
        int32_t high = (int32_t)(((int64_t)shifted * multiplier[c] + (1ll << 30)) >> 31);
        int32_t mask = (int32_t)((1u << right) - 1u), remainder = high & mask, threshold = (mask >> 1) + (high < 0);
        int32_t x = (high >> right) + (remainder > threshold);
        x = x > 65535 ? 65535 : x < -65536 ? -65536 : x; /* beyond any range; the zero point cannot make it wrap */
        x += results->zero_point;
        x = x < results->low ? results->low : x;
        x = x > results->high ? results->high : x;
        out[c] = (uint8_t)x ^ results->out_flip;
    }
}

static void gemm_8(struct byte_tile *tile)
{
    _Alignas(64) int32_t sums[BYTE_ROWS][BYTE_COLUMNS];
    const int32_t *multiplier = (const int32_t *)(const void *)tile->panel + BYTE_COLUMNS;
    byte_tile_sums(tile, sums);
    for (int r = 0; r < tile->rows; r++) {
        uint8_t *out = tile->out + r * tile->out_stride;
        int32_t offset = tile->row_offsets != NULL ? tile->row_offsets[r] : 0;
        for (int c = 0; c < BYTE_COLUMNS; c++)
            sums[r][c] = wrapping_add(sums[r][c], offset);
        if (tile->columns == BYTE_COLUMNS)
            requantize_columns(sums[r], out, BYTE_COLUMNS, tile->results, multiplier, multiplier + BYTE_COLUMNS);
        else
            requantize_columns(sums[r], out, tile->columns, tile->results, multiplier, multiplier + BYTE_COLUMNS);
    }
}
