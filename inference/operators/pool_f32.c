/* SPDX-License-Identifier: Apache-2.0
 *
 * Float pooling, NHWC: for each result pixel the pointers to the inputs of its window that lie inside the image. */
#include "inference/kernels/fixed_point.h"
#include "inference/operators/families.h"

enum { PARTS_WANTED = 16, PART_ELEMENTS_MIN = 16384 }; /* about 2 us of inputs: sharing less costs more than it brings */

struct pool_f32 {
    struct spatial spatial;
    bool average;
    float low, high;
    int64_t part_pixels;
};

static int32_t positions(int32_t start, int32_t kernel, int32_t dilation, int32_t low, int32_t high)
{
    int32_t count = 0;
    for (int32_t k = 0; k < kernel; k++)
        count += start + k * dilation >= low && start + k * dilation < high;
    return count;
}

/* What the average divides by. */
static int32_t divisor(const struct spatial *s, const int32_t *in, int32_t top, int32_t left)
{
    bool padded = s->count_include_pad;
    int32_t rows = positions(top, s->kernel[0], s->dilation[0], padded ? -s->pad[0] : 0, in[1] + (padded ? s->pad[2] : 0));
    int32_t columns = positions(left, s->kernel[1], s->dilation[1], padded ? -s->pad[1] : 0, in[2] + (padded ? s->pad[3] : 0));
    return rows * columns > 0 ? rows * columns : 1;
}

static int64_t point_window(const struct spatial *s, const int32_t *in, const float *image, int32_t top, int32_t left, const float **window)
{
    int64_t count = 0;
    for (int32_t ky = 0; ky < s->kernel[0]; ky++) {
        int32_t y = top + ky * s->dilation[0];
        if (y < 0 || y >= in[1])
            continue;
        for (int32_t kx = 0; kx < s->kernel[1]; kx++) {
            int32_t x = left + kx * s->dilation[1];
            if (x >= 0 && x < in[2])
                window[count++] = image + ((int64_t)y * in[2] + x) * in[3];
        }
    }
    return count;
}

static void pool_pixel(const struct operation *operation, const struct pool_f32 *pool, const float *image, int64_t pixel, const float **window, float *to)
{
    const int32_t *in = operation_input(operation, 0)->shape.dims, *out = operation_output(operation, 0)->shape.dims;
    const struct spatial *s = &pool->spatial;
    int32_t top = (int32_t)(pixel / out[2]) * s->stride[0] - s->pad[0], left = (int32_t)(pixel % out[2]) * s->stride[1] - s->pad[1];
    int64_t count = point_window(s, in, image, top, left, window);
    if (pool->average) {
        operation->kernels->sum_f32(count, in[3], window, 1.0f / (float)divisor(s, in, top, left), pool->low, pool->high, to);
    } else if (count > 0) {
        operation->kernels->max_f32(count, in[3], window, pool->low, pool->high, to);
    } else {
        for (int32_t c = 0; c < in[3]; c++)
            to[c] = pool->low;
    }
}

static void pool_f32_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last)
{
    const struct pool_f32 *pool = operation->prepared;
    const int32_t *in = operation_input(operation, 0)->shape.dims, *out = operation_output(operation, 0)->shape.dims;
    const float *input = operation_input_data(operation, data, 0);
    float *output = operation_output_data(operation, data, 0);
    int64_t pixels = (int64_t)out[1] * out[2], total = out[0] * pixels, end = last * pool->part_pixels < total ? last * pool->part_pixels : total;
    for (int64_t at = first * pool->part_pixels; at < end; at++)
        pool_pixel(operation, pool, input + at / pixels * in[1] * in[2] * in[3], at % pixels, scratch, output + at * in[3]);
}

static int64_t pool_f32_pixels(const struct operation *operation, int64_t part)
{
    const struct pool_f32 *pool = operation->prepared;
    const int32_t *out = operation_output(operation, 0)->shape.dims;
    int64_t pixels = (int64_t)out[1] * out[2];
    return part * pool->part_pixels < pixels ? part * pool->part_pixels : pixels;
}

enum error_code pool_f32_prepare(struct operation *operation, struct arena *arena, const struct spatial *spatial, bool average, struct error *error)
{
    const int32_t *out = operation_output(operation, 0)->shape.dims;
    struct pool_f32 *pool = arena_allocate(arena, sizeof *pool);
    if (pool == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    *pool = (struct pool_f32){.spatial = *spatial, .average = average};
    fixed_float_range(operation->node, &pool->low, &pool->high);
    int64_t pixels = (int64_t)out[0] * out[1] * out[2], window = (int64_t)spatial->kernel[0] * spatial->kernel[1];
    int64_t parts = pixels * out[3] * window / PART_ELEMENTS_MIN;
    parts = parts < 1 ? 1 : parts > PARTS_WANTED ? PARTS_WANTED : parts;
    parts = parts_for_bands(parts, pixels * out[3] * (int64_t)sizeof(float));
    pool->part_pixels = (pixels + parts - 1) / parts;
    operation->parts = pixels > 0 ? (pixels + pool->part_pixels - 1) / pool->part_pixels : 0;
    if (out[0] == 1)
        operation->pixels_before = pool_f32_pixels;
    operation->scratch_bytes = (size_t)window * sizeof(float *);
    operation->prepared = pool;
    operation->execute_parts = pool_f32_parts;
    return ERROR_NONE;
}
