/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution as a matrix product over pointers: a tile of result pixels, for each kernel position a pointer to each pixel's input row.
 * Inputs of few channels (a camera's first layer) are padded into scratch once, so that a whole kernel row is one run. */
#include "inference/kernels/pack.h"
#include "inference/kernels/pack_8.h"
#include "inference/operators/families.h"

#include <string.h>

enum { FEW_CHANNELS = 4 };

struct convolution {
    struct packed *groups;       /* [group_count] */
    int64_t group_count, group_depth, group_columns;
    int32_t height, width, channels, out_height, out_width, out_channels, batch;
    struct spatial spatial;
    bool direct;                 /* 1x1, stride 1, no padding: rows follow each other */
    bool merged;                 /* few channels: taps are kernel rows of a padded copy */
    int32_t padded_height, padded_width;
    size_t element_bytes, table_bytes, padding_bytes;
};

enum error_code convolution_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *input = &graph->values[node->inputs[0]], *weights = &graph->values[node->inputs[1]];
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? &graph->values[node->inputs[2]] : NULL;
    struct value *output = &graph->values[node->outputs[0]];
    struct spatial *spatial = &node->attributes.spatial;
    if (input->shape.rank != 4 || weights->shape.rank != 4 || spatial->groups < 1)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected an input and weights of rank 4");
    const int32_t *w = weights->shape.dims;
    if (w[0] < 1 || w[3] < 1 || w[0] % spatial->groups != 0 || (int64_t)w[3] * spatial->groups != input->shape.dims[3] ||
        w[1] != spatial->kernel[0] || w[2] != spatial->kernel[1] || (bias != NULL && shape_elements(&bias->shape) != w[0]))
        return operator_fail(node, ERROR_MODEL, error, "weights, groups, bias and input channels that do not fit together");
    if (output->quantization.count == 0)
        output->dtype = input->dtype;
    return spatial_infer(node, &input->shape, w[0], &output->shape, error);
}

/* Copies the input into the middle of a frame of padding. */
static void pad_input(const struct convolution *convolution, const char *input, char *padded)
{
    size_t pixel = (size_t)convolution->channels * convolution->element_bytes, row = (size_t)convolution->width * pixel;
    size_t padded_row = (size_t)convolution->padded_width * pixel;
    memset(padded, 0, (size_t)convolution->padded_height * padded_row);
    char *target = padded + (size_t)convolution->spatial.pad[0] * padded_row + (size_t)convolution->spatial.pad[1] * pixel;
    for (int32_t y = 0; y < convolution->height; y++)
        memcpy(target + (size_t)y * padded_row, input + (size_t)y * row, row);
}

static void point_merged(const struct convolution *convolution, const char *padded, int64_t first, int rows, const void **table)
{
    size_t pixel = (size_t)convolution->channels * convolution->element_bytes, padded_row = (size_t)convolution->padded_width * pixel;
    for (int r = 0; r < rows; r++) {
        int64_t y = (first + r) / convolution->out_width, x = (first + r) % convolution->out_width;
        const char *start = padded + (size_t)(y * convolution->spatial.stride[0]) * padded_row + (size_t)(x * convolution->spatial.stride[1]) * pixel;
        for (int32_t t = 0; t < convolution->spatial.kernel[0]; t++)
            table[t * KERNEL_ROWS_MAX + r] = start + (size_t)(t * convolution->spatial.dilation[0]) * padded_row;
    }
}

static void point_taps(const struct convolution *convolution, const char *input, const char *zeros, int64_t first, int rows, const void **table)
{
    const struct spatial *s = &convolution->spatial;
    int64_t pixel = (int64_t)convolution->channels * (int64_t)convolution->element_bytes;
    for (int r = 0; r < rows; r++) {
        int32_t out_y = (int32_t)((first + r) / convolution->out_width), out_x = (int32_t)((first + r) % convolution->out_width);
        int32_t top = out_y * s->stride[0] - s->pad[0], left = out_x * s->stride[1] - s->pad[1];
        const void **entry = table + r;
        for (int32_t ky = 0; ky < s->kernel[0]; ky++) {
            int32_t y = top + ky * s->dilation[0];
            bool inside = y >= 0 && y < convolution->height;
            const char *row = input + (int64_t)y * convolution->width * pixel;
            for (int32_t kx = 0; kx < s->kernel[1]; kx++, entry += KERNEL_ROWS_MAX) {
                int32_t x = left + kx * s->dilation[1];
                *entry = inside && x >= 0 && x < convolution->width ? row + x * pixel : zeros;
            }
        }
    }
}

static void point_rows(const struct convolution *convolution, const char *input, int64_t first, int rows, const void **table)
{
    size_t pixel = (size_t)convolution->channels * convolution->element_bytes;
    for (int r = 0; r < rows; r++)
        table[r] = input + (size_t)(first + r) * pixel;
}

struct convolution_scratch {
    const void **table;
    char *padding, *padded;
};

static void run_image(const struct convolution *convolution, const char *input, char *output, const struct convolution_scratch *scratch)
{
    int64_t pixels = (int64_t)convolution->out_height * convolution->out_width, group_bytes = convolution->group_depth * (int64_t)convolution->element_bytes;
    int tile = packed_rows(&convolution->groups[0]);
    size_t element = convolution->groups[0].element_bytes;
    if (convolution->merged)
        pad_input(convolution, input, scratch->padded);
    for (int64_t g = 0; g < convolution->group_count; g++) {
        const char *group_input = input + g * group_bytes;
        char *group_output = output + (size_t)(g * convolution->group_columns) * element;
        for (int64_t first = 0; first < pixels; first += tile) {
            int rows = (int)(pixels - first < tile ? pixels - first : tile);
            if (convolution->direct)
                point_rows(convolution, group_input, first, rows, scratch->table);
            else if (convolution->merged)
                point_merged(convolution, scratch->padded, first, rows, scratch->table);
            else
                point_taps(convolution, group_input, scratch->padding, first, rows, scratch->table);
            packed_run(&convolution->groups[g], rows, scratch->table, group_output + (size_t)(first * convolution->out_channels) * element,
                       convolution->out_channels);
        }
    }
}

