/* SPDX-License-Identifier: Apache-2.0
 *
 * elementwise_8_avx512.h: bytes.h's pooling, transposition and addition with AVX-512; addition with VNNI too. */
#ifndef EDDY_INFERENCE_ELEMENTWISE_8_AVX512_H
#define EDDY_INFERENCE_ELEMENTWISE_8_AVX512_H

#include "inference/kernels/bytes.h"

void avx512_window_max(const uint8_t *first, const int64_t *distances, int64_t count, int64_t pixels, int64_t step, int64_t channels, uint8_t flip,
                       uint8_t *out);
void avx512_window_sum(const uint8_t *first, const int64_t *distances, int64_t count, int64_t channels, uint8_t flip, int32_t *sums);
void avx512_interleave(uint8_t *target, const uint8_t *source, int64_t planes, int64_t count);
void avx512_add(const uint8_t *a, const uint8_t *b, uint8_t *out, int64_t count, const struct byte_add *add);

#endif
