/* SPDX-License-Identifier: Apache-2.0
 *
 * pack.h: a layer's weights in the order in which the matrix kernels read them, with bias and requantisation, and the loop over panels.
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
    bool bytes;
    uint8_t flip;
    struct float_epilogue float_epilogue;
    struct byte_epilogue byte_epilogue; /* arrays of all columns, padded to whole panels */
};

/* weights, bias (may be NULL): constants; input and output: the values around the layer. first: index of the first column in bias and
 * scales (groups). ERROR_LIMIT: no memory. */
MUST_CHECK enum error_code pack_f32(struct packed *packed, const struct kernels *kernels, struct arena *arena, const struct node *node,
                                    const float *weights, const float *bias, int64_t columns, int64_t taps, int64_t depth, struct error *error);
MUST_CHECK enum error_code pack_8(struct packed *packed, const struct kernels *kernels, struct arena *arena, const struct node *node,
                                  const struct value *input, const struct value *weights, const struct value *output, const int8_t *stored,
                                  const int32_t *bias, int64_t first, int64_t columns, int64_t taps, int64_t depth, struct error *error);

/* rows_per_call of the kernel that serves this layer. */
static inline int packed_rows(const struct packed *packed)
{
    return packed->bytes ? packed->kernels->byte_rows : packed->kernels->rows;
}

/* Computes `rows` result rows of all columns. inputs: [taps][KERNEL_ROWS_MAX] pointers; out_stride in elements. */
void packed_run(const struct packed *packed, int rows, const void *const *inputs, void *out, int64_t out_stride);

/* Per-column fixed-point factors of a quantised layer: in_scale * weight_scale / out_scale. */
MUST_CHECK enum error_code pack_multipliers(struct arena *arena, const struct node *node, const struct value *input, const struct value *weights,
                                            const struct value *output, int64_t first, int64_t columns, int64_t padded_columns,
                                            struct byte_epilogue *epilogue, struct error *error);
struct float_epilogue pack_float_epilogue(const struct node *node); /* of its fused activation */
/* Checks that types and quantisations of a quantised layer are what the kernels compute with. */
MUST_CHECK enum error_code pack_check_bytes(const struct node *node, const struct value *input, const struct value *weights, const struct value *bias,
                                            const struct value *output, int64_t columns, struct error *error);

#endif
