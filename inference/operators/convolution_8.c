/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution of bytes as a matrix product of windows (kernels/bytes.h): a row of the product is a result pixel, given by a pointer to its
 * window's first input; the kernel positions (taps) lie at the same distances in every window. For that, inputs that need padding are copied
 * into a frame of zero points first: what this costs is won back many times, as no tap is looked at for its own sake, and a kernel row whose
 * pixels follow each other is one tap.
 *
 * Where a panel has room for several times as many columns as there are channels, pixels beside each other are one: with twice (4, 8 times) the
 * columns, over a window as wide as theirs together, in which the weights of each are zero outside its own.
 *
 * Threads share blocks of tiles or, where the weights are what is large, blocks of panels: each then reads a part of them. A block of
 * tiles fills the lines of the frame that it reads. */
#include "inference/kernels/pack_8.h"
#include "inference/operators/families.h"

#include <string.h>

enum {
    BLOCK_BYTES = 96 << 10, /* inputs of tiles that share one pass over a panel: they stay in the second-level cache */
    BLOCK_TILES = 32,
    WEIGHTS_SHARED_MAX = 512 << 10, /* bytes of weights that each of several threads reads without harm */
    PARTS_WANTED = 16,      /* enough for threads to end at about the same time */
    FRAMED_PARTS_WANTED = 8,
    PART_MACS_MIN = 1000000, /* about 2 us */
    JOINED_BYTES_MAX = 64 << 10, /* of weights, most of which are zero */
    RESULT_MACS = 48,       /* what turning a sum into a result costs, in MACs */
};

struct convolution_8 {
    struct packed_8 *groups;     /* [group_count] */
    int64_t group_count, group_depth, group_columns;
    int32_t height, width, channels, out_height, out_width, out_pitch, batch; /* height, width: of the frame where there is one */
    struct spatial spatial;
    int64_t *distances;          /* [taps] */
    int32_t image_height, image_width;
    int32_t joined;              /* so many result pixels beside each other are treated as one; widths, pitch, stride, columns are those of such */
    bool framed, merged, direct; /* merged: a kernel row is a tap; direct: results lie as their inputs do (1x1, stride 1) */
    uint8_t zero;
    int block_tiles;
    int64_t tiles, panels, blocks; /* of an image; blocks are what threads share */
    int64_t tile_rows, longer_tiles; /* so many of its first tiles have a row more */
    bool by_panels;              /* they are blocks of panels; else of tiles */
    size_t table_bytes, offsets_bytes; /* of a block, in scratch; the frame follows */
};

/* The frame's lines first .. last - 1: what lies right of one line's image and left of the next one's is one piece. */
static void fill_frame(const struct convolution_8 *convolution, const uint8_t *input, uint8_t *frame, int64_t first, int64_t last)
{
    size_t row = (size_t)(convolution->image_width * convolution->channels), frame_row = (size_t)(convolution->width * convolution->channels);
    int64_t top = convolution->spatial.pad[0], bottom = top + convolution->image_height;
    int64_t begin = first < top ? top < last ? top : last : first, end = last > bottom ? bottom > begin ? bottom : begin : last;
    uint8_t *at = frame + (size_t)first * frame_row, *image = frame + (size_t)begin * frame_row + convolution->spatial.pad[1] * convolution->channels;
    for (int64_t line = begin; line < end; line++, at = image + row, image += frame_row) {
        memset(at, convolution->zero, (size_t)(image - at));
        memcpy(image, input + (size_t)(line - top) * row, row);
    }
    memset(at, convolution->zero, (size_t)(frame + (size_t)last * frame_row - at));
}

/* Where the windows of result pixels lie, one after the other. */
struct windows {
    const uint8_t *at, *line;       /* of the next pixel; of its line's first */
    int64_t left;                   /* pixels in this line from the next one on; 0: that is the first of the next line */
    int64_t line_pixels, step, line_step;
};

