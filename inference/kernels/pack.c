/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/kernels/pack.h"

#include "inference/kernels/fixed_point.h"
#include "inference/operators/families.h"

#include <string.h>

static int64_t round_up(int64_t value, int64_t step)
{
    return (value + step - 1) / step * step;
}

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

enum error_code pack_check_bytes(const struct node *node, const struct value *input, const struct value *weights, const struct value *bias,
                                 const struct value *output, int64_t columns, struct error *error)
{
    bool activations = (input->dtype == DTYPE_I8 || input->dtype == DTYPE_U8) && (output->dtype == DTYPE_I8 || output->dtype == DTYPE_U8) &&
                       input->quantization.count == 1 && output->quantization.count == 1;
    const struct quantization *w = &weights->quantization;
    if (!activations || (weights->dtype != DTYPE_I8 && weights->dtype != DTYPE_U8) || (w->count != 1 && w->count != columns))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "types or scales that the 8-bit kernels do not compute with");
    if (bias != NULL && (bias->dtype != DTYPE_I32 || bias->data == NULL || shape_elements(&bias->shape) != columns))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "a bias that is not one constant i32 a channel");
    int32_t low = input->dtype == DTYPE_U8 ? 0 : -128;
    if (input->quantization.zero_point[0] < low || input->quantization.zero_point[0] > low + 255)
        return operator_fail(node, ERROR_MODEL, error, "a zero point outside its type");
    for (int32_t i = 0; i < w->count; i++) {
        int32_t weight_low = weights->dtype == DTYPE_U8 ? 0 : -128;
        if (w->zero_point[i] < weight_low || w->zero_point[i] > weight_low + 255)
            return operator_fail(node, ERROR_MODEL, error, "a weight zero point outside its type");
    }
    return ERROR_NONE;
}

enum error_code pack_multipliers(struct arena *arena, const struct node *node, const struct value *input, const struct value *weights,
                                 const struct value *output, int64_t first, int64_t columns, int64_t padded_columns,
                                 struct byte_epilogue *epilogue, struct error *error)
{
    int32_t *multipliers = arena_allocate_array(arena, (size_t)padded_columns * 2, sizeof *multipliers);
    if (multipliers == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    int32_t *shifts = multipliers + padded_columns;
    for (int64_t c = 0; c < columns; c++) {
        float weight_scale = weights->quantization.scale[weights->quantization.count == 1 ? 0 : first + c];
        double real = (double)input->quantization.scale[0] * (double)weight_scale / (double)output->quantization.scale[0];
        struct fixed_multiplier fixed = fixed_multiplier_from(real);
        multipliers[c] = fixed.multiplier;
        shifts[c] = fixed.shift;
    }
    *epilogue = (struct byte_epilogue){.multiplier = multipliers, .shift = shifts, .zero_point = output->quantization.zero_point[0]};
    fixed_activation_range(node->activation, output, &epilogue->low, &epilogue->high);
    return ERROR_NONE;
}

enum error_code pack_8(struct packed *packed, const struct kernels *kernels, struct arena *arena, const struct node *node,
                       const struct value *input, const struct value *weights, const struct value *output, const int8_t *stored,
                       const int32_t *bias, int64_t first, int64_t columns, int64_t taps, int64_t depth, struct error *error)
{
    int64_t width = kernels->byte_columns, panels = (columns + width - 1) / width, group = kernels->byte_depth;
    int64_t padded = round_up(depth, group);
    size_t panel_bytes = (size_t)round_up(width * (int64_t)sizeof(int32_t) + taps * padded * width, ARENA_ALIGNMENT);
    char *data = arena_allocate_array(arena, (size_t)panels, panel_bytes);
    if (data == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "its weights need more memory than eddy allows");
    *packed = (struct packed){.kernels = kernels, .panels = data, .panel_bytes = panel_bytes, .element_bytes = 1, .columns = columns, .taps = taps,
                              .depth = depth, .bytes = true, .flip = input->dtype == DTYPE_I8 ? 0x80 : 0};
    TRY(pack_multipliers(arena, node, input, weights, output, first, columns, panels * width, &packed->byte_epilogue, error));
    int32_t input_zero = input->quantization.zero_point[0] + (input->dtype == DTYPE_I8 ? 128 : 0);
    uint8_t weight_flip = weights->dtype == DTYPE_U8 ? 0x80 : 0;
    for (int64_t c = 0; c < columns; c++) {
        char *panel = data + (size_t)(c / width) * panel_bytes;
        int8_t *target = (int8_t *)panel + width * (int64_t)sizeof(int32_t);
        int64_t column = c % width;
        uint32_t sum = 0; /* wraps, as the kernels' sums do */
        for (int64_t t = 0; t < taps; t++) {
            for (int64_t k = 0; k < depth; k++) {
                int8_t w = (int8_t)((uint8_t)stored[(c * taps + t) * depth + k] ^ weight_flip);
                target[(t * padded + k / group * group) * width + column * group + k % group] = w;
                sum += (uint32_t)w;
            }
        }
        int32_t start = (int32_t)((uint32_t)(bias != NULL ? bias[c] : 0) - (uint32_t)input_zero * sum);
        memcpy(panel + (size_t)column * sizeof start, &start, sizeof start);
    }
    return ERROR_NONE;
}

void packed_run(const struct packed *packed, int rows, const void *const *inputs, void *out, int64_t out_stride)
{
    const struct kernels *kernels = packed->kernels;
    int64_t width = packed->bytes ? kernels->byte_columns : kernels->panel_columns;
    const char *panel = packed->panels;
    struct byte_epilogue epilogue = packed->byte_epilogue;
    for (int64_t c = 0; c < packed->columns; c += width, panel += packed->panel_bytes) {
        int columns = (int)(packed->columns - c < width ? packed->columns - c : width);
        if (packed->bytes) {
            kernels->gemm_8(rows, columns, packed->taps, packed->depth, packed->flip, (const uint8_t *const *)inputs, (const int8_t *)panel,
                            (uint8_t *)out + c, out_stride, &epilogue);
            epilogue.multiplier += width;
            epilogue.shift += width;
        } else {
            kernels->gemm_f32(rows, columns, packed->taps, packed->depth, (const float *const *)inputs, (const float *)(const void *)panel,
                              (float *)out + c, out_stride, &packed->float_epilogue);
        }
    }
}
