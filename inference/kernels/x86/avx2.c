/* SPDX-License-Identifier: Apache-2.0
 *
 * AVX2 and FMA: 16 registers of 8 floats; a tile of 6 x 16. */
#include <immintrin.h>

/* All bits set in the first `count` of eight lanes. */
static inline __m256i first_lanes(long count)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

#define VECTOR_MAX(a, b) _mm256_max_ps(a, b)
#define VECTOR_MIN(a, b) _mm256_min_ps(a, b)
#define VECTOR_LOAD_PART(from, count) _mm256_maskload_ps(from, first_lanes(count))
#define VECTOR_STORE_PART(to, x, count) _mm256_maskstore_ps(to, first_lanes(count), x)

#define VECTOR_FLOATS 8
#define VECTOR_ROWS 6
#define KERNELS_SYMBOL kernels_avx2
#define KERNELS_NAME "avx2"
#define BYTE_KERNELS byte_kernels_avx2
#include "inference/kernels/vector.h"

/* The same but for the bytes. */
const struct kernels kernels_avxvnni = KERNELS_TABLE("avxvnni", &byte_kernels_avxvnni);
