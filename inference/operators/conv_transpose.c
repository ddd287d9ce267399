/* SPDX-License-Identifier: Apache-2.0
 *
 * Transposed convolution, NHWC, weights [O, KH, KW, I/groups]: each result pixel gathers the input pixels that reach it. The loader states the
 * result's height and width (output_padding, output_shape, SAME); padding is what the loader found for top and left. */
#include "inference/operators/families.h"

enum { EXTENT_MAX = 1 << 20 };

enum error_code conv_transpose_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]], *weights = &graph->values[node->inputs[1]];
    const struct value *bias = node->inputs[2] >= 0 ? &graph->values[node->inputs[2]] : NULL;
    struct value *out = &graph->values[node->outputs[0]];
    const struct spatial *s = &node->attributes.spatial;
    const int32_t *w = weights->shape.dims;
    if (in->dtype != DTYPE_F32 || weights->dtype != DTYPE_F32 || (bias != NULL && bias->dtype != DTYPE_F32))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected f32");
    if (in->shape.rank != 4 || weights->shape.rank != 4 || !out->shape_known || out->shape.rank != 4)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected an input and weights of rank 4");
    if (s->groups < 1 || w[0] < 1 || w[3] < 1 || w[0] % s->groups != 0 || (int64_t)w[3] * s->groups != in->shape.dims[3] || w[1] != s->kernel[0] ||
        w[2] != s->kernel[1] || (bias != NULL && shape_elements(&bias->shape) != w[0]) || out->shape.dims[0] != in->shape.dims[0] ||
        out->shape.dims[3] != w[0])
        return operator_fail(node, ERROR_MODEL, error, "weights, groups, bias and input channels that do not fit together");
    for (int i = 0; i < 2; i++) {
        bool sensible = s->kernel[i] >= 1 && s->stride[i] >= 1 && s->dilation[i] >= 1 && s->kernel[i] <= EXTENT_MAX && s->stride[i] <= EXTENT_MAX &&
                        s->dilation[i] <= EXTENT_MAX && s->pad[i] >= -EXTENT_MAX && s->pad[i] <= EXTENT_MAX && out->shape.dims[1 + i] >= 1 &&
                        out->shape.dims[1 + i] <= EXTENT_MAX && in->shape.dims[1 + i] >= 1 && in->shape.dims[1 + i] <= EXTENT_MAX;
        if (!sensible)
            return operator_fail(node, ERROR_MODEL, error, "a kernel, stride, dilation, pad or extent that is not sensible");
    }
    out->dtype = DTYPE_F32;
    return ERROR_NONE;
}

/* The input position that reaches result position `at` through kernel position k; -1: none. */
static int64_t reaching(const struct spatial *s, int axis, int64_t at, int32_t k, int32_t extent)
{
    int64_t numerator = at + s->pad[axis] - (int64_t)k * s->dilation[axis];
    return numerator >= 0 && numerator % s->stride[axis] == 0 && numerator / s->stride[axis] < extent ? numerator / s->stride[axis] : -1;
}

static void add_tap(const float *pixel, const float *weights, int64_t outputs, int64_t weight_step, int64_t depth, float *out)
{
    for (int64_t o = 0; o < outputs; o++, weights += weight_step) {
        float sum = 0;
        for (int64_t i = 0; i < depth; i++)
            sum += pixel[i] * weights[i];
        out[o] += sum;
    }
}

static void gather_pixel(const struct operation *operation, const float *image, const float *weights, int64_t y, int64_t x, float *out)
{
    const struct spatial *s = &operation->node->attributes.spatial;
    const int32_t *in = operation_input(operation, 0)->shape.dims, *w = operation_input(operation, 1)->shape.dims;
    int64_t depth = w[3], outputs = w[0] / s->groups, step = (int64_t)w[1] * w[2] * depth;
    for (int32_t ky = 0; ky < w[1]; ky++) {
        int64_t in_y = reaching(s, 0, y, ky, in[1]);
        for (int32_t kx = 0; in_y >= 0 && kx < w[2]; kx++) {
            int64_t in_x = reaching(s, 1, x, kx, in[2]);
            for (int32_t g = 0; in_x >= 0 && g < s->groups; g++)
                add_tap(image + (in_y * in[2] + in_x) * in[3] + g * depth, weights + g * outputs * step + ((int64_t)ky * w[2] + kx) * depth, outputs,
                        step, depth, out + g * outputs);
        }
    }
}

static void conv_transpose_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct shape *in = &operation_input(operation, 0)->shape, *shape = &operation_output(operation, 0)->shape;
    const float *image = operation_input_data(operation, data, 0), *weights = operation_input_data(operation, data, 1);
    const float *bias = operation_input_data(operation, data, 2);
    float *out = operation_output_data(operation, data, 0);
    int64_t channels = shape->dims[3];
    (void)scratch;
    for (int32_t n = 0; n < in->dims[0]; n++, image += dims_product(in, 1, 4)) {
        for (int64_t p = 0; p < (int64_t)shape->dims[1] * shape->dims[2]; p++, out += channels) {
            for (int64_t c = 0; c < channels; c++)
                out[c] = bias != NULL ? bias[c] : 0;
            gather_pixel(operation, image, weights, p / shape->dims[2], p % shape->dims[2], out);
        }
    }
}

enum error_code conv_transpose_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct shape *w = &operation_input(operation, 1)->shape;
    (void)arena, (void)error;
    operation->macs = (uint64_t)(shape_elements(&operation_input(operation, 0)->shape) / operation->node->attributes.spatial.groups) *
                      (uint64_t)(w->dims[0] * (int64_t)w->dims[1] * w->dims[2]);
    operation->execute = conv_transpose_execute;
    return ERROR_NONE;
}
