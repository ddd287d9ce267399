/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies, maxima and additions of bytes with AVX2. */
#include "inference/kernels/vector_elements_8.h"
#include "inference/kernels/x86/bytes_avx2.h"
#include "inference/kernels/x86/requantize_avx2.h"

#include <string.h>

enum { VECTOR = 32 };

static void store(uint8_t *target, __m256i bytes, int64_t count)
{
    if (count >= VECTOR) {
        _mm256_storeu_si256((__m256i *)(void *)target, bytes);
        return;
    }
    uint8_t all[VECTOR];
    _mm256_storeu_si256((__m256i *)(void *)all, bytes);
    memcpy(target, all, (size_t)count);
}

/* Whole vectors as long as what they write too much belongs to pixels that are still to come; only the last pixels end exactly. */
void avx2_copy(uint8_t *target, const uint8_t *source, int64_t pixels, int64_t bytes, int64_t step, uint8_t flip)
{
    __m256i flips = _mm256_set1_epi8((char)flip);
    int64_t p = 0, whole = (bytes + VECTOR - 1) / VECTOR * VECTOR, last_whole = bytes > 0 ? pixels - (whole - 1) / bytes : 0;
    for (; p < last_whole; p++, target += bytes, source += step) {
        for (int64_t i = 0; i < bytes; i += VECTOR)
            _mm256_storeu_si256((__m256i *)(void *)(target + i), _mm256_xor_si256(load(source + i), flips));
    }
    for (; p < pixels; p++, target += bytes, source += step) {
        for (int64_t i = 0; i < bytes; i += VECTOR)
            store(target + i, _mm256_xor_si256(load(source + i), flips), bytes - i);
    }
}

void avx2_window_max(const uint8_t *first, const int64_t *distances, int64_t count, int64_t pixels, int64_t step, int64_t channels, uint8_t flip,
                     uint8_t *out)
{
    __m256i flips = _mm256_set1_epi8((char)flip);
    for (int64_t p = 0; p < pixels; p++, first += step, out += channels) {
        for (int64_t c = 0; c < channels; c += VECTOR) {
            __m256i largest = _mm256_setzero_si256();
            for (int64_t n = 0; n < count; n++)
                largest = _mm256_max_epu8(largest, _mm256_xor_si256(load(first + distances[n] + c), flips));
            store(out + c, _mm256_xor_si256(largest, flips), channels - c);
        }
    }
}

/* Two words beside each other, for _mm256_madd_epi16. */
static __m256i pair(int16_t first, int16_t second)
{
    return _mm256_set1_epi32((int32_t)((uint32_t)(uint16_t)second << 16 | (uint16_t)first));
}

struct linear {
    __m256i lower, upper, start, whole;
    __m128i shift;
};

INLINE_AVX2 __m256i add_eight(__m256i both, const struct linear *l)
{
    __m256i sum = _mm256_srai_epi32(_mm256_add_epi32(_mm256_madd_epi16(both, l->lower), l->start), 15);
    return _mm256_sra_epi32(_mm256_add_epi32(_mm256_madd_epi16(both, l->upper), sum), l->shift);
}

/* 16 results as words, not clamped yet */
INLINE_AVX2 __m256i add_sixteen(__m128i a, __m128i b, const struct linear *l)
{
    __m256i x = _mm256_cvtepu8_epi16(a), y = _mm256_cvtepu8_epi16(b);
    __m256i words = _mm256_packs_epi32(add_eight(_mm256_unpacklo_epi16(x, y), l), add_eight(_mm256_unpackhi_epi16(x, y), l));
    return _mm256_adds_epi16(words, l->whole);
}

struct forms {
    __m256i a_flip, b_flip;
    struct finish finish;
};

INLINE_AVX2 __m256i add_vector(const uint8_t *a, const uint8_t *b, const struct linear *linear, const struct forms *forms)
{
    __m256i x = _mm256_xor_si256(load(a), forms->a_flip), y = _mm256_xor_si256(load(b), forms->b_flip);
    __m256i first = add_sixteen(_mm256_castsi256_si128(x), _mm256_castsi256_si128(y), linear);
    __m256i second = add_sixteen(_mm256_extracti128_si256(x, 1), _mm256_extracti128_si256(y, 1), linear);
    return finish_bytes(_mm256_permute4x64_epi64(_mm256_packus_epi16(first, second), 0xD8), &forms->finish);
}

static void add_linearly(const uint8_t *a, const uint8_t *b, uint8_t *out, int64_t count, const struct byte_add *add)
{
    const struct linear linear = {pair(add->a_lower, add->b_lower), pair(add->a_upper, add->b_upper), _mm256_set1_epi32(add->start),
                                  _mm256_set1_epi16((int16_t)add->whole), _mm_cvtsi32_si128(add->shift)};
    const struct forms forms = {_mm256_set1_epi8((char)add->a_flip), _mm256_set1_epi8((char)add->b_flip),
                                {_mm256_set1_epi8((char)add->low), _mm256_set1_epi8((char)add->high), _mm256_set1_epi8((char)add->out_flip)}};
    int64_t i = 0;
    for (; i + VECTOR <= count; i += VECTOR)
        _mm256_storeu_si256((__m256i *)(void *)(out + i), add_vector(a + i, b + i, &linear, &forms));
    if (i < count) { /* a constant may end where memory ends */
        uint8_t x[VECTOR] = {0}, y[VECTOR] = {0};
        memcpy(x, a + i, (size_t)(count - i));
        memcpy(y, b + i, (size_t)(count - i));
        store(out + i, add_vector(x, y, &linear, &forms), count - i);
    }
}

void avx2_add(const uint8_t *a, const uint8_t *b, uint8_t *out, int64_t count, const struct byte_add *add)
{
    if (add->linear)
        add_linearly(a, b, out, count, add);
    else
        add_8(a, b, out, count, add);
}
