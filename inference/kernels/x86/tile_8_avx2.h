/* SPDX-License-Identifier: Apache-2.0
 *
 * tile_8_avx2.h: the sums of vector_gemm_8.h for 256-bit vectors: tiles of 4 rows x 16 columns, eight accumulators.
 *
 * With AVX-VNNI vpdpbusd does four u8 x i8 at once. Without, bytes are widened to i16 and vpmaddwd does two: vpmaddubsw would saturate
 * (2 x 255 x 127 is beyond 16 bits). Rows are widened once for a panel, into a buffer of DEPTH_MAX inputs. */
#include "inference/kernels/bytes_plain.h"

#include <immintrin.h>
#include <string.h>

#define BYTE_TILE

#ifdef TILE_VNNI
enum { BYTE_ROWS = 4, BYTE_COLUMNS = 16, BYTE_DEPTH = 4 };
#else
enum { BYTE_ROWS = 4, BYTE_COLUMNS = 16, BYTE_DEPTH = 2, DEPTH_MAX = 512 };
#endif

struct tile_sums {
    __m256i v[BYTE_ROWS][2];
};

static inline __attribute__((always_inline)) __m256i load(const void *at)
{
    return _mm256_loadu_si256((const __m256i *)at);
}

static inline __attribute__((always_inline)) __m256i broadcast(const void *at)
{
    int32_t x;
    memcpy(&x, at, sizeof x);
    return _mm256_set1_epi32(x);
}

#ifdef TILE_VNNI
/* Inputs first .. of all rows by the weights of one tap. */
static inline __attribute__((always_inline)) const int8_t *add_tap(struct tile_sums *sums, const uint8_t *const *rows, int64_t depth, uint8_t flip,
                                                                   const int8_t *weights)
{
    __m256i flips = _mm256_set1_epi8((char)flip);
    for (int64_t k = 0; k < depth; k += 4, weights += 64) {
        __m256i w0 = load(weights), w1 = load(weights + 32);
#pragma GCC unroll 4
        for (int r = 0; r < BYTE_ROWS; r++) {
            __m256i x = _mm256_xor_si256(broadcast(rows[r] + k), flips);
            sums->v[r][0] = _mm256_dpbusd_avx_epi32(sums->v[r][0], x, w0);
            sums->v[r][1] = _mm256_dpbusd_avx_epi32(sums->v[r][1], x, w1);
        }
    }
    return weights;
}
#else
static inline __attribute__((always_inline)) void widen(const uint8_t *row, int64_t depth, uint8_t flip, int16_t *wide)
{
    __m128i flips = _mm_set1_epi8((char)flip);
    for (int64_t k = 0; k < depth; k += 16) { /* rows may be read, not used, behind their end */
        __m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)(row + k)), flips);
        _mm256_storeu_si256((__m256i *)(void *)(wide + k), _mm256_cvtepu8_epi16(x));
    }
}

static inline __attribute__((always_inline)) const int8_t *add_tap(struct tile_sums *sums, const uint8_t *const *rows, int64_t depth, uint8_t flip,
                                                                   const int8_t *weights)
{
    int16_t wide[BYTE_ROWS][DEPTH_MAX + 16];
    for (int64_t first = 0; first < depth; first += DEPTH_MAX) {
        int64_t part = depth - first < DEPTH_MAX ? depth - first : DEPTH_MAX;
        for (int r = 0; r < BYTE_ROWS; r++)
            widen(rows[r] + first, part, flip, wide[r]);
        for (int64_t k = 0; k < part; k += 2, weights += 32) {
            __m256i w0 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)weights));
            __m256i w1 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(weights + 16)));
#pragma GCC unroll 4
            for (int r = 0; r < BYTE_ROWS; r++) {
                __m256i x = broadcast(wide[r] + k);
                sums->v[r][0] = _mm256_add_epi32(sums->v[r][0], _mm256_madd_epi16(x, w0));
                sums->v[r][1] = _mm256_add_epi32(sums->v[r][1], _mm256_madd_epi16(x, w1));
            }
        }
    }
    return weights;
}
#endif

/* Rows that the tile lacks repeat its first: four rows cost what one costs. */
static inline __attribute__((always_inline)) void byte_tile_sums(const struct byte_tile *tile, int32_t sums[][BYTE_COLUMNS])
{
    struct tile_sums total;
    const int8_t *weights = (const int8_t *)tile->panel + BYTE_COLUMNS * PLAIN_HEADER_BYTES;
    for (int r = 0; r < BYTE_ROWS; r++) {
        total.v[r][0] = load(tile->panel);
        total.v[r][1] = load(tile->panel + 32);
    }
    for (int64_t t = 0; t < tile->taps; t++) {
        const uint8_t *rows[BYTE_ROWS];
        for (int r = 0; r < BYTE_ROWS; r++)
            rows[r] = tile->inputs[r < tile->rows ? r : 0] + tile->distances[t];
        weights = add_tap(&total, rows, tile->depth, (uint8_t)tile->flips, weights);
    }
    for (int r = 0; r < tile->rows; r++) {
        _mm256_storeu_si256((__m256i *)(void *)sums[r], total.v[r][0]);
        _mm256_storeu_si256((__m256i *)(void *)(sums[r] + 8), total.v[r][1]);
    }
}