static void convolution_execute(const struct operation *operation, void *const *data, void *scratch_data)
{
    const struct convolution *convolution = operation->prepared;
    const char *input = operation_input_data(operation, data, 0);
    char *output = operation_output_data(operation, data, 0);
    struct convolution_scratch scratch = {.table = scratch_data, .padding = (char *)scratch_data + convolution->table_bytes};
    scratch.padded = scratch.padding + convolution->padding_bytes;
    memset(scratch.padding, 0, convolution->padding_bytes);
    size_t in_bytes = (size_t)convolution->height * (size_t)convolution->width * (size_t)convolution->channels * convolution->element_bytes;
    size_t out_bytes = (size_t)convolution->out_height * (size_t)convolution->out_width * (size_t)convolution->out_channels *
                       convolution->groups[0].element_bytes;
    for (int32_t n = 0; n < convolution->batch; n++)
        run_image(convolution, input + (size_t)n * in_bytes, output + (size_t)n * out_bytes, &scratch);
}

static size_t align(size_t bytes)
{
    return (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

static enum error_code pack_groups(struct operation *operation, struct convolution *convolution, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *weights = operation_input(operation, 1);
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2) : NULL;
    int64_t taps = (int64_t)convolution->spatial.kernel[0] * convolution->spatial.kernel[1], depth = convolution->group_depth;
    int64_t stride = convolution->group_columns * taps * depth;
    if (convolution->merged) {
        taps = convolution->spatial.kernel[0];
        depth *= convolution->spatial.kernel[1];
    }
    for (int64_t g = 0; g < convolution->group_count; g++) {
        int64_t first = g * convolution->group_columns;
        TRY(pack_f32(&convolution->groups[g], operation->kernels, arena, node, (const float *)weights->data + g * stride,
                     bias != NULL ? (const float *)bias->data + first : NULL, convolution->group_columns, taps, depth, error));
    }
    return ERROR_NONE;
}

static enum error_code check_types(const struct operation *operation, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *input = operation_input(operation, 0), *weights = operation_input(operation, 1), *output = operation_output(operation, 0);
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2) : NULL;
    if (weights->data == NULL || (bias != NULL && bias->data == NULL))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "weights or a bias that are not constant");
    bool floats = input->dtype == DTYPE_F32 && weights->dtype == DTYPE_F32 && output->dtype == DTYPE_F32;
    if (floats && (bias == NULL || bias->dtype == DTYPE_F32))
        return ERROR_NONE;
    return pack_8_check(node, input, weights, bias, output, weights->shape.dims[0], error);
}

enum error_code convolution_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct value *input = operation_input(operation, 0), *weights = operation_input(operation, 1), *output = operation_output(operation, 0);
    const struct spatial *spatial = &operation->node->attributes.spatial;
    TRY(check_types(operation, error));
    if (input->dtype != DTYPE_F32)
        return convolution_8_prepare(operation, arena, error);
    struct convolution *convolution = arena_allocate(arena, sizeof *convolution);
    struct packed *groups = arena_allocate_array(arena, (size_t)spatial->groups, sizeof *groups);
    if (convolution == NULL || groups == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    const int32_t *in = input->shape.dims, *out = output->shape.dims;
    *convolution = (struct convolution){
        .groups = groups, .group_count = spatial->groups, .group_depth = in[3] / spatial->groups, .group_columns = out[3] / spatial->groups,
        .batch = in[0], .height = in[1], .width = in[2], .channels = in[3], .out_height = out[1], .out_width = out[2], .out_channels = out[3],
        .spatial = *spatial, .element_bytes = dtype_bytes(input->dtype)};
    bool unpadded = (spatial->pad[0] | spatial->pad[1] | spatial->pad[2] | spatial->pad[3]) == 0;
    convolution->direct = spatial->kernel[0] * spatial->kernel[1] == 1 && spatial->stride[0] == 1 && spatial->stride[1] == 1 && unpadded;
    convolution->merged = !convolution->direct && in[3] <= FEW_CHANNELS && spatial->groups == 1 && spatial->dilation[1] == 1;
    TRY(pack_groups(operation, convolution, arena, error));
    convolution->table_bytes = align((size_t)spatial->kernel[0] * (size_t)spatial->kernel[1] * KERNEL_ROWS_MAX * sizeof(void *));
    convolution->padding_bytes = align((size_t)in[3] * convolution->element_bytes + KERNEL_OVERREAD_BYTES);
    convolution->padded_height = in[1] + spatial->pad[0] + spatial->pad[2];
    convolution->padded_width = in[2] + spatial->pad[1] + spatial->pad[3];
    operation->scratch_bytes = convolution->table_bytes + convolution->padding_bytes + KERNEL_OVERREAD_BYTES;
    if (convolution->merged)
        operation->scratch_bytes += (size_t)convolution->padded_height * (size_t)convolution->padded_width * (size_t)in[3] * convolution->element_bytes;
    operation->macs = (uint64_t)shape_elements(&output->shape) * (uint64_t)(weights->shape.dims[1] * (int64_t)weights->shape.dims[2] * weights->shape.dims[3]);
    operation->prepared = convolution;
    operation->execute = convolution_execute;
    return ERROR_NONE;
}
