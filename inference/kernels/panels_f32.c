/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/kernels/panels_f32.h"

#include "inference/kernels/fixed_point.h"
#include "inference/operators/families.h"
#include "inference/packed.h"

struct float_epilogue panels_f32_epilogue(const struct node *node)
{
    struct float_epilogue epilogue = {.slope = node->activation == ACTIVATION_LEAKY_RELU ? node->activation_low : 1};
    fixed_float_range(node, &epilogue.low, &epilogue.high);
    return epilogue;
}

enum { BLOCK = 16 }; /* a line of the source, and few enough lines of the panel to stay in the first cache */

static void fill_panel(const struct panels_f32 *panels, const struct weight_layout *layout, const float *bias, int64_t first, float *panel)
{
    int64_t most = panels->kernels->panel_columns, count = panels->columns - first < most ? panels->columns - first : most;
    int64_t width = panel_width(most, count);
    for (int64_t c = 0; c < count; c++)
        panel[c] = bias != NULL ? bias[first + c] : 0;
    const float *base = layout->weights + first * layout->column_step;
    for (int64_t t = 0; t < panels->taps; t++) {
        const float *tap = base + layout->tap_offsets[t];
        float *rows = panel + (1 + t * panels->depth) * width;
        for (int64_t first_k = 0; first_k < panels->depth; first_k += BLOCK) {
            int64_t last_k = first_k + BLOCK < panels->depth ? first_k + BLOCK : panels->depth;
            for (int64_t c = 0; c < count; c++) {
                const float *column = tap + c * layout->column_step;
                for (int64_t k = first_k; k < last_k; k++)
                    rows[k * width + c] = column[k];
            }
        }
    }
}

enum error_code panels_f32_pack(struct panels_f32 *panels_out, const struct kernels *kernels, struct packed_weights *packed, struct arena *arena,
                                const struct node *node, const struct weight_layout *layout, const float *bias, int64_t columns, int64_t taps, int64_t depth,
                                struct error *error)
{
    int64_t width = kernels->panel_columns, count = (columns + width - 1) / width;
    struct panels_f32 panels = {.kernels = kernels, .columns = columns, .taps = taps, .depth = depth, .panel_floats = (1 + taps * depth) * width,
                                .count = count, .epilogue = panels_f32_epilogue(node)};
    size_t bytes;
    bool filled = false;
    int64_t saved = count > 0 ? (1 + taps * depth) * (width - panel_width(width, columns - (count - 1) * width)) : 0; /* by the last panel */
    bool fits = !__builtin_mul_overflow((size_t)count, (size_t)panels.panel_floats * sizeof(float), &bytes);
    bytes -= (size_t)saved * sizeof(float);
    float *data = fits ? packed_place(packed, arena, bytes, &filled) : NULL;
    if (data == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "its weights need more memory than eddy allows");
    for (int64_t p = 0; p < count && !filled; p++)
        fill_panel(&panels, layout, bias, p * width, data + p * panels.panel_floats);
    panels.data = data;
    *panels_out = panels;
    return ERROR_NONE;
}

void panels_f32_run(const struct panels_f32 *panels, int64_t first, int64_t last, int rows, const float *const *inputs, float *out,
                    int64_t out_stride, const float *residual)
{
    int64_t width = panels->kernels->panel_columns;
    struct gemm_f32 gemm = {.inputs = inputs, .taps = panels->taps, .depth = panels->depth, .out_stride = out_stride, .epilogue = panels->epilogue};
    for (int64_t p = first; p < last; p++) {
        int64_t column = p * width;
        gemm.panel = panels->data + p * panels->panel_floats;
        gemm.out = out + column;
        gemm.residual = residual != NULL ? residual + column : NULL;
        gemm.columns = (int32_t)(panels->columns - column < width ? panels->columns - column : width);
        panels->kernels->gemm_f32(rows, &gemm);
    }
}
