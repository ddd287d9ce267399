/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/kernels/pack_8.h"

#include "inference/kernels/fixed_point.h"
#include "inference/operators/families.h"
#include "inference/packed.h"

#include <string.h>

static int64_t round_up(int64_t value, int64_t step)
{
    return (value + step - 1) / step * step;
}

enum error_code pack_8_check(const struct node *node, const struct value *input, const struct value *weights, const struct value *bias,
                             const struct value *output, int64_t columns, struct error *error)
{
    bool activations = (input->dtype == DTYPE_I8 || input->dtype == DTYPE_U8) && (output->dtype == DTYPE_I8 || output->dtype == DTYPE_U8) &&
                       input->quantization.count == 1 && output->quantization.count == 1;
    const struct quantization *w = &weights->quantization;
    if (!activations || (weights->dtype != DTYPE_I8 && weights->dtype != DTYPE_U8) || (w->count != 1 && w->count != columns))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "types or scales that the 8-bit kernels do not compute with");
    if (bias != NULL && (bias->dtype != DTYPE_I32 || bias->data == NULL || shape_elements(&bias->shape) != columns))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "a bias that is not one constant i32 a channel");
    int32_t low = input->dtype == DTYPE_U8 ? 0 : -128, out_low = output->dtype == DTYPE_U8 ? 0 : -128;
    if (input->quantization.zero_point[0] < low || input->quantization.zero_point[0] > low + 255 || output->quantization.zero_point[0] < out_low ||
        output->quantization.zero_point[0] > out_low + 255)
        return operator_fail(node, ERROR_MODEL, error, "a zero point outside its type");
    for (int32_t i = 0; i < w->count; i++) {
        int32_t weight_low = weights->dtype == DTYPE_U8 ? 0 : -128;
        if (w->zero_point[i] < weight_low || w->zero_point[i] > weight_low + 255)
            return operator_fail(node, ERROR_MODEL, error, "a weight zero point outside its type");
    }
    return ERROR_NONE;
}

bool pack_8_weight_zero(const struct value *weights, int32_t *zero)
{
    const struct quantization *w = &weights->quantization;
    *zero = w->zero_point[0] - (weights->dtype == DTYPE_U8 ? 128 : 0);
    for (int32_t i = 1; i < w->count; i++) {
        if (w->zero_point[i] != w->zero_point[0])
            return false;
    }
    return true;
}

