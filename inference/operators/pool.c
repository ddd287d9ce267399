/* SPDX-License-Identifier: Apache-2.0
 *
 * Pooling over windows and over whole images, NHWC. Bytes: the average is rounded half away from zero, as TFLite's reference does; input
 * and result of different scales are requantised. */
#include "inference/kernels/fixed_point.h"
#include "inference/operators/families.h"

#include <string.h>

enum { WINDOW_MAX = 1 << 22 }; /* 2^22 bytes add up to less than 2^31 */

struct pool {
    struct spatial spatial;
    bool average;
    int32_t low, high;                 /* bytes: range of the result */
    float float_low, float_high;
    bool requantized;
    bool finished;                     /* bytes: the largest is stored as it is */
    size_t sums_bytes;                 /* in scratch; bytes: pointers to a window's pixels follow */
};

static void keep_quantization(const struct value *in, struct value *out)
{
    if (out->quantization.count == 0) {
        out->dtype = in->dtype;
        out->quantization = in->quantization;
    }
}

enum error_code pool_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    struct value *out = &graph->values[node->outputs[0]];
    if (in->shape.rank != 4)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected an input of rank 4");
    keep_quantization(in, out);
    return spatial_infer(node, &in->shape, in->shape.dims[3], &out->shape, error);
}

enum error_code global_pool_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    struct value *out = &graph->values[node->outputs[0]];
    if (in->shape.rank != 4 || in->shape.dims[1] < 1 || in->shape.dims[2] < 1)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected an input of rank 4 that is not empty");
    keep_quantization(in, out);
    out->shape = (struct shape){.rank = 4, .dims = {in->shape.dims[0], 1, 1, in->shape.dims[3]}};
    return ERROR_NONE;
}

static int32_t clip_count(int32_t start, int32_t kernel, int32_t dilation, int32_t low, int32_t high)
{
    int32_t count = 0;
    for (int32_t k = 0; k < kernel; k++)
        count += start + k * dilation >= low && start + k * dilation < high;
    return count;
}

static void sum_window_f32(const struct pool *pool, const struct shape *in, const float *image, int32_t top, int32_t left, float *sums)
{
    const struct spatial *s = &pool->spatial;
    int32_t channels = in->dims[3];
    float start = pool->average ? 0 : -FLT_MAX;
    for (int32_t c = 0; c < channels; c++)
        sums[c] = start;
    for (int32_t ky = 0; ky < s->kernel[0]; ky++) {
        int32_t y = top + ky * s->dilation[0];
        for (int32_t kx = 0; kx < s->kernel[1]; kx++) {
            int32_t x = left + kx * s->dilation[1];
            if (y < 0 || y >= in->dims[1] || x < 0 || x >= in->dims[2])
                continue;
            const float *pixel = image + ((int64_t)y * in->dims[2] + x) * channels;
            if (pool->average) {
                for (int32_t c = 0; c < channels; c++)
                    sums[c] += pixel[c];
            } else {
                for (int32_t c = 0; c < channels; c++)
                    sums[c] = pixel[c] > sums[c] ? pixel[c] : sums[c];
            }
        }
    }
}

/* How many positions the average divides by. */
static int32_t divisor(const struct pool *pool, const struct shape *in, int32_t top, int32_t left)
{
    const struct spatial *s = &pool->spatial;
    bool padded = s->count_include_pad;
    int32_t rows = clip_count(top, s->kernel[0], s->dilation[0], padded ? -s->pad[0] : 0, in->dims[1] + (padded ? s->pad[2] : 0));
    int32_t columns = clip_count(left, s->kernel[1], s->dilation[1], padded ? -s->pad[1] : 0, in->dims[2] + (padded ? s->pad[3] : 0));
    return rows * columns > 0 ? rows * columns : 1;
}

static void finish_f32(const struct pool *pool, const float *sums, int32_t channels, int32_t count, float *out)
{
    float factor = pool->average ? 1.0f / (float)count : 1.0f;
    for (int32_t c = 0; c < channels; c++) {
        float x = sums[c] * factor;
        out[c] = x < pool->float_low ? pool->float_low : x > pool->float_high ? pool->float_high : x;
    }
}

static void finish_8(const struct pool *pool, const struct value *in, const struct value *out_value, const int32_t *sums, int32_t count, uint8_t *out)
{
    for (int32_t c = 0; c < in->shape.dims[3]; c++) {
        int32_t x = sums[c];
        if (pool->average && !pool->requantized)
            x = x > 0 ? (x + count / 2) / count : (x - count / 2) / count;
        if (pool->requantized) {
            int32_t centred = pool->average ? sums[c] - count * in->quantization.zero_point[0] : sums[c] - in->quantization.zero_point[0];
            double real = (double)in->quantization.scale[0] / (double)out_value->quantization.scale[0] * centred / (pool->average ? count : 1);
            real = real < -1e6 ? -1e6 : real > 1e6 ? 1e6 : real; /* far outside a byte already */
            x = (int32_t)(real < 0 ? real - 0.5 : real + 0.5) + out_value->quantization.zero_point[0];
        }
        out[c] = (uint8_t)(x < pool->low ? pool->low : x > pool->high ? pool->high : x);
    }
}

