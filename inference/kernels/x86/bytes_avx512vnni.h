/* SPDX-License-Identifier: Apache-2.0
 *
 * bytes_avx512vnni.h: what the parts of the AVX-512 VNNI variant share: the constants of 16 columns (see gemm_8_avx512vnni.S). */
#ifndef EDDY_INFERENCE_BYTES_AVX512VNNI_H
#define EDDY_INFERENCE_BYTES_AVX512VNNI_H

#include "inference/kernels/bytes.h"

#define VNNI_BIAS (1u << 31)

struct vnni_header {
    int32_t bias[16];        /* + VNNI_BIAS */
    uint32_t factor[16];     /* twice the multiplier */
    uint32_t constant[16];   /* upper half */
    int32_t shift[16];
};
_Static_assert(sizeof(struct vnni_header) == 256, "HEADER in gemm_8_avx512vnni.S");

void vnni_write_column(char *header, int element, int32_t bias, int32_t multiplier, int32_t shift, int32_t zero_point);

size_t vnni_depthwise_bytes(int64_t channels, int groups, int sets);
void vnni_pack_depthwise(void *packed, const struct byte_depthwise_weights *weights);
void vnni_depthwise(const struct byte_depthwise *lines);

#endif
