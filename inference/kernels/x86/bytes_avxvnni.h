/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EDDY_INFERENCE_BYTES_AVXVNNI_H
#define EDDY_INFERENCE_BYTES_AVXVNNI_H

#include "inference/kernels/bytes.h"

enum { AVXVNNI_DEPTH = 4 }; /* inputs of one vpdpbusd */

void gemm_8_avxvnni(struct byte_tile *tile);

#endif