/* Pointers to the pixels of a window that lie inside the image. */
static int64_t point_window(const struct pool *pool, const struct value *in, const uint8_t *image, int32_t top, int32_t left, const uint8_t **pixels)
{
    const struct spatial *s = &pool->spatial;
    const int32_t *dims = in->shape.dims;
    int64_t count = 0;
    for (int32_t ky = 0; ky < s->kernel[0]; ky++) {
        int32_t y = top + ky * s->dilation[0];
        for (int32_t kx = 0; kx < s->kernel[1]; kx++) {
            int32_t x = left + kx * s->dilation[1];
            if (y >= 0 && y < dims[1] && x >= 0 && x < dims[2])
                pixels[count++] = image + ((int64_t)y * dims[2] + x) * dims[3];
        }
    }
    return count;
}

static void pool_window_8(const struct operation *operation, const struct pool *pool, const uint8_t *image, int32_t top, int32_t left, int32_t count,
                          void *scratch, uint8_t *out)
{
    const struct value *in = operation_input(operation, 0), *result = operation_output(operation, 0);
    const struct byte_kernels *kernels = operation->kernels->bytes;
    int32_t channels = in->shape.dims[3];
    uint8_t flip = in->dtype == DTYPE_I8 ? 0x80 : 0;
    int32_t *sums = scratch;
    const uint8_t **pixels = (const uint8_t **)(void *)((char *)scratch + pool->sums_bytes);
    int64_t inside = point_window(pool, in, image, top, left, pixels);
    if (!pool->average) {
        kernels->pixels_max(pixels, inside, channels, flip, out);
        if (pool->finished)
            return;
        for (int32_t c = 0; c < channels; c++)
            sums[c] = flip != 0 ? (int8_t)out[c] : out[c];
    } else {
        kernels->pixels_sum(pixels, inside, channels, flip, sums);
        for (int32_t c = 0; c < channels; c++)
            sums[c] -= (int32_t)inside * flip;
    }
    finish_8(pool, in, result, sums, count, out);
}

static void pool_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct pool *pool = operation->prepared;
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    const char *image = operation_input_data(operation, data, 0);
    char *result = operation_output_data(operation, data, 0);
    size_t image_bytes = (size_t)dims_product(&in->shape, 1, 4) * dtype_bytes(in->dtype), pixel_bytes = (size_t)in->shape.dims[3] * dtype_bytes(in->dtype);
    for (int32_t n = 0; n < in->shape.dims[0]; n++, image += image_bytes) {
        for (int32_t y = 0; y < out->shape.dims[1]; y++) {
            for (int32_t x = 0; x < out->shape.dims[2]; x++, result += pixel_bytes) {
                int32_t top = y * pool->spatial.stride[0] - pool->spatial.pad[0], left = x * pool->spatial.stride[1] - pool->spatial.pad[1];
                int32_t count = divisor(pool, &in->shape, top, left);
                if (in->dtype == DTYPE_F32) {
                    sum_window_f32(pool, &in->shape, (const float *)(const void *)image, top, left, scratch);
                    finish_f32(pool, scratch, in->shape.dims[3], count, (float *)(void *)result);
                } else {
                    pool_window_8(operation, pool, (const uint8_t *)image, top, left, count, scratch, (uint8_t *)result);
                }
            }
        }
    }
}

static enum error_code prepare(struct operation *operation, struct arena *arena, const struct spatial *spatial, bool average, struct error *error)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    struct pool *pool = arena_allocate(arena, sizeof *pool);
    if (pool == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    *pool = (struct pool){.spatial = *spatial, .average = average};
    fixed_float_range(operation->node, &pool->float_low, &pool->float_high);
    bool bytes = (in->dtype == DTYPE_I8 || in->dtype == DTYPE_U8) && in->dtype == out->dtype;
    int64_t window = (int64_t)spatial->kernel[0] * spatial->kernel[1];
    if (!bytes && (in->dtype != DTYPE_F32 || out->dtype != DTYPE_F32))
        return operator_fail(operation->node, ERROR_UNSUPPORTED, error, "not supported for this type");
    if (window > WINDOW_MAX)
        return operator_fail(operation->node, ERROR_LIMIT, error, "a window of more positions than eddy takes");
    operation->macs = (uint64_t)shape_elements(&out->shape) * (uint64_t)window;
    pool->low = in->dtype == DTYPE_U8 ? 0 : -128;
    pool->high = in->dtype == DTYPE_U8 ? 255 : 127;
    if (bytes && out->quantization.count == 1 && in->quantization.count == 1) {
        fixed_activation_range(operation->node->activation, out, &pool->low, &pool->high);
        pool->requantized = in->quantization.scale[0] != out->quantization.scale[0] || in->quantization.zero_point[0] != out->quantization.zero_point[0];
    }
    pool->finished = bytes && !pool->average && !pool->requantized && pool->low == (in->dtype == DTYPE_U8 ? 0 : -128) &&
                     pool->high == (in->dtype == DTYPE_U8 ? 255 : 127);
    pool->sums_bytes = ((size_t)in->shape.dims[3] * sizeof(float) + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    int64_t window = (int64_t)(spatial->kernel[0] < in->shape.dims[1] ? spatial->kernel[0] : in->shape.dims[1]) *
                     (spatial->kernel[1] < in->shape.dims[2] ? spatial->kernel[1] : in->shape.dims[2]);
    operation->scratch_bytes = pool->sums_bytes + (bytes ? (size_t)window * sizeof(void *) : 0);
    operation->prepared = pool;
    operation->execute = pool_execute;
    return ERROR_NONE;
}

enum error_code pool_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    return prepare(operation, arena, &operation->node->attributes.spatial, operation->node->kind == OPERATOR_AVERAGE_POOL, error);
}

enum error_code global_pool_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const int32_t *in = operation_input(operation, 0)->shape.dims;
    struct spatial whole = {.kernel = {in[1], in[2]}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1};
    return prepare(operation, arena, &whole, true, error);
}
