/* SPDX-License-Identifier: Apache-2.0
 *
 * Float convolutions with few results, whose pixels lie at a fixed distance from each other: narrow_f32 goes along a line of the image, or, where
 * the kernel is one pixel, along all pixels of a part.
 *
 * Padding would disturb the distances: padded images are read from copies of the lines under the kernel, which stay in the first cache. A tap
 * then is a whole kernel row, or a pixel of a dilated one. */
#include "inference/operators/convolution_f32.h"

#include "inference/kernels/panels_f32.h"
#include "inference/operators/families.h"
#include "inference/packed.h"

#include <string.h>

enum {
    TILE_ROWS = 24,         /* a part of a 1x1 convolution is so many pixels, times some */
    PARTS_WANTED = 16,      /* see convolution_f32.c */
    PART_MACS_MIN = 200000,
};

struct narrow_convolution {
    struct narrow_f32 job;              /* but for where it reads and writes */
    struct spatial spatial;
    void (*run)(const struct narrow_f32 *job);
    int32_t height, width, channels, out_width, out_pitch;
    int64_t pixels;                     /* of a result */
    bool direct;                        /* 1x1, stride 1, no padding: all pixels are one line */
    int32_t slots;                      /* copied lines, one of zeros behind them; 0: lines are read where they are */
    int64_t slot_floats;
    int32_t taps_across;                /* of a kernel row */
    int64_t units, blocks;              /* of an image: lines, or tiles of pixels; parts */
};

struct image {
    const float *input, *residual;      /* residual may be NULL */
    float *output;
};

/* A thread's scratch. */
struct lines {
    float *copies;                      /* [slots + 1][slot_floats] */
    int64_t *held;                      /* [slots] which line of the image each is; -1: none */
    int64_t *distances;                 /* [taps] */
};

static bool is_direct(const struct spatial *s)
{
    return s->kernel[0] == 1 && s->kernel[1] == 1 && s->stride[0] == 1 && s->stride[1] == 1 && (s->pad[0] | s->pad[1] | s->pad[2] | s->pad[3]) == 0;
}

static const float *copied_line(const struct narrow_convolution *layer, const struct lines *lines, const float *image, int64_t y)
{
    int64_t slot = y % layer->slots, left = layer->spatial.pad[1] * layer->channels, line = (int64_t)layer->width * layer->channels;
    float *copy = lines->copies + slot * layer->slot_floats;
    if (lines->held[slot] == y)
        return copy;
    int64_t count = layer->slot_floats - left < line ? layer->slot_floats - left : line;
    memset(copy, 0, (size_t)left * sizeof *copy);
    memcpy(copy + left, image + y * line, (size_t)count * sizeof *copy);
    memset(copy + left + count, 0, (size_t)(layer->slot_floats - left - count) * sizeof *copy);
    lines->held[slot] = y;
    return copy;
}

/* Points the job at result line `y`. */
static void point_line(const struct narrow_convolution *layer, const struct lines *lines, const float *image, int64_t y, struct narrow_f32 *job)
{
    const struct spatial *s = &layer->spatial;
    int64_t *distance = lines->distances;
    job->input = layer->slots > 0 ? lines->copies : image;
    for (int32_t ky = 0; ky < s->kernel[0]; ky++) {
        int64_t at = y * s->stride[0] - s->pad[0] + (int64_t)ky * s->dilation[0];
        const float *line = image + at * layer->width * layer->channels;
        if (layer->slots > 0)
            line = at < 0 || at >= layer->height ? lines->copies + layer->slots * layer->slot_floats : copied_line(layer, lines, image, at);
        for (int32_t kx = 0; kx < layer->taps_across; kx++)
            *distance++ = (line - job->input + (int64_t)kx * s->dilation[1] * layer->channels) * (int64_t)sizeof(float);
    }
}

/* Result pixels [first, first + rows). */
static void run_rows(const struct narrow_convolution *layer, const struct image *image, int64_t first, int64_t rows, struct narrow_f32 *job)
{
    job->out = image->output + first * layer->out_pitch;
    job->residual = image->residual != NULL ? image->residual + first * layer->out_pitch : NULL;
    job->rows = rows;
    layer->run(job);
}

static void run_block(const struct narrow_convolution *layer, const struct lines *lines, const struct image *image, int64_t block)
{
    int64_t first = layer->units * block / layer->blocks, last = layer->units * (block + 1) / layer->blocks;
    struct narrow_f32 job = layer->job;
    job.distances = lines->distances;
    if (layer->direct) {
        int64_t end = last == layer->units ? layer->pixels : last * TILE_ROWS;
        lines->distances[0] = 0;
        job.input = image->input + first * TILE_ROWS * layer->channels;
        run_rows(layer, image, first * TILE_ROWS, end - first * TILE_ROWS, &job);
        return;
    }
    for (int64_t y = first; y < last; y++) {
        point_line(layer, lines, image->input, y, &job);
        run_rows(layer, image, y * layer->out_width, layer->out_width, &job);
    }
}

static size_t copies_floats(const struct narrow_convolution *layer)
{
    return (size_t)(layer->slots > 0 ? (layer->slots + 1) * layer->slot_floats : 0);
}

