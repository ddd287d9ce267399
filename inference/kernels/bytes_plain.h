/* SPDX-License-Identifier: Apache-2.0
 *
 * bytes_plain.h: the packing of the variants that have no order of their own.
 *
 * Panel header: bias, multiplier, shift, each i32 [width]. Depthwise: i32 bias[channels], then i16 weights [groups * 4][channels]. */
#ifndef EDDY_INFERENCE_BYTES_PLAIN_H
#define EDDY_INFERENCE_BYTES_PLAIN_H

#include "inference/kernels/bytes.h"

enum { PLAIN_HEADER_BYTES = 12 };

void plain_pack_header(char *panel, int width, const struct byte_columns *columns);
int plain_place(int width, int column);
size_t plain_depthwise_bytes(int64_t channels, int groups, int sets);
void plain_pack_depthwise(void *packed, const struct byte_depthwise_weights *weights);

#endif
