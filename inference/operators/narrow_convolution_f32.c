/* SPDX-License-Identifier: Apache-2.0
 *
 * Float convolutions with few results, whose pixels lie at a fixed distance from each other: narrow_f32 goes along a line of the image, or, where
 * the kernel is one pixel, along all pixels of a part. 17 to 24 results are one panel of 16 and one of what is left.
 *
 * Padding would disturb the distances: padded images are read from copies of the lines under the kernel, which stay in the first cache, or, where
 * lines are long, from copies of what lies under their ends alone. A tap then is a whole kernel row, or a pixel of a dilated one. */
#include "inference/operators/convolution_f32.h"

#include "inference/kernels/panels_f32.h"
#include "inference/operators/families.h"
#include "inference/packed.h"

#include <string.h>

enum {
    PANELS_MAX = 2,
    TILE_ROWS = 24,         /* a part of a 1x1 convolution is so many pixels, times some */
    COPIES_MAX = 1 << 16,   /* floats */
    PARTS_WANTED = 16,      /* see convolution_f32.c */
    PART_MACS_MIN = 200000,
};

struct narrow_convolution {
    struct narrow_f32 panels[PANELS_MAX]; /* but for where they read and write */
    int panel_count;
    struct spatial spatial;
    void (*run)(const struct narrow_f32 *job);
    int32_t height, width, channels, out_width, out_pitch;
    int64_t pixels;                     /* of a result */
    bool direct;                        /* 1x1, stride 1, no padding: all pixels are one line */
    int64_t slots;                      /* copied lines, one of zeros behind them; 0: lines are read where they are */
    int64_t slot_floats;
    int32_t ends[2];                    /* of a line of results: so many pixels at its left and right are read from copies, the others where they
                                         * are; 0, 0: whole lines are copied */
    int32_t taps_across;                /* of a kernel row */
    int64_t units, blocks;              /* of an image: lines, or tiles of pixels; parts */
};

struct image {
    const float *input, *residual;      /* residual may be NULL */
    float *output;
};

/* A thread's scratch: distances, held, copies. */
struct lines {
    float *copies;                      /* [slots + 1][slot_floats] */
    int64_t *held;                      /* [slots] which line of the image each is; -1: none */
    int64_t *distances;                 /* [taps] */
};

static bool has_padding(const struct spatial *s)
{
    return (s->pad[0] | s->pad[1] | s->pad[2] | s->pad[3]) != 0;
}

static bool is_direct(const struct spatial *s)
{
    return s->kernel[0] == 1 && s->kernel[1] == 1 && s->stride[0] == 1 && s->stride[1] == 1 && !has_padding(s);
}

/* `floats` of a line from that column on, zeros where it has none. */
static void copy_columns(const struct narrow_convolution *layer, const float *line, int64_t column, int64_t floats, float *copy)
{
    int64_t from = column * layer->channels, left = from < 0 ? -from : 0, end = (int64_t)layer->width * layer->channels - from;
    left = left < floats ? left : floats; /* padding may be wider than what is looked at */
    end = end < left ? left : end < floats ? end : floats;
    memset(copy, 0, (size_t)left * sizeof *copy);
    memcpy(copy + left, line + from + left, (size_t)(end - left) * sizeof *copy);
    memset(copy + end, 0, (size_t)(floats - end) * sizeof *copy);
}

/* Floats of what lies under so many result pixels of a line. */
static int64_t window_floats(const struct spatial *s, int32_t channels, int64_t pixels)
{
    return ((pixels - 1) * s->stride[1] + (int64_t)(s->kernel[1] - 1) * s->dilation[1] + 1) * channels;
}