/* Parts lie in the order image, block. */
static void narrow_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last)
{
    const struct narrow_convolution *layer = operation->prepared;
    const float *input = operation_input_data(operation, data, 0);
    const float *residual = operation->node->input_count > 3 ? operation_input_data(operation, data, 3) : NULL;
    float *output = operation_output_data(operation, data, 0);
    struct lines lines = {.held = scratch, .distances = (int64_t *)scratch + layer->slots};
    lines.copies = (float *)(void *)(lines.distances + layer->job.taps);
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

/* weights: [columns][kernel rows][kernel columns][channels] */
static void fill_panel(const struct narrow_f32 *job, int64_t width, const float *weights, const float *bias, float *panel)
{
    int64_t together = narrow_together(width, job->columns);
    for (int64_t c = 0; c < job->columns; c++) {
        float *at = panel + c * together;
        at[0] = bias != NULL ? bias[c] : 0;
        at += width;
        for (int64_t t = 0; t < job->taps; t++) {
            for (int64_t k = 0; k < job->depth; k += together, at += width) {
                for (int64_t i = k; i < job->depth && i < k + together; i++)
                    at[i - k] = *weights++;
            }
        }
    }
}

static enum error_code pack(struct operation *operation, struct narrow_f32 *job, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const float *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2)->data : NULL;
    int64_t width = operation->kernels->narrow_columns, together = narrow_together(width, job->columns);
    int64_t vectors = 1 + job->taps * ((job->depth + together - 1) / together);
    size_t bytes;
    bool filled = false, fits = !__builtin_mul_overflow((size_t)vectors, (size_t)width * sizeof(float), &bytes);
    float *panel = fits ? packed_place(operation->graph->packed, arena, bytes, &filled) : NULL;
    if (panel == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "its weights need more memory than eddy allows");
    if (!filled)
        fill_panel(job, width, operation_input(operation, 1)->data, bias, panel);
    job->panel = panel;
    operation->weights_packed = 1;
    return ERROR_NONE;
}

static void choose_blocks(struct operation *operation, struct narrow_convolution *layer, int64_t batch)
{
    if (batch * layer->pixels == 0) /* an empty batch: no parts */
        return;
    int64_t tiles = layer->pixels / TILE_ROWS, parts_max = (int64_t)(operation->macs / (uint64_t)batch) / PART_MACS_MIN;
    int64_t most = (PARTS_WANTED + batch - 1) / batch < parts_max ? (PARTS_WANTED + batch - 1) / batch : parts_max;
    layer->units = !layer->direct ? layer->pixels / layer->out_width : tiles > 0 ? tiles : 1;
    layer->blocks = most < 1 ? 1 : most < layer->units ? most : layer->units;
    operation->parts = batch * layer->blocks;
}

bool narrow_convolution_fits(const struct operation *operation)
{
    const struct spatial *s = &operation->node->attributes.spatial;
    const int32_t *out = operation_output(operation, 0)->shape.dims;
    return out[3] <= operation->kernels->narrow_columns && s->groups == 1 && (is_direct(s) ? (int64_t)out[1] * out[2] : out[2]) >= NARROW_ROWS_MIN;
}

enum error_code narrow_convolution_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const int32_t *in = operation_input(operation, 0)->shape.dims, *out = operation_output(operation, 0)->shape.dims;
    const struct spatial *s = &operation->node->attributes.spatial;
    struct narrow_convolution *layer = arena_allocate(arena, sizeof *layer);
    if (layer == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    *layer = (struct narrow_convolution){.run = operation->kernels->narrow_f32, .spatial = *s, .height = in[1], .width = in[2], .channels = in[3],
                                         .out_width = out[2], .pixels = (int64_t)out[1] * out[2], .out_pitch = operation_output_pitch(operation),
                                         .direct = is_direct(s)};
    layer->taps_across = s->dilation[1] == 1 ? 1 : s->kernel[1];
    if ((s->pad[0] | s->pad[1] | s->pad[2] | s->pad[3]) != 0) {
        layer->slots = (s->kernel[0] - 1) * s->dilation[0] + 1;
        layer->slot_floats = ((int64_t)(out[2] - 1) * s->stride[1] + (int64_t)(s->kernel[1] - 1) * s->dilation[1] + 1) * layer->channels;
    }
    layer->job = (struct narrow_f32){.taps = (int64_t)s->kernel[0] * layer->taps_across, .depth = s->kernel[1] / layer->taps_across * in[3],
                                     .in_stride = (int64_t)s->stride[1] * layer->channels, .out_stride = layer->out_pitch, .columns = out[3],
                                     .epilogue = panels_f32_epilogue(operation->node)};
    TRY(pack(operation, &layer->job, arena, error));
    operation->macs = (uint64_t)(in[0] * layer->pixels * out[3]) * (uint64_t)(layer->job.taps * layer->job.depth);
    choose_blocks(operation, layer, in[0]);
    operation->scratch_bytes = (size_t)(layer->slots + layer->job.taps) * sizeof(int64_t) + copies_floats(layer) * sizeof(float);
    operation->prepared = layer;
    operation->execute_parts = narrow_parts;
    return ERROR_NONE;
}
