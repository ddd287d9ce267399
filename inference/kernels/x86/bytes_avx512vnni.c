/* SPDX-License-Identifier: Apache-2.0
 *
 * 8-bit kernels with AVX-512 VNNI: the matrix product (gemm_8_avx512vnni.S, which also explains requantisation and the header of 16
 * columns), copies and sums. Depthwise is in depthwise_8_avx512vnni.c. */
#include "inference/kernels/x86/bytes_avx512vnni.h"

#include "inference/kernels/fixed_point.h"
#include "inference/kernels/x86/elementwise_8_avx512.h"

#include <immintrin.h>
#include <string.h>

enum { ROWS = 12, WIDE = 32, NARROW = 16, DEPTH = 4 };

_Static_assert(offsetof(struct byte_tile, inputs) == 0 && offsetof(struct byte_tile, taps) == 8 && offsetof(struct byte_tile, depth) == 16 &&
               offsetof(struct byte_tile, panel) == 24 && offsetof(struct byte_tile, out) == 32 && offsetof(struct byte_tile, out_stride) == 40 &&
               offsetof(struct byte_tile, row_offsets) == 48 && offsetof(struct byte_tile, sums) == 56 && offsetof(struct byte_tile, mask) == 64 &&
               offsetof(struct byte_tile, flips) == 72 && offsetof(struct byte_tile, lows) == 76 && offsetof(struct byte_tile, highs) == 80 &&
               offsetof(struct byte_tile, out_flips) == 84 && offsetof(struct byte_tile, positive) == 88 && offsetof(struct byte_tile, distances) == 96 &&
               offsetof(struct byte_tile, panels) == 116,
               "the offsets in gemm_8_avx512vnni.S");

typedef void tile_function(struct byte_tile *tile);
tile_function gemm_8_1x32_avx512vnni, gemm_8_2x32_avx512vnni, gemm_8_3x32_avx512vnni, gemm_8_4x32_avx512vnni, gemm_8_5x32_avx512vnni,
    gemm_8_6x32_avx512vnni, gemm_8_7x32_avx512vnni, gemm_8_8x32_avx512vnni, gemm_8_9x32_avx512vnni, gemm_8_10x32_avx512vnni,
    gemm_8_11x32_avx512vnni, gemm_8_12x32_avx512vnni;
tile_function gemm_8_1x16_avx512vnni, gemm_8_2x16_avx512vnni, gemm_8_3x16_avx512vnni, gemm_8_4x16_avx512vnni, gemm_8_5x16_avx512vnni,
    gemm_8_6x16_avx512vnni, gemm_8_7x16_avx512vnni, gemm_8_8x16_avx512vnni, gemm_8_9x16_avx512vnni, gemm_8_10x16_avx512vnni,
    gemm_8_11x16_avx512vnni, gemm_8_12x16_avx512vnni;

static tile_function *const wide[ROWS + 1] = {
    NULL, gemm_8_1x32_avx512vnni, gemm_8_2x32_avx512vnni, gemm_8_3x32_avx512vnni, gemm_8_4x32_avx512vnni, gemm_8_5x32_avx512vnni,
    gemm_8_6x32_avx512vnni, gemm_8_7x32_avx512vnni, gemm_8_8x32_avx512vnni, gemm_8_9x32_avx512vnni, gemm_8_10x32_avx512vnni,
    gemm_8_11x32_avx512vnni, gemm_8_12x32_avx512vnni,
};
static tile_function *const narrow[ROWS + 1] = {
    NULL, gemm_8_1x16_avx512vnni, gemm_8_2x16_avx512vnni, gemm_8_3x16_avx512vnni, gemm_8_4x16_avx512vnni, gemm_8_5x16_avx512vnni,
    gemm_8_6x16_avx512vnni, gemm_8_7x16_avx512vnni, gemm_8_8x16_avx512vnni, gemm_8_9x16_avx512vnni, gemm_8_10x16_avx512vnni,
    gemm_8_11x16_avx512vnni, gemm_8_12x16_avx512vnni,
};

static int place(int width, int column)
{
    return width == NARROW ? column : column / 8 * 4 + column % 4 + column % 8 / 4 * 16;
}

static void pack_header(char *panel, int width, const struct byte_columns *columns)
{
    for (int c = 0; c < columns->count; c++) {
        int at = place(width, c);
        byte_header_write((struct byte_header *)(void *)panel + at / 16, at % 16, columns->bias[c], columns->multiplier[c], columns->shift[c],
                          columns->zero_point);
    }
}

static void gemm_exact(struct byte_tile *tile, tile_function *run)
{
    _Alignas(64) int32_t sums[ROWS][WIDE];
    tile->sums = sums[0];
    run(tile);
    tile->sums = NULL;
    for (int r = 0; r < tile->rows; r++) {
        for (int c = 0; c < tile->columns; c++) {
            int32_t sum = (int32_t)((uint32_t)sums[r][place(tile->width, c)] - BYTE_BIAS);
            tile->out[r * tile->out_stride + c] = byte_result(tile->results, tile->first_column + c, sum);
        }
    }
}

