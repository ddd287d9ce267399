/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/kernels/pack.h"

#include "inference/kernels/fixed_point.h"
#include "inference/operators/families.h"

struct float_epilogue pack_float_epilogue(const struct node *node)
{
    struct float_epilogue epilogue = {.slope = node->activation == ACTIVATION_LEAKY_RELU ? node->activation_low : 1};
    fixed_float_range(node, &epilogue.low, &epilogue.high);
    return epilogue;
}

enum error_code pack_f32(struct packed *packed, const struct kernels *kernels, struct arena *arena, const struct node *node,
                         const float *weights, const float *bias, int64_t columns, int64_t taps, int64_t depth, struct error *error)
{
    int64_t width = kernels->panel_columns, panels = (columns + width - 1) / width, length = taps * depth;
    float *data = arena_allocate_array(arena, (size_t)(panels * width), (size_t)(length + 1) * sizeof *data);
    if (data == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "its weights need more memory than eddy allows");
    *packed = (struct packed){.kernels = kernels, .panels = (const char *)data, .panel_bytes = (size_t)((length + 1) * width) * sizeof *data,
                              .element_bytes = sizeof *data, .columns = columns, .taps = taps, .depth = depth, .float_epilogue = pack_float_epilogue(node)};
    for (int64_t p = 0; p < panels; p++) {
        float *panel = data + p * width * (length + 1);
        int64_t count = columns - p * width < width ? columns - p * width : width;
        for (int64_t c = 0; c < count; c++) {
            const float *row = weights + (p * width + c) * length;
            panel[c] = bias != NULL ? bias[p * width + c] : 0;
            for (int64_t k = 0; k < length; k++)
                panel[(1 + k) * width + c] = row[k];
        }
    }
    return ERROR_NONE;
}

void packed_run(const struct packed *packed, int rows, const void *const *inputs, void *out, int64_t out_stride)
{
    const struct kernels *kernels = packed->kernels;
    int64_t width = kernels->panel_columns;
    const char *panel = packed->panels;
    for (int64_t c = 0; c < packed->columns; c += width, panel += packed->panel_bytes) {
        int columns = (int)(packed->columns - c < width ? packed->columns - c : width);
        kernels->gemm_f32(rows, columns, packed->taps, packed->depth, (const float *const *)inputs, (const float *)(const void *)panel,
                          (float *)out + c, out_stride, &packed->float_epilogue);
    }
}
