/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/kernels/x86/elementwise_8_avx512.h"

#include "inference/kernels/x86/interleave_8_x86.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

static __mmask64 rest_mask(int64_t left)
{
    return left >= 64 ? ~0ull : (1ull << left) - 1;
}

void avx512_window_max(const uint8_t *first, const int64_t *distances, int64_t count, int64_t pixels, int64_t step, int64_t channels, uint8_t flip,
                       uint8_t *out)
{
    __m512i flips = _mm512_set1_epi8((char)flip);
    for (int64_t c = 0; c < channels; c += 64) {
        __mmask64 mask = rest_mask(channels - c);
        for (int64_t p = 0; p < pixels; p++) {
            const uint8_t *pixel = first + p * step + c;
            __m512i largest = _mm512_setzero_si512();
            for (int64_t n = 0; n < count; n++)
                largest = _mm512_max_epu8(largest, _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, pixel + distances[n]), flips));
            _mm512_mask_storeu_epi8(out + p * channels + c, mask, _mm512_xor_si512(largest, flips));
        }
    }
}

/* Sums of up to 256 pixels fit 16 bits. */
INLINE void sum_block(const uint8_t *pixel, const int64_t *distances, int64_t count, __mmask64 mask, __m512i flips, __m512i sums[4])
{
    __m512i low = _mm512_setzero_si512(), high = low;
    for (int64_t n = 0; n < count; n++) {
        __m512i x = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, pixel + distances[n]), flips);
        low = _mm512_add_epi16(low, _mm512_cvtepu8_epi16(_mm512_castsi512_si256(x)));
        high = _mm512_add_epi16(high, _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(x, 1)));
    }
    sums[0] = _mm512_add_epi32(sums[0], _mm512_cvtepu16_epi32(_mm512_castsi512_si256(low)));
    sums[1] = _mm512_add_epi32(sums[1], _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(low, 1)));
    sums[2] = _mm512_add_epi32(sums[2], _mm512_cvtepu16_epi32(_mm512_castsi512_si256(high)));
    sums[3] = _mm512_add_epi32(sums[3], _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(high, 1)));
}

void avx512_window_sum(const uint8_t *first, const int64_t *distances, int64_t count, int64_t channels, uint8_t flip, int32_t *sums)
{
    __m512i flips = _mm512_set1_epi8((char)flip);
    for (int64_t c = 0; c < channels; c += 64) {
        __mmask64 mask = rest_mask(channels - c);
        __m512i total[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
        for (int64_t n = 0; n < count; n += 256)
            sum_block(first + c, distances + n, count - n < 256 ? count - n : 256, mask, flips, total);
        for (int i = 0; i < 4; i++)
            _mm512_mask_storeu_epi32(sums + c + 16 * i, (__mmask16)(mask >> (16 * i)), total[i]);
    }
}

void avx512_interleave(uint8_t *target, const uint8_t *source, int64_t planes, int64_t count)
{
    interleave_8_x86(target, source, planes, count);
}

/* fixed_multiply of 16 numbers by a factor whose shift is not to the left: (x * multiplier + 2^30) >> 31, then rounded half away from zero. */
INLINE __m512i multiply_right(__m512i x, int32_t multiplier, int32_t right)
{
    __m512i factor = _mm512_set1_epi64(multiplier), rounding = _mm512_set1_epi64(1ll << 30);
    __m512i even = _mm512_srli_epi64(_mm512_add_epi64(_mm512_mul_epi32(x, factor), rounding), 31);
    __m512i odd = _mm512_slli_epi64(_mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(x, 32), factor), rounding), 1);
    __m512i high = _mm512_mask_blend_epi32(0xAAAA, even, odd);
    if (right == 0)
        return high;
    __m512i sign = _mm512_srai_epi32(high, 31);
    return _mm512_srav_epi32(_mm512_add_epi32(_mm512_add_epi32(high, _mm512_set1_epi32((int32_t)(1u << (right - 1)))), sign), _mm512_set1_epi32(right));
}

INLINE __m512i add_exactly(__m128i a, __m128i b, const struct byte_add *add)
{
    __m512i x = _mm512_slli_epi32(_mm512_sub_epi32(_mm512_cvtepu8_epi32(a), _mm512_set1_epi32(add->a_zero)), 20);
    __m512i y = _mm512_slli_epi32(_mm512_sub_epi32(_mm512_cvtepu8_epi32(b), _mm512_set1_epi32(add->b_zero)), 20);
    x = multiply_right(x, add->a_multiplier, -add->a_shift);
    y = multiply_right(y, add->b_multiplier, -add->b_shift);
    __m512i sum = add->sign_b < 0 ? _mm512_sub_epi32(x, y) : _mm512_add_epi32(x, y);
    return multiply_right(sum, add->out_multiplier, -add->out_shift);
}