static struct windows find_windows(const struct convolution_8 *convolution, const uint8_t *image, int64_t pixel)
{
    const int32_t *stride = convolution->spatial.stride;
    struct windows w = {.line_pixels = convolution->out_width, .step = (int64_t)stride[1] * convolution->channels,
                        .line_step = (int64_t)stride[0] * convolution->width * convolution->channels};
    if (convolution->direct)
        w.line_pixels *= convolution->out_height;
    int64_t y = pixel / w.line_pixels, x = pixel % w.line_pixels;
    w.line = image + y * w.line_step;
    w.at = w.line + x * w.step;
    w.left = w.line_pixels - x;
    return w;
}

/* The table has room for BYTE_ROWS_MAX. */
static void point_windows(struct windows *w, int rows, const uint8_t **table)
{
    const uint8_t *at = w->at; /* not of w: the table might be part of it, for all that the compiler knows */
    int64_t step = w->step;
    if (w->left >= BYTE_ROWS_MAX) { /* more than are asked for cost less than counting them */
        for (int r = 0; r < BYTE_ROWS_MAX; r++)
            table[r] = at + r * step;
        w->at = at + rows * step;
        w->left -= rows;
        return;
    }
    for (int r = 0; r < rows; r++, at += step) {
        if (w->left == 0) {
            at = w->line += w->line_step;
            w->left = w->line_pixels;
        }
        table[r] = at;
        w->left--;
    }
    w->at = at;
}

/* Tiles of an image and panels of a group: first .. last - 1. */
struct piece {
    int64_t first_tile, last_tile, first_panel, last_panel;
};

/* All tiles of an image have the same number of rows, or one less. */
static int64_t tile_start(const struct convolution_8 *convolution, int64_t tile)
{
    return tile * convolution->tile_rows + (tile < convolution->longer_tiles ? tile : convolution->longer_tiles);
}

static void run_piece(const struct convolution_8 *convolution, int64_t group, const struct piece *piece, const uint8_t *image, uint8_t *output, void *scratch)
{
    const uint8_t **tables = scratch;
    int32_t *offsets = (int32_t *)(void *)((char *)scratch + convolution->table_bytes);
    struct byte_rows block[BLOCK_TILES];
    int64_t pixel = tile_start(convolution, piece->first_tile);
    struct windows windows = find_windows(convolution, image, pixel);
    for (int64_t tile = piece->first_tile; tile < piece->last_tile;) {
        int count = 0;
        for (; count < convolution->block_tiles && tile < piece->last_tile; count++, tile++) {
            int rows = (int)convolution->tile_rows + (tile < convolution->longer_tiles);
            block[count] = (struct byte_rows){.inputs = tables + count * BYTE_ROWS_MAX, .rows = rows,
                                              .offsets = offsets + count * BYTE_ROWS_MAX, .out = output + pixel * convolution->out_pitch};
            point_windows(&windows, rows, tables + count * BYTE_ROWS_MAX);
            pixel += rows;
        }
        packed_8_run(&convolution->groups[group], count, block, convolution->out_pitch, piece->first_panel, piece->last_panel);
    }
}

/* Lines of the frame that the windows of some tiles reach. */
static void fill_lines(const struct convolution_8 *convolution, const struct piece *piece, const uint8_t *input, uint8_t *frame)
{
    const struct spatial *s = &convolution->spatial;
    int64_t first = tile_start(convolution, piece->first_tile) / convolution->out_width;
    int64_t last = (tile_start(convolution, piece->last_tile) - 1) / convolution->out_width;
    fill_frame(convolution, input, frame, first * s->stride[0], last * s->stride[0] + (s->kernel[0] - 1) * s->dilation[0] + 1);
}

