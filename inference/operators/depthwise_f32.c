/* SPDX-License-Identifier: Apache-2.0
 *
 * Float depthwise convolution, weights [KH, KW, C]. A window that sticks out of the image only loses the taps outside: nothing is padded.
 * 3 x 3 taps that lie beside each other are done a row at a time, where the kernels can: rows above and below the image are zeros.
 * Else a result row is a run of pixels whose taps are the same and, at its ends, pixels with fewer. Images of few columns, where the ends would
 * be most of the work, are done column by column instead.
 * Where channels do not fill vectors and pixels follow each other (stride 1), several pixels are done as one with more channels: memory is
 * the same, the weights are repeated. */
#include "inference/kernels/panels_f32.h"
#include "inference/operators/families.h"

#include <string.h>

enum {
    TAPS_MAX = 1024,          /* as depthwise_infer allows */
    PARTS_WANTED = 16,        /* enough for threads to end at about the same time */
    PART_MACS_MIN = 60000,    /* about 2 us: sharing less costs more than it brings */
    FOLDED_CHANNELS_MAX = 256,
    NARROW = 8,               /* pixels */
};

struct depthwise_f32_layer {
    const float *weights, *bias;       /* [KH][KW][fold * C], [fold * C] */
    struct float_epilogue epilogue;
    struct spatial spatial;
    int32_t batch, height, width, channels, out_height, out_width;
    bool sliding;                      /* by kernels->depthwise_3x3_f32 */
    int32_t first_inside[2], last_inside[2]; /* result rows, columns whose window lies inside: [first, last) */
    bool narrow;                       /* columns are done in runs down the image, not rows in runs across */
    int32_t fold;                      /* pixels that are done as if they were one of so many more channels; 1: none */
    int32_t part_rows;
    int64_t image_parts;
};

/* The first kernel position that lies inside, and the first behind it that does not. */
static void clip_taps(int32_t start, int32_t kernel, int32_t dilation, int32_t extent, int32_t *first, int32_t *last)
{
    *first = start < 0 ? (-start + dilation - 1) / dilation : 0;
    *last = start >= extent ? 0 : (extent - 1 - start) / dilation + 1;
    *last = *last < kernel ? *last : kernel;
    *last = *last > *first ? *last : *first;
}

/* A job over tables of TAPS_MAX rows. */
struct run {
    struct depthwise_f32 job;
    const float *inputs[TAPS_MAX], *weights[TAPS_MAX];
};

/* `pixels` results of row y from column x on, whose taps are those of the first. fold: so many pixels at once. */
static void run_across(const struct operation *operation, const struct depthwise_f32_layer *layer, const float *image, int32_t y, int32_t x, int64_t pixels,
                       int32_t fold, float *out, struct run *run)
{
    const struct spatial *s = &layer->spatial;
    int32_t top = y * s->stride[0] - s->pad[0], left = x * s->stride[1] - s->pad[1], first_row, last_row, first, last;
    clip_taps(top, s->kernel[0], s->dilation[0], layer->height, &first_row, &last_row);
    clip_taps(left, s->kernel[1], s->dilation[1], layer->width, &first, &last);
    struct depthwise_f32 *job = &run->job;
    job->rows = last_row - first_row;
    job->columns = last - first;
    job->pixels = pixels / fold;
    job->channels = job->out_step = (int64_t)fold * layer->channels;
    job->step = s->stride[1] * job->channels;
    job->tap_step = (int64_t)s->dilation[1] * layer->channels;
    job->weight_step = (int64_t)layer->fold * layer->channels;
    job->out = out + ((int64_t)y * layer->out_width + x) * layer->channels;
    for (int32_t r = 0; r < job->rows; r++) {
        int32_t ky = first_row + r;
        run->inputs[r] = image + ((int64_t)(top + ky * s->dilation[0]) * layer->width + left + (int64_t)first * s->dilation[1]) * layer->channels;
        run->weights[r] = layer->weights + ((int64_t)ky * s->kernel[1] + first) * job->weight_step;
    }
    operation->kernels->depthwise_f32(job);
}

/* Rows [first_y, last_y) of result column x, whose windows lie inside from top to bottom: the kernel lies on its side. */
static void run_down(const struct operation *operation, const struct depthwise_f32_layer *layer, const float *image, int32_t x, int32_t first_y,
                     int32_t last_y, float *out, struct run *run)
{
    const struct spatial *s = &layer->spatial;
    int32_t top = first_y * s->stride[0] - s->pad[0], left = x * s->stride[1] - s->pad[1], first, last;
    int64_t row = (int64_t)layer->width * layer->channels, weight_step = (int64_t)layer->fold * layer->channels;
    clip_taps(left, s->kernel[1], s->dilation[1], layer->width, &first, &last);
    struct depthwise_f32 *job = &run->job;
    job->rows = last - first;
    job->columns = s->kernel[0];
    job->pixels = last_y - first_y;
    job->channels = layer->channels;
    job->step = s->stride[0] * row;
    job->tap_step = s->dilation[0] * row;
    job->weight_step = s->kernel[1] * weight_step;
    job->out_step = (int64_t)layer->out_width * layer->channels;
    job->out = out + (first_y * (int64_t)layer->out_width + x) * layer->channels;
    for (int32_t r = 0; r < job->rows; r++) {
        run->inputs[r] = image + top * row + (left + (int64_t)(first + r) * s->dilation[1]) * layer->channels;
        run->weights[r] = layer->weights + (first + r) * weight_step;
    }
    operation->kernels->depthwise_f32(job);
}

