/* SPDX-License-Identifier: Apache-2.0
 *
 * vector_avx512.h: what gcc's vector types do not say, for vector_f32.h. */
#ifndef EDDY_INFERENCE_VECTOR_AVX512_H
#define EDDY_INFERENCE_VECTOR_AVX512_H

#include <immintrin.h>

#define VECTOR_MAX(a, b) _mm512_max_ps(a, b)
#define VECTOR_MIN(a, b) _mm512_min_ps(a, b)
#define VECTOR_LOAD_PART(from, count) _mm512_maskz_loadu_ps((__mmask16)_bzhi_u32(0xffff, (unsigned)(count)), from)
#define VECTOR_STORE_PART(to, x, count) _mm512_mask_storeu_ps(to, (__mmask16)_bzhi_u32(0xffff, (unsigned)(count)), x)

#endif
