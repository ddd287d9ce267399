/* SPDX-License-Identifier: Apache-2.0
 *
 * Pooling of floats over windows and over whole images, NHWC; bytes: pool_8.c. */
#include "inference/kernels/fixed_point.h"
#include "inference/operators/families.h"

#include <string.h>

enum { WINDOW_MAX = 1 << 22 }; /* 2^22 bytes add up to less than 2^31 */

struct pool {
    struct spatial spatial;
    bool average;
    float float_low, float_high;
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
                sum_window_f32(pool, &in->shape, (const float *)(const void *)image, top, left, scratch);
                finish_f32(pool, scratch, in->shape.dims[3], count, (float *)(void *)result);
            }
        }
    }
}

static enum error_code prepare(struct operation *operation, struct arena *arena, const struct spatial *spatial, bool average, struct error *error)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    int64_t window = (int64_t)spatial->kernel[0] * spatial->kernel[1];
    if (window > WINDOW_MAX)
        return operator_fail(operation->node, ERROR_LIMIT, error, "a window of more positions than eddy takes");
    operation->macs = (uint64_t)shape_elements(&out->shape) * (uint64_t)window;
    if (in->dtype != DTYPE_F32)
        return pool_8_prepare(operation, arena, spatial, average, error);
    if (out->dtype != DTYPE_F32)
        return operator_fail(operation->node, ERROR_UNSUPPORTED, error, "not supported for this type");
    struct pool *pool = arena_allocate(arena, sizeof *pool);
    if (pool == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    *pool = (struct pool){.spatial = *spatial, .average = average};
    fixed_float_range(operation->node, &pool->float_low, &pool->float_high);
    operation->scratch_bytes = (size_t)in->shape.dims[3] * sizeof(float);
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