/* Parts lie in the order image, block. */
static void convolution_8_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last)
{
    const struct convolution_8 *convolution = operation->prepared;
    const uint8_t *input = operation_input_data(operation, data, 0);
    uint8_t *output = operation_output_data(operation, data, 0), *frame = (uint8_t *)scratch + convolution->table_bytes + convolution->offsets_bytes;
    int64_t out_bytes = (int64_t)convolution->out_height * convolution->out_width * convolution->out_pitch;
    int64_t image_bytes = (int64_t)convolution->image_height * convolution->image_width * convolution->channels;
    for (int64_t n = first / convolution->blocks; n * convolution->blocks < last; n++) {
        int64_t begin = first - n * convolution->blocks, end = last - n * convolution->blocks;
        begin = begin > 0 ? begin : 0;
        end = end < convolution->blocks ? end : convolution->blocks;
        struct piece piece = {0, convolution->tiles, 0, convolution->panels};
        int64_t all = convolution->by_panels ? convolution->panels : convolution->tiles;
        *(convolution->by_panels ? &piece.first_panel : &piece.first_tile) = all * begin / convolution->blocks;
        *(convolution->by_panels ? &piece.last_panel : &piece.last_tile) = all * end / convolution->blocks;
        const uint8_t *image = input + n * image_bytes;
        if (convolution->framed)
            fill_lines(convolution, &piece, image, frame);
        for (int64_t g = 0; g < convolution->group_count; g++)
            run_piece(convolution, g, &piece, (convolution->framed ? frame : image) + g * convolution->group_depth,
                      output + n * out_bytes + g * convolution->group_columns, scratch);
    }
}

static int64_t convolution_8_pixels(const struct operation *operation, int64_t part)
{
    const struct convolution_8 *convolution = operation->prepared;
    return tile_start(convolution, convolution->tiles * part / convolution->blocks) * convolution->joined;
}

/* By shape alone. An even number, where there are many: two threads then end together. */
static void choose_parts(struct operation *operation, struct convolution_8 *convolution)
{
    const struct packed_8 *packed = &convolution->groups[0];
    int64_t pixels = (int64_t)convolution->out_height * convolution->out_width, rows = packed->kernels->rows;
    int64_t wanted = convolution->framed ? FRAMED_PARTS_WANTED : PARTS_WANTED;
    convolution->blocks = 1;
    if (pixels == 0 || convolution->batch == 0) /* no parts */
        return;
    int64_t results = pixels * convolution->group_columns * convolution->group_count;
    int64_t blocks = ((int64_t)operation->macs / convolution->batch + results * RESULT_MACS) / PART_MACS_MIN;
    convolution->tiles = (pixels + rows - 1) / rows;
    if (blocks > 1 && convolution->tiles > 1 && convolution->tiles < pixels)
        convolution->tiles += convolution->tiles % 2;
    convolution->tile_rows = pixels / convolution->tiles;
    convolution->longer_tiles = pixels % convolution->tiles;
    convolution->panels = packed_8_panels(packed);
    size_t weight_bytes = packed->panel_bytes * (size_t)convolution->panels;
    convolution->by_panels = convolution->group_count == 1 && convolution->panels > 1 &&
                             (weight_bytes > WEIGHTS_SHARED_MAX || convolution->tiles < convolution->panels);
    int64_t most = convolution->by_panels ? convolution->panels : convolution->tiles;
    blocks = blocks < wanted ? blocks : wanted;
    blocks = convolution->by_panels ? blocks : parts_for_bands(blocks, results);
    blocks = blocks < most ? blocks : most;
    convolution->blocks = blocks < 1 ? 1 : blocks > 2 ? blocks - blocks % 2 : blocks;
    operation->parts = convolution->batch * convolution->blocks;
    if (convolution->batch == 1 && !convolution->by_panels)
        operation->pixels_before = convolution_8_pixels;
}

/* What packing reads of a layer. */
struct sources {
    struct value weights;
    const int8_t *stored;
    const int32_t *bias;
};

