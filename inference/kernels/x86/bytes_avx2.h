/* SPDX-License-Identifier: Apache-2.0
 *
 * bytes_avx2.h: what the parts of bytes_avx2.c's two variants bring. */
#ifndef EDDY_INFERENCE_BYTES_AVX2_H
#define EDDY_INFERENCE_BYTES_AVX2_H

#include "inference/kernels/bytes.h"

enum { AVXVNNI_ROWS = 6, AVXVNNI_DEPTH = 4 /* inputs of one vpdpbusd */ };

void gemm_8_avxvnni(struct byte_tile *tile);

size_t avx2_depthwise_bytes(int64_t channels, int groups, int sets);
void avx2_pack_depthwise(void *packed, const struct byte_depthwise_weights *weights);
void avx2_depthwise(const struct byte_depthwise *lines);

void avx2_copy(uint8_t *target, const uint8_t *source, int64_t pixels, int64_t bytes, int64_t step, uint8_t flip);
void avx2_window_max(const uint8_t *first, const int64_t *distances, int64_t count, int64_t pixels, int64_t step, int64_t channels, uint8_t flip,
                     uint8_t *out);
void avx2_add(const uint8_t *a, const uint8_t *b, uint8_t *out, int64_t count, const struct byte_add *add);

#endif
