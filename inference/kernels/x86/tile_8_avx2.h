/* SPDX-License-Identifier: Apache-2.0
 *
 * tile_8_avx2.h: bytes.h's matrix product with 256-bit vectors: tiles of 4 (6) rows x 16 columns, 8 (12) accumulators.
 *
 * With AVX-VNNI vpdpbusd does four u8 x i8 at once. Without, bytes are widened to i16 and vpmaddwd does two: vpmaddubsw would saturate
 * (2 x 255 x 127 is beyond 16 bits). Rows are widened once for a panel, into a buffer of DEPTH_MAX inputs. */
#include "inference/kernels/x86/requantize_avx2.h"

#include <string.h>

#ifdef TILE_VNNI
enum { BYTE_ROWS = 6, BYTE_COLUMNS = 16, BYTE_DEPTH = 4 };
#else
enum { BYTE_ROWS = 4, BYTE_COLUMNS = 16, BYTE_DEPTH = 2, DEPTH_MAX = 512 };
#endif

struct tile_sums {
    __m256i v[BYTE_ROWS][2];
};

INLINE_AVX2 __m256i broadcast(const void *at)
{
    int32_t x;
    memcpy(&x, at, sizeof x);
    return _mm256_set1_epi32(x);
}

#ifdef TILE_VNNI
/* Inputs first .. of all rows by the weights of one tap. */
INLINE_AVX2 const int8_t *add_tap(struct tile_sums *sums, const int count, const uint8_t *const *rows, int64_t depth, uint8_t flip,
                                  const int8_t *weights)
{
    __m256i flips = _mm256_set1_epi8((char)flip);
    for (int64_t k = 0; k < depth; k += 4, weights += 64) {
        __m256i w0 = load(weights), w1 = load(weights + 32);
#pragma GCC unroll 6
        for (int r = 0; r < count; r++) {
            __m256i x = _mm256_xor_si256(broadcast(rows[r] + k), flips);
            sums->v[r][0] = _mm256_dpbusd_avx_epi32(sums->v[r][0], x, w0);
            sums->v[r][1] = _mm256_dpbusd_avx_epi32(sums->v[r][1], x, w1);
        }
    }
    return weights;
}
#else
INLINE_AVX2 void widen(const uint8_t *row, int64_t depth, uint8_t flip, int16_t *wide)
{
    __m128i flips = _mm_set1_epi8((char)flip);
    for (int64_t k = 0; k < depth; k += 16) { /* rows may be read, not used, behind their end */
        __m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)(row + k)), flips);
        _mm256_storeu_si256((__m256i *)(void *)(wide + k), _mm256_cvtepu8_epi16(x));
    }
}

INLINE_AVX2 const int8_t *add_tap(struct tile_sums *sums, const int count, const uint8_t *const *rows, int64_t depth, uint8_t flip,
                                  const int8_t *weights)
{
    int16_t wide[BYTE_ROWS][DEPTH_MAX + 16];
    for (int64_t first = 0; first < depth; first += DEPTH_MAX) {
        int64_t part = depth - first < DEPTH_MAX ? depth - first : DEPTH_MAX;
        for (int r = 0; r < count; r++)
            widen(rows[r] + first, part, flip, wide[r]);
        for (int64_t k = 0; k < part; k += 2, weights += 32) {
            __m256i w0 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)weights));
            __m256i w1 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(weights + 16)));
#pragma GCC unroll 4
            for (int r = 0; r < count; r++) {
                __m256i x = broadcast(wide[r] + k);
                sums->v[r][0] = _mm256_add_epi32(sums->v[r][0], _mm256_madd_epi16(x, w0));
                sums->v[r][1] = _mm256_add_epi32(sums->v[r][1], _mm256_madd_epi16(x, w1));
            }
        }
    }
    return weights;
}
#endif

/* Rows that the tile lacks up to `count` repeat its first. */
INLINE_AVX2 void sum_tile(const struct byte_tile *tile, const int count, struct tile_sums *total)
{
    const struct byte_header *header = (const struct byte_header *)(const void *)tile->panel;
    const int8_t *weights = (const int8_t *)(header + 1);
    for (int r = 0; r < count; r++) {
        __m256i offset = _mm256_set1_epi32(tile->row_offsets != NULL && r < tile->rows ? tile->row_offsets[r] : 0);
        total->v[r][0] = _mm256_add_epi32(load(header->bias), offset);
        total->v[r][1] = _mm256_add_epi32(load(header->bias + 8), offset);
    }
    for (int64_t t = 0; t < tile->taps; t++) {
        const uint8_t *rows[BYTE_ROWS];
        for (int r = 0; r < count; r++)
            rows[r] = tile->inputs[r < tile->rows ? r : 0] + tile->distances[t];
        weights = add_tap(total, count, rows, tile->depth, (uint8_t)tile->flips, weights);
    }
}

/* Rows of 16 bytes; of the last panel, fewer. */
INLINE_AVX2 void store_row(const struct byte_tile *tile, int row, __m128i bytes)
{
    uint8_t *out = tile->out + row * tile->out_stride, all[BYTE_COLUMNS];
    if (row >= tile->rows)
        return;
    if (tile->columns == BYTE_COLUMNS) {
        _mm_storeu_si128((__m128i *)(void *)out, bytes);
        return;
    }
    _mm_storeu_si128((__m128i *)(void *)all, bytes);
    memcpy(out, all, (size_t)tile->columns);
}

INLINE_AVX2 void finish_tile(const struct byte_tile *tile, const int count, struct tile_sums *sums, const bool positive)
{
    const struct byte_header *header = (const struct byte_header *)(const void *)tile->panel;
    const struct finish finish = finish_of(tile->results);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7); /* packs work within 128-bit lanes */
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
#pragma GCC unroll 6
        for (int r = 0; r < count; r++)
            sums->v[r][half] = requantize(sums->v[r][half], header, half, positive);
    }
#pragma GCC unroll 3
    for (int r = 0; r < count; r += 2) {
        int other = r + 1 < count ? r + 1 : r;
        __m256i words = _mm256_packs_epi32(sums->v[r][0], sums->v[r][1]), more = _mm256_packs_epi32(sums->v[other][0], sums->v[other][1]);
        __m256i bytes = finish_bytes(_mm256_permutevar8x32_epi32(_mm256_packus_epi16(words, more), order), &finish);
        store_row(tile, r, _mm256_castsi256_si128(bytes));
        if (other > r)
            store_row(tile, other, _mm256_extracti128_si256(bytes, 1));
    }
}

static void finish_exactly(const struct byte_tile *tile, const struct tile_sums *sums)
{
    uint32_t stored[BYTE_COLUMNS];
    for (int r = 0; r < tile->rows; r++) {
        memcpy(stored, sums->v[r], sizeof stored);
        for (int c = 0; c < tile->columns; c++)
            tile->out[r * tile->out_stride + c] = byte_result(tile->results, tile->first_column + c, (int32_t)(stored[c] - BYTE_BIAS));
    }
}

INLINE_AVX2 void gemm_rows(const struct byte_tile *tile, const int count)
{
    struct tile_sums sums;
    sum_tile(tile, count, &sums);
    if (tile->results->exact)
        finish_exactly(tile, &sums);
    else if (tile->results->positive && count > 1)
        finish_tile(tile, count, &sums, true);
    else
        finish_tile(tile, count, &sums, false);
}

static void gemm_tile(const struct byte_tile *tile)
{
    if (tile->rows == 1)
        gemm_rows(tile, 1);
    else
        gemm_rows(tile, BYTE_ROWS);
}
