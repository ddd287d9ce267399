/* SPDX-License-Identifier: Apache-2.0
 *
 * Pooling of bytes over windows and over whole images, NHWC. The average is rounded half away from zero, as TFLite's reference does; input
 * and result of different scales are requantised. Windows inside the image have their pixels at the same distances, so that a row of
 * maxima is one call. */
#include "inference/kernels/fixed_point.h"
#include "inference/operators/families.h"

enum { PARTS_WANTED = 16, PART_BYTES = 100000 /* of windows: about 2 us */ };

struct pool_8 {
    const struct byte_kernels *kernels;
    struct spatial spatial;
    bool average, requantized, finished;       /* finished: the largest is stored as it is */
    uint8_t flip;
    int32_t low, high;                         /* of the result, as stored */
    int32_t in_zero, out_zero;
    double factor;                             /* scale of the input over the result's */
    int32_t batch, height, width, channels, out_height, out_width;
    const int64_t *distances;                  /* of a window inside the image, in bytes from its first pixel */
    int64_t window;
    size_t sums_bytes;                         /* in scratch; the distances of a window that sticks out follow */
};

static void finish(const struct pool_8 *pool, const int32_t *sums, int32_t count, uint8_t *out)
{
    for (int32_t c = 0; c < pool->channels; c++) {
        int32_t x = sums[c];
        if (pool->requantized) {
            int32_t centred = sums[c] - (pool->average ? count : 1) * pool->in_zero;
            double real = pool->factor * centred / (pool->average ? count : 1);
            real = real < -1e6 ? -1e6 : real > 1e6 ? 1e6 : real; /* far outside a byte already */
            x = (int32_t)(real < 0 ? real - 0.5 : real + 0.5) + pool->out_zero;
        } else if (pool->average) {
            x = x > 0 ? (x + count / 2) / count : (x - count / 2) / count;
        }
        out[c] = (uint8_t)(x < pool->low ? pool->low : x > pool->high ? pool->high : x);
    }
}

/* Positions of an axis that a window counts when it divides: those inside low .. high - 1. */
static int32_t clip_count(int32_t start, int32_t kernel, int32_t dilation, int32_t low, int32_t high)
{
    int32_t count = 0;
    for (int32_t k = 0; k < kernel; k++)
        count += start + k * dilation >= low && start + k * dilation < high;
    return count;
}

static int32_t divisor(const struct pool_8 *pool, int32_t top, int32_t left)
{
    const struct spatial *s = &pool->spatial;
    bool padded = s->count_include_pad;
    int32_t rows = clip_count(top, s->kernel[0], s->dilation[0], padded ? -s->pad[0] : 0, pool->height + (padded ? s->pad[2] : 0));
    int32_t columns = clip_count(left, s->kernel[1], s->dilation[1], padded ? -s->pad[1] : 0, pool->width + (padded ? s->pad[3] : 0));
    return rows * columns > 0 ? rows * columns : 1;
}

/* Distances from the image's first pixel to those of a window that lie inside. */
static int64_t clip_window(const struct pool_8 *pool, int32_t top, int32_t left, int64_t *distances)
{
    const struct spatial *s = &pool->spatial;
    int64_t count = 0;
    for (int32_t ky = 0; ky < s->kernel[0]; ky++) {
        int32_t y = top + ky * s->dilation[0];
        for (int32_t kx = 0; kx < s->kernel[1]; kx++) {
            int32_t x = left + kx * s->dilation[1];
            if (y >= 0 && y < pool->height && x >= 0 && x < pool->width)
                distances[count++] = ((int64_t)y * pool->width + x) * pool->channels;
        }
    }
    return count;
}

/* `pixels` results from windows at `first`, which has its pixels at `distances`. */
static void pool_pixels(const struct pool_8 *pool, const uint8_t *first, const int64_t *distances, int64_t count, int32_t pixels, int32_t divide_by,
                        int32_t *sums, uint8_t *out)
{
    int64_t step = (int64_t)pool->spatial.stride[1] * pool->channels;
    if (pool->finished) {
        pool->kernels->window_max(first, distances, count, pixels, step, pool->channels, pool->flip, out);
        return;
    }
    for (int32_t p = 0; p < pixels; p++, first += step, out += pool->channels) {
        if (pool->average) {
            pool->kernels->window_sum(first, distances, count, pool->channels, pool->flip, sums);
            for (int32_t c = 0; c < pool->channels; c++)
                sums[c] -= (int32_t)count * pool->flip;
        } else {
            pool->kernels->window_max(first, distances, count, 1, step, pool->channels, pool->flip, out);
            for (int32_t c = 0; c < pool->channels; c++)
                sums[c] = pool->flip != 0 ? (int8_t)out[c] : out[c];
        }
        finish(pool, sums, divide_by, out);
    }
}

/* The results of a row whose windows lie inside from left to right: first .. last - 1. */
static void inside_columns(const struct pool_8 *pool, int32_t *first, int32_t *last)
{
    const struct spatial *s = &pool->spatial;
    int32_t room = pool->width - 1 - (s->kernel[1] - 1) * s->dilation[1] + s->pad[1];
    *first = (s->pad[1] + s->stride[1] - 1) / s->stride[1];
    *last = room < 0 ? 0 : room / s->stride[1] + 1;
    *last = *last < pool->out_width ? *last : pool->out_width;
}

