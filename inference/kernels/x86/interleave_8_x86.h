/* SPDX-License-Identifier: Apache-2.0
 *
 * interleave_8_x86.h: planes to pixels; three planes, which most pictures have, with the byte shuffles of AVX2 and AVX-512. */
#ifndef EDDY_INFERENCE_INTERLEAVE_8_X86_H
#define EDDY_INFERENCE_INTERLEAVE_8_X86_H

#include "inference/kernels/vector_elements_8.h"

#include <immintrin.h>
#include <stdint.h>

/* 16 pixels of three planes: each of the three results takes bytes of all planes by three shuffles. */
static inline __m128i interleave_pick(__m128i first, __m128i second, __m128i third, const int8_t picks[3][16])
{
    __m128i a = _mm_shuffle_epi8(first, _mm_loadu_si128((const __m128i *)(const void *)picks[0]));
    __m128i b = _mm_shuffle_epi8(second, _mm_loadu_si128((const __m128i *)(const void *)picks[1]));
    __m128i c = _mm_shuffle_epi8(third, _mm_loadu_si128((const __m128i *)(const void *)picks[2]));
    return _mm_or_si128(_mm_or_si128(a, b), c);
}

static inline void interleave_three(uint8_t *target, const uint8_t *source, int64_t count)
{
    int8_t picks[3][3][16];
    for (int i = 0; i < 48; i++) {
        for (int plane = 0; plane < 3; plane++)
            picks[i / 16][plane][i % 16] = (int8_t)(i % 3 == plane ? i / 3 : -1);
    }
    int64_t i = 0;
    for (; i + 16 <= count; i += 16, target += 48) {
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(source + i));
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(source + count + i));
        __m128i c = _mm_loadu_si128((const __m128i *)(const void *)(source + 2 * count + i));
        for (int part = 0; part < 3; part++)
            _mm_storeu_si128((__m128i *)(void *)(target + 16 * part), interleave_pick(a, b, c, picks[part]));
    }
    for (; i < count; i++) {
        for (int plane = 0; plane < 3; plane++)
            *target++ = source[plane * count + i];
    }
}

static inline void interleave_8_x86(uint8_t *target, const uint8_t *source, int64_t planes, int64_t count)
{
    if (planes == 3)
        interleave_three(target, source, count);
    else
        interleave_8(target, source, planes, count);
}

#endif