/* Input line y from that column on, for so many result pixels. */
static const float *copied_line(const struct narrow_convolution *layer, const struct lines *lines, const float *image, int64_t y, int64_t column,
                                int64_t pixels)
{
    int64_t slot = y % layer->slots;
    float *copy = lines->copies + slot * layer->slot_floats;
    bool whole = layer->ends[0] + layer->ends[1] == 0;
    if (whole && lines->held[slot] == y)
        return copy;
    copy_columns(layer, image + y * layer->width * layer->channels, column, window_floats(&layer->spatial, layer->channels, pixels), copy);
    lines->held[slot] = y;
    return copy;
}

/* Where result pixels [x, x + pixels) of line y are read, and the taps' distances from there. copied: not where they are. */
static const float *point_line(const struct narrow_convolution *layer, const struct lines *lines, const float *image, int64_t y, int64_t x, int64_t pixels,
                               bool copied)
{
    const struct spatial *s = &layer->spatial;
    int64_t *distance = lines->distances, column = x * s->stride[1] - s->pad[1];
    const float *origin = copied ? lines->copies : image;
    for (int32_t ky = 0; ky < s->kernel[0]; ky++) {
        int64_t at = y * s->stride[0] - s->pad[0] + (int64_t)ky * s->dilation[0];
        const float *line;
        if (at < 0 || at >= layer->height)
            line = lines->copies + layer->slots * layer->slot_floats;
        else if (copied)
            line = copied_line(layer, lines, image, at, column, pixels);
        else
            line = image + (at * layer->width + column) * layer->channels;
        for (int32_t kx = 0; kx < layer->taps_across; kx++)
            *distance++ = (line - origin + (int64_t)kx * s->dilation[1] * layer->channels) * (int64_t)sizeof(float);
    }
    return origin;
}

/* Result pixels [first, first + rows), `input` under the first of them. What two panels read stays in the first cache. */
static void run_rows(const struct narrow_convolution *layer, const struct lines *lines, const struct image *image, const float *input, int64_t first,
                     int64_t rows)
{
    for (int64_t count; rows > 0; first += count, input += count * layer->panels[0].in_stride, rows -= count) {
        count = layer->panel_count > 1 && rows >= TILE_ROWS + NARROW_ROWS_MIN ? TILE_ROWS : rows;
        for (int64_t p = 0, at = first * layer->out_pitch; p < layer->panel_count; at += layer->panels[p++].columns) {
            struct narrow_f32 job = layer->panels[p];
            job.distances = lines->distances;
            job.input = input;
            job.out = image->output + at;
            job.residual = image->residual != NULL ? image->residual + at : NULL;
            job.rows = count;
            layer->run(&job);
        }
    }
}

static void run_block(const struct narrow_convolution *layer, const struct lines *lines, const struct image *image, int64_t block)
{
    int64_t first = layer->units * block / layer->blocks, last = layer->units * (block + 1) / layer->blocks;
    if (layer->direct) {
        int64_t end = last == layer->units ? layer->pixels : last * TILE_ROWS;
        first *= TILE_ROWS;
        lines->distances[0] = 0;
        run_rows(layer, lines, image, image->input + first * layer->channels, first, end - first);
        return;
    }
    for (int64_t y = first; y < last; y++) {
        for (int64_t x = 0, count; x < layer->out_width; x += count) {
            int64_t right = layer->out_width - layer->ends[1];
            bool middle = x >= layer->ends[0] && x < right;
            count = x < layer->ends[0] ? layer->ends[0] : middle ? right - x : layer->out_width - x;
            bool copied = layer->slots > 0 && (!middle || layer->ends[0] + layer->ends[1] == 0);
            run_rows(layer, lines, image, point_line(layer, lines, image->input, y, x, count, copied), y * layer->out_width + x, count);
        }
    }
}

