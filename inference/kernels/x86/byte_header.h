/* SPDX-License-Identifier: Apache-2.0
 *
 * byte_header.h: the constants by which the x86 kernels turn the sums of 16 columns into results (gemm_8_avx512vnni.S explains them). */
#ifndef EDDY_INFERENCE_BYTE_HEADER_H
#define EDDY_INFERENCE_BYTE_HEADER_H

#include <stdint.h>

#define BYTE_BIAS (1u << 31)

struct byte_header {
    int32_t bias[16];        /* + BYTE_BIAS */
    uint32_t factor[16];     /* twice the multiplier */
    uint32_t constant[16];   /* upper half */
    int32_t shift[16];
};
_Static_assert(sizeof(struct byte_header) == 256, "HEADER in gemm_8_avx512vnni.S");

static inline void byte_header_write(struct byte_header *header, int element, int32_t bias, int32_t multiplier, int32_t shift, int32_t zero_point)
{
    int right = shift > 0 ? 0 : -shift;
    uint32_t half = right > 0 ? 1u << (right - 1) : 0, zero = (uint32_t)((uint64_t)(int64_t)zero_point << right);
    header->bias[element] = (int32_t)((uint32_t)bias + BYTE_BIAS);
    header->factor[element] = 2 * (uint32_t)multiplier;
    header->constant[element] = half + zero - (uint32_t)multiplier;
    header->shift[element] = right;
}

#endif