/* Weights [joined * columns][height][width + (joined - 1) * stride][channels]: column j * columns + c is channel c of the j-th pixel. */
static enum error_code join_columns(const struct operation *operation, const struct convolution_8 *convolution, struct arena *arena, struct sources *sources,
                                    struct error *error)
{
    const struct shape shape = sources->weights.shape;
    const struct quantization *q = &sources->weights.quantization;
    int64_t columns = shape.dims[0], height = shape.dims[1], row = (int64_t)shape.dims[2] * shape.dims[3];
    int64_t wide = convolution->spatial.kernel[1] * (int64_t)shape.dims[3], shift = (wide - row) / (convolution->joined - 1);
    int64_t all = columns * convolution->joined;
    int8_t *stored = arena_allocate(arena, (size_t)(all * height * wide));
    int32_t *bias = arena_allocate_array(arena, (size_t)all * 2, sizeof *bias), *zeros = bias + all;
    float *scales = arena_allocate_array(arena, (size_t)all, sizeof *scales);
    if (stored == NULL || bias == NULL || scales == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    memset(stored, q->zero_point[0], (size_t)(all * height * wide));
    for (int64_t i = 0; i < all; i++) {
        int64_t c = i % columns;
        for (int64_t y = 0; y < height; y++)
            memcpy(stored + (i * height + y) * wide + i / columns * shift, sources->stored + (c * height + y) * row, (size_t)row);
        bias[i] = sources->bias != NULL ? sources->bias[c] : 0;
        scales[i] = q->scale[q->count == 1 ? 0 : c];
        zeros[i] = q->zero_point[0];
    }
    sources->weights.quantization = (struct quantization){.count = (int32_t)all, .scale = scales, .zero_point = zeros};
    sources->stored = stored;
    sources->bias = bias;
    return ERROR_NONE;
}

static enum error_code pack_groups(const struct operation *operation, struct convolution_8 *convolution, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *input = operation_input(operation, 0), *weights = operation_input(operation, 1), *output = operation_output(operation, 0);
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2) : NULL;
    struct sources from = {*weights, weights->data, bias != NULL ? bias->data : NULL};
    int64_t taps = weights->shape.dims[1], depth = convolution->group_depth, columns = convolution->group_columns;
    if (convolution->joined > 1)
        TRY(join_columns(operation, convolution, arena, &from, error));
    *(convolution->merged ? &depth : &taps) *= convolution->spatial.kernel[1];
    for (int64_t g = 0; g < convolution->group_count; g++) {
        int64_t first = g * columns;
        TRY(pack_8(&convolution->groups[g], operation->kernels->bytes, operation->graph->packed, arena, node, input, &from.weights, output,
                   from.stored + first * taps * depth, from.bias != NULL ? from.bias + first : NULL, first, columns, taps, depth,
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

/* Only where the product of what is joined takes no longer than that of its pixels. */
static void join_pixels(struct convolution_8 *convolution, const struct byte_kernels *kernels, bool dense)
{
    struct spatial *s = &convolution->spatial;
    int32_t joined = kernels->depth > 1 && convolution->merged && dense && s->stride[1] <= s->kernel[1] ? 8 : 1;
    while (joined > 1 && (joined * convolution->group_columns > kernels->narrow_columns || convolution->out_width % joined != 0 ||
                          (int64_t)s->kernel[0] * s->kernel[1] * convolution->channels > JOINED_BYTES_MAX / (joined * joined * convolution->group_columns)))
        joined /= 2;
    convolution->joined = joined;
    convolution->out_width /= joined;
    convolution->out_pitch *= joined;
    convolution->group_columns *= joined;
    s->kernel[1] += (joined - 1) * s->stride[1];
    s->stride[1] *= joined;
    convolution->direct = convolution->direct && joined == 1;
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
        .channels = in[3], .out_height = out[1], .out_width = out[2], .out_pitch = operation_output_pitch(operation), .spatial = *spatial,
        .framed = (pad[0] | pad[1] | pad[2] | pad[3]) != 0, .merged = spatial->groups == 1 && spatial->dilation[1] == 1,
        .zero = (uint8_t)input->quantization.zero_point[0]};
    convolution->direct = spatial->kernel[0] == 1 && spatial->kernel[1] == 1 && spatial->stride[0] == 1 && spatial->stride[1] == 1 && !convolution->framed;
    if ((int64_t)convolution->height * convolution->width > TENSOR_ELEMENTS_MAX / in[3])
        return operator_fail(operation->node, ERROR_LIMIT, error, "an input that is too large with its padding");
    join_pixels(convolution, operation->kernels->bytes, !output->placed);
    TRY(measure_taps(operation, convolution, arena, error));
    TRY(pack_groups(operation, convolution, arena, error));
    size_scratch(operation, convolution);
    operation->macs = (uint64_t)shape_elements(&output->shape) * (uint64_t)(weights->shape.dims[1] * (int64_t)weights->shape.dims[2] * weights->shape.dims[3]);
    choose_parts(operation, convolution);
    operation->weights_packed = 1;
    operation->prepared = convolution;
    operation->execute_parts = convolution_8_parts;
    return ERROR_NONE;
}