/* Parts lie in the order image, block. */
static void narrow_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last)
{
    const struct narrow_convolution *layer = operation->prepared;
    const float *input = operation_input_data(operation, data, 0);
    const float *residual = operation->node->input_count > 3 ? operation_input_data(operation, data, 3) : NULL;
    float *output = operation_output_data(operation, data, 0);
    struct lines lines = {.distances = scratch, .held = (int64_t *)scratch + layer->panels[0].taps};
    lines.copies = (float *)(void *)(lines.held + layer->slots);
    if (layer->slots > 0)
        memset(lines.copies + layer->slots * layer->slot_floats, 0, (size_t)layer->slot_floats * sizeof *lines.copies);
    for (int64_t part = first; part < last; part++) {
        int64_t n = part / layer->blocks, block = part % layer->blocks, out_at = n * layer->pixels * layer->out_pitch;
        for (int64_t i = 0; i < layer->slots && (part == first || block == 0); i++)
            lines.held[i] = -1;
        struct image image = {.input = input + n * layer->height * layer->width * layer->channels, .output = output + out_at,
                              .residual = residual != NULL ? residual + out_at : NULL};
        run_block(layer, &lines, &image, block);
    }
}

/* weights: [columns][taps][depth] */
static void fill_panel(const struct narrow_f32 *panel, int64_t width, const float *weights, const float *bias, float *out)
{
    int64_t together = narrow_together(width, panel->columns);
    for (int64_t c = 0; c < panel->columns; c++) {
        float *at = out + c * together;
        at[0] = bias != NULL ? bias[c] : 0;
        at += width;
        for (int64_t t = 0; t < panel->taps; t++) {
            for (int64_t k = 0; k < panel->depth; k += together, at += width) {
                for (int64_t i = k; i < panel->depth && i < k + together; i++)
                    at[i - k] = *weights++;
            }
        }
    }
}

static enum error_code pack(struct operation *operation, struct narrow_f32 *panel, int64_t first, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const float *weights = operation_input(operation, 1)->data;
    const float *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2)->data : NULL;
    int64_t width = operation->kernels->narrow_columns, together = narrow_together(width, panel->columns);
    int64_t vectors = 1 + panel->taps * ((panel->depth + together - 1) / together);
    size_t bytes;
    bool filled = false, fits = !__builtin_mul_overflow((size_t)vectors, (size_t)width * sizeof(float), &bytes);
    float *data = fits ? packed_place(operation->graph->packed, arena, bytes, &filled) : NULL;
    if (data == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "its weights need more memory than eddy allows");
    if (!filled)
        fill_panel(panel, width, weights + first * panel->taps * panel->depth, bias != NULL ? bias + first : NULL, data);
    panel->panel = data;
    return ERROR_NONE;
}

static int64_t narrow_pixels(const struct operation *operation, int64_t part)
{
    const struct narrow_convolution *layer = operation->prepared;
    return part < layer->blocks ? layer->units * part / layer->blocks * (layer->direct ? TILE_ROWS : layer->out_width) : layer->pixels;
}

static void choose_blocks(struct operation *operation, struct narrow_convolution *layer, int64_t batch)
{
    if (batch * layer->pixels == 0) /* an empty batch: no parts */
        return;
    int64_t tiles = layer->pixels / TILE_ROWS, parts_max = (int64_t)(operation->macs / (uint64_t)batch) / PART_MACS_MIN;
    int64_t most = (PARTS_WANTED + batch - 1) / batch < parts_max ? (PARTS_WANTED + batch - 1) / batch : parts_max;
    layer->units = !layer->direct ? layer->pixels / layer->out_width : tiles > 0 ? tiles : 1;
    most = parts_for_bands(most < 1 ? 1 : most, layer->pixels * operation_output(operation, 0)->shape.dims[3] * (int64_t)sizeof(float));
    layer->blocks = most < layer->units ? most : layer->units;
    operation->parts = batch * layer->blocks;
    if (batch == 1)
        operation->pixels_before = narrow_pixels;
}

/* Lines under the kernel. */
static int64_t kernel_lines(const struct spatial *s)
{
    return (int64_t)(s->kernel[0] - 1) * s->dilation[0] + 1;
}