/* Result rows [first_y, last_y) of one image. */
static void run_rows(const struct operation *operation, const struct depthwise_f32_layer *layer, const float *image, int32_t first_y, int32_t last_y,
                     float *out)
{
    struct run run; /* its tables are filled as far as they are used */
    run.job = (struct depthwise_f32){.bias = layer->bias, .epilogue = layer->epilogue, .inputs = run.inputs, .weights = run.weights};
    int32_t inside_y = first_y > layer->first_inside[0] ? first_y : layer->first_inside[0];
    int32_t outside_y = last_y < layer->last_inside[0] ? last_y : layer->last_inside[0];
    outside_y = outside_y > inside_y ? outside_y : inside_y;
    for (int32_t x = 0; layer->narrow && inside_y < outside_y && x < layer->out_width; x++)
        run_down(operation, layer, image, x, inside_y, outside_y, out, &run);
    for (int32_t y = first_y; y < last_y; y++) {
        if (layer->narrow && y >= inside_y && y < outside_y)
            continue;
        for (int32_t x = 0, count; x < layer->out_width; x += count) {
            count = x >= layer->first_inside[1] && x < layer->last_inside[1] ? layer->last_inside[1] - x : 1;
            int32_t fold = count >= layer->fold ? layer->fold : 1;
            count -= count % fold;
            run_across(operation, layer, image, y, x, count, fold, out, &run);
        }
    }
}

/* Taps of kernel column 2 that the last result of a row has outside, or kernel column 0 of the first one. */
static int32_t taps_outside_right(const struct depthwise_f32_layer *layer)
{
    int32_t last = (layer->out_width - 1) * layer->spatial.stride[1] - layer->spatial.pad[1] + layer->spatial.kernel[1] - 1;
    return last >= layer->width ? last - layer->width + 1 : 0;
}

/* Result rows [first_y, last_y) of one image. zeros: a row of it. */
static void slide_rows(const struct operation *operation, const struct depthwise_f32_layer *layer, const float *image, int32_t first_y, int32_t last_y,
                       float *out, const float *zeros)
{
    const struct spatial *s = &layer->spatial;
    struct depthwise_3x3_f32 job = {.weights = layer->weights, .bias = layer->bias, .pixels = layer->out_width, .channels = layer->channels,
                                    .left = s->pad[1], .right = taps_outside_right(layer), .epilogue = layer->epilogue, .stride = s->stride[1]};
    for (int32_t y = first_y; y < last_y; y++) {
        for (int32_t r = 0; r < 3; r++) {
            int32_t row = y * s->stride[0] - s->pad[0] + r;
            job.inputs[r] = row < 0 || row >= layer->height ? zeros : image + (int64_t)row * layer->width * layer->channels;
        }
        job.out = out + (int64_t)y * layer->out_width * layer->channels;
        operation->kernels->depthwise_3x3_f32(&job);
    }
}

static void depthwise_f32_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last)
{
    const struct depthwise_f32_layer *layer = operation->prepared;
    const float *input = operation_input_data(operation, data, 0);
    float *output = operation_output_data(operation, data, 0);
    memset(scratch, 0, operation->scratch_bytes);
    for (int64_t part = first, count; part < last; part += count) {
        int64_t image = part / layer->image_parts, at = part % layer->image_parts;
        count = layer->image_parts - at < last - part ? layer->image_parts - at : last - part;
        int32_t begin = (int32_t)at * layer->part_rows, end = begin + (int32_t)count * layer->part_rows;
        end = end < layer->out_height ? end : layer->out_height;
        const float *from = input + image * layer->height * layer->width * layer->channels;
        float *to = output + image * layer->out_height * layer->out_width * layer->channels;
        if (layer->sliding)
            slide_rows(operation, layer, from, begin, end, to, scratch);
        else
            run_rows(operation, layer, from, begin, end, to);
    }
}

static int64_t depthwise_f32_pixels(const struct operation *operation, int64_t part)
{
    const struct depthwise_f32_layer *layer = operation->prepared;
    return (part < layer->image_parts ? part * layer->part_rows : layer->out_height) * layer->out_width;
}

/* Result positions along an axis whose window lies inside. */
static void find_inside(struct depthwise_f32_layer *layer, int axis, int32_t in, int32_t out)
{
    const struct spatial *s = &layer->spatial;
    int32_t last = in - 1 - (s->kernel[axis] - 1) * s->dilation[axis] + s->pad[axis];
    last = last < 0 ? 0 : last / s->stride[axis] + 1;
    layer->first_inside[axis] = (s->pad[axis] + s->stride[axis] - 1) / s->stride[axis];
    layer->last_inside[axis] = last < out ? last : out;
}