static void add_blocks(const uint8_t *a, const uint8_t *b, uint8_t *out, int64_t count, const struct byte_add *add)
{
    __m512i a_flip = _mm512_set1_epi8((char)add->a_flip), b_flip = _mm512_set1_epi8((char)add->b_flip), out_flip = _mm512_set1_epi8((char)add->out_flip);
    __m512i low = _mm512_set1_epi8((char)add->low), high = _mm512_set1_epi8((char)add->high);
    __m512i zero = _mm512_set1_epi16((short)add->out_zero), order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    for (int64_t i = 0; i < count; i += 64) {
        __mmask64 mask = rest_mask(count - i);
        __m512i x = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, a + i), a_flip), y = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, b + i), b_flip);
        __m128i xs[4] = {_mm512_castsi512_si128(x), _mm512_extracti32x4_epi32(x, 1), _mm512_extracti32x4_epi32(x, 2), _mm512_extracti32x4_epi32(x, 3)};
        __m128i ys[4] = {_mm512_castsi512_si128(y), _mm512_extracti32x4_epi32(y, 1), _mm512_extracti32x4_epi32(y, 2), _mm512_extracti32x4_epi32(y, 3)};
        __m512i v[4];
        for (int k = 0; k < 4; k++)
            v[k] = add_exactly(xs[k], ys[k], add);
        __m512i bytes = _mm512_packus_epi16(_mm512_adds_epi16(_mm512_packs_epi32(v[0], v[1]), zero), _mm512_adds_epi16(_mm512_packs_epi32(v[2], v[3]), zero));
        bytes = _mm512_xor_si512(_mm512_min_epu8(_mm512_max_epu8(bytes, low), high), out_flip);
        _mm512_mask_storeu_epi8(out + i, mask, _mm512_permutexvar_epi32(order, bytes));
    }
}

/* Two i16 beside each other, for _mm512_dpwssd_epi32. */
static __m512i pair(int16_t first, int16_t second)
{
    return _mm512_set1_epi32((int32_t)((uint32_t)(uint16_t)second << 16 | (uint16_t)first));
}

struct linear {
    __m512i lower, upper, start, a_flip, b_flip, out_flip, low, high, whole;
    __m128i shift;
};

INLINE __m512i add_linearly(__m512i a, __m512i b, const struct linear *l)
{
    __m512i x = _mm512_xor_si512(a, l->a_flip), y = _mm512_xor_si512(b, l->b_flip), none = _mm512_setzero_si512(), v[4];
    __m512i xs[2] = {_mm512_unpacklo_epi8(x, none), _mm512_unpackhi_epi8(x, none)}, ys[2] = {_mm512_unpacklo_epi8(y, none), _mm512_unpackhi_epi8(y, none)};
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        __m512i both = k % 2 == 0 ? _mm512_unpacklo_epi16(xs[k / 2], ys[k / 2]) : _mm512_unpackhi_epi16(xs[k / 2], ys[k / 2]);
        v[k] = _mm512_sra_epi32(_mm512_dpwssd_epi32(_mm512_srai_epi32(_mm512_dpwssd_epi32(l->start, both, l->lower), 15), both, l->upper), l->shift);
    }
    __m512i words[2] = {_mm512_adds_epi16(_mm512_packs_epi32(v[0], v[1]), l->whole), _mm512_adds_epi16(_mm512_packs_epi32(v[2], v[3]), l->whole)};
    return _mm512_xor_si512(_mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(words[0], words[1]), l->low), l->high), l->out_flip);
}

static void add_blocks_linearly(const uint8_t *a, const uint8_t *b, uint8_t *out, int64_t count, const struct byte_add *add)
{
    const struct linear linear = {
        .lower = pair(add->a_lower, add->b_lower), .upper = pair(add->a_upper, add->b_upper), .start = _mm512_set1_epi32(add->start),
        .a_flip = _mm512_set1_epi8((char)add->a_flip), .b_flip = _mm512_set1_epi8((char)add->b_flip), .out_flip = _mm512_set1_epi8((char)add->out_flip),
        .low = _mm512_set1_epi8((char)add->low), .high = _mm512_set1_epi8((char)add->high), .whole = _mm512_set1_epi16((int16_t)add->whole),
        .shift = _mm_cvtsi32_si128(add->shift)};
    int64_t i = 0;
    for (; i + 64 <= count; i += 64)
        _mm512_storeu_si512(out + i, add_linearly(_mm512_loadu_si512(a + i), _mm512_loadu_si512(b + i), &linear));
    if (i < count) {
        __mmask64 mask = rest_mask(count - i);
        _mm512_mask_storeu_epi8(out + i, mask, add_linearly(_mm512_maskz_loadu_epi8(mask, a + i), _mm512_maskz_loadu_epi8(mask, b + i), &linear));
    }
}

void avx512_add(const uint8_t *a, const uint8_t *b, uint8_t *out, int64_t count, const struct byte_add *add)
{
    if (add->linear) {
        add_blocks_linearly(a, b, out, count, add);
    } else if (add->a_shift <= 0 && add->b_shift <= 0 && add->out_shift <= 0) {
        add_blocks(a, b, out, count, add);
    } else {
        for (int64_t i = 0; i < count; i++)
            out[i] = byte_add_result(add, a[i], b[i]);
    }
}
