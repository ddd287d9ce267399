/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution of bytes as a matrix product of windows (kernels/bytes.h): a row of the product is a result pixel, given by a pointer to its
 * window's first input; the kernel positions (taps) lie at the same distances in every window. For that, inputs that need padding are copied
 * into a frame of zero points first: what this costs is won back many times, as no tap is looked at for its own sake, and a kernel row whose
 * pixels follow each other is one tap. */
#include "inference/kernels/pack_8.h"
#include "inference/operators/families.h"

#include <string.h>

enum {
    BLOCK_BYTES = 96 << 10, /* inputs of tiles that share one pass over a panel: they stay in the second-level cache */
    BLOCK_TILES = 32,
};

struct convolution_8 {
    struct packed_8 *groups;     /* [group_count] */
    int64_t group_count, group_depth, group_columns;
    int32_t height, width, channels, out_height, out_width, out_channels, batch; /* height, width: of the frame where there is one */
    struct spatial spatial;
    int64_t *distances;          /* [taps] */
    int32_t image_height, image_width;
    bool framed, merged, direct; /* merged: a kernel row is a tap; direct: results lie as their inputs do (1x1, stride 1) */
    uint8_t zero;
    int block_tiles;
    size_t table_bytes, offsets_bytes; /* of a block, in scratch; the frame follows */
};

static void fill_frame(const struct convolution_8 *convolution, const uint8_t *input, uint8_t *frame)
{
    size_t row = (size_t)(convolution->image_width * convolution->channels), frame_row = (size_t)(convolution->width * convolution->channels);
    size_t left = (size_t)(convolution->spatial.pad[1] * convolution->channels), right = frame_row - left - row;
    memset(frame, convolution->zero, (size_t)convolution->spatial.pad[0] * frame_row);
    frame += (size_t)convolution->spatial.pad[0] * frame_row;
    for (int32_t y = 0; y < convolution->image_height; y++, frame += frame_row) {
        memset(frame, convolution->zero, left);
        memcpy(frame + left, input + (size_t)y * row, row);
        memset(frame + left + row, convolution->zero, right);
    }
    memset(frame, convolution->zero, (size_t)convolution->spatial.pad[2] * frame_row);
}

static void point_pixels(const struct convolution_8 *convolution, const uint8_t *image, int64_t first, int rows, const uint8_t **table)
{
    image += first * convolution->channels;
    for (int r = 0; r < rows; r++, image += convolution->channels)
        table[r] = image;
}

static void point_windows(const struct convolution_8 *convolution, const uint8_t *image, int64_t first, int rows, const uint8_t **table)
{
    const int32_t *stride = convolution->spatial.stride;
    int64_t step = (int64_t)stride[1] * convolution->channels, line = (int64_t)stride[0] * convolution->width * convolution->channels;
    int64_t out_y = first / convolution->out_width, out_x = first % convolution->out_width;
    const uint8_t *at = image + out_y * line + out_x * step;
    for (int r = 0; r < rows;) {
        int64_t left = convolution->out_width - out_x;
        int end = left < rows - r ? r + (int)left : rows;
        for (; r < end; r++, at += step)
            table[r] = at;
        out_x = 0;
        at = image + ++out_y * line;
    }
}

/* Tiles first .. last - 1 of `tiles`; all have the same number of rows, or one less. */
static void run_tiles(const struct convolution_8 *convolution, int64_t group, const uint8_t *image, uint8_t *output, int64_t first, int64_t last,
                      int64_t tiles, void *scratch)
{
    const struct packed_8 *packed = &convolution->groups[group];
    int64_t pixels = (int64_t)convolution->out_height * convolution->out_width, rows = pixels / tiles, longer = pixels % tiles;
    const uint8_t **tables = scratch;
    int32_t *offsets = (int32_t *)(void *)((char *)scratch + convolution->table_bytes);
    struct byte_rows block[BLOCK_TILES];
    for (int64_t tile = first; tile < last;) {
        int count = 0;
        for (; count < convolution->block_tiles && tile < last; count++, tile++) {
            int64_t pixel = tile * rows + (tile < longer ? tile : longer);
            block[count] = (struct byte_rows){.inputs = tables + count * BYTE_ROWS_MAX, .rows = (int)rows + (tile < longer),
                                              .offsets = offsets + count * BYTE_ROWS_MAX, .out = output + pixel * convolution->out_channels};
            if (convolution->direct)
                point_pixels(convolution, image, pixel, block[count].rows, tables + count * BYTE_ROWS_MAX);
            else
                point_windows(convolution, image, pixel, block[count].rows, tables + count * BYTE_ROWS_MAX);
        }
        packed_8_run(packed, count, block, convolution->out_channels);
    }
}

static void convolution_8_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct convolution_8 *convolution = operation->prepared;
    const uint8_t *input = operation_input_data(operation, data, 0);
    uint8_t *output = operation_output_data(operation, data, 0), *frame = (uint8_t *)scratch + convolution->table_bytes + convolution->offsets_bytes;
    int64_t pixels = (int64_t)convolution->out_height * convolution->out_width;
    int64_t image_bytes = (int64_t)convolution->image_height * convolution->image_width * convolution->channels;
    int64_t rows = convolution->groups[0].kernels->rows, tiles = (pixels + rows - 1) / rows;
    for (int32_t n = 0; n < convolution->batch; n++, input += image_bytes, output += pixels * convolution->out_channels) {
        if (convolution->framed)
            fill_frame(convolution, input, frame);
        for (int64_t g = 0; g < convolution->group_count; g++)
            run_tiles(convolution, g, (convolution->framed ? frame : input) + g * convolution->group_depth, output + g * convolution->group_columns, 0,
                      tiles, tiles, scratch);
    }
}

