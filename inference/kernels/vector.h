/* SPDX-License-Identifier: Apache-2.0
 *
 * vector.h: the kernels for any instruction set with vectors of VECTOR_FLOATS floats, written once in gcc's vector types.
 *
 * A file per instruction set defines VECTOR_FLOATS, VECTOR_ROWS (rows of a tile: accumulators are VECTOR_ROWS x 2 vectors and must fit the
 * registers), KERNELS_SYMBOL, KERNELS_NAME and BYTE_KERNELS, includes this and is compiled for that set. */
#include "inference/kernels/kernels.h"
#include "inference/kernels/winograd.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

#include "inference/kernels/vector_f32.h"
#include "inference/kernels/vector_winograd.h"
#include "inference/kernels/vector_movement.h"
#include "inference/kernels/vector_elements.h"

#ifndef NARROW_F32
#define NARROW_F32 /* has none */
#endif

#ifndef DEPTHWISE_3X3_F32
#define DEPTHWISE_3X3_F32 /* has none */
#endif

#define KERNELS_TABLE(its_name, its_bytes) { \
    .name = its_name, .rows = VECTOR_ROWS, .panel_columns = PANEL, .bytes = its_bytes, .gemm_f32 = GEMM_F32, NARROW_F32 .depthwise_f32 = depthwise_f32, \
    DEPTHWISE_3X3_F32 .winograd_input = winograd_input, .winograd_output = winograd_output, .interleave_f32 = interleave_f32, \
    .max_f32 = max_f32, .sum_f32 = sum_f32, .add_f32 = add_f32, .sigmoid_f32 = sigmoid_f32, .exp_f32 = exp_f32, \
}

const struct kernels KERNELS_SYMBOL = KERNELS_TABLE(KERNELS_NAME, &BYTE_KERNELS);