static void gemm(struct byte_tile *tile)
{
    tile_function *run = tile->width == WIDE ? wide[tile->rows] : narrow[tile->rows];
    tile->mask = (1ull << tile->columns) - 1;
    if (tile->results->exact)
        gemm_exact(tile, run);
    else
        run(tile);
}

/* Every second pixel of 8, 16 or 32 bytes, as many as there are whole vectors of them; how many. */
static int64_t copy_alternate(uint8_t *target, const uint8_t *source, int64_t pixels, int64_t bytes, __m512i flips)
{
    static const int64_t orders[3][8] = {{0, 2, 4, 6, 8, 10, 12, 14}, {0, 1, 4, 5, 8, 9, 12, 13}, {0, 1, 2, 3, 8, 9, 10, 11}};
    __m512i places = _mm512_loadu_si512(orders[bytes / 16]);
    int64_t each = 64 / bytes, p = 0;
    for (; p + each <= pixels; p += each, target += 64, source += 128) {
        __m512i both = _mm512_permutex2var_epi64(_mm512_loadu_si512(source), places, _mm512_loadu_si512(source + 64));
        _mm512_storeu_si512(target, _mm512_xor_si512(both, flips));
    }
    return p;
}

/* Whole vectors as long as what they write too much belongs to pixels that are still to come; only the last pixels end exactly. */
static void copy(uint8_t *target, const uint8_t *source, int64_t pixels, int64_t bytes, int64_t step, uint8_t flip)
{
    __m512i flips = _mm512_set1_epi8((char)flip);
    __mmask64 rest = (1ull << (bytes % 64)) - 1;
    int64_t p = 0, whole = (bytes + 63) / 64 * 64, last_whole = bytes > 0 ? pixels - (whole - 1) / bytes : 0;
    if (step == 2 * bytes && (bytes == 8 || bytes == 16 || bytes == 32)) {
        p = copy_alternate(target, source, pixels, bytes, flips);
        target += p * bytes;
        source += p * step;
    }
    for (; p < last_whole; p++, target += bytes, source += step) {
        for (int64_t i = 0; i < bytes; i += 64)
            _mm512_storeu_si512(target + i, _mm512_xor_si512(_mm512_loadu_si512(source + i), flips));
    }
    for (; p < pixels; p++, target += bytes, source += step) {
        int64_t i = 0;
        for (; i + 64 <= bytes; i += 64)
            _mm512_storeu_si512(target + i, _mm512_xor_si512(_mm512_loadu_si512(source + i), flips));
        if (rest != 0)
            _mm512_mask_storeu_epi8(target + i, rest, _mm512_xor_si512(_mm512_maskz_loadu_epi8(rest, source + i), flips));
    }
}

static void sum_rows(const uint8_t *const *inputs, int rows, const int64_t *distances, int64_t taps, int64_t depth, uint8_t flip, int32_t factor,
                     int32_t *sums)
{
    __m512i flips = _mm512_set1_epi8((char)flip), zero = _mm512_setzero_si512();
    __mmask64 rest = (1ull << (depth % 64)) - 1;
    for (int r = 0; r < rows; r++) {
        __m512i total = zero;
        for (int64_t t = 0; t < taps; t++) {
            const uint8_t *row = inputs[r] + distances[t];
            int64_t k = 0;
            for (; k + 64 <= depth; k += 64)
                total = _mm512_add_epi64(total, _mm512_sad_epu8(_mm512_xor_si512(_mm512_loadu_si512(row + k), flips), zero));
            __m512i last = _mm512_maskz_mov_epi8(rest, _mm512_xor_si512(_mm512_maskz_loadu_epi8(rest, row + k), flips));
            total = _mm512_add_epi64(total, _mm512_sad_epu8(last, zero));
        }
        sums[r] = (int32_t)((uint32_t)factor * (uint32_t)_mm512_reduce_add_epi64(total));
    }
}

const struct byte_kernels byte_kernels_avx512vnni = {
    .rows = ROWS, .columns = WIDE, .narrow_columns = NARROW, .depth = DEPTH, .row_of_panels = true, .header_bytes = sizeof(struct byte_header) / 16,
    .pack_header = pack_header, .place = place, .gemm = gemm, .depthwise_bytes = vnni_depthwise_bytes, .pack_depthwise = vnni_pack_depthwise,
    .depthwise = vnni_depthwise, .copy = copy, .sum_rows = sum_rows,
    .window_max = avx512_window_max, .window_sum = avx512_window_sum, .interleave = avx512_interleave, .add = avx512_add, .adds_linear = true,
};