/* Fewer channels than half of a vector are better done several pixels at once. */
static bool is_sliding(const struct depthwise_f32_layer *layer, const struct kernels *kernels)
{
    const struct spatial *s = &layer->spatial;
    return kernels->depthwise_3x3_f32 != NULL && s->kernel[0] == 3 && s->kernel[1] == 3 && s->dilation[0] == 1 && s->dilation[1] == 1 &&
           s->stride[1] <= 2 && s->pad[1] <= 1 && taps_outside_right(layer) <= 1 && 4 * layer->channels >= kernels->panel_columns;
}

static bool is_narrow(const struct depthwise_f32_layer *layer)
{
    int32_t across = layer->last_inside[1] - layer->first_inside[1], down = layer->last_inside[0] - layer->first_inside[0];
    return across < NARROW && down > 2 * across && layer->channels % 16 == 0;
}

static void choose_parts(struct operation *operation, struct depthwise_f32_layer *layer)
{
    int64_t parts = (int64_t)operation->macs / PART_MACS_MIN / (layer->batch > 0 ? layer->batch : 1);
    parts = parts < 1 ? 1 : parts > PARTS_WANTED ? PARTS_WANTED : parts;
    parts = parts_for_bands(parts, (int64_t)layer->out_height * layer->out_width * layer->channels * (int64_t)sizeof(float));
    layer->part_rows = (int32_t)((layer->out_height + parts - 1) / parts);
    while (parts > 1 && layer->part_rows > 1 && (layer->out_height + layer->part_rows - 1) / layer->part_rows % 2 != 0)
        layer->part_rows--; /* as many parts for each of two threads */
    layer->image_parts = (layer->out_height + layer->part_rows - 1) / layer->part_rows;
    operation->parts = layer->batch * layer->image_parts;
    if (layer->batch == 1)
        operation->pixels_before = depthwise_f32_pixels;
}

/* Pixels that together fill whole vectors, at most FOLDED_CHANNELS_MAX channels. */
static int32_t choose_fold(const struct depthwise_f32_layer *layer, const struct kernels *kernels)
{
    int32_t vector = kernels->panel_columns / 2, inside = layer->last_inside[1] - layer->first_inside[1];
    if (layer->narrow || layer->spatial.stride[1] != 1 || layer->channels % vector == 0)
        return 1;
    for (int32_t fold = 2; fold * layer->channels <= FOLDED_CHANNELS_MAX && fold <= inside; fold++) {
        if (fold * layer->channels % vector == 0)
            return fold;
    }
    return 1;
}

static const float *repeat(const float *rows, int64_t count, int32_t channels, int32_t fold, struct arena *arena)
{
    float *repeated = arena_allocate_array(arena, (size_t)(count * fold * channels), sizeof *repeated);
    for (int64_t i = 0; repeated != NULL && i < count * fold; i++)
        memcpy(repeated + i * channels, rows + i / fold * channels, (size_t)channels * sizeof *rows);
    return repeated;
}

enum error_code depthwise_f32_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *weights = operation_input(operation, 1);
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2) : NULL;
    const int32_t *in = operation_input(operation, 0)->shape.dims, *out = operation_output(operation, 0)->shape.dims;
    struct depthwise_f32_layer *layer = arena_allocate(arena, sizeof *layer);
    float *zeros = bias == NULL ? arena_allocate_array(arena, (size_t)in[3], sizeof *zeros) : NULL;
    if (layer == NULL || (bias == NULL && zeros == NULL))
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    *layer = (struct depthwise_f32_layer){
        .weights = weights->data, .bias = bias != NULL ? bias->data : zeros, .epilogue = panels_f32_epilogue(node), .spatial = node->attributes.spatial,
        .batch = in[0], .height = in[1], .width = in[2], .channels = in[3], .out_height = out[1], .out_width = out[2]};
    find_inside(layer, 0, layer->height, layer->out_height);
    find_inside(layer, 1, layer->width, layer->out_width);
    layer->sliding = is_sliding(layer, operation->kernels);
    layer->narrow = !layer->sliding && is_narrow(layer);
    layer->fold = layer->sliding ? 1 : choose_fold(layer, operation->kernels);
    int64_t taps = (int64_t)weights->shape.dims[0] * weights->shape.dims[1];
    if (layer->fold > 1) {
        layer->weights = repeat(layer->weights, taps, in[3], layer->fold, arena);
        layer->bias = repeat(layer->bias, 1, in[3], layer->fold, arena);
        if (layer->weights == NULL || layer->bias == NULL)
            return operator_fail(node, ERROR_LIMIT, error, "no memory");
    }
    operation->macs = (uint64_t)(shape_elements(&operation_output(operation, 0)->shape) * taps);
    choose_parts(operation, layer);
    operation->scratch_bytes = layer->sliding ? (size_t)layer->width * (size_t)layer->channels * sizeof(float) : 0;
    operation->prepared = layer;
    operation->execute_parts = depthwise_f32_parts;
    return ERROR_NONE;
}