static enum error_code pack_groups(const struct operation *operation, struct convolution_8 *convolution, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *input = operation_input(operation, 0), *weights = operation_input(operation, 1), *output = operation_output(operation, 0);
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2) : NULL;
    int64_t taps = (int64_t)weights->shape.dims[1] * weights->shape.dims[2], depth = convolution->group_depth;
    int64_t stride = convolution->group_columns * taps * depth;
    if (convolution->merged) {
        taps = weights->shape.dims[1];
        depth *= weights->shape.dims[2];
    }
    for (int64_t g = 0; g < convolution->group_count; g++) {
        int64_t first = g * convolution->group_columns;
        TRY(pack_8(&convolution->groups[g], operation->kernels->bytes, arena, node, input, weights, output, (const int8_t *)weights->data + g * stride,
                   bias != NULL ? (const int32_t *)bias->data + first : NULL, first, convolution->group_columns, taps, depth,
                   convolution->distances, error));
    }
    return ERROR_NONE;
}

static enum error_code measure_taps(const struct operation *operation, struct convolution_8 *convolution, struct arena *arena, struct error *error)
{
    const struct spatial *s = &convolution->spatial;
    convolution->distances = arena_allocate_array(arena, (size_t)s->kernel[0] * (size_t)s->kernel[1], sizeof *convolution->distances);
    if (convolution->distances == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    int32_t steps = convolution->merged ? 1 : s->kernel[1];
    for (int32_t ky = 0; ky < s->kernel[0]; ky++) {
        for (int32_t kx = 0; kx < steps; kx++)
            convolution->distances[ky * steps + kx] =
                ((int64_t)ky * s->dilation[0] * convolution->width + (int64_t)kx * s->dilation[1]) * convolution->channels;
    }
    return ERROR_NONE;
}

static size_t align(size_t bytes)
{
    return (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

static void size_scratch(struct operation *operation, struct convolution_8 *convolution)
{
    const struct packed_8 *packed = &convolution->groups[0];
    int64_t area = (int64_t)convolution->spatial.stride[0] * convolution->spatial.stride[1]; /* new inputs of a result, in pixels */
    int64_t block = area > BLOCK_BYTES ? 0 : BLOCK_BYTES / (packed->kernels->rows * (int64_t)convolution->channels * area);
    convolution->block_tiles = block < 1 ? 1 : block > BLOCK_TILES ? BLOCK_TILES : (int)block;
    convolution->table_bytes = align((size_t)convolution->block_tiles * BYTE_ROWS_MAX * sizeof(void *));
    convolution->offsets_bytes = align((size_t)convolution->block_tiles * BYTE_ROWS_MAX * sizeof(int32_t));
    operation->scratch_bytes = convolution->table_bytes + convolution->offsets_bytes;
    if (convolution->framed)
        operation->scratch_bytes += (size_t)convolution->height * (size_t)convolution->width * (size_t)convolution->channels + KERNEL_OVERREAD_BYTES;
}

enum error_code convolution_8_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct value *input = operation_input(operation, 0), *weights = operation_input(operation, 1), *output = operation_output(operation, 0);
    const struct spatial *spatial = &operation->node->attributes.spatial;
    int32_t weight_zero;
    if (!pack_8_weight_zero(weights, &weight_zero))
        return wide_convolution_prepare(operation, arena, error);
    struct convolution_8 *convolution = arena_allocate(arena, sizeof *convolution);
    struct packed_8 *groups = arena_allocate_array(arena, (size_t)spatial->groups, sizeof *groups);
    if (convolution == NULL || groups == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    const int32_t *in = input->shape.dims, *out = output->shape.dims;
    const int32_t *pad = spatial->pad;
    *convolution = (struct convolution_8){
        .groups = groups, .group_count = spatial->groups, .group_depth = in[3] / spatial->groups, .group_columns = out[3] / spatial->groups,
        .batch = in[0], .height = in[1] + pad[0] + pad[2], .width = in[2] + pad[1] + pad[3], .image_height = in[1], .image_width = in[2],
        .channels = in[3], .out_height = out[1], .out_width = out[2], .out_channels = out[3], .spatial = *spatial,
        .framed = (pad[0] | pad[1] | pad[2] | pad[3]) != 0, .merged = spatial->groups == 1 && spatial->dilation[1] == 1,
        .zero = (uint8_t)input->quantization.zero_point[0]};
    convolution->direct = spatial->kernel[0] == 1 && spatial->kernel[1] == 1 && spatial->stride[0] == 1 && spatial->stride[1] == 1 && !convolution->framed;
    if ((int64_t)convolution->height * convolution->width > TENSOR_ELEMENTS_MAX / in[3])
        return operator_fail(operation->node, ERROR_LIMIT, error, "an input that is too large with its padding");
    TRY(measure_taps(operation, convolution, arena, error));
    TRY(pack_groups(operation, convolution, arena, error));
    size_scratch(operation, convolution);
    operation->macs = (uint64_t)shape_elements(&output->shape) * (uint64_t)(weights->shape.dims[1] * (int64_t)weights->shape.dims[2] * weights->shape.dims[3]);
    operation->prepared = convolution;
    operation->execute = convolution_8_execute;
    return ERROR_NONE;
}
