/* SPDX-License-Identifier: Apache-2.0
 *
 * bytes_avx512vnni.h: depthwise layers with AVX-512 VNNI. */
#ifndef EDDY_INFERENCE_BYTES_AVX512VNNI_H
#define EDDY_INFERENCE_BYTES_AVX512VNNI_H

#include "inference/kernels/bytes.h"
#include "inference/kernels/x86/byte_header.h"

size_t vnni_depthwise_bytes(int64_t channels, int groups, int sets);
void vnni_pack_depthwise(void *packed, const struct byte_depthwise_weights *weights);
void vnni_depthwise(const struct byte_depthwise *lines);

#endif