static void pool_row(const struct pool_8 *pool, const uint8_t *image, int32_t y, uint8_t *out, void *scratch)
{
    const struct spatial *s = &pool->spatial;
    int64_t *clipped = (int64_t *)(void *)((char *)scratch + pool->sums_bytes);
    int32_t first, last, top = y * s->stride[0] - s->pad[0];
    inside_columns(pool, &first, &last);
    bool row_inside = top >= 0 && top + (s->kernel[0] - 1) * s->dilation[0] < pool->height;
    for (int32_t x = 0, pixels; x < pool->out_width; x += pixels, out += (int64_t)pixels * pool->channels) {
        int32_t left = x * s->stride[1] - s->pad[1];
        bool inside = row_inside && x >= first && x < last;
        pixels = inside ? last - x : 1;
        if (inside) {
            pool_pixels(pool, image + ((int64_t)top * pool->width + left) * pool->channels, pool->distances, pool->window, pixels,
                        (int32_t)pool->window, scratch, out);
        } else {
            int64_t count = clip_window(pool, top, left, clipped);
            pool_pixels(pool, image, clipped, count, 1, divisor(pool, top, left), scratch, out);
        }
    }
}

/* Parts are blocks of result rows of all images together. */
static void pool_8_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last)
{
    const struct pool_8 *pool = operation->prepared;
    const uint8_t *input = operation_input_data(operation, data, 0);
    uint8_t *out = operation_output_data(operation, data, 0);
    int64_t rows = (int64_t)pool->batch * pool->out_height;
    for (int64_t row = rows * first / operation->parts; row < rows * last / operation->parts; row++)
        pool_row(pool, input + row / pool->out_height * pool->height * pool->width * pool->channels, (int32_t)(row % pool->out_height),
                 out + row * pool->out_width * pool->channels, scratch);
}

static int64_t pool_8_pixels(const struct operation *operation, int64_t part)
{
    const struct pool_8 *pool = operation->prepared;
    return pool->out_height * part / operation->parts * pool->out_width;
}

enum error_code pool_8_prepare(struct operation *operation, struct arena *arena, const struct spatial *spatial, bool average, struct error *error)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    const int32_t *dims = in->shape.dims;
    if ((in->dtype != DTYPE_I8 && in->dtype != DTYPE_U8) || in->dtype != out->dtype)
        return operator_fail(operation->node, ERROR_UNSUPPORTED, error, "not supported for this type");
    int64_t rows = spatial->kernel[0] < dims[1] ? spatial->kernel[0] : dims[1], columns = spatial->kernel[1] < dims[2] ? spatial->kernel[1] : dims[2];
    struct pool_8 *pool = arena_allocate(arena, sizeof *pool);
    int64_t *distances = arena_allocate_array(arena, (size_t)(rows * columns), sizeof *distances);
    if (pool == NULL || distances == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    *pool = (struct pool_8){.kernels = operation->kernels->bytes, .spatial = *spatial, .average = average, .flip = in->dtype == DTYPE_I8 ? 0x80 : 0,
                            .batch = dims[0], .height = dims[1], .width = dims[2], .channels = dims[3], .out_height = out->shape.dims[1],
                            .out_width = out->shape.dims[2], .distances = distances, .window = rows * columns};
    for (int64_t i = 0; i < pool->window; i++)
        distances[i] = (i / columns * spatial->dilation[0] * dims[2] + i % columns * spatial->dilation[1]) * dims[3];
    pool->low = in->dtype == DTYPE_U8 ? 0 : -128;
    pool->high = pool->low + 255;
    pool->finished = !average;
    if (out->quantization.count == 1 && in->quantization.count == 1) {
        fixed_activation_range(operation->node->activation, out, &pool->low, &pool->high);
        pool->in_zero = in->quantization.zero_point[0];
        pool->out_zero = out->quantization.zero_point[0];
        pool->factor = (double)in->quantization.scale[0] / (double)out->quantization.scale[0];
        pool->requantized = in->quantization.scale[0] != out->quantization.scale[0] || pool->in_zero != pool->out_zero;
        pool->finished = !average && !pool->requantized && pool->high - pool->low == 255;
    }
    pool->sums_bytes = ((size_t)dims[3] * sizeof(int32_t) + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    operation->scratch_bytes = pool->sums_bytes + (size_t)pool->window * sizeof *distances;
    int64_t parts = shape_elements(&out->shape) * pool->window / PART_BYTES, row_count = (int64_t)dims[0] * pool->out_height;
    parts = parts_for_bands(parts < PARTS_WANTED ? parts : PARTS_WANTED, shape_elements(&out->shape));
    parts = parts < row_count ? parts : row_count;
    operation->parts = parts < 1 ? 1 : parts;
    operation->prepared = pool;
    operation->execute_parts = pool_8_parts;
    if (pool->batch == 1)
        operation->pixels_before = pool_8_pixels;
    return ERROR_NONE;
}
