/* SPDX-License-Identifier: Apache-2.0
 *
 * pack.h: a float layer's weights in the order in which the matrix kernels read them, with their bias, and the loop over panels.
 *
 * Shared by convolution and fully connected layers: weights are [columns][taps][depth], dense. */
#ifndef EDDY_INFERENCE_PACK_H
#define EDDY_INFERENCE_PACK_H

#include "inference/graph.h"
#include "inference/kernels/kernels.h"

struct packed {
    const struct kernels *kernels;
    const char *panels;
    size_t panel_bytes, element_bytes; /* of a result */
    int64_t columns, taps, depth;
    struct float_epilogue float_epilogue;
};

/* weights, bias (may be NULL): constants; input and output: the values around the layer. first: index of the first column in bias and
 * scales (groups). ERROR_LIMIT: no memory. */
MUST_CHECK enum error_code pack_f32(struct packed *packed, const struct kernels *kernels, struct arena *arena, const struct node *node,
                                    const float *weights, const float *bias, int64_t columns, int64_t taps, int64_t depth, struct error *error);

/* rows_per_call of the kernel that serves this layer. */
static inline int packed_rows(const struct packed *packed)
{
    return packed->kernels->rows;
}

/* Computes `rows` result rows of all columns. inputs: [taps][KERNEL_ROWS_MAX] pointers; out_stride in elements. */
void packed_run(const struct packed *packed, int rows, const void *const *inputs, void *out, int64_t out_stride);

struct float_epilogue pack_float_epilogue(const struct node *node); /* of its fused activation */

#endif
