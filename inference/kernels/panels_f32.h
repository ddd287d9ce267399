/* SPDX-License-Identifier: Apache-2.0
 *
 * panels_f32.h: float weights in the order in which gemm_f32 reads them: panel by panel of kernels->panel_columns result columns, the
 * last of panel_width, each its bias, then one row of weights for each tap and depth. Columns beyond the last are zero. */
#ifndef EDDY_INFERENCE_PANELS_F32_H
#define EDDY_INFERENCE_PANELS_F32_H

#include "inference/graph.h"
#include "inference/kernels/kernels.h"

struct panels_f32 {
    const struct kernels *kernels;
    const float *data;
    int64_t columns, taps, depth;
    int64_t panel_floats, count; /* panel_floats: from one panel to the next */
    struct float_epilogue epilogue;
};

struct float_epilogue panels_f32_epilogue(const struct node *node); /* of its fused activation */

/* Where the weight of (column, tap, k) lies: weights[column * column_step + tap_offsets[tap] + k]. */
struct weight_layout {
    const float *weights;
    int64_t column_step;
    const int64_t *tap_offsets; /* [taps] */
};

/* bias: [columns], may be NULL; packed may be NULL. ERROR_LIMIT: no memory. */
MUST_CHECK enum error_code panels_f32_pack(struct panels_f32 *panels_out, const struct kernels *kernels, struct packed_weights *packed,
                                           struct arena *arena, const struct node *node, const struct weight_layout *layout, const float *bias,
                                           int64_t columns, int64_t taps, int64_t depth, struct error *error);

/* `rows` result rows of panels [first, last). inputs: [taps][KERNEL_ROWS_MAX]; out and residual (may be NULL): column 0 of the first row. */
void panels_f32_run(const struct panels_f32 *panels, int64_t first, int64_t last, int rows, const float *const *inputs, float *out,
                    int64_t out_stride, const float *residual);

#endif
