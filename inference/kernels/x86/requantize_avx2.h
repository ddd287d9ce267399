/* SPDX-License-Identifier: Apache-2.0
 *
 * requantize_avx2.h: sums to results with 256-bit vectors, as gemm_8_avx512vnni.S explains it. */
#ifndef EDDY_INFERENCE_REQUANTIZE_AVX2_H
#define EDDY_INFERENCE_REQUANTIZE_AVX2_H

#include "inference/kernels/bytes.h"
#include "inference/kernels/x86/byte_header.h"

#include <immintrin.h>

#define INLINE_AVX2 static inline __attribute__((always_inline))

INLINE_AVX2 __m256i load(const void *at)
{
    return _mm256_loadu_si256((const __m256i *)at);
}

INLINE_AVX2 __m256i load_widened(const uint8_t *at) /* 16 bytes as 16 words */
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)at));
}

/* Sums of 8 columns, `half` (0, 1) of a header's. */
INLINE_AVX2 __m256i requantize(__m256i y, const struct byte_header *h, const int half, const bool positive)
{
    __m256i factor = load(h->factor + 8 * half), upper = load(h->constant + 8 * half), shift = load(h->shift + 8 * half);
    __m256i even = _mm256_or_si256(_mm256_slli_epi64(upper, 32), _mm256_set1_epi64x(1ll << 31));
    __m256i odd = _mm256_blend_epi32(_mm256_set1_epi32((int)(1u << 31)), upper, 0xAA);
    even = _mm256_add_epi64(_mm256_mul_epu32(y, factor), even);
    odd = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(y, 32), _mm256_srli_epi64(factor, 32)), odd);
    __m256i high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
    if (!positive)
        high = _mm256_sub_epi32(high, _mm256_andnot_si256(_mm256_srai_epi32(y, 31), _mm256_min_epu32(shift, _mm256_set1_epi32(1))));
    return _mm256_srav_epi32(high, shift);
}

struct finish {
    __m256i low, high, flip;
};

INLINE_AVX2 struct finish finish_of(const struct byte_results *results)
{
    return (struct finish){_mm256_set1_epi8((char)results->low), _mm256_set1_epi8((char)results->high), _mm256_set1_epi8((char)results->out_flip)};
}

/* The range that is asked for and the form of the result, of bytes that are in order already. */
INLINE_AVX2 __m256i finish_bytes(__m256i bytes, const struct finish *finish)
{
    return _mm256_xor_si256(_mm256_min_epu8(_mm256_max_epu8(bytes, finish->low), finish->high), finish->flip);
}

#endif