enum error_code pack_8_results(struct byte_results *results, struct arena *arena, const struct node *node, const struct value *input,
                               const struct value *weights, const struct value *output, int64_t first, int64_t channels, struct error *error)
{
    int32_t *multipliers = arena_allocate_array(arena, (size_t)channels * 2, sizeof *multipliers);
    if (multipliers == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    int32_t *shifts = multipliers + channels, offset = output->dtype == DTYPE_I8 ? 128 : 0;
    for (int64_t c = 0; c < channels; c++) {
        float weight_scale = weights->quantization.scale[weights->quantization.count == 1 ? 0 : first + c];
        double real = (double)input->quantization.scale[0] * (double)weight_scale / (double)output->quantization.scale[0];
        struct fixed_multiplier fixed = fixed_multiplier_from(real);
        multipliers[c] = fixed.multiplier;
        shifts[c] = fixed.shift;
    }
    *results = (struct byte_results){.multiplier = multipliers, .shift = shifts, .out_flip = output->dtype == DTYPE_I8 ? 0x80 : 0};
    fixed_activation_range(node->activation, output, &results->low, &results->high);
    results->zero_point = output->quantization.zero_point[0] + offset;
    results->low += offset;
    results->high += offset;
    results->positive = results->low >= results->zero_point;
    return ERROR_NONE;
}

bool pack_8_bound(struct byte_results *results, int64_t channel, int64_t low, int64_t high, bool may_be_constant, int32_t *constant)
{
    int32_t shift = results->shift[channel], *multipliers = (int32_t *)(uintptr_t)results->multiplier, *shifts = (int32_t *)(uintptr_t)results->shift;
    int64_t added = shift < 0 ? (1ll << (-shift - 1)) + ((int64_t)results->zero_point << -shift) : 0, largest = -low > high ? -low : high;
    if (shift <= 0 && largest + added <= INT32_MAX)
        return false;
    if (may_be_constant && largest <= INT32_MAX && byte_result(results, channel, (int32_t)low) == byte_result(results, channel, (int32_t)high)) {
        *constant = 2 * ((byte_result(results, channel, (int32_t)low) ^ results->out_flip) - results->zero_point);
        multipliers[channel] = 1 << 30; /* 1/2 */
        shifts[channel] = 0;
        return true;
    }
    results->exact = true;
    return false;
}

/* Multipliers, shifts, exact: what follows from the weights. */
size_t pack_8_bounds_bytes(int64_t channels)
{
    return (size_t)(2 * channels + 1) * sizeof(int32_t);
}

void pack_8_keep_bounds(const struct byte_results *results, int64_t channels, void *kept)
{
    int32_t *words = kept;
    memcpy(words, results->multiplier, (size_t)(2 * channels) * sizeof *words);
    words[2 * channels] = results->exact;
}

void pack_8_take_bounds(struct byte_results *results, int64_t channels, const void *kept)
{
    const int32_t *words = kept;
    results->multiplier = words;
    results->shift = words + channels;
    results->exact = words[2 * channels] != 0;
}

static void fill_tile(struct packed_8 *packed, const struct value *input)
{
    const struct byte_results *results = &packed->results;
    packed->tile = (struct byte_tile){
        .taps = packed->taps, .depth = round_up(packed->depth, packed->kernels->depth), .results = results,
        .flips = input->dtype == DTYPE_I8 ? 0x80808080u : 0,
        .lows = 0x1010101u * (uint8_t)results->low, .highs = 0x1010101u * (uint8_t)results->high, .out_flips = 0x1010101u * results->out_flip,
        .positive = results->positive};
}

/* What a column's weights (as i8) can add to a sum. */
static void bound_column(const struct packed_8 *packed, const int8_t *stored, uint8_t flip, int64_t *sum, int64_t *low, int64_t *high)
{
    *sum = *low = *high = 0;
    for (int64_t k = 0; k < packed->taps * packed->depth; k++) {
        int32_t w = (int8_t)((uint8_t)stored[k] ^ flip) - packed->weight_zero;
        *sum += w;
        *low += w < 0 ? 255 * w : 0;
        *high += w > 0 ? 255 * w : 0;
    }
}

static void pack_column(const struct packed_8 *packed, int8_t *panel, int width, int place, const int8_t *stored, uint8_t flip)
{
    int64_t group = packed->kernels->depth;
    for (int64_t t = 0; t < packed->taps; t++) {
        int8_t *target = panel + t * packed->tile.depth * width + place * group;
        for (int64_t k = 0; k < packed->depth; k++)
            target[k / group * group * width + k % group] = (int8_t)((uint8_t)stored[t * packed->depth + k] ^ flip);
    }
}

static void fill_panels(struct packed_8 *packed, const struct value *input, const struct value *weights, const int8_t *stored, const int32_t *bias,
                        int64_t panels, bool narrow, char *data)
{
    const struct byte_kernels *kernels = packed->kernels;
    uint8_t weight_flip = weights->dtype == DTYPE_U8 ? 0x80 : 0;
    int32_t input_zero = input->quantization.zero_point[0] + (input->dtype == DTYPE_I8 ? 128 : 0);
    for (int64_t p = 0; p < panels; p++) {
        int width = p == panels - 1 && narrow ? kernels->narrow_columns : kernels->columns;
        int64_t left = packed->columns - p * kernels->columns;
        int count = left < width ? (int)left : width;
        char *panel = data + (size_t)p * packed->panel_bytes;
        int32_t starts[BYTE_COLUMNS_MAX];
        for (int c = 0; c < count; c++) {
            int64_t column = p * kernels->columns + c, sum, low, high;
            const int8_t *from = stored + column * packed->taps * packed->depth;
            bound_column(packed, from, weight_flip, &sum, &low, &high);
            int64_t start = (bias != NULL ? bias[column] : 0) - input_zero * sum;
            starts[c] = (int32_t)(uint32_t)start;
            if (!pack_8_bound(&packed->results, column, start + low, start + high, packed->weight_zero == 0, &starts[c]))
                pack_column(packed, (int8_t *)panel + (size_t)width * kernels->header_bytes, width, kernels->place(width, c), from, weight_flip);
        }
        struct byte_columns part = {.count = count, .zero_point = packed->results.zero_point, .bias = starts,
                                    .multiplier = packed->results.multiplier + p * kernels->columns,
                                    .shift = packed->results.shift + p * kernels->columns};
        kernels->pack_header(panel, width, &part);
    }
}

enum error_code pack_8(struct packed_8 *packed, const struct byte_kernels *kernels, struct packed_weights *kept, struct arena *arena,
                       const struct node *node, const struct value *input, const struct value *weights, const struct value *output,
                       const int8_t *stored, const int32_t *bias, int64_t first, int64_t columns, int64_t taps, int64_t depth,
                       const int64_t *distances, struct error *error)
{
    int64_t panels = (columns + kernels->columns - 1) / kernels->columns, length = taps * round_up(depth, kernels->depth);
    size_t panel_bytes = (size_t)round_up(kernels->columns * ((int64_t)kernels->header_bytes + length), ARENA_ALIGNMENT);
    bool narrow = columns - (panels - 1) * kernels->columns <= kernels->narrow_columns, filled;
    size_t last_bytes = narrow ? (size_t)kernels->narrow_columns * (kernels->header_bytes + (size_t)length) : panel_bytes;
    size_t panels_bytes = (size_t)(panels - 1) * panel_bytes + (size_t)round_up((int64_t)last_bytes, ARENA_ALIGNMENT) + ARENA_ALIGNMENT;
    char *data = packed_place(kept, arena, panels_bytes + pack_8_bounds_bytes(columns), &filled);
    *packed = (struct packed_8){.kernels = kernels, .panels = data, .panel_bytes = panel_bytes, .columns = columns, .taps = taps, .depth = depth};
    if (data == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "its weights need more memory than eddy allows");
    TRY(pack_8_results(&packed->results, arena, node, input, weights, output, first, columns, error));
    (void)pack_8_weight_zero(weights, &packed->weight_zero);
    fill_tile(packed, input);
    packed->tile.distances = distances;
    if (!filled) {
        fill_panels(packed, input, weights, stored, bias, panels, narrow, data);
        pack_8_keep_bounds(&packed->results, columns, data + panels_bytes);
    } else {
        pack_8_take_bounds(&packed->results, columns, data + panels_bytes);
    }
    return ERROR_NONE;
}

void packed_8_run(const struct packed_8 *packed, int count, const struct byte_rows *tiles, int64_t out_stride, int64_t first, int64_t last)
{
    const struct byte_kernels *kernels = packed->kernels;
    struct byte_tile tile = packed->tile;
    tile.out_stride = out_stride;
    for (int i = 0; packed->weight_zero != 0 && i < count; i++)
        kernels->sum_rows(tiles[i].inputs, tiles[i].rows, tile.distances, packed->taps, packed->depth, (uint8_t)tile.flips, -packed->weight_zero,
                          tiles[i].offsets);
    bool several = kernels->row_of_panels && count == 1 && tiles[0].rows == 1 && !packed->results.exact;
    int64_t full = several ? packed->columns / kernels->columns : 0;
    for (int64_t p = first, panels; p < last; p += panels) {
        int64_t c = p * kernels->columns, left = packed->columns - c;
        panels = full > p ? (full < last ? full : last) - p : 1;
        tile.panel = packed->panels + (size_t)p * packed->panel_bytes;
        tile.width = left <= kernels->narrow_columns ? kernels->narrow_columns : kernels->columns;
        tile.columns = left < tile.width ? (int32_t)left : tile.width;
        tile.first_column = c;
        for (int i = 0; i < count; i++) {
            tile.inputs = tiles[i].inputs;
            tile.rows = tiles[i].rows;
            tile.out = tiles[i].out + c;
            tile.row_offsets = packed->weight_zero != 0 ? tiles[i].offsets : NULL;
            tile.panels = (int32_t)panels;
            kernels->gemm(&tile);
        }
    }
}