/* Copies of the ends of lines, where that is less to copy than lines as a whole and leaves enough in between. */
static void choose_ends(struct narrow_convolution *layer)
{
    const struct spatial *s = &layer->spatial;
    int64_t width = layer->out_width, last = (int64_t)layer->width - 1 - (int64_t)(s->kernel[1] - 1) * s->dilation[1] + s->pad[1];
    int64_t outside[2] = {(s->pad[1] + s->stride[1] - 1) / s->stride[1], last < 0 ? width : width - 1 - last / s->stride[1]}, copied = 0, pixels = 0;
    for (int i = 0; i < 2; i++) {
        outside[i] = outside[i] <= 0 ? 0 : outside[i] < NARROW_ROWS_MIN ? NARROW_ROWS_MIN : outside[i];
        copied += outside[i] > 0 ? window_floats(s, layer->channels, outside[i]) * s->kernel[0] : 0;
        pixels += outside[i];
    }
    if (pixels > 0 && pixels + NARROW_ROWS_MIN <= width && copied < window_floats(s, layer->channels, width) * s->stride[0]) {
        layer->ends[0] = (int32_t)outside[0];
        layer->ends[1] = (int32_t)outside[1];
    }
}

bool narrow_convolution_fits(const struct operation *operation)
{
    const struct spatial *s = &operation->node->attributes.spatial;
    const int32_t *in = operation_input(operation, 0)->shape.dims, *out = operation_output(operation, 0)->shape.dims;
    int32_t width = operation->kernels->narrow_columns;
    int64_t rows = is_direct(s) ? (int64_t)out[1] * out[2] : out[2];
    bool small = !has_padding(s) || window_floats(s, in[3], out[2]) <= COPIES_MAX / (kernel_lines(s) + 1);
    return out[3] <= width + width / 2 && s->groups == 1 && rows >= NARROW_ROWS_MIN && small;
}

enum error_code narrow_convolution_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const int32_t *in = operation_input(operation, 0)->shape.dims, *out = operation_output(operation, 0)->shape.dims;
    const struct spatial *s = &operation->node->attributes.spatial;
    int32_t width = operation->kernels->narrow_columns;
    struct narrow_convolution *layer = arena_allocate(arena, sizeof *layer);
    if (layer == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    *layer = (struct narrow_convolution){.run = operation->kernels->narrow_f32, .spatial = *s, .height = in[1], .width = in[2], .channels = in[3],
                                         .out_width = out[2], .pixels = (int64_t)out[1] * out[2], .out_pitch = operation_output_pitch(operation),
                                         .direct = is_direct(s)};
    layer->taps_across = s->dilation[1] == 1 ? 1 : s->kernel[1];
    if (has_padding(s)) {
        layer->slots = kernel_lines(s);
        layer->slot_floats = window_floats(s, in[3], out[2]);
        choose_ends(layer);
    }
    for (int32_t first = 0; first < out[3]; first += width) {
        struct narrow_f32 *panel = &layer->panels[layer->panel_count++];
        *panel = (struct narrow_f32){.taps = (int64_t)s->kernel[0] * layer->taps_across, .depth = (int64_t)s->kernel[1] / layer->taps_across * in[3],
                                     .in_stride = (int64_t)s->stride[1] * layer->channels, .out_stride = layer->out_pitch,
                                     .columns = out[3] - first < width ? out[3] - first : width, .epilogue = panels_f32_epilogue(operation->node)};
        TRY(pack(operation, panel, first, arena, error));
    }
    operation->macs = (uint64_t)(in[0] * layer->pixels * out[3]) * (uint64_t)(layer->panels[0].taps * layer->panels[0].depth);
    choose_blocks(operation, layer, in[0]);
    operation->scratch_bytes = (size_t)(layer->panels[0].taps + layer->slots) * sizeof(int64_t);
    operation->scratch_bytes += layer->slots > 0 ? (size_t)((layer->slots + 1) * layer->slot_floats) * sizeof(float) : 0;
    operation->weights_packed = 1;
    operation->prepared = layer;
    operation->execute_parts = narrow_parts;
    return ERROR_NONE;
}
